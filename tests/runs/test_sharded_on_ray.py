"""Runs over shards on Ray: the same result however they are cut, and whatever dies."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import network_scenarios
import pytest
import ray
from ray_nodes import ray_nodes

import simengine
from simengine import InputError, RunError, Scenario, birth, decision, field, population, update
from simengine.runs.shard_actors import RayHosts
from simengine.shards.ray_cluster import Cluster
from simengine.store import content_hash, parts_of
from simengine.store.attributes import decode_attributes

NETWORK = f"{network_scenarios.__file__}:AdaptiveVoter"
RUNS: dict[str, dict[str, Any]] = {
    "schooling": {"scenario": "schooling", "n_agents": 10_000, "box": 150.0, "steps": 6, "every": 3},
    "network": {"scenario": NETWORK, "n_agents": 300, "steps": 12, "snapshot_every": 5},
    "predator_prey": {
        "scenario": "predator_prey", "n_prey": 900, "n_predators": 150, "box": 25.0, "prey_capacity": 4000,
        "predator_capacity": 1500, "steps": 25, "every": 5, "snapshot_every": 10,
    },
}  # fmt: skip
SMALL = {"scenario": "schooling", "n_agents": 1000, "box": 60.0, "steps": 30, "every": 6, "snapshot_every": 15}
_alone: dict[str, str] = {}


def hash_of(**run: Any) -> str:
    """The content hash of a run."""
    with simengine.run(**{"seed": 5, "progress": False, **run}) as found:
        return str(found.attrs["content_hash"])


def alone(name: str) -> str:
    """The same in one process."""
    if name not in _alone:
        _alone[name] = hash_of(**(SMALL if name == "small" else RUNS[name]))
    return _alone[name]


@pytest.fixture
def environment(ray_session: Cluster) -> dict[str, str]:
    """What a process needs to join the Ray of the suite."""
    token = ray.get(ray.remote(lambda: os.environ["RAY_AUTH_TOKEN"]).remote())
    return os.environ | {
        "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token, "RAY_ADDRESS": ray_session.address,
    }  # fmt: skip


# -- the same result ----------------------------------------------------------------------------------------------


def test_a_run_over_shards_has_the_hash_of_one_in_one_process(ray_session: Cluster) -> None:
    assert hash_of(**RUNS["schooling"], shards=3) == alone("schooling")


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shards", [1, 2, 3, 7])
@pytest.mark.parametrize("name", RUNS)
def test_any_number_of_shards_and_threads_gives_the_same_hash(
    name: str, shards: int, threads: int, ray_session: Cluster
) -> None:
    assert hash_of(**RUNS[name], shards=shards, threads=threads) == alone(name)


def test_a_file_says_how_its_run_was_cut(ray_session: Cluster, tmp_path: Path) -> None:
    with simengine.run(**SMALL, seed=5, shards=2, progress=False, out=tmp_path / "run.nc") as found:
        said = found.attrs
        assert (said["shards"], said["shards_cut_into"]) == (2, "regions")
        assert said["content_hash"] == alone("small")
    assert simengine.rerun(tmp_path / "run.nc", shards=3, progress=False)
    with simengine.branch(tmp_path / "run.nc", at=10, shards=2, noise=0.3, progress=False) as branched:
        here = simengine.branch(tmp_path / "run.nc", at=10, noise=0.3, progress=False)
        assert branched.attrs["content_hash"] == here.attrs["content_hash"] != said["content_hash"]


# -- shards that die ----------------------------------------------------------------------------------------------


def killing(trial: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let a random shard be killed while it goes on from a random moment; return a list that tells which."""
    chosen = random.Random(trial)
    at, shard, delay = chosen.randint(1, 4), chosen.randrange(3), chosen.choice([0.0, 0.01, 0.05, 0.1])
    original, asked, killed = RayHosts.ask, iter(range(10**9)), list[int]()

    def ask(hosts: RayHosts, method: str, *arguments: Any) -> list[Any]:
        if method != "advance" or next(asked) != at:
            return original(hosts, method, *arguments)
        killed.append(shard)
        killer = threading.Timer(delay, os.kill, (hosts.processes[shard], signal.SIGKILL))
        killer.start()
        try:
            return original(hosts, method, *arguments)
        finally:
            # Where the shards were quicker, it is between two steps that one dies.
            killer.join()

    monkeypatch.setattr(RayHosts, "ask", ask)
    return killed


