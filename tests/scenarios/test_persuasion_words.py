"""Language models in persuasion: exact twins of senders and receivers, and what prompts do not show."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace as Bunch
from typing import Any

import numpy as np
import pytest
import xarray
from hypothesis import given
from hypothesis import strategies as st

import simengine
from simengine.policies.language.backends.function import Function
from simengine.policies.language.contexts import contexts_of
from simengine.policies.language.policy import Language
from simengine.scenarios.persuasion import Persuasion
from simengine.scenarios.persuasion_receivers import believed
from simengine.scenarios.persuasion_talk import PersuasionTalk, after_report, perceived
from simengine.scenarios.persuasion_words import PERSONAS, TASKS

RUN: dict[str, Any] = {"steps": 15, "seed": 3, "snapshot_every": 1, "progress": False}
MANY: dict[str, Any] = {
    "n_agents": 25, "n_senders": 3, "n_opposed": 1, "sender": "narrated", "perceived_honesty": 0.6, "honesty": 0.5,
    "threshold_spread": 0.1, "prior_spread": 0.1, "bias": 0.1, "bias_spread": 0.05, "trust": 0.9, "trust_spread": 0.05,
    "learning": True,
}  # fmt: skip
TALK: dict[str, Any] = {
    "n_agents": 24, "n_senders": 6, "plain": 0.25, "skeptical": 0.25, "trusting": 0.25, "told_honesty": 0.7,
    "doubt": 0.2,
}  # fmt: skip
ROLES = {
    "announce": "senders.announce", "report": "senders.report", "word": "senders.word", "believe": "agents.believe",
    "decide": "agents.decide",
}  # fmt: skip
Answer = Callable[[Mapping[str, Any], Any], Any]


def language(answer: Answer, prompts: Mapping[str, Any], labels: list[str]) -> dict[str, Language]:
    """One model for these decisions; contexts hold numbers unrounded."""
    model = Language(Function(answer, "bayes"), prompt={name: replace(p, digits={}) for name, p in prompts.items()})
    return dict.fromkeys(labels, model)


def assert_twins(rule: xarray.Dataset, found: xarray.Dataset, but: tuple[str, ...] = ()) -> None:
    """Every variable of the rule's run is the same, bit for bit."""
    for name in set(rule.data_vars) - set(but):
        assert np.array_equal(rule[name].values, found[name].values, equal_nan=True), name


def weighed(context: Mapping[str, Any], p: Persuasion) -> float:
    """The belief by Bayes' rule, as a receiver of `persuasion` with its trust and bias applies it."""
    trust, if_good, if_bad = context["trust"], 1.0, 1.0
    for opposed, claimed, announced, message, kept, checked in json.loads(context["facts"]):
        honest = trust * announced
        if p.learning:
            honest = (p.trust_weight * honest + kept) / (p.trust_weight + checked)
        claim = 1.0 - trust * (1.0 - claimed)
        good_if_good, good_if_bad = (honest, 1.0 - claim) if opposed else (claim, 1.0 - honest)
        if_good *= good_if_good if message else 1.0 - good_if_good
        if_bad *= good_if_bad if message else 1.0 - good_if_bad
    return believed(context["prior"], if_good, if_bad, context["bias"])


def receiver(p: Persuasion) -> Answer:
    """Bayesian answers of a receiver of `persuasion`."""

    def answer(context: Mapping[str, Any], request: Any) -> Any:
        belief = weighed(context, p)
        if not request.labels:
            return {"probability": belief}
        accepts = belief >= context["rejecting"] / 2 - 1e-12
        return [0.0, 1.0] if accepts else [1.0, 0.0]

    return answer


def test_receivers_who_answer_by_bayes_rule_are_those_of_the_scenario_bit_for_bit() -> None:
    rule = simengine.run(Persuasion, **MANY, **RUN)
    policies = language(receiver(Persuasion(MANY)), Persuasion.prompts, ["agents.believe", "agents.decide"])
    found = simengine.run(Persuasion, policies=policies, **MANY, **RUN)
    assert_twins(rule, found)
    assert 0.0 < float(rule.acceptance_so_far[-1]) < 1.0


