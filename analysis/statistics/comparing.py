"""Two groups of independent runs, or of pairs of runs: difference, effect sizes and their intervals."""

from __future__ import annotations

from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from simengine.analysis.statistics.intervals import checked_level, moments

Array = NDArray[np.float64]


class Compared(NamedTuple):
    """What is said of two groups a and b; every difference and effect is b less a. NaN where it cannot be said.

    ``effect`` is Hedges' g, ``cliffs_delta`` the chance that a run of b lies above one of a, less that of the contrary.
    """

    mean_a: float
    mean_b: float
    difference: float
    low: float
    high: float
    effect: float
    effect_low: float
    effect_high: float
    cliffs_delta: float
    cliffs_low: float
    cliffs_high: float
    p: float
    n_a: int
    n_b: int


def compared(a: Array, b: Array, level: float = 0.95) -> Compared:
    """Compare two independent groups; NaN are left out.

    The difference and its chance are Welch's, with Welch and Satterthwaite's degrees of freedom: groups may differ in
    spread and size (Welch 1947, Biometrika 34, 28-35). If neither group has any spread, p is that of a permutation.
    """
    checked_level(level)
    a, b = _known(a), _known(b)
    (mean_a, sd_a), (mean_b, sd_b) = _mean_and_sd(a), _mean_and_sd(b)
    n_a, n_b = len(a), len(b)
    difference = mean_b - mean_a
    low = high = p = np.nan
    if n_a > 1 and n_b > 1:
        parts = sd_a**2 / n_a, sd_b**2 / n_b
        error = np.sqrt(sum(parts))
        if error > 0.0:
            freedom = sum(parts) ** 2 / (parts[0] ** 2 / (n_a - 1) + parts[1] ** 2 / (n_b - 1))
            half = float(special.stdtrit(freedom, 0.5 + level / 2)) * error
            low, high = difference - half, difference + half
            p = 2.0 * float(special.stdtr(freedom, -abs(difference) / error))
        else:
            low = high = difference
            p = 1.0 if difference == 0.0 else min(1.0, 2.0 / comb(n_a + n_b, n_a))
    return Compared(
        mean_a, mean_b, difference, low, high, *hedges_g(a, b, level), *cliffs_delta(a, b, level), p, n_a, n_b
    )  # fmt: skip


def compared_in_pairs(a: Array, b: Array, level: float = 0.95) -> Compared:
    """Compare groups whose runs come in pairs, one of a and one of b with the same seed; pairs with a NaN are left out.

    The difference and its chance are Student's of the differences. Hedges' g is in units of the groups' own spread (the
    root of the mean of both variances), so that it can be compared with that of independent groups; its interval is
    that of Algina & Keselman (2003), Educ. Psychol. Meas. 63, 537-553. Cliff's delta and its interval are those of
    independent groups. If the differences have no spread, p is that of changing their signs.
    """
    checked_level(level)
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    both = np.isfinite(a) & np.isfinite(b)
    a, b = a[both], b[both]
    n = len(a)
    (mean_a, sd_a), (mean_b, sd_b), (mean, sd) = _mean_and_sd(a), _mean_and_sd(b), _mean_and_sd(b - a)
    low = high = p = effect = effect_low = effect_high = np.nan
    if n > 1:
        error = sd / np.sqrt(n)
        half = float(special.stdtrit(n - 1, 0.5 + level / 2)) * error
        low, high = mean - half, mean + half
        spread = np.sqrt((sd_a**2 + sd_b**2) / 2)
        effect = bias_factor(n - 1) * mean / spread if spread > 0.0 else (0.0 if mean == 0.0 else np.nan)
        if error > 0.0:
            p = 2.0 * float(special.stdtr(n - 1, -abs(mean) / error))
            if spread > 0.0:
                effect_low, effect_high = (
                    limit * error / spread for limit in noncentral_limits(mean / error, n - 1, level)
                )
        else:
            p = 1.0 if mean == 0.0 else min(1.0, 2.0 ** (1 - n))
    return Compared(
        mean_a, mean_b, mean, low, high, effect, effect_low, effect_high, *cliffs_delta(a, b, level), p, n, n
    )  # fmt: skip


