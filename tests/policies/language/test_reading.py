"""Reading of answers: options, percentages, numbers and structured answers, and nothing guessed."""

from __future__ import annotations

import json
import math
import string

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simengine.policies.language.reading import (
    Unreadable,
    fitting,
    number_of,
    option_of,
    percentages_of,
    spoken,
    structured_of,
)

LABELS = ("good", "bad")
WORDS = st.text(string.ascii_lowercase, min_size=1, max_size=8)


class Effort(pydantic.BaseModel):
    effort: float = pydantic.Field(ge=0, le=10)


class Vote(pydantic.BaseModel):
    share: int = pydantic.Field(ge=0, le=5)
    why: str = ""


@pytest.mark.parametrize(
    "text",
    ["good", " Good.\n", "**GOOD**", "`good`", '"good"', "go", "Answer: good", "I would say good!", "(good)",
     "good, good", "<think>bad or good? not bad</think>good", "\uff47\uff4f\uff4f\uff44"],
)  # fmt: skip
def test_an_option_is_named_whatever_its_case_spaces_and_punctuation(text: str) -> None:
    assert option_of(text, LABELS) == 0


@pytest.mark.parametrize(
    "text",
    ["", "   ", "?!", "good or bad", "bad? no, good", "perhaps", "not good", "I would never call it good", "goodness",
     "I don't think good", "<think>good", "x", "good bad good"],
)  # fmt: skip
def test_a_text_that_names_no_option_or_two_or_denies_one_is_no_answer(text: str) -> None:
    assert option_of(text, LABELS) is None


def test_a_letter_with_a_bracket_is_that_letter() -> None:
    assert [option_of(text, ("a", "b", "c")) for text in ("b)", "(B)", "b.", "Option b", "c: yes")] == [1, 1, 1, 1, 2]


def test_a_label_within_a_longer_one_is_not_named_by_it() -> None:
    labels = ("agree", "strongly agree", "do not agree")
    assert [option_of(f"I {label}.", labels) for label in labels] == [0, 1, 2]
    assert option_of("strongly agree, not agree", labels) is None


def test_a_denial_that_is_part_of_a_label_denies_nothing() -> None:
    assert option_of("Not sure. Really: not sure.", ("sure", "not sure")) == 1


def test_a_beginning_counts_only_if_one_label_has_it() -> None:
    assert option_of("acc", ("accept", "reject")) == 0
    assert option_of("re", ("reject", "return")) is None


def test_numbers_are_not_taken_for_parts_of_numbers() -> None:
    assert [option_of(text, ("-1", "0", "1")) for text in ("-1", "0", "1.", "I pick -1", "answer: 1")] == [
        0,
        1,
        2,
        0,
        2,
    ]
    assert option_of("1", ("10", "20")) is None
    assert option_of("I take 10.5", ("10", "5")) is None
    assert option_of("0.5", ("0.5", "5")) == 0


def test_labels_of_signs_are_told_apart() -> None:
    assert [option_of(text, ("+", "-")) for text in ("+", " - ", "'+'")] == [0, 1, 0]


def test_labels_in_scripts_without_spaces_are_found() -> None:
    assert option_of("我选择接受。", ("接受", "拒绝")) == 0


@given(st.lists(WORDS, min_size=2, max_size=5, unique=True), st.data())
def test_every_label_names_itself_however_it_is_dressed(labels: list[str], data: st.DataObject) -> None:
    option = data.draw(st.integers(0, len(labels) - 1))
    dressed = data.draw(st.sampled_from(["{}", " {} ", "{}.", "**{}**", "({})"])).format(labels[option].title())
    assert option_of(dressed, labels) == option


@given(st.lists(WORDS, min_size=2, max_size=5, unique=True), st.permutations(range(5)))
def test_two_labels_are_never_one_answer(labels: list[str], order: list[int]) -> None:
    first, second = [place for place in order if place < len(labels)][:2]
    assert option_of(f"{labels[first]} / {labels[second]}", labels) is None


