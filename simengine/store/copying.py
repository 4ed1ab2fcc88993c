"""Rows of a finished run file as blocks for the segments of another run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
from numpy.typing import NDArray

from simengine.errors import StoreError
from simengine.store import netcdf
from simengine.store.files import damage_errors
from simengine.store.integrity import check_file
from simengine.store.layout import STEP_OF, Layout, Variable
from simengine.store.segments import Ending


def blocks_before(
    path: Path, layout: Layout, before: int, max_rows: int, max_bytes: int
) -> Iterator[tuple[dict[str, NDArray[Any]], Ending]]:
    """Yield the rows of a run file before a step, as stored, in blocks along one unlimited dimension each.

    Parameters
    ----------
    path
        A finished run file.
    layout
        What it must hold: the same recorded variables, with the same dimensions, types and units.
    before
        The first step to leave out.
    max_rows, max_bytes
        Bounds of a block; it has one row at least.

    Yields
    ------
    arrays
        Values by variable name, time and step included.
    ending
        How the rows end with this block.

    Raises
    ------
    StoreError
        If the file cannot be read or holds other variables.
    """
    check_file(path)
    with damage_errors(f"read {path}"):
        file = netCDF4.Dataset(path.absolute())
    with file:
        file.set_auto_maskandscale(False)
        with damage_errors(f"read {path}"):
            _check_fits(path, file, layout)
        ending = Ending()
        for dim in layout.record_dims:
            declared = {variable.name: variable for variable in layout.of(dim)}
            axes = {axis.name: axis for axis in layout.axes().values() if axis.dims == (dim,)}
            with damage_errors(f"read {path}"):
                rows = int(np.searchsorted(netcdf.read(file, STEP_OF[dim]), before))
            length = _block_rows([*axes.values(), *declared.values()], layout, max_rows, max_bytes)
            for first in range(0, rows, length):
                with damage_errors(f"read {path}"):
                    where = slice(first, min(rows, first + length))
                    arrays = {name: _values(file, name, where) for name in (*axes, *declared)}
                    ending = _extended(ending, dim, arrays, file, declared)
                yield arrays, ending


def _check_fits(path: Path, file: netCDF4.Dataset, layout: Layout) -> None:
    expected = {variable.name: variable for variable in layout.variables if variable.record_dim} | layout.axes()
    found = {name for name, variable in file.variables.items() if set(variable.dimensions) & set(STEP_OF)}
    for name in sorted(found ^ expected.keys()):
        where = f"recorded in {path} and not in the new run" if name in found else f"not recorded in {path}"
        raise StoreError(f"rows of {path} do not fit: variable {name!r} is {where}")
    for name, declared in expected.items():
        variable = file.variables[name]
        text = declared.storage_dtype.kind == "O"
        unit = layout.time_unit if name in STEP_OF else declared.unit
        attributes = declared.file_attributes(missing=False)
        pairs = {
            "dimensions": (variable.dimensions, declared.dims),
            "row shape": (variable.shape[1:], layout.row_shape(declared)),
            "dtype": (variable.dtype, str if text else declared.storage_dtype),
            "unit": (getattr(variable, "units", unit), attributes.get("units", unit)),
        }
        for what, (there, here) in pairs.items():
            if there != here:
                raise StoreError(f"rows of {path} do not fit: variable {name!r} has {what} {there}, here {here}")


def _block_rows(variables: list[Variable], layout: Layout, max_rows: int, max_bytes: int) -> int:
    sizes = (int(np.prod(layout.row_shape(one), dtype=np.int64)) * one.storage_dtype.itemsize for one in variables)
    return max(1, min(max_rows, max_bytes // max(1, sum(sizes))))


def _values(file: netCDF4.Dataset, name: str, where: slice) -> NDArray[Any]:
    variable = file.variables[name]
    return np.asarray(variable[where], dtype=object if variable.dtype is str else None)


def _extended(
    ending: Ending, dim: str, arrays: dict[str, NDArray[Any]], file: netCDF4.Dataset, declared: dict[str, Variable]
) -> Ending:
    missing, held_fills = set(ending.missing), set(ending.held_fills)
    for name, variable in declared.items():
        if variable.storage_dtype.kind in "iu" and bool((arrays[name] == variable.fill_value).any()):
            (missing if hasattr(file.variables[name], "_FillValue") else held_fills).add(name)
    last = int(arrays[STEP_OF[dim]][-1])
    return replace(
        ending,
        last_steps={**ending.last_steps, dim: last},
        missing=frozenset(missing),
        held_fills=frozenset(held_fills),
    )
