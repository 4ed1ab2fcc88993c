"""Language models in social learning: exact twins of planner, oracle and agents, and what prompts do not show."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace as Bunch
from typing import Any

import numpy as np
import pytest
import xarray
from hypothesis import given
from hypothesis import strategies as st

import simengine
from simengine.analysis.biases import fit_biases
from simengine.errors import InputError
from simengine.policies.language.backends.function import Function
from simengine.policies.language.contexts import contexts_of, digest_of
from simengine.policies.language.memory import Memory
from simengine.policies.language.policy import Language
from simengine.random.streams import Draws
from simengine.scenarios.social_learning import CERTAIN, SocialLearning, leaning, node_of, on_lattice, weight_of
from simengine.scenarios.social_learning_answers import logged_answers
from simengine.scenarios.social_learning_words import (
    ACT,
    ACT_FROM_HISTORY,
    BELIEVE,
    BELIEVE_FROM_HISTORY,
    PLAN,
    PLAN_ALONE,
    WORD,
)

PARAMETERS: dict[str, Any] = {
    "n_communities": 60, "planner": "optimal", "objective": "biased", "margin": 1e-3, "n_beliefs": 201, "prior": 0.45,
    "spoken": True,
}  # fmt: skip
RUN: dict[str, Any] = {"steps": 12, "seed": 4, "snapshot_every": 1, "progress": False}
ROLES = {"plan": "agents.plan", "word": "agents.word", "believe": "agents.believe", "act": "agents.act"}
PROMPTS = {"plan": PLAN, "word": WORD, "believe": BELIEVE, "act": ACT}
Answers = dict[str, Callable[[Mapping[str, Any], Any], Any]]


def found_good(report: str) -> bool:
    """What a report speaks for, read from its words."""
    words = re.findall("good|bad", report)
    assert len(words) == 1, report
    return words[0] == "good"


def exact(p: SocialLearning) -> Answers:
    """Bayesian answers to the prompts, from what these show."""
    intercept, slope = p.policy_lines()

    def plan(context: Mapping[str, Any], request: Any) -> Any:
        belief = context["belief"]
        node = node_of(belief, p.precision, p.outer, p.inner, p.per_outer, p.per_inner)
        return {"reliability": float(intercept[node]) + float(slope[node]) * belief}

    def word(context: Mapping[str, Any], request: Any) -> str:
        return f"The {context['part']} looks like that of a {context['finding']} model."

    def believe(context: Mapping[str, Any], request: Any) -> Any:
        b = context["belief"]
        odds = on_lattice(math.log(b / (1 - b))) if b < 1 else CERTAIN
        toward = 1.0 if found_good(context["report"]) else -1.0
        weights = (p.prior_weight, p.agree_weight, p.contradict_weight, p.lean)
        odds = leaning(odds, toward, weight_of(context["reliability"]), *weights)
        return {"probability": 1.0 / (1.0 + math.exp(-min(max(odds, -CERTAIN), CERTAIN)))}

    def act(context: Mapping[str, Any], request: Any) -> Any:
        b, q, good = context["belief"], context["reliability"], found_good(context["report"])
        for_good, for_bad = (b * q, (1 - b) * (1 - q)) if good else (b * (1 - q), (1 - b) * q)
        if abs(for_good - for_bad) <= 1e-10 * (for_good + for_bad):
            return [0.0, 1.0] if good else [1.0, 0.0]
        return [0.0, 1.0] if for_good > for_bad else [1.0, 0.0]

    return {"plan": plan, "word": word, "believe": believe, "act": act}


def all_digits(roles: Any) -> dict[str, Any]:
    """Prompts whose contexts hold numbers unrounded."""
    return {role: replace(PROMPTS[role], digits={}) for role in roles}


def one_model(answers: Answers, roles: Any) -> dict[str, Language]:
    """One model in several roles; which one it plays is told from what it sees."""

    def answer(context: Mapping[str, Any], request: Any) -> Any:
        role = "plan" if "aim" in context else "word" if "part" in context else "act" if request.labels else "believe"
        return answers[role](context, request)

    model = Language(Function(answer, "bayes"), prompt=all_digits(roles))
    return {ROLES[role]: model for role in roles}


def assert_twins(rule: xarray.Dataset, language: xarray.Dataset, but: tuple[str, ...] = ()) -> None:
    """Every variable of the rule's run is the same, bit for bit."""
    for name in set(rule.data_vars) - set(but):
        assert np.array_equal(rule[name].values, language[name].values, equal_nan=True), name


