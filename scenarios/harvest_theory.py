"""Mean-field theory of the spatial commons: growth, harvest and fixed points where neighbours are independent.

With each place bearing an apple with probability rho, independently of the others, an empty place with m neighbours
grows one with probability

    g(rho) = sum_L Binomial(m, rho)(L) p(L),

p(L) the probability of growth beside L apples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.stats import binom

from simengine.errors import InputError

FINENESS = 4000
"""Into how many parts [0, 1] is cut in the search for changes of sign: closer pairs of fixed points are missed."""


class FixedPoint(NamedTuple):
    """A cover that stays as it is, and whether small deviations from it shrink."""

    cover: float
    stable: bool


def growth_probability(apples_near: ArrayLike, thresholds: Sequence[int], chances: Sequence[float]) -> NDArray[Any]:
    """Return p(L): the chance of the highest threshold reached, 0 below the first one."""
    reached = np.searchsorted(np.asarray(thresholds), np.asarray(apples_near), side="right")
    return np.asarray(np.concatenate([[0.0], np.asarray(chances, float)])[reached])


def mean_growth(
    cover: ArrayLike, thresholds: Sequence[int], chances: Sequence[float], neighbours: int = 12
) -> NDArray[np.float64]:
    """Return g(rho), the probability that an empty place grows an apple when its neighbours are independent."""
    near = np.arange(neighbours + 1)
    weights = binom.pmf(near, neighbours, np.asarray(cover, float)[..., None])
    return np.asarray(weights @ growth_probability(near, thresholds, chances))


def mean_field_flow(
    cover: ArrayLike, thresholds: Sequence[int], chances: Sequence[float], effort: float, neighbours: int = 12
) -> NDArray[np.float64]:
    """Return d rho / dt = (1 - rho) g(rho) - effort rho, effort being the share of places visited in a step."""
    rho = np.asarray(cover, float)
    return np.asarray((1.0 - rho) * mean_growth(rho, thresholds, chances, neighbours) - effort * rho)


def well_mixed_step(
    cover: ArrayLike, thresholds: Sequence[int], chances: Sequence[float], n_agents: int, n_sites: int,
    neighbours: int = 12,
) -> NDArray[np.float64]:  # fmt: skip
    """Return the expected cover one step later in `Harvest` with ``mixing="well_mixed"``.

    Apples grow where nobody stands, and no apple is where somebody does; then each agent goes to a place drawn evenly,
    which bears an apple as often as any other.
    """
    rho = np.asarray(cover, float)
    free = np.maximum(1.0 - rho - n_agents / n_sites, 0.0)
    grown = rho + free * mean_growth(rho, thresholds, chances, neighbours)
    return np.asarray(grown * (1.0 - 1.0 / n_sites) ** n_agents)


def fixed_points(flow: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> list[FixedPoint]:
    """Return where ``flow``, the change of the cover in a unit of time, is zero on [0, 1], ascending.

    Found by changes of sign between 4,000 places and bisection (Brent), to 1e-12. A fixed point is stable if the flow
    leads to it from both sides; of a map f the flow is f(rho) - rho, and stable means that deviations do not grow
    monotonically (they could overshoot, if the slope of f were below -1, which it is not here).

    Raises
    ------
    InputError
        When the flow is not a number somewhere.
    """
    places = np.linspace(0.0, 1.0, FINENESS + 1)
    values = np.asarray(flow(places), float)
    if np.isnan(values).any():
        raise InputError(f"the flow is not a number at a cover of {places[np.isnan(values)][0]:g}")
    zeros = [float(place) for place in places[values == 0.0]]
    crossings = np.flatnonzero(values[:-1] * values[1:] < 0.0)
    zeros += [float(brentq(_at(flow), places[i], places[i + 1], xtol=1e-13)) for i in crossings]
    return [FixedPoint(zero, _attracts(flow, zero)) for zero in sorted(zeros)]


def _at(flow: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Callable[[float], float]:
    return lambda cover: float(flow(np.array([cover]))[0])


def _attracts(flow: Callable[[NDArray[np.float64]], NDArray[np.float64]], zero: float) -> bool:
    step = 0.01 / FINENESS
    below, above = max(zero - step, 0.0), min(zero + step, 1.0)
    from_below = below == zero or _at(flow)(below) > 0.0
    from_above = above == zero or _at(flow)(above) < 0.0
    return from_below and from_above
