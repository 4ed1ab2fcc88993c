"""Lempel-Ziv complexity: into how many phrases a sequence falls, each the shortest that is new where it begins.

The exhaustive history of Lempel & Ziv (1976): each phrase is the longest run that also began earlier, overlaps
allowed, and one symbol more; the last need not be new. Phrases times ln n / n tends to the entropy rate,
slowly. In O(n log n), for any alphabet. Not the parsing of 1978, whose phrases are kept in a dictionary.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from simengine.diagnostics import checks
from simengine.diagnostics.dynamics import embedding
from simengine.diagnostics.dynamics.dependence import FEWEST
from simengine.diagnostics.dynamics.suffixes import phrases, previous_factors
from simengine.diagnostics.estimate import LEVEL, Estimate, doubted, flagged, stacked
from simengine.diagnostics.samples import Dims, series
from simengine.errors import InputError


def lempel_ziv_complexity(
    values: Any, *, normalized: bool = False, shuffles: int = 0, seed: int = 0, bins: Any = None,
    range: tuple[float, float] | None = None, data: Any = None, dim: Dims = None, pool: Dims = None,
) -> Estimate:  # fmt: skip
    """Count the phrases of a sequence; of realisations the mean, with its standard error and Student's interval.

    Parameters
    ----------
    values
        Symbols of shape (T,), (m, T) for m realisations, a DataArray, or the name of a variable of ``data``.
    normalized
        Divide by n / ln n to the base of the number of different symbols (at least 2), of each realisation.
    shuffles
        So many random orders of the symbols of each realisation give the null.
    bins, range
        Edges of bins, or a number of them and their range, that make symbols of numbers.

    Returns
    -------
    estimate
        Without unit; the standard error is NaN for a single realisation. ``details["phrases"]`` has the number of each
        realisation, ``details["rate"]`` phrases times ln n / n, an entropy rate in nats a step.
    """
    checks.truth(normalized, "normalized")
    checks.repeats(shuffles)
    checks.seed(seed)
    blocks = series(values, data=data, dim=dim, pool=pool)

    def estimate(one: NDArray[Any]) -> Estimate:
        labels, beyond = embedding.as_symbols(one, bins, range)
        if not embedding.discrete(labels):
            raise InputError("phrases are of symbols: give whole numbers or labels, or bins=")
        codes, states = embedding.symbols(labels)
        found = _single(codes, states, normalized, shuffles, seed)
        return doubted(found, "outside_range" if beyond else None)

    found = [estimate(*arrays) for arrays in blocks]
    return stacked(found, blocks.batch, blocks.dims, blocks.coords)


def _single(codes: NDArray[np.int64], states: int, normalized: bool, shuffles: int, seed: int) -> Estimate:
    rows, n = codes.shape
    scales = np.array([_scale(row) if normalized else 1.0 for row in codes])
    counts = np.array([phrases(previous_factors(np.ascontiguousarray(row), states)) for row in codes])
    each = counts * scales
    error = float(each.std(ddof=1)) / math.sqrt(rows) if rows > 1 else math.nan
    reach = float(stdtrit(rows - 1, 0.5 * (1.0 + LEVEL))) * error if rows > 1 else math.nan
    null_mean, null_sd, null = math.nan, math.nan, ""
    if shuffles:
        rng = np.random.Generator(np.random.Philox(seed))
        means = [
            float(np.mean([phrases(previous_factors(rng.permutation(row), states)) for row in codes] * scales))
            for _ in np.arange(shuffles)
        ]
        null_mean, null_sd = float(np.mean(means)), float(np.std(means, ddof=1)) if shuffles > 1 else math.nan
        null = f"symbols in {shuffles} random orders"
    value = float(each.mean())
    return Estimate(
        value, error, (max(value - reach, 0.0), value + reach), null_mean, null_sd, codes.size, "1", "lempel-ziv-76",
        flagged("few_samples" if n < FEWEST else None, "constant" if states == 1 else None), null,
        {"phrases": counts, "rate": float(counts.mean()) * math.log(n) / n},
    )  # fmt: skip


def _scale(row: NDArray[np.int64]) -> float:
    base = max(np.unique(row).size, 2)
    return math.log(row.size) / math.log(base) / row.size
