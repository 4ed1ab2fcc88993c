from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import digamma

from simengine.diagnostics.continuous.differential import linear_entropy, neighbour_entropy
from simengine.diagnostics.continuous.mutual import Options

QUICK = Options(reliability=False)


def law(d, seed=9):
    matrix = np.random.default_rng(seed).standard_normal((d, d))
    factor = np.linalg.cholesky(matrix @ matrix.T + 0.05 * np.eye(d))
    return factor, 0.5 * d * math.log(2.0 * math.pi * math.e) + float(np.log(np.diag(factor)).sum())


def test_it_is_the_definition_without_whitening_and_correction():
    x = np.random.default_rng(0).standard_normal((90, 2))
    radii = np.sort(np.abs(x[:, None] - x[None]).max(axis=2), axis=1)[:, 4]
    expected = digamma(90) - digamma(4) + 2.0 * np.log(2.0 * radii).mean()
    found = neighbour_entropy(x, Options(correct=False), whiten=False)
    assert found.value == pytest.approx(expected, abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_linear_map_adds_the_logarithm_of_its_determinant(seed):
    random = np.random.default_rng(seed)
    x, matrix = random.standard_normal((60, 2)), random.standard_normal((2, 2)) + 3.0 * np.eye(2)
    shift = math.log(abs(np.linalg.det(matrix)))
    # Whitened points are equal up to a rotation, which the maximum norm sees: hence a triangular map.
    lower = np.tril(matrix)
    assert linear_entropy(x @ matrix.T).value == pytest.approx(linear_entropy(x).value + shift, abs=1e-9)
    moved = neighbour_entropy(x @ np.abs(lower).T, QUICK).value
    expected = neighbour_entropy(x, QUICK).value + math.log(abs(np.linalg.det(np.abs(lower))))
    assert moved == pytest.approx(expected, abs=1e-6)


def test_whitening_and_correction_mend_correlated_variables():
    # The raw estimator is 0.5 too high in 5 dimensions; the standard deviation of the mean of 6 is 0.025.
    factor, truth = law(5)
    samples = [np.random.default_rng(seed).standard_normal((1000, 5)) @ factor.T for seed in range(6)]
    assert np.mean([neighbour_entropy(one, QUICK).value for one in samples]) == pytest.approx(truth, abs=0.09)
    raw = [neighbour_entropy(one, Options(correct=False, reliability=False), whiten=False).value for one in samples]
    assert np.mean(raw) > truth + 0.2


@pytest.mark.parametrize("d", [1, 2, 4])
def test_the_gaussian_entropy_has_no_bias(d):
    # Four standard errors of the mean of 300, that is one failure in 16,000.
    factor, truth = law(d)
    values = [
        linear_entropy(np.random.default_rng(seed).standard_normal((40, d)) @ factor.T).value for seed in range(300)
    ]
    assert abs(np.mean(values) - truth) < 4.0 * np.std(values) / math.sqrt(300)


@pytest.mark.parametrize(
    ("make", "truth"),
    [
        (lambda g: g.standard_normal((500, 1)), 0.5 * math.log(2.0 * math.pi * math.e)),
        (lambda g: g.uniform(0.0, 2.0, (500, 1)), math.log(2.0)),
        (lambda g: g.exponential(1.0, (500, 1)), 1.0),
        (lambda g: g.standard_cauchy((500, 1)), math.log(4.0 * math.pi)),
        (lambda g: g.uniform(0.0, 1.0, (500, 2)), 0.0),
    ],
    ids=["normal", "uniform", "exponential", "cauchy", "square"],
)
def test_intervals_hold_the_truth_of_any_shape(make, truth):
    # 95 % nominal; 50 or fewer of 60 happen in 0.1 % of tests at the 90 % that are asked for.
    found = [neighbour_entropy(make(np.random.default_rng(seed)), QUICK) for seed in range(60)]
    assert sum(one.interval[0] <= truth <= one.interval[1] for one in found) > 47
    spread = np.std([one.value for one in found])
    # The spread of 60 values is known to 9 %.
    assert np.median([one.interval[1] - one.interval[0] for one in found]) < 1.8 * 3.92 * spread


def test_what_has_no_density_has_no_entropy():
    x = np.random.default_rng(0).standard_normal((200, 2))
    x[:, 1] = 1.0
    assert (neighbour_entropy(x, Options()).value, neighbour_entropy(x, Options()).flags) == (-math.inf, ("constant",))
    x[:, 1] = 2.0 * x[:, 0]
    for found in (neighbour_entropy(x, Options()), linear_entropy(x)):
        assert (found.value, found.flags) == (-math.inf, ("singular",))
    clipped = np.clip(x[:, :1], -0.5, 0.5)
    found = neighbour_entropy(clipped, Options())
    assert (found.value, found.flags) == (-math.inf, ("atoms",))


def test_corners_in_three_dimensions_are_told_of():
    # 98 % are flagged.
    found = [neighbour_entropy(np.random.default_rng(seed).uniform(0, 1, (1000, 3)), QUICK).flags for seed in range(10)]
    assert sum("unstable_subsamples" in one for one in found) >= 8
