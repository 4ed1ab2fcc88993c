"""Reasons to doubt what a page shows, and what to do about each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr

from simengine.analysis import contents
from simengine.analysis.report import wording
from simengine.diagnostics.flags import FLAGS
from simengine.runs.continuing import described_changes
from simengine.runs.recipe import changes_since
from simengine.store.provenance import provenance

FEW_REPLICATES = 5
"""With fewer, the 95 % interval of Student's t is more than one and a half times that of the normal distribution."""

FEW_RECORDS = 20
"""With fewer records nothing can be said about a stationary part."""

LOW_COVERAGE = 0.5
LISTED, NAMED = 5, 3
COUNTS = ("asked", "fallbacks", "refused")

Weight = Literal["wrong", "mind", "note"]


@dataclass(frozen=True)
class Doubt:
    """One reason to doubt.

    Parameters
    ----------
    what
        The reason, in a sentence.
    advice
        What to do about it.
    weight
        ``wrong``: part of the result is missing or was made otherwise than it seems; ``mind``: numbers mean less
        than they seem to; ``note``: good to know.
    details
        Which variables, runs or messages.
    """

    what: str
    advice: str
    weight: Weight = "mind"
    details: tuple[str, ...] = ()


def doubts(
    data: xr.Dataset,
    name: str,
    unsteady: Mapping[str, str] | None = None,
    failures: Sequence[Mapping[str, Any]] = (),
    left_out: Iterable[str] = (),
) -> list[Doubt]:
    """Return the reasons to doubt what a Dataset holds, the gravest first.

    Parameters
    ----------
    data
        A run or a sweep.
    name
        What its file is called, for commands.
    unsteady
        Observables that are not stationary, and why.
    failures
        The runs of a sweep that failed, as `simengine.failures` returns them.
    left_out
        Sentences about what pictures leave out.
    """
    attributes = contents.attributes_of(data)
    found = [
        *_unfinished(data, attributes, name, failures),
        *_changed(attributes),
        *_of_language_models(data, attributes),
        *_too_few(data, attributes),
        *_unsteady(unsteady or {}, contents.is_sweep(data)),
        *_flagged(data),
        *_empty(data),
    ]
    if left_out := tuple(left_out):
        advice = "The numbers of the tables are those of all; draw others with simengine.analysis.plots."
        found.append(Doubt("Pictures show a part of the agents or of the moments.", advice, "note", left_out))
    return sorted(found, key=lambda doubt: ("wrong", "mind", "note").index(doubt.weight))


def _unfinished(
    data: xr.Dataset, attributes: Mapping[str, Any], name: str, failures: Sequence[Mapping[str, Any]]
) -> Iterator[Doubt]:
    resume = f"simengine resume {wording.word(name)} goes on as if nothing had happened; then make this page anew."
    if contents.is_sweep(data):
        status = data["status"].values
        failed, missing = int((status == 1).sum()), int((status == 2).sum())
        if failed:
            kinds = [_failure(one) for one in failures[:LISTED]]
            more = (f"and {len(failures) - LISTED:,} more",) if len(failures) > LISTED else ()
            yield Doubt(
                f"{failed:,} of {wording.counted(status.size, 'run')} failed and are left out of all means.",
                "If they failed because of their parameters, the others are no fair sample: mend the cause, and "
                "run the sweep anew. simengine.failures() has the tracebacks.",
                "wrong",
                (*dict.fromkeys(kinds), *more),
            )
        if missing:
            what = f"{missing:,} of {wording.counted(status.size, 'run')} are missing: the sweep is not finished."
            yield Doubt(what, resume, "wrong")
    elif attributes.get("unfinished"):
        steps = data["step"].values if "step" in data.variables else np.zeros(0)
        at = f"its last record is of step {int(steps[-1]):,}" if len(steps) else "nothing was recorded"
        asked = f" of {attributes['steps']:,}" if isinstance(attributes.get("steps"), int) else ""
        yield Doubt(f"The run is not finished: {at}{asked}.", resume, "wrong")
    lost = attributes.get("lost_segments")
    if lost:
        listed = lost if isinstance(lost, list) else [lost]
        what = f"{wording.counted(len(listed), 'segment')} of the records are missing or damaged."
        yield Doubt(what, "Series have gaps there. simengine resume repeats what was lost.", "wrong")
    faults = attributes.get("faults") or []
    if faults:
        details = tuple(f"{fault.get('what')}, at step {fault.get('step')}" for fault in faults[:LISTED])
        advice = "Nothing to do: the steps since the last kept state were repeated, and the result is the same."
        yield Doubt(f"{wording.counted(len(faults), 'process', 'processes')} died and were replaced.", advice, "note",
                    tuple(map(wording.without_folders, details)))  # fmt: skip


def _failure(one: Mapping[str, Any]) -> str:
    parameters = ", ".join(f"{name} = {wording.value(value)}" for name, value in one["parameters"].items())
    message = wording.without_folders(wording.cut(f"{one['kind']}: {one['message']}"))
    return f"{parameters}, replicate {one['replicate']}: {message}"


def _changed(attributes: Mapping[str, Any]) -> Iterator[Doubt]:
    within = attributes.get("changed_since_begun")
    if within:
        pairs = {name: (pair[0], pair[1]) for name, pair in within.items()}
        what = f"It was gone on with although something had changed: {described_changes(pairs)}."
        yield Doubt(what, "Its parts were made differently; run it anew for a result of one piece.", "wrong")
    stable, _ = provenance(cpu_target=str(attributes.get("cpu_target") or ""))
    known = {name: attributes[name] for name in stable if name in attributes}
    changes = changes_since(known, {name: stable[name] for name in known})
    if changes:
        what = f"It was made with other versions, or on another machine, than this page: {described_changes(changes)}."
        advice = "A repetition here may differ in its last digits; simengine rerun tells."
        yield Doubt(what, advice, "note")


