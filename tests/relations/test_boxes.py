"""Positions at the edges of boxes, whoever wrote them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import assert_engine_agrees

from simengine import (
    InputError,
    Scenario,
    ScenarioError,
    Space,
    birth,
    count,
    field,
    gather,
    param,
    population,
    update,
    vector,
)
from simengine.runs.engine import Engine
from simengine.runs.start import Start


class Billiards(Scenario):
    """Balls in a reflecting box, two species that see one another, and their young."""

    n_balls: int = param(6, low=0)
    side: float = param(1.0, above=0)
    pace: float = param(0.7, low=0)

    walls = population(size=5, spot=vector(2), seen=field(int), near_ball=field())
    balls = population(size="n_balls", capacity=200, place=vector(2), pace=vector(2), seen=field(int))
    table = Space(balls.place, reach=0.3, box="side", boundary="reflecting", velocity=balls.pace)
    bumpers = Space(balls.place, reach=0.25, sees=walls.spot, box="side", boundary="reflecting")
    watch = Space(walls.spot, reach=0.25, sees=balls.place, box="side", boundary="reflecting")

    def start(self, walls: Any, balls: Any, draw: Any) -> None:
        walls.spot[:] = draw.of(walls).uniform("spot", 0.0, self.side, components=2)
        balls.place[:] = draw.of(balls).uniform("place", 0.0, self.side, components=2)
        balls.pace[:] = self.pace * draw.of(balls).unit_vector("pace", 2)

    @gather(table, near=count())
    def crowd(me, other, acc):
        acc.near += 1

    @gather(bumpers, hits=count())
    def touch(me, other, acc):
        acc.hits += 1

    @update(balls, after=(crowd, touch))
    def roll(me, balls, new, acc):
        new.place[me, 0] += balls.pace[me, 0]
        new.place[me, 1] += balls.pace[me, 1]
        new.seen[me] = 10 * acc.near + acc.hits

    @birth(balls)
    def split(me, balls, child, draw):
        child.place[0] = balls.place[me, 0] + 1.3
        child.pace[1] = -balls.pace[me, 1]
        return draw.uniform("split") < 0.1

    @gather(watch, passing=count())
    def look(me, other, acc):
        acc.passing += 1

    @update(walls, after=look)
    def drift(me, walls, new, acc):
        new.seen[me] += acc.passing
        new.spot[me, 1] += 0.4


@given(n=st.integers(0, 12), seed=st.integers(0, 1000), pace=st.floats(0, 5), steps=st.integers(1, 4))
def test_reflections_turn_velocities_and_species_see_one_another_as_in_the_reference(
    n: int, seed: int, pace: float, steps: int
) -> None:
    assert_engine_agrees(Billiards, seed, steps, n_balls=n, pace=pace)


def test_a_start_outside_a_periodic_box_is_the_same_place_inside_it() -> None:
    from test_space_neighbours import CROWDS

    for n in (40, 600):
        rng = np.random.default_rng(n)
        place = np.floor(rng.uniform(0, 4, (n, 2)) * 64) / 64
        shifted = place + 4.0 * rng.integers(-3, 4, (n, 2))
        seen = []
        for start in (place, shifted):
            engine = Engine(CROWDS["2-D periodic"]({"n_agents": n}), 0, 1, Start({"agents": {"place": start}}))
            engine.advance(1)
            seen.append(engine.state["agents"].values("seen").copy())
        np.testing.assert_array_equal(*seen)


def test_a_start_outside_a_reflecting_box_is_refused() -> None:
    with pytest.raises(InputError, match=r"balls.place of agent 2 lies outside the box"):
        Engine(
            Billiards({"n_balls": 3}), 0, 1, Start({"balls": {"place": np.array([[0.1, 0.1], [1.0, 0.0], [0.2, 1.1]])}})
        )


class Pushing(Scenario):
    agents = population(size=3, place=vector(2))
    near = Space(agents.place, reach=0.3, box=1.0)

    @update(agents, order="sequential")
    def push(me, agents, new):
        new.place[0, 0] += 0.1


def test_pushing_another_agent_through_space_is_refused() -> None:
    with pytest.raises(ScenarioError, match="moves another agent"):
        Engine(Pushing({}), 0)
