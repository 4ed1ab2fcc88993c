"""Compiled sums of a sliding window of symbols.

Terms are whole multiples of a power of two, so that sums of them are exact: what entered leaves without a trace, and a
sum depends on the counts alone, not on the way to them.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit
from simengine.diagnostics.counts.kernels import GRASSBERGER, GRASSBERGER_1988, MILLER_MADOW, count_term

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

TERMS = 4
"""Sums that are kept: of the estimator's terms, n ln n, n ln^2 n, and the second-order excess of the variance."""


@njit(cache=True, nogil=True, error_model="numpy")
def binary_places(window: int) -> int:
    """Return how many binary places the terms have, so that no sum overflows."""
    largest = window * (1.0 + math.log(float(window))) ** 2
    return min(52, 61 - math.ceil(math.log(largest) / math.log(2.0)))


@njit(cache=True, nogil=True, error_model="numpy")
def changes(window: int, kind: int) -> Counts:
    """Return by how much the terms grow from n to n + 1, n = 0 ... window - 1, shape (window, 4), in binary places."""
    scale = 2.0 ** binary_places(window)
    found = np.empty((window, TERMS), np.int64)
    before = np.zeros(TERMS, np.int64)
    for n in range(1, window + 1):
        logarithm = math.log(float(n))
        term = count_term(n, kind)
        after = (term, n * logarithm, n * logarithm * logarithm, min(0.4, 0.5 / n))
        for i in range(TERMS):
            rounded = np.int64(round(after[i] * scale))
            found[n - 1, i] = rounded - before[i]
            before[i] = rounded
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def push(
    symbols: Counts, ring: Counts, pushed: int, counts: Counts, having: Counts, sums: Counts, changed: Counts
) -> int:
    """Move a window on by some symbols; return how many were pushed in all.

    Parameters
    ----------
    symbols
        The new ones, in their order.
    ring, pushed
        The symbols in the window, shape (window,), and how many were ever pushed.
    counts, having
        How often each state is in the window, and how many states are in it n times, shape (window + 1,).
    sums
        The sums, and the greatest count: shape (5,).
    changed
        See :func:`changes`.
    """
    window = ring.size
    place = pushed % window
    first, second, third, fourth, most = sums[0], sums[1], sums[2], sums[3], sums[4]
    for i in range(symbols.size):
        new = symbols[i]
        if pushed >= window:
            old = ring[place]
            n = counts[old]
            counts[old] = n - 1
            having[n] -= 1
            having[n - 1] += 1
            if having[most] == 0:
                most -= 1
            first -= changed[n - 1, 0]
            second -= changed[n - 1, 1]
            third -= changed[n - 1, 2]
            fourth -= changed[n - 1, 3]
        ring[place] = new
        n = counts[new]
        counts[new] = n + 1
        having[n] -= 1
        having[n + 1] += 1
        most = max(most, n + 1)
        first += changed[n, 0]
        second += changed[n, 1]
        third += changed[n, 2]
        fourth += changed[n, 3]
        pushed += 1
        place += 1
        if place == window:
            place = 0
    sums[0], sums[1], sums[2], sums[3], sums[4] = first, second, third, fourth, most
    return pushed


@njit(cache=True, nogil=True, error_model="numpy")
def window_moments(sums: Counts, having: Counts, states: int, n: int, places: int, kind: int) -> Floats:
    """Return value, variance, states seen, states seen once and the greatest count of a window of n symbols.

    The variance is that of :func:`.kernels.variance_of`.
    """
    found = np.empty(5)
    seen, singles = states - having[0], np.int64(0)
    if having.size > 1:
        singles = having[1]
    found[0], found[1], found[2], found[3], found[4] = math.nan, math.nan, seen, singles, sums[4]
    if n == 0:
        return found
    if seen <= 1:
        found[0], found[1] = 0.0, 0.0
        return found
    unit = 0.5**places
    value = math.log(float(n)) - sums[0] * unit / n
    if kind == MILLER_MADOW:
        value += (seen - 1.0) / (2.0 * n)
    mean = sums[1] * unit / n
    spread = max(sums[2] * unit / n - mean * mean, 0.0)
    steps = 0.25 if kind == GRASSBERGER else 1.0 if kind == GRASSBERGER_1988 else 0.0
    second = (0.5 + steps) * seen + sums[3] * unit - 0.5
    if seen == 2:
        second += 2.0 * steps
    square = 1.0 / (float(n) * float(n))
    surplus = max(seen - 2 * singles - 1, 0)
    free = n - min(seen + singles, n // 2)
    found[0], found[1] = value, max(spread / free - square * surplus, 0.0) + square * second
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def slide(symbols: Counts, states: int, window: int, kind: int) -> Floats:
    """Return :func:`window_moments` of each full window of a series, shape (T - window + 1, 5)."""
    changed, places = changes(window, kind), binary_places(window)
    ring, counts, having = np.zeros(window, np.int64), np.zeros(states, np.int64), np.zeros(window + 1, np.int64)
    having[0] = states
    sums = np.zeros(TERMS + 1, np.int64)
    found = np.empty((symbols.size - window + 1, 5))
    pushed = push(symbols[:window], ring, 0, counts, having, sums, changed)
    found[0] = window_moments(sums, having, states, window, places, kind)
    for t in range(window, symbols.size):
        pushed = push(symbols[t : t + 1], ring, pushed, counts, having, sums, changed)
        found[t - window + 1] = window_moments(sums, having, states, window, places, kind)
    return found
