"""What a run did and measured: as a document, and as tables made from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simengine.cli.output import (
    console,
    number,
    paragraph,
    print_json,
    readable_rate,
    readable_size,
    readable_time,
    table,
)
from simengine.errors import StoreError
from simengine.scenario.scenario import Scenario
from simengine.store.attributes import decode_attributes

if TYPE_CHECKING:
    import xarray

PARAMETER = "parameter_"

OF_LANGUAGE_MODELS = "language_"
LANGUAGE_HEADINGS = (
    "decision", "model", "asked", "situations", "answered", "reused", "repaired", "without answer", "tokens in / out",
)  # fmt: skip

Document = dict[str, Any]


def document(scenario: type[Scenario], dataset: xarray.Dataset, out: Path, elapsed: float) -> Document:
    """Return what was run and measured; ``elapsed`` are the seconds of the whole command.

    Raises
    ------
    StoreError
        When the file does not say what every run file says.
    """
    try:
        return _document(scenario, dataset, out, elapsed)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        what = f"it does not say {error}" if isinstance(error, KeyError) else str(error)
        raise StoreError(f"{out} is no run file, or a damaged one: {what}") from error


def _document(scenario: type[Scenario], dataset: xarray.Dataset, out: Path, elapsed: float) -> Document:
    attributes = decode_attributes(dataset.attrs)
    steps, wall = int(attributes["stopped_at"]), float(attributes["wall_seconds"])
    agents = agent_counts(scenario, dataset)
    return {
        "file": str(out),
        "bytes": out.stat().st_size,
        "scenario": attributes["scenario"],
        "summary": attributes["title"],
        "seed": attributes["seed"],
        "parameters": {
            name.removeprefix(PARAMETER): value
            for name, value in attributes.items()
            if name.startswith(PARAMETER) and name != "parameter_units"
        },
        "steps": steps,
        "stop_reason": attributes["stop_reason"],
        "populations": agents,
        "wall_seconds": wall,
        "starting_seconds": max(elapsed - wall, 0.0),
        "agent_steps_per_second": sum(agents.values()) * steps / wall if steps and wall > 0 else None,
        "shards": attributes.get("shards"),
        "faults": attributes.get("faults") or [],
        "content_hash": attributes["content_hash"],
        "language": attributes.get("language") or {},
        "language_calls": attributes.get("language_calls") or {},
        "observables": observables(dataset),
    }


def agent_counts(scenario: type[Scenario], dataset: xarray.Dataset) -> dict[str, float]:
    """Count how many agents each population had; the mean over the records where agents are born and die."""
    found: dict[str, float] = {}
    for name, population in scenario.declaration.populations.items():
        if population.dynamic:
            found[name] = float(dataset[f"{name}_alive"].mean())
        else:
            size = population.size
            found[name] = int(dataset.attrs[f"{PARAMETER}{size}"] if isinstance(size, str) else size)
    return found


def observables(dataset: xarray.Dataset) -> dict[str, Document]:
    """Return shape, last value with its error, mean of the second half, unit and long name of every time series."""
    import numpy as np

    from simengine.analysis.contents import STANDARD_ERROR, flags_of, is_companion

    steps = dataset["step"].values
    second_half = steps >= steps[-1] / 2 if len(steps) else np.zeros(0, bool)
    found: dict[str, Document] = {}
    for key, variable in dataset.data_vars.items():
        name = str(key)
        if variable.dims[:1] != ("time",) or is_companion(dataset, name):
            continue
        said: Document = {
            "shape": {str(dim): size for dim, size in variable.sizes.items()},
            "last": None,
            "standard_error": None,
            "mean_of_second_half": None,
            "flags": list(flags_of(dataset, name)),
            "unit": str(variable.attrs.get("units", "")),
            "long_name": str(variable.attrs.get("long_name", "")),
        }
        if variable.ndim == 1:
            values = variable.values.astype(float)
            late = values[second_half & np.isfinite(values)]
            said["last"] = float(values[-1]) if len(values) else None
            said["mean_of_second_half"] = float(late.mean()) if len(late) else float("nan")
            if len(values) and f"{name}{STANDARD_ERROR}" in dataset:
                said["standard_error"] = float(dataset[f"{name}{STANDARD_ERROR}"].values[-1])
        found[name] = said
    return found


def show(said: Mapping[str, Any], as_json: bool) -> None:
    """Print the document, as it is or as tables."""
    if as_json:
        print_json(said)
        return
    page = console()
    reason, steps = said["stop_reason"], said["steps"]
    running, starting = readable_time(said["wall_seconds"]), readable_time(said["starting_seconds"])
    rows = [
        ("scenario", f"{said['scenario']}: {said['summary']}"),
        ("steps", f"{steps} (all)" if reason == "steps" else f"{steps} (stopped: {reason})"),
        ("seed", str(said["seed"])),
        ("populations", ", ".join(f"{count:.6g} {name}" for name, count in said["populations"].items())),
        ("wall time", f"{running} running, {starting} starting and compiling"),
    ]
    if said["shards"] is not None:
        rows.append(("shards", str(said["shards"])))
    rows += [("lost and replaced", fault) for fault in map(_fault, said["faults"])]
    if said["agent_steps_per_second"] is not None:
        rows.append(("speed", f"{readable_rate(said['agent_steps_per_second'])} agent-steps/s, records included"))
    rows.append(("file", f"{said['file']} ({readable_size(said['bytes'])})"))
    paragraph(page, "")
    table(page, "Run", ("", ""), rows)
    right = ("last", "mean of second half")
    doubts = [(name, ", ".join(facts["flags"])) for name, facts in said["observables"].items() if facts["flags"]]
    listed = [
        _observable_row(name, facts)
        for name, facts in said["observables"].items()
        if not name.startswith(OF_LANGUAGE_MODELS)
    ]
    table(page, "Observables", ("name", *right, "unit", "long name"), listed, right)
    if said["language"]:
        answers = [_language_row(label, facts) for label, listed in said["language"].items() for facts in listed]
        table(page, "Decisions of language models", LANGUAGE_HEADINGS, answers, LANGUAGE_HEADINGS[2:])
    if doubts:
        table(page, "Reasons to doubt", ("name", "flags at some record"), doubts)
    paragraph(page, f'Open it with: xarray.open_dataset("{said["file"]}")')


def _language_row(label: str, facts: Document) -> tuple[str, ...]:
    made = facts["decisions"]
    counts = [made[name] for name in ("asked", "contexts", "answered", "reused", "repaired")]
    tokens = f"{made['input_tokens']:,} / {made['output_tokens']:,}"
    lost = f"{made['refused'] + made['fallbacks']} ({facts['fallback_share']:.2%})"
    return label, str(facts["backend"]), *(f"{count:,}" for count in counts), lost, tokens


def _fault(fault: Document) -> str:
    return f"{fault['what']}, at step {fault['step']}; {fault['steps_repeated']} steps repeated"


def _observable_row(name: str, facts: Document) -> tuple[str, ...]:
    if len(facts["shape"]) > 1:
        shape = ", ".join(f"{size} {dim}" for dim, size in facts["shape"].items())
        return name, f"({shape})", "", facts["unit"], facts["long_name"]
    last = "" if facts["last"] is None else number(facts["last"])
    if facts["standard_error"] is not None:
        last += f" +- {facts['standard_error']:.2g}"
    return name, last, number(facts["mean_of_second_half"]), facts["unit"], facts["long_name"]
