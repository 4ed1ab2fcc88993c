"""The numbers equal those of dewi-kadita 0.0.4, computed side by side."""

import numpy as np
import pytest

from simengine.diagnostics.schooling import METRIC_NAMES, measure

pytest.importorskip("dewi_kadita")

from dewi_kadita.core.metrics import compute_all_metrics
from dewi_kadita.core.solver import CouzinSolver
from dewi_kadita.core.systems import CouzinSystem

BOX = 25.0


def assert_same(position, heading, box=BOX):
    expected = compute_all_metrics(position, heading, box)
    found = measure(position, heading, box)
    assert set(found) == set(expected)
    for name in METRIC_NAMES:
        assert found[name] == pytest.approx(expected[name], rel=1e-14, abs=1e-12), name


def uniform(rng, n):
    return rng.random((n, 3)) * BOX, rng.normal(size=(n, 3))


def parallel(rng, n):
    return rng.random((n, 3)) * BOX, [0.0, 1.5, 0.0] + 0.05 * rng.normal(size=(n, 3))


def mill(rng, n):
    angle, radius = rng.uniform(0, 2 * np.pi, n), rng.normal(6.0, 0.9, n)
    circle = np.stack([np.cos(angle), np.sin(angle), np.zeros(n)], axis=1)
    tangent = np.stack([-np.sin(angle), np.cos(angle), np.zeros(n)], axis=1)
    position = BOX / 2 + radius[:, None] * circle + 0.5 * rng.normal(size=(n, 3))
    return position, tangent + 0.1 * rng.normal(size=(n, 3))


def cluster_across_the_border(rng, n):
    return (0.7 * rng.normal(size=(n, 3))) % BOX, rng.normal(size=(n, 3))


def two_schools(rng, n):
    centre = np.where(rng.random((n, 1)) < 0.4, 0.0, [[12.0, 3.0, 24.0]])
    return (centre + 0.3 * rng.normal(size=(n, 3))) % BOX, centre + 0.2 * rng.normal(size=(n, 3)) + 0.1


def one_point(rng, n):
    return np.full((n, 3), 7.3), rng.normal(size=(n, 3))


def coincident_pairs(rng, n):
    position = rng.random((n, 3)) * BOX
    position[n // 2 :] = position[: n - n // 2]
    return position, rng.normal(size=(n, 3))


def lattice(rng, n):
    # Distances, depths and angles on bin edges: BOX / 50 is the width of a bin of H1.
    position = rng.integers(0, 50, (n, 3)) * 0.5
    # Axes and face diagonals: their cosines never exceed 1 by rounding, see the last two tests.
    heading = rng.integers(-1, 2, (n, 3)) * rng.permuted(np.tile([1.0, 1.0, 0.0], (n, 1)), axis=1)
    heading[np.abs(heading).sum(axis=1) == 0] = [0.0, 0.0, -1.0]
    return position, heading


SCHOOLS = [
    uniform,
    parallel,
    mill,
    cluster_across_the_border,
    two_schools,
    one_point,
    coincident_pairs,
    lattice,
]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 50, 150, 250, 1000])
@pytest.mark.parametrize("school", SCHOOLS)
def test_numbers_equal_those_of_the_peer(school, n):
    for seed in range(1 if n > 250 else 8):
        assert_same(*school(np.random.default_rng([seed, n]), n))


@pytest.mark.parametrize("box", [0.1, 1.0, 28.0, 3e4])
def test_numbers_equal_those_of_the_peer_for_other_boxes(box):
    rng = np.random.default_rng(11)
    assert_same(rng.random((120, 3)) * box, rng.normal(size=(120, 3)), box)


@pytest.mark.parametrize(
    "options",
    [
        {"n_fish": 40, "noise": 0.2, "seed": 42},
        {"n_fish": 60, "torus_init": True, "torus_radius": 6, "blind_angle": 150, "noise": 0.05, "seed": 7},
        {"n_fish": 50, "r_orientation": 12, "r_attraction": 20, "noise": 0.0, "speed": 1.5, "seed": 3},
    ],
)
def test_numbers_equal_those_of_the_peer_along_its_own_run(options):
    system = CouzinSystem(box_size=BOX, **options)
    run = CouzinSolver(dt=0.1, use_numba=False).solve(system, n_steps=30, save_interval=3, verbose=False)
    for position, heading in zip(run["positions"], run["velocities"], strict=True):
        assert_same(position, heading)


def test_exactly_parallel_school_differs_only_where_the_peer_drops_cosines_beyond_one():
    rng = np.random.default_rng(0)
    position = rng.random((30, 3)) * BOX
    dropped = 0
    for heading in rng.normal(size=(500, 3)):
        headings = np.tile(heading, (30, 1))
        expected = compute_all_metrics(position, headings, BOX)
        found = measure(position, headings, BOX)
        assert found["velocity_correlation_entropy"] == 0.0
        assert expected["velocity_correlation_entropy"] in (0.0, 0.5)
        dropped += expected["velocity_correlation_entropy"] == 0.5
        for name in set(METRIC_NAMES) - {"velocity_correlation_entropy", "oceanic_schooling_index"}:
            assert found[name] == pytest.approx(expected[name], abs=1e-12), name
    assert 0 < dropped < 50


def test_opposed_headings_differ_only_where_the_peer_drops_cosines_beyond_minus_one():
    rng = np.random.default_rng(1)
    position = rng.random((2, 3)) * BOX
    seen = set()
    for heading in rng.normal(size=(200, 3)):
        headings = np.stack([heading, -heading])
        seen.add(compute_all_metrics(position, headings, BOX)["velocity_correlation_entropy"])
        assert measure(position, headings, BOX)["velocity_correlation_entropy"] == 0.0
    assert seen == {0.0, 0.5}
