"""Emit what agents do: updates and decisions (at once or in turn), contributions, births."""

from __future__ import annotations

from contextlib import nullcontext

from simengine.compile.emit import (
    Function,
    argument_expressions,
    call_line,
    chunked,
    finish,
    is_reference,
)
from simengine.compile.emit_ahead import Ahead, known_ahead
from simengine.compile.emit_gathers import (
    gathered_from,
    initial_literal,
    literal,
    visit_relation,
)
from simengine.compile.lowered import Lowered, Result
from simengine.compile.names import Lines, Names, key_lines
from simengine.relations.base import Relation
from simengine.scenario.phases import Birth, Combine, Decision, Events, Gather, Send, Update
from simengine.scenario.population import Population

DTYPE_NAMES = {float: "float64", int: "int64", bool: "bool_"}


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
                    acting = names.acting(population) if names.shared_out else ""
                    span = f"{acting}[0]:{acting}[1]" if acting else ":"
                    code.line(f"{array}[{span}] = next_{array}[{span}]")
        bury(code, names, population, results)

    return finish(f"phase_{phase.name}", names, body, parallel)


def emit_sequential(
    phase: Update | Decision, lowered: Lowered, gathers: list[tuple[Gather, Lowered]], names: Names,
    populations: dict[str, Population], spaces: list[Relation], asked_outside: bool = False,
) -> Function:  # fmt: skip
    """An update in which later agents see what earlier ones wrote: gather, update and store, agent by agent.

    With ``asked_outside`` it returns after the turn of an agent whose action the host may change, and is called again
    from the next turn on.
    """
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
        if asked_outside:
            resume = names.use("resume", "resume")
        if phase.order == "shuffled":
            shuffle = names.imports("simengine.arrays.partners", "shuffle")
            sequence = names.buffer(f"sequence_{phase.name}", population.name, "int64")
            with code.block(f"if {resume}[0] == 0:") if asked_outside else nullcontext():
                code.line(
                    f"{shuffle}({names.engine_key(population.name, 'turn')}, {order}, {names.ids(population)}, "
                    f"{living}, {sequence})"
                )
        code.line(f"turns = {turns}")
        first_turn = f"{resume}[0]" if asked_outside else "0"
        if is_events:
            # Where slots are ids they need not be looked up, which a turn would wait for. Finding out costs a small
            # part of so many turns; it is left where each call may have one turn only.
            stand_by_id = names.imports("simengine.arrays.lookup", "stand_by_id")
            found = f"turns >= {living} // 8 and {stand_by_id}({order}, {names.ids(population)}, {living})"
            code.line(f"by_id = {'False' if asked_outside else found}")
        looked_over = [gather for gather, _ in gathers] if is_events and not asked_outside else []
        along = known_ahead(looked_over, population)
        ahead = Ahead(along, names, population, key, bool(names.collectors)) if along is not None else None
        if ahead is not None:
            ahead.begin(code, first_turn)
        with code.block(f"for turn in range({first_turn}, turns):"):
            marker = len(code.lines)
            if ahead is not None:
                ahead.turn(code)
            elif is_events:
                code.line(f"rank = {choose}({key}, 0, 0, {living})")
                code.line(f"me = rank if by_id else {order}[rank]")
            else:
                code.line(f"me = {sequence if phase.order == 'shuffled' else order}[turn]")
            if population.dynamic:
                with code.block(f"if not {names.alive(population)}[me]:"):
                    code.line("continue")
            code.line(f"me_id = {'me if by_id else ' if is_events else ''}{names.ids(population)}[me]")
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
            if asked_outside:
                outside = names.buffer(f"outside_{phase.name}", population.name, "bool_")
                with code.block(f"if {outside}[me]:"):
                    for gather, _ in gathers:
                        for name, accumulator in gather.accumulators.items():
                            for row in range(accumulator.rows):
                                kept = names.accumulator(gather, name, row, "me")
                                code.line(f"{kept} = {collected[name]}_{name}_{row}")
                    code.line(f"{resume}[0], {resume}[1] = turn + 1, me")
                    code.line("return")
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
            check = names.imports("simengine.arrays.inbox", "check_receivers")
            for site in sites:
                code.line(f"{check}({buffer_of(site)}, {into})")
            at_once = {"total": "total_floats", "median": "median"} if combine.dtype is float else {}
            if combine.rule in at_once and sites:
                function = names.imports("simengine.arrays.inbox", f"combine_{at_once[combine.rule]}")
                to = "".join(f"{buffer_of(site)}, " for site in sites)
                values = "".join(
                    f"{buffer_of(Result('message', f'{inbox}_value', site.component))}, " for site in sites
                )
                code.line(f"{function}(({to}), ({values}), {into})")
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


def bury(code: Lines, names: Names, population: Population, results: list[Result]) -> None:
    """Emit the removal of the dead from the order, when the phase may kill."""
    if any(result.name == "alive" for result in results):
        keep = names.imports("simengine.arrays.lookup", "keep_living")
        living = names.living(population)
        code.line(f"{living} = {keep}({names.order(population)}, {names.alive(population)}, {living})")


def results_of(phase: Update | Decision, lowered: Lowered) -> list[Result]:
    """The fields a phase writes; a decision writes its action."""
    if isinstance(phase, Decision):
        return [Result("new", phase.action, 0)]
    return lowered.results


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
        elif declared.dtype is int:
            whole = names.imports("simengine.arrays.numbers", "whole")
            value = f"{whole}({value})"
        if buffered:
            dtype = str(declared.numpy_dtype)
            array = names.buffer(f"next_{population.name}_{result.name}_{result.component}", population.name, dtype)
        else:
            array = names.array(population.name, result.name, result.component)
        code.line(f"{array}[me] = {value}")
