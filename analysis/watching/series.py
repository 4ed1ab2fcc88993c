"""The course of an observable as far as it is known, thinned so that it stays small however long the run is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_POINTS = 4096


@dataclass(frozen=True)
class Series:
    """An observable, one number for each record.

    Parameters
    ----------
    name, long_name, unit
        What it is.
    steps, values
        Some of its records, in order, the last one among them; NaN where a value is missing.
    standard_error
        Of the last value, None where none is recorded.
    flags
        Reasons to doubt it, at any record that was read.
    """

    name: str
    long_name: str
    unit: str
    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    standard_error: float | None = None
    flags: tuple[str, ...] = ()

    @property
    def last(self) -> float:
        """The last value, NaN where there is none."""
        return float(self.values[-1]) if len(self.values) else float("nan")


class Course:
    """Records of an observable that grow: when there are too many, every second one is dropped."""

    def __init__(self) -> None:
        self.steps: NDArray[np.int64] = np.empty(0, np.int64)
        self.values: NDArray[np.float64] = np.empty(0, np.float64)

    def add(self, steps: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        """Add records that follow."""
        self.steps = np.concatenate([self.steps, steps])
        self.values = np.concatenate([self.values, values])
        while len(self.steps) > MOST_POINTS:
            # Counted from the end, so that the last one stays.
            kept = slice(None, None, -2)
            self.steps, self.values = self.steps[kept][::-1], self.values[kept][::-1]


def resampled(steps: NDArray[np.int64], values: NDArray[np.float64], columns: int) -> NDArray[np.float64]:
    """Return the means of a course in so many equal spans of steps, shape (columns,).

    A span without a record takes the value before it; NaN where there is none.
    """
    found = np.full(columns, np.nan)
    known = np.isfinite(values)
    steps, values = steps[known], values[known]
    if not len(steps) or columns < 1:
        return found
    first, last = int(steps[0]), int(steps[-1])
    column = np.minimum((steps - first) * columns // max(last - first, 1), columns - 1)
    sums, counts = np.bincount(column, values, columns), np.bincount(column, minlength=columns)
    filled = counts > 0
    before = np.maximum.accumulate(np.where(filled, np.arange(columns), 0))
    with np.errstate(invalid="ignore"):
        means = sums / counts
    return np.asarray(means[before], np.float64)
