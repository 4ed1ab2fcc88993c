"""What an author's function uses from its surroundings: modules, constants and helper functions.

Helpers written beside the scenario are copied, as source, into the generated module, so that the module's text
(and therefore the key of its cache) covers everything it runs.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import math
import sys
import textwrap
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from simengine.errors import ScenarioError

ALLOWED_BUILTINS = frozenset(
    {
        "abs",
        "bool",
        "divmod",
        "enumerate",
        "float",
        "int",
        "len",
        "max",
        "min",
        "pow",
        "range",
        "round",
        "zip",
        "True",
        "False",
    }
)


@dataclass
class Globals:
    """Imports, constants and helper functions that a lowered function needs, by the names it uses."""

    imports: dict[str, str] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)
    sources: list[tuple[Callable[..., Any], str, Any]] = field(default_factory=list)
    meanings: dict[str, Any] = field(default_factory=dict)

    @property
    def current(self) -> bool:
        """Whether every name still means what it meant when it was resolved."""
        return all(surroundings(function).get(name, self) is value for function, name, value in self.sources)

    @classmethod
    def of(cls, function: Callable[..., Any], tree: ast.AST, arguments: set[str], where: str) -> Globals:
        """Resolve every free name of ``tree`` in the surroundings of ``function``."""
        found = cls()
        found.resolve(function, tree, arguments, where)
        return found

    def merge(self, other: Globals, where: str) -> None:
        """Add another function's surroundings; two different things of one name are an error."""
        self.sources += other.sources
        for mine, theirs in (
            (self.imports, other.imports), (self.constants, other.constants), (self.functions, other.functions),
        ):  # fmt: skip
            for name, text in theirs.items():
                if mine.setdefault(name, text) != text:
                    raise ScenarioError(f"{where}: {name!r} means different things in different phases; rename one")

    def resolve(self, function: Callable[..., Any], tree: ast.AST, arguments: set[str], where: str) -> None:
        outside = surroundings(function)
        for name in sorted(_free_names(tree) - arguments):
            if name.startswith("_draw_"):
                continue
            if name in outside:
                self.sources.append((function, name, outside[name]))
                self.check_meaning(name, outside[name], where)
                self.add(name, outside[name], where)
            elif hasattr(builtins, name):
                if name not in ALLOWED_BUILTINS:
                    raise ScenarioError(f"{where}: {name}() cannot be used in a compiled phase")
            else:
                raise ScenarioError(
                    f"{where}: unknown name {name!r}; a phase knows its arguments, math, numpy, and the numbers "
                    "and plain functions of its file"
                )

    def check_meaning(self, name: str, value: Any, where: str) -> None:
        """Refuse a second meaning of a name: a helper of another file may use its own."""
        if self.meanings.setdefault(name, value) is not value and self.meanings[name] != value:
            raise ScenarioError(
                f"{where}: {name!r} means different things in the functions that a phase uses; rename one"
            )

    def add(self, name: str, value: Any, where: str) -> None:
        if isinstance(value, types.ModuleType):
            if value not in (math, np):
                raise ScenarioError(
                    f"{where}: module {value.__name__!r} cannot be used in a compiled phase; math and numpy can"
                )
            self.imports[name] = f"import {value.__name__} as {name}"
        elif isinstance(value, bool | int | float | np.number):
            self.constants[name] = _literal(value)
        elif isinstance(value, tuple) and all(isinstance(part, bool | int | float | np.number) for part in value):
            self.constants[name] = f"({''.join(f'{_literal(part)}, ' for part in value)})"
        elif callable(value):
            self.add_function(name, value, where)
        else:
            raise ScenarioError(
                f"{where}: {name!r} is a {type(value).__name__}; "
                "a phase may use numbers, math, numpy and plain functions"
            )

    def add_function(self, name: str, value: Any, where: str) -> None:
        if name in self.functions:
            return
        home = getattr(value, "__module__", "") or ""
        if home in {"math", "numpy"}:
            self.imports[name] = f"from {home} import {value.__name__} as {name}"
            return
        plain = getattr(value, "py_func", value)
        engine = _engine_home(value)
        if engine:
            self.imports[name] = f"from {engine[0]} import {engine[1]} as {name}"
            return
        try:
            source = textwrap.dedent(inspect.getsource(plain))
        except (OSError, TypeError):
            raise ScenarioError(f"{where}: the source of {name}() cannot be read") from None
        definition = ast.parse(source).body[0]
        if not isinstance(definition, ast.FunctionDef):
            raise ScenarioError(f"{where}: {name} is not a plain function")
        definition.decorator_list = []
        definition.name = name
        definition.returns = None
        arguments = definition.args.posonlyargs + definition.args.args + definition.args.kwonlyargs
        for argument in arguments:
            argument.annotation = None
        if (
            definition.body
            and isinstance(definition.body[0], ast.Expr)
            and isinstance(definition.body[0].value, ast.Constant)
        ):
            definition.body = definition.body[1:] or [ast.Pass()]
        self.functions[name] = ""
        local = {argument.arg for argument in arguments} | {name}
        self.resolve(plain, definition, local, f"{plain.__code__.co_filename}:{plain.__code__.co_firstlineno}")
        self.functions.pop(name)
        self.functions[name] = ast.unparse(definition)


