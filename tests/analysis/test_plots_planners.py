from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.collections import QuadMesh

from simengine.analysis.plots import belief_regions, concavification, policy_regions
from simengine.analysis.plots.planners import INVESTS, LEAVES, OBFUSCATES, actions, cascades, stretches
from simengine.errors import InputError
from simengine.scenarios.social_learning_planner import solve_planner


@pytest.fixture(autouse=True)
def nothing_left_open() -> Iterator[None]:
    before = dict(mpl.rcParams)
    yield
    assert dict(mpl.rcParams) == before
    plt.close("all")


@pytest.fixture(scope="module")
def biased() -> xr.Dataset:
    return solve_planner("biased", 0.7, 0.5, 0.9, beliefs=1001, precisions=100)


def test_a_patient_biased_planner_invests_obfuscates_and_leaves_alone_where_theory_says(biased: xr.Dataset) -> None:
    belief, policy = biased.belief.values, biased.policy.values
    found = stretches(belief, actions(policy, 0.7))
    assert [act for *_, act in found] == [LEAVES, INVESTS, OBFUSCATES, LEAVES]
    borders = [begin for begin, *_ in found[1:]]
    # t1 of about 0.008, 1 - p and p.
    np.testing.assert_allclose(borders, [0.0083, 0.3, 0.7], atol=0.004)
    herding = [(begin, end) for begin, end, held in stretches(belief, cascades(belief, policy)) if held]
    np.testing.assert_allclose(herding, [(0.0, 0.0083), (0.5, 1.0)], atol=0.004)


def test_value_is_above_and_precision_below_and_the_axes_given_are_returned(biased: xr.Dataset) -> None:
    _, ax = plt.subplots()
    assert belief_regions(biased, ax=ax) is ax
    upper, lower = ax.child_axes
    value = upper.lines[0].get_xydata()
    known = np.isfinite(value).all(axis=1)
    np.testing.assert_allclose(
        np.interp([0.2, 0.6], *value[known].T), biased.value.sel(belief=[0.2, 0.6], method="nearest"), rtol=0.02
    )
    assert (upper.get_ylabel(), lower.get_ylabel()) == ("Value", "Precision")
    assert lower.get_xlabel() == "Public belief that the state is good"
    words = [text.get_text() for text in upper.get_legend().get_texts()]
    assert words == ["invests", "obfuscates", "cascade"]


def test_jumps_of_the_policy_are_gaps_of_its_line() -> None:
    ax: Any = belief_regions("altruistic", cost=0.5, discount=0.5, beliefs=401, precisions=20)
    policy = ax.child_axes[1].lines[-1].get_ydata()
    steps = np.abs(np.diff(policy))
    assert np.isnan(policy).sum() == 2
    assert np.nanmax(steps) < 0.05


def test_with_a_horizon_an_agents_turn_is_chosen() -> None:
    solved = solve_planner("altruistic", 0.7, 0.5, 1.0, horizon=3, beliefs=101, precisions=10)
    belief_regions(solved, agent=-1)
    with pytest.raises(InputError, match="whole numbers from -3 to 2"):
        belief_regions(solved, agent=3)


def test_the_image_shows_the_threshold_of_an_altruistic_planner() -> None:
    discounts = np.array([0.0, 0.5, 0.9])
    ax = policy_regions("altruistic", over="discount", values=discounts, cost=0.5, beliefs=801, precisions=10)
    mesh = next(one for one in ax.collections if isinstance(one, QuadMesh))
    image = np.asarray(mesh.get_array()).reshape(len(discounts), -1)
    beliefs = np.linspace(0.0, 1.0, image.shape[1])
    first = beliefs[(image > 0.9).argmax(axis=1)]
    # k (1 - p) (1 - discount) / C, linear costs.
    np.testing.assert_allclose(first, 0.5 * 0.3 * (1.0 - discounts), atol=0.005)
    assert ax.get_ylabel() == "Discount"


def test_the_judge_splits_the_prior_into_certainty_and_doubt() -> None:
    _, ax = plt.subplots()
    assert concavification(0.3, 0.5, ax=ax) is ax
    posteriors = next(line for line in ax.lines if line.get_label() == "posteriors").get_xydata()
    np.testing.assert_allclose(posteriors, [(0.0, 0.0), (0.5, 1.0)])
    assert {"40 %", "60 %"} <= {text.get_text() for text in ax.texts}
    closure = next(line for line in ax.lines if line.get_label() == "concave closure").get_xydata()
    assert np.interp(0.3, *closure.T) == pytest.approx(0.6)
    title: Any = ax.get_title(loc=mpl.rcParams["axes.titlelocation"])
    assert title == "Prior 0.3: value 0.6, silent 0"


def test_the_closure_lies_above_any_payoff() -> None:
    ax = concavification(0.4, payoff=lambda x: x**2 - 0.3 * np.sin(6 * x))
    lines = {line.get_label(): line.get_xydata() for line in ax.lines}
    payoff = lines["payoff"]
    assert (np.interp(payoff[:, 0], *lines["concave closure"].T) >= payoff[:, 1] - 1e-12).all()


def test_nothing_to_gain_has_no_arrow() -> None:
    ax = concavification(0.6, 0.5)
    assert [text.get_text() for text in ax.texts] == ["100 %"]


@pytest.mark.parametrize(
    ("draw", "options", "message"),
    [
        (belief_regions, {"solution": "biassed"}, "'biassed'"),
        (belief_regions, {"solution": xr.Dataset()}, "is no solution of a planner"),
        (belief_regions, {"solution": 3}, "got int"),
        (belief_regions, {"solution": "biased", "costs": 1.0}, "did you mean 'cost'?"),
        (policy_regions, {"over": "costs"}, "did you mean 'cost'?"),
        (policy_regions, {"over": "cost", "cost": 1.0}, "along the vertical axis already"),
        (policy_regions, {"values": [2.0, 1.0]}, "ascending"),
        (concavification, {"prior": 2.0}, "prior"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_a_line(draw: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        draw(**options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
