"""Compiled counting: values into bins, symbols into tables."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit

_LARGEST = 1.7976931348623157e308
_BLOCK = 512
# Above the rounding of the product in parts of a bin, and below a bin; edges far from 0 are rounded more.
_NEAR = 1e-6
_ROUNDING = 2e-15


@njit(cache=True, nogil=True, error_model="numpy")
def count_in_equal_bins(values: NDArray[np.float64], edges: NDArray[np.float64]) -> tuple[NDArray[np.int64], int, int]:
    """Return how many values each bin holds, how many of them lie outside, and how many are not finite.

    Bins are closed on the left, the last one on both sides; values outside count in the end bins. ``edges`` are
    equally spaced, shape (K + 1,). Blocks of values are multiplied first and counted after, into four tables in turn,
    so that equal values in a row do not wait for one another; only a block with values within rounding of an edge,
    where the product may be off by one bin, is compared with the edges.
    """
    bins = edges.size - 1
    low, high = edges[0], edges[bins]
    scale = bins / (high - low)
    close = max(_NEAR, _ROUNDING * max(abs(low), abs(high)) * scale)
    inner = edges.copy()
    inner[0], inner[bins] = -np.inf, np.inf
    tables = np.zeros((4, bins), np.int64)
    places = np.empty(_BLOCK, np.int32)
    outside, bad = 0, 0
    for start in range(0, values.size, _BLOCK):
        size = min(_BLOCK, values.size - start)
        near = 0
        for i in range(size):
            value = values[start + i]
            outside += (value < low) | (value > high)
            # Half a bin from the ends is far from any inner edge, so that values outside do not count as near.
            scaled = min(max((value - low) * scale, 0.25), bins - 0.5)
            place = np.int32(scaled)
            part = scaled - place
            places[i] = place
            near += (part < close) | (part > 1.0 - close) | (not (abs(value) <= _LARGEST))
        if near:
            for i in range(size):
                value = values[start + i]
                bad += not (abs(value) <= _LARGEST)
                at = max(min(int(places[i]), bins - 1), 0)
                places[i] = at - (value < inner[at]) + (value >= inner[at + 1])
        whole = size - size % 4
        for i in range(0, whole, 4):
            tables[0, places[i]] += 1
            tables[1, places[i + 1]] += 1
            tables[2, places[i + 2]] += 1
            tables[3, places[i + 3]] += 1
        for i in range(whole, size):
            tables[0, places[i]] += 1
    for j in range(1, 4):
        for k in range(bins):
            tables[0, k] += tables[j, k]
    return tables[0], outside, bad


@njit(cache=True, nogil=True, error_model="numpy")
def place_in_bins(values: NDArray[np.float64], edges: NDArray[np.float64]) -> tuple[NDArray[np.int64], int]:
    """Return the bin of each value, shape (n,), and how many lie outside; edges of any spacing, values finite."""
    bins = edges.size - 1
    found = np.empty(values.size, np.int64)
    outside = 0
    for i in range(values.size):
        value = values[i]
        outside += (value < edges[0]) | (value > edges[bins])
        low, high = 0, bins
        while high - low > 1:
            middle = (low + high) >> 1
            if value >= edges[middle]:
                low = middle
            else:
                high = middle
        found[i] = low
    return found, outside


@njit(cache=True, nogil=True, error_model="numpy")
def count_symbols(symbols: NDArray[np.int64], states: int) -> NDArray[np.int64]:
    """Return how often each of the symbols 0 ... states - 1 occurs."""
    found = np.zeros(states, np.int64)
    for i in range(symbols.size):
        found[symbols[i]] += 1
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def number_labels(labels: NDArray[np.int64], low: int, span: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return 0, 1, ... for labels from ``low`` to ``low + span - 1`` in ascending order, and the labels that occur."""
    number = np.zeros(span, np.int64)
    for i in range(labels.size):
        number[labels[i] - low] = 1
    states = 0
    for k in range(span):
        states += number[k]
        number[k] = states - 1 if number[k] else -1
    kept = np.empty(states, np.int64)
    for k in range(span):
        if number[k] >= 0:
            kept[number[k]] = k + low
    found = np.empty(labels.size, np.int64)
    for i in range(labels.size):
        found[i] = number[labels[i] - low]
    return found, kept
