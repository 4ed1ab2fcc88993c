"""What the command line says of a run that could not go on, and of how to go on with it."""

from __future__ import annotations

import inspect
import shlex
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import simengine
from simengine.cli.language_options import again
from simengine.cli.output import Interrupted, warn
from simengine.errors import InputError, RunError, ScenarioError, SimengineError, StoreError
from simengine.runs import registry
from simengine.scenario.scenario import Scenario
from simengine.store.files import parts_of

BUDGET_SPENT = "BudgetSpent"
"""The error's name; its module takes long to import, and nobody raises it who has not."""


@contextmanager
def explained(
    out: Path | None, scenario: type[Scenario] | None = None, language: Mapping[str, Any] | None = None
) -> Iterator[None]:
    """Turn what goes wrong in a run into one line that says what stays readable of ``out`` and how to go on.

    ``language`` are the options about language models, which `simengine resume` is to be given again.
    """
    given = language or {}
    begun_before = out is not None and _begun(out)
    with warnings.catch_warnings():
        warnings.showwarning = warn
        try:
            yield
        except (RunError, StoreError) as error:
            onward = again(given, spent=type(error).__name__ == BUDGET_SPENT)
            raise type(error)(f"{error}{remains(out, onward)}") from error
        except KeyboardInterrupt:
            raise Interrupted(f"interrupted{remains(out, again(given))}") from None
        except ScenarioError as error:
            raise (error if scenario is None else registry.located(error, source(scenario))) from error
        except InputError as error:
            if out is None or begun_before or not _begun(out):
                raise
            # Found out only when the run was on its way: a request that a record lacks, say.
            raise RunError(f"{error}{remains(out, again(given))}") from error
        except SimengineError:
            raise
        except Exception as error:
            raise (error if scenario is None else _authors(error, scenario, out, again(given))) from error


def _begun(out: Path) -> bool:
    """Whether a run of this file has left something; a path that there cannot be holds nothing."""
    try:
        return parts_of(out).is_dir()
    except OSError:
        return False


def remains(out: Path | None, further: str = "") -> str:
    """Say what of a run that failed can be opened, and how to go on with it, as the end of a message.

    ``further`` are the options of `simengine resume`.
    """
    if out is None:
        return ""
    parts = parts_of(out)
    if not parts.is_dir():
        return "; nothing was recorded"
    onward = f"; to go on: simengine resume {shlex.quote(str(out))}{further}"
    try:
        dataset = simengine.open(parts)
    except SimengineError:
        return f"; nothing that was recorded can be read{onward}"
    with dataset:
        steps = dataset["step"].values
        if not len(steps):
            return f"; no rows were recorded in {parts}{onward}"
        recorded = f"steps {steps[0]} to {steps[-1]} were recorded ({len(steps)} rows)"
    return f'; {recorded} and stay readable: simengine.open("{parts if out.exists() else out}"){onward}'


def source(scenario: type[Scenario]) -> Path:
    """Return the file that defines a scenario."""
    return Path(inspect.getsourcefile(scenario) or "")


def _authors(error: Exception, scenario: type[Scenario], out: Path | None, further: str) -> Exception:
    """Return an error in the author's own Python functions as one line with its place; any other as it is."""
    lines = registry.own_lines(error, source(scenario))
    if not lines:
        return error
    line, text = lines[-1]
    what = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return RunError(f"{source(scenario)}:{line}: {what} (in: {text}){remains(out, further)}")