def test_planner_oracle_and_agents_who_answer_by_bayes_rule_are_the_scenario_bit_for_bit() -> None:
    # The rule needs no words; beliefs stated by rule and by language are compared with pairs of roles below.
    rule = simengine.run(SocialLearning, **(PARAMETERS | {"spoken": False}), **RUN)
    answers = exact(SocialLearning(PARAMETERS))
    language = simengine.run(SocialLearning, policies=one_model(answers, ROLES), **PARAMETERS, **RUN)
    assert_twins(rule, language, but=("message", "stated"))
    said = language.message.values[1:]
    known = {
        digest_of(answers["word"]({"part": part, "finding": finding}, None)): finding == "good"
        for part in ("engine", "gearbox", "brakes", "body", "electrics", "suspension", "cooling", "steering")
        for finding in ("bad", "good")
    }
    assert len(np.unique(said)) == len(known)
    assert ([known[code] for code in said.ravel().tolist()] == (language.signal.values[1:].ravel() == 1)).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "roles",
    [("plan",), ("act",), ("plan", "act"), ("word", "believe")],
    ids="+".join,
)
def test_language_and_rule_pair_up_in_any_roles(roles: tuple[str, ...]) -> None:
    rule = simengine.run(SocialLearning, **PARAMETERS, **RUN)
    answers = exact(SocialLearning(PARAMETERS))
    language = simengine.run(SocialLearning, policies=one_model(answers, roles), **PARAMETERS, **RUN)
    assert_twins(rule, language, but=("message",) if "word" in roles else ())
    assert (rule.message.values[1:] == rule.signal.values[1:]).all()


@pytest.mark.slow
def test_a_share_of_communities_by_language_is_a_twin_too() -> None:
    rule = simengine.run(SocialLearning, **PARAMETERS, **RUN)
    model = one_model(exact(SocialLearning(PARAMETERS)), ("act",))["agents.act"]
    policies = {"agents.act": simengine.Policy(model, share=0.3)}
    assert_twins(rule, simengine.run(SocialLearning, policies=policies, **PARAMETERS, **RUN))


@pytest.mark.slow
def test_an_altruistic_planner_and_biased_agents_have_twins_as_well() -> None:
    for changed in (
        {"objective": "altruistic", "precision": 0.6, "cost": 8.0},
        {"prior_weight": 0.8, "agree_weight": 0.7, "contradict_weight": 1.7, "lean": 0.3},
    ):
        parameters = PARAMETERS | changed
        # Acts of agents with biases are not those that Bayes' rule gives.
        roles = ("plan", "believe") if "lean" in changed else ("plan", "believe", "act")
        rule = simengine.run(SocialLearning, **parameters, **RUN)
        policies = one_model(exact(SocialLearning(parameters)), roles)
        assert_twins(rule, simengine.run(SocialLearning, policies=policies, **parameters, **RUN))


class Watched:
    """Fields of agents, and the names of those that were read."""

    def __init__(self, fields: Any, read: set[str]) -> None:
        self.fields, self.read = fields, read

    def __getattr__(self, name: str) -> Any:
        self.read.add(name)
        return getattr(self.fields, name)


SEEN = {
    "plan": {"belief"},
    "word": {"signal"},
    "believe": {"belief", "precision", "signal", "message"},
    "act": {"belief", "precision", "signal", "message"},
}
"""The fields that each role may know of."""


