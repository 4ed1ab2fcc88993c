"""Where a step is cut for shards, and what is shared there."""

from __future__ import annotations

from network_scenarios import AdaptiveVoter, SmallWorldAverage

from simengine import (
    ChosenBy,
    Everyone,
    Random,
    Scenario,
    Space,
    consensus,
    count,
    decision,
    field,
    gather,
    population,
    reference,
    running,
    send,
    summed,
    total,
    unchanged,
    update,
    vector,
)
from simengine.compile.module import HostPhase, write_module
from simengine.compile.sharing import Cut, Share


def shares(
    scenario: type[Scenario], cut: Cut = "ranges", outside: frozenset[str] = frozenset()
) -> list[set[str] | str]:
    """The parts of a step: compiled stretches by name, and the fields and accumulators that are shared between."""
    found: list[set[str] | str] = []
    for part in write_module(scenario({}), False, outside, cut).segments:
        if isinstance(part, Share):
            found.append({str(value.key[-1]) if value.kind == "table" else value.key[0] for value in part.values})
        else:
            found.append("asked" if isinstance(part, HostPhase) else "step")
    return found


class Talk(Scenario):
    """Agents that hear others and change their mind, and do something that nobody sees."""

    agents = population(size=10, mind=field(), secret=field())
    others = Random(agents, k=2)

    @gather(others, heard=total())
    def hear(me, other, agents, acc):
        acc.heard += agents.mind[other]

    @update(agents, after=hear)
    def change(me, agents, new, acc):
        new.mind[me] = acc.heard
        new.secret[me] += 1.0


class StopsEarly(Talk):
    """The same, until all agree."""

    stop = consensus(Talk.agents.secret)


def test_only_what_others_look_at_is_shared_and_before_they_look() -> None:
    assert shares(Talk) == [{"mind"}, "step"]


def test_what_a_stop_condition_compares_is_shared_before_it() -> None:
    assert shares(StopsEarly) == ["step", {"mind"}, "step", {"secret"}, "step"]


def test_what_nobody_changes_is_never_shared() -> None:
    class Still(Scenario):
        agents = population(size=10, mind=field(), heard=field())
        everyone = Everyone(agents)

        @gather(everyone, sum=total())
        def hear(me, other, agents, acc):
            acc.sum += agents.mind[other]

        @update(agents, after=hear)
        def note(me, new, acc):
            new.heard[me] = acc.sum

    assert shares(Still) == ["step"]


def test_a_field_that_names_others_is_shared_where_they_look_back() -> None:
    class Following(Scenario):
        agents = population(size=10, leader=reference(), fame=field(int))
        followers = ChosenBy(agents.leader)

        @gather(followers, n=count())
        def counted(me, other, acc):
            acc.n += 1

        @update(agents, after=counted)
        def follow(me, agents, new, acc, draw):
            new.fame[me] = acc.n
            new.leader[me] = draw.integer("leader", 0, 10)

    assert shares(Following) == [{"leader"}, "step"]


def test_what_every_shard_repeats_needs_everybodys_values_and_leaves_them_known() -> None:
    class Giving(Scenario):
        agents = population(size=10, purse=field(int), friend=reference(), seen=field(int))
        others = Everyone(agents)

        @update(agents)
        def earn(me, agents, new):
            new.purse[me] = agents.purse[me] + 1

        @send(agents, to=agents, gifts=summed(int))
        def give(me, agents, send):
            send.gifts(agents.friend[me], agents.purse[me])

        @gather(others, most=running(0))
        def compare(me, other, agents, acc):
            acc.most = max(acc.most, agents.gifts[other])

        @update(agents, after=compare)
        def see(me, new, acc):
            new.seen[me] = acc.most

    assert shares(Giving) == ["step", {"purse"}, "step"]


def test_a_policy_is_asked_by_the_first_shard_which_tells_the_others_what_it_answers() -> None:
    class Deciding(Scenario):
        agents = population(size=10, mood=field(), act=field(int))
        everyone = Everyone(agents)

        @gather(everyone, sum=total())
        def feel(me, other, agents, acc):
            acc.sum += agents.mood[other]

        @decision(agents.act, after=feel)
        def choose(me, agents, acc):
            return 1 if acc.sum > 0.0 else 0

        @update(agents)
        def move(me, agents, new):
            new.mood[me] = agents.mood[me] + agents.act[me]

    found = shares(Deciding, outside=frozenset({"agents.choose"}))
    assert found == [{"mood"}, "step", {"act", "feel"}, "asked", {"act"}, "step"]


def test_along_a_network_that_stays_only_ends_of_cut_edges_are_told() -> None:
    plan = write_module(SmallWorldAverage({}), False, frozenset(), "ranges")
    assert [part.along for part in plan.segments if isinstance(part, Share)] == ["ties"]
    rewired = write_module(AdaptiveVoter({}), False, frozenset(), "ranges")
    assert {part.along for part in rewired.segments if isinstance(part, Share)} == {""}


class Flock(Scenario):
    """Agents that look round, change their colour, look again, and move."""

    agents = population(size=2000, place=vector(2), speed=vector(2), colour=field(), crowd=field(int))
    near = Space(agents.place, reach=0.1, box=1.0, boundary="reflecting", velocity=agents.speed)

    @gather(near, n=count(), hue=total())
    def look(me, other, agents, acc):
        acc.n += 1
        acc.hue += agents.colour[other]

    @update(agents, after=look)
    def blush(me, agents, new, acc):
        new.colour[me] = acc.hue / (acc.n + 1)

    @gather(near, after=total())
    def look_again(me, other, agents, acc):
        acc.after += agents.colour[other]

    @update(agents, after=look_again)
    def move(me, agents, new, acc):
        for axis in range(2):
            new.place[me, axis] += agents.speed[me, axis] + acc.after


def test_regions_are_regrouped_once_a_step_and_copies_renewed_where_they_have_changed() -> None:
    parts = write_module(Flock({}), False, frozenset(), "regions").segments
    found = [part for part in parts if isinstance(part, Share)]
    assert [part.regroup for part in found] == [True, False]
    assert [{value.key[1] for value in part.values} for part in found] == [{"place", "colour"}, {"colour"}]


def test_a_velocity_that_walls_turn_is_out_of_date_when_agents_have_moved() -> None:
    class Bouncing(Flock):
        everyone = Everyone(Flock.agents)

        @gather(everyone, sum=total())
        def feel(me, other, agents, acc):
            acc.sum += agents.speed[other, 0]

        @update(Flock.agents, after=feel)
        def hurry(me, new, acc):
            new.crowd[me] = int(acc.sum)

    assert any(isinstance(part, set) and "speed" in part for part in shares(Bouncing))


def test_a_scenario_says_why_it_cannot_be_cut_into_regions() -> None:
    def why(scenario: type[Scenario]) -> str:
        return write_module(scenario({}), False, frozenset(), "regions").not_in_regions

    class MovesFirst(Flock):
        @gather(Flock.near, late=count())
        def look_late(me, other, acc):
            acc.late += 1

        @update(Flock.agents, after=look_late)
        def note(me, new, acc):
            new.crowd[me] = acc.late

    class WithOthers(Flock):
        places = population(size=3, x=field())

    class Ends(Flock):
        stop = unchanged(Flock.agents.place)

    assert why(Flock) == ""
    assert why(Talk) == "hear() looks over Random"
    assert why(MovesFirst) == "look_late() looks round after others have moved in the same step"
    assert why(WithOthers) == "places have no place in space"
    assert why(Ends) == "it has a stop condition"
