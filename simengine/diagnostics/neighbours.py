"""Exact distances to the five nearest neighbours in three dimensions, periodic or open.

Points are put into blocks of 16 that lie close together (sort-tile-recursive packing: Leutenegger, Lopez & Edgington
1997), and a block is compared only with blocks whose bounding boxes are near enough. This suits schools of
any shape and density, where a grid of cells would not: a tight school in a wide box would share a single cell. The blocks
decide only which pairs are looked at, never a distance, so the result does not depend on them.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

NEIGHBOURS = 5
"""Number of neighbours; fixed, so that the loops over it can be unrolled."""

_BLOCK = 16
# Rounding in the gap between two bounding boxes must not hide a pair that is nearer by an ulp.
_SLACK = 1.0 - 1e-12


@njit(cache=True, nogil=True, error_model="numpy")
def _tiled_order(position: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return an order of the points in which every run of ``_BLOCK`` lies close together."""
    n = position.shape[0]
    tiles = int(math.ceil((n / _BLOCK) ** (1.0 / 3.0)))
    order = np.arange(n)
    for axis in range(3):
        run = n if axis == 0 else _BLOCK * tiles ** (3 - axis)
        for start in range(0, n, run):
            part = order[start : start + run].copy()
            order[start : start + run] = part[np.argsort(position[part, axis])]
    return order


@njit(cache=True, nogil=True, error_model="numpy")
def _gap(low_a: float, high_a: float, low_b: float, high_b: float, box: float) -> float:
    """Return the least distance between two intervals inside ``[0, box]``, across the border if that is nearer."""
    inside = max(low_a - high_b, low_b - high_a, 0.0)
    across = max(box - max(high_a, high_b) + min(low_a, low_b), 0.0)
    return min(inside, across)


@njit(cache=True, nogil=True, error_model="numpy")
def _squared_gap(
    low_a: tuple[float, float, float],
    high_a: tuple[float, float, float],
    low_b: tuple[float, float, float],
    high_b: tuple[float, float, float],
    box: float,
) -> float:
    """Return a lower bound of the squared distance between a point of one bounding box and one of another."""
    x = _gap(low_a[0], high_a[0], low_b[0], high_b[0], box)
    y = _gap(low_a[1], high_a[1], low_b[1], high_b[1], box)
    z = _gap(low_a[2], high_a[2], low_b[2], high_b[2], box)
    return (x * x + y * y + z * z) * _SLACK


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
    x, y, z = point[0], point[1], point[2]
    x_i, y_i, z_i = x[i], y[i], z[i]
    for j in range(_BLOCK):
        dx = abs(x[begin + j] - x_i)
        dy = abs(y[begin + j] - y_i)
        dz = abs(z[begin + j] - z_i)
        dx = min(dx, box - dx)
        dy = min(dy, box - dy)
        dz = min(dz, box - dz)
        squared[j] = dx * dx + dy * dy + dz * dz
    if begin <= i < begin + _BLOCK:
        squared[i - begin] = np.inf
    last = NEIGHBOURS - 1
    for j in range(_BLOCK):
        value = squared[j]
        if value < nearest[i, last]:
            for place in range(last, 0, -1):
                nearest[i, place] = max(nearest[i, place - 1], min(nearest[i, place], value))
            nearest[i, 0] = min(nearest[i, 0], value)


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
    n = position.shape[0]
    order = _tiled_order(position)
    blocks = (n + _BLOCK - 1) // _BLOCK
    # The last block is filled up with NaN, which is nearer than nothing.
    point = np.full((3, blocks * _BLOCK), np.nan)
    for i in range(n):
        for axis in range(3):
            point[axis, i] = position[order[i], axis]
    low, high = np.empty((blocks, 3)), np.empty((blocks, 3))
    for a in range(blocks):
        for axis in range(3):
            members = point[axis, a * _BLOCK : min((a + 1) * _BLOCK, n)]
            low[a, axis], high[a, axis] = members.min(), members.max()

    nearest = np.full((n, NEIGHBOURS), np.inf)
    squared = np.empty(_BLOCK)
    for a in range(blocks):
        members_of_a = range(a * _BLOCK, min((a + 1) * _BLOCK, n))
        reach = 0.0
        for i in members_of_a:
            _visit(i, a * _BLOCK, point, box, squared, nearest)
            reach = max(reach, nearest[i, NEIGHBOURS - 1])
        low_a, high_a = (low[a, 0], low[a, 1], low[a, 2]), (high[a, 0], high[a, 1], high[a, 2])
        for b in range(blocks):
            low_b, high_b = (low[b, 0], low[b, 1], low[b, 2]), (high[b, 0], high[b, 1], high[b, 2])
            if b == a or _squared_gap(low_a, high_a, low_b, high_b, box) > reach:
                continue
            reach = 0.0
            for i in members_of_a:
                here = (point[0, i], point[1, i], point[2, i])
                if _squared_gap(here, here, low_b, high_b, box) <= nearest[i, NEIGHBOURS - 1]:
                    _visit(i, b * _BLOCK, point, box, squared, nearest)
                reach = max(reach, nearest[i, NEIGHBOURS - 1])

    distances = np.empty((n, NEIGHBOURS))
    for i in range(n):
        for place in range(NEIGHBOURS):
            distances[order[i], place] = math.sqrt(nearest[i, place])
    return distances
