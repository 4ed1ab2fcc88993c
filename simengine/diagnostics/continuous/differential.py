"""Differential entropy from samples: nearest neighbours on whitened data, or normal variables.

Declared validity, enforced by flags:

- "kozachenko-leonenko": at least 200 samples, 50 for each dimension: ``few_samples``; at most 6 dimensions:
  ``high_dimension``; few repeated values: ``ties``, ``atoms`` (a part on exact values has entropy minus infinity); in
  more than two dimensions no heavy tails: ``heavy_tails``; parts that agree with the whole: ``unstable_subsamples``.
- "gaussian": jointly normal variables: ``not_gaussian``.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics.continuous import margins, pipeline
from simengine.diagnostics.continuous.gaussian import gaussian_entropy
from simengine.diagnostics.continuous.measures import Entropy
from simengine.diagnostics.continuous.mutual import MOST_DIMENSIONS, Options
from simengine.diagnostics.estimate import Estimate, flagged, normal_interval

Array = NDArray[np.float64]


def neighbour_entropy(x: Array, options: Options, *, whiten: bool = True) -> Estimate:
    """Estimate the differential entropy of x, shape (n, d), from the distances of k-th neighbours.

    Kozachenko & Leonenko (1987): psi(n) - psi(k) + d <ln 2 e> in the maximum norm. With ``whiten`` they are taken on
    L^-1 (x - mean), where the covariance is L L^T, and ln det L is added: the bias of the raw estimator grows with
    the correlations. ``scale`` of the options does not apply: entropy depends on the units.
    """
    n, d = x.shape
    options.checked(n)
    if margins.varying(x).shape[1] < d:
        return constant_entropy(n, "kozachenko-leonenko")
    white, log_det = margins.whitened(x)
    if whiten and math.isinf(log_det):
        return constant_entropy(n, "kozachenko-leonenko", "singular")
    points = white if whiten else np.ascontiguousarray(x)
    offset = log_det if whiten else 0.0
    held, repeated = margins.shares(x)
    on_atoms = held > margins.ATOM_SHARE
    measure = Entropy(d)
    if margins.twins(x) > options.k:
        flags = flagged("atoms" if on_atoms else "ties")
        return Estimate(-math.inf, math.nan, (-math.inf, -math.inf), n=n, method="kozachenko-leonenko", flags=flags)
    if margins.heavy_tailed(x) and margins.twins(points) > options.k:
        # Next to a value so far out that rounding makes all others one.
        return Estimate(math.nan, n=n, method="kozachenko-leonenko", flags=flagged("heavy_tails"))
    result = pipeline.estimated(
        measure, points, options.k, correct=options.correct and whiten, scores=False, queries=options.queries,
        seed=options.seed, threads=options.threads,
    )  # fmt: skip
    variance = result.standard_error**2
    details: dict[str, object] = {
        "k": options.k, "whitened": whiten, "uncorrected": result.raw + offset,
        "subtracted_bias": result.raw - result.value, "local": result.local + offset,
    }  # fmt: skip
    stable = True
    if options.reliability:
        parts = pipeline.parts_agree(measure, points, options.k, result, seed=options.seed, threads=options.threads)
        details |= {"extrapolated": parts.value + offset, "slope": parts.slope, "parts": parts.means + offset}
        # Entropy has no zero of its own, so that its change is compared with a spread larger by 5 %.
        stable = abs(parts.slope) <= max(2.0 * math.sqrt(variance), 0.05 * d) or n < 20 * (options.k + 1)
    stable = stable and not abs(result.bend) > max(2.0 * math.sqrt(variance), 3.0 * result.shift, 0.05 * d)
    flags = flagged(
        "few_samples" if n < max(200, 50 * d) else None,
        "high_dimension" if d > MOST_DIMENSIONS else None,
        "atoms" if on_atoms else None,
        "ties" if repeated > margins.ATOM_SHARE and not on_atoms else None,
        "heavy_tails" if d > 1 and margins.heavy_tailed(x) else None,
        None if stable else "unstable_subsamples",
    )
    value, error = result.value + offset, math.sqrt(variance)
    return Estimate(
        value, error, normal_interval(value, error), n=n, method="kozachenko-leonenko", flags=flags, details=details,
    )  # fmt: skip


def linear_entropy(x: Array) -> Estimate:
    """Estimate the differential entropy of a normal variable, shape (n, d), from its covariance."""
    if margins.varying(x).shape[1] < x.shape[1]:
        return constant_entropy(len(x), "gaussian")
    return gaussian_entropy(x)


def constant_entropy(n: int, method: str, flag: str = "constant") -> Estimate:
    """Return the entropy of what does not vary, or varies in fewer dimensions than it has: minus infinity."""
    return Estimate(-math.inf, 0.0, (-math.inf, -math.inf), n=n, method=method, flags=flagged(flag))
