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
from scipy.special import gammaln

from simengine.diagnostics.counts.entropies import FEWEST, FEWEST_APART, entropy_from_counts
from simengine.diagnostics.estimate import Estimate, checked_unit, flagged, normal_interval, stacked
from simengine.diagnostics.samples import checked_counts
from simengine.errors import InputError

Counts = NDArray[np.int64]

RARE = 10


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
    if _checked_order(order) == 1.0:
        return entropy_from_counts(counts, states=states, unit=unit)
    return _each(counts, lambda row: _renyi(row, float(order), _states(row, states))).to(unit)


def tsallis_entropy(counts: Any, order: float, *, states: int | None = None) -> Estimate:
    """Estimate Tsallis' entropy (1 - sum p^q) / (q - 1) from counts; its unit is 1. See :func:`renyi_entropy`."""
    if _checked_order(order) == 1.0:
        found = entropy_from_counts(counts, states=states)
        return Estimate(
            found.value, found.standard_error, found.interval, found.null_mean, found.null_sd, found.n, unit="1",
            method=found.method, flags=found.flags, null=found.null, details=found.details, dims=found.dims,
            coords=found.coords,
        )  # fmt: skip
    return _each(counts, lambda row: _tsallis(row, float(order), _states(row, states)))


def _checked_order(order: Any) -> float:
    if isinstance(order, bool) or not np.isreal(order) or not np.isfinite(order) or order <= 0:
        raise InputError(f"order is {order!r}; expected a number above 0")
    return float(order)


def _each(counts: Any, estimate: Any) -> Estimate:
    table = checked_counts(getattr(counts, "values", counts))
    return stacked([estimate(row) for row in table.reshape(-1, table.shape[-1])], table.shape[:-1])


def _states(row: Counts, states: int | None) -> int:
    most = max(int(np.count_nonzero(row)), 1)
    if states is None:
        return max(int(row.size), 1)
    if isinstance(states, bool) or not isinstance(states, int | np.integer) or states < most:
        raise InputError(f"states is {states!r}; expected a whole number of at least {most}, the number seen")
    return int(states)


def _power_sum(counts: Counts, order: float) -> tuple[float, float, float]:
    """Return the sum of p^q, its variance by the delta method and what is left of it where all shares are even."""
    n = counts[counts > 0].astype(np.float64)
    total = float(n.sum())
    # Beyond its own number of samples a state holds no such group of samples.
    enough = n - order + 1.0 > 0.0
    if total < order:
        return math.nan, math.nan, math.nan
    logs = gammaln(n[enough] + 1.0) - gammaln(n[enough] - order + 1.0)
    value = float(np.exp(logs + gammaln(total - order + 1.0) - gammaln(total + 1.0)).sum())
    p = n / total
    mean = float((p**order).sum())
    first = order**2 * max(float((p ** (2.0 * order - 1.0)).sum()) - mean**2, 0.0) / total
    curved = (order * (order - 1.0) / total) ** 2 * float((p ** (2.0 * order - 2.0)).sum())
    second = 0.5 * curved * max(n.size - 1, 0) / max(n.size, 1)
    return value, max(first - 2.0 * second, 0.0) + second, second


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
    power, variance, _ = _power_sum(counts, order)
    if not power > 0.0:
        return Estimate(math.nan, n=n, method=method, flags=flagged("few_samples"), null=_null(states))
    # The logarithm of an unbiased number is too small by half its relative variance.
    value = (math.log(power) + 0.5 * variance / power**2) / (1.0 - order)
    error = math.sqrt(variance) / power / abs(1.0 - order)
    return Estimate(
        value, error, normal_interval(value, error, lowest=0.0), math.log(states),
        order * math.sqrt(0.5 * (states - 1)) / n, n, method=method, flags=_flags(counts, error, order),
        null=_null(states), details={"order": order, "power_sum": power},
    )  # fmt: skip


def _tsallis(counts: Counts, order: float, states: int) -> Estimate:
    method = f"unbiased power sum, order {order:g}"
    n = int(counts.sum())
    if n == 0:
        return _nothing(method, "1", states)
    power, variance, _ = _power_sum(counts, order)
    value, error = (1.0 - power) / (order - 1.0), math.sqrt(variance) / abs(order - 1.0)
    even = states ** (1.0 - order)
    flags = _flags(counts, error, order) if math.isfinite(power) else flagged("few_samples")
    return Estimate(
        value, error, normal_interval(value, error, lowest=0.0), (1.0 - even) / (order - 1.0),
        order * even * math.sqrt(0.5 * (states - 1)) / n, n, unit="1", method=method, flags=flags,
        null=_null(states), details={"order": order, "power_sum": power},
    )  # fmt: skip
