"""Start states given by the user: arrays, a Dataset, or a run file to begin from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.compile.state import State
from simengine.errors import InputError, nearest
from simengine.scenario.population import Population
from simengine.scenario.scenario import Scenario


@dataclass
class Start:
    """Arrays by population and field, and the parameters that a run file brings along."""

    arrays: dict[str, dict[str, NDArray[Any]]] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    label: str = "scenario"


def main_population(scenario: type[Scenario]) -> Population:
    """The population whose fields go without a prefix in files and start states: ``agents``, else the first."""
    populations = scenario.declaration.populations
    return populations.get("agents") or next(iter(populations.values()))


def variable_name(scenario: type[Scenario], population: Population, field_name: str) -> str:
    """The name of a field in files: ``position``, or ``prey_position`` for another population than the main one."""
    return field_name if population is main_population(scenario) else f"{population.name}_{field_name}"


def read(scenario: type[Scenario], start: Any) -> Start:
    """Understand what the user gave as ``start``."""
    if start is None:
        return Start()
    if isinstance(start, str | Path):
        from simengine.store.reading import open_run

        dataset = open_run(start)
        return _from_dataset(scenario, dataset, f"file {Path(start).name}")
    if hasattr(start, "data_vars"):
        return _from_dataset(scenario, start, "dataset")
    if isinstance(start, Mapping):
        return _from_mapping(scenario, start)
    raise InputError(f"start is a dict of arrays, a Dataset or a run file's path, not {type(start).__name__}")


def _from_mapping(scenario: type[Scenario], given: Mapping[str, Any]) -> Start:
    found = Start(label="arrays")
    populations = scenario.declaration.populations
    known = {
        variable_name(scenario, population, name): (population, name)
        for population in populations.values()
        for name in population.fields
    }
    for key, value in given.items():
        if key in populations and isinstance(value, Mapping):
            for name, array in value.items():
                if name not in populations[key].fields:
                    raise InputError(f"start: population {key} has no field {name!r}{nearest(name, populations[key].fields)}")
                found.arrays.setdefault(key, {})[name] = np.asarray(array)
        elif key in known:
            population, name = known[key]
            found.arrays.setdefault(population.name, {})[name] = np.asarray(value)
        else:
            hint = nearest(key, known) or f"; fields: {', '.join(known)}"
            raise InputError(f"start: unknown field {key!r}{hint}")
    return found


def _from_dataset(scenario: type[Scenario], dataset: Any, label: str) -> Start:
    found = Start(label=label)
    for population in scenario.declaration.populations.values():
        ids: NDArray[Any] | None = None
        for name in population.fields:
            variable = variable_name(scenario, population, name)
            if variable not in dataset:
                continue
            values = dataset[variable]
            if "snapshot_time" in values.dims:
                values = values.isel(snapshot_time=-1)
            if ids is None:
                ids = values.notnull().any([d for d in values.dims if d != population.dim]).values
            found.arrays.setdefault(population.name, {})[name] = np.asarray(values.values)[ids]
    if not found.arrays:
        raise InputError(f"start: the {label} holds no snapshot of any field of {scenario.__name__}; record it with snapshot_every")
    known = scenario.declaration.parameters.parameters
    prefix = "parameter_"
    from simengine.store.attributes import decode

    for key, value in dataset.attrs.items():
        if key.startswith(prefix) and key.removeprefix(prefix) in known:
            found.parameters[key.removeprefix(prefix)] = decode(value)
    return found


def implied(scenario: type[Scenario], start: Start) -> dict[str, Any]:
    """The parameters a start state brings: those of its file, and population sizes."""
    values = dict(start.parameters)
    for name, arrays in start.arrays.items():
        population = scenario.declaration.populations[name]
        lengths = {field_name: len(np.atleast_1d(array)) for field_name, array in arrays.items()}
        if len(set(lengths.values())) > 1:
            text = ", ".join(f"{field_name}: {length}" for field_name, length in lengths.items())
            raise InputError(f"start: the fields of {name} have different numbers of agents ({text})")
        if isinstance(population.size, str):
            values[population.size] = next(iter(lengths.values()))
    return values


def apply(scenario: Scenario, state: State, start: Start) -> None:
    """Write the given arrays over the scenario's own start."""
    for name, arrays in start.arrays.items():
        population = state[name]
        for field_name, array in arrays.items():
            declared = population.population.fields[field_name]
            living = population.living
            shape = (living, declared.components) if declared.components else (living,)
            if array.shape != shape:
                raise InputError(f"start: {name}.{field_name} has shape {array.shape}, expected {shape}")
            if array.dtype.kind not in "biuf":
                raise InputError(f"start: {name}.{field_name} is not numeric (dtype {array.dtype})")
            if declared.dtype is not float and array.dtype.kind == "f" and not (np.isfinite(array) & (array == np.floor(array))).all():
                raise InputError(f"start: {name}.{field_name} holds {declared.dtype.__name__} values")
            population.fields[field_name][:, :living] = array.T if declared.components else array
