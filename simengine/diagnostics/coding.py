"""Cross entropy: the mean code length of samples of one variable in the code of another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics.counts.divergences import cross_entropy_from_counts
from simengine.diagnostics.counts.tables import bin_edges, binned, encode
from simengine.diagnostics.estimate import Estimate, checked_unit, doubted
from simengine.diagnostics.samples import checked_values, is_discrete
from simengine.errors import InputError


def cross_entropy(x: Any, y: Any, *, unit: str = "nat", bins: Any = None, range: Any = None) -> Estimate:
    """Estimate -sum p ln q, where x are samples of p and y samples of q, of labels or of numbers in bins.

    That of :func:`~simengine.diagnostics.counts.divergences.cross_entropy_from_counts`, with its null and its doubts.

    Parameters
    ----------
    x, y
        Samples of shape (n,) and (m,), labels of any type, or numbers with ``bins``.
    unit
        "nat" or "bit".
    bins, range
        Edges, or a number of equal bins over the range.
    """
    checked_unit(unit)
    edges = None if bins is None else bin_edges(bins, range)
    if bins is None and range is not None:
        raise InputError("range= belongs to bins=, the number of bins")
    a, outside_a = _symbols(x, "x", edges)
    b, outside_b = _symbols(y, "y", edges)
    if edges is not None:
        states = edges.size - 1
    else:
        both, states = encode(np.concatenate([a, b]))
        a, b = both[: len(a)], both[len(a) :]
    found = cross_entropy_from_counts(np.bincount(a, minlength=states), np.bincount(b, minlength=states))
    doubts = ("outside_range" if outside_a or outside_b else None, "constant" if states == 1 else None)
    details = {"states": states, "samples_of_code": len(b)}
    return replace(doubted(found, *doubts), n=len(a), method="cross-entropy", details=details).to(unit)


def _symbols(values: Any, word: str, edges: NDArray[np.float64] | None) -> tuple[NDArray[Any], int]:
    array = checked_values(values, word)
    if array.ndim != 1 or array.size == 0:
        raise InputError(f"{word} has shape {array.shape}; expected samples of shape (n,)")
    if edges is not None:
        if array.dtype.kind not in "biuf":
            raise InputError(f"{word} holds texts; only numbers can be put into bins")
        return binned(array.astype(np.float64), edges, None, word)
    if not is_discrete(array):
        raise InputError(f"{word} holds fractions where states are counted; give whole numbers, or bins=")
    return array, 0
