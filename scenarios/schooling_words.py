"""A school in which some fish are steered from outside: by a language model that reads what it sees, or any policy.

The school is that of `schooling` with the rules of Couzin et al. (2002), bit for bit where nobody is steered. Before
it swims each fish has a decision, `steer`: by the rule it follows its zones; a policy gives one of five directions in
the fish's own frame, ahead, left, right, up, down (left is level, up at right angles to ahead and left). That direction
takes the place of the one that the zones give; it is blurred by the same noise, and the turn towards it is limited as
ever. The smallest mixed population is one such fish among a hundred by rule::

    simengine.run(GuidedSchooling, policies={"agents.steer": simengine.Policy(..., ids=[0])})

A language model reads, zone by zone, how many fish it sees on which side, and where those near it are heading: what the
rule sees, the blind cone left out, in words. No published study has such a fish; the questions are ours.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from simengine import (
    Output,
    Regimes,
    Space,
    count,
    decision,
    field,
    gather,
    observable,
    param,
    population,
    total,
    update,
    vector,
)
from simengine.arrays.directions import normalised, perpendicular, turned_towards
from simengine.policies.language.prompts import Prompt
from simengine.random.draws import sincos, sincos_turn
from simengine.scenarios.schooling import LEAST_DISTANCE, Schooling

BY_RULE = -1
AHEAD, LEFT, RIGHT, UP, DOWN = range(5)
COURSES = ("ahead", "left", "right", "up", "down")
SIDES = ("ahead", "behind", "left", "right", "above", "below")
HEADINGS = ("ahead", "backwards", "left", "right", "up", "down")

Array = NDArray[Any]


def frame(heading: Array) -> Array:
    """Return a fish's directions ahead, left and up as rows; left is level."""
    left = np.array([-heading[1], heading[0], 0.0])
    length = np.linalg.norm(left)
    left = left / length if length >= LEAST_DISTANCE else np.array([0.0, 1.0, 0.0])
    return np.stack([heading, left, np.cross(heading, left)])


def sides(vectors: Array) -> Array:
    """Return on which of six sides vectors in a fish's frame point, by their largest component."""
    axis = np.abs(vectors).argmax(axis=1)
    found: Array = 2 * axis + (np.take_along_axis(vectors, axis[:, None], axis=1)[:, 0] < 0.0)
    return found


def counted(found: Array, names: tuple[str, ...]) -> str:
    """Return how many there are of each, in words."""
    numbers = np.bincount(found, minlength=len(names)).tolist()
    return ", ".join(f"{number} {name}" for number, name in zip(numbers, names, strict=True) if number) or "nobody"


def seen(asked: Any) -> dict[str, Any]:
    """Return for each fish whom it sees in its three zones, on which side, and where those near it are heading."""
    p, school = asked.p, asked.populations["agents"]
    positions, headings = school.position, school.heading
    around = cKDTree(positions, boxsize=p.box).query_ball_point(asked.agents.position, p.radius_attraction)
    columns: dict[str, list[str]] = {"too_near": [], "near": [], "far": [], "swimming": []}
    for position, heading, listed in zip(asked.agents.position, asked.agents.heading, around, strict=True):
        offsets = positions[listed] - position
        if p.box is not None:
            offsets -= p.box * np.rint(offsets / p.box)
        distance = np.sqrt(np.square(offsets).sum(axis=1))
        within = (distance >= LEAST_DISTANCE) & (distance < p.radius_attraction)
        axes, distance, theirs = frame(heading), distance[within], headings[listed][within]
        own = offsets[within] @ axes.T
        touching = distance < p.radius_repulsion
        visible = ~touching & (own[:, 0] > p.sight_cosine * distance)
        near = visible & (distance < p.radius_orientation)
        columns["too_near"].append(counted(sides(own[touching]), SIDES))
        columns["near"].append(counted(sides(own[near]), SIDES))
        columns["far"].append(counted(sides(own[visible & ~near]), SIDES))
        swimming = f"; they swim: {counted(sides(theirs[near] @ axes.T), HEADINGS)}" if near.any() else ""
        columns["swimming"].append(swimming)
    return columns


STEER = Prompt(
    system="You are a fish that swims in a school. All fish swim at the same speed, and turn little by little. Fish "
    "nearer to you than {p.radius_repulsion:g} are too near; you see others up to {p.radius_attraction:g} away. "
    "A fish of a school keeps clear of those that are too near, and otherwise stays with the others.",
    question="Too near: {too_near}.\nUp to {p.radius_orientation:g} away: {near}{swimming}.\nFarther away: {far}.\n"
    "Where do you turn?",
    see=seen,
    remember="You chose {action}.",
)


