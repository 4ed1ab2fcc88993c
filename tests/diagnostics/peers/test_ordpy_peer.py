"""The numbers of ordpy: ordinal patterns."""

import math

import numpy as np
import pytest

from simengine.diagnostics.dynamics.ordinal import permutation_entropy, statistical_complexity

ordpy = pytest.importorskip("ordpy")


def walk(n=800, seed=1):
    return np.cumsum(np.random.default_rng(seed).normal(size=n))


@pytest.mark.parametrize("order", [3, 4, 5])
def test_entropy_of_patterns_is_the_peers(order):
    series = walk()
    expected = ordpy.permutation_entropy(series, dx=order, base="e", normalized=False)
    assert permutation_entropy(series, order=order, estimator="plug-in").value == pytest.approx(expected, abs=1e-9)


def test_ties_are_ordered_by_appearance_as_the_peer_does():
    series = np.random.default_rng(2).integers(0, 4, 500)
    expected = ordpy.permutation_entropy(series, dx=3, base="e", normalized=False)
    assert permutation_entropy(series, order=3, estimator="plug-in").value == pytest.approx(expected, abs=1e-9)


def test_lagged_patterns_are_the_peers():
    series = walk(seed=3)
    expected = ordpy.permutation_entropy(series, dx=4, taux=3, base="e", normalized=False)
    found = permutation_entropy(series, order=4, lag=3, estimator="plug-in").value
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("order", [3, 4])
def test_complexity_is_the_peers(order):
    series = walk(seed=4)
    entropy, complexity = ordpy.complexity_entropy(series, dx=order)
    assert statistical_complexity(series, order=order, estimator="plug-in").value == pytest.approx(complexity, abs=1e-9)
    found = permutation_entropy(series, order=order, estimator="plug-in").value / math.log(math.factorial(order))
    assert found == pytest.approx(entropy, abs=1e-9)
