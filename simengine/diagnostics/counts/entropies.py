"""Entropy of a discrete variable from how often each of its states was seen, by seven estimators.

Declared validity of all: at least 50 samples, ten of them outside the most frequent state (else ``few_samples``), and
so few states seen once that what they stand for moves the value by less than its error: singletons / N below 0.2
standard errors, 0.1 for Miller & Madow (else ``unseen_states``). Estimators whose bias does not vanish for evenly
filled states (plug-in, Chao & Shen, James & Stein, NSB) also ask that (K - 1) / 2N stay below a fifth of a standard
error, and those with a model of the unseen (Chao & Shen, James & Stein, NSB) that they agree with Grassberger's
estimator within half of one; else ``few_samples``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics.checks import whole
from simengine.diagnostics.counts.kernels import (
    CHAO_SHEN,
    GRASSBERGER,
    GRASSBERGER_1988,
    JAMES_STEIN,
    MILLER_MADOW,
    PLUG_IN,
    entropy_of,
    shrinkage,
    summaries,
    terms,
)
from simengine.diagnostics.counts.labelled import labelled_counts
from simengine.diagnostics.counts.nsb import nsb
from simengine.diagnostics.estimate import QUANTILE, Estimate, checked_unit, flagged, normal_interval
from simengine.errors import InputError, nearest

Marks = NDArray[np.bool_]

__all__ = ["ESTIMATORS", "entropy_from_counts", "entropy_of", "even_null", "kind_of"]

NSB = 6
"""The kind of Nemenman, Shafee & Bialek's estimator, which is no kernel of :mod:`.kernels`."""

ESTIMATORS: Mapping[str, int] = MappingProxyType(
    {
        "plug-in": PLUG_IN,
        "miller-madow": MILLER_MADOW,
        "grassberger": GRASSBERGER,
        "grassberger-1988": GRASSBERGER_1988,
        "chao-shen": CHAO_SHEN,
        "james-stein": JAMES_STEIN,
        "nsb": NSB,
    }
)
"""The kind of each estimator of discrete entropies."""

MOST_STATES = 2**53
"""The largest alphabet: floats hold whole numbers exactly up to here."""

FEWEST = 50
FEWEST_APART = 10
# Samples a state beyond which the null is that of a chi-square variable, to a relative error of 1 / this.
_MANY = 1e6
_MOST_STATES = 1 << 24
_MODELLED = (CHAO_SHEN, JAMES_STEIN, NSB)
_BIASED = (PLUG_IN, *_MODELLED)
_DRAWS = 200
_MOST_DRAWN = 1 << 16
_PAIRED = 1200


def kind_of(estimator: str, what: str = "entropy from counts") -> int:
    """Return the kind of an estimator by its name; one line with the nearest right name where there is none."""
    if not isinstance(estimator, str) or estimator not in ESTIMATORS:
        raise InputError(
            f"{what}: unknown estimator {estimator!r}{nearest(str(estimator), ESTIMATORS)};"
            f" allowed: {', '.join(ESTIMATORS)}"
        )
    return ESTIMATORS[estimator]


def entropy_from_counts(
    counts: Any, *, estimator: str = "grassberger", states: int | None = None, unit: str = "nat"
) -> Estimate:
    """Estimate the entropy of a discrete variable from counts.

    The null is that all ``states`` are equally likely, with the same number of samples; ``details`` holds the number
    of states ``seen`` and seen once (``singletons``). The value is not cut to its possible range; the interval is, and
    that of a value above ln ``states`` is the one about this highest value.

    Parameters
    ----------
    counts
        How often each state was seen, along the last axis, shape (K,) or (..., K); the other axes are a batch. A
        DataArray keeps the names of its other dims.
    estimator
        - ``plug-in``: -sum p ln p, too small by about (K - 1) / 2N.
        - ``miller-madow``: plus (K - 1) / 2N with the K that were seen (Miller 1955).
        - ``grassberger``: ln N - sum n G(n) / N (Grassberger 2003, arXiv physics/0307138); the default.
        - ``grassberger-1988``: with psi(n) + (-1)^n / (n + 1) for G(n) (Phys. Lett. A 128, 369).
        - ``chao-shen``: shares scaled by the coverage, states weighted by the chance to see them (2003).
        - ``james-stein``: shares shrunk towards even filling (Hausser & Strimmer 2009); needs ``states``.
        - ``nsb``: Bayesian, see :mod:`~simengine.diagnostics.counts.nsb`; needs ``states``; its error is the
          posterior standard deviation.
    states
        Number of states that are possible, seen or not; by default the length of the last axis.
    unit
        "nat" or "bit".
    """
    checked_unit(unit)
    kind = kind_of(estimator)
    table, dims, coords = labelled_counts(counts)
    k = _checked_states(table, states)
    if table.ndim == 1 and kind not in _BIASED:
        return _of_row(table, kind, k, estimator).to(unit)
    rows = np.ascontiguousarray(table.reshape(-1, table.shape[-1]))
    if not rows.size:
        raise InputError(f"counts is empty: shape {table.shape}")
    found = summaries(rows, GRASSBERGER if kind == NSB else kind, k)
    value, error, n = found[:, 0], np.sqrt(found[:, 1]), found[:, 2]
    if kind == NSB:
        value, error = np.array([nsb(row, k) for row in rows]).T
    nulls = np.array([even_null(int(one), k, estimator) for one in n])
    flags = _flags(rows, kind, k, found, value, error)
    value = np.where(n > 0, value, np.nan)
    error = np.where(n > 0, error, np.nan)
    shape = table.shape[:-1]
    numbers = [part.reshape(shape) if shape else float(part[0]) for part in (value, error, nulls[:, 0], nulls[:, 1], n)]
    most = math.log(k)
    low, high = normal_interval(np.minimum(numbers[0], most), numbers[1], lowest=0.0, highest=most)
    return Estimate(
        numbers[0], numbers[1], (low, high), numbers[2], numbers[3], numbers[4], method=estimator,
        flags=flags.reshape(shape) if shape else flags[0], null=f"all {k} states equally likely",
        details={
            "states": k,
            "seen": found[:, 3].reshape(shape) if shape else int(found[0, 3]),
            "singletons": found[:, 4].reshape(shape) if shape else int(found[0, 4]),
        },
        dims=dims, coords=coords,
    ).to(unit)  # fmt: skip


