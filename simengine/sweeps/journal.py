"""The manifest of a sweep: one line for each batch, each with its checksum, written by one driver.

A line that was not written to its end is ignored; so is any that was damaged. What is lost of the journal is not lost
of the sweep: a whole batch without a line is found by itself.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.store.files import fsync, read_bytes, store_errors, write_bytes
from simengine.store.provenance import now
from simengine.sweeps.batches import BatchRecord
from simengine.sweeps.run_table import DONE, FAILED

JOURNAL = "journal"
_CHECK = 16


@dataclass(frozen=True)
class Line:
    """A batch as the journal has it, and when it was added (UTC, ISO 8601)."""

    record: BatchRecord
    at: str


@dataclass(frozen=True)
class Journal:
    """What a journal says.

    Parameters
    ----------
    lines
        Of the batches, in the order in which they were added.
    whole
        Length in bytes up to the end of the last line that is whole.
    damaged
        How many lines before the last one are not what they were.
    """

    lines: tuple[Line, ...] = ()
    whole: int = 0
    damaged: int = 0


def read_journal(folder: Path) -> Journal:
    """Return what the journal of a sweep says, nothing where there is none."""
    with store_errors(f"read {folder / JOURNAL}"):
        try:
            content = read_bytes(folder / JOURNAL)
        except FileNotFoundError:
            return Journal()
    lines: list[Line] = []
    damaged = 0
    pieces = content.split(b"\n")
    for piece in pieces[:-1]:
        line = _parsed(piece)
        if line is None:
            damaged += 1
        else:
            lines.append(line)
    return Journal(tuple(lines), len(content) - len(pieces[-1]), damaged)


def append_line(folder: Path, record: BatchRecord) -> Line:
    """Add a batch; it is on the disk when this returns, or not there at all.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    path = folder / JOURNAL
    line = Line(record, now())
    with store_errors(f"write {path}"):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
        try:
            end = os.lseek(descriptor, 0, os.SEEK_END)
            try:
                content = memoryview(_written(line))
                while content:
                    content = content[os.write(descriptor, content) :]
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, end)
                raise
        finally:
            os.close(descriptor)
    return line


def cut_journal(folder: Path, whole: int) -> None:
    """Cut off the beginning of a line that was not written to its end."""
    path = folder / JOURNAL
    with store_errors(f"write {path}"):
        if path.exists() and path.stat().st_size > whole:
            os.truncate(path, whole)
            fsync(path)


def empty_journal(folder: Path) -> None:
    """Replace the journal by one without lines."""
    with store_errors(f"write {folder / JOURNAL}"):
        write_bytes(folder / JOURNAL, b"")


def _written(line: Line) -> bytes:
    record = line.record
    said = {
        "batch": record.name,
        "runs": _ranges(record.point, record.replicate),
        "failed": np.flatnonzero(record.status == FAILED).tolist(),
        "digest": record.digest,
        "bytes": record.size,
        "seconds": record.seconds,
        "at": line.at,
    }
    text = json.dumps(said, separators=(",", ":"))
    return f"{_checksum(text)} {text}\n".encode()


def _parsed(piece: bytes) -> Line | None:
    try:
        check, _, text = piece.decode("ascii").partition(" ")
        if _checksum(text) != check:
            return None
        said: dict[str, Any] = json.loads(text)
        point, replicate = _runs(said["runs"])
        status = np.full(len(point), DONE, np.int8)
        status[said["failed"]] = FAILED
        record = BatchRecord(
            said["batch"], point, replicate, status, said["digest"], said["bytes"], said["seconds"]
        )  # fmt: skip
        return Line(record, said["at"])
    except (ValueError, KeyError, TypeError, IndexError):
        return None


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_CHECK]


def _ranges(point: NDArray[np.int64], replicate: NDArray[np.int64]) -> list[list[int]]:
    """Return runs as few blocks: first point, number of points, first replicate, number of replicates.

    A block has all its replicates of its first point, then all of the next.
    """
    # Maximal stretches of one point with ascending replicates, then equal stretches of successive points together.
    new = np.flatnonzero((np.diff(point) != 0) | (np.diff(replicate) != 1)) + 1
    starts = np.concatenate([[0], new])
    counts = np.diff(np.concatenate([starts, [len(point)]]))
    first_points, first_replicates = point[starts], replicate[starts]
    same = (
        (np.diff(first_points) == 1) & (np.diff(first_replicates) == 0) & (np.diff(counts) == 0)
    )  # fmt: skip
    blocks = np.concatenate([[0], np.flatnonzero(~same) + 1])
    heights = np.diff(np.concatenate([blocks, [len(starts)]]))
    columns = (first_points[blocks], heights, first_replicates[blocks], counts[blocks])
    return [list(map(int, block)) for block in zip(*columns, strict=True)]


def _runs(blocks: list[list[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    points, replicates = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for point, height, replicate, width in blocks:
        points.append(np.repeat(np.arange(point, point + height), width))
        replicates.append(np.tile(np.arange(replicate, replicate + width), height))
    return np.concatenate(points), np.concatenate(replicates)
