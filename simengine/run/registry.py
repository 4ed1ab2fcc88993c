"""Finding a scenario: a class, the name of an installed one, or the path of a Python file."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from simengine.errors import InputError, ScenarioError, nearest
from simengine.scenario.scenario import Scenario

GROUP = "simengine.scenarios"


@cache
def installed() -> dict[str, EntryPoint]:
    """The registered scenarios by name, those of other distributions included."""
    return {entry.name: entry for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name)}


def find(scenario: type[Scenario] | str | Path) -> type[Scenario]:
    """Return the scenario class that a class, a name or a path (``model.py`` or ``model.py:Class``) stands for."""
    if isinstance(scenario, type):
        if not issubclass(scenario, Scenario) or scenario is Scenario:
            raise InputError(f"{scenario.__name__} is not a scenario class")
        return scenario
    if not isinstance(scenario, str | Path):
        raise InputError(f"a scenario is a class, a name or a path, not {type(scenario).__name__}")
    text = str(scenario)
    path, _, wanted = text.rpartition(":") if ".py:" in text else (text, "", "")
    if path.endswith(".py"):
        return load_file(Path(path), wanted)
    known = installed()
    if text not in known:
        hint = nearest(text, known) or f"; installed: {', '.join(known)}"
        raise InputError(f"unknown scenario {text!r}{hint} (a file is given as its path, ending in .py)")
    found = known[text].load()
    if not (isinstance(found, type) and issubclass(found, Scenario)):
        raise InputError(f"the installed scenario {text!r} is not a scenario class")
    return found


def load_file(path: Path, wanted: str = "") -> type[Scenario]:
    """Import a scenario file and return its scenario class; ``wanted`` chooses among several."""
    if not path.is_file():
        raise InputError(f"no scenario file {str(path)!r}")
    name = f"simengine_file_{path.stem}"
    specification = importlib.util.spec_from_file_location(name, path.resolve())
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    try:
        specification.loader.exec_module(module)
    except ScenarioError:
        raise
    except Exception as error:
        raise InputError(f"{path} does not import: {shortened(error, path)}") from None
    classes = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Scenario) and value.__module__ == name
    }
    if wanted:
        if wanted not in classes:
            raise InputError(f"{path} has no scenario {wanted!r}{nearest(wanted, classes)}")
        return classes[wanted]
    if len(classes) != 1:
        found = ", ".join(classes) or "none"
        raise InputError(f"{path} must define one scenario class (found: {found}); choose one with {path}:NAME")
    return next(iter(classes.values()))


def shortened(error: Exception, path: Path) -> str:
    """The error with the lines of the user's file that led to it."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path.resolve()]
    lines = "".join(f"\n  line {frame.lineno}: {frame.line}" for frame in frames)
    if isinstance(error, SyntaxError):
        lines = f"\n  line {error.lineno}: {(error.text or '').strip()}"
        return f"SyntaxError: {error.msg}{lines}"
    return f"{type(error).__name__}: {error}{lines}"
