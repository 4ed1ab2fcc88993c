from __future__ import annotations

import math

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from simengine.arrays.directions import normalised, perpendicular, turned_towards

axis = st.floats(-10, 10)
vectors = st.tuples(axis, axis, axis)


def unit(v: tuple[float, float, float]) -> np.ndarray:
    length = math.hypot(*v)
    assume(length > 1e-3)
    return np.array(v) / length


@given(vectors, vectors)
def test_a_direction_has_length_one_and_a_vanishing_one_is_replaced(
    v: tuple[float, float, float], w: tuple[float, float, float]
) -> None:
    found = np.array(normalised(*v, *w))
    if math.hypot(*v) > 1e-9:
        assert abs(np.linalg.norm(found) - 1.0) < 1e-14
        np.testing.assert_allclose(found * math.hypot(*v), v, atol=1e-12)
    elif math.hypot(*v) < 1e-11:
        np.testing.assert_array_equal(found, w)


@given(vectors, st.floats(0, 2 * math.pi))
def test_perpendiculars_form_a_circle(v: tuple[float, float, float], angle: float) -> None:
    u = unit(v)
    one = np.array(perpendicular(*u, math.cos(angle), math.sin(angle)))
    other = np.array(perpendicular(*u, -math.sin(angle), math.cos(angle)))
    for found in (one, other):
        assert abs(np.linalg.norm(found) - 1.0) < 1e-13
        assert abs(found @ u) < 1e-13
    assert abs(one @ other) < 1e-13


@given(vectors, vectors, st.floats(0.0, math.pi - 1e-6))
def test_a_turn_is_a_rotation_towards_the_goal_by_at_most_its_angle(
    v: tuple[float, float, float], w: tuple[float, float, float], most: float
) -> None:
    u, goal = unit(v), unit(w)
    found = np.array(turned_towards(*u, *goal, math.cos(most), math.sin(most)))
    assert abs(np.linalg.norm(found) - 1.0) < 1e-14
    apart = math.atan2(float(np.linalg.norm(np.cross(u, goal))), float(u @ goal))
    assume(1e-6 < apart < math.pi - 1e-6)
    turned = math.atan2(float(np.linalg.norm(np.cross(u, found))), float(u @ found))
    left = math.atan2(float(np.linalg.norm(np.cross(found, goal))), float(found @ goal))
    assert abs(turned - min(most, apart)) < 1e-7
    assert abs(turned + left - apart) < 1e-7


def test_an_opposite_goal_is_turned_to_by_the_full_angle() -> None:
    for u in np.vstack([np.eye(3), -np.eye(3)]):
        found = np.array(turned_towards(*u, *-u, math.cos(0.3), math.sin(0.3)))
        assert abs(math.acos(found @ u) - 0.3) < 1e-12
