"""Nemenman, Shafee & Bialek's entropy: against drawn posteriors, and where others overflow."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import scipy.special as special

from simengine.diagnostics.counts.entropies import entropy_from_counts
from simengine.diagnostics.counts.nsb import digamma, log_rising, nsb, trigamma


def drawn_posterior(counts: list[int], draws: int) -> tuple[float, float]:
    """Mean and sd of the entropy of distributions drawn from the posterior, concentration first."""
    n, k = np.array(counts, float), len(counts)
    rng = np.random.default_rng(0)
    b = np.exp(np.linspace(-30.0, 30.0, 6001))
    weights = special.gammaln(k * b) - special.gammaln(n.sum() + k * b)
    weights += (special.gammaln(n[:, None] + b) - special.gammaln(b)).sum(axis=0)
    weights += np.log(k * special.polygamma(1, k * b + 1) - special.polygamma(1, b + 1)) + np.log(b)
    chances = np.exp(weights - weights.max())
    chosen = rng.choice(b, size=draws, p=chances / chances.sum())
    gammas = rng.gamma(n[None, :] + chosen[:, None])
    p = gammas / gammas.sum(axis=1, keepdims=True)
    entropies = -special.xlogy(p, p).sum(axis=1)
    return float(entropies.mean()), float(entropies.std())


@pytest.mark.parametrize("counts", [[3, 4, 1, 0, 2], [0, 0, 0, 0, 0, 1, 1, 7, 2, 20], [50, 50, 50], [5000, 1, 0]])
def test_value_and_error_are_mean_and_sd_of_the_posterior(counts: list[int]) -> None:
    # 1e5 draws: the mean is off by 0.3 % of the sd, the sd by at most 1 %; 5 sd are allowed: 1e-6 a case.
    mean, sd = drawn_posterior(counts, 100_000)
    value, error = nsb(np.array(counts), len(counts))
    assert abs(value - mean) < 5 * sd / math.sqrt(100_000)
    assert error == pytest.approx(sd, rel=0.05)


def test_special_functions_agree_with_scipy() -> None:
    for x in (1e-8, 0.3, 1.0, 11.9, 12.1, 1e6):
        assert digamma(x) == pytest.approx(special.digamma(x), rel=1e-13)
        assert trigamma(x) == pytest.approx(special.polygamma(1, x), rel=1e-13)
        for n in (0.0, 1.0, 7.0, 1e5):
            expected = special.gammaln(x + n) - special.gammaln(x)
            assert log_rising(x, n) == pytest.approx(expected, rel=1e-9, abs=1e-8)


def test_nothing_overflows_and_the_value_converges() -> None:
    rng = np.random.default_rng(3)
    for n in (100, 150, 1000, 10**6, 10**9):
        found = entropy_from_counts(rng.multinomial(n, np.full(50, 0.02)), estimator="nsb")
        assert abs(float(found.value) - math.log(50)) < 5 * float(found.standard_error) + 1e-9
        assert 0 < float(found.standard_error) < 1 / math.sqrt(n)


def test_infomeasure_overflows_where_this_does_not() -> None:
    infomeasure = pytest.importorskip("infomeasure")
    values = np.random.default_rng(3).integers(0, 50, 400)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = infomeasure.entropy(values, approach="nsb", base="e", K=50)
    assert math.isnan(theirs)
    assert nsb(np.bincount(values, minlength=50), 50)[0] == pytest.approx(math.log(50), abs=0.05)
