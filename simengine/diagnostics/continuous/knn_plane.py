"""Neighbours in the plane: points in strips of equal numbers along x, in the order of y within each.

A search walks from the point up and down its own strip, then those beside it, until the next point is too far in y or
the next strip in x. It asks strip by strip in the order of y, so that the place to begin at moves on little by little.
Rounded subtraction is monotone: what lies beyond a point that is too far is no nearer, in computed distances too.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit
from simengine.diagnostics.continuous.knn_nearest import replace_first
from simengine.diagnostics.continuous.ordering import Order

_WIDTH = 3.0
"""Width of a strip in mean distances of points next to each other, where all are spread evenly in a square."""


class Strips(NamedTuple):
    """Points in strips, all arrays in the order of strips and y."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    row: NDArray[np.int64]
    begin: NDArray[np.int64]
    """Where each strip begins, and in the end the number of points."""
    low: NDArray[np.float64]
    """Least and greatest x of each strip."""
    high: NDArray[np.float64]


def arrange(points: NDArray[np.float64], x: Order, y: Order) -> Strips:
    """Return points of shape (n, 2) in strips, from the orders of their columns; x is the one that varies less."""
    n = len(points)
    # From quantiles: a few far points must not decide.
    low, high = n // 10, n - 1 - n // 10
    with np.errstate(over="ignore"):
        spread = [one.ascending[high] - one.ascending[low] for one in (x, y)]
    if spread[0] > spread[1]:
        points, x, y, spread = points[:, ::-1], y, x, spread[::-1]
    shape = spread[0] / spread[1] if 0.0 < spread[1] < np.inf else 1.0
    strips = min(max(1, round(np.sqrt(n * shape) / _WIDTH)), 2**16 - 1)
    begin = np.arange(strips + 1) * n // strips
    strip = np.empty(n, np.uint16)
    strip[x.rows] = np.repeat(np.arange(strips, dtype=np.uint16), np.diff(begin))
    place = np.argsort(strip[y.rows], kind="stable")
    row = y.rows[place]
    return Strips(points[row, 0], y.ascending[place], row, begin, x.ascending[begin[:-1]], x.ascending[begin[1:] - 1])


@njit(cache=True, nogil=True, error_model="numpy")
def plane_kth_distances(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    begin: NDArray[np.int64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    places: NDArray[np.int64],
    queries: NDArray[np.int64],
    k: int,
    result: NDArray[np.float64],
) -> None:
    """Enter the distance to the k-th nearest other point of the points at these ascending places."""
    strips = len(low)
    nearest = np.empty(k)
    next_above = np.zeros(strips, np.int64)
    own = np.full(strips, -1)
    strip = 0
    for i in range(len(places)):
        at = places[i]
        while at >= begin[strip + 1]:
            strip += 1
        point_x, point_y = x[at], y[at]
        nearest[:] = np.inf
        _walk(x, y, begin[strip], begin[strip + 1], at - 1, at + 1, point_x, point_y, nearest)
        left, right = strip - 1, strip + 1
        while True:
            to_left = left >= 0 and point_x - high[left] < nearest[0]
            to_right = right < strips and low[right] - point_x < nearest[0]
            if not (to_left or to_right):
                break
            if to_left:
                _beside(x, y, begin, left, strip, point_x, point_y, next_above, own, nearest)
                left -= 1
            if to_right and low[right] - point_x < nearest[0]:
                _beside(x, y, begin, right, strip, point_x, point_y, next_above, own, nearest)
                right += 1
        result[queries[i]] = nearest[0]


@njit(cache=True, nogil=True, error_model="numpy")
def _beside(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    begin: NDArray[np.int64],
    strip: int,
    asking: int,
    point_x: float,
    point_y: float,
    next_above: NDArray[np.int64],
    own: NDArray[np.int64],
    nearest: NDArray[np.float64],
) -> None:
    """Walk through a strip other than that of the asking point, from where the one before stopped."""
    first, end = begin[strip], begin[strip + 1]
    if own[strip] == asking:
        above = next_above[strip]
    else:
        own[strip] = asking
        above = first + np.searchsorted(y[first:end], point_y)
    while above < end and y[above] < point_y:
        above += 1
    next_above[strip] = above
    _walk(x, y, first, end, above - 1, above, point_x, point_y, nearest)


@njit(cache=True, nogil=True, error_model="numpy")
def _walk(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    first: int,
    end: int,
    down: int,
    up: int,
    point_x: float,
    point_y: float,
    nearest: NDArray[np.float64],
) -> None:
    """Enter the distances to the points of a strip into the nearest, from two places on outwards."""
    while True:
        walked = False
        if up < end:
            distance = y[up] - point_y
            if distance < nearest[0]:
                distance = max(distance, abs(x[up] - point_x))
                if distance < nearest[0]:
                    replace_first(distance, nearest)
                up += 1
                walked = True
        if down >= first:
            distance = point_y - y[down]
            if distance < nearest[0]:
                distance = max(distance, abs(x[down] - point_x))
                if distance < nearest[0]:
                    replace_first(distance, nearest)
                down -= 1
                walked = True
        if not walked:
            return
