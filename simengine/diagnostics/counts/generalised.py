"""Renyi's and Tsallis' entropies from counts, through the sum of powers of the shares.

The sum of p^q is estimated without bias by falling factorials, sum n (n-1) ... (n-q+1) / N (N-1) ... (N-q+1), with
gamma functions for broken orders q (Good 1953; for broken q exact up to terms of order (1 - p)^N; Grassberger 1988).
Declared validity as for Grassberger's entropy in :mod:`.entropies`, but from 100 samples on; for orders below 1, where
rare states weigh more than their share, every state that was seen must have been seen more than ten times (else
``unseen_states``).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics.checks import positive, whole
from simengine.diagnostics.counts.entropies import FEWEST, FEWEST_APART, MOST_STATES, entropy_from_counts
from simengine.diagnostics.counts.labelled import labelled_counts
from simengine.diagnostics.estimate import Estimate, checked_unit, flagged, normal_interval, stacked

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

RARE = 10
_FAR = 24
# Of Stirling's series: 1 / 12 y - 1 / 360 y^3 + ...
_STIRLING = {1: 1.0 / 12.0, 3: -1.0 / 360.0, 5: 1.0 / 1260.0, 7: -1.0 / 1680.0}


def renyi_entropy(counts: Any, order: float, *, states: int | None = None, unit: str = "nat") -> Estimate:
    """Estimate Renyi's entropy ln(sum p^q) / (1 - q) from counts.

    Parameters
    ----------
    counts
        How often each state was seen, shape (K,) or (..., K).
    order
        q > 0; 1 is Shannon's entropy (Grassberger's estimator), 2 that of the chance that two samples agree.
    states
        Number of possible states, for the null that all are equally likely; by default the length of the last axis.
    unit
        "nat" or "bit".
    """
    checked_unit(unit)
    if positive(order, "order") == 1.0:
        return entropy_from_counts(counts, states=states, unit=unit)
    return _each(counts, lambda row: _renyi(row, float(order), _states(row, states))).to(unit)


def tsallis_entropy(counts: Any, order: float, *, states: int | None = None) -> Estimate:
    """Estimate Tsallis' entropy (1 - sum p^q) / (q - 1) from counts; its unit is 1. See :func:`renyi_entropy`."""
    if positive(order, "order") == 1.0:
        found = entropy_from_counts(counts, states=states)
        return Estimate(
            found.value, found.standard_error, found.interval, found.null_mean, found.null_sd, found.n, unit="1",
            method=found.method, flags=found.flags, null=found.null, details=found.details, dims=found.dims,
            coords=found.coords,
        )  # fmt: skip
    return _each(counts, lambda row: _tsallis(row, float(order), _states(row, states)))


def _each(counts: Any, estimate: Any) -> Estimate:
    table, dims, coords = labelled_counts(counts)
    rows = table.reshape(-1, table.shape[-1])
    return stacked([estimate(row) for row in rows], table.shape[:-1], dims, coords)


def _states(row: Counts, states: int | None) -> int:
    most = max(int(np.count_nonzero(row)), 1)
    if states is None:
        return max(int(row.size), 1)
    return whole(states, "states", most, MOST_STATES)


def _power_sum(counts: Counts, order: float) -> tuple[float, float, float, float]:
    """Return ln and rest of the sum of p^q, which is one more than its rest, and its variance, relative and not.

    With d = q - 1 the term of a state is n / N times the ratio of n (n - d)_d / n to that of N. Near q = 1 the rest is
    exact where the sum is not, in large orders the logarithm is.
    """
    n = counts[counts > 0].astype(np.float64)
    total = float(n.sum())
    power = order - 1.0
    # Beyond its own number of samples a state holds no such group of samples.
    enough = n - power > 0.0
    if total < order:
        return -math.inf, math.nan, math.nan, math.nan
    terms = np.full(n.size, -np.inf)
    different, which = np.unique(n[enough], return_inverse=True)
    terms[enough] = _log_rising(different - power, power)[which] - _log_rising(np.array([total - power]), power)[0]
    p = n / total
    log_sum, rest = _log_mean(p, terms) if enough.any() else (-math.inf, -1.0)
    shares = power * np.log(p)
    # Each state's own p^(q-1) over the mean of them.
    mean = _log_mean(p, shares)[0]
    relative = shares - mean
    first = order**2 * float(p @ np.expm1(relative) ** 2) / total
    curved = (order * power / total) ** 2 * float((np.exp(relative) ** 2).sum())
    second = 0.5 * curved * (n.size - 1) / n.size
    variance = max(first - 2.0 * second, 0.0) + second
    return log_sum, rest, variance * math.exp(2.0 * min(mean - log_sum, 300.0)), variance * math.exp(2.0 * mean)


