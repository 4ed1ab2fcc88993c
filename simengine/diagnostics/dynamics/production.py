"""Entropy production of a process from its series: how far it is from looking the same backwards.

Three estimators: ``"counts"`` of the transitions between symbols (:mod:`.production_counts`), ``"linear"`` for
Gaussian vectors (:mod:`.production_linear`), and ``"bound"``, a lower bound from the fluctuations of any current
(:mod:`.production_bound`); each of these modules says when it is valid. Whatever is not seen of a process, between two
looks or within a symbol, can only hide production: all three tell a part of it. Known values are in
:mod:`.exact_production`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simengine.diagnostics import checks, samples
from simengine.diagnostics.dynamics.production_bound import CLOCKS, bound_of_current
from simengine.diagnostics.dynamics.production_counts import (
    MOST_STATES,
    first_order,
    production_of_counts,
    slowest_mode,
    steady,
    transition_counts,
)
from simengine.diagnostics.dynamics.production_linear import CORRELATION_TIMES, correlation_time, production_of_gaussian
from simengine.diagnostics.estimate import Estimate, checked_unit, choose, flagged, stacked
from simengine.errors import InputError, nearest


def entropy_production(
    series: Any = None, *, estimator: str = "counts", counts: ArrayLike | None = None, states: int | None = None,
    window: int = 1, clock: str = "continuous", parity: ArrayLike | None = None, dt: float | None = None,
    unit: str = "nat", data: Any = None, dim: str | None = None, components: str | None = None,
    pool: samples.Dims = None,
) -> Estimate:  # fmt: skip
    """Return the entropy production per step, or per unit of time if ``dt`` is given.

    Its bias under detailed balance is subtracted, so that it may be negative by chance; where it is quadratic in a
    small departure from detailed balance, the interval is that of a noncentral chi-square.

    Parameters
    ----------
    series
        ``"counts"``: labels of the states, shape (T,), or (m, T) for m realisations of one process. ``"linear"``:
        vectors, shape (T, d) or (m, T, d). ``"bound"``: increments of a current that changes sign when time runs
        backwards (the turn of a heading, +1 and -1 for steps round a cycle), shape (T,) or (m, T). Or a DataArray, or
        the name of a variable of ``data``.
    estimator
        ``"counts"``, ``"linear"`` or ``"bound"``.
    counts
        In place of ``series``: how often each state (row) was followed by each (column), shape (..., K, K).
    states
        Size of the alphabet of labels 0, 1, ..., where the highest need not occur.
    window
        Of ``"bound"``: number of steps over which the current is accumulated.
    clock
        Of ``"bound"``: ``"continuous"``, or ``"discrete"`` for processes of synchronous steps, whose bound is weaker.
    parity
        Of ``"linear"``: +1 for variables that keep their sign under reversal of time (all, by default), -1 for those
        that change it, as velocities do; shape (d,). Whether a self-propulsion is odd is a matter of the model, and
        the value depends on it.
    dt
        Time between two steps.
    unit
        ``"nat"`` or ``"bit"``.
    data, dim, components, pool
        See :mod:`simengine.diagnostics.samples`.

    Returns
    -------
    Estimate
        Details: ``plug_in`` and ``bias`` per step, ``chi_square``, ``degrees_of_freedom``, ``p_value`` of detailed
        balance, ``one_way_edges``; of a bound ``mean_current`` and ``variance`` per step.

    Raises
    ------
    InputError
        If the input is no good or an option does not belong to the estimator.

    References
    ----------
    Schnakenberg, Rev. Mod. Phys. 48, 571 (1976); Seifert, Rep. Prog. Phys. 75, 126001 (2012).
    """
    checked_unit(unit)
    if dt is not None:
        dt = checks.positive(dt, "dt, the time between two steps,")
    window, clock = checks.whole(window, "window"), checks.one_of(clock, CLOCKS, "clock")
    if states is not None:
        states = checks.whole(states, "states")
    if (series is None) == (counts is None):
        raise InputError("entropy_production takes either a series or counts= of transitions")
    make = choose({"counts": _of_labels, "linear": _of_vectors, "bound": _of_current}, estimator, "entropy_production")
    _refuse(estimator, "linear", parity=parity, components=components)
    _refuse(estimator, "counts", counts=counts, states=states)
    _refuse(estimator, "bound", window=None if window == 1 else window, clock=None if clock == "continuous" else clock)
    if counts is not None:
        found = production_of_counts(_checked_tables(counts))
    elif estimator == "counts":
        found = make(samples.series(series, data=data, dim=dim, pool=pool, names=("series",), discrete=True), states)
    elif estimator == "linear":
        found = make(series, parity, data, dim, components, pool)
    else:
        found = make(samples.series(series, data=data, dim=dim, pool=pool, names=("series",), discrete=False), window,
                     clock)  # fmt: skip
    return _per_time(found, dt).to(unit)


def _of_labels(blocks: samples.Blocks, states: int | None) -> Estimate:
    (labels,) = blocks.arrays
    if labels.shape[-1] < 3:
        raise InputError(f"series has {labels.shape[-1]} steps; transitions need at least 3")
    codes, size = _coded(labels, states)
    tables = transition_counts(codes, size)
    found = production_of_counts(tables)
    flags = np.empty(blocks.batch, object)
    for index in np.ndindex(blocks.batch):
        doubts = found.flags[index] if blocks.batch else found.flags
        own = codes[index]
        memory = correlation_time(slowest_mode(tables[index])) if len(own) > 1 else 0.0
        flags[index] = flagged(
            *doubts,
            "constant" if (own == own.flat[0]).all() else None,
            None if first_order(own, size) else "not_markov",
            None if steady(own, size) else "drifting",
            "short_series" if codes.shape[-1] < CORRELATION_TIMES * memory else None,
        )
    return replace(found, flags=flags if blocks.batch else flags[()], dims=blocks.dims, coords=blocks.coords)


def _coded(labels: NDArray[Any], states: int | None) -> tuple[NDArray[np.int64], int]:
    """Labels numbered 0, 1, ... and how many there are."""
    if states is None:
        seen, codes = np.unique(labels, return_inverse=True)
        codes, size = codes.reshape(labels.shape).astype(np.int64), len(seen)
    else:
        if labels.dtype.kind not in "biu" or labels.min() < 0 or labels.max() >= states:
            raise InputError(f"with states={states} the series must hold whole numbers from 0 to {states - 1}")
        codes, size = labels.astype(np.int64), states
    if size > MOST_STATES:
        raise InputError(f"series has {size} states; transitions are counted for up to {MOST_STATES}: join some")
    return codes, size


def _checked_tables(counts: ArrayLike) -> NDArray[np.int64]:
    tables = samples.checked_counts(counts)
    if tables.ndim < 2 or tables.shape[-1] != tables.shape[-2]:
        raise InputError(f"counts has shape {tables.shape}; expected transitions of shape (..., K, K)")
    if tables.shape[-1] > MOST_STATES:
        raise InputError(f"counts has {tables.shape[-1]} states; up to {MOST_STATES} are allowed: join some")
    return tables


def _of_vectors(
    series: Any, parity: ArrayLike | None, data: Any, dim: str | None, components: str | None, pool: samples.Dims
) -> Estimate:
    blocks = samples.samples(series, data=data, dim=dim, components=components, names=("series",), discrete=False)
    (vectors,) = blocks.arrays
    batch_dims = list(blocks.dims)
    if batch_dims or pool is not None:
        names = [] if pool is None else [pool] if isinstance(pool, str) else list(pool)
        for name in names:
            if name not in batch_dims:
                raise InputError(f"series has no dim {name!r}{nearest(name, map(str, batch_dims))} to pool")
        pooled = [batch_dims.index(name) for name in names]
        kept = [axis for axis in range(len(batch_dims)) if axis not in pooled]
    else:
        # Of plain arrays (m, T, d) the first axis is that of realisations, as for series.
        if vectors.ndim > 3:
            raise InputError(
                f"series has shape {vectors.shape}; expected (T, d), or (m, T, d) for several realisations"
            )
        pooled, kept = list(range(vectors.ndim - 2)), []
    length, size = vectors.shape[-2:]
    if size < 2:
        raise InputError("a linear process of one variable looks the same backwards; give vectors of two or more")
    if length < 3:
        raise InputError(f"series has {length} steps; a linear fit needs at least 3")
    order = [*kept, *pooled, vectors.ndim - 2, vectors.ndim - 1]
    shape = tuple(vectors.shape[axis] for axis in kept)
    arranged = np.ascontiguousarray(vectors.transpose(order)).reshape(-1, *_realisations(vectors, pooled), length, size)
    signs = _signs(parity, size)
    dims = tuple(batch_dims[axis] for axis in kept) if batch_dims else ()
    coords = {name: one for name, one in blocks.coords.items() if name in dims}
    return stacked([production_of_gaussian(one, signs) for one in arranged], shape, dims, coords)


def _realisations(vectors: NDArray[np.float64], pooled: list[int]) -> tuple[int]:
    return (math.prod(vectors.shape[axis] for axis in pooled),)


def _signs(parity: ArrayLike | None, size: int) -> NDArray[np.float64]:
    if parity is None:
        return np.ones(size)
    signs = samples.as_array(parity, "parity")
    if signs.shape != (size,) or signs.dtype.kind not in "iuf" or not np.isin(signs, (-1, 1)).all():
        raise InputError(f"parity must hold +1 or -1 for each of the {size} components")
    return signs.astype(np.float64)


def _of_current(blocks: samples.Blocks, window: int, clock: str) -> Estimate:
    length = blocks.arrays[0].shape[-1]
    if window > length:
        raise InputError(f"window is {window}; allowed: 1 to {length}, the length of the series")
    found = [bound_of_current(current, window, clock) for (current,) in blocks]
    return stacked(found, blocks.batch, blocks.dims, blocks.coords)


def _refuse(estimator: str, owner: str, **options: Any) -> None:
    """Raise if an option of another estimator was given."""
    for name, option in options.items():
        if option is not None and estimator != owner:
            raise InputError(f"{name}= belongs to the estimator {owner!r}, not to {estimator!r}")


def _per_time(estimate: Estimate, dt: float | None) -> Estimate:
    if dt is None:
        return estimate
    low, high = estimate.interval
    numbers = {name: getattr(estimate, name) / dt for name in ("value", "standard_error", "null_mean", "null_sd")}
    return replace(estimate, **numbers, interval=(low / dt, high / dt), unit="nat/time")
