"""Mutual information of whole-number tables, freed of its bias, with the chi-square null.

The plug-in value has a bias of f / 2n under independence, with f degrees of freedom, which is taken off; the error is
that of the delta method, and where this vanishes, of the chi-square distribution: variance f / (2 n^2).
Valid where f is at most a tenth of n (``many_states``) and from 50 samples on (``few_samples``).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics.estimate import Estimate, flagged, normal_interval
from simengine.diagnostics.populations.shares import variance_of

_FEWEST = 50
_MOST_FREEDOM = 0.1


def information_of_table(
    table: NDArray[np.int64], *, n: float | None = None, freedom: float | None = None, null: str = "",
    details: dict[str, Any] | None = None,
) -> Estimate:  # fmt: skip
    """Return the mutual information of the rows and columns of a table, in nats.

    Parameters
    ----------
    table
        How often each pair of states occurs, shape (R, C).
    n
        Number of independent samples, where it is not the sum of the table.
    freedom
        Degrees of freedom, by default (R - 1) (C - 1) of the rows and columns that occur.
    """
    total = float(table.sum())
    n = total if n is None else n
    if total == 0.0:
        return Estimate(math.nan, n=0, method="chi-square", flags=flagged("empty"), null=null, details=details or {})
    p = table / total
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    held = p > 0.0
    local = np.log(p[held] / np.outer(rows, columns)[held])
    plain = float(p[held] @ local)
    seen = (int(np.count_nonzero(rows)), int(np.count_nonzero(columns)))
    if freedom is None:
        freedom = float((seen[0] - 1) * (seen[1] - 1))
    first = float(p[held] @ (local - plain) ** 2) / n
    error = math.sqrt(variance_of(first, freedom / (2.0 * n * n)))
    value = plain - freedom / (2.0 * n)
    flags = flagged(
        "few_samples" if n < _FEWEST else None, "constant" if min(seen) < 2 else None,
        "many_states" if freedom > _MOST_FREEDOM * n else None,
    )  # fmt: skip
    return Estimate(
        value, error, normal_interval(value, error, 0.0), 0.0, math.sqrt(freedom / 2.0) / n, n, "nat", "chi-square",
        flags, null, {"plain": plain, "freedom": freedom, **(details or {})},
    )  # fmt: skip
