"""Defining and filling NetCDF-4 files: dimensions, chunks, compression."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
from numpy.typing import NDArray

from simengine.errors import StoreError
from simengine.store.attributes import CONTENT_HASH
from simengine.store.files import write_whole
from simengine.store.hashing import content_hash
from simengine.store.integrity import seal
from simengine.store.layout import Layout

_CHUNK_BYTES = 1 << 19
_LARGE_BYTES = 1 << 23
"""Larger rows of a segment are copied in blocks of about this size."""


# Every HDF5 reader has these two filters. The NetCDF library's zstandard filter runs without the byte shuffle
# and leaves a random walk at 0.92 of its size (this: 0.77); its Blosc filter fails on incompressible chunks.
COMPRESSION: Mapping[str, Any] = {"compression": "zlib", "complevel": 1, "shuffle": True}


def write_hashed(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a NetCDF file, add its content hash as read back from it, seal it, put it at ``path``.

    Raises
    ------
    StoreError
        If it cannot be written, with the room left on the disk; ``path`` is then as it was.
    """

    def write_and_hash(temporary: Path) -> None:
        write(temporary)
        digest = content_hash(temporary)
        with netCDF4.Dataset(temporary, "a") as file:
            file.setncattr(CONTENT_HASH, digest)
        seal(temporary)

    try:
        write_whole(path, write_and_hash)
    except (RuntimeError, StoreError) as error:
        free = shutil.disk_usage(path.parent).free / 1e6
        raise StoreError(f"cannot write {path}: {error} ({free:.0f} MB are free there)") from error


def chunk_shape(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Return chunks of at most half a mebibyte that span whole trailing axes where they can.

    A series gets long chunks along time, a big snapshot several chunks of one row.
    """
    room = max(1, _CHUNK_BYTES // itemsize)
    chunks = [max(1, length) for length in shape]
    for axis in range(len(chunks)):
        others = int(np.prod(chunks[axis + 1 :], dtype=np.int64))
        chunks[axis] = max(1, min(chunks[axis], room // max(1, others)))
        room = max(1, room // chunks[axis])
    return tuple(chunks)


def define(
    file: netCDF4.Dataset,
    layout: Layout,
    lengths: Mapping[str, int],
    missing: Collection[str],
    attributes: Mapping[str, Any],
) -> None:
    """Define all dimensions, variables and attributes of a run file and write its fixed coordinates.

    ``lengths`` are the numbers of rows to come along the unlimited dimensions (for the chunks), ``missing``
    the variables with missing values, ``attributes`` the encoded global attributes.
    """
    file.set_auto_maskandscale(False)
    for name, value in attributes.items():
        file.setncattr(name, value)
    for dim in layout.record_dims:
        file.createDimension(dim, None)
    for dim, length in layout.dimensions.items():
        file.createDimension(dim, length)
    for name in layout.coordinates:
        _write_coordinate(file, name, layout.coordinate_array(name), layout.coordinate_attributes(name))
    for name, axis in layout.axes().items():
        create(file, name, axis.dims, (lengths[axis.dims[0]],), axis.storage_dtype, layout.axis_attributes(name))
    for variable in layout.variables:
        shape = layout.row_shape(variable)
        if variable.record_dim:
            shape = (lengths[variable.record_dim], *shape)
        given = variable.file_attributes(variable.name in missing)
        create(file, variable.name, variable.dims, shape, variable.storage_dtype, given)
        if not variable.record_dim:
            fill(file, variable.name, (), np.full(shape, variable.fill_value, variable.storage_dtype))


def create(
    file: netCDF4.Dataset,
    name: str,
    dims: tuple[str, ...],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    attributes: Mapping[str, Any],
) -> None:
    """Create one variable with its attributes; ``shape`` is what it will be in the end."""
    given = dict(attributes)
    fill_value = given.pop("_FillValue", None)
    if dtype.kind == "O":
        variable = file.createVariable(name, str, dims)
    else:
        storage = {"chunksizes": chunk_shape(shape, dtype.itemsize), **COMPRESSION} if dims else {}
        variable = file.createVariable(name, dtype, dims, fill_value=fill_value, **storage)
    variable.set_auto_maskandscale(False)
    for key, value in given.items():
        variable.setncattr(key, value)


def _write_coordinate(file: netCDF4.Dataset, name: str, values: NDArray[Any], attributes: Mapping[str, Any]) -> None:
    # A coordinate variable of NetCDF's string type is none to CF, which takes labels as arrays of characters;
    # xarray makes an index of both.
    if values.dtype.kind == "O":
        encoded = np.array([text.encode() for text in values], dtype=np.bytes_)
        letters = f"{name}_strlen"
        file.createDimension(letters, encoded.dtype.itemsize)
        variable = file.createVariable(name, "S1", (name, letters))
        variable.setncatts({**attributes, "_Encoding": "utf-8"})
        variable.set_auto_chartostring(False)
        variable[:] = encoded.view("S1").reshape(len(values), -1)
    else:
        create(file, name, (name,), values.shape, values.dtype, attributes)
        file.variables[name][:] = values


def fill(file: netCDF4.Dataset, name: str, where: tuple[slice, ...], values: NDArray[Any]) -> None:
    """Write a block of values, ``where`` along the first dimensions (empty: everywhere)."""
    if values.size == 0:
        return
    if values.ndim == 0:
        file.variables[name][...] = values.item() if values.dtype.kind == "O" else values
    else:
        file.variables[name][where or slice(None)] = values


def read(file: netCDF4.Dataset, name: str) -> NDArray[Any]:
    """Return all values of a variable as stored, fill values included."""
    variable = file.variables[name]
    variable.set_auto_maskandscale(False)
    return np.asarray(variable[...], dtype=object if variable.dtype is str else None)


def blocks(
    file: netCDF4.Dataset, name: str, chunking: Sequence[int] | str
) -> Iterator[tuple[tuple[slice, ...], NDArray[Any]]]:
    """Yield the values of a variable as stored with where they stand: at once, or large rows in blocks.

    A block is a part of one row along the second dimension, of whole chunks of ``chunking``.
    """
    variable = file.variables[name]
    variable.set_auto_maskandscale(False)
    shape = variable.shape
    cell = 0 if variable.dtype is str else int(np.prod(shape[2:], dtype=np.int64)) * variable.dtype.itemsize
    if len(shape) < 2 or cell * shape[1] <= _LARGE_BYTES:
        yield (), read(file, name)
        return
    chunk = 1 if isinstance(chunking, str) else chunking[1]
    length = max(1, _LARGE_BYTES // cell // chunk) * chunk
    for row in range(shape[0]):
        for first in range(0, shape[1], length):
            where = (slice(row, row + 1), slice(first, min(shape[1], first + length)))
            yield where, np.asarray(variable[where])
