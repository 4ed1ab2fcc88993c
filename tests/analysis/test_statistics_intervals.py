"""Intervals of means over replicates and along time, and convergence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.signal import lfilter

from simengine import InputError
from simengine.analysis.statistics.convergence import replicates_needed, running
from simengine.analysis.statistics.intervals import batch_means, interval, lag_one, moments


def test_students_interval_is_that_of_the_tables() -> None:
    # t(4; 0.975) = 2.776: 3 +- 2.776 * sqrt(2.5 / 5).
    found = interval(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert found.mean == 3.0
    assert found.n == 5
    assert found.low == pytest.approx(3.0 - 2.776445 * np.sqrt(0.5), abs=1e-6)
    assert found.high == pytest.approx(3.0 + 2.776445 * np.sqrt(0.5), abs=1e-6)


def test_missing_values_are_left_out_and_not_counted() -> None:
    values = np.array([[1.0, np.nan, 3.0, 5.0], [np.nan, np.nan, 2.0, np.nan], [np.nan] * 4])
    found = interval(values)
    assert found.n.tolist() == [3, 1, 0]
    np.testing.assert_allclose(found.mean, [3.0, 2.0, np.nan])
    np.testing.assert_allclose(found.low[0], interval(np.array([1.0, 3.0, 5.0])).low)
    assert np.isnan(found.low[1:]).all()
    assert np.isnan(found.sd[1:]).all()


@pytest.mark.parametrize("method", ["t", "bootstrap"])
def test_equal_values_have_an_interval_without_width(method: str) -> None:
    found = interval(np.full((2, 7), 0.1), method=method)
    assert found.sd.tolist() == [0.0, 0.0]
    np.testing.assert_array_equal(found.low, found.mean)
    np.testing.assert_array_equal(found.high, found.mean)


def test_the_bootstrap_is_that_of_scipy() -> None:
    values = np.random.default_rng(1).exponential(size=40)
    found = interval(values, method="bootstrap")
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, rng=np.random.default_rng(2)).confidence_interval
    width = theirs.high - theirs.low
    assert found.low == pytest.approx(theirs.low, abs=0.03 * width)
    assert found.high == pytest.approx(theirs.high, abs=0.05 * width)


def test_the_bootstrap_is_the_same_every_time_and_in_any_company() -> None:
    values = np.random.default_rng(3).normal(size=(5, 12))
    together = interval(values, method="bootstrap")
    alone = interval(values[3], method="bootstrap")
    np.testing.assert_allclose([together.low[3], together.high[3]], [alone.low, alone.high], atol=1e-12)


def test_students_interval_holds_normal_means_as_often_as_it_says() -> None:
    # 4000 intervals at 90 %: standard error 0.5 %, the limits are four of them.
    found = interval(np.random.default_rng(4).normal(size=(4000, 6)), 0.9)
    assert abs(np.mean((found.low <= 0) & (found.high >= 0)) - 0.9) < 0.019


def test_the_bootstrap_holds_skewed_means_nearly_as_often_as_it_says() -> None:
    # BCa is short of 95 % by about 2 % at n = 40; standard error 1.3 % of 300.
    found = interval(np.random.default_rng(5).exponential(size=(300, 40)), method="bootstrap")
    assert 0.87 < np.mean((found.low <= 1) & (found.high >= 1)) < 0.99


@pytest.mark.parametrize("memory", [-0.5, 0.0, 0.5, 0.8])
def test_batch_means_hold_the_mean_of_a_series_with_memory(memory: float) -> None:
    # 300 series at 95 %, expected 93 to 98 %: below 90 % has a chance below 0.5 %.
    noise = np.random.default_rng(6).normal(size=(300, 1300))
    series = lfilter([1.0], [1.0, -memory], noise, axis=1)[:, 300:]
    found = [batch_means(x) for x in series]
    assert np.mean([one.low <= 0.0 <= one.high for one in found]) >= 0.9
    independent = 1000 * (1 - memory) / (1 + memory)
    assert 0.6 < np.median([one.n_effective for one in found]) / independent < 1.4


def test_batch_means_of_too_few_records_are_without_an_interval() -> None:
    found = batch_means(np.array([1.0, 2.0, 4.0]))
    assert found.mean == pytest.approx(7 / 3)
    assert np.isnan(found.low)
    assert np.isnan(batch_means(np.array([])).mean)


def test_the_correlation_of_neighbours_is_corrected_for_its_bias() -> None:
    # Mean of 3000 series of 20: standard error 0.004.
    found = [lag_one(x) for x in np.random.default_rng(7).normal(size=(3000, 20))]
    assert abs(np.mean(found)) < 0.02


@settings(max_examples=25, deadline=None)
@given(
    values=st.lists(st.floats(-100, 100), min_size=3, max_size=15), shift=st.floats(-100, 100),
    scale=st.floats(0.01, 100), method=st.sampled_from(["t", "bootstrap"]),
)  # fmt: skip
def test_intervals_go_with_shift_and_scale(values: list[float], shift: float, scale: float, method: str) -> None:
    x = np.array(values)
    one, other = interval(x, 0.9, method), interval(scale * x + shift, 0.9, method)
    size = scale * (np.abs(x).max() + 1.0) + abs(shift)
    for before, after in zip(one[:3], other[:3], strict=True):
        assert scale * before + shift == pytest.approx(after, abs=1e-6 * size)
    assert one.low <= one.high


@pytest.mark.parametrize("level", [0, 1, -0.5, 95, "high", True, np.nan])
def test_a_level_is_between_0_and_1(level: object) -> None:
    with pytest.raises(InputError, match="level"):
        interval(np.arange(4.0), level)  # type: ignore[arg-type]


def test_the_nearest_method_is_named() -> None:
    with pytest.raises(InputError, match="did you mean 'bootstrap'"):
        interval(np.arange(4.0), method="bootstap")


def test_running_means_are_those_of_the_first_values() -> None:
    values = np.random.default_rng(8).normal(5.0, 2.0, size=(3, 9))
    values[1, 4] = np.nan
    found = running(values)
    for k in range(1, 9):
        expected = interval(values[:, : k + 1])
        np.testing.assert_allclose(found.mean[:, k], expected.mean, rtol=1e-12)
        np.testing.assert_allclose(found.half_width[:, k], (expected.high - expected.low) / 2, rtol=1e-9)
    assert found.n[1].tolist() == [1, 2, 3, 4, 4, 5, 6, 7, 8]


def test_running_means_of_equal_values_have_no_width() -> None:
    found = running(np.full(6, 0.1))
    assert found.half_width[1:].tolist() == [0.0] * 5


@given(sd=st.floats(0.0, 50.0), precision=st.floats(0.05, 10.0))
def test_the_number_of_replicates_is_the_smallest_that_will_do(sd: float, precision: float) -> None:
    n = replicates_needed(sd, precision)

    def half(n: int) -> float:
        return float(stats.t.ppf(0.975, n - 1)) * sd / np.sqrt(n)

    assert n >= 2
    assert half(n) <= precision * (1 + 1e-9)
    assert n == 2 or half(n - 1) > precision * (1 - 1e-9)


@pytest.mark.parametrize("precision", [0, -1, np.inf, "fine", True])
def test_a_precision_is_a_positive_number(precision: object) -> None:
    with pytest.raises(InputError, match="precision"):
        replicates_needed(1.0, precision)  # type: ignore[arg-type]


def test_moments_of_large_numbers_lose_no_digits() -> None:
    mean, sd, _ = moments(1e12 + np.array([1.0, 2.0, 3.0]))
    assert (float(mean), float(sd)) == (1e12 + 2.0, 1.0)
