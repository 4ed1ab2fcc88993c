"""A run of a `Runner` gives what `simengine.run` gives, whatever ran before it, or says why it failed."""

from __future__ import annotations

import math
import pickle
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simengine
from simengine import (
    Everyone,
    Output,
    Random,
    Scenario,
    ScenarioError,
    birth,
    count,
    extinct,
    field,
    gather,
    observable,
    param,
    population,
    running,
    send,
    stop_when,
    summed,
    update,
)
from simengine.relations.base import Body, Code, Relation, Scope
from simengine.runs import registry
from simengine.runs.engine import Engine
from simengine.scenario.observables import Strided
from simengine.sweeps import runner as runner_module
from simengine.sweeps.outcomes import Outcome
from simengine.sweeps.runner import Runner

POINTS: dict[str, list[dict[str, Any]]] = {
    "wealth_exchange": [
        {"n_agents": 40, "initial_wealth": 2, "order": "synchronous"},
        {"n_agents": 40, "initial_wealth": 5, "order": "one_by_one"},
        {"n_agents": 30, "initial_wealth": 2, "order": "synchronous"},
    ],
    "voter": [{"n_agents": 8, "n_opinions": 3}, {"n_agents": 60, "n_opinions": 4}],
    "flocking": [
        {"n_agents": 100, "box": 50.0, "order": "shuffled"},
        {"n_agents": 100, "box": 40.0, "order": "synchronous"},
        {"n_agents": 700, "box": 100.0, "order": "synchronous"},
    ],
    "predator_prey": [
        {"n_prey": 300, "n_predators": 60, "box": 20.0, "prey_capacity": 2000, "predator_capacity": 1000},
        {"n_prey": 0, "n_predators": 40, "box": 20.0, "prey_capacity": 2000, "predator_capacity": 1000},
        {"n_prey": 200, "n_predators": 80, "box": 15.0, "prey_capacity": 1500, "predator_capacity": 1000},
    ],
    "schooling": [{"n_agents": 40, "noise": 0.0}, {"n_agents": 40, "noise": 0.1}, {"n_agents": 55, "noise": 0.1}],
}
POINTS |= {name: [{}] for name in registry.installed() if name not in POINTS}
STEPS = 25


def assert_same_bits(found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any], what: str) -> None:
    assert found.shape == expected.shape, what
    assert found.dtype == expected.dtype, what
    if found.dtype.kind == "f":
        missing = np.isnan(expected)
        np.testing.assert_array_equal(np.isnan(found), missing, err_msg=what)
        found, expected = found[~missing], expected[~missing]
    assert found.tobytes() == expected.tobytes(), what


def assert_as_alone(
    runner: Runner, scenario: Any, point: Mapping[str, Any], seed: int, fixed: Mapping[str, Any] = {}
) -> Outcome:
    outcome = runner.run(point, seed)
    assert outcome.failure is None, outcome.failure
    every = runner.every or max(runner.steps, 1)
    alone = simengine.run(
        scenario, **{**fixed, **point}, steps=runner.steps, every=every, seed=seed, progress=False, threads=1
    )
    if runner.every is None:
        ends = [0, -1] if alone.sizes["time"] > 1 else [0]
        alone = alone.isel(time=ends)
    np.testing.assert_array_equal(outcome.steps, alone["step"].values)
    assert (outcome.stopped_at, outcome.stop_reason) == (alone.attrs["stopped_at"], alone.attrs["stop_reason"])
    assert list(alone.data_vars) == [name for name in outcome.values if name in alone]
    for name, values in outcome.values.items():
        if name in alone:
            expected = alone[name].values
            if values.dtype.kind == "i" and expected.dtype.kind == "f":
                # Whole numbers of which some are missing open as floats.
                assert np.abs(expected[~np.isnan(expected)]).max(initial=0) < 2**53
                expected = np.where(np.isnan(expected), np.iinfo(values.dtype).min, expected)
            assert_same_bits(values, expected.astype(values.dtype), name)
    return outcome


