"""``simengine.branch``: a run taken on another course is the run with one more intervention."""

from __future__ import annotations

import functools
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
    at,
    branch,
    decision,
    every,
    field,
    observable,
    param,
    population,
    update,
)
from simengine.store import content_hash
from simengine.store.checkpoints import checkpoints_of, read_checkpoints

run = functools.partial(simengine.run, progress=False)
branched = functools.partial(branch, progress=False)
SCHOOL: dict[str, Any] = {"n_agents": 30, "seed": 5, "every": 4, "snapshot_every": 6}
HUNT: dict[str, Any] = {
    "n_prey": 200, "n_predators": 30, "box": 15.0, "prey_capacity": 2000, "predator_capacity": 1000, "seed": 5,
    "every": 4, "snapshot_every": 6,
}  # fmt: skip
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "schooling": ("schooling", SCHOOL, {"noise": 0.5}),
    "predator_prey": ("predator_prey", HUNT, {"gain": 3}),
}


class Trace:
    """What it saw at each record, in nested lists and arrays: a state that goes on."""

    name = "trace"
    outputs = (Output("mean_so_far"), Output("weighted"))
    lasting = True

    def begin(self) -> Any:
        return {"seen": [], "profile": np.zeros(4), "label": "start", "nested": [{"last": None}]}

    def update(self, state: Any, view: Any) -> Any:
        value = view.populations["agents"].value
        return {
            "seen": [*state["seen"], float(value.mean())], "profile": 0.5 * state["profile"] + value[:4],
            "label": f"{state['label']}+", "nested": [{"last": int(view.step)}],
        }  # fmt: skip

    def merge(self, state: Any, other: Any) -> Any:
        raise NotImplementedError

    def finalise(self, state: Any, view: Any) -> Any:
        assert state["nested"][0]["last"] == view.step
        return {"mean_so_far": float(np.mean(state["seen"])), "weighted": state["profile"].sum() + len(state["label"])}


class Tuples(Trace):
    """A state that no checkpoint keeps."""

    name = "tuples"
    outputs = (Output("pairs"),)

    def begin(self) -> Any:
        return {"pair": (1, 2)}

    def update(self, state: Any, view: Any) -> Any:
        return state

    def finalise(self, state: Any, view: Any) -> Any:
        return {"pairs": 1.0}


@observable
def share(agents: Any) -> float:
    return float(agents.choice.mean())


class Choosers(Scenario):
    """Agents that drift at random and choose, by a rule or a policy, whether to turn round."""

    n_agents: int = param(20, low=4)
    pace: float = param(1.0)
    agents = population(size="n_agents", value=field(), choice=field(int))

    def start(self, agents: Any, draw: Any) -> None:
        agents.value[:] = draw.normal("value")

    @decision(agents.choice, options=("go", "turn"))
    def choose(me, agents):
        return 1 if agents.value[me] > 2.0 else 0

    @update(agents)
    def drift(me, agents, new, p, draw):
        sign = -1.0 if agents.choice[me] == 1 else 1.0
        new.value[me] = agents.value[me] + sign * p.pace * draw.uniform("step")

    observe = [Trace(), every(5, share)]


class Unkept(Choosers):
    """Its observable has a state that cannot be kept."""

    observe = [Tuples()]


class Grumbler:
    """A policy with a memory: who was turned round often goes on."""

    def __init__(self) -> None:
        self.turned = np.zeros(0, np.int64)
        self.calls = 0

    def __call__(self, asked: Any) -> Any:
        if not len(self.turned):
            self.turned = np.zeros(len(asked.ids), np.int64)
        self.calls += 1
        answer = np.where((self.turned < self.calls // 2) & (asked.agents.value > 0.0), 1, 0)
        self.turned = self.turned + answer
        return answer

    def state(self) -> Any:
        return {"turned": self.turned, "calls": self.calls}

    def restore(self, state: Any) -> None:
        self.turned, self.calls = state["turned"], state["calls"]


class Hoarder(Grumbler):
    """A policy whose memory cannot be kept."""

    def state(self) -> Any:
        return {"self": self}


def turn_back(agents: Any) -> None:
    agents.heading[:] = -agents.heading


def push(agents: Any, draw: Any) -> None:
    agents.value[:] += draw.normal("push")


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Path]]:
    """One run of each case of 20 steps, with checkpoints (at 14 and 20) and without."""
    folder, found = tmp_path_factory.mktemp("originals"), {}
    for name, (scenario, options, _) in CASES.items():
        found[name] = {"with checkpoints": folder / f"{name}-kept.nc", "without": folder / f"{name}.nc"}
        run(scenario, **options, steps=20, out=found[name]["with checkpoints"], checkpoint_every=7).close()
        run(scenario, **options, steps=20, out=found[name]["without"]).close()
    return found


