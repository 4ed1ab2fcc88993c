"""Which file of a sweep has which run, and which of several counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.sweeps.blocks import Block
from simengine.sweeps.run_table import DONE, FAILED, MISSING, RunTable


@dataclass
class Holdings:
    """Which file has which run.

    Parameters
    ----------
    status
        `DONE`, `FAILED` or `MISSING`, shape (points, replicates).
    source, row
        Number of the file and row in it, -1 for a missing run; the same shape.
    files
        The files by number; for the first ``compacted`` of them the index counts the rows through.
    table
        Of the compacted runs, in the order of their rows.
    """

    status: NDArray[np.int8]
    source: NDArray[np.int32]
    row: NDArray[np.int32]
    files: list[Block] = field(default_factory=list)
    compacted: int = 0
    table: RunTable | None = None

    @classmethod
    def none(cls, points: int, replicates: int) -> Holdings:
        """Return holdings without any run."""
        shape = (points, replicates)
        return cls(np.full(shape, MISSING, np.int8), np.full(shape, -1, np.int32), np.full(shape, -1, np.int32))

    def news(self, point: NDArray[np.int64], replicate: NDArray[np.int64], status: NDArray[np.int8]) -> NDArray[Any]:
        """Return which rows of a file are of runs that are not there yet, or of failed ones that are now done."""
        points, replicates = self.status.shape
        known = (point >= 0) & (point < points) & (replicate >= 0) & (replicate < replicates)
        rows = np.flatnonzero(known)
        before = self.status[point[rows], replicate[rows]]
        fresh: NDArray[Any] = rows[(before == MISSING) | ((before == FAILED) & (status[rows] == DONE))]
        return fresh

    def add(
        self, file: int, rows: NDArray[Any], point: NDArray[np.int64], replicate: NDArray[np.int64],
        status: NDArray[np.int8],
    ) -> None:  # fmt: skip
        """Let a file count for some of its rows."""
        where = point[rows], replicate[rows]
        # Of a run that is in one file twice the first row counts.
        self.status[where] = MISSING
        for selected in (rows[status[rows] == FAILED][::-1], rows[status[rows] == DONE][::-1]):
            where = point[selected], replicate[selected]
            self.status[where], self.source[where], self.row[where] = status[selected], file, selected
