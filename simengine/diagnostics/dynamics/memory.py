"""How far the mean of a correlated series scatters: its long-run variance.

Autocovariances are summed under the flat-top window of Politis & Romano (1995), cut where they fade into noise by the
rule of Politis (2003): behind twice the last lag before five in a row with correlations below 2 sqrt(log10 n / n), but
not before n^(1/3) lags.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit

# In a row this many lags without correlation end the memory.
_QUIET = 5
# Correlations within n^(1/3) lags, but no more than this many, count even where each is lost in noise.
_NEAR = 20
# Anticorrelated values may scatter less in the mean than independent ones, down to this share in variance.
_LEAST = 0.02


@njit(cache=True, nogil=True, error_model="numpy")
def _covariance(values: NDArray[np.float64], mean: float, lag: int) -> float:
    total = 0.0
    for i in range(values.shape[0]):
        for t in range(values.shape[1] - lag):
            total += (values[i, t] - mean) * (values[i, t + lag] - mean)
    return total / values.size


@njit(cache=True, nogil=True, error_model="numpy")
def long_run_variance(values: NDArray[np.float64]) -> tuple[float, int, bool]:
    """Return n times the variance of the mean of a stationary series.

    Parameters
    ----------
    values
        Shape (m, T): m independent realisations.

    Returns
    -------
    variance
        Of one value, plus twice its covariances with all later ones; not negative.
    memory
        The lag behind which correlations are noise.
    ended
        False if there was no such lag within a fifth of the series: it is short against its own memory.
    """
    rows, steps = values.shape
    total = 0.0
    for i in range(rows):
        for t in range(steps):
            total += values[i, t]
    mean = total / values.size
    variance = _covariance(values, mean, 0)
    if variance <= 0.0:
        return 0.0, 0, True
    noise = 2.0 * math.sqrt(max(math.log10(float(values.size)), 1.0) / values.size)
    furthest = max(steps // 5, min(steps - 1, 2 * _QUIET))
    covariances = np.zeros(furthest + 1)
    quiet, last, lag = 0, 0, 0
    ended = rows > 1
    while lag < furthest:
        lag += 1
        covariances[lag] = _covariance(values, mean, lag)
        if abs(covariances[lag]) < noise * variance:
            quiet += 1
        else:
            quiet, last = 0, lag
        if quiet == _QUIET:
            ended = True
            break
    found, terms = variance, 1.0
    near = min(int(values.size ** (1.0 / 3.0)), _NEAR, steps // 5)
    reach = max(2 * last, near)
    for k in range(1, min(reach, furthest) + 1):
        if k > lag:
            covariances[k] = _covariance(values, mean, k)
        weight = 1.0 if 2 * k <= reach else 2.0 * (1.0 - k / reach)
        found += 2.0 * weight * covariances[k]
        terms += 2.0 * weight
    # The mean itself is of these values, which takes a variance of the mean off each term.
    return max(found, _LEAST * variance) / max(1.0 - terms / values.size, 0.5), last, ended
