"""Reading what a model wrote: an option, percentages, a number, a structured answer, and what became of a decision.

Nothing is guessed. A text that names two options, or denies the one that it names, is no answer; what cannot be read
comes back as `Unreadable` with a reason in one line, which the model is shown when it is asked again.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any, Literal

from simengine.scenario.parameters import shown

ValueKind = Literal["number", "whole", "truth"]

PERCENTAGE_SLACK = 2.0
"""How far percentages may add up to something else than 100."""

LARGEST_WHOLE = 2**63 - 1
"""What fields of whole numbers hold."""

MOST_STARTS = 64
NEGATIONS = frozenset(
    {"not", "no", "never", "nor", "neither", "without", "cannot", "cant", "dont", "doesnt", "didnt", "wont", "wouldnt"}
)
NEGATION_REACH = 3
FIRST_UNSPACED = "\u2e80"
NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?")
TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class Provenance(IntEnum):
    """Where a decision came from.

    RULE: nobody was asked, the scenario's rule decided; ANSWERED: asked for and read at once; REUSED: an answer given
    earlier in the run; REPAIRED: read after asking again, or without some of the samples; REFUSED: the model declined;
    FALLBACK: no usable answer. The last two have no value of their own.
    """

    RULE = 0
    ANSWERED = 1
    REUSED = 2
    REPAIRED = 3
    REFUSED = 4
    FALLBACK = 5


@dataclass(frozen=True)
class Unreadable:
    """Why a text is no answer, in one line."""

    reason: str


def spoken(text: str) -> str:
    """Return a text without what a model thought aloud before it, in a block <think>...</think>."""
    text = encodable(text)
    _, closed, rest = text.rpartition("</think>")
    if closed:
        return rest.strip()
    return "" if text.lstrip().startswith("<think>") else text.strip()


def encodable(text: str) -> str:
    """Return a text with question marks for halves of characters, which JSON can hold and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


def option_of(text: str, labels: Sequence[str]) -> int | None:
    """Return which of ``labels`` a text names, None if it is none, more than one, or denied.

    Case, spaces and punctuation do not count; the beginning of one label only counts as that label; labels within a
    sentence count unless "not" or the like comes just before. Among labels with numbers, or that differ by signs only,
    signs count and beginnings do not.
    """
    return _matcher(tuple(labels)).option(spoken(text))


def percentages_of(text: str, labels: Sequence[str]) -> tuple[float, ...] | Unreadable:
    """Return the percentages of ``labels`` as they stand in a text's JSON object; they add up to 100 within 2."""
    found: tuple[float, ...] | Unreadable = _only(
        [_percentages(one, tuple(labels)) for one in objects_in(spoken(text))]
    )
    return found


def structured_of(text: str, model: Any) -> Any | Unreadable:
    """Return the instance of a pydantic model that a text holds as JSON, in prose and code fences or alone.

    A value without an object around it is taken for a model of one field.
    """
    said = spoken(text)
    found: list[Any] = list(objects_in(said))
    fields = list(model.model_fields)
    if not found and len(fields) == 1 and not isinstance(value := _bare(said), Unreadable):
        found = [{model.model_fields[fields[0]].alias or fields[0]: value}]
    return _only([_validated(model, one) for one in found])


def number_of(
    text: str, low: float | None = None, high: float | None = None, kind: ValueKind = "number"
) -> float | int | bool | Unreadable:
    """Return the number, whole number or truth value that a text gives as ``{"answer": ...}``, or gives and no more."""
    said = spoken(text)
    values: list[Any] = []
    for found in objects_in(said):
        held = {name.casefold(): value for name, value in found.items()}
        if "answer" in held or len(held) == 1:
            values.append(held.get("answer", next(iter(held.values()))))
    if not values:
        bare = _bare(said)
        values = [] if isinstance(bare, Unreadable) else [bare]
    if not values:
        return Unreadable('there is no JSON object with "answer" in it')
    found_number: float | int | bool | Unreadable = _only([fitting(value, low, high, kind) for value in values])
    return found_number


def fitting(
    value: Any, low: float | None = None, high: float | None = None, kind: ValueKind = "number"
) -> float | int | bool | Unreadable:
    """Return a value as a number, whole number or truth value within bounds, or why it is none."""
    if kind == "truth":
        truth = TRUTHS.get(str(value).strip(" .").casefold())
        return Unreadable(f"{shown(value)} is neither true nor false") if truth is None else truth
    number = _number(value)
    if number is None:
        return Unreadable(f"{shown(value)} is not a number")
    if kind == "whole":
        if number != math.floor(number):
            return Unreadable(f"{number:.15g} is not a whole number")
        number = int(number)
        if not -LARGEST_WHOLE <= number <= LARGEST_WHOLE:
            return Unreadable(f"{number:.15g} is too large")
    elif isinstance(number, int) and abs(number) > LARGEST_WHOLE:
        number = float(number)
    if (low is not None and number < low) or (high is not None and number > high):
        left = "" if low is None else f"{low:.15g} <= "
        right = "" if high is None else f" <= {high:.15g}"
        return Unreadable(f"{number:.15g} is not allowed; allowed is {left}value{right}")
    return number


