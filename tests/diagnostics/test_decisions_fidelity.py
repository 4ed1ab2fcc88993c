"""How near a model comes to people: the anchors of the score, and what can be reached with few people."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine.diagnostics.decisions.fidelity import simulation_fidelity
from simengine.errors import InputError

HUMAN = np.random.default_rng(1).dirichlet(np.ones(4), 40)


def test_an_even_model_scores_0_and_people_themselves_100() -> None:
    even = simulation_fidelity(HUMAN, np.full((40, 4), 0.25))
    assert even["score"].value == pytest.approx(0.0, abs=1e-12)
    assert even["total_variation"].value == pytest.approx(even["total_variation"].null_mean)
    assert even["jensen_shannon"].value == pytest.approx(even["jensen_shannon"].null_mean)
    assert even["entropy_gap"].value == pytest.approx(even["entropy_gap"].null_mean)
    people = simulation_fidelity(HUMAN, HUMAN)
    assert people["score"].value == 100.0
    assert people["score"].standard_error == 0.0
    for name in ("total_variation", "jensen_shannon", "entropy_gap"):
        assert people[name].value == pytest.approx(0.0, abs=1e-15)


@given(st.floats(0, 1), st.floats(0, 1))
@settings(deadline=None, max_examples=25)
def test_of_two_options_the_variation_is_the_difference(p: float, q: float) -> None:
    found = simulation_fidelity([[p, 1 - p]], [[q, 1 - q]])
    assert found["total_variation"].value == pytest.approx(abs(p - q), abs=1e-12)


def test_opposites_are_one_bit_apart_and_score_below_0() -> None:
    found = simulation_fidelity([[1.0, 0.0]] * 2, [[0.0, 1.0]] * 2)
    assert found["jensen_shannon"].value == pytest.approx(1.0)
    assert found["score"].value == pytest.approx(-100.0)


def test_the_gap_is_in_entropy_of_the_model_over_people() -> None:
    found = simulation_fidelity([[1.0, 0.0]] * 3, [[0.5, 0.5]] * 3)
    assert found["entropy_gap"].value == pytest.approx(1.0)
    assert simulation_fidelity([[1.0, 0.0]] * 3, [[0.5, 0.5]] * 3, unit="nat")["entropy_gap"].value == pytest.approx(
        np.log(2)
    )


def test_questions_with_fewer_options_are_even_over_these() -> None:
    human = np.array([[0.7, 0.3, 0.0], [0.2, 0.3, 0.5]])
    even = np.array([[0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    assert simulation_fidelity(human, even, options=[2, 3])["score"].value == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(InputError, match="question 1 has 2 options, and shares of others"):
        simulation_fidelity(human, even, options=[2, 2])


def test_what_few_people_can_tell_is_exact() -> None:
    # Two options, n = 1: |X - p| is 2 p (1 - p) on average, and so is the chance that two people differ.
    p = np.array([[0.3, 0.7]])
    found = simulation_fidelity(p, p, people=1)
    assert found["perfect"].details["total_variation"] == pytest.approx(2 * 0.3 * 0.7)
    assert found["ceiling"].details["total_variation"] == pytest.approx(2 * 0.3 * 0.7)
    assert found["perfect"].value == pytest.approx(100 * (1 - 0.42 / 0.2))


@pytest.mark.parametrize("people", [7, 60, 3000])
def test_what_people_can_tell_is_what_they_tell_when_drawn(people: int) -> None:
    rng = np.random.default_rng(2)
    p = HUMAN[:5]
    found = simulation_fidelity(p, p, people=np.full(5, people))
    one, other = (rng.multinomial(people, p, (4000, 5)) / people for _ in range(2))
    # 20,000 drawn distances: within four of their errors.
    for name, away in (("perfect", np.abs(one - p)), ("ceiling", np.abs(one - other))):
        distance = 0.5 * away.sum(axis=-1).mean(axis=1)
        error = distance.std() / np.sqrt(4000)
        assert abs(found[name].details["total_variation"] - distance.mean()) < 4.0 * error


# At least 88 % of 150 intervals, of a nominal 95 %: fewer with probability < 0.1 %.
def test_intervals_of_the_score_hold_that_of_all_questions() -> None:
    rng = np.random.default_rng(3)
    human = rng.dirichlet(np.ones(3), 150 * 40)
    model = 0.6 * human + 0.4 * rng.dirichlet(np.ones(3), 150 * 40)
    truth = simulation_fidelity(human, model)["score"].value
    found = [simulation_fidelity(human[k : k + 40], model[k : k + 40])["score"].interval for k in range(0, 6000, 40)]
    assert np.count_nonzero([low <= truth <= high for low, high in found]) >= 132


def test_coverage_is_told_beside_and_bad_shares_are_refused() -> None:
    assert simulation_fidelity(HUMAN, HUMAN, coverage=np.full(40, 0.9))["coverage"].value == pytest.approx(0.9)
    assert "few_samples" in simulation_fidelity(HUMAN[:5], HUMAN[:5])["score"].flags
    with pytest.raises(InputError, match="human has shape"):
        simulation_fidelity(HUMAN, np.full((40, 2), 0.5))
    with pytest.raises(InputError, match="coverage: expected numbers from 0 to 1"):
        simulation_fidelity(HUMAN, HUMAN, coverage=np.full(40, 2.0))
    with pytest.raises(InputError, match="people: expected whole numbers"):
        simulation_fidelity(HUMAN, HUMAN, people=np.zeros(40, int))
    with pytest.raises(InputError, match="unit is 'bits'; did you mean 'bit'"):
        simulation_fidelity(HUMAN, HUMAN, unit="bits")
