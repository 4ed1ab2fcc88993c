"""How far runs and sweeps are, from their files alone, whoever is writing them, and without being in the way."""

from __future__ import annotations

from pathlib import Path

from simengine.analysis.watching.runs import RunState, WatchedRun
from simengine.analysis.watching.series import Series, resampled
from simengine.analysis.watching.sweeps import GridMap, SweepState, WatchedSweep
from simengine.store.files import PARTS_SUFFIX, parts_of
from simengine.sweeps.identity import is_sweep

__all__ = ["GridMap", "RunState", "Series", "SweepState", "WatchedRun", "WatchedSweep", "resampled", "watched"]


def watched(path: str | Path) -> WatchedRun | WatchedSweep | None:
    """Return what can be looked at under a path: a run, a sweep, or None while there is neither.

    Parameters
    ----------
    path
        A run's file, finished or to be, the folder of its segments, or the folder of a sweep.
    """
    path = Path(path)
    if is_sweep(path):
        return WatchedSweep(path)
    if path.is_file() or parts_of(path).is_dir() or (path.name.endswith(PARTS_SUFFIX) and path.is_dir()):
        return WatchedRun(path)
    return None
