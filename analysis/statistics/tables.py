"""Comparisons and effects of Datasets: one row for each observable, with what was corrected for and left out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from simengine.analysis.contents import REPLICATE, is_sweep, swept
from simengine.analysis.statistics import comparing, multiplicity, per_run, single_runs
from simengine.analysis.statistics import effects as effecting
from simengine.analysis.statistics.intervals import checked_level
from simengine.analysis.statistics.labelled import OBSERVABLE
from simengine.analysis.statistics.per_run import When, names_of, said, status_counts
from simengine.errors import InputError, nearest

PARAMETER = "parameter"
COLUMNS = {
    "mean_a": "mean of a", "mean_b": "mean of b", "difference": "mean of b less that of a",
    "low": "lower end of the interval of the difference", "high": "upper end of the interval of the difference",
    "effect": "Hedges' g, b less a", "effect_low": "lower end of the interval of the standardised difference",
    "effect_high": "upper end of the interval of the standardised difference",
    "cliffs_delta": "Cliff's delta: P(b > a) - P(b < a)", "cliffs_low": "lower end of the interval of Cliff's delta",
    "cliffs_high": "upper end of the interval of Cliff's delta",
    "p": "chance of a difference as large if there is none", "n_a": "number of runs of a", "n_b": "number of runs of b",
}  # fmt: skip
IN_UNITS = ("mean_a", "mean_b", "difference", "low", "high")


def compare(
    data: xr.Dataset, other: xr.Dataset | None, names: str | Sequence[str] | None,
    between: Sequence[Any] | None, when: When, level: float, correction: str | None, looked_at: int | None,
    paired: bool | None,
) -> xr.Dataset:  # fmt: skip
    """Return the differences of two Datasets, or of two values of a swept parameter, of each observable."""
    checked_level(level)
    multiplicity.checked_correction(correction)
    a, b, sides = _sides(data, other, between)
    wanted = _common(a, b, names)
    if other is not None and not (per_run.run_dims(a) or per_run.run_dims(b)):
        return _of_single_runs(a, b, wanted, when, level, correction, looked_at, paired)
    in_pairs = _pairs(a, b, sides[2], paired)
    rows = []
    for name in wanted:
        left, right = per_run.value(a, name, when), per_run.value(b, name, when)
        if in_pairs is None:
            rows.append(comparing.compared(_flat(a, left), _flat(b, right), level))
        else:
            rows.append(comparing.compared_in_pairs(_flat(a, left)[in_pairs[0]], _flat(b, right)[in_pairs[1]], level))
    if all(row.n_a < 2 or row.n_b < 2 for row in rows):
        counts = max((row.n_a, row.n_b) for row in rows)
        settled = when == "stationary"
        what = "a stationary part" if settled else "a value"
        cure = (
            "run them for more steps (burn_in says why)"
            if settled and min(_runs(a), _runs(b)) > 1
            else "sweep with replicates=20"
        )
        raise InputError(
            f"compare: there are {counts[0]} and {counts[1]} runs with {what}; with fewer than two on a side nothing "
            f"can be said of chance: {cure}"
        )
    table = _table(rows, (OBSERVABLE,), (len(wanted),)).assign_coords({OBSERVABLE: wanted} | _words(a, wanted))
    _in_units(table, [str(a[name].attrs.get("units", "1")) for name in wanted])
    table = _adjusted(table, correction, looked_at)
    test = "Welch's t" if in_pairs is None else "Student's t of pairs with the same seeds"
    effect = (
        "Hedges' g, noncentral t" if in_pairs is None else "Hedges' g by the groups' spread, Algina & Keselman 2003"
    )
    return table.assign_attrs(
        statistic="comparison", a=sides[0], b=sides[1], test=test, effect_size=effect,
        cliffs_delta="Feng & Cliff 2004", paired=int(in_pairs is not None), when=str(when), level=level,
        **{f"{name}_of_a": count for name, count in status_counts(a).items()},
        **{f"{name}_of_b": count for name, count in status_counts(b).items()}, **_pooled(a, sides[2]),
    )  # fmt: skip


def _runs(data: xr.Dataset) -> int:
    return math.prod(data.sizes[dim] for dim in per_run.run_dims(data))


def _of_single_runs(
    a: xr.Dataset, b: xr.Dataset, wanted: Sequence[str], when: When, level: float, correction: str | None,
    looked_at: int | None, paired: bool | None,
) -> xr.Dataset:  # fmt: skip
    per_run.checked_when(when)
    if paired or when not in per_run.WHENS:
        what = "paired" if paired else f"when: got {when:g}"
        raise InputError(
            f"{what}: two single runs are compared by their stationary parts, of one record of each nothing can be "
            "said of chance; leave it out, or compare sweeps with replicates=20 or so"
        )
    found, shared = single_runs.contrasts(a, b, wanted, level)
    table = _table([one.row for one in found], (OBSERVABLE,), (len(wanted),))
    table = table.assign_coords({OBSERVABLE: list(wanted)} | _words(a, wanted))
    for side in "ab":
        table[f"n_{side}"].attrs["long_name"] = f"number of stationary records of {side}"
        values = [getattr(one, f"n_effective_{side}") for one in found]
        words = f"number of independent values as good as the records of {side}"
        table[f"n_effective_{side}"] = (OBSERVABLE, np.array(values), {"units": "1", "long_name": words})
    _in_units(table, [str(a[name].attrs.get("units", "1")) for name in wanted])
    refused = [f"{name} ({one.reason})" for name, one in zip(wanted, found, strict=True) if one.reason]
    note: dict[str, Any] = {"same_until": shared} if shared is not None else {}
    return _adjusted(table, correction, looked_at).assign_attrs(
        statistic="comparison", a="this run", b="the other run",
        test="Welch's t of the means of the stationary parts of two single runs, errors by batch means",
        effect_size="Hedges' g, in units of the spread of records", cliffs_delta="of records, without an interval",
        paired=0, when="stationary", level=level, not_stationary="; ".join(refused), **note,
    )  # fmt: skip


def effects(
    data: xr.Dataset, names: str | Sequence[str] | None, when: When, level: float, correction: str | None,
    looked_at: int | None,
) -> xr.Dataset:  # fmt: skip
    """Return the effect of every swept parameter on every observable."""
    checked_level(level)
    multiplicity.checked_correction(correction)
    parameters = [name for name in swept(data) if name in data.coords]
    if not parameters:
        raise InputError("effects: no parameter was swept; allowed is the Dataset of a sweep")
    wanted = names_of(data, names)
    status = data["status"]
    columns = {name: np.broadcast_to(_axis(data[name], status), status.shape).ravel() for name in parameters}
    found = []
    for name in wanted:
        values = _flat(data, per_run.value(data, name, when))
        found.append([effecting.effect(columns[parameter], values, level) for parameter in parameters])
    shape, dims = (len(wanted), len(parameters)), (OBSERVABLE, PARAMETER)
    table = _table([one.contrast for row in found for one in row], dims, shape)
    for part, words in {
        "variance_share": "omega squared: share of the variance between runs that the parameter explains",
        "rank_correlation": "Spearman's rank correlation with the parameter",
        "correlation_low": "lower end of the interval of the rank correlation",
        "correlation_high": "upper end of the interval of the rank correlation",
    }.items():
        table[part] = (
            dims,
            np.array([[getattr(one, part) for one in row] for row in found]),
            {"units": "1", "long_name": words},
        )
    first = found[0]
    table = table.assign_coords(
        {OBSERVABLE: wanted, PARAMETER: parameters, "lowest": (PARAMETER, [one.lowest for one in first]),
         "highest": (PARAMETER, [one.highest for one in first]), "groups": (PARAMETER, [one.groups for one in first])}
        | _words(data, wanted)
    )  # fmt: skip
    _in_units(table, [str(data[name].attrs.get("units", "1")) for name in wanted])
    return _adjusted(table, correction, looked_at).assign_attrs(
        statistic="effects", a="runs at the lowest value of the parameter", b="runs at its highest value",
        test="Welch's t", effect_size="Hedges' g, noncentral t", cliffs_delta="Feng & Cliff 2004",
        when=str(when), level=level, **status_counts(data),
    )  # fmt: skip


def _sides(
    data: xr.Dataset, other: xr.Dataset | None, between: Sequence[Any] | None
) -> tuple[xr.Dataset, xr.Dataset, tuple[str, str, str | None]]:
    if (other is None) == (between is None):
        raise InputError("compare: give another Dataset, or between=(parameter, a, b), and not both")
    if other is not None:
        if not isinstance(other, xr.Dataset):
            raise InputError(f"compare: got {type(other).__name__}, allowed is another Dataset")
        return data, other, ("this Dataset", "the other Dataset", None)
    given = tuple(between) if isinstance(between, list | tuple) else ()
    if len(given) != 3 or not isinstance(given[0], str):
        raise InputError(f"between: got {between!r}, allowed is (parameter, a, b)")
    parameter, first, second = given
    return (
        _at_level(data, parameter, first), _at_level(data, parameter, second),
        (f"{parameter} = {first}", f"{parameter} = {second}", parameter),
    )  # fmt: skip


def _at_level(data: xr.Dataset, parameter: str, level: Any) -> xr.Dataset:
    there = swept(data)
    if parameter not in there:
        others = nearest(parameter, there) or (f"; {', '.join(there)} was" if there else ": this is a single run")
        raise InputError(f"between: {parameter!r} was not swept{others}")
    column = data[parameter]
    values = np.asarray(column.values)
    if values.dtype.kind in "iufb" and isinstance(level, bool | int | float | np.number):
        here = np.isclose(values.astype(np.float64), float(level), rtol=1e-9, atol=0.0)
    else:
        here = values.astype(str) == str(level)
    if not here.any():
        levels = list(dict.fromkeys(str(one) for one in values))
        shown = ", ".join(levels[:10]) + (", ..." if len(levels) > 10 else "")
        raise InputError(f"between: {parameter} was never {level!r}, there are {shown}")
    return data.isel({column.dims[0]: np.flatnonzero(here)})


def _common(a: xr.Dataset, b: xr.Dataset, names: str | Sequence[str] | None) -> list[str]:
    wanted = names_of(a, names)
    if names is not None:
        for name in wanted:
            per_run.observable(a, name)
            per_run.observable(b, name)
        return wanted
    shared = [name for name in wanted if name in names_of(b, None)]
    if not shared:
        raise InputError("compare: the two Datasets have no observable in common")
    return shared


def _seeds(data: xr.Dataset) -> NDArray[Any] | None:
    name = "run_seed" if "run_seed" in data.data_vars else "seed"
    return np.asarray(data[name].values).ravel() if is_sweep(data) and name in data.data_vars else None


def _pairs(
    a: xr.Dataset, b: xr.Dataset, parameter: str | None, paired: bool | None
) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
    """Return the orders in which runs of both sides have equal seeds, None where they are not to be paired."""
    if paired is False or (parameter is not None and paired is None):
        return None
    first, second = _seeds(a), _seeds(b)
    if first is not None and second is not None and len(first) == len(second) == len(np.unique(first)):
        orders = np.argsort(first, kind="stable"), np.argsort(second, kind="stable")
        if np.array_equal(first[orders[0]], second[orders[1]]):
            return orders
    if paired:
        raise InputError("paired: the runs of the two sides do not have the same seeds, each once")
    return None


def _flat(data: xr.Dataset, values: xr.DataArray) -> NDArray[np.float64]:
    dims = [dim for dim in data["status"].dims if dim in values.dims] if is_sweep(data) else []
    return np.asarray(values.transpose(*dims, ...).values, np.float64).ravel()


def _axis(column: xr.DataArray, status: xr.DataArray) -> NDArray[Any]:
    """Return a parameter's values in a shape that broadcasts to that of the runs."""
    shape = [status.sizes[dim] if dim in column.dims else 1 for dim in status.dims]
    return np.asarray(column.values).reshape(shape)


