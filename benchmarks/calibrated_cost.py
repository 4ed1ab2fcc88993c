"""Cost of the calibrated entropies against a step of the schooling scenario, in turns in one run.

Command: ``python benchmarks/calibrated_cost.py`` (options: ``--sizes 1000 100000``, ``--rounds 15``).
One thread. Fish in a periodic box with about 32 neighbours in the zone of attraction, from a uniform start; every
measurement follows some steps, so that each sees another state. "record" is the whole record of a run with
``entropies="calibrated"``, order parameters included; "numbers" the compiled function alone.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from statistics import median

import numpy as np

import simengine
from simengine.diagnostics.calibrated import calibrated_numbers
from simengine.diagnostics.calibration import chosen_agents
from simengine.diagnostics.observables import School

NEIGHBOURS = 32
ATTRACTION = 5.0


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def compare(agents: int, rounds: int) -> None:
    side = ATTRACTION * (4.0 / 3.0 * math.pi * agents / NEIGHBOURS) ** (1.0 / 3.0)
    run = simengine.Simulation(
        "schooling", seed=1, n_agents=agents, box=side, radius_repulsion=1.0, radius_orientation=3.0,
        radius_attraction=ATTRACTION, threads=1, every=10**6,
    )  # fmt: skip
    schools = [School(definition="order-parameters"), School(definition="calibrated", reach="radius_attraction")]

    def record() -> None:
        view = run._engine.view()
        for school in schools:
            school.finalise(school.update(school.begin(), view), view)

    def numbers() -> None:
        chosen = chosen_agents(np.arange(agents), 1, 1)
        calibrated_numbers(position, heading, side, 1.0, chosen)

    run.step(20)
    steps, records, kernels = [], [], []
    for _ in range(rounds):
        steps.append(seconds(lambda: run.step(10)) / 10)
        records.append(seconds(record))
        seen = run._engine.view().populations["agents"]
        position, heading = seen.position, seen.heading
        kernels.append(seconds(numbers))
    step, whole, kernel = (1e3 * min(times) for times in (steps, records, kernels))
    ratio = median(record / step for record, step in zip(records, steps, strict=True))
    print(
        f"{agents:8d} {step:10.3f} {kernel:10.3f} {whole:10.3f} {kernel / step:10.2f} {whole / step:10.2f}"
        f" {ratio:10.2f} {10 * ratio:10.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    print("python benchmarks/calibrated_cost.py: least times in ms, ratios to a step, per cent of ten steps")
    print(
        f"{'agents':>8} {'step':>10} {'numbers':>10} {'record':>10} {'numbers':>10} {'record':>10}"
        f" {'median':>10} {'% of ten':>10}"
    )
    for agents in options.sizes:
        compare(agents, options.rounds)


if __name__ == "__main__":
    main()
