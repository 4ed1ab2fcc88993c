"""Diagnostics of networks at each record; edges are seen whole, by whoever records them.

Edges count once, whatever their direction and weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics.counts.counting import place_in_equal_bins
from simengine.diagnostics.estimate import Estimate
from simengine.diagnostics.streaming import declared
from simengine.diagnostics.streaming.binning import Binning, Field, as_binning
from simengine.diagnostics.streaming.distributions import When, Window, outside, streamed, word, words
from simengine.diagnostics.streaming.kernels import shifted
from simengine.diagnostics.streaming.observable import Streamed
from simengine.diagnostics.streaming.states import Kept, Table
from simengine.errors import ScenarioError, nearest


@dataclass(frozen=True)
class Degrees:
    """How many agents have each degree, from 0 to the highest."""

    network: str

    partial = False
    lasting = False
    merge_class = "A"

    def prepare(self) -> None:
        """Nothing is compiled."""

    def described(self) -> Mapping[str, Any]:
        """Return the network."""
        return {"network": self.network}

    def begin(self) -> Kept:
        """Nothing seen."""
        return {}

    def update(self, state: Kept, view: Any) -> Kept:
        """Nothing is kept of the agents."""
        return state

    def merge(self, state: Kept, other: Kept) -> Kept:
        """Nothing is kept of the agents."""
        return state

    def close(self, state: Kept, view: Any) -> Table:
        """Count the degrees."""
        first, second, agents = edges(self.network, view)
        degrees = np.bincount(first, minlength=agents) + np.bincount(second, minlength=agents)
        return Table(np.bincount(degrees, minlength=1).astype(np.int64))


@dataclass(frozen=True)
class EdgeStates:
    """How many edges join agents of each two states: a symmetric table, each edge in it twice."""

    field: Binning
    network: str

    partial = False
    lasting = False
    merge_class = "A"

    def prepare(self) -> None:
        """Compile."""
        place_in_equal_bins(np.zeros(1), 0.0, 1.0, 1)
        shifted(np.zeros(1, np.int64), 1)

    def described(self) -> Mapping[str, Any]:
        """Return the field and the network."""
        return {"counts_of": self.field.described(), "network": self.network}

    def begin(self) -> Kept:
        """Nothing seen."""
        return {}

    def update(self, state: Kept, view: Any) -> Kept:
        """Nothing is kept of the agents."""
        return state

    def merge(self, state: Kept, other: Kept) -> Kept:
        """Nothing is kept of the agents."""
        return state

    def close(self, state: Kept, view: Any) -> Table:
        """Count over the edges."""
        first, second, agents = edges(self.network, view)
        symbols, size, beyond = self.field.symbols(self.field.column(view), view)
        if len(symbols) != agents:
            raise ScenarioError(f"{self.field.field}: network {self.network!r} joins agents of another population")
        table = np.bincount(symbols[first] * size + symbols[second], minlength=size * size).reshape(size, size)
        return Table((table + table.T).astype(np.int64), beyond)


def edges(network: str, view: Any) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Return the two ends of each edge, once and from low to high, and the number of agents."""
    if network not in view.networks:
        raise ScenarioError(f"there is no network {network!r}{nearest(network, view.networks)}")
    found = view.networks[network]
    source, target, agents = found.source, found.target, len(found.degree)
    key = np.unique(np.minimum(source, target) * agents + np.maximum(source, target))
    return key // max(agents, 1), key % max(agents, 1), agents


def degree_entropy(
    network: str, *, estimator: str = "grassberger", name: str = "", unit: str = "nat", when: When = None
) -> Streamed:
    """Stream the entropy of the number of neighbours of an agent; the null is a random graph of as many edges.

    ``estimator`` as in :func:`~simengine.diagnostics.counts.entropies.entropy_from_counts`.
    """

    def answer(table: Table, view: Any) -> Estimate:
        from simengine.diagnostics.populations.networks import degree_entropy_from_counts

        return degree_entropy_from_counts(table.counts, estimator=estimator, unit=unit)

    declared.a_network(network)
    declared.counted_by(estimator)
    return streamed(
        declared.named(name, f"{network}_degree_entropy"), Degrees(network), None, answer, unit,
        f"entropy of degrees, {network}", True, {"estimator": estimator}, when,
    )  # fmt: skip


def random_walk_entropy_rate(network: str, *, name: str = "", unit: str = "nat", when: When = None) -> Streamed:
    """Stream the entropy of a step of a walker that leaves each agent by an edge drawn evenly.

    See :func:`~simengine.diagnostics.populations.networks.random_walk_entropy_rate`.
    """

    def answer(table: Table, view: Any) -> Estimate:
        from simengine.diagnostics.populations.networks import random_walk_entropy_rate_from_counts

        return random_walk_entropy_rate_from_counts(table.counts, unit=unit)

    declared.a_network(network)
    return streamed(
        declared.named(name, f"{network}_random_walk_entropy_rate"), Degrees(network), None, answer, f"{unit}/step",
        f"entropy rate of the random walk, {network}", True, {}, when,
    )  # fmt: skip


def assortative_information(
    field: Field, network: str, *, window: Window = None, name: str = "", unit: str = "nat", when: When = None
) -> Streamed:
    """Stream how much the state of one end of an edge tells of that of the other end.

    Parameters
    ----------
    field
        With its bins or states: communities, opinions, choices.
    network
        The name of a network of the same agents.
    window
        Over the last so many records, or "all" of them; by default of the moment. Edges that last count at each.
    """

    def answer(table: Table, view: Any) -> Estimate:
        from simengine.diagnostics.populations.networks import assortative_information_from_counts

        return outside(assortative_information_from_counts(table.counts, unit=unit), table)

    declared.a_network(network)
    return streamed(
        declared.named(name, f"{word(field)}_assortative_information"), EdgeStates(as_binning(field), network), window,
        answer, unit, f"information of {words(field)} along the edges of {network}", True, {}, when,
    )  # fmt: skip
