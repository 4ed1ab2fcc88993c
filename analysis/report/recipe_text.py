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
from simengine.policies.language.backends.surrogate import MODEL
from simengine.policies.language.policy import MOST_FALLBACKS
from simengine.policies.language.questions import SAMPLES

MOST_VALUES = 40
INDENT = " \\\n    "
PYTHON, START = "needs Python", "give it with --start"
IN_THIS_PROCESS = "transformers in this process"
PLAIN = {
    "memory": None, "own_prompt": False, "own_redact": False, "personas": None, "fallback": None, "orders": None,
    "salt": "", "samples": SAMPLES, "temperature": None,
}  # fmt: skip
"""Settings of a language policy that options cannot give, and their defaults."""


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
    file = wording.word(path.name)
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
        words.append(f"--out {wording.word(f'{path.stem}-again.nc')}")
        whole = not any(PYTHON in note or START in note for note in notes)
        what = f"The same written out{'' if whole else ', but for what is named below'}, to change something."
        found.append(Command(what, INDENT.join(words), tuple(notes)))
    found.append(_opening(path))
    return found


def exact(given: Any) -> str:
    """Return a parameter's value as the command line reads it back, to the last bit."""
    if isinstance(given, float) and float(short := wording.value(given)) != given:
        return repr(given)
    return given if isinstance(given, str) else short if isinstance(given, float) else wording.value(given)


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
            words.append(f"--{name.replace('_', '-')} {shlex.quote(exact(value))}")
    notes = _of_scenario(declared)
    for item in attributes.get("interventions") or []:
        _intervene(item, words, notes)
    _answers(attributes.get("policies") or {}, words, notes)
    notes += _begun(attributes)
    return words, notes


def _of_scenario(declared: Declared) -> list[str]:
    if declared.is_installed:
        return []
    return [f"{declared.command} stands for the file of the scenario, whose source is kept in the attributes."]


def _begun(attributes: Mapping[str, Any]) -> list[str]:
    start = str(attributes.get("start") or "scenario")
    return [] if start == "scenario" else [f"It began from a start state ({wording.without_folders(start)}): {START}."]


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
    return f"--set {shlex.quote(f'{name}={exact(value)}')}"


def _intervene(item: Mapping[str, Any], words: list[str], notes: list[str]) -> None:
    given = {name: exact(value) for name, value in (item.get("changes") or {}).items()}
    changes = ",".join(f"{name}={value}" for name, value in given.items())
    if "at" in item and changes and "apply" not in item and not any("," in value for value in given.values()):
        moment = f"{item['at']}:{changes}"
        words.append(f"--at {shlex.quote(moment)}")
        return
    what = f"every {item['every']} steps" if "every" in item else f"after step {item.get('at')}"
    done = f"{item['apply'].get('name')}()" if item.get("apply") else wording.cut(changes)
    notes.append(f"The intervention {what} ({done}) {PYTHON}: simengine.run(..., interventions=[...]).")


def _answers(policies: Mapping[str, Sequence[Mapping[str, Any]]], words: list[str], notes: list[str]) -> None:
    """Write out the language models that options can name; options are of all decisions that one model answers."""
    told: Mapping[str, Any] | None = None
    for label, answers in policies.items():
        if len(answers) != 1 or not _sayable(answers[0]) or (told is not None and dict(answers[0]) != told):
            notes.append(f"Who answers {label} {PYTHON}: simengine.run(..., policies={{{label!r}: ...}}).")
            continue
        words.append(f"--policy {shlex.quote(f'{label}=language')}")
        if told is None:
            told = dict(answers[0])
    if told is not None:
        _options(told, words, notes)


def _sayable(one: Mapping[str, Any]) -> bool:
    """Whether options of the command line say who answers: a language model with the settings that they can give."""
    said = dict(one.get("answer") or {})
    plain = all(said.get(name, default) == default for name, default in PLAIN.items())
    model = str(said.get("model") or "")
    # A surrogate that was given a text, and a function in a model's place, are objects of Python.
    known = not model.startswith("function/") and (not _is_surrogate(said) or model in ("", MODEL))
    return said.get("kind") == "language" and one.get("ids") is None and plain and known


def _is_surrogate(said: Mapping[str, Any]) -> bool:
    return str(said.get("backend") or "").startswith("surrogate")


def _options(told: Mapping[str, Any], words: list[str], notes: list[str]) -> None:
    said = dict(told.get("answer") or {})
    if _is_surrogate(said):
        words.append("--backend surrogate")
    else:
        backend = "transformers" if str(said.get("backend") or "").endswith(IN_THIS_PROCESS) else "openai"
        words += [f"--backend {backend}", f"--model {shlex.quote(str(said.get('model') or ''))}"]
        notes.append("--backend, --base-url and --model say who is asked anew; a live model may answer otherwise.")
    if told.get("share") is not None:
        words.append(f"--share {exact(told['share'])}")
    if said.get("elicitation"):
        words.append(f"--elicitation {shlex.quote(str(said['elicitation']))}")
    most = said.get("most_fallbacks")
    if most is not None and most != MOST_FALLBACKS:
        words.append(f"--most-fallbacks {exact(most)}")


def _of_a_sweep(data: xr.Dataset, attributes: Mapping[str, Any], path: Path, declared: Declared) -> list[Command]:
    folder = wording.word(path.name)
    found = []
    if attributes.get("unfinished"):
        what = "Do the runs that are missing: the result is that of an undisturbed sweep."
        found.append(Command(what, f"simengine resume {folder}"))
    words, notes = sweep_words(data, attributes, declared)
    if words:
        words.append(f"--out {wording.word(f'{path.name}-again')}")
        what = "The same written out: its content hash is equal if the same comes out."
        if any(START in note for note in notes):
            what = "The same written out, but for its start."
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
    words, notes = [f"simengine sweep {shlex.quote(declared.command)}"], [*_of_scenario(declared), *_begun(attributes)]
    for name in contents.swept(data):
        texts = [exact(item) for item in data[name].values.tolist()]
        unsayable = any(not text or any(letter in ",:" or letter.isspace() for letter in text) for text in texts)
        if contents.RUN in data["status"].dims or len(texts) > MOST_VALUES or unsayable:
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
    return Command(what, INDENT.join(words), (*_of_scenario(declared), *_begun(attributes)))
