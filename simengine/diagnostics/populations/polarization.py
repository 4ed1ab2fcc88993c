"""How far apart opinions are: variance, mean difference of pairs, Esteban and Ray's measure, bimodality.

Class A from counts in declared bins (each opinion then counts as the middle of its bin), class B from exact sums of
powers (variance, bimodality); from the opinions themselves without bins, except Esteban and Ray's measure, which needs
groups. Opinions are taken as independent draws from one distribution. Valid from 50 agents on, the bimodality from 100
on and where no tail decides it (``heavy_tails``).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics import checks
from simengine.diagnostics.estimate import Estimate, flagged, normal_interval, positive_interval, stacked
from simengine.diagnostics.populations.arguments import checked_numbers, checked_positive, checked_size
from simengine.diagnostics.populations.bins import checked_range, edges_of
from simengine.diagnostics.populations.opinions import one_table, opinion_counts, scalar_opinions
from simengine.diagnostics.populations.powers import (
    POWERS,
    central_moments,
    moments_of_sums,
    uniform_moments,
)
from simengine.diagnostics.populations.shares import Floats, second_order, variance_of

MEASURES = ("variance", "pair-difference", "esteban-ray")
EVEN = "opinions spread evenly over the declared range"
UNIFORM = "opinions spread evenly over some range: 5/9"

_FEWEST = 50
_FEWEST_FOR_SHAPE = 100
_TAIL = 0.02


def opinion_polarization(
    opinions: Any, measure: str = "pair-difference", *, alpha: float = 1.0, bins: Any = None, range: Any = None,
    states: int | None = None, data: Any = None, dim: Any = None,
) -> Estimate:  # fmt: skip
    """Return how polarized opinions are.

    Parameters
    ----------
    opinions
        One number for each agent, shape (n,) or (..., n, 1), or with names.
    measure
        ``"variance"`` (with n - 1); ``"pair-difference"``, the mean absolute difference of two agents (Gini's mean
        difference); ``"esteban-ray"``, sum_ij p_i^(1 + alpha) p_j abs(x_i - x_j) over bins (Esteban & Ray 1994).
    alpha
        Esteban and Ray's sensitivity to the size of groups, above 0 and up to 1.6.
    bins, range, states
        Declared bins, see :func:`~simengine.diagnostics.populations.opinions.opinion_entropy`; needed by
        ``"esteban-ray"``. The other measures take opinions as they are; a ``range`` alone gives them their null.

    Returns
    -------
    estimate
        In the square of the unit of opinions for the variance, else in that unit; it says ``"1"``.
    """
    checks.one_of(measure, MEASURES, "measure")
    blocks = scalar_opinions(opinions, data, dim)
    if measure == "esteban-ray" or bins is not None or states is not None:
        edges = edges_of(blocks.arrays[0], bins, range, states, "opinions")
        found = []
        for (block,) in blocks:
            counts, outside = opinion_counts(block[:, 0], edges)
            found.append(opinion_polarization_from_counts(counts, edges, measure, alpha=alpha, outside=outside))
    else:
        width = None if range is None else (lambda ends: ends[1] - ends[0])(checked_range(range, "opinions"))
        of = _variance if measure == "variance" else _pair_difference
        found = [of(block[:, 0].astype(np.float64), width) for (block,) in blocks]
    return stacked(found, blocks.batch, blocks.dims, blocks.coords)


def _variance(x: Floats, width: float | None) -> Estimate:
    return opinion_variance_from_moments(x.size, central_moments(x, 4), width=width)


def opinion_variance_from_moments(n: int, moments: Floats, *, width: float | None = None) -> Estimate:
    """Return the variance of opinions from their number and central moments 0 to 4 or higher.

    The variance of the variance is (m4 - m2^2) / n + 2 m2^2 / (n (n - 1)). ``width`` of the range of opinions gives the
    null.
    """
    if n < 2:
        return _too_few(n, "variance")
    value = float(moments[2]) * n / (n - 1.0)
    m2, m4 = float(moments[2]), float(moments[4])
    error = math.sqrt(variance_of(max(m4 - m2**2, 0.0) / n, 2.0 * m2**2 / (n * (n - 1.0))))
    null = (math.nan, math.nan)
    if width is not None:
        null = (width**2 / 12.0, width**2 * math.sqrt((1.0 / 80.0 - (n - 3.0) / (n - 1.0) / 144.0) / n))
    flags = flagged("few_samples" if n < _FEWEST else None, "constant" if value == 0.0 else None)
    return Estimate(
        value, error, positive_interval(value, error), *null, n, "1", "variance", flags,
        EVEN if width is not None else "",
    )  # fmt: skip


def _pair_difference(x: Floats, width: float | None) -> Estimate:
    """Gini's mean difference: of sorted values 2 sum (2 i - n + 1) x_i / (n (n - 1)), a U-statistic."""
    n = x.size
    if n < 2:
        return _too_few(n, "pair-difference")
    x = np.sort(x)
    before = np.concatenate([[0.0], np.cumsum(x - x[0])])
    rank = np.arange(n)
    # Each agent's mean distance to the others.
    from_least = x - x[0]
    own = ((2 * rank - n + 1) * from_least + before[n] - before[1:] - before[:-1]) / (n - 1.0)
    value = float(np.mean(own))
    both = 2.0 * float(np.var(x)) * n / (n - 1.0) - value**2
    return _of_pair_differences(n, value, float(np.var(own)), both, width, {})