def shown_in(state: str) -> tuple[dict[str, dict[Any, str]], dict[str, set[str]]]:
    """Run with this state; return the texts shown by role, step and what was observed, and the fields read."""
    texts: dict[str, dict[Any, str]] = {role: {} for role in ROLES}
    read: dict[str, set[str]] = {role: set() for role in ROLES}

    def spy(role: str) -> Callable[[Any], Any]:
        def answer(asked: Any) -> Any:
            watched = replace(asked, agents=Watched(asked.agents, read[role]))
            for prompt in (PROMPTS[role], PLAN_ALONE if role == "plan" else PROMPTS[role]):
                contexts = contexts_of(replace(prompt, digits={}), watched)
                rendered = ["\n".join(message.text for message in found) for found in contexts.render(prompt, asked.p)]
            observed = np.stack([getattr(asked.agents, name) for name in sorted(SEEN[role])], axis=1)
            for agent, row, context in zip(
                asked.ids.tolist(), observed.tolist(), contexts.of_agent.tolist(), strict=True
            ):
                # The oracle's subject is drawn for each report.
                where = (asked.step, agent) if role == "word" else ()
                assert texts[role].setdefault((*where, *row), rendered[context]) == rendered[context]
            return asked.rule

        return answer

    policies = {label: spy(role) for role, label in ROLES.items()}
    simengine.run(SocialLearning, policies=policies, **(PARAMETERS | {"state": state}), **RUN)
    return texts, read


@pytest.mark.slow
def test_prompts_show_what_is_observed_and_nothing_of_the_state() -> None:
    (good, read), (bad, _) = shown_in("good"), shown_in("bad")
    for role in ROLES:
        both = good[role].keys() & bad[role].keys()
        assert len(both) >= 8
        for observed in both:
            assert good[role][observed] == bad[role][observed]
        assert read[role] <= SEEN[role]
    # Models in other states of the world did see other things.
    assert good["plan"].keys() != bad["plan"].keys()


def shown_to(role: str, fields: Mapping[str, Any], parameters: dict[str, Any]) -> tuple[list[str], set[str]]:
    """The texts that agents with these fields are shown in a role, and the fields that were read."""
    read: set[str] = set()
    ids, p = np.arange(len(fields["belief"])), SocialLearning(parameters)
    asked: Any = Bunch(
        ids=ids, p=p, agents=Watched(Bunch(**fields), read), texts={}, draw=Draws(1, "agents", role, ids)
    )
    texts = []
    for prompt in (PROMPTS[role], *((PLAN_ALONE,) if role == "plan" else ())):
        contexts = contexts_of(prompt, asked)
        rendered = ["\n".join(message.text for message in found) for found in contexts.render(prompt, p)]
        texts += [rendered[context] for context in contexts.of_agent.tolist()]
    return texts, read


def at_random(seed: int) -> dict[str, Any]:
    """Values of all fields of agents."""
    draw = np.random.default_rng(seed)
    return {
        field.name: draw.integers(0, 2, 9) if field.dtype is int else draw.uniform(0.5, 1.0, 9)
        for field in SocialLearning.declaration.populations["agents"].fields.values()
    }


@pytest.mark.parametrize("spoken", [True, False])
@pytest.mark.parametrize("role", list(ROLES))
@given(seed=st.integers(0, 2**31))
def test_who_sees_the_same_is_told_the_same_whatever_else_differs(role: str, spoken: bool, seed: int) -> None:
    one, other = at_random(seed), at_random(seed + 1)
    other |= {name: one[name] for name in SEEN[role]}
    texts, read = shown_to(role, one, PARAMETERS | {"spoken": spoken})
    assert texts == shown_to(role, other, PARAMETERS | {"spoken": spoken, "state": "bad"})[0]
    assert read <= SEEN[role]
    assert not [text for text in texts if "{" in text or "nan" in text or "unknown" in text]


def test_texts_say_what_a_role_knows() -> None:
    fields = at_random(1) | {"belief": np.full(9, 0.45), "precision": np.full(9, 0.7), "message": np.ones(9, int)}
    act = shown_to("act", fields, PARAMETERS)[0][0]
    assert "Text between <report> and </report> was written by others" in act
    assert "<report>What was found speaks for a good model.</report>\nDo you buy" in act
    assert "reliability of 70.0%" in act
    plan = shown_to("plan", fields, PARAMETERS)[0][0]
    assert "You want the model to be bought, good or bad: a buyer who leaves it costs you 1." in plan
    assert "Reliability 0.7 is free, another r costs 0.5 times |r - 0.7|." in plan
    assert "good with a probability of 45.0%" in plan
    altruistic = shown_to("plan", fields, PARAMETERS | {"objective": "altruistic", "cost_power": 0.5})[0][0]
    assert "You want buyers to be right" in altruistic
    assert "Up to 0.7 it is free, an r above costs 0.5 times (r - 0.7) to the power 0.5." in altruistic