@observable(
    outputs=(
        Output("guided", long_name="share of fish that are steered"),
        Output("guided_alignment", long_name="cosine between the headings of the steered and of all others, mean"),
        Output("guided_distance", long_name="distance of the steered from the middle of all others, mean"),
    )
)
def guidance(agents: Any, p: Any) -> dict[str, float]:
    """How the fish that are steered swim with the others; nan where all or none are, the distance also in a box."""
    steered = agents.course != BY_RULE
    found = {"guided": float(steered.mean()), "guided_alignment": np.nan, "guided_distance": np.nan}
    if steered.any() and not steered.all():
        mean = agents.heading[~steered].mean(axis=0)
        length = float(np.linalg.norm(mean))
        if length >= LEAST_DISTANCE:
            found["guided_alignment"] = float((agents.heading[steered] @ mean).mean() / length)
        if p.box is None:
            middle = agents.position[~steered].mean(axis=0)
            found["guided_distance"] = float(np.linalg.norm(agents.position[steered] - middle, axis=1).mean())
    return found


def swim(me, agents, new, p, acc, draw):  # type: ignore[no-untyped-def]
    """Take the direction of the zones or the one chosen, blur it, turn towards it as far as possible, move on."""
    vx, vy, vz = agents.heading[me, 0], agents.heading[me, 1], agents.heading[me, 2]
    avoiding = acc.too_near > 0
    wx = acc.avoid[0] if avoiding else acc.join[0]
    wy = acc.avoid[1] if avoiding else acc.join[1]
    wz = acc.avoid[2] if avoiding else acc.join[2]
    wx, wy, wz = normalised(wx, wy, wz, vx, vy, vz)
    course = agents.course[me]
    lx, ly, lz = normalised(-vy, vx, 0.0, 0.0, 1.0, 0.0)
    if course == AHEAD:
        wx, wy, wz = vx, vy, vz
    elif course == LEFT:
        wx, wy, wz = lx, ly, lz
    elif course == RIGHT:
        wx, wy, wz = -lx, -ly, -lz
    elif course == UP:
        wx, wy, wz = -vz * ly, vz * lx, vx * ly - vy * lx
    elif course == DOWN:
        wx, wy, wz = vz * ly, -vz * lx, vy * lx - vx * ly
    sine, cosine = sincos(p.noise * draw.normal("noise_angle"))
    axis_sine, axis_cosine = sincos_turn(draw.uniform("noise_axis"))
    sx, sy, sz = perpendicular(wx, wy, wz, axis_cosine, axis_sine)
    wx, wy, wz = cosine * wx + sine * sx, cosine * wy + sine * sy, cosine * wz + sine * sz
    vx, vy, vz = turned_towards(vx, vy, vz, wx, wy, wz, p.turn_cosine, p.turn_sine)
    new.heading[me, 0], new.heading[me, 1], new.heading[me, 2] = vx, vy, vz
    new.position[me, 0] += p.stride * vx
    new.position[me, 1] += p.stride * vy
    new.position[me, 2] += p.stride * vz


class GuidedSchooling(Schooling):
    """Schooling fish of which some are steered by a policy (Couzin et al. 2002 for the others)."""

    rules: Literal["couzin"] = param("couzin", description="rule set")
    regimes = Regimes(
        by=("rules", "regime"),
        table={chosen: values for chosen, values in Schooling.regimes.table.items() if chosen[0] == "couzin"},
    )

    agents = population(
        size="n_agents",
        position=vector(3, unit="1", long_name="position"),
        heading=vector(3, unit="1", long_name="heading (unit vector)", unit_length=True),
        course=field(
            int, default=BY_RULE, low=BY_RULE, high=len(COURSES) - 1, long_name="direction chosen; -1: zones'"
        ),
    )
    near = Space(agents.position, reach="radius_attraction", box="box")

    @decision(agents.course, options=COURSES)
    def steer(me):
        """Follow the zones."""
        return BY_RULE

    look = gather(near, avoid=total(3), join=total(3), too_near=count())(Schooling.perceive.function)
    move = update(agents, after=look)(swim)
    # Phases run in the order in which they are first declared: those of the parent class make way for `steer`. What is
    # drawn is keyed by the name of the function, which is still `swim`.
    perceive = swim = perceive_ahead = swim_blurred = None

    prompts = {"steer": STEER}
    observe = [*Schooling.observe, guidance]
