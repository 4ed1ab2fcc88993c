"""Sums of entropies of subsets of discrete variables, with their errors: what all discrete quantities here are.

A quantity is F = sum_S c_S H(X_S) over subsets S of the variables. To second order in the deviations of the shares,
F = F(p) - sum_s c_S (ln p + H) dp - (1/2) sum_S c_S sum_s dp_s^2 / p_s. The first part has the variance of the local
values -sum_S c_S ln p_S over n. Where it vanishes (independence, exact logic gates) the second part is left: its
variance is sum_ST c_S c_T (phi_ST - 1) / 2n^2, with phi_ST = sum p_st^2 / (p_s p_t) the mean square contingency of the
two subsets plus 1, because the conditional expectations given X_S and X_T, as operators, have the trace phi_ST.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics import checks
from simengine.diagnostics.counts.entropies import kind_of
from simengine.diagnostics.counts.kernels import GRASSBERGER, GRASSBERGER_1988, entropy_of
from simengine.diagnostics.estimate import flagged
from simengine.diagnostics.populations.arguments import checked_numbers, not_negative
from simengine.diagnostics.samples import Array, checked_counts
from simengine.errors import InputError

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Subset = tuple[int, ...]

ESTIMATORS = ("grassberger", "plug-in", "miller-madow", "grassberger-1988")
"""Of entropies of counts, for sums of entropies of subsets."""

FEWEST = 150
"""Samples below which ``few_samples`` is raised."""

SAMPLES_A_PARAMETER = 10
"""Samples for each degree of freedom of the joint table below which ``many_states`` is raised."""

RARE, MOST_RARE = 5, 0.3
"""Joint states seen less often may carry this share of the variance; above it ``unseen_states`` is raised."""

_STEPPED = (GRASSBERGER, GRASSBERGER_1988)


@dataclass(frozen=True)
class Cells:
    """The states of several discrete variables that were seen together, shape (K, m), and how often, shape (K,)."""

    states: Whole
    counts: Whole

    @cached_property
    def n(self) -> int:
        """Number of samples."""
        return int(self.counts.sum())

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Number of states of each variable that were seen."""
        return tuple(int(np.unique(column).size) for column in self.states.T)

    @cached_property
    def shares(self) -> Floats:
        """Share of the samples in each cell."""
        return self.counts / self.n

    @cached_property
    def freedom(self) -> int:
        """Degrees of freedom of the joint table: product of the sizes, less 1 and those of the margins."""
        return math.prod(self.sizes) - 1 - sum(size - 1 for size in self.sizes)

    def groups(self, subset: Subset) -> tuple[Whole, int]:
        """Return the number of the state of a subset in each cell, and how many states there are."""
        return numbered(self.states[:, list(subset)])

    def flags(self, found: Sum) -> tuple[str, ...]:
        """Return the doubts that a quantity from these counts raises."""
        rare = self.counts < RARE
        p = self.shares
        away = (found.local - float(p @ found.local)) ** 2
        carried = float(p[rare] @ away[rare]) / self.n
        return flagged(
            "unseen_states" if carried > MOST_RARE * found.variance else None,
            "few_samples" if self.n < FEWEST else None,
            "many_states" if self.freedom * SAMPLES_A_PARAMETER > self.n else None,
            "constant" if min(self.sizes) < 2 else None,
        )


class Sum(NamedTuple):
    """A sum of entropies: its value, the variance of its first and second order, and its value in each cell."""

    value: float
    first: float
    second: float
    steps: float
    local: Floats

    @property
    def variance(self) -> float:
        """Variance of the value.

        The first order, computed from the counts, is on average twice the second too large, but small where the value
        is by chance. Only a part of that is taken off: all of it leaves too little where the value is near its null.
        """
        return max(self.first - 0.5 * self.second, self.second) + self.steps


def numbered(states: Array) -> tuple[Whole, int]:
    """Return the number of each row among the distinct rows, and how many of those there are."""
    code = np.zeros(states.shape[0], dtype=np.int64)
    span = 1
    for column in states.T:
        values, place = np.unique(column, return_inverse=True)
        if span * values.size >= 1 << 62:
            _, code = np.unique(code, return_inverse=True)
            span = int(code.max()) + 1
        code = code.astype(np.int64) * values.size + place
        span *= values.size
    values, place = np.unique(code, return_inverse=True)
    return place.astype(np.int64), values.size


def cells_of_samples(variables: Sequence[Array]) -> Cells:
    """Return the cells of samples of shape (n, d) of each variable."""
    codes = np.stack([numbered(variable)[0] for variable in variables], axis=1)
    place, size = numbered(codes)
    first = np.zeros(size, dtype=np.int64)
    first[place[::-1]] = np.arange(place.size - 1, -1, -1)
    return Cells(codes[first], np.bincount(place, minlength=size).astype(np.int64))


