"""Numbers in ascending order, and their ranks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit


class Order(NamedTuple):
    """Numbers in ascending order, and the row of each; equal ones in any order."""

    rows: NDArray[np.int64]
    ascending: NDArray[np.float64]


def order(values: NDArray[np.float64]) -> Order:
    """Return numbers of shape (n,) in ascending order."""
    # Both steps are faster on contiguous numbers.
    values = np.ascontiguousarray(values)
    rows = np.argsort(values)
    return Order(rows, values[rows])


@njit(cache=True, nogil=True, error_model="numpy")
def mean_ranks(ascending: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rank of each of ascending numbers, from 1 on; equal ones have the mean of theirs."""
    n = len(ascending)
    found = np.empty(n)
    begin = 0
    while begin < n:
        end = begin + 1
        while end < n and ascending[end] == ascending[begin]:
            end += 1
        for i in range(begin, end):
            found[i] = 0.5 * (begin + 1 + end)
        begin = end
    return found
