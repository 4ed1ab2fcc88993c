"""A run in progress: the engine, what is recorded of it, its interventions and its checkpoints.

At each step where something is due: checkpoint, record, intervene, go on. A checkpoint is the state before the step's
own record, so that going on from it is the same as having arrived.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from simengine.compile import target
from simengine.compile.helpers import Globals
from simengine.errors import InputError
from simengine.policies.answers import Policy
from simengine.runs.engine import Engine, StorageOrder
from simengine.runs.interrupts import InterruptedBetweenSteps, waiting_interrupts
from simengine.runs.layout import layout_of, start_values
from simengine.runs.recipe import Recipe
from simengine.runs.recorder import Recorder
from simengine.runs.schedule import intervene, next_step
from simengine.runs.view import View
from simengine.scenario.observables import Observable
from simengine.scenario.scenario import Scenario
from simengine.store.blocks import Blocks
from simengine.store.checkpoints import Checkpoint, write_checkpoint
from simengine.store.layout import Layout
from simengine.store.memory import MemoryWriter
from simengine.store.provenance import finished, provenance
from simengine.store.writer import RunWriter

BETWEEN_CHECKPOINTS = 30.0
"""Seconds between checkpoints where no stride is asked for."""

LARGEST_SHARE = 0.02
"""Of the time, for such checkpoints."""


class Driver(Protocol):
    """What a session needs of whoever carries out the run: an `Engine`, or the driver of several shards."""

    scenario: Scenario
    seed: int
    step: int
    threads: int
    agents: int
    stop_reason: str | None
    policies: Mapping[str, tuple[Policy, ...]]

    @property
    def state(self) -> Any:
        """The populations of the present moment."""

    @property
    def surroundings(self) -> Globals:
        """The constants and helper functions that the scenario's phases use."""

    @property
    def happened(self) -> dict[str, Any]:
        """What a file says of how the run was carried out, and the content hash leaves out."""

    def prepare(self) -> None:
        """Compile the step."""

    def view(self) -> View:
        """The present moment."""

    def advance(self, until: int) -> int:
        """Run to step ``until`` or until a stop condition holds; return the step reached."""

    def change(self, changes: Mapping[str, Any], what: str = ...) -> None:
        """Go on with new values of some parameters."""

    def edit(self, function: Callable[..., Any], what: str = ...) -> None:
        """Let a function change agents in place."""

    def recorded(self, population: str, field: str) -> NDArray[Any] | Blocks:
        """The values of the living by ascending id, for a snapshot; in blocks where they lie elsewhere."""

    def decided(self) -> dict[str, float | int]:
        """What policies with a record have to say of the present moment, by variable."""

    def decided_last(self, label: str, ids: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """What they have to say of these agents' latest decisions, by variable."""

    def reported(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What they have to say at the end: attributes that the content hash covers, and others."""

    def observed(self, observables: Sequence[Observable], states: Sequence[Any], view: View) -> list[Any]:
        """States of observables after seeing the present moment, of which ``view`` is the view."""

    def saved(self) -> tuple[MutableMapping[str, NDArray[Any]], dict[str, Any]]:
        """Arrays and plain values from which `load` goes on; read each array once, before going on."""

    def load(self, arrays: Mapping[str, NDArray[Any]], details: Mapping[str, Any]) -> None:
        """Go on from what `saved` gave."""


def make_engine(recipe: Recipe, threads: int | None = None, storage_order: StorageOrder = "auto") -> Engine:
    """Return the engine of a recipe, at its start."""
    try:
        return Engine(recipe.scenario, recipe.seed, threads, recipe.start, recipe.policies, storage_order)
    except MemoryError as error:
        name = type(recipe.scenario).__name__
        raise InputError(f"{name} does not fit into this machine's memory: {error}") from None


def opening(recipe: Recipe, engine: Driver) -> tuple[Layout, dict[str, Any], dict[str, Any]]:
    """Return what a file says before its first row: its layout, attributes, and those that the hash leaves out."""
    origin, volatile_origin = provenance(cpu_target=target.cpu_name(), threads=engine.threads)
    stable, volatile = recipe.attributes(engine.surroundings)
    layout = layout_of(recipe.scenario, recipe.snapshot_every is not None, recipe.start, recipe.policies)
    return layout, stable | origin, volatile | volatile_origin | {"run_id": uuid.uuid4().hex}


class Bar(Protocol):
    """What shows how far a run is."""

    def limited(self, step: int, goal: int) -> int:
        """Return the step to run to at once."""

    def update(self, step: int) -> None:
        """Say how far it is."""


class Session:
    """Carries out a recipe step by step.

    Parameters
    ----------
    recipe, engine
        What to run, and its engine.
    writer
        Where rows go.
    run_id, path, checkpoint_every
        Identity and file of the run, and the stride of its checkpoints; without a path there are none, without a
        stride they come by the clock.
    """

    def __init__(
        self, recipe: Recipe, engine: Driver, writer: RunWriter | MemoryWriter, *, run_id: str = "",
        path: Path | None = None, checkpoint_every: int | None = None,
    ) -> None:  # fmt: skip
        self.recipe, self.engine, self.writer = recipe, engine, writer
        self.interventions = list(recipe.interventions)
        self.recorder = Recorder(engine, writer, recipe.every, recipe.snapshot_every)
        self.wall_seconds = 0.0
        self._run_id, self.path, self._checkpoint_every = run_id, path, checkpoint_every
        self._departed = -1
        self._checkpointed = (time.monotonic(), 0.0)
        self._latest = 0

    def advance(self, goal: int, bar: Bar, *, last: bool) -> None:
        """Go on to step ``goal``, or to where a stop condition holds; ``last`` if the run ends there.

        An interrupt is heard between steps and leaves a checkpoint.
        """
        before, begun = self.wall_seconds, time.perf_counter()
        with waiting_interrupts() as interrupted:
            while True:
                step = self.engine.step
                ended = step >= goal or self.engine.stop_reason is not None
                self.wall_seconds = before + time.perf_counter() - begun
                self._checkpoint(ended and last, interrupted())
                if interrupted():
                    raise InterruptedBetweenSteps
                self.recorder.record(last=ended and last)
                bar.update(step)
                if ended:
                    break
                self.depart()
                self.engine.advance(bar.limited(step, self._next(step, goal)))
        self.wall_seconds = before + time.perf_counter() - begun

    def depart(self) -> None:
        """Carry out the interventions that are due, once."""
        if self._departed != self.engine.step:
            self._departed = self.engine.step
            intervene(self.engine, self.interventions)

    def _next(self, step: int, goal: int) -> int:
        upcoming = next_step(self.interventions, step, self.recorder.next_step(goal))
        stride = self._checkpoint_every if self.path is not None else None
        return upcoming if stride is None else min(upcoming, (step // stride + 1) * stride)

    # -- checkpoints ---------------------------------------------------------------------------------------------

    def _checkpoint(self, end: bool, interrupted: bool) -> None:
        step = self.engine.step
        if self.path is None or step == self._latest:
            return
        if self._checkpoint_every is not None:
            due = interrupted or end or step % self._checkpoint_every == 0
        else:
            moment, cost = self._checkpointed
            due = interrupted or time.monotonic() - moment > max(BETWEEN_CHECKPOINTS, cost / LARGEST_SHARE)
        if due:
            begun = time.monotonic()
            self.save(self.path)
            self._checkpointed = time.monotonic(), time.monotonic() - begun

    def save(self, path: Path) -> None:
        """Write a checkpoint of the present moment; its row may be recorded again by who goes on from it."""
        assert isinstance(self.writer, RunWriter)
        self.writer.flush()
        arrays, details = self.engine.saved()
        details |= {"observables": self.recorder.saved(arrays), "wall_seconds": self.wall_seconds}
        write_checkpoint(path, Checkpoint(self.engine.step, self._run_id, self.writer.segments, arrays, details))
        self._latest = self.engine.step

    def load(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint."""
        self.engine.load(checkpoint.arrays, checkpoint.details)
        self.recorder.load(checkpoint.arrays, checkpoint.details["observables"])
        self.wall_seconds = float(checkpoint.details["wall_seconds"])
        self._latest = checkpoint.step

    # -- the end -------------------------------------------------------------------------------------------------

    def final(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the attributes that are known at the end, and those of them that the hash leaves out."""
        stable = {"stopped_at": self.engine.step, "stop_reason": self.engine.stop_reason or "steps"}
        said, unhashed = self.engine.reported()
        return stable | said, finished() | {"wall_seconds": self.wall_seconds} | self.engine.happened | unhashed


def start_variables(recipe: Recipe) -> Mapping[str, Any]:
    """Return the start state that a file has to keep: one that was given."""
    return start_values(type(recipe.scenario), recipe.start)
