from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simengine import Scenario, field, param, population
from simengine.errors import InputError, ScenarioError
from simengine.scenario.parameters import RESERVED, Parameter, ParameterSet, parse_value, shown
from simengine.scenarios.schooling import Schooling


def declared(annotation: Any, default: Any, **bounds: float) -> ParameterSet:
    return ParameterSet("Model", {"x": Parameter("x", annotation, default, **bounds)})


EVERY_KIND = ParameterSet(
    "Model",
    {
        parameter.name: parameter
        for parameter in (
            Parameter("count", int, 3, low=1, below=100),
            Parameter("speed", float, 1.0, above=0, high=10),
            Parameter("box", float | None, None, above=0),
            Parameter("steps_back", int | None, None),
            Parameter("open", bool, True),
            Parameter("label", str, "a"),
            Parameter("rule", Literal["one", "two"], "one"),
            Parameter("order", Literal[1, 2] | None, None),
        )
    },
)
ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.complex_numbers(),
    st.lists(st.integers(), max_size=3), st.dictionaries(st.text(), st.integers(), max_size=2),
    st.floats().map(np.float32), st.integers(-(2**63), 2**63 - 1).map(np.int64), st.booleans().map(np.bool_),
    st.lists(st.floats(), max_size=3).map(np.array),
)  # fmt: skip


def kept_or_refused(values: ParameterSet, name: str, value: Any) -> None:
    """Validation gives a value of the declared type within the bounds, or one line; and nothing else."""
    parameter = values.parameters[name]
    refusal = ""
    try:
        found = values.validate({name: value})
    except InputError as error:
        refusal = str(error)
    if refusal:
        assert "\n" not in refusal
        assert name in refusal
        return
    assert set(found) == set(values.parameters)
    got = found[name]
    if got is None:
        assert parameter.optional
    elif parameter.options is not None:
        assert got in parameter.options
    else:
        assert type(got) is parameter.base_type
    if parameter.base_type in (int, float) and got is not None:
        assert math.isfinite(got)
        assert parameter.low is None or got >= parameter.low
        assert parameter.high is None or got <= parameter.high
        assert parameter.above is None or got > parameter.above
        assert parameter.below is None or got < parameter.below


@given(st.sampled_from(sorted(EVERY_KIND.parameters)), st.text())
@example("count", "9" * 5000)
@example("count", "1e400")
@example("count", "nan")
@example("speed", "1_0")
@example("speed", "\ud800")
@example("label", "\ud800\0\n")
@example("order", "2")
@example("open", " ON ")
def test_any_text_of_the_command_line_is_a_value_or_refused_in_one_line(name, text):
    kept_or_refused(EVERY_KIND, name, parse_value(EVERY_KIND.parameters[name], text))


@given(st.sampled_from(sorted(EVERY_KIND.parameters)), ANYTHING)
@example("speed", 10**400)
@example("count", 10**30)
@example("count", np.float64(2.0))
def test_any_python_value_is_kept_or_refused_in_one_line(name, value):
    kept_or_refused(EVERY_KIND, name, value)


@given(st.sampled_from(sorted(Schooling.declaration.parameters.parameters)), st.text())
def test_any_text_for_a_shipped_scenario_is_a_value_or_refused(name, text):
    parameter = Schooling.declaration.parameters.parameters[name]
    kept_or_refused(Schooling.declaration.parameters, name, parse_value(parameter, text))


@given(st.text())
@example("speeed")
def test_an_unknown_name_is_always_refused(name):
    if name not in EVERY_KIND.parameters:
        with pytest.raises(InputError, match="unknown parameter"):
            EVERY_KIND.check_names([name])


@given(st.one_of(st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False)))
def test_the_text_of_a_number_gives_that_number(value):
    kind = type(value)
    assert parse_value(Parameter("x", kind, kind(0)), repr(value)) == value


def test_values_keep_their_declared_type():
    found = EVERY_KIND.validate({"count": 7.0, "speed": np.int64(2), "box": 3})
    assert (type(found["count"]), type(found["speed"]), type(found["box"])) == (int, float, float)
    assert (found["count"], found["speed"], found["box"]) == (7, 2.0, 3.0)


