"""Ranges of storage: who acts for whom, and that values arrive where they are looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from network_scenarios import SmallWorldAverage
from sharding import recipe_of, spread

from simengine import Random, Scenario, birth, field, gather, param, population, total, update
from simengine.runs.sharded import ShardedEngine
from simengine.shards.ranges import Ranges


class Growing(Scenario):
    """Those with low ids die, others bear young: storage fills up unevenly."""

    n: int = param(40, low=0)

    agents = population(size="n", capacity=400, value=field(), other=field())
    one = Random(agents, k=1)

    def start(self, agents: Any) -> None:
        agents.value[:] = agents.ids

    @gather(one, seen=total())
    def look(me, other, agents, acc):
        acc.seen += agents.value[other]

    @update(agents, after=look)
    def change(me, agents, new, acc):
        new.value[me] = 0.5 * (agents.value[me] + acc.seen)
        new.other[me] = acc.seen

    @birth(agents)
    def bear(me, agents, child, draw):
        return agents.value[me] > 25.0 and draw.uniform("birth") < 0.3

    @update(agents)
    def die(me, agents, new, draw, step):
        if step == 3 and agents.value[me] < 18.0:
            new.alive[me] = False


def parts(driver: ShardedEngine) -> list[Ranges]:
    return [shard.part for shard in driver.hosts.shards]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("agents", "shards"), [(40, 1), (40, 3), (3, 7), (0, 2)])
def test_every_agent_is_acted_for_by_one_shard_and_all_by_nearly_as_many(agents: int, shards: int) -> None:
    driver = spread(recipe_of(Growing, n=agents), shards)
    held = [part.slots("agents") for part in parts(driver)]
    assert sorted(np.concatenate(held)) == list(range(agents))
    assert max(map(len, held)) - min(map(len, held)) <= 1
    driver.close()


def test_ranges_are_drawn_anew_where_births_and_deaths_have_made_them_uneven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simengine.runs.shard.BETWEEN_BALANCES", 4)
    driver = spread(recipe_of(Growing), 3)
    before = [part.ends["agents"].copy() for part in parts(driver)]
    driver.advance(3)
    assert all((part.ends["agents"] == ends).all() for part, ends in zip(parts(driver), before, strict=True))
    driver.advance(4)
    after = [part.ends["agents"] for part in parts(driver)]
    assert not (after[0] == before[0]).all()
    assert all((ends == after[0]).all() for ends in after)
    held = [len(part.slots("agents")) for part in parts(driver)]
    assert max(held) - min(held) <= 1
    # Whoever acts for an agent now has all of its values, also those that nobody else had asked for.
    alone = spread(recipe_of(Growing), 1)
    alone.advance(4)
    for name in ("value", "other"):
        np.testing.assert_array_equal(driver.state["agents"].values(name), alone.state["agents"].values(name))
    driver.close()
    alone.close()


def test_agents_joined_in_a_network_lie_together_and_only_ends_of_cut_edges_are_told() -> None:
    driver = spread(recipe_of(SmallWorldAverage, n_agents=90, shortcuts=0.0), 3)
    told = []
    for part in parts(driver):
        network = part.engine.state.networks["ties"]
        owner = np.empty(90, int)
        for shard in range(3):
            first, last = part.span("agents", shard)
            owner[part.engine.state["agents"].ids[first:last]] = shard
        source, target = network.values("source"), network.values("target")
        crossing = owner[source] != owner[target]
        # A ring of 90 with 6 neighbours each falls into three arcs, with 6 edges over each of three borders.
        assert crossing.sum() <= 36
        ends = {*source[crossing], *target[crossing]}
        driver.advance(driver.step + 1)
        told.append(part._cut_edges["ties"][0])
        mine = {int(part.engine.state["agents"].ids[slot]) for slots in told[-1] for slot in slots}
        assert mine == {agent for agent in ends if owner[agent] == part.number}
    driver.close()
