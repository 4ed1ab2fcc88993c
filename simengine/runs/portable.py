"""Portable source: a user's scenario, intervention or policy as the text of a small module that stands alone.

A run file holds this text, so that it is enough to repeat the run. The text is put together from the objects
themselves and the files or notebook cells they were written in; nothing is run for it.
"""

from __future__ import annotations

import ast
import builtins
import copy
import functools
import hashlib
import linecache
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import BuiltinFunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from simengine.arrays.jit import cache_directory
from simengine.errors import InputError, nearest
from simengine.runs.definitions import (
    Definition,
    Position,
    function_of,
    importable,
    imports_of,
    installed,
    of_assignment,
    of_class,
    of_function,
)
from simengine.runs.free_names import Unqualified, free_names
from simengine.runs.literals import Unwritable, described, written
from simengine.runs.registry import FILE_MODULE
from simengine.runs.sources import NotPortable

__all__ = ["NotPortable", "restored", "standalone"]

IMPLICIT = frozenset({"__name__", "__doc__", "__module__", "__qualname__", "__debug__"})
PLACES = frozenset({"__file__", "__spec__", "__path__", "__package__", "__loader__"})
DECLARED = (
    "simengine.scenario.", "simengine.relations.", "simengine.diagnostics.", "simengine.policies.",
    "numba.", "typing", "typing_extensions",
)  # fmt: skip
"""Modules whose objects are what their statement says and never change: the statement may be repeated."""

DECLARED_TYPES = ("GenericAlias", "UnionType", "Pattern", "Logger")


def standalone(thing: type | Callable[..., Any]) -> str:
    """Return the text of a module that defines ``thing`` under its own name, with everything it needs.

    What comes from installed modules is imported; classes, functions and constants of the user's own files or
    notebook are written out. The text depends only on these: it is the same again for what `restored` makes of it.

    Raises
    ------
    NotPortable
        When that is impossible; the message is the reason, in one line.
    """
    found = _Collector()
    try:
        found.add_thing(thing)
        return found.text()
    except (SyntaxError, ValueError, RecursionError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise NotPortable(f"its source cannot be written again: {reason}") from error


def restored(text: str, name: str) -> Any:
    """Run a text made by `standalone` as a module, once a process, and return what it defines as ``name``.

    The text is kept as a file in the cache, where the compiler of phases and a debugger read it.

    Raises
    ------
    InputError
        When the text does not run, or does not define the name.
    """
    key = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]
    module = sys.modules.get(f"{FILE_MODULE}recorded_{key}") or _executed(text, key, name)
    if name not in vars(module):
        raise InputError(f"the recorded source defines no {name!r}{nearest(name, vars(module))}")
    return vars(module)[name]


def _executed(text: str, key: str, name: str) -> ModuleType:
    module = ModuleType(f"{FILE_MODULE}recorded_{key}")
    path = cache_directory() / "recorded" / f"{key}.py"
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    try:
        _keep(path, text)
        exec(compile(text, str(path), "exec", dont_inherit=True), module.__dict__)
    except BaseException as error:
        del sys.modules[module.__name__]
        if isinstance(error, Exception | SystemExit):
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise InputError(f"the recorded source of {name} does not run: {reason}") from error
        raise
    return module


def _keep(path: Path, text: str) -> None:
    """Write the text to its file unless it is there; in memory, where tracebacks look as well, if it cannot be."""
    content = text.encode()
    with suppress(OSError):
        if path.read_bytes() == content:
            return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError:
        linecache.cache[str(path)] = (len(content), None, text.splitlines(keepends=True), str(path))


@dataclass
class _Entry:
    """One name of the text: what it stands for, how it is imported or defined, and the names that this uses."""

    value: Any
    imports: set[tuple[str, str | None]] = field(default_factory=set)
    statement: str = ""
    needs: set[str] = field(default_factory=set)
    position: Position = (0, "", 0)


