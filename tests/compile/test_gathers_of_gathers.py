"""Gathers that read what others collected in earlier gathers: kept by agent, or collected on the spot."""

from __future__ import annotations

import linecache
import math
from typing import Any

import numpy as np
import pytest

from simengine import (
    Everyone,
    Network,
    Random,
    Scenario,
    ScenarioError,
    count,
    events,
    field,
    gather,
    graphs,
    param,
    population,
    testing,
    total,
    update,
)
from simengine.random import draws
from simengine.random.philox import step_key, stream_key
from simengine.runs.engine import Engine


class Rivals(Scenario):
    """Agents copy a neighbour's trait by the neighbours' fortunes, which follow from *their* neighbours."""

    n_agents: int = param(60, low=6)
    in_turn: bool = param(False)
    agents = population(size="n_agents", trait=field(), fortune=field())
    friends = Network(agents, graph="ring")

    def ring(self, draw: Any) -> Any:
        return graphs.make("small_world", self.n_agents, draw.seed_for("graph"), mean_degree=4)

    def start(self, agents: Any, draw: Any) -> None:
        agents.trait[:] = draw.uniform("trait")

    @gather(friends, earned=total(), partners=count())
    def play(me, other, agents, acc):
        acc.earned += agents.trait[other] - 0.25 * agents.trait[me]
        acc.partners += 1

    @gather(friends, weight=total(), pull=total())
    def compete(me, other, agents, acc, play):
        fitness = math.exp(play.earned[other] / play.partners[other] - play.earned[me])
        acc.weight += fitness
        acc.pull += fitness * agents.trait[other]

    @update(agents, after=compete, when={"in_turn": False})
    def follow(me, agents, new, acc):
        new.trait[me] = acc.pull / acc.weight
        new.fortune[me] = acc.weight

    @update(agents, after=compete, order=events("n_agents"), when={"in_turn": True})
    def follow_in_turn(me, agents, new, acc):
        new.trait[me] = acc.pull / acc.weight
        new.fortune[me] = acc.weight


def follow_by_hand(trait: np.ndarray, neighbours: list[list[int]], me: int) -> float:
    def earned(agent: int) -> float:
        collected = 0.0
        for other in neighbours[agent]:
            collected += trait[other] - 0.25 * trait[agent]
        return collected

    weight = pull = 0.0
    for other in neighbours[me]:
        fitness = math.exp(earned(other) / len(neighbours[other]) - earned(me))
        weight += fitness
        pull += fitness * trait[other]
    return pull / weight


def begun(in_turn: bool, seed: int = 3) -> tuple[Engine, np.ndarray, list[list[int]]]:
    engine = Engine(Rivals({"n_agents": 60, "in_turn": in_turn}), seed)
    view = engine.view().offered()["friends"]
    neighbours: list[list[int]] = [[] for _ in range(60)]
    for a, b in zip(view.source, view.target, strict=True):
        neighbours[a].append(int(b))
        neighbours[b].append(int(a))
    return engine, engine.state["agents"].values("trait").copy(), [sorted(found) for found in neighbours]


def test_at_once_everybody_reads_what_others_collected_in_the_old_state() -> None:
    engine, trait, neighbours = begun(in_turn=False)
    for step in range(3):
        trait = np.array([follow_by_hand(trait, neighbours, me) for me in range(60)])
        engine.advance(step + 1)
        np.testing.assert_allclose(engine.state["agents"].values("trait"), trait, rtol=1e-13)


def test_in_turn_everybody_reads_what_others_collect_at_that_moment() -> None:
    engine, trait, neighbours = begun(in_turn=True)
    for step in range(3):
        stream = stream_key(3, "agents", "follow_in_turn", "engine turn")
        for turn in range(60):
            me = int(draws.integer(step_key(stream, step, turn), 0, 0, 60))
            trait[me] = follow_by_hand(trait, neighbours, me)
        engine.advance(step + 1)
        np.testing.assert_allclose(engine.state["agents"].values("trait"), trait, rtol=1e-12)


@pytest.mark.parametrize("in_turn", [False, True])
def test_threads_shards_and_storage_do_not_show(in_turn: bool) -> None:
    testing.any_shards(Rivals, in_turn=in_turn, steps=4)
    testing.any_threads(Rivals, in_turn=in_turn, steps=4)


def looking(near: str = "Everyone(agents)", argument: str = "play", read: str = "play.earned[other]") -> Any:
    text = f"""
class Looking(Scenario):
    n_agents: int = param(10, low=2)
    agents = population(size="n_agents", trait=field())
    near = {near}

    @gather(near, earned=total(), pair=total(2))
    def play(me, other, agents, acc):
        acc.earned += agents.trait[other]
        acc.pair[0] += 1.0

    @gather(near, sum=total())
    def look(me, other, agents, acc, {argument}):
        acc.sum += {read}

    @update(agents, after=look, order="sequential")
    def move(me, agents, new, acc):
        new.trait[me] = acc.sum
"""
    path = f"<looking {near} {argument} {read}>"
    linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)
    words = {"Everyone": Everyone, "Random": Random, "Scenario": Scenario, "field": field, "gather": gather}
    words |= {"param": param, "population": population, "total": total, "update": update}
    scope: dict[str, Any] = words | {"__name__": __name__}
    exec(compile(text, path, "exec"), scope)
    return scope["Looking"]


@pytest.mark.parametrize(
    ("read", "message"),
    [
        ("play.earnt[other]", "play collects no 'earnt'; did you mean 'earned'"),
        ("play.earned", r"say whose: play.earned\[other\]"),
        ("play.earned[3]", r"read at me or other: play.earned\[me\]"),
        ("play.pair[other]", "play.pair has 2 components"),
        ("play.pair[other, 2]", "play.pair has components 0 to 1"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(read: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        Engine(looking(read=read)({}), 0)


def test_a_gather_that_comes_later_cannot_be_read() -> None:
    with pytest.raises(ScenarioError, match=r"look\(\) has no argument 'plays'; did you mean 'play'"):
        looking(argument="plays")


def test_in_turn_partners_drawn_for_others_are_refused() -> None:
    with pytest.raises(ScenarioError, match="as it looks over Random"):
        Engine(looking(near="Random(agents, k=1)")({}), 0)
