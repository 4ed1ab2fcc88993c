"""Finishing a sweep: its batches into few files in the order of the runs, with an index.

The index is written last of the new files and before anything is removed: whoever is killed at any moment leaves
either the batches or what they were compacted to. Memory is bounded by the size of one file.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.errors import StoreError
from simengine.store.files import fsync, store_errors
from simengine.store.hashing import content_hash
from simengine.store.layout import TIME
from simengine.sweeps.batches import BATCHES, SUFFIX
from simengine.sweeps.blocks import write_block
from simengine.sweeps.facts import Facts
from simengine.sweeps.folder import SweepFolder, remove_leftovers
from simengine.sweeps.growing import gridded
from simengine.sweeps.index import DATA, Index, read_index, write_index
from simengine.sweeps.journal import empty_journal
from simengine.sweeps.lazy import grouped
from simengine.sweeps.opening import dataset_of
from simengine.sweeps.run_table import FAILED, RunTable

FILE_BYTES = 1 << 26
"""Of values, before compression, in a file; a single run may have more."""

_TEXT_BYTES = 32


def compact(folder: SweepFolder) -> None:
    """Put all runs that are there into few files and remove their batches; nothing is done where that is so already.

    Parameters
    ----------
    folder
        The sweep, locked.

    Raises
    ------
    StoreError
        If a batch is damaged or the files cannot be written; the batches are then as they were.
    """
    folder.check_locked()
    if not folder.lines:
        return
    former = folder.index
    try:
        index = _written(folder, (former.generation if former is not None else 0) + 1)
        with store_errors(f"write {folder.path}"):
            write_index(folder.path, index)
    except BaseException:
        # It may be that the index was written and only then something went wrong: what counts is what it says.
        with suppress(OSError, StoreError):
            remove_leftovers(folder.path, read_index(folder.path))
        raise
    empty_journal(folder.path)
    # From here on everything is safe: what cannot be removed is not a failure of the sweep.
    with suppress(OSError):
        for line in folder.lines:
            (folder.path / BATCHES / f"{line.record.name}{SUFFIX}").unlink(missing_ok=True)
        fsync(folder.path / BATCHES)
        remove_leftovers(folder.path, index)
    folder.reload()


def _written(folder: SweepFolder, generation: int) -> Index:
    """Write the files of a compaction, and return the index that names them."""
    path = folder.path
    with store_errors(f"write {path}"):
        (path / DATA).mkdir(exist_ok=True)
    facts = Facts(folder)
    runs = _in_order(folder)
    table = _table(facts, runs)
    files: list[tuple[str, int]] = []
    within: set[str] = set()
    length = int(np.searchsorted(folder.description.recorded_steps, table.stopped_at.max(initial=0))) + 1
    count = max(1, FILE_BYTES // max(1, length * _row_bytes(folder)))
    for first in range(0, len(runs), count):
        part = slice(first, first + count)
        name = f"{generation:04d}-{len(files):06d}{SUFFIX}"
        within |= _write_file(path / DATA / name, folder, runs[part], table.take(np.arange(len(table))[part]), length)
        files.append((name, len(runs[part])))
    name = f"{generation:04d}-runs{SUFFIX}"
    write_block(path / DATA / name, folder.description.layout, table, {}, compressed=True)
    index = Index(generation, name, tuple(files), tuple(sorted(within)), "")
    with dataset_of(folder.with_index(index)) as merged:
        return Index(generation, name, index.files, index.missing, content_hash(merged))


def _in_order(folder: SweepFolder) -> NDArray[np.int64]:
    """Return the runs that are there in the order of the merged Dataset, as numbers point x replicates + replicate."""
    points, replicates = folder.holdings.status.shape
    grid = gridded(folder.design)
    order = np.arange(points) if grid is None else grid.order
    numbers = (order[:, None] * replicates + np.arange(replicates)).ravel()
    found: NDArray[np.int64] = numbers[folder.holdings.source.ravel()[numbers] >= 0]
    return found


def _table(facts: Facts, runs: NDArray[np.int64]) -> RunTable:
    return RunTable.of({name: column.ravel()[runs] for name, column in facts.columns.items()}, facts.reasons)


def _row_bytes(folder: SweepFolder) -> int:
    layout = folder.description.layout
    total = 0
    for variable in layout.of(TIME):
        each = variable.storage_dtype.itemsize if variable.storage_dtype.kind != "O" else _TEXT_BYTES
        total += each * int(np.prod(layout.row_shape(variable), dtype=np.int64))
    return total


def _write_file(path: Path, folder: SweepFolder, runs: NDArray[np.int64], table: RunTable, length: int) -> set[str]:
    """Write some runs as one file; return which variables of integers lack values within what runs recorded."""
    layout = folder.description.layout
    source, row = folder.holdings.source.ravel()[runs], folder.holdings.row.ravel()[runs].astype(np.int64)
    values = {
        variable.name: np.full(
            (len(runs), length, *layout.row_shape(variable)), variable.fill_value, variable.storage_dtype
        )
        for variable in layout.of(TIME)
    }
    failures: list[dict[str, Any]] = []
    missing: set[str] = set()
    for number, places in grouped(source):
        block, rows = folder.holdings.files[number], row[places]
        for name, array in values.items():
            # Rows that follow each other are read where they belong, without a copy.
            together = bool((np.diff(places) == 1).all())
            part = array[places[0] : places[-1] + 1] if together else array[places]
            block.read(name, rows, [np.arange(n) for n in array.shape[1:]], part)
            if not together:
                array[places] = part
        missing |= block.missing
        if bool((table.status[places] == FAILED).any()):
            place_of = dict(zip(rows.tolist(), places.tolist(), strict=True))
            failures += [{**f, "row": place_of[f["row"]]} for f in block.failures() if f["row"] in place_of]
        block.close()
    failures.sort(key=lambda failure: int(failure["row"]))
    write_block(path, layout, table, values, failures=failures, missing=missing, compressed=True)
    return missing
