"""Agents found again from record to record, by their ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics.counts.counting import place_in_equal_bins
from simengine.diagnostics.streaming.binning import Binning
from simengine.diagnostics.streaming.kernels import shifted
from simengine.diagnostics.streaming.states import Kept

Array = NDArray[Any]
Integers = NDArray[np.int64]

ABSENT = -1
"""The symbol of an agent at a record at which it was not there."""


def seen_by_id(values: Array, agents: Any, **further: Any) -> Kept:
    """Return what was seen of some agents: ``values`` in the order of their ``unordered_ids``, sorted by id.

    Where everybody is seen, ids are the places and need not be kept.
    """
    ids = agents.unordered_ids
    sorted_values = np.empty_like(values)
    if agents.all_here:
        sorted_values[ids] = values
        return {"ids": np.empty(0, np.int64), "values": sorted_values, **further}
    order = np.argsort(ids)
    return {"ids": ids[order], "values": values[order], **further}


def all_seen(parts: Sequence[Kept]) -> tuple[Integers, Array]:
    """Return the ids, ascending, and the values of all agents of a moment that was seen in parts."""
    held = [part for part in parts if len(part["values"])] or parts[:1]
    ids = np.concatenate([part["ids"] for part in held])
    values = np.concatenate([part["values"] for part in held])
    if not len(ids):
        return np.arange(len(values)), values
    if len(held) == 1:
        return ids, values
    order = np.argsort(ids)
    return ids[order], values[order]


def aligned(ids: Integers, rows: Array, wanted: Integers, absent: Any) -> Array:
    """Return the entries (along the last axis) of the wanted ids, ``absent`` for those not there; all ids ascend."""
    if len(ids) == len(wanted) and np.array_equal(ids, wanted):
        return rows
    found = np.full((*rows.shape[:-1], len(wanted)), absent, rows.dtype)
    if len(ids):
        places = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
        there = np.flatnonzero(ids[places] == wanted)
        found[..., there] = rows[..., places[there]]
    return found


def in_rhythm(state: Kept, step: int) -> bool:
    """Whether this record is as many steps after the one before as the first two were apart; notes it."""
    before, stride = state.get("step"), state.get("stride")
    state["step"] = step
    if before is None:
        return False
    if stride is None:
        state["stride"] = stride = step - before
    return bool(step - before == stride)


@dataclass(frozen=True)
class Tracked:
    """What is common to states that keep something of each agent from record to record."""

    field: Binning

    partial = True
    lasting = True
    merge_class = "A"

    def prepare(self) -> None:
        """Compile."""
        place_in_equal_bins(np.zeros(1), 0.0, 1.0, 1)
        shifted(np.zeros(1, np.int64), 1)

    def begin(self) -> Kept:
        """Nobody seen."""
        return {"moment": []}

    def update(self, state: Kept, view: Any) -> Kept:
        """Keep the states of the agents of a view."""
        symbols, size, outside = self.field.symbols(self.field.rows(view), view)
        small = symbols.astype(np.min_scalar_type(-size - 1))
        agents = view.populations[self.field.population]
        return {**state, "moment": [*state["moment"], seen_by_id(small, agents, outside=outside, size=size)]}

    def merge(self, state: Kept, other: Kept) -> Kept:
        """Put two groups of agents together."""
        return {**other, **state, "moment": [*state["moment"], *other["moment"]]}
