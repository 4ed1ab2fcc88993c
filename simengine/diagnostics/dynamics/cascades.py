"""Exponents of the sizes of cascades: is the tail a power law, and how steep.

P(x) = x^-a / zeta(a, x_min) for whole sizes x >= x_min; the exponent a is that of greatest likelihood, x_min the
smallest size from which on the Kolmogorov-Smirnov distance between data and fit is least (Clauset, Shalizi & Newman,
SIAM Review 51, 661 (2009), sections 3 and 4). The bootstrap repeats both choices on resampled data. Goodness of fit is
the share of synthetic samples, drawn from the fit above x_min and from the data below it, that lie further from their
own fit (section 4.1). A discrete lognormal and a geometric distribution are fitted to the same tail and compared by
Vuong's likelihood ratio (section 5).

Where x_min leaves out half of the data or more, one lognormal law that describes all of them also speaks against a
power law, whose x_min may otherwise lie so far out that any tail looks straight.

Valid for 100 sizes or more in a tail that spans a factor of ten and whose power law is not rejected (of true ones with
exponents of 1.8 and 2.5, 500 to 2000 sizes, 6 to 10 % were, by one of the tests); a largest possible size (the
population) must lie far above the sizes seen.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from simengine.diagnostics import checks, samples
from simengine.diagnostics.dynamics.cascade_kernels import STEEPEST, distance, exponent_of, fitted, hurwitz
from simengine.diagnostics.estimate import Estimate, flagged, normal_interval, stacked
from simengine.errors import InputError

Array = NDArray[np.float64]

FEWEST = 100
"""Sizes in the tail that raise no doubt."""

REJECTED = 0.05
"""A power law counts as rejected if its goodness of fit, or the ratio to another law, is less probable."""

BENT = 0.02
"""The level of the test that the tail is lognormal, low since the same data choose x_min; 4 % of power laws fail it."""

NARROW = 10.0
"""Ratio of the largest size to x_min below which no law can be told from another."""

_LEAST_TAIL = 50
_STARTS = 50
# Smallest sizes from which on a lognormal law of all the data is tried.
_TRIES = 3
_LILLIEFORS = 1.031
_TABLE = 20_000
_LARGEST_SIZE = 2**53


def cascade_exponent(
    sizes: Any, *, lowest: int | None = None, bootstraps: int = 200, seed: int = 0, data: Any = None,
    dim: samples.Dims = None,
) -> Estimate:  # fmt: skip
    """Return the exponent of the power law of the tail of cascade sizes, with its error and what speaks against it.

    Parameters
    ----------
    sizes
        Whole numbers, 1 or more, shape (n,); or a DataArray, or the name of a variable of ``data``.
    lowest
        x_min, the size from which on the power law is fitted; chosen by the distance if not given.
    bootstraps
        Number of resampled and of synthetic data sets, 20 or more.
    seed
        Of both.
    data, dim
        See :mod:`simengine.diagnostics.samples`.

    Returns
    -------
    Estimate
        n is the number of sizes in the tail. Details: ``lowest`` (x_min), ``distance``, ``p_value`` of the fit,
        ``asymptotic_error`` (that for a known x_min), ``lognormal_ratio`` and ``exponential_ratio`` (log-likelihood
        of the power law less that of the other law; below 0 speaks against it) with ``lognormal_p`` and
        ``exponential_p`` for the ratio being 0.

    Raises
    ------
    InputError
        If sizes are not whole or below 1, or fewer than 3 different ones lie in the tail.
    """
    checks.repeats(bootstraps, "bootstraps", 20)
    checks.seed(seed)
    if lowest is not None:
        lowest = checks.whole(lowest, "lowest", 1, _LARGEST_SIZE)
    blocks = samples.samples(sizes, data=data, dim=dim, names=("sizes",))
    found = [_exponent(_checked(block), lowest, bootstraps, seed) for (block,) in blocks]
    return stacked(found, blocks.batch, blocks.dims, blocks.coords)


def zeta_sizes(exponent: float, lowest: int, n: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return n random sizes of P(x) = x^-a / zeta(a, x_min), by inversion: exact below x_min + 20 000.

    Beyond, where neighbouring sizes differ by less than a part in ten thousand, the continuous law is rounded.
    """
    grid = lowest + np.arange(_TABLE, dtype=np.float64)
    mass = grid**-exponent
    whole = hurwitz(exponent, float(lowest))
    below = np.cumsum(mass) / whole
    u = generator.random(n)
    place = np.searchsorted(below, u, side="right")
    found = lowest + place.astype(np.float64)
    far = place >= _TABLE
    edge = lowest + _TABLE - 0.5
    rest = (1.0 - u[far]) / max(1.0 - below[-1], 1e-300)
    found[far] = np.floor(edge * np.maximum(rest, 1e-300) ** (-1.0 / (exponent - 1.0)) + 0.5)
    return np.minimum(found, 2.0**62).astype(np.int64)


