"""Interventions: changes made to a simulation while it runs, at named steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any, overload

from simengine.errors import InputError, ScenarioError
from simengine.scenario.observables import Observable, Strided
from simengine.scenario.parameters import shown


@dataclass(frozen=True)
class Intervention:
    """New values of parameters, a function that changes agents, or both; made with `at` or `every`.

    It acts on the state after ``step`` steps (or after every multiple of ``stride`` steps), once that state has been
    recorded: what is recorded of that step does not show it, everything later does.
    """

    step: int | None
    stride: int | None
    changes: Mapping[str, Any]
    apply: Callable[..., Any] | None = None

    def due(self, step: int) -> bool:
        """Whether it acts on the state after so many steps."""
        if self.stride is None:
            return step == self.step
        return step > 0 and step % self.stride == 0

    @property
    def first(self) -> int:
        """The first step at which it acts."""
        return self.stride if self.stride is not None else self.step or 0

    def next_after(self, step: int) -> int | None:
        """The first step later than ``step`` at which it acts, ``None`` when it does not act again."""
        if self.stride is not None:
            return (step // self.stride + 1) * self.stride
        return self.step if self.step is not None and self.step > step else None

    def __str__(self) -> str:
        when = f"at({shown(self.step)})" if self.stride is None else f"every({shown(self.stride)})"
        what = [f"{name}={shown(value)}" for name, value in self.changes.items()]
        if self.apply is not None:
            what.append(f"apply={getattr(self.apply, '__name__', shown(self.apply))}")
        return f"{when[:-1]}, {', '.join(what)})"


def at(step: int, /, *, apply: Callable[..., Any] | None = None, **changes: Any) -> Intervention:
    """Intervene once, after ``step`` steps: ``at(500, noise=0.3)``, ``at(800, apply=scatter)``.

    Parameters
    ----------
    step
        How many steps have been taken; 0 is the start state.
    apply
        A function that changes agents, ``def scatter(agents, draw): agents.heading[:] = draw.unit_vector("new", 3)``.
        Like a scenario's ``start`` it asks by name for populations (arrays of the living by ascending id, to be
        changed in place; setting ``alive`` to false removes agents where a population has births and deaths), ``draw``,
        ``p``, ``step``, ``time``.
    **changes
        New values of the scenario's parameters, except those that set the size of a population or the time step.

    Raises
    ------
    InputError
        When the step is no whole number from 0 on, or nothing is changed.
    """
    return Intervention(_steps("at", step, 0, apply, changes), None, dict(changes), apply)


@overload
def every(steps: int, observed: Observable, /) -> Strided: ...
@overload
def every(steps: int, /, *, apply: Callable[..., Any] | None = None, **changes: Any) -> Intervention: ...
def every(
    steps: int, observed: Observable | None = None, /, *, apply: Callable[..., Any] | None = None, **changes: Any
) -> Strided | Intervention:
    """Do something every so many steps: record an observable, or intervene.

    ``observe = [every(10, spectrum)]`` in a scenario gives an observable its own stride, whatever the run's: it is
    recorded at every multiple of ``steps``, and at the first and last step; other rows have no value.

    ``interventions=[every(100, apply=fish_out)]`` acts like `at` after every multiple of ``steps`` steps, the first
    time after ``steps``.
    """
    if observed is None:
        return Intervention(None, _steps("every", steps, 1, apply, changes), dict(changes), apply)
    if apply is not None or changes:
        raise ScenarioError("every(): give an observable to record, or changes to make, not both")
    if steps < 1:
        raise ScenarioError(f"every(): a stride is at least 1 step, not {steps}")
    return Strided(observed, steps)


def _steps(name: str, steps: Any, low: int, apply: Any, changes: Mapping[str, Any]) -> int:
    if isinstance(steps, bool) or not isinstance(steps, Integral) or steps < low:
        raise InputError(f"{name}(): got {shown(steps)}, allowed is a whole number of steps, at least {low}")
    if apply is not None and not callable(apply):
        raise InputError(f"{name}({shown(steps)}): apply= takes a function, not {shown(apply)}")
    if apply is None and not changes:
        raise InputError(f"{name}({shown(steps)}) changes nothing: name parameters with new values, or give apply=")
    return int(steps)
