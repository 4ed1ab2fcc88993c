"""Populations: agents (or groups, places, games) of one kind, with typed, unit-bearing fields."""

from __future__ import annotations

from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from typing import Any

import numpy as np

from simengine.errors import ScenarioError, nearest

FIELD_TYPES = {float: np.dtype("float64"), int: np.dtype("int64"), bool: np.dtype("bool")}
NOBODY = -1

TAKEN = frozenset({
    "alive", "ids", "size", "capacity", "fields", "name", "dim", "inboxes", "dynamic", "bind", "tally", "all_here",
    "unordered", "unordered_ids",
})  # fmt: skip
"""Names that populations and views of them have for other things than fields."""


@dataclass(frozen=True)
class Field:
    """A declared field: one array with one entry (or one row of ``components``) per agent."""

    dtype: Any = float
    unit: str = "1"
    long_name: str = ""
    default: Any = 0
    components: int = 0
    reference: Population | None = None
    unit_length: bool = False
    name: str = ""
    names_agents: bool = False
    low: float | None = None
    high: float | None = None

    @property
    def bounds(self) -> str:
        """The bounds in words, for instance ``0 <= value <= 1``; empty when there are none."""
        left = "" if self.low is None else f"{self.low:.15g} <= "
        right = "" if self.high is None else f" <= {self.high:.15g}"
        return f"{left}value{right}" if left or right else ""

    def outside(self, values: Any) -> Any:
        """Where values are beyond the bounds."""
        beyond = np.zeros(np.shape(values), bool)
        if self.low is not None:
            beyond |= values < self.low
        if self.high is not None:
            beyond |= values > self.high
        return beyond

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The dtype of the array."""
        return FIELD_TYPES[self.dtype]

    @property
    def rows(self) -> int:
        """How many one-dimensional arrays hold the field: the components, or one."""
        return max(self.components, 1)


def field(
    dtype: type = float, *, unit: str = "1", long_name: str = "", default: Any = 0, low: float | None = None,
    high: float | None = None,
) -> Any:  # fmt: skip
    """Declare a scalar field of type ``float``, ``int`` or ``bool``.

    ``low`` and ``high`` are inclusive bounds of values that come from outside the phases: from ``start``, a start state
    or an intervention, and of a network's edges. What phases write is theirs.
    """
    if dtype not in FIELD_TYPES:
        raise ScenarioError(f"a field is float, int or bool, not {dtype!r}")
    if dtype is bool and not (low is None and high is None):
        raise ScenarioError("a field of truth values has no bounds")
    for name, bound in (("low", low), ("high", high)):
        if bound is not None and (isinstance(bound, bool) or not isinstance(bound, int | float) or bound != bound):
            raise ScenarioError(f"field({name}={bound!r}): a bound is a number")
    if low is not None and high is not None and not low <= high:
        raise ScenarioError(f"field(low={low}, high={high}): low is at most high")
    return Field(dtype, unit, long_name, default, low=low, high=high)


def vector(components: int, *, unit: str = "1", long_name: str = "", unit_length: bool = False) -> Any:
    """Declare a vector field; with ``unit_length`` start values of any non-zero length are normalised."""
    if components < 1:
        raise ScenarioError(f"a vector has at least one component, not {components}")
    return Field(float, unit, long_name, 0.0, components, None, unit_length)


def reference(to: Population | None = None, *, long_name: str = "") -> Any:
    """Declare a field that names an agent of population ``to`` (its own when omitted), or nobody (-1).

    In phases it is read and written as an index, like ``me`` and ``other``; files and start states hold ids.
    """
    return Field(int, "1", long_name, NOBODY, 0, to, names_agents=True)


@dataclass(frozen=True)
class FieldReference:
    """A field of a population, as named in a declaration: ``agents.opinion``."""

    population: Population
    field: Field

    def __str__(self) -> str:
        return f"{self.population.name}.{self.field.name}"


@dataclass(eq=False)
class Population:
    """A declared population; its name is its attribute in the scenario class."""

    size: str | int
    capacity: str | int | None
    fields: dict[str, Field]
    dim: str = ""
    name: str = ""
    inboxes: dict[str, Field] = dataclass_field(default_factory=dict)

    def __getattr__(self, name: str) -> FieldReference:
        if name.startswith("__"):
            raise AttributeError(name)
        fields = self.__dict__.get("fields", {})
        if name in fields:
            return FieldReference(self, fields[name])
        raise ScenarioError(f"population {self.name or '(unnamed)'} has no field {name!r}{nearest(name, fields)}")

    @property
    def dynamic(self) -> bool:
        """Whether agents are born or die; then ``capacity`` bounds how many live at once."""
        return self.capacity is not None

    def bind(self, name: str) -> None:
        """Give the population its name, and its dimension: the name without a plural s."""
        self.name = name
        if not self.dim:
            self.dim = name[:-1] if name.endswith("s") and len(name) > 2 else name


def population(size: str | int, capacity: str | int | None = None, dim: str = "", **fields: Any) -> Any:
    """Declare a population of ``size`` agents (a number or a parameter's name) with the given fields.

    With ``capacity`` agents may be born and die; ids are never reused.
    """
    named: dict[str, Field] = {}
    for name, declared in fields.items():
        if not isinstance(declared, Field):
            raise ScenarioError(f"{name}: declare it with field(), vector() or reference(), not {declared!r}")
        if name in TAKEN:
            raise ScenarioError(f"field name {name!r} is taken by the population itself; choose another")
        named[name] = replace(declared, name=name)
    return Population(size, capacity, named, dim)
