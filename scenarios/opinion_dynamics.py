"""Continuous opinions that people average: DeGroot, Friedkin-Johnsen, Deffuant-Weisbuch, Hegselmann-Krause.

Opinions are numbers, at the start uniform from 0 to 1. In all four models

- ``contacts`` says whom an agent may listen to: its neighbours in ``acquaintances`` (a generator chosen by ``graph``,
  or the user's own, ``start={"acquaintances": ...}``: a networkx graph, an edge list, a file), or all others. Agents
  without neighbours keep their opinion; an edge from an agent to itself is refused.
- ``stubborn`` is the share of agents, drawn at the start, that never change their opinion; ``start`` may name them.
- ``media`` are sources that speak to everybody and listen to nobody, their opinions evenly spaced from 0 to 1 unless
  ``start`` gives others.
- ``noise`` is that of the literature named in each model; 0 without it.
- ``community`` (blocks of consecutive ids) is compared by the measures and changes nothing.

A run ends when opinions stay as they are: ``stopped_at`` is the consensus time where one cluster is left. With noise
it ends with its last step. Clusters are divided by gaps wider than ``cluster_gap`` (in models with a confidence bound:
than the bound), major ones hold more than 2 % of the agents; see ``opinion_dynamics_measures.py``.

The voter model, of opinions that are copied, is in ``voter.py``; thresholds and cascades are in ``contagion.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from simengine import (
    Matching,
    Network,
    Random,
    Scenario,
    Window,
    count,
    decision,
    events,
    field,
    gather,
    graphs,
    param,
    population,
    running,
    send,
    summed,
    total,
    unchanged,
    update,
)
from simengine.scenarios.contagion import Granovetter, IndependentCascade, LinearThreshold, WattsCascade
from simengine.scenarios.opinion_dynamics_measures import MEASURES, settled
from simengine.scenarios.voter import Voter

__all__ = [
    "DeGroot",
    "DeffuantWeisbuch",
    "FriedkinJohnsen",
    "Granovetter",
    "HegselmannKrause",
    "IndependentCascade",
    "LinearThreshold",
    "Voter",
    "WattsCascade",
]

ALL = 0
"""The only member of ``public``: what is told to it, everybody hears."""

Contacts = Literal["network", "well_mixed"]
NO_EDGES = {"source": (), "target": ()}


def drawn_share(share: float, agents: Any, draw: Any) -> Any:
    """Return for each agent whether it is among a share of them, rounded to whole agents, drawn evenly."""
    chosen = np.argsort(draw.of(agents).uniform("stubborn"), kind="stable")[: round(share * len(agents))]
    return np.isin(np.arange(len(agents)), chosen)


def blocks(agents: Any, number: int) -> Any:
    """Return communities of consecutive ids, as equal as can be."""
    return np.arange(len(agents)) * number // max(len(agents), 1)


def made(p: Any, draw: Any) -> Any:
    """Return the network that the parameters ask for."""
    if p.contacts == "well_mixed":
        return NO_EDGES
    return graphs.make(p.graph, p.n_agents, draw.seed_for("graph"), mean_degree=p.mean_degree, rewiring=p.rewiring)


class DeGroot(Scenario):
    """Everybody takes the weighted mean of what it hears, again and again (DeGroot 1974).

    DeGroot (1974), "Reaching a consensus", J. Am. Stat. Assoc. 69, 118-121. An edge of ``acquaintances`` leads from an
    agent to one whom it listens to, with ``weight``; an undirected graph gives each edge both ways. In a step all

    1. hear their neighbours (well mixed: all others, each with weight 1),
    2. hear the media, each with weight v = ``media_weight``,
    3. and take the mean, themselves included with weight w_ii = ``self_weight``:

           x_i(t + 1) = [w_ii x_i + sum_j w_ij x_j + v sum_m y_m] / [w_ii + sum_j w_ij + v n_media] + noise,

       that is x(t + 1) = W x(t) with W row-stochastic, whatever the weights; noise is normal with standard deviation
       ``noise`` (Stern & Livan 2021, R. Soc. Open Sci. 8, 201943). Who hears nobody keeps its opinion. Negative
       weights are refused.

    If W is strongly connected and aperiodic (w_ii > 0), all approach pi' x(0), where pi' W = pi' is the influence of
    each; the error falls as the second largest modulus of the eigenvalues of W, to the power t. If edges go both ways
    with equal weights, pi_i is proportional to w_ii + sum_j w_ij. If opinions at the start are a truth with independent
    errors of variance s^2, the consensus has variance s^2 sum pi_i^2: crowds are wise where max pi_i vanishes (Golub &
    Jackson 2010, Am. Econ. J. Microecon. 2, 112-149), which fails on a star, whose centre keeps a share of about 1/3
    (w_ii = 1).
    """

    paper = "DeGroot (1974) J. Am. Stat. Assoc. 69, 118-121, doi:10.1080/01621459.1974.10480137"
    default_steps = 10_000

    n_agents: int = param(1000, low=1, description="number of agents")
    contacts: Contacts = param("network", description="whom an agent may listen to")
    graph: graphs.Kind = param("small_world", description="kind of network")
    mean_degree: float = param(10.0, low=0, description="neighbours of an agent in the mean")
    rewiring: float = param(0.1, low=0, high=1, description="of small_world: share of edges that lead elsewhere")
    self_weight: float = param(1.0, low=0, description="weight of the own opinion; an edge has 1 unless it says other")
    stubborn: float = param(0.0, low=0, high=1, description="share of agents that never change their opinion")
    n_media: int = param(0, low=0, description="number of media")
    media_weight: float = param(1.0, low=0, description="weight of each of the media")
    noise: float = param(0.0, low=0, unit="1", description="standard deviation of the noise of a step")
    n_communities: int = param(4, low=1, description="communities whose opinions are compared")
    cluster_gap: float = param(0.05, above=0, unit="1", description="gap of opinions that divides clusters")

    agents = population(
        size="n_agents",
        opinion=field(long_name="opinion"),
        stubborn=field(bool, long_name="whether it never changes its opinion"),
        community=field(int, long_name="community"),
    )
    media = population(size="n_media", dim="medium", opinion=field(long_name="opinion"))
    public = population(size=1, dim="public")

    acquaintances = Network(agents, graph="make_graph", directed=True, weight=field(default=1.0, low=0))

    def start(self, agents: Any, media: Any, draw: Any) -> None:
        """Give opinions evenly."""
        agents.opinion[:] = draw.of(agents).uniform("opinion")
        agents.stubborn[:] = drawn_share(self.stubborn, agents, draw)
        agents.community[:] = blocks(agents, self.n_communities)
        media.opinion[:] = np.linspace(0.0, 1.0, self.n_media)

    def make_graph(self, agents: Any, draw: Any) -> Any:
        """Make edges both ways."""
        return graphs.both_ways(made(self, draw.of(agents)))

    @gather(acquaintances, when={"contacts": "network"}, heard=total(), weight=total())
    def listen(me, other, edge, agents, acc):
        """1. Hear the neighbours."""
        acc.heard += edge.weight * agents.opinion[other]
        acc.weight += edge.weight

    @send(agents, to=public, when={"contacts": "well_mixed"}, said=summed())
    def say(me, agents, send):
        """1. Tell everybody."""
        send.said(ALL, agents.opinion[me])

    @send(media, to=public, shown=summed())
    def show(me, media, send):
        """2. The media tell everybody."""
        send.shown(ALL, media.opinion[me])

    @decision(agents.opinion, after=listen)
    def revise(me, agents, public, acc, p, draw):
        """3. Take the mean."""
        heard = acc.heard + p.self_weight * agents.opinion[me] + p.media_weight * public.shown[ALL]
        weight = acc.weight + p.self_weight + p.media_weight * p.n_media
        if p.contacts == "well_mixed":
            heard += public.said[ALL] - agents.opinion[me]
            weight += p.n_agents - 1.0
        if agents.stubborn[me] or not weight > 0.0:
            return agents.opinion[me]
        if p.noise > 0.0:
            return heard / weight + draw.normal("noise", 0.0, p.noise)
        return heard / weight

    observe = MEASURES
    stop = unchanged(agents.opinion, within=1e-12, when={"noise": 0.0})


class FriedkinJohnsen(Scenario):
    """Everybody takes the weighted mean of what it hears, but stays attached to its first opinion (1990).

    Friedkin & Johnsen (1990), "Social influence and opinions", J. Math. Sociol. 15, 193-206. As DeGroot's model, with
    the same weights, but an agent of susceptibility l_i (``susceptibility``, 0 for the stubborn, others by ``start``)
    gives its innate opinion, the one it has at the start, the share 1 - l_i:

        x(t + 1) = L W x(t) + (I - L) x(0) + noise,  L = diag(l).

    Where the spectral radius of L W is below 1 (all l_i < 1 are enough), opinions settle at the only fixed point

        x* = (I - L W)^-1 (I - L) x(0),

    each a mean of innate opinions, so that nobody leaves their range, and consensus is rare. With one l for all on a
    complete graph, w_ii = 1 and no media, x*_i = (1 - l) x_i(0) + l mean(x(0)). With noise of standard deviation s the
    variance of an opinion about x*_i is there s^2 [1 + l^2 / (n (1 - l^2))].
    """

    paper = "Friedkin & Johnsen (1990) J. Math. Sociol. 15, 193-206, doi:10.1080/0022250X.1990.9990069"
    default_steps = 10_000

    n_agents: int = param(1000, low=1, description="number of agents")
    contacts: Contacts = param("network", description="whom an agent may listen to")
    graph: graphs.Kind = param("small_world", description="kind of network")
    mean_degree: float = param(10.0, low=0, description="neighbours of an agent in the mean")
    rewiring: float = param(0.1, low=0, high=1, description="of small_world: share of edges that lead elsewhere")
    susceptibility: float = param(0.8, low=0, high=1, description="share of what is heard in an opinion")
    self_weight: float = param(1.0, low=0, description="weight of the own opinion; an edge has 1 unless it says other")
    stubborn: float = param(0.0, low=0, high=1, description="share of agents of susceptibility 0")
    n_media: int = param(0, low=0, description="number of media")
    media_weight: float = param(1.0, low=0, description="weight of each of the media")
    noise: float = param(0.0, low=0, unit="1", description="standard deviation of the noise of a step")
    n_communities: int = param(4, low=1, description="communities whose opinions are compared")
    cluster_gap: float = param(0.05, above=0, unit="1", description="gap of opinions that divides clusters")

    agents = population(
        size="n_agents",
        opinion=field(long_name="opinion"),
        innate=field(long_name="opinion at the start"),
        susceptibility=field(low=0, high=1, long_name="share of what is heard in the opinion"),
        community=field(int, long_name="community"),
    )
    media = population(size="n_media", dim="medium", opinion=field(long_name="opinion"))
    public = population(size=1, dim="public")

    acquaintances = Network(agents, graph="make_graph", directed=True, weight=field(default=1.0, low=0))

    def start(self, agents: Any, media: Any, draw: Any) -> None:
        """Give innate opinions evenly, which are the first ones."""
        agents.innate[:] = draw.of(agents).uniform("opinion")
        agents.opinion[:] = agents.innate
        agents.susceptibility[:] = np.where(drawn_share(self.stubborn, agents, draw), 0.0, self.susceptibility)
        agents.community[:] = blocks(agents, self.n_communities)
        media.opinion[:] = np.linspace(0.0, 1.0, self.n_media)

    def make_graph(self, agents: Any, draw: Any) -> Any:
        """Make edges both ways."""
        return graphs.both_ways(made(self, draw.of(agents)))

    @gather(acquaintances, when={"contacts": "network"}, heard=total(), weight=total())
    def listen(me, other, edge, agents, acc):
        """Hear the neighbours."""
        acc.heard += edge.weight * agents.opinion[other]
        acc.weight += edge.weight

    @send(agents, to=public, when={"contacts": "well_mixed"}, said=summed())
    def say(me, agents, send):
        """Tell everybody."""
        send.said(ALL, agents.opinion[me])

    @send(media, to=public, shown=summed())
    def show(me, media, send):
        """The media tell everybody."""
        send.shown(ALL, media.opinion[me])

    @decision(agents.opinion, after=listen)
    def revise(me, agents, public, acc, p, draw):
        """Take the mean of what is heard and of the innate opinion."""
        heard = acc.heard + p.self_weight * agents.opinion[me] + p.media_weight * public.shown[ALL]
        weight = acc.weight + p.self_weight + p.media_weight * p.n_media
        if p.contacts == "well_mixed":
            heard += public.said[ALL] - agents.opinion[me]
            weight += p.n_agents - 1.0
        mean = heard / weight if weight > 0.0 else agents.opinion[me]
        opinion = agents.susceptibility[me] * mean + (1.0 - agents.susceptibility[me]) * agents.innate[me]
        if p.noise > 0.0:
            opinion += draw.normal("noise", 0.0, p.noise)
        return opinion

    observe = MEASURES
    stop = unchanged(agents.opinion, within=1e-14, when={"noise": 0.0})


class DeffuantWeisbuch(Scenario):
    """Two who meet and are not too far apart move towards one another (Deffuant et al. 2000).

    Deffuant, Neau, Amblard & Weisbuch (2000), "Mixing beliefs among interacting agents", Adv. Complex Syst. 3, 87-98.
    A step is n_agents events, one after another (``order="one_by_one"``, the paper's). In each

    1. one agent is drawn evenly, and one of its contacts,
    2. and if |x_i - x_j| < ``bound``, both move by mu = ``convergence`` of their distance towards one another:

           x_i += mu (x_j - x_i),  x_j += mu (x_i - x_j);

       the stubborn do not move;
    3. before that, with probability ``media_weight`` (if there are media), the agent listens to one of them instead,
       within the same bound;
    4. or, with probability ``noise``, it takes a new opinion, uniform from 0 to 1, and meets nobody (Pineda, Toral &
       Hernandez-Garcia 2009, J. Stat. Mech. P08001).

    ``order="in_pairs"`` lets everybody meet at once in random pairs, well mixed; a step is then n_agents / 2 meetings.
    There the move is a decision that any policy can answer; one by one it moves two at once, which no decision does.

    Without noise, media and the stubborn the mean is conserved and the variance never rises. Opinions gather in
    clusters more than the bound apart, major ones about 1 / (2 bound) in number, with minor ones between them and at
    the ends. Uniform at the start, one major cluster is left for bounds from about 0.27, and nobody outside it from
    about 0.5. A run ends when nobody would move by more than ``settled_within`` whomever it met.
    """

    paper = "Deffuant et al. (2000) Adv. Complex Syst. 3, 87-98, doi:10.1142/S0219525900000078"
    default_steps = 10_000

    n_agents: int = param(1000, low=1, description="number of agents")
    bound: float = param(0.2, above=0, unit="1", description="distance below which opinions move one another")
    convergence: float = param(0.5, above=0, high=0.5, description="share of the distance that each of two moves")
    order: Literal["one_by_one", "in_pairs"] = param("one_by_one", description="how meetings follow one another")
    contacts: Contacts = param("well_mixed", description="whom an agent may meet")
    graph: graphs.Kind = param("small_world", description="kind of network")
    mean_degree: float = param(10.0, low=0, description="neighbours of an agent in the mean")
    rewiring: float = param(0.1, low=0, high=1, description="of small_world: share of edges that lead elsewhere")
    stubborn: float = param(0.0, low=0, high=1, description="share of agents that never change their opinion")
    n_media: int = param(0, low=0, description="number of media")
    media_weight: float = param(0.1, low=0, high=1, description="probability to listen to the media in an event")
    noise: float = param(0.0, low=0, high=1, description="probability to take a new opinion in an event")
    settled_within: float = param(1e-6, above=0, unit="1", description="distance at which opinions count as one")
    n_communities: int = param(4, low=1, description="communities whose opinions are compared")

    agents = population(
        size="n_agents",
        opinion=field(long_name="opinion"),
        stubborn=field(bool, long_name="whether it never changes its opinion"),
        community=field(int, long_name="community"),
    )
    media = population(size="n_media", dim="medium", opinion=field(long_name="opinion"))

    acquaintances = Network(agents, graph="make_graph")
    anybody = Random(agents, k=1)
    neighbour = Random(agents, k=1, within=acquaintances)
    pairs = Matching(agents)
    channel = Random(agents, k=1, target=media)

    def check(self) -> None:
        """Refuse pairs on a network."""
        self.require(
            self.order == "one_by_one" or self.contacts == "well_mixed",
            "order='in_pairs' pairs anybody with anybody: it needs contacts='well_mixed'",
        )

    def derived(self) -> Mapping[str, float]:
        """Clusters are divided by gaps as wide as the bound."""
        return {"cluster_gap": self.bound}

    def start(self, agents: Any, media: Any, draw: Any) -> None:
        """Give opinions evenly."""
        agents.opinion[:] = draw.of(agents).uniform("opinion")
        agents.stubborn[:] = drawn_share(self.stubborn, agents, draw)
        agents.community[:] = blocks(agents, self.n_communities)
        media.opinion[:] = np.linspace(0.0, 1.0, self.n_media)

    def make_graph(self, agents: Any, draw: Any) -> Any:
        """Make the network."""
        return made(self, draw.of(agents))

    @gather(anybody, when={"order": "one_by_one", "contacts": "well_mixed"}, met=running(-1))
    def meet_anybody(me, other, acc):
        """1. Meet somebody drawn among the others."""
        acc.met = other

    @gather(neighbour, when={"order": "one_by_one", "contacts": "network"}, met_next=running(-1))
    def meet_neighbour(me, other, acc):
        """1. Meet somebody drawn among the neighbours."""
        acc.met_next = other

    @gather(pairs, when={"order": "in_pairs"}, paired=count(), heard=total())
    def pair_up(me, other, agents, acc):
        """1. Meet the other one of the pair."""
        acc.paired += 1
        acc.heard += agents.opinion[other]

    @gather(channel, tuned=count(), shown=total())
    def watch(me, other, media, acc):
        """3. Turn to one of the media."""
        acc.tuned += 1
        acc.shown += media.opinion[other]

    @update(agents, after=(meet_anybody, meet_neighbour, watch), order=events("n_agents"), when={"order": "one_by_one"})
    def compromise(me, agents, new, acc, p, draw):
        """2.-4. Move, and move the one met."""
        mine = agents.opinion[me]
        partner = acc.met if p.contacts == "well_mixed" else acc.met_next
        if p.noise > 0.0 and draw.chance("changes", p.noise):
            if not agents.stubborn[me]:
                new.opinion[me] = draw.uniform("new_opinion")
        elif acc.tuned > 0 and draw.chance("tunes_in", p.media_weight):
            if not agents.stubborn[me] and abs(acc.shown - mine) < p.bound:
                new.opinion[me] = mine + p.convergence * (acc.shown - mine)
        elif partner >= 0:
            apart = agents.opinion[partner] - mine
            if abs(apart) < p.bound:
                if not agents.stubborn[me]:
                    new.opinion[me] = mine + p.convergence * apart
                if not agents.stubborn[partner]:
                    new.opinion[partner] = agents.opinion[partner] - p.convergence * apart

    @decision(agents.opinion, after=(pair_up, watch), when={"order": "in_pairs"})
    def agree(me, agents, acc, p, draw):
        """2.-4. Move, as the other one of the pair does."""
        mine = agents.opinion[me]
        if agents.stubborn[me]:
            return mine
        if p.noise > 0.0 and draw.chance("changes", p.noise):
            return draw.uniform("new_opinion")
        tuned = acc.tuned > 0 and draw.chance("tunes_in", p.media_weight)
        apart = acc.shown - mine if tuned else acc.heard - mine
        if (tuned or acc.paired > 0) and abs(apart) < p.bound:
            return mine + p.convergence * apart
        return mine

    observe = MEASURES
    stop = settled


class HegselmannKrause(Scenario):
    """Everybody moves to the mean of all who are not too far from its own opinion (Hegselmann & Krause 2002).

    Hegselmann & Krause (2002), "Opinion dynamics and bounded confidence", J. Artif. Soc. Soc. Simul. 5 (3). In a step
    all agents

    1. hear their contacts within the ``bound``, |x_j - x_i| <= bound,
    2. and the media within it, each with weight v = ``media_weight``,
    3. and move to the mean of what they heard and their own opinion; the stubborn stay;
    4. or, with probability ``noise``, take a new opinion, uniform from 0 to 1 (Pineda, Toral & Hernandez-Garcia 2013,
       Eur. Phys. J. B 86, 490).

    Well mixed and without noise, opinions keep their order, and rest after finitely many steps (Blondel, Hendrickx &
    Tsitsiklis 2009, IEEE Trans. Autom. Control 54, 2586-2597) in clusters further apart than the bound. From some 0.2
    on one is left; close to it, after many steps. A step costs a sort, O(n log n).

    Who is *exactly* at the bound, as many are when opinions start equally spaced (``opinions_at_start="equidistant"``),
    depends in floating point on the last bit: distances up to ``bound`` + ``tolerance`` count as within it.
    """

    paper = "Hegselmann & Krause (2002) JASSS 5 (3) 2, https://www.jasss.org/5/3/2.html"
    default_steps = 10_000

    n_agents: int = param(1000, low=1, description="number of agents")
    bound: float = param(0.2, low=0, unit="1", description="distance up to which opinions count")
    tolerance: float = param(1e-9, low=0, unit="1", description="by how much more, for rounding")
    opinions_at_start: Literal["uniform", "equidistant"] = param(
        "uniform", description="drawn evenly, or evenly spaced"
    )
    contacts: Contacts = param("well_mixed", description="whom an agent may listen to")
    graph: graphs.Kind = param("small_world", description="kind of network")
    mean_degree: float = param(10.0, low=0, description="neighbours of an agent in the mean")
    rewiring: float = param(0.1, low=0, high=1, description="of small_world: share of edges that lead elsewhere")
    stubborn: float = param(0.0, low=0, high=1, description="share of agents that never change their opinion")
    n_media: int = param(0, low=0, description="number of media")
    media_weight: float = param(1.0, low=0, description="weight of each of the media within the bound")
    noise: float = param(0.0, low=0, high=1, description="probability to take a new opinion in a step")
    n_communities: int = param(4, low=1, description="communities whose opinions are compared")

    agents = population(
        size="n_agents",
        opinion=field(long_name="opinion"),
        stubborn=field(bool, long_name="whether it never changes its opinion"),
        community=field(int, long_name="community"),
    )
    media = population(size="n_media", dim="medium", opinion=field(long_name="opinion"))

    like_minded = Window(agents.opinion, reach=lambda p: p.bound + p.tolerance)
    acquaintances = Network(agents, graph="make_graph")
    like_minded_media = Window(agents.opinion, sees=media.opinion, reach=lambda p: p.bound + p.tolerance)

    def derived(self) -> Mapping[str, float]:
        """Clusters are divided by gaps as wide as the bound."""
        return {"cluster_gap": self.bound + self.tolerance}

    def start(self, agents: Any, media: Any, draw: Any) -> None:
        """Give opinions, drawn or evenly spaced."""
        if self.opinions_at_start == "uniform":
            agents.opinion[:] = draw.of(agents).uniform("opinion")
        else:
            agents.opinion[:] = np.linspace(0.0, 1.0, self.n_agents)
        agents.stubborn[:] = drawn_share(self.stubborn, agents, draw)
        agents.community[:] = blocks(agents, self.n_communities)
        media.opinion[:] = np.linspace(0.0, 1.0, self.n_media)

    def make_graph(self, agents: Any, draw: Any) -> Any:
        """Make the network."""
        return made(self, draw.of(agents))

    @gather(like_minded, when={"contacts": "well_mixed"}, heard=total(), n=count())
    def hear(me, other, agents, acc):
        """1. Hear all within the bound."""
        acc.heard += agents.opinion[other]
        acc.n += 1

    @gather(acquaintances, when={"contacts": "network"}, heard_next=total(), n_next=count())
    def listen(me, other, agents, p, acc):
        """1. Hear the neighbours within the bound."""
        if abs(agents.opinion[other] - agents.opinion[me]) <= p.bound + p.tolerance:
            acc.heard_next += agents.opinion[other]
            acc.n_next += 1

    @gather(like_minded_media, shown=total(), n_media_heard=count())
    def watch(me, other, media, acc):
        """2. Hear the media within the bound."""
        acc.shown += media.opinion[other]
        acc.n_media_heard += 1

    @decision(agents.opinion, after=(hear, listen, watch))
    def move(me, agents, acc, p, draw):
        """3. and 4. Move to the mean."""
        if agents.stubborn[me]:
            return agents.opinion[me]
        if p.noise > 0.0 and draw.chance("changes", p.noise):
            return draw.uniform("new_opinion")
        weight = 1.0 + acc.n + acc.n_next + p.media_weight * acc.n_media_heard
        return (agents.opinion[me] + acc.heard + acc.heard_next + p.media_weight * acc.shown) / weight

    observe = MEASURES
    stop = unchanged(agents.opinion, within=1e-12, when={"noise": 0.0})