def _of_pair_differences(
    n: int, value: float, own: float, both: float, width: float | None, details: dict[str, Any]
) -> Estimate:
    """Put together a mean over pairs: ``own`` is the variance of agents' means, ``both`` that of single pairs.

    Hoeffding (1948): the variance is [4 (n - 2) z1 + 2 z2] / (n (n - 1)); of agents' means over the others one
    observes z1 + (z2 - z1) / (n - 1).
    """
    single = max((own - both / (n - 1.0)) * (n - 1.0) / (n - 2.0), 0.0) if n > 2 else 0.0
    error = math.sqrt((4.0 * (n - 2) * single + 2.0 * max(both, 0.0)) / (n * (n - 1.0)))
    null = (math.nan, math.nan)
    if width is not None:
        # Of even opinions: mean 1/3, z1 = 1/180, z2 = 1/18.
        null = (width / 3.0, width * math.sqrt((4.0 * (n - 2) / 180.0 + 2.0 / 18.0) / (n * (n - 1.0))))
    flags = flagged("few_samples" if n < _FEWEST else None, "constant" if value == 0.0 else None)
    return Estimate(
        value, error, positive_interval(value, error), *null, n, "1", "pair-difference", flags,
        EVEN if width is not None else "", details,
    )  # fmt: skip


def opinion_polarization_from_counts(
    counts: Any, edges: Floats, measure: str = "pair-difference", *, alpha: float = 1.0, outside: int = 0
) -> Estimate:
    """Return the polarization of opinions of which each bin holds so many; see :func:`opinion_polarization`."""
    outside = checks.whole(outside, "outside", 0)
    checks.one_of(measure, MEASURES, "measure")
    counts = one_table(counts)
    if measure != "variance":
        checked_size(counts.size**2, f"{measure}: bins x bins")
    edges = checked_numbers(edges, "edges", (counts.size + 1,), "one more than bins")
    middle = 0.5 * (edges[1:] + edges[:-1])
    n = int(counts.sum())
    if n < 2:
        return _too_few(n, measure)
    p = counts / n
    further = ("outside_range",) if outside else ()
    if measure == "variance":
        moments = np.array([float(p @ (middle - p @ middle) ** k) for k in range(5)])
        found = opinion_variance_from_moments(n, moments)
    elif measure == "pair-difference":
        distance = np.abs(middle[:, None] - middle[None, :])
        own = distance @ p * n / (n - 1.0)
        value = float(p @ own)
        both = 2.0 * float(p @ (middle - p @ middle) ** 2) * n / (n - 1.0) - value**2
        found = _of_pair_differences(n, value, float(p @ (own - value) ** 2), both, None, {"bins": counts.size})
    else:
        found = _esteban_ray(n, p, np.abs(middle[:, None] - middle[None, :]), alpha)
    return Estimate(
        found.value, found.standard_error, found.interval, found.null_mean, found.null_sd, n, "1", found.method,
        flagged(*found.flags, *further), found.null, {**found.details, "outside": outside},
    )  # fmt: skip


def _esteban_ray(n: int, p: Floats, distance: Floats, alpha: float) -> Estimate:
    alpha = checked_positive(alpha, "Esteban and Ray's alpha", 1.6)
    plain, gradient, hessian = _esteban_ray_slopes(p, distance, alpha)
    bias, variance = second_order(p, n, gradient, hessian)
    value, error = plain - bias, math.sqrt(variance)
    even = np.full(p.size, 1.0 / p.size)
    null_mean, *slopes = _esteban_ray_slopes(even, distance, alpha)
    null_sd = math.sqrt(second_order(even, n, *slopes)[1])
    seen = int(np.count_nonzero(p))
    flags = flagged("few_samples" if n < max(_FEWEST, 5 * seen) else None, "constant" if seen == 1 else None)
    return Estimate(
        value, error, normal_interval(value, error, 0.0), null_mean, null_sd, n, "1", "esteban-ray", flags,
        "opinions that are equally likely in all bins", {"bins": p.size, "alpha": alpha, "bias": bias},
    )  # fmt: skip


def _esteban_ray_slopes(p: Floats, distance: Floats, alpha: float) -> tuple[float, Floats, Floats]:
    """Value, gradient and second derivatives of sum_ij p_i^(1 + a) p_j d_ij."""
    power = p ** (1.0 + alpha)
    slope = (1.0 + alpha) * p**alpha
    far = distance @ p
    gradient = slope * far + distance @ power
    hessian = (slope[:, None] + slope[None, :]) * distance
    # Where nobody is, the second derivative may be infinite, but nothing varies there.
    curved = np.zeros_like(p)
    held = p > 0.0
    curved[held] = (1.0 + alpha) * alpha * p[held] ** (alpha - 1.0) * far[held]
    hessian[np.diag_indices_from(hessian)] += curved
    return float(power @ far), gradient, hessian


