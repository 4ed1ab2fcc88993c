"""The state of a run: one array per field, ids, who lives, and the order by id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.arrays import pages
from simengine.compile.network_state import NetworkState
from simengine.relations.edges import Edges
from simengine.relations.network import Network
from simengine.scenario.population import Population
from simengine.scenario.scenario import Scenario

Array = NDArray[Any]


NO_EDGES = Edges(np.empty(0, np.int32), np.empty(0, np.int32))
# Loops that read eight values at a time may read past the last agent, and must find nobody there.
PADDING = 16


class PopulationState:
    """The arrays of one population, by storage slot.

    ``fields[name]`` has shape (components or 1, capacity); ``order[:living]`` are the slots of the living by
    ascending id; ``count[0]`` is how many live.
    """

    def __init__(self, population: Population, size: int, capacity: int) -> None:
        self.population = population
        self.capacity = capacity
        self.ids = pages.zeros(capacity, np.int64)
        self.alive = pages.zeros(capacity, np.bool_)
        self.order = pages.zeros(capacity, np.int64)
        self.count = np.empty(1, np.int64)
        self.acting = np.empty(2, np.int64)
        self.declared = {**population.fields, **population.inboxes}
        self.tables: dict[str, Array] = {
            name: pages.zeros((field.rows, capacity + PADDING), field.numpy_dtype)
            for name, field in self.declared.items()
        }
        self.fields: dict[str, Array] = {name: table[:, :capacity] for name, table in self.tables.items()}
        self.arrangement = 0
        self.begin(size)

    def begin(self, size: int) -> None:
        """Hold ``size`` agents as they are before a start: ids from 0, default values, and nothing of who was here."""
        numbers = np.arange(size)
        self.ids[:size], self.ids[size:] = numbers, -1
        self.alive[:size], self.alive[size:] = True, False
        self.order[:size], self.order[size:] = numbers, -1
        self.count[0] = size
        self.acting[:] = 0, self.capacity
        for name, field in self.declared.items():
            self.tables[name].fill(field.default)
            if field.dtype is float:
                self.tables[name][:, self.capacity :] = np.inf
        self._arranged(False)

    def _arranged(self, sorted_storage: bool) -> None:
        """Take note that agents lie in other slots; each arrangement has a number of its own."""
        self.sorted_storage = sorted_storage
        self.arrangement += 1

    @property
    def living(self) -> int:
        """How many live."""
        return int(self.count[0])

    def values(self, name: str) -> Array:
        """A field of the living, by ascending id: shape (living,) or (living, components); a copy or a view.

        It is contiguous whatever the storage, because the rounding of numpy's sums depends on the layout.
        """
        field, table = self.declared[name], self.fields[name]
        if self.sorted_storage or self.population.dynamic:
            table = table[:, self.order[: self.living]]
        return np.ascontiguousarray(table.T if field.components else table[0])

    def unordered(self, name: str) -> Array:
        """A field of the living in an order that may be any, the same for all fields: a copy or a view.

        For what no order can change, as counts are; it saves putting the agents in order.
        """
        if self.population.dynamic:
            return self.values(name)
        field, table = self.declared[name], self.fields[name][:, : self.living]
        return table.T if field.components else table[0]

    def unordered_ids(self) -> Array:
        """The ids in the order of `unordered`."""
        return self.living_ids() if self.population.dynamic else self.ids[: self.living]

    def living_ids(self) -> Array:
        """The ids of the living, ascending."""
        found: Array = self.ids[self.order[: self.living]]
        return found

    def saved(self) -> dict[str, Array]:
        """Everything that the next step may depend on: ids and values of the living, by ascending id."""
        return {"ids": self.living_ids(), **{name: self.values(name) for name in self.declared}}

    def load(self, saved: Mapping[str, Array]) -> None:
        """Take over what `saved` gave, the living in the first slots by ascending id."""
        living = len(saved["ids"])
        self.ids[:living], self.ids[living:] = saved["ids"], -1
        self.alive[:living], self.alive[living:] = True, False
        self.order[:living], self.order[living:] = np.arange(living), -1
        self.count[0] = living
        for name, field in self.declared.items():
            values = saved[name]
            self.fields[name][:, :living] = values.T if field.components else values
        self._arranged(False)

    def bury(self) -> None:
        """Remove those whose ``alive`` was set to false, of a population that lies in the first slots by id."""
        keep = self.alive[: self.living].copy()
        if not keep.all():
            self.load({name: values[keep] for name, values in self.saved().items()})

    def store_in(self, permutation: Array) -> None:
        """Let slot ``k`` hold what ``permutation[k]`` held; for a population without births and deaths."""
        for column in (self.ids, *(row for table in self.fields.values() for row in table)):
            column[:] = np.take(column, permutation)
        self.order[self.ids] = np.arange(self.capacity)
        self._arranged(True)


class State:
    """The arrays of all populations of a scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.populations: dict[str, PopulationState] = {}
        for name, population in scenario.declaration.populations.items():
            size = scenario.size_of(population, scenario.values)
            capacity = scenario.capacity_of(population, scenario.values)
            self.populations[name] = PopulationState(population, size, capacity)
        self.networks = {
            name: NetworkState(relation, self.populations[relation.source.name])
            for name, relation in scenario.declaration.relations.items()
            if isinstance(relation, Network)
        }

    @classmethod
    def of(cls, populations: dict[str, PopulationState]) -> State:
        """Return the state made of these populations."""
        state = cls.__new__(cls)
        state.populations, state.networks = populations, {}
        return state

    def __getitem__(self, name: str) -> PopulationState:
        return self.populations[name]

    def begin_again(self, scenario: Scenario) -> bool:
        """Hold another run of the same scenario before its start; false, and nothing done, where it needs more room."""
        for name, population in scenario.declaration.populations.items():
            held = self.populations.get(name)
            if held is None or held.population is not population:
                return False
            if held.capacity != scenario.capacity_of(population, scenario.values):
                return False
        for held in self.populations.values():
            held.begin(scenario.size_of(held.population, scenario.values))
        for network in self.networks.values():
            network.hold(NO_EDGES)
        return True

    def capacities(self) -> Mapping[str, int]:
        """The capacity of each population."""
        return {name: state.capacity for name, state in self.populations.items()}
