"""What an OpenAI-compatible server said, as a `Reply` or a `Failure`: statuses, error codes, waits, refusals, usage."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from simengine.policies.language.backends.token_mass import log_masses
from simengine.policies.language.calls import Failure, FailureKind, Reply, Request, Usage

LONGEST_MESSAGE = 300
MOST_UNDECIDED = 0.05
BY_STATUS: dict[int, FailureKind] = {
    401: "authentication",
    402: "quota",
    403: "authentication",
    404: "unknown_model",
    408: "transient",
    409: "transient",
    413: "too_long",
    425: "transient",
    429: "rate_limit",
    451: "refusal",
    501: "invalid",
    505: "invalid",
}
# Servers word these in their own ways; the first pattern found in an error's code, type or message decides.
BY_WORDS: tuple[tuple[frozenset[int], re.Pattern[str], FailureKind], ...] = (
    (
        frozenset({400, 403, 429}),
        re.compile(r"insufficient[_ ]quota|billing|credit balance|insufficient (?:funds|credits|balance)|spend limit"),
        "quota",
    ),
    (
        frozenset({400, 413, 422, 500}),
        re.compile(
            r"context[_ ](?:length|size|window)|exceed_context|maximum (?:context|model|sequence) len|too many tokens|"
            r"(?:prompt|input|request)[\w ]* (?:is )?too (?:long|large)|longer than the maximum|reduce the length"
        ),
        "too_long",
    ),
    (
        frozenset({400, 403, 422}),
        re.compile(r"content[_ ](?:filter|policy|management)|responsible ?ai|moderation|flagged|safety system"),
        "refusal",
    ),
    (
        frozenset({400, 422}),
        re.compile(r"model_not_found|(?:unknown|invalid|no such) model|model [^.]{0,80}(?:not found|does not exist)"),
        "unknown_model",
    ),
    (frozenset({400}), re.compile(r"invalid[_ ]api[_ ]key|api key not valid|unauthorized"), "authentication"),
    (frozenset({400, 403}), re.compile(r"rate[_ ]limit|too many requests|throttl"), "rate_limit"),
)
HINTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"max_completion_tokens"),
        "give the backend extra={'max_tokens': None, 'max_completion_tokens': N}",
    ),
    (re.compile(r"temperature|seed|logit_bias|'?n'?\b.{0,20}not supported"), "extra={'NAME': None} leaves a field out"),
    (re.compile(r"logprobs"), "give the backend score=False"),
    (re.compile(r"response_format|json_schema|guided|grammar"), "give the backend schema='prompt'"),
)
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
SECONDS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def reply_of(request: Request, body: bytes, clean: Callable[[str], str]) -> Reply | Failure:
    """Read the body of an answer with status 200; ``clean`` takes secrets out of what the server says."""
    try:
        said = json.loads(body)
    except ValueError:
        return Failure("transient", f"the server answered with what is no JSON: {_short(clean(_text(body)))!r}", 200)
    if isinstance(said, dict) and said.get("error") and not said.get("choices"):
        # Gateways wrap the failure of the server behind them in a good status.
        return failure_of(_status_of(said["error"]), body, {}, clean)
    try:
        choice = said["choices"][0]
        message = choice["message"]
    except (KeyError, IndexError, TypeError):
        return Failure("malformed", f"the server answered without a choice: {_short(clean(_text(body)))!r}", 200)
    text, finish = _content(message), str(choice.get("finish_reason") or "stop")
    if message.get("refusal"):
        return Failure("refusal", _short(clean(str(message["refusal"]))), 200)
    if finish == "content_filter":
        return Failure("refusal", "the server's content filter withheld the answer", 200)
    usage = usage_of(said.get("usage"), request, text)
    model, fingerprint = str(said.get("model") or ""), str(said.get("system_fingerprint") or "")
    if request.kind == "score":
        content = (choice.get("logprobs") or {}).get("content")
        if not content and not text:
            return Failure("malformed", "the server answered with nothing", 200)
        if not content or not content[0].get("top_logprobs"):
            return Failure(
                "invalid",
                "the server told no log-probabilities; give the backend score=False, and decisions are asked for in "
                "percentages or samples",
                200,
            )
        masses, undecided = log_masses(content, request.labels)
        if undecided > MOST_UNDECIDED:
            return Failure(
                "malformed",
                f"{undecided:.0%} of the probability began several of the labels {', '.join(request.labels)} at once; "
                "give the prompt labels that begin differently (letters, say), or another elicitation",
                200,
            )
        return Reply(text, masses, finish, usage, model, fingerprint)
    if not text and finish == "length":
        thought = f", {usage.reasoning} of them for reasoning" if usage.reasoning else ""
        told = f"no word was said within max_tokens = {request.max_tokens}{thought}: raise the prompt's max_tokens"
        return Failure("malformed", told, 200)
    return Reply(text, (), finish, usage, model, fingerprint)


def failure_of(status: int, body: bytes, headers: Mapping[str, str], clean: Callable[[str], str]) -> Failure:
    """Tell the kind of a failure by its status and the words of its body."""
    code, message = _error(body)
    words = f"{code} {message}".casefold()
    kind = BY_STATUS.get(status, "transient" if status >= 500 else "invalid")
    for statuses, pattern, named in BY_WORDS:
        if status in statuses and pattern.search(words):
            kind = named
            break
    told = f"status {status}" + (f" ({code})" if code else "") + (f": {_short(clean(message))}" if message else "")
    if kind == "invalid":
        told += next((f"; {hint}" for pattern, hint in HINTS if pattern.search(words)), "")
    return Failure(kind, clean(told), status, wait_of(headers) if kind in ("rate_limit", "transient") else None)


def usage_of(told: Any, request: Request, text: str) -> Usage:
    """Return the tokens that the server counted, or an estimate of four characters each."""
    if not isinstance(told, Mapping) or not _count(told.get("prompt_tokens")):
        asked = sum(len(message.text) for message in request.messages)
        return Usage(-(-asked // 4), 0, -(-len(text) // 4), 0, known=False)
    asked_of, said_of = told.get("prompt_tokens_details") or {}, told.get("completion_tokens_details") or {}
    return Usage(
        _count(told.get("prompt_tokens")),
        _count(asked_of.get("cached_tokens")),
        _count(told.get("completion_tokens")),
        _count(said_of.get("reasoning_tokens")),
    )


def wait_of(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that the server asks to wait, told in seconds, milliseconds or as a date; else nothing."""
    exact = headers.get("retry-after-ms", "")
    if exact:
        try:
            return max(0.0, float(exact) / 1000.0)
        except ValueError:
            pass
    told = headers.get("retry-after", "").strip()
    if told:
        try:
            return max(0.0, float(told))
        except ValueError:
            try:
                return max(0.0, parsedate_to_datetime(told).timestamp() - time.time())
            except (ValueError, TypeError):
                return None
    spent = [name for name in ("requests", "tokens") if headers.get(f"x-ratelimit-remaining-{name}") == "0"]
    waits = [span_of(headers.get(f"x-ratelimit-reset-{name}", "")) for name in spent]
    return max((wait for wait in waits if wait is not None), default=None)


