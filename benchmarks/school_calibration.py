"""Measure what the calibrated entropies say of random schools and of the four states of Couzin's model.

Command: ``python benchmarks/school_calibration.py``. First table: of independent random headings and places, the share
of draws whose z (value less null mean, over null sd) lies within 3, and the same of normal scores, which allow for the
skewness of the null. Second: each two of the four regimes of ``schooling`` (100 fish, open water, 5000 steps, each seed
alone), the greatest difference of an entropy and that of the index, in null sd.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from school_null import random_state

import simengine
from simengine.diagnostics.calibrated import CALIBRATED_NAMES, FIRST_ENTROPY, INDEX, SAMPLE, calibrated_numbers
from simengine.diagnostics.school_null import GEOMETRIES, normal_score, null_of

DRAWS, SIZES, SEEDS = 500, (20, 100, 1000), (1, 2, 3)
REGIMES = ("swarm", "torus", "dynamic_parallel", "highly_parallel")
ENTROPIES = CALIBRATED_NAMES[FIRST_ENTROPY:INDEX]


def inside() -> None:
    """Print the share of random states within three standard deviations."""
    print(f"share of {DRAWS} random schools with z within 3 (with normal scores), per cent")
    print(f"{'':38}" + "".join(f"{g[:4]:>7}{n:6d}" for g in GEOMETRIES for n in SIZES))
    shares = np.empty((len(ENTROPIES) + 1, 2, len(GEOMETRIES) * len(SIZES)))
    for column, (geometry, agents) in enumerate(itertools.product(GEOMETRIES, SIZES)):
        rng = np.random.default_rng([7, column])
        null, side = null_of(agents, geometry), 1.0 if geometry == "periodic" else math.inf
        chosen = np.arange(min(agents, SAMPLE))
        found = np.array(
            [calibrated_numbers(*random_state(rng, agents, geometry), side, 1.0, chosen)[0] for _ in range(DRAWS)]
        )
        z = np.abs((found - null.mean) / null.sd)[:, FIRST_ENTROPY : INDEX + 1]
        score = np.abs(np.vectorize(normal_score)(found, null.mean, null.sd, null.skewness))[
            :, FIRST_ENTROPY : INDEX + 1
        ]
        z[:, -1] = np.abs(index(found, null.mean)) / null.sd[INDEX]
        score[:, -1] = z[:, -1]
        shares[:, 0, column], shares[:, 1, column] = (z <= 3).mean(axis=0), (score <= 3).mean(axis=0)
    for name, (plain, scored) in zip((*ENTROPIES, CALIBRATED_NAMES[INDEX]), shares, strict=True):
        cells = "".join(f" {100 * a:5.1f} ({100 * b:5.1f})" for a, b in zip(plain, scored, strict=True))
        print(f"{name.removeprefix('calibrated_'):38}{cells}")


def index(found: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return the order index of each state."""
    return (1.0 - found[:, FIRST_ENTROPY:INDEX] / mean[FIRST_ENTROPY:INDEX]).mean(axis=1)


def states() -> None:
    """Print how far apart the four regimes are, in null sd."""
    last = {
        (regime, seed): simengine.run("schooling", regime=regime, steps=5000, every=5000, seed=seed, progress=False)
        for regime in REGIMES
        for seed in SEEDS
    }
    found = {key: np.array([float(run[name][-1]) for name in ENTROPIES]) for key, run in last.items()}
    order = {key: float(run[CALIBRATED_NAMES[INDEX]][-1]) for key, run in last.items()}
    sd = null_of(100, "open").sd
    print("\nthe four regimes, order index by seed:")
    for regime in REGIMES:
        print(f"  {regime:18}" + "".join(f"{order[regime, seed]:7.3f}" for seed in SEEDS))
    print("difference of two regimes in null sd: least over seeds of the greatest of the entropies; of the index")
    for a, b in itertools.combinations(REGIMES, 2):
        entropies = [np.abs(found[a, s] - found[b, s]) / sd[FIRST_ENTROPY:INDEX] for s in SEEDS]
        which = ENTROPIES[int(np.argmax(entropies[0]))].removeprefix("calibrated_")
        gap = min(abs(order[a, s] - order[b, s]) / sd[INDEX] for s in SEEDS)
        print(f"  {a:18}{b:18}{min(e.max() for e in entropies):7.1f} ({which}){gap:8.1f}")


if __name__ == "__main__":
    inside()
    states()
