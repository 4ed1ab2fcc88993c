"""Stationary parts, intervals, convergence and phases of Datasets: arrays with units, names, and how they were made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from simengine.analysis.contents import OF_RUNS, TIME, attributes_of, is_companion, is_sweep
from simengine.analysis.statistics import convergence as converging
from simengine.analysis.statistics import intervals, per_run
from simengine.analysis.statistics import phases as phasing
from simengine.analysis.statistics.per_run import When, along, judged, names_of, observable, said, status_counts
from simengine.errors import InputError

OBSERVABLE, N_REPLICATES = "observable", "n_replicates"
MEANS = {
    "mean": "mean of",
    "low": "lower end of the interval of the mean of",
    "high": "upper end of the interval of the mean of",
    "sd": "standard deviation of",
}


def burn_in(data: xr.Dataset, name: str) -> xr.DataArray:
    """Return the time from which on each run is stationary, NaN where it is not; the coordinate ``reason`` says why."""
    values = _along_time(data, name)
    known = judged(values)
    times = np.asarray(_axis(values).values, np.float64)
    found = [times[one.start] if one.holds else np.nan for one in known.ravel()]
    unit = str(_axis(values).attrs.get("units", "1"))
    attributes = {"units": unit, "long_name": f"time from which on {said(values)} is stationary"}
    return _of_runs(values, known, np.array(found), attributes | {"method": "MSER (White 1997), check for drift"})


def is_stationary(data: xr.Dataset, name: str) -> xr.DataArray:
    """Return whether each run has a stationary part; the coordinate ``reason`` says why not."""
    values = _along_time(data, name)
    known = judged(values)
    attributes = {
        "long_name": f"whether {said(values)} has a stationary part", "method": "MSER (White 1997), check for drift",
        "not_stationary": int(sum(not one.holds for one in known.ravel())),
    }  # fmt: skip
    return _of_runs(values, known, np.array([one.holds for one in known.ravel()], bool), attributes)


def stationary(data: xr.Dataset, names: str | Sequence[str] | None) -> xr.Dataset:
    """Return a run from where it is stationary on, or the stationary parts of a sweep's runs, NaN elsewhere."""
    wanted = names_of(data, names)
    if not is_sweep(data) and not per_run.run_dims(data):
        return _stationary_run(data, wanted, names is None)
    kept = [str(one) for one in data.data_vars if one in OF_RUNS or str(one).removeprefix("run_") in OF_RUNS]
    beside = [str(one) for one in data.data_vars if is_companion(data, one) and _of_any(str(one), wanted)]
    for name in wanted:
        _along_time(data, name)
    found = data[list(dict.fromkeys([*wanted, *beside, *kept]))]
    since: xr.DataArray | None = None
    for name in wanted:
        mine = burn_in(data, name).drop_vars("reason")
        since = mine if since is None else since.where((since >= mine) | since.isnull(), mine).where(mine.notnull())
    assert since is not None
    inside = _axis(data[wanted[0]]) >= since
    shown = found.assign({name: found[name].where(inside) for name in (*wanted, *beside)})
    for name in (*wanted, *beside):
        shown[name].attrs = dict(data[name].attrs)
    number = int(since.isnull().sum())
    return shown.assign(
        stationary_from=since.assign_attrs(long_name="time from which on the run is stationary")
    ).assign_attrs(stationary_of=" ".join(wanted), not_stationary=number)


def _stationary_run(data: xr.Dataset, wanted: Sequence[str], by_default: bool) -> xr.Dataset:
    starts, refused = [], []
    for name in wanted:
        known = judged(_along_time(data, name))
        if known.ndim:
            raise InputError(f"{name!r} is more than one number at a time; name another: ds.sim.stationary(name)")
        one = known.item()
        starts.append(one.start)
        if not one.holds:
            refused.append(f"{name} ({one.reason})")
    if refused:
        hint = "; name what counts: ds.sim.stationary(name)" if by_default and len(refused) < len(wanted) else ""
        raise InputError(f"not stationary: {', '.join(refused)}{hint}")
    found = data.isel({TIME: slice(max(starts), None)})
    since = float(_axis(found[wanted[0]]).values[0])
    return found.assign_attrs(stationary_from=since, stationary_of=" ".join(wanted))


