"""``simengine run``: one run to one file, and a summary of it."""

from __future__ import annotations

import inspect
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import simengine
from simengine.cli.output import (
    Interrupted,
    complain,
    console,
    number,
    paragraph,
    readable_rate,
    readable_size,
    readable_time,
    table,
)
from simengine.cli.settings import parameters
from simengine.errors import RunError, ScenarioError, SimengineError, StoreError
from simengine.runs import registry
from simengine.scenario.scenario import Scenario

if TYPE_CHECKING:
    import xarray

COMPANIONS = ("_standard_error", "_null_mean", "_null_sd")


@dataclass(frozen=True)
class Request:
    """What the user asked for: words still to be understood, and keywords of `simengine.run`."""

    scenario: str
    settings: tuple[str, ...]
    stray: tuple[str, ...]
    out: Path | None
    force: bool
    keywords: Mapping[str, Any]


def perform(request: Request) -> None:
    """Run and print the summary; errors name what stays readable."""
    found = registry.find(request.scenario)
    given = parameters(found, request.settings, request.stray)
    out = request.out or Path(f"{label(request.scenario)}-{request.keywords['seed']}.nc")
    begun = time.perf_counter()
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            dataset = simengine.run(found, out=out, overwrite=request.force, **request.keywords, **given)
        except (RunError, StoreError) as error:
            raise type(error)(f"{error}{remains(out)}") from error
        except KeyboardInterrupt:
            raise Interrupted(f"interrupted{remains(out)}") from None
        except ScenarioError as error:
            raise registry.located(error, source(found)) from error
        except SimengineError:
            raise
        except Exception as error:
            raise _authors(error, found, out) from error
    with dataset:
        summarise(found, dataset, out, time.perf_counter() - begun)


def label(scenario: str) -> str:
    """Return the first part of the file's name: the scenario's name, or that of its file."""
    name = scenario.rpartition(":")[0] if ".py:" in scenario else scenario
    return Path(name).stem if name.endswith(".py") else name


def remains(out: Path) -> str:
    """Say what of a run that failed can be opened, as the end of a message."""
    from simengine.store.files import parts_of

    parts = parts_of(out)
    if not parts.is_dir():
        return "; nothing was recorded"
    try:
        dataset = simengine.open(parts)
    except SimengineError:
        return "; nothing that was recorded can be read"
    with dataset:
        steps = dataset["step"].values
        if not len(steps):
            return f"; no rows were recorded in {parts}"
        recorded = f"steps {steps[0]} to {steps[-1]} were recorded ({len(steps)} rows)"
    return f'; {recorded} and stay readable: simengine.open("{parts if out.exists() else out}")'


def _authors(error: Exception, scenario: type[Scenario], out: Path) -> Exception:
    """Return an error in the author's own Python functions as one line with its place; any other as it is."""
    lines = registry.own_lines(error, source(scenario))
    if not lines:
        return error
    line, text = lines[-1]
    what = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return RunError(f"{source(scenario)}:{line}: {what} (in: {text}){remains(out)}")


def source(scenario: type[Scenario]) -> Path:
    """Return the file that defines a scenario."""
    return Path(inspect.getsourcefile(scenario) or "")


def _show_warning(message: Warning | str, *place: Any, **where: Any) -> None:
    complain(f"warning: {message}")


def summarise(scenario: type[Scenario], dataset: xarray.Dataset, out: Path, elapsed: float) -> None:
    """Print what was run and measured, and where it is."""
    page = console()
    attributes = dataset.attrs
    steps = int(attributes["stopped_at"])
    wall = float(attributes["wall_seconds"])
    agents = agent_counts(scenario, dataset)
    rows = [
        ("scenario", f"{scenario.__name__}: {scenario.summary()}"),
        (
            "steps",
            f"{steps} (stopped: {attributes['stop_reason']})"
            if attributes["stop_reason"] != "steps"
            else f"{steps} (all)",
        ),
        ("seed", str(attributes["seed"])),
        ("populations", ", ".join(f"{count:.6g} {name}" for name, count in agents.items())),
        (
            "wall time",
            f"{readable_time(wall)} running, {readable_time(max(elapsed - wall, 0.0))} starting and compiling",
        ),
    ]
    if steps and wall > 0:
        rows.append(("speed", f"{readable_rate(sum(agents.values()) * steps / wall)} agent-steps/s, records included"))
    rows.append(("file", f"{out} ({readable_size(out.stat().st_size)})"))
    paragraph(page, "")
    table(page, "Run", ("", ""), rows)
    right = ("last", "mean of second half")
    table(page, "Observables", ("name", *right, "unit", "long name"), observable_rows(dataset), right)
    paragraph(page, f'Open it with: xarray.open_dataset("{out}")')


def agent_counts(scenario: type[Scenario], dataset: xarray.Dataset) -> dict[str, float]:
    """Count how many agents each population had; the mean over the records where agents are born and die."""
    found: dict[str, float] = {}
    for name, population in scenario.declaration.populations.items():
        if population.dynamic:
            found[name] = float(dataset[f"{name}_alive"].mean())
        else:
            size = population.size
            found[name] = int(dataset.attrs[f"parameter_{size}"] if isinstance(size, str) else size)
    return found


def observable_rows(dataset: xarray.Dataset) -> list[tuple[str, ...]]:
    """List name, last value, mean of the second half, unit and long name of every time series."""
    import numpy as np

    steps = dataset["step"].values
    second_half = steps >= steps[-1] / 2 if len(steps) else np.zeros(0, bool)
    rows: list[tuple[str, ...]] = []
    for key, variable in dataset.data_vars.items():
        name = str(key)
        if variable.dims[:1] != ("time",) or any(
            name.removesuffix(end) in dataset for end in COMPANIONS if name.endswith(end)
        ):
            continue
        unit, long_name = str(variable.attrs.get("units", "")), str(variable.attrs.get("long_name", ""))
        if variable.ndim > 1:
            shape = ", ".join(f"{size} {dim}" for dim, size in variable.sizes.items())
            rows.append((name, f"({shape})", "", unit, long_name))
            continue
        values = variable.values.astype(float)
        last = number(values[-1]) if len(values) else ""
        if f"{name}_standard_error" in dataset:
            last += f" +- {dataset[f'{name}_standard_error'].values[-1]:.2g}"
        late = values[second_half & np.isfinite(values)]
        rows.append((name, last, number(late.mean()) if len(late) else "nan", unit, long_name))
    return rows
