"""Von Neumann entropy of a graph: that of the eigenvalues of L / tr L (Braunstein, Ghosh & Severini 2006).

Class E: a matrix problem of one moment; only the quadratic bound is a function of sums (of squared strengths and
weights), exact sums of whole numbers if edges have no weights (A).

The value is a property of the graph at hand: up to 3000 nodes it is exact, with an error of 0. Beyond, stochastic
Lanczos quadrature (Ubaru, Chen & Saad 2017) has the error of its random vectors, and the quadratic bound none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy import special

from simengine.diagnostics import checks
from simengine.diagnostics.estimate import Estimate, checked_unit, flagged, normal_interval
from simengine.diagnostics.populations.bins import Floats
from simengine.diagnostics.populations.graphs import Graph, as_graph
from simengine.errors import InputError

EXACT_UP_TO = 3000
"""Nodes up to which the estimator is exact by default."""

MOST_DENSE = 16384
"""Nodes at most of the exact estimator; their matrix takes 2 GiB."""

_STEPS = 60
_PROBES = 40
_SMALLEST = 1e-10


def von_neumann_entropy(
    edges: Any, *, nodes: int | None = None, weights: Any = None, estimator: str = "auto", seed: int = 0,
    unit: str = "nat",
) -> Estimate:  # fmt: skip
    """Return the von Neumann entropy of L / tr L; ln(n - 1) on the complete graph, its highest value.

    Parameters
    ----------
    edges, nodes, weights
        The graph, see :func:`~simengine.diagnostics.populations.graphs.as_graph`.
    estimator
        ``"exact"``, O(n^3); ``"lanczos"``, 40 random vectors of 60 steps each; ``"quadratic"``, the lower bound
        1 - tr (L / tr L)^2; ``"auto"`` is exact up to 3000 nodes and Lanczos beyond.
    seed
        Of the random vectors.
    """
    checked_unit(unit)
    seed = checks.seed(seed)
    checks.one_of(estimator, ("auto", *_ESTIMATORS), "von Neumann entropy: estimator")
    graph = as_graph(edges, nodes, weights)
    if estimator == "auto":
        estimator = "exact" if graph.n <= EXACT_UP_TO else "lanczos"
    if estimator == "exact" and graph.n > MOST_DENSE:
        raise InputError(f"the graph has {graph.n} nodes; estimator='exact' takes {MOST_DENSE}, 'lanczos' more")
    if not graph.m:
        return Estimate(math.nan, n=graph.n, unit=unit, method=estimator, flags=flagged("empty"))
    # The entropy does not change if all weights are multiplied, but sums of their squares may be no numbers.
    graph = replace(graph, weight=graph.weight / graph.weight.max())
    value, error = _ESTIMATORS[estimator](graph, seed)
    details = {"highest": math.log(max(graph.n - 1, 1)), "bound": _quadratic(graph, seed)[0]}
    return Estimate(
        value, error, normal_interval(value, error, 0.0), n=graph.n, unit="nat", method=estimator, details=details
    ).to(unit)


def _exact(graph: Graph, seed: int) -> tuple[float, float]:
    eigenvalues = np.linalg.eigvalsh(graph.laplacian().toarray())
    return float(special.entr(np.maximum(eigenvalues, 0.0) / eigenvalues.sum()).sum()), 0.0


def _quadratic(graph: Graph, seed: int) -> tuple[float, float]:
    strength = graph.sums(graph.weight)
    purity = (float(strength @ strength) + 2.0 * float(graph.weight @ graph.weight)) / float(strength.sum()) ** 2
    return 1.0 - purity, 0.0


def _lanczos(graph: Graph, seed: int) -> tuple[float, float]:
    """Mean over random signs v of v' f(L / tr L) v, f(x) = -x ln x, each from the Krylov space of v."""
    laplacian = graph.laplacian()
    trace = float(laplacian.diagonal().sum())
    probes = np.random.Generator(np.random.Philox(seed)).integers(0, 2, (_PROBES, graph.n)) * 2.0 - 1.0
    found = np.array([_quadrature(laplacian, probe, trace) for probe in probes])
    return float(found.mean()), float(found.std(ddof=1)) / math.sqrt(_PROBES)


def _quadrature(laplacian: Any, probe: Floats, trace: float) -> float:
    size = probe.size
    steps = min(_STEPS, size)
    basis = np.zeros((steps, size))
    diagonal, beside = np.zeros(steps), np.zeros(max(steps - 1, 0))
    vector = probe / math.sqrt(size)
    done = steps
    for step in range(steps):
        basis[step] = vector
        image = laplacian @ vector
        diagonal[step] = float(vector @ image)
        # Full orthogonalisation, twice: otherwise eigenvalues come up again and again.
        for _ in range(2):
            image -= basis[: step + 1].T @ (basis[: step + 1] @ image)
        length = float(np.linalg.norm(image))
        if step + 1 == steps or length <= _SMALLEST * trace / size:
            done = step + 1
            break
        beside[step] = length
        vector = image / length
    small = np.diag(diagonal[:done]) + np.diag(beside[: done - 1], 1) + np.diag(beside[: done - 1], -1)
    nodes, vectors = np.linalg.eigh(small)
    return size * float(vectors[0] ** 2 @ special.entr(np.maximum(nodes, 0.0) / trace))


_ESTIMATORS: Mapping[str, Callable[[Graph, int], tuple[float, float]]] = MappingProxyType(
    {"exact": _exact, "lanczos": _lanczos, "quadratic": _quadratic}
)
