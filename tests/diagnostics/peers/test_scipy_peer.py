"""The numbers of scipy where the definition is the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import cKDTree
from scipy.special import digamma

from simengine.diagnostics.continuous.knn import count_within, kth_distances
from simengine.diagnostics.counts.divergences import jensen_shannon, kl_divergence, wasserstein
from simengine.diagnostics.counts.entropies import entropy_from_counts
from simengine.diagnostics.information import entropy, mutual_information

counts = st.lists(st.integers(0, 50), min_size=2, max_size=30).filter(lambda found: sum(found) > 0)


@settings(max_examples=40, deadline=None)
@given(counts)
def test_the_plug_in_entropy_is_scipys(found):
    assert entropy_from_counts(found, estimator="plug-in").value == pytest.approx(stats.entropy(found), abs=1e-12)
    bits = entropy_from_counts(found, estimator="plug-in", unit="bit").value
    assert bits == pytest.approx(stats.entropy(found, base=2), abs=1e-12)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_neighbours_are_those_of_scipys_tree(d):
    points = np.random.default_rng(d).normal(size=(700, d))
    tree = cKDTree(points)
    for k in (1, 4):
        distance = tree.query(points, k + 1, p=np.inf)[0][:, k]
        assert np.array_equal(kth_distances(points, k), distance)
    within = tree.query_ball_point(points, distance * (1.0 - 1e-12), p=np.inf, return_length=True) - 1
    assert np.array_equal(count_within(points, distance), within)


def test_the_gaussian_entropy_of_many_samples_is_scipys():
    points = np.random.default_rng(1).normal(size=(100_000, 3)) @ [[1.0, 0.3, 0.0], [0.0, 1.0, 0.5], [0.0, 0.0, 2.0]]
    law = stats.multivariate_normal(cov=np.cov(points.T))
    # The correction of the bias is d (d + 3) / 4n to first order: 5e-5 here.
    assert entropy(points, estimator="gaussian").value == pytest.approx(law.entropy(), abs=1e-4)


def test_the_information_of_neighbours_is_that_of_the_formula_with_scipys_tree():
    x, y = np.random.default_rng(2).multivariate_normal([0, 0], [[1.0, 0.6], [0.6, 1.0]], 900).T
    both = np.stack([x, y], axis=1)
    radius = cKDTree(both).query(both, 5, p=np.inf)[0][:, 4]
    total = digamma(4) + digamma(900)
    for one in (x, y):
        near = np.abs(one[:, None] - one) < radius[:, None] * (1.0 - 1e-12)
        total -= digamma(near.sum(axis=1)).mean()
    found = mutual_information(x, y, estimator="ksg-1", k=4, scale="none", correct=False).value
    assert found == pytest.approx(total, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), min_size=2, max_size=20))
def test_divergences_of_counts_are_scipys(pairs):
    p, q = np.array(pairs).T
    assert kl_divergence(p, q, estimator="plug-in").value == pytest.approx(stats.entropy(p, q), abs=1e-9)
    middle = 0.5 * (p / p.sum() + q / q.sum())
    both = 0.5 * (stats.entropy(p, middle) + stats.entropy(q, middle))
    assert jensen_shannon(p, q).details["plug_in"] == pytest.approx(both, abs=1e-9)
    places = np.arange(p.size, dtype=float)
    moved = stats.wasserstein_distance(places, places, p, q)
    assert wasserstein(p, q).details["plug_in"] == pytest.approx(moved, abs=1e-9)