@pytest.mark.slow
@pytest.mark.parametrize("label", ["agents.believe", "agents.decide", "senders.speak"])
def test_senders_and_receivers_by_language_pair_up_with_rules(label: str) -> None:
    parameters = MANY | {"honesty": None, "sender": "truthful", "trust": 0.7}
    rule = simengine.run(Persuasion, **parameters, **RUN)
    judge = receiver(Persuasion(parameters))

    def answer(context: Mapping[str, Any], request: Any) -> Any:
        if "announcement" not in context:
            return judge(context, request)
        return [1.0, 0.0] if context["state"] == "bad" else [0.0, 1.0]

    found = simengine.run(Persuasion, policies=language(answer, Persuasion.prompts, [label]), **parameters, **RUN)
    assert_twins(rule, found)


@pytest.mark.slow
def test_a_committed_sender_by_language_lies_as_often_as_it_announced() -> None:
    def answer(context: Mapping[str, Any], request: Any) -> Any:
        good = context["claim"] if context["state"] == "good" else 1.0 - context["announced"]
        return [1.0 - good, good]

    policies = language(answer, Persuasion.prompts, ["senders.speak"])
    run = simengine.run(Persuasion, policies=policies, steps=4000, seed=1, progress=False, snapshot_every=4000)
    # Four standard errors: error rate 6e-5.
    assert float(run.acceptance_so_far[-1]) == pytest.approx(0.6, abs=4 * np.sqrt(0.24 / 4000))


def talker(p: PersuasionTalk) -> Answer:
    """Answers of sellers and Bayesian buyers of `persuasion_talk`, from the words of prompts and messages."""

    def answer(context: Mapping[str, Any], request: Any) -> Any:
        if "message" in context:
            said = re.search(r"offer is (good|bad)", context["message"])
            told = re.search(r"probability ([0-9.]*[0-9])", context["message"])
            assert said is not None
            assert told is not None
            kind = PERSONAS.index(context["manner"].strip())
            honest = perceived(float(told[1]), kind, p.doubt, p.faith)
            belief = after_report(1 if said[1] == "good" else 0, context["prior"], honest)
            if not request.labels:
                return {"probability": belief}
            return [0.0, 1.0] if belief >= context["rejecting"] / 2 else [1.0, 0.0]
        if "task" in context:
            assert "state" not in context
            return f"I report bad offers as bad with probability {context['told']}. The offer is {context['report']}!"
        if "state" in context:
            honest = context["told"] if context["state"] == "bad" else 0.0
            return [honest, 1.0 - honest]
        return {"honesty": p.told_honesty}

    return answer


def test_sellers_and_buyers_who_talk_by_bayes_rule_are_those_of_the_scenario_bit_for_bit() -> None:
    rule = simengine.run(PersuasionTalk, **TALK, **RUN)
    answer = talker(PersuasionTalk(TALK))
    policies = language(answer, PersuasionTalk.prompts, list(ROLES.values()))
    found = simengine.run(PersuasionTalk, policies=policies, **TALK, **RUN)
    assert_twins(rule, found, but=("senders_message",))
    assert (found.senders_message.values[1:] >= 2**32).all()
    # Liars and truth tellers, and buyers of all minds: sceptics take 0.56 for 0.7, less than 4/7.
    assert set(np.unique(rule.senders_report)) == {0, 1}
    assert float(rule.acceptance_skeptical[1:].max()) == 0.0
    assert float(rule.acceptance_trusting[1:].max()) > 0.0


@pytest.mark.slow
@pytest.mark.parametrize("roles", [("announce", "report"), ("word",), ("believe", "decide")], ids="+".join)
def test_talking_sellers_and_buyers_pair_up_with_rules(roles: tuple[str, ...]) -> None:
    rule = simengine.run(PersuasionTalk, **TALK, **RUN)
    policies = language(talker(PersuasionTalk(TALK)), PersuasionTalk.prompts, [ROLES[role] for role in roles])
    found = simengine.run(PersuasionTalk, policies=policies, **TALK, **RUN)
    assert_twins(rule, found, but=("senders_message",) if "word" in roles else ())


