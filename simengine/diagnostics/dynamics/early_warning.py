"""Early warnings of a tipping point: indicators in rolling windows, and whether they rise.

Before a system loses stability it recovers more and more slowly from its fluctuations: lag-one autocorrelation and
variance rise; asymmetry and flickering between two states may join them (Scheffer et al., Nature 461, 53 (2009); Dakos
et al., PLoS ONE 7, e41010 (2012)). The trend of each indicator is Kendall's tau with time. Overlapping windows share
data, so its usual significance does not hold: it is compared with the taus of surrogates, stationary Gaussian
autoregressions of order one with the series' own autocorrelation, treated in the same way.

Valid for windows of ten correlation times or more (of the longest time that the data allow); memory beyond order one,
or heavy tails, make the standard errors too small. A slow trend of the mean counts as memory: remove it first
(``detrend``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy import signal, special

from simengine.diagnostics import checks, samples
from simengine.diagnostics.dynamics.warning_kernels import kendall, rolling
from simengine.diagnostics.estimate import QUANTILE, Estimate, flagged, stacked
from simengine.errors import InputError

Array = NDArray[np.float64]

NAMES = ("autocorrelation", "variance", "skewness", "flickering")

WINDOW_TIMES = 10.0
"""Least length of a window, in correlation times."""

_FEWEST = 20
_WINDOWS = 200
_LOWEST = {"autocorrelation": -1.0, "variance": 0.0, "skewness": -math.inf, "flickering": 0.0}
_HIGHEST = {"autocorrelation": 1.0, "variance": math.inf, "skewness": math.inf, "flickering": 1.0}
_DETREND = ("none", "linear")


@dataclass(frozen=True, repr=False)
class EarlyWarning:
    """Indicators in rolling windows, and their trends.

    Attributes
    ----------
    times
        Number of the last step of each window, shape (W,).
    autocorrelation
        At lag one, corrected for its bias, shape (..., W).
    variance
        Corrected for the memory of the series, shape (..., W).
    skewness
        Third standardised moment, shape (..., W).
    flickering
        Sarle's coefficient (skewness^2 + 1) / kurtosis: 1/3 for a normal distribution, 5/9 for a uniform one, towards
        1 for a series that jumps between two states; shape (..., W).
    trends
        Kendall's tau of each indicator by name, shape (...), with the null's mean and standard deviation from the
        surrogates. Details: ``p_value``, one-sided, of a rise.
    """

    times: NDArray[np.int64]
    autocorrelation: Estimate
    variance: Estimate
    skewness: Estimate
    flickering: Estimate
    trends: Mapping[str, Estimate]

    def __repr__(self) -> str:
        if any(one.shape for one in self.trends.values()):
            return f"<EarlyWarning in {len(self.times)} windows, {', '.join(NAMES)}>"
        said = ", ".join(f"{name} {float(one.value):+.2f}" for name, one in self.trends.items())
        return f"<EarlyWarning in {len(self.times)} windows, trends: {said}>"


def early_warning(
    series: Any, *, window: int, stride: int | None = None, detrend: str = "none", surrogates: int = 200, seed: int = 0,
    data: Any = None, dim: str | None = None, pool: samples.Dims = None,
) -> EarlyWarning:  # fmt: skip
    """Return lag-one autocorrelation, variance, skewness and flickering in rolling windows, and their trends.

    Parameters
    ----------
    series
        Numbers, shape (T,), or (m, T) for m realisations; see :mod:`simengine.diagnostics.samples` for ``data``,
        ``dim`` and ``pool``.
    window
        Length of the windows, 20 steps or more.
    stride
        Steps between windows; by default such that there are about 200 windows.
    detrend
        ``"none"``, or ``"linear"`` to take a straight line off each realisation first.
    surrogates
        Number of surrogates, 20 or more, or 0 for no significance.
    seed
        Of the surrogates.
    """
    checks.one_of(detrend, _DETREND, "detrend")
    checks.seed(seed)
    if 0 < checks.repeats(surrogates, "surrogates") < _FEWEST:
        raise InputError(f"surrogates is {surrogates}; a null needs at least {_FEWEST}, or 0 for none")
    blocks = samples.series(series, data=data, dim=dim, pool=pool, names=("series",), discrete=False)
    length = blocks.arrays[0].shape[-1]
    if not _FEWEST <= checks.whole(window, "window") < length:
        raise InputError(f"window is {window}; allowed: {_FEWEST} to {length - 1}, less than the length of the series")
    step = max(1, (length - window) // _WINDOWS) if stride is None else checks.whole(stride, "stride")
    if step > length - window:
        raise InputError(f"stride is {stride}; allowed: 1 to {length - window}, so that there are two windows")
    found = [_warned(np.ascontiguousarray(block), window, step, detrend, surrogates, seed) for (block,) in blocks]
    times = np.arange(0, length - window + 1, step) + window - 1
    shape, dims, coords = blocks.batch, blocks.dims, dict(blocks.coords)
    rows = {
        name: _rows([one[0][name] for one in found], shape, (*dims, "window") if dims else (), coords, times)
        for name in NAMES
    }
    trends = {name: stacked([one[1][name] for one in found], shape, dims, coords) for name in NAMES}
    return EarlyWarning(times, **rows, trends=trends)


def _warned(
    series: Array, window: int, stride: int, detrend: str, surrogates: int, seed: int
) -> tuple[dict[str, Estimate], dict[str, Estimate]]:
    if detrend == "linear":
        clock = np.linspace(-1.0, 1.0, series.shape[1])
        series = series - series.mean(axis=1, keepdims=True)
        series = series - (series @ clock / (clock @ clock))[:, None] * clock
    # Neither the scale nor the level may matter to rounding.
    scale = float(series.std())
    level = series.mean(axis=1, keepdims=True)
    unit = scale if scale > 0.0 else 1.0
    values, errors = rolling((series - level) / unit, window, stride)
    values[1] *= unit * unit
    errors[1] *= unit * unit
    rows = _indicators(values, errors, window, series.shape[0])
    taus = [kendall(row) if np.isfinite(row).all() else math.nan for row in values]
    null = _surrogate_taus(series, window, stride, surrogates, seed) if surrogates and scale > 0.0 else None
    short = any("short_series" in flags for flags in rows["autocorrelation"].flags)
    constant = any("constant" in flags for flags in rows["autocorrelation"].flags)
    trends = {}
    for i, name in enumerate(NAMES):
        mean, spread, p_value = math.nan, math.nan, math.nan
        if null is not None and math.isfinite(taus[i]):
            mean, spread = float(null[i].mean()), float(null[i].std(ddof=1))
            p_value = (1.0 + np.count_nonzero(null[i] >= taus[i])) / (1.0 + surrogates)
        reach = QUANTILE * spread
        trends[name] = Estimate(
            taus[i], spread, (max(taus[i] - reach, -1.0), min(taus[i] + reach, 1.0)), null_mean=mean, null_sd=spread,
            n=values.shape[1], unit="1", method="kendall", null="stationary autoregression of order one (surrogates)",
            flags=flagged("short_series" if short else None, "constant" if constant else None),
            details={"p_value": float(p_value)},
        )  # fmt: skip
    return rows, trends


def _indicators(values: Array, errors: Array, window: int, count: int) -> dict[str, Estimate]:
    rho = values[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        # The time may be as long as the upper end of the autocorrelation says.
        most = _of_autocorrelation(rho, errors[0])[1]
        times = np.where(most > 0.0, -1.0 / np.log(np.clip(most, 1e-300, 1.0 - 1e-12)), 0.0)
        # Effective number of independent values of an autoregression.
        effective = count * window * (1.0 - np.clip(rho, -0.99, 0.999)) / (1.0 + np.clip(rho, -0.99, 0.999))
    flags = np.empty(len(rho), object)
    flags[:] = [
        flagged(
            "constant" if not math.isfinite(one) else None, "short_series" if window < WINDOW_TIMES * time else None
        )
        for one, time in zip(rho, times, strict=True)
    ]
    found = {}
    for i, name in enumerate(NAMES):
        value, error = values[i], errors[i]
        with np.errstate(divide="ignore", invalid="ignore"):
            if name == "autocorrelation":
                low, high = _of_autocorrelation(value, error)
            elif name == "variance":
                # A variance is distributed as a chi-square of as many degrees as give its error.
                degrees = 2.0 * (value / error) ** 2
                low, high = (value * degrees / special.chdtri(degrees, p) for p in (0.025, 0.975))
            else:
                low, high = value - QUANTILE * error, value + QUANTILE * error
        found[name] = Estimate(
            value, error, (np.maximum(low, _LOWEST[name]), np.minimum(high, _HIGHEST[name])), n=effective,
            unit="1" if name != "variance" else "series^2", method=f"rolling {name}", flags=flags,
            details={"window": window},
        )  # fmt: skip
    return found


def _of_autocorrelation(rho: Array, error: Array) -> tuple[Array, Array]:
    """Ends at which the error, that of an autocorrelation there, would just reach the value."""
    square = QUANTILE**2 * error**2 / np.maximum(1.0 - np.clip(rho, -0.99, 0.99) ** 2, 1e-9)
    reach = np.sqrt(np.maximum(rho**2 - (1.0 + square) * (rho**2 - square), 0.0))
    return (rho - reach) / (1.0 + square), (rho + reach) / (1.0 + square)


def _surrogate_taus(series: Array, window: int, stride: int, surrogates: int, seed: int) -> Array:
    """Taus (4, surrogates) of stationary autoregressions with the lag-one autocorrelation of the whole series."""
    count, length = series.shape
    centred = series - series.mean(axis=1, keepdims=True)
    raw = float((centred[:, 1:] * centred[:, :-1]).sum() / (centred**2).sum())
    rho = min(max((length * raw + 1.0) / (length - 4.0), -0.99), 0.999)
    generator = np.random.Generator(np.random.Philox(seed))
    found = np.empty((len(NAMES), surrogates))
    for i in range(surrogates):
        noise = generator.standard_normal((count, length))
        noise[:, 0] /= math.sqrt(1.0 - rho * rho)
        values, _ = rolling(np.ascontiguousarray(signal.lfilter([1.0], [1.0, -rho], noise, axis=1)), window, stride)
        found[:, i] = [kendall(row) for row in values]
    return found


def _rows(
    estimates: list[Estimate], shape: tuple[int, ...], dims: tuple[Any, ...], coords: dict[Any, Any],
    times: NDArray[np.int64],
) -> Estimate:  # fmt: skip
    """Estimates (W,) of a batch as one of shape (..., W)."""

    def together(pick: Any) -> Any:
        return np.array([pick(one) for one in estimates]).reshape(*shape, -1)

    flags = np.empty((*shape, len(times)), object)
    flat = flags.reshape(-1, len(times))
    for row, one in zip(flat, estimates, strict=True):
        row[:] = one.flags
    low, high = (together(lambda one, end=end: one.interval[end]) for end in (0, 1))
    first = estimates[0]
    return Estimate(
        together(lambda one: one.value), together(lambda one: one.standard_error), (low, high),
        n=cast("Array", together(lambda one: one.n)), unit=first.unit, method=first.method, flags=flags, dims=dims,
        coords={**coords, "window": times} if dims else {}, details=first.details,
    )  # fmt: skip
