"""Orders, ranks, and arrangements that share them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import ndtri
from scipy.stats import rankdata

from simengine.diagnostics.continuous.knn import Neighbours, digamma_table
from simengine.diagnostics.continuous.margins import atom_share, normal_scores, repeated_share, shares
from simengine.diagnostics.continuous.ordering import mean_ranks, order

numbers = arrays(
    np.float64, st.integers(1, 60), elements=st.floats(-3.0, 3.0) | st.sampled_from([-1.0, 0.0, -0.0, 1.0])
)


@given(numbers)
@settings(max_examples=100, deadline=None)
def test_ranks_are_mean_ranks_of_equal_values(values: np.ndarray) -> None:
    rows, ascending = order(values)
    ranks = np.empty(len(values))
    ranks[rows] = mean_ranks(ascending)
    np.testing.assert_array_equal(ascending, np.sort(values))
    np.testing.assert_array_equal(ranks, rankdata(values))


def test_normal_scores_of_columns_with_and_without_ties_are_those_of_each_alone() -> None:
    rng = np.random.default_rng(0)
    points = np.stack([rng.normal(size=50), rng.integers(0, 5, 50), rng.normal(size=50), rng.normal(size=50)], axis=1)
    found = normal_scores(points)
    assert found.flags.c_contiguous
    for column, scores in zip(points.T, found.T, strict=True):
        np.testing.assert_array_equal(scores, ndtri((rankdata(column) - 0.5) / 50))


@pytest.mark.parametrize("d", [1, 2, 3])
def test_a_margin_answers_like_its_points_alone(d: int) -> None:
    points = np.random.default_rng(1).normal(size=(500, d))
    joint = Neighbours(points)
    radii = joint.kth_distances(4)
    for columns in ((0,), (d - 1,), tuple(range(d))):
        alone = Neighbours(points[:, list(columns)])
        np.testing.assert_array_equal(joint.margin(columns).count_within(radii), alone.count_within(radii))
        np.testing.assert_array_equal(joint.margin(columns).kth_distances(3), alone.kth_distances(3))


def test_many_points_at_one_place_of_a_line_are_counted() -> None:
    points = np.concatenate([np.zeros(300), np.full(200, 1e-12), np.linspace(-5.0, 5.0, 100)])
    gaps = np.abs(points[:, None] - points)
    np.fill_diagonal(gaps, np.inf)
    for radius in (0.0, 1e-13, 1e-12, 0.1, 20.0):
        found = Neighbours(points).count_within(radius, strict=False)
        np.testing.assert_array_equal(found, (gaps <= radius).sum(axis=1))


def test_shares_of_atoms_and_of_repeated_values_come_together() -> None:
    points = np.concatenate([np.zeros(20), np.repeat(np.arange(1.0, 11.0), 2), np.linspace(20.0, 30.0, 60)])[:, None]
    assert shares(points) == (atom_share(points), repeated_share(points)) == (0.2, 0.4)


def test_a_table_that_is_shared_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        digamma_table(5)[1] = 0.0
