"""Rewrite a lowered gather so that it acts on eight seen agents at once.

Branches become masks and assignments become selections, so that the function has one path; each lane then computes
what the scalar function computes. Only functions of plain arithmetic on numbers can be rewritten; for others the
gather runs agent by agent.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

from simengine.compile.lowered import Lowered

# Sums of 2**32 of these stay below 2**53, up to which float64 counts exactly.
LARGEST_COUNTED = 2**20
SQUARE_ROOTS = {("math", "sqrt"), ("np", "sqrt"), ("numpy", "sqrt")}


class NotLanesError(Exception):
    """The function needs something that lanes cannot do."""


@dataclass
class LaneForm:
    """The rewritten function: its name and source; its first argument is the mask of live lanes."""

    name: str
    source: str


def lane_form(lowered: Lowered) -> LaneForm | None:
    """Return the form on lanes, or ``None`` when there is none."""
    function = ast.parse(lowered.source).body[0]
    assert isinstance(function, ast.FunctionDef)
    try:
        body = _Rewriting(
            {result.variable for result in lowered.results}, function, lowered.booleans, lowered.whole
        ).run()
    except NotLanesError:
        return None
    name = f"{lowered.name}_lanes"
    result = ast.FunctionDef(
        name=name,
        args=ast.arguments([], [ast.arg("live"), *function.args.args], None, [], [], None, []),
        body=body,
        decorator_list=[],
        returns=None,
    )
    return LaneForm(name, ast.unparse(ast.fix_missing_locations(result)))


class _Rewriting:
    """The rewriting of one function body."""

    def __init__(
        self, accumulators: set[str], function: ast.FunctionDef, booleans: frozenset[str], whole: frozenset[str]
    ) -> None:
        self.accumulators = accumulators
        self.whole = whole
        self.function = function
        self.known = {argument.arg for argument in function.args.args}
        self.masks: set[str] = set(booleans)
        self.branches = 0
        self.lines: list[ast.stmt] = []

    def run(self) -> list[ast.stmt]:
        *body, last = self.function.body
        if not isinstance(last, ast.Return):
            raise NotLanesError
        self.statements(_without_returns(body), "live")
        return [*self.lines, last]

    def statements(self, body: list[ast.stmt], mask: str) -> None:
        for statement in body:
            if isinstance(statement, ast.If):
                self.branch(statement, mask)
            elif isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
                old = ast.Name(statement.target.id, ast.Load())
                self.assign(statement.target.id, ast.BinOp(old, statement.op, statement.value), mask)
            elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
                self.assign_target(statement.targets[0], statement.value, mask)
            elif not isinstance(statement, ast.Pass):
                raise NotLanesError

    def assign_target(self, target: ast.expr, value: ast.expr, mask: str) -> None:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            temporary = [f"part_{len(self.lines)}_{index}" for index in range(len(target.elts))]
            for name, part in zip(temporary, value.elts, strict=True):
                self.assign(name, part, mask)
            for name, part in zip(temporary, target.elts, strict=True):
                self.assign_target(part, ast.Name(name, ast.Load()), mask)
        elif isinstance(target, ast.Name):
            self.assign(target.id, value, mask)
        else:
            raise NotLanesError

    def assign(self, name: str, value: ast.expr, mask: str) -> None:
        is_mask = self.is_mask(value)
        lowered = self.expression(value)
        if name in self.whole and not _adds_whole_number(name, value):
            raise NotLanesError
        if name in self.accumulators or (mask != "live" and name in self.known):
            if is_mask:
                raise NotLanesError
            lowered = _select(ast.Name(mask, ast.Load()), lowered, ast.Name(name, ast.Load()))
        self.emit(name, lowered)
        if is_mask:
            self.masks.add(name)

    def emit(self, name: str, value: ast.expr) -> None:
        self.known.add(name)
        self.lines.append(ast.Assign([ast.Name(name, ast.Store())], value))

    def branch(self, node: ast.If, mask: str) -> None:
        self.branches += 1
        number = self.branches
        test, then, otherwise = f"test_{number}", f"when_{number}", f"else_{number}"
        self.emit(test, self.condition(node.test))
        self.emit(then, ast.BinOp(ast.Name(mask, ast.Load()), ast.BitAnd(), ast.Name(test, ast.Load())))
        self.statements(node.body, then)
        if node.orelse:
            self.emit(
                otherwise, ast.BinOp(ast.Name(mask, ast.Load()), ast.BitAnd(), _negated(ast.Name(test, ast.Load())))
            )
            self.statements(node.orelse, otherwise)

    def is_mask(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Name):
            return node.id in self.masks
        if isinstance(node, ast.Constant):
            return isinstance(node.value, bool)
        return isinstance(node, ast.Compare | ast.BoolOp) or (
            isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
        )

    def condition(self, node: ast.expr) -> ast.expr:
        if not self.is_mask(node):
            if not isinstance(node, ast.Name):
                raise NotLanesError
            return ast.Compare(node, [ast.NotEq()], [ast.Constant(0)])
        return self.expression(node)

    def number(self, node: ast.expr) -> ast.expr:
        """An operand of arithmetic, where truth values cannot stand on lanes."""
        if self.is_mask(node):
            raise NotLanesError
        return self.expression(node)

    def expression(self, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Name | ast.Constant):
            return node
        if isinstance(node, ast.BinOp):
            if isinstance(node.op, ast.Pow):
                if isinstance(node.right, ast.Constant) and node.right.value == 2 and isinstance(node.left, ast.Name):
                    return ast.BinOp(node.left, ast.Mult(), node.left)
                raise NotLanesError
            if not isinstance(node.op, ast.Add | ast.Sub | ast.Mult | ast.Div):
                raise NotLanesError
            return ast.BinOp(self.number(node.left), node.op, self.number(node.right))
        if isinstance(node, ast.UnaryOp):
            if isinstance(node.op, ast.Not):
                return _negated(self.condition(node.operand))
            if isinstance(node.op, ast.USub):
                return ast.UnaryOp(node.op, self.number(node.operand))
            raise NotLanesError
        if isinstance(node, ast.Compare):
            return self.comparison(node)
        if isinstance(node, ast.BoolOp):
            operator: ast.operator = ast.BitAnd() if isinstance(node.op, ast.And) else ast.BitOr()
            parts = [self.condition(value) for value in node.values]
            joined = parts[0]
            for part in parts[1:]:
                joined = ast.BinOp(joined, operator, part)
            return joined
        if isinstance(node, ast.IfExp):
            if self.is_mask(node.body) or self.is_mask(node.orelse):
                raise NotLanesError
            return _select(self.condition(node.test), self.expression(node.body), self.expression(node.orelse))
        if isinstance(node, ast.Call):
            return self.call(node)
        raise NotLanesError

    def comparison(self, node: ast.Compare) -> ast.expr:
        allowed = ast.Lt | ast.LtE | ast.Gt | ast.GtE | ast.Eq | ast.NotEq
        sides = [self.number(side) for side in [node.left, *node.comparators]]
        joined: ast.expr | None = None
        for left, operator, right in zip(sides, node.ops, sides[1:], strict=False):
            if not isinstance(operator, allowed):
                raise NotLanesError
            part = ast.Compare(left, [operator], [right])
            joined = part if joined is None else ast.BinOp(joined, ast.BitAnd(), part)
        assert joined is not None
        return joined

    def call(self, node: ast.Call) -> ast.expr:
        if node.keywords:
            raise NotLanesError
        arguments = [self.number(argument) for argument in node.args]
        function = node.func
        if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
            if (function.value.id, function.attr) in SQUARE_ROOTS:
                return ast.Call(ast.Attribute(ast.Name("np", ast.Load()), "sqrt", ast.Load()), arguments, [])
        elif isinstance(function, ast.Name):
            if function.id == "abs":
                return ast.Call(function, arguments, [])
            if function.id in {"min", "max"} and len(arguments) == 2:
                operator: ast.cmpop = ast.Lt() if function.id == "min" else ast.Gt()
                # Python keeps the first argument on a tie, so the second is chosen only when strictly better.
                better = ast.Compare(arguments[1], [operator], [arguments[0]])
                return _select(better, arguments[1], arguments[0])
        raise NotLanesError


def _select(condition: ast.expr, chosen: ast.expr, otherwise: ast.expr) -> ast.expr:
    return ast.Call(ast.Name("engine_select", ast.Load()), [condition, chosen, otherwise], [])


def _negated(condition: ast.expr) -> ast.expr:
    return ast.BinOp(condition, ast.BitXor(), ast.Constant(True))


def _adds_whole_number(name: str, value: ast.expr) -> bool:
    """Whether the new value is the old one plus or minus a small constant; lanes hold these exactly."""
    return (
        isinstance(value, ast.BinOp)
        and isinstance(value.op, ast.Add | ast.Sub)
        and isinstance(value.left, ast.Name)
        and value.left.id == name
        and isinstance(value.right, ast.Constant)
        and type(value.right.value) is int
        and abs(value.right.value) <= LARGEST_COUNTED
    )


def _without_returns(body: list[ast.stmt]) -> list[ast.stmt]:
    """Turn ``if c: ...; return`` followed by more into ``if c: ... else: more``."""
    for index, statement in enumerate(body):
        if isinstance(statement, ast.Return):
            return body[:index]
        if isinstance(statement, ast.If):
            rest = body[index + 1 :]
            then_returns = _ends_with_return(statement.body)
            else_returns = _ends_with_return(statement.orelse)
            if then_returns or else_returns:
                then = statement.body[:-1] if then_returns else statement.body + rest
                otherwise = statement.orelse[:-1] if else_returns else statement.orelse + rest
                changed = ast.If(statement.test, _without_returns(then) or [ast.Pass()], _without_returns(otherwise))
                return [*body[:index], changed]
            if any(isinstance(node, ast.Return) for node in ast.walk(statement)):
                raise NotLanesError
    return body


def _ends_with_return(body: list[ast.stmt]) -> bool:
    return bool(body) and isinstance(body[-1], ast.Return)
