"""Beliefs of those who reason by Bayes' rule, exactly, and of those who do not."""

from __future__ import annotations

import math
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine.diagnostics.decisions.beliefs import (
    belief_drift,
    excess_movement,
    order_averaged_belief,
    order_effect,
    plausibility_gap,
)
from simengine.errors import InputError


def courses(prior: float, q: float, steps: int, weight: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """All courses of the belief over signals of precision q, and how probable each is.

    An agent adds ``weight`` times the log-odds of each signal.
    """
    odds = math.log(q / (1 - q))
    beliefs, chances = [], []
    for signals in product((1, -1), repeat=steps):
        hits = signals.count(1)
        chances.append(
            prior * q**hits * (1 - q) ** (steps - hits) + (1 - prior) * q ** (steps - hits) * (1 - q) ** hits
        )
        told = math.log(prior / (1 - prior)) + weight * odds * np.concatenate([[0], np.cumsum(signals)])
        beliefs.append(1 / (1 + np.exp(-told)))
    return np.array(beliefs), np.array(chances)


@given(st.floats(0.05, 0.95), st.floats(0.55, 0.95), st.integers(1, 6))
@settings(deadline=None, max_examples=25)
def test_beliefs_by_bayes_rule_are_a_martingale_exactly(prior: float, q: float, steps: int) -> None:
    beliefs, chances = courses(prior, q, steps)
    drift, movement = belief_drift(beliefs, weights=chances), excess_movement(beliefs, weights=chances)
    assert abs(float(drift)) < 1e-12
    assert np.abs(drift.details["by_step"]).max() < 1e-12
    assert abs(float(movement)) < 1e-12
    assert movement.details["movement"] > 0.0
    assert (drift.standard_error, movement.standard_error) == (0.0, 0.0)


def test_who_over_reacts_moves_too_much_and_who_under_reacts_too_little() -> None:
    for weight, sign in ((2.0, 1.0), (0.5, -1.0)):
        found = excess_movement(*courses(0.3, 0.7, 5, weight)[:1], weights=courses(0.3, 0.7, 5)[1])
        assert sign * float(found) > 0.01
        assert (found.details["ratio"] > 1.0) == (sign > 0.0)


def drawn(seed: int, n: int, weight: float) -> np.ndarray:
    beliefs, chances = courses(0.4, 0.65, 6, weight)
    return beliefs[np.random.default_rng(seed).choice(len(chances), n, p=chances)]


# 5 %: more than 20 of 200 with probability < 0.2 %.
@pytest.mark.parametrize("measure", [belief_drift, excess_movement])
def test_drawn_courses_of_bayesians_are_told_from_nothing_as_often_as_they_should(measure) -> None:
    found = [measure(drawn(seed, 60, 1.0)) for seed in range(200)]
    assert np.count_nonzero([abs(one.z) > 1.96 for one in found]) <= 20
    assert np.count_nonzero([one.interval[0] <= 0.0 <= one.interval[1] for one in found]) >= 180


def test_drawn_courses_of_those_who_over_react_are_seen() -> None:
    found = excess_movement(drawn(1, 400, 2.0))
    assert found.interval[0] > 0.0
    assert found.z > 4.0
    assert belief_drift(drawn(1, 400, 2.0)).details["slope"] < 0.0


def test_courses_of_one_world_count_once() -> None:
    beliefs = drawn(2, 30, 1.0)
    single = belief_drift(beliefs)
    found = belief_drift(np.repeat(beliefs, 8, axis=0), cluster=np.repeat(np.arange(30), 8))
    assert found.standard_error == pytest.approx(single.standard_error)
    assert found.null_sd == pytest.approx(single.null_sd)


def test_the_average_over_all_orders_has_no_error() -> None:
    evidence = (0.4, -0.2, 0.9)
    # Later evidence weighs more: each order gives another belief.
    beliefs = np.array([
        1 / (1 + math.exp(-sum((k + 1) * e for k, e in enumerate(order)))) for order in permutations(evidence)
    ])  # fmt: skip
    found = order_averaged_belief(beliefs, orders=math.factorial(3), posterior=0.7)
    assert found.value == pytest.approx(beliefs.mean())
    assert found.standard_error == 0.0
    assert found.reliable
    some = order_averaged_belief(beliefs[:4], orders=6)
    assert some.standard_error == pytest.approx(beliefs[:4].std(ddof=1) / 2 * math.sqrt(1 - 4 / 6))


def test_bayes_rule_does_not_heed_the_order() -> None:
    evidence = np.random.default_rng(3).normal(size=(25, 3))
    beliefs = np.stack([1 / (1 + np.exp(-evidence[:, order].sum(axis=1))) for order in permutations(range(3))], axis=1)
    posterior = 1 / (1 + np.exp(-evidence.sum(axis=1)))
    found = order_averaged_belief(beliefs, posterior=posterior)
    np.testing.assert_allclose(found.value, posterior)
    assert found.shape == (25,)
    assert found[3].details["range"] == pytest.approx(0.0, abs=1e-12)
    assert float(order_effect(beliefs)) == pytest.approx(0.0, abs=1e-20)


# 5 % of a permutation null taken as normal: more than 9 of 60 with probability < 0.1 %.
def test_noise_of_repeated_answers_is_not_an_effect_of_order() -> None:
    found = [
        order_effect(np.random.default_rng(seed).beta(3, 3, (30, 4, 3)), shuffles=40, seed=seed) for seed in range(60)
    ]
    assert np.count_nonzero([abs(one.z) > 1.96 for one in found]) <= 9
    assert abs(np.mean([float(one) for one in found])) < 1e-3


def test_the_variance_between_orders_is_found() -> None:
    rng = np.random.default_rng(4)
    beliefs = 0.5 + rng.normal(0.0, 0.1, (200, 6, 1)) + rng.normal(0.0, 0.05, (200, 6, 4))
    found = order_effect(np.clip(beliefs, 0.0, 1.0), shuffles=20)
    assert found.interval[0] < 0.01 < found.interval[1]
    assert found.details["typical"] == pytest.approx(0.1, abs=0.01)


@given(st.floats(0.05, 0.95), st.floats(0.1, 0.9), st.floats(0.1, 0.9))
@settings(deadline=None, max_examples=25)
def test_posteriors_by_bayes_rule_are_plausible(prior: float, good: float, bad: float) -> None:
    chance = np.array([prior * good + (1 - prior) * bad, prior * (1 - good) + (1 - prior) * (1 - bad)])
    after = np.array([prior * good, prior * (1 - good)]) / chance
    found = plausibility_gap(np.full(20, prior), np.tile(after, (20, 1)), np.tile(chance, (20, 1)))
    assert abs(float(found)) < 1e-12
    assert plausibility_gap([prior], [after + 0.01 * (1 - after)], [chance]).value > 0.0


def test_bad_beliefs_are_refused() -> None:
    with pytest.raises(InputError, match=r"beliefs holds 1\.2 at \(0, 1\)"):
        belief_drift([[0.5, 1.2]])
    with pytest.raises(InputError, match="of one step"):
        belief_drift([[0.5], [0.4]])
    with pytest.raises(InputError, match="weights add up to 2"):
        excess_movement([[0.5, 0.4], [0.5, 0.6]], weights=[1.0, 1.0])
    with pytest.raises(InputError, match="at least two"):
        order_averaged_belief([0.5])
    with pytest.raises(InputError, match="orders is 2; expected a whole number of at least 3"):
        order_averaged_belief([0.5, 0.6, 0.7], orders=2)
    with pytest.raises(InputError, match="have shapes"):
        plausibility_gap([0.5], [[0.5, 0.5]], [[0.2, 0.3, 0.5]])
