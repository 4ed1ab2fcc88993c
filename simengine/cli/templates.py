"""The two files that ``simengine init`` writes; CLASS and MODULE stand for the scenario's names."""

from __future__ import annotations

SCENARIO = '''\
"""A scenario to begin from: people join a protest once enough of those around them have joined."""

from simengine import Scenario, Space, count, field, gather, observable, param, population, unchanged, update, vector


# An observable is recorded while the scenario runs: one number about all agents, here numpy arrays.
@observable(unit="1", long_name="share of people who have joined")
def participation(agents):
    return agents.joined.mean()


class CLASS(Scenario):
    """People join once the share of those around them who have joined reaches their threshold (Granovetter 1978)."""

    # Parameters: typed, with bounds and units; `simengine run MODULE.py --set reach=0.05` changes one.
    n_agents: int = param(1000, low=2, description="number of people")
    town: float = param(1.0, above=0, unit="km", description="side of the town")
    reach: float = param(0.08, above=0, unit="km", description="how far people see")
    threshold: float = param(0.3, low=0, high=1, unit="1", description="mean threshold")
    spread: float = param(0.1, low=0, high=1, unit="1", description="standard deviation of thresholds")

    # A population: agents with named fields.
    agents = population(size="n_agents", place=vector(2, unit="km"), threshold=field(unit="1"), joined=field(bool))

    # A relation: who sees whom.
    near = Space(agents.place, reach="reach", box="town", boundary="periodic")

    # The start, in numpy. Draws have names: nothing else decides what they give but the seed.
    def start(self, agents, draw):
        agents.place[:] = draw.uniform("place", 0, self.town, components=2)
        agents.threshold[:] = draw.normal("threshold", self.threshold, self.spread)
        agents.joined[:] = ((agents.place - self.town / 2) ** 2).sum(axis=1) < self.reach**2

    # A step, as functions about one agent: look at every other within reach ...
    @gather(near, seen=count(), seen_joined=count())
    def look(me, other, agents, acc):
        acc.seen += 1
        if agents.joined[other]:
            acc.seen_joined += 1

    # ... then go from old values to new ones.
    @update(agents, after=look)
    def join(me, agents, new, acc):
        if acc.seen > 0 and acc.seen_joined >= agents.threshold[me] * acc.seen:
            new.joined[me] = True

    observe = [participation]

    # A stop condition: the run ends before its last step once nobody joins any more.
    stop = unchanged(agents.joined)
'''

TEST = '''\
"""Tests of CLASS: python -m pytest test_MODULE.py"""

from types import SimpleNamespace

import numpy as np
from MODULE import CLASS

import simengine
from simengine.testing import any_threads, same_run, split_equals_whole


def test_a_person_joins_when_enough_of_those_around_have_joined():
    # A phase stays an ordinary function: with plain arrays it needs neither engine nor compiler.
    for seen_joined, joins in ((1, False), (2, True)):
        agents = SimpleNamespace(threshold=np.array([0.5]), joined=np.array([False]))
        new = SimpleNamespace(joined=agents.joined.copy())
        CLASS.join(me=0, agents=agents, new=new, acc=SimpleNamespace(seen=4, seen_joined=seen_joined))
        assert new.joined[0] == joins


def test_the_protest_spreads_when_thresholds_are_low_and_stays_small_when_they_are_high():
    # A run returns an xarray.Dataset of what was observed.
    assert simengine.run(CLASS, threshold=0.2).participation[-1] > 0.9
    assert simengine.run(CLASS, threshold=0.6).participation[-1] < 0.1


def test_a_result_depends_on_scenario_parameters_and_seed_alone():
    same_run(CLASS, steps=20)
    any_threads(CLASS, steps=20)
    split_equals_whole(CLASS, steps=20, at=7)
'''
