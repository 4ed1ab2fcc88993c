"""A permutation test of whether two groups of runs have the same distribution, over many variables at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SHUFFLES = 1999
BLOCK = 4096


def most_separate(first: Array, second: Array, tolerance: float, shuffles: int = SHUFFLES) -> tuple[float, int]:
    """Return the p-value of "both groups have the same distribution", and the column that speaks most against it.

    The statistic is the largest difference of means over all columns, each in units of its own standard deviation
    over both groups; its null distribution comes from exchanging runs between the groups at random, all columns
    together (Westfall & Young 1993, "Resampling-based multiple testing", section 2.2). So the p-value is exact for
    runs that are independent and, under the null, alike, however columns are distributed or depend on one another:
    it is at most ``a`` with probability at most ``a``. Columns that vary by no more than ``tolerance`` (relative to
    their size, where that is more than 1) say nothing: p is 1 when there are no others.

    Parameters
    ----------
    first, second
        (runs, columns) each.
    """
    values = np.concatenate([first, second]).astype(float)
    size = np.abs(values).max(axis=0, initial=1.0)
    telling = np.flatnonzero(np.ptp(values, axis=0) > tolerance * size)
    if not len(telling):
        return 1.0, -1
    signs = np.where(np.arange(len(values)) < len(first), 1.0 / len(first), -1.0 / len(second))
    random = np.random.default_rng(1)
    contrasts = np.stack([signs, *(random.permutation(signs) for _ in range(shuffles))])
    largest = np.zeros(shuffles + 1)
    winner, most = -1, -1.0
    for begin in range(0, len(telling), BLOCK):
        columns = telling[begin : begin + BLOCK]
        block = values[:, columns]
        block = (block - block.mean(axis=0)) / block.std(axis=0)
        separation = np.abs(contrasts @ block)
        largest = np.maximum(largest, separation.max(axis=1))
        if separation[0].max() > most:
            winner, most = int(columns[separation[0].argmax()]), float(separation[0].max())
    reached = np.count_nonzero(largest[1:] >= largest[0] * (1.0 - 1e-9))
    return (1 + reached) / (1 + shuffles), winner
