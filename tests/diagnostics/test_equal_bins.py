import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simengine.diagnostics.equal_bins import UNDEFINED, bin_of, equal_edges, plug_in_entropy


def counts(values, low, high, bins):
    edges = equal_edges(low, high, bins)
    found = np.zeros(bins, int)
    for value in values:
        index = bin_of(value, edges)
        if index >= 0:
            found[index] += 1
    return found


@pytest.mark.parametrize("bins", [1, 7, 12, 15, 20, 24, 25])
@pytest.mark.parametrize("high", [1.0, 2.0, 3.3, np.pi, 2 * np.pi, 12.5, 1e-3, 1e9])
def test_edges_are_those_of_linspace_to_the_last_bit(bins, high):
    for low in (0.0, -high / 3):
        np.testing.assert_array_equal(equal_edges(low, high, bins), np.linspace(low, high, bins + 1))


@pytest.mark.parametrize("bins", [1, 7, 15, 20, 25])
@pytest.mark.parametrize("high", [1.0, 2.0, 3.3, 12.5, 17.5])
def test_values_at_and_beside_every_edge_fall_where_numpy_puts_them(bins, high):
    edges = np.linspace(0.0, high, bins + 1)
    values = np.concatenate([edges, np.nextafter(edges, -np.inf), np.nextafter(edges, np.inf)])
    for value in values:
        expected = np.histogram([value], bins=bins, range=(0.0, high))[0]
        np.testing.assert_array_equal(counts([value], 0.0, high, bins), expected)


@given(
    st.lists(st.floats(-1.0, 6.0), min_size=1, max_size=50),
    st.floats(0.01, 5.0),
    st.integers(1, 40),
)
def test_counts_equal_those_of_numpy(values, high, bins):
    expected = np.histogram(values, bins=bins, range=(0.0, high))[0]
    np.testing.assert_array_equal(counts(values, 0.0, high, bins), expected)


def test_nan_and_infinite_values_belong_to_no_bin():
    edges = equal_edges(0.0, 1.0, 20)
    assert [bin_of(value, edges) for value in (np.nan, np.inf, -np.inf)] == [-1, -1, -1]


def test_entropy_of_equal_weights_is_one_and_of_a_single_weight_zero():
    assert plug_in_entropy(np.full(25, 3.0)) == pytest.approx(1.0, abs=1e-15)
    assert plug_in_entropy(np.array([0.0, 4.0, 0.0])) == 0.0


def test_entropy_of_two_of_four_bins_is_one_half():
    assert plug_in_entropy(np.array([5.0, 0.0, 5.0, 0.0])) == pytest.approx(0.5, abs=1e-15)


def test_entropy_of_nothing_is_undefined():
    assert plug_in_entropy(np.zeros(20)) == UNDEFINED == 0.5


@given(st.lists(st.floats(0.0, 1e6), min_size=2, max_size=40))
def test_entropy_lies_between_zero_and_one_and_ignores_order(weights):
    weights = np.array(weights)
    entropy = plug_in_entropy(weights)
    assert 0.0 <= entropy <= 1.0
    assert plug_in_entropy(weights[::-1].copy()) == pytest.approx(entropy, abs=1e-12)
