"""Stated probabilities against what came true: exact scores, parts that add up, nulls that hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray

from simengine.diagnostics.decisions.stated import brier_score, calibration_error, reliability_curve
from simengine.errors import InputError


def forecasts(seed: int, n: int, slope: float) -> tuple[np.ndarray, np.ndarray]:
    """Stated probabilities, and outcomes that are as probable as these drawn towards 1/2."""
    rng = np.random.default_rng(seed)
    p = rng.random(n)
    return p, (rng.random(n) < 0.5 + (p - 0.5) * slope).astype(np.int64)


def test_scores_of_the_certain_are_0_and_1() -> None:
    outcome = np.tile([0, 1], 60)
    assert float(brier_score(outcome.astype(float), outcome)) == 0.0
    assert float(brier_score(1.0 - outcome, outcome)) == 1.0
    found = brier_score(np.full(120, 0.5), outcome)
    assert (found.value, found.standard_error, found.null_mean) == (0.25, 0.0, 0.25)


def test_the_parts_add_up_and_are_those_of_murphy() -> None:
    # Stated 0.2 and 0.8, came true in 0 and 1 of the cases: reliability 0.04, resolution and uncertainty 0.25.
    found = brier_score(np.tile([0.2, 0.8], 500), np.tile([0, 1], 500))
    parts = found.details
    assert parts["reliability"] == pytest.approx(0.04)
    assert parts["resolution"] == pytest.approx(0.25, abs=1e-3)
    assert parts["uncertainty"] == pytest.approx(0.25, abs=1e-3)
    assert parts["within"] == pytest.approx(0.0, abs=1e-12)
    assert found.value == pytest.approx(0.04)
    p, y = forecasts(1, 400, 0.5)
    found = brier_score(p, y)
    parts = found.details
    whole = parts["reliability"] - parts["resolution"] + parts["uncertainty"] + parts["within"]
    assert whole == pytest.approx(float(found))


def test_two_options_score_twice_the_event() -> None:
    p, y = forecasts(2, 200, 1.0)
    event, options = brier_score(p, y), brier_score(np.stack([1 - p, p], axis=1), y)
    for name in ("value", "standard_error", "null_mean", "null_sd"):
        assert getattr(options, name) == pytest.approx(2.0 * getattr(event, name))
    assert options.z == pytest.approx(event.z)


# Spiegelhalter's z is standard normal for the calibrated: more than 20 of 200 beyond 1.96 with probability < 0.2 %.
def test_the_calibrated_are_told_from_nothing_as_often_as_they_should() -> None:
    found = np.array([brier_score(*forecasts(seed, 200, 1.0)).z for seed in range(200)])
    assert np.count_nonzero(np.abs(found) > 1.96) <= 20
    assert brier_score(*forecasts(1, 400, 0.4)).z > 4.0


def test_reliability_is_unbiased_in_small_bins() -> None:
    # Of the calibrated the plug-in reliability is about 10 x 0.167 / 100 = 0.017; freed of its bias, nothing.
    found = np.array([brier_score(*forecasts(seed, 100, 1.0)).details["reliability"] for seed in range(200)])
    assert abs(found.mean()) < 4.0 * found.std() / math.sqrt(200)


def test_the_error_of_known_deviations_is_exact() -> None:
    p = np.repeat([0.25, 0.75], 2000)
    y = np.concatenate([np.arange(2000) % 2, np.arange(2000) % 2])
    found = calibration_error(p, y, shuffles=20)
    assert found.details["plug_in"] == 0.25
    assert float(found) == pytest.approx(0.25, abs=1e-3)
    assert found.details["squared"] == pytest.approx(0.0625, abs=1e-3)
    assert found.details["overstatement"] == 0.0
    assert found.details["p_value"] == 1 / 21


def test_round_probabilities_fall_into_the_bin_that_they_begin() -> None:
    p = np.repeat(np.arange(10) / 10, 10)
    found = reliability_curve(p, np.tile([0, 1], 50))
    assert found.details["bin"].tolist() == list(range(10))
    np.testing.assert_allclose(found.coords["stated"], np.arange(10) / 10)


# 5 %: more than 11 of 80 with probability < 0.1 %. Without the correction the calibrated err by 0.055, not 0.
def test_the_error_of_the_calibrated_is_that_of_chance() -> None:
    found = [calibration_error(*forecasts(seed, 400, 1.0), shuffles=39, seed=seed) for seed in range(80)]
    values, plain = np.array([float(one) for one in found]), np.array([one.details["plug_in"] for one in found])
    assert plain.mean() > 0.04
    assert abs(values.mean()) < 0.02
    assert np.count_nonzero([one.details["p_value"] <= 0.05 for one in found]) <= 11
    assert np.mean([one.interval[0] == 0.0 for one in found]) > 0.75


# Measured: 88 to 93 % of intervals hold the truth; fewer than 80 of 100 with probability < 2 %.
@pytest.mark.slow
@pytest.mark.parametrize("slope", [1.0, 0.8, 0.5, 0.0])
def test_intervals_hold_the_error_of_calibration(slope: float) -> None:
    truth = abs(1.0 - slope) / 4.0
    held = 0
    for seed in range(100):
        low, high = calibration_error(*forecasts(seed, 500, slope), shuffles=40).interval
        held += low <= truth <= high
    assert held >= 80


def test_answers_of_one_agent_count_once_in_the_error() -> None:
    p, y = forecasts(4, 150, 0.6)
    repeated = calibration_error(np.tile(p, 9), np.tile(y, 9), cluster=np.tile(np.arange(150), 9), shuffles=10)
    independent = calibration_error(np.tile(p, 9), np.tile(y, 9), shuffles=10)
    assert repeated.standard_error > 2.0 * independent.standard_error
    assert repeated.n == 150


def test_the_curve_has_an_interval_for_each_bin() -> None:
    rng = np.random.default_rng(5)
    p = rng.choice([0.1, 0.5, 0.9], 3000)
    data = xarray.Dataset({"stated": ("row", p), "came": ("row", rng.random(3000) < p)})
    found = reliability_curve("stated", "came", data=data)
    assert found.dims == ("stated",)
    np.testing.assert_allclose(found.null_mean, [0.1, 0.5, 0.9])
    # Three intervals of 95 %, wide 1.96 errors: beyond four errors with probability < 0.02 %.
    assert (np.abs(found.z) < 4.0).all()
    assert ((found.interval[0] < found.value) & (found.value < found.interval[1])).all()
    assert found.n.sum() == 3000


def test_few_outcomes_are_flagged() -> None:
    assert "few_samples" in calibration_error(*forecasts(6, 60, 1.0), shuffles=5).flags
    assert "few_samples" in brier_score(*forecasts(6, 60, 1.0)).flags
    p, y = forecasts(6, 200, 1.0)
    assert "few_samples" in calibration_error(p, y, bins=100, shuffles=5).flags
    assert calibration_error(p, y, shuffles=5).reliable


def test_bad_statements_are_refused() -> None:
    with pytest.raises(InputError, match=r"probability holds 1\.5 at 1"):
        brier_score([0.5, 1.5], [0, 1])
    with pytest.raises(InputError, match="outcome: expected 0 or 1"):
        brier_score([0.5, 0.5], [0, 2])
    with pytest.raises(InputError, match="index of the true option, a whole number of 0 to 1"):
        brier_score([[0.5, 0.5]], [2])
    with pytest.raises(InputError, match="expected edges that hold 0 to 1"):
        calibration_error([0.5, 0.5], [0, 1], bins=[0.2, 0.5, 1.0])
