"""What is known of every run of a sweep, gathered from its files: seeds, ends, durations, failures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.sweeps.folder import SweepFolder
from simengine.sweeps.lazy import grouped
from simengine.sweeps.run_table import DONE, DTYPES, FAILED, RunTable
from simengine.sweeps.seeds import run_seed


class Facts:
    """Of all runs, by point and replicate.

    Parameters
    ----------
    folder
        The sweep.

    Attributes
    ----------
    columns
        Columns of `RunTable`, shape (points, replicates); 0 where a run is missing, but for the seed.
    reasons
        The words for ``stop_reason``.
    missing
        Variables of integers in which a value is missing somewhere.
    """

    def __init__(self, folder: SweepFolder) -> None:
        holdings, design = folder.holdings, folder.design
        shape = holdings.status.shape
        source, row = holdings.source.ravel(), holdings.row.ravel()
        parts: list[RunTable] = []
        places: list[NDArray[Any]] = []
        missing: set[str] = set(folder.index.missing if folder.index is not None else ())
        compacted = np.flatnonzero((source >= 0) & (source < holdings.compacted))
        if holdings.table is not None and folder.index is not None:
            firsts = np.concatenate([[0], np.cumsum([count for _, count in folder.index.files])])
            parts.append(holdings.table.take(firsts[source[compacted]] + row[compacted]))
            places.append(compacted)
        for number, found in grouped(np.where(source >= holdings.compacted, source, -1)):
            parts.append(holdings.files[number].table().take(row[found]))
            places.append(found)
            missing |= holdings.files[number].missing
        table = RunTable.joined(parts)
        where = np.concatenate([np.empty(0, np.int64), *places])
        self.reasons = table.reasons
        self.columns: dict[str, NDArray[Any]] = {}
        for name, values in table.columns().items():
            column = np.zeros(source.size, np.dtype(DTYPES[name]))
            column[where] = values
            self.columns[name] = column.reshape(shape)
        self.columns["status"] = holdings.status
        seed = int(folder.description.attributes.get("sweep_seed", 0))
        for point, replicate in np.argwhere(holdings.source < 0).tolist():
            self.columns["seed"][point, replicate] = run_seed(seed, design.point(point), replicate)
        axis = folder.description.recorded_steps
        ends = np.searchsorted(axis, self.columns["stopped_at"])
        if bool(((holdings.status != DONE) | (ends < len(axis) - 1)).any()):
            missing = {variable.name for variable in folder.description.layout.variables}
        self.missing = frozenset(missing)


def failures_of(folder: SweepFolder) -> list[dict[str, Any]]:
    """Return what is known of each run that failed, by point and replicate."""
    holdings = folder.holdings
    failed = holdings.status == FAILED
    found: list[dict[str, Any]] = []
    for number, _ in grouped(np.where(failed, holdings.source, -1).ravel()):
        block = holdings.files[number]
        table = block.table()
        for failure in block.failures():
            row = failure.pop("row")
            point, replicate = int(table.point[row]), int(table.replicate[row])
            if failed[point, replicate] and holdings.source[point, replicate] == number:
                known = {"point": point, "replicate": replicate, "seed": int(table.seed[row])}
                found.append({**known, "parameters": folder.design.point(point), **failure})
        block.close()
    return sorted(found, key=lambda failure: (failure["point"], failure["replicate"]))
