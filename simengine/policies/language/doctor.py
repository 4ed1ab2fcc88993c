"""What a server or a model in this process really does, found out by asking it: `examine`.

Servers differ in what they keep of a schema, whether they tell log-probabilities, whether a seed repeats an answer, and
whether an answer depends on what else is under way. None of it can be seen without asking, and a run wants to know.
"""

from __future__ import annotations

import copy
import json
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from simengine.policies.language.backends.openai import SCHEMAS, OpenAI
from simengine.policies.language.calls import FATAL, Backend, Failure, Message, Reply, Request

COLOURS = ("red", "green", "blue")
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"colour": {"enum": list(COLOURS), "type": "string"}, "count": {"type": "integer"}},
        "required": ["colour", "count"],
        "additionalProperties": False,
    },
    sort_keys=True,
    separators=(",", ":"),
)
STATIC = "You take part in a test of this connection. Answer as briefly as you are asked to."
LISTED = "Options:\n" + "\n".join(f"- {colour}" for colour in COLOURS)
LOW_COVERAGE = 0.9
REPEATS, TOGETHER = 5, 16
MOST_TOKENS = 64


@dataclass(frozen=True)
class Latency:
    """Seconds of single calls, one after the other, and calls per second with many under way."""

    median: float
    high: float
    longest: float
    calls_per_second: float
    together: int


