"""One number for each run: its last record, the mean of its stationary part, or the record at a time."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from simengine.analysis.contents import POINT, REPLICATE, RUN, TIME, chosen, is_sweep, observables
from simengine.analysis.statistics.stationarity import TOO_FEW, stationarity
from simengine.errors import InputError, nearest

WHENS = ("last", "stationary")
When = str | float | None
NO_MEASURE = ("status", "seed", "stop_reason")
STATUSES = ("done", "failed", "missing")


def names_of(data: xr.Dataset, names: str | Sequence[str] | None) -> list[str]:
    """Return the observables that were asked for, by default all that are one number at a time, in each run."""
    if names is None:
        runs = set(run_dims(data))
        found = [name for name in observables(data) if set(data[name].dims) <= runs | {TIME}]
        if not found:
            raise InputError("there is nothing in this Dataset that was recorded along time")
        return found
    if isinstance(names, str):
        return [names]
    if not isinstance(names, list | tuple) or not names:
        raise InputError(
            f"names: got {names!r}, allowed are the name of an observable, a list of names, and None for all"
        )
    return list(dict.fromkeys(names)) if all(isinstance(name, str) for name in names) else list(names)


def observable(data: xr.Dataset, name: str) -> xr.DataArray:
    """Return an observable by name; ``InputError`` for what is none, with the nearest name."""
    if not isinstance(name, str):
        raise InputError(f"name: got {name!r}, allowed is the name of an observable, as {', '.join(observables(data))}")
    if name not in data.data_vars:
        there = observables(data)
        raise InputError(
            f"there is no observable {name!r}{nearest(name, there) or ', there are ' + (', '.join(there) or 'none')}"
        )
    found = chosen(data, name)
    measured = TIME in found.dims or bool(set(run_dims(data)) & set(found.dims))
    if name in NO_MEASURE or found.dtype.kind not in "iufb" or not measured:
        raise InputError(f"{name!r} is no observable: it is not recorded along time, or holds no numbers")
    return found


def run_dims(data: xr.Dataset) -> tuple[Hashable, ...]:
    """Return the dimensions that tell runs apart, none in the Dataset of one run."""
    if is_sweep(data):
        return data["status"].dims
    known = {REPLICATE, RUN, POINT}
    return tuple(dim for dim in data.dims if dim in known)


def status_counts(data: xr.Dataset) -> dict[str, int]:
    """Return how many runs there are, and how many of them failed or are missing."""
    if not is_sweep(data):
        return {}
    counts = np.bincount(np.asarray(data["status"].values, np.int64).ravel(), minlength=len(STATUSES))
    found = {"runs": int(counts.sum())}
    return found | {f"runs_{STATUSES[k]}": int(counts[k]) for k in (1, 2) if counts[k]}


def value(data: xr.Dataset, name: str, when: When = "last") -> xr.DataArray:
    """Return one number for each run.

    Parameters
    ----------
    data
        A run or a sweep.
    name
        An observable.
    when
        ``"last"``: its last record; ``"stationary"``: the mean of its stationary part, NaN where it has none; a number:
        the record nearest to this time, NaN of runs that ended before.

    Returns
    -------
    xarray.DataArray
        Without the dimension ``time``; ``units`` and ``long_name`` as before, ``when`` in its attributes.
    """
    values = observable(data, name)
    checked_when(when)
    if TIME not in values.dims:
        return values
    if when == "last":
        found = _last(data, values)
    elif when == "stationary":
        found = stationary_means(values, judged(values))
    else:
        found = _at(values, float(when))  # type: ignore[arg-type]
    return _labelled(found, values, when)


class Settled(NamedTuple):
    """What each run came to; whether it has a stationary part; its last record; how many runs did not settle."""

    value: xr.DataArray
    stationary: xr.DataArray
    last: xr.DataArray
    unsettled: int


def settled(data: xr.Dataset, name: str) -> Settled:
    """Return what each run came to, also where it has no stationary part.

    The last record of a run that ended by itself or has fewer than 20 records, as those of a sweep that recorded only
    the start and the end; of others the mean of the stationary part, or of the second half where they do not settle.
    """
    values = observable(data, name)
    if TIME not in values.dims:
        return Settled(values, xr.full_like(values, False, bool), values, 0)
    known = judged(values)
    last = _last(data, values).astype(np.float64)
    last = last.transpose(*(dim for dim in values.dims if dim != TIME))
    holds = np.array([one.holds for one in known.ravel()], bool).reshape(known.shape)
    few = np.array([one.reason == TOO_FEW for one in known.ravel()], bool).reshape(known.shape)
    ended = few | _ended_by_itself(data, values, known.shape)
    rows = _rows(values)
    halves = np.array([_second_half(row) for row in rows.reshape(-1, rows.shape[-1])]).reshape(known.shape)
    means = np.asarray(stationary_means(values, known).values)
    found = np.where(ended, np.asarray(last.values), np.where(holds, means, halves))
    unsettled = int((np.isfinite(found) & ~ended & ~holds).sum())
    stationary = last.copy(data=holds)
    stationary.attrs = {"long_name": f"whether {said(values)} has a stationary part"}
    return Settled(_labelled(last.copy(data=found), values, "stationary"), stationary, last, unsettled)


def said(values: xr.DataArray) -> str:
    """Return the long name of an observable, or its name in words."""
    return str(values.attrs.get("long_name") or str(values.name).replace("_", " "))


def judged(values: xr.DataArray) -> NDArray[Any]:
    """Return a `Stationarity` for each run, an array of objects with the dimensions but ``time``, in their order."""
    rows = _rows(values)
    found = np.empty(rows.shape[:-1], object)
    for index in np.ndindex(found.shape):
        found[index] = stationarity(rows[index])
    return found


def starts_of(known: NDArray[Any]) -> NDArray[np.int64]:
    """Return the first stationary record of each of what `judged` gave, -1 where there is none."""
    return np.array([one.start for one in known.ravel()], np.int64).reshape(known.shape)


def stationary_means(values: xr.DataArray, known: NDArray[Any]) -> xr.DataArray:
    """Return the mean of each run's stationary part, NaN where it has none."""
    rows = _rows(values)
    starts = starts_of(known)
    means = np.full(known.shape, np.nan)
    for index in np.ndindex(known.shape):
        start = starts[index]
        if start >= 0:
            means[index] = np.nanmean(rows[index][start:])
    return values.isel({TIME: 0}, drop=True).astype(np.float64).copy(data=means)


