"""Interventions: steps, changes and functions of any kind, in a run, a `Simulation` and a branch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fuzz_values as values
import numpy as np
import pytest
from fuzz_oracle import MisbehaviourError, call, cases, check_finished, check_folder, check_process, contents, folder
from hypothesis import given
from hypothesis import strategies as st

import simengine
from simengine.errors import RunError


def nothing(agents):
    pass


def raises(agents):
    raise MisbehaviourError("the function\nraised this")


def spoils(agents):
    agents.place[:] = np.nan


def shrinks(agents):
    agents.heading[:] = 0.0


def points_nowhere(agents):
    agents.friend[:] = 99


def wrong_shape(agents):
    agents.place = np.ones(99)


def wrong_kind(agents):
    agents.place = ["a"] * len(agents)


def unknown_field(agents):
    agents.plaice[:] = 1


def unknown_argument(agenst):
    pass


def no_arguments():
    return 3


def anything(*rest, **more):
    pass


def positional(agents, /):
    agents.age[:] += 1


def defaulted(agents, depth=3):
    agents.age[:] += depth


def kills(agents):
    agents.alive[:] = False


def overwrites_population(agents):
    agents.ids[:] = 7


def changes_parameters(p):
    p.speed = -1.0


def draws(agents, draw):
    agents.place[:] = draw.normal("x", 0.0, 1.0)


def draws_badly(agents, draw):
    agents.place[:] = draw.uniform(3, 4, components="x")


class Callable:
    def __call__(self, agents):
        agents.age[:] = 0


FUNCTIONS: list[Any] = [
    nothing, raises, spoils, shrinks, points_nowhere, wrong_shape, wrong_kind, unknown_field, unknown_argument,
    no_arguments, anything, positional, defaulted, kills, overwrites_population, changes_parameters, draws, draws_badly,
    Callable(), Callable, lambda agents: None, len, np.sum, print, int, np.add, st.integers,
]  # fmt: skip
TAKEN = {"self", "apply", "step", "steps", "path", "at"}
MISTAKES_OF_THE_FUNCTION = (
    MisbehaviourError, ValueError, TypeError, AttributeError, IndexError, KeyError,
)  # fmt: skip


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A scenario with fields of every kind."""
    return simengine.runs.registry.find(values.fields_scenario(tmp_path_factory.mktemp("own")))


@pytest.fixture(scope="module")
def finished(own: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with checkpoints."""
    path = tmp_path_factory.mktemp("runs") / "whole.nc"
    simengine.run(own, steps=3, checkpoint_every=1, out=path, progress=False).close()
    return path


def act(function: Any, *arguments: Any, **keywords: Any) -> tuple[Any, BaseException | None]:
    """Call something of simengine; errors of the user's own functions reach the caller as they are."""
    try:
        return call(function, *arguments, **keywords)
    except MISTAKES_OF_THE_FUNCTION as error:
        place, files = error.__traceback__, []
        while place is not None:
            files.append(place.tb_frame.f_code.co_filename)
            place = place.tb_next
        if __file__ not in files[3:]:
            raise
        return None, error


@st.composite
def changes(draw: st.DrawFn, own: Any) -> dict[str, Any]:
    return {key: value for key, value in draw(values.parameters(own, most=2)).items() if key not in TAKEN}


@st.composite
def interventions(draw: st.DrawFn, own: Any) -> Any:
    """An intervention, or the error that it was refused with, or no intervention at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(values.odd)
    when = draw(st.sampled_from([simengine.at, simengine.at, simengine.every]))
    step = draw(st.sampled_from([0, 1, 1, 1, 2, 3, np.int64(1), 2**62, 2**64]) | values.odd)
    apply = draw(st.sampled_from([None, *FUNCTIONS]) | values.odd) if draw(st.booleans()) else None
    made, error = call(when, step, apply=apply, **{k: v for k, v in draw(changes(own)).items() if k != "apply"})
    return made if error is None else draw(st.sampled_from([None, error]))


@cases(0.05)
@given(data=st.data(), steps=st.sampled_from([1, 2, 3]), out=st.booleans())
def test_a_run_with_any_interventions_is_done_or_refused_in_one_line(data, steps, out, own):
    given = data.draw(st.lists(interventions(own), max_size=2))
    with folder() as place:
        before = contents(place)
        path = place / "x.nc" if out else None
        dataset, error = act(simengine.run, own, steps=steps, interventions=given, out=path, progress=False)
        if error is None:
            dataset.close()
            if path:
                check_finished(path)
        else:
            check_folder(before, place, began=isinstance(error, (RunError, *MISTAKES_OF_THE_FUNCTION)))
    check_process(10)


@cases(0.03)
@given(data=st.data())
def test_a_simulation_goes_on_after_any_change_that_it_refused(data, own):
    sim = simengine.Simulation(own, progress=False)
    for _ in range(data.draw(st.integers(1, 4))):
        kind = data.draw(st.integers(0, 6))
        before, step = sim.agents, sim.steps
        error: BaseException | None = None
        if kind <= 2:
            apply = data.draw(st.sampled_from([None, *FUNCTIONS]) | values.odd)
            _, error = act(sim.set, apply=apply, **data.draw(changes(own)))
            if error is not None:
                assert sim.agents.equals(before)
        elif kind == 3:
            _, error = act(sim.step, data.draw(values.odd.filter(values.bounded)))
        elif kind == 4:
            condition = data.draw(
                st.sampled_from([lambda agents: True, lambda step: step > 2, raises, unknown_argument]) | values.odd
            )
            _, error = act(
                sim.run_until,
                condition,
                at_most=data.draw(values.odd.filter(values.bounded).filter(lambda most: most is not None)),
            )
        elif kind == 5:
            _, error = act(sim.population, data.draw(values.texts))
        else:
            with folder() as place:
                _, error = act(sim.save, data.draw(st.sampled_from(["x.nc", "none/x.nc", ""]) | values.odd))
                if error is not None:
                    check_folder({}, place, began=False)
        if error is not None and kind not in (3, 4):
            assert sim.steps == step
        assert np.isfinite(sim.agents.place.values).all()
        sim.observe()
    sim.step(1)
    check_process(10)


@cases(0.02)
@given(data=st.data())
def test_a_branch_with_any_changes_is_made_or_refused_in_one_line(data, own, finished):
    keywords: dict[str, Any] = {"at": data.draw(st.sampled_from([0, 1, 2, 3, 4, -1]) | values.odd)}
    if data.draw(st.booleans()):
        keywords["apply"] = data.draw(st.sampled_from(FUNCTIONS) | values.odd)
    if data.draw(st.booleans()):
        keywords["steps"] = data.draw(st.sampled_from([0, 1, 3, 4]) | values.odd.filter(values.bounded))
    keywords |= {key: value for key, value in data.draw(changes(own)).items() if key not in ("at", "apply", "path")}
    origin = contents(finished.parent)
    with folder() as place:
        path = data.draw(st.sampled_from([None, "b.nc", "b.nc", str(finished), "none/b.nc"]))
        dataset, error = act(simengine.branch, finished, out=path, progress=False, **keywords)
        if error is None:
            dataset.close()
            if path:
                check_finished(place / path)
        else:
            check_folder({}, place, began=isinstance(error, (RunError, *MISTAKES_OF_THE_FUNCTION)))
    assert contents(finished.parent) == origin
    check_process(10)
