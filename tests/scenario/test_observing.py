"""Observables in a file: strides, several outputs, errors and nulls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import simengine
from simengine import (
    InputError,
    Measured,
    Output,
    Scenario,
    ScenarioError,
    every,
    field,
    observable,
    param,
    population,
    update,
)


@observable(unit="m", long_name="mean of the values")
def mean_value(agents: Any, p: Any, step: int) -> float:
    return float(agents.value.mean()) * p.factor


@observable
def seldom(agents: Any) -> float:
    """Greatest value, seldom looked at.

    The second paragraph is not part of the long name.
    """
    return float(agents.value.max())


@observable(
    outputs=(
        Output("low", "s"),
        Output("high", "s", "highest value", (), "float64", uncertain=True, null=True),
        Output("n", dtype="int64"),
    )
)
def extremes(agents: Any) -> dict[str, Any]:
    return {
        "low": agents.value.min(), "high": Measured(float(agents.value.max()), 0.5, 1.0, 0.25), "n": len(agents.value),
    }  # fmt: skip


class Observed(Scenario):
    factor: float = param(2.0)
    agents = population(size=4, value=field(unit="m"))

    def start(self, agents: Any) -> None:
        agents.value[:] = np.arange(4)

    @update(agents)
    def grow(me, new):
        new.value[me] += 1.0

    observe = [mean_value, every(4, seldom), extremes]


def test_each_observable_is_recorded_with_what_it_says_of_itself() -> None:
    found = simengine.run(Observed, steps=6, progress=False)
    np.testing.assert_array_equal(found["mean_value"], 2.0 * (1.5 + np.arange(7)))
    assert found["mean_value"].attrs["long_name"] == "mean of the values"
    assert found["mean_value"].attrs["units"] == "m"
    assert found["seldom"].attrs["long_name"] == "Greatest value, seldom looked at"
    np.testing.assert_array_equal(found["low"], np.arange(7.0))
    assert found["n"].dtype == np.int64


def test_an_observable_with_a_stride_is_recorded_at_its_steps_and_at_the_edges() -> None:
    found = simengine.run(Observed, steps=6, progress=False)
    np.testing.assert_array_equal(found["seldom"], [3.0, np.nan, np.nan, np.nan, 7.0, np.nan, 9.0])


def test_an_own_stride_does_not_depend_on_the_stride_of_the_run() -> None:
    found = simengine.run(Observed, steps=9, every=3, progress=False)
    assert found["step"].values.tolist() == [0, 3, 4, 6, 8, 9]
    np.testing.assert_array_equal(found["seldom"], [3.0, np.nan, 7.0, np.nan, 11.0, 12.0])
    np.testing.assert_array_equal(found["mean_value"], [3.0, 9.0, np.nan, 15.0, np.nan, 21.0])


def test_errors_and_nulls_stand_beside_their_value() -> None:
    found = simengine.run(Observed, steps=2, progress=False)
    assert found["high"].attrs["ancillary_variables"] == "high_standard_error high_null_mean high_null_sd"
    assert found["high_standard_error"].values.tolist() == [0.5] * 3
    assert found["high_null_mean"].values.tolist() == [1.0] * 3
    assert found["high_null_sd"].values.tolist() == [0.25] * 3
    assert found["high_null_sd"].attrs["units"] == "s"


@observable
def returns_nothing_of_use(agents: Any) -> dict[str, Any]:
    return {"something": 1.0}


@observable
def asks_for_too_much(agent: Any) -> float:
    return 0.0


@observable
def undeclared_error(agents: Any) -> Measured:
    return Measured(1.0, 0.1)


@observable
def writes_to_agents(agents: Any) -> float:
    agents.value[0] = 100.0
    return 0.0


@observable(outputs=(Output("a"), Output("b")))
def returns_one_of_two(agents: Any) -> float:
    return 1.0


@pytest.mark.parametrize(
    ("observed", "error", "message"),
    [
        (returns_nothing_of_use, ScenarioError, "returned no 'returns_nothing_of_use'"),
        (asks_for_too_much, ScenarioError, "did you mean 'agents'"),
        (undeclared_error, ScenarioError, "uncertain=True"),
        (writes_to_agents, ValueError, "read-only"),
        (returns_one_of_two, ScenarioError, "dict of a, b"),
    ],
)
def test_a_wrong_observable_is_explained(observed: Any, error: type[Exception], message: str) -> None:
    class Wrong(Scenario):
        agents = population(size=4, value=field())
        observe = [observed]

    with pytest.raises(error, match=message):
        simengine.run(Wrong, steps=1, progress=False)


def test_observables_are_checked_when_the_class_is_defined() -> None:
    with pytest.raises(ScenarioError, match="is no observable"):

        class NotObservable(Scenario):
            agents = population(size=4, value=field())
            observe = [lambda agents: 0.0]

    with pytest.raises(ScenarioError, match="two observables record 'seldom'"):

        class Double(Scenario):
            agents = population(size=4, value=field())
            observe = [seldom, every(3, seldom)]

    with pytest.raises(ScenarioError, match="at least 1 step"):
        every(0, seldom)


def test_a_scenario_without_phases_only_starts() -> None:
    class Still(Scenario):
        agents = population(size=4, value=field())
        observe = [seldom]

    found = simengine.run(Still, steps=3, progress=False)
    assert found["seldom"].values.tolist() == [0.0] * 4


class Districts(Scenario):
    """People settle; each district counts them."""

    n_agents: int = param(12, low=1)
    n_districts: int = param(3, low=1)
    districts = population(size="n_districts", dim="district", area=field())
    agents = population(size="n_agents", district=field(int))

    def start(self, agents: Any, draw: Any) -> None:
        agents.district[:] = draw.of(agents).integer("district", 0, self.n_districts)

    @update(agents)
    def move(me, agents, new, p):
        new.district[me] = (agents.district[me] + 1) % p.n_districts

    @observable(dims=("district",))
    def people(agents: Any, p: Any) -> Any:
        """Number of people."""
        return np.bincount(agents.district, minlength=p.n_districts).astype(float)

    observe = [people]


@pytest.mark.parametrize("snapshot_every", [None, 2])
def test_an_observable_may_record_a_value_for_each_of_a_population(snapshot_every: int | None) -> None:
    run = simengine.run(Districts, steps=4, snapshot_every=snapshot_every, progress=False)
    assert run.people.dims == ("time", "district")
    assert run.people.long_name == "Number of people"
    assert run.district.values.tolist() == [0, 1, 2]
    assert ("districts_area" in run) == (snapshot_every is not None)
    assert (run.people.sum("district") == 12).all()
    np.testing.assert_array_equal(run.people[1], np.roll(run.people[0], 1))


def test_a_sweep_refuses_such_values_in_one_line(tmp_path: Any) -> None:
    with pytest.raises(InputError, match="people records a value for each district, which sweeps do not keep"):
        simengine.sweep(Districts, {"n_agents": [6, 12]}, steps=2, out=tmp_path / "swept", progress=False)
    assert not list(tmp_path.iterdir())
