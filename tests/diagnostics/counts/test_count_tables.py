"""Labels to symbols, values to bins, symbols to tables."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine.diagnostics.counts.entropies import entropy_from_counts
from simengine.diagnostics.counts.tables import bin_edges, binned, encode, histogram, histogram_entropy, joint_table
from simengine.errors import InputError


@pytest.mark.parametrize(
    "labels",
    [
        np.array([5, -2, 5, 7]), np.array([2**62, -(2**62), 2**62, 2**62 + 1]), np.array(["b", "a", "b", "c"]),
        np.array(["b", "a", "b", "c"], dtype=object), np.array([3, 1, 3, 2**64 - 1], dtype=np.uint64),
        np.array([[1, 2], [0, 9], [1, 2], [1, 3]]), np.array([3, 1, 3, 9], dtype=np.int8),
    ],
)  # fmt: skip
def test_labels_of_any_type_become_symbols_in_their_order(labels: np.ndarray) -> None:
    symbols, states = encode(labels)
    assert symbols.dtype == np.int64
    assert symbols.tolist() == [1, 0, 1, 2]
    assert states == 3


def test_truth_values_and_declared_symbols_are_encoded() -> None:
    assert encode(np.array([True, False, True]))[0].tolist() == [1, 0, 1]
    symbols, states = encode([0, 3, 3], states=5)
    assert (symbols.tolist(), states) == ([0, 3, 3], 5)
    with pytest.raises(InputError, match="0 to 2"):
        encode([0, 3], states=3)
    with pytest.raises(InputError, match="fractions"):
        encode([0.5, 1.5])


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60), st.integers(1, 40), st.sampled_from([0.0, 1e3, -7.3, 1e9])
)
@settings(max_examples=80, deadline=None)
def test_histograms_agree_with_numpy_and_end_bins_take_what_lies_outside(
    values: list[float], bins: int, origin: float
) -> None:
    edges = bin_edges(bins, (origin - 3.0, origin + 7.0))
    np.testing.assert_array_equal(edges, np.linspace(origin - 3.0, origin + 7.0, bins + 1))
    moved = np.concatenate((np.array(values) + origin, edges, np.nextafter(edges, -np.inf)))
    counts, outside = histogram(moved, bins, (origin - 3.0, origin + 7.0))
    expected = np.histogram(np.clip(moved, edges[0], edges[-1]), edges)[0]
    np.testing.assert_array_equal(counts, expected)
    assert outside == np.count_nonzero((moved < edges[0]) | (moved > edges[-1]))
    symbols, also_outside = binned(moved, edges)
    np.testing.assert_array_equal(np.bincount(symbols, minlength=bins), expected)
    assert also_outside == outside


def test_uneven_edges_are_allowed() -> None:
    counts, outside = histogram([0.0, 0.5, 1.0, 9.0, 10.0, 11.0], [0.0, 1.0, 10.0])
    assert counts.tolist() == [2, 4]
    assert outside == 1


def test_histogram_entropy_is_that_of_the_counts_and_flags_what_lies_outside() -> None:
    values = np.random.default_rng(0).uniform(-1, 1, (50, 40))
    found = histogram_entropy(values, bins=16, range=(-1, 1))
    assert float(found) == float(entropy_from_counts(histogram(values, 16, (-1, 1))[0]))
    assert found.flags == ()
    assert histogram_entropy(values, bins=16, range=(-0.9, 0.9)).flags == ("outside_range",)


@pytest.mark.parametrize(
    ("bins", "limits", "words"),
    [
        (4, None, "range"), (0, (0, 1), "at least 1"), (4, (1, 1), "rise"), ([0, 0, 1], None, "rise"),
        ([0, 1], (0, 1), "range="),
    ],
)  # fmt: skip
def test_bins_are_declared_and_rise(bins: object, limits: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        bin_edges(bins, limits)  # type: ignore[arg-type]


def test_values_that_are_not_finite_are_refused() -> None:
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(InputError, match="finite"):
            histogram([0.0, bad], 4, (0, 1))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=50))
@settings(max_examples=40, deadline=None)
def test_sparse_and_dense_tables_have_the_same_marginals(rows: list[tuple[int, int, int]]) -> None:
    x, y, z = np.array(rows, dtype=np.int64).T
    dense = joint_table(x, y, z, states=(5, 4, 3))
    sparse = joint_table(x, y, z, states=(1 << 10, 1 << 10, 1 << 10))
    assert sparse.cells is not None
    for axes in ((0,), (2, 0), (1, 2), (0, 1, 2)):
        ours, theirs = dense.marginal(axes), sparse.marginal(axes)
        np.testing.assert_array_equal(ours.counts[ours.counts > 0], theirs.counts[theirs.counts > 0])
    whole = np.zeros((5, 4, 3), np.int64)
    np.add.at(whole, (x, y, z), 1)
    np.testing.assert_array_equal(dense.dense(), whole)
    np.testing.assert_array_equal(dense.marginal((2, 0)).dense(), whole.sum(axis=1).T)


def test_tables_of_parts_merge_to_the_table_of_all_in_any_order() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 3000, 5000), rng.integers(0, 3000, 5000)
    states = (3000, 3000)
    whole = joint_table(x, y, states=states)
    order = rng.permutation(5000)
    parts = [joint_table(x[part], y[part], states=states) for part in np.array_split(order, 7)]
    merged = parts[3]
    for part in (*parts[:3], *parts[4:]):
        merged = merged.merge(part)
    np.testing.assert_array_equal(merged.cells, whole.cells)
    np.testing.assert_array_equal(merged.counts, whole.counts)


def test_a_full_table_leaves_the_rarest_out_whatever_their_order() -> None:
    x = np.repeat(np.arange(2000), np.arange(2000) % 7 + 1)
    y = x[::-1].copy()
    full = joint_table(x, y, states=(2000, 2000), cap=100)
    order = np.random.default_rng(2).permutation(x.size)
    again = joint_table(x[order], y[order], states=(2000, 2000), cap=100)
    assert full.flag == "table_overflow"
    assert full.counts.size == 100
    assert full.n + full.lost == x.size
    np.testing.assert_array_equal(full.cells, again.cells)
    assert joint_table(x, y, states=(2000, 2000)).flag is None
