"""The folder of a run that is being written: a header, then closed segments, each whole or not there.

``OUT.parts/header.json`` holds the layout and the attributes known at the start; ``segment-000000.nc`` the
fixed coordinates and the static values known at the start; ``segment-000001.nc`` and so on hold rows in the
order of recording.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from simengine.errors import StoreError
from simengine.store import netcdf
from simengine.store.dataset import assemble
from simengine.store.files import TEMPORARY_SUFFIX, damage_errors, fsync, store_errors
from simengine.store.header import HEADER, Header, read_header, unfinished_parts
from simengine.store.layout import Layout
from simengine.store.segments import (
    Ending,
    check_variables,
    follow,
    missing_in,
    opened_segment,
    segment_numbers,
    segment_path,
)

LOST = "lost_segments"


def usable_segments(path: str | os.PathLike[str]) -> int:
    """Return how many segments of an unfinished run, from the first on, are there and whole.

    All their data are read and compared with their checksums. None if the header cannot be read.

    Raises
    ------
    StoreError
        If the folder itself cannot be read.
    """
    parts = unfinished_parts(path)
    with store_errors(f"read {parts}"):
        if not parts.is_dir():
            return 0
        segment_numbers(parts)
    number = 0
    with suppress(StoreError):
        layout = read_header(parts).layout
        ending = Ending()
        while True:
            ending = follow(parts, number + 1, layout, ending)
            number += 1
    return number


def ending_of(parts: Path, layout: Layout, segments: int) -> Ending:
    """Return how the rows of the first so many segments end; ``StoreError`` if one is missing or damaged."""
    ending = Ending()
    for number in range(1, segments + 1):
        ending = follow(parts, number, layout, ending)
    return ending


def keep_segments(parts: Path, segments: int) -> None:
    """Remove the segments after the first so many, the last one first, and what killed processes left."""
    for number in reversed(segment_numbers(parts)):
        if number > segments:
            segment_path(parts, number).unlink()
    for leftover in parts.glob("*" + TEMPORARY_SUFFIX):
        leftover.unlink()
    fsync(parts)


def vanished(parts: Path, segments: int) -> list[str]:
    """Return what should be there and is not: the folder itself (one entry), or names of files in it."""
    try:
        there = {entry.name for entry in os.scandir(parts)}
    except (FileNotFoundError, NotADirectoryError):
        return [str(parts)]
    expected = [HEADER, *(segment_path(parts, number).name for number in range(segments + 1))]
    return [name for name in expected if name not in there]


def merge(parts: Path, path: Path, header: Header, segments: int | None = None) -> None:
    """Write the run file from its segments, one of them in memory at a time, a large row in blocks.

    Raises
    ------
    StoreError
        If a segment is missing or damaged (with ``segments``, also one at the end), or the file cannot be
        written.
    """
    numbers = segment_numbers(parts)
    expected = range((numbers[-1] if segments is None and numbers else segments or 0) + 1)
    for number in expected:
        if number not in numbers:
            raise StoreError(f"{segment_path(parts, number).name} of {parts} is missing; the others stay readable")
    lengths, missing = _extent(parts, header.layout, list(expected))

    def write(temporary: Path) -> None:
        with netCDF4.Dataset(temporary, "w", format="NETCDF4") as file:
            netcdf.define(file, header.layout, lengths, missing, header.global_attributes())
            _copy_rows(parts, header.layout, list(expected), file)

    netcdf.write_hashed(path, write)


def read_parts(parts: Path) -> xr.Dataset:
    """Return the rows of all closed segments as a Dataset in memory.

    Segments that are missing or damaged are left out and their numbers listed in the attribute
    ``lost_segments``.
    """
    header = read_header(parts)
    blocks: dict[str, list[NDArray[Any]]] = {}
    static = dict(header.static)
    static_names = {variable.name for variable in header.layout.of("")}
    missing = (static_names - set(static)) | header.static_missing
    lost = []
    for number in range(1, segment_numbers(parts)[-1] + 1):
        path = segment_path(parts, number)
        try:
            with opened_segment(parts, number) as file, damage_errors(f"read {path}"):
                check_variables(path, file, header.layout)
                values = {name: netcdf.read(file, name) for name in file.variables}
                missing = (missing - (set(values) & static_names)) | missing_in(file)
        except StoreError:
            lost.append(number)
            continue
        for name, block in values.items():
            if name in static_names:
                static[name] = block
            else:
                blocks.setdefault(name, []).append(block)
    arrays = static | {name: np.concatenate(found) for name, found in blocks.items()}
    attributes = header.with_attributes({LOST: lost} if lost else {}, {}).global_attributes()
    return assemble(header.layout, arrays, missing, attributes)


def _opened(parts: Path, numbers: list[int]) -> Iterator[netCDF4.Dataset]:
    for number in numbers:
        with opened_segment(parts, number) as file:
            yield file


def _extent(parts: Path, layout: Layout, numbers: list[int]) -> tuple[dict[str, int], set[str]]:
    lengths = dict.fromkeys(layout.record_dims, 0)
    static = {variable.name for variable in layout.of("")}
    missing = set(static)
    for file in _opened(parts, numbers):
        missing -= set(file.variables) & static
        missing |= missing_in(file)
        for dim in lengths:
            if dim in file.dimensions:
                lengths[dim] += len(file.dimensions[dim])
    return lengths, missing


def _copy_rows(parts: Path, layout: Layout, numbers: list[int], target: netCDF4.Dataset) -> None:
    first = dict.fromkeys(layout.record_dims, 0)
    for file in _opened(parts, numbers):
        for name, variable in file.variables.items():
            if name in layout.coordinates:
                continue
            dim = variable.dimensions[0] if variable.dimensions else ""
            shift = first.get(dim, 0)
            for where, values in netcdf.blocks(file, name, target.variables[name].chunking()):
                rows = where[0] if where else slice(0, variable.shape[0]) if dim in first else None
                there = () if rows is None else (slice(rows.start + shift, rows.stop + shift), *where[1:])
                netcdf.fill(target, name, there, values)
        for dim in first:
            if dim in file.dimensions:
                first[dim] += len(file.dimensions[dim])
