from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from simengine.errors import InputError
from simengine.scenarios.persuasion import solve_persuasion
from simengine.scenarios.persuasion_payoffs import needed_posterior, payoff_of_act
from simengine.scenarios.persuasion_solver import upper_hull

CLOSURE_AND_PROGRAMME: tuple[Any, ...] = ("concave_closure", "linear_programme")
JUDGE: dict[str, Any] = {"sender": [[0, 1], [0, 1]], "receiver": [[1, 0], [0, 1]]}
shares = st.floats(0.01, 0.99)


def normal(spread: float) -> Any:
    """Thresholds with mean 1/2, truncated to [0, 1]."""
    return stats.truncnorm(-0.5 / spread, 0.5 / spread, loc=0.5, scale=spread)


@pytest.mark.parametrize("receivers", [{}, {"threshold": [0.5, 0.5]}, {"payoff": lambda x: x >= 0.5, "at": 0.5}, JUDGE])
@pytest.mark.parametrize("method", CLOSURE_AND_PROGRAMME)
def test_the_judge_convicts_in_six_of_ten_cases(receivers: dict[str, Any], method: Any) -> None:
    best = solve_persuasion(0.3, method=method, **receivers)
    assert best.value == pytest.approx(0.6, abs=1e-9)
    assert (best.no_information, best.full_information) == pytest.approx((0.0, 0.3))
    np.testing.assert_allclose(best.posteriors, [0.0, 0.5], atol=1e-9)
    np.testing.assert_allclose(best.probabilities, [0.4, 0.6], atol=1e-9)
    np.testing.assert_allclose(best.signal, [[4 / 7, 3 / 7], [0.0, 1.0]], atol=1e-9)
    if "payoff" not in receivers:
        assert best.receiver_value == pytest.approx(0.7)


def test_a_prior_of_all_states_has_posteriors_of_all_states() -> None:
    for method in CLOSURE_AND_PROGRAMME:
        best = solve_persuasion([0.7, 0.3], method=method, **JUDGE)
        np.testing.assert_allclose(best.posteriors, [[1.0, 0.0], [0.5, 0.5]], atol=1e-9)
        np.testing.assert_allclose(best.probabilities @ best.posteriors, [0.7, 0.3], atol=1e-9)


@pytest.mark.parametrize(
    ("spread", "value", "tangent", "private", "silence"),
    [(0.05, 0.4902, 0.589, 0.606, None), (0.1, 0.4309, 0.643, 0.624, 0.0227), (0.2, 0.3624, 0.703, 0.649, 0.154)],
)
def test_spread_of_thresholds_hurts_public_and_helps_private_persuasion(
    spread: float, value: float, tangent: float, private: float, silence: float | None
) -> None:
    public = solve_persuasion(0.3, normal(spread))
    assert public.value == pytest.approx(value, abs=5e-5)
    assert public.posteriors[-1] == pytest.approx(tangent, abs=5e-4)
    assert solve_persuasion(0.3, normal(spread), method="linear_programme").value == pytest.approx(
        public.value, abs=1e-9
    )
    alone = solve_persuasion(0.3, normal(spread), method="private")
    assert alone.value == pytest.approx(private, abs=5e-4)
    if silence is not None:
        assert public.no_information == pytest.approx(silence, abs=5e-4)
    many = normal(spread).ppf((np.arange(20_000) + 0.5) / 20_000)
    assert solve_persuasion(0.3, many).value == pytest.approx(public.value, abs=5e-5)
    assert solve_persuasion(0.3, many, method="private").value == pytest.approx(alone.value, abs=1e-6)
    assert solve_persuasion(0.3, many).receiver_value == pytest.approx(public.receiver_value, abs=1e-3)


def test_of_uniform_thresholds_information_design_gets_nothing() -> None:
    best = solve_persuasion(0.3, stats.uniform())
    assert best.value == pytest.approx(0.3)
    assert best.no_information == best.full_information == pytest.approx(0.3)


