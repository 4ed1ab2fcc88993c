"""The engine of one run: state, compiled step and step counter. Recording is somebody else's business.

What the next step depends on - ids and values of the living, arrays that relations keep, parameters, the step's
number - can be `saved` and `load`ed: there is no random state, and nothing else goes on from step to step.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from simengine.compile.helpers import Globals
from simengine.compile.kernel import Kernel
from simengine.compile.state import State
from simengine.errors import InputError
from simengine.policies import reports
from simengine.policies.answers import HostAnswers, Policy, Remembering, Waiting
from simengine.relations.space import Space, cell_order
from simengine.runs.networks import lay
from simengine.runs.packing import pack, unpack
from simengine.runs.start import Start, apply
from simengine.runs.view import NamedDraws, PopulationView, View, check_state, fill_connected, fill_start, named
from simengine.scenario.observables import Observable
from simengine.scenario.phases import Decision, Gather, Update
from simengine.scenario.scenario import Scenario, active
from simengine.scenario.stop import Consensus, Extinct, Stop, When
from simengine.shards.part import Part

StorageOrder = Literal["auto", "by_id", "by_cell"]

THREADS_PAY_FROM = 20_000
SORTING_PAYS_FROM = 50_000
STEPS_BETWEEN_SORTS = 12


class Engine:
    """Advances one run, or one shard of it.

    ``storage_order`` says whether agents are stored by id or, where it helps the processor's caches, sorted by
    cell now and then; it never shows in a result. The arrays and the compiled step of ``after``, an engine that
    has done its run, are taken over where they fit.
    """

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        threads: int | None = None,
        start: Start | None = None,
        policies: Mapping[str, tuple[Policy, ...]] | None = None,
        storage_order: StorageOrder = "auto",
        after: Engine | None = None,
        part: Part | None = None,
    ) -> None:
        self.scenario, self.seed, self.step = scenario, seed, 0
        again = after if after is not None and after.state.begin_again(scenario) else None
        self.state: State = State(scenario) if again is None else again.state
        fill_start(scenario, self.state, seed)
        if start is not None:
            apply(scenario, self.state, start)
        check_state(self.state, "start")
        lay(scenario, self.state, seed, {} if start is None else start.edges)
        if fill_connected(scenario, self.state, seed):
            if start is not None:
                apply(scenario, self.state, start)
            check_state(self.state, "start")
        self.agents = sum(population.living for population in self.state.populations.values())
        self.threads = threads if threads is not None else default_threads(self.agents)
        policies = policies or {}
        answers = HostAnswers(scenario, self.state, seed, policies) if policies else None
        self.policies, self._answers = policies, answers
        self.part = part
        self._edits = (-1, 0)
        self._storage_order: StorageOrder = storage_order
        if again is not None and (policies or part or again.policies or again.part or again.threads != self.threads):
            again = None
        self._bind(scenario, "start", None if again is None else again.kernel)
        self.stop_reason: str | None = next((stop.reason for stop in self._stops if self.holds(stop)), None)
        if part is not None:
            part.begin(self)

    def _kernel(self) -> Kernel:
        part, answers = self.part, self._answers
        return Kernel(
            self.scenario, self.state, self.seed, self.threads, frozenset(self.policies),
            answers if part is None or part.number == 0 else None,
            None if part is None else part.cut, None if part is None else part.share, *early_of(self.policies),
        )  # fmt: skip

    def hold(self, state: State) -> None:
        """Go on with other arrays; of one shard, which holds more agents, fewer or others than before."""
        self.state = state
        self.kernel.hold(state)
        if self._answers is not None:
            self._answers.state = state

    def _bind(self, scenario: Scenario, what: str, after: Kernel | None = None) -> None:
        """Compile the step for these parameters, and let the present state fit them."""
        self.scenario = scenario
        self._stops = scenario.stops
        # Conditions on one moment need everybody; whoever drives shards looks at them.
        self._host_stops = [stop for stop in self._stops if isinstance(stop, When) and self.part is None]
        if after is not None and after.begin_again(scenario, self.seed):
            self.kernel = after
        else:
            self.kernel = self._kernel()
        if self._answers is not None:
            self._answers.scenario, self._answers.kernel = scenario, self.kernel
        for relation in self.kernel.plan.relations.values():
            if isinstance(relation, Space):
                bring_into_box(relation, scenario, self.state, what)
        self._sorted_by = self._spaces_to_sort(self._storage_order)
        self._next_sort = self.step

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
            for stop in self._host_stops:
                if self.stop_reason is None and self.holds(stop):
                    self.stop_reason = stop.reason
        return self.step

    def change(self, changes: Mapping[str, Any], what: str = "intervention") -> None:
        """Go on with new values of some parameters; ``InputError`` when they are not allowed."""
        try:
            scenario = self.scenario.changed(changes)
        except InputError as error:
            raise InputError(f"{what}: {error}") from None
        if scenario.values == self.scenario.values:
            self.scenario = scenario
            return
        self._canonical()
        kept = self.kernel.kept()
        self._bind(scenario, what)
        for name, values in self.kernel.kept().items():
            if name in kept:
                values[...] = kept[name]

    def edit(self, function: Callable[..., Any], what: str = "intervention") -> None:
        """Let a function change agents in place, like a scenario's ``start``; see `simengine.at`."""
        self._canonical()
        number = self._edits[1] if self._edits[0] == self.step else 0
        views = {name: PopulationView(found, writable=True) for name, found in self.state.populations.items()}
        # A second edit at one step draws numbers of its own, also when it is by the same function.
        phase = f"intervention {getattr(function, '__name__', 'apply')}" + (f" {number}" if number else "")
        draw = NamedDraws(self.seed, self.state, phase, self.step)
        offered = self.view().offered() | views | {"draw": draw}
        if function(**named(function, offered, what)) is not None:
            raise InputError(f"{what}: the function returns something; it changes fields in place and returns nothing")
        self._check_parameters(what)
        for population in self.state.populations.values():
            population.bury()
        check_state(self.state, what)
        for relation in self.kernel.plan.relations.values():
            if isinstance(relation, Space):
                bring_into_box(relation, self.scenario, self.state, what)
        self._next_sort, self._edits = self.step, (self.step, number + 1)

    def _check_parameters(self, what: str) -> None:
        """Refuse a function that has set a parameter, which the compiled step would not see."""
        for name, value in self.scenario.values.items():
            if getattr(self.scenario, name) is not value:
                setattr(self.scenario, name, value)
                raise InputError(f"{what}: the function sets p.{name}; give {name}= to the intervention")

    def _canonical(self) -> None:
        """Let the living lie in the first slots, by ascending id."""
        for population in self.state.populations.values():
            population.load({name: np.array(values) for name, values in population.saved().items()})

    def saved(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays by path and plain values from which `load` goes on, whatever the threads and the storage order."""
        arrays: dict[str, NDArray[Any]] = {}
        for name, population in self.state.populations.items():
            for part, values in population.saved().items():
                arrays[f"populations/{name}/{part}"] = values
        remembered, memories = self.remembered()
        return arrays | remembered, {
            "step": self.step, "stop_reason": self.stop_reason, "given": self.scenario.given, "policies": memories,
        }  # fmt: skip

    def remembered(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """What goes on from step to step and is no agent's: arrays that relations keep, memories of policies."""
        arrays = {f"relations/{name}": kept for name, kept in self.kernel.kept().items()}
        memories = {place: pack(answer.state(), arrays, f"policies/{place}") for place, answer in self._remembering()}
        return arrays, memories

    @property
    def surroundings(self) -> Globals:
        """The constants and helper functions that the scenario's phases use."""
        return self.kernel.plan.surroundings

    @property
    def happened(self) -> dict[str, Any]:
        """What a file says of how the run was carried out: nothing of note in one process."""
        return {}

    def recorded(self, population: str, field: str) -> NDArray[Any]:
        """The values of the living by ascending id, for a snapshot."""
        return self.state[population].values(field)

    def observed(self, observables: Sequence[Observable], states: Sequence[Any], view: View) -> list[Any]:
        """States of observables after seeing the present moment."""
        return [observable.update(state, view) for observable, state in zip(observables, states, strict=True)]

    def decided(self) -> dict[str, float | int]:
        """What policies with a record have to say of the present moment, by variable."""
        self._check_policies()
        return reports.tallied(self.policies)

    def decided_last(self, label: str, ids: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """What they have to say of these agents' latest decisions, by variable."""
        self._check_policies()
        return reports.latest_of(self.policies, label, ids)

    def reported(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What they have to say at the end: attributes that the content hash covers, and others."""
        self._check_policies()
        return reports.reported(self.policies)

    def _check_policies(self) -> None:
        if self._answers is not None:
            self._answers.check_run()

    def prepare(self) -> None:
        """Compile the step, or load it from the cache."""
        self.kernel.prepare()

    def _remembering(self) -> Iterator[tuple[str, Remembering]]:
        """The answers of policies that remember something, each by its place."""
        for label, listed in self.policies.items():
            for n, policy in enumerate(listed):
                if isinstance(policy.answer, Remembering):
                    yield f"{label}/{n}", policy.answer

    def load(self, arrays: Mapping[str, NDArray[Any]], details: Mapping[str, Any]) -> None:
        """Go on from what `saved` gave."""
        self.step, self.stop_reason = int(details["step"]), details["stop_reason"]
        if self.part is not None:
            self.hold(State(self.scenario))
        for name, population in self.state.populations.items():
            start = f"populations/{name}/"
            population.load({key.removeprefix(start): found for key, found in arrays.items() if key.startswith(start)})
        if details["given"] != self.scenario.given or (self.part is not None and self.part.cut != self.kernel.cut):
            self._bind(type(self.scenario)(details["given"]), "checkpoint")
        self.kernel.restore({name.removeprefix("relations/"): values for name, values in arrays.items()})
        if self.part is not None:
            self.part.begin(self)
        for place, answer in self._remembering():
            answer.restore(unpack(details["policies"][place], arrays))
        self._next_sort = self.step

    def holds(self, stop: Stop) -> bool:
        """Whether a condition on one moment holds now."""
        if isinstance(stop, When):
            return bool(stop.function(**self.view().arguments(stop.arguments, stop.reason)))
        if isinstance(stop, Extinct):
            return self.state[stop.population.name].living == 0
        if isinstance(stop, Consensus):
            held = self.state[stop.field.population.name].values(stop.field.field.name)
            return bool((held == held[:1]).all())
        return False

    def _spaces_to_sort(self, storage_order: StorageOrder) -> dict[str, str]:
        """Which populations to store by cell, and the relation whose last sorting says how."""
        if storage_order == "by_id" or self.part is not None:
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


def early_of(policies: Mapping[str, tuple[Policy, ...]]) -> tuple[frozenset[str], frozenset[str]]:
    """The decisions that have policies for which others work, and those of them that have other policies, too."""
    waiting = {name: [isinstance(one.answer, Waiting) for one in listed] for name, listed in policies.items()}
    early = frozenset(name for name, listed in waiting.items() if any(listed))
    return early, frozenset(name for name in early if not all(waiting[name]))


def bring_into_box(space: Space, scenario: Scenario, state: State, what: str = "start") -> None:
    """Wrap the positions of a periodic space; ``InputError`` for one outside a reflecting box."""
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
            raise InputError(f"{what}: {field} of agent {agent} lies outside the box from 0 to {side:g}")


def default_threads(agents: int) -> int:
    """One thread for small populations, all processors for large ones."""
    return available_processors() if agents >= THREADS_PAY_FROM else 1


def available_processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
