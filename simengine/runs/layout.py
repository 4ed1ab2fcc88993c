"""What a run's file will hold, from the scenario's declarations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.policies.answers import Policy
from simengine.policies.reports import LATEST, MEANS, PROVENANCES, SERIES, reporting, variable
from simengine.relations.edges import Edges, read_edges
from simengine.runs.start import Start, network_names, variable_name
from simengine.scenario.observables import Output
from simengine.scenario.population import Field, Population
from simengine.scenario.scenario import Scenario
from simengine.store.layout import Layout, Variable

AXES = ("x", "y", "z")
DTYPES = {float: "float64", int: "int64", bool: "bool"}


def layout_of(
    scenario: Scenario, snapshots: bool, start: Start, policies: Mapping[str, tuple[Policy, ...]] = {}
) -> Layout:
    """Everything the run's file will hold: time series, snapshots of agents, and a start state that was given."""
    outputs = [output for strided in scenario.recorded for output in strided.observable.outputs]
    variables = [variable for output in outputs for variable in series(output)]
    spanned = {dim for output in outputs for dim in output.dims}
    dimensions: dict[str, int] = {}
    coordinates: dict[str, tuple[NDArray[Any], Mapping[str, Any]]] = {}
    for name, population in scenario.declaration.populations.items():
        capacity = scenario.capacity_of(population, scenario.values)
        if population.dynamic:
            variables.append(living(name))
        if snapshots or population.dim in spanned:
            dimensions[population.dim] = capacity
            label = "row" if population.dynamic else "id"
            coordinates[population.dim] = (
                np.arange(capacity),
                {"long_name": f"{population.dim} {label}", "units": "1"},
            )
        if snapshots:
            variables += _snapshots(type(scenario), population, dimensions, coordinates)
        if name in start.arrays:
            dimensions[f"{population.dim}_at_start"] = scenario.size_of(population, scenario.values)
            variables += _given(type(scenario), population, start, dimensions, coordinates)
    for label in dict.fromkeys(label for label, _ in reporting(policies)):
        population = scenario.declaration.populations[label.split(".")[0]]
        variables += _decided(label, population.dim if snapshots else None)
    for name, edges in start.edges.items():
        dimensions[f"{name}_edge_at_start"] = len(edges)
        network = network_names(type(scenario))[name]
        for part, values in edges.columns().items():
            unit = network.fields[part].unit if part in network.fields else "1"
            long_name = f"{part.replace('_', ' ')} of edges of {name.replace('_', ' ')}, start state"
            variable = f"start_{name}_{part}"
            variables.append(Variable(variable, (f"{name}_edge_at_start",), str(values.dtype), unit, long_name))
    return Layout(dimensions, coordinates, tuple(variables), scenario.time_unit)


def _decided(label: str, dim: str | None) -> list[Variable]:
    """What policies with a record add for one decision: numbers along time, and with snapshots those by agent."""
    found = [
        Variable(variable(label, name), ("time",), column.dtype, column.unit, f"{column.long_name}, {label}")
        for name, column in SERIES.items()
    ]
    found += [
        Variable(variable(label, f"mean_{name}"), ("time",), column.dtype, column.unit, f"{column.long_name}, {label}")
        for name, column in MEANS.items()
    ]
    for name, column in LATEST.items() if dim is not None else ():
        flags = {"flag_values": list(range(len(PROVENANCES))), "flag_meanings": " ".join(PROVENANCES)}
        found.append(
            Variable(
                variable(label, name),
                ("snapshot_time", str(dim)),
                column.dtype,
                column.unit,
                f"{column.long_name}, {label}",
                flags if name == "provenance" else {},
            )
        )
    return found


def start_name(scenario: type[Scenario], population: Population, field_name: str) -> str:
    """The variable that keeps a field of a start state that was given."""
    return f"start_{variable_name(scenario, population, field_name)}"


