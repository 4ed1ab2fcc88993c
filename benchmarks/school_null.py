"""Make the table of the null of the calibrated school entropies (simengine/diagnostics/school_null.csv).

Command: ``python benchmarks/school_null.py`` (about a quarter of an hour on two cores); ``--draws 0.1`` for a tenth of
the draws, ``--check`` to compare the shipped table with fresh draws between its entries instead of writing it.
"""

from __future__ import annotations

import argparse
import csv
import math
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from simengine.diagnostics.calibrated import (
    CALIBRATED_NAMES,
    FIRST_ENTROPY,
    INDEX,
    SAMPLE,
    SPREAD,
    calibrated_numbers,
    reference_radius,
)
from simengine.diagnostics.school_null import GEOMETRIES, TABLE, null_of

SEED = 20261122
SMALL = (*range(1, 25), 28, 33, 39, 46, 55, 65, 77, 91, 108, 128, 152, 181, 215, 256, 304, 362, 430, 512, 608, 724, 861)
LARGE = (1024, 1025, 1300, 1700, 2300, 3500, 6000, 12000, 50000)
BETWEEN = (26, 60, 100, 333, 1000, 1500, 9000)


def random_state(rng: np.random.Generator, agents: int, geometry: str) -> tuple[np.ndarray, np.ndarray]:
    heading = rng.normal(size=(agents, 3))
    heading /= np.linalg.norm(heading, axis=1, keepdims=True)
    if geometry == "periodic":
        return rng.random((agents, 3)), heading
    bearing = rng.normal(size=(agents, 3))
    bearing *= np.cbrt(rng.random((agents, 1))) / np.linalg.norm(bearing, axis=1, keepdims=True)
    return bearing, heading


def draws_at(agents: int) -> int:
    if agents <= 128:
        return 30_000
    return 10_000 if agents <= SAMPLE else 3_000 if agents <= 12_000 else 1_000


def numbers_of(geometry: str, agents: int, draws: int, seed: int) -> np.ndarray:
    """Return the eleven numbers of random states, (draws, 11); the spread in reference radii."""
    rng = np.random.default_rng([seed, GEOMETRIES.index(geometry), agents])
    side = 1.0 if geometry == "periodic" else math.inf
    found = np.empty((draws, len(CALIBRATED_NAMES)))
    for k in range(draws):
        # Agents are alike: the first stand for any chosen by hash.
        chosen = np.arange(min(agents, SAMPLE))
        found[k] = calibrated_numbers(*random_state(rng, agents, geometry), side, 1.0, chosen)[0]
    found[:, SPREAD] /= reference_radius(side, 1.0)
    return found


def moments(geometry: str, agents: int, draws: int, seed: int) -> np.ndarray:
    """Return mean, standard deviation and skewness of the eleven numbers, (3, 11)."""
    found = numbers_of(geometry, agents, draws, seed)
    mean = found.mean(axis=0)
    found[:, INDEX] = (1.0 - found[:, FIRST_ENTROPY:INDEX] / mean[FIRST_ENTROPY:INDEX]).mean(axis=1)
    mean[INDEX] = 0.0
    deviation = found - mean
    sd = np.sqrt((deviation**2).mean(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        skewness = (deviation**3).mean(axis=0) / sd**3
    return np.stack([mean, sd, np.nan_to_num(skewness) + 0.0 * mean])


def entry(task: tuple[str, int, int, int]) -> tuple[str, int, int, np.ndarray]:
    geometry, agents, draws, seed = task
    return geometry, agents, draws, moments(geometry, agents, draws, seed)


def check(draws: float) -> None:
    print("python benchmarks/school_null.py --check: greatest deviations of a mean, in null sd, and of an ln sd")
    for geometry in GEOMETRIES:
        for agents in BETWEEN:
            count = max(200, int(draws * draws_at(agents)))
            found, null = moments(geometry, agents, count, SEED + 1), null_of(agents, geometry)
            shift = np.abs(found[0] - null.mean) / null.sd
            width = np.abs(np.log(found[1] / null.sd))
            print(
                f"{geometry:9} {agents:6d} {shift.max():8.4f} ({CALIBRATED_NAMES[int(shift.argmax())]}),"
                f" {width.max():8.4f} ({CALIBRATED_NAMES[int(width.argmax())]}); chance {count**-0.5:.4f}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=float, default=1.0, help="factor on the number of draws")
    parser.add_argument("--check", action="store_true", help="compare the shipped table with fresh draws")
    options = parser.parse_args()
    if options.check:
        check(options.draws)
        return
    tasks = [
        (geometry, agents, max(200, int(options.draws * draws_at(agents))), SEED)
        for geometry in GEOMETRIES
        for agents in sorted((*SMALL, *LARGE), reverse=True)
    ]
    with ProcessPoolExecutor(2) as pool:
        entries = sorted(pool.map(entry, tasks), key=lambda found: found[:2])
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["geometry", "agents", "draws", "number", "mean", "sd", "skewness"])
        for geometry, agents, draws, found in entries:
            for name, (mean, sd, skewness) in zip(CALIBRATED_NAMES, found.T, strict=True):
                writer.writerow([geometry, agents, draws, name, f"{mean:.8g}", f"{sd:.6g}", f"{skewness:.4g}"])
    print(f"{TABLE}: {len(entries)} entries")


if __name__ == "__main__":
    main()
