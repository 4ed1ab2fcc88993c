"""Asking for memory ahead of the turns of events: values and the order of turns are those without it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import simengine.compile.emit_ahead
from simengine import Network, Scenario, count, events, field, gather, graphs, param, population, update
from simengine.arrays import ahead
from simengine.random import draws
from simengine.random.philox import step_key, stream_key
from simengine.runs.engine import Engine


class Walk(Scenario):
    """Single agents note how often it was their turn, and how many neighbours they have."""

    n_agents: int = param(50, low=3)
    n_events: int = param(37, low=0)
    agents = population(size="n_agents", turns=field(int), friends=field(int), last=field(int))
    friends = Network(agents, graph="random")

    def random(self, draw: Any) -> Any:
        return graphs.make("random", self.n_agents, draw.seed_for("graph"), mean_degree=2)

    @gather(friends, found=count())
    def look(me, other, acc):
        acc.found += 1

    @update(agents, after=look, order=events("n_events"))
    def note(me, agents, new, acc, step):
        new.turns[me] = agents.turns[me] + 1
        new.friends[me] = acc.found
        new.last[me] = step


@pytest.mark.parametrize(("n_agents", "n_events"), [(50, 37), (3, 1), (3, 15), (20, 16), (3, 100), (20, 0)])
def test_turns_are_those_that_are_drawn(n_agents: int, n_events: int) -> None:
    engine = Engine(Walk({"n_agents": n_agents, "n_events": n_events}), 5)
    engine.advance(3)
    expected = np.zeros(n_agents, int)
    stream = stream_key(5, "agents", "note", "engine turn")
    for step in range(3):
        for turn in range(n_events):
            expected[int(draws.integer(step_key(stream, step, turn), 0, 0, n_agents))] += 1
    np.testing.assert_array_equal(engine.state["agents"].values("turns"), expected)
    degree = engine.view().offered()["friends"].degree
    met = expected > 0
    np.testing.assert_array_equal(engine.state["agents"].values("friends")[met], degree[met])


def test_asking_changes_nothing_where_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def last_noted(threshold: int) -> np.ndarray:
        class Again(Walk):
            """The same with another threshold in its code."""

        monkeypatch.setattr(simengine.compile.emit_ahead, "PAYS_FROM", threshold)
        engine = Engine(Again({"n_agents": 300, "n_events": 200}), 5)
        assert f">= {threshold}" in engine.kernel.plan.source
        engine.advance(5)
        return engine.state["agents"].values("last")

    np.testing.assert_array_equal(last_noted(1), last_noted(10**9))


def test_agents_without_neighbours_and_the_last_one_are_asked_for() -> None:
    starts, seen = np.array([0, 0, 1, 1], np.int64), np.array([2], np.int32)
    for agent in range(3):
        ahead.ask_for_start(starts, seen, agent)
        ahead.ask_for_neighbours(starts, seen, agent)
        ahead.ask_for_their_starts(starts, seen, agent)
        ahead.ask_for_their_neighbours(starts, seen, agent)
    assert starts.tolist() == [0, 0, 1, 1]