def _table(rows: Sequence[Any], dims: tuple[str, ...], shape: tuple[int, ...]) -> xr.Dataset:
    return xr.Dataset(
        {
            name: (
                dims,
                np.array([getattr(row, name) for row in rows]).reshape(shape),
                {"units": "1", "long_name": words},
            )
            for name, words in COLUMNS.items()
        }
    )


def _in_units(table: xr.Dataset, units: Sequence[str]) -> None:
    for name in IN_UNITS:
        if len(set(units)) == 1:
            table[name].attrs["units"] = units[0]
        else:
            # Each row has a unit of its own, which the coordinate says.
            table[name].attrs.pop("units", None)


def _words(data: xr.Dataset, names: Sequence[str]) -> dict[str, Any]:
    units = [str(data[name].attrs.get("units", "1")) for name in names]
    return {"units": (OBSERVABLE, units), "long_name": (OBSERVABLE, [said(data[name]) for name in names])}


def _adjusted(table: xr.Dataset, correction: str | None, looked_at: int | None) -> xr.Dataset:
    p = table["p"]
    adjusted = multiplicity.adjust(p.values, correction, looked_at)
    words = multiplicity.METHODS[correction] if correction else "not adjusted"
    table["p_adjusted"] = p.copy(data=adjusted)
    table["p_adjusted"].attrs = {"units": "1", "long_name": f"p adjusted for all comparisons: {words}"}
    return table.assign_attrs(
        correction=correction or "none", comparisons=multiplicity.looked_at_in_all(looked_at, p.size)
    )  # fmt: skip


def _pooled(data: xr.Dataset, parameter: str | None) -> dict[str, str]:
    others = [
        name for name in swept(data) if name not in (parameter, REPLICATE) and len(np.unique(data[name].values)) > 1
    ]
    return {"pooled_over": " ".join(others)} if others else {}
