"""Graphs as users have them (edge arrays, scipy sparse matrices, networkx graphs), brought to one shape.

All graphs here are undirected and without loops; each edge is held once, with a weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from simengine.arrays.jit import njit
from simengine.diagnostics import checks
from simengine.diagnostics.populations.arguments import MOST_CELLS, checked_numbers, not_negative
from simengine.diagnostics.samples import checked_values
from simengine.errors import InputError

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

MOST_NODES = 1 << 27
"""Nodes at most; a number for each takes 1 GiB."""

MOST_WEIGHT = 1e12
"""Greatest weight of an edge: above it rounding hides what one edge more does."""


@dataclass(frozen=True)
class Graph:
    """An undirected graph of nodes 0 ... n - 1: the two ends and the weight of each edge, shape (m,)."""

    n: int
    first: Counts
    second: Counts
    weight: Floats

    @property
    def m(self) -> int:
        """The number of edges."""
        return self.first.size

    @property
    def weighted(self) -> bool:
        """Whether edges differ in weight."""
        return self.m > 0 and bool((self.weight != self.weight[0]).any())

    def degrees(self) -> Counts:
        """Return the number of edges of each node, shape (n,)."""
        return degrees_of(self.first, self.second, self.n)

    def sums(self, values: Floats) -> Floats:
        """Return the sum of a value of edges, shape (m,), over the edges of each node, shape (n,)."""
        return sums_at_nodes(self.first, self.second, np.ascontiguousarray(values, dtype=np.float64), self.n)

    def adjacency(self) -> Any:
        """Return the symmetric adjacency matrix in scipy's CSR form."""
        both = (np.concatenate([self.first, self.second]), np.concatenate([self.second, self.first]))
        return sparse.csr_array((np.concatenate([self.weight, self.weight]), both), shape=(self.n, self.n))

    def laplacian(self) -> Any:
        """Return the Laplacian, strengths on the diagonal less the adjacency, in CSR form."""
        return (sparse.diags_array(self.sums(self.weight)) - self.adjacency()).tocsr()


@njit(cache=True, nogil=True, error_model="numpy")
def degrees_of(first: Counts, second: Counts, n: int) -> Counts:
    """Return the number of edges at each of ``n`` nodes."""
    found = np.zeros(n, np.int64)
    for e in range(first.size):
        found[first[e]] += 1
        found[second[e]] += 1
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def sums_at_nodes(first: Counts, second: Counts, values: Floats, n: int) -> Floats:
    """Return the sum of a value of edges at each of ``n`` nodes."""
    found = np.zeros(n)
    for e in range(first.size):
        found[first[e]] += values[e]
        found[second[e]] += values[e]
    return found


def as_graph(edges: Any, nodes: int | None = None, weights: Any = None) -> Graph:
    """Return a graph from an edge array, a symmetric scipy sparse matrix or a networkx graph.

    Parameters
    ----------
    edges
        Node numbers from 0 on, shape (m, 2), each edge once or in both directions; or a matrix; or a graph, whose nodes
        count in their order and whose edges may have a ``weight``.
    nodes
        Number of nodes of an edge array; by default one more than the greatest number in it.
    weights
        Of the edges of an edge array, shape (m,), not negative; of repeated edges they add up. By default 1.
    """
    if is_networkx(edges):
        return _of_networkx(edges, nodes, weights)
    if sparse.issparse(edges):
        return _of_matrix(edges, nodes, weights)
    pairs = checked_values(edges, "edges")
    if pairs.shape in ((0,), (0, 2)):
        pairs = np.zeros((0, 2), np.int64)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
        raise InputError(
            f"edges is {pairs.dtype} of shape {pairs.shape}; expected pairs of node numbers (m, 2), a scipy sparse"
            " matrix or a networkx graph"
        )
    if pairs.size and (pairs.min() < 0 or pairs.max() >= MOST_NODES):
        raise InputError(f"edges names the nodes {pairs.min()} to {pairs.max()}; they are 0 to {MOST_NODES - 1}")
    weight = None if weights is None else _checked_weights(weights, len(pairs))
    return _merged(pairs.astype(np.int64), weight, nodes)


def is_networkx(edges: Any) -> bool:
    """Whether this is a networkx graph, which need not be installed to ask."""
    return not isinstance(edges, type) and hasattr(edges, "adj") and callable(getattr(edges, "is_directed", None))


def says_its_size(edges: Any) -> bool:
    """Whether this says by itself how many nodes there are, as matrices and networkx graphs do."""
    return bool(sparse.issparse(edges)) or is_networkx(edges)


def graph_of_agents(edges: Any, agents: int, weights: Any = None) -> Graph:
    """Return the graph of so many agents, see :func:`as_graph`; an edge array may leave the last ones alone."""
    graph = as_graph(edges, None if says_its_size(edges) else agents, weights)
    if graph.n != agents:
        raise InputError(f"the graph has {graph.n} nodes; there are {agents} agents")
    return graph


