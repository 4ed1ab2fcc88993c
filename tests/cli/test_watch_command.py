"""``simengine watch``: what is printed of runs and sweeps, as wide as there is room, and with which exit code."""

from __future__ import annotations

import json
from io import StringIO
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from simengine.analysis.watching import GridMap, RunState, Series, SweepState
from simengine.analysis.watching.records import Answers
from simengine.cli import main, watching
from simengine.cli.watch_page import Room, map_lines, page, sparkline
from simengine.errors import InputError
from simengine.policies.reports import SERIES
from simengine.store import Layout, RunWriter, Variable, provenance

LAYOUT = Layout({}, {}, (Variable("height", ("time",), unit="m"),))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def begun(steps: int = 5, name: str = "run.nc") -> RunWriter:
    volatile = provenance()[1] | {"run_id": "first", "parameters_given": ["slope"]}
    attributes = {"scenario": "Heights", "seed": 3, "steps": 10, "parameter_slope": 0.5}
    writer = RunWriter(name, LAYOUT, attributes, volatile=volatile)
    for step in range(steps):
        writer.record(step, float(step), {"height": float(step)})
    writer.flush()
    return writer


def ended(writer: RunWriter) -> None:
    writer.close({"stopped_at": 4, "stop_reason": "consensus"}, {"wall_seconds": 1.0})


def series(name: str, values: list[float], **more: object) -> Series:
    return Series(name, name, "1", np.arange(len(values)), np.array(values), **more)  # type: ignore[arg-type]


def run_state(**changes: object) -> RunState:
    given = {
        "path": Path("school.nc"), "phase": "running", "seen": True, "step": 250, "steps": 1000, "rate": 12.0,
        "attributes": {"scenario": "Schooling", "seed": 1, "host": "node7"}, "seconds_left": 62.0, "age": 4.0,
        "between": 8.0, "checkpoint": (200, 70.0), "given": {"noise": 0.1},
        "observables": tuple(series(f"observable_{number}", [0.0, 1.0, 2.0, number]) for number in range(20)),
    }  # fmt: skip
    return RunState(**given | changes)  # type: ignore[arg-type]


def test_a_run_at_work_is_printed_once_without_a_terminal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    writer = begun()
    assert main(["watch", "run.nc"]) == 0
    printed = capsys.readouterr().out
    for words in ("Heights  run.nc  running", "seed 3  slope=0.5", "40 %  step 4 of 10", "height", "4 m"):
        assert words in printed
    assert main(["watch", "run.nc", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["phase"], said["step"], said["observables"]["height"]["last"]) == ("running", 4, 4.0)
    ended(writer)
    assert main(["watch", "run.nc", "--once"]) == 0
    assert "stopped: consensus" in capsys.readouterr().out


def test_a_run_that_was_killed_is_told_by_words_and_exit_code(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun().abandon()
    monkeypatch.setattr("simengine.analysis.watching.runs.GRACE_SECONDS", 0.0)
    assert main(["watch", "run.nc"]) == 1
    printed = capsys.readouterr().out
    assert "no process is writing" in printed
    assert "go on with: simengine resume run.nc" in printed


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("watch rnu.nc", "there is no run or sweep rnu.nc; did you mean 'run.nc'?"),
        ("watch text.txt", "text.txt is no run file"),
        ("watch nowhere/run.nc", "there is no folder nowhere"),
        ("watch run.nc --every 0", "--every: got 0, allowed are seconds, at least 0.1"),
        ("watch run.nc --every inf", "--every: got inf, allowed are seconds, at least 0.1, and a day at most"),
    ],
)
def test_what_cannot_be_watched_is_refused_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    ended(begun())
    (folder / "text.txt").write_text("words")
    assert main(line.split()) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert (printed.out, printed.err.count("\n")) == ("", 1)


def test_what_is_not_there_yet_is_waited_for_and_followed_to_its_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = StringIO()
    console = Console(file=shown, force_terminal=True, width=80, height=24, color_system=None)
    writers: list[RunWriter] = []
    naps = count()

    def sleep(_: float) -> None:
        # Something happens between the second look and the third, and after the fourth.
        moment = next(naps)
        if moment == 2 * watching.STEPS:
            writers.append(begun())
        elif moment == 4 * watching.STEPS:
            ended(writers[0])

    monkeypatch.setattr(watching.time, "sleep", sleep)
    state = watching.follow(Path("run.nc"), 0.1, console)
    assert state.phase == "finished"
    assert "waiting for run.nc" in shown.getvalue()
    assert "step 4 of 10" in shown.getvalue()


