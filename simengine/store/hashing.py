"""One number for what a run says: the SHA-256 of its names, values and attributes, in whatever file."""

from __future__ import annotations

import hashlib
import sys
from os import PathLike
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from simengine.errors import StoreError
from simengine.store.attributes import decode, to_json, volatile_names
from simengine.store.files import damage_errors
from simengine.store.integrity import check_file

_BLOCK_BYTES = 1 << 23


def content_hash(source: xr.Dataset | str | PathLike[str]) -> str:
    """Return the hash of a Dataset or file, 64 hexadecimal digits.

    It covers every variable, coordinate and attribute except ``provenance_volatile``, ``content_hash`` and
    the names that the global attribute ``provenance_volatile`` lists. Values are taken as little-endian bytes
    with one pattern for all NaNs, attributes as canonical JSON, both sorted by name. Order, chunks,
    compression and encoding of the file do not count. Memory stays bounded: a lazily opened Dataset is read
    in blocks.

    Raises
    ------
    StoreError
        If the file cannot be read or a variable is of a kind that run files do not have.
    """
    if isinstance(source, xr.Dataset):
        return _dataset_hash(source)
    with damage_errors(f"read {source}"):
        check_file(source)
        with xr.open_dataset(source, engine="netcdf4", cache=False) as dataset:
            return _dataset_hash(dataset)


def _dataset_hash(dataset: xr.Dataset) -> str:
    volatile = volatile_names(dataset.attrs)
    total = hashlib.sha256(b"simengine content 1\n")
    _add_attributes(total, dataset.attrs, volatile)
    for name in sorted(str(name) for name in dataset.variables):
        if name not in volatile:
            variable = dataset.variables[name]
            total.update(f"\n{to_json([name, list(variable.dims), list(variable.shape)])}\n".encode())
            _add_values(total, name, variable)
            _add_attributes(total, variable.attrs, frozenset())
    return total.hexdigest()


def _add_attributes(total: Any, attributes: Any, volatile: frozenset[str]) -> None:
    values = {str(name): decode(value) for name, value in attributes.items() if str(name) not in volatile}
    total.update(b"\n" + to_json(values).encode())


def _add_values(total: Any, name: str, variable: xr.Variable) -> None:
    if not variable.dims:
        total.update(_canonical(name, np.asarray(variable.values)))
        return
    length = variable.shape[0]
    rows = max(1, _BLOCK_BYTES // max(1, variable.nbytes // max(1, length)))
    total.update(_kind(name, variable.dtype).encode())
    row_bytes = variable.nbytes // max(1, length)
    for start in range(0, length, rows):
        block = variable.isel({variable.dims[0]: slice(start, start + rows)})
        # The bytes of one large row are those of its parts, one after the other.
        columns = variable.shape[1] if row_bytes > _BLOCK_BYTES and variable.ndim > 1 else 1
        width = max(1, _BLOCK_BYTES * columns // max(1, row_bytes)) if columns > 1 else 1
        for first in range(0, columns, width):
            part = block.isel({variable.dims[1]: slice(first, first + width)}) if columns > 1 else block
            total.update(_canonical(name, part.values))


def _kind(name: str, dtype: np.dtype[Any]) -> str:
    if dtype.kind in "UTO":
        return "text"
    if dtype.kind in "iufb":
        return f"{dtype.kind}{dtype.itemsize}"
    raise StoreError(f"variable {name!r} has dtype {dtype}, which run files do not hold")


def _canonical(name: str, values: NDArray[Any]) -> bytes:
    if _kind(name, values.dtype) == "text":
        texts = [str(text).encode() for text in values.flat]
        return b"".join(len(text).to_bytes(8, "little") + text for text in texts)
    values = np.array(values, order="C", copy=True)
    if values.dtype.kind == "f":
        values[np.isnan(values)] = np.nan
    if values.dtype.byteorder == ">" or (values.dtype.byteorder == "=" and sys.byteorder == "big"):
        values = values.byteswap()
    return values.tobytes()
