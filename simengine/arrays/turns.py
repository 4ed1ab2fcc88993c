"""Neighbours while agents act one after another: cells built once a phase, positions kept up to date in between.

Agents are copied into a table sorted by cell, as in :mod:`simengine.arrays.cells`; when one has acted, its entry is
overwritten in place. Cells are wider than the reach by some slack, so an entry may stay where it is until its agent is
farther than the slack from where it was sorted; it is then moved to a list of strays, which everybody looks through.
When that is full the table is sorted again. Exact at any moment; the order, cells first and strays after, follows from
the state at the start of the phase and from what the agents did, not from storage.
"""

from __future__ import annotations

import numpy as np

from simengine.arrays import cells, vector
from simengine.arrays.jit import njit

jit = njit(cache=True, nogil=True, error_model="numpy")
inlined = njit(cache=True, nogil=True, error_model="numpy", forceinline=True)


@jit
def sort_table(grid, position, ids, agents, cell, start, slots, table, place_of, home, strays):  # type: ignore[no-untyped-def]
    """Sort everybody by cell and remember where they were.

    ``strays[0]`` is the number of strays, ``strays[1]`` their first place.
    """
    d = position.shape[0]
    n_cells = grid.shape[0] * grid.shape[1] * grid.shape[2]
    cells.assign(grid, position, 0, agents, cell)
    cells.sort(cell, ids, agents, n_cells, start, slots)
    cells.take(position, slots, 0, agents, table, 0)
    for place in range(agents):
        place_of[slots[place]] = place
    for axis in range(d):
        home[axis, :agents] = table[axis, :agents]
        table[axis, agents:] = np.inf
    strays[0] = 0
    strays[1] = (agents + vector.WIDTH - 1) // vector.WIDTH * vector.WIDTH


@jit
def take_rows(source, slots, agents, table, row):  # type: ignore[no-untyped-def]
    """Copy a field into the table, strays excepted (there are none after sorting)."""
    cells.take(source, slots, 0, agents, table, row)


@inlined
def coordinate(grid, axis, x):  # type: ignore[no-untyped-def]
    """Return the coordinate of the cell that holds ``x``, the nearest one when it lies outside."""
    found = np.int64(np.floor((x - grid.origin[axis]) * grid.inverse[axis])) - grid.first[axis]
    return min(max(found, 0), grid.shape[axis] - 1)


@inlined
def step_across(cell, step, cells_along, length):  # type: ignore[no-untyped-def]
    """Return the cell ``step`` further along an axis, -1 where there is none, and how far its image is displaced."""
    following = cell + step
    if following < 0:
        return (following + cells_along if length > 0.0 else np.int64(-1)), -length
    if following >= cells_along:
        return (following - cells_along if length > 0.0 else np.int64(-1)), length
    return following, 0.0


@inlined
def squares(table, k, x, y, z, third):  # type: ignore[no-untyped-def]
    """Squared distances of eight places from (x, y), or (x, y, z) when there is a third axis."""
    dx, dy = vector.load(table, 0, k) - x, vector.load(table, 1, k) - y
    square = dx * dx + dy * dy
    if third:
        dz = vector.load(table, 2, k) - z
        square = square + dz * dz
    return square


@inlined
def scan(table, begin, end, x, y, z, third, reach2, own, near, found):  # type: ignore[no-untyped-def]
    """Add those of a run of places who are within reach of a position."""
    for k in range(begin, end, vector.WIDTH):
        places = vector.count_from(k)
        within = (squares(table, k, x, y, z, third) < reach2) & vector.differs(places, own) & vector.first(end - k)
        found = vector.keep(near, found, places, within)
    return found


