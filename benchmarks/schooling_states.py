"""States of the school from random starts (Couzin et al. 2002): by width of the zone of orientation, and by regime.

Command: ``python benchmarks/schooling_states.py`` (options: ``--seeds 20``, ``--regime-seeds 100``).
100 fish in open space, radius of repulsion 1, zone of attraction 14 wide, 5000 steps of 0.1 s. P, M and spread are
means over the last 1000 steps. A run counts as swarm when P and M are below 0.35, as torus when M > 0.65 and
P < 0.35, as parallel when P > 0.98.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

import simengine

STEPS, MEASURED, EVERY = 5000, 1000, 10
WIDTHS = [0.0, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0]
REGIMES = ["swarm", "torus", "dynamic_parallel", "highly_parallel"]


def late_means(seed: int, **parameters: Any) -> tuple[float, float, float, float]:
    """Return P, M, spread and the standard deviation of the spread in time, over the last 1000 steps of a run."""
    run = simengine.run("schooling", steps=STEPS, every=EVERY, seed=seed, progress=False, **parameters)
    late = run.isel(time=run.step.values > STEPS - MEASURED)
    spread = late["spread"]
    return float(late["polarization"].mean()), float(late["rotation"].mean()), float(spread.mean()), float(spread.std())


def line(label: str, seeds: Sequence[int], **parameters: Any) -> None:
    """Run one setting for many seeds and print what came of it."""
    p, m, spread, breathing = np.array([late_means(seed, **parameters) for seed in seeds]).T
    swarm, torus, parallel = (p < 0.35) & (m < 0.35), (m > 0.65) & (p < 0.35), p > 0.98
    print(
        f"{label:18} {p.mean():.3f} ({p.min():.3f} to {p.max():.3f})  {m.mean():.3f} ({m.min():.3f} to {m.max():.3f})"
        f"  {spread.mean():6.2f} {breathing.mean():7.3f} {swarm.sum():9d} {torus.sum():5d} {parallel.sum():8d}"
        f"  of {len(seeds)}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20, help="runs per width")
    parser.add_argument("--regime-seeds", type=int, default=100, help="runs per regime")
    options = parser.parse_args()
    print("python benchmarks/schooling_states.py: means over runs, and the range of runs")
    print(
        f"{'width of zone':18} {'polarisation':24}{'rotation':24}{'spread':>7} {'its sd':>7} {'swarm':>9} {'torus':>5}"
        f" {'parallel':>8}"
    )
    for width in WIDTHS:
        radius = 1.0 + width
        line(f"{width:g}", range(options.seeds), radius_orientation=radius, radius_attraction=radius + 14.0)
    for regime in REGIMES:
        line(regime, range(options.regime_seeds), regime=regime)


if __name__ == "__main__":
    main()
