"""Distances of agents: pairs, nearest neighbours and categories."""

from __future__ import annotations

import math

import numpy as np
import pytest
from coverage_of import coverage_of
from scipy.spatial import KDTree

from simengine.diagnostics.populations.altieri import altieri_counts, altieri_entropy, altieri_entropy_from_counts
from simengine.diagnostics.populations.neighbour_distances import neighbour_distance_entropy, poisson_edges
from simengine.diagnostics.populations.pairs import (
    pair_counts,
    pair_excess_entropy,
    pair_excess_entropy_from_counts,
    shell_shares,
)
from simengine.errors import InputError


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize(("n", "reach"), [(900, 0.12), (350, 0.45)])
def test_pairs_are_those_of_a_tree(d: int, periodic: bool, n: int, reach: float) -> None:
    x = np.random.default_rng(d).random((n, d))
    edges = np.linspace(0.0, reach, 8)
    tree = KDTree(x, boxsize=1.0 if periodic else None)
    expected = np.diff((tree.count_neighbors(tree, edges) - n) // 2)
    assert np.array_equal(pair_counts(x, np.zeros(d), np.ones(d), edges, periodic), expected)


def test_the_order_of_agents_does_not_show() -> None:
    rng = np.random.default_rng(0)
    x = rng.random((700, 2))
    one = pair_excess_entropy(x, 0, 1, reach=0.1)
    other = pair_excess_entropy(x[rng.permutation(700)], 0, 1, reach=0.1)
    assert one.value == other.value


@pytest.mark.parametrize("d", [2, 3])
def test_shares_of_shells_in_a_box_with_walls_are_those_of_random_places(d: int) -> None:
    sides = np.array([1.0, 1.5, 0.8])[:d]
    rng = np.random.default_rng(1)
    a, b = rng.random((2, 200_000, d)) * sides
    edges = np.linspace(0.0, 0.7, 8)
    seen = np.histogram(np.linalg.norm(a - b, axis=1), edges)[0] / 200_000
    # Four standard deviations of a share.
    assert (np.abs(seen - shell_shares(edges, sides, False)) < 4 * np.sqrt(seen / 200_000)).all()


@pytest.mark.parametrize("periodic", [True, False])
def test_an_ideal_gas_has_no_pair_excess_entropy(periodic: bool) -> None:
    # At a true coverage of 95 % fewer than 88 % of 100 are seen with a chance below 1 %.
    found = coverage_of(
        lambda r: pair_excess_entropy(r.random((300, 2)), 0, 1, reach=0.15, bins=15, periodic=periodic), 0.0, 100
    )
    assert found.holds >= 0.88
    assert found.width <= 1.8
    assert found.flagged <= 0.05


def test_clusters_have_the_pair_excess_entropy_of_their_pair_correlation() -> None:
    parents, n, spread = 50, 500, 0.02
    edges = np.linspace(0.0, 0.15, 16)
    disc = np.diff(np.pi * edges**2)
    g = (np.diff(-np.exp(-(edges**2) / (4 * spread**2))) / parents + (1 - 1 / parents) * disc) / disc
    truth = -0.5 * n * float(np.sum(disc * (g * np.log(g) - g + 1)))

    def clusters(rng: np.random.Generator) -> np.ndarray:
        centre = rng.random((parents, 2))
        return (centre[rng.integers(0, parents, n)] + spread * rng.normal(size=(n, 2))) % 1.0

    found = coverage_of(lambda r: pair_excess_entropy(clusters(r), 0, 1, reach=0.15, bins=15), truth, 100)
    assert found.holds >= 0.87
    assert found.width <= 1.5


def test_frames_add_up() -> None:
    rng = np.random.default_rng(2)
    edges = np.linspace(0.0, 0.1, 6)
    frames = [pair_counts(rng.random((200, 2)), np.zeros(2), np.ones(2), edges, True) for _ in range(20)]
    one = pair_excess_entropy_from_counts(frames[0], 200, [1, 1], edges)
    all_of_them = pair_excess_entropy_from_counts(sum(frames), 200, [1, 1], edges, frames=20)
    assert all_of_them.null_sd == pytest.approx(one.null_sd / 20, rel=0.15)
    assert abs(all_of_them.z) < 4.0


@pytest.mark.parametrize(("d", "k"), [(2, 1), (2, 3), (3, 1)])
def test_an_ideal_gas_fills_the_classes_of_neighbour_distances_evenly(d: int, k: int) -> None:
    found = coverage_of(lambda r: neighbour_distance_entropy(r.random((400, d)), 0, 1, k=k), math.log(15), 100)
    assert found.holds >= 0.87
    assert found.width <= 1.5
    assert found.flagged <= 0.05
    assert poisson_edges(k, d).size == 16


def test_a_lattice_has_neighbours_at_one_distance() -> None:
    grid = np.stack(np.meshgrid(np.arange(15), np.arange(15)), axis=-1).reshape(-1, 2) / 15 + 0.01
    found = neighbour_distance_entropy(grid, 0, 1)
    assert found.value == 0.0
    assert "constant" in found.flags
    assert (
        "few_samples"
        in neighbour_distance_entropy(np.random.default_rng(0).random((300, 2)), 0, 1, periodic=False).flags
    )


def patches(rng: np.random.Generator, n: int, strength: float) -> tuple[np.ndarray, np.ndarray]:
    x = rng.random((n, 2))
    here = np.sign(np.sin(4 * np.pi * x[:, 0]) * np.sin(4 * np.pi * x[:, 1]))
    return x, (rng.random(n) < 0.5 + strength * here).astype(np.int64)


def test_classes_of_distance_hold_all_pairs() -> None:
    x, kind = patches(np.random.default_rng(3), 400, 0.3)
    counts = altieri_counts(x, kind, 2, np.array([0.05, 0.2]), np.zeros(2), np.ones(2), False)
    assert counts.sum() == 400 * 399 // 2
    distance = np.linalg.norm(x[:, None] - x, axis=2)[np.triu_indices(400, 1)]
    assert counts.sum(axis=1).tolist() == np.histogram(distance, [0, 0.05, 0.2, 9])[0].tolist()
    ones = int(kind.sum())
    assert counts.sum(axis=0)[2] == ones * (ones - 1) // 2


def test_the_parts_of_altieris_entropy_add_up() -> None:
    x, kind = patches(np.random.default_rng(4), 300, 0.4)
    found = altieri_entropy(x, kind, 0, 1, distances=[0.05, 0.1, 0.2])
    parts = found.details
    assert parts["mutual"] + parts["residual"] == pytest.approx(parts["total"], abs=1e-12)
    assert float(parts["weights"] @ parts["partial"]) == pytest.approx(parts["plain"], abs=1e-12)
    assert found.z > 10.0


def test_categories_that_take_no_notice_of_places_share_nothing_with_distance() -> None:
    found = coverage_of(
        lambda r: altieri_entropy(*patches(r, 150, 0.0), 0, 1, distances=[0.1, 0.2], shuffles=20), 0.0, 40
    )
    assert found.holds >= 0.85


def test_patches_have_the_spatial_information_of_many_agents() -> None:
    limits = np.array([0.05, 0.1, 0.2])
    pairs = sum(
        altieri_counts(*patches(np.random.default_rng([5, k]), 2000, 0.45), 2, limits, np.zeros(2), np.ones(2), True)
        for k in range(10)
    )
    truth = altieri_entropy_from_counts(pairs, 2000).value
    found = coverage_of(
        lambda r: altieri_entropy(*patches(r, 300, 0.45), 0, 1, distances=limits, periodic=True, shuffles=10), truth, 40
    )
    # At a true coverage of 95 % fewer than 80 % of 40 are seen with a chance below 1e-3.
    assert found.holds >= 0.8
    assert found.width <= 2.0


def test_reaches_beyond_the_box_are_told() -> None:
    with pytest.raises(InputError, match=r"at most 0\.5"):
        pair_excess_entropy(np.random.default_rng(0).random((10, 2)), 0, 1, reach=0.6)
    with pytest.raises(InputError, match="rise"):
        altieri_entropy([[0.1, 0.1], [0.2, 0.2]], [0, 1], 0, 1, distances=[0.2, 0.1])
