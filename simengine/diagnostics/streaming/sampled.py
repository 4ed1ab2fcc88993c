"""Diagnostics from nearest neighbours, of a sample of agents chosen by hash: its size is in their errors."""

from __future__ import annotations

import math
from typing import Any

from simengine.diagnostics.estimate import Estimate, flagged
from simengine.diagnostics.streaming import declared
from simengine.diagnostics.streaming.binning import Binning, as_binning
from simengine.diagnostics.streaming.distributions import When, streamed
from simengine.diagnostics.streaming.observable import Streamed
from simengine.diagnostics.streaming.states import Sample
from simengine.errors import ScenarioError

SAMPLE = 1000
"""Agents in a sample, unless said otherwise."""

NEIGHBOURS = ("auto", "ksg-1", "ksg-2", "gao", "atom-aware", "gaussian", "copula")
"""Estimators of mutual information between numbers."""


def differential_entropy(
    *fields: str, sample: int = SAMPLE, k: int = 4, name: str = "", unit: str = "nat", when: When = None
) -> Streamed:
    """Stream the differential entropy of fields, jointly, of at most ``sample`` agents (Kozachenko & Leonenko)."""
    _check(sample, k)
    fields = _plain(fields)
    names = tuple(as_binning(field).field for field in fields)
    own = "_".join(field.split(".", 1)[-1].replace(".", "_") for field in names)
    name = declared.named(name, f"{own}_differential_entropy")

    def answer(reading: Any, view: Any) -> Estimate:
        from simengine.diagnostics import information

        if len(reading[0]) <= k:
            return _too_few(len(reading[0]), "kozachenko-leonenko", unit)
        return information.entropy(reading[1], estimator="kozachenko-leonenko", k=k, unit=unit)

    return streamed(
        name, Sample(fields, sample, name), None, answer, unit, f"differential entropy of {', '.join(fields)}", False,
        {"estimator": "kozachenko-leonenko", "k": k}, when,
    )  # fmt: skip


def neighbour_mutual_information(
    x: str | tuple[str, ...], y: str | tuple[str, ...], *, sample: int = SAMPLE, estimator: str = "auto", k: int = 4,
    name: str = "", unit: str = "nat", when: When = None,
) -> Streamed:  # fmt: skip
    """Stream the mutual information of two fields, or two groups of fields, of at most ``sample`` agents.

    ``estimator`` as in :func:`~simengine.diagnostics.information.mutual_information`.
    """
    _check(sample, k)
    declared.one_of(estimator, NEIGHBOURS, "estimator")
    first, second = _plain(declared.fields(x, "x")), _plain(declared.fields(y, "y"))
    own = "_".join(as_binning(field).field.split(".", 1)[-1].replace(".", "_") for field in (*first, *second))
    name = declared.named(name, f"{own}_mutual_information")

    def answer(reading: Any, view: Any) -> Estimate:
        from simengine.diagnostics import information

        columns = reading[1]
        if len(columns) <= k:
            return _too_few(len(columns), estimator, unit)
        return information.mutual_information(
            columns[:, : len(first)], columns[:, len(first) :], estimator=estimator, k=k, unit=unit
        )

    return streamed(
        name, Sample((*first, *second), sample, name), None, answer, unit,
        f"mutual information of {', '.join(first)} and {', '.join(second)}", False, {"estimator": estimator, "k": k},
        when,
    )  # fmt: skip


def _plain(fields: tuple[Any, ...]) -> tuple[str, ...]:
    """Return the names of fields without bins."""
    for field in fields:
        if isinstance(field, Binning) and (field.bins is not None or field.states is not None):
            raise ScenarioError(f"{field.field}: nearest neighbours take numbers as they are, without bins= or states=")
    return tuple(as_binning(field).field for field in fields)


def _check(sample: int, k: int) -> None:
    if declared.whole(k, "k") >= declared.whole(sample, "sample"):
        raise ScenarioError(f"k is {k} in a sample of {sample}; an agent has at most {sample - 1} neighbours")


def _too_few(n: int, method: str, unit: str) -> Estimate:
    """Return no value: agents may become fewer while a simulation runs, which is no reason to stop it."""
    return Estimate(math.nan, n=n, unit=unit, method=method, flags=flagged("few_samples"))
