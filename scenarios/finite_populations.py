"""Evolution in finite, well-mixed populations: one event at a time, in many populations at once.

Two strategies, A and B, play a 2x2 game; a population (deme) has N agents, none of whom plays with itself:

    pi_A(i) = (aa (i - 1) + ab (N - i)) / (N - 1),  pi_B(i) = (ba i + bb (N - i - 1)) / (N - 1),  i agents play A.

A step is one event in each deme, so that thousands of invasions by one A are a single run:

1. Two different agents are drawn, one who may revise its strategy and one whom it sees.
2. It revises, ``update="fermi"`` (pairwise comparison; Szabo & Toke 1998, Phys. Rev. E 58, 69-73; Traulsen, Nowak &
   Pacheco 2006, Phys. Rev. E 74, 011909): it takes over what it sees with probability
   1 / (1 + exp(-selection (pi_seen - pi_own))). ``"moran"`` (Moran 1958; Nowak et al. 2004, Nature 428, 646-650): it
   dies, and its place goes to the child of an agent drawn by fitness from all, itself included: to an A with
   probability i f_A / (i f_A + (N - i) f_B), where f = 1 - selection + selection pi, or f_A = ``ratio`` and f_B = 1.
3. With probability ``mutation`` it takes one of both strategies at random instead.

`FinitePopulation` follows every agent. `BirthDeathChain` keeps the numbers i alone, at a cost per event that does not
depend on N: the same process, of which the first is the oracle. What they must give (fixation probabilities, times,
stationary shares, exactly) is in ``evolution_theory.py``. Without mutation

* a neutral A fixes with probability 1 / N; Moran's process is absorbed after N H_{N-1} events in the mean, and after
  N (N - 1) where that one A fixes; pairwise comparison after 2 (N - 1) H_{N-1} and 2 (N - 1)^2, for half of its events
  with two different strategies change nothing;
* for weak selection one A fixes more often than 1 / N if and only if aa (N - 2) + ab (2 N - 1) > ba (N + 1) +
  bb (2 N - 4), for large N if aa + 2 ab > ba + 2 bb (the one-third law);
* in the donation game cooperators are never favoured.

A run ends when every deme is all A or all B; with mutation it goes on, and for rare mutation all demes are A for
rho_A / rho_B times as long as they are B, exp(selection sum_i (pi_A(i) - pi_B(i))) under pairwise comparison.

The revision is a decision, ``demes.revise``, of the one who may revise in each deme. It sees the number of A, its own
strategy, that of the other agent and what both strategies earn: one answer a deme and event.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from simengine import (
    Members,
    Random,
    Scenario,
    count,
    decision,
    field,
    gather,
    highest,
    observable,
    param,
    population,
    reference,
    running,
    send,
    tally,
    unchanged,
    update,
)
from simengine.diagnostics import streaming
from simengine.scenarios.evolution_theory import checked_game, donation_game

__all__ = ["BirthDeathChain", "FinitePopulation", "checked_game", "donation_game", "game"]

A, B = 1, 0


def game(payoffs: Any) -> dict[str, float]:
    """Return the parameters that stand for a 2x2 table of payoffs: ``run(FinitePopulation, **game([[3, 0], [5, 1]]))``.

    Raises
    ------
    InputError
        For a table of another shape, or with what is no finite number.
    """
    (aa, ab), (ba, bb) = checked_game(payoffs).tolist()
    return {"payoff_aa": aa, "payoff_ab": ab, "payoff_ba": ba, "payoff_bb": bb}


def earned_by_a(n_a: int, size: float, against_a: float, against_b: float) -> float:
    """Return what an agent who plays A earns in the mean from the others of its deme."""
    return (against_a * (n_a - 1) + against_b * (size - n_a)) / (size - 1)


def earned_by_b(n_a: int, size: float, against_a: float, against_b: float) -> float:
    """Return what an agent who plays B earns in the mean from the others of its deme."""
    return (against_a * n_a + against_b * (size - n_a - 1)) / (size - 1)


def after_comparison(own: int, seen: int, payoff_a: float, payoff_b: float, selection: float) -> float:
    """Return the probability to play A after comparing payoffs with one other agent, whichever of both plays A."""
    return 1.0 * own if own == seen else 1.0 / (1.0 + math.exp(-selection * (payoff_a - payoff_b)))


def after_birth(n_a: int, size: float, payoff_a: float, payoff_b: float, selection: float, advantage: float) -> float:
    """Return the probability that the parent of the next agent, drawn by fitness from all, plays A."""
    fitness_a = 1.0 - selection + selection * payoff_a if advantage == 0.0 else advantage
    fitness_b = 1.0 - selection + selection * payoff_b if advantage == 0.0 else 1.0
    return n_a * fitness_a / (n_a * fitness_a + (size - n_a) * fitness_b)


@tally("demes.n_a")
def share_of_a(values: Any, counts: Any, p: Any) -> float:
    """Share of agents who play A."""
    return float((values * counts).sum() / (counts.sum() * p.size))


@tally("demes.n_a")
def fixed_share(values: Any, counts: Any, p: Any) -> float:
    """Share of demes all of whose agents play A."""
    return float(counts[values == p.size].sum() / counts.sum())


@tally("demes.n_a")
def lost_share(values: Any, counts: Any) -> float:
    """Share of demes nobody in which plays A."""
    return float(counts[values == 0].sum() / counts.sum())


@observable(when={"mutation": 0.0})
def absorption_time(demes: Any, p: Any) -> float:
    """Mean number of events until all agents of a deme play the same, of the demes where they do."""
    absorbed = (demes.n_a == 0) | (demes.n_a == p.size)
    return float(demes.events[absorbed].mean()) if absorbed.any() else math.nan


@observable(when={"mutation": 0.0})
def fixation_time(demes: Any, p: Any) -> float:
    """Mean number of events until all agents of a deme play A, of the demes where they do."""
    fixed = demes.n_a == p.size
    return float(demes.events[fixed].mean()) if fixed.any() else math.nan


class Demes(Scenario):
    """Demes of equal size in which two strategies compete: what both forms of the process have in common."""

    paper = "Traulsen & Hauert (2009) Rev. Nonlinear Dyn. Complex. 2, 25-61; Nowak et al. (2004) Nature 428, 646-650"
    default_steps = 1_000_000

    n_agents: int = param(2000, low=2, description="number of agents in all demes")
    n_demes: int = param(100, low=1, description="number of demes, of n_agents / n_demes agents each")
    update: Literal["fermi", "moran"] = param("fermi", description="pairwise comparison, or death and birth by fitness")
    payoff_aa: float = param(3.0, description="payoff of A against A")
    payoff_ab: float = param(0.0, description="payoff of A against B")
    payoff_ba: float = param(5.0, description="payoff of B against A")
    payoff_bb: float = param(1.0, description="payoff of B against B")
    selection: float = param(0.05, low=0, description="intensity of selection, of moran from 0 to 1")
    ratio: float | None = param(None, above=0, description="of moran: constant fitness of A over that of B")
    mutation: float = param(0.0, low=0, high=1, description="probability to take a random strategy in an event")
    invaders: int = param(1, low=0, description="agents of each deme who play A at the start")

    demes = population(
        size="n_demes",
        n_a=field(int, low=0, long_name="agents who play A"),
        own=field(int, long_name="strategy of the agent who revises: 1 A, 0 B"),
        seen=field(int, long_name="strategy of the agent whom it sees"),
        payoff_a=field(long_name="mean payoff of those who play A"),
        payoff_b=field(long_name="mean payoff of those who play B"),
        takes=field(int, low=0, high=1, long_name="strategy that it takes"),
        events=field(int, long_name="events until all agents play the same, or so far"),
    )

    def check(self) -> None:
        """Refuse demes of different or too small size, and fitness that is not positive."""
        n, demes = self.n_agents, self.n_demes
        size, rest = divmod(n, demes)
        self.require(rest == 0, f"n_agents ({n}) must be a multiple of n_demes ({demes}): demes are of equal size")
        self.require(size >= 2, f"a deme has at least 2 agents, not {size}: n_agents ({n}) over n_demes ({demes})")
        self.require(self.invaders <= size, f"invaders ({self.invaders}) exceed the {size} agents of a deme")
        self.require(
            self.ratio is None or self.update == "moran", "ratio is a ratio of fitness: it needs update='moran'"
        )
        if self.update == "moran" and self.ratio is None:
            w = self.selection
            self.require(w <= 1, f"selection ({w:g}) is at most 1 under update='moran'")
            low = min(self.payoff_aa, self.payoff_ab, self.payoff_ba, self.payoff_bb)
            self.require(
                1 - w + w * low > 0,
                f"fitness 1 - selection + selection * payoff must be above 0: not with selection {w:g}, payoff {low:g}",
            )

    def derived(self) -> dict[str, float]:
        """Numbers for the phases."""
        return {
            "size": self.n_agents // self.n_demes,
            "moran": self.update == "moran",
            "advantage": self.ratio or 0.0,
        }

    observe = [
        share_of_a,
        fixed_share,
        lost_share,
        absorption_time,
        fixation_time,
        streaming.entropy("demes.n_a", name="composition_entropy", long_name="entropy of the number of A in a deme"),
    ]
    # Events are counted as long as both strategies are there.
    stop = unchanged(demes.events, when={"mutation": 0.0})


class FinitePopulation(Demes):
    """Two strategies in finite, well-mixed populations: pairwise comparison and Moran's process, agent by agent."""

    demes = Demes.demes
    agents = population(
        size="n_agents",
        deme=reference(to=demes, long_name="deme to which it belongs"),
        strategy=field(int, low=0, high=1, long_name="strategy: 1 A, 0 B"),
    )
    members = Members(agents.deme)
    two = Random(demes, k=2, within=members)

    def start(self, agents: Any, demes: Any) -> None:
        """Spread the agents evenly; the first of each deme are the invaders."""
        place = np.arange(self.n_agents)
        each = self.n_agents // self.n_demes
        agents.deme[:] = place // each
        agents.strategy[:] = place % each < self.invaders
        demes.n_a[:] = self.invaders

    def connected(self, agents: Any, demes: Any) -> None:
        """Count who plays A, and refuse demes of other sizes, which a start state may ask for."""
        size = np.bincount(agents.deme[agents.deme >= 0], minlength=self.n_demes)
        each = self.n_agents // self.n_demes
        for deme in np.flatnonzero(size != each):
            self.require(False, f"start: demes are of equal size, {each}; deme {deme} has {size[deme]}")
        demes.n_a[:] = np.bincount(agents.deme, agents.strategy, self.n_demes)

    @gather(two, reviser=running(-1), model=running(-1))
    def meet(me, other, acc):
        """1. Two different agents of a deme are drawn."""
        if acc.reviser < 0:
            acc.reviser = other
        else:
            acc.model = other

    @update(demes, after=meet)
    def look(me, agents, demes, new, acc, p):
        """1. The one who may revise sees the strategy of the other, and what both strategies earn."""
        new.own[me] = agents.strategy[acc.reviser]
        new.seen[me] = agents.strategy[acc.model]
        new.payoff_a[me] = earned_by_a(demes.n_a[me], p.size, p.payoff_aa, p.payoff_ab)
        new.payoff_b[me] = earned_by_b(demes.n_a[me], p.size, p.payoff_ba, p.payoff_bb)

    @decision(demes.takes, options=("B", "A"))
    def revise(me, demes, p, draw):
        """2. It takes a strategy."""
        if demes.n_a[me] == 0 or demes.n_a[me] == p.size:
            return demes.own[me]
        chance = after_comparison(demes.own[me], demes.seen[me], demes.payoff_a[me], demes.payoff_b[me], p.selection)
        if p.moran != 0.0:
            chance = after_birth(
                demes.n_a[me], p.size, demes.payoff_a[me], demes.payoff_b[me], p.selection, p.advantage
            )
        return 1 if draw.chance("takes", chance) else 0

    @send(demes, to=agents, after=meet, told=highest(int))
    def hand_over(me, demes, acc, p, draw, send):
        """2. and 3. The agent gets its strategy, or a random one."""
        taken = demes.takes[me]
        if p.mutation > 0.0 and draw.chance("mutates", p.mutation):
            taken = draw.choice("mutant", 2)
        send.told(acc.reviser, taken)

    @update(agents)
    def adopt(me, agents, new):
        """The agent plays it from now on."""
        if agents.told[me] >= 0:
            new.strategy[me] = agents.told[me]

    @gather(members, playing_a=count())
    def census(me, other, agents, acc):
        """Those who play A are counted."""
        acc.playing_a += agents.strategy[other]

    @update(demes, after=census)
    def book(me, demes, new, acc, p):
        """Their number is kept, and the events in which there was something to decide."""
        new.n_a[me] = acc.playing_a
        if p.mutation > 0.0 or 0 < demes.n_a[me] < p.size:
            new.events[me] += 1


