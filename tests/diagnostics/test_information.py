from __future__ import annotations

import math

import numpy as np
import pytest
import xarray

from simengine.diagnostics.coding import cross_entropy
from simengine.diagnostics.information import (
    conditional_entropy,
    conditional_mutual_information,
    entropy,
    joint_entropy,
    mutual_information,
)
from simengine.errors import InputError


def pair(n=400, seed=0):
    random = np.random.default_rng(seed)
    x = random.standard_normal(n)
    return x, 0.6 * x + 0.8 * random.standard_normal(n)


X, Y = pair()
LABELS = np.random.default_rng(1).integers(0, 3, 400)
TEXTS = np.array(["left", "right"])[(X > 0).astype(int)]


@pytest.mark.parametrize(
    ("x", "y", "method"),
    [
        (LABELS, TEXTS, "miller-madow"), (X, LABELS, "ross"), (TEXTS, Y, "ross"), (X, Y, "ksg-1"),
        (np.clip(X, -1, 1), Y, "atom-aware"), (np.ones(400), Y, "atom-aware"),
        (np.random.default_rng(2).standard_normal((400, 4)), np.stack([X, Y, X * Y], axis=1), "copula"),
    ],
)  # fmt: skip
def test_what_the_variables_are_chooses_the_estimator(x, y, method):
    assert mutual_information(x, y, reliability=False).method == method


def test_many_dimensions_are_told_of():
    x = np.random.default_rng(2).standard_normal((400, 7))
    assert "high_dimension" in mutual_information(x, Y).flags
    assert "high_dimension" in entropy(x).flags
    assert "high_dimension" in conditional_mutual_information(x, Y, X).flags


@pytest.mark.parametrize(("x", "method"), [(LABELS, "grassberger"), (TEXTS, "grassberger"), (X, "kozachenko-leonenko")])
def test_entropy_of_labels_is_counted_and_of_numbers_looked_up(x, method):
    assert entropy(x).method == method


@pytest.mark.parametrize("estimator", ["ksg-1", "ksg-2", "gao", "atom-aware", "gaussian", "copula"])
def test_every_estimator_finds_the_information_of_a_normal_pair(estimator):
    found = mutual_information(X, Y, estimator=estimator)
    assert found.method == estimator
    assert found.value == pytest.approx(-0.5 * math.log(0.64), abs=4.0 * found.standard_error)
    assert mutual_information(X, Y, estimator=estimator, unit="bit").value == pytest.approx(found.value / math.log(2.0))


def test_numbers_in_bins_are_labels():
    found = mutual_information(X, Y, bins=4, range=(-4.0, 4.0))
    symbols = [np.clip(np.floor((one + 4.0) / 2.0), 0, 3).astype(int) for one in (X, Y)]
    assert found.value == pytest.approx(mutual_information(*symbols).value, abs=1e-12)
    assert "outside_range" in mutual_information(X, Y, bins=4, range=(-1.0, 1.0)).flags
    named = mutual_information(X, LABELS, bins={"x": [-9.0, 0.0, 9.0]})
    assert named.value == pytest.approx(mutual_information(X >= 0, LABELS).value, abs=1e-12)
    assert entropy(X, bins=[-9.0, 0.0, 9.0]).value == pytest.approx(entropy(X >= 0).value, abs=1e-12)


def test_counts_are_their_samples():
    assert entropy(counts=np.bincount(LABELS)).value == entropy(LABELS).value
    assert entropy(counts=[[5, 5], [9, 1]]).shape == (2,)


def test_named_dims_make_a_batch_and_names_come_from_data():
    random = np.random.default_rng(4)
    x = xarray.DataArray(random.standard_normal((3, 200)), dims=("step", "agent"), coords={"step": [10, 20, 30]})
    y = (x + random.standard_normal((3, 200))).rename("y")
    found = mutual_information(x, y, dim="agent", reliability=False)
    assert (found.dims, found.shape) == (("step",), (3,))
    assert found.coords["step"].values.tolist() == [10, 20, 30]
    alone = mutual_information(x.values[1], y.values[1], reliability=False)
    assert found.value[1] == alone.value
    dataset = xarray.Dataset({"x": x, "y": y})
    again = mutual_information("x", "y", data=dataset, dim="agent", reliability=False)
    np.testing.assert_array_equal(again.value, found.value)


def test_numbers_given_labels_are_taken_label_by_label():
    found = conditional_mutual_information(X, Y + 10.0 * LABELS, LABELS, reliability=False)
    assert found.value == pytest.approx(-0.5 * math.log(0.64), abs=4.0 * found.standard_error)
    assert found.method == "ksg-1 by label"


def test_conditional_information_of_each_kind():
    assert conditional_mutual_information(LABELS, TEXTS, X > 1).method == "miller-madow"
    assert conditional_mutual_information(X, Y, X**2 + Y, reliability=False).method == "frenzel-pompe"
    assert conditional_mutual_information(X, Y, X, estimator="copula").flags == ("singular",)


def test_entropies_of_labels_obey_the_chain_rule():
    a, b = LABELS, (LABELS + (X > 0)) % 3
    plug_in = {"estimator": "plug-in"}
    joint, part = joint_entropy(a, b, **plug_in).value, entropy(b, **plug_in).value
    assert conditional_entropy(a, b, **plug_in).value == pytest.approx(joint - part, abs=1e-12)
    shared = mutual_information(a, b, **plug_in).value
    assert shared == pytest.approx(entropy(a, **plug_in).value + part - joint, abs=1e-12)


