"""The decisions of a run's language models as a Dataset in long form."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simengine.errors import InputError, nearest
from simengine.policies.language.policy import Language
from simengine.policies.language.record import Record
from simengine.policies.reports import LATEST, PROVENANCES, RECORD_SUFFIX, record_of
from simengine.scenario.parameters import shown

if TYPE_CHECKING:
    import xarray


def decisions(
    source: str | Path | Language | Record, decision: str | None = None, *, first: int | None = None,
    last: int | None = None,
) -> xarray.Dataset:  # fmt: skip
    """Return every decision that was put to a language model, one row each, by step and agent.

    Parameters
    ----------
    source
        A run's file (``OUT.nc``, whose calls lie in ``OUT.nc.calls``), a record, or the `Language` of a run in memory.
    decision
        Which one, ``"population.decision"`` or the name alone; needed where there are several.
    first, last
        Steps from and to; by default all.

    Returns
    -------
    xarray.Dataset
        Along ``row``: ``step``, ``agent`` (id), ``action``, ``provenance`` (flags: rule, answered, reused, repaired,
        refused, fallback), ``entropy`` (bit) of the action distribution, ``coverage``, ``context`` (what the prompt was
        written from, as JSON) and, where distributions were asked for, ``probability`` along ``row`` and ``option``.

    Raises
    ------
    InputError
        When there is no such record or decision.
    """
    import xarray

    record = _record(source)
    labels = record.decision_labels()
    if not labels:
        raise InputError(f"{shown(source)} holds no decisions of language models")
    label = _label(decision, labels, source)
    found = record.decisions(label, first, last)
    if not found:
        raise InputError(f"{shown(source)}: there are no decisions {label} at these steps")
    known = record.texts(np.unique(found["context"]).tolist())
    variables: dict[str, Any] = {
        "step": ("row", found["step"], {"long_name": "step"}),
        "agent": ("row", found["ids"], {"long_name": "id of the agent"}),
        "action": ("row", found["action"], {"long_name": "action"}),
    }
    for name, column in LATEST.items():
        attributes: dict[str, Any] = {"long_name": column.long_name, "units": column.unit}
        if name == "provenance":
            attributes |= {"flag_values": np.arange(len(PROVENANCES)), "flag_meanings": " ".join(PROVENANCES)}
        variables[name] = ("row", found[name], attributes)
    texts = np.array([known.get(digest, "") for digest in found["context"].tolist()], object)
    variables["context"] = ("row", texts, {"long_name": "what the prompt was written from, as JSON"})
    if "probability" in found:
        attributes = {"long_name": "probability that the model gave the option", "units": "1"}
        variables["probability"] = (("row", "option"), found["probability"], attributes)
    return xarray.Dataset(variables, attrs={"decision": label})


def _record(source: Any) -> Record:
    if isinstance(source, Language):
        return source.record
    if isinstance(source, Record):
        return source
    if not isinstance(source, str | Path):
        raise InputError(f"decisions: got {shown(source)}, allowed are a run's file, a record or a Language")
    path = Path(source)
    beside = path if path.name.endswith(RECORD_SUFFIX) else record_of(path)
    if not beside.is_file():
        raise InputError(f"decisions: there is no record {beside}; only runs with language models leave one")
    return Record.open(beside)


def _label(decision: str | None, labels: list[str], source: Any) -> str:
    if decision is None:
        if len(labels) > 1:
            raise InputError(f"{shown(source)} holds several decisions ({', '.join(labels)}); say which")
        return labels[0]
    found = [label for label in labels if decision in {label, label.split(".")[1]}]
    if len(found) != 1:
        known = nearest(decision, labels) or f"; there are {', '.join(labels)}"
        raise InputError(f"{shown(source)} holds no decision {decision!r}{known}")
    return found[0]
