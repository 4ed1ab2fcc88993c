"""The expressions of an author's function: fields, accumulators, parameters and draws become names."""

from __future__ import annotations

import ast
import copy
import inspect
import math
import re
import textwrap
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from simengine.compile import draw_calls
from simengine.compile.helpers import surroundings
from simengine.compile.lowered import Argument, Result
from simengine.compile.syntax import (
    COMPARISONS,
    Renamed,
    attribute_of,
    constant_value,
    static_value,
)
from simengine.errors import ScenarioError, nearest
from simengine.relations.network import neighbours_of
from simengine.scenario.phases import Gather, Phase
from simengine.scenario.population import Field, Population

# What generated code calls its own variables; an author's variables of such names are renamed.
GENERATED_PREFIXES = (
    "acc", "p", "key", "offset", "direction", "new", "child", "message", "value", "test", "when", "else", "part",
    "engine", "local", "_draw", "edge", "request", "collected",
)  # fmt: skip
GENERATED_NAMES = ("me", "other", "id", "other_id", "step", "distance", "live")


def constant(value: float | int | bool) -> ast.expr:
    """A number as an expression; not-a-number has no literal."""
    if value != value:
        infinity = ast.Constant(math.inf)
        return ast.BinOp(infinity, ast.Sub(), copy.copy(infinity))
    return ast.Constant(value)


