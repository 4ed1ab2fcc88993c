"""A kernel that goes on with other arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from simengine import Network, Random, Scenario, field, gather, param, population, rewire, running, update
from simengine.runs.engine import Engine


class Growing(Scenario):
    """Everybody befriends somebody at every step, so that edges need more and more room."""

    n_agents: int = param(40, low=2)
    agents = population(size="n_agents", friends=field(int))
    friends = Network(agents)
    somebody = Random(agents, k=1)

    @gather(somebody, met=running(-1))
    def meet(me, other, acc):
        acc.met = other

    @rewire(friends, after=meet)
    def befriend(me, acc, edges):
        edges.add(me, acc.met)

    @gather(friends, known=running(0))
    def count_up(me, other, acc):
        acc.known += 1

    @update(agents, after=count_up)
    def note(me, new, acc):
        new.friends[me] = acc.known


def test_edges_that_need_more_room_are_found_after_other_arrays_were_taken_over() -> None:
    plain, holding = Engine(Growing({}), 3), Engine(Growing({}), 3)
    plain.advance(12)
    holding.advance(2)
    holding.hold(holding.state)
    holding.advance(12)

    def friends(engine: Engine) -> Any:
        return engine.state["agents"].values("friends")

    np.testing.assert_array_equal(friends(holding), friends(plain))
    assert friends(plain).sum() > 0
