"""What ResponseGraphUCB has found out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from simengine.analysis.games.alpha_rank import alpha_rank
from simengine.analysis.games.orientations import graph_ranking
from simengine.analysis.games.payoffs import Floats, Ids
from simengine.analysis.games.response_graph import ResponseGraph

MOST_LINES = 12


@dataclass(frozen=True, repr=False)
class Sampled:
    """The response graph of a game that was sampled, and what is known of its payoffs.

    Lists have an array of shape ``sizes`` for each player, in units of payoff.
    """

    sizes: tuple[int, ...]
    """The number of strategies of each player."""
    graph: ResponseGraph
    """Resolved edges as they were resolved, with the gain measured at that moment; unresolved ones by the means."""
    interactions: int
    """How many interactions were played."""
    counts: Ids
    """How many of each profile, shape ``sizes``."""
    means: list[Floats]
    """The mean payoffs: what the other analyses of a game take."""
    standard_errors: list[Floats]
    """Their standard errors; NaN where a profile was played once."""
    lower: list[Floats]
    """The lower ends of the confidence intervals, not cut off at the bounds of the payoffs."""
    upper: list[Floats]
    """The upper ends."""
    unresolved: Ids
    """Pairs of profile ids, shape (U, 2), of edges that were open when the budget was spent, the lower id first."""
    unresolved_players: Ids
    """Whose edges they are, shape (U,)."""
    rules: tuple[str, str]
    """How it was sampled, and by which confidence intervals."""
    delta: float
    """The chance that an interval misses."""

    @property
    def certain(self) -> bool:
        """Whether every edge is resolved."""
        return len(self.unresolved) == 0

    def ranking(self, alpha: float = math.inf, *, population: int = 50, epsilon: float = 0.01) -> Floats:
        """Return alpha-rank's distribution over the profiles, in row-major order.

        With infinite ``alpha`` it follows from the graph alone, which is what the sampling makes certain; with a finite
        one from the means, whose differences matter then.

        Parameters
        ----------
        alpha, population, epsilon
            As in `alpha_rank`.
        """
        if math.isinf(alpha):
            return graph_ranking(self.graph, epsilon=epsilon)
        return alpha_rank(self.means, alpha=alpha, population=population, epsilon=epsilon)

    def __repr__(self) -> str:
        edges = len(self.graph.edges) + len(self.graph.ties)
        sizes = " x ".join(map(str, self.sizes))
        head = (
            f"Sampled: {self.interactions} interactions at {self.counts.size} profiles ({sizes}), "
            f"{edges - len(self.unresolved)} of {edges} edges resolved"
        )
        rules = f"{self.rules[0]}, {self.rules[1]} at delta = {self.delta:g}"
        return "\n".join([head, rules, *self._lines()])

    def _lines(self) -> Iterator[str]:
        widest = max(len(str(profile)) for profile in self.graph.profiles[:MOST_LINES])
        for number, profile in enumerate(self.graph.profiles[:MOST_LINES]):
            paid = "  ".join(
                f"{mean[profile]:.4g} [{low[profile]:.4g}, {high[profile]:.4g}]"
                for mean, low, high in zip(self.means, self.lower, self.upper, strict=True)
            )
            better = self.graph.edges[self.graph.edges[:, 0] == number, 1]
            to = ", ".join(str(self.graph.profiles[other]) for other in better)
            yield f"{profile!s:<{widest}}  {self.counts[profile]:>6} runs  {paid}" + (f"  -> {to}" if to else "")
        if self.counts.size > MOST_LINES:
            yield f"... and {self.counts.size - MOST_LINES} more profiles"
