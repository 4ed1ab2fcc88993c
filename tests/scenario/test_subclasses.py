"""A subclass may declare a gather or a relation anew; what it inherits follows it, or says that it cannot."""

from __future__ import annotations

from typing import Any

import pytest

import simengine
from simengine import (
    Network,
    Random,
    Scenario,
    ScenarioError,
    field,
    gather,
    observable,
    param,
    population,
    running,
    update,
)


@observable
def informed(agents: Any) -> float:
    """Share of those who know."""
    return float(agents.knows.mean())


class Rumour(Scenario):
    """Who asks somebody who knows, knows."""

    n_agents: int = param(60, low=2)
    agents = population(size="n_agents", knows=field(int))
    somebody = Random(agents, k=1)

    def start(self, agents: Any) -> None:
        agents.knows[:20] = 1

    @gather(somebody, told=running(0))
    def ask(me, other, agents, acc):  # type: ignore[no-untyped-def]
        acc.told = agents.knows[other]

    @update(agents, after=ask)
    def learn(me, agents, new, acc):  # type: ignore[no-untyped-def]
        if acc.told == 1:
            new.knows[me] = 1

    observe = [informed]


class AtOnce(Rumour):
    """Everybody is told."""

    @gather(Rumour.somebody, told=running(0))
    def ask(me, other, acc):  # type: ignore[no-untyped-def]
        acc.told = 1


def test_an_inherited_phase_follows_the_gather_that_a_subclass_writes_anew() -> None:
    told = simengine.run(AtOnce, steps=1)
    assert float(told.informed[-1]) == 1.0
    assert Rumour.declaration.phases["learn"].after == (Rumour.ask,)


def test_an_inherited_gather_looks_over_the_relation_that_a_subclass_declares_anew() -> None:
    class OfTwo(Rumour):
        """Everybody asks two."""

        somebody = Random(Rumour.agents, k=2)

    ask, learn = (OfTwo.declaration.phases[name] for name in ("ask", "learn"))
    assert ask.relation is OfTwo.somebody
    assert learn.after == (ask,)
    assert Rumour.declaration.phases["ask"].relation is Rumour.somebody


def test_a_population_declared_anew_without_its_phases_is_told() -> None:
    with pytest.raises(ScenarioError, match=r"Larger declares agents anew, but .*: ask\(\) is written for the one it"):

        class Larger(Rumour):
            """More to remember."""

            agents = population(size="n_agents", knows=field(int), heard=field(int))


def test_a_network_declared_anew_without_what_lies_within_it_is_told() -> None:
    class AmongFriends(Rumour):
        """Everybody asks a friend."""

        friends = Network(Rumour.agents, graph="ring")
        somebody = Random(Rumour.agents, k=1, within=friends)

        def ring(self) -> list[tuple[int, int]]:
            return [(i, (i + 1) % self.n_agents) for i in range(self.n_agents)]

    with pytest.raises(ScenarioError, match="Other declares friends anew; declare somebody anew as well"):

        class Other(AmongFriends):
            """Other friends."""

            friends = Network(Rumour.agents, graph="ring")


def test_a_gather_that_a_subclass_takes_away_is_missed_by_those_who_follow_it() -> None:
    with pytest.raises(ScenarioError, match=r"Deaf has no gather 'ask' for learn\(\) to follow"):

        class Deaf(Rumour):
            """Nobody asks."""

            ask = None
