"""How new the distribution of a field is, and whether what is new stays: windows of count tables.

What is compared are records: a table holds the agents of one moment. Transience and resonance need the records after,
and are known ``window`` records later than the one that they are about.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics.estimate import Estimate, doubted, flagged
from simengine.diagnostics.streaming import declared
from simengine.diagnostics.streaming.binning import Binning, Field, as_binning
from simengine.diagnostics.streaming.distributions import When, streamed, word, words
from simengine.diagnostics.streaming.observable import Streamed
from simengine.diagnostics.streaming.states import Counts, Kept
from simengine.errors import ScenarioError


@dataclass(frozen=True)
class Tables:
    """The counts of a field at the last ``length`` records; the reading is (tables, outside), oldest first."""

    field: Binning
    length: int

    partial = True
    lasting = True
    merge_class = "A"

    @property
    def _counts(self) -> Counts:
        return Counts((self.field,))

    def prepare(self) -> None:
        """Compile."""
        self._counts.prepare()

    def described(self) -> dict[str, Any]:
        """Return the field and its bins."""
        return {**self._counts.described()}

    def begin(self) -> Kept:
        """No table."""
        return {"now": self._counts.begin(), "tables": [], "beyond": []}

    def update(self, state: Kept, view: Any) -> Kept:
        """Count the agents of a view."""
        return {**state, "now": self._counts.update(state["now"], view)}

    def merge(self, state: Kept, other: Kept) -> Kept:
        """Add the counts of two groups."""
        return {**state, "now": self._counts.merge(state["now"], other["now"])}

    def close(self, state: Kept, view: Any) -> tuple[NDArray[np.int64], int]:
        """Add the table of the moment to those before."""
        now = self._counts.close(state["now"], view)
        if now.values is not None:
            raise ScenarioError(f"{self.field.field}: states= must say how many states there are")
        state["tables"] = [*state["tables"], now.counts][-self.length :]
        state["beyond"] = [*state["beyond"], now.outside][-self.length :]
        state["now"] = self._counts.begin()
        return np.stack(state["tables"]), sum(state["beyond"])


def novelty(field: Field, *, window: int = 1, name: str = "", unit: str = "nat", when: When = None) -> Streamed:
    """Stream how far the distribution of a field is from those of the ``window`` records before.

    See :func:`~simengine.diagnostics.dynamics.change.novelty`; states count that were seen in one of these records.
    """
    return _surprise(field, "novelty", window, 1, name, unit, when)


def transience(field: Field, *, window: int = 1, name: str = "", unit: str = "nat", when: When = None) -> Streamed:
    """Stream how far the distribution of ``window`` records ago is from those of the records since then."""
    return _surprise(field, "transience", window, 1, name, unit, when)


def resonance(field: Field, *, window: int = 1, name: str = "", unit: str = "nat", when: When = None) -> Streamed:
    """Stream novelty less transience of ``window`` records ago: above 0 where what was new stays."""
    return _surprise(field, "resonance", window, 2, name, unit, when)


def _surprise(field: Field, quantity: str, window: int, sides: int, name: str, unit: str, when: When) -> Streamed:
    window = declared.whole(window, "window")
    length = sides * window + 1
    delay = 0 if quantity == "novelty" else window

    def answer(reading: tuple[NDArray[np.int64], int], view: Any) -> Estimate:
        tables, beyond = reading
        if len(tables) < length:
            return Estimate(math.nan, unit=unit, method=quantity, flags=flagged("short_series"))
        from simengine.diagnostics.dynamics import change

        found = getattr(change, quantity)(tables, window=window, unit=unit)
        return doubted(found[length - 1 - delay], "outside_range" if beyond else None)

    late = f", {delay} record{'s' * (delay > 1)} ago" if delay else ""
    return streamed(
        declared.named(name, f"{word(field)}_{quantity}"), Tables(as_binning(field), length), None, answer, unit,
        f"{quantity} of the distribution of {words(field)}{late}", True, {"window": window, "delay": delay}, when,
    )  # fmt: skip
