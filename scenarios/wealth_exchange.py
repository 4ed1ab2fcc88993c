"""Wealth exchange: agents give one unit of money to random others, and inequality arises from equality.

Dragulescu & Yakovenko (2000), "Statistical mechanics of money", Eur. Phys. J. B 17, 723-729, the model of
small exchanges: an agent who owns something gives one unit to another agent, drawn uniformly; one who owns
nothing gives nothing. Money is conserved, debt is not allowed. With mean wealth m the paper finds the
Boltzmann-Gibbs law, P(w) proportional to exp(-w / m), which is exact for a continuum of wealth. Whole units
give the following.

``order="one_by_one"`` is the paper's: n_agents exchanges a step, one after another. The chain is symmetric,
so all ways to share the money are equally likely, and for many agents wealth is geometric:

    P(w) = (1 - q) q**w,  q = m / (1 + m);  poor: 1 / (1 + m).

``order="synchronous"`` (the default) lets all give at once, as most implementations do:

    w(t + 1) = w(t) - [w(t) > 0] + R(t),  R the number of givers who chose the agent.

This is *not* the same chain. It is the "repeated balls into bins" of Cancrini & Posta (2018), Electron.
Commun. Probab. 23, arXiv:1809.08019, and not reversible. For many agents R is Poisson with mean s, the share
of givers, so wealth is distributed like the length of an M/D/1 queue of load s:

    sum_w P(w) z**w = (1 - s) (1 - z) / (1 - z exp(s (1 - z))),  s = 1 + m - sqrt(1 + m**2);  poor: 1 - s.

At m = 1 the poor are 41 % instead of 50 %, at m = 10 they are 5.0 % instead of 9.1 %. For large m both laws
approach the exponential one, whose Gini coefficient is 1/2, within some 8 m**2 (one by one: 4 m**2) steps.

Where the paper is silent: everybody starts with the same wealth.
"""

from __future__ import annotations

from typing import Any, Literal

from simengine import (
    Random,
    Scenario,
    events,
    field,
    gather,
    param,
    population,
    running,
    send,
    summed,
    tally,
    update,
)
from simengine.diagnostics import streaming


@tally("agents.wealth")
def gini(values: Any, counts: Any) -> float:
    """Gini coefficient of wealth."""
    n, last = counts.sum(), counts.cumsum()
    before = last - counts
    # The sum of 2 rank - n - 1 over those who own the same.
    ranks = last * (last + 1) - before * (before + 1) - (n + 1) * counts
    return float((ranks * values).sum() / (n * max((values * counts).sum(), 1)))


@tally("agents.wealth", dtype="int64")
def total_wealth(values: Any, counts: Any) -> int:
    """Sum of all wealth, which never changes."""
    return int((values * counts).sum())


@tally("agents.wealth")
def share_poor(values: Any, counts: Any) -> float:
    """Share of agents who own nothing."""
    return float(counts[values == 0].sum() / counts.sum())


class WealthExchange(Scenario):
    """Money given to random others, unit by unit (Dragulescu & Yakovenko 2000)."""

    paper = "Dragulescu & Yakovenko (2000) Eur. Phys. J. B 17, 723-729, doi:10.1007/s100510070114"
    default_steps = 2000

    n_agents: int = param(500, low=2, description="number of agents")
    initial_wealth: int = param(10, low=0, description="units of money that each agent starts with")
    order: Literal["synchronous", "one_by_one"] = param("synchronous", description="how agents take turns")

    agents = population(size="n_agents", wealth=field(int, long_name="wealth in units of money"))
    anybody = Random(agents, k=1)

    def start(self, agents: Any) -> None:
        """Give everybody the same."""
        agents.wealth[:] = self.initial_wealth

    @gather(anybody, partner=running(-1))
    def meet(me, other, acc):
        """Meet somebody, drawn uniformly among the others."""
        acc.partner = other

    @send(agents, to=agents, after=meet, when={"order": "synchronous"}, received=summed(int))
    def give(me, agents, acc, send):
        """Give one unit, if there is one to give."""
        if agents.wealth[me] > 0:
            send.received(acc.partner, 1)

    @update(agents, when={"order": "synchronous"})
    def settle(me, agents, new):
        """Part with what was given, and take what was received."""
        given = 1 if agents.wealth[me] > 0 else 0
        new.wealth[me] = agents.wealth[me] - given + agents.received[me]

    @update(agents, after=meet, order=events("n_agents"), when={"order": "one_by_one"})
    def exchange(me, agents, new, acc):
        """Give one unit at once, so that the next giver sees it."""
        if agents.wealth[me] > 0:
            new.wealth[me] -= 1
            new.wealth[acc.partner] += 1

    observe = [gini, total_wealth, streaming.entropy("agents.wealth"), share_poor]
