"""Start states given by the user: arrays, a Dataset, or a run file to begin from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.compile.emit import is_reference
from simengine.compile.state import State
from simengine.errors import InputError, StoreError, nearest
from simengine.relations.edges import Edges, read_edges
from simengine.relations.graph_files import SUFFIXES
from simengine.relations.network import Network
from simengine.scenario.parameters import shown
from simengine.scenario.population import NOBODY, Field, Population
from simengine.scenario.scenario import Scenario


@dataclass
class Start:
    """Arrays by population and field, edges by network, and the parameters that a run file brings along."""

    arrays: dict[str, dict[str, NDArray[Any]]] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    label: str = "scenario"
    edges: dict[str, Edges] = field(default_factory=dict)


def main_population(scenario: type[Scenario]) -> Population:
    """Return the population whose fields need no prefix in files and start states: ``agents``, else the first."""
    populations = scenario.declaration.populations
    return populations.get("agents") or next(iter(populations.values()))


def variable_name(scenario: type[Scenario], population: Population, field_name: str) -> str:
    """Return the name of a field in files: ``position``, or ``prey_position`` where it is not the main population's.

    The population's name also stands before a field that is called like a dimension, as ``village`` of those who live
    in ``villages``.
    """
    taken = {"time", "step", "snapshot_time", "snapshot_step"} | {
        p.dim for p in scenario.declaration.populations.values()
    }
    main = population is main_population(scenario) and field_name not in taken
    return field_name if main else f"{population.name}_{field_name}"


def read(scenario: type[Scenario], start: Any) -> Start:
    """Understand what the user gave as ``start``; ``InputError`` when it cannot be one."""
    if start is None:
        return Start()
    if isinstance(start, Start):
        return start
    if isinstance(start, str | Path):
        return _from_path(scenario, Path(start))
    if hasattr(start, "data_vars"):
        return _from_dataset(scenario, start, "dataset")
    if isinstance(start, Mapping):
        return _from_mapping(scenario, start)
    raise InputError(
        f"start is a dict of arrays and graphs, a Dataset or a run file's path, not {type(start).__name__}"
    )


def _from_path(scenario: type[Scenario], path: Path) -> Start:
    """A run file, or a network's edges as ``acquaintances=karate.graphml``, in the folder where the text stands."""
    networks = network_names(scenario)
    place, given, file = str(path).partition("=")
    name = Path(place).name
    if given and name in networks:
        return _from_mapping(scenario, {name: Path(place).parent / file})
    if given and place.isidentifier() and not path.exists():
        hint = nearest(place, networks) or f"; networks: {', '.join(networks) or 'none'}"
        raise InputError(f"start: {scenario.__name__} has no network {place!r}{hint}")
    if path.suffix != ".nc" and path.name.removesuffix(".gz").endswith(SUFFIXES):
        known = ", ".join(f"{name}={path.name}" for name in networks) or "this scenario has none"
        raise InputError(f"start: the graph {path.name} is for a network: {known}")
    return _from_file(scenario, path)


def _from_file(scenario: type[Scenario], path: Path) -> Start:
    from simengine.store.reading import open_run

    try:
        with open_run(path) as dataset:
            return _from_dataset(scenario, dataset, f"file {path.name}")
    except StoreError as error:
        raise InputError(f"start: {error}") from None


def _from_mapping(scenario: type[Scenario], given: Mapping[str, Any]) -> Start:
    found = Start(label="arrays")
    populations = scenario.declaration.populations
    networks = network_names(scenario)
    known = {
        variable_name(scenario, population, name): (population, name)
        for population in populations.values()
        for name in population.fields
    }
    for key, value in given.items():
        if key in populations and isinstance(value, Mapping):
            for name in value:
                if name not in populations[key].fields:
                    fields = populations[key].fields
                    hint = nearest(str(name), fields) or f"; fields: {', '.join(fields)}"
                    raise InputError(f"start: population {key} has no field {name!r}{hint}")
                found.arrays.setdefault(key, {})[name] = _array(value, name, f"{key}.{name}")
        elif key in known:
            population, name = known[key]
            found.arrays.setdefault(population.name, {})[name] = _array(given, key, f"{population.name}.{name}")
        elif key in networks:
            found.edges[key] = read_edges(value, networks[key], f"start: {key}")
        elif key in populations:
            raise InputError(f"start: population {key!r} takes a dict of arrays by field, not {shown(value)}")
        else:
            hint = nearest(str(key), [*known, *networks]) or f"; fields: {', '.join([*known, *networks])}"
            raise InputError(f"start: unknown field {key!r}{hint}")
    return found


def network_names(scenario: type[Scenario]) -> dict[str, Network]:
    """Return the networks of a scenario, by name."""
    return {name: r for name, r in scenario.declaration.relations.items() if isinstance(r, Network)}


def _array(given: Mapping[str, Any], key: str, what: str) -> NDArray[Any]:
    value = given[key]
    if np.ma.is_masked(value):
        raise InputError(f"start: {what} has masked values; give one for every agent")
    try:
        return np.asarray(value)
    except (ValueError, TypeError) as error:
        raise InputError(f"start: {what} is no array: {' '.join(str(error).split())}") from None


