"""Diagnostics of how values are distributed over the agents of a moment, or of a window of records.

Estimators are imported when the first estimate is made: they load libraries that a run without them does not need.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from simengine.diagnostics.counts.entropies import entropy_from_counts
from simengine.diagnostics.estimate import Estimate, doubted
from simengine.diagnostics.streaming import declared
from simengine.diagnostics.streaming.binning import Field, as_binning
from simengine.diagnostics.streaming.histories import Windowed
from simengine.diagnostics.streaming.observable import State, Streamed
from simengine.diagnostics.streaming.states import Counts, Table
from simengine.errors import ScenarioError

Window = int | str | None
POLARIZATIONS = ("variance", "pair-difference", "esteban-ray")
"""Measures of polarization."""

When = Mapping[str, Any] | None


def entropy(
    field: Field, *, estimator: str = "grassberger", window: Window = None, name: str = "", long_name: str = "",
    unit: str = "nat", when: When = None,
) -> Streamed:  # fmt: skip
    """Stream the entropy of a field over the agents, with its error and its null of even filling.

    Parameters
    ----------
    field
        ``field("agents.opinion", bins=20, range=(-1, 1))``, ``field("agents.choice", states=3)``, or just
        ``"agents.choice"`` for truth values, and for whole numbers of which those that occur are counted; these have
        no null.
    estimator
        As in :func:`~simengine.diagnostics.counts.entropies.entropy_from_counts`.
    window
        Over the last so many records, or "all" of them; by default of the moment.
    name, long_name
        Of the recorded variable; by default the field's name and "_entropy".
    unit
        "nat" or "bit".
    when
        Recorded only when the scenario's parameters have these values.
    """
    binning = as_binning(field)
    declared.counted_by(estimator)
    long_name = declared.named(long_name, f"entropy of {words(binning)}")

    def answer(table: Table, view: Any) -> Estimate:
        found = entropy_from_counts(table.counts, estimator=estimator, unit=unit)
        return outside(found if table.values is None else without_null(found), table)

    return streamed(
        declared.named(name, f"{word(binning)}_entropy"), Counts((binning,)), window, answer, unit,
        long_name, True, {"estimator": estimator}, when,
    )  # fmt: skip


def effective_opinions(
    field: Field, *, order: int = 1, window: Window = None, name: str = "", when: When = None
) -> Streamed:
    """Stream the number of equally common values that would be as diverse: e^H, or 1 / sum p^2 with ``order=2``."""
    binning = as_binning(field)
    declared.whole(order, "order, 1 for e^H and 2 for 1 / sum p^2,", 1, 2)

    def answer(table: Table, view: Any) -> Estimate:
        from simengine.diagnostics.populations.opinions import effective_opinions_from_counts

        found = effective_opinions_from_counts(table.counts, order=order, outside=table.outside)
        return found if table.values is None else without_null(found)

    return streamed(
        declared.named(name, f"{word(binning)}_effective_opinions"), Counts((binning,)), window, answer, declared.PURE,
        f"effective number of values of {words(binning)}", True, {"order": order}, when,
    )  # fmt: skip


def opinion_polarization(
    field: Field, *, measure: str = "pair-difference", alpha: float = 1.0, window: Window = None, name: str = "",
    when: When = None,
) -> Streamed:  # fmt: skip
    """Stream the polarization of opinions: "variance", "pair-difference" or "esteban-ray", from binned counts.

    See :func:`~simengine.diagnostics.populations.polarization.opinion_polarization`.
    """
    binning = as_binning(field)
    declared.one_of(measure, POLARIZATIONS, "measure")
    declared.positive(alpha, "alpha")
    if binning.bins is None and binning.states is None:
        raise ScenarioError(f"{binning.field}: polarization needs bins= and range=, or states=")

    def answer(table: Table, view: Any) -> Estimate:
        from simengine.diagnostics.populations.polarization import opinion_polarization_from_counts

        low, high, size = binning.edges(view)
        edges: Any = low + (high - low) / size * np.arange(size + 1)
        return opinion_polarization_from_counts(table.counts, edges, measure, alpha=alpha, outside=table.outside)

    return streamed(
        declared.named(name, f"{word(field)}_polarization"), Counts((binning,)), window, answer, declared.PURE,
        f"polarization of {words(field)}, {measure}", True, {"measure": measure}, when,
    )  # fmt: skip


def community_disagreement(
    opinion: Field, community: Field, *, window: Window = None, name: str = "community_disagreement",
    unit: str = "nat", when: When = None,
) -> Streamed:  # fmt: skip
    """Stream how much the opinion of an agent tells of its community: a generalised Jensen-Shannon divergence."""

    def answer(table: Table, view: Any) -> Estimate:
        from simengine.diagnostics.populations.communities import community_disagreement_from_counts

        return community_disagreement_from_counts(table.counts.T, outside=table.outside, unit=unit)

    fields = as_binning(opinion), as_binning(community)
    return streamed(
        name, Counts(fields), window, answer, unit, "disagreement between communities", True, {}, when
    )  # fmt: skip


def mutual_information(
    x: Field, y: Field, *, given: Field | None = None, estimator: str = "miller-madow", window: Window = None,
    name: str = "", unit: str = "nat", when: When = None,
) -> Streamed:  # fmt: skip
    """Stream the mutual information of two fields of the same agents, given a third one if wanted, from counts.

    Parameters
    ----------
    x, y, given
        Fields with their bins or states: ``field("agents.opinion", bins=8, range=(-1, 1))``.
    """
    declared.counted_by(estimator)
    fields = (as_binning(x), as_binning(y), *(() if given is None else (as_binning(given),)))

    def answer(table: Table, view: Any) -> Estimate:
        from simengine.diagnostics.counts import information

        plain = given is None
        estimate = (
            information.mutual_information_from_table
            if plain
            else information.conditional_mutual_information_from_table
        )
        return outside(estimate(table.counts, estimator=estimator, unit=unit), table)

    condition = "" if given is None else f" given {words(given)}"
    return streamed(
        declared.named(name, f"{word(x)}_{word(y)}_mutual_information"), Counts(fields), window, answer, unit,
        f"mutual information of {words(x)} and {words(y)}{condition}", True, {"estimator": estimator},
        when,
    )  # fmt: skip


def total_correlation(
    *fields: Field, window: Window = None, name: str = "", unit: str = "nat", when: When = None
) -> Streamed:
    """Stream the total correlation of several fields of the same agents; options as in `mutual_information`."""
    return _of_many("total_correlation", fields, window=window, name=name, unit=unit, when=when)


def dual_total_correlation(
    *fields: Field, window: Window = None, name: str = "", unit: str = "nat", when: When = None
) -> Streamed:
    """Stream the dual total correlation of several fields of the same agents."""
    return _of_many("dual_total_correlation", fields, window=window, name=name, unit=unit, when=when)


def o_information(
    *fields: Field, window: Window = None, name: str = "", unit: str = "nat", when: When = None
) -> Streamed:
    """Stream the O-information of several fields of the same agents: positive where redundancy prevails."""
    return _of_many("o_information", fields, window=window, name=name, unit=unit, when=when)


def _of_many(
    quantity: str, fields: tuple[Field, ...], *, window: Window = None, name: str = "", unit: str = "nat",
    when: When = None,
) -> Streamed:  # fmt: skip
    if len(fields) < 2:
        raise ScenarioError(f"{quantity}: {len(fields)} fields; expected two or more")

    def answer(table: Table, view: Any) -> Estimate:
        from simengine.diagnostics.multivariate import shared

        estimate: Callable[..., Estimate] = getattr(shared, quantity)
        return outside(estimate(counts=table.counts, unit=unit), table)

    return streamed(
        declared.named(name, quantity), Counts(tuple(as_binning(one) for one in fields)), window, answer, unit,
        f"{quantity.replace('_', ' ')} of {', '.join(words(field) for field in fields)}", True, {}, when,
    )  # fmt: skip


def streamed(
    name: str, state: State, window: Window, answer: Callable[[Any, Any], Estimate], unit: str, long_name: str,
    null: bool, attributes: Mapping[str, Any], when: When,
) -> Streamed:  # fmt: skip
    """Return an observable of a state, over a window if there is one; ``unit`` may be that of a pure number."""
    if unit is not declared.PURE:
        declared.a_unit(unit)
    kept = state if window is None else Windowed(state, window)
    of_value = "1" if unit is declared.PURE else unit
    return Streamed(name, kept, answer, of_value, long_name, null, attributes, declared.conditions(when))


def outside(estimate: Estimate, table: Table) -> Estimate:
    """Flag values outside their range."""
    return doubted(estimate, "outside_range" if table.outside else None)


def without_null(estimate: Estimate) -> Estimate:
    """Leave out a null that was made from the values seen: how many may occur is not known."""
    return replace(estimate, null_mean=math.nan, null_sd=math.nan, null="")


def word(field: Field) -> str:
    """The field's name as part of a variable's."""
    return "_".join(as_binning(field).field.split(".")[1:])


def words(field: Field) -> str:
    """The field's name in a text."""
    return " ".join(as_binning(field).field.split(".")[1:]).replace("_", " ")
