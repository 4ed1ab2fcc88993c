"""Whether samples, in the order in which they are given, hang together as steps of a series do.

Errors and nulls of entropies and information are those of independent samples. Two independent series whose steps hang
together look dependent on one another: with lag-one correlations a and b, the variance of what is seen of them is
(1 + a b) / (1 - a b) times that of independent samples (Bartlett, J. R. Stat. Soc. 98, 536 (1935)). Numbers are
compared by rank. Labels are compared by rank too, where they are numbers, and by how often neighbours are alike. An
order that says nothing about the samples is left out: that of sorted ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics.continuous.ordering import mean_ranks, order
from simengine.diagnostics.counts.tables import encode

FLAG = "serial_dependence"

LEAST = 0.1
"""Least correlation of neighbours (of two variables: product of theirs) that raises the flag."""

ERRORS = 3.3
"""Standard errors by which it is to differ from 0; of independent series 0.1 to 0.3 % do."""

FEWEST = 20

FEWEST_APART = 40
"""Least number of samples times the chance that two labels differ."""

_LONGEST = 100_000  # longer series are judged by their beginning


def correlation(points: NDArray[Any], discrete: bool) -> float:
    """Return the greatest lag-one correlation of columns (n, d), or 0 where none differs from chance.

    ``discrete`` points are labels, one for each row.
    """
    points = points[:_LONGEST]
    n = len(points)
    if n < FEWEST:
        return 0.0
    found = _of_labels(points) if discrete else [_of_ranks(np.asarray(column, np.float64)) for column in points.T]
    beyond = (ERRORS + math.log(len(found)) / ERRORS) / math.sqrt(n)
    return max((one for one in found if abs(one) > beyond), key=abs, default=0.0)


def serial_flag(*correlations: float) -> str | None:
    """Return the flag of a quantity of one variable, or of two of which both have to hang together."""
    return FLAG if abs(math.prod(correlations)) > LEAST else None


def _of_ranks(column: NDArray[np.float64]) -> float:
    rows, ascending = order(column)
    steps = np.diff(column)
    if ascending[0] == ascending[-1] or (steps >= 0.0).all() or (steps <= 0.0).all():
        return 0.0
    ranks = np.empty(len(column))
    ranks[rows] = mean_ranks(ascending)
    return _lag_one(ranks)


def _lag_one(values: NDArray[np.float64]) -> float:
    centred = values - values.mean()
    return float(centred[1:] @ centred[:-1]) / float(centred @ centred)


def _of_labels(points: NDArray[Any]) -> Sequence[float]:
    codes, states = encode(points)
    n = len(codes)
    counts = np.bincount(codes, minlength=states)
    changes = int(np.count_nonzero(codes[1:] != codes[:-1]))
    share = counts / n
    alike = float(share @ share)
    if changes < states or (1.0 - alike) * n < FEWEST_APART:
        return [0.0]
    # Cohen's kappa of neighbours, one pair nearer to chance, since few pairs of rare labels are a Poisson variable; its
    # standard deviation over all orders of the labels is at most 1 / sqrt(n).
    excess = 1.0 - changes / (n - 1) - alike
    found = [math.copysign(max(abs(excess) - 1.0 / n, 0.0), excess) / (1.0 - alike)]
    if states > 2 and points.shape[1] == 1 and points.dtype.kind in "biu":
        found.append(_lag_one((np.cumsum(counts) - 0.5 * counts)[codes]))
    return found