def _from_dataset(scenario: type[Scenario], dataset: Any, label: str) -> Start:
    found = Start(label=label)
    populations = scenario.declaration.populations
    identities: dict[str, NDArray[Any]] = {}
    for population in populations.values():
        variables = {name: variable_name(scenario, population, name) for name in population.fields}
        present = {name: _last_moment(dataset[variable]) for name, variable in variables.items() if variable in dataset}
        if not present:
            continue
        living: Any = slice(None)
        if f"{population.dim}_id" in dataset:
            ids = np.asarray(_last_moment(dataset[f"{population.dim}_id"]).values)
            if ids.ndim != 1:
                raise InputError(f"start: {population.dim}_id of the {label} has no dimension {population.dim!r}")
            living = np.flatnonzero(ids >= 0)
            identities[population.name] = ids[living]
        for name, values in present.items():
            if values.dims[:1] != (population.dim,):
                raise InputError(f"start: {variables[name]} of the {label} has no dimension {population.dim!r}")
            found.arrays.setdefault(population.name, {})[name] = np.asarray(values.values)[living]
    if not found.arrays:
        missing = f"no snapshot of any field of {scenario.__name__}"
        raise InputError(f"start: the {label} holds {missing}; record it with snapshot_every")
    _renumber(scenario, found, identities)
    known = scenario.declaration.parameters.parameters
    prefix = "parameter_"
    from simengine.store.attributes import decode

    for key, value in dataset.attrs.items():
        if key.startswith(prefix) and key.removeprefix(prefix) in known:
            found.parameters[key.removeprefix(prefix)] = decode(value)
    return found


def _last_moment(values: Any) -> Any:
    if "snapshot_time" not in values.dims:
        return values
    if not values.sizes["snapshot_time"]:
        raise InputError(f"start: no snapshot of {values.name} was recorded")
    return values.isel(snapshot_time=-1)


def _renumber(scenario: type[Scenario], found: Start, identities: Mapping[str, NDArray[Any]]) -> None:
    """Let references name agents by the ids of the new run, 0 to n - 1; those to the dead become nobody."""
    for name, arrays in found.arrays.items():
        population = scenario.declaration.populations[name]
        for field_name, values in arrays.items():
            declared = population.fields[field_name]
            if not is_reference(declared):
                continue
            known = identities.get((declared.reference or population).name)
            if known is not None and values.dtype.kind in "iu":
                rank = np.minimum(np.searchsorted(known, values), max(len(known) - 1, 0))
                alive = known[rank] == values if len(known) else np.zeros(values.shape, bool)
                arrays[field_name] = np.where(alive, rank, NOBODY)


def implied(scenario: type[Scenario], start: Start) -> dict[str, Any]:
    """Return the parameters a start state brings: those of its file, and population sizes."""
    values = dict(start.parameters)
    for name, arrays in start.arrays.items():
        population = scenario.declaration.populations[name]
        lengths = {field_name: len(np.atleast_1d(array)) for field_name, array in arrays.items()}
        if len(set(lengths.values())) > 1:
            text = ", ".join(f"{field_name}: {length}" for field_name, length in lengths.items())
            raise InputError(f"start: the fields of {name} have different numbers of agents ({text})")
        if isinstance(population.size, str):
            values[population.size] = next(iter(lengths.values()))
    for name, edges in start.edges.items():
        size = network_names(scenario)[name].source.size
        if edges.nodes is not None and isinstance(size, str):
            values.setdefault(size, edges.nodes)
    return values


def check_sizes(scenario: Scenario) -> None:
    """Refuse populations that are negative, larger than their capacity, or larger than the machine's memory."""
    for name, population in scenario.declaration.populations.items():
        size, capacity = (
            scenario.size_of(population, scenario.values),
            scenario.capacity_of(population, scenario.values),
        )
        what = f"{name}: {population.size} =" if isinstance(population.size, str) else f"{name}:"
        if size < 0:
            raise InputError(f"{what} {size} is no number of agents")
        if size > capacity:
            raise InputError(f"{what} {size} agents do not fit into the capacity of {capacity}")
        rows = sum(field.rows for field in population.fields.values()) + 2
        needed, present = 8 * rows * capacity, memory()
        if present and needed > present:
            raise InputError(
                f"{what} {capacity} agents take at least {needed / 2**30:.3g} GiB; "
                f"this machine has {present / 2**30:.3g} GiB"
            )


def memory() -> int:
    """Return the machine's memory in bytes, 0 where it is not known."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 0


def apply(scenario: Scenario, state: State, start: Start) -> None:
    """Write the given arrays over the scenario's own start."""
    for name, arrays in start.arrays.items():
        population = state[name]
        for field_name, array in arrays.items():
            declared = population.population.fields[field_name]
            what = f"start: {name}.{field_name}"
            living = population.living
            shape = (living, declared.components) if declared.components else (living,)
            if array.shape != shape:
                raise InputError(f"{what} has shape {array.shape}, expected {shape}")
            _check_values(array, declared, what)
            if is_reference(declared):
                target = state[(declared.reference or population.population).name]
                unknown = np.flatnonzero((array != NOBODY) & ~np.isin(array, target.living_ids()))
                if unknown.size:
                    agent, wrong = unknown[0], array[unknown[0]]
                    name_of_target = target.population.name
                    raise InputError(
                        f"{what} of agent {agent} is {wrong}, which is no id of {name_of_target} (nobody is -1)"
                    )
            population.fields[field_name][:, :living] = array.T if declared.components else array


def _check_values(array: NDArray[Any], declared: Field, what: str) -> None:
    if array.dtype.kind not in "biuf":
        raise InputError(f"{what} is not numeric (dtype {array.dtype})")
    if declared.dtype is float:
        return
    boolean = declared.dtype is bool
    kind = "booleans (0 or 1)" if boolean else "64-bit whole numbers"
    low, past = (0, 2) if boolean else (-(2.0**63), 2.0**63)
    fits = np.isfinite(array) & (array >= low) & (array < past)
    bad = np.argwhere(~(fits & (array == np.floor(array)) if array.dtype.kind == "f" else fits))
    if len(bad):
        raise InputError(f"{what} of agent {bad[0][0]} is {array[tuple(bad[0])]}; it holds {kind}")
