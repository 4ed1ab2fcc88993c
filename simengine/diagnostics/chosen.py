"""A sample of agents chosen by hash: who is in it, their nearest neighbours among all, and their pairs.

The sample depends on the seed, the step and the ids only: it is the same for any storage, threads or shards.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit
from simengine.diagnostics.neighbours import NEIGHBOURS, nearest_distances
from simengine.random.draws import bits

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_LAST = NEIGHBOURS - 1
_AGENTS_PER_CELL = 3.0
_MOST_SLABS = 64
_BLOCK = 512
# Rounding of the distance to a cell must not hide a neighbour that is nearer by an ulp.
_SLACK = 1.0 - 1e-12


@njit(cache=True, nogil=True, error_model="numpy")
def chosen_places(ids: Integers, key: np.uint64, size: int) -> Integers:
    """Return the rows, rising, of the ``size`` agents whose hash under ``key`` is least; all rows if there are fewer.

    ``ids`` are those of the rows, each once.
    """
    n = ids.size
    if n <= size:
        return np.arange(n)
    hashes = np.empty(n, np.uint64)
    for i in range(n):
        hashes[i] = bits(key, ids[i])
    # The least hashes lie below this with near certainty; sorting those few is cheaper than sorting all.
    below = min(1.0, (size + 6.0 * math.sqrt(float(size)) + 20.0) / n)
    limit = np.uint64(below * 18446744073709549568.0)
    few = np.flatnonzero(hashes <= limit)
    if few.size < size:
        few = np.arange(n)
    order = few[np.argsort(hashes[few])]
    return np.sort(order[:size])


@njit(cache=True, nogil=True, error_model="numpy")
def _slab_edges(position: Floats, chosen: Integers, slabs: int) -> Floats:
    """Return the inner edges of ``slabs`` slabs a axis that hold about as many of the chosen each: (3, slabs - 1)."""
    edges = np.empty((3, slabs - 1))
    for axis in range(3):
        values = np.sort(position[chosen, axis])
        for k in range(1, slabs):
            edges[axis, k - 1] = values[k * values.size // slabs]
    return edges


@njit(cache=True, nogil=True, error_model="numpy")
def _cells(position: Floats, edges: Floats) -> NDArray[np.int32]:
    """Return the cell of each agent, row-major over the slabs of the three axes."""
    n = position.shape[0]
    slabs = edges.shape[1] + 1
    cell = np.zeros(n, np.int32)
    value = np.empty(_BLOCK)
    index = np.empty(_BLOCK, np.int32)
    for begin in range(0, n, _BLOCK):
        count = min(_BLOCK, n - begin)
        for axis in range(3):
            for k in range(count):
                value[k] = position[begin + k, axis]
                index[k] = cell[begin + k] * slabs
            for e in range(slabs - 1):
                edge = edges[axis, e]
                for k in range(count):
                    index[k] += np.int32(value[k] >= edge)
            for k in range(count):
                cell[begin + k] = index[k]
    return cell


@njit(cache=True, nogil=True, error_model="numpy")
def _sorted_by_cell(cell: NDArray[np.int32], cells: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return where each cell starts, (cells + 1,), in the list of agents by cell, (N,)."""
    start = np.zeros(cells + 2, np.int32)
    for i in range(cell.size):
        start[cell[i] + 2] += 1
    for c in range(2, cells + 2):
        start[c] += start[c - 1]
    order = np.empty(cell.size, np.int32)
    for i in range(cell.size):
        above = cell[i] + 1
        order[start[above]] = i
        start[above] += 1
    return start[: cells + 1], order


@njit(cache=True, nogil=True, error_model="numpy")
def _face(edges: Floats, axis: int, face: int, side: float) -> float:
    """Return where face ``face`` of the slabs lies, 0 being the lower one of the first; beyond the ends it repeats."""
    slabs = edges.shape[1] + 1
    turns = face // slabs
    within = face - turns * slabs
    place = 0.0
    if side == np.inf:
        place = -np.inf if face <= 0 else np.inf if face >= slabs else edges[axis, face - 1]
    else:
        place = turns * side + (edges[axis, within - 1] if within > 0 else 0.0)
    return place


@njit(cache=True, nogil=True, error_model="numpy")
def _visit(
    i: int, begin: int, end: int, order: NDArray[np.int32], position: Floats, side: float, nearest: Floats
) -> None:
    """Enter the squared distances of agent ``i`` to a run of the list into the ascending ``nearest``."""
    for place in range(begin, end):
        j = order[place]
        if j == i:
            continue
        dx = abs(position[j, 0] - position[i, 0])
        dy = abs(position[j, 1] - position[i, 1])
        dz = abs(position[j, 2] - position[i, 2])
        dx = min(dx, side - dx)
        dy = min(dy, side - dy)
        dz = min(dz, side - dz)
        squared = dx * dx + dy * dy + dz * dz
        if squared < nearest[_LAST]:
            for k in range(_LAST, 0, -1):
                nearest[k] = max(nearest[k - 1], min(nearest[k], squared))
            nearest[0] = min(nearest[0], squared)


