"""How much each swept parameter matters: share of variance, change from its lowest to its highest value, ranks."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from simengine.analysis.statistics.comparing import Compared, compared
from simengine.analysis.statistics.intervals import checked_level

Array = NDArray[np.float64]

MOST_LEVELS, GROUPS = 20, 5
"""Parameters with more values than this are put into so many groups of about equal size."""


class Effect(NamedTuple):
    """Effect of one parameter; NaN where there is none to speak of.

    ``variance_share`` is omega squared, the share of the variance between runs that the parameter's main effect
    explains, corrected for chance; ``contrast`` compares the runs at its lowest with those at its highest value (or
    group); ``rank_correlation`` is Spearman's, with its interval; NaN for what has no order.
    """

    variance_share: float
    contrast: Compared
    rank_correlation: float
    correlation_low: float
    correlation_high: float
    groups: int
    lowest: str
    highest: str
    n: int


def effect(parameter: NDArray[Any], values: Array, level: float = 0.95) -> Effect:
    """Return the effect of one parameter on one observable, over runs in which others may vary too.

    Parameters
    ----------
    parameter
        Its value in each run: numbers, booleans or texts, shape (runs,).
    values
        The observable, one number for each run; NaN are left out.
    level
        Of the intervals.
    """
    checked_level(level)
    known = np.isfinite(values)
    parameter, values = parameter[known], np.asarray(values, np.float64)[known]
    code, names = grouped(parameter)
    groups = len(names)
    lowest, highest = values[code == 0], values[code == groups - 1]
    contrast = compared(lowest, highest if groups > 1 else highest[:0], level)
    ordered = parameter.dtype.kind in "iufb"
    correlation = spearman(parameter.astype(np.float64), values, level) if ordered else (np.nan, np.nan, np.nan)
    ends = (names[0], names[-1]) if groups else ("", "")
    return Effect(omega_squared(code, values), contrast, *correlation, groups, *ends, len(values))


def grouped(parameter: NDArray[Any]) -> tuple[NDArray[np.intp], list[str]]:
    """Return the number of each run's group and the groups' names: the values themselves, or ranges of many."""
    levels, code = np.unique(parameter, return_inverse=True)
    if len(levels) <= MOST_LEVELS or parameter.dtype.kind not in "iuf":
        return code, [str(one) for one in levels]
    edges = np.quantile(parameter, np.linspace(0.0, 1.0, GROUPS + 1))
    code = np.clip(np.searchsorted(edges, parameter, "right") - 1, 0, GROUPS - 1)
    present, code = np.unique(code, return_inverse=True)
    return code, [f"{edges[k]:.4g} to {edges[k + 1]:.4g}" for k in present]


def omega_squared(code: NDArray[np.intp], values: Array) -> float:
    """Return omega squared of groups, not below 0 (Hays 1963, Statistics for psychologists, equation 12.18.3).

    0 if all values are equal; NaN with one group, or one value in each.
    """
    n, groups = len(values), len(np.unique(code))
    if groups < 2 or n <= groups:
        return np.nan
    apart = values - values.mean()
    total = float(apart @ apart)
    if total <= 1e-24 * n * float(np.abs(values).max()) ** 2:
        return 0.0
    counts = np.bincount(code)
    sums = np.bincount(code, apart)
    between = float((sums[counts > 0] ** 2 / counts[counts > 0]).sum())
    within = max(total - between, 0.0) / (n - groups)
    return max(0.0, (between - (groups - 1) * within) / (total + within))


def spearman(x: Array, y: Array, level: float) -> tuple[float, float, float]:
    """Return Spearman's rank correlation and its interval.

    Fisher's transform with the variance of Bonett & Wright (2000), Psychometrika 65, 23-28: (1 + r^2 / 2) / (n - 3).
    """
    n = len(x)
    if n < 3 or np.ptp(x) == 0.0 or np.ptp(y) == 0.0:
        return np.nan, np.nan, np.nan
    r = float(np.clip(np.corrcoef(_ranks(x), _ranks(y))[0, 1], -1.0, 1.0))
    if n < 4 or abs(r) == 1.0:
        return r, np.nan, np.nan
    half = float(special.ndtri(0.5 + level / 2)) * np.sqrt((1.0 + r**2 / 2) / (n - 3))
    return r, float(np.tanh(np.arctanh(r) - half)), float(np.tanh(np.arctanh(r) + half))


def _ranks(values: Array) -> Array:
    _, code, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[code], np.float64)
