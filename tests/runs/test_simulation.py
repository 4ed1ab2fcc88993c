"""``simengine.Simulation``: a run taken step by step is the same run."""

from __future__ import annotations

import functools
import operator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray

import simengine
from simengine import (
    InputError,
    Output,
    RunError,
    Scenario,
    Simulation,
    StoreError,
    at,
    consensus,
    every,
    extinct,
    field,
    observable,
    param,
    population,
    unchanged,
    update,
)
from simengine.store import content_hash

run = functools.partial(simengine.run, progress=False)
simulate = functools.partial(Simulation, progress=False)
SCHOOL: dict[str, Any] = {"n_agents": 30, "seed": 5}
HUNT: dict[str, Any] = {
    "n_prey": 200, "n_predators": 30, "box": 15.0, "prey_capacity": 2000, "predator_capacity": 1000, "seed": 5,
}  # fmt: skip


class MeanSoFar:
    """Mean over all records so far of the mean value."""

    name = "mean_so_far"
    outputs = (Output("mean_so_far"),)
    lasting = True

    def begin(self) -> Any:
        return {"records": 0, "total": 0.0}

    def update(self, state: Any, view: Any) -> Any:
        value = float(view.populations["agents"].value.mean())
        return {"records": state["records"] + 1, "total": state["total"] + value}

    def merge(self, state: Any, other: Any) -> Any:
        return {name: state[name] + other[name] for name in state}

    def finalise(self, state: Any, view: Any) -> Any:
        return {"mean_so_far": state["total"] / state["records"]}


@observable
def spread(agents: Any) -> float:
    return float(np.ptp(agents.value))


@observable
def inverse(agents: Any) -> float:
    return 1.0 / (5.0 - round(float(agents.value[0])))


class Climbers(Scenario):
    """Values that rise by the pace, up to a ceiling; one observable has its own stride."""

    n_agents: int = param(5, low=1)
    pace: float = param(1.0)
    ceiling: float = param(1000.0)
    agents = population(size="n_agents", value=field(unit="m", long_name="height"))

    def start(self, agents: Any) -> None:
        agents.value[:] = np.arange(self.n_agents)

    @update(agents)
    def climb(me, agents, new, p):
        new.value[me] = min(agents.value[me] + p.pace, p.ceiling)

    observe = [MeanSoFar(), every(4, spread)]


class Falterers(Climbers):
    """Their observable fails at step 5."""

    observe = [inverse]


def lift(agents: Any) -> None:
    agents.value[:] += 100.0


def lift_half_and_fail(agents: Any) -> None:
    agents.value[:2] += 100.0
    raise KeyError("in the middle")


def saved(sim: Simulation, path: Path) -> xarray.Dataset:
    sim.save(path)
    return simengine.open(path)


# -- the same run -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [[24], [3, 0, 1, 20], [1] * 24], ids=["at once", "in pieces", "one by one"])
@pytest.mark.parametrize("strides", [{}, {"every": 5}, {"every": 7, "snapshot_every": 9}], ids=str)
def test_a_saved_simulation_has_the_content_of_a_run(tmp_path: Path, steps: list[int], strides: dict[str, int]) -> None:
    for scenario, sizes in ((Climbers, {"seed": 5}), ("schooling", SCHOOL), ("predator_prey", HUNT)):
        sim = simulate(scenario, **sizes, **strides)
        for n in steps:
            sim.step(n)
        expected = run(scenario, steps=24, **sizes, **strides)
        name = scenario if isinstance(scenario, str) else "toy"
        found = saved(sim, tmp_path / f"{name}.nc")
        assert found.attrs["content_hash"] == expected.attrs["content_hash"]
        assert content_hash(found) == expected.attrs["content_hash"]


def test_a_simulation_may_be_saved_twice_and_looked_at_while_it_goes_on(tmp_path: Path) -> None:
    options: dict[str, Any] = {"every": 3, "snapshot_every": 4}
    sim = simulate(Climbers, seed=1, **options)
    for number, steps in enumerate((0, 5, 6, 13)):
        sim.step(steps - sim.steps)
        sim.observe()
        sim.agents.value.mean()
        expected = run(Climbers, seed=1, steps=steps, **options)
        for again in range(2):
            found = saved(sim, tmp_path / f"{number}-{again}.nc")
            assert found.attrs["content_hash"] == expected.attrs["content_hash"]


