"""Random partners, pairs and orders: every possibility equally likely, afresh every step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from simengine import (
    Everyone,
    Matching,
    Random,
    Scenario,
    ScenarioError,
    count,
    events,
    field,
    gather,
    param,
    population,
    running,
    update,
)
from simengine.runs.engine import Engine

# Every chi-square test here fails with probability LEVEL for another seed.
LEVEL = 1e-4
STEPS = 3000


class Drawing(Scenario):
    """What each agent drew: partners, pair, and its turn."""

    n_agents: int = param(5, low=0)
    agents = population(
        size="n_agents",
        weight=field(),
        one=field(int),
        two=field(int),
        heavy=field(int),
        mate=field(int),
        other_mate=field(int),
        turn=field(int),
        events=field(int),
        first=field(int),
        again=field(int),
    )
    stranger = Random(agents, k=1)
    strangers = Random(agents, k=2)
    weighted = Random(agents, k=1, weight=agents.weight)
    pairs = Matching(agents)
    everyone = Everyone(agents)

    def start(self, agents: Any) -> None:
        agents.weight[:] = np.arange(len(agents))

    @gather(stranger, one=running(-1))
    def meet(me, other, acc):
        acc.one = other

    @gather(stranger, again=running(-1))
    def meet_again(me, other, acc):
        acc.again = other

    @gather(strangers, two=running(0))
    def meet_two(me, other, acc):
        acc.two = acc.two * 5 + other

    @gather(weighted, heavy=running(-1))
    def meet_heavy(me, other, acc):
        acc.heavy = other

    @gather(pairs, mate=running(-1))
    def pair(me, other, acc):
        acc.mate = other

    @update(agents, after=(meet, meet_again, meet_two, meet_heavy, pair))
    def note(me, new, acc):
        new.one[me] = acc.one
        new.again[me] = acc.again
        new.two[me] = acc.two
        new.heavy[me] = acc.heavy
        new.mate[me] = acc.mate
        new.turn[me] = -1
        new.events[me] = 0
        new.first[me] = 0

    @gather(everyone, latest=running(-1))
    def look_round(me, other, agents, acc):
        acc.latest = max(acc.latest, agents.turn[other])

    @update(agents, after=look_round, order="shuffled")
    def queue(me, new, acc):
        new.turn[me] = acc.latest + 1

    @gather(everyone, done=count())
    def look_again(me, other, agents, acc):
        acc.done += agents.events[other]

    @update(agents, after=look_again, order=events(7))
    def happen(me, agents, new, acc):
        if acc.done + agents.events[me] == 0:
            new.first[me] = 1
        new.events[me] += 1


@pytest.fixture(scope="module")
def drawn() -> dict[str, np.ndarray]:
    engine = Engine(Drawing({"n_agents": 5}), 11)
    rows: dict[str, list[np.ndarray]] = {}
    for step in range(STEPS):
        engine.advance(step + 1)
        for name in Drawing.agents.fields:
            rows.setdefault(name, []).append(engine.state["agents"].values(name).copy())
    return {name: np.array(values) for name, values in rows.items()}


def uniform(observed: np.ndarray, number: int) -> None:
    counts = np.unique(observed, return_counts=True)[1]
    assert len(counts) == number
    assert stats.chisquare(counts).pvalue > LEVEL


def test_one_partner_is_any_other_agent_afresh_every_step(drawn: dict[str, np.ndarray]) -> None:
    for me in range(5):
        partner = drawn["one"][:, me]
        assert me not in partner
        uniform(partner, 4)
        uniform(partner[:-1] * 5 + partner[1:], 16)


def test_partners_of_two_agents_and_of_two_gathers_are_independent(drawn: dict[str, np.ndarray]) -> None:
    uniform(drawn["one"][:, 0] * 5 + drawn["one"][:, 1], 16)
    uniform(drawn["one"][:, 0] * 5 + drawn["again"][:, 0], 16)
    uniform(drawn["one"][:, 0] * 6 + drawn["mate"][:, 2] + 1, 4 * 5)


def test_two_partners_are_any_ordered_pair_of_others(drawn: dict[str, np.ndarray]) -> None:
    for me in range(5):
        uniform(drawn["two"][:, me], 12)


def test_a_weighted_partner_is_drawn_in_proportion_to_its_weight(drawn: dict[str, np.ndarray]) -> None:
    for me in range(5):
        others = np.array([o for o in range(1, 5) if o != me])
        counts = np.array([(drawn["heavy"][:, me] == other).sum() for other in others])
        assert counts.sum() == STEPS
        assert stats.chisquare(counts, STEPS * others / others.sum()).pvalue > LEVEL


def test_pairings_are_symmetric_and_all_equally_likely(drawn: dict[str, np.ndarray]) -> None:
    mate = drawn["mate"]
    for me in range(5):
        paired = mate[:, me] >= 0
        assert (mate[np.flatnonzero(paired), mate[paired, me]] == me).all()
    assert ((mate < 0).sum(axis=1) == 1).all()
    codes = (mate + 1) @ 6 ** np.arange(5)
    uniform(codes, 15)


def test_everyone_pairs_in_an_even_population_and_nobody_alone() -> None:
    for n in (0, 1, 2, 8):
        engine = Engine(Drawing({"n_agents": n}), 3)
        engine.advance(5)
        mate = engine.state["agents"].values("mate")
        assert (mate < 0).sum() == n % 2


def test_a_shuffled_order_takes_each_agent_once_and_all_orders_equally_often(drawn: dict[str, np.ndarray]) -> None:
    turn = drawn["turn"]
    assert (np.sort(turn, axis=1) == np.arange(5)).all()
    uniform(turn @ 5 ** np.arange(5), 120)
    uniform(turn[:-1, 0] * 5 + turn[1:, 0], 25)


def test_events_draw_agents_with_replacement(drawn: dict[str, np.ndarray]) -> None:
    assert (drawn["events"].sum(axis=1) == 7).all()
    counts = drawn["events"].sum(axis=0)
    assert stats.chisquare(counts).pvalue > LEVEL
    assert (drawn["first"].sum(axis=1) == 1).all()
    uniform(drawn["first"].argmax(axis=1), 5)
    expected = stats.binom(7, 0.2).pmf(np.arange(8)) * STEPS
    observed = np.bincount(drawn["events"][:, 0], minlength=8)
    pooled = np.append(observed[:5], observed[5:].sum()), np.append(expected[:5], expected[5:].sum())
    assert stats.chisquare(*pooled).pvalue > LEVEL


def test_partners_of_drawn_partners_are_refused() -> None:
    with pytest.raises(ScenarioError, match="drawn before"):
        Random(Drawing.agents, k=1, within=Random(Drawing.agents, k=3))
