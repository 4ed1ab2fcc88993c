"""Change of a distribution in time, from a sequence of count tables: novelty, transience, resonance, drift.

Tables c_t of shape (..., T, K) are windows of a series, or what a population did in each period. With the smoothed
distributions p_t = (c_t + 1/2) / (N_t + K/2) over the K states that were seen in the tables that are compared,

* novelty N_t is the mean over j = 1 ... w of KL(p_t || p_{t-j}), the surprise of now for one who knows the past;
* transience T_t the mean of KL(p_t || p_{t+j}), the surprise for one who knows the future;
* resonance R_t = N_t - T_t: new, and here to stay (Barron, Huang, Spang & DeDeo, PNAS 115, 4607 (2018)).

Under the null, all tables hold independent samples of one distribution. A divergence of two tables then is half a
chi-square in K - 1 dimensions, with the mean (K - 1) / 2 (1 / N_t + 1 / N_s), which is subtracted: the values are
those of the distributions, not of the samples, and negative by chance where nothing changes.

Valid for tables of independent samples with five or more per state and table, at least one in each cell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simengine.diagnostics import checks, samples
from simengine.diagnostics.counts import divergences
from simengine.diagnostics.dynamics.noncentral import squared_error
from simengine.diagnostics.estimate import Estimate, checked_unit, flagged, normal_interval
from simengine.errors import InputError, nearest

Array = NDArray[np.float64]

FEW = 5.0
"""Least mean count of a state in a table that raises no doubt."""

_NULL = "all tables are samples of one distribution"
_NUMBERS = ("value", "standard_error", "null_mean", "null_sd", "n")
_MEASURES: dict[str, Callable[[Any, Any], Estimate]] = {
    "jensen-shannon": lambda now, before: divergences.jensen_shannon(before, now, weights="samples"),
    "kl": divergences.kl_divergence,
    "population-stability": divergences.population_stability_index,
    "hellinger": divergences.hellinger,
    "wasserstein": divergences.wasserstein,
}
_DOUBTS = ("few_samples", "empty", "constant", "unseen_states")
_MOST_STATES = 1 << 20
_END = flagged("series_end")


def novelty(counts: Any, *, window: int, unit: str = "nat", data: Any = None, dim: str | None = None) -> Estimate:
    """Return how far each table is from the ``window`` tables before it.

    Parameters
    ----------
    counts
        Shape (..., T, K): how often each of K states was seen in each of T periods. Or a DataArray whose last dim
        besides ``dim`` is that of the states, or the name of a variable of ``data``.
    window
        w, the number of tables to compare with.
    unit
        ``"nat"`` or ``"bit"``.
    data, dim
        The name of the dim of time; see :mod:`simengine.diagnostics.samples`.

    Returns
    -------
    Estimate
        Arrays of shape (..., T); NaN, flagged ``series_end``, within ``window`` of the beginning. Details:
        ``plug_in``, the published value.
    """
    return _surprise(counts, window, unit, data, dim, "novelty")


def transience(counts: Any, *, window: int, unit: str = "nat", data: Any = None, dim: str | None = None) -> Estimate:
    """Return how far each table is from the ``window`` tables after it; see :func:`novelty`."""
    return _surprise(counts, window, unit, data, dim, "transience")


def resonance(counts: Any, *, window: int, unit: str = "nat", data: Any = None, dim: str | None = None) -> Estimate:
    """Return novelty less transience: above 0 where what is new stays; see :func:`novelty`.

    The samples of the table itself, which are in both, cancel: it is far less noisy than either.
    """
    return _surprise(counts, window, unit, data, dim, "resonance")


def drift(
    counts: Any, *, lag: int = 1, measure: str = "jensen-shannon", unit: str = "nat", data: Any = None,
    dim: str | None = None,
) -> Estimate:  # fmt: skip
    """Return how far each table is from the one ``lag`` before it; nothing is smoothed.

    Parameters
    ----------
    counts, unit, data, dim
        As in :func:`novelty`; only divergences have the unit.
    lag
        Number of periods between the two tables.
    measure
        ``"jensen-shannon"``, weighted as the numbers of samples, so that it is the information between state and
        period; ``"kl"`` of now from before; ``"population-stability"``; ``"hellinger"``; or ``"wasserstein"`` in units
        of a bin. See :mod:`simengine.diagnostics.counts.divergences`, also for when they are valid.

    Returns
    -------
    Estimate
        Arrays of shape (..., T); NaN, flagged ``series_end``, in the first ``lag`` periods.
    """
    checked_unit(unit)
    between = _MEASURES[checks.one_of(measure, _MEASURES, "drift: measure")]
    lag = checks.whole(lag, "lag")
    tables, dims, coords = _tables(counts, data, dim)
    if lag >= tables.shape[-2]:
        raise InputError(f"lag is {lag}; allowed: 1 to {tables.shape[-2] - 1}, less than the number of tables")
    found: Estimate = between(tables[..., lag:, :], tables[..., :-lag, :])
    numbers: dict[str, Any] = {name: _padded(getattr(found, name), lag, 0) for name in _NUMBERS}
    flags = np.empty(tables.shape[:-1], object)
    for index in np.ndindex(flags.shape):
        flags[index] = _END if index[-1] < lag else found.flags[(*index[:-1], index[-1] - lag)]
    low, high = found.interval
    shape = np.shape(found.value)
    details = {
        name: _padded(one, lag, 0) if isinstance(one, np.ndarray) and one.shape == shape else one
        for name, one in found.details.items()
    }
    found = replace(
        found, **numbers, interval=(_padded(low, lag, 0), _padded(high, lag, 0)), flags=flags, null=_NULL, dims=dims,
        coords=coords, details={**details, "lag": lag}, method=f"{measure} drift",
    )  # fmt: skip
    return found.to(unit) if found.unit == "nat" else found


def window_counts(
    series: Any, *, window: int, states: int | None = None, data: Any = None, dim: str | None = None,
    pool: samples.Dims = None,
) -> NDArray[np.int64]:  # fmt: skip
    """Return how often each state occurred in successive windows of a series of labels, shape (..., T // window, K).

    Parameters
    ----------
    series
        Labels, shape (T,), or (m, T) for m realisations that are counted together; see
        :mod:`simengine.diagnostics.samples` for ``data``, ``dim`` and ``pool``.
    window
        Length of a window; an incomplete one at the end is left out.
    states
        K, where labels are 0 ... K - 1; else those that occur, in ascending order.
    """
    blocks = samples.series(series, data=data, dim=dim, pool=pool, names=("series",), discrete=True)
    (labels,) = blocks.arrays
    length = labels.shape[-1]
    window = checks.whole(window, "window", 1, length)
    if states is not None:
        states = checks.whole(states, "states", 1, _MOST_STATES)
    if states is None:
        seen, codes = np.unique(labels, return_inverse=True)
        codes, size = codes.reshape(labels.shape), len(seen)
    else:
        if labels.dtype.kind not in "biu" or labels.min() < 0 or labels.max() >= states:
            raise InputError(f"with states={states} the series must hold whole numbers from 0 to {states - 1}")
        codes, size = labels.astype(np.int64), states
    parts = length // window
    if parts * size > _MOST_STATES:
        raise InputError(f"{parts} windows of {size} states are too many cells; up to {_MOST_STATES} are counted")
    place = np.arange(parts * window) // window * size
    rows = (codes[..., : parts * window] + place).reshape(-1, labels.shape[-2] * parts * window)
    found = np.array([np.bincount(row, minlength=parts * size) for row in rows], dtype=np.int64)
    return found.reshape(*blocks.batch, parts, size)


def _surprise(
    counts: Any, window: int, unit: str, data: Any, dim: str | None, kind: Literal["novelty", "transience", "resonance"]
) -> Estimate:
    checked_unit(unit)
    window = checks.whole(window, "window")
    tables, dims, coords = _tables(counts, data, dim)
    shape = tables.shape[:-1]
    ahead = 0 if kind == "novelty" else window
    behind = 0 if kind == "transience" else window
    if window > shape[-1] - 1 or behind + ahead >= shape[-1]:
        raise InputError(
            f"window is {window}; {kind} of {shape[-1]} tables needs one of 1 to {_widest(shape[-1], kind)}"
        )
    flat = tables.reshape(-1, *tables.shape[-2:]).astype(np.float64)
    parts = [_of_sequence(one, window, behind, ahead) for one in flat]
    value, error, low, high, spread, plug_in = (
        np.stack([part[column] for part in parts]).reshape(*shape[:-1], -1) for column in range(6)
    )
    doubts = np.stack([part[6] for part in parts]).reshape(*value.shape, 4).astype(bool)
    flags = _flags(doubts, shape, behind)
    pad = (behind, ahead)
    return Estimate(
        _padded(value, *pad), _padded(error, *pad), (_padded(low, *pad), _padded(high, *pad)),
        null_mean=_padded(0.0 * value, *pad), null_sd=_padded(spread, *pad), n=tables.sum(axis=-1), method=kind,
        flags=flags, null=_NULL, dims=dims, coords=coords,
        details={"window": window, "plug_in": _padded(plug_in, *pad)},
    ).to(unit)  # fmt: skip


def _widest(length: int, kind: str) -> int:
    return (length - 1) // 2 if kind == "resonance" else length - 1


def _of_sequence(table: Array, window: int, behind: int, ahead: int) -> tuple[NDArray[Any], ...]:
    """Value, error, low, high, null, plug-in value and doubts of tables (T, K), ``behind`` before, ``ahead`` after."""
    table = table[:, table.sum(axis=0) > 0.0]
    total = table.sum(axis=1)
    now = slice(behind, len(table) - ahead)
    size = len(table) - behind - ahead
    both = behind > 0 and ahead > 0
    shifts = [(-j, 1.0) for j in range(1, window + 1) if behind] + [
        (j, -1.0 if both else 1.0) for j in range(1, window + 1) if ahead
    ]
    places = [slice(now.start + shift, now.start + shift + size) for shift, _ in [(0, 0.0), *shifts]]
    # The states of a moment are those of the tables that are compared with one another.
    seen = np.any([table[place] > 0.0 for place in places], axis=0)
    states = np.maximum(seen.sum(axis=1), 1).astype(np.float64)

    def smoothed(place: slice) -> Array:
        found: Array = np.where(seen, (table[place] + 0.5) / (total[place] + 0.5 * states)[:, None], 0.0)
        return found

    def logarithm(shares: Array) -> Array:
        found: Array = np.log(np.where(seen, shares, 1.0))
        return found

    p = smoothed(now)
    log = logarithm(p)
    own = (p * log).sum(axis=1)
    n = np.maximum(total[now], 1.0)
    shares = 1.0 / window
    plug_in, bias = np.zeros(size), np.zeros(size)
    gradient = np.zeros((size, table.shape[1]))
    others, null_variance = np.zeros(size), np.zeros(size)
    for (_, sign), other in zip(shifts, places[1:], strict=True):
        q, m = smoothed(other), np.maximum(total[other], 1.0)
        of_other = logarithm(q)
        plug_in += sign * shares * (own - (p * of_other).sum(axis=1))
        bias += sign * shares * 0.5 * (states - 1) * (1.0 / n + 1.0 / m)
        gradient += sign * shares * (log - of_other)
        others += shares**2 * np.maximum((p**2 / np.where(seen, q, 1.0)).sum(axis=1) - 1.0, 0.0) / m
        null_variance += shares**2 * (states - 1) * (1.0 / (n * m) + 0.5 / m**2)
    if not both:
        null_variance += 0.5 * (states - 1) / n**2
    mean = (p * gradient).sum(axis=1)
    variance = (p * (gradient - mean[:, None]) ** 2).sum(axis=1) / n + others
    value = plug_in - bias
    if both:
        # What sampling adds to the delta method under the null is twice the null's own variance of products.
        error = np.sqrt(np.maximum(variance - _by_chance(total, now, size, window, states), 0.0) + null_variance)
        low, high = normal_interval(value, error)
    else:
        error, low, high = squared_error(np.maximum(plug_in, 0.0), bias, null_variance, variance)
    least = np.min([total[place] for place in places], axis=0)
    unseen = np.any([((table[place] == 0.0) & seen).any(axis=1) for place in places], axis=0)
    doubts = np.stack([least < FEW * states, least == 0.0, states < 2, unseen], axis=-1)
    return value, error, np.asarray(low), np.asarray(high), np.sqrt(null_variance), plug_in, doubts


def _by_chance(total: Array, now: slice, size: int, window: int, states: Array) -> Array:
    """Mean of the delta method's variance of resonance where nothing changes."""
    n = np.maximum(total, 1.0)
    found = np.zeros(size)
    for shift in (*range(-window, 0), *range(1, window + 1)):
        m = n[now.start + shift : now.start + shift + size]
        own = n[now]
        found += (states - 1) / window**2 * (1.0 / (own * m) + (1.0 / own + 1.0 / m) / m)
    return found


def _tables(
    counts: Any, data: Any, dim: str | None
) -> tuple[NDArray[np.int64], tuple[Hashable, ...], dict[Hashable, Any]]:
    """Count tables (..., T, K), with the names and coordinates of all dims but the last."""
    import xarray

    counts = samples.named(counts, data, "counts")
    if dim is not None and not isinstance(dim, str):
        raise InputError(f"dim is {dim!r}; expected the name of the dim of time")
    if dim is not None and not isinstance(counts, xarray.DataArray):
        raise InputError("counts has no named dims; dim= is for DataArrays and variables of data=")
    dims: tuple[Hashable, ...] = ()
    coords: dict[Hashable, Any] = {}
    if isinstance(counts, xarray.DataArray):
        time = dim if dim is not None else counts.dims[-2] if counts.ndim > 1 else None
        if time not in counts.dims or counts.ndim < 2:
            known = [str(one) for one in counts.dims]
            raise InputError(f"counts has no dim {time!r}{nearest(str(time), known)}; it has {', '.join(known)}")
        states = [one for one in counts.dims if one != time][-1]
        counts = counts.transpose(..., time, states)
        dims = counts.dims[:-1]
        coords = {name: counts.coords[name] for name in dims if name in counts.coords}
        counts = counts.to_numpy()
    tables = samples.checked_counts(counts)
    if tables.ndim < 2:
        raise InputError(f"counts has shape {tables.shape}; expected one table for each time, (..., T, K)")
    return tables, dims, coords


def _padded(numbers: ArrayLike, before: int, after: int) -> Array:
    array = np.asarray(numbers, dtype=np.float64)
    widths = [(0, 0)] * (array.ndim - 1) + [(before, after)]
    return np.pad(array, widths, constant_values=math.nan)


def _flags(doubts: NDArray[np.bool_], shape: tuple[int, ...], before: int) -> NDArray[Any]:
    """Flags of all times: ``series_end`` where there is no value, the first ``before`` ones and the last."""
    flags = np.empty(shape, object)
    last = before + doubts.shape[-2]
    for index in np.ndindex(shape):
        flags[index] = () if before <= index[-1] < last else _END
    for found in np.argwhere(doubts.any(axis=-1)).tolist():
        index = tuple(found)
        place = (*index[:-1], index[-1] + before)
        raised = [name for name, doubt in zip(_DOUBTS, doubts[index], strict=True) if doubt]
        flags[place] = flagged(*raised)
    return flags
