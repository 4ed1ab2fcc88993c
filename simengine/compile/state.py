"""The state of a run: one array per field, ids, who lives, and the order by id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.scenario.population import Population
from simengine.scenario.scenario import Scenario

Array = NDArray[Any]


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
        self.ids = np.full(capacity, -1, np.int64)
        self.ids[:size] = np.arange(size)
        self.alive = np.zeros(capacity, np.bool_)
        self.alive[:size] = True
        self.order = np.full(capacity, -1, np.int64)
        self.order[:size] = np.arange(size)
        self.count = np.array([size], np.int64)
        self.tables: dict[str, Array] = {}
        for name, field in {**population.fields, **population.inboxes}.items():
            table = np.full((field.rows, capacity + PADDING), field.default, field.numpy_dtype)
            if field.dtype is float:
                table[:, capacity:] = np.inf
            self.tables[name] = table
        self.fields: dict[str, Array] = {name: table[:, :capacity] for name, table in self.tables.items()}
        self.sorted_storage = False

    @property
    def living(self) -> int:
        """How many live."""
        return int(self.count[0])

    def values(self, name: str) -> Array:
        """A field of the living, by ascending id: shape (living,) or (living, components); a copy or a view.

        It is contiguous whatever the storage, because the rounding of numpy's sums depends on the layout.
        """
        field = (self.population.fields | self.population.inboxes)[name]
        table = self.fields[name]
        if self.sorted_storage or self.population.dynamic:
            table = table[:, self.order[: self.living]]
        return np.ascontiguousarray(table.T if field.components else table[0])

    def living_ids(self) -> Array:
        """The ids of the living, ascending."""
        return self.ids[self.order[: self.living]]

    def saved(self) -> dict[str, Array]:
        """Everything that the next step may depend on: ids and values of the living, by ascending id."""
        names = [*self.population.fields, *self.population.inboxes]
        return {"ids": self.living_ids(), **{name: self.values(name) for name in names}}

    def load(self, saved: Mapping[str, Array]) -> None:
        """Take over what `saved` gave, the living in the first slots by ascending id."""
        living = len(saved["ids"])
        self.ids[:living], self.ids[living:] = saved["ids"], -1
        self.alive[:living], self.alive[living:] = True, False
        self.order[:living], self.order[living:] = np.arange(living), -1
        self.count[0] = living
        for name, field in {**self.population.fields, **self.population.inboxes}.items():
            values = saved[name]
            self.fields[name][:, :living] = values.T if field.components else values
        self.sorted_storage = False

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
        self.sorted_storage = True


class State:
    """The arrays of all populations of a scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.populations: dict[str, PopulationState] = {}
        for name, population in scenario.declaration.populations.items():
            size = scenario.size_of(population, scenario.values)
            capacity = scenario.capacity_of(population, scenario.values)
            self.populations[name] = PopulationState(population, size, capacity)

    def __getitem__(self, name: str) -> PopulationState:
        return self.populations[name]

    def capacities(self) -> Mapping[str, int]:
        """The capacity of each population."""
        return {name: state.capacity for name, state in self.populations.items()}
