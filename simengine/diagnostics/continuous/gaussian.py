"""Entropies and information of normal variables, from correlations: without the bias of the sample, with exact nulls.

Valid where the variables are jointly normal ("gaussian"), or where each is a monotone function of jointly normal ones
("copula": normal scores first; Ince et al. 2017, Human Brain Mapping 38:1541). Both see linear dependence only: for
other data the value is a lower bound in practice, and the flag "not_gaussian" is up. More than n / 10 parameters
raise "many_states".
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, polygamma, psi
from scipy.stats import chi2

from simengine.diagnostics.continuous.margins import magnitudes, normal_scores, singular
from simengine.diagnostics.continuous.measures import Entropy, Information, Measure
from simengine.diagnostics.estimate import Estimate, flagged, normal_interval

Array = NDArray[np.float64]

NOT_NORMAL = 1e-4
"""Significance at which Mardia's tests say that data are not normal."""

CELLS, A_CELL = 6, 10
"""Most cells along an axis, and samples a cell, in the test of what normal scores leave."""

RANKED = 5_000
"""Up to this many samples the bias of ranks, of the order of ln n / n, is simulated and subtracted."""

RANK_SETS = 4


def gaussian_information(
    points: Array, measure: Information, parameters: int, *, copula: bool, null: str, clipped: bool = True
) -> Estimate:  # fmt: skip
    """Return the information of normal variables with the correlations of ``points``.

    The bias of ln det of a sample's covariance is that of Wishart matrices, sum psi((n - i) / 2) - ln((n - 1) / 2)
    over i = 1 .. d, and is subtracted. The variance is that of the local values, (1/n) var i(x), plus that of the
    chi-square distribution of 2 n I without dependence, whose degrees of freedom are ``parameters``.
    """
    n, d = points.shape
    seen = normal_scores(points) if copula else points / magnitudes(points)
    method = "copula" if copula else "gaussian"
    correlation = _correlation(seen)
    if n <= d + 1 or singular(correlation):
        flags = flagged("singular", "few_samples" if n <= d + 1 else None)
        return Estimate(math.inf, math.nan, (math.nan, math.inf), n=n, method=method, flags=flags, null=null)
    value = _information(measure, correlation)
    bias = -_log_det_bias(n, d) - sum(sign * _log_det_bias(n, len(columns)) for columns, sign in measure.margins)
    if copula and n <= RANKED:
        bias += _rank_bias(measure, correlation, n)
    unit = (seen - seen.mean(axis=0)) / seen.std(axis=0)
    local = measure.pointwise(unit, correlation)
    null_sd = math.sqrt(parameters / 2.0) / n
    error = math.sqrt(float(local.var()) / n + null_sd**2)
    flags = flagged(
        "not_gaussian" if not_normal(seen) or (copula and _still_dependent(seen)) else None,
        "few_samples" if n < 20 + 2 * d else None, "many_states" if parameters > n / 10 else None,
    )  # fmt: skip
    statistic = 2.0 * n * value
    details = {
        "subtracted_bias": bias, "local": local, "p_value": float(chi2.sf(max(statistic, 0.0), parameters)),
        "degrees_of_freedom": parameters,
    }  # fmt: skip
    found = value - bias
    interval = information_interval(found, error) if clipped else normal_interval(found, error)
    return Estimate(
        found, error, interval, 0.0, null_sd, n=n, method=method, flags=flags, null=null, details=details,
    )  # fmt: skip


def _information(measure: Information, correlation: Array) -> float:
    value = -0.5 * log_det(correlation)
    for columns, sign in measure.margins:
        if columns:
            part = np.asarray(columns)
            value -= sign * 0.5 * log_det(correlation[np.ix_(part, part)])
    return value


def _rank_bias(measure: Information, correlation: Array, n: int) -> float:
    """How much less the ranks of normal variables tell than their values do: the same samples, both ways."""
    factor = np.linalg.cholesky(correlation)
    random = np.random.Generator(np.random.Philox(0))
    found = []
    for _ in range(RANK_SETS):
        normal = random.standard_normal((n, len(correlation))) @ factor.T
        ways = [_information(measure, _correlation(one)) for one in (normal_scores(normal), normal)]
        found.append(ways[0] - ways[1])
    return math.fsum(found) / RANK_SETS


def _correlation(points: Array) -> Array:
    found: Array = np.asarray(np.corrcoef(points.T), np.float64).reshape(points.shape[1], points.shape[1])
    return found


