"""Controlled social learning: agents act in sequence, signals are private, actions public, precision is a planner's.

Arghal, He, Saeedi Bidokhti & Sarkar, "Steering the Herd" (arXiv:2504.02648), on the ground of Bikhchandani, Hirshleifer
& Welch (1992), J. Political Economy 100, 992-1026. Communities live in parallel; a step is one agent in each. The state
is good or bad, unknown to everybody; b is the public belief that it is good. A step:

1. The planner sees b and chooses the precision q of the next agent's signal. Precision p costs nothing, another one
   ``cost * |q - p|**cost_power`` (for the altruistic planner only above p).
2. The agent gets a private signal that equals the state with probability q.
3. It acts: "good" or "bad", whichever is likelier by Bayes' rule; a wrong action costs it ``loss``. A tie goes to its
   own signal, or to a fair coin (``ties``).
4. All see precision and action and update b by Bayes' rule under that rule of action. In log-odds a revealed signal
   adds +-ln(q / (1 - q)); if both signals lead to one action, a cascade, nothing is learnt.

Exact for Bayesian agents and precision p throughout (``planner="none"``), prior 1/2, with h the binary entropy:

* own signal at ties: cascades are right with probability P = p**2 / (p**2 + (1 - p)**2) and begin after
  2 / (p**2 + (1 - p)**2) agents in the mean; the actions of all agents together hold 1 - h(P) bits about the state;
* a coin: after an even number n of agents no cascade with probability (p - p**2)**(n / 2), and a right one with
  p (p + 1) [1 - (p - p**2)**(n / 2)] / (2 (1 - p + p**2)); the mean is 2 / (1 - p + p**2) agents.

Under any planner b is a martingale, its entropy a supermartingale, and a cascade is for ever unless the planner's
precision changes. A planner who never looks ahead (``myopic``) or at all agents to come (``optimal``) plays what
`solve_planner` finds. For the altruistic one and linear cost k < C it buys precision 1 while
min(b, 1 - b) > k (1 - p) (1 - discount) / C, and p otherwise; the biased one wants action good in any state, and
obfuscates beliefs above 1/2: with q just below b signals do not matter.

Biases of agents (fitted to language models): an agent's log-odds after its signal are
``prior_weight * ln(b / (1 - b)) +- w ln(q / (1 - q)) + lean`` with w = ``agree_weight`` if the signal points where b
does and ``contradict_weight`` otherwise (also at b = 1/2). NB1, under-reaction to what agrees, is agree_weight < 1;
NB2, over-reaction to what contradicts, contradict_weight > 1; NB3, later cascades, follows: without lean one begins
where |ln(b / (1 - b))| > contradict_weight ln(q / (1 - q)) / prior_weight. The public belief allows for them.

With ``spoken`` the protocol has the three roles of the paper's language models: an oracle puts each signal in words
(2), and an agent states how likely it takes the state to be good before it acts (3). The engine draws the signal, so
that its precision is exact whoever words it; no rule reads words or stated beliefs. `social_learning_words` holds what
models are told.

Where the paper is silent: b and signals are held as multiples of 2**-40 in log-odds, so that an up and a down of one
precision cancel exactly; log-odds of an agent within 1e-9 of 0 are a tie; those of the public end at +-700, where
precision 1 leads. An action that the rule could not have given, from a policy, tells nothing. Optimal policies are
those for Bayesian agents whose ties follow their signal.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from simengine import Output, Scenario, decision, field, observable, param, population, update
from simengine.diagnostics import streaming
from simengine.random.draws import log_unit
from simengine.scenarios.herding import LATTICE, TIE, BanerjeeHerding, GaussianLearning, NetworkLearning
from simengine.scenarios.social_learning_planner import belief_grid, solve_planner
from simengine.scenarios.social_learning_words import ACT, BELIEVE, PLAN, WORD

__all__ = ["BanerjeeHerding", "GaussianLearning", "NetworkLearning", "SocialLearning", "solve_planner"]

BAD, GOOD = 0, 1
CERTAIN = 700.0
SNAP = 1e-9


def on_lattice(x: float) -> float:
    """Return the nearest multiple of 2**-40; sums of these below 4096 in size are exact."""
    return math.floor(x * LATTICE + 0.5) / LATTICE


def prior_odds(prior: float) -> float:
    """Return the log-odds of a prior, as far as those of beliefs go."""
    return on_lattice(min(max(math.log(prior / (1.0 - prior)), -CERTAIN), CERTAIN))


def weight_of(q: float) -> float:
    """Return the log-odds that a signal of precision q adds."""
    return on_lattice(log_unit(q / (1.0 - q))) if q < 1.0 else 2.0 * CERTAIN


def leaning(log_odds: float, toward: float, weight: float, prior: float, agree: float, other: float, lean: float):
    """Return an agent's log-odds after a signal that points ``toward`` good (1) or bad (-1)."""
    kept = agree if toward * log_odds > 0.0 else other
    return prior * log_odds + toward * kept * weight + lean


