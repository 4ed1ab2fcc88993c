from __future__ import annotations

import io
import re
import sys
import time
from contextlib import suppress
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from simengine.runs import progress
from simengine.runs.progress import CompileNotice, Progress, Standing, clock


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", -1.0)
    monkeypatch.setattr(progress, "BETWEEN_UPDATES", 0.0)


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Make the error stream a terminal; not in a fixture, after which pytest would set a stream of its own."""
    made = Terminal()
    monkeypatch.setattr(sys, "stderr", made)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return made


def last_line(stream: Terminal) -> str:
    """What stays in the terminal: the text after the last return to the beginning of the line."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue()).rstrip().rpartition("\r")[2]


class Cell(list[tuple[str, dict[str, str]]]):
    """The outputs of a cell: what was displayed and what it was replaced by."""

    def display(self, shown: dict[str, str], *, raw: bool, display_id: str, update: bool = False) -> None:
        assert raw
        assert update == any(known == display_id for known, _ in self)
        self.append((display_id, shown))


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch, impatient: None) -> Cell:
    outputs = Cell()
    ipython: Any = ModuleType("IPython")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())
    display: Any = ModuleType("IPython.display")
    display.display = outputs.display
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return outputs


def drive(bar: Progress, until: int, first: int = 0) -> None:
    """Use a bar as the loop of a run does."""
    step = first
    bar.update(step)
    while step < until:
        step = bar.limited(step, until)
        time.sleep(0.001)
        bar.update(step)


def test_nothing_is_shown_when_the_error_stream_is_no_terminal(monkeypatch, impatient):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with Progress("Model", 100, 10, True) as bar:
        drive(bar, 100)
    assert not bar.enabled
    assert sys.stderr.getvalue() == ""


def test_nothing_is_shown_unless_it_is_wanted(monkeypatch, impatient):
    stream = terminal(monkeypatch)
    with Progress("Model", 100, 10, False) as bar:
        drive(bar, 100)
    assert stream.getvalue() == ""


def test_a_program_without_an_error_stream_runs(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with Progress("Model", 10, 10, True) as bar, CompileNotice(True):
        drive(bar, 10)
    assert not bar.enabled


def test_a_short_run_shows_nothing(monkeypatch):
    stream = terminal(monkeypatch)
    monkeypatch.setattr(progress, "PATIENCE", 1000.0)
    with Progress("Model", 10, 10, True) as bar, CompileNotice(True):
        drive(bar, 10)
    assert stream.getvalue() == ""


def test_a_bar_in_a_terminal_ends_with_all_steps_and_an_outcome(monkeypatch, impatient):
    stream = terminal(monkeypatch)
    with Progress("[Model]", 100, 10, True) as bar:
        drive(bar, 100)
    shown = last_line(stream)
    for part in ("[Model]", "100/100 steps", "agent-steps/s", "done, 0:0"):
        assert part in shown


def test_a_notebook_shows_one_line_that_is_kept_up_to_date(cell):
    with Progress("Model <b>", 200, 10, True) as bar:
        drive(bar, 200)
    assert len({known for known, _ in cell}) == 1
    assert len(cell) > 2
    early, last = cell[1][1], cell[-1][1]
    assert "/200 steps" in early["text/plain"]
    assert "agent-steps/s" in early["text/plain"]
    assert early["text/plain"].endswith("left")
    assert last["text/plain"].startswith(f"Model <b>  [{'#' * progress.TEXT_BAR_WIDTH}]  200/200 steps")
    assert "done, 0:00" in last["text/plain"]
    assert '<progress value="200" max="200">' in last["text/html"]
    assert "Model &lt;b&gt;" in last["text/html"]


@pytest.mark.parametrize(
    ("error", "outcome"), [(KeyboardInterrupt, "interrupted"), (ValueError, "failed"), (SystemExit, "failed")]
)
def test_a_run_that_breaks_off_says_so_where_it_is(cell, error, outcome):
    with suppress(error), Progress("Model", 100, 10, True) as bar:
        drive(bar, 40)
        raise error
    text = cell[-1][1]["text/plain"]
    assert "40/100 steps" in text
    assert outcome in text


def test_a_run_that_its_stop_condition_ends_is_stopped_and_not_done(cell):
    with Progress("Model", 100, 10, True) as bar:
        drive(bar, 60)
    assert "60/100 steps" in cell[-1][1]["text/plain"]
    assert "stopped" in cell[-1][1]["text/plain"]


def test_steps_are_counted_when_their_number_is_unknown(cell):
    with Progress("Model", None, 10, True) as bar:
        drive(bar, 70)
    for _, shown in cell:
        assert "progress" not in shown["text/html"]
        assert "left" not in shown["text/plain"]
    assert cell[-1][1]["text/plain"].startswith("Model  70 steps  ")
    assert "done" in cell[-1][1]["text/plain"]


def test_steps_are_counted_in_a_terminal_too(monkeypatch, impatient):
    stream = terminal(monkeypatch)
    with Progress("Model", None, 10, True) as bar:
        drive(bar, 70)
    assert "Model 70 steps" in last_line(stream)


def test_a_run_that_goes_on_from_a_late_step_does_not_count_the_steps_before(monkeypatch):
    moments = iter([0.0, 10.0, 11.0, 12.0])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    bar = Progress("Model", 2_000_000, 10, False)
    bar.update(1_000_000)
    bar.update(bar.limited(1_000_000, 1_000_010))
    assert bar._standing().speed == "100 agent-steps/s"


def test_a_kernel_of_ipython_without_a_notebook_is_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    ipython: Any = ModuleType("IPython")
    ipython.get_ipython = lambda: None
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert not progress.in_notebook()


def test_compiling_is_announced_in_a_notebook_and_ends(cell):
    with CompileNotice(True):
        deadline = time.monotonic() + 10
        while not cell and time.monotonic() < deadline:
            time.sleep(0.001)
    assert [shown["text/plain"] for _, shown in cell] == [CompileNotice.TEXT, "compiled, 0:00"]
    assert len({known for known, _ in cell}) == 1


def test_compiling_is_announced_in_a_terminal(monkeypatch, impatient):
    stream = terminal(monkeypatch)
    with CompileNotice(True):
        deadline = time.monotonic() + 10
        while not stream.getvalue() and time.monotonic() < deadline:
            time.sleep(0.001)
    assert stream.getvalue() == f"{CompileNotice.TEXT}\n"


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.2, "0:00"), (7, "0:07"), (59.7, "1:00"), (125, "2:05"), (7400, "2:03:20")]
)
def test_times_are_written_as_a_clock_shows_them(seconds, expected):
    assert clock(seconds) == expected


def test_a_line_leaves_out_what_is_not_known():
    assert Standing("Model", 0, None, 10, 0.0, 0.0).line() == "Model  0 steps"
    assert (
        Standing("Model", 5, 10, 10, 2.0, 0.0).line()
        == "Model  [##########..........]  5/10 steps  20 agent-steps/s  0:02 left"
    )
