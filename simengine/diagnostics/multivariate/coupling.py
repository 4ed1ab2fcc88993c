"""How well two agents' actions are coordinated: their information over the most that their own habits allow.

Two marginal distributions p and q bound the information that any joint distribution of theirs can have:
I <= H(p) + H(q) - H_min, with H_min the entropy of the minimum-entropy coupling, the joint distribution of least
entropy. min[H(p), H(q)] is a bound too, but is not reached in general. Finding the coupling is hard; matching the
largest remaining masses again and again (Kocaoglu et al. 2017, arXiv 1701.08254) comes within about half a bit
(Compton et al. 2023), and is optimal in most small cases. The ceiling is then too low by as much, and an index of
truly coordinated agents may exceed 1.

Declared validity: at least 200 samples (``few_samples``), ten for each degree of freedom of the joint table
(``many_states``). Where two masses are neither clearly equal nor clearly different, the ceiling is unsure: a difference
d costs d ln(1 / d) of it, which for equal masses is of order ln(n) / sqrt(n). Masses within 2.5 standard errors of one
another are taken as equal; ``near_tie`` is raised where that is a doubtful matter. Intervals count what the
ceiling is if they differ by as much, or as little, as they may (1.96 standard errors).
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics.estimate import QUANTILE, Estimate, flagged, stacked
from simengine.diagnostics.multivariate.cells import (
    Cells,
    cells_of_counts,
    cells_of_samples,
    checked_estimator,
    checked_probabilities,
    checked_table,
    entropy_of_subset,
    entropy_sum,
)
from simengine.diagnostics.populations.arguments import checked_numbers, checked_size
from simengine.diagnostics.samples import Array, samples
from simengine.errors import InputError

Floats = NDArray[np.float64]

FEWEST = 200
"""Samples below which ``few_samples`` is raised."""

EQUAL = 2.5
"""Standard errors within which two masses are taken as equal."""

CLEAR = (1.75, 5.0)
"""Standard errors between which neither is sure."""

STEP = 1e-6
ROUNDING = 1e-12
"""Masses below this are none."""

_INFORMATION = {(0,): 1.0, (1,): 1.0, (0, 1): -1.0}


def minimum_entropy_coupling(p: Array, q: Array) -> Floats:
    """Return a joint distribution of two marginals with as little entropy as greedy matching finds.

    Parameters
    ----------
    p, q
        Probabilities, shapes (K,) and (L,); each is divided by its sum.

    Returns
    -------
    ndarray
        Shape (K, L), with at most K + L - 1 cells above 0.
    """
    first, second = _checked(p, "p"), _checked(q, "q")
    checked_size(first.size * second.size, "p x q")
    joint = np.zeros((first.size, second.size))
    left, right = _heap(first), _heap(second)
    while left and right:
        mass, i = left[0]
        other, j = right[0]
        matched = min(-mass, -other)
        joint[i, j] += matched
        for heap, rest, place in ((left, -mass - matched, i), (right, -other - matched, j)):
            if rest > ROUNDING:
                heapq.heapreplace(heap, (-rest, place))
            else:
                heapq.heappop(heap)
    scaled: Floats = joint / joint.sum()
    return scaled


def coordination_ceiling(p: Array, q: Array) -> float:
    """Return the most information, in nats, that variables with marginals p and q can have: H(p) + H(q) - H_min."""
    first, second = _checked(p, "p"), _checked(q, "q")
    return _entropy(first) + _entropy(second) - _entropy(minimum_entropy_coupling(first, second).ravel())


def coordination_index_of(p: Array) -> float:
    """Return the information of a joint distribution, shape (K, L), over its ceiling; 0 where the ceiling is 0."""
    table = checked_table(p, 2)
    information = math.fsum(factor * entropy_of_subset(table, subset) for subset, factor in _INFORMATION.items())
    ceiling = coordination_ceiling(table.sum(axis=1), table.sum(axis=0))
    return information / ceiling if ceiling > ROUNDING else 0.0


def coordination_index(
    x: Any = None, y: Any = None, *, estimator: str = "grassberger", counts: Any = None, data: Any = None,
    dim: Any = None, components: str | None = None,
) -> Estimate:  # fmt: skip
    """Estimate how well two agents' actions are coordinated: 0 if independent, 1 if as much as their habits allow.

    The null is that the actions are independent. ``details`` holds ``information`` and ``ceiling`` in nats.

    Parameters
    ----------
    x, y
        Labels of the actions, shape (n,), (n, d) or (..., n, d), or names of variables of ``data``.
    estimator
        Of the information: "grassberger", "plug-in", "miller-madow" or "grassberger-1988".
    counts
        Instead of samples: how often each pair of actions was seen, shape (K, L).
    data, dim, components
        Where named variables are, along which dim samples run, and along which their components.
    """
    kind = checked_estimator(estimator, "coordination index")
    if counts is not None:
        if x is not None or y is not None:
            raise InputError("coordination index: both samples and counts= are given; give one of them")
        return _estimated(cells_of_counts(counts, 2), kind, estimator)
    if x is None or y is None:
        raise InputError("coordination index: x and y are needed, or counts=")
    blocks = samples(x, y, data=data, dim=dim, components=components, names=("x", "y"), discrete=True)
    found = [_estimated(cells_of_samples(arrays), kind, estimator) for arrays in blocks]
    return stacked(found, blocks.batch, blocks.dims, blocks.coords)


def _estimated(cells: Cells, kind: int, estimator: str) -> Estimate:
    information = entropy_sum(cells, _INFORMATION, kind)
    groups, sizes = zip(*(cells.groups((axis,)) for axis in (0, 1)), strict=True)
    checked_size(math.prod(sizes), f"coordination index: actions of shape {sizes}")
    table = np.zeros(sizes)
    table[groups] = cells.shares
    ceiling, doubtful = _ceiling(table, cells.n)
    null = math.sqrt((sizes[0] - 1) * (sizes[1] - 1) / 2.0) / cells.n
    details = {"information": information.value, "ceiling": ceiling}
    what = {"unit": "1", "method": f"coordination index, {estimator}", "null": "actions independent"}
    if not ceiling > ROUNDING:
        flags = flagged("constant", "few_samples" if cells.n < FEWEST else None)
        return Estimate(0.0, 0.0, (0.0, 0.0), 0.0, 0.0, cells.n, flags=flags, details=details, **what)  # type: ignore[arg-type]
    value = information.value / ceiling
    p = cells.shares
    local = information.local - value * _ceiling_local(table, cells.n, ceiling)[groups]
    mean = float(p @ local)
    first = float(p @ (local - mean) ** 2) / cells.n
    error = math.sqrt(max(first - 0.5 * information.second, information.second) + information.steps) / ceiling
    least, most = _ceiling_ends(table, cells.n)
    down = value - max(information.value, 0.0) / most if value > 0.0 and most > ceiling else 0.0
    up = max(information.value, 0.0) / least - value if value > 0.0 and ROUNDING < least < ceiling else 0.0
    low, high = max(value - math.hypot(QUANTILE * error, down), 0.0), value + math.hypot(QUANTILE * error, up)
    flags = flagged(
        *cells.flags(information), "few_samples" if cells.n < FEWEST else None,
        "near_tie" if doubtful and value > 2.0 * null / ceiling else None,
    )  # fmt: skip
    return Estimate(
        value, error, (low, max(high, 0.0)), 0.0, null / ceiling, cells.n, flags=flags, details=details,
        **what,  # type: ignore[arg-type]
    )  # fmt: skip


def _ceiling(table: Floats, n: int) -> tuple[float, bool]:
    """Return the ceiling with masses taken as equal that may be, and whether any of that is doubtful."""
    p, q = table.sum(axis=1), table.sum(axis=0)
    equal, doubtful = _matched(p.copy(), q.copy(), table, n)
    return _entropy(equal[0]) + _entropy(equal[1]) - _entropy(minimum_entropy_coupling(*equal).ravel()), doubtful


def _ceiling_ends(table: Floats, n: int) -> tuple[float, float]:
    """Return the ceiling with masses that may be equal as different, and as nearly equal, as they may be."""
    found = []
    for farther in (True, False):
        p, q = table.sum(axis=1), table.sum(axis=0)
        for i, j, difference, error in list(_pairs(p, q, table, n)):
            if abs(difference) >= CLEAR[1] * error:
                continue
            size = abs(difference) + QUANTILE * error if farther else max(abs(difference) - QUANTILE * error, 0.0)
            middle, half = 0.5 * (p[i] + q[j]), 0.5 * math.copysign(size, difference)
            p[i], q[j] = max(middle + half, 0.0), max(middle - half, 0.0)
        found.append(coordination_ceiling(p, q))
    return found[0], found[1]


def _pairs(p: Floats, q: Floats, table: Floats, n: int) -> Iterator[tuple[int, int, float, float]]:
    """Give the masses of either side that belong together in order of size, their difference and its error."""
    for i, j in zip(np.argsort(-p, kind="stable").tolist(), np.argsort(-q, kind="stable").tolist(), strict=False):
        difference = float(p[i] - q[j])
        error = math.sqrt(max(float(p[i] + q[j] - 2.0 * table[i, j]) - difference**2, 0.0) / n)
        if difference != 0.0 and error != 0.0:
            yield i, j, difference, error


def _matched(p: Floats, q: Floats, table: Floats, n: int) -> tuple[tuple[Floats, Floats], bool]:
    """Give pairs of masses that may be equal, in order of size, their mean."""
    doubtful = False
    for i, j, difference, error in list(_pairs(p, q, table, n)):
        away = abs(difference) / error
        doubtful |= CLEAR[0] < away < CLEAR[1]
        if away < EQUAL:
            p[i] = q[j] = 0.5 * (p[i] + q[j])
    return (p / p.sum(), q / q.sum()), doubtful


def _ceiling_local(table: Floats, n: int, ceiling: float) -> Floats:
    """Return the ceiling's derivative by each cell that was seen, by small steps."""
    local = np.zeros(table.shape)
    for place in zip(*np.nonzero(table), strict=True):
        moved = (1.0 - STEP) * table
        moved[place] += STEP
        local[place] = (_ceiling(moved, n)[0] - ceiling) / STEP
    return local


def _heap(masses: Floats) -> list[tuple[float, int]]:
    heap = [(-float(mass), place) for place, mass in enumerate(masses) if mass > ROUNDING]
    heapq.heapify(heap)
    return heap


def _entropy(p: Floats) -> float:
    p = p[p > 0.0]
    return float(-(p @ np.log(p)))


def _checked(p: Any, word: str) -> Floats:
    found = checked_numbers(p, word)
    if found.ndim != 1 or not found.size:
        raise InputError(f"{word} has shape {found.shape}; expected probabilities of shape (K,)")
    return checked_probabilities(found, word)
