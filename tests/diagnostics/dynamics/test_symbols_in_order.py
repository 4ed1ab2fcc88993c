import itertools
import math

import numpy as np
import pytest
from exact_chains import autoregressive, coverage
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine.diagnostics.dynamics.lempel_ziv import lempel_ziv_complexity
from simengine.diagnostics.dynamics.memory import long_run_variance
from simengine.diagnostics.dynamics.ordinal import permutation_entropy, statistical_complexity
from simengine.diagnostics.dynamics.ordinal_kernels import count_patterns, patterns
from simengine.diagnostics.dynamics.suffixes import previous_factors
from simengine.diagnostics.dynamics.tally import rare_excess, renumbered
from simengine.errors import InputError

SEQUENCES = st.integers(1, 4).flatmap(lambda states: st.lists(st.integers(0, states - 1), min_size=2, max_size=60))


def phrases_by_search(sequence):
    place, count = 0, 0
    while place < len(sequence):
        length = 1
        while place + length <= len(sequence) and any(
            sequence[start : start + length] == sequence[place : place + length] for start in range(place)
        ):
            length += 1
        place += length
        count += 1
    return count


@settings(max_examples=150, deadline=None)
@given(SEQUENCES)
def test_phrases_are_those_that_a_search_finds(sequence):
    assert lempel_ziv_complexity(sequence).value == phrases_by_search(sequence)


@settings(max_examples=100, deadline=None)
@given(SEQUENCES)
def test_previous_factors_are_those_that_a_search_finds(sequence):
    codes = np.array(sequence)
    found = previous_factors(codes, int(codes.max()) + 1)
    for place, length in enumerate(found.tolist()):
        runs = [start for start in range(place) if sequence[start : start + length] == sequence[place : place + length]]
        assert length == 0 or runs
        longer = sequence[place : place + length + 1]
        if place + length < len(sequence):
            assert not any(sequence[start : start + length + 1] == longer for start in range(place))


def test_the_example_of_lempel_and_ziv_has_its_six_phrases():
    assert lempel_ziv_complexity([int(one) for one in "0001101001000101"]).value == 6


def test_phrases_of_random_orders_are_more_than_those_of_order():
    found = lempel_ziv_complexity(np.arange(1000) % 5, shuffles=5, normalized=True)
    assert found.z < -10
    noise = lempel_ziv_complexity(np.random.default_rng(1).integers(0, 4, (8, 20000)), normalized=True)
    # The count of phrases of noise lies within five per cent of its limit at this length.
    assert 0.95 < noise.value < 1.05
    assert noise.standard_error < 0.01


@pytest.mark.slow
def test_phrase_counts_are_those_of_antropy():
    antropy = pytest.importorskip("antropy")
    rng = np.random.default_rng(2)
    for states, steps in itertools.product((2, 3, 10), (10, 333, 2000)):
        sequence = rng.integers(0, states, steps)
        assert lempel_ziv_complexity(sequence).value == antropy.lziv_complexity(sequence)
        expected = antropy.lziv_complexity(sequence, normalize=True)
        assert lempel_ziv_complexity(sequence, normalized=True).value == pytest.approx(expected, abs=1e-9)
        noise = rng.normal(size=steps)
        found = permutation_entropy(noise, order=4, lag=2, estimator="plug-in", unit="bit")
        assert found.value == pytest.approx(antropy.perm_entropy(noise, order=4, delay=2), abs=1e-9)


def test_ordinal_measures_agree_with_ordpy():
    ordpy = pytest.importorskip("ordpy")
    rng = np.random.default_rng(3)
    for values in (rng.normal(size=400).cumsum(), rng.integers(0, 3, 400)):
        for order, lag in itertools.product((2, 3, 4, 5), (1, 3)):
            found = permutation_entropy(values, order=order, lag=lag, estimator="plug-in")
            expected = ordpy.permutation_entropy(values, dx=order, taux=lag, base="e", normalized=False)
            assert found.value == pytest.approx(expected, abs=1e-9)
            complexity = statistical_complexity(values, order=order, lag=lag, estimator="plug-in")
            share, expected = ordpy.complexity_entropy(values, dx=order, taux=lag)
            assert complexity.value == pytest.approx(expected, abs=1e-9)
            assert complexity.details["entropy"] == pytest.approx(share, abs=1e-9)
            assert complexity.unit == "1"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=12, max_size=40), st.integers(2, 5), st.integers(1, 2))
def test_patterns_order_values_and_equal_ones_by_appearance(values, order, lag):
    series = np.array([values], float)
    codes, ties = patterns(series, order, lag)
    windows = [series[0, t : t + (order - 1) * lag + 1 : lag] for t in range(codes.shape[1])]
    ranks = [tuple(np.argsort(np.argsort(window, kind="stable"), kind="stable")) for window in windows]
    for (one, a), (other, b) in itertools.combinations(zip(codes[0].tolist(), ranks, strict=True), 2):
        assert (one == other) == (a == b)
    assert 0 <= codes.min() <= codes.max() < math.factorial(order)
    assert ties == sum(len(set(window.tolist())) < order for window in windows)


