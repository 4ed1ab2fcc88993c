import math

import numpy as np
import pytest
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine.diagnostics.multivariate import measures, shared
from simengine.diagnostics.multivariate.shared import (
    co_information,
    co_information_of,
    dual_total_correlation,
    dual_total_correlation_of,
    o_information,
    o_information_of,
    o_informations,
    s_information,
    s_information_of,
    total_correlation,
    total_correlation_of,
)
from simengine.errors import InputError

LN2 = math.log(2.0)
EXACT = [total_correlation_of, dual_total_correlation_of, o_information_of, s_information_of, co_information_of]
ESTIMATED = [total_correlation, dual_total_correlation, o_information, s_information, co_information]


def gate(function, noise=0.0):
    p = np.zeros((2, 2, 2))
    for a in (0, 1):
        for b in (0, 1):
            p[a, b, function(a, b)] += 0.25 * (1.0 - noise)
            p[a, b, 1 - function(a, b)] += 0.25 * noise
    return p


XOR = gate(lambda a, b: a ^ b)
COPIES = np.zeros((2, 2, 2))
COPIES[0, 0, 0] = COPIES[1, 1, 1] = 0.5


def gaussian_truth(name, covariance):
    """By differential entropies of subsets, (ln det) / 2."""
    m = len(covariance)

    def h(subset):
        return 0.5 * np.linalg.slogdet(covariance[np.ix_(subset, subset)])[1]

    every = list(range(m))
    total = sum(h([i]) for i in every) - h(every)
    dual = sum(h([j for j in every if j != i]) for i in every) - (m - 1) * h(every)
    return {"T": total, "D": dual, "O": total - dual, "S": total + dual}[name]


@pytest.mark.parametrize(
    ("table", "expected"),
    [(XOR, (1, 2, -1, 3, -1)), (COPIES, (2, 1, 1, 3, 1)), (np.full((2, 2, 2), 0.125), (0, 0, 0, 0, 0))],
    ids=["xor", "copies", "independent"],
)
def test_exact_tables_give_the_values_of_the_literature_in_bits(table, expected):
    for function, value in zip(EXACT, expected, strict=True):
        assert function(table) / LN2 == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("shape", [(2, 3, 2), (2, 2, 2, 2)])
def test_exact_tables_agree_with_dit(shape):
    dit = pytest.importorskip("dit")
    measures = dit.multivariate
    p = np.random.default_rng(1).dirichlet(np.ones(math.prod(shape))).reshape(shape)
    peer = dit.Distribution({"".join(map(str, index)): p[index] for index in np.ndindex(shape)})
    names = ["total_correlation", "dual_total_correlation", "o_information", "s_information", "coinformation"]
    for function, name in zip(EXACT, names, strict=True):
        assert function(p) == pytest.approx(getattr(measures, name)(peer) * LN2, abs=1e-9)


@given(st.integers(0, 10**6), st.lists(st.integers(1, 3), min_size=2, max_size=4))
@settings(max_examples=40, deadline=None)
def test_plug_in_estimates_are_the_exact_values_of_the_shares(seed, shape):
    counts = np.random.default_rng(seed).integers(0, 20, shape)
    counts[(0,) * len(shape)] += 1
    for exact, estimated in zip(EXACT, ESTIMATED, strict=True):
        found = estimated(counts=counts, estimator="plug-in")
        assert found.value == pytest.approx(exact(counts), abs=1e-10)
        assert found.interval[0] <= found.interval[1]


def test_samples_columns_counts_and_names_give_the_same():
    rng = np.random.default_rng(2)
    a, b = rng.integers(0, 3, (2, 400))
    c = (a + b) % 3
    counts = np.zeros((3, 3, 3), int)
    np.add.at(counts, (a, b, c), 1)
    data = xarray.Dataset({name: ("agent", values) for name, values in zip("abc", (a, b, c), strict=True)})
    for function in ESTIMATED:
        found = function(a, b, c)
        for other in (
            function(np.stack([a, b, c], axis=1)), function(counts=counts), function("a", "b", "c", data=data),
            function(*(np.array(["x", "y", "z"])[one] for one in (a, b, c))),
        ):  # fmt: skip
            assert other.value == pytest.approx(found.value, abs=1e-12)
            assert other.standard_error == pytest.approx(found.standard_error, abs=1e-12)


def test_a_batch_of_samples_gives_an_array_of_estimates_in_bits():
    x = np.random.default_rng(3).integers(0, 2, (5, 300, 1))
    found = total_correlation(x, x, unit="bit")
    assert found.shape == (5,)
    np.testing.assert_allclose(found.value, total_correlation(x[2], x[2], unit="bit").value, atol=0.05)
    assert found[2].value == pytest.approx(total_correlation(x[2], x[2], unit="bit").value)