def _of_row(table: NDArray[np.int64], kind: int, k: int, estimator: str) -> Estimate:
    """One table, as a running simulation has them: the same numbers without the detour over arrays."""
    rows = np.ascontiguousarray(table[None])
    value, variance, n, seen, singles = summaries(rows, kind, k)[0].tolist()
    error = math.sqrt(variance) if n > 0 else math.nan
    constant = seen == 1
    few = n < FEWEST or (not constant and n - int(table.max()) < FEWEST_APART)
    unseen = singles / max(n, 1.0) > (0.1 if kind == MILLER_MADOW else 0.2) * error
    null_mean, null_sd = even_null(int(n), k, estimator)
    code = int(few) + 2 * int(unseen) + 4 * int(constant) + 8 * int(n == 0)
    value = value if n > 0 else math.nan
    most = math.log(k)
    interval = max(min(value, most) - QUANTILE * error, 0.0), min(max(value + QUANTILE * error, 0.0), most)
    return Estimate(
        value, error, interval if n > 0 else (math.nan, math.nan), null_mean, null_sd, n, method=estimator,
        flags=_tuples()[code], null=f"all {k} states equally likely",
        details={"states": k, "seen": int(seen), "singletons": int(singles)},
    )  # fmt: skip


def _checked_states(table: NDArray[np.int64], states: int | None) -> int:
    if states is None:
        return int(table.shape[-1])
    return whole(states, "states", max(int((table > 0).sum(axis=-1).max()), 1), MOST_STATES)


def _flags(
    rows: NDArray[np.int64], kind: int, k: int, found: NDArray[np.float64], value: NDArray[np.float64],
    error: NDArray[np.float64],
) -> NDArray[Any]:  # fmt: skip
    """Return what the declared validity of a kind raises for each row."""
    n, seen, singles = found[:, 2], found[:, 3], found[:, 4]
    samples = np.maximum(n, 1.0)
    constant = seen == 1
    few = (n < FEWEST) | (~constant & (n - rows.max(axis=1) < FEWEST_APART))
    unseen = singles / samples > (0.1 if kind == MILLER_MADOW else 0.2) * error
    if kind in _BIASED:
        few |= ~constant & ((seen - 1) / (2.0 * samples) > 0.2 * error)
    if kind in _MODELLED:
        base = summaries(rows, GRASSBERGER, k)
        few |= ~constant & (np.abs(value - base[:, 0]) > 0.5 * np.sqrt(base[:, 1]))
    if kind == JAMES_STEIN:
        weights = np.array([shrinkage(row, int(total), k) for row, total in zip(rows, n, strict=True)])
        few |= ~constant & (weights > 0.02)
    return raised(few, unseen, constant, n == 0)


def raised(few: Marks, unseen: Marks, constant: Marks, empty: Marks) -> NDArray[Any]:
    """Return the tuples of flags of estimates, shape (m,), from which of them each is up for."""
    found: NDArray[Any] = _tuples()[few + 2 * unseen + 4 * constant + 8 * empty]
    return found


