"""Emit the loops around the authors' functions: one generated function a phase.

The caller of a lowered function supplies its arguments by kind (`argument_expressions`) and stores its results.
Key lines and arguments are known only after the body has been emitted, so bodies are emitted first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from simengine.compile.lanes import LaneForm, lane_form
from simengine.compile.lower import Argument, Lowered, Result
from simengine.compile.names import Lines, Names, key_lines
from simengine.relations.base import Code, Relation
from simengine.scenario.phases import Accumulator, AgentPhase, Birth, Combine, Decision, Events, Gather, Send, Update
from simengine.scenario.population import Field, FieldReference, Population

DTYPE_NAMES = {float: "float64", int: "int64", bool: "bool_"}


@dataclass
class Function:
    """A generated function: its name, text and arguments (in order), parallel or not."""

    name: str
    source: str
    names: Names
    parallel: bool

    @property
    def call(self) -> str:
        """How ``advance`` calls it."""
        return f"{self.name}({', '.join(['step', *sorted(self.names.used)])})"


def finish(name: str, names: Names, body: Callable[[Lines], None], parallel: bool, prologue_keys: bool = True) -> Function:
    """Wrap an emitted body into a function whose arguments are what the body asked for."""
    inner = Lines()
    inner.depth = 1
    body(inner)
    head = Lines()
    head.depth = 1
    if prologue_keys:
        key_lines(head, names, "0")
    source = f"def {name}({', '.join(['step', *sorted(names.used)])}):\n" + head.text() + inner.text()
    return Function(name, source, names, parallel)


def argument_expressions(
    lowered: Lowered, names: Names, me: Population, populations: dict[str, Population],
    accumulators: Callable[[Argument], str], special: dict[str, str] | None = None,
) -> list[str]:  # fmt: skip
    """The expression for each argument of a lowered function, where ``me``, ``other``, ``me_id`` are set."""
    expressions = []
    for argument in lowered.arguments:
        if special is not None and argument.variable in special:
            expressions.append(special[argument.variable])
        elif argument.kind == "accumulator":
            expressions.append(accumulators(argument))
        elif argument.kind == "field":
            expressions.append(field_expression(argument, names, populations[argument.owner]))
        elif argument.kind == "ids":
            expressions.append(names.ids(populations[argument.owner]))
        elif argument.kind == "parameter":
            expressions.append(names.parameter(argument.name))
        elif argument.kind == "key":
            expressions.append(names.draw_key(me.name, argument.name))
        elif argument.kind in {"offset", "direction"}:
            expressions.append(f"{argument.kind}_{argument.name}")
        else:
            expressions.append({"id": "me_id", "me": "np.int64(me)"}.get(argument.kind, argument.kind))
    return expressions


def field_expression(argument: Argument, names: Names, owner: Population) -> str:
    """A field's value at me or other (a reference as a slot), or the whole array."""
    declared = (owner.fields | owner.inboxes)[argument.name]
    array = names.array(owner.name, argument.name, argument.component)
    if argument.at == "array":
        return array
    value = f"{array}[{argument.at}]"
    if is_reference(declared):
        return names.slot(declared.reference or owner, value)
    return value


def is_reference(declared: Field) -> bool:
    """Whether a field holds ids."""
    return declared.names_agents


def chunked(code: Lines, names: Names, population: Population, parallel: bool, scratch: Callable[[], None] | None = None):  # type: ignore[no-untyped-def]
    """Open the loop over the agents of a population: chunks over threads, slots inside."""
    from contextlib import ExitStack

    stack = ExitStack()
    ids = names.ids(population)
    code.line(f"size = {ids}.shape[0]")
    chunks = names.chunks()
    loop = "prange" if parallel else "range"
    stack.enter_context(code.block(f"for chunk in {loop}({chunks}):"))
    if scratch is not None:
        scratch()
    first, last = f"chunk * size // {chunks}", f"(chunk + 1) * size // {chunks}"
    # Unsigned, because numba lets signed indices count from the end, which keeps loops from being vectorised.
    stack.enter_context(code.block(f"for me in range(np.uint64({first}), np.uint64({last})):"))
    if population.dynamic:
        with code.block(f"if not {names.alive(population)}[me]:"):
            code.line("continue")
    code.line(f"me_id = {ids}[me]")
    return stack


