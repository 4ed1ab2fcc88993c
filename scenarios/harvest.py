"""Harvest: apples on a grid that grow only beside other apples, and agents who may eat the last ones.

Perolat et al. (2017), "A multi-agent reinforcement learning model of common-pool resource appropriation", NeurIPS 30,
3643-3652, arXiv:1707.06600, with rules in place of learned policies. The growth of ``variant="perolat"`` is theirs;
``"ssd"`` and ``"melting_pot"`` are the Harvest of two later suites of environments (sequential social dilemmas; Melting
Pot, commons_harvest). A step:

1. Every empty site on which nobody stands grows an apple with a probability that depends on L, the number of apples
   within ``growth_reach`` of it, all at once on the ground of the old grid:

   ============  ==========  =====================================  =============
   variant       reach       L = 1     2      3      4      5 ...    neighbours
   ============  ==========  =====================================  =============
   perolat       2           0.01    0.01   0.05   0.05   0.1        12
   ssd           sqrt(2)     0.005   0.02   0.05   0.05   0.05       8
   melting_pot   2           0.0025  0.005  0.025  0.025  0.025      12
   ============  ==========  =====================================  =============

   and never for L = 0. (The code of ssd measures j^2 + k^2 <= 2, which is not the radius 2 that it names.)
2. Each agent looks round, up to ``view``.
3. ``zap``: it may fire a beam, which hits the nearest agent straight ahead within ``beam_reach``. All fire at once. Who
   is hit is taken from the grid for ``time_out`` steps, and comes back to its site in the last of them, or as soon as
   that is free. Who fires or is hit does not move in this step.
4. ``move``: it stays or goes one site north, east, south or west, and faces that way. Nobody enters a site on which
   somebody stood when the step began, whether that one leaves or not; of several who want the same site one is drawn
   with equal chances, and the others stay.
5. Who enters a site eats the apple there, for a reward of 1.

Apples are counted in whole numbers: initial + grown - eaten = on the grid. Without agents an empty grid stays empty and
a full one full, and a site with constant L > 0 waits for its apple a geometric time of mean 1 / p(L).

Rules (each agent has its own, ``start={"rule": ...}``; ``rule`` is that of all):

- ``random_walk``: one of the four ways, drawn evenly.
- ``greedy``: towards the nearest apple in view (of several equally near ones drawn), along the longer way first (drawn
  when both are equally long); a random walk where none is in view.
- ``restrained``: the same, but it wants only apples that have at least ``spare`` others within ``growth_reach``, and
  never enters a site with another one. With as many left beside it, the eaten apple may grow again.

An agent fires at a rival ahead with probability ``aggression``.

Measures, R_i the apples of agent i until step T, after Perolat et al.: utilitarian ``efficiency_total`` = sum_i R_i / T
(the paper's) and ``efficiency`` = mean_i R_i (a re-implementation's); ``equality`` = 1 - Gini of R; ``sustainability``
= mean_i of the mean step (from 1) at which agent i ate, of those who did; ``peace_total`` = (N T - agent-steps in
time-out) / T (the paper's) and ``peace`` = the same divided by N, 1 without beams.

What the sources leave open, or what is simpler here: agents turn by moving, and have no separate actions to rotate; the
beam is one site wide; there are no walls; apples may grow on every site (``start={"sites_fertile": ...}`` says on
which); the first apples are spread at random (``initial_cover``; ``start={"sites_apple": ...}`` is a map), agents as
well (``start={"agents_site": ...}``). Sites have ids from row to row, ``width`` of them in each.

With the defaults the greedy eat everything within some hundred steps, and the restrained more than ten times as much in
a thousand; beams (``aggression=0.5``) keep enough of the greedy away for the apples to last.

With ``mixing="well_mixed"`` each site sees 12 others drawn afresh in place of those near it, and an agent that moves
goes to a site drawn evenly: then the mean-field theory of ``harvest_theory.py`` holds. With the growth of Perolat et
al. and an effort (agents per site) of 0.01, 0.03 and 0.06 a share of 0.900, 0.743 and 0.570 of the sites has an apple,
at 0.1 there are two fates, and at 0.11 nothing is left. On the grid it does not hold: random walkers come back to sites
that they have emptied, and leave 0.93, 0.80 and 0.61; at an effort of 0.1, where apples have become rare and stand in
clusters, less is left than where all is mixed (0.26 on 400 sites, against 0.32).
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from simengine import (
    Chosen,
    Grid,
    Output,
    Random,
    Regimes,
    Scenario,
    count,
    counted,
    decision,
    drawn,
    field,
    gather,
    lowest_id,
    observable,
    param,
    population,
    reference,
    running,
    send,
    update,
)
from simengine.diagnostics import streaming
from simengine.scenarios.commons_measures import gini
from simengine.scenarios.harvest_theory import fixed_points, mean_field_flow, mean_growth, well_mixed_step

__all__ = ["Harvest", "fixed_points", "mean_field_flow", "mean_growth", "well_mixed_step"]

NOBODY, NOT_YET = -1, -1
STAY, NORTH, EAST, SOUTH, WEST = range(5)
RANDOM_WALK, GREEDY, RESTRAINED = range(3)
RULES = ("random_walk", "greedy", "restrained")


@observable(
    outputs=(
        Output("apples", dtype="int64", long_name="apples on the grid"),
        Output("apples_grown", dtype="int64", long_name="apples grown since the start"),
        Output("apples_eaten", dtype="int64", long_name="apples eaten since the start"),
        Output("imbalance", dtype="int64", long_name="apples on the grid besides initial + grown - eaten"),
    )
)
def books(agents: Any, sites: Any) -> dict[str, int]:
    """Where the apples came from, and where they went."""
    apples, grown, eaten = int(sites.apple.sum()), int(sites.grown.sum()), int(agents.eaten.sum())
    initial = int(np.where(sites.planted == NOT_YET, sites.apple, sites.planted).sum())
    return {
        "apples": apples,
        "apples_grown": grown,
        "apples_eaten": eaten,
        "imbalance": apples - (initial + grown - eaten),
    }


@observable
def share_of_apples(sites: Any) -> float:
    """Share of sites with an apple."""
    return float(sites.apple.mean())


@observable(
    outputs=(
        Output("efficiency_total", long_name="apples eaten in a step by all agents, since the start"),
        Output("efficiency", long_name="apples eaten by an agent since the start"),
        Output("equality", long_name="1 - Gini coefficient of the apples eaten"),
        Output("sustainability", long_name="mean step at which an agent ate, mean over those who did"),
        Output("peace_total", long_name="agents that are not in time-out, mean since the start"),
        Output("peace", long_name="share of agents that are not in time-out, mean since the start"),
    )
)
def social_outcomes(agents: Any, step: int) -> dict[str, float]:
    """Measures of Perolat et al. (2017)."""
    n, eaten, away = len(agents), agents.eaten, int(agents.steps_away.sum())
    ate = eaten > 0
    elapsed = step if step else math.nan
    peace = (n * step - away) / elapsed
    return {
        "efficiency_total": int(eaten.sum()) / elapsed,
        "efficiency": int(eaten.sum()) / n if n else math.nan,
        "equality": 1.0 - gini(eaten) if eaten.any() else math.nan,
        "sustainability": float((agents.steps_eaten[ate] / eaten[ate]).mean()) if ate.any() else math.nan,
        "peace_total": peace,
        "peace": peace / n if n else math.nan,
    }


class Harvest(Scenario):
    """A spatial commons: apples that grow beside apples, and agents who eat them (Perolat et al. 2017)."""

    paper = "Perolat et al. (2017) Adv. Neural Inf. Process. Syst. 30, 3643-3652, arXiv:1707.06600"
    default_steps = 1000
    regimes = Regimes(
        by=("variant",),
        table={
            ("ssd",): {
                "growth_reach": math.sqrt(2.0), "some_from": 2, "many_from": 3, "view": 7.0,
                "growth_few": 0.005, "growth_some": 0.02, "growth_many": 0.05,
            },
            ("melting_pot",): {
                "some_from": 2, "many_from": 3, "growth_few": 0.0025, "growth_some": 0.005, "growth_many": 0.025,
            },
        },
    )  # fmt: skip

    n_agents: int = param(12, low=0, description="number of agents")
    n_sites: int = param(400, low=1, description="number of sites, rows * width")
    width: int = param(20, low=1, description="sites in a row")
    boundary: Literal["open", "periodic"] = param("open", description="what is beyond the border")
    mixing: Literal["grid", "well_mixed"] = param("grid", description="who is near, and where agents go")
    variant: Literal["perolat", "ssd", "melting_pot"] = param("perolat", description="whose growth")
    growth_reach: float = param(2.0, low=0, description="distance within which apples let others grow, in sites")
    few_from: int = param(1, low=1, description="apples within that distance from which growth_few holds")
    some_from: int = param(3, low=1, description="apples from which growth_some holds")
    many_from: int = param(5, low=1, description="apples from which growth_many holds")
    growth_few: float = param(0.01, low=0, high=1, description="probability that an apple grows beside few")
    growth_some: float = param(0.05, low=0, high=1, description="the same beside some")
    growth_many: float = param(0.1, low=0, high=1, description="the same beside many")
    initial_cover: float = param(0.5, low=0, high=1, description="share of sites with an apple at the start")
    rule: Literal["random_walk", "greedy", "restrained"] = param("greedy", description="how agents choose their way")
    view: float = param(5.0, low=1, description="distance up to which agents see, in sites")
    spare: int = param(5, low=0, description="apples that a restrained agent leaves near one that it takes")
    aggression: float = param(0.0, low=0, high=1, description="probability to fire at a rival ahead")
    beam_reach: float = param(5.0, low=1, description="length of the beam, in sites")
    time_out: int = param(25, low=1, description="steps for which the beam removes an agent")

    sites = population(
        size="n_sites",
        apple=field(int, low=0, high=1, long_name="whether there is an apple"),
        fertile=field(bool, default=True, long_name="whether an apple may grow"),
        near=field(int, long_name="apples near it when the step began"),
        grown=field(int, long_name="apples that grew here"),
        planted=field(
            int, default=NOT_YET, long_name="whether there was an apple at the start, noted in the first step"
        ),
    )
    agents = population(
        size="n_agents",
        site=reference(to=sites, long_name="site"),
        rule=field(int, low=0, high=len(RULES) - 1, long_name="rule: random walk, greedy, restrained"),
        facing=field(int, default=NORTH, low=NORTH, high=WEST, long_name="way it faces: north, east, south, west"),
        zap=field(int, low=0, high=1, long_name="whether it fires the beam"),
        move=field(int, low=STAY, high=WEST, long_name="where it wants to go"),
        target=reference(to=sites, long_name="site that it wants to enter"),
        away=field(int, low=0, long_name="steps until the end of the time-out"),
        eaten=field(int, low=0, long_name="apples eaten"),
        steps_eaten=field(int, low=0, long_name="sum of the steps in which it ate"),
        steps_away=field(int, low=0, long_name="steps in time-out"),
    )

    near = Grid(sites, rows=lambda p: p.n_sites // p.width, columns="width", reach="growth_reach", boundary="boundary")
    around = Grid(agents.site, rows=lambda p: p.n_sites // p.width, columns="width", reach="view", boundary="boundary")
    any_twelve = Random(sites, k=12)
    anywhere = Random(agents, k=1, target=sites)
    wanted = Chosen(agents.target)

    def check(self) -> None:
        """Refuse grids that are no rectangles, and more agents than sites."""
        self.require(
            self.n_sites % self.width == 0, f"n_sites ({self.n_sites}) is not a whole number of rows of {self.width}"
        )
        self.require(self.n_agents <= self.n_sites, f"n_agents ({self.n_agents}) exceeds n_sites ({self.n_sites})")
        self.require(
            self.few_from <= self.some_from <= self.many_from,
            f"few_from ({self.few_from}), some_from ({self.some_from}) and many_from ({self.many_from}) must ascend",
        )
        self.require(self.beam_reach <= self.view, f"beam_reach ({self.beam_reach:g}) exceeds the view ({self.view:g})")

    def start(self, sites: Any, agents: Any, draw: Any) -> None:
        """Put agents on sites of their own, and apples on some of the others."""
        sites.apple[:] = draw.of(sites).uniform("apple") < self.initial_cover
        # Ascending, so that agents that stand near one another lie together in memory.
        standing = np.sort(draw.of(sites).permutation("stands")[: self.n_agents])
        sites.apple[standing] = 0
        agents.site[:] = standing
        agents.rule[:] = RULES.index(self.rule)
        agents.facing[:] = draw.of(agents).integer("facing", NORTH, WEST + 1)

    def connected(self, agents: Any) -> None:
        """Refuse a start state in which agents stand nowhere, or two of them on one site."""
        self.require(bool((agents.site >= 0).all()), "start: agents.site: each agent needs a site, none may be -1")
        stands = np.bincount(agents.site, minlength=1) if len(agents.site) else np.zeros(1, int)
        self.require(bool((stands <= 1).all()), f"start: agents.site: several agents stand on site {stands.argmax()}")

    @send(agents, to=sites, occupant=lowest_id())
    def stand(me, agents, send):
        """Stand on a site, unless in time-out."""
        if agents.away[me] == 0:
            send.occupant(agents.site[me])

    @gather(near, when={"mixing": "grid"}, apples=count())
    def feel(me, other, sites, acc):
        """1. Count the apples near."""
        acc.apples += sites.apple[other]

    @gather(any_twelve, when={"mixing": "well_mixed"}, apples_anywhere=count())
    def sample(me, other, sites, acc):
        """1. Count the apples among twelve sites."""
        acc.apples_anywhere += sites.apple[other]

    @update(sites, after=(feel, sample))
    def grow(me, sites, new, p, step, acc, draw):
        """1. Grow an apple."""
        apples = acc.apples + acc.apples_anywhere
        new.near[me] = apples
        if step == 0:
            new.planted[me] = sites.apple[me]
        if sites.apple[me] == 0 and sites.fertile[me] and sites.occupant[me] < 0 and apples >= p.few_from:
            growth = p.growth_few
            if apples >= p.many_from:
                growth = p.growth_many
            elif apples >= p.some_from:
                growth = p.growth_some
            if draw.chance("growth", growth):
                new.apple[me] = 1
                new.grown[me] += 1

    @gather(
        around, when={"mixing": "grid"}, here=running(NOBODY), north=running(NOBODY), east=running(NOBODY),
        south=running(NOBODY), west=running(NOBODY), declined=count(), nearest=running(math.inf), ties=running(0),
        row=running(0.0), column=running(0.0), rival=running(NOBODY), rival_at=running(math.inf),
    )  # fmt: skip
    def look(me, other, offset, distance, agents, sites, p, draw, acc):
        """2. See which sites beside it are free, where the nearest apple is, and who stands ahead."""
        row, column = offset[0], offset[1]
        apple = sites.apple[other] == 1
        tempting = apple and (agents.rule[me] != RESTRAINED or sites.near[other] >= p.spare)
        if sites.occupant[other] < 0:
            way = STAY
            if distance == 0.0:
                acc.here = other
            elif distance == 1.0 and row < 0.0:
                way = NORTH
                acc.north = other
            elif distance == 1.0 and column > 0.0:
                way = EAST
                acc.east = other
            elif distance == 1.0 and row > 0.0:
                way = SOUTH
                acc.south = other
            elif distance == 1.0:
                way = WEST
                acc.west = other
            if apple and not tempting and way != STAY:
                acc.declined += 2**way
            if tempting and distance > 0.0:
                if distance < acc.nearest:
                    acc.nearest = distance
                    acc.ties = 0
                if distance == acc.nearest:
                    acc.ties += 1
                    if draw.uniform("tie", to=other) * acc.ties < 1.0:
                        acc.row = row
                        acc.column = column
        elif 0.0 < distance <= p.beam_reach and distance < acc.rival_at:
            facing = agents.facing[me]
            ahead = row == 0.0 and (column > 0.0 if facing == EAST else column < 0.0 and facing == WEST)
            ahead = ahead or (column == 0.0 and (row > 0.0 if facing == SOUTH else row < 0.0 and facing == NORTH))
            if ahead:
                acc.rival_at = distance
                acc.rival = sites.occupant[other]

    @gather(anywhere, when={"mixing": "well_mixed"}, landing=running(NOBODY))
    def leap(me, other, sites, acc):
        """2. Draw a site anywhere."""
        if sites.occupant[other] < 0:
            acc.landing = other

    @decision(agents.zap, options=("hold", "fire"), after=look)
    def aim(me, p, acc, draw):
        """3. Fire at a rival ahead, sometimes."""
        return 1 if acc.rival >= 0 and draw.chance("fire", p.aggression) else 0

    @decision(agents.move, options=("stay", "north", "east", "south", "west"), after=look)
    def choose(me, agents, acc, draw):
        """4. Go towards the nearest apple that its rule wants, or anywhere."""
        rule = agents.rule[me]
        way = draw.integer("way", NORTH, WEST + 1)
        if rule != RANDOM_WALK and acc.nearest < math.inf:
            rows, columns = abs(acc.row), abs(acc.column)
            if rows > columns or (rows == columns and draw.chance("first", 0.5)):
                way = SOUTH if acc.row > 0.0 else NORTH
            else:
                way = EAST if acc.column > 0.0 else WEST
        if rule == RESTRAINED and (acc.declined >> way) & 1 == 1:
            way = STAY
        return way

    @send(agents, to=agents, after=look, hits=counted())
    def fire(me, agents, acc, send):
        """3. Hit the one ahead."""
        if agents.zap[me] == 1 and agents.away[me] == 0:
            send.hits(acc.rival)

    @update(agents, after=(look, leap))
    def head(me, agents, new, p, acc):
        """4. Name the site to enter, if it is free."""
        target = NOBODY
        if agents.away[me] == 1:
            target = acc.here
        elif agents.away[me] == 0 and agents.hits[me] == 0 and agents.zap[me] == 0:
            way = agents.move[me]
            if way != STAY:
                new.facing[me] = way
                if p.mixing == "well_mixed":
                    target = acc.landing
            if way == NORTH:
                target = max(target, acc.north)
            elif way == EAST:
                target = max(target, acc.east)
            elif way == SOUTH:
                target = max(target, acc.south)
            elif way == WEST:
                target = max(target, acc.west)
        new.target[me] = target

    @send(agents, to=sites, entered_by=drawn())
    def claim(me, agents, send):
        """4. Claim it; of several claims one is drawn."""
        send.entered_by(agents.target[me])

    @gather(wanted, entered=count(), meal=count())
    def arrive(me, other, sites, acc):
        """4. See whether the claim was the one drawn; 5. and whether there is an apple."""
        if sites.entered_by[other] == me:
            acc.entered += 1
            acc.meal += sites.apple[other]

    @update(agents, after=arrive)
    def settle(me, agents, new, p, step, acc):
        """3. Leave when hit, and come back; 4. go there; 5. eat."""
        away = agents.away[me]
        if acc.entered > 0:
            new.site[me] = agents.target[me]
            new.eaten[me] += acc.meal
            new.steps_eaten[me] += acc.meal * (step + 1)
        if away > 0:
            new.steps_away[me] += 1
            new.away[me] = away - 1 if away > 1 or acc.entered > 0 else 1
        elif agents.hits[me] > 0:
            new.away[me] = p.time_out

    @update(sites)
    def clear(me, sites, new):
        """5. The apple is gone."""
        if sites.entered_by[me] >= 0:
            new.apple[me] = 0

    observe = [books, share_of_apples, social_outcomes, streaming.entropy(streaming.field("agents.move", states=5))]
