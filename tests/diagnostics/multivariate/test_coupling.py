import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine.diagnostics.multivariate.coupling import (
    coordination_ceiling,
    coordination_index,
    coordination_index_of,
    minimum_entropy_coupling,
)
from simengine.errors import InputError


def entropy(p):
    p = np.ravel(p)
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())


def least_entropy(p, q):
    """By trying all vertices of the polytope of couplings: every order of cells, each filled as far as it goes."""
    cells = list(itertools.product(range(len(p)), range(len(q))))
    best = math.inf
    for order in itertools.permutations(cells, len(p) + len(q) - 1):
        left, right, parts = list(p), list(q), []
        for i, j in order:
            mass = min(left[i], right[j])
            left[i] -= mass
            right[j] -= mass
            parts.append(mass)
        if max(left) < 1e-12:
            best = min(best, entropy(parts))
    return best


@pytest.mark.parametrize(
    ("p", "q"),
    [
        ([0.6, 0.4], [0.6, 0.4]),
        ([0.6, 0.4], [0.7, 0.3]),
        ([0.5, 0.3, 0.2], [0.7, 0.3]),
        ([0.5, 0.25, 0.25], [0.8, 0.2]),
    ],
)
def test_greedy_matching_finds_the_least_entropy_of_small_cases(p, q):
    assert entropy(minimum_entropy_coupling(p, q)) == pytest.approx(least_entropy(p, q), abs=1e-9)


@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_a_coupling_has_its_marginals_few_cells_and_no_less_entropy_than_either(seed, k, m):
    rng = np.random.default_rng(seed)
    p, q = rng.dirichlet(np.ones(k)), rng.dirichlet(np.ones(m))
    joint = minimum_entropy_coupling(p, q)
    np.testing.assert_allclose(joint.sum(axis=1), p, atol=1e-10)
    np.testing.assert_allclose(joint.sum(axis=0), q, atol=1e-10)
    assert np.count_nonzero(joint) <= k + m - 1
    assert entropy(joint) >= max(entropy(p), entropy(q)) - 1e-9
    assert -1e-9 <= coordination_ceiling(p, q) <= min(entropy(p), entropy(q)) + 1e-9


def test_the_index_is_1_for_the_coupling_itself_and_0_for_independence():
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.6, 0.4])
    assert coordination_index_of(minimum_entropy_coupling(p, q)) == pytest.approx(1.0)
    assert coordination_index_of(np.outer(p, q)) == pytest.approx(0.0, abs=1e-12)
    assert coordination_index_of([[1.0, 0.0]]) == 0.0


@pytest.mark.parametrize("strength", [0.0, 0.6, 1.0])
def test_intervals_hold_the_index(strength):
    # 200 repetitions of coverage 0.95 fall below 0.9 with probability 0.002.
    rng = np.random.default_rng(1)
    p = np.array([0.6, 0.4])
    table = strength * np.diag(p) + (1.0 - strength) * np.outer(p, p)
    truth = coordination_index_of(table)
    found = [coordination_index(counts=one.reshape(2, 2)) for one in rng.multinomial(500, table.ravel(), size=200)]
    low, high = np.array([one.interval for one in found]).T
    assert np.mean((low <= truth + 1e-9) & (truth - 1e-9 <= high)) >= 0.9
    assert np.median(high - low) <= 1.5 * 2 * 1.96 * np.std([one.value for one in found])


def test_samples_and_counts_give_the_same_and_doubts_are_raised():
    rng = np.random.default_rng(2)
    x = rng.integers(0, 3, 400)
    y = np.where(rng.random(400) < 0.5, x, rng.integers(0, 3, 400))
    counts = np.zeros((3, 3), int)
    np.add.at(counts, (x, y), 1)
    assert coordination_index(x, y).value == pytest.approx(coordination_index(counts=counts).value)
    assert coordination_index(x, y).unit == "1"
    assert "few_samples" in coordination_index(x[:50], y[:50]).flags
    assert "constant" in coordination_index(x, np.zeros(400, int)).flags
    assert "near_tie" in coordination_index(counts=[[100, 30], [5, 65]]).flags


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: minimum_entropy_coupling([[1.0]], [1.0]), "p has shape"),
        (lambda: minimum_entropy_coupling([1.0], [0.5, -0.5]), "q holds -0.5"),
        (lambda: coordination_index([1, 2]), "x and y"),
        (lambda: coordination_index([1, 2], [1, 2], counts=[[1]]), "one of them"),
        (lambda: coordination_index([1, 2], [1, 2, 3]), "differ"),
    ],
)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize("size", [300, 2000])
def test_intervals_hold_the_index_where_habits_are_nearly_equal(size):
    # 200 repetitions of coverage 0.95 fall below 0.9 with probability 0.002.
    rng = np.random.default_rng(3)
    table = 0.6 * np.array([[0.57, 0.03], [0.0, 0.4]]) + 0.4 * np.outer([0.6, 0.4], [0.57, 0.43])
    truth = coordination_index_of(table)
    found = [coordination_index(counts=one.reshape(2, 2)) for one in rng.multinomial(size, table.ravel(), size=200)]
    low, high = np.array([one.interval for one in found]).T
    assert np.mean((low <= truth) & (truth <= high)) >= 0.9
    assert np.median(high - low) <= 1.5 * 2 * 1.96 * np.std([one.value for one in found])