def test_patterns_counted_as_they_go_are_those_of_the_whole_series():
    rng = np.random.default_rng(4)
    agents, steps, order, lag = 7, 60, 4, 2
    values = rng.integers(0, 4, (agents, steps)).astype(float)
    rows = (order - 1) * lag + 1
    ring = np.zeros((rows, agents))
    each, pooled = np.zeros((agents, 24), np.int64), np.zeros(24, np.int64)
    for t in range(steps):
        ring[t % rows] = values[:, t]
        if t >= rows - 1:
            count_patterns(ring, t % rows, order, lag, each)
            count_patterns(ring, t % rows, order, lag, pooled)
    codes, _ = patterns(values, order, lag)
    expected = np.stack([np.bincount(row, minlength=24) for row in codes])
    np.testing.assert_array_equal(each, expected)
    np.testing.assert_array_equal(pooled, expected.sum(axis=0))


def test_white_noise_has_the_null_that_is_told():
    rng = np.random.default_rng(5)
    noise = rng.normal(size=(300, 1000))
    for order in (2, 3, 4):
        scores = np.array([permutation_entropy(one, order=order).z for one in noise])
        # Mean and standard deviation of 300 skew scores; tolerances of four standard errors and more.
        assert abs(scores.mean()) < 0.3
        assert 0.7 < scores.std() < 1.4
        scores = np.array([statistical_complexity(one, order=order).z for one in noise])
        assert abs(scores.mean()) < 0.4
        assert 0.6 < scores.std() < 1.5


def shares_of_three(keep):
    """Shares of the patterns of three values of an autoregression (Bandt & Shiha 2007)."""
    monotone = math.asin(0.5 * math.sqrt((1 - keep**2) / (1 - keep))) / math.pi
    return np.array([monotone] * 2 + [(1 - 2 * monotone) / 4] * 4)


@pytest.mark.slow
@pytest.mark.parametrize("keep", [0.0, 0.5, -0.6])
def test_intervals_hold_the_closed_form_of_an_autoregression(keep):
    series, _ = autoregressive(1000, np.random.default_rng(6), runs=200, source=keep)
    shares = shares_of_three(keep)
    entropy = float(-(shares * np.log(shares)).sum())
    middle = 0.5 * (shares + 1 / 6)
    apart = float(-(middle * np.log(middle)).sum()) - 0.5 * (entropy + math.log(6))
    most = -0.5 * (7 / 6 * math.log(7) - 2 * math.log(12) + math.log(6))
    for measure, truth in (
        (permutation_entropy, entropy), (statistical_complexity, apart / most * entropy / math.log(6))
    ):  # fmt: skip

        def estimate(i, measure=measure):
            one = measure(series[i])
            return one.value, *one.interval, not one.reliable

        held, width, flagged = coverage(estimate, truth, 200)
        # A true coverage of 94 % falls below 89 % of 200 in less than one of 200 cases.
        assert held >= 0.89
        assert width <= 1.5
        assert flagged <= 0.1


def test_doubtful_patterns_are_flagged():
    rng = np.random.default_rng(7)
    assert "many_ties" in permutation_entropy(rng.integers(0, 3, 1000)).flags
    assert "many_states" in permutation_entropy(rng.normal(size=1000), order=6).flags
    assert "few_samples" in permutation_entropy(rng.normal(size=100)).flags
    assert permutation_entropy(np.arange(1000.0)).value == 0.0


def test_mistakes_are_told_in_one_line():
    values = np.random.default_rng(8).normal(size=50)
    for call in (
        lambda: permutation_entropy(values, order=1),
        lambda: permutation_entropy(values, order=11),
        lambda: permutation_entropy(values, order=3, lag=30),
        lambda: statistical_complexity(values, estimator="none"),
        lambda: lempel_ziv_complexity(values),
        lambda: lempel_ziv_complexity(values, bins=3),
    ):
        with pytest.raises(InputError) as error:
            call()
        assert "\n" not in str(error.value)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=50))
def test_numbers_stand_for_equal_keys_in_order_of_appearance(keys):
    codes, states = renumbered(np.array(keys, np.int64))
    seen = list(dict.fromkeys(keys))
    assert states == len(seen)
    assert codes.tolist() == [seen.index(key) for key in keys]


def test_the_long_run_variance_is_that_of_the_mean_of_an_autoregression():
    rng = np.random.default_rng(9)
    for keep in (0.0, 0.7, -0.5):
        series, _ = autoregressive(4000, rng, runs=40, source=keep)
        found = np.array([long_run_variance(np.ascontiguousarray(row[None]))[0] for row in series])
        # Of 40 series; the mean of the estimates lies within 10 % of 1 / (1 - keep)^2.
        assert found.mean() == pytest.approx(1 / (1 - keep) ** 2, rel=0.1)
    line = np.ascontiguousarray(np.arange(500.0)[None])
    assert not long_run_variance(line)[2]


def test_rare_cells_are_summed_exactly():
    row, column, total = 7, 11, 40
    shares = [math.comb(row, n) * math.comb(total - row, column - n) / math.comb(total, column) for n in range(row + 1)]
    mean = row * column / total
    expected = sum(share * n * math.log(n / mean) for n, share in enumerate(shares) if n)
    expected -= 0.5 * (1 - row / total) * (1 - column / total)
    assert rare_excess(row, column, total) == pytest.approx(expected, abs=1e-12)
