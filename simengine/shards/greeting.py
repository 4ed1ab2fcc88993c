"""How two shards make sure of each other: each shows that it knows the run's key without sending it.

Both sides draw a number; the proof of each is an HMAC-SHA-256 of its role, both indices and both numbers. What follows
on the connection is neither encrypted nor signed, as is Ray's own traffic.
"""

from __future__ import annotations

import hmac
import secrets
import socket
import struct
import time

NUMBER = 32
HELLO = struct.Struct("<8sII32s")
MARK = b"simshard"


class UnknownShardError(Exception):
    """The other side does not know the key, or is not a shard of this run."""


def introduce(connection: socket.socket, key: bytes, me: int, peer: int, deadline: float) -> None:
    """Greet the shard ``peer`` that was called."""
    mine = secrets.token_bytes(NUMBER)
    _send(connection, HELLO.pack(MARK, me, peer, mine), deadline)
    answer = _receive(connection, 2 * NUMBER, deadline)
    said = struct.pack("<II", me, peer) + mine + answer[:NUMBER]
    if not hmac.compare_digest(answer[NUMBER:], hmac.digest(key, b"called" + said, "sha256")):
        raise UnknownShardError
    _send(connection, hmac.digest(key, b"caller" + said, "sha256"), deadline)


def receive(connection: socket.socket, key: bytes, me: int, deadline: float) -> int:
    """Answer a greeting; return who called."""
    mark, caller, called, number = HELLO.unpack(_receive(connection, HELLO.size, deadline))
    if mark != MARK or called != me:
        raise UnknownShardError
    mine = secrets.token_bytes(NUMBER)
    said = struct.pack("<II", caller, me) + number + mine
    _send(connection, mine + hmac.digest(key, b"called" + said, "sha256"), deadline)
    proof = _receive(connection, NUMBER, deadline)
    if not hmac.compare_digest(proof, hmac.digest(key, b"caller" + said, "sha256")):
        raise UnknownShardError
    return int(caller)


def _send(connection: socket.socket, data: bytes, deadline: float) -> None:
    connection.settimeout(max(deadline - time.monotonic(), 0.001))
    connection.sendall(data)


def _receive(connection: socket.socket, length: int, deadline: float) -> bytes:
    data = b""
    while len(data) < length:
        connection.settimeout(max(deadline - time.monotonic(), 0.001))
        more = connection.recv(length - len(data))
        if not more:
            raise UnknownShardError
        data += more
    return data
