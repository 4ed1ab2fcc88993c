"""States with a past: transitions between records, influences along edges, windows of tables."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics.streaming import declared
from simengine.diagnostics.streaming.binning import Binning
from simengine.diagnostics.streaming.declared import ALL, MOST_CELLS
from simengine.diagnostics.streaming.kernels import influences, remembered, transitions
from simengine.diagnostics.streaming.observable import State
from simengine.diagnostics.streaming.states import Counts, Kept, Table, joint_symbols
from simengine.diagnostics.streaming.tracked import aligned, all_seen, in_rhythm, seen_by_id
from simengine.errors import ScenarioError, nearest

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Histories:
    """The states of each agent at this record and at the ``history`` records before it.

    The reading is ``(ids, past, now, size)``: ids ascending; the past as one whole number, the latest record in the
    lowest place to the base of the number of states, -1 for agents who were not there all the time; the present
    state; the number of states. A last record that comes earlier than the others has no past, nor is it one.
    """

    fields: tuple[Binning, ...]
    history: int = 1

    partial = True
    lasting = True
    merge_class = "A"

    def __post_init__(self) -> None:
        object.__setattr__(self, "history", declared.history(self.history))

    def prepare(self) -> None:
        """Compile."""
        one = np.zeros(1, np.int64)
        transitions(one, one, 1, 1)
        remembered(one, one, 1, 1)

    def described(self) -> Mapping[str, Any]:
        """Return the fields and the history."""
        return {"counts_of": "; ".join(field.described() for field in self.fields), "history": self.history}

    def begin(self) -> Kept:
        """Nobody seen."""
        return {"moment": []}

    def update(self, state: Kept, view: Any) -> Kept:
        """Keep the states of the agents of a view."""
        symbols, sizes, outside = joint_symbols(self.fields, view)
        size = int(np.prod(sizes))
        small = symbols.astype(np.min_scalar_type(size))
        agents = view.populations[self.fields[0].population]
        seen = seen_by_id(small, agents, outside=outside, size=size)
        return {**state, "moment": [*state["moment"], seen]}

    def merge(self, state: Kept, other: Kept) -> Kept:
        """Put two groups of agents together."""
        return {**other, **state, "moment": [*state["moment"], *other["moment"]]}

    def close(self, state: Kept, view: Any) -> tuple[Integers, Integers, Integers, int]:
        """Join the moment to the past, and make it past."""
        parts = state["moment"]
        ids, now = all_seen(parts)
        now = now.astype(np.int64)
        size = parts[0]["size"]
        if (size + 1) ** (self.history + 1) > MOST_CELLS:
            raise ScenarioError(
                f"{self.fields[0].field}: {size} states and a history of {self.history} make more than {MOST_CELLS}"
                " cells; use fewer bins"
            )
        past = np.zeros(len(now), np.int64)
        if in_rhythm(state, view.step):
            past = aligned(state["ids"], state["past"], ids, 0)
        code, following = remembered(past, now, size, self.history)
        state["moment"], state["ids"], state["past"] = [], ids, following
        return ids, code, now, size


class Followed(ABC):
    """What is common to tables that are counted from the histories of agents."""

    @property
    @abstractmethod
    def _histories(self) -> Histories:
        """The histories from which they are counted."""

    def begin(self) -> Kept:
        """Nobody seen."""
        return self._histories.begin()

    def update(self, state: Kept, view: Any) -> Kept:
        """Keep the states of the agents of a view."""
        return self._histories.update(state, view)

    def merge(self, state: Kept, other: Kept) -> Kept:
        """Put two groups of agents together."""
        return self._histories.merge(state, other)


@dataclass(frozen=True)
class Transitions(Followed):
    """How many agents went from which past to which state: a table (states ** history, states) a record."""

    fields: tuple[Binning, ...]
    history: int = 1

    partial = True
    lasting = True
    merge_class = "A"

    def __post_init__(self) -> None:
        object.__setattr__(self, "history", declared.history(self.history))

    @property
    def _histories(self) -> Histories:
        return Histories(self.fields, self.history)

    def prepare(self) -> None:
        """Compile."""
        self._histories.prepare()

    def described(self) -> Mapping[str, Any]:
        """Return the fields and the history."""
        return self._histories.described()

    def close(self, state: Kept, view: Any) -> Table:
        """Count."""
        outside = sum(part["outside"] for part in state["moment"])
        _, past, now, size = self._histories.close(state, view)
        return Table(transitions(past, now, size, size**self.history), outside)


@dataclass(frozen=True)
class Influences(Followed):
    """How often a neighbour's past goes with an agent's next state: counts over the directed edges of a network.

    A table (target's pasts, source's pasts, states) a record. ``network`` names a relation of the scenario; its edges
    are those of the present record, from those who are seen to those who see.
    """

    field: Binning
    network: str
    source_history: int = 1
    target_history: int = 1

    partial = False
    lasting = True
    merge_class = "A"

    def __post_init__(self) -> None:
        declared.a_network(self.network)
        for name in ("source_history", "target_history"):
            object.__setattr__(self, name, declared.history(getattr(self, name), name))

    @property
    def _histories(self) -> Histories:
        return Histories((self.field,), max(self.source_history, self.target_history))

    def prepare(self) -> None:
        """Compile."""
        self._histories.prepare()
        one = np.zeros(1, np.int64)
        influences(one, one, one, one, one, (1, 1, 1))

    def described(self) -> Mapping[str, Any]:
        """Return the field, the network and the histories."""
        return {
            "counts_of": self.field.described(), "network": self.network, "source_history": self.source_history,
            "target_history": self.target_history,
        }  # fmt: skip

    def close(self, state: Kept, view: Any) -> Table:
        """Count over the edges."""
        if self.network not in view.networks:
            raise ScenarioError(f"there is no network {self.network!r}{nearest(self.network, view.networks)}")
        outside = sum(part["outside"] for part in state["moment"])
        _, past, now, size = self._histories.close(state, view)
        target, source = view.networks[self.network].sight
        sizes = (size**self.target_history, size**self.source_history, size)
        table = influences(
            source, target, self._latest(past, size, self.source_history),
            self._latest(past, size, self.target_history), now, sizes,
        )  # fmt: skip
        return Table(table, outside)

    @staticmethod
    def _latest(past: Integers, size: int, history: int) -> Integers:
        return np.where(past >= 0, past % size**history, -1)


@dataclass(frozen=True)
class Windowed:
    """The sum of the tables of the last ``window`` records, or of all; the reading is a `Table` with that sum."""

    state: State
    window: int | str

    lasting = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "window", declared.a_window(self.window, none=False))

    @property
    def partial(self) -> bool:
        """As the state within."""
        return self.state.partial

    @property
    def merge_class(self) -> str:
        """As the state within."""
        return self.state.merge_class

    def prepare(self) -> None:
        """Compile."""
        self.state.prepare()

    def described(self) -> Mapping[str, Any]:
        """Return what is counted, and the window."""
        return {**self.state.described(), "window": self.window}

    def begin(self) -> Kept:
        """No table."""
        return {"now": self.state.begin()}

    def update(self, state: Kept, view: Any) -> Kept:
        """See the agents of a view."""
        return {**state, "now": self.state.update(state["now"], view)}

    def merge(self, state: Kept, other: Kept) -> Kept:
        """Put two groups of agents together."""
        return {**other, **state, "now": self.state.merge(state["now"], other["now"])}

    def close(self, state: Kept, view: Any) -> Table:
        """Add the table of the moment, and take off the one that leaves the window."""
        now = dict(state["now"])
        table = self.state.close(now, view)
        state["now"] = now if self.state.lasting else self.state.begin()
        if table.values is not None:
            raise ScenarioError("a window needs states=, the number of states of the field")
        total, outside = table.counts, table.outside
        if "sum" in state:
            total, outside = total + state["sum"], outside + state["outside"]
        if self.window != ALL:
            tables, beyond = [*state.get("tables", []), table.counts], [*state.get("beyond", []), table.outside]
            if len(tables) > int(self.window):
                total, outside = total - tables.pop(0), outside - beyond.pop(0)
            state["tables"], state["beyond"] = tables, beyond
        state["sum"], state["outside"] = total, outside
        return Table(total, outside)


@dataclass(frozen=True)
class Changes:
    """The distribution of a field now and ``lag`` records ago; the reading is two tables, or None and one."""

    field: Binning
    lag: int = 1

    partial = True
    lasting = True
    merge_class = "A"

    def __post_init__(self) -> None:
        object.__setattr__(self, "lag", declared.whole(self.lag, "lag"))

    @property
    def _counts(self) -> Counts:
        return Counts((self.field,))

    def prepare(self) -> None:
        """Compile."""
        self._counts.prepare()

    def described(self) -> Mapping[str, Any]:
        """Return the field and the lag."""
        return {**self._counts.described(), "lag": self.lag}

    def begin(self) -> Kept:
        """No table."""
        return {"now": self._counts.begin(), "tables": [], "beyond": []}

    def update(self, state: Kept, view: Any) -> Kept:
        """Count the agents of a view."""
        return {**state, "now": self._counts.update(state["now"], view)}

    def merge(self, state: Kept, other: Kept) -> Kept:
        """Add the counts of two groups."""
        return {**state, "now": self._counts.merge(state["now"], other["now"])}

    def close(self, state: Kept, view: Any) -> tuple[Table | None, Table]:
        """Return the tables of then and now."""
        now = self._counts.close(state["now"], view)
        if now.values is not None:
            raise ScenarioError(f"{self.field.field}: states= must say how many states there are")
        first, before = "step" not in state, None
        state["now"] = self._counts.begin()
        # A last record that comes early is not so many records after another.
        if in_rhythm(state, view.step) or first:
            tables, beyond = [*state["tables"], now.counts], [*state["beyond"], now.outside]
            if len(tables) > self.lag:
                before = Table(tables.pop(0), beyond.pop(0))
            state["tables"], state["beyond"] = tables, beyond
        return before, now
