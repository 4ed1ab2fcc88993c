"""Value iteration of the planner, against closed forms."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import pytest
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine.errors import InputError
from simengine.scenarios.social_learning import solve_planner
from simengine.scenarios.social_learning_planner import belief_grid, place

P = 0.7


@cache
def solved(kind: Any, precision: float, cost: float, discount: float, **options: Any) -> xarray.Dataset:
    return solve_planner(kind, precision, cost, discount, **options)


def value_at(found: xarray.Dataset, belief: float) -> float:
    return float(np.interp(belief, found.belief.values, found.value.values))


def step_of(found: xarray.Dataset) -> float:
    return float(np.diff(found.belief.values).max())


def first_belief_with(found: xarray.Dataset, *regions: str) -> float:
    here = np.isin(found.region.values, regions)
    return float(found.belief.values[here].min())


@pytest.mark.parametrize("cost", [0.2, 0.5, 0.9])
def test_the_myopic_altruist_buys_certainty_from_the_closed_form_threshold(cost: float) -> None:
    found = solved("altruistic", P, cost, 0.0)
    assert first_belief_with(found, "full") == pytest.approx(cost * (1 - P), abs=step_of(found))
    assert set(found.region.values) == {"baseline", "full"}


def test_the_myopic_altruist_never_buys_what_costs_more_than_errors() -> None:
    assert set(solved("altruistic", P, 1.5, 0.0).region.values) == {"baseline"}


@pytest.mark.parametrize(("cost", "discount"), [(0.5, 0.9), (0.5, 0.5), (0.2, 0.9), (3.0, 0.9)])
def test_the_patient_altruist_has_the_closed_form_value_and_threshold(cost: float, discount: float) -> None:
    found = solved("altruistic", P, cost, discount)
    belief = found.belief.values
    closed = np.maximum(-cost * (1 - P), -np.minimum(belief, 1 - belief) / (1 - discount))
    np.testing.assert_allclose(found.value, closed, atol=1e-8)
    threshold = cost * (1 - P) * (1 - discount)
    assert first_belief_with(found, "full") == pytest.approx(threshold, abs=step_of(found))


def test_three_phases_of_the_altruist_lie_where_they_should() -> None:
    found = solved("altruistic", 0.6, 8.0, 0.9)
    assert first_belief_with(found, "match") == pytest.approx(0.313, abs=1e-3)
    assert first_belief_with(found, "full") == pytest.approx(0.383, abs=1e-3)
    assert value_at(found, 0.5) == pytest.approx(-3.2, abs=1e-6)


@pytest.mark.parametrize("cost", [0.2, 0.5, 1.0, 2.0])
def test_the_myopic_biased_planner_acts_by_the_closed_forms(cost: float) -> None:
    found = solved("biased", P, cost, 0.0)
    step, belief, region = step_of(found), found.belief.values, found.region.values
    assert (region[(belief > 0.5) & (belief < P)] == "obfuscate").all()
    # Below 1 - p it invests where cost (1 - b - p) < 2 b (1 - b).
    edge = min(np.roots([-2.0, 2.0 + cost, -cost * (1 - P)]).real)
    assert first_belief_with(found, "match", "above") == pytest.approx(edge, abs=step)
    inside = (belief > 1 - P + step) & (belief < 0.5 - step)
    dropped = belief[inside & (region != "baseline")]
    if cost < 1 - 2 * (1 - P):
        assert dropped.max() == pytest.approx((1 - cost) / 2, abs=2 * step)
        assert dropped.min() < 1 - P + 3 * step
    else:
        assert dropped.size == 0


@pytest.mark.parametrize("cost", [0.2, 0.5, 1.0, 2.0])
def test_the_biased_planner_has_nothing_to_pay_beyond_p_and_gives_up_at_certainty(cost: float) -> None:
    found = solved("biased", P, cost, 0.9)
    belief = found.belief.values
    assert (found.value.values[belief > P] == 0.0).all()
    assert found.value.values[0] == pytest.approx(-10.0, abs=1e-8)
    assert (found.region.values[belief > P] == "baseline").all()


def test_obfuscation_for_ever_has_its_closed_value() -> None:
    found = solved("biased", P, 0.5, 0.9)
    belief = found.belief.values
    above = (belief > 0.5) & (belief <= P)
    np.testing.assert_allclose(found.value[above], -0.5 * (P - belief[above]) / 0.1, atol=1e-8)
    # Half a step of the grid: beyond 1/2 there is nothing else.
    assert set(found.region.values[above & (belief < P)]) == {"obfuscate"}


@pytest.mark.parametrize(("precision", "stated"), [(0.7, -1.90909), (0.6, -1.40909)])
def test_trying_just_above_a_half_has_the_closed_value(precision: float, stated: float) -> None:
    x = 0.5 * (precision - 0.5)
    closed = -(x + 0.5 + 0.45 * x / 0.1) / 0.55
    assert closed == pytest.approx(stated, abs=1e-5)
    assert value_at(solved("biased", precision, 0.5, 0.9, precisions=0), 0.5) == pytest.approx(closed, abs=1e-4)
    # All precisions: a little more than 1/2 is a little better.
    best = value_at(solved("biased", precision, 0.5, 0.9), 0.5)
    assert closed < best < closed + 1e-3


def last_attempts(belief: float, cost: float) -> float:
    """Value of precision just above 1 - b until b is above 1/2, obfuscation from then on, giving up below 0.0083."""
    if belief < 0.0083:
        return -10.0
    q = 1 - belief
    good = belief * q + (1 - belief) * (1 - q)
    obfuscated = -cost * (P - 0.5) / 0.1
    after = good * obfuscated + (1 - good) * last_attempts(belief * (1 - q) / (1 - good), cost)
    return -cost * abs(q - P) - (1 - good) + 0.9 * after


@pytest.mark.parametrize("belief", [0.02, 0.1, 0.2, 0.3, 0.4])
def test_below_a_half_the_biased_planner_does_no_worse_than_its_last_attempts(belief: float) -> None:
    # Interpolation where the value bends errs by up to slope times step.
    found = value_at(solved("biased", P, 0.5, 0.9), belief)
    assert -1e-4 < found - last_attempts(belief, 0.5) < 2e-3


@pytest.mark.parametrize(
    ("precision", "cost", "belief", "stated"),
    [
        (0.7, 0.5, 0.2, -6.6037), (0.7, 0.5, 0.3, -4.8273), (0.7, 0.5, 0.5, -1.90905), (0.7, 1.0, 0.5, -2.8294),
        (0.7, 1.0, 0.3, -5.4290), (0.7, 2.0, 0.5, -3.2944), (0.8, 1.0, 0.5, -3.7169),
    ],
)  # fmt: skip
def test_values_without_closed_form_agree_with_another_value_iteration(
    precision: float, cost: float, belief: float, stated: float
) -> None:
    # That one stays a finite distance from 1/2, whose cost is up to 0.01 and never a gain.
    found = value_at(solved("biased", precision, cost, 0.9), belief)
    assert -2e-4 < found - stated < 0.0105


def test_costly_obfuscation_begins_inside() -> None:
    found = solved("biased", P, 2.0, 0.9)
    belief, region = found.belief.values, found.region.values
    assert belief[region == "obfuscate"].min() == pytest.approx(0.581, abs=1e-3)
    assert first_belief_with(found, "match", "above", "reach") == pytest.approx(0.0385, abs=5e-4)
    cheap = solved("biased", P, 0.5, 0.9)
    assert first_belief_with(cheap, "match", "above") == pytest.approx(0.008, abs=5e-4)


@pytest.mark.parametrize(("precision", "cost", "discount"), [(0.7, 0.5, 0.9), (0.6, 8.0, 0.9), (0.55, 2.0, 0.5)])
def test_the_altruist_makes_no_difference_between_good_and_bad(precision: float, cost: float, discount: float) -> None:
    value = solved("altruistic", precision, cost, discount).value.values
    np.testing.assert_allclose(value, value[::-1], atol=1e-9)


@pytest.mark.parametrize("cost", [0.1, 0.5, 0.95])
def test_the_altruists_value_is_convex_where_precision_is_cheap(cost: float) -> None:
    # Only for a cost below the loss: with dear precision the value jumps where a cascade begins.
    found = solved("altruistic", P, cost, 0.9)
    apart = np.concatenate([[True], np.diff(found.belief.values) > 1e-9])
    slopes = np.diff(found.value.values[apart]) / np.diff(found.belief.values[apart])
    assert (np.diff(slopes) > -1e-5).all()


def test_patience_widens_investment() -> None:
    sets = [solved("altruistic", P, 0.5, discount).region.values == "full" for discount in (0.0, 0.5, 0.9)]
    assert (sets[0] <= sets[1]).all()
    assert (sets[1] <= sets[2]).all()
    assert sets[0].sum() < sets[1].sum() < sets[2].sum()


@settings(max_examples=25, deadline=None)
@given(
    precision=st.floats(0.5, 0.95), cost=st.floats(0.0, 10.0), power=st.floats(0.3, 1.0), discount=st.floats(0.0, 0.95)
)
def test_a_planner_is_never_worse_than_none(precision: float, cost: float, power: float, discount: float) -> None:
    options = {"cost_power": power, "beliefs": 401, "precisions": 40}
    found = solve_planner("altruistic", precision, cost, discount, **options)  # type: ignore[arg-type]
    none = solve_planner("altruistic", precision, 1e9, discount, **options)  # type: ignore[arg-type]
    assert (found.value.values >= none.value.values - 1e-8).all()
    assert found.error_bound <= 1e-9
    assert (found.policy.values >= precision - 1e-12).all()
    assert (found.policy.values <= 1.0).all()


def test_concave_costs_are_never_dearer_beyond_a_unit_and_values_settle() -> None:
    # |q - p| is below one, so that a lower power costs more.
    linear, concave = solved("altruistic", P, 0.5, 0.9), solved("altruistic", P, 0.5, 0.9, cost_power=0.5)
    assert (concave.value.values <= linear.value.values + 1e-8).all()
    assert value_at(concave, 0.5) == pytest.approx(-0.5 * math.sqrt(0.3), abs=1e-8)


def test_a_long_horizon_is_no_horizon_and_the_last_agent_is_all_there_is() -> None:
    found = solve_planner("biased", P, 0.5, 0.8, horizon=120, beliefs=401, precisions=40)
    endless = solve_planner("biased", P, 0.5, 0.8, beliefs=401, precisions=40)
    np.testing.assert_allclose(found.value.isel(agent=0), endless.value, atol=1e-8)
    myopic = solve_planner("biased", P, 0.5, 0.0, beliefs=401, precisions=40)
    np.testing.assert_allclose(found.value.isel(agent=-1), myopic.value, atol=1e-12)
    undiscounted = solve_planner("altruistic", P, 0.5, 1.0, horizon=10, beliefs=401, precisions=40)
    assert float(undiscounted.value.sel(belief=0.5).isel(agent=0)) == pytest.approx(-0.15)


@given(precision=st.floats(0.5, 0.999), half=st.integers(10, 3000))
def test_the_grid_is_symmetric_ascending_and_holds_the_places_of_jumps(precision: float, half: int) -> None:
    grid, outer, inner = belief_grid(precision, 2 * half + 1)
    assert len(grid) == 2 * half + 1
    assert (np.diff(grid) > 0).all()
    np.testing.assert_allclose(grid, 1 - grid[::-1], atol=1e-15)
    last = len(grid) - 1
    for node in (half - 1, half, half + 1):
        assert grid[node] == pytest.approx(0.5, abs=1e-15)
    if inner:
        assert grid[outer + 1] == 1 - precision
        assert grid[last - outer - 1] == precision


@given(belief=st.floats(0.0, 1.0), precision=st.floats(0.5, 0.99))
def test_a_belief_stands_between_the_nodes_that_hold_it(belief: float, precision: float) -> None:
    grid, outer, inner = belief_grid(precision, 401)
    node, fraction = place(belief, 0, precision, outer, inner, 400)
    following = grid[min(node + 1, 400)]
    assert 0.0 <= fraction <= 1.0
    assert grid[node] + fraction * (following - grid[node]) == pytest.approx(belief, abs=2e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"precision": 0.4}, "precision: got 0.4, allowed: 0.5 <= precision < 1"),
        ({"discount": 1.0}, "discount: got 1.0, allowed: 0 <= discount < 1 without a horizon"),
        ({"precision": "high"}, "precision: got 'high', allowed is a number"),
        ({"kind": "selfish"}, "kind: got 'selfish', allowed are 'altruistic' and 'biased'"),
        ({"cost_power": 2.0}, "cost_power: got 2.0, allowed: 0 < cost_power <= 1"),
        ({"beliefs": 100}, "beliefs: got 100, allowed: odd numbers from 21"),
        ({"cost": math.nan}, "cost: got nan, allowed: 0 <= cost"),
    ],
)
def test_arguments_out_of_range_are_refused_in_a_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as refused:
        solve_planner(**({"kind": "altruistic", "precision": 0.7, "cost": 0.5, "discount": 0.9} | changes))
    assert str(refused.value) == message
