"""The arrangement of points in any number of dimensions: a balanced k-d tree with eight children to a node.

Nodes split their points at medians of their widest component, three times over from a node to its children. Leaves
hold 32 points and nodes the boxes around their eight children, component by component, so that one run over contiguous
memory gives the distances to all of them. Rounded subtraction and multiplication are monotone, hence the computed
distance to a box never exceeds the computed distance to a point in it, nor is the one to its far corner ever below:
nodes are passed over, or counted whole, exactly when a comparison of every point would say the same.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit
from simengine.diagnostics.continuous.knn_nearest import FEW, replace_first, replace_greatest, replace_last

LEAF = 32
WIDTH = 8
_STACK = 512
_TILED_UP_TO = 3


class Tree(NamedTuple):
    """A tree as arrays. Node 0 is the root; the boxes of the children of node v are entry v of `low` and `high`."""

    low: NDArray[np.float64]
    """Shape (inner nodes, d, 8)."""
    high: NDArray[np.float64]
    size: NDArray[np.int64]
    """Points of each node, leaves included."""
    leaf: NDArray[np.float64]
    """Coordinates, shape (leaves, d, 32); NaN where a leaf has no more points."""
    row: NDArray[np.int64]
    """Row of the point at each place of the leaves, one past the last where there is none."""
    root_width: int
    """Number of children of the root."""


def build(points: NDArray[np.float64]) -> Tree:
    """Return the tree of points of shape (n, d)."""
    n, d = points.shape
    depth = max(0, int(np.ceil(np.log2(n / LEAF))))
    # Where a leaf has no more points stands an extra column, which is never a least and never a greatest.
    least, greatest = np.full((d, n + 1), np.inf), np.full((d, n + 1), -np.inf)
    least[:, :n] = greatest[:, :n] = points.T
    row = np.minimum(np.arange(LEAF << depth), n)
    # In few dimensions tiles are as good as halves: one sort for each of the components.
    at_once = max(1, -(-depth // d)) if d <= _TILED_UP_TO else 1
    level = 0
    while level < depth:
        row = row.reshape(1 << level, -1)
        with np.errstate(over="ignore"):
            spread = [greatest[c][row].max(1) - least[c][row].min(1) for c in range(d)]
        values = least[np.argmax(spread, axis=0)[:, None], row]
        step = min(depth - level, at_once)
        order = np.argsort(values) if step > 1 else np.argpartition(values, row.shape[1] // 2 - 1)
        row = np.take_along_axis(row, order, axis=1)
        level += step
    row = row.reshape(1 << depth, LEAF)

    low = np.array([least[c][row].min(1) for c in range(d)])
    high = np.array([greatest[c][row].max(1) for c in range(d)])
    size = (row < n).sum(1)
    lows, highs, sizes = [], [], [size]
    while True:
        width = 1 << min(3, depth)
        lows.append(_grouped(low, width, np.inf))
        highs.append(_grouped(high, width, -np.inf))
        low, high = low.reshape(d, -1, width).min(2), high.reshape(d, -1, width).max(2)
        size = size.reshape(-1, width).sum(1)
        sizes.append(size)
        depth = max(0, depth - 3)
        if len(size) == 1:
            break
    least[:, n] = np.nan
    return Tree(
        low=np.concatenate(lows[::-1]),
        high=np.concatenate(highs[::-1]),
        size=np.concatenate(sizes[::-1]),
        leaf=np.ascontiguousarray(least[:, row].transpose(1, 0, 2)),
        row=row.ravel(),
        root_width=width,
    )


def _grouped(bounds: NDArray[np.float64], width: int, nothing: float) -> NDArray[np.float64]:
    """Arrange bounds, shape (d, nodes), as (parents, d, 8), filled up with ``nothing``."""
    d = len(bounds)
    full = np.full((bounds.shape[1] // width, d, WIDTH), nothing)
    full[:, :, :width] = bounds.reshape(d, -1, width).transpose(1, 0, 2)
    return full


@njit(cache=True, nogil=True, error_model="numpy")
def _leaf_distances(
    block: NDArray[np.float64], point: NDArray[np.float64], bound: float, distance: NDArray[np.float64]
) -> int:
    """Enter the maximum-norm distances from a point to those of a leaf; return how many are within a bound.

    If it returns 0, the distances may be those in the first few components only.
    """
    d = len(point)
    p, q = point[0], point[d - 1]
    for j in range(LEAF):
        a, b = abs(block[0, j] - p), abs(block[d - 1, j] - q)
        distance[j] = a if a > b else b
    hits = 0
    for j in range(LEAF):
        hits += 1 if distance[j] <= bound else 0
    c = 1
    while c < d - 1 and hits > 0:
        last = min(c + 1, d - 2)
        p, q = point[c], point[last]
        hits = 0
        for j in range(LEAF):
            a, b = abs(block[c, j] - p), abs(block[last, j] - q)
            a = a if a > b else b
            b = distance[j]
            a = a if a > b else b
            distance[j] = a
            hits += 1 if a <= bound else 0
        c += 2
    return hits


@njit(cache=True, nogil=True, error_model="numpy")
def _box_distances(
    low: NDArray[np.float64], high: NDArray[np.float64], point: NDArray[np.float64], distance: NDArray[np.float64]
) -> None:
    """Enter the maximum-norm distances from a point to the boxes of eight children."""
    for j in range(WIDTH):
        distance[j] = 0.0
    for c in range(len(point)):
        q = point[c]
        for j in range(WIDTH):
            distance[j] = max(distance[j], max(low[c, j] - q, q - high[c, j]))


@njit(cache=True, nogil=True, error_model="numpy")
def _leaf_squares(
    block: NDArray[np.float64], point: NDArray[np.float64], bound: float, distance: NDArray[np.float64]
) -> int:
    """Enter the squared euclidean distances from a point to those of a leaf; return how many are within a bound."""
    for j in range(LEAF):
        distance[j] = 0.0
    for c in range(len(point)):
        q = point[c]
        for j in range(LEAF):
            gap = block[c, j] - q
            distance[j] += gap * gap
    hits = 0
    for j in range(LEAF):
        hits += 1 if distance[j] <= bound else 0
    return hits


@njit(cache=True, nogil=True, error_model="numpy")
def _box_squares(
    low: NDArray[np.float64], high: NDArray[np.float64], point: NDArray[np.float64], distance: NDArray[np.float64]
) -> None:
    """Enter the squared euclidean distances from a point to the boxes of eight children."""
    for j in range(WIDTH):
        distance[j] = 0.0
    for c in range(len(point)):
        q = point[c]
        for j in range(WIDTH):
            gap = max(0.0, max(low[c, j] - q, q - high[c, j]))
            distance[j] += gap * gap


@njit(cache=True, nogil=True, error_model="numpy")
def _children(node: int, root_width: int) -> tuple[int, int]:
    """Return the first child of an inner node, and one past its last."""
    first = 1 + root_width + WIDTH * (node - 1) if node > 0 else 1
    return first, first + (WIDTH if node > 0 else root_width)


@njit(cache=True, nogil=True, error_model="numpy")
def _wait(
    node: int,
    root_width: int,
    gap: NDArray[np.float64],
    bound: float,
    waiting: NDArray[np.int64],
    waiting_gap: NDArray[np.float64],
    count: int,
) -> int:
    """Put the children of a node that are within the bound on the stack, the nearest on top; return its height."""
    first, end = _children(node, root_width)
    begin = count
    for child in range(first, end):
        distance = gap[child - first]
        if distance <= bound:
            at = count
            while at > begin and waiting_gap[at - 1] < distance:
                waiting[at] = waiting[at - 1]
                waiting_gap[at] = waiting_gap[at - 1]
                at -= 1
            waiting[at] = child
            waiting_gap[at] = distance
            count += 1
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def tree_kth_distances(
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    leaf: NDArray[np.float64],
    root_width: int,
    euclidean: bool,
    places: NDArray[np.int64],
    queries: NDArray[np.int64],
    k: int,
    result: NDArray[np.float64],
) -> None:
    """Enter the distance to the k-th nearest other point, squared if euclidean, of the points at these places."""
    first_leaf = len(low)
    d = leaf.shape[1]
    point, heap = np.empty(d), np.empty(k)
    distance, gap = np.empty(LEAF), np.empty(WIDTH)
    waiting, waiting_gap = np.empty(_STACK, np.int64), np.empty(_STACK)
    for i in range(len(places)):
        own, lane = places[i] // LEAF, places[i] % LEAF
        for c in range(d):
            point[c] = leaf[own, c, lane]
        heap[:] = np.inf
        # Its own leaf first, for a bound; the others from the root.
        waiting[0], waiting_gap[0] = 0, 0.0
        waiting[1], waiting_gap[1] = first_leaf + own, 0.0
        count = 2
        own_left = True
        while count > 0:
            count -= 1
            node = waiting[count]
            if waiting_gap[count] >= heap[0]:
                continue
            if node < first_leaf:
                if euclidean:
                    _box_squares(low[node], high[node], point, gap)
                else:
                    _box_distances(low[node], high[node], point, gap)
                count = _wait(node, root_width, gap, heap[0], waiting, waiting_gap, count)
                continue
            if node - first_leaf == own and not own_left:
                continue
            if euclidean:
                hits = _leaf_squares(leaf[node - first_leaf], point, heap[0], distance)
            else:
                hits = _leaf_distances(leaf[node - first_leaf], point, heap[0], distance)
            if node - first_leaf == own:
                distance[lane] = np.nan
                own_left = False
            if hits > 0:
                for j in range(LEAF):
                    if distance[j] < heap[0]:
                        if k <= FEW:
                            replace_first(distance[j], heap)
                        else:
                            replace_greatest(distance[j], heap)
        result[queries[i]] = heap[0]


@njit(cache=True, nogil=True, error_model="numpy")
def tree_nearest(
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    leaf: NDArray[np.float64],
    row: NDArray[np.int64],
    root_width: int,
    places: NDArray[np.int64],
    queries: NDArray[np.int64],
    distances: NDArray[np.float64],
    rows: NDArray[np.int64],
) -> None:
    """Enter the nearest other points of the points at these places, as many as there are columns, in no order."""
    first_leaf = len(low)
    d = leaf.shape[1]
    point = np.empty(d)
    distance, gap = np.empty(LEAF), np.empty(WIDTH)
    waiting, waiting_gap = np.empty(_STACK, np.int64), np.empty(_STACK)
    for i in range(len(places)):
        own, lane = places[i] // LEAF, places[i] % LEAF
        for c in range(d):
            point[c] = leaf[own, c, lane]
        heap, heap_row = distances[queries[i]], rows[queries[i]]
        heap[:] = np.inf
        heap_row[:] = len(row)
        waiting[0], waiting_gap[0] = 0, 0.0
        count = 1
        while count > 0:
            count -= 1
            node = waiting[count]
            if waiting_gap[count] > heap[0]:
                continue
            if node < first_leaf:
                _box_distances(low[node], high[node], point, gap)
                count = _wait(node, root_width, gap, heap[0], waiting, waiting_gap, count)
                continue
            hits = _leaf_distances(leaf[node - first_leaf], point, heap[0], distance)
            if node - first_leaf == own:
                distance[lane] = np.nan
            if hits > 0:
                for j in range(LEAF):
                    candidate = row[(node - first_leaf) * LEAF + j]
                    if distance[j] < heap[0] or (distance[j] == heap[0] and candidate < heap_row[0]):
                        replace_last(distance[j], candidate, heap, heap_row)


@njit(cache=True, nogil=True, error_model="numpy")
def tree_counts(
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    size: NDArray[np.int64],
    leaf: NDArray[np.float64],
    root_width: int,
    places: NDArray[np.int64],
    queries: NDArray[np.int64],
    limits: NDArray[np.float64],
    result: NDArray[np.int64],
) -> None:
    """Enter how many other points are no further than its limit from each of the points at these places."""
    first_leaf = len(low)
    d = leaf.shape[1]
    point = np.empty(d)
    distance, gap, reach = np.empty(LEAF), np.empty(WIDTH), np.empty(WIDTH)
    waiting = np.empty(_STACK, np.int64)
    for i in range(len(places)):
        own, lane = places[i] // LEAF, places[i] % LEAF
        for c in range(d):
            point[c] = leaf[own, c, lane]
        limit = limits[i]
        # The point itself is counted on the way.
        found = -1 if limit >= 0.0 else 0
        waiting[0] = 0
        count = 1 if limit >= 0.0 else 0
        while count > 0:
            count -= 1
            node = waiting[count]
            if node >= first_leaf:
                found += _leaf_distances(leaf[node - first_leaf], point, limit, distance)
                continue
            _box_distances(low[node], high[node], point, gap)
            # With its corners exchanged, the distance to a box is that to its far corner.
            _box_distances(high[node], low[node], point, reach)
            first, end = _children(node, root_width)
            for child in range(first, end):
                if gap[child - first] > limit:
                    continue
                if reach[child - first] <= limit:
                    found += size[child]
                else:
                    waiting[count] = child
                    count += 1
        result[queries[i]] = found
