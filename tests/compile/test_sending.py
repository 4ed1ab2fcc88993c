"""What agents send to one another, by every rule of combination."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import assert_engine_agrees
from scipy import stats

from simengine import (
    Random,
    Scenario,
    ScenarioError,
    birth,
    counted,
    drawn,
    field,
    gather,
    highest,
    lowest,
    lowest_id,
    median,
    param,
    population,
    reference,
    running,
    send,
    summed,
    update,
)
from simengine.runs.engine import Engine


def post(dynamic: bool) -> type[Scenario]:
    class Post(Scenario):
        """Clients send parcels to shops; shops send some back to their favourite clients."""

        n_agents: int = param(20, low=0)
        n_shops: int = param(3, low=1)
        death: float = param(0.2, low=0, high=1)

        shops = population(
            size="n_shops",
            takings=field(),
            visits=field(int),
            cheap=field(),
            dear=field(),
            usual=field(),
            stock=field(int),
            least=field(int),
            most=field(int),
            early=field(int),
            lucky=field(int),
            favourite=field(int),
        )
        agents = population(
            size="n_agents",
            capacity=60 if dynamic else None,
            mark=field(int),
            shop=reference(shops),
            purse=field(),
            gifts=field(int),
            patron=reference(shops),
        )
        somewhere = Random(agents, k=1, target=shops)

        def start(self, shops: Any, agents: Any, draw: Any) -> None:
            d = draw.of(agents)
            agents.mark[:] = d.integer("mark", 1, 10**9)
            agents.shop[:] = d.integer("shop", 0, self.n_shops + 1) - 1

        @gather(somewhere, target=running(-1))
        def wander(me, other, acc):
            acc.target = other

        @send(
            agents,
            to=shops,
            after=wander,
            money=summed(),
            goods=summed(int),
            visitors=counted(),
            low=lowest(),
            high=highest(),
            middle=median(),
            fewest=lowest(int),
            largest=highest(int),
            first=lowest_id(),
            winner=drawn(),
        )
        def shop_around(me, agents, acc, send, draw):
            if draw.uniform("idle") < 0.2:
                return
            price = draw.normal("price") * 10.0 ** draw.integer("size", -8, 9)
            send.money(agents.shop[me], price)
            send.visitors(agents.shop[me])
            if acc.target >= 0:
                send.visitors(acc.target)
                send.money(acc.target, -0.5 * price)
                send.low(acc.target, price)
                send.high(acc.target, price)
                send.middle(acc.target, price)
                send.middle(agents.shop[me], -price)
                send.winner(acc.target)
                send.first(acc.target)
            for number in range(3):
                send.goods(acc.target, agents.mark[me] + number)
            send.fewest(agents.shop[me], agents.mark[me])
            send.largest(agents.shop[me], agents.mark[me])

        @update(shops)
        def count_up(me, shops, new):
            new.takings[me] = shops.money[me]
            new.visits[me] = shops.visitors[me]
            new.cheap[me] = shops.low[me]
            new.dear[me] = shops.high[me]
            new.usual[me] = shops.middle[me]
            new.stock[me] = shops.goods[me]
            new.least[me] = shops.fewest[me]
            new.most[me] = shops.largest[me]
            new.early[me] = 1 if shops.first[me] >= 0 else 0

        @send(shops, to=agents, gift=summed(), callers=drawn(), presents=counted())
        def thank(me, shops, send):
            if shops.winner[me] >= 0:
                send.gift(shops.winner[me], 1.0)
                send.callers(shops.first[me])
                send.presents(shops.first[me])

        if dynamic:

            @birth(agents)
            def multiply(me, agents, child, draw):
                child.gifts = 0
                return draw.uniform("birth") < 0.25

        @update(agents)
        def unwrap(me, agents, new):
            new.purse[me] = agents.purse[me] + agents.gift[me]
            new.gifts[me] += 1 + agents.presents[me]
            new.patron[me] = agents.callers[me]

        if dynamic:

            @update(agents)
            def perish(me, new, p, draw):
                if draw.uniform("death") < p.death:
                    new.alive[me] = False

    return Post


POSTS = {"static": post(dynamic=False), "dynamic": post(dynamic=True)}


@pytest.mark.parametrize("kind", ["dynamic", pytest.param("static", marks=pytest.mark.slow)])
def test_all_rules_combine_as_the_reference_does(kind: str) -> None:
    @given(n=st.integers(0, 25), shops=st.integers(1, 4), seed=st.integers(0, 10**6), steps=st.integers(1, 4))
    def agrees(n: int, shops: int, seed: int, steps: int) -> None:
        assert_engine_agrees(POSTS[kind], seed, steps, n_agents=n, n_shops=shops)

    agrees()


class Lottery(Scenario):
    """Everyone sends everything to one agent."""

    n_agents: int = param(10, low=1)
    agents = population(size="n_agents", value=field(), sum=field(), winner=reference())

    def start(self, agents: Any) -> None:
        agents.value[:] = [(-1.0) ** k * 10.0 ** (k % 30) / 3.0 for k in range(len(agents))]

    @send(agents, to=agents, ticket=drawn(), heap=summed())
    def enter(me, agents, send):
        send.ticket(0)
        send.heap(0, agents.value[me])
        send.heap(0, 0.1)

    @update(agents)
    def collect(me, agents, new):
        new.sum[me] = agents.heap[me]
        new.winner[me] = agents.ticket[me]


def test_a_sum_is_exact_however_its_parts_cancel() -> None:
    engine = Engine(Lottery({"n_agents": 100}), 0)
    engine.advance(1)
    values = [(-1.0) ** k * 10.0 ** (k % 30) / 3.0 for k in range(100)]
    assert engine.state["agents"].values("sum")[0] == math.fsum(values + [0.1] * 100)
    assert (engine.state["agents"].values("sum")[1:] == 0.0).all()


def test_a_drawn_sender_is_each_of_them_equally_often_and_afresh_every_step() -> None:
    engine = Engine(Lottery({"n_agents": 10}), 5)
    winners = []
    for step in range(3000):
        engine.advance(step + 1)
        winners.append(int(engine.state["agents"].values("winner")[0]))
    # Both chi-square tests fail with probability 1e-4 for another seed.
    assert stats.chisquare(np.bincount(winners, minlength=10)).pvalue > 1e-4
    pairs = np.array(winners[:-1]) * 10 + np.array(winners[1:])
    assert stats.chisquare(np.bincount(pairs, minlength=100)).pvalue > 1e-4


def sending(body: Any) -> type[Scenario]:
    class Sending(Scenario):
        agents = population(size=3, mark=field(int))
        act = send(agents, to=agents, parcel=summed(), call=counted())(body)

    return Sending


def with_a_wrong_inbox(me, send):
    send.parcle(0, 1.0)


def without_a_value(me, send):
    send.parcel(0)


def with_a_needless_value(me, send):
    send.call(0, 1.0)


def in_a_long_loop(me, agents, send):
    for number in range(agents.mark[me]):
        send.call(number)


def in_an_endless_loop(me, agents, send):
    number = 0
    while number < 3:
        send.call(number)
        number += 1


def as_a_value(me, agents, send):
    number = send.call(0)  # noqa: F841


@pytest.mark.parametrize(
    ("body", "line", "message"),
    [
        (with_a_wrong_inbox, 1, "did you mean 'parcel'"),
        (without_a_value, 1, r"send.parcel\(to, value\)"),
        (with_a_needless_value, 1, r"send.call\(to\)"),
        (in_a_long_loop, 2, "inside a loop"),
        (in_an_endless_loop, 3, "inside a loop"),
        (as_a_value, 1, "a statement of its own"),
    ],
)
def test_a_wrong_send_is_refused_with_its_line(body: Any, line: int, message: str) -> None:
    with pytest.raises(ScenarioError, match=message) as raised:
        Engine(sending(body)({}), 0)
    assert f"test_sending.py:{body.__code__.co_firstlineno + line}:" in str(raised.value)


class Early(Scenario):
    """Inboxes are read before anything was ever sent."""

    agents = population(size=3, low=field(), high=field(int), from_whom=reference(), sum=field(), first=field(bool))

    @update(agents)
    def read(me, agents, new, step):
        if step == 0:
            new.low[me], new.high[me], new.sum[me] = agents.least[me], agents.most[me], agents.total[me]
            new.from_whom[me] = agents.someone[me]

    @send(agents, to=agents, least=lowest(), most=highest(int), someone=lowest_id(), total=summed())
    def write(me, send):
        send.least(0, 1.0)
        send.most(0, 1)
        send.someone(0)
        send.total(0, 1.0)


def test_before_anything_is_sent_an_inbox_is_empty() -> None:
    _, engine = assert_engine_agrees(Early, 0, 2)
    agents = engine.state["agents"]
    assert agents.values("low").tolist() == [math.inf] * 3
    assert agents.values("high").tolist() == [-(2**63 - 1)] * 3
    assert agents.values("from_whom").tolist() == [-1] * 3
    assert agents.values("sum").tolist() == [0.0] * 3
