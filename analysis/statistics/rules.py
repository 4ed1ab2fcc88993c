"""Rules in words, as ``"polarization > 0.65 and rotation < 0.3"``: read by a grammar of their own, never executed."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.errors import InputError, nearest

LONGEST, DEEPEST = 500, 40
ALLOWED = "numbers, names, comparisons, and, or, not, +, -, *, / and brackets"

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: np.less, ast.LtE: np.less_equal, ast.Gt: np.greater, ast.GtE: np.greater_equal,
    ast.Eq: np.equal, ast.NotEq: np.not_equal,
}  # fmt: skip
_SUMS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply, ast.Div: np.divide,
}  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """A condition on named numbers.

    Parameters
    ----------
    text
        As it was written.
    names
        What it speaks of, in the order of the text.
    """

    text: str
    names: tuple[str, ...]
    _tree: ast.expr

    @classmethod
    def read(cls, text: str) -> Rule:
        """Understand a rule.

        Raises
        ------
        InputError
            For what is no rule: what it is, where, and what is allowed.
        """
        if not isinstance(text, str) or not text.strip():
            raise InputError(f"rule: got {text!r}, allowed is a text of {ALLOWED}")
        if len(text) > LONGEST:
            raise InputError(f"rule: it has {len(text)} characters, allowed are {LONGEST}")
        try:
            tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            what = error.msg if isinstance(error, SyntaxError) else str(error)
            raise InputError(f"rule {text!r}: {what}; allowed are {ALLOWED}") from None
        _check(tree, text)
        if not _is_condition(tree):
            raise InputError(f"rule {text!r} is a number, not a condition; compare it with another, as in x > 0.5")
        found = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
        found.sort(key=lambda node: (node.lineno, node.col_offset))
        return cls(text, tuple(dict.fromkeys(node.id for node in found)), tree)

    def holds(self, values: Mapping[str, NDArray[Any] | float]) -> NDArray[np.bool_]:
        """Return where the rule holds; where a value that it compares is NaN it does not, whatever the rule says.

        Raises
        ------
        InputError
            When a name has no value; the line names the nearest.
        """
        for name in self.names:
            if name not in values:
                raise InputError(f"rule {self.text!r}: there is no {name!r}{nearest(name, values)}")
        used = [np.asarray(values[name], np.float64) for name in self.names]
        known = np.ones(np.broadcast_shapes(*(one.shape for one in used)), bool)
        for one in used:
            known = known & ~np.isnan(one)
        with np.errstate(all="ignore"):
            return np.asarray(known & _value(self._tree, dict(zip(self.names, used, strict=True))), bool)


def _check(node: ast.expr, text: str, depth: int = 0) -> None:
    def refuse(what: str) -> InputError:
        where = ast.get_source_segment(text.strip(), node) or text
        return InputError(f"rule {text!r}: {where!r} is {what}; allowed are {ALLOWED}")

    if depth > DEEPEST:
        raise refuse("nested too deeply")
    parts: list[ast.expr] = []
    wanted: bool | None = None
    match node:
        case ast.Constant(value=value):
            if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300:
                raise refuse("no number")
        case ast.Name():
            pass
        case ast.BoolOp():
            parts, wanted = node.values, True
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            parts, wanted = [operand], True
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            parts, wanted = [operand], False
        case ast.BinOp(op=operator, left=left, right=right) if type(operator) in _SUMS:
            parts, wanted = [left, right], False
        case ast.Compare(ops=operators) if all(type(one) in _COMPARISONS for one in operators):
            parts, wanted = [node.left, *node.comparators], False
        case _:
            raise refuse("nothing that a rule may hold")
    for part in parts:
        if wanted is not None and _is_condition(part) != wanted:
            raise InputError(
                f"rule {text!r}: {ast.get_source_segment(text.strip(), part)!r} is "
                f"{'a number where a condition is needed' if wanted else 'a condition where a number is needed'}"
            )
        _check(part, text, depth + 1)


def _is_condition(node: ast.expr) -> bool:
    return isinstance(node, ast.BoolOp | ast.Compare) or (
        isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
    )


def _value(node: ast.expr, values: Mapping[str, NDArray[Any]]) -> Any:
    match node:
        case ast.Constant(value=value):
            return float(value)  # type: ignore[arg-type]
        case ast.Name(id=name):
            return values[name]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return np.logical_not(_value(operand, values))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return np.negative(_value(operand, values))
        case ast.UnaryOp(operand=operand):
            return _value(operand, values)
        case ast.BinOp(op=operator, left=left, right=right):
            return _SUMS[type(operator)](_value(left, values), _value(right, values))
        case ast.BoolOp(op=ast.And()):
            return np.logical_and.reduce(np.broadcast_arrays(*(_value(part, values) for part in node.values)))
        case ast.BoolOp():
            return np.logical_or.reduce(np.broadcast_arrays(*(_value(part, values) for part in node.values)))
        case ast.Compare(ops=operators):
            sides = [_value(part, values) for part in (node.left, *node.comparators)]
            pairs = zip(operators, sides, sides[1:], strict=False)
            found = [_COMPARISONS[type(one)](left, right) for one, left, right in pairs]
            return np.logical_and.reduce(np.broadcast_arrays(*found))
    raise AssertionError(type(node))
