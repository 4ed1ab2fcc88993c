"""Whole scenarios, bit for bit against the reference interpreter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import assert_engine_agrees

from simengine import (
    Chosen,
    ChosenBy,
    Everyone,
    Matching,
    Mates,
    Members,
    Owner,
    Random,
    Scenario,
    Space,
    birth,
    count,
    events,
    field,
    gather,
    param,
    population,
    reference,
    running,
    total,
    update,
    vector,
)


def society(dynamic: bool) -> type[Scenario]:
    """People who live in villages, follow leaders, meet, give, are born and die: every relation at once."""

    class Society(Scenario):
        n_people: int = param(12, low=0)
        n_villages: int = param(3, low=1)
        room: int = param(60, low=1)
        death: float = param(0.1, low=0, high=1)

        villages = population(size="n_villages", wealth=field(), inhabitants=field(int), sequence=field(int))
        people = population(
            size="n_people",
            capacity="room" if dynamic else None,
            mark=field(int),
            opinion=field(),
            weight=field(),
            code=field(int),
            village=reference(villages),
            leader=reference(),
            place=vector(2),
        )
        everyone = Everyone(people)
        one = Random(people, k=1)
        three = Random(people, k=3)
        weighted = Random(people, k=2, weight=people.weight)
        mates = Mates(people.village)
        mate = Random(people, k=2, within=mates)
        near = Space(people.place, reach=0.4, box=1.0)
        neighbour = Random(people, k=1, within=near)
        pairs = Matching(people)
        follows = Chosen(people.leader)
        followers = ChosenBy(people.leader)
        home = Owner(people.village)
        household = Members(people.village)

        def start(self, villages: Any, people: Any, draw: Any) -> None:
            d = draw.of(people)
            n = len(people)
            people.mark[:] = d.integer("mark", 1, 1_000_000)
            people.opinion[:] = d.uniform("opinion")
            people.weight[:] = np.where(d.uniform("heavy") < 0.3, 0.0, d.uniform("weight"))
            people.village[:] = d.integer("village", -1 + 0 * people.ids + 1, self.n_villages + 1) - 1
            people.leader[:] = d.integer("leader", 0, n + 1) - 1 if n else 0
            people.place[:] = np.floor(d.uniform("place", components=2) * 16) / 16
            villages.wealth[:] = 1.0

        @gather(everyone, s0=total(), c0=count(), r0=running(0))
        def all_of_them(me, other, people, acc):
            acc.s0 += people.opinion[other]
            acc.c0 += 1
            acc.r0 = acc.r0 * 31 + people.mark[other]

        @gather(one, r1=running(0), someone=running(-1))
        def a_stranger(me, other, people, acc, draw):
            acc.r1 = acc.r1 * 31 + people.mark[other]
            if draw.uniform("like", to=other) < 0.5 and draw.uniform("symmetric", between=other) < 0.9:
                acc.someone = other

        @gather(three, r3=running(0))
        def strangers(me, other, people, acc):
            acc.r3 = acc.r3 * 31 + people.mark[other]

        @gather(weighted, rw=running(0))
        def celebrities(me, other, people, acc):
            acc.rw = acc.rw * 31 + people.mark[other]

        @gather(mates, rm=running(0), sm=total())
        def villagers(me, other, people, acc):
            acc.rm = acc.rm * 31 + people.mark[other]
            acc.sm += people.opinion[other] - people.opinion[me]

        @gather(mate, rk=running(0))
        def friends(me, other, people, acc):
            acc.rk = acc.rk * 31 + people.mark[other]

        @gather(neighbour, rn=running(0))
        def passer_by(me, other, people, acc):
            acc.rn = acc.rn * 31 + people.mark[other]

        @gather(near, nearby=total(dtype=int), close=running(9.0))
        def around(me, other, distance, people, acc):
            acc.nearby += people.mark[other]
            if distance < acc.close:
                acc.close = distance

        @gather(pairs, rp=running(0))
        def partner(me, other, people, acc):
            acc.rp = acc.rp * 31 + people.mark[other]

        @gather(follows, rl=running(0))
        def listen(me, other, people, acc):
            acc.rl = acc.rl * 31 + people.mark[other]

        @gather(followers, rf=running(0))
        def look_back(me, other, people, acc):
            acc.rf = acc.rf * 31 + people.mark[other]

        @gather(home, rh=running(0.0))
        def dwell(me, other, villages, acc):
            acc.rh += villages.wealth[other]

        @update(
            people,
            after=(
                all_of_them,
                a_stranger,
                strangers,
                celebrities,
                villagers,
                friends,
                passer_by,
                around,
                partner,
                listen,
                look_back,
                dwell,
            ),
        )
        def live(me, people, new, acc, p, step, draw):
            code = acc.r0 + 3 * acc.r1 + 5 * acc.r3 + 7 * acc.rw + 11 * acc.rm + 13 * acc.rk + 17 * acc.rn
            code = code + 19 * acc.nearby + 23 * acc.rp + 29 * acc.rl + 31 * acc.rf
            new.code[me] = 37 * people.code[me] + code
            if acc.c0 > 0:
                new.opinion[me] = 0.5 * people.opinion[me] + 0.5 * acc.s0 / acc.c0 + 0.01 * acc.sm + 0.125 * acc.close
            new.opinion[me] += 0.001 * acc.rh
            if draw.uniform("turn") < 0.3:
                new.leader[me] = acc.someone
            new.place[me, 0] += draw.integer("east", -3, 4) / 16
            new.place[me, 1] += draw.integer("north", -3, 4) / 16

        @gather(household, n=count(), rv=running(0))
        def muster(me, other, people, acc):
            acc.n += 1
            acc.rv = acc.rv * 31 + people.mark[other]

        @update(villages, after=muster)
        def grow(me, villages, new, acc):
            new.inhabitants[me] = acc.n
            new.sequence[me] = acc.rv
            new.wealth[me] = villages.wealth[me] * 0.99 + 0.1 * acc.n

        if dynamic:

            @gather(near, crowd=count())
            def feel_crowded(me, other, acc):
                acc.crowd += 1

            @birth(people)
            def have_child(me, people, child, draw, p):
                if draw.uniform("birth") < 0.2:
                    child.opinion = 1.0 - people.opinion[me]
                    child.leader = me
                    child.place[0] = people.place[me, 0] + 0.5
                    return True
                return False

            @update(people, after=feel_crowded)
            def age(me, people, new, acc, p, draw):
                new.weight[me] = people.weight[me] + acc.crowd
                if draw.uniform("death") < p.death:
                    new.alive[me] = False

    return Society


def market(dynamic: bool, order: Any) -> type[Scenario]:
    """People who trade one after another; some die of it, and later ones must see that."""

    class Market(Scenario):
        n_people: int = param(12, low=0)
        turns: int = param(10, low=0)
        death: float = param(0.2, low=0, high=1)

        houses = population(size=3, stock=field(int))
        people = population(
            size="n_people",
            capacity=40 if dynamic else None,
            mark=field(int),
            wealth=field(int),
            house=reference(houses),
            rival=reference(),
            place=vector(2),
        )
        three = Random(people, k=3)
        mates = Mates(people.house)
        near = Space(people.place, reach=0.3, box=1.0)
        rivals = Chosen(people.rival)
        pairs = Matching(people)

        def start(self, houses: Any, people: Any, draw: Any) -> None:
            d = draw.of(people)
            people.mark[:] = d.integer("mark", 1, 1_000_000)
            people.wealth[:] = d.integer("wealth", 1, 100)
            people.house[:] = d.integer("house", 0, 4) - 1
            people.rival[:] = d.integer("rival", 0, len(people) + 1) - 1 if len(people) else 0
            people.place[:] = d.uniform("place", components=2)

        @gather(three, seen=running(0), richest=running(-1))
        def look(me, other, people, acc, draw):
            acc.seen = acc.seen * 31 + people.wealth[other]
            if draw.uniform("notice") < 0.9:
                acc.richest = other

        @gather(near, nearby=running(0), gap=running(0.0))
        def around(me, other, distance, people, acc):
            acc.nearby = acc.nearby * 31 + people.wealth[other]
            acc.gap = 0.5 * acc.gap + distance

        @update(people, after=(look, around), order=order)
        def trade(me, people, new, acc, draw, p):
            new.wealth[me] += acc.seen % 7 + acc.nearby % 5
            new.place[me, 0] += 0.25 * draw.uniform("east") + 0.01 * acc.gap
            if acc.richest >= 0 and draw.uniform("turn") < 0.7:
                new.wealth[acc.richest] -= 1
                new.rival[acc.richest] = me
                new.rival[me] = acc.richest

        @gather(mates, m=running(0))
        def household(me, other, people, acc):
            acc.m = acc.m * 31 + people.wealth[other]

        @gather(rivals, r=running(0))
        def watch(me, other, people, acc):
            acc.r = acc.r * 31 + people.wealth[other]

        @gather(pairs, q=running(0))
        def meet(me, other, people, acc):
            acc.q = acc.q * 31 + people.wealth[other]

        @update(people, after=(household, watch, meet), order=order)
        def settle(me, people, new, acc, draw):
            new.wealth[me] = (people.wealth[me] + acc.m + 3 * acc.r + 5 * acc.q) % 1000
            if draw.uniform("move") < 0.3:
                new.house[me] = draw.integer("house", -1, 3)

        if dynamic:

            @update(people, order=order)
            def duel(me, people, new, draw, p):
                if draw.uniform("luck") < p.death:
                    if people.rival[me] >= 0:
                        new.alive[me] = False
                    else:
                        new.wealth[me] += 1

    return Market


SOCIETIES = {"static": society(dynamic=False), "dynamic": society(dynamic=True)}
MARKETS = {
    "static, sequential": market(dynamic=False, order="sequential"),
    "dynamic, shuffled": market(dynamic=True, order="shuffled"),
    "dynamic, events": market(dynamic=True, order=events("turns")),
}


@pytest.mark.parametrize("kind", SOCIETIES)
def test_every_relation_steps_as_the_reference_does(kind: str) -> None:
    scenario = SOCIETIES[kind]

    @given(n=st.integers(0, 14), seed=st.integers(0, 2**64 - 1), villages=st.integers(1, 4), steps=st.integers(0, 4))
    @settings(max_examples=12)
    def agrees(n: int, seed: int, villages: int, steps: int) -> None:
        assert_engine_agrees(scenario, seed, steps, n_people=n, n_villages=villages)

    agrees()


@pytest.mark.parametrize("kind", MARKETS)
def test_every_order_steps_as_the_reference_does(kind: str) -> None:
    scenario = MARKETS[kind]

    @given(n=st.integers(0, 14), seed=st.integers(0, 2**64 - 1), turns=st.integers(0, 20), steps=st.integers(0, 4))
    @settings(max_examples=12)
    def agrees(n: int, seed: int, turns: int, steps: int) -> None:
        assert_engine_agrees(scenario, seed, steps, n_people=n, turns=turns)

    agrees()


@pytest.mark.parametrize("death", [0.0, 0.5, 1.0])
def test_a_population_that_grows_or_dies_out_steps_as_the_reference_does(death: float) -> None:
    assert_engine_agrees(SOCIETIES["dynamic"], 3, 6, n_people=8, death=death, room=200)