def call_line(code: Code, targets: Iterable[str], function: str, arguments: list[str]) -> None:
    """Emit ``targets = function(arguments)``."""
    names = ", ".join(targets)
    prefix = f"{names} = " if names else ""
    code.line(f"{prefix}{function}({', '.join(arguments)})")


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

    def body() -> None:
        if any(argument.kind == "other_id" for argument in lowered.arguments):
            code.line(f"other_id = {names.ids(relation.target)}[other]")
        arguments = argument_expressions(lowered, names, relation.source, populations, lambda a: a.variable)
        call_line(code, [result.variable for result in lowered.results], lowered.name, arguments)

    relation.visit(code, names, body)
    return "acc"


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
        self._packed = {a.variable for a in seen if (target.fields | target.inboxes)[a.name].dtype is float and a.name in target.fields}
        kinds = {argument.kind for argument in lowered.arguments}
        plain_values = all(
            accumulator.additive and accumulator.dtype in {int, float} for accumulator in gather.accumulators.values()
        )
        loose = {a.variable for a in seen} - self._packed
        self.needs_other = bool(kinds & {"other", "other_id"}) or bool(loose)
        self.lanes = lanes if plain_values and not self.needs_other else None
        self.on_lanes = self.lanes is not None
        self.needs_id = bool(kinds & {"id"})
        self.needs_direction = "direction" in kinds
        self.needs_distance = self.needs_direction or "distance" in kinds
        self.needs_offset = self.needs_distance or "offset" in kinds
        self.fields_of_others = tuple(dict.fromkeys(a.name for a in seen if a.variable in self._packed))

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
            elif argument.kind == "field" and argument.at == "me" and argument.owner == self.gather.relation.source.name:
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
            store_accumulators(code, self.names, self.gather)
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


def store_accumulators(code: Code, names: Names, gather: Gather) -> None:
    """Emit the hand-over from local accumulators to arrays."""
    for name, accumulator in gather.accumulators.items():
        for component in range(accumulator.rows):
            code.line(f"{names.accumulator(gather, name, component, 'me')} = acc_{name}_{component}")


def gathered_from(phase: AgentPhase, names: Names) -> Callable[[Argument], str]:
    """Where a phase finds an accumulator: the array of the gather that collects it."""
    owner = {name: gather for gather in phase.after for name in gather.accumulators}
    return lambda argument: names.accumulator(owner[argument.name], argument.name, argument.component, "me")


def store_new(
    code: Lines, names: Names, population: Population, results: list[Result], spaces: list[Relation], buffered: bool
) -> None:
    """Emit the storing of new values, after the spaces have brought positions back into their boxes."""
    written = {(population.name, r.name, r.component): r.variable for r in results if r.name != "alive"}
    for space in spaces:
        space.commit(code, names, written)
    for result in results:
        if result.name == "alive":
            code.line(f"{names.alive(population)}[me] = {result.variable}")
            continue
        declared = population.fields[result.name]
        value = result.variable
        if is_reference(declared):
            value = names.identity(declared.reference or population, value)
        if buffered:
            dtype = str(declared.numpy_dtype)
            array = names.buffer(f"next_{population.name}_{result.name}_{result.component}", population.name, dtype)
        else:
            array = names.array(population.name, result.name, result.component)
        code.line(f"{array}[me] = {value}")


def emit_update(
    phase: Update | Decision, lowered: Lowered, names: Names, populations: dict[str, Population],
    spaces: list[Relation], parallel: bool,
) -> Function:  # fmt: skip
    """A synchronous update or decision: every agent's new values from the old ones."""
    population = phase.population
    results = results_of(phase, lowered)
    targets = {(population.name, result.name) for result in results}
    buffered = any(
        argument.kind == "field" and argument.at == "array" and (argument.owner, argument.name) in targets
        for argument in lowered.arguments
    )

    def body(code: Lines) -> None:
        with chunked(code, names, population, parallel):
            arguments = argument_expressions(lowered, names, population, populations, gathered_from(phase, names))
            call_line(code, [result.variable for result in results], lowered.name, arguments)
            store_new(code, names, population, results, spaces, buffered)
        if buffered:
            for result in results:
                if result.name != "alive":
                    array = names.array(population.name, result.name, result.component)
                    code.line(f"{array}[:] = next_{array}")
        bury(code, names, population, results)

    return finish(f"phase_{phase.name}", names, body, parallel)


def results_of(phase: Update | Decision, lowered: Lowered) -> list[Result]:
    """The fields a phase writes; a decision writes its action."""
    if isinstance(phase, Decision):
        return [Result("new", phase.action, 0)]
    return lowered.results


