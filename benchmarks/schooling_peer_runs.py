"""The four canonical configurations of dewi-kadita 0.0.4 against the same rules here, many seeds each.

Command: ``python benchmarks/schooling_peer_runs.py`` (options: ``--side peer``, ``--seeds 20``, ``--report``).
One number per run and metric: its mean over the second half of the run, every step, as dewi-kadita defines it
(frames with index >= floor(T / 2), T frames). Finished runs are kept in ``results/schooling_peer_runs.json`` and
not repeated. The peer runs on one thread; the generator of its noise cannot be seeded, so its runs share only their
initial states between repetitions. The table asks |difference of means| <= 3 combined standard errors.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numba
import numpy as np

import simengine
from simengine.diagnostics.schooling import METRIC_NAMES

RESULTS = Path(__file__).parent / "results" / "schooling_peer_runs.json"
TIME_STEP = 0.1
LIMIT = 3.0

CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "swarm": {
        "n_fish": 150, "box_size": 25.0, "speed": 1.0, "r_repulsion": 2.0, "r_orientation": 3.0, "r_attraction": 15.0,
        "max_turn": 0.4, "noise": 0.2, "blind_angle": 30.0,
    },
    "torus": {
        "n_fish": 200, "box_size": 25.0, "speed": 1.0, "r_repulsion": 1.0, "r_orientation": 3.0, "r_attraction": 10.0,
        "max_turn": 0.2, "noise": 0.05, "blind_angle": 150.0, "orientation_weight": 0.1,
        "torus_init": True, "torus_radius": 6.0,
    },
    "dynamic_parallel": {
        "n_fish": 180, "box_size": 28.0, "speed": 1.2, "r_repulsion": 1.0, "r_orientation": 10.0, "r_attraction": 18.0,
        "max_turn": 0.35, "noise": 0.12, "blind_angle": 25.0,
    },
    "highly_parallel": {
        "n_fish": 250, "box_size": 35.0, "speed": 1.5, "r_repulsion": 1.0, "r_orientation": 12.0, "r_attraction": 20.0,
        "max_turn": 0.2, "noise": 0.05, "blind_angle": 20.0,
    },
}  # fmt: skip
"""The peer's configuration files, in its own names."""

STEPS = {"swarm": 1000, "torus": 2000, "dynamic_parallel": 1500, "highly_parallel": 1000}
SEEDS = {"swarm": 42, "torus": 42, "dynamic_parallel": 456, "highly_parallel": 789}

Summary = dict[str, float]


def peer_run(configuration: str, seed: int) -> Summary:
    from dewi_kadita.core.metrics import compute_all_metrics
    from dewi_kadita.core.solver import CouzinSolver
    from dewi_kadita.core.systems import CouzinSystem

    system = CouzinSystem(**CONFIGURATIONS[configuration], seed=seed)
    history = CouzinSolver(dt=TIME_STEP).solve(system, n_steps=STEPS[configuration], verbose=False)
    half = len(history["time"]) // 2
    box = system.box_size
    frames = [
        # Its tree refuses a position equal to the side of the box, which its own wrapping can return.
        compute_all_metrics(np.where(position == box, 0.0, position), velocity, box)
        for position, velocity in zip(history["positions"][half:], history["velocities"][half:], strict=True)
    ]
    return {name: float(np.mean([frame[name] for frame in frames])) for name in METRIC_NAMES}


def our_run(configuration: str, seed: int) -> Summary:
    recorded = simengine.run(
        "schooling", rules="dewi-kadita", regime=configuration, entropies="dewi-kadita", steps=STEPS[configuration],
        seed=seed, progress=False,
    )  # fmt: skip
    second_half = recorded.isel(time=slice(recorded.sizes["time"] // 2, None))
    return {name: float(second_half[name].mean()) for name in METRIC_NAMES}


RUNNERS = {"peer": peer_run, "ours": our_run}


def load() -> dict[str, dict[str, dict[str, Summary]]]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def store(side: str, configuration: str, seed: int, summary: Summary) -> None:
    """Add one run to the file, which another process may have extended meanwhile."""
    results = load()
    results.setdefault(side, {}).setdefault(configuration, {})[str(seed)] = summary
    temporary = RESULTS.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps(results, indent=1) + "\n")
    temporary.replace(RESULTS)


def complete(side: str, configuration: str, count: int) -> None:
    """Do the runs that are missing."""
    for seed in range(SEEDS[configuration], SEEDS[configuration] + count):
        if str(seed) in load().get(side, {}).get(configuration, {}):
            continue
        begun = time.perf_counter()
        summary = RUNNERS[side](configuration, seed)
        store(side, configuration, seed, summary)
        print(f"{side:5} {configuration:16} seed {seed}: {time.perf_counter() - begun:6.1f} s", flush=True)


def column(runs: dict[str, Summary], metric: str) -> tuple[float, float]:
    """Return the mean over runs and its standard error."""
    values = np.array([summary[metric] for summary in runs.values()])
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def report() -> None:
    """Print the comparison metric by metric."""
    results = load()
    inside = compared = 0
    print("python benchmarks/schooling_peer_runs.py: second-half means, mean over seeds +/- standard error")
    for configuration in CONFIGURATIONS:
        sides = [results.get(side, {}).get(configuration, {}) for side in RUNNERS]
        if min(map(len, sides)) < 2:
            continue
        print(f"\n{configuration}: {len(sides[0])} runs of the peer, {len(sides[1])} of ours")
        print(f"{'metric':30} {'peer':>19} {'ours':>19} {'difference':>11} {'in s.e.':>8}  <= {LIMIT:g}")
        for metric in METRIC_NAMES:
            (theirs, their_error), (ours, our_error) = (column(runs, metric) for runs in sides)
            error = float(np.hypot(their_error, our_error))
            ratio = abs(ours - theirs) / error if error > 0 else (0.0 if ours == theirs else np.inf)
            compared, inside = compared + 1, inside + (ratio <= LIMIT)
            print(
                f"{metric:30} {theirs:9.4f} +/- {their_error:.4f} {ours:9.4f} +/- {our_error:.4f}"
                f" {ours - theirs:11.4f} {ratio:8.2f}  {'yes' if ratio <= LIMIT else 'NO'}"
            )
    # Two-sided probability beyond 3 of Student's t with 38 degrees of freedom, that of two times 20 runs.
    print(
        f"\n{inside} of {compared} within {LIMIT:g} combined standard errors;"
        f" {0.0048 * compared:.1f} outside are expected by chance"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", choices=["peer", "ours", "both"], default="both")
    parser.add_argument("--seeds", type=int, default=20, help="per configuration: its canonical seed and those after")
    parser.add_argument("--report", action="store_true", help="only print the table of what is there")
    options = parser.parse_args()
    numba.set_num_threads(1)
    if not options.report:
        for side in RUNNERS if options.side == "both" else [options.side]:
            for configuration in CONFIGURATIONS:
                complete(side, configuration, options.seeds)
    report()


if __name__ == "__main__":
    main()
