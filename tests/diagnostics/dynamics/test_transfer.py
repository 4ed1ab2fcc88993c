import math

import numpy as np
import pytest
from exact_chains import autoregressive, binary, coverage, linear_truth, ternary
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine.diagnostics.dynamics.pairs import transfer_entropies
from simengine.diagnostics.dynamics.transfer import transfer_entropy
from simengine.errors import InputError


@pytest.mark.parametrize("chain", [binary(0.5), ternary(0.8)], ids=["binary", "ternary"])
@pytest.mark.parametrize("lengths", [(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2)])
def test_a_long_series_gives_the_exact_transfer_entropy(chain, lengths):
    x, y = chain.sample(400, np.random.default_rng(1), runs=300)
    source, target, lag = lengths
    found = transfer_entropy(x, y, source_history=source, target_history=target, lag=lag)
    # 120 000 windows; four standard errors have an error rate below 1e-4.
    assert found.value == pytest.approx(chain.transfer(source, target, lag), abs=4 * found.standard_error)
    assert found.n == 300 * (400 - max(target, lag + source - 1))
    assert found.reliable


def test_realisations_are_pooled_without_windows_across_their_ends():
    x = np.array([[0, 1, 0, 1, 1, 0, 0, 1], [1, 1, 0, 0, 1, 0, 1, 1]])
    y = np.array([[1, 0, 0, 1, 0, 1, 1, 0], [0, 1, 1, 0, 0, 0, 1, 0]])
    found = transfer_entropy(x, y, estimator="plug-in", local=True)
    counts = {}
    for row in range(2):
        for t in range(1, 8):
            key = (y[row, t], x[row, t - 1], y[row, t - 1])
            counts[key] = counts.get(key, 0) + 1

    def of(*kept):
        table = {}
        for key, number in counts.items():
            part = tuple(key[axis] for axis in kept)
            table[part] = table.get(part, 0) + number
        return -sum(number / 14 * math.log(number / 14) for number in table.values())

    assert found.value == pytest.approx(of(0, 2) + of(1, 2) - of(0, 1, 2) - of(2), abs=1e-12)
    assert found.details["local"].shape == (2, 7)
    assert found.details["local"].mean() == pytest.approx(found.value, abs=1e-12)


def test_without_dependence_twice_n_times_the_value_is_chi_square():
    rng = np.random.default_rng(2)
    x, y = rng.integers(0, 3, (400, 500)), rng.integers(0, 3, (400, 500))
    found = [transfer_entropy(a, b, estimator="plug-in") for a, b in zip(x, y, strict=True)]
    scaled = np.array([2 * one.n * one.value for one in found])
    # (3 - 1)(3 - 1) 3 = 12 degrees of freedom; mean and variance of 400 within four standard errors, rate 1e-4.
    assert scaled.mean() == pytest.approx(12.0, abs=4 * math.sqrt(24 / 400) + 0.3)
    assert scaled.var() == pytest.approx(24.0, abs=4 * 24 * math.sqrt((2 + 12 / 12) / 400) + 1)
    assert found[0].details["dof"] == 12
    assert found[0].null_sd == pytest.approx(math.sqrt(6.0) / 499, rel=0.05)


def test_the_null_of_rare_cells_is_that_of_shuffles():
    rng = np.random.default_rng(3)
    x, y = (rng.random((2, 2000)) < 0.03).astype(int)
    found = transfer_entropy(x, y, estimator="plug-in")
    shuffled = transfer_entropy(x, y, estimator="plug-in", shuffles=400)
    # The analytic null keeps the margins in each context, shuffles only overall; 400 of them err by 5 %.
    assert shuffled.details["bias"] == pytest.approx(found.null_mean, rel=0.25)
    assert found.null_mean != pytest.approx(found.details["dof"] / (2 * found.n), rel=0.1)


def test_effective_transfer_entropy_of_independent_series_is_near_zero():
    rng = np.random.default_rng(4)
    x, y = rng.integers(0, 2, (2, 1000))
    found = transfer_entropy(x, y, source_history=4, target_history=4, shuffles=60)
    # Four standard deviations of the null, error rate 1e-4.
    assert abs(found.value) < 4 * found.null_sd + 4 * found.null_sd / math.sqrt(60)
    assert "shuffled" in found.null


def test_long_histories_need_no_table_of_all_words():
    rng = np.random.default_rng(5)
    x, y = rng.integers(0, 5, (2, 600))
    found = transfer_entropy(x, y, source_history=20, target_history=20)
    assert "many_states" in found.flags
    assert math.isfinite(found.value)