@pytest.mark.parametrize("scenario", ["schooling", "predator_prey"])
def test_changes_made_between_steps_are_interventions(tmp_path: Path, scenario: str) -> None:
    sizes = SCHOOL if scenario == "schooling" else HUNT
    change: dict[str, Any] = {"noise": 0.5} if scenario == "schooling" else {"gain": 3}
    function = scatter if scenario == "schooling" else cull
    sim = simulate(scenario, **sizes, every=3, interventions=[every(4, apply=function)])
    sim.step(4)
    sim.set(**change)
    sim.step(5)
    sim.set(apply=function)
    sim.step(6)
    schedule = [every(4, apply=function), at(4, **change), at(9, apply=function)]
    expected = run(scenario, **sizes, every=3, steps=15, interventions=schedule)
    assert saved(sim, tmp_path / "x.nc").attrs["content_hash"] == expected.attrs["content_hash"]
    assert simengine.rerun(tmp_path / "x.nc", progress=False)


def test_a_change_at_the_step_of_saving_does_not_show_in_the_file_and_acts_afterwards(tmp_path: Path) -> None:
    sim = simulate(Climbers, seed=1, every=2, snapshot_every=2)
    sim.step(5)
    sim.set(pace=2.0)
    sim.set(apply=lift)
    before = sim.agents
    found = saved(sim, tmp_path / "early.nc")
    plain = run(Climbers, seed=1, every=2, snapshot_every=2, steps=5)
    assert found.attrs["content_hash"] == plain.attrs["content_hash"]
    xarray.testing.assert_identical(sim.agents, before)
    assert sim.parameters.pace == 2.0
    sim.step(3)
    expected = run(
        Climbers, seed=1, every=2, snapshot_every=2, steps=8, interventions=[at(5, pace=2.0), at(5, apply=lift)]
    )
    assert saved(sim, tmp_path / "late.nc").attrs["content_hash"] == expected.attrs["content_hash"]


def test_interventions_that_have_not_acted_yet_are_not_in_the_file(tmp_path: Path) -> None:
    sim = simulate(Climbers, interventions=[every(50, pace=2.0), at(60, pace=3.0), at(2, pace=0.5)])
    sim.step(10)
    expected = run(Climbers, steps=10, interventions=[at(2, pace=0.5)])
    assert saved(sim, tmp_path / "x.nc").attrs["content_hash"] == expected.attrs["content_hash"]
    assert simengine.rerun(tmp_path / "x.nc", progress=False)


def test_threads_and_storage_do_not_show(tmp_path: Path) -> None:
    sizes: dict[str, Any] = {"n_agents": 400, "box": 60.0, "order": "synchronous", "seed": 2}
    sim = simulate("flocking", **sizes, every=5, threads=2, storage_order="by_cell")
    sim.step(7)
    sim.set(vision=4.0)
    sim.step(13)
    expected = run("flocking", **sizes, every=5, steps=20, interventions=[at(7, vision=4.0)])
    assert saved(sim, tmp_path / "x.nc").attrs["content_hash"] == expected.attrs["content_hash"]


def test_two_simulations_at_once_do_not_disturb_each_other() -> None:
    first, second = simulate("schooling", **SCHOOL), simulate("schooling", **SCHOOL | {"seed": 6})
    twin = simulate("schooling", **SCHOOL)
    for _ in range(5):
        first.step()
        second.step(2)
        second.set(noise=0.3)
    twin.step(5)
    xarray.testing.assert_identical(first.agents, twin.agents)


def test_what_was_recorded_so_far_is_a_run_file_in_memory() -> None:
    sim = simulate(Climbers, every=3)
    sim.step(7)
    assert sim.recorded["step"].values.tolist() == [0, 3, 4, 6]
    sim.step(2)
    assert sim.recorded["step"].values.tolist() == [0, 3, 4, 6, 8, 9]
    np.testing.assert_array_equal(sim.recorded["spread"], [4.0, np.nan, 4.0, np.nan, 4.0, np.nan])


# -- looking ------------------------------------------------------------------------------------------------------


