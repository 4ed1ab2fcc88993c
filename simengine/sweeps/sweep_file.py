"""A sweep as a TOML file: the keywords of ``simengine.sweep``, fixed parameters, and the design.

::

    scenario = "my_model.py"        # or the name of an installed one; paths are relative to the file's folder
    replicates = 20
    steps = 2000
    out = "results/noise"

    [parameters]                    # the same for all runs
    order = "one_by_one"

    [grid]
    noise = "0:1:11"                # eleven values, both ends included
    n_agents = [50, 100]

In place of ``[grid]`` there may be single points, as rows or as columns of equal length ::

    [[points]]
    noise = 0.1
    n_agents = 50

    [points]
    noise = [0.1, 0.2]
    n_agents = [50, 100]

or a sample, with the arguments of the function of `simengine.designs` that ``method`` names ::

    [sample]
    method = "latin_hypercube"
    n = 100
    [sample.bounds]
    noise = [0.0, 1.0]
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simengine.errors import InputError, nearest
from simengine.runs import registry
from simengine.scenario.parameters import Parameter, shown
from simengine.scenario.scenario import Scenario
from simengine.sweeps.adaptive import Adaptive
from simengine.sweeps.design import Design
from simengine.sweeps.grids import grid, parse_values, points
from simengine.sweeps.sampling import latin_hypercube, morris, saltelli, sobol
from simengine.sweeps.search import optuna

Allowed = tuple[str, Callable[[Any], bool]]


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kinds)


WHOLE: Allowed = ("a whole number", _whole)
SWITCH: Allowed = ("true or false", _is(bool))
TEXT: Allowed = ("a text", _is(str))
TABLE: Allowed = ("a table", _is(dict))
KEYS: dict[str, Allowed] = {
    "scenario": ("a text: a scenario's name or the path of its file", _is(str)),
    "replicates": WHOLE,
    "steps": WHOLE,
    "every": WHOLE,
    "seed": WHOLE,
    "start": ("a text: the path of a run file, or a network and the file of a graph, name=FILE", _is(str)),
    "workers": WHOLE,
    "out": ("a text: the path of a folder", _is(str)),
    "address": ("a text: the address of a Ray cluster", _is(str)),
    "overwrite": SWITCH,
    "progress": SWITCH,
    "parameters": ("a table: [parameters]", _is(dict)),
    "grid": ("a table: [grid]", _is(dict)),
    "points": ("tables, [[points]], or one of columns, [points]", _is(dict, list)),
    "sample": ("a table: [sample]", _is(dict)),
}
PATHS = ("out", "start")
DESIGNS = ("grid", "points", "sample")
TABLES = ("scenario", "parameters", *DESIGNS)
METHODS: dict[str, tuple[Callable[..., Design | Adaptive], dict[str, Allowed]]] = {
    "latin_hypercube": (latin_hypercube, {"n": WHOLE, "seed": WHOLE}),
    "sobol": (sobol, {"n": WHOLE, "seed": WHOLE}),
    "morris": (morris, {"n": WHOLE, "levels": WHOLE, "seed": WHOLE}),
    "saltelli": (saltelli, {"n": WHOLE, "second_order": SWITCH, "seed": WHOLE}),
    "optuna": (
        optuna,
        {"n_points": WHOLE, "batch": WHOLE, "minimise": TEXT, "maximise": TEXT, "seed": WHOLE},
    ),
}
SYNONYMS = {
    "force": "; overwrite = true is what --force is",
    "set": "; fixed parameters stand in a table, [parameters]",
    "design": "; the design stands in a table: [grid], [[points]] or [sample]",
}


def read_sweep_file(path: str | Path, scenario: Any = None, *, needs_design: bool = True) -> dict[str, Any]:
    """Return the keyword arguments of ``simengine.sweep`` that a file gives, fixed parameters among them.

    Parameters
    ----------
    path
        The TOML file.
    scenario
        A scenario that takes the place of the one that the file names: a class, a name or a path.
    needs_design
        Whether a file without a design is refused; otherwise ``design`` is then missing from what is returned.

    Raises
    ------
    InputError
        With the file, the line where it is known, what is allowed and the nearest right name.
    """
    file = _read(Path(path))
    for key, value in file.said.items():
        with file.located("", key):
            _check_key(key, value)
    found = {key: value for key, value in file.said.items() if key not in TABLES}
    for name in PATHS:
        if name in found:
            found[name] = str(file.path.parent / found[name])
    with file.located("", "scenario"):
        chosen = file.scenario() if scenario is None else scenario
        cls = registry.find(chosen)
    found["scenario"] = chosen
    for name, value in file.said.get("parameters", {}).items():
        with file.located("parameters", name):
            found[name] = _value(cls, name, value)
    given = [key for key in DESIGNS if key in file.said]
    if len(given) > 1:
        raise InputError(f"{file.path}: it has {' and '.join(f'[{key}]' for key in given)}; a sweep has one design")
    if given:
        with file.located("", given[0]):
            found["design"] = READERS[given[0]](file, cls)
    elif needs_design:
        raise InputError(f"{file.path}: it has no design; give [grid], [[points]] or [sample]")
    return found


@dataclass(frozen=True)
class _File:
    """What a file says, and its text, in which the lines of its words are found again."""

    path: Path
    text: str
    said: Mapping[str, Any]

    def scenario(self) -> str:
        """Return the scenario's name or path."""
        name = self.said.get("scenario")
        if name is None:
            raise InputError('it names no scenario; give scenario = "NAME" or the path of a file')
        return str(self.path.parent / name) if name.endswith(".py") or ".py:" in name else str(name)

    @contextmanager
    def located(self, table: str, key: str, number: int = 0) -> Iterator[None]:
        """Say in errors where in the file they come from, unless they say it already."""
        try:
            yield
        except InputError as error:
            if str(error).startswith(str(self.path)):
                raise
            line = self._line(table, key, number)
            raise InputError(f"{self.path}{f':{line}' if line else ''}: {error}") from None

    def _line(self, table: str, key: str, number: int) -> int | None:
        """Return the line of a key in a table (in the one with that number), or of the head of a table of that name."""
        word = rf"""["']?{re.escape(key)}["']?"""
        inside, seen = not table, -1
        for position, line in enumerate(self.text.splitlines(), 1):
            head = re.match(r"\s*\[+\s*([^\]#]*?)\s*\]+", line)
            if head:
                name = re.sub(r"[\"'\s]", "", head[1])
                seen += name == table
                inside = bool(table) and name == table and seen == number
                if not table and name.split(".")[0] == key:
                    return position
            elif re.match(rf"\s*{word}\s*[=.]", line) and inside:
                return position
        return None