def cells_of_counts(counts: Any, variables: int | None = None) -> Cells:
    """Return the cells of a table of counts with one axis for each variable."""
    table = checked_counts(counts)
    if variables is not None and table.ndim != variables:
        raise InputError(f"counts has shape {table.shape}; expected one axis for each of {variables} variables")
    if table.ndim < 2:
        raise InputError(f"counts has shape {table.shape}; expected one axis for each of at least 2 variables")
    if not table.any():
        raise InputError("counts are all 0: there is nothing to count")
    states = np.argwhere(table)
    return Cells(states.astype(np.int64), table[table > 0])


def checked_estimator(estimator: str, what: str) -> int:
    """Return the kind of an estimator of entropies."""
    return kind_of(checks.one_of(estimator, ESTIMATORS, f"{what}, of labels: estimator"))


def entropy_sum(cells: Cells, terms: Mapping[Subset, float], kind: int) -> Sum:
    """Return the sum of entropies of subsets with their factors.

    Parameters
    ----------
    cells
        Of all variables.
    terms
        Factor of the entropy of each subset of variables.
    kind
        Of the estimator, see :func:`checked_estimator`.
    """
    n, p = cells.n, cells.shares
    merged = _merged(cells, terms)
    value, steps = 0.0, 0.0
    local = np.zeros(p.size)
    parts = []
    for group, factor in merged:
        counts = np.bincount(group, weights=cells.counts)
        value += factor * entropy_of(counts.astype(np.int64), kind)
        local -= factor * np.log(counts / n)[group]
        if kind in _STEPPED:
            value -= 0.5 * factor / n
            steps += factor**2 * _steps(counts.size) / n**2
        parts.append((factor, group, counts / n))
    mean = float(p @ local)
    first = float(p @ (local - mean) ** 2) / n
    second = 0.0
    for i, (factor, group, share) in enumerate(parts):
        second += factor**2 * (share.size - 1)
        for other_factor, other_group, other_share in parts[:i]:
            both = np.bincount(group * other_share.size + other_group, weights=p)
            place = np.flatnonzero(both)
            contingency = both[place] ** 2 / (share[place // other_share.size] * other_share[place % other_share.size])
            second += 2.0 * factor * other_factor * (float(contingency.sum()) - 1.0)
    return Sum(value, first, max(second, 0.0) / (2.0 * n * n), steps, local)


def _merged(cells: Cells, terms: Mapping[Subset, float]) -> list[tuple[Whole, float]]:
    """Return the distinct partitions of the cells by subsets, with the sums of their factors.

    Variables that are functions of one another divide the cells alike, and what would be taken off again by another
    subset is left out from the start. Constant subsets have no entropy.
    """
    found: dict[bytes, tuple[Whole, float]] = {}
    for subset, factor in terms.items():
        group, size = cells.groups(subset) if subset and factor != 0.0 else (np.empty(0, dtype=np.int64), 0)
        if size > 1:
            order = np.empty(size, dtype=np.int64)
            _, first = np.unique(group, return_index=True)
            order[np.argsort(first)] = np.arange(size)
            group = order[group]
            key = group.tobytes()
            found[key] = (group, found.get(key, (group, 0.0))[1] + factor)
    return [(group, factor) for group, factor in found.values() if factor != 0.0]


def _steps(size: int) -> float:
    """Return n^2 times the variance that the steps of G between even and odd counts give to an entropy.

    Each odd count adds 1 / n; of two states both are odd, or one, as their sum says. The sum takes few values, and an
    interval from 1.96 standard deviations would leave out more than one in twenty: the factor of 1.7 makes up for it.
    """
    return 1.7 * (1.0 if size == 2 else 0.25 * size)


def entropy_of_subset(p: Floats, subset: Subset) -> float:
    """Return the entropy, in nats, of some of the variables of a table of probabilities."""
    rest = tuple(axis for axis in range(p.ndim) if axis not in subset)
    share = p.sum(axis=rest).ravel()
    share = share[share > 0.0]
    return float(-(share @ np.log(share)))


def checked_table(p: Any, axes: int | None = None) -> Floats:
    """Return a table of probabilities as float64 with sum 1; counts are divided by their sum."""
    table = checked_numbers(p, "the table")
    if (axes is not None and table.ndim != axes) or table.ndim < 2:
        raise InputError(f"the table has shape {table.shape}; expected {axes or 'at least 2'} axes, one a variable")
    return checked_probabilities(table, "the table")


def checked_probabilities(p: Floats, word: str) -> Floats:
    """Return numbers that are not negative, some of them above 0, divided by their sum."""
    if not not_negative(p, word).any():
        raise InputError(f"{word} is all 0; expected probabilities, some of them above 0")
    # First by the greatest: the sum of numbers near the least there is would have few digits.
    p = p / p.max()
    found: Floats = p / p.sum()
    return found
