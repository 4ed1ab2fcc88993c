"""Conditional information of continuous series from nearest neighbours.

The estimators of :mod:`~simengine.diagnostics.continuous.mutual` and ``conditional`` (Kraskov, Stögbauer &
Grassberger 2004; Frenzel & Pompe 2007) on windows of series, with their corrections and flags. Two things differ:
values are turned to normal scores series by series, and the variance grows as that of the local values' mean does
because successive windows hang together. Values given C, and those less the mean over shuffles of the source's past
(effective transfer entropy), are of the textbook estimator, without other corrections: for autoregressions of two
series their bias is below a tenth of the standard error at 1000 windows.

Valid for 400 windows or more; else as said there: flags say where not.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics.continuous.knn import Neighbours, digamma_table
from simengine.diagnostics.continuous.margins import NONE
from simengine.diagnostics.continuous.measures import conditional, mutual
from simengine.diagnostics.continuous.mutual import Options, neighbour_estimate
from simengine.diagnostics.dynamics.dependence import FEWEST, nothing
from simengine.diagnostics.dynamics.memory import long_run_variance
from simengine.diagnostics.estimate import Estimate, flagged, normal_interval

Floats = NDArray[np.float64]


def local_information(a: Floats, b: Floats, c: Floats, k: int, inner: Neighbours | None = None) -> Floats:
    """Return the terms whose mean is the estimate, shape (n,); ``inner`` are the neighbours of (A, C), if known."""
    n = len(a)
    table = digamma_table(n)
    radii = Neighbours(np.hstack([a, b, c])).kth_distances(k)
    ac = inner or Neighbours(np.hstack([a, c]))
    n_c = Neighbours(c).count_within(radii) if c.shape[1] else np.full(n, n - 1)
    found = table[n_c + 1] - table[ac.count_within(radii) + 1]
    return np.asarray(table[k] + found - table[Neighbours(np.hstack([b, c])).count_within(radii) + 1])


def by_neighbours(
    a: Floats, b: Floats, c: Floats, rows: int, k: int, *, local: bool = False, shuffles: int = 0, seed: int = 0
) -> Estimate:
    """Estimate I(A; B | C) from columns of shape (n, d) of ``rows`` realisations."""
    n = len(a)
    if not np.ptp(a, axis=0).any() or not np.ptp(b, axis=0).any():
        return nothing(n, "ksg", local and (rows, -1))
    options = Options(k=k, scale=NONE, correct=not (shuffles or c.shape[1]), reliability=False, seed=seed).checked(n)
    points = np.ascontiguousarray(np.hstack([a, b, c]))
    sizes = (a.shape[1], b.shape[1])
    measure = conditional(*sizes, c.shape[1]) if c.shape[1] else mutual(*sizes)
    found, _ = neighbour_estimate(measure, points, points, options, "ksg")
    value = float(found.value)
    details: dict[str, Any] = {"k": k, "bias": float(found.details["uncorrected"]) - value}
    if shuffles:
        inner = Neighbours(np.hstack([a, c]))
        rng = np.random.Generator(np.random.Philox(seed))
        means = [local_information(a, b[rng.permutation(n)], c, k, inner).mean() for _ in range(shuffles)]
        details["bias"] = float(np.mean(means))
        value -= details["bias"]
        spread = float(np.std(means, ddof=1)) if shuffles > 1 else math.nan
        found = replace(found, null_mean=0.0, null_sd=spread, null=f"source shuffled {shuffles} times")
    series = np.ascontiguousarray(found.details["local"].reshape(rows, -1))
    variance, memory, ended = long_run_variance(series)
    alone = float(series.var())
    error = float(found.standard_error) * math.sqrt(max(variance / alone, 1.0) if alone > 0.0 else 1.0)
    details["memory"] = memory
    if local:
        details["local"] = series
    low, high = normal_interval(value, error, 0.0)
    few = "few_samples" if n < FEWEST else None
    return replace(
        found, value=value, standard_error=error, interval=(low, max(float(high), 0.0)), details=details,
        flags=flagged(*found.flags, few, None if ended else "short_series"),
    )  # fmt: skip
