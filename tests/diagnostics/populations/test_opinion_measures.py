"""Opinions in declared bins: entropy, effective number, polarization, bimodality and agreement."""

from __future__ import annotations

import math

import numpy as np
import pytest
from coverage_of import coverage_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from simengine.diagnostics.populations.agreement import ordinal_agreement, ordinal_agreement_from_counts
from simengine.diagnostics.populations.opinions import (
    effective_opinions,
    effective_opinions_from_counts,
    opinion_counts,
    opinion_entropy,
    opinion_entropy_from_counts,
)
from simengine.diagnostics.populations.polarization import (
    bimodality,
    bimodality_from_moments,
    opinion_polarization,
    opinion_polarization_from_counts,
)
from simengine.diagnostics.populations.powers import moments_of_sums, power_sums
from simengine.errors import InputError

EDGES = np.linspace(-1.0, 1.0, 21)
NORMAL = np.diff(np.concatenate([[0.0], stats.norm.cdf(EDGES[1:-1], scale=0.4), [1.0]]))


def normal_opinions(rng: np.random.Generator, n: int = 400) -> np.ndarray:
    return np.clip(rng.normal(0.0, 0.4, n), -1.0, 1.0)


def test_the_entropy_of_even_opinions_is_that_of_its_null() -> None:
    found = opinion_entropy(np.tile(np.arange(10), 100), states=10)
    assert found.value == pytest.approx(math.log(10), abs=1e-3)
    assert abs(found.z) < 3.0


def test_opinions_outside_the_range_count_in_the_end_bins_and_are_flagged() -> None:
    counts, outside = opinion_counts(np.array([-5.0, -0.99, 0.99, 7.0]), EDGES)
    assert counts[0] == 2
    assert counts[-1] == 2
    assert outside == 2
    assert "outside_range" in opinion_entropy([-5.0, 0.0, 0.5], bins=4, range=(-1, 1)).flags


def test_bins_are_never_taken_from_the_data() -> None:
    with pytest.raises(InputError, match="declared"):
        opinion_entropy([0.1, 0.2], bins=10)
    with pytest.raises(InputError, match="bins="):
        opinion_entropy([0.1, 0.2])
    with pytest.raises(InputError, match="states=3"):
        opinion_entropy([0, 1, 3], states=3)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=3, max_size=12).filter(lambda c: sum(c) > 5))
def test_effective_numbers_lie_between_one_and_the_number_of_bins(counts: list[int]) -> None:
    for order in (1, 2):
        low, high = effective_opinions_from_counts(counts, order=order).interval
        assert 1.0 <= low <= high <= len(counts)


def test_effective_opinions_are_the_number_of_equally_common_ones() -> None:
    for order in (1, 2):
        assert effective_opinions_from_counts([2000] * 5 + [0] * 5, order=order).value == pytest.approx(5.0, rel=2e-3)


def test_pair_difference_equals_the_mean_over_all_pairs() -> None:
    x = np.random.default_rng(1).normal(size=60)
    plain = np.abs(x[:, None] - x).sum() / (60 * 59)
    assert opinion_polarization(x, "pair-difference").value == pytest.approx(plain, rel=1e-12)


def test_polarization_of_two_points_is_known() -> None:
    counts = np.zeros(20, np.int64)
    counts[[0, -1]] = 5000
    width = 0.5 * (EDGES[-1] + EDGES[-2] - EDGES[0] - EDGES[1])
    assert opinion_polarization_from_counts(counts, EDGES, "pair-difference").value == pytest.approx(
        width / 2, rel=1e-3
    )
    # sum p_i^(1 + a) p_j d_ij of two halves.
    found = opinion_polarization_from_counts(counts, EDGES, "esteban-ray", alpha=1.0)
    assert found.value == pytest.approx(2 * 0.5**3 * width, rel=1e-3)
    assert bimodality(np.repeat([-1.0, 1.0], 500)).value == pytest.approx(1.0, abs=2e-3)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=10, max_size=50), st.floats(-3, 3), st.floats(0.1, 10))
