"""The parts of a page that are read off attributes: verdict, parameters, policies, provenance, language models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from simengine.analysis import contents
from simengine.analysis.report import wording
from simengine.analysis.report.declared import Declared
from simengine.errors import SimengineError
from simengine.policies.reports import SERIES, record_of

Rows = tuple[tuple[str, str], ...]

VERSIONS = "version_"
COUNTED = {
    "asked": "decisions asked for",
    "contexts": "distinct situations",
    "answered": "answered by a call",
    "reused": "answered by an earlier call",
    "repaired": "understood at the second try",
    "refused": "refused",
    "fallbacks": "without an answer (fallback)",
}


@dataclass(frozen=True)
class ParameterRow:
    """One parameter as the table shows it."""

    name: str
    value: str
    unit: str
    default: str
    meaning: str
    differs: bool
    mark: str


@dataclass(frozen=True)
class Model:
    """What one language model did for one decision."""

    heading: str
    rows: Rows


def verdict(data: xr.Dataset, attributes: Mapping[str, Any]) -> str:
    """Return in a sentence or two what was run, how far, and how it ended."""
    return _verdict_of_a_sweep(data, attributes) if contents.is_sweep(data) else _verdict_of_a_run(data, attributes)


def _verdict_of_a_run(data: xr.Dataset, attributes: Mapping[str, Any]) -> str:
    steps = data["step"].values if "step" in data.variables else np.zeros(0, int)
    stopped, why = attributes.get("stopped_at"), ""
    if attributes.get("unfinished"):
        reached = f"{int(steps[-1]):,}" if len(steps) else "0"
        asked = f" of {attributes['steps']:,}" if isinstance(attributes.get("steps"), int) else ""
        how = f"An unfinished run, seen to step {reached}{asked}"
    else:
        reason = str(attributes.get("stop_reason") or "")
        why = f"; it stopped there: {wording.cut(reason, 100)}" if reason and reason != "steps" else ""
        how = f"One run of {wording.counted(int(stopped), 'step')}" if stopped is not None else "One run"
    agents = _agents(attributes)
    seed = f" and seed {attributes['seed']}" if "seed" in attributes else ""
    crowd = f" with {agents}{seed}" if agents else seed.replace(" and", " with", 1)
    number = len(observed(data))
    were = "was" if number == 1 else "were"
    records = f"{wording.counted(number, 'observable')} {were} recorded {wording.counted(len(steps), 'time')}"
    kept = data.sizes.get(contents.SNAPSHOT_TIME, 0)
    shot = f", all agents {wording.counted(kept, 'time')}" if kept else ""
    return f"{how}{crowd}{why}. {records}{shot}."


def observed(data: xr.Dataset) -> list[str]:
    """Return the observables, without those that count calls of language models."""
    return [name for name in contents.observables(data) if not name.startswith("language_")]


def _agents(attributes: Mapping[str, Any]) -> str:
    sizes = [
        f"{value:,} {name.removeprefix('parameter_n_').replace('_', ' ')}"
        for name, value in attributes.items()
        if name.startswith("parameter_n_") and isinstance(value, int) and not isinstance(value, bool)
    ]
    return next((size for size in sizes if size.endswith(" agents")), sizes[0] if sizes else "")


def _verdict_of_a_sweep(data: xr.Dataset, attributes: Mapping[str, Any]) -> str:
    status = data["status"].values
    done, names = int((status == 0).sum()), contents.swept(data)
    replicates = int(attributes.get("replicates") or data.sizes.get(contents.REPLICATE, 1))
    points = max(1, status.size // max(1, replicates))
    over = f" over {_listed(names)}" if names else ""
    begun = "An unfinished sweep" if attributes.get("unfinished") else "A sweep"
    steps = attributes.get("steps")
    length = f" of at most {wording.counted(int(steps), 'step')}" if isinstance(steps, int) else ""
    state = "all are done" if done == status.size else f"{done:,} are done"
    return (
        f"{begun}{over}: {wording.counted(points, 'point')}, {wording.counted(replicates, 'replicate')} each. Of "
        f"{wording.counted(status.size, 'run')}{length}, {state}."
    )


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def parameters(data: xr.Dataset, attributes: Mapping[str, Any], declared: Declared) -> list[ParameterRow]:
    """Return all parameters, swept ones first."""
    units = attributes.get("parameter_units") or {}
    given = {str(name) for name in attributes.get("parameters_given") or ()}
    rows = []
    for name in contents.swept(data):
        known = declared.parameters.get(name)
        unit = wording.unit(str(data[name].attrs.get("units", "")))
        default = wording.value(known.default) if known and known.known else ""
        meaning = (known.description if known else "") or str(data[name].attrs.get("long_name", ""))
        rows.append(ParameterRow(name, _spanned(data[name].values), unit, default, meaning, True, "swept"))
    for name, value in contents.parameters_of(data).items():
        known = declared.parameters.get(name)
        differs = bool(known and known.known and not _same(known.default, value))
        mark = "changed" if differs else "given" if name in given else ""
        rows.append(
            ParameterRow(
                name, wording.value(value), wording.unit(str(units.get(name) or "")),
                wording.value(known.default) if known and known.known else "",
                known.description if known else "", differs or (name in given and not (known and known.known)), mark,
            )
        )  # fmt: skip
    return rows


def _same(left: Any, right: Any) -> bool:
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


def _spanned(values: Any) -> str:
    distinct = list(dict.fromkeys(np.asarray(values).ravel().tolist()))
    if len(distinct) <= 12:
        return wording.value(distinct)
    numbers = [value for value in distinct if isinstance(value, int | float)]
    if len(numbers) == len(distinct):
        return f"{len(distinct):,} values from {wording.value(min(numbers))} to {wording.value(max(numbers))}"
    return f"{wording.value(distinct[:6])}, … ({len(distinct):,} values)"


def interventions(attributes: Mapping[str, Any]) -> Rows:
    """Return when something was changed in a run, and what."""
    rows = []
    for item in attributes.get("interventions") or []:
        when = f"every {item['every']} steps" if "every" in item else f"after step {item.get('at')}"
        changes = [f"{name} = {wording.value(value)}" for name, value in (item.get("changes") or {}).items()]
        if item.get("apply"):
            changes.append(f"{item['apply'].get('name')}() changed the agents")
        rows.append((when, ", ".join(changes)))
    return tuple(rows)


def policies(attributes: Mapping[str, Any]) -> Rows:
    """Return who answered which decision."""
    rows = []
    for label, answers in (attributes.get("policies") or {}).items():
        for one in answers:
            said = one.get("answer") or {}
            kind = {"language": "language model", "learned": "learned policy"}.get(str(said.get("kind")), "function")
            name = said.get("model") or said.get("name") or ""
            whom = "all agents"
            if one.get("ids") is not None:
                whom = wording.counted(len(np.atleast_1d(one["ids"])), "agent")
            elif one.get("share") not in (None, 1, 1.0):
                whom = f"{wording.share(float(one['share']))} of the agents"
            what = f"{kind} {wording.without_folders(wording.cut(str(name)))}"
            rows.append((str(label), f"{what}, for {whom}"))
    return tuple(rows)


def provenance(attributes: Mapping[str, Any], path: Path) -> Rows:
    """Return where the result comes from: seed, times, versions and machine, hashes."""
    begun, ended = attributes.get("started_at"), attributes.get("finished_at")
    versions = [
        f"{name.removeprefix(VERSIONS)} {value}" for name, value in attributes.items() if name.startswith(VERSIONS)
    ]
    machine = [str(attributes[name]) for name in ("system", "machine", "cpu_target") if attributes.get(name)]
    threads = attributes.get("threads")
    seconds = attributes.get("wall_seconds")
    start = str(attributes.get("start") or "")
    given = (
        ("File", path.name),
        ("Scenario", str(attributes.get("scenario") or "")),
        ("Seed", str(attributes.get("seed", attributes.get("sweep_seed", "")))),
        ("Time step", wording.number(attributes.get("time_step")) if _is_number(attributes.get("time_step")) else ""),
        ("Start state", "" if start in ("", "scenario") else wording.without_folders(start)),
        ("Begun", _moment(begun)),
        ("Finished", _moment(ended)),
        ("Took", wording.duration(float(seconds or 0.0)) if _is_number(seconds) else ""),
        ("Threads", "" if threads is None else str(threads)),
        ("Shards", str(attributes.get("shards") or "")),
        ("Gone on with at step", wording.value(attributes.get("resumed_at_step") or "")),
        ("Branched at step", wording.value(attributes.get("branched_at") or "")),
        ("Machine", ", ".join(machine)),
        ("Versions", ", ".join(versions)),
        ("Source hash", str(attributes.get("scenario_source_hash") or "")),
        ("Content hash", str(attributes.get("content_hash") or "none: it is not finished")),
    )
    return tuple((name, value) for name, value in given if value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _moment(text: Any) -> str:
    return str(text).replace("T", " ").replace("+00:00", " UTC") if text else ""


def language(data: xr.Dataset, attributes: Mapping[str, Any]) -> list[Model]:
    """Return what every language model did for every decision, by the file's own account."""
    reported, calls = attributes.get("language") or {}, attributes.get("language_calls") or {}
    found = []
    for label, answers in reported.items():
        for number, answer in enumerate(answers):
            spent = (calls.get(label) or [{}] * (number + 1))[number]
            found.append(Model(f"{label}: {wording.cut(str(answer.get('model') or 'a model'), 80)}",
                               _model(label, answer, spent)))  # fmt: skip
    return found or _from_series(data)


