"""Games on graphs: strategies spread along the edges over which they are played, one event at a time.

Ohtsuki, Hauert, Lieberman & Nowak (2006), "A simple rule for the evolution of cooperation on graphs and social
networks", Nature 441, 502-505; Allen et al. (2017), Nature 544, 227-230. Agents cooperate or defect with all their
neighbours alike. In the donation game a cooperator pays ``cost`` for each neighbour to get ``benefit``; ``payoff_cc``
and the three others stand for any other 2x2 game. A step is n_agents events. In each event

1. an agent is drawn uniformly (the same one may be drawn again in the same step);
2. its neighbours' payoffs are those of the moment: means over *their* neighbours (``payoffs="averaged"``) or sums
   (``"accumulated"``); fitness is exp(w payoff) (``fitness="exponential"``) or 1 + w payoff (``"linear"``), with
   w = ``selection``;
3. it revises:

   - ``update="death_birth"``: it dies, and its place goes to a child of a neighbour drawn by fitness;
   - ``"imitation"``: it takes the strategy of a neighbour drawn by fitness, or keeps its own, which is drawn from with
     its own fitness;
   - ``"pairwise_comparison"``: it sees one neighbour, drawn uniformly, and takes over its strategy with probability
     1 / (1 + exp(-w (payoff of the neighbour - own payoff))).

With two strategies, the one who is drawn by fitness is a cooperator with the cooperators' share of the fitness as
probability: one draw decides. Later events see what earlier ones did. Agents without neighbours keep their strategy.

For weak selection and one cooperator among defectors, placed uniformly, cooperators of the donation game fix more often
than neutral ones if and only if

* ``death_birth``, averaged: b / c > k (N - 2) / (N - 2 k) where the graph looks the same from each of its N nodes of
  degree k, which tends to b / c > k; b / c > t2 / (t3 - t1) on any graph, with times of coalescence that
  `critical_ratio` solves for; never for N <= 2 k (a star is another graph on which it is never), and if the ratio is
  below 0, those who pay to harm are favoured;
* ``imitation``: b / c > k + 2 on large regular graphs;
* ``pairwise_comparison``: never.

For any selection the chain of all states of a graph of at most 10 nodes is solved by `graph_fixation`. One run may hold
many graphs: pieces of one graph do not meet, ``start={"acquaintances": edges, "strategy": ...}``.

Where the papers are silent: ``initial_share`` of the agents, drawn evenly, cooperate at the start (of n_agents = 100,
0.01 is one); a run ends with the step in which all play the same.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from simengine import (
    Network,
    Random,
    Scenario,
    consensus,
    count,
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
    total,
)
from simengine.diagnostics import streaming
from simengine.scenarios.evolution_theory import (
    STRONGEST,
    critical_ratio,
    critical_ratio_regular,
    fixation_slope,
    graph_fixation,
)

__all__ = ["GraphGame", "critical_ratio", "critical_ratio_regular", "fixation_slope", "graph_fixation"]


def earned(strategy: int, cooperating: int, partners: int, cc: float, cd: float, dc: float, dd: float) -> float:
    """Return the sum of payoffs of an agent against ``partners`` neighbours, of whom some are cooperating."""
    if strategy == 1:
        return cc * cooperating + cd * (partners - cooperating)
    return dc * cooperating + dd * (partners - cooperating)


def fitness_of(payoff: float, selection: float, exponential: float) -> float:
    """Return the weight with which an agent is drawn."""
    return math.exp(selection * payoff) if exponential != 0.0 else 1.0 + selection * payoff


@tally("agents.strategy")
def share_of_cooperators(values: Any, counts: Any) -> float:
    """Share of agents who cooperate."""
    return float(counts[values == 1].sum() / counts.sum())


@observable
def mixed_links(agents: Any, acquaintances: Any) -> float:
    """Share of edges between a cooperator and a defector."""
    differ = agents.strategy[acquaintances.source] != agents.strategy[acquaintances.target]
    return float(differ.mean()) if len(differ) else 0.0


@observable
def assortment(agents: Any, acquaintances: Any) -> float:
    """Share of cooperators among the neighbours of cooperators, less that among those of defectors."""
    ends = np.concatenate([acquaintances.source, acquaintances.target])
    others = np.concatenate([acquaintances.target, acquaintances.source])
    mine, theirs = agents.strategy[ends] == 1, agents.strategy[others] == 1
    if mine.all() or not mine.any():
        return math.nan
    return float(theirs[mine].mean() - theirs[~mine].mean())


@observable
def mean_payoff(agents: Any, acquaintances: Any, p: Any) -> float:
    """Mean of the agents' payoffs, means or sums over neighbours; 0 for those without any."""
    strategy, degree = agents.strategy, acquaintances.degree
    ends = np.concatenate([acquaintances.source, acquaintances.target])
    others = np.concatenate([acquaintances.target, acquaintances.source])
    cooperating = np.bincount(ends[strategy[others] == 1], minlength=len(strategy))
    against_c, against_d = np.where(strategy == 1, p.cc, p.dc), np.where(strategy == 1, p.cd, p.dd)
    payoff = against_c * cooperating + against_d * (degree - cooperating)
    return float((payoff / np.maximum(degree, 1) if p.averaged else payoff).mean())


