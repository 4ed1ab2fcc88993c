"""Two single runs, as a run and its branch: the means of their stationary parts, whose records are not independent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scipy import special

from simengine.analysis.contents import TIME
from simengine.analysis.statistics.comparing import Compared, bias_factor, cliffs_delta
from simengine.analysis.statistics.intervals import Array, BatchMeans, batch_means
from simengine.analysis.statistics.per_run import names_of, observable
from simengine.analysis.statistics.stationarity import stationarity
from simengine.errors import InputError

NOTHING = Compared(*(np.nan,) * 12, 0, 0)


class Contrast(NamedTuple):
    """What is said of one observable of both runs; ``reason`` is why nothing is, empty otherwise."""

    row: Compared
    n_effective_a: float
    n_effective_b: float
    reason: str


def contrasts(a: xr.Dataset, b: xr.Dataset, names: Sequence[str], level: float) -> tuple[list[Contrast], float | None]:
    """Compare observables of two runs over their stationary parts, after the records that both have in common.

    Returns
    -------
    tuple
        A `Contrast` for each observable, and the time of the last record that is the same in both, None without one.

    Raises
    ------
    InputError
        Where both are the same from start to end, or no observable has a stationary part in both.
    """
    for name in names:
        for one in (a, b):
            if set(observable(one, name).dims) != {TIME}:
                raise InputError(
                    f"compare: {name!r} is not one number at a time; of single runs only such are compared"
                )
    shared = _shared(a, b)
    if shared and shared >= min(a.sizes[TIME], b.sizes[TIME]):
        raise InputError("compare: one of the two runs is the same as the other, as far as it goes")
    found = [_contrast(_series(a, name)[shared:], _series(b, name)[shared:], level) for name in names]
    if all(one.reason for one in found):
        listed = ", ".join(f"{name} ({one.reason})" for name, one in zip(names, found, strict=True))
        raise InputError(
            f"compare: two single runs are compared by their stationary parts, and there are none: {listed}; record "
            "more, or compare sweeps with replicates=20 or so"
        )
    axis = a[TIME] if TIME in a.coords else a["step"]
    return found, float(axis.values[shared - 1]) if shared else None


def compared_by_batches(a: Array, b: Array, level: float = 0.95) -> tuple[Compared, BatchMeans, BatchMeans]:
    """Compare the means of two stationary series.

    The error of each mean is that of its batch means (`intervals.batch_means`), the difference and its chance are
    Welch's with the degrees of freedom of these. Hedges' g is in units of the records' spread; Cliff's delta is that of
    the records, without an interval, as these are not independent. Of two constant series p is 1 where they are equal,
    and not known otherwise.
    """
    left, right = batch_means(a, level), batch_means(b, level)
    difference, error = right.mean - left.mean, float(np.hypot(left.error, right.error))
    freedom = p = np.nan
    if error > 0.0:
        parts = left.error**2 / left.freedom, right.error**2 / right.freedom
        freedom = error**4 / (left.error**2 * parts[0] + right.error**2 * parts[1])
        half = float(special.stdtrit(freedom, 0.5 + level / 2)) * error
        p = 2.0 * float(special.stdtr(freedom, -abs(difference) / error))
    else:
        half = error
        p = 1.0 if error == 0.0 and difference == 0.0 else np.nan
    spread = float(np.hypot(left.sd, right.sd)) / np.sqrt(2.0)
    unit = bias_factor(max(round(left.n_effective + right.n_effective) - 2, 1)) / spread if spread > 0.0 else np.nan
    if difference == 0.0 and error == 0.0:
        unit = 0.0
    row = Compared(
        left.mean, right.mean, difference, difference - half, difference + half, unit * difference,
        unit * (difference - half), unit * (difference + half), cliffs_delta(a, b, level)[0], np.nan, np.nan, p,
        left.n, right.n,
    )  # fmt: skip
    return row, left, right


def _contrast(a: Array, b: Array, level: float) -> Contrast:
    judged = stationarity(a), stationarity(b)
    reasons = [f"{side}: {one.reason}" for side, one in zip("ab", judged, strict=True) if not one.holds]
    if reasons:
        return Contrast(NOTHING, np.nan, np.nan, "; ".join(reasons))
    parts = [series[one.start :] for series, one in zip((a, b), judged, strict=True)]
    known: list[Any] = [part[np.isfinite(part)] for part in parts]
    row, left, right = compared_by_batches(known[0], known[1], level)
    return Contrast(row, left.n_effective, right.n_effective, "")


def _shared(a: xr.Dataset, b: xr.Dataset) -> int:
    """Return how many records at the start are the same, as those of a run and its branch before it."""
    n = min(a.sizes[TIME], b.sizes[TIME])
    if a.attrs.get("seed") != b.attrs.get("seed"):
        return 0
    there = names_of(b, None)
    names = [name for name in names_of(a, None) if name in there]
    same = np.ones(n, bool)
    for name in (*names, *(one for one in (TIME, "step") if one in a.coords and one in b.coords)):
        left, right = _series(a, name)[:n], _series(b, name)[:n]
        same &= (left == right) | (np.isnan(left) & np.isnan(right))
    shared = int(np.argmin(same)) if not same.all() else n
    # Runs that start alike, as with the same agents, have a record in common and no course.
    return shared if shared > 1 else 0


def _series(data: xr.Dataset, name: str) -> Array:
    return np.asarray(data[name].values, np.float64)
