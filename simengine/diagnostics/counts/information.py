"""Mutual and conditional information, joint and conditional entropy, from tables of counts.

All are sums of entropies: I(X;Y|Z) = H(XZ) + H(YZ) - H(XYZ) - H(Z), each by the chosen estimator. With that of Miller &
Madow, the default for information, this is the plug-in value less its chi-square bias (cells seen less those of the
margins) / 2N. The null is independence: 2N times the plug-in value follows a chi-square distribution with nu =
sum over z of (K_x - 1)(K_y - 1) degrees of freedom (Wilks 1938; Gokhale & Kullback 1978).

The variance is that of the delta method, (sum p i^2 - I^2) / N with the pointwise information i. At independence it
vanishes, and what is left is nu / 2N^2. Between the two the variance grows in proportion to I, and intervals are made
on the scale on which it is constant, that of the square root of a noncentral chi-square variable.

Declared validity of information: at least 60 samples; degrees of freedom below a tenth of the samples (else
``many_states``); cells seen once below 0.1 (Miller & Madow) or 0.2 N standard errors (else ``unseen_states``);
estimators that keep the bias nu / 2N (plug-in, Chao & Shen, James & Stein, NSB) ask that it stay below a fifth of a
standard error (else ``few_samples``). Of conditional entropy: as :mod:`.entropies` for each state of the condition
together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from simengine.diagnostics.counts.entropies import (
    FEWEST,
    FEWEST_APART,
    NSB,
    entropy_from_counts,
    kind_of,
)
from simengine.diagnostics.counts.information_kernels import information_moments, sums_by
from simengine.diagnostics.counts.intervals import root_interval
from simengine.diagnostics.counts.kernels import (
    CHAO_SHEN,
    GRASSBERGER,
    GRASSBERGER_1988,
    JAMES_STEIN,
    MILLER_MADOW,
    PLUG_IN,
    entropy_of_states,
)
from simengine.diagnostics.counts.labelled import Coords, Dims, labelled_counts
from simengine.diagnostics.counts.nsb import nsb
from simengine.diagnostics.counts.tables import DENSE, JointTable, joint_table
from simengine.diagnostics.estimate import Estimate, checked_unit, flagged, normal_interval, stacked
from simengine.errors import InputError

Counts = NDArray[np.int64]

FEWEST_PAIRS = 60
_BIASED = (PLUG_IN, CHAO_SHEN, JAMES_STEIN, NSB)
_DRAWS = 100
_MOST_DRAWN = 4096
# Of the variance, in 1 / N^2, that a term of an estimator has because it steps between even and odd counts.
_STEPS = {GRASSBERGER: 0.25, GRASSBERGER_1988: 1.0}


def mutual_information_from_table(table: Any, *, estimator: str = "miller-madow", unit: str = "nat") -> Estimate:
    """Estimate the mutual information of two discrete variables from their table of counts.

    Parameters
    ----------
    table
        Counts of shape (K_x, K_y), or (..., K_x, K_y) for a batch, or a :class:`~.tables.JointTable` of two variables.
    estimator
        One of :func:`~simengine.diagnostics.counts.entropies.entropy_from_counts`, for each of the three entropies.
    unit
        "nat" or "bit".

    Notes
    -----
    ``details``: ``degrees`` of freedom, ``plug_in`` value, and ``p_value``, the chance of a plug-in value as high or
    higher if the two are independent. The value may be negative; the interval is cut at 0.
    """
    return _from_table(table, 2, estimator, unit)


def conditional_mutual_information_from_table(
    table: Any, *, estimator: str = "miller-madow", unit: str = "nat"
) -> Estimate:
    """Estimate I(X; Y | Z) from counts of shape (K_x, K_y, K_z), or (..., K_x, K_y, K_z) for a batch.

    See :func:`mutual_information_from_table`.
    """
    return _from_table(table, 3, estimator, unit)


def mutual_information_of_symbols(
    x: Any, y: Any, *, given: Any = None, estimator: str = "miller-madow", states: Sequence[int | None] | None = None,
    unit: str = "nat",
) -> Estimate:  # fmt: skip
    """Estimate I(X; Y), or I(X; Y | given), from labels.

    Parameters
    ----------
    x, y, given
        Labels of any type, shape (n,), or (n, d) for vectors.
    estimator, unit
        As in :func:`mutual_information_from_table`.
    states
        Numbers of states of the two or three variables, see :func:`~.tables.joint_table`.
    """
    table = joint_table(*(one for one in (x, y, given) if one is not None), states=states)
    return _information(table, kind_of(estimator, "mutual information"), estimator).to(checked_unit(unit))


def joint_entropy_of_symbols(*variables: Any, estimator: str = "grassberger", unit: str = "nat") -> Estimate:
    """Estimate the joint entropy of variables from labels, each of shape (n,) or (n, d); null: all even."""
    table = joint_table(*variables)
    states = max(math.prod(table.shape), 1)
    found = entropy_from_counts(table.counts, estimator=estimator, states=states, unit=unit)
    return _overflown(found, table)


def conditional_entropy_of_symbols(
    x: Any, given: Any, *, estimator: str = "grassberger", unit: str = "nat"
) -> Estimate:  # fmt: skip
    """Estimate H(X | given) from labels; the null is that the condition tells nothing, so that it equals H(X)."""
    table = joint_table(x, given)
    return _overflown(_conditional_entropy(table, estimator), table).to(checked_unit(unit))


def conditional_entropy_from_table(table: Any, *, estimator: str = "grassberger", unit: str = "nat") -> Estimate:
    """Estimate H(X | Z) from counts of shape (..., K_x, K_z); see :func:`conditional_entropy_of_symbols`."""
    checked_unit(unit)
    counts, dims, coords = _checked_table(table, 2)
    found = [_conditional_entropy(_dense(one), estimator) for one in counts.reshape(-1, *counts.shape[-2:])]
    return stacked(found, counts.shape[:-2], dims, coords).to(unit)


def _from_table(table: Any, variables: int, estimator: str, unit: str) -> Estimate:
    checked_unit(unit)
    kind = kind_of(estimator, "mutual information")
    if isinstance(table, JointTable):
        if len(table.shape) != variables:
            raise InputError(f"the table is of {len(table.shape)} variables; expected {variables}")
        return _information(table, kind, estimator).to(unit)
    counts, dims, coords = _checked_table(table, variables)
    parts = [_information(_dense(one), kind, estimator) for one in counts.reshape(-1, *counts.shape[-variables:])]
    return stacked(parts, counts.shape[:-variables], dims, coords).to(unit)


def _checked_table(table: Any, variables: int) -> tuple[Counts, Dims, Coords]:
    counts, dims, coords = labelled_counts(table, "table", variables)
    if counts.ndim < variables:
        raise InputError(f"the table has shape {counts.shape}; expected one axis for each of {variables} variables")
    return counts, dims, coords


def _dense(counts: Counts) -> JointTable:
    return JointTable(counts.shape, None, np.ascontiguousarray(counts).ravel())


def _overflown(found: Estimate, table: JointTable) -> Estimate:
    return replace(found, flags=flagged(*found.flags, table.flag))


def _cells(table: JointTable) -> tuple[Counts, tuple[Counts, ...]]:
    """Return the counts of the cells that were seen, and the symbols of each variable in them."""
    if table.cells is None:
        keys = np.flatnonzero(table.counts)
        counts = table.counts[keys]
    else:
        keys, counts = table.cells, table.counts
    symbols = np.unravel_index(keys, table.shape)
    return counts, tuple(np.ascontiguousarray(one, dtype=np.int64) for one in symbols)


def _joined(a: Counts, b: Counts, sizes: tuple[int, int]) -> tuple[Counts, int]:
    """Return a number for each pair of symbols, and how many numbers there are."""
    keys = a * sizes[1] + b
    if sizes[0] * sizes[1] <= DENSE:
        return keys, sizes[0] * sizes[1]
    kept, numbers = np.unique(keys, return_inverse=True)
    return numbers.astype(np.int64, copy=False), int(kept.size)


def _entropy(counts: Counts, kind: int, states: int) -> float:
    return nsb(counts, states)[0] if kind == NSB else float(entropy_of_states(counts, kind, states))


def _information(table: JointTable, kind: int, estimator: str) -> Estimate:
    counts, symbols = _cells(table)
    n = int(counts.sum())
    if n == 0:
        return Estimate(math.nan, n=0, method=estimator, flags=flagged("empty"), null="independence")
    x, y = symbols[0], symbols[1]
    z = symbols[2] if len(symbols) == 3 else np.zeros(x.size, np.int64)
    k_x, k_y, k_z = (*table.shape, 1)[:3]
    xz, n_states_x = _joined(x, z, (k_x, k_z))
    yz, n_states_y = _joined(y, z, (k_y, k_z))
    n_xz, n_yz, n_z = sums_by(counts, xz, n_states_x), sums_by(counts, yz, n_states_y), sums_by(counts, z, k_z)
    z_of_xz, z_of_yz = np.zeros(n_states_x, np.int64), np.zeros(n_states_y, np.int64)
    z_of_xz[xz], z_of_yz[yz] = z, z
    moments = information_moments(counts, xz, yz, z, n_xz, n_yz, n_z, z_of_xz, z_of_yz)
    plug_in, first, degrees, surplus, singles, _, terms = moments.tolist()
    value = (
        _entropy(n_xz, kind, k_x * k_z) + _entropy(n_yz, kind, k_y * k_z)
        - _entropy(counts, kind, k_x * k_y * k_z) - (_entropy(n_z, kind, k_z) if k_z > 1 else 0.0)
    )  # fmt: skip
    null = "independence" if len(symbols) == 2 else "independence given the condition"
    details = {"degrees": int(degrees), "plug_in": plug_in, "p_value": 1.0}
    if degrees == 0:
        return Estimate(
            0.0, 0.0, (0.0, 0.0), 0.0, 0.0, n, method=estimator, null=null, details=details,
            flags=flagged("constant", "few_samples" if n < FEWEST_PAIRS else None, table.flag),
        )  # fmt: skip
    steps = _steps(kind, terms, n_xz, n_yz, k_z) / n**2
    second = max(abs(surplus), 1.0) * 0.5 / n**2
    error = math.sqrt(max(first - abs(surplus) / n**2, 0.0) + second + steps)
    interval = (
        root_interval(value, first, plug_in, second, steps) if surplus >= 0.0
        else _cut(value, error)
    )  # fmt: skip
    null_mean, null_sd = degrees / (2.0 * n), math.sqrt(0.5 * degrees / n**2 + steps)
    if kind in (JAMES_STEIN, NSB):
        null_mean, null_sd = _drawn_null(n_xz, n_yz, n_z, (k_x, k_y, k_z), kind)
    elif kind not in _BIASED:
        null_mean = 0.0
    details["p_value"] = float(chdtrc(degrees, 2.0 * n * plug_in))
    flags = flagged(
        "few_samples" if n < FEWEST_PAIRS or (kind in _BIASED and degrees / (2.0 * n) > 0.2 * error) else None,
        "many_states" if degrees > 0.1 * n else None,
        "unseen_states" if singles / n > (0.1 if kind == MILLER_MADOW else 0.2) * error else None,
        table.flag,
    )
    return Estimate(value, error, interval, null_mean, null_sd, n, method=estimator, flags=flags, null=null,
                    details=details)  # fmt: skip


def _steps(kind: int, terms: float, n_xz: Counts, n_yz: Counts, k_z: int) -> float:
    """Return N^2 times the variance from the steps between even and odd counts; pairs of states step together."""
    if kind not in _STEPS:
        return 0.0
    pairs = sum(np.count_nonzero(one) == 2 for one in (n_xz, n_yz)) if k_z == 1 else 0
    return _STEPS[kind] * (terms - 1.0 + 2.0 * pairs)


def _cut(value: float, error: float) -> tuple[float, float]:
    """Return the normal interval, cut at 0: variables that are functions of one another have no noncentral limit."""
    low, high = normal_interval(value, error, lowest=0.0)
    return float(low), max(float(high), 0.0)


def _drawn_null(n_xz: Counts, n_yz: Counts, n_z: Counts, shape: tuple[int, int, int], kind: int) -> tuple[float, float]:
    """Return mean and standard deviation of an estimator without a null in closed form, from drawn tables."""
    k_x, k_y, k_z = shape
    if k_x * k_y * k_z > _MOST_DRAWN:
        return math.nan, math.nan
    of_z = np.maximum(n_z, 1)
    shares = n_xz.reshape(k_x, 1, k_z) * (n_yz.reshape(1, k_y, k_z) / of_z) / n_z.sum()
    draws = np.random.default_rng(0).multinomial(int(n_z.sum()), (shares / shares.sum()).ravel(), size=_DRAWS)
    found = np.empty(_DRAWS)
    for i, draw in enumerate(draws.reshape(-1, k_x, k_y, k_z)):
        found[i] = (
            _entropy(np.ascontiguousarray(draw.sum(axis=1)).ravel(), kind, k_x * k_z)
            + _entropy(np.ascontiguousarray(draw.sum(axis=0)).ravel(), kind, k_y * k_z)
            - _entropy(draw.ravel(), kind, k_x * k_y * k_z)
            - (_entropy(draw.sum(axis=(0, 1)), kind, k_z) if k_z > 1 else 0.0)
        )
    return float(found.mean()), float(found.std(ddof=1))


def _conditional_entropy(table: JointTable, estimator: str) -> Estimate:
    kind = kind_of(estimator, "conditional entropy")
    counts, (x, z) = _cells(table)
    n = int(counts.sum())
    null = "the condition tells nothing"
    if n == 0:
        return Estimate(math.nan, n=0, method=estimator, flags=flagged("empty"), null=null)
    k_x, k_z = table.shape
    n_x, n_z = sums_by(counts, x, k_x), sums_by(counts, z, k_z)
    seen_x, seen_z = int(np.count_nonzero(n_x)), int(np.count_nonzero(n_z))
    value = _entropy(counts, kind, k_x * k_z) - _entropy(n_z, kind, k_z)
    local = np.log(n_z[z] / counts)
    plug_in = float(counts @ local) / n
    free = counts.size - seen_z
    first = max(float(counts @ (local - plug_in) ** 2) / n, 0.0) / n
    step = _STEPS.get(kind, 0.0) * (counts.size + seen_z + 2 * (seen_x == 2) + 2 * (seen_z == 2))
    error = math.sqrt(max(first - free / n**2, 0.0) + (0.5 * free + (step if free else 0.0)) / n**2)
    most = np.zeros(k_z, np.int64)
    np.maximum.at(most, z, counts)
    constant = free == 0
    if constant:
        value, error = 0.0, 0.0
    singles = np.count_nonzero(counts == 1)
    degrees = (seen_x - 1) * (seen_z - 1)
    biased = kind in _BIASED and free / (2.0 * n) > 0.2 * error
    flags = flagged(
        "constant" if constant else None,
        "few_samples" if n < FEWEST or (not constant and (biased or n - int(most.sum()) < FEWEST_APART)) else None,
        "unseen_states" if singles / n > (0.1 if kind == MILLER_MADOW else 0.2) * error else None,
        table.flag,
    )
    return Estimate(
        value, error, normal_interval(value, error, lowest=0.0), _entropy(n_x, kind, k_x),
        math.sqrt(0.5 * degrees + step) / n, n, method=estimator, flags=flags, null=null,
        details={"plug_in": plug_in},
    )  # fmt: skip