@pytest.mark.parametrize("table", [XOR, gate(lambda a, b: a & b, 0.1), np.full((2, 2, 2), 0.125)])
@pytest.mark.parametrize("measure", [measures.TOTAL, measures.DUAL, measures.O_INFORMATION, measures.S_INFORMATION])
def test_intervals_of_counts_hold_the_truth_and_are_no_wider_than_they_must_be(table, measure):
    # 200 repetitions of coverage 0.95 fall below 0.9 with probability 0.002.
    rng = np.random.default_rng(4)
    truth = shared._of_table(measure, table)
    found = [
        shared._estimated(measure, (), "auto", "nat", counts.reshape(2, 2, 2), None, None, None)
        for counts in rng.multinomial(400, table.ravel(), size=200)
    ]
    low, high = np.array([one.interval for one in found]).T
    assert np.mean((low <= truth + 1e-9) & (truth - 1e-9 <= high)) >= 0.9
    oracle = 2 * 1.96 * np.std([one.value for one in found])
    assert np.median(high - low) <= 1.5 * oracle
    assert np.mean([bool(one.flags) for one in found]) < 0.05


@pytest.mark.parametrize("estimator", ["gaussian", "copula"])
@pytest.mark.parametrize("name", ["T", "D", "O", "S"])
def test_intervals_of_gaussian_samples_hold_the_closed_form(estimator, name):
    # 200 repetitions of coverage 0.95 fall below 0.9 with probability 0.002.
    rng = np.random.default_rng(5)
    function = dict(zip("TDOS", ESTIMATED[:4], strict=True))[name]
    for covariance in (np.eye(3), 0.6 ** np.abs(np.subtract.outer(np.arange(4), np.arange(4)))):
        truth = gaussian_truth(name, covariance)
        factor = np.linalg.cholesky(covariance)
        found = []
        for _ in range(200):
            x = rng.normal(size=(300, len(factor))) @ factor.T
            found.append(function(np.exp(x) if estimator == "copula" else x, estimator=estimator))
        low, high = np.array([one.interval for one in found]).T
        assert np.mean((low <= truth) & (truth <= high)) >= 0.9
        assert np.median(high - low) <= 1.5 * 2 * 1.96 * np.std([one.value for one in found])
        assert np.mean([bool(one.flags) for one in found]) < 0.05


def test_the_nulls_spread_is_that_of_independent_variables():
    # The standard deviation of 200 values has an error of about 5 %, with these tails 10 %.
    rng = np.random.default_rng(6)
    for function in ESTIMATED[:4]:
        counts = rng.multinomial(300, np.full(27, 1 / 27), size=200).reshape(-1, 3, 3, 3)
        found = [function(counts=one) for one in counts]
        assert np.std([one.value for one in found]) == pytest.approx(found[0].null_sd, rel=0.3)
        x = rng.normal(size=(200, 200, 4))
        found = [function(one, estimator="gaussian") for one in x]
        assert np.std([one.value for one in found]) == pytest.approx(found[0].null_sd, rel=0.3)


def test_gaussian_variables_may_be_vectors():
    rng = np.random.default_rng(7)
    x = rng.normal(size=(5000, 5))
    x[:, 2:4] += x[:, :2]
    joined = total_correlation(x[:, :2], x[:, 2:4], x[:, 4], estimator="gaussian")
    # Two independent pairs of correlation sqrt(1/2): information (ln 2) / 2 each.
    assert joined.interval[0] < LN2 < joined.interval[1]
    apart = total_correlation(x, estimator="gaussian")
    assert apart.value == pytest.approx(joined.value, abs=0.01)


def test_co_information_of_three_is_their_o_information_and_of_two_their_information():
    x = np.random.default_rng(8).normal(size=(200, 3)) @ np.array([[1.0, 0.4, 0.1], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])
    three, other = co_information(x, estimator="gaussian"), o_information(x, estimator="gaussian")
    two, information = co_information(x[:, :2], estimator="copula"), total_correlation(x[:, :2], estimator="copula")
    for found, expected in ((three, other), (two, information)):
        assert found.value == pytest.approx(expected.value, abs=1e-12)
        assert found.standard_error == pytest.approx(expected.standard_error, abs=1e-12)


