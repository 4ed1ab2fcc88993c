"""Batches: what a worker writes, one file of many runs, and the small record of it that it returns."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.errors import StoreError, nearest, one_line
from simengine.store.layout import TIME, Layout, Variable
from simengine.sweeps.blocks import Block, digest_of, write_block
from simengine.sweeps.contents import description_of
from simengine.sweeps.identity import sweep_id
from simengine.sweeps.outcomes import Failure, Outcome
from simengine.sweeps.run_table import DONE, FAILED, NO_REASON, RunTable

BATCHES = "batches"
SUFFIX = ".nc"
SWEEP, DIGEST = "sweep", "digest"


@dataclass(frozen=True)
class BatchRecord:
    """What the journal keeps of a batch.

    Parameters
    ----------
    name
        Of its file, without ``.nc``.
    point, replicate, status
        Its runs, in the order of their rows.
    digest
        Hash of what a repetition of these runs gives again.
    size
        Of the file, in bytes.
    seconds
        Wall time of all runs together.
    """

    name: str
    point: NDArray[np.int64]
    replicate: NDArray[np.int64]
    status: NDArray[np.int8]
    digest: str
    size: int
    seconds: float


def batch_path(folder: Path, name: str) -> Path:
    """Return the file of a batch."""
    return Path(folder) / BATCHES / f"{name}{SUFFIX}"


def write_batch(
    folder: Path, name: str, layout: Layout, runs: Sequence[tuple[int, int, int]], outcomes: Sequence[Outcome]
) -> BatchRecord:
    """Write runs of a sweep as one file; it counts once the driver has put the record into the journal.

    Parameters
    ----------
    folder
        Of the sweep.
    name
        Of the batch; the same runs always under the same name, other runs never.
    layout
        What each run records.
    runs
        Point, replicate and seed of each.
    outcomes
        What came of each, in the same order. One whose values do not fit the layout counts as failed.

    Raises
    ------
    StoreError
        If it cannot be written; nothing is left of it.
    """
    if not runs or len(runs) != len(outcomes):
        raise StoreError(f"batch {name} has {len(runs)} runs and {len(outcomes)} outcomes")
    variables = layout.of(TIME)
    fit = _Fit(layout, description_of(folder).recorded_steps)
    outcomes = [fit.outcome(outcome) for outcome in outcomes]
    table = _table(runs, outcomes)
    places = [fit.place(outcome.steps) for outcome in outcomes]
    values = {variable.name: _stacked(variable, layout, outcomes, places) for variable in variables}
    failures = [
        {"row": row, **dataclasses.asdict(outcome.failure)}
        for row, outcome in enumerate(outcomes)
        if outcome.failure is not None
    ]
    digest = digest_of(table, values)
    size = write_block(
        batch_path(folder, name), layout, table, values,
        failures=failures, missing=_missing(variables, values, places),
        attributes={SWEEP: sweep_id(folder), DIGEST: digest},
    )  # fmt: skip
    return BatchRecord(
        name, table.point, table.replicate, table.status, digest, size, float(table.seconds.sum())
    )  # fmt: skip


def read_record(path: Path) -> tuple[BatchRecord, str]:
    """Return the record of a batch, from its file alone, and the identity of its sweep; the file is checked.

    Raises
    ------
    StoreError
        If it is not there, damaged, or no batch.
    """
    block = Block(path)
    try:
        table = block.table()
        digest, sweep = block.attribute(DIGEST), block.attribute(SWEEP)
    finally:
        block.close()
    record = BatchRecord(
        path.name.removesuffix(SUFFIX), table.point, table.replicate, table.status, digest, path.stat().st_size,
        float(table.seconds.sum()),
    )  # fmt: skip
    return record, sweep


class _Fit:
    """Says whether what runs recorded is what the sweep records, and where it stands on the time axis."""

    def __init__(self, layout: Layout, axis: NDArray[np.int64]) -> None:
        self._axis = axis
        self._declared = {v.name: (v.storage_dtype, layout.row_shape(v), v.dtype) for v in layout.of(TIME)}
        self._steps: NDArray[np.int64] | None = None
        self._place = np.empty(0, np.int64)

    def outcome(self, outcome: Outcome) -> Outcome:
        """Return the outcome, as a failure if its values do not fit."""
        failure = outcome.failure
        if failure is None:
            trouble = self._trouble(outcome)
            if not trouble:
                return outcome
            failure = Failure("StoreError", one_line(trouble), "")
        return dataclasses.replace(outcome, values={}, steps=np.empty(0, np.int64), failure=failure)

    def place(self, steps: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return where records stand: at their step, or at the next one for a run that stopped between two.

        Runs with the same steps one after the other get the same array.
        """
        if self._steps is None or not np.array_equal(self._steps, steps):
            self._steps, self._place = steps, np.searchsorted(self._axis, steps)
        return self._place

    def _trouble(self, outcome: Outcome) -> str:
        records = len(outcome.steps)
        if not records:
            return "the run recorded nothing"
        known = self._steps
        place = self.place(outcome.steps)
        if known is not self._steps:
            steps, axis = outcome.steps, self._axis
            # The last record of a run that stopped early may lie between those of the others.
            if (
                steps[0] < 0
                or steps[-1] > axis[-1]
                or bool((np.diff(place) <= 0).any() or (axis[place] != steps)[:-1].any())
            ):
                self._steps = None
                return "the run recorded other steps than the sweep"
        for name, values in outcome.values.items():
            if name not in self._declared:
                return f"the run records {name!r}, which the sweep does not have{nearest(name, self._declared)}"
            dtype, shape, called = self._declared[name]
            if values.shape[1:] != shape or len(values) != records:
                return f"{name!r} has shape {values.shape}, the sweep has {(records, *shape)}"
            if values.dtype != dtype and not _convertible(values.dtype, dtype, called):
                return f"{name!r} is {values.dtype}, the sweep has {called}"
        return ""


