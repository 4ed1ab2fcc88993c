"""The surrogate: real probabilities, answers that fit, nothing but the request decides, and the name it goes by."""

from __future__ import annotations

import json
import math
import pickle
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from simengine.policies.language.backends.drawing import KeyedDraws, tempered
from simengine.policies.language.backends.surrogate import (
    END,
    Ngram,
    Surrogate,
    counted,
    joined,
    percentages,
    words,
)
from simengine.policies.language.calls import Backend, Message, Reply, Request

MESSAGES = (
    Message("system", "You fish in a lake.\nMost fishers adopt the new net, few reject it."),
    Message("user", "3 of 5 neighbours adopt. What do you do?\nOptions:\n- adopt\n- reject\n- wait a year"),
)
LABELS = ("adopt", "reject", "wait a year")
SCORE = Request(MESSAGES, "score", LABELS)
TEXT = Request(MESSAGES, "complete")


def scores(request: Request, surrogate: Surrogate | None = None) -> tuple[float, ...]:
    reply = (surrogate or Surrogate()).score([request])[0]
    assert isinstance(reply, Reply)
    return reply.log_probabilities


def texts(requests: list[Request], surrogate: Surrogate | None = None) -> list[str]:
    return [reply.text for reply in (surrogate or Surrogate()).complete(requests) if isinstance(reply, Reply)]


def filled(schema: dict[str, Any], number: int = 40, **fields: Any) -> list[Any]:
    asked = replace(TEXT, schema=json.dumps(schema), **fields)
    return [json.loads(text) for text in texts([replace(asked, sample=str(n)) for n in range(number)])]


def test_it_is_a_backend_that_says_what_it_is_not() -> None:
    surrogate = Surrogate()
    assert isinstance(surrogate, Backend)
    assert surrogate.capabilities().label == "surrogate, not an LLM"
    assert surrogate.capabilities().model == "surrogate/ngram"
    assert "surrogate, not an LLM" in repr(surrogate)
    for reply in (*surrogate.complete([TEXT]), *surrogate.score([SCORE])):
        assert isinstance(reply, Reply)
        assert reply.fingerprint == "surrogate, not an LLM"
        assert not reply.usage.known


def test_another_text_is_another_model_with_other_answers() -> None:
    told = Surrogate("Nobody waits.\nReject, always reject.")
    assert told.model != Surrogate("Nobody waits.").model
    assert told.model == Surrogate(["Nobody waits.", "Reject, always reject."]).model
    assert scores(SCORE, told)[1] - scores(SCORE, told)[0] > scores(SCORE)[1] - scores(SCORE)[0]


@given(
    st.lists(st.text("abc .,\n", max_size=40), min_size=1, max_size=4),
    st.lists(st.sampled_from(["a", "b", "c", "ab", "."]), max_size=3),
)
def test_the_words_after_any_history_have_probabilities_that_sum_to_one(given_texts: list[str], history: Any) -> None:
    ngram = Ngram(given_texts, "")
    found = ngram.distribution(tuple(history))
    assert math.fsum(found) == pytest.approx(1.0, abs=1e-12)
    for word, chance in zip(ngram.vocabulary, found, strict=True):
        assert chance == pytest.approx(ngram.probability(word, tuple(history)), rel=1e-12)


def test_a_probability_is_that_of_the_formula() -> None:
    # Lines "a b" and "a c"; vocabulary: the end, a, b, c; six observations of words and ends.
    ngram = Ngram(["a b\na c"], "a")
    unigram_b, unigram_end = (1 + 1 / 4) / 7, (2 + 1 / 4) / 7
    bigram_b = (1 + unigram_b) / 3
    assert ngram.probability("b", ("a",)) == pytest.approx(bigram_b, rel=1e-14)
    bigram_end = (1 + unigram_end) / 2
    trigram_end = (1 + bigram_end) / 2
    assert ngram.labels(["b"]) == [pytest.approx(math.log(bigram_b) + math.log(trigram_end), rel=1e-12)]
    assert counted("a b\na c")[("a",)] == {"b": 1, "c": 1}


@given(st.lists(st.text("ab ", min_size=1, max_size=6).filter(str.strip), min_size=1, max_size=6))
def test_labels_exclude_one_another(given_labels: list[str]) -> None:
    different = tuple({tuple(words(label)): label for label in given_labels}.values())
    coverage = math.fsum(map(math.exp, scores(replace(SCORE, labels=different))))
    assert 0.0 < coverage <= 1.0


def test_what_the_prompt_tells_more_often_is_more_likely() -> None:
    fewer = replace(SCORE, messages=(Message("user", "adopt, adopt, adopt, reject. You?"),))
    more = replace(SCORE, messages=(Message("user", "adopt, reject, reject, reject. You?"),))
    assert scores(fewer)[0] > scores(fewer)[1]
    assert scores(more)[0] < scores(more)[1]


def test_an_answer_depends_on_nothing_but_its_request() -> None:
    asked = [replace(TEXT, sample=str(n), labels=LABELS if n % 3 == 0 else ()) for n in range(30)]
    wanted = texts(asked)
    order = list(range(30))
    random.Random(1).shuffle(order)
    again = dict(zip(order, texts([asked[place] for place in order]), strict=True))
    assert [again[place] for place in range(30)] == wanted
    assert [texts([request])[0] for request in asked] == wanted
    assert texts(asked, pickle.loads(pickle.dumps(Surrogate()))) == wanted
    assert len(set(wanted)) > 10
    other = replace(asked[0], messages=(Message("user", "Something else altogether."),))
    assert scores(replace(other, kind="score")) != scores(replace(asked[0], kind="score"))


