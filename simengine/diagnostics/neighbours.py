"""Exact distances to the five nearest neighbours in three dimensions, periodic or open.

Up to a few hundred points all pairs are looked at. Beyond that, points are put into blocks of 16 that lie
close together (sort-tile-recursive packing: Leutenegger, Lopez & Edgington 1997), and a block is compared
only with blocks whose bounding boxes are near enough. This suits schools of any shape and density, where a
grid of cells would not: a tight school in a wide box would share a single cell. Both ways see the same
distances, so the result does not depend on the way.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit

NEIGHBOURS = 5
"""Number of neighbours; fixed, so that the loops over it can be unrolled."""

_LAST = NEIGHBOURS - 1
_ALL_PAIRS_UP_TO = 400
_BLOCK = 16
# Rounding in the gap between two bounding boxes must not hide a pair that is nearer by an ulp.
_SLACK = 1.0 - 1e-12


@njit(cache=True, nogil=True, error_model="numpy")
def _squared_distances(
    i: int, begin: int, count: int, point: NDArray[np.float64], box: float, squared: NDArray[np.float64]
) -> None:
    """Enter the squared distances from point ``i`` to ``count`` points (``inf`` to itself)."""
    x, y, z = point[0], point[1], point[2]
    x_i, y_i, z_i = x[i], y[i], z[i]
    for j in range(count):
        dx = abs(x[begin + j] - x_i)
        dy = abs(y[begin + j] - y_i)
        dz = abs(z[begin + j] - z_i)
        dx = min(dx, box - dx)
        dy = min(dy, box - dy)
        dz = min(dz, box - dz)
        squared[j] = dx * dx + dy * dy + dz * dz
    if begin <= i < begin + count:
        squared[i - begin] = np.inf


@njit(cache=True, nogil=True, error_model="numpy")
def _insert(value: float, nearest: NDArray[np.float64], i: int) -> None:
    """Insert ``value`` into the ascending row ``i`` of ``nearest``; the greatest drops out."""
    for place in range(_LAST, 0, -1):
        nearest[i, place] = max(nearest[i, place - 1], min(nearest[i, place], value))
    nearest[i, 0] = min(nearest[i, 0], value)


@njit(cache=True, nogil=True, error_model="numpy")
def _from_all_pairs(position: NDArray[np.float64], box: float) -> NDArray[np.float64]:
    """Return the squared distances to the nearest others, ascending, from all pairs.

    The fifth smallest of the minima of 16 interleaved lanes bounds the fifth smallest of all, so only lanes
    whose minimum is within it are searched.
    """
    n = position.shape[0]
    rows = (n + _BLOCK - 1) // _BLOCK
    point = np.full((3, rows * _BLOCK), np.nan)
    for axis in range(3):
        point[axis, :n] = position[:, axis]
    squared = np.full(rows * _BLOCK, np.inf)
    least = np.empty(_BLOCK)
    bound = np.empty((1, NEIGHBOURS))
    nearest = np.full((n, NEIGHBOURS), np.inf)
    for i in range(n):
        _squared_distances(i, 0, n, point, box, squared)
        least[:] = squared[:_BLOCK]
        for row in range(1, rows):
            for lane in range(_BLOCK):
                least[lane] = min(least[lane], squared[row * _BLOCK + lane])
        bound[:] = np.inf
        for lane in range(_BLOCK):
            _insert(least[lane], bound, 0)
        for lane in range(_BLOCK):
            if least[lane] <= bound[0, _LAST]:
                for row in range(rows):
                    value = squared[row * _BLOCK + lane]
                    if value <= bound[0, _LAST]:
                        _insert(value, nearest, i)
    return nearest


@njit(cache=True, nogil=True, error_model="numpy")
def _tiled_order(position: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return an order of the points in which every run of ``_BLOCK`` lies close together."""
    n = position.shape[0]
    tiles = math.ceil((n / _BLOCK) ** (1.0 / 3.0))
    order = np.arange(n)
    for axis in range(3):
        run = n if axis == 0 else _BLOCK * tiles ** (3 - axis)
        for start in range(0, n, run):
            part = order[start : start + run].copy()
            order[start : start + run] = part[np.argsort(position[part, axis])]
    return order


