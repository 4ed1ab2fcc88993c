"""What the command line says of a run that could not go on, and of how to go on with it."""

from __future__ import annotations

import inspect
import shlex
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import simengine
from simengine.cli.output import Interrupted, warn
from simengine.errors import RunError, ScenarioError, SimengineError, StoreError
from simengine.runs import registry
from simengine.scenario.scenario import Scenario
from simengine.store.files import parts_of


@contextmanager
def explained(out: Path | None, scenario: type[Scenario] | None = None) -> Iterator[None]:
    """Turn what goes wrong in a run into one line that says what stays readable of ``out`` and how to go on."""
    with warnings.catch_warnings():
        warnings.showwarning = warn
        try:
            yield
        except (RunError, StoreError) as error:
            raise type(error)(f"{error}{remains(out)}") from error
        except KeyboardInterrupt:
            raise Interrupted(f"interrupted{remains(out)}") from None
        except ScenarioError as error:
            raise (error if scenario is None else registry.located(error, source(scenario))) from error
        except SimengineError:
            raise
        except Exception as error:
            raise (error if scenario is None else _authors(error, scenario, out)) from error


def remains(out: Path | None) -> str:
    """Say what of a run that failed can be opened, and how to go on with it, as the end of a message."""
    if out is None:
        return ""
    parts = parts_of(out)
    if not parts.is_dir():
        return "; nothing was recorded"
    onward = f"; to go on: simengine resume {shlex.quote(str(out))}"
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


def _authors(error: Exception, scenario: type[Scenario], out: Path | None) -> Exception:
    """Return an error in the author's own Python functions as one line with its place; any other as it is."""
    lines = registry.own_lines(error, source(scenario))
    if not lines:
        return error
    line, text = lines[-1]
    what = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return RunError(f"{source(scenario)}:{line}: {what} (in: {text}){remains(out)}")
