"""Contagion of behaviour: thresholds (Granovetter, Watts, linear threshold) and independent cascades.

In all four models an agent is active or waits, and in a step all decide on the ground of the same moment. In
Granovetter's they decide afresh in every step. In the other three, the cascades, who has adopted stays active; there

- ``acquaintances`` is made by ``graph``, or is the user's own, ``start={"acquaintances": ...}``: a networkx graph, an
  edge list, a file. In the last two models an edge leads from the one who persuades to the one who is persuaded.
  Undirected networkx graphs and GraphML or GML files, and the graphs made here, have each edge both ways; edge lists
  are taken as they stand.
- Seeds are active at the start: ``n_seeds`` of them, drawn evenly (``seeding="random"``) or those who have most
  neighbours (``"highest_degree"``: from whom most edges lead to others; of equals the lowest ids). With ``"given"``
  nobody is, but those of ``start={"active": ...}``, which comes before any seeding.
- Who has no neighbours is never persuaded. Agents joined to themselves, edges given twice, thresholds and probabilities
  outside [0, 1] and negative weights are refused.
- The cascade ends with the first step in which nobody adopts: ``duration`` is the last step in which somebody did,
  ``stopped_at`` is one more.

Shares are compared as floating-point numbers, n_active / n >= threshold: a share that equals a threshold written as a
decimal number, or computed as one whole number over another, reaches it. What is measured is in
``contagion_measures.py``.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from simengine import (
    Everyone,
    Network,
    Scenario,
    count,
    counted,
    decision,
    field,
    gather,
    graphs,
    param,
    population,
    running,
    send,
    total,
    unchanged,
    update,
)
from simengine.scenarios.contagion_measures import ACTIVITY, CASCADE, NOT_YET, cascade_condition, nobody_left_to_adopt

__all__ = ["Granovetter", "IndependentCascade", "LinearThreshold", "WattsCascade", "cascade_condition"]

Seeding = Literal["random", "highest_degree", "given"]
NOT_GIVEN = -1.0
"""Of edges: no probability or weight of their own."""
ROUNDING = 1e-9
"""By how much weights that add up to 1 may miss it."""


def made(p: Any, draw: Any) -> Any:
    """Return the network that the parameters ask for."""
    return graphs.make(p.graph, p.n_agents, draw.seed_for("graph"), mean_degree=p.mean_degree, rewiring=p.rewiring)


def seeds(p: Any, agents: Any, acquaintances: Any, draw: Any) -> Any:
    """Return for each agent whether it is active at the start."""
    if p.seeding == "highest_degree":
        first = np.argsort(-acquaintances.degree, kind="stable")
    else:
        first = draw.permutation("seeds")
    return np.isin(agents.ids, first[: 0 if p.seeding == "given" else p.n_seeds])


class Granovetter(Scenario):
    """People join in once enough others have, each with a threshold of its own (Granovetter 1978).

    Granovetter (1978), "Threshold models of collective behavior", Am. J. Sociol. 83, 1420-1443. In a step all

    1. see the share r of all agents that act (``contacts="network"``: of their neighbours, 0 for those without any),
    2. and act if r >= threshold, otherwise not.

    Well mixed, r(t + 1) = F(r(t)), F the distribution of thresholds, and from r(0) = 0 the share rises to the lowest
    r with F(r) = r. Thresholds 0, 1/n, ..., (n - 1)/n (``thresholds="domino"``) let one after another join, until all
    act after n steps; if the second of 100 has 2/100 in place of 1/100, one acts. Normal thresholds (``"normal"``) of
    mean 25 % end near r = 6 % for standard deviations below 12.22 %, and near 100 % above.

    Thresholds drawn below 0 become 0 (both act at once), those above 1 become 1 (well mixed, both wait until all act).
    ``start={"threshold": ...}`` gives others, from 0 to 1.
    """

    paper = "Granovetter (1978) Am. J. Sociol. 83, 1420-1443, doi:10.1086/226707"
    default_steps = 100_000

    n_agents: int = param(100, low=1, description="number of agents")
    thresholds: Literal["domino", "normal"] = param("domino", description="distribution of thresholds")
    mean: float = param(0.25, low=0, high=1, unit="1", description="mean of normal thresholds")
    sd: float = param(0.1, low=0, unit="1", description="standard deviation of normal thresholds")
    contacts: Literal["network", "well_mixed"] = param("well_mixed", description="whom an agent sees")
    graph: graphs.Kind = param("small_world", description="kind of network")
    mean_degree: float = param(10.0, low=0, description="neighbours of an agent in the mean")
    rewiring: float = param(0.1, low=0, high=1, description="of small_world: share of edges that lead elsewhere")

    agents = population(
        size="n_agents",
        active=field(int, low=0, high=1, long_name="whether it acts"),
        threshold=field(low=0, high=1, long_name="share of active agents at which it acts"),
    )
    public = population(size=1, dim="public")

    acquaintances = Network(agents, graph="make_graph")
    news = Everyone(agents, public)

    def start(self, agents: Any, draw: Any) -> None:
        """Give thresholds; nobody acts."""
        agents.threshold[:] = np.arange(self.n_agents) / self.n_agents
        if self.thresholds == "normal":
            agents.threshold[:] = np.clip(draw.of(agents).normal("threshold", self.mean, self.sd), 0.0, 1.0)

    def make_graph(self, agents: Any, draw: Any) -> Any:
        """Make the network, if there is one."""
        return made(self, draw.of(agents)) if self.contacts == "network" else {"source": (), "target": ()}

    @send(agents, to=public, when={"contacts": "well_mixed"}, acting=counted())
    def show(me, agents, send):
        """1. Act in public."""
        if agents.active[me] == 1:
            send.acting(0)

    @gather(news, when={"contacts": "well_mixed"}, people=count(), acting=count())
    def watch(me, other, public, p, acc):
        """1. See how many act."""
        acc.people += p.n_agents
        acc.acting += public.acting[other]

    @gather(acquaintances, when={"contacts": "network"}, neighbours=count(), acting_neighbours=count())
    def look(me, other, agents, acc):
        """1. See how many of the neighbours act."""
        acc.neighbours += 1
        acc.acting_neighbours += agents.active[other]

    @decision(agents.active, options=("wait", "act"), after=(watch, look))
    def join(me, agents, acc):
        """2. Act if they are enough."""
        acting, seen = acc.acting + acc.acting_neighbours, acc.people + acc.neighbours
        return 1 if acting / max(seen, 1) >= agents.threshold[me] else 0

    observe = ACTIVITY
    stop = unchanged(agents.active)


class WattsCascade(Scenario):
    """An agent adopts once a given share of its neighbours has (Watts 2002).

    Watts (2002), "A simple model of global cascades on random networks", Proc. Natl. Acad. Sci. 99, 5766-5771. In a
    step all who wait

    1. see which share of their neighbours is active,
    2. and adopt for good if it is at least ``threshold``; or, whatever they see, with probability ``spontaneous`` (Ruan
       et al. 2015, Phys. Rev. Lett. 115, 218702), unless they are among the share ``immune``, drawn at the start.

    On a large random graph (``graph="random"``) of mean degree z, a single seed may set off a cascade of global size if
    and only if z P(Poisson(z) <= K - 2) > 1 with K = floor(1 / threshold), see `cascade_condition`: for a threshold of
    0.18, with z from 1.021 to 5.765. ``start={"threshold": ...}`` gives each agent its own. Immune seeds are active.
    """

    paper = "Watts (2002) Proc. Natl. Acad. Sci. 99, 5766-5771, doi:10.1073/pnas.082090499"
    default_steps = 10_000

    n_agents: int = param(1000, low=1, description="number of agents")
    threshold: float = param(0.18, low=0, high=1, unit="1", description="share of neighbours at which agents adopt")
    n_seeds: int = param(1, low=0, description="agents that are active at the start")
    seeding: Seeding = param("random", description="who they are")
    spontaneous: float = param(0.0, low=0, high=1, description="probability to adopt without reason in a step")
    immune: float = param(0.0, low=0, high=1, description="share of agents that never adopt")
    graph: graphs.Kind = param("random", description="kind of network")
    mean_degree: float = param(4.0, low=0, description="neighbours of an agent in the mean")
    rewiring: float = param(0.1, low=0, high=1, description="of small_world: share of edges that lead elsewhere")

    agents = population(
        size="n_agents",
        active=field(int, low=0, high=1, long_name="whether it is active"),
        threshold=field(low=0, high=1, long_name="share of neighbours at which it adopts"),
        immune=field(bool, long_name="whether it never adopts"),
        joined=field(int, default=NOT_YET, long_name="step in which it adopted, noted in the next one; before: -1"),
    )
    acquaintances = Network(agents, graph="make_graph")

    def check(self) -> None:
        """Refuse more seeds than agents."""
        self.require(self.n_seeds <= self.n_agents, f"n_seeds ({self.n_seeds}) exceeds n_agents ({self.n_agents})")

    def start(self, agents: Any, draw: Any) -> None:
        """Give the threshold to all; choose the immune."""
        agents.threshold[:] = self.threshold
        immune = draw.permutation("immune")[: round(self.immune * self.n_agents)]
        agents.immune[:] = np.isin(agents.ids, immune)

    def make_graph(self, agents: Any, draw: Any) -> Any:
        """Make the network."""
        return made(self, draw.of(agents))

    def connected(self, agents: Any, acquaintances: Any, draw: Any) -> None:
        """Choose seeds."""
        agents.active[:] = seeds(self, agents, acquaintances, draw)

    @update(agents)
    def note(me, agents, new, step):
        """Note when it adopted."""
        if agents.active[me] == 1 and agents.joined[me] < 0:
            new.joined[me] = step

    @gather(acquaintances, neighbours=count(), active_neighbours=count())
    def look(me, other, agents, acc):
        """1. See how many of the neighbours are active."""
        acc.neighbours += 1
        acc.active_neighbours += agents.active[other]

    @decision(agents.active, options=("wait", "adopt"), after=look)
    def adopt(me, agents, acc, p, draw):
        """2. Adopt if they are enough."""
        if agents.active[me] == 1:
            return 1
        if agents.immune[me]:
            return 0
        if p.spontaneous > 0.0 and draw.chance("spontaneously", p.spontaneous):
            return 1
        if acc.neighbours == 0:
            return 0
        return 1 if acc.active_neighbours / acc.neighbours >= agents.threshold[me] else 0

    observe = CASCADE
    stop = [unchanged(agents.active, when={"spontaneous": 0.0}), nobody_left_to_adopt]


class IndependentCascade(Scenario):
    """Whoever adopts has one chance to persuade each of its neighbours (Goldenberg, Libai & Muller 2001).

    Goldenberg, Libai & Muller (2001), "Talk of the network", Mark. Lett. 12, 211-223; Kempe, Kleinberg & Tardos (2003),
    "Maximizing the spread of influence through a social network", Proc. KDD, 137-146. In a step

    1. each agent that became active in the step before tries once to persuade each neighbour that is not; it succeeds
       with the probability of the edge, independently of all else;
    2. who was persuaded by at least one becomes active.

    The probability of an edge is ``probability`` (``probabilities="constant"``), one over the number of edges that
    lead to the one to be persuaded (``"weighted_cascade"``), or the ``probability`` of each edge of the graph given
    (``"edges"``).

    The agents reached are distributed as those that can be reached from the seeds when each edge is kept with its
    probability (bond percolation), so sigma(S), the mean number of them, is n times the chance that S meets the set R
    of all that reach an agent drawn evenly, over kept edges. From the end of a path of n agents sigma is
    (1 - p^n) / (1 - p); in a star from the hub 1 + p (n - 1), from a leaf 1 + p + p^2 (n - 2).
    """

    paper = "Kempe, Kleinberg & Tardos (2003) Proc. 9th KDD, 137-146, doi:10.1145/956750.956769"
    default_steps = 10_000

    n_agents: int = param(1000, low=1, description="number of agents")
    probabilities: Literal["constant", "weighted_cascade", "edges"] = param(
        "constant", description="where the probability of an edge comes from"
    )
    probability: float = param(0.1, low=0, high=1, description="probability to persuade a neighbour, if constant")
    n_seeds: int = param(1, low=0, description="agents that are active at the start")
    seeding: Seeding = param("random", description="who they are")
    graph: graphs.Kind = param("small_world", description="kind of network")
    mean_degree: float = param(10.0, low=0, description="neighbours of an agent in the mean")
    rewiring: float = param(0.1, low=0, high=1, description="of small_world: share of edges that lead elsewhere")

    agents = population(
        size="n_agents",
        active=field(int, low=0, high=1, long_name="whether it is active"),
        joined=field(int, default=NOT_YET, long_name="step in which it adopted, noted in the next one; before: -1"),
    )
    acquaintances = Network(
        agents, graph="make_graph", directed=True, sees="in", probability=field(default=NOT_GIVEN, low=0, high=1)
    )

    def check(self) -> None:
        """Refuse more seeds than agents."""
        self.require(self.n_seeds <= self.n_agents, f"n_seeds ({self.n_seeds}) exceeds n_agents ({self.n_agents})")

    def make_graph(self, agents: Any, draw: Any) -> Any:
        """Make edges both ways."""
        return graphs.both_ways(made(self, draw.of(agents)))

    def connected(self, agents: Any, acquaintances: Any, draw: Any) -> None:
        """Choose seeds; refuse edges without the probability that is asked of them."""
        agents.active[:] = seeds(self, agents, acquaintances, draw)
        if self.probabilities == "edges":
            given = bool((acquaintances.probability != NOT_GIVEN).all())
            self.require(given, "probabilities='edges' needs acquaintances each of whose edges has a `probability`")

    @update(agents)
    def note(me, agents, new, step):
        """Note when it adopted; who did in the step before speaks in this one."""
        if agents.active[me] == 1 and agents.joined[me] < 0:
            new.joined[me] = step

    @gather(acquaintances, n_in=count(), speakers=count(), luck=running(math.inf))
    def hear(me, other, edge, agents, p, step, draw, acc):
        """1. Of independent chances at least one comes true if the lowest of their draws is below the probability."""
        acc.n_in += 1
        if agents.joined[other] == step and agents.active[me] == 0:
            acc.speakers += 1
            luck = draw.uniform("persuades", to=other)
            if p.probabilities == "edges":
                luck -= edge.probability
            acc.luck = min(acc.luck, luck)

    @decision(agents.active, options=("wait", "adopt"), after=hear)
    def adopt(me, agents, acc, p):
        """2. Become active if anybody was persuasive."""
        if agents.active[me] == 1:
            return 1
        if p.probabilities == "edges":
            probability = 0.0
        elif p.probabilities == "weighted_cascade":
            probability = 1.0 / max(acc.n_in, 1)
        else:
            probability = p.probability
        return 1 if acc.luck < probability else 0

    observe = CASCADE
    stop = unchanged(agents.active)


class LinearThreshold(Scenario):
    """An agent adopts once the weights of its active neighbours reach its threshold, drawn evenly (Kempe et al. 2003).

    Kempe, Kleinberg & Tardos (2003), "Maximizing the spread of influence through a social network", Proc. KDD, 137-146,
    after Granovetter and Schelling. Thresholds are drawn at the start, uniform on (0, 1] (``start={"threshold": ...}``
    gives others; 0 needs nobody). In a step all who wait

    1. add up the weights of the edges that lead to them from active agents,
    2. and adopt for good if the sum is at least the threshold.

    Weights are one over the number of edges that lead to the agent (``weights="equal"``), or the ``weight`` of each
    edge of the graph given (``"edges"``), not negative; those that lead to one agent add up to 1 at most.

    The agents reached are distributed as those that can be reached from the seeds when each agent keeps at most one of
    the edges that lead to it, each with the probability that is its weight.
    """

    paper = "Kempe, Kleinberg & Tardos (2003) Proc. 9th KDD, 137-146, doi:10.1145/956750.956769"
    default_steps = 10_000

    n_agents: int = param(1000, low=1, description="number of agents")
    weights: Literal["equal", "edges"] = param("equal", description="where the weights of edges come from")
    n_seeds: int = param(1, low=0, description="agents that are active at the start")
    seeding: Seeding = param("random", description="who they are")
    graph: graphs.Kind = param("small_world", description="kind of network")
    mean_degree: float = param(10.0, low=0, description="neighbours of an agent in the mean")
    rewiring: float = param(0.1, low=0, high=1, description="of small_world: share of edges that lead elsewhere")

    agents = population(
        size="n_agents",
        active=field(int, low=0, high=1, long_name="whether it is active"),
        threshold=field(low=0, high=1, long_name="sum of weights at which it adopts"),
        joined=field(int, default=NOT_YET, long_name="step in which it adopted, noted in the next one; before: -1"),
    )
    acquaintances = Network(
        agents, graph="make_graph", directed=True, sees="in", weight=field(default=NOT_GIVEN, low=0)
    )

    def check(self) -> None:
        """Refuse more seeds than agents."""
        self.require(self.n_seeds <= self.n_agents, f"n_seeds ({self.n_seeds}) exceeds n_agents ({self.n_agents})")

    def start(self, agents: Any, draw: Any) -> None:
        """Draw thresholds."""
        agents.threshold[:] = 1.0 - draw.uniform("threshold")

    def make_graph(self, agents: Any, draw: Any) -> Any:
        """Make edges both ways."""
        return graphs.both_ways(made(self, draw.of(agents)))

    def connected(self, agents: Any, acquaintances: Any, draw: Any) -> None:
        """Choose seeds; refuse weights that are missing, or too much for one agent."""
        agents.active[:] = seeds(self, agents, acquaintances, draw)
        if self.weights == "edges":
            given = bool((acquaintances.weight != NOT_GIVEN).all())
            self.require(given, "weights='edges' needs acquaintances each of whose edges has a `weight`")
            sums = np.bincount(acquaintances.target, weights=acquaintances.weight, minlength=len(agents))
            self.require(
                sums.max() <= 1.0 + ROUNDING,
                f"the weights of the edges that lead to agent {sums.argmax()} add up to {sums.max():g}, not 1 at most",
            )

    @update(agents)
    def note(me, agents, new, step):
        """Note when it adopted."""
        if agents.active[me] == 1 and agents.joined[me] < 0:
            new.joined[me] = step

    @gather(acquaintances, n_in=count(), n_active=count(), weight=total())
    def look(me, other, edge, agents, p, acc):
        """1. Add up the weights of the active among those before it."""
        acc.n_in += 1
        if agents.active[other] == 1:
            acc.n_active += 1
            if p.weights == "edges":
                acc.weight += edge.weight

    @decision(agents.active, options=("wait", "adopt"), after=look)
    def adopt(me, agents, acc, p):
        """2. Adopt if the sum is enough."""
        if agents.active[me] == 1:
            return 1
        weight = acc.weight
        if p.weights == "equal":
            weight = acc.n_active / max(acc.n_in, 1)
        return 1 if weight >= agents.threshold[me] else 0

    observe = CASCADE
    stop = unchanged(agents.active)
