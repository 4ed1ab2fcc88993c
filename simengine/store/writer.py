"""The writer of a run file: rows stream to closed segments, which are merged at the end."""

from __future__ import annotations

import os
import time as clock
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from numpy.typing import NDArray

from simengine.errors import StoreError
from simengine.store.attributes import encode_attributes
from simengine.store.blocks import BLOCK_BYTES, Blocks
from simengine.store.checkpoints import remove_checkpoints
from simengine.store.classic import holds
from simengine.store.copying import blocks_before
from simengine.store.files import make_folder_whole, parts_of, refuse_existing, remove_folder, store_errors
from simengine.store.header import HEADER, Header, read_header, write_header
from simengine.store.layout import SNAPSHOT_TIME, Layout
from simengine.store.locks import FolderLock
from simengine.store.memory import MemoryWriter
from simengine.store.parts import ending_of, keep_segments, merge, vanished
from simengine.store.recording import Writer, begun
from simengine.store.segments import Ending, segment_path, write_row_in_blocks, write_segment
from simengine.store.table import Table

__all__ = ["MemoryWriter", "RunWriter", "finish_run"]

SEGMENT_ROWS = 16_384
SEGMENT_BYTES = 1 << 26
LARGE_ROW_BYTES = 1 << 23
"""A larger snapshot is written in blocks where it is given in blocks."""
SEGMENT_SECONDS = 30.0
FIRST_SEGMENT_SECONDS = 1.0