def test_a_whole_default_of_a_float_is_a_float():
    assert type(declared(float, 3).validate({})["x"]) is float


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", True),
        ("count", "3"),
        ("speed", True),
        ("speed", "3"),
        ("open", 1),
        ("open", "true"),
        ("label", 3),
        ("count", None),
    ],
)
def test_types_are_taken_strictly(name, value):
    with pytest.raises(InputError, match=name):
        EVERY_KIND.validate({name: value})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("count", "12", 12),
        ("count", "1e1", 10),
        ("count", " 5 ", 5),
        ("speed", "2", 2.0),
        ("speed", "1e-3", 0.001),
        ("box", "none", None),
        ("box", "NULL", None),
        ("open", "off", False),
        ("open", "Yes", True),
        ("label", " kept as it is ", " kept as it is "),
        ("label", "none", "none"),
        ("rule", "two", "two"),
        ("order", "2", 2),
        ("count", "many", "many"),
        ("count", "2.5", "2.5"),
        ("open", "maybe", "maybe"),
    ],
)
def test_texts_of_the_command_line_are_read_by_type(name, text, value):
    found = parse_value(EVERY_KIND.parameters[name], text)
    assert found == value
    assert type(found) is type(value)


def test_a_refusal_names_parameter_scenario_value_and_what_is_allowed():
    with pytest.raises(InputError) as refused:
        EVERY_KIND.validate({"speed": 11})
    assert str(refused.value) == "parameter 'speed' of Model: got 11, allowed is float, 0 < value <= 10"


def test_a_refused_option_suggests_the_nearest():
    with pytest.raises(InputError, match=r"allowed is one \| two; did you mean 'two'"):
        EVERY_KIND.validate({"rule": "tow"})


def test_an_unknown_name_without_a_near_one_lists_them_all():
    with pytest.raises(InputError, match="unknown parameter 'zzz' of Model; parameters: count, speed, box"):
        EVERY_KIND.validate({"zzz": 1})


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({}, ""),
        ({"low": 0}, "0 <= value"),
        ({"above": 0, "below": 1}, "0 < value < 1"),
        ({"low": 1, "high": 2**40}, "1 <= value <= 1099511627776"),
    ],
)
def test_bounds_are_said_in_words(bounds, words):
    assert Parameter("x", float, 0.5, **bounds).bounds == words


@pytest.mark.parametrize(
    ("annotation", "default", "bounds", "message"),
    [
        (int, 2.5, {}, "its default 2.5 is not allowed; allowed is int"),
        (float, None, {}, "its default None is not allowed"),
        (float, 2.0, {"high": 1}, "its default 2.0 is not allowed; allowed is float, value <= 1"),
        (Literal["a", "b"], "c", {}, "its default 'c' is not allowed; allowed is a | b"),
        (list[int], [], {}, "a parameter is int, float, bool, str or Literal"),
        (int | str, 1, {}, "a parameter is int, float, bool, str or Literal"),
        (str, "a", {"low": 1}, "only int and float parameters have bounds"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_an_error_of_the_scenario(annotation, default, bounds, message):
    with pytest.raises(ScenarioError, match=rf"Model\.x: {message}"):
        declared(annotation, default, **bounds)


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_keywords_of_run_and_sweep_are_no_names_of_parameters(name):
    with pytest.raises(ScenarioError, match="keyword of run or sweep"):
        ParameterSet("Model", {name: Parameter(name, int, 1)})


def test_a_parameter_of_a_class_needs_a_type():
    with pytest.raises(ScenarioError, match=r"Untyped\.speed: a parameter needs a type"):

        class Untyped(Scenario):
            speed = param(1.0)
            agents = population(size=2, x=field())


@given(ANYTHING)
def test_any_value_is_shown_in_one_short_line(value):
    assert "\n" not in shown(value)
    assert len(shown(value)) <= 80
