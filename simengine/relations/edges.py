"""Edges given as a networkx graph, an edge list or a sparse matrix, checked and in canonical order."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simengine.errors import InputError, nearest
from simengine.relations.graph_files import GraphFile, read
from simengine.relations.graphs import KINDS

if TYPE_CHECKING:
    from simengine.relations.network import Network

Array = NDArray[Any]
MOST_AGENTS = 2**31 - 1
FORMS = (
    "a networkx graph, an edge list of shape (edges, 2), a dict of source, target and edge fields, a scipy.sparse "
    "matrix, (indptr, indices), or the path of a file with edges"
)


@dataclass(frozen=True)
class Edges:
    """Edges by ids of their agents, sorted by source and target; an undirected one once, the lower id first.

    ``nodes`` is the number of agents, where the form in which they were given tells it.
    """

    source: Array
    target: Array
    fields: dict[str, Array] = field(default_factory=dict)
    nodes: int | None = None

    def __len__(self) -> int:
        return len(self.source)

    def columns(self) -> dict[str, Array]:
        """Ends and fields, by name."""
        return {"source": self.source, "target": self.target, **self.fields}

    def check(self, agents: int, network: Network, what: str) -> None:
        """Refuse edges of agents that there are not."""
        if self.nodes is not None and self.nodes != agents:
            raise InputError(f"{what} has {self.nodes} nodes, but there are {agents} {network.source.name}")
        highest = int(max(self.source.max(), self.target.max())) if len(self) else -1
        if highest >= agents:
            allowed = f"ids are 0 to {agents - 1}" if agents else "there are none"
            raise InputError(f"{what} names agent {highest}, which is no id of {network.source.name}: {allowed}")


def read_edges(given: Any, network: Network, what: str) -> Edges:
    """Understand a graph; ``InputError`` where it cannot be one of this network.

    Refused (by the file's names, where it is one) are agents that see themselves, edges given twice, values that
    are no finite numbers, and a directed networkx graph for an undirected network. An undirected one gives a
    directed network each edge both ways; in an undirected network an edge given once each way, as in a symmetric
    matrix, is one edge.
    """
    given = _opened(given, what)
    names = given.labels if isinstance(given, GraphFile) else range(MOST_AGENTS)
    source, target, fields, nodes = _parts(given, network, what)
    source, target = _ids(source, what), _ids(target, what)
    if len(source) != len(target):
        raise InputError(f"{what} has {len(source)} sources and {len(target)} targets; an edge has one of each")
    values = {name: _values(fields.get(name), name, len(source), network, what) for name in network.fields}
    own = np.flatnonzero(source == target)
    if own.size:
        raise InputError(f"{what} joins agent {names[source[own[0]]]} to itself; remove such edges")
    if not network.directed:
        turned = source > target
        source, target = np.where(turned, target, source), np.where(turned, source, target)
    else:
        turned = np.zeros(len(source), bool)
    order = np.lexsort((turned, target, source))
    source, target, turned = source[order], target[order], turned[order]
    values = {name: column[order] for name, column in values.items()}
    again = np.zeros(len(source), bool)
    again[1:] = (source[1:] == source[:-1]) & (target[1:] == target[:-1])
    bad = np.flatnonzero(again & (turned == np.roll(turned, 1)))
    if bad.size:
        edge = _edge(names, source, target, bad[0], turned)
        raise InputError(f"{what} holds the edge {edge} twice; give each edge once")
    for name, column in values.items():
        differ = np.flatnonzero(again & (column != np.roll(column, 1)))
        if differ.size:
            edge = _edge(names, source, target, differ[0])
            raise InputError(f"{what} gives the undirected edge {edge} two values of {name}; declare directed=True")
    keep = ~again
    return Edges(
        source[keep].astype(np.int32), target[keep].astype(np.int32),
        {name: column[keep] for name, column in values.items()}, nodes,
    )  # fmt: skip


def _edge(names: Sequence[Any], source: Array, target: Array, number: int, turned: Array | None = None) -> str:
    ends = (names[source[number]], names[target[number]])
    first, second = ends[::-1] if turned is not None and turned[number] else ends
    return f"{first}-{second}"


def _opened(given: Any, what: str) -> Any:
    """What was given, read where it is the path of a file."""
    if not isinstance(given, str | Path):
        return given
    if given in KINDS:
        raise InputError(f"{what} is the name of a kind of graph; graphs.make({given!r}, n, seed) makes one")
    try:
        return read(given)
    except InputError as error:
        raise InputError(f"{what}: {error}") from None


def _parts(given: Any, network: Network, what: str) -> tuple[Any, Any, Mapping[str, Any], int | None]:
    """Sources, targets, values by field and the number of nodes, as they were given."""
    if given is None:
        raise InputError(f"{what} is nothing; it is {FORMS}")
    if isinstance(given, GraphFile):
        return _from_graph_file(given, network, what)
    if _is_networkx(given):
        return _from_networkx(given, network, what)
    if hasattr(given, "tocoo"):
        return _from_sparse(given, network, what)
    if isinstance(given, tuple) and len(given) == 2 and all(isinstance(p, np.ndarray) and p.ndim == 1 for p in given):
        return _from_rows(*given, what)
    if isinstance(given, Mapping):
        known = ["source", "target", *network.fields]
        for name in given:
            if name not in known:
                hint = nearest(str(name), known) or f"; allowed: {', '.join(known)}"
                raise InputError(f"{what} has no {name!r}{hint}")
        for end in ("source", "target"):
            if end not in given:
                raise InputError(f"{what} has no {end!r}; it is {FORMS}")
        fields = {name: values for name, values in given.items() if name in network.fields}
        return given["source"], given["target"], fields, None
    try:
        pairs = np.asarray(given)
    except (ValueError, TypeError):
        raise InputError(f"{what} is no graph; it is {FORMS}") from None
    if pairs.size == 0 and pairs.ndim in {1, 2}:
        pairs = np.empty((0, 2), np.int64)
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        found = f"an array of shape {pairs.shape}" if pairs.ndim else f"a {type(given).__name__}"
        raise InputError(f"{what} is {found}; it is {FORMS}")
    return pairs[:, 0], pairs[:, 1], {}, None


def _from_graph_file(graph: GraphFile, network: Network, what: str) -> tuple[Any, Any, Mapping[str, Any], int]:
    if graph.directed and not network.directed:
        raise InputError(f"{what} is directed; an undirected graph is expected")
    known = {name.lower(): name for name in network.fields}
    for name in graph.texts:
        if name.lower() in known:
            raise InputError(f"{what}: {name} of its edges is text; {known[name.lower()]} is a number")
    fields = {}
    for name, values in graph.fields.items():
        if name.lower() in known:
            field_name = known[name.lower()]
            fields[field_name] = np.where(np.isnan(values), network.fields[field_name].default, values)
    source, target = graph.source, graph.target
    if network.directed and graph.directed is False:
        source, target = np.concatenate([source, target]), np.concatenate([target, source])
        fields = {name: np.concatenate([values, values]) for name, values in fields.items()}
    return source, target, fields, len(graph.labels)


def _is_networkx(given: Any) -> bool:
    networkx = sys.modules.get("networkx")
    return networkx is not None and isinstance(given, networkx.Graph)


def _from_networkx(graph: Any, network: Network, what: str) -> tuple[Any, Any, Mapping[str, Any], int]:
    nodes = graph.number_of_nodes()
    if set(graph.nodes) != set(range(nodes)):
        raise InputError(
            f"{what}: its nodes are not called 0 to {nodes - 1}, as agents are; "
            "networkx.convert_node_labels_to_integers(graph, ordering='sorted') renames them"
        )
    if graph.is_directed() and not network.directed:
        raise InputError(f"{what} is directed; declare the network with directed=True, or give graph.to_undirected()")
    both_ways = network.directed and not graph.is_directed()
    ends = np.array([edge[:2] for edge in graph.edges], np.int64).reshape(-1, 2)
    fields = {
        name: np.array([value for _, _, value in graph.edges(data=name, default=declared.default)])
        for name, declared in network.fields.items()
    }
    if both_ways:
        ends = np.concatenate([ends, ends[:, ::-1]])
        fields = {name: np.concatenate([values, values]) for name, values in fields.items()}
    return ends[:, 0], ends[:, 1], fields, nodes


def _from_sparse(matrix: Any, network: Network, what: str) -> tuple[Any, Any, Mapping[str, Any], int]:
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InputError(f"{what}: a matrix of edges is square, not of shape {matrix.shape}")
    if len(network.fields) > 1:
        raise InputError(f"{what}: a matrix has one value an edge; give a dict of {', '.join(network.fields)}")
    found = matrix.tocoo()
    return found.row, found.col, dict.fromkeys(network.fields, found.data), matrix.shape[0]


def _from_rows(starts: Array, targets: Array, what: str) -> tuple[Any, Any, Mapping[str, Any], int]:
    starts, targets = _ids(starts, what), _ids(targets, what)
    lengths = np.diff(starts)
    if not len(starts) or starts[0] != 0 or starts[-1] != len(targets) or (lengths < 0).any():
        raise InputError(f"{what}: indptr of (indptr, indices) rises from 0 to the length of indices")
    return np.repeat(np.arange(len(lengths)), lengths), targets, {}, len(lengths)


def _ids(values: Any, what: str) -> Array:
    try:
        found = np.asarray(values)
    except (ValueError, TypeError):
        raise InputError(f"{what} is no graph; it is {FORMS}") from None
    if found.ndim != 1:
        raise InputError(f"{what}: agents are given as one id an edge, not as an array of shape {found.shape}")
    whole = found.dtype.kind in "iu" or (found.dtype.kind == "f" and bool((found == np.floor(found)).all()))
    if found.size and not whole:
        raise InputError(f"{what} names agents by ids, whole numbers from 0, not by {found.dtype}")
    bad = np.flatnonzero((found < 0) | (found >= MOST_AGENTS)) if found.size else np.empty(0, np.int64)
    if bad.size:
        raise InputError(f"{what} names agent {found[bad[0]]}; ids are whole numbers from 0")
    return found.astype(np.int64)


def _values(given: Any, name: str, edges: int, network: Network, what: str) -> Array:
    """One value an edge, of the type of the field."""
    declared = network.fields[name]
    if given is None:
        return np.full(edges, declared.default, declared.numpy_dtype)
    try:
        found = np.asarray(given)
        if found.ndim == 0:
            found = np.full(edges, found)
        numbers = found.astype(np.float64) if found.dtype.kind in "biuf" else None
    except (ValueError, TypeError):
        numbers = None
    if numbers is None:
        raise InputError(f"{what}: {name} is no array of numbers")
    if found.shape != (edges,):
        raise InputError(f"{what}: {name} has shape {found.shape}, expected {(edges,)}")
    fits = np.isfinite(numbers)
    if declared.dtype is int:
        fits &= numbers == np.floor(numbers)
    bad = np.flatnonzero(~fits)
    if bad.size:
        kind = "whole" if declared.dtype is int else "finite"
        raise InputError(f"{what}: {name} of edge {bad[0]} is {found[bad[0]]}; it holds {kind} numbers")
    # The default may lie beyond: there it says that no value was given.
    beyond = np.flatnonzero(declared.outside(found) & (found != declared.default))
    if beyond.size:
        raise InputError(f"{what}: {name} of edge {beyond[0]} is {found[beyond[0]]:g}; allowed is {declared.bounds}")
    return found.astype(declared.numpy_dtype)
