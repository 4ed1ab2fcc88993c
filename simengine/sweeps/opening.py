"""A sweep as one Dataset, finished or not; values are read when they are needed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendEntrypoint
from xarray.core import indexing

from simengine.store.attributes import CONTENT_HASH, VOLATILE_LIST, encode_attributes
from simengine.store.dataset import global_attributes
from simengine.store.layout import STEP_OF, TIME, Layout, Variable, plain_unit
from simengine.sweeps.blocks import RUN
from simengine.sweeps.facts import Facts, failures_of
from simengine.sweeps.folder import SweepFolder
from simengine.sweeps.growing import EXTENDED, gridded
from simengine.sweeps.lazy import RunArray
from simengine.sweeps.run_table import DONE, STATUS_MEANINGS

REPLICATE = "replicate"
POINT = "point"
TIME_STEP = "time_step"
_RESERVED = (TIME, STEP_OF[TIME], RUN, REPLICATE, POINT)


def open_sweep(path: str | os.PathLike[str], *, mask_and_scale: bool = True) -> xr.Dataset:
    """Open a sweep, finished or not.

    Parameters
    ----------
    path
        Its folder.
    mask_and_scale
        As that of `xarray.open_dataset`: False leaves integers integers where values are missing, with the attribute
        ``_FillValue``; as floats, those beyond 2**53 are rounded.

    Returns
    -------
    xarray.Dataset
        Of a full grid with the swept parameters, ``replicate``, ``time`` and the observables' own dimensions; of any
        other design with ``run`` in the place of the first ones, and the parameters, ``point`` and ``replicate`` as
        its coordinates. Runs that failed or are missing, and what comes after the end of a run that stopped early,
        are fill values: NaN, and integers are then floats. A run that stopped between two recorded steps has its last
        record at the later one. Besides the observables: ``status`` (0 done, 1 failed, 2 missing), ``seed``,
        ``stopped_at``, ``stop_reason``, ``wall_seconds``. What is named like a recorded variable is called
        ``run_NAME``, a parameter ``parameter_NAME``.

        The attribute ``unfinished`` is 1 while runs are missing; ``content_hash`` is there once the sweep is
        compacted.

    Raises
    ------
    StoreError
        If there is no sweep, or a file is damaged.
    """
    return xr.open_dataset(os.fspath(path), engine=SweepBackend, mask_and_scale=mask_and_scale)


def failures(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return the runs that failed, by point and replicate.

    Returns
    -------
    list of dict
        ``point``, ``replicate``, ``seed``, ``parameters`` (the swept ones), ``kind`` of the exception, its
        ``message`` in one line and the ``traceback``.

    Raises
    ------
    StoreError
        If there is no sweep, or a file is damaged.
    """
    folder = SweepFolder.open(path, check=False)
    return failures_of(folder)


class SweepBackend(BackendEntrypoint):
    """Lets `xarray.open_dataset` open the folder of a sweep."""

    description = "Open the folder of a simengine sweep"

    def open_dataset(
        self, filename_or_obj: Any, *, drop_variables: str | Iterable[str] | None = None, mask_and_scale: bool = True
    ) -> xr.Dataset:
        """Return the Dataset of a sweep, all values lazy."""
        found = dataset_of(SweepFolder.open(filename_or_obj), mask_and_scale)
        dropped = [drop_variables] if isinstance(drop_variables, str) else list(drop_variables or ())
        return found.drop_vars(dropped, errors="ignore")


