r"""A language model's server to test against: OpenAI-compatible, on 127.0.0.1, in a process of its own.

It holds no model. Its answers are a function of the request, its latency and its faults are yours to set, and it counts
what it was asked and what it would have been paid for::

    from simengine.testing.language_faults import Faults
    from simengine.testing.language_server import serve

    with serve(latency=0.05, faults=Faults(seed=1, rate_limit=0.2)) as server:
        ...  # whatever speaks to server.url
        assert server.paid.twice == {}

or for any client, from a shell::

    python -m simengine.testing.language_server --port 8000 --latency 0.05 --fault rate_limit=0.2

Served are ``POST /v1/chat/completions`` (log-probabilities, JSON schemas, several choices, usage; no streams),
``GET /v1/models`` and ``GET /health``. About itself the server tells under ``/server/``: ``GET /server/log``,
``GET /server/paid``, ``POST /server/faults`` (a JSON object of `Faults`) and ``POST /server/reset``.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any

import simengine
from simengine.errors import InputError, RunError
from simengine.testing.language_answers import address_of, imported
from simengine.testing.language_faults import NONE, Faults
from simengine.testing.language_service import Served, Service, Settings
from simengine.testing.language_wire import Connection

HOST = "127.0.0.1"
START_SECONDS = 30.0
CLOSE_SECONDS = 3.0

# The folder in which this package lies is tried last, so that nothing beside it hides what the program needs.
PROGRAM = f"import sys; sys.path.append(sys.argv[1]); from {__spec__.name} import run_job; run_job()"

__all__ = ["Faults", "Paid", "Served", "Server", "serve"]


@dataclass(frozen=True)
class Paid:
    """What a provider would charge: answers made, in total and by idempotency key (or digest of the body).

    Beside it the number of calls that arrived, how many were under way at once at most, how many the log left out, and
    how many connections they came by.
    """

    total: int
    by_key: dict[str, int]
    input_tokens: int
    output_tokens: int
    calls: int
    most_at_once: int
    left_out: int
    connections: int

    @property
    def twice(self) -> dict[str, int]:
        """The keys that were paid more than once."""
        return {key: count for key, count in self.by_key.items() if count > 1}


class Server:
    """A server that runs; made by `serve`, closed by `close` or at the end of a ``with``."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.port, self.pid = port, process.pid
        self._process = process
        self._finalizer = weakref.finalize(self, _end, process)

    @property
    def url(self) -> str:
        """The base URL for clients, which ends in /v1."""
        return f"http://{HOST}:{self.port}/v1"

    @property
    def paid(self) -> Paid:
        """What was paid so far."""
        return Paid(**self._asked("GET", "/server/paid"))

    def log(self, first: int = 0) -> list[Served]:
        """Return the calls served so far in the order of their arrival, from number ``first`` on."""
        found = [Served(**one) for one in self._asked("GET", f"/server/log?from={int(first)}")]
        return sorted(found, key=lambda one: one.number)

    def set_faults(self, faults: Faults = NONE) -> None:
        """Let other faults happen from now on; without any, none."""
        self._asked("POST", "/server/faults", faults.as_dict())

    def reset(self) -> None:
        """Forget what was served and paid: arrivals and attempts count from 0 again; faults stay."""
        self._asked("POST", "/server/reset")

    def close(self) -> None:
        """End the server's process; a second time does nothing."""
        self._finalizer()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "running" if self._finalizer.alive and self._process.poll() is None else "closed"
        return f"Server({self.url}, {state})"

    def _asked(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        connection = HTTPConnection(HOST, self.port, timeout=30.0)
        try:
            connection.request(method, path, json.dumps(body or {}).encode() if method == "POST" else None)
            answer = connection.getresponse()
            told = json.loads(answer.read())
        except OSError as error:
            raise RunError(f"the loopback server at port {self.port} does not answer: {error}") from None
        finally:
            connection.close()
        if answer.status != 200:
            raise InputError(told["error"]["message"])
        return told


def serve(
    answers: str | Callable[..., Any] | None = None,
    latency: float | tuple[float, float] = 0.0,
    faults: Faults = NONE,
    *,
    port: int = 0,
    models: Iterable[str] = (),
    key: str = "",
    requests_per_minute: float = 0.0,
    tokens_per_minute: float = 0.0,
    at_once: int = 0,
    honour_idempotency: bool = False,
    letters: int = 0,
    keep: int = 100_000,
    bodies: bool = False,
) -> Server:
    """Start a server in a process of its own and return when it answers.

    Parameters
    ----------
    answers
        A function of the request's JSON body, as "module:function", "file.py:function" or itself (found by its
        module and name in the other process). It returns a text; or probabilities of texts, floats that add up to 1,
        one of which is drawn (a schema of whole percentages gets them in hundredths); or other values, sent as JSON.
        It may be a function of the body only. Without one, a digest of the request gives a distribution over the
        labels that its messages or its schema name, values that fit its schema, or words without sense.
    latency
        Seconds from a call to its answer, or their least and greatest, drawn by the request and its attempt.
    faults
        What goes wrong.
    port
        Where to listen; 0 finds a free one.
    models
        Names of the models served; others are unknown. Without any, every name is served.
    key
        What clients must send as their key; any if empty.
    requests_per_minute, tokens_per_minute
        Limits: calls beyond them get 429 with ``Retry-After``, all answers ``x-ratelimit-*`` headers. 0 is no limit.
    at_once
        Calls under way beyond which further ones get 429; 0 is no limit.
    honour_idempotency
        Whether an idempotency key that was answered before gets the same answer again, without charge.
    letters
        Letters of a token; 0 makes every word one. Small numbers give labels that share their first tokens.
    keep
        How many calls the log holds; later ones are counted in ``paid.left_out``.
    bodies
        Whether the log holds the requests' bodies.

    Raises
    ------
    InputError
        For answers that the other process cannot import, or a port that is taken.
    RunError
        When the process does not come up.
    """
    low, high = latency if isinstance(latency, tuple) else (latency, latency)
    if not 0.0 <= low <= high:
        raise InputError(f"latency = {latency!r}: seconds, or their least and greatest")
    settings = Settings(
        (low, high), tuple(models), key, requests_per_minute, tokens_per_minute, at_once, honour_idempotency, letters,
        keep, bodies,
    )  # fmt: skip
    job = {
        "path": sys.path,
        "answers": address_of(answers),
        "settings": asdict(settings),
        "faults": faults.as_dict(),
        "port": port,
    }
    return _started(job)


def _started(job: Mapping[str, Any]) -> Server:
    """Start the process: its job goes in by its input, whose end tells it to leave; its port comes out."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", PROGRAM, str(Path(simengine.__file__).parents[1])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # An interrupt at the terminal is the caller's; this process leaves when its input ends.
        start_new_session=True,
    )
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps(job).encode() + b"\n")
        process.stdin.flush()
        told = _first_line(process)
    except (BrokenPipeError, RunError):
        _end(process)
        raise RunError("the loopback server did not start; its own words are above") from None
    except BaseException:
        _end(process)
        raise
    if "error" in told:
        _end(process)
        raise InputError(told["error"])
    return Server(process, told["port"])


def _first_line(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    line = process.stdout.readline() if ready else b""
    if not line:
        raise RunError("no first line")
    found: dict[str, Any] = json.loads(line)
    return found


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:
                continue
    process.terminate()
    try:
        process.wait(CLOSE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


async def _serve_until(service: Service, port: int, told: Callable[[int], None], leave: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leave.set)
    try:
        server = await loop.create_server(lambda: Connection(service), HOST, port, backlog=2048)
    except OSError as error:
        raise InputError(f"port {port}: {error.strerror or error}") from None
    told(server.sockets[0].getsockname()[1])
    # What was loaded stays for good: the collector need not look at it again during calls.
    gc.freeze()
    await leave.wait()
    server.close()


def run_job() -> None:
    """Serve as the first line of the input says, until the input ends."""
    job = json.loads(sys.stdin.buffer.readline())
    sys.path.extend(path for path in job["path"] if path not in sys.path)

    def tell(word: Mapping[str, Any]) -> None:
        sys.stdout.write(json.dumps(word) + "\n")
        sys.stdout.flush()

    async def main() -> None:
        leave, loop = asyncio.Event(), asyncio.get_running_loop()

        def wait_for_the_end() -> None:
            sys.stdin.buffer.read()
            loop.call_soon_threadsafe(leave.set)

        threading.Thread(target=wait_for_the_end, daemon=True).start()
        await _serve_until(service, job["port"], lambda port: tell({"port": port}), leave)

    try:
        settings = Settings(**job["settings"] | {"latency": tuple(job["settings"]["latency"])})
        service = Service(settings, Faults.from_dict(job["faults"]), imported(job["answers"]))
        asyncio.run(main())
    except InputError as error:
        tell({"error": str(error)})
    # The thread that reads the input may hold its lock; an ordinary end would wait for it.
    sys.stdout.flush()
    os._exit(0)


def _faults_of(words: Sequence[str], script: str, seed: int) -> Faults:
    values: dict[str, Any] = {"seed": seed}
    for word in words:
        name, _, value = word.partition("=")
        try:
            values[name] = float(value)
        except ValueError:
            raise InputError(f"--fault {word}: write NAME=PROBABILITY") from None
    if script:
        values["script"] = tuple(one.strip() for one in script.split(","))
    return Faults.from_dict(values)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve from a shell until interrupted; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m simengine.testing.language_server",
        description="An OpenAI-compatible server without a model, on 127.0.0.1, to test set-ups against.",
        epilog="Faults: " + ", ".join(Faults.kinds()) + ".",
    )
    parser.add_argument("--port", type=int, default=8000, help="where to listen (8000); 0 finds a free port")
    parser.add_argument("--latency", default="0", help="seconds of each answer, or LEAST,GREATEST")
    parser.add_argument("--answers", default="", help="module:function or file.py:function of the request's body")
    parser.add_argument("--fault", action="append", default=[], metavar="NAME=P", help="a fault and its probability")
    parser.add_argument("--script", default="", metavar="A,B,...", help="faults of the first calls; empty: none")
    parser.add_argument("--seed", type=int, default=0, help="of the faults")
    parser.add_argument("--model", action="append", default=[], help="a name served; every name if left out")
    parser.add_argument("--key", default="", help="name of an environment variable with the key that clients must send")
    parser.add_argument("--requests-per-minute", type=float, default=0.0, help="limit told and kept; 0: none")
    parser.add_argument("--tokens-per-minute", type=float, default=0.0, help="limit told and kept; 0: none")
    parser.add_argument("--at-once", type=int, default=0, help="calls under way at most; 0: no limit")
    parser.add_argument("--honour-idempotency", action="store_true", help="answer a repeated key from memory")
    parser.add_argument("--letters", type=int, default=0, help="letters of a token; 0: whole words")
    options = parser.parse_args(arguments)
    try:
        low, _, high = options.latency.partition(",")
        settings = Settings(
            latency=(float(low), float(high or low)),
            models=tuple(options.model),
            key=os.environ.get(options.key, "") if options.key else "",
            requests_per_minute=options.requests_per_minute,
            tokens_per_minute=options.tokens_per_minute,
            at_once=options.at_once,
            honour_idempotency=options.honour_idempotency,
            letters=options.letters,
            keep=1_000_000,
        )
        faults = _faults_of(options.fault, options.script, options.seed)
        service = Service(settings, faults, imported(options.answers))

        async def run() -> None:
            await _serve_until(
                service, options.port, lambda port: print(f"http://{HOST}:{port}/v1", flush=True), asyncio.Event()
            )

        asyncio.run(run())
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    paid = service.control("/server/paid", b"")
    print(f"\n{paid['calls']} calls, {paid['total']} paid, {time.monotonic() - service.began:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
