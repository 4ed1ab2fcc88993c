"""A common-pool resource, harvested by villagers who imitate one another, punish, and vote on a norm.

Gupta, Zhong, Yakura, Eisenmann & Rahwan (2025), "The role of social learning and collective norm formation in fostering
cooperation in LLM multi-agent systems", arXiv:2510.14401; its model of rules. Villages live side by side, each with a
stock R and a norm G, the most that a member should harvest. A member has an effort e, propensities m to monitor and p
to punish, a belief g (the norm it would like), and wealth P. A round of a village:

1. Each member chooses its effort.
2. It wants to harvest the share alpha e of the stock, and gets h. Together they get the stock at most (`allocation`).
3. The stock is down to R' = R - sum of h.
4. Each member looks at another one, drawn evenly; it inspects it with probability m, and if that one has harvested more
   than G punishes it with probability p.
5. P changes by h - c - gamma B - beta V: subsistence, the cost of having punished, the penalty of having been punished
   (once, by how many it may be). Whoever has less than nothing starves.
6. Each meets another one k, drawn evenly, and copies its effort, monitoring and belief with probability
   1 / (1 + exp(-delta (payoff of k - own payoff))), each with normal noise.
7. Each proposes a cap, its belief; the norm becomes the median of the proposals. With ``agreement="vote"`` each names
   a cap (by the rule its belief) and so votes for the nearest proposal of another, of two the lower; the norm becomes
   the proposal with most votes, of equals one that is drawn among those who proposed them.
8. What is left of the stock grows, R = R' + r R' (1 - R' / K) by default (`commons_growth` has all laws).

A village ends when its stock is `stock_minimum` or less, and with its first starvation (``ends="first_starvation"``,
the paper's) or that of its last member (``"extinction"``); if with both at once, starvation counts. One that has ended
stands still as it was then, and a run stops when all have. The number of rounds is the survival time: `going_on` is the
curve of survival, `survival` the mean of rounds so far. The dead take no part in votes, meetings and means.

Without imitation and sanctions, members of constant effort take the share q = alpha sum of e, and with x = q / (1 - q)

    R -> K (1 + x) (1 - x / r), harvest K x (1 - x / r) if x < r, otherwise extinction; best is r K / 4 at x = r / 2.

If N c > r K / 4, no village lives longer than (N P(0) + R(0)) / (N c - r K / 4) rounds, whatever its members do.

Where the paper is silent or contradicts itself, a parameter holds the choice; the default is

- alpha = 0.03, c = 2, P(0) = 20, delta = 1, noise of sd 0.05 on effort and 0.5 on belief and none on the propensities,
  m = 1, R(0) = K, R_min = 1, 100 rounds: with these the societies come out in the order that the paper reports;
- the payoff compared is wealth (``payoff="wealth"``), or a mean of past rounds' payoffs that forgets (``"average"``);
- the propensity to punish is not copied (``imitate_punishment``): the paper's triple leaves it out;
- altruists punish more than the selfish, as the paper's text says; its table says the contrary (``reading``);
- individual learning from punishment, which the paper speaks of but does not define: none (``learning``). With
  ``"norm_clamp"`` whoever was punished lowers its effort to what the norm allows, min(e, G / (alpha R)), at its next
  choice; with ``"multiplicative"`` it multiplies it by ``decrease``; with ``"reinforcement"`` all choose one of 10
  levels of effort with chances in proportion to what the level has brought so far (at first, their own one half of the
  time), and do not copy efforts;
- penalties take wealth, and kill (``penalty="wealth"``); with ``"payoff"`` they only lower the payoff that is compared;
- before the first vote the norm is the median of beliefs; of a mixed society each village has its share of altruists;
- growth comes last. It depends on R' alone, so its place among 6 to 8 does not matter.

Who harvests in turn (``allocation="first_come"``, ``"in_turn"``) asks all its mates who comes before it: that is for
villages of some hundreds, not millions. A village of another size fares alike with alpha in proportion to 1 / N, and K
to N. `SOCIETIES` is the paper's comparison of environments and societies. `GovSim` has three commons that were made for
language models.

A round of the paper's language models is four decisions: `choose_effort`, `punish`, `propose` and `vote`; what they are
told is in `commons_words`. They see how somebody fares (``sees_peer``), vote (``agreement="vote"``) and copy nobody
(``imitation=False``). With ``statements`` those who propose may say something for it (`argue`), which voters read and
which goes with the norm that wins.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from simengine import (
    Mates,
    Members,
    Owner,
    Random,
    Regimes,
    Scenario,
    count,
    counted,
    decision,
    field,
    gather,
    median,
    param,
    population,
    reference,
    running,
    send,
    total,
    unchanged,
    update,
    vector,
)
from simengine.scenarios.commons_growth import Growth, additive, best_harvest, doubling, logistic
from simengine.scenarios.commons_measures import COMMONS, EXHAUSTED, OPEN, STARVED
from simengine.scenarios.commons_societies import ENVIRONMENTS, Reading, Society, give_traits, medians
from simengine.scenarios.commons_societies import SOCIETIES as SOCIETIES
from simengine.scenarios.commons_words import PROMPTS
from simengine.scenarios.govsim import GovSim as GovSim

LEVELS = 10
"""Levels of effort among which reinforcement learners choose."""
IN_TURN = ("first_come", "in_turn")
VOTE = {"voting": True, "agreement": "vote"}
LEAST = 1e-9
"""Rewards do not sink below this, so that every level of effort is tried now and then."""


def within(value: float, low: float, high: float) -> float:
    """Return the value, or the bound that it is beyond."""
    return min(max(value, low), high)


def levels(effort: Any) -> Any:
    """Return the level, 0 to 9, that each effort belongs to."""
    return np.minimum((LEVELS * effort).astype(np.int64), LEVELS - 1)


def in_open_villages(agents: Any, villages: Any) -> Any:
    """Return who lives in a village that has not ended; nobody else is asked."""
    return villages.ending[agents.village] == OPEN


def under_sanctions(agents: Any, villages: Any, p: Any, step: int) -> Any:
    """The same, while there is punishment."""
    return in_open_villages(agents, villages) & (step < p.sanctions_end)


def who_inspected(agents: Any, villages: Any, p: Any, step: int) -> Any:
    """The same of those who have inspected somebody."""
    return under_sanctions(agents, villages, p, step) & (agents.inspects == 1)


class Commons(Scenario):
    """Villages that harvest a common stock, imitate, punish and vote on a norm (Gupta et al. 2025)."""

    paper = "Gupta, Zhong, Yakura, Eisenmann & Rahwan (2025) Proc. AAMAS 2026, arXiv:2510.14401"
    default_steps = 100

    n_agents: int = param(10, low=1, description="number of villagers, of all villages")
    n_villages: int = param(1, low=1, description="number of villages, each with a stock of its own")
    environment: Literal["harsh", "rich", "custom"] = param(
        "custom", description="growth rate: harsh 0.2, rich 0.6, custom as given"
    )
    society: Society = param("general", description="who the villagers are")
    altruist_share: float = param(0.5, low=0, high=1, description="share of altruists in each village, if mixed")
    reading: Reading = param("prose", description="which of the paper's accounts says who punishes")
    carrying_capacity: float = param(300.0, above=0, description="stock K that a village can carry")
    initial_stock: float | None = param(None, low=0, description="stock at the start; none: K")
    stock_minimum: float = param(1.0, low=0, description="stock at which a village ends")
    growth: Growth = param("logistic", description="law by which the stock grows")
    growth_rate: float = param(0.6, low=0, high=3, description="rate r of growth in a round")
    productivity: float = param(0.03, low=0, high=1, description="share alpha of the stock that full effort harvests")
    allocation: Literal["proportional", "equal", "first_come", "in_turn"] = param(
        "proportional",
        description="who gets what if they want more than there is: the same part of what each wants, at most one "
        "equal share each, or what those before have left; in_turn: wants go by what those before have left",
    )
    turns: Literal["drawn", "by_id"] = param("drawn", description="order of those who harvest in turn")
    penalty_size: float = param(10.0, low=0, description="penalty beta of the punished")
    punishment_cost: float = param(0.0, low=0, description="cost gamma of having punished")
    penalty: Literal["wealth", "payoff"] = param("wealth", description="what the penalty lowers")
    sanctions_until: int | None = param(None, low=0, description="last round with punishment; none: no last one")
    monitoring: float = param(1.0, low=0, high=1, description="first propensity m to inspect")
    subsistence: float = param(2.0, low=0, description="need c of a villager in a round")
    initial_wealth: float = param(20.0, low=0, description="wealth P of all at the start")
    ends: Literal["first_starvation", "extinction"] = param("first_starvation", description="when a village ends")
    imitation: bool = param(True, description="whether villagers imitate")
    imitation_strength: float = param(1.0, low=0, description="strength delta of selection")
    payoff: Literal["wealth", "average"] = param("wealth", description="payoff by which models are judged")
    memory: float = param(0.8, low=0, below=1, description="weight of the past in average payoffs")
    imitate_punishment: bool = param(False, description="whether the propensity to punish is copied, too")
    noise: float = param(0.05, low=0, description="sd of the noise on a copied effort")
    belief_noise: float = param(0.5, low=0, description="the same of a belief")
    propensity_noise: float = param(0.0, low=0, description="the same of a propensity to inspect or to punish")
    learning: Literal["none", "norm_clamp", "multiplicative", "reinforcement"] = param(
        "none", description="what villagers learn by themselves"
    )
    decrease: float = param(0.5, low=0, high=1, description="factor on the effort of the punished, if multiplicative")
    forgetting: float = param(0.1, low=0, high=1, description="share of past reward that a round takes")
    voting: bool = param(True, description="whether villages vote; otherwise the first norm stays")
    agreement: Literal["median", "vote"] = param(
        "median", description="how a village agrees: on the median of what is proposed, or on what most vote for"
    )
    statements: bool = param(False, description="whether villagers say something for what they propose")
    sees_stock: bool = param(True, description="whether villagers see the stock when they choose their effort")
    sees_norm: bool = param(True, description="the same of the norm")
    sees_peer: bool = param(False, description="the same of effort and payoff of somebody, drawn evenly")
    sees_payoffs: bool = param(True, description="whether who imitates sees payoffs; otherwise all seem alike")
    highest_belief: float = param(20.0, above=0, description="upper end of bins that count beliefs")

    regimes = Regimes(by=("environment",), table={(name,): values for name, values in ENVIRONMENTS.items()})

    villages = population(
        size="n_villages",
        stock=field(low=0, long_name="stock R"),
        norm=field(low=0, long_name="cap G on a member's harvest"),
        available=field(low=0, long_name="what all get who harvest a share of 1"),
        portion=field(low=0, high=1, long_name="largest share that one gets"),
        harvested=field(low=0, long_name="harvest of all rounds"),
        grown=field(long_name="growth of all rounds"),
        endowment=field(low=0, long_name="stock at the start"),
        founders=field(int, low=0, long_name="members at the start"),
        rounds=field(int, low=0, long_name="rounds lived"),
        statement=field(int, low=0, long_name="digest of what was said for the norm; 0: nothing"),
        ending=field(int, low=0, high=2, long_name="0: goes on; ended of 1: starvation, 2: an exhausted stock"),
    )
    agents = population(
        size="n_agents",
        capacity="n_agents",
        village=reference(to=villages, long_name="the village it lives in"),
        altruist=field(bool, long_name="whether it began as an altruist"),
        effort=field(low=0, high=1, long_name="effort e"),
        monitoring=field(low=0, high=1, long_name="propensity m to inspect"),
        punishment=field(low=0, high=1, long_name="propensity p to punish"),
        belief=field(low=0, long_name="cap g that it believes in"),
        wealth=field(low=0, long_name="wealth P"),
        signal=field(long_name="payoff that it is judged by"),
        turn=field(long_name="place in the order of harvesting"),
        harvest=field(long_name="harvest h of the round"),
        inspects=field(int, low=0, high=1, long_name="whether it inspected"),
        punishes=field(int, low=0, high=1, long_name="whether it punished"),
        fined=field(bool, long_name="whether it was punished"),
        adopts=field(int, low=0, high=1, long_name="whether it imitated"),
        proposal=field(low=0, long_name="cap that it proposed"),
        statement=field(int, low=0, long_name="digest of what it said for it; 0: nothing"),
        ballot=field(low=0, long_name="cap that it voted for"),
        reward=vector(LEVELS, long_name="what levels of effort have brought"),
    )

    home = Owner(agents.village)
    members = Members(agents.village)
    mates = Mates(agents.village)
    somebody = Random(agents, k=1, within=mates)

    def check(self) -> None:
        """Refuse villages that would be empty, and parameters that contradict one another."""
        self.require(
            self.n_agents >= self.n_villages,
            f"n_agents ({self.n_agents}) is less than n_villages ({self.n_villages}): a village would be empty",
        )
        self.require(
            self.first_stock <= self.carrying_capacity,
            f"initial_stock ({self.first_stock:g}) exceeds carrying_capacity ({self.carrying_capacity:g})",
        )
        self.require(
            self.stock_minimum < self.carrying_capacity,
            f"stock_minimum ({self.stock_minimum:g}) is not below carrying_capacity ({self.carrying_capacity:g}): "
            "every village would end at once",
        )
        rate = ENVIRONMENTS.get(self.environment, {}).get("growth_rate", self.growth_rate)
        self.require(
            self.growth_rate == rate,
            f"growth_rate ({self.growth_rate:g}) is not that of a {self.environment} environment ({rate:g}); "
            "leave one of them out",
        )
        self.require(
            self.learning != "norm_clamp" or (self.sees_stock and self.sees_norm),
            "learning='norm_clamp' needs sees_stock and sees_norm: villagers reckon what the norm allows",
        )

    @property
    def first_stock(self) -> float:
        """The stock of a village at the start."""
        return float(self.carrying_capacity if self.initial_stock is None else self.initial_stock)

    def derived(self) -> dict[str, float]:
        """The best sustainable harvest, and the first round without punishment."""
        return {
            "best_harvest": best_harvest(self.growth, self.growth_rate, self.carrying_capacity),
            "sanctions_end": math.inf if self.sanctions_until is None else self.sanctions_until,
        }

    def start(self, agents: Any, villages: Any, draw: Any) -> None:
        """Spread the villagers evenly and give them their traits; give each village its stock."""
        agents.village[:] = np.arange(self.n_agents) * self.n_villages // self.n_agents
        agents.wealth[:] = self.initial_wealth
        agents.monitoring[:] = self.monitoring
        agents.turn[:] = agents.ids
        give_traits(agents, draw.of(agents), self.society, self.altruist_share, self.reading)
        villages.stock[:] = self.first_stock
        villages.portion[:] = 1.0

    def connected(self, agents: Any, villages: Any) -> None:
        """Set what follows from who lives where with what traits; refuse empty villages."""
        village = agents.village
        size = np.bincount(village[village >= 0], minlength=self.n_villages)
        self.require(size.sum() == len(village), "start: agents.village: each agent needs a village, none may be -1")
        self.require(bool(size.all()), f"start: village {int(np.argmin(size))} is empty; each needs a member")
        self.require(
            bool((villages.stock <= self.carrying_capacity).all()),
            f"start: villages.stock: {villages.stock.max():g} exceeds carrying_capacity ({self.carrying_capacity:g})",
        )
        if self.allocation in IN_TURN:
            places = len(np.unique(np.stack([village, agents.turn]), axis=1).T)
            self.require(places == len(village), "start: agents.turn: two of a village have the same place")
        villages.founders[:] = size
        villages.endowment[:] = villages.stock
        villages.norm[:] = medians(agents.belief, village, size)
        agents.proposal[:] = agents.belief
        if self.payoff == "wealth":
            agents.signal[:] = agents.wealth
        agents.reward[:] = 1.0
        agents.reward[np.arange(len(village)), levels(agents.effort)] += LEVELS - 2.0

    @gather(home, stock=running(math.nan), norm=running(math.nan))
    def perceive(me, other, villages, p, acc):
        """1. See stock and norm."""
        if p.sees_stock:
            acc.stock = villages.stock[other]
        if p.sees_norm:
            acc.norm = villages.norm[other]

    @gather(somebody, when={"sees_peer": True}, peer_effort=running(math.nan), peer_payoff=running(math.nan))
    def overhear(me, other, agents, acc):
        """1. See how somebody fares."""
        acc.peer_effort = agents.effort[other]
        acc.peer_payoff = agents.signal[other]

    @decision(agents.effort, after=(perceive, overhear), asked=in_open_villages)
    def choose_effort(me, agents, villages, p, acc, draw):
        """1. Choose an effort: the one it has, unless punishment or reward has taught another."""
        effort, village = agents.effort[me], agents.village[me]
        if p.learning == "norm_clamp":
            wanted = p.productivity * acc.stock
            if agents.fined[me] and effort * wanted > acc.norm and villages.ending[village] == OPEN:
                effort = acc.norm / wanted
        elif p.learning == "multiplicative":
            if agents.fined[me] and villages.ending[village] == OPEN:
                effort *= p.decrease
        elif p.learning == "reinforcement" and villages.ending[village] == OPEN:
            reward = 0.0
            for level in range(LEVELS):
                reward += agents.reward[me, level]
            target = draw.uniform("level") * reward
            reached, chosen = 0.0, 0
            for level in range(LEVELS):
                if reached <= target:
                    chosen = level
                reached += agents.reward[me, level]
            effort = (chosen + 0.5) / LEVELS
        return effort

    @gather(members, wanted=total(), members=count())
    def add_up(me, other, agents, p, acc):
        """2. Add up the shares of the stock that members want."""
        acc.members += 1
        acc.wanted += p.productivity * within(agents.effort[other], 0.0, 1.0)

    @update(villages, after=add_up)
    def allot(me, villages, new, p, acc):
        """2. Settle what is to be had for a wanted share of 1, nothing where the village has ended."""
        scarce = acc.wanted > 1.0
        available = villages.stock[me] if villages.ending[me] == OPEN else 0.0
        if p.allocation == "proportional" and scarce:
            available /= acc.wanted
        if p.allocation == "equal":
            new.portion[me] = 1.0 / acc.members if scarce else 1.0
        new.available[me] = available

    @update(agents, when={"allocation": IN_TURN, "turns": "drawn"})
    def line_up(me, new, draw):
        """2. Draw the order of harvesting."""
        new.turn[me] = draw.uniform("turn")

    @gather(mates, when={"allocation": IN_TURN}, before=total(), left=running(1.0))
    def wait(me, other, agents, p, acc):
        """2. See what those before want, and what share they leave if each wants a share of what it finds."""
        if agents.turn[other] < agents.turn[me]:
            wanted = p.productivity * within(agents.effort[other], 0.0, 1.0)
            acc.before += wanted
            acc.left = acc.left * (1.0 - wanted)

    @update(agents, after=wait)
    def harvest(me, agents, villages, new, p, acc):
        """2. Harvest."""
        village = agents.village[me]
        share = p.productivity * within(agents.effort[me], 0.0, 1.0)
        if p.allocation == "equal":
            share = min(share, villages.portion[village])
        elif p.allocation == "first_come":
            share = min(share, max(1.0 - acc.before, 0.0))
        elif p.allocation == "in_turn":
            share *= acc.left
        new.harvest[me] = share * villages.available[village]

    @gather(members, hauled=total())
    def weigh(me, other, agents, acc):
        """3. Add up the harvest."""
        acc.hauled += agents.harvest[other]

    @update(villages, after=weigh)
    def deplete(me, villages, new, acc):
        """3. Take it from the stock."""
        new.stock[me] = max(villages.stock[me] - acc.hauled, 0.0)
        new.harvested[me] += acc.hauled

    @gather(somebody, peer=running(-1), peer_harvest=running(0.0))
    def look(me, other, agents, acc):
        """4. Look at somebody."""
        acc.peer = other
        acc.peer_harvest = agents.harvest[other]

    @decision(agents.inspects, options=("let be", "inspect"), after=look, asked=under_sanctions)
    def inspect(me, agents, acc, draw):
        """4. Inspect it or not."""
        return 1 if draw.chance("inspects", agents.monitoring[me]) and acc.peer >= 0 else 0

    @decision(agents.punishes, options=("let be", "punish"), after=look, asked=who_inspected)
    def punish(me, agents, villages, p, acc, step, draw):
        """4. Punish it or not, if it was inspected and has harvested more than the norm."""
        if agents.inspects[me] == 0 or step >= p.sanctions_end:
            return 0
        if acc.peer_harvest <= villages.norm[agents.village[me]]:
            return 0
        return 1 if draw.chance("punishes", agents.punishment[me]) else 0

    @send(agents, to=agents, after=look, penalties=counted())
    def fine(me, agents, acc, send):
        """4. Let it know."""
        if agents.punishes[me] == 1:
            send.penalties(acc.peer)

    @update(agents)
    def settle(me, agents, villages, new, p):
        """5. Book harvest, needs, costs and penalties; starve with less than nothing."""
        new.fined[me] = agents.penalties[me] > 0
        if villages.ending[agents.village[me]] == OPEN:
            payoff = agents.harvest[me] - p.subsistence
            if agents.punishes[me] == 1:
                payoff -= p.punishment_cost
            penalty = p.penalty_size if agents.penalties[me] > 0 else 0.0
            wealth = agents.wealth[me] + payoff
            if p.penalty == "wealth":
                wealth -= penalty
            new.wealth[me] = wealth
            if p.payoff == "average":
                new.signal[me] = p.memory * agents.signal[me] + (1.0 - p.memory) * (payoff - penalty)
            else:
                new.signal[me] = wealth - penalty if p.penalty == "payoff" else wealth
            new.alive[me] = wealth >= 0.0

    @update(agents, when={"learning": "reinforcement"})
    def reinforce(me, agents, villages, new, p):
        """5. Remember what the level of effort has brought, subsistence aside."""
        if villages.ending[agents.village[me]] == OPEN:
            gained = agents.harvest[me]
            if agents.punishes[me] == 1:
                gained -= p.punishment_cost
            if agents.fined[me]:
                gained -= p.penalty_size
            own = int(LEVELS * within(agents.effort[me], 0.0, 1.0))
            for level in range(LEVELS):
                kept = (1.0 - p.forgetting) * agents.reward[me, level]
                mine = own == level or (level == LEVELS - 1 and own == LEVELS)
                new.reward[me, level] = max(kept, LEAST) + (max(gained, 0.0) if mine else 0.0)

    @gather(somebody, when={"imitation": True}, model=running(-1), model_payoff=running(-math.inf))
    def meet(me, other, agents, p, acc):
        """6. Meet somebody."""
        acc.model = other
        acc.model_payoff = agents.signal[other] if p.sees_payoffs else agents.signal[me]

    @decision(agents.adopts, options=("keep", "copy"), after=meet, when={"imitation": True}, asked=in_open_villages)
    def adopt(me, agents, villages, p, acc, draw):
        """6. Copy it or not, in an open village (nobody met has a payoff of minus infinity)."""
        chance = 1.0 / (1.0 + math.exp(p.imitation_strength * (agents.signal[me] - acc.model_payoff)))
        is_open = villages.ending[agents.village[me]] == OPEN
        return 1 if is_open and draw.chance("adopts", chance) else 0

    @update(agents, after=meet, when={"imitation": True})
    def imitate(me, agents, new, p, acc, draw):
        """6. Copy it, with noise."""
        model = acc.model
        if agents.adopts[me] == 1 and model >= 0:
            if p.learning != "reinforcement":
                new.effort[me] = within(agents.effort[model] + draw.normal("effort", 0.0, p.noise), 0.0, 1.0)
            new.belief[me] = max(agents.belief[model] + draw.normal("belief", 0.0, p.belief_noise), 0.0)
            monitoring = agents.monitoring[model]
            if p.propensity_noise > 0.0:
                monitoring = within(monitoring + draw.normal("monitoring", 0.0, p.propensity_noise), 0.0, 1.0)
            new.monitoring[me] = monitoring
            if p.imitate_punishment:
                punishment = agents.punishment[model]
                if p.propensity_noise > 0.0:
                    punishment = within(punishment + draw.normal("punishment", 0.0, p.propensity_noise), 0.0, 1.0)
                new.punishment[me] = punishment

    @decision(agents.proposal, when={"voting": True}, asked=in_open_villages)
    def propose(me, agents):
        """7. Propose a cap."""
        return agents.belief[me]

    @update(agents, when={"voting": True})
    def hold(me, agents, new):
        """7. Believe in what it has proposed."""
        new.belief[me] = agents.proposal[me]

    @decision(agents.statement, when={"voting": True, "statements": True}, asked=in_open_villages)
    def argue(me):
        """7. Say something for it; by the rule, nothing."""
        return 0

    @send(agents, to=villages, when={"voting": True, "agreement": "median"}, cap=median())
    def put_forward(me, agents, send):
        """7. Send it in."""
        send.cap(agents.village[me], max(agents.proposal[me], 0.0))

    @decision(agents.ballot, when=VOTE, asked=in_open_villages)
    def vote(me, agents):
        """7. Name the cap to vote for."""
        return agents.belief[me]

    @gather(mates, when=VOTE, nearest=running(math.inf))
    def compare(me, other, agents, acc):
        """7. Find the proposal of another that is nearest to it."""
        gap = abs(agents.proposal[other] - agents.ballot[me])
        least = abs(acc.nearest - agents.ballot[me])
        if gap < least or (gap == least and agents.proposal[other] < acc.nearest):
            acc.nearest = agents.proposal[other]

    @update(agents, after=compare, when=VOTE)
    def cast(me, agents, new, acc):
        """7. Vote for that one; who is alone, for the own."""
        new.ballot[me] = acc.nearest if acc.nearest < math.inf else agents.proposal[me]

    @gather(mates, when=VOTE, votes=count())
    def poll(me, other, agents, acc):
        """7. Count the votes of others for what it proposed."""
        if agents.ballot[other] == agents.proposal[me]:
            acc.votes += 1

    @gather(members, when=VOTE, most=running(-1), lot=running(-1.0), elected=running(0.0), said=running(0))
    def elect(me, other, agents, draw, acc, poll):
        """7. Find the proposal with most votes, and what was said for it; of equals, one that is drawn."""
        votes = poll.votes[other] + (1 if agents.ballot[other] == agents.proposal[other] else 0)
        lot = draw.uniform("lot", to=other)
        if votes > acc.most or (votes == acc.most and lot > acc.lot):
            acc.most = votes
            acc.lot = lot
            acc.elected = agents.proposal[other]
            acc.said = agents.statement[other]

    @gather(members, living=count())
    def call_roll(me, other, acc):
        """8. Count the living."""
        acc.living += 1

    @update(villages, after=(call_roll, elect))
    def grow(me, villages, new, p, acc):
        """7. Agree on the median or the elected; 8. grow; see whether that was the village's last round."""
        if p.voting and acc.living > 0:
            if p.agreement == "vote":
                new.norm[me] = acc.elected
                new.statement[me] = acc.said
            else:
                new.norm[me] = villages.cap[me]
        if villages.ending[me] == OPEN:
            left = villages.stock[me]
            stock = left
            if p.growth == "logistic":
                stock = logistic(left, p.growth_rate, p.carrying_capacity)
            elif p.growth == "doubling":
                stock = doubling(left, p.carrying_capacity)
            elif p.growth == "additive":
                stock = additive(left, p.growth_rate, p.carrying_capacity)
            new.stock[me] = stock
            new.grown[me] += stock - left
            new.rounds[me] += 1
            needed = villages.founders[me] if p.ends == "first_starvation" else 1
            if acc.living < needed:
                new.ending[me] = STARVED
            elif stock <= p.stock_minimum:
                new.ending[me] = EXHAUSTED

    prompts = PROMPTS
    observe = COMMONS
    stop = unchanged(villages.rounds)
