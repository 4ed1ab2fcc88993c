"""How much opinions on an ordered scale agree: van der Eijk's A.

Class A: a function of whole-number counts. Van der Eijk (2001, Quality & Quantity 35, 325): the counts are taken apart
into layers, each of which fills some of the K categories evenly; a layer's agreement is U (1 - (S - 1) / (K - 1)) with
S filled categories and U = ((K - 2) TU - (K - 1) TDU) / ((K - 2) (TU + TDU)), where of all ordered triples of
categories TU are 110 or 011 and TDU are 101 (1: filled). A is 1 where all share a category, 0 where opinions fill all
categories evenly, and -1 where two halves sit at both ends.

A is linear in the shares as long as their order stays, and bends where two of them are equal: the error is that of 400
tables drawn from the shares, the bias that they show is taken off, and with it the value may pass -1 or 1. Valid from
150 opinions on for up to 15 categories and from ten a category on for more (``few_samples``).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit
from simengine.diagnostics import checks
from simengine.diagnostics.estimate import Estimate, doubted, flagged, normal_interval, stacked
from simengine.diagnostics.populations.bins import Counts, edges_of
from simengine.diagnostics.populations.opinions import EVEN, one_table, opinion_counts, scalar_opinions
from simengine.diagnostics.populations.shares import Floats, drawn
from simengine.errors import InputError

_DRAWS = 400
_MOST_CATEGORIES = 10_000
_FEWEST = 150
_FEWEST_A_CATEGORY = 10


@njit(cache=True, nogil=True, error_model="numpy")
def _layer_agreement(filled: NDArray[np.bool_]) -> float:
    """Agreement of a layer that fills some categories evenly."""
    size = filled.size
    number = 0
    for k in range(size):
        number += filled[k]
    one_gap, adjacent = 0, 0
    before = 0
    # Counted by the middle of three: what is filled, and what is not, on either side of it.
    for k in range(size):
        after = number - before - filled[k]
        empty_before, empty_after = k - before, size - 1 - k - after
        if filled[k]:
            adjacent += before * empty_after + empty_before * after
        else:
            one_gap += before * after
        before += filled[k]
    if adjacent + one_gap == 0:
        unimodal = 1.0
    else:
        unimodal = ((size - 2.0) * adjacent - (size - 1.0) * one_gap) / ((size - 2.0) * (adjacent + one_gap))
    return unimodal * (1.0 - (number - 1.0) / (size - 1.0))


@njit(cache=True, nogil=True, error_model="numpy")
def agreement_of(tables: Counts) -> Floats:
    """Return van der Eijk's A of each row of counts, shape (m, K), K >= 3; NaN for an empty row."""
    rows, size = tables.shape
    found = np.empty(rows)
    for row in range(rows):
        left = tables[row].copy()
        total = left.sum()
        value = 0.0
        held = total
        while held > 0:
            least, number = held, 0
            for k in range(size):
                if left[k] > 0:
                    least = min(least, left[k])
                    number += 1
            value += _layer_agreement(left > 0) * (number * least)
            for k in range(size):
                if left[k] > 0:
                    left[k] -= least
            held -= number * least
        found[row] = value / total if total > 0 else math.nan
    return found


def ordinal_agreement(
    opinions: Any, *, states: int | None = None, bins: Any = None, range: Any = None, data: Any = None,
    dim: Any = None,
) -> Estimate:  # fmt: skip
    """Return van der Eijk's agreement A of opinions on an ordered scale, from -1 (two ends) over 0 (even) to 1.

    Parameters
    ----------
    opinions
        One for each agent: whole numbers from 0 to ``states`` - 1, or numbers with declared ``bins``, see
        :func:`~simengine.diagnostics.populations.opinions.opinion_entropy`.
    """
    blocks = scalar_opinions(opinions, data, dim)
    edges = edges_of(blocks.arrays[0], bins, range, states, "opinions")
    found = []
    for (block,) in blocks:
        counts, outside = opinion_counts(block[:, 0], edges)
        found.append(doubted(ordinal_agreement_from_counts(counts), "outside_range" if outside else None))
    return stacked(found, blocks.batch, blocks.dims, blocks.coords)


def ordinal_agreement_from_counts(counts: Any, *, seed: int = 0) -> Estimate:
    """Return van der Eijk's A of counts in at least three ordered categories; see :func:`ordinal_agreement`.

    The null are opinions that are equally likely in all categories.
    """
    counts = one_table(counts)
    size, n = counts.size, int(counts.sum())
    if not 3 <= size <= _MOST_CATEGORIES:
        raise InputError(f"an ordered scale has 3 to {_MOST_CATEGORIES} categories; counts has {size}")
    seed = checks.seed(seed)
    flags = flagged(
        "empty" if n == 0 else None,
        "few_samples" if n < max(_FEWEST, _FEWEST_A_CATEGORY * size) else None,
        "constant" if np.count_nonzero(counts) == 1 else None,
    )  # fmt: skip
    if n == 0:
        return Estimate(math.nan, unit="1", method="van der Eijk", flags=flags, null=EVEN)
    plain = float(agreement_of(counts[None, :])[0])
    again = agreement_of(drawn(counts / n, n, _DRAWS, seed))
    bias = float(again.mean()) - plain
    # Of a bend the tables see as much as they are biased.
    error = math.hypot(float(again.std(ddof=1)), bias)
    null = _even_null(n, size)
    centre = min(max(plain - bias, -1.0), 1.0)
    return Estimate(
        plain - bias, error, normal_interval(centre, error, -1.0, 1.0), *null, n, "1", "van der Eijk", flags,
        EVEN, {"categories": size, "bias": bias, "plain": plain},
    )  # fmt: skip


@lru_cache(maxsize=256)
def _even_null(n: int, size: int) -> tuple[float, float]:
    """Mean and standard deviation of the corrected value of even opinions; its bias is taken off like the value's."""
    plain = agreement_of(drawn(np.full(size, 1.0 / size), n, _DRAWS, 1))
    return float(plain.mean()), float(plain.std(ddof=1))
