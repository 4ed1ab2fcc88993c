from __future__ import annotations

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr
from example_runs import N_AGENTS, fill

from simengine.errors import StoreError
from simengine.store import (
    Layout,
    MemoryWriter,
    RunWriter,
    Variable,
    content_hash,
    decode_attributes,
    finish_run,
    open_run,
    write_dataset,
)


def written(path: Path, layout: Layout, attributes: dict[str, Any], **options: Any) -> Path:
    with RunWriter(path, layout, attributes, volatile={"host": "here"}, **options) as writer:
        fill(writer)
        return writer.close({"stop_reason": "steps", "stopped_at": 39})


def test_a_file_opens_with_plain_xarray_and_holds_what_was_recorded(tmp_path, layout, attributes):
    with xr.open_dataset(written(tmp_path / "run.nc", layout, attributes)) as run:
        assert dict(run.sizes) == {"time": 40, "snapshot_time": 4, "agent": N_AGENTS, "axis": 3}
        assert set(run.coords) == {"time", "step", "snapshot_time", "snapshot_step", "agent", "axis"}
        np.testing.assert_array_equal(run.time, np.arange(40) / 4)
        np.testing.assert_array_equal(run.step, np.arange(40))
        np.testing.assert_array_equal(run.snapshot_step, [0, 10, 20, 30])
        np.testing.assert_array_equal(run.polarization, np.cos(np.arange(40)))
        np.testing.assert_array_equal(run.n_groups, 2**60 + np.arange(40))
        np.testing.assert_array_equal(run.position[2], np.random.default_rng(20).random((N_AGENTS, 3)))
        np.testing.assert_array_equal(run.settled, np.arange(40) > 20)
        assert list(run.winner.values[:4]) == ["", "ab", "abab", "ababab"]
        assert list(run.axis.values) == ["x", "y", "z"]
        assert run.agent.dtype == np.uint64
        assert run.position.attrs["units"] == "m"
        assert run.time.dtype == np.float64
        assert run.time.attrs["units"] == "s"


def test_rows_without_a_value_are_missing_and_complete_integers_stay_integers(tmp_path, layout, attributes):
    with xr.open_dataset(written(tmp_path / "run.nc", layout, attributes)) as run:
        given = np.arange(40) % 3 == 0
        np.testing.assert_array_equal(np.isfinite(run.n_births), given)
        np.testing.assert_array_equal(run.n_births[given], np.arange(0, 40, 3))
        assert np.isnan(run.polarization_null_sd).all()
        assert run.n_groups.dtype == np.int64
        assert run.caste.dtype == np.uint8


def test_attributes_come_back_with_their_types(tmp_path, layout, attributes):
    with xr.open_dataset(written(tmp_path / "run.nc", layout, attributes)) as run:
        found = decode_attributes(run.attrs)
    expected = attributes | {"shape": [3, 4], "stop_reason": "steps", "stopped_at": 39, "host": "here"}
    for name, value in expected.items():
        assert found[name] == value
        assert type(found[name]) is type(value)


def test_range_and_flag_attributes_have_the_type_of_their_variable(tmp_path, layout, attributes):
    with netCDF4.Dataset(written(tmp_path / "run.nc", layout, attributes)) as file:
        assert file["caste"].valid_range.dtype == np.uint8
        assert file["settled"].flag_values.dtype == np.int8


@pytest.mark.parametrize("rows", [1, 7, 40, 1000])
def test_the_number_of_segments_does_not_show(tmp_path, layout, attributes, rows):
    one = xr.load_dataset(written(tmp_path / "one.nc", layout, attributes))
    many = xr.load_dataset(written(tmp_path / "many.nc", layout, attributes, segment_rows=rows))
    xr.testing.assert_identical(one, many)


@pytest.mark.parametrize("options", [{"segment_bytes": 1}, {"segment_seconds": 0.0}])
def test_segments_are_closed_by_bytes_and_by_age(tmp_path, layout, attributes, options):
    writer = RunWriter(tmp_path / "run.nc", layout, attributes, **options)
    fill(writer, steps=5)
    assert open_run(tmp_path / "run.nc").sizes["time"] >= 4
    writer.abandon()


def test_texts_count_for_the_size_of_a_segment(tmp_path):
    layout = Layout({}, {}, (Variable("reply", ("time",), "str"),), "1")
    writer = RunWriter(tmp_path / "run.nc", layout, {}, segment_bytes=1000)
    writer.record(0, 0, {"reply": "x" * 2000})
    assert open_run(tmp_path / "run.nc").sizes["time"] == 1
    writer.abandon()


