"""Decisions answered by the rule, by Python callables for some or all agents, and by distributions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from reference import assert_engine_agrees
from scipy import stats

import simengine
from simengine import (
    Everyone,
    InputError,
    Policy,
    RunError,
    Scenario,
    count,
    decision,
    field,
    gather,
    param,
    population,
    update,
)
from simengine.policies.answers import checked
from simengine.runs.engine import Engine


class Commons(Scenario):
    """Each agent chooses, between two updates, on what it saw of the others."""

    n_agents: int = param(6, low=1)
    agents = population(
        size="n_agents",
        choice=field(int),
        effort=field(low=0, high=1),
        seen=field(int),
        taken=field(int),
        age=field(int),
    )
    everyone = Everyone(agents)

    @update(agents)
    def grow(me, new):
        new.age[me] += 1

    @gather(everyone, old=count())
    def look(me, other, agents, acc):
        acc.old += agents.age[other]

    @decision(agents.choice, options=("none", "some", "all"), after=look)
    def choose(me, agents, acc, draw):
        if acc.old < 0:
            return 2
        return draw.choice("pick", 3)

    @decision(agents.effort)
    def work(me, agents):
        return 0.5 * agents.choice[me]

    @update(agents)
    def take(me, agents, new):
        new.taken[me] += agents.choice[me]
        new.seen[me] = agents.age[me]

    @decision(agents.seen, order="sequential")
    def repeat(me, agents):
        return agents.seen[me]


def after(policies: Any, steps: int = 1, seed: int = 0, **parameters: Any) -> Any:
    scenario = Commons(parameters)
    engine = Engine(scenario, seed, 1, None, checked(policies, scenario))
    engine.advance(steps)
    return engine.state["agents"]


def test_the_rule_answers_where_no_policy_is_given() -> None:
    for seed in range(3):
        assert_engine_agrees(Commons, seed, 4)


def test_a_policy_that_repeats_the_rule_changes_nothing() -> None:
    policy = {"agents.choose": lambda asked: asked.rule, "agents.work": lambda asked: asked.rule}
    plain, answered = after(None, 5), after(policy, 5)
    for name in Commons.agents.fields:
        np.testing.assert_array_equal(plain.values(name), answered.values(name))


def test_a_policy_answers_in_the_middle_of_the_step() -> None:
    asked_of: list[Any] = []

    def all_of_it(asked: Any) -> Any:
        asked_of.append(
            (asked.step, asked.ids.tolist(), asked.agents.age.tolist(), asked.observed["old"].tolist(), asked.options)
        )
        return 2

    state = after({"choose": all_of_it}, 2, n_agents=3)
    assert asked_of == [
        (0, [0, 1, 2], [1, 1, 1], [2, 2, 2], ("none", "some", "all")),
        (1, [0, 1, 2], [2, 2, 2], [4, 4, 4], ("none", "some", "all")),
    ]
    assert state.values("effort").tolist() == [1.0] * 3
    assert state.values("taken").tolist() == [4] * 3


def test_several_policies_and_the_rule_share_a_population() -> None:
    policies = {
        "agents.choose": (
            Policy(lambda asked: np.full(len(asked.ids), 2), ids=[0, 3]),
            Policy(lambda asked: 0, ids=np.array([5])),
        )
    }
    mixed, plain = after(policies).values("choice"), after(None).values("choice")
    assert mixed[[0, 3, 5]].tolist() == [2, 2, 0]
    np.testing.assert_array_equal(mixed[[1, 2, 4]], plain[[1, 2, 4]])


def test_a_share_is_the_same_agents_at_every_step_and_close_to_its_size() -> None:
    seen: list[list[int]] = []

    def remember(asked: Any) -> Any:
        seen.append(asked.ids.tolist())
        return asked.rule

    after({"choose": Policy(remember, share=0.3)}, 3, n_agents=2000)
    assert seen[0] == seen[1] == seen[2]
    # Fails with probability 1e-4 for another seed.
    assert stats.binomtest(len(seen[0]), 2000, 0.3).pvalue > 1e-4
    assert after({"choose": Policy(remember, share=0.0)}).values("age").tolist() == [1] * 6
    after({"choose": Policy(remember, share=1.0)}, n_agents=50)
    assert seen[-1] == list(range(50))


def test_the_engine_draws_from_distributions() -> None:
    weights = np.array([1.0, 0.0, 3.0])
    state = after({"choose": lambda asked: np.tile(weights, (len(asked.ids), 1))}, n_agents=4000)
    counts = np.bincount(state.values("choice"), minlength=3)
    assert counts[1] == 0
    # Fails with probability 1e-4 for another seed.
    assert stats.chisquare(counts[[0, 2]], [1000, 3000]).pvalue > 1e-4
    again = after({"choose": lambda asked: np.tile(weights, (len(asked.ids), 1))}, n_agents=4000)
    np.testing.assert_array_equal(state.values("choice"), again.values("choice"))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda asked: np.zeros(5, int), "shape"),
        (lambda asked: np.zeros((6, 2)), "shape"),
        (lambda asked: np.full(6, np.nan), "finite"),
        (lambda asked: np.full((6, 3), np.nan), "negative, missing or all zero"),
        (lambda asked: -np.ones((6, 3)), "negative, missing or all zero"),
        (lambda asked: np.zeros((6, 3)), "negative, missing or all zero"),
        (lambda asked: np.full(6, 3), "outside 0 to 2"),
        (lambda asked: np.full(6, -1), "outside 0 to 2"),
        (lambda asked: np.full(6, 0.5), "whole"),
        (lambda asked: None, "finite number"),
        (lambda asked: ["a"] * 6, r"finite number; answers are 0 \(none\), 1 \(some\), 2 \(all\)"),
        (lambda asked: 1 // 0, r"the policy of agents.choose at step 0: ZeroDivisionError"),
    ],
)
def test_a_wrong_answer_stops_the_run_with_a_reason(answer: Any, message: str) -> None:
    with pytest.raises(RunError, match=message):
        after({"choose": answer})


def test_an_answer_beyond_the_bounds_of_its_field_stops_the_run() -> None:
    with pytest.raises(RunError, match=r"the policy of agents.work returned 7; allowed is 0 <= value <= 1"):
        after({"work": lambda asked: np.full(len(asked.ids), 7.0)})


def test_policies_for_decisions_that_do_not_exist_are_refused() -> None:
    with pytest.raises(InputError, match=r"did you mean 'agents\.choose'"):
        simengine.run(Commons, steps=1, policies={"agents.chose": lambda asked: 0}, progress=False)
    with pytest.raises(InputError, match="share is between 0 and 1"):
        simengine.run(Commons, steps=1, policies={"choose": Policy(lambda asked: 0, share=1.5)}, progress=False)
    with pytest.raises(InputError, match="there is no agent 999"):
        simengine.run(Commons, steps=1, policies={"choose": Policy(lambda asked: 0, ids=[0, 999])}, progress=False)
    with pytest.raises(InputError, match="callable"):
        simengine.run(Commons, steps=1, policies={"choose": 3}, progress=False)
