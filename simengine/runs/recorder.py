"""What a run writes and when: rows of observables, snapshots of agents."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simengine.compile.cache import engine_digest, first_alone
from simengine.compile.emit import is_reference
from simengine.errors import ScenarioError
from simengine.policies.reports import reporting
from simengine.runs.packing import pack, unpack
from simengine.runs.start import variable_name
from simengine.scenario.observables import Measured, Observable, Output, Strided, prepare
from simengine.scenario.population import NOBODY, Field
from simengine.store.blocks import Blocks
from simengine.store.memory import MemoryWriter

if TYPE_CHECKING:
    from simengine.runs.session import Driver


NUMBERS = {"i": Field(int), "f": Field(float)}
"""Plain fields, for values by agent that no field holds."""


def lasting(observable: Observable) -> bool:
    """Whether the state of an observable goes on from record to record."""
    return bool(getattr(observable, "lasting", False))


class Recorder:
    """Feeds a writer from an engine."""

    def __init__(self, engine: Driver, writer: Any, every: int, snapshot_every: int | None) -> None:
        self.engine, self.writer = engine, writer
        self.every, self.snapshot_every = every, snapshot_every
        self.strides = engine.scenario.recorded
        self._lasting = {s.observable.name: s.observable.begin() for s in self.strides if lasting(s.observable)}
        self._before: tuple[Any, dict[str, Any]] = (None, {})
        self._arrived = -1
        self._recorded = -1
        self._snapshot = -1

    def prepare(self) -> None:
        """Let observables compile what they need, before the clock runs; of several processes one does it for all."""
        observables = [strided.observable for strided in self.strides]
        said = "-".join([engine_digest(), *sorted(observable.name for observable in observables)])
        with first_alone(f"observables-{hashlib.sha256(said.encode()).hexdigest()[:24]}"):
            prepare(observables)

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
        if isinstance(self.writer, MemoryWriter) and self._arrived != step:
            self._before = self.writer.mark(), self._kept(self._lasting)
        self._arrived = step
        due = [strided for strided in self.strides if edge or step % (strided.every or self.every) == 0]
        if (edge or due or step % self.every == 0) and self._recorded != step:
            self.writer.record(step, step * self.engine.scenario.dt, self._row(due))
            self._recorded = step
        if self.snapshot_every and (edge or step % self.snapshot_every == 0) and self._snapshot != step:
            self.writer.snapshot(step, step * self.engine.scenario.dt, self._fields())
            self._snapshot = step

    def measured(self) -> dict[str, Any]:
        """The present value of every recorded variable; nothing is recorded."""
        lasting_states = self._lasting
        # What was recorded of this moment must not count twice.
        before = self._before[1] if self._arrived == self.engine.step else lasting_states
        self._lasting = self._kept(before)
        try:
            return self._row(list(self.strides))
        finally:
            self._lasting = lasting_states

    @contextmanager
    def as_last(self) -> Iterator[None]:
        """While the context lasts, the present moment is recorded as the last one is: with everything.

        Only for a writer that can forget rows.
        """
        if self._arrived == self.engine.step:
            self._forget()
        self.record(last=True)
        try:
            yield
        finally:
            self._forget()
            self.record()

    def _kept(self, states: Mapping[str, Any]) -> dict[str, Any]:
        """The states of lasting observables as they are now, whatever is seen later."""
        frozen = {strided.observable.name for strided in self.strides if getattr(strided.observable, "frozen", False)}
        return {name: state if name in frozen else copy.deepcopy(state) for name, state in states.items()}

    def _forget(self) -> None:
        """Forget what was recorded of the present moment."""
        mark, self._lasting = self._before
        self.writer.rollback(mark)
        self._arrived = self._recorded = self._snapshot = -1

    def saved(self, arrays: MutableMapping[str, NDArray[Any]]) -> dict[str, Any]:
        """The states of lasting observables, packed for a checkpoint."""
        return {name: pack(state, arrays, f"observables/{name}") for name, state in self._lasting.items()}

    def load(self, arrays: Mapping[str, NDArray[Any]], packed: Mapping[str, Any]) -> None:
        """Go on from what `saved` gave."""
        self._lasting = {name: unpack(packed[name], arrays) for name in self._lasting}

    def _row(self, due: list[Strided]) -> dict[str, Any]:
        view = self.engine.view()
        row: dict[str, Any] = {}
        observables = [strided.observable for strided in due]
        states = [self._lasting.get(observable.name, observable.begin()) for observable in observables]
        for observable, state in zip(observables, self.engine.observed(observables, states, view), strict=True):
            if lasting(observable):
                self._lasting[observable.name] = state
            values = observable.finalise(state, view)
            row |= flattened(observable.outputs, values, observable.name)
        for name, population in self.engine.state.populations.items():
            if population.population.dynamic:
                row[f"{name}_alive"] = population.living
        return row | self.engine.decided()

    def _fields(self) -> dict[str, NDArray[Any] | Blocks]:
        row: dict[str, NDArray[Any] | Blocks] = {}
        scenario = type(self.engine.scenario)
        for population in self.engine.state.populations.values():
            declared = population.population
            for name, field in declared.fields.items():
                values = self.engine.recorded(declared.name, name)
                if declared.dynamic:
                    values = padded(values, population.capacity, field)
                row[variable_name(scenario, declared, name)] = values
            if declared.dynamic:
                ids = np.full(population.capacity, -1, np.int64)
                ids[: population.living] = population.living_ids()
                row[f"{declared.dim}_id"] = ids
        for label in dict.fromkeys(label for label, _ in reporting(self.engine.policies)):
            population = self.engine.state[label.split(".")[0]]
            for name, held in self.engine.decided_last(label, population.living_ids()).items():
                dynamic = population.population.dynamic
                row[name] = padded(held, population.capacity, NUMBERS[held.dtype.kind]) if dynamic else held
        return row


def padded(values: NDArray[Any] | Blocks, capacity: int, field: Field) -> NDArray[Any] | Blocks:
    """The values of the living, followed by missing ones up to the population's capacity."""
    if isinstance(values, Blocks):
        living, fetch, components = values.shape[0], values.fetch, values.shape[1:]

        def block(first: int, end: int) -> Any:
            # Of agents who are not there nothing is fetched.
            there = fetch(first, min(end, living)) if first < living else np.empty((0, *components), field.numpy_dtype)
            return padded(there, end - first, field)

        return Blocks((capacity, *components), block)
    shape = (capacity, *values.shape[1:])
    # Ids need all 64 bits, which readers lose where a variable has missing values: nobody stands in.
    found: NDArray[Any] = (
        np.full(shape, NOBODY, np.int64) if is_reference(field) else np.ma.masked_all(shape, field.numpy_dtype)  # type: ignore[no-untyped-call]
    )
    found[: len(values)] = values
    return found


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
