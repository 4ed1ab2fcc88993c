from __future__ import annotations

import io
import re
import sys
import time
from typing import ClassVar

import pytest

from simengine.runs import progress
from simengine.sweeps.progress import SweepProgress, SweepStanding


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", -1.0)
    monkeypatch.setattr(progress, "BETWEEN_UPDATES", 0.0)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")


def standing(rate: float, runs: int | None = 100, failures: int = 0) -> SweepStanding:
    return SweepStanding("Voter", 40, runs, 1, rate, 2.0, "", failures)


@pytest.mark.parametrize(
    ("rate", "speed"),
    [(0.0, ""), (1234.0, "1.2 k runs/s"), (2.0, "2 runs/s"), (0.05, "3 runs/min"), (0.001, "3.6 runs/h")],
)
def test_the_speed_is_said_in_a_unit_that_suits_it(rate: float, speed: str) -> None:
    assert standing(rate).speed == speed


def test_a_line_says_runs_failures_speed_and_time_left() -> None:
    line = standing(4.0, failures=3).line()
    assert "40/100 runs, 3 failed" in line
    assert "4 runs/s" in line
    assert "0:15 left" in line
    assert "40 runs" in standing(4.0, None).line()
    assert "left" not in standing(4.0, None).line()


def test_a_bar_counts_on_from_what_was_done_before(monkeypatch: pytest.MonkeyPatch, impatient: None) -> None:
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    with SweepProgress("Voter", 10, 4, True) as bar:
        bar.add(3, 1)
        bar.add(3, 0)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.getvalue())
    assert "4/10 runs" in text
    assert "10/10 runs, 1 failed" in text
    assert "done, " in text.rstrip().rpartition("\r")[2]


class Face:
    """Keeps what it shall show."""

    shown: ClassVar[list[SweepStanding]] = []

    def __init__(self, standing: SweepStanding) -> None:
        self.shown.append(standing)

    def show(self, standing: SweepStanding) -> None:
        self.shown.append(standing)

    end = show


def test_what_comes_before_the_first_runs_says_nothing_of_the_time_left(
    monkeypatch: pytest.MonkeyPatch, impatient: None
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress, "_face", lambda: Face)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(Face, "shown", [])
    with SweepProgress("Voter", 100, 0, True) as bar:
        for moment, runs in ((30.0, 10), (35.0, 10), (35.1, 10)):
            now[0] = moment
            bar.add(runs, 0)
    _, first, second, third, last = Face.shown
    assert first.line() == "Voter  [##..................]  10/100 runs"
    assert (second.speed, second.ending) == ("2 runs/s", "0:40 left")
    # Two reports at almost the same time do not make a sweep fast.
    assert third.rate < 4.0
    assert last.rate == pytest.approx(20 / 5.1)
    assert last.ending == "stopped, 0:35"


def test_nothing_is_shown_where_nothing_shall_be(monkeypatch: pytest.MonkeyPatch, impatient: None) -> None:
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    with SweepProgress("Voter", 10, 0, False) as bar:
        bar.add(10, 0)
    assert shown.getvalue() == ""