def bury(code: Lines, names: Names, population: Population, results: list[Result]) -> None:
    """Emit the removal of the dead from the order, when the phase may kill."""
    if any(result.name == "alive" for result in results):
        keep = names.imports("simengine.arrays.lookup", "keep_living")
        living = names.living(population)
        code.line(f"{living} = {keep}({names.order(population)}, {names.alive(population)}, {living})")


def emit_sequential(
    phase: Update | Decision, lowered: Lowered, gathers: list[tuple[Gather, Lowered]], names: Names,
    populations: dict[str, Population], spaces: list[Relation],
) -> Function:  # fmt: skip
    """An update in which later agents see what earlier ones wrote: gather, update and store, agent by agent."""
    population = phase.population
    order, living = names.order(population), names.living(population)
    results = results_of(phase, lowered)

    def body(code: Lines) -> None:
        for gather, _ in gathers:
            with names.drawing_for(gather.name):
                gather.relation.prepare(code, names)
            gather.relation.scratch(code, names)
        is_events = isinstance(phase.order, Events)
        if isinstance(phase.order, Events):
            number = phase.order.number
            turns = names.parameter(number) if isinstance(number, str) else str(number)
            choose = names.imports("simengine.random.draws", "integer")
            key = names.engine_key(population.name, "turn")
            with code.block(f"if {living} == 0:"):
                code.line("return")
        else:
            turns = living
        if phase.order == "shuffled":
            shuffle = names.imports("simengine.arrays.partners", "shuffle")
            sequence = names.buffer(f"sequence_{phase.name}", population.name, "int64")
            code.line(
                f"{shuffle}({names.engine_key(population.name, 'turn')}, {order}, {names.ids(population)}, {living}, {sequence})"
            )
        code.line(f"turns = {turns}")
        with code.block("for turn in range(turns):"):
            marker = len(code.lines)
            if is_events:
                code.line(f"me = {order}[{choose}({key}, 0, 0, {living})]")
            else:
                code.line(f"me = {sequence if phase.order == 'shuffled' else order}[turn]")
            if population.dynamic:
                with code.block(f"if not {names.alive(population)}[me]:"):
                    code.line("continue")
            code.line(f"me_id = {names.ids(population)}[me]")
            collected: dict[str, str] = {}
            for gather, gather_lowered in gathers:
                with names.drawing_for(gather.name):
                    prefix = visit_relation(code, names, gather, gather_lowered, populations)
                collected |= dict.fromkeys(gather.accumulators, prefix)
            arguments = argument_expressions(
                lowered, names, population, populations, lambda a: f"{collected[a.name]}_{a.name}_{a.component}"
            )
            call_line(code, [result.variable for result in results], lowered.name, arguments)
            store_new(code, names, population, results, spaces, buffered=False)
            for gather, _ in gathers:
                gather.relation.moved(code, names)
            if is_events:
                keys = Lines()
                keys.depth = code.depth
                key_lines(keys, names, "turn")
                code.lines[marker:marker] = keys.lines
        bury(code, names, population, results)

    return finish(f"phase_{phase.name}", names, body, False, prologue_keys=True)


def emit_send(
    phase: Send, lowered: Lowered, names: Names, populations: dict[str, Population], parallel: bool
) -> Function:
    """Contributions: every sender writes its messages, then they are combined per receiver."""
    sender, receiver = phase.population, phase.to
    messages = lowered.results

    def buffer_of(result: Result) -> str:
        inbox = result.name.removesuffix("_to").removesuffix("_value")
        dtype = "int64" if result.name.endswith("_to") else DTYPE_NAMES[phase.inboxes[inbox].dtype]
        return names.buffer(f"{phase.name}_{result.variable}", sender.name, dtype)

    def body(code: Lines) -> None:
        for result in messages:
            if result.name.endswith("_to") and sender.dynamic:
                code.line(f"{buffer_of(result)}[:] = -1")
        with chunked(code, names, sender, parallel):
            arguments = argument_expressions(lowered, names, sender, populations, gathered_from(phase, names))
            call_line(code, [result.variable for result in messages], lowered.name, arguments)
            for result in messages:
                code.line(f"{buffer_of(result)}[me] = {result.variable}")
        for inbox, combine in phase.inboxes.items():
            into = names.array(receiver.name, inbox, 0)
            code.line(f"{into}[:] = {literal(combine.empty)}")
            sites = [result for result in messages if result.name == f"{inbox}_to"]
            if (combine.rule, combine.dtype) == ("total", float) and sites:
                total = names.imports("simengine.arrays.inbox", "combine_total_floats")
                to = "".join(f"{buffer_of(site)}, " for site in sites)
                values = "".join(f"{buffer_of(Result('message', f'{inbox}_value', site.component))}, " for site in sites)
                code.line(f"{total}(({to}), ({values}), {into})")
                continue
            for result in sites:
                rule = "total_integers" if combine.rule == "total" else combine.rule
                function = names.imports("simengine.arrays.inbox", f"combine_{rule}")
                arguments = [buffer_of(result)]
                if combine.takes_value:
                    arguments.append(buffer_of(Result("message", f"{inbox}_value", result.component)))
                if combine.rule in {"lowest_id", "drawn"}:
                    arguments.append(names.ids(sender))
                if combine.rule == "drawn":
                    arguments.append(names.engine_key(sender.name, inbox))
                    arguments.append(names.ids(receiver))
                code.line(f"{function}({', '.join([*arguments, into])})")

    return finish(f"phase_{phase.name}", names, body, parallel)


