from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simengine.arrays import inbox

messages = st.lists(st.tuples(st.integers(-1, 3), st.floats(-1e300, 1e300), st.integers(-(2**40), 2**40)), max_size=30)


@given(messages, st.randoms(use_true_random=False))
def test_each_rule_combines_whatever_the_order_of_the_senders(
    sent: list[tuple[int, float, int]], random: object
) -> None:
    order = list(range(len(sent)))
    random.shuffle(order)  # type: ignore[attr-defined]
    for listed in (list(range(len(sent))), order):
        to = np.array([sent[i][0] for i in listed], np.int64)
        value = np.array([sent[i][1] for i in listed])
        whole = np.array([sent[i][2] for i in listed], np.int64)
        ids = np.array(listed, np.int64) * 3
        totals, counts, low, high = np.zeros(4), np.zeros(4, np.int64), np.full(4, np.inf), np.full(4, -np.inf)
        integers, first, drawn = np.zeros(4, np.int64), np.full(4, -1, np.int64), np.full(4, -1, np.int64)
        inbox.combine_total_floats((to[::2].copy(), to[1::2].copy()), (value[::2].copy(), value[1::2].copy()), totals)
        middle = np.full(4, np.nan)
        inbox.combine_median((to[::2].copy(), to[1::2].copy()), (value[::2].copy(), value[1::2].copy()), middle)
        inbox.combine_total_integers(to, whole, integers)
        inbox.combine_count(to, counts)
        inbox.combine_minimum(to, value, low)
        inbox.combine_maximum(to, value, high)
        inbox.combine_lowest_id(to, ids, first)
        inbox.combine_drawn(to, ids, np.uint64(7), np.arange(4), drawn)
        for receiver in range(4):
            mine = [message for message in sent if message[0] == receiver]
            senders = [i * 3 for i, message in enumerate(sent) if message[0] == receiver]
            assert totals[receiver] == math.fsum(m[1] for m in mine)
            assert middle[receiver] == np.median([m[1] for m in mine]) if mine else math.isnan(middle[receiver])
            assert integers[receiver] == sum(m[2] for m in mine)
            assert counts[receiver] == len(mine)
            assert low[receiver] == min((m[1] for m in mine), default=math.inf)
            assert high[receiver] == max((m[1] for m in mine), default=-math.inf)
            assert first[receiver] == min(senders, default=-1)
            assert drawn[receiver] in (senders or [-1])
        if listed is not order:
            before = drawn.copy()
    np.testing.assert_array_equal(before, drawn)


@given(st.lists(st.integers(-20, 20) | st.floats(-1e9, 1e9), min_size=1, max_size=300))
def test_the_median_of_few_and_of_many_values_is_numpys(values: list[float]) -> None:
    assert inbox.median_in_place(np.array(values, float)) == np.median(values)


def test_the_median_of_values_with_one_that_is_not_a_number_is_none() -> None:
    for size in (3, 100):
        values = np.arange(float(size))
        values[1] = math.nan
        assert math.isnan(inbox.median_in_place(values))


def test_the_median_of_many_sorted_reversed_and_equal_values_is_found() -> None:
    for values in (np.arange(10_001.0), np.arange(10_000.0)[::-1], np.zeros(5_000), np.arange(9_999) % 3.0):
        assert inbox.median_in_place(values.copy()) == np.median(values)