def bimodality(opinions: Any, *, data: Any = None, dim: Any = None) -> Estimate:
    """Return the bimodality coefficient (skewness^2 + 1) / kurtosis of opinions (Sarle; SAS Institute 1989).

    It is 1/3 for a normal distribution, 5/9 for an even one and 1, its highest, for two points; above 5/9 is taken as
    a sign of two camps, though a skewed distribution of one camp may pass it, too. The coefficient here is that of the
    moments of the population, freed of its bias of first order in 1 / n.
    """
    blocks = scalar_opinions(opinions, data, dim)
    found = [
        bimodality_from_moments(block.shape[0], central_moments(_of_unit_width(block[:, 0]), POWERS))
        for (block,) in blocks
    ]
    return stacked(found, blocks.batch, blocks.dims, blocks.coords)


def _of_unit_width(opinions: NDArray[Any]) -> Floats:
    """Opinions scaled to a width of 1, so that no power of theirs is too large or too small for a number."""
    x = opinions.astype(np.float64)
    width = float(np.ptp(x))
    return (x - x.min()) / width if width > 0.0 else x


def bimodality_from_moments(n: int, moments: Floats) -> Estimate:
    """Return the bimodality coefficient from the number of opinions and their central moments 0 to 8.

    The moments are those of :func:`~simengine.diagnostics.populations.powers.moments_of_sums` or
    :func:`~simengine.diagnostics.populations.powers.central_moments`. Bias and variance are of second and first order
    in the first four sample moments.
    """
    if n < 4:
        return _too_few(n, "bimodality")
    if not float(moments[2]) > 0.0:
        return Estimate(math.nan, n=n, unit="1", method="bimodality", flags=flagged("constant"), null=UNIFORM)
    scale = math.sqrt(float(moments[2]))
    m = moments / scale ** np.arange(moments.size)
    value, bias, variance = _bimodality_expanded(m, n)
    error = math.sqrt(variance)
    _, _, even = _bimodality_expanded(uniform_moments(), n)
    # Where the eighth moment rests on a handful of agents, so does the error.
    heavy = float(m[8]) > _TAIL * n * float(m[4]) ** 2
    flags = flagged("few_samples" if n < _FEWEST_FOR_SHAPE else None, "heavy_tails" if heavy else None)
    return Estimate(
        value - bias, error, normal_interval(value - bias, error, 0.0, 1.0), 5.0 / 9.0, math.sqrt(even), n, "1",
        "bimodality", flags, UNIFORM, {"bias": bias},
    )  # fmt: skip


def _bimodality_expanded(m: Floats, n: int) -> tuple[float, float, float]:
    """Value, bias and variance from standardised central moments m: of powers z, z^2, z^3, z^4 and their products.

    With b = (s^2 + 1) / k, skewness s = m3 and kurtosis k = m4, derivatives are taken at mean 0 and variance 1.
    """
    point = m[1:5].copy()
    covariance = np.array([[m[i + j] - m[i] * m[j] for j in range(1, 5)] for i in range(1, 5)]) / n
    gradient, hessian = np.empty(4), np.empty((4, 4))
    step = 1e-4 * np.maximum(1.0, np.abs(point))
    unit = np.eye(4) * step
    for i in range(4):
        gradient[i] = (_sarle(point + unit[i]) - _sarle(point - unit[i])) / (2.0 * step[i])
        for j in range(i + 1):
            hessian[i, j] = hessian[j, i] = (
                _sarle(point + unit[i] + unit[j]) - _sarle(point + unit[i] - unit[j])
                - _sarle(point - unit[i] + unit[j]) + _sarle(point - unit[i] - unit[j])
            ) / (4.0 * step[i] * step[j])  # fmt: skip
    spread = hessian @ covariance
    first, second = float(gradient @ covariance @ gradient), 0.5 * float(np.sum(spread * spread.T))
    return _sarle(point), 0.5 * float(np.trace(spread)), max(first, 0.0) + max(second, 0.0)


def _sarle(raw: Floats) -> float:
    """The coefficient from the means of x, x^2, x^3 and x^4."""
    a, b, c, d = raw
    two = b - a * a
    three = c - 3.0 * a * b + 2.0 * a**3
    four = d - 4.0 * a * c + 6.0 * a * a * b - 3.0 * a**4
    return float((three * three / two**3 + 1.0) / (four / two**2))


def _too_few(n: int, method: str) -> Estimate:
    return Estimate(math.nan, n=n, unit="1", method=method, flags=flagged("few_samples", "empty" if n == 0 else None))


__all__ = [
    "MEASURES", "bimodality", "bimodality_from_moments", "moments_of_sums", "opinion_polarization",
    "opinion_polarization_from_counts", "opinion_variance_from_moments",
]  # fmt: skip