class GraphGame(Scenario):
    """Cooperation on graphs: the donation game, or any 2x2 game, played with neighbours (Ohtsuki et al. 2006)."""

    paper = "Ohtsuki, Hauert, Lieberman & Nowak (2006) Nature 441, 502-505, doi:10.1038/nature04605"
    default_steps = 10_000

    n_agents: int = param(100, low=2, description="number of agents")
    benefit: float = param(6.0, description="what a neighbour of a cooperator gets")
    cost: float = param(1.0, description="what a cooperator pays for each neighbour")
    payoff_cc: float | None = param(None, description="payoff of cooperation against cooperation, of another game")
    payoff_cd: float | None = param(None, description="payoff of cooperation against defection")
    payoff_dc: float | None = param(None, description="payoff of defection against cooperation")
    payoff_dd: float | None = param(None, description="payoff of defection against defection")
    update: Literal["death_birth", "imitation", "pairwise_comparison"] = param(
        "death_birth", description="how agents revise their strategy"
    )
    selection: float = param(0.1, low=0, description="intensity w of selection")
    payoffs: Literal["averaged", "accumulated"] = param(
        "averaged", description="mean of the payoffs against all neighbours, or their sum"
    )
    fitness: Literal["exponential", "linear"] = param("exponential", description="exp(w payoff), or 1 + w payoff")
    initial_share: float = param(0.5, low=0, high=1, description="share of cooperators at the start, rounded to agents")
    graph: graphs.Kind = param("regular", description="kind of network")
    mean_degree: float = param(4.0, low=0, description="neighbours of an agent in the mean")
    rewiring: float = param(0.1, low=0, high=1, description="of small_world: share of edges that lead elsewhere")

    agents = population(size="n_agents", strategy=field(bool, long_name="whether it cooperates"))
    acquaintances = Network(agents, graph="make_graph")
    neighbour = Random(agents, k=1, within=acquaintances)

    def check(self) -> None:
        """Refuse a part of a table of payoffs, and fitness that is not positive."""
        given = (self.payoff_cc, self.payoff_cd, self.payoff_dc, self.payoff_dd)
        self.require(
            given.count(None) in {0, 4},
            "payoff_cc, payoff_cd, payoff_dc and payoff_dd make one table: give all or none",
        )
        if self.payoffs == "averaged":
            self.require_fitness(1)

    def require_fitness(self, partners: int) -> None:
        """Refuse fitness 1 + w payoff that is not above 0, and exp(w payoff) beyond what numbers hold."""
        if self.update == "pairwise_comparison":
            return
        lowest, largest = partners * min(self.table()), partners * max(map(abs, self.table()))
        self.require(
            self.fitness == "exponential" or 1 + self.selection * lowest > 0,
            f"fitness 1 + selection * payoff must be above 0: not with selection {self.selection:g} and the lowest "
            f"payoff, {lowest:g}; lower selection or take fitness='exponential'",
        )
        self.require(
            self.fitness == "linear" or self.selection * largest <= STRONGEST,
            f"fitness exp(selection * payoff) is beyond what numbers hold: selection {self.selection:g} times the "
            f"largest payoff, {largest:g}, exceeds {STRONGEST:g}; lower selection",
        )

    def table(self) -> tuple[float, float, float, float]:
        """Return the payoffs: of cooperation against cooperation and defection, then those of defection."""
        if self.payoff_cc is None or self.payoff_cd is None or self.payoff_dc is None or self.payoff_dd is None:
            return (self.benefit - self.cost, -self.cost, self.benefit, 0.0)
        return (self.payoff_cc, self.payoff_cd, self.payoff_dc, self.payoff_dd)

    def derived(self) -> dict[str, float]:
        """Numbers for the phases."""
        table = dict(zip(("cc", "cd", "dc", "dd"), self.table(), strict=True))
        return table | {"averaged": self.payoffs == "averaged", "exponential": self.fitness == "exponential"}

    def start(self, agents: Any, draw: Any) -> None:
        """Let those drawn cooperate."""
        first = draw.permutation("strategy")[: round(self.initial_share * self.n_agents)]
        agents.strategy[:] = np.isin(agents.ids, first)

    def make_graph(self, draw: Any) -> Any:
        """Make the network."""
        return graphs.make(
            self.graph, self.n_agents, draw.seed_for("graph"), mean_degree=self.mean_degree, rewiring=self.rewiring
        )

    def connected(self, agents: Any, acquaintances: Any) -> None:
        """Refuse sums of payoffs that make fitness negative, or too large."""
        if self.payoffs == "accumulated":
            self.require_fitness(int(acquaintances.degree.max()))

    @gather(acquaintances, cooperating=count(), partners=count())
    def play(me, other, agents, acc):
        """2. Play with the neighbours: how many of them cooperate."""
        acc.cooperating += agents.strategy[other]
        acc.partners += 1

    @gather(
        acquaintances,
        when={"update": ("death_birth", "imitation")},
        fitness_of_cooperators=total(),
        fitness_of_all=total(),
    )
    def compete(me, other, agents, p, play, acc):
        """2. Add up the fitness of the neighbours, of cooperators and of all."""
        payoff = earned(agents.strategy[other], play.cooperating[other], play.partners[other], p.cc, p.cd, p.dc, p.dd)
        if p.averaged != 0.0:
            payoff /= play.partners[other]
        fitness = fitness_of(payoff, p.selection, p.exponential)
        acc.fitness_of_all += fitness
        if agents.strategy[other] == 1:
            acc.fitness_of_cooperators += fitness

    @gather(neighbour, when={"update": "pairwise_comparison"}, seen=running(-1), payoff_seen=running(0.0))
    def look(me, other, agents, p, play, acc):
        """2. See the strategy and the payoff of one neighbour."""
        acc.seen = agents.strategy[other]
        payoff = earned(agents.strategy[other], play.cooperating[other], play.partners[other], p.cc, p.cd, p.dc, p.dd)
        acc.payoff_seen = payoff / play.partners[other] if p.averaged != 0.0 else payoff

    @decision(
        agents.strategy,
        options=("defect", "cooperate"),
        after=compete,
        order=events("n_agents"),
        when={"update": "death_birth"},
    )
    def succeed(me, agents, acc, draw):
        """3. The place goes to a cooperator's child with the cooperators' share of the neighbours' fitness."""
        if acc.fitness_of_all == 0.0:
            return agents.strategy[me]
        return 1 if draw.uniform("parent") * acc.fitness_of_all < acc.fitness_of_cooperators else 0

    @decision(
        agents.strategy,
        options=("defect", "cooperate"),
        after=(play, compete),
        order=events("n_agents"),
        when={"update": "imitation"},
    )
    def imitate(me, agents, p, acc, draw):
        """3. The same with the agent itself among those who are imitated."""
        if acc.partners == 0:
            return agents.strategy[me]
        payoff = earned(agents.strategy[me], acc.cooperating, acc.partners, p.cc, p.cd, p.dc, p.dd)
        if p.averaged != 0.0:
            payoff /= acc.partners
        fitness = fitness_of(payoff, p.selection, p.exponential)
        cooperators = acc.fitness_of_cooperators + fitness * agents.strategy[me]
        return 1 if draw.uniform("model") * (acc.fitness_of_all + fitness) < cooperators else 0

    @decision(
        agents.strategy,
        options=("defect", "cooperate"),
        after=(play, look),
        order=events("n_agents"),
        when={"update": "pairwise_comparison"},
    )
    def compare(me, agents, p, acc, draw):
        """3. The neighbour's strategy is taken over the likelier the more it earns."""
        if acc.seen < 0 or acc.seen == agents.strategy[me]:
            return agents.strategy[me]
        payoff = earned(agents.strategy[me], acc.cooperating, acc.partners, p.cc, p.cd, p.dc, p.dd)
        if p.averaged != 0.0:
            payoff /= acc.partners
        takes_over = draw.chance("takes_over", 1.0 / (1.0 + math.exp(-p.selection * (acc.payoff_seen - payoff))))
        return acc.seen if takes_over else agents.strategy[me]

    observe = [
        share_of_cooperators,
        mixed_links,
        assortment,
        mean_payoff,
        streaming.entropy(streaming.field("agents.strategy", states=2)),
    ]
    stop = consensus(agents.strategy)
