"""Exact nearest neighbours in the maximum norm: distances, rows, and numbers of points within a radius.

The distance of two points is ``max |x_i - x_j|`` over their components, in floating point, and every answer is that
of comparing this very number for all pairs: bit for bit, whatever the order of the points or the number of threads.
A point is never its own neighbour; another point at the same place is, at distance zero.

One component takes a sort, two are put in strips, more in a k-d tree: O(n log n) in few dimensions, up to O(n^2) in
many.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma

from simengine.diagnostics.continuous.knn_line import line_counts, line_kth_distances
from simengine.diagnostics.continuous.knn_plane import Strips, arrange, plane_kth_distances
from simengine.diagnostics.continuous.knn_tree import Tree, build, tree_counts, tree_kth_distances, tree_nearest
from simengine.diagnostics.continuous.ordering import Order, order
from simengine.errors import InputError

STRICT = 1.0 - 1e-12
"""A distance is below a radius if it is below this multiple of it: rounding must not pull in what lies on the edge."""

_PLANE_UP_TO = 40
"""Neighbours up to which strips are faster than the tree."""

Norm = Literal["max", "euclidean"]


class _Places(NamedTuple):
    """Where the points stand: ascending places, and the row of the point at each."""

    places: NDArray[np.int64]
    rows: NDArray[np.int64]


class Neighbours:
    """Points arranged for searches: arranged once, asked often, as for the shuffles of a null.

    Parameters
    ----------
    points
        Shape (n,) or (n, d), finite numbers.
    threads
        Number of threads that share the queries; the answers do not depend on it.

    Raises
    ------
    InputError
        If the points are of another shape, or some are NaN or infinite.
    """

    def __init__(self, points: ArrayLike, threads: int = 1):
        array = np.asarray(points, np.float64)
        if array.ndim not in (1, 2) or array.size == 0:
            raise InputError(f"points have the shape {array.shape}: (n,) or (n, d) is needed, neither of them 0")
        if not np.isfinite(array).all():
            raise InputError("points hold NaN or infinite numbers: neighbours need finite ones")
        self.points: NDArray[np.float64] = array.reshape(len(array), -1)
        self.threads = threads
        self._orders: dict[int, Order] = {}

    def margin(self, columns: Sequence[int]) -> Neighbours:
        """Return some of the components for searches; a single one is not sorted again."""
        found = Neighbours(np.ascontiguousarray(self.points[:, list(columns)]), self.threads)
        if len(columns) == 1:
            found._orders[0] = self._order(columns[0])
        return found

    def kth_distances(self, k: int, queries: ArrayLike | None = None, norm: Norm = "max") -> NDArray[np.float64]:
        """Return the distance from each query to its k-th nearest other point; see :func:`kth_distances`."""
        self._check(k)
        if norm not in ("max", "euclidean"):
            raise InputError(f"norm is {norm!r}: it is 'max' or 'euclidean'")
        d = self.points.shape[1]
        if d == 1:
            return self._answers(
                self._line, queries, lambda at, rows, found: line_kth_distances(self._ascending, at, rows, k, found)
            )
        if d == 2 and norm == "max" and k <= _PLANE_UP_TO:
            plane = self._plane
            return self._answers(
                _Places(np.arange(len(plane.row)), plane.row), queries,
                lambda at, rows, found: plane_kth_distances(
                    plane.x, plane.y, plane.begin, plane.low, plane.high, at, rows, k, found
                ),
            )  # fmt: skip
        tree, euclidean = self._tree, norm == "euclidean"
        found = self._answers(
            self._leaves, queries,
            lambda at, rows, found: tree_kth_distances(
                tree.low, tree.high, tree.leaf, tree.root_width, euclidean, at, rows, k, found
            ),
        )  # fmt: skip
        return np.sqrt(found, out=found) if euclidean else found

    def nearest_indices(self, k: int, queries: ArrayLike | None = None) -> NDArray[np.int64]:
        """Return the rows of the k nearest other points of each query; see :func:`nearest_indices`."""
        self._check(k)
        tree = self._tree
        places, where = self._asked(self._leaves, queries)
        distances, rows = np.empty((len(places), k)), np.empty((len(places), k), np.int64)
        self._shared(
            len(places),
            lambda part: tree_nearest(
                tree.low, tree.high, tree.leaf, tree.row, tree.root_width, places[part], where[part], distances, rows
            ),
        )
        return np.take_along_axis(rows, np.lexsort((rows, distances)), axis=1)

    def count_within(
        self, radii: ArrayLike, strict: bool = True, queries: ArrayLike | None = None
    ) -> NDArray[np.int64]:
        """Return how many other points lie within the radius of each query; see :func:`count_within`."""
        line = self.points.shape[1] == 1
        arranged = self._line if line else self._leaves
        asked = len(arranged.rows) if queries is None else np.size(queries)
        radii = np.asarray(radii, np.float64)
        if radii.shape not in ((), (asked,)):
            raise InputError(f"radii have the shape {radii.shape}: one for each query, ({asked},), or one number")
        # Below a limit is up to the greatest number below it.
        limits = np.broadcast_to(np.nextafter(radii * STRICT, -np.inf) if strict else radii, asked)
        if line:
            return self._answers(
                arranged, queries,
                lambda at, rows, found: line_counts(self._ascending, at, rows, limits[rows], found), np.int64,
            )  # fmt: skip
        tree = self._tree
        return self._answers(
            arranged, queries,
            lambda at, rows, found: tree_counts(
                tree.low, tree.high, tree.size, tree.leaf, tree.root_width, at, rows, limits[rows], found
            ),
            np.int64,
        )  # fmt: skip

    def _order(self, column: int) -> Order:
        if column not in self._orders:
            self._orders[column] = order(self.points[:, column])
        return self._orders[column]

    @cached_property
    def _line(self) -> _Places:
        rows = self._order(0).rows
        return _Places(np.arange(len(rows)), rows)

    @cached_property
    def _ascending(self) -> NDArray[np.float64]:
        return self._order(0).ascending

    @cached_property
    def _plane(self) -> Strips:
        return arrange(self.points, self._order(0), self._order(1))

    @cached_property
    def _tree(self) -> Tree:
        return build(self.points)

    @cached_property
    def _leaves(self) -> _Places:
        filled = np.flatnonzero(self._tree.row < len(self.points))
        return _Places(filled, self._tree.row[filled])

    def _asked(self, all_places: _Places, queries: ArrayLike | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the places of the queries, in ascending order, and the number of the query at each."""
        if queries is None:
            return all_places.places, all_places.rows
        rows = np.asarray(queries)
        if rows.ndim != 1 or (rows.dtype.kind not in "iu" and rows.size):
            raise InputError(f"queries are {rows.dtype} of shape {rows.shape}: whole row numbers, (m,), are needed")
        if rows.size and not 0 <= rows.min() <= rows.max() < len(self.points):
            raise InputError(
                f"queries run from {rows.min()} to {rows.max()}: rows run from 0 to {len(self.points) - 1}"
            )
        place = np.empty(len(self.points), np.int64)
        place[all_places.rows] = all_places.places
        asked = place[rows.astype(np.int64)]
        where = np.argsort(asked)
        return asked[where], where

    def _answers(
        self, arranged: _Places, queries: ArrayLike | None, work: Callable[..., None], kind: Any = np.float64
    ) -> NDArray[Any]:
        """Return what the work enters for each query, from places, numbers of queries, and the array of answers."""
        places, where = self._asked(arranged, queries)
        found = np.empty(len(places), kind)
        self._shared(len(places), lambda part: work(places[part], where[part], found))
        return found

    def _shared(self, count: int, work: Callable[[slice], None]) -> None:
        """Do the work on all queries, in equal parts on the threads."""
        if self.threads <= 1:
            work(slice(0, count))
            return
        ends = [count * part // self.threads for part in range(self.threads + 1)]
        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(work, [slice(begin, end) for begin, end in pairwise(ends)]))

    def _check(self, k: int) -> None:
        if not 1 <= k < len(self.points):
            raise InputError(f"k is {k}: {len(self.points)} points have from 1 to {len(self.points) - 1} neighbours")


