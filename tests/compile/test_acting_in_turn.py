"""Agents that act one after another in a large space: each sees what the earlier ones have done."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from reference import World, assert_engine_agrees

from simengine import (
    Random,
    Scenario,
    Space,
    count,
    decision,
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
from simengine.relations.space import PAIRS_UP_TO
from simengine.runs.engine import Engine


def dancers(
    dimensions: int, boundary: Literal["periodic", "reflecting", "open"], order: Any, gifts: bool = False
) -> type[Scenario]:
    class Dancers(Scenario):
        n_agents: int = param(PAIRS_UP_TO + 40, low=0)
        stride: float = param(0.02, low=0)
        reach: float = param(0.11, above=0)

        agents = population(
            size="n_agents",
            place=vector(dimensions),
            mood=field(),
            label=field(int),
            crowd=field(int),
            near=field(),
            last=reference(),
        )
        space = Space(agents.place, reach="reach", box=1.0, boundary=boundary)

        def start(self, agents: Any, draw: Any) -> None:
            agents.place[:] = draw.uniform("place", components=dimensions)
            agents.label[:] = draw.integer("label", 1, 10**6)
            agents.mood[:] = np.round(draw.uniform("mood") * 64)

        @gather(space, labels=total(dtype=int), closest=running(9.0), friend=running(-1))
        def look(me, other, distance, agents, acc):
            acc.labels += agents.label[other] + agents.crowd[other]
            if distance < acc.closest:
                acc.closest = distance
                acc.friend = other

        @gather(space, moods=total(), others=count())
        def feel(me, other, agents, acc):
            acc.moods += agents.mood[other]
            acc.others += 1

        @update(agents, after=(look, feel), order=order)
        def step_aside(me, agents, new, acc, draw, p):
            new.crowd[me] = acc.labels % 1000 + acc.others
            new.near[me] = acc.closest
            new.last[me] = acc.friend
            if gifts:
                new.mood[me] = np.floor(0.5 * (agents.mood[me] + 1.0))
                if acc.friend >= 0:
                    new.mood[acc.friend] += 1.0
            else:
                new.mood[me] = np.floor(acc.moods / (acc.others + 1.0))
            stride = p.stride if draw.uniform("leap") < 0.9 else 0.7
            for axis in range(dimensions):
                new.place[me, axis] += stride * (acc.others % 5 - 2)

    return Dancers


DANCERS = {
    "2-D periodic, shuffled": dancers(2, "periodic", "shuffled"),
    "3-D open, sequential": dancers(3, "open", "sequential"),
    "2-D reflecting, events": dancers(2, "reflecting", events(700)),
    "2-D periodic, with gifts": dancers(2, "periodic", "sequential", gifts=True),
}


class Crowd(World):
    """The reference, with the search for those within reach done by numpy at once."""

    def seen(self, relation: Any, phase: Any, me: int, event: int) -> Any:
        rows = self.rows[relation.source.name]
        scalars = relation.scalars(self.p.values)
        offset = rows.fields["place"] - rows.fields["place"][me]
        period = scalars["period"]
        if period:
            offset = np.where(offset > 0.5 * period, offset - period, offset)
            offset = np.where(offset < -0.5 * period, offset + period, offset)
        near = (offset**2).sum(axis=1) <= scalars["reach"] ** 2 * (1 + 1e-9)
        near[me] = False
        for other in np.flatnonzero(near):
            square = offset[other, 0] * offset[other, 0]
            for axis in range(1, relation.dimensions):
                square = square + offset[other, axis] * offset[other, axis]
            if square <= scalars["reach"] * scalars["reach"]:
                yield int(other), offset[other]


class Courtship(Scenario):
    """In one turn everybody draws two and one, among many and among few, and looks round in two spaces."""

    n_agents: int = param(40, low=0)

    agents = population(size="n_agents", place=vector(2), mark=field(int), code=field(int))
    rooms = population(size=3, place=vector(2), mark=field(int))
    two = Random(agents, k=2)
    one = Random(agents, k=1, target=rooms)
    near = Space(agents.place, reach=0.9, box=1.0)
    near_two = Random(agents, k=2, within=near)
    inside = Space(agents.place, sees=rooms.place, reach=0.4, box=1.0)
    inside_one = Random(agents, k=1, within=inside)

    def start(self, agents: Any, rooms: Any, draw: Any) -> None:
        agents.place[:] = draw.of(agents).uniform("place", components=2)
        agents.mark[:] = draw.of(agents).integer("mark", 1, 10**6)
        rooms.place[:] = draw.of(rooms).uniform("place", components=2)
        rooms.mark[:] = draw.of(rooms).integer("mark", 1, 10**6)

    @gather(two, a=running(0))
    def meet(me, other, agents, acc):
        acc.a = acc.a * 31 + agents.mark[other] + agents.code[other]

    @gather(near_two, b=running(0))
    def meet_near(me, other, agents, acc):
        acc.b = acc.b * 31 + agents.mark[other]

    @gather(near, c=running(0))
    def look(me, other, agents, acc):
        acc.c = acc.c * 31 + agents.mark[other]

    @gather(inside, d=running(0))
    def look_inside(me, other, rooms, acc):
        acc.d = acc.d * 31 + rooms.mark[other]

    @gather(inside_one, e=running(0))
    def enter(me, other, rooms, acc):
        acc.e = acc.e * 31 + rooms.mark[other]

    @gather(one, f=running(0))
    def visit(me, other, rooms, acc):
        acc.f = acc.f * 31 + rooms.mark[other]

    @update(agents, after=(meet, meet_near, look, look_inside, enter, visit), order="shuffled")
    def act(me, agents, new, acc):
        new.code[me] = (acc.a + 3 * acc.b + 5 * acc.c + 7 * acc.d + 11 * acc.e + 13 * acc.f) % 1000003


@pytest.mark.parametrize("n", [1, 3, 40])
def test_partners_of_several_relations_may_be_drawn_in_one_turn(n: int) -> None:
    assert_engine_agrees(Courtship, 5, 3, n_agents=n)


@pytest.mark.parametrize("name", DANCERS)
@pytest.mark.parametrize("n", [0, 1, 40, PAIRS_UP_TO + 40])
def test_turns_in_a_space_step_as_the_reference_does(name: str, n: int) -> None:
    world, engine = Crowd(DANCERS[name], 4, n_agents=n), Engine(DANCERS[name]({"n_agents": n}), 4, 1)
    for step in (1, 2):
        world.run(step)
        engine.advance(step)
        for field_name in ("crowd", "last", "mood", "place"):
            wanted = world.rows["agents"].fields[field_name]
            np.testing.assert_array_equal(
                engine.state["agents"].values(field_name), wanted, err_msg=f"{field_name} after {step}"
            )
        np.testing.assert_allclose(
            engine.state["agents"].values("near"), world.rows["agents"].fields["near"], rtol=0, atol=1e-15
        )


class Voting(Scenario):
    """A sequential decision and a synchronous gather over one space: storage must stay as it is."""

    n_agents: int = param(PAIRS_UP_TO + 40, low=0)
    agents = population(size="n_agents", place=vector(2), choice=field(int), sequence=field(int), label=field(int))
    watchers = population(size=20, spot=vector(2), seen=field(int))
    space = Space(agents.place, reach=0.11, box=1.0)
    view = Space(watchers.spot, reach=0.2, sees=agents.place, box=1.0)

    def start(self, agents: Any, watchers: Any, draw: Any) -> None:
        agents.place[:] = draw.of(agents).uniform("place", components=2)
        agents.label[:] = draw.of(agents).integer("label", 1, 1000)
        watchers.spot[:] = draw.of(watchers).uniform("spot", components=2)

    @gather(space, near=count())
    def count_near(me, other, acc):
        acc.near += 1

    @update(agents, after=count_near)
    def wander(me, new, acc):
        new.place[me, 0] += 0.01 * acc.near

    @gather(space, story=running(0))
    def listen(me, other, agents, acc):
        acc.story = (acc.story * 31 + agents.label[other] + agents.choice[other]) % 1_000_003

    @decision(agents.choice, after=listen, order="sequential")
    def choose(me, acc):
        return acc.story % 7

    @gather(view, tale=running(0))
    def watch(me, other, agents, acc):
        acc.tale = (acc.tale * 31 + agents.label[other]) % 1_000_003

    @update(watchers, after=watch, order="sequential")
    def remember(me, new, acc):
        new.seen[me] = acc.tale


def test_the_order_of_storage_does_not_show_where_agents_act_in_turn() -> None:
    found = []
    for storage_order in ("by_id", "by_cell"):
        engine = Engine(Voting({}), 1, 1, storage_order=storage_order)
        engine.advance(3)
        found.append([engine.state["agents"].values("choice").copy(), engine.state["watchers"].values("seen").copy()])
    for by_id, by_cell in zip(*found, strict=True):
        np.testing.assert_array_equal(by_id, by_cell)


class Sharing(Scenario):
    """One agent after another takes from whom it draws, which may be itself."""

    n_agents: int = param(4, low=1)
    agents = population(size="n_agents", wealth=field(int))

    def start(self, agents: Any) -> None:
        agents.wealth[:] = 100

    @update(agents, order="sequential")
    def take(me, agents, new, p, draw):
        partner = draw.integer("partner", 0, p.n_agents)
        new.wealth[me] += 1
        new.wealth[partner] -= 1


def test_an_agent_that_pays_itself_keeps_its_money() -> None:
    for seed in range(5):
        _, engine = assert_engine_agrees(Sharing, seed, 10)
        assert engine.state["agents"].values("wealth").sum() == 400
