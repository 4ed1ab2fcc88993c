"""Statistical tests have fixed seeds; their error rates are in comments."""

import numpy as np
import pytest
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine.diagnostics.counts import divergences
from simengine.diagnostics.dynamics.change import drift, novelty, resonance, transience, window_counts
from simengine.errors import InputError

REPETITIONS = 200
BEFORE = np.array([0.3, 0.2, 0.15, 0.12, 0.1, 0.08, 0.05])
AFTER = np.array([0.1, 0.1, 0.2, 0.1, 0.2, 0.1, 0.2])


def kl(p, q):
    return (p * np.log(p / q)).sum()


def turn(mix, size):
    """Sequences of 9 tables, distributed otherwise from the sixth one on, and half so from the seventh on."""
    changed = (1 - mix) * BEFORE + mix * AFTER
    laws = np.array([BEFORE] * 5 + [changed] + [0.5 * (changed + BEFORE)] * 3)
    rng = np.random.default_rng(1)
    return laws, np.stack([rng.multinomial(size, law, size=REPETITIONS) for law in laws], axis=1)


def assert_honest(found, truth):
    """Coverage of 90 % at least and width of 1.5 oracles at most; with a coverage of 95 % failing 0.3 % of times."""
    low, high = found.interval
    assert np.mean((low <= truth + 1e-12) & (truth - 1e-12 <= high)) >= 0.9
    assert np.median(high - low) <= 1.5 * 2 * 1.96 * found.value.std()
    assert abs(found.value.mean() - truth) < 0.3 * found.value.std()
    assert found.reliable.all()


@pytest.mark.parametrize("size", [300, 3000])
@pytest.mark.parametrize("mix", [0.0, 0.1, 0.3, 1.0])
def test_intervals_hold_the_truth(mix, size):
    laws, counts = turn(mix, size)
    window, now = 3, 5
    new = np.mean([kl(laws[now], laws[now - j]) for j in range(1, window + 1)])
    passing = np.mean([kl(laws[now], laws[now + j]) for j in range(1, window + 1)])
    assert_honest(novelty(counts, window=window)[:, now], new)
    assert_honest(transience(counts, window=window)[:, now], passing)
    assert_honest(resonance(counts, window=window)[:, now], new - passing)
    middle = 0.5 * (laws[4] + laws[5])
    assert_honest(drift(counts)[:, now], 0.5 * kl(laws[4], middle) + 0.5 * kl(laws[5], middle))


def test_where_nothing_changes_values_scatter_about_zero_as_the_null_says():
    _, counts = turn(0.0, 1000)
    for found in (novelty(counts, window=3), transience(counts, window=3), resonance(counts, window=3), drift(counts)):
        now = found[:, 5]
        # Means within 4 standard errors, standard deviations within a quarter (4 standard errors and more).
        assert abs(now.value.mean()) < 4 * now.null_sd[0] / np.sqrt(REPETITIONS)
        assert now.value.std() == pytest.approx(now.null_sd[0], rel=0.25)


def test_states_of_another_time_do_not_count():
    rng = np.random.default_rng(2)
    later = rng.multinomial(200, BEFORE, size=(REPETITIONS, 9))
    before = rng.multinomial(200, np.full(50, 0.02), size=(REPETITIONS, 2))
    counts = np.concatenate([before, np.pad(later, ((0, 0), (0, 0), (0, 43)))], axis=1)
    for window in (1, 3):
        for quantity in (novelty, resonance):
            now, alone = quantity(counts, window=window)[:, 7], quantity(later, window=window)[:, 5]
            np.testing.assert_allclose(now.value, alone.value, rtol=1e-10, atol=1e-12)
            np.testing.assert_allclose(now.standard_error, alone.standard_error, rtol=1e-10)
            # A mean within 4 standard errors.
            assert abs(now.value.mean()) < 4 * now.null_sd[0] / np.sqrt(REPETITIONS)


def test_plug_in_values_are_those_of_the_definition():
    counts = np.random.default_rng(3).poisson(20, (8, 4))
    p = (counts + 0.5) / (counts.sum(axis=1, keepdims=True) + 2.0)
    new = [np.mean([kl(p[t], p[t - j]) for j in (1, 2)]) for t in range(2, 8)]
    passing = [np.mean([kl(p[t], p[t + j]) for j in (1, 2)]) for t in range(6)]
    np.testing.assert_allclose(novelty(counts, window=2).details["plug_in"][2:], new)
    np.testing.assert_allclose(transience(counts, window=2).details["plug_in"][:6], passing)
    both = resonance(counts, window=2).details["plug_in"][2:6]
    np.testing.assert_allclose(both, np.array(new)[:4] - np.array(passing)[2:])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(1, 3))
