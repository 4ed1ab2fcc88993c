"""The engine of one run: state, compiled step and step counter. Recording is somebody else's business."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from simengine.compile.kernel import Kernel
from simengine.compile.state import State
from simengine.errors import InputError
from simengine.policies.answers import HostAnswers, Policy
from simengine.relations.space import Space, cell_order
from simengine.runs.start import Start, apply
from simengine.runs.view import View, check_state, fill_start
from simengine.scenario.phases import Decision, Gather, Update
from simengine.scenario.scenario import Scenario, active
from simengine.scenario.stop import Consensus, Extinct, Stop, When

StorageOrder = Literal["auto", "by_id", "by_cell"]

THREADS_PAY_FROM = 20_000
SORTING_PAYS_FROM = 50_000
STEPS_BETWEEN_SORTS = 12


class Engine:
    """Advances one run.

    ``storage_order`` says whether agents are stored by id or, where it helps the processor's caches, sorted by
    cell now and then; it never shows in a result.
    """

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        threads: int | None = None,
        start: Start | None = None,
        policies: Mapping[str, tuple[Policy, ...]] | None = None,
        storage_order: StorageOrder = "auto",
    ) -> None:
        self.scenario, self.seed, self.step = scenario, seed, 0
        self.state = State(scenario)
        fill_start(scenario, self.state, seed)
        if start is not None:
            apply(scenario, self.state, start)
        check_state(self.state, "start")
        self.agents = sum(population.living for population in self.state.populations.values())
        self.threads = threads if threads is not None else default_threads(self.agents)
        policies = policies or {}
        answers = HostAnswers(scenario, self.state, seed, policies) if policies else None
        self.kernel = Kernel(scenario, self.state, seed, self.threads, frozenset(policies), answers)
        if answers is not None:
            answers.kernel = self.kernel
        for relation in self.kernel.plan.relations.values():
            if isinstance(relation, Space):
                bring_into_box(relation, scenario, self.state)
        self._stops = scenario.declaration.stops
        self._host_stops = [(n, stop) for n, stop in enumerate(self._stops) if isinstance(stop, When)]
        self._sorted_by = self._spaces_to_sort(storage_order)
        self._next_sort = 0
        self.stop_reason: str | None = next((stop.reason for stop in self._stops if self._holds(stop)), None)

    def view(self) -> View:
        """The present moment."""
        return View(self.scenario, self.state, self.seed, self.step)

    def advance(self, until: int) -> int:
        """Run to step ``until`` or until a stop condition holds; return the step reached."""
        while self.step < until and self.stop_reason is None:
            goal = self.step + 1 if self._host_stops else until
            if self._sorted_by:
                if self.step >= self._next_sort:
                    self._sort_storage()
                    self._next_sort = self.step + STEPS_BETWEEN_SORTS
                goal = min(goal, self._next_sort)
            self.step = self.kernel.advance(self.step, goal - self.step)
            if self.kernel.stopped_by is not None:
                self.stop_reason = self._stops[self.kernel.stopped_by].reason
            for _, stop in self._host_stops:
                if self.stop_reason is None and self._holds(stop):
                    self.stop_reason = stop.reason
        return self.step

    def _holds(self, stop: Stop) -> bool:
        """Whether a condition on one moment holds now."""
        if isinstance(stop, When):
            names = inspect.signature(stop.function).parameters
            return bool(stop.function(**self.view().arguments(names, stop.reason)))
        if isinstance(stop, Extinct):
            return self.state[stop.population.name].living == 0
        if isinstance(stop, Consensus):
            held = self.state[stop.field.population.name].values(stop.field.field.name)
            return bool((held == held[:1]).all())
        return False

    def _spaces_to_sort(self, storage_order: StorageOrder) -> dict[str, str]:
        """Which populations to store by cell, and the relation whose last sorting says how."""
        if storage_order == "by_id":
            return {}
        phases = active(self.scenario.declaration.phases, self.scenario.values)
        in_turn: set[str] = set()
        for phase in phases:
            if isinstance(phase, Update | Decision) and phase.order != "synchronous":
                in_turn |= {phase.population.name, *(gather.relation.target.name for gather in phase.after)}
        found: dict[str, str] = {}
        for label, relation in self.kernel.plan.relations.items():
            if not isinstance(relation, Space) or not relation.static(self.scenario.values).by_cells:
                continue
            population = relation.target
            gathered = any(isinstance(phase, Gather) and phase.relation is relation for phase in phases)
            large = self.state[population.name].capacity >= SORTING_PAYS_FROM or storage_order == "by_cell"
            if gathered and large and not population.dynamic and population.name not in in_turn:
                found[population.name] = label
        return found

    def _sort_storage(self) -> None:
        for name, label in self._sorted_by.items():
            relation = self.kernel.plan.relations[label]
            assert isinstance(relation, Space)
            population = self.state[name]
            population.store_in(
                cell_order(
                    relation.scalars(self.scenario.values), population.tables[relation.seen.field.name], population.ids
                )
            )


def bring_into_box(space: Space, scenario: Scenario, state: State) -> None:
    """Wrap the start positions of a periodic space; ``InputError`` for one outside a reflecting box."""
    side = space.side(scenario.values)
    if side is None:
        return
    for field in {space.position, space.seen}:
        population = state[field.population.name]
        position = population.fields[field.field.name][:, : population.living]
        outside = (position < 0.0) | (position > side)
        if space.boundary == "periodic":
            wrapped = position - side * np.floor(position / side)
            position[:] = np.where((wrapped >= side) | (wrapped < 0.0), 0.0, wrapped)
        elif outside.any():
            agent = int(np.flatnonzero(outside.any(axis=0))[0])
            raise InputError(f"start: {field} of agent {agent} lies outside the box from 0 to {side:g}")


def default_threads(agents: int) -> int:
    """One thread for small populations, all processors for large ones."""
    return available_processors() if agents >= THREADS_PAY_FROM else 1


def available_processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe_policies(policies: Mapping[str, tuple[Policy, ...]]) -> dict[str, Any]:
    """What the file says of the policies of a run."""
    described: dict[str, Any] = {}
    for name, listed in policies.items():
        described[name] = [
            {
                "answer": f"{getattr(p.answer, '__module__', '?')}.{getattr(p.answer, '__qualname__', repr(p.answer))}",
                "share": p.share,
            }
            for p in listed
        ]
    return described
