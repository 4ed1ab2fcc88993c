"""Compiled ordinal patterns: the order of a value among those before it, for series and for agents as they go.

Pattern of m values x_0, ..., x_{m-1}, oldest first: the number with digits d_j = how many of x_0, ..., x_{j-1} are
greater than x_j, in base j + 1, most significant first. It lies in 0, ..., m! - 1; 0 is ascending. Of equal values
the earlier one counts as the smaller.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]


@njit(cache=True, nogil=True, error_model="numpy")
def patterns(values: Floats, order: int, lag: int) -> tuple[Codes, int]:
    """Return the pattern of each window of a series, shape (m, T - (order - 1) lag), and how many have equal values."""
    rows, steps = values.shape
    windows = steps - (order - 1) * lag
    codes = np.empty((rows, windows), np.int64)
    ties = 0
    for i in range(rows):
        for t in range(windows):
            code, equal = 0, 0
            for j in range(1, order):
                newest = values[i, t + j * lag]
                digit = 0
                for other in range(j):
                    digit += values[i, t + other * lag] > newest
                    equal += values[i, t + other * lag] == newest
                code = code * (j + 1) + digit
            codes[i, t] = code
            ties += equal > 0
    return codes, ties


@njit(cache=True, nogil=True, error_model="numpy")
def count_patterns(ring: Floats, newest: int, order: int, lag: int, counts: Codes) -> None:
    """Add one to the count of the pattern that ends with each agent's newest value.

    Parameters
    ----------
    ring
        The last values of all agents, shape (rows, agents), rows >= (order - 1) lag + 1, overwritten in turn: the
        row after the newest is the oldest.
    newest
        The row of the newest values.
    order, lag
        Length of the patterns and steps between their values.
    counts
        Shape (order!,), or (agents, order!) to count each agent for itself; changed in place.
    """
    rows, agents = ring.shape
    each = counts.size // agents if counts.ndim == 2 else 0
    flat = counts.reshape(-1)
    places = np.empty(order, np.int64)
    for j in range(order):
        places[j] = (newest - (order - 1 - j) * lag) % rows
    for i in range(agents):
        code = 0
        for j in range(1, order):
            value = ring[places[j], i]
            digit = 0
            for other in range(j):
                digit += ring[places[other], i] > value
            code = code * (j + 1) + digit
        flat[i * each + code] += 1


@njit(cache=True, nogil=True, error_model="numpy")
def overlap_variances(codes: Codes, states: int, reach: int) -> tuple[Codes, Floats]:
    """Return the counts of all states, and n times the variances of their shares, from the next ``reach`` lags.

    Windows that overlap share values, so that their patterns hang together even where the values do not.
    """
    rows, windows = codes.shape
    counts = np.zeros(states, np.int64)
    again = np.zeros(states)
    for i in range(rows):
        for t in range(windows):
            code = codes[i, t]
            counts[code] += 1
            for j in range(1, min(reach, windows - 1 - t) + 1):
                again[code] += codes[i, t + j] == code
    n = float(codes.size)
    variances = np.zeros(states)
    pairs = 0.0
    for j in range(1, min(reach, windows - 1) + 1):
        pairs += rows * (windows - j)
    for k in range(states):
        share = counts[k] / n
        variances[k] = max(share * (1.0 - share) + 2.0 * (again[k] - pairs * share * share) / n, 0.0)
    return counts, variances
