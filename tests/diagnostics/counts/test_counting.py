"""Compiled counting agrees with plain counting, at edges and beyond them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from simengine.diagnostics.counts.counting import (
    count_in_bins,
    count_in_equal_bins,
    count_symbols,
    place_in_any_bins,
    place_in_bins,
    place_in_equal_bins,
)

numbers = st.floats(-10, 10, allow_nan=False, width=64)


@settings(max_examples=200, deadline=None)
@given(
    values=st.lists(numbers, min_size=1, max_size=60), low=numbers, width=st.floats(0.01, 10), bins=st.integers(1, 40)
)
def test_a_value_lies_between_the_edges_of_its_bin(values: list[float], low: float, width: float, bins: int) -> None:
    high = low + width
    step = (high - low) / bins
    edges = low + np.arange(bins + 1) * step
    # Values exactly on the edges belong to the bin above.
    array = np.array([*values, *edges[:-1], high])
    found, outside = place_in_equal_bins(array, low, high, bins)
    for value, place in zip(array, found, strict=True):
        assert 0 <= place < bins
        assert value >= edges[place] or place == 0
        assert value < low + (place + 1) * step or place == bins - 1
    assert outside == sum(not low <= value <= high for value in array)
    counts, beyond = count_in_equal_bins(array, low, high, bins)
    assert counts.tolist() == np.bincount(found, minlength=bins).tolist()
    assert beyond == outside


def test_what_is_no_number_is_counted_as_outside() -> None:
    counts, outside = count_in_equal_bins(np.array([math.nan, math.inf, -math.inf, 0.5]), 0.0, 1.0, 4)
    assert counts.sum() == 4
    assert outside == 3


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=50))
def test_counts_are_those_of_numpy(symbols: list[int]) -> None:
    assert count_symbols(np.array(symbols, np.int64), 7).tolist() == np.bincount(symbols, minlength=7).tolist()


@pytest.mark.parametrize("states", [7, 5000])
def test_many_states_are_counted_like_few(states: int) -> None:
    symbols = np.random.default_rng(0).integers(0, states, 4003)
    assert count_symbols(symbols, states).tolist() == np.bincount(symbols, minlength=states).tolist()


def beside(edges: np.ndarray) -> np.ndarray:
    return np.concatenate([edges, np.nextafter(edges, -np.inf), np.nextafter(edges, np.inf)])


@given(
    bins=st.integers(1, 70), low=st.sampled_from([0.0, -1.0, 1e3, -7.3, 1e9]),
    # Far from 0, the smallest leaves edges that are nearer than the product can tell.
    width=st.sampled_from([1e-12, 4e-6, 0.1, np.pi, 1e12]),
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_values_at_and_beside_the_edges_of_equal_bins_fall_where_numpy_puts_them(
    bins: int, low: float, width: float
) -> None:
    edges = np.linspace(low, low + width, bins + 1)
    assume((np.diff(edges) > 0.0).all())
    values = beside(edges)
    expected = np.clip(np.searchsorted(edges, values, "right") - 1, 0, bins - 1)
    outside = int(np.count_nonzero((values < edges[0]) | (values > edges[-1])))
    for found, beyond in (place_in_bins(values, edges), place_in_any_bins(values, edges)):
        assert (found.tolist(), beyond) == (expected.tolist(), outside)
    counts, beyond = count_in_bins(values, edges)
    assert (counts.tolist(), beyond) == (np.bincount(expected, minlength=bins).tolist(), outside)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40, unique=True))
@settings(max_examples=100, deadline=None)
def test_values_at_and_beside_the_edges_of_uneven_bins_fall_where_numpy_puts_them(edges: list[float]) -> None:
    rising = np.sort(edges)
    values = beside(rising)
    expected = np.clip(np.searchsorted(rising, values, "right") - 1, 0, rising.size - 2)
    found, outside = place_in_bins(values, rising)
    assert found.tolist() == expected.tolist()
    assert outside == np.count_nonzero((values < rising[0]) | (values > rising[-1]))
    assert count_in_bins(values, rising)[0].tolist() == np.bincount(expected, minlength=rising.size - 1).tolist()
