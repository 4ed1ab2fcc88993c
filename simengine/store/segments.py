"""One closed segment: a block of rows of each variable in a file that is there whole or not at all.

``OUT.parts/segment-000001.nc`` and so on are NetCDF-4 files, followed by 32 bytes: the SHA-256 of what stands
before them. NetCDF readers pass over these bytes; here a segment is handed to the NetCDF library only after
they were compared, since that library may fail in any way on a damaged file, or give wrong values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
from numpy.typing import NDArray

from simengine.errors import StoreError
from simengine.store import netcdf
from simengine.store.files import damage_errors, read_bytes, write_bytes
from simengine.store.layout import STEP_OF, Layout

_MISSING = "missing_values_in"
_HELD_FILLS = "fill_values_as_numbers_in"
_DIGEST_BYTES = hashlib.sha256().digest_size
_PREFIX, _SUFFIX = "segment-", ".nc"


@dataclass(frozen=True)
class Ending:
    """How the rows of the first segments end, so that others can follow.

    Parameters
    ----------
    last_steps
        Number of the last step by unlimited dimension; None where there is no row.
    missing, held_fills
        Variables with missing values, and those that held the marker of missing values as a number.
    """

    last_steps: Mapping[str, int | None] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    held_fills: frozenset[str] = frozenset()


def segment_path(parts: Path, number: int) -> Path:
    """Return the file of a segment."""
    return parts / f"{_PREFIX}{number:06d}{_SUFFIX}"


def segment_numbers(parts: Path) -> list[int]:
    """Return the numbers of the closed segments that are there, in order."""
    found = []
    for path in parts.iterdir():
        digits = path.name.removeprefix(_PREFIX).removesuffix(_SUFFIX)
        if digits.isdecimal() and path.name == segment_path(parts, int(digits)).name:
            found.append(int(digits))
    return sorted(found)


def write_segment(
    parts: Path,
    number: int,
    layout: Layout,
    arrays: Mapping[str, NDArray[Any]],
    missing: Collection[str] = (),
    held_fills: Collection[str] = (),
) -> None:
    """Write one closed segment: blocks of rows, static values or coordinates, by name.

    ``missing`` and ``held_fills`` say of which variables some value was missing, or was a number that marks
    missing ones, in this or any earlier segment. The file is built in memory and written by the operating
    system's own calls, because a full disk leaves the NetCDF library with a file that it can neither write
    nor close.
    """
    size = sum(values.nbytes for values in arrays.values())
    file = netCDF4.Dataset("segment", "w", memory=size + (1 << 16))
    file.set_fill_off()
    file.setncattr(_MISSING, " ".join(sorted(missing)))
    file.setncattr(_HELD_FILLS, " ".join(sorted(held_fills)))
    dims = {**{axis: variable.dims for axis, variable in layout.axes().items()}}
    dims |= {variable.name: variable.dims for variable in layout.variables}
    dims |= {name: (name,) for name in layout.coordinates}
    for name, values in arrays.items():
        for dim, length in zip(dims[name], values.shape, strict=True):
            if dim not in file.dimensions:
                file.createDimension(dim, length)
        file.createVariable(name, str if values.dtype.kind == "O" else values.dtype, dims[name])
        netcdf.fill(file, name, (), values)
    content = file.close()
    write_bytes(segment_path(parts, number), content, hashlib.sha256(content).digest())


@contextmanager
def opened_segment(parts: Path, number: int) -> Iterator[netCDF4.Dataset]:
    """Yield a segment, values unmasked, after its checksum was compared.

    Raises
    ------
    StoreError
        If it is not there or damaged.
    """
    path = segment_path(parts, number)
    try:
        content = read_bytes(path)
    except FileNotFoundError:
        raise StoreError(f"{path.name} of {parts} is missing") from None
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error
    body = memoryview(content)[:-_DIGEST_BYTES]
    if not body or hashlib.sha256(body).digest() != content[-_DIGEST_BYTES:]:
        raise StoreError(f"{path} is damaged: its checksum differs")
    with damage_errors(f"read {path}"):
        file = netCDF4.Dataset(path.name, memory=body)
    try:
        file.set_auto_maskandscale(False)
        yield file
    finally:
        file.close()


def missing_in(file: netCDF4.Dataset) -> set[str]:
    """Return the variables that had missing values up to the end of a segment."""
    return set(file.getncattr(_MISSING).split())


def follow(parts: Path, number: int, layout: Layout, before: Ending) -> Ending:
    """Return how the rows end with one more segment.

    Raises
    ------
    StoreError
        If the segment is missing, damaged, of another layout, or does not follow the rows before it.
    """
    path = segment_path(parts, number)
    with opened_segment(parts, number) as file, damage_errors(f"read {path}"):
        check_variables(path, file, layout)
        last_steps = dict(before.last_steps)
        for dim in layout.record_dims:
            if dim not in file.dimensions:
                continue
            steps = netcdf.read(file, STEP_OF[dim])
            last = last_steps.get(dim)
            if steps.size and ((last is not None and steps[0] <= last) or bool((np.diff(steps) <= 0).any())):
                raise StoreError(f"{path} does not follow the segments before it")
            if steps.size:
                last_steps[dim] = int(steps[-1])
        return Ending(last_steps, frozenset(missing_in(file)), frozenset(file.getncattr(_HELD_FILLS).split()))


def check_variables(path: Path, file: netCDF4.Dataset, layout: Layout) -> None:
    """Raise StoreError unless a segment holds rows of this layout, all variables of them."""
    declared = {variable.name: variable for variable in layout.variables} | layout.axes()
    for name, variable in file.variables.items():
        known = declared.get(name)
        fits = (
            known is not None
            and variable.dimensions == known.dims
            and variable.dtype == (str if known.storage_dtype.kind == "O" else known.storage_dtype)
            and variable.shape[bool(known.record_dim) :] == layout.row_shape(known)
        )
        if not fits:
            raise StoreError(f"{path} is of another run: variable {name!r} is not as declared")
    for dim in layout.record_dims:
        expected = {variable.name for variable in (*layout.of(dim), *layout.axes().values()) if variable.dims[0] == dim}
        if dim in file.dimensions and not expected <= file.variables.keys():
            raise StoreError(
                f"{path} is of another run: variable {min(expected - file.variables.keys())!r} is not there"
            )
