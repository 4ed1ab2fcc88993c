"""Slabs: space cut across one axis, who is in which, and who lies within reach of which."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit


@njit(cache=True, nogil=True, error_model="numpy")
def slab_of(x: float, borders: NDArray[np.float64]) -> int:
    """The slab that holds a coordinate: ``borders[s] <= x < borders[s + 1]``."""
    low, high = 0, borders.shape[0] - 1
    while high - low > 1:
        middle = (low + high) // 2
        if x < borders[middle]:
            high = middle
        else:
            low = middle
    return low


@njit(cache=True, nogil=True, error_model="numpy")
def owners(x: NDArray[np.float64], borders: NDArray[np.float64]) -> NDArray[np.int32]:
    """The slab of each coordinate; ``borders`` ascend from minus to plus infinity, one more than there are slabs."""
    found = np.empty(x.shape[0], np.int32)
    for i in range(x.shape[0]):
        found[i] = slab_of(x[i], borders)
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def outside(x: NDArray[np.float64], low: float, high: float) -> NDArray[np.int64]:
    """List the places of the coordinates that are not in ``low <= x < high``, ascending."""
    found = np.empty(x.shape[0] + 1, np.int64)
    number = 0
    for i in range(x.shape[0]):
        found[number] = i
        number += 0 if low <= x[i] < high else 1
    return found[:number].copy()


@njit(cache=True, nogil=True, error_model="numpy")
def reaches(x: float, low: float, high: float, reach: float, period: float) -> bool:
    """Whether a coordinate, or an image of it a period away, lies within ``reach`` of the interval."""
    if low - reach <= x <= high + reach:
        return True
    if period > 0.0:
        return low - reach <= x - period <= high + reach or low - reach <= x + period <= high + reach
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def reached_slabs(
    x: NDArray[np.float64], borders: NDArray[np.float64], own: int, reach: float, period: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """List the agents of slab ``own`` that lie within reach of each other slab.

    Parameters
    ----------
    x
        Coordinates of the agents, all in slab ``own``.
    borders
        Ends of the slabs, see :func:`owners`.
    reach, period
        How far agents are seen, and the period of the axis, 0 for none.

    Returns
    -------
    slots, starts
        Those within reach of slab s are ``slots[starts[s]:starts[s + 1]]``, ascending.
    """
    slabs = borders.shape[0] - 1
    # The outermost slabs go on for ever, or, on a periodic axis, up to where they meet.
    low, high = borders[:-1].copy(), borders[1:].copy()
    if period > 0.0:
        low[0], high[slabs - 1] = 0.0, period
    counts = np.zeros(slabs + 1, np.int64)
    if reach <= 0.0:
        return np.empty(0, np.int64), counts
    # Most are far from the ends of their own slab, and nobody else sees them.
    near = np.empty(x.shape[0] + 1, np.int64)
    inner_low, inner_high = low[own] + reach, high[own] - reach
    found = 0
    for i in range(x.shape[0]):
        near[found] = i
        found += 0 if inner_low < x[i] < inner_high else 1
    for k in range(found):
        for slab in range(slabs):
            if slab != own and reaches(x[near[k]], low[slab], high[slab], reach, period):
                counts[slab + 1] += 1
    starts = np.cumsum(counts)
    slots = np.empty(starts[slabs], np.int64)
    filled = starts.copy()
    for k in range(found):
        i = near[k]
        for slab in range(slabs):
            if slab != own and reaches(x[i], low[slab], high[slab], reach, period):
                slots[filled[slab]] = i
                filled[slab] += 1
    return slots, starts
