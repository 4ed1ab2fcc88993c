"""How agents are spread over a box that is fixed for the whole run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics.estimate import Estimate
from simengine.diagnostics.streaming import declared
from simengine.diagnostics.streaming.binning import Bound, number, vectors, whole
from simengine.diagnostics.streaming.declared import MOST_CELLS
from simengine.diagnostics.streaming.distributions import When, Window, streamed
from simengine.diagnostics.streaming.observable import Streamed
from simengine.diagnostics.streaming.states import Kept, Table
from simengine.errors import ScenarioError

Corner = Bound | Sequence[Bound]


@dataclass(frozen=True)
class PlaceCounts:
    """How many agents are in which cell of a box, row-major; those beyond it are outside and count at its border."""

    field: str
    low: Bound | tuple[Bound, ...]
    high: Bound | tuple[Bound, ...]
    cells: int | str

    partial = True
    lasting = False
    merge_class = "A"

    def prepare(self) -> None:
        """Compile."""
        from simengine.diagnostics.populations.space import place_counts

        place_counts(np.zeros((1, 1)), np.zeros(1), np.ones(1), np.ones(1, np.int64))

    def described(self) -> Mapping[str, Any]:
        """Return the field and its cells."""
        return {"counts_of": f"{self.field} in {self.cells} cells along each axis from {self.low} to {self.high}"}

    def begin(self) -> Kept:
        """Nobody counted."""
        return {}

    def update(self, state: Kept, view: Any) -> Kept:
        """Count the agents of a view."""
        if self not in view.shared:
            view.shared[self] = self._seen(view)
        return self.merge(state, view.shared[self])

    def _seen(self, view: Any) -> Kept:
        from simengine.diagnostics.populations.space import place_counts

        places = vectors(self.field, view)
        axes = places.shape[1]
        if axes > 3:
            raise ScenarioError(f"{self.field} has {axes} components; places have one to three")
        low, high = self._corner(self.low, view, axes, "low"), self._corner(self.high, view, axes, "high")
        if not (low < high).all():
            raise ScenarioError(f"{self.field}: the box from {self.low} to {self.high} is empty; high is not above low")
        each = whole(self.cells, view, self.field, "cells")
        if each**axes > MOST_CELLS:
            raise ScenarioError(f"{self.field}: {each**axes} cells; at most {MOST_CELLS} are counted")
        counts, outside = place_counts(places, low, high, np.full(axes, each, np.int64))
        return {"counts": counts, "outside": int(outside)}

    def _corner(self, given: Bound | tuple[Bound, ...], view: Any, axes: int, what: str) -> NDArray[np.float64]:
        bounds = given if isinstance(given, tuple) else (given,) * axes
        if len(bounds) != axes:
            raise ScenarioError(f"{self.field}: {what} has {len(bounds)} numbers; places have {axes} components")
        return np.array([number(bound, view, self.field, what) for bound in bounds])

    def merge(self, state: Kept, other: Kept) -> Kept:
        """Add the counts of two groups."""
        if not state or not other:
            return other or state
        return {"counts": state["counts"] + other["counts"], "outside": state["outside"] + other["outside"]}

    def close(self, state: Kept, view: Any) -> Table:
        """Return the table."""
        return Table(state["counts"], state["outside"])


def spatial_entropy(
    field: str, low: Corner, high: Corner, *, cells: int | str = 8, estimator: str = "grassberger",
    window: Window = None, name: str = "", unit: str = "nat", when: When = None,
) -> Streamed:  # fmt: skip
    """Stream the entropy of the agents' places in equal cells of a box; the null are agents spread evenly over it.

    Parameters
    ----------
    field
        ``"fish.position"``: places in one to three dimensions.
    low, high
        Corners of the box: a number or the name of a parameter for all axes, or one for each.
    cells
        Cells along each axis, or the name of a parameter. Several scales are several observables.
    estimator
        As in :func:`~simengine.diagnostics.counts.entropies.entropy_from_counts`.
    window
        Over the last so many records, or "all" of them; by default of the moment.
    """

    def answer(table: Table, view: Any) -> Estimate:
        from simengine.diagnostics.populations.space import spatial_entropy_from_counts

        return spatial_entropy_from_counts(table.counts, estimator=estimator, outside=table.outside, unit=unit)

    own = declared.a_vector(field).partition(".")[2]
    declared.counted_by(estimator)
    cells = declared.a_size(cells, "cells")
    low, high = _corner(low, "low"), _corner(high, "high")
    _check_box(field, low, high)
    state = PlaceCounts(field, low, high, cells)
    return streamed(
        declared.named(name, f"{own}_spatial_entropy"), state, window, answer, unit,
        f"entropy of places, {own.replace('_', ' ')}", True, {"estimator": estimator}, when,
    )  # fmt: skip


def _check_box(field: str, low: Any, high: Any) -> None:
    """Refuse a box that is empty whatever the parameters are."""
    axes = max((len(corner) for corner in (low, high) if isinstance(corner, tuple)), default=1)
    lows, highs = (corner if isinstance(corner, tuple) else (corner,) * axes for corner in (low, high))
    for bottom, top in zip(lows, highs, strict=False):
        if not isinstance(bottom, str) and not isinstance(top, str) and not bottom < top:
            raise ScenarioError(f"{field}: the box from {low} to {high} is empty; high is not above low")


def _corner(corner: Corner, word: str) -> Bound | tuple[Bound, ...]:
    if isinstance(corner, list | tuple | np.ndarray):
        return tuple(declared.a_bound(end, word) for end in corner)
    bound: Bound = declared.a_bound(corner, word)
    return bound
