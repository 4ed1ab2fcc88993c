"""Decisions of language models as a table: what each agent saw and who it was in columns of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from simengine.analysis.interchange.tables import BATCH_ROWS, Batch, Column, Kind, Table
from simengine.errors import InputError, nearest
from simengine.policies.language.decisions import decisions
from simengine.policies.language.record import Record
from simengine.policies.reports import RECORD_SUFFIX, record_of

OWN = ("step", "agent", "action", "provenance", "entropy", "coverage")
CONTEXT, PROBABILITY, PERSONA = "context", "probability", "persona"
SEEN = "seen_"
"""Before the names of what was seen, as prompts call it."""

FIRST_STEPS, MOST_STEPS = 16, 4096


def decisions_table(source: str | Path | xr.Dataset, names: Sequence[str] | None = None) -> Table:
    """Return a table with a row for each decision that was put to a language model, by step and agent.

    Columns are those of `simengine.decisions`, with ``provenance`` in words, ``probability_0`` ... where distributions
    were asked for, ``persona`` where agents have one, and ``seen_NAME`` for everything else that the prompt was written
    from; lists of numbers and what else is no single value stand there as JSON.

    Parameters
    ----------
    source
        The file of a run, its record of calls, or what `simengine.decisions` returned.
    names
        The decision, where there are several.
    """
    if isinstance(source, xr.Dataset):
        if not holds_decisions(source):
            raise InputError("this Dataset has no decisions of language models; give the run's file")
        return _table(_InMemory(source))
    if names is not None and len(names) != 1:
        raise InputError("names: decisions make a table each; give one of them")
    return _table(_OnDisk(Path(source), None if names is None else names[0]))


def holds_decisions(data: xr.Dataset) -> bool:
    """Whether a Dataset is what `simengine.decisions` returns."""
    return CONTEXT in data.variables and "row" in data.dims


class _InMemory:
    """Decisions that were read."""

    def __init__(self, data: xr.Dataset) -> None:
        self._data = data

    def parts(self) -> Iterator[xr.Dataset]:
        for first in range(0, self._data.sizes["row"], BATCH_ROWS):
            yield self._data.isel(row=slice(first, first + BATCH_ROWS))


class _OnDisk:
    """Decisions in a record, read a few steps at a time."""

    def __init__(self, path: Path, decision: str | None) -> None:
        self._path = path if path.name.endswith(RECORD_SUFFIX) else record_of(path)
        if not self._path.is_file():
            raise InputError(f"there is no record {self._path}; only runs with language models leave one")
        self._decision = decision

    def parts(self) -> Iterator[xr.Dataset]:
        with Record.open(self._path) as record:
            label = _label(record.decision_labels(), self._decision, self._path)
            query = "SELECT DISTINCT step FROM decisions WHERE label = ? ORDER BY step"
            with record.database.using() as connection:
                steps = [row[0] for row in connection.execute(query, (label,))]
            place, count = 0, FIRST_STEPS
            while place < len(steps):
                last = min(place + count, len(steps)) - 1
                part = decisions(record, label, first=steps[place], last=steps[last])
                yield part
                place = last + 1
                count = max(1, min(count * BATCH_ROWS // max(part.sizes["row"], 1), 2 * count, MOST_STEPS))


def _label(labels: Sequence[str], asked: str | None, path: Path) -> str:
    found = [label for label in labels if asked is None or asked in {label, label.split(".")[-1]}]
    if len(found) == 1:
        return found[0]
    if not labels:
        raise InputError(f"{path} holds no decisions of language models")
    if asked is None:
        raise InputError(f"{path} holds several decisions ({', '.join(labels)}); say which by names (--names)")
    known = nearest(asked, labels) or f"; there are {', '.join(labels)}"
    raise InputError(f"{path} holds no decision {asked!r}{known}")


def _table(source: _InMemory | _OnDisk) -> Table:
    kinds: dict[str, Kind] = {}
    options, first = 0, None
    for part in source.parts():
        first = first if first is not None else part.isel(row=slice(0, 0)).copy()
        options = max(options, part.sizes.get("option", 0))
        for seen in _contexts(part).values():
            for name, value in seen.items():
                kinds[name] = _joint(kinds.get(name), _kind(value))
    if first is None:
        raise InputError("there are no decisions of language models here")
    columns = [
        Column(name, "text" if name == "provenance" else "float" if name in ("entropy", "coverage") else "integer",
               _attributes(first[name]))
        for name in OWN
    ]  # fmt: skip
    if first["action"].dtype.kind == "f":
        columns[OWN.index("action")] = Column("action", "float", _attributes(first["action"]))
    columns += [
        Column(f"{PROBABILITY}_{option}", "float", _attributes(first[PROBABILITY])) for option in range(options)
    ]
    # A persona first: who an agent is comes before what it sees.
    ordered = sorted(kinds, key=lambda name: (name != PERSONA, name))
    called = {name: PERSONA if name == PERSONA else f"{SEEN}{name}" for name in ordered}
    columns += [
        Column(called[name], kinds[name], {"long_name": "who the agent is" if name == PERSONA else f"seen: {name}"})
        for name in ordered
    ]

    def batches() -> Iterator[Batch]:
        for part in source.parts():
            batch: Batch = {name: part[name].values for name in OWN}
            words = np.array(str(part["provenance"].attrs["flag_meanings"]).split(), object)
            batch["provenance"] = words[batch["provenance"]]
            given = part.sizes.get("option", 0)
            for option in range(options):
                known = option < given
                batch[f"{PROBABILITY}_{option}"] = (
                    part[PROBABILITY].values[:, option] if known else np.full(part.sizes["row"], np.nan)
                )
            texts = part[CONTEXT].values
            contexts = _contexts(part)
            for name in ordered:
                values = {text: seen.get(name) for text, seen in contexts.items()}
                batch[called[name]] = _column([values[text] for text in texts], kinds[name])
            yield batch

    return Table(tuple(columns), {"decision": first.attrs.get("decision", "")}, batches)


def _attributes(variable: xr.DataArray) -> Mapping[str, Any]:
    return {str(key): value for key, value in variable.attrs.items() if not str(key).startswith("flag_")}


def _contexts(part: xr.Dataset) -> dict[str, dict[str, Any]]:
    """What was seen, by the text that says it."""
    found: dict[str, dict[str, Any]] = {}
    for text in dict.fromkeys(part[CONTEXT].values.tolist()):
        seen = json.loads(text) if text else {}
        found[text] = seen if isinstance(seen, dict) else {"value": seen}
    return found


def _kind(value: Any) -> Kind | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) and abs(value) < 2**53:
        return "integer"
    return "float" if isinstance(value, int | float) else "text"


def _joint(one: Kind | None, other: Kind | None) -> Kind:
    """The kind that holds values of two kinds."""
    kinds = {kind for kind in (one, other) if kind is not None}
    if len(kinds) < 2:
        return next(iter(kinds), "text")
    return "float" if kinds == {"integer", "float"} else "text"


def _column(values: Sequence[Any], kind: Kind) -> NDArray[Any]:
    if kind == "text":
        texts = np.empty(len(values), object)
        texts[:] = [
            value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for value in values
        ]
        return texts
    return np.array([np.nan if value is None else value for value in values], np.float64)
