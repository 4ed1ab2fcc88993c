"""Many runs of one scenario, one after another, in one process and one thread.

What depends only on the structure - the compiled step, the arrays of populations of one size - is kept from run to
run. A run after others gives the bits of a run alone: `simengine.run` of the same parameters and seed.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.compile.kernel import Kernel
from simengine.compile.state import State
from simengine.errors import InputError, one_line
from simengine.runs.arguments import MOST_STEPS, whole_number
from simengine.runs.engine import Engine
from simengine.runs.layout import living, series
from simengine.runs.recorder import Recorder, lasting
from simengine.runs.start import Start, check_sizes
from simengine.scenario.observables import holds
from simengine.scenario.scenario import Scenario
from simengine.store.layout import STEP_OF, TIME, Layout, Variable
from simengine.store.table import Table
from simengine.sweeps.outcomes import Failure, Outcome

KEPT_ENGINES = 8
KEPT_AGENTS = 1_000_000
"""Room for agents in the engines that are kept, the last one excepted."""
LONGEST_TRACEBACK = 20_000


class Runner:
    """Does runs of one scenario.

    Parameters
    ----------
    scenario
        The scenario's class.
    fixed
        Parameters that all runs share; the others come with each run.
    steps
        How many steps a run has, unless a stop condition ends it.
    every
        Stride of the records, in steps, as that of `simengine.run`. None: only step 0 and the last are recorded;
        observables that last from record to record still see the steps of their own stride.
    start
        The start state of every run, in place of the scenario's own; its parameters are among those that are fixed.
    """

    def __init__(
        self, scenario: type[Scenario], fixed: Mapping[str, Any], *, steps: int, every: int | None = None,
        start: Start | None = None,
    ) -> None:  # fmt: skip
        self.scenario, self.fixed, self.start = scenario, dict(fixed), start
        self.steps = whole_number("steps", steps, 0, MOST_STEPS)
        self.every = None if every is None else whole_number("every", every, 1)
        self._swept: frozenset[str] | None = None
        self._layout: Layout | None = None
        self._rows: _Rows | None = None
        self._kept: dict[tuple[Any, ...], Engine] = {}
        self._step = 0

    @property
    def layout(self) -> Layout:
        """What an outcome holds: the time series of the observables that apply at some of the points.

        Which parameters the points set is known from the first one seen.
        """
        if self._layout is None:
            self._layout = layout_of_runs(self.scenario, self.fixed, self._swept or ())
        return self._layout

    def prepare(self, point: Mapping[str, Any]) -> None:
        """Compile what runs at a point like this one need; nothing where the point itself is refused, as `run` tells.

        Raises
        ------
        ScenarioError
            When the scenario's phases cannot be compiled.
        """
        try:
            self._expect(point)
            scenario = self._at(point)
            state = State(scenario)
        except MemoryError:
            raise
        except Exception:
            return
        kernel = Kernel(scenario, state, 0)
        if self.steps:
            kernel.prepare()
        for strided in scenario.recorded:
            prepare = getattr(strided.observable, "prepare", None)
            if prepare is not None:
                prepare()

    def run(self, point: Mapping[str, Any], seed: int) -> Outcome:
        """Do one run, and return what it recorded or why it failed.

        Parameters
        ----------
        point
            Values of parameters by name; all points set the same ones.
        seed
            Seed of the run.

        Returns
        -------
        Outcome
            Values of every variable of `layout` in its storage type, the fill value where one is missing.
        """
        begun = time.perf_counter()
        self._step = 0
        try:
            self._expect(point)
            outcome = self._run(point, int(seed))
        except Exception as error:
            if isinstance(error, MemoryError):
                self._kept.clear()
            outcome = Outcome({}, np.empty(0, np.int64), self._step, "failed", failure_of(error))
        outcome.seconds = time.perf_counter() - begun
        return outcome

    def _expect(self, point: Mapping[str, Any]) -> None:
        """Learn from the first point which parameters are swept."""
        if self._swept is None:
            self._swept, self._layout, self._rows = frozenset(point), None, None
        elif point.keys() != self._swept:
            raise InputError(f"a point sets {', '.join(point)}, the first one {', '.join(sorted(self._swept))}")

    def _at(self, point: Mapping[str, Any]) -> Scenario:
        scenario = self.scenario({**self.fixed, **point})
        check_sizes(scenario)
        return scenario

    def _run(self, point: Mapping[str, Any], seed: int) -> Outcome:
        scenario = self._at(point)
        shape = shape_of(scenario)
        # An engine whose run fails is not kept.
        engine = Engine(scenario, seed, 1, self.start, after=self._kept.pop(shape, None))
        rows = self._rows = self._rows or _Rows(self.layout)
        rows.begin()
        recorder = Recorder(engine, rows, self.every, None) if self.every else _Ends(engine, rows, self.steps)
        while True:
            self._step = engine.step
            ended = engine.step >= self.steps or engine.stop_reason is not None
            recorder.record(last=ended)
            if ended:
                break
            engine.advance(recorder.next_step(self.steps))
        values, steps = rows.copies()
        self._keep(shape, engine)
        return Outcome(values, steps, engine.step, engine.stop_reason or "steps")

    def _keep(self, shape: tuple[Any, ...], engine: Engine) -> None:
        self._kept[shape] = engine
        room = sum(room_of(kept) for kept in self._kept.values())
        for old in list(self._kept)[:-1]:
            if len(self._kept) <= KEPT_ENGINES and room <= KEPT_AGENTS:
                break
            room -= room_of(self._kept.pop(old))


class _Rows:
    """Takes the rows of one run after another, checked and typed as a file's are."""

    def __init__(self, layout: Layout) -> None:
        self._table = Table(layout, TIME)
        self._start = self._table.mark()

    def begin(self) -> None:
        """Forget everything."""
        self._table.rollback(self._start)

    def record(self, step: int, moment: float, row: Mapping[str, Any]) -> None:
        """Add a row."""
        self._table.add(step, moment, row)

    def copies(self) -> tuple[dict[str, NDArray[Any]], NDArray[np.int64]]:
        """Return the values by variable, and the numbers of the steps."""
        arrays = {name: values.copy() for name, values in self._table.arrays().items()}
        del arrays[TIME]
        return arrays, arrays.pop(STEP_OF[TIME])


