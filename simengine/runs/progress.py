"""Progress of a run: agent-steps per second and time left, shown only when a run takes longer than a moment.

What is shown has two faces: a bar on the error stream when that is a terminal, and one line in a notebook, which needs
no widgets. Elsewhere nothing is shown.
"""

from __future__ import annotations

import contextvars
import html
import importlib
import math
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

PATIENCE = 0.5
"""Seconds before anything is shown."""

BETWEEN_UPDATES = 0.25
FIRST_CHUNK = 16
SMOOTHING = 0.3
"""Weight of the newest of the measured speeds."""

LEAST_TIME = 1e-9
TEXT_BAR_WIDTH = 20


@dataclass(frozen=True)
class Standing:
    """How far a run is: ``steps`` is ``None`` when nobody knows how many there will be.

    ``rate`` is in steps per second, at the end the mean of the whole run; ``elapsed`` is in seconds; ``outcome`` is
    empty while the run goes on.
    """

    title: str
    step: int
    steps: int | None
    agents: int
    rate: float
    elapsed: float
    outcome: str = ""

    @property
    def count(self) -> str:
        """The steps taken, and those there will be where that is known."""
        return f"{self.step} steps" if self.steps is None else f"{self.step}/{self.steps} steps"

    @property
    def speed(self) -> str:
        """Agent-steps per second, empty before it is known."""
        return f"{readable(self.rate * self.agents)} agent-steps/s" if self.rate else ""

    @property
    def ending(self) -> str:
        """How the run ended and how long it took; before that, the time left where it is known."""
        if self.outcome:
            return f"{self.outcome}, {clock(self.elapsed)}"
        if self.steps is None or not self.rate:
            return ""
        return f"{clock((self.steps - self.step) / self.rate)} left"

    @property
    def bar(self) -> str:
        """A bar in plain characters, empty when the number of steps is not known."""
        if self.steps is None:
            return ""
        done = TEXT_BAR_WIDTH * min(self.step, self.steps) // max(self.steps, 1)
        return f"[{'#' * done}{'.' * (TEXT_BAR_WIDTH - done)}]"

    def line(self) -> str:
        """Everything in one line of plain text."""
        return "  ".join(part for part in (self.title, self.bar, self.count, self.speed, self.ending) if part)


class Face(Protocol):
    """Somewhere to show a standing: first when it is made, then again and again, last with an outcome."""

    def show(self, standing: Standing) -> None:
        """Show it in place of the one before."""

    def end(self, standing: Standing) -> None:
        """Show the last one and leave it there."""


class TerminalFace:
    """A bar of rich on the error stream."""

    def __init__(self, standing: Standing) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn

        columns: list[ProgressColumn] = [TextColumn("{task.description}", markup=False)]
        if standing.steps is not None:
            columns.append(BarColumn())
        columns += [TextColumn(f"{{task.fields[{name}]}}") for name in ("count", "speed", "ending")]
        self._bar = Progress(*columns, console=Console(stderr=True), redirect_stdout=False)
        self._task = self._bar.add_task(
            standing.title, total=standing.steps, completed=standing.step, **self._fields(standing)
        )
        self._bar.start()

    def show(self, standing: Standing) -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=standing.step, **self._fields(standing))

    def end(self, standing: Standing) -> None:
        """Leave the bar as it is, with the outcome beside it."""
        self.show(standing)
        self._bar.stop()

    @staticmethod
    def _fields(standing: Standing) -> dict[str, Any]:
        return {"count": standing.count, "speed": standing.speed, "ending": standing.ending}


class NotebookFace:
    """One line of a notebook's output, kept up to date; as text where a front end shows no HTML."""

    def __init__(self, standing: Standing) -> None:
        self._line = NotebookLine(*self._texts(standing))

    def show(self, standing: Standing) -> None:
        """Write the line anew."""
        self._line.update(*self._texts(standing))

    def end(self, standing: Standing) -> None:
        """Write the line for the last time."""
        self.show(standing)

    @staticmethod
    def _texts(standing: Standing) -> tuple[str, str]:
        parts = [
            html.escape(part) for part in (standing.title, standing.count, standing.speed, standing.ending) if part
        ]
        if standing.steps is not None:
            parts.insert(1, f'<progress value="{standing.step}" max="{standing.steps}"></progress>')
        return standing.line(), "&emsp;".join(parts)


class NotebookLine:
    """An output of a notebook's cell that can be replaced."""

    def __init__(self, text: str, markup: str) -> None:
        self._display: Any = importlib.import_module("IPython.display").display
        self._id = uuid.uuid4().hex
        self._display(_bundle(text, markup), raw=True, display_id=self._id)

    def update(self, text: str, markup: str) -> None:
        """Replace what is shown."""
        self._display(_bundle(text, markup), raw=True, display_id=self._id, update=True)


