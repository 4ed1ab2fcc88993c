"""Grids: every way to look sees what comparing all pairs of places sees, in the stated order."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sharding import assert_any_shards_agree

import simengine
from simengine import (
    Grid,
    InputError,
    Network,
    Random,
    Scenario,
    ScenarioError,
    count,
    field,
    gather,
    graphs,
    param,
    population,
    reference,
    running,
    testing,
    total,
    update,
    vector,
)


class Plain(Scenario):
    """Places look at one another, walkers at the places around theirs."""

    n_sites: int = param(12, low=0)
    width: int = param(4)
    n_walkers: int = param(5, low=0)
    reach: float = param(2.0)
    boundary: str = param("open")

    sites = population(
        size="n_sites", value=field(int), sum=field(int), first=field(), last=field(int), rows=field(), columns=field(),
        way=field(), one=field(int),
    )  # fmt: skip
    walkers = population(size="n_walkers", site=reference(to=sites), sum=field(int), seen=field(int), nearest=field())

    around = Grid(sites, rows=lambda p: p.n_sites // p.width, columns="width", reach="reach", boundary="boundary")
    view = Grid(walkers.site, rows=lambda p: p.n_sites // p.width, columns="width", reach="reach", boundary="boundary")
    one_around = Random(sites, k=1, within=around)

    def start(self, sites: Any, walkers: Any, draw: Any) -> None:
        sites.value[:] = draw.of(sites).integer("value", 0, 1_000_000)
        walkers.site[:] = draw.of(walkers).integer("site", -1, self.n_sites)

    @gather(around, sum=total(dtype=int), first=running(-1.0), last=running(-1), rows=total(), columns=total(),
            way=total())  # fmt: skip
    def look(me, other, offset, distance, sites, acc):
        acc.sum += sites.value[other]
        if acc.first < 0.0:
            acc.first = distance
        acc.last = sites.value[other]
        acc.rows += offset[0] * sites.value[other]
        acc.columns += offset[1] * sites.value[other]
        acc.way += distance

    @gather(one_around, one=running(-1))
    def meet(me, other, sites, acc):
        acc.one = sites.value[other]

    @gather(view, seen=count(), value=total(dtype=int), nearest=running(math.inf))
    def watch(me, other, distance, sites, acc):
        acc.seen += 1
        acc.value += sites.value[other]
        acc.nearest = min(acc.nearest, distance)

    @update(sites, after=(look, meet))
    def keep(me, sites, new, acc):
        new.sum[me] = acc.sum
        new.first[me] = acc.first
        new.last[me] = acc.last
        new.rows[me] = acc.rows
        new.columns[me] = acc.columns
        new.way[me] = acc.way
        new.one[me] = acc.one

    @update(walkers, after=watch)
    def note(me, walkers, new, acc):
        new.sum[me] = acc.value
        new.seen[me] = acc.seen
        new.nearest[me] = acc.nearest


def neighbours(place: int, rows: int, columns: int, reach: float, periodic: bool) -> list[tuple[int, int, int]]:
    """All other places within reach by offset: (row offset, column offset, id), from every pair of places."""
    row, column = divmod(place, columns)
    found = []
    for other in range(rows * columns):
        offset_row, offset_column = other // columns - row, other % columns - column
        if periodic:
            # The nearest image, of two equally near the one at the larger offset.
            offset_row = min((offset_row + shift for shift in (rows, 0, -rows)), key=abs)
            offset_column = min((offset_column + shift for shift in (columns, 0, -columns)), key=abs)
        if other != place and math.hypot(offset_row, offset_column) <= reach + 1e-12:
            found.append((offset_row, offset_column, other))
    return sorted(found)


def after_one_step(**parameters: Any) -> simengine.Simulation:
    simulation = simengine.Simulation(Plain, seed=4, threads=1, progress=False, **parameters)
    simulation.step()
    return simulation


reaches = st.one_of(st.floats(0, 12), st.sampled_from([1.0, math.sqrt(2), 2.0, math.sqrt(5), math.sqrt(13), 3.0, 1e30]))


@given(st.integers(1, 7), st.integers(1, 7), reaches, st.booleans())
@example(1, 1, 2.0, True)
@example(1, 7, 2.0, False)
@example(7, 1, 2.0, True)
@example(2, 2, 5.0, True)
@example(6, 4, math.sqrt(13), False)
@settings(max_examples=60, deadline=None)
def test_every_place_sees_the_others_within_reach_once(rows: int, columns: int, reach: float, periodic: bool) -> None:
    simulation = after_one_step(
        n_sites=rows * columns, width=columns, reach=reach, boundary="periodic" if periodic else "open"
    )
    sites = {name: simulation.sites[name].values for name in simulation.sites.data_vars}
    walkers = {name: simulation.walkers[name].values for name in simulation.walkers.data_vars}
    value = sites["value"]
    for place in range(rows * columns):
        seen = neighbours(place, rows, columns, reach, periodic)
        ids = np.array([other for _, _, other in seen], int)
        assert sites["sum"][place] == value[ids].sum()
        assert sites["last"][place] == (value[ids[-1]] if len(ids) else -1)
        assert sites["first"][place] == (pytest.approx(math.hypot(*seen[0][:2])) if seen else -1.0)
        assert sites["rows"][place] == sum(row * value[other] for row, _, other in seen)
        assert sites["columns"][place] == sum(column * value[other] for _, column, other in seen)
        assert sites["way"][place] == pytest.approx(sum(math.hypot(row, column) for row, column, _ in seen))
        assert sites["one"][place] in (value[ids] if len(ids) else [-1])
    for walker, where in enumerate(walkers["site"].tolist()):
        around = neighbours(where, rows, columns, reach, periodic)
        ids = np.array([] if where < 0 else [where, *(other for _, _, other in around)], int)
        assert walkers["sum"][walker] == value[ids].sum()
        assert walkers["seen"][walker] == len(ids)
        assert walkers["nearest"][walker] == (math.inf if where < 0 else 0.0)


def test_reaches_of_one_root_two_and_two_give_4_8_and_12_neighbours() -> None:
    for boundary in ("open", "periodic"):
        for reach, number in ((0.0, 0), (1.0, 4), (math.sqrt(2), 8), (2.0, 12)):
            simulation = simengine.Simulation(
                Plain, n_sites=99, width=9, reach=reach, boundary=boundary, start={"value": np.ones(99, int)},
                threads=1, progress=False,
            )  # fmt: skip
            simulation.step()
            sums = simulation.sites["sum"].values.reshape(11, 9)
            assert (sums[2:-2, 2:-2] == number).all()
            assert (sums.min() == number) == (boundary == "periodic" or reach == 0)


class Paths(Scenario):
    """Places of a grid that are joined by a network as well, so that shards store them in another order."""

    n_sites: int = param(60, low=4)
    n_walkers: int = param(9, low=0)
    sites = population(size="n_sites", value=field(), heard=field())
    walkers = population(size="n_walkers", site=reference(to=sites), sum=field())
    paths = Network(sites, graph="make_paths")
    around = Grid(sites, rows=6, columns=lambda p: p.n_sites // 6, reach=2.0, boundary="periodic")
    view = Grid(walkers.site, rows=6, columns=lambda p: p.n_sites // 6, reach=3.0)

    def start(self, sites: Any, walkers: Any, draw: Any) -> None:
        sites.value[:] = draw.of(sites).uniform("value")
        walkers.site[:] = draw.of(walkers).integer("site", 0, self.n_sites)

    def make_paths(self, sites: Any, draw: Any) -> Any:
        return graphs.make("random", self.n_sites, draw.of(sites).seed_for("paths"), mean_degree=3.0)

    @gather(paths, along=total())
    def walk_along(me, other, sites, acc):
        acc.along += sites.value[other]

    @gather(around, pull=total(), n=count())
    def listen(me, other, sites, acc):
        acc.pull += sites.value[other]
        acc.n += 1

    @gather(view, sum=running(0.0), target=running(-1))
    def look(me, other, sites, acc):
        acc.sum = 0.5 * acc.sum + sites.value[other]
        if acc.target < 0 or sites.value[other] > sites.value[acc.target]:
            acc.target = other

    @update(walkers, after=look)
    def go(me, new, acc):
        new.sum[me] = acc.sum
        new.site[me] = acc.target

    @update(sites, after=(listen, walk_along))
    def move(me, sites, new, acc, draw):
        new.value[me] = 0.5 * sites.value[me] + 0.5 * acc.pull / acc.n + 1e-3 * acc.along + draw.uniform("noise")


@pytest.mark.slow
def test_neither_shards_nor_the_order_of_storage_show_on_a_grid() -> None:
    assert_any_shards_agree(Paths, steps=5, shards=(3,))


@pytest.mark.slow
def test_a_run_on_a_grid_keeps_all_promises() -> None:
    testing.check(Paths, steps=6, keeping=["sites"])
    testing.check(Plain, n_sites=60, width=6, n_walkers=7, steps=2, keeping=["sites"])


class InTurn(Scenario):
    """Places of a torus take over the mean around them, one after another."""

    sites = population(size=35, value=field())
    around = Grid(sites, rows=5, columns=7, reach=2.0, boundary="periodic")

    def start(self, sites: Any, draw: Any) -> None:
        sites.value[:] = draw.uniform("value")

    @gather(around, sum=total(), n=count())
    def listen(me, other, sites, acc):
        acc.sum += sites.value[other]
        acc.n += 1

    @update(sites, after=listen, order="sequential")
    def move(me, new, acc):
        new.value[me] = acc.sum / acc.n


def test_places_that_act_in_turn_see_what_earlier_ones_wrote() -> None:
    simulation = simengine.Simulation(InTurn, seed=2, progress=False)
    value = simulation.sites.value.values.copy()
    simulation.step()
    for place in range(35):
        value[place] = value[[other for _, _, other in neighbours(place, 5, 7, 2.0, True)]].mean()
    np.testing.assert_allclose(simulation.sites.value, value, rtol=1e-12)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_sites": 11}, r"Plain.around: 2 rows of 4 make a grid of 8 places, but there are 11 sites"),
        ({"n_sites": 0}, r"Plain.around: a grid has a whole number of rows, at least 1; got 0"),
        ({"width": -4}, r"Plain.around: a grid has a whole number of rows, at least 1; got -3"),
        ({"reach": -1.0}, r"Plain.around: the reach must be a finite number from 0, got -1.0"),
        ({"boundary": "periodical"}, r"boundary is one of open, periodic, not 'periodical'; did you mean 'periodic'"),
    ],
)
def test_grids_that_do_not_fit_are_refused_with_one_line(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        simengine.run(Plain, steps=1, progress=False, **parameters)
    assert "\n" not in str(error.value)


def test_a_grid_takes_places_of_fixed_number_and_a_known_boundary() -> None:
    mortal = population(size=4, capacity=8)
    crowd = population(size=4, at=vector(2))
    with pytest.raises(ScenarioError, match=r"Grid\(\): its places are born and die"):
        Grid(mortal, rows=2, columns=2)
    for wrong in (crowd.at, "sites"):
        with pytest.raises(ScenarioError, match=r"Grid\(\) takes a population of places"):
            Grid(wrong, rows=2, columns=2)  # type: ignore[arg-type]
    with pytest.raises(ScenarioError, match=r"Typo.near: boundary is one of open, periodic, or names a parameter"):

        class Typo(Scenario):
            sites = population(size=4)
            near = Grid(sites, rows=2, columns=2, boundary="perodic")
