"""Conditional information of jointly Gaussian series, from linear regressions.

I(A; B | C) = 0.5 ln det S(A|C) / det S(A|B,C), with S the covariances of the residuals. Where there is nothing to
find, 1 - r^2 of independent samples has a beta distribution, so that bias and null are digamma and trigamma functions
of the degrees of freedom; 2 n I tends to chi-square. With normal scores in place of values this is the Gaussian
copula's information (Ince et al. 2017), which needs no Gaussian margins.

Valid where residuals are Gaussian and regressions linear, with n at least ten times the number of regressors; the
copula likewise, after its margins are made normal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, polygamma

from simengine.diagnostics.dynamics.dependence import answer, nothing
from simengine.diagnostics.dynamics.memory import long_run_variance
from simengine.diagnostics.estimate import Estimate

Floats = NDArray[np.float64]

# Residuals with more skewness, more excess kurtosis, or more correlation with squares are not Gaussian, if
# significantly so.
_SKEWNESS, _KURTOSIS, _CURVATURE = 0.25, 0.5, 0.1
_SIGNIFICANCE = 4.0
# Residual variance over variance below which there is none.
_SINGULAR = 1e-12


@dataclass(frozen=True)
class Fit:
    """Residuals of A, shape (n, d); squared Mahalanobis length of each; ln det of their covariance; rank."""

    residuals: Floats
    lengths: Floats
    log_det: float
    rank: int


def fitted(a: Floats, regressors: Floats) -> Fit:
    """Regress the columns of A on a constant and the regressors."""
    n = len(a)
    design = regressors - regressors.mean(axis=0)
    centred = a - a.mean(axis=0)
    rank = 0
    if design.shape[1]:
        scale = np.sqrt((design**2).mean(axis=0))
        left, sizes, _ = np.linalg.svd(design / np.where(scale > 0, scale, 1.0), full_matrices=False)
        left = left[:, sizes > sizes[0] * 1e-9 if sizes[0] > 0 else slice(0)]
        rank = left.shape[1]
        centred = centred - left @ (left.T @ centred)
    covariance = centred.T @ centred / n
    total = ((a - a.mean(axis=0)) ** 2).mean(axis=0)
    if (np.diag(covariance) <= _SINGULAR * total).any():
        return Fit(centred, np.full(n, math.nan), -math.inf, rank)
    sign, log_det = np.linalg.slogdet(covariance)
    if sign <= 0 or log_det < math.log(_SINGULAR) + np.log(np.diag(covariance)).sum():
        return Fit(centred, np.full(n, math.nan), -math.inf, rank)
    lengths = np.einsum("ij,ij->i", centred, np.linalg.solve(covariance, centred.T).T)
    return Fit(centred, lengths, float(log_det), rank)


def by_regression(
    a: Floats, b: Floats, c: Floats, rows: int, method: str, *, local: bool = False, shuffles: int = 0, seed: int = 0,
    weights: NDArray[np.float64] | None = None,
) -> Estimate:  # fmt: skip
    """Estimate I(A; B | C) from columns of shape (n, d) of ``rows`` realisations.

    Where A and B are overlapping windows of one series, 2 n times the null is no chi-square but a sum of independent
    ones of one degree of freedom each with these ``weights``.
    """
    n = len(a)
    if not np.ptp(a, axis=0).any() or not np.ptp(b, axis=0).any():
        return nothing(n, method, local and (rows, -1))
    apart, full = fitted(a, c), fitted(a, np.hstack([c, b]))
    if math.isinf(full.log_det):
        alone = math.isinf(apart.log_det)
        return Estimate(
            math.nan if alone else math.inf, n=n, method=method, flags=("singular",), details={"dof": float(b.shape[1])}
        )
    added = full.rank - apart.rank
    dof = float(added * a.shape[1])
    free = n - 1 - full.rank
    flags: list[str | None] = ["singular" if added < b.shape[1] or apart.rank < c.shape[1] else None]
    flags += ["many_states" if dof + full.rank > 0.1 * n else None, not_gaussian(full.residuals, b, c)]
    if free <= a.shape[1]:
        return Estimate(math.nan, n=n, method=method, flags=("few_samples", "many_states"), details={"dof": dof})
    plug_in = 0.5 * (apart.log_det - full.log_det)
    steps = np.arange(a.shape[1])
    bias = float(np.sum(digamma((free + added - steps) / 2) - digamma((free - steps) / 2))) / 2
    spread = float(np.sum(polygamma(1, (free - steps) / 2) - polygamma(1, (free + added - steps) / 2))) / 4
    if weights is not None:
        bias, spread = float(weights.sum()) / (2 * n), float((weights**2).sum()) / (2 * n**2)
    details: dict[str, Any] = {"plug_in": plug_in, "bias": bias, "dof": dof}
    null = (0.0, math.sqrt(spread), "no dependence: chi-square")
    if shuffles:
        surrogates = _shuffled(a, b, c, apart.log_det, shuffles, seed)
        bias = details["bias"] = float(surrogates.mean())
        null = (0.0, float(surrogates.std(ddof=1)) if shuffles > 1 else math.nan, f"source shuffled {shuffles} times")
    values = plug_in + 0.5 * (apart.lengths - full.lengths)
    series = np.ascontiguousarray(values.reshape(rows, -1))
    variance, memory, ended = long_run_variance(series)
    details["memory"] = memory
    if local:
        details["local"] = series
    flags.append(None if ended else "short_series")
    return answer(
        plug_in - bias, variance, dof, n, method, details, null=null, flags=tuple(flags), scatter=2 * spread * n**2
    )


def _shuffled(a: Floats, b: Floats, c: Floats, log_det: float, shuffles: int, seed: int) -> Floats:
    rng = np.random.Generator(np.random.Philox(seed))
    found = np.empty(shuffles)
    for i in range(shuffles):
        found[i] = 0.5 * (log_det - fitted(a, np.hstack([c, b[rng.permutation(len(b))]])).log_det)
    return found


def not_gaussian(residuals: Floats, *regressors: Floats) -> str | None:
    """Return the flag of residuals that are not Gaussian, or that squares of regressors explain."""
    n = len(residuals)
    scaled = residuals / residuals.std(axis=0)
    skewness = np.abs((scaled**3).mean(axis=0))
    kurtosis = np.abs((scaled**4).mean(axis=0) - 3.0)
    odd = (skewness > max(_SKEWNESS, _SIGNIFICANCE * math.sqrt(6 / n))) | (
        kurtosis > max(_KURTOSIS, _SIGNIFICANCE * math.sqrt(24 / n))
    )
    if odd.any():
        return "not_gaussian"
    for block in regressors:
        centred = block - block.mean(axis=0)
        squares = centred**2 - (centred**2).mean(axis=0)
        size = np.sqrt((squares**2).mean(axis=0))
        bent = np.abs(scaled.T @ squares) / n / np.where(size > 0, size, 1.0)
        if (bent > max(_CURVATURE, _SIGNIFICANCE / math.sqrt(n))).any():
            return "not_gaussian"
    return None
