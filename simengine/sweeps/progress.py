"""Progress of a sweep: runs done, runs per second, time left, failures; shown where a run's progress is shown."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

from simengine.runs.progress import Progress, Standing, clock, readable

RECENT_SECONDS = 20.0
"""How far the speed looks back: workers report batches at odd moments."""

SPACING_SECONDS = 0.2


@dataclass(frozen=True)
class SweepStanding(Standing):
    """How far a sweep is: a step is a run of it; ``runs`` are those that this call is to do, where it is known."""

    failures: int = 0

    @property
    def count(self) -> str:
        """The runs done, and those there will be where that is known."""
        runs = f"{self.step:,} runs" if self.steps is None else f"{self.step:,}/{self.steps:,} runs"
        return f"{runs}, {self.failures:,} failed" if self.failures else runs

    @property
    def speed(self) -> str:
        """Runs per second; per minute or hour where they are long; empty before it is known."""
        if not self.rate:
            return ""
        for seconds, name in ((1.0, "s"), (60.0, "min")):
            if self.rate * seconds >= 1:
                return f"{readable(self.rate * seconds)} runs/{name}"
        return f"{self.rate * 3600:.2g} runs/h"

    @property
    def ending(self) -> str:
        """How the sweep ended and how long it took; before that, the time left where it is known."""
        if self.outcome:
            return f"{self.outcome}, {clock(self.elapsed)}"
        return super().ending


class SweepProgress(Progress):
    """Shows how far a sweep is, ``with SweepProgress(...) as bar``.

    Parameters
    ----------
    title
        What runs.
    runs
        How many runs there will be; ``None`` when nobody knows (an adaptive design).
    done
        How many of them were done before.
    shown
        Whether to show anything at all.
    """

    def __init__(self, title: str, runs: int | None, done: int, shown: bool) -> None:
        super().__init__(title, runs, 1, shown)
        self.failures = 0
        self._recent: deque[tuple[float, int]] = deque()
        self.update(done)

    def add(self, runs: int, failures: int) -> None:
        """Count runs that are done, and those of them that failed."""
        self.failures += failures
        now, step = time.monotonic(), self._step + runs
        if not self._recent:
            # Compiling and the start of workers, before the first runs, say nothing of the others.
            self._first = None
        else:
            self._before = self._recent[0]
        if not self._recent or now - self._recent[-1][0] >= SPACING_SECONDS:
            self._recent.append((now, step))
        while len(self._recent) > 1 and now - self._recent[0][0] > RECENT_SECONDS:
            self._recent.popleft()
        self.update(step)

    def _standing(self, outcome: str = "") -> Standing:
        standing = super()._standing(outcome)
        return SweepStanding(
            standing.title, standing.step, standing.steps, standing.agents, standing.rate, standing.elapsed,
            standing.outcome, self.failures,
        )  # fmt: skip