def _checked_weights(weights: Any, m: int) -> Floats:
    found = not_negative(checked_numbers(weights, "weights", (m,), "one for each edge"), "weights")
    if found.size and found.max() > MOST_WEIGHT:
        raise InputError(f"weights holds {found.max():g} at {found.argmax()}; expected at most {MOST_WEIGHT:g}")
    return found


def _agree(nodes: Any, weights: Any, n: int, what: str) -> None:
    if weights is not None or (nodes is not None and checks.whole(nodes, "nodes", 0, MOST_NODES) != n):
        given = "weights are given" if weights is not None else f"nodes is {nodes}"
        raise InputError(f"{given}, but nodes and weights belong to an edge array; {what} of {n} nodes says both")


def _merged(pairs: Counts, weight: Floats | None, nodes: int | None) -> Graph:
    """Each edge once: repeated ones add up if they have weights, else they are one."""
    least = int(pairs.max()) + 1 if pairs.size else 0
    n = least if nodes is None else checks.whole(nodes, "nodes", 0, MOST_NODES)
    if pairs.size and (pairs.min() < 0 or least > n):
        raise InputError(f"edges names the nodes {pairs.min()} to {pairs.max()}; with nodes={n} they are 0 to {n - 1}")
    loops = np.flatnonzero(pairs[:, 0] == pairs[:, 1])
    if loops.size:
        raise InputError(f"edge {loops[0]} joins node {pairs[loops[0], 0]} to itself; loops have no place here")
    key, back = np.unique(pairs.min(axis=1) * max(n, 1) + pairs.max(axis=1), return_inverse=True)
    total: Floats = np.ones(key.size)
    if weight is not None:
        total = np.bincount(back, weight, minlength=key.size).astype(np.float64)
    held = total > 0.0
    key = key[held]
    return Graph(n, np.ascontiguousarray(key // max(n, 1)), np.ascontiguousarray(key % max(n, 1)), total[held])


def _of_matrix(matrix: Any, nodes: int | None, weights: Any) -> Graph:
    if len(matrix.shape) != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InputError(f"the matrix has shape {matrix.shape}; expected (n, n), symmetric")
    _agree(nodes, weights, matrix.shape[0], "a matrix")
    matrix = sparse.csr_array(matrix)
    held = (_checked_weights(matrix.data, matrix.data.size), matrix.indices, matrix.indptr)
    matrix = sparse.csr_array(held, shape=matrix.shape)
    if abs(matrix - matrix.T).sum() != 0:
        raise InputError(f"the matrix of shape {matrix.shape} is not symmetric; the graphs here are undirected")
    if abs(matrix.diagonal()).sum() != 0:
        raise InputError("the matrix has numbers on its diagonal; loops have no place here")
    upper = sparse.coo_array(sparse.triu(matrix, 1))
    pairs = np.stack([upper.coords[0], upper.coords[1]], axis=1).astype(np.int64)
    return _merged(pairs, _checked_weights(upper.data, len(pairs)), matrix.shape[0])


def _of_networkx(graph: Any, nodes: int | None, weights: Any) -> Graph:
    _agree(nodes, weights, len(graph), "a networkx graph")
    if graph.is_directed():
        raise InputError("the graph is directed; give graph.to_undirected()")
    number = {node: place for place, node in enumerate(graph)}
    listed = [(number[a], number[b], w) for a, b, w in graph.edges(data="weight", default=1.0)]
    pairs = np.array([one[:2] for one in listed], dtype=np.int64).reshape(-1, 2)
    return _merged(pairs, _checked_weights([one[2] for one in listed], len(pairs)), len(graph))


def node_values(values: Any, graph: Graph, word: str) -> Floats:
    """Return one finite number for each node, shape (n,)."""
    return checked_numbers(values, word, (graph.n,), "a number for each node")


def checked_labels(labels: Any, word: str) -> NDArray[Any]:
    """Return labels of nodes, whole numbers, truth values or texts of shape (n,)."""
    found = checked_values(labels, word, True)
    if found.ndim != 1:
        raise InputError(f"{word} has shape {found.shape}; expected (n,): a label for each node")
    return found


def numbered_labels(labels: NDArray[Any], word: str, states: int | None) -> tuple[Counts, int]:
    """Return labels as numbers from 0 on, and how many there are; with ``states`` they are such numbers already."""
    if states is None:
        names, number = np.unique(labels, return_inverse=True)
        return number.ravel().astype(np.int64), names.size
    states = checks.whole(states, f"{word}: states", 1, MOST_CELLS)
    if labels.dtype.kind not in "biu" or (labels.size and (labels.min() < 0 or labels.max() >= states)):
        said = f"{labels.min()} to {labels.max()}" if labels.dtype.kind in "biu" else f"{labels.dtype}"
        raise InputError(f"{word} holds {said}; with states={states} they are the whole numbers 0 to {states - 1}")
    return labels.astype(np.int64), states