@given(st.text(max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    assert option_of(text, LABELS) in {0, 1, None}
    assert isinstance(percentages_of(text, LABELS), tuple | Unreadable)
    assert isinstance(number_of(text), float | int | Unreadable)
    assert isinstance(structured_of(text, Effort), Effort | Unreadable)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"good": 30, "bad": 70}', (30, 70)),
        ('Sure:\n```json\n{"Bad": 70, "GOOD": 31}\n```', (31, 70)),
        ('{"good": "30%", "bad": 68}', (30, 68)),
        ('{"good": 99.5, "bad": 0.5} I am sure.', (99.5, 0.5)),
        ('{not json} {"good": 0, "bad": 100}', (0, 100)),
    ],
)
def test_percentages_are_read_as_they_stand(text: str, expected: tuple[float, ...]) -> None:
    assert percentages_of(text, LABELS) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"good": 30, "bad": 60}', "add up to 90, not to 100"),
        ('{"good": 30, "bad": 73}', "add up to 103, not to 100"),
        ('{"good": 0.3, "bad": 0.7}', "add up to 1, not to 100"),
        ('{"good": 100}', "'bad' is missing"),
        ('{"good": 120, "bad": -20}', "-20 is no percentage"),
        ('{"good": true, "bad": 99}', "True is no percentage"),
        ('{"good": 50, "bad": 50, "ugly": 0}', "'ugly' is no option"),
        ('{"good": 50, "Good": 0, "bad": 50}', "given twice"),
        ('{"good": 50, "good": 10, "bad": 50}', "no JSON object"),
        ('{"good": NaN, "bad": 100}', "no JSON object"),
        ('{"good": 1e999, "bad": 100}', "is no percentage"),
        ('{"good": 60, "bad": 40} or {"good": 40, "bad": 60}', "several different answers"),
        ("good 60 %, bad 40 %", "no JSON object"),
    ],
)
def test_percentages_that_are_none_say_why(text: str, reason: str) -> None:
    found = percentages_of(text, LABELS)
    assert isinstance(found, Unreadable)
    assert reason in found.reason


def test_a_structured_answer_is_found_in_prose_and_fences() -> None:
    for text in ('{"effort": 3}', 'I choose\n```json\n{"effort": 3.0}\n```\nbecause {x}', "3", "<think>{}</think> 3.0"):
        assert structured_of(text, Effort) == Effort(effort=3.0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"effort": 11}', "effort: Input should be less than or equal to 10"),
        ('{"work": 1}', "effort: Field required"),
        ('{"effort": 1} {"effort": 2}', "several different answers"),
        ('{"effort": 1', "no JSON object"),
        ("", "no JSON object"),
        ('{"effort": 1e400}', "effort"),
        ("[" * 5000 + "{" * 5000, "no JSON object"),
        ('{"a":' * 5000, "no JSON object"),
    ],
)
def test_a_structured_answer_that_is_none_says_why_in_one_line(text: str, reason: str) -> None:
    found = structured_of(text, Effort)
    assert isinstance(found, Unreadable)
    assert reason in found.reason
    assert "\n" not in found.reason


def test_a_value_alone_is_no_answer_of_several_fields() -> None:
    assert isinstance(structured_of("3", Vote), Unreadable)
    assert structured_of('{"share": 3}', Vote) == Vote(share=3)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_keeps_every_digit(value: float) -> None:
    assert number_of(json.dumps({"answer": value})) == value
    assert number_of(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [('{"answer": 3}', 3), ('{"Answer": "2.5"}', 2.5), ('{"effort": 4}', 4), ("**7.**", 7), ("-1", -1), ("1e2", 100)],
)
def test_numbers_are_read(text: str, expected: float) -> None:
    assert number_of(text) == expected


@pytest.mark.parametrize(
    "text", ["about 3", "3 or 4", "", '{"answer": null}', '{"answer": [3]}', '{"answer": "1_000"}', "NaN", "1" * 400]
)
def test_what_is_not_one_finite_number_is_none(text: str) -> None:
    assert isinstance(number_of(text), Unreadable)


def test_values_fit_bounds_and_kinds_or_say_why_not() -> None:
    assert fitting(3.0, 0, 5, "whole") == 3
    assert isinstance(fitting(3.0, 0, 5, "whole"), int)
    assert fitting(3.5, 0, 5, "whole") == Unreadable("3.5 is not a whole number")
    assert fitting(6, 0, 5) == Unreadable("6 is not allowed; allowed is 0 <= value <= 5")
    assert fitting(-1, 0) == Unreadable("-1 is not allowed; allowed is 0 <= value")
    assert fitting(True) == Unreadable("True is not a number")
    assert fitting("yes", kind="truth") is True
    assert fitting(0, kind="truth") is False
    assert isinstance(fitting("perhaps", kind="truth"), Unreadable)
    assert isinstance(fitting(math.nan), Unreadable)


def test_what_is_thought_aloud_is_not_said() -> None:
    assert spoken("<think>good</think>\n bad ") == "bad"
    assert spoken("<think>good") == ""
    assert spoken(" plain ") == "plain"
