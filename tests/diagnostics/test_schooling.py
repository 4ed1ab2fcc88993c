import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine.diagnostics import schooling
from simengine.diagnostics.school_frame import principal_axes
from simengine.diagnostics.schooling import (
    DEFINITIONS,
    METRIC_LONG_NAMES,
    METRIC_NAMES,
    METRICS,
    measure,
    metric_units,
    school_metrics,
)
from simengine.errors import InputError

WEIGHTS = {
    "school_cohesion_entropy": 0.18,
    "polarization_entropy": 0.28,
    "depth_stratification_entropy": 0.08,
    "angular_momentum_entropy": 0.08,
    "nearest_neighbor_entropy": 0.10,
    "velocity_correlation_entropy": 0.18,
    "school_shape_entropy": 0.10,
}


def state(seed, n, box=10.0):
    rng = np.random.default_rng(seed)
    return rng.random((n, 3)) * box, rng.normal(size=(n, 3))


def ring(n, radius=2.0, centre=(5.0, 5.0, 5.0)):
    """A perfect mill: n agents on a circle about z, headings along the tangent."""
    angle = 2 * np.pi * np.arange(n) / n
    flat = np.zeros(n)
    position = np.array(centre) + radius * np.stack([np.cos(angle), np.sin(angle), flat], axis=1)
    return position, np.stack([-np.sin(angle), np.cos(angle), flat], axis=1)


def test_parallel_school_has_polarization_one_and_no_heading_entropy():
    position, _ = state(1, 60)
    for heading in np.random.default_rng(2).normal(size=(100, 3)):
        found = measure(position, np.tile(heading, (60, 1)), 10.0)
        assert found["polarization"] == pytest.approx(1.0, abs=1e-14)
        assert found["order_index"] == found["polarization"]
        assert found["polarization_entropy"] == 0.0
        assert found["velocity_correlation_entropy"] == 0.0


def test_two_opposed_halves_have_polarization_zero_and_known_alignment_entropy():
    position, _ = state(3, 40)
    heading = np.tile([0.0, 3.0, 4.0], (40, 1)) * np.repeat([1.0, -1.0], 20)[:, None]
    found = measure(position, heading, 10.0)
    together, opposed = 2 * 20 * 19 / 2, 20 * 20
    share = np.array([together, opposed]) / (together + opposed)
    assert found["polarization"] == pytest.approx(0.0, abs=1e-15)
    assert found["velocity_correlation_entropy"] == pytest.approx(
        -(share * np.log(share)).sum() / math.log(20), abs=1e-14
    )
    assert found["polarization_entropy"] == pytest.approx(math.log(2) / math.log(288), abs=1e-14)


@pytest.mark.parametrize("box", [10.0, None])
@pytest.mark.parametrize("n", [8, 12, 90])
def test_perfect_mill_rotates_fully_and_is_flat(n, box):
    position, heading = ring(n)
    found = measure(position, heading, box)
    assert found["rotation"] == pytest.approx(1.0, abs=1e-14)
    assert found["polarization"] == pytest.approx(0.0, abs=1e-14)
    assert found["spread"] == pytest.approx(2.0, abs=1e-14)
    assert found["angular_momentum_entropy"] == 0.0
    assert found["school_cohesion_entropy"] == 0.0
    assert found["nearest_neighbor_entropy"] == 0.0
    # Two equal variances and none along the axis.
    assert found["school_shape_entropy"] == pytest.approx(math.log(2) / math.log(3), abs=1e-8)


def test_counter_rotating_mill_has_no_net_rotation_but_the_same_angular_momentum_entropy():
    position, heading = ring(40)
    heading[::2] *= -1
    found = measure(position, heading, 10.0)
    assert found["rotation"] == pytest.approx(0.0, abs=1e-14)
    assert found["angular_momentum_entropy"] == 0.0


def test_depth_entropy_is_one_for_one_agent_in_the_middle_of_each_depth_bin():
    _, heading = state(4, 15)
    position = np.zeros((15, 3))
    position[:, 2] = (np.arange(15) + 0.5) / 15 * 10.0
    assert measure(position, heading, 10.0)["depth_stratification_entropy"] == pytest.approx(1.0, abs=1e-14)


