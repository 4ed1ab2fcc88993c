"""Stop conditions: when a run ends before its ceiling of steps. Checked after every step, whatever is recorded."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from functools import cached_property
from typing import Any, overload

from simengine.errors import ScenarioError
from simengine.scenario.population import FieldReference, Population


@dataclass(frozen=True)
class Unchanged:
    """No value of the field moved by more than ``within`` in the last step."""

    field: FieldReference
    within: float
    when: Mapping[str, Any] = dataclass_field(default_factory=dict, hash=False)

    @property
    def reason(self) -> str:
        """What the file says when it ended the run."""
        return f"{self.field} unchanged within {self.within:g}"


@dataclass(frozen=True)
class Consensus:
    """All living agents hold the same value."""

    field: FieldReference
    when: Mapping[str, Any] = dataclass_field(default_factory=dict, hash=False)

    @property
    def reason(self) -> str:
        """What the file says when it ended the run."""
        return f"consensus of {self.field}"


@dataclass(frozen=True)
class Extinct:
    """Nobody of the population lives."""

    population: Population
    when: Mapping[str, Any] = dataclass_field(default_factory=dict, hash=False)

    @property
    def reason(self) -> str:
        """What the file says when it ended the run."""
        return f"{self.population.name} extinct"


@dataclass(frozen=True)
class When:
    """A function of the scenario's populations (numpy, like an observable's) returned true."""

    function: Callable[..., Any]
    when: Mapping[str, Any] = dataclass_field(default_factory=dict, hash=False)

    @property
    def reason(self) -> str:
        """What the file says when it ended the run."""
        return getattr(self.function, "__name__", type(self.function).__name__)

    @cached_property
    def arguments(self) -> tuple[str, ...]:
        """The names of what the function asks for; ``ScenarioError`` if it does not say them."""
        try:
            return tuple(inspect.signature(self.function).parameters)
        except (TypeError, ValueError):
            raise ScenarioError(
                f"{self.reason} does not say what arguments it takes; a stop condition is a Python function"
            ) from None


Stop = Unchanged | Consensus | Extinct | When


def unchanged(field: FieldReference, *, within: float = 0.0, when: Mapping[str, Any] | None = None) -> Unchanged:
    """Stop when no agent's value of ``field`` changed by more than ``within`` in a step.

    ``when``, here and in the other conditions, limits it to runs whose parameters have the given values.
    """
    if not isinstance(field, FieldReference):
        raise ScenarioError("unchanged() takes a field, as in unchanged(agents.opinion, within=1e-12)")
    if isinstance(within, bool) or not isinstance(within, int | float) or not within >= 0:
        raise ScenarioError(f"unchanged(within=...) is a number from 0, got {within!r}")
    return Unchanged(field, within, when or {})


def consensus(field: FieldReference, *, when: Mapping[str, Any] | None = None) -> Consensus:
    """Stop when all living agents hold the same value of ``field``."""
    if not isinstance(field, FieldReference) or field.field.components:
        raise ScenarioError("consensus() takes a scalar field, as in consensus(agents.opinion)")
    return Consensus(field, when or {})


def extinct(population: Population, *, when: Mapping[str, Any] | None = None) -> Extinct:
    """Stop when nobody of ``population`` lives."""
    if not isinstance(population, Population):
        raise ScenarioError("extinct() takes a population, as in extinct(agents)")
    return Extinct(population, when or {})


@overload
def stop_when(function: Callable[..., Any], /) -> When: ...


@overload
def stop_when(*, when: Mapping[str, Any]) -> Callable[[Callable[..., Any]], When]: ...


def stop_when(function: Callable[..., Any] | None = None, *, when: Mapping[str, Any] | None = None) -> Any:
    """Stop when ``function(agents, p, step)`` (arguments by name, numpy arrays) returns true.

    It is called after every step, so the run returns from compiled code each time. ``@stop_when`` and
    ``@stop_when(when={"noise": 0.0})`` are for functions that are nothing else.
    """
    if function is None:
        return lambda found: _checked_when(found, when)
    return _checked_when(function, when)


def _checked_when(function: Callable[..., Any], when: Mapping[str, Any] | None) -> When:
    stop = When(function, when or {})
    # What it asks for is read now, so that a wrong one is told where it is declared.
    _ = stop.arguments
    return stop


KINDS = (Unchanged, Consensus, Extinct, When)


def checked(stops: Any, owner: str) -> tuple[Stop, ...]:
    """The stop conditions of a scenario class as a tuple."""
    listed = stops if isinstance(stops, tuple | list) else () if stops is None else (stops,)
    for stop in listed:
        if not isinstance(stop, KINDS):
            raise ScenarioError(
                f"{owner}.stop: {stop!r} is no stop condition; use unchanged(), consensus(), extinct() or stop_when()"
            )
        if not isinstance(stop.when, Mapping):
            raise ScenarioError(
                f"{owner}.stop: when= of {stop.reason} holds values by parameter, as in when={{'noise': 0.0}}; "
                f"not {stop.when!r:.60}"
            )
    return tuple(listed)
