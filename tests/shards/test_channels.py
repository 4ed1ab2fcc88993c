from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import pickle
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simengine.errors import RunError
from simengine.shards.channels import Address, Mesh, PeerLost, new_key
from simengine.shards.local_mesh import LocalMesh
from simengine.shards.payload import HEADER, MARK, Inbox, OutOfStep

KINDS = ["unix", "tcp", "local"]
LOOPBACK = "127.0.0.1"
LARGE = 12_000_000
LENGTHS = [0, 1, 7, 32_767, 32_768, 65_512, 65_513, 300_000, 2_000_000]


def at_once(count: int, act: Callable[[int], Any]) -> list[Any]:
    """Call ``act`` for every shard, each in a thread; return what each returns, or the error that it raised."""

    def guarded(number: int) -> Any:
        try:
            return act(number)
        except Exception as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(guarded, range(count)))


def listening(kind: str, count: int) -> tuple[list[Mesh], list[Address]]:
    meshes = [Mesh() for _ in range(count)]
    addresses = [mesh.listen(LOOPBACK) for mesh in meshes]
    return meshes, [address._replace(machine="") if kind == "tcp" else address for address in addresses]


@contextlib.contextmanager
def joined(kind: str, count: int) -> Iterator[list[Any]]:
    """Yield the ends of ``count`` shards that are connected to each other."""
    ends: list[Any]
    if kind == "local":
        ends = LocalMesh.of(count)
    else:
        ends, addresses = listening(kind, count)
        key = new_key()
        outcomes = at_once(count, lambda number: ends[number].connect(addresses, number, key, 20))
        assert outcomes == [None] * count
    try:
        yield ends
    finally:
        for end in ends:
            end.leave()


def letter(sender: int, receiver: int, step: int, length: int) -> np.ndarray:
    """A message that could come from nobody else at no other time."""
    return (np.arange(length, dtype=np.int64) * 7 + 1_000_003 * sender + 1_009 * receiver + step) % 251


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_every_shard_receives_what_each_other_sent_to_it(kind: str, count: int) -> None:
    with joined(kind, count) as ends:

        def act(me: int) -> None:
            for step in range(20):
                received = ends[me].exchange([letter(me, peer, step, 3 * peer + step) for peer in range(count)], 20)
                for peer in range(count):
                    np.testing.assert_array_equal(received[peer].view(np.int64), letter(peer, me, step, 3 * me + step))

        assert at_once(count, act) == [None] * count


@pytest.mark.parametrize("kind", KINDS)
def test_messages_larger_than_any_buffer_of_the_system_cross_without_deadlock(kind: str) -> None:
    with joined(kind, 3) as ends:
        received = at_once(3, lambda me: ends[me].exchange([np.full(LARGE, me, np.uint8)] * 3, 60))
    for found in received:
        assert [(len(message), int(message[0]), int(message[-1])) for message in found] == [
            (LARGE, peer, peer) for peer in range(3)
        ]


@settings(max_examples=15)
@given(
    lengths=st.lists(
        st.lists(
            st.sampled_from([0, 1, 7, 32_767, 32_768, 65_512, 65_513, 300_000, 2_000_000]), min_size=9, max_size=9
        ),
        max_size=6,
    ),
    kind=st.sampled_from(KINDS),
)
def test_any_lengths_in_any_order_arrive_whole(lengths: list[list[int]], kind: str) -> None:
    with joined(kind, 3) as ends:

        def act(me: int) -> None:
            for step, table in enumerate(lengths):
                outgoing = [letter(me, peer, step, table[3 * me + peer]).astype(np.uint8) for peer in range(3)]
                received = ends[me].exchange(outgoing, 30)
                for peer in range(3):
                    expected = letter(peer, me, step, table[3 * peer + me]).astype(np.uint8)
                    np.testing.assert_array_equal(received[peer], expected)

        assert at_once(3, act) == [None] * 3


@pytest.mark.parametrize("kind", KINDS)
def test_neighbours_in_a_ring_exchange_while_one_of_them_is_ahead(kind: str) -> None:
    count, steps = 7, 60
    with joined(kind, count) as ends:

        def act(me: int) -> None:
            rng = np.random.default_rng(me)
            around = [(me - 1) % count, (me + 1) % count]
            for step in range(steps):
                if rng.random() < 0.1:
                    time.sleep(0.003)
                lengths = {peer: 1 + (me * peer * step) % 4000 for peer in around}
                received = ends[me].exchange_with(
                    around, {peer: letter(me, peer, step, lengths[peer]) for peer in around}, 20
                )
                for peer in around:
                    np.testing.assert_array_equal(received[peer].view(np.int64), letter(peer, me, step, lengths[peer]))

        assert at_once(count, act) == [None] * count


