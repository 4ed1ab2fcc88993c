"""A table as it is written: columns that say what they are, and rows that come in batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from simengine.analysis.contents import (
    OF_RUNS,
    REPLICATE,
    RUN,
    SNAPSHOT_TIME,
    TIME,
    attributes_of,
    is_companion,
    is_sweep,
    snapshots,
    swept,
)
from simengine.errors import InputError, nearest
from simengine.store.layout import STEP_OF

BATCH_ROWS = 1 << 17
BATCH_BYTES = 1 << 24
"""Of the values of one batch."""

STATUSES = "done failed missing"
"""What the numbers of ``status`` mean where calculations have dropped its attributes."""

TIME_STEP = "time_step"

AXES = ("axis", "axis_")
"""Dimensions of a vector's components, which become columns: ``position_x`` ..."""

Kind = Literal["float", "integer", "unsigned", "boolean", "text"]
"""``"unsigned"``: whole numbers that need all 64 bits, such as seeds."""

Batch = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Column:
    """A column: what it holds, and the attributes (``units``, ``long_name``, ...) that say what it means.

    Integers and texts may have missing values: NaN, and ``None``.
    """

    name: str
    kind: Kind
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """Columns, what is said of all of them, and a function that gives the rows anew, batch by batch."""

    columns: tuple[Column, ...]
    attributes: Mapping[str, Any]
    rows: Callable[[], Iterator[Batch]]
    left_out: tuple[str, ...] = ()


def observables_table(data: xr.Dataset, names: Sequence[str] | None = None) -> Table:
    """Return a table of what was recorded along time: a row for each time, and for each run of a sweep.

    Without ``names`` it has the observables of a single number with what stands beside them; others are told by
    `Table.left_out`. With ``names`` rows go over all dimensions of these.
    """
    there = [str(name) for name in data.data_vars if _is_series(data, str(name))]
    if not there:
        raise InputError("there are no observables in this Dataset")
    frame = {*_of_runs(data), TIME}
    chosen = _chosen(data, names, there, lambda name: {*map(str, data[name].dims)} <= frame, "observable")
    if names is not None:
        chosen = [*chosen, *(n for n in there if _base(data, n) in chosen and n not in chosen)]
    return _table(data, [name for name in there if name in chosen], _of_runs(data), (TIME,), there)


def snapshots_table(data: xr.Dataset, names: Sequence[str] | None = None) -> Table:
    """Return a table of the agents at the snapshots: a row for each agent and time, components of vectors as columns.

    Without ``names`` it has the fields of the first population; those of others are told by `Table.left_out`. Of a
    population with births and deaths the living have rows.
    """
    there = snapshots(data)
    if not there:
        raise InputError("there are no snapshots in this Dataset; record them with snapshot_every= (--snapshot-every)")
    first = _agents(data, there[0])
    chosen = _chosen(data, names, there, lambda name: _agents(data, name) == first, "snapshot variable")
    populations = {_agents(data, name) for name in chosen}
    if len(populations) > 1:
        listed = ", ".join(sorted(" ".join(dims) or "no dimension" for dims in populations))
        raise InputError(f"names: snapshots of one population make a table, these are of several: {listed}")
    dims = next(iter(populations))
    living = next((f"{dim}_id" for dim in dims if f"{dim}_id" in data.variables), None)
    if living is not None and living not in chosen:
        chosen = [*chosen, living]
    return _table(
        data, [n for n in there if n in chosen], _of_runs(data), (SNAPSHOT_TIME, *dims), there, living,
    )  # fmt: skip


def _is_series(data: xr.Dataset, name: str) -> bool:
    variable = data[name]
    along = TIME in variable.dims or (is_sweep(data) and SNAPSHOT_TIME not in variable.dims)
    return name not in OF_RUNS and along and variable.dtype.kind in "fiubOUT"


def _base(data: xr.Dataset, name: str) -> str:
    """The observable beside which a variable stands, itself for any other."""
    if not is_companion(data, name):
        return name
    return max((str(one) for one in data.data_vars if name.startswith(f"{one}_")), key=len, default=name)


def _of_runs(data: xr.Dataset) -> tuple[str, ...]:
    return tuple(map(str, data["status"].dims)) if is_sweep(data) else ()


def _agents(data: xr.Dataset, name: str) -> tuple[str, ...]:
    return tuple(
        str(dim) for dim in data[name].dims if dim not in (SNAPSHOT_TIME, *_of_runs(data)) and not _is_axis(str(dim))
    )


def _is_axis(dim: str) -> bool:
    return dim == AXES[0] or (dim.startswith(AXES[1]) and dim.removeprefix(AXES[1]).isdecimal())


def _chosen(
    data: xr.Dataset, names: Sequence[str] | None, there: Sequence[str], fits: Callable[[str], bool], what: str
) -> list[str]:
    if names is None:
        return [name for name in there if fits(name)] or [
            name for name in there if data[name].dims == data[there[0]].dims
        ]
    for name in names:
        if name not in there:
            raise InputError(f"names: there is no {what} {name!r}{nearest(name, there)}")
    return list(dict.fromkeys(names))


# -- rows -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Source:
    """A column's values: those of a variable, at one place along the dimensions of its components."""

    column: Column
    variable: xr.DataArray
    where: Mapping[str, int]