def gaussian_entropy(points: Array) -> Estimate:
    """Return the differential entropy of a normal variable with the covariance of ``points``, without its bias."""
    n, d = points.shape
    sizes = magnitudes(points)
    points = points / sizes
    covariance = np.cov(points.T).reshape(d, d)
    deviation = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(deviation, deviation)
    if n <= d + 1 or singular(correlation):
        flags = flagged("singular", "few_samples" if n <= d + 1 else None)
        return Estimate(-math.inf, math.nan, (-math.inf, math.nan), n=n, method="gaussian", flags=flags)
    half = 0.5 * log_det(correlation) + float(np.log(deviation).sum() + np.log(sizes).sum()) - _log_det_bias(n, d)
    value = half + 0.5 * d * math.log(2.0 * math.pi * math.e)
    unit = (points - points.mean(axis=0)) / deviation
    measure: Measure = Entropy(d)
    local = measure.pointwise(unit, correlation)
    exact = 0.25 * float(polygamma(1, (n - np.arange(1, d + 1)) / 2.0).sum())
    error = math.sqrt(max(float(local.var()) / n, exact))
    flags = flagged("not_gaussian" if not_normal(points) else None, "few_samples" if n < 20 + 2 * d else None)
    return Estimate(
        value, error, normal_interval(value, error), n=n, method="gaussian", flags=flags,
        details={"subtracted_bias": _log_det_bias(n, d)},
    )  # fmt: skip


def information_interval(value: float, standard_error: float) -> tuple[float, float]:
    """Return value -+ 1.96 standard errors, cut at 0 below, for what cannot be negative."""
    low, high = normal_interval(value, standard_error)
    return max(float(low), 0.0), max(float(high), 0.0)


def log_det(matrix: Array) -> float:
    """Return ln of the determinant of a positive definite matrix."""
    return float(np.linalg.slogdet(matrix)[1])


def not_normal(points: Array) -> bool:
    """Whether Mardia's (1970) skewness or kurtosis, or a correlation of squares, is not that of normal variables."""
    n, d = points.shape
    centred = points - points.mean(axis=0)
    factor = np.linalg.cholesky(centred.T @ centred / n)
    white = np.linalg.solve(factor, centred.T)
    kurtosis = float((np.einsum("ij,ij->j", white, white) ** 2).mean())
    deviation = (kurtosis - d * (d + 2)) / math.sqrt(8.0 * d * (d + 2) / n)
    third = np.einsum("in,jn,kn->ijk", white, white, white, optimize=True) / n
    skewness = float((third**2).sum())
    squares = white**2 - 1.0
    together = squares @ squares.T / n
    # Squares of independent normal variables have the variance 2 each; ranks hide the kurtosis, and not this.
    shared = np.abs(together[np.triu_indices(d, 1)]).max(initial=0.0) * math.sqrt(n) / 2.0
    freedom = d * (d + 1) * (d + 2) / 6.0
    # The kurtosis approaches its normal distribution slowly from above, hence the wider limit.
    return bool(chi2.sf(n * skewness / 6.0, freedom) < NOT_NORMAL or abs(deviation) > 5.0 or shared > 5.0)


def _still_dependent(scores: Array) -> bool:
    """Whether normal scores depend on one another after their correlations are taken away.

    Each pair of whitened scores is counted in a grid of cells that independent normal variables fill evenly: a
    chi-square test with as many degrees of freedom as cells but one, at a level divided by the number of tests.
    """
    n, d = scores.shape
    size = min(CELLS, math.isqrt(n // A_CELL))
    if size < 2 or d < 2:
        return False
    edges, worst = ndtri(np.arange(1, size) / size), 0.0
    # What is left of the last given the first may look even where the first given the last does not.
    for centred in (scores - scores.mean(axis=0), (scores - scores.mean(axis=0))[:, ::-1]):
        place = np.searchsorted(edges, np.linalg.solve(np.linalg.cholesky(centred.T @ centred / n), centred.T))
        for i in range(1, d):
            for j in range(i):
                counts = np.bincount(place[i] * size + place[j], minlength=size**2)
                worst = max(worst, float(((counts - n / size**2) ** 2).sum()))
    return bool(chi2.sf(worst * size**2 / n, size**2 - 1) < NOT_NORMAL / (d * (d - 1)))


def _log_det_bias(n: int, d: int) -> float:
    """Half the expectation of ln det of a sample's covariance less that of the true one."""
    rows: Sequence[float] = [float(psi((n - i) / 2.0)) - math.log((n - 1) / 2.0) for i in range(1, d + 1)]
    return 0.5 * math.fsum(rows)
