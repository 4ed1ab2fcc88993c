"""What one shard hands another at a time: the bytes of some arrays, one after another.

On the wire a message is a header of 24 bytes (mark, number of the exchange, length, slot, whether its file is new) and
its bytes, unless the mark says that these are in pages that both processes share.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from simengine.errors import RunError
from simengine.shards.shared_pages import Read

Octets: TypeAlias = NDArray[np.uint8]
Message: TypeAlias = NDArray[Any] | bytes | bytearray | memoryview | Sequence[NDArray[Any]]

HEADER = struct.Struct("<IIQII")
MARK, SHARED_MARK = 0x53484152, 0x53484153
NUMBERS = 2**32
FIRST_CAPACITY = 1 << 16


class OutOfStep(RunError):  # noqa: N818
    """A peer sent what belongs to another exchange: the shards no longer do the same exchanges."""


def pieces(message: Message) -> list[Octets]:
    """Return what is to be sent as bytes, copying only arrays that are not contiguous."""
    if isinstance(message, bytes | bytearray | memoryview):
        return [np.frombuffer(message, np.uint8)]
    arrays = [message] if isinstance(message, np.ndarray) else message
    if any(array.dtype.hasobject for array in arrays):
        raise TypeError("arrays of Python objects cannot be exchanged between shards")
    return [np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in arrays]


def whole(message: Message) -> Octets:
    """Return what is to be sent in one piece of its own."""
    return np.concatenate([np.empty(0, np.uint8), *pieces(message)])


def framed(parts: list[Octets], length: int, exchange: int) -> deque[memoryview]:
    """Return the buffers that go on the wire, in order."""
    header = HEADER.pack(MARK, exchange % NUMBERS, length, 0, 0)
    return deque([memoryview(header), *(part.data for part in parts if len(part))])


def shared(length: int, exchange: int, slot: int, fresh: bool) -> deque[memoryview]:
    """Return what goes on the wire for a message that lies in shared pages."""
    return deque([memoryview(HEADER.pack(SHARED_MARK, exchange % NUMBERS, length, slot, fresh))])


class Inbox:
    """Where the messages of one peer arrive: two buffers in turn, which grow as needed.

    What ``take`` returns is a view of one of them; it holds until the next message is taken. ``exchange`` is the number
    that the complete message bears.
    """

    def __init__(self) -> None:
        self._buffer, self._other = (np.empty(FIRST_CAPACITY, np.uint8) for _ in range(2))
        self._filled = self._total = self.exchange = 0
        self._shared: tuple[int, int, bool] | None = None
        self.pages = Read()

    @property
    def complete(self) -> bool:
        """Whether the current message is here."""
        return 0 < self._total <= self._filled

    def room(self) -> memoryview:
        """Return where the next bytes belong: until the header is known perhaps more than the current message needs."""
        return self._buffer.data[self._filled : self._total or len(self._buffer)]

    def received(self, length: int) -> None:
        """Note that so many bytes were put into ``room()``."""
        self._filled += length
        if not self._total and self._filled >= HEADER.size:
            self._read_header()

    def take(self) -> Octets:
        """Return the complete message, and begin the next with what has come of it."""
        message = self.pages.get(*self._shared) if self._shared else self._buffer[HEADER.size : self._total]
        early = self._buffer[self._total : self._filled]
        if len(early) > len(self._other):
            self._other = np.empty(len(self._buffer), np.uint8)
        self._other[: len(early)] = early
        self._buffer, self._other = self._other, self._buffer
        self._filled = self._total = 0
        self.received(len(early))
        return message

    def _read_header(self) -> None:
        mark, self.exchange, length, slot, fresh = HEADER.unpack_from(self._buffer.data)
        if mark not in (MARK, SHARED_MARK):
            raise OutOfStep("what came is not the beginning of a message")
        self._shared = (slot, length, bool(fresh)) if mark == SHARED_MARK else None
        self._total = HEADER.size + (0 if self._shared else length)
        if self._total > len(self._buffer):
            larger = np.empty(max(self._total, 2 * len(self._buffer)), np.uint8)
            larger[: self._filled] = self._buffer[: self._filled]
            self._buffer = larger
