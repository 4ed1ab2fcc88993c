"""How the values of a field become states that can be counted, fixed for a whole run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics.counts.counting import place_in_equal_bins
from simengine.diagnostics.streaming import declared
from simengine.diagnostics.streaming.kernels import shifted
from simengine.errors import ScenarioError, nearest
from simengine.scenario.parameters import shown

Bound = float | str
Array = NDArray[Any]


@dataclass(frozen=True)
class Binning:
    """A field of a population whose values are counted: in equal bins, or each whole number for itself.

    Parameters
    ----------
    field
        ``"population.field"``, or ``"population.field.k"`` for the k-th component of a vector.
    bins, range
        Number of equal bins from ``range[0]`` to ``range[1]``; values outside count in the end bins. Bounds and
        number may be names of parameters.
    states
        Number of states where the field holds whole numbers from 0 on, or the name of a parameter. Truth values
        have two.
    """

    field: str
    bins: int | str | None = None
    range: tuple[Bound, Bound] | None = None
    states: int | str | None = None

    def __post_init__(self) -> None:
        parts = self.field.split(".") if isinstance(self.field, str) else []
        if len(parts) not in (2, 3) or not all(part.isidentifier() for part in parts[:2]):
            raise ScenarioError(f"a streamed diagnostic takes 'population.field', not {shown(self.field)}")
        if len(parts) == 3 and not parts[2].isdigit():
            raise ScenarioError(f"{self.field}: the component of a vector is a number, not {parts[2]!r}")
        for name in ("bins", "states"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, declared.a_size(getattr(self, name), f"{self.field}: {name}"))
        if (self.bins is None) != (self.range is None):
            raise ScenarioError(f"{self.field}: bins and range belong together; the range of a run is fixed before it")
        if self.bins is not None and self.states is not None:
            raise ScenarioError(f"{self.field}: give bins and range for numbers, or states for whole numbers, not both")
        if self.range is not None:
            object.__setattr__(self, "range", a_range(self.range, self.field))

    @property
    def population(self) -> str:
        """The population's name."""
        return self.field.split(".")[0]

    def rows(self, view: Any) -> Array:
        """The values of the agents in an order that may be any, shape (n,)."""
        return self._column(view, ordered=False)

    def column(self, view: Any) -> Array:
        """The values of the agents by ascending id, shape (n,)."""
        return self._column(view, ordered=True)

    def agents(self, view: Any) -> Any:
        """The view's agents of the population."""
        if self.population not in view.populations:
            known = nearest(self.population, view.populations)
            raise ScenarioError(f"{self.field}: there is no population {self.population!r}{known}")
        return view.populations[self.population]

    def _column(self, view: Any, *, ordered: bool) -> Array:
        population, name, *component = self.field.split(".")
        agents = self.agents(view)
        values: Array = getattr(agents, name) if ordered else agents.unordered(name)
        if values.ndim == 1 and not component:
            return values
        if values.ndim == 1 or not component or int(component[0]) >= values.shape[1]:
            raise ScenarioError(
                f"{self.field}: the field has {'no' if values.ndim == 1 else values.shape[1]} components;"
                f" name one as '{population}.{name}.0'"
            )
        found: Array = values[:, int(component[0])]
        return found

    def size(self, view: Any) -> int:
        """The number of states."""
        if self.bins is not None:
            return whole(self.bins, view, self.field, "bins")
        if self.states is not None:
            return whole(self.states, view, self.field, "states")
        return 0

    def edges(self, view: Any) -> tuple[float, float, int]:
        """Lowest and highest edge, and the number of bins; states are bins of width 1 around whole numbers."""
        size = self.size(view)
        if self.range is None:
            return -0.5, size - 0.5, size
        low, high = (number(bound, view, self.field, "range") for bound in self.range)
        if not low < high:
            raise ScenarioError(f"{self.field}: range is {low:g} to {high:g}; it must rise")
        return low, high, size

    def symbols(self, values: Array, view: Any) -> tuple[NDArray[np.int64], int, int]:
        """The state of each value, the number of states, and how many values lay outside."""
        if self.bins is not None:
            low, high, size = self.edges(view)
            found, outside = place_in_equal_bins(np.ascontiguousarray(values, dtype=np.float64), low, high, size)
            return found, size, int(outside)
        if values.dtype.kind == "b":
            return values.astype(np.int64), 2, 0
        if values.dtype.kind not in "iu":
            raise ScenarioError(f"{self.field} holds {values.dtype}: say bins= and range= to count it")
        size = self.size(view)
        if not size:
            raise ScenarioError(f"{self.field}: states= must say how many states there are")
        found, outside = shifted(np.ascontiguousarray(values, dtype=np.int64), size)
        return found, size, int(outside)

    def described(self) -> str:
        """One text for the file."""
        if self.bins is not None:
            assert self.range is not None
            return f"{self.field} in {self.bins} equal bins from {self.range[0]} to {self.range[1]}"
        return f"{self.field}, {self.states} states" if self.states is not None else self.field


def vectors(field: str, view: Any) -> NDArray[np.float64]:
    """Return a field of vectors of the agents in any order, shape (n, components); numbers are vectors of one."""
    population, dot, name = field.partition(".")
    if not dot or population not in view.populations:
        raise ScenarioError(f"{field}: there is no population {population!r}{nearest(population, view.populations)}")
    values: NDArray[Any] = view.populations[population].unordered(name)
    return np.ascontiguousarray(values[:, None] if values.ndim == 1 else values, np.float64)


def number(bound: Bound, view: Any, what: str, word: str) -> float:
    """A number, or the value of a parameter."""
    values: Mapping[str, Any] = view.scenario.values
    if isinstance(bound, str):
        if bound not in values:
            raise ScenarioError(f"{what}: {word} names no parameter {bound!r}{nearest(bound, values)}")
        bound = values[bound]
    try:
        found = float(bound)
    except (TypeError, ValueError):
        raise ScenarioError(f"{what}: {word} is {bound!r}; expected a number") from None
    if not math.isfinite(found):
        raise ScenarioError(f"{what}: {word} is {found}; expected a finite number")
    return found


def whole(bound: int | str, view: Any, what: str, word: str) -> int:
    """A positive whole number, or the value of a parameter."""
    found = number(bound, view, what, word)
    if found != int(found) or found < 1:
        raise ScenarioError(f"{what}: {word} is {found:g}; expected a positive whole number")
    return int(found)


def a_range(range: Any, field: str) -> tuple[Bound, Bound]:
    """Return the two ends of a declared range, numbers or names of parameters."""
    if not isinstance(range, list | tuple | np.ndarray) or len(range) != 2:
        raise ScenarioError(f"{field}: range is {shown(range)}; expected (low, high)")
    low, high = (declared.a_bound(end, f"{field}: range") for end in range)
    if not isinstance(low, str) and not isinstance(high, str) and not low < high:
        raise ScenarioError(f"{field}: range is {low:g} to {high:g}; it must rise")
    return low, high


field = Binning
"""A field with its bins or states, as streamed diagnostics take it."""

Field = Binning | str


def as_binning(field: Field) -> Binning:
    """A field with its bins; a text is a field without."""
    return field if isinstance(field, Binning) else Binning(field)