@pytest.mark.parametrize("kind", KINDS)
def test_a_neighbour_for_whom_nothing_is_meant_receives_no_bytes(kind: str) -> None:
    with joined(kind, 2) as ends:
        received = at_once(2, lambda me: ends[me].exchange_with([1 - me], {} if me else {1: b"words"}, 20))
    assert len(received[0][1]) == 0
    assert received[1][0].tobytes() == b"words"


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_of_all_kinds_arrive_one_after_another(kind: str) -> None:
    record = np.zeros(3, [("id", "<i8"), ("angle", "<f4")])
    record["id"] = [4, 5, 6]
    arrays = [
        np.arange(10.0)[::3],
        np.empty((0, 3)),
        np.arange(6, dtype=np.int16).reshape(2, 3).T,
        record,
        np.array(7.5),
    ]
    many = [np.array([value], np.int32) for value in range(3000)]
    expected = b"".join(array.tobytes() for array in arrays)
    with joined(kind, 2) as ends:
        received = at_once(2, lambda me: ends[me].exchange_with([1 - me], {1 - me: many if me else arrays}, 20))
    assert received[1][0].tobytes() == expected
    np.testing.assert_array_equal(received[0][1].view(np.int32), np.arange(3000))


@pytest.mark.parametrize("kind", KINDS)
def test_one_loop_can_serve_all_shards_by_posting_for_each_and_then_collecting(kind: str) -> None:
    with joined(kind, 3) as ends:
        for step in range(5):
            for me, end in enumerate(ends):
                end.post({peer: letter(me, peer, step, 50) for peer in range(3) if peer != me})
            for me, end in enumerate(ends):
                for peer, message in end.collect(20).items():
                    np.testing.assert_array_equal(message.view(np.int64), letter(peer, me, step, 50))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [900, 20_000])
def test_what_was_received_holds_until_the_next_is_collected(kind: str, length: int) -> None:
    def post(me: int, step: int) -> None:
        ends[me].post({1 - me: letter(me, 1 - me, step, length)})

    with joined(kind, 2) as ends:
        for step in range(0, 24, 3):
            post(0, step)
            post(1, step)
            received = ends[0].collect(20)[1]
            ends[1].collect(20)
            # The other goes as far ahead as it can before this one collects again.
            post(0, step + 1)
            post(1, step + 1)
            ends[1].collect(20)
            post(1, step + 2)
            np.testing.assert_array_equal(received.view(np.int64), letter(1, 0, step, length))
            ends[0].collect(20)
            post(0, step + 2)
            ends[0].collect(20)
            ends[1].collect(20)


@pytest.mark.skipif(sys.platform != "linux", reason="counts open files where Linux lists them")
def test_no_file_stays_open_when_shards_have_left() -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(2):
        with joined("unix", 3) as ends:
            for length in (100_000, 5_000_000, 40_000):
                at_once(3, lambda me, size=length: ends[me].exchange([np.zeros(size, np.uint8)] * 3, 20))
            ends[0].post({1: np.zeros(10_000_000, np.uint8)})
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_large_messages_arrive_where_no_pages_can_be_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> int:
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(os, "memfd_create", refuse)
    with joined("unix", 2) as ends:
        received = at_once(2, lambda me: ends[me].exchange([letter(me, peer, 0, 100_000) for peer in range(2)], 20))
    np.testing.assert_array_equal(received[0][1].view(np.int64), letter(1, 0, 0, 100_000))


@pytest.mark.parametrize("kind", KINDS)
def test_a_shard_that_leaves_is_missed_at_once_by_those_that_wait_for_it(kind: str) -> None:
    with joined(kind, 3) as ends:
        ends[2].leave()
        errors = at_once(2, lambda me: ends[me].exchange([b"x"] * 3, 60))
    assert all(isinstance(error, PeerLost) for error in errors)
    assert 2 in {error.peer for error in errors}


@pytest.mark.parametrize("kind", KINDS)
def test_a_silent_shard_is_named_when_the_time_is_over(kind: str) -> None:
    with joined(kind, 2) as ends:
        with pytest.raises(PeerLost, match=r"shard 1 was lost: no sign of life for 0\.2 s") as caught:
            ends[0].exchange([b"", b"x"], 0.2)
        assert caught.value.peer == 1
        with pytest.raises(RunError, match="connections between the shards are closed"):
            ends[0].exchange([b"", b"x"], 0.2)


@pytest.mark.parametrize("kind", KINDS)
def test_a_shard_that_has_missed_an_exchange_is_told_apart(kind: str) -> None:
    with joined(kind, 2) as ends:
        ends[0].exchange_with([], {})
        errors = at_once(2, lambda me: ends[me].exchange([b"x"] * 2, 20))
    assert any(isinstance(error, OutOfStep) and "belongs to exchange" in str(error) for error in errors)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("peer", [0, 2, -1])
