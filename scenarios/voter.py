"""Voter model: one agent at a time takes over the opinion of another one, until all agree.

Clifford & Sudbury (1973), "A model for spatial conflict", Biometrika 60, 581-588, and Holley & Liggett
(1975), Ann. Probab. 3, 643-663, here on the complete graph. A step is a sweep of n_agents events. In each
event

1. one agent is drawn uniformly (the same one may be drawn again in the same sweep),
2. it draws one of the others uniformly,
3. and takes over that one's opinion.

With N agents of which n hold opinion 1 (and the rest opinion 0), n goes up or down by one with equal
probability n (N - n) / (N (N - 1)) an event. Hence

* n is a martingale: all end with opinion 1 with probability x = n / N of the start;
* the share of pairs that disagree, 2 n (N - n) / (N (N - 1)), falls in the mean by the factor
  1 - 2 / (N (N - 1)) an event;
* the mean number of events until all agree is exactly

      (N - 1) [sum_{j=1..n} (N - n) / (N - j) + sum_{j=n+1..N-1} n / j],

  or, for large N and in sweeps, T = -(N - 1) [x ln x + (1 - x) ln(1 - x)]. The usual formula has N in place
  of N - 1: there an agent may draw itself. A run stops at the end of the sweep in which all agreed.

Where the papers are silent: with more than two opinions, the others share equally what opinion 1 leaves.
Opinions are numbers from 0 to n_opinions - 1; who holds which one at the start does not matter here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simengine import Random, Scenario, consensus, events, field, gather, param, population, running, tally, update
from simengine.diagnostics import streaming


@tally("agents.opinion")
def share_of_one(values: Any, counts: Any) -> float:
    """Share of agents with opinion 1."""
    return float(counts[values == 1].sum() / counts.sum())


@tally("agents.opinion")
def discordance(counts: Any) -> float:
    """Share of pairs of agents that disagree."""
    n = counts.sum()
    return float((n * n - (counts * counts).sum()) / (n * (n - 1)))


@tally("agents.opinion", dtype="int64")
def opinions_left(counts: Any) -> int:
    """Opinions that somebody holds, counted."""
    return len(counts)


class Voter(Scenario):
    """Voter model on the complete graph, event by event (Clifford & Sudbury 1973; Holley & Liggett 1975)."""

    paper = "Holley & Liggett (1975) Ann. Probab. 3, 643-663, doi:10.1214/aop/1176996306"
    default_steps = 10_000

    n_agents: int = param(100, low=2, description="number of agents")
    n_opinions: int = param(2, low=2, description="number of opinions at the start")
    initial_share: float = param(
        0.5, low=0, high=1, description="share of opinion 1 at the start, rounded to whole agents"
    )

    agents = population(size="n_agents", opinion=field(int, long_name="opinion"))
    anybody = Random(agents, k=1)

    def start(self, agents: Any) -> None:
        """Give the first agents opinion 1, the rest the other opinions in turn."""
        others = np.delete(np.arange(self.n_opinions), 1)
        agents.opinion[:] = np.resize(others, self.n_agents)
        agents.opinion[: round(self.initial_share * self.n_agents)] = 1

    @gather(anybody, heard=running(0))
    def listen(me, other, agents, acc):
        """Hear the opinion of somebody drawn uniformly among the others."""
        acc.heard = agents.opinion[other]

    @update(agents, after=listen, order=events("n_agents"))
    def follow(me, new, acc):
        """Take it over."""
        new.opinion[me] = acc.heard

    observe = [
        share_of_one,
        discordance,
        opinions_left,
        streaming.entropy(streaming.field("agents.opinion", states="n_opinions")),
    ]
    stop = consensus(agents.opinion)