def _read(path: Path) -> _File:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"there is no file {str(path)!r}") from None
    except (OSError, ValueError) as error:
        reason = (
            "it is not UTF-8 text" if isinstance(error, UnicodeError) else getattr(error, "strerror", None) or error
        )
        raise InputError(f"cannot read {str(path)!r}: {reason}") from None
    try:
        return _File(path, text, tomllib.loads(text))
    except (ValueError, RecursionError) as error:
        found = re.search(r" \(at line (\d+), column \d+\)$", str(error))
        place = f"{path}:{found[1]}" if found else str(path)
        raise InputError(f"{place}: no valid TOML: {str(error)[: found.start()] if found else error}") from None


def _check_key(key: str, value: Any) -> None:
    if key not in KEYS:
        hint = SYNONYMS.get(key) or nearest(key, KEYS) or f"; known are {', '.join(KEYS)}"
        raise InputError(f"unknown key {key!r}{hint} (parameters of the scenario stand under [parameters])")
    _check_kind(key, value, KEYS[key])


def _check_kind(key: str, value: Any, kind: Allowed) -> None:
    allowed, right = kind
    if not right(value):
        raise InputError(f"{key}: got {shown(value)}, allowed is {allowed}")


# -- designs ----------------------------------------------------------------------------------------------------------


