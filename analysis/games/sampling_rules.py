"""Which profile is played next: the sampling rules of ResponseGraphUCB (Rowland et al. 2019, arXiv:1909.09849).

What a rule decides is a function of the seed and of the edges that are still open, by keyed draws.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate, count

import numpy as np

from simengine.analysis.games.payoffs import Deviations
from simengine.random.streams import Draws

SAMPLING_RULES = {
    "uniform": "U",
    "uniform exhaustive": "UE",
    "valence weighted": "VW",
    "count weighted": "CW",
}
"""The rules, with the abbreviations of the paper, which are accepted as well."""

POPULATION = "response_graph"
FIRST_BLOCK, LARGEST_BLOCK = 128, 4096

Choose = Callable[[], int]


class OpenEdges:
    """The edges of a response graph of which it is not known yet where they point.

    Parameters
    ----------
    profiles
        The number of profiles.
    deviations
        All edges.
    """

    def __init__(self, profiles: int, deviations: Deviations) -> None:
        self.first: list[int] = deviations.source.tolist()
        self.second: list[int] = deviations.target.tolist()
        self.player: list[int] = deviations.player.tolist()
        self.edges = list(range(len(self.first)))
        self.at: list[dict[int, None]] = [{} for _ in range(profiles)]
        for edge, ends in enumerate(zip(self.first, self.second, strict=True)):
            for profile in ends:
                self.at[profile][edge] = None
        self._place = list(self.edges)

    def __len__(self) -> int:
        return len(self.edges)

    def __contains__(self, edge: int) -> bool:
        return self._place[edge] >= 0

    def close(self, edge: int) -> None:
        """Take out an edge that is resolved; another one takes its place in ``edges``."""
        place, last = self._place[edge], self.edges.pop()
        if last != edge:
            self.edges[place], self._place[last] = last, place
        self._place[edge] = -1
        del self.at[self.first[edge]][edge], self.at[self.second[edge]][edge]


def rule_of(name: str, edges: OpenEdges, seed: int) -> Choose:
    """Return the function that names the next profile; it may be called while there are open edges."""
    makers = {
        "uniform": uniform,
        "uniform exhaustive": uniform_exhaustive,
        "valence weighted": valence_weighted,
        "count weighted": count_weighted,
    }
    return makers[name](edges, seed)


def uniform(edges: OpenEdges, seed: int) -> Choose:
    """Return the rule U: either end of any open edge."""
    numbers = uniforms(seed, "edge")
    ends = uniforms(seed, "end")

    def choose() -> int:
        edge = edges.edges[int(next(numbers) * len(edges.edges))]
        return edges.first[edge] if next(ends) < 0.5 else edges.second[edge]

    return choose


def uniform_exhaustive(edges: OpenEdges, seed: int) -> Choose:
    """Return the rule UE: either end of the first open edge, in an order drawn once, until it is resolved."""
    ids = np.arange(len(edges.first))
    order: list[int] = np.argsort(Draws(seed, POPULATION, "sampling", ids).bits("order"), kind="stable").tolist()
    order.reverse()
    ends = uniforms(seed, "end")

    def choose() -> int:
        while order[-1] not in edges:
            order.pop()
        return edges.first[order[-1]] if next(ends) < 0.5 else edges.second[order[-1]]

    return choose


def valence_weighted(edges: OpenEdges, seed: int) -> Choose:
    """Return the rule VW: a profile in proportion to the square of its number of open edges."""
    numbers = uniforms(seed, "profile")
    known, weights = -1, [0]

    def choose() -> int:
        nonlocal known, weights
        if known != len(edges):
            known, weights = len(edges), list(accumulate(len(open_here) ** 2 for open_here in edges.at))
        return bisect_right(weights, int(next(numbers) * weights[-1]))

    return choose


def count_weighted(edges: OpenEdges, seed: int) -> Choose:
    """Return the rule CW: of the profiles with an open edge the one played least so far, the first of several.

    Every profile has been asked for once before.
    """
    played = [(1, profile) for profile in range(len(edges.at))]

    def choose() -> int:
        while not edges.at[played[0][1]]:
            heapq.heappop(played)
        times, profile = played[0]
        heapq.heapreplace(played, (times + 1, profile))
        return profile

    return choose


def uniforms(seed: int, name: str) -> Iterator[float]:
    """Yield the numbers of one stream, uniform on [0, 1), without end."""
    for block in _blocks():
        yield from Draws(seed, POPULATION, "sampling", block).uniform(name).tolist()


def run_seeds(seed: int, profile: int) -> Iterator[int]:
    """Yield the seeds of the interactions of one profile, 0 to 2**63 - 1, without end."""
    for block in _blocks():
        yield from (Draws(seed, POPULATION, "interaction", block, step=profile).bits("seed") >> np.uint64(1)).tolist()


def _blocks() -> Iterator[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    first = 0
    for doubling in count():
        length = min(FIRST_BLOCK << min(doubling, 16), LARGEST_BLOCK)
        yield np.arange(first, first + length)
        first += length