def test_entropy_of_numbers_given_numbers():
    found = conditional_entropy(Y, X)
    truth = 0.5 * math.log(2.0 * math.pi * math.e * 0.64)
    assert found.value == pytest.approx(truth, abs=4.0 * found.standard_error)
    assert joint_entropy(X, Y).value == pytest.approx(entropy(np.stack([X, Y], axis=1)).value, abs=1e-12)


def test_cross_entropy_is_the_code_length():
    # 95 % nominal; 170 or fewer of 200 happen in 1e-7 of tests.
    random, p, q = np.random.default_rng(0), np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
    truth = -float(p @ np.log(q))
    found = [cross_entropy(random.choice(3, 200, p=p), random.choice(3, 300, p=q)) for _ in range(200)]
    assert sum(one.interval[0] <= truth <= one.interval[1] for one in found) > 170
    assert np.mean([one.value for one in found]) == pytest.approx(truth, abs=0.02)
    assert "unseen_states" in cross_entropy(np.arange(60) % 3, np.arange(60) % 2).flags
    assert "few_samples" in cross_entropy([1, 2], [1, 2]).flags
    assert cross_entropy([0.1] * 60, [0.2] * 60, bins=2, range=(0, 1)).value == pytest.approx(0.0, abs=0.02)


def test_the_cross_entropy_of_equal_laws_has_no_bias():
    # The mean of 400 values of standard deviation 0.07 is within 4 standard errors; without its correction 0.07 off.
    random = np.random.default_rng(1)
    found = [cross_entropy(random.integers(0, 8, 100), random.integers(0, 8, 100)).value for _ in range(400)]
    assert np.mean(found) == pytest.approx(math.log(8.0), abs=0.014)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: entropy(), "one of the two"),
        (lambda: entropy(X, estimator="ksg"), "unknown estimator 'ksg'"),
        (lambda: entropy(X, estimator="grassberger"), "bins="),
        (lambda: entropy(X, unit="bits"), "nat and bit"),
        (lambda: entropy(TEXTS, estimator="gaussian"), "texts"),
        (lambda: mutual_information(X, Y, estimator="ksg1"), "did you mean.*ksg-1"),
        (lambda: mutual_information(X, Y, estimator="miller-madow"), "bins="),
        (lambda: mutual_information(X, Y, estimator="ross"), "labels"),
        (lambda: mutual_information(X, Y[:-1]), "x 400, y 399"),
        (lambda: mutual_information(X, np.where(Y > 2, np.nan, Y)), "y holds nan"),
        (lambda: mutual_information(X, Y, k=400), "k is 400"),
        (lambda: mutual_information(X, Y, range=(0, 1)), "bins="),
        (lambda: mutual_information(X, Y, bins={"z": 3}), "z; the variables are x, y"),
        (lambda: mutual_information(LABELS, LABELS, states=(3, 3, 3)), "states has 3"),
        (lambda: conditional_mutual_information(LABELS, Y, X), "labels beside numbers"),
        (lambda: joint_entropy(), "at least one"),
        (lambda: joint_entropy(LABELS, X), "labels and numbers"),
        (lambda: conditional_entropy(X, Y, estimator="nsb"), "bins="),
        (lambda: cross_entropy(X, Y), "bins="),
        (lambda: cross_entropy([], []), "shape"),
    ],
)
def test_mistakes_are_named_in_one_line(call, words):
    with pytest.raises(InputError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_all_constant_labels_hold_nothing():
    for x, y in ((np.zeros(50, int), LABELS[:50]), (np.zeros(50), Y[:50]), (np.zeros(50), LABELS[:50])):
        found = mutual_information(x, y)
        assert found.value == 0.0
        assert "constant" in found.flags
    assert entropy(np.full(50, 2.5)).value == -math.inf
    assert "constant" in entropy(np.full(50, 2)).flags


def test_labels_with_too_few_samples_each_give_no_value_in_silence():
    x, y = pair(2000)
    none = conditional_mutual_information(x, y, np.repeat(np.arange(200), 10))
    assert math.isnan(none.value)
    assert none.flags == ("few_samples",)


def test_doubts_of_many_small_labels_add_up():
    x, y = pair(2000)
    assert "few_samples" in conditional_mutual_information(x, y, np.repeat(np.arange(100), 20)).flags


def test_a_cross_entropy_puts_whole_numbers_into_bins_like_others():
    x, y = np.array([-1, 2, 3] * 30), np.array([1, 2, 0] * 30)
    whole, plain = (cross_entropy(*pair, bins=2, range=(-2, 4)) for pair in ((x, y), (x * 1.0, y * 1.0)))
    assert whole.value == plain.value
    with pytest.raises(InputError, match="texts"):
        cross_entropy(TEXTS, TEXTS, bins=2, range=(0, 1))


def test_a_cross_entropy_of_one_state_is_flagged():
    assert "constant" in cross_entropy(np.ones(60, int), np.ones(60, int)).flags


def test_whole_numbers_are_put_into_bins_where_there_are_bins() -> None:
    assert float(entropy(np.arange(1000), bins=10, range=(0, 1000)).value) == pytest.approx(np.log(10.0), abs=0.01)
