"""Compiled counting of states; the order of the agents does not matter."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit

Integers = NDArray[np.int64]


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
