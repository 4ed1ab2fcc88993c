"""Regions of space: who holds whom, that copies are made of whoever can be seen, and that borders follow the work."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sharding import assert_any_shards_agree, assert_same_state, copied, recipe_of, spread

from simengine import Scenario, ScenarioError, Space, count, field, gather, param, population, total, update, vector
from simengine.runs.session import make_engine
from simengine.runs.sharded import ShardedEngine, choose_cut
from simengine.shards.regions import Regions


class Dust(Scenario):
    """Grains that look round, take over colours, look again and drift; a few wardens watch them."""

    n: int = param(900, low=0)
    box: float = param(10.0, above=0)
    reach: float = param(0.7, above=0)
    pull: float = param(0.0)
    thick: float = param(1.0, above=0)

    grains = population(size="n", place=vector(2), colour=field(), crowd=field(int), seen=field())
    wardens = population(size=600, place=vector(2), counted=field(int))
    near = Space(grains.place, reach="reach", box="box")
    watch = Space(wardens.place, sees=grains.place, reach="reach", box="box")

    def start(self, grains: Any, wardens: Any, draw: Any) -> None:
        grains.place[:] = self.box * draw.of(grains).uniform("place", components=2) ** self.thick
        grains.colour[:] = draw.of(grains).uniform("colour")
        wardens.place[:] = self.box * draw.of(wardens).uniform("place", components=2)

    @gather(near, n=count(), hue=total())
    def look(me, other, grains, acc):
        acc.n += 1
        acc.hue += grains.colour[other]

    @gather(watch, there=count())
    def guard(me, other, acc):
        acc.there += 1

    @update(grains, after=look)
    def blush(me, grains, new, acc):
        new.crowd[me] = acc.n
        new.colour[me] = 0.5 * grains.colour[me] + 0.5 * acc.hue / (acc.n + 1)

    @gather(near, fresh=total())
    def look_again(me, other, grains, acc):
        acc.fresh += grains.colour[other]

    @update(grains, after=look_again)
    def drift(me, grains, new, acc, p, draw):
        new.seen[me] = acc.fresh
        new.place[me, 0] += 0.4 * draw.normal("east") + p.pull * (0.5 * p.box - grains.place[me, 0])
        new.place[me, 1] += 0.4 * draw.normal("north")

    @update(wardens, after=guard)
    def note(me, wardens, new, acc):
        new.counted[me] = wardens.counted[me] + acc.there
        new.place[me, 0] += 0.1


def parts(driver: ShardedEngine) -> list[Regions]:
    return [shard.part for shard in driver.hosts.shards]  # type: ignore[attr-defined]


def test_agents_that_look_round_in_a_box_are_cut_into_regions() -> None:
    assert choose_cut(Dust({}), frozenset()) == ("regions", "")
    cut, reason = choose_cut(Dust({"reach": 6.0}), frozenset())
    assert cut == "ranges"
    assert "everybody is compared with everybody" in reason


def test_every_agent_is_held_by_the_shard_of_its_slab_and_memory_is_divided() -> None:
    driver = spread(recipe_of(Dust), 3)
    for name, number in (("grains", 900), ("wardens", 600)):
        held = [part.engine.state[name].ids[part.slots(name)] for part in parts(driver)]
        assert sorted(np.concatenate(held)) == list(range(number))
    for part in parts(driver):
        assert part.engine.state["grains"].capacity < 900 / 2
        x = part.engine.state["grains"].fields["place"][0, part.slots("grains")]
        assert ((x >= part.borders[part.number]) & (x < part.borders[part.number + 1])).all()
    driver.close()


@pytest.mark.parametrize("given", [{}, {"thick": 4.0}, {"reach": 1.6}], ids=str)
def test_any_number_of_slabs_gives_the_same_states(given: dict[str, Any]) -> None:
    assert_any_shards_agree(Dust, 5, shards=(1, 2, 3, 7), cut="regions", **given)


def test_borders_move_to_where_the_work_is_and_nothing_else_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simengine.runs.shard.BETWEEN_BALANCES", 3)
    monkeypatch.setattr("simengine.shards.regions.UNEVEN", 0.0)
    monkeypatch.setattr("simengine.shards.regions.ROOM", 1.0)
    monkeypatch.setattr("simengine.shards.regions.SPARE_ROOM", 1)
    monkeypatch.setattr("simengine.shards.regions.SORTING_PAYS_FROM", 10)
    driver = spread(recipe_of(Dust, pull=0.2), 3)
    before = parts(driver)[0].borders.copy()
    rooms = [part.engine.state["grains"].capacity for part in parts(driver)]
    driver.advance(14)
    borders = [part.borders for part in parts(driver)]
    assert not (borders[0] == before).all()
    assert all((found == borders[0]).all() for found in borders)
    assert [part.engine.state["grains"].capacity for part in parts(driver)] != rooms
    assert any(shard.moved_borders for shard in driver.hosts.shards)  # type: ignore[attr-defined]
    alone = make_engine(recipe_of(Dust, pull=0.2), 1, "by_id")
    alone.advance(14)
    assert_same_state(driver.saved(), alone.saved())
    driver.close()


def test_a_reach_too_long_for_regions_makes_them_ranges_until_it_is_shorter_again() -> None:
    alone, driver = make_engine(recipe_of(Dust), 1, "by_id"), spread(recipe_of(Dust), 3)
    for step, reach, cut in ((2, 6.0, "ranges"), (4, 0.5, "regions")):
        for engine in (alone, driver):
            engine.advance(step)
            engine.change({"reach": reach})
        assert driver.happened["shards_cut_into"] == cut
        assert {part.cut for part in parts(driver)} == {cut}
    for engine in (alone, driver):
        engine.advance(6)
    assert_same_state(driver.saved(), alone.saved())
    driver.close()


def test_a_state_of_regions_goes_on_in_one_process_and_in_other_shards() -> None:
    whole = make_engine(recipe_of(Dust), 1, "by_id")
    whole.advance(7)
    first = spread(recipe_of(Dust), 3)
    first.advance(3)
    saved = copied(first.saved())
    first.close()
    alone, second = make_engine(recipe_of(Dust), 1), spread(recipe_of(Dust), 2)
    for engine in (alone, second):
        engine.load(*saved)
        engine.advance(7)
        assert_same_state(engine.saved(), whole.saved())
    second.close()


def test_regions_refuse_a_scenario_that_is_not_made_for_them() -> None:
    with pytest.raises(ScenarioError, match="cannot be cut into regions of space: look"):
        spread(recipe_of(Dust, reach=6.0), 2, "regions")
