"""Compiled fits of discrete power laws: zeta functions, maximum likelihood and Kolmogorov-Smirnov distances."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit

Array = NDArray[np.float64]

# From here on the Euler-Maclaurin series is exact to 1e-12 for exponents up to 20.
_SERIES_FROM = 12.0
STEEPEST = 20.0
SHALLOWEST = 1.001


@njit(cache=True, nogil=True, error_model="numpy")
def hurwitz(exponent: float, lowest: float) -> float:
    """Return sum over k >= 0 of (lowest + k)^-exponent."""
    total, q = 0.0, lowest
    while q < _SERIES_FROM:
        total += q**-exponent
        q += 1.0
    a, inverse = exponent, 1.0 / (q * q)
    third = a * (a + 1.0) * (a + 2.0)
    fifth = third * (a + 3.0) * (a + 4.0)
    seventh = fifth * (a + 5.0) * (a + 6.0)
    series = a / 12.0 - inverse * (third / 720.0 - inverse * (fifth / 30240.0 - inverse * seventh / 1209600.0))
    return float(total + q**-a * (q / (a - 1.0) + 0.5 + series / q))


@njit(cache=True, nogil=True, error_model="numpy")
def exponent_of(mean_log: float, lowest: float) -> float:
    """Return the exponent of greatest likelihood, where ``mean_log`` is the mean of ln x over x >= ``lowest``.

    The likelihood is concave; its maximum is found by golden sections of -a mean_log - ln zeta(a, lowest).
    """
    low, high = SHALLOWEST, STEEPEST
    guess = 1.0 + 1.0 / max(mean_log - math.log(lowest - 0.5), 0.05)
    low, high = max(low, 1.0 + 0.3 * (guess - 1.0)), min(high, 1.0 + 3.0 * (guess - 1.0))
    ratio = 0.5 * (math.sqrt(5.0) - 1.0)
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left = left * mean_log + math.log(hurwitz(left, lowest))
    at_right = right * mean_log + math.log(hurwitz(right, lowest))
    while high - low > 1e-7:
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = left * mean_log + math.log(hurwitz(left, lowest))
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = right * mean_log + math.log(hurwitz(right, lowest))
    return 0.5 * (low + high)


@njit(cache=True, nogil=True, error_model="numpy")
def distance(values: Array, counts: Array, start: int, exponent: float, worst: float) -> float:
    """Return the Kolmogorov-Smirnov distance of the values from ``start`` on; stop early above ``worst``."""
    total = counts[start:].sum()
    lowest = values[start]
    whole = hurwitz(exponent, lowest)
    found, below = 0.0, 0.0
    for i in range(start, values.size):
        fitted = 1.0 - hurwitz(exponent, values[i]) / whole
        found = max(found, abs(below / total - fitted))
        below += counts[i]
        fitted = 1.0 - hurwitz(exponent, values[i] + 1.0) / whole
        found = max(found, abs(below / total - fitted))
        if found > worst:
            break
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def fitted(values: Array, counts: Array, starts: NDArray[np.int64]) -> tuple[float, int, float]:
    """Return exponent, start and distance of the start among ``starts`` with the least distance.

    ``values`` are ascending, ``counts`` how often each was seen.
    """
    best, best_start, best_exponent = 2.0, starts[0], np.nan
    size = values.size
    tail = np.zeros(size + 1)
    logs = np.zeros(size + 1)
    for i in range(size - 1, -1, -1):
        tail[i] = tail[i + 1] + counts[i]
        logs[i] = logs[i + 1] + counts[i] * math.log(values[i])
    for start in starts:
        exponent = exponent_of(logs[start] / tail[start], values[start])
        found = distance(values, counts, start, exponent, best)
        if found < best:
            best, best_start, best_exponent = found, start, exponent
    return best_exponent, best_start, best