def interval(
    data: xr.Dataset, name: str | Sequence[str] | None, over: str, level: float, method: str, when: When
) -> xr.Dataset:
    """Return means and their intervals over replicates (or another dimension), or along the time of each run."""
    intervals.checked_level(level)
    intervals.checked_method(method)
    wanted = names_of(data, name)
    if over == TIME and when is not None:
        raise InputError("when: over='time' takes the stationary part of each run; leave out when")
    if over == TIME:
        tables = [_interval_of_run(data, one, level) for one in wanted]
    else:
        tables = [_interval_over(data, one, over, level, method, when) for one in wanted]
    table = tables[0] if isinstance(name, str) else combined(tables, wanted, data)
    how = {"t": "Student's t", "bootstrap": f"BCa bootstrap of {intervals.DRAWS} resamples"}[method]
    note: dict[str, Any] = {"method": "batch means of the stationary part" if over == TIME else how}
    if method == "bootstrap" and over != TIME:
        note["seed_of_bootstrap"] = intervals.SEED
    moment = "stationary" if over == TIME else "all" if when is None else str(when)
    note |= {"statistic": "interval", "over": over, "level": level, "when": moment}
    return table.assign_attrs(note | status_counts(data))


def _interval_over(data: xr.Dataset, name: str, over: str, level: float, method: str, when: When) -> xr.Dataset:
    values = observable(data, name) if when is None else per_run.value(data, name, when)
    arranged = along(values, over)
    found = intervals.interval(np.asarray(arranged.values, np.float64), level, method)
    base = arranged.isel({over: 0}, drop=True)
    table = xr.Dataset(
        {part: labelled(base, getattr(found, part), f"{words} {said(values)}", values) for part, words in MEANS.items()}
    )
    table["n"] = labelled(base, found.n, f"number of values, along {over}", None)
    return table


def _interval_of_run(data: xr.Dataset, name: str, level: float) -> xr.Dataset:
    values = _along_time(data, name).transpose(..., TIME)
    known = judged(values)
    starts = per_run.starts_of(known)
    rows = np.asarray(values.values, np.float64)
    parts = {part: np.full(known.shape, np.nan) for part in ("mean", "low", "high", "sd", "n_effective")}
    n = np.zeros(known.shape, np.int64)
    for index in np.ndindex(known.shape):
        if starts[index] >= 0:
            one = intervals.batch_means(rows[index][starts[index] :], level)
            for part, column in parts.items():
                column[index] = getattr(one, part)
            n[index] = one.n
    base = values.isel({TIME: 0}, drop=True)
    base = base.drop_vars([one for one in ("step", TIME) if one in base.coords])
    table = xr.Dataset(
        {part: labelled(base, parts[part], f"{words} {said(values)}", values) for part, words in MEANS.items()}
    )
    table["n"] = labelled(base, n, "number of stationary records", None)
    table["n_effective"] = labelled(
        base, parts["n_effective"], "number of independent values as good as the records", None
    )
    return table.assign_attrs(not_stationary=int(sum(not one.holds for one in known.ravel())))


def convergence(
    data: xr.Dataset, name: str, over: str, level: float, precision: float | None, when: When
) -> xr.Dataset:
    """Return the mean of the first n replicates, n from 1 on, with half the widths of their intervals."""
    intervals.checked_level(level)
    if precision is not None:
        converging.checked_precision(precision)
    values = per_run.value(data, name, when)
    arranged = along(values, over)
    columns = np.asarray(arranged.values, np.float64)
    found = converging.running(columns, level)
    numbers = xr.DataArray(
        np.arange(1, columns.shape[-1] + 1), dims=N_REPLICATES, attrs={"units": "1", "long_name": "number of runs"}
    )
    base = arranged.drop_vars([one for one in arranged.coords if over in arranged[one].dims]).rename(
        {over: N_REPLICATES}
    )
    table = xr.Dataset(
        {
            "mean": labelled(base, found.mean, f"mean of {said(values)} over the first runs", values),
            "half_width": labelled(
                base, found.half_width, f"half the width of the interval of the mean of {said(values)}", values
            ),
            "n": labelled(base, found.n, "number of values among the first runs", None),
        }
    ).assign_coords({N_REPLICATES: numbers})
    table.attrs = {
        "statistic": "convergence",
        "method": "Student's t",
        "over": over,
        "level": level,
        "when": str(when),
    } | status_counts(data)
    if precision is None:
        return table
    sd = intervals.moments(columns)[1]
    needed = np.array(
        [converging.replicates_needed(one, precision, level) if np.isfinite(one) else np.nan for one in sd.ravel()]
    )
    words = "runs whose mean has an interval of at most the precision to either side"
    table["replicates_needed"] = labelled(arranged.isel({over: 0}, drop=True), needed.reshape(sd.shape), words, None)
    most = float(np.nanmax(needed)) if np.isfinite(needed).any() else np.nan
    return table.assign_attrs(
        precision=float(precision), replicates_needed=int(most) if np.isfinite(most) else "unknown"
    )


