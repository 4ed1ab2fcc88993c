"""Window: agents within reach of one another in one field, found by sorting, with totals from prefix sums."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from simengine.errors import InputError, ScenarioError
from simengine.relations.base import Body, Code, GatherBody, Relation, Scope, resolve_number
from simengine.scenario.population import FieldReference

MODULE = "simengine.arrays.windows"


class Window(Relation):
    """Each agent sees those whose value of a field differs from its own by at most ``reach``, itself excluded.

    ``near = Window(agents.opinion, reach="bound")``; the differences are those of floating-point numbers, so that who
    is to see others at *exactly* the reach declares a reach that is a little wider. ``sees`` is the field of another
    population, when that is whom agents see. ``reach`` is a number, a parameter's name, a function of the parameters,
    or a field of the agents that look, which gives each its own; nobody is within a negative reach.

    Others come by value and id (where agents act in turn, by id). A gather whose totals and counts depend on the other
    alone, ``acc.total += agents.opinion[other]``, costs a sort and an addition of whole numbers for each agent,
    however many it sees; the totals are exact and rounded once, for contributions whose exponents span up to 2**75,
    and not a number when one of them is infinite. Any other gather visits them one by one.
    """

    def __init__(self, value: FieldReference, *, reach: Any, sees: FieldReference | None = None) -> None:
        self.value, self.seen, self.reach = value, sees or value, reach
        for field in (self.value, self.seen):
            if not isinstance(field, FieldReference) or field.field.components or field.field.dtype is bool:
                raise ScenarioError("Window() takes a field of one number an agent, as in Window(agents.opinion, ...)")
            if field.field.names_agents:
                raise ScenarioError(f"Window(): {field} names agents; their ids are no place on a line")
        if isinstance(reach, FieldReference) and reach.population is not value.population:
            raise ScenarioError("Window(reach=...): a reach of each agent's own is a field of the agents that look")
        self.source, self.target = value.population, self.seen.population

    @property
    def _in_order(self) -> bool:
        """Whether those who look stand in the same order as those who are seen, with one reach."""
        return self.value == self.seen and not isinstance(self.reach, FieldReference)

    def looks_at(self) -> tuple[FieldReference, ...]:
        """The values of others."""
        return (self.seen,)

    def scalars(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The reach; refuses one that is negative."""
        if isinstance(self.reach, FieldReference):
            return {}
        reach = float(resolve_number(self.reach, parameters, "reach"))
        if not (reach >= 0 and math.isfinite(reach)):
            raise InputError(f"the reach must be a finite number from 0, got {reach!r}")
        return {"reach": reach}

    def work(self, capacity: Mapping[str, int]) -> dict[str, tuple[str, Any]]:
        """The order of those who are seen, where each of them stands in it, and the windows."""
        seen = capacity[self.target.name]
        return {
            "sequence": ("int64", seen), "sorted_before": ("int64", 1), "place_of": ("int64", seen),
            "low": ("int64", seen if self._in_order else 0), "high": ("int64", seen if self._in_order else 0),
        }  # fmt: skip

    def prepare(self, code: Code, scope: Scope) -> None:
        """Sort those who are seen."""
        if scope.sequential:
            return
        sort, places = scope.imports(MODULE, "sort_by_value"), scope.imports(MODULE, "places")
        target, sequence = self.target, scope.work(self, "sequence")
        before = scope.work(self, "sorted_before")
        # Births and deaths change which slots there are to sort.
        guess = "False" if target.dynamic else f"{before}[0] == 1"
        code.line(
            f"{scope.own(self, 'numbers')} = {sort}({scope.field(self.seen)}, {scope.order(target)}, "
            f"{scope.ids(target)}, {scope.living(target)}, {guess}, {sequence})"
        )
        code.line(f"{before}[0] = 1")
        numbers = scope.own(self, "numbers")
        code.line(f"{places}({sequence}, {scope.living(target)}, {numbers}, {scope.work(self, 'place_of')})")
        if self._in_order:
            bounds = scope.imports(MODULE, "bounds_in_order")
            code.line(
                f"{bounds}({scope.field(self.seen)}, {sequence}, {numbers}, {scope.scalar(self, 'reach')}, "
                f"{scope.work(self, 'low')}, {scope.work(self, 'high')})"
            )

    def emit_gather(self, code: Code, scope: Scope, body: GatherBody, parallel: bool) -> bool:
        """Emit a gather from prefix sums, where what is added depends on the other alone."""
        if not body.of_others_alone:
            return False
        self.prepare(code, scope)
        target, sequence = self.target, scope.work(self, "sequence")
        parts = body.totals
        for name, kind in parts.items():
            code.line(f"part_{name} = np.empty({scope.living(target)}, np.{kind})")
        with code.block(f"for place in range({scope.living(target)}):"):
            code.line(f"other = {sequence}[place]")
            body.contribute(code)
            for name in parts:
                code.line(f"part_{name}[place] = acc_{name}")
        for name, kind in parts.items():
            if kind == "float64":
                code.line(f"sums_{name}, unit_{name} = {scope.imports(MODULE, 'prefix_sums')}(part_{name})")
            else:
                code.line(f"sums_{name} = {scope.imports(MODULE, 'prefix_counts')}(part_{name})")
        with self._each_place(code, scope, parallel) if self._in_order else body.each_agent(code, parallel):
            if not self._in_order:
                self._window(code, scope)
            for name, kind in parts.items():
                if kind == "float64":
                    between = scope.imports(MODULE, "sum_between")
                    code.line(f"acc_{name} = {between}(sums_{name}, unit_{name}, first, past, mine)")
                else:
                    between = scope.imports(MODULE, "count_between")
                    code.line(f"acc_{name} = {between}(sums_{name}, first, past, mine)")
            body.hand_over(code)
        return True

    def _each_place(self, code: Code, scope: Scope, parallel: bool) -> ExitStack:
        """Open the loop over those who look in the order of their values, whose windows lie near one another."""
        chunks, living = scope.chunks(), scope.living(self.target)
        stack = ExitStack()
        stack.enter_context(code.block(f"for chunk in {'prange' if parallel else 'range'}({chunks}):"))
        bounds = f"np.uint64(chunk * {living} // {chunks}), np.uint64((chunk + 1) * {living} // {chunks})"
        stack.enter_context(code.block(f"for place in range({bounds}):"))
        code.line(f"me = np.uint64({scope.work(self, 'sequence')}[place])")
        if scope.shared_out:
            acting = scope.acting(self.source)
            with code.block(f"if me < np.uint64({acting}[0]) or me >= np.uint64({acting}[1]):"):
                code.line("continue")
        code.line("first, past, mine = np.int64(0), np.int64(0), np.int64(-1)")
        with code.block(f"if place < np.uint64({scope.own(self, 'numbers')}):"):
            low, high = scope.work(self, "low"), scope.work(self, "high")
            code.line(f"first, past, mine = {low}[place], {high}[place], np.int64(place)")
        return stack

    def _window(self, code: Code, scope: Scope) -> None:
        """Set ``first``, ``past`` and ``mine``, the place of ``me`` among them or -1."""
        same = self.source is self.target
        code.line(f"mine = {scope.work(self, 'place_of')}[me]" if same else "mine = np.int64(-1)")
        if self._in_order:
            code.line("first, past = np.int64(0), np.int64(0)")
            with code.block("if mine >= 0:"):
                code.line(f"first, past = {scope.work(self, 'low')}[mine], {scope.work(self, 'high')}[mine]")
            return
        bounds = scope.imports(MODULE, "bounds_of")
        own = isinstance(self.reach, FieldReference)
        reach = f"{scope.field(self.reach)}[me]" if own else scope.scalar(self, "reach")
        code.line(
            f"first, past = {bounds}({scope.field(self.value)}[me], {scope.field(self.seen)}, "
            f"{scope.work(self, 'sequence')}, {scope.own(self, 'numbers')}, {reach})"
        )
        if same:
            with code.block("if mine < first or mine >= past:"):
                code.line("mine = -1")

    def visit(self, code: Code, scope: Scope, body: Body) -> None:
        """Visit those in the window, by value and id; where agents act in turn, everybody is compared, by id."""
        if scope.sequential:
            self._visit_all(code, scope, body)
            return
        self._window(code, scope)
        with code.block("for place in range(first, past):"):
            if self.source is self.target:
                with code.block("if place == mine:"):
                    code.line("continue")
            code.line(f"other = {scope.work(self, 'sequence')}[place]")
            body()

    def _visit_all(self, code: Code, scope: Scope, body: Body) -> None:
        own = isinstance(self.reach, FieldReference)
        reach = f"{scope.field(self.reach)}[me]" if own else scope.scalar(self, "reach")
        here, seen = scope.field(self.value), scope.field(self.seen)
        with code.block(f"for rank in range({scope.living(self.target)}):"):
            code.line(f"other = {scope.order(self.target)}[rank]")
            skip = [f"not abs({seen}[other] - {here}[me]) <= {reach}"]
            if self.source is self.target:
                skip.append("other == me")
            if self.target.dynamic:
                skip.append(f"not {scope.alive(self.target)}[other]")
            with code.block(f"if {' or '.join(skip)}:"):
                code.line("continue")
            body()