def _of_language_models(data: xr.Dataset, attributes: Mapping[str, Any]) -> Iterator[Doubt]:
    surrogates = []
    for label, answers in answered(data, attributes).items():
        for answer in answers:
            made = answer.get("decisions") or {}
            lost = int(made.get("fallbacks") or 0) + int(made.get("refused") or 0)
            asked = int(made.get("asked") or 0)
            if lost and asked:
                yield Doubt(
                    f"{lost:,} of {asked:,} decisions {label} ({wording.share(lost / asked)}) had no answer that could "
                    "be used: the fallback acted.",
                    "simengine llm calls shows what was answered; another elicitation, or simengine llm doctor, may "
                    "help. Leave them out with simengine.diagnostics.select_decisions.",
                )
            if str(answer.get("backend") or "").startswith("surrogate"):
                surrogates.append(label)
        coverage = data.get(f"language_{label.split('.')[-1]}_mean_coverage")
        if coverage is not None and coverage.size and (low := float(coverage.min(skipna=True))) < LOW_COVERAGE:
            yield Doubt(
                f"The model gave the options of {label} a probability of {wording.number(low, 2)} at the least; the "
                "rest went to other words.",
                "Ask otherwise: --elicitation samples or percentages.",
            )
    if surrogates:
        yield Doubt(
            f"{', '.join(surrogates)}: the surrogate answered, an n-gram that knows nothing.",
            "It shows that things work, not how a language model decides: name a backend.",
        )


def answered(data: xr.Dataset, attributes: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return what each language model did; of a run that is not finished, what its policies and series say."""
    reported = attributes.get("language")
    if reported:
        return {str(label): list(answers) for label, answers in reported.items()}
    found = {}
    for label, answers in (attributes.get("policies") or {}).items():
        said = [dict(one.get("answer") or {}) for one in answers]
        models = [one for one in said if one.get("kind") == "language"]
        if models:
            # The series are of all models of a decision together.
            models[0]["decisions"] = {name: _last(data, f"language_{label.split('.')[-1]}_{name}") for name in COUNTS}
            found[str(label)] = models
    return found


def _last(data: xr.Dataset, name: str) -> int:
    values = data.get(name)
    return int(values[-1]) if values is not None and values.ndim == 1 and values.size else 0


def _too_few(data: xr.Dataset, attributes: Mapping[str, Any]) -> Iterator[Doubt]:
    if not contents.is_sweep(data):
        command = "simengine sweep, with --replicates 20 say,"
        what = "It is one run: how much another seed would change is not known."
        yield Doubt(what, f"{command} gives intervals over seeds.", "note")
        records = data.sizes.get(contents.TIME, 0)
        if 0 < records < FEW_RECORDS:
            what = f"There are {wording.counted(records, 'record')} only, too few to find a stationary part."
            yield Doubt(what, "Record more often (--every), or longer (--steps).", "note")
        return
    replicates = int(attributes.get("replicates") or data.sizes.get(contents.REPLICATE, 1))
    if replicates < FEW_REPLICATES:
        yield Doubt(
            f"There {'is' if replicates == 1 else 'are'} {wording.counted(replicates, 'replicate')} of each point: "
            + ("no interval is known." if replicates == 1 else "intervals are wide, and themselves uncertain."),
            "simengine sweep ... --replicates N --extend adds some; ds.sim.convergence says how many are needed.",
        )


def _unsteady(unsteady: Mapping[str, str], is_sweep: bool) -> Iterator[Doubt]:
    if unsteady:
        where = "in most runs of a point " if is_sweep else ""
        advice = (
            "Their last records are those of a moment on the way, and no steady values: sweep with more --steps, or "
            'read the courses; ds.sim.burn_in("' + next(iter(unsteady)) + '") tells which runs settle.'
            if is_sweep
            else "A mean over time has no meaning there, and is left out; let it go on (more --steps), or look at the "
            "course itself."
        )
        first = f" ({', '.join(list(unsteady)[:NAMED])}{' …' if len(unsteady) > NAMED else ''})" if is_sweep else ""
        yield Doubt(
            f"{wording.counted(len(unsteady), 'observable')}{first} did not settle {where}within what was recorded.",
            advice,
            "mind",
            tuple(f"{name}: {reason}" if reason else name for name, reason in unsteady.items()),
        )


def _flagged(data: xr.Dataset) -> Iterator[Doubt]:
    by_flag: dict[str, list[tuple[float, str]]] = {}
    for name in contents.observables(data):
        for flag, share in contents.flags_of(data, name).items():
            by_flag.setdefault(flag, []).append((share, name))
    for flag, listed in sorted(by_flag.items(), key=lambda item: -max(item[1])[0]):
        most = sorted(listed, reverse=True)
        yield Doubt(
            f"{wording.in_words(flag)}: {FLAGS.get(flag, 'a flag of the file')}.",
            "Read these values with their nulls, or not at all; the page on diagnostics says what each flag needs.",
            "mind" if most[0][0] > 0.5 else "note",
            tuple(f"{name}: {wording.share(share)} of the records" for share, name in most),
        )


def _empty(data: xr.Dataset) -> Iterator[Doubt]:
    empty = []
    for name in contents.observables(data):
        values = data[name]
        if values.dtype.kind == "f" and values.size and values.ndim == 1 and not np.isfinite(values.values).any():
            empty.append(name)
    if empty:
        what = f"{wording.counted(len(empty), 'observable')} never had a value."
        yield Doubt(what, "What they measure did not occur, or does not exist with these parameters.", "note",
                    tuple(empty))  # fmt: skip