def test_cubic_arrangement_has_shape_entropy_one_and_the_spread_of_its_corners():
    corners = np.array(np.meshgrid([4.0, 6.0], [4.0, 6.0], [4.0, 6.0])).reshape(3, -1).T
    found = measure(corners, state(5, 8)[1], 10.0)
    assert found["school_shape_entropy"] == pytest.approx(1.0, abs=1e-14)
    assert found["spread"] == pytest.approx(math.sqrt(3.0), abs=1e-14)


@pytest.mark.parametrize(
    ("n", "undefined"),
    [
        (1, {"cohesion", "velocity_correlation", "angular_momentum", "school_shape", "nearest_neighbor"}),
        (2, {"angular_momentum", "school_shape", "nearest_neighbor"}),
        (3, {"school_shape", "nearest_neighbor"}),
        (4, {"nearest_neighbor"}),
        (5, {"nearest_neighbor"}),
        (6, set()),
    ],
)
def test_entropies_without_enough_agents_are_one_half(n, undefined):
    # Agents close together, all heading the same way: every entropy that is defined is far from one half.
    position = 5.0 + 1e-6 * state(6, n)[0]
    found = measure(position, np.ones((n, 3)), 10.0)
    halves = {name for name in WEIGHTS if found[name] == 0.5}
    assert halves == {name for name in WEIGHTS if any(part in name for part in undefined)}


def test_school_at_one_point_has_no_spread_and_no_entropy_of_places():
    found = measure(np.full((9, 3), 0.1), state(7, 9)[1], 10.0)
    assert found["spread"] == pytest.approx(0.0, abs=1e-15)
    assert found["rotation"] == pytest.approx(0.0, abs=1e-14)
    for name in ("school_cohesion", "depth_stratification", "angular_momentum", "nearest_neighbor"):
        assert found[f"{name}_entropy"] == 0.0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.floats(1e-3, 1e3), st.booleans())
def test_numbers_lie_in_their_valid_ranges(seed, n, box, open_space):
    position, heading = state(seed, n, box)
    found = measure(position, heading, None if open_space else box)
    assert tuple(found) == METRIC_NAMES
    for metric in METRICS:
        low, high = metric.valid_range
        assert low <= found[metric.name] <= high


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 500), st.booleans())
def test_numbers_do_not_depend_on_the_order_of_agents(seed, n, open_space):
    position, heading = state(seed, n)
    box = None if open_space else 10.0
    order = np.random.default_rng(seed).permutation(n)
    found, again = measure(position, heading, box), measure(position[order], heading[order], box)
    assert list(again.values()) == pytest.approx(list(found.values()), abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 80), st.floats(0.01, 100.0))
def test_length_of_headings_does_not_matter(seed, n, length):
    position, heading = state(seed, n)
    scaled = heading * np.random.default_rng(seed).uniform(length, 2 * length, (n, 1))
    assert list(measure(position, scaled, 10.0).values()) == pytest.approx(
        list(measure(position, heading, 10.0).values()), abs=1e-12
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 80), st.floats(0.1, 10.0))
def test_open_school_keeps_its_numbers_when_it_moves_and_scales_only_its_spread(seed, n, scale):
    position, heading = state(seed, n)
    found = measure(position, heading)
    moved = measure(position * scale + [30.0, -70.0, 5.0], heading)
    assert moved.pop("spread") == pytest.approx(found.pop("spread") * scale, rel=1e-9)
    assert list(moved.values()) == pytest.approx(list(found.values()), abs=1e-9)


def test_open_and_periodic_measures_share_what_does_not_depend_on_the_box():
    position, heading = state(8, 100)
    periodic, free = measure(position, heading, 10.0), measure(position, heading)
    shared = set(METRIC_NAMES) - {
        "school_cohesion_entropy",
        "depth_stratification_entropy",
        "nearest_neighbor_entropy",
        "oceanic_schooling_index",
    }
    for name in shared:
        assert free[name] == periodic[name]