def test_bias_raises_the_threshold_until_nobody_can_be_convinced() -> None:
    assert solve_persuasion(0.3, bias=0.2).value == pytest.approx(0.3 / 0.55)
    limit = 0.5 / 0.7
    assert solve_persuasion(0.3, bias=limit - 1e-6).value == pytest.approx(0.3, abs=1e-5)
    assert solve_persuasion(0.3, bias=limit + 1e-6).value == 0.0
    assert solve_persuasion(0.6, bias=1.0).value == 1.0
    biased = solve_persuasion(0.3, [0.4, 0.5], bias=0.2)
    assert biased.value == solve_persuasion(0.3, (np.array([0.4, 0.5]) - 0.06) / 0.8).value
    many = normal(0.1).ppf((np.arange(5000) + 0.5) / 5000)
    continuum = solve_persuasion(0.3, normal(0.1), bias=0.2)
    assert continuum.value == pytest.approx(solve_persuasion(0.3, many, bias=0.2).value, abs=2e-4)
    assert continuum.receiver_value == pytest.approx(solve_persuasion(0.3, many, bias=0.2).receiver_value, abs=2e-3)


@given(prior=shares, thresholds=arrays(float, st.integers(1, 12), elements=shares))
def test_closure_and_programme_agree_and_are_plausible(prior: float, thresholds: Any) -> None:
    hull, programme = (solve_persuasion(prior, thresholds, method=method) for method in CLOSURE_AND_PROGRAMME)
    assert hull.value == pytest.approx(programme.value, abs=1e-9)
    for best in (hull, programme):
        assert best.probabilities @ best.posteriors == pytest.approx(prior, abs=1e-9)
        assert best.probabilities.sum() == pytest.approx(1.0)
        np.testing.assert_allclose(best.signal.sum(axis=1), 1.0)
        np.testing.assert_allclose([1 - prior, prior] @ best.signal, best.probabilities, atol=1e-9)
    assert hull.value >= max(hull.no_information, hull.full_information) - 1e-12
    assert solve_persuasion(prior, thresholds, method="private").value >= hull.value - 1e-12
    assert len(hull.posteriors) <= 2


@given(threshold=shares, low=shares, high=shares)
def test_a_better_prior_never_hurts(threshold: float, low: float, high: float) -> None:
    low, high = sorted((low, high))
    assert solve_persuasion(low, threshold).value <= solve_persuasion(high, threshold).value + 1e-12
    assert solve_persuasion(low, threshold).value == pytest.approx(min(1.0, low / threshold))


@given(
    chances=arrays(float, 2, elements=shares),
    payoffs=arrays(float, (2, 2, 4), elements=st.integers(-5, 5).map(float)),
)
def test_both_methods_solve_any_payoffs_in_two_states(chances: Any, payoffs: Any) -> None:
    prior = chances / chances.sum()
    found = [
        solve_persuasion(prior, sender=payoffs[0], receiver=payoffs[1], method=method)
        for method in CLOSURE_AND_PROGRAMME
    ]
    assert found[0].value == pytest.approx(found[1].value, abs=1e-9)
    assert found[0].value >= max(found[0].no_information, found[0].full_information) - 1e-9
    np.testing.assert_allclose(found[0].probabilities @ found[0].posteriors, prior, atol=1e-9)


def test_with_three_states_the_programme_finds_what_pooling_brings() -> None:
    # Accepting is right in the third state only; of the others the sender prefers to pool the less harmful one.
    receiver = [[0, -2], [0, -1], [0, 1]]
    best = solve_persuasion([0.4, 0.4, 0.2], sender=[[0, 1]] * 3, receiver=receiver, method="linear_programme")
    assert best.value == pytest.approx(0.4)
    np.testing.assert_allclose(best.signal[:, -1], [0.0, 0.5, 1.0], atol=1e-9)


def test_a_grid_without_the_critical_posterior_errs_and_its_error_is_not_monotone() -> None:
    def convicts(x: Any) -> Any:
        return x >= 0.5

    # Grids of four and of five intervals; the prior is 0.4, the truth 0.8.
    assert solve_persuasion(0.4, payoff=convicts, points=5).value == pytest.approx(0.8)
    assert solve_persuasion(0.4, payoff=convicts, points=6).value == pytest.approx(2 / 3)
    for points in range(2, 12):
        assert solve_persuasion(0.4, payoff=convicts, at=[0.5], points=points).value == pytest.approx(0.8)


