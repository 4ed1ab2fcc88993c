"""Actions and beliefs: entropies within agents, over all of them and between them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from coverage_of import coverage_of
from scipy import special

from simengine.diagnostics.populations.policies import (
    action_counts,
    action_entropy,
    action_information,
    belief_entropy,
    policy_diversity,
    policy_entropy,
)
from simengine.errors import InputError

WITHIN = float(special.digamma(5.0) - special.digamma(2.0))
"""Mean entropy of policies drawn evenly from all distributions over four actions."""


def drawn_policies(rng: np.random.Generator, agents: int, actions: int) -> np.ndarray:
    return np.array([rng.multinomial(actions, p) for p in rng.dirichlet(np.ones(4), agents)])


def test_the_table_counts_each_agents_actions() -> None:
    assert action_counts(np.array([0, 0, 1]), np.array([1, 1, 0]), 2, 2).tolist() == [[0, 2], [1, 0]]


def test_agents_of_one_policy_do_not_differ_and_specialists_differ_by_all_there_is() -> None:
    same = np.tile([40, 30, 20, 10], (30, 1))
    assert policy_diversity(same).interval[0] == 0.0
    specialists = np.repeat(np.eye(4, dtype=np.int64) * 100, 10, axis=0)
    assert policy_entropy(specialists).value == 0.0
    assert policy_diversity(specialists).value == pytest.approx(math.log(4), abs=1e-3)
    assert action_entropy(specialists).value == pytest.approx(math.log(4), abs=1e-3)


@pytest.mark.parametrize(
    ("estimate", "truth"),
    [
        pytest.param(lambda r: policy_entropy(drawn_policies(r, 100, 30)), WITHIN, id="within"),
        pytest.param(lambda r: policy_diversity(drawn_policies(r, 100, 30)), math.log(4) - WITHIN, id="between"),
        pytest.param(lambda r: policy_diversity(r.multinomial(30, [0.5, 0.3, 0.1, 0.1], 100)), 0.0, id="one policy"),
        pytest.param(lambda r: action_entropy(r.multinomial(30, [0.5, 0.3, 0.1, 0.1], 100)),
                     float(special.entr([0.5, 0.3, 0.1, 0.1]).sum()), id="all together"),
    ],
)  # fmt: skip
def test_intervals_of_policies_hold_the_truth(estimate, truth) -> None:  # type: ignore[no-untyped-def]
    # At a true coverage of 95 % fewer than 88 % of 150 are seen with a chance below 1e-3.
    found = coverage_of(estimate, truth, 150)
    assert found.holds >= 0.88
    assert found.width <= 1.5
    assert found.flagged <= 0.1


def test_fewer_than_five_actions_an_agent_are_flagged() -> None:
    rng = np.random.default_rng(0)
    for of in (policy_entropy, policy_diversity):
        assert "few_samples" in of(rng.multinomial(3, [0.5, 0.5], 100)).flags


def test_beliefs_have_the_mean_of_their_entropies_and_a_divergence() -> None:
    found = belief_entropy([[1.0, 0.0], [0.0, 1.0]])
    assert found.value == 0.0
    assert found.details["between"] == pytest.approx(math.log(2))
    with pytest.raises(InputError, match="add up"):
        belief_entropy([[0.5, 0.4]])


def test_actions_that_take_no_notice_of_the_state_are_a_cascade() -> None:
    assert "cascade" in action_information([[50, 50], [50, 50]]).flags
    assert "cascade" in action_information([[50, 0], [50, 0]]).flags
    telling = action_information([[90, 10], [10, 90]])
    assert "cascade" not in telling.flags
    assert telling.interval[0] > 0.0
