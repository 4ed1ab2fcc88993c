from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import simengine
from simengine import InputError, Policy, testing
from simengine.scenarios.persuasion import Persuasion, solve_persuasion

PRIOR, THRESHOLD = 0.3, 0.5
CRITICAL = 4 / 7
"""The honesty below which nobody is convinced, and the optimum."""
ROUNDS = 40_000
CHANCE = 4 * np.sqrt(0.25 / ROUNDS)
"""Four standard errors of a share of that many rounds, whatever it is: error rate 6e-5 each, fixed seeds."""


def last(steps: int = ROUNDS, **parameters: Any) -> Any:
    """The last record of a run."""
    options = {"n_agents": 10, "seed": 1, "every": steps, "snapshot_every": steps} | parameters
    return simengine.run(Persuasion, steps=steps, progress=False, **options).isel(time=-1, snapshot_time=-1)


def bits(table: Any) -> float:
    """Mutual information of a table of probabilities."""
    outer = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True)
    kept = table > 0
    return float((table[kept] * np.log2(table[kept] / outer[kept])).sum())


def test_committed_senders_convict_in_six_of_ten_cases_and_take_all_the_gain() -> None:
    run = last()
    assert float(run.acceptance_so_far) == pytest.approx(0.6, abs=CHANCE)
    assert float(run.welfare) == pytest.approx(0.7, abs=CHANCE)
    assert float(run.slack) == pytest.approx(0.0, abs=1e-12)
    assert float(run.senders_honesty[0]) == pytest.approx(1 - 3 / 7)
    lies = 1 - float(run.senders_kept[0]) / float(run.senders_checked[0])
    assert lies == pytest.approx(3 / 7, abs=4 * np.sqrt(0.25 / (0.7 * ROUNDS)))
    assert float(run.acceptance_so_far) == pytest.approx(solve_persuasion(PRIOR, THRESHOLD).value, abs=CHANCE)


def test_what_is_believed_is_plausible_and_comes_true() -> None:
    run = last()
    # The mean of posteriors is the prior; four standard errors of the mean of a variable in [0, 0.5].
    assert float(run.bins_stated.sum() / run.bins_number.sum()) == pytest.approx(PRIOR, abs=CHANCE / 2)
    used = np.flatnonzero(run.bins_number.values)
    np.testing.assert_allclose((run.bins_stated / run.bins_number).values[used], [0.0, 0.5], atol=1e-12)
    assert (run.bins_came_true / run.bins_number).values[used] == pytest.approx([0.0, 0.5], abs=2 * CHANCE)
    assert float(run.calibration_error) < 2 * CHANCE


@pytest.mark.parametrize(
    ("sender", "accepted", "gained", "said"),
    [
        ("truthful", 0.3, 1.0, [[0.7, 0.0], [0.0, 0.3]]),
        ("uninformative", 0.0, 0.7, [[0.35, 0.35], [0.15, 0.15]]),
        ("cheap_talk", 0.0, 0.7, [[0.0, 0.7], [0.0, 0.3]]),
        ("commitment", 0.6, 0.7, [[0.4, 0.3], [0.0, 0.3]]),
    ],
)
def test_senders_get_and_tell_what_their_kind_does(sender: str, accepted: float, gained: float, said: Any) -> None:
    run = last(sender=sender)
    assert float(run.acceptance_so_far) == pytest.approx(accepted, abs=CHANCE if accepted else 0)
    assert float(run.welfare) == pytest.approx(gained, abs=CHANCE)
    # Four standard errors by the scenario's own account, which is tested with the diagnostics.
    error = 4 * float(run.message_information_standard_error) + 1e-4
    assert float(run.message_information) == pytest.approx(bits(np.array(said)), abs=error)


def test_acceptance_over_perceived_honesty_is_a_sawtooth_with_its_tooth_at_four_sevenths() -> None:
    found = {}
    for honesty in (0.0, 0.3, 0.57, CRITICAL, 0.6, 0.8, 1.0):
        found[honesty] = float(last(sender="narrated", perceived_honesty=honesty).acceptance_so_far)
        expected = PRIOR + (1 - PRIOR) * (1 - honesty) if honesty >= CRITICAL else 0.0
        assert found[honesty] == pytest.approx(expected, abs=CHANCE if expected else 0)
    assert max(found, key=lambda honesty: found[honesty]) == CRITICAL


