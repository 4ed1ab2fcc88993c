"""Entropies of networks: degrees, the random walk, communities over edges, and how edges come and go.

All but the walk on a weighted graph are class A: functions of whole-number counts, of degrees
(:func:`degree_counts`), of pairs of communities over edges (:func:`community_edge_counts`) or of edges kept, gained
and lost (:func:`edge_turnover_counts`).

For the graph at hand the values are exact; errors are those of another graph of the same kind: nodes that are alike in
law, edges independent given the nodes. Where the number of edges is set, which no graph shows, the walk's error is two
to four times too large. Valid from 100 nodes (degrees, walk), 50 edges (communities) and 20 edges
gained and lost (turnover) on, else ``few_samples``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special, stats
from scipy.sparse.linalg import ArpackNoConvergence, eigsh

from simengine.diagnostics.counts.entropies import entropy_from_counts
from simengine.diagnostics.estimate import Estimate, flagged, normal_interval
from simengine.diagnostics.populations.arguments import checked_size
from simengine.diagnostics.populations.bins import Counts, Floats, table_counts
from simengine.diagnostics.populations.graphs import (
    Graph,
    as_graph,
    checked_labels,
    is_networkx,
    numbered_labels,
    says_its_size,
)
from simengine.diagnostics.populations.information import information_of_table
from simengine.diagnostics.populations.opinions import one_table
from simengine.diagnostics.samples import checked_counts
from simengine.errors import InputError

RANDOM = "a random graph with as many nodes and edges (Erdos & Renyi)"

_FEWEST = 100
_FEWEST_EFFECTIVE = 50
_FEWEST_CHANGES = 20
_RESTARTS = 60


def degree_counts(graph: Graph) -> Counts:
    """Return how many nodes have each degree, from 0 on."""
    return np.bincount(graph.degrees(), minlength=1).astype(np.int64)


def degree_entropy(
    edges: Any, *, nodes: int | None = None, estimator: str = "grassberger", unit: str = "nat"
) -> Estimate:
    """Return the entropy of the degree of a random node.

    Parameters
    ----------
    edges, nodes
        The graph, see :func:`~simengine.diagnostics.populations.graphs.as_graph`; weights do not count.
    """
    return degree_entropy_from_counts(degree_counts(as_graph(edges, nodes)), estimator=estimator, unit=unit)


def degree_entropy_from_counts(counts: Any, *, estimator: str = "grassberger", unit: str = "nat") -> Estimate:
    """Return the entropy of degrees from how many nodes have each, shape (highest degree + 1,)."""
    counts = one_table(counts)
    n, m = _size(counts)
    base = entropy_from_counts(counts, estimator=estimator)
    null_mean, null_sd = math.nan, math.nan
    if n > 1 and m > 0:
        share = min(2.0 * m / (n * (n - 1.0)), 1.0)
        degree = np.arange(n)
        chance = stats.binom.pmf(degree, n - 1, share)
        held = chance > 1e-300
        null_mean = float(-np.sum(chance[held] * np.log(chance[held])))
        spread = float(np.sum(chance[held] * (np.log(chance[held]) + null_mean) ** 2))
        null_sd = math.sqrt((spread + 0.75 * float(np.count_nonzero(chance * n > 0.5)) / n) / n)
    value, error = float(base.value), float(base.standard_error)
    if m > 0.0 and np.count_nonzero(counts) > 1:
        error = math.hypot(error, _shared_error(counts / n, n))
    return Estimate(
        value, error, normal_interval(value, error, 0.0), null_mean, null_sd, n, "nat", base.method,
        flagged(*base.flags, "few_samples" if n < _FEWEST else None), RANDOM if m else "", {"nodes": n, "edges": m},
    ).to(unit)  # fmt: skip


def _shared_error(share: Floats, n: int) -> float:
    """What the edges that nodes share add to the error of an entropy of degrees.

    As in the rate of the walk, with -ln p(k) nearly linear in k: slope b gives n b^2 (3 var k - 2 mean k).
    """
    k = np.arange(share.size)
    mean = float(share @ k)
    variance = float(share @ (k - mean) ** 2)
    surprise = -np.log(np.maximum(share, 0.5 / n))
    slope = float(share @ (surprise * (k - mean))) / variance
    return abs(slope) * math.sqrt(max(3.0 * variance - 2.0 * mean, 0.0) / n)


def _size(counts: Counts) -> tuple[int, float]:
    return int(counts.sum()), 0.5 * float(counts @ np.arange(counts.size))


def random_walk_entropy_rate(
    edges: Any, *, nodes: int | None = None, weights: Any = None, unit: str = "nat"
) -> Estimate:
    """Return the entropy rate of the random walk, sum_i (s_i / S) H(w_ij / s_i); without weights that of ln degree.

    A walker that leaves each node by a random edge, weighted if edges are, visits nodes in proportion to their strength
    s_i. ln(n - 1) on the complete graph, ln 2 on a ring, ln(n - 1) / 2 on a star.

    Parameters
    ----------
    edges, nodes, weights
        The graph, see :func:`~simengine.diagnostics.populations.graphs.as_graph`.

    Returns
    -------
    estimate
        In nats or bits a step; ``details["ceiling"]`` is the highest rate of any walk on the graph, ln of the
        spectral radius (Parry 1964; Burda et al. 2009).
    """
    graph = as_graph(edges, nodes, weights)
    if not graph.m:
        return _no_walk(graph.n).to(unit)
    found = _weighted_rate(graph) if graph.weighted else random_walk_entropy_rate_from_counts(degree_counts(graph))
    details = {**found.details, "ceiling": random_walk_ceiling(graph)}
    return Estimate(
        found.value, found.standard_error, found.interval, found.null_mean, found.null_sd, found.n, found.unit,
        found.method, found.flags, found.null, details,
    ).to(unit)  # fmt: skip


def _no_walk(n: int) -> Estimate:
    return Estimate(math.nan, n=n, unit="nat/step", method="stationary", flags=flagged("empty"))


def random_walk_ceiling(graph: Graph) -> float:
    """Return ln of the spectral radius of the adjacency (without weights), the entropy rate of the freest walk."""
    plain = graph.adjacency()
    plain.data[:] = 1.0
    if graph.n < 3:
        return 0.0
    start = np.sqrt(np.asarray(plain.sum(axis=1)) + 1e-3)
    if graph.n <= 32:
        return math.log(float(np.linalg.eigvalsh(plain.toarray())[-1]))
    # On chains and lattices the greatest eigenvalues crowd: there the value is good to about 1e-5.
    for tolerance in (0.0, 1e-3):
        try:
            found = eigsh(plain, k=1, which="LA", v0=start, return_eigenvectors=False, tol=tolerance, maxiter=_RESTARTS)
        except ArpackNoConvergence:
            continue
        return math.log(float(found[0]))
    return math.nan


def random_walk_entropy_rate_from_counts(counts: Any, *, unit: str = "nat") -> Estimate:
    """Return the entropy rate of the random walk from how many nodes have each degree; see the other function.

    It is the ratio sum c_k k ln k / sum c_k k.
    """
    counts = one_table(counts)
    n, m = _size(counts)
    if m == 0 or n < 2:
        return _no_walk(n).to(unit)
    k = np.arange(counts.size, dtype=np.float64)
    value, error, _ = _rate(counts / n, k, n)
    share = min(2.0 * m / (n * (n - 1.0)), 1.0)
    chance = stats.binom.pmf(np.arange(n), n - 1, share)
    null_mean, _, null_sd = _rate(chance, np.arange(n, dtype=np.float64), n)
    constant = np.count_nonzero(counts) == 1
    few = n < _FEWEST or _effective(counts, k) < _FEWEST_EFFECTIVE
    flags = flagged("few_samples" if few else None, "constant" if constant else None)
    return Estimate(
        value, error, normal_interval(value, error, 0.0), null_mean, null_sd, n, "nat/step", "stationary", flags,
        RANDOM, {"nodes": n, "edges": m},
    ).to(unit)  # fmt: skip


def _effective(counts: Counts, k: Floats) -> float:
    """Number of nodes of equal degree that would hold the edges as evenly, (sum k)^2 / sum k^2."""
    return float(counts @ k) ** 2 / float(counts @ k**2)


def _rate(share: Floats, k: Floats, n: int) -> tuple[float, float, float]:
    """Entropy rate from shares of degrees; its error, and its error where the number of edges is set.

    With f = k ln k - rate k, a node l changes the sum of f by its own f(k_l) and, through its edges, by f' of its
    neighbours, k_l times the mean of f' seen from an edge. The variance over nodes of both counts the chance of each
    edge twice, once for either end, which is taken off once.
    """
    weight = k * np.log(np.maximum(k, 1.0))
    mean = float(share @ k)
    rate = float(share @ weight) / mean
    slope = weight - rate * k
    variance = float(share @ (k - mean) ** 2)
    own = float(share @ slope**2)
    steep = np.log(np.maximum(k, 1.0)) + 1.0 - rate
    along = float(share @ (k * steep)) / mean
    spread = float(share @ (k * (steep - along) ** 2)) / mean
    whole = slope + along * (k - mean)
    total = float(share @ whole**2) - mean * (2.0 * along**2 + spread)
    error = math.sqrt(max(total, min(own, total + mean * along**2), 0.0) / n) / mean
    beta = float(share @ (slope * (k - mean))) / variance if variance > 0.0 else 0.0
    return rate, error, math.sqrt(max(own - beta**2 * variance, 0.0) / n) / mean


def _weighted_rate(graph: Graph) -> Estimate:
    # The walk does not change if all weights are multiplied.
    weight = graph.weight / graph.weight.max()
    strength = graph.sums(weight)
    out = graph.sums(-special.xlogy(weight, weight))
    own = out + special.xlogy(strength, strength)
    total = float(strength.sum())
    value = float(own.sum()) / total
    part = own - value * strength
    # Each edge is in two nodes: at most twice the variance of independent nodes.
    error = math.sqrt(2.0 * float(part @ part)) / total
    flags = flagged("few_samples" if graph.n < _FEWEST else None)
    return Estimate(
        value, error, normal_interval(value, error, 0.0), n=graph.n, unit="nat/step", method="stationary", flags=flags,
        details={"nodes": graph.n, "edges": graph.m},
    )  # fmt: skip


def community_edge_counts(graph: Graph, communities: Counts, number: int) -> Counts:
    """Return how many edges join each pair of communities, in both directions, shape (number, number), symmetric."""
    one, other = communities[graph.first], communities[graph.second]
    table: Counts = table_counts(one, other, number, number)
    return np.asarray(table + table.T)


def assortative_information(
    edges: Any, communities: Any, *, nodes: int | None = None, states: int | None = None, unit: str = "nat"
) -> Estimate:
    """Return how much one end of an edge tells of the community of the other, I(c_i; c_j) over edges.

    0 where edges take no notice of communities, whatever their sizes and degrees; at most the entropy of communities
    weighed by degree. Weights do not count.

    Parameters
    ----------
    edges, nodes
        The graph, see :func:`~simengine.diagnostics.populations.graphs.as_graph`.
    communities
        A label for each node, shape (n,); with ``states`` the whole numbers 0 ... states - 1.
    """
    given = checked_labels(communities, "communities")
    graph = as_graph(edges, given.size if nodes is None and not says_its_size(edges) else nodes)
    if given.size != graph.n:
        raise InputError(f"the graph has {graph.n} nodes; communities has {given.size} labels")
    labels, number = numbered_labels(given, "communities", states)
    checked_size(number**2, "communities x communities")
    return assortative_information_from_counts(community_edge_counts(graph, labels, number), unit=unit)


def assortative_information_from_counts(table: Any, *, unit: str = "nat") -> Estimate:
    """Return the information of communities over edges from :func:`community_edge_counts`.

    Each edge is one sample that stands in the table twice; under the null twice their number times the information is
    chi-square with C (C - 1) / 2 degrees of freedom.
    """
    table = checked_counts(table, "table")
    square = table.ndim == 2 and table.shape[0] == table.shape[1]
    if not square or (table != table.T).any() or table.sum() % 2:
        raise InputError(f"table has shape {table.shape}; expected counts of edges in both directions, symmetric")
    seen = int(np.count_nonzero(table.sum(axis=1)))
    return information_of_table(
        table, n=0.5 * float(table.sum()), freedom=0.5 * seen * (seen - 1.0),
        null="edges that take no notice of communities (chi-square)", details={"communities": table.shape[0]},
    ).to(unit)  # fmt: skip


def edge_turnover_counts(before: Graph, after: Graph) -> Counts:
    """Return the numbers of pairs of nodes without an edge, of edges gained, lost and kept, shape (4,)."""
    if before.n != after.n:
        raise InputError(f"the numbers of nodes differ: before {before.n}, after {after.n}")
    n = before.n
    old, new = before.first * n + before.second, after.first * n + after.second
    kept = int(np.isin(new, old, assume_unique=True).sum())
    gained, lost = after.m - kept, before.m - kept
    return np.array([n * (n - 1) // 2 - gained - lost - kept, gained, lost, kept], dtype=np.int64)


def edge_turnover_entropy(before: Any, after: Any, *, nodes: int | None = None, unit: str = "nat") -> Estimate:
    """Return how uncertain the network's edges are given those of the moment before, per edge that there was.

    It is the conditional entropy of whether two nodes are joined given whether they were, summed over all pairs and
    divided by the number of edges before: 0 where edges stay for ever or all change for certain.

    Parameters
    ----------
    before, after
        The graph at two moments, see :func:`~simengine.diagnostics.populations.graphs.as_graph`.
    nodes
        Number of nodes where they are edge arrays; needed there.
    """
    if nodes is None and not (says_its_size(before) and says_its_size(after)):
        raise InputError("nodes= must say how many nodes the two edge arrays are about")
    if is_networkx(before) and is_networkx(after) and list(before) != list(after):
        raise InputError("before and after have other nodes, or in another order; nodes are counted in their order")
    return edge_turnover_entropy_from_counts(
        edge_turnover_counts(as_graph(before, nodes), as_graph(after, nodes)), unit=unit
    )


def edge_turnover_entropy_from_counts(counts: Any, *, unit: str = "nat") -> Estimate:
    """Return the turnover from :func:`edge_turnover_counts`, of one or, added up, several pairs of moments.

    The null are edges drawn afresh at each moment.
    """
    counts = one_table(counts)
    if counts.size != 4:
        raise InputError(f"counts has {counts.size} numbers; expected pairs without an edge, gained, lost and kept")
    apart, gained, lost, kept = (float(one) for one in counts)
    edges, pairs = lost + kept, apart + gained + lost + kept
    if edges == 0.0:
        return Estimate(math.nan, n=0, unit="nat/step", method="grassberger", flags=flagged("empty")).to(unit)
    variance, parts = 0.0, []
    for states in ((apart, gained), (kept, lost)):
        total = sum(states)
        parts.append(0.0)
        if total:
            part = entropy_from_counts(np.array(states, dtype=np.int64))
            parts[-1] = total * float(part.value) / edges
            variance += (total * float(part.standard_error) / edges) ** 2
    value = sum(parts)
    density = (gained + kept) / pairs
    afresh = 0.0 if density in (0.0, 1.0) else -math.log(density) * density - math.log1p(-density) * (1.0 - density)
    slope = math.log((1.0 - density) / density) if 0.0 < density < 1.0 else 0.0
    null_sd = math.hypot(pairs / edges * abs(slope) * math.sqrt(density * (1.0 - density) / pairs),
                         math.sqrt(0.5) / edges)  # fmt: skip
    # The number of edges itself varies, by which what those without an edge do is divided.
    error = math.sqrt(variance + parts[0] ** 2 * (1.0 - edges / pairs) / edges)
    flags = flagged(
        "few_samples" if min(gained, lost) < _FEWEST_CHANGES else None, "constant" if gained + lost == 0.0 else None
    )
    return Estimate(
        value, error, normal_interval(value, error, 0.0), pairs / edges * afresh, null_sd, edges, "nat/step",
        "grassberger", flags, "edges drawn afresh at each moment",
        {"gained": gained, "lost": lost, "kept": kept, "pairs": pairs},
    ).to(unit)  # fmt: skip
