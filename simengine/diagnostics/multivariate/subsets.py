"""The O-information of every subset of many variables."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics import checks
from simengine.diagnostics.estimate import Estimate, checked_unit, flagged, normal_interval
from simengine.diagnostics.multivariate import linear
from simengine.diagnostics.multivariate.measures import CONTINUOUS, DISTINCT, fewest, o_weights, scaled
from simengine.diagnostics.multivariate.triplets import LEAST_DETERMINANT, triplet_informations
from simengine.diagnostics.samples import samples
from simengine.errors import InputError

Floats = NDArray[np.float64]

MOST_SUBSETS = 5_000_000
"""Subsets of :func:`o_informations`."""


def o_informations(
    variables: Any, *, size: int = 3, estimator: str = "copula", unit: str = "nat", data: Any = None,
    dim: Any = None, components: str | None = None,
) -> Estimate:  # fmt: skip
    """Estimate the O-information of every subset of many variables, as one estimate of arrays.

    Parameters
    ----------
    variables
        Samples of m variables, shape (n, m); of a DataArray the variables run along ``components``.
    size
        Variables of a subset, at least 3.
    estimator
        "gaussian", or "copula": the same of normal scores.
    unit
        "nat" or "bit".
    data, dim, components
        Where a named variable is, along which dim samples run, and along which the variables.

    Returns
    -------
    Estimate
        Of shape (subsets,) in lexicographic order; ``details["members"]`` has the numbers of the variables, shape
        (subsets, size). No subset is tested for normality of its own: all variables together are, if there are few
        enough (``not_gaussian`` on all). A subset with a constant variable has the value 0.
    """
    checked_unit(unit)
    checks.one_of(estimator, CONTINUOUS, "O-informations: estimator")
    (array,) = samples(
        variables, data=data, dim=dim, components=components, names=("variables",), discrete=False
    ).arrays
    if array.ndim != 2:
        raise InputError(f"variables has shape {array.shape}; expected (n, m)")
    n, m = array.shape
    if m < 3:
        raise InputError(f"variables has shape {array.shape}; expected at least 3 columns, one a variable")
    size = checks.whole(size, "size, of subsets of the variables,", 3, m)
    if math.comb(m, size) > MOST_SUBSETS:
        raise InputError(f"{m} variables have {math.comb(m, size)} subsets of {size}; at most {MOST_SUBSETS}")
    if n <= size + 1:
        raise InputError(f"there are {n} samples; the covariance of {size} variables needs at least {size + 2}")
    varies = np.ptp(array, axis=0) > 0.0
    columns = linear.normal_scores(array) if estimator == "copula" else array
    columns = scaled(columns)
    centred = columns - columns.mean(axis=0)
    unit_columns = centred / np.where(varies, np.sqrt((centred**2).sum(axis=0)), 1.0)
    correlation = np.ascontiguousarray(unit_columns.T @ unit_columns)
    np.fill_diagonal(correlation, 1.0)
    tied = estimator == "copula" and any(np.unique(column).size < DISTINCT * n for column in array.T)
    fit = m <= linear.MOST_IN_SKEWNESS and n > m + 1 and varies.all()
    common = flagged(
        "few_samples" if n < fewest(estimator, size) else None, "ties" if tied else None,
        "not_gaussian" if fit and linear.not_gaussian(columns) else None,
    )  # fmt: skip
    second, third = linear.null_orders([1] * size, o_weights(size), n)
    bias = _bias(size, n)
    if size == 3:
        value, variance, members = triplet_informations(correlation, n, bias, third)
    else:
        value, variance, members = _larger(correlation, size, n)
    error = np.sqrt(variance)
    flags = np.empty(value.size, object)
    flags.fill(common)
    for row in np.flatnonzero(np.isnan(value)):
        flags[row] = flagged(*common, "singular")
    if not varies.all():
        for row in np.flatnonzero(~varies[members].all(axis=1)):
            flags[row] = flagged(*common, "constant")
    null_sd = np.full(value.size, math.sqrt(second + third))
    return Estimate(
        value, error, normal_interval(value, error), np.zeros(value.size), null_sd, np.full(value.size, n),
        method=f"O-information, {estimator}", flags=flags, null="all variables independent",
        details={"members": members, "size": size}, dims=("subset",),
    ).to(unit)  # fmt: skip


def _bias(size: int, n: int) -> float:
    single, but_one, whole = o_weights(size)
    parts = (linear.log_determinant_bias(dimensions, n) for dimensions in (1, size - 1, size))
    return 0.5 * sum(f * part for f, part in zip((size * single, size * but_one, whole), parts, strict=True))


def _larger(correlation: Floats, size: int, n: int) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Value, variance and members of all subsets of more than three variables."""
    members = np.array(list(combinations(range(len(correlation)), size)), dtype=np.int64)
    value, variance = np.empty(len(members)), np.empty(len(members))
    weights = o_weights(size)
    for row, subset in enumerate(members):
        part = correlation[np.ix_(subset, subset)]
        if np.linalg.det(part) < LEAST_DETERMINANT:
            value[row], variance[row] = math.nan, math.nan
            continue
        found = linear.gaussian_sum(part, [1] * size, weights, n)
        value[row], variance[row] = found.value, found.variance
    return value, variance, members
