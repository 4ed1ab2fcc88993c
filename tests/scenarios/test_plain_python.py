"""The same source runs compiled, called by hand, and uncompiled in the engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace as Bunch
from typing import Any

import numpy as np
import pytest

import simengine
from simengine import AgentDraws
from simengine.scenarios.flocking import Flocking
from simengine.scenarios.predator_prey import PredatorPrey
from simengine.scenarios.voter import Voter
from simengine.scenarios.wealth_exchange import WealthExchange

# Small enough to run uncompiled in moments; 600 birds are searched through cells.
CASES: dict[str, dict[str, Any]] = {
    "wealth_exchange": {"n_agents": 50},
    "wealth_exchange one by one": {"n_agents": 50, "order": "one_by_one"},
    "voter": {"n_agents": 40, "n_opinions": 3},
    "flocking shuffled": {"n_agents": 60, "box": 30.0},
    "flocking synchronous": {"n_agents": 60, "box": 30.0, "order": "synchronous"},
    "flocking synchronous, cells": {"n_agents": 600, "box": 80.0, "order": "synchronous"},
    "predator_prey": {"n_prey": 100, "n_predators": 20, "box": 10.0, "prey_capacity": 1000, "predator_capacity": 1000},
    "schooling": {"n_agents": 30},
    "schooling dewi-kadita": {"n_agents": 30, "rules": "dewi-kadita"},
}
STEPS = 4
UNCOMPILED = """
import json, sys, warnings
import numpy as np
import simengine
warnings.simplefilter("ignore")
folder, cases, steps = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
for number, (case, parameters) in enumerate(cases.items()):
    run = simengine.run(case.split()[0], seed=9, steps=steps, every=steps, snapshot_every=steps, threads=1,
                        progress=False, **parameters)
    numbers = {name: run[name].values for name in run.variables if run[name].dtype.kind in "biuf"}
    np.savez(f"{folder}/{number}.npz", **numbers)
"""


@pytest.fixture(scope="module")
def uncompiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of all cases from a process in which numba compiles nothing."""
    folder = tmp_path_factory.mktemp("uncompiled")
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "SIMENGINE_CACHE_DIR": str(folder / "cache")}
    command = [sys.executable, "-c", UNCOMPILED, str(folder), json.dumps(CASES), str(STEPS)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.mark.parametrize("case", CASES)
def test_a_run_without_a_compiler_gives_the_same_bits(case: str, uncompiled: Path) -> None:
    run = simengine.run(
        case.split()[0],
        seed=9,
        steps=STEPS,
        every=STEPS,
        snapshot_every=STEPS,
        threads=1,
        progress=False,
        **CASES[case],
    )
    with np.load(uncompiled / f"{list(CASES).index(case)}.npz") as expected:
        assert len(expected.files) > 3
        for name in expected.files:
            np.testing.assert_array_equal(run[name].values, expected[name], err_msg=name)


def test_wealth_exchanged_by_hand_equals_the_first_step_of_a_run() -> None:
    run = simengine.run("wealth_exchange", n_agents=20, seed=5, steps=1, snapshot_every=1, progress=False)
    start, end = run.wealth.values[:, :]
    partners: list[int] = []
    received = np.zeros(20, np.int64)
    agents = Bunch(wealth=start.copy(), received=received)

    def take(to: int, value: int) -> None:
        partners.append(to)
        received[to] += value

    # A ring instead of random partners: what the author's functions do with whom they meet.
    for me in range(20):
        acc = Bunch(partner=-1)
        WealthExchange.meet(me, (me + 1) % 20, acc)
        WealthExchange.give(me, agents, acc, Bunch(received=take))
    new = Bunch(wealth=start.copy())
    for me in range(20):
        WealthExchange.settle(me, agents, new)
    assert partners == [*range(1, 20), 0]
    assert new.wealth.tolist() == start.tolist()
    assert end.sum() == start.sum()


def test_the_voters_functions_run_in_plain_python() -> None:
    agents, acc = Bunch(opinion=np.array([0, 1]), stubborn=np.array([False, True])), Bunch(heard=0)
    Voter.listen(0, 1, agents, acc)
    assert Voter.follow(0, agents, Voter(), acc, None) == 1
    Voter.listen(1, 0, agents, acc)
    assert Voter.follow(1, agents, Voter(), acc, None) == 1


def test_a_synchronous_flock_flown_by_hand_equals_a_step_of_a_run() -> None:
    run = simengine.run(
        "flocking", order="synchronous", n_agents=30, box=20.0, seed=2, steps=1, snapshot_every=1, progress=False
    )
    flock = Flocking({"order": "synchronous", "n_agents": 30, "box": 20.0})
    agents = Bunch(position=run.position.values[0], heading=run.heading.values[0])
    new = Bunch(position=agents.position.copy(), heading=agents.heading.copy())
    for me in range(30):
        acc = Bunch(steer=np.zeros(2), seen=0)
        for other in range(30):
            offset = agents.position[other] - agents.position[me]
            offset -= 20.0 * np.round(offset / 20.0)
            distance = float(np.hypot(*offset))
            if other != me and distance <= flock.vision:
                Flocking.look(me, other, offset, distance, agents, flock, acc)
        Flocking.fly(me, agents, new, flock, acc)
    # The engine adds up neighbours in another order, so the last bits differ.
    np.testing.assert_allclose(new.position % 20.0, run.position.values[1], atol=1e-12)
    np.testing.assert_allclose(new.heading, run.heading.values[1], atol=1e-12)


def test_prey_roam_by_hand_as_in_a_run() -> None:
    run = simengine.run(
        "predator_prey", n_prey=12, n_predators=1, grasp=1e-9, prey_birth=0.0, box=50.0, prey_capacity=1000,
        predator_capacity=1000, seed=6, steps=1, snapshot_every=1, progress=False,
    )  # fmt: skip
    before, after = run.prey_position.values[:, :12] if "prey_position" in run else run.position.values[:, :12]
    new = Bunch(position=before.copy())
    for me in range(12):
        PredatorPrey.roam(me, None, new, Bunch(prey_stride=0.25), AgentDraws(6, "prey", "roam", me, 0))
    np.testing.assert_array_equal(np.mod(new.position, 50.0), after)