def surroundings(function: Callable[..., Any]) -> dict[str, Any]:
    """The names a function sees outside itself."""
    function = getattr(function, "py_func", function)
    if not function.__closure__:
        return function.__globals__
    held = {
        name: cell.cell_contents for name, cell in zip(function.__code__.co_freevars, function.__closure__, strict=True)
    }
    return function.__globals__ | held


def _engine_home(value: Any) -> tuple[str, str] | None:
    """The engine module that holds a compiled function, and its name there."""
    if not hasattr(value, "py_func"):
        return None
    for module_name in sorted(sys.modules):
        if module_name.startswith(("simengine.arrays.", "simengine.random.")):
            for name, held in vars(sys.modules[module_name]).items():
                if held is value:
                    return module_name, name
    return None


def _literal(value: Any) -> str:
    number = value.item() if isinstance(value, np.number) else value
    return repr(number) if math.isfinite(number) else f'float("{number}")'


def _free_names(tree: ast.AST) -> set[str]:
    loaded: set[str] = set()
    stored: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (loaded if isinstance(node.ctx, ast.Load) else stored).add(node.id)
    return loaded - stored


ON_NUMBERS = frozenset({
    "abs", "absolute", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "bool_",
    "cbrt", "ceil", "copysign", "cos", "cosh", "deg2rad", "exp", "exp2", "expm1", "fabs", "float64", "floor",
    "fmax", "fmin", "fmod", "hypot", "inf", "int64", "isfinite", "isinf", "isnan", "log", "log10", "log1p",
    "log2", "maximum", "minimum", "mod", "nan", "pi", "power", "rad2deg", "remainder", "rint", "sign",
    "signbit", "sin", "sinh", "sqrt", "square", "tan", "tanh", "trunc", "uint64",
})  # fmt: skip
"""What numpy does with numbers one by one."""


def makes_arrays(source: str, makers: frozenset[str] = frozenset()) -> bool:
    """Whether a function may make an array, a list or a slice of an array, itself or through ``makers``.

    One that does not needs no counting of references to the arrays that it is given. The count is an atomic operation,
    which costs an agent's read of another population's field ten times the read.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.List | ast.ListComp | ast.Set | ast.SetComp | ast.Dict | ast.DictComp | ast.Slice):
            return True
        if isinstance(node, ast.Attribute):
            of_math = isinstance(node.value, ast.Name) and node.value.id == "math"
            if not of_math and node.attr not in ON_NUMBERS:
                return True
        if isinstance(node, ast.Name) and node.id in makers:
            return True
    return False


def makers_of_arrays(functions: dict[str, str]) -> frozenset[str]:
    """Those of some functions that may make arrays."""
    makers: frozenset[str] = frozenset()
    while more := {name for name, text in functions.items() if makes_arrays(text, makers)} - makers:
        makers |= more
    return makers