@pytest.mark.slow
def test_agents_may_be_told_what_earlier_buyers_did_instead_of_the_public_belief() -> None:
    seen: list[str] = []

    def answer(context: Mapping[str, Any], request: Any) -> Any:
        assert "belief" not in context
        seen.append(context["memory"])
        good = found_good(context["report"])
        return ([0.0, 1.0] if good else [1.0, 0.0]) if request.labels else {"probability": 0.7 if good else 0.3}

    model = Language(
        Function(answer, "own_signal"), prompt={"act": ACT_FROM_HISTORY, "believe": BELIEVE_FROM_HISTORY},
        memory=Memory(capacity=8, shown=8, tokens=1000, decay=1.0),
    )  # fmt: skip
    run = simengine.run(
        SocialLearning, policies={ROLES[role]: model for role in ("believe", "act")}, n_communities=3, spoken=True,
        steps=5, seed=1, progress=False, snapshot_every=1,
    )  # fmt: skip
    assert (run.action.values[1:] == run.signal.values[1:]).all()
    longest = max(seen, key=len).splitlines()
    assert len(longest) == 4
    histories = {tuple(seen_one.splitlines()) for seen_one in seen}
    for community in range(3):
        did = ["buy" if action == 1 else "leave" for action in run.action.values[1:5, community]]
        lines = tuple(f"a buyer whose report had a reliability of 70.0% decided to {what} it." for what in did)
        assert lines in histories


@pytest.mark.slow
def test_biases_of_models_are_found_in_what_they_stated(tmp_path: Path) -> None:
    biases = {"prior_weight": 0.8, "agree_weight": 0.7, "contradict_weight": 1.6, "lean": 0.25}
    parameters = {"n_communities": 60, "planner": "random", "spoken": True, **biases}
    policies = one_model(exact(SocialLearning(parameters)), ("believe",))
    file = tmp_path / "stated.nc"
    run = simengine.run(SocialLearning, policies=policies, steps=8, seed=2, out=file, progress=False, **parameters)
    answers = logged_answers(simengine.decisions(file, "agents.believe"))
    assert len(answers.row) == 60 * 8
    assert float(run.accuracy[-1]) > 0.5
    found = fit_biases(data=answers, agent="question")
    assert found.parameters() == pytest.approx(biases, abs=1e-6)


def test_logged_answers_are_those_of_models_to_questions_in_doubt() -> None:
    contexts = [{"belief": 0.6, "reliability": 0.7, "report": "", "signal": 1}] * 3
    contexts.append({"belief": 1.0, "reliability": 0.7, "report": "", "signal": 1})
    contexts.append({"belief": 0.4, "reliability": 0.7, "report": "", "signal": 0})
    decisions = xarray.Dataset(
        {
            "step": ("row", [0, 0, 0, 0, 1]),
            "agent": ("row", [0, 1, 2, 3, 0]),
            "action": ("row", [1, 1, 0, 1, 0]),
            "provenance": ("row", [1, 5, 2, 1, 3]),
            "context": ("row", [json.dumps(context) for context in contexts]),
            "probability": (("row", "option"), [[0.1, 0.9], [0.5, 0.5], [0.2, 0.8], [0.0, 1.0], [np.nan, np.nan]]),
        }
    )
    found = logged_answers(decisions)
    assert found.agent.values.tolist() == [0, 2, 0]
    assert found.answer.values.tolist() == [0.9, 0.8, 0.0]
    assert found.signal.values.tolist() == [1, 1, 0]
    assert found.question.values[0] == found.question.values[1] != found.question.values[2]
    decisions["context"] = decisions.context.str.replace("belief", "history")
    with pytest.raises(InputError, match="hold no 'belief'"):
        logged_answers(decisions)
