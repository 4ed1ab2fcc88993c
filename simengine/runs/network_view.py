"""What observables see of a network: its edges as numpy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.compile.network_state import NetworkState
from simengine.errors import ScenarioError, nearest

Array = NDArray[Any]


class NetworkView:
    """The edges of a network by the ids of ``source`` and ``target``, ascending; an undirected edge once, low to high.

    ``source``, ``target`` and the fields of the edges (``friends.weight``) are arrays of one value an edge.
    """

    def __init__(self, state: NetworkState) -> None:
        self._state = state

    def __len__(self) -> int:
        return len(self._state)

    def __getattr__(self, name: str) -> Array:
        if name.startswith("_"):
            raise AttributeError(name)
        network = self._state.network
        known = ["source", "target", *network.fields]
        if name not in known:
            raise ScenarioError(f"network {network.name} has no {name!r}{nearest(name, known)}")
        values = self._state.values(name)
        values = values.astype(np.int64) if name in {"source", "target"} else values.view()
        values.flags.writeable = False
        return values

    @property
    def degree(self) -> Array:
        """How many edges each agent has, by id; in a directed network those that lead from it."""
        agents, network = self._state.population.capacity, self._state.network
        found = np.bincount(self.source, minlength=agents)
        return found if network.directed else found + np.bincount(self.target, minlength=agents)

    @property
    def sight(self) -> tuple[Array, Array]:
        """Who sees whom: the ids of those who see and of those whom they see, an entry for each of such pairs."""
        network, source, target = self._state.network, self.source, self.target
        if not network.directed:
            return np.concatenate([source, target]), np.concatenate([target, source])
        if network.way == "both":
            pairs = np.unique(np.stack([np.concatenate([source, target]), np.concatenate([target, source])]), axis=1)
            return pairs[0], pairs[1]
        return (source, target) if network.way == "out" else (target, source)

    def graph(self) -> Any:
        """Return the network as a networkx graph, fields as attributes of its edges."""
        import networkx

        network = self._state.network
        found: Any = networkx.DiGraph() if network.directed else networkx.Graph()
        found.add_nodes_from(range(self._state.population.capacity))
        columns = {name: getattr(self, name).tolist() for name in network.fields}
        for number, ends in enumerate(zip(self.source.tolist(), self.target.tolist(), strict=True)):
            found.add_edge(*ends, **{name: values[number] for name, values in columns.items()})
        return found
