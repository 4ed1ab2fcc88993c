"""Servers that speak OpenAI's chat completions: vLLM, SGLang, llama.cpp, Ollama, hosted ones, and gateways to them.

One call is one POST by `aiohttp` (extra "language"), with connections that stay open. Nothing is repeated here: a call
that fails returns a `Failure`, and the gateway around the backend decides.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import math
import os
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, get_args
from urllib.parse import SplitResult, parse_qsl, urlsplit

from simengine.errors import InputError, nearest
from simengine.policies.language.backends.keys import Key, held, looks_secret, without_secrets
from simengine.policies.language.backends.loop_threads import LoopThread
from simengine.policies.language.backends.openai_reading import failure_of, limits_of, reply_of
from simengine.policies.language.backends.token_mass import tokens_needed
from simengine.policies.language.calls import Capabilities, Failure, Reply, Request

if TYPE_CHECKING:
    import aiohttp

SchemaWay = Literal["response_format", "structured_outputs", "prompt"]
SCHEMAS: tuple[SchemaWay, ...] = get_args(SchemaWay)
MOST_TOP_LOG_PROBABILITIES = 20
IDLE_SECONDS = 30.0


class OpenAI:
    """A model behind an OpenAI-compatible server.

    Parameters
    ----------
    base_url
        The address before ``/chat/completions``, "http://localhost:8000/v1" say; by default the environment variable
        ``OPENAI_BASE_URL``. Proxy variables of the environment are honoured except for this machine's own addresses;
        certificates are always verified (``SSL_CERT_FILE`` names further authorities).
    model
        The model's name at that server.
    key, key_env
        The key, or the environment variable that holds it (by default ``OPENAI_API_KEY``; a server may want none).
        A key never shows in attributes, representations, errors, logs or pickles. A pickled backend carries the
        variable's *name* only and reads it again in its new process; a key given as a text does not travel.
    headers
        Further headers. ``${NAME}`` stands for an environment variable and is read in the process that calls; write
        secrets so, for values of headers that look like secrets do not travel either.
    extra
        Further fields of the request's body ("top_p", "reasoning_effort", ...), which become part of the model's name
        in keys and files because they change its answers; ``None`` leaves one of our own fields out.
    timeout
        Seconds of a call made by `complete` or `score`; the gateway gives its own.
    score
        Whether the server tells log-probabilities (``simengine llm doctor`` finds out).
    schema
        How a JSON schema is asked for: OpenAI's ``response_format``, vLLM's ``structured_outputs``, or by words.
    logprob_count
        How many tokens' log-probabilities are asked for at each place, at most 20.
    seed
        Whether a seed made from the request's address is sent, so that servers that honour it repeat their answers.
    connections
        How many connections may be open at once.

    Raises
    ------
    InputError
        For an address that is none or holds a secret, a missing model, or a word that is not allowed.

    Notes
    -----
    Calls of kind "score" ask for one completion with ``top_logprobs`` and add up what begins a label
    (`simengine.policies.language.backends.token_mass`). Servers tell log-probabilities before they apply a temperature,
    as a rule.
    """

    def __init__(
        self,
        base_url: str | None = None,
        model: str = "",
        *,
        key: str | None = None,
        key_env: str = "OPENAI_API_KEY",
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
        timeout: float = 60.0,
        score: bool = True,
        schema: SchemaWay = "response_format",
        logprob_count: int = 20,
        seed: bool = True,
        connections: int = 512,
    ) -> None:
        self.base_url, self._address, query = _address_of(base_url or os.environ.get("OPENAI_BASE_URL", ""))
        if not model:
            raise InputError(f"name the model to ask at {self.base_url} (model=...)")
        if schema not in SCHEMAS:
            raise InputError(f"schema = {schema!r} is none of {', '.join(SCHEMAS)}{nearest(schema, SCHEMAS)}")
        if not 1 <= logprob_count <= MOST_TOP_LOG_PROBABILITIES:
            raise InputError(f"logprob_count = {logprob_count}: 1 to {MOST_TOP_LOG_PROBABILITIES}")
        if not timeout > 0.0 or connections < 1:
            raise InputError(f"timeout = {timeout}, connections = {connections}: both are positive")
        self.model, self.extra, self.timeout = model, dict(extra or {}), float(timeout)
        self.can_score, self.schema, self.logprob_count = bool(score), schema, int(logprob_count)
        self.seed, self.connections, self.key_env = bool(seed), int(connections), key_env
        self.limits: dict[str, float] = {}
        self._key = Key(key, template=f"${{{key_env}}}" if key_env else "")
        self._headers = held(headers or {})
        self._posts = f"{self._address}/chat/completions{query}"
        self._asks_models = f"{self._address}/models{query}"
        self._name = f"openai/{model}" + _further(self.extra)
        self._begin()

    def _begin(self) -> None:
        self._sessions: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, aiohttp.ClientSession]
        self._sessions = weakref.WeakKeyDictionary()
        self._schemas: dict[str, dict[str, Any]] = {}
        self._tokens: dict[tuple[str, ...], int] = {}
        self._thread: LoopThread | None = None
        self._finish: weakref.finalize[..., OpenAI] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Everything but connections, what they were opened with, and what the server told."""
        passing = ("_sessions", "_schemas", "_tokens", "_thread", "_finish")
        return {name: value for name, value in self.__dict__.items() if name not in passing}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    def __repr__(self) -> str:
        return f"OpenAI({self.base_url!r}, {self.model!r}, key=***)"

    def capabilities(self) -> Capabilities:
        """What the user said it can do, and the limits that its headers told so far."""
        return Capabilities(
            self._name, score=self.can_score, schema=True, batch=64, label=f"{self.model} by HTTP", limits=self.limits
        )

    def complete(self, requests: Sequence[Request]) -> list[Reply | Failure]:
        """Answer requests in their order, many at once."""
        return self._wait_for(requests)

    def score(self, requests: Sequence[Request]) -> list[Reply | Failure]:
        """Return log-probabilities of the labels of requests, in their order."""
        return self._wait_for(requests)

    def models(self) -> list[str] | Failure:
        """Return the names of the models that the server lists."""
        found: list[str] | Failure = self._run(self._listed())
        return found

    def close(self) -> None:
        """Close the connections that `complete`, `score` and `models` opened; the backend may be used again."""
        if self._finish is not None:
            self._finish()
        self._thread = self._finish = None

    async def answer(self, request: Request, *, timeout: float, idempotency: str = "") -> Reply | Failure:
        """Answer one request within ``timeout`` seconds; ``idempotency`` is sent for servers that know such keys."""
        body = json.dumps(self.body_of(request), separators=(",", ":")).encode()
        found = await self._call("POST", self._posts, timeout, body, idempotency)
        if isinstance(found, Failure):
            return found
        return reply_of(request, found, self._clean)

    async def leave(self) -> None:
        """Close the connections that the running event loop holds."""
        session = self._sessions.pop(asyncio.get_running_loop(), None)
        if session is not None:
            await session.close()

    def body_of(self, request: Request) -> dict[str, Any]:
        """Return the JSON body that asks ``request``."""
        messages = [{"role": message.role, "content": message.text} for message in request.messages]
        body: dict[str, Any] = {
            "model": self.model,
            "messages": messages,
            "temperature": request.temperature,
            "max_tokens": request.max_tokens,
        }
        if self.seed:
            body["seed"] = int(request.key(self._name)[:8], 16) & 0x7FFFFFFF
        if request.kind == "score":
            body |= {"logprobs": True, "top_logprobs": self.logprob_count, "max_tokens": self._tokens_for(request)}
        elif request.schema:
            self._ask_for_schema(body, request.schema)
        for name, value in self.extra.items():
            if value is None:
                body.pop(name, None)
            else:
                body[name] = value
        return body

    def _tokens_for(self, request: Request) -> int:
        found = self._tokens.get(request.labels)
        if found is None:
            found = self._tokens[request.labels] = tokens_needed(request.labels)
        return found

    def _ask_for_schema(self, body: dict[str, Any], text: str) -> None:
        schema = self._schemas.get(text)
        if schema is None:
            schema = self._schemas[text] = _strict(json.loads(text))
        if self.schema == "response_format":
            wrapped = {"name": "answer", "strict": True, "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": wrapped}
        elif self.schema == "structured_outputs":
            body["structured_outputs"] = {"json": schema}
        else:
            asked = f"\n\nAnswer with one JSON value that fits this JSON schema, and with nothing else:\n{text}"
            body["messages"][-1]["content"] += asked

    async def _call(
        self, method: str, url: str, timeout: float, body: bytes | None = None, idempotency: str = ""
    ) -> bytes | Failure:
        """Send one request and return the body of a good answer, or why there is none."""
        try:
            import aiohttp
        except ImportError:
            raise InputError("calls over a network need aiohttp: pip install 'simengine[language]'") from None
        missing = self._missing_variable()
        if missing:
            return Failure("authentication", missing)
        headers = {"Idempotency-Key": idempotency} if idempotency else None
        try:
            async with (
                asyncio.timeout(None if math.isinf(timeout) else timeout),
                self._session().request(method, url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                content = await answer.read()
                status, told = answer.status, {name.lower(): value for name, value in answer.headers.items()}
        except TimeoutError:
            return Failure("timeout", f"{self.base_url} did not answer within {timeout:g} s")
        except aiohttp.ClientSSLError as error:
            return Failure("invalid", self._clean(f"{self.base_url}: no secure connection: {_said(error)}"))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Failure("transient", self._clean(f"{self.base_url}: {_said(error)}"))
        limits = limits_of(told)
        if limits:
            self.limits = limits
        if status == 200:
            return content
        if 300 <= status < 400:
            return Failure("invalid", f"{self.base_url} sends calls elsewhere; give the address it names", status)
        failure = failure_of(status, content, told, self._clean)
        if failure.kind == "authentication" and not self._key.reveal():
            missing = f"; no key was sent, for {self.key_env or 'a variable'} is not set where the call was made"
            return replace(failure, message=failure.message + missing)
        if status == 404 and "model" not in failure.message.casefold():
            hint = "" if self.base_url.endswith("/v1") else f"; did you mean {self.base_url}/v1?"
            return Failure("unknown_model", f"there is no {urlsplit(url).path} at {self.base_url}{hint}", status)
        return failure

    async def _listed(self) -> list[str] | Failure:
        found = await self._call("GET", self._asks_models, self.timeout)
        if isinstance(found, Failure):
            return found
        try:
            return [str(one["id"]) for one in json.loads(found)["data"]]
        except (ValueError, KeyError, TypeError):
            return Failure("malformed", "the server's list of models cannot be read", 200)

    def _session(self) -> aiohttp.ClientSession:
        """Return the running loop's session; connections belong to the loop that opened them."""
        import aiohttp

        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is None:
            connector = aiohttp.TCPConnector(limit=self.connections, keepalive_timeout=IDLE_SECONDS, ttl_dns_cache=300)
            session = self._sessions[loop] = aiohttp.ClientSession(
                connector=connector,
                headers=self._sent_headers(),
                trust_env=not _is_here(urlsplit(self._address).hostname or ""),
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return session

    def _sent_headers(self) -> dict[str, str]:
        sent = {"Content-Type": "application/json", "User-Agent": "simengine"}
        if self._key.reveal():
            sent["Authorization"] = f"Bearer {self._key.reveal()}"
        return sent | {name: str(value.reveal()) for name, value in self._headers.items()}

    def _missing_variable(self) -> str:
        """Return one line on a header that this process cannot fill in, or nothing."""
        for name, value in self._headers.items():
            if not value.reveal():
                wanted = ", ".join(value.variables()) or "${NAME} in its place"
                return f"the header {name} has no value in this process: set {wanted} where the calls are made"
        return ""

    def _clean(self, text: str) -> str:
        return without_secrets(text, [self._key, *self._headers.values()])

    def _wait_for(self, requests: Sequence[Request]) -> list[Reply | Failure]:
        async def together() -> list[Reply | Failure]:
            # Time spent waiting for a connection is not the server's.
            free = asyncio.Semaphore(self.connections)

            async def one(request: Request) -> Reply | Failure:
                async with free:
                    return await self.answer(request, timeout=self.timeout)

            return list(await asyncio.gather(*map(one, requests)))

        found: list[Reply | Failure] = self._run(together())
        return found

    def _run(self, work: Any) -> Any:
        if self._thread is None:
            self._thread = LoopThread()
            self._finish = weakref.finalize(self, self._thread.finish, self._sessions)
        return self._thread.run(work)


def _address_of(url: str) -> tuple[str, str, str]:
    """Return what is shown of an address, the address before its paths, and the query behind them."""
    if not url:
        raise InputError(
            "no server is named: give base_url or set OPENAI_BASE_URL (http://localhost:8000/v1 for vLLM, "
            "http://localhost:11434/v1 for Ollama, https://api.openai.com/v1 for OpenAI)"
        )
    try:
        parts: SplitResult = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise InputError(f"base_url cannot be read: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError("base_url begins with http:// or https:// and names a host, as in http://localhost:8000/v1")
    if parts.username or parts.password:
        raise InputError("base_url holds a user or a password: give them by key, key_env or headers")
    if any(looks_secret(name) for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
        raise InputError("base_url holds a secret in its query: give it by key, key_env or headers")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    shown = f"{parts.scheme}://{host}" + (f":{port}" if port else "")
    path = parts.path.rstrip("/").removesuffix("/chat/completions").rstrip("/")
    return shown + path, shown + path, f"?{parts.query}" if parts.query else ""


def _further(extra: Mapping[str, Any]) -> str:
    """Return the fields of ``extra`` as they are appended to the model's name."""
    try:
        told = [f"{name}={json.dumps(extra[name], sort_keys=True, separators=(',', ':'))}" for name in sorted(extra)]
    except TypeError as error:
        raise InputError(f"extra holds what JSON cannot: {error}") from None
    for name in extra:
        if looks_secret(name) and not name.startswith(("max_", "min_")):
            raise InputError(f"extra[{name!r}] looks like a secret, which files would show: give it by headers")
    return "?" + "&".join(told) if told else ""


def _strict(schema: Any) -> Any:
    """Return the schema as strict servers want it: objects hold all their properties and no others."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _strict(value) for name, value in schema.items() if name != "default"}
    if isinstance(found.get("properties"), dict):
        found |= {"additionalProperties": False, "required": list(found["properties"])}
    return found


def _is_here(host: str) -> bool:
    """Whether the host is this machine, to which no proxy leads."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _said(error: BaseException) -> str:
    cause = getattr(error, "os_error", None)
    if cause is not None:
        # asyncio puts an address in the place of the system's words.
        known = cause.errno is not None and cause.errno > 0
        return f"no connection ({os.strerror(cause.errno) if known else cause.strerror or cause})"
    return f"{type(error).__name__}: {error}".rstrip(": ")
