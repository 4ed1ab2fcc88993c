"""Entropies from counts: against tables, peers, simulation and themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import digamma
from scipy.stats import entropy as scipy_entropy

from simengine.diagnostics.counts.entropies import ESTIMATORS, entropy_from_counts, even_null
from simengine.diagnostics.counts.kernels import GRASSBERGER, digamma_of_count, entropy_of
from simengine.errors import InputError

COUNTS = np.array([3, 4, 1, 0, 2])


@pytest.mark.parametrize(
    ("estimator", "value"),
    [
        # By hand from the formulas of the papers; to 1e-12 the same as infomeasure 0.6.3, which has the first five.
        ("plug-in", 1.2798542258336676),
        ("miller-madow", 1.4298542258336675),
        ("grassberger-1988", 1.4748007578955786),
        ("chao-shen", 1.4542598538950486),
    ],
)
def test_estimators_give_the_published_formulas(estimator: str, value: float) -> None:
    assert entropy_from_counts(COUNTS, estimator=estimator).value == pytest.approx(value, abs=1e-12)


def test_grassberger_is_written_with_digammas_of_half_the_count() -> None:
    n = np.arange(1, 200)
    terms = digamma(n // 2 + 0.5) + math.log(2)
    terms[0] = -np.euler_gamma - math.log(2)
    expected = math.log(n.sum()) - (n * terms).sum() / n.sum()
    assert entropy_from_counts(n).value == pytest.approx(expected, abs=1e-12)


def test_digammas_of_whole_numbers_agree_with_scipy() -> None:
    for n in (1, 2, 5, 19, 20, 21, 1000, 10**9):
        assert digamma_of_count(n) == pytest.approx(digamma(n), rel=1e-14)


def test_plug_in_agrees_with_scipy() -> None:
    counts = np.random.default_rng(1).integers(0, 50, (20, 30))
    found = entropy_from_counts(counts, estimator="plug-in")
    np.testing.assert_allclose(found.value, scipy_entropy(counts, axis=-1), atol=1e-9)
    in_bits = entropy_from_counts(counts, estimator="plug-in", unit="bit")
    np.testing.assert_allclose(in_bits.value, scipy_entropy(counts, axis=-1, base=2), atol=1e-9)
    assert in_bits.unit == "bit"


def test_james_stein_shrinks_all_the_way_for_even_counts_and_knows_unseen_states() -> None:
    assert entropy_from_counts([5, 5, 5], estimator="james-stein").value == pytest.approx(math.log(3))
    shares = np.array([6.0, 3.0, 1.0, 0.0]) / 10
    weight = (1 - (shares**2).sum()) / (9 * ((0.25 - shares) ** 2).sum())
    shrunk = weight / 4 + (1 - weight) * shares
    expected = -(shrunk * np.log(shrunk)).sum()
    for found in (
        entropy_from_counts([6, 3, 1, 0], estimator="james-stein"),
        entropy_from_counts([6, 3, 1], states=4, estimator="james-stein"),
    ):
        assert found.value == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.integers(0, 40), min_size=2, max_size=12).filter(any), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_order_of_states_and_empty_states_do_not_matter(counts: list[int], random: object) -> None:
    shuffled = list(counts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for estimator in ("plug-in", "miller-madow", "grassberger", "grassberger-1988", "chao-shen"):
        expected = float(entropy_from_counts(counts, estimator=estimator))
        assert float(entropy_from_counts([*shuffled, 0, 0], estimator=estimator)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_batch_gives_what_its_rows_give(estimator: str) -> None:
    counts = np.random.default_rng(2).multinomial(300, [0.4, 0.3, 0.2, 0.1], size=(2, 3))
    found = entropy_from_counts(counts, estimator=estimator)
    assert found.shape == (2, 3)
    for index in np.ndindex(2, 3):
        single = entropy_from_counts(counts[index], estimator=estimator)
        assert single.value == found.value[index]
        assert single.interval == tuple(end[index] for end in found.interval)
        assert single.flags == found.flags[index]
        assert single.details["seen"] == found.details["seen"][index]
        assert entropy_of(counts[index], GRASSBERGER) == pytest.approx(float(entropy_from_counts(counts[index])))


def test_dataarrays_keep_their_names() -> None:
    counts = xarray.DataArray(np.full((2, 4), 50), dims=("time", "state"), coords={"time": [3.0, 4.0]})
    found = entropy_from_counts(counts)
    assert found.dims == ("time",)
    assert list(found.to_dataset("h")["time"]) == [3.0, 4.0]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_one_state_has_no_entropy_and_is_flagged(estimator: str) -> None:
    found = entropy_from_counts([0, 70, 0], estimator=estimator)
    assert "constant" in found.flags
    assert found.value == pytest.approx(0.0, abs=0.1)
    empty = entropy_from_counts([0, 0], estimator=estimator)
    assert empty.flags == ("empty",)
    assert math.isnan(empty.value)


def test_flags_tell_small_samples_and_unseen_states() -> None:
    assert entropy_from_counts([100, 100, 100]).flags == ()
    assert entropy_from_counts([10, 10, 10]).flags == ("few_samples",)
    assert entropy_from_counts([200, 3]).flags == ("few_samples",)
    assert entropy_from_counts([1] * 60).flags == ("unseen_states",)
    assert entropy_from_counts([100, 100, 100], estimator="plug-in").flags == ("few_samples",)


@pytest.mark.parametrize(
    ("counts", "options", "words"),
    [
        ([1, -1], {}, "not negative"),
        ([0.5, 1.0], {}, "whole"),
        ([np.nan, 1.0], {}, "whole"),
        ([], {}, "empty"),
        (np.zeros((0, 3), int), {}, "empty"),
        ([1, 2], {"estimator": "grassbergr"}, "grassberger"),
        ([1, 2], {"states": 1}, "at least 2"),
        ([1, 2], {"unit": "bits"}, "bit"),
    ],
)
def test_bad_input_is_told_in_one_line(counts: object, options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words) as raised:
        entropy_from_counts(counts, **options)  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("estimator", ["plug-in", "miller-madow", "grassberger", "grassberger-1988"])
@pytest.mark.parametrize(("n", "states"), [(40, 2), (41, 2), (60, 5), (100, 20), (50, 100), (3000, 3)])
def test_the_null_is_that_of_even_states(estimator: str, n: int, states: int) -> None:
    # 4000 draws: the mean is off by 1.6 % of the sd; 5 of these, 2e-6 a case. The sd by 1.1-3 %; 10 % allowed.
    draws = np.random.default_rng(5).multinomial(n, np.full(states, 1 / states), size=4000)
    values = entropy_from_counts(draws, estimator=estimator).value
    mean, sd = even_null(n, states, estimator)
    assert abs(np.mean(values) - mean) < 5 * sd / math.sqrt(4000)
    assert np.std(values) == pytest.approx(sd, rel=0.1)


def test_infomeasure_gives_the_same_where_definitions_match() -> None:
    infomeasure = pytest.importorskip("infomeasure")
    values = np.repeat(np.arange(5), COUNTS)
    pairs = {"discrete": "plug-in", "miller_madow": "miller-madow", "grassberger": "grassberger-1988",
             "chao_shen": "chao-shen"}  # fmt: skip
    for theirs, ours in pairs.items():
        expected = infomeasure.entropy(values, approach=theirs, base="e")
        assert entropy_from_counts(COUNTS, estimator=ours).value == pytest.approx(expected, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(
    counts=st.lists(st.integers(0, 60), min_size=1, max_size=12),
    estimator=st.sampled_from(["grassberger", "grassberger-1988", "miller-madow"]),
)
def test_one_table_gives_the_bits_of_a_batch_of_one(counts: list[int], estimator: str) -> None:
    single = entropy_from_counts(counts, estimator=estimator)
    batch = entropy_from_counts([counts], estimator=estimator)[0]
    for name in ("value", "standard_error", "null_mean", "null_sd", "n", "flags"):
        assert str(getattr(single, name)) == str(getattr(batch, name)), name
    assert single.details == batch.details
    assert [float(end) for end in single.interval] == pytest.approx([float(end) for end in batch.interval], nan_ok=True)
