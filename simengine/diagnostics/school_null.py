"""The calibrated numbers of random agents: mean, standard deviation and skewness at any number of agents.

The null is that of :mod:`~simengine.diagnostics.calibrated`: independent agents, isotropic headings, places uniform
in the periodic box or in the reference ball. Its moments are tabulated (``school_null.csv``, made by
``benchmarks/school_null.py``) and interpolated, linearly in the logarithms of the moments and of the number of
agents, the skewness linearly in the latter. So a run needs no random states of its own, and the values are the same
everywhere. Beyond the table moments follow powers of the number of agents.

Exact values with which the table agrees: E[P^2] = 1 / N, E[P] -> sqrt(8 / (3 pi N)); the spread tends to
sqrt(3/5) R in the ball and L / 2 in the box.
"""

from __future__ import annotations

import csv
import math
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics.calibrated import CALIBRATED_NAMES, FIRST_ENTROPY, INDEX, LEAST, reference_radius

Floats = NDArray[np.float64]

TABLE = Path(__file__).with_name("school_null.csv")

GEOMETRIES = ("open", "periodic")

# How moments go with the number of agents beyond the table: means to these limits as one over its root (the centroid in
# a box, found from the agents, makes the spread smaller by that much), or no more; standard deviations with these
# powers. What is sampled, and with it the index, no longer depends
# on it; nor do the places in a cube (H3) or the moments in it (H4) along an axis that chance alone chooses.
_LIMITS = {
    "open": np.array([0.0, 0.0, math.sqrt(0.6), *[math.nan] * 8]),
    "periodic": np.array([0.0, 0.0, 0.5 / reference_radius(1.0, 1.0), *[math.nan] * 8]),
}
_SD_POWERS = {
    "open": np.array([-0.5, -0.5, -0.5, 0, -1, -1, -1, 0, 0, -1, 0]),
    "periodic": np.array([-0.5, -0.5, -0.5, 0, -1, 0, 0, 0, 0, -1, 0]),
}


class Null(NamedTuple):
    """Moments of the eleven numbers of :data:`~simengine.diagnostics.calibrated.CALIBRATED`, each of shape (11,).

    NaN where a number is not defined. The spread is in units of the radius of the reference ball.
    """

    mean: Floats
    sd: Floats
    skewness: Floats


@cache
def null_table(geometry: str) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the tabulated numbers of agents, (A,), and the means, standard deviations and skewnesses, (A, 11)."""
    rows: dict[int, dict[str, tuple[float, float, float]]] = {}
    with TABLE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["geometry"] == geometry:
                moments = (float(row["mean"]), float(row["sd"]), float(row["skewness"]))
                rows.setdefault(int(row["agents"]), {})[row["number"]] = moments
    agents = sorted(rows)
    table = np.array([[rows[n][name] for name in CALIBRATED_NAMES] for n in agents])
    return np.array(agents, np.float64), table[..., 0], table[..., 1], table[..., 2]


def null_of(agents: int, geometry: str) -> Null:
    """Return the :class:`Null` of a number of agents, ``geometry`` being one of :data:`GEOMETRIES`."""
    if agents < 1:
        return Null(*(np.full(len(CALIBRATED_NAMES), math.nan) for _ in range(3)))
    known, means, sds, skewnesses = null_table(geometry)
    place = min(max(int(np.searchsorted(known, agents, side="right")) - 1, 0), len(known) - 2)
    inside = min(agents, known[-1])
    part = math.log(inside / known[place]) / math.log(known[place + 1] / known[place])
    beyond = max(agents / known[-1], 1.0)
    mean, sd, skewness = ((1.0 - part) * table[place] + part * table[place + 1] for table in (means, sds, skewnesses))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean[:INDEX] = np.exp((1.0 - part) * np.log(means[place]) + part * np.log(means[place + 1]))[:INDEX]
        sd = np.exp((1.0 - part) * np.log(sds[place]) + part * np.log(sds[place + 1]))
    if beyond > 1.0:
        limit = np.where(np.isnan(_LIMITS[geometry]), mean, _LIMITS[geometry])
        mean = limit + (mean - limit) * beyond**-0.5
        sd *= beyond ** _SD_POWERS[geometry]
    if agents < LEAST:
        for moments in (mean, sd, skewness):
            moments[FIRST_ENTROPY:] = math.nan
    return Null(mean, sd, skewness)


def normal_score(value: float, mean: float, sd: float, skewness: float) -> float:
    """Return the score of ``value`` that is standard normal under a null with these moments.

    Wilson & Hilferty (1931) for a gamma distribution with the null's skewness; for none it is
    ``(value - mean) / sd``. Entropies near their maximum have nulls with a long lower tail: of shape entropies 1.3 %
    lie beyond three standard deviations, but 0.3 % beyond a score of three. Far from the null scores grow only with
    the cube root; compare states that differ by the distance in standard deviations instead.
    """
    distance = (value - mean) / sd
    if abs(skewness) < 1e-3:
        return distance
    root = math.copysign(abs(1.0 + 0.5 * skewness * distance) ** (1.0 / 3.0), 1.0 + 0.5 * skewness * distance)
    return 6.0 / skewness * (root - 1.0) + skewness / 6.0
