from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simengine.errors import InputError, StoreError
from simengine.scenarios.schooling import Schooling
from simengine.scenarios.wealth_exchange import WealthExchange
from simengine.sweeps import designs
from simengine.sweeps.adaptive import ByFunction
from simengine.sweeps.checking import design_of
from simengine.sweeps.design import Design
from simengine.sweeps.grids import parse_grid, parse_grids

LEVELS = st.dictionaries(
    st.sampled_from("abcd"),
    st.lists(st.one_of(st.integers(), st.floats(allow_nan=False), st.text(), st.none()), min_size=1, max_size=4),
    min_size=1,
)


def test_the_public_names_are_the_designs_and_their_types() -> None:
    functions = {"grid", "points", "latin_hypercube", "sobol", "morris", "saltelli", "optuna", "for_salib"}
    assert set(designs.__all__) == functions | {"Design", "Adaptive", "Told", "SalibInput"}
    assert all(getattr(designs, name).__doc__ for name in designs.__all__)


# -- grids and lists --------------------------------------------------------------------------------------------------


def test_a_grid_has_all_combinations_with_the_last_parameter_changing_fastest() -> None:
    found = designs.grid(noise=[0.1, 0.2], n_agents=(5, 6, 7))
    assert found.kind == "grid"
    assert found.names == ("noise", "n_agents")
    assert found.shape == (2, 3)
    assert [found.point(i) for i in range(len(found))] == [
        {"noise": noise, "n_agents": n} for noise in (0.1, 0.2) for n in (5, 6, 7)
    ]


def test_the_values_of_a_grid_may_be_arrays_and_ranges_and_become_plain() -> None:
    found = designs.grid({"noise": np.linspace(0, 1, 3)}, n_agents=range(2), flag=np.array([True, False]))
    assert found.columns["noise"][::4] == (0.0, 0.5, 1.0)
    assert {type(value) for column in found.columns.values() for value in column} == {float, int, bool}


@given(LEVELS)
def test_a_grid_comes_back_from_json(levels: dict[str, list[Any]]) -> None:
    design = designs.grid(levels)
    assert Design.from_json(json.loads(json.dumps(design.to_json()))) == design


def test_a_list_of_points_and_a_sample_come_back_from_json() -> None:
    for design in (
        designs.points([{"a": 1, "b": None}, {"a": 0.1, "b": "x"}]),
        designs.latin_hypercube(7, a=(0, 1), b=(3, 9)),
    ):
        assert Design.from_json(json.loads(json.dumps(design.to_json()))) == design


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"kind": "grid", "names": ["a"], "details": {}},
        {"kind": "nothing", "names": [], "details": {}},
        {"kind": "points", "names": ["a", "b"], "details": {}, "columns": {"a": [1], "b": []}},
        {"kind": "points", "names": 3, "details": {}},
    ],
)
def test_what_is_no_design_is_refused_in_one_line(said: dict[str, Any]) -> None:
    with pytest.raises(StoreError, match="no design"):
        Design.from_json(said)