def test_populations_are_datasets_with_units_and_ids_that_cannot_be_written() -> None:
    sim = simulate(Climbers)
    sim.step(2)
    agents = sim.agents
    assert agents.value.dims == ("agent",)
    assert agents.value.attrs == {"units": "m", "long_name": "height"}
    np.testing.assert_array_equal(agents.agent, np.arange(5))
    np.testing.assert_array_equal(agents.value, np.arange(5) + 2.0)
    assert (agents.attrs["step"], agents.attrs["time"]) == (2, 2.0)
    with pytest.raises(ValueError, match="read-only"):
        agents.value.values[0] = 7.0
    sim.step()
    assert agents.value.values[0] == 2.0
    assert simulate("schooling", **SCHOOL).agents.position.dims == ("agent", "axis")


def test_ids_are_the_coordinate_also_after_births_and_deaths() -> None:
    sim = simulate("predator_prey", **HUNT)
    before = sim.prey
    sim.step(5)
    prey = sim.prey
    ids = prey.prey.values
    assert (np.diff(ids) > 0).all()
    assert len(np.setdiff1d(ids, before.prey.values)) > 0
    assert len(np.setdiff1d(before.prey.values, ids)) > 0
    assert len(ids) == int(sim.observe()["prey_alive"]) == sim.population("prey").sizes["prey"]
    newborn = int(np.setdiff1d(ids, before.prey.values)[0])
    assert prey.sel(prey=newborn).position.shape == (2,)


def test_observing_measures_the_present_and_records_nothing() -> None:
    sim = simulate(Climbers, every=3)
    sim.step(4)
    seen = sim.observe()
    assert seen["spread"].attrs["units"] == "1"
    assert (int(seen["step"]), float(seen["time"])) == (4, 4.0)
    assert float(seen["mean_so_far"]) == pytest.approx((2.0 + 5.0 + 6.0) / 3)
    xarray.testing.assert_identical(seen, sim.observe())
    sim.set(apply=lift)
    assert float(sim.observe()["mean_so_far"]) == pytest.approx((2.0 + 5.0 + 106.0) / 3)
    assert sim.recorded["step"].values.tolist() == [0, 3, 4]


def test_observing_at_a_recorded_step_gives_what_was_recorded() -> None:
    sim = simulate(Climbers, every=3)
    sim.step(6)
    assert float(sim.observe()["mean_so_far"]) == float(sim.recorded["mean_so_far"][-1])


def test_a_simulation_shows_itself_in_one_line_and_lists_its_populations() -> None:
    sim = simulate("predator_prey", **HUNT)
    assert repr(sim) == "<Simulation of PredatorPrey: step 0 (time 0), 200 prey, 30 predators, 1 ledger, seed 5>"
    assert {"prey", "predators", "ledger", "step", "observe", "save"} <= set(dir(sim))
    assert "(time 0.1 s)" in repr(stepped(simulate("schooling", **SCHOOL), 1))


# -- stopping -----------------------------------------------------------------------------------------------------


def test_a_stop_condition_of_the_scenario_ends_a_simulation_like_a_run(tmp_path: Path) -> None:
    sizes: dict[str, Any] = {"n_agents": 10, "seed": 3, "every": 4}
    expected = run("voter", steps=10_000, **sizes)
    sim = stepped(simulate("voter", **sizes), 10_000)
    assert sim.stopped == "consensus of agents.opinion"
    assert sim.steps == expected.attrs["stopped_at"]
    sim.step(5)
    assert sim.steps == expected.attrs["stopped_at"]
    assert "stopped: consensus of agents.opinion" in repr(sim)
    assert not sim.run_until(lambda step: step > 10**6)
    found = saved(sim, tmp_path / "x.nc")
    xarray.testing.assert_identical(found.drop_attrs(deep=False).load(), expected.drop_attrs(deep=False))
    assert found.attrs["stop_reason"] == "consensus of agents.opinion"
    assert simengine.rerun(tmp_path / "x.nc", progress=False)


def test_run_until_takes_steps_until_a_function_of_the_moment_holds() -> None:
    sim = simulate(Climbers)
    assert sim.run_until(lambda agents, p: agents.value.max() >= 7.0 * p.pace)
    assert sim.steps == 3
    assert sim.run_until(lambda step, time: step == time)
    assert sim.steps == 3
    assert not sim.run_until(lambda agents: False, at_most=4)
    assert sim.steps == 7
    assert not sim.run_until(lambda agents: False, at_most=0)


