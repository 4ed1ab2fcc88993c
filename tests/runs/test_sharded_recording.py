"""What a run that is spread over shards writes, and how little of it lies in one place while it does."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import simengine
from simengine import Output, Scenario, Space, birth, field, gather, param, population, tally, total, update, vector
from simengine.arrays.exact import ExactMoments
from simengine.runs.carry_out import to_the_end
from simengine.runs.faults import KeptState
from simengine.runs.options import Options
from simengine.runs.recipe import Recipe
from simengine.runs.session import Session, make_engine, opening
from simengine.runs.shard_threads import ThreadHosts
from simengine.runs.sharded import ShardedEngine, choose_cut
from simengine.store import RunWriter, read_checkpoints, write_checkpoint
from simengine.store.checkpoints import Checkpoint

STEPS, SEED = 7, 4
BLOCK = 1024


class MeanHeight:
    """Exact mean of all heights seen since the start, and how many they were."""

    name = "mean_height"
    outputs = (Output("mean_height"), Output("seen", dtype="int64"))
    partial = lasting = True

    def begin(self) -> Any:
        return ExactMoments().state()

    def update(self, state: Any, view: Any) -> Any:
        moments = ExactMoments.from_state(state)
        moments.update(view.populations["agents"].height)
        return moments.state()

    def merge(self, state: Any, other: Any) -> Any:
        moments = ExactMoments.from_state(state)
        moments.merge(ExactMoments.from_state(other))
        return moments.state()

    def finalise(self, state: Any, view: Any) -> Mapping[str, Any]:
        moments = ExactMoments.from_state(state)
        return {"mean_height": float(moments.mean[0]), "seen": moments.n}


@tally("agents.age", dtype="int64")
def oldest(values: Any) -> int:
    """Highest age."""
    return int(values.max(initial=0))


class Walkers(Scenario):
    """Agents who walk through a periodic square, pulled along by those near them."""

    n_agents: int = param(700, low=1)
    agents = population(size="n_agents", place=vector(2), height=field(float), age=field(int), tired=field(bool))
    near = Space(agents.place, reach=1.0, box=30.0)

    def start(self, agents: Any, draw: Any) -> None:
        agents.place[:] = draw.uniform("place", 0.0, 30.0, components=2)
        agents.height[:] = draw.uniform("height")

    @gather(near, around=total())
    def look(me, other, agents, acc):
        acc.around += agents.height[other]

    @update(agents, after=look)
    def walk(me, agents, new, acc, draw):
        new.place[me, 0] += acc.around
        new.height[me] = 0.9 * agents.height[me] + 0.01 * acc.around
        new.age[me] += 1
        new.tired[me] = draw.chance("tired", 0.3)

    observe = [MeanHeight(), oldest]


class Breeders(Scenario):
    """Agents who are born and die."""

    n_agents: int = param(300, low=1)
    agents = population(size="n_agents", capacity=500, height=field(float), age=field(int))

    @update(agents)
    def live(me, agents, new, draw):
        new.height[me] = agents.height[me] + draw.uniform("height")
        new.age[me] += 1
        new.alive[me] = not draw.chance("death", 0.1)

    @birth(agents)
    def bear(me, agents, child, draw):
        child.height = agents.height[me]
        return draw.chance("birth", 0.1)

    observe = [MeanHeight(), oldest]


class Watched(ThreadHosts):
    """Shards who remember what they were asked for, and how many bytes of it."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.asked: list[tuple[str, int]] = []

    def ask(self, method: str, *arguments: Any) -> list[Any]:
        answers = super().ask(method, *arguments)
        values = [part[1] for part in answers] if method == "held_block" else answers if method == "held_ids" else []
        self.asked.append((method, sum(found.nbytes for found in values)))
        return answers


def recipe_of(scenario: type[Scenario], snapshot_every: int | None = 3) -> Recipe:
    return Recipe.of(
        scenario, {}, steps=STEPS, seed=SEED, every=1, snapshot_every=snapshot_every, start=None, policies=None,
        interventions=(),
    )  # fmt: skip


def spread(recipe: Recipe, shards: int = 3) -> tuple[ShardedEngine, Watched]:
    cut, reason = choose_cut(recipe.scenario, frozenset())
    hosts = Watched(recipe, shards, cut)
    return ShardedEngine(recipe, hosts, 1, cut=cut, reason=reason), hosts


def written(recipe: Recipe, engine: Any, path: Path, checkpoint_every: int | None = None) -> str:
    """Carry out a recipe to a file of which a segment holds a kilobyte, and return the content hash."""
    layout, stable, volatile = opening(recipe, engine)
    writer = RunWriter(path, layout, stable, volatile=volatile, segment_bytes=BLOCK)
    session = Session(
        recipe, engine, writer, run_id=volatile["run_id"], path=path, checkpoint_every=checkpoint_every
    )  # fmt: skip
    with to_the_end(session, path, Options(progress=False, checkpoint_every=checkpoint_every)) as run:
        return str(run.attrs["content_hash"])


