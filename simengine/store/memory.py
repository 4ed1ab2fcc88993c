"""A run collected in memory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from simengine.store import netcdf
from simengine.store.attributes import CONTENT_HASH
from simengine.store.checkpoints import remove_checkpoints
from simengine.store.dataset import assemble
from simengine.store.files import parts_of, refuse_existing, remove_folder, store_errors
from simengine.store.hashing import content_hash
from simengine.store.header import Header
from simengine.store.layout import Layout
from simengine.store.recording import Writer, begun


class MemoryWriter(Writer[xr.Dataset]):
    """Collects a run in memory; `close` returns the Dataset that opening such a file would give.

    Parameters
    ----------
    layout, attributes, volatile, static
        As those of `RunWriter`.
    """

    def __init__(
        self,
        layout: Layout,
        attributes: Mapping[str, Any],
        *,
        volatile: Mapping[str, Any] = {},
        static: Mapping[str, Any] = {},
    ) -> None:
        super().__init__(begun(layout, attributes, volatile, static), None, None)
        self._static = dict(self.header.static)
        self._static_missing = set(self.header.static_missing)

    def mark(self) -> Any:
        """Return where the record stands, for `rollback`."""
        tables = {dim: table.mark() for dim, table in self._tables.items()}
        return tables, dict(self._static), set(self._static_missing)

    def rollback(self, mark: Any) -> None:
        """Forget the rows and static values that were added since ``mark``, a value of `mark`."""
        self._check_open()
        tables, static, static_missing = mark
        for dim, table in self._tables.items():
            table.rollback(tables[dim])
        self._static, self._static_missing = dict(static), set(static_missing)

    def dataset(self, attributes: Mapping[str, Any] = {}, volatile: Mapping[str, Any] = {}) -> xr.Dataset:
        """Return what closing now would return, and go on.

        Parameters
        ----------
        attributes, volatile
            As those of `close`.
        """
        return self._dataset(self.header.with_attributes(attributes, volatile))

    def write(
        self,
        path: str | os.PathLike[str],
        attributes: Mapping[str, Any] = {},
        volatile: Mapping[str, Any] = {},
        overwrite: bool = False,
    ) -> Path:
        """Write the run file that a `RunWriter` would have made of the same rows, and go on.

        Parameters
        ----------
        path
            The file to be.
        attributes, volatile
            As those of `close`.
        overwrite
            Whether a file that is there, and what an unfinished run left beside it, may be replaced.

        Raises
        ------
        StoreError
            If the file exists or cannot be written.
        """
        path = Path(path)
        header = self.header.with_attributes(attributes, volatile)
        arrays, missing = self._collected()
        lengths = {dim: table.count for dim, table in self._tables.items()}

        def write(temporary: Path) -> None:
            with netCDF4.Dataset(temporary, "w", format="NETCDF4") as file:
                netcdf.define(file, self.layout, lengths, missing, header.global_attributes())
                for name, values in arrays.items():
                    netcdf.fill(file, name, (), values)

        with store_errors(f"write {path}"):
            refuse_existing(path, overwrite)
            netcdf.write_hashed(path, write)
            remove_folder(parts_of(path))
            remove_checkpoints(path)
        return path

    def _finish(self, header: Header) -> xr.Dataset:
        return self._dataset(header)

    def _dataset(self, header: Header) -> xr.Dataset:
        arrays, missing = self._collected()
        copies = {name: np.array(values) for name, values in arrays.items()}
        dataset = assemble(self.layout, copies, missing, header.global_attributes())
        dataset.attrs[CONTENT_HASH] = content_hash(dataset)
        return dataset

    def _collected(self) -> tuple[dict[str, NDArray[Any]], set[str]]:
        """Return all values by name, views of the buffers, and the names of variables with missing ones."""
        arrays = dict(self._static)
        missing = {variable.name for variable in self.layout.of("")} - set(self._static) | self._static_missing
        for table in self._tables.values():
            arrays |= table.arrays()
            missing |= table.missing()
        return arrays, missing