class _Ends(Recorder):
    """Records the first and the last moment; in between, lasting observables see the steps of their own stride."""

    def __init__(self, engine: Engine, rows: _Rows, steps: int) -> None:
        super().__init__(engine, rows, max(steps, 1), None)
        self._between = [strided for strided in self.strides if strided.every and lasting(strided.observable)]

    def next_step(self, limit: int) -> int:
        """The next step at which a lasting observable looks."""
        step = self.engine.step
        return min([limit, *((step // own.every + 1) * own.every for own in self._between if own.every)])

    def record(self, last: bool = False) -> None:
        """Record an end, or let lasting observables look."""
        step = self.engine.step
        if step == 0 or last:
            super().record(last)
        else:
            self._row([own for own in self._between if own.every and step % own.every == 0])


def layout_of_runs(scenario: type[Scenario], fixed: Mapping[str, Any], swept: Collection[str]) -> Layout:
    """Return the layout of runs in which the parameters ``swept`` may have any value and ``fixed`` have these.

    It holds the observables that apply at some of them, and the numbers of living of dynamic populations.
    """
    declared = scenario.declaration
    values = {name: parameter.default for name, parameter in declared.parameters.parameters.items()} | dict(fixed)
    varied = set(swept)
    if scenario.regimes is not None:
        if varied.isdisjoint(scenario.regimes.by):
            values |= {**scenario.regimes.defaults(values), **fixed}
        else:
            varied |= {name for defaults in scenario.regimes.table.values() for name in defaults} - fixed.keys()
    variables: list[Variable] = []
    for strided in declared.observables:
        when = getattr(strided.observable, "when", {})
        if holds({name: wanted for name, wanted in when.items() if name not in varied}, values):
            for output in strided.observable.outputs:
                if output.dims:
                    raise InputError(
                        f"observable {output.name} records a value for each {output.dims[0]}, which sweeps do not "
                        "keep: limit it to some parameters (when=), or run the points one by one"
                    )
                variables += series(output)
    for name, population in declared.populations.items():
        if population.dynamic:
            variables.append(living(name))
    return Layout({}, {}, tuple(variables), scenario.time_unit)


def shape_of(scenario: Scenario) -> tuple[Any, ...]:
    """Return what two runs have to share for one to take over the other's arrays and, mostly, its compiled step."""
    room = (scenario.capacity_of(p, scenario.values) for p in scenario.declaration.populations.values())
    chosen = (value for value in scenario.values.values() if not isinstance(value, float) and type(value) is not int)
    return (*room, *chosen)


def room_of(engine: Engine) -> int:
    """Return for how many agents an engine has arrays."""
    return sum(engine.state.capacities().values())


def failure_of(error: Exception) -> Failure:
    """Return what is kept of an exception: plain text."""
    kind = type(error).__name__
    told = "".join(traceback.format_exception(error))
    if len(told) > LONGEST_TRACEBACK:
        told = f"...{told[-LONGEST_TRACEBACK:]}"
    try:
        message = one_line(" ".join(str(error).split()))
    except Exception:
        message = ""
    return Failure(kind, message or kind, told)
