"""The loops of a space: over cells, or over all pairs, with the author's gather inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from simengine.relations.base import Code, GatherBody, Scope

if TYPE_CHECKING:
    from simengine.relations.space import Space

WIDTH = 8
SLACK = 2 * WIDTH
MOST_RUNS = 18


def functions(scope: Scope, module: str) -> Callable[[str], str]:
    """The names under which the generated module knows functions of a module of arrays."""
    return lambda name: scope.imports(f"simengine.arrays.{module}", name)


def emit_cells(space: Space, code: Code, scope: Scope, body: GatherBody, parallel: bool) -> None:
    """Sort both populations into cells; for each cell gather candidates once, then let its agents look."""
    d = space.dimensions
    grid = scope.scalar(space, "grid")
    boundary = scope.static(space).boundary
    chunks = scope.chunks()
    loop = "prange" if parallel else "range"
    function = functions(scope, "cells")
    start, table = scope.scalar(space, "start"), scope.work(space, "table")
    positions = _positions(space, code, scope, seen=True)
    code.line(f"n_seen = {scope.living(space.target)}")
    if boundary == "open":
        code.line(f"n_cells = {function('fit_open_grid')}({grid}, {positions}, n_seen, {scope.scalar(space, 'reach')})")
    else:
        code.line(f"n_cells = {grid}.shape[0] * {grid}.shape[1] * {grid}.shape[2]")
    slots = _sort(space, code, scope, positions, "n_seen", seen=True, loop=loop)
    with code.block(f"for chunk in {loop}({chunks}):"):
        span = f"chunk * n_seen // {chunks}, (chunk + 1) * n_seen // {chunks}"
        code.line(f"{function('take')}({scope.table(space.seen)}, {slots}, {span}, {table}, 0)")
        for name, row in _payload_rows(space, body).items():
            code.line(f"{function('take')}({scope.table_of(space.target, name)}, {slots}, {span}, {table}, {row})")
        _take_slots(space, code, table, slots, body, span)
    if space.source is space.target:
        own_start, own_slots = start, slots
    else:
        own_positions = _positions(space, code, scope, seen=False)
        code.line(f"n_looking = {scope.living(space.source)}")
        own_slots = _sort(space, code, scope, own_positions, "n_looking", seen=False, loop=loop)
        own_start = scope.scalar(space, "own_start")
    code.line(f"used = {table}[:{_rows(space, body)}]")
    code.line(f"bounds = np.empty({chunks} + 1, np.int64)")
    code.line(f"{function('chunk_cells')}({own_start}, n_cells, {chunks}, bounds)")
    with code.block(f"for chunk in {loop}({chunks}):"):
        code.line(f"candidates = {function('scratch')}({_rows(space, body)}, 1024)")
        code.line(f"near = np.empty(candidates.shape[1] + {SLACK}, np.int32)")
        code.line(f"runs, shifts = np.empty(({MOST_RUNS}, 2), np.int64), np.empty(({MOST_RUNS}, 3))")
        with code.block("for cell in range(bounds[chunk], bounds[chunk + 1]):"):
            code.line(f"low, high = np.int64({own_start}[cell]), np.int64({own_start}[cell + 1])")
            with code.block("if low == high:"):
                code.line("continue")
            _skip_cells_of_others(space, code, scope, own_slots)
            code.line(f"number, count, own = {function('neighbourhood')}({grid}, {start}, cell, runs, shifts)")
            with code.block(f"if count + {SLACK} > candidates.shape[1]:"):
                code.line(f"candidates = {function('scratch')}({_rows(space, body)}, 2 * count)")
                code.line(f"near = np.empty(candidates.shape[1] + {SLACK}, np.int32)")
            code.line(f"{function('copy_candidates')}(used, {d}, runs, shifts, number, candidates)")
            with code.block("for place in range(np.uint64(low), np.uint64(high)):"):
                code.line(f"me = np.uint64({own_slots}[place])")
                _skip_others(space, code, scope)
                own = "own + np.int64(place) - low" if space.source is space.target else "-1"
                here = _here(space, code, scope, sorted_table=table if space.source is space.target else None)
                code.line(
                    f"found = {function(f'filter_{d}')}(candidates, count, {here}, {scope.scalar(space, 'reach2')}, "
                    f"{own}, near)"
                )
                _look(space, code, scope, body, images=False)


def emit_pairs(space: Space, code: Code, scope: Scope, body: GatherBody, parallel: bool) -> None:
    """Compare everyone with everyone, by ascending id."""
    d = space.dimensions
    chunks = scope.chunks()
    loop = "prange" if parallel else "range"
    function = functions(scope, "cells")
    table, slots = scope.work(space, "table"), scope.work(space, "slots")
    code.line(f"n_seen = {scope.living(space.target)}")
    with code.block("for rank in range(n_seen):"):
        code.line(f"{slots}[rank] = {scope.order(space.target)}[rank]")
    code.line(f"{function('take')}({scope.table(space.seen)}, {slots}, 0, n_seen, {table}, 0)")
    for name, row in _payload_rows(space, body).items():
        code.line(f"{function('take')}({scope.table_of(space.target, name)}, {slots}, 0, n_seen, {table}, {row})")
    _take_slots(space, code, table, slots, body, "0, n_seen")
    code.line(f"{table}[:{d}, n_seen:n_seen + {2 * WIDTH}] = np.inf")
    code.line(f"n_looking = {scope.living(space.source)}")
    with code.block(f"for chunk in {loop}({chunks}):"):
        code.line(f"candidates = {table}")
        code.line(f"near = np.empty(n_seen + {SLACK}, np.int32)")
        first, last = f"chunk * n_looking // {chunks}", f"(chunk + 1) * n_looking // {chunks}"
        with code.block(f"for place in range(np.uint64({first}), np.uint64({last})):"):
            code.line(f"me = np.uint64({scope.order(space.source)}[place])")
            _skip_others(space, code, scope)
            here = _here(space, code, scope, sorted_table=None)
            own = "np.int64(place)" if space.source is space.target else "-1"
            if body.on_lanes and scope.static(space).crowded:
                _look_at_all(space, code, scope, body, own)
            else:
                code.line(
                    f"found = {function(f'filter_all_{d}')}(candidates, n_seen, {here}, "
                    f"{scope.scalar(space, 'lengths')}, {scope.scalar(space, 'reach2')}, {own}, near)"
                )
                _look(space, code, scope, body, images=scope.static(space).boundary == "periodic")


def _skip_others(space: Space, code: Code, scope: Scope) -> None:
    """Emit the test that leaves out agents that another shard acts for."""
    if scope.shared_out:
        acting = scope.acting(space.source)
        with code.block(f"if not np.uint64({acting}[0]) <= me < np.uint64({acting}[1]):"):
            code.line("continue")


def _skip_cells_of_others(space: Space, code: Code, scope: Scope, slots: str) -> None:
    """Emit the test that leaves out cells in which there is nobody that this shard acts for."""
    if scope.shared_out:
        acting = scope.acting(space.source)
        code.line("somebody = False")
        with code.block("for spot in range(low, high):"):
            code.line(f"somebody = somebody or {acting}[0] <= {slots}[spot] < {acting}[1]")
        with code.block("if not somebody:"):
            code.line("continue")


def _look_at_all(space: Space, code: Code, scope: Scope, body: GatherBody, own: str) -> None:
    """Emit one pass over everybody, eight at a time; those out of reach, and oneself, do not count."""
    vector = functions(scope, "vector")
    rows = _payload_rows(space, body) | {space.seen.field.name: 0}
    loaded = vector("load") + "(candidates, {}, near_place)"
    body.start(code)
    with code.block(f"for near_place in range(0, n_seen, {WIDTH}):"):
        emit_offsets(space, code, scope, loaded, scope.static(space).boundary == "periodic", body, always=True)
        others = f"{vector('differs')}({vector('count_from')}(near_place), {own})"
        code.line(f"live = (square < {scope.scalar(space, 'reach2')}) & {others}")
        body.call(code, lambda name, component: loaded.format(rows[name] + component), _own_values(space, scope, rows))
    body.store(code)


def _own_values(space: Space, scope: Scope, rows: dict[str, int]) -> Callable[[str, int], str | None]:
    """Where the values of ``me`` lie in the sorted table, if they do."""
    same = space.source is space.target

    def mine(name: str, component: int) -> str | None:
        return f"{scope.work(space, 'table')}[{rows[name] + component}, place]" if same and name in rows else None

    return mine


def _positions(space: Space, code: Code, scope: Scope, seen: bool) -> str:
    """A table of positions without gaps: the field itself, or the living by rank when agents come and go."""
    population, field, prefix = (space.target, space.seen, "") if seen else (space.source, space.position, "own_")
    if not population.dynamic:
        return scope.table(field)
    compact, ranks = scope.work(space, f"{prefix}compact"), scope.work(space, f"{prefix}ranks")
    with code.block(f"for rank in range({scope.living(population)}):"):
        code.line(f"{ranks}[rank] = rank")
        for axis in range(space.dimensions):
            code.line(f"{compact}[{axis}, rank] = {scope.field(field, axis)}[{scope.order(population)}[rank]]")
    return compact


def _sort(space: Space, code: Code, scope: Scope, positions: str, count: str, seen: bool, loop: str) -> str:
    """Sort a population by (cell, id); return the array of slots in that order."""
    population, prefix = (space.target, "") if seen else (space.source, "own_")
    function = functions(scope, "cells")
    cell, slots = (scope.work(space, prefix + name) for name in ("cell", "slots"))
    start = scope.scalar(space, f"{prefix}start")
    ids = scope.work(space, f"{prefix}ranks") if population.dynamic else scope.ids(population)
    chunks = scope.chunks()
    with code.block(f"for chunk in {loop}({chunks}):"):
        span = f"chunk * {count} // {chunks}, (chunk + 1) * {count} // {chunks}"
        code.line(f"{function('assign')}({scope.scalar(space, 'grid')}, {positions}, {span}, {cell})")
    code.line(f"{function('sort')}({cell}, {ids}, {count}, n_cells, {start}, {slots})")
    if population.dynamic:
        with code.block(f"for rank in range({count}):"):
            code.line(f"{slots}[rank] = {scope.order(population)}[{slots}[rank]]")
    return slots


def _payload_rows(space: Space, body: GatherBody) -> dict[str, int]:
    """The row of the sorted table at which each field that the gather reads of others begins."""
    rows: dict[str, int] = {}
    next_row = space.dimensions
    for name in body.fields_of_others:
        if name == space.seen.field.name:
            continue
        rows[name] = next_row
        next_row += space.target.fields[name].rows
    return rows


def _rows(space: Space, body: GatherBody) -> int:
    """The rows of the sorted table in use; the last one holds slots when the gather asks who the other is."""
    fields = sum(space.target.fields[name].rows for name in _payload_rows(space, body))
    return space.dimensions + fields + (1 if body.needs_other else 0)


def _take_slots(space: Space, code: Code, table: str, slots: str, body: GatherBody, span: str) -> None:
    if body.needs_other:
        with code.block(f"for place in range({span}):"):
            code.line(f"{table}[{_rows(space, body) - 1}, place] = {slots}[place]")


def _here(space: Space, code: Code, scope: Scope, sorted_table: str | None) -> str:
    """Emit my position; return the names of its components."""
    for axis in range(space.dimensions):
        value = f"{sorted_table}[{axis}, place]" if sorted_table else f"{scope.field(space.position, axis)}[me]"
        code.line(f"here_{axis} = {value}")
    return ", ".join(f"here_{axis}" for axis in range(space.dimensions))


def _look(space: Space, code: Code, scope: Scope, body: GatherBody, images: bool) -> None:
    """Emit the second pass, over those within reach: eight at a time where the gather allows it."""
    vector = functions(scope, "vector")
    rows = _payload_rows(space, body) | {space.seen.field.name: 0}
    mine = _own_values(space, scope, rows)
    if body.needs_id:
        code.line(f"me_id = {scope.ids(space.source)}[me]")
    body.start(code)
    if body.on_lanes:
        with code.block(f"for near_place in range(0, found, {WIDTH}):"):
            code.line(f"live = {vector('first')}(found - near_place)")
            code.line(f"other_place = {vector('load_places')}(near, near_place)")
            picked = vector("pick") + "(candidates, {}, other_place)"
            emit_offsets(space, code, scope, picked, images, body)
            body.call(code, lambda name, component: picked.format(rows[name] + component), mine)
    else:
        with code.block("for near_place in range(found):"):
            code.line("other_place = near[near_place]")
            picked = "candidates[{}, other_place]"
            emit_offsets(space, code, scope, picked, images, body)
            if body.needs_other:
                code.line(f"other = np.int64({picked.format(_rows(space, body) - 1)})")
            body.call(code, lambda name, component: picked.format(rows[name] + component), mine)
    body.store(code)


def emit_offsets(
    space: Space, code: Code, scope: Scope, picked: str, images: bool, body: GatherBody, always: bool = False
) -> None:
    """Emit offset, distance and direction, as far as the gather asks for them.

    With ``always``, the squared distance is emitted in any case.
    """
    if not (body.needs_offset or always):
        return
    image = scope.imports("simengine.arrays.cells", "nearest_image") if images else ""
    for axis in range(space.dimensions):
        difference = f"{picked.format(axis)} - here_{axis}"
        if images:
            difference = f"{image}({difference}, {scope.scalar(space, 'period')})"
        code.line(f"offset_{axis} = {difference}")
    if body.needs_distance or always:
        square = " + ".join(f"offset_{axis} * offset_{axis}" for axis in range(space.dimensions))
        code.line(f"square = {square}")
    if body.needs_distance and body.on_lanes:
        code.line(f"distance, inverse = {functions(scope, 'vector')('root_and_inverse')}(square)")
    elif body.needs_distance:
        code.line("distance = math.sqrt(square)")
    if body.needs_direction:
        if not body.on_lanes:
            code.line("inverse = 1.0 / distance if distance > 0.0 else np.inf")
        for axis in range(space.dimensions):
            code.line(f"direction_{axis} = offset_{axis} * inverse")
