"""The commons in the laboratory: tokens put into a market that pays all less the more is put in.

Ostrom, Gardner & Walker (1994), "Rules, Games, and Common-Pool Resources", University of Michigan Press, chapter 5;
Walker, Gardner & Ostrom (1990), J. Environ. Econ. Manag. 19, 203-211. Groups live in parallel. In a round

1. one member of each group drawn at random, or the next in turn, or everybody (``revision``) decides anew how many of
   its e tokens (``endowment``) to put into the common market, knowing what the others have in it; the rest keep theirs;
2. with X tokens of the group in the market, member i, with x_i of them, earns (w ``wage``, a ``productivity``,
   b ``crowding``)

       pi_i = w (e - x_i) + x_i (a - b X).

``rule`` says how members decide:

- constant: they keep what they have; nash, optimum: they play the symmetric equilibrium, the group's best shared alike
  (in whole tokens per member, rounded down: 4 each of 36 for 8 members);
- best_reply: x = ((a - w) / b - others) / 2, within 0 and e; the lower one of two whole numbers that are as good;
- logit: x with a probability proportional to exp(pi_i(x) / noise), over the whole numbers from 0 to e;
- imitation: they look at another member, drawn at random, and copy its x with probability
  1 / (1 + exp(-intensity (its payoff - own payoff))), payoffs of the round before; or, with probability ``mutation``,
  take any x at random.

Closed forms (`social_dilemmas_theory`), for a group of N:

- the symmetric equilibrium is x = (a - w) / (b (N + 1)), the group's best X = (a - w) / (2 b), and rent,
  X (a - w - b X), is gone at X = (a - w) / b. With a = 23, b = 0.25, w = 5 and N = 8: 8 tokens each, 36 in all, and 72;
- rent at the equilibrium is 4 N / (N + 1)^2 of what it can be: 0.395 for N = 8, 0.889 for N = 2;
- Phi = sum_i [(a - w) x_i - b x_i^2] - b sum_{i<j} x_i x_j is an exact potential, highest at the equilibrium (576). So
  logit decisions, one member at a time, have the stationary law exp(Phi / noise) / Z;
- best replies of all at once multiply the distance of the group's total from its equilibrium by -(N - 1) / 2, so that
  from N = 4 on they swing ever wider, until they meet 0 and e. In turn they settle.
- Who has more in the market than another earns more, if rent is positive, and less, if it is negative: imitation goes
  past the equilibrium, to where rent is gone, x = (a - w) / (b N).

Where the sources are silent: the order of decisions, noise, and imitation are choices of the literature on learning
in games. Members of group g have consecutive ids and take turns in their order. Tokens are divisible with
``whole_tokens=False``; an answer from outside is brought to 0 to e, and rounded where tokens are whole.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from simengine import (
    Mates,
    Output,
    Owner,
    Random,
    Scenario,
    counted,
    decision,
    drawn,
    field,
    gather,
    observable,
    param,
    population,
    reference,
    running,
    send,
    summed,
    update,
)
from simengine.diagnostics import streaming

CONSTANT, NASH, OPTIMUM, BEST_REPLY, LOGIT, IMITATION = range(6)
RULES = {
    "constant": CONSTANT, "nash": NASH, "optimum": OPTIMUM, "best_reply": BEST_REPLY, "logit": LOGIT,
    "imitation": IMITATION,
}  # fmt: skip
AT_RANDOM, IN_TURN, SIMULTANEOUS = range(3)
REVISIONS = {"one_at_random": AT_RANDOM, "in_turn": IN_TURN, "simultaneous": SIMULTANEOUS}


def payoff(tokens: float, total: float, endowment: float, productivity: float, crowding: float, wage: float) -> float:
    """Return what a member earns with ``tokens`` of the group's ``total`` in the market."""
    return wage * (endowment - tokens) + tokens * (productivity - crowding * total)


def nearest_best(target: float, endowment: float, whole: float) -> float:
    """Return what is best, payoffs falling alike on both sides of ``target``; of whole numbers the lower one of two."""
    best = min(max(target, 0.0), endowment)
    return float(math.ceil(best - 0.5)) if whole > 0.0 else best


def logit_tokens(luck: float, others: float, endowment: float, gain: float, crowding: float, noise: float) -> float:
    """Return whole tokens x, drawn by ``luck`` in proportion to exp(x (gain - crowding (others + x)) / noise)."""
    best = 0.0
    for x in range(int(endowment) + 1):
        best = max(best, x * (gain - crowding * (others + x)))
    weight = 0.0
    for x in range(int(endowment) + 1):
        weight += math.exp((x * (gain - crowding * (others + x)) - best) / noise)
    left = luck * weight
    chosen = 0
    for x in range(int(endowment) + 1):
        chosen = x
        left -= math.exp((x * (gain - crowding * (others + x)) - best) / noise)
        if left < 0.0:
            break
    return float(chosen)


