"""Interventions: what acts when, what it may change, and that the file says so."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray

import simengine
from simengine import (
    NOBODY,
    Chosen,
    InputError,
    Scenario,
    ScenarioError,
    Space,
    at,
    count,
    every,
    field,
    gather,
    observable,
    param,
    population,
    reference,
    update,
    vector,
)

run = functools.partial(simengine.run, progress=False)
SCHOOL: dict[str, Any] = {"n_agents": 30, "seed": 5, "steps": 20}
FLOCK: dict[str, Any] = {"n_agents": 60, "box": 20.0, "seed": 5, "steps": 20, "order": "synchronous"}
HUNT: dict[str, Any] = {
    "n_prey": 200, "n_predators": 30, "box": 15.0, "prey_capacity": 2000, "predator_capacity": 1000, "seed": 5,
    "steps": 12,
}  # fmt: skip


@observable
def gauge(p: Any) -> float:
    return p.stride


class Walkers(Scenario):
    """Walkers who count those near them and look for a friend: every parameter shows in some field."""

    n_agents: int = param(60, low=1)
    capacity: int = param(100, low=1)
    box: float = param(10.0, above=0)
    reach: float = param(1.0, above=0)
    stride: float = param(0.1, low=0)
    limit: float = param(0.2, low=0)

    agents = population(
        size="n_agents", capacity="capacity", position=vector(2), heading=vector(2, unit_length=True),
        seen=field(int), pace=field(), mood=field(), friend=reference(), befriended=field(bool),
    )  # fmt: skip
    near = Space(agents.position, reach="reach", box="box")
    liked = Chosen(agents.friend)

    def check(self) -> None:
        self.require(self.stride <= self.limit, "stride must not exceed limit")

    def derived(self) -> dict[str, float]:
        return {"double": 2.0 * self.stride}

    def start(self, agents: Any, draw: Any) -> None:
        agents.position[:] = draw.uniform("position", 0.0, self.box, components=2)
        agents.heading[:] = draw.unit_vector("heading", 2)
        agents.friend[:] = (np.arange(self.n_agents) + 1) % self.n_agents

    @gather(near, others=count())
    def look(me, other, acc):
        acc.others += 1

    @gather(liked, friends=count())
    def recall(me, other, acc):
        acc.friends += 1

    @update(agents, after=(look, recall))
    def walk(me, agents, new, p, acc):
        new.seen[me] = acc.others
        new.befriended[me] = acc.friends > 0
        new.pace[me] = p.double
        new.mood[me] = agents.mood[me] + 1.0
        for axis in range(2):
            new.position[me, axis] += p.stride * agents.heading[me, axis]

    observe = [gauge]


def walk(*interventions: Any, **options: Any) -> xarray.Dataset:
    return run(Walkers, **({"steps": 10, "seed": 2, "snapshot_every": 1} | options), interventions=interventions)


def living(found: xarray.Dataset, name: str, step: int) -> np.ndarray[Any, Any]:
    """A field of the living after so many steps."""
    return found[name].isel(snapshot_time=step, agent=slice(0, int(found["agents_alive"][step]))).values


def rows(found: xarray.Dataset, first: int, last: int) -> xarray.Dataset:
    return found.isel(time=slice(first, last))


# -- when ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("apply", [False, True], ids=["parameter", "function"])
def test_rows_up_to_the_step_are_as_without_it_and_the_next_one_is_not(apply: bool) -> None:
    plain = run("schooling", **SCHOOL, snapshot_every=1)
    change = at(8, apply=turn_back) if apply else at(8, noise=1.0)
    found = run("schooling", **SCHOOL, snapshot_every=1, interventions=[change])
    for name in ("polarization", "position", "heading"):
        np.testing.assert_array_equal(found[name][:9], plain[name][:9])
        assert (found[name][9] != plain[name][9]).any()


def test_every_acts_after_each_multiple_of_its_stride() -> None:
    found = walk(every(3, apply=reset_mood))
    np.testing.assert_array_equal(
        [living(found, "mood", step)[0] for step in range(11)], [0, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1]
    )


def test_at_0_acts_on_the_start_state_once_it_is_recorded() -> None:
    found = walk(at(0, apply=reset_mood), at(0, stride=0.05))
    assert found["gauge"].values[:3].tolist() == [0.1, 0.05, 0.05]


def test_several_at_one_step_act_in_the_order_given() -> None:
    raised_first = walk(at(5, apply=raise_mood), at(5, apply=double_mood))
    doubled_first = walk(at(5, apply=double_mood), at(5, apply=raise_mood))
    assert living(raised_first, "mood", 6)[0] == 2 * (5 + 10) + 1
    assert living(doubled_first, "mood", 6)[0] == 2 * 5 + 10 + 1


def test_the_last_of_several_values_at_one_step_holds() -> None:
    assert walk(at(5, stride=0.05), at(5, stride=0.15))["gauge"].values[6] == 0.15


def test_a_parameter_changes_before_the_function_of_the_same_intervention_is_called() -> None:
    found = walk(at(5, stride=0.05, apply=note_stride))
    assert (living(found, "mood", 6) == 0.05 + 1.0).all()


# -- parameters ---------------------------------------------------------------------------------------------------


def test_a_changed_parameter_is_seen_by_phases_derived_numbers_and_observables() -> None:
    found = walk(at(4, stride=0.15))
    np.testing.assert_array_equal(found["gauge"], [0.1] * 5 + [0.15] * 6)
    assert (living(found, "pace", 4) == 0.2).all()
    assert (living(found, "pace", 5) == 0.3).all()
    moved = np.linalg.norm(wrapped(living(found, "position", 5) - living(found, "position", 4), 10.0), axis=1)
    np.testing.assert_allclose(moved, 0.15, rtol=1e-12)


@pytest.mark.parametrize("changes", [{"reach": 3.0}, {"box": 4.0}, {"box": 4.0, "reach": 1.9}, {"box": 30.0}])
def test_a_changed_reach_and_box_are_seen_by_relations(changes: dict[str, float]) -> None:
    found = walk(at(4, **changes))
    now = {"reach": 1.0, "box": 10.0} | changes
    position = np.mod(living(found, "position", 4), now["box"])
    offset = wrapped(position[:, None] - position[None], now["box"])
    expected = (np.linalg.norm(offset, axis=2) <= now["reach"]).sum(axis=1) - 1
    np.testing.assert_array_equal(living(found, "seen", 5), expected)


def test_agents_outside_a_smaller_periodic_box_are_wrapped_into_it() -> None:
    found = walk(at(4, box=4.0))
    assert living(found, "position", 4).max() > 4.0
    for step in (5, 10):
        position = living(found, "position", step)
        assert ((position >= 0.0) & (position < 4.0)).all()


def test_a_change_to_the_present_value_changes_nothing() -> None:
    plain, found = walk(), walk(at(4, stride=0.1, box=10.0), at(6, apply=do_nothing))
    for name in plain.variables:
        np.testing.assert_array_equal(found[name], plain[name])


@pytest.mark.parametrize(
    ("scenario", "before", "changes"),
    [
        ("flocking", {**FLOCK, "order": "shuffled"}, {"order": "synchronous"}),
        ("schooling", {**SCHOOL, "noise": 0.0, "box": 20.0}, {"rules": "dewi-kadita"}),
        ("schooling", {**SCHOOL, "noise": 0.0, "box": 20.0}, {"box": None}),
    ],
    ids=["order of flocking", "rules of schooling", "no box any more"],
)
def test_other_phases_go_on_like_a_run_that_began_with_the_state(
    scenario: str, before: dict[str, Any], changes: dict[str, Any]
) -> None:
    # No draw takes part after the change, so that step numbers do not matter.
    found = run(scenario, **before, snapshot_every=1, interventions=[at(8, **changes)])
    moment = {name: found[name].isel(snapshot_time=8).values for name in ("position", "heading")}
    fresh = run(scenario, **{**before, "steps": 12} | changes, snapshot_every=1, start=moment)
    for name in ("position", "heading"):
        np.testing.assert_array_equal(found[name][8:], fresh[name])


def test_a_changed_regime_brings_its_defaults_except_for_what_was_given() -> None:
    explicit = {"radius_orientation": 1.0, "radius_attraction": 15.0}
    brought = run("schooling", **SCHOOL, interventions=[at(5, regime="swarm")])
    named = run("schooling", **SCHOOL, interventions=[at(5, **explicit)])
    np.testing.assert_array_equal(brought["polarization"], named["polarization"])
    given = SCHOOL | {"radius_attraction": 17.5}
    kept = run("schooling", **given, interventions=[at(5, regime="swarm")])
    partly = run("schooling", **given, interventions=[at(5, radius_orientation=1.0)])
    np.testing.assert_array_equal(kept["polarization"], partly["polarization"])
    assert (kept["polarization"] != brought["polarization"]).any()


def test_exchanges_one_by_one_may_take_over_from_synchronous_ones() -> None:
    both = run("wealth_exchange", n_agents=50, steps=40, seed=1, interventions=[every(10, order="one_by_one")])
    plain = run("wealth_exchange", n_agents=50, steps=40, seed=1)
    np.testing.assert_array_equal(both["total_wealth"], plain["total_wealth"])
    np.testing.assert_array_equal(both["gini"][:11], plain["gini"][:11])
    assert (both["gini"][11:] != plain["gini"][11:]).any()


def test_values_that_are_allowed_only_one_after_another_may_follow_one_another() -> None:
    assert walk(at(3, limit=1.0), at(5, stride=0.9))["gauge"].values[-1] == 0.9
    with pytest.raises(InputError, match=r"at\(3, stride=0\.9\): stride must not exceed limit"):
        walk(at(5, limit=1.0), at(3, stride=0.9))


# -- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("intervention", "message"),
    [
        (at(3, n_agents=10), r"at\(3, n_agents=10\): n_agents is fixed once a run has begun \(30 here\)"),
        (at(3, dt=0.5), r"dt is fixed once a run has begun \(0\.1 here\)"),
        (every(3, radius_orientation=30.0), r"radius_orientation \(30\) must not exceed radius_attraction"),
        (at(3, noize=0.5), "unknown parameter 'noize' of Schooling; did you mean 'noise'"),
        (at(3, steps=30), "unknown parameter 'steps' of Schooling: it is a keyword of run"),
        (at(3, noise=-1.0), r"'noise' of Schooling: got -1\.0, allowed is float, 0 <= value"),
        (at(20, noise=0.5), r"at\(20, noise=0\.5\) never acts: the run has 20 steps"),
        (every(20, noise=0.5), r"every\(20, noise=0\.5\) never acts"),
        ("noise=3", r"got 'noise=3'; give a list of simengine\.at\(\.\.\.\) and simengine\.every"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(intervention: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        run("schooling", **SCHOOL, interventions=[intervention], out=tmp_path / "x.nc")
    assert not list(tmp_path.iterdir())


def test_capacities_are_fixed_as_well() -> None:
    with pytest.raises(InputError, match="capacity is fixed once a run has begun"):
        walk(at(3, capacity=200))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: at(-1, noise=0.1), r"at\(\): got -1, allowed is a whole number of steps, at least 0"),
        (lambda: at(1.5, noise=0.1), r"at\(\): got 1\.5"),
        (lambda: at(True, noise=0.1), r"at\(\): got True"),
        (lambda: every(0, noise=0.1), r"every\(\): got 0, allowed is a whole number of steps, at least 1"),
        (lambda: at(5), r"at\(5\) changes nothing"),
        (lambda: every(5), r"every\(5\) changes nothing"),
        (lambda: at(5, apply=3), r"at\(5\): apply= takes a function, not 3"),
    ],
)
def test_an_intervention_that_makes_no_sense_is_refused_at_once(wrong: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        wrong()


def test_an_observable_with_a_stride_takes_no_changes() -> None:
    with pytest.raises(ScenarioError, match="an observable to record, or changes to make, not both"):
        every(5, gauge, noise=0.1)  # type: ignore[call-overload]


# -- functions ----------------------------------------------------------------------------------------------------


def test_a_function_writes_fields_vectors_and_references() -> None:
    found = walk(at(4, apply=rearrange))
    assert (living(found, "mood", 5) == 8.0).all()
    np.testing.assert_array_equal(living(found, "friend", 5), np.full(60, 7))
    expected = np.mod(3.0 + 0.1 * living(found, "heading", 5), 10.0)
    np.testing.assert_allclose(living(found, "position", 5), expected, rtol=1e-12)


def test_directions_are_given_unit_length_and_others_keep_their_bits() -> None:
    plain, found = walk(), walk(at(4, apply=stretch_first))
    np.testing.assert_allclose(living(found, "heading", 5)[0], [0.6, 0.8], rtol=1e-15)
    np.testing.assert_array_equal(living(found, "heading", 5)[1:], living(plain, "heading", 5)[1:])


def test_a_function_removes_agents_and_who_named_them_names_nobody() -> None:
    found = walk(at(4, apply=remove_even))
    np.testing.assert_array_equal(found["agents_alive"], [60] * 5 + [30] * 6)
    np.testing.assert_array_equal(living(found, "agent_id", 5), np.arange(1, 60, 2))
    assert living(found, "befriended", 4).all()
    assert not living(found, "befriended", 5).any()


def test_removing_everybody_is_possible() -> None:
    found = walk(at(4, apply=remove_all))
    assert found["agents_alive"].values[5:].tolist() == [0] * 6
    hunt = run("predator_prey", **HUNT, interventions=[at(4, apply=no_predators)])
    assert hunt.attrs["stop_reason"] == "predators extinct"
    assert hunt.attrs["stopped_at"] == 5


def test_prey_removed_while_hunted_keep_the_books_of_the_others_closed() -> None:
    found = run("predator_prey", **HUNT, interventions=[at(4, apply=thin_out)])
    heads = found["prey_alive"].values
    gone = heads[4] - heads[4] // 2
    balance = HUNT["n_prey"] + found["total_prey_born"].values - found["total_prey_eaten"].values
    np.testing.assert_array_equal(heads, balance - np.where(np.arange(len(heads)) > 4, heads[4] // 2, 0))
    assert 0 < gone < heads[4]


def test_draws_are_new_at_each_step_and_for_each_agent() -> None:
    found = walk(every(3, apply=draw_mood))
    first, second = living(found, "mood", 4), living(found, "mood", 7)
    assert len(np.unique(first)) == len(np.unique(second)) == 60
    assert not np.intersect1d(first, second).size


OTHERS = {
    "two threads": {"threads": 2},
    "stored by cell": {"storage_order": "by_cell"},
    "every fourth step, stored by cell, two threads": {"every": 4, "storage_order": "by_cell", "threads": 2},
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("scenario", ["flocking", "predator_prey"])
def test_threads_strides_and_storage_do_not_show_when_agents_are_changed(scenario: str, other: str) -> None:
    sizes = FLOCK | {"n_agents": 400, "box": 60.0} if scenario == "flocking" else HUNT
    shake = shake_flock if scenario == "flocking" else shake_hunt
    box = {"flocking": 45.0, "predator_prey": 12.0}[scenario]
    changes = [every(3, apply=shake), at(7, box=box)]
    plain = run(scenario, **sizes, snapshot_every=4, threads=1, storage_order="by_id", interventions=changes)
    found = run(scenario, **sizes, snapshot_every=4, **({"threads": 1} | OTHERS[other]), interventions=changes)
    expected = plain.sel(time=found.time)
    for name in found.variables:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=str(name))


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda agents: setattr(agents, "mood", np.zeros(3)), ValueError, "broadcast"),
        (lambda agents: setattr(agents, "mood", np.nan), InputError, r"agents\.mood of agent 0 is not a finite number"),
        (lambda agents: setattr(agents, "heading", 0.0), InputError, r"agents\.heading of agent 0 has length 0"),
        (lambda agents: setattr(agents, "mod", 0.0), ScenarioError, "no field 'mod'; did you mean 'mood'"),
        (lambda agents: agents.positon, ScenarioError, "no field 'positon'; did you mean 'position'"),
        (lambda agnts: None, ScenarioError, r"no argument 'agnts'; did you mean 'agents'"),
        (lambda agents: 1 / 0, ZeroDivisionError, "division by zero"),
    ],
)
def test_a_function_that_cannot_be_carried_out_ends_the_run_and_keeps_its_records(
    function: Any, error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        walk(at(4, apply=function), out=tmp_path / "x.nc", snapshot_every=None)
    with simengine.open(tmp_path / "x.nc") as kept:
        assert kept["step"].values.tolist() == [0, 1, 2, 3, 4]


def test_complaints_about_a_function_name_the_intervention() -> None:
    with pytest.raises(InputError, match=r"intervention at\(4, apply=spoil\): agents\.mood"):
        walk(at(4, apply=spoil))


def test_unit_length_of_an_untouched_population_survives_a_function() -> None:
    plain, found = run("flocking", **FLOCK), run("flocking", **FLOCK, interventions=[every(1, apply=do_nothing)])
    np.testing.assert_array_equal(plain["polarization"], found["polarization"])


# -- what the file says -------------------------------------------------------------------------------------------


def test_the_file_says_the_interventions_and_its_hash_covers_them(tmp_path: Path) -> None:
    plain = run("schooling", **SCHOOL)
    late = run("schooling", **SCHOOL, interventions=[at(19, noise=0.05)])
    np.testing.assert_array_equal(plain["polarization"], late["polarization"])
    assert plain.attrs["content_hash"] != late.attrs["content_hash"]
    changes = [at(8, noise=np.float64(0.5)), every(5, apply=turn_back)]
    found = run("schooling", **SCHOOL, interventions=changes, out=tmp_path / "x.nc")
    said = simengine.store.decode_attributes(found.attrs)["interventions"]
    assert said[0] == {"at": 8, "changes": {"noise": 0.5}}
    assert said[1]["every"] == 5
    assert "agents.heading[:] = -agents.heading" in said[1]["apply"]["source"]
    again = run("schooling", **SCHOOL, interventions=[at(8, noise=0.5), every(5, apply=turn_back)])
    assert again.attrs["content_hash"] == found.attrs["content_hash"]


def test_a_file_with_interventions_is_enough_to_repeat_its_run(tmp_path: Path) -> None:
    def local(agents: Any) -> None:
        agents.mood[:] = 3.0

    changes = [at(3, stride=0.15), every(4, apply=draw_mood), at(5, apply=remove_even), at(6, apply=local)]
    walk(*changes, out=tmp_path / "x.nc")
    assert simengine.rerun(tmp_path / "x.nc", progress=False)


def test_a_function_that_a_file_cannot_keep_is_named_when_its_run_is_repeated(tmp_path: Path) -> None:
    value = 3.0

    def closure(agents: Any) -> None:
        agents.mood[:] = value

    for n, (function, reason) in enumerate([(closure, "closes over the local variable 'value'"), (LAMBDA, "a lambda")]):
        walk(at(3, apply=function), out=tmp_path / f"{n}.nc")
        with pytest.raises(InputError, match=f"{reason}.*its run cannot be repeated from the file"):
            simengine.rerun(tmp_path / f"{n}.nc", progress=False)


def wrapped(offset: np.ndarray[Any, Any], side: float) -> np.ndarray[Any, Any]:
    return offset - side * np.round(offset / side)


def do_nothing(step: int) -> None:
    assert step >= 1


def turn_back(agents: Any) -> None:
    agents.heading[:] = -agents.heading


def reset_mood(agents: Any) -> None:
    agents.mood = 0.0


def raise_mood(agents: Any) -> None:
    agents.mood[:] += 10.0


def double_mood(agents: Any) -> None:
    agents.mood *= 2.0


def draw_mood(agents: Any, draw: Any) -> None:
    agents.mood[:] = draw.normal("mood")


def note_stride(agents: Any, p: Any) -> None:
    agents.mood[:] = p.stride


def spoil(agents: Any) -> None:
    agents.mood[3] = np.inf


def rearrange(agents: Any, step: int, time: float) -> None:
    agents.mood[:] = step + time - 1.0
    agents.position[:] = 3.0
    agents.friend[:] = 7
    agents.friend[:5] = NOBODY
    agents.friend[:5] = 7


def stretch_first(agents: Any) -> None:
    agents.heading[0] = [3.0, 4.0]


def remove_even(agents: Any) -> None:
    agents.alive[:] = agents.ids % 2 == 1


def remove_all(agents: Any) -> None:
    agents.alive = False


def no_predators(predators: Any) -> None:
    predators.alive[:] = False


def thin_out(prey: Any) -> None:
    prey.alive[: len(prey) // 2] = False


def shake_flock(agents: Any, draw: Any) -> None:
    agents.heading[:] = draw.unit_vector("shaken", 2)


def shake_hunt(prey: Any, predators: Any, draw: Any) -> None:
    prey.position[:] += draw.of(prey).normal("shaken", components=2)
    prey.alive[:] = ~draw.of(prey).chance("struck", 0.05)
    predators.energy[:] = draw.of(predators).integer("fed", 1, 9)


LAMBDA = lambda agents: None  # noqa: E731
