"""What a run writes and when: rows of observables, snapshots of agents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.compile.emit import is_reference
from simengine.errors import ScenarioError
from simengine.runs.engine import Engine
from simengine.runs.start import variable_name
from simengine.scenario.observables import Measured, Output, Strided
from simengine.scenario.population import NOBODY, Population
from simengine.scenario.scenario import Scenario
from simengine.store.layout import Layout, Variable

AXES = ("x", "y", "z")
DTYPES = {float: "float64", int: "int64", bool: "bool"}


class Recorder:
    """Feeds a writer from an engine."""

    def __init__(self, engine: Engine, writer: Any, every: int, snapshot_every: int | None) -> None:
        self.engine, self.writer = engine, writer
        self.every, self.snapshot_every = every, snapshot_every
        self.strides = engine.scenario.declaration.observables
        self._recorded = -1
        self._snapshot = -1

    def next_step(self, limit: int) -> int:
        """The next step at which something is recorded."""
        step = self.engine.step
        own = (strided.every for strided in self.strides)
        strides = [stride for stride in (self.every, self.snapshot_every, *own) if stride is not None]
        return min(limit, *((step // stride + 1) * stride for stride in strides))

    def record(self, last: bool = False) -> None:
        """Record what is due at the present step; everything at the first and the last."""
        step = self.engine.step
        edge = step == 0 or last
        due = [strided for strided in self.strides if edge or step % (strided.every or self.every) == 0]
        if (edge or due or step % self.every == 0) and self._recorded != step:
            self.writer.record(step, step * self.engine.scenario.dt, self._row(due))
            self._recorded = step
        if self.snapshot_every and (edge or step % self.snapshot_every == 0) and self._snapshot != step:
            self.writer.snapshot(step, step * self.engine.scenario.dt, self._fields())
            self._snapshot = step

    def _row(self, due: list[Strided]) -> dict[str, Any]:
        view = self.engine.view()
        row: dict[str, Any] = {}
        for strided in due:
            observable = strided.observable
            values = observable.finalise(observable.update(observable.begin(), view), view)
            row |= flattened(observable.outputs, values, observable.name)
        for name, population in self.engine.state.populations.items():
            if population.population.dynamic:
                row[f"{name}_alive"] = population.living
        return row

    def _fields(self) -> dict[str, NDArray[Any]]:
        row: dict[str, NDArray[Any]] = {}
        scenario = type(self.engine.scenario)
        for population in self.engine.state.populations.values():
            declared = population.population
            for name, field in declared.fields.items():
                values = population.values(name)
                variable = variable_name(scenario, declared, name)
                if declared.dynamic:
                    shape = (population.capacity, *values.shape[1:])
                    # Ids need all 64 bits, which readers lose where a variable has missing values: nobody stands in.
                    padded = (
                        np.full(shape, NOBODY, np.int64)
                        if is_reference(field)
                        else np.ma.masked_all(shape, field.numpy_dtype)  # type: ignore[no-untyped-call]
                    )
                    padded[: len(values)] = values
                    values = padded
                row[variable] = values
            if declared.dynamic:
                ids = np.full(population.capacity, -1, np.int64)
                ids[: population.living] = population.living_ids()
                row[f"{declared.dim}_id"] = ids
        return row


def flattened(outputs: tuple[Output, ...], values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Values with their errors and nulls as one row of variables."""
    row: dict[str, Any] = {}
    for output in outputs:
        if output.name not in values:
            raise ScenarioError(f"observable {name} returned no {output.name!r}")
        value = values[output.name]
        if isinstance(value, Measured):
            row[output.name] = value.value
            parts = {"standard_error": value.standard_error, "null_mean": value.null_mean, "null_sd": value.null_sd}
            for part, number in parts.items():
                declared = output.uncertain if part == "standard_error" else output.null
                if number is not None and not declared:
                    raise ScenarioError(
                        f"observable {name}: declare {output.name} with "
                        f"{'uncertain' if part == 'standard_error' else 'null'}=True"
                    )
                if number is not None:
                    row[f"{output.name}_{part}"] = number
        else:
            row[output.name] = value
    return row


def layout_of(engine: Engine, snapshots: bool) -> Layout:
    """Everything the run's file will hold."""
    scenario = engine.scenario
    variables: list[Variable] = []
    for strided in scenario.declaration.observables:
        for output in strided.observable.outputs:
            variables += _series(output)
    dimensions: dict[str, int] = {}
    coordinates: dict[str, tuple[NDArray[Any], Mapping[str, Any]]] = {}
    for name, state in engine.state.populations.items():
        population = state.population
        if population.dynamic:
            variables.append(Variable(f"{name}_alive", ("time",), "int64", "1", f"number of living {name}"))
        if snapshots:
            dimensions[population.dim] = state.capacity
            label = "row" if population.dynamic else "id"
            coordinates[population.dim] = (
                np.arange(state.capacity),
                {"long_name": f"{population.dim} {label}", "units": "1"},
            )
            variables += _snapshots(type(scenario), population, dimensions, coordinates)
    return Layout(dimensions, coordinates, tuple(variables), scenario.time_unit)


def _series(output: Output) -> list[Variable]:
    companions: list[tuple[str, str]] = []
    if output.uncertain:
        companions.append(("standard_error", "standard error of"))
    if output.null:
        companions += [("null_mean", "mean under the null of"), ("null_sd", "standard deviation under the null of")]
    names = [f"{output.name}_{part}" for part, _ in companions]
    attributes = dict(output.attributes) | ({"ancillary_variables": " ".join(names)} if names else {})
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
        dims: tuple[str, ...] = ("snapshot_time", population.dim)
        if field.components:
            axis = "axis" if field.components == 3 else f"axis_{field.components}"
            if field.components <= len(AXES):
                coordinates[axis] = (np.array(AXES[: field.components]), {"long_name": "axis of space"})
            dimensions[axis] = field.components
            dims = (*dims, axis)
        variable = variable_name(scenario, population, name)
        found.append(
            Variable(variable, dims, DTYPES[field.dtype], field.unit, field.long_name or name.replace("_", " "))
        )
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
