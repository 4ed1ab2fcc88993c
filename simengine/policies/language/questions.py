"""Questions about decisions, what comes of them, and what all ways of asking share: one more try, and no third.

A method of asking turns a row of a `Question` into requests, and their outcomes into `Answered` or `Again`; it makes no
calls and draws nothing.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from simengine.errors import InputError
from simengine.policies.language.calls import Failure, Message, Reply, Request
from simengine.policies.language.prompts import Prompt
from simengine.policies.language.reading import Provenance, Unreadable, ValueKind, encodable
from simengine.scenario.parameters import shown

FEW_OPTIONS, ORDERS, SAMPLES = 3, 2, 8
AGAIN = "again"
LONGEST_QUOTED, LONGEST_REASON = 400, 200
REFUSALS = frozenset({"content_filter", "refusal"})


@dataclass(frozen=True, eq=False)
class Question:
    """What is asked in one decision at one step: settings, and a row for each context or agent that is asked.

    ``messages``, ``values`` and ``names`` have one entry a row: the conversation, what it was written from, and the
    sample name (empty where a row is a context). ``of_agent`` is the row of each agent.
    With ``exact`` the values are part of a request's salt, so that equal texts from different values are different
    requests: for backends in this process, which read the values.
    """

    prompt: Prompt
    messages: Sequence[tuple[Message, ...]]
    labels: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    bounds: tuple[float | None, float | None] = (None, None)
    kind: ValueKind = "number"
    temperature: float | None = None
    samples: int = SAMPLES
    orders: int | None = None
    salt: str = ""
    names: Sequence[str] = ()
    values: Sequence[Mapping[str, Any]] = ()
    exact: bool = False
    of_agent: NDArray[Any] = dataclass_field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        if isinstance(self.samples, bool) or not isinstance(self.samples, int) or self.samples < 1:
            raise InputError(f"samples: got {shown(self.samples)}, allowed is a whole number from 1")
        if self.orders is not None and (not isinstance(self.orders, int) or self.orders < 1):
            raise InputError(f"orders: got {shown(self.orders)}, allowed is a whole number from 1")
        if self.temperature is not None and not (
            isinstance(self.temperature, int | float) and 0.0 <= self.temperature <= 2.0
        ):
            raise InputError(f"temperature: got {shown(self.temperature)}, allowed is 0 <= value <= 2")

    def __len__(self) -> int:
        return len(self.messages)

    def rotations(self) -> tuple[int, ...]:
        """Return by how many places the options are rotated in the orders shown.

        All rotations of up to three options, else two, or ``orders`` of them, spread evenly.
        """
        number = len(self.labels)
        wanted = self.orders or (number if number <= FEW_OPTIONS else ORDERS)
        orders = max(min(wanted, number), 1)
        return tuple(order * number // orders for order in range(orders))


@dataclass(frozen=True)
class Answered:
    """What came of one row: a distribution over the options, a value (an option's index among them) or a text, or none.

    ``entropy_bits`` is of the distribution (Miller-Madow for samples), ``coverage`` the probability that the model gave
    to the labels, or the share of samples that could be read. ``raw`` holds percentages as stated, or counts;
    ``reason`` says why there is no answer, or what was wrong with the first.
    """

    status: Provenance
    probabilities: tuple[float, ...] | None = None
    value: float | int | bool | None = None
    text: str | None = None
    entropy_bits: float = math.nan
    coverage: float = math.nan
    raw: tuple[float, ...] | None = None
    reason: str = ""


@dataclass(frozen=True)
class Again:
    """What to ask once more; `read` takes the outcomes of ``requests`` and ends the matter."""

    requests: tuple[Request, ...]
    method: Elicitation
    question: Question
    readings: tuple[Any, ...]
    positions: tuple[int, ...]

    def read(self, outcomes: Sequence[Reply | Failure]) -> Answered:
        """Return what came of it, with or without an answer."""
        readings = list(self.readings)
        for position, request, outcome in zip(self.positions, self.requests, outcomes, strict=True):
            readings[position] = self.method._reading(self.question, request, outcome)
        reason = next(found.reason for found in self.readings if isinstance(found, Unreadable))
        return self.method._together(self.question, readings, reason)


class Elicitation:
    """A method of asking. Subclasses say what they ask, read one outcome, and put the readings of a row together."""

    name: ClassVar[str] = ""
    needs_options: ClassVar[bool] = False
    rows: ClassVar[Literal["contexts", "agents", "agents unless certain"]] = "contexts"

    def per_agent(self, temperature: float | None) -> bool:
        """Whether every agent is asked for itself, even where others see the same."""
        return self.rows == "agents" or (self.rows == "agents unless certain" and temperature != 0)

    def requests(self, question: Question, context: int) -> tuple[Request, ...]:
        """Return the requests for a row of the question."""
        return self._requests(question, context)

    def _requests(self, question: Question, context: int) -> tuple[Request, ...]:
        return (
            self._request(question, context, question.names[context] if question.names else "", self._asks(question)),
        )

    def _asks(self, question: Question, order: int = 0) -> str:
        """Return the last paragraph: what to answer, and how."""
        raise NotImplementedError

    def _reading(self, question: Question, request: Request, outcome: Reply | Failure) -> Any:
        """Return what one outcome says, the failure it is, or why it cannot be read."""
        if isinstance(outcome, Failure):
            return Unreadable(outcome.message) if outcome.kind == "malformed" else outcome
        if outcome.finish in REFUSALS:
            return Failure("refusal", outcome.text or outcome.finish)
        found = self._read_reply(question, request, outcome)
        if isinstance(found, Unreadable) and outcome.finish == "length":
            return Unreadable(f"it was cut off at {request.max_tokens} tokens")
        return found

    def _read_reply(self, question: Question, request: Request, reply: Reply) -> Any:
        """Return what one reply says, or why it cannot be read."""
        raise NotImplementedError

    def _together(self, question: Question, readings: Sequence[Any], repaired: str = "") -> Answered:
        """Return the answer of a row from the readings of its requests; ``repaired`` is what was wrong at first."""
        return unanswered(readings) or self._answer(question, readings[0], repaired)

    def _answer(self, question: Question, found: Any, repaired: str) -> Answered:
        """Return the answer of a row that is one reading."""
        return Answered(status_of(repaired), value=found, reason=repaired)

    def _worth_repairing(self, readings: Sequence[Any]) -> bool:
        """Whether asking again for what could not be read may give an answer."""
        return not any(isinstance(found, Failure) for found in readings)

    def read(self, question: Question, outcomes: Sequence[Reply | Failure], context: int) -> Answered | Again:
        """Return what came of a row, or what to ask once more: what could not be read, and why."""
        requests = self.requests(question, context)
        pairs = list(zip(requests, outcomes, strict=True))
        readings = [self._reading(question, request, outcome) for request, outcome in pairs]
        broken = [position for position, found in enumerate(readings) if isinstance(found, Unreadable)]
        if not broken or not self._worth_repairing(readings):
            return self._together(question, readings)
        again = tuple(
            asked_again(*pairs[position], readings[position].reason, self._asks(question, pairs[position][0].order))
            for position in broken
        )
        return Again(again, self, question, tuple(readings), tuple(broken))

    def _request(self, question: Question, context: int, sample: str, asks: str, **settings: Any) -> Request:
        """Return the request for a row, with this sample name and last paragraph."""
        values = question.values[context] if question.values else {}
        salt = f"{question.salt}#{digest(values)}" if question.exact else question.salt
        given: dict[str, Any] = {
            "temperature": 1.0 if question.temperature is None else float(question.temperature),
            "max_tokens": question.prompt.max_tokens,
            "labels": rotated(question.labels, settings.get("order", 0)) if self.needs_options else (),
            **settings,
        }
        return Request(
            extended(question.messages[context], asks), elicitation=self.name, sample=sample, salt=salt,
            context=values, **given,
        )  # fmt: skip


def rotated(values: Sequence[Any], places: int) -> tuple[Any, ...]:
    """Return values from number ``places`` on, and then those before it."""
    places = places % len(values) if values else 0
    return (*values[places:], *values[:places])


def listed_options(labels: Sequence[str], order: int = 0) -> str:
    """Return the options, one a line, in a rotated order."""
    return "Options:\n" + "\n".join(f"- {label}" for label in rotated(labels, order))


@lru_cache(maxsize=1024)
def options_paragraph(labels: tuple[str, ...], order: int = 0) -> str:
    """Return the options and how to name one."""
    return (
        f"{listed_options(labels, order)}\nAnswer with exactly one of these options, word for word, and nothing else."
    )


def extended(messages: tuple[Message, ...], text: str) -> tuple[Message, ...]:
    """Return a conversation with a paragraph added to what the user says last."""
    last = messages[-1]
    if last.role != "user":
        return (*messages, Message("user", text))
    return (*messages[:-1], Message("user", f"{last.text}\n\n{text}".strip()))


def asked_again(request: Request, outcome: Reply | Failure, reason: str, asks: str) -> Request:
    """Return a request that shows the model what it answered, and what is wrong with it."""
    text = f"Your answer cannot be used: {encodable(' '.join(reason.split())[:LONGEST_REASON])}.\n\n{asks}"
    quoted = encodable(outcome.text.strip()[:LONGEST_QUOTED]) if isinstance(outcome, Reply) else ""
    # An empty message is refused by some servers, and so are two in a row of the same role.
    before = (*request.messages, Message("assistant", quoted)) if quoted else request.messages
    return replace(
        request, messages=extended(before, text), sample=f"{request.sample}/{AGAIN}" if request.sample else AGAIN
    )


def unanswered(readings: Sequence[Any]) -> Answered | None:
    """Return how a row went without an answer, if any of its readings is none."""
    lost = [found for found in readings if isinstance(found, Failure | Unreadable)]
    if not lost:
        return None
    refusals = [found for found in lost if isinstance(found, Failure) and found.kind == "refusal"]
    reason = reason_of((refusals or lost)[0])
    return Answered(Provenance.REFUSED if refusals else Provenance.FALLBACK, reason=reason)


def reason_of(lost: Failure | Unreadable) -> str:
    """Return why something is no answer."""
    return lost.reason if isinstance(lost, Unreadable) else f"{lost.kind}: {lost.message}"


def status_of(repaired: str) -> Provenance:
    """Return the provenance of an answer, of which something was wrong at first or nothing."""
    return Provenance.REPAIRED if repaired else Provenance.ANSWERED


def digest(values: Mapping[str, Any]) -> str:
    """Return 16 hexadecimal digits of plain values, all digits of them."""
    return hashlib.blake2b(repr(sorted(values.items())).encode(), digest_size=8).hexdigest()
