"""The numbers of antropy, whose import compiles for 20 s."""

import numpy as np
import pytest

from simengine.diagnostics.dynamics.lempel_ziv import lempel_ziv_complexity
from simengine.diagnostics.dynamics.ordinal import permutation_entropy

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def antropy():
    return pytest.importorskip("antropy")


@pytest.mark.parametrize("order", [3, 4])
@pytest.mark.parametrize("lag", [1, 2])
def test_entropy_of_patterns_is_the_peers(antropy, order, lag):
    series = np.cumsum(np.random.default_rng(1).normal(size=1000))
    found = permutation_entropy(series, order=order, lag=lag, estimator="plug-in", unit="bit").value
    assert found == pytest.approx(antropy.perm_entropy(series, order=order, delay=lag), abs=1e-9)


@pytest.mark.parametrize("n", [50, 1000])
@pytest.mark.parametrize("states", [2, 4])
def test_numbers_of_phrases_are_the_peers(antropy, n, states):
    for seed in range(5):
        series = np.random.default_rng(seed).integers(0, states, n)
        assert lempel_ziv_complexity(series).value == antropy.lziv_complexity(series, normalize=False)
