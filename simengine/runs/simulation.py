"""``Simulation``: a run taken step by step, looked at and changed in between, in a script or a notebook."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simengine.errors import InputError, RunError, nearest
from simengine.policies.reports import bind, close, save_records
from simengine.runs import registry
from simengine.runs.arguments import MOST_STEPS, checked_order, checked_path, checked_threads, whole_number
from simengine.runs.engine import StorageOrder
from simengine.runs.interrupts import InterruptedBetweenSteps
from simengine.runs.layout import AXES
from simengine.runs.network_view import NetworkView
from simengine.runs.progress import CompileNotice, Progress
from simengine.runs.recipe import Recipe
from simengine.runs.schedule import carry_out as intervene
from simengine.runs.schedule import check_schedule
from simengine.runs.session import Session, make_engine, opening, start_variables
from simengine.scenario.interventions import Intervention, at
from simengine.scenario.parameters import shown
from simengine.scenario.scenario import Scenario
from simengine.scenario.stop import Consensus, Extinct, Stop, Unchanged, When, stop_when
from simengine.store.memory import MemoryWriter

if TYPE_CHECKING:
    import xarray


class Simulation:
    """A run taken step by step.

    The engine, the records and the interventions are those of `run`: a simulation that is saved after ``n`` steps has
    the same content as ``run(..., steps=n, interventions=...)``, and `rerun` repeats it.

    Populations are attributes (``sim.agents``), each a Dataset of the living by id.

    >>> sim = simengine.Simulation("schooling", seed=1, every=10)
    >>> sim.step(500)
    >>> sim.agents.position.mean("agent")
    >>> sim.set(noise=0.3)
    >>> sim.run_until(lambda agents: abs(agents.heading.mean(axis=0)).max() < 0.1, at_most=1000)
    >>> sim.save("disturbed.nc")

    Parameters
    ----------
    scenario, seed, every, snapshot_every, threads, start, policies, storage_order, interventions, **parameters
        As in `run`.
    progress
        Whether `step` and `run_until` show a bar when they take longer than a moment.
    """

    def __init__(
        self,
        scenario: type[Scenario] | str | Path,
        *,
        seed: int = 0,
        every: int = 1,
        snapshot_every: int | None = None,
        threads: int | None = None,
        start: Any = None,
        progress: bool = True,
        policies: Mapping[str, Any] | None = None,
        storage_order: StorageOrder = "auto",
        interventions: Sequence[Intervention] = (),
        **parameters: Any,
    ) -> None:
        found = registry.find(scenario)
        recipe = Recipe.of(
            found, parameters, steps=MOST_STEPS, seed=seed, every=every, snapshot_every=snapshot_every, start=start,
            policies=policies, interventions=interventions,
        )  # fmt: skip
        bind(recipe.policies, None)
        self._engine = make_engine(recipe, checked_threads(threads), checked_order(storage_order))
        layout, stable, volatile = opening(recipe, self._engine)
        self._layout, self._progress = layout, progress
        self._writer = MemoryWriter(layout, stable, volatile=volatile, static=start_variables(recipe))
        self._session = Session(recipe, self._engine, self._writer)
        self._prepared, self._broken = False, False
        self._unchanged: tuple[int, Any] = (-1, None)
        with CompileNotice(progress):
            self._session.recorder.prepare()
        self.step(0)

    # -- going on ------------------------------------------------------------------------------------------------

    def step(self, n: int = 1) -> None:
        """Take ``n`` steps, fewer when a stop condition of the scenario holds (`stopped` then says which).

        Raises
        ------
        RunError
            When a step cannot be taken. The simulation cannot go on after that; what was recorded before is still
            there. (An interrupt, Ctrl-C or a notebook's stop button, is heard between steps, and it can go on.)
        """
        goal = self.steps + whole_number("n", n, 0, MOST_STEPS)
        if n and not self._prepared:
            with CompileNotice(self._progress):
                self._engine.prepare()
            self._prepared = True
        with Progress(type(self.parameters).__name__, n, self._engine.agents, self._progress) as bar:
            self._advance(goal, _Shifted(bar, self.steps))

    def _advance(self, goal: int, bar: _Shifted) -> None:
        with self._whole():
            self._session.advance(goal, bar, last=False)

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Do something that leaves agents between two states when it fails."""
        self._check_whole()
        self._broken = True
        try:
            yield
        except InterruptedBetweenSteps:
            self._broken = False
            raise
        self._broken = False

    def _check_whole(self) -> None:
        if self._broken:
            raise RunError(
                f"this simulation broke off after step {self.steps} and cannot go on; what it recorded before is in "
                "`recorded`"
            )

    def run_until(self, condition: Any, at_most: int | None = None) -> bool:
        """Take steps, none if need be, until a condition holds; return whether it does.

        Parameters
        ----------
        condition
            A function as for `stop_when`, ``lambda agents, step: ...``, or a stop condition such as
            ``unchanged(Model.agents.opinion, within=1e-9)``.
        at_most
            The most steps to take; by default there is no limit but the scenario's own stop conditions.
        """
        stop = condition if isinstance(condition, Unchanged | Consensus | Extinct | When) else None
        if stop is None:
            if not callable(condition):
                raise InputError(f"run_until: got {shown(condition)}, allowed is a function or a stop condition")
            stop = stop_when(condition)
        self._check_known(stop)
        limit = MOST_STEPS if at_most is None else whole_number("at_most", at_most, 0, MOST_STEPS)
        title = f"{type(self.parameters).__name__}, until {stop.reason.removeprefix('<lambda>') or 'a condition holds'}"
        begun = self.steps
        self._check_whole()
        held = not isinstance(stop, Unchanged) and self._engine.holds(stop)
        with Progress(title, at_most, self._engine.agents, self._progress) as bar:
            while not held and self.stopped is None and self.steps - begun < limit:
                before = self._values(stop) if isinstance(stop, Unchanged) else None
                self._advance(self.steps + 1, _Shifted(bar, begun))
                held = self._settled(stop, before) if isinstance(stop, Unchanged) else self._engine.holds(stop)
        return held

    def _check_known(self, stop: Stop) -> None:
        """Refuse a condition on another scenario."""
        if isinstance(stop, When):
            return
        name = stop.population.name if isinstance(stop, Extinct) else stop.field.population.name
        found = self._engine.state.populations.get(name)
        if found is None or not (isinstance(stop, Extinct) or stop.field.field.name in found.population.fields):
            what = name if isinstance(stop, Extinct) else stop.field
            raise InputError(f"run_until: {type(self.parameters).__name__} has no {what}")

    def _values(self, stop: Unchanged) -> tuple[Any, Any]:
        population = self._engine.state[stop.field.population.name]
        return population.living_ids(), np.array(population.values(stop.field.field.name))

    def _settled(self, stop: Unchanged, before: Any) -> bool:
        ids, values = self._values(stop)
        return bool(np.array_equal(ids, before[0]) and (np.abs(values - before[1]) <= stop.within).all())

    def set(self, *, apply: Callable[..., Any] | None = None, **changes: Any) -> None:
        """Change parameters, or agents by a function, from now on: an intervention at the present step; see `at`."""
        if apply is None and not changes:
            raise InputError("set() changes nothing: name parameters with new values, or give apply=")
        item = at(self.steps, apply=apply, **changes)
        check_schedule((item,), self.parameters, None)
        with self._whole():
            self._session.depart()
        before = self._kept()
        try:
            intervene(self._engine, item)
        except BaseException:
            self._engine.load(*before)
            raise
        if self._unchanged[0] != self.steps:
            self._unchanged = self.steps, before
        self._session.interventions.append(item)

    def _kept(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The present moment, for the engine to load."""
        arrays, details = self._engine.saved()
        return {path: np.array(values) for path, values in arrays.items()}, details

    # -- looking ---------------------------------------------------------------------------------------------------

    @property
    def steps(self) -> int:
        """How many steps have been taken."""
        return self._engine.step

    @property
    def time(self) -> float:
        """Simulated time."""
        return self.steps * self.parameters.dt

    @property
    def parameters(self) -> Scenario:
        """The scenario with its parameters as they are now, as attributes."""
        return self._engine.scenario

    @property
    def stopped(self) -> str | None:
        """Which stop condition of the scenario holds, if any; no further steps are taken then."""
        return self._engine.stop_reason

    def population(self, name: str) -> xarray.Dataset:
        """One population now: the living by ascending id along its dimension, fields with units; read-only."""
        import xarray

        self._check_whole()
        if name not in self._engine.state.populations:
            known = self._engine.state.populations
            raise InputError(f"no population {name!r}{nearest(name, known) or '; populations: ' + ', '.join(known)}")
        state = self._engine.state[name]
        declared = state.population
        dim = declared.dim
        coordinates: dict[str, Any] = {dim: (dim, state.living_ids(), {"long_name": f"{dim} id"})}
        variables: dict[str, Any] = {}
        for field_name, field in declared.fields.items():
            dims: tuple[str, ...] = (dim,)
            if field.components:
                axis = "axis" if field.components == 3 else f"axis_{field.components}"
                dims = (dim, axis)
                if field.components <= len(AXES):
                    coordinates[axis] = (axis, list(AXES[: field.components]))
            values = np.array(state.values(field_name))
            values.flags.writeable = False
            attributes = {"units": field.unit, "long_name": field.long_name or field_name.replace("_", " ")}
            variables[f"{name}_{field_name}" if field_name in coordinates else field_name] = (dims, values, attributes)
        about = {"scenario": type(self.parameters).__name__, "step": self.steps, "time": self.time}
        return xarray.Dataset(variables, coordinates, about)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        known, networks = self._engine.state.populations, self._engine.state.networks
        if name in networks:
            return NetworkView(networks[name])
        if name not in known:
            words = [*known, *networks, *(word for word in dir(type(self)) if not word.startswith("_"))]
            raise AttributeError(f"a simulation has no {name!r}{nearest(name, words)}")
        return self.population(name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._engine.state.populations, *self._engine.state.networks})

    def observe(self) -> xarray.Dataset:
        """Measure all observables now, with their units; nothing is recorded."""
        import xarray

        self._check_whole()
        row = self._session.recorder.measured()
        declared = {variable.name: variable for variable in self._layout.of("time")}
        variables = {
            name: (
                declared[name].dims[1:],
                value,
                {"units": declared[name].unit, "long_name": declared[name].long_name},
            )
            for name, value in row.items()
        }
        return xarray.Dataset(variables, {"time": self.time, "step": self.steps})

    @property
    def recorded(self) -> xarray.Dataset:
        """What was recorded so far, every ``every`` steps."""
        return self._writer.dataset(*self._final())

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the run up to now as a file like that of `run`; the simulation can go on after it.

        Raises
        ------
        InputError, StoreError
            When the file cannot be written.
        """
        target = checked_path(path, overwrite)
        self._check_whole()
        changed = self._unchanged[0] == self.steps
        if changed:
            now = self._kept()
            self._engine.load(*self._unchanged[1])
        try:
            with self._session.recorder.as_last():
                self._writer.write(target, *self._final(), overwrite=overwrite)
                save_records(self._session.recipe.policies, target)
        finally:
            if changed:
                self._engine.load(*now)
        return target

    def close(self) -> None:
        """Give back what its policies hold: connections, threads and files of language models.

        The simulation can be looked at afterwards. ``with simengine.Simulation(...) as sim:`` closes it at the end.
        """
        close(self._session.recipe.policies)

    def __enter__(self) -> Simulation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _final(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The attributes of the run so far: interventions of the present step have had no effect yet."""
        acted = tuple(item for item in self._session.interventions if item.first < self.steps)
        recipe = replace(self._session.recipe, steps=self.steps, interventions=acted)
        stable, volatile = recipe.attributes(self._engine.surroundings)
        last_stable, last_volatile = self._session.final()
        return stable | last_stable, volatile | last_volatile

    def __repr__(self) -> str:
        living = ", ".join(f"{found.living} {name}" for name, found in self._engine.state.populations.items())
        unit = "" if self.parameters.time_unit == "1" else f" {self.parameters.time_unit}"
        stopped = f", stopped: {self.stopped}" if self.stopped else ""
        name, seed = type(self.parameters).__name__, self._session.recipe.seed
        return f"<Simulation of {name}: step {self.steps} (time {self.time:g}{unit}), {living}, seed {seed}{stopped}>"


class _Shifted:
    """A progress bar that counts from a later step."""

    def __init__(self, bar: Progress, begun: int) -> None:
        self._bar, self._begun = bar, begun

    def limited(self, step: int, goal: int) -> int:
        """Return the step to run to at once."""
        return self._bar.limited(step, goal)

    def update(self, step: int) -> None:
        """Say how far it is."""
        self._bar.update(step - self._begun)
