"""Voter model: one agent at a time takes over the opinion of another one, until all agree.

Clifford & Sudbury (1973), "A model for spatial conflict", Biometrika 60, 581-588, and Holley & Liggett
(1975), Ann. Probab. 3, 643-663, here on the complete graph (``contacts="well_mixed"``) or on a network. A step is
a sweep of n_agents events. In each event

1. one agent is drawn uniformly (the same one may be drawn again in the same sweep),
2. it draws one of the others, or of its neighbours, uniformly,
3. and takes over that one's opinion;
4. or, with probability ``noise``, takes one of all opinions at random instead (Granovsky & Madras 1995, Stoch.
   Process. Appl. 55, 23-43; Kirman 1993, Q. J. Econ. 108, 137-156). The stubborn (zealots; Mobilia, Petersen &
   Redner 2007, J. Stat. Mech. P08029) never change their opinion.

With N agents of which n hold opinion 1 (and the rest opinion 0), n goes up or down by one with equal
probability n (N - n) / (N (N - 1)) an event on the complete graph. Hence

* n is a martingale: all end with opinion 1 with probability x = n / N of the start;
* the share of pairs that disagree, 2 n (N - n) / (N (N - 1)), falls in the mean by the factor
  1 - 2 / (N (N - 1)) an event;
* the mean number of events until all agree is exactly

      (N - 1) [sum_{j=1..n} (N - n) / (N - j) + sum_{j=n+1..N-1} n / j],

  or, for large N and in sweeps, T = -(N - 1) [x ln x + (1 - x) ln(1 - x)]. The usual formula has N in place
  of N - 1: there an agent may draw itself. A run stops at the end of the sweep in which all agreed; with noise
  it goes on.

On a network it matters what an event draws first (Suchecki, Eguiluz & San Miguel 2005, Europhys. Lett. 69, 228-234;
Sood, Antal & Redner 2008, Phys. Rev. E 77, 041121):

* ``event="node"``, as above: what is conserved in the mean is the share of opinion 1 weighted by degree, sum k_i s_i /
  sum k_i, and it is the probability that all end with opinion 1. On a random graph with given degrees, T is that of a
  complete graph of N_eff = N <k>^2 / <k^2> agents, with that share in place of x, where degrees are not small.
* ``event="link"``: one of the edges and one of its ends, uniformly, that takes over the opinion of the other end. The
  plain share x is conserved. Here an agent drawn as above acts with probability k_i / k_max, so that each end of an
  edge has the same chance: a sweep has N <k> / k_max such events in the mean, the others do nothing.

A network in pieces keeps its opinions apart and may never agree; agents without neighbours keep theirs.

Where the papers are silent: with more than two opinions, the others share equally what opinion 1 leaves.
Opinions are numbers from 0 to n_opinions - 1; who holds which one at the start does not matter on the complete graph.
There the first agents hold opinion 1, on a network agents drawn at random do.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from simengine import (
    Network,
    Random,
    Scenario,
    consensus,
    decision,
    events,
    field,
    gather,
    graphs,
    observable,
    param,
    population,
    running,
    tally,
)
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


@observable(when={"contacts": "network"})
def active_links(agents: Any, acquaintances: Any) -> float:
    """Share of edges whose ends disagree."""
    differ = agents.opinion[acquaintances.source] != agents.opinion[acquaintances.target]
    return float(differ.mean()) if len(differ) else 0.0


@observable(when={"contacts": "network"})
def share_of_one_by_degree(agents: Any, acquaintances: Any) -> float:
    """Share of the ends of edges that hold opinion 1."""
    degree = acquaintances.degree
    return float(degree[agents.opinion == 1].sum() / max(degree.sum(), 1))


class Voter(Scenario):
    """Voter model on the complete graph or a network (Clifford & Sudbury 1973; Holley & Liggett 1975)."""

    paper = "Holley & Liggett (1975) Ann. Probab. 3, 643-663, doi:10.1214/aop/1176996306"
    default_steps = 10_000

    n_agents: int = param(100, low=2, description="number of agents")
    n_opinions: int = param(2, low=2, description="number of opinions at the start")
    initial_share: float = param(
        0.5, low=0, high=1, description="share of opinion 1 at the start, rounded to whole agents"
    )
    contacts: Literal["well_mixed", "network"] = param(
        "well_mixed", description="whose opinions an agent may take over"
    )
    graph: graphs.Kind = param("small_world", description="kind of network")
    mean_degree: float = param(10.0, low=0, description="neighbours of an agent in the mean")
    rewiring: float = param(0.1, low=0, high=1, description="of small_world: share of edges that lead elsewhere")
    event: Literal["node", "link"] = param("node", description="what an event on a network draws first")
    noise: float = param(0.0, low=0, high=1, description="probability to take any opinion in an event")
    stubborn: float = param(0.0, low=0, high=1, description="share of agents that never change their opinion")

    agents = population(
        size="n_agents",
        opinion=field(int, low=0, long_name="opinion"),
        stubborn=field(bool, long_name="whether it never changes its opinion"),
        relative_degree=field(long_name="number of neighbours over the highest such number"),
    )
    acquaintances = Network(agents, graph="make_graph")
    anybody = Random(agents, k=1)
    neighbour = Random(agents, k=1, within=acquaintances)

    def check(self) -> None:
        """Refuse links where there are none."""
        self.require(
            self.event == "node" or self.contacts == "network", "event='link' draws edges: it needs contacts='network'"
        )

    def start(self, agents: Any, draw: Any) -> None:
        """Give opinion 1 to its share of the agents, the rest the other opinions in turn; draw the stubborn."""
        others = np.delete(np.arange(self.n_opinions), 1)
        opinion = np.resize(others, self.n_agents)
        opinion[: round(self.initial_share * self.n_agents)] = 1
        if self.contacts == "network":
            opinion = opinion[np.argsort(draw.uniform("opinion"), kind="stable")]
        agents.opinion[:] = opinion
        rank = np.argsort(np.argsort(draw.uniform("stubborn"), kind="stable"))
        agents.stubborn[:] = rank < round(self.stubborn * self.n_agents)

    def make_graph(self, draw: Any) -> Any:
        """Make the network."""
        if self.contacts == "well_mixed":
            return {"source": (), "target": ()}
        return graphs.make(
            self.graph, self.n_agents, draw.seed_for("graph"), mean_degree=self.mean_degree,
            rewiring=self.rewiring,
        )  # fmt: skip

    def connected(self, agents: Any, acquaintances: Any) -> None:
        """Give each agent its chance to act where events draw links."""
        agents.relative_degree[:] = acquaintances.degree / max(acquaintances.degree.max(), 1)

    @gather(anybody, when={"contacts": "well_mixed"}, heard=running(0))
    def listen(me, other, agents, acc):
        """Hear the opinion of somebody drawn uniformly among the others."""
        acc.heard = agents.opinion[other]

    @gather(neighbour, when={"contacts": "network"}, heard_next=running(-1))
    def ask(me, other, agents, acc):
        """Hear the opinion of somebody drawn uniformly among the neighbours."""
        acc.heard_next = agents.opinion[other]

    @decision(agents.opinion, after=(listen, ask), order=events("n_agents"))
    def follow(me, agents, p, acc, draw):
        """Take it over."""
        heard = acc.heard if p.contacts == "well_mixed" else acc.heard_next
        if p.event == "link" and not draw.chance("acts", agents.relative_degree[me]):
            heard = agents.opinion[me]
        if p.noise > 0.0 and draw.chance("changes", p.noise):
            heard = draw.integer("any_opinion", 0, p.n_opinions)
        if agents.stubborn[me] or heard < 0:
            heard = agents.opinion[me]
        return heard

    observe = [
        share_of_one,
        discordance,
        opinions_left,
        active_links,
        share_of_one_by_degree,
        streaming.entropy(streaming.field("agents.opinion", states="n_opinions")),
    ]
    stop = consensus(agents.opinion, when={"noise": 0.0})
