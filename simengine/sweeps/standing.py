"""How far a sweep is, read from its folder by whoever wants to know."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simengine.store.writers import is_written
from simengine.sweeps.journal import Line
from simengine.sweeps.run_table import DONE, FAILED, MISSING

if TYPE_CHECKING:
    from simengine.sweeps.folder import SweepFolder

if sys.platform != "win32":
    import fcntl

_LATELY = 50


def status_of(folder: SweepFolder) -> dict[str, Any]:
    """Return how far a sweep was when its folder was read, as `SweepFolder.status` says."""
    holdings = folder.holdings
    counts = np.bincount(holdings.status.ravel(), minlength=MISSING + 1)
    # Trying the lock, as where nothing else tells, would refuse a driver that begins at this moment.
    seen = is_written(folder.path, socket.gethostname())
    running = is_locked(folder.path) if seen is None else seen
    rate = _rate(folder.lines) if running else None
    seconds = 0.0 if holdings.table is None else float(holdings.table.seconds.sum())
    return {
        "scenario": folder.description.attributes.get("scenario"),
        "design": folder.design.kind,
        "points": len(folder.design),
        "replicates": folder.replicates,
        "runs": len(folder),
        "done": int(counts[DONE]),
        "failed": int(counts[FAILED]),
        "missing": int(counts[MISSING]),
        "running": running,
        "compacted": folder.compacted,
        "folder": str(folder.path),
        "bytes": _size(folder.path),
        "batches": len(folder.lines),
        "seconds": seconds + sum(line.record.seconds for line in folder.lines),
        "runs_per_second": rate,
        "seconds_left": int(counts[MISSING]) / rate if rate else None,
    }


def _rate(lines: Sequence[Line]) -> float | None:
    """Return runs per second over the last batches, None before it can be said."""
    lately = lines[-_LATELY:]
    if len(lately) < 2:
        return None
    first, last = (datetime.fromisoformat(line.at) for line in (lately[0], lately[-1]))
    seconds = (last - first).total_seconds()
    return sum(len(line.record.point) for line in lately[1:]) / seconds if seconds > 0 else None


def _size(folder: Path) -> int:
    size = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                size += os.lstat(os.path.join(parent, name)).st_size
    return size


def is_locked(folder: Path) -> bool:
    """Whether some process is the driver of a sweep."""
    if sys.platform == "win32":
        return False
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
