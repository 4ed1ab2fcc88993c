"""Runs, sweeps and decisions as tables and Zarr stores that other programs read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import simengine
from simengine.analysis.interchange import tables, zarr_stores
from simengine.analysis.interchange.tables import blocks
from simengine.errors import InputError
from simengine.policies.language.contexts import digest_of
from simengine.policies.language.record import Record
from simengine.store import Layout, RunWriter, Variable, content_hash
from simengine.sweeps.batches import write_batch
from simengine.sweeps.description import Description
from simengine.sweeps.design import full_grid
from simengine.sweeps.folder import SweepFolder
from simengine.sweeps.outcomes import Failure, Outcome

pandas = pytest.importorskip("pandas")
parquet = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("zarr")

FLAGS = {"flag_masks": [1, 2], "flag_meanings": "small_sample ties"}
LAYOUT = Layout(
    {"agent": 3, "village": 2, "axis": 2},
    {"axis": (np.array(["x", "y"]), {}), "agent": (np.arange(3), {})},
    (
        Variable("height", ("time",), unit="m", long_name="mean height"),
        Variable("height_flags", ("time",), "int64", attributes=FLAGS),
        Variable("number", ("time",), "int64"),
        Variable("settled", ("time",), "bool"),
        Variable("stock", ("time", "village"), unit="kg"),
        Variable("position", ("snapshot_time", "agent", "axis"), unit="m"),
        Variable("agent_id", ("snapshot_time", "agent"), "int64"),
        Variable("wealth", ("snapshot_time", "village")),
    ),
    time_unit="s",
)
ATTRIBUTES = {"scenario": "Heights", "seed": 3, "parameter_slope": 0.5, "policies": None, "tags": ["one"]}
STEPS = 5


@pytest.fixture
def run(tmp_path: Path) -> Path:
    with RunWriter(tmp_path / "run.nc", LAYOUT, ATTRIBUTES, volatile={"host": "here"}) as writer:
        for step in range(STEPS):
            row: dict[str, Any] = {"height": step / 3, "height_flags": 2, "settled": step > 2, "stock": [step, -step]}
            writer.record(step, 0.5 * step, row if step == 1 else {**row, "number": step})
            if step % 2 == 0:
                position = np.arange(6.0).reshape(3, 2) + 10 * step
                ids = np.array([4, 5, -1 if step else 6])
                writer.snapshot(step, 0.5 * step, {"position": position, "agent_id": ids, "wealth": [1.0, 2.0]})
    return tmp_path / "run.nc"


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    layout = Layout({}, {}, (Variable("mean_place", ("time",)), Variable("ahead", ("time",), "int64")))
    description = Description(layout, 2, 1, {"scenario": "Falling", "sweep_seed": 1})
    design = full_grid({"drift": [0.1, 0.9], "kind": ["a", "b"]})
    runs = [(point, replicate, 2**63 + point) for point in range(4) for replicate in range(2)]
    steps = np.arange(3)
    values = {"mean_place": steps * 0.5, "ahead": steps * 2}
    lost = Failure("ValueError", "lost")
    outcomes = [
        Outcome({}, steps[:0], 0, "", lost) if point == 3 else Outcome(values, steps, 2, "steps")
        for point, _, _ in runs
    ]
    with SweepFolder.create(tmp_path / "sweep", description, design, 2) as folder:
        folder.journal(write_batch(folder.path, "b1", layout, runs, outcomes))
    return tmp_path / "sweep"


def test_observables_become_a_table_with_a_row_for_each_time(run: Path, tmp_path: Path) -> None:
    out = simengine.export(run, tmp_path / "run.parquet")
    found = pandas.read_parquet(out, dtype_backend="numpy_nullable")
    assert list(found) == ["step", "time", "height", "height_flags", "number", "settled"]
    assert found["height"].tolist() == [step / 3 for step in range(STEPS)]
    assert found["settled"].tolist() == [False, False, False, True, True]
    assert str(found["number"].dtype) == "Int64"
    assert found["number"].isna().tolist() == [False, True, False, False, False]


def test_units_and_attributes_stand_in_the_metadata_of_a_parquet_file(run: Path, tmp_path: Path) -> None:
    schema = parquet.read_schema(simengine.export(run, tmp_path / "run.parquet"))
    assert schema.field("height").metadata[b"units"] == b"m"
    said = json.loads(schema.metadata[b"simengine"])
    assert said["attributes"]["tags"] == ["one"]
    assert said["attributes"]["policies"] is None
    assert said["columns"]["time"]["units"] == "s"
    assert said["columns"]["height_flags"]["flag_meanings"] == "small_sample ties"


def test_a_csv_file_has_all_digits_and_its_units_beside_it(run: Path, tmp_path: Path) -> None:
    out = simengine.export(run, tmp_path / "run.csv")
    assert out.read_text().splitlines()[:3] == [
        "step,time,height,height_flags,number,settled",
        "0,0.0,0.0,2,0,false",
        "1,0.5,0.3333333333333333,2,,false",
    ]
    found = pandas.read_csv(out)
    assert found["height"].tolist() == [step / 3 for step in range(STEPS)]
    assert found["settled"].dtype == bool
    assert json.loads((tmp_path / "run.csv.json").read_text())["columns"]["height"]["units"] == "m"


def test_names_of_more_dimensions_make_rows_over_all_of_these(run: Path, tmp_path: Path) -> None:
    found = pandas.read_csv(simengine.export(run, tmp_path / "run.csv", names=["stock", "height"]))
    assert list(found) == ["step", "time", "village", "height", "height_flags", "stock"]
    assert found["village"].tolist() == [0, 1] * STEPS
    assert found["stock"].tolist() == [sign * step for step in range(STEPS) for sign in (1.0, -1.0)]


def test_snapshots_of_a_population_have_a_row_for_each_living_agent(run: Path, tmp_path: Path) -> None:
    found = pandas.read_parquet(simengine.export(run, tmp_path / "agents.parquet", what="snapshots"))
    assert list(found) == ["step", "time", "agent", "position_x", "position_y", "agent_id"]
    assert found["agent_id"].tolist() == [4, 5, 6, 4, 5, 4, 5]
    assert found["position_y"].tolist() == [1.0, 3.0, 5.0, 21.0, 23.0, 41.0, 43.0]
    with pytest.raises(InputError, match="of several: agent, village"):
        simengine.export(run, tmp_path / "mixed.csv", what="snapshots", names=["position", "wealth"])


def test_a_sweep_has_its_parameters_seeds_and_status_as_columns(sweep: Path, tmp_path: Path) -> None:
    found = pandas.read_parquet(simengine.export(sweep, tmp_path / "sweep.parquet"))
    assert list(found) == ["drift", "kind", "replicate", "seed", "status", "step", "time", "mean_place", "ahead"]
    assert len(found) == 4 * 2 * 3
    assert found["seed"].iloc[-1] == 2**63 + 3
    assert found.groupby("status").size().to_dict() == {"done": 18, "failed": 6}
    done = found[found.status == "done"]
    assert done[(done.drift == 0.9) & (done.replicate == 1)]["ahead"].tolist() == [0, 2, 4]
    assert found[found.status == "failed"]["mean_place"].isna().all()


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_batches_of_any_size_give_the_same_table(
    run: Path, sweep: Path, tmp_path: Path, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = [simengine.export(path, tmp_path / f"{path.stem}.csv").read_bytes() for path in (run, sweep)]
    monkeypatch.setattr(tables, "BATCH_ROWS", rows)
    parts = [simengine.export(path, tmp_path / f"{path.stem}_{rows}.csv").read_bytes() for path in (run, sweep)]
    assert parts == whole


@pytest.mark.parametrize("shape", [(), (0, 3), (5,), (3, 4), (2, 3, 4)])
@pytest.mark.parametrize("most", [1, 3, 5, 100])
def test_blocks_cover_an_array_in_order_and_keep_to_their_size(shape: tuple[int, ...], most: int) -> None:
    numbers = np.arange(int(np.prod(shape))).reshape(shape)
    parts = [numbers[block].ravel() for block in blocks(shape, most)]
    assert all(len(part) <= most for part in parts)
    np.testing.assert_array_equal(np.concatenate([np.empty(0, int), *parts]), numbers.ravel())


@pytest.mark.parametrize("size", [100, 1 << 26])
def test_a_zarr_store_reads_back_equal_with_the_same_content_hash(
    run: Path, sweep: Path, tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zarr_stores, "BLOCK_BYTES", size)
    for source in (run, sweep):
        out = simengine.export(source, tmp_path / f"{source.stem}.zarr")
        with simengine.open(source) as expected, xr.open_zarr(out) as found:
            assert content_hash(found.load()) == content_hash(expected.load())
            if "content_hash" in expected.attrs:
                assert content_hash(found) == expected.attrs["content_hash"]
            assert set(found.variables) == set(expected.variables)
            np.testing.assert_array_equal(found[next(iter(found.data_vars))], expected[next(iter(found.data_vars))])


def decided(path: Path) -> None:
    """Write a record with the decisions of three steps: what agents saw are a number, a list, a text and a persona."""
    with Record(path) as record:
        for step in range(3):
            rows = [
                {"persona": "a miser", "stock": 3, "others": [1.5, 2], "said": "no"},
                {"persona": "a saint", "stock": 2.5, "others": [], "said": None},
            ]
            texts = [json.dumps(row) for row in rows]
            record.keep_texts({digest_of(text): text for text in texts})
            columns = {
                "ids": np.array([0, 1]), "action": np.array([step, 7]), "provenance": np.array([1, 5]),
                "entropy": np.array([0.5, np.nan]), "coverage": np.array([1.0, np.nan]),
                "context": np.array([digest_of(text) for text in texts]),
                "probability": np.array([[0.25, 0.75], [np.nan, np.nan]]),
            }  # fmt: skip
            record.keep_decisions(step, "agents.choose", **columns)


def test_decisions_have_the_persona_and_what_was_seen_as_columns(tmp_path: Path) -> None:
    decided(tmp_path / "run.nc.calls")
    found = pandas.read_parquet(simengine.export(tmp_path / "run.nc", tmp_path / "d.parquet", what="decisions"))
    assert list(found) == [
        "step", "agent", "action", "provenance", "entropy", "coverage", "probability_0", "probability_1", "persona",
        "seen_others", "seen_said", "seen_stock",
    ]  # fmt: skip
    assert found["step"].tolist() == [0, 0, 1, 1, 2, 2]
    assert found["provenance"].tolist() == ["answered", "fallback"] * 3
    assert found["persona"].tolist() == ["a miser", "a saint"] * 3
    assert found["seen_stock"].tolist() == [3.0, 2.5] * 3
    assert found["seen_others"].tolist()[:2] == ["[1.5, 2]", "[]"]
    assert found["seen_said"].isna().tolist() == [False, True] * 3
    assert found["probability_1"].iloc[0] == 0.75
    again = simengine.export(simengine.decisions(tmp_path / "run.nc"), tmp_path / "again.csv", what="decisions")
    assert simengine.export(tmp_path / "run.nc", tmp_path / "d.csv", what="decisions").read_text() == again.read_text()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"out": "x.parqet"}, "allowed are .parquet, .csv, .zarr; did you mean '.parquet'"),
        ({"out": "nowhere/x.csv"}, "there is no folder"),
        ({"out": "x.csv", "names": "heigt"}, "did you mean 'height'"),
        ({"out": "x.zarr", "names": "heigt"}, "did you mean 'height'"),
        ({"out": "x.csv", "what": "snapshot"}, "did you mean 'snapshots'"),
        ({"out": "x.csv", "what": "decisions"}, "only runs with language models"),
        ({"out": "there.csv"}, "exists; to replace it: overwrite=True"),
        ({"out": "folder.zarr"}, "no Zarr store"),
    ],
)
def test_wrong_requests_are_refused_in_one_line_and_write_nothing(
    run: Path, tmp_path: Path, given: dict[str, str], message: str
) -> None:
    (tmp_path / "there.csv").write_text("mine")
    (tmp_path / "folder.zarr").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=message) as caught:
        simengine.export(run, tmp_path / given.pop("out"), **given)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "there.csv").read_text() == "mine"


@pytest.mark.parametrize("ending", ["parquet", "csv", "zarr"])
def test_a_file_is_replaced_when_asked_and_left_as_it_was_when_that_fails(
    run: Path, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = simengine.export(run, tmp_path / f"x.{ending}")
    simengine.export(run, out, overwrite=True)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tables, "_values", fail)
    monkeypatch.setattr(xr.Dataset, "to_zarr", fail)
    with pytest.raises(simengine.StoreError, match="No space left"):
        simengine.export(run, out, overwrite=True)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_missing_package_is_told_with_the_command_that_installs_it(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'need pyarrow: pip install "simengine\[export\]"'):
        simengine.export(run, tmp_path / "x.parquet")


def test_a_sweep_that_lost_its_attributes_is_exported_with_its_statuses(tmp_path: Path) -> None:
    data = xr.Dataset(
        {"x": (("noise", "time"), np.ones((2, 3))), "status": ("noise", [0, 1]), "seed": ("noise", [5, 6])},
        {"noise": [0.1, 0.2], "time": np.arange(3.0)},
    )
    found = pandas.read_csv(simengine.export(data, tmp_path / "x.csv"))
    assert found.status.tolist() == ["done"] * 3 + ["failed"] * 3


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"names": 3}, "names: got 3"),
        ({"names": []}, "names: got"),
        ({"what": "decisions"}, "no decisions of language models"),
        ({"source": None}, "got NoneType"),
        ({"source": "stacked"}, r"z is a stack of several dimensions; undo it first: .unstack\('z'\)"),
    ],
)
def test_what_cannot_be_exported_is_told(more: dict[str, Any], told: str, tmp_path: Path) -> None:
    data = xr.Dataset({"x": (("a", "time"), np.ones((2, 3)))}, {"a": [1, 2], "time": np.arange(3.0)})
    source = more.pop("source", data)
    source = data.stack(z=("a", "time")) if isinstance(source, str) else source
    with pytest.raises(InputError, match=told):
        simengine.export(source, tmp_path / "x.zarr", **more)
    assert not list(tmp_path.iterdir())


def test_runs_with_steps_of_different_length_have_times_of_their_own(tmp_path: Path) -> None:
    data = xr.Dataset(
        {
            "x": (("dt", "time"), np.ones((2, 3))), "status": ("dt", [0, 0]), "seed": ("dt", [5, 6]),
            "time_step": ("dt", [0.1, 0.2], {"units": "s"}),
        },
        {"dt": [0.1, 0.2], "step": ("time", [0, 5, 10])},
    )  # fmt: skip
    found = pandas.read_csv(simengine.export(data, tmp_path / "x.csv"))
    np.testing.assert_allclose(found.time, [0.0, 0.5, 1.0, 0.0, 1.0, 2.0])
    assert json.loads((tmp_path / "x.csv.json").read_text())["columns"]["time"]["units"] == "s"
