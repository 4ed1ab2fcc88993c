from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import ray
from ray_nodes import ray_nodes

from simengine.errors import InputError, RunError
from simengine.shards.channels import Address, Mesh, PeerLost, new_key
from simengine.shards.ray_cluster import Cluster, connect

TOKEN = "5eed" * 16
FIRST_START = """
import json, logging, os, random, secrets, signal, sys
import numpy as np
random.seed(1), np.random.seed(2)
secrets.token_hex = lambda length: "5eed" * 16
before = random.getstate(), np.random.get_state()[1].tolist(), dict(os.environ), signal.getsignal(signal.SIGTERM)
from simengine.shards.ray_cluster import connect
with connect(workers=3) as cluster:
    import ray
    on_worker = ray.get(ray.remote(lambda: dict(os.environ)).remote())
    host = ray.util.get_node_ip_address()
    with connect(cluster.address) as again:
        inner = again.started
connected = ray.is_initialized()
environment = {name: value for name, value in os.environ.items() if name != "RAY_CLIENT_MODE"}
after = random.getstate(), np.random.get_state()[1].tolist(), environment, signal.getsignal(signal.SIGTERM)
print(json.dumps({
    "cluster": [cluster.address, cluster.nodes, cluster.cpus, cluster.started, str(cluster.logs)],
    "host": host, "inner": inner, "connected": connected, "same": [a == b for a, b in zip(before, after)],
    "worker": {name: on_worker.get(name) for name in ("SIMENGINE_CACHE_DIR", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN")},
}))
"""
JOIN = """
import sys
from simengine.shards.ray_cluster import connect
from simengine.errors import SimengineError
try:
    with connect(sys.argv[1]) as cluster:
        print(cluster.nodes, cluster.cpus, cluster.started)
except SimengineError as error:
    print(type(error).__name__, error)
"""


def script(text: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    command = [sys.executable, "-c", text, *arguments]
    return subprocess.run(command, env=kept | environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def first_start(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Any]:
    done = script(FIRST_START, SIMENGINE_CACHE_DIR=str(tmp_path_factory.mktemp("kernels")))
    assert done.returncode == 0, done.stderr
    return done, json.loads(done.stdout.splitlines()[-1])


def test_a_local_ray_offers_the_workers_asked_for_and_ends_with_the_context(first_start: Any) -> None:
    address, nodes, cpus, started, _ = first_start[1]["cluster"]
    assert (nodes, cpus, started) == (1, 3, True)
    assert first_start[1]["connected"] is False
    host, _, port = address.rpartition(":")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((host, int(port)), timeout=2)


def test_a_local_ray_can_be_reached_from_this_machine_only(first_start: Any) -> None:
    assert first_start[1]["host"] == "127.0.0.1"
    assert first_start[1]["cluster"][0].startswith("127.0.0.1:")


def test_starting_ray_writes_nothing_to_the_terminal(first_start: Any) -> None:
    done, _ = first_start
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1


def test_starting_ray_leaves_random_states_environment_and_signals_as_they_were(first_start: Any) -> None:
    assert first_start[1]["same"] == [True] * 4


def test_workers_inherit_the_environment_and_ask_for_a_token(first_start: Any, tmp_path: Path) -> None:
    worker = first_start[1]["worker"]
    assert worker["SIMENGINE_CACHE_DIR"].startswith(str(tmp_path.parent.parent))
    assert (worker["RAY_AUTH_MODE"], worker["RAY_AUTH_TOKEN"]) == ("token", TOKEN)


def test_no_file_of_ray_holds_the_token(first_start: Any) -> None:
    session = Path(first_start[1]["cluster"][4]).parent
    files = [path for path in session.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if TOKEN.encode() in path.read_bytes()]


def test_a_context_within_another_uses_its_ray(first_start: Any) -> None:
    assert first_start[1]["inner"] is False


def test_a_ray_that_the_process_is_connected_to_is_used_and_left_running(ray_session: Cluster) -> None:
    with connect() as cluster:
        assert (cluster.address, cluster.cpus, cluster.started) == (ray_session.address, 2, False)
    assert ray.is_initialized()


def test_another_address_than_that_of_the_connected_ray_is_refused(ray_session: Cluster) -> None:
    with pytest.raises(InputError, match=r"connected to the Ray at 127.0.0.1:\d+; call ray.shutdown"), connect("a:1"):
        pass


def test_an_existing_ray_is_joined_with_its_token_only_and_left_running(ray_session: Cluster) -> None:
    token = ray.get(ray.remote(lambda: os.environ["RAY_AUTH_TOKEN"]).remote())
    joined = script(JOIN, ray_session.address, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=token)
    # Whoever has set a token but no mode gets the mode that the cluster asks for.
    unsaid = script(JOIN, ray_session.address, RAY_AUTH_TOKEN=token)
    assert (joined.stdout, joined.stderr) == ("1 2 False\n", "")
    assert unsaid.stdout == joined.stdout
    assert ray.get(ray.remote(lambda: "still here").remote()) == "still here"


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({}, "no token was given"),
        ({"RAY_AUTH_MODE": "disabled"}, "no token was given"),
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "ab" * 32}, "the token given is not its own"),
    ],
)
def test_a_ray_whose_token_is_not_shown_is_not_joined(
    ray_session: Cluster, environment: dict[str, str], reason: str, tmp_path: Path
) -> None:
    done = script(JOIN, ray_session.address, HOME=str(tmp_path), **environment)
    assert done.stdout == (
        f"InputError address: the Ray at {ray_session.address} asks for a token, and {reason}; "
        "set RAY_AUTH_MODE=token with RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH\n"
    )
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("", "neither 'host:port' nor 'auto' nor 'local'"),
        ("head", "'head' is neither 'host:port'"),
        ("head:gcs", "'head:gcs' is neither 'host:port'"),
        ("head:99999", "'head:99999' is neither 'host:port'"),
        ("ray://head:10001", "is that of a Ray client server"),
        ("127.0.0.1:1", r"nobody answers at 127\.0\.0\.1:1 \(connection refused\)"),
        ("nowhere.invalid:6379", r"nobody answers at nowhere\.invalid:6379"),
    ],
)
def test_an_address_at_which_there_is_no_ray_is_one_line(address: str, message: str) -> None:
    with not_connected(), pytest.raises(InputError, match=message) as caught, connect(address):
        pass
    assert str(caught.value).startswith("address: ")


