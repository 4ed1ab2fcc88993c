"""Entropy of where agents are: quadrats at several scales, Batty's entropy, and that of Karlstrom and Ceccato.

Class A: functions of whole-number counts of agents in declared cells. Agents are taken as independent draws from a
density. Validity is that of :mod:`~simengine.diagnostics.counts.entropies`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from simengine.arrays.jit import njit
from simengine.diagnostics import checks
from simengine.diagnostics.counts.entropies import entropy_from_counts
from simengine.diagnostics.estimate import Estimate, doubted, flagged, normal_interval, stacked
from simengine.diagnostics.populations.arguments import MOST_CELLS, checked_numbers, checked_size, not_negative
from simengine.diagnostics.populations.bins import Counts, Floats
from simengine.diagnostics.populations.opinions import one_table
from simengine.diagnostics.populations.shares import drawn, first_order, variance_of
from simengine.diagnostics.samples import checked_values, samples
from simengine.errors import InputError
from simengine.scenario.parameters import shown

EVEN = "independent agents, spread evenly over the box"

_DRAWS = 200
_MOST_ZONES = 1 << 20


@njit(cache=True, nogil=True, error_model="numpy")
def place_counts(positions: Floats, low: Floats, high: Floats, cells: Counts) -> tuple[Counts, int]:
    """Return how many agents each cell of a box holds, shape (prod(cells),) row-major, and how many lie outside.

    ``positions`` has shape (n, d); ``low``, ``high`` and ``cells``, the number along each axis, have shape (d,). Those
    outside count in the cells at the border.
    """
    total = 1
    for axis in range(cells.size):
        total *= cells[axis]
        if cells[axis] > MOST_CELLS or total > MOST_CELLS:
            raise ValueError("too many cells")
    counts = np.zeros(total, np.int64)
    outside = 0
    for i in range(positions.shape[0]):
        place, out = 0, False
        for axis in range(cells.size):
            share = (positions[i, axis] - low[axis]) / (high[axis] - low[axis])
            out |= (share < 0.0) | (share > 1.0)
            share = min(max(share, 0.0), 1.0)
            place = place * cells[axis] + min(math.floor(share * cells[axis]), cells[axis] - 1)
        counts[place] += 1
        outside += out
    return counts, outside


def checked_box(low: Any, high: Any, d: int) -> tuple[Floats, Floats]:
    """Return the corners of a box, shape (d,); a number stands for all axes."""
    corners = []
    for word, given in (("low", low), ("high", high)):
        corner = checked_numbers(given, word)
        if corner.shape not in ((), (d,)):
            raise InputError(f"{word} is {shown(given)}; expected a number, or {d} of them, one for each axis")
        corners.append(np.array(np.broadcast_to(corner, (d,))))
    if not (corners[0] < corners[1]).all():
        raise InputError(f"the box from low={shown(low)} to high={shown(high)} is empty; high must be above low")
    return corners[0], corners[1]


def outside(positions: Floats, low: Floats, high: Floats) -> bool:
    """Whether some places, shape (n, d), lie outside the box."""
    return bool(((positions < low) | (positions > high)).any())


def checked_cells(cells: Any) -> list[int]:
    """Return numbers of cells, of one or of several; a table of each along one axis is not too large."""
    given = checked_values(cells, "cells")
    if given.ndim > 1 or not given.size:
        raise InputError(f"cells has shape {given.shape}; expected a whole number, or several of them")
    return [checks.whole(one, "cells", 1, MOST_CELLS) for one in given.ravel().tolist()]


def place_blocks(positions: Any, data: Any, dim: Any, components: str | None) -> Any:
    """Return positions as blocks (*batch, n, d), d = 1, 2 or 3."""
    blocks = samples(positions, data=data, dim=dim, components=components, names=("positions",), discrete=False)
    if blocks.arrays[0].shape[-1] > 3:
        raise InputError(f"positions has {blocks.arrays[0].shape[-1]} components; expected one to three")
    return blocks


def spatial_entropy(
    positions: Any, low: Any, high: Any, *, cells: int | Sequence[int] = 8, estimator: str = "grassberger",
    unit: str = "nat", data: Any = None, dim: Any = None, components: str | None = None,
) -> Estimate:  # fmt: skip
    """Return the entropy of places in square cells, at one scale or at several.

    Parameters
    ----------
    positions
        Shape (n, d) or (..., n, d), or with names.
    low, high
        Corners of the box: numbers, or one for each axis.
    cells
        Cells along each axis: a number, or one for each scale.

    Returns
    -------
    estimate
        With a last dim ``cells`` if several scales are asked for; ``details["highest"]`` is ln of the number of cells
        of the first scale. The null are agents that are spread evenly over the box.
    """
    blocks = place_blocks(positions, data, dim, components)
    d = blocks.arrays[0].shape[-1]
    corner, other = checked_box(low, high, d)
    scales = checked_cells(cells)
    for scale in scales:
        checked_size(scale**d, f"cells={scale} along each of {d} axes")
    found = []
    for (block,) in blocks:
        for scale in scales:
            counts, outside = place_counts(
                np.ascontiguousarray(block), corner, other, np.full(d, scale, dtype=np.int64)
            )
            found.append(spatial_entropy_from_counts(counts, estimator=estimator, outside=outside))
    if np.ndim(np.asarray(cells)) == 0:
        return stacked(found, blocks.batch, blocks.dims, blocks.coords).to(unit)
    dims = (*(blocks.dims or tuple(f"dim_{axis}" for axis in np.arange(len(blocks.batch)))), "cells")
    coords = {**blocks.coords, "cells": scales}
    return stacked(found, (*blocks.batch, len(scales)), dims, coords).to(unit)


def spatial_entropy_from_counts(
    counts: Any, *, estimator: str = "grassberger", outside: int = 0, unit: str = "nat"
) -> Estimate:
    """Return the entropy of places from counts in equal cells, shape (K,)."""
    outside = checks.whole(outside, "outside", 0)
    counts = one_table(counts)
    base = entropy_from_counts(counts, estimator=estimator, states=counts.size)
    details = {**base.details, "cells": counts.size, "highest": math.log(counts.size), "outside": outside}
    return doubted(replace(base, null=EVEN, details=details), "outside_range" if outside else None).to(unit)


def batty_entropy(counts: Any, areas: Any, *, unit: str = "nat") -> Estimate:
    """Return Batty's spatial entropy, sum p_g ln(A_g / p_g) (Batty 1974, Geographical Analysis 6, 1).

    It is highest, the logarithm of the whole area, where agents are spread evenly over it, however zones are cut.

    Parameters
    ----------
    counts
        Agents in each zone, shape (K,).
    areas
        Area (or volume) of each zone, shape (K,), above 0; its unit fixes the zero of the value.
    """
    counts = one_table(counts)
    checked_size(counts.size, "counts", _MOST_ZONES)
    area = checked_numbers(areas, "areas", counts.shape, "a number above 0 for each zone")
    if not (area > 0.0).all():
        raise InputError(f"areas holds {area.min():g} at {area.argmin()}; expected a number above 0 for each zone")
    base = entropy_from_counts(counts, states=counts.size)
    n = int(counts.sum())
    if n == 0:
        return replace(base, method="batty").to(unit)
    p, even = counts / n, area / area.sum()
    value = float(base.value) + float(p @ np.log(area))
    # Of second order both are alike: what is linear in the shares has no curvature.
    error = _error(p, n, np.where(counts > 0, np.log(area / np.maximum(p, 1e-300)), 0.0))
    again = drawn(even, n, _DRAWS)
    null = np.asarray(entropy_from_counts(again, states=counts.size).value) + again / n @ np.log(area)
    most = math.log(area.sum())
    return replace(
        base, value=value, standard_error=error, interval=normal_interval(min(value, most), error, highest=most),
        null_mean=float(null.mean()), null_sd=float(null.std(ddof=1)), method="batty",
        null="independent agents, spread evenly over the whole area",
        details={"zones": counts.size, "highest": most},
    ).to(unit)  # fmt: skip


def _error(p: Floats, n: int, slope: Floats) -> float:
    """Standard error of an entropy whose derivative after shares is ``slope``, but for a constant."""
    seen = int(np.count_nonzero(p))
    second = 0.5 * max(seen - 1, 0) / n**2
    return math.sqrt(variance_of(first_order(p, n, slope), second) + 0.25 * seen / n**2)


def karlstrom_ceccato_entropy(counts: Any, neighbours: Any, *, unit: str = "nat") -> Estimate:
    """Return Karlstrom and Ceccato's entropy, sum p_g ln(1 / q_g), q_g the mean share of the neighbourhood of g (2002).

    Cells whose neighbours are full, too, count as less surprising: the value is lower, the more agents gather in
    adjoining cells. It equals the plain entropy if nobody has neighbours.

    Parameters
    ----------
    counts
        Agents in each of K equal cells, shape (K,).
    neighbours
        Which cells adjoin, (K, K), scipy sparse or dense, truth values or weights; each cell counts as its own
        neighbour with weight 1 whether or not it is said. See :func:`grid_neighbours`.
    """
    counts = one_table(counts)
    n, size = int(counts.sum()), counts.size
    checked_size(size, "counts", _MOST_ZONES)
    given: Any = neighbours if sparse.issparse(neighbours) else checked_numbers(neighbours, "neighbours")
    if len(given.shape) != 2:
        raise InputError(f"neighbours has shape {given.shape}; expected ({size}, {size}): which cells adjoin")
    weights = sparse.csr_array(given)
    if weights.shape != (size, size):
        raise InputError(f"neighbours has shape {weights.shape}; expected ({size}, {size}): which cells adjoin")
    held = not_negative(checked_numbers(weights.data, "neighbours"), "neighbours")
    weights = sparse.csr_array((held, weights.indices, weights.indptr), shape=(size, size))
    weights = (weights - sparse.diags_array(weights.diagonal()) + sparse.eye_array(size)).tocsr()
    weights = (sparse.diags_array(1.0 / weights.sum(axis=1)) @ weights).tocsr()
    base = entropy_from_counts(counts, states=size)
    if n == 0:
        return replace(base, method="karlstrom-ceccato").to(unit)
    value, error = _karlstrom_ceccato(counts / n, n, weights)
    null = np.array([_karlstrom_ceccato(one / n, n, weights)[0] for one in drawn(np.full(size, 1.0 / size), n, _DRAWS)])
    return Estimate(
        value, error, normal_interval(value, error), float(null.mean()), float(null.std(ddof=1)), n, "nat",
        "karlstrom-ceccato", flagged(*base.flags), EVEN, {"cells": size, "highest": math.log(size)},
    ).to(unit)  # fmt: skip


def _karlstrom_ceccato(p: Floats, n: int, weights: Any) -> tuple[float, float]:
    """Value without its bias of second order, and error."""
    q = weights @ p
    held = p > 0.0
    ratio = np.divide(p, q, out=np.zeros_like(p), where=held)
    inverse = np.divide(1.0, q, out=np.zeros_like(p), where=q > 0.0)
    logarithm = np.log(q, out=np.zeros_like(p), where=q > 0.0)
    plain = -float(p @ logarithm)
    gradient = -logarithm - weights.T @ ratio
    curvature = -2.0 * weights.diagonal() * inverse + weights.power(2).T @ (p * inverse**2)
    # p' H p = -1: the value is homogeneous but for the logarithm.
    bias = 0.5 / n * (float(p @ curvature) + 1.0)
    return plain - bias, math.sqrt(variance_of(first_order(p, n, gradient), abs(bias) / n))


def grid_neighbours(cells: Sequence[int], *, periodic: bool = False) -> Any:
    """Return which cells of a grid share a side, a sparse matrix (K, K) in row-major order of the cells."""
    shape, periodic = tuple(checked_cells(cells)), checks.truth(periodic, "periodic")
    checked_size(math.prod(shape), f"cells={shape}")
    number: NDArray[np.int64] = np.arange(math.prod(shape)).reshape(shape)
    pairs = []
    for axis in np.arange(len(shape)):
        ahead = np.roll(number, -1, axis=axis)
        keep = np.ones(shape, dtype=bool)
        if not periodic or shape[axis] < 3:
            keep[tuple(-1 if one == axis else slice(None) for one in np.arange(len(shape)))] = False
        pairs.append(np.stack([number[keep], ahead[keep]]))
    a, b = np.concatenate(pairs, axis=1)
    both = (np.concatenate([a, b]), np.concatenate([b, a]))
    return sparse.csr_array((np.ones(2 * a.size), both), shape=(number.size, number.size))
