"""``--set name=value``: texts of the command line to parameters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from simengine.errors import InputError
from simengine.scenario.parameters import RUN_KEYWORDS, parse_value
from simengine.scenario.scenario import Scenario

ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
SEVERAL = re.compile(r"[,;\s]\s*[A-Za-z_]\w*=")


def parameters(scenario: type[Scenario], settings: Sequence[str], stray: Sequence[str] = ()) -> dict[str, Any]:
    """Return the parameters that ``--set`` gives, by type; ``stray`` are words that belong to no option.

    Raises
    ------
    InputError
        For anything but ``name=value``, unknown names and names set twice. Bounds are checked by the run.
    """
    for word in stray:
        if ASSIGNMENT.match(word):
            raise InputError(f"{word!r} belongs to no option: --set takes one NAME=VALUE; write --set before each")
        raise InputError(f"unexpected argument {word!r}; see simengine run --help")
    declared = scenario.declaration.parameters
    found: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        name = name.strip()
        if not equals or not name:
            raise InputError(f"--set {setting!r}: give one parameter as NAME=VALUE")
        if name not in declared.parameters and name in RUN_KEYWORDS:
            option = {"overwrite": "force", "scenario": "help"}.get(name, name.replace("_", "-"))
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
