"""Entropies of decisions: exact, freed of their bias, their collapse, and their gap to a twin."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from simengine.diagnostics.decisions.entropies import collapse_time, decision_entropy, entropy_gap
from simengine.diagnostics.decisions.rows import select_decisions
from simengine.errors import InputError


def binary(p: np.ndarray) -> np.ndarray:
    return -(p * np.log(p) + (1 - p) * np.log1p(-p))


def two(p: np.ndarray) -> np.ndarray:
    """Distributions over two options."""
    return np.stack([p, 1 - p], axis=-1)


@given(st.integers(2, 9), st.integers(1, 40))
@settings(deadline=None, max_examples=15)
def test_even_options_have_the_logarithm_of_their_number(options: int, n: int) -> None:
    found = decision_entropy(np.full((n, options), 1.0 / options))
    assert float(found) == pytest.approx(math.log(options))
    assert found.null_mean == pytest.approx(math.log(options))
    assert found.standard_error == pytest.approx(0.0, abs=1e-12) or n == 1


def test_certain_decisions_have_none() -> None:
    found = decision_entropy(np.eye(3)[[0, 1, 2, 1]])
    assert (found.value, found.details["certain"]) == (0.0, 1.0)


def test_entropies_are_given_step_by_step_with_agents_as_samples() -> None:
    p = np.array([[0.5, 0.5], [0.5, 0.5], [0.9, 0.1], [1.0, 0.0]])
    data = xarray.Dataset({"probability": (("row", "option"), p), "step": ("row", [0, 0, 5, 5])})
    found = decision_entropy("probability", by="step", data=data, unit="bit")
    assert found.dims == ("step",)
    assert found.coords["step"].tolist() == [0, 5]
    half = float(binary(np.array([0.9]))[0]) / math.log(2) / 2
    np.testing.assert_allclose(found.value, [1.0, half])
    np.testing.assert_allclose(found.standard_error, [0.0, half], atol=1e-12)


def test_rows_of_one_agent_count_once() -> None:
    p = np.random.default_rng(1).uniform(0.05, 0.95, 40)
    single = decision_entropy(two(p))
    repeated = decision_entropy(two(np.tile(p, 25)), cluster=np.tile(np.arange(40), 25))
    assert repeated.standard_error == pytest.approx(single.standard_error)
    assert (repeated.n, repeated.details["rows"]) == (40, 1000)


def test_the_plug_in_bias_of_counted_answers_is_taken_off() -> None:
    # Exactly, over all counts of n answers: the plug-in entropy is too small by about (K - 1) / 2n.
    n, p = 20, 0.4
    chance = binom.pmf(np.arange(n + 1), n, p)
    share = np.arange(n + 1) / n
    with np.errstate(divide="ignore", invalid="ignore"):
        plug_in = np.nan_to_num(binary(share))
    truth = float(binary(np.array([p]))[0])
    assert chance @ plug_in - truth == pytest.approx(-1 / (2 * n), rel=0.05)
    rows = two(share)
    corrected = np.array([float(decision_entropy(rows[k : k + 1], samples=n)) for k in range(n + 1)])
    assert abs(chance @ corrected - truth) < 0.02 / (2 * n)


# The mean of 200 repetitions is within four of its errors of the null's.
def test_the_null_of_counted_answers_is_that_of_even_options() -> None:
    counts = np.random.default_rng(9).multinomial(8, np.full(3, 1 / 3), 200 * 30)
    found = decision_entropy(counts / 8, samples=8, by=np.repeat(np.arange(200), 30))
    assert abs(found.z.mean()) < 4.0 / math.sqrt(200)
    assert found.z.std() == pytest.approx(1.0, abs=0.25)


def test_smoothed_shares_are_counted_like_plain_ones() -> None:
    counts = np.array([[3, 5, 0], [8, 0, 0], [2, 2, 4]])
    plain = decision_entropy(counts / 8, samples=8)
    smoothed = decision_entropy((counts + 0.5) / 9.5, samples=8)
    assert float(smoothed) == float(plain)
    with pytest.raises(InputError, match="not those of 7 answers"):
        decision_entropy(counts / 8, samples=7)


def course(agents: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Agents that grow surer at different rates: probabilities, steps and agents."""
    rate = np.random.default_rng(seed).gamma(4.0, 1 / 40, agents)
    steps = np.arange(60)
    p = 1.0 / (1.0 + np.exp(-steps * rate[:, None]))
    return two(p.ravel()), np.tile(steps, agents), np.repeat(np.arange(agents), 60)


def test_collapse_is_the_first_step_below_the_threshold() -> None:
    entropy = np.array([0.6, 0.2, 0.5, 0.3, 0.2, 0.1])
    column = np.tile(entropy, 3)
    step, agent = np.tile([0, 10, 20, 30, 40, 50], 3), np.repeat([0, 1, 2], 6)
    found = collapse_time(entropy=column, step=step, agent=agent, below=0.25)
    assert (found.value, found.interval, found.standard_error) == (10.0, (10.0, 10.0), 0.0)
    assert collapse_time(entropy=column, step=step, agent=agent, below=0.25, hold=2).value == 40.0
    never = collapse_time(entropy=column, step=step, agent=agent, below=0.05)
    assert math.isnan(never.value)
    assert never.interval == (math.inf, math.inf)
    assert "not_reached" in never.flags
    assert never.details["agents_collapsed"] == 0.0