@dataclass(frozen=True)
class Report:
    """What was found out about a backend.

    Attributes
    ----------
    model
        "family/name", as in keys and files.
    problem
        Why nothing could be found out; everything below is then empty.
    served
        Names of the models that the server lists; empty where it lists none.
    schema
        How each way of asking for a JSON schema ended: "kept", "broken" (another answer), or why there was none.
    log_probabilities, coverage
        Why there are none, "" where they are told; the probability that three listed options had together.
    repeats
        Number of equal requests, put in turn, and at temperature 1 again at once; ``repeats_sampled`` and
        ``repeats_certain`` are how many different answers they had at temperature 1 and 0 (1: a seed repeats an
        answer), ``samples`` how many those of as many different seeds.
    fingerprints
        The different fingerprints that came with the answers: more than one means that several builds answer.
    batch_difference
        The greatest difference of a log-probability (of a label told both times) between a request alone and among
        others; without log-probabilities, the share of answers that differed at temperature 0. Not a number: no answer.
    usage
        Which counts the server tells: "input", "cached_input", "output", "reasoning"; empty where they are estimated.
    latency
        Of good answers; none where there was none.
    limits
        What headers told of limits.
    calls, tokens
        What the examination took.
    """

    model: str
    problem: str = ""
    served: tuple[str, ...] = ()
    schema: dict[str, str] = field(default_factory=dict)
    log_probabilities: str = ""
    coverage: float = math.nan
    repeats: int = 0
    repeats_sampled: int = 0
    repeats_certain: int = 0
    samples: int = 0
    fingerprints: tuple[str, ...] = ()
    batch_difference: float = math.nan
    usage: tuple[str, ...] = ()
    latency: Latency | None = None
    limits: dict[str, float] = field(default_factory=dict)
    calls: int = 0
    tokens: int = 0

    @property
    def can_score(self) -> bool:
        """Whether decisions may be asked for by log-probabilities of their labels."""
        return not self.problem and not self.log_probabilities

    @property
    def repeatable(self) -> bool:
        """Whether equal requests had equal answers throughout, alone and among others."""
        alike = self.repeats_sampled == self.repeats_certain == 1 and len(self.fingerprints) <= 1
        return not self.problem and alike and self.batch_difference == 0.0

    def settings(self) -> dict[str, Any]:
        """Return the arguments of `OpenAI` that suit the server where they differ from its defaults."""
        found: dict[str, Any] = {} if self.can_score or self.problem else {"score": False}
        kept = [way for way in SCHEMAS if self.schema.get(way) == "kept"]
        if kept and kept[0] != SCHEMAS[0]:
            found["schema"] = kept[0]
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return the findings as plain values: the capability record of a run. What is unknown is None."""
        found = asdict(self)
        for name in ("coverage", "batch_difference"):
            if math.isnan(found[name]):
                found[name] = None
        return found | {"repeatable": self.repeatable}

    def rows(self) -> list[tuple[str, str]]:
        """Return the findings for people, each with its name."""
        if self.problem:
            return [("problem", self.problem)]
        told: list[tuple[str, str]] = []
        if self.served:
            more = f" and {len(self.served) - 5} more" if len(self.served) > 5 else ""
            told.append(("models served", f"{', '.join(self.served[:5])}{more}"))
        told += [("schema", _schema_line(way, outcome)) for way, outcome in self.schema.items()]
        told.append(("log-probabilities", self._scores_line()))
        same = (
            f"{self.repeats} times in turn and at once with one seed: {_answers(self.repeats_sampled)} at temperature "
            f"1, {_answers(self.repeats_certain)} at 0; with {self.repeats} seeds: {_answers(self.samples)}"
        )
        told.append(("same request", same))
        if self.samples == 1:
            told.append(("samples", "do not differ: the server ignores temperature or seed; ask for no samples"))
        if len(self.fingerprints) > 1:
            told.append(("fingerprints", f"{len(self.fingerprints)} different: several builds answer"))
        told.append(("alone or in a batch", self._batch_line()))
        told.append(("usage", ", ".join(self.usage) or "not told; estimated by characters"))
        if self.latency is not None:
            one = self.latency
            seconds = f"{one.median:.3f} s median, {one.high:.3f} s nine in ten, {one.longest:.3f} s longest"
            told.append(("latency", f"{seconds}; {one.calls_per_second:.1f} calls/s with {one.together} under way"))
        limits = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in sorted(self.limits.items()))
        told.append(("limits told", limits or "none"))
        told.append(("results", "repeatable" if self.repeatable else "replayable from their record only"))
        told.append(("settings", ", ".join(f"{k}={v!r}" for k, v in self.settings().items()) or "the defaults"))
        told.append(("this took", f"{self.calls} calls, {self.tokens} tokens"))
        return told

    def lines(self) -> list[str]:
        """Return the findings for people, one a line."""
        if self.problem:
            return [f"{self.model}: {self.problem}"]
        return [self.model, *(f"{name:<20}{text}" for name, text in self.rows())]

    def _scores_line(self) -> str:
        if self.log_probabilities:
            return f"none: {self.log_probabilities}"
        low = "" if self.coverage >= LOW_COVERAGE else ": much of it lies on other tokens; prefer another elicitation"
        return f"told; three listed options have {self.coverage:.3f} of the probability{low}"

    def _batch_line(self) -> str:
        if math.isnan(self.batch_difference):
            return "not known"
        if self.can_score:
            return f"log-probabilities differ by up to {self.batch_difference:.2g}"
        return f"{self.batch_difference:.0%} of the answers differ"


def calls_needed(backend: Backend, *, repeats: int = REPEATS, together: int = TOGETHER) -> int:
    """Return how many calls `examine` makes of a backend that answers; the list of models is asked for besides."""
    ways = len(SCHEMAS) if isinstance(backend, OpenAI) else 1
    return 2 + ways + 4 * max(2, repeats) + 2 * max(2, together)


def examine(backend: Backend, *, repeats: int = REPEATS, together: int = TOGETHER) -> Report:
    """Ask a backend some tens of short questions (`calls_needed`), and report what it does.

    ``repeats`` is the number of equal requests, ``together`` how many are put at once. A call allows at most 16
    tokens, one for a schema `MOST_TOKENS`.
    """
    return _Examination(backend, max(2, repeats), max(2, together)).report()


class _Examination:
    """The calls of one examination, and what they took."""

    def __init__(self, backend: Backend, repeats: int, together: int) -> None:
        self.backend, self.repeats, self.together = backend, repeats, together
        self.calls = self.tokens = 0
        self.replies: list[Reply] = []

    def report(self) -> Report:
        model = self.backend.capabilities().model
        first = self.asked(_free("Say one word."))
        if isinstance(first, Failure) and (first.kind in FATAL or first.status is None):
            return Report(model, problem=first.message, calls=self.calls)
        served = self.backend.models() if isinstance(self.backend, OpenAI) else []
        schema = self.schemas()
        scored = self.asked(_scores(0))
        coverage = math.fsum(map(math.exp, scored.log_probabilities)) if isinstance(scored, Reply) else math.nan
        same = [_free("Name three animals.", "same")] * self.repeats
        latency_seconds, sampled = self.timed(same)
        # A seed that all calls of a server share repeats answers only as long as nobody else asks.
        sampled += self.all_asked(same)
        certain = [self.asked(_free("Name three animals.", temperature=0.0)) for _ in range(self.repeats)]
        samples = [self.asked(_free("Name three animals.", f"seed {number}")) for number in range(self.repeats)]
        difference, seconds = self.batch(isinstance(scored, Reply))
        return Report(
            model,
            served=() if isinstance(served, Failure) else tuple(served),
            schema=schema,
            log_probabilities=scored.message if isinstance(scored, Failure) else "",
            coverage=coverage,
            repeats=self.repeats,
            repeats_sampled=_different(sampled),
            repeats_certain=_different(certain),
            samples=_different(samples),
            fingerprints=tuple(sorted({one.fingerprint for one in self.replies if one.fingerprint})),
            batch_difference=difference,
            usage=self.usage(),
            latency=_latency(latency_seconds, seconds, self.together),
            limits=dict(self.backend.capabilities().limits),
            calls=self.calls,
            tokens=self.tokens,
        )

    def asked(self, request: Request, backend: Backend | None = None) -> Reply | Failure:
        return self.all_asked([request], backend)[0]

    def all_asked(self, requests: Sequence[Request], backend: Backend | None = None) -> list[Reply | Failure]:
        asking = backend or self.backend
        found = list(asking.score(requests) if requests[0].kind == "score" else asking.complete(requests))
        self.calls += len(found)
        for one in found:
            if isinstance(one, Reply):
                self.replies.append(one)
                self.tokens += one.usage.input + one.usage.output
        return found

    def timed(self, requests: Sequence[Request]) -> tuple[list[float], list[Reply | Failure]]:
        """Put requests one after the other; return the seconds of those that were answered."""
        seconds, found = [], []
        for request in requests:
            begin = time.perf_counter()
            found.append(self.asked(request))
            if isinstance(found[-1], Reply):
                seconds.append(time.perf_counter() - begin)
        return seconds, found

    def schemas(self) -> dict[str, str]:
        """Ask for an object in each way that the backend has."""
        request = _free("Give a colour and a small number.", schema=SCHEMA, temperature=0.0)
        if not isinstance(self.backend, OpenAI):
            return {"schema": _kept(self.asked(request))}
        found: dict[str, str] = {}
        for way in SCHEMAS:
            asking = copy.copy(self.backend)
            asking.schema = way
            found[way] = _kept(self.asked(request, asking))
            asking.close()
        return found

    def batch(self, scored: bool) -> tuple[float, float]:
        """Put each request alone, then all at once; return the greatest difference, and the seconds of the latter."""
        if scored:
            requests = [_scores(number) for number in range(self.together)]
        else:
            requests = [_free(f"Name {number + 2} animals.", temperature=0.0) for number in range(self.together)]
        alone = [self.asked(request) for request in requests]
        begin = time.perf_counter()
        among = self.all_asked(requests)
        seconds = time.perf_counter() - begin
        pairs = [(a, b) for a, b in zip(alone, among, strict=True) if isinstance(a, Reply) and isinstance(b, Reply)]
        if not pairs:
            return math.nan, math.nan
        if not scored:
            return sum(a.text != b.text for a, b in pairs) / len(pairs), seconds
        scores = [
            abs(one - other)
            for a, b in pairs
            for one, other in zip(a.log_probabilities, b.log_probabilities, strict=True)
            if math.isfinite(one) and math.isfinite(other)
        ]
        return max(scores, default=math.nan), seconds

    def usage(self) -> tuple[str, ...]:
        known = [one.usage for one in self.replies if one.usage.known]
        names = ("input", "cached_input", "output", "reasoning")
        return tuple(name for name in names if any(getattr(one, name) for one in known))


def _free(text: str, sample: str = "", *, schema: str = "", temperature: float = 1.0, tokens: int = 16) -> Request:
    messages = (Message("system", STATIC), Message("user", text))
    return Request(
        messages, schema=schema, temperature=temperature, max_tokens=MOST_TOKENS if schema else tokens, sample=sample,
        elicitation="doctor",
    )  # fmt: skip


def _scores(number: int) -> Request:
    text = (
        f"Question {number}: choose a colour.\n\n{LISTED}\nAnswer with exactly one of these options, and nothing else."
    )
    messages = (Message("system", STATIC), Message("user", text))
    return Request(messages, kind="score", labels=COLOURS, max_tokens=1, temperature=0.0, elicitation="doctor")


def _kept(outcome: Reply | Failure) -> str:
    if isinstance(outcome, Failure):
        return outcome.message
    try:
        said = json.loads(outcome.text)
    except ValueError:
        return "broken"
    fits = isinstance(said, dict) and set(said) == {"colour", "count"} and said["colour"] in COLOURS
    return "kept" if fits and type(said["count"]) is int else "broken"


def _different(outcomes: Sequence[Reply | Failure]) -> int:
    return len({one.text for one in outcomes if isinstance(one, Reply)})


def _latency(alone: Sequence[float], seconds: float, together: int) -> Latency | None:
    if not alone:
        return None
    high = statistics.quantiles(alone, n=10, method="inclusive")[-1] if len(alone) > 1 else alone[0]
    rate = together / seconds if seconds > 0.0 else math.nan
    return Latency(statistics.median(alone), high, max(alone), rate, together)


def _schema_line(way: str, outcome: str) -> str:
    words = {"kept": "kept", "broken": "not kept: the answer is another"}
    return f"{way}: {words.get(outcome, outcome)}"


def _answers(count: int) -> str:
    return f"{count} different answers" if count != 1 else "1 answer"
