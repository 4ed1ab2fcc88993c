"""Lower an author's per-agent function to a function on scalars and one-dimensional arrays.

The author writes ``new.opinion[me] = acc.total / acc.count``; the compiled step needs
``new_opinion = acc_total / acc_count; return new_opinion``. The translation is mechanical and changes no
arithmetic: attribute accesses become names, values read at ``me`` or ``other`` become arguments, values written
become results. What the function asks for is recorded as `Argument`s, which the generated loop supplies.
"""

from __future__ import annotations

import ast
import copy
import inspect
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

from simengine.compile import draw_calls
from simengine.compile.helpers import Globals, surroundings
from simengine.errors import ScenarioError, nearest
from simengine.scenario.phases import Birth, Decision, Gather, Phase, Send
from simengine.scenario.population import Field, Population

UNROLL_LIMIT = 16
# What generated code calls its own variables; an author's variables of such names are renamed.
GENERATED_PREFIXES = (
    "acc", "p", "key", "offset", "direction", "new", "child", "message", "value", "test", "when", "else", "part",
    "engine", "local", "_draw",
)  # fmt: skip
GENERATED_NAMES = ("me", "other", "id", "other_id", "step", "distance", "live")


@dataclass(frozen=True)
class Argument:
    """One thing a lowered function asks for.

    ``kind``: ``me``, ``other``, ``id``, ``other_id``, ``step``, ``distance``, ``offset`` and ``direction`` (``name`` is the axis),
    ``parameter``, ``accumulator``, ``key`` (of a named draw), ``ids`` (of ``owner``), ``field`` (of ``owner`` at ``at``: ``me``, ``other``
    or the whole ``array``).
    """

    kind: str
    name: str = ""
    component: int = 0
    owner: str = ""
    at: str = ""

    @property
    def variable(self) -> str:
        """The name of the argument inside the lowered function."""
        parts = {
            "parameter": ("p", self.name),
            "accumulator": ("acc", self.name, self.component),
            "key": ("key", self.name),
            "offset": ("offset", self.name),
            "direction": ("direction", self.name),
            "ids": (self.owner, "ids"),
            "field": (self.owner, self.name, self.component, "at", self.at),
        }.get(self.kind, (self.kind,))
        return "_".join(str(part) for part in parts)


@dataclass(frozen=True)
class Result:
    """One value a lowered function returns: ``kind`` is ``accumulator``, ``new``, ``child``, ``message`` or ``value``."""

    kind: str
    name: str = ""
    component: int = 0

    @property
    def variable(self) -> str:
        """Its name inside the lowered function."""
        return {"accumulator": "acc", "new": "new", "child": "child", "message": "message"}.get(
            self.kind, "value"
        ) + f"_{self.name}_{self.component}"


@dataclass
class Lowered:
    """A lowered function: its source text, arguments and results, and where each of its lines came from.

    ``booleans`` are the arguments that hold truth values, ``whole`` the accumulators that hold integers.
    """

    name: str
    source: str
    arguments: list[Argument]
    results: list[Result]
    globals: Globals
    path: str
    lines: dict[int, int] = dataclass_field(default_factory=dict)
    writes_others: set[tuple[str, str, int]] = dataclass_field(default_factory=set)
    booleans: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()


