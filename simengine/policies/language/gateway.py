"""Everything between a decision and a backend: one way for all calls of a run.

In this order: requests with equal keys become one call; what the record or a shared cache knows is not sent; the budget
is asked for the rest; limits, retries, breaker and hedge stand around the backend (`Dispatcher`); an answer is in the
record before anybody sees it. Answers come back in the order of requests, so that neither the number of connections
nor the order of arrival can show in a result.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import urlsplit

from simengine.errors import InputError, RunError, SimengineError
from simengine.policies.language.backends.replay import Replay
from simengine.policies.language.batches import Batches, concurrent
from simengine.policies.language.calls import Backend, Failure, Reply, Request, Usage
from simengine.policies.language.dispatch import Call, Dispatcher
from simengine.policies.language.entries import Entry, stored_request, texts_of
from simengine.policies.language.limits import Limits
from simengine.policies.language.record import Record
from simengine.policies.language.retries import Retries
from simengine.policies.language.spending import (
    Budget,
    Ledger,
    Prices,
    Spent,
    dearest,
    input_estimate,
    output_ceiling,
)
from simengine.scenario.parameters import shown

CLOSING_SECONDS = 2.0

Source = Literal["network", "cache", "record"]

_OPEN: weakref.WeakSet[Gateway] = weakref.WeakSet()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a request.

    ``fresh``: it was first asked at this step (false: an earlier step's answer is used again); the same in a first,
    a resumed and a replayed run. ``source``: who gave the answer now. ``key``: of the request.
    """

    answer: Reply | Failure
    fresh: bool
    source: Source
    key: str = field(default="", compare=False)


class Pending:
    """Requests under way; `result` waits for them."""

    def __init__(self, gateway: Gateway, places: list[Outcome | Call], step: int) -> None:
        self._gateway, self._places, self._step = gateway, places, step
        self._left = 0
        self._done = threading.Event()
        self._dispatcher: Dispatcher | None = None
        self._error: SimengineError | None = None

    def done(self) -> bool:
        """Whether `result` would return, or raise, at once."""
        return self._done.is_set()

    def result(self) -> list[Outcome]:
        """The outcomes, in the order of the requests.

        Raises
        ------
        RunError
            For what every other call would meet as well (quota, credentials, model, invalid requests, a server that is
            gone), as soon as it is known. Nothing of it is recorded; what was answered is.
        """
        while not self._done.wait(5.0):
            if self._dispatcher is None or not self._dispatcher.alive:
                raise RunError("language: the gateway was closed while calls were under way; their answers are lost")
        if self._error is not None:
            raise self._error
        return [place if isinstance(place, Outcome) else self._outcome(place) for place in self._places]

    def _outcome(self, call: Call) -> Outcome:
        entry: Entry = call.outcome
        return Outcome(entry.answer, entry.step >= self._step, "network", entry.key)