def checked_when(when: When) -> None:
    """Raise ``InputError`` for a moment that there is not."""
    if isinstance(when, str) and when in WHENS:
        return
    if isinstance(when, bool) or not isinstance(when, int | float | np.number) or not np.isfinite(when):
        near = nearest(when, WHENS) if isinstance(when, str) else ""
        raise InputError(
            f'when: got {when!r}, allowed are "last", "stationary" and a number, the time of a record{near}'
        )


def by_point(values: xr.DataArray) -> xr.DataArray:
    """Return the values of a list of runs with dimensions ``point`` and ``replicate`` in the place of ``run``.

    Parameters become coordinates of ``point``; a point with fewer runs than others is filled up with NaN.
    """
    points, first, number = np.unique(values[POINT].values, return_index=True, return_inverse=True)
    place = np.zeros(len(number), np.intp)
    for point in range(len(points)):
        mine = np.flatnonzero(number == point)
        place[mine] = np.arange(len(mine))
    rest = values.transpose(RUN, ...)
    width = int(place.max()) + 1 if len(place) else 0
    arranged = np.full((len(points), width, *rest.shape[1:]), np.nan)
    arranged[number, place] = rest.values
    coordinates: dict[Hashable, Any] = {POINT: points, REPLICATE: np.arange(width)}
    for name, one in values.coords.items():
        if one.dims == (RUN,) and name not in coordinates and name != RUN:
            coordinates[name] = (POINT, one.values[first], one.attrs)
        elif RUN not in one.dims:
            coordinates[name] = one
    return xr.DataArray(arranged, coordinates, (POINT, REPLICATE, *rest.dims[1:]), values.name, values.attrs)


