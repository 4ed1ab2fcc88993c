"""What is seen of runs and sweeps from their files, while this process or none is writing them."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from simengine.analysis.watching import WatchedRun, WatchedSweep, resampled, watched
from simengine.analysis.watching.calls import WatchedCalls
from simengine.analysis.watching.series import MOST_POINTS, Course
from simengine.errors import StoreError
from simengine.store import Checkpoint, Layout, RunWriter, Variable, provenance, write_checkpoint
from simengine.store.segments import segment_path
from simengine.sweeps.batches import write_batch
from simengine.sweeps.description import Description
from simengine.sweeps.design import full_grid
from simengine.sweeps.folder import SweepFolder
from simengine.sweeps.outcomes import Failure, Outcome

FLAGS = {"flag_masks": [1, 2], "flag_meanings": "small_sample ties"}
COUNTS = ("asked", "contexts", "answered", "reused", "repaired", "refused", "fallbacks")
TOKENS = ("input_tokens", "output_tokens")
LAYOUT = Layout(
    {},
    {},
    (
        Variable("height", ("time",), unit="m", long_name="height"),
        Variable("height_standard_error", ("time",), unit="m"),
        Variable("height_flags", ("time",), "int64", attributes=FLAGS),
        Variable("number", ("time",), "int64"),
        *(Variable(f"language_choose_{name}", ("time",), "int64") for name in (*COUNTS, *TOKENS)),
    ),
)
ATTRIBUTES = {"scenario": "Heights", "seed": 3, "steps": 1000, "parameter_slope": 0.5, "parameter_size": 4}
FEW = 10


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[RunWriter]:
    volatile = provenance()[1] | {"run_id": "first", "parameters_given": ["slope"]}
    found = RunWriter(tmp_path / "run.nc", LAYOUT, ATTRIBUTES, volatile=volatile)
    yield found
    found.abandon()


def add(writer: RunWriter, first: int, last: int, flags: int = 0) -> None:
    """Record steps and close their segment."""
    for step in range(first, last):
        asked = {"language_choose_asked": 2 * step, "language_choose_answered": step, "language_choose_reused": 1}
        rest = {f"language_choose_{name}": 0 for name in ("contexts", "repaired", "refused", "fallbacks")}
        tokens = {"language_choose_input_tokens": 10 * step, "language_choose_output_tokens": step}
        row = {"height": float(step), "height_standard_error": 0.5, "height_flags": flags, "number": step}
        writer.record(step, 0.1 * step, {**row, **asked, **rest, **tokens})
    writer.flush()


def touch(writer: RunWriter, number: int, moment: float) -> None:
    os.utime(segment_path(writer._parts, number), (moment, moment))


def test_a_run_at_work_is_seen_with_its_steps_speed_and_last_values(writer: RunWriter) -> None:
    now = time.time()
    for number, moment in ((1, now - 30), (2, now - 20), (3, now - 10)):
        add(writer, 100 * (number - 1), 100 * number, flags=2 if number == 2 else 0)
        touch(writer, number, moment)
    state = WatchedRun(writer.path, clock=lambda: now).look()
    assert (state.phase, state.seen) == ("running", True)
    assert (state.step, state.steps, state.rows) == (299, 1000, 300)
    assert state.rate == pytest.approx(10)
    assert state.seconds_left == pytest.approx((1000 - 299) / 10 - 10)
    assert (state.age, state.between) == (pytest.approx(10), pytest.approx(10))
    height, number_ = state.observables
    assert (height.last, height.standard_error, height.unit, height.flags) == (299.0, 0.5, "m", ("ties",))
    assert number_.name == "number"
    assert state.given == {"slope": 0.5}
    (answers,) = state.answers
    assert (answers.decision, answers.numbers["asked"], answers.numbers["input_tokens"]) == ("choose", 598, 2990)


def test_watching_neither_takes_the_lock_nor_touches_a_file(writer: RunWriter) -> None:
    add(writer, 0, FEW)
    before = {path: path.stat().st_mtime_ns for path in writer.path.parent.rglob("*")}
    watching = WatchedRun(writer.path)
    watching.look()
    add(writer, FEW, 2 * FEW)
    assert watching.look().step == 2 * FEW - 1
    after = {path: path.stat().st_mtime_ns for path in writer.path.parent.rglob("*")}
    assert {path: after[path] for path in before if path.is_file()} == {p: t for p, t in before.items() if p.is_file()}
    writer.close()


def test_only_segments_that_are_new_are_read(writer: RunWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    watching = WatchedRun(writer.path)
    real = watching._read_segment
    monkeypatch.setattr(watching, "_read_segment", lambda p, number, seen: (read.append(number), real(p, number, seen)))
    for first in (0, 10, 20):
        add(writer, first, first + FEW)
        watching.look()
        watching.look()
    assert read == [1, 2, 3]


def test_a_run_that_nobody_writes_is_said_to_be_left(writer: RunWriter) -> None:
    add(writer, 0, FEW)
    write_checkpoint(writer.path, Checkpoint(5, "first", 1))
    writer.abandon()
    later = time.time() + 100
    state = WatchedRun(writer.path, clock=lambda: later).look()
    assert (state.phase, state.seen, state.step) == ("left", False, FEW - 1)
    assert state.checkpoint is not None
    assert state.checkpoint[0] == 5
    assert state.checkpoint[1] == pytest.approx(100, abs=5)


def test_a_run_that_was_just_begun_is_not_yet_said_to_be_left(writer: RunWriter) -> None:
    add(writer, 0, FEW)
    writer.abandon()
    assert WatchedRun(writer.path).look().phase == "running"


def test_what_follows_a_checkpoint_is_read_anew_when_a_run_is_gone_on_with(writer: RunWriter) -> None:
    add(writer, 0, FEW)
    add(writer, FEW, 5 * FEW)
    watching = WatchedRun(writer.path)
    assert watching.look().step == 5 * FEW - 1
    writer.abandon()
    with RunWriter.resume(writer.path, 1) as again:
        assert watching.look().step == FEW - 1
        add(again, FEW, 2 * FEW)
        state = watching.look()
        assert (state.step, state.rows) == (2 * FEW - 1, 2 * FEW)
        np.testing.assert_array_equal(state.observables[0].steps, np.arange(2 * FEW))


def test_a_finished_run_shows_all_its_rows_and_why_it_ended(writer: RunWriter) -> None:
    add(writer, 0, FEW, flags=1)
    watching = WatchedRun(writer.path)
    watching.look()
    writer.close({"stopped_at": FEW - 1, "stop_reason": "consensus"}, {"wall_seconds": 2.0})
    for state in (watching.look(), WatchedRun(writer.path).look()):
        assert (state.phase, state.step, state.rows) == ("finished", FEW - 1, FEW)
        assert state.attributes["stop_reason"] == "consensus"
        assert state.observables[0].flags == ("small_sample",)
        assert state.observables[0].last == FEW - 1
        assert state.rate == pytest.approx((FEW - 1) / 2)


def test_a_run_that_takes_the_place_of_a_finished_one_is_the_one_that_is_seen(writer: RunWriter) -> None:
    add(writer, 0, FEW)
    writer.close({"stopped_at": FEW - 1, "stop_reason": "steps"})
    watching = WatchedRun(writer.path)
    assert watching.look().phase == "finished"
    volatile = provenance()[1] | {"run_id": "second"}
    with RunWriter(writer.path, LAYOUT, ATTRIBUTES, volatile=volatile, overwrite=True) as second:
        assert (watching.look().phase, watching.look().step) == ("running", None)
        add(second, 0, 3)
        assert watching.look().step == 2


def test_a_damaged_segment_is_named_and_the_others_are_shown(writer: RunWriter) -> None:
    add(writer, 0, FEW)
    add(writer, FEW, 2 * FEW)
    path = segment_path(writer._parts, 1)
    path.write_bytes(path.read_bytes()[:-40])
    state = WatchedRun(writer.path).look()
    assert state.damaged == (1,)
    assert state.step == 2 * FEW - 1


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.nc").write_bytes(b"CDF\x01 nothing more")
    with pytest.raises(StoreError, match="other"):
        WatchedRun(tmp_path / "other.nc").look()
    assert watched(tmp_path / "nothing.nc") is None
    assert WatchedRun(tmp_path / "nothing.nc").look().phase == "waiting"


def test_a_long_course_is_thinned_and_keeps_its_last_record() -> None:
    course = Course()
    for first in range(0, 20_000, 500):
        steps = np.arange(first, first + 500)
        course.add(steps, steps.astype(float))
    assert len(course.steps) <= MOST_POINTS
    assert course.steps[-1] == 19_999
    assert (np.diff(course.steps) > 0).all()


def test_a_course_is_resampled_by_means_over_steps_and_gaps_take_what_was_before() -> None:
    steps, values = np.array([0, 1, 9, 10]), np.array([1.0, 3.0, 7.0, np.nan])
    np.testing.assert_allclose(resampled(steps, values, 3), [2.0, 2.0, 7.0])
    assert np.isnan(resampled(steps[:0], values[:0], 4)).all()


def test_calls_are_counted_while_another_connection_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "run.nc.calls"
    writing = sqlite3.connect(path, isolation_level=None)
    writing.execute("PRAGMA journal_mode = WAL")
    writing.execute(
        "CREATE TABLE answers (kind TEXT, attempts INTEGER, input INTEGER, output INTEGER, date REAL)"
    )  # fmt: skip
    writing.execute("INSERT INTO answers VALUES ('reply', 1, 10, 2, 5.0)")
    watching = WatchedCalls(path)
    assert (watching.look().answers, watching.look().input_tokens) == (1, 10)
    writing.execute("BEGIN IMMEDIATE")
    writing.execute("INSERT INTO answers VALUES ('timeout', 3, 0, 0, 6.0)")
    assert watching.look().failures == 0
    writing.execute("COMMIT")
    found = watching.look()
    assert (found.answers, found.failures, found.attempts, found.latest) == (1, 1, 4, 6.0)
    writing.close()


# -- sweeps -----------------------------------------------------------------------------------------------------------


def sweep(path: Path) -> None:
    """Write a finished sweep over a grid, in which the runs beyond the edge have failed."""
    layout = Layout({}, {}, (Variable("mean_place", ("time",)),))
    attributes = {"scenario": "Falling", "sweep_seed": 1}
    description = Description(layout, 2, 1, attributes, provenance()[1])
    design = full_grid({"drift": [0.1, 0.2, 0.9], "n_agents": [2, 3]})
    runs = [(point, replicate, 7) for point in range(6) for replicate in range(2)]
    lost = Failure("ValueError", "beyond the edge")
    steps = np.arange(3)
    outcomes = [
        Outcome({}, steps[:0], 0, "", lost) if point > 3 else Outcome({"mean_place": steps * 0.5}, steps, 2, "steps")
        for point, _, _ in runs
    ]
    with SweepFolder.create(path, description, design, 2) as folder:
        folder.journal(write_batch(path, "b1", layout, runs, outcomes))


def test_a_sweep_is_seen_with_its_failures_and_a_map_of_its_points(tmp_path: Path) -> None:
    sweep(tmp_path / "sweep")
    watching = watched(tmp_path / "sweep")
    assert isinstance(watching, WatchedSweep)
    state = watching.look()
    assert state.phase == "finished"
    assert (state.runs, state.done, state.failed, state.missing) == (12, 8, 4, 0)
    assert state.failures[0]["message"] == "beyond the edge"
    assert state.grid is not None
    assert state.grid.names == ("drift", "n_agents")
    np.testing.assert_array_equal(state.grid.failed, [[0, 0], [0, 0], [1, 1]])
    before = watching._folder
    watching.look()
    assert watching._folder is before
    folder = SweepFolder.open(tmp_path / "sweep")
    with folder:
        folder.extend(replicates=3)
        unfinished = watching.look()
        assert (unfinished.phase, unfinished.seen, unfinished.missing) == ("running", True, 6)
    later = WatchedSweep(tmp_path / "sweep", clock=lambda: time.time() + 60).look()
    assert (later.phase, later.seen) == ("left", False)
    assert WatchedSweep(tmp_path / "nothing").look().phase == "waiting"
