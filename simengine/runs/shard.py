"""One shard: an engine that acts for its part of the agents, and the part's place among the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.compile.cache import first_alone
from simengine.compile.sharing import Cut
from simengine.runs.engine import Engine
from simengine.runs.view import View
from simengine.scenario.observables import is_partial, prepare
from simengine.shards import memory
from simengine.shards.channels import Channels
from simengine.shards.held import HeldPopulation, HeldState
from simengine.shards.part import Part
from simengine.shards.ranges import Ranges
from simengine.shards.regions import Regions

BETWEEN_BALANCES = 64
"""Steps after which shards compare how much each has had to do."""


class Shard:
    """Advances one shard of a run; all shards are told the same things in the same order."""

    def __init__(
        self, scenario: Any, seed: int, start: Any, policies: Mapping[str, Any], threads: int, cut: Cut,
        channels: Channels,
    ) -> None:  # fmt: skip
        self.part = part_of(cut, channels)
        self.engine = Engine(scenario, seed, threads, start, policies, "by_id", part=self.part)
        self.moved_borders = 0
        memory.give_back()
        self._held: dict[str, HeldPopulation] = {}

    def prepare(self) -> None:
        """Compile."""
        # One shard of a machine compiles, and the others find it done.
        kernel = self.engine.kernel
        with first_alone(f"shard-{kernel.path.parent.name}-{kernel.threads}"):
            kernel.prepare()
        prepare(strided.observable for strided in self.engine.scenario.recorded if is_partial(strided.observable))

    def advance(self, until: int) -> tuple[int, str | None]:
        """Run to step ``until`` or until a stop condition holds; return the step reached and the reason to stop."""
        engine = self.engine
        self._held.clear()
        while engine.step < until and engine.stop_reason is None:
            goal = min(until, (engine.step // BETWEEN_BALANCES + 1) * BETWEEN_BALANCES)
            self.part.go_on()
            engine.advance(goal)
            self.part.pause()
            if engine.step % BETWEEN_BALANCES == 0:
                self.moved_borders += self.part.rebalance()
        return engine.step, engine.stop_reason

    def living(self, population: str) -> int:
        """How many agents of a population this shard acts for."""
        return self.held(population).living

    def held_ids(self, population: str) -> NDArray[np.int64]:
        """Their ids, ascending."""
        return self.held(population).living_ids()

    def held_block(
        self, population: str, field: str, lowest: int, highest: int
    ) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Ids of those of them from ``lowest`` to ``highest``, and one field of theirs: (components or 1, agents)."""
        return self.held(population).block(field, lowest, highest)

    def held(self, population: str) -> HeldPopulation:
        """The agents of a population this shard acts for, at the present moment."""
        if population not in self._held:
            self._held[population] = HeldPopulation(self.engine.state[population], self.part.slots(population))
        return self._held[population]

    def observed(self, places: tuple[int, ...]) -> list[Any]:
        """The states of partial observables, by their places in the scenario, after seeing this shard's agents."""
        engine = self.engine
        state = HeldState({name: self.held(name) for name in engine.state.populations})
        view = View(engine.scenario, state, engine.seed, engine.step)  # type: ignore[arg-type]
        observables = [engine.scenario.declaration.observables[place].observable for place in places]
        return [observable.update(observable.begin(), view) for observable in observables]

    def kept(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """What the shard knows that is no agent's: arrays of relations, and memories of policies."""
        return self.engine.remembered()

    def of_first(self, method: str, *arguments: Any) -> Any:
        """What the engine of the first shard says, who asks the policies outside compiled code; others say nothing."""
        return getattr(self.engine, method)(*arguments) if self.part.number == 0 else None

    def load(self, arrays: Mapping[str, NDArray[Any]], details: Mapping[str, Any], cut: Cut) -> None:
        """Go on from a state of everybody, who are spread in this way now."""
        self._held.clear()
        if cut != self.part.cut:
            self.part = self.engine.part = part_of(cut, self.part.channels)
        self.engine.load(arrays, details)
        memory.give_back()

    def seconds_shared(self) -> float:
        """Seconds spent so far in packing, exchanging and waiting for others."""
        return self.part.seconds_shared

    def private_memory(self) -> int:
        """Bytes of memory that belong to this process alone; 0 where the system does not say."""
        return memory.private()

    def reason_to_stop(self) -> str | None:
        """The stop condition that holds now."""
        return self.engine.stop_reason


def part_of(cut: Cut, channels: Channels) -> Part:
    """Return the part of one shard, before it holds anybody."""
    return Ranges(channels) if cut == "ranges" else Regions(channels)
