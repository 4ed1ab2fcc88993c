"""From rows that were answered to one action, or one distribution over the options, for every agent."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.errors import InputError, RunError, nearest
from simengine.policies.answers import Asked
from simengine.policies.language.contexts import Contexts, digest_of
from simengine.policies.language.prompts import Prompt, written
from simengine.policies.language.questions import Again, Answered, Elicitation, Question
from simengine.policies.language.reading import Provenance

Array = NDArray[Any]


@dataclass
class UnderWay:
    """A decision that was put to a model: what was asked, the calls, and in the end what came of each row."""

    prompt: Prompt
    contexts: Contexts
    method: Elicitation
    question: Question = field(init=False)
    work: Future[None] = field(init=False)
    requests: list[tuple[Any, ...]] = field(default_factory=list)
    rows: list[Answered] = field(default_factory=list)
    fresh: list[bool] = field(default_factory=list)
    input_tokens: int = 0
    output_tokens: int = 0

    def _by_agent(self, rows: Array) -> Array:
        found: Array = rows[self.question.of_agent]
        return found

    def provenance(self) -> Array:
        """Where each agent's action came from (`Provenance`)."""
        statuses = [
            Provenance.REUSED if row.status == Provenance.ANSWERED and not fresh else row.status
            for row, fresh in zip(self.rows, self.fresh, strict=True)
        ]
        return self._by_agent(np.array(statuses, np.int64))

    def entropies(self) -> Array:
        """Of each agent's action distribution, in bits; nan where there is none."""
        return self._by_agent(np.array([row.entropy_bits for row in self.rows]))

    def coverages(self) -> Array:
        """The probability on the options before normalising, for each agent; nan where it is not known."""
        return self._by_agent(np.array([row.coverage for row in self.rows]))

    def probabilities(self) -> Array | None:
        """The distributions that the model gave, (agents, options), nan where none; None if it gave none at all."""
        number = len(self.question.options)
        if not number or all(row.probabilities is None for row in self.rows):
            return None
        missing = (np.nan,) * number
        return self._by_agent(
            np.array([missing if row.probabilities is None else row.probabilities for row in self.rows])
        )

    def reasons(self) -> list[str]:
        """Why rows have no answer."""
        return [row.reason for row in self.rows if row.status in {Provenance.REFUSED, Provenance.FALLBACK}]


def read_rows(under: UnderWay, outcomes: Sequence[Any], ask_again: Any, counted: set[str]) -> None:
    """Read all outcomes; what cannot be read is asked for once more, all at once, by ``ask_again(requests)``.

    ``counted`` are the keys of the calls whose tokens were counted in this step before, to which these are added.
    """
    first: list[Answered | Again] = []
    place = 0
    for row, requests in enumerate(under.requests):
        part = outcomes[place : place + len(requests)]
        place += len(requests)
        first.append(under.method.read(under.question, [outcome.answer for outcome in part], row))
        under.fresh.append(any(outcome.fresh for outcome in part))
    _count(under, outcomes, counted)
    repeated = [request for found in first if isinstance(found, Again) for request in found.requests]
    more = ask_again(repeated) if repeated else []
    _count(under, more, counted)
    place = 0
    for row, found in enumerate(first):
        if isinstance(found, Again):
            part = more[place : place + len(found.requests)]
            place += len(found.requests)
            under.fresh[row] |= any(outcome.fresh for outcome in part)
            found = found.read([outcome.answer for outcome in part])
        under.rows.append(found)


def _count(under: UnderWay, outcomes: Sequence[Any], counted: set[str]) -> None:
    # Rows that read alike share one call, and so do agents who act in turn, and decisions of one step.
    for outcome in outcomes:
        if not outcome.fresh or outcome.key in counted:
            continue
        counted.add(outcome.key)
        usage = getattr(outcome.answer, "usage", None)
        if usage is not None:
            under.input_tokens += usage.input
            under.output_tokens += usage.output


def actions_of(under: UnderWay, asked: Asked, fallback: str | float) -> tuple[Array, dict[int, str]]:
    """Return one distribution (agents, options) or one value for each agent, and texts behind values by digest."""
    options, of_agent = under.question.options, under.question.of_agent
    missing = np.array([row.status in {Provenance.REFUSED, Provenance.FALLBACK} for row in under.rows])[of_agent]
    standing_in = fallback_actions(fallback, asked, under.question.labels) if missing.any() else None
    if options:
        identity = np.eye(len(options))
        table = np.array([_distribution(row, identity) for row in under.rows])[of_agent]
        if standing_in is not None:
            table[missing] = identity[standing_in[missing].astype(np.int64)]
        return table, {}
    texts: dict[int, str] = {}
    values: list[float | int] = []
    for row in under.rows:
        if row.text is not None:
            values.append(digest_of(row.text))
            texts[int(values[-1])] = row.text
        else:
            values.append(0 if row.value is None else row.value)
    # Digests need all their bits: no float may come between.
    found = np.array(values, np.int64 if under.prompt.words else None)[of_agent]
    if standing_in is not None:
        whole = under.prompt.words or under.question.kind == "whole"
        if whole and (standing_in == np.floor(standing_in)).all():
            standing_in = standing_in.astype(np.int64)
        found = np.where(missing, standing_in, found)
    return found, texts


def _distribution(row: Answered, identity: Array) -> Array:
    if row.probabilities is not None:
        return np.asarray(row.probabilities)
    chosen: Array = identity[0 if row.value is None else int(row.value)]
    return chosen


def fallback_actions(fallback: str | float, asked: Asked, labels: Sequence[str]) -> Array:
    """Return what stands in for a missing answer: what the rule does, an option, or a value."""
    if fallback == "rule":
        return np.asarray(asked.rule)
    if fallback == "fail":
        where = f"{asked.decision} at step {asked.step}"
        raise RunError(f"{where}: a language model gave no answer, and fallback is 'fail'")
    if isinstance(fallback, str):
        known = {name: number for names in (asked.options, labels) for number, name in enumerate(names)}
        if fallback not in known:
            choices = ["rule", "fail", *asked.options]
            listed = f"{', '.join(choices)}{nearest(fallback, choices)}"
            raise InputError(f"fallback of {asked.decision}: {fallback!r} is none of {listed}")
        return np.full(len(asked.ids), known[fallback])
    return np.full(len(asked.ids), fallback)


def said(under: UnderWay, actions: Array, texts: dict[int, str]) -> list[str]:
    """Return the actions as a person would say them."""
    if under.question.labels:
        return [under.question.labels[action] for action in actions.tolist()]
    if under.prompt.words:
        known = dict(enumerate(under.prompt.texts)) | texts
        return [known.get(action, "") for action in actions.tolist()]
    return [written(action) for action in actions.tolist()]
