"""Graphs by name, for networks: fast enough for ten million edges, and the same for the same seed.

A scenario offers them as a parameter::

    graph: graphs.Kind = param("small_world", description="who knows whom")
    mean_degree: float = param(10.0, above=0, description="acquaintances of an agent in the mean")
    acquaintances = Network(agents, graph="make_graph")

    def make_graph(self, draw):
        return graphs.make(self.graph, self.n_agents, draw.seed_for("graph"), mean_degree=self.mean_degree)

A graph of one's own is given to a run, as a file or as any object that a network takes: see `read` and `Network`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from simengine.errors import InputError, nearest
from simengine.relations.graph_files import GraphFile as GraphFile
from simengine.relations.graph_files import read as read

Array = NDArray[Any]
Ends = tuple[Array, Array]
Kind = Literal[
    "complete", "ring", "lattice", "star", "random", "small_world", "scale_free", "regular", "karate_club"
]  # fmt: skip
KINDS: tuple[str, ...] = get_args(Kind)
MOST_EDGES = 2**31


def make(kind: str, n: int, seed: int = 0, *, mean_degree: float = 10.0, rewiring: float = 0.1) -> dict[str, Array]:
    """Return the edges of a graph, ``source`` and ``target``, each edge once.

    Parameters
    ----------
    kind
        - ``complete``: everybody with everybody.
        - ``ring``: everybody with the ``mean_degree`` / 2 nearest on either side.
        - ``lattice``: a square lattice without borders, four neighbours each; ``n`` is a square number from 9 on.
        - ``star``: node 0 with all others.
        - ``random``: every pair with the same chance (Erdos & Renyi 1959; Gilbert 1959).
        - ``small_world``: a ring whose edges lead elsewhere with chance ``rewiring`` (Watts & Strogatz 1998).
        - ``scale_free``: newcomers join ``mean_degree`` / 2 others, in proportion to their degrees (Barabasi & Albert
          1999).
        - ``regular``: ``mean_degree`` neighbours each, otherwise random.
        - ``karate_club``: the 34 members of Zachary (1977).
    n
        Number of nodes.
    seed
        What the random ones are drawn from.
    mean_degree
        Neighbours of a node in the mean; even for ``ring``, ``small_world`` and ``scale_free``, whole for ``regular``.
    rewiring
        Of ``small_world``: the share of edges that lead elsewhere.

    Raises
    ------
    InputError
        For an unknown kind, and numbers with which the graph does not exist.
    """
    if kind not in KINDS:
        raise InputError(f"there is no graph {kind!r}{nearest(str(kind), KINDS) or '; kinds: ' + ', '.join(KINDS)}")
    for name, value in (("n", n), ("seed", seed)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise InputError(f"{name} is a whole number, not {value!r:.60}")
    for name, number in (("mean_degree", mean_degree), ("rewiring", rewiring)):
        if isinstance(number, bool) or not isinstance(number, int | float | np.integer | np.floating):
            raise InputError(f"{name} is a number, not {number!r:.60}")
    if n < 1:
        raise InputError(f"a graph has at least 1 node, not {n}")
    if seed < 0:
        raise InputError(f"a seed is a whole number from 0, not {seed}")
    if not (math.isfinite(mean_degree) and mean_degree >= 0):
        raise InputError(f"mean_degree is a number of neighbours, not {mean_degree}")
    if not 0 <= rewiring <= 1:
        raise InputError(f"rewiring is a share from 0 to 1, not {rewiring}")
    expected = n * (n - 1) / 2 if kind == "complete" else n * mean_degree / 2
    if expected > MOST_EDGES:
        raise InputError(f"{kind} with {n} nodes has about {expected:.3g} edges; there is room for {MOST_EDGES:.3g}")
    source, target = MAKERS[kind](n, np.random.Generator(np.random.PCG64(seed)), mean_degree, rewiring)
    return {"source": source, "target": target}


def both_ways(edges: Mapping[str, Any]) -> dict[str, Array]:
    """Return the edges of a directed graph: each of these there and back, with the same values."""
    ends = {"source": ("source", "target"), "target": ("target", "source")}
    return {name: np.concatenate([edges[part] for part in ends.get(name, (name, name))]) for name in edges}


def _complete(n: int, _: Any, __: float, ___: float) -> Ends:
    source, target = np.triu_indices(n, 1)
    return source, target


def _star(n: int, _: Any, __: float, ___: float) -> Ends:
    return np.zeros(n - 1, np.int64), np.arange(1, n)


def _ring(n: int, _: Any, mean_degree: float, __: float) -> Ends:
    return _circle(n, _half(mean_degree, n, "ring"))


def _circle(n: int, side: int) -> Ends:
    source = np.repeat(np.arange(n), side)
    return source, (source + np.tile(np.arange(1, side + 1), n)) % n


def _lattice(n: int, _: Any, __: float, ___: float) -> Ends:
    side = math.isqrt(n)
    if side * side != n or side < 3:
        low = max(side, 3)
        raise InputError(
            f"a lattice has a square number of nodes from 9 on, such as {low**2} or {(low + 1) ** 2}: not {n}"
        )
    node = np.arange(n).reshape(side, side)
    right, below = np.roll(node, -1, axis=1), np.roll(node, -1, axis=0)
    return np.tile(node.ravel(), 2), np.concatenate([right.ravel(), below.ravel()])


def _random(n: int, generator: np.random.Generator, mean_degree: float, _: float) -> Ends:
    if mean_degree > n - 1:
        raise InputError(f"mean_degree is at most n - 1 = {n - 1} in a graph of {n} nodes, not {mean_degree:g}")
    pairs = n * (n - 1) // 2
    edges = int(generator.binomial(pairs, mean_degree / (n - 1))) if pairs else 0
    number = _distinct(generator, edges, pairs)
    # Pair k of the rows (1, 0), (2, 0), (2, 1), (3, 0), ...; the square root may be off by one.
    row = ((1 + np.sqrt(1 + 8 * number.astype(np.float64))) // 2).astype(np.int64)
    row -= row * (row - 1) // 2 > number
    row += row * (row + 1) // 2 <= number
    return number - row * (row - 1) // 2, row


def _distinct(generator: np.random.Generator, wanted: int, below: int) -> Array:
    """Different whole numbers, any such set as likely as any other."""
    if 2 * wanted > below:
        return np.sort(generator.permutation(below)[:wanted])
    found = np.empty(0, np.int64)
    while len(found) < wanted:
        more = generator.integers(0, below, size=(wanted - len(found)) * 21 // 20 + 8)
        fresh = more[np.sort(np.unique(more, return_index=True)[1])]
        fresh = fresh[~np.isin(fresh, found)]
        found = np.concatenate([found, fresh[: wanted - len(found)]])
    return np.sort(found)


def _small_world(n: int, generator: np.random.Generator, mean_degree: float, rewiring: float) -> Ends:
    source, target = _circle(n, _half(mean_degree, n, "small_world"))
    open_ = np.flatnonzero(generator.random(len(source)) < rewiring)
    if open_.size and mean_degree > (n - 1) / 2:
        raise InputError(f"mean_degree is at most (n - 1) / 2 = {(n - 1) / 2:g} where edges lead elsewhere")
    while open_.size:
        target[open_] = generator.integers(0, n, open_.size)
        open_ = np.intersect1d(open_, _faulty(source, target, n))
    return source, target


def _faulty(source: Array, target: Array, n: int) -> Array:
    """The edges that join a node to itself, or the same two nodes as another edge."""
    name = np.minimum(source, target) * n + np.maximum(source, target)
    order = np.argsort(name, kind="stable")
    same = name[order[1:]] == name[order[:-1]]
    faulty = source == target
    faulty[order[1:][same]] = faulty[order[:-1][same]] = True
    return np.flatnonzero(faulty)


def _scale_free(n: int, generator: np.random.Generator, mean_degree: float, _: float) -> Ends:
    from simengine.arrays.graph_makers import preferential_attachment

    links = _half(mean_degree, n, "scale_free")
    older, newer = preferential_attachment(np.uint64(generator.integers(0, 2**63)), n, links)
    return older, newer


def _regular(n: int, generator: np.random.Generator, mean_degree: float, _: float) -> Ends:
    degree = int(mean_degree)
    if degree != mean_degree or degree > n - 1 or n * degree % 2:
        raise InputError(
            f"a regular graph has a whole mean_degree below n, and n * mean_degree is even: not {mean_degree:g} "
            f"with {n} nodes"
        )
    if 2 * degree > n - 1:
        # Switching edges takes long where most pairs are joined; the pairs that are not joined form such a graph too.
        source, target = _regular(n, generator, n - 1 - degree, 0.0)
        joined = np.ones((n, n), bool)
        joined[source, target] = joined[target, source] = False
        first, second = np.nonzero(np.triu(joined, 1))
        return first, second
    ends = generator.permutation(np.repeat(np.arange(n), degree))
    source, target = ends[::2].copy(), ends[1::2].copy()
    bad = _faulty(source, target, n)
    while bad.size:
        # Each takes the other end of an edge drawn anywhere; degrees stay as they are.
        for edge, other in zip(bad, generator.integers(0, len(source), bad.size), strict=True):
            target[edge], target[other] = target[other], target[edge]
        bad = _faulty(source, target, n)
    return source, target


def _karate_club(n: int, _: Any, __: float, ___: float) -> Ends:
    if n != len(KARATE_CLUB) + 1:
        raise InputError(f"the karate club has {len(KARATE_CLUB) + 1} members, not {n}")
    ends = np.array([(member, other) for member, others in enumerate(KARATE_CLUB, 1) for other in others])
    return ends[:, 0], ends[:, 1]


def _half(mean_degree: float, n: int, kind: str) -> int:
    half = int(mean_degree / 2)
    if 2 * half != mean_degree or half < 1 or mean_degree > n - 1:
        raise InputError(f"{kind} takes an even mean_degree from 2 to n - 1 = {n - 1}, not {mean_degree:g}")
    return half


KARATE_CLUB = (
    (0,), (0, 1), (0, 1, 2), (0,), (0,), (0, 4, 5), (0, 1, 2, 3), (0, 2), (2,), (0, 4, 5), (0,), (0, 3), (0, 1, 2, 3),
    (), (), (5, 6), (0, 1), (), (0, 1), (), (0, 1), (), (), (), (23, 24), (), (2, 23, 24), (2,), (23, 26), (1, 8),
    (0, 24, 25, 28), (2, 8, 14, 15, 18, 20, 22, 23, 29, 30, 31),
    (8, 9, 13, 14, 15, 18, 19, 20, 22, 23, 26, 27, 28, 29, 30, 31, 32),
)  # fmt: skip
"""Zachary (1977), J. Anthropol. Res. 33, 452-473, figure 1: the friends of lower number of members 1, 2, ..., 33."""

MAKERS: dict[str, Callable[[int, np.random.Generator, float, float], Ends]] = {
    "complete": _complete, "ring": _ring, "lattice": _lattice, "star": _star, "random": _random,
    "small_world": _small_world, "scale_free": _scale_free, "regular": _regular, "karate_club": _karate_club,
}  # fmt: skip
