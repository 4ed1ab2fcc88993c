"""Compiled counts of the others around each agent, by class of distance and by category.

All counts are whole numbers, so that neither the order of agents nor the way they are found shows in any result.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

MOST_COUNTED = 1 << 27
"""Cells at most of a table of agents by classes; it takes up to 1 GiB."""

_ALL_PAIRS_UP_TO = 300
_MOST_CELLS = 128


@njit(cache=True, nogil=True, error_model="numpy")
def _enter(
    i: int, j: int, points: Floats, period: Floats, edges: Floats, labels: Counts, categories: int,
    rows: NDArray[np.int32],
) -> None:  # fmt: skip
    """Count agents ``i`` and ``j`` for one another, if they are near enough."""
    squared = 0.0
    for axis in range(3):
        apart = abs(points[i, axis] - points[j, axis])
        if period[axis] > 0.0 and apart > 0.5 * period[axis]:
            apart = abs(apart - period[axis])
        squared += apart * apart
    distance = math.sqrt(squared)
    last = edges.size - 1
    if distance < edges[0] or distance >= edges[last]:
        return
    low, high = 0, last
    while high - low > 1:
        middle = (low + high) >> 1
        if distance >= edges[middle]:
            low = middle
        else:
            high = middle
    rows[i, low * categories + labels[j]] += 1
    rows[j, low * categories + labels[i]] += 1


@njit(cache=True, nogil=True, error_model="numpy")
def neighbour_rows(points: Floats, period: Floats, edges: Floats, labels: Counts, categories: int) -> NDArray[np.int32]:
    """Return how many others of each category each agent has in each class of distance.

    Parameters
    ----------
    points
        Shape (n, 3); axes that are not there hold zeros. Within [0, period) on periodic axes.
    period
        Of each axis, 0 where space does not repeat; shape (3,).
    edges
        Of the classes of distance [edges[w], edges[w + 1]), shape (W + 1,); at most half a period.
    labels
        Category of each agent, 0 ... categories - 1, shape (n,).

    Returns
    -------
    rows
        Shape (n, W * categories), class by class.
    """
    n = points.shape[0]
    rows = np.zeros((n, (edges.size - 1) * categories), np.int32)
    reach = edges[edges.size - 1]
    low, extents, cells = np.zeros(3), np.zeros(3), np.ones(3, np.int64)
    for axis in range(3):
        if period[axis] > 0.0:
            extents[axis] = period[axis]
        elif n > 0:
            low[axis] = points[:, axis].min()
            extents[axis] = points[:, axis].max() - low[axis]
        cells[axis] = max(1, int(min(extents[axis] / (reach * (1.0 + 1e-9)), float(_MOST_CELLS))))
        if period[axis] > 0.0 and cells[axis] < 3:
            cells[axis] = 1
    if n <= _ALL_PAIRS_UP_TO or cells[0] * cells[1] * cells[2] < 4:
        for i in range(n):
            for j in range(i):
                _enter(i, j, points, period, edges, labels, categories, rows)
        return rows
    place = np.empty(n, np.int64)
    start = np.zeros(cells[0] * cells[1] * cells[2] + 1, np.int64)
    for i in range(n):
        place[i] = 0
        for axis in range(3):
            share = (points[i, axis] - low[axis]) / extents[axis] if extents[axis] > 0.0 else 0.0
            place[i] = place[i] * cells[axis] + min(max(int(share * cells[axis]), 0), cells[axis] - 1)
        start[place[i] + 1] += 1
    for c in range(start.size - 1):
        start[c + 1] += start[c]
    order, filled = np.empty(n, np.int64), start.copy()
    for i in range(n):
        order[filled[place[i]]] = i
        filled[place[i]] += 1
    for x in range(cells[0]):
        for y in range(cells[1]):
            for z in range(cells[2]):
                own = (x * cells[1] + y) * cells[2] + z
                for step in range(27):
                    a, b, c = x + step // 9 - 1, y + step // 3 % 3 - 1, z + step % 3 - 1
                    # An axis of one cell has no others beside it; where it repeats it holds all images.
                    if (cells[0] == 1 and a != x) or (cells[1] == 1 and b != y) or (cells[2] == 1 and c != z):
                        continue
                    if period[0] > 0.0:
                        a %= cells[0]
                    if period[1] > 0.0:
                        b %= cells[1]
                    if period[2] > 0.0:
                        c %= cells[2]
                    if not (0 <= a < cells[0] and 0 <= b < cells[1] and 0 <= c < cells[2]):
                        continue
                    other = (a * cells[1] + b) * cells[2] + c
                    if other > own:
                        continue
                    for p in range(start[own], start[own + 1]):
                        for q in range(start[other], start[other + 1] if other != own else p):
                            _enter(order[p], order[q], points, period, edges, labels, categories, rows)
    return rows


def padded(positions: Floats, low: Floats, sides: Floats, periodic: bool) -> tuple[Floats, Floats]:
    """Return points of shape (n, 3) and the periods for :func:`neighbour_rows`, from a box at ``low``."""
    n, d = positions.shape
    points, period = np.zeros((n, 3)), np.zeros(3)
    points[:, :d] = np.mod(positions - low, sides) if periodic else positions - low
    if periodic:
        period[:d] = sides
    return points, period
