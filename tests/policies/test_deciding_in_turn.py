"""Decisions of agents who act one after another, answered by Python when it is an agent's turn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import simengine
from simengine import (
    Network,
    Policy,
    Scenario,
    ScenarioError,
    count,
    decision,
    events,
    field,
    gather,
    graphs,
    param,
    population,
    update,
)
from simengine.policies.answers import Asked, checked
from simengine.runs.engine import Engine

ORDERS = ("sequential", "shuffled", "events")


class Rumour(Scenario):
    """Agents say what most of their friends say at that moment, with a doubt that a draw decides."""

    n_agents: int = param(40, low=4)
    order: str = param("events")
    agents = population(size="n_agents", says=field(int), age=field(int))
    friends = Network(agents, graph="small_world")

    def small_world(self, draw: Any) -> Any:
        return graphs.make("small_world", self.n_agents, draw.seed_for("graph"), mean_degree=4)

    def start(self, agents: Any, draw: Any) -> None:
        agents.says[:] = draw.uniform("says") < 0.5

    @update(agents)
    def grow(me, new):
        new.age[me] += 1

    @gather(friends, yes=count(), all=count())
    def listen(me, other, agents, acc):
        acc.all += 1
        acc.yes += agents.says[other]

    @decision(agents.says, options=("no", "yes"), after=listen, order="sequential", when={"order": "sequential"})
    def by_id(me, agents, acc, draw):
        return 1 if acc.yes + draw.uniform("doubt") > 0.5 * acc.all + 0.3 else 0

    @decision(agents.says, options=("no", "yes"), after=listen, order="shuffled", when={"order": "shuffled"})
    def shuffled(me, agents, acc, draw):
        return 1 if acc.yes + draw.uniform("doubt") > 0.5 * acc.all + 0.3 else 0

    @decision(agents.says, options=("no", "yes"), after=listen, order=events(70), when={"order": "events"})
    def drawn(me, agents, acc, draw):
        return 1 if acc.yes + draw.uniform("doubt") > 0.5 * acc.all + 0.3 else 0

    @update(agents)
    def grow_again(me, new):
        new.age[me] += 1


DECISIONS = {"sequential": "by_id", "shuffled": "shuffled", "events": "drawn"}


def as_the_rule(asked: Asked) -> np.ndarray:
    assert asked.ids.shape == (1,)
    doubt = asked.draw.uniform("doubt")
    return np.asarray(asked.observed["yes"] + doubt > 0.5 * asked.observed["all"] + 0.3, int)


def advanced(order: str, policy: Any = None, steps: int = 4) -> Engine:
    scenario = Rumour({"order": order})
    engine = Engine(scenario, 7, 1, None, checked(None if policy is None else {DECISIONS[order]: policy}, scenario))
    engine.advance(steps)
    return engine


@pytest.mark.parametrize("order", ORDERS)
def test_a_policy_that_reckons_as_the_rule_does_changes_nothing(order: str) -> None:
    expected = advanced(order).state["agents"]
    for policy in (as_the_rule, Policy(as_the_rule, share=0.3), Policy(as_the_rule, ids=[0, 3, 39])):
        found = advanced(order, policy).state["agents"]
        np.testing.assert_array_equal(found.values("says"), expected.values("says"))
        np.testing.assert_array_equal(found.values("age"), expected.values("age"))


@pytest.mark.parametrize("order", ORDERS)
def test_later_agents_see_what_a_policy_has_answered_before_them(order: str) -> None:
    begun = Engine(Rumour({"order": order}), 7)
    says = begun.state["agents"].values("says").copy()
    friends = begun.view().offered()["friends"]
    known = np.zeros((40, 40), int)
    known[friends.source, friends.target] = known[friends.target, friends.source] = 1
    asked_of: list[int] = []

    def contrary(asked: Asked) -> int:
        me = int(asked.ids[0])
        assert asked.observed["yes"][0] == says @ known[me]
        asked_of.append(me)
        says[me] = 1 - says[me]
        return int(says[me])

    agents = advanced(order, contrary, steps=2).state["agents"]
    np.testing.assert_array_equal(agents.values("says"), says)
    assert len(asked_of) == (140 if order == "events" else 80)
    if order == "sequential":
        assert asked_of == [*range(40)] * 2


def test_the_same_agent_draws_anew_in_every_event_of_a_step() -> None:
    drawn: dict[int, set[float]] = {}
    turns: list[int] = []

    def keep(asked: Asked) -> Any:
        turns.append(int(asked.ids[0]))
        drawn.setdefault(int(asked.ids[0]), set()).add(float(asked.draw.uniform("mine")[0]))
        return asked.rule

    advanced("events", keep, steps=1)
    assert sum(len(values) for values in drawn.values()) == len(turns) == 70
    assert len(drawn) < 70


def test_a_distribution_is_drawn_from_agent_by_agent() -> None:
    agents = advanced("sequential", lambda asked: np.array([[0.25, 0.75]]), steps=1).state["agents"]
    # Of 40 draws with chance 3/4, fewer than 18 or all of them: less than one seed in ten thousand.
    assert 18 <= agents.values("says").sum() < 40


def test_a_run_of_mixed_agents_is_repeated_resumed_and_split_without_a_trace(tmp_path: Path) -> None:
    policies = {"drawn": Policy(as_the_rule, share=0.5)}
    whole = simengine.run(Rumour, steps=6, seed=3, policies=policies, snapshot_every=1, progress=False)
    rule = simengine.run(Rumour, steps=6, seed=3, snapshot_every=1, progress=False)
    np.testing.assert_array_equal(whole.says, rule.says)
    simulation = simengine.Simulation(Rumour, seed=3, policies=policies)
    for _ in range(6):
        simulation.step()
    np.testing.assert_array_equal(simulation.agents.says, rule.says[-1])


def test_in_several_shards_they_are_refused_in_one_line() -> None:
    with pytest.raises(ScenarioError, match=r"agents decide in turn in drawn.*without shards"):
        simengine.testing.any_shards(Rumour, policies={"drawn": as_the_rule})
