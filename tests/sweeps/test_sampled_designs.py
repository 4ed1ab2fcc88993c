from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simengine import Scenario, field, param, population
from simengine.errors import InputError
from simengine.sweeps import designs
from simengine.sweeps.checking import checked
from simengine.sweeps.design import Design
from simengine.sweeps.sampling import whole_values


class Sampled(Scenario):
    """Has parameters of every kind."""

    share: float = param(0.5, low=0, high=1)
    rate: float = param(1.0, above=0)
    count: int = param(3, low=0, high=1000)
    label: str = param("a")
    flag: bool = param(True)
    agents = population(size=1, x=field(float))


def columns(design: Design) -> np.ndarray:
    return np.array([design.columns[name] for name in design.names]).T


@given(st.integers(1, 60), st.integers(1, 4), st.integers(0, 2**40))
def test_a_latin_hypercube_has_one_point_in_each_slice_of_each_axis(n: int, axes: int, seed: int) -> None:
    found = designs.latin_hypercube(n, {f"p{axis}": (-1.0, 3.0) for axis in range(axes)}, seed=seed)
    assert len(found) == n
    slices = np.floor((columns(found) + 1.0) / 4.0 * n).astype(int)
    assert (np.sort(slices, axis=0) == np.arange(n)[:, None]).all()


def test_sobol_points_of_a_power_of_two_are_balanced_in_every_half() -> None:
    found = columns(designs.sobol(64, dict.fromkeys("abcde", (0, 2))))
    assert ((found < 1.0).sum(axis=0) == 32).all()
    assert ((found[:, 0] < 1.0) & (found[:, 1] < 1.0)).sum() == 16


def test_a_number_of_sobol_points_that_is_no_power_of_two_is_told() -> None:
    with pytest.warns(UserWarning, match="sobol: 100 is no power of two, so the points are not balanced; 128 is"):
        assert len(designs.sobol(100, a=(0, 1))) == 100
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        designs.sobol(128, a=(0, 1))


@pytest.mark.parametrize("make", [designs.latin_hypercube, designs.sobol, designs.morris, designs.saltelli])
def test_a_sample_is_a_function_of_its_seed_and_leaves_global_generators_alone(make: Any) -> None:
    if make in (designs.morris, designs.saltelli):
        pytest.importorskip("SALib")
    before = np.random.get_state()[1].copy()  # type: ignore[index,union-attr]
    one, same, other = (make(8, a=(0, 1), b=(-5.0, 5.0), seed=seed) for seed in (3, 3, 4))
    assert one == same
    assert one.columns != other.columns
    assert (np.random.get_state()[1] == before).all()  # type: ignore[index]
    assert one.details["bounds"] == {"a": [0, 1], "b": [-5.0, 5.0]}
    assert one.details["seed"] == 3


