"""``simengine run --config FILE.toml``: keywords of a run, parameters and interventions from a file.

::

    scenario = "my_model.py"        # paths are relative to the file's folder
    steps = 2000
    every = 10
    out = "results/long.nc"

    [parameters]
    noise = 0.2

    [[interventions]]
    at = 500                        # or every = 100
    noise = 0.3
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import simengine
from simengine.errors import InputError, nearest
from simengine.scenario.interventions import Intervention
from simengine.scenario.parameters import RUN_KEYWORDS, Parameter, shown
from simengine.scenario.scenario import Scenario

STORAGE_ORDERS = ("auto", "by_id", "by_cell")


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kind)


KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "scenario": ("a text: a scenario's name or the path of its file", _is(str)),
    "steps": ("a whole number", _whole),
    "seed": ("a whole number", _whole),
    "every": ("a whole number", _whole),
    "snapshot_every": ("a whole number", _whole),
    "checkpoint_every": ("a whole number", _whole),
    "threads": ("a whole number", _whole),
    "shards": ("a whole number", _whole),
    "address": ("a text: 'host:port' or 'auto'", _is(str)),
    "out": ("a text: the path of a file", _is(str)),
    "start": ("a text: the path of a run file, or a network and the file of a graph, name=FILE", _is(str)),
    "overwrite": ("true or false", _is(bool)),
    "progress": ("true or false", _is(bool)),
    "storage_order": (f"one of {', '.join(map(repr, STORAGE_ORDERS))}", lambda value: value in STORAGE_ORDERS),
    "parameters": ("a table: [parameters]", _is(dict)),
    "interventions": ("tables: [[interventions]]", lambda value: _is(list)(value) and all(map(_is(dict), value))),
}
SYNONYMS = {
    "force": "; overwrite = true is what --force is",
    "policies": "; policies are given in Python: simengine.run(..., policies=...), language models also as --policy",
    "set": "; parameters stand in a table, [parameters]",
}
PATHS = ("out", "start")
TABLES = ("parameters", "interventions")


@dataclass(frozen=True)
class Config:
    """What a file says: the keywords of a run, and texts to find the lines of its words again."""

    path: Path | None = None
    text: str = ""
    said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def scenario(self) -> str | None:
        """The scenario's name or path, ``None`` where the file names none."""
        name = self.said.get("scenario")
        if name is None:
            return None
        is_path = name.endswith(".py") or ".py:" in name
        return str(self._beside(name)) if is_path else str(name)

    @property
    def keywords(self) -> dict[str, Any]:
        """Keywords of `simengine.run`, paths relative to where the command runs."""
        found = {key: value for key, value in self.said.items() if key not in ("scenario", *TABLES)}
        return found | {key: self._beside(found[key]) for key in PATHS if key in found}

    def parameters(self, scenario: type[Scenario]) -> dict[str, Any]:
        """Return the parameters of the table, checked one by one."""
        found: dict[str, Any] = {}
        for name, value in self.said.get("parameters", {}).items():
            with self.located(self._line("parameters", name)):
                found[name] = _checked(scenario, name, value)
        return found

    def interventions(self, scenario: type[Scenario]) -> list[Intervention]:
        """Return the interventions of the tables, in their order."""
        found: list[Intervention] = []
        for number, table in enumerate(self.said.get("interventions", [])):
            with self.located(self._line("interventions", "", number)):
                when = [key for key in ("at", "every") if key in table]
                if len(when) != 1:
                    raise InputError("an intervention has either at = STEP or every = STEPS")
                if "apply" in table:
                    raise InputError("functions are applied in Python: interventions=[simengine.at(..., apply=...)]")
            changes: dict[str, Any] = {}
            for name, value in table.items():
                if name not in when:
                    with self.located(self._line("interventions", name, number)):
                        changes[name] = _checked(scenario, name, value)
            with self.located(self._line("interventions", when[0], number)):
                make = simengine.at if when[0] == "at" else simengine.every
                found.append(make(table[when[0]], **changes))
        return found

    @contextmanager
    def located(
        self, line: int | None = None, overridden: Mapping[str, Any] | None = None, alone: bool = False
    ) -> Iterator[None]:
        """Say in errors where in the file they come from.

        With ``overridden``, the keywords that were given elsewhere, only errors about other keywords are the file's,
        and, where it gives all parameters ``alone``, those about combinations of them.
        """
        try:
            yield
        except InputError as error:
            if overridden is not None:
                key = str(error).partition(":")[0]
                if alone and key not in RUN_KEYWORDS:
                    raise InputError(f"{self._place(None)}: {error}") from None
                if key not in self.said or key in overridden:
                    raise
                line = self.line(key)
            raise InputError(f"{self._place(line)}: {error}") from None

    def line(self, key: str) -> int | None:
        """Return the line of a key at the top of the file, or of the first head of a table of that name."""
        return self._line("", key) or self._line(key, "")

    def _beside(self, path: str) -> Path:
        assert self.path is not None
        return self.path.parent / path

    def _place(self, line: int | None) -> str:
        return f"{self.path}:{line}" if line else str(self.path)

    def _line(self, table: str, key: str, number: int = 0) -> int | None:
        """Return the line of a key in a table (of an array's table with that number), or of its head without a key."""
        word = rf"""["']?{re.escape(key)}["']?\s*="""
        inline = rf"\s*{re.escape(table)}\s*(\.\s*{word}|=.*[{{,]\s*{word})"
        inside, seen = not table, -1
        for position, line in enumerate(self.text.splitlines(), 1):
            head = re.match(r"\s*\[+\s*[\"']?(\w+)[\"']?\s*\]+", line)
            if head:
                seen += head[1] == table
                inside = head[1] == table and (table != "interventions" or seen == number)
                if inside and not key:
                    return position
            elif key and re.match(rf"\s*{word}" if inside else inline, line):
                return position
        return None