@inlined
def look(grid, start, table, third, strays, x, y, z, period, reach2, own, near):  # type: ignore[no-untyped-def]
    """Find who is within reach of (x, y, z): their places go to ``near``, then eight harmless ones.

    ``third`` (a constant) says whether there are three axes; in the plane z is 0. ``own`` is the looking agent's
    place, left out; -1 for nobody's. Returns how many were found.
    """
    n0, n1, n2 = grid.shape[0], grid.shape[1], grid.shape[2]
    length0, length1, length2 = grid.length[0], grid.length[1], grid.length[2]
    c0 = coordinate(grid, 0, x) if third else np.int64(0)
    c1 = coordinate(grid, 1, y if third else x)
    c2 = coordinate(grid, 2, z if third else y)
    around0 = 1 if third else 0
    low, high = max(c2 - 1, 0), min(c2 + 2, n2)
    at_border = length2 > 0.0 and (c2 == 0 or c2 == n2 - 1)
    far, shift2 = step_across(c2, -1 if c2 == 0 else 1, n2, length2)
    found = 0
    for step0 in range(-around0, around0 + 1):
        a, shift0 = step_across(c0, step0, n0, length0)
        if a < 0:
            continue
        for step1 in range(-1, 2):
            b, shift1 = step_across(c1, step1, n1, length1)
            if b < 0:
                continue
            base = (a * n1 + b) * n2
            seen_x, seen_y = (x - shift0, y - shift1) if third else (x - shift1, y)
            begin, end = np.int64(start[base + low]), np.int64(start[base + high])
            found = scan(table, begin, end, seen_x, seen_y, z, third, reach2, own, near, found)
            if at_border:
                begin, end = np.int64(start[base + far]), np.int64(start[base + far + 1])
                across_y, across_z = (seen_y, z - shift2) if third else (seen_y - shift2, z)
                found = scan(table, begin, end, seen_x, across_y, across_z, third, reach2, own, near, found)
    for k in range(strays[1], strays[1] + strays[0], vector.WIDTH):
        dx = cells.nearest_image(vector.load(table, 0, k) - x, period)
        dy = cells.nearest_image(vector.load(table, 1, k) - y, period)
        square = dx * dx + dy * dy
        if third:
            dz = cells.nearest_image(vector.load(table, 2, k) - z, period)
            square = square + dz * dz
        places = vector.count_from(k)
        found = vector.keep(near, found, places, (square < reach2) & vector.differs(places, own))
    vector.store_places(near, found, vector.count_from(0))
    return found


@inlined
def beside(x, home, half, period):  # type: ignore[no-untyped-def]
    """Return the image of a coordinate nearest to ``home``; ``half`` is half the period, infinite without one."""
    offset = x - home
    x = x - period if offset > half else x
    return x + period if offset < -half else x


@inlined
def moved(me, x, y, z, third, half, period, limit2, table, rows, place_of, home, strays):  # type: ignore[no-untyped-def]
    """Put the new position of ``me`` into the table; returns its place, which is a stray's when it went far.

    Across the border of a periodic box the entry stays on the side of its cell. A result of -1 says that there was no
    room for another stray: sort again.
    """
    place = place_of[me]
    if place < strays[1]:
        seen_x, seen_y = beside(x, home[0, place], half, period), beside(y, home[1, place], half, period)
        dx, dy = seen_x - home[0, place], seen_y - home[1, place]
        square = dx * dx + dy * dy
        seen_z = z
        if third:
            seen_z = beside(z, home[2, place], half, period)
            dz = seen_z - home[2, place]
            square = square + dz * dz
        if not square > limit2:
            table[0, place], table[1, place] = seen_x, seen_y
            if third:
                table[2, place] = seen_z
            return place
        stray = strays[1] + strays[0]
        if stray + vector.WIDTH >= table.shape[1]:
            return np.int64(-1)
        for row in range(rows):
            table[row, stray] = table[row, place]
        table[0, place] = np.inf
        strays[0] += 1
        place_of[me] = stray
        place = stray
    table[0, place], table[1, place] = x, y
    if third:
        table[2, place] = z
    return place
