"""Who is seen in a space: the sets found by cells and by pairs equal those of brute force."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine import Scenario, Space, count, field, gather, param, population, running, total, update, vector
from simengine.relations.space import PAIRS_UP_TO
from simengine.runs.engine import Engine
from simengine.runs.start import Start

Boundary = Literal["periodic", "reflecting", "open"]


def crowd(dimensions: int, boundary: Boundary, dynamic: bool = False) -> type[Scenario]:
    class Crowd(Scenario):
        n_agents: int = param(10, low=0)
        box: float = param(4.0, above=0)
        reach: float = param(1.0, above=0)

        agents = population(
            size="n_agents",
            capacity=PAIRS_UP_TO + 100 if dynamic else None,
            place=vector(dimensions),
            mark=field(),
            label=field(int),
            found=field(),
            seen=field(int),
            labels=field(int),
            nearest=field(),
            pull=vector(dimensions),
        )
        near = Space(agents.place, reach="reach", box="box", boundary=boundary)

        @gather(near, marks=total(), others=count(), pull=total(dimensions))
        def on_lanes(me, other, offset, agents, acc):
            acc.marks += agents.mark[other]
            acc.others += 1
            for axis in range(dimensions):
                acc.pull[axis] += offset[axis]

        @gather(near, labels=total(dtype=int), nearest=running(1e9))
        def one_by_one(me, other, distance, agents, acc):
            acc.labels += agents.label[other]
            acc.nearest = min(acc.nearest, distance)

        @update(agents, after=(on_lanes, one_by_one))
        def note(me, new, acc):
            new.found[me] = acc.marks
            new.seen[me] = acc.others
            new.labels[me] = acc.labels
            new.nearest[me] = acc.nearest
            for axis in range(dimensions):
                new.pull[me, axis] = acc.pull[axis]

    return Crowd


CROWDS = {
    "2-D periodic": crowd(2, "periodic"),
    "3-D periodic": crowd(3, "periodic"),
    "2-D reflecting": crowd(2, "reflecting"),
    "3-D open": crowd(3, "open"),
    "2-D open": crowd(2, "open"),
    "2-D periodic, dynamic": crowd(2, "periodic", dynamic=True),
    "3-D open, dynamic": crowd(3, "open", dynamic=True),
}


def places(kind: str, n: int, dimensions: int, box: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if kind == "uniform":
        return rng.uniform(0.0, box, (n, dimensions))
    if kind == "on borders":
        return rng.integers(0, 33, (n, dimensions)) % 32 * (box / 32)
    if kind == "one cell":
        return 0.3 * box + rng.uniform(0.0, 0.01 * box, (n, dimensions))
    if kind == "one place":
        return np.full((n, dimensions), 0.25 * box)
    assert kind == "clustered"
    centres = rng.uniform(0.0, box, (4, dimensions))
    return np.mod(centres[rng.integers(0, 4, n)] + rng.normal(0.0, 0.02 * box, (n, dimensions)), box)


KINDS = ["uniform", "on borders", "one cell", "one place", "clustered"]


def brute_force(place: np.ndarray, reach: float, period: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    offset = place[np.newaxis] - place[:, np.newaxis]
    if period:
        offset = np.where(offset > period / 2, offset - period, offset)
        offset = np.where(offset < -period / 2, offset + period, offset)
    square = offset[..., 0] * offset[..., 0]
    for axis in range(1, place.shape[1]):
        square = square + offset[..., axis] * offset[..., axis]
    near = (square <= reach * reach) & ~np.eye(len(place), dtype=bool)
    return near, offset, np.sqrt(square)


def check(name: str, place: np.ndarray, reach: float, box: float, seed: int, threads: int = 1) -> None:
    rng = np.random.default_rng(seed + 1)
    n = len(place)
    mark = rng.integers(1, 2**40, n)
    scenario = CROWDS[name]({"n_agents": n, "box": box, "reach": reach})
    arrays = {"place": place, "mark": mark.astype(float), "label": mark}
    engine = Engine(scenario, 0, threads, Start({"agents": arrays}))
    engine.advance(1)
    state = engine.state["agents"]
    near, offset, distance = brute_force(place, reach, box if "periodic" in name else 0.0)
    np.testing.assert_array_equal(state.values("seen"), near.sum(axis=1))
    np.testing.assert_array_equal(state.values("labels"), near @ mark)
    np.testing.assert_array_equal(state.values("found"), (near @ mark).astype(float))
    pull = np.einsum("ij,ijk->ik", near, offset)
    scale = max(1.0, float(np.abs(place).max(initial=0.0)))
    np.testing.assert_allclose(state.values("pull"), pull, rtol=0, atol=1e-12 * scale * max(n, 1))
    nearest = np.where(near, distance, 1e9).min(axis=1, initial=1e9)
    np.testing.assert_allclose(state.values("nearest"), nearest, rtol=0, atol=1e-13 * scale)


@pytest.mark.parametrize("name", CROWDS)
def test_few_agents_see_those_within_reach_and_nobody_else(name: str) -> None:
    @given(
        n=st.sampled_from([0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 40]),
        kind=st.sampled_from(KINDS),
        seed=st.integers(0, 1000),
        reach=st.sampled_from([0.125, 0.5, 1.0, 1.4, 2.0, 3.9, 8.0]),
    )
    @settings(max_examples=40)
    def agrees(n: int, kind: str, seed: int, reach: float) -> None:
        check(name, places(kind, n, 3 if "3-D" in name else 2, 4.0, seed), reach, 4.0, seed)

    agrees()


@pytest.mark.parametrize("name", CROWDS)
@pytest.mark.parametrize("kind", KINDS)
def test_many_agents_see_those_within_reach_and_nobody_else(name: str, kind: str) -> None:
    for n, reach in (
        (PAIRS_UP_TO, 0.5),
        (PAIRS_UP_TO + 1, 0.5),
        (PAIRS_UP_TO + 88, 0.125),
        (PAIRS_UP_TO + 9, 1.0),
        (PAIRS_UP_TO + 1, 4 / 3),
        (PAIRS_UP_TO + 2, 1.4),
        (PAIRS_UP_TO + 3, 5.0),
    ):
        check(name, places(kind, n, 3 if "3-D" in name else 2, 4.0, n), reach, 4.0, n)


@pytest.mark.parametrize("name", ["2-D open", "3-D open", "3-D open, dynamic"])
def test_open_space_has_no_centre_and_no_end(name: str) -> None:
    dimensions = 3 if "3-D" in name else 2
    place = places("clustered", PAIRS_UP_TO + 50, dimensions, 4.0, 5) - 1000.0
    place[::7] += 1e7
    place[3] = -1e12
    check(name, place, 0.5, 4.0, 5)