def the_same(first: xarray.Dataset, second: xarray.Dataset) -> bool:
    """Whether two results agree, and say truly of themselves what they are."""
    assert content_hash(first) == first.attrs["content_hash"]
    return bool(first.attrs["content_hash"] == second.attrs["content_hash"])


# -- without changes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [0, 14, 17, 20])
@pytest.mark.parametrize("kept", ["with checkpoints", "without"])
@pytest.mark.parametrize("case", CASES)
def test_without_changes_a_branch_equals_its_original(
    originals: dict[str, dict[str, Path]], case: str, kept: str, step: int, tmp_path: Path
) -> None:
    original = originals[case][kept]
    with simengine.open(original) as whole:
        assert the_same(branched(original, at=step), whole)
        assert the_same(branched(original, at=step, out=tmp_path / "x.nc", threads=1), whole)
    assert [path.name for path in tmp_path.iterdir()] == ["x.nc"]


@pytest.mark.parametrize("kept", ["with checkpoints", "without"])
@pytest.mark.parametrize("case", CASES)
def test_a_longer_branch_equals_the_longer_run(
    originals: dict[str, dict[str, Path]], case: str, kept: str, tmp_path: Path
) -> None:
    scenario, options, changes = CASES[case]
    original = originals[case][kept]
    # 20 is a multiple of the stride of the records, but not of that of the snapshots: its last one must go.
    assert the_same(branched(original, at=20, steps=33), run(scenario, **options, steps=33))
    longer = run(scenario, **options, steps=33, interventions=[at(20, **changes)])
    assert the_same(branched(original, at=20, steps=33, out=tmp_path / "x.nc", **changes), longer)


def test_a_run_that_ended_beside_all_its_strides_may_be_made_longer(tmp_path: Path) -> None:
    run(Choosers, seed=1, steps=13, every=4, snapshot_every=6, out=tmp_path / "x.nc", checkpoint_every=6)
    longer = run(Choosers, seed=1, steps=22, every=4, snapshot_every=6)
    assert {0, 4, 5, 8, 10, 12, 15, 16, 20, 22} == set(longer["step"].values.tolist())
    for step in (12, 13):
        assert the_same(branched(tmp_path / "x.nc", at=step, steps=22), longer)


def test_a_shorter_branch_leaves_out_interventions_that_never_act(tmp_path: Path) -> None:
    run("schooling", **SCHOOL, steps=20, interventions=[at(5, noise=0.1), at(15, noise=0.5)], out=tmp_path / "x.nc")
    found = branched(tmp_path / "x.nc", at=3, steps=10, out=tmp_path / "y.nc")
    assert the_same(found, run("schooling", **SCHOOL, steps=10, interventions=[at(5, noise=0.1)]))
    assert simengine.rerun(tmp_path / "y.nc", progress=False)


# -- with a change ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [0, 14, 17])
@pytest.mark.parametrize("kept", ["with checkpoints", "without"])
@pytest.mark.parametrize("case", CASES)
def test_a_branch_is_the_run_with_one_more_intervention(
    originals: dict[str, dict[str, Path]], case: str, kept: str, step: int
) -> None:
    scenario, options, changes = CASES[case]
    found = branched(originals[case][kept], at=step, **changes)
    assert the_same(found, run(scenario, **options, steps=20, interventions=[at(step, **changes)]))
    with simengine.open(originals[case][kept]) as whole:
        for axis, along in (("step", "time"), ("snapshot_step", "snapshot_time")):
            before = {along: whole[axis].values <= step}
            for name, values in whole.data_vars.items():
                if along in values.dims:
                    np.testing.assert_array_equal(found[name].isel(before), values.isel(before), err_msg=str(name))
    assert found.attrs["content_hash"] != whole.attrs["content_hash"]


def test_a_branch_may_change_agents_and_parameters_together(originals: dict[str, dict[str, Path]]) -> None:
    found = branched(originals["schooling"]["with checkpoints"], at=15, apply=turn_back, noise=0.5)
    expected = run("schooling", **SCHOOL, steps=20, interventions=[at(15, apply=turn_back, noise=0.5)])
    assert the_same(found, expected)


def test_a_change_of_rules_after_a_checkpoint(originals: dict[str, dict[str, Path]]) -> None:
    changes = {"rules": "dewi-kadita", "box": 20.0}
    found = branched(originals["schooling"]["with checkpoints"], at=16, **changes)
    assert the_same(found, run("schooling", **SCHOOL, steps=20, interventions=[at(16, **changes)]))


