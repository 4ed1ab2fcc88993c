"""Cut by ranges of storage: every shard has a place for everybody and acts for those in its own range of slots.

Works for every scenario. What is out of date is told to all by contiguous slices; who exists is known to all, because
births and deaths are repeated by every shard.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.graph_partition import partition
from simengine.compile.names import Binding
from simengine.compile.sharing import Share
from simengine.compile.state import PopulationState
from simengine.shards.channels import Channels
from simengine.shards.part import Advancing, Part

UNEVEN = 1.15
"""The ranges are drawn anew when the largest holds so many times its fair share of the living."""


class Ranges(Part):
    """What one shard of several acts for, and how it shares values with the others.

    ``ends`` holds, for each population, where each shard's range of slots ends.
    """

    cut = "ranges"

    def __init__(self, channels: Channels) -> None:
        super().__init__(channels)
        self.ends: dict[str, NDArray[np.int64]] = {}
        self._sizes: dict[str, NDArray[np.int64]] = {}

    def begin(self, engine: Advancing) -> None:
        """Take a range of every population; where there is a network, agents joined to one another lie together."""
        self.engine = engine
        self._cut_edges: dict[str, tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]] = {}
        networks = [part.along for part in engine.kernel.plan.segments if isinstance(part, Share) and part.along]
        named = engine.scenario.cut_by
        # Where the scenario asks to be cut by space, its networks do not say who lies with whom.
        if networks and (named is None or named.name in networks):
            self._lay_together(named.name if named is not None else networks[0])
        for name, population in engine.state.populations.items():
            self._take(name, population)

    def _lay_together(self, label: str) -> None:
        """Store the agents of a network by the part of it to which they belong, as few edges as possible between."""
        network = self.engine.state.networks[label]
        population, agents = network.population, network.population.capacity
        source, target = network.values("source"), network.values("target")
        degree = np.bincount(source, minlength=agents) + np.bincount(target, minlength=agents)
        starts = np.concatenate([[0], np.cumsum(degree)])
        ends = np.concatenate([target, source])[np.argsort(np.concatenate([source, target]), kind="stable")]
        part = partition(starts, ends, self.shards)
        population.store_in(np.argsort(part[population.ids], kind="stable"))
        self._sizes = {population.population.name: np.bincount(part, minlength=self.shards)}

    def _take(self, name: str, population: PopulationState) -> None:
        living_before = np.concatenate([[0], np.cumsum(population.alive)])
        shares = population.living * np.arange(1, self.shards + 1) / self.shards
        ends = np.searchsorted(living_before, shares)
        if name in self._sizes:
            ends = np.cumsum(self._sizes[name])
        ends[-1] = population.capacity
        self.ends[name] = ends
        population.acting[:] = self.span(name, self.number)

    def span(self, name: str, shard: int) -> tuple[int, int]:
        """The slots of a population that a shard acts for: first and past the last."""
        ends = self.ends[name]
        return (int(ends[shard - 1]) if shard else 0), int(ends[shard])

    def tell(self, what: Share) -> None:
        """Tell the others the values of one's own agents, and hear theirs."""
        tables = [self._table(value) for value in what.values]
        if what.first:
            whole = [np.ascontiguousarray(table) for _, table in tables] if self.number == 0 else []
            outgoing = [whole if shard and self.number == 0 else [] for shard in range(self.shards)]
            told = self.channels.exchange(outgoing)[0]
            place = 0
            for _, table in tables if self.number else []:
                place = take(told, place, table)
            return
        if what.along:
            self._share_along(what.along, [table for _, table in tables])
            return
        mine = [np.ascontiguousarray(table[:, slice(*self.span(name, self.number))]) for name, table in tables]
        received = self.channels.exchange([mine if shard != self.number else [] for shard in range(self.shards)])
        for shard, values in enumerate(received):
            place = 0
            for name, table in tables if shard != self.number else []:
                place = take(values, place, table[:, slice(*self.span(name, shard))])

    def _share_along(self, label: str, tables: list[NDArray[Any]]) -> None:
        """Tell each other shard the values of those whom its own agents are joined to."""
        if label not in self._cut_edges:
            self._cut_edges[label] = self._ends_of_cut_edges(label)
        told, heard = self._cut_edges[label]
        received = self.channels.exchange([[table[:, slots] for table in tables] for slots in told])
        for shard, slots in enumerate(heard):
            place = 0
            for table in tables if len(slots) else []:
                size = table.shape[0] * len(slots) * table.itemsize
                table[:, slots] = received[shard][place : place + size].view(table.dtype).reshape(-1, len(slots))
                place += size

    def _ends_of_cut_edges(self, label: str) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
        """For each shard, the slots here that its agents are joined to, and those there that agents here are."""
        network = self.engine.state.networks[label]
        slot_of, ends = network.population.order, self.ends[network.population.population.name]
        one, other = slot_of[network.values("source")], slot_of[network.values("target")]
        one, other = np.concatenate([one, other]), np.concatenate([other, one])
        mine, theirs = (np.searchsorted(ends, slots, side="right") for slots in (one, other))
        here = mine == self.number
        told, heard = [], []
        for shard in range(self.shards):
            cut = here & (theirs == shard) & (shard != self.number)
            told.append(np.unique(one[cut]))
            heard.append(np.unique(other[cut]))
        return told, heard

    def _table(self, value: Binding) -> tuple[str, NDArray[Any]]:
        if value.kind == "accumulators":
            gather = self.engine.kernel.plan.gathers[value.key[0]]
            found: NDArray[Any] = self.engine.kernel.object(value)
            return gather.relation.source.name, found
        return value.key[0], self.engine.state[value.key[0]].fields[value.key[1]]

    def rebalance(self) -> bool:
        """Draw the ranges anew where births and deaths have made them uneven; return whether that was done."""
        state = self.engine.state
        uneven = {
            name: population
            for name, population in state.populations.items()
            if population.population.dynamic and self._largest(name, population) > UNEVEN
        }
        for name, population in uneven.items():
            declared = population.declared
            self.tell(Share(tuple(Binding("table", (name, field)) for field in declared)))
            self._take(name, population)
        return bool(uneven)

    def _largest(self, name: str, population: PopulationState) -> float:
        counts = [int(population.alive[slice(*self.span(name, shard))].sum()) for shard in range(self.shards)]
        return float(max(counts) * self.shards / max(population.living, self.shards))

    def slots(self, name: str) -> NDArray[np.int64]:
        """Where the living are whom this shard acts for."""
        first, last = self.span(name, self.number)
        return first + np.flatnonzero(self.engine.state[name].alive[first:last])


def take(received: NDArray[np.uint8], place: int, into: NDArray[Any]) -> int:
    """Copy an array out of received bytes; return where the next one begins."""
    size = into.size * into.itemsize
    into[...] = received[place : place + size].view(into.dtype).reshape(into.shape)
    return place + size
