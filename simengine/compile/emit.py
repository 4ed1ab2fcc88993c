"""Emit the loops around the authors' functions: one generated function a phase.

The caller of a lowered function supplies its arguments by kind (`argument_expressions`) and stores its results.
Key lines and arguments are known only after the body has been emitted, so bodies are emitted first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass

from simengine.compile.lowered import Argument, Lowered
from simengine.compile.names import Lines, Names, key_lines
from simengine.relations.base import Code
from simengine.scenario.population import Field, Population


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


def finish(
    name: str, names: Names, body: Callable[[Lines], None], parallel: bool, prologue_keys: bool = True
) -> Function:
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
        elif argument.kind == "collected":
            expressions.append(collected_expression(argument, names))
        elif argument.kind == "edge":
            expressions.append(f"{names.edges_of(argument.owner, f'{argument.at}_field_{argument.name}')}[edge]")
        elif argument.kind in {"offset", "direction"}:
            expressions.append(f"{argument.kind}_{argument.name}")
        else:
            expressions.append({"id": "me_id", "me": "np.int64(me)"}.get(argument.kind, argument.kind))
    return expressions


def collected_expression(argument: Argument, names: Names) -> str:
    """What somebody collected in an earlier gather: kept by agent, or a variable where it is collected on the spot."""
    if argument.owner in names.collectors:
        return argument.variable
    return names.accumulator(names.gathers[argument.owner], argument.name, argument.component, argument.at)


def collect_on_the_spot(code: Code, lowered: Lowered, names: Names, at: str) -> None:
    """Emit the calls that collect for ``at``, me or other, what the lowered gather reads of earlier gathers."""
    wanted = {
        a.owner for a in lowered.arguments if a.kind == "collected" and a.at == at and a.owner in names.collectors
    }
    for owner in sorted(wanted):
        collector = names.collectors[owner]
        targets = [Argument("collected", name, row, owner, at).variable for name, row in collector.results]
        names.used |= collector.names.used
        call_line(code, targets, collector.name, [f"np.int64({at})", "step", *sorted(collector.names.used)])


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


def chunked(
    code: Code, names: Names, population: Population, parallel: bool, scratch: Callable[[], None] | None = None,
    skip_dead: bool = True,
) -> ExitStack:  # fmt: skip
    """Open the loop over the agents of a population: chunks over threads, slots inside."""
    stack = ExitStack()
    ids = names.ids(population)
    begin = ""
    if names.shared_out:
        acting = names.acting(population)
        code.line(f"begin, size = {acting}[0], {acting}[1] - {acting}[0]")
        begin = "begin + "
    else:
        code.line(f"size = {ids}.shape[0]")
    chunks = names.chunks()
    loop = "prange" if parallel else "range"
    stack.enter_context(code.block(f"for chunk in {loop}({chunks}):"))
    if scratch is not None:
        scratch()
    first, last = f"{begin}chunk * size // {chunks}", f"{begin}(chunk + 1) * size // {chunks}"
    # Unsigned, because numba lets signed indices count from the end, which keeps loops from being vectorised.
    stack.enter_context(code.block(f"for me in range(np.uint64({first}), np.uint64({last})):"))
    if population.dynamic and skip_dead:
        with code.block(f"if not {names.alive(population)}[me]:"):
            code.line("continue")
    code.line(f"me_id = {ids}[me]")
    return stack


def call_line(code: Code, targets: Iterable[str], function: str, arguments: list[str]) -> None:
    """Emit ``targets = function(arguments)``."""
    names = ", ".join(targets)
    prefix = f"{names} = " if names else ""
    code.line(f"{prefix}{function}({', '.join(arguments)})")
