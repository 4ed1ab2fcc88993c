"""Nemenman, Shafee & Bialek's entropy (NIPS 14, 2002; arXiv physics/0108025): Bayes with a prior flat in the entropy.

The prior mixes symmetric Dirichlet priors of concentration b with the weight d xi / d b, where xi(b) is the expected
entropy under b. All weights are kept as logarithms, so that no number of samples overflows; the integral over ln b
runs over the range in which the weight exceeds e^-36 of its peak. The posterior's standard deviation is the error.
Valid where the number of states is known and the ranked probabilities fall neither faster nor slower than those of
some Dirichlet prior, of which very long tails (Zipf) are the known exception.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit

_DEPTH = 36.0
_NODES = 161
_LOWEST, _HIGHEST, _STEP = -40.0, 60.0, 0.5
# From here on the asymptotic series are exact to rounding.
_SERIES_FROM = 12.0
_WIDE = 1e4


@njit(cache=True, nogil=True, error_model="numpy")
def digamma(x: float) -> float:
    """Return psi(x), x > 0."""
    found = 0.0
    while x < _SERIES_FROM:
        found -= 1.0 / x
        x += 1.0
    s = 1.0 / (x * x)
    series = s * (1.0 / 12.0 - s * (1.0 / 120.0 - s * (1.0 / 252.0 - s * (1.0 / 240.0 - s / 132.0))))
    return found + math.log(x) - 0.5 / x - series


@njit(cache=True, nogil=True, error_model="numpy")
def trigamma(x: float) -> float:
    """Return the derivative of psi at x > 0."""
    found = 0.0
    while x < _SERIES_FROM:
        found += 1.0 / (x * x)
        x += 1.0
    s = 1.0 / (x * x)
    series = s * (1.0 / 6.0 - s * (1.0 / 30.0 - s * (1.0 / 42.0 - s * (1.0 / 30.0 - s * 5.0 / 66.0))))
    return found + 1.0 / x + 0.5 * s + series / x


@njit(cache=True, nogil=True, error_model="numpy")
def log_rising(x: float, n: float) -> float:
    """Return ln Gamma(x + n) - ln Gamma(x) for x > 0 and a whole n >= 0, without cancellation where x is large."""
    if n == 0.0:
        return 0.0
    if x < 50.0:
        return math.lgamma(x + n) - math.lgamma(x)
    y = x + n
    stirling = (1.0 / y - 1.0 / x) / 12.0 - (1.0 / y**3 - 1.0 / x**3) / 360.0 + (1.0 / y**5 - 1.0 / x**5) / 1260.0
    return n * math.log(y) + (x - 0.5) * math.log1p(n / x) - n + stirling


@njit(cache=True, nogil=True, error_model="numpy")
def _log_weight(t: float, values: NDArray[np.float64], times: NDArray[np.float64], total: float, k: float) -> float:
    """Return the logarithm of the posterior density of t = ln b, up to a constant."""
    b = math.exp(t)
    found = t - log_rising(k * b, total)
    for i in range(values.size):
        found += times[i] * log_rising(b, values[i])
    if b > _WIDE:
        slope = (1.0 - 1.0 / k) / (2.0 * b * b) - (1.0 - 1.0 / (k * k)) / (6.0 * b**3)
    else:
        slope = k * trigamma(k * b + 1.0) - trigamma(b + 1.0)
    return found + math.log(slope)


@njit(cache=True, nogil=True, error_model="numpy")
def _moments(
    b: float, values: NDArray[np.float64], times: NDArray[np.float64], total: float, k: float
) -> tuple[float, float]:
    """Return mean and variance of the entropy under the Dirichlet posterior of b (Wolpert & Wolf 1995)."""
    size = total + k * b
    top, top_trigamma = digamma(size + 2.0), trigamma(size + 2.0)
    mean, sum_first, sum_own, sum_squares = 0.0, 0.0, 0.0, 0.0
    top_one = digamma(size + 1.0)
    unseen = k
    for i in range(values.size + 1):
        if i < values.size:
            a, many = values[i] + b, times[i]
            unseen -= many
        else:
            a, many = b, unseen
        if many <= 0.0:
            continue
        psi = digamma(a + 1.0)
        mean += many * a / size * (top_one - psi)
        first = a * (psi - top)
        next_one = psi + 1.0 / (a + 1.0) - top
        sum_first += many * first
        sum_own += many * (
            a * (a + 1.0) * (next_one * next_one + trigamma(a + 2.0) - top_trigamma)
            - first * first + a * a * top_trigamma
        )  # fmt: skip
        sum_squares += many * a
    square = (sum_first * sum_first - sum_squares * sum_squares * top_trigamma + sum_own) / (size * (size + 1.0))
    return mean, max(square - mean * mean, 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _edge(
    peak: float, outer: float, level: float, values: NDArray[np.float64], times: NDArray[np.float64], total: float,
    k: float,
) -> float:  # fmt: skip
    """Return where, between the peak and ``outer``, the log weight falls to ``level``; ``outer`` if it does not."""
    if _log_weight(outer, values, times, total, k) > level:
        return outer
    for _ in range(30):
        middle = 0.5 * (peak + outer)
        if _log_weight(middle, values, times, total, k) > level:
            peak = middle
        else:
            outer = middle
    return outer


@njit(cache=True, nogil=True, error_model="numpy")
def nsb_of_multiplicities(
    values: NDArray[np.float64], times: NDArray[np.float64], states: int
) -> tuple[float, float, float]:
    """Return entropy in nats, its posterior standard deviation and the mean concentration ln b.

    Parameters
    ----------
    values, times
        The different counts above 0, and in how many states each was found.
    states
        Number of states K, seen or not.
    """
    total, k = 0.0, float(states)
    for i in range(values.size):
        total += values[i] * times[i]
    if total == 0.0:
        return math.nan, math.nan, math.nan
    if states == 1:
        return 0.0, 0.0, math.nan
    best, peak = -math.inf, 0.0
    for i in range(int((_HIGHEST - _LOWEST) / _STEP) + 1):
        t = _LOWEST + i * _STEP
        weight = _log_weight(t, values, times, total, k)
        if weight > best:
            best, peak = weight, t
    low, high = peak - _STEP, peak + _STEP
    golden = 0.5 * (math.sqrt(5.0) - 1.0)
    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left = _log_weight(left, values, times, total, k)
    at_right = _log_weight(right, values, times, total, k)
    for _ in range(25):
        if at_left > at_right:
            high, right, at_right = right, left, at_left
            left = high - golden * (high - low)
            at_left = _log_weight(left, values, times, total, k)
        else:
            low, left, at_left = left, right, at_right
            right = low + golden * (high - low)
            at_right = _log_weight(right, values, times, total, k)
    peak = 0.5 * (low + high)
    best = _log_weight(peak, values, times, total, k)
    low = _edge(peak, _LOWEST, best - _DEPTH, values, times, total, k)
    high = _edge(peak, _HIGHEST, best - _DEPTH, values, times, total, k)
    weights, mean, square, within, place = 0.0, 0.0, 0.0, 0.0, 0.0
    centre, _ = _moments(math.exp(peak), values, times, total, k)
    for i in range(_NODES):
        t = low + (high - low) * i / (_NODES - 1)
        weight = math.exp(_log_weight(t, values, times, total, k) - best)
        entropy, variance = _moments(math.exp(t), values, times, total, k)
        weights += weight
        mean += weight * (entropy - centre)
        square += weight * (entropy - centre) ** 2
        within += weight * variance
        place += weight * t
    mean /= weights
    variance = within / weights + max(square / weights - mean * mean, 0.0)
    return centre + mean, math.sqrt(variance), place / weights


def nsb(counts: NDArray[np.int64], states: int) -> tuple[float, float]:
    """Return the entropy in nats of counts of shape (K,) and its posterior standard deviation."""
    values, times = np.unique(counts[counts > 0], return_counts=True)
    value, error, _ = nsb_of_multiplicities(values.astype(np.float64), times.astype(np.float64), states)
    return float(value), float(error)