def test_bimodality_does_not_see_where_and_how_wide_opinions_are(x: list[float], shift: float, scale: float) -> None:
    values = np.asarray(x)
    if np.ptp(values) < 0.01:
        return
    assert bimodality(values * scale + shift).value == pytest.approx(bimodality(values).value, rel=1e-5, abs=1e-6)


def test_moments_from_exact_sums_are_those_of_the_opinions_in_any_parts() -> None:
    x = np.random.default_rng(3).uniform(0, 5, 3001)
    whole = power_sums(x, 0.0, 5.0)
    parts = power_sums(x[:1234], 0.0, 5.0) + power_sums(x[1234:], 0.0, 5.0)
    found = moments_of_sums(x.size, whole, 0.0, 5.0)
    assert np.array_equal(found, moments_of_sums(x.size, parts, 0.0, 5.0))
    assert found[2] == pytest.approx(x.var(), rel=1e-12)
    assert bimodality_from_moments(x.size, found).value == pytest.approx(bimodality(x).value, rel=1e-9)


def test_agreement_has_the_published_values() -> None:
    # The example of the R package agrmt, and the two ends and the middle of van der Eijk's scale.
    assert ordinal_agreement_from_counts([30, 40, 210, 130, 530, 50, 10]).details["plain"] == pytest.approx(0.6113333)
    assert ordinal_agreement_from_counts([500, 0, 0, 0, 500]).details["plain"] == -1.0
    assert ordinal_agreement_from_counts([200] * 5).details["plain"] == 0.0
    assert ordinal_agreement(np.full(200, 2), states=5).value == 1.0


@pytest.mark.parametrize(
    ("estimate", "truth"),
    [
        pytest.param(lambda r: opinion_entropy(r.uniform(-1, 1, 400), bins=EDGES), math.log(20), id="entropy, even"),
        pytest.param(
            lambda r: opinion_entropy(normal_opinions(r, 1500), bins=EDGES), special.entr(NORMAL).sum(), id="entropy"
        ),
        pytest.param(
            lambda r: effective_opinions(normal_opinions(r), order=2, bins=EDGES), 1 / (NORMAL**2).sum(),
            id="1 / sum p^2",
        ),
        pytest.param(lambda r: opinion_polarization(r.normal(0, 0.4, 400), "variance"), 0.16, id="variance"),
        pytest.param(
            lambda r: opinion_polarization(r.uniform(-1, 1, 400), "pair-difference"), 2 / 3, id="pair difference"
        ),
        pytest.param(
            lambda r: opinion_polarization(normal_opinions(r), "esteban-ray", bins=EDGES),
            NORMAL**2 @ np.abs(np.subtract.outer(EDGES[1:], EDGES[1:])) @ NORMAL, id="Esteban-Ray",
        ),
        pytest.param(lambda r: bimodality(r.uniform(-1, 1, 400)), 5 / 9, id="bimodality"),
        pytest.param(
            lambda r: ordinal_agreement_from_counts(r.multinomial(400, [0.05, 0.1, 0.3, 0.2, 0.25, 0.07, 0.03])), 0.41,
            id="agreement",
        ),
    ],
)  # fmt: skip
def test_intervals_hold_the_truth(estimate, truth) -> None:  # type: ignore[no-untyped-def]
    # At a true coverage of 95 % fewer than 88 % of 150 are seen with a chance below 1e-3.
    found = coverage_of(estimate, truth, 150)
    assert found.holds >= 0.88
    assert found.width <= 1.5


def test_few_or_heavy_tailed_opinions_are_flagged() -> None:
    rng = np.random.default_rng(0)
    assert "few_samples" in opinion_entropy_from_counts([3, 4, 5]).flags
    assert "few_samples" in opinion_polarization(rng.normal(size=20)).flags
    assert coverage_of(lambda r: bimodality(r.standard_t(3, 500)), 0.0, 60).flagged >= 0.95