def node_of(belief: float, precision: float, outer: float, inner: float, per_outer: float, per_inner: float) -> int:
    """Return the node of the planner's grid of beliefs that is nearest, on the same side of 1 - p, 1/2 and p."""
    lower = 1.0 - precision
    middle = int(outer + inner) + 3 if inner > 0.0 else int(outer) + 1
    low = min(belief, 1.0 - belief)
    node = int(low * per_outer + 0.5)
    if inner > 0.0 and low > lower:
        node = int(outer) + 2 + int((low - lower) * per_inner + 0.5)
    if abs(low - lower) <= SNAP:
        node = int(outer) + 1
    if 0.5 - low <= SNAP:
        node = middle
    return node if belief <= 0.5 else 2 * middle - node


BELIEFS = (
    Output("mean_belief", "1", "mean public belief that the state is good"),
    Output("belief_entropy", "bit", "mean entropy of the public belief"),
    Output("information", "bit", "information of all actions so far about the state, if it was drawn"),
)


def entropy_bits(log_odds: Any) -> Any:
    """Return the binary entropy of a belief given in log-odds, in bits."""
    belief = 1.0 / (1.0 + np.exp(-log_odds))
    return (np.logaddexp(0.0, log_odds) - belief * log_odds) / math.log(2.0)


@observable(outputs=BELIEFS)
def beliefs_held(agents: Any, p: Any) -> dict[str, float]:
    """Belief, its entropy, and the information aggregated."""
    uncertainty = float(entropy_bits(agents.log_odds).mean())
    return {
        "mean_belief": float(agents.belief.mean()),
        "belief_entropy": uncertainty,
        "information": float(entropy_bits(prior_odds(p.prior))) - uncertainty,
    }


CASCADES = (
    Output("cascade_share", "1", "share of communities in a cascade"),
    Output("good_cascade_share", "1", "share of communities in a cascade on action good"),
    Output("right_cascade_share", "1", "share of communities in a cascade on the right action"),
    Output("cascade_onset", "1", "mean number of agents before the cascade, where there is one"),
)


@observable(outputs=CASCADES)
def cascades(agents: Any) -> dict[str, float]:
    """Who herds, on which side, and since when."""
    herding = agents.onset >= 0
    return {
        "cascade_share": float(herding.mean()),
        "good_cascade_share": float((herding & (agents.action == GOOD)).mean()),
        "right_cascade_share": float((herding & (agents.action == agents.state)).mean()),
        "cascade_onset": float(agents.onset[herding].mean()) if herding.any() else math.nan,
    }


OUTCOMES = (
    Output("accuracy", "1", "share of this step's agents who act rightly"),
    Output("welfare", "1", "mean utility of all agents of a community so far, added up"),
    Output("discounted_welfare", "1", "mean discounted utility of all agents of a community so far, added up"),
    Output("precision_used", "1", "mean precision of this step's signals"),
    Output("spending", "1", "mean of what the planner of a community has spent so far"),
    Output("planner_value", "1", "mean of what the planner of a community has gained so far, discounted"),
)


@observable(outputs=OUTCOMES)
def outcomes(agents: Any, p: Any) -> dict[str, float]:
    """What agents and planner have got."""
    return {
        "accuracy": float((agents.action == agents.state).mean()),
        "welfare": -p.loss * float(agents.mistakes.mean()),
        "discounted_welfare": float(agents.utility.mean()),
        "precision_used": float(agents.precision.mean()),
        "spending": float(agents.spent.mean()),
        "planner_value": float(agents.value.mean()),
    }


