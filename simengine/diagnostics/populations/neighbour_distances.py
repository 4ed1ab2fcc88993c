"""Entropy of the distances to the k-th nearest neighbour, in bins that an ideal gas of the same density fills evenly.

Class C, then A: finding neighbours needs all agents of a moment or a halo; the whole-number counts in bins
(:func:`neighbour_distance_counts`) add up. Distances are scaled by (V / N)^(1 / d), so that the density itself does not
show. Without ``periodic`` agents near the walls have their neighbours further away than in an ideal gas without walls.

Agents share neighbours, so their distances are not independent: bias and variance under the null are those of
independent samples times constants that do not depend on N, found from 2000 repetitions of ideal gases of 1000; the
error is that of the delta method with the covariances of agents who are among each other's k nearest. Valid from 100
agents on, in a plane or in space, for k up to 5, where the box is periodic (else ``few_samples`` is raised).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy.spatial import KDTree

from simengine.diagnostics import checks
from simengine.diagnostics.counts.entropies import entropy_from_counts, even_null
from simengine.diagnostics.estimate import Estimate, doubted, flagged, normal_interval, stacked
from simengine.diagnostics.populations.arguments import checked_size
from simengine.diagnostics.populations.bins import Counts, Floats, declared_edges
from simengine.diagnostics.populations.near import MOST_COUNTED
from simengine.diagnostics.populations.opinions import one_table
from simengine.diagnostics.populations.shares import variance_of
from simengine.diagnostics.populations.space import checked_box, outside, place_blocks
from simengine.errors import InputError

IDEAL = "independent agents, spread evenly over the box"

BINS = 15

_FEWEST = 100

# For (d, k): the variances of counts in bins over those of independent samples, and the standard deviation of the
# entropy over that of independent samples.
SHARED: Mapping[tuple[int, int], tuple[float, float]] = {
    (2, 1): (1.63, 1.64), (2, 2): (1.42, 1.45), (2, 3): (1.39, 1.49), (2, 4): (1.42, 1.54), (2, 5): (1.42, 1.53),
    (3, 1): (1.63, 1.72), (3, 2): (1.38, 1.43), (3, 3): (1.37, 1.43), (3, 4): (1.33, 1.39), (3, 5): (1.34, 1.44),
}  # fmt: skip


def poisson_edges(k: int, d: int, bins: int = BINS) -> Floats:
    """Return edges of scaled distances that an ideal gas fills evenly, from 0 to infinity, shape (bins + 1,).

    Within a scaled distance s there are Poisson(c s^d) others, c the volume of the unit ball.
    """
    inner = special.gammaincinv(k, np.arange(1, bins) / bins)
    ball = math.pi ** (d / 2.0) / math.gamma(d / 2.0 + 1.0)
    return np.concatenate([[0.0], (inner / ball) ** (1.0 / d), [math.inf]])


def neighbour_distances(positions: Floats, low: Floats, sides: Floats, k: int, periodic: bool) -> Any:
    """Return scaled distances to the k nearest others, and who they are; shapes (n, k)."""
    n, d = positions.shape
    places = np.mod(positions - low, sides) if periodic else positions - low
    # Rounding may leave a place at the far side itself, which the tree does not take.
    places = np.where(places >= sides, 0.0, places) if periodic else places
    tree = KDTree(places, boxsize=sides if periodic else None)
    distance, who = (np.asarray(found) for found in tree.query(places, k + 1))
    # The root first: a product of sides may be too large or too small for a number.
    return distance[:, 1:] * (n ** (1.0 / d) / float(np.prod(sides ** (1.0 / d)))), who[:, 1:]


def neighbour_distance_counts(
    positions: Floats, low: Floats, sides: Floats, k: int, periodic: bool, edges: Floats
) -> Counts:
    """Return how many agents have their k-th neighbour at each class of scaled distance, shape (K,)."""
    distance, _ = neighbour_distances(positions, low, sides, k, periodic)
    return np.bincount(_class_of(distance[:, -1], edges), minlength=edges.size - 1)


def _class_of(distance: Floats, edges: Floats) -> NDArray[np.int64]:
    found = np.searchsorted(edges, distance, side="right") - 1
    return np.clip(found, 0, edges.size - 2).astype(np.int64)


def neighbour_distance_entropy(
    positions: Any, low: Any, high: Any, *, k: int = 1, bins: Any = None, periodic: bool = True, unit: str = "nat",
    data: Any = None, dim: Any = None, components: str | None = None,
) -> Estimate:  # fmt: skip
    """Return the entropy of scaled distances to the k-th nearest neighbour.

    Parameters
    ----------
    positions
        Shape (n, 2), (n, 3) or (..., n, d), or with names.
    low, high
        Corners of the box: numbers, or one for each axis.
    k
        Which neighbour, 1 the nearest.
    bins
        Edges of scaled distances; by default 15 bins that an ideal gas fills evenly (:func:`poisson_edges`).
    """
    blocks = place_blocks(positions, data, dim, components)
    n, d = blocks.arrays[0].shape[-2:]
    periodic = checks.truth(periodic, "periodic")
    k = checks.whole(k, "k", 1)
    if d < 2 or k >= n:
        raise InputError(
            f"positions has {n} agents in {d} dimensions; expected two or three, and more agents than k={k}"
        )
    checked_size(n * (k + 1), "agents x neighbours", MOST_COUNTED)
    corner, other = checked_box(low, high, d)
    sides = other - corner
    edges = poisson_edges(k, d) if bins is None else declared_edges(bins, None, "bins")
    found = []
    for (block,) in blocks:
        distance, who = neighbour_distances(block, corner, sides, k, periodic)
        place = _class_of(distance[:, -1], edges)
        counts = np.bincount(place, minlength=edges.size - 1)
        base = neighbour_distance_entropy_from_counts(counts, d=d, k=k, even=bins is None, periodic=periodic)
        one = _with_neighbours(base, counts, place, who)
        found.append(doubted(one, "outside_range" if not periodic and outside(block, corner, other) else None))
    return stacked(found, blocks.batch, blocks.dims, blocks.coords).to(unit)


def _with_neighbours(base: Estimate, counts: Counts, place: NDArray[np.int64], who: NDArray[np.int64]) -> Estimate:
    n, seen = place.size, int(np.count_nonzero(counts))
    if seen < 2:
        return base
    p = counts / n
    local = -np.log(p[place])
    local -= local.mean()
    # Agents hang together if one is among the other's nearest, in either direction, each pair once.
    rows = np.repeat(np.arange(n), who.shape[1])
    pairs = np.unique(np.minimum(rows, who.ravel()) * n + np.maximum(rows, who.ravel()))
    alone = float(local @ local)
    first = max(alone + 2.0 * float(local[pairs // n] @ local[pairs % n]), alone) / n**2
    factor = float(base.details["variance_factor"])
    second = 0.5 * (seen - 1.0) / n**2 * factor**2
    error = math.sqrt(variance_of(first, second) + 0.25 * seen / n**2)
    return Estimate(
        base.value, error, normal_interval(base.value, error, 0.0), base.null_mean, base.null_sd, n, "nat", base.method,
        base.flags, base.null, base.details,
    )  # fmt: skip


def neighbour_distance_entropy_from_counts(
    counts: Any, *, d: int, k: int = 1, even: bool = True, periodic: bool = True, unit: str = "nat"
) -> Estimate:
    """Return the entropy from counts in classes of scaled distance; see :func:`neighbour_distance_entropy`.

    ``even`` says that an ideal gas fills the classes evenly; else there is no null.
    """
    counts = one_table(counts)
    d, k = checks.whole(d, "d", 1, 3), checks.whole(k, "k", 1)
    even, periodic = checks.truth(even, "even"), checks.truth(periodic, "periodic")
    n = int(counts.sum())
    plain = float(entropy_from_counts(counts, estimator="plug-in").value)
    base = entropy_from_counts(counts)
    known = SHARED.get((d, k))
    bias_factor, spread_factor = known or (1.0 + 0.3 * k, 1.0 + 0.3 * k)
    value = plain + bias_factor * (float(base.value) - plain)
    error = float(base.standard_error) * math.sqrt(bias_factor)
    null_mean, null_sd = math.nan, math.nan
    if even and known and n:
        own = even_null(n, counts.size)
        null_mean, null_sd = math.log(counts.size), own[1] * spread_factor
    flags = flagged(
        *base.flags, "few_samples" if n < _FEWEST or known is None or not periodic else None,
    )  # fmt: skip
    return Estimate(
        value, error, normal_interval(value, error, 0.0), null_mean, null_sd, n, "nat", "grassberger", flags,
        IDEAL if not math.isnan(null_mean) else "",
        {"bins": counts.size, "k": k, "highest": math.log(counts.size), "variance_factor": bias_factor},
    ).to(unit)  # fmt: skip
