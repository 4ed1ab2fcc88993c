import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from scipy.special import digamma

from simengine.diagnostics.continuous.knn import (
    STRICT,
    Neighbours,
    count_within,
    digamma_table,
    kth_distances,
    nearest_indices,
)
from simengine.errors import InputError

KINDS = ("normal", "lattice", "constant columns", "clusters", "heavy tails", "duplicates", "all equal", "line")


def cloud(kind, n, d, seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, d))
    if kind == "lattice":
        points = rng.integers(-2, 3, (n, d)) * 0.1
    elif kind == "constant columns":
        points[:, rng.random(d) < 0.5] = 0.3
    elif kind == "clusters":
        points = points * 1e-9 + rng.integers(0, 3, (n, 1))
    elif kind == "heavy tails":
        points = points / rng.normal(size=(n, d)) ** 3
    elif kind == "duplicates":
        points = points[rng.integers(0, max(1, n // 4), n)]
    elif kind == "all equal":
        points[:] = points[0]
    elif kind == "line":
        points = points[:, :1] * np.arange(1.0, d + 1.0)
    return points


def distances(points):
    """All pairs; a point is infinitely far from itself."""
    gaps = np.zeros((len(points), len(points)))
    for column in points.T:
        np.maximum(gaps, np.abs(column[:, None] - column), out=gaps)
    np.fill_diagonal(gaps, np.inf)
    return gaps


clouds = st.builds(
    lambda kind, n, d, seed, exponent: cloud(kind, n, d, seed) * 10.0**exponent,
    st.sampled_from(KINDS),
    st.integers(2, 90) | st.integers(250, 350),
    st.integers(1, 10),
    st.integers(0, 2**32 - 1),
    st.sampled_from((0, 0, -290, -8, 8, 150)),
)


@settings(max_examples=100, deadline=None)
@given(clouds, st.data())
def test_the_kth_distance_is_bitwise_that_of_comparing_all_pairs(points, data):
    k = data.draw(st.integers(1, min(5, len(points) - 1)) | st.integers(1, len(points) - 1))
    np.testing.assert_array_equal(kth_distances(points, k), np.sort(distances(points), axis=1)[:, k - 1])


@settings(max_examples=100, deadline=None)
@given(clouds, st.data())
def test_the_nearest_rows_are_those_of_comparing_all_pairs_with_ties_by_row(points, data):
    k = data.draw(st.integers(1, min(5, len(points) - 1)) | st.integers(1, len(points) - 1))
    expected = np.argsort(distances(points), axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(nearest_indices(points, k), expected)


@settings(max_examples=100, deadline=None)
@given(clouds, st.booleans(), st.data())
def test_counts_compare_the_distance_itself_with_the_radius(points, strict, data):
    gaps = distances(points)
    k = data.draw(st.integers(1, len(points) - 1))
    # Radii that are distances to some point, those just beside them, and ones that nothing or everything is within.
    radii = np.sort(gaps, axis=1)[:, k - 1]
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    radii = rng.choice([1.0, 1.0, 1.0 - 1e-15, 1.0 + 1e-15, 1.0 + 3e-12, 0.0, -1.0, 3.0], len(radii)) * radii
    expected = gaps < (radii * STRICT)[:, None] if strict else gaps <= radii[:, None]
    np.testing.assert_array_equal(count_within(points, radii, strict), expected.sum(axis=1))


@settings(max_examples=60, deadline=None)
@given(clouds, st.data())
def test_queries_ask_the_same_of_all_points(points, data):
    queries = np.array(sorted(data.draw(st.sets(st.integers(0, len(points) - 1)))), np.int64)
    found = Neighbours(points)
    k = min(3, len(points) - 1)
    radii = found.kth_distances(k)
    np.testing.assert_array_equal(found.kth_distances(k, queries), radii[queries])
    np.testing.assert_array_equal(found.nearest_indices(k, queries), found.nearest_indices(k)[queries])
    np.testing.assert_array_equal(
        found.count_within(radii[queries], False, queries), found.count_within(radii, False)[queries]
    )


@settings(max_examples=60, deadline=None)
@given(clouds, st.integers(0, 2**32 - 1), st.integers(2, 5))
def test_neither_the_order_of_the_points_nor_the_number_of_threads_changes_an_answer(points, seed, threads):
    order = np.random.default_rng(seed).permutation(len(points))
    k = min(4, len(points) - 1)
    radii = kth_distances(points, k)
    np.testing.assert_array_equal(kth_distances(points[order], k, threads=threads), radii[order])
    np.testing.assert_array_equal(
        count_within(points[order], radii[order], threads=threads), count_within(points, radii)[order]
    )
    np.testing.assert_array_equal(nearest_indices(points, k, threads=threads), nearest_indices(points, k))


@pytest.mark.parametrize("d", [1, 2, 3, 5, 10])
@pytest.mark.parametrize("k", [1, 4, 40])
def test_thousands_of_points_agree_with_another_tree(d, k):
    points = np.random.default_rng(d).normal(size=(6000, d))
    queries = np.arange(0, 6000, 3)
    expected, rows = cKDTree(points).query(points[queries], k + 1, p=np.inf)
    np.testing.assert_array_equal(kth_distances(points, k, queries), expected[:, k])
    np.testing.assert_array_equal(nearest_indices(points, k, queries), rows[:, 1:])


@pytest.mark.parametrize("d", [1, 2, 5])
def test_wide_radii_count_as_another_tree_does(d):
    points = np.random.default_rng(d).normal(size=(6000, d))
    expected = cKDTree(points).query_ball_point(points, 1.7, p=np.inf, return_length=True) - 1
    np.testing.assert_array_equal(count_within(points, 1.7, strict=False), expected)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(KINDS), st.integers(2, 300), st.integers(1, 6), st.integers(0, 2**32 - 1), st.data())
def test_the_euclidean_distance_is_the_root_of_the_sum_of_squares(kind, n, d, seed, data):
    points = cloud(kind, n, d, seed)
    k = data.draw(st.integers(1, n - 1))
    squares = np.zeros((n, n))
    for c in range(d):
        squares += (points[:, None, c] - points[None, :, c]) ** 2
    np.fill_diagonal(squares, np.inf)
    expected = np.sqrt(np.sort(squares, axis=1)[:, k - 1])
    np.testing.assert_allclose(kth_distances(points, k, norm="euclidean"), expected, rtol=1e-15)


def test_strict_counts_leave_out_the_kth_neighbour_in_the_joint_space():
    points = np.random.default_rng(0).normal(size=(2000, 2))
    radii = kth_distances(points, 4)
    np.testing.assert_array_equal(count_within(points, radii), 3)
    np.testing.assert_array_equal(count_within(points, radii, strict=False), 4)


def test_one_column_is_the_same_as_plain_numbers():
    numbers = np.random.default_rng(0).normal(size=100)
    np.testing.assert_array_equal(kth_distances(numbers, 2), kth_distances(numbers[:, None], 2))


@pytest.mark.parametrize("d", [1, 2, 3])
def test_distances_too_great_for_a_number_are_infinite(d):
    points = np.array([-1.5e308, 0.0, 1.5e308])[:, None] * np.ones(d)
    assert kth_distances(points, 2).tolist() == [np.inf, 1.5e308, np.inf]
    assert count_within(points, 1.6e308).tolist() == [1, 2, 1]
    assert count_within(points, np.inf, strict=False).tolist() == [2, 2, 2]
    assert nearest_indices(points, 2).tolist() == [[1, 2], [0, 2], [1, 0]]


def test_one_point_has_no_others_within_any_radius():
    assert count_within([[1.0, 2.0]], np.inf, strict=False).tolist() == [0]
    assert count_within([1.0], np.inf, strict=False).tolist() == [0]


def test_no_queries_give_no_answers():
    points = np.arange(10.0)
    assert kth_distances(points, 2, []).shape == (0,)
    assert count_within(points, [], queries=[]).shape == (0,)
    assert nearest_indices(points, 2, []).shape == (0, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kth_distances(np.arange(5.0), 5), "from 1 to 4"),
        (lambda: kth_distances(np.arange(5.0), 0), "from 1 to 4"),
        (lambda: nearest_indices([[0.0, np.nan], [1.0, 2.0]], 1), "NaN"),
        (lambda: count_within(np.empty((0, 2)), 1.0), "shape"),
        (lambda: count_within(np.arange(5.0), np.ones(4)), r"\(5,\)"),
        (lambda: count_within(np.arange(5.0), 1.0, queries=[2, 5]), "from 0 to 4"),
        (lambda: count_within(np.arange(5.0), 1.0, queries=[0.5]), "row numbers"),
        (lambda: kth_distances(np.arange(5.0), 1, norm="manhattan"), "euclidean"),
    ],
)
def test_impossible_questions_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_the_digamma_table_is_the_digamma_function():
    np.testing.assert_allclose(digamma_table(3000)[1:], digamma(np.arange(1.0, 3001.0)), rtol=1e-14)
    assert digamma_table(2)[0] == -np.inf
