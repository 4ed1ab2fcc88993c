"""Bayesian persuasion: senders who want a yes, and receivers who say it once they believe enough.

Kamenica & Gentzkow (2011), "Bayesian persuasion", American Economic Review 101, 2590-2615; senders who tell a story of
how honest they are after He et al. (2025), "Make an offer they can't refuse", arXiv:2510.13387. A step is a round:

1. A state is drawn: good with probability ``prior``, else bad.
2. Each sender sees it and tells everybody "good" or "bad". A sender has a side. Where the state is its side, it says so
   with probability c, its ``claim``; where it is not, it tells the truth with probability h, its ``honesty``.
3. Receivers take a message as one of a sender who is honest with a probability that they believe in, and apply Bayes to
   all messages, taken as independent given the state. With one sender who says "good", has c = 1 and seems honest with
   probability h,

       posterior = prior / (prior + (1 - prior) (1 - h)).

   Whoever does not believe what is announced expects the side to be said in any state (``trust``). A receiver with
   bias w holds (1 - w) posterior + w prior. Messages that no belief allows leave it with its prior.
4. It accepts if that reaches its threshold (what differs by less than 1e-12 counts as equal).
5. The state is revealed. Accepting a good one is worth 2 (1 - threshold), rejecting a bad one 2 threshold, everything
   else nothing: at a threshold of 1/2 it is 1 to be right.
6. With ``learning``, the senders' record changes what is believed. Where the truth spoke against a sender, it either
   told it or lied; after ``checked`` such rounds, ``kept`` of them with the truth, receivers take it to be honest with
   probability (a + kept) / (a + b + checked), the mean of a Beta(a + kept, b + checked - kept) distribution with
   a + b = ``trust_weight`` and a / (a + b) what they believed at the start: the share ``trust`` of what was announced.

``sender`` says what is announced and done (``honesty`` makes them do something else):

- truthful: c = 1, h = 1. uninformative: c = h = 1/2. cheap_talk: it always says its side, and all know: c = 1, h = 0;
- commitment: the best signal for these receivers, as `solve_persuasion` finds it from what it takes to convince them;
- narrated: c = 1, and a story that makes it seem honest with probability h = ``perceived_honesty``.

Closed forms, for one sender, receivers alike, and prior m < threshold t:

- commitment: "good" is said in bad states with probability m (1 - t) / ((1 - m) t); m / t accept, and receivers gain
  what they would without a message, 2 t (1 - m);
- biased receivers: t becomes (t - w m) / (1 - w); none accepts once this exceeds 1, w > (1 - t) / (1 - m);
- narrated: m + (1 - m) (1 - h) accept if h >= h* = 1 - m (1 - t) / ((1 - m) t), else nobody: a sawtooth. With m = 0.3,
  t = 0.5, h* is 4/7 and 0.6 accept. A sender whose true honesty is less than it seems leaves receivers with less than
  they would have without a message;
- learning: what is believed of a sender tends to its true honesty; below h* nobody accepts in the end;
- n independent senders of one side: m + (1 - m) (1 - h)^n accept, which tends to full information;
- thresholds from a distribution F: m F(x) / x accept, x that of the tangent to F from 0; m if F is uniform.

Where the papers are silent: several senders each announce what one alone would, and all of one side want the same; one
who commits knows what it takes to convince receivers, as the parameters deal it out, and takes it that it is believed.
Receivers' thresholds, priors, biases and trust are the quantiles of normal distributions truncated to [0, 1], dealt out
at random. A threshold that a start state puts above 1 is never reached, one below 0 always; a prior of 0 or 1 stays.
`persuasion_talk` puts messages into words, and `persuasion_words` holds what language models are told here and there.
`persuasion_networks` has a signal for every receiver, `WordOfMouth`, and a public one that not all hear, `Hearsay`.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from simengine import (
    Everyone,
    Measured,
    Scenario,
    count,
    decision,
    field,
    gather,
    observable,
    param,
    population,
    running,
    send,
    summed,
    update,
)
from simengine.diagnostics import streaming
from simengine.scenarios.persuasion_payoffs import needed_posterior
from simengine.scenarios.persuasion_receivers import (
    BINS,
    CERTAIN,
    ONLY,
    acceptance,
    acceptance_so_far,
    believed,
    dealt,
    gain,
    persuaded,
    welfare,
)
from simengine.scenarios.persuasion_solver import solve_persuasion as solve_persuasion
from simengine.scenarios.persuasion_words import BELIEVE, DECIDE, SPEAK


@observable
def mean_posterior(agents: Any) -> float:
    """Mean of what receivers believe: the probability of the good state."""
    return float(agents.posterior.mean())


@observable
def slack(agents: Any) -> float:
    """What receivers would believe if all messages were "good", less their thresholds; mean."""
    return float((agents.convinced - agents.threshold).mean())


@observable(unit="bit", uncertain=True, null=True)
def message_information(senders: Any) -> Measured:
    """Information of a message about the state, mean of senders, from all rounds so far."""
    from simengine.diagnostics.counts.information import mutual_information_from_table

    lies, own = senders.checked - senders.kept, senders.claims
    # Rows: the state is the sender's side, or it is not; columns: what it said.
    rows = [[own, senders.rounds - senders.checked - own], [lies, senders.kept]]
    found = mutual_information_from_table(np.moveaxis(np.array(rows), -1, 0), unit="bit")
    n = len(own)
    error = float(np.sqrt(np.square(found.standard_error).sum()) / n)
    null_sd = float(np.sqrt(np.square(found.null_sd).sum()) / n)
    return Measured(float(np.mean(found.value)), error, float(np.mean(found.null_mean)), null_sd)


@observable
def calibration_error(bins: Any) -> float:
    """Difference between belief and how often it came true, mean over beliefs in 20 bins, from all rounds so far."""
    return float(np.abs(bins.stated - bins.came_true).sum() / max(bins.number.sum(), 1))


class Persuasion(Scenario):
    """Persuasion of many by a public signal, round by round (Kamenica & Gentzkow 2011; He et al. 2025)."""

    paper = "Kamenica & Gentzkow (2011) Am. Econ. Rev. 101, 2590-2615, doi:10.1257/aer.101.6.2590"
    default_steps = 1000

    n_agents: int = param(200, low=1, description="number of receivers")
    n_senders: int = param(1, low=1, description="number of senders")
    n_opposed: int = param(0, low=0, description="number of them who want receivers to reject")
    prior: float = param(0.3, above=0, below=1, description="probability of the good state")
    sender: Literal["truthful", "uninformative", "cheap_talk", "commitment", "narrated"] = param(
        "commitment", description="what senders announce, and do"
    )
    perceived_honesty: float = param(4 / 7, low=0, high=1, description="honesty that a narrated sender seems to have")
    honesty: float | None = param(None, low=0, high=1, description="honesty that senders have; none: as announced")
    threshold: float = param(0.5, low=0, high=1, description="belief from which receivers accept; mean")
    thresholds: Literal["normal", "uniform"] = param(
        "normal", description="distribution of thresholds; uniform: on [0, 1]"
    )
    threshold_spread: float = param(0.0, low=0, description="sd of thresholds, before truncation to [0, 1]")
    prior_spread: float = param(0.0, low=0, description="the same of what receivers believe before any message")
    bias: float = param(0.0, low=0, high=1, description="weight of the prior in what receivers believe; mean")
    bias_spread: float = param(0.0, low=0, description="sd of biases, before truncation to [0, 1]")
    trust: float = param(1.0, low=0, high=1, description="share of an announced honesty that receivers believe; mean")
    trust_spread: float = param(0.0, low=0, description="sd of trust, before truncation to [0, 1]")
    learning: bool = param(False, description="whether receivers learn from the senders' record")
    trust_weight: float = param(10.0, above=0, description="rounds that weigh as much as what was announced")

    agents = population(
        size="n_agents",
        prior=field(long_name="belief before any message"),
        threshold=field(long_name="belief from which it accepts"),
        bias=field(long_name="weight of the prior"),
        trust=field(long_name="share of an announced honesty that it believes"),
        told=field(int, long_name="messages that said good"),
        posterior=field(long_name="belief after the messages"),
        accepts=field(int, long_name="whether it accepted"),
        convinced=field(long_name="belief if all messages said good"),
        accepted=field(int, long_name="rounds in which it accepted"),
        gained=field(long_name="payoff of all rounds"),
    )
    senders = population(
        size="n_senders",
        opposed=field(bool, long_name="whether it wants receivers to reject"),
        claim=field(long_name="probability to claim its side where that is the truth"),
        honesty=field(long_name="probability to tell the truth where that is against it"),
        announced=field(long_name="the honesty that it announces"),
        state=field(int, long_name="whether the state is good"),
        message=field(int, long_name="whether it said good"),
        rounds=field(int, long_name="rounds"),
        claims=field(int, long_name="true claims of its side"),
        checked=field(int, long_name="rounds in which the truth was against it"),
        kept=field(int, long_name="of these, rounds in which it told the truth"),
    )
    world = population(size=1, dim="world", good=field(bool, long_name="whether the state is good"))
    bins = population(
        size=BINS,
        number=field(int, long_name="beliefs stated"),
        stated=field(long_name="their sum"),
        came_true=field(int, long_name="how many of the states were good"),
    )
    stage = Everyone(agents, senders)

    def check(self) -> None:
        """Refuse more opponents than senders, and opponents who commit."""
        self.require(
            self.n_opposed <= self.n_senders,
            f"n_opposed ({self.n_opposed}) must not exceed n_senders ({self.n_senders})",
        )
        self.require(
            self.n_opposed == 0 or self.sender != "commitment",
            "who wants rejections has no best signal, only ever better ones; with n_opposed take another sender",
        )
        self.require(
            self.thresholds == "normal" or self.threshold_spread == 0,
            "threshold_spread belongs to thresholds='normal'; uniform ones fill [0, 1]",
        )

    def start(self, agents: Any, senders: Any, draw: Any) -> None:
        """Deal out the receivers' traits, and give the senders their signal."""
        given = draw.of(agents)
        spread = np.inf if self.thresholds == "uniform" else self.threshold_spread
        agents.threshold[:] = dealt(self.threshold, spread, given, "threshold")
        agents.prior[:] = np.clip(dealt(self.prior, self.prior_spread, given, "prior"), CERTAIN, 1.0 - CERTAIN)
        agents.bias[:] = dealt(self.bias, self.bias_spread, given, "bias")
        agents.trust[:] = dealt(self.trust, self.trust_spread, given, "trust")
        agents.posterior[:] = agents.prior
        senders.opposed[: self.n_opposed] = True
        claim, honesty = self.signal(agents)
        senders.claim[:], senders.announced[:] = claim, honesty
        senders.honesty[:] = honesty if self.honesty is None else self.honesty

    def signal(self, agents: Any) -> tuple[float, float]:
        """Return what a sender announces: to claim its side if true, to tell the truth if against it."""
        if self.sender == "commitment":
            needed = needed_posterior(agents.threshold, self.prior, priors=agents.prior, bias=agents.bias)
            # No message gets those who cannot be convinced, so that they do not matter.
            reachable = needed[needed <= 1.0]
            best = solve_persuasion(self.prior, reachable if reachable.size else 1.0)
            return (float(best.signal[1, 1]), float(best.signal[0, 0])) if len(best.posteriors) == 2 else (1.0, 0.0)
        return {
            "truthful": (1.0, 1.0),
            "uninformative": (0.5, 0.5),
            "cheap_talk": (1.0, 0.0),
            "narrated": (1.0, self.perceived_honesty),
        }[self.sender]

    @update(world)
    def happen(me, new, p, draw):
        """1. Draw the state."""
        new.good[me] = draw.chance("state", p.prior)

    @update(senders)
    def witness(me, new, world):
        """2. See it."""
        new.state[me] = 1 if world.good[ONLY] else 0

    @decision(senders.message, options=("bad", "good"))
    def speak(me, senders, draw):
        """2. Say something."""
        side = 0 if senders.opposed[me] else 1
        mine = senders.state[me] == side
        claims = draw.chance("message", senders.claim[me] if mine else 1.0 - senders.honesty[me])
        return side if claims else 1 - side

    @gather(
        stage,
        told_good=count(),
        if_good=running(1.0),
        if_bad=running(1.0),
        best_good=running(1.0),
        best_bad=running(1.0),
    )
    def hear(me, other, agents, senders, p, acc):
        """3. Find how likely the messages are in either state, in the receiver's eyes; and if all were "good"."""
        honest = agents.trust[me] * senders.announced[other]
        if p.learning:
            honest = (p.trust_weight * honest + senders.kept[other]) / (p.trust_weight + senders.checked[other])
        # A sender who is not what it announces says its side whatever the state.
        claim = 1.0 - agents.trust[me] * (1.0 - senders.claim[other])
        good_if_good = honest if senders.opposed[other] else claim
        good_if_bad = 1.0 - claim if senders.opposed[other] else 1.0 - honest
        said = senders.message[other] == 1
        acc.told_good += 1 if said else 0
        acc.if_good = acc.if_good * (good_if_good if said else 1.0 - good_if_good)
        acc.if_bad = acc.if_bad * (good_if_bad if said else 1.0 - good_if_bad)
        acc.best_good = acc.best_good * good_if_good
        acc.best_bad = acc.best_bad * good_if_bad

    @decision(agents.posterior, after=hear)
    def believe(me, agents, acc):
        """3. State a belief."""
        return believed(agents.prior[me], acc.if_good, acc.if_bad, agents.bias[me])

    @update(agents, after=hear)
    def weigh(me, agents, new, acc):
        """3. Keep what was said, and what would be believed at best; bring a belief from outside to 0 to 1."""
        new.told[me] = acc.told_good
        new.posterior[me] = min(max(agents.posterior[me], 0.0), 1.0)
        new.convinced[me] = believed(agents.prior[me], acc.best_good, acc.best_bad, agents.bias[me])

    @decision(agents.accepts, options=("reject", "accept"))
    def decide(me, agents):
        """4. Accept or reject."""
        return persuaded(agents.posterior[me], agents.threshold[me])

    @update(agents)
    def earn(me, agents, new, world):
        """5. Learn the state, and gain."""
        new.accepted[me] += agents.accepts[me]
        new.gained[me] += gain(agents.accepts[me], world.good[ONLY], agents.threshold[me])

    @send(agents, to=bins, number_now=summed(int), stated_now=summed(), came_true_now=summed(int))
    def report(me, agents, world, send):
        """5. Report the belief to the bin in which it falls."""
        place = min(max(int(agents.posterior[me] * BINS), 0), BINS - 1)
        send.number_now(place, 1)
        send.stated_now(place, agents.posterior[me])
        send.came_true_now(place, 1 if world.good[ONLY] else 0)

    @update(bins)
    def book(me, bins, new):
        """5. Add up."""
        new.number[me] += bins.number_now[me]
        new.stated[me] += bins.stated_now[me]
        new.came_true[me] += bins.came_true_now[me]

    @update(senders)
    def record(me, senders, new):
        """6. Enter the round in the record."""
        side = 0 if senders.opposed[me] else 1
        against = senders.state[me] != side
        true = senders.message[me] == senders.state[me]
        new.rounds[me] += 1
        new.checked[me] += 1 if against else 0
        new.kept[me] += 1 if against and true else 0
        new.claims[me] += 1 if true and not against else 0

    observe = [
        acceptance,
        acceptance_so_far,
        mean_posterior,
        welfare,
        slack,
        message_information,
        calibration_error,
        streaming.entropy(streaming.field("agents.posterior", bins=BINS, range=(0, 1))),
    ]
    prompts = {"speak": SPEAK, "believe": BELIEVE, "decide": DECIDE}
