from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import simengine
from simengine import (
    InputError,
    Network,
    Scenario,
    StoreError,
    field,
    gather,
    observable,
    param,
    population,
    total,
    update,
)


@observable
def spread(agents: Any) -> float:
    """Standard deviation of opinions."""
    return float(agents.opinion.std())


class Talk(Scenario):
    """Agents move towards those they know."""

    n_agents: int = param(12, low=1)
    openness: float = param(0.5, low=0, high=1)
    agents = population(size="n_agents", opinion=field())
    acquaintances = Network(agents, weight=field(default=1.0))

    def start(self, agents: Any, draw: Any) -> None:
        agents.opinion[:] = draw.uniform("opinion")

    @gather(acquaintances, pull=total(), weight=total())
    def listen(me, other, edge, agents, acc):
        acc.pull += edge.weight * (agents.opinion[other] - agents.opinion[me])
        acc.weight += edge.weight

    @update(agents, after=listen)
    def move(me, agents, new, p, acc):
        if acc.weight > 0.0:
            new.opinion[me] = agents.opinion[me] + p.openness * acc.pull / acc.weight

    observe = [spread]


GRID = {"openness": [0.1, 0.9]}


@pytest.fixture
def friends(tmp_path: Path) -> Path:
    path = tmp_path / "friends.csv"
    path.write_text("source,target,weight\n0,1,2\n1,2,1\n2,3,0.5\n3,4,1\n")
    return path


def test_all_runs_of_a_sweep_begin_with_the_same_graph_as_a_run_of_its_own(friends: Path, tmp_path: Path) -> None:
    start = {"acquaintances": friends}
    with simengine.sweep(Talk, GRID, replicates=2, steps=5, start=start, out=tmp_path / "s", progress=False) as found:
        assert found.attrs["parameter_n_agents"] == 5
        for at, openness in enumerate(GRID["openness"]):
            seed = int(found.seed[at, 1])
            run = simengine.run(Talk, steps=5, start=start, openness=openness, seed=seed, progress=False)
            np.testing.assert_array_equal(found.spread[at, 1, -1], run.spread[-1])


def test_a_sweep_goes_on_without_the_file_of_its_graph(friends: Path, tmp_path: Path) -> None:
    start = {"acquaintances": friends}
    simengine.sweep(Talk, GRID, steps=3, start=start, out=tmp_path / "s", progress=False).close()
    friends.unlink()
    more = simengine.extend(tmp_path / "s", replicates=3, progress=False)
    assert int(more.status.sum()) == 0
    assert more.sizes["replicate"] == 3
    more.close()


def test_another_start_state_is_another_sweep(friends: Path, tmp_path: Path) -> None:
    out = tmp_path / "s"
    simengine.sweep(Talk, GRID, steps=3, start={"acquaintances": friends}, out=out, progress=False).close()
    friends.write_text("0,1\n1,2\n2,3\n0,4\n")
    with pytest.raises(
        InputError, match=r"holds another sweep \(start: arrays, sha256 \w+ there, arrays, sha256 \w+ here\)"
    ):
        simengine.sweep(Talk, GRID, steps=3, n_agents=5, start={"acquaintances": friends}, out=out, progress=False)


def test_a_start_state_that_was_changed_in_the_folder_is_refused(friends: Path, tmp_path: Path) -> None:
    out = tmp_path / "s"
    simengine.sweep(Talk, GRID, steps=3, start={"acquaintances": friends}, out=out, progress=False).close()
    np.savez(out / "start.npz", start_acquaintances_source=np.array([0]))
    with pytest.raises(StoreError, match=r"start.npz is damaged: it holds another start state"):
        simengine.extend(out, replicates=2, progress=False)
    whole = (out / "start.npz").read_bytes()
    for damaged in (whole[:40], whole[:-5], whole[:60] + b"\xff\xff\xff\xff" + whole[64:]):
        (out / "start.npz").write_bytes(damaged)
        with pytest.raises(StoreError, match=r"start.npz is damaged"):
            simengine.extend(out, replicates=2, progress=False)
    (out / "start.npz").unlink()
    with pytest.raises(StoreError, match=r"start.npz is missing"):
        simengine.extend(out, replicates=2, progress=False)


def test_a_number_of_agents_that_does_not_fit_the_graph_is_refused_before_anything_starts(
    friends: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="start: acquaintances has 5 nodes, but there are 7 agents"):
        simengine.sweep(
            Talk, GRID, steps=3, n_agents=7, start={"acquaintances": friends}, out=tmp_path / "s", progress=False
        )
    assert not (tmp_path / "s").exists()