@pytest.mark.parametrize("every", [None, 10])
@pytest.mark.parametrize("name", POINTS)
def test_runs_of_shipped_scenarios_one_after_another_are_those_of_simengine_run(name: str, every: int | None) -> None:
    runner = Runner(registry.find(name), {}, steps=STEPS, every=every)
    for seed, point in enumerate([*POINTS[name], *reversed(POINTS[name])]):
        assert_as_alone(runner, name, point, seed)


def test_a_seed_may_be_any_of_64_bits_and_a_run_may_have_no_step() -> None:
    runner = Runner(registry.find("voter"), {"n_agents": 20}, steps=0)
    outcome = assert_as_alone(runner, "voter", {"n_opinions": 3}, 2**64 - 1, {"n_agents": 20})
    assert outcome.steps.tolist() == [0]


# -- a scenario in which much goes on from step to step ---------------------------------------------------------------


class Rewired(Relation):
    """Everybody sees one other agent; the edges are state, and all rewired before anybody looks."""

    kept = ("edges",)

    def __init__(self, source: Any) -> None:
        self.source = self.target = source

    def work(self, capacity: Mapping[str, int]) -> dict[str, tuple[str, Any]]:
        return {"edges": ("int64", capacity[self.source.name])}

    def prepare(self, code: Code, scope: Scope) -> None:
        edges, living = scope.work(self, "edges"), scope.living(self.source)
        with code.block(f"for rank in range({living}):"):
            code.line(f"{edges}[rank] = (3 * {edges}[rank] + rank + 1) % {living}")

    def visit(self, code: Code, scope: Scope, body: Body) -> None:
        order, edges = scope.order(self.target), scope.work(self, "edges")
        code.line(f"other = {order}[{edges}[{scope.imports('simengine.arrays.lookup', 'rank_of')}(")
        code.line(f"    {order}, {scope.ids(self.target)}, {scope.living(self.target)}, me_id)]]")
        with code.block("if other != me:"):
            body()


class Mean:
    """The mean age over all moments that it has seen."""

    name, outputs, lasting = "mean_age", (Output("mean_age"),), True

    def begin(self) -> Any:
        return [0.0, 0]

    def update(self, state: Any, view: Any) -> Any:
        agents = view.populations["agents"]
        return [state[0] + float(agents.age.sum()), state[1] + len(agents)]

    def merge(self, state: Any, other: Any) -> Any:
        return [state[0] + other[0], state[1] + other[1]]

    def finalise(self, state: Any, view: Any) -> Mapping[str, Any]:
        return {"mean_age": state[0] / max(state[1], 1)}


@observable
def wealth_seen(agents: Any) -> float:
    """Wealth of all."""
    return float(agents.wealth.sum())


@observable(dtype="int64", when={"count_gifts": True})
def gifts(agents: Any) -> int:
    """Gifts of the last step."""
    return int(agents.gift.sum())


@observable(dtype="int64")
def oldest(agents: Any) -> int | None:
    """Age of the oldest, missing where nobody lives."""
    return int(agents.age.max()) if len(agents) else None


def very_many(agents: Any) -> bool:
    return len(agents) > 55