def limits_of(headers: Mapping[str, str]) -> dict[str, float]:
    """Return the limits that headers tell: "limit_requests", "remaining_tokens", "reset_tokens" (s) and so on."""
    found: dict[str, float] = {}
    for name in ("requests", "tokens"):
        for what in ("limit", "remaining", "reset"):
            told = headers.get(f"x-ratelimit-{what}-{name}")
            value = None if told is None else span_of(told) if what == "reset" else _number(told)
            if value is not None:
                found[f"{what}_{name}"] = value
    return found


def span_of(told: str) -> float | None:
    """Return seconds of a span of time as servers write it: "1s", "6m0s", "20ms", or a bare number of seconds."""
    bare = _number(told)
    if bare is not None:
        return bare
    parts = _SPAN.findall(told)
    return sum(float(count) * SECONDS[unit] for count, unit in parts) if parts else None


def _number(told: str) -> float | None:
    try:
        return float(told)
    except ValueError:
        return None


def _count(value: Any) -> int:
    return int(value) if isinstance(value, int | float) else 0


def _content(message: Mapping[str, Any]) -> str:
    """Return the text of a message, whether one string or a list of parts."""
    content = message.get("content")
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, Mapping))
    return str(content or "")


def _error(body: bytes) -> tuple[str, str]:
    """Return the code and the message of an error body: of OpenAI's form, FastAPI's, a bare one, or no JSON."""
    try:
        said = json.loads(body)
    except ValueError:
        return "", _text(body)
    error = said.get("error", said) if isinstance(said, dict) else said
    if not isinstance(error, dict):
        return "", str(error)
    code = error.get("code") if isinstance(error.get("code"), str) else error.get("type")
    message = error.get("message") or error.get("detail") or json.dumps(error)
    return str(code or ""), message if isinstance(message, str) else json.dumps(message)


def _status_of(error: Any) -> int:
    code = error.get("code") or error.get("status") if isinstance(error, Mapping) else None
    try:
        return int(str(code)) if 400 <= int(str(code)) < 600 else 502
    except ValueError:
        words = str(error).casefold()
        return 429 if "rate" in words or "quota" in words else 400 if "context" in words or "filter" in words else 502


def _text(body: bytes) -> str:
    return body[: 4 * LONGEST_MESSAGE].decode("utf-8", "replace")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_MESSAGE else f"{line[:LONGEST_MESSAGE]}..."