def test_what_is_given_explains_what_it_drives():
    rng = np.random.default_rng(6)
    driver = rng.integers(0, 2, 4002)
    x, y = driver[1:-1] ^ (rng.random(4000) < 0.1), driver[:-2] ^ (rng.random(4000) < 0.1)
    # y follows the driver two steps behind, x one step: the past of x tells of y through the driver alone.
    alone = transfer_entropy(x, y)
    known = transfer_entropy(x, y, given=driver[1:-1])
    assert alone.z > 20
    assert abs(known.z) < 4


@pytest.mark.parametrize("estimator", ["gaussian", "copula"])
def test_linear_estimators_give_the_closed_form(estimator):
    x, y = autoregressive(2000, np.random.default_rng(7), runs=20)
    found = transfer_entropy(x, y, estimator=estimator)
    back = transfer_entropy(y, x, estimator=estimator)
    # Four standard errors, error rate 1e-4.
    assert found.value == pytest.approx(linear_truth()["transfer"], abs=4 * found.standard_error)
    assert abs(back.z) < 4
    assert found.reliable


def test_neighbours_give_the_closed_form():
    x, y = autoregressive(2000, np.random.default_rng(8), strength=0.9)
    found = transfer_entropy(x[0], y[0])
    assert found.method == "ksg"
    assert found.value == pytest.approx(linear_truth(strength=0.9)["transfer"], abs=4 * found.standard_error)


def test_effective_values_of_neighbours_and_regressions_have_the_null_of_shuffles():
    x, y = autoregressive(400, np.random.default_rng(9), strength=0.0)
    for estimator in ("ksg", "gaussian"):
        found = transfer_entropy(x, y, estimator=estimator, shuffles=10)
        assert abs(found.value) < 6 * found.null_sd
        assert "10 times" in found.null


def test_gaussian_flags_what_is_not_linear():
    rng = np.random.default_rng(10)
    x = rng.normal(size=1000)
    y = np.append(0.0, x[:-1] ** 2 + 0.1 * rng.normal(size=999))
    assert "not_gaussian" in transfer_entropy(x, y, estimator="gaussian").flags


def test_a_constant_carries_nothing():
    x, y = np.zeros(100, int), np.random.default_rng(11).integers(0, 2, 100)
    for pair in ((x, y), (y, x), (x * 1.0, y + np.random.default_rng(1).normal(size=100))):
        found = transfer_entropy(*pair)
        assert (found.value, found.interval) == (0.0, (0.0, 0.0))
        assert "constant" in found.flags


def test_bins_make_symbols_of_numbers():
    rng = np.random.default_rng(12)
    x, y = rng.normal(size=(2, 500))
    found = transfer_entropy(x, y, bins=[-9.0, 0.0, 9.0])
    assert found.value == transfer_entropy((x >= 0).astype(int), (y >= 0).astype(int)).value
    assert "outside_range" in transfer_entropy(x, y, bins=2, range=(-1.0, 1.0)).flags


def test_mistakes_are_told_in_one_line():
    x, y = np.random.default_rng(13).integers(0, 2, (2, 50))
    for call in (
        lambda: transfer_entropy(x, y, lag=0),
        lambda: transfer_entropy(x, y, target_history=49),
        lambda: transfer_entropy(x, y[:-1]),
        lambda: transfer_entropy(x, y, estimator="count"),
        lambda: transfer_entropy(x * 0.5, y * 0.5, estimator="counts"),
        lambda: transfer_entropy(np.array(["a", "b"] * 25), y, estimator="gaussian"),
        lambda: transfer_entropy(x * 1.0, y * np.nan),
        lambda: transfer_entropies(np.stack([x, y]), edges=[[0, 2]]),
        lambda: transfer_entropies(x),
    ):
        with pytest.raises(InputError) as error:
            call()
        assert "\n" not in str(error.value)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 5), st.integers(1, 2), st.integers(1, 3), st.integers(30, 200), st.integers(0, 2**31))
def test_all_pairs_agree_with_single_pairs(states, source, target, steps, seed):
    agents = np.random.default_rng(seed).integers(0, states, (4, steps))
    agents[2, 1:] = agents[1, :-1]
    found = transfer_entropies(agents, source_history=source, target_history=target)
    assert np.isnan(np.diag(found.value)).all()
    assert [found.flags[i, i] for i in range(4)] == [("itself",)] * 4
    for i, j in ((0, 1), (1, 2), (3, 0)):
        one = transfer_entropy(agents[i], agents[j], source_history=source, target_history=target)
        assert found.value[i, j] == pytest.approx(one.value, abs=1e-12)
        assert found.null_sd[i, j] == pytest.approx(one.null_sd, abs=1e-12)
        assert found.details["dof"][i, j] == one.details["dof"]
        assert found.flags[i, j] == one.flags or "short_series" in one.flags


