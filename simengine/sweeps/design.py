"""A design: the points of a sweep, that is, which values its parameters take together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simengine.errors import InputError, StoreError
from simengine.scenario.parameters import shown

MOST_RUNS = 10_000_000
"""The most runs of one sweep, and the most points of one design."""

KINDS = ("grid", "points", "latin hypercube", "sobol", "morris", "saltelli", "adaptive")


@dataclass(frozen=True)
class Design:
    """The points of a sweep, numbered from 0 in the order in which they stand here.

    Parameters
    ----------
    kind
        One of ``"grid"``, ``"points"``, ``"latin hypercube"``, ``"sobol"``, ``"morris"``, ``"saltelli"``,
        ``"adaptive"``.
    names
        The parameters that are swept, in the user's order.
    columns
        By parameter, one plain Python value per point.
    shape
        Of a full grid the number of levels along each axis, the points being in C order of ``names``; otherwise
        ``None``.
    details
        How the points came about, as JSON: bounds, numbers, seeds, and the problem as SALib wants it. Under
        ``"rows"`` a sample that visits points more than once has, for each of its rows, the number of its point.
    """

    kind: str
    names: tuple[str, ...]
    columns: Mapping[str, tuple[Any, ...]]
    shape: tuple[int, ...] | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.columns[self.names[0]]) if self.names else 0

    def point(self, number: int) -> dict[str, Any]:
        """Return the values of the swept parameters at one point."""
        return {name: self.columns[name][number] for name in self.names}

    def described(self, number: int) -> str:
        """Return a point in words, for messages: ``point 3 (noise=0.1, n_agents=50)``."""
        return f"point {number} ({listed(self.point(number))})"

    def to_json(self) -> dict[str, Any]:
        """Return the design as JSON; a full grid as its levels only."""
        said: dict[str, Any] = {"kind": self.kind, "names": list(self.names), "details": dict(self.details)}
        if self.shape is not None:
            return {**said, "levels": {name: list(levels) for name, levels in levels_of(self).items()}}
        return {**said, "columns": {name: list(self.columns[name]) for name in self.names}}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Design:
        """Return the design that was written; ``StoreError`` when it was none."""
        try:
            kind, names, details = str(said["kind"]), tuple(map(str, said["names"])), dict(said["details"])
            if kind not in KINDS:
                raise ValueError(f"there is no kind {kind!r}")
            if "levels" in said:
                return full_grid({name: tuple(said["levels"][name]) for name in names}, details)
            columns = {name: tuple(said["columns"][name]) for name in names}
            if len({len(column) for column in columns.values()}) > 1:
                raise ValueError("its columns differ in length")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            what = f"it has no {error}" if isinstance(error, KeyError) else str(error)
            raise StoreError(f"this is no design of a sweep: {what}") from None
        return cls(kind, names, columns, None, details)


def full_grid(levels: Mapping[str, Sequence[Any]], details: Mapping[str, Any] | None = None) -> Design:
    """Return the grid of all combinations of levels, the last parameter changing fastest."""
    sizes = tuple(map(len, levels.values()))
    refuse_too_many(math.prod(sizes), " x ".join(f"{len(values)} {name}" for name, values in levels.items()))
    columns: dict[str, tuple[Any, ...]] = {}
    before, after = 1, math.prod(sizes)
    for name, values in levels.items():
        after //= max(len(values), 1)
        columns[name] = tuple(value for value in values for _ in range(after)) * before
        before *= len(values)
    return Design("grid", tuple(levels), columns, sizes, details or {})


def levels_of(design: Design) -> dict[str, tuple[Any, ...]]:
    """Return the values along each axis of a full grid."""
    assert design.shape is not None
    found: dict[str, tuple[Any, ...]] = {}
    after = len(design)
    for name, size in zip(design.names, design.shape, strict=True):
        after //= max(size, 1)
        found[name] = design.columns[name][: after * size : max(after, 1)]
    return found


def refuse_too_many(points: int, what: str) -> None:
    """Raise ``InputError`` for a design that is too large to write down."""
    if points > MOST_RUNS:
        raise InputError(f"{what}: {points:,} points, at most {MOST_RUNS:,} runs are allowed in one sweep")


def plain(what: str, value: Any) -> Any:
    """Return a value of a parameter as Python's own number, text, boolean or ``None``; ``InputError`` otherwise."""
    if type(value) in (float, int, str, bool) or value is None:
        return value
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()
    if not isinstance(value, bool | int | float | str):
        raise InputError(f"{what}: got {shown(value)}, a value is a number, a text, a boolean or None")
    return value


def joined(what: str, values: Any, more: Mapping[str, Any]) -> dict[str, Any]:
    """Return values given as a mapping and by keyword together."""
    if values is None:
        return dict(more)
    if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
        raise InputError(f"{what}: got {shown(values)}, allowed are values by parameter")
    for name in more:
        if name in values:
            raise InputError(f"{what}: {name} is given twice")
    return {**values, **more}


def listed(point: Mapping[str, Any]) -> str:
    """Return values by name in words: ``noise=0.1, n_agents=50``."""
    return ", ".join(f"{name}={shown(value)}" for name, value in point.items())
