"""Ray for as long as it is needed: a local one started quietly, an existing one joined, or the user's own."""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simengine.errors import InputError, RunError
from simengine.scenario.parameters import shown

LOOPBACK = "127.0.0.1"
LOCAL_NAMES = ("localhost", LOOPBACK, "::1")
PORT_SECONDS, GREETING_SECONDS = 3.0, 6.0
TOKEN_BYTES = 32
AUTHENTICATION = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}

# Asked in a process of its own: Ray's client retries for minutes and writes every attempt to the terminal.
GREETING = """
import json, sys
from ray._raylet import GcsClient
try:
    client = GcsClient(address=sys.argv[1])
except Exception as error:
    print(json.dumps({"refused": type(error).__name__, "text": str(error)}))
else:
    try:
        nodes = [str(node.node_manager_address) for node in client.get_all_node_info(timeout=5).values()]
    except Exception:
        nodes = []
    print(json.dumps({"nodes": nodes}))
"""


@dataclass(frozen=True)
class Cluster:
    """A Ray that this process is connected to: ``host:port`` of its head, what it offers, and who started it."""

    address: str
    nodes: int
    cpus: int
    started: bool
    logs: Path | None = None


@contextmanager
def connect(address: str | None = None, *, workers: int | None = None) -> Iterator[Cluster]:
    """Connect this process to Ray while the context lasts; what it started or joined, it leaves again.

    A Ray that the process is connected to already is used and left running. Else ``address`` (or ``RAY_ADDRESS``)
    says which to join: ``host:port`` of its head, or ``auto`` for the one started on this machine by ``ray start``.
    With neither, or with ``local``, a local Ray with ``workers`` processors (all available ones) is started. It
    listens on the loopback interface only and asks for a random token that no file holds; its workers inherit this
    process's environment. Python's and numpy's global random states are left as they are (ray#10145).

    Raises
    ------
    InputError
        The address is not one, nobody answers there, or the token is refused.
    RunError
        Ray did not start.
    """
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
        raise InputError(f"workers: {shown(workers)} is not a number of processes; 1 or more is")
    if address is not None and (not isinstance(address, str) or not address.strip()):
        raise InputError(f"address: {shown(address)} is neither 'host:port' nor 'auto' nor 'local'")
    with _quiet():
        with _same_state():
            import ray

        if ray.is_initialized():
            yield _described(_of_the_user(ray, address), started=False)
            return
        chosen = address or os.environ.get("RAY_ADDRESS") or "local"
        with contextlib.ExitStack() as kept:
            if chosen == "local":
                _start(ray, workers or processors(), kept)
            else:
                _join(ray, chosen, kept)
            yield _described(ray, started=chosen == "local")


def processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def authenticated(token: str) -> Iterator[None]:
    """Let every Ray that is started or joined while the context lasts ask for, or show, this token.

    Ray's native part keeps what it has read until ``read_authentication_anew``, which a process that is still
    connected must not call.
    """
    with _environment(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=token, RAY_AUTH_TOKEN_PATH=None):
        read_authentication_anew()
        yield


