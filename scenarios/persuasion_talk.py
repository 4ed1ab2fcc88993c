"""Persuasion in words: sellers who write messages, and buyers of several kinds who read them.

He et al. (2025), "Make an offer they can't refuse", arXiv:2510.13387: nobody commits to anything before the state is
known; the message itself tells which kinds of seller its author may be, honest ones who report the truth and others who
call any offer good, and so how it is to be read. A step is a round:

1. Each sender has an offer: good with probability m = ``prior``, else bad.
2. In the ``style`` "semi_formal" or "natural" it decides what to tell of its honesty: the probability h that it reports
   a bad offer as bad. In the style "naive" or "strong" it tells nothing, and buyers presume ``presumed_honesty``.
3. It sees the offer and reports "good" or "bad".
4. It puts story and report into words.
5. Each receiver reads the message of its sender, states a belief, and
6. accepts or rejects. A good offer accepted is worth 2 (1 - t), a bad one rejected 2 t, with t = ``threshold``.
7. The state is revealed.

The rule says the story in numbers: it tells ``told_honesty``, calls good offers good, and bad ones bad with probability
``honesty`` (as told, and 0 where nothing is told, by default). A receiver takes the sender for honest with probability
x, and believes after "good"

    m / (m + (1 - m) (1 - x)),        after "bad" 0.

A Bayesian receiver takes x = h, and so does a plain one, whose prompt only says less; a skeptical one takes
(1 - ``doubt``) h, a trusting one h + ``faith`` (1 - h). They are dealt out at random in the shares that the parameters
give. One accepts if it believes at least t, that is if x >= h* = 1 - m (1 - t) / ((1 - m) t), 4/7 with m = 0.3 and
t = 0.5; m + (1 - m) (1 - ``honesty``) of those accept, the others never. The default of 0.6 is a little more than h*
needs, so that words may round it.

Whoever answers in a rule's place, each belief stands beside that of a Bayesian who reads story and report as the
numbers that they put into words: ``belief_gap`` is the mean distance, ``belief_lean`` the mean difference, and
``contradictions`` the share of receivers whose act is not the one that their own stated belief makes best.
`persuasion_words` holds what language models are told.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from simengine import (
    Chosen,
    Output,
    Scenario,
    decision,
    field,
    gather,
    observable,
    param,
    population,
    reference,
    running,
    update,
)
from simengine.scenarios.persuasion_receivers import acceptance, acceptance_so_far, believed, gain, persuaded, welfare
from simengine.scenarios.persuasion_words import ANNOUNCE, REPORT, TALK_BELIEVE, TALK_DECIDE, WORD

BAYESIAN, PLAIN, SKEPTICAL, TRUSTING = range(4)
INDIFFERENT = 1e-9
"""Beliefs so near a threshold speak for neither act."""
KINDS = ("bayesian", "plain", "skeptical", "trusting")


def perceived(told: float, kind: int, doubt: float, faith: float) -> float:
    """Return how honest a seller who tells of an honesty seems to a receiver of some kind."""
    if kind == SKEPTICAL:
        return (1.0 - doubt) * told
    return told + faith * (1.0 - told) if kind == TRUSTING else told


def after_report(report: int, prior: float, honesty: float) -> float:
    """Return the belief after a report of a seller who seems honest with a probability."""
    return believed(prior, 1.0 if report == 1 else 0.0, 1.0 - honesty if report == 1 else honesty, 0.0)


@observable
def bayes_acceptance(agents: Any) -> float:
    """Share of receivers who would have accepted, had they done as Bayes' rule says."""
    return float(agents.bayes_accepts.mean())


@observable
def mean_posterior(agents: Any) -> float:
    """Mean of the beliefs that receivers stated: the probability that the offer is good."""
    return float(agents.posterior.mean())


@observable
def belief_gap(agents: Any) -> float:
    """Distance of stated beliefs from those of Bayes' rule, mean of receivers."""
    return float(np.abs(agents.posterior - agents.bayes).mean())


@observable
def belief_lean(agents: Any) -> float:
    """Stated beliefs less those of Bayes' rule, mean of receivers."""
    return float((agents.posterior - agents.bayes).mean())