def emit_birth(
    phase: Birth, lowered: Lowered, names: Names, populations: dict[str, Population], spaces: list[Relation],
    gathers: list[Gather], inboxes: dict[str, Combine],
) -> Function:  # fmt: skip
    """Births: each parent in order of id; children take free slots and are merged into the order.

    ``gathers`` ran before in the same step; a newborn has collected and received nothing, whoever had its slot.
    """
    population = phase.population
    order, ids, alive, living = (
        names.order(population), names.ids(population), names.alive(population), names.living(population)
    )  # fmt: skip
    children = [result for result in lowered.results if result.kind == "child"]
    key = names.engine_key(population.name, "newborn")
    bits = names.imports("simengine.random.draws", "bits")
    merge = names.imports("simengine.arrays.lookup", "merge_newborn")
    newborn = names.buffer(f"newborn_{phase.name}", population.name, "int64")
    status = names.use("status", "status")

    def body(code: Lines) -> None:
        code.line("born = 0")
        code.line("free = 0")
        with code.block(f"for rank in range({living}):"):
            code.line(f"me = {order}[rank]")
            code.line(f"me_id = {ids}[me]")
            arguments = argument_expressions(lowered, names, population, populations, gathered_from(phase, names))
            call_line(code, [result.variable for result in lowered.results], lowered.name, arguments)
            with code.block("if value__0:"):
                with code.block(f"while free < {alive}.shape[0] and {alive}[free]:"):
                    code.line("free += 1")
                with code.block(f"if free == {alive}.shape[0]:"):
                    code.line(f"{status}[0] = {1 + list(populations).index(population.name)}")
                    code.line("break")
                code.line(f"{alive}[free] = True")
                code.line(f"{ids}[free] = np.int64({bits}({key}, me_id) >> np.uint64(1))")
                changed = {(child.name, child.component): child.variable for child in children}
                inherited: dict[tuple[str, str, int], str] = {}
                for name, declared in population.fields.items():
                    for component in range(declared.rows):
                        value = changed.get((name, component), f"{names.array(population.name, name, component)}[me]")
                        if (name, component) in changed and is_reference(declared):
                            value = names.identity(declared.reference or population, value)
                        inherited[population.name, name, component] = f"newborn_{name}_{component}"
                        code.line(f"newborn_{name}_{component} = {value}")
                for space in spaces:
                    space.commit(code, names, inherited)
                for (_, name, component), variable in inherited.items():
                    code.line(f"{names.array(population.name, name, component)}[free] = {variable}")
                for inbox, combine in inboxes.items():
                    code.line(f"{names.array(population.name, inbox, 0)}[free] = {literal(combine.empty)}")
                for gather in gathers:
                    for name, accumulator in gather.accumulators.items():
                        for component in range(accumulator.rows):
                            collected = names.accumulator(gather, name, component, "free")
                            code.line(f"{collected} = {initial_literal(accumulator)}")
                code.line(f"{newborn}[born] = free")
                code.line("born += 1")
        code.line(f"{living} = {merge}({order}, {ids}, {living}, {newborn}, born)")

    return finish(f"phase_{phase.name}", names, body, False)


def field_references(population: Population) -> list[FieldReference]:
    """All fields of a population as references."""
    return [FieldReference(population, declared) for declared in population.fields.values()]
