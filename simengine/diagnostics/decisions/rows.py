"""Columns of logged decisions, read and checked, and means of them whose errors count what hangs together once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics import checks
from simengine.diagnostics.counts.entropies import entropy_from_counts
from simengine.diagnostics.estimate import Estimate, flagged, normal_interval
from simengine.diagnostics.samples import Array, as_array, checked_values, is_discrete, named
from simengine.errors import InputError, nearest

if TYPE_CHECKING:
    import xarray

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

ANSWERED = (1, 2, 3)
"""Values of ``provenance`` whose actions are an agent's own: answered, reused and repaired."""

FEWEST = 20
"""Independent groups of rows that a mean asks for, else ``few_samples``."""

_SUM = 1e-6


@dataclass(frozen=True)
class Groups:
    """What rows belong together: a number for each row, and the label of each number."""

    of_row: Rows
    labels: Array

    @property
    def count(self) -> int:
        """Number of groups."""
        return int(self.labels.size)

    def sums(self, values: Floats) -> Floats:
        """Return the sum of values, shape (n,) or (n, d), in each group."""
        if values.ndim == 1:
            return weighted(self.of_row, values, self.count)
        columns = [weighted(self.of_row, values[:, d], self.count) for d in range(values.shape[1])]
        return np.stack(columns, axis=1)


def weighted(of_row: Rows, values: Floats, count: int = 0) -> Floats:
    """Return the sum of values of each number."""
    return np.bincount(of_row, values, count).astype(np.float64, copy=False)


def select_decisions(
    data: xarray.Dataset, decision: str | None = None, *, provenance: Sequence[int] = ANSWERED
) -> xarray.Dataset:
    """Return the rows of one decision that agents answered themselves.

    Parameters
    ----------
    data
        Logged decisions with the variables ``decision`` and ``provenance`` along the rows.
    decision
        Which decision; by default all.
    provenance
        Which values of ``provenance`` to keep; rules and fallbacks are no answers.

    Raises
    ------
    InputError
        If a variable is missing, or there are no such rows.
    """
    import xarray

    if not isinstance(data, xarray.Dataset):
        raise InputError(f"data is a {type(data).__name__}; expected a Dataset of logged decisions")
    for name in ("provenance", *(() if decision is None else ("decision",))):
        if name not in data.variables:
            known = [str(one) for one in data.variables]
            raise InputError(f"the Dataset has no variable {name!r}{nearest(name, known)}; it has {', '.join(known)}")
    values = data["provenance"]
    if values.ndim != 1:
        raise InputError(f"provenance has the dims {values.dims}; expected one, that of the rows")
    kept = np.isin(values.to_numpy(), list(provenance))
    if decision is not None:
        names = data["decision"].to_numpy().astype(str)
        if not (names == decision).any():
            known = sorted(set(names.tolist()))
            raise InputError(
                f"there is no decision {decision!r}{nearest(decision, known)}; there are {', '.join(known)}"
            )
        kept &= names == decision
    if not kept.any():
        raise InputError(f"no decision{f' {decision!r}' if decision else ''} has a provenance of {tuple(provenance)}")
    return data.isel({values.dims[0]: np.flatnonzero(kept)})


def column(values: Any, data: Any, word: str, n: int | None = None) -> Array:
    """Return one value for each row, shape (n,)."""
    array = as_array(named(values, data, word), word)
    if array.ndim != 1:
        raise InputError(f"{word} has shape {array.shape}; expected one value for each decision, (n,)")
    if n is not None and array.size != n:
        raise InputError(f"{word} has {array.size} values for {n} decisions")
    if not array.size:
        raise InputError(f"{word} is empty: there are no decisions")
    return checked_values(array, word)


def numbers(values: Any, data: Any, word: str, n: int | None = None) -> Floats:
    """Return one finite number for each row as float64."""
    return checked_values(column(values, data, word, n), word, False).astype(np.float64, copy=False)


def distributions(values: Any, data: Any, word: str, n: int | None = None) -> Floats:
    """Return a distribution over options for each row, shape (n, K), K >= 2; their sums are 1 within 1e-6."""
    array = as_array(named(values, data, word), word)
    if array.ndim != 2 or not array.size or array.shape[1] < 2:
        raise InputError(f"{word} has shape {array.shape}; expected probabilities of two or more options, (n, options)")
    if n is not None and len(array) != n:
        raise InputError(f"{word} has {len(array)} rows for {n} decisions")
    blank = np.isnan(array).all(axis=1) if array.dtype.kind == "f" else np.zeros(len(array), bool)
    if blank.any():
        raise InputError(f"{word} has no numbers in row {int(blank.argmax())}: select_decisions leaves such rows out")
    found: Floats = checked_values(array, word, False).astype(np.float64, copy=False)
    if (found < 0.0).any():
        row = int((found < 0.0).any(axis=1).argmax())
        raise InputError(f"{word} holds {found[row].min():g} in row {row}; probabilities are not negative")
    away = np.abs(found.sum(axis=1) - 1.0)
    if away.max() > _SUM:
        row = int(away.argmax())
        raise InputError(f"{word} of row {row} add up to {found[row].sum():g}; expected 1")
    return found