def test_who_seems_more_honest_than_it_is_leaves_receivers_worse_off_than_silence() -> None:
    run = last(sender="narrated", perceived_honesty=0.6, honesty=0.3)
    assert float(run.acceptance_so_far) == pytest.approx(0.3 + 0.7 * 0.7, abs=CHANCE)
    assert float(run.welfare) == pytest.approx(0.3 + 0.7 * 0.3, abs=CHANCE)
    assert float(run.welfare) < float(last(sender="uninformative").welfare) - 0.1
    # It says "good" in 0.79 of the rounds, which receivers believe with 0.3 / 0.58; 0.3 come true.
    assert float(run.calibration_error) == pytest.approx(0.79 * 0.3 / 0.58 - 0.3, abs=2 * CHANCE)


@pytest.mark.parametrize(("lies", "accepted"), [(0.5, 0.0), (0.3, 0.3 + 0.7 * 0.3)])
def test_who_lies_too_often_is_not_believed_in_the_end(lies: float, accepted: float) -> None:
    run = simengine.run(
        Persuasion, n_agents=10, sender="narrated", perceived_honesty=0.7, honesty=1 - lies, learning=True,
        trust_weight=60.0, steps=6000, every=3, seed=3, progress=False,
    )  # fmt: skip
    # At first all believe the story.
    assert float(run.acceptance[1:10].mean()) > 0.3
    late = run.acceptance.values[-1000:]
    assert late.mean() == pytest.approx(accepted, abs=4 * np.sqrt(0.25 / 1000) if accepted else 0)
    # What would be believed tends to what the true honesty deserves.
    assert float(run.slack[-1]) == pytest.approx(0.3 / (0.3 + 0.7 * lies) - 0.5, abs=0.03)


def test_biased_receivers_need_more_and_too_biased_ones_never_accept() -> None:
    assert float(last(bias=0.2).acceptance_so_far) == pytest.approx(0.3 / 0.55, abs=CHANCE)
    assert float(last(bias=0.714).acceptance_so_far) == pytest.approx(0.3, abs=CHANCE)
    assert float(last(bias=0.715, steps=2000).acceptance_so_far) == 0.0


@pytest.mark.parametrize(("spread", "value"), [(0.05, 0.4902), (0.1, 0.4309), (0.2, 0.3624)])
def test_a_public_signal_for_many_thresholds_gets_the_concave_closure(spread: float, value: float) -> None:
    run = last(n_agents=400, threshold_spread=spread)
    # The steps of 400 thresholds raise the closure by up to half a step.
    assert float(run.acceptance_so_far) == pytest.approx(value, abs=CHANCE + 0.5 / 400)
    assert solve_persuasion(PRIOR, run.threshold.values).value == pytest.approx(value, abs=1 / 400)


@pytest.mark.slow
def test_a_public_signal_gets_the_concave_closure_to_three_digits() -> None:
    # Four standard errors of a million rounds, and half a step of 500 thresholds: error rate 6e-5.
    run = last(n_agents=500, threshold_spread=0.1, steps=1_000_000)
    assert float(run.acceptance_so_far) == pytest.approx(0.4309, abs=4 * 0.5e-3 + 0.5 / 500)


def test_of_uniform_thresholds_a_public_signal_gets_the_prior() -> None:
    assert float(last(n_agents=400, thresholds="uniform").acceptance_so_far) == pytest.approx(
        0.3, abs=CHANCE + 0.5 / 400
    )


@pytest.mark.parametrize(("spread", "accepted"), [(0.1, 0.0227), (0.2, 0.154)])
def test_without_information_those_accept_whose_threshold_lies_below_the_prior(spread: float, accepted: float) -> None:
    run = last(n_agents=10_000, threshold_spread=spread, sender="uninformative", steps=3)
    assert float(run.acceptance) == pytest.approx(accepted, abs=5e-4)


def test_receivers_with_priors_and_biases_of_their_own_are_convinced_as_designed() -> None:
    run = last(n_agents=300, prior_spread=0.1, bias=0.1, bias_spread=0.05, threshold_spread=0.1)
    # The sender's value for receivers whose needs it knows; all rounding aside they act as designed.
    odds = run.prior / (1 - run.prior)
    bayes = (run.threshold - run.bias * run.prior) / (1 - run.bias)
    needed = bayes / (1 - bayes) / odds * 3 / 7
    needed = (needed / (1 + needed)).where((bayes > 0) & (bayes < 1), bayes > 0.5)
    best = solve_persuasion(PRIOR, np.clip(needed.values, 0, 1))
    assert float(run.acceptance_so_far) == pytest.approx(best.value, abs=CHANCE)


def test_only_those_accept_who_trust_enough() -> None:
    run = last(n_agents=200, sender="narrated", perceived_honesty=0.8, trust=0.7, trust_spread=0.2, steps=200)
    trusting = run.trust.values * 0.8 >= CRITICAL
    assert 0.2 < trusting.mean() < 0.8
    good = int(run.senders_claims[0] + run.senders_checked[0] - run.senders_kept[0])
    assert run.accepted.values.tolist() == np.where(trusting, good, 0).tolist()


