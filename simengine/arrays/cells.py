"""Cell lists: agents sorted by cell, candidates of one cell gathered once, survivors filtered.

Space is cut into cells at least as wide as the reach of an interaction, so that whoever is within reach of
an agent is in the agent's cell or in one that touches it (Allen & Tildesley, *Computer Simulation of
Liquids*, section 5.3.2). The order is canonical: cells in row-major order of their coordinates, agents of one
cell by id; the order in which agents are stored does not show in any result.

Positions are (d, n) float64 tables, d = 1, 2 or 3, one row per component. Grids always have three axes; for
d < 3 the leading ones have one cell. The loops are compiled; the step that calls them is written once per
model::

    assign, sort, take
    for each cell:                 neighbourhood, copy_candidates
        for each agent in it:      filter, then the model's rule for the survivors

Not a Verlet list: nothing is kept from one step to the next.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simengine.arrays import vector
from simengine.arrays.jit import njit
from simengine.errors import InputError

AXES = 3
CELLS_PER_AGENT = 8
MOST_RUNS = 18
SLACK = 2 * vector.WIDTH
# In open space a cell is a little wider than the reach, so that rounding in the assignment does not put two
# agents within reach of one another two cells apart, up to 1e9 cells away from the origin. In a box, where
# the side is often a whole multiple of the reach and one cell less a side would cost much, rounding of that
# multiple is forgiven instead: only a pair whose distance is the reach to within 1e-12 of it can be missed.
MARGIN = 1.0 + 1e-6
FORGIVEN = 1.0 + 1e-12

Floats = NDArray[np.float64]
Places = NDArray[np.int32]


class Grid(NamedTuple):
    """How space is cut: cell coordinate = floor((x - origin) * inverse) - first, kept within [0, shape)."""

    origin: Floats
    """Where coordinates are measured from, (3,)."""
    inverse: Floats
    """Cells per unit of length, (3,)."""
    first: NDArray[np.int64]
    """Floor coordinate of the first cell, (3,)."""
    shape: NDArray[np.int64]
    """Number of cells along each axis, (3,)."""
    length: Floats
    """Period of a periodic axis, 0 on the others, (3,)."""


def box_grid(
    reach: float, low: Sequence[float], high: Sequence[float], periodic: Sequence[bool], agents: int
) -> Grid | None:
    """Cut a box into cells for an interaction of range ``reach``.

    Parameters
    ----------
    reach
        Largest distance at which agents interact, in the unit of the positions.
    low, high
        Corners of the box; one to three components.
    periodic
        Per component, whether the box repeats along it.
    agents
        Number of agents; the grid has at most about eight cells per agent.

    Returns
    -------
    The grid, or None when a periodic side holds fewer than three cells: then compare all pairs
    (:func:`filter_all_3` and its sisters).
    """
    if not reach > 0 or not math.isfinite(reach):
        raise InputError(f"reach must be a positive number, not {reach!r}")
    lead = AXES - len(low)
    origin, inverse, length = np.zeros(AXES), np.ones(AXES), np.zeros(AXES)
    shape = np.ones(AXES, dtype=np.int64)
    if any(not b > a for a, b in zip(low, high, strict=True)):
        raise InputError(f"a box needs low < high on every side, not {list(low)} and {list(high)}")
    side = reach / FORGIVEN
    while True:
        counts = [max(1, int((b - a) / side)) for a, b in zip(low, high, strict=True)]
        if math.prod(counts) <= max(CELLS_PER_AGENT * agents, 27):
            break
        side *= 1.25
    for k, count in enumerate(counts):
        if periodic[k] and count < 3:
            if (high[k] - low[k]) * FORGIVEN >= 3 * reach:
                count = 3
            else:
                return None
        origin[lead + k] = low[k]
        inverse[lead + k] = count / (high[k] - low[k])
        shape[lead + k] = count
        length[lead + k] = high[k] - low[k] if periodic[k] else 0.0
    return Grid(origin, inverse, np.zeros(AXES, dtype=np.int64), shape, length)


def open_grid(dimensions: int) -> Grid:
    """Return a grid for unbounded space, to be fitted by :func:`fit_open_grid` before each use."""
    if not 1 <= dimensions <= AXES:
        raise InputError(f"space has 1, 2 or 3 dimensions, not {dimensions}")
    return Grid(
        np.zeros(AXES),
        np.ones(AXES),
        np.zeros(AXES, dtype=np.int64),
        np.ones(AXES, dtype=np.int64),
        np.zeros(AXES),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def fit_open_grid(grid: Grid, position: Floats, agents: int, reach: float) -> int:
    """Fit ``grid`` to the bounding box of the first ``agents`` positions; return its number of cells.

    Cells lie at whole multiples of their side whatever the bounding box, and the side is the reach, widened
    by steps of a quarter until there are at most eight cells per agent.
    """
    d = position.shape[0]
    lead = AXES - d
    low = np.empty(AXES)
    high = np.empty(AXES)
    for k in range(d):
        a = np.inf
        b = -np.inf
        for i in range(agents):
            a = min(a, position[k, i])
            b = max(b, position[k, i])
        low[k] = a
        high[k] = b
    side = reach * MARGIN
    most = float(max(CELLS_PER_AGENT * agents, 27))
    while True:
        cells = 1.0
        for k in range(d):
            cells *= math.floor(high[k] * (1.0 / side)) - math.floor(low[k] * (1.0 / side)) + 1.0
        if not cells > most:
            break
        side *= 1.25
    product = 1
    for k in range(d):
        grid.inverse[lead + k] = 1.0 / side
        first = math.floor(low[k] * (1.0 / side))
        grid.first[lead + k] = np.int64(first)
        grid.shape[lead + k] = np.int64(math.floor(high[k] * (1.0 / side)) - first) + 1
        product *= grid.shape[lead + k]
    return product


@njit(cache=True, nogil=True, error_model="numpy")
def assign(grid: Grid, position: Floats, begin: int, end: int, cell: Places) -> None:
    """Write the cell of agents ``begin`` to ``end`` into ``cell``, row-major over the grid."""
    d = position.shape[0]
    lead = AXES - d
    for k in range(d):
        origin = grid.origin[lead + k]
        inverse = grid.inverse[lead + k]
        first = float(grid.first[lead + k])
        last = float(grid.shape[lead + k] - 1)
        size = np.int32(grid.shape[lead + k])
        for i in range(np.uint64(begin), np.uint64(end)):
            coordinate = math.floor((position[k, i] - origin) * inverse) - first
            coordinate = min(max(coordinate, 0.0), last)
            before = cell[i] if k > 0 else np.int32(0)
            cell[i] = np.int32(before * size + np.int32(coordinate))


@njit(cache=True, nogil=True, error_model="numpy")
def sort(cell: Places, ids: NDArray[np.int64], agents: int, cells: int, start: Places, order: Places) -> None:
    """Sort agents by (cell, id).

    Parameters
    ----------
    cell, ids
        Cell and id of each agent, in storage order.
    agents, cells
        How many of each.
    start
        Result, (at least cells + 2,): agents of cell c are ``order[start[c]:start[c + 1]]``.
    order
        Result, (at least agents,): storage places of the agents.
    """
    for c in range(cells + 2):
        start[c] = 0
    # Counts are kept two places up and become, by the placing below, the starts one place up.
    for i in range(agents):
        start[np.uint32(cell[i]) + np.uint32(2)] += np.int32(1)
    for c in range(2, cells + 2):
        start[c] += start[c - 1]
    for i in range(agents):
        above = np.uint32(cell[i]) + np.uint32(1)
        order[np.uint32(start[above])] = i
        start[above] += np.int32(1)
    for c in range(cells):
        low = np.int64(start[c])
        for a in range(low + 1, np.int64(start[c + 1])):
            place = order[a]
            key = ids[place]
            b = a
            while b > low and ids[order[b - 1]] > key:
                order[b] = order[b - 1]
                b -= 1
            order[b] = place


@njit(cache=True, nogil=True, error_model="numpy")
def take(source: Floats, order: Places, begin: int, end: int, table: Floats, row: int) -> None:
    """Copy the rows of ``source`` in sorted order into rows ``row``, row + 1, ... of ``table``."""
    for f in range(source.shape[0]):
        for s in range(np.uint64(begin), np.uint64(end)):
            table[row + f, s] = source[f, np.uint32(order[s])]


@njit(cache=True, nogil=True, error_model="numpy")
def chunk_cells(start: Places, cells: int, chunks: int, bounds: NDArray[np.int64]) -> None:
    """Cut the cells into ``chunks`` runs of about as many agents each; run c is bounds[c]:bounds[c + 1]."""
    agents = np.int64(start[cells])
    c = 0
    for chunk in range(chunks):
        while c < cells and np.int64(start[c]) * chunks < agents * chunk:
            c += 1
        bounds[chunk] = c
    bounds[chunks] = cells


@njit(cache=True, nogil=True, error_model="numpy")
def scratch(rows: int, capacity: int) -> Floats:
    """Return an uninitialised candidate table of ``rows`` fields for at least ``capacity`` candidates."""
    # An odd number of cache lines per row keeps the rows from competing for the same cache sets.
    lines = (capacity + SLACK + vector.WIDTH - 1) // vector.WIDTH | 1
    return np.empty((rows, lines * vector.WIDTH))


@njit(cache=True, nogil=True, error_model="numpy")
def neighbourhood(
    grid: Grid, start: Places, cell: int, runs: NDArray[np.int64], shifts: Floats
) -> tuple[int, np.int64, np.int64]:
    """Find who is in ``cell`` and in the cells that touch it, as runs of places in sorted order.

    Parameters
    ----------
    grid, start
        The grid and the result of :func:`sort`.
    cell
        The cell whose agents will look around.
    runs, shifts
        Results, (18, 2) and (18, 3): run r is the places runs[r, 0] to runs[r, 1], seen displaced by
        shifts[r] where the box repeats. The order is that of the cells' coordinates before they are wrapped.

    Returns
    -------
    number
        Number of runs.
    count
        Number of agents in them, the candidates.
    own
        Place of the cell's own first agent among them.
    """
    n0, n1, n2 = grid.shape[0], grid.shape[1], grid.shape[2]
    length0, length1, length2 = grid.length[0], grid.length[1], grid.length[2]
    c2 = cell % n2
    c1 = (cell // n2) % n1
    c0 = cell // (n2 * n1)
    around0 = 1 if n0 > 1 else 0
    around1 = 1 if n1 > 1 else 0
    number = 0
    count = np.int64(0)
    own = np.int64(0)
    for step0 in range(-around0, around0 + 1):
        a = c0 + step0
        shift0 = -0.0
        if a < 0 or a >= n0:
            if length0 == 0.0:
                continue
            shift0 = -length0 if a < 0 else length0
            a += n0 if a < 0 else -n0
        for step1 in range(-around1, around1 + 1):
            b = c1 + step1
            shift1 = -0.0
            if b < 0 or b >= n1:
                if length1 == 0.0:
                    continue
                shift1 = -length1 if b < 0 else length1
                b += n1 if b < 0 else -n1
            base = (a * n1 + b) * n2
            # Cells along the last axis are neighbours in memory: one run, and one more where the box repeats.
            for part in range(3):
                shift2 = -0.0
                low = max(c2 - 1, 0)
                high = min(c2 + 2, n2)
                if part != 1:
                    if length2 == 0.0 or c2 != (0 if part == 0 else n2 - 1):
                        continue
                    low = n2 - 1 if part == 0 else 0
                    high = low + 1
                    shift2 = -length2 if part == 0 else length2
                begin = np.int64(start[base + low])
                end = np.int64(start[base + high])
                if part == 1 and step0 == 0 and step1 == 0:
                    own = count + np.int64(start[cell]) - begin
                runs[number, 0] = begin
                runs[number, 1] = end
                shifts[number, 0] = shift0
                shifts[number, 1] = shift1
                shifts[number, 2] = shift2
                number += 1
                count += end - begin
    return number, count, own


@njit(cache=True, nogil=True, error_model="numpy")
def copy_candidates(
    table: Floats, d: int, runs: NDArray[np.int64], shifts: Floats, number: int, candidates: Floats
) -> None:
    """Copy the agents of a :func:`neighbourhood` side by side, positions displaced to the nearest image.

    Parameters
    ----------
    table
        Fields in sorted order, (rows, at least agents + 8); the first ``d`` rows are the position.
    d
        Number of components of the position.
    runs, shifts, number
        From :func:`neighbourhood`.
    candidates
        Result, a table from :func:`scratch` with as many rows and room for them; eight places after the last
        hold infinitely far positions.
    """
    lead = AXES - d
    count = np.int64(0)
    for run in range(number):
        begin = runs[run, 0]
        length = runs[run, 1] - begin
        for r in range(table.shape[0]):
            # Adding -0.0 changes no value, not even the sign of a zero.
            shift = shifts[run, lead + r] if r < d else -0.0
            for k in range(0, length, vector.WIDTH):
                vector.store(candidates, r, count + k, vector.load(table, r, begin + k) + shift)
        count += length
    far = vector.repeated(np.inf)
    for r in range(d):
        vector.store(candidates, r, count, far)


@njit(cache=True, nogil=True, error_model="numpy")
def filter_1(candidates: Floats, count: int, x: float, reach2: float, own: int, survivors: Places) -> int:
    """Find who is within reach on a line; see :func:`filter_3`."""
    found = 0
    for k in range(0, count, vector.WIDTH):
        dx = vector.load(candidates, 0, k) - x
        near = (dx * dx < reach2) & vector.differs(vector.count_from(k), own)
        found = vector.keep(survivors, found, vector.count_from(k), near)
    vector.store_places(survivors, found, vector.count_from(count))
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def filter_2(candidates: Floats, count: int, x: float, y: float, reach2: float, own: int, survivors: Places) -> int:
    """Find who is within reach in the plane; see :func:`filter_3`."""
    found = 0
    for k in range(0, count, vector.WIDTH):
        dx = vector.load(candidates, 0, k) - x
        dy = vector.load(candidates, 1, k) - y
        near = (dx * dx + dy * dy < reach2) & vector.differs(vector.count_from(k), own)
        found = vector.keep(survivors, found, vector.count_from(k), near)
    vector.store_places(survivors, found, vector.count_from(count))
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def filter_3(
    candidates: Floats, count: int, x: float, y: float, z: float, reach2: float, own: int, survivors: Places
) -> int:
    """Find who is within reach, strictly, of an agent at (x, y, z).

    Parameters
    ----------
    candidates, count
        From :func:`copy_candidates`.
    x, y, z
        The agent's position.
    reach2
        Square of the reach.
    own
        The agent's own place among the candidates, left out.
    survivors
        Result, (at least count + 16,): places of those within reach, ascending, then eight harmless ones.

    Returns
    -------
    Number of survivors.
    """
    found = 0
    for k in range(0, count, vector.WIDTH):
        dx = vector.load(candidates, 0, k) - x
        dy = vector.load(candidates, 1, k) - y
        dz = vector.load(candidates, 2, k) - z
        near = (dx * dx + dy * dy + dz * dz < reach2) & vector.differs(vector.count_from(k), own)
        found = vector.keep(survivors, found, vector.count_from(k), near)
    vector.store_places(survivors, found, vector.count_from(count))
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def nearest_image(offset: Any, length: float) -> Any:
    """Return the shortest image of an offset (float or lanes) within one period; length 0: not periodic."""
    half = 0.5 * length if length > 0.0 else np.inf
    offset = vector.select(offset > half, offset - length, offset)
    return vector.select(offset < -half, offset + length, offset)


@njit(cache=True, nogil=True, error_model="numpy")
def filter_all_1(
    candidates: Floats, count: int, x: float, lengths: Floats, reach2: float, own: int, survivors: Places
) -> int:
    """:func:`filter_1` by nearest images; see :func:`filter_all_3`."""
    found = 0
    for k in range(0, count, vector.WIDTH):
        dx = nearest_image(vector.load(candidates, 0, k) - x, lengths[2])
        near = (dx * dx < reach2) & vector.differs(vector.count_from(k), own)
        found = vector.keep(survivors, found, vector.count_from(k), near)
    vector.store_places(survivors, found, vector.count_from(count))
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def filter_all_2(
    candidates: Floats,
    count: int,
    x: float,
    y: float,
    lengths: Floats,
    reach2: float,
    own: int,
    survivors: Places,
) -> int:
    """:func:`filter_2` by nearest images; see :func:`filter_all_3`."""
    found = 0
    for k in range(0, count, vector.WIDTH):
        dx = nearest_image(vector.load(candidates, 0, k) - x, lengths[1])
        dy = nearest_image(vector.load(candidates, 1, k) - y, lengths[2])
        near = (dx * dx + dy * dy < reach2) & vector.differs(vector.count_from(k), own)
        found = vector.keep(survivors, found, vector.count_from(k), near)
    vector.store_places(survivors, found, vector.count_from(count))
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def filter_all_3(
    candidates: Floats,
    count: int,
    x: float,
    y: float,
    z: float,
    lengths: Floats,
    reach2: float,
    own: int,
    survivors: Places,
) -> int:
    """:func:`filter_3` by nearest images, for candidates that are all agents, unshifted.

    ``lengths`` are the three periods of :class:`Grid` (the last d of them belong to the d components); eight
    places after the last candidate must hold infinitely far positions, as :func:`copy_candidates` leaves them
    for the single run 0 to all agents.
    """
    found = 0
    for k in range(0, count, vector.WIDTH):
        dx = nearest_image(vector.load(candidates, 0, k) - x, lengths[0])
        dy = nearest_image(vector.load(candidates, 1, k) - y, lengths[1])
        dz = nearest_image(vector.load(candidates, 2, k) - z, lengths[2])
        near = (dx * dx + dy * dy + dz * dz < reach2) & vector.differs(vector.count_from(k), own)
        found = vector.keep(survivors, found, vector.count_from(k), near)
    vector.store_places(survivors, found, vector.count_from(count))
    return found