def test_backwards_novelty_is_transience_and_the_names_of_states_do_not_matter(seed, states, window):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(15, (9, states))
    forward, backward = novelty(counts, window=window), transience(counts[::-1], window=window)
    np.testing.assert_allclose(forward.value, backward.value[::-1], atol=1e-12)
    np.testing.assert_allclose(resonance(counts, window=window).value,
                               -resonance(counts[::-1], window=window).value[::-1], atol=1e-12)  # fmt: skip
    renamed = novelty(counts[:, rng.permutation(states)], window=window)
    np.testing.assert_allclose(forward.value, renamed.value, atol=1e-12)


def test_values_that_need_tables_beyond_the_ends_are_missing_and_flagged():
    counts = np.random.default_rng(4).poisson(30, (2, 9, 4))
    for measure, missing in ((novelty, [0, 1, 2]), (transience, [6, 7, 8]), (resonance, [0, 1, 2, 6, 7, 8])):
        found = measure(counts, window=3)
        assert found.shape == (2, 9)
        assert np.flatnonzero(np.isnan(found.value[0])).tolist() == missing
        assert [found.flags[0, t] == ("series_end",) for t in range(9)] == [t in missing for t in range(9)]
    found = drift(counts, lag=2)
    assert [found.flags[1, t] == ("series_end",) for t in range(9)] == [t < 2 for t in range(9)]


def test_thin_empty_and_constant_tables_and_unseen_states_are_flagged():
    counts = np.random.default_rng(4).poisson(30, (9, 4)) + 1
    thin, gap = counts.copy(), counts.copy()
    thin[4] = 1
    gap[4] = 0
    assert "few_samples" in novelty(thin, window=2).flags[5]
    assert {"empty", "unseen_states"} <= set(novelty(gap, window=2).flags[5])
    assert "empty" in drift(gap).flags[4]
    assert novelty(counts, window=2).flags[5] == ()
    assert "constant" in drift(np.full((5, 1), 30)).flags[2]


@pytest.mark.parametrize(
    ("measure", "function"),
    [("kl", divergences.kl_divergence), ("population-stability", divergences.population_stability_index),
     ("hellinger", divergences.hellinger), ("wasserstein", divergences.wasserstein)],
)  # fmt: skip
def test_drift_is_the_divergence_of_now_from_before(measure, function):
    counts = np.random.default_rng(6).poisson(60, (2, 6, 4))
    found = drift(counts, lag=2, measure=measure)
    one = function(counts[1, 5], counts[1, 3])
    assert found.value[1, 5] == float(one)
    assert found[1, 5].interval == one.interval
    assert found.flags[1, 5] == one.flags
    assert np.isnan(found.value[:, :2]).all()


def test_drift_comes_in_bits():
    counts = np.random.default_rng(6).poisson(60, (6, 4))
    np.testing.assert_allclose(drift(counts, unit="bit").value * np.log(2), drift(counts).value)


def test_names_of_dims_are_kept():
    counts = xarray.DataArray(np.random.default_rng(5).poisson(30, (7, 2, 4)), dims=("time", "run", "topic"))
    found = novelty(counts.assign_coords(run=[3, 4]), window=2, dim="time")
    assert found.dims == ("run", "time")
    np.testing.assert_array_equal(found[1].value, novelty(counts.to_numpy()[:, 1], window=2).value)


def test_windows_of_a_series_are_counted():
    series = np.array([0, 1, 1, 2, 0, 0, 2, 2, 1])
    np.testing.assert_array_equal(window_counts(series, window=4), [[1, 2, 1], [2, 0, 2]])
    np.testing.assert_array_equal(window_counts(series, window=9, states=4), [[3, 3, 3, 0]])
    both = window_counts(np.stack([series, series]), window=4)
    np.testing.assert_array_equal(both, 2 * window_counts(series, window=4))
    assert window_counts(series, window=4).sum() == 8


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: novelty(c, window=9), "needs one of 1 to 8"),
        (lambda c: resonance(c, window=5), "needs one of 1 to 4"),
        (lambda c: novelty(c[0], window=1), "one table for each time"),
        (lambda c: novelty(-c, window=1), "not negative"),
        (lambda c: drift(c, lag=9), "allowed: 1 to 8"),
        (lambda c: drift(c, measure="helinger"), "did you mean 'hellinger'"),
        (lambda c: novelty("topics", window=1), "data= must say"),
        (lambda c: window_counts(c[0] * 0.5, window=2), "holds fractions"),
        (lambda c: window_counts(c[0], window=7), "at most 4"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call(np.arange(1, 37).reshape(9, 4))