def kth_distances(
    points: ArrayLike, k: int, queries: ArrayLike | None = None, norm: Norm = "max", threads: int = 1
) -> NDArray[np.float64]:
    """Return the distance from each point to its k-th nearest other point.

    Parameters
    ----------
    points
        Shape (n,) or (n, d), finite numbers.
    k
        From 1 to n - 1.
    queries
        Row numbers, shape (m,): only these points ask, among all of them; every row by default.
    norm
        "max", or "euclidean": the root of the sum of squares, so that differences below 1e-150 or above 1e150 are no
        good.
    threads
        Number of threads that share the queries; the answer does not depend on it.

    Returns
    -------
    distances
        Shape (m,).
    """
    return Neighbours(points, threads).kth_distances(k, queries, norm)


def nearest_indices(points: ArrayLike, k: int, queries: ArrayLike | None = None, threads: int = 1) -> NDArray[np.int64]:
    """Return the rows of the k nearest other points, nearest first, equal distances by row number; shape (m, k)."""
    return Neighbours(points, threads).nearest_indices(k, queries)


def count_within(
    points: ArrayLike, radii: ArrayLike, strict: bool = True, queries: ArrayLike | None = None, threads: int = 1
) -> NDArray[np.int64]:
    """Return how many other points lie within a radius of each point, in the maximum norm.

    Parameters
    ----------
    points
        Shape (n,) or (n, d), finite numbers.
    radii
        One for each query, shape (m,), or one number for all. None lie within a radius that is negative or NaN.
    strict
        Count distances below ``radius * (1 - 1e-12)``; otherwise those up to the radius, itself included.
    queries
        Row numbers, shape (m,): only these points ask, among all of them; every row by default.
    threads
        Number of threads that share the queries; the answer does not depend on it.

    Returns
    -------
    counts
        Shape (m,), int64.
    """
    return Neighbours(points, threads).count_within(radii, strict, queries)


@lru_cache(maxsize=4)
def digamma_table(n: int) -> NDArray[np.float64]:
    """Return the digamma function of 0, 1, ..., n, shape (n + 1,); read-only; the first entry, a pole, is -inf."""
    table: NDArray[np.float64] = digamma(np.arange(n + 1.0))
    table[0] = -np.inf
    table.flags.writeable = False
    return table
