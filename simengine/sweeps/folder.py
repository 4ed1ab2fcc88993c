"""The folder of a sweep: what it is, which of its runs are there, and the one driver that adds to it.

``sweep.json`` says what the sweep is, ``batches/`` holds what workers wrote, ``journal`` which of it counts, and
``data/`` with ``index.json`` what a finished sweep was compacted to. A run is a point and a replicate. Where one is
in several files, the first of them in this order counts: the index, then the lines of the journal; only a run that
failed gives way to one that was done.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.errors import InputError, StoreError
from simengine.store.files import TEMPORARY_SUFFIX, fsync, make_folder_whole, store_errors
from simengine.store.locks import FolderLock
from simengine.sweeps.batches import BATCHES, DIGEST, SUFFIX, BatchRecord, batch_path, read_record
from simengine.sweeps.blocks import Block
from simengine.sweeps.contents import Contents, read_contents, write_contents
from simengine.sweeps.description import Description
from simengine.sweeps.design import Design
from simengine.sweeps.growing import extended
from simengine.sweeps.holdings import Holdings
from simengine.sweeps.identity import is_sweep, new_id
from simengine.sweeps.index import DATA, Index, read_index
from simengine.sweeps.journal import Line, append_line, cut_journal, read_journal
from simengine.sweeps.run_table import DONE, FAILED, MISSING
from simengine.sweeps.standing import status_of

__all__ = ["Holdings", "SweepFolder", "is_sweep"]
_SHOWN = 3


class SweepFolder:
    """A sweep on the disk.

    Made by `create` for a new one and by `open` for one that is there. Reading needs no lock; `journal`, `extend`
    and compacting need `lock`, which one process has at a time.

    Attributes
    ----------
    path
        The folder.
    holdings
        Which file has which run.
    lines
        Batches of the journal that count.
    """

    def __init__(self, path: Path, contents: Contents) -> None:
        self.path = path
        self.contents = contents
        self.index: Index | None = None
        self.lines: list[Line] = []
        self.holdings = Holdings.none(len(contents.design), contents.replicates)
        self._journalled: set[str] = set()
        self._lock: FolderLock | None = None
        self._whole = 0

    @classmethod
    def create(
        cls, path: str | os.PathLike[str], description: Description, design: Design, replicates: int,
        overwrite: bool = False, fill: Callable[[Path], None] | None = None,
    ) -> SweepFolder:  # fmt: skip
        """Make the folder of a new sweep and lock it; ``fill`` writes what else belongs into it.

        Raises
        ------
        InputError
            If something else is there, or a sweep that is not to be overwritten.
        StoreError
            If it cannot be written, or another process is writing a sweep there.
        """
        path = Path(os.path.normpath(path))
        refuse_existing(path, overwrite)
        contents = Contents(new_id(), description, design, int(replicates), (len(design), int(replicates)))

        def lay_out(folder: Path) -> None:
            (folder / BATCHES).mkdir()
            if fill is not None:
                fill(folder)
            write_contents(folder, contents)

        with store_errors(f"write {path}"):
            if path.is_dir() and not any(path.iterdir()):
                lay_out(path)
            else:
                former = FolderLock(path) if path.is_dir() else None
                make_folder_whole(path, lay_out)
                if former is not None:
                    former.release()
        made = cls(path, contents)
        made.lock()
        return made

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, check: bool = True) -> SweepFolder:
        """Read what a sweep holds, without changing anything.

        Parameters
        ----------
        path
            The folder.
        check
            Whether to compare the checksums of all batches; otherwise only whether they are there.

        Raises
        ------
        StoreError
            If there is no sweep, or what says what it is is damaged.
        """
        path = Path(os.path.normpath(path))
        found = cls(path, read_contents(path))
        found._load(check)
        return found

    # -- what it is ---------------------------------------------------------------------------------------------------

    @property
    def description(self) -> Description:
        """What all runs share."""
        return self.contents.description

    @property
    def design(self) -> Design:
        """The points."""
        return self.contents.design

    @property
    def replicates(self) -> int:
        """How many runs each point has."""
        return self.contents.replicates

    def __len__(self) -> int:
        return int(self.holdings.status.size)

    # -- which runs are there -----------------------------------------------------------------------------------------

    def missing(self, failed: bool = False) -> NDArray[np.int64]:
        """Return the runs that are not there, and those that ``failed`` if asked for; shape (runs, 2), by point.

        The columns are point and replicate.
        """
        status = self.holdings.status
        wanted = (status == MISSING) | ((status == FAILED) & failed)
        return np.argwhere(wanted).astype(np.int64, copy=False)

    def done(self) -> NDArray[np.int64]:
        """Return the runs that were done, not failed; shape (runs, 2), by point."""
        return np.argwhere(self.holdings.status == DONE).astype(np.int64, copy=False)

    def failed(self) -> NDArray[np.int64]:
        """Return the runs that failed; shape (runs, 2), by point."""
        return np.argwhere(self.holdings.status == FAILED).astype(np.int64, copy=False)

    @property
    def compacted(self) -> bool:
        """Whether all runs are there, in the files of the index."""
        holdings = self.holdings
        return self.index is not None and bool(
            ((holdings.source >= 0) & (holdings.source < holdings.compacted)).all()
        )  # fmt: skip

    def status(self) -> dict[str, Any]:
        """Return how far the sweep is.

        ``scenario``, ``design`` (its kind), ``points``, ``replicates``; the numbers of ``runs``, of those ``done``,
        ``failed`` and ``missing``; whether it is ``running`` and ``compacted``; ``folder``, ``bytes`` on the disk,
        ``batches`` in the journal, ``seconds`` of all runs together; while it runs ``runs_per_second`` lately and
        ``seconds_left``, otherwise None.
        """
        return status_of(self)

    # -- adding to it -------------------------------------------------------------------------------------------------

    def lock(self) -> None:
        """Become its driver: lock it, adopt whole batches that are not in the journal, remove what killed ones left.

        Raises
        ------
        StoreError
            If another process is its driver.
        """
        if self._lock is None:
            try:
                self._lock = FolderLock(self.path)
            except StoreError:
                raise StoreError(
                    f"another process is carrying out the sweep {self.path}; wait for it, or stop it"
                ) from None
            self.contents = read_contents(self.path)
            self._load(check=True)
            with store_errors(f"write {self.path}"):
                (self.path / BATCHES).mkdir(exist_ok=True)
                self._tidy()
                cut_journal(self.path, self._whole)
                self._adopt()

    def release(self) -> None:
        """Let another process be its driver."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> SweepFolder:
        self.lock()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def journal(self, record: BatchRecord) -> None:
        """Add a batch that was written; from then on its runs are there.

        A batch whose runs are all there already, done twice by whatever accident, changes nothing.

        Raises
        ------
        StoreError
            If the folder is not locked, a run is not of the sweep, or the journal cannot be written.
        """
        self.check_locked()
        points, replicates = self.holdings.status.shape
        outside = (record.point < 0) | (record.point >= points) | (record.replicate < 0)
        if bool((outside | (record.replicate >= replicates)).any()):
            raise StoreError(f"batch {record.name} has runs that are not of the sweep {self.path}")
        if record.name in self._journalled or not len(self._news(record)):
            return
        self._count(append_line(self.path, record), Block(batch_path(self.path, record.name)))

    def extend(self, design: Design | None = None, replicates: int | None = None) -> int:
        """Add points, replicates or both, and return how many runs that adds.

        Parameters
        ----------
        design
            Its points that are not there yet are added after the others.
        replicates
            How many runs each point shall have; no fewer than now.

        Raises
        ------
        InputError
            If the design sweeps other parameters, or there would be fewer replicates.
        """
        self.check_locked()
        before = len(self)
        replicates = self.replicates if replicates is None else int(replicates)
        if replicates < self.replicates:
            raise InputError(f"replicates: the sweep has {self.replicates}, it cannot be extended to {replicates}")
        points = self.design if design is None else extended(self.design, design)
        begun_with = self.contents.begun_with
        contents = Contents(self.contents.id, self.description, points, replicates, begun_with)
        write_contents(self.path, contents)
        self.contents = contents
        self._load(check=False)
        return len(self) - before

    def note(self, volatile: Mapping[str, Any]) -> None:
        """Add attributes that the content hash leaves out."""
        self.check_locked()
        contents = replace(
            self.contents, description=replace(self.description, volatile={**self.description.volatile, **volatile})
        )
        write_contents(self.path, contents)
        self.contents = contents

    def check_locked(self) -> None:
        """Raise StoreError unless this is the sweep's driver."""
        if self._lock is None:
            raise StoreError(f"{self.path} is open for reading only")

    def reload(self) -> None:
        """Read again what is there, after files were replaced."""
        self._load(check=False)

    def with_index(self, index: Index) -> SweepFolder:
        """Return the sweep as it is once an index is written, its journal empty."""
        found = SweepFolder(self.path, self.contents)
        found.index = index
        found._count_compacted(index)
        return found

    # -- how it is read and written -----------------------------------------------------------------------------------

    def _load(self, check: bool) -> None:
        # In this order: whoever compacts writes the index first and empties the journal then.
        journal = read_journal(self.path)
        index = read_index(self.path)
        if journal.damaged:
            warnings.warn(
                f"{self.path}: {journal.damaged} lines of the journal are damaged; whole batches are found without",
                stacklevel=3,
            )
        self.index, self.lines, self._whole = index, [], journal.whole
        self.holdings = Holdings.none(len(self.design), self.replicates)
        self._journalled = set()
        if index is not None:
            self._count_compacted(index)
        lost = [trouble for line in journal.lines if (trouble := self._count_checked(line, check))]
        if lost:
            more = f" and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else ""
            warnings.warn(f"{'; '.join(lost[:_SHOWN])}{more}; their runs count as missing", stacklevel=3)

    def _count_compacted(self, index: Index) -> None:
        holdings = self.holdings
        block = Block(self.path / DATA / index.table)
        try:
            table = block.table()
        finally:
            block.close()
        holdings.files = [Block(self.path / DATA / name) for name, _ in index.files]
        holdings.compacted, holdings.table = len(index.files), table
        first = 0
        for number, (_, count) in enumerate(index.files):
            part = slice(first, first + count)
            point, replicate, status = table.point[part], table.replicate[part], table.status[part]
            holdings.add(number, holdings.news(point, replicate, status), point, replicate, status)
            first += count

    def _news(self, record: BatchRecord) -> NDArray[Any]:
        return self.holdings.news(record.point, record.replicate, record.status)

    def _count_checked(self, line: Line, check: bool) -> str:
        """Let a batch of the journal count, or return why it cannot."""
        record = line.record
        if not len(self._news(record)):
            self._journalled.add(record.name)
            return ""
        block = Block(batch_path(self.path, record.name))
        if not block.path.is_file():
            return f"batch {block.path} is gone"
        if check:
            try:
                if block.attribute(DIGEST) != record.digest:
                    return f"{block.path} is not what the journal says"
            except StoreError as error:
                return str(error)
        self._count(line, block)
        return ""

    def _count(self, line: Line, block: Block) -> None:
        record, holdings = line.record, self.holdings
        holdings.add(len(holdings.files), self._news(record), record.point, record.replicate, record.status)
        holdings.files.append(block)
        self.lines.append(line)
        self._journalled.add(record.name)

    def _adopt(self) -> None:
        counting = {line.record.name for line in self.lines}
        for path in sorted((self.path / BATCHES).glob(f"*{SUFFIX}")):
            if path.name.removesuffix(SUFFIX) in counting:
                continue
            try:
                record, identity = read_record(path)
            except StoreError:
                continue
            if identity == self.contents.id and len(self._news(record)):
                self._count(append_line(self.path, record), Block(batch_path(self.path, record.name)))
            elif identity == self.contents.id:
                with suppress(OSError):
                    path.unlink()

    def _tidy(self) -> None:
        """Remove what nobody reads any more: unfinished files, other compactions, batches after their compaction."""
        with suppress(OSError):
            for path in (*self.path.glob(f"*{TEMPORARY_SUFFIX}"), *(self.path / BATCHES).glob(f"*{TEMPORARY_SUFFIX}")):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
            remove_leftovers(self.path, self.index)


def remove_leftovers(folder: Path, index: Index | None) -> None:
    """Remove files in ``data/`` that the index does not name."""
    names = index.names if index is not None else set()
    if (folder / DATA).is_dir():
        for path in (folder / DATA).iterdir():
            if path.name not in names:
                path.unlink()
        fsync(folder / DATA)


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Raise InputError if ``path`` cannot become the folder of a new sweep."""
    if not path.parent.is_dir():
        raise InputError(f"out: cannot write {path}: there is no folder {path.parent}")
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not is_sweep(path):
        raise InputError(f"out: {path} is there and holds no sweep; choose another name")
    if not overwrite:
        raise InputError(f"out: {path} holds a sweep; resume or extend it, choose another name, or overwrite it")
