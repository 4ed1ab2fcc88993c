"""Agents that act one after another must see exactly those within reach, wherever the others have gone meanwhile."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import simengine
from simengine import Scenario, Space, count, gather, param, population, total, update, vector


def image(offset: np.ndarray, period: float) -> np.ndarray:
    return offset - period * np.round(offset / period) if period else offset


def walk_and_count(dimensions: int, box: Any, boundary: str) -> type[Scenario]:
    """A scenario whose agents jump towards a fixed aim, and write down whom they saw when they left."""

    class Walkers(Scenario):
        """Walkers that count their neighbours."""

        n_agents: int = param(100, low=1)
        stride: float = param(0.1, low=0)
        reach: float = param(1.0, above=0)

        agents = population(
            "n_agents", position=vector(dimensions), aim=vector(dimensions), label=vector(1), seen=vector(2)
        )
        near = Space(agents.position, reach="reach", box=box, boundary=boundary)

        @gather(near, number=count(), labels=total())
        def look(me, other, agents, acc):
            acc.number += 1
            acc.labels += agents.label[other, 0]

        @update(agents, after=look, order="sequential")
        def walk(me, agents, new, p, acc):
            new.seen[me, 0] = acc.number
            new.seen[me, 1] = acc.labels
            for axis in range(dimensions):
                new.position[me, axis] += p.stride * agents.aim[me, axis]

    return Walkers


def by_brute_force(position, aim, label, stride, reach, box, boundary):
    position = position.copy()
    period = box if boundary == "periodic" and box else 0.0
    seen = np.zeros((len(position), 2))
    for me in range(len(position)):
        distance = np.sqrt((image(position - position[me], period) ** 2).sum(axis=1))
        within = distance <= reach
        within[me] = False
        seen[me] = within.sum(), label[within, 0].sum()
        position[me] += stride * aim[me]
        if box and boundary == "periodic":
            position[me] = np.mod(position[me], box)
        elif box:
            folded = np.mod(position[me], 2 * box)
            position[me] = np.where(folded > box, 2 * box - folded, folded)
    return position, seen


# Each is compiled anew. The slow ones step against the reference in test_acting_in_turn.py too, in the same spaces.
@pytest.mark.parametrize(
    ("boundary", "dimensions"),
    [
        ("periodic", 3),
        ("reflecting", 3),
        ("open", 2),
        *(pytest.param(*space, marks=pytest.mark.slow) for space in (("periodic", 2), ("reflecting", 2), ("open", 3))),
    ],
)
def test_everybody_in_reach_is_seen_whether_others_crept_or_leapt(dimensions, boundary):
    box = None if boundary == "open" else 10.0
    scenario = walk_and_count(dimensions, box, boundary)
    generator = np.random.default_rng(7)
    for agents in (3, 64, 65, 400):
        for stride in (0.0, 0.05, 0.3, 3.0):
            position = generator.uniform(0.0, 10.0, (agents, dimensions))
            aim = generator.normal(size=(agents, dimensions))
            label = generator.integers(0, 1000, (agents, 1)).astype(float)
            run = simengine.run(
                scenario, n_agents=agents, stride=stride, reach=1.3, steps=2, every=1, snapshot_every=1, progress=False,
                start={"position": position, "aim": aim, "label": label, "seen": np.zeros((agents, 2))},
            )  # fmt: skip
            for step in range(2):
                position, seen = by_brute_force(position, aim, label, stride, 1.3, box, boundary)
                assert np.array_equal(run.seen.values[step + 1], seen)
                assert np.abs(image(run.position.values[step + 1] - position, box or 0.0)).max() < 1e-9


def test_more_strays_than_there_is_room_for_sort_the_table_again():
    scenario = walk_and_count(2, 40.0, "periodic")
    generator = np.random.default_rng(8)
    agents = 3000
    position, aim = generator.uniform(0, 40, (agents, 2)), generator.normal(size=(agents, 2))
    label = generator.integers(0, 1000, (agents, 1)).astype(float)
    run = simengine.run(
        scenario, n_agents=agents, stride=5.0, reach=1.0, steps=1, snapshot_every=1, progress=False,
        start={"position": position, "aim": aim, "label": label, "seen": np.zeros((agents, 2))},
    )  # fmt: skip
    _, seen = by_brute_force(position, aim, label, 5.0, 1.0, 40.0, "periodic")
    assert np.array_equal(run.seen.values[1], seen)