@pytest.mark.parametrize("steps", [0, 1, 40])
def test_a_run_in_memory_is_identical_to_its_file(tmp_path, layout, attributes, steps):
    results = []
    for writer in (RunWriter(tmp_path / "run.nc", layout, attributes), MemoryWriter(layout, attributes)):
        fill(writer, steps)
        results.append(writer.close({"stop_reason": "steps"}, {"threads": 2}))
    path, memory = results
    for opened in (xr.open_dataset(path), open_run(path)):
        with opened:
            xr.testing.assert_identical(opened.load(), memory)
            assert {name: opened[name].dtype for name in opened.variables} == {
                name: memory[name].dtype for name in memory.variables
            }
    assert memory.attrs["content_hash"] == content_hash(memory) == content_hash(path)


def test_static_values_that_were_never_given_are_missing(tmp_path, layout, attributes):
    with RunWriter(tmp_path / "run.nc", layout, attributes) as writer:
        writer.record(0, 0, {})
    with MemoryWriter(layout, attributes) as memory:
        memory.record(0, 0, {})
    with xr.open_dataset(tmp_path / "run.nc") as run:
        assert np.isnan(run.mass).all()
        xr.testing.assert_identical(run.load(), memory.close())


def test_the_caller_may_reuse_its_arrays(layout, attributes):
    writer = MemoryWriter(layout, attributes)
    position = np.zeros((N_AGENTS, 3))
    for step in range(3):
        position[:] = step
        writer.snapshot(step, step, {"position": position})
    np.testing.assert_array_equal(writer.close().position[:, 0, 0], [0, 1, 2])


def test_segments_are_removed_after_the_merge_and_closing_twice_is_harmless(tmp_path, layout, attributes):
    writer = RunWriter(tmp_path / "run.nc", layout, attributes)
    fill(writer)
    assert writer.close() == writer.close() == tmp_path / "run.nc"
    assert [path.name for path in tmp_path.iterdir()] == ["run.nc"]
    with pytest.raises(StoreError, match="closed"):
        writer.record(41, 41.0, {})


def test_an_exception_keeps_what_was_recorded(tmp_path, layout, attributes):
    path = tmp_path / "run.nc"

    def fails() -> None:
        with RunWriter(path, layout, attributes) as writer:
            fill(writer, steps=25)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert not path.exists()
    partial = open_run(path)
    assert dict(partial.sizes) == {"time": 25, "snapshot_time": 3, "agent": N_AGENTS, "axis": 3}
    assert decode_attributes(partial.attrs)["policy"] == attributes["policy"]
    assert partial.attrs["unfinished"] == 1


def test_an_unfinished_run_can_be_finished_later(tmp_path, layout, attributes):
    whole = written(tmp_path / "whole.nc", layout, attributes)
    path = tmp_path / "run.nc"
    writer = RunWriter(path, layout, attributes, volatile={"host": "there"}, segment_rows=16)
    fill(writer)
    writer.abandon()
    finish_run(path, {"stop_reason": "steps", "stopped_at": 39})
    assert content_hash(path) == content_hash(whole)
    assert not Path(f"{path}.parts").exists()


def test_a_run_that_failed_before_its_first_row_leaves_nothing(tmp_path, layout, attributes):
    with pytest.raises(ZeroDivisionError), RunWriter(tmp_path / "run.nc", layout, attributes):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_refused_and_overwritten_only_at_the_end(tmp_path, layout, attributes):
    path = written(tmp_path / "run.nc", layout, attributes)
    before = content_hash(path)
    with pytest.raises(StoreError, match="exists"):
        RunWriter(path, layout, attributes)
    writer = RunWriter(path, layout, attributes, overwrite=True)
    fill(writer, steps=3)
    writer.flush()
    assert content_hash(path) == before
    writer.close()
    assert xr.load_dataset(path).sizes["time"] == 3


