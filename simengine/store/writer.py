"""Writers of a run, alike in use: streamed to a file in closed segments, or collected in memory."""

from __future__ import annotations

import os
import time as clock
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from simengine.errors import StoreError
from simengine.store.attributes import CONTENT_HASH, encode_attributes
from simengine.store.dataset import assemble
from simengine.store.files import parts_of, refuse_existing, remove_folder, store_errors
from simengine.store.hashing import content_hash
from simengine.store.layout import SNAPSHOT_TIME, TIME, Layout
from simengine.store.segments import Header, merge, read_header, write_header, write_segment
from simengine.store.table import Table, checked_static

SEGMENT_ROWS = 16_384
SEGMENT_BYTES = 1 << 26
SEGMENT_SECONDS = 30.0
FIRST_SEGMENT_SECONDS = 1.0

Result = TypeVar("Result")


class _Writer(Generic[Result]):
    """What both writers share: the declared layout, the tables of rows, the attributes."""

    def __init__(
        self,
        layout: Layout,
        attributes: Mapping[str, Any],
        volatile: Mapping[str, Any],
        max_rows: int | None,
        max_bytes: int | None,
    ) -> None:
        encode_attributes(attributes)
        encode_attributes(volatile)
        self.layout = layout
        self._header = Header(layout, dict(attributes), dict(volatile))
        self._tables = {dim: Table(layout, dim, max_rows, max_bytes) for dim in layout.record_dims}
        self._static: dict[str, NDArray[Any]] = {}
        self._open = True
        self._result: Result | None = None

    def record(self, step: int, time: float, row: Mapping[str, Any]) -> None:
        """Add one row of the time series.

        Parameters
        ----------
        step
            Number of the step, larger than that of the row before.
        time
            Simulated time in the layout's ``time_unit``.
        row
            Scalars or arrays by variable name, copied. Absent names are missing values.

        Raises
        ------
        StoreError
            If the row does not fit the layout (it is then not recorded) or rows cannot be written.
        """
        self._add(TIME, step, time, row)

    def snapshot(self, step: int, time: float, row: Mapping[str, Any]) -> None:
        """Add one row along ``snapshot_time``; otherwise like `record`."""
        self._add(SNAPSHOT_TIME, step, time, row)

    def static(self, values: Mapping[str, Any]) -> None:
        """Set variables that have no unlimited dimension; the last value given holds."""
        self._check_open()
        self._static |= checked_static(self.layout, values)

    def flush(self) -> None:
        """Close the current segment: all rows given so far survive the process."""

    def close(self, attributes: Mapping[str, Any] = {}, volatile: Mapping[str, Any] = {}) -> Result:
        """Finish the run and return its result.

        Parameters
        ----------
        attributes
            Final global attributes, such as why the run stopped; they replace earlier ones of the same name.
        volatile
            Likewise, left out of the content hash.
        """
        if self._result is None:
            self._check_open()
            encode_attributes(attributes)
            encode_attributes(volatile)
            self._result = self._finish(self._header.with_attributes(attributes, volatile))
            self._open = False
        return self._result

    def abandon(self) -> None:
        """Stop without finishing, because of an error; what was recorded is kept where there is a file."""
        self._open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            if self._open:
                self.close()
        elif self._open:
            try:
                self.abandon()
            except StoreError as second:
                if str(second) != str(error):
                    error.add_note(str(second))

    def _finish(self, header: Header) -> Result:
        raise NotImplementedError

    def _check_open(self) -> None:
        if not self._open:
            raise StoreError("the writer is closed; nothing more can be recorded")

    def _add(self, dim: str, step: int, time: float, row: Mapping[str, Any]) -> None:
        self._check_open()
        if dim not in self._tables:
            raise StoreError(f"no variable is declared along {dim!r}")
        table = self._tables[dim]
        self._make_room(table)
        table.add(step, time, row)
        self._added(table)

    def _make_room(self, table: Table) -> None:
        """Prepare for a new row."""

    def _added(self, table: Table) -> None:
        """React to a new row."""


