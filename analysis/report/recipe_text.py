"""The commands that repeat what a file holds: exactly, and written out for whoever wants to change something."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from simengine.analysis import contents
from simengine.analysis.report import wording
from simengine.analysis.report.declared import Declared

SCENARIO_FILE = "my_model.py"
MOST_VALUES = 40
INDENT = " \\\n    "


@dataclass(frozen=True)
class Command:
    """A command to be copied, what it does, and what it leaves out."""

    what: str
    text: str
    notes: tuple[str, ...] = ()


def commands(data: xr.Dataset, path: Path, declared: Declared) -> list[Command]:
    """Return what to type to go on with, repeat, vary and open what ``path`` holds."""
    attributes = contents.attributes_of(data)
    if contents.kind_of(data) == "sweep":
        return _of_a_sweep(data, attributes, path, declared)
    return _of_a_run(attributes, path, declared)


def _of_a_run(attributes: Mapping[str, Any], path: Path, declared: Declared) -> list[Command]:
    file = shlex.quote(path.name)
    found = []
    if attributes.get("unfinished"):
        found.append(Command("Finish it: the result is that of an undisturbed run.", f"simengine resume {file}"))
    elif "content_hash" in attributes:
        kept = attributes.get("language") is not None
        note = ("language models are not asked again: their answers are in the record beside the file",) if kept else ()
        what = "Repeat it from the file alone, and hear whether the same comes out."
        found.append(Command(what, f"simengine rerun {file}", note))
    words, notes = run_words(attributes, declared)
    if words:
        words.append(f"--out {shlex.quote(f'{path.stem}-again.nc')}")
        what = "The same written out, to change something."
        found.append(Command(what, INDENT.join(words), tuple(notes)))
    found.append(_opening(path))
    return found


def _opening(path: Path) -> Command:
    return Command("Look at it in Python.", f"import simengine\n\nds = simengine.open({path.name!r})\nds.sim.summary()")


def run_words(attributes: Mapping[str, Any], declared: Declared) -> tuple[list[str], list[str]]:
    """Return the words of the ``simengine run`` that makes the same, and what they cannot say."""
    given = _given(attributes, declared)
    words = [f"simengine run {shlex.quote(declared.command)}"]
    words += [_setting(name, attributes.get(f"{contents.PARAMETER}{name}")) for name in given]
    for name, default in (("seed", 0), ("steps", None), ("every", 1), ("snapshot_every", None)):
        value = attributes.get(name)
        if value is not None and value != default:
            words.append(f"--{name.replace('_', '-')} {shlex.quote(wording.value(value))}")
    notes = _of_scenario(declared)
    for item in attributes.get("interventions") or []:
        _intervene(item, words, notes)
    for label, answers in (attributes.get("policies") or {}).items():
        _answer(str(label), answers, words, notes)
    start = str(attributes.get("start") or "scenario")
    if start != "scenario":
        name = wording.without_folders(start)
        notes.append(f"It began from a start state ({name}), which the file keeps: give it with --start.")
    return words, notes


def _of_scenario(declared: Declared) -> list[str]:
    if declared.is_installed:
        return []
    return [f"{declared.command} stands for the file of the scenario, whose source is kept in the attributes."]


def _given(attributes: Mapping[str, Any], declared: Declared) -> list[str]:
    """Return the parameters to be written out: those given then, or all where defaults have changed since."""
    recorded = [
        name.removeprefix(contents.PARAMETER)
        for name in attributes
        if name.startswith(contents.PARAMETER) and name != "parameter_units"
    ]
    given = set(attributes.get("parameters_given") or ())
    for name in recorded:
        known = declared.parameters.get(name)
        if known is not None and known.known and known.default != attributes[f"{contents.PARAMETER}{name}"]:
            given.add(name)
    return [name for name in recorded if name in given]


def _setting(name: str, value: Any) -> str:
    return f"--set {shlex.quote(f'{name}={wording.value(value)}')}"


def _intervene(item: Mapping[str, Any], words: list[str], notes: list[str]) -> None:
    changes = ",".join(f"{name}={wording.value(value)}" for name, value in (item.get("changes") or {}).items())
    if "at" in item and changes and "apply" not in item:
        moment = f"{item['at']}:{changes}"
        words.append(f"--at {shlex.quote(moment)}")
        return
    what = f"every {item['every']} steps" if "every" in item else f"after step {item.get('at')}"
    done = f"{item['apply'].get('name')}()" if item.get("apply") else changes
    notes.append(f"The intervention {what} ({done}) needs Python: simengine.run(..., interventions=[...]).")


def _answer(label: str, answers: Sequence[Mapping[str, Any]], words: list[str], notes: list[str]) -> None:
    said = dict(answers[0].get("answer") or {}) if answers else {}
    if len(answers) != 1 or said.get("kind") != "language" or answers[0].get("ids") is not None or said.get("memory"):
        notes.append(f"Who answers {label} needs Python: simengine.run(..., policies={{{label!r}: ...}}).")
        return
    words.append(f"--policy {shlex.quote(f'{label}=language')}")
    backend, model = str(said.get("backend") or ""), str(said.get("model") or "")
    if backend.startswith("surrogate"):
        words.append("--backend surrogate")
    else:
        words += ["--backend openai", f"--model {shlex.quote(model)}"]
        notes.append("--backend, --base-url and --model say who is asked anew; a live model may answer otherwise.")
    share = answers[0].get("share")
    if share not in (None, 1, 1.0):
        words.append(f"--share {wording.value(share)}")
    if said.get("elicitation"):
        words.append(f"--elicitation {shlex.quote(str(said['elicitation']))}")


def _of_a_sweep(data: xr.Dataset, attributes: Mapping[str, Any], path: Path, declared: Declared) -> list[Command]:
    folder = shlex.quote(path.name)
    found = []
    if attributes.get("unfinished"):
        what = "Do the runs that are missing: the result is that of an undisturbed sweep."
        found.append(Command(what, f"simengine resume {folder}"))
    words, notes = sweep_words(data, attributes, declared)
    if words:
        words.append(f"--out {shlex.quote(f'{path.name}-again')}")
        what = "The same written out: its content hash is equal if the same comes out."
        found.append(Command(what, INDENT.join(words), tuple(notes)))
    else:
        found.append(Command("Its points are no full grid; they are in the Dataset.", "", tuple(notes)))
    one = _one_run(data, attributes, declared)
    if one:
        found.append(one)
    found.append(_opening(path))
    return [command for command in found if command.text or command.notes]


def sweep_words(data: xr.Dataset, attributes: Mapping[str, Any], declared: Declared) -> tuple[list[str], list[str]]:
    """Return the words of the ``simengine sweep`` that makes the same, none where only Python can say them."""
    words, notes = [f"simengine sweep {shlex.quote(declared.command)}"], _of_scenario(declared)
    for name in contents.swept(data):
        texts = [wording.value(item) for item in data[name].values.tolist()]
        if contents.RUN in data["status"].dims or len(texts) > MOST_VALUES or any({*",: "} & {*text} for text in texts):
            design = attributes.get("design") or {}
            kind = str(design.get("kind") or "list of points").replace("_", " ")
            return [], [f"The design ({kind}) is given in Python: simengine.sweep(..., design, ...)."]
        values = f"{name}={','.join(texts)}"
        words.append(f"--grid {shlex.quote(values)}")
    words += [_setting(name, attributes.get(f"{contents.PARAMETER}{name}")) for name in _given(attributes, declared)]
    replicates, seed = attributes.get("replicates"), attributes.get("sweep_seed")
    for option, value, default in (("replicates", replicates, 1), ("steps", attributes.get("steps"), None)):
        if value is not None and value != default:
            words.append(f"--{option} {value}")
    stride = _stride(data)
    if stride:
        words.append(f"--every {stride}")
    if seed:
        words.append(f"--seed {seed}")
    return words, notes


def _stride(data: xr.Dataset) -> int | None:
    """Return the stride of records, None where only the first and the last were asked for."""
    steps = data["step"].values if "step" in data.variables else np.zeros(0, int)
    return int(steps[1] - steps[0]) if len(steps) > 2 else None


def _one_run(data: xr.Dataset, attributes: Mapping[str, Any], declared: Declared) -> Command | None:
    """Return how one of the runs is repeated, the first one that is done."""
    status = data["status"].values
    done = np.argwhere(status == 0)
    if not len(done):
        return None
    at = dict(zip(data["status"].dims, (int(place) for place in done[0]), strict=True))
    chosen = data[["seed"]].isel(at)
    words = [f"simengine run {shlex.quote(declared.command)}"]
    words += [_setting(name, chosen[name].values.item()) for name in contents.swept(data)]
    words += [_setting(name, attributes.get(f"{contents.PARAMETER}{name}")) for name in _given(attributes, declared)]
    words += [f"--seed {int(chosen['seed'].values)}"]
    if attributes.get("steps") is not None:
        words.append(f"--steps {attributes['steps']}")
    what = "One of its runs by itself: a run's seed is in the variable seed."
    return Command(what, INDENT.join(words))
