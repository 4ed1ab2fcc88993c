"""The response graph of a game: which single deviations pay (Omidshafiei et al. 2019; Rowland et al. 2019).

Its vertices are the profiles; between two that differ in one player's strategy an edge points to the one that this
player prefers. Not to be confused with the best-response graph, which keeps the best deviation only. Its sink strongly
connected components are where alpha-rank puts its weight as alpha grows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from simengine.analysis.games.payoffs import Floats, Game, Ids, checked

if TYPE_CHECKING:
    import networkx

TOLERANCE = 1e-12


@dataclass(frozen=True)
class ResponseGraph:
    """Who would move where."""

    sizes: tuple[int, ...]
    """The number of strategies of each player; (n,) for a single population of n."""
    edges: Ids
    """Profile ids, shape (E, 2): from the worse profile to the better one, in the eyes of the player that moves."""
    players: Ids
    """Who moves along each edge, shape (E,)."""
    gains: Floats
    """What the player gains, shape (E,), all > 0."""
    ties: Ids
    """Pairs of profiles between which a player is indifferent, shape (T, 2), the lower id first."""
    tied_players: Ids
    """Who is indifferent, shape (T,)."""

    @property
    def profiles(self) -> list[tuple[int, ...]]:
        """The players' strategies in every profile, in row-major order."""
        return [tuple(int(index) for index in profile) for profile in np.ndindex(*self.sizes)]

    @property
    def vertices(self) -> int:
        """The number of profiles."""
        return int(np.prod(self.sizes))

    def components(self) -> Ids:
        """Return the strongly connected component of each profile, shape (N,); a tie is walked in both directions.

        Components are numbered by their lowest profile.
        """
        source = np.concatenate([self.edges[:, 0], self.ties[:, 0], self.ties[:, 1]])
        target = np.concatenate([self.edges[:, 1], self.ties[:, 1], self.ties[:, 0]])
        matrix = coo_array((np.ones(source.size, np.int8), (source, target)), shape=(self.vertices, self.vertices))
        labels = connected_components(matrix.tocsr(), directed=True, connection="strong")[1]
        _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
        rank = np.empty(first.size, np.int64)
        rank[np.argsort(first)] = np.arange(first.size)
        return rank[inverse]

    def sinks(self) -> list[Ids]:
        """Return the sink components: sets of profiles that no single deviation for the better leaves.

        A sink of one profile is a strict pure Nash equilibrium, or one whose ties lead nowhere.

        Returns
        -------
        The profile ids of each component, ascending; components by their lowest profile.
        """
        component = self.components()
        left = np.unique(component[self.edges[component[self.edges[:, 0]] != component[self.edges[:, 1]], 0]])
        order = np.argsort(component, kind="stable")
        members = np.split(order, np.flatnonzero(np.diff(component[order])) + 1)
        return [ids for number, ids in enumerate(members) if number not in set(left.tolist())]

    def to_networkx(self) -> networkx.DiGraph[Any]:
        """Return it as a directed graph.

        Nodes are profile ids with attribute ``strategies``; edges have ``player`` and ``gain``; a tie is an edge in
        each direction of gain 0.
        """
        import networkx

        graph: networkx.DiGraph[Any] = networkx.DiGraph()
        graph.add_nodes_from((number, {"strategies": chosen}) for number, chosen in enumerate(self.profiles))
        for (source, target), player, gain in zip(self.edges, self.players, self.gains, strict=True):
            graph.add_edge(int(source), int(target), player=int(player), gain=float(gain))
        for (source, target), player in zip(self.ties, self.tied_players, strict=True):
            graph.add_edge(int(source), int(target), player=int(player), gain=0.0)
            graph.add_edge(int(target), int(source), player=int(player), gain=0.0)
        return graph


def response_graph(payoffs: Any, *, tolerance: float = TOLERANCE) -> ResponseGraph:
    """Return the response graph of a game.

    Parameters
    ----------
    payoffs
        One square matrix or one table per player, see :mod:`~simengine.analysis.games.payoffs`. In a single population
        the edge between r and s points to r if r earns more against s than s against r.
    tolerance
        Gains up to this times the largest absolute payoff count as ties.
    """
    return graph_of(checked(payoffs), tolerance)


def graph_of(game: Game, tolerance: float = TOLERANCE) -> ResponseGraph:
    """Return the response graph of checked payoffs."""
    source, target, player, gain = game.deviations()
    tied = np.abs(gain) <= tolerance * game.scale
    up = gain > 0
    ends = np.stack([np.where(up, source, target), np.where(up, target, source)], axis=1)
    return ResponseGraph(
        game.sizes, ends[~tied], player[~tied], np.abs(gain[~tied]),
        np.stack([source, target], axis=1)[tied], player[tied],
    )  # fmt: skip
