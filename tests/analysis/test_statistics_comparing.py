"""Differences, effect sizes, corrections for many comparisons, effects of parameters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from simengine import InputError
from simengine.analysis.statistics.comparing import (
    bias_factor,
    cliffs_delta,
    compared,
    compared_in_pairs,
    hedges_g,
    noncentral_limits,
)
from simengine.analysis.statistics.effects import effect, grouped, omega_squared, spearman
from simengine.analysis.statistics.multiplicity import adjust

A = np.array([27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7, 21.4])
B = np.array([27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2, 21.9, 22.1, 22.9, 30.0, 23.5, np.nan])


def test_welchs_test_is_that_of_scipy() -> None:
    found = compared(A, B)
    theirs = stats.ttest_ind(B[:-1], A, equal_var=False)
    interval = theirs.confidence_interval(0.95)
    assert found.p == pytest.approx(theirs.pvalue, rel=1e-9)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert (found.n_a, found.n_b) == (15, 15)
    assert found.difference == pytest.approx(np.nanmean(B) - A.mean())


def test_pairs_are_those_of_scipy() -> None:
    found = compared_in_pairs(A, B[:-1])
    theirs = stats.ttest_rel(B[:-1], A)
    assert found.p == pytest.approx(theirs.pvalue, rel=1e-9)
    assert (found.low, found.high) == pytest.approx(tuple(theirs.confidence_interval(0.95)), rel=1e-9)


def test_pairs_with_a_missing_one_are_left_out() -> None:
    a, b = A.copy(), B[:-1].copy()
    a[2] = b[5] = np.nan
    keep = [0, 1, 3, 4, *range(6, 15)]
    assert compared_in_pairs(a, b) == compared_in_pairs(a[keep], b[keep])
    assert compared_in_pairs(a, b).n_a == 13


def test_hedges_g_is_the_difference_in_pooled_spreads_less_its_bias() -> None:
    g, low, high = hedges_g(np.array([1.0, 2.0, 3.0]), np.array([3.0, 4.0, 5.0]))
    # Difference 2, pooled spread 1, and the bias factor of four degrees of freedom, 0.797885 (Hedges 1981, table 1).
    assert g == pytest.approx(2 * 0.7978846, abs=1e-6)
    assert low < g < high


def test_the_bias_factor_is_near_its_approximation() -> None:
    for freedom in (10, 30, 100):
        assert bias_factor(freedom) == pytest.approx(1 - 3 / (4 * freedom - 1), abs=1e-3)


def test_noncentral_limits_leave_as_much_in_either_tail() -> None:
    low, high = noncentral_limits(2.5, 18, 0.95)
    assert stats.nct.sf(2.5, 18, low) == pytest.approx(0.025, abs=1e-6)
    assert stats.nct.cdf(2.5, 18, high) == pytest.approx(0.025, abs=1e-6)


def test_cliffs_delta_counts_pairs() -> None:
    a, b = np.array([1.0, 2.0, 2.0, 5.0]), np.array([2.0, 3.0, 6.0])
    expected = np.sign(b[None, :] - a[:, None]).mean()
    delta, low, high = cliffs_delta(a, b)
    assert delta == pytest.approx(expected)
    assert -1.0 <= low < delta < high <= 1.0


def test_groups_apart_have_a_delta_of_one_and_an_interval() -> None:
    assert cliffs_delta(np.arange(5.0), np.arange(5.0) + 10)[0] == 1.0
    delta, low, high = cliffs_delta(np.arange(20.0) + 50, np.arange(20.0))
    assert (delta, low) == (-1.0, -1.0)
    assert -1.0 < high < -0.5


def test_groups_without_spread_have_the_chance_of_a_permutation() -> None:
    found = compared(np.zeros(4), np.ones(4))
    assert found.p == pytest.approx(2 / 70)
    assert np.isnan(found.effect)
    assert compared(np.ones(4), np.ones(4)).p == 1.0
    assert compared_in_pairs(np.zeros(4), np.ones(4)).p == pytest.approx(2 / 16)


def test_one_run_on_a_side_says_nothing_of_chance() -> None:
    found = compared(np.array([1.0]), np.array([2.0, 3.0]))
    assert found.difference == 1.5
    assert np.isnan([found.p, found.low, found.effect, found.cliffs_low]).all()


@pytest.mark.slow
def test_intervals_of_effects_hold_them_as_often_as_they_say() -> None:
    # 1000 comparisons at 95 %: standard error 0.7 %, the limits are four of them, and 2 % more for Cliff's delta.
    rng, held = np.random.default_rng(1), np.zeros(4)
    delta = 2 * stats.norm.cdf(0.8 / np.sqrt(2)) - 1
    for _ in range(1000):
        found = compared(rng.normal(size=12), rng.normal(0.8, 1.0, size=15))
        common = rng.normal(size=20)
        pairs = compared_in_pairs(common + rng.normal(0, 0.5, 20), common + 0.6 + rng.normal(0, 0.5, 20))
        held += [
            found.low <= 0.8 <= found.high, found.effect_low <= 0.8 <= found.effect_high,
            found.cliffs_low <= delta <= found.cliffs_high,
            pairs.effect_low <= 0.6 / np.sqrt(1.25) <= pairs.effect_high,
        ]  # fmt: skip
    assert np.abs(held / 1000 - 0.95)[[0, 1, 3]].max() < 0.028
    assert abs(held[2] / 1000 - 0.95) < 0.048


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000), shift=st.floats(-100, 100), scale=st.floats(0.01, 100), n=st.integers(3, 20)
)  # fmt: skip
def test_effect_sizes_do_not_depend_on_the_unit(seed: int, shift: float, scale: float, n: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=n), rng.normal(0.5, 2.0, size=n + 2)
    one, other = compared(a, b), compared(scale * a + shift, scale * b + shift)
    assert other.difference == pytest.approx(scale * one.difference, rel=1e-6, abs=1e-9)
    for part in ("effect", "effect_low", "effect_high", "cliffs_delta", "cliffs_low", "p"):
        assert getattr(other, part) == pytest.approx(getattr(one, part), rel=1e-5, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 12))
def test_exchanging_the_groups_turns_the_signs(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 6, size=n).astype(float), rng.integers(2, 9, size=n + 1).astype(float)
    one, other = compared(a, b), compared(b, a)
    assert other.difference == pytest.approx(-one.difference)
    assert other.cliffs_delta == pytest.approx(-one.cliffs_delta)
    assert other.cliffs_high == pytest.approx(-one.cliffs_low, nan_ok=True)
    assert other.p == pytest.approx(one.p, nan_ok=True)


def test_holm_is_that_of_the_textbook() -> None:
    np.testing.assert_allclose(adjust(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])


def test_benjamini_and_hochberg_is_that_of_scipy_and_of_the_paper() -> None:
    p = np.random.default_rng(2).random(30) ** 3
    np.testing.assert_allclose(adjust(p, "benjamini_hochberg"), stats.false_discovery_control(p))
    paper = np.array(
        [
            0.0001,
            0.0004,
            0.0019,
            0.0095,
            0.0201,
            0.0278,
            0.0298,
            0.0344,
            0.0459,
            0.324,
            0.4262,
            0.5719,
            0.6528,
            0.759,
            1.0,
        ]
    )
    # Benjamini & Hochberg (1995), section 4: four are rejected at 5 %, by Bonferroni and Holm three.
    assert (adjust(paper, "benjamini_hochberg") <= 0.05).sum() == 4
    assert (adjust(paper, "holm") <= 0.05).sum() == 3
    assert (adjust(paper, "bonferroni") <= 0.05).sum() == 3


@pytest.mark.parametrize("method", ["holm", "bonferroni", "benjamini_hochberg"])
def test_comparisons_that_are_not_shown_count_as_if_their_p_were_1(method: str) -> None:
    p = np.array([0.001, 0.02, 0.2])
    shown = adjust(p, method, looked_at=10)
    np.testing.assert_allclose(shown, adjust(np.append(p, np.ones(7)), method)[:3])


def test_what_has_no_p_stays_without_one_and_counts() -> None:
    np.testing.assert_allclose(adjust(np.array([0.01, np.nan, 0.5]), "holm"), [0.03, np.nan, 1.0])


@given(
    p=st.lists(st.floats(0, 1), min_size=1, max_size=20), more=st.integers(0, 10),
    method=st.sampled_from(["holm", "bonferroni", "benjamini_hochberg"]),
)  # fmt: skip
def test_adjusted_chances_are_larger_and_in_the_same_order(p: list[float], more: int, method: str) -> None:
    given_p = np.array(p)
    adjusted = adjust(given_p, method, len(p) + more)
    assert (adjusted >= given_p - 1e-15).all()
    assert (adjusted <= 1.0).all()
    assert (np.diff(adjusted[np.argsort(given_p, kind="stable")]) >= -1e-15).all()


@pytest.mark.slow
def test_holm_seldom_claims_anything_where_there_is_nothing() -> None:
    # 4000 families of 12 true hypotheses at 5 %: standard error 0.35 %.
    p = np.random.default_rng(3).random((4000, 12))
    assert np.mean([(adjust(row) <= 0.05).any() for row in p]) < 0.065


@pytest.mark.parametrize("looked_at", [2, 0, 3.5, True, "many"])
def test_no_fewer_comparisons_than_are_shown_can_have_been_looked_at(looked_at: object) -> None:
    with pytest.raises(InputError, match="looked_at"):
        adjust(np.array([0.1, 0.2, 0.3]), "holm", looked_at)  # type: ignore[arg-type]


def test_an_unknown_correction_is_told_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'benjamini_hochberg'"):
        adjust(np.array([0.1]), "benjamini_hochburg")


def test_a_parameter_that_decides_explains_all_and_another_nothing() -> None:
    code = np.repeat([0, 1, 2], 50)
    noise = np.random.default_rng(4).normal(size=150)
    assert omega_squared(code, code * 100.0 + 1e-3 * noise) == pytest.approx(1.0, abs=1e-4)
    # Corrected for chance: eta squared would be 1.3 % in the mean.
    assert np.mean([omega_squared(code, x) for x in np.random.default_rng(5).normal(size=(200, 150))]) < 0.012
    assert omega_squared(code, np.ones(150)) == 0.0
    assert np.isnan(omega_squared(np.zeros(5, np.intp), np.arange(5.0)))


def test_the_rank_correlation_is_that_of_scipy() -> None:
    rng = np.random.default_rng(6)
    x = rng.integers(0, 5, 60).astype(float)
    y = x + rng.normal(0, 2, 60)
    r, low, high = spearman(x, y, 0.95)
    assert r == pytest.approx(stats.spearmanr(x, y).statistic)
    assert low < r < high


def test_many_values_of_a_parameter_are_put_into_groups() -> None:
    code, names = grouped(np.linspace(0.0, 1.0, 100))
    assert np.bincount(code).tolist() == [20] * 5
    assert names[0] == "0 to 0.2"
    assert grouped(np.array(["b", "a", "b"]))[1] == ["a", "b"]


def test_an_effect_leaves_out_runs_without_a_number() -> None:
    values = np.array([1.0, 2.0, np.nan, 5.0, 6.0, 7.0])
    found = effect(np.array([0, 0, 0, 1, 1, 1]), values)
    assert (found.n, found.contrast.n_a, found.contrast.n_b) == (5, 2, 3)
    assert found.contrast.difference == 4.5
    assert (found.lowest, found.highest) == ("0", "1")


def test_chances_lie_between_0_and_1() -> None:
    with pytest.raises(InputError, match="from 0 to 1"):
        adjust(np.array([0.2, 1.2]))
    assert adjust(np.array([0.2, 0.1]), None).tolist() == [0.2, 0.1]


def test_limits_of_a_huge_t_are_those_of_a_normal_one() -> None:
    low, high = noncentral_limits(400.0, 30, 0.95)
    half = 1.959964 * np.sqrt(1 + 400.0**2 / 60)
    assert (low, high) == pytest.approx((400 - half, 400 + half), rel=0.05)