class Expressions(ast.NodeTransformer):
    """Translates expressions and keeps account of what the function asks for; `Lowering` adds the statements."""

    def __init__(
        self,
        phase: Phase,
        me: Population,
        other: Population | None,
        populations: Mapping[str, Population],
        accumulators: Mapping[str, Any],
        parameters: Mapping[str, Any],
        static: Mapping[str, Any],
        sequential: bool,
        uncollected: frozenset[str] = frozenset(),
        gathers: Mapping[str, Gather] | None = None,
        running: frozenset[str] = frozenset(),
    ) -> None:
        self.phase = phase
        self.gathers = gathers or {}
        self.running = running
        self.uncollected = uncollected
        self.me = me
        self.other = other
        self.populations = populations
        self.accumulators = accumulators
        self.parameters = parameters
        self.static = static
        self.sequential = sequential
        self.arguments: dict[Argument, None] = {}
        self.results: dict[Result, None] = {}
        self.writes_others: set[tuple[str, str, int]] = set()
        self.written_elsewhere: set[str] = set()
        self.sites: dict[str, int] = {}
        self.loops = 0
        self.path = inspect.getsourcefile(phase.function) or "<unknown>"
        try:
            lines, self.first_line = inspect.getsourcelines(phase.function)
        except OSError:
            raise ScenarioError(
                f"{phase.name}(): its source cannot be read; write the scenario in a file or a notebook cell"
            ) from None
        tree = ast.parse(textwrap.dedent("".join(lines)))
        definition = tree.body[0]
        if not isinstance(definition, ast.FunctionDef):
            raise ScenarioError(f"{phase.where}: a {phase.kind} is a plain function (def)")
        self.definition = definition
        self.roles = [argument.arg for argument in definition.args.args]
        taken = re.compile(rf"({'|'.join([*GENERATED_PREFIXES, *populations])})_|({'|'.join(GENERATED_NAMES)})$")
        Renamed(taken, set(self.roles)).visit(definition)
        self.assigned = {n.id for n in ast.walk(definition) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        self.folded: list[tuple[Callable[..., Any], str, Any]] = []

    def need(self, argument: Argument) -> ast.Name:
        """Record that the function asks for ``argument``; return its name."""
        self.arguments.setdefault(argument)
        return ast.Name(argument.variable, ast.Load())

    def fail(self, node: ast.AST, message: str) -> NoReturn:
        """Raise an error that names the author's file and line."""
        line = self.first_line + getattr(node, "lineno", 1) - 1
        raise ScenarioError(f"{self.path}:{line}: in {self.phase.kind} {self.phase.name}(): {message}")

    def field_of(self, owner: Population, name: str, node: ast.AST | None) -> Field:
        fields = owner.fields | owner.inboxes
        if name not in fields:
            self.fail(node or self.definition, f"population {owner.name} has no field {name!r}{nearest(name, fields)}")
        return fields[name]

    def visit_Name(self, node: ast.Name) -> Any:
        if node.id in self.roles and isinstance(node.ctx, ast.Store):
            self.fail(node, f"{node.id!r} is an argument of the phase and cannot be assigned to")
        if node.id in {"me", "other", "step", "distance"} and node.id in self.roles:
            return ast.copy_location(self.need(Argument(node.id)), node)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        base, index = node.value, node.slice
        if isinstance(base, ast.Name) and base.id in {"offset", "direction"} and base.id in self.roles:
            return ast.copy_location(self.need(Argument(base.id, str(self.component(index, node)))), node)
        if isinstance(base, ast.Attribute) and isinstance(base.value, ast.Name) and base.value.id in self.roles:
            owner, name = base.value.id, base.attr
            if owner == "acc":
                return self.accumulator(node, name, self.component(index, node))
            if owner in self.gathers and owner not in self.populations:
                return self.collected(self.gathers[owner], name, index, node)
            if owner == "child":
                return self.written("child", name, None, self.component(index, node), node)
            if owner == "new" or owner in self.populations:
                parts = index.elts if isinstance(index, ast.Tuple) else [index]
                if len(parts) > 2:
                    self.fail(node, "index a field with an agent and, for a vector, a component")
                component = self.component(parts[1], node) if len(parts) == 2 else None
                if owner == "new":
                    return self.written("new", name, parts[0], component, node)
                return self.read(self.populations[owner], name, parts[0], component, node)
        return self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        if isinstance(node.value, ast.Name) and node.value.id in self.roles:
            owner, name = node.value.id, node.attr
            if owner == "p":
                return self.parameter(node, name)
            if owner == "acc":
                return self.accumulator(node, name, None)
            if owner == "edge":
                return self.edge_value(node, name)
            if owner == "child":
                return self.written("child", name, None, None, node)
            if owner in self.gathers and owner not in self.populations:
                self.fail(node, f"say whose: {owner}.{name}[other]")
            if owner in self.populations or owner == "new":
                self.fail(node, f"index it with an agent: {owner}.{name}[me]")
        return self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> Any:
        self.generic_visit(node)
        values = [static_value(part) for part in [node.left, *node.comparators]]
        if len(values) == 2 and all(known for known, _ in values):
            left, right = values[0][1], values[1][1]
            operation = COMPARISONS.get(type(node.ops[0]))
            if operation is not None:
                return ast.copy_location(ast.Constant(operation(left, right)), node)
        if len(values) == 2 and isinstance(node.ops[0], ast.Is | ast.IsNot) and values[1] == (True, None):
            return ast.copy_location(ast.Constant(isinstance(node.ops[0], ast.IsNot)), node)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> Any:
        self.generic_visit(node)
        decisive = isinstance(node.op, ast.Or)
        kept: list[ast.expr] = []
        for value in node.values:
            if isinstance(value, ast.Constant) and isinstance(value.value, bool):
                if value.value is decisive:
                    if not kept:
                        return ast.copy_location(ast.Constant(decisive), node)
                    kept.append(value)
                    break
                continue
            kept.append(value)
        if not kept:
            return ast.copy_location(ast.Constant(not decisive), node)
        return kept[0] if len(kept) == 1 else ast.copy_location(ast.BoolOp(node.op, kept), node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Any:
        self.generic_visit(node)
        if isinstance(node.op, ast.Not) and isinstance(node.operand, ast.Constant):
            return ast.copy_location(ast.Constant(not node.operand.value), node)
        return node

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        self.generic_visit(node)
        if isinstance(node.test, ast.Constant):
            return node.body if node.test.value else node.orelse
        return node

    def visit_Call(self, node: ast.Call) -> Any:
        if attribute_of(node.func, "draw") and "draw" in self.roles:
            return self.draw(node)
        if attribute_of(node.func, "send") and "send" in self.roles:
            self.fail(node, "send.… is a statement of its own")
        if attribute_of(node.func, "edges") and "edges" in self.roles:
            self.fail(node, "edges.… is a statement of its own")
        return self.generic_visit(node)

    def draw(self, node: ast.Call) -> ast.expr:
        assert isinstance(node.func, ast.Attribute)
        partner: ast.expr | None = None
        symmetric = False
        keywords: dict[str, ast.expr] = {}
        for keyword in node.keywords:
            if keyword.arg in {"to", "between"}:
                target = keyword.value
                if not (isinstance(target, ast.Name) and target.id == "other" and "other" in self.roles):
                    self.fail(node, f"{keyword.arg}= takes other")
                partner, symmetric = self.need(Argument("other_id")), keyword.arg == "between"
            else:
                keywords[str(keyword.arg)] = self.visit(keyword.value)
        if not (node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)):
            self.fail(node, 'name the draw with a text, as in draw.uniform("signal")')
        name = node.args[0].value
        if not name.isidentifier():
            self.fail(node, f"a draw's name is a plain word, not {name!r}")
        arguments = [self.visit(argument) for argument in node.args[1:]]
        key, identity = self.need(Argument("key", name)), self.need(Argument("id"))
        try:
            lowered = draw_calls.lower(node.func.attr, key, identity, partner, symmetric, arguments, keywords)
        except ScenarioError as error:
            self.fail(node, str(error))
        return ast.copy_location(lowered, node)

    def constant(self, node: ast.expr) -> Any:
        """The value of an expression known now: a number, or the name of a whole number outside the function."""
        if isinstance(node, ast.Name) and node.id not in self.assigned | set(self.roles):
            value = surroundings(self.phase.function).get(node.id)
            if isinstance(value, int) and not isinstance(value, bool):
                self.folded.append((self.phase.function, node.id, value))
                return value
        return constant_value(self.visit(copy.deepcopy(node)))

    def component(self, index: ast.expr, node: ast.AST) -> int:
        value = self.constant(index)
        if not isinstance(value, int) or isinstance(value, bool):
            self.fail(node, "a component index is a number, or the variable of `for axis in range(number)`")
        return value

    def parameter(self, node: ast.Attribute, name: str) -> ast.expr:
        if name not in self.parameters:
            self.fail(node, f"the scenario has no parameter {name!r}{nearest(name, self.parameters)}")
        if name in self.static:
            return ast.copy_location(ast.Constant(self.static[name]), node)
        return ast.copy_location(self.need(Argument("parameter", name)), node)

    def accumulator(self, node: ast.expr, name: str, component: int | None) -> ast.expr:
        if name not in self.accumulators:
            self.fail(node, f"acc has no {name!r}{nearest(name, self.accumulators)}")
        declared = self.accumulators[name]
        if (component is None) != (declared.components == 0):
            self.fail(node, f"acc.{name} has {declared.components or 'no'} components")
        if component is not None and not 0 <= component < declared.components:
            self.fail(node, f"acc.{name} has components 0 to {declared.components - 1}")
        if name in self.uncollected:
            return ast.copy_location(constant(declared.dtype(declared.initial)), node)
        argument = Argument("accumulator", name, component or 0)
        self.need(argument)
        return ast.copy_location(ast.Name(argument.variable, node.ctx), node)  # type: ignore[attr-defined]

    def collected(self, gather: Gather, name: str, index: ast.expr, node: ast.Subscript) -> ast.expr:
        """What somebody else, or I, collected in an earlier gather."""
        parts = index.elts if isinstance(index, ast.Tuple) else [index]
        at = parts[0].id if isinstance(parts[0], ast.Name) else ""
        whose = {"me": self.me, "other": self.other}.get(at)
        if not isinstance(node.ctx, ast.Load):
            self.fail(node, f"what {gather.name} collected is read-only")
        if whose is not gather.relation.source:
            who = [
                name for name in ("me", "other") if {"me": self.me, "other": self.other}[name] is gather.relation.source
            ]
            self.fail(
                node, f"what {gather.name} collected is read at {' or '.join(who)}: {gather.name}.{name}[{who[0]}]"
            )
        if name not in gather.accumulators:
            self.fail(node, f"{gather.name} collects no {name!r}{nearest(name, gather.accumulators)}")
        declared = gather.accumulators[name]
        component = self.component(parts[1], node) if len(parts) == 2 else None
        if len(parts) > 2 or (component is None) != (declared.components == 0):
            self.fail(node, f"{gather.name}.{name} has {declared.components or 'no'} components")
        if component is not None and not 0 <= component < declared.components:
            self.fail(node, f"{gather.name}.{name} has components 0 to {declared.components - 1}")
        if gather.name not in self.running:
            return ast.copy_location(constant(declared.dtype(declared.initial)), node)
        return ast.copy_location(self.need(Argument("collected", name, component or 0, gather.name, at)), node)

    def edge_value(self, node: ast.Attribute, name: str) -> ast.expr:
        along = neighbours_of(self.phase.relation) if isinstance(self.phase, Gather) else None
        fields = {} if along is None else along.network.fields
        if along is None or name not in fields:
            self.fail(node, f"edges have no field {name!r}{nearest(name, fields)}")
        if not isinstance(node.ctx, ast.Load):
            self.fail(node, f"edge.{name} is read-only here; a rewire phase sets it with edges.add")
        return ast.copy_location(self.need(Argument("edge", name, owner=along.network.name, at=along.way)), node)

    def checked_component(self, owner: str, declared: Field, component: int | None, node: ast.AST) -> int:
        if (component is None) != (declared.components == 0):
            index = "me, axis" if declared.components else "me"
            whole = f"{owner}.{declared.name}"
            self.fail(node, f"{whole} has {declared.components or 'no'} components: {whole}[{index}]")
        if component is not None and not 0 <= component < declared.components:
            self.fail(node, f"{owner}.{declared.name} has components 0 to {declared.components - 1}")
        return component or 0

    def read(
        self, owner: Population, name: str, agent: ast.expr, component: int | None, node: ast.Subscript
    ) -> ast.expr:
        if not isinstance(node.ctx, ast.Load):
            self.fail(node, f"{owner.name} holds the old values; write to new.{name}[me]")
        declared = self.field_of(owner, name, node)
        row = self.checked_component(owner.name, declared, component, node)
        at = (
            agent.id
            if isinstance(agent, ast.Name) and agent.id in {"me", "other"} and agent.id in self.roles
            else "array"
        )
        if at == "me" and owner is not self.me:
            self.fail(node, f"me is one of {self.me.name}, not of {owner.name}")
        if at == "other" and owner is not self.other:
            self.fail(node, f"other is one of {self.other.name if self.other else 'nobody'}, not of {owner.name}")
        reference = self.need(Argument("field", name, row, owner.name, at))
        if at != "array":
            return ast.copy_location(reference, node)
        if declared.names_agents:
            self.fail(node, f"{owner.name}.{name} names an agent and is read at me or other only")
        return ast.copy_location(ast.Subscript(reference, self.visit(agent), ast.Load()), node)

    def written(self, kind: str, name: str, agent: ast.expr | None, component: int | None, node: ast.expr) -> ast.expr:
        if name == "alive" and kind == "new":
            if not self.me.dynamic:
                self.fail(node, f"agents of {self.me.name} cannot die: declare the population with capacity=")
            return ast.copy_location(ast.Name(Result("new", "alive").variable, node.ctx), node)  # type: ignore[attr-defined]
        declared = self.field_of(self.me, name, node)
        row = self.checked_component(kind, declared, component, node)
        context: ast.expr_context = node.ctx  # type: ignore[attr-defined]
        mine = agent is None or (isinstance(agent, ast.Name) and agent.id == "me")
        if agent is None or (mine and name not in self.written_elsewhere):
            return ast.copy_location(ast.Name(Result(kind, name, row).variable, context), node)
        if not self.sequential:
            self.fail(node, f"a synchronous phase writes only new.{name}[me]; to change another agent use send")
        if declared.names_agents and not isinstance(context, ast.Store):
            self.fail(node, f"new.{name} names an agent: where others' are written too, it can be written but not read")
        self.writes_others.add((self.me.name, name, row))
        array = self.need(Argument("field", name, row, self.me.name, "array"))
        return ast.copy_location(ast.Subscript(array, self.visit(agent), context), node)