def objects_in(text: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects in a text, those within others left out; names given twice spoil an object."""
    at = 0
    for _ in range(MOST_STARTS):
        at = text.find("{", at)
        if at < 0:
            return
        try:
            found, at = _DECODER.raw_decode(text, at)
            yield found
        except (ValueError, RecursionError):
            at += 1


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is given twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_no_constant)


def _only(found: Sequence[Any]) -> Any:
    """Return the one answer among several readings; those that could not be read do not count beside one."""
    read = [one for one in found if not isinstance(one, Unreadable)]
    if not read:
        return found[0] if found else Unreadable("there is no JSON object in it")
    if any(one != read[0] for one in read[1:]):
        return Unreadable("it holds several different answers")
    return read[0]


def _bare(text: str) -> Any:
    """Return the value that a text is, as JSON or as a number with a full stop."""
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        plain = text.strip(" \n`*.\"'")
        return plain if plain and (NUMBER.fullmatch(plain) or plain.casefold() in TRUTHS) else Unreadable("")


def _number(value: Any) -> float | int | None:
    if isinstance(value, str):
        plain = value.strip().removesuffix("%").strip()
        value = float(plain) if NUMBER.fullmatch(plain) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return value if math.isfinite(float(value)) else None
    except OverflowError:
        return None


def _percentages(found: dict[str, Any], labels: tuple[str, ...]) -> tuple[float, ...] | Unreadable:
    matcher = _matcher(labels)
    held: dict[int, float] = {}
    for name, value in found.items():
        option = matcher.exact(name)
        number = _number(value)
        if option is None:
            return Unreadable(f"{shown(name)} is no option")
        if option in held:
            return Unreadable(f"{shown(name)} is given twice")
        if number is None or number < 0:
            return Unreadable(f"{shown(value)} is no percentage")
        held[option] = float(number)
    missing = [label for option, label in enumerate(labels) if option not in held]
    if missing:
        return Unreadable(f"the percentage of {shown(missing[0])} is missing")
    total = math.fsum(held.values())
    if not abs(total - 100.0) <= PERCENTAGE_SLACK:
        return Unreadable(f"the percentages add up to {total:g}, not to 100")
    return tuple(held[option] for option in range(len(labels)))


def _validated(model: Any, found: Any) -> Any:
    try:
        return model.model_validate(found)
    except ValueError as error:
        listed = getattr(error, "errors", None)
        if listed is None:
            return Unreadable(" ".join(str(error).split()))
        first = listed(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return Unreadable(f"{where}: {first['msg']}" if where else str(first["msg"]))


class _Matcher:
    """Finds labels in texts, in a form in which what does not count is gone."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        plain = [_in_words(label) for label in labels]
        # Signs carry meaning in numbers ("-1", "0.5"), and where nothing else tells labels apart.
        self.by_words = all(plain) and len(set(plain)) == len(plain) and not any(map(str.isdigit, "".join(labels)))
        self.plain: Callable[[str], str] = _in_words if self.by_words else _with_signs
        self.options = {self.plain(label): option for option, label in enumerate(labels)}
        longest_first = sorted(self.options, key=len, reverse=True)
        self.mention = re.compile("|".join(map(self._bounded, longest_first)))

    def exact(self, text: str) -> int | None:
        return self.options.get(self.plain(text))

    def option(self, text: str) -> int | None:
        said = self.plain(text)
        if not said:
            return None
        if said in self.options:
            return self.options[said]
        if mentions := list(self.mention.finditer(said)):
            named = {self.options[found[0]] for found in mentions}
            return named.pop() if len(named) == 1 and not self._denied(said, mentions) else None
        begun = {option for label, option in self.options.items() if self.by_words and label.startswith(said)}
        return begun.pop() if len(begun) == 1 else None

    def _bounded(self, label: str) -> str:
        before, after = ("(?<![^ ])", "(?![^ ])") if self.by_words else (r"(?<![\w.+-])", r"(?!\w|[.,/]\d)")
        # Scripts without spaces between words have no bounds of words either.
        before = "" if label[0] >= FIRST_UNSPACED else before
        after = "" if label[-1] >= FIRST_UNSPACED else after
        return f"{before}{re.escape(label)}{after}"

    def _denied(self, said: str, mentions: list[re.Match[str]]) -> bool:
        begin = 0
        for found in mentions:
            if NEGATIONS.intersection(_in_words(said[begin : found.start()]).split()[-NEGATION_REACH:]):
                return True
            begin = found.end()
        return False


@lru_cache(maxsize=256)
def _matcher(labels: tuple[str, ...]) -> _Matcher:
    return _Matcher(labels)


def _in_words(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).casefold().replace("'", "").replace("\u2019", "")
    return " ".join("".join(letter if letter.isalnum() else " " for letter in plain).split())


def _with_signs(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).replace("\u2212", "-").casefold()
    return " ".join(plain.split()).strip(" \"'`*_").rstrip(".,;:!?)").strip(" \"'`*_")
