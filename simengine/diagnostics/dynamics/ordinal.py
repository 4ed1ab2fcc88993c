"""Ordinal patterns: permutation entropy and statistical complexity, free of units and of monotone changes.

Permutation entropy (Bandt & Pompe 2002) is the entropy of the order patterns of m successive values; the complexity
(Lamberti et al. 2004; Rosso et al. 2007) is that entropy over ln m! times the Jensen-Shannon divergence of the patterns
from even ones over its maximum: nought for order and for noise. Overlapping windows hang together: the bias of the
plug-in estimate is minus the sum of V_a / p_a over 2 n, with V_a the long-run variances of the patterns' indicators,
of which overlaps give most. White noise has even patterns, with known second moments.

Valid where the patterns seen, less one, are at most a tenth of the windows, with 400 windows or more, and few ties.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics import checks
from simengine.diagnostics.dynamics import embedding
from simengine.diagnostics.dynamics.dependence import MANY, answer
from simengine.diagnostics.dynamics.memory import long_run_variance
from simengine.diagnostics.dynamics.ordinal_kernels import overlap_variances, patterns
from simengine.diagnostics.dynamics.windows import each
from simengine.diagnostics.estimate import Estimate, checked_unit, flagged, stacked
from simengine.diagnostics.samples import Dims, series

Floats = NDArray[np.float64]
Spread = Callable[[Floats], tuple[float, int, bool]]

GREATEST_ORDER = 10
"""Longest patterns; there are 3.6 million of them."""

# Squared long-run correlations of the patterns of white noise, summed: exact up to order 5 by counting permutations.
_NOISE = {2: 1.0 / 9.0, 3: 4.0, 4: 29.147845804988663, 5: 172.70527840765936}
# Above, this many for each pattern but one.
_NOISE_EACH = 1.45
_TIES = 0.1


def permutation_entropy(
    values: Any, *, order: int = 3, lag: int = 1, estimator: str = "counts", unit: str = "nat", data: Any = None,
    dim: Dims = None, pool: Dims = None,
) -> Estimate:  # fmt: skip
    """Estimate the entropy of the order patterns of a series.

    Parameters
    ----------
    values
        Numbers of shape (T,), (m, T) for m realisations or agents in one, a DataArray, or the name of a variable of
        ``data``. Of equal values the earlier one counts as the smaller.
    order
        Number of values of a pattern, 2 to 10.
    lag
        Steps between them.
    estimator
        ``"counts"``, or ``"plug-in"`` with its bias.

    Returns
    -------
    estimate
        In nats or bits; from 0 to ln order!, which is ``details["highest"]`` (nats) and the mean of the null, white
        noise.
    """
    _check_estimator(estimator)
    checked_unit(unit)
    codes_of = _pattern_reader(values, order, lag, data, dim, pool)

    def estimate(one: NDArray[Any]) -> Estimate:
        codes, ties = codes_of.read(one)
        seen, variances = overlap_variances(codes, math.factorial(order), (order - 1) * lag)
        return entropy_of_patterns(seen, variances, _spread_of(codes), order, estimator, ties=ties)

    return each(estimate, codes_of.blocks, unit, per="")


def statistical_complexity(
    values: Any, *, order: int = 3, lag: int = 1, estimator: str = "counts", data: Any = None, dim: Dims = None,
    pool: Dims = None,
) -> Estimate:  # fmt: skip
    """Estimate the Jensen-Shannon complexity of the order patterns of a series, a pure number from 0 to below 1.

    Parameters are those of :func:`permutation_entropy`. ``details["entropy"]`` is the normalised plug-in entropy.
    """
    _check_estimator(estimator)
    codes_of = _pattern_reader(values, order, lag, data, dim, pool)

    def estimate(one: NDArray[Any]) -> Estimate:
        codes, ties = codes_of.read(one)
        seen, variances = overlap_variances(codes, math.factorial(order), (order - 1) * lag)
        return complexity_of_patterns(seen, variances, _spread_of(codes), order, estimator, ties=ties)

    blocks = codes_of.blocks
    return stacked([estimate(*arrays) for arrays in blocks], blocks.batch, blocks.dims, blocks.coords)


def entropy_of_patterns(
    seen: NDArray[np.int64], variances: Floats, spread: Spread, order: int, estimator: str = "counts", *, ties: int = 0,
    overlap: float = 1.0,
) -> Estimate:  # fmt: skip
    """Estimate the entropy of order patterns, in nats, from how often each was seen.

    Parameters
    ----------
    seen, variances
        As :func:`~simengine.diagnostics.dynamics.ordinal_kernels.overlap_variances` returns them, shape (order!,).
    spread
        Of a number for each pattern, shape (order!,), the long-run variance, the memory, and whether it ended.
    ties
        How many patterns have equal values.
    overlap
        The share of earlier overlapping windows that were seen, too: about 1 for long series, 0 for single patterns.
    """
    n = int(seen.sum())
    known = seen > 0
    if known.sum() < 2:
        return Estimate(0.0, 0.0, (0.0, 0.0), n=n, method=estimator, flags=flagged("constant", *_doubts(seen, ties)))
    shares = np.where(known, seen / n, 1.0)
    bias = -float((variances[known] / shares[known]).sum()) / (2.0 * n)
    local = -np.log(shares)
    plug_in = float(shares[known] @ local[known])
    variance, memory, ended = spread(local)
    taken = 0.0 if estimator == "plug-in" else bias
    scatter = white_noise_scatter(order, overlap)
    highest = math.log(math.factorial(order))
    details = {"plug_in": plug_in, "bias": bias, "highest": highest, "patterns": float(known.sum()), "memory": memory}
    doubts = (*_doubts(seen, ties), None if ended else "short_series")
    return answer(
        plug_in - taken, variance, 0.0, n, estimator, details,
        null=(highest + bias - taken, math.sqrt(0.5 * scatter) / n, "white noise"), flags=doubts, scatter=scatter,
        proportional=False,
    )  # fmt: skip


def complexity_of_patterns(
    seen: NDArray[np.int64], variances: Floats, spread: Spread, order: int, estimator: str = "counts", *, ties: int = 0,
    overlap: float = 1.0,
) -> Estimate:  # fmt: skip
    """Estimate the Jensen-Shannon complexity of order patterns; parameters as of :func:`entropy_of_patterns`."""
    states = math.factorial(order)
    even = 1.0 / states
    longest = -2.0 / ((states + 1) / states * math.log(states + 1) - 2.0 * math.log(2.0 * states) + math.log(states))
    highest = math.log(states)
    n = int(seen.sum())
    known = seen > 0
    shares = seen / n
    middle = 0.5 * (shares + even)
    logs = np.log(np.where(known, shares, 1.0))
    entropy = -float((shares * logs).sum())
    apart = -float((middle * np.log(middle)).sum()) - 0.5 * (entropy + highest)
    scale = longest / highest
    plug_in = scale * apart * entropy
    # First and second derivatives of the divergence and the entropy by each share.
    by_apart, by_entropy = 0.5 * (logs - np.log(middle)), -logs - 1.0
    variance, memory, ended = spread(scale * (entropy * by_apart + apart * by_entropy))
    both = spread(by_apart + by_entropy)[0]
    less = spread(by_apart - by_entropy)[0]
    inverse = np.where(known, 1.0 / np.where(known, shares, 1.0), 0.0)
    curved = variances * (entropy * (0.5 * inverse - 0.25 / middle) - apart * inverse)
    bias = scale / (2.0 * n) * (float(curved[known].sum()) + 0.5 * (both - less))
    taken = 0.0 if estimator == "plug-in" else bias
    # Near white noise the complexity is this many times the entropy's distance from its maximum.
    scatter = (0.25 * longest) ** 2 * white_noise_scatter(order, overlap)
    details = {"plug_in": plug_in, "bias": bias, "entropy": entropy / highest, "memory": memory}
    noise = "white noise" if estimator == "counts" else ""
    found = answer(
        plug_in - taken, variance, 0.0, n, estimator, details,
        null=(0.0 if noise else math.nan, math.sqrt(0.5 * scatter) / n if noise else math.nan, noise),
        flags=(*_doubts(seen, ties), None if ended else "short_series"), scatter=scatter, proportional=False,
    )  # fmt: skip
    return replace(found, unit="1")


def white_noise_scatter(order: int, overlap: float = 1.0) -> float:
    """Return the sum of squared long-run correlations of the patterns of white noise: order! - 1 without overlaps."""
    alone = math.factorial(order) - 1.0
    return overlap * _NOISE.get(order, _NOISE_EACH * alone) + (1.0 - overlap) * alone


def _doubts(seen: NDArray[np.int64], ties: int) -> tuple[str | None, ...]:
    n = int(seen.sum())
    return (
        "many_ties" if ties > _TIES * n else None, "many_states" if (seen > 0).sum() - 1 > MANY * n else None,
    )  # fmt: skip


def _spread_of(codes: NDArray[np.int64]) -> Spread:
    return lambda by_pattern: long_run_variance(np.ascontiguousarray(by_pattern[codes]))


class _Reader:
    """Series in blocks, and from each of them the patterns and how many have ties."""

    def __init__(self, blocks: Any, order: int, lag: int):
        self.blocks, self._order, self._lag = blocks, order, lag

    def read(self, values: NDArray[Any]) -> tuple[NDArray[np.int64], int]:
        return patterns(np.ascontiguousarray(values, np.float64), self._order, self._lag)


def _pattern_reader(values: Any, order: int, lag: int, data: Any, dim: Dims, pool: Dims) -> _Reader:
    length, step = checks.whole(order, "order", 2, GREATEST_ORDER), checks.whole(lag, "lag")
    blocks = series(values, data=data, dim=dim, pool=pool, discrete=False)
    embedding.first_window(blocks.arrays[0].shape[-1], [(length - 1) * step])
    return _Reader(blocks, length, step)


def _check_estimator(estimator: str) -> None:
    checks.one_of(estimator, ("counts", "plug-in"), "estimator")
