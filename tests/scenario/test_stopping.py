"""When a run ends, and that it does not depend on what is recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from reference import assert_engine_agrees

import simengine
from simengine import (
    Scenario,
    ScenarioError,
    birth,
    consensus,
    decision,
    extinct,
    field,
    param,
    population,
    stop_when,
    unchanged,
    update,
)
from simengine.runs.engine import Engine


def condition(name: str, agents: Any) -> Any:
    return {
        "settled": unchanged(agents.value, within=0.26),
        "same level": consensus(agents.level),
        "same flag": unchanged(agents.flag),
        "dead": extinct(agents),
        "late": stop_when(large),
    }[name]


def large(agents: Any) -> bool:
    return len(agents) > 0 and agents.value.max() < 0.1


def settling(name: str) -> type[Scenario]:
    class Settling(Scenario):
        """Values halve, flags fall, agents grow old and die."""

        n_agents: int = param(6, low=0)
        lifetime: int = param(9, low=0)
        agents = population(size="n_agents", capacity=20, value=field(), level=field(int), flag=field(bool))

        def start(self, agents: Any) -> None:
            agents.value[:] = 2.0 ** np.arange(len(agents))
            agents.level[:] = np.arange(len(agents))
            agents.flag[:] = True

        @update(agents)
        def settle(me, agents, new, p, step):
            new.value[me] = 0.5 * agents.value[me]
            if agents.level[me] > 0:
                new.level[me] -= 1
            new.flag[me] = agents.level[me] > 2
            if step >= p.lifetime:
                new.alive[me] = False

        stop = condition(name, agents)

    return Settling


STOPS = {name: settling(name) for name in ("settled", "same level", "same flag", "dead", "late")}
EXPECTED = {"settled": 7, "same level": 5, "same flag": 5, "dead": 10, "late": 9}


@pytest.mark.parametrize("name", STOPS)
def test_a_run_stops_where_the_condition_first_holds(name: str) -> None:
    world, _ = assert_engine_agrees(STOPS[name], 0, 50)
    assert world.step == EXPECTED[name]


@pytest.mark.parametrize("name", STOPS)
@pytest.mark.parametrize("every", [1, 3, 7, 100])
def test_stopping_does_not_depend_on_the_stride(name: str, every: int) -> None:
    found = simengine.run(STOPS[name], steps=50, every=every, snapshot_every=every + 1, progress=False)
    assert found.attrs["stopped_at"] == EXPECTED[name]
    assert found.attrs["stop_reason"] != "steps"
    assert int(found["time"][-1]) == EXPECTED[name]


def test_the_ceiling_of_steps_ends_a_run_that_no_condition_ends() -> None:
    found = simengine.run(STOPS["dead"], steps=4, every=3, progress=False)
    assert (found.attrs["stopped_at"], found.attrs["stop_reason"]) == (4, "steps")
    assert list(found["time"].values) == [0, 3, 4]


def test_no_steps_record_the_start_alone() -> None:
    found = simengine.run(STOPS["dead"], steps=0, progress=False, snapshot_every=5)
    assert found.attrs["stopped_at"] == 0
    assert list(found["time"].values) == [0]
    assert found["value"].shape == (1, 20)


class Deciding(Scenario):
    """A decision that a policy may answer, between two updates."""

    agents = population(size=5, choice=field(int), age=field(int))

    @update(agents)
    def grow(me, new):
        new.age[me] += 1

    @decision(agents.choice)
    def choose(me, agents):
        return agents.choice[me]

    @update(agents)
    def grow_again(me, new):
        new.age[me] += 1

    stop = unchanged(agents.choice)


def test_unchanged_looks_back_over_the_whole_step_when_a_policy_answers_in_its_middle() -> None:
    found = simengine.run(
        Deciding,
        steps=20,
        progress=False,
        policies={"agents.choose": lambda asked: np.full(len(asked.ids), min(asked.step + 1, 7))},
    )
    assert found.attrs["stopped_at"] == 8
    assert simengine.run(Deciding, steps=20, progress=False).attrs["stopped_at"] == 1


class Renewal(Scenario):
    """Every agent dies and leaves a child with the same value."""

    agents = population(size=4, capacity=8, value=field(int), newborn=field(bool))

    @update(agents)
    def die(me, agents, new):
        if agents.newborn[me]:
            new.newborn[me] = False
            new.alive[me] = agents.value[me] >= 0

    @birth(agents)
    def follow(me, agents, child, step):
        if step % 2 == 0:
            child.newborn = False
            return step < 3 and me < 2
        return False

    stop = unchanged(agents.value)


def test_a_step_with_newborn_agents_is_a_change() -> None:
    world, _ = assert_engine_agrees(Renewal, 0, 10)
    assert world.step == 2


def test_an_empty_population_agrees_about_everything() -> None:
    for name in ("settled", "same level", "same flag", "dead"):
        engine = Engine(STOPS[name]({"n_agents": 0}), 0)
        engine.advance(5)
        assert engine.step == (0 if name in {"same level", "dead"} else 1)


def test_a_stop_condition_that_nothing_uses_is_refused_by_its_name() -> None:
    with pytest.raises(ScenarioError, match="is_settled is a stop condition that nothing uses; write stop"):

        class Waiting(Scenario):
            agents = population(size=3, value=field())
            is_settled = unchanged(agents.value)