@njit(cache=True, nogil=True, error_model="numpy")
def _from_slabs(position: Floats, chosen: Integers, side: float) -> Floats:
    """Return the squared distances of the chosen to their nearest others, from the cells around them.

    Starting with the agent's own cell, the block of cells looked at grows on the side whose face is nearest, until
    no face is nearer than the fifth neighbour.
    """
    n = position.shape[0]
    slabs = max(1, min(int((n / _AGENTS_PER_CELL) ** (1.0 / 3.0)), _MOST_SLABS))
    edges = _slab_edges(position, chosen, slabs)
    cell = _cells(position, edges)
    start, order = _sorted_by_cell(cell, slabs**3)
    found = np.full((chosen.size, NEIGHBOURS), np.inf)
    low, high = np.empty(3, np.int64), np.empty(3, np.int64)
    below, above = np.empty(3), np.empty(3)
    for place in range(chosen.size):
        i = chosen[place]
        nearest = found[place]
        own = np.int64(cell[i])
        _visit(i, start[own], start[own + 1], order, position, side, nearest)
        low[0], low[1], low[2] = own // (slabs * slabs), own // slabs % slabs, own % slabs
        high[:] = low
        for axis in range(3):
            whole = slabs == 1
            below[axis] = np.inf if whole else position[i, axis] - _face(edges, axis, low[axis], side)
            above[axis] = np.inf if whole else _face(edges, axis, high[axis] + 1, side) - position[i, axis]
        while True:
            side_axis, least = 0, np.inf
            for axis in range(3):
                if min(below[axis], above[axis]) < least:
                    side_axis, least = axis, min(below[axis], above[axis])
            if least == np.inf or nearest[_LAST] <= least * least * _SLACK:
                break
            first = (low[0], low[1], low[2])
            last = (high[0], high[1], high[2])
            if below[side_axis] <= above[side_axis]:
                low[side_axis] -= 1
                new = low[side_axis]
                below[side_axis] = position[i, side_axis] - _face(edges, side_axis, new, side)
            else:
                high[side_axis] += 1
                new = high[side_axis]
                above[side_axis] = _face(edges, side_axis, new + 1, side) - position[i, side_axis]
            if high[side_axis] - low[side_axis] + 1 == slabs:
                below[side_axis] = above[side_axis] = np.inf
            for a in range(new if side_axis == 0 else first[0], (new if side_axis == 0 else last[0]) + 1):
                for b in range(new if side_axis == 1 else first[1], (new if side_axis == 1 else last[1]) + 1):
                    for c in range(new if side_axis == 2 else first[2], (new if side_axis == 2 else last[2]) + 1):
                        at = ((a % slabs) * slabs + b % slabs) * slabs + c % slabs
                        _visit(i, start[at], start[at + 1], order, position, side, nearest)
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def chosen_distances(position: Floats, chosen: Integers, side: float) -> Floats:
    """Return the distances from each of the chosen to its five nearest others among all, ascending.

    Cells are bounded by quantiles of the chosen along each axis, so that a tight school in a wide box, or one with
    strays, is cut as finely as one that fills it. Building them takes O(N).

    Parameters
    ----------
    position
        Shape (N, 3); within ``[0, side]`` on every axis if ``side`` is finite.
    chosen
        Rows of the chosen, rising, shape (m,).
    side
        Side of the periodic cube (minimum image), or ``inf`` for open space.

    Returns
    -------
    distances
        Shape (m, 5); ``inf`` where there are fewer than five others.
    """
    if chosen.size == position.shape[0]:
        return nearest_distances(position, side)
    return np.sqrt(_from_slabs(position, chosen, side))


@njit(cache=True, nogil=True, error_model="numpy")
def pair_rows(unit: Floats, chosen: Integers, bins: int) -> NDArray[np.int32]:
    """Count each chosen agent's pairs with the others by ``(u_i . u_j + 1) / 2`` in equal bins over [0, 1].

    Parameters
    ----------
    unit
        Unit vectors, shape (N, 3).
    chosen
        Rows of the chosen, shape (m,).
    bins
        Number of bins; cosines that rounding puts beyond -1 or 1 count in the end bins.

    Returns
    -------
    rows
        Shape (m, bins); each sums to m - 1. Time O(m^2).
    """
    m = chosen.size
    x, y, z = unit[chosen, 0], unit[chosen, 1], unit[chosen, 2]
    half = 0.5 * bins
    last = bins - 1.0
    index = np.empty(m, np.int32)
    rows = np.zeros((m, bins), np.int32)
    # Four tables, so that equal pairs in a row do not wait for each other.
    table = np.zeros((4, bins), np.int32)
    for i in range(m):
        for j in range(m):
            place = (x[i] * x[j] + y[i] * y[j] + z[i] * z[j]) * half + half
            index[j] = np.int32(min(max(place, 0.0), last))
        table[:] = 0
        for j in range(0, m - 3, 4):
            table[0, index[j]] += 1
            table[1, index[j + 1]] += 1
            table[2, index[j + 2]] += 1
            table[3, index[j + 3]] += 1
        for j in range(m - m % 4, m):
            table[0, index[j]] += 1
        table[0, index[i]] -= 1
        for b in range(bins):
            rows[i, b] = table[0, b] + table[1, b] + table[2, b] + table[3, b]
    return rows
