"""Small questions about, and changes of, an author's syntax tree."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

COMPARISONS: dict[type, Callable[[Any, Any], bool]] = {
    ast.Eq: lambda a, b: a == b,
    ast.NotEq: lambda a, b: a != b,
    ast.Is: lambda a, b: a is b,
    ast.IsNot: lambda a, b: a is not b,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}


class Substitute(ast.NodeTransformer):
    """Replace a loop variable by a constant."""

    def __init__(self, name: str, value: int) -> None:
        self.name, self.value = name, value

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.copy_location(ast.Constant(self.value), node) if node.id == self.name else node


class Renamed(ast.NodeTransformer):
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


def static_value(node: ast.expr) -> tuple[bool, Any]:
    """Whether the value is known now (texts and None only; tuples of texts), and the value."""
    if isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, str)):
        return True, node.value
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        parts = [static_value(element) for element in node.elts]
        return all(known for known, _ in parts), tuple(value for _, value in parts)
    return False, None


def constant_value(node: ast.AST) -> Any:
    """The value of a literal, ``None`` for anything else."""
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def as_list(lowered: Any) -> list[ast.stmt]:
    """The statements that one statement was lowered to, as a list even when it is only one."""
    return lowered if isinstance(lowered, list) else [lowered]


def is_docstring(statement: ast.stmt) -> bool:
    """Whether a statement is a bare text."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def root_name(node: ast.AST) -> str | None:
    """The variable that attributes and indices start from: ``a`` of ``a.b[i].c``."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def field_name(node: ast.AST) -> str | None:
    """The attribute that is indexed: ``b`` of ``a.b[i]`` and of ``a.b``."""
    while isinstance(node, ast.Subscript):
        node = node.value
    return node.attr if isinstance(node, ast.Attribute) else None


def attribute_of(node: ast.AST, owner: str) -> bool:
    """Whether a node is an attribute of the variable ``owner``."""
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == owner


def written_fields(definition: ast.FunctionDef, owners: set[str]) -> set[tuple[str, str, str | None]]:
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


def line_map(function: ast.FunctionDef, source: str, first_line: int) -> dict[int, int]:
    """Map lines of the unparsed source to lines of the author's file."""
    mapping: dict[int, int] = {}
    again = ast.parse(source).body[0]
    for before, after in zip(ast.walk(function), ast.walk(again), strict=False):
        if isinstance(before, ast.stmt) and isinstance(after, ast.stmt) and before is not function:
            mapping[after.lineno] = first_line + before.lineno - 1
    return mapping