def test_points_are_kept_in_their_order_whatever_the_order_of_their_parameters() -> None:
    found = designs.points([{"noise": 0.1, "n_agents": 5}, {"n_agents": 6, "noise": np.float64(0.2)}])
    assert found.kind == "points"
    assert found.shape is None
    assert found.columns == {"noise": (0.1, 0.2), "n_agents": (5, 6)}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda: designs.grid(), "no parameter is given"),
        (lambda: designs.grid(noise=[]), "noise: the list of values is empty"),
        (lambda: designs.grid(noise=0.1), "noise: got 0.1, allowed is a list"),
        (lambda: designs.grid(order="synchronous"), "order: got 'synchronous', allowed is a list"),
        (lambda: designs.grid(noise={0.1, 0.2}), "allowed is a list"),
        (lambda: designs.grid(noise=np.zeros((2, 2))), "array of 2 dimensions"),
        (lambda: designs.grid(noise=np.array(1.0)), "array of 0 dimensions"),
        (lambda: designs.grid(noise=[[1]]), r"noise: got \[1\], a value is"),
        (lambda: designs.grid(noise=[1 + 2j]), "a value is"),
        (lambda: designs.grid({"a": [1]}, a=[2]), "a is given twice"),
        (lambda: designs.grid([("a", [1])]), "values by parameter"),  # type: ignore[arg-type]
        (lambda: designs.grid(a=range(10_000), b=range(10_000)), "10000 a x 10000 b: 100,000,000 points"),
        (lambda: designs.points([]), "the list is empty"),
        (lambda: designs.points({"a": 1}), "allowed is a list of dicts"),  # type: ignore[arg-type]
        (lambda: designs.points([{"a": 1}, {"b": 1}]), "point 1 lacks a and also has b; all points"),
        (lambda: designs.points([{"a": 1}, {"a": 1, "b": 1}]), "point 1 also has b; all points"),
        (lambda: designs.points([{}]), "point 0 is {}"),
        (lambda: designs.points([{"a": 1}, 3]), "point 1 is 3"),  # type: ignore[list-item]
        (lambda: designs.points([{"a": [1]}]), r"point 0: a: got \[1\]"),
        (lambda: design_of(3), "design: got 3"),
        (lambda: design_of("a"), "design: got 'a'"),
        (lambda: design_of(None), "design: got None"),
        (lambda: design_of({}), "no parameter is given"),
        (lambda: design_of([]), "the list is empty"),
        (lambda: design_of(Design), "design: got"),
    ],
)
def test_a_design_that_cannot_be_is_refused_in_one_line(given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        given()


def test_a_design_may_be_given_in_plain_words() -> None:
    assert design_of({"a": [1, 2]}) == designs.grid(a=[1, 2])
    assert design_of([{"a": 1}]) == designs.points([{"a": 1}])
    design = designs.grid(a=[1])
    assert design_of(design) is design
    wrapped = design_of(lambda told: None)
    assert isinstance(wrapped, ByFunction)
    assert design_of(wrapped) is wrapped


# -- the text form ----------------------------------------------------------------------------------------------------


def test_a_range_includes_both_ends_and_rounds_each_value_once() -> None:
    assert parse_grid("noise=0:1:11") == ("noise", [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    assert parse_grid(" x = 1e-3:-1e-3:3 ") == ("x", [0.001, 0.0, -0.001])
    assert parse_grid("x=1e-999999999:1:2") == ("x", [0.0, 1.0])


@given(
    st.floats(-1e300, 1e300), st.floats(-1e300, 1e300), st.integers(2, 50)
)  # fmt: skip
def test_a_range_goes_from_its_first_to_its_last_value(low: float, high: float, n: int) -> None:
    if low == high:
        return
    _, values = parse_grid(f"x={low!r}:{high!r}:{n}")
    assert len(values) == n
    assert (values[0], values[-1]) == (low, high)
    np.testing.assert_allclose(values, np.linspace(low, high, n), rtol=1e-12, atol=1e-12 * max(abs(low), abs(high)))


def test_words_without_a_scenario_are_what_they_look_like() -> None:
    assert parse_grid("n_agents=50,100")[1] == [50, 100]
    values = parse_grid("x=1, 1.5,true,False,none,swarm,a:b")[1]
    assert values == [1, 1.5, True, False, None, "swarm", "a:b"]
    assert [type(value) for value in values[:3]] == [int, float, bool]


def test_words_are_read_by_the_type_of_the_parameter() -> None:
    assert parse_grid("box=none,5", Schooling) == ("box", [None, 5.0])
    assert parse_grid("n_agents=10:20:3", WealthExchange)[1] == [10, 15, 20]
    assert parse_grid("n_agents=1e3", WealthExchange)[1] == [1000]
    assert parse_grid("order=synchronous,one_by_one", WealthExchange)[1] == ["synchronous", "one_by_one"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("noise", "give it as NAME=A:B:N"),
        ("=1", "give it as NAME=A:B:N"),
        ("noise=", "it has no values"),
        ("noise=1,,2", "a value is missing"),
        ("noise=0:1:1", "N is a whole number, at least 2"),
        ("noise=0:1:x", "N is a whole number"),
        ("noise=0:1:100000000", "at most 10,000,000"),
        ("noise=0:inf:3", "from A to B"),
        ("noise=1:1.0:3", "both ends are the same"),
        ("nois=0:1:3", "did you mean 'noise'"),
        ("noise=-1:1:3", "noise.*got -1.0, allowed is float, 0 <= value"),
        ("n_agents=10:20:4", "n_agents.*got 13.33.*allowed is int"),
        ("noise=a,b", "noise.*got 'a'"),
        ("noise=0:1", "0:1 is neither A:B:N, N values from A to B, nor a list"),
        ("regime=tours", "did you mean 'torus'"),
        ("steps=1,2", "keyword of the sweep"),
    ],
)
def test_a_text_that_is_no_grid_is_refused_with_the_text(text: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"grid '{text}': .*{message}"):
        parse_grid(text, Schooling)


def test_several_texts_are_one_grid_and_a_parameter_comes_once() -> None:
    assert parse_grids(["noise=0:1:3", "n_agents=5,6"]) == designs.grid(noise=[0.0, 0.5, 1.0], n_agents=[5, 6])
    with pytest.raises(InputError, match="noise is given twice"):
        parse_grids(["noise=0:1:3", "noise=2"])
