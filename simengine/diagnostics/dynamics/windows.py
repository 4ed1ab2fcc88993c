"""Information between windows of series, by the estimator that is asked for or fits the data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics import checks
from simengine.diagnostics.continuous.mutual import MOST_DIMENSIONS
from simengine.diagnostics.dynamics import embedding
from simengine.diagnostics.dynamics.dependence import COUNT_ESTIMATORS, Coded, by_counts
from simengine.diagnostics.dynamics.linear import by_regression
from simengine.diagnostics.dynamics.nearest import by_neighbours
from simengine.diagnostics.dynamics.stationary import drifting
from simengine.diagnostics.estimate import Estimate, checked_unit, doubted, stacked
from simengine.diagnostics.samples import Blocks
from simengine.errors import InputError

Array = NDArray[Any]
ESTIMATORS = ("auto", *COUNT_ESTIMATORS, "gaussian", "copula", "ksg")
"""Names of the estimators of information between series."""


def each(estimate: Callable[..., Estimate], blocks: Blocks, unit: str, *, per: str = "step") -> Estimate:
    """Estimate batch by batch."""
    found = stacked([estimate(*arrays) for arrays in blocks], blocks.batch, blocks.dims, blocks.coords).to(unit)
    return replace(found, unit=f"{found.unit}/{per}") if per else found


def check(estimator: Any, names: Iterable[str], unit: Any, *, k: Any = 1, local: Any = False, seed: Any = 0) -> None:
    """Refuse options that no data can make good."""
    checks.one_of(estimator, names, "estimator")
    checked_unit(unit)
    checks.whole(k, "k")
    checks.truth(local, "local")
    checks.seed(seed)


def chosen(estimator: str, symbolic: bool, dimensions: int) -> str:
    """Return the estimator for this kind of data."""
    checks.one_of(estimator, ESTIMATORS, "estimator")
    if estimator == "auto":
        return "counts" if symbolic else "ksg" if dimensions <= MOST_DIMENSIONS else "copula"
    if estimator in COUNT_ESTIMATORS and not symbolic:
        raise InputError(f"estimator {estimator!r} counts states: give whole numbers or labels, or bins=")
    return estimator


def information(
    future: Array, others: Sequence[Array], pasts: Sequence[tuple[int, int]], first: int, estimator: str, *, bins: Any,
    span: tuple[float, float] | None, k: int, local: bool, shuffles: int, seed: int,
) -> Estimate:  # fmt: skip
    """Estimate the information between the next value and the first past, given all further pasts.

    ``pasts`` are (length, steps from its newest value to t) of each of ``others``.
    """
    rows, steps = future.shape
    binned = [embedding.as_symbols(one, bins, span) for one in (future, *others)]
    unsteady = next((flag for one in (future, *others) if (flag := drifting(one))), None)
    future, *others = (one for one, _ in binned)
    outside = "outside_range" if any(beyond for _, beyond in binned) else None
    symbolic = embedding.discrete(future, *others)
    method = chosen(estimator, symbolic, 1 + sum(length for length, _ in pasts))
    options: Mapping[str, Any] = {"local": local, "shuffles": shuffles, "seed": seed}
    if method in COUNT_ESTIMATORS:
        parts = []
        for one, (length, newest) in zip((future, *others), ((1, 0), *pasts), strict=True):
            codes, states = embedding.symbols(one)
            parts.append(Coded(*embedding.history(codes, states, length, newest, first)))
        a, b = parts[:2]
        condition = Coded(np.zeros_like(a.codes), 1)
        for part in parts[2:]:
            condition = condition & part
        return doubted(by_counts(a, b, condition, rows, method, **options), outside, unsteady)
    if any(one.dtype.kind not in "biuf" for one in (future, *others)):
        raise InputError(f"estimator {method!r} takes numbers, not texts")
    series_of = [np.asarray(one, np.float64) for one in (future, *others)]
    if method != "gaussian":
        series_of = [embedding.normal_scores(one) for one in series_of]
    windows = rows * (steps - first)
    embedded = [
        embedding.columns(one, length, newest, first)
        for one, (length, newest) in zip(series_of, ((1, 0), *pasts), strict=True)
    ]
    c = np.hstack([np.empty((windows, 0)), *embedded[2:]])
    if method == "ksg":
        return doubted(by_neighbours(embedded[0], embedded[1], c, rows, k, **options), outside, unsteady)
    return doubted(by_regression(embedded[0], embedded[1], c, rows, method, **options), outside, unsteady)
