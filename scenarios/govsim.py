"""GovSim: communities that share a stock which doubles every month, until they take too much of it.

Piatti et al. (2024), "Cooperate or collapse: emergence of sustainable cooperation in a society of LLM agents", NeurIPS,
arXiv:2404.16698. Communities of five, each with a stock of its own of at most K = 100 units, live in parallel for
T = 12 months. All amounts are whole numbers. A month, with stock h:

1. The threshold f = floor(h / 2) is the most that can be taken without the stock being lower a month later; a member's
   share of it is floor(f / N), for N members. Collapsed communities do nothing.
2. Each member says in private how much it wants (the decision ``request``). More than h counts as h.
3. If all together want no more than h they get it. Otherwise all of h is handed out, ``allocation``:
   stochastic: unit by unit, each to a member drawn uniformly among those who still want one (not among units wanted);
   proportional: shares h w_i / sum w, rounded down, and what remains one by one to members whose share was rounded.
4. What each got is public.
5. With less than C = 5 units left the community has collapsed. Otherwise the stock doubles, up to K.

Rules of request, ``rule``:

- fixed: ``amount`` units, always;
- sustainable: a member's share of the threshold, which is also the answer to "what if everybody did the same?"
  (the paper's universalization);
- greedy: the part ``greed`` of the stock, as its newcomer does;
- imitate_best: what whoever got most in the last month got (in the first month: ``amount``);
- reciprocate: the share, as long as the others took no more than theirs on average in the last month; otherwise as much
  as they did, rounded down;
- mixed: each agent has one of these, drawn by the shares ``share_fixed`` and so on.

``noise`` adds a whole number drawn from -noise to noise. With ``perturbation="newcomer"`` the last member of each
community is greedy (``newcomer_rule``) and joins after ``joins_after`` = 3 months; T is 15.

Closed form: if all five ask for a <= 10 the stock is 100 in every month, each gains 12 a, and efficiency is a / 10;
for a > 10 the stocks before harvest are h, 2 (h - 5 a), ..., until less than C is left. 10 is the best that all can do:
with 11 each gains 39, with 12 only 32. Who alone asks for d more than 10 in the first month leaves min(100, 2 (50 - d))
for the second.

The three commons, ``commons`` = fishery, pasture, pollution, have these dynamics; what they differ in are words
(`WORDS`), for agents who read. What language models are told is in `govsim_words`: with ``universalization`` also the
share, and what happens if all take more; with ``talk`` each may say something at the end of a month (`speak`), all at
once, that its community reads in the next; the paper's members speak in turn, up to ten times. Measures and their
readings: `govsim_measures`.

Where paper and code are silent or differ: over-usage compares amounts received, as gain adds them up; units that remain
in the proportional allocation are drawn with even chances, at most one a member (the code weighs members by what they
still want); the share counts present members (the code keeps that of four after the newcomer, and 10 in month 1);
capacity and initial stock are two parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from simengine import (
    Everyone,
    Mates,
    Members,
    Owner,
    Regimes,
    Scenario,
    count,
    decision,
    field,
    gather,
    param,
    population,
    reference,
    running,
    total,
    update,
    vector,
)
from simengine.diagnostics import streaming
from simengine.scenarios.govsim_measures import (
    all_is_over,
    by_community,
    efficiency,
    equality,
    imbalance,
    mean_stock,
    outcomes,
    over_usage,
    survival_months,
    threshold,
)
from simengine.scenarios.govsim_words import PROMPTS

__all__ = [
    "WORDS", "GovSim", "Words", "by_community", "efficiency", "equality", "over_usage", "survival_months", "threshold",
]  # fmt: skip

SEATS = 8
"""Members that a community may have."""
FIXED, SUSTAINABLE, GREEDY, IMITATE_BEST, RECIPROCATE = range(5)
RULES = ("fixed", "sustainable", "greedy", "imitate_best", "reciprocate")
Rule = Literal["fixed", "sustainable", "greedy", "imitate_best", "reciprocate"]


@dataclass(frozen=True)
class Words:
    """What a commons and its parts are called: the place, who lives of it, the stock, a unit of harvest, to take it."""

    place: str
    member: str
    resource: str
    unit: str
    units: str
    take: str

    def parameters(self) -> dict[str, Any]:
        """The words by the names of parameters."""
        named = {"harvest_unit": self.unit, "harvest_units": self.units}
        return named | {name: getattr(self, name) for name in ("place", "member", "resource", "take")}


WORDS = {
    "fishery": Words("lake", "fisher", "tons of fish in the lake", "ton of fish", "tons of fish", "catch"),
    "pasture": Words("pasture", "shepherd", "hectares of grass", "grazing sheep", "grazing sheep", "send to graze"),
    "pollution": Words(
        "river", "factory owner", "percent of the river's water that is clean", "pallet of goods", "pallets of goods",
        "produce",
    ),
}  # fmt: skip
NEWCOMER = {"months": 15, "joins_after": 3}


def who_harvests(agents: Any, communities: Any, step: int) -> Any:
    """Return who is there in a month in which there is something to do; nobody else is asked."""
    return (communities.members[agents.community] > 0) & (agents.joins <= step)


def who_speaks(agents: Any, communities: Any, p: Any, step: int) -> Any:
    """Return who has harvested in a month after which there is another one."""
    goes_on = (communities.collapsed == 0) & (communities.months < p.months)
    return who_harvests(agents, communities, step) & goes_on[agents.community]


class GovSim(Scenario):
    """Communities that harvest a doubling stock month by month (Piatti et al. 2024)."""

    paper = "Piatti et al. (2024) Cooperate or Collapse, NeurIPS, arXiv:2404.16698"
    default_steps = 1000
    time_unit = "months"

    n_agents: int = param(100, low=1, description="number of agents in all communities")
    n_communities: int = param(20, low=1, description="communities, each with a stock of its own")
    commons: Literal["fishery", "pasture", "pollution"] = param("fishery", description="what the stock is, in words")
    perturbation: Literal["none", "newcomer"] = param("none", description="newcomer: the last member joins later")
    harvest_unit: str = param("ton of fish", description="what a unit of harvest is called")
    harvest_units: str = param("tons of fish", description="what several are called")
    place: str = param("lake", description="what the place is called that has the stock")
    member: str = param("fisher", description="what a member is called")
    resource: str = param("tons of fish in the lake", description="what units of the stock are called")
    take: str = param("catch", description="what to take a unit is called")
    talk: bool = param(False, description="whether members may say something at the end of a month")
    universalization: bool = param(False, description="whether language models are told what happens if all take more")
    months: int = param(12, low=1, description="months T that are to be survived")
    capacity: int = param(100, low=1, description="largest stock K")
    initial_stock: int | None = param(None, low=0, description="stock in the first month; none: the capacity")
    collapse_below: int = param(5, low=0, description="stock C at the end of a month below which all is over")
    allocation: Literal["stochastic", "proportional"] = param(
        "stochastic", description="how the stock is handed out when more is wanted"
    )
    rule: Literal["fixed", "sustainable", "greedy", "imitate_best", "reciprocate", "mixed"] = param(
        "sustainable", description="how agents decide what they want"
    )
    amount: int = param(10, low=0, description="what fixed agents want, and imitators in the first month")
    greed: float = param(1.0, low=0, high=1, unit="1", description="part of the stock that greedy agents want")
    noise: int = param(0, low=0, high=1_000_000, description="largest random change of what is wanted")
    share_fixed: float = param(0.2, low=0, high=1, unit="1", description="of mixed agents: share of fixed ones")
    share_sustainable: float = param(0.2, low=0, high=1, unit="1", description="of sustainable ones")
    share_greedy: float = param(0.2, low=0, high=1, unit="1", description="of greedy ones")
    share_imitate_best: float = param(0.2, low=0, high=1, unit="1", description="of those who imitate the best")
    share_reciprocate: float = param(0.2, low=0, high=1, unit="1", description="of those who reciprocate")
    joins_after: int = param(0, low=0, description="months before the last member of each community joins")
    newcomer_rule: Rule = param("greedy", description="how the newcomer decides")

    regimes = Regimes(
        by=("commons", "perturbation"),
        table={
            (commons, perturbation): words.parameters() | (NEWCOMER if perturbation == "newcomer" else {})
            for commons, words in WORDS.items()
            for perturbation in ("none", "newcomer")
        },
    )

    communities = population(
        size="n_communities",
        dim="community",
        stock=field(int, low=0, long_name="stock at the beginning of the next month"),
        at_start=field(int, default=-1, long_name="stock at the beginning of the first month; before: -1"),
        members=field(int, long_name="members who harvest; none once all is over"),
        threshold=field(int, long_name="most that could be taken without lowering the stock"),
        share=field(int, long_name="a member's share of the threshold"),
        share_before=field(int, long_name="the same in the month before"),
        gets=vector(SEATS, long_name="what the member in each seat gets"),
        most=vector(SEATS, long_name="most that it may get"),
        left=field(int, long_name="units that are handed out one by one"),
        months=field(int, low=0, long_name="months harvested"),
        collapsed=field(int, low=0, high=1, long_name="whether the community has collapsed"),
        harvested=field(int, long_name="units harvested so far"),
        grown=field(int, long_name="units grown so far"),
    )
    agents = population(
        size="n_agents",
        community=reference(communities, long_name="community"),
        seat=field(int, low=0, high=SEATS - 1, long_name="its number among the members"),
        rule=field(int, low=0, high=len(RULES) - 1, long_name=f"rule of request: {', '.join(RULES)}"),
        amount=field(int, low=0, long_name="what it wants if that is fixed"),
        joins=field(int, low=0, long_name="months before it joins"),
        request=field(int, long_name="units wanted, as said"),
        wanted=field(int, long_name="units wanted, as they count"),
        got=field(int, long_name="units received in the last month"),
        gained=field(int, long_name="units received so far"),
        harvests=field(int, long_name="months in which it has harvested"),
        over_group=field(int, long_name="harvests above the threshold"),
        over_member=field(int, long_name="harvests above a member's share of it"),
        said=field(int, low=0, long_name="digest of what it last said; 0: nothing"),
    )
    units = population(size="capacity", dim="unit")

    home = Owner(agents.community)
    residents = Members(agents.community)
    mates = Mates(agents.community)
    stock_units = Everyone(communities, units)

    def check(self) -> None:
        """Refuse empty and crowded communities, more stock than there is room for, and shares that miss 1."""
        n, groups, first = self.n_agents, self.n_communities, self.initial_stock
        least = 2 if self.joins_after > 0 else 1
        self.require(
            n >= least * groups,
            f"n_agents ({n}) leaves a community empty: allowed are at least {least} for each of {groups} communities",
        )
        self.require(
            -(-n // groups) <= SEATS,
            f"n_agents ({n}) is too many for {groups} communities: allowed are at most {SEATS} in each",
        )
        self.require(
            first is None or first <= self.capacity, f"initial_stock ({first}) exceeds capacity ({self.capacity})"
        )
        self.require(
            (self.joins_after > 0) == (self.perturbation == "newcomer"),
            f"joins_after is {self.joins_after} and perturbation {self.perturbation!r}: above 0 needs 'newcomer'",
        )
        whole = sum(self.shares())
        self.require(abs(whole - 1.0) <= 1e-9, f"the five shares of rules add up to {whole:g}, allowed is 1")

    def shares(self) -> tuple[float, ...]:
        """Shares of the rules among mixed agents."""
        return tuple(getattr(self, f"share_{rule}") for rule in RULES)

    def derived(self) -> dict[str, float]:
        """The allocation in numbers."""
        return {"proportional": self.allocation == "proportional"}

    def start(self, agents: Any, communities: Any) -> None:
        """Spread the agents evenly; fill the stocks."""
        agents.community[:] = agents.ids * self.n_communities // self.n_agents
        agents.amount[:] = self.amount
        communities.stock[:] = self.capacity if self.initial_stock is None else self.initial_stock

    def connected(self, agents: Any, communities: Any, draw: Any) -> None:
        """Give the members of each community their seats and rules; refuse what does not fit."""
        sizes = np.bincount(agents.community[agents.community >= 0], minlength=self.n_communities)
        self.require(sizes.sum() == self.n_agents, "start: agents.community: an agent has no community")
        self.require(sizes.min() > 0, f"start: agents.community: community {sizes.argmin()} is empty")
        self.require(
            sizes.max() <= SEATS,
            f"start: agents.community: community {sizes.argmax()} has {sizes.max()} members, allowed are {SEATS}",
        )
        full = communities.stock > self.capacity
        self.require(
            not full.any(),
            f"start: communities.stock of community {full.argmax()} is {communities.stock[full.argmax()]}, which "
            f"exceeds capacity ({self.capacity})",
        )
        order = np.argsort(agents.community, kind="stable")
        first = np.cumsum(sizes) - sizes
        agents.seat[order] = np.arange(self.n_agents) - np.repeat(first, sizes)
        if self.rule == "mixed":
            chance = draw.of(agents).uniform("rule")
            agents.rule[:] = np.minimum(np.searchsorted(np.cumsum(self.shares()), chance, side="right"), len(RULES) - 1)
        else:
            agents.rule[:] = RULES.index(self.rule)
        if self.joins_after > 0:
            late = agents.seat == sizes[agents.community] - 1
            agents.joins[late] = self.joins_after
            agents.rule[late] = RULES.index(self.newcomer_rule)

    @gather(residents, present=count())
    def assemble(me, other, agents, step, acc):
        """1. Count who is there."""
        if agents.joins[other] <= step:
            acc.present += 1

    @update(communities, after=assemble)
    def announce(me, communities, new, p, step, acc):
        """1. The threshold, and a member's share of it."""
        over = communities.collapsed[me] == 1 or communities.months[me] >= p.months
        limit = communities.stock[me] // 2
        new.at_start[me] = communities.stock[me] if step == 0 else communities.at_start[me]
        new.members[me] = 0 if over else acc.present
        new.threshold[me] = limit
        new.share_before[me] = communities.share[me]
        new.share[me] = limit // max(acc.present, 1)

    @gather(home, stock=running(0), share=running(0), share_before=running(0), members=running(0))
    def look(me, other, communities, acc):
        """2. See the stock, its threshold in shares, and whether there is anything to do."""
        acc.stock = communities.stock[other]
        acc.share = communities.share[other]
        acc.share_before = communities.share_before[other]
        acc.members = communities.members[other]

    @gather(mates, others=count(), others_got=count(), most=running(0))
    def recall(me, other, agents, step, acc):
        """2. Know what the others got in the last month."""
        if agents.joins[other] < step:
            acc.others += 1
            acc.others_got += agents.got[other]
            acc.most = max(acc.most, agents.got[other])

    @decision(agents.request, after=(look, recall), asked=who_harvests)
    def request(me, agents, p, step, acc, draw):
        """2. Say how much is wanted."""
        if acc.members == 0 or agents.joins[me] > step:
            return 0
        rule, wish = agents.rule[me], agents.amount[me]
        if rule in (SUSTAINABLE, RECIPROCATE):
            wish = acc.share
        if rule == RECIPROCATE and acc.others_got > acc.others * acc.share_before:
            wish = acc.others_got // acc.others
        if rule == GREEDY:
            # The nearest product may lie just below a whole number that is meant: 0.29 of 100.
            wish = int(p.greed * acc.stock + 1e-9)
        if rule == IMITATE_BEST and acc.others > 0:
            wish = max(acc.most, agents.got[me])
        if p.noise > 0:
            wish += draw.integer("noise", -p.noise, p.noise + 1)
        return max(wish, 0)

    @update(agents, after=look)
    def submit(me, agents, new, step, acc):
        """2. What counts of it: nothing of those who are not there, nor more than there is."""
        there = acc.members > 0 and agents.joins[me] <= step
        new.wanted[me] = min(max(agents.request[me], 0), acc.stock) if there else 0

    @gather(residents, demand=count(), asked=total(SEATS, dtype=int))
    def collect(me, other, agents, acc):
        """3. Collect what is wanted."""
        acc.demand += agents.wanted[other]
        for seat in range(SEATS):
            if agents.seat[other] == seat:
                acc.asked[seat] += agents.wanted[other]

    @update(communities, after=collect)
    def allot(me, communities, new, p, acc):
        """3. All of it if there is enough; else nothing yet, or shares rounded down, and the rest unit by unit."""
        stock, demand, left = communities.stock[me], acc.demand, min(acc.demand, communities.stock[me])
        for seat in range(SEATS):
            asked = acc.asked[seat]
            gets, most = asked, asked
            if demand > stock:
                gets = 0
                if p.proportional > 0.0:
                    gets = asked * stock // demand
                    most = gets + (1 if gets * demand < asked * stock else 0)
            new.gets[me, seat] = gets
            new.most[me, seat] = most
            left -= gets
        new.left[me] = left

    @gather(stock_units, given=count(), drawn=total(SEATS, dtype=int))
    def hand_out(me, other, communities, draw, acc):
        """3. One more unit, if one is left, to a member drawn among those who still want one."""
        if acc.given < communities.left[me]:
            acc.given += 1
            waiting = 0
            for seat in range(SEATS):
                if communities.gets[me, seat] + acc.drawn[seat] < communities.most[me, seat]:
                    waiting += 1
            place = int(draw.uniform("lot", to=other) * waiting)
            for seat in range(SEATS):
                if communities.gets[me, seat] + acc.drawn[seat] < communities.most[me, seat]:
                    acc.drawn[seat] += 1 if place == 0 else 0
                    place -= 1

    @update(communities, after=hand_out)
    def close(me, communities, new, p, acc):
        """3. What each gets; 5. collapse, or growth."""
        harvest = 0
        for seat in range(SEATS):
            gets = int(communities.gets[me, seat]) + acc.drawn[seat]
            new.gets[me, seat] = gets
            harvest += gets
        if communities.members[me] > 0:
            stock = communities.stock[me] - harvest
            later = stock if stock < p.collapse_below else min(2 * stock, p.capacity)
            new.collapsed[me] = 1 if stock < p.collapse_below else 0
            new.stock[me] = later
            new.months[me] += 1
            new.harvested[me] += harvest
            new.grown[me] += later - stock

    @gather(home, gets=running(0), limit=running(0), limit_each=running(0), harvesting=running(0))
    def receive(me, other, agents, communities, acc):
        """4. Get it."""
        for seat in range(SEATS):
            if agents.seat[me] == seat:
                acc.gets = int(communities.gets[other, seat])
        acc.limit = communities.threshold[other]
        acc.limit_each = communities.share[other]
        acc.harvesting = communities.members[other]

    @update(agents, after=receive)
    def keep(me, agents, new, step, acc):
        """4. Add it up."""
        if acc.harvesting > 0 and agents.joins[me] <= step:
            new.got[me] = acc.gets
            new.gained[me] += acc.gets
            new.harvests[me] += 1
            new.over_group[me] += 1 if acc.gets > acc.limit else 0
            new.over_member[me] += 1 if acc.gets > acc.limit_each else 0

    @decision(agents.said, when={"talk": True}, asked=who_speaks)
    def speak(me):
        """4. Say something to the others; by the rule, nothing."""
        return 0

    prompts = PROMPTS
    observe = [outcomes, mean_stock, imbalance, streaming.entropy("agents.request")]
    stop = all_is_over
