"""Public goods: groups share alike what some of their members gave; with fines, and with those who stay out.

The linear public goods game in a well-mixed population of N, by imitation: Hauert, De Monte, Hofbauer & Sigmund
(2002), "Volunteering as Red Queen mechanism for cooperation in public goods games", Science 296, 1129-1132; imitation
after Traulsen, Nowak & Pacheco (2006), Phys. Rev. E 74, 011909, and Schlag (1998), J. Econ. Theory 78, 130-156. In a
round

1. agents contribute, defect or abstain (``strategy``), and with ``sanctions="peers"`` contributors decide whether they
   will punish;
2. each meets a group of n: itself and n - 1 others (``n_fellows``), drawn afresh. Of the S participants in it, each
   contributor pays c (``cost``), and the r c (``multiplier`` r) that become of it are shared by all S. Who abstains,
   or finds no other participant, has ``income``;
3. defectors are fined, if S > 1: ``sanctions="central"``: with probability s (``sanction_chance``) by F (``fine``);
   ``"peers"``: by F / (n - 1) from each punisher of the group (a contributor is one with probability s), who pays
   ``fining_cost`` / (n - 1) for each defector of it;
4. with probability ``revision`` an agent compares what it earned with what another, drawn at random, did, and takes
   over that one's strategy, by ``rule``:

   - fermi: with probability 1 / (1 + exp(-selection (theirs - own)));
   - proportional: with probability (theirs - own) / M where that is positive, M the largest difference that can be;

   or, with probability ``mutation``, any strategy at random.

``payoffs="round"`` are those of that one group; ``"expected"`` those of all groups that could have met, in the mean: as
if many rounds were played between two decisions. In the mean over chance, and for many agents,

- contributors earn kappa = c (1 - r / n) less than defectors, and their share x obeys dx/dt = -rate x (1 - x),
  x(t) = 1 / (1 + (1 - x0) / x0 exp(rate t)), time in expected decisions of an agent, rounds x ``revision``;
- the rate is kappa / M for proportional imitation (the replicator equation, in time t / M), of payoffs of either kind;
  tanh(selection kappa / 2) for Fermi's rule and expected payoffs. Those of one round scatter, and tanh is not straight:
  see `social_dilemmas_theory.fermi_rate_of_groups`;
- N agents stray from that by the order of N^-1/2, and one decision of a part of them at a time by that of ``revision``.
  Of finitely many agents nobody is its own fellow: r counts as r (N - n) / (N - 1);
- central fines take s F from kappa: contributing spreads if s F > c (1 - r / n). Fines by peers take s F x, and their
  cost adds s ``fining_cost`` (1 - x): at small cost all contribute, or nobody, x = kappa / (s F) between;
- with abstaining (``loners``, ``0 < income < (r - 1) c``) and r > 2, defectors take over from contributors, abstainers
  from defectors, contributors from abstainers: replicator orbits are closed round one point, see
  `social_dilemmas_theory.optional_point`; n = 5, r = 3, c = 1, income 1: 0.461 abstain, half of the others contribute.
  In the mean over an orbit exactly the share income / ((r - 1) c) of participants contributes, and what a defector
  earns more is 0; somewhat more than at the point abstain, as that gain is not linear in their share.

Where the papers are silent: groups are drawn for each agent apart, so that the fellow of one need not have it as
fellow; an agent's payoff has the law that it has in groups without overlap, and no two payoffs of a round are of
one group. ``"expected"`` ones are exact for N agents, drawn without replacement. Where there are no loners an answer
from outside that abstains is one to defect.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from simengine import (
    Output,
    Random,
    Scenario,
    count,
    counted,
    decision,
    field,
    gather,
    observable,
    param,
    population,
    running,
    send,
    tally,
    update,
)
from simengine.diagnostics import streaming

DEFECT, CONTRIBUTE, ABSTAIN = 0, 1, 2
NO_FINES, CENTRAL, PEERS = range(3)
SANCTIONS = {"none": NO_FINES, "central": CENTRAL, "peers": PEERS}
ALL = 0
"""The only member of the public."""


def chance_of(found: int, participants: int, others: int, drawn: int) -> float:
    """Return the chance that ``found`` of ``drawn`` others take part, ``participants`` of them all; hypergeometric."""
    chance = 1.0
    for k in range(found):
        chance *= (participants - k) / (others - k) * (drawn - k) / (k + 1.0)
    for k in range(drawn - found):
        chance *= (others - participants - k) / (others - found - k)
    return chance


def inverse_size(participants: int, others: int, drawn: int) -> float:
    """Return the mean of 1 / S over groups of S > 1 participants, 0 for others: S - 1 of the ``drawn`` take part."""
    mean = 0.0
    for found in range(1, drawn + 1):
        mean += chance_of(found, participants, others, drawn) / (found + 1.0)
    return mean


@tally("agents.strategy")
def contributing(values: Any, counts: Any) -> float:
    """Share of agents that contribute."""
    return float(counts[values == CONTRIBUTE].sum() / counts.sum())


@tally("agents.strategy")
def abstaining(values: Any, counts: Any) -> float:
    """Share of agents that abstain."""
    return float(counts[values == ABSTAIN].sum() / counts.sum())


OUTCOMES = (
    Output("mean_payoff", "1", "payoff of the last round, mean"),
    Output("punishing", "1", "share of agents that were ready to punish in the last round"),
)


@observable(outputs=OUTCOMES)
def outcomes(agents: Any) -> dict[str, float]:
    """What agents earn, and who punishes."""
    return {"mean_payoff": float(agents.payoff.mean()), "punishing": float(agents.punishes.mean())}


class PublicGoods(Scenario):
    """Public goods game with fines and voluntary participation, by imitation (Hauert et al. 2002)."""

    paper = "Hauert, De Monte, Hofbauer & Sigmund (2002) Science 296, 1129-1132, doi:10.1126/science.1070582"
    default_steps = 400

    n_agents: int = param(1000, low=2, description="number of agents")
    n_fellows: int = param(4, low=1, description="others of an agent's group: it has n = n_fellows + 1 members")
    multiplier: float = param(3.0, low=0, description="what becomes of a contribution r")
    cost: float = param(1.0, above=0, description="cost c of contributing")
    payoffs: Literal["round", "expected"] = param("round", description="of one group, or of all that could meet")
    rule: Literal["fermi", "proportional"] = param("fermi", description="how agents imitate")
    selection: float = param(0.5, low=0, description="weight of payoffs in Fermi's rule, beta")
    revision: float = param(0.1, above=0, high=1, description="probability that an agent decides anew in a round")
    mutation: float = param(0.0, low=0, high=1, description="probability that who decides takes any strategy")
    sanctions: Literal["none", "central", "peers"] = param("none", description="who fines defectors")
    fine: float = param(1.0, low=0, description="fine F")
    sanction_chance: float = param(0.5, low=0, high=1, description="probability s to be fined, or to punish")
    fining_cost: float = param(0.0, low=0, description="what a fine of F costs the peers who punish")
    loners: bool = param(False, description="whether agents may abstain")
    income: float = param(1.0, low=0, description="payoff of those who abstain")
    initial_contributing: float = param(0.5, low=0, high=1, description="share that contributes at the start")
    initial_abstaining: float = param(0.0, low=0, high=1, description="share that abstains at the start")

    agents = population(
        size="n_agents",
        strategy=field(int, low=0, high=2, long_name="0 defects, 1 contributes, 2 abstains"),
        punishes=field(int, low=0, high=1, long_name="whether it punishes the defectors of its group"),
        payoff=field(long_name="payoff of the last round"),
        earned=field(long_name="payoff of all rounds"),
    )
    public = population(
        size=1,
        dim="public",
        contributing=field(long_name="expected payoff of contributors who do not punish"),
        defecting=field(long_name="expected payoff of defectors"),
        punishing=field(long_name="expected cost of punishing"),
    )
    fellows = Random(agents, k="n_fellows")
    model = Random(agents, k=1)

    def check(self) -> None:
        """Refuse groups larger than the population, and abstainers where nobody may abstain."""
        self.require(
            self.n_fellows < self.n_agents,
            f"n_fellows ({self.n_fellows}) must be below n_agents ({self.n_agents}): nobody is its own fellow",
        )
        self.require(
            self.loners or self.initial_abstaining == 0.0,
            f"initial_abstaining ({self.initial_abstaining:g}) needs loners=True",
        )
        share = self.initial_contributing + self.initial_abstaining
        self.require(
            share <= 1.0 + 1e-12, f"initial_contributing and initial_abstaining add up to {share:g}; they share 1"
        )

    def derived(self) -> dict[str, float]:
        """Options as numbers, and the largest difference of two payoffs."""
        fellows, group_size = self.n_fellows, self.n_fellows + 1
        full = self.multiplier * self.cost / group_size
        fined = self.fine if self.sanctions != "none" else 0.0
        fining = self.fining_cost if self.sanctions == "peers" else 0.0
        # The share in the pot of a lone contributor, or defector, is more in a smaller group, if there can be one.
        few = 2 if self.loners else group_size
        alone = self.multiplier * self.cost / few - self.cost
        at_best = [full * fellows, full * group_size - self.cost, alone]
        at_worst = [-fined, alone - fining, full - self.cost - fining]
        if self.loners:
            at_best.append(self.income)
            at_worst.append(self.income)
        return {
            "fines": SANCTIONS[self.sanctions],
            "proportional": self.rule == "proportional",
            "may_abstain": self.loners,
            "payoff_range": max(at_best) - min(at_worst),
        }

    def start(self, agents: Any) -> None:
        """Give everybody a strategy."""
        contributors = round(self.initial_contributing * self.n_agents)
        abstainers = min(round(self.initial_abstaining * self.n_agents), self.n_agents - contributors)
        agents.strategy[:contributors] = CONTRIBUTE
        agents.strategy[self.n_agents - abstainers :] = ABSTAIN

    @decision(agents.punishes, options=("spare", "punish"))
    def punish(me, agents, p, draw):
        """1. Decide whether to punish the defectors of the group."""
        if p.fines != PEERS or agents.strategy[me] != CONTRIBUTE:
            return 0
        return 1 if draw.chance("punishes", p.sanction_chance) else 0

    @update(agents)
    def abide(me, agents, new, p):
        """1. Only contributors punish, and only where peers do."""
        if p.fines != PEERS or agents.strategy[me] != CONTRIBUTE:
            new.punishes[me] = 0

    @gather(fellows, when={"payoffs": "round"}, contributors=count(), defectors=count(), punishers=count())
    def meet(me, other, agents, acc):
        """2. See who does what in one's group."""
        strategy = agents.strategy[other]
        acc.contributors += 1 if strategy == CONTRIBUTE else 0
        acc.defectors += 1 if strategy == DEFECT else 0
        acc.punishers += agents.punishes[other]

    @update(agents, after=meet, when={"payoffs": "round"})
    def share(me, agents, new, acc, p, draw):
        """2., 3. Share the pot; fine."""
        strategy, others = agents.strategy[me], acc.contributors + acc.defectors
        payoff = p.income
        if strategy != ABSTAIN and others > 0:
            pot = p.multiplier * p.cost * (acc.contributors + (1 if strategy == CONTRIBUTE else 0))
            payoff = pot / (others + 1)
            if strategy == CONTRIBUTE:
                payoff -= p.cost + agents.punishes[me] * p.fining_cost * acc.defectors / p.n_fellows
            elif p.fines == CENTRAL and draw.chance("fined", p.sanction_chance):
                payoff -= p.fine
            elif p.fines == PEERS:
                payoff -= p.fine * acc.punishers / p.n_fellows
        new.payoff[me] = payoff
        new.earned[me] += payoff

    @send(
        agents, to=public, when={"payoffs": "expected"},
        contributors=counted(), defectors=counted(), punishers=counted(),
    )  # fmt: skip
    def appear(me, agents, send):
        """2. Be counted."""
        if agents.strategy[me] == CONTRIBUTE:
            send.contributors(ALL)
        if agents.strategy[me] == DEFECT:
            send.defectors(ALL)
        if agents.punishes[me] == 1:
            send.punishers(ALL)

    @update(public, when={"payoffs": "expected"})
    def expect(me, public, new, p):
        """2., 3. The mean of all groups that a participant could find itself in."""
        contributors, defectors, punishers = public.contributors[me], public.defectors[me], public.punishers[me]
        fellows, others = int(p.n_fellows), int(p.n_agents) - 1
        participants = max(contributors + defectors - 1, 0)
        alone = chance_of(0, participants, others, fellows)
        inverse = inverse_size(participants, others, fellows)
        full = p.multiplier * p.cost * (1.0 - alone - inverse) / max(participants, 1)
        fined = p.fine * (1.0 - alone) * p.sanction_chance if p.fines == CENTRAL else p.fine * punishers / others
        new.contributing[me] = (
            full * max(contributors - 1, 0)
            + p.multiplier * p.cost * inverse
            - p.cost * (1.0 - alone)
            + p.income * alone
        )
        new.defecting[me] = full * contributors - (fined if p.fines != NO_FINES else 0.0) + p.income * alone
        new.punishing[me] = p.fining_cost * defectors / others

    @update(agents, when={"payoffs": "expected"})
    def receive(me, agents, new, public, p):
        """2., 3. Earn that."""
        payoff = p.income
        if agents.strategy[me] == CONTRIBUTE:
            payoff = public.contributing[ALL] - agents.punishes[me] * public.punishing[ALL]
        elif agents.strategy[me] == DEFECT:
            payoff = public.defecting[ALL]
        new.payoff[me] = payoff
        new.earned[me] += payoff

    @gather(model, theirs=running(-1), their_payoff=running(0.0))
    def compare(me, other, agents, acc):
        """4. See what another did, and earned."""
        acc.theirs = agents.strategy[other]
        acc.their_payoff = agents.payoff[other]

    @decision(agents.strategy, options=("defect", "contribute", "abstain"), after=compare)
    def revise(me, agents, p, acc, draw):
        """4. Choose a strategy for the next round."""
        mine = agents.strategy[me]
        if not draw.chance("revises", p.revision):
            return mine
        if p.mutation > 0.0 and draw.chance("mutates", p.mutation):
            return draw.integer("mutation", 0, 3 if p.may_abstain > 0.0 else 2)
        better = acc.their_payoff - agents.payoff[me]
        if p.proportional > 0.0:
            copies = better > 0.0 and draw.chance("copies", better / p.payoff_range)
        else:
            copies = draw.chance("copies", 1.0 / (1.0 + math.exp(-p.selection * better)))
        return acc.theirs if copies else mine

    @update(agents)
    def take_part(me, agents, new, p):
        """4. Where nobody may abstain, who does not contribute defects."""
        if p.may_abstain == 0.0 and agents.strategy[me] == ABSTAIN:
            new.strategy[me] = DEFECT

    observe = [
        contributing,
        abstaining,
        outcomes,
        streaming.entropy(streaming.field("agents.strategy", states=3)),
    ]
