"""The event loop, in a thread of its own, that sends calls, repeats failed ones and hands answers to the journal.

A call waits in a queue until there is a connection, room under the limits and no outage; one task lives per attempt, so
memory goes with the connections and not with the calls. While a call waits to be repeated it holds no connection.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simengine.errors import RunError, SimengineError
from simengine.policies.language.calls import FATAL, PASSING, Concurrent, Failure, Reply, Request
from simengine.policies.language.limits import Limits
from simengine.policies.language.retries import Breaker, Retries, RetryBudget

JOURNAL_SECONDS = 0.005
JOURNAL_SIZE = 256
HEADERS_EVERY = 16
FEWEST_CONNECTIONS = 8


@dataclass(slots=True, eq=False)
class Call:
    """A request on its way: where it belongs, what was tried, and in the end its answer."""

    key: str
    request: Request
    step: int
    label: str
    order: int
    deadline: float
    estimate: float
    waiters: list[Any] = field(default_factory=list)
    attempts: int = 0
    failures: int = 0
    rejections: int = 0
    used: float = 0.0
    latency: float = 0.0
    answer: Reply | Failure | None = None
    outcome: Any = None


class Dispatcher:
    """Sends calls over one backend.

    ``timed``: whether calls have deadlines. ``journal`` is given calls with answers, in the loop's thread; when it
    returns they are written and known to whoever waits. ``stopped`` is given the error after which nothing more is
    sent. ``told`` gives the limits that the server's headers told so far.
    """

    def __init__(
        self, backend: Concurrent, *, connections: int, limits: Limits, retries: Retries, hedge_after: float | None,
        timed: bool, journal: Callable[[Sequence[Call]], None], stopped: Callable[[SimengineError], None],
        told: Callable[[], Mapping[str, float]],
    ) -> None:  # fmt: skip
        self.backend, self.connections, self.limits, self.retries = backend, connections, limits, retries
        self.hedge_after, self.timed, self.journal, self.stopped = hedge_after, timed, journal, stopped
        self.told, self._attempts = told, 0
        self.breaker, self.repetitions = Breaker(retries), RetryBudget(retries)
        self.width = float(connections)
        self.error: SimengineError | None = None
        self._narrowed = 0.0
        self._jitter = random.Random()
        self._ready: deque[Call] = deque()
        self._later = 0
        self._active = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._answered: list[Call] = []
        self._writing: asyncio.TimerHandle | None = None
        self._waking: asyncio.TimerHandle | None = None
        self._loop = asyncio.new_event_loop()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="simengine-language", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether calls are still served."""
        return self._thread.is_alive()

    def send(self, calls: Sequence[Call]) -> None:
        """Queue calls; from any thread."""
        self._loop.call_soon_threadsafe(self._add, calls)

    def close(self, grace: float) -> None:
        """Send nothing more, wait up to ``grace`` seconds for answers under way, write them and end the thread."""
        if not self._thread.is_alive():
            return
        self._loop.call_soon_threadsafe(self._close, grace)
        self._thread.join(grace + 10.0)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(lambda _, context: self._broken(context))
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    def _broken(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, Exception):
            self._stop(_named(error, self.backend))

    def _add(self, calls: Sequence[Call]) -> None:
        if self.error is None and not self._closing:
            self.repetitions.calls += len(calls)
            self._ready.extend(calls)
            self._pump()

    def _pump(self) -> None:
        """Start what may start."""
        now = self._loop.time()
        if self._closing:
            return
        while self._ready and self._active < int(self.width) and self.error is None:
            call = self._ready[0]
            reserved = self.limits.estimate(call.estimate)
            wait = self.breaker.wait(now) or self.limits.reserve(reserved)
            if wait > 0:
                if wait < float("inf"):
                    self._wake(now + wait)
                return
            self._ready.popleft()
            self._begin(self._attempt(call, reserved, self.breaker.start()))

    def _begin(self, attempt: Coroutine[Any, Any, None]) -> None:
        self._active += 1
        task = self._loop.create_task(attempt)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _wake(self, when: float) -> None:
        if self._waking is not None and (self._waking.cancelled() or self._waking.when() > when):
            self._waking.cancel()
            self._waking = None
        if self._waking is None:
            self._waking = self._loop.call_at(when, self._woken)

    def _woken(self) -> None:
        self._waking = None
        self._pump()

    async def _attempt(self, call: Call, reserved: float, probe: bool) -> None:
        began = self._loop.time()
        call.attempts += 1
        try:
            try:
                answer = await self._answer(call)
            except asyncio.CancelledError:
                self.breaker.gave_up(probe)
                raise
            finally:
                self._active -= 1
            call.latency = self._loop.time() - began
            self._judge(call, answer, reserved, began, probe)
            self._pump()
        except Exception as error:
            self._stop(_named(error, self.backend))

    async def _answer(self, call: Call) -> Reply | Failure:
        left = call.deadline - call.used if self.timed else float("inf")
        if self.hedge_after is None or self.hedge_after >= left:
            return await self._sent(call, left)
        first = self._loop.create_task(self._sent(call, left))
        done, _ = await _finished({first}, self.hedge_after)
        if done:
            return first.result()
        spare = self._active < int(self.width) and not self.breaker.open
        reserved = self.limits.estimate(call.estimate)
        if not (spare and self.repetitions.spend() and self.limits.reserve(reserved) == 0):
            return await _first_of(first)
        call.attempts += 1
        self._active += 1
        try:
            return await _first_of(first, self._loop.create_task(self._sent(call, left - self.hedge_after)))
        finally:
            self._active -= 1

    async def _sent(self, call: Call, timeout: float) -> Reply | Failure:
        answer = self.backend.answer(call.request, timeout=timeout, idempotency=call.key)
        if timeout == float("inf"):
            return await answer
        try:
            # For a backend that does not keep the time itself.
            async with asyncio.timeout(timeout + 1.0):
                return await answer
        except TimeoutError:
            return Failure("timeout", f"no answer within {timeout:.3g} s")

    def _judge(self, call: Call, answer: Reply | Failure, reserved: float, began: float, probe: bool) -> None:
        now = self._loop.time()
        if self._attempts % HEADERS_EVERY == 0 or not isinstance(answer, Reply):
            self.limits.told(self.told())
        self._attempts += 1
        if isinstance(answer, Reply):
            used = answer.usage.input + answer.usage.output
            self.limits.settle(reserved, used)
            self.limits.learn(call.estimate, used)
            self.breaker.succeeded()
            self.width = min(float(self.connections), self.width + 4.0 / self.width)
            self._finish(call, answer)
            return
        self.limits.settle(reserved, 0.0)
        if self._closing and answer.kind in PASSING:
            # Given up for the run's sake: it is no answer, and whoever resumes asks again.
            return
        if answer.kind in FATAL:
            self._stop(_fatal(answer, call))
        elif answer.kind == "rate_limit":
            self._rejected(call, answer, began, now)
        elif answer.kind in PASSING:
            self._failed(call, answer, began, now, probe)
        else:
            self.breaker.succeeded()
            self._finish(call, answer)

    def _rejected(self, call: Call, answer: Failure, began: float, now: float) -> None:
        """The server turns calls away: fewer at once, and everybody waits as long as it says."""
        if self.breaker.open:
            self.breaker.succeeded()
        call.rejections += 1
        if began >= self._narrowed:
            fewest = min(self.connections, FEWEST_CONNECTIONS)
            self.width, self._narrowed = max(float(fewest), self.width / 2), now
        asked = answer.retry_after or 0.0
        if asked > self.retries.patience:
            self._stop(RunError(f"the server asks to wait {asked:.0f} s; all answers are recorded: resume then"))
        elif call.rejections > self.retries.rejections:
            self._finish(call, answer)
        elif asked > 0:
            self.limits.pause(asked)
            self._ready.appendleft(call)
        else:
            self._repeat(call, self.retries.backoff(call.rejections, self._jitter))

    def _failed(self, call: Call, answer: Failure, began: float, now: float, probe: bool) -> None:
        """A failure that another attempt may mend."""
        outage = self.breaker.failed(now, probe)
        if outage > self.retries.patience:
            self._stop(
                RunError(f"no answer for {outage:.0f} s ({answer.message}); all answers are recorded: resume later")
            )
            return
        if outage and not probe:
            self._ready.append(call)
            return
        call.failures += 1
        call.used += now - began
        spent = call.failures >= self.retries.attempts or (self.timed and call.used >= call.deadline)
        if spent or not (probe or self.repetitions.spend()):
            self._finish(call, answer)
            return
        self._repeat(call, max(self.retries.backoff(call.failures, self._jitter), answer.retry_after or 0.0))

    def _repeat(self, call: Call, delay: float) -> None:
        self._later += 1
        self._loop.call_later(delay, self._again, call)

    def _again(self, call: Call) -> None:
        self._later -= 1
        self._ready.append(call)
        self._pump()

    def _finish(self, call: Call, answer: Reply | Failure) -> None:
        call.answer = answer
        self._answered.append(call)
        if len(self._answered) >= JOURNAL_SIZE or not (self._active or self._ready or self._later):
            self._write()
        elif self._writing is None:
            self._writing = self._loop.call_later(JOURNAL_SECONDS, self._write)

    def _write(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
        calls, self._answered = self._answered, []
        if calls:
            try:
                self.journal(calls)
            except Exception as error:
                self._stop(_named(error, self.backend))

    def _stop(self, error: SimengineError) -> None:
        """Nothing more is sent; answers under way are still written."""
        if self.error is None:
            self.error = error
            self._ready.clear()
            self._write()
            self.stopped(error)

    def _close(self, grace: float) -> None:
        self._closing = True
        self._ready.clear()
        self._closer = self._loop.create_task(self._leave(grace))

    async def _leave(self, grace: float) -> None:
        try:
            if self._tasks:
                await asyncio.wait(set(self._tasks), timeout=grace)
            left = set(self._tasks)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            self._write()
            await asyncio.wait_for(self.backend.leave(), 5.0)
        finally:
            self._loop.stop()


async def _finished(
    tasks: set[asyncio.Task[Reply | Failure]], timeout: float | None = None
) -> tuple[set[asyncio.Task[Reply | Failure]], set[asyncio.Task[Reply | Failure]]]:
    """As ``asyncio.wait`` for the first; cancelled with whoever waits."""
    try:
        return await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        await _cancelled(tasks)
        raise


async def _first_of(*tasks: asyncio.Task[Reply | Failure]) -> Reply | Failure:
    """The first reply (or failure that nobody can mend) of some attempts, else the failure of the first of them."""
    left = set(tasks)
    while left:
        done, left = await _finished(left)
        for answer in (task.result() for task in tasks if task in done):
            if isinstance(answer, Reply) or answer.kind not in PASSING:
                await _cancelled(left)
                return answer
    return tasks[0].result()


async def _cancelled(tasks: set[asyncio.Task[Reply | Failure]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _named(error: Exception, backend: Concurrent) -> SimengineError:
    if isinstance(error, SimengineError):
        return error
    named = RunError(f"language: {type(error).__name__} in {type(backend).__name__}: {error}")
    named.__cause__ = error
    return named


def _fatal(answer: Failure, call: Call) -> RunError:
    begins = call.request.messages[-1].text[:80] if call.request.messages else ""
    advice = {
        "quota": "the account's quota is spent; all answers are recorded: resume when there is more",
        "authentication": "the server refuses the credentials",
        "unknown_model": "the server does not have this model",
        "invalid": f"the server cannot read the request of {call.label} (begins {begins!r})",
    }[answer.kind]
    status = f" (status {answer.status})" if answer.status else ""
    return RunError(f"{advice}{status}: {answer.message}")