def read(path: Path) -> Config:
    """Read a file and check its keys and the types of their values.

    Raises
    ------
    InputError
        With the file, the line where it is known, what is allowed and the nearest right name.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"no configuration file {str(path)!r}") from None
    except (OSError, ValueError) as error:
        reason = (
            "it is not UTF-8 text" if isinstance(error, UnicodeError) else getattr(error, "strerror", None) or error
        )
        raise InputError(f"cannot read {str(path)!r}: {reason}") from None
    try:
        said = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        found = re.search(r" \(at line (\d+), column \d+\)$", str(error))
        place = f"{path}:{found[1]}" if found else str(path)
        raise InputError(f"{place}: no valid TOML: {str(error)[: found.start()] if found else error}") from None
    config = Config(path, text, said)
    for key, value in said.items():
        with config.located(config.line(key)):
            if key not in KINDS:
                hint = SYNONYMS.get(key) or nearest(key, KINDS) or f"; known are {', '.join(KINDS)}"
                raise InputError(f"unknown key {key!r}{hint} (parameters of the scenario stand under [parameters])")
            allowed, right = KINDS[key]
            if not right(value):
                hint = nearest(str(value), STORAGE_ORDERS) if key == "storage_order" else ""
                raise InputError(f"{key}: got {shown(value)}, allowed is {allowed}{hint}")
    return config


def _checked(scenario: type[Scenario], name: str, value: Any) -> Any:
    """Return a parameter's value; ``"none"`` stands for ``None``, which TOML has not."""
    declared = scenario.declaration.parameters
    if name not in declared.parameters and name in KINDS:
        raise InputError(f"{name!r} is no parameter but a keyword of the run: it stands at the top of the file")
    declared.check_names([name])
    value = _nothing(declared.parameters[name], value)
    declared.validate({name: value})
    return value


def _nothing(parameter: Parameter, value: Any) -> Any:
    is_word = isinstance(value, str) and value.lower() in {"none", "null"}
    taken = parameter.base_type is str or value in (parameter.options or ())
    return None if is_word and parameter.optional and not taken else value
