"""How a common stock grows, and what follows from it in closed form.

In a round a stock R is harvested first, which leaves R', and what is left grows:

- ``logistic``: R' + r R' (1 - R' / K);
- ``doubling``: twice R', at most K (the rate does not matter);
- ``additive``: R' + r K, at most K;
- ``none``: R'.

Phases call the functions of the laws, so they hold one stock at a time.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from simengine.errors import InputError

Growth = Literal["logistic", "doubling", "additive", "none"]


def logistic(stock: float, rate: float, capacity: float) -> float:
    """Return the stock after a round's growth, r R (1 - R / K); nothing is left of one above K (1 + 1 / r)."""
    return max(stock + rate * stock * (1.0 - stock / capacity), 0.0)


def doubling(stock: float, capacity: float) -> float:
    """Return twice the stock, at most the capacity."""
    return min(2.0 * stock, capacity)


def additive(stock: float, rate: float, capacity: float) -> float:
    """Return the stock and a fixed inflow of ``rate * capacity``, at most the capacity."""
    return min(stock + rate * capacity, capacity)


def best_harvest(growth: Growth, rate: float, capacity: float) -> float:
    """Return the largest harvest of a round that can be had for ever; nan without growth, where there is none.

    Logistic: r K / 4, from K (1 + r / 2) / 2 down to K / 2. The others are harvested from K down to where a round's
    growth leads back to K.
    """
    if growth == "logistic":
        return rate * capacity / 4.0
    if growth == "doubling":
        return capacity / 2.0
    return min(rate, 1.0) * capacity if growth == "additive" else math.nan


class SteadyState(NamedTuple):
    """Where a stock with logistic growth ends if the same share of it is taken in each round."""

    stock: float
    after_harvest: float
    harvest: float
    multiplier: float
    """By how much a small distance from it changes in a round; stable if below 1 in size."""


def steady_state(taken: float, rate: float, capacity: float) -> SteadyState:
    """Return the steady state if the share ``taken`` of a stock is harvested in each round, then it grows logistically.

    With x = q / (1 - q), q the share taken, the stock K (1 + x) (1 - x / r) is left at K (1 - x / r) and yields
    K x (1 - x / r), at most r K / 4, at x = r / 2. It persists if x < r (otherwise all is 0 in the end, and the
    multiplier that of 0), and is stable if r < 2 + 3 x as well.

    Raises
    ------
    InputError
        Unless 0 <= taken < 1, rate >= 0 and capacity > 0.
    """
    if not (0.0 <= taken < 1.0 and rate >= 0.0 and capacity > 0.0):
        raise InputError(
            f"steady_state: taken is at least 0 and below 1, rate not negative, capacity positive: not {taken:g}, "
            f"{rate:g} and {capacity:g}"
        )
    per_left = taken / (1.0 - taken)
    if per_left >= rate:
        return SteadyState(0.0, 0.0, 0.0, (1.0 + rate) / (1.0 + per_left))
    left = capacity * (1.0 - per_left / rate)
    return SteadyState((1.0 + per_left) * left, left, per_left * left, (1.0 - rate + 2.0 * per_left) / (1.0 + per_left))


def longest_survival(
    members: int, subsistence: float, wealth: float, stock: float, rate: float, capacity: float
) -> float:
    """Return the rounds that a village can live at most if it needs more than logistic growth gives; otherwise inf.

    What is eaten, members * subsistence, comes from wealth, stock and growth, which is at most r K / 4 in a round.
    """
    missing = members * subsistence - rate * capacity / 4.0
    return (members * wealth + stock) / missing if missing > 0.0 else math.inf
