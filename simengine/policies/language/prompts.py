"""Prompts: the words of a decision, declared by a scenario or given by a user, and templates with strict names.

A template is a text with names in braces, ``"You see {message}; your threshold is {threshold:.2f}."``: names of columns
that ``see`` returns, ``{p.prior}`` of parameters, nothing else. ``{{`` and ``}}`` are braces.
"""

from __future__ import annotations

import hashlib
import json
import math
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from simengine.errors import InputError, nearest
from simengine.scenario.parameters import shown

ELICITATIONS = ("auto", "label_probabilities", "samples", "percentages", "single", "structured", "words")
SIGNIFICANT = 4
"""Digits to which a generic prompt shows numbers."""

Read = tuple[str, str, str, Literal["field", "collected"]]


@dataclass(frozen=True)
class Prompt:
    """The words of a decision.

    Attributes
    ----------
    system : str
        What is the same for everybody: the game, the rules, the role. It may name parameters, ``{p.prior}``.
    question : str
        Template over the columns of ``see`` (and parameters): what one agent sees, and what it is asked.
    see : callable
        ``see(asked)`` returns columns: an array or list of ``len(asked.ids)`` values for each name. Pure, and
        vectorised: agents with equal rows are one context, for which the model is asked once.
    labels : tuple of str
        The options as shown; by default the decision's, with spaces for underscores.
    answer : pydantic model, optional
        Of a structured answer.
    take : str or callable, optional
        Which field of it is the action, or a function of the instance that returns a number or an option (index or
        label); by default its only field.
    words : bool
        Whether the answer is a text; the action, an integer field, becomes its digest.
    texts : tuple of str
        With ``words``, the texts of the actions 0, 1, ... of the scenario's rule.
    digits : mapping of str to int
        Decimals to which columns are rounded before contexts are told apart; negative ones round tens.
    untrusted : tuple of str
        Columns with the text of other agents: shown between tags that it cannot close, and said to be no instructions.
    version : str
        Raised when the words change their meaning.
    elicitation : str
        How the answer is asked for; "auto" takes what suits decision and backend.
    fallback : str or float
        What stands in for an answer that there is none of: "rule", an option, or a value.
    max_tokens : int
        Ceiling of an answer.
    deadline : float
        Seconds for a call with all its attempts.
    remember : str
        Template of the event that an agent remembers after deciding, over the columns and ``{action}``.

    Raises
    ------
    InputError
        For words that cannot be used.
    """

    system: str
    question: str
    see: Callable[..., Mapping[str, Any]]
    labels: tuple[str, ...] = ()
    answer: type | None = None
    take: str | Callable[[Any], Any] | None = None
    words: bool = False
    texts: tuple[str, ...] = ()
    digits: Mapping[str, int] = dataclass_field(default_factory=dict)
    untrusted: tuple[str, ...] = ()
    version: str = "1"
    elicitation: str = "auto"
    fallback: str | float = "rule"
    max_tokens: int = 64
    deadline: float = 60.0
    remember: str = ""

    def __post_init__(self) -> None:
        for name in ("labels", "texts", "untrusted"):
            given = getattr(self, name)
            if isinstance(given, str) or not all(isinstance(one, str) for one in given):
                raise InputError(f"prompt: {name} is a tuple of texts, not {shown(given)}")
            object.__setattr__(self, name, tuple(given))
        for name in ("system", "question", "remember"):
            template(getattr(self, name))
        if columns := template(self.system).columns:
            raise InputError(
                f"prompt: the system text is the same for all, so {{{min(columns)}}} belongs in the question; "
                f"parameters are named {{p.{min(columns)}}}"
            )
        if not callable(self.see):
            raise InputError(f"prompt: see is a function of what is asked, not {shown(self.see)}")
        self._check_answer()
        self._check_settings()

    def digest(self) -> str:
        """Return 32 hexadecimal digits of the version and of all that is shown."""
        content = {
            "version": self.version,
            "system": self.system,
            "question": self.question,
            "labels": list(self.labels),
            "schema": None if self.answer is None else model_schema(self.answer),
            "words": self.words,
            "texts": list(self.texts),
            "digits": dict(self.digits),
            "untrusted": list(self.untrusted),
            "remember": self.remember,
        }
        return hashlib.blake2b(canonical(content).encode(), digest_size=16).hexdigest()

    def labels_of(self, options: Sequence[str]) -> tuple[str, ...]:
        """Return the options as shown; ``InputError`` when these labels do not fit the decision's options."""
        if not options and self.labels:
            raise InputError(f"prompt: it has the labels {', '.join(self.labels)}, but the decision has no options")
        labels = self.labels or tuple(option.replace("_", " ") for option in options)
        if len(labels) != len(options):
            raise InputError(f"prompt: {len(labels)} labels for {len(options)} options ({', '.join(options)})")
        return labels

    def _check_answer(self) -> None:
        if self.answer is None:
            if self.take is not None:
                raise InputError("prompt: take= names a field of answer=, which is missing")
        elif not (isinstance(self.answer, type) and hasattr(self.answer, "model_json_schema")):
            raise InputError(f"prompt: answer is a pydantic model (a class), not {shown(self.answer)}")
        else:
            fields = list(self.answer.model_fields)  # type: ignore[attr-defined]
            if self.words or self.elicitation not in {"auto", "structured"}:
                raise InputError("prompt: with answer= the elicitation is 'structured', and words= has no place")
            if self.take is None and len(fields) != 1:
                raise InputError(
                    f"prompt: the answer has the fields {', '.join(fields)}; take= says which is the action"
                )
            if isinstance(self.take, str) and self.take not in fields:
                raise InputError(f"prompt: the answer has no field {self.take!r}{nearest(self.take, fields)}")
        if self.words and (self.labels or self.elicitation not in {"auto", "words"}):
            raise InputError("prompt: with words=True the elicitation is 'words', and labels= has no place")
        if self.texts and not self.words:
            raise InputError("prompt: texts= are those of the rule's actions where words=True")

    def _check_settings(self) -> None:
        if self.elicitation not in ELICITATIONS:
            raise InputError(
                f"prompt: unknown elicitation {self.elicitation!r}{nearest(str(self.elicitation), ELICITATIONS)}; "
                f"there are {', '.join(ELICITATIONS)}"
            )
        plain = [" ".join(label.split()).casefold() for label in self.labels]
        if not all(plain) or len(set(plain)) < len(plain) or any("\n" in label for label in self.labels):
            raise InputError(f"prompt: labels are different texts of one line each, not {shown(self.labels)}")
        for name, digits in self.digits.items():
            if isinstance(digits, bool) or not isinstance(digits, int):
                raise InputError(f"prompt: digits of {name!r} are a whole number, not {shown(digits)}")
        if isinstance(self.max_tokens, bool) or not isinstance(self.max_tokens, int) or self.max_tokens < 1:
            raise InputError(f"prompt: max_tokens is a whole number from 1, not {shown(self.max_tokens)}")
        if not (isinstance(self.deadline, int | float) and self.deadline > 0):
            raise InputError(f"prompt: deadline is a number of seconds above 0, not {shown(self.deadline)}")


