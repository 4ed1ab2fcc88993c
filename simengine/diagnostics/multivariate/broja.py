"""The union information of two sources about a target: the convex program of Bertschinger et al. (BROJA).

Bertschinger, Rauh, Olbrich, Jost & Ay, "Quantifying unique information" (Entropy 16, 2014): of all distributions with
the pair margins (target, source 1) and (target, source 2) of the given one, take that with the least information of
both sources together about the target. That least value is what the pairs alone tell; the rest is synergy.

Solved by a primal-dual interior-point method in the coordinates that keep the margins: for every state of the target,
moving mass around the corners of a rectangle of source states. The dual program (maximise the mean of a(t, s1) +
b(t, s2) subject to sum_t exp(a + b) <= 1 for each pair of source states) gives a rigorous bound from below, so that
the distance from the optimum is known, and its variables are the derivatives of the optimum by the two margins.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit
from simengine.errors import InputError

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

TOLERANCE = 1e-9
"""Distance from the optimum, in nats, at which the iteration stops."""

ACCEPTED = 1e-6
"""Distance from the optimum, in nats, up to which a solution counts as one."""

MOST_COORDINATES = 2000
"""Of the program: sum over target states of (source-1 states - 1) (source-2 states - 1)."""

MOST_STEPS = 200
IDLE = 20
"""Steps without progress after which rounding is taken to be the limit."""

FIRST_BARRIER, REDUCTION = 0.1, 0.1
"""Total barrier at the start, and the factor from one barrier to the next."""

LEAST_MASS = 1e-12
"""Smaller probabilities count as none."""


class Union(NamedTuple):
    """The least information of both sources that their pairs with the target allow, in nats.

    ``table`` is the distribution that attains it, shape (source 1, source 2, target); ``gap`` bounds how far
    ``information`` may lie above the optimum; ``local`` is the derivative of the optimum by the margins,
    a(t, s1) + b(t, s2) - ln p(t), whose mean is the information; shape (source 1, source 2, target).
    """

    information: float
    table: Floats
    local: Floats
    gap: float
    iterations: int


@njit(cache=True, nogil=True, error_model="numpy")
def _solve(matrix: Floats, right: Floats) -> None:
    """Solve a positive definite system in place: the solution is left in ``right``.

    Coordinates in which it is singular to rounding are held fast.
    """
    size = right.size
    for j in range(size):
        diagonal = matrix[j, j]
        for k in range(j):
            diagonal -= matrix[j, k] * matrix[j, k]
        diagonal = math.sqrt(diagonal) if diagonal > 1e-15 * matrix[j, j] else 1e150
        matrix[j, j] = diagonal
        for i in range(j + 1, size):
            value = matrix[i, j]
            for k in range(j):
                value -= matrix[i, k] * matrix[j, k]
            matrix[i, j] = value / diagonal
    for i in range(size):
        value = right[i]
        for k in range(i):
            value -= matrix[i, k] * right[k]
        right[i] = value / matrix[i, i]
    for i in range(size - 1, -1, -1):
        value = right[i]
        for k in range(i + 1, size):
            value -= matrix[k, i] * right[k]
        right[i] = value / matrix[i, i]


@njit(cache=True, nogil=True, error_model="numpy")
def _lower_bound(slope: Floats, margin: Whole, mass: Floats, pair: Whole, pairs: int, fitted: Floats) -> float:
    """Fit a(t, s1) + b(t, s2) to ``slope``, make it feasible, leave it in ``fitted`` and return the dual value.

    ``margin``, of shape (3, cells), numbers the (t, s1), the (t, s2) and the t of each cell, in one list whose
    probabilities are ``mass``. The cells of one t are a full rectangle: the fit is row mean + column mean - mean.
    """
    cells = slope.size
    mean, count, total = np.zeros(mass.size), np.zeros(mass.size), np.zeros(pairs)
    for i in range(3):
        for c in range(cells):
            mean[margin[i, c]] += slope[c]
            count[margin[i, c]] += 1.0
    for r in range(mass.size):
        mean[r] /= count[r]
    for c in range(cells):
        fitted[c] = mean[margin[0, c]] + mean[margin[1, c]] - mean[margin[2, c]]
        total[pair[c]] += math.exp(fitted[c])
    excess = math.log(total.max())
    for c in range(cells):
        fitted[c] -= excess
    bound = -excess
    states = margin[2].max() + 1
    for r in range(mass.size):
        bound += -mass[r] * mean[r] if r < states else mass[r] * mean[r]
    return bound


@njit(cache=True, nogil=True, error_model="numpy")
def _newton_system(
    cell: Floats, slack: Floats, logarithm: Floats, total: Floats, pair: Whole, corners: Whole, barrier: float,
    matrix: Floats, right: Floats,
) -> None:  # fmt: skip
    """Fill in the system of a step towards cell * slack = barrier, in the coordinates of the rectangles.

    The second derivatives of sum q ln q(t | s1, s2) are 1 / q on the diagonal less 1 / q(s1, s2) within a pair.
    """
    work = np.zeros(cell.size)
    for k in range(right.size):
        corner = corners[k]
        right[k] = 0.0
        for i in range(4):
            sign = 1.0 if i == 0 or i == 3 else -1.0
            c = corner[i]
            right[k] -= sign * (logarithm[c] - barrier / cell[c])
            work[c] = sign * (1.0 + slack[c]) / cell[c]
        for other in range(k + 1):
            found = 0.0
            for i in range(4):
                c = corners[other, i]
                part = work[c]
                for j in range(4):
                    if pair[corner[j]] == pair[c]:
                        part -= (1.0 if j == 0 or j == 3 else -1.0) / total[pair[c]]
                found += part if i == 0 or i == 3 else -part
            matrix[k, other] = found
        for i in range(4):
            work[corner[i]] = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _objective(cell: Floats, pair: Whole, total: Floats, logarithm: Floats, barrier: float) -> tuple[float, float]:
    """Return sum q ln q(t | s1, s2), and the same less barrier * sum ln q; fill in q(s1, s2) and the logarithms."""
    total[:] = 0.0
    for c in range(cell.size):
        total[pair[c]] += cell[c]
    value, logarithms = 0.0, 0.0
    for c in range(cell.size):
        logarithm[c] = math.log(cell[c] / total[pair[c]])
        value += cell[c] * logarithm[c]
        logarithms += math.log(cell[c])
    return value, value - barrier * logarithms


@njit(cache=True, nogil=True, error_model="numpy")
def _minimised(
    cell: Floats, margin: Whole, mass: Floats, pair: Whole, pairs: int, corners: Whole, tolerance: float,
    fitted: Floats,
) -> tuple[float, float, int]:  # fmt: skip
    """Move ``cell`` to the optimum; return the objective sum q ln q(t | s1, s2), the gap, the number of steps.

    ``corners`` has shape (coordinates, 4): the cells of a rectangle, of which the first and last gain mass.
    ``fitted`` is left with the dual variables a(t, s1) + b(t, s2) of each cell. Steps are those of the primal-dual
    system, shortened until the objective with its barrier falls, which it does along them.
    """
    cells, size = cell.size, corners.shape[0]
    total, logarithm, slack = np.empty(pairs), np.empty(cells), np.empty(cells)
    matrix, step, gradient = np.empty((size, size)), np.empty(size), np.empty(size)
    move, slope, fit, trial = np.empty(cells), np.empty(cells), np.empty(cells), np.empty(cells)
    best, value, gap = cell.copy(), np.inf, np.inf
    barrier = FIRST_BARRIER / cells
    for c in range(cells):
        slack[c] = barrier / cell[c]
    now, penalised = _objective(cell, pair, total, logarithm, barrier)
    count, idle = 0, 0
    while True:
        for c in range(cells):
            slope[c] = logarithm[c] - (slack[c] if size else 0.0)
        distance = now - _lower_bound(slope, margin, mass, pair, pairs, fit)
        idle += 1
        if distance < gap:
            gap, value, idle = distance, now, 0
            best[:] = cell
            fitted[:] = fit
        if gap <= tolerance or size == 0 or idle == IDLE or count == MOST_STEPS:
            break
        error = 0.0
        for c in range(cells):
            error = max(error, abs(cell[c] * slack[c] - barrier))
        for k in range(size):
            around = slope[corners[k, 0]] - slope[corners[k, 1]] - slope[corners[k, 2]] + slope[corners[k, 3]]
            error = max(error, abs(around))
        if error < 10.0 * barrier:
            barrier = max(min(REDUCTION * barrier, barrier**1.5), 0.1 * tolerance / cells)
            now, penalised = _objective(cell, pair, total, logarithm, barrier)
        count += 1
        _newton_system(cell, slack, logarithm, total, pair, corners, barrier, matrix, step)
        descent = 0.0
        gradient[:] = step
        _solve(matrix, step)
        move[:] = 0.0
        for k in range(size):
            descent += gradient[k] * step[k]
            for i in range(4):
                move[corners[k, i]] += step[k] if i == 0 or i == 3 else -step[k]
        reach, reach_slack = 1.0, 1.0
        for c in range(cells):
            if move[c] < 0.0:
                reach = min(reach, -0.995 * cell[c] / move[c])
            slope[c] = barrier / cell[c] - slack[c] - slack[c] / cell[c] * move[c]
            if slope[c] < 0.0:
                reach_slack = min(reach_slack, -0.995 * slack[c] / slope[c])
        before = penalised
        for _ in range(40):
            for c in range(cells):
                trial[c] = cell[c] + reach * move[c]
            now, penalised = _objective(trial, pair, total, logarithm, barrier)
            if penalised <= before - 1e-4 * reach * descent + 1e-14 * (1.0 + abs(before)):
                break
            reach *= 0.5
        for c in range(cells):
            cell[c] = trial[c]
            wanted = barrier / cell[c]
            slack[c] = min(max(slack[c] + reach_slack * slope[c], 1e-8 * wanted), 1e8 * wanted)
    cell[:] = best
    return value, gap, count


def union_information(table: Floats, tolerance: float = TOLERANCE) -> Union:
    """Return the least information of two sources about a target, given the margins with each of them.

    Parameters
    ----------
    table
        Probabilities or counts, shape (source-1 states, source-2 states, target states).
    tolerance
        Distance from the optimum, in nats, at which to stop.

    Raises
    ------
    InputError
        The program has more than ``MOST_COORDINATES`` coordinates.
    """
    p = np.ascontiguousarray(np.asarray(table, dtype=np.float64).transpose(2, 0, 1))
    p = p / p.sum()
    p = np.where(p < LEAST_MASS, 0.0, p)
    p_target = p.sum(axis=(1, 2))
    p = p[p_target > 0.0]
    by_first, by_second, by_target = p.sum(axis=2), p.sum(axis=1), p.sum(axis=(1, 2))
    allowed = (by_first > 0.0)[:, :, None] & (by_second > 0.0)[:, None, :]
    t, i, j = np.nonzero(allowed)
    number = np.full(allowed.shape, -1, dtype=np.int64)
    number[t, i, j] = np.arange(t.size)
    corners = _rectangles(number, by_first, by_second)
    if corners.shape[0] > MOST_COORDINATES:
        raise InputError(
            f"BROJA: {corners.shape[0]} coordinates, at most {MOST_COORDINATES} are allowed; merge states"
            " or take another definition"
        )
    _, pair = np.unique(i * p.shape[2] + j, return_inverse=True)
    first, second = np.flatnonzero(by_first), np.flatnonzero(by_second)
    place_first = np.zeros(by_first.size, dtype=np.int64)
    place_first[first] = by_target.size + np.arange(first.size)
    place_second = np.zeros(by_second.size, dtype=np.int64)
    place_second[second] = by_target.size + first.size + np.arange(second.size)
    margin = np.stack([place_first[t * p.shape[1] + i], place_second[t * p.shape[2] + j], t]).astype(np.int64)
    mass = np.concatenate([by_target, by_first.ravel()[first], by_second.ravel()[second]])
    cell = by_first[t, i] * by_second[t, j] / by_target[t]
    fitted = np.zeros(t.size)
    pair = pair.astype(np.int64)
    value, gap, steps = _minimised(
        cell, margin, mass, pair, int(pair.max()) + 1, corners, float(tolerance), fitted
    )  # fmt: skip
    kept = np.flatnonzero(p_target)
    shape = np.shape(table)
    found, local = np.zeros(shape), np.zeros(shape)
    found[i, j, kept[t]] = cell
    local[i, j, kept[t]] = fitted - np.log(by_target[t])
    entropy = -float(by_target @ np.log(by_target))
    return Union(value + entropy, found, local, max(gap, 0.0), steps)


def _rectangles(number: Whole, by_first: Floats, by_second: Floats) -> Whole:
    """Return the cells of the rectangles between one row and column of each target state and all others.

    These are the heaviest: all moves pass through their cells, and rounding is least where those are large.
    """
    found = []
    for cells, rows, columns in zip(number, by_first, by_second, strict=True):
        row = np.argsort(-rows, kind="stable")[: np.count_nonzero(rows)]
        column = np.argsort(-columns, kind="stable")[: np.count_nonzero(columns)]
        if min(row.size, column.size) > 1:
            block = cells[row][:, column]
            inner = block[1:, 1:]
            parts = (inner, np.broadcast_to(block[1:, :1], inner.shape), np.broadcast_to(block[:1, 1:], inner.shape))
            found.append(np.stack([*parts, np.full(inner.shape, block[0, 0])], axis=-1).reshape(-1, 4))
    return np.ascontiguousarray(np.concatenate(found)) if found else np.empty((0, 4), dtype=np.int64)
