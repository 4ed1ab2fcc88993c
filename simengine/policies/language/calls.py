"""One call of a language model: what is asked, what comes back, and the protocol of whoever answers.

A backend is small on purpose: four methods, batches in and batches out, and no exceptions for what may go wrong with
one call (a `Failure` stands in its place). Retries, limits, budgets, records and reading of answers are layers around.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, Literal, Protocol, runtime_checkable

KEY_VERSION = 1
"""Of the form in which a request is addressed; another one is another address."""

FailureKind = Literal[
    "rate_limit",
    "quota",
    "authentication",
    "unknown_model",
    "transient",
    "timeout",
    "too_long",
    "invalid",
    "refusal",
    "malformed",
]

PASSING: frozenset[FailureKind] = frozenset({"rate_limit", "transient", "timeout"})
"""Failures that another attempt may mend."""

FATAL: frozenset[FailureKind] = frozenset({"quota", "authentication", "unknown_model", "invalid"})
"""Failures that every other call would meet as well: the run stops at once."""


@dataclass(frozen=True)
class Message:
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    text: str


@dataclass(frozen=True)
class Request:
    """What a model is asked.

    ``kind`` is "complete" (a text) or "score" (the log-probabilities of ``labels`` as the next text). ``schema`` is a
    JSON schema of the answer as canonical JSON, nothing for free text. ``sample`` tells repeated samples apart,
    ``order`` rotations of the options; both belong to the key. ``salt`` is the user's own part of the key.
    ``context`` is what the prompt was written from, for backends in this process; it is neither sent nor in the key.
    """

    messages: tuple[Message, ...]
    kind: Literal["complete", "score"] = "complete"
    labels: tuple[str, ...] = ()
    schema: str = ""
    temperature: float = 1.0
    max_tokens: int = 64
    elicitation: str = ""
    order: int = 0
    sample: str = ""
    salt: str = ""
    context: Mapping[str, Any] = dataclass_field(default_factory=dict, compare=False, hash=False)

    def content(self) -> dict[str, Any]:
        """What the key covers, as plain values."""
        return {
            "version": KEY_VERSION,
            "messages": [[message.role, message.text] for message in self.messages],
            "kind": self.kind,
            "labels": list(self.labels),
            "schema": self.schema,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "elicitation": self.elicitation,
            "order": self.order,
            "sample": self.sample,
            "salt": self.salt,
        }

    def key(self, model: str) -> str:
        """The 128-bit address (32 hexadecimal digits) of this request to ``model`` ("family/name")."""
        text = json.dumps([model, self.content()], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class Usage:
    """Tokens of a call; ``known`` is false where the server did not say and they are estimated from characters."""

    input: int = 0
    cached_input: int = 0
    output: int = 0
    reasoning: int = 0
    known: bool = True


@dataclass(frozen=True)
class Reply:
    """What a model answered: its text, or the log-probabilities of the labels (minus infinity: none was told)."""

    text: str = ""
    log_probabilities: tuple[float, ...] = ()
    finish: str = "stop"
    usage: Usage = dataclass_field(default_factory=Usage)
    model: str = ""
    fingerprint: str = ""


@dataclass(frozen=True)
class Failure:
    """Why a call has no answer. ``message`` never holds a key or a header; ``retry_after`` is in seconds."""

    kind: FailureKind
    message: str
    status: int | None = None
    retry_after: float | None = None


@dataclass(frozen=True)
class Capabilities:
    """What a backend can do; unknown until probed for those over a network, then as the user says.

    ``model`` is "family/name" (in every key and file); ``batch`` how many requests it likes at once; ``deterministic``
    whether equal requests always get equal answers; ``label`` is what logs and files call it.
    """

    model: str
    score: bool = True
    schema: bool = True
    batch: int = 1
    deterministic: bool = False
    label: str = ""
    limits: Mapping[str, float] = dataclass_field(default_factory=dict)


@runtime_checkable
class Backend(Protocol):
    """Whoever answers requests. Picklable before the first call."""

    def capabilities(self) -> Capabilities:
        """What it can do; no call is made."""

    def complete(self, requests: Sequence[Request]) -> Sequence[Reply | Failure]:
        """Answer requests of kind "complete", in their order."""

    def score(self, requests: Sequence[Request]) -> Sequence[Reply | Failure]:
        """Answer requests of kind "score", in their order."""

    def close(self) -> None:
        """Give back connections and memory."""


@runtime_checkable
class Concurrent(Protocol):
    """A backend that also answers single requests as coroutines, so that many can be under way at once."""

    async def answer(self, request: Request, *, timeout: float, idempotency: str = "") -> Reply | Failure:
        """Answer one request within ``timeout`` seconds; never raises for what a server or a network does."""

    async def leave(self) -> None:
        """Close the connections that the running event loop holds."""
