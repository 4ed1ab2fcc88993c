"""What several variables share: total correlation and its kin, of counts or of jointly Gaussian variables.

With H the entropy of all m variables, H_i of each, and H_-i of all but one:

    total correlation       T = sum_i H_i - H                       (Watanabe 1960; multi-information)
    dual total correlation  D = sum_i H_-i - (m - 1) H              (Han 1978; binding information)
    O-information           T - D, > 0 if redundancy prevails, < 0 if synergy does  (Rosas et al. 2019, 1902.11239)
    S-information           T + D                                   (James, Ellison & Crutchfield 2011)
    co-information          -sum over subsets S of (-1)^|S| H_S     (Bell 2003; of two variables their information)

Declared validity. Discrete: at least 150 samples (``few_samples``), ten for each degree of freedom of the joint table
(``many_states``), and most of the variance from states seen five times or more (``unseen_states``).
Gaussian: at least 50 samples and ten for each component (``few_samples``), which pass Mardia's tests of joint
normality (``not_gaussian``). Copula: at least 300 and twenty for each component, of which the normal scores pass these
tests, so that margins are free; no more than a twentieth of the values repeated (``ties``). Functions of one another
are ``singular``. Samples are independent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics import checks
from simengine.diagnostics.estimate import Estimate, checked_unit, flagged, normal_interval, stacked
from simengine.diagnostics.multivariate import cells as discrete
from simengine.diagnostics.multivariate import linear
from simengine.diagnostics.multivariate.linear import Linear
from simengine.diagnostics.multivariate.measures import (
    CO_INFORMATION,
    CONTINUOUS,
    DISTINCT,
    DUAL,
    MOST_IN_LATTICE,
    NEIGHBOURS,
    O_INFORMATION,
    S_INFORMATION,
    TOTAL,
    Measure,
    fewest,
    scaled,
)
from simengine.diagnostics.multivariate.subsets import o_informations
from simengine.diagnostics.samples import Array, is_discrete, samples
from simengine.errors import InputError

Floats = NDArray[np.float64]


def total_correlation(
    *variables: Any, estimator: str = "auto", unit: str = "nat", counts: Any = None, data: Any = None,
    dim: Any = None, components: str | None = None,
) -> Estimate:  # fmt: skip
    """Estimate the total correlation of several variables: how far they are from independent.

    The null is that all are independent.

    Parameters
    ----------
    variables
        Samples of each, shape (n,), (n, d) or (..., n, d), or names of variables of ``data``; or one array of shape
        (n, m) whose m columns are the variables.
    estimator
        "grassberger" (the default of labels), "plug-in", "miller-madow", "grassberger-1988"; "gaussian" or "copula"
        (the default of numbers with fractions), or, of the total correlation only, "ksg": nearest neighbours.
    unit
        "nat" or "bit".
    counts
        Instead of samples: how often each joint state was seen, one axis for each variable.
    data, dim, components
        Where named variables are, along which dim samples run, and along which their components.
    """
    return _estimated(TOTAL, variables, estimator, unit, counts, data, dim, components)


def dual_total_correlation(
    *variables: Any, estimator: str = "auto", unit: str = "nat", counts: Any = None, data: Any = None,
    dim: Any = None, components: str | None = None,
) -> Estimate:  # fmt: skip
    """Estimate the dual total correlation: the entropy that is not of one variable alone given all others.

    Arguments as of :func:`total_correlation`.
    """
    return _estimated(DUAL, variables, estimator, unit, counts, data, dim, components)


def o_information(
    *variables: Any, estimator: str = "auto", unit: str = "nat", counts: Any = None, data: Any = None,
    dim: Any = None, components: str | None = None,
) -> Estimate:  # fmt: skip
    """Estimate the O-information: positive where variables repeat one another, negative where only the whole tells.

    Arguments as of :func:`total_correlation`. Of two variables it is 0.
    """
    return _estimated(O_INFORMATION, variables, estimator, unit, counts, data, dim, components)


def s_information(
    *variables: Any, estimator: str = "auto", unit: str = "nat", counts: Any = None, data: Any = None,
    dim: Any = None, components: str | None = None,
) -> Estimate:  # fmt: skip
    """Estimate the S-information: the sum of the information that each variable has about all others.

    Arguments as of :func:`total_correlation`.
    """
    return _estimated(S_INFORMATION, variables, estimator, unit, counts, data, dim, components)


def co_information(
    *variables: Any, estimator: str = "auto", unit: str = "nat", counts: Any = None, data: Any = None,
    dim: Any = None, components: str | None = None,
) -> Estimate:  # fmt: skip
    """Estimate the co-information: what all variables have in common; negative where synergy prevails.

    Arguments as of :func:`total_correlation`; at most 8 variables. The interaction information is the same with the
    sign (-1)^m.
    """
    return _estimated(CO_INFORMATION, variables, estimator, unit, counts, data, dim, components)


def total_correlation_of(p: Array) -> float:
    """Return the total correlation, in nats, of a table of probabilities with one axis for each variable."""
    return _of_table(TOTAL, p)


def dual_total_correlation_of(p: Array) -> float:
    """Return the dual total correlation, in nats, of a table of probabilities with one axis for each variable."""
    return _of_table(DUAL, p)


def o_information_of(p: Array) -> float:
    """Return the O-information, in nats, of a table of probabilities with one axis for each variable."""
    return _of_table(O_INFORMATION, p)


def s_information_of(p: Array) -> float:
    """Return the S-information, in nats, of a table of probabilities with one axis for each variable."""
    return _of_table(S_INFORMATION, p)


def co_information_of(p: Array) -> float:
    """Return the co-information, in nats, of a table of probabilities with one axis for each variable."""
    return _of_table(CO_INFORMATION, p)


def _of_table(measure: Measure, p: Array) -> float:
    table = discrete.checked_table(p)
    terms = measure.terms(table.ndim)
    return math.fsum(factor * discrete.entropy_of_subset(table, subset) for subset, factor in terms.items())


def _estimated(
    measure: Measure, variables: Sequence[Any], estimator: str, unit: str, counts: Any, data: Any, dim: Any,
    components: str | None,
) -> Estimate:  # fmt: skip
    checked_unit(unit)
    continuous = (*CONTINUOUS, NEIGHBOURS) if measure is TOTAL else CONTINUOUS
    checks.one_of(estimator, ("auto", *discrete.ESTIMATORS, *continuous), f"{measure.name}: estimator")
    if counts is not None:
        if variables:
            raise InputError(f"{measure.name}: both samples and counts= are given; give one of them")
        name = "grassberger" if estimator == "auto" else estimator
        kind = discrete.checked_estimator(name, measure.name)
        return _of_cells(measure, discrete.cells_of_counts(counts), kind, name).to(unit)
    if not variables:
        raise InputError(f"{measure.name}: no variables are given")
    blocks = samples(
        *variables, data=data, dim=dim, components=components,
        names=[f"variable {i + 1}" for i in range(len(variables))],
    )  # fmt: skip
    apart = len(variables) == 1
    m = blocks.arrays[0].shape[-1] if apart else len(variables)
    if m < 2:
        raise InputError(f"{measure.name}: one variable; give several, or one array of shape (n, m)")
    if measure.weights is None and m > MOST_IN_LATTICE:
        raise InputError(f"{measure.name}: {m} variables have {2**m - 1} subsets; at most {MOST_IN_LATTICE} variables")
    name = _chosen(measure, blocks.arrays, estimator)
    kind = -1 if name in (*CONTINUOUS, NEIGHBOURS) else discrete.checked_estimator(name, measure.name)
    found = []
    for arrays in blocks:
        parts = [arrays[0][:, i : i + 1] for i in range(m)] if apart else list(arrays)
        if name == NEIGHBOURS:
            found.append(_of_neighbours(parts))
        elif kind < 0:
            found.append(_of_columns(measure, parts, name))
        else:
            found.append(_of_cells(measure, discrete.cells_of_samples(parts), kind, name))
    return stacked(found, blocks.batch, blocks.dims, blocks.coords).to(unit)


def _chosen(measure: Measure, arrays: Sequence[Array], estimator: str) -> str:
    """The estimator by name, "auto" by what the values are."""
    labels = [is_discrete(array) for array in arrays]
    if estimator == "auto":
        if all(labels):
            return "grassberger"
        if any(labels):
            raise InputError(
                f"{measure.name}: labels beside numbers with fractions; bin the numbers, or name estimator="
            )
        return "copula"
    continuous = estimator not in discrete.ESTIMATORS
    if continuous and any(array.dtype.kind not in "biuf" for array in arrays):
        raise InputError(f"{measure.name}: estimator {estimator!r} takes numbers, not texts")
    if not continuous and not all(labels):
        raise InputError(f"{measure.name}: estimator {estimator!r} takes labels; bin the numbers first")
    return estimator


def _of_cells(measure: Measure, cells: discrete.Cells, kind: int, name: str) -> Estimate:
    """Estimate from counts; see :mod:`.cells`."""
    m = cells.states.shape[1]
    if measure.weights is None and m > MOST_IN_LATTICE:
        raise InputError(f"{measure.name}: {m} variables; at most {MOST_IN_LATTICE}")
    found = discrete.entropy_sum(cells, measure.terms(m), kind)
    # Of independent variables: -1 / 2n times the sum of chi-squares of the interactions of each subset.
    freedom = np.zeros(m + 1)
    freedom[0] = 1.0
    for size in cells.sizes:
        freedom[1:] += freedom[:-1] * (size - 1.0)
    through = np.array([0.0, *(measure.through(size, m) for size in range(1, m + 1))])
    null_variance = float(through**2 @ freedom) / (2.0 * cells.n**2) + found.steps
    null_mean = -float(through @ freedom) / (2.0 * cells.n) if name == "plug-in" else 0.0
    error = math.sqrt(found.variance)
    return Estimate(
        found.value, error, _interval(found.value, error, measure.lowest), null_mean, math.sqrt(null_variance), cells.n,
        method=f"{measure.name}, {name}", flags=cells.flags(found), null="all variables independent",
        details={"variables": m, "states": cells.sizes, "degrees_of_freedom": cells.freedom},
    )  # fmt: skip


def _of_neighbours(parts: Sequence[Array]) -> Estimate:
    """Estimate the total correlation from nearest neighbours; see :mod:`simengine.diagnostics.continuous.total`."""
    from simengine.diagnostics.continuous.mutual import Options
    from simengine.diagnostics.continuous.total import neighbour_total_correlation

    return neighbour_total_correlation([np.asarray(part, dtype=np.float64) for part in parts], Options())


def _of_columns(measure: Measure, parts: Sequence[Array], name: str) -> Estimate:
    """Estimate from a covariance; see :mod:`.linear`."""
    blocks = [np.asarray(part, dtype=np.float64) for part in parts]
    n = blocks[0].shape[0]
    varying = [block[:, np.ptp(block, axis=0) > 0.0] for block in blocks]
    constant = any(a.shape[1] < b.shape[1] for a, b in zip(varying, blocks, strict=True))
    varying = [block for block in varying if block.shape[1]]
    whole = Estimate(
        0.0, 0.0, (0.0, 0.0), 0.0, 0.0, n, method=f"{measure.name}, {name}", null="all variables independent",
        flags=flagged("constant" if constant else None), details={"variables": len(parts)},
    )  # fmt: skip
    if len(varying) < 2 or (measure.weights is None and len(varying) < len(parts)):
        return whole
    columns = np.concatenate(varying, axis=1)
    tied = name == "copula" and any(np.unique(column).size < DISTINCT * n for column in columns.T)
    columns = linear.normal_scores(columns) if name == "copula" else scaled(columns)
    sizes = [block.shape[1] for block in varying]
    few = n < fewest(name, sum(sizes))
    doubts = (*whole.flags, "few_samples" if few else None, "ties" if tied else None)
    if n <= sum(sizes) + 1:
        return replace(
            whole, value=math.nan, standard_error=math.nan, interval=(math.nan, math.nan), null_mean=math.nan,
            null_sd=math.nan, flags=flagged(*doubts),
        )  # fmt: skip
    correlation: Floats = np.asarray(np.corrcoef(columns, rowvar=False))
    if np.linalg.eigvalsh(correlation)[0] < linear.LEAST_EIGENVALUE:
        value = math.inf if measure in (TOTAL, DUAL, S_INFORMATION) else math.nan
        return replace(
            whole, value=value, standard_error=math.nan, interval=(math.nan, math.nan), null_mean=0.0,
            null_sd=math.nan, flags=flagged(*doubts, "singular"),
        )  # fmt: skip
    doubts = (*doubts, "not_gaussian" if linear.not_gaussian(columns) else None)
    found = _linear(measure, correlation, sizes, n)
    error = math.sqrt(found.variance)
    return replace(
        whole, value=found.value, standard_error=error, interval=_interval(found.value, error, measure.lowest),
        null_sd=found.null_sd, flags=flagged(*doubts),
    )  # fmt: skip


def _linear(measure: Measure, correlation: Floats, sizes: Sequence[int], n: int) -> Linear:
    if measure.weights is None:
        return linear.lattice_sum(correlation, sizes, n)
    return linear.gaussian_sum(correlation, sizes, measure.weights(len(sizes)), n)


def _interval(value: float, error: float, lowest: float) -> tuple[float, float]:
    low, high = normal_interval(value, error, lowest)
    return float(low), max(float(high), lowest)


__all__ = [
    "co_information", "co_information_of", "dual_total_correlation", "dual_total_correlation_of", "o_information",
    "o_information_of", "o_informations", "s_information", "s_information_of", "total_correlation",
    "total_correlation_of",
]  # fmt: skip
