"""Compiled entropies of one table of counts, for other kernels to call; in nats.

Counts are int64 of shape (K,); empty states are allowed everywhere. An empty table gives NaN, one state gives 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit

PLUG_IN, MILLER_MADOW, GRASSBERGER, GRASSBERGER_1988, CHAO_SHEN, JAMES_STEIN = range(6)
"""The kinds of estimators that a kernel takes as a number."""

_EULER = 0.5772156649015329
# From here on the series below are exact to rounding.
_DIGAMMA_SERIES_FROM = 20
_GRASSBERGER_SERIES_FROM = 40


@njit(cache=True, nogil=True, error_model="numpy")
def grassberger(count: int) -> float:
    """Return G(n) of Grassberger (2003), arXiv physics/0307138, equation 30, in place of ln n.

    G(2k) = G(2k + 1) = psi(k + 1/2) + ln 2, and G(1) = -gamma - ln 2.
    """
    half = count // 2
    if count < _GRASSBERGER_SERIES_FROM:
        found = -_EULER - math.log(2.0)
        for k in range(half):
            found += 2.0 / (2 * k + 1)
        return found
    inverse = 1.0 / (float(half) * float(half))
    series = inverse * (1.0 / 24.0 - inverse * (7.0 / 960.0 - inverse * (31.0 / 8064.0)))
    return math.log(2.0 * half) + series


@njit(cache=True, nogil=True, error_model="numpy")
def digamma_of_count(n: int) -> float:
    """Return psi(n) of a whole number n >= 1."""
    if n < _DIGAMMA_SERIES_FROM:
        found = -_EULER
        for k in range(1, n):
            found += 1.0 / k
        return found
    x = float(n)
    inverse = 1.0 / (x * x)
    series = inverse * (1.0 / 12.0 - inverse * (1.0 / 120.0 - inverse * (1.0 / 252.0 - inverse / 240.0)))
    return math.log(x) - 0.5 / x - series


@njit(cache=True, nogil=True, error_model="numpy")
def _for_logarithm(n: int, kind: int) -> float:
    """Return what stands for ln n, n >= 1, in an additive kind."""
    if kind == GRASSBERGER:
        return grassberger(n)
    if kind == GRASSBERGER_1988:
        return digamma_of_count(n) + (1.0 - 2.0 * (n % 2)) / (n + 1.0)
    return math.log(float(n))


@njit(cache=True, nogil=True, error_model="numpy")
def count_term(n: int, kind: int) -> float:
    """Return n times what stands for ln n in H = ln N - sum term(n) / N; only of the additive kinds.

    Those are the plug-in estimator and Miller & Madow's (without the latter's constant), and Grassberger's of 2003
    and 1988.
    """
    return n * _for_logarithm(n, kind) if n > 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def seen_in(counts: NDArray[np.int64]) -> tuple[int, int, int]:
    """Return the number of samples, of states seen and of states seen once."""
    total, seen, singles = 0, 0, 0
    for k in range(counts.size):
        total += counts[k]
        seen += counts[k] > 0
        singles += counts[k] == 1
    return total, seen, singles


@njit(cache=True, nogil=True, error_model="numpy")
def share_moments(weights: NDArray[Any], total: float) -> tuple[float, float]:
    """Return -sum p ln p and sum p ln^2 p of the shares p = weights / total; weights are counts, or any from 0 on."""
    entropy, square = 0.0, 0.0
    for k in range(weights.size):
        p = weights[k] / total
        if p > 0.0:
            logarithm = math.log(p)
            entropy -= p * logarithm
            square += p * logarithm**2
    return entropy, square


@njit(cache=True, nogil=True, error_model="numpy")
def shrinkage(counts: NDArray[np.int64], total: int, states: int) -> float:
    """Return the weight of the even distribution in James & Stein's shares, in [0, 1] (Hausser & Strimmer 2009)."""
    squares, apart = 0.0, 0.0
    seen = 0
    for k in range(counts.size):
        if counts[k] > 0:
            p = counts[k] / total
            squares += p * p
            apart += (p - 1.0 / states) ** 2
            seen += 1
    apart += (states - seen) / float(states) ** 2
    if apart <= 0.0 or total < 2:
        return 1.0
    return max(0.0, min(1.0, (1.0 - squares) / ((total - 1.0) * apart)))


@njit(cache=True, nogil=True, error_model="numpy")
def additive_entropy(counts: NDArray[np.int64], kind: int, total: int, seen: int) -> float:
    """Return the entropy of ``total`` counts in ``seen`` states by an additive kind."""
    if kind in (PLUG_IN, MILLER_MADOW):
        value = share_moments(counts, float(total))[0]
        return value + (seen - 1.0) / (2.0 * total) if kind == MILLER_MADOW else value
    value = math.log(float(total))
    for k in range(counts.size):
        if counts[k] > 0:
            value -= counts[k] / total * _for_logarithm(counts[k], kind)
    return value