def _model(label: str, answer: Mapping[str, Any], spent: Mapping[str, Any]) -> Rows:
    made = answer.get("decisions") or {}
    rows = [("Backend", str(answer.get("backend") or "")), ("Elicitation", str(answer.get("elicitation") or ""))]
    rows += _counts({name: made.get(name) for name in COUNTED}, int(made.get("asked") or 0))
    rows.append(("Tokens", _tokens(made.get("input_tokens"), made.get("output_tokens"))))
    of_label = (spent.get("spent") or {}).get(label) or {}
    if of_label:
        estimated = int(of_label.get("estimated") or 0)
        note = f", of {estimated:,} the tokens are estimated" if estimated else ""
        retries = int(of_label.get("attempts") or 0) - int(of_label.get("calls") or 0)
        tried = f", {wording.counted(retries, 'retry', 'retries')}" if retries > 0 else ""
        rows.append(("Calls", f"{int(of_label.get('calls') or 0):,}{tried}{note}"))
    if _is_number(spent.get("money")):
        dated = f", by prices of {spent['prices_of']}" if spent.get("prices_of") else ""
        rows.append(("Cost of this model", f"{wording.number(spent['money'])} {spent.get('currency') or ''}{dated}"))
    if answer.get("prompt"):
        rows.append(("Prompt", f"version {answer.get('prompt_version')}, hash {answer['prompt']}"))
    return tuple((name, value) for name, value in rows if value)


