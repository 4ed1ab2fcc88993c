"""Where the classes, functions and imported names of running code were written: in files and in notebook cells."""

from __future__ import annotations

import ast
import importlib.machinery
import linecache
import symtable
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from inspect import getattr_static
from pathlib import Path
from types import CellType, CodeType, FunctionType
from typing import Any

from simengine.runs.sources import (
    CELLS,
    CHANGED,
    DEFINITIONS,
    FUTURE,
    NO_SOURCE,
    OTHERS_CHANGED,
    Around,
    Function,
    NotPortable,
    agrees,
    check_code,
    check_values,
    defaults_hold,
    definitions_in,
    is_postponed,
    module_level,
    parsed,
    source_text,
    sources_of,
)

Position = tuple[int, str, int]
"""When it was defined, as far as that is known: the rank of a notebook cell, the file, the line."""


@dataclass(frozen=True)
class Definition:
    """Where a name was defined: its statement, what the statement sees around it, and its place."""

    node: Function | ast.ClassDef | ast.Assign | ast.AnnAssign
    surroundings: Mapping[str, Any]
    position: Position = (0, "", 0)
    postponed: bool = False
    enclosed: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The name it defines."""
        if isinstance(self.node, DEFINITIONS):
            return self.node.name
        target = self.node.targets[0] if isinstance(self.node, ast.Assign) else self.node.target
        return ast.unparse(target)


def installed(name: str) -> bool:
    """Whether a module belongs to Python, to simengine or to an installed distribution, and is not the user's own."""
    root = name.partition(".")[0]
    if root == "__main__" or not root:
        return False
    if root == "simengine" or root in sys.stdlib_module_names:
        return True
    module = sys.modules.get(name) or sys.modules.get(root)
    places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
    if module is None:
        found = importlib.machinery.PathFinder.find_spec(root)
        places = [] if found is None else [found.origin, *(found.submodule_search_locations or ())]
    return any(place and {"site-packages", "dist-packages"} & set(Path(place).parts) for place in places)


def importable(value: Any) -> tuple[str, str] | None:
    """Return the installed module and the name from which an object can be imported, the package itself if it can."""
    home, name = _static(value, "__module__"), _static(value, "__name__")
    if not isinstance(home, str) or not isinstance(name, str) or not installed(home):
        return None
    for module in (home.partition(".")[0], home):
        if getattr(sys.modules.get(module), name, None) is value:
            return module, name
    return None


def function_of(value: Any) -> FunctionType | None:
    """Return the author's function within what decorators made of it; ``None`` when there is none."""
    for _ in range(100):
        if isinstance(value, staticmethod | classmethod):
            value = value.__func__
        elif isinstance(value, property):
            value = value.fget
        elif isinstance(wrapped := getattr_static(value, "__wrapped__", None), FunctionType) or callable(wrapped):
            value = wrapped
        elif isinstance(value, FunctionType):
            return value
        elif type(value).__module__.startswith(("simengine.", "numba.")):
            value = getattr_static(value, "function", None) or getattr_static(value, "py_func", None)
        else:
            return None
    return None


def of_function(function: FunctionType) -> Definition:
    """Find the ``def`` of a function; ``NotPortable`` when there is none, or another by now."""
    code = function.__code__
    if code.co_name == "<lambda>":
        raise NotPortable("it is a lambda")
    text = source_text(code.co_filename, function.__globals__)
    if text is None:
        raise NotPortable(NO_SOURCE)
    found = [(node, around) for node, around in definitions_in(parsed(text)) if _starts(node, code)]
    if not found:
        raise NotPortable(CHANGED)
    node, around = found[0]
    check_code([code], text)
    if around and isinstance(around[-1], ast.ClassDef):
        raise NotPortable(f"it is a method of {around[-1].name}")
    cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
    outer = sorted(name for name, cell in cells if function_of(_contents(cell)) is not function)
    if outer:
        raise NotPortable(f"it closes over the local variable {outer[0]!r}")
    if not defaults_hold(node, function):
        raise NotPortable(OTHERS_CHANGED)
    postponed = bool(code.co_flags & FUTURE)
    position = _position(code.co_filename, node)
    return Definition(node, function.__globals__, position, postponed, _locals(around))


def of_class(cls: type) -> Definition:
    """Find the ``class`` statement of a class; ``NotPortable`` when there is none, or another by now."""
    module = sys.modules.get(cls.__module__)
    surroundings = vars(module) if module else {}
    for function in _own_functions(cls):
        surroundings, code = function.__globals__, function.__code__
        text = source_text(code.co_filename, surroundings)
        if text is None:
            continue
        around_it = [
            found for found in _classes(text, cls) if _first_line(found[0]) <= code.co_firstlineno <= _end(found[0])
        ]
        if not around_it:
            raise NotPortable(CHANGED)
        node, around = around_it[0]
        own = [f.__code__ for f in _own_functions(cls) if f.__code__.co_filename == code.co_filename]
        check_code(own, text)
        check_values(node, cls, surroundings)
        return _class_definition(node, around, surroundings, code.co_filename, bool(code.co_flags & FUTURE))
    texts, ordered = sources_of(surroundings)
    found = [(*pair, text) for text in reversed(texts) for pair in _classes(text, cls)]
    agreeing = [each for each in found if agrees(each[0], cls, {})]
    if not agreeing:
        raise NotPortable(CHANGED if found else NO_SOURCE)
    node, around, text = agreeing[0]
    if not ordered and len({ast.dump(each[0]) for each in agreeing}) > 1:
        raise NotPortable(f"there are several classes {cls.__name__!r} that it may be")
    check_values(node, cls, surroundings)
    return _class_definition(node, around, surroundings, cls.__module__, is_postponed(text))


