"""The edges of a network during a run: in canonical order, with lists of neighbours by storage slot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.arrays import graph, pages
from simengine.relations.edges import Edges
from simengine.relations.network import Network

Array = NDArray[Any]
GROWTH = 1.5


class NetworkState:
    """Edges as arrays, sorted by the ids of source and target; an undirected one once, the lower id first.

    ``population`` is the state of the agents that they join. `array` gives what compiled code uses, by name:
    ``source``, ``target`` and ``field_...`` by edge, ``floats`` and ``wholes`` (all fields of a type, by row and edge),
    ``..._defaults``, ``count`` (how many edges there are), and for each way of seeing ``out_starts``, ``out_seen``,
    ``out_edge`` and ``out_field_...`` (the neighbours of a slot, by ascending id, the edges to them, and their fields:
    copies in the order in which a gather reads them).
    """

    def __init__(self, network: Network, population: Any) -> None:
        self.network, self.population = network, population
        self._arrays: dict[str, Array] = {"count": np.zeros(1, np.int64)}
        self._ways: set[str] = set()
        self._arrangement: int | None = None
        for kind, dtype in (("float", float), ("whole", int)):
            defaults = [field.default for field in network.fields.values() if field.dtype is dtype]
            self._arrays[f"{kind}_defaults"] = np.array(defaults, np.float64 if dtype is float else np.int64)
        self._allocate(0)

    def __len__(self) -> int:
        return int(self._arrays["count"][0])

    def hold(self, edges: Edges) -> None:
        """Hold these edges instead of others."""
        self._arrays["count"][0] = len(edges)
        self._allocate(len(edges))
        self._arrays["source"][:], self._arrays["target"][:] = edges.source, edges.target
        for name in self.network.fields:
            self._row(name)[:] = edges.fields[name] if name in edges.fields else self.network.fields[name].default

    def _allocate(self, room: int) -> None:
        arrays = self._arrays
        arrays["source"], arrays["target"] = pages.zeros(room, np.int32), pages.zeros(room, np.int32)
        arrays["floats"] = pages.zeros((len(arrays["float_defaults"]), room))
        arrays["wholes"] = pages.zeros((len(arrays["whole_defaults"]), room), np.int64)
        for way in self._ways:
            self._allocate_way(way)
        self._arrangement = None

    def _allocate_way(self, way: str) -> None:
        room = len(self._arrays["source"]) * (2 if way == "both" else 1)
        self._arrays[f"{way}_starts"] = pages.zeros(self.population.capacity + 1, np.int64)
        self._arrays[f"{way}_seen"] = pages.zeros(room, np.int32)
        self._arrays[f"{way}_edge"] = pages.zeros(room if self.network.fields else 0, np.int32)
        for name, field in self.network.fields.items():
            self._arrays[f"{way}_field_{name}"] = pages.zeros(room, field.numpy_dtype)

    def _row(self, name: str) -> Array:
        table = "floats" if self.network.fields[name].dtype is float else "wholes"
        row: Array = self._arrays[table][self.network.row(name)]
        return row

    def array(self, name: str) -> Array:
        """One of the arrays, by name; `make_room` and `hold` put others in their places."""
        if name.startswith("field_"):
            return self._row(name.removeprefix("field_"))
        way = name.partition("_")[0]
        if name not in self._arrays and way in {"out", "in", "both"} and way not in self._ways:
            self._ways.add(way)
            self._allocate_way(way)
            self._arrangement = None
        return self._arrays[name]

    def make_room(self, added: int) -> bool:
        """Make room for so many more edges; return whether the arrays are others now."""
        needed, before = len(self) + added, self._arrays
        if needed <= len(before["source"]):
            return False
        old = {name: before[name] for name in ("source", "target", "floats", "wholes")}
        self._allocate(max(needed, int(GROWTH * len(self))))
        for name, values in old.items():
            self._arrays[name][..., : len(self)] = values[..., : len(self)]
        return True

    def settle(self) -> None:
        """List the neighbours anew where agents are stored in other places than when it was done last."""
        if self._arrangement == self.population.arrangement:
            return
        self._arrangement = self.population.arrangement
        source, target, slot_of = self._arrays["source"], self._arrays["target"], self.population.order
        for way in sorted(self._ways):
            starts, seen, edge = (self._arrays[f"{way}_{part}"] for part in ("starts", "seen", "edge"))
            if self.network.directed and way == "both":
                graph.place_both_ways(source, target, len(self), slot_of, self.population.ids, starts, seen, edge)
            else:
                forward, back = way != "in", way != "out"
                graph.place_neighbours(source, target, len(self), slot_of, forward, back, starts, seen, edge)
            listed = int(starts[-1])
            for name in self.network.fields:
                self._arrays[f"{way}_field_{name}"][:listed] = self._row(name)[edge[:listed]]

    def values(self, name: str) -> Array:
        """``source``, ``target`` or a field of all edges, in canonical order."""
        return (self._row(name) if name in self.network.fields else self._arrays[name])[: len(self)]

    def saved(self) -> dict[str, Array]:
        """Everything that the next step may depend on."""
        return {name: self.values(name) for name in ("source", "target", *self.network.fields)}

    def load(self, saved: Mapping[str, Array]) -> None:
        """Take over what `saved` gave."""
        self.hold(Edges(saved["source"], saved["target"], {name: saved[name] for name in self.network.fields}))
