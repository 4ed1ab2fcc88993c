"""The pieces of the calibrated entropies: closed forms, estimators, samples and their neighbours."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.spatial import cKDTree
from scipy.special import digamma

from simengine.diagnostics.calibrated import twin_share
from simengine.diagnostics.calibration import chosen_agents
from simengine.diagnostics.chosen import _from_slabs, chosen_distances, chosen_places, pair_rows
from simengine.diagnostics.counts.kernels import grassberger
from simengine.diagnostics.estimates import entropy_of_counts, entropy_of_pairs, entropy_of_shares
from simengine.diagnostics.school_bins import (
    AGENT_BINS,
    DEPTH_EDGES,
    HEADING_EDGES,
    MOMENTUM_EDGES,
    SPACING_EDGES,
    bin_between,
    depth_probability,
    momentum_probability,
    nearest_edges,
    share_within,
    spacing_probability,
)
from simengine.diagnostics.school_frame import offsets_from_centroid, principal_axes
from simengine.random.streams import Draws


def isotropic(rng, n):
    vector = rng.normal(size=(n, 3))
    return vector / np.linalg.norm(vector, axis=1, keepdims=True)


def counted(values, edges):
    return np.bincount([bin_between(value, edges) for value in values], minlength=AGENT_BINS)


def chi_square(counts):
    expected = counts.sum() / counts.size
    return float(((counts - expected) ** 2).sum() / expected)


# Greatest value of chi-square with 14 degrees of freedom, passed with probability 1e-4.
EVEN = 42.6


# -- closed forms ------------------------------------------------------------------------------------------------


def test_probability_of_a_depth_is_the_integral_of_the_area_of_slices():
    for t in np.linspace(-1.0, 1.0, 9):
        assert depth_probability(t) == pytest.approx(quad(lambda x: 0.75 * (1 - x * x), -1, t)[0], abs=1e-12)


def test_probability_of_an_angular_momentum_is_the_integral_over_directions():
    for s in np.linspace(-0.95, 0.95, 9):
        # Given the cosine c to the axis, the component is uniform over +-sqrt(1 - c^2).
        given_cosine = lambda c: np.clip(0.5 + 0.5 * s / max(math.sqrt(1 - c * c), 1e-300), 0, 1)  # noqa: B023, E731
        kink = math.sqrt(1 - s * s)
        expected = quad(given_cosine, 0, kink)[0] + quad(given_cosine, kink, 1)[0]
        assert momentum_probability(s) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("probability", [depth_probability, momentum_probability])
def test_symmetric_probabilities_rise_from_zero_to_one_and_are_symmetric(probability):
    values = np.array([probability(x) for x in np.linspace(-1, 1, 101)])
    assert values[0] == pytest.approx(0.0, abs=1e-15)
    assert (np.diff(values) > 0).all()
    np.testing.assert_allclose(values + values[::-1], 1.0, atol=1e-15)


def test_random_values_fill_the_bins_evenly():
    rng = np.random.default_rng(1)
    n = 20_000
    heading, outward = isotropic(rng, n), isotropic(rng, n)
    inside = isotropic(rng, n)[:, 2] * np.cbrt(rng.random(n))
    assert chi_square(counted(heading[:, 1], HEADING_EDGES)) < EVEN
    assert chi_square(counted(inside, DEPTH_EDGES)) < EVEN
    assert chi_square(counted(np.cross(outward, heading)[:, 0], MOMENTUM_EDGES)) < EVEN
    assert chi_square(counted(rng.random((n, 4)).sum(axis=1), SPACING_EDGES)) < EVEN


def test_the_smallest_of_uniform_shares_fills_the_bins_of_nearest_neighbours_evenly():
    rng = np.random.default_rng(2)
    for agents in (6, 50):
        least = rng.random((20_000, agents - 1)).min(axis=1)
        assert chi_square(counted(least, nearest_edges(agents))) < EVEN


def test_edges_are_where_the_probability_says():
    for probability, edges in (
        (depth_probability, DEPTH_EDGES),
        (momentum_probability, MOMENTUM_EDGES),
        (spacing_probability, SPACING_EDGES),
    ):
        found = [probability(edge) for edge in edges]
        np.testing.assert_allclose(found, np.arange(1, AGENT_BINS) / AGENT_BINS, atol=1e-14)


def test_values_beyond_the_range_count_in_the_end_bins_and_zero_in_the_middle_one():
    for edges in (HEADING_EDGES, DEPTH_EDGES, MOMENTUM_EDGES):
        assert bin_between(-7.0, edges) == 0
        assert bin_between(7.0, edges) == AGENT_BINS - 1
        assert bin_between(-1e-15, edges) == bin_between(1e-15, edges) == AGENT_BINS // 2


def test_share_of_a_cube_within_a_distance_is_that_of_random_points():
    distance = np.sqrt(((np.random.default_rng(3).random((400_000, 3)) - 0.5) ** 2).sum(axis=1))
    for r in (0.2, 0.5, 0.6, 0.7, 0.72, 0.75, 0.8, 0.85):
        # Four standard errors of a share of 400,000 points are at most 0.0032.
        assert share_within(3.0 * r, 3.0) == pytest.approx((distance < r).mean(), abs=0.0032)


def test_share_of_a_cube_is_continuous_and_complete():
    for r in (0.5, math.sqrt(0.5)):
        assert share_within(r + 1e-9, 1.0) == pytest.approx(share_within(r - 1e-9, 1.0), abs=1e-7)
    assert share_within(math.sqrt(0.75) - 1e-12, 1.0) == pytest.approx(1.0, abs=1e-12)
    assert share_within(5.0, 1.0) == 1.0


# -- estimators --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 10, 39, 40, 41, 1000, 99_999])
def test_grassbergers_function_is_that_of_his_paper(count):
    halves = digamma((count + 1) / 2) - digamma(count / 2)
    expected = digamma(count) + 0.5 * (-1) ** count * halves
    assert grassberger(count) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize("n", [100, 1000])
def test_entropy_of_counts_is_unbiased_and_its_error_is_the_scatter(even, n):
    rng = np.random.default_rng(n)
    share = np.full(AGENT_BINS, 1.0) if even else 0.6 ** np.arange(AGENT_BINS)
    share /= share.sum()
    found = np.array([entropy_of_counts(counts) for counts in rng.multinomial(n, share, 4000)])
    truth = -(share * np.log(share)).sum() / math.log(AGENT_BINS)
    scatter = found[:, 0].std()
    assert abs(found[:, 0].mean() - truth) < 0.2 * scatter
    # With 100 agents the rare bins are seldom seen, which makes the error a sixth too small.
    assert math.sqrt((found[:, 1] ** 2).mean()) == pytest.approx(scatter, rel=0.2)


def test_entropy_of_one_bin_is_zero_without_error_and_that_of_nothing_is_undefined():
    assert entropy_of_counts(np.array([0, 7, 0])) == (0.0, 0.0)
    assert np.isnan(entropy_of_counts(np.zeros(3, np.int64))).all()


def test_values_that_two_agents_share_are_corrected_for():
    # Of 160 values 100 come in pairs: the variance of the counts is 1 + 100 / 160 times that of independent ones.
    rng = np.random.default_rng(4)
    share = np.full(AGENT_BINS, 1.0 / AGENT_BINS)
    counts = 2 * rng.multinomial(50, share, 4000) + rng.multinomial(60, share, 4000)
    found = np.array([entropy_of_counts(each, 100 / 160) for each in counts])
    plain = np.array([entropy_of_counts(each) for each in counts])
    assert found[:, 0].mean() == pytest.approx(1.0, abs=0.003)
    assert plain[:, 0].mean() < 0.993
    assert math.sqrt((found[:, 1] ** 2).mean()) == pytest.approx(found[:, 0].std(), rel=0.2)


def test_entropy_of_pairs_is_unbiased_with_the_error_of_its_agents():
    rng = np.random.default_rng(5)
    large = isotropic_towards(rng, 2000, 1.0)
    truth = entropy_of_pairs(pair_rows(large, np.arange(2000), 20))[0]
    found = np.array(
        [entropy_of_pairs(pair_rows(isotropic_towards(rng, 60, 1.0), np.arange(60), 20)) for _ in range(1500)]
    )
    scatter = found[:, 0].std()
    assert found[:, 0].mean() == pytest.approx(truth, abs=0.35 * scatter)
    assert math.sqrt((found[:, 1] ** 2).mean()) == pytest.approx(scatter, rel=0.15)


def isotropic_towards(rng, n, strength):
    vector = isotropic(rng, n) + np.array([strength, 0.0, 0.0])
    return vector / np.linalg.norm(vector, axis=1, keepdims=True)


@pytest.mark.parametrize("shape", [(1.0, 1.0, 1.0), (3.0, 2.0, 1.0), (3.0, 3.0, 0.2)])
def test_entropy_of_shares_is_unbiased_with_the_error_of_its_agents(shape):
    rng = np.random.default_rng(6)
    variances = np.square(shape) / np.square(shape).sum()
    truth = -(variances * np.log(variances)).sum() / math.log(3)
    found = np.array([shape_entropy(rng.normal(size=(200, 3)) * shape) for _ in range(2000)])
    scatter = found[:, 0].std()
    assert abs(found[:, 0].mean() - truth) < 0.15 * scatter
    assert math.sqrt((found[:, 1] ** 2).mean()) == pytest.approx(scatter, rel=0.35)


def shape_entropy(position):
    offset = position - position.mean(axis=0)
    extents, axes = principal_axes(offset.T @ offset / len(offset))
    along = offset @ axes.T
    share = extents / extents.sum()
    own = np.square(along) - share * np.square(along).sum(axis=1, keepdims=True)
    mixed = np.array([(along[:, a] ** 2 * along[:, b] ** 2).mean() for a, b in ((1, 2), (0, 2), (0, 1))])
    total = extents.sum() ** 2
    return entropy_of_shares(share, own.T @ own / len(own) / total, mixed / total, len(offset))


# -- frame -------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-1e3, 1e3), min_size=6, max_size=6))
def test_principal_axes_diagonalise_a_matrix_and_rise(entries):
    matrix = np.zeros((3, 3))
    matrix[np.triu_indices(3)] = entries
    matrix = matrix + np.triu(matrix, 1).T
    values, axes = principal_axes(matrix)
    assert (np.diff(values) >= 0).all()
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-13)
    np.testing.assert_allclose(axes.T @ np.diag(values) @ axes, matrix, atol=1e-12 * (1 + np.abs(matrix).max()))


def test_a_school_within_half_the_box_has_the_offsets_of_open_space():
    rng = np.random.default_rng(7)
    school = 4.0 * rng.random((50, 3)) ** 2
    expected = school - school.mean(axis=0)
    for place in ([3.0, 3.0, 3.0], [8.0, 0.5, 9.9], [-1.0, 9.0, 4.0]):
        found = offsets_from_centroid(np.mod(school + place, 10.0), 10.0)
        np.testing.assert_allclose(found, expected, atol=1e-13)


# -- samples -----------------------------------------------------------------------------------------------------

KEY = Draws(1, "agents", "school", [], 3).key("sample")


def test_a_sample_has_its_size_and_follows_the_ids_not_the_rows():
    ids = np.random.default_rng(8).permutation(100_000)[:20_000]
    first = np.sort(ids)[chosen_places(np.sort(ids), KEY, 1024)]
    np.testing.assert_array_equal(np.sort(ids[chosen_places(ids, KEY, 1024)]), first)
    assert first.size == np.unique(first).size == 1024


def test_agents_of_two_shards_are_sampled_as_those_of_one():
    # The least hashes of everyone are among the least of each part.
    ids = np.arange(9000)
    parts = [ids[:5000][chosen_places(ids[:5000], KEY, 1024)], ids[5000:][chosen_places(ids[5000:], KEY, 1024)]]
    assert set(ids[chosen_places(ids, KEY, 1024)]) <= set(np.concatenate(parts))


def test_every_agent_is_as_likely_in_a_sample():
    # 200 samples of 1024 of 4096: each agent in 50 on average, standard deviation 6.1; six of them lie beyond 87.
    often = np.zeros(4096, int)
    for step in range(200):
        often[chosen_agents(np.arange(4096), 1, step)] += 1
    assert often.sum() == 200 * 1024
    assert often.min() > 13
    assert often.max() < 87


def test_up_to_the_size_of_a_sample_everyone_is_in_it():
    np.testing.assert_array_equal(chosen_agents(np.arange(1024) * 7, 1, 0), np.arange(1024))


SHAPES = {
    "uniform": lambda rng, n: rng.random((n, 3)) * 10,
    "tight": lambda rng, n: 5 + 0.01 * rng.normal(size=(n, 3)),
    "corner": lambda rng, n: (0.5 * rng.normal(size=(n, 3))) % 10,
    "sheet": lambda rng, n: rng.random((n, 3)) * [10, 10, 0],
    "diagonal": lambda rng, n: (rng.random((n, 1)) * 10 + 0.001 * rng.normal(size=(n, 3))) % 10,
    "tight with strays": lambda rng, n: np.where(
        rng.random((n, 1)) < 0.01, rng.random((n, 3)) * 10, 2 + 0.01 * rng.random((n, 3))
    ),
    "two schools": lambda rng, n: (rng.integers(0, 2, (n, 1)) * 4.5 + 0.1 * rng.normal(size=(n, 3))) % 10,
    "lattice": lambda rng, n: rng.integers(0, 10, (n, 3)).astype(float),
    "one point": lambda rng, n: np.full((n, 3), 3.0),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n", [7, 30, 1500])
@pytest.mark.parametrize("box", [10.0, np.inf])
def test_distances_of_the_chosen_are_those_of_a_tree_search(shape, n, box):
    rng = np.random.default_rng(n)
    position = SHAPES[shape](rng, n)
    chosen = np.sort(rng.permutation(n)[: n // 2])
    found = chosen_distances(position, chosen, box)
    tree = cKDTree(position, boxsize=None if np.isinf(box) else box)
    expected = tree.query(position[chosen], k=6)[0][:, 1:]
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=0)


def test_too_few_others_are_infinitely_far():
    position = np.random.default_rng(9).random((4, 3))
    for box in (1.0, np.inf):
        found = np.sqrt(_from_slabs(position, np.arange(4), box))
        np.testing.assert_array_equal(np.isinf(found), [[False, False, False, True, True]] * 4)


def test_mutual_nearest_neighbours_are_as_many_as_among_uniform_points():
    # 8/13 in three dimensions; the share among 20,000 points has a standard error below 0.005.
    position = np.random.default_rng(10).random((20_000, 3))
    nearest = cKDTree(position, boxsize=1.0).query(position, k=2)[0][:, 1]
    assert twin_share(nearest) == pytest.approx(8 / 13, abs=0.02)
    assert twin_share(np.array([3.0, 1.0, 2.0])) == 0.0
    assert twin_share(np.array([1.0, 1.0, 1.0])) == pytest.approx(2 / 3)


@pytest.mark.parametrize("m", [2, 3, 4, 5, 150])
def test_rows_of_pairs_count_each_other_agent_once(m):
    rng = np.random.default_rng(m)
    unit, chosen = isotropic(rng, 200), np.sort(rng.permutation(200)[:m])
    rows = pair_rows(unit, chosen, 20)
    expected = np.zeros((m, 20), int)
    for i, j in itertools.permutations(range(m), 2):
        share = (unit[chosen[i]] @ unit[chosen[j]] + 1) / 2
        expected[i, min(int(share * 20), 19)] += 1
    np.testing.assert_array_equal(rows, expected)
