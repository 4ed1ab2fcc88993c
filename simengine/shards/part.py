"""What both ways of cutting have in common: the channels to the other shards, and how long sharing takes."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from simengine.compile.kernel import Kernel
from simengine.compile.sharing import Cut, Share
from simengine.compile.state import State
from simengine.scenario.scenario import Scenario
from simengine.shards.channels import Channels


class Advancing(Protocol):
    """What a part needs of the engine that carries it out."""

    scenario: Scenario
    state: State
    kernel: Kernel

    def hold(self, state: State) -> None:
        """Go on with other arrays."""


class Part(ABC):
    """The agents for whom one shard acts, and how it and the others tell one another what they need."""

    cut: ClassVar[Cut]

    def __init__(self, channels: Channels) -> None:
        self.channels, self.number, self.shards = channels, channels.number, channels.shards
        self.seconds_shared = self.seconds_busy = 0.0
        self._since = time.perf_counter()

    @abstractmethod
    def begin(self, engine: Advancing) -> None:
        """Take over what this shard acts for, of a state that holds everybody."""

    def share(self, what: Share, step: int) -> None:
        """Tell the others something, and hear it from them."""
        self.pause()
        begun = time.perf_counter()
        self.tell(what)
        self.seconds_shared += time.perf_counter() - begun
        self.go_on()

    def go_on(self) -> None:
        """Begin to count the time in which this shard works."""
        self._since = time.perf_counter()

    def pause(self) -> None:
        """Stop to count it: waiting for other shards, or for whoever drives them, is no work."""
        self.seconds_busy += time.perf_counter() - self._since

    @abstractmethod
    def tell(self, what: Share) -> None:
        """Do what `share` says."""

    @abstractmethod
    def rebalance(self) -> bool:
        """Even out what the shards have to do; return whether anything was changed. All shards call it together."""

    @abstractmethod
    def slots(self, name: str) -> NDArray[np.int64]:
        """Where the living of a population are whom this shard acts for."""
