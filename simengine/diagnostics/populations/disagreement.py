"""Polarization and disagreement of opinions on a network.

Friedkin and Johnsen (1990): agents keep innate opinions s and settle where (I + L) z = s, with L the Laplacian of who
influences whom. Polarization is sum (z_i - mean)^2 and disagreement z' L z = sum_edges w_ij (z_i - z_j)^2 (Musco,
Musco & Tsourakakis 2018, arXiv 1712.09948).

Class B: sums of floats over agents or edges (:func:`disagreement_sums` adds them exactly). The graph is taken as given;
errors are those of repetitions with other opinions. Valid from 50 agents on; for disagreement where no few nodes hold
most edges: the effective number of nodes (sum d)^2 / sum d^2 is at least 70 (``few_samples``), and no few opinions
decide: the kurtosis is below 1 + 2.5 % of that number (``heavy_tails``).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import eye_array
from scipy.sparse.linalg import splu

from simengine.arrays.exact import SIZE, add_array, rounded
from simengine.arrays.jit import njit
from simengine.diagnostics import checks
from simengine.diagnostics.estimate import Estimate, flagged, positive_interval
from simengine.diagnostics.populations.communities import one_batch
from simengine.diagnostics.populations.graphs import Counts, Floats, Graph, graph_of_agents
from simengine.diagnostics.populations.opinions import scalar_opinions
from simengine.errors import InputError

DEALT = "the same opinions dealt out to the agents at random"

_FEWEST = 50
_FEWEST_EFFECTIVE = 70
_TAIL = 0.025
_MOST_STRENGTH = 1e12
_DENSE_UP_TO = 2000
_PROBES = 200
_BLOCK = 1024


def friedkin_johnsen_opinions(innate: Any, edges: Any, *, weights: Any = None) -> Floats:
    """Return the opinions z at which agents with innate opinions settle, (I + L) z = innate; shape (n,)."""
    (block,) = next(iter(one_batch(scalar_opinions(innate, None, None, "innate"))))
    x = block[:, 0].astype(np.float64)
    return np.asarray(_solver(graph_of_agents(edges, x.size, weights)).solve(x))


def _solver(graph: Graph) -> Any:
    strength = graph.sums(graph.weight)
    if graph.n and strength.max() > _MOST_STRENGTH:
        raise InputError(
            f"weights add up to {strength.max():g} at node {strength.argmax()}; influence of at most"
            f" {_MOST_STRENGTH:g} leaves something of innate opinions"
        )
    return splu((eye_array(graph.n) + graph.laplacian()).tocsc())


def friedkin_johnsen_polarization(
    innate: Any, edges: Any, *, weights: Any = None, seed: int = 0, data: Any = None, dim: Any = None
) -> Estimate:
    """Return the polarization sum (z_i - mean)^2 of the opinions at which agents with innate opinions settle.

    It is a quadratic form of the innate opinions; the error is that of independent ones with the sample's variance and
    fourth moment. Up to 2000 agents the form is computed, beyond its traces are those of 200 random vectors.

    Parameters
    ----------
    innate
        One number for each agent, shape (n,). Without influence (no edges) it is (n - 1) times their variance.
    edges, weights
        Who influences whom, see :func:`~simengine.diagnostics.populations.graphs.as_graph`.
    seed
        Of the random vectors.

    Returns
    -------
    estimate
        The null are the same innate opinions dealt out at random. ``details`` has the mean over agents
        (``each``) and the polarization of the innate opinions (``innate``).
    """
    seed = checks.seed(seed)
    (block,) = next(iter(one_batch(scalar_opinions(innate, data, dim, "innate"))))
    x = block[:, 0].astype(np.float64)
    n = x.size
    graph = graph_of_agents(edges, n, weights)
    flags = flagged("few_samples" if n < _FEWEST else None, "constant" if np.ptp(x) == 0.0 else None)
    if n < 4:
        return Estimate(math.nan, n=n, unit="1", method="friedkin-johnsen", flags=flags, null=DEALT)
    solver = _solver(graph)
    # What all have in common stays as it is; taken off first, it cannot drown what is left of the differences.
    z = _centred(solver.solve(_centred(x)))
    value = float(np.sum(z**2))
    trace, squares, diagonal = _traces(solver, n, seed)
    m2, m4 = float(np.var(x)), float(np.mean((x - x.mean()) ** 4))
    error = math.sqrt(max(2.0 * m2**2 * squares + (m4 - 3.0 * m2**2) * diagonal, 0.0))
    # Dealt out, the sum of squares is fixed: the part of the form along it has no spread.
    null_sd = math.sqrt(max(2.0 * m2**2 * (squares - trace**2 / (n - 1.0))
                            + (m4 - 3.0 * m2**2) * (diagonal - trace**2 / n), 0.0))  # fmt: skip
    return Estimate(
        value, error, positive_interval(value, error), m2 * n / (n - 1.0) * trace, null_sd, n, "1", "friedkin-johnsen",
        flags, DEALT, {"each": value / n, "innate": m2 * n, "trace": trace},
    )  # fmt: skip


def _traces(solver: Any, n: int, seed: int) -> tuple[float, float, float]:
    """Trace, trace of the square and sum of squares of the diagonal of C = M (I - 11'/n) M, M = (I + L)^-1."""
    if n <= _DENSE_UP_TO:
        # Rows and columns of M add up to 1, so centring after is centring before.
        form = solver.solve(np.eye(n) - 1.0 / n)
        form = form @ form
        return float(np.trace(form)), float(np.sum(form * form)), float(np.sum(np.diagonal(form) ** 2))
    probes = np.random.Generator(np.random.Philox(seed)).integers(0, 2, (n, _PROBES)) * 2.0 - 1.0
    image = _centred(solver.solve(_centred(solver.solve(_centred(probes)))))
    own = probes * image
    # The mean over probes of an entry of the diagonal carries the noise of its row.
    diagonal = own.mean(axis=1)
    noise = own.var(axis=1, ddof=1) / _PROBES
    return float(own.sum() / _PROBES), float(np.sum(image**2) / _PROBES), float(np.sum(diagonal**2 - noise))


def _centred(values: NDArray[Any]) -> Floats:
    return np.asarray(values - values.mean(axis=0), dtype=np.float64)


@njit(cache=True, nogil=True, error_model="numpy")
def disagreement_sums(opinions: Floats, first: Counts, second: Counts, weight: Floats) -> NDArray[np.int64]:
    """Return the exact sum of w_ij (z_i - z_j)^2 over edges, an accumulator of shape (SIZE,).

    Those of parts of the edges may be added elementwise; see :mod:`simengine.arrays.exact`.
    """
    acc = np.zeros(SIZE, np.int64)
    block = np.empty(min(_BLOCK, first.size))
    for start in range(0, first.size, _BLOCK):
        count = min(_BLOCK, first.size - start)
        for e in range(count):
            apart = opinions[first[start + e]] - opinions[second[start + e]]
            block[e] = weight[start + e] * apart * apart
        add_array(acc, block[:count])
    return acc


def graph_disagreement(
    opinions: Any, edges: Any, *, weights: Any = None, data: Any = None, dim: Any = None
) -> Estimate:
    """Return the disagreement of neighbours, z' L z = sum over edges of w_ij (z_i - z_j)^2.

    The null deals the opinions out to the agents at random; its moments are exact (Geary 1954; Cliff & Ord 1981).
    The error is that of sums over pairs, where edges hang together if they share a node (Fafchamps & Gubert 2007).

    Parameters
    ----------
    opinions
        One number for each node, shape (n,).
    edges, weights
        The graph, see :func:`~simengine.diagnostics.populations.graphs.as_graph`.

    Returns
    -------
    estimate
        ``details`` has the mean over edges by weight (``each``) and Geary's ``ratio`` of it to that of all pairs.
    """
    (block,) = next(iter(one_batch(scalar_opinions(opinions, data, dim))))
    z = block[:, 0].astype(np.float64)
    graph = graph_of_agents(edges, z.size, weights)
    if graph.m == 0:
        return Estimate(0.0, 0.0, (0.0, 0.0), n=0, unit="1", method="edges", flags=flagged("empty"), null=DEALT)
    value = float(rounded(disagreement_sums(z, graph.first, graph.second, graph.weight)))
    strength, total = graph.sums(graph.weight), float(graph.weight.sum())
    mean = value / total
    part = graph.weight * ((z[graph.first] - z[graph.second]) ** 2 - mean)
    error = math.sqrt(max(float(np.sum(graph.sums(part) ** 2) - np.sum(part**2)), float(np.sum(part**2))))
    effective = float(strength.sum() ** 2 / np.sum(strength**2))
    # The mean is fitted, and what is summed has a long tail: both make the error of few nodes too small.
    error *= math.sqrt(effective / max(effective - 6.0, 1.0))
    m2 = float(np.var(z))
    heavy = m2 > 0.0 and float(np.mean((z - z.mean()) ** 4)) / m2**2 - 1.0 > _TAIL * effective
    flags = flagged(
        "few_samples" if z.size < _FEWEST or effective < _FEWEST_EFFECTIVE else None,
        "constant" if np.ptp(z) == 0.0 else None, "heavy_tails" if heavy else None,
    )  # fmt: skip
    null_mean, null_sd = _dealt_out(z, graph, strength)
    spread = 2.0 * float(np.var(z, ddof=1))
    return Estimate(
        value, error, positive_interval(value, error), null_mean, null_sd, z.size, "1", "edges", flags, DEALT,
        {"each": mean, "ratio": mean / spread if spread > 0.0 else math.nan, "edges": graph.m, "effective": effective},
    )  # fmt: skip


def _dealt_out(z: Floats, graph: Graph, strength: Floats) -> tuple[float, float]:
    """Mean and standard deviation of z' L z over all orders of the opinions: those of Geary's ratio."""
    n, total = z.size, 2.0 * float(graph.weight.sum())
    m2 = float(np.var(z))
    mean = total * m2 * n / (n - 1.0)
    if n < 4 or m2 == 0.0:
        return mean, 0.0 if m2 == 0.0 else math.nan
    kurtosis = float(np.mean((z - z.mean()) ** 4)) / m2**2
    # With w_ij counted in both directions: S0, S1 and S2 of Cliff & Ord.
    s1, s2 = 4.0 * float(np.sum(graph.weight**2)), 4.0 * float(np.sum(strength**2))
    variance = (
        (n - 1.0) * s1 * (n * n - 3.0 * n + 3.0 - (n - 1.0) * kurtosis)
        - 0.25 * (n - 1.0) * s2 * (n * n + 3.0 * n - 6.0 - (n * n - n + 2.0) * kurtosis)
        + total**2 * (n * n - 3.0 - (n - 1.0) ** 2 * kurtosis)
    ) / (n * (n - 2.0) * (n - 3.0) * total**2)
    return mean, mean * math.sqrt(max(variance, 0.0))


def graph_disagreement_from_sums(total: NDArray[np.int64], edges: int, weight: float) -> Estimate:
    """Return the disagreement from :func:`disagreement_sums`, the number of edges and their total weight.

    Sums alone do not say which edges share nodes: there is no error, and no null.
    """
    if total.shape != (SIZE,):
        raise InputError(f"total has shape {total.shape}; expected an accumulator ({SIZE},)")
    value = float(rounded(total))
    return Estimate(
        value, n=edges, unit="1", method="edges", flags=flagged("empty" if edges == 0 else None),
        details={"each": value / weight if weight > 0.0 else math.nan},
    )  # fmt: skip
