"""A run spread over shards is the same run, and what makes it another one is found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from simengine import InputError, Output, Scenario, ScenarioError, field, observable, param, population, tally, update
from simengine.arrays.exact import ExactMoments
from simengine.testing import any_shards, check


class MeanSoFar:
    """Exact mean of all values seen since the start."""

    name = "mean_so_far"
    outputs = (Output("mean_so_far"),)
    partial = True
    lasting = True

    def begin(self) -> Any:
        return ExactMoments().state()

    def update(self, state: Any, view: Any) -> Any:
        moments = ExactMoments.from_state(state)
        moments.update(view.populations["agents"].value)
        return moments.state()

    def merge(self, state: Any, other: Any) -> Any:
        moments = ExactMoments.from_state(state)
        moments.merge(ExactMoments.from_state(other))
        return moments.state()

    def finalise(self, state: Any, view: Any) -> Mapping[str, Any]:
        return {"mean_so_far": float(ExactMoments.from_state(state).mean[0])}


class Calls(MeanSoFar):
    """Counts its calls and not the agents."""

    name = "calls"
    outputs = (Output("calls"),)
    lasting = False

    def begin(self) -> Any:
        return 0

    def update(self, state: Any, view: Any) -> Any:
        return state + 1

    def merge(self, state: Any, other: Any) -> Any:
        return state + other

    def finalise(self, state: Any, view: Any) -> Mapping[str, Any]:
        return {"calls": float(state)}


@observable
def value_of_first(agents: Any) -> float:
    """Value of the agent with the lowest id: a function of everybody, in order."""
    return float(agents.value[0])


@tally("agents.mood", dtype="int64")
def commonest_mood(values: Any, counts: Any) -> int:
    """The lowest of the commonest moods."""
    return int(values[np.argmax(counts)])


@tally("agents.calm", outputs=(Output("at_ease", dtype="int64"), Output("share_at_ease")))
def calmness(values: Any, counts: Any, p: Any) -> dict[str, Any]:
    """How many are calm."""
    calm = int(counts[values].sum())
    return {"at_ease": calm, "share_at_ease": calm / p.n_agents}


class Moody(Scenario):
    """Agents whose moods change by chance."""

    n_agents: int = param(23, low=1)
    agents = population(size="n_agents", value=field(float), mood=field(int), calm=field(bool))

    @update(agents)
    def change(me, agents, new, draw):
        new.value[me] = agents.value[me] + draw.uniform("value") / 3.0
        new.mood[me] = draw.integer("mood", -3, 4)
        new.calm[me] = draw.chance("calm", 0.4)

    observe = [MeanSoFar(), value_of_first, commonest_mood, calmness]


class CountsCalls(Moody):
    """Its observable says that it is partial, and is not."""

    observe = [Calls()]


def number_of_values(counts: Any) -> int:
    return len(counts)


class Vague(Moody):
    """Tallies floats."""

    observe = [tally("agents.value")(number_of_values)]


class Mistaken(Moody):
    """Tallies a population that there is not."""

    observe = [tally("people.value")(number_of_values)]


def failing(assertion: Any, *args: Any, **options: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        assertion(*args, **options)
    return str(caught.value)


@pytest.mark.parametrize("n_agents", [23, 2])
def test_observables_agree_however_the_agents_are_spread(n_agents: int) -> None:
    # Of two agents in three shards one shard has nobody.
    any_shards(Moody, steps=9, n_agents=n_agents)


def test_an_observable_that_is_not_partial_is_found() -> None:
    text = failing(any_shards, CountsCalls, shards=(1, 3), steps=2)
    assert text == "CountsCalls: calls at step 0 is 1.0 in one piece, 3.0 in 3 shards"


def test_check_looks_at_shards() -> None:
    assert failing(check, CountsCalls, steps=3).startswith("CountsCalls: calls at step 0 is 1.0 in one piece, 2.0 in 2")


@pytest.mark.parametrize("shards", [(0,), (True,), (1, 2.5)])
def test_numbers_of_shards_are_whole(shards: Any) -> None:
    with pytest.raises(InputError, match="whole numbers from 1"):
        any_shards(Moody, shards=shards)


def test_only_whole_numbers_are_tallied() -> None:
    with pytest.raises(ScenarioError, match=r"^agents\.value: only whole numbers .* not float64$"):
        any_shards(Vague, steps=1)
    with pytest.raises(ScenarioError, match="no population 'people' to tally"):
        any_shards(Mistaken, steps=1)
    with pytest.raises(ScenarioError, match=r"takes 'population\.field', not 'opinion'"):
        tally("opinion")