def _table(
    data: xr.Dataset, chosen: Sequence[str], of_runs: Sequence[str], along: Sequence[str], there: Sequence[str],
    living: str | None = None,
) -> Table:  # fmt: skip
    inner = [str(dim) for name in chosen for dim in data[name].dims if not _is_axis(str(dim))]
    dims = [dim for dim in dict.fromkeys((*of_runs, *along, *inner)) if dim in inner or dim in of_runs]
    keys = [*_run_columns(data, of_runs), *_axis_columns(data, dims, of_runs)]
    sources = [*keys, *(source for name in chosen for source in _sources(data, name))]
    width = max(sum(source.variable.dtype.itemsize for source in sources), 1)
    rows = max(1, min(BATCH_ROWS, BATCH_BYTES // width))

    def batches() -> Iterator[Batch]:
        for block in blocks([data.sizes[dim] for dim in dims], rows):
            where = dict(zip(dims, block, strict=True))
            # The components of a vector lie together in the file: they are read at once.
            read: dict[str, NDArray[Any]] = {}
            batch = {source.column.name: _values(source, dims, where, read) for source in sources}
            yield batch if living is None else _of_living(batch, living)

    left_out = tuple(name for name in there if name not in chosen)
    return Table(tuple(source.column for source in sources), attributes_of(data), batches, left_out)


def blocks(shape: Sequence[int], most: int) -> Iterator[tuple[slice, ...]]:
    """Yield parts of an array, in the order of its elements, each with at most so many (one at least)."""
    axis, inner = len(shape), 1
    while axis > 0 and inner * shape[axis - 1] <= most:
        axis -= 1
        inner *= shape[axis]
    rest = tuple(slice(0, length) for length in shape[axis:])
    if axis == 0:
        if inner:
            yield rest
        return
    step = max(1, most // max(inner, 1))
    for outer in product(*(range(length) for length in shape[: axis - 1])):
        for first in range(0, shape[axis - 1], step):
            span = slice(first, min(first + step, shape[axis - 1]))
            yield (*(slice(place, place + 1) for place in outer), span, *rest)


def _run_columns(data: xr.Dataset, of_runs: Sequence[str]) -> Iterable[_Source]:
    if not of_runs:
        return
    for name in (RUN, *swept(data), "point", REPLICATE):
        if name in data.variables:
            yield from _sources(data, name)
    yield from _sources(data, "seed")
    yield _in_words(data["status"])


def _axis_columns(data: xr.Dataset, dims: Sequence[str], of_runs: Sequence[str]) -> Iterable[_Source]:
    for dim in dims:
        if dim in of_runs:
            continue
        step = STEP_OF.get(dim)
        if step is not None and step in data.variables:
            yield from _sources(data, step)
        if dim in data.variables:
            yield from _sources(data, dim)
        elif dim == TIME and TIME_STEP in data.variables and step in data.variables:
            # Runs whose steps are of different length have each times of their own.
            own = data[step] * data[TIME_STEP]
            said = {"long_name": "simulated time", "units": str(data[TIME_STEP].attrs.get("units", "1"))}
            yield _Source(Column(TIME, "float", said), own.rename(TIME), {})
        else:
            said = {"long_name": f"number of the {dim}"}
            numbers = xr.DataArray(np.arange(data.sizes[dim]), dims=dim, name=dim, attrs=said)
            yield _Source(Column(dim, "integer", numbers.attrs), numbers, {})


def _sources(data: xr.Dataset, name: str) -> Iterable[_Source]:
    # A run's own time and that of its snapshots are never in one table.
    called = {SNAPSHOT_TIME: TIME, STEP_OF[SNAPSHOT_TIME]: STEP_OF[TIME]}.get(name, name)
    variable = data[name]
    given = {str(key): value for key, value in variable.attrs.items() if key not in ("ancillary_variables",)}
    axes = [str(dim) for dim in variable.dims if _is_axis(str(dim))]
    for places in product(*(range(data.sizes[dim]) for dim in axes)):
        where = dict(zip(axes, places, strict=True))
        labels = [str(data[dim].values[at]) if dim in data.variables else str(at) for dim, at in where.items()]
        yield _Source(Column("_".join([called, *labels]), kind_of(variable), given), variable, where)


def _in_words(variable: xr.DataArray) -> _Source:
    """The words for flags that exclude one another."""
    words = np.array(str(variable.attrs.get("flag_meanings", STATUSES)).split(), object)
    attributes = {"long_name": variable.attrs.get("long_name", str(variable.name))}
    column = Column(str(variable.name), "text", attributes)
    return _Source(column, variable.copy(data=words[variable.values]), {})


def kind_of(variable: xr.DataArray) -> Kind:
    """Return what a variable holds; integers with missing values are integers, flags "false true" booleans."""
    if variable.dtype.kind == "b" or variable.attrs.get("flag_meanings") == "false true":
        return "boolean"
    stored = variable.encoding.get("dtype", variable.dtype)
    for dtype in (variable.dtype, np.dtype(stored)):
        if dtype.kind in "iu":
            return "unsigned" if dtype == np.uint64 else "integer"
    return "float" if variable.dtype.kind == "f" else "text"


def _values(
    source: _Source, dims: Sequence[str], where: Mapping[str, slice], read: dict[str, NDArray[Any]]
) -> NDArray[Any]:
    """The values of a column for a block of rows, in the order of the rows; shape (rows,).

    ``read`` keeps what was read of each variable for this block.
    """
    variable, name = source.variable, str(source.variable.name)
    here = {dim: span for dim, span in where.items() if dim in variable.dims}
    if name not in read:
        read[name] = variable.isel(here).transpose(*here, *source.where).values
    component: tuple[Any, ...] = (..., *source.where.values())
    values = read[name][component]
    lengths = [span.stop - span.start for span in where.values()]
    shape = [length if dim in here else 1 for dim, length in zip(dims, lengths, strict=True)]
    return np.ascontiguousarray(np.broadcast_to(values.reshape(shape), lengths)).reshape(math.prod(lengths))


def _of_living(batch: Batch, name: str) -> Batch:
    kept = batch[name] >= 0
    return {column: values[kept] for column, values in batch.items()}
