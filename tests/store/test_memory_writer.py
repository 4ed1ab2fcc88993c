from __future__ import annotations

import netCDF4
import numpy as np
import pytest
import xarray as xr
from example_runs import N_AGENTS, fill
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simengine.errors import StoreError
from simengine.store import Layout, MemoryWriter, RunWriter, Variable, content_hash

FINAL = ({"stop_reason": "steps"}, {"finished_at": "noon"})


def storage(path):
    """All that a file says besides its values."""
    with netCDF4.Dataset(path) as file:
        file.set_auto_maskandscale(False)
        return {
            name: (
                *(variable.dtype, variable.dimensions, variable.chunking(), variable.filters()),
                {key: repr(variable.getncattr(key)) for key in variable.ncattrs()},
            )
            for name, variable in file.variables.items()
        }


@pytest.mark.parametrize("steps", [0, 1, 40])
def test_a_file_written_from_memory_is_that_of_the_streaming_writer(tmp_path, layout, attributes, steps):
    memory = MemoryWriter(layout, attributes, volatile={"host": "a"})
    fill(memory, steps)
    writer = RunWriter(tmp_path / "streamed.nc", layout, attributes, volatile={"host": "a"}, segment_rows=7)
    fill(writer, steps)
    streamed = writer.close(*FINAL)
    written = memory.write(tmp_path / "memory.nc", *FINAL)
    assert content_hash(written) == content_hash(streamed)
    assert storage(written) == storage(streamed)
    with xr.open_dataset(written) as one, xr.open_dataset(streamed) as other:
        xr.testing.assert_identical(one, other)
        for name in one.variables:
            mine, theirs = dict(one[name].encoding), dict(other[name].encoding)
            for encoding in (mine, theirs):
                encoding.pop("source", None)
            assert repr(mine) == repr(theirs)


def test_a_dataset_in_between_leaves_the_writer_open(tmp_path, layout, attributes):
    memory = MemoryWriter(layout, attributes)
    fill(memory, 10)
    between = memory.dataset(*FINAL)
    assert between.sizes["time"] == 10
    assert between.attrs["stop_reason"] == "steps"
    memory.write(tmp_path / "between.nc", *FINAL)
    assert content_hash(tmp_path / "between.nc") == content_hash(between) == between.attrs["content_hash"]
    fill(memory, 30, first=10)
    assert between.sizes["time"] == 10
    whole = MemoryWriter(layout, attributes)
    fill(whole)
    xr.testing.assert_identical(memory.close(), whole.close())


def test_a_written_dataset_does_not_follow_later_rows(layout, attributes):
    memory = MemoryWriter(layout, attributes)
    fill(memory, 10)
    mark = memory.mark()
    memory.record(99, 99.0, {"polarization": 7.0})
    with_last = memory.dataset()
    memory.rollback(mark)
    memory.record(10, 10.0, {"polarization": 1.0})
    assert float(with_last.polarization[-1]) == 7.0


def test_an_existing_file_is_replaced_only_if_told_to(tmp_path, layout, attributes):
    memory = MemoryWriter(layout, attributes)
    fill(memory, 3)
    path = memory.write(tmp_path / "run.nc")
    with pytest.raises(StoreError, match="exists"):
        memory.write(path)
    RunWriter(path, layout, attributes, overwrite=True)
    memory.write(path, overwrite=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.nc"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=8))
def test_rolled_back_rows_leave_no_trace(layout, attributes, moves):
    tried, plain = MemoryWriter(layout, attributes), MemoryWriter(layout, attributes)
    step = 0
    for kept, count in moves:
        mark = tried.mark()
        fill(tried, count, first=step)
        if kept:
            fill(plain, count, first=step)
            step += count
        else:
            tried.record(1000, 0.0, {"n_groups": None, "winner": "x"})
            tried.snapshot(1000, 0.0, {"caste": np.ma.masked_all(N_AGENTS, np.uint8)})
            tried.static({"mass": np.ones(N_AGENTS)})
            tried.rollback(mark)
    xr.testing.assert_identical(tried.close(), plain.close())


def test_a_rolled_back_missing_value_does_not_forbid_the_number_that_marks_it():
    layout = Layout({}, {}, (Variable("level", ("time",), "uint8"),), "1")
    memory = MemoryWriter(layout, {})
    mark = memory.mark()
    memory.record(0, 0.0, {})
    memory.rollback(mark)
    memory.record(0, 0.0, {"level": 255})
    assert int(memory.close().level[0]) == 255


def test_a_refused_row_leaves_no_missing_value_behind():
    layout = Layout({}, {}, (Variable("level", ("time",), "uint8"), Variable("x", ("time",))), "1")
    memory = MemoryWriter(layout, {})
    with pytest.raises(StoreError, match="float64"):
        memory.record(0, 0.0, {"x": "text"})
    memory.record(0, 0.0, {"level": 255, "x": 1.0})
    assert int(memory.close().level[0]) == 255


def test_static_values_may_be_given_at_the_start_and_may_be_masked(tmp_path):
    layout = Layout({"agent": 3}, {}, (Variable("start_age", ("agent",), "int64"), Variable("x", ("time",))), "1")
    static = {"start_age": np.ma.masked_array([1, 2, 3], [False, True, False])}
    memory = MemoryWriter(layout, {}, static=static)
    writer = RunWriter(tmp_path / "run.nc", layout, {}, static=static)
    for one in (memory, writer):
        one.record(0, 0.0, {"x": 1.0})
    dataset = memory.close()
    np.testing.assert_array_equal(dataset.start_age, [1, np.nan, 3])
    assert content_hash(writer.close()) == dataset.attrs["content_hash"]
    with pytest.raises(StoreError, match="did you mean 'start_age'"):
        MemoryWriter(layout, {}, static={"start_aeg": 1})
