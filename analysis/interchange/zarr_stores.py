"""A whole Dataset as a Zarr store of format 3, all variables and attributes, a block in memory at a time."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from simengine.store.attributes import encode_again
from simengine.store.files import make_folder_whole
from simengine.store.netcdf import chunk_shape

BLOCK_BYTES = 1 << 26
"""Of all variables along one dimension; one row of it is the least."""


def write_zarr(data: xr.Dataset, path: Path) -> None:
    """Write a Dataset; a folder of that name is replaced at the end.

    Memory is bounded by `BLOCK_BYTES`, or by one row along the first dimension of the variables where it is larger.
    """
    encoded = data.copy(deep=False)
    encoded.attrs = encode_again(data.attrs)
    rows = {dim: _rows(data, dim) for dim in _leading(data)}
    encoding = {str(name): _storage(variable, rows) for name, variable in data.variables.items()}
    for variable in encoded.variables.values():
        variable.encoding = {}

    def fill(folder: Path) -> None:
        store = folder / "store"
        with warnings.catch_warnings():
            # Texts have no type in the format's specification yet; all readers of xarray's stores know them.
            warnings.filterwarnings("ignore", message=".*Zarr (V3|format 3) specification.*")
            warnings.filterwarnings("ignore", category=FutureWarning)
            _write(encoded, store, rows, encoding)
        for entry in store.iterdir():
            entry.rename(folder / entry.name)
        shutil.rmtree(store)

    make_folder_whole(path, fill)


def is_store(path: Path) -> bool:
    """Whether a folder is a Zarr store."""
    return any((path / name).is_file() for name in ("zarr.json", ".zgroup"))


def _write(data: xr.Dataset, store: Path, rows: Mapping[str, int], encoding: Mapping[str, Mapping[str, Any]]) -> None:
    import zarr

    first = data.isel({dim: slice(0, count) for dim, count in rows.items()})
    first.to_zarr(store, mode="w", zarr_format=3, consolidated=False, encoding=encoding)
    for dim, count in rows.items():
        names = [name for name, variable in data.variables.items() if variable.dims[:1] == (dim,)]
        for part in _blocks(data[names].reset_coords(), dim, count):
            part.to_zarr(store, append_dim=dim, zarr_format=3, consolidated=False)
    # All metadata in one place, without which xarray looks for them and says so.
    zarr.consolidate_metadata(store)


def _blocks(data: xr.Dataset, dim: str, rows: int) -> Iterator[xr.Dataset]:
    for start in range(rows, data.sizes[dim], rows):
        yield data.isel({dim: slice(start, start + rows)})


def _leading(data: xr.Dataset) -> list[str]:
    """The dimensions along which blocks are taken: first of some variable, and never a later one of another."""
    first = {str(variable.dims[0]) for variable in data.variables.values() if variable.dims}
    later = {str(dim) for variable in data.variables.values() for dim in variable.dims[1:]}
    return sorted(first - later)


def _rows(data: xr.Dataset, dim: str) -> int:
    """Rows of a block, a power of two: at most `BLOCK_BYTES` if a row is not larger."""
    along = [one for one in data.variables.values() if one.dims[:1] == (dim,)]
    each = max(sum(one.nbytes // max(one.shape[0], 1) for one in along), 1)
    return _power_of_two(BLOCK_BYTES // each)


def _power_of_two(number: int) -> int:
    """Return the greatest power of two up to a number, 1 at least."""
    return 1 << (max(number, 1).bit_length() - 1)


def _storage(variable: xr.Variable, rows: Mapping[str, int]) -> dict[str, Any]:
    kept: dict[str, Any] = {
        key: variable.encoding[key] for key in ("dtype", "_FillValue") if key in variable.encoding
    }  # fmt: skip
    if variable.dtype.kind not in "iufb":
        kept = {}
    elif variable.dims:
        chunks = chunk_shape(variable.shape, variable.dtype.itemsize)
        count = rows.get(str(variable.dims[0]))
        if count is not None and count < variable.shape[0]:
            # Blocks end where chunks end, so that none is written twice.
            chunks = (min(count, _power_of_two(chunks[0])), *chunks[1:])
        kept["chunks"] = chunks
    return kept