def _checked(block: NDArray[Any]) -> NDArray[np.int64]:
    if block.shape[1] != 1:
        raise InputError(f"sizes has shape {block.shape}; expected one size for each cascade, shape (n,)")
    sizes = samples.checked_counts(block[:, 0], "sizes")
    if sizes.min() < 1:
        raise InputError(f"sizes holds {sizes.min()}; the smallest cascade has size 1")
    return sizes


def _exponent(sizes: NDArray[np.int64], lowest: int | None, bootstraps: int, seed: int) -> Estimate:
    values, counts = _table(sizes)
    if len(values if lowest is None else values[values >= lowest]) < 3:
        raise InputError("sizes: fewer than 3 different sizes in the tail; an exponent needs more")
    exponent, x_min, far = _fit(values, counts, lowest)
    tail = values >= x_min
    in_tail = float(counts[tail].sum())
    generator = np.random.Generator(np.random.Philox(seed))
    again = np.array([_fit(*_resampled(values, counts, generator), lowest)[0] for _ in range(bootstraps)])
    beyond = sum(
        _fit(*_synthetic(values, counts, exponent, x_min, generator), lowest)[2] >= far for _ in range(bootstraps)
    )
    p_value = beyond / bootstraps
    usual = again[np.isfinite(again)]
    error = float(usual.std(ddof=1)) if usual.size > 1 else math.nan
    own = -exponent * np.log(values[tail]) - math.log(hurwitz(exponent, float(x_min)))
    ratios: dict[str, float] = {}
    rejected = p_value < REJECTED
    for name, other in (
        ("lognormal", _lognormal(values[tail], counts[tail], x_min)),
        ("exponential", _geometric(values[tail], counts[tail], x_min)),
    ):
        ratio, p = _vuong(own - other, counts[tail])
        ratios |= {f"{name}_ratio": ratio, f"{name}_p": p}
        rejected |= ratio < 0.0 and p < REJECTED
    rejected |= _bends(ratios["lognormal_ratio"])
    if lowest is None:
        left = np.cumsum(counts[::-1])[::-1]
        body = [i for i in range(min(_TRIES, len(values) - 2)) if left[i] > 2.0 * in_tail]
        rejected |= any(_all_lognormal(values[i:], counts[i:]) for i in body)
    span = float(values[-1]) / x_min
    return Estimate(
        exponent, error, normal_interval(exponent, error, 1.0), n=in_tail, unit="1", method="maximum likelihood",
        flags=flagged(
            "few_samples" if in_tail < FEWEST else None,
            "tail_not_power_law" if rejected else None,
            "narrow_tail" if span < NARROW else None,
            "saturated" if exponent > 0.95 * STEEPEST else None,
        ),
        details={
            "lowest": x_min, "span": span, "distance": far, "p_value": p_value,
            "asymptotic_error": _asymptotic_error(exponent, x_min, in_tail), **ratios,
        },
    )  # fmt: skip


def _table(sizes: NDArray[np.int64]) -> tuple[Array, Array]:
    values, counts = np.unique(sizes, return_counts=True)
    return values.astype(np.float64), counts.astype(np.float64)


def _fit(values: Array, counts: Array, lowest: int | None) -> tuple[float, int, float]:
    """Exponent, x_min and distance."""
    if lowest is not None:
        first = int(np.searchsorted(values, lowest))
        if values[first:].size == 0:
            return math.nan, int(lowest), 0.0
        if values[first] > lowest:
            values, counts = np.insert(values, first, lowest), np.insert(counts, first, 0.0)
        tail = counts[first:]
        exponent = exponent_of(float(tail @ np.log(values[first:]) / tail.sum()), float(lowest))
        return exponent, int(lowest), distance(values, counts, first, exponent, 2.0)
    left = np.cumsum(counts[::-1])[::-1]
    # Two sizes at least, and as many cascades as an exponent needs, if there are so many.
    enough = np.flatnonzero(left[:-1] >= min(_LEAST_TAIL, left[0]))
    if len(enough) == 0:
        return math.nan, int(values[0]), 0.0
    if len(enough) > _STARTS:
        enough = enough[np.unique(np.geomspace(1, len(enough), _STARTS).astype(int)) - 1]
    exponent, start, far = fitted(values, counts, enough)
    return float(exponent), int(values[start]), float(far)


def _resampled(values: Array, counts: Array, generator: np.random.Generator) -> tuple[Array, Array]:
    drawn = generator.multinomial(int(counts.sum()), counts / counts.sum()).astype(np.float64)
    return values[drawn > 0.0], drawn[drawn > 0.0]


