"""How varied the agents' actions are over a window: of all agents, of each for itself, and between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from simengine.diagnostics.estimate import Estimate, flagged
from simengine.diagnostics.streaming import declared
from simengine.diagnostics.streaming.binning import Field, as_binning
from simengine.diagnostics.streaming.declared import ALL, MOST_CELLS
from simengine.diagnostics.streaming.distributions import When, outside, streamed, word, words
from simengine.diagnostics.streaming.observable import Streamed
from simengine.diagnostics.streaming.states import Kept, Table
from simengine.diagnostics.streaming.tracked import ABSENT, Tracked, aligned, all_seen
from simengine.errors import ScenarioError


@dataclass(frozen=True)
class Actions(Tracked):
    """How often each agent was in each state in the last ``window`` records, or in all: a table (agents, states).

    Of the agents that are there now, by ascending id, since they are there.
    """

    window: int | str

    def __post_init__(self) -> None:
        object.__setattr__(self, "window", declared.a_window(self.window, none=False))

    def described(self) -> Mapping[str, Any]:
        """Return the field and the window."""
        return {"counts_of": self.field.described(), "window": self.window}

    def close(self, state: Kept, view: Any) -> Table:
        """Add the moment, and take off the one that leaves the window."""
        parts = state["moment"]
        ids, now = all_seen(parts)
        size = parts[0]["size"]
        if len(ids) * size > MOST_CELLS:
            raise ScenarioError(
                f"{self.field.field}: {len(ids)} agents of {size} states; tables of at most {MOST_CELLS} cells are kept"
            )
        here = np.arange(len(ids))
        table = np.zeros((len(ids), size), np.int64)
        if "ids" in state:
            table = aligned(state["ids"], state["table"].T, ids, 0).T.copy()
        table[here, now] += 1
        beyond = sum(part["outside"] for part in parts)
        if self.window != ALL:
            rows = now[None, :]
            if "ids" in state:
                rows = np.concatenate([aligned(state["ids"], state["rows"], ids, ABSENT), rows])
            state["beyond"] = [*state.get("beyond", []), beyond][-int(self.window) :]
            if len(rows) > int(self.window):
                there = np.flatnonzero(rows[0] != ABSENT)
                table[there, rows[0, there]] -= 1
                rows = rows[1:]
            state["rows"] = rows
        else:
            state["beyond"] = [sum(state.get("beyond", [])) + beyond]
        state["moment"], state["ids"], state["table"] = [], ids, table
        return Table(table, sum(state["beyond"]))


def action_entropy(
    field: Field, *, estimator: str = "grassberger", window: int | str = ALL, name: str = "", unit: str = "nat",
    when: When = None,
) -> Streamed:  # fmt: skip
    """Stream the entropy of the actions of all agents together, with agents as the samples.

    Parameters
    ----------
    field
        The action, with its bins or states.
    window
        Actions of the last so many records, or of "all", of the agents that are there.
    estimator
        As in :func:`~simengine.diagnostics.counts.entropies.entropy_from_counts`.
    """
    return _policies(
        "action_entropy", f"entropy of the actions of all agents, {words(field)}", field, window, name, unit, when,
        {"estimator": estimator}, estimator=estimator,
    )  # fmt: skip


def policy_entropy(
    field: Field, *, given: bool = False, window: int | str = ALL, name: str = "", unit: str = "nat", when: When = None
) -> Streamed:
    """Stream the mean entropy of an agent's own actions; valid from five actions an agent on.

    ``given`` says that repetitions have the same agents; else the error includes that others act otherwise.
    """
    return _policies(
        "policy_entropy", f"mean entropy of an agent's actions, {words(field)}", field, window, name, unit, when,
        {"estimator": "grassberger"}, given=given,
    )  # fmt: skip


def policy_diversity(
    field: Field, *, given: bool = False, window: int | str = ALL, name: str = "", unit: str = "nat", when: When = None
) -> Streamed:
    """Stream how much policies differ between agents: what an action tells of who acts; see :func:`policy_entropy`."""
    return _policies(
        "policy_diversity", f"information of an action about the agent, {words(field)}", field, window, name, unit,
        when, {"estimator": "grassberger"}, given=given,
    )  # fmt: skip


def _policies(
    quantity: str, said: str, field: Field, window: int | str, name: str, unit: str, when: When,
    attributes: Mapping[str, Any], **options: Any,
) -> Streamed:  # fmt: skip
    declared.counted_by(options.get("estimator", attributes["estimator"]))
    declared.truth(options.get("given", False), "given")

    def answer(table: Table, view: Any) -> Estimate:
        if not len(table.counts):
            return Estimate(math.nan, unit=unit, flags=flagged("empty"))
        from simengine.diagnostics.populations import policies

        estimate: Callable[..., Estimate] = getattr(policies, quantity)
        return outside(estimate(table.counts, unit=unit, **options), table)

    return streamed(
        declared.named(name, f"{word(field)}_{quantity}"), Actions(as_binning(field), window), None, answer,
        unit, said, True, attributes, when,
    )  # fmt: skip
