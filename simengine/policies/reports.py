"""What policies that keep a record of their own add to a run's file: numbers along time, by agent, and at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from simengine.policies.answers import Policy

Array = NDArray[Any]
Policies = Mapping[str, tuple[Policy, ...]]

RECORD_SUFFIX = ".calls"
WEIGHTS_SUFFIX = ".weights"


def record_of(path: Path) -> Path:
    """The file beside a run's file that holds the calls of its language models."""
    return path.with_name(path.name + RECORD_SUFFIX)


@runtime_checkable
class Described(Protocol):
    """An answer that says in a file what it is, and is made again from what it said."""

    def describe(self) -> dict[str, Any]:
        """Plain values, among them ``kind``; nothing secret."""


@runtime_checkable
class Weighted(Described, Protocol):
    """An answer whose weights are kept beside the file."""

    def versions(self) -> dict[str, str]:
        """Versions that its bits depend on, as attributes ``version_*``."""

    def save(self, folder: Path) -> Path:
        """Write the weights into a folder, under the digest that `describe` tells."""


@runtime_checkable
class Reporting(Protocol):
    """An answer that keeps a record of what was asked and answered."""

    def record_at(self, path: Path | None, beside: Reporting | None) -> None:
        """Keep the record in this file, or in memory, there in one record with ``beside``.

        Called before the run; nothing is opened yet.
        """

    def tallies(self, label: str) -> Mapping[str, float]:
        """Numbers of one decision so far by the names of `SERIES`, and sums behind means by those of `MEANS`."""

    def latest(self, label: str) -> Mapping[str, Array]:
        """``ids`` of those asked last, ascending, and their values by the names of `LATEST`."""

    def report(self, label: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a file says at the end: what the content hash covers, and what not (times, costs, sources)."""

    def save_record(self, path: Path) -> None:
        """Write a copy of the record."""

    def close(self) -> None:
        """Give back connections, threads and files."""


@dataclass(frozen=True)
class Column:
    """A variable of a decision: its type, unit and meaning."""

    dtype: str
    unit: str
    long_name: str


SERIES = {
    "asked": Column("int64", "1", "decisions put to language models so far"),
    "contexts": Column("int64", "1", "distinct situations they were put for so far, counted step by step"),
    "answered": Column("int64", "1", "decisions so far that a call of their own step answered"),
    "reused": Column("int64", "1", "decisions so far that an answer of an earlier step served"),
    "repaired": Column("int64", "1", "decisions so far whose answer was understood when asked again"),
    "refused": Column("int64", "1", "decisions so far that the model refused; the fallback acted"),
    "fallbacks": Column("int64", "1", "decisions so far without an answer; the fallback acted"),
    "input_tokens": Column("int64", "1", "tokens sent so far"),
    "output_tokens": Column("int64", "1", "tokens received so far"),
}
MEANS = {
    "entropy": Column("float64", "bit", "mean entropy of the action distributions of the latest decisions"),
    "coverage": Column("float64", "1", "mean probability on the options of the latest decisions, before normalising"),
}
LATEST = {
    "provenance": Column("int64", "1", "where the latest action came from"),
    "entropy": Column("float64", "bit", "entropy of the latest action distribution"),
    "coverage": Column("float64", "1", "probability on the options before normalising, latest decision"),
}
PROVENANCES = ("rule", "answered", "reused", "repaired", "refused", "fallback")
"""Meanings of the values of ``provenance``."""


def reporting(policies: Policies) -> Iterator[tuple[str, Reporting]]:
    """The answers that keep a record, each with the label of its decision, once for each decision."""
    for label, listed in policies.items():
        for answer in {id(policy.answer): policy.answer for policy in listed}.values():
            if isinstance(answer, Reporting):
                yield label, answer


def variable(label: str, column: str) -> str:
    """The name in a file of a column of a decision."""
    return f"language_{label.split('.')[1]}_{column}"


def tallied(policies: Policies) -> dict[str, float | int]:
    """The present row of every series, by variable."""
    found: dict[str, float | int] = {}
    for label in dict.fromkeys(label for label, _ in reporting(policies)):
        tallies = [answer.tallies(label) for other, answer in reporting(policies) if other == label]
        for name in SERIES:
            found[variable(label, name)] = int(sum(tally[name] for tally in tallies))
        for name in MEANS:
            number = sum(tally[f"{name}_number"] for tally in tallies)
            total = sum(tally[f"{name}_total"] for tally in tallies)
            found[variable(label, f"mean_{name}")] = total / number if number else float("nan")
    return found


def latest_of(policies: Policies, label: str, ids: Array) -> dict[str, Array]:
    """The columns of `LATEST` for these agents, by variable; agents who follow the rule have provenance 0."""
    found: dict[str, Array] = {
        variable(label, name): np.full(len(ids), 0 if column.dtype == "int64" else np.nan, column.dtype)
        for name, column in LATEST.items()
    }
    for other, answer in reporting(policies):
        latest = answer.latest(label) if other == label else {"ids": ids[:0]}
        if not len(latest["ids"]) or not len(ids):
            continue
        place = np.minimum(np.searchsorted(ids, latest["ids"]), len(ids) - 1)
        here = ids[place] == latest["ids"]
        for name in LATEST:
            found[variable(label, name)][place[here]] = latest[name][here]
    return found


def bind(policies: Policies, path: Path | None) -> None:
    """Let the records of a run lie beside its file, or in memory."""
    first: Reporting | None = None
    for answer in {id(answer): answer for _, answer in reporting(policies)}.values():
        answer.record_at(None if path is None else record_of(path), first)
        first = first or answer


def reported(policies: Policies) -> tuple[dict[str, Any], dict[str, Any]]:
    """Attributes at the end of a run, by decision: those that the content hash covers, and others."""
    stable: MutableMapping[str, Any] = {}
    volatile: MutableMapping[str, Any] = {}
    for label, answer in reporting(policies):
        said, unhashed = answer.report(label)
        stable.setdefault(label, []).append(said)
        volatile.setdefault(label, []).append(unhashed)
    if not stable:
        return {}, {}
    return {"language": dict(stable)}, {"language_calls": dict(volatile)}


def remove_record(path: Path) -> None:
    """Remove the calls of an earlier run of this file."""
    record = record_of(path)
    if any(record.with_name(record.name + suffix).exists() for suffix in ("", "-wal", "-shm")):
        from simengine.policies.language.record import Record

        Record.remove(record)


def weighted(policies: Policies) -> Iterator[Weighted]:
    """The answers that have weights."""
    for listed in policies.values():
        for policy in listed:
            if isinstance(policy.answer, Weighted):
                yield policy.answer


def weights_of(path: Path) -> Path:
    """The folder beside a run's file that holds the weights of its learned policies."""
    return path.with_name(path.name + WEIGHTS_SUFFIX)


def keep_weights(policies: Policies, path: Path) -> None:
    """Write the weights of learned policies beside a run's file."""
    for answer in weighted(policies):
        answer.save(weights_of(path))


def versions(policies: Policies) -> dict[str, str]:
    """Versions that the bits of learned policies depend on."""
    return {name: said for answer in weighted(policies) for name, said in answer.versions().items()}


def copy_record(source: Path, target: Path, step: int) -> None:
    """Let the run of ``target``, which goes on from a step of that of ``source``, know what was asked until then."""
    if record_of(source).is_file():
        from simengine.policies.language.record import Record

        with Record(record_of(source), create=False) as record:
            record.copy_to(record_of(target))
        with Record(record_of(target)) as copy:
            copy.forget_decisions(step - 1)


def save_records(policies: Policies, path: Path) -> None:
    """Write copies of the records beside a file."""
    for _, answer in reporting(policies):
        answer.save_record(record_of(path))


def close(policies: Policies) -> None:
    """Give back what answers hold."""
    for _, answer in reporting(policies):
        answer.close()
