"""One closed segment: a block of rows of each variable in a file that is there whole or not at all.

``OUT.parts/segment-000001.nc`` and so on are NetCDF-4 files, followed by 32 bytes: the SHA-256 of what stands
before them. NetCDF readers pass over these bytes; here a segment is handed to the NetCDF library only after
they were compared, since that library may fail in any way on a damaged file, or give wrong values.

A row that is larger than what should lie in memory at once is a segment of its own, a NetCDF file in the classic
format with 64-bit data, which is written and read in blocks.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
from numpy.typing import NDArray

from simengine.errors import StoreError
from simengine.store import classic, netcdf
from simengine.store.blocks import Blocks, spans
from simengine.store.files import damage_errors, read_bytes, write_bytes, write_whole
from simengine.store.layout import STEP_OF, Layout
from simengine.store.table import Table

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


def write_row_in_blocks(
    parts: Path,
    number: int,
    layout: Layout,
    table: Table,
    step: int,
    time: float,
    row: Mapping[str, Any],
    missing: Collection[str] = (),
    held_fills: Collection[str] = (),
    block_bytes: int = 1 << 22,
) -> None:
    """Write one row as a closed segment, one block of one variable in memory at a time.

    Parameters
    ----------
    parts, number, layout
        The folder, the number of the segment, and what is recorded.
    table
        The table of the row's unlimited dimension, empty; the row passes through its checks.
    step, time, row
        As those of `Table.add`; values may be `Blocks`.
    missing, held_fills
        What is so far true of the variables along other dimensions, as for `write_segment`.
    block_bytes
        The most bytes of a block.
    """
    axes = {name: axis for name, axis in layout.axes().items() if axis.dims == (table.dim,)}
    declared = {variable.name: variable for variable in layout.of(table.dim)}
    stored = {
        name: classic.ClassicVariable(one.dims, one.storage_dtype) for name, one in (axes | declared).items()
    }  # fmt: skip
    sizes = {table.dim: 1} | {
        dim: int(layout.dimensions[dim]) for one in declared.values() for dim in one.dims[1:]
    }  # fmt: skip
    # What is missing is known at the end and stands at the beginning, in a room that fits every answer.
    names = sorted({*declared, *missing, *held_fills})

    def header() -> bytes:
        said = {_MISSING: {*missing, *table.missing()}, _HELD_FILLS: {*held_fills, *table.held_fills()}}
        texts = {name: " ".join(sorted(found)).ljust(len(" ".join(names))) for name, found in said.items()}
        return classic.header(sizes, stored, texts)

    def write(temporary: Path) -> None:
        with temporary.open("w+b") as file, table.passing(step, row) as columns:
            file.write(header())
            for name, axis in axes.items():
                classic.write_values(file, np.array([step if name == STEP_OF[table.dim] else time], axis.storage_dtype))
            for column in columns:
                values = _blocks(column.name, row.get(column.name), column.shape, column.dtype)
                bytes_each = int(np.prod(column.shape[1:], dtype=np.int64)) * column.dtype.itemsize
                for first, end in spans(column.shape[0], bytes_each, block_bytes):
                    given = values.fetch(first, end)
                    classic.write_values(file, column.stored(0, given, (end - first, *column.shape[1:])))
                classic.end_variable(file, stored[column.name].nbytes(sizes))
            file.seek(0)
            file.write(header())
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").digest()
            file.seek(0, 2)
            file.write(digest)

    write_whole(segment_path(parts, number), write)


def _blocks(name: str, value: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Blocks:
    """The values of a variable of a row, all of them missing where there are none."""
    if value is None:
        return Blocks(shape, lambda first, end: np.ma.masked_all((end - first, *shape[1:]), dtype))  # type: ignore[no-untyped-call]
    blocks = Blocks.of(value)
    if blocks.shape != shape:
        raise StoreError(f"variable {name!r} has rows of shape {shape}, got {blocks.shape}")
    return blocks


@contextmanager
def opened_segment(parts: Path, number: int) -> Iterator[netCDF4.Dataset]:
    """Yield a segment, values unmasked, after its checksum was compared.

    Raises
    ------
    StoreError
        If it is not there or damaged.
    """
    path = segment_path(parts, number)
    with damage_errors(f"read {path}"):
        file = netCDF4.Dataset(path.absolute()) if _is_large(path) else _read_whole(path)
    try:
        file.set_auto_maskandscale(False)
        yield file
    finally:
        file.close()


def _is_large(path: Path) -> bool:
    """Whether a segment is one row that was written in blocks; `StoreError` if it is one, and damaged."""
    if not path.is_file():
        # Reading it tells what is wrong.
        return False
    with path.open("rb") as file:
        if file.read(len(classic.MAGIC)) != classic.MAGIC:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content, memoryview(content) as view:
            _check_digest(path, view)
    return True


def _read_whole(path: Path) -> netCDF4.Dataset:
    try:
        content = read_bytes(path)
    except FileNotFoundError:
        raise StoreError(f"{path.name} of {path.parent} is missing") from None
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error
    with memoryview(content) as view:
        _check_digest(path, view)
    return netCDF4.Dataset(path.name, memory=memoryview(content)[:-_DIGEST_BYTES])


def _check_digest(path: Path, content: memoryview) -> None:
    with content[:-_DIGEST_BYTES] as body, content[-_DIGEST_BYTES:] as digest:
        if not body or hashlib.sha256(body).digest() != bytes(digest):
            raise StoreError(f"{path} is damaged: its checksum differs")


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