def _log_mean(p: Floats, logs: Floats) -> tuple[float, float]:
    """Return ln of the mean of exponentials, and the mean less 1, both to a relative error of rounding."""
    rest = float(p @ np.expm1(np.minimum(logs, 0.0))) + float(p @ np.expm1(np.maximum(logs, 0.0)))
    if abs(rest) < 0.5:
        return math.log1p(rest), rest
    most = float(logs.max())
    found = most + math.log(float(p @ np.exp(logs - most)))
    return found, math.expm1(found) if found < 700.0 else math.inf


def _log_rising(x: Floats, power: float) -> Floats:
    """Return ln Gamma(x + power) / Gamma(x), without the difference of two large logarithms.

    By Stirling's series at x + 24, in which all terms are in proportion to ``power``, and the recurrence down to x.
    """
    y = x + _FAR
    steps = np.log1p(power / (x[:, None] + np.arange(_FAR))).sum(axis=1)
    found: Floats = power * np.log(y + power) + (y - 0.5) * np.log1p(power / y) - power - steps
    # (a^k - b^k) / (a - b) is a sum of products, without a difference.
    a, b = 1.0 / (y + power), 1.0 / y
    for k, factor in _STIRLING.items():
        found -= power * a * b * factor * sum(a**i * b ** (k - 1 - i) for i in range(k))
    return found


def _flags(counts: Counts, error: float, order: float) -> tuple[str, ...]:
    n, most, singles = int(counts.sum()), int(counts.max()), int(np.count_nonzero(counts == 1))
    rare = bool(((counts > 0) & (counts <= RARE)).any())
    constant = np.count_nonzero(counts) == 1
    return flagged(
        "constant" if constant else None,
        "few_samples" if n < 2 * FEWEST or (not constant and n - most < FEWEST_APART) else None,
        "unseen_states" if singles / n > 0.2 * error or (order < 1.0 and rare) else None,
    )


def _nothing(method: str, unit: str, states: int) -> Estimate:
    return Estimate(math.nan, n=0, unit=unit, method=method, flags=flagged("empty"), null=_null(states))


def _null(states: int) -> str:
    return f"all {states} states equally likely"


def _renyi(counts: Counts, order: float, states: int) -> Estimate:
    method = f"unbiased power sum, order {order:g}"
    n = int(counts.sum())
    if n == 0:
        return _nothing(method, "nat", states)
    log_sum, _, variance, _ = _power_sum(counts, order)
    if not math.isfinite(log_sum):
        return Estimate(math.nan, n=n, method=method, flags=flagged("few_samples"), null=_null(states))
    # The logarithm of an unbiased number is too small by half its relative variance.
    value = (log_sum + 0.5 * variance) / (1.0 - order)
    error = math.sqrt(variance) / abs(1.0 - order)
    return Estimate(
        value, error, normal_interval(value, error, lowest=0.0), math.log(states),
        order * math.sqrt(0.5 * (states - 1)) / n, n, method=method, flags=_flags(counts, error, order),
        null=_null(states), details={"order": order, "power_sum": math.exp(log_sum)},
    )  # fmt: skip


def _tsallis(counts: Counts, order: float, states: int) -> Estimate:
    method = f"unbiased power sum, order {order:g}"
    n = int(counts.sum())
    if n == 0:
        return _nothing(method, "1", states)
    log_sum, rest, _, variance = _power_sum(counts, order)
    value, error = rest / (1.0 - order), math.sqrt(variance) / abs(order - 1.0)
    even = states ** (1.0 - order)
    null_mean = math.expm1((1.0 - order) * math.log(states)) / (1.0 - order)
    flags = _flags(counts, error, order) if math.isfinite(rest) else flagged("few_samples")
    return Estimate(
        value, error, normal_interval(value, error, lowest=0.0), null_mean,
        order * even * math.sqrt(0.5 * (states - 1)) / n, n, unit="1", method=method, flags=flags,
        null=_null(states), details={"order": order, "power_sum": math.exp(log_sum)},
    )  # fmt: skip
