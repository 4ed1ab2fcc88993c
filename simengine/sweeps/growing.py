"""Designs that grow: points are only ever appended, and may fill a larger grid than the one they began with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.errors import InputError, nearest
from simengine.sweeps.design import Design, levels_of

GRID = "grid"
EXTENDED = "extended"


@dataclass(frozen=True)
class Gridded:
    """A grid that points fill.

    Parameters
    ----------
    levels
        By parameter, the values along its axis.
    order
        Number of the point in each cell, in C order; shape (cells,), int64.
    """

    levels: Mapping[str, tuple[Any, ...]]
    order: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of levels along each axis."""
        return tuple(map(len, self.levels.values()))


def gridded(design: Design) -> Gridded | None:
    """Return the grid that the points of a design fill, each cell once; None for any other design.

    The points of a grid that was extended are not in its order. Its levels are: numbers ascending, others in the
    order in which they first came.
    """
    if design.kind != GRID:
        return None
    if design.shape is not None:
        return Gridded(levels_of(design), np.arange(len(design), dtype=np.int64))
    levels = {name: _levels(design.columns[name]) for name in design.names}
    if math.prod(map(len, levels.values())) != len(design):
        return None
    cells = np.zeros(len(design), np.int64)
    for name, values in levels.items():
        place = {value: number for number, value in enumerate(values)}
        cells = cells * len(values) + np.array([place[value] for value in design.columns[name]], np.int64)
    order = np.full(len(design), -1, np.int64)
    order[cells] = np.arange(len(design))
    return Gridded(levels, order) if bool((order >= 0).all()) else None


def extended(design: Design, more: Design) -> Design:
    """Return a design with those points of another appended that it does not have yet.

    Both are `checked`, so that equal values are equal.

    Raises
    ------
    InputError
        If the other design sweeps other parameters.
    """
    for name in more.names:
        if name not in design.names:
            raise InputError(
                f"the sweep has no swept parameter {name!r}; it sweeps {', '.join(design.names)}"
                f"{nearest(name, design.names)}"
            )
    absent = [name for name in design.names if name not in more.names]
    if absent:
        raise InputError(f"the points to add need values of {', '.join(absent)} too")
    known = set(_rows(design, design.names))
    new = [row for row in dict.fromkeys(_rows(more, design.names)) if row not in known]
    if not new:
        return design
    columns = {
        name: (*design.columns[name], *values)
        for name, values in zip(design.names, zip(*new, strict=True), strict=True)
    }
    part = {"kind": more.kind, "points": len(new), **dict(more.details)}
    details = {**design.details, EXTENDED: [*design.details.get(EXTENDED, ()), part]}
    return Design(design.kind, design.names, columns, None, details)


def _rows(design: Design, names: Sequence[str]) -> list[tuple[Any, ...]]:
    return list(zip(*(design.columns[name] for name in names), strict=True))


def _levels(values: Sequence[Any]) -> tuple[Any, ...]:
    different = tuple(dict.fromkeys(values))
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in different)
    return tuple(sorted(different)) if numbers else different
