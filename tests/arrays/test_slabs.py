"""Who is in which slab of space, and who within reach of which, against comparing everybody with everything."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from simengine.arrays.slabs import outside, owners, reached_slabs

SIDE = 8.0
# Eighths meet the borders and the reach exactly, which is where a comparison may be wrong.
places = st.integers(0, 63).map(lambda eighths: eighths / 8)
coordinates = st.lists(places, max_size=30).map(lambda values: np.array(values, float))
cuts = st.lists(places, max_size=6).map(lambda values: np.array([-np.inf, *sorted(values), np.inf]))
reaches = st.integers(0, 40).map(lambda eighths: eighths / 8)


def slab_by_search(x: float, borders: NDArray[np.float64]) -> int:
    return next(s for s in range(len(borders) - 1) if borders[s] <= x < borders[s + 1])


def distance(x: float, low: float, high: float) -> float:
    return max(low - x, x - high, 0.0)


def reached_by_search(
    x: NDArray[np.float64], borders: NDArray[np.float64], own: int, reach: float, period: float
) -> list[list[int]]:
    found: list[list[int]] = []
    last = len(borders) - 2
    for slab in range(len(borders) - 1):
        low = 0.0 if period and slab == 0 else borders[slab]
        high = period if period and slab == last else borders[slab + 1]
        images = (0.0, -period, period) if period else (0.0,)
        found.append(
            [
                i
                for i in range(len(x))
                if slab != own and reach > 0 and min(distance(x[i] + image, low, high) for image in images) <= reach
            ]
        )
    return found


@given(x=coordinates, borders=cuts)
def test_everybody_is_in_the_slab_that_begins_at_or_before_and_ends_after(
    x: NDArray[np.float64], borders: NDArray[np.float64]
) -> None:
    assert owners(x, borders).tolist() == [slab_by_search(value, borders) for value in x]


@given(x=coordinates, low=places, width=places)
def test_those_outside_an_interval_are_listed_by_place(x: NDArray[np.float64], low: float, width: float) -> None:
    wanted = [i for i, value in enumerate(x) if not low <= value < low + width]
    assert outside(x, low, low + width).tolist() == wanted


@given(x=coordinates, borders=cuts, reach=reaches, periodic=st.booleans(), data=st.data())
def test_a_slab_is_reached_by_those_within_reach_of_it_or_of_its_image(
    x: NDArray[np.float64], borders: NDArray[np.float64], reach: float, periodic: bool, data: st.DataObject
) -> None:
    period = SIDE if periodic else 0.0
    reach = min(reach, SIDE / 2) if periodic else reach
    own = data.draw(st.integers(0, len(borders) - 2))
    mine = x[owners(x, borders) == own]
    slots, starts = reached_slabs(mine, borders, own, reach, period)
    assert starts[0] == 0
    assert len(slots) == starts[-1]
    found = [slots[starts[s] : starts[s + 1]].tolist() for s in range(len(borders) - 1)]
    assert found == reached_by_search(mine, borders, own, reach, period)


@given(x=coordinates, borders=cuts, reach=st.integers(1, 32).map(lambda eighths: eighths / 8))
def test_whoever_sees_another_of_a_periodic_axis_has_it_or_a_copy(
    x: NDArray[np.float64], borders: NDArray[np.float64], reach: float
) -> None:
    owner = owners(x, borders)
    held = {slab: set(np.flatnonzero(owner == slab)) for slab in range(len(borders) - 1)}
    for own in list(held):
        mine = np.flatnonzero(owner == own)
        slots, starts = reached_slabs(x[mine], borders, own, reach, SIDE)
        for slab in held:
            held[slab] |= set(mine[slots[starts[slab] : starts[slab + 1]]])
    for me in range(len(x)):
        apart = np.abs(x - x[me])
        near = np.flatnonzero(np.minimum(apart, SIDE - apart) <= reach)
        assert set(near) <= held[owner[me]]
