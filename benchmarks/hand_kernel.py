"""The step of the schooling scenario (rules of Couzin et al. 2002) fused by hand, to compare with the generated one.

It uses the engine's cell lists, lanes and draws, keeps its state sorted by cell, and has no scenario, no phases and no
generality: what somebody who wanted only this model would write. Its results are those of the engine, bit for bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simengine.arrays import cells, vector
from simengine.arrays.boundary import wrapped
from simengine.arrays.directions import normalised, perpendicular, turned_towards
from simengine.random import draws, philox

WIDTH = vector.WIDTH


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def look(live, distance, ex, ey, ez, ux, uy, uz, ox, oy, oz, radii, sight, ax, ay, az, jx, jy, jz, near):
    """Add eight neighbours, one a lane."""
    seen = live & (distance >= 1e-10)
    close = seen & (distance < radii[0])
    near = vector.select(close, near + 1.0, near)
    ax = vector.select(close, ax - ex, ax)
    ay = vector.select(close, ay - ey, ay)
    az = vector.select(close, az - ez, az)
    ahead = ex * ux + ey * uy + ez * uz
    ahead_of = seen & ~(distance < radii[0]) & (ahead > sight)
    beside = ahead_of & (distance < radii[1])
    jx = vector.select(beside, jx + radii[3] * ox, jx)
    jy = vector.select(beside, jy + radii[3] * oy, jy)
    jz = vector.select(beside, jz + radii[3] * oz, jz)
    far = ahead_of & ~(distance < radii[1]) & (distance < radii[2])
    jx = vector.select(far, jx + ex, jx)
    jy = vector.select(far, jy + ey, jy)
    jz = vector.select(far, jz + ez, jz)
    return ax, ay, az, jx, jy, jz, near


@njit(cache=True, nogil=True, error_model="numpy")
def gather(grid, n_cells, start, table, radii, sight, reach2, totals):
    """Total what every fish sees; in sorted order."""
    candidates = cells.scratch(6, 1024)
    survivors = np.empty(candidates.shape[1] + cells.SLACK, np.int32)
    runs = np.empty((cells.MOST_RUNS, 2), np.int64)
    shifts = np.empty((cells.MOST_RUNS, 3))
    for cell in range(n_cells):
        low, high = np.int64(start[cell]), np.int64(start[cell + 1])
        if low == high:
            continue
        number, count, own = cells.neighbourhood(grid, start, cell, runs, shifts)
        if count + cells.SLACK > candidates.shape[1]:
            candidates = cells.scratch(6, 2 * count)
            survivors = np.empty(candidates.shape[1] + cells.SLACK, np.int32)
        cells.copy_candidates(table, 3, runs, shifts, number, candidates)
        for i in range(np.uint64(low), np.uint64(high)):
            x, y, z = table[0, i], table[1, i], table[2, i]
            ux, uy, uz = table[3, i], table[4, i], table[5, i]
            found = cells.filter_3(candidates, count, x, y, z, reach2, own + np.int64(i) - low, survivors)
            ax = ay = az = jx = jy = jz = near = vector.repeated(0.0)
            for k in range(0, found, WIDTH):
                live = vector.first(found - k)
                other = vector.load_places(survivors, k)
                dx = vector.pick(candidates, 0, other) - x
                dy = vector.pick(candidates, 1, other) - y
                dz = vector.pick(candidates, 2, other) - z
                distance, inverse = vector.root_and_inverse(dx * dx + dy * dy + dz * dz)
                ax, ay, az, jx, jy, jz, near = look(
                    live, distance, dx * inverse, dy * inverse, dz * inverse, ux, uy, uz,
                    vector.pick(candidates, 3, other), vector.pick(candidates, 4, other),
                    vector.pick(candidates, 5, other), radii, sight, ax, ay, az, jx, jy, jz, near,
                )  # fmt: skip
            totals[0, i] = vector.total(ax)
            totals[1, i] = vector.total(ay)
            totals[2, i] = vector.total(az)
            totals[3, i] = vector.total(jx)
            totals[4, i] = vector.total(jy)
            totals[5, i] = vector.total(jz)
            totals[6, i] = vector.total(near)


@njit(cache=True, nogil=True, error_model="numpy")
def update(angle_key, axis_key, ids, table, totals, noise, cosine, sine, stride, box, state):
    """Turn and move every fish."""
    for s in range(np.uint64(0), np.uint64(ids.shape[0])):
        vx, vy, vz = table[3, s], table[4, s], table[5, s]
        close = totals[6, s] > 0
        wx = totals[0, s] if close else totals[3, s]
        wy = totals[1, s] if close else totals[4, s]
        wz = totals[2, s] if close else totals[5, s]
        wx, wy, wz = normalised(wx, wy, wz, vx, vy, vz)
        blur_sine, blur_cosine = draws.sincos(noise * draws.normal(angle_key, ids[s], 0.0, 1.0))
        axis_sine, axis_cosine = draws.sincos_turn(draws.uniform(axis_key, ids[s]))
        sx, sy, sz = perpendicular(wx, wy, wz, axis_cosine, axis_sine)
        wx = blur_cosine * wx + blur_sine * sx
        wy = blur_cosine * wy + blur_sine * sy
        wz = blur_cosine * wz + blur_sine * sz
        vx, vy, vz = turned_towards(vx, vy, vz, wx, wy, wz, cosine, sine)
        state[0, s] = wrapped(table[0, s] + stride * vx, box)
        state[1, s] = wrapped(table[1, s] + stride * vy, box)
        state[2, s] = wrapped(table[2, s] + stride * vz, box)
        state[3, s] = vx
        state[4, s] = vy
        state[5, s] = vz


@njit(cache=True, nogil=True, error_model="numpy")
def advance(first, steps, streams, grid, cell, order, start, table, totals, radii, sight, reach2, ids, state, numbers):
    """Run steps; the state is left sorted by cell."""
    noise, cosine, sine, stride, box = numbers
    n = ids.shape[0]
    n_cells = grid.shape[0] * grid.shape[1] * grid.shape[2]
    sorted_ids = np.empty_like(ids)
    for step in range(first, first + steps):
        cells.assign(grid, state[:3], 0, n, cell)
        cells.sort(cell, ids, n, n_cells, start, order)
        cells.take(state, order, 0, n, table, 0)
        for s in range(n):
            sorted_ids[s] = ids[order[s]]
        ids[:] = sorted_ids
        gather(grid, n_cells, start, table, radii, sight, reach2, totals)
        angle_key, axis_key = draws.step_key(streams[0], step, 0), draws.step_key(streams[1], step, 0)
        update(angle_key, axis_key, ids, table, totals, noise, cosine, sine, stride, box, state)


class HandKernel:
    """The hand-written model for a school in a periodic box."""

    def __init__(self, scenario: Any, seed: int, position: NDArray[Any], heading: NDArray[Any]) -> None:
        n = len(position)
        p = scenario
        grid = cells.box_grid(p.radius_attraction, [0.0] * 3, [p.box] * 3, [True] * 3, n)
        assert grid is not None, "too few fish for cells"
        self.state = np.ascontiguousarray(np.concatenate([position, heading], axis=1).T)
        self.ids = np.arange(n)
        self.step = 0
        keys = [philox.stream_key(seed, "agents", "swim", name) for name in ("noise_angle", "noise_axis")]
        reach2 = float(np.nextafter(p.radius_attraction**2, np.inf))
        radii = (p.radius_repulsion, p.radius_orientation, p.radius_attraction, p.orientation_weight)
        numbers = (p.noise, p.turn_cosine, p.turn_sine, p.stride, p.box)
        start = np.empty(int(np.prod(grid.shape)) + 2, np.int32)
        cell, order = np.empty(n, np.int32), np.empty(n + 16, np.int32)
        table, totals = np.zeros((6, n + 64)), np.empty((7, n))
        self.before = (
            np.array(keys, np.uint64),
            grid,
            cell,
            order,
            start,
            table,
            totals,
            radii,
            p.sight_cosine,
            reach2,
        )
        self.after = (self.ids, self.state, numbers)

    def advance(self, steps: int) -> None:
        """Run steps."""
        advance(self.step, steps, *self.before, *self.after)
        self.step += steps

    def by_id(self) -> NDArray[Any]:
        """Positions and headings, (6, n), by id."""
        return self.state[:, np.argsort(self.ids)]