def test_index_is_the_weighted_sum_of_the_entropies():
    found = measure(*state(9, 100), 10.0)
    expected = sum(weight * found[name] for name, weight in WEIGHTS.items())
    assert found["oceanic_schooling_index"] == pytest.approx(expected, abs=1e-15)


def test_position_on_the_far_border_counts_as_one_on_the_near_border():
    position, heading = state(10, 50)
    near, far = position.copy(), position.copy()
    near[:5, 2], far[:5, 2] = 0.0, 10.0
    assert measure(far, heading, 10.0) == measure(near, heading, 10.0)


def test_arrays_given_are_left_unchanged_and_may_be_read_only_lists_or_transposed():
    position, heading = state(11, 30)
    position[0] = 10.0
    expected = measure(position.tolist(), heading.tolist(), 10.0)
    position.flags.writeable = heading.flags.writeable = False
    assert measure(position, heading, 10.0) == expected
    assert measure(np.asfortranarray(position), heading, 10.0) == expected
    assert (position[0] == 10.0).all()


def test_array_function_returns_the_same_numbers_in_the_order_of_their_names():
    position, heading = state(12, 30)
    for box, side in ((10.0, 10.0), (None, math.inf)):
        values = school_metrics(position, heading, side)
        assert dict(zip(METRIC_NAMES, values, strict=True)) == measure(position, heading, box)


def test_every_number_has_a_long_name_and_a_unit():
    assert len(set(METRIC_NAMES)) == len(set(METRIC_LONG_NAMES)) == 12
    units = dict(zip(METRIC_NAMES, metric_units("m"), strict=True))
    assert units.pop("spread") == "m"
    assert set(units.values()) == {"1"}


@given(st.lists(st.floats(-1e3, 1e3), min_size=6, max_size=6))
def test_principal_variances_are_the_eigenvalues(entries):
    matrix = np.zeros((3, 3))
    matrix[np.triu_indices(3)] = entries
    matrix = matrix + np.triu(matrix, 1).T
    expected = np.linalg.eigvalsh(matrix)
    found = principal_axes(matrix)[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14 * (1e-300 + np.abs(expected).max()) * 4)


GOOD = np.ones((4, 3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"definition": "dewi-kaditta"}, "'dewi-kadita'"),
        ({"position": np.ones((4, 2))}, r"position has shape \(4, 2\)"),
        ({"position": np.ones(3)}, r"position has shape \(3,\)"),
        ({"position": np.ones((0, 3)), "heading": np.ones((0, 3))}, "N >= 1"),
        ({"heading": np.ones((5, 3))}, "position has 4 rows, heading 5"),
        ({"position": "here"}, "position must be numbers"),
        ({"position": np.where(np.eye(4, 3) > 0, np.nan, 1.0)}, "position of row 0 is not finite"),
        ({"heading": np.where(np.arange(4)[:, None] == 2, np.inf, GOOD)}, "heading of row 2 is not finite"),
        ({"heading": np.where(np.arange(4)[:, None] == 3, 0.0, GOOD)}, "heading of row 3 has no direction"),
        ({"box": 0.5}, r"position of row 0 lies outside 0 \.\. 0\.5"),
        ({"position": -GOOD, "box": 5.0}, "position of row 0 lies outside"),
        ({"box": 0.0}, "box is 0.0"),
        ({"box": math.nan}, "box is nan"),
        ({"box": "wide"}, "box is 'wide'"),
    ],
)
def test_wrong_input_is_named_in_one_line(arguments, message):
    with pytest.raises(InputError, match=message) as caught:
        measure(**({"position": GOOD, "heading": GOOD} | arguments))
    assert "\n" not in str(caught.value)


def test_large_schools_are_measured_with_a_warning_of_the_cost(monkeypatch):
    monkeypatch.setattr(schooling, "COSTLY_FROM", 20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measure(*state(13, 20), 10.0)
    with pytest.warns(UserWarning, match="21 agents: all 210 pairs"):
        measure(*state(13, 21), 10.0)


def test_definitions_are_named_after_their_source():
    assert DEFINITIONS["dewi-kadita"] is school_metrics
