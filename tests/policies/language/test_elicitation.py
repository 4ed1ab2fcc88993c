"""Elicitation: what each method asks, what it makes of the answers, and what it does without one."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from types import SimpleNamespace
from typing import Any

import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simengine.errors import InputError
from simengine.policies.language.backends.function import Function
from simengine.policies.language.calls import Capabilities, Failure, Message, Reply, Request
from simengine.policies.language.contexts import contexts_of
from simengine.policies.language.elicitation import (
    METHODS,
    Again,
    Answered,
    Question,
    entropy_bits,
    method_of,
    miller_madow_bits,
    question_of,
)
from simengine.policies.language.prompts import Prompt
from simengine.policies.language.reading import Provenance
from simengine.random.streams import Draws

P = SimpleNamespace(values={}, constants={})
PROMPT = Prompt("You play.", "You see {x}.", lambda asked: {"x": asked.x})
WORDS = replace(PROMPT, words=True)
LABELS = ("left", "stay", "right")
MESSAGES = (Message("system", "You play."), Message("user", "You see 1."))
GARBAGE, TIMEOUT, REFUSED = Reply("hm"), Failure("timeout", "too slow"), Failure("refusal", "I will not")


class Side(Enum):
    LEFT = "left"
    RIGHT = "right"


class Move(pydantic.BaseModel):
    side: Side
    effort: float = 0.0


def question(labels: tuple[str, ...] = LABELS, prompt: Prompt = PROMPT, **settings: Any) -> Question:
    return Question(prompt, [MESSAGES], labels, labels, **settings)


def read(method: str, asked: Question, outcomes: Sequence[Reply | Failure]) -> Answered | Again:
    return METHODS[method].read(asked, outcomes, 0)


def answered(method: str, asked: Question, outcomes: Sequence[Reply | Failure]) -> Answered:
    found = read(method, asked, outcomes)
    assert isinstance(found, Answered)
    return found


def again(method: str, asked: Question, outcomes: Sequence[Reply | Failure]) -> Again:
    found = read(method, asked, outcomes)
    assert isinstance(found, Again)
    return found


def scored(asked: Question, shares: Callable[[Request], Sequence[float]]) -> list[Reply]:
    """Replies to the requests for label probabilities; ``shares`` are those of the labels as shown."""
    return [
        Reply(log_probabilities=tuple(math.log(p) if p else -math.inf for p in shares(request)))
        for request in METHODS["label_probabilities"].requests(asked, 0)
    ]


def asking(n: int, **columns: Any) -> SimpleNamespace:
    return SimpleNamespace(
        ids=np.arange(n) * 10, step=7, options=LABELS, p=P, draw=Draws(3, "agents", "choose", np.arange(n) * 10, 7),
        **columns,
    )  # fmt: skip


def test_each_order_shows_and_scores_the_options_rotated() -> None:
    requests = METHODS["label_probabilities"].requests(question(), 0)
    assert [request.order for request in requests] == [0, 1, 2]
    assert [request.labels for request in requests] == [
        ("left", "stay", "right"), ("stay", "right", "left"), ("right", "left", "stay"),
    ]  # fmt: skip
    for request in requests:
        assert request.kind == "score"
        assert "Options:\n" + "".join(f"- {label}\n" for label in request.labels) in request.messages[-1].text
        assert request.messages[0] == MESSAGES[0]
        assert request.messages[-1].text.startswith(MESSAGES[1].text)
    assert len({request.key("m/m") for request in requests}) == 3


@pytest.mark.parametrize(
    ("number", "orders", "expected"),
    [
        (2, None, (0, 1)),
        (3, None, (0, 1, 2)),
        (4, None, (0, 2)),
        (7, None, (0, 3)),
        (5, 9, (0, 1, 2, 3, 4)),
        (4, 1, (0,)),
    ],
)
def test_orders_are_all_of_few_options_and_else_spread_evenly(
    number: int, orders: int | None, expected: tuple[int, ...]
) -> None:
    labels = tuple(f"option {n}" for n in range(number))
    assert question(labels, orders=orders).rotations() == expected


def test_a_bias_for_the_first_place_averages_out() -> None:
    found = answered("label_probabilities", question(), scored(question(), lambda request: [0.6, 0.3, 0.1]))
    assert found.probabilities == pytest.approx([1 / 3] * 3)
    assert found.entropy_bits == pytest.approx(math.log2(3))


@given(st.lists(st.floats(0.001, 1.0), min_size=2, max_size=6), st.integers(1, 6), st.floats(0.01, 1.0))
def test_a_preference_for_labels_comes_back_whatever_the_orders(
    weights: list[float], orders: int, coverage: float
) -> None:
    labels = tuple(f"label {n}" for n in range(len(weights)))
    share = {label: weight / sum(weights) for label, weight in zip(labels, weights, strict=True)}
    asked = question(labels, orders=orders)
    replies = scored(asked, lambda request: [coverage * share[label] for label in request.labels])
    found = answered("label_probabilities", asked, replies)
    assert found.probabilities == pytest.approx(list(share.values()))
    assert found.coverage == pytest.approx(coverage)
    assert found.status is Provenance.ANSWERED


def test_certainty_stays_certain_to_the_bit() -> None:
    replies = scored(question(), lambda request: [float(label == "right") for label in request.labels])
    found = answered("label_probabilities", question(), replies)
    assert (found.probabilities, found.coverage, found.entropy_bits) == ((0.0, 0.0, 1.0), 1.0, 0.0)


def test_the_function_backend_speaks_of_options_in_the_decisions_order() -> None:
    asked = question()
    backend = Function(lambda context, request: [0.5, 0.375, 0.125])
    found = answered("label_probabilities", asked, backend.score(METHODS["label_probabilities"].requests(asked, 0)))
    assert found.probabilities == pytest.approx([0.5, 0.375, 0.125], abs=1e-15)


def test_log_probabilities_of_long_labels_do_not_vanish() -> None:
    asked = question(("left", "right"))
    found = answered("label_probabilities", asked, [Reply(log_probabilities=(-2000.0, -2000.0 + math.log(3.0)))] * 2)
    assert found.probabilities == pytest.approx([0.5, 0.5])
    assert found.coverage == 0.0
    first = answered("label_probabilities", replace(asked, orders=1), [Reply(log_probabilities=(-2000.0, -2001.0))])
    assert first.probabilities == pytest.approx([1 / (1 + math.exp(-1)), 1 / (1 + math.e)])


@pytest.mark.parametrize("scores", [(-math.inf,) * 3, (math.nan, 0.0, 0.0), (math.inf, 0.0, 0.0), (0.0, 0.0), ()])
def test_scores_that_say_nothing_are_asked_for_again(scores: tuple[float, ...]) -> None:
    good = Reply(log_probabilities=(0.0, -math.inf, -math.inf))
    found = again("label_probabilities", question(), [good, Reply(log_probabilities=scores), good])
    assert [(request.order, request.sample) for request in found.requests] == [(1, "again")]
    assert found.read([Reply(log_probabilities=(-math.inf, -math.inf, 0.0))]).probabilities == pytest.approx(
        [2 / 3, 0.0, 1 / 3]
    )
    assert found.read([Reply(log_probabilities=scores)]).status is Provenance.FALLBACK


def test_an_order_without_an_answer_is_no_average() -> None:
    good = Reply(log_probabilities=(0.0, -1.0, -2.0))
    assert answered("label_probabilities", question(), [good, TIMEOUT, good]).status is Provenance.FALLBACK
    found = answered("label_probabilities", question(), [good, REFUSED, TIMEOUT])
    assert (found.status, found.probabilities, found.reason) == (Provenance.REFUSED, None, "refusal: I will not")
    assert answered("label_probabilities", question(), [good, GARBAGE, TIMEOUT]).status is Provenance.FALLBACK


def test_samples_are_smoothed_by_half_a_count_each() -> None:
    found = answered("samples", question(samples=8), [Reply("left")] * 6 + [Reply("Stay.")] * 2)
    assert found.probabilities == pytest.approx([6.5 / 9.5, 2.5 / 9.5, 0.5 / 9.5])
    assert found.raw == (6.0, 2.0, 0.0)
    assert found.entropy_bits == pytest.approx(entropy_bits([0.75, 0.25]) + 1 / (16 * math.log(2)))
    assert found.coverage == 1.0


def test_samples_have_names_and_rotated_options() -> None:
    requests = METHODS["samples"].requests(question(samples=5), 0)
    assert [request.sample for request in requests] == list("01234")
    assert [request.order for request in requests] == [0, 1, 2, 0, 1]
    assert requests[1].labels == ("stay", "right", "left")
    assert len({request.key("m/m") for request in requests}) == 5


def test_only_unreadable_samples_are_asked_for_again_and_may_be_missed() -> None:
    asked = question(samples=4)
    found = again("samples", asked, [Reply("left"), GARBAGE, TIMEOUT, Reply("left")])
    assert [request.sample for request in found.requests] == ["1/again"]
    mended = found.read([Reply("right")])
    assert (mended.status, mended.raw, mended.coverage) == (Provenance.REPAIRED, (2.0, 0.0, 1.0), 0.75)
    missed = found.read([GARBAGE])
    assert (missed.status, missed.raw, missed.coverage) == (Provenance.REPAIRED, (2.0, 0.0, 0.0), 0.5)


def test_answers_to_what_was_asked_again_go_where_they_were_missing() -> None:
    one = Reply(log_probabilities=(0.0, -math.inf, -math.inf))
    found = again("label_probabilities", question(), [GARBAGE, one, GARBAGE])
    assert [request.order for request in found.requests] == [0, 2]
    # The first label shown is left in order 0, stay in order 1 and right in order 2; the second in order 0 is stay.
    second = Reply(log_probabilities=(-math.inf, 0.0, -math.inf))
    assert found.read([second, one]).probabilities == pytest.approx([0.0, 2 / 3, 1 / 3])


def test_less_than_half_of_the_samples_are_no_answer() -> None:
    asked = question(samples=4)
    assert answered("samples", asked, [TIMEOUT, TIMEOUT, TIMEOUT, Reply("left")]).status is Provenance.FALLBACK
    assert answered("samples", asked, [REFUSED, TIMEOUT, REFUSED, Reply("left")]).status is Provenance.REFUSED
    assert answered("samples", asked, [TIMEOUT, TIMEOUT, TIMEOUT, GARBAGE]).status is Provenance.FALLBACK
    assert again("samples", asked, [GARBAGE] * 4).read([GARBAGE] * 4).status is Provenance.FALLBACK


def test_percentages_become_probabilities_and_stay_as_stated() -> None:
    asked = question()
    (request,) = METHODS["percentages"].requests(asked, 0)
    schema = json.loads(request.schema)
    assert list(schema["properties"]) == schema["required"] == list(LABELS)
    assert schema["additionalProperties"] is False
    assert (request.temperature, request.max_tokens) == (0.0, 64)
    found = answered("percentages", asked, [Reply('{"left": 50, "stay": 26, "right": 25}')])
    assert found.probabilities == pytest.approx([50 / 101, 26 / 101, 25 / 101])
    assert found.raw == (50.0, 26.0, 25.0)
    assert again("percentages", asked, [Reply('{"left": 50, "stay": 26, "right": 2}')])


def test_the_ceiling_of_percentages_has_room_for_all_options() -> None:
    many = tuple(f"the option with number {n}" for n in range(15))
    (request,) = METHODS["percentages"].requests(question(many), 0)
    assert request.max_tokens > len(json.dumps(dict.fromkeys(many, 100))) / 3


def test_an_unreadable_answer_is_asked_for_once_more_with_what_is_wrong() -> None:
    found = again("single", question(names=["7/30"]), [Reply("left or right")])
    (request,) = found.requests
    assert request.sample == "7/30/again"
    roles = [message.role for message in request.messages]
    assert roles == ["system", "user", "assistant", "user"]
    assert request.messages[2].text == "left or right"
    assert "it does not name exactly one of the options" in request.messages[3].text
    assert "- left\n- stay\n- right" in request.messages[3].text
    (first,) = METHODS["single"].requests(question(names=["7/30"]), 0)
    assert request.messages[:2] == first.messages
    assert found.read([Reply("right")]) == Answered(
        Provenance.REPAIRED, value=2, reason="it does not name exactly one of the options"
    )


def test_there_is_no_third_try() -> None:
    found = again("single", question(), [GARBAGE])
    for outcome in (GARBAGE, Reply(""), TIMEOUT, Failure("malformed", "no JSON"), Reply("left or stay")):
        assert isinstance(found.read([outcome]), Answered)
        assert found.read([outcome]).status is Provenance.FALLBACK
        assert found.read([outcome]).value is None
    assert found.read([REFUSED]).status is Provenance.REFUSED


def test_an_empty_answer_is_not_quoted() -> None:
    (request,) = again("single", question(), [Reply(" ")]).requests
    assert [message.role for message in request.messages] == ["system", "user"]
    assert request.messages[1].text.startswith("You see 1.")
    assert "cannot be used" in request.messages[1].text


@pytest.mark.parametrize("method", sorted(METHODS))
def test_failures_are_not_asked_again_and_refusals_are_told_apart(method: str) -> None:
    prompt = WORDS if method == "words" else PROMPT
    asked = question(() if method in {"words", "structured"} else LABELS, prompt)
    number = len(METHODS[method].requests(asked, 0))
    for kind in ("timeout", "transient", "rate_limit", "too_long"):
        found = answered(method, asked, [Failure(kind, "no")] * number)
        assert found == replace(found, status=Provenance.FALLBACK, probabilities=None, value=None, text=None)
    for outcome in (REFUSED, Reply("I will not", finish="content_filter")):
        assert answered(method, asked, [outcome] * number).status is Provenance.REFUSED
    assert isinstance(read(method, asked, [Failure("malformed", "no JSON")] * number), Again)


def test_an_answer_that_was_cut_off_says_so() -> None:
    found = again("structured", question(()), [Reply('{"answer": ', finish="length")])
    assert "it was cut off at 64 tokens" in found.requests[0].messages[-1].text


@pytest.mark.parametrize(
    ("kind", "bounds", "held"),
    [
        ("number", (0.0, 1.0), {"type": "number", "minimum": 0.0, "maximum": 1.0}),
        ("whole", (0, None), {"type": "integer", "minimum": 0}),
        ("truth", (None, None), {"type": "boolean"}),
        ("number", (-math.inf, math.inf), {"type": "number"}),
    ],
)
def test_a_value_without_a_model_has_a_schema_of_its_own(kind: Any, bounds: Any, held: Mapping[str, Any]) -> None:
    asked = question((), kind=kind, bounds=bounds)
    (request,) = METHODS["structured"].requests(asked, 0)
    assert json.loads(request.schema)["properties"] == {"answer": held}
    assert request.schema in request.messages[-1].text


def test_values_outside_their_bounds_are_asked_for_again() -> None:
    asked = question((), kind="whole", bounds=(0, 5))
    assert answered("structured", asked, [Reply('{"answer": 4}')]).value == 4
    assert isinstance(answered("structured", asked, [Reply('{"answer": 4.0}')]).value, int)
    for text in ('{"answer": 6}', '{"answer": 2.5}', '{"answer": "many"}'):
        assert "cannot be used" in again("structured", asked, [Reply(text)]).requests[0].messages[-1].text
    truth = question((), kind="truth")
    assert answered("structured", truth, [Reply('{"answer": true}')]).value is True


def test_a_structured_answer_gives_a_field_or_what_a_function_takes_of_it() -> None:
    text = '{"side": "right", "effort": 2.5}'
    by_field = replace(PROMPT, answer=Move, take="effort")
    assert answered("structured", question((), by_field), [Reply(text)]).value == 2.5
    assert isinstance(read("structured", question((), by_field, bounds=(0, 1)), [Reply(text)]), Again)
    by_function = replace(PROMPT, answer=Move, take=lambda move: 2 * move.effort)
    assert answered("structured", question((), by_function), [Reply(text)]).value == 5.0


def test_a_structured_answer_names_an_option_by_label_or_index() -> None:
    text = '{"side": "right", "effort": 1}'
    for take, value in (("side", 2), (lambda move: move.side, 2), (lambda move: move.effort, 1)):
        asked = question(prompt=replace(PROMPT, answer=Move, take=take))
        assert answered("structured", asked, [Reply(text)]).value == value
    asked = question(prompt=replace(PROMPT, answer=Move, take=lambda move: 3))
    assert isinstance(read("structured", asked, [Reply(text)]), Again)


def test_fields_are_asked_for_in_the_order_in_which_they_are_declared() -> None:
    model = pydantic.create_model("Reasoned", why=(str, ...), act=(float, ...))
    asked = question((), replace(PROMPT, answer=model, take="act"))
    schema = json.loads(METHODS["structured"].requests(asked, 0)[0].schema)
    assert list(schema["properties"]) == ["why", "act"]
    assert schema["additionalProperties"] is False


def test_words_are_the_text_itself() -> None:
    asked = question((), WORDS)
    assert answered("words", asked, [Reply(" Trust me.\n")]).text == "Trust me."
    assert again("words", asked, [Reply(" ")]).read([Reply("Well.")]).text == "Well."


def test_numbers_of_a_function_backend_come_back_to_the_bit() -> None:
    value = 0.1 + 0.2
    for prompt in (PROMPT, replace(PROMPT, answer=pydantic.create_model("Effort", effort=(float, ...)))):
        asked = question((), prompt)
        backend = Function(lambda context, request: value)
        found = answered("structured", asked, backend.complete(METHODS["structured"].requests(asked, 0)))
        assert found.value == value


def test_contexts_are_rows_where_a_distribution_is_asked_for() -> None:
    asked = asking(4, x=np.array([1.5, 2.5, 1.5, 1.5]))
    found = question_of(PROMPT, contexts_of(PROMPT, asked), asked, METHODS["label_probabilities"], salt="mine")
    assert len(found) == 2
    assert found.of_agent.tolist() == [0, 1, 0, 0]
    requests = METHODS["label_probabilities"].requests(found, 1)
    assert requests[0].context == {"x": 2.5}
    assert (requests[0].sample, requests[0].salt) == ("", "mine")
    assert "You see 2.5." in requests[0].messages[-1].text


def test_agents_are_rows_where_each_is_asked_for_itself() -> None:
    asked = asking(4, x=np.array([1.5, 2.5, 1.5, 1.5]))
    found = question_of(PROMPT, contexts_of(PROMPT, asked), asked, METHODS["single"])
    assert found.of_agent.tolist() == [0, 1, 2, 3]
    requests = [METHODS["single"].requests(found, row)[0] for row in range(4)]
    assert [request.sample for request in requests] == ["7/0", "7/10", "7/20", "7/30"]
    assert [request.context["x"] for request in requests] == [1.5, 2.5, 1.5, 1.5]
    assert len({request.key("m/m") for request in requests}) == 4


def test_agents_of_another_seed_population_or_decision_are_asked_for_themselves_too() -> None:
    keys = set()
    for seed, population, phase, event in ((3, "a", "b", 0), (4, "a", "b", 0), (3, "c", "b", 0), (3, "a", "d", 0),
                                           (3, "a", "b", 1)):  # fmt: skip
        asked = asking(1, x=np.zeros(1))
        asked.draw = Draws(seed, population, phase, [0], 7, event)
        found = question_of(PROMPT, contexts_of(PROMPT, asked), asked, METHODS["single"])
        keys.add(METHODS["single"].requests(found, 0)[0].key("m/m"))
    assert len(keys) == 5


@pytest.mark.parametrize(("temperature", "rows"), [(None, 4), (0.7, 4), (0.0, 2), (0, 2)])
def test_values_and_texts_are_shared_by_a_context_at_temperature_zero_only(temperature: float, rows: int) -> None:
    asked = asking(4, x=np.array([1.5, 2.5, 1.5, 1.5]))
    asked.options = ()
    for name, prompt in (("structured", PROMPT), ("words", WORDS)):
        found = question_of(prompt, contexts_of(prompt, asked), asked, METHODS[name], temperature=temperature)
        assert len(found) == rows


def test_exact_questions_tell_values_apart_that_look_alike() -> None:
    prompt = replace(PROMPT, question="You see {x:.1f}.")
    asked = asking(2, x=np.array([1.0, 1.0 + 1e-12]))
    for exact, number in ((False, 1), (True, 2)):
        found = question_of(prompt, contexts_of(prompt, asked), asked, METHODS["percentages"], exact=exact)
        assert len({METHODS["percentages"].requests(found, row)[0].key("m/m") for row in range(2)}) == number


PLAIN, SCORING = Capabilities("m/m", score=False), Capabilities("m/m", score=True)


@pytest.mark.parametrize(
    ("prompt", "options", "capabilities", "expected"),
    [
        (PROMPT, LABELS, SCORING, "label_probabilities"),
        (PROMPT, LABELS, PLAIN, "percentages"),
        (PROMPT, tuple(map(str, range(21))), SCORING, "percentages"),
        (PROMPT, (), SCORING, "structured"),
        (replace(PROMPT, answer=Move, take="side"), LABELS, SCORING, "structured"),
        (WORDS, (), SCORING, "words"),
        (replace(PROMPT, elicitation="samples"), LABELS, SCORING, "samples"),
    ],
)
def test_the_method_suits_decision_and_backend(
    prompt: Prompt, options: tuple[str, ...], capabilities: Capabilities, expected: str
) -> None:
    assert method_of(prompt, options, capabilities).name == expected


@pytest.mark.parametrize(
    ("prompt", "options", "name", "message"),
    [
        (PROMPT, LABELS, "label_probabilities", "m/m gives no log-probabilities; 'percentages' and 'samples'"),
        (PROMPT, (), "samples", "needs options, and the decision has none"),
        (PROMPT, LABELS, "structured", "needs answer=, a pydantic model"),
        (PROMPT, LABELS, "words", "prompts with words=True"),
        (WORDS, (), "structured", "prompts with words=True"),
        (replace(PROMPT, answer=Move, take="side"), LABELS, "samples", "the prompt has answer="),
        (PROMPT, LABELS, "percentage", "did you mean 'percentages'?"),
    ],
)
def test_methods_that_cannot_be_used_are_errors(
    prompt: Prompt, options: tuple[str, ...], name: str, message: str
) -> None:
    with pytest.raises(InputError) as raised:
        method_of(prompt, options, PLAIN, name)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    "settings", [{"samples": 0}, {"samples": 1.5}, {"orders": 0}, {"temperature": -1.0}, {"temperature": 3}]
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="allowed is"):
        question(**settings)


def test_entropies_are_in_bits() -> None:
    assert entropy_bits([0.5, 0.25, 0.25, 0.0]) == 1.5
    assert entropy_bits([1.0, 0.0]) == 0.0
    assert miller_madow_bits([4, 4]) == pytest.approx(1.0 + 1 / (16 * math.log(2)))
    assert miller_madow_bits([8, 0]) == 0.0
    assert math.isnan(miller_madow_bits([0, 0]))