def along(values: xr.DataArray, over: str, what: str = "over") -> xr.DataArray:
    """Return values that have the dimension ``over``, arranged by point where it takes that; it is the last one then.

    Raises
    ------
    InputError
        When there is no such dimension.
    """
    if over not in values.dims and over == REPLICATE and RUN in values.dims and POINT in values.coords:
        values = by_point(values)
    if over not in values.dims:
        allowed = [str(dim) for dim in values.dims] + ([REPLICATE] if RUN in values.dims else [])
        hint = nearest(str(over), allowed)
        one = " (of one run: over='time')" if over == REPLICATE and TIME in allowed else ""
        raise InputError(f"{what}: there is no dimension {over!r}, there are {', '.join(allowed) or 'none'}{hint}{one}")
    return values.transpose(..., over)


def _rows(values: xr.DataArray) -> NDArray[np.float64]:
    return np.asarray(values.transpose(..., TIME).values, np.float64)


def _second_half(row: NDArray[np.float64]) -> float:
    known = row[np.isfinite(row)]
    return float(known[len(known) // 2 :].mean()) if len(known) else np.nan


def _labelled(found: xr.DataArray, values: xr.DataArray, when: When) -> xr.DataArray:
    return found.assign_attrs({**values.attrs, "when": str(when)}).rename(values.name)


def _last(data: xr.Dataset, values: xr.DataArray) -> xr.DataArray:
    stops = next((data[name] for name in ("run_stopped_at", "stopped_at") if name in data.data_vars), None)
    if stops is None or "step" not in data.coords or not is_sweep(data):
        return _last_known(values)
    reached = np.asarray(stops.values, np.float64)
    known = np.isfinite(reached)
    if known.any() and len(np.unique(reached[known])) > 1:
        return _last_known(values)
    place = np.searchsorted(data["step"].values, reached[known][0]) if known.any() else values.sizes[TIME] - 1
    return values.isel({TIME: min(int(place), values.sizes[TIME] - 1)}, drop=True)


def _last_known(values: xr.DataArray) -> xr.DataArray:
    """Return the last number of each series, as where runs stop when they will."""
    rows = _rows(values)
    if not rows.shape[-1]:
        raise InputError(f"{values.name!r} has no records")
    there = np.isfinite(rows)
    place = rows.shape[-1] - 1 - there[..., ::-1].argmax(axis=-1)
    last = np.take_along_axis(rows, place[..., None], axis=-1)[..., 0]
    return values.isel({TIME: 0}, drop=True).astype(np.float64).copy(data=last)


def _at(values: xr.DataArray, time: float) -> xr.DataArray:
    axis = values[TIME] if TIME in values.coords else values["step"]
    times = np.asarray(axis.values, np.float64)
    gap = float(np.diff(times).max()) / 2 if len(times) > 1 else 0.0
    if not len(times) or not times[0] - gap <= time <= times[-1] + gap:
        ends = f"{times[0]:g} to {times[-1]:g}" if len(times) else "none"
        raise InputError(f"when: got {time:g}, recorded are times from {ends}")
    return values.isel({TIME: int(np.argmin(np.abs(times - time)))}, drop=True)


def _ended_by_itself(data: xr.Dataset, values: xr.DataArray, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return which runs came to an end before their last step, in the shape of all dimensions but ``time``."""
    dims = [dim for dim in values.dims if dim != TIME]
    name = "run_stopped_at" if "run_stopped_at" in data.data_vars else "stopped_at"
    if is_sweep(data) and name in data.data_vars:
        stopped = data[name] < int(data.attrs.get("steps", np.iinfo(np.int64).max))
        apart = xr.DataArray(np.zeros(shape, bool), dims=dims)
        return np.asarray((apart | stopped.drop_vars(list(stopped.coords))).transpose(*dims).values, bool)
    return np.full(shape, str(data.attrs.get("stop_reason", "steps")) != "steps")
