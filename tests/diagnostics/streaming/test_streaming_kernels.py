"""Compiled counting agrees with plain counting, at edges and beyond them."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine.diagnostics.streaming.kernels import binned, binned_counts, counted, remembered, transitions

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
    found, outside = binned(array, low, high, bins)
    for value, place in zip(array, found, strict=True):
        assert 0 <= place < bins
        assert value >= edges[place] or place == 0
        assert value < low + (place + 1) * step or place == bins - 1
    assert outside == sum(not low <= value <= high for value in array)
    counts, beyond = binned_counts(array, low, high, bins)
    assert counts.tolist() == np.bincount(found, minlength=bins).tolist()
    assert beyond == outside


def test_what_is_no_number_is_counted_as_outside() -> None:
    counts, outside = binned_counts(np.array([math.nan, math.inf, -math.inf, 0.5]), 0.0, 1.0, 4)
    assert counts.sum() == 4
    assert outside == 3


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=50))
def test_counts_are_those_of_numpy(symbols: list[int]) -> None:
    assert counted(np.array(symbols, np.int64), 7).tolist() == np.bincount(symbols, minlength=7).tolist()


@settings(max_examples=50, deadline=None)
@given(
    series=st.lists(st.lists(st.integers(-1, 2), min_size=5, max_size=5), min_size=2, max_size=8),
    history=st.integers(1, 3),
)
def test_a_past_is_known_when_an_agent_was_there_all_the_time(series: list[list[int]], history: int) -> None:
    states = 3
    past = np.zeros(5, np.int64)
    for record, row in enumerate(series):
        code, following = remembered(past, np.array(row, np.int64), states, history)
        for agent in range(5):
            before = [series[record - back][agent] for back in range(1, history + 1) if record - back >= 0]
            known = len(before) == history and min(before) >= 0
            assert code[agent] == (sum(one * states**place for place, one in enumerate(before)) if known else -1)
        # Agents of state -1 are those who are not there: their past is a digit 0.
        past = following
    now = np.array([0, 1, 2, 0, 1])
    assert transitions(np.array([0, -1, 1, 1, 0]), now, 3, 2).tolist() == [[1, 1, 0], [1, 0, 1]]
