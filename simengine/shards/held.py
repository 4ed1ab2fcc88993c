"""The agents of one moment whom one shard acts for, by ascending id: what its partial observables see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from simengine.compile.state import PopulationState


class HeldPopulation:
    """Some agents of a population, as a view sees them.

    Parameters
    ----------
    state
        What the shard holds.
    slots
        Where the living are whom it acts for.
    """

    def __init__(self, state: PopulationState, slots: NDArray[np.int64]) -> None:
        self.population, self.capacity, self.declared = state.population, state.capacity, state.declared
        self._fields = state.fields
        ids = state.ids[slots]
        order = np.argsort(ids, kind="stable")
        self._ids, self._slots = ids[order], slots[order]

    @property
    def living(self) -> int:
        """How many there are."""
        return len(self._ids)

    def living_ids(self) -> NDArray[np.int64]:
        """Their ids, ascending."""
        return self._ids

    def values(self, name: str) -> NDArray[Any]:
        """One of their fields, by ascending id: shape (living,) or (living, components)."""
        table = self._fields[name][:, self._slots]
        return np.ascontiguousarray(table.T if self.declared[name].components else table[0])

    def unordered_ids(self) -> NDArray[np.int64]:
        """Their ids, ascending."""
        return self.living_ids()

    def unordered(self, name: str) -> NDArray[Any]:
        """The same; nothing would be saved by another order."""
        return self.values(name)

    def block(self, name: str, lowest: int, highest: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Ids from ``lowest`` to ``highest``, both included, and their values: (components or 1, agents)."""
        first, end = np.searchsorted(self._ids, lowest), np.searchsorted(self._ids, highest, side="right")
        return self._ids[first:end], self._fields[name][:, self._slots[first:end]]


class HeldState:
    """The populations of such a moment. Edges of networks, which every shard knows, are not among them."""

    def __init__(self, populations: Mapping[str, HeldPopulation]) -> None:
        self.populations, self.networks = dict(populations), dict[str, Any]()

    def __getitem__(self, name: str) -> HeldPopulation:
        return self.populations[name]
