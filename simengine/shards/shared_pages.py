"""Large messages between processes of one machine: written once into pages that both have mapped.

The pages are those of anonymous files (Linux's ``memfd``), which end with the processes that hold them; the peer gets
each file's descriptor over the Unix socket.
"""

from __future__ import annotations

import mmap
import os
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

# What a peer was given holds until its next `collect`. When the message after the next is written, that `collect` may
# still be to come; when the one after that is, it is over.
SLOTS = 3
WORTH_SHARING = 1 << 15
ROOM_TO_GROW, TOO_LARGE = 1.25, 16


@dataclass
class Written:
    """Pages to which this process writes what one peer reads."""

    _pages: list[NDArray[np.uint8]] = field(default_factory=lambda: [np.empty(0, np.uint8)] * SLOTS)
    _next: int = 0

    def put(self, pieces: list[NDArray[np.uint8]], length: int) -> tuple[int, int | None]:
        """Write the pieces into the next slot; return its number, and the descriptor of its file if that is new.

        Raises ``OSError`` where the system has no files or no pages left.
        """
        slot, descriptor = self._next, None
        if not length <= len(self._pages[slot]) <= TOO_LARGE * length:
            descriptor = os.memfd_create("simengine")
            try:
                os.ftruncate(descriptor, int(ROOM_TO_GROW * length))
                self._pages[slot] = mapped(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
        begin = 0
        for piece in pieces:
            self._pages[slot][begin : begin + len(piece)] = piece
            begin += len(piece)
        self._next = (slot + 1) % SLOTS
        return slot, descriptor


@dataclass
class Read:
    """Pages that one peer writes, and the descriptors that it has sent and this process not yet used."""

    arrived: deque[int] = field(default_factory=deque)
    _pages: dict[int, NDArray[np.uint8]] = field(default_factory=dict)

    def get(self, slot: int, length: int, fresh: bool) -> NDArray[np.uint8]:
        """Return the message in a slot, whose file is the next that has arrived if it is ``fresh``."""
        if fresh:
            descriptor = self.arrived.popleft()
            try:
                self._pages[slot] = mapped(descriptor)
            finally:
                os.close(descriptor)
        return self._pages[slot][:length]

    def close(self) -> None:
        """Close what has not been used."""
        while self.arrived:
            os.close(self.arrived.popleft())


def mapped(descriptor: int) -> NDArray[np.uint8]:
    """Return the bytes of a file as an array."""
    return np.frombuffer(mmap.mmap(descriptor, os.fstat(descriptor).st_size), np.uint8)
