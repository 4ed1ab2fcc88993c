"""Declared bins of opinions and other numbers, and counts in them.

Bins are said by the user and stay the same for a whole run: bins that followed the data of one moment could be
compared with no other moment and added to no other agents. Values outside count in the end bins.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit
from simengine.diagnostics import checks
from simengine.diagnostics.counts.counting import count_in_bins, place_in_bins
from simengine.diagnostics.counts.tables import bin_edges
from simengine.diagnostics.populations.arguments import MOST_CELLS, checked_numbers
from simengine.diagnostics.samples import checked_values
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
    given = checked_values(bins, f"{what}: bins")
    if given.ndim:
        return bin_edges(checked_numbers(given, f"{what}: bins"), range)
    number = checks.whole(bins, f"{what}: bins", 1, MOST_CELLS)
    if range is None:
        raise InputError(f"{what}: bins={number} needs range=(low, high); it is declared, never taken from the data")
    return bin_edges(number, checked_range(range, what))


def checked_range(range: Any, what: str) -> tuple[float, float]:
    """Return (low, high), two finite numbers that rise."""
    low, high = checked_numbers(range, f"{what}: range", (2,), "(low, high)").tolist()
    if not low < high:
        raise InputError(f"{what}: range is {low:g} to {high:g}; it must rise")
    return low, high


def state_edges(states: Any, what: str) -> Floats:
    """Return edges that give each of the whole numbers 0 ... states - 1 a bin with itself in the middle."""
    return np.arange(checks.whole(states, f"{what}: states", 1, MOST_CELLS) + 1, dtype=np.float64) - 0.5


def counted(values: NDArray[Any], edges: Floats) -> tuple[Counts, int]:
    """Return the counts of finite values of shape (n,) in bins, and how many lie outside, which go to the end bins."""
    counts, outside = count_in_bins(np.ascontiguousarray(values, dtype=np.float64), edges)
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
