"""Moments of opinions: exact sums of their powers, which add up over agents, and central moments from them.

Class B. Opinions are first mapped to [-1, 1] by the declared range, so that no power dwarfs the others; each power is
rounded once and summed exactly (:mod:`simengine.arrays.exact`), in any order and any parts. Central moments come from
the sums with whatever the subtraction leaves: the variance is good while opinions spread over more than 1e-6 of the
range, the fourth moment over 1e-3. Once they agree more closely than that, they count as equal.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from simengine.arrays.exact import SIZE, add_array, rounded
from simengine.arrays.jit import njit

Floats = NDArray[np.float64]

POWERS = 8
"""Highest power summed: that of which the error of the kurtosis is made."""

_LEAST_SPREAD = 1e-6
_BLOCK = 1024


@njit(cache=True, nogil=True, error_model="numpy")
def power_sums(values: Floats, low: float, high: float) -> NDArray[np.int64]:
    """Return the exact sums of the powers 1 to 8 of opinions mapped from [low, high] to [-1, 1].

    Row k - 1 is the accumulator of power k, shape (8, SIZE); those of parts of the agents may be added elementwise.
    """
    sums = np.zeros((POWERS, SIZE), np.int64)
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    block = np.empty((POWERS, min(_BLOCK, values.size)))
    for start in range(0, values.size, _BLOCK):
        count = min(_BLOCK, values.size - start)
        for i in range(count):
            x = (values[start + i] - middle) / half
            power = 1.0
            for k in range(POWERS):
                power *= x
                block[k, i] = power
        for k in range(POWERS):
            add_array(sums[k], block[k, :count])
    return sums


def moments_of_sums(n: int, sums: NDArray[np.int64], low: float, high: float) -> Floats:
    """Return the central moments 0 to 8, in the unit of opinions, of ``n`` opinions from :func:`power_sums`."""
    raw = np.array([1.0, *(rounded(sums[k]) / n for k in range(POWERS))])
    mean, half = raw[1], 0.5 * (high - low)
    found = np.array([
        sum(special.comb(k, j, exact=True) * raw[j] * (-mean) ** (k - j) for j in range(k + 1))
        for k in range(POWERS + 1)
    ])  # fmt: skip
    if found[2] <= _LEAST_SPREAD**2:
        found[1:] = 0.0
    scaled: Floats = found * half ** np.arange(POWERS + 1)
    return scaled


def central_moments(x: Floats, highest: int) -> Floats:
    """Return the central moments 0 to ``highest`` of values of shape (n,)."""
    if x.size == 0 or x.min() == x.max():
        return np.array([1.0] + [0.0] * highest)
    apart = x - x.mean()
    return np.array([float(np.mean(apart**k)) for k in range(highest + 1)])


def uniform_moments() -> Floats:
    """Return the central moments 0 to 8 of an even distribution of variance 1."""
    return np.array([0.0 if k % 2 else 3.0 ** (k / 2) / (k + 1) for k in range(POWERS + 1)])
