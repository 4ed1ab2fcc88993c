"""The connection of a shard to one other: messages go out and come in at the same time, none waiting for another."""

from __future__ import annotations

import os
import select
import socket
import struct
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

from simengine.errors import RunError
from simengine.shards.payload import Inbox, Message, Octets, framed, pieces, shared
from simengine.shards.shared_pages import SLOTS, WORTH_SHARING, Written

SOCKET_BUFFER = 1 << 22
BUFFERS_PER_CALL = 512
FILES_PER_CALL = socket.CMSG_SPACE(4 * SLOTS)
# A machine that has gone without a word is given up after about half a minute.
IDLE_SECONDS, PROBE_SECONDS, PROBES = 10, 5, 4


class PeerLost(RunError):  # noqa: N818
    """Another shard's process has died or is silent; ``peer`` is its index."""

    def __init__(self, peer: int, reason: str) -> None:
        super().__init__(f"shard {peer} was lost: {reason}")
        self.peer, self.reason = peer, reason

    def __reduce__(self) -> tuple[type[PeerLost], tuple[int, str]]:
        return PeerLost, (self.peer, self.reason)


class Link:
    """The connection to one peer: what still has to go out, and what has come in."""

    def __init__(self, connection: socket.socket, peer: int) -> None:
        connection.setblocking(False)
        for level, option, value in _options(connection):
            connection.setsockopt(level, option, value)
        self.peer, self.descriptor, self.inbox = peer, connection.fileno(), Inbox()
        self._connection = connection
        self._outgoing: deque[memoryview] = deque()
        self._written = Written() if connection.family == socket.AF_UNIX else None
        self._file: int | None = None

    @property
    def finished(self) -> bool:
        """Whether both directions of the current exchange are done."""
        return self.inbox.complete and not self._outgoing

    @property
    def events(self) -> int:
        """What to wait for."""
        return (0 if self.inbox.complete else select.POLLIN) | (select.POLLOUT if self._outgoing else 0)

    def post(self, message: Message, exchange: int) -> None:
        """Begin to send the message of an exchange."""
        parts = pieces(message)
        length = sum(len(part) for part in parts)
        self._outgoing = self._put(parts, length, exchange) or framed(parts, length, exchange)
        self.send()

    def go_on(self) -> None:
        """Send and receive as much as goes without waiting."""
        if self._outgoing:
            self.send()
        self.receive()

    def send(self) -> None:
        """Send as much as goes without waiting."""
        while self._outgoing:
            try:
                sent = self._connection.sendmsg(islice(self._outgoing, BUFFERS_PER_CALL), self._files())
            except BlockingIOError:
                return
            except OSError as error:
                raise PeerLost(self.peer, reason_of(error)) from error
            self._close_file()
            while sent:
                first = self._outgoing.popleft()
                if sent < len(first):
                    self._outgoing.appendleft(first[sent:])
                    break
                sent -= len(first)

    def receive(self) -> None:
        """Receive as much as is there of the current message."""
        while not self.inbox.complete:
            room = self.inbox.room()
            try:
                length = self._received(room)
            except BlockingIOError:
                return
            except OSError as error:
                raise PeerLost(self.peer, reason_of(error)) from error
            if not length:
                raise PeerLost(self.peer, "its connection was closed")
            self.inbox.received(length)
            if length < len(room):
                return

    def close(self) -> None:
        """End the connection; a thread that waits for it is woken."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()
        self._close_file()
        self.inbox.pages.close()

    def _put(self, parts: list[Octets], length: int, exchange: int) -> deque[memoryview] | None:
        """Put a large message where the peer sees it, if it can; return what to send in its place."""
        if self._written is None or length < WORTH_SHARING:
            return None
        try:
            slot, self._file = self._written.put(parts, length)
        except OSError:
            return None
        return shared(length, exchange, slot, self._file is not None)

    def _received(self, room: memoryview) -> int:
        if self._written is None:
            return self._connection.recv_into(room)
        length, extra, _, _ = self._connection.recvmsg_into([room], FILES_PER_CALL)
        for level, kind, data in extra:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self.inbox.pages.arrived.extend(memoryview(data).cast("i").tolist())
        return length

    def _files(self) -> list[tuple[int, int, bytes]]:
        """What goes along with the next bytes: the file of a slot that the peer does not know."""
        if self._file is None:
            return []
        return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", self._file))]

    def _close_file(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _options(connection: socket.socket) -> Iterator[tuple[int, int, int]]:
    """The options of a connection: no delay, and probes, by which a machine that fell silent is noticed."""
    if connection.family == socket.AF_UNIX:
        yield socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER
        return
    yield socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1
    yield socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
    values = {
        "TCP_KEEPIDLE": IDLE_SECONDS,
        "TCP_KEEPINTVL": PROBE_SECONDS,
        "TCP_KEEPCNT": PROBES,
        "TCP_USER_TIMEOUT": 1000 * (IDLE_SECONDS + PROBES * PROBE_SECONDS),
    }
    for name, value in values.items():
        if hasattr(socket, name):
            yield socket.IPPROTO_TCP, getattr(socket, name), value


def reason_of(error: OSError) -> str:
    """What the system says of an error."""
    return (error.strerror or str(error) or type(error).__name__).lower()
