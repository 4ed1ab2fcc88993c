"""Smooth functions of shares that were counted: their bias and variance to second order.

With p the shares of n independent samples, S = (diag p - p p') / n their covariance, and g and H the gradient and the
second derivatives of a function f, the bias of f is tr(H S) / 2 and its variance g' S g + tr(H S H S) / 2. Where the
first part of the variance vanishes (even shares, independence), its estimate from counts is tr(H S H S) too large on
average, which is taken off.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def second_order(shares: Floats, n: float, gradient: Floats, hessian: Floats) -> tuple[float, float]:
    """Return bias and variance of a function of the shares of ``n`` samples.

    Parameters
    ----------
    shares
        Shape (K,), sum 1.
    gradient, hessian
        Of the function at ``shares``, shapes (K,) and (K, K).
    """
    spread = (hessian * shares - np.outer(hessian @ shares, shares)) / n
    bias = 0.5 * float(np.trace(spread))
    second = 0.5 * float(np.sum(spread * spread.T))
    return bias, variance_of(first_order(shares, n, gradient), second)


def first_order(shares: Floats, n: float, gradient: Floats) -> float:
    """Return the variance of a function of shares by the delta method."""
    mean = float(shares @ gradient)
    return max(float(shares @ (gradient - mean) ** 2), 0.0) / n


def variance_of(first: float, second: float) -> float:
    """Return the variance from its two orders, the first as estimated from counts."""
    return max(first - 2.0 * second, 0.0) + second


def drawn(shares: Floats, n: int, times: int, seed: int = 0) -> Counts:
    """Return counts of ``n`` samples drawn from shares again and again, shape (times, K)."""
    return np.random.Generator(np.random.Philox(seed)).multinomial(n, shares / shares.sum(), size=times)