def canonical(content: Any, *, ordered: bool = False) -> str:
    """Return plain values as JSON in one way, with names sorted, or ``ordered`` as they are.

    The order of a schema's properties is that in which models answer, so it is kept.
    """
    return json.dumps(content, sort_keys=not ordered, separators=(",", ":"), ensure_ascii=False)


def model_schema(model: Any) -> str:
    """Return the JSON schema of a pydantic model, closed to other properties, as canonical JSON."""
    return canonical(_closed(model.model_json_schema()), ordered=True)


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _closed(one) for name, one in schema.items()}
    if found.get("type") == "object" and "properties" in found:
        found.setdefault("additionalProperties", False)
    return found


@dataclass(frozen=True)
class Piece:
    """A text, and the name whose value follows it (empty: none), with how it is written."""

    text: str
    name: str = ""
    form: str = ""


class Template:
    """A text with names in braces."""

    def __init__(self, text: str) -> None:
        self.pieces = tuple(_pieces(text))
        self.names = tuple(dict.fromkeys(piece.name for piece in self.pieces if piece.name))
        self.columns = frozenset(name for name in self.names if not name.startswith("p."))

    def fill(self, columns: Mapping[str, Sequence[Any]], rows: int, p: Any = None) -> list[str]:
        """Return ``rows`` texts; ``InputError`` for a name that is neither among ``columns`` nor a parameter of ``p``.

        Columns that hold texts already are put in as they are.
        """
        for name in self.names:
            if not name.startswith("p.") and name not in columns:
                known = nearest(name, columns) or f"; there are {', '.join(columns) or 'none'}"
                raise InputError(f"prompt: nothing is called {{{name}}}{known}")
        parts: list[Sequence[str]] = []
        for piece in self.pieces:
            if piece.text:
                parts.append([piece.text] * rows)
            if piece.name.startswith("p."):
                parts.append([written(_parameter(p, piece.name[2:]), piece.form, piece.name)] * rows)
            elif piece.name:
                parts.append([written(value, piece.form, piece.name) for value in columns[piece.name]])
        return ["".join(row) for row in zip(*parts, strict=True)] if parts else [""] * rows


