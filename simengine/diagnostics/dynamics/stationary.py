"""Whether series may be stationary: what the past tells of the next step is estimated as if it were always the same.

Numbers wander if the steps that they take are small against how far they get: with r the lag-one correlation,
T (1 - r) is about 5 for a random walk of T steps, and below 14 in nineteen of twenty (Dickey & Fuller, J. Am. Stat.
Assoc. 74, 427 (1979)); of a stationary series it says how many times its memory it is long. Of symbols both halves are
to have the same transitions, at a level of 0.1 % of first-order Markov chains.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics.dynamics import embedding
from simengine.diagnostics.dynamics.production_counts import steady

FLAG = "drifting"

SHORTEST = 20.0
"""Least T (1 - r) of one series; of many 5 and more are enough."""

PERSISTENT = 0.8
"""Below this lag-one correlation no series wanders."""

_MOST_STATES = 64


def drifting(values: NDArray[Any]) -> str | None:
    """Return the flag of series (m, T) that are not stationary; numbers, or labels of few states."""
    numbers = values.dtype.kind in "iuf"
    if numbers and wanders(np.asarray(values, np.float64)):
        return FLAG
    if not embedding.discrete(values):
        return None
    codes, states = embedding.symbols(values)
    return FLAG if 1 < states <= _MOST_STATES and not steady(codes, states) else None


def wanders(values: NDArray[np.float64]) -> bool:
    """Whether numbers (m, T) go about like random walks."""
    rows, steps = values.shape
    centred = values - values.mean(axis=1, keepdims=True)
    largest = float(np.abs(centred).max())
    if largest == 0.0:
        return False
    centred /= largest
    r = float((centred[:, 1:] * centred[:, :-1]).sum()) / float((centred**2).sum())
    least = 5.0 + (SHORTEST - 5.0) / math.sqrt(rows)
    return r > PERSISTENT and steps * (1.0 - r) < least
