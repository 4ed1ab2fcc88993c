from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import simengine
from simengine import (
    InputError,
    Random,
    Scenario,
    ScenarioError,
    Window,
    count,
    field,
    gather,
    observable,
    param,
    population,
    running,
    testing,
    total,
    update,
    vector,
)


@observable
def mean_heard(agents: Any) -> float:
    """Mean of what agents heard."""
    return float(agents.heard.mean())


class Line(Scenario):
    """Agents on a line that hear those near them, and loudspeakers."""

    n_agents: int = param(50, low=0)
    n_speakers: int = param(4, low=0)
    bound: float = param(0.2, low=0)
    move_by: float = param(0.0)

    agents = population(
        size="n_agents", place=field(), voice=field(), own_reach=field(),
        heard=field(), near=field(int), heard_by_one=field(), first=field(), near_own=field(int),
        loud=field(), speakers_near=field(int), friend=field(),
    )  # fmt: skip
    speakers = population(size="n_speakers", place=field(), volume=field(int))

    within = Window(agents.place, reach="bound")
    within_own = Window(agents.place, reach=agents.own_reach)
    around = Window(agents.place, reach=lambda p: 2 * p.bound, sees=speakers.place)
    one = Random(agents, k=1, within=within)

    def start(self, agents: Any, speakers: Any, draw: Any) -> None:
        agents.place[:] = draw.of(agents).uniform("place")
        agents.voice[:] = draw.of(agents).normal("voice")
        agents.own_reach[:] = draw.of(agents).uniform("reach", 0.0, 0.5)
        speakers.place[:] = draw.of(speakers).uniform("place")
        speakers.volume[:] = 3

    @gather(within, heard=total(), near=count())
    def listen(me, other, agents, p, acc):
        if agents.voice[other] > -2.0:
            acc.heard += agents.voice[other] * (1.0 + p.move_by)
        acc.near += 1

    @gather(within, heard_by_one=total(), first=running(math.nan))
    def compare(me, other, agents, acc):
        acc.heard_by_one += agents.place[other] - agents.place[me]
        if math.isnan(acc.first):
            acc.first = agents.place[other]

    @gather(within_own, near_own=count())
    def look(me, other, acc):
        acc.near_own += 1

    @gather(around, loud=total(), speakers_near=count())
    def hear(me, other, speakers, acc):
        acc.loud += 0.5 * speakers.volume[other]
        acc.speakers_near += 1

    @gather(one, friend=running(math.nan))
    def meet(me, other, agents, acc):
        acc.friend = agents.place[other]

    @update(agents, after=(listen, compare, look, hear, meet))
    def keep(me, agents, new, p, acc, draw):
        new.heard[me] = acc.heard
        new.near[me] = acc.near
        new.heard_by_one[me] = acc.heard_by_one
        new.first[me] = acc.first
        new.near_own[me] = acc.near_own
        new.loud[me] = acc.loud
        new.speakers_near[me] = acc.speakers_near
        new.friend[me] = acc.friend
        new.place[me] = agents.place[me] + p.move_by * draw.normal("step")

    observe = [mean_heard]


def expected_sums(place: np.ndarray, voice: np.ndarray, bound: float) -> tuple[np.ndarray, np.ndarray]:
    near = np.abs(place[:, None] - place[None, :]) <= bound
    np.fill_diagonal(near, False)
    return np.array([math.fsum(voice[row]) for row in near]), near.sum(1)


def after_one_step(**given: Any) -> simengine.Simulation:
    simulation = simengine.Simulation(Line, progress=False, **given)
    simulation.step()
    return simulation


values = st.one_of(st.floats(-1, 1), st.sampled_from([0.0, -0.0, 0.25, 0.5, 0.75]))
voices = st.floats(-1e3, 1e3, allow_subnormal=False).filter(lambda v: v == 0 or abs(v) > 1e-15)


@given(st.lists(st.tuples(values, voices), min_size=1, max_size=40), st.sampled_from([0.0, 0.2, 0.25, 0.5, 3.0]))
@example([(0.0, 1e3), (0.0, 1e-15), (0.0, -1e3)], 0.25)
@settings(max_examples=60, deadline=None)
def test_totals_are_exact_sums_over_everybody_within_reach(agents: list[tuple[float, float]], bound: float) -> None:
    place, voice = (np.array(column) for column in zip(*agents, strict=True))
    place = place + 0.0
    simulation = after_one_step(
        bound=bound, n_agents=len(place), seed=1, start={"place": place, "voice": np.maximum(voice, -1.5)}
    )
    heard, near = expected_sums(place, np.maximum(voice, -1.5), bound)
    np.testing.assert_array_equal(simulation.agents.near, near)
    np.testing.assert_array_equal(simulation.agents.heard, heard)


