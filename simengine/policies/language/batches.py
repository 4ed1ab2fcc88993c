"""Backends that answer batches, one batch after another in one thread, behind the protocol of those that answer one."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from itertools import islice

from simengine.errors import RunError
from simengine.policies.language.calls import Backend, Concurrent, Failure, Reply, Request

Answer = Reply | Failure
Waiting = tuple[Request, "asyncio.Future[Answer]"]


class Batches:
    """A `Concurrent` made of a `Backend` without coroutines.

    All batches are computed in one thread, which is the first and only one that calls the backend. A call has no
    deadline here: what is being computed cannot be stopped, and a result must not depend on how fast a machine is.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend, self.size = backend, max(1, backend.capabilities().batch)
        self._waiting: deque[Waiting] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._work = threading.Condition()
        self._thread: threading.Thread | None = None
        self._leaving = False

    async def answer(self, request: Request, *, timeout: float, idempotency: str = "") -> Answer:
        """Answer one request, together with others that wait."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        with self._work:
            self._waiting.append((request, future))
            if self._thread is None:
                self._loop, self._leaving = loop, False
                self._thread = threading.Thread(target=self._compute, name="simengine-language-batches", daemon=True)
                self._thread.start()
            self._work.notify()
        return await future

    async def leave(self) -> None:
        """End the thread, after the batch that it computes."""
        with self._work:
            thread, self._thread, self._leaving = self._thread, None, True
            self._waiting.clear()
            self._work.notify()
        if thread is not None:
            await asyncio.to_thread(thread.join, 1.0)

    def _compute(self) -> None:
        while True:
            with self._work:
                while not self._waiting and not self._leaving:
                    self._work.wait()
                if self._leaving:
                    return
                batch = self._next()
            try:
                answers: Sequence[Answer] | Exception = self._answers([request for request, _ in batch])
            except Exception as error:
                answers = error
            assert self._loop is not None
            try:
                self._loop.call_soon_threadsafe(_hand_over, batch, answers)
            except RuntimeError:
                return

    def _next(self) -> list[Waiting]:
        """The first requests that wait and are of one kind."""
        kind = self._waiting[0][0].kind
        count = 0
        for request, _ in islice(self._waiting, self.size):
            if request.kind != kind:
                break
            count += 1
        return [self._waiting.popleft() for _ in range(count)]

    def _answers(self, requests: list[Request]) -> Sequence[Answer]:
        backend = self.backend
        answers = backend.score(requests) if requests[0].kind == "score" else backend.complete(requests)
        if len(answers) != len(requests):
            raise RunError(
                f"the backend {type(backend).__name__} gave {len(answers)} answers to {len(requests)} requests"
            )
        return answers


def _hand_over(batch: Sequence[Waiting], answers: Sequence[Answer] | Exception) -> None:
    for place, (_, future) in enumerate(batch):
        if future.done():
            continue
        if isinstance(answers, Exception):
            future.set_exception(answers)
        else:
            future.set_result(answers[place])


def concurrent(backend: Backend) -> Concurrent:
    """The backend as one that answers single requests."""
    return backend if isinstance(backend, Concurrent) else Batches(backend)
