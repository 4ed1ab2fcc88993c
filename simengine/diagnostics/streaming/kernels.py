"""Compiled counting of states; the order of the agents does not matter."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit

Integers = NDArray[np.int64]


_BLOCK = 1024


@njit(cache=True, nogil=True, error_model="numpy")
def _block_bins(values: NDArray[np.float64], low: float, high: float, bins: int, index: NDArray[np.uint32]) -> Any:
    """Enter the bins of a block of values; return how many lay outside. No branches, so that it runs in lanes.

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
        index[k] = np.uint32(place)
        inside += int((value >= low) & (value <= high))
    return values.size - inside


@njit(cache=True, nogil=True, error_model="numpy")
def binned(values: NDArray[np.float64], low: float, high: float, bins: int) -> tuple[Integers, int]:
    """Return the bin of each value, and how many values lay outside; those count in the end bins.

    Bins are equal, closed on the left, the last one on both sides; an edge is ``low + k ((high - low) / bins)``.
    """
    found = np.empty(values.size, np.int64)
    index = np.empty(_BLOCK, np.uint32)
    outside = 0
    for begin in range(0, values.size, _BLOCK):
        block = values[begin : begin + _BLOCK]
        outside += _block_bins(block, low, high, bins, index)
        for k in range(block.size):
            found[begin + k] = np.int64(index[k])
    return found, outside


@njit(cache=True, nogil=True, error_model="numpy")
def binned_counts(values: NDArray[np.float64], low: float, high: float, bins: int) -> tuple[Integers, int]:
    """Return how many values each bin of :func:`binned` holds, and how many lay outside."""
    table = np.zeros((4, bins), np.int64)
    index = np.empty(_BLOCK, np.uint32)
    outside = 0
    for begin in range(0, values.size, _BLOCK):
        block = values[begin : begin + _BLOCK]
        outside += _block_bins(block, low, high, bins, index)
        whole = block.size - block.size % 4
        for k in range(0, whole, 4):
            table[0, index[k]] += 1
            table[1, index[k + 1]] += 1
            table[2, index[k + 2]] += 1
            table[3, index[k + 3]] += 1
        for k in range(whole, block.size):
            table[0, index[k]] += 1
    total: Integers = table.sum(axis=0)
    return total, outside


@njit(cache=True, nogil=True, error_model="numpy")
def shifted(values: Integers, states: int) -> tuple[Integers, int]:
    """Return whole numbers from 0 to ``states - 1``, and how many lay outside; those count as the end states."""
    found = np.empty(values.size, np.int64)
    outside = 0
    for i in range(values.size):
        found[i] = min(max(values[i], 0), states - 1)
        outside += found[i] != values[i]
    return found, outside


@njit(cache=True, nogil=True, error_model="numpy")
def counted(symbols: Integers, states: int) -> Integers:
    """Count how often each state occurs; four tables, so that equal neighbours do not wait for each other."""
    table = np.zeros((4, states), np.int64)
    whole = symbols.size - symbols.size % 4
    for i in range(0, whole, 4):
        table[0, symbols[i]] += 1
        table[1, symbols[i + 1]] += 1
        table[2, symbols[i + 2]] += 1
        table[3, symbols[i + 3]] += 1
    for i in range(whole, symbols.size):
        table[0, symbols[i]] += 1
    total: Integers = table.sum(axis=0)
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def transitions(past: Integers, now: Integers, states: int, pasts: int) -> Integers:
    """Count pairs of a past, from 0 to ``pasts - 1`` (negative: not known), and a state: (pasts, states)."""
    table = np.zeros((pasts, states), np.int64)
    for i in range(now.size):
        if past[i] >= 0:
            table[past[i], now[i]] += 1
    return table


@njit(cache=True, nogil=True, error_model="numpy")
def remembered(past: Integers, now: Integers, states: int, history: int) -> tuple[Integers, Integers]:
    """Return the past of each agent as one number, -1 where it is not known, and its past at the next record.

    ``past`` has a digit for each record to the base ``states + 1``, the latest in the lowest place; 0 stands for "was
    not there". The number returned has digits to the base ``states``.
    """
    base = states + 1
    top = base ** (history - 1)
    code, following = np.empty(now.size, np.int64), np.empty(now.size, np.int64)
    for i in range(now.size):
        rest, found, place = past[i], 0, 1
        for _ in range(history):
            digit = rest % base
            rest //= base
            found = found + (digit - 1) * place if digit > 0 and found >= 0 else -1
            place *= states
        code[i] = found
        following[i] = (past[i] % top) * base + now[i] + 1
    return code, following


@njit(cache=True, nogil=True, error_model="numpy")
def influences(
    source: Integers, target: Integers, source_past: Integers, target_past: Integers, now: Integers, sizes: Any
) -> Integers:
    """Count (past of the target, past of the source, state of the target) over directed edges.

    ``sizes`` are the numbers of pasts of target and source and of states; edges of agents without a known past do not
    count.
    """
    table = np.zeros((sizes[0], sizes[1], sizes[2]), np.int64)
    for edge in range(source.size):
        i, j = source[edge], target[edge]
        if source_past[i] >= 0 and target_past[j] >= 0:
            table[target_past[j], source_past[i], now[j]] += 1
    return table
