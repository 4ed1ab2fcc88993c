"""Persuasion in words by the rules that stand behind it: closed forms, kinds of receivers, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import simengine
from simengine import InputError, testing
from simengine.policies.language.backends.function import Function
from simengine.policies.language.policy import Language
from simengine.scenarios.persuasion_talk import BAYESIAN, PersuasionTalk, after_report, perceived

ROUNDS = 20_000
CHANCE = 4 * np.sqrt(0.25 / ROUNDS)
"""Four standard errors of a share of that many rounds, whatever it is: error rate 6e-5 each, fixed seeds."""


def last(steps: int = ROUNDS, **parameters: Any) -> Any:
    """The last record of a run."""
    options = {"n_agents": 40, "seed": 1, "every": steps, "snapshot_every": steps} | parameters
    return simengine.run(PersuasionTalk, steps=steps, progress=False, **options).isel(time=-1, snapshot_time=-1)


def test_a_story_of_four_sevenths_honesty_convinces_six_of_ten_and_leaves_them_nothing() -> None:
    run = last(told_honesty=4 / 7)
    assert float(run.acceptance_so_far) == pytest.approx(0.6, abs=CHANCE)
    assert float(run.welfare) == pytest.approx(0.7, abs=CHANCE)
    assert float(run.honesty_shown) == pytest.approx(4 / 7, abs=2 * CHANCE)
    assert float(run.belief_gap) == 0.0
    assert float(run.contradictions) == 0.0


@pytest.mark.parametrize(("told", "accepted"), [(0.5, 0.0), (0.6, 0.58), (1.0, 0.3)])
def test_acceptance_over_the_honesty_told_is_a_sawtooth(told: float, accepted: float) -> None:
    assert float(last(told_honesty=told).acceptance_so_far) == pytest.approx(accepted, abs=CHANCE if accepted else 0)


def test_kinds_of_receivers_believe_more_or_less_of_one_story() -> None:
    run = last(told_honesty=0.8, plain=0.25, skeptical=0.25, trusting=0.25, doubt=0.5)
    assert np.bincount(run.kind.values.astype(int)).tolist() == [10, 10, 10, 10]
    # After "good" sceptics hold the seller for honest with 0.4, less than 4/7.
    good = float(run.acceptance_bayesian) == 1.0
    beliefs = [0.3 / (0.3 + 0.7 * (1 - honesty)) for honesty in (0.8, 0.8, 0.4, 1.0)] if good else [0.0] * 4
    np.testing.assert_allclose(run.posterior, np.array(beliefs)[run.kind.values.astype(int)], atol=1e-12)
    shares = run.accepted.values / ROUNDS
    expected = np.array([0.44, 0.44, 0.0, 0.44])[run.kind.values.astype(int)]
    np.testing.assert_allclose(shares, expected, atol=CHANCE)


@pytest.mark.slow
@pytest.mark.parametrize("style", ["naive", "strong"])
def test_who_tells_nothing_and_always_says_good_is_judged_by_what_is_presumed(style: str) -> None:
    run = last(style=style, presumed_honesty=0.6, steps=2000)
    assert float(run.acceptance_so_far) == 1.0
    # Nothing is learnt, but receivers think there is.
    assert float(run.welfare) == pytest.approx(0.3, abs=4 * np.sqrt(0.25 / 2000))
    assert float(last(style=style, presumed_honesty=0.5, steps=2000).acceptance_so_far) == 0.0


def test_each_audience_hears_its_own_sender() -> None:
    run = last(n_agents=30, n_senders=10, steps=50)
    assert (run.agents_sender.values == np.arange(30) % 10).all()
    assert (run.accepts.values == run.senders_report.values[run.agents_sender.values.astype(int)]).all()
    assert 0 < run.senders_report.values.sum() < 10


def test_stated_beliefs_and_acts_against_them_are_measured_beside_bayes_rule() -> None:
    # Models that answer all decisions share the compiled step with the twins of `test_persuasion_words`.
    def credulous_and_contrary(context: Any, request: Any) -> Any:
        good = "is good" in context.get("message", "") or context.get("report") == "good"
        if "message" in context:
            return ([1.0, 0.0] if good else [0.0, 1.0]) if request.labels else {"probability": 0.9 if good else 0.2}
        if "task" in context:
            return f"It is {context['report']}."
        honest = context.get("told", 0.6) if context.get("state") == "bad" else 0.0
        return [honest, 1.0 - honest] if request.labels else {"honesty": 0.6}

    model = Language(Function(credulous_and_contrary))
    decisions = ("senders.announce", "senders.report", "senders.word", "agents.believe", "agents.decide")
    run = simengine.run(
        PersuasionTalk, n_agents=5, steps=60, seed=2, policies=dict.fromkeys(decisions, model), progress=False
    )
    good = run.bayes_acceptance.values[1:] == 1.0
    assert 0.2 < good.mean() < 0.9
    bayes = 0.3 / (0.3 + 0.7 * 0.4)
    np.testing.assert_allclose(run.belief_lean.values[1:], np.where(good, 0.9 - bayes, 0.2), atol=1e-12)
    np.testing.assert_allclose(run.belief_gap.values[1:], run.belief_lean.values[1:], atol=1e-12)
    assert (run.acceptance.values == 1.0 - run.bayes_acceptance.values)[1:].all()
    assert (run.contradictions.values[1:] == 1.0).all()
    assert float(run.welfare[-1]) == pytest.approx(1.0 - float(run.bayes_welfare[-1]))


@pytest.mark.slow
def test_a_run_is_the_same_however_it_is_cut_and_spread() -> None:
    options: dict[str, Any] = {"n_agents": 30, "n_senders": 3, "skeptical": 0.5, "steps": 12}
    testing.split_equals_whole(PersuasionTalk, **options)
    testing.any_threads(PersuasionTalk, **options)
    testing.any_shards(PersuasionTalk, **options)


def test_what_is_believed_follows_from_who_believes_whom() -> None:
    assert perceived(0.6, BAYESIAN, 0.5, 1.0) == 0.6
    assert after_report(1, 0.3, 4 / 7) == pytest.approx(0.5)
    assert after_report(0, 0.3, 4 / 7) == 0.0
    # Someone who is never honest does not say "bad"; such a report leaves the prior.
    assert after_report(0, 0.3, 0.0) == 0.3


def test_more_receivers_than_there_are_is_refused() -> None:
    with pytest.raises(InputError, match="shares of all"):
        PersuasionTalk(plain=0.5, skeptical=0.4, trusting=0.2)
