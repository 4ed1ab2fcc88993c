"""One answered call as a row of a record: what was asked, what came back, and what it took."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from simengine.policies.language.calls import PASSING, Failure, FailureKind, Reply, Request, Usage

STANDING = -1
"""The turn of an answer that holds for every step; a passing failure holds for its own step only."""

COLUMNS = (
    "key", "turn", "model", "step", "label", "place", "request", "kind", "text", "log_probabilities", "finish",
    "status", "input", "cached_input", "output", "reasoning", "known", "attempts", "latency", "date", "answered_by",
    "fingerprint",
)  # fmt: skip

ANSWER_COLUMNS = COLUMNS[COLUMNS.index("kind") : COLUMNS.index("status")]
"""The columns that are the answer itself; everything after them may differ between two equal runs."""


_ENCODED = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, check_circular=False).encode


@dataclass(frozen=True, slots=True)
class Entry:
    """One answered call.

    ``request`` is `stored_request`: the key's content with texts replaced by their digests; ``texts`` are those texts
    (given when it is written, empty when it is read). ``step``, ``label`` and
    ``order`` say where it was first asked. ``attempts`` (0: taken over from a cache or another record, not paid here),
    ``latency`` in seconds, and ``date`` in seconds since 1970 may differ between equal runs, as may the usage.
    """

    key: str
    model: str
    answer: Reply | Failure
    step: int = 0
    label: str = ""
    order: int = 0
    request: str = ""
    texts: Mapping[str, str] = field(default_factory=dict, compare=False)
    attempts: int = 0
    latency: float = 0.0
    date: float = 0.0

    @property
    def turn(self) -> int:
        """The step for which a passing failure holds, -1 for an answer that stands."""
        return self.step if isinstance(self.answer, Failure) and self.answer.kind in PASSING else STANDING

    def row(self, redact: Callable[[str], str] | None = None) -> tuple[Any, ...]:
        """The values of `COLUMNS`."""
        head = (bytes.fromhex(self.key), self.turn, self.model, self.step, self.label, self.order, self.request)
        tail = (self.attempts, self.latency, self.date)
        answer = self.answer
        if isinstance(answer, Failure):
            message = _storable(redact(answer.message) if redact else answer.message)
            return (*head, answer.kind, message, b"", "", answer.status, 0, 0, 0, 0, 1, *tail, "", "")
        text = _storable(redact(answer.text) if redact else answer.text)
        known = answer.log_probabilities
        packed = struct.pack(f"<{len(known)}d", *known) if known else b""
        used = answer.usage
        tokens = (used.input, used.cached_input, used.output, used.reasoning, int(used.known))
        return (*head, "reply", text, packed, answer.finish, None, *tokens, *tail, answer.model, answer.fingerprint)


def _storable(text: str) -> str:
    """The text without halves of characters, which servers may send in JSON and no file can hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def entry_of(row: tuple[Any, ...]) -> Entry:
    """The entry of a row of `COLUMNS`."""
    (key, _, model, step, label, place, request, kind, text, packed, finish, status, used, cached, output, reasoning,
     known, attempts, latency, date, answered_by, fingerprint) = row  # fmt: skip
    answer: Reply | Failure
    if kind == "reply":
        values = struct.unpack(f"<{len(packed) // 8}d", packed) if packed else ()
        usage = Usage(used, cached, output, reasoning, bool(known))
        answer = Reply(text, values, finish, usage, answered_by, fingerprint)
    else:
        answer = Failure(cast(FailureKind, kind), text, status)
    return Entry(key.hex(), model, answer, step, label, place, request, {}, attempts, latency, date)


def text_digest(text: str) -> str:
    """The 128-bit address (32 hexadecimal digits) of a text in the record."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def stored_request(request: Request) -> tuple[str, dict[str, str]]:
    """What the record keeps of a request: its content as JSON with texts by digest, and those texts."""
    content = request.content()
    digests = [text_digest(message.text) for message in request.messages]
    texts = {digest: message.text for digest, message in zip(digests, request.messages, strict=True)}
    content["messages"] = [[message.role, digest] for message, digest in zip(request.messages, digests, strict=True)]
    if request.schema:
        content["schema"] = text_digest(request.schema)
        texts[content["schema"]] = request.schema
    return _ENCODED(content), texts


def texts_of(request: Request) -> dict[str, str]:
    """The texts of a request by digest, as `stored_request` gives them."""
    texts = [message.text for message in request.messages]
    return {text_digest(text): text for text in ([*texts, request.schema] if request.schema else texts)}


def written_out(stored: str, texts: Mapping[str, str]) -> dict[str, Any]:
    """The content of a stored request with its texts in place."""
    content: dict[str, Any] = json.loads(stored) if stored else {}
    content["messages"] = [[role, texts.get(digest, "")] for role, digest in content.get("messages", ())]
    content["schema"] = texts.get(content.get("schema", ""), "")
    return content


def digests_in(stored: str) -> list[str]:
    """The digests of the texts that a stored request names."""
    content = json.loads(stored) if stored else {}
    named = [digest for _, digest in content.get("messages", ())]
    return [*named, content["schema"]] if content.get("schema") else named