def test_an_edge_list_of_realisations_gives_the_same_as_single_pairs():
    x, y = binary(0.5).sample(300, np.random.default_rng(14), runs=3)
    found = transfer_entropies(np.stack([x, y]), [[0, 1], [1, 0]])
    assert found.dims == ("edge",)
    single = transfer_entropy(x, y)
    assert found.value[0] == pytest.approx(single.value, abs=1e-12)
    assert found.interval[0][0] == pytest.approx(single.interval[0], abs=1e-9)


def test_arrays_with_names_keep_their_labels():
    import xarray

    values = np.random.default_rng(15).integers(0, 2, (5, 3, 100))
    data = xarray.DataArray(values, dims=("run", "agent", "step"), coords={"agent": [7, 8, 9]})
    found = transfer_entropies(data, dim="step", pool="run")
    assert found.shape == (3, 3)
    assert found.dims == ("source", "target")
    assert list(found.to_dataset("te").source.values) == [7, 8, 9]
    one = transfer_entropy(data.sel(agent=7, drop=True), data.sel(agent=9, drop=True), dim="step", pool="run")
    assert found.value[0, 2] == pytest.approx(one.value, abs=1e-12)
    assert one.unit == found.unit == "nat/step"


def test_plug_in_agrees_with_pyinform():
    pyinform = pytest.importorskip("pyinform")
    x, y, z = np.random.default_rng(16).integers(0, 3, (3, 300))
    for length in (1, 2):
        found = transfer_entropy(x, y, estimator="plug-in", target_history=length, unit="bit")
        assert found.value == pytest.approx(pyinform.transfer_entropy(x, y, k=length), abs=1e-9)
    bits = (x > 0).astype(int), (y > 0).astype(int), (z > 0).astype(int)
    local = transfer_entropy(*bits[:2], estimator="plug-in", local=True)
    expected = pyinform.transfer_entropy(*bits[:2], k=1, local=True)
    np.testing.assert_allclose(local.details["local"] / math.log(2), expected, atol=1e-9)
    given_third = transfer_entropy(*bits[:2], given=bits[2], estimator="plug-in", unit="bit")
    assert given_third.value == pytest.approx(pyinform.transfer_entropy(*bits[:2], k=1, condition=bits[2]), abs=1e-9)


CASES = {
    "independent": (binary(0.0), 1), "weak": (binary(0.1), 1), "strong": (binary(0.5), 1), "ternary": (ternary(0.3), 1),
    "longer": (binary(0.5), 2),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("steps", [500, 3000])
def test_intervals_by_counts_hold_the_exact_value(case, steps):
    chain, length = CASES[case]
    x, y = chain.sample(steps, np.random.default_rng(17), runs=200)

    def estimate(i):
        one = transfer_entropy(x[i], y[i], source_history=length, target_history=length)
        return one.value, *one.interval, not one.reliable

    held, width, flagged = coverage(estimate, chain.transfer(length, length), 200)
    # A true coverage of 94 % falls below 89 % of 200 in less than one of 200 cases.
    assert held >= 0.89
    assert width <= 1.5
    assert flagged <= 0.1


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["gaussian", "copula"])
@pytest.mark.parametrize("strength", [0.0, 0.1, 0.9])
def test_intervals_of_linear_estimators_hold_the_closed_form(estimator, strength):
    x, y = autoregressive(600, np.random.default_rng(18), runs=800, strength=strength)

    def estimate(i):
        one = transfer_entropy(x[i], y[i], estimator=estimator)
        return one.value, *one.interval, not one.reliable

    held, width, _ = coverage(estimate, linear_truth(strength=strength)["transfer"], 800)
    # As above; the deviation of 800 values of the null, chi-square of one degree, errs by 6 %.
    assert held >= 0.89
    assert width <= 1.5


def test_short_series_and_long_histories_are_flagged():
    rng = np.random.default_rng(19)
    for steps, length in ((100, 1), (1000, 4)):
        for _ in range(5):
            x, y = rng.integers(0, 3, (2, steps))
            assert transfer_entropy(x, y, source_history=length, target_history=length).flags