@cache
def _tuples() -> NDArray[Any]:
    """The flags of every combination of marks."""
    names = ("few_samples", "unseen_states", "constant")
    tuples = np.empty(16, object)
    for code in range(16):
        up = [name for place, name in enumerate(names) if code >> place & 1]
        tuples[code] = flagged("empty") if code & 8 else flagged(*up)
    return tuples


@lru_cache(maxsize=4096)
def even_null(n: int, states: int, estimator: str = "grassberger") -> tuple[float, float]:
    """Return mean and standard deviation of an entropy in nats of n samples of equally likely states.

    For additive estimators both are exact (multinomial counts); where a state has more than 1200 likely counts, the
    standard deviation is right to order 1 / K. For the others both are taken from repetitions with a fixed
    seed; NaN for more than 65,536 states.
    """
    kind = kind_of(estimator)
    if n == 0 or states < 1:
        return math.nan, math.nan
    if states == 1:
        return 0.0, 0.0
    if kind in _MODELLED:
        return _drawn_null(n, states, kind)
    share = 1.0 / states
    if states > _MOST_STATES:
        return math.nan, math.nan
    if n * share > _MANY:
        bias = (states - 1) / (2.0 * n) if kind == PLUG_IN else 0.0
        return math.log(states) - bias, math.sqrt(0.5 * (states - 1)) / n
    mean_count, spread = n * share, math.sqrt(n * share * (1.0 - share))
    low = max(0, int(mean_count - 8.0 * spread - 20.0))
    high = min(n, int(mean_count + 8.0 * spread + 30.0))
    numbers = np.arange(low, high + 1, dtype=np.int64)
    each = _with_constant(numbers, kind)
    weights = _binomial(numbers, n, share)
    constant = 0.5 / n if kind == MILLER_MADOW else 0.0
    if states == 2:
        both = math.log(n) - (each + _with_constant(n - numbers, kind)) / n - constant
        mean = float(weights @ both)
        return mean, math.sqrt(max(float(weights @ (both - mean) ** 2), 0.0))
    first = float(weights @ each)
    apart, away = each - first, numbers - mean_count
    along = float(weights @ (apart * away)) / float(weights @ away**2)
    left = apart - along * away
    single = float(weights @ left**2)
    if numbers.size <= _PAIRED:
        spread = states * single + states * (states - 1.0) * _paired(numbers, left, weights, n, states)
    else:
        spread = states * single * states / (states - 1.0)
    return math.log(n) - states * first / n - constant, math.sqrt(max(spread, 0.0)) / n


def _paired(
    numbers: NDArray[np.int64], left: NDArray[np.float64], weights: NDArray[np.float64], n: int, states: int
) -> float:  # fmt: skip
    """Return the mean product of the terms of two states: the second is binomial in what the first leaves."""
    rest = n - numbers[:, None]
    after = rest - numbers[None, :]
    possible = after >= 0
    factorials = np.array([math.lgamma(one + 1.0) for one in range(max(0, n - 2 * int(numbers[-1])), n + 1)])
    origin = n + 1 - factorials.size
    chance = factorials[rest - origin] - factorials[np.where(possible, after, origin) - origin]
    chance -= np.array([math.lgamma(one + 1.0) for one in numbers.tolist()])[None, :]
    if states > 2:
        chance += numbers[None, :] * -math.log(states - 1.0) + after * math.log1p(-1.0 / (states - 1.0))
    shares = np.where(possible, np.exp(np.where(possible, chance, 0.0)), 0.0)
    return float(weights @ (left * (shares @ left)))


def _with_constant(numbers: NDArray[np.int64], kind: int) -> NDArray[np.float64]:
    found: NDArray[np.float64] = terms(np.ascontiguousarray(numbers), kind)
    return found - 0.5 * (numbers > 0) if kind == MILLER_MADOW else found


def _binomial(numbers: NDArray[np.int64], n: int, share: float) -> NDArray[np.float64]:
    logarithms = np.array(
        [
            math.lgamma(n + 1.0) - math.lgamma(one + 1.0) - math.lgamma(n - one + 1.0)
            + one * math.log(share) + (n - one) * math.log1p(-share)
            for one in numbers.tolist()
        ]
    )  # fmt: skip
    weights = np.exp(logarithms - logarithms.max())
    found: NDArray[np.float64] = weights / weights.sum()
    return found


def _drawn_null(n: int, states: int, kind: int) -> tuple[float, float]:
    if states > _MOST_DRAWN:
        return math.nan, math.nan
    draws = np.random.default_rng(0).multinomial(n, np.full(states, 1.0 / states), size=_DRAWS).astype(np.int64)
    if kind == NSB:
        values = np.array([nsb(row, states)[0] for row in draws[: _DRAWS // 4]])
    else:
        values = summaries(draws, kind, states)[:, 0]
    return float(values.mean()), float(values.std(ddof=1))
