"""The loops of a space for agents that act one after another; see :mod:`simengine.arrays.turns`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simengine.relations.base import Code, GatherBody, Scope
from simengine.relations.space_loops import WIDTH, emit_offsets, functions

if TYPE_CHECKING:
    from simengine.relations.space import Space


def by_turns(space: Space, scope: Scope) -> bool:
    """Whether the table of neighbours can be kept up to date: no births, and nobody changes somebody else."""
    return (
        scope.sequential and not space.target.dynamic and not scope.written_elsewhere
        and (space.source is space.target or not any(owner == space.target.name for owner, _ in scope.written))
    )  # fmt: skip


def has_cells(space: Space, scope: Scope) -> bool:
    """Whether the box is large enough, and the population, for cells to pay."""
    return bool(scope.static(space).by_cells_in_turn)


def fields(space: Space) -> dict[str, int]:
    """The first row of every float field of the seen in the table; the position comes first."""
    rows = {space.seen.field.name: 0}
    following = space.dimensions
    for name, declared in space.target.fields.items():
        if declared.dtype is float and name not in rows:
            rows[name] = following
            following += declared.rows
    return rows


def emit_sorting(space: Space, code: Code, scope: Scope) -> None:
    """Sort everybody into the table."""
    turns = functions(scope, "turns")
    work = {name: scope.work(space, name) for name in ("cell", "slots", "turn_table", "place_of", "home", "strays")} | {
        "start": scope.scalar(space, "start")
    }
    living, grid = scope.living(space.target), scope.scalar(space, "turn_grid")
    if scope.static(space).boundary == "open":
        reach = scope.scalar(space, "turn_reach")
        code.line(f"{functions(scope, 'cells')('fit_open_grid')}({grid}, {scope.table(space.seen)}, {living}, {reach})")
    code.line(
        f"{turns('sort_table')}({grid}, {scope.table(space.seen)}, {scope.ids(space.target)}, {living}, "
        f"{work['cell']}, {work['start']}, {work['slots']}, {work['turn_table']}, {work['place_of']}, "
        f"{work['home']}, {work['strays']})"
    )
    for name, row in fields(space).items():
        if name != space.seen.field.name:
            table = scope.table_of(space.target, name)
            code.line(f"{turns('take_rows')}({table}, {work['slots']}, {living}, {work['turn_table']}, {row})")


def emit_scratch(space: Space, code: Code, scope: Scope) -> None:
    """Room for the neighbourhood of one agent."""
    code.line(f"{scope.own(space, 'near')} = np.empty({scope.work(space, 'turn_table')}.shape[1] + {WIDTH}, np.int32)")


def emit_look(space: Space, code: Code, scope: Scope, body: GatherBody) -> None:
    """Let one agent look: all accumulators are totals, eight neighbours at a time."""
    table, rows, near = scope.work(space, "turn_table"), fields(space), scope.own(space, "near")
    axes = range(space.dimensions)
    for axis in axes:
        code.line(f"here_{axis} = {scope.field(space.position, axis)}[me]")
    here = ", ".join([*(f"here_{axis}" for axis in axes), "0.0"][:3])
    own = f"{scope.work(space, 'place_of')}[me]" if space.source is space.target else "-1"
    if has_cells(space, scope):
        code.line(
            f"found = {functions(scope, 'turns')('look')}({scope.scalar(space, 'turn_grid')}, "
            f"{scope.scalar(space, 'start')}, {table}, {space.dimensions == 3}, {scope.work(space, 'strays')}, {here}, "
            f"{scope.scalar(space, 'period')}, {scope.scalar(space, 'reach2')}, {own}, {near})"
        )
    else:
        table, rows = "", {}
        code.line(
            f"found = {functions(scope, 'cells')(f'filter_all_{space.dimensions}')}({scope.table(space.seen)}, "
            f"{scope.living(space.target)}, {', '.join(f'here_{axis}' for axis in axes)}, "
            f"{scope.scalar(space, 'lengths')}, {scope.scalar(space, 'reach2')}, "
            f"{'me' if space.source is space.target else '-1'}, {near})"
        )
    vector = functions(scope, "vector")

    def read(name: str, component: int) -> str:
        if table:
            return f"{vector('pick')}({table}, {rows[name] + component}, other_place)"
        return f"{vector('pick')}({scope.table_of(space.target, name)}, {component}, other_place)"

    body.start(code)
    with code.block(f"for near_place in range(0, found, {WIDTH}):"):
        code.line(f"live = {vector('first')}(found - near_place)")
        code.line(f"other_place = {vector('load_places')}({near}, near_place)")
        picked = f"{vector('pick')}({table or scope.table(space.seen)}, {{}}, other_place)"
        emit_offsets(space, code, scope, picked, scope.static(space).boundary == "periodic", body)
        body.call(code, read, lambda name, component: None)
    body.add_up(code)


def emit_moved(space: Space, code: Code, scope: Scope) -> None:
    """Bring the table up to date after ``me`` has acted."""
    if space.source is not space.target:
        return
    changed = [name for owner, name in scope.written if owner == space.target.name and name in fields(space)]
    if not changed:
        return
    table, axes = scope.work(space, "turn_table"), range(space.dimensions)
    here = ", ".join([*(f"{scope.field(space.seen, axis)}[me]" for axis in axes), "0.0"][:3])
    total_rows = sum(declared.rows for declared in space.target.fields.values() if declared.dtype is float)
    code.line(
        f"place = {functions(scope, 'turns')('moved')}(me, {here}, {space.dimensions == 3}, "
        f"{scope.scalar(space, 'turn_half')}, {scope.scalar(space, 'period')}, {scope.scalar(space, 'turn_limit2')}, "
        f"{table}, {total_rows}, {scope.work(space, 'place_of')}, {scope.work(space, 'home')}, "
        f"{scope.work(space, 'strays')})"
    )
    with code.block("if place < 0:"):
        emit_sorting(space, code, scope)
    others = [name for name in sorted(changed) if name != space.seen.field.name]
    if others:
        with code.block("else:"):
            for name in others:
                for component in range(space.target.fields[name].rows):
                    value = scope.table_of(space.target, name)
                    code.line(f"{table}[{fields(space)[name] + component}, place] = {value}[{component}, me]")