def _synthetic(
    values: Array, counts: Array, exponent: float, x_min: int, generator: np.random.Generator
) -> tuple[Array, Array]:
    """Sizes from the fit above x_min, and from the data below it."""
    body = values < x_min
    total, tail = int(counts.sum()), int(counts[~body].sum())
    above = int(generator.binomial(total, tail / total))
    found, many = _table(zeta_sizes(exponent, x_min, max(above, 2), generator))
    if not body.any():
        return found, many
    drawn = generator.multinomial(total - above, counts[body] / counts[body].sum()).astype(np.float64)
    kept = drawn > 0.0
    return np.r_[values[body][kept], found], np.r_[drawn[kept], many]


def _lognormal(values: Array, counts: Array, x_min: int, at: Array | None = None) -> Array:
    """Log-probability under the discrete lognormal law of greatest likelihood above x_min, of values or ``at``."""
    logs = np.log(values)
    mean = float(counts @ logs / counts.sum())
    spread = math.sqrt(max(float(counts @ (logs - mean) ** 2 / counts.sum()), 1e-6))
    cut = math.log(x_min - 0.5)

    def log_mass(sizes: Array, location: float, log_scale: float) -> Array:
        low, high = np.log(sizes - 0.5), np.log(sizes + 0.5)
        scale = math.exp(log_scale)
        upper, lower = -(low - location) / scale, -(high - location) / scale
        a, b = special.log_ndtr(upper), special.log_ndtr(lower)
        gap = np.minimum(b - a, -1e-15)
        found: Array = a + np.log(-np.expm1(gap)) - special.log_ndtr(-(cut - location) / scale)
        return found

    def cost(guess: Array) -> float:
        if abs(guess[0]) > 200.0 or abs(guess[1]) > 5.0:
            return math.inf
        return -float(counts @ log_mass(values, float(guess[0]), float(guess[1])))

    best = optimize.minimize(cost, [mean, math.log(spread)], method="Nelder-Mead", options={"xatol": 1e-4})
    return log_mass(values if at is None else at, float(best.x[0]), float(best.x[1]))


def _bends(ratio: float, level: float = BENT) -> bool:
    """Whether the lognormal law is better by more than chance, given the log-likelihood ratio.

    The power law is a limit of it: where it is true, twice the ratio is 0 or, half of the time, chi-square.
    """
    return 0.5 * float(special.chdtrc(1, max(-2.0 * ratio, 0.0))) < level


def _all_lognormal(values: Array, counts: Array) -> bool:
    """Whether one lognormal law describes all of these data, and better than a power law does.

    Its far tail is then mistaken for a power law whenever x_min is chosen far enough out. The distance is compared
    with that of normal data (Lilliefors, J. Am. Stat. Assoc. 62, 399 (1967)), at 1 %.
    """
    x_min = int(values[0])
    other = _lognormal(values, counts, x_min)
    exponent = _fit(values, counts, x_min)[0]
    own = -exponent * np.log(values) - math.log(hurwitz(exponent, float(x_min)))
    total = counts.sum()
    if not _bends(float(counts @ (own - other)), 0.01):
        return False
    everything = np.arange(x_min, min(int(values[-1]), x_min + _TABLE) + 1, dtype=np.float64)
    kept = values <= everything[-1]
    expected = np.cumsum(np.exp(_lognormal(values, counts, x_min, everything)))
    seen = np.cumsum(counts)[kept] / total
    far = np.abs(seen - expected[(values[kept] - x_min).astype(np.int64)]).max()
    return bool(far * math.sqrt(total) < _LILLIEFORS)


def _geometric(values: Array, counts: Array, x_min: int) -> Array:
    """Log-probability of each value under the geometric law of greatest likelihood above x_min."""
    mean = float(counts @ (values - x_min) / counts.sum())
    return -math.log1p(mean) + (values - x_min) * math.log(mean / (1.0 + mean))


def _vuong(difference: Array, counts: Array) -> tuple[float, float]:
    """Log-likelihood ratio, and the probability of one so far from 0 if both laws are equally near the truth."""
    total = counts.sum()
    ratio = float(counts @ difference)
    variance = float(counts @ (difference - ratio / total) ** 2 / total)
    if variance <= 1e-20:
        return ratio, 1.0
    return ratio, float(special.erfc(abs(ratio) / math.sqrt(2.0 * total * variance)))


def _asymptotic_error(exponent: float, x_min: int, n: float) -> float:
    """Of the exponent for a known x_min: the inverse root of n times the curvature of ln zeta."""
    step = 1e-3 * (exponent - 1.0)
    logs = [math.log(hurwitz(exponent + shift, float(x_min))) for shift in (-step, 0.0, step)]
    curvature = (logs[0] - 2.0 * logs[1] + logs[2]) / step**2
    return 1.0 / math.sqrt(n * curvature) if curvature > 0.0 else math.nan
