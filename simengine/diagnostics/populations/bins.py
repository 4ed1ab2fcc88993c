"""Declared bins of opinions and other numbers, and counts in them.

Bins are said by the user and stay the same for a whole run: bins that followed the data of one moment could be
compared with no other moment and added to no other agents. Values outside count in the end bins.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit
from simengine.diagnostics.counts.counting import count_in_equal_bins, count_symbols, place_in_bins
from simengine.diagnostics.counts.tables import bin_edges
from simengine.errors import InputError

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@njit(cache=True, nogil=True, error_model="numpy")
def table_counts(rows: Counts, columns: Counts, n_rows: int, n_columns: int) -> Counts:
    """Return how often each pair of states occurs, shape (n_rows, n_columns)."""
    table = np.zeros((n_rows, n_columns), np.int64)
    for i in range(rows.size):
        table[rows[i], columns[i]] += 1
    return table


def declared_edges(bins: Any, range: Any, what: str) -> Floats:
    """Return the edges of declared bins: ``bins`` is a number of equal bins over ``range``, or the edges."""
    if bins is None:
        raise InputError(f"{what}: bins= must say the bins: their edges, or their number with range=(low, high)")
    if np.ndim(bins) == 0 and range is None:
        raise InputError(f"{what}: bins={bins} needs range=(low, high); it is declared, never taken from the data")
    return bin_edges(bins, range)


def checked_range(range: Any, what: str) -> tuple[float, float]:
    """Return (low, high), two finite numbers that rise."""
    try:
        low, high = (float(one) for one in range)
    except (TypeError, ValueError):
        raise InputError(f"{what}: range is {range!r}; expected (low, high)") from None
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise InputError(f"{what}: range is {low:g} to {high:g}; it must rise and be finite")
    return low, high


def checked_whole(number: Any, what: str, low: int) -> int:
    """Return a whole number that is at least ``low``."""
    if isinstance(number, bool) or np.ndim(number) or not np.isfinite(number) or int(number) != number or number < low:
        raise InputError(f"{what} is {number!r}; expected a whole number of at least {low}")
    return int(number)


def equally_spaced(edges: Floats) -> bool:
    """Whether the edges are those of equal bins, to rounding."""
    width = (edges[-1] - edges[0]) / (edges.size - 1)
    return bool(np.abs(np.diff(edges) - width).max() <= 1e-9 * width)


def state_edges(states: Any, what: str) -> Floats:
    """Return edges that give each of the whole numbers 0 ... states - 1 a bin with itself in the middle."""
    return np.arange(checked_whole(states, f"{what}: states", 1) + 1, dtype=np.float64) - 0.5


def counted(values: NDArray[Any], edges: Floats) -> tuple[Counts, int]:
    """Return the counts of finite values of shape (n,) in bins, and how many lie outside, which go to the end bins."""
    values = np.ascontiguousarray(values, dtype=np.float64)
    if equally_spaced(edges):
        counts, outside, _ = count_in_equal_bins(values, edges)
    else:
        found, outside = place_in_bins(values, edges)
        counts = count_symbols(found, edges.size - 1)
    return counts, int(outside)


def placed(values: NDArray[Any], edges: Floats) -> tuple[Counts, int]:
    """Return the bin of each of finite values of shape (n,), and how many lie outside, which go to the end bins."""
    found, outside = place_in_bins(np.ascontiguousarray(values, dtype=np.float64), edges)
    return found, int(outside)


def edges_of(values: NDArray[Any], bins: Any, range: Any, states: Any, what: str) -> Floats:
    """Return declared edges for values: from ``bins`` and ``range``, or ``states`` for whole numbers from 0 on."""
    if states is None:
        return declared_edges(bins, range, what)
    if bins is not None or range is not None:
        raise InputError(f"{what}: give bins= for numbers, or states= for whole numbers from 0 on, not both")
    edges = state_edges(states, what)
    if values.dtype.kind not in "biu":
        raise InputError(f"{what}: states= is for whole numbers; these are {values.dtype}; give bins= and range=")
    if values.size and (values.min() < 0 or values.max() >= edges.size - 1):
        raise InputError(f"{what} holds {values.min()} to {values.max()}; with states={edges.size - 1} it is 0 to "
                         f"{edges.size - 2}")  # fmt: skip
    return edges