class _Collector:
    """Names and what they stand for, found from one thing on."""

    def __init__(self) -> None:
        self.entries: dict[str, _Entry] = {}
        self.postponed = False

    def add_thing(self, thing: Any) -> None:
        """Start from the thing itself."""
        if isinstance(thing, functools.partial):
            raise NotPortable("it is a functools.partial; write a function in its place")
        home = importable(thing)
        if home is not None:
            self.entries[home[1]] = _Entry(thing, {home})
            return
        if isinstance(thing, MethodType | BuiltinFunctionType):
            raise NotPortable("it is a method bound to an object; write a function in its place")
        definition = _definition(thing)
        if definition is None:
            raise NotPortable(f"it is {described(thing)}, not a function or class; write a function in its place")
        if not _made_by(definition, thing):
            raise NotPortable(f"it was made by a call on {definition.name!r}; write it as a decorator")
        self.add_definition(definition.name, thing, definition)

    def need(self, name: str, value: Any, surroundings: Mapping[str, Any]) -> None:
        """Make ``name`` stand for ``value``, as it does in ``surroundings``."""
        known = self.entries.get(name)
        if known is None:
            self.add(name, value, surroundings)
        elif known.value is value:
            if isinstance(value, ModuleType):
                known.imports |= set(imports_of(name, value, surroundings))
        elif not known.statement or known.statement != self.constant(name, value, set()):
            raise NotPortable(f"two different things that it uses are called {name!r}; rename one")

    def add(self, name: str, value: Any, surroundings: Mapping[str, Any]) -> None:
        """Add a name that the text does not have yet."""
        imports = set(imports_of(name, value, surroundings))
        if not imports and isinstance(value, ModuleType):
            if not installed(value.__name__):
                raise NotPortable(f"it uses the module {name!r} itself; import names from it")
            imports = {(value.__name__, None)}
        elif not imports and (home := importable(value)):
            imports = {home}
        if imports:
            self.entries[name] = _Entry(value, imports)
            return
        with _within(name):
            if self.add_defined(name, value, surroundings):
                return
        entry = _Entry(value)
        with _within(name):
            entry.statement = self.constant(name, value, entry.needs)
        if entry.statement:
            self.entries[name] = entry
            return
        assignment = of_assignment(name, surroundings) if _declared(value) else None
        if assignment is None:
            raise NotPortable(f"it uses {name!r}, {self.described(value)} that cannot be written as text")
        with _within(name):
            self.add_definition(name, value, assignment)

    def add_defined(self, name: str, value: Any, surroundings: Mapping[str, Any]) -> bool:
        """Add a class, a function, or what decorators made of one; ``False`` when the value is neither."""
        try:
            definition = _definition(value)
            made = definition is not None and _made_by(definition, value)
        except NotPortable:
            definition, made = of_assignment(name, surroundings), False
            call = ast.Call if isinstance(value, type) else ast.Lambda
            if definition is None or not isinstance(getattr(definition.node, "value", None), call):
                raise
        if definition is None:
            return False
        if not made:
            assignment = of_assignment(name, surroundings)
            if assignment is None:
                raise NotPortable(f"it was made by a call on {definition.name!r}; write it as a decorator")
            self.add_definition(name, value, assignment)
        elif definition.name == name:
            self.add_definition(name, value, definition)
        else:
            self.need(definition.name, value, definition.surroundings)
            self.entries[name] = _Entry(value, statement=f"{name} = {definition.name}", needs={definition.name})
        return True

    def add_definition(self, name: str, value: Any, definition: Definition) -> None:
        """Add a statement and all that it needs."""
        entry = self.entries[name] = _Entry(value, position=definition.position)
        self.postponed |= definition.postponed
        surroundings = definition.surroundings
        before = free_names(definition.node)
        modules = {
            used: surroundings[used] for used in before
            if isinstance(surroundings.get(used), ModuleType) and not installed(surroundings[used].__name__)
        }  # fmt: skip
        node, unqualified = definition.node, Unqualified(modules, definition.node)
        if modules:
            node = unqualified.visit(copy.deepcopy(node))
        entry.statement = _stable(node)
        for used in sorted(free_names(node)):
            if used == name and (used in definition.enclosed or used not in surroundings):
                continue
            if used in definition.enclosed:
                raise NotPortable(f"it closes over the local variable {used!r}")
            entry.needs.add(used)
            if used in unqualified.found:
                held, home = unqualified.found[used]
                if used in before and surroundings.get(used, held) is not held:
                    raise NotPortable(f"two different things that it uses are called {used!r}; rename one")
                self.need(used, held, home)
            elif used in PLACES:
                raise NotPortable(f"it uses {used!r}, which is about its own file")
            elif used in surroundings and used not in IMPLICIT:
                self.need(used, surroundings[used], surroundings)
            elif hasattr(builtins, used) and used not in IMPLICIT:
                self.need_builtin(used)

    def need_builtin(self, name: str) -> None:
        """Keep the name free for the builtin."""
        value = getattr(builtins, name)
        if self.entries.setdefault(name, _Entry(value)).value is not value:
            raise NotPortable(f"two different things that it uses are called {name!r}; rename one")

    def constant(self, name: str, value: Any, needs: set[str]) -> str:
        """Return the statement that gives ``name`` a plain value; an empty text for any other value."""
        try:
            text = written(value, lambda held: self.named(held, needs))
        except Unwritable:
            return ""
        return _stable(ast.parse(f"{name} = {text}").body[0])

    def described(self, value: Any) -> str:
        """Return what a value is, or what it is within that value that cannot be written."""
        try:
            written(value, lambda held: self.named(held, set()))
        except Unwritable as reason:
            return str(reason)
        return described(value)

    def named(self, value: Any, needs: set[str]) -> str | None:
        """The name of a class, a function or numpy in the text; ``None`` for anything else."""
        place = importable(value)
        definition = None if place else _definition(value)
        name, home = "", {}
        if value is np:
            name = "np"
        elif place is not None:
            name = place[1]
        elif definition is not None and _made_by(definition, value):
            name, home = definition.name, dict(definition.surroundings)
        if not name:
            return None
        needs.add(name)
        if getattr(builtins, name, None) is value:
            self.need_builtin(name)
            return name
        self.need(name, value, home)
        return name

    def text(self) -> str:
        """Return the module."""
        tops = ["from __future__ import annotations\n"] if self.postponed else []
        whole = {(module, name) for name, entry in self.entries.items() for module, part in entry.imports if not part}
        parts = {(m, part, name) for name, entry in self.entries.items() for m, part in entry.imports if part}
        for module, name in sorted(whole):
            bound = module.partition(".")[0]
            tops.append(f"import {module}" + ("" if name == bound else f" as {name}"))
        for module in sorted({module for module, _, _ in parts}):
            names = [part + ("" if part == name else f" as {name}") for m, part, name in sorted(parts) if m == module]
            tops.append(f"from {module} import {', '.join(names)}")
        blocks = ["\n".join(tops).rstrip()] if tops else []
        simple = False
        for entry in self.ordered():
            is_block = entry.statement.startswith(("def ", "async ", "class ", "@"))
            if simple and not is_block:
                blocks[-1] += "\n" + entry.statement
            else:
                blocks.append(entry.statement)
            simple = not is_block
        return "\n\n\n".join(blocks) + "\n"

    def ordered(self) -> list[_Entry]:
        """The statements, each after those it needs; those that need one another in the author's order."""
        defined = {name: entry for name, entry in self.entries.items() if entry.statement}
        reached = {name: _reached(name, defined) for name in defined}

        def rank(name: str) -> tuple[int, str, Position]:
            together = [other for other in reached[name] if name in reached[other]]
            return len(reached[name]), min(together), defined[name].position

        return [defined[name] for name in sorted(defined, key=rank)]


