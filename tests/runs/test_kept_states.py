"""Checkpoints opened as Datasets."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import simengine
from simengine import InputError, StoreError
from simengine.runs import kept_states
from simengine.scenarios.predator_prey import PredatorPrey
from simengine.store.checkpoints import Checkpoint, write_checkpoint
from simengine.store.layout import Layout, Variable
from simengine.store.writer import RunWriter


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kept") / "wealth.nc"
    simengine.run(
        "wealth_exchange", n_agents=20, steps=40, seed=3, snapshot_every=10, checkpoint_every=10, out=path,
        progress=False,
    ).close()  # fmt: skip
    return path


def beside(path: Path) -> Path:
    return path.with_name(path.name + ".checkpoints")


def test_the_states_are_the_snapshots_of_the_same_steps(finished: Path) -> None:
    states = simengine.open(beside(finished))
    with simengine.open(finished) as run:
        snapshots = run.sel(snapshot_time=states.snapshot_time)
        np.testing.assert_array_equal(states.wealth, snapshots.wealth)
        assert states.wealth.dims == run.wealth.dims
        assert states.wealth.attrs == run.wealth.attrs
        assert states.snapshot_step.values.tolist() == [30, 40]
        for name in ("scenario", "seed", "parameter_n_agents", "run_id"):
            assert states.attrs[name] == run.attrs[name]
    assert states.attrs["step"] == 40
    assert "content_hash" not in states.attrs
    assert "time" not in states.dims


def test_one_file_is_the_state_at_its_step(finished: Path) -> None:
    one = simengine.open(str(beside(finished) / "step-000000000030.npz"))
    assert one.snapshot_step.values.tolist() == [30]
    assert one.attrs["step"] == 30
    np.testing.assert_array_equal(one.wealth[0], simengine.open(beside(finished)).wealth[0])


def test_a_state_away_from_its_run_has_plain_names(finished: Path, tmp_path: Path) -> None:
    copy = shutil.copy(beside(finished) / "step-000000000040.npz", tmp_path / "state.npz")
    one = simengine.open(copy)
    assert one.wealth.dims == ("snapshot_time", "agents")
    assert one.attrs["step"] == 40
    assert "scenario" not in one.attrs


def test_rows_where_nobody_lives_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for step, ids in ((10, [0, 1, 4]), (20, [1])):
        fields = {
            "ids": np.array(ids), "position": np.full((len(ids), 2), float(step)), "breeding": np.ones(len(ids), bool),
            "caught_by": np.full(len(ids), -1),
        }  # fmt: skip
        arrays = {f"populations/prey/{name}": values for name, values in fields.items()}
        arrays["relations/near/source"] = arrays["relations/near/target"] = np.arange(step // 10, dtype=np.int32)
        write_checkpoint(tmp_path / "x.nc", Checkpoint(step, "r", 0, arrays, {"given": {"n_prey": 7}}))
    origin = kept_states._Origin({"parameter_n_prey": 5, "time_step": 0.5}, "s", PredatorPrey)
    monkeypatch.setattr(kept_states, "_origin", lambda folder, run: origin)
    states = simengine.open(tmp_path / "x.nc.checkpoints")
    assert states.prey_id.values.tolist() == [[0, 1, 4], [1, -1, -1]]
    assert states.prey_alive.values.tolist() == [3, 1]
    assert np.isnan(states.position.values[1, 1:]).all()
    assert states.position.values[1, 0].tolist() == [20.0, 20.0]
    assert np.isnan(states.breeding.values[1, 1:]).all()
    assert states.near_source.values[1].tolist() == [0.0, 1.0]
    assert np.isnan(states.near_target.values[0, 1])
    assert states.snapshot_time.values.tolist() == [5.0, 10.0]
    assert states.snapshot_time.attrs["units"] == "s"
    assert states.attrs["parameter_n_prey"] == 7


def test_what_is_no_checkpoint_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.npz").write_bytes(b"PK nothing")
    (tmp_path / "empty.checkpoints").mkdir()
    for name, error in (
        ("none.npz", InputError), ("none.checkpoints", InputError), ("empty.checkpoints", InputError),
        ("bad.npz", StoreError), ("x\0.npz", InputError), ("a" * 5000 + ".npz", InputError),
    ):  # fmt: skip
        with pytest.raises(error, match=r"checkpoint|too long|null") as caught:
            simengine.open(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_of_a_folder_the_good_states_open_and_the_damaged_are_named(finished: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(beside(finished), tmp_path / "x.nc.checkpoints"))
    (folder / "step-000000000030.npz").write_bytes(b"PK nothing")
    with pytest.warns(UserWarning, match="step-000000000030.npz is damaged") as told:
        states = simengine.open(folder)
    assert told[0].filename == __file__
    assert states.snapshot_step.values.tolist() == [40]
    with pytest.raises(StoreError, match="damaged"):
        simengine.open(folder / "step-000000000030.npz")
    (folder / "step-000000000040.npz").write_bytes(b"PK nothing")
    with pytest.raises(StoreError, match=r"all checkpoints in .*030.npz, step-000000000040.npz"):
        simengine.open(folder)


def test_states_of_two_runs_in_one_folder_are_refused(tmp_path: Path) -> None:
    for step in (1, 2):
        arrays = {"populations/agents/ids": np.arange(2)}
        write_checkpoint(tmp_path / "x.nc", Checkpoint(step, f"run {step}", 0, arrays))
    with pytest.raises(StoreError, match="several runs"):
        simengine.open(tmp_path / "x.nc.checkpoints")


def test_opening_a_state_executes_no_code_that_is_not_installed(tmp_path: Path) -> None:
    assert kept_states._scenario("Model", "no_such_module_of_a_user") is None
    assert kept_states._scenario("WealthExchange", "simengine.scenarios.wealth_exchange") is not None
    assert kept_states._scenario("InputError", "simengine.errors") is None


def test_the_state_of_an_unfinished_run_has_what_its_head_says(tmp_path: Path) -> None:
    layout = Layout({}, {}, (Variable("share", ("time",)),), "s")
    said = {"scenario": "Model", "parameter_n": 5, "time_step": 2.0, "seed": 9}
    volatile = {"run_id": "r", "scenario_module": "no_such_module_of_a_user"}
    with RunWriter(tmp_path / "x.nc", layout, said, volatile=volatile):
        arrays = {
            "populations/agents/ids": np.arange(3),
            "populations/agents/place": np.zeros((3, 3)),
            "populations/agents/time": np.arange(3.0),
            "populations/media/ids": np.arange(1),
            "populations/media/weight": np.ones(1),
        }
        for run, step in (("another", 8), ("r", 7)):
            write_checkpoint(tmp_path / "x.nc", Checkpoint(step, run, 0, arrays))
        known = simengine.open(tmp_path / "x.nc.checkpoints/step-000000000007.npz")
    assert (known.attrs["seed"], known.attrs["parameter_n"], known.attrs["step"]) == (9, 5, 7)
    assert known.snapshot_time.values.tolist() == [14.0]
    assert known.snapshot_time.attrs["units"] == "s"
    assert known.place.dims == ("snapshot_time", "agents", "axis")
    assert known.axis.values.tolist() == ["x", "y", "z"]
    assert set(known.data_vars) == {"place", "agents_time", "media_weight"}
