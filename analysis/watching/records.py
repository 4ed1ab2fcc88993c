"""The series of single numbers among a run's records, as far as they were read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import netCDF4
import numpy as np
from numpy.typing import NDArray

from simengine.analysis.contents import COMPANIONS, FLAGS, STANDARD_ERROR
from simengine.analysis.watching.series import Course, Series
from simengine.policies.reports import SERIES
from simengine.store.attributes import decode
from simengine.store.layout import STEP_OF, TIME, Layout

MOST_OBSERVABLES = 32
LANGUAGE = "language_"
STEP = STEP_OF[TIME]


@dataclass(frozen=True)
class Recorded:
    """A variable with one number for each record; ``marker`` is the whole number that stands for a missing one."""

    name: str
    long_name: str
    unit: str
    attributes: Mapping[str, Any]
    marker: int | None


@dataclass(frozen=True)
class Answers:
    """What a decision's language models were asked up to the last record, by the names of `reports.SERIES`."""

    decision: str
    numbers: Mapping[str, int]


def recorded_of(layout: Layout) -> dict[str, Recorded]:
    """Return the series that a run will have, by name."""
    return {
        one.name: Recorded(
            one.name, one.long_name, one.unit, one.attributes,
            None if one.storage_dtype.kind not in "iu" or one.dtype == "bool" else int(one.fill_value),
        )
        for one in layout.variables
        if one.dims == (TIME,) and one.storage_dtype.kind in "iuf"
    }  # fmt: skip


def recorded_in(file: netCDF4.Dataset) -> dict[str, Recorded]:
    """Return the series of a finished file, by name."""
    found = {}
    for name, one in file.variables.items():
        if one.dimensions != (TIME,) or name in (TIME, STEP) or one.dtype is str or one.dtype.kind not in "iuf":
            continue
        given = {key: decode(one.getncattr(key)) for key in one.ncattrs()}
        marker = given.get("_FillValue") if one.dtype.kind in "iu" else None
        found[name] = Recorded(name, str(given.get("long_name", "")), str(given.get("units", "")), given, marker)
    return found


def read_values(file: netCDF4.Dataset, names: Collection[str]) -> dict[str, NDArray[Any]]:
    """Return those of the variables, and the records' times and steps, that are in a file, as stored."""
    found = {}
    for name in (TIME, STEP, *names):
        if name in file.variables:
            file.variables[name].set_auto_maskandscale(False)
            found[name] = np.asarray(file.variables[name][:])
    return found


class Records:
    """What was read of a run's series so far."""

    def __init__(self) -> None:
        self.step: int | None = None
        self.time: float | None = None
        self.rows = 0
        self._courses: dict[str, Course] = {}
        self._bits: dict[str, int] = {}

    def take(self, values: Mapping[str, NDArray[Any]], declared: Mapping[str, Recorded]) -> None:
        """Add the records that follow."""
        if STEP not in values or not len(values[STEP]):
            return
        steps = values[STEP].astype(np.int64)
        self.step, self.time = int(steps[-1]), float(values[TIME][-1])
        self.rows += len(steps)
        for name, one in declared.items():
            if name not in values:
                continue
            column = values[name]
            missing = column == one.marker if one.marker is not None else np.zeros(len(column), bool)
            if "flag_masks" in one.attributes and column.dtype.kind in "iu":
                known = column[~missing]
                bits = int(np.bitwise_or.reduce(known)) if len(known) else 0
                self._bits[name] = self._bits.get(name, 0) | bits
            else:
                numbers = np.where(missing, np.nan, column.astype(np.float64))
                self._courses.setdefault(name, Course()).add(steps, numbers)

    def observables(self, declared: Mapping[str, Recorded]) -> tuple[Series, ...]:
        """Return the first observables, without what stands beside them and without what language models add."""
        chosen = [name for name in declared if not name.startswith(LANGUAGE) and not _is_companion(name, declared)]
        return tuple(self._series(declared[name], declared) for name in chosen[:MOST_OBSERVABLES])

    def _series(self, one: Recorded, declared: Mapping[str, Recorded]) -> Series:
        course, error = self._courses.get(one.name, Course()), self._courses.get(f"{one.name}{STANDARD_ERROR}")
        flags = declared.get(f"{one.name}{FLAGS}")
        return Series(
            one.name,
            one.long_name or one.name.replace("_", " "),
            one.unit,
            course.steps,
            course.values,
            float(error.values[-1]) if error is not None and len(error.values) else None,
            () if flags is None else tuple(_words(flags.attributes, self._bits.get(flags.name, 0))),
        )

    def answers(self) -> tuple[Answers, ...]:
        """Return what language models were asked, by decision."""
        found: dict[str, dict[str, int]] = {}
        for name, course in self._courses.items():
            for column in SERIES:
                if name.startswith(LANGUAGE) and name.endswith(f"_{column}") and len(course.values):
                    label = name.removeprefix(LANGUAGE).removesuffix(f"_{column}")
                    last = course.values[-1]
                    found.setdefault(label, {})[column] = int(last) if np.isfinite(last) else 0
        return tuple(Answers(label, numbers) for label, numbers in found.items() if numbers.keys() == SERIES.keys())


def _is_companion(name: str, declared: Mapping[str, Recorded]) -> bool:
    return any(name.endswith(end) and name.removesuffix(end) in declared for end in COMPANIONS)


def _words(attributes: Mapping[str, Any], bits: int) -> Iterable[str]:
    masks = np.atleast_1d(attributes.get("flag_masks", []))
    words = str(attributes.get("flag_meanings", "")).split()
    return [word for word, mask in zip(words, masks, strict=False) if bits & int(mask)]
