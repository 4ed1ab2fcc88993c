"""Checkpoints as Datasets: the state of every agent after some steps, as snapshots of a run file show it.

No code of the run is executed: a scenario is asked for units and names only if it is installed or loaded already.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simengine.errors import InputError, StoreError
from simengine.runs.arguments import shown_path
from simengine.runs.definitions import installed
from simengine.runs.layout import AXES
from simengine.runs.recipe import PARAMETER
from simengine.runs.start import variable_name
from simengine.scenario.population import Population
from simengine.scenario.scenario import Scenario
from simengine.store.attributes import CONTENT_HASH, decode_attributes, encode_attributes
from simengine.store.checkpoints import CHECKPOINTS_SUFFIX, Checkpoint, checkpoint_files, read_checkpoint
from simengine.store.dataset import assemble
from simengine.store.files import PARTS_SUFFIX
from simengine.store.header import read_header
from simengine.store.layout import SNAPSHOT_TIME, STEP_OF, TIME, Layout, Variable

if TYPE_CHECKING:
    import xarray

Array = NDArray[Any]


@dataclass(frozen=True)
class _Origin:
    """What the run of some checkpoints says of itself: attributes, unit of time, and its scenario if at hand."""

    attributes: Mapping[str, Any]
    time_unit: str
    scenario: type[Scenario] | None


def open_checkpoints(path: Path) -> xarray.Dataset:
    """Return the states that a run kept, by default all of them, as one Dataset.

    Parameters
    ----------
    path
        The folder ``OUT.checkpoints``, or one of the npz files in it.

    Returns
    -------
    xarray.Dataset
        Every field along ``snapshot_time`` (a state each, the newest last; ``snapshot_step`` has the steps) and its
        population's dimension, as in a run file with snapshots, with units and long names. Of populations with births
        and deaths ``..._id`` says who stands in a row, -1 for nobody, and ``..._alive`` how many live. Edges of a
        network are ``NAME_source`` and ``NAME_target``, ids, along ``NAME_edge``. Attributes are those of the run:
        scenario, parameters (as they were at the last of the states), seed; and ``step``, that of the last state.

    Raises
    ------
    InputError
        When there is no checkpoint there.
    StoreError
        When the one that was named is damaged, or all of a folder are, or those of several runs lie in one folder.

    Warns
    -----
    UserWarning
        When some of a folder are damaged, with their names: the others are returned.
    """
    states = _states(path)
    folder = path if path.is_dir() else path.parent
    origin = _origin(folder, states[-1].run)
    layout, arrays, missing = _arranged(states, origin)
    return assemble(layout, arrays, missing, _attributes(states[-1], origin)).drop_dims(TIME)


def _states(path: Path) -> list[Checkpoint]:
    try:
        files = checkpoint_files(path) if path.is_dir() else [path] if path.exists() else None
    except StoreError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {shown_path(path)}: {getattr(error, 'strerror', None) or error}") from None
    if files is None:
        raise InputError(f"there is no checkpoint {shown_path(path)}")
    if not files:
        raise InputError(f"there is no checkpoint in {shown_path(path)}")
    states = _readable(files)
    if len({one.run for one in states}) > 1:
        raise StoreError(f"the checkpoints in {path} are of several runs; open one of the files")
    return states


def _readable(files: Sequence[Path]) -> list[Checkpoint]:
    """Return what can be read, with a warning of what cannot; ``StoreError`` where nothing can."""
    states, damaged = [], []
    for file in files:
        try:
            states.append(read_checkpoint(file))
        except StoreError:
            if len(files) == 1:
                raise
            # A run at work takes old ones away.
            if file.exists():
                damaged.append(file.name)
    if not states:
        raise StoreError(
            f"all checkpoints in {files[0].parent} are damaged, or of another format: {', '.join(damaged)}"
        )
    if damaged:
        warnings.warn(
            f"{files[0].parent}: {', '.join(damaged)} is damaged, or of another format, and left out", stacklevel=5
        )
    return states


def _origin(folder: Path, run: str) -> _Origin:
    """Return what is known of the run, from its unfinished or its finished file, whichever is there."""
    stem = folder.name.removesuffix(CHECKPOINTS_SUFFIX)
    if stem != folder.name:
        with suppress(StoreError, OSError):
            header = read_header(folder.with_name(stem + PARTS_SUFFIX))
            if str(header.volatile.get("run_id")) == run:
                return _told(header.global_attributes(), header.layout.time_unit)
        with suppress(StoreError, OSError):
            from simengine.store.reading import open_run

            with open_run(folder.with_name(stem)) as dataset:
                if str(dataset.attrs.get("run_id")) == run:
                    return _told(dataset.attrs, str(dataset["time"].attrs.get("units", "1")))
    return _Origin({}, "1", None)


def _told(attributes: Mapping[str, Any], time_unit: str) -> _Origin:
    found = decode_attributes(attributes)
    return _Origin(found, time_unit, _scenario(str(found.get("scenario")), str(found.get("scenario_module"))))


def _scenario(name: str, module: str) -> type[Scenario] | None:
    found: Any = None
    if module in sys.modules:
        found = getattr(sys.modules[module], name, None)
    elif installed(module):
        with suppress(ImportError, ValueError):
            found = getattr(importlib.import_module(module), name, None)
    return found if isinstance(found, type) and issubclass(found, Scenario) else None


def _attributes(state: Checkpoint, origin: _Origin) -> dict[str, Any]:
    found = {name: value for name, value in origin.attributes.items() if name != CONTENT_HASH}
    given = state.details.get("given") or {}
    found |= {f"{PARAMETER}{name}": value for name, value in given.items() if f"{PARAMETER}{name}" in found}
    found |= {"run_id": state.run, "step": state.step, "stop_reason": state.details.get("stop_reason")}
    found.pop("stopped_at", None)
    return encode_attributes(found)


def _arranged(states: Sequence[Checkpoint], origin: _Origin) -> tuple[Layout, dict[str, Array], set[str]]:
    dimensions: dict[str, int] = {}
    coordinates: dict[str, tuple[Array, Mapping[str, Any]]] = {}
    variables: list[Variable] = []
    steps = np.array([one.step for one in states], np.int64)
    arrays: dict[str, Array] = {
        STEP_OF[SNAPSHOT_TIME]: steps,
        SNAPSHOT_TIME: steps * float(origin.attributes.get("time_step", 1.0)),
    }
    missing: set[str] = set()

    def add(variable: Variable, rows: Sequence[Array]) -> None:
        if not variable.name.isidentifier() or any(variable.name == one.name for one in variables):
            return
        values, gaps = _padded(rows, dimensions[variable.dims[1]], variable.fill_value)
        variables.append(variable)
        arrays[variable.name] = values.astype(variable.storage_dtype)
        if gaps and variable.name not in ids:
            missing.add(variable.name)

    ids: set[str] = set()
    populations = _parts(states, "populations", ("ids",))
    names = _Names(origin.scenario, list(populations))
    for population, columns in populations.items():
        dim, declared = names.dim(population), names.declared(population)
        sizes = [len(rows) for rows in columns["ids"]]
        dimensions[dim] = max(sizes)
        dynamic = len(set(sizes)) > 1 if declared is None else declared.dynamic
        numbers = np.arange(max(sizes)) if dynamic or not sizes else np.asarray(columns["ids"][0])
        coordinates[dim] = (numbers, {"long_name": f"{dim} {'row' if dynamic else 'id'}", "units": "1"})
        if dynamic:
            ids.add(f"{dim}_id")
            words = f"{dim} id, -1 where nobody lives"
            fill = [np.append(rows, np.full(max(sizes) - len(rows), -1)) for rows in columns["ids"]]
            add(Variable(f"{dim}_id", (SNAPSHOT_TIME, dim), "int64", "1", words), fill)
            variables.append(
                Variable(f"{population}_alive", (SNAPSHOT_TIME,), "int64", "1", f"number of living {population}")
            )
            arrays[f"{population}_alive"] = np.array(sizes, np.int64)
        for field, rows in columns.items():
            if field == "ids" or (declared is not None and field not in declared.fields):
                continue
            dims = (SNAPSHOT_TIME, dim, *_axis(rows[0].shape[1:], dimensions, coordinates))
            kind = "bool" if rows[0].dtype.kind == "b" else str(rows[0].dtype)
            unit, long_name = names.words(population, field)
            add(Variable(names.variable(population, field), dims, kind, unit, long_name), rows)
    for network, columns in _parts(states, "relations", ("source", "target")).items():
        dimensions[f"{network}_edge"] = max(len(rows) for rows in columns["source"])
        for part, rows in columns.items():
            if any(len(row) != len(source) for row, source in zip(rows, columns["source"], strict=True)):
                continue
            kind = "bool" if rows[0].dtype.kind == "b" else str(rows[0].dtype)
            words = f"{part.replace('_', ' ')} of edges of {network.replace('_', ' ')}"
            add(Variable(f"{network}_{part}", (SNAPSHOT_TIME, f"{network}_edge"), kind, "1", words), rows)
    used = {dim for variable in variables for dim in variable.dims} | set(coordinates)
    dimensions = {name: length for name, length in dimensions.items() if name in used}
    return Layout(dimensions, coordinates, tuple(variables), origin.time_unit), arrays, missing


class _Names:
    """What populations and fields are called in files: as their scenario says, or plainly where that is not at hand."""

    def __init__(self, scenario: type[Scenario] | None, populations: Sequence[str]) -> None:
        declared = {} if scenario is None else scenario.declaration.populations
        known = set(populations) <= set(declared)
        self._scenario = scenario if known else None
        self._declared: Mapping[str, Population] = declared if known else {}
        self._order = populations

    def declared(self, population: str) -> Population | None:
        return self._declared.get(population)

    def dim(self, population: str) -> str:
        found = self._declared.get(population)
        return population if found is None else found.dim

    def variable(self, population: str, field: str) -> str:
        if self._scenario is not None:
            return variable_name(self._scenario, self._declared[population], field)
        plain = population == self._order[0] and field not in {*self._order, *STEP_OF, *STEP_OF.values()}
        return field if plain else f"{population}_{field}"

    def words(self, population: str, field: str) -> tuple[str, str]:
        found = self._declared.get(population)
        if found is None:
            return "1", field.replace("_", " ")
        declared = found.fields[field]
        return declared.unit, declared.long_name or field.replace("_", " ")


def _parts(states: Sequence[Checkpoint], what: str, needed: Iterable[str]) -> dict[str, dict[str, list[Array]]]:
    """Return arrays by owner and part, one for each state, of the owners that have all the parts needed."""
    found: dict[str, dict[str, list[Array]]] = {}
    for name in states[-1].arrays:
        kind, _, rest = name.partition("/")
        owner, _, part = rest.partition("/")
        if kind == what and part and "/" not in part and all(name in one.arrays for one in states):
            found.setdefault(owner, {})[part] = [np.asarray(one.arrays[name]) for one in states]
    return {owner: parts for owner, parts in found.items() if set(needed) <= set(parts)}


def _padded(rows: Sequence[Array], length: int, fill: Any) -> tuple[Array, bool]:
    """Return arrays of different lengths as one, and whether some had to be filled up."""
    kind = np.int8 if rows[0].dtype.kind == "b" else rows[0].dtype
    found = np.full((len(rows), length, *rows[0].shape[1:]), fill, kind)
    for number, row in enumerate(rows):
        found[number, : len(row)] = row
    return found, any(len(row) < length for row in rows)


def _axis(
    shape: tuple[int, ...], dimensions: dict[str, int], coordinates: dict[str, tuple[Array, Mapping[str, Any]]]
) -> tuple[str, ...]:
    """Return the dimension of a field's components, declared where there are any."""
    if not shape:
        return ()
    axis = "axis" if shape[0] == 3 else f"axis_{shape[0]}"
    dimensions[axis] = shape[0]
    if shape[0] <= len(AXES):
        coordinates[axis] = (np.array(AXES[: shape[0]]), {"long_name": "axis of space"})
    return (axis,)
