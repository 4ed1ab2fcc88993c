"""Shards within one process: each in a thread, or all in one loop that posts for every shard and then collects."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Mapping

from simengine.errors import RunError
from simengine.shards.channels import PATIENCE, Channels, PeerLost, peers_of
from simengine.shards.payload import Message, Octets, OutOfStep, whole


class LocalMesh(Channels):
    """One shard's end of what joins so many shards of this process; ``LocalMesh.of(k)`` makes all ends."""

    def __init__(self, number: int, hall: _Hall) -> None:
        self.number, self.shards = number, hall.shards
        self._hall = hall
        self._posted: list[int] | None = None
        self._exchanges = 0

    @classmethod
    def of(cls, shards: int) -> list[LocalMesh]:
        """Return the ends of so many shards."""
        hall = _Hall(shards)
        return [cls(number, hall) for number in range(shards)]

    def post(self, outgoing: Mapping[int, Message]) -> None:
        """Hand over copies of what is meant for each peer."""
        if self._posted is not None:
            raise RuntimeError("what was posted last has not been collected")
        copies = {peer: whole(outgoing[peer]) for peer in peers_of(self, outgoing)}
        with self._hall.change:
            if self.number in self._hall.gone:
                raise RunError("the connections between the shards are closed")
            for peer, copy in copies.items():
                self._hall.waiting[self.number, peer].append((self._exchanges, copy))
            self._hall.change.notify_all()
        self._posted = list(outgoing)

    def collect(self, timeout: float | None = None) -> dict[int, Octets]:
        """Wait for what these peers have posted; ``PeerLost`` when one is gone, or silent for ``timeout`` seconds."""
        patience = PATIENCE if timeout is None else timeout
        peers, received = self._posted or [], {}
        for peer in peers:
            with self._hall.change:
                inbox = self._hall.waiting[peer, self.number]
                heard = self._hall.change.wait_for(lambda: inbox or peer in self._hall.gone, patience)  # noqa: B023
                number, message = inbox.popleft() if inbox else (self._exchanges, None)
            if message is None:
                self.leave()
                raise PeerLost(peer, "its end was closed" if heard else f"no sign of life for {patience:g} s")
            if number != self._exchanges:
                self.leave()
                raise OutOfStep(f"shard {peer} sent what belongs to exchange {number} in exchange {self._exchanges}")
            received[peer] = message
        self._posted = None
        self._exchanges += 1
        return received

    def leave(self) -> None:
        """Part from all peers; those that still wait for this shard get ``PeerLost``."""
        self._posted = None
        with self._hall.change:
            self._hall.gone.add(self.number)
            self._hall.change.notify_all()


class _Hall:
    """Where the shards meet: what waits from one for another, and who has left."""

    def __init__(self, shards: int) -> None:
        self.shards = shards
        self.change = threading.Condition()
        self.waiting: defaultdict[tuple[int, int], deque[tuple[int, Octets]]] = defaultdict(deque)
        self.gone: set[int] = set()
