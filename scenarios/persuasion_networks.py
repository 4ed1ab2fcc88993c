"""Persuasion among acquaintances: receivers who see what others did (`WordOfMouth`) or copy them (`Hearsay`).

Both build on the signals of Kamenica & Gentzkow (2011); see `simengine.scenarios.persuasion`.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from simengine import (
    Chosen,
    Network,
    Scenario,
    count,
    decision,
    field,
    gather,
    graphs,
    observable,
    param,
    population,
    reference,
    running,
    tally,
    update,
)
from simengine.diagnostics import streaming
from simengine.scenarios.persuasion_payoffs import needed_posterior, payoff_of_act
from simengine.scenarios.persuasion_receivers import (
    ONLY,
    acceptance,
    acceptance_so_far,
    believed,
    dealt,
    gain,
    persuaded,
    welfare,
)
from simengine.scenarios.persuasion_solver import solve_persuasion

NOT_YET = -1
UNDECIDED, REJECT, ACCEPT = range(3)


@tally("world.good")
def state(values: Any) -> float:
    """Whether the state of this round is good."""
    return float(values[ONLY])


def public_signal(prior: float, needed: Any) -> tuple[float, float]:
    """Return how often the best public signal says "good" in a good and in a bad state."""
    reachable = needed[needed <= 1.0]
    best = solve_persuasion(prior, reachable if reachable.size else 1.0)
    return (float(best.signal[1, 1]), float(best.signal[0, 1])) if len(best.posteriors) == 2 else (1.0, 1.0)


class WordOfMouth(Scenario):
    """Signals of one's own, and acquaintances whose acts one sees: what private persuasion is worth then.

    A step is a round:

    1. A state is drawn: good with probability m = ``prior``, else bad.
    2. A letter to each receiver says "good" or "bad". In a bad state it says "good" with a probability r to which the
       sender is committed: with ``signal="private"`` drawn for everybody apart, the best for its threshold t,
       r = m (1 - t) / ((1 - m) t); with ``"shared"`` one draw for all of the best public signal.
    3. Receivers act one after another, by id. Each sees those of its acquaintances who have acted. It takes a rejection
       for proof of a bad state, if its author could have been convinced, and an acceptance for a letter that said
       "good". It accepts if its belief (the prior weighs ``bias`` in it, as in `Persuasion`) reaches its threshold.
    4. The state is revealed; payoffs are those of `Persuasion`.

    Without acquaintances (``contacts="nobody"``) private signals make E min(1, m / t) accept, more than any public one:
    0.624 where thresholds are normal with mean 0.5 and sd 0.1, and m = 0.3, against 0.431. Word of mouth undoes it.
    Where all see all who acted before them, nobody accepts after the first rejection, which comes in bad states only:
    with N receivers alike,

        m + (1 - m) r / (1 - r) (1 - r**N) / N

    accept (with m = 0.3, t = 0.5, N = 100: 0.30525; with ``signal="shared"`` m / t = 0.6). There beliefs are exact. In
    other networks the acceptances that one sees count as independent, which they are not: bounded rationality.
    """

    paper = "Kamenica & Gentzkow (2011) Am. Econ. Rev. 101, 2590-2615, doi:10.1257/aer.101.6.2590"
    default_steps = 1000

    n_agents: int = param(100, low=1, description="number of receivers")
    prior: float = param(0.3, above=0, below=1, description="probability of the good state")
    signal: Literal["private", "shared"] = param("private", description="whether letters are drawn apart or alike")
    contacts: Literal["network", "nobody"] = param("network", description="whose acts receivers see")
    graph: graphs.Kind = param("complete", description="who knows whom")
    mean_degree: float = param(10.0, above=0, description="acquaintances of a receiver in the mean")
    rewiring: float = param(0.1, low=0, high=1, description="share of edges that lead elsewhere in a small world")
    threshold: float = param(0.5, low=0, high=1, description="belief from which receivers accept; mean")
    threshold_spread: float = param(0.0, low=0, description="sd of thresholds, before truncation to [0, 1]")
    bias: float = param(0.0, low=0, high=1, description="weight of the prior in what receivers believe; mean")
    bias_spread: float = param(0.0, low=0, description="sd of biases, before truncation to [0, 1]")

    letters = population(
        size="n_agents",
        claim=field(long_name="probability to say good in a good state"),
        lie=field(long_name="probability to say good in a bad state"),
        state=field(int, long_name="whether the state is good"),
        message=field(int, long_name="whether it says good"),
    )
    agents = population(
        size="n_agents",
        threshold=field(long_name="belief from which it accepts"),
        bias=field(long_name="weight of the prior"),
        letter=reference(letters, long_name="what it is told"),
        told=field(int, long_name="whether the letter says good"),
        claim=field(long_name="probability of the letter to say good in a good state"),
        lie=field(long_name="probability of the letter to say good in a bad state"),
        open=field(bool, long_name="whether a message can convince it"),
        accepts=field(int, long_name="whether it accepted; -1: has not acted yet", default=NOT_YET),
        accepted=field(int, long_name="rounds in which it accepted"),
        gained=field(long_name="payoff of all rounds"),
    )
    world = population(
        size=1,
        dim="world",
        good=field(bool, long_name="whether the state is good"),
        lot=field(long_name="what decides on a shared message"),
    )
    acquaintances = Network(agents, graph="make_graph")
    my_letter = Chosen(agents.letter)

    def derived(self) -> dict[str, float]:
        """Say in a number whether letters are drawn alike."""
        return {"shared": 1.0 if self.signal == "shared" else 0.0}

    def start(self, agents: Any, letters: Any, draw: Any) -> None:
        """Deal out the receivers' traits, and commit to signals."""
        given = draw.of(agents)
        agents.threshold[:] = dealt(self.threshold, self.threshold_spread, given, "threshold")
        agents.bias[:] = dealt(self.bias, self.bias_spread, given, "bias")
        agents.letter[:] = np.arange(self.n_agents)
        needed = needed_posterior(agents.threshold, self.prior, bias=agents.bias)
        agents.open[:] = needed <= 1.0
        if self.signal == "private":
            best = solve_persuasion(self.prior, np.minimum(needed, 1.0), method="private")
            # Nobody is told anything by one message; whom nothing convinces is told nothing.
            letters.claim[:] = 1.0
            letters.lie[:] = np.where(agents.open, best.signal[:, 0, 1], 1.0)
        else:
            letters.claim[:], letters.lie[:] = public_signal(self.prior, needed)
        agents.claim[:], agents.lie[:] = letters.claim, letters.lie

    def make_graph(self, agents: Any, draw: Any) -> Any:
        """Return who knows whom."""
        if self.contacts == "nobody":
            return {"source": np.empty(0, np.int64), "target": np.empty(0, np.int64)}
        return graphs.make(
            self.graph,
            self.n_agents,
            draw.of(agents).seed_for("graph"),
            mean_degree=self.mean_degree,
            rewiring=self.rewiring,
        )

    @update(world)
    def happen(me, new, p, draw):
        """1. Draw the state."""
        new.good[me] = draw.chance("state", p.prior)
        new.lot[me] = draw.uniform("lot")

    @update(letters)
    def witness(me, new, world):
        """2. Whoever writes sees it."""
        new.state[me] = 1 if world.good[ONLY] else 0

    @decision(letters.message, options=("bad", "good"))
    def write(me, letters, world, p, draw):
        """2. Write a letter."""
        says_good = letters.claim[me] if letters.state[me] == 1 else letters.lie[me]
        lot = world.lot[ONLY] if p.shared > 0 else draw.uniform("message")
        return 1 if lot < says_good else 0

    @gather(my_letter, says=running(0))
    def read(me, other, letters, acc):
        """2. Read it."""
        acc.says = letters.message[other]

    @update(agents, after=read)
    def begin(me, new, acc):
        """3. Nobody has acted yet."""
        new.told[me] = acc.says
        new.accepts[me] = NOT_YET

    @gather(acquaintances, refusals=count(), acceptances=count(), if_good=running(1.0), if_bad=running(1.0))
    def look_round(me, other, agents, acc):
        """3. See who has accepted and who has rejected, and how likely that is in either state."""
        if agents.accepts[other] == 0 and agents.open[other]:
            acc.refusals += 1
            acc.if_good = acc.if_good * (1.0 - agents.claim[other])
        if agents.accepts[other] == 1 and agents.open[other]:
            acc.acceptances += 1
            acc.if_good = acc.if_good * agents.claim[other]
            acc.if_bad = acc.if_bad * agents.lie[other]

    @decision(agents.accepts, options=("reject", "accept"), after=look_round, order="sequential")
    def decide(me, agents, p, acc):
        """3. Accept or reject, in the light of the letter and of the acts of others."""
        good = agents.told[me] == 1
        if_good = agents.claim[me] if good else 1.0 - agents.claim[me]
        if_bad = agents.lie[me] if good else 1.0 - agents.lie[me]
        # A shared letter says all that acts could tell.
        if p.shared == 0:
            if_good, if_bad = if_good * acc.if_good, if_bad * acc.if_bad
        return persuaded(believed(p.prior, if_good, if_bad, agents.bias[me]), agents.threshold[me])

    @update(agents)
    def earn(me, agents, new, world):
        """4. Learn the state, and gain."""
        new.accepted[me] += agents.accepts[me]
        new.gained[me] += gain(agents.accepts[me], world.good[ONLY], agents.threshold[me])

    observe = [state, acceptance, acceptance_so_far, welfare]


