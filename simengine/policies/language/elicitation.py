"""Elicitation: how a distribution, a value or a text is got out of a language model.

| method | calls | what it gives |
|---|---|---|
| label_probabilities | orders per context | log-probabilities of the labels, averaged over rotations of their order |
| samples | n per context | counts of n answers, smoothed by a Dirichlet(1/2) prior |
| percentages | 1 per context | the probabilities that the model states |
| single | 1 per agent | one option, and no distribution |
| structured | 1 per agent; per context at temperature 0 | one value, from a JSON object |
| words | 1 per agent; per context at temperature 0 | a text |

What cannot be read is asked for once more, with what is wrong with it; then there is no answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from simengine.errors import InputError, nearest
from simengine.policies.language.calls import Capabilities, Failure, Reply, Request
from simengine.policies.language.contexts import Contexts
from simengine.policies.language.prompts import Prompt, canonical, model_schema
from simengine.policies.language.questions import (
    SAMPLES,
    Again,
    Answered,
    Elicitation,
    Question,
    listed_options,
    options_paragraph,
    reason_of,
    rotated,
    status_of,
    unanswered,
)
from simengine.policies.language.reading import (
    Unreadable,
    ValueKind,
    fitting,
    number_of,
    option_of,
    percentages_of,
    spoken,
    structured_of,
)

if TYPE_CHECKING:
    from simengine.policies.answers import Asked

__all__ = ["METHODS", "Again", "Answered", "Elicitation", "Question", "method_of", "question_of"]

PRIOR_COUNT = 0.5
MOST_SCORED = 20
"""Labels whose log-probabilities servers return."""


class LabelProbabilities(Elicitation):
    """Log-probabilities of the labels as the next text, averaged over rotations of the order in which they are shown.

    Each order's probabilities are made to add up to 1 before they are averaged; coverage is what they added up to.
    """

    name = "label_probabilities"
    needs_options = True

    def _requests(self, question: Question, context: int) -> tuple[Request, ...]:
        return tuple(
            self._request(
                question, context, "", self._asks(question, order), kind="score", order=order, max_tokens=1,
            )
            for order in question.rotations()
        )  # fmt: skip

    def _asks(self, question: Question, order: int = 0) -> str:
        return options_paragraph(question.labels, order)

    def _read_reply(self, question: Question, request: Request, reply: Reply) -> Any:
        scores = reply.log_probabilities
        if len(scores) != len(request.labels) or any(math.isnan(score) or score == math.inf for score in scores):
            return Unreadable(f"it is not one log-probability for each of the {len(request.labels)} options")
        highest = max(scores)
        if highest == -math.inf:
            return Unreadable("it begins with none of the options")
        weights = [math.exp(score - highest) for score in scores]
        total = math.fsum(weights)
        # The label shown at place 0 is that of number `order`.
        probabilities = rotated([weight / total for weight in weights], -request.order)
        return probabilities, min(math.exp(min(highest + math.log(total), 0.0)), 1.0)

    def _together(self, question: Question, readings: Sequence[Any], repaired: str = "") -> Answered:
        if failed := unanswered(readings):
            return failed
        orders = len(readings)
        mean = tuple(math.fsum(column) / orders for column in zip(*(found[0] for found in readings), strict=True))
        return Answered(
            status_of(repaired), probabilities=mean, entropy_bits=entropy_bits(mean), reason=repaired,
            coverage=math.fsum(found[1] for found in readings) / orders,
        )  # fmt: skip


class Samples(Elicitation):
    """Counts of repeated answers, the options' order rotated from one to the next, smoothed by a Dirichlet(1/2) prior.

    Samples that cannot be read are left out, and coverage says so; if more than half are, there is no answer.
    """

    name = "samples"
    needs_options = True

    def _requests(self, question: Question, context: int) -> tuple[Request, ...]:
        rotations = question.rotations()
        orders = [rotations[sample % len(rotations)] for sample in range(question.samples)]
        return tuple(
            self._request(question, context, str(sample), self._asks(question, order), order=order)
            for sample, order in enumerate(orders)
        )

    def _asks(self, question: Question, order: int = 0) -> str:
        return options_paragraph(question.labels, order)

    def _read_reply(self, question: Question, request: Request, reply: Reply) -> Any:
        return named_option(reply.text, question.labels)

    def _worth_repairing(self, readings: Sequence[Any]) -> bool:
        return 2 * sum(not isinstance(found, Failure) for found in readings) >= len(readings)

    def _together(self, question: Question, readings: Sequence[Any], repaired: str = "") -> Answered:
        named = [found for found in readings if not isinstance(found, Failure | Unreadable)]
        lost = [found for found in readings if isinstance(found, Failure | Unreadable)]
        if 2 * len(named) < len(readings):
            refused = [found for found in lost if isinstance(found, Failure) and found.kind == "refusal"]
            failed = unanswered(refused if 2 * len(refused) >= len(lost) else lost)
            assert failed is not None
            return failed
        counts = [named.count(option) for option in range(len(question.labels))]
        total = len(named) + PRIOR_COUNT * len(counts)
        reason = repaired or (reason_of(lost[0]) if lost else "")
        return Answered(
            status_of(reason), probabilities=tuple((count + PRIOR_COUNT) / total for count in counts),
            entropy_bits=miller_madow_bits(counts), coverage=len(named) / len(readings),
            raw=tuple(map(float, counts)), reason=reason,
        )  # fmt: skip


class Percentages(Elicitation):
    """The probabilities that the model states for its own choice, as whole percentages; at temperature 0 by default."""

    name = "percentages"
    needs_options = True

    def _requests(self, question: Question, context: int) -> tuple[Request, ...]:
        held = {"type": "integer", "minimum": 0, "maximum": 100}
        schema = object_schema(dict.fromkeys(question.labels, held))
        # A JSON object with all labels has to fit.
        ceiling = max(question.prompt.max_tokens, 16 + sum(8 + len(label) for label in question.labels))
        return (
            self._request(
                question, context, "", self._asks(question), schema=schema, max_tokens=ceiling,
                temperature=float(question.temperature or 0.0),
            ),
        )  # fmt: skip

    def _asks(self, question: Question, order: int = 0) -> str:
        form = ", ".join(f"{canonical(label)}: <percentage>" for label in question.labels)
        return (
            f"{listed_options(question.labels, order)}\nHow likely are you to choose each option? Answer with one JSON "
            f"object and nothing else, with a whole percentage for every option, adding up to 100: {{{form}}}"
        )

    def _read_reply(self, question: Question, request: Request, reply: Reply) -> Any:
        return percentages_of(reply.text, question.labels)

    def _answer(self, question: Question, found: Any, repaired: str) -> Answered:
        total = math.fsum(found)
        probabilities = tuple(one / total for one in found)
        entropy = entropy_bits(probabilities)
        return Answered(
            status_of(repaired), probabilities, entropy_bits=entropy, coverage=1.0, raw=found, reason=repaired
        )


class Single(Elicitation):
    """One option, asked of every agent for itself."""

    name = "single"
    needs_options = True
    rows = "agents"

    def _asks(self, question: Question, order: int = 0) -> str:
        return options_paragraph(question.labels, order)

    def _read_reply(self, question: Question, request: Request, reply: Reply) -> Any:
        return named_option(reply.text, question.labels)


class Structured(Elicitation):
    """One value, from a JSON object: of the prompt's model, or ``{"answer": value}``."""

    name = "structured"
    rows = "agents unless certain"

    def _requests(self, question: Question, context: int) -> tuple[Request, ...]:
        name = question.names[context] if question.names else ""
        return (self._request(question, context, name, self._asks(question), schema=self.schema(question)),)

    def _asks(self, question: Question, order: int = 0) -> str:
        listed = f"{listed_options(question.labels, order)}\n" if question.labels else ""
        schema = self.schema(question)
        return f"{listed}Answer with one JSON object that fits this JSON schema, and nothing else:\n{schema}"

    def schema(self, question: Question) -> str:
        """Return the JSON schema of the answer as canonical JSON."""
        if question.prompt.answer is not None:
            return closed_schema(question.prompt.answer)
        return value_schema(question.kind, *question.bounds)

    def _read_reply(self, question: Question, request: Request, reply: Reply) -> Any:
        if question.prompt.answer is None:
            return number_of(reply.text, *question.bounds, kind=question.kind)
        found = structured_of(reply.text, question.prompt.answer)
        return found if isinstance(found, Unreadable) else taken(question, found)


