"""What decisions tell of observations and personas: exact cases, nulls that hold their error rate."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simengine.diagnostics.decisions.information import decision_information
from simengine.errors import InputError


def binary(p: float) -> float:
    return -p * math.log(p) - (1 - p) * math.log(1 - p)


def test_actions_that_are_the_observation_tell_all_of_it() -> None:
    seen = np.tile([0, 1], 200)
    found = decision_information(seen, seen, shuffles=50)
    assert found.details["plug_in"] == pytest.approx(math.log(2))
    assert float(found) == pytest.approx(math.log(2), abs=0.005)
    assert found.details["p_value"] == 1 / 51
    assert found.details["share"] == pytest.approx(1.0, abs=0.01)


def test_distributions_tell_what_is_known_of_them_exactly() -> None:
    persona = np.repeat(["bold", "shy"], 100)
    p = np.where(persona == "bold", 0.9, 0.3)
    found = decision_information(np.stack([p, 1 - p], 1), persona, shuffles=100, unit="nat")
    exact = binary(0.6) - 0.5 * (binary(0.9) + binary(0.3))
    assert found.details["plug_in"] == pytest.approx(exact)
    assert float(found) == pytest.approx(exact, abs=2e-3)
    assert decision_information(np.stack([p, 1 - p], 1), persona).to("bit").value == pytest.approx(
        exact / math.log(2), abs=3e-3
    )


def test_the_bias_that_is_taken_off_is_that_of_counts() -> None:
    rng = np.random.default_rng(1)
    found = decision_information(rng.integers(0, 3, 600), rng.integers(0, 5, 600), shuffles=400)
    assert found.details["subtracted_bias"] == pytest.approx((3 - 1) * (5 - 1) / (2 * 600), rel=0.15)
    assert found.null_sd == pytest.approx(math.sqrt(8 / 2) / 600, rel=0.2)


def habits(seed: int, effect: float = 0.0, agents: int = 45, steps: int = 12) -> tuple[np.ndarray, ...]:
    """Agents with habits of their own, and with those of their persona: actions, personas and agents."""
    rng = np.random.default_rng(seed)
    persona = rng.integers(0, 3, agents)
    p = 1.0 / (1.0 + np.exp(-rng.normal(0.0, 1.5, agents) - effect * (persona - 1)))
    actions = (rng.random((agents, steps)) < p[:, None]).astype(np.int64)
    return actions.ravel(), np.repeat(persona, steps), np.repeat(np.arange(agents), steps)


# Of 80 repetitions at 5 %, more than 11 with probability < 0.1 %; of rows that are not exchangeable, far more.
def test_habits_of_agents_are_no_trace_of_their_personas() -> None:
    found, values = {"agents": 0, "rows": 0}, []
    for seed in range(80):
        actions, persona, agent = habits(seed)
        by_agent = decision_information(actions, persona, agent=agent, shuffles=19, seed=seed)
        by_row = decision_information(actions, persona, shuffles=19, seed=seed)
        values.append(float(by_agent))
        found["agents"] += by_agent.details["p_value"] <= 0.05
        found["rows"] += by_row.details["p_value"] <= 0.05
    assert found["agents"] <= 11
    assert found["rows"] > 30
    # Without the correction the mean is about 9 of its errors off; four are exceeded with probability < 0.01 %.
    assert abs(np.mean(values)) < 4.0 * np.std(values) / math.sqrt(80)


def test_personas_that_matter_are_seen() -> None:
    actions, persona, agent = habits(1, effect=3.0)
    found = decision_information(actions, persona, agent=agent)
    assert found.interval[0] > 0.0
    assert found.details["p_value"] < 0.01
    assert found.n == 45


# At least 85 % of 100 repetitions, of a nominal 95 %: wrong with probability < 0.1 %.
@pytest.mark.slow
def test_intervals_hold_the_information_of_observations() -> None:
    for slope in (0.0, 0.1, 0.3):
        chances = [0.5 + slope * (x - 1.5) / 1.5 for x in range(4)]
        truth = math.log(2) - sum(map(binary, chances)) / 4
        held = 0
        for seed in range(100):
            rng = np.random.default_rng(seed)
            seen = rng.integers(0, 4, 300)
            actions = (rng.random(300) < np.array(chances)[seen]).astype(np.int64)
            low, high = decision_information(actions, seen, shuffles=60).interval
            held += low <= truth <= high
        assert held >= 85


def test_a_condition_that_explains_all_leaves_nothing() -> None:
    rng = np.random.default_rng(2)
    seen = rng.integers(0, 2, 600)
    persona = np.where(rng.random(600) < 0.9, seen, 1 - seen)
    actions = np.where(rng.random(600) < 0.8, seen, 1 - seen)
    assert decision_information(actions, persona).interval[0] > 0.05
    alone = decision_information(actions, persona, given=seen)
    assert abs(alone.z) < 3.0
    assert alone.interval[0] == 0.0


def test_what_the_condition_fixes_cannot_be_exchanged() -> None:
    seen = np.random.default_rng(5).integers(0, 3, 300)
    found = decision_information(np.random.default_rng(6).integers(0, 2, 300), seen % 2, given=seen)
    assert (float(found), found.null_sd) == (pytest.approx(0.0, abs=1e-15), pytest.approx(0.0, abs=1e-15))
    assert "degenerate_null" in found.flags


def test_what_all_agents_see_at_once_is_no_matter_of_agents() -> None:
    public = np.tile(np.arange(10) % 2, 30)
    found = decision_information(public, public, agent=np.repeat(np.arange(30), 10))
    assert "degenerate_null" in found.flags
    assert decision_information(public, public).reliable


def test_personas_are_exchanged_between_agents_with_any_numbers_of_rows() -> None:
    # All that have 3 rows are bold: exchanged only among their like, personas could not be told from these.
    agent = np.repeat(np.arange(60), np.tile([3, 5], 30))
    persona = np.where(agent % 2 == 0, "bold", "shy")
    found = decision_information((persona == "bold").astype(np.int64), persona, agent=agent)
    assert found.details["p_value"] < 0.01
    assert found.reliable


def test_observations_are_exchanged_between_agents_with_equal_numbers_of_rows() -> None:
    agent = np.repeat(np.arange(40), np.tile([3, 5], 20))
    rng = np.random.default_rng(3)
    seen = rng.integers(0, 2, agent.size)
    found = decision_information(np.where(rng.random(agent.size) < 0.8, seen, 1 - seen), seen, agent=agent)
    assert found.details["p_value"] < 0.01
    alone = np.repeat(np.arange(4), [2, 3, 4, 5])
    assert "degenerate_null" in decision_information(np.arange(14) % 2, np.arange(14) % 3, agent=alone).flags


def test_bad_columns_are_refused() -> None:
    actions = np.tile([0, 1], 50)
    with pytest.raises(InputError, match="about holds fractions"):
        decision_information(actions, np.linspace(0, 1, 100))
    with pytest.raises(InputError, match="decisions holds fractions"):
        decision_information(np.linspace(0, 1, 100), actions)
    with pytest.raises(InputError, match="given changes within an agent"):
        decision_information(actions, actions, given=np.arange(100) % 3, agent=np.repeat(np.arange(20), 5))
    with pytest.raises(InputError, match="about has 3 values for 100 decisions"):
        decision_information(actions, [1, 2, 3])


def test_few_samples_and_many_states_are_flagged() -> None:
    rng = np.random.default_rng(4)
    assert "few_samples" in decision_information(rng.integers(0, 2, 30), rng.integers(0, 2, 30)).flags
    assert "many_states" in decision_information(rng.integers(0, 2, 100), np.arange(100)).flags
    assert "constant" in decision_information(np.zeros(100, int), rng.integers(0, 2, 100)).flags