def _convertible(given: np.dtype[Any], stored: np.dtype[Any], called: str) -> bool:
    if called in ("bool", "str"):
        return given.kind in ("b" if called == "bool" else "UT")
    return np.can_cast(given, stored, "safe")


def _table(runs: Sequence[tuple[int, int, int]], outcomes: Sequence[Outcome]) -> RunTable:
    failed = np.array([outcome.failure is not None for outcome in outcomes])
    reasons = sorted({str(o.stop_reason) for o in outcomes if o.failure is None} - {NO_REASON})
    place = {reason: number for number, reason in enumerate((NO_REASON, *reasons))}
    points, replicates, seeds = zip(*runs, strict=True)
    return RunTable.of(
        {
            "point": points,
            "replicate": replicates,
            "seed": np.array(seeds, np.uint64),
            "status": np.where(failed, FAILED, DONE),
            "records": np.where(failed, 0, [len(outcome.steps) for outcome in outcomes]),
            "stopped_at": np.where(failed, 0, [outcome.stopped_at for outcome in outcomes]),
            "stop_reason": [0 if o.failure is not None else place[str(o.stop_reason)] for o in outcomes],
            "seconds": [outcome.seconds for outcome in outcomes],
        },
        (NO_REASON, *reasons),
    )


def _stacked(
    variable: Variable, layout: Layout, outcomes: Sequence[Outcome], places: Sequence[NDArray[np.int64]]
) -> NDArray[Any]:
    """Return the values of all runs, shape (runs, length, *dims), fill values where there are none."""
    name, dtype = variable.name, variable.storage_dtype
    length = max((int(place[-1]) + 1 for place in places if len(place)), default=0)
    if len(places[0]) == length and all(p is places[0] for p in places) and all(name in o.values for o in outcomes):
        return np.array([outcome.values[name] for outcome in outcomes]).astype(dtype, copy=False)
    stacked = np.full((len(outcomes), length, *layout.row_shape(variable)), variable.fill_value, dtype)
    for row, (outcome, place) in enumerate(zip(outcomes, places, strict=True)):
        if name in outcome.values:
            stacked[row, place] = outcome.values[name]
    return stacked


def _missing(
    variables: Sequence[Variable], values: Mapping[str, NDArray[Any]], places: Sequence[NDArray[np.int64]]
) -> list[str]:
    """Return the variables of integers with missing values before the last record of a run."""
    ends = np.array([place[-1] if len(place) else -1 for place in places])
    found = []
    for variable in variables:
        if variable.storage_dtype.kind in "iu":
            array = values[variable.name]
            absent = (array == variable.fill_value).any(axis=tuple(range(2, array.ndim)))
            if bool((absent & (np.arange(array.shape[1]) <= ends[:, None])).any()):
                found.append(variable.name)
    return found
