"""Lists of groups that last from phase to phase: they follow deaths, edits and moves of members."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from simengine import (
    Mates,
    Members,
    Random,
    Scenario,
    at,
    count,
    field,
    gather,
    param,
    population,
    reference,
    run,
    running,
    testing,
    update,
)
from simengine.runs.engine import Engine


class Villages(Scenario):
    """Villagers look at one another, some die, and where they may, they move."""

    n_agents: int = param(60, low=1)
    n_villages: int = param(7, low=1)
    death: float = param(0.1, low=0, high=1)
    moving: bool = param(False)

    villages = population(size="n_villages", dim="village", people=field(int))
    agents = population(size="n_agents", capacity="n_agents", village=reference(to=villages), mates=field(int),
                        met=field(int))  # fmt: skip
    members = Members(agents.village)
    mates = Mates(agents.village)
    one_mate = Random(agents, k=1, within=mates)

    def start(self, agents: Any) -> None:
        agents.village[:] = np.arange(self.n_agents) % self.n_villages
        agents.met[:] = -1

    @gather(members, people=count())
    def census(me, other, acc):
        acc.people += 1

    @update(villages, after=census)
    def remember(me, new, acc):
        new.people[me] = acc.people

    @gather(mates, mates=count())
    def look(me, other, acc):
        acc.mates += 1

    @gather(one_mate, met=running(-1))
    def meet(me, other, acc):
        acc.met = other

    @update(agents, after=(look, meet))
    def keep(me, new, acc):
        new.mates[me] = acc.mates
        new.met[me] = acc.met

    @update(agents, when={"moving": True})
    def move(me, agents, new, p, draw):
        new.village[me] = draw.integer("village", 0, p.n_villages)

    @update(agents)
    def die(me, new, p, draw):
        if draw.chance("death", p.death):
            new.alive[me] = False


@pytest.mark.parametrize("moving", [False, True])
def test_members_and_mates_are_those_of_the_moment(moving: bool) -> None:
    engine = Engine(Villages({"moving": moving}), 1)
    for step in range(12):
        villages = engine.state["agents"].values("village")
        ids = engine.view().offered()["agents"].ids
        engine.advance(step + 1)
        assert engine.state["villages"].values("people").tolist() == np.bincount(villages, minlength=7).tolist()
        survived = np.isin(ids, engine.view().offered()["agents"].ids)
        mates, met = engine.state["agents"].values("mates"), engine.state["agents"].values("met")
        assert mates.tolist() == (np.bincount(villages, minlength=7)[villages] - 1)[survived].tolist()
        of = dict(zip(ids.tolist(), villages.tolist(), strict=True))
        for me, other, number in zip(ids[survived].tolist(), met.tolist(), mates.tolist(), strict=True):
            assert (other == -1) if number == 0 else (other != me and of[other] == of[me])


def test_who_was_met_is_each_mate_equally_often() -> None:
    engine = Engine(Villages({"death": 0.0, "n_agents": 35}), 2)
    met = np.zeros((35, 35), int)
    for step in range(1000):
        engine.advance(step + 1)
        met[np.arange(35), engine.state["agents"].values("met")] += 1
    same = (np.arange(35)[:, None] - np.arange(35)) % 7 == 0
    np.fill_diagonal(same, False)
    assert (met[~same] == 0).all()
    # 140 counts of mean 250 and standard deviation 14: one beyond 4.5 of these in a thousand seeds.
    assert (abs(met[same] - 250) < 4.5 * 14).all()


def test_an_edit_between_steps_is_seen() -> None:
    def gather_in_one(agents: Any) -> None:
        agents.village[:] = 0

    found = run(Villages, steps=4, death=0.0, interventions=[at(2, apply=gather_in_one)], snapshot_every=1)
    assert found.villages_people.values[1].max() == 9
    assert found.villages_people.values[-1].tolist() == [60, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("moving", [pytest.param(False, marks=pytest.mark.slow), True])
def test_threads_and_shards_do_not_show(moving: bool) -> None:
    testing.any_shards(Villages, moving=moving, steps=5)
    testing.any_threads(Villages, moving=moving, steps=5)