class BirthDeathChain(Demes):
    """The same process in the numbers of A alone: an event costs the same whatever the size of a deme."""

    demes = Demes.demes

    def start(self, demes: Any) -> None:
        """Let the invaders play A."""
        demes.n_a[:] = self.invaders

    @update(demes)
    def look(me, demes, new, p, draw):
        """1. Who may revise and whom it sees are drawn, and what both strategies earn."""
        i = demes.n_a[me]
        own = 1 if draw.chance("own", i / p.size) else 0
        new.own[me] = own
        new.seen[me] = 1 if draw.chance("seen", (i - own) / (p.size - 1)) else 0
        new.payoff_a[me] = earned_by_a(i, p.size, p.payoff_aa, p.payoff_ab)
        new.payoff_b[me] = earned_by_b(i, p.size, p.payoff_ba, p.payoff_bb)

    @decision(demes.takes, options=("B", "A"))
    def revise(me, demes, p, draw):
        """2. It takes a strategy."""
        if demes.n_a[me] == 0 or demes.n_a[me] == p.size:
            return demes.own[me]
        chance = after_comparison(demes.own[me], demes.seen[me], demes.payoff_a[me], demes.payoff_b[me], p.selection)
        if p.moran != 0.0:
            chance = after_birth(
                demes.n_a[me], p.size, demes.payoff_a[me], demes.payoff_b[me], p.selection, p.advantage
            )
        return 1 if draw.chance("takes", chance) else 0

    @update(demes)
    def book(me, demes, new, p, draw):
        """2. and 3. The agent plays what it took, or a random strategy; the numbers are kept."""
        taken = demes.takes[me]
        if p.mutation > 0.0 and draw.chance("mutates", p.mutation):
            taken = draw.choice("mutant", 2)
        new.n_a[me] = demes.n_a[me] + taken - demes.own[me]
        if p.mutation > 0.0 or 0 < demes.n_a[me] < p.size:
            new.events[me] += 1