def read_authentication_anew() -> None:
    """Make Ray's native part read mode and token again, which it keeps from the first time it needed them."""
    native: Any = importlib.import_module("ray._raylet")
    with contextlib.suppress(AttributeError):  # Ray before 2.52 has no tokens
        native.Config.initialize("")
        native.AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def loopback() -> Iterator[None]:
    """Let Ray take the loopback interface for this machine's address, as it does by default on macOS and Windows."""
    with _environment(RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0"), contextlib.ExitStack() as kept:
        from ray._private import ray_constants

        if hasattr(ray_constants, "ENABLE_RAY_CLUSTER"):
            kept.callback(setattr, ray_constants, "ENABLE_RAY_CLUSTER", ray_constants.ENABLE_RAY_CLUSTER)
            ray_constants.ENABLE_RAY_CLUSTER = False
        yield


def _start(ray: Any, workers: int, kept: contextlib.ExitStack) -> None:
    """Start a local Ray and leave its stop with ``kept``."""
    began = time.time()
    kept.callback(read_authentication_anew)
    try:
        with _environment(**QUIET), authenticated(secrets.token_hex(TOKEN_BYTES)), loopback(), _same_state():
            ray.init(
                address="local",
                num_cpus=workers,
                include_dashboard=False,
                configure_logging=False,
                log_to_driver=False,
                _node_ip_address=LOOPBACK,
            )
    except Exception as error:
        with contextlib.suppress(Exception):
            _leave(ray)
        logs = _newest_logs(began)
        where = f"; its log is in {logs}" if logs else ""
        raise RunError(f"Ray did not start on this machine: {_first_line(error)}{where}") from error
    kept.callback(_leave, ray)


def _join(ray: Any, address: str, kept: contextlib.ExitStack) -> None:
    """Join the Ray at an address, after asking whether it is there, and leave the parting with ``kept``."""
    found = _found_here(ray) if address == "auto" else address
    host, port = _host_and_port(found)
    kept.callback(read_authentication_anew)
    nodes = _greet(host, port, kept)
    try:
        with _environment(**QUIET), _same_state(), contextlib.ExitStack() as joining:
            if host in LOCAL_NAMES and LOOPBACK in nodes:
                joining.enter_context(loopback())
            ray.init(address=f"{host}:{port}", configure_logging=False, log_to_driver=False)
    except Exception as error:
        with contextlib.suppress(Exception):
            _leave(ray)
        raise InputError(f"address: the Ray at {host}:{port} could not be joined: {_first_line(error)}") from error
    kept.callback(_leave, ray)


def _leave(ray: Any) -> None:
    with _same_state():
        ray.shutdown()


def _found_here(ray: Any) -> str:
    """Return the address of the Ray that ``ray start`` started on this machine."""
    found = None
    with contextlib.suppress(ConnectionError):
        found = ray._private.services.canonicalize_bootstrap_address("auto")
    if found is None:
        raise InputError("address: 'auto' found no Ray on this machine; 'ray start --head' starts one")
    return str(found)


def _host_and_port(address: str) -> tuple[str, int]:
    if address.startswith("ray://"):
        raise InputError(
            f"address: {address!r} is that of a Ray client server; run this on a node of the cluster, with 'auto' or "
            "the head's 'host:port' (6379 by default)"
        )
    host, _, port = address.strip().rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 2**16:
        raise InputError(f"address: {shown(address)} is neither 'host:port' (the head's, 6379 by default) nor 'auto'")
    return host.strip("[]"), int(port)


def _greet(host: str, port: int, kept: contextlib.ExitStack) -> list[str]:
    """Return the addresses of the nodes of the Ray at ``host:port``, or say in one line why there is none."""
    try:
        socket.create_connection((host, port), timeout=PORT_SECONDS).close()
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise InputError(f"address: nobody answers at {host}:{port} ({reason.lower()})") from error
    answer = _answer(host, port)
    if answer.get("refused") == "AuthenticationError" and not os.environ.get("RAY_AUTH_MODE") and _has_token():
        kept.enter_context(_environment(RAY_AUTH_MODE="token"))
        read_authentication_anew()
        answer = _answer(host, port)
    if answer.get("refused") == "AuthenticationError":
        given = "the token given is not its own" if _has_token() else "no token was given"
        raise InputError(
            f"address: the Ray at {host}:{port} asks for a token, and {given}; set RAY_AUTH_MODE=token with "
            "RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"
        )
    if "nodes" not in answer:
        raise InputError(f"address: what answers at {host}:{port} is not a Ray head ({answer['text']})")
    return list(answer["nodes"])


def _answer(host: str, port: int) -> dict[str, Any]:
    with loopback(), _environment(**QUIET):
        command = [sys.executable, "-P", "-c", GREETING, f"{host}:{port}"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=GREETING_SECONDS, check=False)
            answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        except subprocess.TimeoutExpired:
            return {"text": f"no greeting within {GREETING_SECONDS:.0f} s"}
        except (IndexError, ValueError):
            return {"text": "no greeting"}
    return answer | {"text": _first_line(answer.get("text", ""))}


def _has_token() -> bool:
    default = Path.home() / ".ray" / "auth_token"
    return any(os.environ.get(name) for name in AUTHENTICATION[1:]) or default.is_file()


def _of_the_user(ray: Any, address: str | None) -> Any:
    """Return Ray if it is connected to what the user now asks for."""
    connected = str(ray.get_runtime_context().gcs_address)
    if address in (None, "auto", "local", connected):
        return ray
    host, port = _host_and_port(str(address))
    there = host
    with contextlib.suppress(OSError):
        there = socket.gethostbyname(host)
    if f"{there}:{port}" != connected and not (host in LOCAL_NAMES and connected.endswith(f":{port}")):
        raise InputError(f"address: this process is connected to the Ray at {connected}; call ray.shutdown() to leave")
    return ray


def _described(ray: Any, *, started: bool) -> Cluster:
    alive = [node for node in ray.nodes() if node["Alive"]]
    node = ray._private.worker._global_node
    return Cluster(
        address=str(ray.get_runtime_context().gcs_address),
        nodes=len(alive),
        cpus=int(sum(node["Resources"].get("CPU", 0) for node in alive)),
        started=started,
        logs=Path(node.get_logs_dir_path()) if node is not None else None,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Ray's loggers, and what its nodes say of workers that died, off the terminal while the context lasts."""
    logger = logging.getLogger("ray")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    with _same_state():
        worker: Any = importlib.import_module("ray._private.worker")
    say = getattr(worker, "print_to_stdstream", None)
    if say is not None:
        worker.print_to_stdstream = _say_nothing
    try:
        yield
    finally:
        logger.setLevel(level)
        if say is not None:
            worker.print_to_stdstream = say


def _say_nothing(*_: Any, **__: Any) -> None:
    """Take the place of what prints to the terminal."""


@contextmanager
def _environment(**values: str | None) -> Iterator[None]:
    """Set environment variables (``None``: none) while the context lasts."""
    before = {name: os.environ.get(name) for name in values}
    _set_environment(values)
    try:
        yield
    finally:
        _set_environment(before)


def _set_environment(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def _same_state() -> Iterator[None]:
    """Undo what Ray does to the process on the way: draws from global generators, a handler of SIGTERM, a debugger."""
    python, numpy = random.getstate(), sys.modules.get("numpy")
    drawn = numpy.random.get_state() if numpy is not None else None
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with _environment(PYTHONBREAKPOINT=os.environ.get("PYTHONBREAKPOINT")):
            yield
    finally:
        random.setstate(python)
        if numpy is not None:
            numpy.random.set_state(drawn)
        if threading.current_thread() is threading.main_thread() and handler is not None:
            signal.signal(signal.SIGTERM, handler)


def _newest_logs(since: float) -> Path | None:
    folder = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()) / "ray" / "session_latest"
    try:
        return folder.resolve(strict=True) / "logs" if folder.lstat().st_mtime >= since - 1 else None
    except OSError:
        return None


def _first_line(error: object) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
