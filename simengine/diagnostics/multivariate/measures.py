"""What is shared as sums of entropies: the factors of each quantity, and from how many samples on they hold.

The quantities are told in :mod:`.shared`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics.multivariate.linear import Weights

Floats = NDArray[np.float64]

CONTINUOUS = ("gaussian", "copula")
"""Estimators of continuous variables."""

NEIGHBOURS = "ksg"
"""That of the total correlation from nearest neighbours."""

MOST_IN_LATTICE = 8
"""Variables of a co-information, which sums over all their subsets."""

FEWEST = {"gaussian": 50, "copula": 300}
"""Samples below which ``few_samples`` is raised, by estimator, and for each component:"""

SAMPLES_A_COMPONENT = {"gaussian": 10, "copula": 20}

DISTINCT = 0.95
"""Share of a variable's values that are distinct below which ``ties`` is raised."""


@dataclass(frozen=True)
class Measure:
    """One of the quantities: factors of H_i, H_-i and H for m variables; None where all subsets count."""

    name: str
    weights: Callable[[int], Weights] | None
    lowest: float = 0.0

    def terms(self, m: int) -> dict[tuple[int, ...], float]:
        """Return the factor of the entropy of each subset of m variables."""
        if self.weights is None:
            return {
                subset: 1.0 if size % 2 else -1.0 for size in range(1, m + 1) for subset in combinations(range(m), size)
            }
        single, but_one, whole = self.weights(m)
        found: dict[tuple[int, ...], float] = {(i,): single for i in range(m)}
        for subset in combinations(range(m), m - 1):
            found[subset] = found.get(subset, 0.0) + but_one
        found[tuple(range(m))] = whole
        return found

    def through(self, size: int, m: int) -> float:
        """Return the sum of the factors of all subsets that hold given ``size`` variables."""
        if self.weights is None:
            return float(size == m)
        single, but_one, whole = self.weights(m)
        return (single if size == 1 else 0.0) + (m - size) * but_one + whole


def o_weights(m: int) -> Weights:
    """Return the factors of the O-information of ``m`` variables."""
    return Weights(1.0, -1.0, m - 2.0)


TOTAL = Measure("total correlation", lambda m: Weights(1.0, 0.0, -1.0))
DUAL = Measure("dual total correlation", lambda m: Weights(0.0, 1.0, 1.0 - m))
O_INFORMATION = Measure("O-information", o_weights, -math.inf)
S_INFORMATION = Measure("S-information", lambda m: Weights(1.0, 1.0, -float(m)))
CO_INFORMATION = Measure("co-information", None, -math.inf)


def fewest(estimator: str, components: int) -> int:
    """Return the samples below which ``few_samples`` is raised of a continuous estimator."""
    return max(FEWEST[estimator], SAMPLES_A_COMPONENT[estimator] * components)


def scaled(columns: Floats) -> Floats:
    """Return columns that vary in units of their range, of which no square is too large or too small for a number."""
    width = np.ptp(columns, axis=0)
    found: Floats = (columns - columns.min(axis=0)) / np.where(width > 0.0, width, 1.0)
    return found
