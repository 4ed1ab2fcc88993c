"""Observables of how many agents have which value of a field: counted where the agents are, in whole numbers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.errors import ScenarioError
from simengine.scenario.observables import Output, described, finished

Counts = tuple[NDArray[Any], NDArray[np.int64]]

SPARSE = 8
"""Values are sorted where they are spread over more than so many whole numbers an agent."""
FEW = 1024


def counted_values(values: NDArray[Any]) -> Counts:
    """Return the values that occur, ascending, and how often; `ScenarioError` if they are no whole numbers."""
    if values.ndim != 1 or values.dtype.kind not in "biu":
        shape = f" of shape {values.shape}" if values.ndim != 1 else ""
        raise ScenarioError(f"only whole numbers and truth values are tallied, not {values.dtype}{shape}")
    if not values.size:
        return np.empty(0, values.dtype), np.empty(0, np.int64)
    lowest, highest = int(values.min()), int(values.max())
    if highest - lowest > SPARSE * values.size + FEW:
        found, counts = np.unique(values, return_counts=True)
        return found, counts.astype(np.int64, copy=False)
    counts = np.bincount(values.astype(np.int64, copy=False) - lowest)
    places = np.flatnonzero(counts)
    return (places + lowest).astype(values.dtype, copy=False), counts[places].astype(np.int64, copy=False)


def joined(first: Counts, second: Counts) -> Counts:
    """Return the counts of two groups of agents together."""
    if not len(first[0]) or not len(second[0]):
        return second if len(second[0]) else first
    values, places = np.unique(np.concatenate([first[0], second[0]]), return_inverse=True)
    counts = np.zeros(len(values), np.int64)
    np.add.at(counts, places, np.concatenate([first[1], second[1]]))
    return values, counts


@dataclass(eq=False)
class TallyObservable:
    """A function of the distribution of one field over the agents.

    Its state holds ``values`` and ``counts``; states are merged by adding whole numbers, so that nothing depends on who
    was seen with whom.
    """

    partial = True

    function: Callable[..., Any]
    population: str
    counted: str
    outputs: tuple[Output, ...]
    name: str = ""
    summary: str = ""
    when: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.name = self.function.__name__
        self.arguments = tuple(inspect.signature(self.function).parameters)
        self._of_moment = [name for name in self.arguments if name not in {"values", "counts"}]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the author's function."""
        return self.function(*args, **kwargs)

    def begin(self) -> Any:
        """Nobody counted."""
        return {}

    def update(self, state: Any, view: Any) -> Any:
        """Count the agents of a view."""
        if self.population not in view.populations:
            raise ScenarioError(f"{self.name}: there is no population {self.population!r} to tally")
        values, counts = view.populations[self.population].tally(self.counted)
        return self.merge(state, {"values": values, "counts": counts})

    def merge(self, state: Any, other: Any) -> Any:
        """Add the counts of two groups."""
        if not state or not other:
            return other or state
        values, counts = joined((state["values"], state["counts"]), (other["values"], other["counts"]))
        return {"values": values, "counts": counts}

    def finalise(self, state: Any, view: Any) -> Mapping[str, Any]:
        """Call the function on the distribution."""
        given = view.arguments(self._of_moment, self.name) if self._of_moment else {}
        given |= {name: state[name] for name in self.arguments if name in state}
        return finished(self.name, self.outputs, self.function(**given))


def tally(
    counted: str,
    *,
    unit: str = "1",
    long_name: str = "",
    outputs: tuple[Output, ...] = (),
    dtype: str = "float64",
    uncertain: bool = False,
    null: bool = False,
    when: Mapping[str, Any] | None = None,
) -> Any:
    """Declare an observable as a function of how many agents have which value of a field.

    ``@tally("agents.opinion")`` stands before ``def share_of_one(values, counts): ...``, which gets the values that
    occur, ascending, and the number of agents that have each; also ``p``, ``step`` and what else an `observable` may
    ask for. The field holds whole numbers or truth values. Where a run is spread over shards each counts its own
    agents, and nobody holds all. The other arguments are those of `observable`.
    """
    population, dot, name = counted.partition(".") if isinstance(counted, str) else ("", "", "")
    if not (dot and population.isidentifier() and name.isidentifier()):
        raise ScenarioError(f"tally() takes 'population.field', not {counted!r:.60}")

    def declare(function: Callable[..., Any]) -> TallyObservable:
        summary, declared = described(function, unit, long_name, outputs, dtype, uncertain, null)
        return TallyObservable(function, population, name, declared, summary=summary, when=when or {})

    return declare