def test_each_way_to_look_sees_the_same_agents() -> None:
    simulation = simengine.Simulation(Line, n_agents=300, n_speakers=20, seed=3, progress=False)
    place, reach = simulation.agents.place.values.copy(), simulation.agents.own_reach.values.copy()
    speakers = simulation.speakers.place.values.copy()
    simulation.step()
    gap = np.abs(place[:, None] - place[None, :])
    near = gap <= 0.2
    np.fill_diagonal(near, False)
    by_value = np.lexsort((np.arange(300), place))
    first = [place[next(other for other in by_value if near[me, other])] for me in range(300)]
    np.testing.assert_array_equal(simulation.agents.first, first)
    expected = [np.sum(place[near[me]] - place[me]) for me in range(300)]
    np.testing.assert_allclose(simulation.agents.heard_by_one, expected, atol=1e-12)
    own = gap <= reach[:, None]
    np.testing.assert_array_equal(simulation.agents.near_own, own.sum(1) - 1)
    heard = np.abs(place[:, None] - speakers[None, :]) <= 0.4
    np.testing.assert_array_equal(simulation.agents.speakers_near, heard.sum(1))
    np.testing.assert_array_equal(simulation.agents.loud, 1.5 * heard.sum(1))
    friends = simulation.agents.friend.values
    assert (np.abs(friends - place) <= 0.2).all()
    assert (friends != place).all()


def test_order_kept_from_the_step_before_does_not_show() -> None:
    # The first step sorts afresh; later ones begin from the order of the step before.
    simulation = simengine.Simulation(Line, n_agents=500, move_by=0.02, bound=0.1, seed=5, progress=False)
    for _ in range(6):
        place, voice = simulation.agents.place.values.copy(), simulation.agents.voice.values.copy()
        simulation.step()
        heard, near = expected_sums(place, np.where(voice > -2.0, voice * 1.02, 0.0), 0.1)
        np.testing.assert_array_equal(simulation.agents.near, near)
        np.testing.assert_array_equal(simulation.agents.heard, heard)


def test_neither_shards_nor_an_interruption_show_where_there_are_windows() -> None:
    testing.any_shards(Line, n_agents=60, move_by=0.01, steps=6)
    testing.split_equals_whole(Line, n_agents=60, move_by=0.01, steps=6)


@pytest.mark.slow
def test_a_run_with_windows_keeps_all_promises() -> None:
    testing.check(Line, n_agents=60, move_by=0.01, steps=6)


class InTurn(Scenario):
    """Agents in a row move to the mean of those near, one after another."""

    n_agents: int = param(30, low=1)
    agents = population(size="n_agents", place=field())
    near = Window(agents.place, reach=0.3)

    def start(self, agents: Any, draw: Any) -> None:
        agents.place[:] = draw.uniform("place")

    @gather(near, sum=total(), n=count())
    def listen(me, other, agents, acc):
        acc.sum += agents.place[other]
        acc.n += 1

    @update(agents, after=listen, order="sequential")
    def move(me, agents, new, acc):
        new.place[me] = (acc.sum + agents.place[me]) / (acc.n + 1)


def test_agents_that_act_in_turn_see_where_others_have_gone() -> None:
    simulation = simengine.Simulation(InTurn, seed=2, progress=False)
    place = simulation.agents.place.values.copy()
    simulation.step()
    for me in range(30):
        near = np.abs(place - place[me]) <= 0.3
        place[me] = place[near].mean()
    np.testing.assert_allclose(simulation.agents.place, place, rtol=1e-12)


def test_a_window_takes_one_number_an_agent() -> None:
    crowd = population(size=3, at=vector(2), on=field(bool), place=field())
    others = population(size=3, reach=field())
    for given_field in (crowd.at, crowd.on, "place"):
        with pytest.raises(ScenarioError, match=r"Window\(\) takes a field of one number an agent"):
            Window(given_field, reach=1.0)  # type: ignore[arg-type]
    with pytest.raises(ScenarioError, match="is a field of the agents that look"):
        Window(crowd.place, reach=others.reach)


@pytest.mark.parametrize("reach", [-1.0, math.nan, math.inf])
def test_a_reach_that_is_no_distance_is_refused(reach: float) -> None:
    class Far(Line):
        beyond = Window(Line.agents.place, reach=reach)

    with pytest.raises(InputError, match=r"Far.beyond: the reach must be a finite number from 0"):
        simengine.run(Far, steps=1, progress=False)


def test_a_reach_that_names_no_parameter_is_told() -> None:
    class Typo(Line):
        beyond = Window(Line.agents.place, reach="bond")

    class Lambda(Line):
        beyond = Window(Line.agents.place, reach=lambda p: p.bond)

    for scenario in (Typo, Lambda):
        with pytest.raises(ScenarioError, match=r"there is no parameter 'bond'; did you mean 'bound'"):
            simengine.run(scenario, steps=1, progress=False)
