"""Excess entropy of pairs, s2: how far the distances of agents are from those of an ideal gas.

s2 = -(rho / 2) integral of [g ln g - g + 1] over space, per agent, with g(r) the pair correlation (Nettleton & Green
1958; Baranyai & Evans 1989): -pi rho int ... r dr in a plane, -2 pi rho int ... r^2 dr in space. It is 0 for an ideal
gas and the more negative, the more order there is. The integral runs to a declared ``reach`` in declared shells.

Class C, then A: the whole-number counts of pairs in shells (:func:`pair_counts`) need all agents of a moment or a halo
of the reach; after that they add up, over shards and over frames of equal density.

Counts of pairs are taken as Poisson: n G(n) of Grassberger (2003) in place of n ln n leaves almost no bias. Errors come
from blocks of space. Valid where the reach is at most a sixth of the least side, with at least 100 agents, and 5
expected pairs in each shell, and where the error is below a quarter of the value (``few_samples``).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import stdtrit

from simengine.diagnostics import checks
from simengine.diagnostics.counts.kernels import grassberger
from simengine.diagnostics.estimate import LEVEL, Estimate, doubted, flagged, normal_interval, stacked
from simengine.diagnostics.populations.arguments import checked_numbers, checked_positive, checked_size
from simengine.diagnostics.populations.bins import Counts, Floats
from simengine.diagnostics.populations.near import MOST_COUNTED, neighbour_rows, padded
from simengine.diagnostics.populations.opinions import one_table
from simengine.diagnostics.populations.shares import variance_of
from simengine.diagnostics.populations.space import checked_box, outside, place_blocks
from simengine.errors import InputError
from simengine.scenario.parameters import shown

IDEAL = "independent agents, spread evenly over the box"

_FEWEST = 100
_FEWEST_PAIRS = 5.0
_MOST_REACH = 1.0 / 6.0
_MOST_ERROR = 0.25
_BLOCKS = {2: 4, 3: 3}
_EXACT_UP_TO = 50.0


def pair_counts(positions: Floats, low: Floats, sides: Floats, edges: Floats, periodic: bool) -> Counts:
    """Return how many pairs of agents are apart by each class of distance, shape (K,)."""
    rows = _rows(positions, low, sides, edges, periodic)
    return np.asarray(rows.sum(axis=0, dtype=np.int64) // 2)


def _rows(positions: Floats, low: Floats, sides: Floats, edges: Floats, periodic: bool) -> NDArray[np.int32]:
    points, period = padded(positions, low, sides, periodic)
    rows: NDArray[np.int32] = neighbour_rows(points, period, edges, np.zeros(len(points), np.int64), 1)
    return rows


def shell_shares(edges: Floats, sides: Floats, periodic: bool) -> Floats:
    """Return the chance that two independent even places in a box are apart by each class of distance, shape (K,).

    In an open box the set covariance of a rectangle or cuboid, averaged over directions, is a polynomial up to its
    least side; its integral over shells is exact.
    """
    r, d, volume = edges, sides.size, float(np.prod(sides))
    if periodic:
        below = math.pi * r**2 / volume if d == 2 else 4.0 / 3.0 * math.pi * r**3 / volume
    elif d == 2:
        below = (math.pi * volume * r**2 - 4.0 / 3.0 * sides.sum() * r**3 + 0.5 * r**4) / volume**2
    else:
        faces = sides[0] * sides[1] + sides[1] * sides[2] + sides[2] * sides[0]
        below = (
            4.0 * math.pi
            * (volume * r**3 / 3.0 - faces * r**4 / 8.0 + 2.0 * sides.sum() * r**5 / (15.0 * math.pi)
               - r**6 / (24.0 * math.pi)) / volume**2
        )  # fmt: skip
    return np.diff(below)


def pair_excess_entropy(
    positions: Any, low: Any, high: Any, *, reach: float, bins: int = 30, periodic: bool = True, unit: str = "nat",
    data: Any = None, dim: Any = None, components: str | None = None,
) -> Estimate:  # fmt: skip
    """Return the pair excess entropy s2 per agent, from distances up to ``reach``.

    Parameters
    ----------
    positions
        Shape (n, 2), (n, 3) or (..., n, d), or with names.
    low, high
        Corners of the box: numbers, or one for each axis.
    reach
        Up to which distance pairs count; at most half the least side if periodic, else the least side.
    bins
        Shells of equal width.
    periodic
        Whether the box repeats along all its axes; else distances are corrected for its walls.

    Returns
    -------
    estimate
        ``details["g"]`` is the pair correlation of the shells of the first batch.
    """
    blocks = place_blocks(positions, data, dim, components)
    d = blocks.arrays[0].shape[-1]
    corner, other = checked_box(low, high, d)
    sides = other - corner
    periodic = checks.truth(periodic, "periodic")
    edges = checked_shells(sides, reach, bins, periodic)
    checked_size(blocks.arrays[0].shape[-2] * (edges.size - 1), "agents x bins", MOST_COUNTED)
    found = []
    for (block,) in blocks:
        rows = _rows(np.ascontiguousarray(block), corner, sides, edges, periodic)
        counts = rows.sum(axis=0, dtype=np.int64) // 2
        one = _of_rows(rows, counts, block - corner, sides, edges, periodic)
        found.append(doubted(one, "outside_range" if not periodic and outside(block, corner, other) else None))
    return stacked(found, blocks.batch, blocks.dims, blocks.coords).to(unit)


def checked_shells(sides: Floats, reach: float, bins: int, periodic: bool) -> Floats:
    """Return the edges of shells of equal width up to ``reach``."""
    if sides.size not in (2, 3):
        raise InputError(f"positions has {sides.size} components; the pair excess entropy takes two or three")
    most = float(sides.min()) * (0.5 if periodic else 1.0)
    reach = checked_positive(reach, "reach")
    if reach > most * (1.0 + 1e-12):
        raise InputError(f"reach is {reach:g}; in this box it is above 0 and at most {most:g}")
    return np.linspace(0.0, reach, checks.whole(bins, "bins", 1, MOST_COUNTED) + 1)


def _of_rows(
    rows: NDArray[np.int32], counts: Counts, places: Floats, sides: Floats, edges: Floats, periodic: bool
) -> Estimate:
    base = pair_excess_entropy_from_counts(counts, len(rows), sides, edges, periodic=periodic)
    if not math.isfinite(float(base.value)):
        return base
    n, d = len(rows), sides.size
    logarithm = np.log(np.maximum(base.details["g"], 1e-12)) * (counts > 0)
    own = 0.5 * (rows @ logarithm)
    own -= own.mean()
    per_axis = _BLOCKS[d]
    place = np.zeros(n, np.int64)
    for axis in np.arange(d):
        cell = np.floor(np.mod(places[:, axis] / sides[axis], 1.0) * per_axis).astype(np.int64)
        place = place * per_axis + np.minimum(cell, per_axis - 1)
    blocks = np.bincount(place, own, minlength=per_axis**d)
    # Of a pair that two blocks share each sees half: the share of such pairs, from the mean distance in units of sides.
    mean = float(np.sum(counts * 0.5 * (edges[1:] + edges[:-1])) / max(counts.sum(), 1))
    across = 1.0 - float(np.prod(1.0 - np.minimum(2.0 / math.pi * mean * per_axis / sides, 1.0)))
    variance = float(np.sum(blocks**2)) * blocks.size / (blocks.size - 1.0) / n**2 / (1.0 - 0.5 * across)
    whole = variance_of(variance, float(base.null_sd) ** 2)
    error = math.sqrt(whole)
    # Of the variance what comes from blocks is itself unsure (Satterthwaite 1946); what is known is not.
    unsure = max(1.0 - float(base.null_sd) ** 2 / whole, 1e-3)
    reach = float(stdtrit((blocks.size - 1.0) / unsure**2, 0.5 * (1.0 + LEVEL))) * error
    # Where few clusters make up the whole, their number decides the value, and blocks are too few to see it.
    value = abs(float(base.value))
    few = value > 4.0 * float(base.null_sd) and error > _MOST_ERROR * value
    return Estimate(
        base.value, error, (float(base.value) - reach, float(base.value) + reach), base.null_mean, base.null_sd, n,
        "nat", base.method, flagged(*base.flags, "few_samples" if few else None), base.null, base.details,
    )  # fmt: skip


def pair_excess_entropy_from_counts(
    counts: Any, agents: int, sides: Any, edges: Any, *, periodic: bool = True, frames: int = 1, unit: str = "nat"
) -> Estimate:
    """Return s2 from counts of pairs in shells, shape (K,), summed over ``frames`` moments of as many agents.

    The error is that of independent pairs; see :func:`pair_excess_entropy`, which knows the places.
    """
    counts = one_table(counts)
    agents, frames = checks.whole(agents, "agents", 0), checks.whole(frames, "frames", 1)
    periodic = checks.truth(periodic, "periodic")
    box, shells = checked_numbers(sides, "sides"), checked_numbers(edges, "edges", (counts.size + 1,), "of the shells")
    if box.shape not in ((2,), (3,)) or not (box > 0.0).all():
        raise InputError(f"sides is {shown(sides)}; expected two or three lengths above 0")
    if shells[0] < 0.0 or not (np.diff(shells) > 0.0).all():
        raise InputError(f"edges is {shown(edges)}; expected distances that rise from 0 or above")
    if agents < 2:
        return Estimate(math.nan, n=agents, method="pairs", flags=flagged("few_samples"), null=IDEAL).to(unit)
    # In units of the least side, so that no power of a length is too large or too small.
    reach, box, shells = float(shells[-1]), box / box.min(), shells / box.min()
    volume = float(np.prod(box))
    expected = frames * 0.5 * agents * (agents - 1.0) * shell_shares(shells, box, periodic)
    size = math.pi * np.diff(shells**2) if box.size == 2 else 4.0 / 3.0 * math.pi * np.diff(shells**3)
    weight = 0.5 * agents / volume * size / expected
    terms = np.array([
        (one * (grassberger(int(one)) - math.log(mean)) if one else 0.0) - one + mean
        for one, mean in zip(counts.tolist(), expected.tolist(), strict=True)
    ])  # fmt: skip
    value = -float(weight @ terms)
    null = np.array([_poisson_term(float(mean)) for mean in expected])
    null_mean, null_sd = -float(weight @ null[:, 0]), math.sqrt(float(weight**2 @ null[:, 1]))
    g = counts / expected
    slope = np.log(np.where(counts > 0, g, 1.0))
    error = math.sqrt(variance_of(float(np.sum((weight * slope) ** 2 * counts)), null_sd**2))
    flags = flagged(
        "few_samples" if agents < _FEWEST or expected.min() < _FEWEST_PAIRS
        or shells[-1] > box.min() * _MOST_REACH * (1.0 + 1e-9) else None,
    )  # fmt: skip
    return Estimate(
        value, error, normal_interval(value, error), null_mean, null_sd, agents * frames, "nat", "pairs", flags, IDEAL,
        {"g": g, "reach": reach, "bins": counts.size, "periodic": periodic},
    ).to(unit)  # fmt: skip


@lru_cache(maxsize=4096)
def _poisson_term(mean: float) -> tuple[float, float]:
    """Mean and variance of n (G(n) - ln m) - n + m for a Poisson number n of mean m."""
    if mean > _EXACT_UP_TO:
        return 0.0, 0.75
    n = np.arange(int(stats.poisson.isf(1e-12, mean)) + 2)
    chance = stats.poisson.pmf(n, mean)
    term = np.array([(one * (grassberger(one) - math.log(mean)) if one else 0.0) - one + mean for one in n.tolist()])
    first = float(chance @ term)
    return first, float(chance @ (term - first) ** 2)
