"""Compiled rolling moments of series, and Kendall's rank correlation with time."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit

Array = NDArray[np.float64]

# A variance made of eighth moments is too small in most samples, and far too large in a few.
_EIGHTH_MOMENTS = 1.25

INDICATORS = 4
"""Autocorrelation, variance, skewness, flickering."""


@njit(cache=True, nogil=True, error_model="numpy")
def long_run(one: Array, two: Array, least: float) -> float:
    """Return the long-run covariance of two influence functions (m, n), with the memory of an autoregression.

    Its lag-one autocorrelation is that of the functions, and ``least`` or more.
    """
    count, n = one.shape
    both, own, lagged = 0.0, 0.0, 0.0
    for r in range(count):
        for t in range(n):
            both += one[r, t] * two[r, t]
            own += one[r, t] * one[r, t]
            if t > 0:
                lagged += one[r, t] * one[r, t - 1]
    ratio = max(lagged / own, 0.0) if own > 0.0 else 0.0
    ratio = min(max((n * ratio + 1.0) / (n - 4.0), least), 0.99)
    return float(both / (count * n) * (1.0 + ratio) / (1.0 - ratio))


@njit(cache=True, nogil=True, error_model="numpy")
def rolling(series: Array, window: int, stride: int) -> tuple[Array, Array]:
    """Return indicators and their standard errors, each (4, windows), of series (m, T).

    Moments are taken about the mean of each realisation's window and pooled over realisations. The error of a moment
    is that of the mean of its influence function, with the memory of an autoregression fitted to that function.
    """
    count, length = series.shape
    windows = (length - window) // stride + 1
    values = np.full((INDICATORS, windows), np.nan)
    errors = np.full((INDICATORS, windows), np.nan)
    centred = np.empty((count, window))
    influence = np.empty((3, count, window))
    n = float(window)
    total = n * count
    for w in range(windows):
        start = w * stride
        second, third, fourth, product = 0.0, 0.0, 0.0, 0.0
        for r in range(count):
            mean = 0.0
            for t in range(window):
                mean += series[r, start + t]
            mean /= n
            for t in range(window):
                x = series[r, start + t] - mean
                centred[r, t] = x
                second += x * x
                third += x * x * x
                fourth += x * x * x * x
                if t > 0:
                    product += x * centred[r, t - 1]
        if second <= 0.0:
            continue
        # The lag-one autocorrelation is on average (1 + 4 rho) / n too small (Marriott & Pope 1954).
        rho = (n * product / second + 1.0) / (n - 4.0)
        second, third, fourth = second / total, third / total, fourth / total
        bound = min(max(rho, -0.99), 0.99)
        values[0, w] = rho
        errors[0, w] = math.sqrt((1.0 - bound * bound) / total + 1.0 / (total * n)) * n / (n - 4.0)
        # What the window's own mean takes off a variance is the variance of that mean.
        memory = (1.0 + bound) / (1.0 - bound)
        lost = min((memory - 2.0 * bound * (1.0 - bound**window) / (n * (1.0 - bound) ** 2)) / n, 0.9)
        values[1, w] = second / (1.0 - lost)
        root = math.sqrt(second)
        skewness = third / (second * root)
        kurtosis = fourth / (second * second)
        values[2, w] = skewness
        # Influence functions of variance, skewness and kurtosis, in units of the standard deviation.
        for r in range(count):
            for t in range(window):
                x = centred[r, t] / root
                square = x * x
                influence[0, r, t] = square - 1.0
                influence[1, r, t] = x * square - skewness - 1.5 * skewness * (square - 1.0) - 3.0 * x
                influence[2, r, t] = square * square - kurtosis - 2.0 * kurtosis * (square - 1.0) - 4.0 * skewness * x
        of_second = long_run(influence[0], influence[0], bound**2)
        of_skewness = long_run(influence[1], influence[1], abs(bound) ** 3)
        of_kurtosis = long_run(influence[2], influence[2], bound**4)
        both = long_run(influence[2], influence[0], bound**4)
        crossed = long_run(influence[1], influence[2], bound**4)
        errors[1, w] = math.sqrt(of_second / total) * values[1, w]
        errors[2, w] = math.sqrt(of_skewness / total)
        # Second-order bias and first-order variance of (skewness^2 + 1) / kurtosis.
        top = skewness * skewness + 1.0
        lower = -2.0 * both - kurtosis * of_second
        bias = of_skewness / kurtosis - top / kurtosis**2 * lower + top / kurtosis**3 * of_kurtosis
        bias -= 2.0 * skewness / kurtosis**2 * crossed
        values[3, w] = top / kurtosis - bias / total
        slope, fall = 2.0 * skewness / kurtosis, top / kurtosis**2
        spread = slope**2 * of_skewness + fall**2 * of_kurtosis - 2.0 * slope * fall * crossed
        # Where the skewness is 0 its square still has a variance.
        spread = max(spread, 0.0) / total + 2.0 * (of_skewness / (total * kurtosis)) ** 2
        errors[3, w] = math.sqrt(_EIGHTH_MOMENTS * spread)
    return values, errors


@njit(cache=True, nogil=True, error_model="numpy")
def kendall(values: Array) -> float:
    """Return Kendall's tau between values and their order in time; pairs of equal values count as 0."""
    n = values.size
    order = np.argsort(values)
    rank = np.empty(n, np.int64)
    level = 0
    for i in range(n):
        if i > 0 and values[order[i]] > values[order[i - 1]]:
            level += 1
        rank[order[i]] = level
    # Numbers of earlier values by rank, in a binary indexed tree.
    tree = np.zeros(level + 2, np.int64)
    score = 0
    for i in range(n):
        below, upto = 0, 0
        k = rank[i]
        while k > 0:
            below += tree[k]
            k -= k & -k
        k = rank[i] + 1
        while k > 0:
            upto += tree[k]
            k -= k & -k
        score += below - (i - upto)
        k = rank[i] + 1
        while k < tree.size:
            tree[k] += 1
            k += k & -k
    return 2.0 * score / (n * (n - 1.0)) if n > 1 else np.nan
