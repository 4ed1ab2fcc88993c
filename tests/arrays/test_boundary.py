from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simengine.arrays.boundary import reflected, wrapped


@given(x=st.floats(-1e6, 1e6), side=st.floats(1e-3, 1e3))
def test_a_wrapped_coordinate_is_in_the_box_and_the_same_place(x: float, side: float) -> None:
    inside = wrapped(x, side)
    assert 0.0 <= inside < side
    turns = (x - inside) / side
    assert abs(turns - round(turns)) <= 1e-9 * max(1.0, abs(turns))
    assert wrapped(inside, side) == inside


@given(x=st.floats(-1e6, 1e6), side=st.floats(1e-3, 1e3))
def test_a_reflected_coordinate_is_in_the_box_and_turns_on_every_second_stretch(x: float, side: float) -> None:
    inside, turned = reflected(x, side)
    assert 0.0 <= inside <= side
    if 1e-6 < (x / side) % 1.0 < 1 - 1e-6:
        assert turned == (np.floor(x / side) % 2 == 1)
        assert abs(np.sin(np.pi * inside / side) - abs(np.sin(np.pi * x / side))) < 1e-6 * max(1.0, abs(x / side))


@pytest.mark.parametrize("x", [-1e-20, -0.0, 0.0, 1.0, 2.0, -1.0, np.nextafter(1.0, 0.0), 1e300])
def test_the_edge_of_a_periodic_box_is_its_beginning(x: float) -> None:
    assert 0.0 <= wrapped(x, 1.0) < 1.0
