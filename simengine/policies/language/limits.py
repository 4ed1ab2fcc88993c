"""How fast calls may be sent: requests and tokens per minute, and pauses that a server asks for.

Everybody who talks to one server shares its limits. The shared part is a small bucket of requests and tokens that
fills steadily; whoever sends takes a *lease* from it, enough for a quarter of a second, so that most calls cost no trip
to the bucket. The bucket lies in this process, in a file that the processes of one machine share, or in a named actor
of a cluster.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from typing import Any

from simengine.errors import InputError
from simengine.policies.language.buckets import Shared, bucket_at
from simengine.scenario.parameters import shown

LEASE_SECONDS = 0.25
LEASE_LIFE = 1.0
WEIGHT_OF_NEWS = 0.05

_INHERITED: list[Shared | None] = []
"""Buckets of a parent process, which are its to close."""


class Limits:
    """Requests and tokens per minute, shared by all who hold this object or name the same ``shared`` place.

    Parameters
    ----------
    requests_per_minute, tokens_per_minute
        None: no bound. In no minute are more requests sent than this; tokens are reserved by an estimate that learns
        from the usage that servers report, and settled when it is known.
    shared
        Nothing: this process alone. A path: a small file for the processes of one machine. ``"ray:NAME"``: an actor of
        that name in the cluster.

    Notes
    -----
    Picklable; copies in other processes share only through ``shared``. Limits never change what is answered, only when.
    """

    def __init__(
        self,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        shared: str | os.PathLike[str] | None = None,
    ) -> None:
        for name, value in (("requests_per_minute", requests_per_minute), ("tokens_per_minute", tokens_per_minute)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not value > 0):
                raise InputError(f"limits: {name} is {shown(value)}; allowed is a number above 0, or None for no limit")
        self.requests_per_minute, self.tokens_per_minute = requests_per_minute, tokens_per_minute
        self.shared = None if shared is None else os.fspath(shared)
        self._begin()

    def _begin(self) -> None:
        self._process, self._lock = os.getpid(), threading.Lock()
        self._bucket: Shared | None = None
        self._requests = self._tokens = 0.0
        self._taken_until = self._paused_until = 0.0
        self._ratio = 1.0
        self._told: tuple[float | None, float | None] = (None, None)

    def __getstate__(self) -> dict[str, Any]:
        named = ("requests_per_minute", "tokens_per_minute", "shared")
        return {name: getattr(self, name) for name in named}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    def __repr__(self) -> str:
        return f"Limits({self.requests_per_minute}, {self.tokens_per_minute}, shared={self.shared!r})"

    def estimate(self, tokens: float) -> float:
        """The tokens that a call estimated at ``tokens`` will likely take, from what earlier ones took."""
        return tokens * self._ratio

    def reserve(self, tokens: float) -> float:
        """Take room for one call of about ``tokens`` tokens: 0 when it may go, else the seconds to wait."""
        now = time.time()
        if self._process != os.getpid():
            _INHERITED.append(self._bucket)
            self._begin()
        with self._lock:
            if now < self._paused_until:
                return self._paused_until - now
            if now >= self._taken_until or self._requests < 1 or self._tokens <= 0:
                wait = self._lease(now, tokens)
                if wait > 0:
                    return wait
            self._requests -= 1
            self._tokens -= tokens
            return 0.0

    def settle(self, reserved: float, used: float) -> None:
        """Give back what a call did not use of its reservation, or take what it used beyond."""
        with self._lock:
            self._tokens += reserved - used

    def learn(self, estimated: float, used: float) -> None:
        """Let a call's true tokens mend the estimates."""
        if estimated > 0 and used > 0:
            news = min(max(used / estimated, 0.05), 20.0)
            self._ratio += WEIGHT_OF_NEWS * (news - self._ratio)

    def pause(self, seconds: float) -> None:
        """Let nobody send for a while (the longest pause counts)."""
        until = time.time() + seconds
        with self._lock:
            if until > self._paused_until:
                self._paused_until = until
                if self.shared is not None:
                    self._shared().pause(seconds)

    def told(self, said: Mapping[str, float]) -> None:
        """Take over the requests and tokens per minute that a server's headers tell, where they are lower.

        ``said`` has "limit_requests" and "limit_tokens"; what remains of them is not needed, since this object counts
        for itself and a refused call says how long to wait.
        """
        told = (said.get("limit_requests") or None, said.get("limit_tokens") or None)
        if told != self._told:
            with self._lock:
                self._told = told
                self._taken_until = 0.0
                self._requests, self._tokens = (
                    0.0 if left == float("inf") else left for left in (self._requests, self._tokens)
                )

    def close(self) -> None:
        """Give the rest of the lease back to those who share the bucket."""
        if self._process == os.getpid() and self._bucket is not None:
            with self._lock:
                self._bucket.give_back(max(self._requests, 0.0), max(self._tokens, 0.0))
                self._requests = self._tokens = self._taken_until = 0.0
                if self.shared is not None:
                    self._bucket.close()
                    self._bucket = None

    def _shared(self) -> Shared:
        if self._bucket is None:
            self._bucket = bucket_at(self.shared)
        return self._bucket

    def _lease(self, now: float, tokens: float) -> float:
        """Exchange what is left for a new lease; 0 when it has room for a call of ``tokens``, else seconds to wait."""
        rates = (
            _lower(self.requests_per_minute, self._told[0]),
            _lower(self.tokens_per_minute, self._told[1]),
        )
        if rates == (None, None) and self.shared is None:
            self._requests = self._tokens = self._taken_until = float("inf")
            return 0.0
        lease = self._shared().take(rates, (self._requests, self._tokens), tokens, LEASE_SECONDS)
        self._requests, self._tokens = lease.requests, lease.tokens
        if lease.pause > 0:
            self._paused_until = now + lease.pause
            return lease.pause
        if lease.wait > 0:
            return lease.wait
        # Without rates of its own it still looks for pauses that others were asked for.
        self._taken_until = now + (LEASE_SECONDS if rates == (None, None) else LEASE_LIFE)
        return 0.0


def _lower(own: float | None, told: float | None) -> float | None:
    return told if own is None else own if told is None else min(own, told)
