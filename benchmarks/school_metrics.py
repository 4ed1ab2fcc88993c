"""Time of all twelve schooling numbers against dewi-kadita 0.0.4, interleaved in one run.

Command: ``python benchmarks/school_metrics.py`` (options: ``--sizes 50 250``, ``--seconds 4``).
Every call gets another state, as along a run; both packages get the same ones in turn, on one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np
from dewi_kadita.core.metrics import compute_all_metrics

from simengine.diagnostics.schooling import METRIC_NAMES, measure, school_metrics

BOX = 25.0


def uniform(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    return rng.random((n, 3)) * BOX, rng.normal(size=(n, 3))


def school(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    position = (BOX / 2 + 3.0 * rng.normal(size=(n, 3))) % BOX
    return position, [1.0, 0.0, 0.0] + 0.05 * rng.normal(size=(n, 3))


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def compare(name: str, make: Callable[..., tuple[np.ndarray, np.ndarray]], n: int, budget: float) -> None:
    rng = np.random.default_rng(n)
    peer, ours, kernel, deviation = [], [], [], 0.0
    end = time.perf_counter() + budget
    while time.perf_counter() < end or len(peer) < 5:
        position, heading = make(rng, n)
        peer.append(seconds(lambda: compute_all_metrics(position, heading, BOX)))  # noqa: B023
        ours.append(seconds(lambda: measure(position, heading, BOX)))  # noqa: B023
        kernel.append(seconds(lambda: school_metrics(position, heading, BOX)))  # noqa: B023
        expected, found = compute_all_metrics(position, heading, BOX), measure(position, heading, BOX)
        deviation = max(deviation, *(abs(expected[key] - found[key]) for key in METRIC_NAMES))
    print(
        f"{name:8} {n:6d} {len(peer):6d} {1e3 * median(peer):10.3f} {1e3 * median(ours):10.3f}"
        f" {1e3 * median(kernel):10.3f} {median(peer) / median(ours):8.1f}"
        f" {median(peer) / median(kernel):8.1f} {deviation:11.1e}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 250, 1000, 4000])
    parser.add_argument("--seconds", type=float, default=4.0, help="time spent on each line")
    options = parser.parse_args()
    position, heading = uniform(np.random.default_rng(0), 500)
    measure(position, heading, BOX)
    print("python benchmarks/school_metrics.py: medians in ms, ratios peer / ours")
    print(
        f"{'state':8} {'N':>6} {'calls':>6} {'peer':>10} {'measure':>10} {'kernel':>10}"
        f" {'measure':>8} {'kernel':>8} {'deviation':>11}"
    )
    for name, make in (("uniform", uniform), ("school", school)):
        for n in options.sizes:
            compare(name, make, n, options.seconds)


if __name__ == "__main__":
    main()
