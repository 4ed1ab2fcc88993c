"""How far a run is, from its files alone: while it goes on, when it was killed, and when it is finished.

Rows come to the disk in closed segments. A segment is closed when its first row is 30 seconds old as the next one
comes (the first segments after 1, 2, 4, 8 and 16 seconds), so what is seen here is up to half a minute behind the run,
and by one record's time more where records are rarer than that.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import netCDF4
import numpy as np

from simengine.analysis.contents import PARAMETER
from simengine.analysis.watching.calls import Calls, WatchedCalls
from simengine.analysis.watching.records import Answers, Recorded, Records, read_values, recorded_in, recorded_of
from simengine.analysis.watching.series import Series
from simengine.errors import StoreError
from simengine.policies.reports import record_of
from simengine.store.attributes import decode_attributes
from simengine.store.checkpoints import checkpoints_of
from simengine.store.files import PARTS_SUFFIX, TEMPORARY_SUFFIX, damage_errors, parts_of
from simengine.store.header import HEADER, Header, read_header
from simengine.store.segments import opened_segment, segment_numbers, segment_path
from simengine.store.writers import is_written

MOST_SEGMENTS = 240
"""So many segments are read when there are more at the first look; later each is read as it comes."""

CHECKED_BYTES = 1 << 22
"""Of larger segments only the series are read, without the checksum, for which all would have to be."""

LATELY = 6
"""Segments from which the speed is taken."""

GRACE_SECONDS = 2.0
"""For so long no process must be seen writing before a run counts as left alone."""

LONGEST_DELAY = 30.0
"""Seconds that a row waits in the writer's memory at most before its segment is closed with the next one."""

Phase = Literal["waiting", "running", "finishing", "finished", "left"]


@dataclass(frozen=True)
class RunState:
    """How far a run is.

    Parameters
    ----------
    path, phase
        The run's file, and what is going on: ``"waiting"`` (there is nothing yet), ``"running"``, ``"finishing"`` (its
        segments are being merged), ``"finished"``, or ``"left"`` (unfinished, and no process is writing).
    seen
        Whether a process was seen writing; None where it cannot be told from here (another machine).
    attributes
        As the file says them: ``scenario``, ``seed``, ``host``, ``stop_reason`` ...
    given
        Parameters that were given, not left at their defaults.
    step, steps, time, rows
        The last step on the disk, the most there will be, its simulated time, and how many rows were read.
    rows_left_out
        Whether there were so many segments at the first look that some were not read.
    rate, seconds_left
        Steps per second lately, and the time that is left at this speed; None before they are known.
    age, between
        Seconds since the last rows came to the disk, and between them and those before.
    checkpoint
        Step of the newest, and its age in seconds.
    observables, answers, calls
        Series of single numbers; what language models were asked by decision, and calls in their record.
    size
        Bytes of the file, or of the one that is being written from the segments.
    damaged
        Numbers of segments that could not be read.
    """

    path: Path
    phase: Phase
    seen: bool | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)
    step: int | None = None
    steps: int | None = None
    time: float | None = None
    rows: int = 0
    rows_left_out: bool = False
    rate: float | None = None
    seconds_left: float | None = None
    age: float | None = None
    between: float | None = None
    checkpoint: tuple[int, float] | None = None
    observables: tuple[Series, ...] = ()
    answers: tuple[Answers, ...] = ()
    calls: Calls | None = None
    size: int = 0
    damaged: tuple[int, ...] = ()