@tally("agents.choice")
def share_accepting(values: Any, counts: Any) -> float:
    """Share of receivers who accept."""
    return float(counts[values == ACCEPT].sum() / counts.sum())


@tally("agents.choice")
def share_reached(values: Any, counts: Any) -> float:
    """Share of receivers whom word has reached."""
    return float(counts[values != UNDECIDED].sum() / counts.sum())


@observable
def mean_payoff(agents: Any, world: Any, p: Any) -> float:
    """Mean payoff of what receivers do now; whom no word has reached acts on the prior."""
    alone = np.where(agents.threshold <= p.prior, ACCEPT, REJECT)
    choice = np.where(agents.choice == UNDECIDED, alone, agents.choice)
    return float(payoff_of_act(choice == ACCEPT, world.good[ONLY], agents.threshold).mean())


class Hearsay(Scenario):
    """A public signal that a few hear, and acquaintances who copy them.

    A round takes ``round_length`` steps. In the first of them

    1. a state is drawn: good with probability m = ``prior``, else bad;
    2. the sender sees it and says "good" or "bad", by the public signal to which it is committed;
    3. each receiver hears that with probability ``heard_by``, and accepts if its posterior reaches its threshold.

    In every step after it, those who have not decided do as the majority of those acquaintances who have; where these
    are divided into equals, they do what the prior says. Nobody reconsiders.

    Receivers alike all do as the signal says, once word has reached them: m / t accept in rounds that are long enough
    on a connected graph, however few of them heard it. After k steps word has reached those at a distance below k from
    somebody who heard it: on a graph where each receiver has n others within that distance, a share of
    1 - (1 - ``heard_by``)**(n + 1). Where thresholds differ, those who copy do what others need: neighbours grow alike,
    and receivers get less than those who judge for themselves.
    """

    paper = "Kamenica & Gentzkow (2011) Am. Econ. Rev. 101, 2590-2615, doi:10.1257/aer.101.6.2590"
    default_steps = 1000

    n_agents: int = param(1000, low=1, description="number of receivers")
    prior: float = param(0.3, above=0, below=1, description="probability of the good state")
    heard_by: float = param(0.1, low=0, high=1, description="probability to hear the signal oneself")
    round_length: int = param(10, low=1, description="steps of a round")
    graph: graphs.Kind = param("small_world", description="who knows whom")
    mean_degree: float = param(10.0, above=0, description="acquaintances of a receiver in the mean")
    rewiring: float = param(0.1, low=0, high=1, description="share of edges that lead elsewhere in a small world")
    threshold: float = param(0.5, low=0, high=1, description="belief from which receivers accept; mean")
    threshold_spread: float = param(0.0, low=0, description="sd of thresholds, before truncation to [0, 1]")

    agents = population(
        size="n_agents",
        threshold=field(long_name="belief from which it accepts"),
        hears=field(bool, long_name="whether it hears the signal"),
        choice=field(int, long_name="0: undecided, 1: rejects, 2: accepts"),
    )
    senders = population(
        size=1,
        claim=field(long_name="probability to say good in a good state"),
        lie=field(long_name="probability to say good in a bad state"),
        state=field(int, long_name="whether the state is good"),
        message=field(int, long_name="whether it says good"),
    )
    world = population(size=1, dim="world", good=field(bool, long_name="whether the state is good"))
    acquaintances = Network(agents, graph="make_graph")

    def start(self, agents: Any, senders: Any, draw: Any) -> None:
        """Deal out thresholds, and commit to a signal."""
        agents.threshold[:] = dealt(self.threshold, self.threshold_spread, draw.of(agents), "threshold")
        senders.claim[:], senders.lie[:] = public_signal(self.prior, agents.threshold)

    def make_graph(self, agents: Any, draw: Any) -> Any:
        """Return who knows whom."""
        return graphs.make(
            self.graph,
            self.n_agents,
            draw.of(agents).seed_for("graph"),
            mean_degree=self.mean_degree,
            rewiring=self.rewiring,
        )

    @update(world)
    def happen(me, new, p, step, draw):
        """1. Draw the state."""
        if step % p.round_length == 0:
            new.good[me] = draw.chance("state", p.prior)

    @update(senders)
    def witness(me, new, world):
        """2. See it."""
        new.state[me] = 1 if world.good[ONLY] else 0

    @decision(senders.message, options=("bad", "good"))
    def speak(me, senders, p, step, draw):
        """2. Say something, at the beginning of a round."""
        if step % p.round_length > 0:
            return senders.message[me]
        return 1 if draw.chance("message", senders.claim[me] if senders.state[me] == 1 else senders.lie[me]) else 0

    @update(agents)
    def begin(me, agents, new, p, step, draw):
        """3. At the beginning of a round nobody has decided, and some hear the signal."""
        if step % p.round_length == 0:
            new.hears[me] = draw.chance("hears", p.heard_by)
            new.choice[me] = UNDECIDED

    @gather(acquaintances, accepting=count(), rejecting=count())
    def ask(me, other, agents, acc):
        """4. Count those who have decided."""
        acc.accepting += 1 if agents.choice[other] == ACCEPT else 0
        acc.rejecting += 1 if agents.choice[other] == REJECT else 0

    @decision(agents.choice, options=("undecided", "reject", "accept"), after=ask)
    def decide(me, agents, senders, p, acc):
        """3. Judge what was heard, or 4. copy."""
        if agents.choice[me] != UNDECIDED:
            return agents.choice[me]
        alone = ACCEPT if persuaded(p.prior, agents.threshold[me]) == 1 else REJECT
        if agents.hears[me]:
            good = senders.message[ONLY] == 1
            if_good = senders.claim[ONLY] if good else 1.0 - senders.claim[ONLY]
            if_bad = senders.lie[ONLY] if good else 1.0 - senders.lie[ONLY]
            heard = persuaded(believed(p.prior, if_good, if_bad, 0.0), agents.threshold[me])
            return ACCEPT if heard == 1 else REJECT
        if acc.accepting == acc.rejecting:
            return alone if acc.accepting > 0 else UNDECIDED
        return ACCEPT if acc.accepting > acc.rejecting else REJECT

    observe = [
        state,
        share_accepting,
        share_reached,
        mean_payoff,
        streaming.entropy(streaming.field("agents.choice", states=3)),
        streaming.assortative_information(streaming.field("agents.choice", states=3), "acquaintances"),
    ]
