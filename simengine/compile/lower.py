"""Lower an author's per-agent function to a function on scalars and one-dimensional arrays.

The author writes ``new.opinion[me] = acc.total / acc.count``; the compiled step needs
``new_opinion = acc_total / acc_count; return new_opinion``. The translation is mechanical and changes no
arithmetic: attribute accesses become names, values read at ``me`` or ``other`` become arguments, values written
become results. What the function asks for is recorded as `Argument`s, which the generated loop supplies.
"""

from __future__ import annotations

import ast
import copy
from typing import Any

from simengine.compile.expressions import Expressions
from simengine.compile.helpers import Globals
from simengine.compile.lowered import Argument, Lowered, Result
from simengine.compile.syntax import (
    Substitute,
    as_list,
    attribute_of,
    field_name,
    is_docstring,
    line_map,
    root_name,
    written_fields,
)
from simengine.errors import nearest
from simengine.scenario.phases import Birth, Decision, Gather, Rewire, Send

UNROLL_LIMIT = 16


class Lowering(Expressions):
    """The translation of one function; see the module's docstring."""

    def run(self) -> Lowered:
        """Translate the function."""
        phase = self.phase
        self.declare_results()
        body = [statement for statement in self.definition.body if not is_docstring(statement)]
        lowered: list[ast.stmt] = []
        for statement in body:
            lowered.extend(as_list(self.visit(statement)))
        if not lowered or not isinstance(lowered[-1], ast.Return):
            if isinstance(phase, Decision | Birth):
                lowered.append(ast.Return(self.returned(ast.Constant(False if isinstance(phase, Birth) else 0))))
            else:
                lowered.append(ast.Return(self.returned(None)))
        if isinstance(phase, Send | Rewire):
            # Every path returns all messages and requests, those further down included.
            for node in [node for statement in lowered for node in ast.walk(statement)]:
                if isinstance(node, ast.Return):
                    node.value = self.returned(None)
        prologue: list[ast.stmt] = []
        for result in self.results:
            start = self.initial(result)
            if start is not None:
                prologue.append(ast.Assign([ast.Name(result.variable, ast.Store())], start))
        name = f"{phase.kind}_{phase.name}"
        arguments = [argument.variable for argument in self.arguments]
        function = ast.FunctionDef(
            name=name,
            args=ast.arguments([], [ast.arg(a) for a in arguments], None, [], [], None, []),
            body=[*prologue, *lowered],
            decorator_list=[],
            returns=None,
        )
        ast.fix_missing_locations(function)
        source = ast.unparse(function)
        resolved = Globals.of(phase.function, function, set(arguments), phase.where)
        resolved.sources += self.folded
        return Lowered(
            name, source, list(self.arguments), list(self.results), resolved, self.path,
            line_map(function, source, self.first_line), self.writes_others, self.booleans(), self.whole(),
        )  # fmt: skip

    def declare_results(self) -> None:
        """Fix the order of the results that every path returns."""
        phase = self.phase
        if isinstance(phase, Decision | Birth):
            self.results[Result("value")] = None
        if isinstance(phase, Gather):
            for name, accumulator in phase.accumulators.items():
                for component in range(accumulator.rows):
                    self.results[Result("accumulator", name, component)] = None
                    self.need(Argument("accumulator", name, component))
        else:
            written = written_fields(self.definition, {"new", "child"})
            if self.sequential:
                self.written_elsewhere = {
                    name for owner, name, index in written if owner == "new" and index not in {"me", None}
                }
            for owner, name, _ in sorted(written, key=str):
                if name == "alive" and owner == "new":
                    self.results[Result("new", "alive")] = None
                    continue
                declared = self.field_of(self.me, name, None)
                if owner == "new" and name in self.written_elsewhere:
                    continue
                for component in range(declared.rows):
                    self.results[Result(owner, name, component)] = None
        if isinstance(phase, Send):
            for inbox in phase.inboxes:
                self.sites[inbox] = 0

    def initial(self, result: Result) -> ast.expr | None:
        """What a result holds before the author's first statement."""
        if result.kind in {"new", "child"}:
            if result.name == "alive":
                return ast.Constant(True)
            return self.need(Argument("field", result.name, result.component, self.me.name, "me"))
        if result.kind == "message":
            if result.name.endswith("_to"):
                return ast.Constant(-1)
            assert isinstance(self.phase, Send)
            dtype = self.phase.inboxes[result.name.removesuffix("_value")].dtype
            return ast.Constant(0.0 if dtype is float else 0)
        if result.kind == "request":
            assert isinstance(self.phase, Rewire)
            _, _, part = result.name.partition("_")
            if part in {"first", "second"}:
                return ast.Constant(-1)
            return ast.Constant(0.0 if self.phase.network.fields[part.removeprefix("to_")].dtype is float else 0)
        return None

    def returned(self, value: ast.expr | None) -> ast.expr:
        """The tuple every path returns."""
        parts: list[ast.expr] = []
        for result in self.results:
            if result.kind == "value":
                if value is None:
                    self.fail(self.definition, f"a {self.phase.kind} returns a value on every path")
                parts.append(value)
            else:
                parts.append(ast.Name(result.variable, ast.Load()))
        if len(parts) == 1:
            return parts[0]
        return ast.Tuple(parts, ast.Load())

    def booleans(self) -> frozenset[str]:
        """The arguments that hold truth values."""
        found = set()
        for argument in self.arguments:
            if argument.kind == "field":
                owner = self.populations[argument.owner]
                if (owner.fields | owner.inboxes)[argument.name].dtype is bool:
                    found.add(argument.variable)
            elif argument.kind == "parameter" and isinstance(self.parameters[argument.name], bool):
                found.add(argument.variable)
        return frozenset(found)

    def whole(self) -> frozenset[str]:
        """The accumulators that hold integers."""
        if not isinstance(self.phase, Gather):
            return frozenset()
        declared = self.phase.accumulators
        return frozenset(r.variable for r in self.results if r.kind == "accumulator" and declared[r.name].dtype is int)

    # -- statements ---------------------------------------------------------------------------------------------

    def visit_For(self, node: ast.For) -> Any:
        values = self.constant_range(node)
        if values is None:
            return self.visit_loop(node)
        assert isinstance(node.target, ast.Name)
        unrolled: list[ast.stmt] = []
        for value in values:
            replace = Substitute(node.target.id, value)
            for statement in node.body:
                copied = replace.visit(copy.deepcopy(statement))
                unrolled.extend(as_list(self.visit(copied)))
        return unrolled

    def visit_loop(self, node: ast.For | ast.While) -> Any:
        self.loops += 1
        self.generic_visit(node)
        self.loops -= 1
        return node

    visit_While = visit_loop  # noqa: N815

    def constant_range(self, node: ast.For) -> range | None:
        if not (
            isinstance(node.target, ast.Name)
            and isinstance(node.iter, ast.Call)
            and isinstance(node.iter.func, ast.Name)
            and node.iter.func.id == "range"
            and not node.orelse
            and not any(isinstance(n, ast.Break | ast.Continue) for n in ast.walk(node))
        ):
            return None
        bounds = [self.constant(argument) for argument in node.iter.args]
        if not all(isinstance(bound, int) for bound in bounds):
            return None
        values = range(*bounds)
        return values if len(values) <= UNROLL_LIMIT else None

    def visit_If(self, node: ast.If) -> Any:
        test = self.visit(node.test)
        if isinstance(test, ast.Constant):
            kept = node.body if test.value else node.orelse
            return [lowered for statement in kept for lowered in as_list(self.visit(statement))] or ast.Pass()
        node.test = test
        node.body = [s for statement in node.body for s in as_list(self.visit(statement))] or [ast.Pass()]
        node.orelse = [s for statement in node.orelse for s in as_list(self.visit(statement))]
        return node

    def visit_Return(self, node: ast.Return) -> Any:
        value = self.visit(node.value) if node.value is not None else None
        if value is not None and not isinstance(self.phase, Decision | Birth):
            self.fail(node, f"a {self.phase.kind} returns nothing; it writes to acc, new or send")
        return ast.copy_location(ast.Return(self.returned(value)), node)

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        self.check_accumulator_write(node.target, node)
        if root_name(node.target) == "acc" and not isinstance(node.op, ast.Add | ast.Sub):
            self.fail(node, "an accumulator is changed with += or -=")
        target = self.visit(node.target)
        return ast.copy_location(ast.AugAssign(target, node.op, self.visit(node.value)), node)

    def visit_Assign(self, node: ast.Assign) -> Any:
        for target in node.targets:
            if root_name(target) == "acc":
                self.check_accumulator_write(target, node)
                name = field_name(target)
                declared = self.accumulators.get(name or "")
                if declared is not None and declared.additive:
                    self.fail(node, f"acc.{name} is a total: add to it with +=, or declare it with running()")
        named = [target for target in node.targets if self.names_agent_elsewhere(target)]
        if named and len(node.targets) > 1:
            self.fail(node, "assign to one field at a time")
        value = self.visit(node.value)
        targets = [self.visit(target) for target in node.targets]
        if named:
            value = self.identity_of(named[0], value)
        return ast.copy_location(ast.Assign(targets, value), node)

    def names_agent_elsewhere(self, target: ast.AST) -> bool:
        """Whether the target is a reference that is stored in its array at once, as an id."""
        name = field_name(target)
        if isinstance(target, ast.Tuple) and any(self.names_agent_elsewhere(part) for part in target.elts):
            self.fail(target, "assign to one field at a time")
        if root_name(target) != "new" or name not in self.written_elsewhere:
            return False
        return self.field_of(self.me, name, target).names_agents

    def identity_of(self, target: ast.AST, slot: ast.expr) -> ast.expr:
        """The id of the agent in a slot, -1 for nobody."""
        declared = self.field_of(self.me, field_name(target) or "", target)
        ids = self.need(Argument("ids", owner=(declared.reference or self.me).name))
        found = ast.Subscript(ids, slot, ast.Load())
        test = ast.Compare(copy.deepcopy(slot), [ast.GtE()], [ast.Constant(0)])
        return ast.IfExp(test, found, ast.Constant(-1))

    def check_accumulator_write(self, target: ast.AST, node: ast.AST) -> None:
        root = root_name(target)
        if root == "acc" and not isinstance(self.phase, Gather):
            self.fail(node, "only a gather writes to acc")
        if root in self.populations and root in self.roles and not isinstance(target, ast.Name):
            self.fail(node, f"{root} holds the old values and is read-only; write to new.{field_name(target)}[me]")

    def visit_Expr(self, node: ast.Expr) -> Any:
        call = node.value
        if isinstance(call, ast.Call) and attribute_of(call.func, "send"):
            return self.message(call)
        if isinstance(call, ast.Call) and attribute_of(call.func, "edges") and isinstance(self.phase, Rewire):
            return self.request(call, self.phase)
        return self.generic_visit(node)

    def request(self, call: ast.Call, phase: Rewire) -> list[ast.stmt]:
        """Store what is asked of a network: the ends of an edge, and values of its fields."""
        assert isinstance(call.func, ast.Attribute)
        kind, fields = call.func.attr, phase.network.fields
        if kind not in {"add", "drop"}:
            self.fail(call, f"edges has no {kind!r}{nearest(kind, ('add', 'drop'))}; edges.add and edges.drop")
        values = {keyword.arg or "**": keyword.value for keyword in call.keywords}
        for name in values:
            if kind == "drop" or name not in fields:
                known = fields if kind == "add" else ()
                self.fail(call, f"edges.{kind} has no argument {name!r}{nearest(name, known)}")
        if len(call.args) != 2 or any(isinstance(argument, ast.Starred) for argument in call.args):
            given = "".join(f", {name}=..." for name in fields) if kind == "add" else ""
            self.fail(call, f"call it as edges.{kind}(me, other{given})")
        self.check_loops(call, f"edges.{kind}")
        site = self.sites.setdefault(kind, 0)
        self.sites[kind] += 1
        parts = {f"{kind}_first": call.args[0], f"{kind}_second": call.args[1]}
        parts |= {f"{kind}_to_{name}": value for name, value in values.items()}
        statements: list[ast.stmt] = []
        for name, value in parts.items():
            result = Result("request", name, site)
            self.results[result] = None
            lowered = self.visit(value)
            if name.startswith("add_to_") and fields[name.removeprefix("add_to_")].dtype is float:
                lowered = ast.BinOp(lowered, ast.Mult(), ast.Constant(1.0))
            statements.append(ast.copy_location(ast.Assign([ast.Name(result.variable, ast.Store())], lowered), call))
        return statements

    def check_loops(self, call: ast.Call, what: str) -> None:
        """Refuse what is counted by its place in the function inside a loop that is not unrolled."""
        if self.loops:
            self.fail(
                call,
                f"{what} inside a loop needs `for … in range(number)` with at most {UNROLL_LIMIT} rounds, "
                "without break",
            )

    def message(self, call: ast.Call) -> list[ast.stmt]:
        if not isinstance(self.phase, Send):
            self.fail(call, "only a send phase sends")
        assert isinstance(self.phase, Send)
        assert isinstance(call.func, ast.Attribute)
        inbox = call.func.attr
        if inbox not in self.phase.inboxes:
            self.fail(call, f"send has no inbox {inbox!r}{nearest(inbox, self.phase.inboxes)}")
        self.check_loops(call, "a send")
        combine = self.phase.inboxes[inbox]
        expected = 2 if combine.takes_value else 1
        if len(call.args) != expected or call.keywords:
            signature = f"send.{inbox}(to, value)" if combine.takes_value else f"send.{inbox}(to)"
            self.fail(call, f"call it as {signature}")
        site = self.sites[inbox]
        self.sites[inbox] += 1
        names = [f"{inbox}_to", f"{inbox}_value"][:expected]
        for name in names:
            self.results[Result("message", name, site)] = None
        return [
            ast.copy_location(
                ast.Assign([ast.Name(Result("message", name, site).variable, ast.Store())], self.visit(value)), call
            )
            for name, value in zip(names, call.args, strict=True)
        ]
