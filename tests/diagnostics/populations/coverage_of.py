"""How often intervals hold the truth, and how wide they are against those of an oracle."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from simengine.diagnostics.estimate import Estimate


class Coverage(NamedTuple):
    """Share of intervals that hold the truth, their median width over that of an oracle, share of flagged answers."""

    holds: float
    width: float
    flagged: float


def coverage_of(estimate: Callable[[np.random.Generator], Estimate], truth: float, times: int = 200) -> Coverage:
    """Repeat an estimate; the oracle knows the standard deviation of the value."""
    values, widths, held, doubts = [], [], 0, 0
    for repetition in range(times):
        found = estimate(np.random.Generator(np.random.Philox([7, repetition])))
        low, high = found.interval
        values.append(float(found.value))
        widths.append(high - low)
        held += low <= truth <= high
        doubts += bool(found.flags)
    oracle = 2.0 * 1.96 * float(np.std(values, ddof=1))
    return Coverage(held / times, float(np.median(widths)) / oracle, doubts / times)
