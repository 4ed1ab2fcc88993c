from __future__ import annotations

import math

import numpy as np
import pytest

from simengine.diagnostics.continuous.conditional import neighbour_conditional_information
from simengine.diagnostics.continuous.mutual import Options
from simengine.diagnostics.continuous.total import neighbour_total_correlation

QUICK = Options(reliability=False)


def common_cause(n, seed, link=0.0):
    random = np.random.default_rng(seed)
    z = random.standard_normal((n, 1))
    x = z + random.standard_normal((n, 1))
    return x, z + link * x + random.standard_normal((n, 1)), z


@pytest.mark.parametrize(("link", "truth"), [(0.0, 0.0), (1.0, 0.5 * math.log(2.0))])
def test_information_given_a_common_cause(link, truth):
    # 95 % nominal; 10 or fewer of 16 happen in 1e-3 of tests at 90 %.
    found = [neighbour_conditional_information(*common_cause(400, seed, link), QUICK) for seed in range(16)]
    assert sum(one.interval[0] <= truth <= one.interval[1] for one in found) > 10
    values = np.array([one.value for one in found])
    assert abs(values.mean() - truth) < 4.0 * values.std() / math.sqrt(16)
    assert np.median([one.standard_error for one in found]) < 2.0 * values.std()


def test_the_local_shuffle_keeps_what_the_condition_says():
    x, y, z = common_cause(300, 0, 1.0)
    found = neighbour_conditional_information(x, y, z, Options(shuffles=10, reliability=False))
    assert found.z > 4.0
    x, y, z = common_cause(300, 1)
    assert abs(neighbour_conditional_information(x, y, z, Options(shuffles=10, reliability=False)).z) < 4.0


def test_a_constant_condition_tells_nothing():
    x, y, _ = common_cause(500, 2)
    with_it = neighbour_conditional_information(x, y, np.ones((500, 2)), QUICK)
    without = neighbour_total_correlation([x, y], QUICK)
    assert with_it.value == pytest.approx(without.value, abs=1e-12)
    assert with_it.flags == ("constant",)


def test_total_correlation_of_three():
    # Correlations 1/2: -0.5 ln det = 0.5 ln 2; the standard deviation of the mean of 6 is about 0.016.
    truth = 0.5 * math.log(2.0)
    values = []
    for seed in range(6):
        shared = np.random.default_rng(seed).standard_normal((600, 1))
        own = np.random.default_rng(seed + 100).standard_normal((600, 3))
        values.append(neighbour_total_correlation(list((shared + own).T[:, :, None]), QUICK).value)
    assert np.mean(values) == pytest.approx(truth, abs=0.06)


def test_one_variable_has_nothing_in_common():
    found = neighbour_total_correlation([np.random.default_rng(0).standard_normal((50, 1)), np.ones((50, 1))], QUICK)
    assert (found.value, found.flags) == (0.0, ("constant",))
