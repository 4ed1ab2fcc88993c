"""What a run file or a sweep holds, read off its Dataset: which variables are observables, and what stands beside them.

An observable may come with companions, named after it: its standard error, the mean and the standard deviation of
its null, and the flags that doubt it.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Literal

import numpy as np
import xarray as xr

from simengine.errors import InputError, nearest
from simengine.store.attributes import decode_attributes

STANDARD_ERROR, NULL_MEAN, NULL_SD, FLAGS = "_standard_error", "_null_mean", "_null_sd", "_flags"
COMPANIONS = (STANDARD_ERROR, NULL_MEAN, NULL_SD, FLAGS)
PARAMETER = "parameter_"
TIME, SNAPSHOT_TIME, RUN, REPLICATE, POINT = "time", "snapshot_time", "run", "replicate", "point"
OF_RUNS = ("status", "seed", "stopped_at", "stop_reason", "wall_seconds", "time_step")
"""Variables of a sweep that say what came of each run."""


def is_sweep(data: xr.Dataset) -> bool:
    """Whether a Dataset holds the runs of a sweep, or a part of them that still has replicates or runs."""
    return "status" in data.variables and "seed" in data.variables


def kind_of(data: xr.Dataset) -> Literal["run", "sweep"]:
    """Return what a Dataset holds."""
    return "sweep" if is_sweep(data) else "run"


def is_companion(data: xr.Dataset, name: Hashable) -> bool:
    """Whether a variable stands beside an observable, as its error, null or flags."""
    text = str(name)
    return any(text.endswith(end) and text.removesuffix(end) in data.variables for end in COMPANIONS)


def observables(data: xr.Dataset) -> list[str]:
    """Return the names of what was recorded along time, without companions, in the file's order."""
    return [
        str(name)
        for name, variable in data.data_vars.items()
        if name not in OF_RUNS
        and not is_companion(data, name)
        and variable.dtype.kind in "fiub"
        and (TIME in variable.dims or (is_sweep(data) and SNAPSHOT_TIME not in variable.dims))
    ]


def snapshots(data: xr.Dataset) -> list[str]:
    """Return the names of what was kept of every agent at the snapshots."""
    return [str(name) for name, variable in data.data_vars.items() if SNAPSHOT_TIME in variable.dims]


def companion(data: xr.Dataset, name: str, ending: str) -> xr.DataArray | None:
    """Return the companion of an observable, None where it has none."""
    return data.get(f"{name}{ending}")


def flags_of(data: xr.Dataset, name: str) -> dict[str, float]:
    """Return the reasons to doubt an observable and the share of its records that have each."""
    found = companion(data, name, FLAGS)
    if found is None or "flag_masks" not in found.attrs or not found.size:
        return {}
    values = found.values.ravel()
    known = np.isfinite(values.astype(float))
    bits = values[known].astype(np.int64)
    words = str(found.attrs.get("flag_meanings", "")).split()
    masks = np.atleast_1d(found.attrs["flag_masks"])
    shares = {word: float(np.mean(bits & int(mask) != 0)) for word, mask in zip(words, masks, strict=True) if len(bits)}
    return {word: share for word, share in shares.items() if share > 0}


def attributes_of(data: xr.Dataset) -> dict[str, Any]:
    """Return the attributes of a Dataset with lists, dicts, booleans and None in their own types."""
    return decode_attributes(data.attrs)


def parameters_of(data: xr.Dataset) -> dict[str, Any]:
    """Return the scenario's parameters by name, those that all runs share in the case of a sweep."""
    found = attributes_of(data)
    return {
        name.removeprefix(PARAMETER): value
        for name, value in found.items()
        if name.startswith(PARAMETER) and name != "parameter_units"
    }


def parameter_units(data: xr.Dataset) -> dict[str, str]:
    """Return the units of the scenario's parameters."""
    return dict(attributes_of(data).get("parameter_units") or {})


def swept(data: xr.Dataset) -> list[str]:
    """Return the names of the swept parameters: dimensions of a grid, coordinates of a list of runs."""
    if not is_sweep(data):
        return []
    status = data["status"]
    if RUN in status.dims:
        return [
            str(name) for name, one in data.coords.items() if one.dims == (RUN,) and name not in (RUN, POINT, REPLICATE)
        ]
    return [str(dim) for dim in status.dims if dim != REPLICATE]


def chosen(data: xr.Dataset, name: str) -> xr.DataArray:
    """Return an observable by name.

    Raises
    ------
    InputError
        When there is none of this name, or nothing in it; the line names the nearest.
    """
    if isinstance(name, str) and name in data.variables:
        found = data[name]
        if not found.size:
            empty = ", ".join(str(dim) for dim in found.dims if not found.sizes[dim])
            raise InputError(f"{name!r} holds no numbers: there is nothing along {empty}")
        return found
    there = observables(data) + snapshots(data)
    raise InputError(f"there is no {name!r} in this Dataset{nearest(name, there)}")