def _bundle(text: str, markup: str) -> dict[str, str]:
    return {"text/plain": text, "text/html": f'<div style="white-space: nowrap">{markup}</div>'}


def in_notebook() -> bool:
    """Whether this code runs in a cell of a notebook."""
    if "ipykernel" not in sys.modules:
        return False
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


def in_terminal() -> bool:
    """Whether the error stream is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def _face() -> Callable[[Standing], Face] | None:
    if in_notebook():
        return NotebookFace
    return TerminalFace if in_terminal() else None


class Progress:
    """Counts steps and shows how far a run is, ``with Progress(...) as bar``.

    Parameters
    ----------
    title
        What runs.
    steps
        How many steps there are at most; ``None`` when that is not known: then they are counted.
    agents
        Number of agents, for the speed.
    shown
        Whether to show anything at all.
    """

    def __init__(self, title: str, steps: int | None, agents: int, shown: bool) -> None:
        self.title, self.steps, self.agents = title, steps, agents
        wanted = _face() if shown and (steps is None or steps > 0) else None
        self.enabled = wanted is not None
        self._make_face = wanted
        self._face: Face | None = None
        self._begun = time.monotonic()
        self._first: tuple[float, int] | None = None
        self._before: tuple[float, int] | None = None
        self._shown_at = -math.inf
        self._step = 0
        self._rate = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._face is None:
            return
        if kind is None:
            outcome = "done" if self.steps is None or self._step >= self.steps else "stopped"
        else:
            outcome = "interrupted" if issubclass(kind, KeyboardInterrupt) else "failed"
        if self._first is not None:
            moment, first = self._first
            self._rate = (self._step - first) / max(time.monotonic() - moment, LEAST_TIME)
        self._face.end(self._standing(outcome))

    def limited(self, step: int, goal: int) -> int:
        """Return the step to run to at once: so near that the bar is drawn and an interrupt is heard in time."""
        chunk = max(1, int(self._rate * BETWEEN_UPDATES)) if self._rate else FIRST_CHUNK
        return min(goal, step + chunk)

    def update(self, step: int) -> None:
        """Say how far the run is."""
        now = time.monotonic()
        if self._first is None or self._before is None:
            self._first = self._before = (now, step)
        moment, before = self._before
        if step > before and now > moment:
            rate = (step - before) / (now - moment)
            self._rate = rate if not self._rate else (1.0 - SMOOTHING) * self._rate + SMOOTHING * rate
        self._before = (now, step)
        self._step = step
        if self._make_face is None or now - self._begun <= PATIENCE or now - self._shown_at < BETWEEN_UPDATES:
            return
        self._shown_at = now
        if self._face is None:
            self._face = self._make_face(self._standing())
        else:
            self._face.show(self._standing())

    def _standing(self, outcome: str = "") -> Standing:
        elapsed = time.monotonic() - self._begun
        return Standing(self.title, self._step, self.steps, self.agents, self._rate, elapsed, outcome)


class CompileNotice:
    """Says, where a bar may be shown, that a scenario is being compiled when that takes longer than a moment."""

    TEXT = "compiling the scenario; the next run finds it ready"

    def __init__(self, shown: bool) -> None:
        self._timer: threading.Timer | None = None
        self._line: NotebookLine | None = None
        self._begun = time.monotonic()
        say = None
        if shown and in_notebook():
            say = self._say_in_notebook
        elif shown and in_terminal():
            say = self._say
        if say is not None:
            # In the caller's context, from which a notebook knows the cell that the line belongs to.
            self._timer = threading.Timer(PATIENCE, contextvars.copy_context().run, (say,))

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
            self._timer.join()
        if self._line is not None:
            text = f"{'compiled' if kind is None else 'not compiled'}, {clock(time.monotonic() - self._begun)}"
            self._line.update(text, html.escape(text))

    def _say(self) -> None:
        print(self.TEXT, file=sys.stderr)

    def _say_in_notebook(self) -> None:
        self._line = NotebookLine(self.TEXT, html.escape(self.TEXT))


def readable(rate: float) -> str:
    """Return a number per second with the usual letter for its size."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if rate >= size:
            return f"{rate / size:.1f} {letter}"
    return f"{rate:.0f}"


def clock(seconds: float) -> str:
    """Return a duration as minutes and seconds, with hours where there are any: ``0:07``, ``2:03:20``."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minutes}:{second:02}"
