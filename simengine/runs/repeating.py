"""``rerun``: repeat a run from its file alone, and say whether the same comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simengine.runs.arguments import checked_threads
from simengine.runs.carry_out import carry_out
from simengine.runs.continuing import described_changes, recalled, run_path
from simengine.runs.driving import checked_shards
from simengine.runs.options import Options
from simengine.runs.recipe import changes_since
from simengine.store.attributes import decode, decode_attributes, volatile_names
from simengine.store.reading import open_run

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True, repr=False)
class Comparison:
    """What `rerun` found; true when the repetition equals the file bit for bit.

    ``variable``, ``step`` and ``time`` say where they first differ (in time, then in the order of the file), and
    ``expected`` (the file's) and ``found`` are the values there; ``step`` and ``time`` are ``None`` for what is not
    recorded along time. ``changes`` are versions, the processor and the scenario's source that are not what they
    were: name to (then, now).
    """

    equal: bool
    variable: str | None = None
    step: int | None = None
    time: float | None = None
    expected: Any = None
    found: Any = None
    changes: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.equal

    def __repr__(self) -> str:
        return f"<{self}>"

    def __str__(self) -> str:
        changed = f"; since then changed: {described_changes(self.changes)}" if self.changes else ""
        if self.equal:
            return f"equal, bit for bit{changed}"
        where = "" if self.step is None else f" at step {self.step} (time {self.time:g})"
        return f"differs first in {self.variable}{where}: {self.expected} in the file, {self.found} now{changed}"


def rerun(
    path: str | Path,
    *,
    scenario: Any = None,
    policies: Mapping[str, Any] | None = None,
    threads: int | None = None,
    progress: bool = True,
    shards: int | None = None,
    address: str | None = None,
) -> Comparison:
    """Repeat the run of a file from the file alone and compare.

    The file of a scenario that is not installed keeps its source, which is run: do not rerun files whose makers you
    would not trust with a program.

    Parameters
    ----------
    path
        A finished run's file.
    scenario, policies
        Take the place of what the file says of them, where it does not keep them.
    threads, progress, shards, address
        As in `run`; may differ from those of the file's run.

    Raises
    ------
    InputError
        When there is no such file, or it does not keep what its run needs.
    """
    path, shards = run_path(path), checked_shards(shards, address)
    options = Options(checked_threads(threads), "auto", progress, None, shards, address)
    recipe, attributes = recalled(path, scenario, policies)
    again = carry_out(recipe, None, options)
    changes = changes_since(attributes, decode_attributes(again.attrs))
    with open_run(path) as dataset:
        return compared(dataset, again, changes)


def compared(
    expected: xarray.Dataset, found: xarray.Dataset, changes: Mapping[str, tuple[Any, Any]] = {}
) -> Comparison:
    """Compare two runs: variables and coordinates by time, then attributes; versions and volatile ones do not count."""
    first: Comparison | None = None
    ignored = volatile_names(expected.attrs) | volatile_names(found.attrs) | set(changes)
    for name in [str(name) for name in (*expected.variables, *found.variables)]:
        if name in ignored:
            continue
        if name not in expected.variables or name not in found.variables:
            kind = ("there", "missing") if name in expected.variables else ("missing", "there")
            return Comparison(False, name, None, None, *kind, changes)
        difference = _first_difference(name, expected, found, changes)
        if difference is not None and (first is None or _moment(difference) < _moment(first)):
            first = difference
    if first is not None:
        return first
    for name in [str(name) for name in expected.variables if name not in ignored]:
        mine, theirs = expected.variables[name].attrs, found.variables[name].attrs
        for key in dict.fromkeys((*mine, *theirs)):
            if not _same(decode(mine.get(key)), decode(theirs.get(key))):
                return Comparison(
                    False, f"attribute {key} of {name}", None, None, mine.get(key), theirs.get(key), changes
                )
    then, now = decode_attributes(expected.attrs), decode_attributes(found.attrs)
    for name in dict.fromkeys((*then, *now)):
        if name not in ignored and not _same(then.get(name), now.get(name)):
            return Comparison(False, f"attribute {name}", None, None, then.get(name), now.get(name), changes)
    return Comparison(True, changes=changes)


def _moment(comparison: Comparison) -> int:
    return -1 if comparison.step is None else comparison.step


def _first_difference(
    name: str, expected: xarray.Dataset, found: xarray.Dataset, changes: Mapping[str, tuple[Any, Any]]
) -> Comparison | None:
    mine, theirs = expected.variables[name], found.variables[name]
    if mine.dims != theirs.dims or mine.dtype.kind != theirs.dtype.kind:
        return Comparison(
            False, name, None, None, f"{mine.dtype} {mine.dims}", f"{theirs.dtype} {theirs.dims}", changes
        )
    axis = mine.dims[0] if mine.dims and mine.dims[0] in ("time", "snapshot_time") else None
    common = tuple(min(a, b) for a, b in zip(mine.shape, theirs.shape, strict=True))
    if axis is None and mine.shape != theirs.shape:
        return Comparison(False, name, None, None, f"shape {mine.shape}", f"shape {theirs.shape}", changes)
    inside = tuple(slice(length) for length in common)
    left, right = np.asarray(mine.values)[inside], np.asarray(theirs.values)[inside]
    different = np.argwhere(np.atleast_1d(~_equal(left, right)))
    if len(different):
        at = tuple(int(place) for place in different[0]) if left.ndim else ()
        step, time = _when(expected, axis, at)
        return Comparison(False, name, step, time, _shown(left[at], at[1:]), _shown(right[at], at[1:]), changes)
    if axis is not None and mine.shape != theirs.shape:
        longer = expected if mine.shape[0] > theirs.shape[0] else found
        step, time = _when(longer, axis, (common[0],))
        shown = ("a row", "none") if longer is expected else ("none", "a row")
        return Comparison(False, name, step, time, *shown, changes)
    return None


def _when(dataset: xarray.Dataset, axis: str | None, at: tuple[int, ...]) -> tuple[int | None, float | None]:
    if axis is None:
        return None, None
    steps = dataset.variables["step" if axis == "time" else "snapshot_step"].values
    return int(steps[at[0]]), float(dataset.variables[axis].values[at[0]])


def _equal(left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Where values have the same bits; not-a-number equals itself, and 0 does not equal -0."""
    same = left == right
    if left.dtype.kind == "f" and right.dtype.kind == "f":
        same = (same & (np.signbit(left) == np.signbit(right))) | (np.isnan(left) & np.isnan(right))
    return np.asarray(same)


def _shown(value: Any, place: tuple[int, ...]) -> str:
    return f"{value!s}" + (f" (place {', '.join(map(str, place))})" if place else "")


def _same(then: Any, now: Any) -> bool:
    return repr(then) == repr(now)