class Lowering(ast.NodeTransformer):
    """The translation of one function; see the module's docstring."""

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
    ) -> None:
        self.phase = phase
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
            raise ScenarioError(f"{phase.name}(): its source cannot be read; write the scenario in a file or a notebook cell") from None
        tree = ast.parse(textwrap.dedent("".join(lines)))
        definition = tree.body[0]
        if not isinstance(definition, ast.FunctionDef):
            raise ScenarioError(f"{phase.where}: a {phase.kind} is a plain function (def)")
        self.definition = definition
        self.roles = [argument.arg for argument in definition.args.args]
        taken = re.compile(rf"({'|'.join([*GENERATED_PREFIXES, *populations])})_|({'|'.join(GENERATED_NAMES)})$")
        _Renamed(taken, set(self.roles)).visit(definition)
        self.assigned = {n.id for n in ast.walk(definition) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        self.folded: list[tuple[Callable[..., Any], str, Any]] = []

    # -- entry -------------------------------------------------------------------------------------------------

    def run(self) -> Lowered:
        """Translate the function."""
        phase = self.phase
        self.declare_results()
        body = [statement for statement in self.definition.body if not _is_docstring(statement)]
        lowered: list[ast.stmt] = []
        for statement in body:
            lowered.extend(_as_list(self.visit(statement)))
        if not lowered or not isinstance(lowered[-1], ast.Return):
            if isinstance(phase, Decision | Birth):
                lowered.append(ast.Return(self.returned(ast.Constant(False if isinstance(phase, Birth) else 0))))
            else:
                lowered.append(ast.Return(self.returned(None)))
        if isinstance(phase, Send):
            # Every path returns all messages, those of sends further down included.
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
            _line_map(function, source, self.first_line), self.writes_others, self.booleans(), self.whole(),
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
            written = _written_fields(self.definition, {"new", "child"})
            if self.sequential:
                self.written_elsewhere = {name for owner, name, index in written if owner == "new" and index not in {"me", None}}
            for owner, name, index in sorted(written, key=str):
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

    # -- bookkeeping --------------------------------------------------------------------------------------------

    def need(self, argument: Argument) -> ast.Name:
        """Record that the function asks for ``argument``; return its name."""
        self.arguments.setdefault(argument)
        return ast.Name(argument.variable, ast.Load())

    def fail(self, node: ast.AST, message: str) -> Any:
        """Raise an error that names the author's file and line."""
        line = self.first_line + getattr(node, "lineno", 1) - 1
        raise ScenarioError(f"{self.path}:{line}: in {self.phase.kind} {self.phase.name}(): {message}")

    def field_of(self, owner: Population, name: str, node: ast.AST | None) -> Field:
        fields = owner.fields | owner.inboxes
        if name not in fields:
            self.fail(node or self.definition, f"population {owner.name} has no field {name!r}{nearest(name, fields)}")
        return fields[name]

    # -- statements ---------------------------------------------------------------------------------------------

    def visit_For(self, node: ast.For) -> Any:
        values = self.constant_range(node)
        if values is None:
            return self.visit_loop(node)
        assert isinstance(node.target, ast.Name)
        unrolled: list[ast.stmt] = []
        for value in values:
            replace = _Substitute(node.target.id, value)
            for statement in node.body:
                copied = replace.visit(copy.deepcopy(statement))
                unrolled.extend(_as_list(self.visit(copied)))
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
        values = range(*bounds)  # type: ignore[arg-type]
        return values if len(values) <= UNROLL_LIMIT else None

    def visit_If(self, node: ast.If) -> Any:
        test = self.visit(node.test)
        if isinstance(test, ast.Constant):
            kept = node.body if test.value else node.orelse
            return [lowered for statement in kept for lowered in _as_list(self.visit(statement))] or ast.Pass()
        node.test = test
        node.body = [s for statement in node.body for s in _as_list(self.visit(statement))] or [ast.Pass()]
        node.orelse = [s for statement in node.orelse for s in _as_list(self.visit(statement))]
        return node

    def visit_Return(self, node: ast.Return) -> Any:
        value = self.visit(node.value) if node.value is not None else None
        if value is not None and not isinstance(self.phase, Decision | Birth):
            self.fail(node, f"a {self.phase.kind} returns nothing; it writes to acc, new or send")
        return ast.copy_location(ast.Return(self.returned(value)), node)

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        self.check_accumulator_write(node.target, node)
        if _root(node.target) == "acc" and not isinstance(node.op, ast.Add | ast.Sub):
            self.fail(node, "an accumulator is changed with += or -=")
        target = self.visit(node.target)
        return ast.copy_location(ast.AugAssign(target, node.op, self.visit(node.value)), node)

    def visit_Assign(self, node: ast.Assign) -> Any:
        for target in node.targets:
            if _root(target) == "acc":
                self.check_accumulator_write(target, node)
                name = _field_name(target)
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
        name = _field_name(target)
        if isinstance(target, ast.Tuple) and any(self.names_agent_elsewhere(part) for part in target.elts):
            self.fail(target, "assign to one field at a time")
        if _root(target) != "new" or name not in self.written_elsewhere:
            return False
        return self.field_of(self.me, name, target).names_agents

    def identity_of(self, target: ast.AST, slot: ast.expr) -> ast.expr:
        """The id of the agent in a slot, -1 for nobody."""
        declared = self.field_of(self.me, _field_name(target) or "", target)
        ids = self.need(Argument("ids", owner=(declared.reference or self.me).name))
        found = ast.Subscript(ids, slot, ast.Load())
        test = ast.Compare(copy.deepcopy(slot), [ast.GtE()], [ast.Constant(0)])
        return ast.IfExp(test, found, ast.Constant(-1))

    def check_accumulator_write(self, target: ast.AST, node: ast.AST) -> None:
        root = _root(target)
        if root == "acc" and not isinstance(self.phase, Gather):
            self.fail(node, "only a gather writes to acc")
        if root in self.populations and root in self.roles and not isinstance(target, ast.Name):
            self.fail(node, f"{root} holds the old values and is read-only; write to new.{_field_name(target)}[me]")

    def visit_Expr(self, node: ast.Expr) -> Any:
        call = node.value
        if isinstance(call, ast.Call) and _attribute_of(call.func, "send"):
            return self.message(call)
        return self.generic_visit(node)

    def message(self, call: ast.Call) -> list[ast.stmt]:
        if not isinstance(self.phase, Send):
            self.fail(call, "only a send phase sends")
        assert isinstance(self.phase, Send) and isinstance(call.func, ast.Attribute)
        inbox = call.func.attr
        if inbox not in self.phase.inboxes:
            self.fail(call, f"send has no inbox {inbox!r}{nearest(inbox, self.phase.inboxes)}")
        if self.loops:
            self.fail(call, f"a send inside a loop needs `for … in range(number)` with at most {UNROLL_LIMIT} rounds, without break")
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

    # -- expressions --------------------------------------------------------------------------------------------

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
            if owner == "child":
                return self.written("child", name, None, None, node)
            if owner in self.populations or owner == "new":
                self.fail(node, f"index it with an agent: {owner}.{name}[me]")
        return self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> Any:
        self.generic_visit(node)
        values = [_static(part) for part in [node.left, *node.comparators]]
        if len(values) == 2 and all(known for known, _ in values):
            left, right = values[0][1], values[1][1]
            operation = _COMPARISONS.get(type(node.ops[0]))
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
        if _attribute_of(node.func, "draw") and "draw" in self.roles:
            return self.draw(node)
        if _attribute_of(node.func, "send") and "send" in self.roles:
            self.fail(node, "send.… is a statement of its own")
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
        return _constant(self.visit(copy.deepcopy(node)))

    def component(self, index: ast.expr, node: ast.AST) -> int:
        value = self.constant(index)
        if not isinstance(value, int) or isinstance(value, bool):
            self.fail(node, "a component index is a number, or the variable of `for axis in range(number)`")
        return value  # type: ignore[return-value]

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
        argument = Argument("accumulator", name, component or 0)
        self.need(argument)
        return ast.copy_location(ast.Name(argument.variable, node.ctx), node)  # type: ignore[attr-defined]

    def checked_component(self, owner: str, declared: Field, component: int | None, node: ast.AST) -> int:
        if (component is None) != (declared.components == 0):
            self.fail(node, f"{owner}.{declared.name} has {declared.components or 'no'} components: "
                      + (f"{owner}.{declared.name}[me, axis]" if declared.components else f"{owner}.{declared.name}[me]"))  # fmt: skip
        if component is not None and not 0 <= component < declared.components:
            self.fail(node, f"{owner}.{declared.name} has components 0 to {declared.components - 1}")
        return component or 0

    def read(self, owner: Population, name: str, agent: ast.expr, component: int | None, node: ast.Subscript) -> ast.expr:
        if not isinstance(node.ctx, ast.Load):
            self.fail(node, f"{owner.name} holds the old values; write to new.{name}[me]")
        declared = self.field_of(owner, name, node)
        row = self.checked_component(owner.name, declared, component, node)
        at = agent.id if isinstance(agent, ast.Name) and agent.id in {"me", "other"} and agent.id in self.roles else "array"
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

    def written(
        self, kind: str, name: str, agent: ast.expr | None, component: int | None, node: ast.expr
    ) -> ast.expr:
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


_COMPARISONS: dict[type, Callable[[Any, Any], bool]] = {
    ast.Eq: lambda a, b: a == b,
    ast.NotEq: lambda a, b: a != b,
    ast.Is: lambda a, b: a is b,
    ast.IsNot: lambda a, b: a is not b,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}


class _Substitute(ast.NodeTransformer):
    """Replace a loop variable by a constant."""

    def __init__(self, name: str, value: int) -> None:
        self.name, self.value = name, value

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.copy_location(ast.Constant(self.value), node) if node.id == self.name else node


class _Renamed(ast.NodeTransformer):
    """Rename the function's variables that match a pattern."""

    def __init__(self, taken: re.Pattern[str], roles: set[str]) -> None:
        self.taken, self.roles = taken, roles
        self.renamed: set[str] = set()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        stored = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        self.renamed = {name for name in stored - self.roles if self.taken.match(name)}
        self.generic_visit(node)
        return node

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.copy_location(ast.Name(f"local_{node.id}", node.ctx), node) if node.id in self.renamed else node


def _static(node: ast.expr) -> tuple[bool, Any]:
    """Whether the value is known now (texts and None only; tuples of texts), and the value."""
    if isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, str)):
        return True, node.value
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        parts = [_static(element) for element in node.elts]
        return all(known for known, _ in parts), tuple(value for _, value in parts)
    return False, None