def test_labels_are_drawn_in_proportion_to_their_probabilities_and_the_likeliest_at_zero() -> None:
    found = texts([replace(TEXT, labels=LABELS, sample=str(n)) for n in range(2000)])
    weights = tempered(scores(SCORE), 1.0)
    expected = [2000 * weight / sum(weights) for weight in weights]
    # Fails with probability 1e-4 for other keys.
    assert stats.chisquare([found.count(label) for label in LABELS], expected).pvalue > 1e-4
    cold = texts([replace(TEXT, labels=LABELS, sample=str(n), temperature=0.0) for n in range(5)])
    assert cold == [LABELS[scores(SCORE).index(max(scores(SCORE)))]] * 5


def test_a_text_ends_by_itself_or_at_its_ceiling() -> None:
    replies = Surrogate().complete([replace(TEXT, sample=str(n), max_tokens=6) for n in range(60)])
    finishes = {reply.finish for reply in replies if isinstance(reply, Reply)}
    assert finishes == {"stop", "length"}
    for reply in replies:
        assert isinstance(reply, Reply)
        number = len(words(reply.text))
        assert number == 6 if reply.finish == "length" else 1 <= number <= 6
        assert END not in reply.text
    known = set(words(" ".join(message.text for message in MESSAGES)))
    assert {word for reply in replies if isinstance(reply, Reply) for word in words(reply.text)} <= known


def test_words_are_joined_as_they_are_written() -> None:
    text = "the net (new, for 2.5 coins) isn't bad."
    assert joined(words(text)) == text


def test_stated_percentages_are_the_probabilities() -> None:
    schema = {"type": "object", "properties": {label: {"type": "integer"} for label in LABELS}}
    found = filled(schema, 1, labels=LABELS, temperature=0.0)[0]
    weights = tempered(scores(SCORE), 1.0)
    assert sum(found.values()) == 100
    for label, weight in zip(LABELS, weights, strict=True):
        assert found[label] == pytest.approx(100 * weight / sum(weights), abs=1.0)


@given(st.lists(st.floats(0.0, 1e6), min_size=1, max_size=8).filter(any))
def test_percentages_sum_to_a_hundred_and_are_near(weights: list[float]) -> None:
    found = percentages(weights)
    assert sum(found) == 100
    for value, weight in zip(found, weights, strict=True):
        assert abs(value - 100 * weight / math.fsum(weights)) < 1.0 + 1e-9


def test_an_object_fits_its_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = {
        "type": "object",
        "required": ["effort", "who"],
        "additionalProperties": False,
        "properties": {
            "effort": {"type": "number", "minimum": 0, "maximum": 1},
            "positive": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.001},
            "catch": {"type": "integer", "exclusiveMinimum": 2, "maximum": 4},
            "debt": {"type": "integer", "maximum": -3},
            "tens": {"type": "integer", "multipleOf": 10, "minimum": 5, "maximum": 35},
            "who": {"enum": ["ann", "bob", 3]},
            "sure": {"type": "boolean"},
            "why": {"type": "string", "minLength": 3, "maxLength": 12},
            "list": {"type": "array", "items": {"$ref": "#/$defs/Pair"}, "minItems": 1, "maxItems": 3},
            "maybe": {"anyOf": [{"type": "integer", "minimum": 7, "maximum": 7}, {"type": "null"}]},
            "fixed": {"const": "x"},
            "nothing": {"type": "null"},
            "both": {"allOf": [{"type": "integer", "minimum": 1}, {"maximum": 2}]},
        },
        "$defs": {
            "Pair": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "maxItems": 2},
        },
    }
    found = filled(schema)
    for value in found:
        jsonschema.validate(value, schema)
    assert {value["catch"] for value in found} == {3, 4}
    assert {value["tens"] for value in found} == {10, 20, 30}
    assert {value["sure"] for value in found} == {True, False}
    assert len({value["effort"] for value in found}) > 30


def test_a_schema_that_names_itself_ends() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#"}, "n": {"type": "integer"}}, "required": ["n"]}
    assert "n" in filled(node, 1)[0]


def test_a_request_without_words_is_answered() -> None:
    empty = Request((Message("user", ""),))
    assert texts([empty]) == [""]
    assert scores(replace(empty, kind="score", labels=("yes",)))[0] <= 0.0


def test_keyed_draws_are_uniform_and_follow_from_the_key() -> None:
    drawn = KeyedDraws("a")
    values = [drawn.uniform() for _ in range(4000)]
    # Fails with probability 1e-4 for other keys.
    assert stats.kstest(values, "uniform").pvalue > 1e-4
    assert values[:3] == [KeyedDraws("a").uniform(), *values[1:3]]
    assert KeyedDraws("b").uniform() != values[0]
    assert {KeyedDraws(str(n)).below(3) for n in range(50)} == {0, 1, 2}
    assert {KeyedDraws(str(n)).index([0.0, 1.0, 0.0, 2.0]) for n in range(50)} == {1, 3}