def of_assignment(name: str, surroundings: Mapping[str, Any]) -> Definition | None:
    """Find the one statement ``name = ...`` of a module; ``None`` when there is none, or more than one."""
    found = []
    texts, ordered = sources_of(surroundings)
    for text in texts:
        for node in module_level(parsed(text)):
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                named = [target.id for target in targets if isinstance(target, ast.Name)]
                if named == [name] and len(targets) == 1:
                    position = _position(str(surroundings.get("__file__")), node)
                    found.append(Definition(node, surroundings, position, is_postponed(text)))
    if not found or (not ordered and len({ast.dump(each.node) for each in found}) > 1):
        return None
    return found[-1]


def imports_of(name: str, value: Any, surroundings: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    """Return how a module imports a name from what is installed: (module, its name there, or None for a module)."""
    found: list[tuple[str, str | None]] = []
    for text in sources_of(surroundings)[0]:
        for bound, module, original in _imports(text):
            if bound != name or not installed(module):
                continue
            if original is not None:
                held = getattr(sys.modules.get(module), original, surroundings)
            else:
                held = sys.modules.get(module if name != module.partition(".")[0] else name)
            if held is value:
                found.append((module, original))
    whole = sorted({each for each in found if each[1] is None})
    return whole or sorted(found, key=lambda each: (each[0].count("."), each[0], str(each[1])))[:1]


def is_module_here(name: str, level: int) -> bool:
    """Whether an import statement asks for one of the user's own modules."""
    return level > 0 or not installed(name)


def _static(value: Any, name: str) -> Any:
    """Return an attribute that every class and function has; anything else only if it is stored plainly."""
    if isinstance(value, type | FunctionType) or callable(value):
        try:
            return getattr(value, name, None)
        except Exception:
            return None
    return getattr_static(value, name, None)


@lru_cache(maxsize=256)
def _imports(text: str) -> list[tuple[str, str, str | None]]:
    found: list[tuple[str, str, str | None]] = []
    for node in module_level(parsed(text)):
        if isinstance(node, ast.Import):
            found += [(a.asname or a.name.partition(".")[0], a.name, None) for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found += [(a.asname or a.name, node.module, a.name) for a in node.names]
    return found


def _classes(text: str, cls: type) -> list[tuple[ast.ClassDef, Around]]:
    found = []
    for node, around in definitions_in(parsed(text)):
        parts = [each.name if isinstance(each, ast.ClassDef) else f"{each.name}.<locals>" for each in around]
        if isinstance(node, ast.ClassDef) and ".".join([*parts, node.name]) == cls.__qualname__:
            found.append((node, around))
    return found


def _class_definition(
    node: ast.ClassDef, around: Around, surroundings: Mapping[str, Any], filename: str, postponed: bool
) -> Definition:
    if around and isinstance(around[-1], ast.ClassDef):
        raise NotPortable(f"it is defined inside the class {around[-1].name}")
    return Definition(node, surroundings, _position(filename, node), postponed, _locals(around))


def _own_functions(cls: type) -> list[FunctionType]:
    """The functions that stand in the body of a class: methods, phases, properties."""
    found = [function_of(value) for value in vars(cls).values() if not isinstance(value, type)]
    return [
        function for function in found
        if function is not None and function.__qualname__.rpartition(".")[0] == cls.__qualname__
        and function.__module__ == cls.__module__ and not function.__code__.co_filename.startswith("<string")
    ]  # fmt: skip


def _position(filename: str, node: ast.stmt) -> Position:
    cells = [name for name in linecache.cache if any(mark in name for mark in CELLS)]
    return cells.index(filename) if filename in cells else 0, filename, node.lineno


def _first_line(node: Function | ast.ClassDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _end(node: ast.ClassDef) -> int:
    return node.end_lineno or node.lineno


def _starts(node: Function | ast.ClassDef, code: CodeType) -> bool:
    return not isinstance(node, ast.ClassDef) and node.name == code.co_name and _first_line(node) == code.co_firstlineno


def _locals(around: Around) -> frozenset[str]:
    """The local variables of the functions around a definition."""
    found: set[str] = set()
    for node in around:
        table = symtable.symtable(ast.unparse(node), "<source>", "exec").get_children()[-1]
        if isinstance(table, symtable.Function):
            found |= set(table.get_locals())
    return frozenset(found)


def _contents(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None
