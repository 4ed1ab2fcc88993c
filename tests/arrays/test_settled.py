from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simengine.arrays.settled import all_equal, same_agents, stays_within

values = st.lists(st.floats(-10, 10) | st.just(float("nan")), max_size=10)


@given(values, st.integers(0, 10), st.floats(0, 1))
def test_only_the_living_must_stay_within(before: list[float], living: int, within: float) -> None:
    old = np.array([*before, 0.0])
    living = min(living, len(before))
    order = np.arange(len(old))[::-1].copy()
    now = old.copy()
    assert stays_within(old, now, order, living, within) == (not np.isnan(old[order[:living]]).any())
    now[order[living:]] += 5.0
    assert stays_within(old, now, order, living, within) == (not np.isnan(old[order[:living]]).any())
    if living and not np.isnan(old[order[:living]]).any():
        now[order[living - 1]] += 1.5
        assert not stays_within(old, now, order, living, within)


def test_truth_values_and_integers_can_stay_as_they_are() -> None:
    order = np.arange(3)
    for dtype in (np.int64, np.bool_):
        old = np.array([0, 1, 1], dtype)
        assert stays_within(old, old.copy(), order, 3, 0.0)
        assert not stays_within(old, ~old if dtype is np.bool_ else old + 1, order, 3, 0.0)


@given(st.lists(st.integers(0, 1), max_size=6))
def test_all_are_equal_when_one_value_is_held(held: list[int]) -> None:
    found = np.array([*held, 7], np.int64)
    assert all_equal(found, np.arange(len(found)), len(held)) == (len(set(held)) <= 1)


def test_an_agent_in_another_ones_slot_is_another_agent() -> None:
    ids = np.array([4, 9, -1])
    assert same_agents(ids, ids.copy(), np.arange(3), 3)
    assert not same_agents(ids, np.array([4, 8, -1]), np.arange(3), 2)
    assert same_agents(ids, np.array([4, 8, -1]), np.arange(3), 1)
