from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import digamma

from simengine.diagnostics.continuous.measures import conditional, mutual, total
from simengine.diagnostics.continuous.mixed import Labelled, Mixture, Rectangles
from simengine.diagnostics.continuous.mutual import Options, neighbour_mutual_information
from simengine.errors import InputError

PLAIN = Options(scale="none", correct=False, reliability=False)


def normal_pair(n, d=1, rho=0.6, seed=0):
    random = np.random.default_rng(seed)
    x = random.standard_normal((n, d))
    return x, rho * x + math.sqrt(1.0 - rho**2) * random.standard_normal((n, d))


def distances(points):
    found = np.abs(points[:, None, :] - points[None, :, :]).max(axis=2)
    np.fill_diagonal(found, np.inf)
    return found


def test_type_one_is_its_definition():
    x, y = normal_pair(80, 2)
    in_x, in_y = distances(x), distances(y)
    radii = np.sort(np.maximum(in_x, in_y), axis=1)[:, 3]
    counts = [(one < radii[:, None]).sum(axis=1) for one in (in_x, in_y)]
    expected = digamma(4) + digamma(80) - digamma(counts[0] + 1) - digamma(counts[1] + 1)
    found = mutual(2, 2).local(np.hstack([x, y]), (4,), None)[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_type_two_is_its_definition():
    x, y = normal_pair(80)
    in_x, in_y = distances(x), distances(y)
    expected = np.empty(80)
    for i, nearest in enumerate(np.argsort(np.maximum(in_x, in_y), axis=1)[:, :4]):
        counts = [(one[i] <= one[i, nearest].max()).sum() for one in (in_x, in_y)]
        expected[i] = digamma(4) - 0.25 + digamma(80) - digamma(counts[0]) - digamma(counts[1])
    found = Rectangles(1, 1).local(np.hstack([x, y]), (4,), None)[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_conditional_information_is_its_definition():
    x, y = normal_pair(70)
    z = np.random.default_rng(1).standard_normal((70, 2))
    in_x, in_y, in_z = distances(x), distances(y), distances(z)
    radii = np.sort(np.maximum(np.maximum(in_x, in_y), in_z), axis=1)[:, 2][:, None]
    n_xz, n_yz, n_z = ((one < radii).sum(axis=1) for one in (np.maximum(in_x, in_z), np.maximum(in_y, in_z), in_z))
    expected = digamma(3) + digamma(n_z + 1) - digamma(n_xz + 1) - digamma(n_yz + 1)
    found = conditional(1, 1, 2).local(np.hstack([x, y, z]), (3,), None)[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_information_given_nothing_is_mutual_information():
    points = np.hstack(normal_pair(200))
    np.testing.assert_allclose(
        conditional(1, 1, 0).local(points, (4,), None), mutual(1, 1).local(points, (4,), None), rtol=0, atol=1e-12
    )


def test_total_correlation_of_two_is_mutual_information():
    points = np.hstack(normal_pair(200, 2))
    np.testing.assert_array_equal(total([2, 2]).local(points, (4,), None), mutual(2, 2).local(points, (4,), None))


def test_queries_give_the_local_values_of_their_samples():
    points = np.hstack(normal_pair(300, 2))
    queries = np.arange(5, 300, 7)
    labels = np.hstack([points[:, :2], (points[:, 2:3] > 0).astype(float)])
    for measure, where in (
        (mutual(2, 2), points), (Rectangles(2, 2), points), (Mixture(2, 2), points), (Labelled(), labels),
    ):  # fmt: skip
        whole, some = measure.local(where, (4, 8), None), measure.local(where, (4, 8), queries)
        np.testing.assert_array_equal(whole[:, queries], some)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10.0), st.floats(-3.0, 3.0))
def test_monotone_transforms_change_nothing_on_normal_scores(seed, factor, offset):
    x, y = normal_pair(60, seed=seed)
    plain = neighbour_mutual_information(x, y, Options())
    bent = neighbour_mutual_information(np.exp(x), factor * y**3 + offset, Options())
    assert bent.value == pytest.approx(plain.value, abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_value_is_symmetric_and_blind_to_the_order_of_the_samples(seed):
    x, y = normal_pair(80, 2, seed=seed)
    order = np.random.default_rng(seed).permutation(80)
    options = Options(correct=False, reliability=False)
    value = neighbour_mutual_information(x, y, options).value
    assert neighbour_mutual_information(x[order], y[order], options).value == value
    assert neighbour_mutual_information(y, x, options).value == pytest.approx(value, abs=1e-12)


def test_threads_change_no_bit():
    x, y = normal_pair(400, 2)
    one, three = (neighbour_mutual_information(x, y, Options(threads=threads)) for threads in (1, 3))
    assert (one.value, one.standard_error) == (three.value, three.standard_error)


def test_the_bias_of_many_dimensions_is_taken_off():
    # The textbook value lies 0.4 below the truth of 2.49; that left over is below 3 of 20 means' standard errors, 0.04.
    truth = -1.5 * math.log(1.0 - 0.81)
    pairs = [normal_pair(1000, 3, 0.9, seed) for seed in range(6)]
    found = [neighbour_mutual_information(*pair, Options(reliability=False)) for pair in pairs]
    assert np.mean([one.value for one in found]) == pytest.approx(truth, abs=0.08)
    assert np.mean([one.details["uncorrected"] for one in found]) < truth - 0.3


def test_edges_of_the_density_are_extrapolated():
    # y = x + uniform noise: the textbook value lies 0.073 below the truth, with a standard deviation of 0.022.
    random = np.random.default_rng(3)
    values, plain = [], []
    for _ in range(20):
        x = random.uniform(0, 1, (1000, 1))
        found = neighbour_mutual_information(x, x + random.uniform(-0.1, 0.1, (1000, 1)), Options(reliability=False))
        values.append(found.value)
        plain.append(found.details["uncorrected"])
    truth = 0.1 - math.log(0.2)
    assert np.mean(plain) < truth - 0.05
    assert np.mean(values) == pytest.approx(truth, abs=0.03)


def test_queries_cost_only_the_error_that_they_tell():
    x, y = normal_pair(4000)
    whole = neighbour_mutual_information(x, y, Options(reliability=False))
    some = neighbour_mutual_information(x, y, Options(reliability=False, queries=500))
    assert some.standard_error > 2.0 * whole.standard_error
    assert abs(some.value - whole.value) < 3.0 * some.standard_error
    assert len(some.details["local"]) == 500


def test_the_null_of_normal_scores_is_that_of_shuffles():
    x, y = normal_pair(300)
    kept = neighbour_mutual_information(x, y, Options(shuffles=60, reliability=False))
    raw = neighbour_mutual_information(x, y, Options(shuffles=60, reliability=False, scale="standard"))
    assert kept.null == "x and y independent"
    assert abs(kept.null_mean) < 4.0 * kept.null_sd / math.sqrt(60)
    assert kept.null_sd == pytest.approx(raw.null_sd, rel=0.5)
    assert kept.z > 4


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"k": 0}, "k is 0"), ({"k": 50}, "k is 50"), ({"queries": 1}, "queries"), ({"shuffles": -1}, "shuffles"),
        ({"scale": "normal"}, "normal-scores"), ({"k": True}, "k is True"), ({"seed": 2.0}, "seed is 2.0"),
        ({"correct": 1}, "expected True or False"), ({"threads": 10**6}, "threads is 1000000"),
    ],
)  # fmt: skip
def test_impossible_options_are_named(options, word):
    with pytest.raises(InputError, match=word):
        neighbour_mutual_information(*normal_pair(50), Options(**options))


