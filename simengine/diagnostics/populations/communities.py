"""How opinions differ between communities, and how like their neighbours agents think.

`community_disagreement` is class A: a function of the counts of opinions in each community. `echo_chamber_index` needs
the neighbours' opinions (C) and is class A once the pairs of bins are counted.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit
from simengine.diagnostics import checks
from simengine.diagnostics.counts.information import mutual_information_from_table
from simengine.diagnostics.estimate import Estimate, doubted, flagged, normal_interval
from simengine.diagnostics.populations.arguments import checked_size
from simengine.diagnostics.populations.bins import Counts, Floats, edges_of, placed, table_counts
from simengine.diagnostics.populations.graphs import Graph, graph_of_agents, node_values, numbered_labels
from simengine.diagnostics.populations.information import information_of_table
from simengine.diagnostics.populations.opinions import scalar_opinions
from simengine.diagnostics.samples import checked_counts, samples
from simengine.errors import InputError

_SHUFFLES = 100


def community_counts(opinions: NDArray[Any], communities: Counts, number: int, edges: Floats) -> tuple[Counts, int]:
    """Return how many opinions of each community each bin holds, shape (number, K), and how many lie outside."""
    bins, outside = placed(opinions, edges)
    return table_counts(np.ascontiguousarray(communities, np.int64), bins, number, edges.size - 1), outside


def community_disagreement(
    opinions: Any, communities: Any, *, bins: Any = None, range: Any = None, states: int | None = None,
    unit: str = "nat", data: Any = None, dim: Any = None,
) -> Estimate:  # fmt: skip
    """Return how much the community of an agent tells of its opinion, I(opinion bin; community).

    It is the generalised Jensen-Shannon divergence of the communities' distributions of opinions, weighted by their
    sizes: 0 where all communities think alike, whatever they think; at most the entropy of the communities.

    Parameters
    ----------
    opinions, bins, range, states
        As for :func:`~simengine.diagnostics.populations.opinions.opinion_entropy`; one batch.
    communities
        A label for each agent, shape (n,): whole numbers or texts.
    """
    (block,) = next(iter(one_batch(scalar_opinions(opinions, data, dim))))
    labels = scalar_labels(communities, data, dim, "communities")
    if labels.size != len(block):
        raise InputError(f"the numbers of samples differ: opinions {len(block)}, communities {labels.size}")
    number, communities_seen = numbered_labels(labels, "communities", None)
    limits = edges_of(block, bins, range, states, "opinions")
    checked_size(communities_seen * (limits.size - 1), "communities x bins")
    table, outside = community_counts(block[:, 0], number, communities_seen, limits)
    return community_disagreement_from_counts(table, outside=outside, unit=unit)


def one_batch(blocks: Any) -> Any:
    """Return blocks of a single batch."""
    if blocks.batch:
        raise InputError(f"several batches of opinions, of shape {blocks.batch}, where one is expected")
    return blocks


def scalar_labels(labels: Any, data: Any, dim: Any, word: str) -> NDArray[Any]:
    """Return labels, one for each agent, shape (n,)."""
    (block,) = next(iter(one_batch(samples(labels, data=data, dim=dim, names=(word,), discrete=True))))
    if block.shape[1] != 1:
        raise InputError(f"{word} has {block.shape[1]} components; expected one label for each agent")
    found: NDArray[Any] = block[:, 0]
    return found


def community_disagreement_from_counts(table: Any, *, outside: int = 0, unit: str = "nat") -> Estimate:
    """Return the disagreement of communities from counts of opinions, shape (communities, bins).

    See :func:`community_disagreement`. The null is that all communities draw their opinions from one distribution.
    """
    outside = checks.whole(outside, "outside", 0)
    table = checked_counts(table, "table")
    if table.ndim != 2:
        raise InputError(f"table has shape {table.shape}; expected (communities, bins)")
    base = mutual_information_from_table(table)
    found = replace(
        base, null="communities with one distribution of opinions (chi-square)",
        details={**base.details, "communities": table.shape[0], "bins": table.shape[1], "outside": outside},
    )  # fmt: skip
    return doubted(found, "outside_range" if outside else None).to(unit)


@njit(cache=True, nogil=True, error_model="numpy")
def _shuffled_informations(
    first: Counts, second: Counts, weight: Floats, strength: Floats, opinions: Floats, orders: Counts, edges: Floats
) -> Floats:
    """Plug-in information of an agent's bin and that of the mean of its neighbours, for each order of the opinions."""
    n, bins = opinions.size, edges.size - 1
    found = np.empty(orders.shape[0])
    for shuffle in range(orders.shape[0]):
        total = np.zeros(n)
        order = orders[shuffle]
        for e in range(first.size):
            total[first[e]] += weight[e] * opinions[order[second[e]]]
            total[second[e]] += weight[e] * opinions[order[first[e]]]
        table = np.zeros((bins, bins))
        count = 0.0
        for i in range(n):
            if strength[i] > 0.0:
                own = np.searchsorted(edges, opinions[order[i]], side="right") - 1
                near = np.searchsorted(edges, total[i] / strength[i], side="right") - 1
                table[min(max(own, 0), bins - 1), min(max(near, 0), bins - 1)] += 1.0
                count += 1.0
        value = 0.0
        for a in range(bins):
            for b in range(bins):
                if table[a, b] > 0.0:
                    value += table[a, b] * math.log(table[a, b])
            row, column = table[a].sum(), table[:, a].sum()
            value -= row * math.log(row) if row > 0.0 else 0.0
            value -= column * math.log(column) if column > 0.0 else 0.0
        found[shuffle] = value / count + math.log(count)
    return found


