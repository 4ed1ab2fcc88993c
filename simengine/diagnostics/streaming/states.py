"""What streamed diagnostics keep of the agents: counts, transitions, exact sums, samples chosen by hash.

A state is a dict of arrays, numbers and lists that is never changed in place. Its moment, the agents seen since the
last record, is under keys of its own; what lasts from record to record is put there by `close` alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.exact import SIZE, add_array, add_products, new_accumulator, rounded
from simengine.arrays.exact import merge as add_sums
from simengine.diagnostics.chosen import chosen_places
from simengine.diagnostics.counts.counting import count_in_equal_bins, count_symbols, place_in_equal_bins
from simengine.diagnostics.streaming import declared
from simengine.diagnostics.streaming.binning import Binning
from simengine.diagnostics.streaming.declared import MOST_CELLS
from simengine.diagnostics.streaming.kernels import shifted
from simengine.errors import ScenarioError
from simengine.random.streams import Draws
from simengine.scenario.tallies import counted_values, joined

Array = NDArray[Any]
Integers = NDArray[np.int64]
Kept = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """How many agents are in which states: a reading of `Counts`.

    Attributes
    ----------
    counts
        One axis per field.
    outside
        How many values lay outside their range.
    values
        The values that occur, for a single field of whole numbers without ``states``.
    """

    counts: Integers
    outside: int = 0
    values: Array | None = None


@dataclass(frozen=True)
class Counts:
    """The joint distribution of fields of one population over the agents of a moment."""

    fields: tuple[Binning, ...]

    partial = True
    lasting = False
    merge_class = "A"

    def __post_init__(self) -> None:
        same_population(self.fields)

    def prepare(self) -> None:
        """Compile."""
        place_in_equal_bins(np.zeros(1), 0.0, 1.0, 1)
        count_in_equal_bins(np.zeros(1), 0.0, 1.0, 1)
        shifted(np.zeros(1, np.int64), 1)
        count_symbols(np.zeros(1, np.int64), 1)

    def described(self) -> Mapping[str, Any]:
        """Return the fields and their bins."""
        return {"counts_of": "; ".join(field.described() for field in self.fields)}

    def begin(self) -> Kept:
        """Nobody counted."""
        return {}

    def update(self, state: Kept, view: Any) -> Kept:
        """Count the agents of a view; another observable may have counted them already."""
        if self not in view.shared:
            view.shared[self] = self._seen(view)
        return self.merge(state, view.shared[self])

    def _seen(self, view: Any) -> Kept:
        first = self.fields[0]
        if len(self.fields) == 1 and first.bins is None and first.states is None:
            values = first.rows(view)
            if values.dtype.kind != "b":
                if values.dtype.kind not in "iu":
                    raise ScenarioError(f"{first.field} holds {values.dtype}: say bins= and range= to count it")
                found, counts = counted_values(values)
                return {"values": found, "counts": counts, "outside": 0}
        if len(self.fields) == 1 and first.bins is not None:
            values = np.ascontiguousarray(first.rows(view), np.float64)
            counts, beyond = count_in_equal_bins(values, *first.edges(view))
            return {"counts": counts, "outside": int(beyond)}
        symbols, sizes, outside = joint_symbols(self.fields, view)
        return {"counts": count_symbols(symbols, int(np.prod(sizes))).reshape(sizes), "outside": outside}

    def merge(self, state: Kept, other: Kept) -> Kept:
        """Add the counts of two groups."""
        if not state or not other:
            return other or state
        outside = state["outside"] + other["outside"]
        if "values" in state:
            values, counts = joined((state["values"], state["counts"]), (other["values"], other["counts"]))
            return {"values": values, "counts": counts, "outside": outside}
        return {"counts": state["counts"] + other["counts"], "outside": outside}

    def close(self, state: Kept, view: Any) -> Table:
        """Return the table of the moment."""
        return Table(state["counts"], state["outside"], state.get("values"))


@dataclass(frozen=True)
class Sums:
    """Exact sums of fields of one population over the agents of a moment, and of their products if wanted.

    The reading is ``(n, sums, products)``: the number of agents, the sum of each field, shape (d,), and the sums of
    products of two fields, shape (d, d), each rounded once.
    """

    fields: tuple[str, ...]
    products: bool = True

    partial = True
    lasting = False
    merge_class = "B"

    def __post_init__(self) -> None:
        same_population(self._columns)

    @property
    def _columns(self) -> tuple[Binning, ...]:
        return tuple(Binning(field) for field in self.fields)

    def prepare(self) -> None:
        """Compile."""
        accumulator = new_accumulator()
        add_array(accumulator, np.zeros(1))
        if self.products:
            add_products(accumulator, np.zeros(1), np.zeros(1))
        rounded(accumulator)

    def described(self) -> Mapping[str, Any]:
        """Return the fields."""
        return {"sums_of": ", ".join(self.fields)}

    def begin(self) -> Kept:
        """Nobody seen."""
        return {}

    def update(self, state: Kept, view: Any) -> Kept:
        """Add the agents of a view."""
        columns = [np.ascontiguousarray(column.rows(view), dtype=np.float64) for column in self._columns]
        sums = exact_sums(columns, products=self.products)
        return self.merge(state, {"n": len(columns[0]), "sums": sums})

    def merge(self, state: Kept, other: Kept) -> Kept:
        """Add the sums of two groups."""
        if not state or not other:
            return other or state
        sums = joined_sums(state["sums"], other["sums"])
        return {"n": state["n"] + other["n"], "sums": sums}

    def close(self, state: Kept, view: Any) -> tuple[int, NDArray[np.float64], NDArray[np.float64]]:
        """Round the sums."""
        return state["n"], *rounded_sums(state["sums"], len(self.fields))


@dataclass(frozen=True)
class Sample:
    """The values of at most ``size`` agents, those of the least hashes of seed, step and id, by ascending id.

    The reading is ``(ids, columns)``: shapes (m,) and (m, d).
    """

    fields: tuple[str, ...]
    size: int
    name: str

    partial = True
    lasting = False
    merge_class = "D"

    def __post_init__(self) -> None:
        same_population(self._columns)
        declared.whole(self.size, f"{self.name}: sample", 1, MOST_CELLS)

    @property
    def _columns(self) -> tuple[Binning, ...]:
        return tuple(Binning(field) for field in self.fields)

    def prepare(self) -> None:
        """Compile."""
        chosen_places(np.arange(2), np.uint64(1), 1)

    def described(self) -> Mapping[str, Any]:
        """Return the fields and the size."""
        return {"sample_of": ", ".join(self.fields), "sample_size": self.size}

    def begin(self) -> Kept:
        """Nobody chosen."""
        return {}

    def update(self, state: Kept, view: Any) -> Kept:
        """Choose among the agents of a view."""
        agents = self._columns[0].agents(view)
        places = self._places(np.ascontiguousarray(agents.ids), view)
        columns = np.stack([column.column(view)[places].astype(np.float64) for column in self._columns], axis=1)
        return self.merge(state, {"ids": [agents.ids[places]], "columns": [columns]})

    def merge(self, state: Kept, other: Kept) -> Kept:
        """Put the chosen of two groups together; who stays is decided when the moment ends."""
        if not state or not other:
            return other or state
        return {name: [*state[name], *other[name]] for name in ("ids", "columns")}

    def close(self, state: Kept, view: Any) -> tuple[Integers, NDArray[np.float64]]:
        """Choose among all."""
        ids, columns = np.concatenate(state["ids"]), np.concatenate(state["columns"])
        order = np.argsort(ids)
        ids, columns = ids[order], columns[order]
        places = self._places(ids, view)
        return ids[places], columns[places]

    def _places(self, ids: Integers, view: Any) -> Integers:
        key = Draws(view.seed, self._columns[0].population, "diagnostics", [], view.step).key(self.name)
        found: Integers = chosen_places(ids, key, self.size)
        return found


def exact_sums(columns: Sequence[NDArray[np.float64]], *, products: bool = True) -> Integers:
    """Return exact sums of d columns and of their products, shape (d, SIZE) or (d + d (d + 1) / 2, SIZE).

    Columns are contiguous; products are those of the upper triangle, row by row.
    """
    d = len(columns)
    sums = np.zeros((d + (d * (d + 1) // 2 if products else 0), SIZE), np.int64)
    for a in range(d):
        add_array(sums[a], columns[a])
    if products:
        place = d
        for a in range(d):
            for b in range(a, d):
                add_products(sums[place], columns[a], columns[b])
                place += 1
    return sums


def joined_sums(sums: Integers, other: Integers) -> Integers:
    """Return the exact sums of two groups."""
    found = sums.copy()
    for place in range(len(found)):
        add_sums(found[place], other[place])
    return found


def rounded_sums(sums: Integers, d: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sums of :func:`exact_sums`, shape (d,), and those of products, (d, d), zero where there are none."""
    values = np.array([rounded(one) for one in sums])
    products = np.zeros((d, d))
    if len(values) > d:
        upper = np.triu_indices(d)
        products[upper] = products.T[upper] = values[d:]
    return values[:d], products


def same_population(fields: Sequence[Binning]) -> None:
    """Refuse fields of different populations."""
    if not fields:
        raise ScenarioError("a streamed diagnostic needs a field, as 'population.field'")
    names = sorted({field.population for field in fields})
    if len(names) > 1:
        raise ScenarioError(f"fields of one population are compared, not of {' and '.join(names)}")


def joint_symbols(fields: Sequence[Binning], view: Any) -> tuple[Integers, tuple[int, ...], int]:
    """Return one whole number per agent for its states in all fields, row-major, their sizes, and values outside.

    In the order of ``unordered_ids``.
    """
    code: Integers | None = None
    sizes: list[int] = []
    outside = 0
    for field in fields:
        symbols, size, beyond = field.symbols(field.rows(view), view)
        code = symbols if code is None else code * size + symbols
        sizes.append(size)
        outside += beyond
    cells = int(np.prod(sizes, dtype=object))
    if cells > MOST_CELLS:
        names = ", ".join(field.field for field in fields)
        raise ScenarioError(f"{names}: {cells} joint states; at most {MOST_CELLS} are counted: use fewer bins")
    assert code is not None
    return code, tuple(sizes), outside
