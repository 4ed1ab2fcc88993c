from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from example_sweeps import GRID, LATIN, LAYOUT, create, do, outcome, write
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine.errors import StoreError
from simengine.store import content_hash, decode_attributes, write_dataset
from simengine.store.layout import Layout, Variable
from simengine.sweeps import compaction
from simengine.sweeps.blocks import Block
from simengine.sweeps.compaction import compact
from simengine.sweeps.design import Design, full_grid
from simengine.sweeps.folder import SweepFolder
from simengine.sweeps.lazy import RunArray
from simengine.sweeps.opening import SweepBackend, column_array, failures, open_sweep
from simengine.sweeps.seeds import run_seed

WITHOUT_FAILURES = full_grid({"noise": (0.0, 0.25), "n_agents": (100, 50)})


@pytest.fixture(params=["batches", "compacted"])
def finish(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Do what is missing; leave the batches, or compact them to several files."""
    monkeypatch.setattr(compaction, "FILE_BYTES", 2500)

    def finished(folder: SweepFolder) -> Path:
        do(folder)
        if request.param == "compacted":
            compact(folder)
        return folder.path

    return finished


def test_a_grid_has_the_swept_parameters_as_dims(tmp_path: Path, finish: Any) -> None:
    folder = create(tmp_path / "sweep")
    with open_sweep(finish(folder)) as dataset:
        assert dataset["histogram"].dims == ("noise", "n_agents", "replicate", "time", "bin")
        assert dataset["noise"].values.tolist() == [0.0, 0.5, 1.0]
        assert dataset["n_agents"].dtype == np.int64
        assert dataset["step"].dims == ("time",)
        assert dataset["step"].values.tolist() == [0, 10, 20, 30, 40]
        assert dataset["time"].values.tolist() == [0.0, 2.5, 5.0, 7.5, 10.0]
        _, expected = outcome(folder.description, {"noise": 0.0, "n_agents": 100}, 2)
        one = dataset.sel(noise=0.0, n_agents=100, replicate=2)
        for name, values in expected.values.items():
            np.testing.assert_array_equal(one[name].values, values)


def test_a_sparse_design_has_runs_with_their_parameters_as_coordinates(tmp_path: Path, finish: Any) -> None:
    folder = create(tmp_path / "sweep", LATIN)
    with open_sweep(finish(folder)) as dataset:
        assert dataset["order"].dims == ("run", "time")
        assert set(dataset.coords) == {"noise", "rule", "point", "replicate", "time", "step", "bin"}
        assert dataset["rule"].values.tolist() == ["a"] * 3 + ["b"] * 3 + ["a"] * 3
        assert dataset["replicate"].values.tolist() == [0, 1, 2] * 3
        assert dataset["point"].values.tolist() == [0] * 3 + [1] * 3 + [2] * 3
        for run in range(9):
            _, expected = outcome(folder.description, LATIN.point(run // 3), run % 3)
            np.testing.assert_array_equal(dataset["n_groups"][run], expected.values["n_groups"])


def test_variables_and_coordinates_say_what_they_are(tmp_path: Path, finish: Any) -> None:
    with open_sweep(finish(create(tmp_path / "sweep"))) as dataset:
        assert dataset["order"].attrs == {"units": "m s-1", "long_name": "order parameter"}
        assert dataset["noise"].attrs == {"units": "rad", "long_name": "noise"}
        assert dataset["bin"].attrs == {"units": "m", "long_name": "middle of the bin"}
        assert dataset["time"].attrs["units"] == "s"
        assert dataset["settled"].attrs["flag_meanings"] == "false true"
        said = decode_attributes(dataset.attrs)
        assert (said["title"], said["parameter_bound"], said["sweep_seed"]) == ("An example", 0.25, 7)
        assert said["design"] == {"kind": "grid", "names": ["noise", "n_agents"], "details": {}}
        assert said["Conventions"] == "CF-1.11"


def test_integers_and_truths_stay_what_they_are_where_nothing_is_missing(tmp_path: Path, finish: Any) -> None:
    folder = create(tmp_path / "sweep", WITHOUT_FAILURES)
    with open_sweep(finish(folder)) as dataset:
        assert dataset["n_groups"].dtype == np.int64
        assert dataset["settled"].dtype == np.int8
        assert dataset["histogram"].dtype == np.int64
        assert dataset["stopped_at"].dtype == np.int64
        _, expected = outcome(folder.description, {"noise": 0.25, "n_agents": 50}, 1)
        values = dataset["n_groups"].sel(noise=0.25, n_agents=50, replicate=1).values
        assert values.tolist() == expected.values["n_groups"].tolist()
        assert int(values.min()) >= 2**60
        assert "_FillValue" not in dataset["n_groups"].encoding


def test_failed_runs_and_what_comes_after_an_end_are_fill_values(tmp_path: Path, finish: Any) -> None:
    with open_sweep(finish(create(tmp_path / "sweep"))) as dataset:
        failed = dataset.sel(noise=1.0, replicate=1)
        assert (failed["status"] == 1).all()
        for name in ("order", "n_groups", "settled", "histogram", "stopped_at"):
            assert failed[name].isnull().all()
        stopped = dataset.sel(noise=0.5)
        assert stopped["order"].isnull().any(("n_agents", "replicate")).values.tolist() == [False] * 4 + [True]
        assert (stopped["stopped_at"] == 21).all()
        assert stopped["n_groups"].encoding["dtype"] == np.int64
        words = dict(enumerate(dataset["stop_reason"].attrs["flag_meanings"].split()))
        assert words[int(stopped["stop_reason"][0, 0])] == "unchanged_opinion"
        assert words[int(failed["stop_reason"][0])] == "none"
        assert (dataset["status"].attrs["flag_meanings"], dataset["status"].dtype) == ("done failed missing", np.int8)


def test_integers_beyond_floats_can_be_had_exactly_where_some_are_missing(tmp_path: Path, finish: Any) -> None:
    folder = create(tmp_path / "sweep")
    with open_sweep(finish(folder), mask_and_scale=False) as dataset:
        _, expected = outcome(folder.description, {"noise": 0.0, "n_agents": 50}, 0)
        assert dataset["n_groups"][0, 0, 0].values.tolist() == expected.values["n_groups"].tolist()
        assert dataset["n_groups"].attrs["_FillValue"] == np.iinfo(np.int64).min


def test_a_half_finished_sweep_opens_with_what_is_there(tmp_path: Path) -> None:
    folder = create(tmp_path / "sweep")
    folder.journal(write(folder, [(0, 0), (3, 2)]))
    write(folder, [(1, 1)], "not-in-the-journal")
    with open_sweep(folder.path) as dataset:
        assert dataset.attrs["unfinished"] == 1
        assert "content_hash" not in dataset.attrs
        expected = np.full((6, 3), 2)
        expected[0, 0] = expected[3, 2] = 0
        np.testing.assert_array_equal(dataset["status"].values.reshape(6, 3), expected)
        present = dataset["order"].notnull().any("time").values.reshape(6, 3)
        np.testing.assert_array_equal(present, expected == 0)
        seeds = [[run_seed(7, GRID.point(point), replicate) for replicate in range(3)] for point in range(6)]
        assert dataset["seed"].values.reshape(6, 3).tolist() == seeds


def test_a_sweep_that_has_not_begun_opens_empty(tmp_path: Path) -> None:
    folder = create(tmp_path / "sweep")
    with open_sweep(folder.path) as dataset:
        assert dataset["order"].isnull().all()
        assert (dataset["status"] == 2).all()


def test_every_failure_is_listed_with_what_repeats_it(tmp_path: Path, finish: Any) -> None:
    assert failures(finish(create(tmp_path / "sweep"))) == [
        {
            "point": point,
            "replicate": 1,
            "seed": run_seed(7, GRID.point(point), 1),
            "parameters": GRID.point(point),
            "kind": "ValueError",
            "message": "too noisy",
            "traceback": "Traceback ...",
        }
        for point in (4, 5)
    ]


def test_a_swept_time_step_leaves_steps_and_gives_the_time_step_of_each_point(tmp_path: Path, finish: Any) -> None:
    folder = create(tmp_path / "sweep", time_step="noise")
    with open_sweep(finish(folder)) as dataset:
        assert "time" not in dataset.coords
        assert dataset["step"].values.tolist() == [0, 10, 20, 30, 40]
        assert dataset["time_step"].dims == ("noise", "n_agents")
        assert dataset["time_step"].values.tolist() == [[0.0, 0.0], [0.5, 0.5], [1.0, 1.0]]
        assert dataset["time_step"].attrs["units"] == "s"


def test_without_a_stride_the_first_and_the_last_step_are_there_whenever_a_run_ended(
    tmp_path: Path, finish: Any
) -> None:
    with open_sweep(finish(create(tmp_path / "sweep", every=None))) as dataset:
        assert dataset["step"].values.tolist() == [0, 40]
        assert dataset["order"].sel(noise=0.5).notnull().all()


def test_names_that_are_taken_are_told_apart(tmp_path: Path) -> None:
    layout = Layout({}, {}, (Variable("noise", ("time",)), Variable("status", ("time",)), Variable("seed", ("time",))))
    folder = create(tmp_path / "sweep", layout=layout)
    with open_sweep(folder.path) as dataset:
        assert dataset["status"].dims == ("parameter_noise", "n_agents", "replicate", "time")
        assert dataset["noise"].dims == dataset["status"].dims
        assert dataset["run_status"].dims == dataset["run_seed"].dims == ("parameter_noise", "n_agents", "replicate")


def test_only_the_files_that_have_a_run_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "FILE_BYTES", 2500)
    folder = create(tmp_path / "sweep")
    do(folder)
    compact(folder)
    files = sorted(path for path in (folder.path / "data").iterdir() if "runs" not in path.name)
    assert len(files) == 3
    with open_sweep(folder.path) as dataset:
        for path in files[1:]:
            path.unlink()
        first = dataset["order"].isel(noise=0, n_agents=0, replicate=0)
        _, expected = outcome(folder.description, GRID.point(0), 0)
        np.testing.assert_array_equal(first, expected.values["order"])
        with pytest.raises(StoreError, match="open it again"):
            dataset["order"].load()


def test_loading_one_variable_at_one_point_reads_nothing_else(
    tmp_path: Path, finish: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = finish(create(tmp_path / "sweep"))
    asked: list[tuple[str, list[int], list[int]]] = []
    truly = Block.read

    def noted(self: Block, name: str, rows: Any, within: Any, out: Any) -> None:
        asked.append((name, list(rows), [len(part) for part in within]))
        truly(self, name, rows, within, out)

    monkeypatch.setattr(Block, "read", noted)
    with open_sweep(path) as dataset:
        assert not asked
        dataset["order"].sel(noise=0.5, n_agents=100).isel(time=-2).load()
        assert {name for name, _, _ in asked} == {"order"}
        assert sum(len(rows) for _, rows, _ in asked) == 3
        assert {tuple(lengths) for _, _, lengths in asked} == {(1,)}


@settings(max_examples=100)
@given(data=st.data())
def test_any_selection_of_a_lazy_array_is_that_of_the_values(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, values = lazy_example(tmp_path_factory)
    array = RunArray(
        folder.holdings.files, "histogram", folder.holdings.source, folder.holdings.row, (5, 3), np.dtype("int64"), -1
    )
    key: list[Any] = []
    for length in array.shape:
        key.append(
            data.draw(
                st.one_of(
                    st.integers(-length, length - 1),
                    st.slices(length),
                    st.lists(st.integers(0, length - 1), max_size=4).map(lambda found: np.array(found, np.int64)),
                )
            )
        )
    expected = values
    for axis in range(len(key) - 1, -1, -1):
        part = key[axis]
        expected = (
            np.take(expected, part, axis) if not isinstance(part, slice) else expected[(slice(None),) * axis + (part,)]
        )
    np.testing.assert_array_equal(array._read(tuple(key)), expected)


_LAZY: list[tuple[SweepFolder, np.ndarray]] = []


def lazy_example(factory: pytest.TempPathFactory) -> tuple[SweepFolder, np.ndarray]:
    """A sweep of which runs are missing, in several files, and its values; made once."""
    if not _LAZY:
        folder = create(factory.mktemp("lazy") / "sweep")
        keys = np.random.default_rng(3).permutation(folder.missing())[:13]
        do(folder, keys, 3)
        values = np.full((6, 3, 5, 3), -1)
        for point, replicate in keys.tolist():
            _, found = outcome(folder.description, GRID.point(point), replicate)
            if found.failure is None:
                values[point, replicate, : len(found.steps)] = found.values["histogram"]
        values[values == np.iinfo(np.int64).min] = -1
        folder.release()
        array = RunArray(
            folder.holdings.files,
            "histogram",
            folder.holdings.source,
            folder.holdings.row,
            (5, 3),
            np.dtype("int64"),
            -1,
        )
        whole = array._read((slice(None),) * 4)
        assert (whole[values != -1] == values[values != -1]).all()
        _LAZY.append((folder, whole))
    return _LAZY[0]


def test_the_dataset_can_be_written_as_one_file_and_pickled(tmp_path: Path, finish: Any) -> None:
    with open_sweep(finish(create(tmp_path / "sweep"))) as dataset:
        write_dataset(dataset, tmp_path / "merged.nc")
        again = pickle.loads(pickle.dumps(dataset))
        xr.testing.assert_equal(again, dataset)
        with xr.open_dataset(tmp_path / "merged.nc") as written:
            for name in dataset.variables:
                np.testing.assert_array_equal(written[name].values, dataset[name].values)


def test_xarray_opens_the_folder_by_itself(tmp_path: Path, finish: Any) -> None:
    path = finish(create(tmp_path / "sweep"))
    with xr.open_dataset(path, engine=SweepBackend, drop_variables="order") as dataset, open_sweep(path) as own:
        assert "order" not in dataset
        assert content_hash(dataset) == content_hash(own.drop_vars("order"))


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ((True, False), "bool"), ((1, 2), "int64"), ((1, 2.5), "float64"), ((None, 2), "float64"),
        (("a", "bc"), "<U2"), (("a", None), "<U4"), ((1, "a"), "<U1"), ((2**70, 1), "float64"),
    ],
)  # fmt: skip
def test_values_of_a_parameter_have_one_type(values: tuple[Any, ...], dtype: str) -> None:
    assert column_array(values).dtype == np.dtype(dtype)


def test_switches_and_texts_can_be_axes(tmp_path: Path) -> None:
    design = full_grid({"noise": (0.0,), "rule": ("b", "a"), "open": (False, True)})
    folder = create(tmp_path / "sweep", design)
    do(folder)
    with open_sweep(folder.path) as dataset:
        assert dataset["order"].dims == ("noise", "rule", "open", "replicate", "time")
        assert dataset["rule"].values.tolist() == ["b", "a"]
        _, expected = outcome(folder.description, {"noise": 0.0, "rule": "a", "open": True}, 1)
        found = dataset["order"].sel(noise=0.0, rule="a", open=True, replicate=1)
        np.testing.assert_array_equal(found, expected.values["order"])


def test_a_sample_with_one_point_twice_keeps_both(tmp_path: Path) -> None:
    design = Design("morris", ("noise",), {"noise": (0.25, 0.75, 0.25)})
    folder = create(tmp_path / "sweep", design, replicates=1)
    do(folder)
    with open_sweep(folder.path) as dataset:
        np.testing.assert_array_equal(dataset["order"][0], dataset["order"][2])
        assert dataset["noise"].values.tolist() == [0.25, 0.75, 0.25]


def test_what_is_no_sweep_is_told_in_one_line(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(StoreError, match="holds no sweep"):
            open_sweep(path)
    assert LAYOUT.time_unit == "s"
