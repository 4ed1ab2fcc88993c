"""Headings in equal bins, places in cells, and what neighbouring cells say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from coverage_of import coverage_of
from scipy import special, stats

from simengine.diagnostics.counts.entropies import entropy_from_counts
from simengine.diagnostics.information import entropy
from simengine.diagnostics.populations.headings import (
    fisher_entropy,
    heading_counts,
    heading_entropy,
    heading_entropy_excess,
    von_mises_entropy,
)
from simengine.diagnostics.populations.space import (
    batty_entropy,
    grid_neighbours,
    karlstrom_ceccato_entropy,
    place_counts,
    spatial_entropy,
)
from simengine.errors import InputError

FISHER = np.diff(np.exp(2.0 * np.linspace(-1, 1, 7))) / (2.0 * math.sinh(2.0))


def test_isotropic_headings_have_no_excess_in_two_and_three_dimensions() -> None:
    rng = np.random.default_rng(1)
    for headings in (rng.uniform(0, 2 * np.pi, 3000), rng.normal(size=(3000, 3))):
        found = heading_entropy_excess(headings)
        assert abs(found.z) < 4.0
        assert found.interval[0] == 0.0


def test_angles_and_vectors_of_any_length_fall_into_the_same_bins() -> None:
    rng = np.random.default_rng(2)
    angle = rng.uniform(-np.pi, np.pi, 500)
    vectors = np.stack([np.cos(angle), np.sin(angle)], axis=1) * rng.uniform(0.1, 9.0, (500, 1))
    assert heading_entropy(angle).value == heading_entropy(vectors).value


def test_agents_that_stand_still_are_left_out_and_flagged() -> None:
    counts, still = heading_counts(np.array([[0.0, 0.0], [1.0, 1e-9], [0.0, 1.0]]), 1, 4)
    assert counts.tolist() == [1, 1, 0, 0]
    assert still == 1
    assert "no_heading" in heading_entropy([[0, 0, 0], [0, 0, 1], [0, 1, 0]]).flags


def test_a_turn_by_whole_bins_leaves_the_entropy_as_it_is() -> None:
    angle = np.random.default_rng(3).vonmises(1.0, 2.0, 700)
    turned = heading_entropy(angle + 3 * 2 * np.pi / 16)
    assert turned.value == pytest.approx(heading_entropy(angle).value, abs=1e-12)


def test_parametric_entropies_agree_with_scipy() -> None:
    for k in (0.5, 3.0, 40.0):
        mean = float(special.i1e(k) / special.i0e(k))
        assert von_mises_entropy(mean) == pytest.approx(float(stats.vonmises(k).entropy()), abs=1e-9)
        mean = 1.0 / math.tanh(k) - 1.0 / k
        assert fisher_entropy(mean) == pytest.approx(float(stats.vonmises_fisher([0, 0, 1], k).entropy()), abs=1e-7)


@pytest.mark.parametrize(
    ("estimate", "truth"),
    [
        pytest.param(lambda r: heading_entropy(r.uniform(0, 6.283185307, 400)), math.log(16), id="isotropic"),
        pytest.param(
            lambda r: heading_entropy(stats.vonmises_fisher([0, 0, 1], 2.0).rvs(1500, random_state=r)),
            special.entr(FISHER).sum() + math.log(8), id="von Mises-Fisher",
        ),
        pytest.param(lambda r: spatial_entropy(r.random((600, 2)), 0, 1, cells=5), math.log(25), id="Poisson points"),
        pytest.param(lambda r: batty_entropy(r.multinomial(600, [0.4, 0.3, 0.2, 0.1]), [1, 2, 3, 4]),
                     float(np.array([.4, .3, .2, .1]) @ np.log(np.array([1, 2, 3, 4]) / [.4, .3, .2, .1])), id="Batty"),
    ],
)  # fmt: skip
def test_intervals_of_headings_and_places_hold_the_truth(estimate, truth) -> None:  # type: ignore[no-untyped-def]
    # At a true coverage of 95 % fewer than 88 % of 150 are seen with a chance below 1e-3.
    found = coverage_of(estimate, truth, 150)
    assert found.holds >= 0.88
    assert found.width <= 1.5
    assert found.flagged <= 0.1


def test_coarser_cells_hold_the_sums_of_finer_ones() -> None:
    x = np.random.default_rng(4).random((1000, 2))
    low, high = np.zeros(2), np.ones(2)
    fine, _ = place_counts(x, low, high, np.array([8, 8]))
    coarse, _ = place_counts(x, low, high, np.array([4, 4]))
    assert np.array_equal(fine.reshape(4, 2, 4, 2).sum(axis=(1, 3)).ravel(), coarse)


def test_spatial_entropy_has_a_dim_of_scales() -> None:
    found = spatial_entropy(np.random.default_rng(5).random((500, 3)), 0, 1, cells=(1, 2, 3))
    assert found.shape == (3,)
    assert found.dims == ("cells",)
    assert found.value[0] == 0.0


def test_karlstrom_and_ceccato_without_neighbours_is_the_plain_entropy_and_less_with_full_ones() -> None:
    counts = np.zeros(25, np.int64)
    counts[[6, 7, 11, 12]] = 500
    alone = karlstrom_ceccato_entropy(counts, np.zeros((25, 25)))
    assert alone.value == pytest.approx(math.log(4), abs=1e-3)
    spread = counts[np.random.default_rng(6).permutation(25)]
    grid = grid_neighbours((5, 5))
    assert karlstrom_ceccato_entropy(counts, grid).value < karlstrom_ceccato_entropy(spread, grid).value


def test_periodic_grids_give_every_cell_as_many_neighbours() -> None:
    assert (grid_neighbours((4, 5), periodic=True).sum(axis=1) == 4).all()
    assert grid_neighbours((4, 5)).sum() == 2 * (3 * 5 + 4 * 4)


def test_wrong_shapes_are_told() -> None:
    with pytest.raises(InputError, match="one number of bins"):
        heading_entropy([0.1, 0.2], bins=(3, 4))
    with pytest.raises(InputError, match="above low"):
        spatial_entropy([[0.1, 0.2]], 1, 0)
    with pytest.raises(InputError, match="areas"):
        batty_entropy([1, 2], [1.0, 0.0])


def test_angles_in_degrees_are_refused():
    angles = np.random.default_rng(1).normal(1.5, 0.2, 100)
    assert heading_entropy(angles).value < 1.5
    with pytest.raises(InputError, match="deg2rad"):
        heading_entropy(np.rad2deg(angles))


def test_intervals_do_not_lie_above_the_highest_value():
    for found in (entropy_from_counts([25] * 4), entropy_from_counts([25] * 4, estimator="chao-shen"),
                  batty_entropy([25] * 4, [1] * 4)):  # fmt: skip
        assert found.interval[0] < found.interval[1] == pytest.approx(math.log(4.0))
    assert entropy(np.repeat([0, 1, 2, 3], 25)).interval[1] > math.log(4.0)
