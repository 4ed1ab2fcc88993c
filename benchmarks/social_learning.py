"""How fast is controlled social learning, against plain C, and value iteration, against NumPy?

The C program (``benchmarks/c/social_learning.c``, gcc -O3 -march=native, one thread) draws the same Philox numbers and
must end with the same bits. It has its loops in three orders: a community through all steps, in registers; all
communities through a step, in arrays; the same block by block. The engine takes steps one after another. Value
iteration is compared with the same equation in NumPy, over arrays of beliefs times precisions, swept until the same
bound holds. Times are the processor's.

    make -C benchmarks/c ../bin/social_learning.so && python benchmarks/social_learning.py
        [--communities 1000000] [--steps 100] [--rounds 5] [--planner optimal]
"""

from __future__ import annotations

import argparse
import ctypes
import statistics
import time
from pathlib import Path

import numpy as np

from simengine.random.philox import step_key, stream_key
from simengine.runs.engine import Engine
from simengine.runs.registry import find
from simengine.scenarios.social_learning_planner import (
    EXACT,
    belief_grid,
    exact_actions,
    place,
    solve_planner,
)

LIBRARY = Path(__file__).parent / "bin" / "social_learning.so"
ORDERS = ("by_community", "by_step", "by_block")
FLOATS = ("log_odds", "belief", "precision", "utility", "spent", "value")
WHOLE = ("state", "signal", "action", "onset", "mistakes")
Doubles, Integers = ctypes.POINTER(ctypes.c_double), ctypes.POINTER(ctypes.c_int64)


class Model(ctypes.Structure):
    """Parameters, as the C program has them."""

    _fields_ = [
        *((name, ctypes.c_double) for name in ("precision", "cost", "loss", "log_discount", "biased")),
        ("outer", ctypes.c_int64), ("inner", ctypes.c_int64),
        ("per_outer", ctypes.c_double), ("per_inner", ctypes.c_double), ("intercept", Doubles), ("slope", Doubles),
    ]  # fmt: skip


class Communities(ctypes.Structure):
    """State, as the C program has it."""

    _fields_ = [*((name, Doubles) for name in FLOATS), *((name, Integers) for name in WHOLE)]


def in_c(order: str, engine: Engine, steps: int) -> tuple[float, dict[str, np.ndarray]]:
    """Take the start state of an engine through all steps in C; return seconds and the end state."""
    library = ctypes.CDLL(str(LIBRARY))
    view, p = engine.view().populations, engine.scenario
    arrays = {name: np.ascontiguousarray(getattr(view["agents"], name)).copy() for name in FLOATS + WHOLE}
    lines = {name: np.ascontiguousarray(getattr(view["beliefs"], name)).copy() for name in ("intercept", "slope")}
    stream = stream_key(engine.seed, "agents", "hear", "signal")
    keys = np.array([step_key(stream, step, 0) for step in range(steps)], np.uint64)
    model = Model(
        p.precision, p.cost, p.loss, p.log_discount, p.biased, int(p.outer), int(p.inner), p.per_outer, p.per_inner,
        *(line.ctypes.data_as(Doubles) for line in lines.values()),
    )  # fmt: skip
    state = Communities(
        *(arrays[name].ctypes.data_as(Doubles if name in FLOATS else Integers) for name in FLOATS + WHOLE)
    )
    function = getattr(library, order)
    begin = time.process_time()
    function(
        ctypes.byref(model), ctypes.byref(state), ctypes.c_int64(len(arrays["state"])), ctypes.c_int64(steps),
        keys.ctypes.data_as(ctypes.POINTER(ctypes.c_uint64)),
    )  # fmt: skip
    return time.process_time() - begin, arrays


