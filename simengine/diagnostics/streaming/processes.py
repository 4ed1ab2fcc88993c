"""Diagnostics of how the states of agents follow one another from record to record.

A step is a record: with ``every=10`` transitions are those over ten steps of the scenario. Counts are pooled over
agents, of the last record or of a window.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from simengine.diagnostics.estimate import Estimate, flagged
from simengine.diagnostics.streaming import declared
from simengine.diagnostics.streaming.binning import Field, as_binning
from simengine.diagnostics.streaming.declared import ALL
from simengine.diagnostics.streaming.distributions import When, Window, outside, streamed, word, words
from simengine.diagnostics.streaming.histories import Changes, Influences, Transitions
from simengine.diagnostics.streaming.observable import Streamed
from simengine.diagnostics.streaming.states import Table

_RATE = "{}/step"

EVEN = "even, independent"


def active_information_storage(
    field: Field, *, history: int = 1, estimator: str = "miller-madow", window: Window = ALL, name: str = "",
    unit: str = "nat", when: When = None,
) -> Streamed:  # fmt: skip
    """Stream the active information storage: what an agent's last ``history`` states tell of its next one."""
    declared.counted_by(estimator)

    def answer(table: Table, view: Any) -> Estimate:
        from simengine.diagnostics.counts.information import mutual_information_from_table

        return outside(mutual_information_from_table(table.counts, estimator=estimator, unit=unit), table)

    return _process(
        field, "active_information_storage", "active information storage", history, window, answer, name, unit,
        estimator, when,
    )  # fmt: skip


def entropy_rate(
    field: Field, *, history: int = 1, estimator: str = "grassberger", window: Window = ALL, name: str = "",
    unit: str = "nat", when: When = None,
) -> Streamed:  # fmt: skip
    """Stream the entropy of an agent's next state given its last ``history`` states.

    The null are independent steps to equally likely states, as in
    :func:`~simengine.diagnostics.dynamics.rate.entropy_rate`.
    """
    declared.counted_by(estimator)

    def answer(table: Table, view: Any) -> Estimate:
        from simengine.diagnostics.counts.information import conditional_entropy_from_table

        found = conditional_entropy_from_table(table.counts.T, estimator=estimator)
        seen = table.counts > 0
        free = int(np.count_nonzero(seen)) - int(np.count_nonzero(seen.any(axis=1)))
        null_sd = math.sqrt(0.5 * free) / found.n if found.n else math.nan
        found = replace(found, null_mean=math.log(table.counts.shape[1]), null_sd=null_sd, null=EVEN)
        return outside(found.to(unit), table)

    return _process(field, "entropy_rate", "entropy rate", history, window, answer, name, unit, estimator, when)


def entropy_production(
    field: Field, *, window: Window = ALL, name: str = "", unit: str = "nat", when: When = None
) -> Streamed:
    """Stream the entropy production of the transitions between states: 0 where each is as common as its reverse."""

    def answer(table: Table, view: Any) -> Estimate:
        from simengine.diagnostics.dynamics.production import entropy_production as production

        return outside(production(counts=table.counts, unit=unit), table)

    return _process(field, "entropy_production", "entropy production", 1, window, answer, name, unit, "counts", when)


def transfer_entropy(
    field: Field, network: str, *, source_history: int = 1, target_history: int = 1, estimator: str = "miller-madow",
    window: Window = ALL, name: str = "", unit: str = "nat", when: When = None,
) -> Streamed:  # fmt: skip
    """Stream the transfer entropy along the edges of a network, pooled over all of them, both ways.

    What the last states of a neighbour tell of an agent's next state beyond its own last states.
    """
    declared.counted_by(estimator)
    state = Influences(as_binning(field), network, source_history, target_history)

    def answer(table: Table, view: Any) -> Estimate:
        from simengine.diagnostics.counts.information import conditional_mutual_information_from_table

        # From (target's pasts, source's pasts, states) to (state, source's pasts | target's pasts).
        counts = table.counts.transpose(2, 1, 0)
        return outside(conditional_mutual_information_from_table(counts, estimator=estimator, unit=unit), table)

    return streamed(
        declared.named(name, f"{word(field)}_transfer_entropy"), state, window, answer, _RATE.format(unit),
        f"transfer entropy of {words(field)} along {network}", True, {"estimator": estimator}, when,
    )  # fmt: skip


def drift(field: Field, *, lag: int = 1, name: str = "", unit: str = "nat", when: When = None) -> Streamed:
    """Stream the Jensen-Shannon divergence between the distributions of now and of ``lag`` records ago.

    See :func:`~simengine.diagnostics.dynamics.change.drift`.
    """

    def answer(tables: Any, view: Any) -> Estimate:
        before, now = tables
        if before is None:
            return Estimate(float("nan"), unit=unit, method="jensen-shannon", flags=flagged("short_series"))
        from simengine.diagnostics.counts.divergences import jensen_shannon

        return jensen_shannon(before.counts, now.counts, weights="samples", unit=unit)

    return streamed(
        declared.named(name, f"{word(field)}_drift"), Changes(as_binning(field), lag), None, answer, unit,
        f"change of the distribution of {words(field)}", True, {}, when,
    )  # fmt: skip


def _process(
    field: Field, quantity: str, said: str, history: int, window: Window, answer: Any, name: str, unit: str,
    estimator: str, when: When,
) -> Streamed:  # fmt: skip
    return streamed(
        declared.named(name, f"{word(field)}_{quantity}"), Transitions((as_binning(field),), history), window, answer,
        _RATE.format(unit), f"{said} of {words(field)}", True, {"estimator": estimator}, when,
    )  # fmt: skip
