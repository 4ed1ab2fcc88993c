"""``simengine sweep`` and ``status``: many runs to one folder, how far they are, and what came of them."""

from __future__ import annotations

import shlex
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import simengine
from simengine.cli import settings
from simengine.cli.output import (
    Interrupted,
    console,
    paragraph,
    print_json,
    readable_rate,
    readable_size,
    readable_time,
    table,
    warn,
)
from simengine.cli.running import label
from simengine.errors import InputError, RunError, ScenarioError, StoreError
from simengine.runs import registry
from simengine.scenario.scenario import Scenario
from simengine.sweeps import api, carrying
from simengine.sweeps.grids import parse_grids
from simengine.sweeps.sweep_file import read_sweep_file

FAILED, FINE = 1, 0
LISTED_FAILURES = 10

Document = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """What the user asked for: words still to be understood, and the keywords of `simengine.sweep` that were given."""

    scenario: str | None
    grid: Sequence[str]
    settings: Sequence[str]
    stray: Sequence[str]
    config: Path | None
    out: Path | None
    keywords: Mapping[str, Any]
    extend: bool
    dry_run: bool
    as_json: bool


def perform(request: Request) -> int:
    """Do what was asked, print a summary and return the exit code: 1 when runs failed."""
    keywords: dict[str, Any] = {}
    if request.config is not None:
        with warnings.catch_warnings():
            warnings.showwarning = warn
            keywords = read_sweep_file(request.config, request.scenario, needs_design=False)
    filed_out, named = keywords.pop("out", None), keywords.pop("scenario", None) or request.scenario
    out = request.out or filed_out
    if named is None and request.extend and out is not None:
        named = carrying.scenario_of(api.sweep_path(out))
    if named is None:
        raise InputError("no scenario is given: simengine sweep NAME, or a --config file with scenario = NAME")
    if isinstance(named, str):
        settings.refuse_assignment(named)
    scenario = registry.find(named)
    fixed = settings.parameters(scenario, request.settings, request.stray, "sweep")
    if request.grid:
        keywords["design"] = parse_grids(request.grid, scenario)
        for name in keywords["design"].names:
            if name in fixed:
                raise InputError(f"--grid and --set both say what {name} is")
            keywords.pop(name, None)
    keywords |= {**request.keywords, **fixed}
    path = Path(out or f"{label(str(named))}-sweep-{keywords.get('seed', 0)}")
    if "allow_changes" in keywords and not request.extend:
        raise InputError("--allow-changes goes with --extend; a sweep that was interrupted: simengine resume DIR")
    if request.extend:
        return _extend(scenario, path, keywords, request)
    if "design" not in keywords:
        raise InputError("no design is given: --grid NAME=VALUES, or a --config file with [grid], [points] or [sample]")
    if request.dry_run:
        return _estimate(scenario, path, keywords, request.as_json)
    begun = time.perf_counter()
    with explained(path, scenario):
        dataset = simengine.sweep(scenario, out=path, **keywords)
    dataset.close()
    return summary(path, time.perf_counter() - begun, request.as_json)


def _extend(scenario: type[Scenario], path: Path, keywords: dict[str, Any], request: Request) -> int:
    """Add points or replicates to a sweep that is there, with words that agree with it."""
    if request.dry_run:
        raise InputError("--dry-run says nothing about --extend: leave one of them out")
    if keywords.pop("overwrite", False):
        raise InputError("--force replaces the sweep, --extend adds to it: leave one of them out")
    if keywords.pop("start", None) is not None:
        raise InputError("--start is for a new sweep: runs that are added begin as those that are there")
    given = {name: keywords.pop(name) for name in ("design", "replicates") if name in keywords}
    manner_names = ("address", "workers", "progress", "allow_changes")
    manner = {name: keywords.pop(name) for name in manner_names if name in keywords}
    begun = time.perf_counter()
    with explained(path, scenario):
        carrying.refuse_other(api.sweep_path(path), scenario, keywords)
        dataset = simengine.extend(path, given.get("design"), given.get("replicates"), **manner)
    dataset.close()
    return summary(path, time.perf_counter() - begun, request.as_json)


def resume(path: Path, keywords: Mapping[str, Any], as_json: bool) -> int:
    """Do what is missing of a sweep and print its summary; one that is finished is only said to be."""
    begun = time.perf_counter()
    was_finished = not api.status(path)["missing"]
    with explained(path):
        dataset = simengine.resume(path, **keywords)
    dataset.close()
    if was_finished and not as_json:
        paragraph(console(), f"{path} is finished: there is nothing to go on with")
        return FAILED if api.status(path)["failed"] else FINE
    return summary(path, time.perf_counter() - begun, as_json, resumed=not was_finished)


def show_status(path: Path, as_json: bool) -> None:
    """Print how far a sweep is."""
    said = api.status(path)
    if as_json:
        print_json(said)
        return
    page = console()
    table(page, "Sweep", ("", ""), _rows(said))
    if said["missing"] and not said["running"]:
        paragraph(page, f"to go on: simengine resume {shlex.quote(str(path))}")


