"""How a mean settles as replicates are added, and how many it takes to know it to a precision."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from simengine.analysis.statistics.intervals import checked_level, half_width
from simengine.errors import InputError

Array = NDArray[np.float64]

MOST = 2**53


class Running(NamedTuple):
    """Means of the first n values and half the widths of their intervals, each of the shape of the values."""

    mean: Array
    half_width: Array
    n: NDArray[np.int64]


def running(values: Array, level: float = 0.95) -> Running:
    """Return the mean of the first, the first two, the first three ... values, over the last axis.

    A value that is NaN adds nothing; the half width is Student's, NaN below two values. Looking at the interval again
    and again until it suits makes it hold less often than ``level`` says.

    Parameters
    ----------
    values
        Independent numbers in the order in which they were got, shape (..., n).
    level
        Of the intervals.
    """
    checked_level(level)
    values = np.asarray(values, np.float64)
    there = np.isfinite(values)
    n = np.cumsum(there, axis=-1)
    shift = np.where(there.any(axis=-1), np.take_along_axis(values, there.argmax(axis=-1)[..., None], -1)[..., 0], 0.0)
    apart = np.where(there, values - shift[..., None], 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.cumsum(apart, axis=-1) / n
        squares = np.cumsum(apart**2, axis=-1) - n * mean**2
        # What is left of equal values by rounding is no spread.
        squares = np.where(squares > 1e-14 * np.cumsum(apart**2, axis=-1), squares, 0.0)
        sd = np.sqrt(squares / np.where(n > 1, n - 1, np.nan))
    return Running(mean + shift[..., None], half_width(sd, n, level), n.astype(np.int64))


def replicates_needed(sd: float, precision: float, level: float = 0.95) -> int:
    """Return the smallest number of values whose mean has an interval of at most ``precision`` to either side.

    Student's interval with the standard deviation of the values there are, taken for the true one: the first stage of
    Stein's procedure (Stein 1945, Ann. Math. Stat. 16, 243-258). Of few values it is a rough guess.

    Parameters
    ----------
    sd
        Standard deviation, not negative.
    precision
        Half the width of the interval, in the unit of the values.
    level
        Of the interval.
    """
    checked_precision(precision)
    checked_level(level)

    def wide(n: int) -> bool:
        return bool(float(special.stdtrit(n - 1, 0.5 + level / 2)) * sd / np.sqrt(n) > precision)

    low, high = 1, 2
    while wide(high):
        low, high = high, high * 2
        if high > MOST:
            return MOST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if wide(middle) else (low, middle)
    return high


def checked_precision(precision: float) -> float:
    """Return a precision; ``InputError`` for one that is not a positive number."""
    number = isinstance(precision, int | float | np.number) and not isinstance(precision, bool)
    if not number or not 0.0 < float(precision) < np.inf:
        raise InputError(f"precision: got {precision!r}, allowed is a positive number, in the unit of the observable")
    return float(precision)