def dataset_of(folder: SweepFolder, mask_and_scale: bool = True) -> xr.Dataset:
    """Return the Dataset of what a folder holds, all values lazy."""
    blocks = folder.holdings.files
    facts = Facts(folder)
    description, layout = folder.description, folder.description.layout
    runs = _Runs(folder)
    axis = description.recorded_steps
    raw: dict[str, xr.Variable] = dict(runs.coordinates)
    raw |= _time(description.time_step, axis, layout)
    for name in layout.coordinates:
        raw[name] = xr.Variable((name,), _texts(layout.coordinate_array(name)), layout.coordinate_attributes(name))
    coordinates = [*raw]
    source, row = runs.arranged(folder.holdings.source), runs.arranged(folder.holdings.row)
    for variable in layout.variables:
        inner = (len(axis), *layout.row_shape(variable))
        values = RunArray(blocks, variable.name, source, row, inner, variable.storage_dtype, variable.fill_value)
        given = variable.file_attributes(variable.name in facts.missing)
        given.pop("coordinates", None)
        raw[variable.name] = xr.Variable((*runs.dims, *variable.dims), indexing.LazilyIndexedArray(values), given)
    raw |= _of_runs(runs, facts)
    if isinstance(description.time_step, str):
        raw[runs.own(TIME_STEP)] = runs.parameter(description.time_step, layout.time_unit)
    # Texts have nothing to decode, and decoding would read one.
    texts = {name: variable for name, variable in raw.items() if variable.dtype.kind == "O"}
    numbers = {name: variable for name, variable in raw.items() if name not in texts}
    decoded = xr.decode_cf(xr.Dataset(numbers, attrs=_attributes(folder, runs)), mask_and_scale=mask_and_scale)
    dataset = decoded.assign(texts)[list(raw)].set_coords(coordinates)

    def close() -> None:
        for block in blocks:
            block.close()

    dataset.set_close(close)
    return dataset


