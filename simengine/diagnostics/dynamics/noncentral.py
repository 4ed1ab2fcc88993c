"""Errors of squared quantities: honest where they are zero, and of delta-method width where they are large.

An estimate of a quantity that is zero under the null and quadratic around it (a divergence, an entropy production) is
near the null c times a noncentral chi-square variable with nu degrees and noncentrality (true value) / c. Under the
null the delta method gives no width at all; far away from it the chi-square gives the wrong one. Here the interval is
that of the noncentral chi-square, stretched by the ratio of the two widths.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from simengine.diagnostics.estimate import LEVEL, QUANTILE

Array = NDArray[np.float64]

_NORMAL_FROM = 2000.0
"""Of the chi-square statistic; from here on the normal approximation is used."""


def squared_error(plug_in: Any, null_mean: Any, null_variance: Any, variance: Any) -> tuple[Array, Array, Array]:
    """Return standard error, low and high end for ``plug_in - null_mean``; all arrays of one shape.

    Parameters
    ----------
    plug_in
        Uncorrected, not negative.
    null_mean, null_variance
        Of ``plug_in`` where the true value is 0; they set the factor c and the degrees nu.
    variance
        Of the delta method, at the estimate.

    Returns
    -------
    tuple of arrays
        0 where the null has no spread. Low ends are not below 0.
    """
    plug, mean, null, first = np.broadcast_arrays(
        *(np.asarray(one, dtype=np.float64) for one in (plug_in, null_mean, null_variance, variance))
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = null / (2.0 * mean)
        degrees = 2.0 * mean * mean / null
        stretch = np.where(plug > 0.0, first / (4.0 * factor * plug), 1.0)
    spread = (null > 0.0) & (mean > 0.0)
    factor, degrees = np.where(spread, factor, 1.0), np.where(spread, degrees, 1.0)
    statistic = plug / factor
    # Near the null the chi-square is right, and the ratio of the widths is noise.
    known = statistic / (statistic + degrees + 10.0)
    stretch = np.where(spread & np.isfinite(stretch), 1.0 + known * (np.maximum(stretch, 0.25) - 1.0), 1.0)
    value = plug - mean
    low, high = _noncentrality(statistic, degrees)
    wide = np.sqrt(stretch)
    low = np.where(low > 0.0, np.maximum(value - wide * (value - factor * low), 0.0), 0.0)
    high = np.maximum(value + wide * (factor * high - value), 0.0)
    error = np.sqrt(stretch * 4.0 * factor * np.maximum(value, 0.0) + null)
    return tuple(np.where(spread, one, 0.0) for one in (error, low, high))  # type: ignore[return-value]


def _noncentrality(statistic: Array, degrees: Array) -> tuple[Array, Array]:
    """Ends of the interval of the noncentrality, given the statistic."""
    tail = 0.5 * (1.0 - LEVEL)
    exact = statistic < _NORMAL_FROM
    small = np.where(exact, statistic, 1.0)
    # Where even no noncentrality makes so small a statistic improbable, the end is 0.
    low = np.where(special.chdtr(degrees, small) > 1.0 - tail, special.chndtrinc(small, degrees, 1.0 - tail), 0.0)
    high = np.where(special.chdtr(degrees, small) > tail, special.chndtrinc(small, degrees, tail), 0.0)
    centre = statistic - degrees
    half = 2.0 * QUANTILE**2
    reach = np.sqrt(np.maximum(half * half + 2.0 * half * centre + half * degrees, 0.0))
    return np.where(exact, low, np.maximum(centre + half - reach, 0.0)), np.where(exact, high, centre + half + reach)
