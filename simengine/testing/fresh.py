"""A run in a fresh Python process: no module is loaded yet, no cache warm, and sets are ordered otherwise."""

from __future__ import annotations

import importlib
import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simengine.errors import InputError, RunError
from simengine.runs import registry
from simengine.runs.api import run
from simengine.scenario.scenario import Scenario

ANOTHER_HASH_SEED = "4093"


def run_in_fresh_process(scenario: type[Scenario] | str | Path, out: Path, options: Mapping[str, Any]) -> None:
    """Run the scenario elsewhere and leave the run file ``out``.

    Raises
    ------
    InputError
        For a class or an option that another process cannot import.
    RunError
        When the run fails there, with the last line it printed.
    """
    job = out.with_suffix(".job")
    try:
        job.write_bytes(pickle.dumps(sys.path) + pickle.dumps((_address(scenario), dict(options))))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InputError(f"fresh_process: an option cannot be handed to another process: {error}") from None
    environment = os.environ | {"PYTHONHASHSEED": ANOTHER_HASH_SEED}
    command = [sys.executable, "-m", __name__, str(job), str(out)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise RunError(f"the run in a fresh process failed: {last}")


def can_be_found(scenario: type[Scenario] | str | Path) -> bool:
    """Whether another process finds the scenario: not a class of a script, a notebook or a function."""
    try:
        _address(scenario)
    except InputError:
        return False
    return True


def _address(scenario: type[Scenario] | str | Path) -> Any:
    """What another process finds the scenario by: a name, a path, or the class's module and name."""
    if not isinstance(scenario, type):
        return str(scenario)
    module = scenario.__module__
    if "<locals>" in scenario.__qualname__ or module == "__main__" or module.startswith(registry.FILE_MODULE):
        raise InputError(
            f"fresh_process: another process cannot import {scenario.__qualname__} of {module}; "
            "define it at the top of a module, or give the path of its file"
        )
    return module, scenario.__qualname__


def _found(address: Any) -> Any:
    if isinstance(address, str):
        return address
    module, name = address
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def main(job: str, out: str) -> None:
    """Do what `run_in_fresh_process` left in the file ``job``."""
    with Path(job).open("rb") as file:
        # The first process's search path comes first, for the options may name modules that only it leads to.
        sys.path[:] = pickle.load(file)
        address, options = pickle.load(file)
    run(_found(address), out=out, **options)


if __name__ == "__main__":
    main(*sys.argv[1:])