def _grid(file: _File, scenario: type[Scenario]) -> Design:
    levels = {}
    for name, given in file.said["grid"].items():
        with file.located("grid", name):
            parameter = _parameter(scenario, name)
            if isinstance(given, str):
                given = parse_values(given, parameter)
            if not isinstance(given, list):
                raise InputError(
                    f"{name}: got {shown(given)}, allowed is a list, or a text A:B:N; what is fixed stands under "
                    "[parameters]"
                )
            if not given:
                raise InputError(f"{name}: the list of values is empty")
            levels[name] = [_value(scenario, name, value) for value in given]
    return grid(levels)


def _points(file: _File, scenario: type[Scenario]) -> Design:
    given = file.said["points"]
    if isinstance(given, dict):
        given = _rows(file, given)
    found = []
    for number, row in enumerate(given):
        if not isinstance(row, dict):
            raise InputError(f"points: got {shown(row)}, allowed are tables, [[points]]")
        values = {}
        for name, value in row.items():
            with file.located("points", name, number if isinstance(file.said["points"], list) else 0):
                values[name] = _value(scenario, name, value)
        found.append(values)
    return points(found)


def _rows(file: _File, columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    for name, column in columns.items():
        with file.located("points", name):
            if not isinstance(column, list):
                raise InputError(f"{name}: got {shown(column)}, allowed is a list of values, one for each point")
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        text = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        raise InputError(f"points: the columns differ in length ({text})")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _sample(file: _File, scenario: type[Scenario]) -> Design | Adaptive:
    said = dict(file.said["sample"])
    method, bounds = said.pop("method", None), said.pop("bounds", {})
    if method not in METHODS:
        hint = nearest(method, METHODS) if isinstance(method, str) else ""
        got = "" if method is None else f"got {shown(method)}, "
        with file.located(*(("", "sample") if method is None else ("sample", "method"))):
            raise InputError(f"method: {got}allowed is one of {', '.join(METHODS)}{hint}")
    make, keys = METHODS[method]
    for key, value in said.items():
        with file.located("sample", key):
            if key not in keys:
                hint = nearest(key, keys) or f"; it takes {', '.join(keys)}"
                raise InputError(f"{key!r} is no argument of {method}{hint} (bounds stand under [sample.bounds])")
            _check_kind(key, value, keys[key])
    _check_kind("bounds", bounds, TABLE)
    for name in bounds:
        with file.located("sample.bounds", name):
            _parameter(scenario, name)
    counted = "n_points" if "n_points" in keys else "n"
    if counted not in said:
        raise InputError(f"{method} needs a number: {counted} = ...")
    first = () if counted == "n_points" else (said.pop("n"),)
    return make(*first, bounds, **said)


READERS: dict[str, Callable[[_File, type[Scenario]], Design | Adaptive]] = {
    "grid": _grid,
    "points": _points,
    "sample": _sample,
}


def _parameter(scenario: type[Scenario], name: str) -> Parameter:
    declared = scenario.declaration.parameters
    if name not in declared.parameters and name in KEYS:
        raise InputError(f"{name!r} is no parameter but a keyword of the sweep: it stands at the top of the file")
    declared.check_names([name])
    return declared.parameters[name]


def _value(scenario: type[Scenario], name: str, value: Any) -> Any:
    """Return a parameter's value; ``"none"`` stands for ``None``, which TOML has not."""
    parameter = _parameter(scenario, name)
    is_word = isinstance(value, str) and value.lower() in {"none", "null"}
    taken = parameter.base_type is str or value in (parameter.options or ())
    value = None if is_word and parameter.optional and not taken else value
    scenario.declaration.parameters.validate({name: value})
    return value
