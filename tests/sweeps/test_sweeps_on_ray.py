"""Sweeps on Ray: the same results, workers that die, scenarios that live only in the user's file."""

from __future__ import annotations

import importlib
import random
import re
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from ray_nodes import ray_nodes
from walkers import Walkers, marker

import simengine
from simengine import RunError
from simengine.shards.ray_cluster import Cluster
from simengine.sweeps import carrying, portions, worker

GRID = {"drift": [-0.5, 0.0, 0.5], "n_agents": [2, 7]}
QUIETLY = {"replicates": 20, "seed": 5, "progress": False}


def hash_of(dataset: xr.Dataset) -> str:
    return str(dataset.attrs["content_hash"])


@pytest.fixture(scope="module")
def undisturbed() -> xr.Dataset:
    return simengine.sweep(Walkers, GRID, workers=1, **QUIETLY)


def on_ray(ray_session: Cluster, **keywords: Any) -> xr.Dataset:
    return simengine.sweep(
        **{"scenario": Walkers, "design": GRID, "address": ray_session.address, **QUIETLY, **keywords}
    )


@pytest.mark.parametrize("workers", [1, 2, 3, None])
def test_the_result_does_not_depend_on_the_number_of_workers(
    ray_session: Cluster, undisturbed: xr.Dataset, tmp_path: Path, workers: int | None
) -> None:
    with on_ray(ray_session, workers=workers, out=tmp_path / "sweep") as found:
        assert hash_of(found) == hash_of(undisturbed)


def test_the_result_does_not_depend_on_the_size_of_batches(
    ray_session: Cluster, undisturbed: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portions, "MOST_RUNS", 7)
    assert hash_of(on_ray(ray_session, workers=2)) == hash_of(undisturbed)


def test_two_sweeps_of_other_parameters_on_one_ray_do_not_disturb_one_another(ray_session: Cluster) -> None:
    one = on_ray(ray_session, design={"drift": [0.0, 0.5]}, replicates=2, workers=1)
    other = on_ray(ray_session, design={"n_agents": [3, 4]}, replicates=2, workers=1)
    assert int(one.status.sum()) == int(other.status.sum()) == 0


def test_runs_that_raise_on_workers_are_listed_with_their_traceback(ray_session: Cluster, tmp_path: Path) -> None:
    folder = tmp_path / "unlucky"
    # Of 120 runs each fails with probability 0.05; the seed is fixed, so that some do.
    with pytest.warns(UserWarning, match=r"\d+ of 120 runs failed: .*ValueError: no luck"):
        on_ray(ray_session, bad_luck=0.05, out=folder).close()
    failed = simengine.failures(folder)
    assert 0 < len(failed) < 40
    for one in failed:
        assert re.search(r"line \d+, in start\n +raise ValueError", one["traceback"])
        with pytest.raises(ValueError, match="no luck"):
            simengine.run(Walkers, **one["parameters"], bad_luck=0.05, seed=one["seed"], progress=False)


def test_a_worker_that_is_killed_loses_nothing_and_nothing_comes_twice(ray_session: Cluster, tmp_path: Path) -> None:
    number = random.SystemRandom().randrange(2, 2**50)
    try:
        with pytest.warns(UserWarning, match="1 times a worker or its node died; what it was doing was given out"):
            found = on_ray(ray_session, deadly=number, out=tmp_path / "killed")
        # The marker is there now: nothing dies any more.
        with found, simengine.sweep(Walkers, GRID, workers=1, deadly=number, **QUIETLY) as undisturbed:
            assert hash_of(found) == hash_of(undisturbed)
        assert simengine.status(tmp_path / "killed")["done"] == 120
    finally:
        marker(number).unlink(missing_ok=True)


def test_a_run_that_kills_its_process_whenever_it_is_tried_is_a_failed_run(
    ray_session: Cluster, tmp_path: Path
) -> None:
    design = [{"deadly": 0}, {"deadly": 1}]
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with on_ray(ray_session, design=design, replicates=1, out=tmp_path / "sweep") as found:
            assert found.status.values.tolist() == [0, 1]
    marker(1).unlink()
    (failure,) = simengine.failures(tmp_path / "sweep")
    assert failure["parameters"] == {"deadly": 1}
    assert failure["message"] == "the process that did this run died, 3 times"
    assert any("3 times a worker or its node died" in str(one.message) for one in warned)