def phases(data: xr.Dataset, rules: Mapping[str, Any] | None, when: When) -> xr.DataArray:
    """Return the phase of each run, the first whose rule holds."""
    given = phasing.defaults(str(attributes_of(data).get("scenario", ""))) if rules is None else rules
    read = phasing.read(given)
    spoken = phasing.names(read)
    reads_all = any(callable(rule) for rule in read.values())
    wanted = list(dict.fromkeys([*spoken, *(names_of(data, None) if reads_all else [])]))
    if not wanted:
        raise InputError(f"phases: the rules speak of no observable, as {', '.join(names_of(data, None)[:5])}")
    if rules is None and any(name not in data.variables for name in spoken):
        raise InputError(
            f"phases: {', '.join(n for n in spoken if n not in data.variables)} was not recorded; give rules"
        )
    per_run.checked_when(when)
    values: dict[str, xr.DataArray] = {}
    unsettled = 0
    for name in wanted:
        if when == "stationary":
            settled = per_run.settled(data, name)
            values[name] = settled.value
            unsettled = max(unsettled, settled.unsettled) if name in spoken else unsettled
        else:
            values[name] = per_run.value(data, name, when)
    aligned = dict(zip(values, xr.broadcast(*values.values()), strict=True))
    found = phasing.labels(read, {name: one.values for name, one in aligned.items()}, xr.Dataset(aligned))
    base = next(iter(aligned.values()))
    if found.labels.shape != base.shape:
        raise InputError(
            f"phases: the rules gave the shape {found.labels.shape}, there are runs of the shape {base.shape}"
        )
    told = list(phasing.tell(found.overlapping))
    shown = base.copy(data=found.labels).rename("phase")
    shown.attrs = {
        "long_name": "phase", "when": str(when), "phases": " | ".join([*read, phasing.NONE]),
        "rules": "; ".join(f"{name}: {getattr(rule, 'text', 'a function')}" for name, rule in read.items()),
        "overlapping": "; ".join(told), "unlabelled": int((found.labels == phasing.NONE).sum()),
        "not_stationary": unsettled,
    }  # fmt: skip
    return shown


def labelled(base: xr.DataArray, values: Any, long_name: str, unit_of: xr.DataArray | None) -> xr.DataArray:
    """Return values in the place of others, with a name in words and the unit of ``unit_of`` (1 without)."""
    found = xr.DataArray(np.asarray(values), base.coords, base.dims)
    found.attrs = {"units": "1" if unit_of is None else str(unit_of.attrs.get("units", "1")), "long_name": long_name}
    return found


def combined(tables: Sequence[xr.Dataset], names: Sequence[str], data: xr.Dataset) -> xr.Dataset:
    """Return tables of several observables as one, along ``observable``, with their units and names as coordinates."""
    units = [str(data[name].attrs.get("units", "1")) for name in names]
    table = xr.concat(
        tables,
        xr.Variable(OBSERVABLE, list(names)),
        combine_attrs="drop_conflicts",
        coords="minimal",
        compat="override",
        join="outer",
    )
    table = table.assign_coords(
        {
            OBSERVABLE: list(names),
            "units": (OBSERVABLE, units),
            "long_name": (OBSERVABLE, [said(data[name]) for name in names]),
        }
    )
    for name, one in table.data_vars.items():
        words = str(tables[0][name].attrs.get("long_name", "")).replace(said(data[names[0]]), "the observable")
        one.attrs = {"long_name": words} | (
            {"units": tables[0][name].attrs["units"]}
            if "units" in tables[0][name].attrs and (len(set(units)) == 1 or name in ("n", "n_effective"))
            else {}
        )
    return table


def _along_time(data: xr.Dataset, name: str) -> xr.DataArray:
    values = observable(data, name)
    if TIME not in values.dims:
        raise InputError(f"{name!r} is not recorded along time")
    return values


def _axis(values: xr.DataArray) -> xr.DataArray:
    return values[TIME] if TIME in values.coords else values["step"]


def _of_runs(values: xr.DataArray, known: Any, found: Any, attributes: Mapping[str, Any]) -> xr.DataArray:
    base = values.transpose(..., TIME).isel({TIME: 0}, drop=True)
    base = base.drop_vars([one for one in ("step", TIME) if one in base.coords])
    shown = xr.DataArray(found.reshape(known.shape), base.coords, base.dims, str(values.name), dict(attributes))
    reasons = np.array([one.reason for one in known.ravel()], np.str_).reshape(known.shape)
    return shown.assign_coords(reason=(base.dims, reasons))


def _of_any(companion: str, names: Sequence[str]) -> bool:
    return any(companion.startswith(f"{name}_") for name in names)
