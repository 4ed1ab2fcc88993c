"""What a scenario says of itself, found from the attributes of a file without running what the file holds.

An installed scenario is imported. Of a user's own, files keep the source, which is read and never run: a page about a
file from elsewhere must not do what the file says.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simengine.errors import SimengineError
from simengine.runs import registry
from simengine.scenario.scenario import Scenario

MOST_PARAGRAPHS = 2
LIST_ITEM = re.compile(r"(?:[*-]|\d+[.)]) +")


@dataclass(frozen=True)
class DeclaredParameter:
    """What a scenario says of one parameter; ``known`` is whether its default is known."""

    default: Any = None
    known: bool = False
    description: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Declared:
    """What a scenario says of itself.

    Parameters
    ----------
    command
        What the command line calls it.
    paragraphs
        Its description.
    parameters
        By name; empty where they are not known.
    is_installed
        Whether the command line finds it by name.
    """

    command: str
    paragraphs: tuple[str, ...] = ()
    parameters: Mapping[str, DeclaredParameter] = field(default_factory=dict)
    is_installed: bool = False


def declared(attributes: Mapping[str, Any]) -> Declared:
    """Return what the scenario of a file says of itself; a file without a scenario says nothing."""
    name, module = str(attributes.get("scenario") or ""), str(attributes.get("scenario_module") or "")
    source = attributes.get("scenario_source")
    if isinstance(source, str):
        return _read(name, source)
    for command, entry in registry.installed().items():
        if entry.value == f"{module}:{name}":
            try:
                return _described(command, registry.find(command), attributes)
            except SimengineError:
                break
    return Declared(f"{module.rpartition('.')[2] or 'my_model'}.py")


def _described(command: str, scenario: type[Scenario], attributes: Mapping[str, Any]) -> Declared:
    known = scenario.declaration.parameters.parameters
    defaults = {name: parameter.default for name, parameter in known.items()}
    if scenario.regimes is not None:
        prefixed = {name: attributes.get(f"parameter_{name}", defaults[name]) for name in scenario.regimes.by}
        defaults |= scenario.regimes.defaults(prefixed)
    parameters = {
        name: DeclaredParameter(defaults[name], True, parameter.description, parameter.unit)
        for name, parameter in known.items()
    }
    of_class = inspect.getdoc(scenario) or ""
    of_module = inspect.getdoc(sys.modules.get(scenario.__module__)) or ""
    return Declared(command, description(of_class, of_module), parameters, True)


def _read(name: str, source: str) -> Declared:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Declared("my_model.py")
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == name]
    if not found:
        return Declared("my_model.py")
    parameters = {
        statement.target.id: _parameter(statement.value)
        for statement in found[0].body
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value
    }
    text = ast.get_docstring(found[0]) or ""
    return Declared("my_model.py", description(text, ast.get_docstring(tree) or ""), parameters)


def _parameter(node: ast.expr) -> DeclaredParameter:
    """Read ``param(0.2, unit="m")``, as far as it is written in literals."""
    if not (isinstance(node, ast.Call) and node.args):
        return DeclaredParameter()
    words = {word.arg: _literal(word.value) for word in node.keywords if word.arg}
    default = _literal(node.args[0])
    texts = {name: str(words.get(name) or "") for name in ("description", "unit")}
    return DeclaredParameter(None if default is ... else default, default is not ..., **texts)


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return ...


def description(of_class: str, of_module: str) -> tuple[str, ...]:
    """Return what to tell of a scenario: what follows the first line of its class, else that of its module."""
    return _beginning(_paragraphs(of_class)[1:]) or _beginning(_paragraphs(of_module)[1:])


def _beginning(paragraphs: list[str]) -> tuple[str, ...]:
    """Return the first two paragraphs of prose, and the lists, formulas and tables that they lead to."""
    found: list[str] = []
    for text in paragraphs:
        is_prose = _is_prose(text)
        if is_prose and sum(map(_is_prose, found)) == MOST_PARAGRAPHS:
            break
        if is_prose or (found and _belongs(text, found[-1].rstrip())):
            found.append(text)
        elif found:
            break
    if found and _is_prose(found[-1]) and found[-1].rstrip().endswith(":"):
        found[-1] = f"{found[-1].rstrip().rstrip(':').rstrip()}."
    return tuple(found)


def _belongs(text: str, before: str) -> bool:
    """Whether a list, formula or table is what the paragraph before it leads to."""
    if is_set_apart(text):
        return before.endswith(":") or is_set_apart(before)
    return is_list(text) and not before.endswith(".")


def _paragraphs(text: str) -> list[str]:
    return [part for part in re.split(r"\n\s*\n", inspect.cleandoc(text)) if part.strip()] if text else []


def is_list(text: str) -> bool:
    """Whether a paragraph of a docstring is a list, numbered or not."""
    return bool(LIST_ITEM.match(text))


def is_set_apart(text: str) -> bool:
    """Whether a paragraph of a docstring is a formula, an example or a table, whose lines stay as they are."""
    return text.startswith((" ", "|", "==", "--", "+-")) and not is_list(text.lstrip())


def _is_prose(text: str) -> bool:
    """Whether a paragraph reads as a sentence: no list, formula, table or section of a docstring."""
    underlined = any(re.fullmatch(r"[-=~ ]{3,}", line.strip()) for line in text.splitlines())
    return not (underlined or is_list(text) or is_set_apart(text) or text.startswith((" ", ".. ")))
