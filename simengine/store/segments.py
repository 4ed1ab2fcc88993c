"""The folder of a run that is being written: a header, then closed segments, each whole or not there.

``OUT.parts/header.json`` holds the layout and the attributes known at the start;
``OUT.parts/segment-000000.nc`` and so on hold rows in the order of recording, the first one also the fixed
coordinates.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from simengine.errors import StoreError
from simengine.store import netcdf
from simengine.store.attributes import plain
from simengine.store.dataset import assemble, global_attributes
from simengine.store.files import write_bytes
from simengine.store.layout import Layout

_HEADER = "header.json"
_FORMAT = 1
_MISSING = "missing_values_in"


@dataclass(frozen=True)
class Header:
    """What is known of a run before its first row: layout, attributes, those that the hash leaves out."""

    layout: Layout
    stable: Mapping[str, Any]
    volatile: Mapping[str, Any]

    def with_attributes(self, stable: Mapping[str, Any], volatile: Mapping[str, Any]) -> Header:
        """Return the header with attributes added or replaced."""
        still_volatile = {name: value for name, value in stable.items() if name in self.volatile}
        return replace(
            self,
            stable={**self.stable, **stable},
            volatile={**self.volatile, **still_volatile, **volatile},
        )

    def global_attributes(self) -> dict[str, Any]:
        """Return the encoded global attributes of the file."""
        return global_attributes(self.layout, self.stable, self.volatile)


def write_header(parts: Path, header: Header) -> None:
    """Write the header and the fixed coordinates into an empty folder."""
    content = {
        "format": _FORMAT,
        "layout": header.layout.header(),
        "attributes": plain(header.stable),
        "volatile": plain(header.volatile),
    }
    arrays = {name: header.layout.coordinate_array(name) for name in header.layout.coordinates}
    write_segment(parts, 0, header.layout, arrays, ())
    write_bytes(parts / _HEADER, json.dumps(content, indent=1).encode())


def read_header(parts: Path) -> Header:
    """Return the header of a folder of segments."""
    try:
        content = json.loads((parts / _HEADER).read_text())
    except FileNotFoundError:
        raise StoreError(f"{parts} holds no run: there is no {_HEADER} in it") from None
    except ValueError as error:
        raise StoreError(f"{parts / _HEADER} is damaged: {error}") from error
    if content["format"] != _FORMAT:
        raise StoreError(f"{parts} has format {content['format']}, this version reads {_FORMAT}")
    with netCDF4.Dataset(segment_paths(parts)[0]) as first:
        coordinates = {name: netcdf.read(first, name) for name in content["layout"]["coordinates"]}
    layout = Layout.from_header(content["layout"], coordinates)
    return Header(layout, content["attributes"], content["volatile"])


def write_segment(
    parts: Path, number: int, layout: Layout, arrays: Mapping[str, NDArray[Any]], missing: Collection[str]
) -> None:
    """Write one closed segment: blocks of rows, static values or coordinates, by name.

    The file is built in memory and written by the operating system's own calls, because a full disk leaves
    the NetCDF library with a file that it can neither write nor close.
    """
    size = sum(values.nbytes for values in arrays.values())
    file = netCDF4.Dataset("segment", "w", memory=size + (1 << 16))
    file.set_fill_off()
    file.setncattr(_MISSING, " ".join(sorted(missing)))
    dims = {**{axis: variable.dims for axis, variable in layout.axes().items()}}
    dims |= {variable.name: variable.dims for variable in layout.variables}
    dims |= {name: (name,) for name in layout.coordinates}
    for name, values in arrays.items():
        for dim, length in zip(dims[name], values.shape, strict=True):
            if dim not in file.dimensions:
                file.createDimension(dim, length)
        file.createVariable(name, str if values.dtype.kind == "O" else values.dtype, dims[name])
        netcdf.fill(file, name, (), values)
    write_bytes(parts / f"segment-{number:06d}.nc", file.close())


def segment_paths(parts: Path) -> list[Path]:
    """Return the closed segments in the order of recording."""
    return sorted(parts.glob("segment-*.nc"), key=lambda path: int(path.stem.removeprefix("segment-")))


def segments(parts: Path) -> Iterator[netCDF4.Dataset]:
    """Yield the closed segments one after another, each open while it is the current one."""
    for path in segment_paths(parts):
        with netCDF4.Dataset(path) as file:
            file.set_auto_maskandscale(False)
            yield file


def merge(parts: Path, path: Path, header: Header) -> None:
    """Write the run file from its segments, one block of one of them in memory at a time."""
    lengths, missing = _extent(parts, header.layout)

    def write(temporary: Path) -> None:
        with netCDF4.Dataset(temporary, "w", format="NETCDF4") as file:
            netcdf.define(file, header.layout, lengths, missing, header.global_attributes())
            _copy_rows(parts, header.layout, file)

    netcdf.write_hashed(path, write)


def read_parts(parts: Path) -> xr.Dataset:
    """Return the rows of all closed segments as a Dataset in memory."""
    header = read_header(parts)
    _, missing = _extent(parts, header.layout)
    blocks: dict[str, list[NDArray[Any]]] = {}
    static: dict[str, NDArray[Any]] = {}
    recorded = {variable.name for variable in header.layout.variables if variable.record_dim}
    recorded |= set(header.layout.axes())
    for file in segments(parts):
        for name in file.variables:
            if name in recorded:
                blocks.setdefault(name, []).append(netcdf.read(file, name))
            else:
                static[name] = netcdf.read(file, name)
    arrays = static | {name: np.concatenate(found) for name, found in blocks.items()}
    return assemble(header.layout, arrays, missing, header.global_attributes())


def _extent(parts: Path, layout: Layout) -> tuple[dict[str, int], set[str]]:
    lengths = dict.fromkeys(layout.record_dims, 0)
    missing = {variable.name for variable in layout.of("")}
    for file in segments(parts):
        missing |= set(file.getncattr(_MISSING).split())
        missing -= set(file.variables) & {variable.name for variable in layout.of("")}
        for dim in lengths:
            if dim in file.dimensions:
                lengths[dim] += len(file.dimensions[dim])
    return lengths, missing


def _copy_rows(parts: Path, layout: Layout, target: netCDF4.Dataset) -> None:
    first = dict.fromkeys(layout.record_dims, 0)
    for file in segments(parts):
        for name, variable in file.variables.items():
            if name in layout.coordinates:
                continue
            dim = variable.dimensions[0] if variable.dimensions else ""
            where = (slice(first[dim], first[dim] + variable.shape[0]),) if dim in first else ()
            netcdf.fill(target, name, where, netcdf.read(file, name))
        for dim in first:
            if dim in file.dimensions:
                first[dim] += len(file.dimensions[dim])