def hedges_g(a: Array, b: Array, level: float = 0.95) -> tuple[float, float, float]:
    """Return Hedges' g of b less a, and the interval of the standardised difference; NaN below two values a side.

    g is the difference of means over the pooled standard deviation, times `bias_factor`; the interval, of the quantity
    that g estimates without bias, is exact for normal groups of one spread, by the noncentral t distribution. 0 for
    groups that are all the same number, NaN for such that are two.

    References
    ----------
    Hedges (1981) J. Educ. Stat. 6, 107-128; Steiger & Fouladi (1997), in: What if there were no significance tests?
    """
    (mean_a, sd_a), (mean_b, sd_b) = _mean_and_sd(a), _mean_and_sd(b)
    n_a, n_b = len(a), len(b)
    if n_a < 2 or n_b < 2:
        return np.nan, np.nan, np.nan
    freedom = n_a + n_b - 2
    pooled = np.sqrt(((n_a - 1) * sd_a**2 + (n_b - 1) * sd_b**2) / freedom)
    difference = mean_b - mean_a
    if pooled == 0.0:
        return (0.0 if difference == 0.0 else np.nan), np.nan, np.nan
    scale = np.sqrt(1 / n_a + 1 / n_b)
    low, high = noncentral_limits(difference / (pooled * scale), freedom, level)
    return bias_factor(freedom) * difference / pooled, low * scale, high * scale


def bias_factor(freedom: int) -> float:
    """Return the factor that takes the bias off a standardised difference (Hedges 1981, equation 6e)."""
    return float(np.exp(special.gammaln(freedom / 2) - special.gammaln((freedom - 1) / 2)) * np.sqrt(2 / freedom)) if (
        freedom > 1
    ) else np.nan  # fmt: skip


def noncentral_limits(t: float, freedom: float, level: float) -> tuple[float, float]:
    """Return the noncentralities under which a t as large, and as small, as this one is just not surprising."""
    found = []
    for share in (0.5 + level / 2, 0.5 - level / 2):
        # The chance of a t below this one falls with the noncentrality.
        reach = 10.0 + 5.0 * abs(t) / np.sqrt(freedom)
        low, high = t - reach, t + reach
        for _ in range(100):
            middle = (low + high) / 2
            chance = float(special.nctdtr(freedom, middle, t))
            if not np.isfinite(chance):
                return _normal_limits(t, freedom, level)
            low, high = (middle, high) if chance > share else (low, middle)
        found.append((low + high) / 2)
    return found[0], found[1]


def _normal_limits(t: float, freedom: float, level: float) -> tuple[float, float]:
    """Return the limits for large t: t is about normal about the noncentrality (Hedges & Olkin 1985, chapter 5)."""
    half = float(special.ndtri(0.5 + level / 2)) * np.sqrt(1.0 + t**2 / (2.0 * freedom))
    return t - half, t + half


def cliffs_delta(a: Array, b: Array, level: float = 0.95) -> tuple[float, float, float]:
    """Return Cliff's delta and its interval: P(b > a) - P(b < a) of a run of each, from -1 to 1.

    The interval is the asymmetric one of Feng & Cliff (2004), J. Mod. Appl. Stat. Methods 3, 322-332, with the
    consistent estimate of the variance; if all of one group lie above the other, that of Cliff (1996), Ordinal methods
    for behavioral data analysis, chapter 5.
    """
    n_a, n_b = len(a), len(b)
    if n_a == 0 or n_b == 0:
        return np.nan, np.nan, np.nan
    ranked_a, ranked_b = np.sort(a), np.sort(b)
    over_a, under_a = np.searchsorted(ranked_b, a, "left"), n_b - np.searchsorted(ranked_b, a, "right")
    over_b, under_b = np.searchsorted(ranked_a, b, "left"), n_a - np.searchsorted(ranked_a, b, "right")
    rows, columns = (under_a - over_a) / n_b, (over_b - under_b) / n_a
    delta = float(rows.mean())
    if n_a < 2 or n_b < 2:
        return delta, np.nan, np.nan
    z = float(special.stdtrit(n_a + n_b - 2, 0.5 + level / 2))
    if abs(delta) == 1.0:
        n = min(n_a, n_b)
        end = (n - z**2) / (n + z**2)
        return delta, *((end, 1.0) if delta > 0 else (-1.0, -end))
    pairs = n_a * n_b
    untied = float(over_a.sum() + under_a.sum())
    within = untied - pairs * delta**2
    variance = n_b**2 * ((rows - delta) ** 2).sum() + n_a**2 * ((columns - delta) ** 2).sum() - within
    variance = max(variance / (pairs * (n_a - 1) * (n_b - 1)), (1 - delta**2) / (pairs - 1))
    wide = z * np.sqrt(variance * ((1 - delta**2) ** 2 + z**2 * variance))
    middle, scale = delta - delta**3, 1 - delta**2 + z**2 * variance
    return delta, max(-1.0, (middle - wide) / scale), min(1.0, (middle + wide) / scale)


def _known(values: Array) -> Array:
    values = np.asarray(values, np.float64)
    return values[np.isfinite(values)]


def _mean_and_sd(values: Array) -> tuple[float, float]:
    mean, sd, _ = moments(np.asarray(values, np.float64))
    return float(mean), float(sd)