def test_bounds_may_be_a_mapping_for_parameters_that_are_called_like_keywords() -> None:
    found = designs.latin_hypercube(3, {"seed": (0, 1), "n": (2, 3)}, seed=5)
    assert found.names == ("seed", "n")
    assert designs.latin_hypercube(3, n=(0, 1)).names == ("n",)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: designs.latin_hypercube(3), "no parameter is given"),
        (lambda: designs.latin_hypercube(0, a=(0, 1)), "n: got 0"),
        (lambda: designs.latin_hypercube(2.5, a=(0, 1)), "n: got 2.5"),
        (lambda: designs.latin_hypercube(10**9, a=(0, 1)), "n: got 1000000000"),
        (lambda: designs.sobol(4, a=(0, 1), seed=-1), "sobol: seed: got -1"),
        (lambda: designs.sobol(4, a=(1, 0)), r"sobol: a: got \(1, 0\).*low below high"),
        (lambda: designs.sobol(4, a=(1, 1)), "low below high"),
        (lambda: designs.sobol(4, a=(0, float("inf"))), "finite"),
        (lambda: designs.sobol(4, a=(0, 10**400)), "finite"),
        (lambda: designs.sobol(4, a=(0, float("nan"))), "finite"),
        (lambda: designs.sobol(4, a=(0, 1, 2)), "two numbers"),
        (lambda: designs.sobol(4, a=3), "two numbers"),
        (lambda: designs.sobol(4, a="01"), "two numbers"),
        (lambda: designs.sobol(4, a=(False, True)), "two numbers"),
        (lambda: designs.morris(4, a=(0, 1), levels=3), "even number"),
        (lambda: designs.saltelli(4, a=(0, 1), second_order=1), "True or False"),
        (lambda: designs.saltelli(2**22, a=(0, 1)), "points, at most"),
    ],
)
def test_a_sample_that_cannot_be_is_refused_in_one_line(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


# -- whole numbers ----------------------------------------------------------------------------------------------------


@given(st.integers(-50, 50), st.integers(1, 40), st.integers(1, 5))
def test_whole_numbers_between_bounds_are_equally_likely(low: int, width: int, each: int) -> None:
    n = (width + 1) * each
    sample = designs.latin_hypercube(n, a=(low, low + width))
    numbers = whole_values(sample.columns["a"], low, low + width)
    # One point lies in each of n slices, and each whole number has `each` of them, up to rounding at their ends.
    counts = np.bincount(np.array(numbers) - low, minlength=width + 1)
    assert len(counts) == width + 1
    assert (np.abs(counts - each) <= 1).all()
    assert {type(value) for value in numbers} == {int}


def test_the_ends_of_a_sample_stay_the_ends_as_whole_numbers() -> None:
    assert whole_values([2.0, 10.0, 9.999], 2, 10) == (2, 10, 10)


def test_checking_makes_whole_numbers_where_the_parameter_is_and_only_once() -> None:
    once = checked(designs.latin_hypercube(50, count=(0, 10), share=(0, 1)), Sampled, {})
    assert {type(value) for value in once.columns["count"]} == {int}
    assert set(once.columns["count"]) == set(range(11))
    assert {type(value) for value in once.columns["share"]} == {float}
    assert checked(once, Sampled, {}) == once


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"share": (0, 1.5)}, r"share: the bounds \(0, 1.5\) reach further than what is allowed, float, 0 <= value"),
        ({"rate": (-1, 2)}, "rate: the bounds"),
        ({"count": (0.5, 3)}, "count is a whole number: its bounds"),
        ({"label": (0, 1)}, "label is str: only numbers"),
        ({"flag": (0, 1)}, "flag is bool: only numbers"),
        ({"shre": (0, 1)}, "did you mean 'share'"),
    ],
)
def test_bounds_are_held_against_the_parameters(bounds: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        checked(designs.latin_hypercube(2, bounds), Sampled, {})


def test_a_hypercube_of_fewer_whole_numbers_than_points_is_refused_and_says_why() -> None:
    with pytest.raises(
        InputError, match=r"latin hypercube: points \d+ and \d+ are the same \(count=\d\) once they are"
    ):
        checked(designs.latin_hypercube(20, count=(0, 5)), Sampled, {})


# -- SALib ------------------------------------------------------------------------------------------------------------


def linear(x: np.ndarray, weights: tuple[float, ...]) -> np.ndarray:
    return x @ np.array(weights)


def test_a_morris_sample_gives_the_effects_of_a_linear_model_exactly() -> None:
    morris = pytest.importorskip("SALib.analyze.morris")
    found = checked(designs.morris(10, share=(0, 1), rate=(1, 3)), Sampled, {})
    assert len(found) < 10 * 3, "four levels of two parameters make sixteen points"
    rows = columns(found)[found.details["rows"]]
    effects = morris.analyze(found.details["problem"], rows, linear(rows, (2.0, -3.0)), num_levels=4)
    # An effect is the change over the whole range: weight times width.
    np.testing.assert_allclose(effects["mu"], [2.0, -6.0])
    np.testing.assert_allclose(effects["sigma"], 0.0, atol=1e-12)


def test_a_saltelli_sample_gives_the_indices_of_an_additive_model() -> None:
    sobol = pytest.importorskip("SALib.analyze.sobol")
    found = checked(designs.saltelli(512, share=(0, 1), rate=(1, 3)), Sampled, {})
    rows = columns(found)[found.details.get("rows", slice(None))]
    assert len(rows) == 512 * 6
    indices = sobol.analyze(found.details["problem"], linear(rows, (1.0, 1.0)), calc_second_order=True, seed=1)
    # Variances 1/12 and 4/12: shares 0.2 and 0.8, no interaction.
    np.testing.assert_allclose(indices["S1"], [0.2, 0.8], atol=0.02)
    np.testing.assert_allclose(indices["ST"], [0.2, 0.8], atol=0.02)


def test_points_that_a_sample_visits_again_are_kept_once_and_found_by_row() -> None:
    pytest.importorskip("SALib")
    raw = designs.saltelli(64, count=(0, 3), share=(0, 1))
    found = checked(raw, Sampled, {})
    points = [tuple(found.point(i).values()) for i in range(len(found))]
    assert len(set(points)) == len(points) < len(raw)
    for row, number in enumerate(found.details["rows"]):
        count, share = (raw.columns[name][row] for name in ("count", "share"))
        assert points[number] == (whole_values([count], 0, 3)[0], share)
    assert checked(found, Sampled, {}) == found


def test_without_second_order_a_saltelli_sample_is_smaller() -> None:
    pytest.importorskip("SALib")
    assert len(designs.saltelli(8, dict.fromkeys("abc", (0, 1)), second_order=False)) == 8 * 5


@pytest.mark.parametrize(("make", "module"), [(designs.morris, "morris"), (designs.saltelli, "sobol")])
def test_a_missing_library_is_told_with_what_installs_it(
    make: Any, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, f"SALib.sample.{module}", None)
    with pytest.raises(InputError, match=r"needs SALib.*pip install simengine\[sensitivity\]"):
        make(4, a=(0, 1))