def test_a_branch_of_a_branch_has_both_changes_and_says_where_it_comes_from(tmp_path: Path) -> None:
    first, second, third = (tmp_path / f"{name}.nc" for name in "abc")
    run("schooling", **SCHOOL, steps=20, out=first, checkpoint_every=5)
    branched(first, at=7, noise=0.5, out=second, checkpoint_every=5)
    found = branched(second, at=12, speed=1.0, out=third)
    assert the_same(found, run("schooling", **SCHOOL, steps=20, interventions=[at(7, noise=0.5), at(12, speed=1.0)]))
    assert found.attrs["branched_from"] == str(second)
    assert found.attrs["branched_at"] == 12
    with simengine.open(second) as parent:
        assert found.attrs["branched_from_hash"] == parent.attrs["content_hash"]
    assert simengine.rerun(third, progress=False)
    earlier = branched(second, at=5, speed=1.0)
    assert the_same(earlier, run("schooling", **SCHOOL, steps=20, interventions=[at(7, noise=0.5), at(5, speed=1.0)]))


def test_a_checkpoint_after_an_intervention_carries_it_on(tmp_path: Path) -> None:
    change = at(6, regime="swarm", noise=0.2)
    run("schooling", **SCHOOL, steps=20, interventions=[change], out=tmp_path / "x.nc", checkpoint_every=6)
    for step in (6, 12, 15):
        found = branched(tmp_path / "x.nc", at=step, speed=1.0)
        assert the_same(found, run("schooling", **SCHOOL, steps=20, interventions=[change, at(step, speed=1.0)]))


def test_a_branch_of_a_saved_simulation(tmp_path: Path) -> None:
    sim = Simulation("schooling", **SCHOOL, progress=False)
    sim.step(8)
    sim.set(apply=turn_back)
    sim.step(5)
    sim.save(tmp_path / "x.nc")
    found = branched(tmp_path / "x.nc", at=10, noise=0.5, steps=20)
    expected = run("schooling", **SCHOOL, steps=20, interventions=[at(8, apply=turn_back), at(10, noise=0.5)])
    assert the_same(found, expected)


def test_a_branch_of_a_run_with_a_start_state(tmp_path: Path) -> None:
    given = {"n_agents": 30, "radius_attraction": 12.0, "noise": 0.2}
    run("schooling", **given, steps=5, snapshot_every=5, out=tmp_path / "before.nc")
    options: dict[str, Any] = {"start": tmp_path / "before.nc", "seed": 3, "steps": 20}
    run("schooling", **options, out=tmp_path / "x.nc", checkpoint_every=5)
    found = branched(tmp_path / "x.nc", at=17, speed=1.0)
    assert the_same(found, run("schooling", **options, interventions=[at(17, speed=1.0)]))
    arrays = {"value": np.arange(8.0)}
    run(Choosers, start=arrays, steps=20, out=tmp_path / "y.nc", checkpoint_every=5)
    found = branched(tmp_path / "y.nc", at=17, apply=push)
    assert the_same(found, run(Choosers, start=arrays, steps=20, interventions=[at(17, apply=push)]))


# -- memories -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [3, 10, 18])
def test_lasting_observables_and_policies_with_a_memory_go_on_in_a_branch(tmp_path: Path, step: int) -> None:
    def policies() -> dict[str, Any]:
        return {"agents.choose": Grumbler()}

    options: dict[str, Any] = {"seed": 4, "steps": 20, "every": 3}
    run(Choosers, **options, policies=policies(), out=tmp_path / "x.nc", checkpoint_every=5)
    found = branched(tmp_path / "x.nc", at=step, pace=0.3, policies=policies())
    expected = run(Choosers, **options, policies=policies(), interventions=[at(step, pace=0.3)])
    for name in expected.variables:
        np.testing.assert_array_equal(found[name], expected[name])
    assert the_same(found, expected)
    forgetful = run(Choosers, **options, interventions=[at(step, pace=0.3)])
    assert (forgetful["weighted"][-1] != expected["weighted"][-1]).all()


def test_a_saved_simulation_keeps_memories_too(tmp_path: Path) -> None:
    sim = Simulation(Choosers, seed=4, every=3, policies={"choose": Grumbler()}, progress=False)
    for _ in range(4):
        sim.step(2)
        sim.save(tmp_path / "x.nc", overwrite=True)
        sim.set(pace=0.9)
        sim.save(tmp_path / "x.nc", overwrite=True)
    sim.step(5)
    sim.save(tmp_path / "x.nc", overwrite=True)
    schedule = [at(step, pace=0.9) for step in (2, 4, 6, 8)]
    expected = run(Choosers, seed=4, every=3, steps=13, policies={"choose": Grumbler()}, interventions=schedule)
    with simengine.open(tmp_path / "x.nc") as found:
        assert the_same(found, expected)


