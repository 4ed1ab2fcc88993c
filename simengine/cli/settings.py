"""``--set name=value`` and ``--at step:name=value``: texts of the command line to parameters and interventions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import simengine
from simengine.errors import InputError
from simengine.scenario.interventions import Intervention
from simengine.scenario.parameters import RUN_KEYWORDS, parse_value
from simengine.scenario.scenario import Scenario

ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
SEVERAL = re.compile(r"[,;\s]\s*[A-Za-z_]\w*=")
OTHER_OPTIONS = {"overwrite": "force", "scenario": "help", "policies": "help", "interventions": "at"}


def parameters(
    scenario: type[Scenario], settings: Sequence[str], stray: Sequence[str] = (), command: str = "run"
) -> dict[str, Any]:
    """Return the parameters that ``--set`` gives, by type; ``stray`` are words that belong to no option.

    Raises
    ------
    InputError
        For anything but ``name=value``, unknown names and names set twice. Bounds are checked by the run.
    """
    for word in stray:
        refuse_assignment(word)
        raise InputError(f"unexpected argument {word!r}; see simengine {command} --help")
    declared = scenario.declaration.parameters
    found: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        name = name.strip()
        if not equals or not name:
            raise InputError(f"--set {setting!r}: give one parameter as NAME=VALUE")
        if name not in declared.parameters and name in RUN_KEYWORDS:
            option = OTHER_OPTIONS.get(name, name.replace("_", "-"))
            raise InputError(
                f"--set {setting!r}: {name} is no parameter of the scenario but an option of the run; see --{option}"
            )
        declared.check_names([name])
        if name in found:
            raise InputError(f"--set {setting!r}: {name} is set twice")
        if declared.parameters[name].base_type is not str and SEVERAL.search(text):
            raise InputError(f"--set {setting!r}: --set takes one NAME=VALUE; write --set before each")
        found[name] = parse_value(declared.parameters[name], text)
    return found


def refuse_assignment(word: str) -> None:
    """Raise ``InputError`` for a ``name=value`` that stands where none belongs."""
    if ASSIGNMENT.match(word):
        raise InputError(f"{word!r} belongs to no option: --set takes one NAME=VALUE; write --set before each")


def interventions(scenario: type[Scenario], texts: Sequence[str]) -> list[Intervention]:
    """Return the interventions that ``--at`` gives, ``STEP:NAME=VALUE,NAME=VALUE`` each.

    Raises
    ------
    InputError
        For any other form, unknown names and values that are not allowed.
    """
    declared = scenario.declaration.parameters
    found: list[Intervention] = []
    for text in texts:
        step, colon, rest = text.partition(":")
        if not colon or not step.strip().isdecimal() or not rest.strip():
            raise InputError(f"--at {text!r}: give it as STEP:NAME=VALUE or STEP:NAME=VALUE,NAME=VALUE")
        changes: dict[str, Any] = {}
        try:
            for setting in rest.split(","):
                name, equals, value = setting.partition("=")
                name = name.strip()
                if not equals or not name:
                    raise InputError(f"{setting!r} is not NAME=VALUE")
                declared.check_names([name])
                if name in changes:
                    raise InputError(f"{name} is set twice")
                changes[name] = parse_value(declared.parameters[name], value)
                declared.validate({name: changes[name]})
            found.append(simengine.at(int(step), **changes))
        except InputError as error:
            raise InputError(f"--at {text!r}: {error}") from None
    return found