@pytest.fixture(scope="module", params=[Walkers, Breeders])
def whole(request: Any) -> tuple[type[Scenario], str]:
    """A scenario, and the content hash of its run in one process."""
    run = simengine.run(request.param, steps=STEPS, seed=SEED, snapshot_every=3, progress=False)
    return request.param, run.attrs["content_hash"]


@pytest.mark.parametrize("shards", [1, 3])
def test_a_file_is_the_same_and_no_more_than_a_block_is_fetched_at_once(
    whole: tuple[type[Scenario], str], shards: int, tmp_path: Path
) -> None:
    scenario, expected = whole
    recipe = recipe_of(scenario)
    engine, hosts = spread(recipe, shards)
    try:
        assert written(recipe, engine, tmp_path / "x.nc") == expected
        assert engine.happened["shards_cut_into"] == ("regions" if scenario is Walkers else "ranges")
    finally:
        engine.close()
    fetched = [size for method, size in hosts.asked if method == "held_block"]
    assert max(fetched) <= BLOCK
    rows = 1 + STEPS // 3 + (STEPS % 3 > 0)
    # Ids are asked for only where agents are born: once for each moment that is written.
    assert sum(method == "held_ids" for method, _ in hosts.asked) == (rows if scenario is Breeders else 0)


def test_partial_observables_need_one_answer_of_each_shard_and_nobody_s_values(tmp_path: Path) -> None:
    recipe = recipe_of(Walkers, snapshot_every=None)
    engine, hosts = spread(recipe)
    try:
        written(recipe, engine, tmp_path / "x.nc")
    finally:
        engine.close()
    assert {method for method, _ in hosts.asked}.isdisjoint({"held_block", "held_ids", "living"})
    assert sum(method == "observed" for method, _ in hosts.asked) == STEPS + 1


def test_a_checkpoint_of_shards_goes_on_in_one_process(whole: tuple[type[Scenario], str], tmp_path: Path) -> None:
    scenario, expected = whole
    recipe = recipe_of(scenario)
    engine, _ = spread(recipe)
    try:
        assert written(recipe, engine, tmp_path / "x.nc", checkpoint_every=4) == expected
        arrays, details = engine.saved()
        last = {name: np.array(values) for name, values in arrays.items()}
    finally:
        engine.close()
    checkpoint = next(one for one in read_checkpoints(tmp_path / "x.nc") if one.step == 4)
    alone = make_engine(recipe, 1)
    alone.load(checkpoint.arrays, checkpoint.details)
    alone.advance(STEPS)
    found, others = alone.saved()
    assert others == details
    assert found.keys() == last.keys()
    for name, values in last.items():
        np.testing.assert_array_equal(found[name], values)
    seen = int(checkpoint.arrays["observables/mean_height/n"])
    assert seen == sum(simengine.run(scenario, steps=3, seed=SEED, progress=False).seen.values[-1:])


def test_a_state_is_fetched_anew_each_time_and_takes_what_is_put_there() -> None:
    engine, hosts = spread(recipe_of(Walkers))
    try:
        arrays, _ = engine.saved()
        before = len(hosts.asked)
        assert len(arrays) == len(list(arrays))
        assert "populations/agents/height" in arrays
        assert len(hosts.asked) == before
        first, second = arrays["populations/agents/height"], arrays["populations/agents/height"]
        assert first is not second
        np.testing.assert_array_equal(first, second)
        arrays["populations/agents/height"] = np.zeros(3)
        arrays["more"] = np.ones(2)
        assert arrays["populations/agents/height"].size == 3
        assert list(arrays)[-1] == "more"
    finally:
        engine.close()


class OneAtATime(dict[str, Any]):
    """Arrays that are made when they are read; it fails if the one before is still there."""

    def __getitem__(self, name: str) -> Any:
        last = self.__dict__.get("last")
        assert last is None or last() is None, "two arrays at once"
        values = np.full(9, super().__getitem__(name))
        self.last = weakref.ref(values)
        return values


def test_a_checkpoint_holds_one_array_at_a_time(tmp_path: Path) -> None:
    arrays = OneAtATime({"a": 1, "b": 2, "c": 3})
    write_checkpoint(tmp_path / "x.nc", Checkpoint(1, "r", 0, arrays, {}))
    (found,) = read_checkpoints(tmp_path / "x.nc")
    assert {name: values.tolist() for name, values in found.arrays.items()} == {n: [k] * 9 for n, k in arrays.items()}


@pytest.mark.parametrize("most", [0, 100, 1000])
def test_a_state_that_is_kept_goes_to_a_file_where_it_is_large(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simengine.runs.faults.MOST_IN_MEMORY", most)
    arrays = {name: np.arange(10) + n for n, name in enumerate("abc")}
    found, details = KeptState(arrays, {"step": 3}).read()
    assert details == {"step": 3}
    assert list(found) == list(arrays)
    assert all(isinstance(values, np.memmap) == (most < 240) for values in found.values())
    for name, values in arrays.items():
        np.testing.assert_array_equal(found[name], values)
