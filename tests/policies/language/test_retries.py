from __future__ import annotations

import math
import random

import pytest

from simengine.errors import InputError
from simengine.policies.language.retries import Breaker, Retries, RetryBudget


def test_backoff_is_uniform_up_to_a_ceiling_that_doubles():
    retries, jitter = Retries(base=0.5, longest=3.0), random.Random(1)
    for number, ceiling in ((1, 0.5), (2, 1.0), (3, 2.0), (4, 3.0), (500, 3.0)):
        drawn = [retries.backoff(number, jitter) for _ in range(4000)]
        assert 0 <= min(drawn) < 0.01 * ceiling
        assert 0.99 * ceiling < max(drawn) <= ceiling
        # Standard error of the mean is 0.0046 of the ceiling: six of them.
        assert sum(drawn) / len(drawn) == pytest.approx(ceiling / 2, abs=0.028 * ceiling)


def test_repetitions_stay_a_share_of_the_calls():
    budget = RetryBudget(Retries(share=0.1, spare=2))
    assert [budget.spend() for _ in range(3)] == [True, True, False]
    budget.calls = 25
    assert [budget.spend() for _ in range(4)] == [True, True, True, False]


def test_the_breaker_opens_when_most_of_the_last_attempts_failed():
    breaker = Breaker(Retries(window=10, failing=0.5, cooldown=2.0))
    for _ in range(10):
        breaker.succeeded()
    assert [breaker.failed(7.0, False) > 0 for _ in range(5)] == [False, False, False, False, True]
    assert breaker.open
    assert breaker.wait(8.0) == 1.0
    assert breaker.wait(9.0) == 0.0


def opened(**settings) -> Breaker:
    breaker = Breaker(Retries(window=2, cooldown=2.0, longest=6.0, **settings))
    breaker.failed(0.0, False)
    assert breaker.open
    return breaker


def test_one_probe_at_a_time_goes_through_an_open_breaker():
    breaker = opened()
    assert breaker.start()
    assert breaker.wait(100.0) == math.inf
    breaker.gave_up(True)
    assert breaker.wait(100.0) == 0.0


def test_probes_that_fail_come_more_and_more_rarely():
    breaker, now, waits = opened(), 2.0, []
    for _ in range(4):
        assert breaker.wait(now) == 0.0
        breaker.start()
        assert breaker.failed(now, True) == now
        waits.append(breaker.wait(now))
        now += waits[-1]
    assert waits == [4.0, 6.0, 6.0, 6.0]


def test_any_answer_closes_the_breaker_and_forgets_the_outage():
    breaker = opened()
    breaker.start()
    breaker.succeeded()
    assert not breaker.open
    assert breaker.wait(0.0) == 0.0
    assert not breaker.start()
    assert not breaker.outcomes


def test_an_attempt_that_began_before_the_outage_does_not_put_off_the_probe():
    breaker = opened()
    assert breaker.failed(1.5, False) == 1.5
    assert breaker.wait(1.5) == 0.5


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"attempts": 0}, "attempts is 0; allowed is a whole number from 1 up"),
        ({"attempts": 1.5}, "attempts is 1.5"),
        ({"share": -0.1}, "share is -0.1; allowed is a number from 0 up"),
        ({"patience": "long"}, "patience is 'long'"),
        ({"base": float("nan")}, "base is nan"),
    ],
)
def test_settings_that_make_no_sense_are_named(settings, words):
    with pytest.raises(InputError, match=words):
        Retries(**settings)
