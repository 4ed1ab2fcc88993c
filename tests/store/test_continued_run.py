"""A run whose writer died goes on in another one, and nothing of it shows in the file."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from example_runs import N_AGENTS, fill, in_a_child
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simengine.errors import StoreError
from simengine.store import (
    Checkpoint,
    Layout,
    MemoryWriter,
    RunWriter,
    Variable,
    checkpoints_of,
    content_hash,
    open_run,
    parts_of,
    read_checkpoints,
    read_header_of,
    usable_segments,
    write_checkpoint,
)

SERIES = Layout({}, {}, (Variable("x", ("time",)),), "1")
STATIC = {"mass": np.arange(N_AGENTS) / 8}


def begun(path: Path, layout: Layout, attributes: dict, **options) -> RunWriter:
    return RunWriter(path, layout, attributes, volatile={"host": "here"}, static=STATIC, **options)


def hash_of_one_writer(layout: Layout, attributes: dict, steps: int = 40) -> str:
    memory = MemoryWriter(layout, attributes, volatile={"host": "there"}, static=STATIC)
    fill(memory, steps)
    return memory.close({"stop_reason": "steps"}).attrs["content_hash"]


def series(path: Path, steps: int, segment_rows: int = 2) -> RunWriter:
    writer = RunWriter(path, SERIES, {"seed": 3}, segment_rows=segment_rows)
    for step in range(steps):
        writer.record(step, float(step), {"x": step / 2})
    return writer


def segment(path: Path, number: int) -> Path:
    return parts_of(path) / f"segment-{number:06d}.nc"


@pytest.mark.usefixtures("_no_fsync")
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stays=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5)), max_size=4),
    rows=st.sampled_from([2, 5, 100]),
    data=st.data(),
)
def test_any_split_into_continued_writers_gives_the_file_of_one_writer(tmp_path, layout, attributes, stays, rows, data):
    path = tmp_path / "run.nc"
    writer, step = begun(path, layout, attributes, overwrite=True, segment_rows=rows), 0
    closed = {0: 0}
    for count, unsaved in stays:
        fill(writer, count, first=step)
        writer.flush()
        closed[writer.segments] = step + count
        fill(writer, unsaved, first=step + count)
        kept = data.draw(st.sampled_from(sorted(closed)))
        assert usable_segments(path) == writer.segments >= kept
        closed = {segments: after for segments, after in closed.items() if segments <= kept}
        writer, step = RunWriter.resume(path, kept, segment_rows=rows), closed[kept]
    fill(writer, max(0, 12 - step), first=step)
    writer.close({"stop_reason": "steps"}, {"threads": 3})
    assert content_hash(path) == hash_of_one_writer(layout, attributes, max(12, step))
    assert not parts_of(path).exists()


@pytest.mark.usefixtures("_no_fsync")
def test_killed_at_any_moment_a_run_continues_from_its_checkpoint_to_the_same_file(tmp_path):
    small = Layout({"agent": 2}, {"agent": ([7, 8], {})}, (*SERIES.variables, Variable("mass", ("agent",))), "1")
    start = {"static": {"mass": [1.0, 2.0]}}
    path = tmp_path / "run.nc"
    outcomes = set()

    def record(writer: RunWriter | MemoryWriter, step: int) -> None:
        writer.record(step, float(step), {"x": step / 2})

    def go_on(writer: RunWriter, step: int) -> None:
        while step < 6:
            record(writer, step)
            step += 1
            if step % 2 == 0:
                writer.flush()
                write_checkpoint(path, Checkpoint(step, "run", writer.segments, {"x": np.arange(step)}))
        writer.close({"stop_reason": "steps"})

    with MemoryWriter(small, {"seed": 3}, **start) as memory:
        for step in range(6):
            record(memory, step)
        expected = content_hash(memory.close({"stop_reason": "steps"}))

    def run_until_call(last: int) -> None:
        calls = itertools.count()

        def counted(function: Callable) -> Callable:
            def call(*arguments, **keywords):
                if next(calls) == last:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments, **keywords)

            return call

        for name in ("fsync", "replace", "rename", "unlink", "rmdir", "mkdir"):
            setattr(os, name, counted(getattr(os, name)))
        go_on(RunWriter(path, small, {"seed": 3}, **start), 0)

    for last in itertools.count():
        killed = in_a_child(partial(run_until_call, last)) == -signal.SIGKILL
        if path.exists():
            outcomes.add("finished")
        elif parts_of(path).exists():
            usable = usable_segments(path)
            found = [one for one in read_checkpoints(path, "run") if one.segments <= usable]
            segments, step = (found[0].segments, found[0].step) if found else (0, 0)
            outcomes.add(step)
            header = read_header_of(path)
            assert header.stable == {"seed": 3}
            np.testing.assert_array_equal(header.static["mass"], [1.0, 2.0])
            assert open_run(path).sizes["time"] >= step
            go_on(RunWriter.resume(path, segments, segment_rows=5), step)
        else:
            outcomes.add("not begun")
            go_on(RunWriter(path, small, {"seed": 3}, **start), 0)
        assert content_hash(path) == expected
        for leftover in tmp_path.iterdir():
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        if not killed:
            break
    assert last > 40
    assert outcomes == {"not begun", 0, 2, 4, 6, "finished"}


def test_what_a_killed_start_left_is_not_in_the_way(tmp_path, layout, attributes):
    path = tmp_path / "run.nc"

    def die_at_the_rename() -> None:
        os.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        begun(path, layout, attributes)

    assert in_a_child(die_at_the_rename) == -signal.SIGKILL
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.nc.parts.tmp"]
    with begun(path, layout, attributes) as writer:
        fill(writer, 3)
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.nc"]


def test_a_writer_says_how_many_segments_are_closed(tmp_path):
    writer = series(tmp_path / "run.nc", 5)
    assert writer.segments == usable_segments(tmp_path / "run.nc") == 2
    writer.flush()
    writer.flush()
    assert writer.segments == 3
    assert RunWriter.resume(tmp_path / "run.nc", 1).segments == 1


def test_the_header_is_readable_from_the_writer_and_from_the_folder(tmp_path, layout, attributes):
    path = tmp_path / "run.nc"
    writer = begun(path, layout, attributes)
    for header in (
        writer.header,
        read_header_of(path),
        read_header_of(parts_of(path)),
        RunWriter.resume(path, 0).header,
    ):
        assert dict(header.stable) == {**attributes, "shape": [3, 4]} or header is writer.header
        assert dict(header.volatile) == {"host": "here"}
        assert [variable.name for variable in header.layout.variables] == [one.name for one in layout.variables]
        np.testing.assert_array_equal(header.static["mass"], STATIC["mass"])


def test_continuing_removes_later_segments_leftovers_and_checkpoints(tmp_path):
    path = tmp_path / "run.nc"
    series(path, 8).flush()
    for step, segments in ((4, 2), (6, 3)):
        write_checkpoint(path, Checkpoint(step, "r", segments))
    (parts_of(path) / "segment-000007.nc.tmp").write_bytes(b"half")
    writer = RunWriter.resume(path, 2)
    assert sorted(entry.name for entry in parts_of(path).iterdir()) == [
        *("header.json", "segment-000000.nc", "segment-000001.nc", "segment-000002.nc")
    ]
    assert [one.step for one in read_checkpoints(path)] == [4]
    with pytest.raises(StoreError, match=r"step 3 .* not later than the last, 3"):
        writer.record(3, 3.0, {})
    writer.record(4, 4.0, {})
    assert writer.close()
    assert xr.load_dataset(path).step.values.tolist() == [0, 1, 2, 3, 4]


def test_a_new_run_in_place_of_an_unfinished_one_removes_its_checkpoints(tmp_path):
    path = tmp_path / "run.nc"
    series(path, 8).flush()
    write_checkpoint(path, Checkpoint(4, "r", 2))
    RunWriter(path, SERIES, {}, overwrite=True)
    assert not checkpoints_of(path).exists()
    assert usable_segments(path) == 0


def test_a_continued_run_that_fails_before_its_first_row_keeps_its_folder(tmp_path):
    path = tmp_path / "run.nc"
    series(path, 4).flush()
    with pytest.raises(ZeroDivisionError), RunWriter.resume(path, 0):
        raise ZeroDivisionError
    assert read_header_of(path).stable == {"seed": 3}


def test_missing_values_are_remembered_across_writers(tmp_path):
    layout = Layout({}, {}, (Variable("level", ("time",), "uint8"), Variable("other", ("time",), "uint8")), "1")
    path = tmp_path / "run.nc"
    RunWriter(path, layout, {}, segment_rows=1).record(0, 0.0, {"other": 255})
    writer = RunWriter.resume(path, 1)
    with pytest.raises(StoreError, match="'level' holds 255, which marks missing rows"):
        writer.record(1, 1.0, {"level": 255, "other": 0})
    with pytest.raises(StoreError, match="'other' holds 255, which marks missing rows"):
        writer.record(1, 1.0, {"level": 0})
    writer.record(1, 1.0, {"level": 1, "other": 255})
    with xr.open_dataset(writer.close()) as run:
        np.testing.assert_array_equal(run.level, [np.nan, 1])
        np.testing.assert_array_equal(run.other, [255, 255])
        assert run.other.dtype == np.uint8


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "complaint"),
    [(Path.unlink, "segment-000002.nc of .* is missing"), (cut, "damaged"), (flip, "damaged")],
)
def test_a_lost_segment_ends_what_is_usable_and_the_rest_stays_readable(tmp_path, harm, complaint):
    path = tmp_path / "run.nc"
    writer = series(path, 8)
    harm(segment(path, 2))
    assert usable_segments(path) == 1
    before = sorted(entry.name for entry in parts_of(path).iterdir())
    with pytest.raises(StoreError, match=complaint) as caught:
        RunWriter.resume(path, 3)
    assert "\n" not in str(caught.value)
    assert sorted(entry.name for entry in parts_of(path).iterdir()) == before
    with pytest.raises(StoreError, match=complaint if harm is not Path.unlink else "vanished"):
        writer.close()
    kept = open_run(path)
    np.testing.assert_array_equal(kept.step, [0, 1, 4, 5, 6, 7])
    assert kept.attrs["lost_segments"] == "json:[2]"
    again = RunWriter.resume(path, 1)
    for step in range(2, 8):
        again.record(step, float(step), {"x": step / 2})
    assert content_hash(again.close()) == content_hash(series(tmp_path / "other.nc", 8).close())


def test_a_run_with_a_gap_cannot_be_finished(tmp_path):
    from simengine.store import finish_run

    path = tmp_path / "run.nc"
    series(path, 8).flush()
    segment(path, 3).unlink()
    with pytest.raises(StoreError, match=r"segment-000003.nc of .* is missing"):
        finish_run(path)
    assert not path.exists()


def test_segments_of_another_run_or_in_another_order_are_not_usable(tmp_path):
    path, other = tmp_path / "run.nc", tmp_path / "other.nc"
    series(path, 6).flush()
    writer = RunWriter(other, Layout({}, {}, (Variable("y", ("time",)),), "1"), {})
    writer.record(9, 9.0, {"y": 1.0})
    writer.flush()
    shutil.copy(segment(path, 1), segment(path, 3))
    assert usable_segments(path) == 2
    shutil.copy(segment(other, 1), segment(path, 2))
    assert usable_segments(path) == 1


@pytest.mark.parametrize("name", ["header.json", "segment-000000.nc"])
@pytest.mark.parametrize("harm", [Path.unlink, cut, flip])
def test_without_its_header_a_run_is_not_usable_and_says_so_in_one_line(tmp_path, name, harm):
    path = tmp_path / "run.nc"
    series(path, 6).flush()
    harm(parts_of(path) / name)
    assert usable_segments(path) == 0
    for attempt in (read_header_of, open_run, lambda where: RunWriter.resume(where, 0)):
        with pytest.raises(StoreError, match=name) as caught:
            attempt(path)
        assert "\n" not in str(caught.value)


def test_where_no_run_was_begun_there_is_nothing_to_continue(tmp_path):
    assert usable_segments(tmp_path / "none.nc") == 0
    for attempt in (read_header_of, lambda path: RunWriter.resume(path, 0)):
        with pytest.raises(StoreError, match="holds no run"):
            attempt(tmp_path / "none.nc")


def test_other_tools_read_a_segment(tmp_path):
    series(tmp_path / "run.nc", 4).flush()
    with netCDF4.Dataset(segment(tmp_path / "run.nc", 2)) as file:
        np.testing.assert_array_equal(file["x"][:], [1.0, 1.5])


class TestCopiedRows:
    """Rows of a finished file at the start of another run."""

    @pytest.mark.parametrize("before", [0, 1, 10, 17, 40, 99])
    @pytest.mark.parametrize("rows", [4, 1000])
    def test_a_run_that_begins_with_copied_rows_is_that_of_one_writer(self, tmp_path, layout, attributes, before, rows):
        writer = begun(tmp_path / "source.nc", layout, attributes)
        fill(writer)
        source = writer.close()
        branch = begun(tmp_path / "branch.nc", layout, attributes, segment_rows=rows)
        branch.copy_rows(source, before)
        assert branch.segments == usable_segments(tmp_path / "branch.nc") >= min(before, 40) // rows
        fill(branch, max(0, 40 - before), first=before)
        branch.close({"stop_reason": "steps"})
        assert content_hash(tmp_path / "branch.nc") == hash_of_one_writer(layout, attributes)

    def test_what_was_missing_only_later_is_not_missing_in_the_copy(self, tmp_path):
        layout = Layout({}, {}, (Variable("level", ("time",), "uint8"),), "1")
        with RunWriter(tmp_path / "source.nc", layout, {}) as writer:
            for step, level in enumerate((1, 2, None)):
                writer.record(step, float(step), {"level": level})
        with RunWriter(tmp_path / "branch.nc", layout, {}) as branch:
            branch.copy_rows(tmp_path / "source.nc", 2)
            branch.record(2, 2.0, {"level": 255})
        with xr.open_dataset(tmp_path / "branch.nc") as run:
            assert run.level.dtype == np.uint8
            np.testing.assert_array_equal(run.level, [1, 2, 255])

    def test_a_step_that_was_copied_cannot_be_recorded_again(self, tmp_path):
        source = series(tmp_path / "source.nc", 6).close()
        writer = RunWriter(tmp_path / "run.nc", SERIES, {})
        writer.copy_rows(source, 4)
        with pytest.raises(StoreError, match="not later than the last, 3"):
            writer.record(3, 3.0, {})
        with pytest.raises(StoreError, match="only before the first"):
            writer.copy_rows(source, 6)

    @pytest.mark.parametrize(
        ("variables", "complaint"),
        [
            ((), "'x' is recorded in"),
            ((Variable("x", ("time",)), Variable("y", ("time",))), "'y' is not recorded in"),
            ((Variable("x", ("time",), "float32"),), "'x' has dtype float64, here float32"),
            ((Variable("x", ("time",), unit="m"),), "'x' has unit 1, here m"),
            ((Variable("x", ("time", "agent")),), "'x' has dimensions"),
        ],
    )
    def test_a_file_with_other_variables_is_refused(self, tmp_path, variables, complaint):
        source = series(tmp_path / "source.nc", 6).close()
        writer = RunWriter(tmp_path / "run.nc", Layout({"agent": 2}, {}, variables, "1"), {})
        with pytest.raises(StoreError, match=complaint) as caught:
            writer.copy_rows(source, 4)
        assert "\n" not in str(caught.value)
        assert writer.segments == 0

    def test_what_is_no_run_file_is_refused(self, tmp_path):
        writer = RunWriter(tmp_path / "run.nc", SERIES, {})
        (tmp_path / "text.nc").write_text("text")
        for name in ("text.nc", "none.nc"):
            with pytest.raises(StoreError, match=name):
                writer.copy_rows(tmp_path / name, 4)


def test_a_run_that_another_process_is_writing_cannot_be_gone_on_with_or_replaced(tmp_path: Path) -> None:
    path = tmp_path / "run.nc"
    layout = Layout({}, {}, (Variable("x", ("time",)),))
    ready, finished = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        writer = RunWriter(path, layout, {})
        writer.record(0, 0.0, {"x": 1.0})
        writer.flush()
        os.write(ready[1], b".")
        os.read(finished[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    with pytest.raises(StoreError, match="still going on"):
        RunWriter.resume(path, 1)
    with pytest.raises(StoreError, match="still going on"):
        RunWriter(path, layout, {}, overwrite=True)
    os.write(finished[1], b".")
    os.waitpid(child, 0)
    resumed = RunWriter.resume(path, 1)
    resumed.record(1, 1.0, {"x": 2.0})
    with open_run(resumed.close()) as run:
        assert run["x"].values.tolist() == [1.0, 2.0]
