"""How opinions are spread over declared bins: entropy, and the effective number of opinions.

Class A: everything here is a function of whole-number counts, made by :func:`opinion_counts` from the opinions of one
moment; counts of parts of the agents add up to those of all.

Opinions are taken as independent draws from the distribution whose entropy is estimated. Validity is that of
:mod:`~simengine.diagnostics.counts.entropies`; for the inverse of sum p^2 it is 50 samples (``few_samples``), ten pairs
of which share an opinion (``unseen_states``).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics import checks
from simengine.diagnostics.counts.entropies import entropy_from_counts
from simengine.diagnostics.estimate import QUANTILE, Estimate, doubted, flagged, stacked
from simengine.diagnostics.populations.bins import Counts, counted, edges_of
from simengine.diagnostics.samples import Blocks, checked_counts, samples
from simengine.errors import InputError

EVEN = "opinions that are equally likely in all bins"

_FEWEST = 50
_FEWEST_PAIRS = 10


def scalar_opinions(opinions: Any, data: Any, dim: Any, word: str = "opinions") -> Blocks:
    """Return opinions, one number for each agent, as blocks (*batch, n, 1)."""
    blocks = samples(opinions, data=data, dim=dim, names=(word,))
    if blocks.arrays[0].shape[-1] != 1:
        raise InputError(f"{word} has {blocks.arrays[0].shape[-1]} components; expected one number for each agent")
    if blocks.arrays[0].dtype.kind not in "biuf":
        raise InputError(f"{word} holds texts; expected numbers")
    return blocks


def opinion_counts(opinions: NDArray[Any], edges: NDArray[np.float64]) -> tuple[Counts, int]:
    """Return how many of the opinions, shape (n,), each bin holds, and how many lie outside (they go to end bins)."""
    return counted(opinions, edges)


def opinion_entropy(
    opinions: Any, *, bins: Any = None, range: Any = None, states: int | None = None, estimator: str = "grassberger",
    unit: str = "nat", data: Any = None, dim: Any = None,
) -> Estimate:  # fmt: skip
    """Return the entropy of the opinions of agents over declared bins.

    Parameters
    ----------
    opinions
        One number for each agent, shape (n,) or (..., n, 1), or with names, see :mod:`simengine.diagnostics.samples`.
    bins, range
        Edges of the bins; or their number, and (low, high).
    states
        Instead of bins, where opinions are whole numbers from 0 to ``states`` - 1.
    estimator
        One of :func:`~simengine.diagnostics.counts.entropies.entropy_from_counts`.

    Returns
    -------
    estimate
        In nats or bits; its null are opinions that are equally likely in all bins.
    """
    blocks = scalar_opinions(opinions, data, dim)
    edges = edges_of(blocks.arrays[0], bins, range, states, "opinions")
    found = []
    for (block,) in blocks:
        counts, outside = opinion_counts(block[:, 0], edges)
        found.append(opinion_entropy_from_counts(counts, estimator=estimator, outside=outside))
    return stacked(found, blocks.batch, blocks.dims, blocks.coords).to(unit)


def opinion_entropy_from_counts(
    counts: Any, *, estimator: str = "grassberger", outside: int = 0, unit: str = "nat"
) -> Estimate:
    """Return the entropy of opinions of which each bin holds so many; see :func:`opinion_entropy`.

    ``counts`` has shape (K,), and ``outside`` says how many opinions lay outside the bins.
    """
    outside = checks.whole(outside, "outside", 0)
    counts = one_table(counts)
    base = entropy_from_counts(counts, estimator=estimator, states=counts.size)
    details = {**base.details, "bins": counts.size, "highest": math.log(counts.size), "outside": outside}
    return doubted(replace(base, null=EVEN, details=details), "outside_range" if outside else None).to(unit)


def one_table(counts: Any, word: str = "counts") -> Counts:
    """Return one table of counts, shape (K,)."""
    table = checked_counts(counts, word)
    if table.ndim != 1:
        raise InputError(f"{word} has shape {table.shape}; expected (K,): how many each bin holds")
    return table


def effective_opinions(
    opinions: Any, *, order: int = 1, bins: Any = None, range: Any = None, states: int | None = None,
    data: Any = None, dim: Any = None,
) -> Estimate:  # fmt: skip
    """Return the effective number of opinions: how many equally common ones would be as diverse (Hill 1973).

    Parameters
    ----------
    order
        1 for e^H, 2 for 1 / sum p^2, which weighs rare opinions less.
    opinions, bins, range, states
        As for :func:`opinion_entropy`.
    """
    blocks = scalar_opinions(opinions, data, dim)
    edges = edges_of(blocks.arrays[0], bins, range, states, "opinions")
    found = []
    for (block,) in blocks:
        counts, outside = opinion_counts(block[:, 0], edges)
        found.append(effective_opinions_from_counts(counts, order=order, outside=outside))
    return stacked(found, blocks.batch, blocks.dims, blocks.coords)


def effective_opinions_from_counts(counts: Any, *, order: int = 1, outside: int = 0) -> Estimate:
    """Return the effective number of opinions of which each bin holds so many; see :func:`effective_opinions`.

    e^H is that of Grassberger's entropy. The sum of p^2 is the share of pairs of different agents with one opinion,
    which has no bias, with the variance of Simpson (1949).
    """
    outside = checks.whole(outside, "outside", 0)
    checks.whole(order, "order, 1 for e^H and 2 for 1 / sum p^2,", 1, 2)
    counts = one_table(counts)
    found = _of_entropy(counts) if order == 1 else _of_pairs(counts)
    return doubted(found, "outside_range" if outside else None)


def _of_entropy(counts: Counts) -> Estimate:
    base = entropy_from_counts(counts, estimator="grassberger", states=counts.size)
    value, error = math.exp(float(base.value)), float(base.standard_error)
    low, high = (min(max(math.exp(float(end)), 1.0), float(counts.size)) for end in base.interval)
    even = math.exp(float(base.null_mean))
    return Estimate(
        value, value * error, (low, high), even, even * float(base.null_sd), base.n, "1",
        "exponential of Grassberger's entropy", base.flags, EVEN, {"bins": counts.size, "order": 1},
    )  # fmt: skip


def _of_pairs(counts: Counts) -> Estimate:
    n, bins = int(counts.sum()), counts.size
    flags = flagged(
        "empty" if n == 0 else None, "few_samples" if n < _FEWEST else None,
        "constant" if np.count_nonzero(counts) == 1 else None,
        "unseen_states" if n and np.square(counts, dtype=np.float64).sum() - n < 2 * _FEWEST_PAIRS else None,
    )  # fmt: skip
    details = {"bins": bins, "order": 2}
    if n < 4:
        return Estimate(math.nan, n=n, unit="1", method="pairs of agents", flags=flags, null=EVEN, details=details)
    c = counts.astype(np.float64)
    same = float(c @ (c - 1)) / (n * (n - 1.0))
    threes = float(c @ ((c - 1) * (c - 2))) / (n * (n - 1.0) * (n - 2.0))
    error = math.sqrt(max(_simpson_variance(n, same, threes), 0.0))
    null_error = math.sqrt(_simpson_variance(n, 1.0 / bins, 1.0 / bins**2))
    # Of pairs none of which agrees, up to three in as many might have.
    low, high = same - QUANTILE * error, same + QUANTILE * error if same > 0.0 else 6.0 / (n * (n - 1.0))
    value = 1.0 / same if same > 0.0 else math.inf
    # The error of an inverse that is cut off at the number of bins.
    spread = value**2 * error if same > 0.0 else math.nan
    interval = (min(max(1.0 / high, 1.0), float(bins)), float(bins) if low <= 1.0 / bins else 1.0 / low)
    return Estimate(
        value, spread, interval, float(bins), bins**2 * null_error, n, "1", "pairs of agents", flags, EVEN, details
    )


def _simpson_variance(n: int, same: float, threes: float) -> float:
    """Variance of the share of pairs with one opinion, from sum p^2 and sum p^3."""
    return (4.0 * (n - 2) * (threes - same**2) + 2.0 * (same - same**2)) / (n * (n - 1.0))