def test_payoffs_may_be_any_function_or_its_values() -> None:
    # sin(2 pi x) is concave up to 1/2; from there on the closure is the tangent to (1, 0), which touches at tan(u) = u.
    touch = 1 - 4.493409457909064 / (2 * np.pi)

    def wave(x: Any) -> Any:
        return np.sin(2 * np.pi * x)

    assert solve_persuasion(touch / 2, payoff=wave).value == pytest.approx(wave(touch / 2))
    assert solve_persuasion(0.5, payoff=wave).value == pytest.approx(0.5 * wave(touch) / (1 - touch), abs=1e-7)
    assert solve_persuasion(0.25, payoff=[1.0, 0.0, 2.0]).value == pytest.approx(1.25)
    assert solve_persuasion(0.25, payoff=[1.0, 0.0, 2.0], at=[0.0, 0.9, 1.0]).value == pytest.approx(1.25)


@given(arrays(float, st.integers(2, 30), elements=st.floats(-3, 3)))
def test_the_hull_is_concave_and_above_all_points(values: Any) -> None:
    x = np.linspace(0.0, 1.0, len(values))
    corners = upper_hull(x, values)
    assert (np.interp(x, x[corners], values[corners]) >= values - 1e-9).all()
    assert (np.diff(np.diff(values[corners]) / np.diff(x[corners])) <= 1e-9).all()


@pytest.mark.parametrize("method", ["concave_closure", "linear_programme", "private"])
def test_of_a_certain_state_there_is_nothing_to_say(method: Any) -> None:
    for prior in (0.0, 1.0):
        best = solve_persuasion(prior, method=method)
        assert best.value == best.no_information == prior
        assert best.receiver_value == pytest.approx(1.0)
        assert np.isfinite(best.signal).all()


def test_receivers_with_priors_of_their_own_need_other_posteriors_of_the_sender() -> None:
    # Odds of 1 to 1 for one with the odds of 1 to 4 take a message that gives 12 to 7 with the odds of 3 to 7.
    assert needed_posterior(0.5, 0.3, priors=[0.2, 0.3, 0.5]) == pytest.approx([12 / 19, 0.5, 0.3])
    assert needed_posterior([0.0, 0.2], 0.3, priors=[0.1, 0.3], bias=[0.5, 0.9]).tolist() == [0.0, 0.0]


def test_to_be_right_is_worth_one_at_a_threshold_of_a_half() -> None:
    assert payoff_of_act([0, 0, 1, 1], [0, 1, 0, 1], 0.5).tolist() == [1, 0, 0, 1]
    # At the threshold both acts are worth the same.
    accept, reject = ([payoff_of_act(act, good, 0.8) for good in (0, 1)] for act in (1, 0))
    assert np.dot([0.2, 0.8], accept) == pytest.approx(np.dot([0.2, 0.8], reject))


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"prior": 1.2}, "prior: got 1.2, allowed is 0 <= value <= 1"),
        ({"prior": float("nan")}, "prior: numbers are finite, not nan"),
        ({"prior": [0.3, 0.7]}, "prior: got an array"),
        ({"threshold": 1.5}, "threshold: got 1.5, allowed is 0 <= value <= 1"),
        ({"threshold": [0.5, -0.1]}, "threshold: got -0.1"),
        ({"threshold": []}, "there is no threshold"),
        ({"threshold": stats.norm(0.5, 1)}, "the distribution lies from 0 to 1"),
        ({"threshold": [0.2, 0.4], "weights": [0.2, 0.2]}, "with the sum 1, not 0.4"),
        ({"bias": 2}, "bias: got 2"),
        ({"method": "hull"}, "there is no method 'hull'"),
        ({"method": "private", "payoff": np.square}, "private signals need thresholds"),
        ({"payoff": [0, 1], "at": [0.1, 1.0]}, "go from 0 to 1"),
        ({"payoff": [0, 1], "at": [0.0]}, "belong together"),
        ({"sender": [[1, 0]]}, "belong together"),
        ({"prior": [0.3, 0.3], **JUDGE}, "sum to 1, these to 0.6"),
        ({"prior": [0.3, 0.3, 0.4], **JUDGE}, "prior has 3 states"),
        ({"prior": [0.2, 0.8], "sender": [[0, 1]], "receiver": [[0], [1]]}, "have one shape"),
        ({"prior": [0.2, 0.3, 0.5], "sender": [[0, 1]] * 3, "receiver": [[0, 1]] * 3}, "is for two states, not 3"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(given_: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=r"^[^\n]+$") as refused:
        solve_persuasion(**given_)
    assert said in str(refused.value)
