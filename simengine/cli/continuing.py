"""``simengine resume``, ``rerun`` and ``branch``: what can be done with a run's file."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import simengine
from simengine.cli import settings, summary
from simengine.cli.failures import explained
from simengine.cli.language_options import calls_of
from simengine.cli.output import console, paragraph, print_json, table
from simengine.errors import InputError
from simengine.runs.continuing import run_path
from simengine.runs.recipe import recall_scenario
from simengine.scenario.scenario import Scenario
from simengine.store.attributes import decode_attributes
from simengine.store.files import parts_of
from simengine.sweeps.identity import is_sweep


@dataclass(frozen=True)
class BranchRequest:
    """What the user asked of a branch; ``keywords`` are those of `simengine.branch` that were given."""

    path: Path
    step: int
    settings: Sequence[str]
    stray: Sequence[str]
    out: Path | None
    keywords: Mapping[str, Any]
    as_json: bool
    language: Mapping[str, Any] = field(default_factory=dict)


def resume(path: Path, keywords: Mapping[str, Any], as_json: bool, language: Mapping[str, Any]) -> int:
    """Finish a run or a sweep and print its summary; one that is finished is only said to be.

    ``language`` are the options about language models, which are called again with ``backend`` among them.

    Returns the exit code, 1 when runs of a sweep failed.
    """
    begun = time.perf_counter()
    if is_sweep(path):
        from simengine.cli import sweeping

        if language:
            raise InputError(f"--{next(iter(language)).replace('_', '-')}: no sweep has language models")
        return sweeping.resume(path, keywords, as_json)
    path = run_path(path)
    was_finished = path.is_file() and not parts_of(path).is_dir()
    with explained(path, language=language):
        calls = calls_of(language, "resume") if language else {}
        dataset = simengine.resume(path, **keywords, **calls)
    with dataset:
        said = summary.document(scenario_of(path, dataset.attrs), dataset, path, time.perf_counter() - begun)
        steps = decode_attributes(dataset.attrs).get("resumed_at_step")
    resumed_at = None if was_finished or not steps else steps[-1]
    said = {"resumed": not was_finished, "resumed_at_step": resumed_at, **said}
    if was_finished and not as_json:
        paragraph(console(), f"{path} is finished: there is nothing to go on with")
        return 0
    summary.show(said, as_json)
    return 0


def rerun(path: Path, keywords: Mapping[str, Any], as_json: bool) -> bool:
    """Repeat a run, print what came of it and return whether it is equal."""
    with explained(None):
        found = simengine.rerun(path, **keywords)
    if as_json:
        changes = {name: {"then": then, "now": now} for name, (then, now) in found.changes.items()}
        said = {name: getattr(found, name) for name in ("variable", "step", "time", "expected", "found")}
        print_json({"file": str(path), "equal": found.equal, **said, "changes": changes})
    else:
        page = console()
        paragraph(page, f"{path}: {found}")
        rows = [(name, str(then), str(now)) for name, (then, now) in found.changes.items()]
        table(page, "Changed since", ("", "then", "now"), rows)
    return found.equal


def branch(request: BranchRequest) -> None:
    """Let a run take another course and print its summary."""
    begun = time.perf_counter()
    path = run_path(request.path)
    if not path.is_file():
        hint = f"; its run is not finished: simengine resume {path}" if parts_of(path).is_dir() else ""
        raise InputError(f"there is no run file {str(path)!r}{hint}")
    with simengine.open(path) as dataset:
        scenario = scenario_of(path, dataset.attrs)
    changes = settings.parameters(scenario, request.settings, request.stray, "branch")
    out = request.out or Path(f"{path.stem}-branch-{request.step}.nc")
    calls = calls_of(request.language, "branch") if request.language else {}
    with explained(out, scenario, request.language):
        branched = simengine.branch(path, at=request.step, out=out, **request.keywords, **calls, **changes)
    with branched:
        said = summary.document(scenario, branched, out, time.perf_counter() - begun)
    summary.show({"branched_from": str(path), "branched_at": request.step, **said}, request.as_json)


def scenario_of(path: Path, attributes: Mapping[Any, Any]) -> type[Scenario]:
    """Return the scenario that a run file names or keeps."""
    decoded = decode_attributes(attributes)
    if "scenario" not in decoded or "scenario_module" not in decoded:
        raise InputError(f"{path} does not say which scenario it is a run of")
    return recall_scenario(decoded, str(path))
