import math

import numpy as np
import pytest
from exact_chains import autoregressive, binary, coverage, linear_truth, ternary

from simengine.diagnostics.dynamics.rate import entropy_rate
from simengine.diagnostics.dynamics.storage import active_information_storage, predictive_information
from simengine.errors import InputError

CHAINS = {"binary": binary(0.5, 0.8), "ternary": ternary(0.8)}


@pytest.mark.parametrize("name", CHAINS)
def test_long_chains_give_their_exact_storage_rate_and_excess(name):
    chain = CHAINS[name]
    x, y = chain.sample(500, np.random.default_rng(1), runs=200)
    pairs = [(active_information_storage(y, history=length), chain.storage(length)) for length in (1, 3)]
    pairs += [(entropy_rate(x, estimator=one), chain.source_rate()) for one in ("block", "markov")]
    pairs += [(entropy_rate(x, history=3), chain.source_rate())]
    pairs += [
        (predictive_information(x, form=form, history=length), chain.source_excess())
        for form in ("block", "past-future") for length in (1, 2)
    ]  # fmt: skip
    for found, truth in pairs:
        # Four standard errors: error rate below 1e-4 each.
        assert found.value == pytest.approx(truth, abs=4 * found.standard_error)
        assert found.reliable


def test_autoregressions_give_their_closed_forms():
    x, y = autoregressive(2000, np.random.default_rng(2), runs=20)
    for estimator in ("gaussian", "copula"):
        for length in (1, 3):
            found = active_information_storage(y, estimator=estimator, history=length)
            assert found.value == pytest.approx(linear_truth(history=length)["storage"], abs=4 * found.standard_error)
            found = predictive_information(x, estimator=estimator, history=length)
            assert found.value == pytest.approx(-0.5 * math.log(1 - 0.36), abs=4 * found.standard_error)
    found = entropy_rate(x)
    assert found.method == "gaussian"
    assert found.value == pytest.approx(0.5 * math.log(2 * math.pi * math.e), abs=4 * found.standard_error)


def test_neighbours_give_the_storage_of_an_autoregression():
    _, y = autoregressive(1500, np.random.default_rng(3))
    found = active_information_storage(y)
    assert found.method == "ksg"
    assert found.value == pytest.approx(linear_truth()["storage"], abs=4 * found.standard_error)


def test_match_lengths_know_the_rate_without_a_history():
    chain = binary(0.0, 0.9)
    x, _ = chain.sample(20000, np.random.default_rng(4))
    found = entropy_rate(x, estimator="match-length")
    assert found.value == pytest.approx(chain.source_rate(), abs=4 * found.standard_error)
    assert found.details["uncorrected"] < 0.95 * chain.source_rate()
    assert "few_samples" in entropy_rate(x[:, :300], estimator="match-length").flags


def test_independent_symbols_have_the_null_that_is_told():
    rng = np.random.default_rng(5)
    series = rng.integers(0, 2, (300, 1000))
    for measure, options in (
        (active_information_storage, {"history": 3}),
        (predictive_information, {"history": 2}),
        (predictive_information, {"history": 2, "form": "block"}),
        (entropy_rate, {"history": 2}),
    ):
        found = [measure(one, **options) for one in series]
        scores = np.array([one.z for one in found])
        # Mean and standard deviation of 300 skew scores; tolerances of four standard errors and more.
        assert abs(scores.mean()) < 0.3
        assert 0.75 < scores.std() < 1.3


def test_plug_in_agrees_with_pyinform():
    pyinform = pytest.importorskip("pyinform")
    x = np.random.default_rng(6).integers(0, 3, (2, 200))
    for length in (1, 2, 4):
        for one in (x, x[0]):
            found = active_information_storage(one, estimator="plug-in", history=length, unit="bit")
            assert found.value == pytest.approx(pyinform.active_info(one, k=length), abs=1e-9)
            found = entropy_rate(one, estimator="plug-in", history=length, unit="bit")
            assert found.value == pytest.approx(pyinform.entropy_rate(one, k=length), abs=1e-9)


def test_local_values_have_the_value_as_their_mean():
    x = np.random.default_rng(7).integers(0, 2, (2, 300))
    for measure in (active_information_storage, predictive_information, entropy_rate):
        found = measure(x, estimator="plug-in", history=2, local=True)
        assert found.details["local"].mean() == pytest.approx(found.value, abs=1e-12)


def test_constants_are_flagged():
    still = np.zeros(50, int)
    for found in (active_information_storage(still), predictive_information(still), entropy_rate(still)):
        assert found.value == 0.0
        assert "constant" in found.flags
    assert entropy_rate(np.zeros(50)).value == -math.inf


def test_mistakes_are_told_in_one_line():
    x = np.random.default_rng(8).integers(0, 2, 50)
    for call in (
        lambda: active_information_storage(x, history=50),
        lambda: active_information_storage(x, history=1.5),
        lambda: predictive_information(x, form="future-past"),
        lambda: predictive_information(x * 0.5, form="block"),
        lambda: entropy_rate(x, estimator="blok"),
        lambda: entropy_rate(x * 0.5, estimator="block"),
        lambda: entropy_rate(np.array(["a", "b"] * 25), estimator="gaussian"),
    ):
        with pytest.raises(InputError) as error:
            call()
        assert "\n" not in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("steps", [600, 3000])
def test_intervals_hold_the_exact_values(name, steps):
    chain = CHAINS[name]
    x, y = chain.sample(steps, np.random.default_rng(9), runs=200)
    cases = {
        "storage": (lambda i: active_information_storage(y[i], history=2), chain.storage(2)),
        "rate": (lambda i: entropy_rate(x[i]), chain.source_rate()),
        "excess": (lambda i: predictive_information(x[i]), chain.source_excess()),
    }
    for case, (measure, truth) in cases.items():

        def estimate(i, measure=measure):
            one = measure(i)
            return one.value, *one.interval, not one.reliable

        held, width, flagged = coverage(estimate, truth, 200)
        # A true coverage of 94 % falls below 89 % of 200 in less than one of 200 cases.
        assert held >= 0.89, case
        assert width <= 1.5, case
        assert flagged <= 0.1, case


def test_short_series_and_long_histories_are_flagged():
    rng = np.random.default_rng(10)
    for steps, length in ((100, 1), (1000, 6)):
        x = rng.integers(0, 3, steps)
        for measure in (active_information_storage, predictive_information, entropy_rate):
            assert measure(x, history=length).flags
