"""Entropy of a sliding window: the same as counting anew, without drift."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine.diagnostics.counts.entropies import entropy_from_counts
from simengine.diagnostics.counts.window import WindowEntropy, sliding_entropy
from simengine.errors import InputError

ADDITIVE = ["plug-in", "miller-madow", "grassberger", "grassberger-1988"]


@pytest.mark.parametrize("estimator", ADDITIVE)
def test_each_window_gives_what_its_counts_give(estimator: str) -> None:
    rng = np.random.default_rng(0)
    symbols = np.minimum(rng.integers(0, 9, 800), rng.integers(0, 9, 800))
    found = sliding_entropy(symbols, 120, states=9, estimator=estimator)
    windows = np.lib.stride_tricks.sliding_window_view(symbols, 120)
    counts = np.array([np.bincount(one, minlength=9) for one in windows])
    wanted = entropy_from_counts(counts, estimator=estimator)
    np.testing.assert_allclose(found.value, wanted.value, atol=1e-13)
    np.testing.assert_allclose(found.standard_error, wanted.standard_error, atol=1e-13)
    np.testing.assert_array_equal(found.null_mean, wanted.null_mean)
    assert found.flags.tolist() == wanted.flags.tolist()


def test_a_million_updates_leave_no_trace() -> None:
    rng = np.random.default_rng(1)
    symbols = np.minimum(rng.integers(0, 64, 1_010_000), rng.integers(0, 64, 1_010_000))
    used, fresh = WindowEntropy(64, 10_000), WindowEntropy(64, 10_000)
    used.push(symbols)
    fresh.push(symbols[-10_000:])
    assert used.estimate().value == fresh.estimate().value
    assert used.estimate().standard_error == fresh.estimate().standard_error
    assert used.estimate().value == pytest.approx(float(entropy_from_counts(used.counts)), abs=1e-12)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(1, 20), st.integers(1, 7))
@settings(max_examples=60, deadline=None)
def test_pushing_in_parts_or_at_once_is_the_same(symbols: list[int], window: int, part: int) -> None:
    at_once, in_parts = WindowEntropy(4, window), WindowEntropy(4, window)
    at_once.push(symbols)
    for start in range(0, len(symbols), part):
        in_parts.push(symbols[start : start + part])
    np.testing.assert_array_equal(at_once.counts, np.bincount(symbols[-window:], minlength=4))
    np.testing.assert_array_equal(at_once.counts, in_parts.counts)
    assert at_once.n == min(len(symbols), window)
    assert at_once.estimate().value == in_parts.estimate().value
    assert at_once.estimate().flags == in_parts.estimate().flags
    assert at_once.estimate().value == pytest.approx(float(entropy_from_counts(at_once.counts)), abs=1e-12)


def test_an_empty_window_is_flagged_and_reset_empties_it() -> None:
    window = WindowEntropy(3, 5)
    assert window.estimate().flags == ("empty",)
    window.push([0, 1, 2])
    window.reset()
    assert window.n == 0
    assert window.estimate("bit").flags == ("empty",)


def test_bad_windows_are_refused() -> None:
    with pytest.raises(InputError, match="longer than"):
        sliding_entropy([0, 1, 0], 4)
    with pytest.raises(InputError, match="no sum to keep"):
        sliding_entropy([0, 1, 0], 2, estimator="nsb")
    with pytest.raises(InputError, match="at least 1"):
        WindowEntropy(0, 5)
    with pytest.raises(InputError, match="0 to 2"):
        WindowEntropy(3, 5).push(3)
