"""A whole Dataset to a file at once: batches of runs, merged views, results of an analysis."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from simengine.store.attributes import encode_again
from simengine.store.files import refuse_existing, store_errors
from simengine.store.layout import plain_unit, typed_attributes
from simengine.store.netcdf import COMPRESSION, chunk_shape, write_hashed


def write_dataset(dataset: xr.Dataset, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write a Dataset as run files are written: whole or not at all, compressed, with its content hash.

    Parameters
    ----------
    dataset
        Numbers, booleans and texts; attributes of any kind that `encode_attributes` takes. It is not changed.
    path
        The file to be.
    overwrite
        Whether a file that is there may be replaced.

    Raises
    ------
    StoreError
        If the file exists or cannot be written.
    """
    path = Path(path)
    encoded = dataset.copy(deep=False)
    encoded.attrs = encode_again(dataset.attrs)
    encoding: dict[str, dict[str, Any]] = {}
    for name, variable in encoded.variables.items():
        stored = np.dtype(variable.encoding.get("dtype", variable.dtype))
        variable.attrs = encode_again(variable.attrs) | typed_attributes(variable.attrs, stored)
        if isinstance(variable.attrs.get("units"), str):
            variable.attrs["units"] = plain_unit(variable.attrs["units"])
        encoding[str(name)] = _storage(variable, is_axis=variable.dims == (name,))

    def write(temporary: Path) -> None:
        encoded.to_netcdf(temporary, engine="netcdf4", format="NETCDF4", encoding=encoding, unlimited_dims=())

    with store_errors(f"write {path}"):
        refuse_existing(path, overwrite)
        write_hashed(path, write)
    return path


def _storage(variable: xr.Variable, is_axis: bool) -> dict[str, Any]:
    if variable.dtype.kind not in "iufb":
        return {"dtype": "S1"} if is_axis else {}
    kept = {key: variable.encoding[key] for key in ("dtype", "_FillValue") if key in variable.encoding}
    if is_axis:
        kept.setdefault("_FillValue", None)
    if not variable.dims:
        return kept
    return {**kept, **COMPRESSION, "chunksizes": chunk_shape(variable.shape, variable.dtype.itemsize)}