def test_doubts_are_raised_outside_the_validity():
    rng = np.random.default_rng(9)
    x = rng.normal(size=(300, 3))
    synergy = np.abs(x)
    synergy[:, :2] *= rng.choice([-1, 1], (300, 2))
    synergy[:, 2] *= np.sign(synergy[:, 0] * synergy[:, 1])
    assert "not_gaussian" in total_correlation(synergy, estimator="gaussian").flags
    assert "not_gaussian" in total_correlation(x[:, :1], x[:, :1] ** 2 + 0.1 * x[:, 1:2], estimator="copula").flags
    assert "ties" in total_correlation(np.round(x), estimator="copula").flags
    assert "few_samples" in o_information(x[:40], estimator="gaussian").flags
    assert "few_samples" in o_information(x[:4], estimator="gaussian").flags
    assert "singular" in total_correlation(np.column_stack([x, x[:, 0]])).flags
    assert "constant" in total_correlation(np.column_stack([x, np.ones(300)])).flags
    assert "constant" in total_correlation(rng.integers(0, 2, 300), np.ones(300, int)).flags
    assert "many_states" in total_correlation(rng.integers(0, 20, (300, 2))).flags
    assert "unseen_states" in total_correlation(counts=np.array([[150, 1], [2, 150]])).flags


def test_o_informations_are_those_of_each_subset_in_order():
    rng = np.random.default_rng(10)
    x = rng.normal(size=(300, 6)) + 0.6 * rng.normal(size=(300, 1))
    for estimator in ("gaussian", "copula"):
        for size in (3, 4):
            found = o_informations(x, size=size, estimator=estimator)
            assert found.shape == (math.comb(6, size),)
            assert [tuple(one) for one in found.details["members"]][:2] == [
                (*range(size - 1), j) for j in (size - 1, size)
            ]
            for row in (0, 7, -1):
                alone = o_information(x[:, found.details["members"][row]], estimator=estimator)
                assert found.value[row] == pytest.approx(alone.value, abs=1e-12)
                assert found.standard_error[row] == pytest.approx(alone.standard_error, abs=1e-12)
                assert found.null_sd[row] == pytest.approx(alone.null_sd)


def test_o_informations_flag_only_the_subsets_that_are_to_be_doubted():
    x = np.random.default_rng(11).normal(size=(300, 5))
    x[:, 4] = x[:, 0]
    x[:, 3] = 1.0
    found = o_informations(x, estimator="gaussian")
    for members, flags, value in zip(found.details["members"], found.flags, found.value, strict=True):
        assert ("constant" in flags) == (3 in members)
        assert ("singular" in flags) == (0 in members and 4 in members and 3 not in members)
        assert np.isnan(value) == (0 in members and 4 in members)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: total_correlation(), "no variables"),
        (lambda: total_correlation(np.arange(9)), "one variable"),
        (lambda: total_correlation(np.arange(9), np.arange(8)), "differ"),
        (lambda: total_correlation(np.arange(9), np.arange(9), estimator="copla"), "copula"),
        (lambda: total_correlation(np.ones(9), np.arange(9)), "bin the numbers"),
        (lambda: total_correlation(np.ones(9), np.ones(9), estimator="grassberger"), "bin the numbers"),
        (lambda: total_correlation(np.array(["a"] * 9), np.arange(9), estimator="gaussian"), "texts"),
        (lambda: total_correlation(np.arange(9), np.arange(9), unit="bits"), "bit"),
        (lambda: total_correlation(counts=[[1, -1], [2, 3]]), "not negative"),
        (lambda: total_correlation(counts=[1, 2]), "one axis for each"),
        (lambda: total_correlation(counts=[[0, 0], [0, 0]]), "nothing to count"),
        (lambda: total_correlation(np.arange(4), counts=[[1]]), "one of them"),
        (lambda: co_information(np.zeros((9, 9), int)), "at most 8"),
        (lambda: o_informations(np.ones((9, 3)), size=2), "at least 3"),
        (lambda: o_informations(np.ones((4, 3))), "at least 5"),
        (lambda: o_informations(np.ones((9, 3)), estimator="ksg"), "allowed: gaussian, copula"),
        (lambda: o_informations(np.array([[1.0, np.nan, 2.0]] * 9)), "finite"),
        (lambda: total_correlation_of([[0.5, -0.5], [0.5, 0.5]]), "not negative"),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(InputError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)


def test_the_total_correlation_of_numbers_is_also_found_by_nearest_neighbours() -> None:
    normal = np.random.default_rng(5).normal(size=(1000, 3))
    normal[:, 1] += normal[:, 0]
    normal[:, 2] += normal[:, 1]
    # The variances are 1, 2 and 3, the determinant of the covariance is 1.
    truth = 0.5 * np.log(6.0)
    found = total_correlation(normal, estimator="ksg")
    assert found.reliable
    assert found.interval[0] < truth < found.interval[1]
    with pytest.raises(InputError, match="'ksg'"):
        o_information(normal, estimator="ksg")