class SocialLearning(Scenario):
    """Sequential social learning whose signals' precision a planner controls (Arghal et al. 2025)."""

    paper = "Arghal, He, Saeedi Bidokhti & Sarkar (2025) Steering the Herd, arXiv:2504.02648"
    default_steps = 100

    n_communities: int = param(1000, low=1, description="communities that live in parallel")
    prior: float = param(0.5, above=0, below=1, description="probability that the state is good")
    state: Literal["drawn", "good", "bad"] = param("drawn", description="state: from the prior, or the same everywhere")
    precision: float = param(0.7, low=0.5, below=1, description="precision p of signals that costs nothing")
    ties: Literal["own_signal", "coin_flip"] = param("own_signal", description="what decides between equal actions")
    planner: Literal["none", "always_p", "always_1", "random", "myopic", "optimal"] = param(
        "none", description="who chooses the precision; random: uniformly from what the objective may use"
    )
    objective: Literal["altruistic", "biased"] = param(
        "altruistic", description="what the planner wants: agents that are right, or action good in any state"
    )
    cost: float = param(0.5, low=0, description="cost k of precision")
    cost_power: float = param(1.0, above=0, high=1, description="power of |q - p| in the cost: 1 linear, below concave")
    loss: float = param(1.0, above=0, description="loss C of a wrong action, to the biased planner of action bad")
    discount: float = param(0.9, low=0, below=1, description="weight of the next agent relative to this one")
    n_beliefs: int = param(4001, low=21, description="nodes of the grid of beliefs of the planner's policy, odd")
    margin: float = param(
        1e-6, low=1e-7, high=0.01, description="distance of precisions that are played beside a limit"
    )
    prior_weight: float = param(1.0, low=0, description="weight of the public belief's log-odds; 1: Bayesian")
    agree_weight: float = param(1.0, low=0, description="weight of a signal that agrees with the public; 1: Bayesian")
    contradict_weight: float = param(1.0, low=0, description="weight of a signal that does not; 1: Bayesian")
    lean: float = param(0.0, description="log-odds that agents add for good; 0: Bayesian")
    spoken: bool = param(False, description="whether signals are put in words and agents state beliefs")

    agents = population(
        size="n_communities",
        dim="community",
        state=field(int, long_name="state: 1 good, 0 bad"),
        log_odds=field(long_name="log-odds of the public belief that the state is good"),
        belief=field(long_name="public belief that the state is good"),
        precision=field(long_name="precision of the agent's signal"),
        weight=field(long_name="log-odds that the agent's signal adds"),
        signal=field(int, long_name="private signal: 1 good, 0 bad"),
        message=field(int, long_name="signal in words: 0 and 1 bad and good as the rule says it, else a text's digest"),
        stated=field(low=0, high=1, long_name="belief that the agent states after its signal"),
        action=field(int, long_name="action: 1 good, 0 bad"),
        onset=field(int, default=-1, long_name="number of agents before the present cascade; -1: no cascade"),
        mistakes=field(int, long_name="wrong actions so far"),
        utility=field(long_name="discounted utility of the agents so far"),
        spent=field(long_name="cost of the planner so far"),
        value=field(long_name="discounted reward of the planner so far"),
    )
    beliefs = population(
        size="n_beliefs",
        dim="node",
        intercept=field(long_name="planner's precision at belief b: intercept"),
        slope=field(long_name="planner's precision at belief b: slope in b"),
    )

    def check(self) -> None:
        """Refuse a grid without a middle."""
        self.require(self.n_beliefs % 2 == 1, f"n_beliefs: got {self.n_beliefs}, allowed are odd numbers from 21")

    def derived(self) -> dict[str, float]:
        """Intervals of the planner's grid, and the objective in numbers."""
        _, outer, inner = belief_grid(self.precision, self.n_beliefs)
        biased = self.objective == "biased"
        return {
            "outer": outer,
            "inner": inner,
            "per_outer": outer / (1.0 - self.precision),
            "per_inner": inner / (self.precision - 0.5) if inner else 0.0,
            "biased": biased,
            "lowest": 0.5 if biased else self.precision,
            "log_discount": math.log(max(self.discount, 1e-300)),
        }

    def start(self, agents: Any, beliefs: Any, draw: Any) -> None:
        """Draw the states; let the planner find its policy."""
        fixed = {"good": GOOD, "bad": BAD}
        drawn = draw.of(agents).uniform("state") < self.prior
        agents.state[:] = fixed.get(self.state, drawn)
        log_odds = prior_odds(self.prior)
        agents.log_odds[:] = log_odds
        agents.belief[:] = 1.0 / (1.0 + math.exp(-log_odds))
        agents.stated[:] = agents.belief
        beliefs.intercept[:] = 1.0 if self.planner == "always_1" else self.precision
        beliefs.slope[:] = 0.0
        if self.planner in {"myopic", "optimal"}:
            beliefs.intercept[:], beliefs.slope[:] = self.policy_lines()

    def policy_lines(self) -> tuple[Any, Any]:
        """Return the planner's precision near each node of the grid as a line in the belief: intercepts and slopes."""
        discount = self.discount if self.planner == "optimal" else 0.0
        found = solve_planner(
            self.objective, self.precision, self.cost, discount, self.loss, cost_power=self.cost_power,
            beliefs=self.n_beliefs, margin=self.margin,
        )  # fmt: skip
        region, upper = found.region.values, np.arange(self.n_beliefs) > self.n_beliefs // 2
        # A coin at ties makes max(b, 1 - b) half informative; just above it is as good.
        beside = {"match": self.margin if self.ties == "coin_flip" else 0.0, "above": self.margin}
        intercept, slope = found.policy.values.copy(), np.zeros(self.n_beliefs)
        for name, margin in (beside | {"obfuscate": -self.margin}).items():
            here = region == name
            intercept[here] = np.where(upper[here], 0.0, 1.0) + margin
            slope[here] = np.where(upper[here], 1.0, -1.0)
        return intercept, slope

    @decision(agents.precision)
    def plan(me, agents, beliefs, p, draw):
        """1. The planner chooses the precision of the next signal."""
        if p.planner == "random":
            return draw.uniform("precision", p.lowest, 1.0)
        belief = agents.belief[me]
        node = node_of(belief, p.precision, p.outer, p.inner, p.per_outer, p.per_inner)
        return beliefs.intercept[node] + beliefs.slope[node] * belief

    @update(agents)
    def hear(me, agents, new, draw):
        """2. The agent gets its signal; a precision from outside is brought to 0.5 to 1."""
        q = min(max(agents.precision[me], 0.5), 1.0)
        state = agents.state[me]
        new.precision[me] = q
        new.weight[me] = weight_of(q)
        new.signal[me] = state if draw.chance("signal", q) else 1 - state

    @decision(agents.message, when={"spoken": True})
    def word(me, agents):
        """2. The oracle puts the signal in words."""
        return agents.signal[me]

    @decision(agents.stated, when={"spoken": True})
    def believe(me, agents, p):
        """3. The agent states its belief."""
        odds = leaning(
            agents.log_odds[me], 2.0 * agents.signal[me] - 1.0, agents.weight[me],
            p.prior_weight, p.agree_weight, p.contradict_weight, p.lean,
        )  # fmt: skip
        return 1.0 / (1.0 + math.exp(-min(max(odds, -CERTAIN), CERTAIN)))

    @decision(agents.action, options=("bad", "good"))
    def act(me, agents, p, draw):
        """3. The agent does what is likelier to be right."""
        signal = agents.signal[me]
        toward = 2.0 * signal - 1.0
        odds = leaning(
            agents.log_odds[me], toward, agents.weight[me], p.prior_weight, p.agree_weight, p.contradict_weight, p.lean
        )
        tied = signal
        if p.ties == "coin_flip":
            tied = 1 if draw.chance("coin", 0.5) else 0
        return 1 if odds > TIE else (0 if odds < -TIE else tied)

    @update(agents)
    def learn(me, agents, new, p, step):
        """4. Everybody sees precision and action."""
        log_odds, weight, action = agents.log_odds[me], agents.weight[me], agents.action[me]
        after_good = leaning(log_odds, 1.0, weight, p.prior_weight, p.agree_weight, p.contradict_weight, p.lean)
        after_bad = leaning(log_odds, -1.0, weight, p.prior_weight, p.agree_weight, p.contradict_weight, p.lean)
        informative = after_good >= -TIE and after_bad <= TIE
        if p.ties == "coin_flip":
            # At a tie the signal against the belief leads to both actions: one tells it, the other half hides it.
            tied_good, tied_bad = abs(after_good) <= TIE, abs(after_bad) <= TIE
            q = agents.precision[me]
            half = on_lattice(log_unit((1.0 + q) / (2.0 - q)))
            if tied_good and tied_bad:
                weight = 0.0
            elif (tied_bad and action == 1) or (tied_good and action == 0):
                weight = half
        told = (weight if action == 1 else -weight) if informative else 0.0
        if told != 0.0:
            log_odds = min(max(log_odds + told, -CERTAIN), CERTAIN)
            new.log_odds[me] = log_odds
            new.belief[me] = 1.0 / (1.0 + math.exp(-log_odds))
        onset = agents.onset[me]
        new.onset[me] = -1 if informative else (step if onset < 0 else onset)
        wrong = 1 if action != agents.state[me] else 0
        gap = agents.precision[me] - p.precision
        price = 0.0
        if gap > 0.0 or (gap < 0.0 and p.biased > 0.0):
            price = p.cost * (abs(gap) if p.cost_power == 1.0 else abs(gap) ** p.cost_power)
        factor = math.exp(step * p.log_discount)
        harm = 1 - action if p.biased > 0.0 else wrong
        new.mistakes[me] += wrong
        new.utility[me] -= factor * p.loss * wrong
        new.spent[me] += price
        new.value[me] -= factor * (price + p.loss * harm)

    observe = [beliefs_held, cascades, outcomes, streaming.entropy(streaming.field("agents.action", states=2))]
    prompts = {"plan": PLAN, "word": WORD, "believe": BELIEVE, "act": ACT}