@njit(cache=True, nogil=True, error_model="numpy")
def _chao_shen(counts: NDArray[np.int64], total: int) -> float:
    """Horvitz & Thompson's sum over shares that are scaled by Good's coverage (Chao & Shen 2003)."""
    singles = 0
    for k in range(counts.size):
        singles += counts[k] == 1
    # With singletons only, coverage would be nought; one of them is then taken to have been seen twice.
    coverage = 1.0 - min(singles, total - 1) / total
    value = 0.0
    for k in range(counts.size):
        if counts[k] > 0:
            p = coverage * counts[k] / total
            value -= p * math.log(p) / -math.expm1(total * math.log1p(-p)) if p < 1.0 else 0.0
    return value


@njit(cache=True, nogil=True, error_model="numpy")
def _james_stein(counts: NDArray[np.int64], total: int, states: int) -> float:
    weight = shrinkage(counts, total, states)
    value = 0.0
    seen = 0
    for k in range(counts.size):
        if counts[k] > 0:
            p = weight / states + (1.0 - weight) * counts[k] / total
            value -= p * math.log(p)
            seen += 1
    if weight > 0.0:
        value -= (states - seen) * weight / states * math.log(weight / states)
    return value


@njit(cache=True, nogil=True, error_model="numpy")
def entropy_of_states(counts: NDArray[np.int64], kind: int, states: int) -> float:
    """Return the entropy of counts of samples of one of ``states`` states; only James & Stein's needs that number."""
    total, seen, _ = seen_in(counts)
    if total == 0:
        return math.nan
    if kind == JAMES_STEIN:
        return _james_stein(counts, total, max(states, seen))
    if seen == 1:
        return 0.0
    if kind == CHAO_SHEN:
        return _chao_shen(counts, total)
    return additive_entropy(counts, kind, total, seen)


@njit(cache=True, nogil=True, error_model="numpy")
def entropy_of(counts: NDArray[np.int64], kind: int) -> float:
    """Return the entropy in nats by the estimator of a kind; the length of ``counts`` is the number of states."""
    return entropy_of_states(counts, kind, counts.size)


@njit(cache=True, nogil=True, error_model="numpy")
def variance_of(counts: NDArray[np.int64], kind: int, states: int) -> float:
    """Return the variance of an entropy of counts over repetitions, to second order.

    The delta method gives (sum p ln^2 p - H^2) / N, here over N less the states fitted, as in any variance. In evenly
    filled states it vanishes, and what is left is of second order: of each state 1 / (2 N^2) from the curvature of
    n ln n and, of Grassberger's estimators, whose terms differ for even and odd n by 1 (2003) or 2 (1988), 1/4 or
    1 / N^2 from that; of two states both terms step together. For few samples of a state the excess over this is that
    of Poisson counts. From the counts the first term is (K - 1) / N^2 too large on average where it should vanish,
    which is taken off as far as states were seen more than once. Of James & Stein's, whose bias depends on the
    unknown shares, the step from Grassberger's is added.
    """
    total, seen, singles = seen_in(counts)
    if seen <= 1:
        return 0.0
    steps = 0.25 if kind == GRASSBERGER else 1.0 if kind == GRASSBERGER_1988 else 0.0
    mean, square = share_moments(counts, float(total))
    second = 0.0
    for k in range(counts.size):
        if counts[k] > 0:
            second += 0.5 + steps + min(0.4, 0.5 / counts[k])
    if seen == 2:
        second += 2.0 * steps
    # One state follows from the others.
    second -= 0.5
    unit = 1.0 / (float(total) * float(total))
    surplus = max(seen - 2 * singles - 1, 0)
    free = total - min(seen + singles, total // 2)
    found = max((square - mean * mean) / free - unit * surplus, 0.0) + unit * second
    if kind == JAMES_STEIN:
        moved = _james_stein(counts, total, max(states, seen)) - additive_entropy(counts, GRASSBERGER, total, seen)
        found += moved * moved
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def entropy_and_variance(counts: NDArray[np.int64], kind: int) -> tuple[float, float]:
    """Return the entropy in nats by the estimator of a kind, and its variance."""
    return entropy_of(counts, kind), variance_of(counts, kind, counts.size)


@njit(cache=True, nogil=True, error_model="numpy")
def summaries(rows: NDArray[np.int64], kind: int, states: int) -> NDArray[np.float64]:
    """Return entropy, variance, number of samples, of states seen and of states seen once, for each row of counts."""
    found = np.empty((rows.shape[0], 5))
    for i in range(rows.shape[0]):
        total, seen, singles = seen_in(rows[i])
        found[i, 0] = entropy_of_states(rows[i], kind, states)
        found[i, 1] = variance_of(rows[i], kind, states)
        found[i, 2], found[i, 3], found[i, 4] = total, seen, singles
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def terms(numbers: NDArray[np.int64], kind: int) -> NDArray[np.float64]:
    """Return :func:`count_term` of each number."""
    found = np.empty(numbers.size)
    for i in range(numbers.size):
        found[i] = count_term(numbers[i], kind)
    return found
