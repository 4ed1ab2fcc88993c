from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from simengine.diagnostics.continuous.conditional import linear_conditional_information
from simengine.diagnostics.continuous.mutual import linear_mutual_information
from simengine.diagnostics.continuous.total import linear_total_correlation


def normal(n, d, rho, seed):
    random = np.random.default_rng(seed)
    x = random.standard_normal((n, d))
    return x, rho * x + math.sqrt(1.0 - rho**2) * random.standard_normal((n, d))


@pytest.mark.parametrize("copula", [False, True])
@pytest.mark.parametrize(("d", "rho"), [(1, 0.0), (1, 0.6), (2, 0.9)])
def test_values_have_no_bias_and_intervals_hold_the_truth(d, rho, copula):
    # Four standard errors of the mean; 95 % nominal, 102 or fewer of 120 happen in 1e-5 of tests.
    truth = -0.5 * d * math.log(1.0 - rho**2)
    found = [linear_mutual_information(*normal(200, d, rho, seed), copula=copula) for seed in range(120)]
    values = np.array([one.value for one in found])
    assert abs(values.mean() - truth) < 4.0 * values.std() / math.sqrt(120)
    assert sum(one.interval[0] <= truth <= one.interval[1] for one in found) > 102
    if rho:
        assert np.median([one.interval[1] - one.interval[0] for one in found]) < 1.5 * 3.92 * values.std()


def test_the_null_is_the_chi_square_distribution():
    # Kolmogorov-Smirnov at the level 1e-4, and the spread to four standard errors.
    found = [linear_mutual_information(*normal(300, 2, 0.0, seed), copula=False) for seed in range(300)]
    assert stats.kstest([one.details["p_value"] for one in found], "uniform").pvalue > 1e-4
    values = np.array([one.value for one in found])
    assert abs(values.mean() - found[0].null_mean) < 4.0 * values.std() / math.sqrt(300)
    assert values.std() == pytest.approx(found[0].null_sd, rel=0.25)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_copula_does_not_see_monotone_transforms(seed):
    x, y = normal(60, 1, 0.6, seed)
    plain = linear_mutual_information(x, y, copula=True)
    assert linear_mutual_information(np.exp(x), y**3, copula=True).value == pytest.approx(plain.value, abs=1e-12)


def test_information_given_a_common_cause_vanishes():
    random = np.random.default_rng(0)
    values = []
    for _ in range(200):
        z = random.standard_normal((200, 1))
        x, y = z + random.standard_normal((200, 1)), z + random.standard_normal((200, 1))
        values.append(linear_conditional_information(x, y, z, copula=False).value)
    assert abs(np.mean(values)) < 4.0 * np.std(values) / math.sqrt(200)
    found = linear_mutual_information(x, y, copula=False)
    assert found.value > 5.0 * found.null_sd


def test_total_correlation_of_two_is_mutual_information():
    x, y = normal(200, 2, 0.6, 0)
    assert linear_total_correlation([x, y], copula=False).value == pytest.approx(
        linear_mutual_information(x, y, copula=False).value, abs=1e-12
    )


def test_functions_of_one_another_are_singular():
    x, _ = normal(100, 1, 0.6, 0)
    found = linear_mutual_information(x, 2.0 * x + 1.0, copula=False)
    assert (found.value, found.flags) == (math.inf, ("singular",))


def test_many_parameters_are_told_of():
    x, y = normal(100, 6, 0.3, 0)
    assert "many_states" in linear_mutual_information(x, y, copula=False).flags
