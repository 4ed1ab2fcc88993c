"""What is known of each run besides its values: one column per fact, one row per run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

DONE, FAILED, MISSING = 0, 1, 2
STATUS_MEANINGS = "done failed missing"
NO_REASON = ""

DTYPES: Mapping[str, str] = {
    "point": "int64",
    "replicate": "int64",
    "seed": "uint64",
    "status": "int8",
    "records": "int64",
    "stopped_at": "int64",
    "stop_reason": "int16",
    "seconds": "float64",
}


@dataclass(frozen=True)
class RunTable:
    """Runs in the order of their rows in a file.

    Parameters
    ----------
    point, replicate, seed
        Which run it is.
    status
        `DONE` or `FAILED`.
    records, stopped_at
        How many rows it recorded, and its last step; 0 for a failed one.
    stop_reason
        Why it ended, a position in ``reasons``.
    seconds
        Wall time.
    reasons
        The words for ``stop_reason``.
    """

    point: NDArray[np.int64]
    replicate: NDArray[np.int64]
    seed: NDArray[np.uint64]
    status: NDArray[np.int8]
    records: NDArray[np.int64]
    stopped_at: NDArray[np.int64]
    stop_reason: NDArray[np.int16]
    seconds: NDArray[np.float64]
    reasons: tuple[str, ...] = (NO_REASON,)

    def __len__(self) -> int:
        return len(self.point)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the columns by name."""
        return {item.name: getattr(self, item.name) for item in fields(self) if item.name != "reasons"}

    @classmethod
    def of(cls, columns: Mapping[str, Any], reasons: Sequence[str]) -> RunTable:
        """Return a table of columns in their own types."""
        return cls(
            **{name: np.asarray(columns[name], np.dtype(dtype)) for name, dtype in DTYPES.items()},
            reasons=tuple(reasons),
        )

    def take(self, rows: NDArray[Any]) -> RunTable:
        """Return some of its rows."""
        return RunTable.of({name: values[rows] for name, values in self.columns().items()}, self.reasons)

    @staticmethod
    def joined(tables: Iterable[RunTable]) -> RunTable:
        """Return the rows of several tables, one after the other; reasons sorted, so that no order shows."""
        listed = list(tables)
        reasons = (NO_REASON, *sorted({reason for table in listed for reason in table.reasons} - {NO_REASON}))
        columns: dict[str, list[NDArray[Any]]] = {name: [] for name in DTYPES}
        for table in listed:
            place = np.array([reasons.index(reason) for reason in table.reasons], np.int16)
            for name, values in table.columns().items():
                columns[name].append(place[values] if name == "stop_reason" else values)
        empty = {name: np.empty(0, dtype) for name, dtype in DTYPES.items()}
        return RunTable.of({name: np.concatenate([empty[name], *parts]) for name, parts in columns.items()}, reasons)
