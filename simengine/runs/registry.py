"""Finding a scenario: a class, the name of an installed one, or the path of a Python file."""

from __future__ import annotations

import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from simengine.errors import InputError, ScenarioError, nearest
from simengine.scenario.parameters import shown
from simengine.scenario.scenario import Scenario

GROUP = "simengine.scenarios"
FILE_MODULE = "simengine_file_"


@dataclass(frozen=True)
class Installed:
    """One registered scenario: its name and its class, or what is wrong with it."""

    name: str
    scenario: type[Scenario] | None
    error: str = ""


def installed() -> dict[str, EntryPoint]:
    """Return the registered scenarios by name, those of other distributions included."""
    return {name: entries[0] for name, entries in _registered().items()}


def listed() -> list[Installed]:
    """Every registered scenario by name; one that does not load carries its error instead of a class."""
    found = []
    for name in _registered():
        try:
            found.append(Installed(name, find(name)))
        except (InputError, ScenarioError) as error:
            found.append(Installed(name, None, str(error)))
    return found


def find(scenario: type[Scenario] | str | Path) -> type[Scenario]:
    """Return the scenario class that a class, a name or a path (``model.py`` or ``model.py:Class``) stands for.

    Raises
    ------
    InputError
        When there is no such scenario, or its file does not import.
    ScenarioError
        When its declaration is wrong.
    """
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
    return _load_installed(text)


@cache
def _registered() -> dict[str, list[EntryPoint]]:
    """Return the entry points by name; more than one where distributions disagree. Read once: it takes milliseconds."""
    found: dict[str, list[EntryPoint]] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        named = found.setdefault(entry.name, [])
        if entry.value not in [other.value for other in named]:
            named.append(entry)
    return found


def _load_installed(name: str) -> type[Scenario]:
    known = _registered()
    if name not in known:
        inside = [other for other, entries in known.items() if entries[0].module.rpartition(".")[2] == name]
        if inside:
            raise InputError(f"{name} holds several scenarios; name one: {', '.join(inside)}")
        hint = nearest(name, known) or "; simengine list names those that are installed"
        raise InputError(f"unknown scenario {shown(name)}{hint} (a file is given as its path, ending in .py)")
    values = [entry.value for entry in known[name]]
    if len(values) > 1:
        raise InputError(f"scenario {name!r} is registered more than once: {', '.join(values)}")
    try:
        found = known[name][0].load()
    except ScenarioError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(
            f"the installed scenario {name!r} ({values[0]}) does not load: {type(error).__name__}: {_one_line(error)}"
        ) from error
    if not (isinstance(found, type) and issubclass(found, Scenario) and found is not Scenario):
        raise InputError(f"the installed scenario {name!r} ({values[0]}) is not a scenario class")
    return found


def load_file(path: Path, wanted: str = "") -> type[Scenario]:
    """Import a scenario file and return its scenario class; ``wanted`` chooses among several."""
    module = _imported(path)
    classes = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Scenario) and value.__module__ == module.__name__
    }
    if wanted:
        if wanted not in classes:
            hint = nearest(wanted, classes) or f"; it defines {', '.join(classes) or 'none'}"
            raise InputError(f"{path} has no scenario {wanted!r}{hint}")
        return classes[wanted]
    if not classes:
        raise InputError(f"{path} defines no scenario: a class that derives from simengine.Scenario")
    if len(classes) > 1:
        first = next(iter(classes))
        raise InputError(f"{path} defines several scenarios ({', '.join(classes)}); choose one as in {path}:{first}")
    return next(iter(classes.values()))


def _imported(path: Path) -> ModuleType:
    """Run a scenario file as a module; modules beside it can be imported, as when Python runs the file."""
    try:
        source = path.resolve(strict=True).read_bytes()
    except (OSError, ValueError) as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        reason = getattr(error, "strerror", None) or str(error)
        text = f"no scenario file {str(path)!r}" if missing else f"cannot read {str(path)!r}: {reason}"
        raise InputError(text) from None
    full = str(path.resolve())
    # Compiled here and not by the import system, which would leave byte code in the author's folder.
    module = ModuleType(f"{FILE_MODULE}{path.stem}")
    module.__file__ = full
    before = sys.modules.get(module.__name__)
    sys.modules[module.__name__] = module
    sys.path.append(str(path.resolve().parent))
    try:
        exec(compile(source, full, "exec", dont_inherit=True), module.__dict__)
    except BaseException as error:
        if before is None:
            del sys.modules[module.__name__]
        else:
            sys.modules[module.__name__] = before
        if isinstance(error, ScenarioError):
            raise located(error, path) from None
        if isinstance(error, Exception | SystemExit):
            raise InputError(f"{path} does not import: {shortened(error, path)}") from None
        raise
    finally:
        with suppress(ValueError):
            sys.path.remove(str(path.resolve().parent))
    return module


def own_lines(error: BaseException, path: Path) -> list[tuple[int, str]]:
    """Return the lines of one file, with their numbers, that led to an error, outermost first."""
    frames = traceback.extract_tb(error.__traceback__)
    return [
        (frame.lineno or 0, (frame.line or "").strip()) for frame in frames if frame.filename == str(path.resolve())
    ]


def shortened(error: BaseException, path: Path) -> str:
    """Return the error with the lines of the user's file that led to it, in one line."""
    if isinstance(error, SyntaxError) and error.filename == str(path.resolve()):
        return f"{type(error).__name__}: {error.msg} (line {error.lineno}: {(error.text or '').strip()})"
    lines = ", ".join(f"line {number}: {text}" for number, text in own_lines(error, path))
    return f"{type(error).__name__}: {_one_line(error)}" + (f" ({lines})" if lines else "")


def located(error: ScenarioError, path: Path) -> ScenarioError:
    """Return the error with the author's file and line, unless it names them already."""
    lines = own_lines(error, path)
    if not lines or str(path.resolve()) in str(error):
        return error
    return ScenarioError(f"{path.resolve()}:{lines[-1][0]}: {error}")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
