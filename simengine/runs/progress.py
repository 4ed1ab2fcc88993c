"""The progress bar: agent-steps per second and time left, shown only when a run takes longer than a moment."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Any, Self

PATIENCE = 0.5
"""Seconds before the bar appears."""

BETWEEN_UPDATES = 0.25


class Progress:
    """Counts steps; draws a bar on the error stream when that is a terminal or a notebook."""

    def __init__(self, title: str, steps: int, agents: int, shown: bool) -> None:
        self.title, self.steps, self.agents = title, steps, agents
        self.enabled = shown and steps > 0 and (sys.stderr.isatty() or "ipykernel" in sys.modules)
        self._begun = time.monotonic()
        self._before = (self._begun, 0)
        self._rate = 0.0
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def limited(self, step: int, goal: int) -> int:
        """Return the step to run to at once: so near that the bar is drawn and an interrupt is heard in time."""
        chunk = max(1, int(self._rate * BETWEEN_UPDATES)) if self._rate else 16
        return min(goal, step + chunk)

    def update(self, step: int) -> None:
        """Say how far the run is."""
        now = time.monotonic()
        moment, before = self._before
        if step > before and now > moment:
            rate = (step - before) / (now - moment)
            self._rate = rate if not self._rate else 0.7 * self._rate + 0.3 * rate
        self._before = (now, step)
        if self.enabled and self._bar is None and now - self._begun > PATIENCE:
            self._open()
        if self._bar is not None:
            self._bar.update(self._task, completed=step, rate=_readable(self._rate * self.agents))

    def _open(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("steps"),
            TextColumn("{task.fields[rate]} agent-steps/s"), TimeRemainingColumn(), console=Console(stderr=True),
        )  # fmt: skip
        self._task = self._bar.add_task(self.title, total=self.steps, rate="")
        self._bar.start()


class CompileNotice:
    """Says, where a bar may be shown, that a scenario is being compiled when that takes longer than a moment."""

    def __init__(self, shown: bool) -> None:
        enabled = shown and sys.stderr.isatty()
        self._timer = threading.Timer(PATIENCE, self._say) if enabled else None

    def __enter__(self) -> Self:
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()

    @staticmethod
    def _say() -> None:
        print("compiling the scenario; the next run finds it ready", file=sys.stderr)


def _readable(rate: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if rate >= size:
            return f"{rate / size:.1f} {letter}"
    return f"{rate:.0f}"
