"""A lower bound of entropy production from the fluctuations of any current, without a model.

The thermodynamic uncertainty relation: a current J that changes sign under reversal of time, accumulated over a time
t in the steady state, has 2 <J>^2 / (t Var J) <= entropy production (Barato & Seifert, Phys. Rev. Lett. 114, 158101
(2015); for finite t Horowitz & Gingrich, Phys. Rev. E 96, 020103 (2017)). That holds for processes in continuous time
without inertia. For synchronous steps only the weaker ln(1 + 2 <J>^2 / Var J) / t does (Hasegawa & Van Vu, Phys. Rev.
Lett. 123, 110602 (2019); Proesmans & Van den Broeck, EPL 119, 20001 (2017)).

Windows of t steps give mean and variance. Valid for 100 independent windows or more, of a stationary current without
heavy tails; correlations between windows are counted.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

from simengine.diagnostics.estimate import QUANTILE, Estimate, flagged

Array = NDArray[np.float64]

CLOCKS = ("continuous", "discrete")
FEWEST_WINDOWS = 100

_HEAVY = 6.0


def bound_of_current(current: Array, window: int, clock: str) -> Estimate:
    """Return the bound per step from the increments (m, T) of a current, accumulated over ``window`` steps."""
    count, length = current.shape
    kept = length // window
    parts = current[:, : kept * window].reshape(count, kept, window).sum(axis=2)
    n = parts.size
    mean = float(parts.mean())
    deviation = parts - mean
    variance = float((deviation**2).sum()) / max(n - 1, 1)
    if n < 8 or variance <= (1e-14 * float(np.abs(parts).max())) ** 2:
        nan = math.nan
        flag = "few_samples" if n < 8 else "constant"
        names = ("window", "windows", "mean_current", "variance", "p_value")
        return Estimate(
            nan, nan, (nan, nan), n=n, unit="nat/step", method="bound", flags=flagged(flag), null=_NULL,
            details=dict.fromkeys(names, nan),
        )  # fmt: skip
    scale = math.sqrt(variance)
    # Influence of a window on mean / sd: its long-run variance counts skewness, kurtosis and memory.
    ratio = mean / scale
    standard = deviation / scale
    influence = standard - 0.5 * ratio * (standard**2 - 1.0)
    of_mean, of_ratio = _long_run(standard), _long_run(influence)
    # The square is too large by the variance of the mean, its inverse variance by about 2 / n.
    square = ratio**2 * (1.0 - 2.0 / n) - of_mean / n
    error = math.sqrt(max(4.0 * max(square, 0.0) * of_ratio / n + 2.0 * (of_mean / n) ** 2, 0.0))
    null_sd = math.sqrt(2.0) * of_mean / n
    reach = QUANTILE * math.sqrt(of_ratio / n)
    low = max(abs(ratio) - reach, 0.0) ** 2
    high = (abs(ratio) + reach) ** 2
    value, bottom, top = (_bound(one, window, clock) for one in (square, low, high))
    slope = 2.0 / window if clock == "continuous" else 2.0 / (window * (1.0 + 2.0 * max(square, 0.0)))
    excess = float((standard**4).mean()) - 3.0
    drift = _halves_differ(parts, of_mean)
    # Where memory outlasts the windows of a series, its parts cannot show how far.
    short = kept > 1 and kept < 10 * max(of_mean, 1.0)
    return Estimate(
        value, slope * error, (bottom, top), null_mean=0.0, null_sd=2.0 / window * null_sd, n=n, unit="nat/step",
        method="bound", null=_NULL,
        flags=flagged(
            "few_samples" if n < FEWEST_WINDOWS * max(of_mean, 1.0) else None,
            "short_series" if short else None,
            "heavy_tails" if excess > _HEAVY else None,
            "drifting" if drift else None,
        ),
        details={
            "window": window, "windows": n, "mean_current": mean / window, "variance": variance / window,
            "p_value": float(special.erfc(abs(ratio) * math.sqrt(n / of_mean) / math.sqrt(2.0))),
        },
    )  # fmt: skip


_NULL = "detailed balance: no mean current (normal)"


def _bound(square: float, window: int, clock: str) -> float:
    doubled = 2.0 * square
    if clock == "continuous":
        return doubled / window
    # A square below 0 by its correction stays below 0.
    return (math.log1p(doubled) if doubled > 0.0 else doubled) / window


def _long_run(rows: Array) -> float:
    """Variance of the mean of rows (m, n) times their number, by Bartlett's window as far as correlations reach."""
    count, length = rows.shape
    centred = rows - rows.mean()
    variance = float((centred**2).mean())
    total = variance
    reach = int(min(length - 1, 4.0 * length ** (1.0 / 3.0)))
    for lag in range(1, reach + 1):
        covariance = float((centred[:, lag:] * centred[:, :-lag]).sum()) / (count * length)
        if lag > 3 and abs(covariance) * math.sqrt(count * length) < QUANTILE * variance:
            break
        total += 2.0 * (1.0 - lag / (reach + 1.0)) * covariance
    return max(total, 0.1 * variance, 1e-300)


def _halves_differ(parts: Array, of_mean: float) -> bool:
    half = parts.shape[1] // 2
    if half < 4:
        return False
    first, second = parts[:, :half], parts[:, -half:]
    spread = math.sqrt(of_mean * (first.var() + second.var()) / first.size)
    return bool(abs(first.mean() - second.mean()) > 4.0 * spread)