@pytest.mark.parametrize(("rho", "estimator"), [(0.99, "ksg-1"), (0.997, "ksg-1"), (0.999, "ksg-1"), (0.999, "ksg-2")])
def test_strong_dependence_is_not_overshot(rho, estimator):
    # Intervals hold the truth in 88 to 98 % of repetitions, fewer than 23 of 30 times in 2 % of tests at worst.
    truth = -0.5 * math.log(1.0 - rho**2)
    options = Options(reliability=False)
    found = [neighbour_mutual_information(*normal_pair(1000, 1, rho, seed), options, estimator) for seed in range(30)]
    assert sum(one.interval[0] <= truth <= one.interval[1] for one in found) >= 23
    assert abs(np.mean([one.value for one in found]) - truth) < 0.07


def test_a_saturated_value_has_no_upper_limit():
    x = np.random.default_rng(1).standard_normal((500, 1))
    found = neighbour_mutual_information(x, x, Options())
    assert "saturated" in found.flags
    assert found.interval[1] == math.inf


@pytest.mark.slow
@pytest.mark.parametrize(("d", "rho"), [(1, 0.0), (1, 0.3), (1, 0.6), (1, 0.9), (2, 0.6), (2, 0.9), (3, 0.6), (3, 0.9)])
def test_intervals_hold_the_truth(d, rho):
    # 95 % nominal; with 100 repetitions 88 or fewer of 95 % happen in 0.3 % of tests.
    truth = -0.5 * d * math.log(1.0 - rho**2)
    found = [neighbour_mutual_information(*normal_pair(800, d, rho, seed), Options()) for seed in range(100)]
    assert sum(one.interval[0] <= truth <= one.interval[1] for one in found) >= 88
    spread = np.std([one.value for one in found])
    assert np.median([one.interval[1] - one.interval[0] for one in found]) <= 1.5 * 3.92 * spread
    assert np.mean([bool(one.flags) for one in found]) < 0.1
