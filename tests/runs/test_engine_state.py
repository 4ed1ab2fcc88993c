"""What `Engine.saved` gives is all that the next step depends on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine import Scenario, count, field, gather, param, population, update
from simengine.relations.base import Body, Code, Relation, Scope
from simengine.runs import registry
from simengine.runs.engine import Engine
from simengine.store.checkpoints import Checkpoint, read_checkpoints, write_checkpoint

STEPS = 8
SIZES: dict[str, dict[str, Any]] = {
    "wealth_exchange": {"n_agents": 40, "initial_wealth": 2},
    "voter": {"n_agents": 60, "n_opinions": 4},
    "flocking": {"n_agents": 400, "box": 60.0, "order": "synchronous"},
    "predator_prey": {"n_prey": 300, "n_predators": 60, "box": 20.0, "prey_capacity": 3000, "predator_capacity": 2000},
    "schooling": {"n_agents": 80},
}
CHANGES: dict[str, dict[str, Any]] = {
    "wealth_exchange": {"order": "one_by_one"},
    "voter": {},
    "flocking": {"box": 45.0},
    "predator_prey": {"box": 15.0, "gain": 3},
    "schooling": {"regime": "swarm"},
}


class Rewired(Relation):
    """Everybody sees one other agent; the edges are state, and all rewired before anybody looks."""

    kept = ("edges",)

    def __init__(self, source: Any) -> None:
        self.source = self.target = source

    def work(self, capacity: Mapping[str, int]) -> dict[str, tuple[str, Any]]:
        return {"edges": ("int64", capacity[self.source.name]), "scratch": ("int64", 1)}

    def prepare(self, code: Code, scope: Scope) -> None:
        edges, living = scope.work(self, "edges"), scope.living(self.source)
        with code.block(f"for identity in range({living}):"):
            code.line(f"{edges}[identity] = (3 * {edges}[identity] + identity + 1) % {living}")

    def visit(self, code: Code, scope: Scope, body: Body) -> None:
        seen = f"{scope.work(self, 'edges')}[me_id]"
        code.line(f"other = {scope.slot(self.target, seen)}")
        with code.block("if other >= 0 and other != me:"):
            body()


class Networked(Scenario):
    """Agents that count and copy along edges which go on from step to step."""

    n_agents: int = param(17, low=2)
    weight: float = param(0.5)
    agents = population(size="n_agents", value=field(), met=field(int))
    edges = Rewired(agents)

    def start(self, agents: Any, draw: Any) -> None:
        agents.value[:] = draw.normal("value")

    @gather(edges, seen=count())
    def look(me, other, agents, acc):
        acc.seen += other

    @update(agents, after=look)
    def count_up(me, agents, new, p, acc):
        new.met[me] = agents.met[me] + acc.seen
        new.value[me] = p.weight * agents.value[me] + acc.seen


def engine_of(scenario: Any, seed: int, threads: int = 1, storage_order: Any = "by_id") -> Engine:
    found = registry.find(scenario)
    return Engine(found(SIZES.get(scenario, {})), seed, threads, storage_order=storage_order)


def through_a_file(engine: Engine, folder: Path) -> tuple[Any, Any]:
    arrays, details = engine.saved()
    write_checkpoint(folder / "x.nc", Checkpoint(engine.step, "run", 0, arrays, details))
    read = read_checkpoints(folder / "x.nc", "run")[0]
    return read.arrays, read.details


def assert_same(first: Engine, second: Engine) -> None:
    (expected, details), (found, others) = first.saved(), second.saved()
    assert details == others
    assert expected.keys() == found.keys()
    for name, values in expected.items():
        assert values.dtype == found[name].dtype
        np.testing.assert_array_equal(values, found[name], err_msg=name)


@settings(max_examples=8)
@given(data=st.data())
@pytest.mark.parametrize("scenario", SIZES)
def test_a_run_may_be_split_anywhere_with_other_threads_and_storage_after_it(
    scenario: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    seed = data.draw(st.integers(0, 2**64 - 1), "seed")
    splits = data.draw(st.lists(st.integers(0, STEPS), min_size=1, max_size=3).map(sorted), "splits")
    changed = data.draw(st.integers(0, STEPS), "changed at")
    whole = engine_of(scenario, seed)
    whole.advance(changed)
    if CHANGES[scenario]:
        whole.change(CHANGES[scenario])
    whole.advance(STEPS)
    engine = engine_of(scenario, seed)
    for until in sorted({*splits, changed, STEPS}):
        engine.advance(until)
        if until in splits:
            arrays, details = through_a_file(engine, tmp_path_factory.mktemp("split"))
            threads, order = data.draw(st.sampled_from([1, 2])), data.draw(st.sampled_from(["by_id", "by_cell"]))
            # Another seed's start state: nothing of it may be left.
            engine = engine_of(scenario, seed, threads, order)
            engine.advance(data.draw(st.integers(0, 2)))
            engine.load(arrays, details)
        if until == changed and CHANGES[scenario]:
            engine.change(CHANGES[scenario])
    assert_same(whole, engine)


@pytest.mark.parametrize("split", range(0, 7, 2))
def test_arrays_that_a_relation_keeps_go_through_a_checkpoint(split: int, tmp_path: Path) -> None:
    whole, first, second = (engine_of(Networked, 3) for _ in range(3))
    whole.advance(7)
    first.advance(split)
    arrays, details = through_a_file(first, tmp_path)
    assert [name for name in arrays if name.startswith("relations/")] == ["relations/edges/edges"]
    second.advance(5)
    second.load(arrays, details)
    second.advance(7)
    assert_same(whole, second)


def test_arrays_that_a_relation_keeps_survive_a_change_of_parameters_and_of_agents() -> None:
    whole, changed = engine_of(Networked, 3), engine_of(Networked, 3)
    whole.advance(7)
    changed.advance(4)
    changed.change({"weight": 0.25})
    changed.edit(lambda agents: None)
    changed.advance(7)
    np.testing.assert_array_equal(whole.state["agents"].values("met"), changed.state["agents"].values("met"))
    assert (whole.state["agents"].values("value") != changed.state["agents"].values("value")).any()


def test_edges_matter_to_this_toy() -> None:
    whole, forgetful = engine_of(Networked, 3), engine_of(Networked, 3)
    whole.advance(7)
    forgetful.advance(4)
    for values in forgetful.kernel.kept().values():
        values[...] = 0
    forgetful.advance(7)
    assert (whole.state["agents"].values("met") != forgetful.state["agents"].values("met")).any()


def test_a_stop_reason_is_part_of_the_state() -> None:
    first, second = engine_of("voter", 1), engine_of("voter", 1)
    first.advance(10_000)
    assert first.stop_reason == "consensus of agents.opinion"
    second.load(*first.saved())
    assert second.advance(20_000) == first.step
    assert_same(first, second)


def test_what_was_saved_can_be_loaded_more_than_once() -> None:
    engine = engine_of("predator_prey", 5)
    engine.advance(3)
    arrays, details = engine.saved()
    kept = {name: np.array(values) for name, values in arrays.items()}
    results = []
    for _ in range(2):
        engine.load(kept, details)
        engine.advance(STEPS)
        results.append({name: np.array(values) for name, values in engine.saved()[0].items()})
    for name, values in results[0].items():
        np.testing.assert_array_equal(values, results[1][name])


def test_parameters_given_by_a_start_state_are_part_of_the_state() -> None:
    found = registry.find("voter")
    first, second = (Engine(found({"n_opinions": 4}, {"n_agents": 30}), 1, 1) for _ in range(2))
    first.change({"initial_share": 0.3})
    first.advance(3)
    second.load(*first.saved())
    assert second.scenario.values == first.scenario.values
    assert second.scenario.values["n_agents"] == 30
