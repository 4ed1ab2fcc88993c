"""Compiled counting of pasts agrees with plain counting."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine.diagnostics.streaming.kernels import remembered, transitions


@settings(max_examples=50, deadline=None)
@given(
    series=st.lists(st.lists(st.integers(-1, 2), min_size=5, max_size=5), min_size=2, max_size=8),
    history=st.integers(1, 3),
)
def test_a_past_is_known_when_an_agent_was_there_all_the_time(series: list[list[int]], history: int) -> None:
    states = 3
    past = np.zeros(5, np.int64)
    for record, row in enumerate(series):
        code, following = remembered(past, np.array(row, np.int64), states, history)
        for agent in range(5):
            before = [series[record - back][agent] for back in range(1, history + 1) if record - back >= 0]
            known = len(before) == history and min(before) >= 0
            assert code[agent] == (sum(one * states**place for place, one in enumerate(before)) if known else -1)
        # Agents of state -1 are those who are not there: their past is a digit 0.
        past = following
    now = np.array([0, 1, 2, 0, 1])
    assert transitions(np.array([0, -1, 1, 1, 0]), now, 3, 2).tolist() == [[1, 1, 0], [1, 0, 1]]
