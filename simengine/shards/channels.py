"""How shards exchange directly, once or several times a step: all with all, or each with its neighbours.

``Channels`` is what a shard uses; ``Mesh`` joins processes and machines by sockets, ``simengine.shards.local_mesh``
shards within one process.
"""

from __future__ import annotations

import os
import secrets
import select
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple, Self

from simengine.errors import RunError
from simengine.shards.greeting import UnknownShardError, introduce, receive
from simengine.shards.link import Link, reason_of
from simengine.shards.link import PeerLost as PeerLost
from simengine.shards.payload import NUMBERS, Message, Octets, OutOfStep, whole

PATIENCE = 86_400.0
"""Seconds; a peer that is connected may think for long. The death of its process or machine is noticed otherwise."""
KEY_BYTES = 32


class Channels(ABC):
    """The shards of one run as one of them sees them; it is ``number`` of ``shards``.

    An exchange has two halves, between which a shard may calculate: ``post`` hands over what is meant for others, and
    ``collect`` waits for what they have posted for this one. All shards do the same exchanges in the same order, and
    whoever posts to another collects from it. What was posted must not be changed before ``collect`` returns. What it
    returns is, per peer, the bytes that were posted, which may be viewed as any type; it holds until the next
    ``collect``.
    """

    number: int
    shards: int

    @abstractmethod
    def post(self, outgoing: Mapping[int, Message]) -> None:
        """Hand over what is meant for each peer."""

    @abstractmethod
    def collect(self, timeout: float | None = None) -> dict[int, Octets]:
        """Wait for what these peers have posted; ``PeerLost`` when one is gone, or silent for ``timeout`` seconds."""

    @abstractmethod
    def leave(self) -> None:
        """Part from all peers; those that still wait for this shard get ``PeerLost``."""

    def exchange(self, outgoing: Sequence[Message], timeout: float | None = None) -> list[Octets]:
        """Exchange with all: ``outgoing[i]`` goes to shard ``i``; what is meant for itself is returned to it."""
        if len(outgoing) != self.shards:
            raise ValueError(f"{len(outgoing)} messages to {self.shards} shards")
        self.post({peer: outgoing[peer] for peer in range(self.shards) if peer != self.number})
        received = self.collect(timeout)
        return [whole(outgoing[peer]) if peer == self.number else received[peer] for peer in range(self.shards)]

    def exchange_with(
        self, neighbours: Iterable[int], outgoing: Mapping[int, Message], timeout: float | None = None
    ) -> dict[int, Octets]:
        """Exchange with some; a neighbour that is not in ``outgoing`` gets no bytes."""
        self.post({peer: outgoing.get(peer, b"") for peer in neighbours})
        return self.collect(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()


class Address(NamedTuple):
    """Where a shard listens: by TCP, and for others on the same machine by a Unix socket."""

    host: str
    port: int
    machine: str
    name: str


def new_key() -> bytes:
    """Return a fresh key for the shards of a run, to be given to each by Ray alone."""
    return secrets.token_bytes(KEY_BYTES)


class Mesh(Channels):
    """A shard's connections to all others.

    First every shard listens; when the addresses are known, every one connects, with the same list and the same key.
    """

    def __init__(self) -> None:
        self.number, self.shards = 0, 1
        self._listening: list[socket.socket] = []
        self._links: dict[int, Link] = {}
        self._posted: list[Link] = []
        self._exchanges = 0

    def listen(self, host: str) -> Address:
        """Begin to listen on an interface of this machine; return what the others must know."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        server = socket.create_server((host, 0), family=family, backlog=1024)
        self._listening.append(server)
        machine, name = _this_machine(), ""
        if machine:
            name = f"\0simengine-{secrets.token_hex(16)}"
            local = socket.socket(socket.AF_UNIX)
            local.bind(name)
            local.listen(1024)
            self._listening.append(local)
        return Address(host, server.getsockname()[1], machine, name)

    def connect(self, peers: Sequence[Address], number: int, key: bytes, timeout: float = 120.0) -> None:
        """Connect to every other shard: call those before this one, be called by those after it."""
        self.number, self.shards = number, len(peers)
        deadline = time.monotonic() + timeout
        try:
            for peer in range(number):
                self._links[peer] = Link(_called(peers[peer], key, number, peer, deadline), peer)
            self._be_called(key, deadline)
        except BaseException:
            self.leave()
            raise
        finally:
            self._stop_listening()

    def post(self, outgoing: Mapping[int, Message]) -> None:
        """Hand over what is meant for each peer: as much as the connections take at once."""
        if self._posted:
            raise RuntimeError("what was posted last has not been collected")
        if len(self._links) != self.shards - 1:
            raise RunError("the connections between the shards are closed")
        self._posted = [self._links[peer] for peer in peers_of(self, outgoing)]
        try:
            for link in self._posted:
                link.post(outgoing[link.peer], self._exchanges)
        except BaseException:
            self.leave()
            raise

    def collect(self, timeout: float | None = None) -> dict[int, Octets]:
        """Wait for what these peers have posted; ``PeerLost`` when one is gone, or silent for ``timeout`` seconds."""
        try:
            self._finish(PATIENCE if timeout is None else timeout)
        except BaseException:
            # So all peers notice at once, and theirs.
            self.leave()
            raise
        posted, self._posted = self._posted, []
        self._exchanges += 1
        return {link.peer: link.inbox.take() for link in posted}

    def leave(self) -> None:
        """Part from all peers; those that still wait for this shard get ``PeerLost``."""
        self._stop_listening()
        for link in self._links.values():
            link.close()
        self._links, self._posted = {}, []

    def _finish(self, patience: float) -> None:
        """Send and receive until all that was posted is out and all that was due is in."""
        for link in self._posted:
            link.receive()
        unfinished = [link for link in self._posted if not link.finished]
        while unfinished:
            poller = select.poll()
            by_descriptor = {link.descriptor: link for link in unfinished}
            for link in unfinished:
                poller.register(link.descriptor, link.events)
            ready = poller.poll(patience * 1000)
            if not ready:
                raise PeerLost(unfinished[0].peer, f"no sign of life for {patience:g} s")
            for descriptor, _ in ready:
                by_descriptor[descriptor].go_on()
            unfinished = [link for link in unfinished if not link.finished]
        for link in self._posted:
            belongs, due = link.inbox.exchange, self._exchanges % NUMBERS
            if belongs != due:
                raise OutOfStep(f"shard {link.peer} sent what belongs to exchange {belongs} in exchange {due}")

    def _be_called(self, key: bytes, deadline: float) -> None:
        """Accept the shards after this one, each in a thread, so that a silent stranger delays nobody."""
        expected = set(range(self.number + 1, self.shards))
        arrived: dict[int, socket.socket] = {}
        change, over = threading.Condition(), False

        def greet(connection: socket.socket) -> None:
            try:
                caller = receive(connection, key, self.number, deadline)
            except (UnknownShardError, OSError):
                connection.close()
                return
            with change:
                if over or caller not in expected or caller in arrived:
                    connection.close()
                else:
                    arrived[caller] = connection
                    change.notify()

        def accept(server: socket.socket) -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=greet, args=(connection,), daemon=True).start()

        if not expected:
            return
        for server in self._listening:
            threading.Thread(target=accept, args=(server,), daemon=True).start()
        with change:
            change.wait_for(lambda: expected == set(arrived), max(deadline - time.monotonic(), 0))
            over = True
        self._links |= {peer: Link(connection, peer) for peer, connection in arrived.items()}
        if missing := sorted(expected - set(arrived)):
            raise PeerLost(missing[0], "it did not come to connect in time")

    def _stop_listening(self) -> None:
        for server in self._listening:
            with suppress(OSError):  # closing alone would leave a thread in `accept`
                server.shutdown(socket.SHUT_RDWR)
            server.close()
        self._listening = []


def peers_of(mesh: Channels, outgoing: Mapping[int, Message]) -> list[int]:
    """Return the peers that are posted to."""
    for peer in outgoing:
        if not 0 <= peer < mesh.shards or peer == mesh.number:
            raise ValueError(f"shard {mesh.number} of {mesh.shards} has no peer {peer}")
    return list(outgoing)


def _called(address: Address, key: bytes, me: int, peer: int, deadline: float) -> socket.socket:
    """Return a connection to another shard, both sides being sure of each other."""
    seconds = max(deadline - time.monotonic(), 0.001)
    connection: socket.socket | None = None
    try:
        if address.machine and address.machine == _this_machine():
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(seconds)
            connection.connect(address.name)
        else:
            connection = socket.create_connection((address.host, address.port), timeout=seconds)
        introduce(connection, key, me, peer, deadline)
    except (OSError, UnknownShardError) as error:
        if connection is not None:
            connection.close()
        said = "it does not know the key of this run" if isinstance(error, UnknownShardError) else reason_of(error)
        raise PeerLost(peer, said) from error
    return connection


@cache
def _this_machine() -> str:
    """Name this machine and its network namespace where abstract Unix sockets are known (Linux), else nothing."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + os.readlink("/proc/self/ns/net")
    except OSError:
        return ""