def test_an_interrupt_ends_it_without_a_word(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(watching, "follow", interrupted)
    monkeypatch.setattr(watching.output, "console", lambda: Console(force_terminal=True))
    assert main(["watch", "run.nc"]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("width", "height"), [(20, 5), (40, 10), (80, 24), (200, 50)])
@pytest.mark.parametrize("blocks", [True, False])
def test_a_page_keeps_to_its_room(width: int, height: int, blocks: bool) -> None:
    grid = GridMap(("a", "b"), (tuple(range(30)), tuple(range(300))), np.ones((30, 300)), np.zeros((30, 300)))
    failure = {"parameters": {"a": 1.0}, "replicate": 0, "kind": "ValueError", "message": "lost" * 40}
    sweep = SweepState(
        Path("a/long/way/to/the/sweep"), "running", True, {"scenario": "Walkers", "host": "node7"}, runs=9000, done=80,
        failed=1, missing=8919, rate=0.2, seconds_left=1e5, age=3.0, failures=(failure,) * 3, grid=grid, kind="grid",
        names=("a", "b"), points=9000, replicates=1,
    )  # fmt: skip
    for state in (run_state(), sweep):
        lines = page(state, Room(width, height, blocks))
        assert len(lines) <= height
        assert all(line.cell_len <= width for line in lines)
        assert blocks or all(line.plain.isascii() for line in lines)


def test_what_has_no_room_is_counted() -> None:
    lines = [line.plain for line in page(run_state(), Room(80, 16))]
    assert lines[-1].startswith("and ")
    shown = sum(line.startswith("observable_") for line in lines)
    assert lines[-1] == f"and {20 - shown} more"


def test_a_sparkline_shows_the_range_of_the_values_and_leaves_gaps_at_what_is_missing() -> None:
    assert sparkline(series("x", [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]), 8) == "▁▂▃▄▅▆▇█"
    assert sparkline(series("x", [5.0, 5.0]), 4) == "▄▄▄▄"
    assert sparkline(series("x", [float("nan")]), 4) == ""
    assert sparkline(series("x", [0.0, 7.0]), 2, blocks=False) == "_@"


def test_flags_answers_and_a_writer_on_another_machine_are_said() -> None:
    numbers = dict.fromkeys(SERIES, 0) | {"asked": 100, "answered": 60, "reused": 20, "fallbacks": 20}
    state = run_state(
        seen=None, answers=(Answers("choose", numbers),), observables=(series("entropy", [1.0], flags=("ties",)),)
    )
    text = "\n".join(line.plain for line in page(state, Room(120)))
    assert "on node7? (cannot be seen from here)" in text
    assert "flags  ties (entropy)" in text
    assert "choose: 100 asked, 80.0% answered (20.0% reused), 20.0% fallback" in text
    assert "rows come every 16 s" in text
    assert "checkpoint: step 200, 1:10 ago" in text


def test_a_map_shows_what_is_done_and_what_failed() -> None:
    done, failed = np.array([[1.0, 0.5], [0.0, 0.0]]), np.array([[0.0, 0.0], [0.0, 1.0]])
    grid = GridMap(("a", "b"), ((1, 2), (0.5, 0.75)), done, failed)
    lines = [line.plain for line in map_lines(grid, Room(40, None, False), 10)]
    assert lines == ["a down, b across", "1 ##++", "2 ..xx", "  0.5 0.75"]
    line = GridMap(("a",), ((1, 2),), np.array([1.0, 0.0]), np.array([0.0, 0.0]))
    assert [line.plain for line in map_lines(line, Room(40, None, False), 10)][1] == " ##.."


def test_failed_runs_of_a_finished_sweep_make_the_exit_code_1() -> None:
    sweep = SweepState(Path("sweep"), "finished", failed=1)
    assert watching.exit_code(sweep) == 1
    assert watching.exit_code(SweepState(Path("sweep"), "finished")) == 0
    assert watching.exit_code(SweepState(Path("sweep"), "running", failed=1)) == 0
    with pytest.raises(InputError):
        watching.check(Path("nowhere/at/all"))
