"""How many runs are given out at once: so many that a task takes about a second, fewer towards the end."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.int64]
"""Runs by point and replicate, shape (runs, 2)."""

WORTH_SECONDS = 1.5
"""Of work in a task: far more than it costs to give it out, far less than anybody minds to lose."""

LEAST_SECONDS = 0.1
"""Of work in a task towards the end, when the workers that are left share what is left."""

MOST_RUNS = 20_000
MOST_BYTES = 1 << 26
GROWTH = 4
"""By how much a task may have more runs than those done before: later runs may be longer."""

SHARES = 2
"""Into how many tasks for each worker the rest is divided, so that all workers end together."""


class Portions:
    """The runs still to be done, given out piece by piece in their order.

    Parameters
    ----------
    keys
        The runs, shape (runs, 2): point, replicate.
    workers
        How many work at once.
    """

    def __init__(self, keys: Keys, workers: int = 1) -> None:
        self._keys = keys
        self._next = 0
        self._again: deque[Keys] = deque()
        self.workers = workers
        self.seconds_per_run = 0.0
        self.bytes_per_run = 1.0
        self._largest_done = 0

    def __len__(self) -> int:
        return len(self._keys) - self._next + sum(map(len, self._again))

    @property
    def seconds(self) -> float:
        """How long one worker would take for the rest, 0 before anything is known."""
        return len(self) * self.seconds_per_run

    def take(self) -> Keys | None:
        """Return the next runs to do, ``None`` when all are given out."""
        if self._again:
            return self._again.popleft()
        return self._slice(self._size())

    def take_at_most(self, most: int) -> Keys | None:
        """Return the next runs to do for who gives back what takes too long: at most so many."""
        if self._again:
            keys = self._again.popleft()
            self.back(keys[most:])
            return keys[:most]
        return self._slice(max(1, min(most, int(MOST_BYTES / self.bytes_per_run))))

    def back(self, keys: Keys) -> None:
        """Take runs back that were given out but not done; they are given out first, as they are."""
        if len(keys):
            self._again.append(keys)

    def untouched(self, keys: Keys) -> None:
        """Take back the last of the runs that were just taken; what they are worth as a task is seen anew."""
        if self._next and len(keys) and keys[-1].tolist() == self._keys[self._next - 1].tolist():
            self._next -= len(keys)
        else:
            self.back(keys)

    def learn(self, runs: int, seconds: float, size: float = 0.0) -> None:
        """Learn how long runs took, and how many bytes their values have."""
        if not runs:
            return
        each = seconds / runs
        # Where the parameters change the cost of a run, the last ones say most about the next.
        self.seconds_per_run = each if not self.seconds_per_run else (self.seconds_per_run + each) / 2
        self.bytes_per_run = max(self.bytes_per_run, size / runs)
        self._largest_done = max(self._largest_done, runs)

    def _slice(self, size: int) -> Keys | None:
        first = self._next
        self._next = min(first + size, len(self._keys))
        return self._keys[first : self._next] if self._next > first else None

    def _size(self) -> int:
        if not self._largest_done:
            return 1
        each = max(self.seconds_per_run, 1e-9)
        shared = max((len(self._keys) - self._next) / (SHARES * self.workers), LEAST_SECONDS / each)
        limits = (WORTH_SECONDS / each, shared, GROWTH * self._largest_done, MOST_BYTES / self.bytes_per_run, MOST_RUNS)
        return max(1, int(min(limits)))