def check_killed(trial: int, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted, killed = alone("small"), killing(trial, monkeypatch)
    with simengine.run(**SMALL, seed=5, shards=3, progress=False) as found:
        assert found.attrs["content_hash"] == wanted
        assert list(found.step) == [0, 6, 12, 18, 24, 30]
        faults = decode_attributes(found.attrs)["faults"]
        assert killed
        assert [fault["replaced"] for fault in faults] == [killed]
        assert f"shard {killed[0]}" in faults[0]["what"]


@pytest.mark.parametrize("trial", range(2))
def test_a_killed_shard_is_replaced_and_the_result_is_the_same(
    trial: int, ray_session: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_killed(trial, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("trial", range(2, 22))
def test_any_shard_may_be_killed_at_any_moment(
    trial: int, ray_session: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_killed(trial, monkeypatch)


def test_steps_are_repeated_from_the_state_that_was_kept(ray_session: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simengine.runs.sharded.SECONDS_BETWEEN_KEEPING", 0.0)
    monkeypatch.setattr("simengine.runs.sharded.LARGEST_SHARE_OF_KEEPING", 1e9)
    monkeypatch.setattr("simengine.runs.faults.MOST_IN_MEMORY", 0)
    wanted, _ = alone("small"), killing(3, monkeypatch)
    with simengine.run(**SMALL, seed=5, shards=3, progress=False) as found:
        faults = decode_attributes(found.attrs)["faults"]
        assert found.attrs["content_hash"] == wanted
        assert 0 <= faults[0]["steps_repeated"] < faults[0]["step"]


@pytest.mark.slow
def test_shards_that_die_without_end_are_given_up(ray_session: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    original = RayHosts.ask

    def ask(hosts: RayHosts, method: str, *arguments: Any) -> list[Any]:
        if method == "advance":
            os.kill(hosts.processes[0], signal.SIGKILL)
        return original(hosts, method, *arguments)

    monkeypatch.setattr(RayHosts, "ask", ask)
    with pytest.raises(RunError, match="shards die again and again at step 0: shard 0: its process has died"):
        hash_of(**SMALL, shards=2)


@pytest.mark.slow
def test_nodes_change_nothing_and_one_that_is_removed_is_replaced() -> None:
    script = (
        "import simengine, simengine.runs.recorder\n"
        "run = dict(n_agents=2000, box=80.0, steps=400, seed=5, every=10, progress=False)\n"
        "original = simengine.runs.recorder.Recorder.record\n"
        "def record(recorder, last=False):\n"
        "    original(recorder, last)\n"
        "    print('step', recorder.engine.step, flush=True)\n"
        "simengine.runs.recorder.Recorder.record = record\n"
        "found = simengine.run('schooling', **run, shards=3)\n"
        "print(found.attrs['content_hash'], found.attrs['faults'], flush=True)\n"
    )
    wanted = hash_of(scenario="schooling", n_agents=2000, box=80.0, steps=400, every=10)
    with ray_nodes(3) as nodes, nodes.start(script) as driver:
        assert driver.stdout is not None
        for line in driver.stdout:
            if line == "step 50\n":
                break
        nodes.remove(2)
        last = driver.stdout.read().splitlines()[-1]
        assert driver.wait(60) == 0
        found, told = last.split(" ", 1)
        assert found == wanted
        assert "steps_repeated" in told
        assert driver.stderr is not None
        assert driver.stderr.read() == ""


@pytest.mark.slow
def test_three_nodes_give_the_hash_of_one_process() -> None:
    script = (
        "import simengine\n"
        f"for name, run in {RUNS!r}.items():\n"
        "    found = simengine.run(**run, seed=5, progress=False, shards=3)\n"
        "    print(name, found.attrs['content_hash'], flush=True)\n"
    )
    with ray_nodes(3) as nodes, nodes.start(script) as driver:
        told, complaints = driver.communicate(timeout=300)
    assert dict(line.split() for line in told.splitlines()) == {name: alone(name) for name in RUNS}, complaints


# -- drivers that die ---------------------------------------------------------------------------------------------


def started(path: Path, environment: dict[str, str], *options: str, steps: int = 100_000) -> subprocess.Popen[str]:
    """A run over two shards in another process, some way after its first checkpoint."""
    command = [
        sys.executable, "-m", "simengine", "run", "schooling", "--set", "n_agents=1000", "--set", "box=60",
        "--seed", "5", "--every", "10", "--checkpoint-every", "20", "--steps", str(steps), "--shards", "2",
        "--out", str(path), *options,
    ]  # fmt: skip
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    checkpoints = path.with_name(path.name + ".checkpoints")
    deadline = time.monotonic() + 120
    while not (checkpoints.is_dir() and list(checkpoints.glob("*.npz"))):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def test_a_run_whose_driver_was_killed_is_finished_in_another_number_of_shards(
    environment: dict[str, str], ray_session: Cluster, tmp_path: Path
) -> None:
    path = tmp_path / "run.nc"
    with started(path, environment, steps=300) as process:
        process.kill()
    assert parts_of(path).is_dir()
    with simengine.resume(path, shards=3, progress=False) as found:
        assert decode_attributes(found.attrs)["resumed_at_step"][0] > 0
        resumed = found.attrs["content_hash"]
    assert resumed == hash_of(
        scenario="schooling", n_agents=1000, box=60.0, steps=300, every=10, out=tmp_path / "again.nc",
        checkpoint_every=20,
    )  # fmt: skip
    assert resumed == content_hash(path)


@pytest.mark.parametrize("asked", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_an_interrupt_leaves_a_checkpoint_and_one_line(
    asked: signal.Signals, environment: dict[str, str], ray_session: Cluster, tmp_path: Path
) -> None:
    path = tmp_path / "run.nc"
    with started(path, environment) as process:
        process.send_signal(asked)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.startswith("simengine: interrupted; steps 0 to ")
    assert said.count("\n") == 1
    assert f"simengine resume {path}" in said


# -- trouble ------------------------------------------------------------------------------------------------------


def test_a_full_disk_ends_a_run_over_shards_in_one_line_and_it_can_be_resumed(
    ray_session: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, written = os.fsync, iter(range(10**9))

    def fsync(descriptor: int) -> None:
        if next(written) >= 6:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(descriptor)

    path = tmp_path / "run.nc"
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(simengine.StoreError) as caught:
        simengine.run(**SMALL, seed=5, shards=2, progress=False, out=path, checkpoint_every=6)
    assert "No space left on device" in str(caught.value)
    assert "\n" not in str(caught.value)
    monkeypatch.setattr(os, "fsync", original)
    with simengine.resume(path, progress=False) as found:
        assert found.attrs["content_hash"] == alone("small")


class Crowding(Scenario):
    """People without end."""

    people = population(size=4, capacity=20, x=field())

    @birth(people)
    def bear(me, people, child):
        return True


class Deciding(Scenario):
    """People who ask somebody else."""

    people = population(size=4, x=field())

    @decision(people.x)
    def choose(me, people):
        return 0.0


def fail_at_two(asked: Any) -> Any:
    """A policy with a fault."""
    if asked.step == 2:
        raise ValueError("no idea")
    return asked.rule


def test_an_error_inside_a_shard_is_told_as_in_one_process(ray_session: Cluster) -> None:
    with pytest.raises(RunError) as here:
        hash_of(scenario=Crowding, steps=9)
    with pytest.raises(RunError) as there:
        hash_of(scenario=Crowding, steps=9, shards=2)
    assert str(there.value) == str(here.value) == "population people is full: its capacity is 20; give it a larger one"


def test_an_error_of_a_policy_inside_a_shard_is_one_line(ray_session: Cluster) -> None:
    with pytest.raises(RunError) as caught:
        hash_of(scenario=Deciding, steps=9, shards=2, policies={"people.choose": fail_at_two})
    assert str(caught.value) == "the policy of people.choose at step 2: ValueError: no idea"


@pytest.mark.parametrize("shards", [0, -1, 1.5, "a", True, 10**9])
def test_shards_are_a_number_of_them(shards: Any) -> None:
    with pytest.raises(InputError, match=r"shards: got .*, allowed is a whole number"):
        hash_of(**SMALL, shards=shards)


def test_an_address_at_which_nobody_answers_is_told_before_anything_is_written(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "simengine", "run", "voter", "--address", "127.0.0.1:1", "--out", "x.nc"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False)
    assert done.returncode == 2
    assert done.stderr == "simengine: address: nobody answers at 127.0.0.1:1 (connection refused)\n"
    assert list(tmp_path.iterdir()) == []


def test_a_scenario_that_cannot_travel_is_refused_before_anything_begins(ray_session: Cluster) -> None:
    amount = [1.0]

    class Here(Scenario):
        people = population(size=4, x=field())

        def start(self, people):
            people.x[:] = amount[0]

        @update(people)
        def move(me, people, new):
            new.x[me] += 1.0

    with pytest.raises(InputError, match=r"shards: Here cannot go to other processes: .*amount"):
        hash_of(scenario=Here, steps=3, shards=2)
