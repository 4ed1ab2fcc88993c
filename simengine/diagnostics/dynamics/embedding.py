"""From series to what is compared at each step: the value, its own past, the past of others.

A window is one step t of one realisation for which all pasts are known; windows never reach from one realisation into
the next. Symbols become whole numbers, their histories one number each; other series stay columns of numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import rankdata

from simengine.diagnostics.counts.tables import binned
from simengine.diagnostics.dynamics.tally import joined, numbered, renumbered
from simengine.diagnostics.samples import is_discrete
from simengine.errors import InputError

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]

# Whole numbers that span no more than this many cells a sample are numbered without hashing.
_SPAN = 4


def symbols(values: NDArray[Any]) -> tuple[Codes, int]:
    """Return labels as 0, 1, ... in ascending order, of the same shape, and how many differ."""
    if values.dtype.kind in "biu":
        flat = values.astype(np.int64, copy=False).ravel()
        low, span = int(flat.min()), int(flat.max()) - int(flat.min()) + 1
        if span <= max(_SPAN * flat.size, 1024):
            codes, states = numbered(flat, low, span)
            return codes.reshape(values.shape), states
    labels, inverse = np.unique(values.astype(str) if values.dtype.kind == "O" else values, return_inverse=True)
    return np.ascontiguousarray(inverse.reshape(values.shape), np.int64), labels.size


def as_symbols(values: NDArray[Any], bins: Any, span: tuple[float, float] | None) -> tuple[NDArray[Any], bool]:
    """Return values sorted into bins, and whether some lie outside their range; without bins the values themselves.

    ``bins`` are ascending edges, or a number of equal bins between the two ends of ``span``.
    """
    if bins is None:
        return values, False
    codes, outside = binned(values, bins, span)
    return codes, outside > 0


def words(codes: Codes, states: int, length: int) -> tuple[Codes, int]:
    """Return one number for each run of ``length`` symbols, shape (m, T - length + 1), and the number of states."""
    steps = codes.shape[1] - length + 1
    found, kinds = np.ascontiguousarray(codes[:, :steps]).ravel(), states
    for j in range(1, length):
        found, kinds = joined(found, kinds, np.ascontiguousarray(codes[:, j : j + steps]).ravel(), states)
    return found.reshape(codes.shape[0], steps), kinds


def compact(codes: Codes, states: int) -> tuple[Codes, int]:
    """Return the same variable with numbers only for what occurs, if there are more of them than samples."""
    return renumbered(codes) if states > codes.size else (codes, states)


def history(codes: Codes, states: int, length: int, newest: int, first: int) -> tuple[Codes, int]:
    """Return the words of ``length`` symbols that end ``newest`` steps before t, for t = first, ..., T - 1; flat."""
    start = first - newest - length + 1
    part = codes[:, start : codes.shape[1] - newest]
    found, kinds = words(part, states, length)
    return np.ascontiguousarray(found).ravel(), kinds


def columns(values: Floats, length: int, newest: int, first: int) -> Floats:
    """Return the same as columns of numbers, shape (m n, length), the newest first."""
    steps = values.shape[1] - first
    parts = [values[:, first - newest - j : first - newest - j + steps].ravel() for j in range(length)]
    return np.stack(parts, axis=1)


def first_window(steps: int, reaches: Sequence[int]) -> int:
    """Return the first step with all of its past; ``InputError`` if the series is over before."""
    first = max(reaches)
    if first >= steps - 1:
        raise InputError(f"lag and history reach {first} steps back: {steps} steps are too few, at least {first + 2}")
    return first


def normal_scores(values: Floats) -> Floats:
    """Return values of the same ranks with a normal distribution, tied ones at their mean rank; shape (m, T)."""
    ranks = rankdata(values.ravel())
    return ndtri((ranks - 0.5) / ranks.size).reshape(values.shape)


def discrete(*arrays: NDArray[Any]) -> bool:
    """Whether all series are of labels."""
    return all(is_discrete(array) for array in arrays)