class Words(Elicitation):
    """A text."""

    name = "words"
    rows = "agents unless certain"

    def _asks(self, question: Question, order: int = 0) -> str:
        return "Answer with the text itself and nothing else."

    def _read_reply(self, question: Question, request: Request, reply: Reply) -> Any:
        return spoken(reply.text) or Unreadable("it is empty")

    def _answer(self, question: Question, found: Any, repaired: str) -> Answered:
        return Answered(status_of(repaired), text=found, reason=repaired)


METHODS: dict[str, Elicitation] = {
    method.name: method for method in (LabelProbabilities(), Samples(), Percentages(), Single(), Structured(), Words())
}


def method_of(
    prompt: Prompt, options: Sequence[str], capabilities: Capabilities, name: str | None = None
) -> Elicitation:
    """Return the method that a prompt, or ``name`` in its place, asks for; "auto": what suits decision and backend.

    Raises
    ------
    InputError
        For a method that there is not, that needs options, or log-probabilities that the backend does not give.
    """
    chosen = name or prompt.elicitation
    scored = capabilities.score and len(options) <= MOST_SCORED
    if chosen == "auto":
        chosen = "label_probabilities" if scored else "percentages"
        chosen = "words" if prompt.words else "structured" if prompt.answer is not None or not options else chosen
    if chosen not in METHODS:
        raise InputError(
            f"unknown elicitation {chosen!r}{nearest(chosen, METHODS)}; there are {', '.join(('auto', *METHODS))}"
        )
    method = METHODS[chosen]
    if (chosen == "words") != prompt.words:
        raise InputError(f"elicitation {chosen!r}: texts are asked for by 'words', of prompts with words=True")
    if method.needs_options and not options:
        raise InputError(f"elicitation {chosen!r} needs options, and the decision has none; 'structured' needs none")
    if prompt.answer is not None and chosen != "structured":
        raise InputError(f"elicitation {chosen!r}: the prompt has answer=, which is asked for by 'structured'")
    if chosen == "structured" and options and prompt.answer is None:
        raise InputError("elicitation 'structured' of a decision with options needs answer=, a pydantic model")
    if chosen == "label_probabilities" and not scored:
        why = "gives no log-probabilities" if not capabilities.score else f"scores {MOST_SCORED} options at most"
        raise InputError(f"elicitation {chosen!r}: {capabilities.model} {why}; 'percentages' and 'samples' need none")
    return method


