"""Arrays, DataArrays and run files become the same blocks; what cannot be measured is refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray

import simengine
from simengine import InputError
from simengine.diagnostics.samples import checked_counts, samples, series

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def flock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flock") / "flock.nc"
    simengine.run("flocking", n_agents=20, steps=4, snapshot_every=2, out=path, progress=False).close()
    return path


@pytest.mark.parametrize(
    ("shape", "block"), [((7,), (7, 1)), ((7, 3), (7, 3)), ((2, 7, 3), (2, 7, 3)), ((4, 2, 7, 3), (4, 2, 7, 3))]
)
def test_samples_run_along_the_last_axis_but_one(shape: tuple[int, ...], block: tuple[int, ...]) -> None:
    (found,) = samples(RNG.normal(size=shape)).arrays
    assert found.shape == block


def test_a_batch_is_shared_by_all_variables() -> None:
    blocks = samples(RNG.normal(size=(3, 7, 2)), RNG.normal(size=(7, 1)))
    assert blocks.batch == (3,)
    assert [tuple(array.shape for array in arrays) for arrays in blocks] == [((7, 2), (7, 1))] * 3


def test_the_components_of_vectors_in_run_files_are_known_and_other_dims_are_a_batch(flock: Path) -> None:
    blocks = samples("heading", data=flock, dim="agent")
    assert blocks.dims == ("snapshot_time",)
    assert blocks.arrays[0].shape == (3, 20, 2)
    with xarray.open_dataset(flock) as dataset:
        np.testing.assert_array_equal(blocks.arrays[0], dataset.heading.transpose("snapshot_time", "agent", ...))
        np.testing.assert_array_equal(blocks.coords["snapshot_time"], dataset.snapshot_time)
        pooled = samples("heading", data=dataset, dim=("snapshot_time", "agent"))
        assert pooled.arrays[0].shape == (60, 2)
        apart = samples("heading", data=dataset, dim="axis_2")
        assert apart.batch == (3, 20)


def test_a_scalar_goes_with_a_vector() -> None:
    opinion = xarray.DataArray(np.arange(6.0).reshape(2, 3), dims=("time", "agent"))
    place = xarray.DataArray(np.arange(12.0).reshape(2, 3, 2), dims=("time", "agent", "xy"))
    blocks = samples(opinion, place, dim="agent", components="xy")
    assert [array.shape for array in blocks.arrays] == [(2, 3, 1), (2, 3, 2)]
    assert blocks.dims == ("time",)


def test_a_series_runs_along_time_and_agents_may_be_pooled(flock: Path) -> None:
    assert series("polarization", data=flock).arrays[0].shape == (1, 5)
    blocks = series("position", data=flock, dim="snapshot_time", pool="agent")
    assert blocks.arrays[0].shape == (2, 20, 3)
    assert blocks.dims == ("axis_2",)
    assert series(RNG.normal(size=(4, 9))).arrays[0].shape == (4, 9)


def test_dims_are_matched_by_name_not_by_place() -> None:
    x = xarray.DataArray(RNG.normal(size=(5, 4)), dims=("agent", "time"))
    y = xarray.DataArray(RNG.normal(size=(4, 5)), dims=("time", "agent"))
    blocks = samples(x, y, dim="agent")
    assert blocks.dims == ("time",)
    np.testing.assert_array_equal(blocks.arrays[0][2, :, 0], x[:, 2])
    np.testing.assert_array_equal(blocks.arrays[1][2, :, 0], y[2])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: samples([1.0, np.nan]), "data holds nan at 1; expected finite numbers"),
        (lambda: samples([1.0, np.inf]), "data holds inf at 1; expected finite numbers"),
        (lambda: samples([1.0, 1e80]), "expected finite numbers below 1e"),
        (lambda: samples([1, 2], [1, 2, 3]), "the numbers of samples differ: x 2, y 3"),
        (lambda: samples([]), "data is empty"),
        (lambda: samples(3.0), "data is a single number"),
        (lambda: samples([1.5, 2.0], discrete=True), "holds fractions where states are counted"),
        (lambda: samples(["a", "b"], discrete=False), "holds texts"),
        (lambda: samples([1 + 2j]), "holds complex128"),
        (lambda: samples("opinion"), "data= must say of which file"),
        (lambda: samples("opinion", data="nowhere.nc"), "nowhere.nc cannot be opened: there is no such file"),
        (lambda: samples("opinion", data=__file__), "it is no run file"),
        (lambda: samples("opinion", data=str(Path(__file__).parent)), "give data=simengine.open"),
        (lambda: samples("opinio", data=xarray.Dataset({"opinion": ("agent", [1.0])})), "did you mean 'opinion'"),
        (lambda: samples(xarray.Dataset({"opinion": ("agent", [1.0])})), "give one of its variables: opinion"),
        (lambda: samples(xarray.DataArray(np.zeros((2, 3)), dims=("agent", "time"))), "dim= must say"),
        (lambda: samples(xarray.DataArray(np.zeros(2), dims=("agent",)), dim="agents"), "did you mean 'agent'"),
        (lambda: samples(xarray.DataArray(np.zeros(2), dims=("agent",)), [1, 2]), "y: a plain array beside DataArrays"),
        (lambda: samples([1.0, 2.0], dim="agent"), "data have no named dims"),
        (lambda: samples(xarray.DataArray(np.zeros(2), dims=("agent",)), components="axes"), "no variable has a dim"),
        (
            lambda: samples(
                xarray.DataArray([1.0, 2.0], coords={"time": [0, 1]}),
                xarray.DataArray([1.0, 2.0], coords={"time": [5, 6]}),
            ),
            "x and y do not fit together",
        ),
        (lambda: series(np.zeros((2, 3, 4))), "expected a series of shape"),
        (lambda: checked_counts([1, -1]), "counts holds -1 at"),
        (lambda: checked_counts([0.5, 1.0]), "no whole numbers"),
        (lambda: checked_counts([]), "counts is empty"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(wrong: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        wrong()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "bad",
    [np.ma.masked_array([1.0, 2.0], [False, True]), [[1.0, 2.0], [3.0]], np.array(["a"] * 150 + [None], object),
     np.array([1.0, 1e80]), np.empty((5, 0)), np.array([1.0, -np.inf], np.float32)],
    ids=["masked", "ragged", "mixed", "too large", "no components", "infinite"],
)  # fmt: skip
def test_what_is_no_sample_is_refused_in_one_line(bad: Any) -> None:
    with pytest.raises(InputError) as said:
        samples(bad, names=("x",))
    assert "\n" not in str(said.value)


@pytest.mark.parametrize(
    "bad", [[2**62] * 3, [1e30, 2.0], np.array([2**63 + 5], np.uint64), [[1, 2], [3]], [np.inf], [np.nan]]
)
def test_counts_that_floats_cannot_count_are_refused_in_one_line(bad: Any) -> None:
    with pytest.raises(InputError) as said:
        checked_counts(bad)
    assert "\n" not in str(said.value)


@pytest.mark.parametrize("dim", [["time", "time"], [], 3, ["time", "agent"]])
def test_dims_that_cannot_be_read_along_are_refused(dim: Any) -> None:
    array = xarray.DataArray(np.zeros((5, 4)), dims=("time", "agent"))
    with pytest.raises(InputError):
        samples(array, dim=dim, components="agent")


def test_data_is_a_dataset_or_a_path() -> None:
    with pytest.raises(InputError, match="data is a int"):
        samples("x", data=5)
