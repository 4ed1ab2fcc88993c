"""Classics of herding: Banerjee's options, learning from Gaussian signals, and learning from neighbours alone.

The scenario of `social_learning` with its two precise signals is Bikhchandani, Hirshleifer & Welch (1992). Here are

* `BanerjeeHerding`: a continuum of options, one of them right (Banerjee 1992);
* `GaussianLearning`: signals of unbounded strength, so that herds are overturned and learning is slow (Smith & Sorensen
  2000; Hann-Caruthers, Martynov & Tamuz 2018);
* `NetworkLearning`: agents who see the actions of their neighbours only.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from simengine import (
    Network,
    Output,
    Scenario,
    count,
    decision,
    field,
    gather,
    graphs,
    observable,
    param,
    population,
    update,
)
from simengine.diagnostics import streaming

TIE = 1e-9
LATTICE = 2.0**40
HALF_ROOT = math.sqrt(0.5)
ROOT_OF_CIRCLE = math.sqrt(2.0 * math.pi)
FAR = 30.0

CHOICES = (
    Output("accuracy", "1", "share of this step's agents who choose the right option"),
    Output("never_right_share", "1", "share of communities where nobody has chosen the right option"),
    Output("herding_share", "1", "share of communities where an option has two adopters"),
    Output("wrong_herd_share", "1", "share of communities that herd on a wrong option"),
)


@observable(outputs=CHOICES)
def choices(agents: Any) -> dict[str, float]:
    """Who is right, and who herds."""
    herding = agents.herd > 0.0
    return {
        "accuracy": float((agents.option == agents.right).mean()),
        "never_right_share": float((agents.right_adopters == 0).mean()),
        "herding_share": float(herding.mean()),
        "wrong_herd_share": float((herding & (agents.herd != agents.right)).mean()),
    }


class BanerjeeHerding(Scenario):
    """Agents in sequence choose among a continuum of options, of which one is right (Banerjee 1992).

    Communities live in parallel; a step is one agent in each. With probability ``informed`` the agent gets a signal:
    the right option with probability ``accuracy``, otherwise any option, never one named before. Option 0, which is
    wrong, is what nobody has a reason for. The rules of the equilibrium, in which an agent prefers its own reason to an
    equal one of others:

    1. no signal: option 0 while nobody has left it, then the option that has two adopters, or else the highest chosen;
    2. a signal: it is followed, unless some option other than 0 has two adopters and none chosen so far matches it.

    A match shows both to be right, so that the option which was the last to find a second adopter is herded on.

    Nobody ever chooses the right option with probability (1 - a)(1 - s) / (1 - a (1 - s)), a = ``informed`` > 0 and
    s = ``accuracy``: the first signal is wrong, so are those that follow, until one who has none makes a herd.
    """

    paper = "Banerjee (1992) Q. J. Econ. 107, 797-817, doi:10.2307/2118364"
    default_steps = 100

    n_communities: int = param(1000, low=1, description="communities that live in parallel")
    informed: float = param(0.5, low=0, high=1, description="probability of a signal")
    accuracy: float = param(0.6, low=0, high=1, description="probability of a signal to be right")

    agents = population(
        size="n_communities",
        dim="community",
        right=field(long_name="right option, in (0, 1]"),
        signal=field(long_name="signal: an option, or 0 for none"),
        option=field(long_name="option chosen"),
        highest=field(long_name="highest option chosen so far"),
        herd=field(long_name="option with two adopters; 0: none"),
        right_adopters=field(int, long_name="agents who chose the right option"),
    )

    def start(self, agents: Any, draw: Any) -> None:
        """Any option may be right."""
        agents.right[:] = 1.0 - draw.uniform("right")

    @update(agents)
    def hear(me, agents, new, p, draw):
        """A signal, or none."""
        signal = agents.right[me] if draw.chance("right", p.accuracy) else 1.0 - draw.uniform("wrong")
        new.signal[me] = signal if draw.chance("informed", p.informed) else 0.0

    @decision(agents.option)
    def choose(me, agents):
        """The rules of the equilibrium."""
        signal, herd = agents.signal[me], agents.herd[me]
        if signal == 0.0:
            return herd if herd > 0.0 else agents.highest[me]
        matches = signal == agents.right[me] and agents.right_adopters[me] > 0
        return herd if herd > 0.0 and not matches else signal

    @update(agents)
    def see(me, agents, new):
        """Everybody sees the choice; the second adopter of an option makes a herd."""
        option, right = agents.option[me], agents.right[me]
        again = option == agents.highest[me] or (option == right and agents.right_adopters[me] > 0)
        if option > 0.0 and again:
            new.herd[me] = option
        if option == right:
            new.right_adopters[me] += 1
        new.highest[me] = max(agents.highest[me], option)

    observe = [choices]


def log_upper_tail(x: float) -> float:
    """Return the logarithm of the upper tail of the standard normal distribution."""
    if x < 0.0:
        return math.log1p(-0.5 * math.erfc(-x * HALF_ROOT))
    if x > FAR:
        # The asymptotic series; the tail itself is below all floats from 38.5 on.
        small = 1.0 / (x * x)
        return -0.5 * x * x - math.log(x * ROOT_OF_CIRCLE) + math.log1p(small * (-1.0 + small * (3.0 - 15.0 * small)))
    return math.log(0.5 * math.erfc(x * HALF_ROOT))


LEARNING = (
    Output("accuracy", "1", "share of this step's agents who act rightly"),
    Output("log_likelihood_ratio", "1", "mean public log-likelihood ratio in favour of the true state"),
    Output("mean_switches", "1", "mean number of actions so far that differ from the one before"),
)


@observable(outputs=LEARNING)
def learning(agents: Any) -> dict[str, float]:
    """How much is known, and how often herds were overturned."""
    toward = 2.0 * agents.state - 1.0
    return {
        "accuracy": float((agents.action == agents.state).mean()),
        "log_likelihood_ratio": float((toward * agents.log_odds).mean()),
        "mean_switches": float(agents.switches.mean()),
    }


class GaussianLearning(Scenario):
    """Agents in sequence with Gaussian signals: everybody learns in the end, very slowly.

    The state is good or bad with equal probability. A step is one agent in each community:

    1. it draws a signal s, normal with mean 1 (good) or -1 (bad) and standard deviation ``noise``;
    2. it acts "good" if s > c, with c = -l noise**2 / 2 and l the public log-likelihood ratio of good;
    3. everybody sees the action: l grows by ln [Q((c - 1) / noise) / Q((c + 1) / noise)] after "good", with Q the upper
       tail of the normal distribution, and by ln [Q((1 - c) / noise) / Q((-1 - c) / noise)] after "bad".

    After an action the public favours it (the overturning principle of Smith & Sorensen), so that a single contrarian
    ends a herd. Given a bad state, exp(l) is a martingale. Along a herd on the right action
    (``path="right_herd"``, where nothing is drawn) l approaches (2 sqrt(2) / noise) sqrt(ln t), against growth in
    proportion to t if signals were seen.
    """

    paper = "Smith & Sorensen (2000) Econometrica 68, 371-398, doi:10.1111/1468-0262.00113"
    default_steps = 1000

    n_communities: int = param(1000, low=1, description="communities that live in parallel")
    noise: float = param(1.0, above=0, high=1e6, description="standard deviation of signals")
    path: Literal["drawn", "right_herd"] = param("drawn", description="whether signals are drawn or all act rightly")

    agents = population(
        size="n_communities",
        dim="community",
        state=field(int, long_name="state: 1 good, 0 bad"),
        log_odds=field(long_name="public log-likelihood ratio of good"),
        signal=field(long_name="private signal"),
        action=field(int, long_name="action: 1 good, 0 bad"),
        last=field(int, default=-1, long_name="action of the agent before; -1: none"),
        switches=field(int, long_name="actions so far that differ from the one before"),
    )

    def start(self, agents: Any, draw: Any) -> None:
        """Draw the states."""
        agents.state[:] = draw.uniform("state") < 0.5

    @update(agents, when={"path": "drawn"})
    def hear(me, agents, new, p, draw):
        """1. A signal."""
        new.signal[me] = draw.normal("signal", 2.0 * agents.state[me] - 1.0, p.noise)

    @decision(agents.action, options=("bad", "good"))
    def act(me, agents, p):
        """2. What is likelier to be right; on the path of a herd, what is right."""
        if p.path == "right_herd":
            return agents.state[me]
        return 1 if agents.signal[me] > -0.5 * agents.log_odds[me] * p.noise * p.noise else 0

    @update(agents)
    def learn(me, agents, new, p):
        """3. Everybody sees the action."""
        action, last = agents.action[me], agents.last[me]
        toward = 1.0 if action == 1 else -1.0
        cut = -toward * 0.5 * agents.log_odds[me] * p.noise * p.noise
        gained = log_upper_tail((cut - 1.0) / p.noise) - log_upper_tail((cut + 1.0) / p.noise)
        new.log_odds[me] += toward * gained
        new.switches[me] += 1 if last >= 0 and action != last else 0
        new.last[me] = action

    observe = [learning]


ACTIONS = ("bad", "good", "herd_bad", "herd_good")


@observable
def accuracy(agents: Any) -> float:
    """Share of agents who act rightly."""
    return float(((agents.action >= 0) & (agents.action % 2 == agents.state)).mean())


@observable
def herding_share(agents: Any) -> float:
    """Share of agents who act as they do whatever their signal."""
    return float((agents.action >= 2).mean())


class NetworkLearning(Scenario):
    """Agents in sequence who see the actions of their neighbours only, and take these for independent signals.

    The state is good or bad; in a step all act once, in the order of their ids. An agent

    1. gets a signal that equals the state with probability ``precision`` (once, before the first step);
    2. adds up ln(q / (1 - q)), q = ``precision``, for each neighbour's action good, and its negative for each bad one:
       of neighbours who have acted, and whose action followed their signal (``heeds="informative"``), or of all
       (``heeds="all"``);
    3. adds prior and own signal, and acts on the sign; a tie goes to its signal.

    This is naive Bayes, bounded-rational: what neighbours have in common is counted again and again. Exact Bayes is
    intractable on graphs with loops. On the complete graph, where everybody sees all, it is exact and the cascades of
    `SocialLearning` come back; an isolated agent follows its signal. In further steps agents keep their signals and act
    again, seeing what all their neighbours did last.
    """

    paper = "Bikhchandani, Hirshleifer & Welch (1992) J. Polit. Econ. 100, 992-1026, doi:10.1086/261849"
    default_steps = 1

    n_agents: int = param(1000, low=1, description="number of agents")
    graph: graphs.Kind = param("small_world", description="kind of network")
    mean_degree: float = param(10.0, low=0, description="mean number of neighbours")
    rewiring: float = param(0.1, low=0, high=1, description="share of edges rewired in a small world")
    precision: float = param(0.7, low=0.5, below=1, description="precision of signals")
    prior: float = param(0.5, above=0, below=1, description="probability that the state is good")
    state: Literal["drawn", "good", "bad"] = param("drawn", description="state of all agents")
    heeds: Literal["informative", "all"] = param("informative", description="whose actions count")

    agents = population(
        size="n_agents",
        state=field(int, long_name="state: 1 good, 0 bad; the same for all"),
        signal=field(int, long_name="private signal: 1 good, 0 bad"),
        action=field(int, default=-1, long_name="action: 0 bad, 1 good, 2 and 3 the same in a herd; -1: not yet"),
    )
    acquaintances = Network(agents, graph="make_graph")

    def derived(self) -> dict[str, float]:
        """Prior and signals in log-odds, multiples of 2**-40, so that equal ones cancel."""
        weight, prior = (math.log(q / (1.0 - q)) for q in (self.precision, self.prior))
        return {"weight": round(weight * LATTICE) / LATTICE, "prior_odds": round(prior * LATTICE) / LATTICE}

    def start(self, agents: Any, draw: Any) -> None:
        """Draw the state and the signals."""
        drawn = draw.uniform("state")[0] < self.prior
        agents.state[:] = {"good": 1, "bad": 0}.get(self.state, int(drawn))
        right = draw.uniform("signal") < self.precision
        agents.signal[:] = (agents.state[:] == 1) == right

    def make_graph(self, draw: Any) -> Any:
        """A network of the kind asked for."""
        return graphs.make(
            self.graph, self.n_agents, draw.seed_for("graph"), mean_degree=self.mean_degree, rewiring=self.rewiring
        )

    @gather(acquaintances, good=count(), bad=count())
    def look(me, other, agents, p, acc):
        """2. Count the neighbours' actions."""
        action = agents.action[other]
        if action >= 0 and (p.heeds == "all" or action < 2):
            acc.good += action % 2
            acc.bad += 1 - action % 2

    @decision(agents.action, options=ACTIONS, after=look, order="sequential")
    def act(me, agents, p, acc):
        """3. Act on what was heard and the own signal, and say whether the signal mattered."""
        heard = p.prior_odds + p.weight * (acc.good - acc.bad)
        if heard > p.weight + TIE:
            return 3
        if heard < -p.weight - TIE:
            return 2
        odds = heard + p.weight * (2.0 * agents.signal[me] - 1.0)
        return 1 if odds > TIE else (0 if odds < -TIE else agents.signal[me])

    observe = [accuracy, herding_share, streaming.entropy("agents.action")]
