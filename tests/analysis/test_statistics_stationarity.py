"""Burn-in, drift and memory of single series."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import lfilter

from simengine.analysis.statistics import stationarity as module
from simengine.analysis.statistics.stationarity import mser, slope_chance, stationarity


def autoregression(rng: np.random.Generator, memory: float, length: int, series: int) -> NDArray[np.float64]:
    noise = rng.normal(size=(series, length + 300))
    return lfilter([1.0], [1.0, -memory], noise, axis=1)[:, 300:] * np.sqrt(1.0 - memory**2)


def test_mser_is_the_minimum_of_its_definition() -> None:
    rng = np.random.default_rng(1)
    for length in (20, 57, 100):
        x = rng.normal(size=length) + 5.0 * np.exp(-np.arange(length) / 4.0)
        allowed = length - max(module.NOT_CUT, length // 4)
        errors = [np.sum((x[d:] - x[d:].mean()) ** 2) / (length - d) ** 2 for d in range(allowed)]
        assert mser(x) == int(np.argmin(errors))


def test_mser_5_cuts_in_batches_of_five() -> None:
    x = np.concatenate([np.linspace(10.0, 0.0, 33), np.random.default_rng(2).normal(0.0, 0.1, 300)])
    assert mser(x, 5) % 5 == 0
    assert 25 <= mser(x, 5) <= 45


def test_a_transient_is_cut_and_little_more() -> None:
    rng = np.random.default_rng(3)
    x = 10.0 * np.exp(-np.arange(500) / 20.0) + rng.normal(0.0, 0.5, 500)
    found = stationarity(x)
    assert found.holds
    assert 30 <= found.start <= 150


@pytest.mark.parametrize(
    ("series", "reason"),
    [
        (np.arange(10.0), "too few records"),
        (np.full(50, np.nan), "too few records"),
        (np.linspace(0.0, 1.0, 400) + np.random.default_rng(4).normal(0.0, 0.02, 400), "settles in the second half"),
        (
            np.repeat([0.0, 1.0], [300, 100]) + np.random.default_rng(5).normal(0.0, 0.01, 400),
            "settles in the second half",
        ),
        (np.linspace(0.0, 2.0, 1000) + np.random.default_rng(6).normal(0.0, 1.0, 1000), "drifts"),
        (np.sin(np.arange(200.0) / 120.0 + 1.0), "drifts"),
    ],
)
def test_what_is_not_stationary_is_told_why(series: NDArray[np.float64], reason: str) -> None:
    found = stationarity(series)
    assert not found.holds
    assert found.start == -1
    assert (
        found.reason in {reason, "settles in the second half", "wanders"}
        if reason == "drifts"
        else found.reason == reason
    )


def test_a_constant_series_is_stationary_from_the_start() -> None:
    assert stationarity(np.full(40, 0.1)).start == 0


def test_a_series_that_becomes_constant_is_stationary_from_there() -> None:
    x = np.concatenate([np.linspace(3.0, 0.7, 30), np.full(120, 0.7)])
    assert stationarity(x) == (29, "stationary", 1.0)


def test_what_comes_after_the_end_of_a_run_is_left_out() -> None:
    x = np.random.default_rng(7).normal(size=150)
    assert stationarity(np.concatenate([x, np.full(200, np.nan)])) == stationarity(x)


@pytest.mark.parametrize(("memory", "most"), [(0.0, 0.04), (0.5, 0.04), (0.8, 0.06)])
def test_few_stationary_series_are_refused(memory: float, most: float) -> None:
    # 300 series; the expected share is 1 to 3 %, so that more than `most` has a chance below 1 %.
    series = autoregression(np.random.default_rng(8), memory, 500, 300)
    assert np.mean([not stationarity(x).holds for x in series]) <= most


def test_few_random_walks_pass_for_stationary() -> None:
    # Expected 1 %; more than 5 % of 200 has a chance below 0.1 %.
    walks = np.cumsum(np.random.default_rng(9).normal(size=(200, 1000)), axis=1)
    assert np.mean([stationarity(x).holds for x in walks]) <= 0.05


def test_a_slope_is_found_as_often_as_said_where_there_is_none() -> None:
    # At the level 1 %: more than 3 % of 400 has a chance below 0.1 %.
    series = autoregression(np.random.default_rng(10), 0.5, 400, 400)
    assert np.mean([slope_chance(x) < 0.01 for x in series]) <= 0.03


def test_a_slope_of_one_standard_deviation_is_found_in_a_thousand_records() -> None:
    series = np.random.default_rng(11).normal(size=(100, 1000)) + np.linspace(0.0, 1.0, 1000)
    # Power about 0.9 at 1 %.
    assert np.mean([slope_chance(x) < 0.01 for x in series]) >= 0.6


def test_one_slow_wave_is_no_stationary_series_although_it_does_not_drift() -> None:
    x = np.cos(np.linspace(0.0, 2.0 * np.pi, 200)) + np.random.default_rng(12).normal(0.0, 0.8, 200)
    found = stationarity(x)
    assert found.reason == "wanders"
    assert found.p > 0.5


def test_what_is_constant_but_for_rounding_is_stationary() -> None:
    x = np.append(0.0, 0.7 + 1e-16 * np.arange(60))
    assert stationarity(x)[:2] == (1, "stationary")


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000), shift=st.floats(-1e3, 1e3), scale=st.sampled_from([-8.0, -0.5, 0.125, 2.0, 1024.0]),
    length=st.integers(20, 300),
)  # fmt: skip
def test_the_cut_does_not_depend_on_the_unit(seed: int, shift: float, scale: float, length: int) -> None:
    x = np.random.default_rng(seed).normal(size=length)
    one, other = stationarity(x), stationarity(scale * (x + shift))
    assert (one.start, one.reason) == (other.start, other.reason)