@lru_cache(maxsize=512)
def template(text: str) -> Template:
    """Return the parsed template of a text."""
    if not isinstance(text, str):
        raise InputError(f"prompt: a template is a text, not {shown(text)}")
    return Template(text)


def written(value: Any, form: str = "", name: str = "") -> str:
    """Return a value as prompts show it: "yes" and "no" for truth values, "unknown" for what is not a number."""
    if isinstance(value, list | tuple | np.ndarray):
        return f"({', '.join(written(one, form, name) for one in value)})"
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "unknown"
    if isinstance(value, bool | np.bool_) and not form:
        return "yes" if value else "no"
    try:
        return format(value, form)
    except (ValueError, TypeError) as error:
        raise InputError(f"prompt: {{{name}:{form}}} cannot show {shown(value)}: {error}") from None


def _pieces(text: str) -> Iterable[Piece]:
    try:
        parsed = list(string.Formatter().parse(text))
    except ValueError as error:
        raise InputError(f"prompt: {shown(text)}: {error}; braces that name nothing are doubled") from None
    for before, name, form, conversion in parsed:
        if name is None:
            yield Piece(before)
            continue
        plain = name.removeprefix("p.")
        if not plain.isidentifier() or plain.startswith("_") or conversion or "{" in (form or ""):
            raise InputError(
                f"prompt: {shown(text)}: {{{name}}} is no name; allowed are {{column}}, {{column:.2f}} and "
                "{p.parameter}"
            )
        yield Piece(before, name, form or "")


def _parameter(p: Any, name: str) -> Any:
    known = {**getattr(p, "values", {}), **getattr(p, "constants", {})} if p is not None else {}
    if name in known:
        return known[name]
    raise InputError(f"prompt: there is no parameter {name!r} for {{p.{name}}}{nearest(name, known)}")


def generic_prompt(
    title: str,
    about: str,
    population: str,
    question: str,
    reads: Sequence[Read],
    parameters: Sequence[tuple[str, str, Any]],
) -> Prompt:
    """Return a prompt for a decision that has none of its own, from what its declaration says.

    ``reads`` tells what its rule reads: (name, long name, unit, "field" of the agent or "collected" by a gather);
    ``parameters`` are (name, description, value). Numbers are shown, and contexts told apart, to 4 significant digits.
    """
    rules = [f"{title}. {about}".strip(), f"You are one of the {population} of this model."]
    settings = [f"{description or spaced(name)}: {written(value)}" for name, description, value in parameters]
    rules += ["Its settings:\n" + "\n".join(settings)] if settings else []
    columns: dict[str, tuple[str, str]] = {}
    lines = []
    for name, long_name, unit, source in reads:
        column = name if name not in columns else f"{name}_{source}"
        columns[column] = (source, name)
        lines.append(
            f"{_braced(long_name or spaced(name))}: {{{column}}}{'' if unit in ('', '1') else ' ' + _braced(unit)}"
        )
    seen = ["What you know:\n" + "\n".join(lines)] if lines else []
    return Prompt(
        system=_braced("\n\n".join(rules)),
        question="\n\n".join([*seen, _braced(question)]),
        see=GenericSight(tuple((column, *source) for column, source in columns.items())),
    )


@dataclass(frozen=True)
class GenericSight:
    """Columns straight from what a decision is asked about: (column, "field" or "collected", its name there)."""

    columns: tuple[tuple[str, str, str], ...]
    digits: int | None = SIGNIFICANT

    def __call__(self, asked: Any) -> dict[str, Any]:
        """Return the columns, their numbers rounded to some significant digits."""
        found = {}
        for column, source, name in self.columns:
            values = np.asarray(getattr(asked.agents, name) if source == "field" else asked.observed[name])
            rounded = values.dtype.kind == "f" and self.digits is not None
            found[column] = significant(values, self.digits or 0) if rounded else values
        return found


def significant(values: Any, digits: int) -> Any:
    """Return floats rounded to some significant digits, each the float nearest to its decimal."""
    values = np.asarray(values, float)
    with np.errstate(all="ignore"):
        places = digits - 1 - np.floor(np.log10(np.abs(values)))
        scale = 10.0 ** np.abs(places)
        # A whole number divided or multiplied by an exact power of ten is rounded once.
        rounded = np.where(places >= 0, np.rint(values * scale) / scale, np.rint(values / scale) * scale)
    usable = np.isfinite(rounded) & (np.abs(places) <= 22)
    return np.where(usable, rounded, values)


def spaced(name: str) -> str:
    """Return a name as words."""
    return name.replace("_", " ")


def _braced(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