def test_the_interval_of_collapse_is_that_of_other_agents() -> None:
    p, step, agent = course(40, 1)
    found = collapse_time(p, step=step, agent=agent, below=0.3, resamples=300)
    p, step, agent = course(6_000, 2)
    truth = collapse_time(p, step=step, agent=agent, below=0.3, resamples=1).value
    assert found.interval[0] <= truth <= found.interval[1]
    assert 2.0 < found.interval[1] - found.interval[0] < 20.0


# At least 90 % of 100 repetitions hold the truth, of a nominal 95 %: wrong with probability < 2 %.
@pytest.mark.slow
def test_intervals_of_collapse_hold_the_truth() -> None:
    p, step, agent = course(20_000, 2)
    truth = collapse_time(p, step=step, agent=agent, below=0.3, resamples=1).value
    held = 0
    for seed in range(100):
        p, step, agent = course(40, seed + 10)
        low, high = collapse_time(p, step=step, agent=agent, below=0.3, resamples=400).interval
        held += low <= truth <= high
    assert held >= 90


def test_the_gap_to_oneself_is_nothing() -> None:
    p = np.random.default_rng(3).dirichlet(np.ones(4), 50)
    found = entropy_gap(p, p)
    assert (found.value, found.null_sd, found.details["total_variation"]) == (0.0, 0.0, 0.0)


def test_an_agent_that_is_surer_than_thompson_sampling_is_overconfident() -> None:
    # Two Gaussian arms: the better one is sampled with probability Phi(difference / error).
    from scipy.special import ndtr

    difference = np.random.default_rng(4).normal(0.0, 1.0, 200)
    found = entropy_gap(two(ndtr(2.0 * difference)), two(ndtr(difference)))
    expected = binary(ndtr(difference)).mean() - binary(ndtr(2.0 * difference)).mean()
    assert float(found) == pytest.approx(expected)
    assert found.interval[0] > 0.0
    assert found.z > 5.0
    assert found.details["overconfident"] == 1.0
    assert entropy_gap(two(ndtr(difference)), two(ndtr(2.0 * difference))).value == pytest.approx(-expected)


# 5 % nominal: more than 20 of 200 with probability < 0.2 %.
def test_gaps_of_exchangeable_twins_are_told_from_nothing_as_often_as_they_should() -> None:
    rng = np.random.default_rng(5)
    found = entropy_gap(rng.dirichlet([1, 1], 8000), rng.dirichlet([1, 1], 8000), by=np.repeat(np.arange(200), 40))
    assert np.count_nonzero(np.abs(found.z) > 1.96) <= 20
    held = (found.interval[0] <= 0.0) & (found.interval[1] >= 0.0)
    assert np.count_nonzero(held) >= 180


def test_answers_are_selected_from_what_was_logged() -> None:
    data = xarray.Dataset(
        {
            "decision": ("row", ["act", "act", "plan", "act"]),
            "provenance": ("row", [1, 5, 1, 2]),
            "probability": (("row", "option"), [[1, 0], [np.nan, np.nan], [0.5, 0.5], [0.5, 0.5]]),
        }
    )
    chosen = select_decisions(data, "act")
    assert float(decision_entropy("probability", data=chosen)) == pytest.approx(math.log(2) / 2)
    with pytest.raises(InputError, match="there is no decision 'acts'; did you mean 'act'"):
        select_decisions(data, "acts")
    with pytest.raises(InputError, match="select_decisions leaves such rows out"):
        decision_entropy("probability", data=data)
    with pytest.raises(InputError, match="no variable 'provenance'"):
        select_decisions(data.drop_vars("provenance"))
    with pytest.raises(InputError, match="no decision 'plan' has a provenance"):
        select_decisions(data, "plan", provenance=[0])


@pytest.mark.parametrize(
    ("p", "said"),
    [
        ([[0.5, 0.6]], "of row 0 add up to 1.1"),
        ([[1.5, -0.5]], "not negative"),
        ([0.5, 0.5], "expected probabilities of two or more options"),
        ([[0.5, np.inf]], "finite"),
    ],
)
def test_bad_distributions_are_refused(p: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        decision_entropy(np.array(p))


def test_bad_options_are_refused() -> None:
    p = np.full((4, 2), 0.5)
    with pytest.raises(InputError, match="one of the two"):
        decision_entropy(p, entropy=np.zeros(4))
    with pytest.raises(InputError, match="cluster has 3 values for 4 decisions"):
        decision_entropy(p, cluster=np.zeros(3, int))
    with pytest.raises(InputError, match="hold is 3, more than the 2 steps"):
        collapse_time(p, step=[0, 0, 1, 1], agent=[0, 1, 0, 1], below=0.1, hold=3)
    with pytest.raises(InputError, match="expected the same"):
        entropy_gap(p, np.full((4, 4), 0.25))