def test_an_unfinished_run_counts_as_existing(tmp_path, layout, attributes):
    writer = RunWriter(tmp_path / "run.nc", layout, attributes)
    fill(writer, steps=3)
    writer.abandon()
    with pytest.raises(StoreError, match="unfinished"):
        RunWriter(tmp_path / "run.nc", layout, attributes)
    with RunWriter(tmp_path / "run.nc", layout, attributes, overwrite=True) as writer:
        fill(writer, steps=2)
    assert xr.load_dataset(tmp_path / "run.nc").sizes["time"] == 2


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"polarisation": 1.0}, "did you mean 'polarization'"),
        ({"polarization": [1.0, 2.0]}, r"shape \(\), got \(2,\)"),
        ({"n_groups": 1.5}, "int64, got float64 1.5"),
        ({"n_births": 40_000}, "does not fit"),
        ({"polarization": "high"}, "float64, got"),
        ({"winner": 3}, "is text"),
        ({"winner": "a\0b"}, "NUL"),
        ({"settled": 2}, "bool"),
        ({"position": np.zeros((N_AGENTS, 3))}, "no variable 'position' along 'time'"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_whole(tmp_path, layout, attributes, row, message):
    writer = RunWriter(tmp_path / "run.nc", layout, attributes)
    fill(writer, steps=2)
    with pytest.raises(StoreError, match=message):
        writer.record(2, 2.0, row)
    fill(writer, steps=1, first=2)
    with MemoryWriter(layout, attributes) as memory:
        fill(memory, steps=3)
    assert content_hash(writer.close()) == content_hash(memory.close())


def test_a_step_cannot_be_recorded_twice(layout, attributes):
    writer = MemoryWriter(layout, attributes)
    writer.record(5, 5.0, {})
    with pytest.raises(StoreError, match=r"step 5 .* not later than the last, 5"):
        writer.record(5, 5.0, {})


@pytest.mark.parametrize("rows", [[255, None], [None, 255]])
def test_a_number_that_marks_missing_rows_is_refused_beside_missing_rows(rows):
    layout = Layout({}, {}, (Variable("level", ("time",), "uint8"),), "1")
    writer = MemoryWriter(layout, {})
    writer.record(0, 0.0, {"level": rows[0]})
    with pytest.raises(StoreError, match="wider dtype"):
        writer.record(1, 1.0, {"level": rows[1]})


def test_a_full_range_integer_survives_where_nothing_is_missing(tmp_path):
    layout = Layout({}, {}, (Variable("level", ("time",), "uint64"),), "1")
    with RunWriter(tmp_path / "run.nc", layout, {}) as writer:
        writer.record(0, 0.0, {"level": np.uint64(2**64 - 1)})
    assert int(xr.load_dataset(tmp_path / "run.nc").level[0]) == 2**64 - 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Variable("x y", ("time",)), "letters"),
        (lambda: Variable("dtype", ("time",)), "meaning of its own"),
        (lambda: Variable("x", ("time",), "float46"), "did you mean 'float64'"),
        (lambda: Variable("x", ("time",), attributes={"units": "m"}), "field of Variable"),
        (lambda: Variable("x", ("time",), attributes={"f": object()}), "cannot hold object"),
        (lambda: Layout({"agent": 2}, {}, (Variable("x", ("agents",)),)), "did you mean 'agent'"),
        (lambda: Layout({}, {}, (Variable("x", ("time",)), Variable("x", ("time",)))), "twice"),
        (lambda: Layout({}, {}, (Variable("step", ("time",)),)), "store's own"),
        (lambda: Layout({"time": 3}, {}, ()), "store's own"),
        (lambda: Layout({"agent": 2}, {"agent": (np.arange(3), {})}, ()), r"shape \(3,\)"),
        (lambda: Layout({}, {}, (), "s since 2000-01-01"), "plain unit"),
    ],
)
def test_a_wrong_declaration_is_one_clear_line(make, message):
    with pytest.raises(StoreError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_whole_dataset_is_written_like_a_run(tmp_path, layout, attributes):
    with MemoryWriter(layout, attributes) as writer:
        fill(writer)
    runs = xr.concat([writer.close()] * 3, "run")
    path = write_dataset(runs, tmp_path / "batch.nc")
    xr.testing.assert_identical(xr.load_dataset(path).drop_attrs(), runs.drop_attrs())
    assert xr.load_dataset(path).attrs["content_hash"] == content_hash(runs) == content_hash(path)
    with pytest.raises(StoreError, match="exists"):
        write_dataset(runs, path)


def test_long_series_have_long_chunks_and_big_snapshots_small_ones(tmp_path):
    variables = (Variable("x", ("time",)), Variable("y", ("snapshot_time", "agent", "axis")))
    layout = Layout({"agent": 100_000, "axis": 3}, {}, variables, "1")
    with RunWriter(tmp_path / "run.nc", layout, {}) as writer:
        for step in range(2000):
            writer.record(step, step, {"x": 0.5})
        for step in range(2):
            writer.snapshot(step, step, {"y": np.zeros((100_000, 3))})
    with netCDF4.Dataset(tmp_path / "run.nc") as file:
        assert file["x"].chunking() == [2000]
        rows, agents, axes = file["y"].chunking()
        assert (rows, axes) == (1, 3)
        assert 2**16 < 8 * agents * axes <= 2**19