def start_values(scenario: type[Scenario], start: Start) -> dict[str, NDArray[Any]]:
    """A start state that was given, by variable."""
    found = {}
    for name, arrays in start.arrays.items():
        population = scenario.declaration.populations[name]
        for field_name, values in arrays.items():
            found[start_name(scenario, population, field_name)] = values.astype(
                population.fields[field_name].numpy_dtype
            )
    for name, edges in start.edges.items():
        found |= {f"start_{name}_{part}": values for part, values in edges.columns().items()}
    return found


def recalled_edges(scenario: type[Scenario], variables: Mapping[str, NDArray[Any]]) -> dict[str, Edges]:
    """The edges among a file's start variables, by network."""
    found = {}
    for name, network in network_names(scenario).items():
        parts = {part: f"start_{name}_{part}" for part in ("source", "target", *network.fields)}
        if parts["source"] in variables:
            given = {part: np.asarray(variables[variable]) for part, variable in parts.items()}
            found[name] = read_edges(given, network, f"start: {name}")
    return found


def living(population: str) -> Variable:
    """The variable that counts the living of a population with births and deaths."""
    return Variable(f"{population}_alive", ("time",), "int64", "1", f"number of living {population}")


def series(output: Output) -> list[Variable]:
    """The variables of one output: its value, and its error and null where they are declared."""
    companions: list[tuple[str, str]] = []
    if output.uncertain:
        companions.append(("standard_error", "standard error of"))
    if output.null:
        companions += [("null_mean", "mean under the null of"), ("null_sd", "standard deviation under the null of")]
    names = [f"{output.name}_{part}" for part, _ in companions]
    attributes = dict(output.attributes)
    ancillary = [*names, *attributes.pop("ancillary_variables", "").split()]
    if ancillary:
        attributes["ancillary_variables"] = " ".join(ancillary)
    long_name = output.long_name or output.name.replace("_", " ")
    dims = ("time", *output.dims)
    found = [Variable(output.name, dims, output.dtype, output.unit, long_name, attributes)]
    for name, (_, text) in zip(names, companions, strict=True):
        found.append(Variable(name, dims, "float64", output.unit, f"{text} {long_name}"))
    return found


def _snapshots(
    scenario: type[Scenario], population: Population, dimensions: dict[str, int],
    coordinates: dict[str, tuple[NDArray[Any], Mapping[str, Any]]],
) -> list[Variable]:  # fmt: skip
    found = []
    for name, field in population.fields.items():
        dims = ("snapshot_time", population.dim, *_axis(field, dimensions, coordinates))
        variable = variable_name(scenario, population, name)
        found.append(Variable(variable, dims, DTYPES[field.dtype], field.unit, _long_name(field)))
    if population.dynamic:
        found.append(
            Variable(
                f"{population.dim}_id",
                ("snapshot_time", population.dim),
                "int64",
                "1",
                f"{population.dim} id, -1 where nobody lives",
            )
        )
    return found


def _given(
    scenario: type[Scenario], population: Population, start: Start, dimensions: dict[str, int],
    coordinates: dict[str, tuple[NDArray[Any], Mapping[str, Any]]],
) -> list[Variable]:  # fmt: skip
    found = []
    for name in start.arrays[population.name]:
        field = population.fields[name]
        dims = (f"{population.dim}_at_start", *_axis(field, dimensions, coordinates))
        variable = start_name(scenario, population, name)
        found.append(Variable(variable, dims, DTYPES[field.dtype], field.unit, f"{_long_name(field)}, start state"))
    return found


def _axis(
    field: Field, dimensions: dict[str, int], coordinates: dict[str, tuple[NDArray[Any], Mapping[str, Any]]]
) -> tuple[str, ...]:
    """The dimension of a field's components, declared where there are any."""
    if not field.components:
        return ()
    axis = "axis" if field.components == 3 else f"axis_{field.components}"
    dimensions[axis] = field.components
    if field.components <= len(AXES):
        coordinates[axis] = (np.array(AXES[: field.components]), {"long_name": "axis of space"})
    return (axis,)


def _long_name(field: Field) -> str:
    return field.long_name or field.name.replace("_", " ")
