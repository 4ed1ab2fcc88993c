"""The texts that modules and notebooks were made of, and whether they still are what runs."""

from __future__ import annotations

import ast
import linecache
import sys
import warnings
from abc import ABCMeta
from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

from simengine.errors import SimengineError

Function = ast.FunctionDef | ast.AsyncFunctionDef
Around = tuple[Function | ast.ClassDef, ...]
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
FUTURE = annotations.compiler_flag
CELLS = ("ipykernel_", "<ipython-input", "<python-input")
PLAIN = (bool, int, float, complex, str, bytes, tuple, list, dict, set, frozenset, type(None))
NO_SOURCE = "its source is not available"
CHANGED = "its source has changed since it was loaded"
OTHERS_CHANGED = "a name that it uses means something else since it was defined"


class NotPortable(SimengineError):  # noqa: N818
    """Something cannot be written as text that defines it again; the message is the reason, in one line."""


def source_text(filename: str, surroundings: Mapping[str, Any]) -> str | None:
    """Return the text of a file or cell, empty as ``None``; ``NotPortable`` when it is no Python by now."""
    linecache.checkcache(filename)
    text = "".join(linecache.getlines(filename, dict(surroundings)))
    try:
        parsed(text)
    except SyntaxError:
        raise NotPortable(CHANGED) from None
    return text or None


def sources_of(surroundings: Mapping[str, Any]) -> tuple[list[str], bool]:
    """The texts that a module was made of, and whether they are known to stand in the order in which they ran."""
    texts, ordered = [], False
    file = surroundings.get("__file__")
    if isinstance(file, str) and (text := source_text(file, surroundings)):
        texts.append(text)
    if surroundings.get("__name__") == "__main__":
        history = surroundings.get("In")
        ordered = isinstance(history, list) and any(history)
        cells = history if ordered else [
            "".join(linecache.getlines(name)) for name in list(linecache.cache) if any(mark in name for mark in CELLS)
        ]  # fmt: skip
        texts += [cell for cell in cells or [] if isinstance(cell, str) and _parses(cell)]
    return texts, ordered


@lru_cache(maxsize=256)
def parsed(text: str) -> ast.Module:
    """Return the syntax tree of a text; not to be changed."""
    with warnings.catch_warnings():  # They were shown when the text was run.
        warnings.simplefilter("ignore")
        return ast.parse(text)


def _parses(text: str) -> bool:
    try:
        return bool(parsed(text).body)
    except (SyntaxError, ValueError):
        return False


def is_postponed(text: str) -> bool:
    """Whether a text postpones the evaluation of annotations."""
    return any(
        isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and "annotations" in {a.name for a in node.names}
        for node in parsed(text).body
    )


def module_level(tree: ast.AST) -> Iterator[ast.AST]:
    """All statements that run when a module is loaded."""
    for node in ast.iter_child_nodes(tree):
        yield node
        if not isinstance(node, DEFINITIONS):
            yield from module_level(node)


def definitions_in(tree: ast.AST, around: Around = ()) -> Iterator[tuple[Function | ast.ClassDef, Around]]:
    """All classes and functions, each with those around it."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, DEFINITIONS):
            yield node, around
            yield from definitions_in(node, (*around, node))
        else:
            yield from definitions_in(node, around)


def check_code(codes: list[CodeType], text: str) -> None:
    """Refuse a text that does not compile to the code that runs: the file was edited since."""
    for code in codes:
        if any(name.startswith("@") for name in _names(code)):
            continue  # Rewritten by a tool as it was loaded: no source holds such names.
        wanted = (code.co_name, code.co_firstlineno)
        compiled = _compiled(text, code.co_flags & FUTURE)
        if not any(_same(code, other) for other in compiled if (other.co_name, other.co_firstlineno) == wanted):
            raise NotPortable(CHANGED)


@lru_cache(maxsize=64)
def _compiled(text: str, flags: int) -> list[CodeType]:
    """All code of a text; notebook cells may await outside functions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = compile(text, "<source>", "exec", flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    return list(_codes(whole))


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def _names(code: CodeType) -> set[str]:
    return {name for each in (code, *_codes(code)) for name in (*each.co_names, *each.co_varnames)}


def _same(one: CodeType, other: CodeType) -> bool:
    if len(one.co_consts) != len(other.co_consts):
        return False
    if any(
        getattr(one, part) != getattr(other, part)
        for part in ("co_code", "co_names", "co_varnames", "co_freevars", "co_cellvars", "co_argcount")
    ):
        return False
    return all(
        _same(a, b) if isinstance(a, CodeType) and isinstance(b, CodeType) else repr(a) == repr(b) or a == b
        for a, b in zip(one.co_consts, other.co_consts, strict=True)
    )


def check_values(node: ast.ClassDef, cls: type, surroundings: Mapping[str, Any]) -> None:
    """Refuse a class statement that would no longer give the class: it, or a name that it uses, was changed since."""
    if not agrees(node, cls, {}):
        raise NotPortable(CHANGED)
    bases = [surroundings[base.id] for base in node.bases if isinstance(base, ast.Name) and base.id in surroundings]
    known = [base for base in bases if isinstance(base, type)]
    if not agrees(node, cls, surroundings) or not (node.decorator_list or set(known) <= set(cls.__mro__)):
        raise NotPortable(OTHERS_CHANGED)


def agrees(node: ast.ClassDef, cls: type, surroundings: Mapping[str, Any]) -> bool:
    """Whether the plain values and names in the body of a class statement are those that the class has."""
    if type(cls) not in (type, ABCMeta) or issubclass(cls, tuple) or node.decorator_list:
        return True
    assigned: dict[str, ast.expr] = {}
    for statement in node.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        value = getattr(statement, "value", None)
        if len(targets) == 1 and isinstance(targets[0], ast.Name) and value is not None:
            assigned[targets[0].id] = value
    own = {each.name for each in node.body if isinstance(each, DEFINITIONS)} | set(assigned)
    outside = {name: value for name, value in surroundings.items() if name not in own}
    if not all(_may_be(value, vars(cls)[name], outside) for name, value in assigned.items() if name in vars(cls)):
        return False
    return ast.get_docstring(node, clean=False) == cls.__doc__ or sys.flags.optimize > 1 or sys.version_info >= (3, 13)


def defaults_hold(node: Function | ast.ClassDef, function: FunctionType) -> bool:
    """Whether the default values of a function are what its text says by now."""
    assert not isinstance(node, ast.ClassDef)
    pairs = list(zip(reversed(node.args.defaults), reversed(function.__defaults__ or ()), strict=False))
    held = function.__kwdefaults__ or {}
    for each, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        if default is not None and each.arg in held:
            pairs.append((default, held[each.arg]))
    return all(_may_be(default, value, function.__globals__) for default, value in pairs)


def _may_be(node: ast.expr, held: Any, surroundings: Mapping[str, Any]) -> bool:
    """Whether an expression may have the value: plain values, names and lists of them can be told."""
    if isinstance(node, ast.Name):
        meant = surroundings.get(node.id, held)
        return meant is held or (type(held) in PLAIN and type(meant) is type(held) and repr(meant) == repr(held))
    if isinstance(node, ast.List | ast.Tuple) and type(held) in (list, tuple):
        return len(held) == len(node.elts) and all(
            _may_be(part, each, surroundings) for part, each in zip(node.elts, held, strict=True)
        )
    try:
        said = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return True
    return type(held) not in PLAIN or repr(held) == repr(said)