def _definition(value: Any) -> Definition | None:
    if isinstance(value, type):
        return of_class(value)
    function = function_of(value)
    return None if function is None else of_function(function)


def _made_by(definition: Definition, value: Any) -> bool:
    """Whether running the definition gives the value: not so when something was called on its result."""
    held = definition.surroundings.get(definition.name, definition)
    if isinstance(value, type) or held is value:
        return True
    decorated = bool(getattr(definition.node, "decorator_list", []))
    if function_of(value) is value:
        return not decorated or held is definition
    return decorated and held is definition


def _declared(value: Any) -> bool:
    kind = type(value)
    return kind.__module__.startswith(DECLARED) or kind.__name__ in DECLARED_TYPES or isinstance(value, np.dtype)


@contextmanager
def _within(name: str) -> Iterator[None]:
    try:
        yield
    except NotPortable as reason:
        raise NotPortable(f"it uses {name!r}: {reason}") from None


def _stable(node: ast.AST) -> str:
    """Return the statement as text that is the same when read and written again."""
    try:
        text = ast.unparse(node)
        for _ in range(3):
            text, before = ast.unparse(ast.parse(text)), text
            if text == before:
                break
    except (ValueError, SyntaxError) as error:
        raise NotPortable(f"its source cannot be written again: {error}") from None
    return text


def _reached(name: str, entries: Mapping[str, _Entry]) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            waiting += entries[current].needs & set(entries)
    return found