class RunWriter(_Writer[Path]):
    """Writes a run file: rows go to closed segments in ``OUT.parts/``, which `close` merges into ``OUT``.

    A process that dies leaves every closed segment readable (`simengine.store.open_run`). Memory is bounded
    by one segment. While the segments are merged the disk holds the rows twice, compressed in the final file.

    Parameters
    ----------
    path
        The file to be. It must not exist, nor the segments of an unfinished run, unless ``overwrite``; a file
        to be overwritten is replaced at the very end, the segments of an unfinished run are removed at once.
    layout
        What will be recorded.
    attributes
        Global attributes: None, bool, int, float, str, lists and dicts of these.
    volatile
        Global attributes that may differ between runs with the same result; the content hash leaves them out.
    segment_rows, segment_bytes, segment_seconds
        A segment is closed when it has so many rows or bytes, or when its first row is so old as the next one
        comes (the first segments sooner: after one second, two, four, ...). One row that is larger than
        ``segment_bytes`` is a segment of its own.

    Raises
    ------
    StoreError
        If the file exists or cannot be written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        layout: Layout,
        attributes: Mapping[str, Any],
        *,
        volatile: Mapping[str, Any] = {},
        overwrite: bool = False,
        segment_rows: int = SEGMENT_ROWS,
        segment_bytes: int = SEGMENT_BYTES,
        segment_seconds: float = SEGMENT_SECONDS,
    ) -> None:
        super().__init__(layout, attributes, volatile, segment_rows, segment_bytes)
        self.path = Path(path)
        self._parts = parts_of(self.path)
        self._seconds = segment_seconds
        self._patience = min(FIRST_SEGMENT_SECONDS, segment_seconds)
        self._number = 1
        self._since: float | None = None
        with store_errors(f"write {self.path}"):
            refuse_existing(self.path, overwrite)
            remove_folder(self._parts)
            self._parts.mkdir()
            try:
                write_header(self._parts, self._header)
            except BaseException:
                remove_folder(self._parts)
                raise

    def flush(self) -> None:
        """Close the current segment: all rows given so far survive the process.

        Raises
        ------
        StoreError
            If it cannot be written; its rows stay in memory, the segments before it on disk.
        """
        self._check_open()
        arrays: dict[str, NDArray[Any]] = dict(self._static)
        missing: set[str] = set()
        for table in self._tables.values():
            if table.count:
                arrays |= table.arrays()
                missing |= table.missing()
        if arrays:
            with store_errors(f"write {self._parts}"):
                write_segment(self._parts, self._number, self.layout, arrays, missing)
            self._number += 1
        self._static.clear()
        self._since = None
        for table in self._tables.values():
            table.clear()

    def abandon(self) -> None:
        """Stop because of an error: write what was recorded as a closed segment and keep ``OUT.parts/``.

        A run without a single row leaves nothing behind.
        """
        if not self._open:
            return
        try:
            self.flush()
        finally:
            self._open = False
            if self._number == 1 and not any(table.count for table in self._tables.values()):
                with suppress(OSError):
                    remove_folder(self._parts)

    def _finish(self, header: Header) -> Path:
        self.flush()
        with store_errors(f"write {self.path}"):
            merge(self._parts, self.path, header)
        # The file is whole now; segments that cannot be removed are not a failure of the run.
        with suppress(OSError):
            remove_folder(self._parts)
        return self.path

    def _make_room(self, table: Table) -> None:
        if table.full:
            self.flush()

    def _added(self, table: Table) -> None:
        now = clock.monotonic()
        if self._since is None:
            self._since = now
        if table.full or now - self._since > self._patience:
            # Early segments come soon, so that a run killed in its first seconds keeps something.
            self._patience = min(self._seconds, 2.0 * self._patience)
            self.flush()


class MemoryWriter(_Writer[xr.Dataset]):
    """Collects a run in memory; `close` returns the Dataset that opening such a file would give."""

    def __init__(self, layout: Layout, attributes: Mapping[str, Any], *, volatile: Mapping[str, Any] = {}) -> None:
        super().__init__(layout, attributes, volatile, None, None)

    def _finish(self, header: Header) -> xr.Dataset:
        arrays = dict(self._static)
        missing = {variable.name for variable in self.layout.of("")} - set(self._static)
        for table in self._tables.values():
            arrays |= {name: np.array(values) for name, values in table.arrays().items()}
            missing |= table.missing()
        dataset = assemble(self.layout, arrays, missing, header.global_attributes())
        dataset.attrs[CONTENT_HASH] = content_hash(dataset)
        return dataset


def finish_run(
    path: str | os.PathLike[str], attributes: Mapping[str, Any] = {}, volatile: Mapping[str, Any] = {}
) -> Path:
    """Merge the segments that a killed run left in ``path.parts/`` into ``path``, as closing would have.

    Raises
    ------
    StoreError
        If there are no such segments, ``path`` exists, or it cannot be written.
    """
    path = Path(path)
    parts = parts_of(path)
    with store_errors(f"write {path}"):
        if path.exists():
            raise StoreError(f"{path} exists; it is finished")
        header = read_header(parts)
        merge(parts, path, header.with_attributes(attributes, volatile))
    with suppress(OSError):
        remove_folder(parts)
    return path
