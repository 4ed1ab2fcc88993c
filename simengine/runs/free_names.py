"""The names that a definition takes from its surroundings, read from its syntax tree."""

from __future__ import annotations

import ast
import copy
import symtable
from collections.abc import Mapping
from contextlib import suppress
from types import ModuleType
from typing import Any

from simengine.runs.definitions import installed, is_module_here
from simengine.runs.sources import NotPortable


def free_names(node: ast.stmt) -> set[str]:
    """Return the names that a definition takes from its surroundings, those in annotations included."""
    tree = _Annotations().visit(copy.deepcopy(node))
    found: set[str] = set()
    blocks = [symtable.symtable(ast.unparse(tree), "<source>", "exec")]
    while blocks:
        block = blocks.pop()
        blocks += block.get_children()
        for symbol in block.get_symbols():
            if symbol.is_declared_global() and symbol.is_assigned():
                raise NotPortable(f"it changes the global variable {symbol.get_name()!r}")
            if symbol.is_global() and symbol.is_referenced():
                found.add(symbol.get_name())
    for inner in ast.walk(node):
        if isinstance(inner, ast.ClassDef):
            found |= _taken_over(inner)
        elif isinstance(inner, ast.Import | ast.ImportFrom):
            level, module = getattr(inner, "level", 0), getattr(inner, "module", None)
            for name in [module] if level or module else [alias.name for alias in inner.names]:
                if is_module_here(name or "", level):
                    raise NotPortable(f"it imports {name or '.'!r} inside a function; import it at the top of the file")
    return found


def _taken_over(node: ast.ClassDef) -> set[str]:
    """Names that a class body reads from outside before it gives them a value itself: ``size = size``."""
    found: set[str] = set()
    given: set[str] = set()
    for statement in node.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            bound = {target.id for target in targets if isinstance(target, ast.Name)}
            read = {inner.id for inner in ast.walk(statement.value) if isinstance(inner, ast.Name)}
            found |= (bound & read) - given
            given |= bound
    return found


class _Annotations(ast.NodeTransformer):
    """Read annotations that are written as texts."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = self.read(node.annotation)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = self.read(node.annotation) or node.annotation
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = self.read(node.returns)
        return self.generic_visit(node)

    def read(self, node: ast.expr | None) -> ast.expr | None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            with suppress(SyntaxError):
                return ast.parse(node.value, mode="eval").body
        if isinstance(node, ast.Subscript) and ast.unparse(node.value).rpartition(".")[2] in {"Literal", "Annotated"}:
            return node
        if node is not None:
            for name, value in ast.iter_fields(node):
                if isinstance(value, ast.expr):
                    setattr(node, name, self.read(value))
                elif isinstance(value, list):
                    setattr(node, name, [self.read(each) if isinstance(each, ast.expr) else each for each in value])
        return node


class Unqualified(ast.NodeTransformer):
    """Names of the user's own modules without the module: ``helpers.turn`` becomes ``turn``."""

    def __init__(self, modules: Mapping[str, ModuleType], definition: ast.stmt) -> None:
        self.modules = modules
        self.bound = {n.id for n in ast.walk(definition) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        self.bound |= {n.arg for n in ast.walk(definition) if isinstance(n, ast.arg)}
        self.bound |= {n.name for n in ast.walk(definition) if isinstance(n, ast.FunctionDef | ast.ClassDef)}
        self.found: dict[str, tuple[Any, Mapping[str, Any]]] = {}

    def module_of(self, node: ast.expr) -> ModuleType | None:
        """Return the user's module that an expression stands for."""
        if isinstance(node, ast.Name):
            return self.modules.get(node.id)
        outer = self.module_of(node.value) if isinstance(node, ast.Attribute) else None
        held = vars(outer).get(node.attr) if outer is not None and isinstance(node, ast.Attribute) else None
        return held if isinstance(held, ModuleType) and not installed(held.__name__) else None

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Replace an attribute of a user's module by its bare name, and remember it."""
        outer = self.module_of(node.value)
        if outer is None:
            return self.generic_visit(node)
        if not isinstance(node.ctx, ast.Load) or node.attr not in vars(outer) or self.module_of(node) is not None:
            return node
        held = vars(outer)[node.attr]
        if node.attr in self.bound or self.found.get(node.attr, (held,))[0] is not held:
            raise NotPortable(f"it uses {ast.unparse(node)!r} and another {node.attr!r}; rename one")
        self.found[node.attr] = held, vars(outer)
        return ast.copy_location(ast.Name(node.attr, ast.Load()), node)
