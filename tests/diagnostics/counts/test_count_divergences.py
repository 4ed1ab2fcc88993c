"""Divergences and generalised entropies from counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy as scipy_entropy
from scipy.stats import wasserstein_distance

from simengine.diagnostics.counts.divergences import (
    cross_entropy_from_counts,
    hellinger,
    jensen_shannon,
    kl_divergence,
    population_stability_index,
    wasserstein,
)
from simengine.diagnostics.counts.generalised import renyi_entropy, tsallis_entropy
from simengine.diagnostics.counts.information import mutual_information_from_table
from simengine.errors import InputError

P, Q = np.array([30, 50, 20, 100]), np.array([80, 40, 60, 20])
SHARES_P, SHARES_Q = P / 200, Q / 200


def test_plug_in_values_agree_with_scipy() -> None:
    assert kl_divergence(P, Q, estimator="plug-in").value == pytest.approx(scipy_entropy(P, Q), abs=1e-12)
    both_ways = scipy_entropy(P, Q) + scipy_entropy(Q, P)
    assert population_stability_index(P, Q, estimator="plug-in").value == pytest.approx(both_ways, abs=1e-12)
    assert jensen_shannon(P, Q).details["plug_in"] == pytest.approx(jensenshannon(P, Q) ** 2, abs=1e-12)
    edges = np.array([0.0, 1.0, 3.0, 4.0, 8.0])
    centres = 0.5 * (edges[1:] + edges[:-1])
    expected = wasserstein_distance(centres, centres, SHARES_P, SHARES_Q)
    assert wasserstein(P, Q, bins=edges).details["plug_in"] == pytest.approx(expected, abs=1e-12)
    overlap = np.sqrt(SHARES_P * SHARES_Q).sum()
    assert hellinger(P, Q).details["plug_in"] == pytest.approx(math.sqrt(1 - overlap), abs=1e-12)


def test_jensen_shannon_by_sample_is_the_information_about_which_sample() -> None:
    table = np.array([P, Q, P + Q, [10, 40, 20, 60]])
    found = jensen_shannon(table, weights="samples", unit="bit")
    information = mutual_information_from_table(table, unit="bit")
    assert found.details["plug_in"] == pytest.approx(information.details["plug_in"], abs=1e-12)
    assert found.null_sd == pytest.approx(float(information.null_sd), abs=1e-12)
    # The sizes of the samples are fixed here, and drawn there, which changes the bias to second order.
    assert found.value == pytest.approx(float(information), abs=2e-4)
    assert found.interval == pytest.approx(information.interval, abs=2e-3)


def test_weights_of_jensen_shannon_are_scaled_and_zero_weights_drop_out() -> None:
    three = jensen_shannon(P, Q, [1, 2, 3, 400], weights=[2, 6, 0])
    two = jensen_shannon(P, Q, weights=[0.25, 0.75])
    assert three.value == pytest.approx(two.value, abs=1e-12)
    assert three.null_sd == pytest.approx(two.null_sd, abs=1e-12)


def test_zhang_and_grabchak_is_nearly_unbiased() -> None:
    # 2000 draws; 5 standard errors of the mean: 6e-7. The plug-in value is 8 or more away.
    p, q = np.array([0.4, 0.3, 0.2, 0.1]), np.array([0.1, 0.2, 0.3, 0.4])
    rng = np.random.default_rng(8)
    a, b = rng.multinomial(200, p, size=2000), rng.multinomial(150, q, size=2000)
    truth = float((p * np.log(p / q)).sum())
    for estimator, low, high in (("zhang-grabchak", 0.0, 5.0), ("plug-in", 5.0, math.inf)):
        values = np.asarray(kl_divergence(a, b, estimator=estimator).value)
        away = abs(values.mean() - truth) / (values.std() / math.sqrt(2000))
        assert low <= away < high
    cross = np.asarray(cross_entropy_from_counts(a, b).value)
    assert abs(cross.mean() + (p * np.log(q)).sum()) < 5 * cross.std() / math.sqrt(2000)


@pytest.mark.parametrize(
    "divergence",
    [kl_divergence, population_stability_index, jensen_shannon, hellinger, wasserstein, cross_entropy_from_counts],
)
def test_samples_of_one_distribution_follow_the_null(divergence: object) -> None:
    # 1500 draws: means are off by 2.6 % of the sd, sds by up to 4 %; allowed are 5 of these and higher orders.
    rng = np.random.default_rng(9)
    p = np.array([0.3, 0.25, 0.2, 0.1, 0.1, 0.05])
    a, b = rng.multinomial(1000, p, size=1500), rng.multinomial(600, p, size=1500)
    found = divergence(a, b)  # type: ignore[operator]
    mean, sd = np.mean(found.null_mean), np.mean(found.null_sd)
    assert abs(np.mean(found.value) - mean) < 0.2 * sd
    assert np.std(found.value) == pytest.approx(sd, rel=0.2)


def test_bins_that_one_side_lacks_are_flagged_and_stay_finite() -> None:
    found = kl_divergence([50, 50, 20], [60, 60, 0])
    assert found.flags == ("unseen_states",)
    assert math.isfinite(found.value)
    assert kl_divergence([60, 60, 0], [50, 50, 20]).flags == ()
    assert population_stability_index([60, 60, 0], [50, 50, 20]).flags == ("unseen_states",)


def test_edge_cases_have_their_flags() -> None:
    assert kl_divergence([5, 5], [5, 5]).flags == ("few_samples",)
    same = kl_divergence([100, 0], [100, 0])
    assert same.flags == ("constant",)
    assert same.value == 0.0
    assert kl_divergence([0, 0], [3, 1]).flags == ("empty",)
    batch = hellinger(np.array([[100, 100], [0, 0]]), [100, 100])
    assert batch.flags.tolist() == [(), ("empty",)]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: kl_divergence([1, 2], [1, 2, 3]), "bins"),
        (lambda: kl_divergence([1, 2], [1, -2]), "negative"),
        (lambda: kl_divergence([1, 2], [1, 2], estimator="plugin"), "plug-in"),
        (lambda: jensen_shannon([1, 2]), "two distributions"),
        (lambda: jensen_shannon([1, 2], [2, 1], weights=[1]), "weights"),
        (lambda: jensen_shannon([1, 2], [2, 1], weights="sample"), "samples"),
        (lambda: wasserstein([1, 2], [2, 1], bins=[0, 1]), "edges"),
        (lambda: renyi_entropy([1, 2], 0), "order"),
        (lambda: renyi_entropy([1, 2], 2, states=1), "states"),
    ],
)
def test_bad_arguments_are_told_in_one_line(call: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()  # type: ignore[operator]


def test_power_sums_of_whole_orders_count_groups_of_equal_samples() -> None:
    n = np.array([5, 3, 2])
    pairs = (n * (n - 1)).sum() / (10 * 9)
    assert tsallis_entropy(n, 2).value == pytest.approx(1 - pairs, abs=1e-12)
    triples = (n * (n - 1) * (n - 2)).sum() / (10 * 9 * 8)
    assert tsallis_entropy(n, 3).value == pytest.approx((1 - triples) / 2, abs=1e-12)
    assert renyi_entropy(n, 3).details["power_sum"] == pytest.approx(triples, abs=1e-12)


def test_generalised_entropies_meet_shannon_and_even_states() -> None:
    counts = [400, 300, 200, 100]
    shannon = float(renyi_entropy(counts, 1))
    assert renyi_entropy(counts, 1.0001).value == pytest.approx(shannon, abs=2e-3)
    assert tsallis_entropy(counts, 0.9999).value == pytest.approx(shannon, abs=2e-3)
    even = [1000] * 7
    for order in (0.5, 2, 3):
        assert renyi_entropy(even, order).value == pytest.approx(math.log(7), abs=3e-3)
        assert renyi_entropy(even, order, unit="bit").null_mean == pytest.approx(math.log2(7))
