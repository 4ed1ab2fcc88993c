"""Biases of learners are found in their answers, or it is said that they are not in there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray
from scipy.special import expit, logit

from simengine.analysis.biases import PARAMETERS, Biases, fit_biases
from simengine.errors import InputError

TRUTH = {"prior_weight": 0.8, "agree_weight": 0.6, "contradict_weight": 1.4, "lean": 0.2}


def learners(seed: int, n: int) -> tuple[xarray.Dataset, np.ndarray]:
    """Situations of n agents, and the log-odds that agents with the biases above have in them."""
    rng = np.random.default_rng(seed)
    belief, precision = rng.uniform(0.1, 0.9, n), rng.choice([0.6, 0.7, 0.8], n)
    signal = rng.integers(0, 2, n)
    toward = 2.0 * signal - 1.0
    weight = np.where(toward * (belief - 0.5) > 0.0, TRUTH["agree_weight"], TRUTH["contradict_weight"])
    odds = TRUTH["prior_weight"] * logit(belief) + toward * weight * logit(precision) + TRUTH["lean"]
    columns = {"belief": belief, "signal": signal, "precision": precision}
    return xarray.Dataset({name: ("row", values) for name, values in columns.items()}), odds


def distances(found: Biases) -> np.ndarray:
    """How many standard errors each weight is away from the truth."""
    estimates = [getattr(found, name) for name in PARAMETERS]
    truths = [TRUTH[name] for name in PARAMETERS]
    return np.array([(one.value - t) / one.standard_error for one, t in zip(estimates, truths, strict=True)])


# P(one of four normal variables is more than 3 standard errors away) < 1.1 %.
@pytest.mark.parametrize("seed", [3, 4])
def test_biases_of_noisy_agents_are_found_within_three_errors(seed: int) -> None:
    data, odds = learners(seed, 3000)
    data["answer"] = "row", (np.random.default_rng(seed + 50).random(3000) < expit(odds)).astype(np.int64)
    found = fit_biases(data=data)
    assert np.abs(distances(found)).max() < 3.0
    assert found.method == "logistic, Fisher information"
    assert found.agree_weight.interval[1] < 1.0 < found.contradict_weight.interval[0]
    assert found.cascade_ratio.interval[0] < 1.75 < found.cascade_ratio.interval[1]
    assert found.agree_weight.reliable


def test_stated_beliefs_without_noise_give_the_weights_exactly() -> None:
    data, odds = learners(1, 40)
    for method in ("logistic", "log-odds"):
        found = fit_biases(expit(odds), belief="belief", data=data, method=method)
        assert found.parameters() == pytest.approx(TRUTH, abs=1e-9)
        assert found.agree_weight.flags == ("few_samples",)


def test_bayesian_beliefs_have_no_bias() -> None:
    data, _ = learners(2, 200)
    odds = logit(data.belief.to_numpy())
    stated = odds + (2.0 * data.signal.to_numpy() - 1.0) * logit(data.precision.to_numpy())
    found = fit_biases(expit(stated), log_odds=odds, data=data)
    assert found.parameters() == pytest.approx(
        {"prior_weight": 1.0, "agree_weight": 1.0, "contradict_weight": 1.0, "lean": 0.0}, abs=1e-9
    )


# Least squares with normal noise: P(beyond 3 errors) < 1.1 %.
def test_noise_on_the_scale_of_log_odds_is_for_least_squares() -> None:
    data, odds = learners(5, 2000)
    stated = expit(odds + np.random.default_rng(6).normal(0.0, 1.5, odds.size))
    assert np.abs(distances(fit_biases(stated, data=data, method="log-odds"))).max() < 3.0
    assert distances(fit_biases(stated, data=data)).min() < -3.0


def test_errors_grow_where_answers_of_one_agent_hang_together() -> None:
    data, odds = learners(7, 100)
    answers = (np.random.default_rng(8).random(100) < expit(odds)).astype(np.int64)
    repeated = xarray.concat([data] * 9, "row")
    apart = fit_biases(np.tile(answers, 9), data=repeated)
    together = fit_biases(np.tile(answers, 9), data=repeated, agent=np.tile(np.arange(100), 9))
    assert together.parameters() == pytest.approx(apart.parameters())
    assert float(together.lean.standard_error) == pytest.approx(3.0 * float(apart.lean.standard_error), rel=0.25)


# Nominal 95 %: of 150 repetitions and four weights, at least 90 % hold the truth with probability > 99.9 %.
@pytest.mark.slow
def test_intervals_hold_the_truth() -> None:
    held = []
    for seed in range(150):
        data, odds = learners(seed, 1000)
        answers = (np.random.default_rng(seed + 1000).random(1000) < expit(odds)).astype(np.int64)
        held.append(np.abs(distances(fit_biases(answers, data=data))) < 1.96)
    assert np.mean(held) > 0.9


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"belief": np.full(60, 0.5)}, "prior_weight cannot be told: the public belief is 1/2"),
        ({"belief": np.full(60, 0.7), "precision": 0.7}, "and lean cannot be told apart"),
        ({"signal": "toward"}, "contradict_weight cannot be told: every signal"),
        ({"signal": "against"}, "agree_weight cannot be told: no signal of these answers agrees"),
        ({"answer": "threshold"}, "cannot be told: some answers follow a threshold without error"),
        ({"answer": np.ones(60)}, "cannot be told: some answers follow a threshold without error"),
    ],
)
def test_answers_that_do_not_tell_a_weight_say_which(change: dict[str, Any], said: str) -> None:
    data, odds = learners(9, 60)
    data["answer"] = "row", (np.random.default_rng(10).random(60) < expit(odds)).astype(np.int64)
    data["threshold"] = "row", (odds > 0.0).astype(np.int64)
    data["toward"] = "row", (data.belief.to_numpy() > 0.5).astype(np.int64)
    data["against"] = "row", (data.belief.to_numpy() < 0.5).astype(np.int64)
    with pytest.raises(InputError, match=said) as raised:
        fit_biases(data=data, **change)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"belief": np.linspace(0, 1, 60)}, "belief is 0.0 at 0"),
        ({"precision": 1.0}, "precision is 1.0 at 0"),
        ({"signal": np.full(60, 2)}, "signal: expected 1 for good"),
        ({"answer": np.full(60, 1.5)}, "answer: expected 0 and 1"),
        ({"belief": "belief", "log_odds": "belief"}, "give one of the two"),
        ({"method": "logit"}, "did you mean 'logistic'"),
        ({"agent": np.zeros(60, int)}, "at least two agents"),
    ],
)
def test_bad_answers_are_refused_in_one_line(change: dict[str, Any], said: str) -> None:
    data, odds = learners(11, 60)
    data["answer"] = "row", expit(odds)
    with pytest.raises(InputError, match=said):
        fit_biases(data=data, **change)


@pytest.mark.parametrize("wrong", [0, 60])
def test_a_few_answers_against_the_threshold_among_many_tell_the_weights(wrong: int) -> None:
    data, odds = learners(13, 6000)
    answers = odds > 0.0
    answers[1 : 1 + 100 * wrong : 100] ^= True
    if wrong:
        assert fit_biases(answers, data=data).n == 6000
    else:
        with pytest.raises(InputError, match="follow a threshold without error"):
            fit_biases(answers, data=data)


def test_three_answers_do_not_tell_four_weights() -> None:
    with pytest.raises(InputError, match="cannot be told apart"):
        fit_biases([0.2, 0.6, 0.7], log_odds=[-1.0, 0.5, 2.0], signal=[1, 1, 0], precision=0.7)


def test_the_table_of_weights_names_all_of_them() -> None:
    data, odds = learners(12, 100)
    printed = repr(fit_biases(expit(odds), data=data))
    assert all(name in printed for name in (*PARAMETERS, "cascade_ratio"))
