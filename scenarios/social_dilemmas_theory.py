"""Closed forms of social dilemmas: the laboratory's commons, open access, public goods.

What the scenarios of `social_dilemmas` come to, and where the formulas come from, is in their own modules; here is
what can be computed without running them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.errors import InputError

Array = NDArray[np.float64]


def nash_tokens(members: int, productivity: float, crowding: float, wage: float) -> float:
    """Return the tokens of each member at the symmetric equilibrium, (a - w) / (b (N + 1)); optimum: ``members=1``."""
    return (productivity - wage) / (crowding * (members + 1))


def zero_rent_total(productivity: float, crowding: float, wage: float) -> float:
    """Return the tokens of a group at which rent is gone, (a - w) / b."""
    return (productivity - wage) / crowding


def nash_rent_share(members: int) -> float:
    """Return rent at the equilibrium of N players over the most that it can be: of commons, and of fishing grounds."""
    return 4.0 * members / (members + 1) ** 2


def commons_potential(tokens: Any, productivity: float, crowding: float, wage: float) -> Array:
    """Return the exact potential of profiles of tokens, members along the last axis.

    Whoever changes its tokens changes it by as much as its payoff (Monderer & Shapley 1996, Games Econ. Behav. 14).
    """
    x = np.asarray(tokens, np.float64)
    total = x.sum(axis=-1)
    potential: Array = (productivity - wage) * total - crowding * ((x**2).sum(axis=-1) + total**2) / 2.0
    return potential


def logit_law(
    members: int, endowment: int, productivity: float, crowding: float, wage: float, noise: float
) -> NDArray[np.float64]:
    """Return the stationary law of logit decisions, exp(potential / noise) / Z.

    One entry for each profile of whole tokens, shape ``(endowment + 1,) * members``.
    """
    profiles = np.stack(np.meshgrid(*[np.arange(endowment + 1.0)] * members, indexing="ij"), axis=-1)
    exponent = commons_potential(profiles, productivity, crowding, wage) / noise
    weight = np.exp(exponent - exponent.max())
    law: Array = weight / weight.sum()
    return law


@dataclass(frozen=True)
class Steady:
    """A steady state of a fishing ground: total effort, stock, and rent per time."""

    effort: float
    stock: float
    rent: float


@dataclass(frozen=True)
class Fishery:
    """The Gordon-Schaefer model of one fishing ground in continuous time: dX/dt = r X (1 - X / K) - q E X."""

    growth_rate: float
    capacity: float
    catchability: float
    price: float
    cost: float

    def __post_init__(self) -> None:
        for name in ("growth_rate", "capacity", "catchability", "price"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0.0):
                raise InputError(f"{name} is a number above 0, not {getattr(self, name)!r}")
        if not (math.isfinite(self.cost) and self.cost >= 0.0):
            raise InputError(f"cost is a number from 0 on, not {self.cost!r}")

    @property
    def relative_cost(self) -> float:
        """Cost over what fishing brings at full stock, b = w / (p q K); above 1 nobody fishes."""
        return self.cost / (self.price * self.catchability * self.capacity)

    @property
    def best_yield(self) -> float:
        """The most that can be caught for ever per time, r K / 4, at half the effort that leaves nothing."""
        return self.growth_rate * self.capacity / 4.0

    def steady(self, effort: float) -> Steady:
        """Return the steady state of a constant effort: K (1 - q E / r), or nothing."""
        stock = max(self.capacity * (1.0 - self.catchability * effort / self.growth_rate), 0.0)
        return Steady(effort, stock, effort * (self.price * self.catchability * stock - self.cost))

    def steady_at(self, stock: float) -> Steady:
        """Return the steady state at a stock."""
        return self.steady(self.growth_rate / self.catchability * (1.0 - stock / self.capacity))

    def open_access(self) -> Steady:
        """Return the bionomic equilibrium: stock w / (p q), no rent."""
        return self.steady_at(self.relative_cost * self.capacity)

    def cournot(self, players: int) -> Steady:
        """Return the equilibrium of some who each best-reply to the others; ``effort`` is that of all."""
        return self.steady(self.open_access().effort * players / (players + 1))

    def sole_owner(self, discount: float = 0.0) -> Steady:
        """Return the steady state that an owner with a rate of discount prefers, by the golden rule.

        F'(X) - c'(X) F(X) / (p - c(X)) = discount, with growth F and the cost c(X) = w / (q X) of a catch (Clark &
        Munro 1975, J. Environ. Econ. Manag. 2, 92-106). Without discount it is half the effort of open access.
        """
        ratio, b = discount / self.growth_rate, self.relative_cost
        u = b + 1.0 - ratio
        root = math.sqrt(u * u + 8.0 * b * ratio)
        # The same root, without the difference of two large numbers that impatience makes of it.
        whole = u + root if u > 0.0 else 8.0 * b * ratio / (root - u)
        return self.steady_at(self.capacity / 4.0 * whole)

    def eigenvalues(self, entry: float) -> NDArray[np.complex128]:
        """Return those of the law of stock and effort under open access, at its steady state."""
        free = self.open_access()
        rows = [
            [-self.growth_rate * self.relative_cost, -self.catchability * free.stock],
            [entry * self.price * self.catchability * free.effort, 0.0],
        ]
        return np.linalg.eigvals(np.array(rows)).astype(np.complex128)

    def spirals(self, entry: float) -> bool:
        """Whether stock and effort turn round the steady state of open access on their way to it."""
        b = self.relative_cost
        return (self.growth_rate * b) ** 2 < 4.0 * entry * self.cost * self.growth_rate * (1.0 - b)

    def seasonal_stock(self, effort: float) -> float:
        """Return the steady stock before the catch where the catch comes first and growth after: 0 from x = r on."""
        share = self.catchability * effort
        if share >= self.growth_rate / (1.0 + self.growth_rate):
            return 0.0
        x = share / (1.0 - share)
        return self.capacity * (1.0 + x) * (1.0 - x / self.growth_rate)


def cost_of_giving(group_size: int, multiplier: float, cost: float = 1.0, agents: float = math.inf) -> float:
    """Return by how much a defector earns more than a contributor in groups drawn from ``agents``: c (1 - r / n).

    Of finitely many, nobody is its own fellow: r is multiplied by (N - n) / (N - 1).
    """
    drawn = 1.0 if math.isinf(agents) else (agents - group_size) / (agents - 1.0)
    return cost * (1.0 - multiplier * drawn / group_size)


def fermi_rate(gap: float, selection: float) -> float:
    """Return the rate of the logistic law that imitation by Fermi's rule makes of a constant gap in payoff."""
    return math.tanh(selection * gap / 2.0)


