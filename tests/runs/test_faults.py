"""Shards that are lost at any moment: the state goes back to where it was kept, and the result is the same."""

from __future__ import annotations

import errno
import os
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sharding import State, assert_any_shards_agree, assert_same_state, copied, recipe_of

from simengine import Everyone, RunError, Scenario, decision, field, gather, param, population, stop_when, total, update
from simengine.runs.faults import Faults, KeptState, ShardsLost
from simengine.runs.session import make_engine
from simengine.runs.shard_threads import ThreadHosts
from simengine.runs.sharded import ShardedEngine

STEPS = 12


class Mood(Scenario):
    """Agents that hear one another, are told what to do, and stop at last."""

    n: int = param(7, low=1)
    loud: float = param(0.5)

    agents = population(size="n", mood=field(), act=field())
    everyone = Everyone(agents)

    def start(self, agents: Any, draw: Any) -> None:
        agents.mood[:] = draw.uniform("mood")

    @gather(everyone, heard=total())
    def hear(me, other, agents, acc):
        acc.heard += agents.mood[other]

    @decision(agents.act, after=hear)
    def choose(me, agents, acc):
        return 0.1 * acc.heard

    @update(agents)
    def change(me, agents, new, p, draw):
        new.mood[me] = 0.5 * agents.mood[me] + p.loud * agents.act[me] + 0.1 * draw.normal("whim")

    @stop_when
    def never(agents: Any) -> bool:
        return bool(agents.mood.max() > 1e9)

    stop = never


class Counting:
    """A policy that remembers."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, asked: Any) -> Any:
        self.asked += 1
        return asked.rule + 0.01 * self.asked

    def state(self) -> Any:
        return self.asked

    def restore(self, state: Any) -> None:
        self.asked = state


class MortalHosts:
    """Shards in threads that are lost at chosen calls, before or after they have done what they were asked."""

    def __init__(self, deaths: dict[int, bool], number: int = 3) -> None:
        self.number, self._deaths, self._calls = number, deaths, 0
        self._begin()

    def _begin(self) -> None:
        self.hosts = ThreadHosts(recipe(), self.number, "ranges")

    def ask(self, method: str, *arguments: Any) -> list[Any]:
        self._calls += 1
        at = self._calls
        if self._deaths.get(at) is False:
            raise ShardsLost({at % self.number: "lost before"})
        answers = self.hosts.ask(method, *arguments)
        if self._deaths.get(at):
            raise ShardsLost({at % self.number: "lost after"})
        return answers

    def replace(self) -> list[int]:
        self.hosts.close()
        self._begin()
        return [self._calls % self.number]

    def close(self) -> None:
        self.hosts.close()


def recipe() -> Any:
    return recipe_of(Mood, policies=lambda: {"agents.choose": Counting()}, steps=STEPS)


def brighten(agents: Any, draw: Any) -> None:
    agents.mood[:] += draw.uniform("brighter")


def carried_out(engine: Any) -> State:
    """A run with interventions, at whose records fields are looked at."""
    for step, act in ((3, lambda: engine.change({"loud": 0.3})), (7, lambda: engine.edit(brighten)), (STEPS, None)):
        while engine.step < step:
            engine.advance(min(step, engine.step + 2))
            engine.view().populations["agents"].mood.sum()
        if act is not None:
            act()
    return copied(engine.saved())


@pytest.fixture(scope="module")
def undisturbed() -> State:
    return carried_out(make_engine(recipe(), 1))


@pytest.mark.parametrize("keeping", [False, True])
def test_shards_may_be_lost_at_any_moment(keeping: bool, undisturbed: State, monkeypatch: pytest.MonkeyPatch) -> None:
    if keeping:
        monkeypatch.setattr("simengine.runs.sharded.SECONDS_BETWEEN_KEEPING", 0.0)
        monkeypatch.setattr("simengine.runs.sharded.LARGEST_SHARE_OF_KEEPING", 1e12)
        monkeypatch.setattr("simengine.runs.faults.MOST_IN_MEMORY", 100)

    @given(deaths=st.dictionaries(st.integers(2, 90), st.booleans(), max_size=4))
    @settings(max_examples=20)
    def same(deaths: dict[int, bool]) -> None:
        hosts = MortalHosts(deaths)
        driver = ShardedEngine(recipe(), hosts, 1)
        assert_same_state(carried_out(driver), undisturbed)
        told = driver.happened["faults"] or []
        assert len(told) <= len(deaths)
        # A second loss while the first is being mended is told with it.
        assert bool(told) == any(at <= hosts._calls for at in deaths)
        driver.close()

    same()


def test_losses_without_end_at_one_step_are_given_up() -> None:
    driver = ShardedEngine(recipe(), MortalHosts(dict.fromkeys(range(4, 1000), False)), 1)
    with pytest.raises(RunError, match=r"shards die again and again at step \d: shard \d: lost before"):
        driver.advance(STEPS)
    driver.close()


def test_what_was_lost_is_told_with_the_steps_that_were_repeated() -> None:
    faults = Faults()
    said = faults.add(40, ShardsLost({1: "its process has died"}), [1], 12, 0.5)
    assert said == (
        "simengine: shard 1: its process has died (after step 40); replaced: 1, steps repeated: 12, 0.5 s; "
        "the result is not affected"
    )
    assert faults.listed == [
        {"step": 40, "what": "shard 1: its process has died", "replaced": [1], "steps_repeated": 12, "seconds": 0.5}
    ]


@pytest.mark.parametrize("most", [0, 100, 10**9])
def test_a_kept_state_is_read_as_it_was(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simengine.runs.faults.MOST_IN_MEMORY", most)
    arrays = {"a/b": np.arange(10.0), "c": np.arange(6).reshape(2, 3), "none": np.empty(0, bool)}
    found, details = KeptState(arrays, {"step": 7, "policies": {}}).read()
    assert details == {"step": 7, "policies": {}}
    assert found.keys() == arrays.keys()
    for name, values in arrays.items():
        np.testing.assert_array_equal(found[name], values)


def test_without_room_to_keep_a_state_the_one_before_serves(
    undisturbed: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("simengine.runs.sharded.SECONDS_BETWEEN_KEEPING", 0.0)
    monkeypatch.setattr("simengine.runs.sharded.LARGEST_SHARE_OF_KEEPING", 1e12)
    driver = ShardedEngine(recipe(), MortalHosts({40: True}), 1)
    driver.advance(3)
    with monkeypatch.context() as full:
        full.setattr("simengine.runs.faults.MOST_IN_MEMORY", 0)
        full.setattr(np, "save", save)
        driver.advance(5)
        # What was changed from outside must be kept, for nobody could repeat it.
        with pytest.raises(RunError, match="cannot keep the state at step 5: No space left on device"):
            driver.change({"loud": 0.3})
    driver.close()


class Timid(Scenario):
    """Agents that cannot begin where everything is loud."""

    n: int = param(5, low=1)
    loud: float = param(0.5)

    agents = population(size="n", mood=field())

    def start(self, agents: Any, draw: Any) -> None:
        if self.loud > 1:
            raise ValueError("too loud to begin")
        agents.mood[:] = draw.uniform("mood")

    @update(agents)
    def change(me, agents, new, p):
        new.mood[me] = p.loud * agents.mood[me]


def test_a_second_change_does_not_ask_whether_the_start_would_go_with_the_first() -> None:
    def loud(value: float) -> Any:
        return lambda engine: engine.change({"loud": value})

    assert_any_shards_agree(Timid, 6, shards=(2,), between={2: loud(2.0), 4: loud(3.0)})