class Watched:
    """Fields of agents, and the names of those that were read."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.fields, self.read = fields, set[str]()

    def __getattr__(self, name: str) -> Any:
        self.read.add(name)
        return self.fields[name]


def at_random(scenario: Any, name: str, number: int, draw: np.random.Generator) -> dict[str, Any]:
    """Values of all fields of a population that its rules might have led to."""
    found: dict[str, Any] = {}
    for field in scenario.declaration.populations[name].fields.values():
        whole = {"kind": 4, "sender": 3, "checked": 90, "kept": 90, "rounds": 90, "accepted": 90}.get(field.name, 2)
        found[field.name] = draw.integers(0, whole, number) if field.dtype is int else draw.uniform(size=number)
        if field.dtype is bool:
            found[field.name] = draw.uniform(size=number) < 0.5
    return found


def shown_to(scenario: Any, label: str, p: Any, fields: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], set[str]]:
    """The texts that each of a decision's agents is shown, and the fields that were read."""
    population, role = label.split(".")
    watched = {name: Watched(values) for name, values in fields.items()}
    own = watched[population]
    asked: Any = Bunch(
        ids=np.arange(len(next(iter(own.fields.values())))), p=p, agents=own, populations=watched, texts={}
    )
    contexts = contexts_of(scenario.prompts[role], asked)
    rendered = ["\n".join(message.text for message in found) for found in contexts.render(scenario.prompts[role], p)]
    read = {f"{name}.{field}" for name, one in watched.items() for field in one.read}
    return [rendered[context] for context in contexts.of_agent.tolist()], read


PUBLIC = {f"senders.{name}" for name in ("opposed", "claim", "announced", "message", "kept", "checked")}
OWN = {f"agents.{name}" for name in ("prior", "threshold", "trust", "bias")}
READ = {"agents.kind", "agents.threshold", "agents.sender", "senders.message", "senders.told"}
KNOWN: list[tuple[Any, dict[str, Any], str, set[str]]] = [
    (Persuasion, MANY, "senders.speak", {f"senders.{name}" for name in ("state", "opposed", "claim", "announced")}),
    (Persuasion, MANY, "agents.believe", PUBLIC | OWN),
    (Persuasion, MANY, "agents.decide", PUBLIC | OWN),
    (PersuasionTalk, TALK, "senders.announce", set()),
    (PersuasionTalk, TALK, "senders.report", {"senders.state", "senders.told"}),
    (PersuasionTalk, TALK, "senders.word", {"senders.told", "senders.report"}),
    (PersuasionTalk, TALK, "agents.believe", READ),
    (PersuasionTalk, TALK, "agents.decide", READ),
]
"""Of each decision the fields that may be known there."""


@pytest.mark.parametrize(("scenario", "parameters", "label", "known"), KNOWN)
@given(seed=st.integers(0, 2**32 - 1))
def test_prompts_show_what_is_known_and_nothing_else(
    scenario: Any, parameters: dict[str, Any], label: str, known: set[str], seed: int
) -> None:
    draw, p = np.random.default_rng(seed), scenario(parameters)
    sizes = {"agents": 8, "senders": 3, "world": 1}
    names = [name for name in scenario.declaration.populations if name in sizes]
    one = {name: at_random(scenario, name, sizes[name], draw) for name in names}
    other = {name: at_random(scenario, name, sizes[name], draw) for name in names}
    for name in names:
        other[name] |= {field: one[name][field] for field in one[name] if f"{name}.{field}" in known}
    texts, read = shown_to(scenario, label, p, one)
    assert texts == shown_to(scenario, label, p, other)[0]
    assert read <= known
    assert not [text for text in texts if "{" in text or "nan" in text or "unknown" in text]


@pytest.mark.parametrize("style", list(TASKS))
@pytest.mark.parametrize("view", ["explicit", "self_derived"])
def test_styles_and_views_are_words(style: str, view: str) -> None:
    p = PersuasionTalk(TALK | {"style": style, "view": view})
    senders = Bunch(state=np.array([0, 1, 1]), told=np.full(3, 0.7), report=np.array([0, 1, 1]))
    asked: Any = Bunch(ids=np.arange(3), p=p, agents=senders)
    contexts = contexts_of(PersuasionTalk.prompts["word"], asked)
    assert contexts.of_agent.tolist() == [0, 1, 1]
    bad, good = (messages[-1].text for messages in contexts.render(PersuasionTalk.prompts["word"], p))
    assert bad.replace("as bad. Write", "as good. Write") == good
    assert ("Offers are good with probability 0.3." in good) == (view == "explicit")
    assert ("You tell buyers that you report bad offers as bad with probability 0.7." in good) == (
        style in {"semi_formal", "natural"}
    )
    assert good.startswith(TASKS[style])
