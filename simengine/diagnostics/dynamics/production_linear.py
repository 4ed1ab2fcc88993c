"""Entropy production of a linear Gaussian process, from the covariances of successive vectors.

The plug-in value is that of the Gaussian Markov series with the fitted covariances S = E[x_t x_t^T] and
C = E[x_{t+1} x_t^T] (:func:`~simengine.diagnostics.dynamics.exact_production.gaussian_series`). Under detailed
balance T / 2 times it is chi-square with nu degrees: d (d - 1) / 2 if all d variables are even under reversal of time;
with e even and o odd ones, e (e - 1) / 2 + o (o - 1) / 2 + 2 e o. Its mean 2 nu / T is subtracted.

Valid for stationary, Gaussian, first-order linear series of at least 20 correlation times and 10 d^2 steps.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, special

from simengine.diagnostics.dynamics.exact_production import gaussian_series
from simengine.diagnostics.dynamics.noncentral import squared_error
from simengine.diagnostics.estimate import Estimate, flagged

Array = NDArray[np.float64]

CORRELATION_TIMES = 20.0
"""Least length of a series."""

_STEPS_A_COEFFICIENT = 10
_SINGULAR = 1e-10
_UNLIKELY = 1e-4
_KURTOSIS = 0.5
_DETAILS = (
    "plug_in", "bias", "chi_square", "degrees_of_freedom", "p_value", "correlation_time", "even_variables",
)  # fmt: skip


def production_of_gaussian(vectors: Array, parity: Array) -> Estimate:
    """Return the production per step of series of shape (m, T, d), m realisations of one process."""
    count, length, size = vectors.shape
    steps = count * (length - 1)
    centred = vectors - vectors.mean(axis=(0, 1))
    before, after = centred[:, :-1].reshape(-1, size), centred[:, 1:].reshape(-1, size)
    covariance = 0.5 * (before.T @ before + after.T @ after) / steps
    lagged = after.T @ before / steps
    spread = np.sqrt(np.diag(covariance))
    if (spread <= 1e-12 * np.abs(vectors).max(axis=(0, 1))).any():
        return _nothing(steps, "constant")
    # The production does not depend on units; scaled, the test for functions of one another does not either.
    covariance /= np.outer(spread, spread)
    lagged /= np.outer(spread, spread)
    joint = np.block([[covariance, lagged.T], [lagged, covariance]])
    if np.linalg.eigvalsh(joint).min() <= _SINGULAR:
        return _nothing(steps, "singular")

    even = int((parity > 0).sum())
    odd = size - even
    degrees = (even * (even - 1) + odd * (odd - 1)) // 2 + 2 * even * odd
    plug_in = gaussian_series(covariance, lagged, parity)
    null_mean, null_variance = 2.0 * degrees / steps, 8.0 * degrees / steps**2
    variance = _variance(covariance, lagged, parity) / steps
    error, low, high = (float(one) for one in squared_error(plug_in, null_mean, null_variance, variance))
    propagator = np.linalg.solve(covariance, lagged.T).T
    slowest = float(np.abs(np.linalg.eigvals(propagator)).max())
    residual = (after - before @ (propagator * np.outer(spread, 1.0 / spread)).T) / spread
    statistic = 0.5 * steps * plug_in
    details = {
        "plug_in": plug_in, "bias": null_mean, "chi_square": statistic, "degrees_of_freedom": degrees,
        "p_value": float(special.chdtrc(degrees, statistic)), "correlation_time": correlation_time(slowest),
        "even_variables": even,
    }  # fmt: skip
    return Estimate(
        plug_in - null_mean, error, (low, high), null_mean=0.0, null_sd=math.sqrt(null_variance), n=steps,
        unit="nat/step", method="linear", null="detailed balance (chi-square)", details=details,
        flags=flagged(
            "few_samples" if steps < _STEPS_A_COEFFICIENT * size * size else None,
            "many_states" if 2 * degrees > 0.1 * steps else None,
            "short_series" if length < CORRELATION_TIMES * correlation_time(slowest) else None,
            "not_gaussian" if _far_from_gaussian(residual) else None,
            "not_markov" if _remembers(centred / spread) else None,
        ),
    )  # fmt: skip


def correlation_time(slowest: float) -> float:
    """Return the number of steps over which the slowest mode falls by 1 / e."""
    if slowest <= 0.0:
        return 0.0
    return math.inf if slowest >= 1.0 else -1.0 / math.log(slowest)


def _variance(s: Array, c: Array, parity: Array) -> float:
    """Of the plug-in value at one step: long-run variance of its influence function, a quadratic form of the path.

    With z = (x_t, x_{t+1}) and influence z^T W z / 2, the covariance at lag n is tr(W Z_n W Z_n^T) / 2 for Gaussian
    paths, and Z_n = [1; M] M^(n-1) [C, S] for n > 0, so that the sum over lags solves a Lyapunov equation.
    """
    size = len(s)
    flip = np.outer(parity, parity)
    forward = np.block([[s, c.T], [c, s]])
    backward = np.block([[flip * s, flip * c], [flip * c.T, flip * s]])
    inverse, reverse = np.linalg.inv(forward), np.linalg.inv(backward)
    influence = reverse - inverse @ backward @ inverse
    single = np.linalg.inv(s)
    mirrored = flip * single
    influence[:size, :size] -= mirrored - single @ (flip * s) @ single
    propagator = np.linalg.solve(s, c.T).T
    out = np.vstack([np.eye(size), propagator])
    into = np.hstack([c, s])
    try:
        summed = linalg.solve_discrete_lyapunov(propagator, into @ influence @ into.T)
    except np.linalg.LinAlgError:
        return math.nan
    product = influence @ forward
    own = 0.5 * np.trace(product @ product)
    later = float(np.trace(summed @ (out.T @ influence @ out)))
    return max(float(own) + later, 0.0)


def _far_from_gaussian(residual: Array) -> bool:
    """Whether the skewness or the excess kurtosis of a residual is neither small nor due to chance."""
    n = len(residual)
    scaled = residual / residual.std(axis=0)
    skewness, excess = (scaled**3).mean(axis=0), (scaled**4).mean(axis=0) - 3.0
    z = math.sqrt(2.0) * special.erfcinv(_UNLIKELY / residual.shape[1])
    return bool(
        (np.abs(skewness) > max(z * math.sqrt(6.0 / n), 0.5 * _KURTOSIS)).any()
        or (np.abs(excess) > max(z * math.sqrt(24.0 / n), _KURTOSIS)).any()
    )


def _remembers(vectors: Array) -> bool:
    """Whether centred vectors (m, T, d) remember the step before last: their partial correlation at lag two."""
    size = vectors.shape[2]
    first, middle, last = (vectors[:, i : vectors.shape[1] - 2 + i].reshape(-1, size) for i in range(3))
    if len(first) < _STEPS_A_COEFFICIENT * size * size:
        return False
    square = middle.T @ middle
    forward = last - middle @ np.linalg.solve(square, middle.T @ last)
    backward = first - middle @ np.linalg.solve(square, middle.T @ first)
    crossed = _whitened(forward).T @ _whitened(backward) / len(first)
    return bool(special.chdtrc(size * size, len(first) * (crossed**2).sum()) < _UNLIKELY)


def _whitened(residual: Array) -> Array:
    root = np.linalg.cholesky(residual.T @ residual / len(residual))
    return np.asarray(np.linalg.solve(root, residual.T).T, dtype=np.float64)


def _nothing(steps: int, flag: str) -> Estimate:
    nan = math.nan
    return Estimate(
        nan, nan, (nan, nan), n=steps, unit="nat/step", method="linear", flags=flagged(flag),
        null="detailed balance (chi-square)",
        details=dict.fromkeys(_DETAILS, nan),
    )  # fmt: skip
