"""Emit gathers: the loop over those whom an agent sees, on lanes where the gather allows it, and its accumulators."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack

from simengine.compile.emit import (
    Function,
    argument_expressions,
    call_line,
    chunked,
    collect_on_the_spot,
    finish,
)
from simengine.compile.lanes import LaneForm, lane_form
from simengine.compile.lowered import Argument, Lowered
from simengine.compile.names import Lines, Names
from simengine.errors import ScenarioError
from simengine.relations.base import Code, Relation
from simengine.scenario.phases import Accumulator, AgentPhase, Gather
from simengine.scenario.population import Population


def visit_relation(
    code: Lines, names: Names, gather: Gather, lowered: Lowered, populations: dict[str, Population]
) -> str:
    """Emit one agent's loop over those it sees; return the prefix of the local variables that hold the result."""
    relation = gather.relation
    if names.sequential:
        call = GatherCall(gather, lowered, names, populations, lane_form(lowered))
        if call.on_lanes and relation.visit_lanes(code, names, call):
            return "sum"
    start_accumulators(code, gather)
    collect_on_the_spot(code, lowered, names, "me")

    def body() -> None:
        collect_on_the_spot(code, lowered, names, "other")
        if any(argument.kind == "other_id" for argument in lowered.arguments):
            code.line(f"other_id = {names.ids(relation.target)}[other]")
        arguments = argument_expressions(lowered, names, relation.source, populations, lambda a: a.variable)
        call_line(code, [result.variable for result in lowered.results], lowered.name, arguments)

    relation.visit(code, names, body)
    return "acc"


def emit_collector(gather: Gather, lowered: Lowered, names: Names, populations: dict[str, Population]) -> Function:
    """A gather for one agent, called where another gather reads what that agent collects, in a phase in turn."""
    relation = gather.relation
    if type(relation).prepare is not Relation.prepare or type(relation).scratch is not Relation.scratch:
        raise ScenarioError(
            f"{gather.where}: what others collect in {gather.name}() cannot be read in a phase in which agents act in "
            f"turn, as it looks over {type(relation).__name__}; a Network, Chosen and Everyone can be looked over there"
        )
    if any(argument.kind == "key" for argument in lowered.arguments):
        raise ScenarioError(
            f"{gather.where}: what others collect in {gather.name}() cannot be read in a phase in which agents act in "
            "turn, as it draws numbers"
        )
    code = Lines()
    code.depth = 1
    if any(argument.kind == "id" for argument in lowered.arguments):
        code.line(f"me_id = {names.ids(relation.source)}[me]")
    prefix = visit_relation(code, names, gather, lowered, populations)
    results = [(name, row) for name, accumulator in gather.accumulators.items() for row in range(accumulator.rows)]
    code.line(f"return {', '.join(f'{prefix}_{name}_{row}' for name, row in results)}")
    name = f"collect_{gather.name}"
    source = f"def {name}({', '.join(['me', 'step', *sorted(names.used)])}):\n" + code.text()
    return Function(name, source, names, False)


def emit_gather(
    gather: Gather, lowered: Lowered, lanes: LaneForm | None, names: Names, populations: dict[str, Population],
    parallel: bool,
) -> Function:  # fmt: skip
    """A gather of a synchronous phase: every agent looks, and leaves its accumulators in arrays."""
    relation = gather.relation

    def body(code: Lines) -> None:
        if relation.emit_gather(code, names, GatherCall(gather, lowered, names, populations, lanes), parallel):
            return
        relation.prepare(code, names)
        ahead = Lines()
        if relation.look_ahead(ahead, names):
            with chunked(code, names, relation.source, parallel, skip_dead=False):
                for line in ahead.lines:
                    code.line(line)
        with chunked(code, names, relation.source, parallel, lambda: relation.scratch(code, names)):
            visit_relation(code, names, gather, lowered, populations)
            store_accumulators(code, names, gather)

    return finish(f"phase_{gather.name}", names, body, parallel)


