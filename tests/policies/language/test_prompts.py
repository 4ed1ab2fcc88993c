"""Prompts: what their declaration refuses, templates with strict names, digests, and the generic prompt."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simengine.errors import InputError
from simengine.policies.language.contexts import contexts_of
from simengine.policies.language.elicitation import METHODS
from simengine.policies.language.prompts import (
    ELICITATIONS,
    Prompt,
    generic_prompt,
    significant,
    template,
    written,
)

P = SimpleNamespace(values={"prior": 0.3, "title": "{x}"}, constants={"weight": 2.0})


def see(asked: Any) -> dict[str, Any]:
    return {"x": asked.agents.x}


PROMPT = Prompt("You play. The prior is {p.prior:.2f}.", "You see {x}.", see)


class Two(pydantic.BaseModel):
    effort: float
    why: str


class One(pydantic.BaseModel):
    effort: float = pydantic.Field(ge=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"system": "You see {x}."}, "{x} belongs in the question"),
        ({"question": "You see {x"}, "braces that name nothing are doubled"),
        ({"question": "You see {}."}, "{} is no name"),
        ({"question": "You see {0}."}, "{0} is no name"),
        ({"question": "{x.__class__}"}, "{x.__class__} is no name"),
        ({"question": "{x[0]}"}, "is no name"),
        ({"question": "{x!r}"}, "{x} is no name"),
        ({"question": "{x:{width}}"}, "{x} is no name"),
        ({"question": "{p.__init__}"}, "is no name"),
        ({"question": "{p.prior.real}"}, "is no name"),
        ({"question": 3}, "a template is a text"),
        ({"see": None}, "see is a function"),
        ({"labels": "good"}, "labels is a tuple of texts"),
        ({"labels": ("good", " Good")}, "labels are different texts"),
        ({"labels": ("good", "")}, "labels are different texts"),
        ({"labels": ("good", "b\nad")}, "labels are different texts of one line"),
        ({"untrusted": "x"}, "untrusted is a tuple of texts"),
        ({"elicitation": "sample"}, "unknown elicitation 'sample'; did you mean 'samples'?"),
        ({"digits": {"x": 1.5}}, "digits of 'x' are a whole number"),
        ({"max_tokens": 0}, "max_tokens is a whole number from 1"),
        ({"deadline": 0}, "deadline is a number of seconds above 0"),
        ({"take": "effort"}, "take= names a field of answer="),
        ({"answer": Two}, "the answer has the fields effort, why; take= says which"),
        ({"answer": Two, "take": "efort"}, "no field 'efort'; did you mean 'effort'?"),
        ({"answer": One, "elicitation": "samples"}, "with answer= the elicitation is 'structured'"),
        ({"answer": One(effort=1)}, "answer is a pydantic model (a class)"),
        ({"words": True, "labels": ("a", "b")}, "with words=True"),
        ({"texts": ("a",)}, "texts= are those of the rule's actions"),
    ],
)
def test_words_that_cannot_be_used_are_refused_when_they_are_declared(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as raised:
        replace(PROMPT, **changes)
    assert message in str(raised.value)


def test_a_template_shows_columns_and_parameters() -> None:
    parsed = template("{{{x:.2f}}} of {y}, prior {p.prior:.1%}, {p.weight}")
    assert parsed.columns == {"x", "y"}
    assert parsed.fill({"x": [1, 0.126], "y": ["a{x}", "{{"]}, 2, P) == [
        "{1.00} of a{x}, prior 30.0%, 2.0",
        "{0.13} of {{, prior 30.0%, 2.0",
    ]


def test_unknown_names_are_errors_that_name_the_nearest() -> None:
    with pytest.raises(InputError, match=r"nothing is called \{mesage\}; did you mean 'message'\?"):
        template("{mesage}").fill({"message": ["a"]}, 1, P)
    with pytest.raises(InputError, match=r"no parameter 'priors' for \{p.priors\}; did you mean 'prior'\?"):
        template("{p.priors}").fill({}, 1, P)
    with pytest.raises(InputError, match="no parameter 'prior'"):
        template("{p.prior}").fill({}, 1, None)


def test_a_value_that_a_format_cannot_show_is_an_error() -> None:
    with pytest.raises(InputError, match=r"\{x:.2f\} cannot show 'many'"):
        template("{x:.2f}").fill({"x": ["many"]}, 1, P)


@given(st.text())
def test_text_with_doubled_braces_is_shown_as_it_is(text: str) -> None:
    assert template(text.replace("{", "{{").replace("}", "}}")).fill({}, 2) == [text, text]


def test_values_are_written_as_people_read_them() -> None:
    assert [written(value) for value in (True, False, math.nan, None, 3, 0.1, "a")] == [
        "yes", "no", "unknown", "unknown", "3", "0.1", "a",
    ]  # fmt: skip
    assert written([1.0, 2.25], ".1f") == "(1.0, 2.2)"
    assert written(math.nan, ".2f") == "unknown"


def test_the_digest_changes_with_every_word_and_with_nothing_else() -> None:
    changed = [
        {"system": "You play."}, {"question": "{x}?"}, {"version": "2"}, {"labels": ("a", "b")}, {"digits": {"x": 2}},
        {"untrusted": ("x",)}, {"remember": "{x}"}, {"answer": One}, {"words": True},
        {"words": True, "texts": ("hello",)},
    ]  # fmt: skip
    digests = [PROMPT.digest()] + [replace(PROMPT, **one).digest() for one in changed]
    assert len(set(digests)) == len(digests)
    assert all(len(digest) == 32 and int(digest, 16) >= 0 for digest in digests)
    assert replace(PROMPT, max_tokens=8, deadline=1.0, fallback=0.5, see=max).digest() == PROMPT.digest()


def test_labels_are_the_options_in_words_unless_declared() -> None:
    assert PROMPT.labels_of(("go_left", "stay")) == ("go left", "stay")
    assert replace(PROMPT, labels=("L", "S")).labels_of(("go_left", "stay")) == ("L", "S")
    with pytest.raises(InputError, match="2 labels for 3 options"):
        replace(PROMPT, labels=("L", "S")).labels_of(("a", "b", "c"))
    with pytest.raises(InputError, match="the decision has no options"):
        replace(PROMPT, labels=("L", "S")).labels_of(())


def test_every_elicitation_that_a_prompt_may_name_exists() -> None:
    assert set(ELICITATIONS) == {"auto", *METHODS}


def test_the_generic_prompt_tells_what_the_rule_reads() -> None:
    prompt = generic_prompt(
        "Herding {1992}", "People act in turn.", "agents", "Which action do you choose?",
        [("signal", "private signal", "1", "field"), ("taken", "", "kg", "field"), ("taken", "", "kg", "collected")],
        [("prior", "probability of the good state", 0.25), ("n_agents", "", 10)],
    )  # fmt: skip
    asked = SimpleNamespace(
        ids=np.arange(2),
        agents=SimpleNamespace(signal=np.array([True, False]), taken=np.array([1.23456, 12345.6])),
        observed={"taken": np.array([3, 4])},
    )
    first, second = contexts_of(prompt, asked).render(pickle.loads(pickle.dumps(prompt)), P)
    assert first[0] == second[0]
    assert first[0].text == (
        "Herding {1992}. People act in turn.\n\nYou are one of the agents of this model.\n\n"
        "Its settings:\nprobability of the good state: 0.25\nn agents: 10"
    )
    assert first[1].text == (
        "What you know:\nprivate signal: yes\ntaken: 1.235 kg\ntaken: 3 kg\n\nWhich action do you choose?"
    )
    assert "taken: 12350.0 kg" in second[1].text


@given(st.floats(allow_nan=True), st.integers(1, 15))
def test_significant_digits_are_those_of_decimal_notation(value: float, digits: int) -> None:
    found = float(significant([value], digits)[0])
    size = abs(value)
    if not math.isfinite(value) or value == 0.0 or not 1e-8 <= size < 1e15:
        assert found == value or not math.isfinite(value) or math.isclose(found, value, rel_tol=10.0**-digits * 5.1)
    else:
        assert math.isclose(found, value, rel_tol=10.0 ** (1 - digits) * 0.51)
        assert len(f"{found:.17g}") <= 25
        assert found == float(f"{found:.{digits}g}")