def neighbour_means(opinions: Floats, graph: Graph) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the weighted mean opinion of each agent's neighbours, and which agents have any; shapes (n,)."""
    strength = graph.sums(graph.weight)
    total = np.zeros(graph.n)
    np.add.at(total, graph.first, graph.weight * opinions[graph.second])
    np.add.at(total, graph.second, graph.weight * opinions[graph.first])
    heard = strength > 0.0
    return np.divide(total, strength, out=np.zeros(graph.n), where=heard), heard


def echo_chamber_counts(opinions: Floats, graph: Graph, edges: Floats) -> tuple[Counts, int]:
    """Return how often an agent of each bin hears a mean of each bin, shape (K, K), and how many lie outside."""
    means, heard = neighbour_means(opinions, graph)
    own, outside = placed(opinions[heard], edges)
    near, _ = placed(means[heard], edges)
    return table_counts(own, near, edges.size - 1, edges.size - 1), outside


def echo_chamber_index(
    opinions: Any, edges: Any, *, bins: Any = None, range: Any = None, weights: Any = None, unit: str = "nat",
    shuffles: int = _SHUFFLES, seed: int = 0, data: Any = None, dim: Any = None,
) -> Estimate:  # fmt: skip
    """Return how much an agent's opinion tells of the mean opinion of its neighbours, in declared bins.

    Agents without neighbours are left out. Neighbours hear one another, so the pairs are not independent, and the
    chi-square null, up to twice too narrow, does not hold: the null here deals the opinions out to the nodes at random,
    and its mean is taken off. The error is that of the local informations with the covariances of
    neighbours and of those who share one. Valid from 50 agents with neighbours on, where the degrees of freedom are at
    most a tenth of them (``few_samples``, ``many_states``).

    Parameters
    ----------
    opinions
        One number for each node, shape (n,).
    edges, weights
        The graph, see :func:`~simengine.diagnostics.populations.graphs.as_graph`.
    bins, range
        Declared bins of opinions; five to ten are enough.
    shuffles
        How often the opinions are dealt out.
    """
    shuffles, seed = checks.repeats(shuffles, least=2), checks.seed(seed)
    (block,) = next(iter(one_batch(scalar_opinions(opinions, data, dim))))
    graph = graph_of_agents(edges, len(block), weights)
    x = node_values(block[:, 0], graph, "opinions")
    limits = edges_of(block, bins, range, None, "opinions")
    checked_size((limits.size - 1) ** 2, "opinions: bins x bins")
    means, heard = neighbour_means(x, graph)
    if not heard.any():
        return Estimate(math.nan, n=0, method="shuffled", flags=flagged("empty")).to(unit)
    table, outside = echo_chamber_counts(x, graph, limits)
    base = echo_chamber_index_from_counts(table, outside=outside)
    rng = np.random.Generator(np.random.Philox(seed))
    strength = graph.sums(graph.weight)
    drawn = np.concatenate([
        _shuffled_informations(graph.first, graph.second, graph.weight, strength, x, order[None], limits)
        for order in (rng.permutation(graph.n) for _ in np.arange(shuffles))
    ])  # fmt: skip
    null_sd = float(drawn.std(ddof=1))
    p = table / table.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        local = np.log(p / np.outer(p.sum(axis=1), p.sum(axis=0)))
    own = np.zeros(graph.n)
    plain = float(base.details["plain"])
    own[heard] = local[placed(x[heard], limits)[0], placed(means[heard], limits)[0]] - plain
    n = float(heard.sum())
    variance = max(_neighbourly(own, graph), float(own @ own)) / n**2
    error = math.sqrt(max(variance - 2.0 * null_sd**2, 0.0) + null_sd**2)
    value = plain - float(drawn.mean())
    return replace(
        base, value=value, standard_error=error, interval=normal_interval(value, error, 0.0), null_sd=null_sd,
        method="shuffled", null="the same opinions dealt out to the agents at random",
        details={**base.details, "bias": float(drawn.mean()), "shuffles": shuffles},
    ).to(unit)  # fmt: skip


def _neighbourly(own: Floats, graph: Graph) -> float:
    """Sum of products of a value over agents who are the same, are neighbours or share a neighbour."""
    near = graph.adjacency()
    near.data[:] = 1.0
    reach = (near @ near + near).tocsr()
    reach.data[:] = 1.0
    reach.setdiag(1.0)
    return float(own @ (reach @ own))


def echo_chamber_index_from_counts(table: Any, *, outside: int = 0, unit: str = "nat") -> Estimate:
    """Return the echo-chamber index from counts of (own bin, bin of neighbours' mean), shape (K, K).

    Counts alone do not say who is whose neighbour: null and error are those of half as many independent pairs,
    which is the most that hearing one another can do to a pair's linear dependence.
    """
    outside = checks.whole(outside, "outside", 0)
    table = checked_counts(table, "table")
    if table.ndim != 2 or table.shape[0] != table.shape[1]:
        raise InputError(f"table has shape {table.shape}; expected (K, K)")
    base = information_of_table(table)
    freedom, plain = float(base.details.get("freedom", 0.0)), float(base.details.get("plain", math.nan))
    n = float(table.sum())
    found = replace(
        base, null="opinions that are independent of those of neighbours (bound of chi-square)",
        null_sd=math.sqrt(freedom) / n if n else math.nan, standard_error=math.sqrt(2.0) * float(base.standard_error),
        details={**base.details, "plain": plain, "bins": table.shape[0], "outside": outside},
    )  # fmt: skip
    found = replace(found, interval=normal_interval(found.value, found.standard_error, 0.0))
    return doubted(found, "outside_range" if outside else None).to(unit)
