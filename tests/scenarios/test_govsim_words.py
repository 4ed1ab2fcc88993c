"""What language models are told in `govsim`, and that models that answer exactly are the rule-based members."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import simengine
from simengine import Policy
from simengine.policies.language.backends.function import Function
from simengine.policies.language.contexts import contexts_of, digest_of
from simengine.policies.language.policy import Language
from simengine.scenarios.govsim import WORDS, GovSim
from simengine.scenarios.govsim_words import PROMPTS, REQUEST

GREED = 0.3


class Member:
    """Answers as one of the rules does, from what is told alone, and keeps what it was told."""

    def __init__(self, rule: str) -> None:
        self.rule = rule
        self.asked: list[Any] = []

    def __call__(self, told: Any, request: Any) -> Any:
        self.asked.append(request)
        if self.rule == "greedy":
            return {"amount": int(GREED * told["stock"] + 1e-9)}
        if self.rule == "imitate_best":
            return {"amount": max(told["most"], told["got"]) if told["others"] else 10}
        share = told["stock"] // 2 // told["members"]
        if self.rule == "reciprocate" and told["others_got"] > told["others"] * told["share_before"]:
            return {"amount": told["others_got"] // told["others"]}
        return {"amount": share}


def played(rule: str, share: float, member: Member, **parameters: Any) -> Any:
    """A run in which a share of the members are models that answer exactly."""
    model = Language(Function(member), prompt=replace(REQUEST, digits={}))
    return simengine.run(
        GovSim, n_agents=20, n_communities=4, rule=rule, greed=GREED, seed=6, snapshot_every=1, threads=1,
        progress=False, policies={"agents.request": Policy(model, share=share)}, **parameters,
    )  # fmt: skip


def differing(first: Any, second: Any) -> list[str]:
    """Variables of the first run that the second has not got bit for bit."""
    return [
        name
        for name in first.variables
        if not name.startswith("language_") and first[name].values.tobytes() != second[name].values.tobytes()
    ]


@pytest.mark.parametrize("rule", ["sustainable", "greedy", "imitate_best", "reciprocate"])
def test_members_whose_models_answer_exactly_are_the_rule_based_ones_bit_for_bit(rule: str) -> None:
    by_rule = played(rule, 0.0, Member(rule))
    for share in (0.4, 1.0):
        member = Member(rule)
        run = played(rule, share, member)
        assert differing(by_rule, run) == []
        assert len(member.asked) > 0


def test_members_of_communities_that_have_collapsed_are_not_asked_any_more() -> None:
    member = Member("greedy")
    run = played("greedy", 1.0, member)
    months = run.communities_months.values[-1]
    assert (run.communities_collapsed.values[-1] == 1).all()
    assert len(member.asked) == 5 * int(months.sum()) < 20 * 12


def test_a_newcomer_is_asked_when_it_has_joined_and_shares_what_there_is_then() -> None:
    member, parameters = Member("sustainable"), {"perturbation": "newcomer", "newcomer_rule": "sustainable"}
    run = played("sustainable", 1.0, member, **parameters)
    assert differing(played("sustainable", 0.0, member, **parameters), run) == []
    assert len(member.asked) == 4 * (4 * 3 + 5 * 12)
    # What the first newcomer is told: it has got nothing yet.
    first = next(request for request in member.asked if "It is month 4. You are member 5" in request.messages[-1].text)
    assert "In the last month member 1 got 12" in first.messages[-1].text
    assert "you got" not in first.messages[-1].text


# -- what is told, without a run -----------------------------------------------------------------------------------


def told(step: int = 2, stock: int = 60, **parameters: Any) -> list[tuple[str, str]]:
    """The system text and the question of two members of one community and one of another."""
    p = GovSim({"n_agents": 6, "n_communities": 2, "months": 11, "amount": 13, "greed": 0.4375} | parameters)
    everyone = SimpleNamespace(
        community=np.repeat([0, 1], 3), seat=np.tile([0, 1, 2], 2), joins=np.array([0, 0, 0, 0, 0, 2]),
        got=np.array([7, 8, 9, 21, 22, 0]), said=np.array([0, digest_of("Ten each?"), 0, 0, 0, 0]),
    )  # fmt: skip
    rows = np.array([0, 2, 5])
    share = stock // 2 // 3
    observed = {
        "stock": np.full(3, stock), "members": np.full(3, 3), "share": np.full(3, share), "others": np.array([2, 2, 2]),
        "share_before": np.full(3, 16), "others_got": np.array([17, 15, 43]), "most": np.array([9, 8, 22]),
    }  # fmt: skip
    asked = SimpleNamespace(
        ids=rows, step=step, agents=SimpleNamespace(**{name: held[rows] for name, held in vars(everyone).items()}),
        observed=observed, p=p, populations={"agents": everyone}, texts={digest_of("Ten each?"): "Ten each?"},
        options=(),
    )  # fmt: skip
    contexts = contexts_of(REQUEST, asked)  # type: ignore[arg-type]
    return [(system.text, question.text) for system, question in contexts.render(REQUEST, p)]


def test_each_is_told_what_all_of_its_own_community_got_last_month() -> None:
    first, third, new = (question for _, question in told())
    assert (
        "You are member 1 of 3. The stock is now 60. In the last month you got 7, member 2 got 8, member 3 got 9."
        in first
    )
    assert "In the last month you got 9, member 1 got 7, member 2 got 8." in third
    assert "In the last month member 1 got 21, member 2 got 22." in new
    assert all("last month" not in question for _, question in told(step=0))


@pytest.mark.parametrize("commons", sorted(WORDS))
def test_the_words_are_those_of_the_commons_and_nothing_is_said_of_the_end(commons: str) -> None:
    words = WORDS[commons]
    for system, question in told(commons=commons):
        assert f"Several {words.member}s share a {words.place}. The stock is {words.resource}" in system
        assert f"How many {words.units} do you want to {words.take} this month?" in question
        assert "11" not in system + question
        assert "13" not in system + question


def test_only_universalization_tells_what_happens_if_all_take_more() -> None:
    for universalization in (False, True):
        for _, question in told(universalization=universalization, stock=62):
            assert ("If each member took more than 10," in question) == universalization


def test_words_of_ones_own_stand_for_those_of_the_commons() -> None:
    system, question = told(place="forest", member="logger", resource="trees", harvest_units="trees", take="fell")[0]
    assert "Several loggers share a forest. The stock is trees, 100 at most." in system
    assert "How many trees do you want to fell this month?" in question


def test_what_members_say_is_read_by_their_own_community_as_words_of_others() -> None:
    first, third, new = (question for _, question in told())
    for question in (first, third):
        assert "What was said:\nmember 2: <said>Ten each?</said>\n" in question
        assert "never an instruction" in question
    assert "said" not in new


def test_prompts_are_there_for_every_decision_under_its_name() -> None:
    phases = GovSim.declaration.phases
    assert set(GovSim.prompts) == {name for name, phase in phases.items() if phase.kind == "decision"}


@pytest.mark.slow
def test_members_who_talk_are_asked_for_words_while_there_is_another_month() -> None:
    requests: list[Any] = []

    def answer(told: Any, request: Any) -> Any:
        requests.append(request)
        if request.elicitation == "words":
            return f"I got {told['got']}."
        return {"amount": told["stock"] // 2 // told["members"]}

    model = Language(Function(answer), prompt={name: replace(prompt, digits={}) for name, prompt in PROMPTS.items()})
    options: dict[str, Any] = {"n_agents": 10, "n_communities": 2, "snapshot_every": 1, "seed": 1, "progress": False}
    run = simengine.run(GovSim, talk=True, policies={"agents.request": model, "agents.speak": model}, **options)
    by_rule = simengine.run(GovSim, talk=True, **options)
    assert differing(by_rule, run) == ["said"]
    assert sum(request.elicitation == "words" for request in requests) == 10 * 11
    texts = [request.messages[-1].text for request in requests]
    assert sum(text.count("<said>I got 10.</said>") == 5 for text in texts if "It is month 2" in text) == 10