# -- what is printed -------------------------------------------------------------------------------------------------


def summary(path: Path, elapsed: float, as_json: bool, **more: Any) -> int:
    """Print what a sweep has done, with the first of its failures; return the exit code."""
    said: Document = {**more, **api.status(path), "elapsed_seconds": elapsed}
    failures = api.failures(path) if said["failed"] else []
    code = FAILED if failures else FINE
    if as_json:
        print_json({**said, "failures": failures})
        return code
    page = console()
    rows = _rows(said)
    rows.append(("time", f"{readable_time(elapsed)} of this command"))
    paragraph(page, "")
    table(page, "Sweep", ("", ""), rows)
    listed = [
        (str(one["point"]), str(one["replicate"]), str(one["seed"]), _worded(one["parameters"]), _reason(one))
        for one in failures[:LISTED_FAILURES]
    ]
    table(page, "Failed runs", ("point", "replicate", "seed", "parameters", "reason"), listed)
    if len(failures) > LISTED_FAILURES:
        paragraph(page, f"and {len(failures) - LISTED_FAILURES} more")
    if failures:
        paragraph(page, f'All of them, with tracebacks: simengine.failures("{path}")')
    paragraph(page, f'Open it with: simengine.open("{path}")')
    return code


def _rows(said: Mapping[str, Any]) -> list[tuple[str, str]]:
    failed = f", {said['failed']:,} failed" if said["failed"] else ""
    missing = f", {said['missing']:,} missing" if said["missing"] else ""
    rows = [
        ("scenario", str(said["scenario"])),
        ("design", f"{said['design']}: {said['points']:,} points x {said['replicates']:,} replicates"),
        ("runs", f"{said['done']:,} of {said['runs']:,} done{failed}{missing}"),
        ("state", "running" if said["running"] else "interrupted" if said["missing"] else "finished"),
        ("folder", f"{said['folder']} ({readable_size(said['bytes'])})"),
    ]
    if said["done"] and said["seconds"] > 0:
        rows.insert(3, ("run time", f"{readable_time(said['seconds'])} of all runs together"))
    if said["runs_per_second"]:
        rows.append(("speed", f"{readable_rate(said['runs_per_second'])} runs/s"))
        rows.append(("time left", f"about {readable_time(said['seconds_left'])}"))
    return rows


def _workers(count: int) -> str:
    return "one worker" if count == 1 else f"{count:,} workers"


def _worded(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in parameters.items())


def _reason(failure: Mapping[str, Any]) -> str:
    return f"{failure['kind']}: {failure['message']}"


def _estimate(scenario: type[Scenario], path: Path, keywords: dict[str, Any], as_json: bool) -> int:
    """Print how long a sweep would take and how large it would be."""
    for name in ("progress", "overwrite"):
        keywords.pop(name, None)
    with explained(None, scenario):
        found = api.estimate(scenario, **keywords)
    said = {"folder": str(path), **found}
    if as_json:
        print_json(said)
        return FINE
    page = console()
    each = said["seconds_per_run"]
    rows = [
        ("runs", f"{said['runs']:,} ({said['points']:,} points x {said['replicates']:,} replicates)"),
        ("a run", f"{each * 1000:.3g} ms" if each < 1 else readable_time(each)),
        ("speed", f"{readable_rate(said['runs_per_second'])} runs/s with {_workers(said['workers'])}"),
        ("time", f"about {readable_time(said['seconds'])}"),
        ("disk", f"about {readable_size(said['bytes'])}"),
    ]
    table(page, "Estimate", ("", ""), rows)
    if said["failed"]:
        paragraph(page, f"{said['failed']} of {said['tried']} runs that were tried failed: {said['failure']}")
    tried = "one run" if said["tried"] == 1 else f"{said['tried']} runs"
    paragraph(page, f"from a trial of {tried}; nothing was written")
    return FINE


@contextmanager
def explained(path: Path | None, scenario: type[Scenario] | None = None) -> Iterator[None]:
    """Turn what goes wrong in a sweep into one line that says what stays and how to go on."""
    from simengine.cli.failures import source

    with warnings.catch_warnings():
        warnings.showwarning = warn
        # The summary lists them.
        warnings.simplefilter("ignore", carrying.FailedRuns)
        try:
            yield
        except (RunError, StoreError) as error:
            raise type(error)(f"{error}{remains(path)}") from error
        except KeyboardInterrupt:
            raise Interrupted(f"interrupted{remains(path)}") from None
        except ScenarioError as error:
            raise (error if scenario is None else registry.located(error, source(scenario))) from error


def remains(path: Path | None) -> str:
    """Say what of a sweep that was ended early is there, and how to go on with it, as the end of a message."""
    if path is None:
        return ""
    try:
        said = api.status(path)
    except (InputError, StoreError):
        return "; nothing was recorded"
    runs = f"{said['done'] + said['failed']:,} of {said['runs']:,} runs are done"
    return f"; {runs} and kept; to go on: simengine resume {shlex.quote(str(path))}"