def test_run_until_takes_stop_conditions() -> None:
    sim = simulate(Climbers, ceiling=6.0)
    assert sim.run_until(consensus(Climbers.agents.value))
    assert sim.steps == 6
    assert sim.run_until(unchanged(Climbers.agents.value))
    assert sim.steps == 7
    slow = simulate(Climbers, ceiling=6.0)
    assert slow.run_until(unchanged(Climbers.agents.value, within=1.0))
    assert slow.steps == 1
    hunt = simulate("predator_prey", **HUNT | {"sight": 0.01, "grasp": 0.01, "predator_birth": 0.0})
    population = type(hunt.parameters).predators
    assert hunt.run_until(extinct(population), at_most=50)
    assert hunt.predators.sizes["predator"] == 0


def test_run_until_sees_every_step_whatever_is_recorded(tmp_path: Path) -> None:
    sim = simulate(Climbers, every=10)
    assert sim.run_until(lambda step: step == 13)
    expected = run(Climbers, every=10, steps=13)
    assert saved(sim, tmp_path / "x.nc").attrs["content_hash"] == expected.attrs["content_hash"]


# -- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pase": 2.0}, "unknown parameter 'pase' of Climbers; did you mean 'pace'"),
        ({"n_agents": 3}, r"n_agents is fixed once a run has begun \(5 here\)"),
        ({"pace": "fast"}, "'pace' of Climbers: got 'fast'"),
        ({"apply": 3}, r"apply= takes a function, not 3"),
        ({"every": 3}, "'every' of Climbers: it is a keyword of run"),
        ({}, r"set\(\) changes nothing"),
        ({"apply": lambda agnts: None}, "no argument 'agnts'; did you mean 'agents'"),
        ({"apply": lift_half_and_fail}, "in the middle"),
        ({"pace": 3.0, "apply": lift_half_and_fail}, "in the middle"),
        ({"apply": lambda agents: setattr(agents, "value", np.inf)}, "agents.value of agent 0 is not a finite number"),
    ],
)
def test_a_change_that_fails_leaves_the_simulation_as_it_was(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    sim = stepped(simulate(Climbers, seed=1), 3)
    before = sim.agents
    with pytest.raises((InputError, KeyError, TypeError), match=message):
        sim.set(**change)
    xarray.testing.assert_identical(sim.agents, before)
    assert sim.parameters.pace == 1.0
    sim.step(4)
    expected = run(Climbers, seed=1, steps=7)
    assert saved(sim, tmp_path / "x.nc").attrs["content_hash"] == expected.attrs["content_hash"]


def test_a_failing_change_after_a_good_one_leaves_the_good_one(tmp_path: Path) -> None:
    sim = stepped(simulate(Climbers, seed=1), 3)
    sim.set(pace=2.0)
    with pytest.raises(KeyError, match="in the middle"):
        sim.set(pace=5.0, apply=lift_half_and_fail)
    sim.step(4)
    expected = run(Climbers, seed=1, steps=7, interventions=[at(3, pace=2.0)])
    assert saved(sim, tmp_path / "x.nc").attrs["content_hash"] == expected.attrs["content_hash"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: simulate("schoolng"), "schooling"),
        (lambda: simulate("schooling", noize=0.1), "unknown parameter 'noize' of Schooling; did you mean 'noise'"),
        (lambda: simulate("schooling", steps=10), "'steps' of Schooling: it is a keyword of run"),
        (lambda: simulate("schooling", every=0), "every: got 0"),
        (lambda: simulate("schooling", seed=-1), "seed: got -1"),
        (lambda: simulate("schooling", snapshot_every=0), "snapshot_every: got 0"),
        (lambda: simulate("schooling", threads=0), "threads: got 0"),
        (lambda: simulate("schooling", storage_order="by_sell"), "did you mean 'by_cell'"),
        (lambda: simulate(Climbers).step(-1), "n: got -1"),
        (lambda: simulate(Climbers).step(0.5), r"n: got 0\.5"),
        (lambda: simulate(Climbers).population("agent"), "no population 'agent'; did you mean 'agents'"),
        (lambda: simulate(Climbers).run_until(3), "run_until: got 3, allowed is a function or a stop condition"),
        (lambda: simulate(Climbers).run_until(lambda: True, at_most=-1), "at_most: got -1"),
        (lambda: simulate("schooling").run_until(consensus(Climbers.agents.value)), "Schooling has no agents.value"),
        (lambda: simulate(Climbers).save(""), "allowed is the path of a file"),
        (lambda: simulate(Climbers).save("nowhere/x.nc"), "there is no folder nowhere"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(wrong: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as found:
        wrong()
    assert "\n" not in str(found.value)


def test_a_misspelt_attribute_is_an_attribute_error_with_the_right_name() -> None:
    sim = simulate(Climbers)
    with pytest.raises(AttributeError, match="has no 'agent'; did you mean 'agents'"):
        _ = sim.agent
    with pytest.raises(AttributeError, match="did you mean 'observe'"):
        _ = sim.obsrve
    assert not hasattr(sim, "_repr_html_")
    with pytest.raises(AttributeError):
        operator.attrgetter("steps")(Simulation.__new__(Simulation))


def test_a_file_that_is_there_is_not_overwritten_unless_asked(tmp_path: Path) -> None:
    sim = stepped(simulate(Climbers), 2)
    sim.save(tmp_path / "x.nc")
    with pytest.raises((InputError, StoreError), match="exists"):
        sim.save(tmp_path / "x.nc")
    sim.step(3)
    sim.save(tmp_path / "x.nc", overwrite=True)
    with simengine.open(tmp_path / "x.nc") as found:
        assert found.attrs["stopped_at"] == 5


def test_a_simulation_that_broke_off_says_so_and_keeps_its_records() -> None:
    sim = simulate(Falterers)
    with pytest.raises(ZeroDivisionError):
        sim.step(10)
    for further in (sim.step, sim.observe, lambda: sim.agents, lambda: sim.set(pace=1.0), lambda: sim.save("x.nc")):
        with pytest.raises(RunError, match="broke off after step 5 and cannot go on"):
            further()
    assert sim.recorded["step"].values.tolist() == [0, 1, 2, 3, 4]


def test_a_population_that_outgrows_its_capacity_breaks_a_simulation_off() -> None:
    sim = simulate("predator_prey", **HUNT | {"prey_capacity": 210, "prey_birth": 1.0, "crowd": 1000})
    with pytest.raises(RunError, match="population prey is full: its capacity is 210"):
        sim.step(5)
    with pytest.raises(RunError, match="broke off"):
        sim.step()


def stepped(sim: Simulation, steps: int) -> Simulation:
    sim.step(steps)
    return sim


def scatter(agents: Any, draw: Any) -> None:
    agents.heading[:] = draw.unit_vector("new", 3)


def cull(prey: Any, draw: Any) -> None:
    prey.alive[:] = draw.of(prey).uniform("fate") > 0.1


def test_two_edits_at_one_step_draw_numbers_of_their_own() -> None:
    def kick(agents, draw):
        agents.wealth[:] += draw.integer("kick", 0, 1000)

    sim = simengine.Simulation("wealth_exchange", n_agents=50, seed=1, progress=False)
    start = sim.agents.wealth.values
    sim.set(apply=kick)
    first = sim.agents.wealth.values - start
    sim.set(apply=kick)
    second = sim.agents.wealth.values - first - start
    assert not (first == second).all()


def test_a_function_that_sets_a_parameter_or_returns_something_is_refused() -> None:
    def louder(agents, p):
        p.noise = 4.0

    sim = simengine.Simulation("schooling", seed=1, progress=False)
    with pytest.raises(InputError, match=r"the function sets p\.noise; give noise= to the intervention"):
        sim.set(apply=louder)
    with pytest.raises(InputError, match="returns something"):
        sim.set(apply=lambda agents: agents.heading * 0)
    assert sim.parameters.noise == 0.05
    assert repr(sim.parameters).startswith("Schooling(rules='couzin', regime='torus', n_agents=100")


def test_running_until_something_that_is_no_function_is_refused_in_one_line() -> None:
    sim = simengine.Simulation("voter", n_agents=10)
    for wrong in (int, print, "x"):
        with pytest.raises(simengine.SimengineError) as caught:
            sim.run_until(wrong)
        assert "\n" not in str(caught.value)
    assert sim.steps == 0
