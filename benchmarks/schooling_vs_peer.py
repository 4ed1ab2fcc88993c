"""Cost of a step against dewi-kadita 0.0.4, same rules and same start, in turns in one run, one thread each.

Command: ``OMP_NUM_THREADS=1 python benchmarks/schooling_vs_peer.py`` (options: ``--rounds 5``, ``--only small large``).
The highly parallel configuration: N = 250 in its own box, and N = 4000 in a box of the same density, radii
unchanged. A step costs (time of a run of n steps - time of a run of 0 steps) / n; both sides run through their own
loops, kernels compiled before. A ratio is of the two runs of one round; the table gives its median and range.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numba
from dewi_kadita.core.metrics import compute_metrics_timeseries
from dewi_kadita.core.solver import CouzinSolver
from dewi_kadita.core.systems import CouzinSystem
from schooling_peer_runs import CONFIGURATIONS, TIME_STEP

import simengine

HIGHLY_PARALLEL = CONFIGURATIONS["highly_parallel"]


@dataclass(frozen=True)
class Case:
    """One line of the table; our runs take more steps than the peer's, for they are short."""

    label: str
    agents: int
    peer_steps: int
    our_steps: int
    diagnostics: bool
    asked: float

    @property
    def box(self) -> float:
        """Return the side of the box that keeps the density of the configuration."""
        return float(HIGHLY_PARALLEL["box_size"]) * (self.agents / HIGHLY_PARALLEL["n_fish"]) ** (1 / 3)

    def system(self) -> CouzinSystem:
        """Return the peer's school, the same each time."""
        return CouzinSystem(**HIGHLY_PARALLEL | {"n_fish": self.agents, "box_size": self.box}, seed=789)

    def run_peer(self, steps: int) -> None:
        """Run the peer's own loop, with its diagnostics if asked."""
        every = 1 if self.diagnostics else max(steps, 1)
        history = CouzinSolver(dt=TIME_STEP).solve(self.system(), n_steps=steps, save_interval=every, verbose=False)
        if self.diagnostics:
            compute_metrics_timeseries(
                history["positions"], history["velocities"], history["time"], self.box, verbose=False
            )

    def run_ours(self, steps: int) -> None:
        """Run ours from the same state."""
        system = self.system()
        simengine.run(
            "schooling", rules="dewi-kadita", regime="highly_parallel", n_agents=self.agents, box=self.box,
            entropies="dewi-kadita", start={"position": system.positions, "heading": system.velocities},
            steps=steps, every=1 if self.diagnostics else max(steps, 1), threads=1, progress=False,
        )  # fmt: skip


CASES = {
    "small": Case("N = 250", 250, 100, 1000, False, 100.0),
    "large": Case("N = 4000", 4000, 2, 20, False, 400.0),
    "diagnostics": Case("N = 250, diagnostics", 250, 100, 200, True, 50.0),
}


def per_step(run: Callable[[int], None], steps: int) -> float:
    """Return the seconds per step, without what a run costs once."""
    spent = []
    for count in (0, steps):
        begun = time.perf_counter()
        run(count)
        spent.append(time.perf_counter() - begun)
    return (spent[1] - spent[0]) / steps


def compare(case: Case, rounds: int) -> None:
    for compile_first in (case.run_peer, case.run_ours):
        compile_first(1)
    peer, ours = [], []
    for _ in range(rounds):
        peer.append(per_step(case.run_peer, case.peer_steps))
        ours.append(per_step(case.run_ours, case.our_steps))
    ratios = [theirs / mine for theirs, mine in zip(peer, ours, strict=True)]
    print(
        f"{case.label:22} {1e3 * median(peer):12.3f} {1e3 * median(ours):12.4f}"
        f" {median(ratios):8.0f} ({min(ratios):.0f} to {max(ratios):.0f}) {case.asked:10.0f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=list(CASES), nargs="+", default=list(CASES))
    options = parser.parse_args()
    numba.set_num_threads(1)
    print(f"OMP_NUM_THREADS=1 python benchmarks/schooling_vs_peer.py: medians of {options.rounds} rounds, one thread")
    print(f"{'highly parallel':22} {'peer ms/step':>12} {'ours ms/step':>12} {'ratio (range)':>22} {'asked >=':>10}")
    for name in options.only:
        compare(CASES[name], options.rounds)


if __name__ == "__main__":
    main()