def test_workers_that_do_not_see_the_folder_send_their_results(
    ray_session: Cluster, undisturbed: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = worker.Job

    def elsewhere(**keywords: Any) -> worker.Job:
        return job(**{**keywords, "sweep": "another"})

    monkeypatch.setattr("simengine.sweeps.carrying.Job", elsewhere)
    with on_ray(ray_session, out=tmp_path / "sweep") as found:
        assert hash_of(found) == hash_of(undisturbed)


def test_a_machine_that_would_give_other_results_is_refused(
    ray_session: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simengine.sweeps.carrying.machine", lambda: {**worker.machine(), "version_numba": "0.1"})
    with pytest.raises(RunError, match=r"numba is .* here and 0.1 where the sweep was begun: results would differ"):
        on_ray(ray_session, out=tmp_path / "sweep")
    monkeypatch.undo()
    with simengine.resume(tmp_path / "sweep", address=ray_session.address, progress=False) as found:
        assert int(found.status.sum()) == 0


def test_a_scenario_that_lives_in_the_users_file_alone_reaches_the_workers(
    ray_session: Cluster, undisturbed: xr.Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "own_walkers.py"
    shutil.copy(Path(__file__).with_name("walkers.py"), path)
    found = on_ray(ray_session, scenario=path)
    for name in ("mean_place", "ahead", "seed"):
        np.testing.assert_array_equal(found[name].values, undisturbed[name].values)


SCRIPT = """
import simengine
from simengine import Scenario, field, observable, param, population, update

STEP = 0.25

def length(agents):
    return STEP * float(agents.place.sum())

@observable
def total(agents):
    return length(agents)

class Mine(Scenario):
    n_agents: int = param(3)
    agents = population(size="n_agents", place=field())

    @update(agents)
    def walk(me, agents, new, draw):
        new.place[me] += STEP * draw.normal("step")

    observe = [total]

if __name__ == "__main__":
    import sys
    workers = int(sys.argv[1])
    found = simengine.sweep(Mine, {"n_agents": [2, 4]}, steps=5, replicates=30, workers=workers, progress=False)
    print(found.attrs["content_hash"], int((found.status != 0).sum()))
"""


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "mine.py"
    path.write_text(SCRIPT)
    return path


@pytest.mark.slow
def test_a_scenario_of_the_main_script_reaches_workers_of_any_number(script: Path) -> None:
    said = set()
    for workers in (1, 2, 3):
        done = subprocess.run([sys.executable, script, str(workers)], capture_output=True, text=True, check=True)
        said.add(done.stdout)
    assert len(said) == 1
    assert said.pop().endswith(" 0\n")


DRIVER = """
import sys
import simengine
found = simengine.sweep(
    sys.argv[1], {"drift": [-0.5, 0.0, 0.5], "n_agents": [2, 7]}, replicates=20, seed=5, pause=0.1, progress=False,
    address="auto" if len(sys.argv) < 4 else sys.argv[3], out=sys.argv[2],
)
print(found.attrs["content_hash"])
"""


@pytest.mark.slow
def test_a_node_that_is_removed_loses_nothing_and_nothing_comes_twice(tmp_path: Path) -> None:
    own, journal = tmp_path / "walkers.py", tmp_path / "sweep" / "journal"
    shutil.copy(Path(__file__).with_name("walkers.py"), own)
    with ray_nodes(3) as nodes:
        driver = nodes.start(DRIVER, str(own), str(tmp_path / "sweep"), nodes.address)
        while not journal.exists() or journal.read_bytes().count(b"\n") < 4:
            assert driver.poll() is None
            time.sleep(0.01)
        nodes.remove(1)
        said, complaint = driver.communicate(timeout=120)
    assert driver.returncode == 0, complaint
    assert simengine.status(tmp_path / "sweep")["done"] == 120
    expected = simengine.sweep(own, GRID, workers=1, pause=0.1, **QUIETLY)
    assert hash_of(expected) == said.strip()
    assert "died; what it was doing was given out again" in complaint


class Unreadable(worker.Job):
    """A job that no worker can read, as where simengine is not installed."""

    def __reduce__(self) -> tuple[Any, ...]:
        return importlib.import_module, ("not_installed_there",)


def test_workers_that_cannot_read_the_job_say_what_they_lack(
    ray_session: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying, "Job", Unreadable)
    with pytest.raises(RunError, match=r"a worker could not begin: .*No module named 'not_installed_there'"):
        on_ray(ray_session, out=tmp_path / "sweep")
