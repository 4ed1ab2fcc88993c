"""Biases fitted to answers: known weights come back, and what cannot be told is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import xarray

from simengine.analysis.biases import NAMES, biases_of, fit_biases, sigmoid
from simengine.errors import InputError

TRUE = {"prior_weight": 0.8, "agree_weight": 0.7, "contradict_weight": 1.6, "lean": 0.25}


def questions(n: int, seed: int) -> dict[str, Any]:
    """Public beliefs, precisions and signals."""
    draw = np.random.default_rng(seed)
    return {
        "belief": draw.choice(np.linspace(0.05, 0.95, 19), n),
        "precision": draw.choice([0.55, 0.6, 0.7, 0.8, 0.9], n),
        "signal": draw.integers(0, 2, n),
    }


def held(asked: dict[str, Any], weights: dict[str, float]) -> Any:
    """What agents with these weights hold."""
    odds = np.log(asked["belief"] / (1 - asked["belief"]))
    weight = np.log(asked["precision"] / (1 - asked["precision"]))
    toward = 2.0 * asked["signal"] - 1.0
    kept = np.where(toward * odds > 0, weights["agree_weight"], weights["contradict_weight"])
    return sigmoid(weights["prior_weight"] * odds + toward * kept * weight + weights["lean"])


def test_stated_beliefs_give_the_weights_to_all_digits() -> None:
    asked = questions(400, 1)
    found = biases_of(held(asked, TRUE), **asked)
    assert found.parameters == pytest.approx(TRUE, abs=1e-9)
    assert found.answers == 400
    assert found.flags == ()


def test_acts_drawn_from_what_agents_hold_give_the_weights_within_their_errors() -> None:
    asked = questions(40_000, 2)
    drawn = np.random.default_rng(3).uniform(size=40_000) < held(asked, TRUE)
    found = biases_of(drawn, **asked)
    for name in NAMES:
        estimate = getattr(found, name)
        # Four standard errors: error rate 6e-5 each, fixed seeds.
        assert abs(estimate.value - TRUE[name]) < 4 * estimate.standard_error
        assert 0.01 < estimate.standard_error < 0.1
    later = found.cascade_from(0.7)
    assert abs(later.value - 2.0) < 4 * later.standard_error


def test_errors_are_those_of_repetitions() -> None:
    found = [
        biases_of(np.random.default_rng(seed).uniform(size=2000) < held(asked, TRUE), **asked)
        for seed in range(200)
        for asked in [questions(2000, 1000 + seed)]
    ]
    for name in NAMES:
        values = np.array([getattr(one, name).value for one in found])
        errors = np.array([getattr(one, name).standard_error for one in found])
        # The standard deviation of 200 values is known to 5 %; four of these.
        assert errors.mean() == pytest.approx(values.std(), rel=0.2)


def test_answers_that_are_copies_of_one_another_do_not_count_as_more() -> None:
    asked = questions(500, 4)
    drawn = np.random.default_rng(5).uniform(size=500) < held(asked, TRUE)
    once = biases_of(drawn, **asked)
    often = biases_of(np.repeat(drawn, 50), **{name: np.repeat(values, 50) for name, values in asked.items()})
    assert float(often.agree_weight.standard_error) == pytest.approx(float(once.agree_weight.standard_error), rel=1e-6)
    assert float(often.agree_weight.value) == pytest.approx(float(once.agree_weight.value), abs=1e-8)


def test_bayesian_agents_have_no_bias() -> None:
    asked = questions(300, 6)
    b, q, s = asked["belief"], asked["precision"], asked["signal"]
    good, bad = np.where(s == 1, q, 1 - q), np.where(s == 1, 1 - q, q)
    found = biases_of(b * good / (b * good + (1 - b) * bad), **asked)
    assert found.parameters == pytest.approx(dict(zip(NAMES, (1, 1, 1, 0), strict=True)), abs=1e-9)
    assert found.cascade_from(0.8).value == pytest.approx(1.0)


def test_questions_about_what_is_certain_are_left_out() -> None:
    certain = {"belief": 1.0, "precision": 0.7, "signal": 1}
    asked = {name: np.append(values, certain[name]) for name, values in questions(100, 7).items()}
    found = biases_of(np.append(held(questions(100, 7), TRUE), 1.0), **asked)
    assert (found.answers, found.left_out) == (100, 1)
    assert found.parameters == pytest.approx(TRUE, abs=1e-9)


def logged(label: str, asked: dict[str, Any], action: Any, provenance: Any) -> xarray.Dataset:
    """Decisions as a run's record holds them."""
    contexts = [
        json.dumps({"belief": float(b), "reliability": float(q), "report": "", "signal": int(s)})
        for b, q, s in zip(asked["belief"], asked["precision"], asked["signal"], strict=True)
    ]
    n = len(contexts)
    return xarray.Dataset(
        {
            "decision": ("row", [label] * n),
            "action": ("row", action),
            "provenance": ("row", provenance),
            "context": ("row", contexts),
        }
    )


def test_logged_decisions_are_read_without_those_of_rule_and_fallback() -> None:
    asked = questions(200, 8)
    provenance = np.resize([1, 2, 3, 0, 4, 5], 200)
    stated = np.where(np.isin(provenance, (1, 2, 3)), held(asked, TRUE), 0.5)
    found = fit_biases(logged("agents.believe", asked, stated, provenance))
    assert found.parameters == pytest.approx(TRUE, abs=1e-9)
    assert found.answers == int(np.isin(provenance, (1, 2, 3)).sum())


def test_probabilities_of_acts_count_for_more_than_acts() -> None:
    asked = questions(200, 9)
    good = held(asked, TRUE)
    decisions = logged("agents.act", asked, good > 0.5, np.ones(200, int))
    decisions["probability"] = (("row", "option"), np.stack([1 - good, good], axis=1))
    assert fit_biases(decisions).parameters == pytest.approx(TRUE, abs=1e-9)


def test_what_tells_nothing_is_refused_in_one_line() -> None:
    asked = questions(200, 10)
    with pytest.raises(InputError, match="without exception"):
        biases_of(held(asked, TRUE) > 0.5, **asked)
    with pytest.raises(InputError, match="do not tell the weights apart"):
        biases_of(np.full(200, 0.5), **(asked | {"belief": np.full(200, 0.5)}))
    with pytest.raises(InputError, match="from 0 to 1"):
        biases_of(np.full(200, 1.5), **asked)
    with pytest.raises(InputError, match="have 3, 200, 200, 200 values"):
        biases_of([0.1, 0.2, 0.3], **asked)
    decisions = logged("agents.plan", asked, np.zeros(200), np.ones(200))
    with pytest.raises(InputError, match=r"there are agents\.plan"):
        fit_biases(decisions)
    with pytest.raises(InputError, match=r"no decisions 'agents\.act'"):
        fit_biases(decisions, "agents.act")
