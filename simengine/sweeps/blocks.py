"""A file of runs: their table, and their values with a ``run`` dimension; sealed, and there whole or not at all.

Batches and the files that they are compacted to have the same form. Only numbers and plain texts are in it; what
failed is one text of JSON, kept as bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
from numpy.typing import NDArray
from xarray.backends import CachingFileManager
from xarray.backends.locks import HDF5_LOCK, NETCDFC_LOCK, combine_locks

from simengine.errors import StoreError
from simengine.store import netcdf
from simengine.store.files import damage_errors, store_errors, write_whole
from simengine.store.integrity import check_file, seal
from simengine.store.layout import TIME, Layout
from simengine.sweeps.run_table import DTYPES, RunTable

RUN = "run"
_FAILURES = "failures"
_FAILURE_BYTES = "failure_bytes"
_FORMAT = 1
_SUPERBLOCK_VERSION, _END_OF_FILE = 8, 28
_LOCK = combine_locks([HDF5_LOCK, NETCDFC_LOCK])
_FLAGS = {"flag_values": np.array([0, 1], np.int8), "flag_meanings": "done failed"}


def write_block(
    path: Path, layout: Layout, table: RunTable, values: Mapping[str, NDArray[Any]], *,
    failures: Sequence[Mapping[str, Any]] = (), missing: Collection[str] = (), attributes: Mapping[str, str] = {},
    compressed: bool = False,
) -> int:  # fmt: skip
    """Write a file of runs and return its size in bytes.

    Parameters
    ----------
    path
        The file to be; one that is there is replaced at the end.
    layout, table, values
        ``values`` by variable, shape (runs, records, *dims), as stored; may be empty.
    failures
        ``row``, ``kind``, ``message`` and ``traceback`` of each run that failed.
    missing
        Variables of integers with missing values within what runs recorded.
    attributes
        Further texts to keep.
    compressed
        Whether to compress.

    Raises
    ------
    StoreError
        If it cannot be written; nothing is left of it.
    """
    told = np.frombuffer(json.dumps([dict(item) for item in failures]).encode(), np.uint8)
    size = told.nbytes + sum(array.nbytes for array in (*values.values(), *table.columns().values()))
    with store_errors(f"write {path}"):
        # In memory first: a full disk leaves the library with a file that it can neither write nor close.
        file = netCDF4.Dataset("block", "w", memory=size + (1 << 16))
        file.set_fill_off()
        file.setncatts({
            "format": _FORMAT, "reasons": json.dumps(table.reasons), "missing_values_in": " ".join(sorted(missing)),
            **attributes,
        })  # fmt: skip
        file.createDimension(RUN, len(table))
        file.createDimension(_FAILURE_BYTES, len(told))
        for name, column in table.columns().items():
            _create(file, f"{RUN}_{name}", (RUN,), column, compressed, _FLAGS if name == "status" else {})
        _create(file, f"{RUN}_{_FAILURES}", (_FAILURE_BYTES,), told, compressed, {})
        declared = {variable.name: variable for variable in layout.of(TIME)}
        for name, array in values.items():
            variable = declared[name]
            for dim, length in zip(variable.dims, array.shape[1:], strict=True):
                if dim not in file.dimensions:
                    file.createDimension(dim, length)
            given = {
                key: value for key, value in variable.file_attributes(name in missing).items() if key != "coordinates"
            }
            dims = (RUN, *variable.dims)
            if array.dtype.kind == "O":
                array, given = _letters(array), {**given, "_Encoding": "utf-8"}
                dims = (*dims, f"{name}_strlen")
                file.createDimension(dims[-1], array.shape[-1])
            _create(file, name, dims, array, compressed, given)
        content = _trimmed(file.close())

        def write(temporary: Path) -> None:
            temporary.write_bytes(content)
            seal(temporary)

        write_whole(path, write)
        return path.stat().st_size


def _trimmed(content: memoryview) -> memoryview:
    """Return a file made in memory without what the library has set aside behind its end, up to 64 KiB.

    The end is in the superblock (HDF5 file format, section II.A, versions 2 and 3).
    """
    if content[_SUPERBLOCK_VERSION] in (2, 3):
        end = int.from_bytes(content[_END_OF_FILE : _END_OF_FILE + 8], "little")
        if _END_OF_FILE < end <= len(content):
            return content[:end]
    return content


def _create(
    file: netCDF4.Dataset, name: str, dims: tuple[str, ...], values: NDArray[Any], compressed: bool,
    attributes: Mapping[str, Any],
) -> None:  # fmt: skip
    if compressed:
        netcdf.create(file, name, dims, values.shape, values.dtype, attributes)
    else:
        given = dict(attributes)
        fill_value = given.pop("_FillValue", None)
        file.createVariable(name, values.dtype, dims, fill_value=fill_value).setncatts(given)
        file.variables[name].set_auto_maskandscale(False)
    netcdf.fill(file, name, (), values)


def _letters(texts: NDArray[Any]) -> NDArray[Any]:
    """Return texts as bytes of UTF-8, one more dimension.

    Strings of variable length are not used: reading them twice from several files can crash the HDF5 library.
    """
    encoded = np.array([str(text).encode() for text in texts.flat] or [b""], np.bytes_)
    width = max(1, encoded.dtype.itemsize)
    return encoded.astype(f"S{width}").view("S1").reshape(-1, width)[: texts.size].reshape(*texts.shape, width)


def _words(letters: NDArray[Any]) -> NDArray[Any]:
    """Return the texts of `_letters`."""
    joined = np.ascontiguousarray(letters).view(f"S{letters.shape[-1]}")[..., 0]
    texts = np.empty(joined.size, object)
    texts[:] = [text.decode() for text in joined.flat]
    return texts.reshape(joined.shape)


def digest_of(table: RunTable, values: Mapping[str, NDArray[Any]]) -> str:
    """Return a hash of everything in a block that a repetition gives again: all but durations and messages."""
    total = hashlib.sha256()
    for name, column in table.columns().items():
        if name != "seconds":
            total.update(name.encode() + np.ascontiguousarray(column).tobytes())
    total.update(json.dumps(table.reasons).encode())
    for name in sorted(values):
        array = values[name]
        total.update(f"\n{name} {array.shape}\n".encode())
        total.update(json.dumps(array.tolist()).encode() if array.dtype.kind == "O" else array.tobytes())
    return total.hexdigest()


class Block:
    """A file of runs, open when needed, of which only what is asked for is read.

    Its checksum is compared once, before the HDF5 library reads a byte.

    Parameters
    ----------
    path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._manager: Any = None

    def check(self) -> None:
        """Raise StoreError if the file is not there or is damaged."""
        if self._manager is None:
            if not self.path.is_file():
                raise StoreError(f"{self.path} is not there; if the sweep has gone on since, open it again")
            check_file(self.path)
            self._manager = CachingFileManager(netCDF4.Dataset, str(self.path), mode="r", lock=_LOCK)

    def close(self) -> None:
        """Close the file; it is opened and checked again when needed."""
        if self._manager is not None:
            self._manager.close()
            self._manager = None

    def attribute(self, name: str) -> str:
        """Return a text that was kept with the runs, empty where there is none."""
        self.check()
        with damage_errors(f"read {self.path}"), _LOCK:
            return str(getattr(self._file(), name, ""))

    @property
    def missing(self) -> frozenset[str]:
        """Variables of integers with missing values within what runs recorded."""
        return frozenset(self.attribute("missing_values_in").split())

    def table(self) -> RunTable:
        """Return the table of its runs."""
        self.check()
        with damage_errors(f"read {self.path}"), _LOCK:
            file = self._file()
            if getattr(file, "format", None) != _FORMAT:
                raise StoreError(f"{self.path} is no file of runs that this version reads")
            columns = {name: netcdf.read(file, f"{RUN}_{name}") for name in DTYPES}
            return RunTable.of(columns, json.loads(file.reasons))

    def failures(self) -> list[dict[str, Any]]:
        """Return row, kind, message and traceback of each run that failed."""
        self.check()
        with damage_errors(f"read {self.path}"), _LOCK:
            found: list[dict[str, Any]] = json.loads(netcdf.read(self._file(), f"{RUN}_{_FAILURES}").tobytes())
            return found

    def variables(self) -> list[str]:
        """Return the names of the variables of which it has values."""
        self.check()
        with damage_errors(f"read {self.path}"), _LOCK:
            return [name for name, variable in self._file().variables.items() if TIME in variable.dimensions]

    def read(self, name: str, rows: NDArray[np.int64], within: Sequence[NDArray[np.int64]], out: NDArray[Any]) -> None:
        """Read values of some runs into ``out``, shape (rows, *lengths of ``within``); what is not there stays.

        Parameters
        ----------
        name
            The variable.
        rows
            Rows of the file, in any order.
        within
            Positions along time and the further dimensions, in any order.
        """
        self.check()
        with damage_errors(f"read {self.path}"), _LOCK:
            variable = self._file().variables.get(name)
            if variable is None or not len(rows) or any(not len(positions) for positions in within):
                return
            variable.set_auto_maskandscale(False)
            variable.set_auto_chartostring(False)
            # The file's time dimension is shorter than the axis where every run of it stopped early.
            there = within[0] < variable.shape[1]
            if not there.any():
                return
            inner = [within[0][there], *within[1:]]
            spans = tuple(slice(int(positions.min()), int(positions.max()) + 1) for positions in inner)
            shifted = [positions - span.start for positions, span in zip(inner, spans, strict=True)]
            sorted_rows = np.argsort(rows, kind="stable")
            ordered = rows[sorted_rows]
            chunks = variable.chunking()
            gap = chunks[0] if isinstance(chunks, list) else 64
            for piece in np.split(sorted_rows, np.flatnonzero(np.diff(ordered) > gap) + 1):
                first, last = int(rows[piece[0]]), int(rows[piece[-1]])
                values = np.asarray(variable[(slice(first, last + 1), *spans)])
                values = _words(values) if variable.dtype == "S1" else values
                taken = values[np.ix_(rows[piece] - first, *shifted)]
                places = [np.flatnonzero(there), *(np.arange(len(positions)) for positions in inner[1:])]
                out[np.ix_(piece, *places)] = taken

    def _file(self) -> netCDF4.Dataset:
        file: netCDF4.Dataset = self._manager.acquire(needs_lock=False)
        return file