def test_who_does_not_trust_a_message_learns_less_from_it_and_from_noise_nothing() -> None:
    noise = last(sender="uninformative", trust=0.5, trust_spread=0.2, steps=200)
    np.testing.assert_allclose(noise.posterior, PRIOR, rtol=1e-12)
    came_true = float(noise.bins_came_true.sum()) / 2000
    assert float(noise.calibration_error) == pytest.approx(abs(came_true - PRIOR), abs=1e-9)
    # Nobody trusts: as if all senders said their side in any state.
    np.testing.assert_allclose(last(sender="truthful", trust=0.0, steps=50).convinced, PRIOR, rtol=1e-12)


def test_the_broadest_spread_of_traits_is_uniform() -> None:
    broad, uniform = last(threshold_spread=1e300, steps=1), last(thresholds="uniform", steps=1)
    np.testing.assert_array_equal(broad.threshold, uniform.threshold)


@pytest.mark.parametrize(("stated", "held"), [(5.0, 1.0), (-1e300, 0.0)])
def test_beliefs_from_outside_are_brought_within_bounds(stated: float, held: float) -> None:
    run = last(policies={"agents.believe": Policy(lambda asked: np.full(len(asked.ids), stated))}, steps=3)
    assert (run.posterior == held).all()
    assert float(run.bins_stated.sum()) == held * 30


@pytest.mark.parametrize("n_senders", [2, 5])
def test_competition_informs(n_senders: int) -> None:
    run = last(n_senders=n_senders)
    assert float(run.acceptance_so_far) == pytest.approx(0.3 + 0.7 * (3 / 7) ** n_senders, abs=CHANCE)
    assert float(run.welfare) == pytest.approx(1 - 0.7 * (3 / 7) ** n_senders, abs=CHANCE)


def test_an_opponent_takes_away_what_two_of_one_mind_leave() -> None:
    # Both honest with 4/7. Convinced are those to whom the opponent admits a good state; elsewhere "bad" or a draw.
    run = last(n_senders=2, n_opposed=1, sender="narrated")
    assert float(run.acceptance_so_far) == pytest.approx(0.3 * 4 / 7, abs=CHANCE)
    assert run.senders_opposed.values.tolist() == [True, False]


def test_messages_that_no_belief_allows_leave_receivers_with_their_prior() -> None:
    # All lie and are believed to be honest: in a bad state one side says good and the other bad.
    run = last(n_senders=2, n_opposed=1, sender="truthful", honesty=0.0, steps=50)
    assert (run.posterior == PRIOR).all()


def test_decisions_can_be_answered_from_outside() -> None:
    always = {"senders.speak": Policy(lambda asked: 1), "agents.decide": Policy(lambda asked: asked.agents.told)}
    run = last(sender="narrated", policies=always, steps=200)
    assert float(run.acceptance_so_far) == 1.0
    assert float(run.message_information) == pytest.approx(0.0, abs=1e-12)


def test_a_run_is_the_same_however_it_is_cut_and_spread() -> None:
    options: dict[str, Any] = {
        "n_agents": 40, "n_senders": 3, "n_opposed": 1, "sender": "narrated", "learning": True, "trust": 0.8,
        "trust_spread": 0.1, "bias": 0.1, "bias_spread": 0.05, "prior_spread": 0.1, "threshold_spread": 0.1,
    }  # fmt: skip
    testing.any_shards(Persuasion, shards=(3,), **options)
    testing.split_equals_whole(Persuasion, **options)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"prior": 0.0}, "'prior' of Persuasion: got 0.0, allowed is float, 0 < value < 1"),
        ({"prior": 1.0}, "'prior' of Persuasion: got 1.0"),
        ({"threshold": 1.2}, "'threshold' of Persuasion: got 1.2, allowed is float, 0 <= value <= 1"),
        ({"perceived_honesty": -0.1}, "'perceived_honesty' of Persuasion: got -0.1"),
        ({"n_opposed": 2, "sender": "truthful"}, "n_opposed (2) must not exceed n_senders (1)"),
        ({"n_opposed": 1}, "who wants rejections has no best signal"),
        ({"thresholds": "uniform", "threshold_spread": 0.1}, "threshold_spread belongs to thresholds='normal'"),
        ({"sender": "honest"}, "'sender' of Persuasion: got 'honest'"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=r"^[^\n]+$") as refused:
        Persuasion(**parameters)
    assert said in str(refused.value)


def test_thresholds_beyond_belief_are_never_reached_and_those_below_it_always() -> None:
    run = last(n_agents=3, sender="truthful", steps=100, start={"threshold": [-0.5, 1.0, 1.5]})
    assert run.accepted.values.tolist() == [100, int(run.senders_claims[0]), 0]
