"""Neighbours on the line: searches in sorted numbers.

Rounded subtraction is monotone, so the computed distances from a point grow along the sorted numbers to either side,
and a search may halve them while it compares the computed distance itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit

_BUCKETS = 2
"""Buckets for each point, in which searches begin."""

_MANY = 16
"""In a bucket of more points they are searched."""


@njit(cache=True, nogil=True, error_model="numpy")
def line_kth_distances(
    ascending: NDArray[np.float64],
    places: NDArray[np.int64],
    queries: NDArray[np.int64],
    k: int,
    result: NDArray[np.float64],
) -> None:
    """Enter the distance to the k-th nearest other point of the points at these places of the sorted numbers."""
    n = len(ascending)
    for i in range(len(places)):
        at = places[i]
        point = ascending[at]
        # Of the k nearest, `fewest` to `most` lie to the left.
        fewest, most = max(0, k - (n - 1 - at)), min(k, at)
        while fewest < most:
            left = (fewest + most) // 2
            if point - ascending[at - left - 1] >= ascending[at + k - left] - point:
                most = left
            else:
                fewest = left + 1
        result[queries[i]] = max(point - ascending[at - fewest], ascending[at + k - fewest] - point)


@njit(cache=True, nogil=True, error_model="numpy")
def _bucket(value: float, lowest: float, per_unit: float, buckets: int) -> int:
    """Return the bucket of a value, out of equal ones from the lowest value upwards."""
    at = (value - lowest) * per_unit
    return int(at) if 0.0 < at < buckets else 0 if not at > 0.0 else buckets - 1


@njit(cache=True, nogil=True, error_model="numpy")
def _furthest(ascending: NDArray[np.float64], at: int, side: int, limit: float, guess: int) -> int:
    """Return the place of the last point, from place `at` to this side (1 or -1), no further than the limit."""
    point = ascending[at]
    ends = (len(ascending) - 1 - at) if side > 0 else at
    # Numbers of points from `at`: `near` of them are within, `far` are not, unless it is past the end.
    guess = min(max((guess - at) * side, 0), ends)
    step = 1
    if abs(ascending[at + side * guess] - point) <= limit:
        near, far = guess, guess + 1
        while far <= ends and abs(ascending[at + side * far] - point) <= limit:
            near = far
            step *= 2
            far += step
        far = min(far, ends + 1)
    else:
        near, far = guess - 1, guess
        while near > 0 and abs(ascending[at + side * near] - point) > limit:
            far = near
            step *= 2
            near -= step
        near = max(near, 0)
    while far - near > 1:
        middle = (near + far) // 2
        if abs(ascending[at + side * middle] - point) <= limit:
            near = middle
        else:
            far = middle
    return at + side * near


@njit(cache=True, nogil=True, error_model="numpy")
def line_counts(
    ascending: NDArray[np.float64],
    places: NDArray[np.int64],
    queries: NDArray[np.int64],
    limits: NDArray[np.float64],
    result: NDArray[np.int64],
) -> None:
    """Enter how many other points are no further than its limit from each of the points at these places."""
    n = len(ascending)
    lowest = ascending[0]
    buckets = _BUCKETS * n
    per_unit = buckets / (ascending[n - 1] - lowest)
    begin = np.zeros(buckets + 1, np.int64)
    for i in range(n):
        begin[_bucket(ascending[i], lowest, per_unit, buckets) + 1] += 1
    for i in range(buckets):
        begin[i + 1] += begin[i]
    for i in range(len(places)):
        at, limit = places[i], limits[i]
        if not limit >= 0.0:
            result[queries[i]] = 0
            continue
        point = ascending[at]
        # The points of a bucket are counted, as a search has branches that cannot be foreseen. Where there are many, or
        # rounding has led to a wrong bucket, they are searched.
        bucket = _bucket(point - limit, lowest, per_unit, buckets)
        low, high = begin[bucket], begin[bucket + 1]
        if (
            high - low <= _MANY
            and (low == 0 or point - ascending[low - 1] > limit)
            and (high == n or point - ascending[high] <= limit)
        ):
            first = low
            for j in range(low, high):
                first += int(point - ascending[j] > limit)
        else:
            first = _furthest(ascending, at, -1, limit, low)
        bucket = _bucket(point + limit, lowest, per_unit, buckets)
        low, high = begin[bucket], begin[bucket + 1]
        if (
            high - low <= _MANY
            and (low == 0 or ascending[low - 1] - point <= limit)
            and (high == n or ascending[high] - point > limit)
        ):
            last = low - 1
            for j in range(low, high):
                last += int(ascending[j] - point <= limit)
        else:
            last = _furthest(ascending, at, 1, limit, low)
        result[queries[i]] = last - first
