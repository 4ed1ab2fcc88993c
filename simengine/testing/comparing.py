"""Where two recorded runs differ first, in one line."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray
from numpy.typing import NDArray

from simengine.scenario.parameters import shown
from simengine.store.attributes import decode_attributes, volatile_names

STEP_OF = {"time": "step", "snapshot_time": "snapshot_step"}
Array = NDArray[Any]


@dataclass(frozen=True)
class Difference:
    """The first value that two runs do not share; ``place`` says at which step and of which agent."""

    variable: str
    place: str
    expected: Any
    found: Any

    def between(self, expected: str, found: str) -> str:
        """Return one line that names both runs."""
        return f"{self.variable}{self.place} is {plain(self.expected)} {expected}, {plain(self.found)} {found}"


def plain(value: Any) -> str:
    """Return a value in one short line, floats with all digits."""
    return shown(value.item() if isinstance(value, np.generic) else value)


def first_difference(
    expected: xarray.Dataset,
    found: xarray.Dataset,
    own_strides: Mapping[str, int] | None = None,
    ignoring: Collection[str] = (),
) -> Difference | None:
    """Return where two runs differ at the earliest step, or ``None`` when they say the same.

    Values are equal bit for bit, any NaN like any other. ``found`` may have been recorded more rarely: then its own
    rows are compared, and of a row that only observables with strides of their own (``own_strides``) were due for,
    those observables. Variables ``ignoring`` are left out. At one step ids come first, then fields, then observables,
    for that is how a difference spreads.
    """
    ends = [(run.attrs.get("stopped_at"), run.attrs.get("stop_reason")) for run in (expected, found)]
    differences: list[tuple[int, int, Difference]] = []
    for name in [*expected.variables, *(name for name in found.variables if name not in expected.variables)]:
        name = str(name)
        if name in ignoring:
            continue
        if name not in expected.variables or name not in found.variables:
            there, absent = ("recorded", "not recorded")
            pair = (there, absent) if name in expected.variables else (absent, there)
            return Difference(name, "", *pair)
        place = _first_place(expected, found, name, own_strides or {})
        if place is not None:
            differences.append((place[0], _rank(expected, name), place[1]))
    if differences:
        return min(differences, key=lambda one: one[:2])[2]
    if ends[0] != ends[1]:
        return Difference("the end of the run", "", *(f"step {step} ({reason})" for step, reason in ends))
    return None


def first_attribute(expected: xarray.Dataset, found: xarray.Dataset) -> Difference | None:
    """Return the first attribute that the content hash covers and in which two runs differ."""
    volatile = volatile_names(expected.attrs)
    left, right = decode_attributes(expected.attrs), decode_attributes(found.attrs)
    for name in [*left, *(name for name in right if name not in left)]:
        if name not in volatile and shown(left.get(name)) != shown(right.get(name)):
            return Difference(f"attribute {name}", "", left.get(name), right.get(name))
    return None


def _rank(dataset: xarray.Dataset, name: str) -> int:
    if "snapshot_time" not in dataset[name].dims:
        return 2
    return 0 if name.endswith("_id") else 1


def _first_place(
    expected: xarray.Dataset, found: xarray.Dataset, name: str, own_strides: Mapping[str, int]
) -> tuple[int, Difference] | None:
    dims = expected[name].dims
    left, right = expected[name].values, found[name].values
    if not dims or dims[0] not in STEP_OF:
        if left.shape == right.shape and not unequal(left, right).any():
            return None
        return -1, Difference(name, "", left, right)
    clock = STEP_OF[str(dims[0])]
    left_steps, right_steps = expected[clock].values, found[clock].values
    rows = np.searchsorted(left_steps, right_steps)
    missing = (rows == len(left_steps)) | (left_steps[np.minimum(rows, len(left_steps) - 1)] != right_steps)
    if missing.any():
        step = int(right_steps[np.argmax(missing)])
        return step, Difference(name, f" at step {step}", "not recorded", right[np.argmax(missing)])
    due = _due(found, name, right_steps, own_strides) if dims[0] == "time" else np.ones(len(right_steps), bool)
    left, right, steps = left[rows[due]], right[due], right_steps[due]
    if left.shape != right.shape:
        return -1, Difference(f"the shape of {name}", "", left.shape, right.shape)
    where = np.argwhere(unequal(left, right))
    if not len(where):
        return None
    at = tuple(where[0])
    step = int(steps[at[0]])
    row = int(np.flatnonzero(due)[at[0]])
    place = f" at step {step}" + _agent(found, name, (row, *at[1:]))
    return step, Difference(name, place, left[at], right[at])


def _due(found: xarray.Dataset, name: str, steps: Array, own_strides: Mapping[str, int]) -> Array:
    """At which rows a variable of a run has a value by its stride."""
    stride = own_strides.get(name, int(found.attrs.get("every", 1)))
    due: Array = (steps % stride == 0) | (steps == steps[0]) | (steps == steps[-1])
    return due


def _agent(dataset: xarray.Dataset, name: str, at: tuple[int, ...]) -> str:
    """Of whom the value at an index is, and in which component."""
    text = ""
    for dim, index in list(zip(dataset[name].dims, at, strict=True))[1:]:
        dim = str(dim)
        if f"{dim}_id" in dataset and name != f"{dim}_id":
            text += f" of {dim} {int(dataset[f'{dim}_id'].values[at[0], index])}"
        elif dim in dataset.coords and dataset[name].dims[0] == "snapshot_time" and not dim.startswith("axis"):
            text += f" of {dim} {int(dataset[dim].values[index])}"
        else:
            label = dataset[dim].values[index] if dim in dataset.coords else index
            text += f" ({dim} {label})"
    return text


def unequal(left: Array, right: Array) -> Array:
    """Where two arrays of one shape differ in their bits; NaNs are alike."""
    if left.dtype.kind == "f" and right.dtype == left.dtype:
        bits = f"i{left.dtype.itemsize}"
        differ = np.ascontiguousarray(left).view(bits) != np.ascontiguousarray(right).view(bits)
        return np.asarray(differ & ~(np.isnan(left) & np.isnan(right)))
    return np.asarray(left != right)