@observable
def contradictions(agents: Any) -> float:
    """Share of receivers who did not do what their own stated beliefs make best."""
    return float(agents.contradicts.mean())


@observable(outputs=tuple(Output(f"acceptance_{kind}", "1", f"share of {kind} receivers who accept") for kind in KINDS))
def acceptance_by_kind(agents: Any) -> dict[str, float]:
    """Who accepts, by kind; missing where there are none of a kind."""
    shares = {}
    for number, kind in enumerate(KINDS):
        here = agents.kind == number
        shares[f"acceptance_{kind}"] = float(agents.accepts[here].mean()) if here.any() else float("nan")
    return shares


@observable
def bayes_welfare(agents: Any, step: int) -> float:
    """What a receiver would have gained in a round by Bayes' rule, mean of receivers and rounds so far."""
    return float(agents.bayes_gained.mean() / max(step, 1))


@observable
def honesty_shown(senders: Any) -> float:
    """Share of bad offers that were reported as bad, of all so far."""
    return float(senders.kept.sum() / senders.checked.sum()) if senders.checked.any() else float("nan")


class PersuasionTalk(Scenario):
    """Persuasion by messages in words, before receivers of several kinds (He et al. 2025)."""

    paper = "He et al. (2025) Make an offer they can't refuse, arXiv:2510.13387"
    default_steps = 100

    n_agents: int = param(100, low=1, description="number of receivers")
    n_senders: int = param(1, low=1, description="number of senders, each with an audience of its own")
    prior: float = param(0.3, above=0, below=1, description="probability that an offer is good")
    threshold: float = param(0.5, low=0, high=1, description="belief from which it is best to accept")
    style: Literal["naive", "strong", "semi_formal", "natural"] = param(
        "semi_formal", description="how messages persuade; the last two tell of the sender's honesty"
    )
    view: Literal["explicit", "self_derived"] = param(
        "explicit", description="whether senders are told prior and payoffs, or have to infer them"
    )
    told_honesty: float = param(0.6, low=0, high=1, description="honesty that senders tell of themselves")
    presumed_honesty: float = param(0.6, low=0, high=1, description="honesty that receivers presume where none is told")
    honesty: float | None = param(None, low=0, high=1, description="honesty that senders have; none: as told, or 0")
    plain: float = param(0.0, low=0, high=1, description="share of receivers who are not told to reason by Bayes' rule")
    skeptical: float = param(0.0, low=0, high=1, description="share of skeptical receivers")
    trusting: float = param(0.0, low=0, high=1, description="share of trusting receivers")
    doubt: float = param(0.5, low=0, high=1, description="share of an honesty that skeptical receivers do not believe")
    faith: float = param(1.0, low=0, high=1, description="share of a dishonesty that trusting receivers do not believe")

    senders = population(
        size="n_senders",
        state=field(int, long_name="whether the offer is good"),
        told=field(low=0, high=1, long_name="honesty that it tells of itself, or that is presumed"),
        report=field(int, long_name="whether it reports the offer as good"),
        message=field(int, long_name="message: 0 and 1 bad and good in the rule's words, else a text's digest"),
        checked=field(int, long_name="bad offers so far"),
        kept=field(int, long_name="bad offers that it reported as bad"),
    )
    agents = population(
        size="n_agents",
        sender=reference(senders, long_name="whose message it reads"),
        kind=field(int, long_name="0: Bayesian, 1: plain, 2: skeptical, 3: trusting"),
        threshold=field(long_name="belief from which it is best to accept"),
        posterior=field(low=0, high=1, long_name="stated belief after the message"),
        bayes=field(long_name="belief by Bayes' rule after story and report"),
        accepts=field(int, long_name="whether it accepted"),
        bayes_accepts=field(int, long_name="whether it would have accepted by Bayes' rule"),
        contradicts=field(int, long_name="whether it did not do what its stated belief makes best"),
        accepted=field(int, long_name="rounds in which it accepted"),
        gained=field(long_name="payoff of all rounds"),
        bayes_gained=field(long_name="payoff of all rounds by Bayes' rule"),
    )
    my_sender = Chosen(agents.sender)

    def check(self) -> None:
        """Refuse more receivers than there are."""
        shares = self.plain + self.skeptical + self.trusting
        self.require(
            shares <= 1.0 + 1e-9, f"plain, skeptical and trusting are shares of all; they sum up to {shares:g}"
        )

    def derived(self) -> dict[str, float]:
        """Say in numbers whether honesty is told, and what it is by rule (-1: as told)."""
        narrated = self.style in {"semi_formal", "natural"}
        return {"narrated": narrated, "true_honesty": (-narrated if self.honesty is None else self.honesty)}

    def start(self, agents: Any, senders: Any, draw: Any) -> None:
        """Deal out kinds and audiences."""
        n = self.n_agents
        rank = np.empty(n)
        rank[np.argsort(draw.of(agents).uniform("kind"), kind="stable")] = (np.arange(n) + 0.5) / n
        ends = np.cumsum([1.0 - self.plain - self.skeptical - self.trusting, self.plain, self.skeptical])
        agents.kind[:] = np.searchsorted(ends, rank, side="right")
        agents.sender[:] = np.arange(n) % self.n_senders
        agents.threshold[:] = self.threshold
        agents.posterior[:] = self.prior
        agents.bayes[:] = self.prior
        senders.told[:] = self.told_honesty if self.narrated else self.presumed_honesty

    @update(senders)
    def happen(me, new, p, draw):
        """1. Draw the state."""
        new.state[me] = 1 if draw.chance("state", p.prior) else 0

    @decision(senders.told, when={"style": ("semi_formal", "natural")})
    def announce(me, p):
        """2. Decide what to tell of one's honesty."""
        return p.told_honesty

    @decision(senders.report, options=("bad", "good"))
    def report(me, senders, p, draw):
        """3. Report; the draw is that by which actions are drawn from distributions."""
        if senders.state[me] == 1:
            return 1
        honesty = p.true_honesty if p.true_honesty >= 0.0 else senders.told[me]
        return 0 if draw.uniform("action") < honesty else 1

    @decision(senders.message)
    def word(me, senders):
        """4. Put it into words."""
        return senders.report[me]

    @gather(my_sender, report=running(0), told=running(0.0))
    def read(me, other, senders, acc):
        """5. Read the message."""
        acc.report = senders.report[other]
        acc.told = senders.told[other]

    @decision(agents.posterior, after=read)
    def believe(me, agents, p, acc):
        """5. State a belief."""
        return after_report(acc.report, p.prior, perceived(acc.told, agents.kind[me], p.doubt, p.faith))

    @update(agents, after=read)
    def compute(me, new, p, acc):
        """5. Find what Bayes' rule says."""
        new.bayes[me] = after_report(acc.report, p.prior, acc.told)

    @decision(agents.accepts, options=("reject", "accept"))
    def decide(me, agents):
        """6. Accept or reject."""
        return persuaded(agents.posterior[me], agents.threshold[me])

    @gather(my_sender, good=running(False))
    def learn(me, other, senders, acc):
        """7. Learn the state."""
        acc.good = senders.state[other] == 1

    @update(agents, after=learn)
    def earn(me, agents, new, acc):
        """7. Gain."""
        threshold, accepts = agents.threshold[me], agents.accepts[me]
        by_bayes = persuaded(agents.bayes[me], threshold)
        new.bayes_accepts[me] = by_bayes
        gap = agents.posterior[me] - threshold
        new.contradicts[me] = 1 if abs(gap) > INDIFFERENT and (gap > 0.0) != (accepts == 1) else 0
        new.accepted[me] += accepts
        new.gained[me] += gain(accepts, acc.good, threshold)
        new.bayes_gained[me] += gain(by_bayes, acc.good, threshold)

    @update(senders)
    def record(me, senders, new):
        """7. Enter the round in the record."""
        bad = senders.state[me] == 0
        new.checked[me] += 1 if bad else 0
        new.kept[me] += 1 if bad and senders.report[me] == 0 else 0

    observe = [
        acceptance,
        acceptance_so_far,
        acceptance_by_kind,
        bayes_acceptance,
        mean_posterior,
        belief_gap,
        belief_lean,
        contradictions,
        welfare,
        bayes_welfare,
        honesty_shown,
    ]
    prompts = {"announce": ANNOUNCE, "report": REPORT, "word": WORD, "believe": TALK_BELIEVE, "decide": TALK_DECIDE}
