"""One fish that reads and answers among fish by rule: what it is told, and where it swims."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import simengine
from simengine import Policy, testing
from simengine.policies.language.backends.function import Function
from simengine.policies.language.contexts import contexts_of
from simengine.policies.language.policy import Language
from simengine.scenarios.schooling import Schooling
from simengine.scenarios.schooling_words import (
    BY_RULE,
    COURSES,
    HEADINGS,
    SIDES,
    STEER,
    GuidedSchooling,
    frame,
    guidance,
    sides,
)

SCHOOL: dict[str, Any] = {
    "n_agents": 100, "steps": 40, "every": 5, "snapshot_every": 1, "seed": 7, "threads": 1, "progress": False
}  # fmt: skip
TURN = np.radians(4.0)
"""The most that a fish turns in a step."""


def guided(policy: Any, **parameters: Any) -> Any:
    return simengine.run(GuidedSchooling, policies={"agents.steer": policy}, **SCHOOL | parameters)


def always(course: str) -> Policy:
    """A model of fish 0 that always answers the same."""
    answer = [float(option == course) for option in COURSES]
    return Policy(Language(Function(lambda told, request: answer)), ids=[0])


def test_a_school_in_which_nobody_is_steered_is_the_school_of_rules_bit_for_bit() -> None:
    by_rule = simengine.run(Schooling, **SCHOOL)
    free = guided(Policy(Language(Function(lambda told, request: [1.0, 0.0, 0.0, 0.0, 0.0])), ids=[]))
    numbers = [name for name in by_rule.variables if by_rule[name].dtype.kind in "biuf"]
    assert len(numbers) > 10
    assert [name for name in numbers if by_rule[name].values.tobytes() != free[name].values.tobytes()] == []
    assert (free.course.values == BY_RULE).all()
    assert (free.guided.values == 0.0).all()


def test_a_fish_that_is_told_to_swims_straight_on_or_turns_as_far_as_a_fish_can() -> None:
    straight = guided(always("ahead"), noise=0.0).heading.values[:, 0]
    np.testing.assert_allclose(straight, np.broadcast_to(straight[0], straight.shape), atol=1e-12)
    left, right = (guided(always(course), noise=0.0) for course in ("left", "right"))
    for run, sign in ((left, 1.0), (right, -1.0)):
        heading = run.heading.values[:, 0]
        np.testing.assert_allclose((heading[1:] * heading[:-1]).sum(axis=1), np.cos(TURN), atol=1e-12)
        # Seen from above, turns to the left go against the clock.
        assert (sign * (heading[:-1, 0] * heading[1:, 1] - heading[:-1, 1] * heading[1:, 0]) > 0.0).all()
        assert set(run.course.values[1:, 0].tolist()) == {float(COURSES.index("left" if sign > 0 else "right"))}
        assert (run.course.values[1:, 1:] == BY_RULE).all()
    climbing = guided(always("up"), noise=0.0, steps=10).heading.values[:, 0, 2]
    assert (np.diff(np.arcsin(climbing)) > 0.9 * TURN).all()
    assert float(left.guided[-1]) == pytest.approx(0.01)
    assert float(left.guided_distance[-1]) > 0.0


def test_a_fish_that_reads_keeps_with_the_school_where_one_that_swims_straight_on_loses_it() -> None:
    def follow(told: Any, request: Any) -> list[float]:
        """Turn to the side with most fish among those that are farther away, away from those that are too near."""
        away = {"left": "right", "right": "left", "above": "down", "below": "up", "ahead": "left", "behind": "ahead"}
        turn = {"left": "left", "right": "right", "above": "up", "below": "down", "ahead": "ahead", "behind": "left"}
        for column, chosen in (("too_near", away), ("far", turn), ("near", turn)):
            if told[column] != "nobody":
                parts = (part.split() for part in told[column].split(", "))
                side = max((int(number), side) for number, side in parts)[1]
                return [float(option == chosen[side]) for option in COURSES]
        return [1.0, 0.0, 0.0, 0.0, 0.0]

    lengths = {"steps": 150, "every": 150, "snapshot_every": 150}
    reading = guided(Policy(Language(Function(follow)), ids=[0]), **lengths)
    assert float(reading.guided_distance[-1]) < 15.0
    assert float(guided(always("ahead"), **lengths).guided_distance[-1]) > 30.0


# -- what it is told, without a run --------------------------------------------------------------------------------


def told(offsets: Any, headings: Any = None, heading: Any = (1.0, 0.0, 0.0), **parameters: Any) -> str:
    """The question to a fish that has others at the given offsets."""
    p = GuidedSchooling(parameters)
    middle = np.full(3, 1.0 if p.box else 0.0)
    offsets = np.asarray(offsets, float).reshape(-1, 3)
    headings = np.tile((1.0, 0.0, 0.0), (len(offsets), 1)) if headings is None else np.asarray(headings, float)
    positions = np.concatenate([[middle], middle + offsets])
    if p.box:
        positions %= p.box
    school = SimpleNamespace(position=positions, heading=np.concatenate([[heading], headings]))
    agents = SimpleNamespace(position=positions[:1], heading=school.heading[:1])
    asked = SimpleNamespace(
        ids=np.array([0]), step=0, agents=agents, observed={}, p=p, populations={"agents": school}, texts={},
        options=COURSES,
    )  # fmt: skip
    contexts = contexts_of(STEER, asked)  # type: ignore[arg-type]
    return contexts.render(STEER, p)[0][-1].text


def test_fish_are_counted_by_zone_and_side_in_the_fishs_own_frame() -> None:
    offsets = [(0.5, 0.1, 0.0), (0.0, 2.0, 0.0), (0.0, -3.0, 0.0), (0.0, 1.0, 3.0), (9.0, 0.0, 0.0), (0.0, 0.0, -9.0)]
    headings = [(1, 0, 0), (0, 1, 0), (0, 1, 0), (0, 0, -1), (1, 0, 0), (1, 0, 0)]
    text = told(offsets, headings)
    assert "Too near: 1 ahead.\n" in text
    assert "Up to 3.5 away: 1 left, 1 right, 1 above; they swim: 2 left, 1 down.\n" in text
    assert "Farther away: 1 ahead, 1 below.\n" in text
    # The same seen by a fish that swims along y: what was ahead is now to its right.
    assert "Too near: 1 right.\n" in told(offsets, headings, heading=(0.0, 1.0, 0.0))


def test_the_blind_cone_hides_all_but_those_that_are_too_near() -> None:
    text = told([(-0.5, 0.0, 0.0), (-3.0, 0.5, 0.0), (-9.0, 1.0, 0.0)])
    assert "Too near: 1 behind.\nUp to 3.5 away: nobody.\nFarther away: nobody.\n" in text
    assert "Farther away: 1 behind." in told([(-9.0, 1.0, 0.0)], blind_angle=0.0)


def test_nobody_beyond_the_zone_of_attraction_is_seen_and_a_box_has_no_borders() -> None:
    assert "Farther away: nobody." in told([(18.0, 0.0, 0.0)])
    assert "Farther away: 1 ahead." in told([(5.0, 0.0, 0.0), (18.0, 0.0, 0.0)], box=40.0)
    assert "Up to 3.5 away: 1 right; they swim: 1 ahead." in told([(0.0, -2.0, 0.0)], box=40.0)


@pytest.mark.parametrize("heading", [(1.0, 0.0, 0.0), (0.6, -0.8, 0.0), (0.36, 0.48, 0.8), (0.0, 0.0, 1.0)])
def test_the_frame_of_a_fish_is_right_handed_with_a_level_left(heading: tuple[float, float, float]) -> None:
    axes = frame(np.array(heading))
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-15)
    assert np.linalg.det(axes) == pytest.approx(1.0)
    assert axes[1, 2] == 0.0
    unit = np.concatenate([np.eye(3), -np.eye(3)])
    assert [SIDES[side] for side in sides(unit)] == ["ahead", "left", "above", "behind", "right", "below"]
    assert [HEADINGS[side] for side in sides(unit)] == ["ahead", "left", "up", "backwards", "right", "down"]


def test_where_all_fish_are_steered_there_are_no_others_to_compare_with() -> None:
    agents = SimpleNamespace(course=np.array([0, 1]), heading=np.eye(3)[:2], position=np.zeros((2, 3)))
    found = guidance.function(agents, GuidedSchooling())
    assert found["guided"] == 1.0
    assert np.isnan(found["guided_alignment"])
    assert np.isnan(found["guided_distance"])


@pytest.mark.slow
def test_threads_and_shards_do_not_show_in_what_a_fish_reads() -> None:
    def read(asked: Any) -> Any:
        contexts = contexts_of(STEER, asked)
        lengths = np.array([len(question.text) for _, question in contexts.render(STEER, asked.p)])
        return (lengths % len(COURSES))[contexts.of_agent]

    options: dict[str, Any] = {"steps": 10, "seed": 4, "n_agents": 300, "box": 60.0}
    options["policies"] = {"agents.steer": Policy(read, share=0.2)}
    testing.any_shards(GuidedSchooling, **options)
    testing.any_threads(GuidedSchooling, **options)
