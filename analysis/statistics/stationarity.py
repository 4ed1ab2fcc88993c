"""Where a recorded series has forgotten its start: truncation by MSER, and a check that what is left does not drift."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from simengine.analysis.statistics.intervals import batch_means, lag_one

FEWEST = 20
"""Records below which nothing is said about stationarity."""

BATCHED_FROM, BATCH = 200, 5
"""From so many records on, MSER looks at the means of so many of them (MSER-5)."""

NOT_CUT = 5
DRIFT_BATCHES, FEWEST_BATCHES = 20, 5
DRIFT_LEVEL = 0.01
"""Share of stationary series that the check for drift refuses, where batches are long enough to be independent."""

SHORTEST = 20.0
"""Least length of a series, in times ``1 / (1 - r)`` of its memory, r the correlation of neighbours."""

FEWEST_EFFECTIVE = 3.0
"""Independent values that the records of a stationary part are worth, at least: its mean would say nothing else."""

STATIONARY, TOO_FEW, LATE = "stationary", "too few records", "settles in the second half"
DRIFTS, WANDERS = "drifts", "wanders"


class Stationarity(NamedTuple):
    """What is known of one series.

    ``start`` is the number of its first stationary record, -1 where there is none; ``reason`` one of ``stationary``,
    ``too few records``, ``settles in the second half``, ``drifts`` and ``wanders``; ``p`` the chance of a
    slope as large as that of what is left in a stationary series, NaN where none was measured.
    """

    start: int
    reason: str
    p: float

    @property
    def holds(self) -> bool:
        """Whether the series has a stationary part."""
        return self.start >= 0


def mser(series: NDArray[np.float64], batch: int = 1) -> int:
    """Return how many records to leave out at the start: the truncation whose mean has the smallest standard error.

    The point is the one that minimises ``sum((x - mean)**2) / (n - d)**2`` over the records after the first d, of the
    means of ``batch`` records each; the last five candidates are not looked at, as few values are alike by chance.

    Parameters
    ----------
    series
        Numbers without NaN, shape (records,).
    batch
        Records in a mean; what does not fill a batch is left out at the end.

    References
    ----------
    White (1997) Simulation 69, 323-334, doi:10.1177/003754979706900601 (MSER); White, Cobb & Spratt (2000) Proc. Winter
    Simulation Conf., 755-765 (MSER-5).
    """
    whole = len(series) // batch
    means = series[: whole * batch].reshape(whole, batch).mean(axis=1)
    # Seen from the end, and about the end's own value, the sums lose few digits.
    backward = means[::-1] - means[-1]
    n = np.arange(1, whole + 1)
    squares = np.cumsum(backward**2) - np.cumsum(backward) ** 2 / n
    rounding = 1e-13 * float(np.max(backward**2, initial=0.0))
    errors = (np.where(squares > rounding * n, squares, 0.0) / n**2)[::-1]
    allowed = whole - max(NOT_CUT, whole // 4)
    return int(np.argmin(errors[:allowed])) * batch


def is_constant(series: NDArray[np.float64]) -> bool:
    """Whether numbers are the same but for rounding."""
    return float(np.ptp(series)) <= 1e-12 * max(float(np.abs(series).max()), np.finfo(float).tiny)


def slope_chance(series: NDArray[np.float64]) -> float:
    """Return the two-sided chance of a slope as large as this in a series that does not drift.

    A line is fitted to the means of 20 batches (fewer in short series). The error of its slope takes the correlation of
    neighbouring batches into account as that of a first-order autoregression, ``(1 + r) / (1 - r)``, with r corrected
    for its bias in short series (Kendall 1954, Biometrika 41, 403-404), and Student's t has so many fewer degrees of
    freedom. NaN for fewer than 10 records, 1 for a constant series.
    """
    if len(series) < 2 * FEWEST_BATCHES:
        return np.nan
    b = min(DRIFT_BATCHES, len(series) // 2)
    length = len(series) // b
    means = series[len(series) - b * length :].reshape(b, length).mean(axis=1)
    x = np.arange(b) - (b - 1) / 2
    y = means - means.mean()
    if is_constant(means):
        return 1.0
    slope = float(x @ y) / float(x @ x)
    rest = y - slope * x
    total = float(rest @ rest)
    if total <= 1e-20 * float(y @ y):
        return 0.0
    r = float(rest[1:] @ rest[:-1]) / total
    # The residuals of a line are less correlated than the noise about it: twice the bias of those of a mean.
    r = min(max(r + (2.0 + 4.0 * max(r, 0.0)) / b, 0.0), 0.9)
    inflation = (1.0 + r) / (1.0 - r)
    freedom = max(b / inflation - 2.0, 1.0)
    error = np.sqrt(total / (b - 2) / float(x @ x) * inflation)
    return 2.0 * float(stdtr(freedom, -abs(slope) / error))


def stationarity(series: NDArray[np.float64]) -> Stationarity:
    """Return from where on a series is stationary, or why not.

    MSER (from 200 records on MSER-5) says where to cut; a cut in the second half of the series means that it was too
    short. What is left is then checked for drift (`slope_chance`, at the level `DRIFT_LEVEL`), and for whether it is
    long against its own memory: T (1 - r) is below 14 for nineteen of twenty random walks (Dickey & Fuller 1979, J. Am.
    Stat. Assoc. 74, 427-431), and 20 are asked for; by batch means, it must be worth three independent values. NaN, as
    at the end of a run that stopped early, are left out.

    Of stationary autoregressions of 100 records and more that are 20 times as long as their memory,
    ``(1 + a) / (1 - a)``, 1 to 6 % are refused; of random walks of 1000 records some 1 % are taken for stationary.

    Parameters
    ----------
    series
        Numbers at equal distances, shape (records,).
    """
    known = np.flatnonzero(np.isfinite(series))
    if len(known) < FEWEST:
        return Stationarity(-1, TOO_FEW, np.nan)
    values = np.asarray(series[known], np.float64)
    cut = mser(values, BATCH if len(values) >= BATCHED_FROM else 1)
    if cut > len(values) // 2:
        return Stationarity(-1, LATE, np.nan)
    left = values[cut:]
    if is_constant(left):
        return Stationarity(int(known[cut]), STATIONARY, 1.0)
    p = slope_chance(left)
    if p < DRIFT_LEVEL:
        return Stationarity(-1, DRIFTS, p)
    if wanders(left):
        return Stationarity(-1, WANDERS, p)
    return Stationarity(int(known[cut]), STATIONARY, p)


def wanders(series: NDArray[np.float64]) -> bool:
    """Return whether a series is short against its own memory, as a random walk always is.

    Slow waves have a memory that neighbours do not tell; batch means do.
    """
    r = lag_one(series)
    return (r > 0.5 and len(series) * (1.0 - r) < SHORTEST) or batch_means(series).n_effective < FEWEST_EFFECTIVE
