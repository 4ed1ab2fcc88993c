"""How close does a step assembled from the engine's loops come to C? The zone model of Couzin et al. 2002.

The kernel below is written by hand in the shape that the engine generates: a gather on eight lanes over the
survivors of a distance filter, totals to arrays, and a separate update loop that the compiler vectorises over
agents. It is timed in turns with ``benchmarks/c/zone_model.c`` (``make -C benchmarks/c``), same model, same
number of agents and neighbours; the ratio is of the medians. Unlike the C program it neither reorders nor
approximates arithmetic, draws 53-bit normals and gives the same bits for any number of threads.

    python benchmarks/kernel_by_hand.py [--agents N] [--steps N] [--rounds N] [--threads N]
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from simengine.arrays import cells, vector
from simengine.random import draws, philox

FLAGS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}
# A function that is not inlined stops the loop around it from being vectorised, and numba inlines long ones
# only on demand.
INLINE = FLAGS | {"forceinline": True}

C_PROGRAM = Path(__file__).parent / "bin" / "zone_model"
REPULSION, ORIENTATION, REACH = 1.0, 4.0, 5.0
BLIND = -math.sqrt(0.5)
NOISE, STEP_LENGTH, TURN = 0.05, 0.3, math.radians(4.0)
MEAN_NEIGHBOURS = 30.0
ROWS, TOTALS = 6, 8


@njit(**INLINE)
def perceive(live, distance, ex, ey, ez, ux, uy, uz, ox, oy, oz, rx, ry, rz, sx, sy, sz, repelled, seen):
    """Add one neighbour a lane: flee from the close, else align with or approach the visible."""
    close = live & (distance < REPULSION)
    rx = vector.select(close, rx - ex, rx)
    ry = vector.select(close, ry - ey, ry)
    rz = vector.select(close, rz - ez, rz)
    repelled = vector.select(close, repelled + 1.0, repelled)
    visible = live & ~close & (ex * ux + ey * uy + ez * uz > BLIND)
    beside = visible & (distance < ORIENTATION)
    sx = vector.select(beside, sx + ox, sx)
    sy = vector.select(beside, sy + oy, sy)
    sz = vector.select(beside, sz + oz, sz)
    far = visible & ~(distance < ORIENTATION)
    sx = vector.select(far, sx + ex, sx)
    sy = vector.select(far, sy + ey, sy)
    sz = vector.select(far, sz + ez, sz)
    seen = vector.select(visible, seen + 1.0, seen)
    return rx, ry, rz, sx, sy, sz, repelled, seen


@njit(**FLAGS)
def gather(first, last, grid, start, table, totals):
    """Total what the agents of cells ``first`` to ``last`` see; returns the number of neighbours met."""
    candidates = cells.scratch(ROWS, 1024)
    survivors = np.empty(candidates.shape[1] + cells.SLACK, np.int32)
    runs = np.empty((cells.MOST_RUNS, 2), np.int64)
    shifts = np.empty((cells.MOST_RUNS, 3))
    met = 0
    for cell in range(first, last):
        low, high = start[cell], start[cell + 1]
        if low == high:
            continue
        number, count, own = cells.neighbourhood(grid, start, cell, runs, shifts)
        if count + cells.SLACK > candidates.shape[1]:
            candidates = cells.scratch(ROWS, 2 * count)
            survivors = np.empty(candidates.shape[1] + cells.SLACK, np.int32)
        cells.copy_candidates(table, 3, runs, shifts, number, candidates)
        for i in range(low, high):
            x, y, z = table[0, i], table[1, i], table[2, i]
            ux, uy, uz = table[3, i], table[4, i], table[5, i]
            found = cells.filter_3(candidates, count, x, y, z, REACH * REACH, own + i - low, survivors)
            met += found
            rx = ry = rz = sx = sy = sz = repelled = seen = vector.repeated(0.0)
            for k in range(0, found, vector.WIDTH):
                live = vector.first(found - k)
                other = vector.load_places(survivors, k)
                dx = vector.pick(candidates, 0, other) - x
                dy = vector.pick(candidates, 1, other) - y
                dz = vector.pick(candidates, 2, other) - z
                distance = np.sqrt(dx * dx + dy * dy + dz * dz)
                inverse = 1.0 / distance
                rx, ry, rz, sx, sy, sz, repelled, seen = perceive(
                    live,
                    distance,
                    dx * inverse,
                    dy * inverse,
                    dz * inverse,
                    ux,
                    uy,
                    uz,
                    vector.pick(candidates, 3, other),
                    vector.pick(candidates, 4, other),
                    vector.pick(candidates, 5, other),
                    rx,
                    ry,
                    rz,
                    sx,
                    sy,
                    sz,
                    repelled,
                    seen,
                )
            totals[0, i] = vector.total(rx)
            totals[1, i] = vector.total(ry)
            totals[2, i] = vector.total(rz)
            totals[3, i] = vector.total(sx)
            totals[4, i] = vector.total(sy)
            totals[5, i] = vector.total(sz)
            totals[6, i] = vector.total(repelled)
            totals[7, i] = vector.total(seen)
    return met


@njit(**INLINE)
def normals(key, agent, number):
    """Two independent standard normals of one Philox block (Box & Muller 1958)."""
    first, second = draws.block(key, agent, philox.AGENT_TAG | number)
    uniform = np.float64((first >> np.uint64(11)) + np.uint64(1)) * 2.0**-53
    radius = math.sqrt(-2.0 * draws.log_unit(uniform))
    sine, cosine = draws.sincos_turn(np.float64(second >> np.uint64(11)) * 2.0**-53)
    return radius * cosine, radius * sine


@njit(**INLINE)
def wrap(x, box):
    """Bring a coordinate that left the box by less than its side back into it."""
    x = x + box if x < 0.0 else x
    return x - box if x >= box else x


@njit(**FLAGS)
def update(begin, end, key, ids, table, totals, box, state):
    """Turn agents ``begin`` to ``end`` (in sorted order) towards the wanted direction and move them."""
    cos_turn, sin_turn = math.cos(TURN), math.sin(TURN)
    for s in range(np.uint64(begin), np.uint64(end)):
        ux, uy, uz = table[3, s], table[4, s], table[5, s]
        qx, qy, qz = ux, uy, uz
        if totals[6, s] > 0.0:
            qx, qy, qz = totals[0, s], totals[1, s], totals[2, s]
        elif totals[7, s] > 0.0:
            qx, qy, qz = totals[3, s], totals[4, s], totals[5, s]
        length = math.sqrt(qx * qx + qy * qy + qz * qz)
        if length < 1e-10:
            qx, qy, qz, length = ux, uy, uz, 1.0
        g1, g2 = normals(key, np.uint64(ids[s]), np.uint64(0))
        g3, _ = normals(key, np.uint64(ids[s]), np.uint64(1))
        inverse = 1.0 / length
        qx = qx * inverse + NOISE * g1
        qy = qy * inverse + NOISE * g2
        qz = qz * inverse + NOISE * g3
        inverse = 1.0 / math.sqrt(qx * qx + qy * qy + qz * qz)
        qx, qy, qz = qx * inverse, qy * inverse, qz * inverse
        along = qx * ux + qy * uy + qz * uz
        tx, ty, tz = qx - along * ux, qy - along * uy, qz - along * uz
        side = sin_turn / math.sqrt(tx * tx + ty * ty + tz * tz + 1e-300)
        if along < cos_turn:
            qx, qy, qz = cos_turn * ux + side * tx, cos_turn * uy + side * ty, cos_turn * uz + side * tz
        inverse = 1.0 / math.sqrt(qx * qx + qy * qy + qz * qz)
        qx, qy, qz = qx * inverse, qy * inverse, qz * inverse
        state[0, s] = wrap(table[0, s] + STEP_LENGTH * qx, box)
        state[1, s] = wrap(table[1, s] + STEP_LENGTH * qy, box)
        state[2, s] = wrap(table[2, s] + STEP_LENGTH * qz, box)
        state[3, s] = qx
        state[4, s] = qy
        state[5, s] = qz


@njit(parallel=True, **FLAGS)
def gather_threads(chunks, bounds, grid, start, table, totals):
    """:func:`gather` over chunks of cells on all threads."""
    met = 0
    for chunk in prange(chunks):
        met += gather(bounds[chunk], bounds[chunk + 1], grid, start, table, totals)
    return met


@njit(parallel=True, **FLAGS)
def update_threads(chunks, agents, key, ids, table, totals, box, state):
    """:func:`update` over chunks of agents on all threads."""
    for chunk in prange(chunks):
        update(agents * chunk // chunks, agents * (chunk + 1) // chunks, key, ids, table, totals, box, state)


class ZoneModel:
    """The state in sorted order, and the time spent in each part of the step."""

    def __init__(self, agents: int, threads: int = 1) -> None:
        self.agents, self.threads = agents, threads
        self.box = (agents * 4 / 3 * math.pi * REACH**3 / MEAN_NEIGHBOURS) ** (1 / 3)
        grid = cells.box_grid(REACH, [0.0] * 3, [self.box] * 3, [True] * 3, agents)
        assert grid is not None, "too few agents for a cell list"
        self.grid = grid
        self.n_cells = int(np.prod(grid.shape))
        self.cell, self.order = np.empty(agents, np.int32), np.empty(agents, np.int32)
        self.start = np.empty(self.n_cells + 2, np.int32)
        self.table = np.zeros((ROWS, agents + vector.WIDTH))
        self.totals = np.empty((TOTALS, agents))
        self.bounds = np.empty(8 * threads + 1, np.int64)
        self.stream = philox.stream_key(20020917, "agents", "turn", "noise")
        self.seconds: dict[str, float] = {}
        self.restart()

    def restart(self) -> None:
        """Uniform positions, isotropic headings."""
        generator = np.random.default_rng(1)
        heading = generator.normal(size=(3, self.agents))
        heading /= np.sqrt((heading * heading).sum(axis=0))
        self.state = np.concatenate([generator.random((3, self.agents)) * self.box, heading])
        self.ids = np.arange(self.agents)
        self.met = 0

    def time(self, name: str, function: Any, *arguments: Any) -> Any:
        """Call a part of the step and add up its time."""
        begin = time.perf_counter()
        result = function(*arguments)
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begin
        return result

    def step(self, number: int) -> None:
        """Advance by one step."""
        n = self.agents
        self.time("assign", cells.assign, self.grid, self.state[:3], 0, n, self.cell)
        self.time("sort", cells.sort, self.cell, self.ids, n, self.n_cells, self.start, self.order)
        self.time("take", cells.take, self.state, self.order, 0, n, self.table, 0)
        self.ids = self.time("take", np.take, self.ids, self.order)
        if self.threads == 1:
            self.met += self.time(
                "gather", gather, 0, self.n_cells, self.grid, self.start, self.table, self.totals
            )
        else:
            chunks = len(self.bounds) - 1
            cells.chunk_cells(self.start, self.n_cells, chunks, self.bounds)
            self.met += self.time(
                "gather", gather_threads, chunks, self.bounds, self.grid, self.start, self.table, self.totals
            )
        key = philox.step_key(self.stream, np.uint64(number), np.uint64(0))
        rest = (key, self.ids, self.table, self.totals, self.box, self.state)
        if self.threads == 1:
            self.time("update", update, 0, n, *rest)
        else:
            self.time("update", update_threads, len(self.bounds) - 1, n, *rest)

    def by_id(self) -> NDArray[np.float64]:
        """Return the state with agents in the order of their ids."""
        return self.state[:, np.argsort(self.ids)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("agents", 100_000), ("steps", 20), ("rounds", 5), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    numba.set_num_threads(options.threads)
    model = ZoneModel(options.agents, options.threads)
    model.step(0)
    ours, theirs, neighbours = [], [], 0.0
    model.seconds.clear()
    work = options.agents * options.steps
    for _ in range(options.rounds):
        model.restart()
        begin = time.perf_counter()
        for number in range(options.steps):
            model.step(number)
        ours.append(work / (time.perf_counter() - begin))
        neighbours = model.met / work
        command = [str(C_PROGRAM), str(options.agents), str(options.steps)]
        words = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        theirs.append(float(words[1]))
    a, b = statistics.median(ours), statistics.median(theirs)
    print(f"C              {b / 1e6:6.2f} M agent-steps/s, {float(words[3]):.2f} neighbours")
    print(f"numba, by hand {a / 1e6:6.2f} M agent-steps/s, {neighbours:.2f} neighbours")
    print(f"ratio          {a / b:6.2f}")
    parts = (f"{name} {seconds / work / options.rounds * 1e9:.1f}" for name, seconds in model.seconds.items())
    print("ns an agent    " + ", ".join(parts))


if __name__ == "__main__":
    main()
