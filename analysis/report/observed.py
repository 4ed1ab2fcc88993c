"""The tables of a page: observables with their means and intervals, diagnostics with their nulls, points of a sweep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from simengine.analysis import contents
from simengine.analysis.report import wording
from simengine.analysis.statistics.intervals import batch_means, student
from simengine.analysis.statistics.stationarity import FEWEST, TOO_FEW, stationarity

Array = NDArray[np.float64]

LEVEL = 0.95
MOST_POINTS, MOST_COLUMNS = 200, 12
MOST_SERIES, FEWEST_OF_A_POINT = 20_000, 3
"""Series of a sweep that are asked whether they settle, of all observables together, which takes some seconds."""

MOST_VALUES = 4_000_000
"""Values of an observable that are in memory at once."""

BEYOND_CHANCE, DOUBTFUL = 3.0, 2.0
OF_LANGUAGE = "language_"

RUN_HEADINGS = ("observable", "last", "mean where stationary", "stationary from", "z", "doubts")
SWEEP_HEADINGS = ("observable", "lowest", "highest", "all runs", "± typical", "z", "doubts")
POINT_HEADINGS = ("observable", "mean", "lowest run", "highest run", "z", "doubts")


@dataclass(frozen=True)
class Cell:
    """What stands in a cell: a text, its error, what stands below it in small letters, and marks with their weight."""

    text: str = ""
    error: str = ""
    below: str = ""
    marks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Row:
    """One observable: its name in words and in the file, its unit, and its cells."""

    name: str
    label: str
    unit: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Reading:
    """One diagnostic that has a null."""

    name: str
    label: str
    unit: str
    value: str
    error: str
    null: str
    spread: str
    z: str
    reading: str
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Point:
    """One point of a sweep: its values of the swept parameters, how many runs it has, and means with half intervals."""

    values: tuple[str, ...]
    runs: str
    cells: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Points:
    """The table of the points of a sweep."""

    swept: tuple[str, ...]
    headings: tuple[str, ...]
    rows: tuple[Point, ...]
    note: str


@dataclass(frozen=True)
class Tables:
    """All tables of what was observed, and which observables are not stationary and why."""

    headings: tuple[str, ...]
    rows: tuple[Row, ...]
    note: str
    readings: tuple[Reading, ...]
    points: Points | None
    unsteady: dict[str, str]


def tables(data: xr.Dataset) -> Tables:
    """Return the tables of a run or a sweep."""
    return _of_a_sweep(data) if contents.is_sweep(data) else _of_a_run(data)


def listed(data: xr.Dataset) -> list[str]:
    """Return the observables that a table lists: what counts calls of language models has a section of its own."""
    return [name for name in contents.observables(data) if not name.startswith(OF_LANGUAGE)]


def label_of(data: xr.Dataset, name: str) -> str:
    """Return what an observable is called in words."""
    text = str(data[name].attrs.get("long_name") or wording.in_words(name))
    return wording.cut(text[:1].upper() + text[1:])


def _unit(data: xr.Dataset, name: str) -> str:
    return wording.unit(str(data[name].attrs.get("units", "")))


# -- a run -----------------------------------------------------------------------------------------------------------


def _of_a_run(data: xr.Dataset) -> Tables:
    rows, readings, unsteady = [], [], {}
    for name in listed(data):
        if data[name].dims != (contents.TIME,):
            shape = f" {wording.TIMES} ".join(f"{size} {dim}" for dim, size in data[name].sizes.items())
            rows.append(Row(name, label_of(data, name), _unit(data, name), (Cell(shape), *[Cell()] * 4)))
            continue
        row, reading, reason = _series(data, name)
        rows.append(row)
        if reading is not None:
            readings.append(reading)
        if reason:
            unsteady[name] = reason
    note = (
        "The last record with its standard error where one is known; the mean from where the series is stationary on "
        "(MSER), with an interval that takes its memory into account (batch means); z, how many standard deviations "
        "the last record lies from its null."
    )
    headings, filled = _without_empty(RUN_HEADINGS, rows)
    return Tables(headings, filled, note, tuple(readings), None, unsteady)


def _without_empty(headings: tuple[str, ...], rows: Sequence[Row]) -> tuple[tuple[str, ...], tuple[Row, ...]]:
    """Return a table without the columns in which nothing stands."""
    kept = [
        number for number, _ in enumerate(headings[1:])
        if any(row.cells[number] not in (Cell(), Cell(wording.NOTHING)) for row in rows)
    ]  # fmt: skip
    filled = [replace(row, cells=tuple(row.cells[number] for number in kept)) for row in rows]
    return (headings[0], *(headings[number + 1] for number in kept)), tuple(filled)


def _series(data: xr.Dataset, name: str) -> tuple[Row, Reading | None, str]:
    values = np.asarray(data[name].values, np.float64)
    times = np.asarray(data[contents.TIME].values, np.float64)
    known = np.flatnonzero(np.isfinite(values))
    last = int(known[-1]) if len(known) else -1
    error = _at(data, f"{name}{contents.STANDARD_ERROR}", last)
    found = stationarity(values)
    mean, since = Cell(wording.NOTHING), Cell(wording.NOTHING)
    reason = ""
    if found.holds:
        kept = batch_means(values[found.start :], LEVEL)
        mean = Cell(wording.number(kept.mean), below=_ends(kept.low, kept.high))
        since = Cell(wording.number(times[found.start]))
    elif found.reason != TOO_FEW:
        reason = found.reason
        since = Cell("", marks=(("mind", reason),))
    reading = _reading(data, name, values, last, error)
    z = reading.z if reading else wording.NOTHING
    row = Row(
        name, label_of(data, name), _unit(data, name),
        (
            Cell(wording.number(values[last]) if last >= 0 else wording.NOTHING, _error(error)),
            mean, since, Cell(z), _flags(data, name),
        ),
    )  # fmt: skip
    return row, reading, reason


def _reading(data: xr.Dataset, name: str, values: Array, last: int, error: float) -> Reading | None:
    null, spread = (_at(data, f"{name}{end}", last) for end in (contents.NULL_MEAN, contents.NULL_SD))
    if f"{name}{contents.NULL_MEAN}" not in data.variables:
        return None
    z = (values[last] - null) / spread if last >= 0 and spread > 0 else np.nan
    return Reading(
        name, label_of(data, name), _unit(data, name),
        wording.number(values[last]) if last >= 0 else wording.NOTHING, _error(error), wording.number(null),
        _error(spread), wording.number(z, 3), _judged(z, spread), _words(data, name),
    )  # fmt: skip


def _judged(z: float, spread: float) -> str:
    if not np.isfinite(z):
        return "its null has no spread" if spread == 0 else "there is no null here"
    side = "above" if z > 0 else "below"
    if abs(z) > BEYOND_CHANCE:
        return f"{side} what chance gives"
    return f"perhaps {side} what chance gives" if abs(z) > DOUBTFUL else "as chance gives"


def _at(data: xr.Dataset, name: str, place: int) -> float:
    if name not in data.variables or place < 0:
        return np.nan
    return float(data[name].values[place])


def _error(error: float) -> str:
    return wording.number(error, 2) if np.isfinite(error) else ""


def _ends(low: float, high: float) -> str:
    """Return an interval to two digits of its width."""
    if not np.isfinite(high - low):
        return ""
    if high <= low:
        return "without spread"
    decimals = int(1 - np.floor(np.log10(high - low)))
    if not -6 <= decimals <= 6:
        return f"{wording.number(low)} … {wording.number(high)}"
    ends = (f"{round(end, decimals):,.{max(decimals, 0)}f}".replace("-", wording.MINUS) for end in (low, high))
    return " … ".join(ends)


def _words(data: xr.Dataset, name: str) -> tuple[str, ...]:
    return tuple(flag.replace("_", " ") for flag in contents.flags_of(data, name))


def _flags(data: xr.Dataset, name: str) -> Cell:
    found = sorted(contents.flags_of(data, name).items(), key=lambda item: -item[1])
    if not found:
        return Cell(wording.NOTHING)
    marks = [("mind" if share > 0.5 else "note", flag.replace("_", " ")) for flag, share in found[:2]]
    return Cell("", marks=(*marks, ("note", f"+ {len(found) - 2}")) if len(found) > 2 else tuple(marks))


# -- a sweep ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Runs:
    """Which runs belong to which point: ``places`` (points, most replicates) into the runs in order, -1 for none."""

    names: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]
    places: NDArray[np.int64]

    @classmethod
    def of(cls, data: xr.Dataset) -> Runs:
        """Return the points of a sweep in their order."""
        status, names = data["status"], contents.swept(data)
        order = np.arange(status.size)
        if contents.RUN in status.dims:
            columns = [data[name].values for name in names]
            if contents.POINT in data.variables:
                _, first, point = np.unique(data[contents.POINT].values, return_index=True, return_inverse=True)
            else:
                first, point = order, order
        else:
            laid = status.transpose(*names, ..., missing_dims="ignore")
            columns = [
                np.broadcast_to(data[name].values.reshape([-1 if dim == name else 1 for dim in laid.dims]), laid.shape)
                .reshape(-1)
                for name in names
            ]  # fmt: skip
            replicates = data.sizes.get(contents.REPLICATE, 1)
            point, first = order // replicates, order[::replicates]
        counts = np.bincount(point, minlength=len(first))
        places = np.full((len(first), int(counts.max(initial=1))), -1, np.int64)
        for number in range(len(first)):
            members = np.flatnonzero(point == number) if contents.RUN in status.dims else None
            found = members if members is not None else order[number * places.shape[1] : (number + 1) * places.shape[1]]
            places[number, : len(found)] = found
        values = tuple(tuple(column[place].item() for column in columns) for place in first)
        return cls(tuple(names), values, places)

    def by_point(self, values: Array) -> Array:
        """Return values of the runs as (points, replicates), NaN where there is no run."""
        return np.where(self.places >= 0, np.append(values, np.nan)[self.places], np.nan)


def _dims_of_runs(data: xr.Dataset) -> list[str]:
    status = data["status"]
    return [contents.RUN] if contents.RUN in status.dims else [*contents.swept(data), *(
        [contents.REPLICATE] if contents.REPLICATE in status.dims else []
    )]  # fmt: skip


def last_values(data: xr.Dataset, name: str) -> Array:
    """Return the last record of every run, shape (runs,), NaN where there is none; reads some millions at a time."""
    dims = _dims_of_runs(data)
    laid = data[name].transpose(*dims, ...)
    if contents.TIME not in laid.dims:
        return np.asarray(laid.values, np.float64).reshape(-1)
    return (
        np.concatenate([_last(block) for block in _blocks(laid)]) if laid.size else np.full(data["status"].size, np.nan)
    )


def _blocks(laid: xr.DataArray) -> Iterator[Array]:
    first = str(laid.dims[0])
    length = max(1, MOST_VALUES * laid.sizes[first] // max(1, laid.size))
    for start in range(0, laid.sizes[first], length):
        values = np.asarray(laid.isel({first: slice(start, start + length)}).values, np.float64)
        yield values.reshape(-1, values.shape[-1])


def _last(values: Array) -> Array:
    there = np.isfinite(values)
    place = values.shape[1] - 1 - there[:, ::-1].argmax(axis=1)
    return np.where(there.any(axis=1), values[np.arange(len(values)), place], np.nan)


def _of_a_sweep(data: xr.Dataset) -> Tables:
    runs = Runs.of(data)
    expected = {*_dims_of_runs(data), contents.TIME}
    names = [name for name in listed(data) if set(map(str, data[name].dims)) <= expected]
    several = len(runs.values) > 1
    rows, readings, finals = [], [], {}
    for name in names:
        final = last_values(data, name)
        finals[name] = runs.by_point(final)
        z, reading = _reading_of_runs(data, name, final)
        if reading is not None:
            readings.append(reading)
        rows.append(
            Row(name, label_of(data, name), _unit(data, name), _cells(data, name, finals[name], runs, z, several))
        )
    unsteady = _unsteady(data, names, runs)
    what = (
        "the lowest and the highest mean of a point, and where; the mean of all runs; half of a typical 95 % interval"
    )
    one = "the mean over replicates with its 95 % interval, and the runs that lie lowest and highest"
    note = f"Of the last records: {what if several else one} (Student's t); z, the median distance from the null."
    headings: tuple[str, ...] = SWEEP_HEADINGS if several else POINT_HEADINGS
    points = _points(data, runs, finals) if several else None
    headings, filled = _without_empty(headings, rows)
    return Tables(headings, filled, note, tuple(readings), points, unsteady)


def _cells(data: xr.Dataset, name: str, final: Array, runs: Runs, z: str, several: bool) -> tuple[Cell, ...]:
    found = student(final, LEVEL)
    doubts = _flags(data, name)
    nothing = Cell(wording.NOTHING)
    if not np.isfinite(found.mean).any():
        return (*[nothing] * (4 if several else 3), Cell(z), doubts)
    if not several:
        ends = _ends(float(found.low[0]), float(found.high[0]))
        lowest, highest = float(np.nanmin(final)), float(np.nanmax(final))
        numbers = (Cell(wording.number(lowest)), Cell(wording.number(highest)))
        return Cell(wording.number(found.mean[0]), below=ends), *numbers, Cell(z), doubts
    low, high = int(np.nanargmin(found.mean)), int(np.nanargmax(found.mean))
    half = (found.high - found.low) / 2
    typical = float(np.nanmedian(half)) if np.isfinite(half).any() else np.nan
    return (
        Cell(wording.number(found.mean[low]), below=_where(runs, low)),
        Cell(wording.number(found.mean[high]), below=_where(runs, high)),
        Cell(wording.number(np.nanmean(final))),
        Cell(_error(typical) or wording.NOTHING), Cell(z), doubts,
    )  # fmt: skip


def _where(runs: Runs, number: int) -> str:
    said = (f"{name} {wording.value(value)}" for name, value in zip(runs.names, runs.values[number], strict=True))
    return wording.cut(", ".join(said), 80)


def _reading_of_runs(data: xr.Dataset, name: str, final: Array) -> tuple[str, Reading | None]:
    if f"{name}{contents.NULL_MEAN}" not in data.variables:
        return wording.NOTHING, None
    null = last_values(data, f"{name}{contents.NULL_MEAN}")
    spread = last_values(data, f"{name}{contents.NULL_SD}")
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.where(spread > 0, (final - null) / spread, np.nan)
    known = z[np.isfinite(z)]
    if not len(known):
        reading, middle = "no run has a null with a spread", wording.NOTHING
    else:
        above, below = float(np.mean(known > BEYOND_CHANCE)), float(np.mean(known < -BEYOND_CHANCE))
        sides = [f"in {wording.share(share)} {side}" for share, side in ((above, "above"), (below, "below")) if share]
        reading = f"{' and '.join(sides)} what chance gives" if sides else "as chance gives in all runs"
        middle = wording.number(np.median(known), 3)
    return middle, Reading(
        name, label_of(data, name), _unit(data, name), _middle(final), "", _middle(null), "", middle, reading,
        _words(data, name),
    )  # fmt: skip


def _middle(values: Array) -> str:
    known = values[np.isfinite(values)]
    return wording.number(np.median(known)) if len(known) else wording.NOTHING


def _unsteady(data: xr.Dataset, names: Sequence[str], runs: Runs) -> dict[str, str]:
    """Return the observables that do not settle in most runs of some point, at how many, and where it is worst.

    Runs that ended by themselves, as in a state that nothing leaves, and those of fewer than 20 records are not judged.
    Where no point has two runs, all are judged together.
    """
    along = [name for name in names if contents.TIME in data[name].dims]
    if not along or data.sizes[contents.TIME] < FEWEST:
        return {}
    places = np.where(_ended_by_itself(data)[runs.places], -1, runs.places)
    looked_at, sampled = _few_of_each_point(places, max(1, MOST_SERIES // len(along)))
    together = runs.places.shape[1] < 2
    if together:
        looked_at = looked_at.reshape(1, -1)
    found = {}
    for name in along:
        wanted = np.unique(looked_at[looked_at >= 0])
        reasons = dict(zip(wanted.tolist(), _judged_runs(data, name, wanted), strict=True))
        known = [[reasons[one] for one in row if one >= 0 and reasons[one] != TOO_FEW] for row in looked_at.tolist()]
        refused = np.array([sum(bool(reason) for reason in row) for row in known])
        judged = np.array([len(row) for row in known])
        bad = (refused > judged / 2) & (refused >= 2)
        if not bad.any():
            continue
        worst = int(np.argmax(np.where(bad, refused / np.maximum(judged, 1), -1.0)))
        count = f"{refused[worst]} of {wording.counted(int(judged[worst]), 'run')} did not"
        why = max((reason for reason in known[worst] if reason), key=known[worst].count)
        if together:
            found[name] = f"{count}, one run at each point ({why})"
        else:
            points = int((looked_at >= 0).any(axis=1).sum())
            where = f"worst at {_where(runs, worst)}: {count}" if len(bad) > 1 else count
            found[name] = f"at {bad.sum():,} of {wording.counted(points, 'point')}, {where} ({why})"
        found[name] += sampled
    return found


def _ended_by_itself(data: xr.Dataset) -> NDArray[np.bool_]:
    """Return which runs came to an end before their last step, shape (runs,)."""
    steps = contents.attributes_of(data).get("steps")
    name = "run_stopped_at" if "run_stopped_at" in data.variables else "stopped_at"
    dims = _dims_of_runs(data)
    if not isinstance(steps, int) or name not in data.variables or set(data[name].dims) != {*dims}:
        return np.zeros(data["status"].size, bool)
    return np.asarray(data[name].transpose(*dims).values < steps).reshape(-1)


def _few_of_each_point(places: NDArray[np.int64], most: int) -> tuple[NDArray[np.int64], str]:
    """Return at most so many runs, -1 for none, the same number of each point, and what that leaves out."""
    if (places >= 0).sum() <= most:
        return places, ""
    points, replicates = places.shape
    each = min(replicates, max(most // points, FEWEST_OF_A_POINT))
    kept = np.sort(-places, axis=1)[:, :each] * -1
    chosen = np.unique(np.linspace(0, points - 1, min(points, max(1, most // each))).astype(int))
    few = np.full_like(kept, -1)
    few[chosen] = kept[chosen]
    what = f"{each} runs of each" if each < replicates else "all runs"
    where = f" of {len(chosen):,} of the points" if len(chosen) < points else " point" if each < replicates else ""
    return few, f"; looked at were {what}{where}"


def _judged_runs(data: xr.Dataset, name: str, wanted: NDArray[np.int64]) -> list[str]:
    """Return of each of the runs, in order, why it is not stationary; empty for those that are."""
    found: list[str] = []
    start = 0
    for block in _blocks(data[name].transpose(*_dims_of_runs(data), contents.TIME)):
        mine = wanted[(wanted >= start) & (wanted < start + len(block))] - start
        found += ["" if one.holds else one.reason for one in map(stationarity, block[mine])]
        start += len(block)
    return found


def _points(data: xr.Dataset, runs: Runs, finals: dict[str, Array]) -> Points:
    names = list(finals)[:MOST_COLUMNS]
    found = {name: student(finals[name], LEVEL) for name in names}
    done = runs.by_point((np.asarray(_status(data)) == 0).astype(np.float64))
    rows = []
    for number in range(min(len(runs.values), MOST_POINTS)):
        cells = []
        for name in names:
            one = found[name]
            cells.append((wording.number(one.mean[number]), _error(float(one.high[number] - one.mean[number]))))
        finished, asked = int(np.nansum(done[number])), int(np.isfinite(done[number]).sum())
        counted = str(finished) if finished == asked else f"{finished} of {asked}"
        rows.append(Point(tuple(map(wording.value, runs.values[number])), counted, tuple(cells)))
    note = f"Means over replicates ± half of the {LEVEL:.0%} interval, at the last record. ".replace("%", " %")
    note += f"Of {wording.counted(len(runs.values), 'point')}, about one in twenty has its true mean outside."
    if len(runs.values) > MOST_POINTS:
        note += f" The first {MOST_POINTS} points are shown; the Dataset has all."
    if len(finals) > MOST_COLUMNS:
        note += f" The first {MOST_COLUMNS} of {len(finals)} observables are shown."
    swept = tuple(_parameter(data, name) for name in runs.names)
    return Points(swept, tuple(name.replace("_", " ") for name in names), tuple(rows), note)


def _status(data: xr.Dataset) -> NDArray[Any]:
    return np.asarray(data["status"].transpose(*_dims_of_runs(data)).values).reshape(-1)


def _parameter(data: xr.Dataset, name: str) -> str:
    unit = wording.unit(str(data[name].attrs.get("units", "")))
    return f"{name} ({unit})" if unit else name
