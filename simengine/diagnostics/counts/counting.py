"""Compiled counting: values into bins, symbols into tables; the one way in which bins are assigned.

Blocks of values are placed first and counted after. Equal bins cost a nanosecond or two a value, others a search.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_BLOCK = 1024
# Up to so many states four tables stay in the processor's cache.
_FEW_STATES = 4096
# Equal bins of so many units in the last place of their ends: the product is off by one bin at most.
_WIDEST_ROUNDING = 16.0


@njit(cache=True, nogil=True, error_model="numpy")
def _block_places(values: Floats, low: float, high: float, bins: int, places: NDArray[np.uint32]) -> Any:
    """Enter the bins of a block of values; return how many lie outside. No branches, so that it runs in lanes.

    The product may be off by one bin within rounding of an edge: the edges decide. Not-a-number is put into bin 0.
    """
    width = (high - low) / bins
    scale, last = 1.0 / width, bins - 1.0
    inside = 0
    for k in range(values.size):
        value = values[k]
        place = np.floor((value - low) * scale)
        place = place if place > 0.0 else 0.0
        place = place if place < last else last
        place -= 1.0 if value < low + place * width else 0.0
        place += 1.0 if value >= low + (place + 1.0) * width else 0.0
        place = place if place > 0.0 else 0.0
        place = place if place < last else last
        places[k] = np.uint32(place)
        inside += int((value >= low) & (value <= high))
    return values.size - inside


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _new_tables(states: int) -> Integers:
    return np.zeros((4 if states <= _FEW_STATES else 1, states), np.int64)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _add(symbols: Any, size: int, tables: Integers) -> None:
    """Count the first symbols into tables in turn, so that equal ones in a row do not wait for one another."""
    whole = size - size % 4 if tables.shape[0] == 4 else 0
    for k in range(0, whole, 4):
        tables[0, symbols[k]] += 1
        tables[1, symbols[k + 1]] += 1
        tables[2, symbols[k + 2]] += 1
        tables[3, symbols[k + 3]] += 1
    for k in range(whole, size):
        tables[0, symbols[k]] += 1


@njit(cache=True, nogil=True, error_model="numpy")
def _summed(tables: Integers) -> Integers:
    for j in range(1, tables.shape[0]):
        tables[0] += tables[j]
    total: Integers = tables[0]
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def place_in_equal_bins(values: Floats, low: float, high: float, bins: int) -> tuple[Integers, int]:
    """Return the bin of each value, and how many values lie outside, or are no numbers; those count in the end bins.

    Bins are closed on the left, the last one on both sides; an edge is ``low + k ((high - low) / bins)``, which is how
    :func:`numpy.linspace` rounds it.
    """
    found = np.empty(values.size, np.int64)
    places = np.empty(_BLOCK, np.uint32)
    outside = 0
    for begin in range(0, values.size, _BLOCK):
        block = values[begin : begin + _BLOCK]
        outside += _block_places(block, low, high, bins, places)
        for k in range(block.size):
            found[begin + k] = np.int64(places[k])
    return found, outside


@njit(cache=True, nogil=True, error_model="numpy")
def count_in_equal_bins(values: Floats, low: float, high: float, bins: int) -> tuple[Integers, int]:
    """Return how many values each bin of :func:`place_in_equal_bins` holds, and how many lie outside."""
    tables = _new_tables(bins)
    places = np.empty(_BLOCK, np.uint32)
    outside = 0
    for begin in range(0, values.size, _BLOCK):
        block = values[begin : begin + _BLOCK]
        outside += _block_places(block, low, high, bins, places)
        _add(places, block.size, tables)
    return _summed(tables), outside


@njit(cache=True, nogil=True, error_model="numpy")
def place_in_any_bins(values: Floats, edges: Floats) -> tuple[Integers, int]:
    """Return the same for rising ``edges`` of any spacing, shape (K + 1,)."""
    bins = edges.size - 1
    low, high = edges[0], edges[bins]
    scale = bins / (high - low)
    found = np.empty(values.size, np.int64)
    inside = 0
    for i in range(values.size):
        value = values[i]
        inside += (value >= low) & (value <= high)
        # Where they would be if the bins were equal, or next to it; else a search.
        guess = (value - low) * scale
        guess = guess if guess > 0.0 else 0.0
        at = int(guess if guess < bins - 1.0 else bins - 1.0)
        at += int((value >= edges[at + 1]) & (at < bins - 1)) - int((value < edges[at]) & (at > 0))
        if (value < edges[at] and at > 0) or (value >= edges[at + 1] and at < bins - 1):
            at, beyond = 0, bins
            while beyond - at > 1:
                middle = (at + beyond) >> 1
                if value >= edges[middle]:
                    at = middle
                else:
                    beyond = middle
        found[i] = at
    return found, values.size - inside


@njit(cache=True, nogil=True, error_model="numpy")
def count_symbols(symbols: Integers, states: int) -> Integers:
    """Return how often each of the symbols 0 ... states - 1 occurs."""
    tables = _new_tables(states)
    _add(symbols, symbols.size, tables)
    return _summed(tables)


def place_in_bins(values: Floats, edges: Floats) -> tuple[Integers, int]:
    """Return the bin of each value, shape (n,), and how many lie outside; ``edges`` rise, shape (K + 1,)."""
    if _equal(edges):
        return place_in_equal_bins(values, float(edges[0]), float(edges[-1]), edges.size - 1)
    return place_in_any_bins(values, edges)


def count_in_bins(values: Floats, edges: Floats) -> tuple[Integers, int]:
    """Return how many values each bin holds, shape (K,), and how many lie outside; ``edges`` rise, shape (K + 1,)."""
    if _equal(edges):
        return count_in_equal_bins(values, float(edges[0]), float(edges[-1]), edges.size - 1)
    places, outside = place_in_any_bins(values, edges)
    return count_symbols(places, edges.size - 1), outside


def _equal(edges: Floats) -> bool:
    """Whether the edges are those of equal bins to the last bit, and far enough from each other."""
    low, high, bins = edges[0], edges[-1], edges.size - 1
    with np.errstate(over="ignore", invalid="ignore"):
        width = (high - low) / bins
        if not _WIDEST_ROUNDING * np.spacing(max(abs(low), abs(high))) < width < np.inf:
            return False
        return bool((edges[:-1] == low + np.arange(bins) * width).all())


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
