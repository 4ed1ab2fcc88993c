import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine.diagnostics.alignment import MOST_BINS, pair_alignment_counts


def by_definition(unit, bins):
    i, j = np.triu_indices(len(unit), 1)
    products = unit[i] * unit[j]
    cosine = (products[:, 0] + products[:, 1]) + products[:, 2]
    return np.histogram((np.clip(cosine, -1, 1) + 1) / 2, bins=bins, range=(0, 1))[0]


def directions(rng, n, spread):
    vector = [0.6, 0.0, 0.8] + spread * rng.normal(size=(n, 3))
    return vector / np.linalg.norm(vector, axis=1, keepdims=True)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 300),
    st.sampled_from([0.0, 1e-8, 1e-5, 1e-3, 0.1, 1.0, 100.0]),
    st.integers(1, MOST_BINS),
)
def test_counts_are_those_of_double_precision(seed, n, spread, bins):
    unit = directions(np.random.default_rng(seed), n, spread)
    np.testing.assert_array_equal(pair_alignment_counts(unit, bins), by_definition(unit, bins))


@pytest.mark.parametrize("bins", [2, 10, 20])
def test_pairs_on_a_bin_edge_fall_where_double_precision_puts_them(bins):
    axes = np.array(list(itertools.product([-1.0, 0.0, 1.0], repeat=3)))
    axes = axes[np.abs(axes).sum(axis=1) > 0]
    on_edges = np.linspace(-1, 1, bins + 1)
    planar = np.stack([on_edges, np.sqrt(1 - on_edges**2), np.zeros(bins + 1)], axis=1)
    unit = np.concatenate([axes / np.linalg.norm(axes, axis=1, keepdims=True), planar])
    unit = np.tile(unit, (5, 1))
    np.testing.assert_array_equal(pair_alignment_counts(unit, bins), by_definition(unit, bins))


@pytest.mark.parametrize("n", [2, 3, 4, 9, 1001])
def test_every_pair_is_counted_once(n):
    unit = directions(np.random.default_rng(n), n, 10.0)
    assert pair_alignment_counts(unit, 20).sum() == n * (n - 1) // 2


def test_parallel_headings_all_count_in_the_last_bin_whatever_the_rounding():
    rng = np.random.default_rng(5)
    for _ in range(300):
        unit = np.tile(directions(rng, 1, 1.0), (9, 1))
        assert pair_alignment_counts(unit, 20)[-1] == 36
