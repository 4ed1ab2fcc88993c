"""Rules in words, and the phases that they give."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simengine import InputError
from simengine.analysis.statistics import phases
from simengine.analysis.statistics.rules import Rule
from simengine.runs import registry
from simengine.scenario.scenario import Scenario

X, Y = np.array([0.1, 0.5, 0.9, np.nan]), np.array([1.0, 2.0, 3.0, 4.0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x > 0.4", [False, True, True, False]),
        ("not x > 0.4", [True, False, False, False]),
        ("x > 0.4 and y < 2.5", [False, True, False, False]),
        ("x < 0.2 or y == 3", [True, False, True, False]),
        ("0.2 < x <= 0.5", [False, True, False, False]),
        ("-x + 2 * y / 4 - (1 - x) >= 0", [False, True, True, False]),
        ("y != 2", [True, False, True, True]),
        ("1 < 2", [True]),
    ],
)
def test_a_rule_holds_where_it_says(text: str, expected: list[bool]) -> None:
    assert np.atleast_1d(Rule.read(text).holds({"x": X, "y": Y})).tolist() == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "   ", "x", "x >", "x + 1", "x = 1", "__import__('os').system('true')", "x.real > 1", "x[0] > 1", "'a' > 1",
        "x ** 9 > 1", "x if y else x", "lambda: 1", "(x := 1) > 0", "x is 1", "x in y", "True", "[x] > 1", "f(x) > 1",
        "x > 1 and y", "(x > 1) + 1 > 0", "not x", "x % 2 > 1", "x > 1j", "x\n> 1; y", "-" * 200 + "x > 1",
        "x > 1" * 200,        "x > " + "9" * 400, "{x} > 1", "await x", "x @ y > 1", "~x > 1", "f'{x}' > 1",
    ],
)  # fmt: skip
def test_what_is_no_rule_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InputError, match="rule") as caught:
        Rule.read(text)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=60))
def test_any_text_is_a_rule_or_an_input_error(text: str) -> None:
    try:
        rule = Rule.read(text)
    except InputError:
        return
    rule.holds(dict.fromkeys(rule.names, X))


def test_a_name_that_is_not_there_is_told_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'rotation'"):
        Rule.read("rotaton > 1").holds({"rotation": X})


def test_names_come_in_the_order_of_the_text() -> None:
    assert Rule.read("b > 1 and (a < b or c > 1)").names == ("b", "a", "c")


def test_dividing_by_zero_is_no_error() -> None:
    assert Rule.read("x / 0 > 1").holds({"x": np.array([1.0, -1.0])}).tolist() == [True, False]


def test_the_first_phase_that_fits_is_taken_and_overlaps_are_told() -> None:
    rules = phases.read({"low": "x < 0.6", "middle": "x > 0.4"})
    found = phases.labels(rules, {"x": X})
    assert found.labels.tolist() == ["low", "low", "middle", "none"]
    assert found.overlapping == {("low", "middle"): 1}
    assert phases.tell(found.overlapping) == ["low before middle: 1"]


def test_a_function_may_be_a_rule() -> None:
    import xarray as xr

    dataset = xr.Dataset({"x": ("run", X)})
    found = phases.labels(phases.read({"high": lambda values: values.x > 0.4}), {"x": X}, dataset)
    assert found.labels.tolist() == ["none", "high", "high", "none"]


def test_a_function_that_raises_or_gives_numbers_is_told() -> None:
    with pytest.raises(InputError, match="'bad' raised AttributeError"):
        phases.labels(phases.read({"bad": lambda values: values.nothing > 1}), {"x": X}, None)
    with pytest.raises(InputError, match="allowed are booleans"):
        phases.labels(phases.read({"bad": lambda values: np.ones(4)}), {"x": X}, None)


@pytest.mark.parametrize("rules", [{}, [], {"none": "x > 1"}, {"": "x > 1"}, {1: "x > 1"}, {"a": 5}, "x > 1"])
def test_rules_are_a_dict_of_named_conditions(rules: object) -> None:
    with pytest.raises(InputError, match="rule"):
        phases.read(rules)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def shipped() -> dict[str, type[Scenario]]:
    return {one.scenario.__name__: one.scenario for one in registry.listed() if one.scenario is not None}


@pytest.mark.parametrize("scenario", list(phases.DEFAULTS))
def test_the_rules_of_a_scenario_speak_of_what_it_records(scenario: str, shipped: dict[str, type[Scenario]]) -> None:
    recorded = {output.name for strided in shipped[scenario]({}).recorded for output in strided.observable.outputs}
    assert set(phases.names(phases.read(phases.DEFAULTS[scenario]))) <= recorded


def test_the_states_of_a_school_are_those_of_the_benchmark() -> None:
    # Polarisation and rotation of the four regimes, from the docstring of the scenario.
    states = {
        "polarization": np.array([0.172, 0.220, 0.998, 0.999]),
        "rotation": np.array([0.194, 0.746, 0.011, 0.020]),
    }
    found = phases.labels(phases.read(phases.defaults("Schooling")), states)
    assert found.labels.tolist() == ["swarm", "torus", "parallel", "parallel"]
    assert not found.overlapping


def test_the_default_phases_of_a_scenario_do_not_overlap() -> None:
    grid = np.linspace(0.0, 4.0, 41)
    for rules in phases.DEFAULTS.values():
        read = phases.read(rules)
        axes = np.meshgrid(*(grid for _ in phases.names(read)))
        found = phases.labels(read, dict(zip(phases.names(read), axes, strict=True)))
        assert not found.overlapping