def question_of(
    prompt: Prompt,
    contexts: Contexts,
    asked: Asked,
    method: Elicitation,
    *,
    bounds: tuple[float | None, float | None] = (None, None),
    kind: ValueKind = "number",
    temperature: float | None = None,
    samples: int = SAMPLES,
    orders: int | None = None,
    salt: str = "",
    exact: bool = False,
) -> Question:
    """Return the question for all agents asked, rendered: a row for each context, or agent where each is asked itself.

    Where a row is an agent, it is asked by a name of its own (step/id), and for this seed, population and decision
    only: no other run's agent gets its answer. Distributions are the same for all runs that ask alike.
    """
    messages, values, of_agent = contexts.render(prompt, asked.p), contexts.rows(), contexts.of_agent
    names: list[str] = []
    if method.per_agent(temperature):
        event = f"/{asked.draw.event}" if asked.draw.event else ""
        names = [f"{asked.step}/{agent}{event}" for agent in np.asarray(asked.ids).tolist()]
        messages = [messages[context] for context in of_agent.tolist()]
        values = [values[context] for context in of_agent.tolist()]
        of_agent = np.arange(len(names))
        salt = f"{salt}#{asked.draw.seed}/{asked.draw.population}.{asked.draw.phase}"
    return Question(
        prompt, messages, prompt.labels_of(asked.options), tuple(asked.options), bounds, kind, temperature, samples,
        orders, salt, names, values, exact, of_agent,
    )  # fmt: skip


def named_option(text: str, labels: tuple[str, ...]) -> int | Unreadable:
    """Return the option that a text names, or that it does not name exactly one."""
    option = option_of(text, labels)
    return Unreadable("it does not name exactly one of the options") if option is None else option


def taken(question: Question, found: Any) -> Any:
    """Return the action that a structured answer gives, as an allowed number."""
    take, options = question.prompt.take, question.options
    if callable(take):
        try:
            value = take(found)
        except ValueError as error:
            return Unreadable(" ".join(str(error).split()))
    else:
        value = getattr(found, take or next(iter(type(found).model_fields)))
    value = value.value if isinstance(value, Enum) else value
    value = value.item() if isinstance(value, np.generic) else value
    if not options:
        whole = int(value) if isinstance(value, bool) and question.kind != "truth" else value
        return fitting(whole, *question.bounds, kind=question.kind)
    if isinstance(value, str):
        return named_option(value, question.labels)
    return fitting(int(value) if isinstance(value, bool) else value, 0, len(options) - 1, "whole")


def object_schema(properties: Mapping[str, Any]) -> str:
    """Return the JSON schema of an object with these properties and no others."""
    schema = {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
    return canonical(schema, ordered=True)


closed_schema = lru_cache(maxsize=256)(model_schema)


@lru_cache(maxsize=256)
def value_schema(kind: ValueKind, low: float | None, high: float | None) -> str:
    """Return the JSON schema of ``{"answer": value}`` as canonical JSON."""
    held: dict[str, Any] = {"type": {"number": "number", "whole": "integer", "truth": "boolean"}[kind]}
    if kind != "truth":
        bounds = (("minimum", low), ("maximum", high))
        held |= {name: bound for name, bound in bounds if bound is not None and math.isfinite(bound)}
    return object_schema({"answer": held})


def entropy_bits(probabilities: Sequence[float]) -> float:
    """Return the entropy of a distribution in bits (plug-in)."""
    return math.fsum(-p * math.log2(p) for p in probabilities if p > 0.0) + 0.0


def miller_madow_bits(counts: Sequence[int]) -> float:
    """Return the entropy of counts in bits, corrected for its first-order bias (Miller 1955, Madow)."""
    total = sum(counts)
    if total == 0:
        return math.nan
    found = entropy_bits([count / total for count in counts])
    return found + (sum(count > 0 for count in counts) - 1) / (2 * total * math.log(2.0))
