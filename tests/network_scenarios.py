"""Scenarios on networks, for tests: of a network that changes with its agents, and of one that stays."""

from __future__ import annotations

from typing import Any

import networkx
import numpy as np

from simengine import (
    Network,
    Random,
    Scenario,
    count,
    field,
    gather,
    observable,
    param,
    population,
    rewire,
    running,
    stop_when,
    total,
    update,
)

IDLE, MOVE_ON, FOLLOW = range(3)


@observable
def discordant_edges(agents: Any, ties: Any) -> float:
    """Share of edges whose ends hold different opinions."""
    differ = agents.opinion[ties.source] != agents.opinion[ties.target]
    return float(differ.mean()) if len(ties) else 0.0


@observable(dtype="int64")
def edges(ties: Any) -> int:
    """Edges, counted."""
    return len(ties)


@observable
def majority(agents: Any) -> float:
    """Share of agents that hold the commonest opinion."""
    return float(np.bincount(agents.opinion).max() / len(agents))


@stop_when
def settled(agents: Any, ties: Any) -> bool:
    """Nobody is joined to somebody of another opinion."""
    return bool((agents.opinion[ties.source] == agents.opinion[ties.target]).all())


class AdaptiveVoter(Scenario):
    """Opinions and ties change one another: agents follow their neighbours or leave them for others that agree.

    After Holme & Newman (2006), "Nonequilibrium phase transition in the coevolution of networks and opinions", Phys.
    Rev. E 74, 056108. There one agent acts at a time; here, in every step,

    1. each agent is active with probability ``activity`` and draws one of its neighbours;
    2. with probability ``rewiring`` (phi in the paper) it gives up the tie to that neighbour for a tie to somebody of
       its own opinion: the first such among ``candidates`` others drawn at random, if there is one;
    3. else it takes over the neighbour's opinion.

    All decide on the ground of the same moment: a new tie can join two of whom one just changes its mind, and a tie
    that both ends give up becomes two new ones, so that the number of ties is not conserved. With little rewiring
    nearly all come to one opinion, with much the network falls into groups that each agree.
    """

    paper = "Holme & Newman (2006) Phys. Rev. E 74, 056108, doi:10.1103/PhysRevE.74.056108"
    default_steps = 2000

    n_agents: int = param(100, low=2, description="number of agents")
    degree: int = param(4, low=2, description="mean number of ties of an agent at the start")
    n_opinions: int = param(2, low=2, description="number of opinions at the start")
    rewiring: float = param(0.3, low=0, high=1, description="probability to change a tie, not the opinion")
    activity: float = param(0.5, above=0, high=1, description="probability to act in a step")
    candidates: int = param(6, low=1, description="others among whom one that agrees is sought")

    agents = population(size="n_agents", opinion=field(int), plan=field(int))
    ties = Network(agents, graph="random_graph", strength=field(default=1.0), since=field(int))
    one_neighbour = Random(agents, k=1, within=ties)
    others = Random(agents, k="candidates")

    def start(self, agents: Any, draw: Any) -> None:
        """Give opinions at random."""
        agents.opinion[:] = draw.integer("opinion", 0, self.n_opinions)

    def random_graph(self, draw: Any) -> Any:
        """Return a graph with as many edges as the mean degree asks for, drawn uniformly."""
        most = self.n_agents * (self.n_agents - 1) // 2
        ties = min(self.n_agents * self.degree // 2, most)
        return networkx.gnm_random_graph(self.n_agents, ties, seed=draw.seed_for("graph"))

    @gather(one_neighbour, neighbour=running(-1), heard=running(0))
    def listen(me, other, agents, acc):
        acc.neighbour = other
        acc.heard = agents.opinion[other]

    @gather(others, like_minded=running(-1))
    def look_round(me, other, agents, acc):
        if acc.like_minded < 0 and agents.opinion[other] == agents.opinion[me]:
            acc.like_minded = other

    @update(agents)
    def decide(me, agents, new, p, draw):
        new.plan[me] = IDLE
        if draw.chance("active", p.activity):
            new.plan[me] = MOVE_ON if draw.chance("rewires", p.rewiring) else FOLLOW

    @rewire(ties, after=(listen, look_round))
    def move_on(me, agents, acc, step, draw, edges):
        if agents.plan[me] == MOVE_ON and acc.neighbour >= 0 and acc.like_minded >= 0:
            edges.drop(me, acc.neighbour)
            edges.add(me, acc.like_minded, strength=draw.uniform("strength"), since=step)

    @update(agents, after=listen)
    def follow(me, agents, new, acc):
        if agents.plan[me] == FOLLOW and acc.neighbour >= 0:
            new.opinion[me] = acc.heard

    observe = [discordant_edges, edges, majority]
    stop = settled


class SmallWorldAverage(Scenario):
    """Everybody moves to a weighted mean of its neighbours in a small world that stays (Watts & Strogatz 1998)."""

    n_agents: int = param(200, low=3)
    degree: int = param(6, low=2)
    shortcuts: float = param(0.1, low=0, high=1)
    pull: float = param(0.5, low=0, high=1)

    agents = population(size="n_agents", opinion=field(), neighbours=field(int))
    ties = Network(agents, graph="small_world", weight=field(default=1.0))

    def start(self, agents: Any, draw: Any) -> None:
        """Give opinions at random."""
        agents.opinion[:] = draw.uniform("opinion")

    def small_world(self, agents: Any, draw: Any) -> Any:
        """Return the ring with shortcuts; ties weigh more between those that agree."""
        degree = min(self.degree, self.n_agents - 1)
        graph = networkx.watts_strogatz_graph(self.n_agents, degree, self.shortcuts, seed=draw.seed_for("small world"))
        source, target = np.array(graph.edges, np.int64).reshape(-1, 2).T
        weight = 1.0 - np.abs(agents.opinion[source] - agents.opinion[target])
        return {"source": source, "target": target, "weight": weight}

    @gather(ties, pulled=total(), weight=total(), n=count())
    def listen(me, other, edge, agents, acc):
        acc.pulled += edge.weight * (agents.opinion[other] - agents.opinion[me])
        acc.weight += edge.weight
        acc.n += 1

    @update(agents, after=listen)
    def move(me, agents, new, acc, p):
        new.neighbours[me] = acc.n
        if acc.weight > 0.0:
            new.opinion[me] = agents.opinion[me] + p.pull * acc.pulled / acc.weight

    @observable
    def spread(agents: Any) -> float:
        """Standard deviation of opinions."""
        return float(agents.opinion.std())

    observe = [spread]
