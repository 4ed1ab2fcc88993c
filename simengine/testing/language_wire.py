"""The loopback server's HTTP/1.1 over asyncio, and faults on the wire.

One `Connection` is one client's connection; its requests are answered one after the other. A `Call` is charged when its
answer has been made and somebody is still there to hear it.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any, cast

from simengine.testing.language_answers import Answer, answer_to, digest, nonsense, tokens_of
from simengine.testing.language_faults import UNPAID, uniform
from simengine.testing.language_service import Served, Service

LONGEST_BODY = 16 * 2**20
REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}
SERVER_ERRORS = (500, 502, 503, 529)
ERRORS: dict[str, tuple[int, str, str]] = {
    "rate_limit": (429, "rate_limit_exceeded", "Rate limit reached: wait before the next request."),
    "rate_limit_wait": (429, "rate_limit_exceeded", "Rate limit reached: wait as long as the header says."),
    "quota": (429, "insufficient_quota", "You exceeded your current quota: check your plan and billing."),
    "authentication": (401, "invalid_api_key", "Incorrect API key provided."),
    "unknown_model": (404, "model_not_found", "The model does not exist or you have no access to it."),
    "invalid": (400, "invalid_value", "Invalid value in the request."),
    "too_long": (400, "context_length_exceeded", "This model's maximum context length is exceeded."),
}


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.received = bytearray()
        self.busy = self.counted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where to write."""
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Nobody listens any more: what was to be written is dropped."""
        self.received.clear()

    def data_received(self, data: bytes) -> None:
        """Take in bytes, and serve the request that they complete."""
        self.received += data
        if not self.busy:
            self._next()

    def _next(self) -> None:
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            if len(self.received) > LONGEST_BODY:
                self.transport.abort()
            return
        first, *lines = bytes(self.received[:end]).decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        told = headers.get("content-length", "0")
        length = int(told) if told.isdigit() else LONGEST_BODY + 1
        if "chunked" in headers.get("transfer-encoding", "") or length > LONGEST_BODY:
            self._send(*error_body(411, "length_required", "Send a Content-Length of at most 16 MiB."), close=True)
            return
        if len(self.received) < end + 4 + length:
            if headers.get("expect", "").lower() == "100-continue" and len(self.received) == end + 4:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return
        body = bytes(self.received[end + 4 : end + 4 + length])
        del self.received[: end + 4 + length]
        self.busy = True
        method, path, *_ = [*first.split(" "), "", ""]
        self._serve(method, path, headers, body)

    def _serve(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> None:
        settings, told = self.service.settings, None
        if path.startswith("/server/"):
            try:
                told = self.service.control(path, body)
            except Exception as error:
                self._send(*error_body(400, "invalid_value", str(error)))
                return
        elif settings.key and headers.get("authorization") != f"Bearer {settings.key}":
            self._send(*error_body(*ERRORS["authentication"]))
            return
        elif method == "POST" and path.partition("?")[0].endswith("/v1/chat/completions"):
            self.service.connections += not self.counted
            self.counted = True
            Call(self, headers, body).begin()
            return
        elif method == "GET" and path.endswith("/v1/models"):
            names = settings.models or ("loopback",)
            told = {"object": "list", "data": [{"id": name, "object": "model", "owned_by": "test"} for name in names]}
        elif method == "GET" and path == "/health":
            told = {"status": "ok"}
        if told is None:
            self._send(*error_body(404, "not_found", f"There is nothing at {method} {path}."))
        else:
            self._send(200, json.dumps(told).encode())

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None, *, close: bool = False) -> None:
        self.transport.write(framed(status, body, headers))
        self.done(close=close)

    def done(self, *, close: bool = False) -> None:
        """Go on to the next request of this connection, or end it."""
        self.busy = False
        if close:
            self.transport.close()
        elif self.received:
            self._next()

    def break_off(self) -> None:
        """Reset the connection: the client sees an error, no orderly end."""
        held = self.transport.get_extra_info("socket")
        if held is not None:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class Call:
    """One chat completion, from its arrival to its last byte."""

    def __init__(self, connection: Connection, headers: Mapping[str, str], body: bytes) -> None:
        self.connection, self.service, self.raw = connection, connection.service, body
        self.key = headers.get("idempotency-key", "")
        self.status, self.paid, self.given_again = 0, False, False

    def begin(self) -> None:
        """Number the call, and answer it when its latency has passed."""
        service, settings = self.service, self.service.settings
        try:
            self.body = json.loads(self.raw)
            self.identity = self.key or digest(self.body)
        except ValueError:
            self.body, self.identity = None, self.key
        self.number = service.arrivals
        service.arrivals += 1
        self.attempt = service.attempts.get(self.identity, 0)
        service.attempts[self.identity] = self.attempt + 1
        service.under_way += 1
        self.at_once = service.under_way
        service.most_at_once = max(service.most_at_once, service.under_way)
        self.fault = service.faults.of(self.identity, self.attempt, self.number, self.raw)
        low, high = settings.latency
        seconds = low + (high - low) * uniform("latency", self.identity, self.attempt) if high > low else low
        if seconds > 0.0:
            asyncio.get_running_loop().call_later(seconds, self.answer)
        else:
            self.answer()

    def answer(self) -> None:
        """Answer, or let the fault happen."""
        if self.connection.transport.is_closing():
            self.fault = self.fault or "gone"
            self.end()
        elif self.fault == "hang":
            # The log has it at once; the connection stays silent until the client leaves.
            self.end()
        elif self.fault == "reset":
            self.connection.break_off()
            self.end()
        else:
            self._answer()

    def _answer(self) -> None:
        refused = self._refused()
        if refused is not None:
            self._write(*refused)
            return
        stored = self.service.stored.get(self.key) if self.key else None
        if stored is not None and self.fault not in ("lost", "cut", "slow"):
            self.given_again = True
            self.fault = "duplicate" if self.fault == "duplicate" else ""
            self._write(200, stored, self._limit_headers())
            return
        try:
            content = self._content()
        except Exception as error:
            self.fault = "answers"
            told = f"the answers of this server raised {type(error).__name__}: {error}"
            self._write(*error_body(400, "invalid_value", told))
            return
        if stored is None:
            self._charge(content)
        self._write(200, json.dumps(content).encode() if self.fault != "garbage" else b"<html>oops", {})

    def _refused(self) -> tuple[int, bytes, dict[str, str]] | None:
        """Return the error that answers this call, or nothing where it is to be answered well."""
        faults, fault, body = self.service.faults, self.fault, self.body
        if fault == "server_error":
            drawn = uniform(faults.seed, "status", self.identity, self.attempt)
            return error_body(
                SERVER_ERRORS[int(drawn * len(SERVER_ERRORS))], "server_error", "The server had an error."
            )
        if fault in UNPAID:
            return error_body(*ERRORS[fault], headers=self._wait_header())
        if not isinstance(body, dict) or not isinstance(body.get("messages"), list) or not body["messages"]:
            return error_body(400, "invalid_value", "The body is a JSON object with a list of messages.")
        if body.get("stream"):
            return error_body(400, "unsupported_value", "This server does not stream.")
        if self.service.settings.models and body.get("model") not in self.service.settings.models:
            return error_body(404, "model_not_found", f"The model {body.get('model')!r} does not exist.")
        return self._throttled()

    def _throttled(self) -> tuple[int, bytes, dict[str, str]] | None:
        service = self.service
        if service.settings.at_once and service.under_way > service.settings.at_once:
            self.fault = "throttled"
            return error_body(*ERRORS["rate_limit"])
        amounts = {"requests": 1.0, "tokens": float(self._input_tokens() + int(self.body.get("max_tokens") or 0))}
        waits = [bucket.wait(amounts[name]) for name, bucket in service.buckets.items()]
        if any(waits):
            self.fault = "throttled"
            told = self._limit_headers() | {"Retry-After": f"{max(waits):.3f}"}
            return error_body(*ERRORS["rate_limit_wait"], headers=told)
        for name, bucket in service.buckets.items():
            bucket.left -= min(amounts[name], bucket.per_minute)
        return None

    def _wait_header(self) -> dict[str, str]:
        faults = self.service.faults
        if self.fault != "rate_limit_wait":
            return {}
        if faults.retry_after_date:
            return {"Retry-After": formatdate(time.time() + faults.retry_after, usegmt=True)}
        return {"Retry-After": f"{faults.retry_after:g}"}

    def _limit_headers(self) -> dict[str, str]:
        told = {}
        for name, bucket in self.service.buckets.items():
            told[f"x-ratelimit-limit-{name}"] = f"{bucket.per_minute:g}"
            told[f"x-ratelimit-remaining-{name}"] = str(max(0, int(bucket.left)))
            told[f"x-ratelimit-reset-{name}"] = f"{bucket.wait(bucket.per_minute):.3f}s"
        return told

    def _input_tokens(self) -> int:
        return sum(4 + tokens_of(str(message.get("content", ""))) for message in self.body["messages"])

    def _content(self) -> dict[str, Any]:
        """Write the body of a completion, with what the fault does to its words."""
        letters, body = self.service.settings.letters, self.body
        if self.fault == "wrong_schema":
            answers = [nonsense(body, letters)]
        elif self.fault == "too_short":
            answers = [answer_to(body | {"max_tokens": 1}, self.service.answers, letters=letters)]
        else:
            count = int(body.get("n") or 1)
            answers = [answer_to(body, self.service.answers, letters=letters, index=at) for at in range(count)]
        content: dict[str, Any] = {
            "id": f"chatcmpl-{self.identity[:12]}-{self.attempt}",
            "object": "chat.completion",
            "created": 0,
            "model": body.get("model", "loopback"),
            "system_fingerprint": "loopback-1",
            "choices": [self._choice(at, one) for at, one in enumerate(answers)],
        }
        if self.fault != "missing_usage":
            asked, said = self._input_tokens(), sum(one.tokens for one in answers)
            content["usage"] = {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}
        return content

    def _choice(self, index: int, answer: Answer) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": answer.text}
        finish = answer.finish
        if self.fault == "refusal":
            message |= {"content": None, "refusal": "I cannot help with that."}
        elif self.fault == "content_filter":
            message["content"], finish = "", "content_filter"
        elif self.fault == "empty":
            message["content"] = ""
        hidden = self.fault in ("refusal", "content_filter", "empty", "no_log_probabilities")
        told = None if hidden or answer.log_probabilities is None else {"content": answer.log_probabilities}
        return {"index": index, "message": message, "logprobs": told, "finish_reason": finish}

    def _charge(self, content: Mapping[str, Any]) -> None:
        service, self.paid = self.service, True
        service.paid[self.identity] = service.paid.get(self.identity, 0) + 1
        usage = content.get("usage") or {}
        service.tokens["input"] += usage.get("prompt_tokens", 0)
        service.tokens["output"] += usage.get("completion_tokens", 0)
        if service.settings.honour_idempotency and self.key:
            service.stored[self.key] = json.dumps(content).encode()

    def _write(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        connection = self.connection
        whole = framed(status, body, self._limit_headers() | dict(headers or {}))
        self.status = status
        if self.fault == "lost":
            self.status = 0
            connection.break_off()
        elif self.fault == "cut":
            connection.transport.write(whole[: len(whole) - len(body) // 2])
            connection.done(close=True)
        elif self.fault == "slow":
            self._drip(whole, len(whole) - len(body))
            return
        elif self.fault == "duplicate":
            connection.transport.write(whole + whole)
            connection.done()
        else:
            connection.transport.write(whole)
            connection.done()
        self.end()

    def _drip(self, whole: bytes, sent: int, pieces: int = 8) -> None:
        """Send the head, then the body piece by piece."""
        seconds = self.service.faults.slow_seconds / pieces
        step = -(-(len(whole) - sent) // pieces)
        self.connection.transport.write(whole[:sent])

        def more(at: int) -> None:
            if self.connection.transport.is_closing():
                self.end()
                return
            self.connection.transport.write(whole[at : at + step])
            if at + step < len(whole):
                asyncio.get_running_loop().call_later(seconds, more, at + step)
            else:
                self.connection.done()
                self.end()

        asyncio.get_running_loop().call_later(seconds, more, sent)

    def end(self) -> None:
        """Enter the call in the log."""
        service, settings = self.service, self.service.settings
        service.under_way -= 1
        seconds = round(time.monotonic() - service.began, 6)
        body = self.body if settings.bodies else None
        one = Served(
            self.number, self.identity, self.attempt, self.fault, self.status, self.paid, seconds, self.at_once
        )
        one.stored, one.body = self.given_again, body
        if len(service.log) < settings.keep:
            service.log.append(one)
        else:
            service.left_out += 1


def error_body(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes, dict[str, str]]:
    """Return an error as the interface writes it: status, body and further headers."""
    body = {"error": {"message": message, "type": code, "code": code, "param": None}}
    return status, json.dumps(body).encode(), dict(headers or {})


def framed(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """Return a response as it goes over the wire."""
    further = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    head = f"HTTP/1.1 {status} {REASONS.get(status, 'Error')}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n{further}\r\n".encode("latin-1", "replace") + body
