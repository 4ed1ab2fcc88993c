import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from simengine.diagnostics.neighbours import NEIGHBOURS, nearest_distances


def by_tree(position, box):
    tree = cKDTree(position, boxsize=None if np.isinf(box) else box)
    return tree.query(position, k=NEIGHBOURS + 1)[0][:, 1:]


def by_definition(position, box):
    difference = np.abs(position[:, None, :] - position[None, :, :])
    difference = np.minimum(difference, box - difference)
    distance = np.sqrt((difference**2).sum(axis=2))
    np.fill_diagonal(distance, np.inf)
    few = np.full((len(position), NEIGHBOURS), np.inf)
    distance = np.sort(np.concatenate([distance, few], axis=1), axis=1)
    return distance[:, :NEIGHBOURS]


SHAPES = {
    "uniform": lambda rng, n: rng.random((n, 3)) * 10,
    "tight": lambda rng, n: 5 + 0.05 * rng.normal(size=(n, 3)),
    "corner": lambda rng, n: (0.5 * rng.normal(size=(n, 3))) % 10,
    "sheet": lambda rng, n: rng.random((n, 3)) * [10, 10, 0],
    "line": lambda rng, n: rng.random((n, 3)) * [0, 0, 10],
    "two schools": lambda rng, n: (rng.integers(0, 2, (n, 1)) * 4.5 + 0.1 * rng.normal(size=(n, 3))) % 10,
    "lattice": lambda rng, n: rng.integers(0, 10, (n, 3)).astype(float),
    "one point": lambda rng, n: np.full((n, 3), 3.0),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n", [6, 16, 17, 33, 150, 400, 401, 415, 1000])
@pytest.mark.parametrize("box", [10.0, np.inf])
def test_distances_are_those_of_a_tree_search(shape, n, box):
    position = SHAPES[shape](np.random.default_rng(n), n)
    found = nearest_distances(position, box)
    np.testing.assert_allclose(found, by_tree(position, box), rtol=1e-14, atol=0)
    np.testing.assert_array_equal(found, by_definition(position, box))


@pytest.mark.parametrize("n", range(1, 6))
def test_missing_neighbours_are_infinitely_far(n):
    found = nearest_distances(np.random.default_rng(n).random((n, 3)), 1.0)
    np.testing.assert_array_equal(np.isinf(found), np.arange(NEIGHBOURS)[None, :] >= np.full((n, 1), n - 1))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(300, 700), st.floats(0.01, 10.0))
def test_each_point_keeps_its_distances_when_points_are_reordered(seed, n, width):
    rng = np.random.default_rng(seed)
    position = (width * rng.normal(size=(n, 3))) % 10.0
    order = rng.permutation(n)
    found = nearest_distances(position, 10.0)
    np.testing.assert_array_equal(nearest_distances(position[order], 10.0), found[order])