class RunWriter(Writer[Path]):
    """Writes a run file: rows go to closed segments in ``OUT.parts/``, which `close` merges into ``OUT``.

    A process that dies leaves every closed segment readable (`simengine.store.open_run`) and can be continued
    by another one (`resume`). The folder ``OUT.parts/`` appears with all that is known at the start, or not at
    all. Memory is bounded by one segment. While the segments are merged the disk holds the rows twice,
    compressed in the final file.

    Parameters
    ----------
    path
        The file to be. It must not exist, nor the segments of an unfinished run, unless ``overwrite``; a file
        to be overwritten is replaced at the very end, the segments and checkpoints of an unfinished run are
        removed at once.
    layout
        What will be recorded.
    attributes
        Global attributes: None, bool, int, float, str, lists and dicts of these.
    volatile
        Global attributes that may differ between runs with the same result; the content hash leaves them out.
    static
        Static variables that are known at the start, such as the start state. Others may follow by `static`;
        a run that is continued from an earlier segment has lost these and must be given them again.
    segment_rows, segment_bytes, segment_seconds
        A segment is closed when it has so many rows or bytes, or when its first row is so old as the next one
        comes (the first segments sooner: after one second, two, four, ...). One row that is larger than
        ``segment_bytes`` is a segment of its own, and so is a snapshot of more than 8 MiB that is given as `Blocks`:
        of that one block at a time is in memory.

    Raises
    ------
    StoreError
        If the file exists or cannot be written.
    """

    _lock: FolderLock | None = None

    def __init__(
        self,
        path: str | os.PathLike[str],
        layout: Layout,
        attributes: Mapping[str, Any],
        *,
        volatile: Mapping[str, Any] = {},
        static: Mapping[str, Any] = {},
        overwrite: bool = False,
        segment_rows: int = SEGMENT_ROWS,
        segment_bytes: int = SEGMENT_BYTES,
        segment_seconds: float = SEGMENT_SECONDS,
    ) -> None:
        header = begun(layout, attributes, volatile, static)
        self._set_up(Path(path), header, segment_rows, segment_bytes, segment_seconds)

        def fill(folder: Path) -> None:
            write_header(folder, header)
            remove_checkpoints(self.path)

        with store_errors(f"write {self.path}"):
            refuse_existing(self.path, overwrite)
            if self._parts.is_dir():
                FolderLock(self._parts).release()
            make_folder_whole(self._parts, fill)
            self._lock = FolderLock(self._parts)

    @classmethod
    def resume(
        cls,
        path: str | os.PathLike[str],
        segments: int,
        *,
        segment_rows: int = SEGMENT_ROWS,
        segment_bytes: int = SEGMENT_BYTES,
        segment_seconds: float = SEGMENT_SECONDS,
    ) -> Self:
        """Go on with an unfinished run after the first so many of its segments.

        Later segments are removed, and so are the checkpoints that need them. Layout, attributes and static
        values are those of the start.

        Parameters
        ----------
        path
            The file to be; its folder ``path.parts`` must be there.
        segments
            How many segments to keep, at most `usable_segments`; 0 begins anew.
        segment_rows, segment_bytes, segment_seconds
            As those of a new writer.

        Raises
        ------
        StoreError
            If there is no unfinished run, its header or one of these segments is missing or damaged (nothing
            is changed then), or the folder cannot be written.
        """
        path = Path(path)
        parts = parts_of(path)
        with store_errors(f"continue {path}"):
            header = read_header(parts)
            lock = FolderLock(parts)
            ending = ending_of(parts, header.layout, segments)
            remove_checkpoints(path, after_segments=segments)
            keep_segments(parts, segments)
        writer = cls.__new__(cls)
        writer._set_up(path, header, segment_rows, segment_bytes, segment_seconds)
        writer._number = segments + 1
        writer._resumed, writer._lock = True, lock
        writer._follow(ending)
        return writer

    @property
    def segments(self) -> int:
        """Number of closed segments so far: a row that was recorded and is not in them is in memory only."""
        return self._number - 1

    def note(self, volatile: Mapping[str, Any]) -> None:
        """Add attributes that the content hash leaves out, at once, so that they are known when the process dies."""
        self._check_open()
        encode_attributes(volatile)
        self.header = self.header.with_attributes({}, volatile)
        with store_errors(f"write {self._parts}"):
            write_header(self._parts, self.header)

    def flush(self) -> None:
        """Close the current segment: all rows given so far survive the process.

        Raises
        ------
        StoreError
            If it cannot be written: its rows stay in memory, the segments before it on disk. If what was
            written before has vanished: the rows in memory are then written where they can be, together with
            the header, and the writer is closed.
        """
        self._check_open()
        with store_errors(f"write {self._parts}"):
            self._check_folder()
            try:
                self._write_rows()
            except FileNotFoundError:
                self._check_folder()
                raise

    def snapshot(self, step: int, time: float, row: Mapping[str, Any]) -> None:
        """Add one row along ``snapshot_time``; otherwise like `record`.

        A large row with values that are `Blocks` goes straight to a segment of its own, block after block.
        """
        self._check_open()
        table = self._tables.get(SNAPSHOT_TIME)
        if table is None or not self._goes_in_blocks(table, row):
            super().snapshot(step, time, row)
            return
        self.flush()
        others = [other for other in self._tables.values() if other is not table]
        with store_errors(f"write {self._parts}"):
            write_row_in_blocks(
                self._parts, self._number, self.layout, table, step, time, row,
                frozenset().union(*(other.missing() for other in others)),
                frozenset().union(*(other.held_fills() for other in others)),
                min(BLOCK_BYTES, self._limits[1]),
            )  # fmt: skip
        self._number += 1

    def _goes_in_blocks(self, table: Table, row: Mapping[str, Any]) -> bool:
        return (
            table.row_bytes > min(LARGE_ROW_BYTES, self._limits[1])
            and any(isinstance(value, Blocks) for value in row.values())
            and all(len(one.dims) > 1 and holds(one.storage_dtype) for one in self.layout.of(SNAPSHOT_TIME))
        )

    def copy_rows(self, source: str | os.PathLike[str], before: int) -> None:
        """Write all rows of a finished run file that were recorded before a step, as closed segments.

        Values are copied as stored. Memory is bounded as for rows that are recorded.

        Parameters
        ----------
        source
            A run file with the same recorded variables.
        before
            Rows with this step number and later ones are left out.

        Raises
        ------
        StoreError
            If rows were recorded already, the file cannot be read, or its variables are others.
        """
        self._check_open()
        if self._number > 1 or any(table.count for table in self._tables.values()):
            raise StoreError("rows can be copied only before the first one is recorded")
        rows, size = self._limits
        for arrays, ending in blocks_before(Path(source), self.layout, before, rows, size):
            with store_errors(f"write {self._parts}"):
                write_segment(self._parts, self._number, self.layout, arrays, ending.missing, ending.held_fills)
            self._number += 1
            self._follow(ending)

    def abandon(self) -> None:
        """Stop because of an error: write what was recorded as a closed segment and keep ``OUT.parts/``.

        A new run without a single row leaves nothing behind.
        """
        if not self._open:
            return
        try:
            self.flush()
        finally:
            self._open = False
            self._release()
            empty = self._number == 1 and not any(table.count for table in self._tables.values())
            if empty and not self._resumed:
                with suppress(OSError):
                    remove_folder(self._parts)

    def _set_up(self, path: Path, header: Header, rows: int, size: int, seconds: float) -> None:
        super().__init__(header, rows, size)
        self.path = path
        self._parts = parts_of(path)
        self._limits = (rows, size)
        self._seconds = seconds
        self._patience = min(FIRST_SEGMENT_SECONDS, seconds)
        self._number = 1
        self._since: float | None = None
        self._resumed = False
        self._loss = ""

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def _follow(self, ending: Ending) -> None:
        for dim, table in self._tables.items():
            table.continue_after(ending.last_steps.get(dim), ending.missing, ending.held_fills)

    def _finish(self, header: Header) -> Path:
        self.flush()
        with store_errors(f"write {self.path}"):
            merge(self._parts, self.path, header, self.segments)
        # The file is whole now; segments that cannot be removed are not a failure of the run.
        with suppress(OSError):
            remove_folder(self._parts)
        self._release()
        return self.path

    def _write_rows(self) -> None:
        arrays: dict[str, NDArray[Any]] = dict(self._static)
        missing = set(self._static_missing)
        held_fills: set[str] = set()
        for table in self._tables.values():
            missing |= table.missing()
            held_fills |= table.held_fills()
            if table.count:
                arrays |= table.arrays()
        if arrays:
            write_segment(self._parts, self._number, self.layout, arrays, missing, held_fills)
            self._number += 1
        self._static.clear()
        self._static_missing.clear()
        self._since = None
        for table in self._tables.values():
            table.clear()

    def _check_open(self) -> None:
        if self._loss:
            raise StoreError(self._loss)
        super()._check_open()

    def _check_folder(self) -> None:
        """Raise StoreError if something of what was written has vanished, once the rest is safe."""
        names = vanished(self._parts, self.segments)
        if not names:
            return
        rows = sum(table.count for table in self._tables.values())
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        where = shown if names == [str(self._parts)] else f"{shown} of {self._parts}"
        try:
            if not self._parts.is_dir():
                make_folder_whole(self._parts, lambda folder: write_header(folder, self.header))
            elif {HEADER, segment_path(self._parts, 0).name} & set(names):
                write_header(self._parts, self.header)
            self._write_rows()
            rest = f"the last {rows} rows, which were in memory, are in {self._parts}"
        except (OSError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            rest = f"the last {rows} rows, which were in memory, could not be written: {reason}"
        self._loss = f"{where} vanished while the run was writing there; {rest}"
        self._open = False
        raise StoreError(self._loss)

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
        remove_checkpoints(path)
    return path
