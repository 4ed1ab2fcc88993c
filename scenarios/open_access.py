"""Fishing grounds that anybody may enter: the Gordon-Schaefer model, its owners, its oligopolists.

Gordon (1954), "The economic theory of a common-property resource: the fishery", J. Polit. Econ. 62, 124-142; Schaefer
(1957), J. Fish. Res. Board Can. 14, 669-681. Grounds do not touch one another. On each, with stock X, total effort E of
its fishers, growth rate r, capacity K, catchability q, price p and cost w of a unit of effort,

    dX/dt = r X (1 - X / K) - q E X,   rent = p q E X - w E.

In a step of length ``dt``

1. each fisher sees the stock and what the others do, and chooses its effort,
2. which holds through the step: the stock follows its law, exactly; the catch falls to the fishers by effort.

``rule`` says how they choose; b = w / (p q K), E_inf = (r / q) (1 - b), and s = 1 - exp(-adjustment dt):

- constant: they keep their effort;
- open_access: dE_i/dt = entry (p q X - w) E_i, X that of the moment: E_i is multiplied by exp(entry (p q X - w) dt);
- cournot: each goes the part s of the way to its best reply to the others, (E_inf - others) / 2, steady stocks assumed;
- sole_owner: the fishers of a ground are of one firm, and go the part s of the way to the effort at which the steady
  stock obeys the golden rule for a rate of discount d (``discount``), shared alike.

The scheme splits the law into its parts, each solved exactly (Lie-Trotter): steady states are exact whatever ``dt`` is,
paths err by the order of dt. Cournot's players move all at once, which settles for s (N + 1) < 4.

Closed forms (`social_dilemmas_theory.Fishery`):

- steady stock X(E) = K (1 - q E / r), none from E = r / q on; best yield r K / 4 at E = r / (2 q);
- open access: X = w / (p q), E = E_inf, rent 0; stable, with the matrix [[-r b, -w / p], [entry p q E_inf, 0]], a
  spiral if (r b)^2 < 4 entry w r (1 - b), a node otherwise;
- N players: E_inf / (N + 1) each, rent p r K (1 - b)^2 N / (N + 1)^2, 4 N / (N + 1)^2 of the sole owner's;
- golden rule: X = (K / 4) (u + sqrt(u^2 + 8 b d / r)), u = b + 1 - d / r: from (1 + b) K / 2 for d = 0 to b K, that of
  open access, for d -> infinity.

``growth="seasonal"``: a step is a season, the share q E of the stock is caught first, then what is left grows by
r X (1 - X / K). With x = q E / (1 - q E) the stock before the catch settles at K (1 + x) (1 - x / r), and dies out from
x = r on. Owners and players, whose targets are those of continuous growth, have no seasons.

Where the papers are silent: fishers start with efforts that differ by up to the share ``effort_spread`` from their part
of ``initial_effort``; nobody exerts more than ``max_effort``. Fishers of ground g have consecutive ids.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from simengine import (
    Output,
    Owner,
    Scenario,
    counted,
    decision,
    field,
    gather,
    observable,
    param,
    population,
    reference,
    running,
    send,
    summed,
    update,
)
from simengine.diagnostics import streaming
from simengine.scenarios.social_dilemmas_theory import Fishery

CONSTANT, OPEN_ACCESS, COURNOT, SOLE_OWNER = range(4)
RULES = {"constant": CONSTANT, "open_access": OPEN_ACCESS, "cournot": COURNOT, "sole_owner": SOLE_OWNER}


LONGEST = 50.0
"""Growth rate times step that numbers can hold with ease."""


def spread_of(rate: float, dt: float) -> float:
    """Return the integral of exp(rate t) from 0 to dt."""
    return math.expm1(rate * dt) / rate if rate != 0.0 else dt


def stock_after(stock: float, rate: float, crowding: float, dt: float) -> float:
    """Solve dX/dt = rate X - crowding X^2 for a time dt."""
    return stock * math.exp(rate * dt) / (1.0 + crowding * stock * spread_of(rate, dt))


def stock_time(stock: float, rate: float, crowding: float, dt: float) -> float:
    """Return the integral of X over the time dt, dX/dt = rate X - crowding X^2."""
    return math.log1p(crowding * stock * spread_of(rate, dt)) / crowding


OUTCOMES = (
    Output("mean_stock", "t", "stock, mean of grounds"),
    Output("mean_effort", "1", "effort of all fishers of a ground, mean of grounds"),
    Output("mean_catch", "t/year", "catch of the last step per time, mean of grounds"),
    Output("mean_rent", "1/year", "rent of the last step per time, mean of grounds"),
    Output("rent_share", "1", "the same over the most that a steady stock yields"),
)


@observable(outputs=OUTCOMES)
def outcomes(agents: Any, grounds: Any, p: Any) -> dict[str, float]:
    """Stock, effort, catch and rent."""
    best = p.price * p.growth_rate * p.capacity * (1.0 - p.cost / (p.price * p.catchability * p.capacity)) ** 2 / 4.0
    return {
        "mean_stock": float(grounds.stock.mean()),
        "mean_effort": float(agents.effort.sum() / len(grounds.stock)),
        "mean_catch": float(grounds.catch_rate.mean()),
        "mean_rent": float(grounds.rent.mean()),
        "rent_share": float(grounds.rent.mean() / best),
    }


@observable
def imbalance(grounds: Any, p: Any) -> float:
    """Largest miss of the books, stock + catch - growth - first stock, over the larger of capacity and catch."""
    missed = np.abs(grounds.stock + grounds.caught - grounds.grown - grounds.first_stock)
    return float((missed / np.maximum(grounds.caught, p.capacity)).max())


class GordonSchaefer(Scenario):
    """Open access, oligopoly and ownership of fishing grounds (Gordon 1954; Schaefer 1957)."""

    paper = "Gordon (1954) J. Polit. Econ. 62, 124-142, doi:10.1086/257497"
    default_steps = 4000

    n_agents: int = param(100, low=1, description="fishers of all grounds")
    n_grounds: int = param(20, low=1, description="fishing grounds")
    rule: Literal["constant", "open_access", "cournot", "sole_owner"] = param(
        "open_access", description="how fishers choose their effort"
    )
    growth: Literal["continuous", "seasonal"] = param(
        "continuous", description="whether stocks grow all the time, or once a season, after the catch"
    )
    dt: float = param(0.05, above=0, unit="year", description="length of a step of continuous time")
    growth_rate: float = param(0.6, above=0, unit="1/year", description="growth rate r of small stocks")
    capacity: float = param(300.0, above=0, unit="t", description="capacity K: the stock without fishing")
    catchability: float = param(0.02, above=0, unit="1/year", description="share q of the stock that effort 1 catches")
    price: float = param(10.0, above=0, unit="1/t", description="price p of the catch")
    cost: float = param(8.0, low=0, unit="1/year", description="cost w of a unit of effort")
    entry: float = param(0.01, low=0, description="growth of effort for a unit of gain, under open access")
    adjustment: float = param(1.0, above=0, unit="1/year", description="rate at which owners and players adjust")
    discount: float = param(0.0, low=0, unit="1/year", description="sole owner's rate of discount d")
    initial_stock: float = param(300.0, low=0, unit="t", description="stock at the start")
    initial_effort: float = param(10.0, low=0, description="effort of a ground at the start")
    effort_spread: float = param(0.5, low=0, high=1, description="share by which a fisher's first effort may differ")
    max_effort: float = param(50.0, above=0, description="most effort of a fisher")

    grounds = population(
        size="n_grounds",
        dim="ground",
        stock=field(unit="t", low=0, long_name="stock"),
        first_stock=field(unit="t", low=0, long_name="stock at the start"),
        caught=field(unit="t", low=0, long_name="catch so far"),
        grown=field(unit="t", long_name="growth so far"),
        catch_rate=field(unit="t/year", long_name="catch of the last step per time"),
        rent=field(unit="1/year", long_name="rent of the last step per time"),
        catch_per_effort=field(unit="t", long_name="catch of a unit of effort in the last step"),
    )
    agents = population(
        size="n_agents",
        ground=reference(to=grounds, long_name="ground on which it fishes"),
        effort=field(low=0, long_name="effort"),
        profit=field(unit="1/year", long_name="profit of the last step per time"),
        earned=field(unit="1", long_name="profit so far"),
    )
    waters = Owner(agents.ground)

    def check(self) -> None:
        """Refuse empty grounds, stocks beyond the capacity, fisheries that never pay, and seasons of planners."""
        self.require(
            self.growth_rate * self.dt <= LONGEST,
            f"dt ({self.dt:g}) is too long: the stock would grow by exp({self.growth_rate * self.dt:g}) in a step",
        )
        self.require(
            self.n_agents >= self.n_grounds,
            f"n_agents ({self.n_agents}) must be at least n_grounds ({self.n_grounds}): no ground is empty",
        )
        self.require(
            self.initial_stock <= self.capacity,
            f"initial_stock ({self.initial_stock:g}) must not exceed capacity ({self.capacity:g})",
        )
        worth = self.price * self.catchability * self.capacity
        self.require(
            self.cost < worth,
            f"cost ({self.cost:g}) must be below price x catchability x capacity ({worth:g}), or fishing never pays",
        )
        self.require(
            self.growth == "continuous" or self.rule in {"constant", "open_access"},
            f"rule={self.rule!r} aims at steady states of continuous growth; growth='seasonal' takes constant or "
            "open_access",
        )

    @property
    def fishery(self) -> Fishery:
        """The closed forms for these parameters."""
        return Fishery(self.growth_rate, self.capacity, self.catchability, self.price, self.cost)

    def derived(self) -> dict[str, float]:
        """Rule and growth as numbers, targets of effort, and the length of a step."""
        fishery, length = self.fishery, self.dt if self.growth == "continuous" else 1.0
        return {
            "decides": RULES[self.rule],
            "seasonal": self.growth == "seasonal",
            "length": length,
            "moved": -math.expm1(-self.adjustment * length),
            "free_effort": fishery.open_access().effort,
            "owned_effort": fishery.sole_owner(self.discount).effort,
            "thinning": self.growth_rate / self.capacity,
        }

    def start(self, agents: Any, grounds: Any, draw: Any) -> None:
        """Put fishers on grounds."""
        agents.ground[:] = np.arange(self.n_agents) * self.n_grounds // self.n_agents
        fishers = np.bincount(agents.ground, minlength=self.n_grounds)[agents.ground]
        factor = draw.of(agents).uniform("effort", 1.0 - self.effort_spread, 1.0 + self.effort_spread)
        agents.effort[:] = np.minimum(self.initial_effort / fishers * factor, self.max_effort)
        grounds.stock[:] = self.initial_stock

    def connected(self, grounds: Any, agents: Any) -> None:
        """Refuse grounds without fishers; open the books, with the stock of a start state if one is given."""
        size = np.bincount(agents.ground[agents.ground >= 0], minlength=self.n_grounds)
        self.require(bool(size.all()), f"start: ground {int(np.argmin(size))} is empty; each needs a fisher")
        grounds.first_stock[:] = grounds.stock + grounds.caught - grounds.grown

    @send(agents, to=grounds, fishers=counted(), present=summed())
    def show(me, agents, send):
        """1. Fishers see one another."""
        send.fishers(agents.ground[me])
        send.present(agents.ground[me], agents.effort[me])

    @gather(waters, stock=running(0.0), others=running(0.0), fishers=running(1))
    def look(me, other, agents, grounds, acc):
        """1. See the stock, and what the others do."""
        acc.stock = grounds.stock[other]
        acc.others = grounds.present[other] - agents.effort[me]
        acc.fishers = grounds.fishers[other]

    @decision(agents.effort, after=look)
    def fish(me, agents, p, acc):
        """1. Choose an effort."""
        effort = agents.effort[me]
        if p.decides == OPEN_ACCESS:
            return effort * math.exp(p.entry * (p.price * p.catchability * acc.stock - p.cost) * p.length)
        if p.decides == COURNOT:
            return effort + p.moved * (max((p.free_effort - acc.others) / 2.0, 0.0) - effort)
        if p.decides == SOLE_OWNER:
            return effort + p.moved * (p.owned_effort / acc.fishers - effort)
        return effort

    @update(agents)
    def tire(me, agents, new, p):
        """1. Nobody does less than nothing, or more than all it can."""
        new.effort[me] = min(max(agents.effort[me], 0.0), p.max_effort)

    @send(agents, to=grounds, effort=summed())
    def cast(me, agents, send):
        """2. Efforts add up."""
        send.effort(agents.ground[me], agents.effort[me])

    @update(grounds)
    def grow(me, grounds, new, p):
        """2. The stock is caught, and grows."""
        stock, effort = grounds.stock[me], grounds.effort[me]
        pressure = p.catchability * effort
        if p.seasonal > 0.0:
            caught = min(pressure, 1.0) * stock
            left = stock - caught
            # Above (1 + 1 / r) K, where only an intervention leads, all would die, and no more.
            grown = max(p.growth_rate * left * (1.0 - left / p.capacity), -left)
            new.stock[me] = left + grown
        else:
            rate = p.growth_rate - pressure
            caught = pressure * stock_time(stock, rate, p.thinning, p.length)
            new.stock[me] = stock_after(stock, rate, p.thinning, p.length)
            grown = new.stock[me] - stock + caught
        new.caught[me] += caught
        new.grown[me] += grown
        new.catch_rate[me] = caught / p.length
        new.rent[me] = p.price * caught / p.length - p.cost * effort
        new.catch_per_effort[me] = caught / effort if effort > 0.0 else 0.0

    @gather(waters, per_effort=running(0.0))
    def land(me, other, grounds, acc):
        """2. The catch is shared by effort."""
        acc.per_effort = grounds.catch_per_effort[other]

    @update(agents, after=land)
    def earn(me, agents, new, p, acc):
        """2. Earn."""
        profit = agents.effort[me] * (p.price * acc.per_effort / p.length - p.cost)
        new.profit[me] = profit
        new.earned[me] += profit * p.length

    observe = [
        outcomes,
        imbalance,
        streaming.entropy(streaming.field("agents.effort", bins=50, range=(0, "max_effort"))),
    ]