@pytest.mark.parametrize("found", [None, ConnectionError("no Ray")])
def test_auto_finds_nothing_where_no_ray_was_started(monkeypatch: pytest.MonkeyPatch, found: Any) -> None:
    monkeypatch.setattr(ray._private.services, "canonicalize_bootstrap_address", Mock(side_effect=[found]))
    with not_connected(), pytest.raises(InputError) as caught, connect("auto"):
        pass
    assert str(caught.value) == "address: 'auto' found no Ray on this machine; 'ray start --head' starts one"


def test_what_answers_but_is_no_ray_is_told_within_ten_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, not_connected():
        began = time.monotonic()
        with pytest.raises(InputError, match="is not a Ray head"), connect(f"127.0.0.1:{server.getsockname()[1]}"):
            pass
        assert time.monotonic() - began < 20


@pytest.mark.parametrize("workers", [0, -1, 1.5, True, "2"])
def test_workers_are_a_number_of_processes(workers: Any) -> None:
    with pytest.raises(InputError, match="is not a number of processes; 1 or more is"), connect(workers=workers):
        pass


def test_a_ray_that_cannot_start_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("not a folder")
    done = script(JOIN, "local", RAY_TMPDIR=str(tmp_path / "taken"))
    assert re.fullmatch(r"RunError Ray did not start on this machine: .*Not a directory.*\n", done.stdout)
    assert done.stderr == ""


def test_the_log_is_named_when_ray_fails_late(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def init(**_: Any) -> None:
        session = tmp_path / "ray" / "session_now"
        (session / "logs").mkdir(parents=True)
        (tmp_path / "ray" / "session_latest").symlink_to(session)
        raise ValueError("The object store is too small.\nMore words.")

    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr("simengine.shards.ray_cluster.read_authentication_anew", lambda: None)
    with not_connected(), pytest.raises(RunError) as caught, connect("local"):
        pass
    where = tmp_path / "ray" / "session_now" / "logs"
    assert str(caught.value) == (
        f"Ray did not start on this machine: The object store is too small; its log is in {where}"
    )


@contextmanager
def not_connected() -> Iterator[None]:
    """Let this process look as if it were not connected to Ray."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray, "is_initialized", lambda: False)
        patch.setattr("simengine.shards.ray_cluster.read_authentication_anew", lambda: None)
        yield


def test_actors_exchange_directly_and_miss_one_that_was_killed(ray_session: Cluster) -> None:
    class Talker:
        def listen(self) -> Address:
            self.mesh = Mesh()
            return self.mesh.listen(ray.util.get_node_ip_address())

        def connect(self, addresses: list[Address], number: int, key: bytes) -> None:
            self.mesh.connect(addresses, number, key, 30)

        def talk(self, steps: int) -> list[bytes]:
            for step in range(steps):
                text = b"step %d of %d" % (step, self.mesh.number)
                received = self.mesh.exchange([text] * self.mesh.shards, 60)
            return [one.tobytes() for one in received]

    actors = [ray.remote(num_cpus=0)(Talker).remote() for _ in range(3)]
    addresses = ray.get([actor.listen.remote() for actor in actors])
    key = new_key()
    ray.get([actor.connect.remote(addresses, number, key) for number, actor in enumerate(actors)])
    for texts in ray.get([actor.talk.remote(200) for actor in actors]):
        assert texts == [b"step 199 of %d" % number for number in range(3)]
    talking = [actor.talk.remote(100_000_000) for actor in actors]
    time.sleep(0.3)
    ray.kill(actors[1])
    lost = []
    for number in (0, 2):
        with pytest.raises(PeerLost) as caught:
            ray.get(talking[number], timeout=30)
        lost.append(caught.value.cause.peer)
    assert 1 in lost
    for actor in actors:
        ray.kill(actor)


@pytest.mark.slow
def test_several_nodes_are_joined_and_one_that_is_removed_is_missed() -> None:
    count = "from simengine.shards.ray_cluster import connect\nwith connect() as cluster: print(cluster.nodes)"
    with ray_nodes(3) as nodes:
        assert nodes.run(count).stdout == "3\n"
        nodes.remove(2)
        time.sleep(5)
        assert nodes.run(count).stdout == "2\n"
        nodes.add()
        assert nodes.run(count).stdout == "3\n"
