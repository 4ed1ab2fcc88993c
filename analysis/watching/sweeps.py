"""How far a sweep is, from its folder alone: runs done and failed, speed, time left, why runs failed."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from simengine.analysis.watching.runs import GRACE_SECONDS, given, identity
from simengine.errors import StoreError
from simengine.store.writers import is_written
from simengine.sweeps.folder import SweepFolder
from simengine.sweeps.growing import gridded
from simengine.sweeps.identity import SWEEP_FILE, is_sweep
from simengine.sweeps.index import INDEX
from simengine.sweeps.journal import JOURNAL, Line
from simengine.sweeps.run_table import DONE, FAILED, MISSING

LATELY = 50
"""Batches of runs from which the speed is taken."""

SHOWN_FAILURES = 3
MOST_MAPPED = 2
"""Swept parameters of a sweep of which a map is drawn."""

Phase = Literal["waiting", "running", "finished", "left"]


@dataclass(frozen=True)
class GridMap:
    """The points of a grid of one or two parameters.

    Parameters
    ----------
    names, levels
        The parameters and their values.
    done, failed
        Shares of each point's runs, shape of the levels.
    """

    names: tuple[str, ...]
    levels: tuple[tuple[Any, ...], ...]
    done: NDArray[np.float64]
    failed: NDArray[np.float64]


@dataclass(frozen=True)
class SweepState:
    """How far a sweep is.

    Parameters
    ----------
    path, phase
        Its folder, and what is going on: ``"waiting"`` (there is nothing yet), ``"running"``, ``"finished"`` (every run
        was done or has failed), or ``"left"`` (runs are missing, and no process is carrying it out).
    seen
        Whether a process was seen carrying it out; None where it cannot be told from here (another machine).
    attributes, given
        As those of a run; ``given`` are parameters that all runs share.
    kind, names, points, replicates, steps
        The design, the swept parameters, and the most steps of a run.
    runs, done, failed, missing
        Numbers of runs; of an adaptive design those that were proposed so far.
    rate, seconds_left
        Runs per second lately, and the time left at this speed; None before they are known.
    age
        Seconds since the last runs came to the disk.
    failures
        Point, replicate, parameters, kind and message of the runs that failed last.
    grid
        The points of a grid of one or two parameters, otherwise None.
    """

    path: Path
    phase: Phase
    seen: bool | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)
    kind: str = ""
    names: tuple[str, ...] = ()
    points: int = 0
    replicates: int = 0
    steps: int = 0
    runs: int = 0
    done: int = 0
    failed: int = 0
    missing: int = 0
    rate: float | None = None
    seconds_left: float | None = None
    age: float | None = None
    failures: tuple[Mapping[str, Any], ...] = ()
    grid: GridMap | None = None


class WatchedSweep:
    """A sweep that is looked at again and again; its journal is read when it has changed, no values are.

    Parameters
    ----------
    path
        Its folder.
    clock
        Seconds since 1970.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._clock = clock
        self._seen: tuple[tuple[int, int, int], ...] = ()
        self._folder: SweepFolder | None = None
        self._failures: tuple[Mapping[str, Any], ...] = ()
        self._unseen_since: float | None = None

    def look(self) -> SweepState:
        """Return how far the sweep is now.

        Raises
        ------
        StoreError
            If what says what it is is damaged.
        """
        if not is_sweep(self.path):
            return SweepState(self.path, "waiting")
        seen = tuple(identity(self.path / name) for name in (SWEEP_FILE, INDEX, JOURNAL))
        if self._folder is None or seen != self._seen:
            self._read()
            self._seen = seen
        assert self._folder is not None
        return self._state(self._folder)

    def _read(self) -> None:
        for attempt in range(3):
            try:
                with warnings.catch_warnings(action="ignore"):
                    folder = SweepFolder.open(self.path, check=False)
                    self._failures = latest_failures(folder)
                self._folder = folder
                return
            except (StoreError, OSError):
                # Whoever compacts the sweep at this moment replaces its files.
                if attempt == 2:
                    raise
                time.sleep(0.1)

    def _state(self, folder: SweepFolder) -> SweepState:
        description, design, now = folder.description, folder.design, self._clock()
        attributes = {**description.attributes, **description.volatile}
        counts = np.bincount(folder.holdings.status.ravel(), minlength=MISSING + 1)
        seen = is_written(self.path, str(attributes.get("host", "")))
        latest = max(one[0] for one in self._seen) / 1e9
        phase: Phase = "running"
        if seen is not False:
            self._unseen_since = None
        elif self._unseen_since is None:
            self._unseen_since = now
        if not counts[MISSING] and (seen is not True or folder.compacted):
            phase = "finished"
        elif self._unseen_since is not None and now - min(self._unseen_since, latest) >= GRACE_SECONDS:
            phase = "left"
        rate = _rate(folder.lines) if phase == "running" else None
        return SweepState(
            self.path, phase, seen, attributes, given(attributes), design.kind, design.names, len(design),
            folder.replicates, description.steps, int(counts.sum()), int(counts[DONE]), int(counts[FAILED]),
            int(counts[MISSING]), rate, float(counts[MISSING]) / rate if rate else None,
            max(now - latest, 0.0), self._failures, grid_map(folder),
        )  # fmt: skip


def latest_failures(folder: SweepFolder) -> tuple[Mapping[str, Any], ...]:
    """Return why the runs failed that failed last, the newest first; only their files are read."""
    holdings = folder.holdings
    sources = np.unique(holdings.source[holdings.status == FAILED])[::-1]
    found: list[Mapping[str, Any]] = []
    for number in sources.tolist():
        if len(found) >= SHOWN_FAILURES or number < 0:
            break
        block = holdings.files[number]
        try:
            table = block.table()
            listed = block.failures()
        finally:
            block.close()
        for failure in reversed(listed):
            row = failure["row"]
            point, replicate = int(table.point[row]), int(table.replicate[row])
            if holdings.status[point, replicate] == FAILED and holdings.source[point, replicate] == number:
                found.append(
                    {
                        "point": point, "replicate": replicate, "parameters": folder.design.point(point),
                        "kind": failure["kind"], "message": failure["message"],
                    }
                )  # fmt: skip
    return tuple(found[:SHOWN_FAILURES])


def grid_map(folder: SweepFolder) -> GridMap | None:
    """Return which points of a grid of one or two parameters are done, None for any other design."""
    design, status = folder.design, folder.holdings.status
    if not 1 <= len(design.names) <= MOST_MAPPED or not status.size:
        return None
    grid = gridded(design)
    if grid is None:
        return None
    shares = [(status == kind).mean(axis=1)[grid.order].reshape(grid.shape) for kind in (DONE, FAILED)]
    return GridMap(tuple(grid.levels), tuple(grid.levels.values()), shares[0], shares[1])


def _rate(lines: Sequence[Line]) -> float | None:
    """Return runs per second over the last batches, None before it can be said."""
    lately = lines[-LATELY:]
    if len(lately) < 2:
        return None
    first, last = (datetime.fromisoformat(line.at) for line in (lately[0], lately[-1]))
    seconds = (last - first).total_seconds()
    return sum(len(line.record.point) for line in lately[1:]) / seconds if seconds > 0 else None