@njit(cache=True, nogil=True, error_model="numpy")
def _squared_gaps(
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    lows: NDArray[np.float64],
    highs: NDArray[np.float64],
    count: int,
    box: float,
    squared: NDArray[np.float64],
) -> None:
    """Enter lower bounds of the squared distances from one bounding box to ``count`` others into ``squared``.

    ``low`` and ``high``, shape (3,), are the corners of the one; ``lows`` and ``highs``, shape (3, M), have
    those of the others as their first ``count`` columns.
    """
    squared[:count] = 0.0
    for axis in range(3):
        low_a, high_a = low[axis], high[axis]
        low_b, high_b = lows[axis], highs[axis]
        for b in range(count):
            inside = max(low_a - high_b[b], low_b[b] - high_a)
            across = box - max(high_a, high_b[b]) + min(low_a, low_b[b])
            gap = max(min(inside, across), 0.0)
            squared[b] += gap * gap * _SLACK


@njit(cache=True, nogil=True, error_model="numpy")
def _visit(
    i: int,
    begin: int,
    point: NDArray[np.float64],
    box: float,
    squared: NDArray[np.float64],
    nearest: NDArray[np.float64],
) -> None:
    """Enter the block that starts at ``begin`` into row ``i`` of ``nearest``, ascending squared distances."""
    _squared_distances(i, begin, _BLOCK, point, box, squared)
    for j in range(_BLOCK):
        if squared[j] < nearest[i, _LAST]:
            _insert(squared[j], nearest, i)


@njit(cache=True, nogil=True, error_model="numpy")
def _from_blocks(position: NDArray[np.float64], box: float) -> NDArray[np.float64]:
    """Return the squared distances to the nearest others, ascending, from near blocks only."""
    n = position.shape[0]
    order = _tiled_order(position)
    blocks = (n + _BLOCK - 1) // _BLOCK
    # The last block is filled up with NaN, which is nearer than nothing.
    point = np.full((3, blocks * _BLOCK), np.nan)
    low, high = np.empty((3, blocks)), np.empty((3, blocks))
    for axis in range(3):
        for i in range(n):
            point[axis, i] = position[order[i], axis]
        for a in range(blocks):
            members = point[axis, a * _BLOCK : min((a + 1) * _BLOCK, n)]
            low[axis, a], high[axis, a] = members.min(), members.max()

    found = np.full((n, NEIGHBOURS), np.inf)
    squared = np.empty(_BLOCK)
    gap = np.empty(blocks)
    near_block = np.empty(blocks, np.int64)
    near_low, near_high = np.empty((3, blocks)), np.empty((3, blocks))
    for a in range(blocks):
        members_of_a = range(a * _BLOCK, min((a + 1) * _BLOCK, n))
        reach = 0.0
        for i in members_of_a:
            _visit(i, a * _BLOCK, point, box, squared, found)
            reach = max(reach, found[i, _LAST])
        _squared_gaps(low[:, a], high[:, a], low, high, blocks, box, gap)
        count = 0
        for b in range(blocks):
            if b != a and gap[b] <= reach:
                near_block[count] = b
                for axis in range(3):
                    near_low[axis, count], near_high[axis, count] = low[axis, b], high[axis, b]
                count += 1
        for i in members_of_a:
            _squared_gaps(point[:, i], point[:, i], near_low, near_high, count, box, gap)
            for b in range(count):
                if gap[b] <= found[i, _LAST]:
                    _visit(i, near_block[b] * _BLOCK, point, box, squared, found)

    nearest = np.empty((n, NEIGHBOURS))
    for i in range(n):
        nearest[order[i]] = found[i]
    return nearest


@njit(cache=True, nogil=True, error_model="numpy")
def nearest_distances(position: NDArray[np.float64], box: float) -> NDArray[np.float64]:
    """Return the distances from each point to its five nearest others, ascending; shape (N, 5).

    Parameters
    ----------
    position
        Shape (N, 3), N >= 1; within ``[0, box]`` on every axis if ``box`` is finite.
    box
        Side of the periodic cube (minimum image), or ``inf`` for open space.

    Returns
    -------
    distances
        In the unit of the positions; ``inf`` where a point has fewer than five others.
    """
    if position.shape[0] <= _ALL_PAIRS_UP_TO:
        return np.sqrt(_from_all_pairs(position, box))
    return np.sqrt(_from_blocks(position, box))
