from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import pytest

import simengine
from simengine import (
    Everyone,
    Policy,
    Random,
    Scenario,
    count,
    decision,
    events,
    field,
    gather,
    param,
    population,
    running,
    testing,
    total,
    update,
)


class TwoWays(Scenario):
    """Agents look at everybody or at one, by a parameter."""

    n_agents: int = param(6, low=2)
    contacts: Literal["all", "one"] = param("all")
    order: Literal["synchronous", "turns"] = param("synchronous")

    agents = population(size="n_agents", value=field(), seen=field(), of_one=field(), choice=field(int))
    everyone = Everyone(agents)
    someone = Random(agents, k=1)

    def start(self, agents: Any) -> None:
        agents.value[:] = np.arange(self.n_agents)

    @gather(everyone, sum=total(), n=count(), when={"contacts": "all"})
    def look_at_all(me, other, agents, acc):
        acc.sum += agents.value[other]
        acc.n += 1

    @gather(someone, one=running(math.nan), met=running(-1), when={"contacts": "one"})
    def look_at_one(me, other, agents, acc):
        acc.one = agents.value[other]
        acc.met = 7

    @update(agents, after=(look_at_all, look_at_one), when={"order": "synchronous"})
    def note(me, new, acc):
        new.seen[me] = acc.sum if acc.n > 0 else -1.0
        new.of_one[me] = acc.one

    @update(agents, after=(look_at_all, look_at_one), order=events("n_agents"), when={"order": "turns"})
    def note_in_turn(me, new, acc):
        new.seen[me] = acc.sum if acc.n > 0 else -1.0
        new.of_one[me] = acc.one

    @decision(agents.choice, after=(look_at_all, look_at_one))
    def choose(me, acc):
        return acc.met


@pytest.mark.parametrize("order", ["synchronous", "turns"])
@pytest.mark.parametrize("contacts", ["all", "one"])
def test_what_a_gather_that_does_not_run_would_collect_stays_at_its_start(contacts: str, order: str) -> None:
    simulation = simengine.Simulation(TwoWays, contacts=contacts, order=order, seed=1, progress=False)
    simulation.step(4)
    agents = simulation.agents
    if contacts == "all":
        acted = agents.seen.values != 0
        np.testing.assert_array_equal(agents.seen.values[acted], (15 - agents.value.values)[acted])
        assert np.isnan(agents.of_one.values[acted]).all()
        assert set(agents.choice.values) == {-1}
    else:
        assert set(agents.seen.values) <= {-1.0, 0.0}
        assert not np.isnan(agents.of_one.values).any()
        assert set(agents.choice.values) == {7}


@pytest.mark.parametrize(("contacts", "known"), [("all", {"sum", "n"}), ("one", {"one", "met"})])
def test_a_policy_sees_what_the_gathers_that_run_collect(contacts: str, known: set[str]) -> None:
    def answer(asked: Any) -> Any:
        assert set(asked.observed) == known
        return np.full(len(asked.ids), 3)

    simulation = simengine.Simulation(
        TwoWays, contacts=contacts, policies={"agents.choose": Policy(answer)}, progress=False
    )
    simulation.step()
    assert set(simulation.agents.choice.values) == {3}


def test_shards_do_not_show_where_a_gather_does_not_run() -> None:
    for contacts in ("all", "one"):
        testing.any_shards(TwoWays, contacts=contacts, steps=3)
