"""Stationary distributions of Markov chains whose rates span thousands of orders of magnitude.

Rates and probabilities are kept as mantissa * 2^(512 exponent), with the mantissa of a number other than 0 in
[2^-256, 2^256]; 0 is mantissa 0 with the exponent `NOTHING`. Nothing is ever subtracted, so that every probability is
found to nearly full relative precision, however small it is (O'Cinneide 1993).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]
Scaled = tuple[Floats, Ids]


class Chain(NamedTuple):
    """A sparse chain."""

    start: Ids
    """The moves into state j are at ``start[j]:start[j + 1]``."""
    source: Ids
    rate: Floats
    rate_exponent: Ids
    """Where each move comes from, and its rate."""


NOTHING = -(2**40)
RADIX, SMALL, LARGE = 2.0**512, 2.0**-256, 2.0**256
LOG_RADIX = 512.0 * math.log(2.0)
# A sweep keeps a part of what was: else a cycle that is walked against the order of the states would never settle.
NEW, OLD = 0.875, 0.125


def from_logs(logs: Floats) -> Scaled:
    """Return exp(logs) as mantissas and exponents; -inf is 0."""
    finite = np.isfinite(logs)
    exponent = np.where(finite, np.rint(np.where(finite, logs, 0.0) / LOG_RADIX), NOTHING).astype(np.int64)
    mantissa = np.where(finite, np.exp(np.where(finite, logs - exponent * LOG_RADIX, 0.0)), 0.0)
    return mantissa, exponent


def normalised(mantissa: Floats, exponent: Ids) -> Floats:
    """Return numbers divided by their sum, as ordinary ones: those below 1e-308 become 0."""
    top = exponent.max()
    plain = np.ldexp(mantissa * SMALL, np.maximum(512 * (exponent - top), -4096).astype(np.int32))
    share: Floats = plain / plain.sum()
    return share


@njit(cache=True, nogil=True, error_model="numpy")
def balanced(mantissa: float, exponent: int) -> tuple[float, int]:
    """Return a number with its mantissa in range."""
    if mantissa >= LARGE:
        return mantissa / RADIX, exponent + 1
    if mantissa < SMALL:
        if mantissa == 0.0:
            return 0.0, NOTHING
        return mantissa * RADIX, exponent - 1
    return mantissa, exponent


@njit(cache=True, nogil=True, error_model="numpy")
def plus(a: float, exponent_a: int, b: float, exponent_b: int) -> tuple[float, int]:
    """Return a + b; b may be a product of two mantissas, out of range by as much again."""
    apart = exponent_a - exponent_b
    if apart == 0:
        return balanced(a + b, exponent_a)
    if apart == 1:
        return balanced(a + b / RADIX, exponent_a)
    if apart == -1:
        return balanced(a / RADIX + b, exponent_b)
    if apart < 0:
        return balanced(b, exponent_b)
    return a, exponent_a


@njit(cache=True, nogil=True, error_model="numpy")
def eliminated(mantissa: Floats, exponent: Ids) -> tuple[Floats, Ids]:
    """Return the stationary distribution of an irreducible chain, up to a factor.

    Grassmann, Taksar & Heyman (1985): the last state is censored out again and again, and the distribution is then
    rebuilt from the first. Of order n^3.

    Parameters
    ----------
    mantissa, exponent
        The rates from row to column, shape (n, n); the diagonal is not read. They are overwritten.
    """
    size = mantissa.shape[0]
    share, share_exponent = np.empty(size), np.empty(size, np.int64)
    left, left_exponent = np.empty(size), np.empty(size, np.int64)
    for last in range(size - 1, 0, -1):
        total, total_exponent = 0.0, NOTHING
        for j in range(last):
            total, total_exponent = plus(total, total_exponent, mantissa[last, j], exponent[last, j])
        left[last], left_exponent[last] = total, total_exponent
        for j in range(last):
            if mantissa[last, j] > 0.0:
                share[j], share_exponent[j] = balanced(mantissa[last, j] / total, exponent[last, j] - total_exponent)
            else:
                share[j], share_exponent[j] = 0.0, NOTHING
        for i in range(last):
            factor, factor_exponent = mantissa[i, last], exponent[i, last]
            if factor > 0.0:
                for j in range(last):
                    mantissa[i, j], exponent[i, j] = plus(
                        mantissa[i, j], exponent[i, j], factor * share[j], factor_exponent + share_exponent[j]
                    )
    share[0], share_exponent[0] = 1.0, 0
    for last in range(1, size):
        total, total_exponent = 0.0, NOTHING
        for i in range(last):
            total, total_exponent = plus(
                total, total_exponent, share[i] * mantissa[i, last], share_exponent[i] + exponent[i, last]
            )
        share[last], share_exponent[last] = balanced(total / left[last], total_exponent - left_exponent[last])
    return share, share_exponent


@njit(cache=True, nogil=True, error_model="numpy")
def aggregated(
    start: Ids, source: Ids, rate: Floats, rate_exponent: Ids, group: Ids, groups: int, x: Floats, x_exponent: Ids
) -> None:
    """Give the groups of states the weights that the chain between them has, leaving each group's shape as it is.

    Group 0 stays what it was. Every group needs a state of positive weight.
    """
    flow, flow_exponent = np.zeros((groups, groups)), np.full((groups, groups), NOTHING)
    mass, mass_exponent = np.zeros(groups), np.full(groups, NOTHING)
    for j in range(x.size):
        b = group[j]
        mass[b], mass_exponent[b] = plus(mass[b], mass_exponent[b], x[j], x_exponent[j])
        for entry in range(start[j], start[j + 1]):
            i = source[entry]
            a = group[i]
            if a != b:
                flow[a, b], flow_exponent[a, b] = plus(
                    flow[a, b], flow_exponent[a, b], x[i] * rate[entry], x_exponent[i] + rate_exponent[entry]
                )
    for a in range(groups):
        for b in range(groups):
            if flow[a, b] > 0.0:
                flow[a, b], flow_exponent[a, b] = balanced(flow[a, b] / mass[a], flow_exponent[a, b] - mass_exponent[a])
    weight, weight_exponent = eliminated(flow, flow_exponent)
    first, first_exponent = mass[0], mass_exponent[0]
    for a in range(groups):
        weight[a], weight_exponent[a] = balanced(weight[a] / mass[a], weight_exponent[a] - mass_exponent[a])
        weight[a], weight_exponent[a] = balanced(weight[a] * first, weight_exponent[a] + first_exponent)
    for j in range(x.size):
        x[j], x_exponent[j] = balanced(x[j] * weight[group[j]], x_exponent[j] + weight_exponent[group[j]])


@njit(cache=True, nogil=True, error_model="numpy")
def exits(source: Ids, rate: Floats, rate_exponent: Ids, size: int) -> tuple[Floats, Ids]:
    """Return the rate at which each state is left, the sum of those to the others."""
    left, left_exponent = np.zeros(size), np.full(size, NOTHING)
    for entry in range(source.size):
        i = source[entry]
        left[i], left_exponent[i] = plus(left[i], left_exponent[i], rate[entry], rate_exponent[entry])
    return left, left_exponent


@njit(cache=True, nogil=True, error_model="numpy")
def swept(
    start: Ids, source: Ids, rate: Floats, rate_exponent: Ids, left: Floats, left_exponent: Ids, held: Ids,
    x: Floats, x_exponent: Ids,
) -> float:  # fmt: skip
    """Balance what flows into and out of each state, nearly, one after the other; return the largest relative change.

    States with ``held`` >= 0 stay as they are. A change from nothing counts as 1.
    """
    change = 0.0
    for j in range(x.size):
        if held[j] >= 0:
            continue
        total, total_exponent = 0.0, NOTHING
        for entry in range(start[j], start[j + 1]):
            i = source[entry]
            if x[i] > 0.0:
                total, total_exponent = plus(
                    total, total_exponent, x[i] * rate[entry], x_exponent[i] + rate_exponent[entry]
                )
        if total > 0.0:
            total, total_exponent = balanced(NEW * total / left[j], total_exponent - left_exponent[j])
            total, total_exponent = plus(total, total_exponent, OLD * x[j], x_exponent[j])
            same = total_exponent == x_exponent[j] and x[j] > 0.0
            change = max(change, abs(total / x[j] - 1.0) if same else 1.0)
        x[j], x_exponent[j] = total, total_exponent
    return change


@njit(cache=True, nogil=True, error_model="numpy")
def passed_on(
    start: Ids, source: Ids, rate: Floats, rate_exponent: Ids, sink: Ids, sinks: int, x: Floats, x_exponent: Ids
) -> tuple[Floats, Ids]:  # fmt: skip
    """Return what flows into each sink from states outside of it."""
    flow, flow_exponent = np.zeros(sinks), np.full(sinks, NOTHING)
    for j in range(x.size):
        b = sink[j]
        if b >= 0:
            for entry in range(start[j], start[j + 1]):
                i = source[entry]
                if x[i] > 0.0 and sink[i] != b:
                    flow[b], flow_exponent[b] = plus(
                        flow[b], flow_exponent[b], x[i] * rate[entry], x_exponent[i] + rate_exponent[entry]
                    )
    return flow, flow_exponent


@njit(cache=True, nogil=True, error_model="numpy")
def weigh(members: Ids, weight: float, weight_exponent: int, x: Floats, x_exponent: Ids) -> None:
    """Scale the weights of some states so that their sum is a given one."""
    total, total_exponent = 0.0, NOTHING
    for i in members:
        total, total_exponent = plus(total, total_exponent, x[i], x_exponent[i])
    factor, factor_exponent = balanced(weight / total, weight_exponent - total_exponent)
    for i in members:
        x[i], x_exponent[i] = balanced(x[i] * factor, x_exponent[i] + factor_exponent)