def _counts(made: Mapping[str, Any], asked: int) -> list[tuple[str, str]]:
    rows = []
    for name, words in COUNTED.items():
        if made.get(name) is None:
            continue
        count = int(made[name])
        of_all = asked and name not in ("asked", "contexts")
        part = f" ({wording.share(count / asked)})" if of_all and count else ""
        rows.append((words[:1].upper() + words[1:], f"{count:,}{part}"))
    return rows


def _tokens(sent: Any, received: Any) -> str:
    return "" if sent is None else f"{int(sent):,} sent, {int(received or 0):,} received"


def _from_series(data: xr.Dataset) -> list[Model]:
    """Return what the series along time say; a run that is not finished says no more."""
    found = []
    for name in map(str, data.data_vars):
        if not (name.startswith("language_") and name.endswith("_asked")):
            continue
        decision = name.removeprefix("language_").removesuffix("_asked")
        last = {one: data.get(f"language_{decision}_{one}") for one in SERIES}
        made = {one: int(values[-1]) for one, values in last.items() if values is not None and values.size}
        rows = [*_counts(made, made.get("asked", 0))]
        rows.append(("Tokens", _tokens(made.get("input_tokens"), made.get("output_tokens"))))
        found.append(Model(decision, tuple((key, value) for key, value in rows if value)))
    return found


def record_note(path: Path) -> str:
    """Return what is to be said of the record of calls beside a file."""
    beside = record_of(path)
    if not beside.is_file():
        return "The record of calls is not beside the file: the run can be read, and not repeated."
    size = wording.size(beside.stat().st_size)
    try:
        from simengine.policies.language import latest
        from simengine.policies.language.record import Record

        with Record.open(beside) as record:
            calls = sum(latest.counted(record).values())
    except (SimengineError, OSError) as error:
        return f"The record of calls, {beside.name} ({size}), cannot be read: {wording.without_folders(str(error))}"
    return (
        f"Every request and every answer is in {beside.name} ({wording.counted(calls, 'call')}, {size}); "
        f"simengine llm calls {wording.word(path.name)} shows them."
    )
