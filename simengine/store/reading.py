"""Opening what a run left: a finished file, or the segments of one that was killed."""

from __future__ import annotations

import os
from pathlib import Path

import xarray as xr

from simengine.errors import StoreError, nearest_file
from simengine.store.files import PARTS_SUFFIX, damage_errors, parts_of
from simengine.store.integrity import check_file
from simengine.store.parts import read_parts


def open_run(path: str | os.PathLike[str]) -> xr.Dataset:
    """Open a run.

    Parameters
    ----------
    path
        A finished file (opened lazily, like `xarray.open_dataset`), or one whose ``path.parts/`` a killed or
        running process left (its closed segments are loaded into memory), or such a folder itself. A finished
        file takes precedence over a folder of the same name.

    Returns
    -------
    xarray.Dataset
        With the attributes as stored; `decode_attributes` gives Python values. That of an unfinished run has
        no ``content_hash`` and the attribute ``unfinished = 1``; numbers of segments that are missing or damaged
        are listed in ``lost_segments``.

    Raises
    ------
    StoreError
        If there is no run, or the file is damaged or of another kind.
    """
    path = Path(path)
    with damage_errors(f"open {path}"):
        if path.name.endswith(PARTS_SUFFIX) and path.is_dir():
            return _unfinished(path)
        if path.is_file():
            check_file(path)
            return xr.open_dataset(path.absolute(), engine="netcdf4")
        if parts_of(path).is_dir():
            return _unfinished(parts_of(path))
        raise StoreError(f"there is no run file {path}{nearest_file(path)}")


def _unfinished(parts: Path) -> xr.Dataset:
    dataset = read_parts(parts)
    dataset.attrs["unfinished"] = 1
    return dataset