def groups(labels: Any, data: Any, word: str, n: int) -> Groups:
    """Return what rows belong together, by labels in rising order; each row by itself where there are none."""
    if labels is None:
        return Groups(np.arange(n), np.arange(n))
    found, of_row = np.unique(column(labels, data, word, n), return_inverse=True)
    return Groups(of_row.reshape(-1), found)


def shares(actions: Any, data: Any, word: str) -> tuple[Floats, bool]:
    """Return rows as distributions, shape (n, K), and whether they were labels of actions taken, one-hot then."""
    array = as_array(named(actions, data, word), word)
    if array.ndim == 2 and array.dtype.kind == "f":
        return distributions(array, None, word), False
    labels = column(array, None, word)
    if not is_discrete(labels):
        raise InputError(f"{word} holds fractions; expected labels of actions, (n,), or probabilities, (n, options)")
    kinds, of_row = np.unique(labels, return_inverse=True)
    return np.eye(kinds.size)[of_row.reshape(-1)], True


def entropies(probability: Floats, samples: int | None, word: str) -> Floats:
    """Return the entropy of each row in nats: exact, or of counts behind the shares by Grassberger's estimator.

    ``samples`` answers lie behind each distribution, as shares of n or smoothed by half a count for each option.
    """
    if samples is None:
        logarithm = np.log(np.where(probability > 0.0, probability, 1.0))
        # Adding 0 turns the -0.0 of the certain into 0.
        exact: Floats = -(probability * logarithm).sum(axis=1) + 0.0
        return exact
    counts = counts_behind(probability, samples, word)
    kinds, which = np.unique(counts, axis=0, return_inverse=True)
    found = np.asarray(entropy_from_counts(kinds).value, dtype=np.float64)
    found = np.where(np.count_nonzero(kinds, axis=1) > 1, found - ln_less_psi(samples), 0.0)
    return found[which.reshape(-1)]


def ln_less_psi(n: int) -> float:
    """Return ln n - psi(n), about 1 / 2n.

    Grassberger's expansion begins with psi(n); ln n in its place is what a mean over many rows would show.
    """
    from scipy.special import digamma

    return math.log(n) - float(digamma(n))


def counts_behind(probability: Floats, samples: int, word: str) -> NDArray[np.int64]:
    """Return the whole counts of ``samples`` answers behind shares, plain or with half a count for each option."""
    n = checks.whole(samples, "samples", 1)
    options = probability.shape[1]
    for counts in (probability * (n + 0.5 * options) - 0.5, probability * n):
        whole = np.rint(counts)
        if (np.abs(counts - whole) < 1e-3).all() and (whole >= 0).all():
            return whole.astype(np.int64)
    raise InputError(f"{word}: the shares are not those of {n} answers, plain or with half a count for each option")


def clustered_sum(values: Floats, clusters: Groups) -> float:
    """Return the sum of squares of the sums over clusters, times G / (G - 1); NaN of a single one."""
    if clusters.count < 2:
        return math.nan
    sums = clusters.sums(values)
    return float(sums @ sums) * clusters.count / (clusters.count - 1.0)


def mean_of(
    values: Floats, clusters: Groups, *, unit: str, method: str, null: str = "", null_mean: float = math.nan,
    null_sd: float = math.nan, lowest: float = -math.inf, highest: float = math.inf, doubts: Sequence[str] = (),
    details: dict[str, Any] | None = None,
) -> Estimate:  # fmt: skip
    """Return the mean over rows; the samples are clusters, and their weights the numbers of their rows."""
    n = values.size
    value = float(values.mean())
    error = math.sqrt(clustered_sum(values - value, clusters)) / n
    flags = flagged(*doubts, "few_samples" if clusters.count < FEWEST else None)
    return Estimate(
        value, error, normal_interval(value, error, lowest, highest), null_mean, null_sd, clusters.count, unit, method,
        flags, null, {"rows": n, **(details or {})},
    )  # fmt: skip


def part(clusters: Groups, rows: Rows) -> Groups:
    """Return the groups of some of the rows."""
    kept, of_row = np.unique(clusters.of_row[rows], return_inverse=True)
    return Groups(of_row.reshape(-1), clusters.labels[kept])


def split(by: Any, data: Any, n: int) -> tuple[list[Rows], tuple[int, ...], tuple[str, ...], dict[Any, Any]]:
    """Return the rows of each group of ``by``, and shape, dims and coords of one estimate for each."""
    if by is None:
        return [np.arange(n)], (), (), {}
    found = groups(by, data, "by", n)
    order = np.argsort(found.of_row, kind="stable")
    ends = np.cumsum(np.bincount(found.of_row, minlength=found.count))[:-1]
    name = by if isinstance(by, str) else str(getattr(by, "name", None) or "by")
    return np.split(order, ends), (found.count,), (name,), {name: found.labels}
