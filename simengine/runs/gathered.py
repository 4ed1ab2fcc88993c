"""The agents of several shards as one moment of a run: fields come when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.relations.network import Network
from simengine.scenario.population import Population
from simengine.scenario.scenario import Scenario
from simengine.store.blocks import Blocks

Arrays = dict[str, NDArray[Any]]
Ask = Callable[..., list[Any]]


class GatheredPopulation:
    """A population whose agents are held by shards, as views and recorders see it.

    Without births and deaths ids are 0 to n - 1, and any range of agents can be had alone. With them the order of all
    ids is kept here (8 bytes an agent) from when it is first needed.
    """

    def __init__(self, population: Population, capacity: int, ask: Ask) -> None:
        self.population, self.capacity, self._ask = population, capacity, ask
        self.declared = {**population.fields, **population.inboxes}
        self._living: int | None = None if population.dynamic else capacity
        self._ids: NDArray[np.int64] | None = None
        self._values: Arrays = {}

    @property
    def living(self) -> int:
        """How many live."""
        if self._living is None:
            self._living = sum(self._ask("living", self.population.name))
        return self._living

    def living_ids(self) -> NDArray[np.int64]:
        """The ids of the living, ascending."""
        if not self.population.dynamic:
            return np.arange(self.capacity)
        if self._ids is None:
            self._ids = np.sort(np.concatenate(self._ask("held_ids", self.population.name)))
        return self._ids

    def values(self, name: str) -> NDArray[Any]:
        """A field of the living, by ascending id: shape (living,) or (living, components); kept for this moment."""
        if name not in self._values:
            self._values[name] = self.block(name, 0, self.living)
        return self._values[name]

    def unordered_ids(self) -> NDArray[np.int64]:
        """Their ids, ascending."""
        return self.living_ids()

    def unordered(self, name: str) -> NDArray[Any]:
        """The same; nothing would be saved by another order."""
        return self.values(name)

    def blocks(self, name: str) -> Blocks:
        """A field of the living like `values`, to be had in parts; nothing is kept."""
        components = self.declared[name].components
        shape = (self.living, components) if components else (self.living,)
        return Blocks(shape, lambda first, end: self.block(name, first, end))

    def block(self, name: str, first: int, end: int) -> NDArray[Any]:
        """A field of the living from ``first`` up to ``end`` in the order of their ids."""
        if name in self._values:
            return self._values[name][first:end]
        field = self.declared[name]
        values = np.empty((end - first, field.components) if field.components else end - first, field.numpy_dtype)
        if end <= first:
            return values
        ids = self.living_ids()[first:end] if self.population.dynamic else None
        lowest, highest = (first, end - 1) if ids is None else (int(ids[0]), int(ids[-1]))
        for held, table in self._ask("held_block", self.population.name, name, lowest, highest):
            places = held - first if ids is None else np.searchsorted(ids, held)
            values[places] = table.T if field.components else table[0]
        return values


class GatheredNetwork:
    """The edges of a network, which every shard knows."""

    def __init__(self, network: Network, label: str, population: GatheredPopulation, ask: Ask) -> None:
        self.network, self.population, self._label, self._ask = network, population, label, ask
        self._kept: Arrays | None = None

    def __len__(self) -> int:
        return len(self.values("source"))

    def values(self, name: str) -> NDArray[Any]:
        """``source``, ``target`` or a field of all edges, in canonical order."""
        if self._kept is None:
            self._kept = self._ask("kept")[0][0]
        return self._kept[f"relations/{self._label}/{name}"]


class GatheredState:
    """The populations of one moment."""

    def __init__(self, scenario: Scenario, ask: Ask) -> None:
        self.populations = {
            name: GatheredPopulation(population, scenario.capacity_of(population, scenario.values), ask)
            for name, population in scenario.declaration.populations.items()
        }
        self.networks = {
            name: GatheredNetwork(relation, name, self.populations[relation.source.name], ask)
            for name, relation in scenario.declaration.relations.items()
            if isinstance(relation, Network)
        }

    def __getitem__(self, name: str) -> GatheredPopulation:
        return self.populations[name]


class LazyArrays(MutableMapping[str, NDArray[Any]]):
    """Arrays by path, some of them fetched whenever they are read, and not kept.

    Parameters
    ----------
    fetched
        What returns such an array, by path.
    arrays
        Those that are here.
    """

    def __init__(self, fetched: dict[str, Callable[[], NDArray[Any]]], arrays: Arrays) -> None:
        self._fetched, self._arrays = fetched, arrays

    def __getitem__(self, path: str) -> NDArray[Any]:
        return self._fetched[path]() if path in self._fetched else self._arrays[path]

    def __setitem__(self, path: str, values: NDArray[Any]) -> None:
        self._fetched.pop(path, None)
        self._arrays[path] = values

    def __delitem__(self, path: str) -> None:
        del (self._fetched if path in self._fetched else self._arrays)[path]

    def __contains__(self, path: object) -> bool:
        return path in self._fetched or path in self._arrays

    def __iter__(self) -> Iterator[str]:
        yield from self._fetched
        yield from self._arrays

    def __len__(self) -> int:
        return len(self._fetched) + len(self._arrays)


def saved_populations(state: GatheredState) -> dict[str, Callable[[], NDArray[Any]]]:
    """Ids and values of the living, by ascending id, as what fetches them, by the paths of a saved state."""
    found: dict[str, Callable[[], NDArray[Any]]] = {}
    for name, population in state.populations.items():
        found[f"populations/{name}/ids"] = population.living_ids
        for field in population.declared:
            found[f"populations/{name}/{field}"] = _fetching(population, field)
    return found


def _fetching(population: GatheredPopulation, field: str) -> Callable[[], NDArray[Any]]:
    return lambda: population.block(field, 0, population.living)