class Settlers(Scenario):
    """Agents that age, give, bear and die, along edges that go on from step to step."""

    n_agents: int = param(10, low=0)
    room: int = param(60)
    fertility: float = param(0.2, low=0, high=1)
    mortality: float = param(0.1, low=0, high=1)
    count_gifts: bool = param(False)

    agents = population(
        size="n_agents", capacity="room", wealth=field(default=2.5), age=field(int), bears=field(bool), met=field(int)
    )
    edges = Rewired(agents)
    anybody = Random(agents, k=2)

    def start(self, agents: Any, draw: Any) -> None:
        agents.wealth[: len(agents) // 2] = draw.uniform("wealth")[: len(agents) // 2]

    @gather(edges, seen=count(), whom=running(-1))
    def look(me, other, agents, acc):
        acc.seen += agents.age[other] + 1
        acc.whom = other

    @send(agents, to=agents, after=look, gift=summed(int))
    def give(me, agents, acc, send):
        if agents.age[me] % 2 == 0:
            send.gift(acc.whom, 1)

    @gather(anybody, company=count())
    def meet(me, other, agents, acc):
        acc.company += agents.age[other] % 3

    @update(agents, after=meet)
    def act(me, agents, new, p, acc, draw):
        new.age[me] = agents.age[me] + 1
        new.met[me] += acc.company
        new.wealth[me] = 0.5 * agents.wealth[me] + agents.gift[me] + 0.1 * acc.company
        new.bears[me] = draw.chance("birth", p.fertility)

    @update(agents)
    def part(me, new, p, draw):
        new.alive[me] = not draw.chance("death", p.mortality)

    @birth(agents)
    def bear(me, agents, child):
        child.age = 0
        return agents.bears[me]

    observe = [wealth_seen, gifts, oldest, Strided(Mean(), 4)]
    stop = [extinct(agents), stop_when(very_many)]


SETTLED = [
    {"n_agents": 12, "fertility": 0.1, "mortality": 0.1, "room": 60},
    {"n_agents": 12, "fertility": 0.5, "mortality": 0.05, "room": 120},
    {"n_agents": 40, "fertility": 0.0, "mortality": 0.9, "room": 60},
    {"n_agents": 0, "fertility": 0.2, "mortality": 0.1, "room": 60},
]


@pytest.mark.parametrize("every", [None, 3])
def test_births_deaths_stops_memories_and_kept_edges_are_those_of_simengine_run(every: int | None) -> None:
    runner = Runner(Settlers, {}, steps=STEPS, every=every)
    outcomes = [assert_as_alone(runner, Settlers, point, 11) for point in SETTLED * 2]
    reasons = {outcome.stop_reason for outcome in outcomes}
    assert reasons == {"steps", "very_many", "agents extinct"}


@settings(max_examples=15)
@given(asked=st.lists(st.tuples(st.sampled_from(SETTLED), st.integers(0, 3)), min_size=2, max_size=6))
def test_no_run_knows_of_those_before_it(asked: list[tuple[dict[str, Any], int]]) -> None:
    used = Runner(Settlers, {}, steps=10, every=2)
    outcomes = [used.run(point, seed) for point, seed in asked]
    for outcome, (point, seed) in zip(outcomes, asked, strict=True):
        fresh = Runner(Settlers, {}, steps=10, every=2).run(point, seed)
        assert (outcome.stopped_at, outcome.stop_reason) == (fresh.stopped_at, fresh.stop_reason)
        assert outcome.values.keys() == fresh.values.keys()
        for name, values in fresh.values.items():
            assert_same_bits(outcome.values[name], values, name)


def arrays_of(engine: Engine) -> dict[str, Any]:
    """Every array that a step may read, by name."""
    found: dict[str, Any] = {}
    for name, held in engine.state.populations.items():
        parts = {part: getattr(held, part) for part in ("ids", "alive", "order", "count", "acting")}
        found |= {f"{name}.{part}": values for part, values in (parts | held.tables).items()}
    found |= {str(binding): behind for binding, behind in engine.kernel.objects.items()}
    return found | {"streams": engine.kernel.streams, "status": engine.kernel.status}


@pytest.mark.parametrize("scenario", [Settlers, *sorted({*POINTS} & {"flocking", "predator_prey"})])
def test_an_engine_that_takes_over_spoilt_arrays_begins_with_those_of_a_fresh_one(scenario: Any) -> None:
    found = registry.find(scenario) if isinstance(scenario, str) else scenario
    points = SETTLED if found is Settlers else POINTS[scenario]
    used = Engine(found(points[0]), 5, 1)
    used.advance(4)
    for values in arrays_of(used).values():
        if isinstance(values, np.ndarray):
            values.fill(1)
    again, fresh = Engine(found(points[0]), 6, 1, after=used), Engine(found(points[0]), 6, 1)
    assert again.kernel is used.kernel
    taken, expected = arrays_of(again), arrays_of(fresh)
    assert taken.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(taken[name], values, err_msg=name)
    assert [len(s.arguments) for s in again.kernel.segments] == [len(s.arguments) for s in fresh.kernel.segments]
    for segment, other in zip(again.kernel.segments, fresh.kernel.segments, strict=True):
        for mine, theirs in zip(segment.arguments, other.arguments, strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_an_outcome_is_plain_data_that_later_runs_do_not_change() -> None:
    runner = Runner(Settlers, {}, steps=10)
    first = runner.run(SETTLED[0], 1)
    told = pickle.dumps((first.values, first.steps))
    runner.run(SETTLED[0], 2)
    assert pickle.dumps((first.values, first.steps)) == told
    assert first.seconds > 0


# -- what an outcome holds ---------------------------------------------------------------------------------------------


def test_a_variable_that_applies_at_some_points_only_is_missing_at_the_others() -> None:
    runner = Runner(Settlers, {"n_agents": 30}, steps=5)
    without, counted = (runner.run({"count_gifts": counted}, 3) for counted in (False, True))
    names = [variable.name for variable in runner.layout.variables]
    assert names == ["wealth_seen", "gifts", "oldest", "mean_age", "agents_alive"]
    assert list(without.values) == list(counted.values) == names
    missing = np.iinfo(np.int64).min
    assert without.values["gifts"].tolist() == [missing, missing]
    assert counted.values["gifts"][-1] > 0
    assert "gifts" not in [variable.name for variable in Runner(Settlers, {}, steps=5).layout.variables]
    given = Runner(Settlers, {"count_gifts": True}, steps=5)
    assert "gifts" in [variable.name for variable in given.layout.variables]


def test_a_value_that_a_run_misses_is_the_fill_value() -> None:
    outcome = Runner(Settlers, {}, steps=5, every=1).run(SETTLED[3], 0)
    assert outcome.values["oldest"].tolist() == [np.iinfo(np.int64).min]
    assert (outcome.stopped_at, outcome.stop_reason) == (0, "agents extinct")


def test_only_the_ends_are_recorded_without_a_stride_and_the_last_step_always() -> None:
    point = SETTLED[0]
    assert Runner(Settlers, {}, steps=10).run(point, 1).steps.tolist() == [0, 10]
    # The lasting observable has a stride of its own, 4, at which a row is recorded.
    assert Runner(Settlers, {}, steps=10, every=5).run(point, 1).steps.tolist() == [0, 4, 5, 8, 10]


# -- failures ----------------------------------------------------------------------------------------------------------


class StumbleError(Exception):
    def __str__(self) -> str:
        return "one\nline   of several"


@observable
def fragile(agents: Any, p: Any) -> Any:
    """Something that cannot always be computed."""
    if p.trouble == "observable":
        raise StumbleError
    return "text" if p.trouble == "type" else float(agents.value[0])


def fragile_stop(p: Any, step: int) -> bool:
    if p.trouble == "stop" and step == 2:
        raise ZeroDivisionError("stop")
    return False


class Fragile(Scenario):
    """Fails in the way it is told to."""

    n_agents: int = param(3, low=1)
    room: int = param(5)
    trouble: Literal[
        "none", "start", "check", "observable", "type", "stop", "infinite", "full", "memory", "interrupt"
    ] = param("none")  # fmt: skip
    bearing: int = param(0)

    agents = population(size="n_agents", capacity="room", value=field())

    def check(self) -> None:
        if self.trouble == "check":
            raise KeyError("check")

    def start(self, agents: Any) -> None:
        raised = {"start": StumbleError(), "memory": MemoryError("much"), "interrupt": KeyboardInterrupt()}
        if self.trouble in raised:
            raise raised[self.trouble]
        agents.value[:] = np.inf if self.trouble == "infinite" else 1.0

    @update(agents)
    def grow(me, agents, new):
        new.value[me] = agents.value[me] + 1.0

    @birth(agents)
    def bear(me, p, child):
        return p.bearing > 0

    observe = [fragile]
    stop = stop_when(fragile_stop)


FAILURES = {
    "start": ("StumbleError", "one line of several", 0, "in start"),
    "check": ("KeyError", "'check'", 0, "in check"),
    "observable": ("StumbleError", "one line of several", 0, "in fragile"),
    "type": ("StoreError", "variable 'fragile' is float64, got <U4 'text'", 0, "in record"),
    "stop": ("ZeroDivisionError", "stop", 0, "in fragile_stop"),
    "infinite": ("InputError", "start: agents.value of agent 0 is not a finite number", 0, "in check_state"),
    "full": ("RunError", "population agents is full: its capacity is 5; give it a larger one", 0, "in advance"),
}


@pytest.mark.parametrize("trouble", FAILURES)
def test_what_a_scenario_raises_becomes_a_failure_and_the_next_run_goes_on(trouble: str) -> None:
    runner = Runner(Fragile, {}, steps=4)
    well = {"trouble": "none", "bearing": 0}
    expected = runner.run(well, 1)
    assert expected.failure is None
    assert expected.values["fragile"].tolist() == [1.0, 5.0]
    ill = {"trouble": "none", "bearing": 1} if trouble == "full" else {"trouble": trouble, "bearing": 0}
    outcome = runner.run(ill, 1)
    assert outcome.failure is not None
    kind, message, least, place = FAILURES[trouble]
    assert (outcome.failure.kind, outcome.failure.message) == (kind, message)
    assert place in outcome.failure.traceback
    assert kind in outcome.failure.traceback
    assert (outcome.values, outcome.steps.size, outcome.stop_reason) == ({}, 0, "failed")
    assert outcome.stopped_at >= least
    after = runner.run(well, 1)
    assert after.failure is None
    assert after.values["fragile"].tolist() == [1.0, 5.0]


def test_a_refused_value_is_a_failure_of_its_run() -> None:
    runner = Runner(Fragile, {}, steps=4)
    failure = runner.run({"n_agents": -2}, 0).failure
    assert failure is not None
    assert (failure.kind, failure.message) == (
        "InputError", "parameter 'n_agents' of Fragile: got -2, allowed is int, 1 <= value",
    )  # fmt: skip
    assert runner.run({"n_agents": 2}, 0).failure is None


def test_an_interrupt_is_no_failure_of_a_run() -> None:
    runner = Runner(Fragile, {}, steps=4)
    with pytest.raises(KeyboardInterrupt):
        runner.run({"trouble": "interrupt"}, 0)
    assert runner.run({"trouble": "none"}, 0).failure is None


def test_a_run_that_needs_too_much_memory_has_failed_and_the_next_one_goes_on() -> None:
    runner = Runner(Fragile, {}, steps=4)
    failure = runner.run({"trouble": "memory"}, 0).failure
    assert failure is not None
    assert failure.kind == "MemoryError"
    assert runner.run({"trouble": "none"}, 0).failure is None


class Wrong(Scenario):
    """Has a phase that cannot be compiled."""

    n_agents: int = param(3)
    agents = population(size="n_agents", value=field())
    everyone = Everyone(agents)

    @update(agents)
    def act(me, agents, new):
        new.value[me] = math.sqrt(agents.value[me], 2.0, 3.0)


def test_preparing_starts_nothing_and_tells_what_does_not_compile() -> None:
    runner = Runner(Fragile, {}, steps=4)
    runner.prepare({"trouble": "start"})
    runner.prepare({"trouble": "check"})
    assert [variable.name for variable in runner.layout.variables] == ["fragile", "agents_alive"]
    with pytest.raises(ScenarioError, match=r"in act\(\)"):
        Runner(Wrong, {}, steps=4).prepare({"n_agents": 4})


# -- what is kept from run to run --------------------------------------------------------------------------------------


def test_arrays_are_kept_for_sizes_that_come_back_and_not_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "KEPT_AGENTS", 100)
    runner = Runner(registry.find("wealth_exchange"), {}, steps=1)
    for _ in range(2):
        for n_agents in (10, 20, 30):
            runner.run({"n_agents": n_agents}, 0)
    assert [runner_module.room_of(engine) for engine in runner._kept.values()] == [10, 20, 30]
    runner.run({"n_agents": 60}, 0)
    assert [runner_module.room_of(engine) for engine in runner._kept.values()] == [30, 60]
    runner.run({"n_agents": 500}, 0)
    assert [runner_module.room_of(engine) for engine in runner._kept.values()] == [500]
    for n_agents in range(2, 2 + 2 * runner_module.KEPT_ENGINES):
        runner.run({"n_agents": n_agents}, 0)
    assert len(runner._kept) <= runner_module.KEPT_ENGINES