class GatherCall:
    """The author's gather inside a relation's own loop (the `GatherBody` that relations see)."""

    def __init__(
        self, gather: Gather, lowered: Lowered, names: Names, populations: dict[str, Population], lanes: LaneForm | None
    ) -> None:
        self.gather, self.lowered, self.names, self.populations = gather, lowered, names, populations
        target = gather.relation.target
        seen = [a for a in lowered.arguments if a.kind == "field" and a.at == "other"]
        self._packed = {
            a.variable
            for a in seen
            if (target.fields | target.inboxes)[a.name].dtype is float and a.name in target.fields
        }
        kinds = {argument.kind for argument in lowered.arguments}
        plain_values = all(
            accumulator.additive and accumulator.dtype in {int, float} for accumulator in gather.accumulators.values()
        )
        loose = {a.variable for a in seen} - self._packed
        collected = any(a.kind == "collected" and a.at == "other" for a in lowered.arguments)
        self.needs_other = bool(kinds & {"other", "other_id"}) or bool(loose) or collected
        self.lanes = lanes if plain_values and not self.needs_other else None
        self.on_lanes = self.lanes is not None
        self.needs_id = bool(kinds & {"id"})
        self.needs_direction = "direction" in kinds
        self.needs_distance = self.needs_direction or "distance" in kinds
        self.needs_offset = self.needs_distance or "offset" in kinds
        self.fields_of_others = tuple(dict.fromkeys(a.name for a in seen if a.variable in self._packed))

    @property
    def of_others_alone(self) -> bool:
        """Whether all it collects are totals of what each other adds, which depends on that other alone."""
        kinds = {argument.kind if argument.kind != "field" else argument.at for argument in self.lowered.arguments}
        return kinds <= {"accumulator", "other", "parameter", "step"} and all(
            accumulator.additive and accumulator.dtype in {int, float}
            for accumulator in self.gather.accumulators.values()
        )

    @property
    def totals(self) -> dict[str, str]:
        """The totals: what follows ``acc_`` in their variables, and the type of their arrays."""
        return {
            f"{name}_{component}": "float64" if accumulator.dtype is float else "int64"
            for name, accumulator in self.gather.accumulators.items()
            for component in range(accumulator.rows)
        }

    def contribute(self, code: Code) -> None:
        """Emit what ``other`` adds, into the local variables of the accumulators."""
        start_accumulators(code, self.gather)
        arguments = argument_expressions(
            self.lowered, self.names, self.gather.relation.source, self.populations, lambda a: a.variable
        )
        call_line(code, [result.variable for result in self.lowered.results], self.lowered.name, arguments)

    def hand_over(self, code: Code) -> None:
        """Emit the hand-over of accumulators that are plain local variables."""
        store_accumulators(code, self.names, self.gather)

    def each_agent(self, code: Code, parallel: bool) -> ExitStack:
        """Open the loop over the agents that look."""
        return chunked(code, self.names, self.gather.relation.source, parallel)

    def start(self, code: Code) -> None:
        """Emit the initial accumulators."""
        if not self.on_lanes:
            start_accumulators(code, self.gather)
            return
        repeated = self.names.imports("simengine.arrays.vector", "repeated")
        for result in self.lowered.results:
            code.line(f"{result.variable} = {repeated}(0.0)")

    def call(self, code: Code, read: Callable[[str, int], str], mine: Callable[[str, int], str | None]) -> None:
        """Emit the call of the author's function, or of its form on lanes."""
        special: dict[str, str] = {}
        for argument in self.lowered.arguments:
            if argument.variable in self._packed:
                special[argument.variable] = read(argument.name, argument.component)
            elif (
                argument.kind == "field" and argument.at == "me" and argument.owner == self.gather.relation.source.name
            ):
                near = mine(argument.name, argument.component)
                if near is not None:
                    special[argument.variable] = near
        if any(argument.kind == "other_id" for argument in self.lowered.arguments):
            code.line(f"other_id = {self.names.ids(self.gather.relation.target)}[other]")
        arguments = argument_expressions(
            self.lowered, self.names, self.gather.relation.source, self.populations, lambda a: a.variable, special
        )
        function = self.lowered.name
        if self.lanes is not None:
            self.names.imports("simengine.arrays.vector", "select")
            function, arguments = self.lanes.name, ["live", *arguments]
        call_line(code, [result.variable for result in self.lowered.results], function, arguments)

    def store(self, code: Code) -> None:
        """Emit the hand-over to the arrays: the lanes of a total are added in a fixed tree."""
        if not self.on_lanes:
            self.hand_over(code)
            return
        total = self.names.imports("simengine.arrays.vector", "total")
        for result in self.lowered.results:
            value = f"{total}({result.variable})"
            if self.gather.accumulators[result.name].dtype is int:
                value = f"np.int64({value})"
            code.line(f"{self.names.accumulator(self.gather, result.name, result.component, 'me')} = {value}")

    def add_up(self, code: Code) -> None:
        """Emit the sums of the lanes into local variables of the accumulators' names."""
        total = self.names.imports("simengine.arrays.vector", "total")
        for result in self.lowered.results:
            value = f"{total}({result.variable})"
            if self.gather.accumulators[result.name].dtype is int:
                value = f"np.int64({value})"
            code.line(f"sum_{result.name}_{result.component} = {value}")


def start_accumulators(code: Code, gather: Gather, prefix: str = "acc") -> None:
    """Emit the initial values of a gather's accumulators as local variables."""
    for name, accumulator in gather.accumulators.items():
        for component in range(accumulator.rows):
            code.line(f"{prefix}_{name}_{component} = {initial_literal(accumulator)}")


def initial_literal(accumulator: Accumulator) -> str:
    """An accumulator's initial value as an expression."""
    return literal(accumulator.dtype(accumulator.initial))


def literal(value: float | int | bool) -> str:
    """A number as an expression of its type."""
    if type(value) is int:
        return f"np.int64({value!r})"
    return repr(value) if math.isfinite(value) else f'float("{value}")'


def store_accumulators(code: Code, names: Names, gather: Gather) -> None:
    """Emit the hand-over from local accumulators to arrays."""
    for name, accumulator in gather.accumulators.items():
        for component in range(accumulator.rows):
            code.line(f"{names.accumulator(gather, name, component, 'me')} = acc_{name}_{component}")


def gathered_from(phase: AgentPhase, names: Names) -> Callable[[Argument], str]:
    """Where a phase finds an accumulator: the array of the gather that collects it."""
    owner = {name: gather for gather in phase.after for name in gather.accumulators}
    return lambda argument: names.accumulator(owner[argument.name], argument.name, argument.component, "me")