def compare_steps(options: argparse.Namespace) -> None:
    """Print nanoseconds an agent, and the engine's speed over that of C."""
    scenario = find("social_learning")(
        {"n_communities": options.communities, "planner": options.planner, "objective": "biased", "margin": 1e-3}
    )
    taken: dict[str, list[float]] = {name: [] for name in ("engine", *ORDERS)}
    work = options.communities * options.steps
    for number in range(options.rounds + 1):
        engine = Engine(scenario, seed=1, threads=1)
        engine.kernel.prepare()
        times, ends = {}, {}
        for order in ORDERS:
            times[order], ends[order] = in_c(order, engine, options.steps)
        begin = time.process_time()
        engine.advance(options.steps)
        times["engine"] = time.process_time() - begin
        agents = engine.view().populations["agents"]
        for order, end in ends.items():
            for name, values in end.items():
                assert np.array_equal(values, getattr(agents, name)), f"{order}: {name} differs"
        if number:
            for name, seconds in times.items():
                taken[name].append(seconds / work * 1e9)
    print(f"{options.communities} communities, {options.steps} steps, planner {options.planner}; the same bits")
    for name, values in taken.items():
        print(f"{name:14}{statistics.median(values):8.2f} ns an agent (min {min(values):.2f}, max {max(values):.2f})")
    for name in ORDERS:
        ratio = statistics.median(c / ours for c, ours in zip(taken[name], taken["engine"], strict=True))
        print(f"engine / C {name}: {ratio:.3f}")


def in_numpy(kind: str, precision: float, cost: float, discount: float, beliefs: int, precisions: int) -> tuple:
    """Solve the same equation on the same grid by plain sweeps over whole arrays; return values and sweeps."""
    biased, tolerance = kind == "biased", 1e-9
    grid, outer, inner = belief_grid(precision, beliefs)
    last = len(grid) - 1
    table = [np.empty((beliefs, EXACT)) for _ in range(3)]
    nodes, fractions = np.empty((beliefs, EXACT, 2), np.int64), np.empty((beliefs, EXACT, 2))
    exact_actions(grid, precision, outer, inner, cost, 1.0, 1.0, biased, *table, nodes, fractions)
    levels = np.linspace(0.5 if biased else precision, 1.0, precisions)
    b, q = grid[:, None], levels[None, :]
    good = b * q + (1 - b) * (1 - q)
    informative = q > np.maximum(b, 1 - b)
    reward = np.where(informative, -cost * np.abs(q - precision) - ((1 - good) if biased else (1 - q)), -np.inf)
    with np.errstate(invalid="ignore", divide="ignore"):
        up, down = (
            np.where(informative, b * q / good, b),
            np.where(informative & (good < 1), b * (1 - q) / (1 - good), b),
        )
    located = np.vectorize(lambda x, side: place.py_func(x, side, precision, outer, inner, last))
    found = [located(up, 1), located(down, -1)]
    where = [np.concatenate([nodes[:, :, side], found[side][0].astype(int)], axis=1) for side in (0, 1)]
    parts = [np.concatenate([fractions[:, :, side], found[side][1]], axis=1) for side in (0, 1)]
    rewards = np.concatenate([table[1], reward], axis=1)
    chances = np.concatenate([table[2], good], axis=1)
    after = [np.minimum(places + 1, last) for places in where]
    values, sweeps = np.zeros(beliefs), 0
    begin = time.process_time()
    while True:
        above = values[where[0]] + parts[0] * (values[after[0]] - values[where[0]])
        below = values[where[1]] + parts[1] * (values[after[1]] - values[where[1]])
        new = (rewards + discount * (chances * above + (1 - chances) * below)).max(axis=1)
        change = np.abs(new - values).max()
        values, sweeps = new, sweeps + 1
        if change * discount <= tolerance * (1 - discount):
            return values, sweeps, time.process_time() - begin


def compare_values(options: argparse.Namespace) -> None:
    """Print seconds of value iteration in both ways; their values must agree to 1e-8."""
    for kind in ("altruistic", "biased"):
        arguments = (kind, 0.7, 1.0, 0.9)
        solve_planner(*arguments)
        taken = []
        for _ in range(options.rounds):
            begin = time.process_time()
            ours = solve_planner(*arguments)
            taken.append(time.process_time() - begin)
        values, sweeps, seconds = in_numpy(*arguments, 4001, 500)
        assert np.abs(values - ours.value.values).max() < 1e-8, "values differ"
        print(
            f"{kind}: {statistics.median(taken) * 1e3:.0f} ms ({ours.sweeps} full sweeps, {ours.evaluation_sweeps} "
            f"of the best actions); NumPy {seconds:.1f} s ({sweeps} sweeps); "
            f"{seconds / statistics.median(taken):.0f} times"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("communities", 1_000_000), ("steps", 100), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--planner", default="optimal")
    options = parser.parse_args()
    compare_steps(options)
    compare_values(options)


if __name__ == "__main__":
    main()
