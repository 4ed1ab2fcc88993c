"""Observables: what a run measures. They know neither their stride nor the store.

An observable accumulates a state from views of the populations (``update``), states add up (``merge``), and
``finalise`` turns the state into values. Each record begins with an empty state, unless the observable has the
attribute ``lasting = True``: then the state goes on from record to record, for averages over time and the like, and is
kept in checkpoints. It is made of arrays, numbers, texts, lists and dicts. With ``frozen = True`` a state is never
changed in place, but ``update`` and ``merge`` return new ones, so that it need not be copied; only ``finalise`` may put
new entries into the dict that it is given.

An observable with the attribute ``partial = True`` is measured where the agents are if a run is spread over shards:
every shard updates an empty state with a view of the agents that it acts for, and these states are merged in the order
of the shards, into the state of the records before where that lasts. All others see everybody. The result must not
depend on who is seen with whom, so ``update`` and ``merge`` of a partial observable are free of order, bit for bit:
they count in whole numbers, add up floats exactly (`simengine.arrays.exact`), keep the lowest or the highest, or a
sample that a hash of the ids chooses. ``update`` may be called several times for one moment: it counts agents, never
its calls. What concerns the whole moment belongs into ``finalise``. A partial view holds populations and no networks,
and nobody of a population whose agents are all elsewhere.

One with a method ``prepare()`` is asked before the run to compile what it needs.

An observable with an attribute ``when``, a dict like that of a phase, is recorded only when the scenario's parameters
have these values.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from simengine.errors import ScenarioError


@dataclass(frozen=True)
class Output:
    """One recorded variable of an observable: its name, unit, long name, extra dims and attributes.

    With ``uncertain`` the file also holds ``name_standard_error``, with ``null`` also ``name_null_mean`` and
    ``name_null_sd``.
    """

    name: str
    unit: str = "1"
    long_name: str = ""
    dims: tuple[str, ...] = ()
    dtype: str = "float64"
    uncertain: bool = False
    null: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """A value with, where they are known, its standard error and the mean and sd of its null."""

    value: Any
    standard_error: float | None = None
    null_mean: float | None = None
    null_sd: float | None = None


@runtime_checkable
class Observable(Protocol):
    """What the run loop needs of an observable."""

    name: str
    outputs: tuple[Output, ...]

    def begin(self) -> Any:
        """Return an empty state."""

    def update(self, state: Any, view: Any) -> Any:
        """Return the state after seeing the agents of one view (a shard, or everyone)."""

    def merge(self, state: Any, other: Any) -> Any:
        """Return the state of two groups of agents seen apart."""

    def finalise(self, state: Any, view: Any) -> Mapping[str, Any]:
        """Return a value, or `Measured`, for every output."""


@dataclass(eq=False)
class FunctionObservable:
    """An observable written as one function of all agents, ``def mean_opinion(agents, p): ...``.

    Its state is the view itself: a function of all agents cannot be merged from parts, so parts are put together
    before it is called.
    """

    function: Callable[..., Any]
    outputs: tuple[Output, ...]
    name: str = ""
    summary: str = ""
    when: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.name = self.function.__name__
        self.arguments = tuple(inspect.signature(self.function).parameters)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the author's function."""
        return self.function(*args, **kwargs)

    def begin(self) -> Any:
        """Start with nobody seen."""
        return []

    def update(self, state: Any, view: Any) -> Any:
        """Keep the view."""
        return [*state, view]

    def merge(self, state: Any, other: Any) -> Any:
        """Put the views of two groups together."""
        return [*state, *other]

    def finalise(self, state: Any, view: Any) -> Mapping[str, Any]:
        """Call the function on everyone."""
        whole = state[0] if len(state) == 1 else state[0].joined(state[1:])
        return finished(self.name, self.outputs, self.function(**whole.arguments(self.arguments, self.name)))


def finished(name: str, outputs: tuple[Output, ...], value: Any) -> Mapping[str, Any]:
    """What an author's function returned, by output."""
    if isinstance(value, Mapping):
        return value
    if len(outputs) == 1:
        return {outputs[0].name: value}
    raise ScenarioError(f"observable {name}: return a dict of {', '.join(output.name for output in outputs)}")


def described(
    function: Callable[..., Any], unit: str, long_name: str, outputs: tuple[Output, ...], dtype: str, uncertain: bool,
    null: bool, dims: tuple[str, ...] = (),
) -> tuple[str, tuple[Output, ...]]:  # fmt: skip
    """The summary of an author's function and its outputs, one named after it where none are declared."""
    summary = inspect.getdoc(function) or function.__name__.replace("_", " ")
    line = long_name or summary.split("\n")[0].rstrip(".")
    return summary, outputs or (Output(function.__name__, unit, line, dims, dtype, uncertain, null),)


def observable(
    function: Callable[..., Any] | None = None,
    *,
    unit: str = "1",
    long_name: str = "",
    outputs: tuple[Output, ...] = (),
    dtype: str = "float64",
    uncertain: bool = False,
    null: bool = False,
    dims: tuple[str, ...] = (),
    when: Mapping[str, Any] | None = None,
) -> Any:
    """Declare an observable as a function of the populations, by name: ``def gini(agents): ...``.

    It gets numpy arrays ordered by agent id and returns a number or `Measured` (or, with several ``outputs``, a
    dict of them). ``unit`` and ``long_name`` go to the file; the docstring is the long name when none is given.
    ``dims`` names a population's dim when it returns a value for each of them, ``("village",)``.
    ``when`` limits it to runs whose parameters have the given values.
    """

    def declare(function: Callable[..., Any]) -> FunctionObservable:
        summary, declared = described(function, unit, long_name, outputs, dtype, uncertain, null, dims)
        return FunctionObservable(function, declared, summary=summary, when=when or {})

    return declare if function is None else declare(function)


@dataclass(frozen=True, eq=False)
class Strided:
    """An observable together with its own stride, in steps; without one it follows the run's."""

    observable: Observable
    every: int | None


def is_partial(observed: Observable) -> bool:
    """Whether an observable may see the agents in parts."""
    return bool(getattr(observed, "partial", False))


def prepare(observed: Iterable[Observable]) -> None:
    """Let observables compile what they need."""
    for observable in observed:
        function = getattr(observable, "prepare", None)
        if function is not None:
            function()


def applies(observed: Observable, values: Mapping[str, Any]) -> bool:
    """Whether an observable is recorded for these parameter values, by its ``when``."""
    return holds(getattr(observed, "when", {}), values)


def holds(when: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Whether parameters have the values that ``when`` names; a tuple stands for any of its members."""
    return all(
        values[name] in wanted if isinstance(wanted, tuple) else values[name] == wanted for name, wanted in when.items()
    )


def strides(declared: Any, owner: str) -> tuple[Strided, ...]:
    """The observables of a scenario class, each with its stride."""
    found = []
    listed = declared if isinstance(declared, tuple | list) else () if declared is None else (declared,)
    for item in listed:
        strided = item if isinstance(item, Strided) else Strided(item, None)
        if not isinstance(strided.observable, Observable):
            raise ScenarioError(f"{owner}.observe: {item!r} is no observable; declare it with @observable")
        found.append(strided)
    names = [output.name for strided in found for output in strided.observable.outputs]
    for name in names:
        if names.count(name) > 1:
            raise ScenarioError(f"{owner}.observe: two observables record {name!r}")
    return tuple(found)
