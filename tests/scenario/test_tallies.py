"""How many agents have which value, counted together or apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from simengine.errors import ScenarioError
from simengine.scenario.tallies import counted_values, joined

WHOLE = npst.arrays(
    st.sampled_from([np.int64, np.int8, np.uint8, np.bool_]), st.integers(0, 60), elements=None, fill=None
)
FAR_APART = npst.arrays(np.int64, st.integers(0, 60), elements=st.integers(-(2**63), 2**63 - 1))


@given(st.one_of(WHOLE, FAR_APART))
def test_the_values_that_occur_are_counted_in_ascending_order(values: np.ndarray) -> None:
    found, counts = counted_values(values)
    expected, numbers = np.unique(values, return_counts=True)
    assert found.dtype == values.dtype
    assert counts.dtype == np.int64
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(counts, numbers)


@given(st.one_of(WHOLE, FAR_APART), st.integers(0, 60))
def test_counts_of_parts_add_up_to_those_of_the_whole(values: np.ndarray, cut: int) -> None:
    found = joined(counted_values(values[:cut]), counted_values(values[cut:]))
    for one, other in zip(found, counted_values(values), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("values", [np.zeros(3), np.zeros((3, 2), int), np.array(["a"])])
def test_what_is_no_column_of_whole_numbers_is_refused(values: np.ndarray) -> None:
    with pytest.raises(ScenarioError, match="only whole numbers"):
        counted_values(values)