class _Runs:
    """How runs are arranged: along the axes of a grid and ``replicate``, or along ``run``."""

    def __init__(self, folder: SweepFolder) -> None:
        self._folder = folder
        self._grid = gridded(folder.design)
        layout = folder.description.layout
        self._taken = {variable.name for variable in layout.variables} | {*layout.dimensions}
        names = {name: self._named(name) for name in folder.design.names}
        self._taken |= {*names.values()}
        points, replicates = folder.holdings.status.shape
        self.coordinates: dict[str, xr.Variable] = {}
        if self._grid is not None:
            self.dims: tuple[str, ...] = (*names.values(), REPLICATE)
            for name, called in names.items():
                self.coordinates[called] = self._coordinate(name, (called,), self._grid.levels[name])
            self.coordinates[REPLICATE] = _numbers((REPLICATE,), np.arange(replicates), "number of the replicate")
        else:
            self.dims = (RUN,)
            number = np.repeat(np.arange(points), replicates)
            for name, called in names.items():
                column = self._coordinate(name, (RUN,), folder.design.columns[name])
                self.coordinates[called] = column.isel({RUN: number})
            self.coordinates[POINT] = _numbers((RUN,), number, "number of the point")
            within = np.tile(np.arange(replicates), points)
            self.coordinates[REPLICATE] = _numbers((RUN,), within, "number of the replicate")

    def arranged(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values of all runs, given by point and replicate, in the shape of `dims`."""
        if self._grid is None:
            return values.reshape(-1)
        cells: NDArray[Any] = values[self._grid.order]
        return cells.reshape(*self._grid.shape, values.shape[1])

    def own(self, name: str) -> str:
        """Return what a variable of the sweep's own is called: other than what the runs record."""
        return f"run_{name}" if name in self._taken else name

    def parameter(self, name: str, unit: str) -> xr.Variable:
        """Return a swept parameter as model time per step of each point (of each run, without a grid)."""
        design = self._folder.design
        column = np.array(design.columns[name], np.float64)
        given = {"units": plain_unit(unit), "long_name": "model time per step"}
        if self._grid is None:
            return xr.Variable((RUN,), np.repeat(column, self._folder.replicates), given)
        return xr.Variable(self.dims[:-1], column[self._grid.order].reshape(self._grid.shape), given)

    def _named(self, name: str) -> str:
        return f"parameter_{name}" if name in self._taken or name in _RESERVED else name

    def _coordinate(self, name: str, dims: tuple[str, ...], values: Sequence[Any]) -> xr.Variable:
        said = dict(self._folder.description.parameters.get(name, {}))
        array = column_array(values)
        if array.dtype.kind not in "iuf":
            said.pop("units", None)
        elif "units" in said:
            said["units"] = plain_unit(said["units"])
        return xr.Variable(dims, array, encode_attributes({"long_name": name.replace("_", " "), **said}))


def column_array(values: Sequence[Any]) -> NDArray[Any]:
    """Return values of a parameter as one array: booleans, int64, float64 (NaN for none), else texts."""
    kinds = {type(value) for value in values}
    if kinds <= {bool}:
        return np.array(values, bool)
    if kinds <= {int} and all(-(2**63) <= value < 2**63 for value in values):
        return np.array(values, np.int64)
    if kinds <= {int, float, type(None)}:
        return np.array([np.nan if value is None else value for value in values], np.float64)
    return np.array(["none" if value is None else str(value) for value in values], np.str_)


def _time(time_step: float | str, axis: NDArray[np.int64], layout: Layout) -> dict[str, xr.Variable]:
    found = {STEP_OF[TIME]: xr.Variable((TIME,), axis, layout.axis_attributes(STEP_OF[TIME]))}
    if not isinstance(time_step, str):
        found[TIME] = xr.Variable((TIME,), axis * float(time_step), layout.axis_attributes(TIME))
    return found


def _of_runs(runs: _Runs, facts: Facts) -> dict[str, xr.Variable]:
    columns = {name: runs.arranged(values) for name, values in facts.columns.items()}
    done = columns["status"] == DONE
    status = {
        "long_name": "what came of the run",
        "flag_values": np.array(range(len(STATUS_MEANINGS.split())), np.int8),
        "flag_meanings": STATUS_MEANINGS,
    }
    words = ["_".join(reason.split()) or "none" for reason in facts.reasons]
    reason = {
        "long_name": "why the run ended",
        "flag_values": np.array(range(len(words)), np.int16),
        "flag_meanings": " ".join(words),
    }
    stopped = Variable("stopped_at", (), "int64", "1", "number of the last step")
    stopped_at = np.where(done, columns["stopped_at"], stopped.fill_value)
    seconds = {"long_name": "wall time of the run", "units": "second"}
    return {
        runs.own("status"): xr.Variable(runs.dims, columns["status"], status),
        runs.own("seed"): _numbers(runs.dims, columns["seed"], "seed of the run"),
        runs.own("stopped_at"): xr.Variable(runs.dims, stopped_at, stopped.file_attributes(not bool(done.all()))),
        runs.own("stop_reason"): xr.Variable(runs.dims, columns["stop_reason"], reason),
        runs.own("wall_seconds"): xr.Variable(runs.dims, columns["seconds"], seconds),
    }


def _attributes(folder: SweepFolder, runs: _Runs) -> dict[str, Any]:
    """Return the global attributes, encoded."""
    design, description = folder.design, folder.description
    details = dict(design.details)
    grown = details.pop(EXTENDED, None)
    stable = {
        **description.attributes,
        "steps": description.steps,
        "replicates": folder.replicates,
        "design": {"kind": design.kind, "names": list(design.names), "details": details},
    }
    # How a sweep grew to what it is does not change what it is.
    volatile = dict(description.volatile) | ({} if grown is None else {"design_extended": grown})
    found = global_attributes(description.layout, stable, volatile)
    found[VOLATILE_LIST] = " ".join(
        sorted({*found[VOLATILE_LIST].split(), runs.own("wall_seconds"), "unfinished", "design_extended"})
    )
    if bool((folder.holdings.source < 0).any()):
        found["unfinished"] = 1
    elif folder.compacted and folder.index is not None and folder.index.content_hash:
        found[CONTENT_HASH] = folder.index.content_hash
    return found


def _numbers(dims: tuple[str, ...], values: NDArray[Any], long_name: str) -> xr.Variable:
    return xr.Variable(dims, values, {"long_name": long_name, "units": "1"})


def _texts(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(np.str_) if values.dtype.kind == "O" else values
