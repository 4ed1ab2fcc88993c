"""The shared part of a limit: a bucket of requests and tokens that fills steadily, and where it lies."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from simengine.errors import InputError, StoreError

Pair = tuple[float | None, float | None]

FULL_SECONDS = 0.5
"""What a bucket holds at most, in seconds of its rate."""

SHARE_FILLED = 0.95
"""The rate at which it fills: a full bucket and leases not yet used are then never beyond a minute's allowance."""


@dataclass(frozen=True)
class Lease:
    """What was granted: requests and tokens; or the seconds to wait; or the seconds that a pause still lasts."""

    wait: float
    requests: float
    tokens: float
    pause: float


class Shared(Protocol):
    """A bucket, wherever it lies."""

    def take(self, rates: Pair, left: tuple[float, float], tokens: float, seconds: float) -> Lease:
        """Give back what is ``left`` of a lease and take one for ``seconds`` with room for a call of ``tokens``."""

    def give_back(self, requests: float, tokens: float) -> None:
        """Return the rest of a lease."""

    def pause(self, seconds: float) -> None:
        """Grant nothing for a while."""

    def close(self) -> None:
        """Leave it."""


@dataclass
class Level:
    """What is in a bucket at a time; ``paused`` until when it grants nothing. None: full."""

    requests: float | None = None
    tokens: float | None = None
    time: float = 0.0
    paused: float = 0.0

    def take(self, now: float, rates: Pair, left: tuple[float, float], tokens: float, seconds: float) -> Lease:
        """As `Shared.take`, at time ``now``. Tokens may fall below zero by one call, which is filled up later."""
        passed = max(0.0, now - self.time)
        self.time = max(self.time, now)
        self.requests, short_of_requests, requests = _drawn(self.requests, rates[0], left[0], 1.0, passed, seconds)
        self.tokens, short_of_tokens, granted = _drawn(self.tokens, rates[1], left[1], tokens, passed, seconds)
        pause = max(0.0, self.paused - now)
        wait = max(short_of_requests, short_of_tokens)
        if wait > 0 or pause > 0:
            return Lease(wait, 0.0, 0.0, pause)
        whole = requests if rates[0] is None else max(1.0, float(int(requests)))
        if rates[0] is not None:
            self.requests = (self.requests or 0.0) - whole
        if rates[1] is not None:
            self.tokens = (self.tokens or 0.0) - granted
        return Lease(0.0, whole, granted, 0.0)

    def give_back(self, requests: float, tokens: float) -> None:
        """As `Shared.give_back`."""
        if self.requests is not None and requests < float("inf"):
            self.requests += requests
        if self.tokens is not None and tokens < float("inf"):
            self.tokens += tokens


def _drawn(
    level: float | None, per_minute: float | None, left: float, need: float, passed: float, seconds: float
) -> tuple[float | None, float, float]:
    """The level after filling, the seconds until ``need`` is there, and what may be drawn for ``seconds``."""
    if per_minute is None:
        return level, 0.0, float("inf")
    full = max(1.0, per_minute / 60 * FULL_SECONDS)
    fills = max(per_minute / 2, min(per_minute * SHARE_FILLED, per_minute - 1)) / 60
    given_back = left if left < float("inf") else 0.0
    level = full if level is None else min(full, level + given_back + passed * fills)
    short = min(need, full) - level
    # Rounding may leave a level a hair below what was waited for.
    wait = short / fills if short > 1e-9 else 0.0
    return level, wait, max(need, min(level, per_minute / 60 * seconds))


class Bucket:
    """A bucket in this process (or, as an actor, in one of a cluster)."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.level, self.clock, self._lock = Level(), clock, threading.Lock()

    def take(self, rates: Pair, left: tuple[float, float], tokens: float, seconds: float) -> Lease:
        """As `Shared.take`."""
        with self._lock:
            return self.level.take(self.clock(), rates, left, tokens, seconds)

    def give_back(self, requests: float, tokens: float) -> None:
        """As `Shared.give_back`."""
        with self._lock:
            self.level.give_back(requests, tokens)

    def pause(self, seconds: float) -> None:
        """As `Shared.pause`."""
        with self._lock:
            self.level.paused = max(self.level.paused, self.clock() + seconds)

    def close(self) -> None:
        """Nothing is held."""


class FileBucket:
    """A bucket in a small file that the processes of one machine share."""

    def __init__(self, path: str) -> None:
        self.path = path
        if not Path(path).resolve().parent.is_dir():
            raise InputError(f"limits: there is no folder {Path(path).parent} for the shared file {path}")
        try:
            self._connection = sqlite3.connect(path, timeout=30.0, isolation_level=None, check_same_thread=False)
            # Losing it costs nobody anything: a bucket that is gone is a full one.
            self._connection.execute("PRAGMA synchronous = OFF")
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS bucket"
                " (id INTEGER PRIMARY KEY, requests REAL, tokens REAL, time REAL, paused REAL)"
            )
            self._connection.execute("INSERT OR IGNORE INTO bucket VALUES (1, NULL, NULL, 0, 0)")
        except sqlite3.Error as error:
            raise StoreError(f"limits: the shared file {path}: {error}") from error

    def _change(self, change: Callable[[Level], Any]) -> Any:
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                row = connection.execute("SELECT requests, tokens, time, paused FROM bucket").fetchone()
                level = Level(*row)
                found = change(level)
                values = (level.requests, level.tokens, level.time, level.paused)
                connection.execute("UPDATE bucket SET requests = ?, tokens = ?, time = ?, paused = ?", values)
            finally:
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise StoreError(f"limits: the shared file {self.path}: {error}") from error
        return found

    def take(self, rates: Pair, left: tuple[float, float], tokens: float, seconds: float) -> Lease:
        """As `Shared.take`."""
        lease: Lease = self._change(lambda level: level.take(time.time(), rates, left, tokens, seconds))
        return lease

    def give_back(self, requests: float, tokens: float) -> None:
        """As `Shared.give_back`."""
        self._change(lambda level: level.give_back(requests, tokens))

    def pause(self, seconds: float) -> None:
        """As `Shared.pause`."""

        def later(level: Level) -> None:
            level.paused = max(level.paused, time.time() + seconds)

        self._change(later)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class ActorBucket:
    """A bucket in a named actor of the cluster that this process belongs to."""

    def __init__(self, name: str) -> None:
        import ray

        if not ray.is_initialized():
            raise InputError(f"limits: shared='ray:{name}' needs a process that is part of a Ray cluster (ray.init())")
        self._get = ray.get
        self._actor: Any = ray.remote(Bucket).options(name=name, get_if_exists=True, num_cpus=0).remote()

    def take(self, rates: Pair, left: tuple[float, float], tokens: float, seconds: float) -> Lease:
        """As `Shared.take`."""
        lease: Lease = self._get(self._actor.take.remote(rates, left, tokens, seconds))
        return lease

    def give_back(self, requests: float, tokens: float) -> None:
        """As `Shared.give_back`."""
        self._actor.give_back.remote(requests, tokens)

    def pause(self, seconds: float) -> None:
        """As `Shared.pause`."""
        self._actor.pause.remote(seconds)

    def close(self) -> None:
        """Nothing is held."""


def bucket_at(shared: str | None) -> Shared:
    """The bucket of a place: None (this process), a path, or ``ray:NAME``."""
    if shared is None:
        return Bucket()
    return ActorBucket(shared.removeprefix("ray:")) if shared.startswith("ray:") else FileBucket(shared)
