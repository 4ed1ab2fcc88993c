"""Grid: places in rows and columns, each of which sees those within reach."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simengine.errors import InputError, ScenarioError, nearest
from simengine.relations.base import Body, Code, Relation, Scope, resolve_number
from simengine.scenario.population import FieldReference, Population

BOUNDARIES = ("open", "periodic")


class Neighbourhood(NamedTuple):
    """What a place sees: offsets in canonical order, and how far from the border all of them are on the grid."""

    row_offsets: NDArray[np.int64]
    column_offsets: NDArray[np.int64]
    row_margins: tuple[int, int]
    column_margins: tuple[int, int]


def offsets(rows: int, columns: int, reach: float, periodic: bool, itself: bool = False) -> Neighbourhood:
    """Return the offsets within ``reach``, by row and column; on a periodic grid those of each place's nearest image.

    Of two images at the same distance the one at the larger offset stands for the place. ``itself`` includes (0, 0).
    """

    def along(side: int) -> NDArray[np.int64]:
        # math.floor of a reach beyond all numbers would overflow.
        most = math.floor(min(reach, side))
        low, high = ((side - 1) // 2, side // 2) if periodic else (side - 1, side - 1)
        return np.arange(-min(most, low), min(most, high) + 1)

    row, column = np.meshgrid(along(rows), along(columns), indexing="ij")
    # Roots of whole numbers are correctly rounded: a reach of sqrt(13) reaches (2, 3), though its square is below 13.
    seen = np.sqrt(row * row + column * column) <= reach
    if not itself:
        seen &= (row != 0) | (column != 0)
    row, column = row[seen], column[seen]
    empty = not row.size
    row_margins = (0, 0) if empty else (max(-int(row.min()), 0), max(int(row.max()), 0))
    column_margins = (0, 0) if empty else (max(-int(column.min()), 0), max(int(column.max()), 0))
    return Neighbourhood(row, column, row_margins, column_margins)


class Grid(Relation):
    """Each place of a grid sees the other places within a Euclidean distance: ``Grid(sites, rows=..., ...)``.

    ``near = Grid(sites, rows="height", columns="width", reach=2.0)``. Places are a population of fixed size, rows *
    columns of them; the one in row r and column c has the id r * columns + c, and lies one unit from those beside it.
    Reach 1 gives the four nearest (von Neumann), sqrt(2) the eight around (Moore), 2 the twelve nearest places.

    Others come by the offset of their row, then of their column. Gathers may ask for ``offset`` (rows and columns from
    me to other, of the nearest image) and ``distance``. Cost: the number of places within reach, for each who looks.

    This is no `Space`: places do not move, and are found by number.

    Parameters
    ----------
    places
        The population of places, which see one another; or a field of other agents that names the place at which each
        stands, ``agents.site = reference(to=sites)``: then agents see the places within reach of it, it included, and
        nothing while they stand nowhere.
    rows, columns, reach
        Numbers, parameters' names or functions of the parameters.
    boundary
        ``"open"`` (beyond the border there is nothing), ``"periodic"`` (a torus, on which every place is seen once, as
        its nearest image, however far agents see), or the name of a parameter or a function that gives one of them.
    """

    gives = frozenset({"offset", "distance"})

    def __init__(
        self,
        places: Population | FieldReference,
        *,
        rows: Any,
        columns: Any,
        reach: Any = 1.0,
        boundary: str | Callable[..., Any] = "open",
    ) -> None:
        self.at: FieldReference | None = None
        if isinstance(places, FieldReference) and places.field.names_agents:
            self.at, self.source = places, places.population
            self.target = places.field.reference or places.population
        elif isinstance(places, Population):
            self.source = self.target = places
        else:
            raise ScenarioError(
                "Grid() takes a population of places, or a field that names one, as in Grid(sites, ...) or "
                f"Grid(agents.site, ...); not {places!s:.60}"
            )
        if self.target.dynamic:
            raise ScenarioError("Grid(): its places are born and die (capacity=); a grid has a fixed number of them")
        self.rows, self.columns, self.reach, self.boundary = rows, columns, reach, boundary

    # -- what follows from the parameters ----------------------------------------------------------------------

    def static(self, parameters: Mapping[str, Any]) -> tuple[Any, ...]:
        """Whether the grid is periodic."""
        return (self._periodic(parameters),)

    def _periodic(self, parameters: Mapping[str, Any]) -> bool:
        given = self.boundary
        boundary = given if given in BOUNDARIES else resolve_number(given, parameters, "boundary")
        if boundary not in BOUNDARIES:
            raise InputError(
                f"boundary is one of {', '.join(BOUNDARIES)}, not {boundary!r}{nearest(str(boundary), BOUNDARIES)}"
            )
        return bool(boundary == "periodic")

    def _sides(self, parameters: Mapping[str, Any]) -> tuple[int, int]:
        sides = {name: resolve_number(getattr(self, name), parameters, name) for name in ("rows", "columns")}
        for name, side in sides.items():
            if side != int(side) or side < 1:
                raise InputError(f"a grid has a whole number of {name}, at least 1; got {side!r}")
        rows, columns = (int(side) for side in sides.values())
        places = int(resolve_number(self.target.size, parameters, "size"))
        if rows * columns != places:
            raise InputError(
                f"{rows} rows of {columns} make a grid of {rows * columns} places, but there are {places} "
                f"{self.target.name}"
            )
        return rows, columns

    def _reach(self, parameters: Mapping[str, Any]) -> float:
        reach = float(resolve_number(self.reach, parameters, "reach"))
        if not (reach >= 0 and math.isfinite(reach)):
            raise InputError(f"the reach must be a finite number from 0, got {reach!r}")
        return reach

    def accept(self, parameters: Mapping[str, Any]) -> None:
        """Refuse sides that do not make a grid of all places, and a reach that is no distance."""
        self._sides(parameters)
        self._reach(parameters)
        self._periodic(parameters)

    def scalars(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Sides, offsets, and the rows and columns from which all offsets lead to places of the grid."""
        rows, columns = self._sides(parameters)
        seen = offsets(rows, columns, self._reach(parameters), self._periodic(parameters), itself=self.at is not None)
        return {
            "rows": rows,
            "columns": columns,
            "first_row": seen.row_margins[0],
            "past_row": rows - seen.row_margins[1],
            "first_column": seen.column_margins[0],
            "past_column": columns - seen.column_margins[1],
            "row_offsets": seen.row_offsets,
            "column_offsets": seen.column_offsets,
            "jumps": seen.row_offsets * columns + seen.column_offsets,
            "distances": np.sqrt(seen.row_offsets**2 + seen.column_offsets**2),
        }

    def check(self, scenario: type) -> None:
        """Refuse a boundary that is neither one of those known nor a parameter."""
        known = {name for base in scenario.__mro__ for name in getattr(base, "__annotations__", {})}
        if isinstance(self.boundary, str) and self.boundary not in {*BOUNDARIES, *known}:
            raise ScenarioError(
                f"{scenario.__name__}.{self.name}: boundary is one of {', '.join(BOUNDARIES)}, or names a parameter; "
                f"not {self.boundary!r}{nearest(self.boundary, (*BOUNDARIES, *known))}"
            )

    # -- the loop ------------------------------------------------------------------------------------------------

    def visit(self, code: Code, scope: Scope, body: Body) -> None:
        """Visit the places within reach, by offset."""
        code.line(f"{scope.own(self, 'place')} = {'me_id' if self.at is None else f'{scope.field(self.at)}[me]'}")
        if self.at is None:
            self._visit_around(code, scope, body)
            return
        with code.block(f"if {scope.own(self, 'place')} >= 0:"):
            self._visit_around(code, scope, body)

    def _visit_around(self, code: Code, scope: Scope, body: Body) -> None:
        place, row, column = (scope.own(self, name) for name in ("place", "row", "column"))
        inside, step, seen = (scope.own(self, name) for name in ("inside", "step", "seen"))
        columns, jumps = scope.scalar(self, "columns"), scope.scalar(self, "jumps")
        row_offsets, column_offsets = scope.scalar(self, "row_offsets"), scope.scalar(self, "column_offsets")
        # Short and unsigned, which is a fast division; the places of a grid are fewer than 2**32.
        code.line(f"{row} = np.int64(np.uint32({place}) // np.uint32({columns}))")
        code.line(f"{column} = {place} - {row} * {columns}")
        # Decided outside the loop, so that places far from the border, most of them, are found by one addition.
        code.line(
            f"{inside} = {scope.scalar(self, 'first_row')} <= {row} < {scope.scalar(self, 'past_row')} and "
            f"{scope.scalar(self, 'first_column')} <= {column} < {scope.scalar(self, 'past_column')}"
        )
        with code.block(f"for {step} in range({jumps}.shape[0]):"):
            with code.block(f"if {inside}:"):
                code.line(f"{seen} = {place} + {jumps}[{step}]")
            with code.block("else:"):
                seen_row, seen_column = scope.own(self, "seen_row"), scope.own(self, "seen_column")
                code.line(f"{seen_row} = {row} + {row_offsets}[{step}]")
                code.line(f"{seen_column} = {column} + {column_offsets}[{step}]")
                for at, side in ((seen_row, scope.scalar(self, "rows")), (seen_column, columns)):
                    self._at_border(code, scope, at, side)
                code.line(f"{seen} = {seen_row} * {columns} + {seen_column}")
            # Unsigned, because numba lets signed indices count from the end, which costs a comparison for each.
            code.line(f"other = np.int64(np.uint32({scope.order(self.target)}[np.uint64({seen})]))")
            code.line(f"offset_0, offset_1 = float({row_offsets}[{step}]), float({column_offsets}[{step}])")
            code.line(f"distance = {scope.scalar(self, 'distances')}[{step}]")
            body()

    def _at_border(self, code: Code, scope: Scope, at: str, side: str) -> None:
        """Emit what happens to a row or column beyond the border."""
        if scope.static(self) == (True,):
            code.line(f"{at} += {side} if {at} < 0 else (-{side} if {at} >= {side} else 0)")
            return
        with code.block(f"if {at} < 0 or {at} >= {side}:"):
            code.line("continue")