class WatchedRun:
    """A run that is looked at again and again; each look reads what is new.

    Not for a thread beside one that uses NetCDF files: their library is made for one thread at a time.

    Parameters
    ----------
    path
        Its file, finished or to be, or the folder ``OUT.parts``.
    clock
        Seconds since 1970.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = path.with_name(path.name.removesuffix(PARTS_SUFFIX)) if path.is_dir() else path
        self._clock = clock
        self._header: Header | None = None
        self._header_seen = (0, 0, 0)
        self._declared: dict[str, Recorded] = {}
        self._unseen_since: float | None = None
        self._calls: WatchedCalls | None = None
        self._final: tuple[tuple[int, int, int], RunState] | None = None
        self._records = Records()
        self._number, self._last_seen, self._left_out = 0, (0, 0, 0), False
        self._arrivals: deque[tuple[float, int]] = deque(maxlen=LATELY)
        self._damaged: list[int] = []

    def look(self) -> RunState:
        """Return how far the run is now.

        Raises
        ------
        StoreError
            If what is there is damaged, or no run.
        """
        parts = parts_of(self.path)
        for attempt in range(3):
            try:
                if parts.is_dir() and not self._is_finished(parts):
                    return self._unfinished(parts)
                if self.path.is_file():
                    return self._finished()
                return RunState(self.path, "waiting")
            except (StoreError, OSError):
                # A run that is finished, or begun anew, at this moment takes its files away.
                if attempt == 2:
                    raise
                time.sleep(0.05)
        raise AssertionError

    # -- while it is unfinished ---------------------------------------------------------------------------------------

    def _unfinished(self, parts: Path) -> RunState:
        header = self._read_header(parts)
        self._read_new(parts)
        attributes = {**header.stable, **header.volatile}
        now, records = self._clock(), self._records
        seen = is_written(parts, str(attributes.get("host", "")))
        temporary = self.path.with_name(self.path.name + TEMPORARY_SUFFIX)
        size = temporary.stat().st_size if temporary.exists() else 0
        phase: Phase = "left" if self._is_left(seen, now) else "finishing" if size else "running"
        steps, rate = attributes.get("steps"), self._rate()
        age = max(now - self._arrivals[-1][0], 0.0) if self._arrivals else None
        left = None
        if rate and phase == "running" and steps is not None and records.step is not None and age is not None:
            left = max((int(steps) - records.step) / rate - age, 0.0)
        return RunState(
            self.path, phase, seen, attributes, given(attributes), records.step, steps, records.time, records.rows,
            self._left_out, rate, left, age, self._between(), self._checkpoint(now),
            records.observables(self._declared), records.answers(), self._look_at_calls(attributes), size,
            tuple(self._damaged),
        )  # fmt: skip

    def _is_left(self, seen: bool | None, now: float) -> bool:
        """Whether nobody has been writing for longer than a process takes that begins."""
        if seen is not False:
            self._unseen_since = None
            return False
        if self._unseen_since is None:
            self._unseen_since = now
        latest = max(self._arrivals[-1][0] if self._arrivals else 0.0, self._header_seen[0] / 1e9)
        return now - min(self._unseen_since, latest) >= GRACE_SECONDS

    def _read_header(self, parts: Path) -> Header:
        seen = identity(parts / HEADER)
        if self._header is None or seen != self._header_seen:
            header = read_header(parts)
            if self._header is None or header.volatile.get("run_id") != self._header.volatile.get("run_id"):
                self._forget()
            self._header, self._header_seen, self._declared = header, seen, recorded_of(header.layout)
        return self._header

    def _read_new(self, parts: Path) -> None:
        if self._number and identity(segment_path(parts, self._number)) != self._last_seen:
            # Whoever goes on from a checkpoint removes the segments after it, and writes others of these numbers.
            self._forget()
        numbers: list[int] = []
        if self._number:
            while segment_path(parts, self._number + len(numbers) + 1).exists():
                numbers.append(self._number + len(numbers) + 1)
        else:
            numbers = [number for number in segment_numbers(parts) if number > 0]
            self._left_out = len(numbers) > MOST_SEGMENTS
            if self._left_out:
                spread = np.linspace(0, len(numbers) - LATELY - 1, MOST_SEGMENTS - LATELY).astype(int)
                numbers = [numbers[place] for place in spread.tolist()] + numbers[-LATELY:]
        for number in numbers:
            seen = identity(segment_path(parts, number))
            try:
                self._read_segment(parts, number, seen)
            except StoreError:
                if not segment_path(parts, number).exists():
                    raise
                self._damaged.append(number)
            self._number, self._last_seen = number, seen

    def _read_segment(self, parts: Path, number: int, seen: tuple[int, int, int]) -> None:
        path = segment_path(parts, number)
        written, size, _ = seen
        with damage_errors(f"read {path}"):
            if size <= CHECKED_BYTES:
                with opened_segment(parts, number) as file:
                    values = read_values(file, self._declared)
            else:
                with netCDF4.Dataset(path.absolute()) as file:
                    values = read_values(file, self._declared)
        before = self._records.step
        self._records.take(values, self._declared)
        if self._records.step is not None and self._records.step != before:
            self._arrivals.append((written / 1e9, self._records.step))

    def _rate(self) -> float | None:
        """The middle one of the speeds between the latest segments, which a pause before a resume does not spoil."""
        speeds = [
            (step - before) / (moment - earlier)
            for (earlier, before), (moment, step) in pairwise(self._arrivals)
            if moment > earlier
        ]
        return float(np.median(speeds)) if speeds else None

    def _between(self) -> float | None:
        pairs = list(self._arrivals)
        return max(pairs[-1][0] - pairs[-2][0], 0.0) if len(pairs) > 1 else None

    def _checkpoint(self, now: float) -> tuple[int, float] | None:
        found = []
        with suppress(OSError):
            for file in checkpoints_of(self.path).iterdir():
                digits = file.name.removeprefix("step-").removesuffix(".npz")
                if digits.isdecimal():
                    found.append((int(digits), max(now - file.stat().st_mtime, 0.0)))
        return max(found, default=None)

    def _look_at_calls(self, attributes: Mapping[str, Any]) -> Calls | None:
        # The log of a database is shared by processes of one machine only.
        record = record_of(self.path)
        if attributes.get("host") != socket.gethostname() or not record.is_file():
            return None
        if self._calls is None:
            self._calls = WatchedCalls(record)
        return self._calls.look()

    def _forget(self) -> None:
        self._records = Records()
        self._number, self._last_seen, self._left_out = 0, (0, 0, 0), False
        self._arrivals.clear()
        self._damaged.clear()

    # -- when it is finished ------------------------------------------------------------------------------------------

    def _is_finished(self, parts: Path) -> bool:
        """Whether the file that is there is that of the run whose segments are still there."""
        if not self.path.is_file():
            return False
        return bool(self._finished().attributes.get("run_id") == self._read_header(parts).volatile.get("run_id"))

    def _finished(self) -> RunState:
        seen = identity(self.path)
        if self._final is None or self._final[0] != seen:
            self._final = seen, finished_state(self.path)
        return self._final[1]


def finished_state(path: Path) -> RunState:
    """Return what a finished file says of its run.

    Raises
    ------
    StoreError
        If it is none.
    """
    records = Records()
    with damage_errors(f"read {path}"), netCDF4.Dataset(path.absolute()) as file:
        attributes = decode_attributes({name: file.getncattr(name) for name in file.ncattrs()})
        if "scenario" not in attributes or "stopped_at" not in attributes:
            raise StoreError(f"{path} is no run")
        declared = recorded_in(file)
        records.take(read_values(file, declared), declared)
    step, seconds = int(attributes["stopped_at"]), float(attributes.get("wall_seconds") or 0.0)
    return RunState(
        path, "finished", None, attributes, given(attributes), step, attributes.get("steps"), records.time,
        records.rows, rate=step / seconds if seconds else None, observables=records.observables(declared),
        answers=records.answers(), size=path.stat().st_size,
    )  # fmt: skip


def given(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that were given, not left at their defaults, by name."""
    names = attributes.get("parameters_given") or ()
    return {str(name): attributes[f"{PARAMETER}{name}"] for name in names if f"{PARAMETER}{name}" in attributes}


def identity(path: Path) -> tuple[int, int, int]:
    """Return what tells one content of a file from the next: time in nanoseconds, size and number; zeros for none."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0, 0
    return found.st_mtime_ns, found.st_size, found.st_ino