def test_only_a_peer_can_be_posted_to(kind: str, peer: int) -> None:
    with joined(kind, 2) as ends, pytest.raises(ValueError, match=f"shard 0 of 2 has no peer {peer}"):
        ends[0].post({peer: b""})


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_of_python_objects_are_refused(kind: str) -> None:
    with joined(kind, 2) as ends, pytest.raises(TypeError, match="Python objects"):
        ends[0].post({1: np.array([None])})


def exchange_for_ever(addresses: list[Address], number: int, key: bytes, own: Any) -> None:
    mesh = Mesh()
    own.send(mesh.listen(LOOPBACK))
    mesh.connect([*addresses, own.recv()][: number + 1], number, key)
    while True:
        mesh.exchange([np.zeros(200_000)] * (number + 1))


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_a_process_killed_in_the_middle_is_missed_by_all_at_once(kind: str) -> None:
    meshes, addresses = listening(kind, 2)
    key = new_key()
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=exchange_for_ever, args=(addresses, 2, key, theirs), daemon=True)
    process.start()
    try:
        addresses.append(ours.recv())
        ours.send(addresses[2])

        def act(me: int) -> tuple[Exception, float]:
            meshes[me].connect(addresses, me, key, 30)
            for step in range(1_000_000):
                if step == 10 and me == 0:
                    os.kill(process.pid or 0, signal.SIGKILL)
                    killed.append(time.monotonic())
                try:
                    meshes[me].exchange([np.zeros(200_000)] * 3, 60)
                except PeerLost as error:
                    return error, time.monotonic()
            raise AssertionError("nobody was missed")

        killed: list[float] = []
        outcomes = at_once(2, act)
    finally:
        process.kill()
        process.join()
    assert {error.peer for error, _ in outcomes} & {2}
    # The limit of the exchange is 60 s: what ends so much earlier was not waited for.
    assert all(when - killed[0] < 20 for _, when in outcomes)


def test_a_shard_with_another_key_is_refused_by_both_sides() -> None:
    meshes, addresses = listening("unix", 2)
    keys = [new_key(), new_key()]
    errors = at_once(2, lambda number: meshes[number].connect(addresses, number, keys[number], 1.0))
    assert "did not come to connect in time" in str(errors[0])
    assert "shard 0 was lost: it does not know the key of this run" in str(errors[1])


def test_strangers_do_not_keep_the_shards_from_meeting() -> None:
    meshes, addresses = listening("tcp", 2)
    strangers = [socket.create_connection(addresses[0][:2]) for _ in range(3)]
    strangers[1].sendall(b"GET / HTTP/1.1\r\n" + b"\0" * 100)
    strangers[2].close()
    key = new_key()
    assert at_once(2, lambda number: meshes[number].connect(addresses, number, key, 20)) == [None, None]
    received = at_once(2, lambda me: meshes[me].exchange([b"from %d" % me] * 2, 20))
    assert received[0][1].tobytes() == b"from 1"
    for end in [*meshes, *strangers]:
        end.leave() if isinstance(end, Mesh) else end.close()


def test_a_shard_that_nobody_runs_is_named_while_connecting() -> None:
    meshes, addresses = listening("tcp", 2)
    meshes[0].leave()
    with pytest.raises(PeerLost, match="shard 0 was lost: connection refused"):
        meshes[1].connect(addresses, 1, new_key(), 5)


def test_leaving_wakes_a_thread_that_waits_for_a_peer() -> None:
    with joined("unix", 2) as ends:
        waiting = threading.Timer(0.2, ends[0].leave)
        waiting.start()
        with pytest.raises(PeerLost):
            ends[0].exchange([b"", b""], 60)
        waiting.join()


def test_a_message_in_single_bytes_and_the_beginning_of_the_next_are_told_apart() -> None:
    inbox = Inbox()
    texts = [b"one", b"", b"three"]
    stream = b"".join(HEADER.pack(MARK, number, len(text), 0, 0) + text for number, text in enumerate(texts))
    found = []
    for byte in stream:
        inbox.room()[:1] = bytes([byte])
        inbox.received(1)
        if inbox.complete:
            found.append((inbox.exchange, inbox.take().tobytes()))
    assert found == list(enumerate(texts))


def test_what_is_no_message_is_refused() -> None:
    inbox = Inbox()
    inbox.room()[:24] = b"GET / HTTP/1.1\r\nHost: me"
    with pytest.raises(OutOfStep, match="not the beginning of a message"):
        inbox.received(24)


def test_a_lost_peer_is_still_named_after_the_error_has_travelled() -> None:
    error = pickle.loads(pickle.dumps(PeerLost(3, "its connection was closed")))
    assert (error.peer, str(error)) == (3, "shard 3 was lost: its connection was closed")
