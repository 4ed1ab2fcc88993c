"""Sweeps in one process: what comes out, failures, going on, extending, bad input."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from walkers import Walkers

import simengine
from simengine import InputError
from simengine.sweeps import api, carrying, scheduling
from simengine.sweeps.adaptive import Told
from simengine.sweeps.folder import SweepFolder

GRID = {"drift": [-0.5, 0.0, 0.5], "n_agents": [2, 7]}


def sweep(design: Any = GRID, **keywords: Any) -> xr.Dataset:
    return simengine.sweep(Walkers, design, **{"replicates": 3, "seed": 5, "progress": False, "workers": 1, **keywords})


def hash_of(dataset: xr.Dataset) -> str:
    return str(dataset.attrs["content_hash"])


@pytest.fixture(scope="module")
def undisturbed() -> xr.Dataset:
    return sweep()


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduling, "WORTH_SECONDS", 0.0)


def test_a_grid_gives_one_dimension_for_each_parameter(undisturbed: xr.Dataset) -> None:
    assert undisturbed.mean_place.dims == ("drift", "n_agents", "replicate", "time")
    assert undisturbed.sizes == {"drift": 3, "n_agents": 2, "replicate": 3, "time": 2}
    assert undisturbed.step.values.tolist() == [0, 20]
    assert undisturbed.ahead.dtype == np.int64
    assert int(undisturbed.status.sum()) == 0
    assert len(np.unique(undisturbed.seed)) == undisturbed.seed.size


def test_every_run_is_the_one_that_its_seed_and_parameters_give(undisturbed: xr.Dataset) -> None:
    for place in np.ndindex(undisturbed.seed.shape):
        one = undisturbed.isel(dict(zip(("drift", "n_agents", "replicate"), place, strict=True)))
        alone = simengine.run(
            Walkers, drift=float(one.drift), n_agents=int(one.n_agents), every=20, seed=int(one.seed), progress=False
        )
        for name in ("mean_place", "ahead"):
            np.testing.assert_array_equal(one[name].values, alone[name].values)


def test_a_stride_records_what_a_run_of_that_stride_records() -> None:
    found = sweep({"drift": [0.25]}, replicates=2, every=7, n_agents=3)
    for replicate in range(2):
        one = found.isel(drift=0, replicate=replicate)
        alone = simengine.run(Walkers, drift=0.25, n_agents=3, every=7, seed=int(one.seed), progress=False)
        assert one.step.values.tolist() == alone.step.values.tolist()
        np.testing.assert_array_equal(one.mean_place.values, alone.mean_place.values)


def test_the_order_of_the_points_and_the_size_of_batches_show_in_nothing(
    undisturbed: xr.Dataset, tmp_path: Path, small_batches: None
) -> None:
    with sweep(out=tmp_path / "sweep") as found:
        assert hash_of(found) == hash_of(undisturbed)
    turned = sweep({"n_agents": [7, 2], "drift": [0.5, -0.5, 0.0]})
    xr.testing.assert_equal(
        undisturbed.mean_place, turned.sortby(["drift", "n_agents"]).mean_place.transpose(*undisturbed.mean_place.dims)
    )


def test_a_list_of_points_gives_one_dimension_of_runs(undisturbed: xr.Dataset) -> None:
    found = sweep([{"drift": 0.5, "n_agents": 7}, {"drift": -0.5, "n_agents": 2}])
    assert found.mean_place.dims == ("run", "time")
    assert found.drift.values.tolist() == [0.5] * 3 + [-0.5] * 3
    expected = undisturbed.mean_place.sel(drift=0.5, n_agents=7).values
    np.testing.assert_array_equal(found.mean_place.values[:3], expected)


def test_an_adaptive_design_is_told_what_is_finished_and_proposes_until_it_has_enough(tmp_path: Path) -> None:
    heard: list[list[Told]] = []

    def halve(told: Any) -> Any:
        heard.append(list(told))
        if len(told) == 3:
            return None
        return [{"drift": 1.0 if not told else told[-1].point["drift"] / 2}]

    with sweep(halve, replicates=2, n_agents=4, out=tmp_path / "halves") as found:
        assert found.drift.values.tolist() == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
        assert [len(told) for told in heard] == [0, 1, 2, 3]
        last = heard[-1][1]
        assert last.point == {"drift": 0.5}
        assert [outcome["ahead"] for outcome in last.outcomes] == found.ahead.values[2:4, -1].tolist()
        assert last.mean("mean_place") == pytest.approx(found.mean_place.values[2:4, -1].mean())


def test_a_scenario_in_a_users_file_runs_from_its_path(undisturbed: xr.Dataset) -> None:
    found = simengine.sweep(
        Path(__file__).with_name("walkers.py"), GRID, replicates=3, seed=5, progress=False, workers=1
    )
    xr.testing.assert_equal(found.drop_vars("wall_seconds"), undisturbed.drop_vars("wall_seconds"))


# -- failures --------------------------------------------------------------------------------------------------------


def test_runs_that_raise_are_listed_and_the_others_are_done(tmp_path: Path, undisturbed: xr.Dataset) -> None:
    folder = tmp_path / "unlucky"
    # 18 runs of which each fails with probability 0.3; the seed is fixed, so that some do.
    with pytest.warns(UserWarning, match=r"\d+ of 18 runs failed: .*seed=\d+: ValueError: no luck") as warned:
        found = sweep(bad_luck=0.3, out=folder)
    assert "simengine.failures(" in str(warned[0].message)
    failed = simengine.failures(folder)
    assert 0 < len(failed) < 18
    assert int((found.status == 1).sum()) == len(failed)
    for one in failed:
        assert (one["kind"], one["message"]) == ("ValueError", "no luck")
        assert 'raise ValueError("no luck")' in one["traceback"]
        at = found.sel(**one["parameters"], replicate=one["replicate"])
        assert int(at.seed) == one["seed"]
        assert int(at.status) == 1
        assert np.isnan(at.mean_place).all()
        with pytest.raises(ValueError, match="no luck"):
            simengine.run(Walkers, **one["parameters"], bad_luck=0.3, seed=one["seed"], progress=False)
    with pytest.warns(UserWarning, match="a folder, out=, keeps them with tracebacks"):
        sweep(bad_luck=0.3)
    done = found.status == 0
    np.testing.assert_array_equal(found.mean_place.values[done.values], undisturbed.mean_place.values[done.values])
    assert simengine.status(folder)["failed"] == len(failed)
    assert simengine.status(folder)["missing"] == 0
    found.close()


# -- going on --------------------------------------------------------------------------------------------------------


class Interrupting(Walkers):
    """Random walks; one of the runs interrupts the process."""

    def start(self, agents: Any, draw: Any) -> None:
        """Count the runs."""
        super().start(agents, draw)
        started = int(os.environ["WALKERS_STARTED"]) + 1
        os.environ["WALKERS_STARTED"] = str(started)
        if started == 8:
            os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupted_sweep_keeps_what_is_done_says_how_to_go_on_and_is_finished_by_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sweep"
    monkeypatch.setenv("WALKERS_STARTED", "0")
    with pytest.raises(KeyboardInterrupt, match=r"7 of 18 runs are done and kept; to go on: simengine.resume\("):
        simengine.sweep(Interrupting, GRID, replicates=3, seed=5, out=folder, workers=1, progress=False)
    said = simengine.status(folder)
    assert (said["done"], said["missing"], said["running"]) == (7, 11, False)
    with simengine.open(folder) as half:
        assert half.attrs["unfinished"] == 1
        assert int((half.status == 2).sum()) == 11
    with simengine.resume(folder, scenario=Interrupting, workers=1, progress=False) as found:
        assert os.environ["WALKERS_STARTED"] == str(8 + 11)
        expected = simengine.sweep(Interrupting, GRID, replicates=3, seed=5, workers=1, progress=False)
        assert hash_of(found) == hash_of(expected)
    simengine.resume(folder, scenario=Interrupting, progress=False).close()
    assert os.environ["WALKERS_STARTED"] == str(8 + 11 + 18)


def halves(told: list[Told]) -> list[dict[str, float]] | None:
    """Propose 1, 1/2, 1/4, 1/8, one after another."""
    return [{"drift": 0.5 ** len(told)}] if len(told) < 4 else None


def test_an_adaptive_sweep_that_was_interrupted_goes_on_to_propose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sweep"
    monkeypatch.setenv("WALKERS_STARTED", "0")
    words: dict[str, Any] = {"replicates": 3, "seed": 5, "workers": 1, "progress": False}
    with pytest.raises(KeyboardInterrupt, match="7 of 9 runs are done"):
        simengine.sweep(Interrupting, halves, out=folder, **words)
    with (
        simengine.resume(folder, scenario=Interrupting, workers=1, progress=False) as found,
        simengine.sweep(Interrupting, halves, **words) as undisturbed,
    ):
        assert found.drift.values[::3].tolist() == [1.0, 0.5, 0.25, 0.125]
        assert hash_of(found) == hash_of(undisturbed)


def test_the_same_words_again_go_on_with_the_sweep(tmp_path: Path, undisturbed: xr.Dataset) -> None:
    folder = tmp_path / "sweep"
    sweep(out=folder).close()
    before = (folder / "index.json").stat().st_mtime_ns
    with sweep(out=folder) as again:
        assert hash_of(again) == hash_of(undisturbed)
    assert (folder / "index.json").stat().st_mtime_ns == before


def test_an_extended_grid_is_the_grid_that_would_have_been_swept_at_once(
    tmp_path: Path, undisturbed: xr.Dataset
) -> None:
    folder = tmp_path / "sweep"
    sweep({"drift": [-0.5, 0.5], "n_agents": [2, 7]}, replicates=1, out=folder).close()
    with simengine.extend(folder, GRID, workers=1, progress=False) as wider:
        assert wider.sizes["drift"] == 3
    with simengine.extend(folder, replicates=3, workers=1, progress=False) as found:
        assert hash_of(found) == hash_of(undisturbed)


def test_a_driver_at_work_is_not_disturbed(tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    sweep(out=folder).close()
    holder = subprocess.Popen(
        [sys.executable, "-c", f"import fcntl, os, time; fcntl.flock(os.open({str(folder)!r}, os.O_RDONLY), "
         "fcntl.LOCK_EX); print('held', flush=True); time.sleep(60)"], stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert simengine.status(folder)["running"]
        before = sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*"))
        for disturb in (
            lambda: simengine.extend(folder, replicates=4, progress=False),
            lambda: sweep(out=folder),
            lambda: sweep(out=folder, overwrite=True),
        ):
            with pytest.raises(simengine.SimengineError, match="another process is carrying out the sweep"):
                disturb()
        assert sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*")) == before
    finally:
        holder.kill()
        holder.wait()


# -- bad input -------------------------------------------------------------------------------------------------------


def unused_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize(
    ("design", "keywords", "message"),
    [
        ({"drfit": [1.0]}, {}, "unknown parameter 'drfit' of Walkers; did you mean 'drift'"),
        ({}, {}, "grid: no parameter is given"),
        ({"drift": []}, {}, "grid: drift: the list of values is empty"),
        ([], {}, "points: the list is empty"),
        ({"drift": [0.0, 2.0]}, {}, "'drift' of Walkers: got 2.0, allowed is float, -1 <= value <= 1"),
        ([{"drift": 0.0}, {"drift": 0.5, "n_agents": 2}], {}, "point 1 also has n_agents"),
        ([{"drift": 0.0}, {"drift": 3.0}], {}, "point 1: .*'drift' of Walkers: got 3.0"),
        ({"drift": [0.0]}, {"drift": 0.5}, "drift is both swept and fixed"),
        ({"drift": [0.0]}, {"n_agent": 5}, "unknown parameter 'n_agent' of Walkers; did you mean 'n_agents'"),
        ({"drift": [0.0]}, {"n_agents": 0}, "'n_agents' of Walkers: got 0, allowed is int, 1 <= value"),
        ({"drift": [0.0]}, {"replicates": 0}, "replicates: got 0, allowed is a whole number, at least 1"),
        ({"drift": [0.0]}, {"steps": -1}, "steps: got -1"),
        ({"drift": [0.0]}, {"every": 0}, "every: got 0"),
        ({"drift": [0.0]}, {"seed": -1}, "seed: got -1"),
        ({"drift": [0.0]}, {"workers": 0}, "workers: got 0"),
        ({"drift": [0.0]}, {"address": 5}, "address: got 5"),
        ({"drift": [0.0]}, {"snapshot_every": 5}, "snapshot_every: it is a keyword of run"),
        ({"drift": [0.0]}, {"replicate": 5}, "unknown parameter 'replicate' of Walkers; did you mean 'replicates'"),
        ({"drift": [0.0]}, {"force": True}, "unknown parameter 'force' of Walkers; did you mean 'overwrite'"),
        ({"seed": [1, 2]}, {}, "seed is no parameter but a keyword of the sweep; replicates= gives"),
        ("drift", {}, "design"),
    ],
)
def test_bad_input_is_refused_in_one_line_before_anything_is_written(
    tmp_path: Path, design: Any, keywords: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message) as refused:
        sweep(design, out=tmp_path / "sweep", **keywords)
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_an_address_at_which_nobody_answers_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    script = (
        "import simengine, sys\n"
        "try:\n"
        f"    simengine.sweep('voter', {{'n_agents': [16]}}, out='sweep', address='127.0.0.1:{unused_port()}')\n"
        "except simengine.InputError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "address: nobody answers at 127.0.0.1:" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_scenario_that_cannot_be_sent_is_refused_where_workers_are_asked_for_and_runs_here_otherwise(
    tmp_path: Path,
) -> None:
    offset = 1.0

    class Local(Walkers):
        """Random walks that begin at a local variable."""

        def start(self, agents: Any) -> None:
            """Begin there."""
            agents.place[:] = offset

    with pytest.raises(InputError, match=r"workers: the scenario cannot be sent .*'offset'; workers=1 runs it here"):
        simengine.sweep(Local, GRID, workers=2, out=tmp_path / "sweep", progress=False)
    assert list(tmp_path.iterdir()) == []
    found = simengine.sweep(Local, {"drift": [0.0]}, progress=False)
    assert found.mean_place.values.ravel()[0] == offset


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"seed": 6}, r"holds another sweep \(sweep_seed: 5 there, 6 here\); choose another name, or overwrite"),
        ({"steps": 30}, r"holds another sweep \(steps: 20 there, 30 here\)"),
        ({"pause": 0.001}, r"holds another sweep \(pause: 0.0 there, 0.001 here\)"),
        ({"replicates": 4}, "holds this sweep with 6 points and 3 replicates; to add others: extend"),
        ({"design": {"drift": [0.0], "n_agents": [2, 7]}}, "holds this sweep with 6 points"),
    ],
)
def test_a_folder_of_another_sweep_is_left_alone_unless_it_is_to_be_replaced(
    tmp_path: Path, keywords: dict[str, Any], message: str
) -> None:
    folder = tmp_path / "sweep"
    sweep(out=folder).close()
    before = sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*"))
    with pytest.raises(InputError, match=message):
        sweep(**{"design": GRID, "out": folder, **keywords})
    assert sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*")) == before
    with sweep(**{"design": GRID, "out": folder, **keywords}, overwrite=True) as found:
        assert int(found.status.sum()) == 0
        assert len(SweepFolder.open(folder)) == found.seed.size


def test_a_folder_or_file_of_something_else_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(InputError, match="notes is there and holds no sweep"):
            sweep(out=tmp_path / "notes", overwrite=overwrite)
        with pytest.raises(InputError, match="file is a file; a sweep is a folder"):
            sweep(out=tmp_path / "file", overwrite=overwrite)
    with pytest.raises(InputError, match="there is no folder"):
        sweep(out=tmp_path / "nowhere" / "sweep")
    assert (tmp_path / "notes" / "mine.txt").read_text() == (tmp_path / "file").read_text() == "mine"


def test_what_is_no_sweep_has_no_status_and_cannot_be_extended(tmp_path: Path) -> None:
    for ask in (simengine.status, simengine.failures, simengine.extend):
        with pytest.raises(InputError, match=r"there is no sweep|give points to add"):
            ask(tmp_path)
    with pytest.raises(InputError, match="there is no sweep"):
        simengine.extend(tmp_path, replicates=3)
    sweep({"drift": [0.0]}, out=tmp_path / "sweep").close()
    with pytest.raises(InputError, match="threads is for a run"):
        simengine.resume(tmp_path / "sweep", threads=2)
    with pytest.raises(InputError, match="workers is for a sweep"):
        simengine.resume(tmp_path / "run.nc", workers=2)


# -- estimates -------------------------------------------------------------------------------------------------------


def test_an_estimate_says_how_many_runs_there_are_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = api.estimate(Walkers, GRID, replicates=300, pause=0.01, workers=1)
    assert (found["points"], found["replicates"], found["runs"]) == (6, 300, 1800)
    assert found["seconds_per_run"] >= 0.01
    assert found["seconds"] >= 18.0
    assert found["tried"] >= 6
    assert found["failed"] == 0
    assert found["bytes"] > 1800 * 2 * 8 * 3
    assert list(tmp_path.iterdir()) == []
    repeated = api.estimate(Walkers, {"drift": [0.0]}, replicates=30, workers=1)
    assert repeated["tried"] == 30
    unlucky = api.estimate(Walkers, GRID, bad_luck=1.0, workers=1)
    assert unlucky["failed"] == unlucky["tried"]
    assert unlucky["failure"] == "ValueError: no luck"


def test_a_sweep_is_extended_after_a_change_only_where_that_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "changed"
    sweep({"drift": [0.0]}, replicates=1, n_agents=3, out=out).close()
    monkeypatch.setattr(carrying, "changes_since", lambda then, now: {"version_numpy": ("1.0", "2.0")})
    with pytest.raises(InputError, match="extend it with allow_changes=True"):
        simengine.extend(out, replicates=2, progress=False)
    with simengine.extend(out, replicates=2, progress=False, allow_changes=True) as found:
        assert found.sizes["replicate"] == 2
        assert "version_numpy" in str(found.attrs["changed_since_begun"])
