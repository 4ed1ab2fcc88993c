"""Space: agents within reach of one another, in a periodic, reflecting or open box.

Neighbours are found by cell lists, or by comparing all pairs in small populations and where the reach is at least a
third of a periodic box. The order is canonical, by cell and id (by id when all pairs are compared), so that
storage, threads and history cannot show.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from simengine.errors import InputError, ScenarioError, nearest
from simengine.relations.base import Body, Code, GatherBody, Relation, Scope, resolve_number
from simengine.relations.space_loops import emit_cells, emit_pairs
from simengine.relations.space_turns import by_turns, emit_look, emit_moved, emit_scratch, emit_sorting, has_cells
from simengine.scenario.population import FieldReference

BOUNDARIES = ("periodic", "reflecting", "open")
# Up to this many agents, comparing one with all of them in vector registers costs less than keeping cells.
PAIRS_UP_TO = 512
PAIRS_IN_TURN_UP_TO = 64
# All pairs are looked at without a first pass when at least this share of the box is within reach, and, in open space,
# where groups keep together, in populations up to this size.
CROWDED_SHARE = 0.3
CROWDED_IN_THE_OPEN = 256
# When agents act one after another, cells are wider than the reach by this share of it.
SLACK_SHARE = 0.25
CELLS_PER_AGENT = 8
SPARE = 64


class Choices(NamedTuple):
    """What follows from the parameters and changes the generated code."""

    boundary: str
    """The boundary that applies."""
    by_cells: bool
    """Whether a synchronous phase finds neighbours through cells, rather than among all pairs."""
    by_cells_in_turn: bool
    """Whether phases in which agents act one after another do."""
    crowded: bool
    """Whether all pairs are looked at without sorting out those in reach first."""


class Space(Relation):
    """Each agent sees those within ``reach`` of its ``position`` (distance <= reach), itself excluded.

    ``position`` is a vector field of 2 or 3 components; ``sees`` the position field of another population, when
    that is whom agents see. ``reach`` and ``box`` are numbers, parameters' names or functions of the parameters.
    ``box`` is the side of the box, from 0, the same on every axis; without it (or when it is ``None``) space is open.
    ``boundary`` is ``"periodic"`` (nearest images) or ``"reflecting"`` (``velocity`` is turned round there).
    Positions that a phase writes are brought back into the box. Gathers may ask for ``offset`` (from me to other),
    ``distance`` and ``direction`` (the offset divided by the distance; not a number where the distance is 0).
    """

    gives = frozenset({"offset", "distance", "direction"})

    def __init__(
        self,
        position: FieldReference,
        *,
        reach: Any,
        sees: FieldReference | None = None,
        box: Any = None,
        boundary: Literal["periodic", "reflecting", "open"] = "periodic",
        velocity: FieldReference | None = None,
    ) -> None:
        if boundary not in BOUNDARIES:
            raise ScenarioError(
                f"boundary is one of {', '.join(BOUNDARIES)}, not {boundary!r}{nearest(boundary, BOUNDARIES)}"
            )
        self.position, self.seen = position, sees or position
        for field in (self.position, self.seen):
            if not isinstance(field, FieldReference) or field.field.components not in {2, 3}:
                raise ScenarioError(
                    "Space() takes a field declared with vector(2) or vector(3), as in Space(agents.position, ...)"
                )
        if self.position.field.components != self.seen.field.components:
            raise ScenarioError("Space(sees=...): both positions need as many components")
        if velocity is not None and velocity.population is not position.population:
            raise ScenarioError("Space(velocity=...): the velocity belongs to the agents whose position it is")
        self.source, self.target = position.population, self.seen.population
        self.reach, self.box, self.boundary, self.velocity = reach, box, boundary, velocity
        self.dimensions: int = position.field.components

    # -- what follows from the parameters ----------------------------------------------------------------------

    def side(self, parameters: Mapping[str, Any]) -> float | None:
        """The side of the box, ``None`` in open space."""
        box = resolve_number(self.box, parameters, "box")
        return None if box is None or self.boundary == "open" else float(box)

    def static(self, parameters: Mapping[str, Any]) -> Choices:
        """How neighbours are found, for these parameters."""
        side = self.side(parameters)
        boundary = "open" if side is None else self.boundary
        by_cells, in_turn = self._grid(parameters) is not None, self._turn_grid(parameters) is not None
        return Choices(boundary, by_cells, in_turn, not by_cells and self._crowded(parameters))

    def _crowded(self, parameters: Mapping[str, Any]) -> bool:
        """Whether so many are within reach that sorting the others out first costs more than it saves."""
        side, agents = self.side(parameters), self._agents(parameters)
        if side is None:
            return agents <= CROWDED_IN_THE_OPEN
        reach = float(resolve_number(self.reach, parameters, "reach"))
        volume = math.pi * reach**2 if self.dimensions == 2 else 4.0 / 3.0 * math.pi * reach**3
        return volume > CROWDED_SHARE * side**self.dimensions

    def _agents(self, parameters: Mapping[str, Any]) -> int:
        size = self.target.capacity if self.target.capacity is not None else self.target.size
        return int(resolve_number(size, parameters, "size"))

    def _grid(self, parameters: Mapping[str, Any]) -> Any:
        reach = float(resolve_number(self.reach, parameters, "reach"))
        return None if self._agents(parameters) <= PAIRS_UP_TO else self._cells(parameters, reach)

    def _turn_grid(self, parameters: Mapping[str, Any]) -> Any:
        if self.target.dynamic or self._agents(parameters) <= PAIRS_IN_TURN_UP_TO:
            return None
        reach = float(resolve_number(self.reach, parameters, "reach"))
        return self._cells(parameters, reach * (1.0 + SLACK_SHARE))

    def _cells(self, parameters: Mapping[str, Any], reach: float) -> Any:
        from simengine.arrays import cells

        agents, side = self._agents(parameters), self.side(parameters)
        if side is None:
            return cells.open_grid(self.dimensions)
        n = self.dimensions
        return cells.box_grid(reach, [0.0] * n, [side] * n, [self.boundary == "periodic"] * n, agents)

    def accept(self, parameters: Mapping[str, Any]) -> None:
        """Refuse a reach or box that is not positive."""
        reach, side = float(resolve_number(self.reach, parameters, "reach")), self.side(parameters)
        if not (reach > 0 and math.isfinite(reach)):
            raise InputError(f"the reach must be positive and finite, got {reach!r}")
        if side is not None and not (side > 0 and math.isfinite(side)):
            raise InputError(f"the box must be positive and finite, got {side!r}")

    def scalars(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Reach, box and grid."""
        import numpy as np

        self.accept(parameters)
        reach, side = float(resolve_number(self.reach, parameters, "reach")), self.side(parameters)
        period = side if side is not None and self.boundary == "periodic" else 0.0
        grid, turn_grid = self._grid(parameters), self._turn_grid(parameters)
        cells = self._most_cells(parameters, (grid, turn_grid))
        return {
            "reach": reach,
            # The filter keeps squares strictly below its limit; this is the least limit that keeps distance == reach.
            "reach2": float(np.nextafter(reach * reach, np.inf)),
            "side": 0.0 if side is None else side,
            "period": period,
            "lengths": np.full(3, period),
            "grid": grid,
            "turn_grid": turn_grid,
            "turn_half": 0.5 * period if period else math.inf,
            "turn_reach": reach * (1.0 + SLACK_SHARE),
            "turn_limit2": (reach * SLACK_SHARE * (1.0 - 1e-9)) ** 2,
            # Where each cell begins. There are as many cells as all agents need, however few a shard holds.
            "start": np.zeros(cells, np.int32),
            "own_start": np.zeros(cells if self.source is not self.target else 0, np.int32),
        }

    def _most_cells(self, parameters: Mapping[str, Any], grids: tuple[Any, ...]) -> int:
        used = [grid for grid in grids if grid is not None]
        if used and self.side(parameters) is not None:
            return int(max(math.prod(grid.shape.tolist()) for grid in used)) + SPARE
        return CELLS_PER_AGENT * max(self._agents(parameters), 4) + SPARE if used else SPARE

    def work(self, capacity: Mapping[str, int]) -> dict[str, tuple[str, Any]]:
        """Cells, sorted places and the table of sorted fields."""
        seen, looking = capacity[self.target.name], capacity[self.source.name]
        rows = 1 + sum(field.rows for field in self.target.fields.values() if field.dtype is float)
        arrays: dict[str, tuple[str, Any]] = {
            "table": ("float64", (rows, seen + SPARE)),
            "slots": ("int32", seen + SPARE),
            "cell": ("int32", seen),
            "compact": ("float64", (self.dimensions, seen + SPARE)),
            "ranks": ("int64", seen),
            "turn_table": ("float64", (rows, seen + 2 * SPARE + 8 * (8 + math.isqrt(seen)))),
            "place_of": ("int64", seen),
            "home": ("float64", (self.dimensions, seen)),
            "strays": ("int64", 2),
        }
        if self.source is not self.target:
            arrays |= {
                "own_cell": ("int32", looking),
                "own_slots": ("int32", looking + SPARE),
                "own_compact": ("float64", (self.dimensions, looking + SPARE)),
                "own_ranks": ("int64", looking),
            }
        return arrays

    def looks_at(self) -> tuple[FieldReference, ...]:
        """Where others are."""
        return (self.seen,)

    # -- loops ---------------------------------------------------------------------------------------------------

    def emit_gather(self, code: Code, scope: Scope, body: GatherBody, parallel: bool) -> bool:
        """Emit the whole synchronous gather."""
        by_cells = scope.static(self).by_cells
        (emit_cells if by_cells else emit_pairs)(self, code, scope, body, parallel)
        return True

    def scratch(self, code: Code, scope: Scope) -> None:
        """Room for those within reach of one agent."""
        if self._keeps_table(scope):
            emit_scratch(self, code, scope)
        elif self._by_storage(scope):
            code.line(f"{scope.own(self, 'near')} = np.empty({scope.order(self.target)}.shape[0] + {SPARE}, np.int32)")

    def _by_storage(self, scope: Scope) -> bool:
        """Whether storage is in order of id and complete, so that a table can be searched as it is."""
        return scope.sequential and not self.target.dynamic

    def visit(self, code: Code, scope: Scope, body: Body) -> None:
        """Compare one agent with all, by ascending id; used agent by agent and inside compositions."""
        axes = range(self.dimensions)
        image = scope.imports("simengine.arrays.cells", "nearest_image")
        period, limit = scope.scalar(self, "period"), scope.scalar(self, "reach2")
        seen = [scope.field(self.seen, axis) for axis in axes]
        for axis in axes:
            code.line(f"here_{axis} = {scope.field(self.position, axis)}[me]")
        alone = self.source is self.target
        if self._by_storage(scope):
            search = scope.imports("simengine.arrays.cells", f"filter_all_{self.dimensions}")
            here = ", ".join(f"here_{axis}" for axis in axes)
            code.line(
                f"found = {search}({scope.table(self.seen)}, {seen[0]}.shape[0], {here}, "
                f"{scope.scalar(self, 'lengths')}, {limit}, {'me' if alone else '-1'}, {scope.own(self, 'near')})"
            )
            loop, other = "for nearby in range(found):", f"np.int64({scope.own(self, 'near')}[nearby])"
        else:
            loop, other = f"for rank in range({scope.living(self.target)}):", f"{scope.order(self.target)}[rank]"
        with code.block(loop):
            code.line(f"other = {other}")
            skip = ["other == me"] if alone else []
            if self.target.dynamic and scope.sequential:
                skip.append(f"not {scope.alive(self.target)}[other]")
            if skip and not self._by_storage(scope):
                with code.block(f"if {' or '.join(skip)}:"):
                    code.line("continue")
            for axis in axes:
                code.line(f"offset_{axis} = {image}({seen[axis]}[other] - here_{axis}, {period})")
            square = " + ".join(f"offset_{axis} * offset_{axis}" for axis in axes)
            code.line(f"square = {square}")
            if not self._by_storage(scope):
                with code.block(f"if not square < {limit}:"):
                    code.line("continue")
            code.line("distance = math.sqrt(square)")
            code.line("inverse = 1.0 / distance if distance > 0.0 else np.inf")
            for axis in axes:
                code.line(f"direction_{axis} = offset_{axis} * inverse")
            body()

    def visit_lanes(self, code: Code, scope: Scope, body: GatherBody) -> bool:
        """Compare one agent with all, eight at a time, where storage can be searched as it is."""
        if not (by_turns(self, scope) if has_cells(self, scope) else self._by_storage(scope)):
            return False
        emit_look(self, code, scope, body)
        return True

    def prepare(self, code: Code, scope: Scope) -> None:
        """Sort everybody, when agents act one after another."""
        if self._keeps_table(scope):
            emit_sorting(self, code, scope)

    def moved(self, code: Code, scope: Scope) -> None:
        """Keep the sorted table up to date."""
        if self._keeps_table(scope):
            emit_moved(self, code, scope)

    def _keeps_table(self, scope: Scope) -> bool:
        return by_turns(self, scope) and has_cells(self, scope)

    def commit(self, code: Code, scope: Scope, written: Mapping[tuple[str, str, int], str]) -> None:
        """Bring written positions back into the box."""
        boundary = scope.static(self).boundary
        if boundary != "open":
            self._commit_field(code, scope, written, self.position, self.velocity, boundary)
            if self.seen != self.position:
                self._commit_field(code, scope, written, self.seen, None, boundary)

    def _commit_field(
        self, code: Code, scope: Scope, written: Mapping[tuple[str, str, int], str], field: FieldReference,
        velocity: FieldReference | None, boundary: str,
    ) -> None:  # fmt: skip
        for axis in range(self.dimensions):
            variable = written.get((field.population.name, field.field.name, axis))
            if variable is None:
                continue
            side = scope.scalar(self, "side")
            if boundary == "periodic":
                code.line(f"{variable} = {scope.imports('simengine.arrays.boundary', 'wrapped')}({variable}, {side})")
                continue
            reflected = scope.imports("simengine.arrays.boundary", "reflected")
            code.line(f"{variable}, turned = {reflected}({variable}, {side})")
            if velocity is not None:
                key = (velocity.population.name, velocity.field.name, axis)
                target = written.get(key) or f"{scope.field(velocity, axis)}[me]"
                code.line(f"{target} = -{target} if turned else {target}")


def cell_order(scalars: Mapping[str, Any], position: Any, ids: Any) -> Any:
    """The storage places of a population's agents by (cell, id): the order in which neighbours lie together."""
    import numpy as np

    from simengine.arrays import cells

    grid, agents = scalars["grid"], len(ids)
    if not grid.length.any() and scalars["side"] == 0.0:
        cells.fit_open_grid(grid, position, agents, scalars["reach"])
    n_cells = int(np.prod(grid.shape))
    cell, places = np.empty(agents, np.int32), np.empty(agents + SPARE, np.int32)
    start = np.empty(n_cells + 2, np.int32)
    cells.assign(grid, position, 0, agents, cell)
    cells.sort(cell, ids, agents, n_cells, start, places)
    return places[:agents].astype(np.int64)
