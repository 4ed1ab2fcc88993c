"""How many ways agents face: entropy of their headings in bins of equal angle (2-D) or equal area (3-D).

Class A: functions of the whole-number counts of :func:`heading_counts`. In three dimensions bins are equal in the
cosine of the polar angle and in the azimuth, so that isotropic headings fill all alike (Archimedes); the entropy
depends on how the axes lie once the bins are coarse against the spread of headings. Agents that stand still have no
heading and are left out (``no_heading``). Validity is that of :mod:`~simengine.diagnostics.counts.entropies`, with at
least as many agents as bins (``few_samples``).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit
from simengine.diagnostics import checks
from simengine.diagnostics.counts.entropies import entropy_from_counts
from simengine.diagnostics.estimate import Estimate, doubted, normal_interval, stacked
from simengine.diagnostics.populations.arguments import MOST_CELLS, checked_size
from simengine.diagnostics.populations.bins import Counts, Floats
from simengine.diagnostics.populations.opinions import one_table
from simengine.diagnostics.samples import checked_values, samples
from simengine.errors import InputError
from simengine.scenario.parameters import shown

ISOTROPIC = "independent agents that face all ways alike"

BINS_OF_ANGLE = 16
BINS_OF_SPHERE = (6, 8)

MOST_TURNED = 4.0 * math.pi
"""Angles beyond two turns are taken for degrees, and refused."""


@njit(cache=True, nogil=True, error_model="numpy")
def angle_bins(x: Floats, y: Floats, bins: int) -> Counts:
    """Return the bin of the angle of each vector (x, y), from 0 counterclockwise; -1 for a zero vector."""
    found = np.empty(x.size, np.int64)
    for i in range(x.size):
        if x[i] == 0.0 and y[i] == 0.0:
            found[i] = -1
            continue
        turn = math.atan2(y[i], x[i]) / (2.0 * math.pi)
        if turn < 0.0:
            turn += 1.0
        found[i] = min(int(turn * bins), bins - 1)
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def heading_counts(headings: Floats, zones: int, bins: int) -> tuple[Counts, int]:
    """Return how many headings each bin holds, and how many agents have none.

    Parameters
    ----------
    headings
        Shape (n, 2) or (n, 3); of any length, zero vectors are counted apart.
    zones
        Bins of the cosine of the polar angle, about the last axis; 1 in two dimensions.
    bins
        Bins of the angle in the plane of the first two components, from 0 to 2 pi.

    Returns
    -------
    counts
        Shape (zones * bins,), zone by zone.
    """
    counts = np.zeros(zones * bins, np.int64)
    still = 0
    angle = angle_bins(headings[:, 0], headings[:, 1], bins)
    for i in range(headings.shape[0]):
        zone, place = 0, angle[i]
        if headings.shape[1] == 3:
            x, y, z = headings[i, 0], headings[i, 1], headings[i, 2]
            length = math.sqrt(x * x + y * y + z * z)
            if length == 0.0:
                still += 1
                continue
            zone = min(int(0.5 * (z / length + 1.0) * zones), zones - 1)
            place = max(place, 0)
        elif place < 0:
            still += 1
            continue
        counts[zone * bins + place] += 1
    return counts, still


def heading_vectors(headings: Any, data: Any, dim: Any, components: str | None) -> Any:
    """Return headings as blocks (*batch, n, 2 or 3); angles in radians become unit vectors."""
    blocks = samples(headings, data=data, dim=dim, components=components, names=("headings",), discrete=False)
    if blocks.arrays[0].shape[-1] not in (1, 2, 3):
        raise InputError(
            f"headings has {blocks.arrays[0].shape[-1]} components; expected an angle, or a vector of two or three"
        )
    largest = float(np.abs(blocks.arrays[0]).max())
    if blocks.arrays[0].shape[-1] == 1 and largest > MOST_TURNED:
        raise InputError(
            f"headings has angles up to {largest:g}; expected radians within two turns: of degrees"
            " numpy.deg2rad(headings), of turns that add up numpy.mod(headings, 2 * numpy.pi)"
        )
    return blocks


def _vectors(block: NDArray[np.float64]) -> Floats:
    if block.shape[1] == 1:
        block = np.stack([np.cos(block[:, 0]), np.sin(block[:, 0])], axis=1)
    return np.ascontiguousarray(block)


def heading_shape(components: int, bins: Any) -> tuple[int, int]:
    """Return the number of zones and of angles for headings of 1, 2 or 3 components."""
    if bins is None:
        bins = BINS_OF_ANGLE if components < 3 else BINS_OF_SPHERE
    pair = checked_values(bins, "bins")
    if components < 3:
        if pair.ndim:
            raise InputError(f"bins is {shown(bins)}; headings in a plane have one number of bins")
        return 1, checks.whole(bins, "bins", 2, MOST_CELLS)
    if pair.shape != (2,):
        raise InputError(f"bins is {shown(bins)}; headings in space have (bins of the cosine, bins of the azimuth)")
    zones, angles = (checks.whole(one, "bins", 1, MOST_CELLS) for one in pair.tolist())
    checked_size(zones * angles, f"bins={shown(bins)}")
    return zones, angles


def heading_entropy(
    headings: Any, *, bins: Any = None, estimator: str = "grassberger", unit: str = "nat", data: Any = None,
    dim: Any = None, components: str | None = None,
) -> Estimate:  # fmt: skip
    """Return the entropy of agents' headings in bins of equal angle or area.

    Parameters
    ----------
    headings
        Angles in radians, within two turns, shape (n,); or vectors, not of any set length, shape (n, 2), (n, 3) or
        (..., n, 3); or with names, see :mod:`simengine.diagnostics.samples`.
    bins
        Number of angles, 16 by default; in three dimensions (bins of the cosine, bins of the azimuth), (6, 8) by
        default.

    Returns
    -------
    estimate
        The null are isotropic headings. ``details`` has the entropy that a von Mises (2-D) or von Mises-Fisher (3-D)
        distribution of the same mean resultant length would have in as fine bins (``parametric``) and that
        length without its bias (``resultant``).
    """
    return _of_headings(headings, heading_entropy_from_counts, bins, estimator, data, dim, components).to(unit)


def heading_entropy_excess(
    headings: Any, *, bins: Any = None, estimator: str = "grassberger", unit: str = "nat", data: Any = None,
    dim: Any = None, components: str | None = None,
) -> Estimate:  # fmt: skip
    """Return by how much the entropy of headings falls short of isotropy, ln K - H; see :func:`heading_entropy`."""
    return _of_headings(headings, heading_excess_from_counts, bins, estimator, data, dim, components).to(unit)


def _of_headings(
    headings: Any, answer: Any, bins: Any, estimator: str, data: Any, dim: Any, components: str | None
) -> Estimate:
    blocks = heading_vectors(headings, data, dim, components)
    zones, angles = heading_shape(blocks.arrays[0].shape[-1], bins)
    found = []
    for (block,) in blocks:
        vectors = _vectors(block)
        counts, still = heading_counts(vectors, zones, angles)
        one = answer(counts, estimator=estimator, still=still)
        found.append(replace(one, details={**one.details, **_parametric(vectors, counts.size)}))
    return stacked(found, blocks.batch, blocks.dims, blocks.coords)


def heading_entropy_from_counts(
    counts: Any, *, estimator: str = "grassberger", still: int = 0, unit: str = "nat"
) -> Estimate:
    """Return the entropy of headings from :func:`heading_counts`; ``still`` agents have none."""
    still = checks.whole(still, "still", 0)
    counts = one_table(counts)
    base = entropy_from_counts(counts, estimator=estimator, states=counts.size)
    details = {**base.details, "bins": counts.size, "highest": math.log(counts.size), "still": still}
    return doubted(
        replace(base, null=ISOTROPIC, details=details),
        "few_samples" if base.n < counts.size else None, "no_heading" if still else None,
    ).to(unit)  # fmt: skip


def heading_excess_from_counts(
    counts: Any, *, estimator: str = "grassberger", still: int = 0, unit: str = "nat"
) -> Estimate:
    """Return ln K - H from :func:`heading_counts`."""
    base = heading_entropy_from_counts(counts, estimator=estimator, still=still)
    highest = float(base.details["highest"])
    value = highest - float(base.value)
    return replace(
        base, value=value, interval=normal_interval(max(value, 0.0), base.standard_error, 0.0),
        null_mean=highest - float(base.null_mean),
    ).to(unit)  # fmt: skip


def _parametric(vectors: Floats, bins: int) -> dict[str, float]:
    """The mean resultant length R without its bias, and the entropy of the distribution that has it."""
    length = np.sqrt(np.sum(vectors**2, axis=1))
    n = int(np.count_nonzero(length))
    if n < 2:
        return {"resultant": math.nan, "parametric": math.nan}
    mean = np.sum(vectors[length > 0.0] / length[length > 0.0, None], axis=0) / n
    square = (float(mean @ mean) - 1.0 / n) / (1.0 - 1.0 / n)
    resultant = math.sqrt(max(square, 0.0))
    flat = vectors.shape[1] == 2
    cell = math.log((2.0 if flat else 4.0) * math.pi / bins)
    return {"resultant": resultant, "parametric": (von_mises_entropy if flat else fisher_entropy)(resultant) - cell}


def von_mises_entropy(resultant: float) -> float:
    """Return the differential entropy of a von Mises distribution: ln 2 pi I0(k) - k I1(k) / I0(k)."""
    if resultant >= 1.0:
        return -math.inf
    if resultant <= 0.0:
        return math.log(2.0 * math.pi)
    from scipy import optimize, special

    k = optimize.brentq(lambda one: special.i1e(one) / special.i0e(one) - resultant, 0.0, 2.0 / (1.0 - resultant) + 2.0)
    return math.log(2.0 * math.pi * special.i0e(k)) + k - k * resultant


def fisher_entropy(resultant: float) -> float:
    """Return the differential entropy of a von Mises-Fisher distribution in 3-D: ln(4 pi sinh k / k) - k coth k + 1."""
    if resultant >= 1.0:
        return -math.inf
    if resultant <= 1e-4:
        return math.log(4.0 * math.pi) - 1.5 * resultant**2
    from scipy import optimize

    k = optimize.brentq(lambda one: 1.0 / math.tanh(one) - 1.0 / one - resultant, 1e-6, 2.0 / (1.0 - resultant) + 2.0)
    # ln sinh k without overflow.
    return math.log(2.0 * math.pi / k) + k + math.log1p(-math.exp(-2.0 * k)) - k * resultant
