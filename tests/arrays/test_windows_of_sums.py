from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine.arrays.windows import bounds_in_order, bounds_of, prefix_sums, sort_by_value, sum_between

moderate = st.floats(-1e6, 1e6).map(lambda v: v if v == 0 or abs(v) > 1e-12 else 0.0)
scales = st.sampled_from([1e-300, 1e-30, 1.0, 1e30, 1e295])


@given(st.lists(moderate, min_size=1, max_size=60), scales, st.data())
@settings(max_examples=400, deadline=None)
def test_a_sum_between_two_places_is_that_of_fsum(parts: list[float], scale: float, data: st.DataObject) -> None:
    scaled = np.array(parts) * scale
    low = data.draw(st.integers(0, len(parts)))
    high = data.draw(st.integers(low, len(parts)))
    without = data.draw(st.integers(low, high - 1)) if high > low and data.draw(st.booleans()) else -1
    kept = [value for place, value in enumerate(scaled) if low <= place < high and place != without]
    sums, unit = prefix_sums(scaled)
    assert sum_between(sums, unit, low, high, without) == math.fsum(kept)


def test_the_largest_numbers_do_not_overflow_on_the_way() -> None:
    parts = np.array([1e308, -1e308, 3.0, 1e308])
    sums, unit = prefix_sums(parts)
    assert sum_between(sums, unit, 0, 2, -1) == 0.0
    assert sum_between(sums, unit, 0, 4, 2) == 1e308


def test_many_numbers_lose_nothing() -> None:
    parts = np.random.default_rng(1).normal(size=300_000)
    sums, unit = prefix_sums(parts)
    for low, high in ((0, 300_000), (17, 299_000), (150_000, 150_001)):
        assert sum_between(sums, unit, low, high, -1) == math.fsum(parts[low:high])


@given(
    st.lists(st.tuples(st.floats(1, 2), st.integers(-74, -1), st.sampled_from([-1, 1])), min_size=1, max_size=5),
    st.data(),
)
@settings(max_examples=1500, deadline=None)
def test_a_sum_far_below_the_largest_part_is_rounded_once_too(
    small: list[tuple[float, int, int]], data: st.DataObject
) -> None:
    parts = np.array([1.5, *(sign * math.ldexp(part, exponent) for part, exponent, sign in small)])
    low = data.draw(st.integers(1, len(small)))
    sums, unit = prefix_sums(parts)
    assert sum_between(sums, unit, low, len(parts), -1) == math.fsum(parts[low:])


def test_a_number_of_few_leading_bits_is_rounded_from_all_of_them() -> None:
    sums, unit = prefix_sums(np.array([1.5, -3.5386595175643956e-18]))
    assert sum_between(sums, unit, 1, 2, -1) == -3.5386595175643956e-18


def test_something_infinite_spoils_the_sums_that_hold_it_and_no_others() -> None:
    sums, unit = prefix_sums(np.array([1.0, math.inf, 2.0, math.nan, 4.0]))
    assert math.isnan(sum_between(sums, unit, 0, 2, -1))
    assert math.isnan(sum_between(sums, unit, 1, 4, 1))
    assert sum_between(sums, unit, 0, 3, 1) == 3.0
    assert sum_between(sums, unit, 4, 5, -1) == 4.0


def sorted_slots(values: np.ndarray, ids: np.ndarray, guess: np.ndarray | None = None) -> tuple[np.ndarray, int]:
    sequence = np.zeros(len(values), np.int64) if guess is None else guess.copy()
    numbers = sort_by_value(values, np.argsort(ids), ids, len(values), guess is not None, sequence)
    return sequence, numbers


@given(st.lists(st.sampled_from([0.0, -0.0, 1.0, 2.0, 3.5, math.nan]), min_size=1, max_size=30), st.randoms())
@settings(max_examples=200, deadline=None)
def test_the_order_is_by_value_and_id_whatever_the_guess(given_values: list[float], luck: object) -> None:
    values = np.array(given_values)
    ids = np.arange(len(values))
    luck.shuffle(ids)  # type: ignore[attr-defined]
    guess = np.arange(len(values))
    luck.shuffle(guess)  # type: ignore[attr-defined]
    expected = np.lexsort((ids, np.where(np.isnan(values), np.inf, values)))
    for found, numbers in (sorted_slots(values, ids), sorted_slots(values, ids, guess)):
        assert found.tolist() == expected.tolist()
        assert numbers == int((~np.isnan(values)).sum())


def test_nobody_is_near_an_infinite_value_whoever_asks() -> None:
    values = np.array([-math.inf, -math.inf, 0.0, math.inf, math.inf])
    sequence, numbers = sorted_slots(values, np.arange(5))
    low, high = np.zeros(5, np.int64), np.zeros(5, np.int64)
    bounds_in_order(values, sequence, numbers, 0.5, low, high)
    assert (high - low).tolist() == [0, 0, 1, 0, 0]
    assert bounds_of(math.inf, values, sequence, numbers, 0.5) == (0, 0)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=40), st.sampled_from([0.0, 0.1, 0.5, 3.0]))
@settings(max_examples=200, deadline=None)
def test_windows_hold_those_whose_difference_is_at_most_the_reach(given_values: list[float], reach: float) -> None:
    values = np.array([*given_values, math.nan])
    sequence, numbers = sorted_slots(values, np.arange(len(values)))
    low, high = np.zeros(len(values), np.int64), np.zeros(len(values), np.int64)
    bounds_in_order(values, sequence, numbers, reach, low, high)
    for place in range(numbers):
        near = np.flatnonzero(np.abs(values[sequence] - values[sequence[place]]) <= reach)
        assert near.tolist() == list(range(low[place], high[place]))
        assert bounds_of(values[sequence[place]], values, sequence, numbers, reach) == (low[place], high[place])
    assert bounds_of(math.nan, values, sequence, numbers, reach) == (0, 0)
    assert bounds_of(0.0, values, sequence, numbers, -1.0) == (0, 0)