def test_a_state_that_cannot_be_kept_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        RunError, match=r"the state of observables/tuples/pair holds tuple \(1, 2\); a checkpoint keeps"
    ):
        run(Unkept, steps=10, out=tmp_path / "x.nc", checkpoint_every=5)
    with pytest.raises(RunError, match=r"the state of policies/agents\.choose/0/self holds Hoarder"):
        run(Choosers, steps=10, out=tmp_path / "y.nc", checkpoint_every=5, policies={"choose": Hoarder()})
    assert run(Unkept, steps=10).attrs["stopped_at"] == 10


# -- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"at": 21}, "at: got 21, allowed is a whole number, at least 0, at most 20"),
        ({"at": -1}, "at: got -1"),
        ({"at": 2.5}, r"at: got 2\.5"),
        ({"at": 20, "noise": 0.5}, "at: the run ends at step 20; branch before, or give more steps="),
        ({"at": 10, "steps": 9}, "steps: got 9, allowed is a whole number, at least 10"),
        ({"at": 10, "n_agents": 40}, r"n_agents is fixed once a run has begun \(30 here\)"),
        ({"at": 10, "dt": 0.2}, "dt is fixed"),
        ({"at": 10, "noize": 0.2}, "unknown parameter 'noize' of Schooling; did you mean 'noise'"),
        ({"at": 10, "seed": 2}, "'seed' of Schooling: it is a keyword of run"),
        ({"at": 10, "apply": 3}, r"apply= takes a function, not 3"),
        ({"at": 10, "threads": 0}, "threads: got 0"),
        ({"at": 10, "checkpoint_every": 5}, "checkpoints lie beside a file; give out="),
        ({"at": 10, "out": "nowhere/x.nc"}, "there is no folder nowhere"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    originals: dict[str, dict[str, Path]], options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message) as found:
        branched(originals["schooling"]["with checkpoints"], **({"out": tmp_path / "x.nc"} | options
                 if "checkpoint_every" not in options else options))  # fmt: skip
    assert "\n" not in str(found.value)
    assert not list(tmp_path.iterdir())


def test_the_original_is_not_replaced_by_its_branch(tmp_path: Path) -> None:
    out = tmp_path / "x.nc"
    run("schooling", **SCHOOL, steps=20, out=out, checkpoint_every=7)
    (tmp_path / "link.nc").symlink_to(out)
    before = out.read_bytes()
    for target in (out, tmp_path / "link.nc"):
        with pytest.raises(InputError, match="a branch cannot take the place of the run that it comes from"):
            branched(out, at=10, noise=0.5, out=target, overwrite=True)
    with pytest.raises(InputError, match="it exists"):
        branched(out, at=10, noise=0.5, out=out)
    assert out.read_bytes() == before
    assert [one.step for one in read_checkpoints(out)] == [20, 14]


def test_a_branch_leaves_its_original_and_its_checkpoints_alone(originals: dict[str, dict[str, Path]]) -> None:
    out = originals["predator_prey"]["with checkpoints"]
    files = sorted(checkpoints_of(out).iterdir())
    before = [path.read_bytes() for path in (out, *files)]
    branched(out, at=16, gain=3)
    assert [path.read_bytes() for path in (out, *files)] == before


def test_runs_that_are_not_there_or_not_finished_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no run file"):
        branched(tmp_path / "x.nc", at=3)
    with pytest.raises(ZeroDivisionError):
        run("schooling", **SCHOOL, steps=20, interventions=[at(9, apply=fail)], out=tmp_path / "x.nc")
    with pytest.raises(InputError, match=r"its run is not finished: simengine resume x\.nc"):
        branched(tmp_path / "x.nc", at=3)


def test_a_run_that_stopped_is_branched_before_its_end(tmp_path: Path) -> None:
    found = run("voter", n_agents=10, seed=3, steps=10_000, out=tmp_path / "x.nc")
    end = int(found.attrs["stopped_at"])
    with pytest.raises(InputError, match=rf"the run stopped at step {end} \(consensus of agents\.opinion\)"):
        branched(tmp_path / "x.nc", at=end, steps=20_000)
    changed = branched(tmp_path / "x.nc", at=end - 1, apply=flip)
    expected = run("voter", n_agents=10, seed=3, steps=10_000, interventions=[at(end - 1, apply=flip)])
    assert the_same(changed, expected)


def fail(agents: Any) -> None:
    agents.heading[:] = agents.heading / (1 // 0)


def flip(agents: Any) -> None:
    agents.opinion[:] = 1 - agents.opinion