def logistic_share(initial: float, rate: float, times: Any) -> Array:
    """Solve dx/dt = -rate x (1 - x): shares of contributors at some times."""
    if not 0.0 < initial < 1.0:
        raise InputError(f"initial: got {initial}, allowed is 0 < initial < 1")
    share: Array = 1.0 / (1.0 + (1.0 - initial) / initial * np.exp(rate * np.asarray(times, np.float64)))
    return share


def fermi_rate_of_groups(share: float, group_size: int, multiplier: float, cost: float, selection: float) -> float:
    """Return the rate of imitation by Fermi's rule where payoffs are those of one round, in groups drawn apart.

    The mean of tanh(selection gap / 2) over the contributors among the fellows of a defector and of a contributor.
    """
    number = np.arange(group_size)
    chance = np.array([math.comb(group_size - 1, k) * share**k * (1 - share) ** (group_size - 1 - k) for k in number])
    defects = multiplier * cost * number / group_size
    contributes = multiplier * cost * (number + 1) / group_size - cost
    return float(chance @ np.tanh(selection * (defects[:, None] - contributes) / 2.0) @ chance)


def temptation(abstaining: Any, group_size: int, multiplier: float) -> Any:
    """Return how much more than a contributor a defector earns, with cost 1, where a share abstains.

    F(z) = 1 + (r - 1) z^(n-1) - (r / n) (1 - z^n) / (1 - z) (Hauert, De Monte, Hofbauer & Sigmund 2002, Science 296).
    """
    z, n = abstaining, group_size
    whole = sum(z**k for k in range(n))
    return 1.0 + (multiplier - 1.0) * z ** (n - 1) - multiplier / n * whole


def optional_point(group_size: int, multiplier: float, income: float) -> tuple[float, float, float]:
    """Return the interior steady state of the optional public goods game: contributors, defectors, abstainers.

    With cost 1 and 0 < income < multiplier - 1; it exists if and only if the multiplier exceeds 2.
    """
    if not 2.0 < multiplier < group_size:
        raise InputError(f"multiplier: got {multiplier}, allowed is 2 < multiplier < group_size ({group_size})")
    if not 0.0 < income < multiplier - 1.0:
        raise InputError(f"income: got {income}, allowed is 0 < income < multiplier - 1 ({multiplier - 1.0:g})")
    low, high = 0.0, 1.0
    # F is positive at 0, touches 0 from below at 1, and changes its sign once between.
    high = next(1.0 - 2.0**-k for k in range(1, 50) if temptation(1.0 - 2.0**-k, group_size, multiplier) < 0.0)
    for _ in range(200):
        middle = (low + high) / 2.0
        if temptation(middle, group_size, multiplier) > 0.0:
            low = middle
        else:
            high = middle
    z = (low + high) / 2.0
    contributing = (1.0 - z) * income / (multiplier - 1.0)
    return contributing, 1.0 - z - contributing, z


def optional_flow(shares: Sequence[float], group_size: int, multiplier: float, income: float) -> Array:
    """Return the replicator equation's velocity of (contributors, defectors, abstainers), cost 1, many agents."""
    x, _, z = shares
    participating = 1.0 - z
    # Alone, who takes part gets the income of those who do not.
    alone = z ** (group_size - 1)
    others = sum(z**k for k in range(group_size)) / group_size
    pot = multiplier * (1.0 - others) * x / participating if participating > 0.0 else 0.0
    defects = income * alone + pot
    payoffs = np.array([defects - temptation(z, group_size, multiplier), defects, income])
    share = np.asarray(shares, np.float64)
    velocity: Array = share * (payoffs - share @ payoffs)
    return velocity
