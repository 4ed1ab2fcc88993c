"""When a call that failed is sent again: back-off with full jitter, a retry budget, and a breaker.

Three kinds of trouble are told apart. A *rejection* (429) says that the server is well and busy: it is repeated when
the limiter lets it, and does not count as a retry. An *isolated* failure (a reset, a 500, no answer in time) is
repeated a few times, and all repetitions together stay a small share of the calls, so that they cannot multiply a
server's load. When most calls fail, the *breaker* opens: nobody sends, one call after another probes whether the server
is back, and no call is given up for an outage that is not its own.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass

from simengine.errors import InputError
from simengine.scenario.parameters import shown


@dataclass(frozen=True)
class Retries:
    """How often and how soon.

    Parameters
    ----------
    attempts
        Times that one call is sent at most, for failures of its own.
    share, spare
        All retries and hedges stay below ``spare + share * calls``.
    rejections
        Times that one call may be turned away by a rate limit before it counts as failed.
    base, longest
        Back-off in seconds before the n-th retry: uniform on 0 to ``min(longest, base * 2**(n - 1))``.
    window, failing
        The breaker opens when at least ``failing`` (a share) of the last ``window`` attempts failed.
    cooldown
        Seconds before the first probe of an open breaker; doubles with each probe that fails, up to ``longest``.
    patience
        Seconds of an outage, or that a server asks to wait, after which the run stops (and can be resumed).
    """

    attempts: int = 4
    share: float = 0.1
    spare: int = 16
    rejections: int = 16
    base: float = 0.5
    longest: float = 30.0
    window: int = 20
    failing: float = 0.5
    cooldown: float = 1.0
    patience: float = 600.0

    def __post_init__(self) -> None:
        lowest = {"attempts": 1, "rejections": 0, "spare": 0, "window": 1, "share": 0.0, "base": 0.0, "failing": 1e-9,
                  "longest": 0.0, "cooldown": 0.0, "patience": 0.0}  # fmt: skip
        for name, low in lowest.items():
            value = getattr(self, name)
            kind = int if isinstance(low, int) else (int, float)
            if isinstance(value, bool) or not isinstance(value, kind) or not value >= low:
                what = "a whole number" if kind is int else "a number"
                raise InputError(f"retries: {name} is {shown(value)}; allowed is {what} from {low:g} up")

    def backoff(self, number: int, jitter: random.Random) -> float:
        """Seconds before the ``number``-th repetition (from 1)."""
        ceiling: float = min(self.longest, self.base * 2.0 ** min(number - 1, 60))
        return jitter.uniform(0.0, ceiling)


class RetryBudget:
    """Counts calls and repetitions, and says whether one more may be."""

    def __init__(self, retries: Retries) -> None:
        self.retries, self.calls, self.spent = retries, 0, 0

    def spend(self) -> bool:
        """Take one repetition, if the budget has it."""
        if self.spent >= self.retries.spare + self.retries.share * self.calls:
            return False
        self.spent += 1
        return True


class Breaker:
    """Open while most attempts fail; then one at a time is let through."""

    def __init__(self, retries: Retries) -> None:
        self.retries = retries
        self.outcomes: deque[bool] = deque(maxlen=retries.window)
        self.opened: float | None = None
        self.probing = False
        self._probe_at, self._cooldown = 0.0, retries.cooldown

    @property
    def open(self) -> bool:
        """Whether calls wait."""
        return self.opened is not None

    def wait(self, now: float) -> float:
        """Seconds until an attempt may start: 0 now, infinity while a probe is under way."""
        if self.opened is None:
            return 0.0
        return float("inf") if self.probing else max(0.0, self._probe_at - now)

    def start(self) -> bool:
        """An attempt starts; whether it is the probe."""
        if self.opened is None:
            return False
        self.probing = True
        return True

    def succeeded(self) -> None:
        """An attempt was answered: whatever the answer, the server is there."""
        self.outcomes.append(True)
        if self.opened is not None:
            self.opened, self.probing, self._cooldown = None, False, self.retries.cooldown
            self.outcomes.clear()

    def failed(self, now: float, probe: bool) -> float:
        """An attempt failed; for how many seconds the outage has lasted (0: there is none)."""
        self.outcomes.append(False)
        if self.opened is None:
            failures = len(self.outcomes) - sum(self.outcomes)
            if failures < self.retries.failing * self.retries.window:
                return 0.0
            self.opened, self._probe_at = now, now + self._cooldown
        elif probe:
            self.probing = False
            self._cooldown = min(self.retries.longest, max(self._cooldown * 2, self.retries.cooldown))
            self._probe_at = now + self._cooldown
        return max(now - self.opened, 1e-9)

    def gave_up(self, probe: bool) -> None:
        """An attempt ended without saying anything about the server (it was turned away, or cancelled)."""
        if probe:
            self.probing = False
