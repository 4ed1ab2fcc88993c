from __future__ import annotations

import netCDF4
import numpy as np
import pytest
import xarray as xr
from example_runs import fill

from simengine.errors import StoreError
from simengine.store import Layout, MemoryWriter, RunWriter, Variable, content_hash, write_dataset


@pytest.fixture
def run(layout, attributes) -> xr.Dataset:
    writer = MemoryWriter(layout, attributes, volatile={"host": "here"})
    fill(writer)
    return writer.close({}, {"finished_at": "noon"})


def test_the_hash_of_a_known_run_never_changes():
    layout = Layout({"axis": 2}, {"axis": (["x", "y"], {})}, (Variable("x", ("time", "axis")),), "s")
    writer = MemoryWriter(layout, {"seed": 1, "noise": 0.5, "periodic": True})
    writer.record(0, 0.0, {"x": [1.0, np.nan]})
    assert content_hash(writer.close()) == "9aaef0b995334fd356df34aa0991fe7ff55a29d55fa383492602effae8e4b1b7"


def test_segments_and_volatile_values_do_not_count(tmp_path, layout, attributes, run):
    for number, rows in enumerate((1, 11, 1000)):
        path = tmp_path / f"{number}.nc"
        with RunWriter(path, layout, attributes, volatile={"host": f"n{number}"}, segment_rows=rows) as writer:
            fill(writer, changes={"latency": float(number)})
            writer.close({}, {"finished_at": number})
        assert content_hash(path) == run.attrs["content_hash"] == xr.load_dataset(path).attrs["content_hash"]


def test_chunks_compression_and_order_do_not_count(tmp_path, run):
    swapped = run[list(run.data_vars)[::-1]].assign_attrs(dict(reversed(run.attrs.items())))
    assert content_hash(swapped) == content_hash(run)
    run.to_netcdf(tmp_path / "plain.nc", encoding={"polarization": {"chunksizes": (3,), "zlib": False}})
    assert content_hash(tmp_path / "plain.nc") == content_hash(run)
    assert content_hash(write_dataset(run, tmp_path / "again.nc")) == content_hash(run)


def test_byte_order_memory_order_and_nan_patterns_do_not_count(run):
    changed = run.copy(deep=True)
    changed["polarization"] = changed.polarization.astype(">f8").assign_attrs(run.polarization.attrs)
    changed["position"] = changed.position.copy(data=np.asfortranarray(run.position.values))
    assert content_hash(changed) == content_hash(run)
    other_nan = np.array([0x7FF8000000000001], np.uint64).view(np.float64)[0]
    changed["polarization_null_sd"] = run.polarization_null_sd.copy(data=np.full(40, other_nan))
    assert content_hash(changed) == content_hash(run)


@pytest.mark.parametrize(
    "name", ["polarization", "position", "heading", "n_groups", "settled", "time", "step", "agent"]
)
def test_one_bit_of_any_variable_counts(run, name):
    values = run[name].values.copy()
    values.view(np.uint8).reshape(-1)[-values.itemsize] ^= 1
    changed = run.assign_coords({name: run[name].copy(data=values)}) if name in run.coords else run.copy()
    if name not in run.coords:
        changed[name] = run[name].copy(data=values)
    assert content_hash(changed) != content_hash(run)


def test_a_value_moved_to_another_row_counts(run):
    rolled = run.copy()
    rolled["polarization"] = run.polarization.copy(data=np.roll(run.polarization.values, 1))
    assert content_hash(rolled) != content_hash(run)


@pytest.mark.parametrize(
    "change",
    [
        lambda run: run.assign_attrs(noise=np.nextafter(0.1, 1)),
        lambda run: run.assign_attrs(seed=1),
        lambda run: run.assign_attrs(new="attribute"),
        lambda run: run.rename(polarization="order"),
        lambda run: run.rename(agent="fish"),
        lambda run: run.drop_vars("winner"),
        lambda run: run.assign(heading=run.heading.astype("float64")),
        lambda run: run.assign(polarization=run.polarization.assign_attrs(units="percent")),
        lambda run: run.isel(time=slice(39)),
        lambda run: run.assign(winner=run.winner.copy(data=np.roll(run.winner.values, 1))),
        lambda run: run.transpose("agent", ...),
    ],
)
def test_names_types_shapes_and_attributes_count(run, change):
    assert content_hash(change(run)) != content_hash(run)


def test_integers_and_floats_of_equal_value_are_different_attributes(run):
    assert content_hash(run.assign_attrs(x=1)) != content_hash(run.assign_attrs(x=1.0))
    assert content_hash(run.assign_attrs(x=True)) != content_hash(run.assign_attrs(x=1))


def test_texts_are_not_confused_with_their_neighbours():
    def of(*texts):
        return content_hash(xr.Dataset({"x": ("i", np.array(texts))}))

    assert of("ab", "c") != of("a", "bc")


def test_a_big_variable_is_hashed_in_blocks_as_in_one(tmp_path):
    values = np.random.default_rng(1).random((5, 2**20))
    dataset = xr.Dataset({"x": (("i", "j"), values)})
    assert content_hash(write_dataset(dataset, tmp_path / "x.nc")) == content_hash(dataset)
    assert content_hash(dataset) != content_hash(xr.Dataset({"x": (("i", "j"), values[::-1])}))


def test_what_is_no_run_file_is_refused(tmp_path):
    (tmp_path / "x.nc").write_text("no")
    for path in (tmp_path / "x.nc", tmp_path / "none.nc"):
        with pytest.raises(StoreError, match=r"cannot read .*\.nc"):
            content_hash(path)
    with pytest.raises(StoreError, match="dtype complex128"):
        content_hash(xr.Dataset({"x": 1j}))


def test_the_stored_hash_is_that_of_the_file(tmp_path, run):
    path = write_dataset(run, tmp_path / "run.nc")
    with netCDF4.Dataset(path) as file:
        assert file.content_hash == content_hash(path)
