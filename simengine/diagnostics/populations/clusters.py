"""Clusters of opinions by the gap rule: neighbours in the order of opinions belong together if at most ``bound`` apart.

Where agents listen only within a confidence bound, opinions further apart than the bound can never meet: groups divided
by such gaps go their own ways (Hegselmann & Krause 2002). Class C: sorting needs all opinions of a moment; the sizes of
the clusters, :func:`cluster_sizes`, are whole numbers.

Clusters are a property of the agents at hand. Where agents are drawn again, their number is stable only if gaps are
wide: it is flagged if a bound a tenth narrower or wider gives another number (``unstable_subsamples``). Valid from 50
agents on, share and entropy if ten of them are outside the largest cluster or none is (``few_samples``).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit
from simengine.diagnostics import checks
from simengine.diagnostics.counts.entropies import entropy_from_counts
from simengine.diagnostics.estimate import Estimate, flagged, normal_interval, stacked
from simengine.diagnostics.populations.arguments import checked_positive
from simengine.diagnostics.populations.bins import checked_range
from simengine.diagnostics.populations.opinions import one_table, scalar_opinions
from simengine.errors import InputError

MEASURES = ("number", "largest-share", "entropy")
EVEN = "opinions spread evenly over the declared range"

_FEWEST = 50
_FEWEST_APART = 10
_DRAWS = 200


@njit(cache=True, nogil=True, error_model="numpy")
def cluster_sizes(ordered: NDArray[np.float64], bound: float) -> NDArray[np.int64]:
    """Return the sizes of the clusters of opinions in ascending order, shape (n,); in the order of opinions."""
    n = ordered.size
    sizes = np.zeros(n, np.int64)
    number = 0
    for i in range(n):
        if i > 0 and ordered[i] - ordered[i - 1] > bound:
            number += 1
        sizes[number] += 1
    return sizes[: number + 1].copy() if n > 0 else sizes


def opinion_clusters(
    opinions: Any, bound: float, measure: str = "number", *, range: Any = None, unit: str = "nat", data: Any = None,
    dim: Any = None,
) -> Estimate:  # fmt: skip
    """Return the number of clusters of opinions, the share of the largest, or the entropy of their sizes.

    Parameters
    ----------
    opinions
        One number for each agent, shape (n,) or (..., n, 1), or with names.
    bound
        Widest gap within a cluster, above 0; the confidence bound.
    measure
        ``"number"``, ``"largest-share"`` or ``"entropy"``.
    range
        (low, high) of opinions gives the null: opinions spread evenly over it.

    Returns
    -------
    estimate
        ``details["sizes"]`` of the first batch are the sizes of the clusters in the order of opinions.
    """
    checks.one_of(measure, MEASURES, "measure")
    bound = checked_positive(bound, "bound")
    ends = None if range is None else checked_range(range, "opinions")
    blocks = scalar_opinions(opinions, data, dim)
    found = []
    for (block,) in blocks:
        ordered = np.sort(block[:, 0].astype(np.float64))
        near = {cluster_sizes(ordered, factor * bound).size for factor in (0.9, 1.1)}
        sizes = cluster_sizes(ordered, bound)
        null = _even_null(ordered.size, bound / (ends[1] - ends[0]), measure) if ends else (math.nan, math.nan)
        found.append(_of_sizes(sizes, measure, near != {sizes.size}, null))
    whole = stacked(found, blocks.batch, blocks.dims, blocks.coords)
    return whole.to(unit) if measure == "entropy" else whole


def opinion_clusters_from_sizes(sizes: Any, measure: str = "number") -> Estimate:
    """Return a measure of clusters from their sizes, shape (clusters,); see :func:`opinion_clusters`."""
    checks.one_of(measure, MEASURES, "measure")
    found = one_table(sizes, "sizes")
    if not found.all():
        raise InputError(f"sizes holds 0 at {found.argmin()}; expected how many agents each cluster has, at least 1")
    return _of_sizes(found, measure, False, (math.nan, math.nan))


def _of_sizes(sizes: NDArray[np.int64], measure: str, unstable: bool, null: tuple[float, float]) -> Estimate:
    n = int(sizes.sum())
    apart = n - int(sizes.max())
    few = n < _FEWEST or (measure != "number" and 0 < apart < _FEWEST_APART)
    flags = flagged(
        "few_samples" if few else None, "unstable_subsamples" if unstable else None,
        # A cluster of one agent speaks of others that were not drawn.
        "unseen_states" if np.count_nonzero(sizes == 1) > 0.05 * n else None,
    )  # fmt: skip
    about = {"sizes": sizes, "clusters": sizes.size}
    words = EVEN if not math.isnan(null[0]) else ""
    if measure == "number":
        number = float(sizes.size)
        error = math.nan if unstable else 0.0
        return Estimate(number, error, (number, number), *null, n, "1", "gaps", flags, words, about)
    if measure == "largest-share":
        share = float(sizes.max()) / n
        error = math.sqrt(max(share * (1.0 - share), 0.0) / n)
        return Estimate(share, error, normal_interval(share, error, 0.0, 1.0), *null, n, "1", "gaps", flags, words,
                        about)  # fmt: skip
    base = entropy_from_counts(sizes)
    return Estimate(base.value, base.standard_error, base.interval, *null, n, "nat", "gaps", flags, words, about)


def _even_null(n: int, bound: float, measure: str) -> tuple[float, float]:
    """Moments of a measure of even opinions: of their number exact, of the others from 200 draws.

    Any one of the n - 1 inner gaps exceeds b with the chance (1 - b)^n, any two with (1 - 2 b)^n (Darling 1953).
    """
    if measure == "number":
        one, two = max(1.0 - bound, 0.0) ** n, max(1.0 - 2.0 * bound, 0.0) ** n
        variance = (n - 1) * one * (1.0 - one) + (n - 1) * (n - 2) * (two - one * one)
        return 1.0 + (n - 1) * one, math.sqrt(max(variance, 0.0))
    rng = np.random.Generator(np.random.Philox(0))
    values = []
    for _ in range(_DRAWS):
        sizes = cluster_sizes(np.sort(rng.random(n)), bound)
        values.append(sizes.max() / n if measure == "largest-share" else float(entropy_from_counts(sizes).value))
    return float(np.mean(values)), float(np.std(values, ddof=1))