def _constant(node: ast.AST) -> Any:
    try:
        return ast.literal_eval(node)  # type: ignore[arg-type]
    except ValueError:
        return None


def _as_list(lowered: Any) -> list[ast.stmt]:
    return lowered if isinstance(lowered, list) else [lowered]


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) and isinstance(statement.value.value, str)


def _root(node: ast.AST) -> str | None:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _field_name(node: ast.AST) -> str | None:
    while isinstance(node, ast.Subscript):
        node = node.value
    return node.attr if isinstance(node, ast.Attribute) else None


def _attribute_of(node: ast.AST, owner: str) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == owner


def _written_fields(definition: ast.FunctionDef, owners: set[str]) -> set[tuple[str, str, str | None]]:
    """Find ``new.field[index]`` and ``child.field`` anywhere (written or read back): owner, field, index name."""
    found: set[tuple[str, str, str | None]] = set()
    subscripted: set[int] = set()
    for node in ast.walk(definition):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute):
            base = node.value
            if isinstance(base.value, ast.Name) and base.value.id in owners:
                subscripted.add(id(base))
                first = node.slice.elts[0] if isinstance(node.slice, ast.Tuple) else node.slice
                index = first.id if isinstance(first, ast.Name) else "?"
                found.add((base.value.id, base.attr, "me" if base.value.id == "child" else index))
    for node in ast.walk(definition):
        if (
            isinstance(node, ast.Attribute)
            and id(node) not in subscripted
            and isinstance(node.value, ast.Name)
            and node.value.id in owners
        ):
            found.add((node.value.id, node.attr, None))
    return found


def _line_map(function: ast.FunctionDef, source: str, first_line: int) -> dict[int, int]:
    """Map lines of the unparsed source to lines of the author's file."""
    mapping: dict[int, int] = {}
    again = ast.parse(source).body[0]
    for before, after in zip(ast.walk(function), ast.walk(again), strict=False):
        if isinstance(before, ast.stmt) and isinstance(after, ast.stmt) and before is not function:
            mapping[after.lineno] = first_line + before.lineno - 1
    return mapping
