"""What is done to each variable before neighbours are looked for: constants, atoms, ranks, whitening, tails."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from simengine.diagnostics.continuous.ordering import mean_ranks, order
from simengine.errors import InputError, nearest

Points = NDArray[np.float64]

NORMAL_SCORES, STANDARD, NONE = "normal-scores", "standard", "none"
SCALES = (NORMAL_SCORES, STANDARD, NONE)

ATOM_SHARE = 0.01
"""Least share of the samples on one exact value that makes it an atom."""

ATOM_COUNT = 5
"""Least number of samples on one exact value that makes it an atom."""

FAR = 10.0
"""A value this many robust standard deviations from the median lies in a heavy tail."""

_MAD_TO_SD = 1.4826022185056018


def varying(points: Points) -> Points:
    """Return the columns that are not constant."""
    if len(points) == 0:
        return points
    return np.ascontiguousarray(points[:, (points != points[0]).any(axis=0)])


def normal_scores(points: Points) -> Points:
    """Return each column's ranks as quantiles of the standard normal: ndtri((rank - 1/2) / n), equal values alike."""
    n = len(points)
    found = np.empty(points.shape[::-1])
    ranks = quantiles = np.empty(0)
    for c in range(points.shape[1]):
        rows, ascending = order(points[:, c])
        before, ranks = ranks, mean_ranks(ascending)
        # Without equal values, the ranks of all columns are the same.
        if not np.array_equal(ranks, before):
            quantiles = ndtri((ranks - 0.5) / n)
        found[c][rows] = quantiles
    return np.ascontiguousarray(found.T)


def magnitudes(points: Points) -> Points:
    """Return the power of two at each column's largest value: divided by it, squares of no column leave the range."""
    largest = np.abs(points).max(axis=0)
    found: Points = np.ldexp(1.0, np.maximum(np.frexp(largest)[1] - 1, -1022))
    return found


def standardised(points: Points) -> Points:
    """Return each column with mean 0 and standard deviation 1."""
    points = points / magnitudes(points)
    centred = points - points.mean(axis=0)
    deviation = centred.std(axis=0)
    deviation[deviation == 0.0] = 1.0
    scaled: Points = centred / deviation
    return scaled


def scaled(points: Points, scale: str) -> Points:
    """Return the points on one of the SCALES; information between variables is the same on all of them."""
    if scale not in SCALES:
        raise InputError(f"scale is {scale!r}{nearest(str(scale), SCALES)}; allowed: {', '.join(SCALES)}")
    if scale == NORMAL_SCORES:
        return normal_scores(points)
    return standardised(points) if scale == STANDARD else np.ascontiguousarray(points, np.float64)


def whitened(points: Points) -> tuple[Points, float]:
    """Return L^-1 (x - mean), where the covariance is L L^T, and ln det L; -inf where the covariance is singular."""
    sizes = magnitudes(points)
    points = points / sizes
    centred = points - points.mean(axis=0)
    deviation = centred.std(axis=0)
    if len(points) < 2 or (deviation == 0.0).any():
        return centred, -math.inf
    unit = centred / deviation
    correlation = unit.T @ unit / len(points)
    if singular(correlation):
        return centred, -math.inf
    factor = np.linalg.cholesky(correlation)
    white = np.linalg.solve(factor, unit.T).T
    log_det = float(np.log(np.diag(factor)).sum() + np.log(deviation).sum() + np.log(sizes).sum())
    return np.ascontiguousarray(white), log_det


def singular(correlation: Points) -> bool:
    """Whether some variables are linear functions of one another, to rounding."""
    return bool(np.linalg.eigvalsh(correlation)[0] < 1e-12 * len(correlation))


def atoms(points: Points) -> NDArray[np.int64]:
    """Return on which atom each row sits: 0 for none, else 1, 2, ... in ascending order of the values.

    An atom is an exact value (of a vector: all components) that at least max(5, 1 % of the samples) share.
    """
    n = len(points)
    if points.shape[1] == 1:
        _, where, counts = np.unique(points[:, 0], return_inverse=True, return_counts=True)
    else:
        _, where, counts = np.unique(points, axis=0, return_inverse=True, return_counts=True)
    is_atom = counts >= max(ATOM_COUNT, ATOM_SHARE * n)
    number = np.where(is_atom, np.cumsum(is_atom), 0)
    found: NDArray[np.int64] = number[where.reshape(-1)].astype(np.int64)
    return found


def atom_share(points: Points) -> float:
    """Return the largest share of samples, over the columns, that sit on atoms."""
    return shares(points)[0]


def repeated_share(points: Points) -> float:
    """Return the largest share of values, over the columns, that occur more than once."""
    return shares(points)[1]


def shares(points: Points) -> tuple[float, float]:
    """Return :func:`atom_share` and :func:`repeated_share`."""
    n, runs = len(points), _runs(points)
    least = max(ATOM_COUNT, ATOM_SHARE * n)
    return max(float(one[one >= least].sum()) for one in runs) / n, max(float(one.sum()) for one in runs) / n


def twins(points: Points) -> int:
    """Return how many rows at most are equal."""
    runs = [sizes.max(initial=1) for sizes in _runs(points)]
    if min(runs) == 1 or len(runs) == 1:
        return int(min(runs))
    return int(np.unique(points, axis=0, return_counts=True)[1].max())


def _runs(points: Points) -> list[NDArray[np.int64]]:
    """How often each value occurs that occurs more than once, column by column."""
    found = []
    for column in points.T:
        ordered = np.sort(column)
        new = ordered[1:] != ordered[:-1]
        if new.all():
            found.append(np.zeros(0, np.int64))
            continue
        starts = np.concatenate([[0], np.flatnonzero(new) + 1, [len(column)]])
        sizes = np.diff(starts)
        found.append(sizes[sizes > 1])
    return found


def heavy_tailed(points: Points) -> bool:
    """Whether a value lies more than FAR robust standard deviations from the median of its column."""
    off = np.abs(points - np.median(points, axis=0))
    spread = np.median(off, axis=0) * _MAD_TO_SD
    return bool((off.max(axis=0) > FAR * spread)[spread > 0.0].any())