def totals(agents: Any, groups: Any) -> tuple[Any, Any]:
    """Return the sums of tokens and of squared tokens of each group."""
    n = len(groups.ids)
    of = np.searchsorted(groups.ids, agents.group)
    return np.bincount(of, agents.tokens, n), np.bincount(of, agents.tokens**2, n)


OUTCOMES = (
    Output("mean_tokens", "1", "tokens in the market, mean of members"),
    Output("rent_share", "1", "rent over the most that it can be, mean of groups"),
    Output("potential", "1", "exact potential of the game, mean of groups"),
)


@observable(outputs=OUTCOMES)
def outcomes(agents: Any, groups: Any, p: Any) -> dict[str, float]:
    """What members have in the market, and what becomes of it."""
    total, squares = totals(agents, groups)
    gain = p.productivity - p.wage
    rent = total * (gain - p.crowding * total)
    return {
        "mean_tokens": float(agents.tokens.mean()),
        "rent_share": float(rent.mean() / (gain**2 / (4.0 * p.crowding))),
        "potential": float((gain * total - p.crowding * (squares + total**2) / 2.0).mean()),
    }


@observable
def mean_payoff(agents: Any) -> float:
    """What members earned in the last round, mean."""
    return float(agents.payoff.mean())


class LabCommons(Scenario):
    """Common-pool resource of the laboratory, many groups in parallel (Ostrom, Gardner & Walker 1994)."""

    paper = "Ostrom, Gardner & Walker (1994) Rules, Games, and Common-Pool Resources, doi:10.3998/mpub.9739"
    default_steps = 400

    n_agents: int = param(800, low=1, description="members of all groups")
    n_groups: int = param(100, low=1, description="groups")
    endowment: int = param(10, low=1, description="tokens e that a member has in a round")
    productivity: float = param(23.0, low=0, description="what a token earns in an empty market, a")
    crowding: float = param(0.25, above=0, description="what each token takes from the return of all, b")
    wage: float = param(5.0, low=0, description="what a token earns elsewhere, w")
    rule: Literal["constant", "nash", "optimum", "best_reply", "logit", "imitation"] = param(
        "logit", description="how members decide"
    )
    revision: Literal["one_at_random", "in_turn", "simultaneous"] = param(
        "one_at_random", description="who of a group decides in a round"
    )
    whole_tokens: bool = param(True, description="whether tokens cannot be divided")
    initial_tokens: float | None = param(None, low=0, description="in the market at the start; none: at random")
    noise: float = param(2.0, above=0, description="of logit decisions")
    intensity: float = param(0.1, low=0, description="of imitation: weight of payoffs")
    mutation: float = param(0.01, low=0, high=1, description="of imitation: probability to take any number of tokens")

    groups = population(size="n_groups", dim="group")
    agents = population(
        size="n_agents",
        group=reference(to=groups, long_name="group to which it belongs"),
        seat=field(int, low=0, long_name="number in its group, from 0 on, by which it takes turns"),
        tokens=field(low=0, long_name="tokens in the common market"),
        payoff=field(long_name="earnings of the last round"),
        earned=field(long_name="earnings of all rounds"),
    )
    market = Owner(agents.group)
    mate = Random(agents, k=1, within=Mates(agents.group))

    def check(self) -> None:
        """Refuse empty groups, markets that nobody enters, and more tokens than there are."""
        self.require(
            self.n_agents >= self.n_groups,
            f"n_agents ({self.n_agents}) must be at least n_groups ({self.n_groups}): no group is empty",
        )
        self.require(
            self.productivity > self.wage,
            f"productivity ({self.productivity:g}) must exceed wage ({self.wage:g}), or nobody enters the market",
        )
        start = 0.0 if self.initial_tokens is None else self.initial_tokens
        self.require(
            start <= self.endowment, f"initial_tokens ({start:g}) must not exceed endowment ({self.endowment})"
        )
        whole = self.whole_tokens or self.rule == "logit"
        self.require(not whole or start == int(start), f"initial_tokens: got {start:g}, but tokens are whole")
        self.require(self.whole_tokens or self.rule != "logit", "rule='logit' needs whole_tokens=True")

    def derived(self) -> dict[str, float]:
        """Rule and order as numbers; what the market earns more than work, at most."""
        return {
            "decides": RULES[self.rule],
            "turns": REVISIONS[self.revision],
            "gain": self.productivity - self.wage,
            "whole": self.whole_tokens,
        }

    def start(self, agents: Any, draw: Any) -> None:
        """Put members into groups and tokens into markets."""
        agents.group[:] = np.arange(self.n_agents) * self.n_groups // self.n_agents
        agents.seat[:] = np.arange(self.n_agents) - np.searchsorted(agents.group, agents.group)
        luck = draw.of(agents).uniform("tokens")
        at_random = np.floor(luck * (self.endowment + 1)) if self.whole_tokens else luck * self.endowment
        agents.tokens[:] = at_random if self.initial_tokens is None else self.initial_tokens

    def connected(self, agents: Any, groups: Any) -> None:
        """Refuse groups without members, which a start state may ask for; let the first round's payoffs be known."""
        size = np.bincount(agents.group[agents.group >= 0], minlength=self.n_groups)
        self.require(bool(size.all()), f"start: group {int(np.argmin(size))} is empty; each needs a member")
        total, _ = totals(agents, groups)
        agents.payoff[:] = payoff(
            agents.tokens,
            total[np.searchsorted(groups.ids, agents.group)],
            self.endowment,
            self.productivity,
            self.crowding,
            self.wage,
        )

    @send(agents, to=groups, members=counted(), present=summed(), turn=drawn())
    def gather_round(me, agents, send):
        """1. Show what is in the market; one is drawn."""
        send.members(agents.group[me])
        send.present(agents.group[me], agents.tokens[me])
        send.turn(agents.group[me])

    @gather(market, members=running(1), others=running(0.0), my_turn=running(0))
    def look(me, other, agents, groups, p, step, acc):
        """1. See what the others have in the market, and whose turn it is."""
        acc.members = groups.members[other]
        acc.others = groups.present[other] - agents.tokens[me]
        if p.turns == AT_RANDOM:
            acc.my_turn = 1 if groups.turn[other] == me else 0
        elif p.turns == IN_TURN:
            acc.my_turn = 1 if step % groups.members[other] == agents.seat[me] else 0
        else:
            acc.my_turn = 1

    @gather(mate, seen=running(-1.0), their_payoff=running(0.0))
    def compare(me, other, agents, acc):
        """1. See what another member did, and earned."""
        acc.seen = agents.tokens[other]
        acc.their_payoff = agents.payoff[other]

    @decision(agents.tokens, after=(look, compare))
    def appropriate(me, agents, p, acc, draw):
        """1. Put tokens into the market."""
        mine = agents.tokens[me]
        if acc.my_turn == 0 or p.decides == CONSTANT:
            return mine
        if p.decides == NASH:
            return nearest_best(p.gain / (p.crowding * (acc.members + 1)), p.endowment, p.whole)
        if p.decides == OPTIMUM:
            return nearest_best(p.gain / (2.0 * p.crowding * acc.members), p.endowment, p.whole)
        if p.decides == BEST_REPLY:
            return nearest_best((p.gain / p.crowding - acc.others) / 2.0, p.endowment, p.whole)
        if p.decides == LOGIT:
            return logit_tokens(draw.uniform("logit"), acc.others, p.endowment, p.gain, p.crowding, p.noise)
        if draw.chance("mutates", p.mutation):
            anything = draw.uniform("mutation")
            return math.floor(anything * (p.endowment + 1.0)) * 1.0 if p.whole > 0.0 else anything * p.endowment
        better = acc.their_payoff - agents.payoff[me]
        copies = acc.seen >= 0.0 and draw.chance("copies", 1.0 / (1.0 + math.exp(-p.intensity * better)))
        return acc.seen if copies else mine

    @update(agents)
    def keep_to_endowment(me, agents, new, p):
        """1. Bring an answer from outside to what there is."""
        tokens = min(max(agents.tokens[me], 0.0), p.endowment * 1.0)
        new.tokens[me] = math.floor(tokens + 0.5) * 1.0 if p.whole > 0.0 else tokens

    @send(agents, to=groups, invested=summed())
    def invest(me, agents, send):
        """2. The group's tokens add up."""
        send.invested(agents.group[me], agents.tokens[me])

    @gather(market, total=running(0.0))
    def settle(me, other, groups, acc):
        """2. The return of a token follows."""
        acc.total = groups.invested[other]

    @update(agents, after=settle)
    def earn(me, agents, new, p, acc):
        """2. Earn."""
        earned = payoff(agents.tokens[me], acc.total, p.endowment, p.productivity, p.crowding, p.wage)
        new.payoff[me] = earned
        new.earned[me] += earned

    observe = [
        outcomes,
        mean_payoff,
        streaming.entropy(streaming.field("agents.tokens", bins=26, range=(0, "endowment"))),
    ]
