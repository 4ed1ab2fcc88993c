"""Policies that others work for: when they are asked and answered, of whom, and what they may see."""

from typing import Any

import numpy as np
import pytest

import simengine
from simengine import Everyone, Policy, Scenario, decision, field, param, population, update
from simengine.compile.module import HostPhase
from simengine.errors import RunError, ScenarioError
from simengine.runs.engine import Engine


class Workers(Scenario):
    """Agents choose an effort; a phase that does not depend on it follows, and one that does."""

    n_agents: int = param(6, low=1)

    teams = population(size=2, dim="team", ended=field(bool))
    agents = population(
        size="n_agents",
        team=field(int),
        effort=field(int, long_name="effort of the agent"),
        age=field(unit="step", long_name="age of the agent"),
        earned=field(),
    )
    everyone = Everyone(agents)

    def start(self, agents: Any, teams: Any) -> None:
        agents.team[:] = np.arange(agents.size) % 2
        teams.ended[:] = [False, True]

    @decision(
        agents.effort, options=("low", "high"), asked=lambda agents, teams: ~teams.ended[agents.team.astype(np.int64)]
    )
    def work(me, agents):
        """Work hard when young."""
        return 1 if agents.age[me] < 2.0 else 0

    @update(agents)
    def grow(me, agents, new):
        new.age[me] += 1.0

    @update(agents)
    def earn(me, agents, new):
        new.earned[me] += agents.effort[me]


class Elsewhere:
    """Answers with an option, and notes what it was told."""

    def __init__(self, option: int) -> None:
        self.option, self.told = option, []

    def begin(self, asked):
        self.told.append(("begin", asked.step, asked.agents.age.copy(), asked.populations["teams"].ended.copy()))
        return asked.ids.copy()

    def finish(self, begun, asked):
        self.told.append(("finish", asked.step, begun, asked.rule.copy()))
        return np.full(len(begun), self.option)

    def taken(self, begun, asked, actions):
        self.told.append(("taken", asked.step, begun, actions.copy()))


def engine_of(answer: Any, **options: Any) -> Engine:
    return Engine(Workers({"n_agents": 6}), 1, policies={"agents.work": (Policy(answer, **options),)})


def test_a_waiting_policy_is_begun_before_the_rule_and_finished_before_what_needs_its_action() -> None:
    engine = engine_of(Elsewhere(0))
    kinds = [
        ("begins" if part.begins else "ends") if isinstance(part, HostPhase) else part[1].used
        for part in engine.kernel.plan.segments
    ]
    places = {kind: kinds.index(kind) for kind in ("begins", "ends")}
    between = list(kinds[places["begins"] + 1 : places["ends"]])
    assert any("agents_age_0" in " ".join(used) for used in between)
    assert not any("agents_earned_0" in " ".join(used) for used in between)


def test_a_waiting_policy_sees_the_moment_of_the_decision_and_the_rule_when_it_finishes() -> None:
    answer = Elsewhere(0)
    engine = engine_of(answer)
    engine.advance(3)
    begun = [told for told in answer.told if told[0] == "begin"]
    finished = [told for told in answer.told if told[0] == "finish"]
    assert [told[2].tolist() for told in begun] == [[0.0] * 3, [1.0] * 3, [2.0] * 3]
    assert [told[3].tolist() for told in finished] == [[1] * 3, [1] * 3, [0] * 3]


def test_its_actions_are_stored_and_told_back_to_it() -> None:
    answer = Elsewhere(0)
    engine = engine_of(answer)
    engine.advance(1)
    assert engine.state["agents"].values("earned").tolist() == [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]
    assert answer.told[-1][0] == "taken"
    assert answer.told[-1][3].tolist() == [0, 0, 0]


def test_agents_whom_the_scenario_does_not_let_be_asked_follow_the_rule() -> None:
    answer = Elsewhere(0)
    engine = engine_of(answer)
    engine.advance(1)
    assert answer.told[1][2].tolist() == [0, 2, 4]


def test_a_waiting_policy_gives_what_a_callable_gives() -> None:
    mixed = {"agents.work": [Policy(Elsewhere(0), ids=[0, 1]), Policy(lambda asked: np.zeros(len(asked.ids)), ids=[2])]}
    plain = {"agents.work": Policy(lambda asked: np.zeros(len(asked.ids)), ids=[0, 1, 2])}
    results = [
        simengine.run(Workers, steps=4, snapshot_every=1, policies=given, progress=False) for given in (mixed, plain)
    ]
    np.testing.assert_array_equal(
        results[0].agents_earned if "agents_earned" in results[0] else results[0].earned,
        results[1].agents_earned if "agents_earned" in results[1] else results[1].earned,
    )


def test_an_error_while_it_begins_says_whose_it_is() -> None:
    class Broken(Elsewhere):
        def begin(self, asked):
            raise ValueError("no way")

    with pytest.raises(RunError, match=r"the policy of agents.work at step 0: ValueError: no way"):
        engine_of(Broken(0)).advance(1)


def test_a_mask_of_the_wrong_shape_is_an_error_of_the_scenario() -> None:
    class Wrong(Workers):
        @decision(Workers.agents.effort, options=("low", "high"), asked=lambda teams: teams.ended)
        def work(me, agents):
            return 0

    with pytest.raises(ScenarioError, match=r"asked= of agents.work returned bool of shape"):
        Engine(Wrong({}), 1, policies={"agents.work": (Policy(Elsewhere(0)),)}).advance(1)


def test_what_the_rule_knows_can_be_said_in_words() -> None:
    class Curious(Elsewhere):
        def begin(self, asked):
            self.known = asked.known()
            return super().begin(asked)

    answer = Curious(0)
    engine_of(answer).advance(1)
    assert [(read.name, read.long_name, read.unit, read.source) for read in answer.known.reads] == [
        ("age", "age of the agent", "step", "field")
    ]
    assert answer.known.question == "Work hard when young."
    assert answer.known.action == "effort of the agent"