class Gateway:
    """The way to one backend, for all decisions of a run.

    Parameters
    ----------
    backend
        Who answers. A `Replay` is read like a cache, and anything that it lacks is an error.
    record
        The run's record: what is in it is never asked again.
    cache
        A record shared by runs: its replies (no failures) are copied, and new ones are added to it.
    connections
        Calls under way at once, at most; 429s make it fewer for a while.
    limits, retries, budget, prices
        See their classes. A budget in money needs prices.
    hedge_after
        Seconds after which a call without answer is sent a second time (the first reply counts); None: never.
    deadline
        Seconds of attempts after which a call has failed. Waiting for limits or for a server that is gone does not
        count, and backends without coroutines have none.

    Notes
    -----
    Safe to use from several threads. Picklable: a copy, like a forked process, starts its own loop with its first
    call. The backend and the records belong to the caller: `close` leaves them open.
    """

    def __init__(
        self, backend: Backend, record: Record, *, cache: Record | None = None, connections: int = 64,
        limits: Limits | None = None, retries: Retries | None = None, budget: Budget | None = None,
        prices: Prices | None = None, hedge_after: float | None = None, deadline: float = 60.0,
    ) -> None:  # fmt: skip
        if isinstance(connections, bool) or not isinstance(connections, int) or connections < 1:
            raise InputError(f"gateway: connections is {shown(connections)}; allowed is a whole number from 1 up")
        for name, value in (("hedge_after", hedge_after), ("deadline", deadline)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not value > 0):
                raise InputError(f"gateway: {name} is {shown(value)}; allowed is a number of seconds above 0")
        if budget is not None and budget.money is not None and prices is None:
            raise InputError("a budget in money needs prices (Prices(input=..., output=...) per million tokens)")
        self.backend, self.record, self.cache = backend, record, cache
        self.connections, self.limits, self.retries = connections, limits or Limits(), retries or Retries()
        self.budget, self.prices = budget, prices
        self.hedge_after, self.deadline = hedge_after, float(deadline)
        self.model = backend.capabilities().model
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._submitting, self._changing = threading.RLock(), threading.Lock()
        self._under_way: dict[str, Call] = {}
        self._wanted = Spent()
        self._waiting: set[Pending] = set()
        self._dispatcher: Dispatcher | None = None
        self._error: SimengineError | None = None
        self._ledger: Ledger | None = None
        self._introduced = False

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if not name.startswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    def __enter__(self) -> Gateway:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def ledger(self) -> Ledger:
        """What this record's calls to this model have cost, in all parts of the run."""
        if self._ledger is None:
            self._ledger = Ledger.restored(self.record.spent(self.model))
        return self._ledger

    def submit(self, requests: Sequence[Request], *, step: int, label: str, deadline: float | None = None) -> Pending:
        """Send what is not known yet, and return at once.

        Raises
        ------
        BudgetSpent
            When the calls might pass the budget; none of them was sent.
        InputError
            When a replay's record lacks one of the requests.
        """
        if self._process != os.getpid():
            self._begin()
        keys = [request.key(self.model) for request in requests]
        with self._submitting:
            if self._error is not None:
                raise self._error
            first = {key: place for place, key in reversed(list(enumerate(keys)))}
            found: dict[str, Outcome | Call] = dict(self._joined(first, step))
            found |= self._recorded([key for key in first if key not in found], step)
            if missing := {key: place for key, place in first.items() if key not in found}:
                found |= self._copied(missing, requests, step, label)
            new = sorted(place for key, place in first.items() if key not in found)
            calls = [self._call(keys[place], requests[place], step, label, place, deadline) for place in new]
            if calls:
                self._afford(calls)
                found |= {call.key: call for call in calls}
            return self._sent(calls, [found[key] for key in keys], step)

    def close(self, grace: float = CLOSING_SECONDS) -> None:
        """Send nothing more, wait up to ``grace`` seconds for answers under way (they are paid: they are recorded)."""
        if self._process != os.getpid():
            self._begin()
        dispatcher, self._dispatcher = self._dispatcher, None
        if dispatcher is not None:
            dispatcher.close(grace)
            self.limits.close()
            self._release(RunError("language: the gateway was closed while calls were under way"))
            self._under_way.clear()
            self._wanted = Spent()

    def _joined(self, keys: dict[str, int], step: int) -> dict[str, Call]:
        """Calls under way for those of the keys that have one."""
        with self._changing:
            joined = {key: self._under_way[key] for key in keys if key in self._under_way}
            for call in joined.values():
                call.step = min(call.step, step)
        return joined

    def _recorded(self, keys: list[str], step: int) -> dict[str, Outcome]:
        entries = self.record.get(keys, step)
        # Asked later in a run that was taken up again before that: this is now the first time.
        later = [key for key, entry in entries.items() if entry.step > step]
        if later and self.record.database.writable:
            self.record.lower(later, step)
        return {key: Outcome(entry.answer, entry.step >= step, "record", entry.key) for key, entry in entries.items()}

    def _copied(
        self, missing: dict[str, int], requests: Sequence[Request], step: int, label: str
    ) -> dict[str, Outcome]:
        """What a shared cache or a replayed record knows, written to the run's record as asked at this step."""
        known: dict[str, Entry]
        source: Source = "cache"
        if isinstance(self.backend, Replay):
            known, source = self.backend.record.get(list(missing), step), "record"
            if absent := [requests[place] for key, place in missing.items() if key not in known]:
                self.backend.complete(absent)
        elif self.cache is not None:
            replies = self.cache.get(list(missing))
            known = {key: entry for key, entry in replies.items() if isinstance(entry.answer, Reply)}
        else:
            return {}
        copies = []
        for key, entry in known.items():
            texts = texts_of(requests[missing[key]])
            where = (step, label, missing[key])
            copies.append(Entry(key, self.model, entry.answer, *where, entry.request, texts, 0, 0.0, entry.date))
        stored = self._put(copies) if copies else []
        return {entry.key: Outcome(entry.answer, entry.step >= step, source, entry.key) for entry in stored}

    def _entry(
        self, key: str, request: Request, answer: Reply | Failure, step: int, label: str, order: int,
        attempts: int = 0, latency: float = 0.0,
    ) -> Entry:  # fmt: skip
        content, texts = stored_request(request)
        return Entry(key, self.model, answer, step, label, order, content, texts, attempts, latency, time.time())

    def _put(self, entries: list[Entry]) -> list[Entry]:
        if not self._introduced:
            self.record.keep_backend(self.backend.capabilities())
            self._introduced = True
        return self.record.put(entries)

    def _call(self, key: str, request: Request, step: int, label: str, order: int, deadline: float | None) -> Call:
        estimate = input_estimate(request) + output_ceiling(request)
        return Call(key, request, step, label, order, deadline or self.deadline, float(estimate))

    def _afford(self, calls: list[Call]) -> None:
        if self.budget is not None:
            wanted = dearest([call.request for call in calls])
            with self._changing:
                under_way = Spent(**vars(self._wanted))
            self.budget.check(self.ledger, under_way, wanted, self.prices)

    def _sent(self, calls: list[Call], places: list[Outcome | Call], step: int) -> Pending:
        pending = Pending(self, places, step)
        dispatcher = self._started() if calls else self._dispatcher
        pending._dispatcher = dispatcher
        with self._changing:
            self._reserve([call.request for call in calls], 1)
            self._under_way |= {call.key: call for call in calls}
            for call in {id(place): place for place in places if isinstance(place, Call)}.values():
                if call.outcome is None:
                    call.waiters.append(pending)
                    pending._left += 1
            if pending._left:
                self._waiting.add(pending)
            else:
                pending._done.set()
            if self._error is not None and pending._left:
                pending._error = self._error
                pending._done.set()
        if calls and dispatcher is not None:
            # Equal beginnings one after another: servers keep the work of a common prefix.
            dispatcher.send(sorted(calls, key=lambda call: [message.text for message in call.request.messages]))
        return pending

    def _started(self) -> Dispatcher:
        if self._dispatcher is None or not self._dispatcher.alive:
            # What was paid before is counted before more is.
            _ = self.ledger
            served = concurrent(self.backend)
            batches = isinstance(served, Batches)
            # The next batch waits while one is computed.
            enough = 2 * served.size if isinstance(served, Batches) else 1
            certain = batches and self.backend.capabilities().deterministic
            self._dispatcher = Dispatcher(
                served,
                connections=max(self.connections, enough),
                limits=self.limits,
                # What would fail again in the same way is not repeated, and is no outage.
                retries=Retries(attempts=1, rejections=0, failing=2.0) if certain else self.retries,
                hedge_after=None if batches else self.hedge_after,
                journal=self._journal,
                stopped=self._stopped,
                timed=not batches,
                told=lambda: self.backend.capabilities().limits,
            )
            _OPEN.add(self)
        return self._dispatcher

    def _journal(self, calls: Sequence[Call]) -> None:
        """Write answers, then let those who wait have them."""
        entries = []
        for call in calls:
            assert call.answer is not None
            answer = without_address(call.answer, getattr(self.backend, "base_url", ""))
            entries.append(
                self._entry(
                    call.key, call.request, answer, call.step, call.label, call.order, call.attempts, call.latency
                )
            )
        stored = self._put(entries)
        if self.cache is not None:
            self.cache.put([entry for entry in entries if isinstance(entry.answer, Reply)])
        for call, entry in zip(calls, entries, strict=True):
            usage = entry.answer.usage if isinstance(entry.answer, Reply) else Usage()
            self.ledger.add(call.label, call.attempts, usage)
        with self._changing:
            self._reserve([call.request for call in calls], -1)
            for call, entry in zip(calls, stored, strict=True):
                call.outcome = entry
                self._under_way.pop(call.key, None)
                for pending in call.waiters:
                    pending._left -= 1
                    if pending._left == 0:
                        self._waiting.discard(pending)
                        pending._done.set()
                call.waiters.clear()

    def _reserve(self, requests: list[Request], sign: int) -> None:
        if self.budget is not None and requests:
            more = dearest(requests)
            for name in ("calls", "input", "output"):
                setattr(self._wanted, name, getattr(self._wanted, name) + sign * getattr(more, name))

    def _stopped(self, error: SimengineError) -> None:
        self._error = error
        self._release(error)

    def _release(self, error: SimengineError) -> None:
        with self._changing:
            for pending in self._waiting:
                pending._error = error
                pending._done.set()
            self._waiting.clear()


def without_address(answer: Reply | Failure, address: str) -> Reply | Failure:
    """Return an answer as it is recorded: why a call failed, and not where the server was."""
    if isinstance(answer, Reply) or not address:
        return answer
    message = answer.message.replace(address, "the server").replace(urlsplit(address).netloc, "the server")
    return replace(answer, message=message)


@atexit.register
def _close_all() -> None:
    for gateway in list(_OPEN):
        gateway.close(0.0)
