"""How many different directions the vectors of a population have: effective channels from their second moments."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.exact import add_array, add_products, new_accumulator, rounded
from simengine.arrays.jit import njit
from simengine.diagnostics.estimate import Estimate, flagged
from simengine.diagnostics.streaming import declared
from simengine.diagnostics.streaming.binning import vectors
from simengine.diagnostics.streaming.distributions import When, streamed
from simengine.diagnostics.streaming.observable import Streamed
from simengine.diagnostics.streaming.states import Kept, exact_sums, joined_sums, rounded_sums
from simengine.errors import ScenarioError

Floats = NDArray[np.float64]

MOST_COMPONENTS = 64
"""Components of which all products are summed."""


@njit(cache=True, nogil=True, error_model="numpy")
def unit_columns(rows: Floats) -> tuple[Floats, int]:
    """Return the components of unit vectors, shape (d, m), of the m of n vectors that are not zero, and n - m."""
    n, d = rows.shape
    found = np.empty((d, n))
    kept = 0
    for i in range(n):
        square = 0.0
        for k in range(d):
            square += rows[i, k] * rows[i, k]
        if square > 0.0:
            length = math.sqrt(square)
            for k in range(d):
                found[k, kept] = rows[i, k] / length
            kept += 1
    return found[:, :kept].copy(), n - kept


@dataclass(frozen=True)
class UnitMoments:
    """Exact sums of unit vectors and of the products of their components.

    The reading is ``(n, zeros, total, moments)``: how many vectors, how many more of length 0, which are left out, the
    sum of the vectors, shape (d,), and the matrix of second moments, (d, d).
    """

    field: str

    partial = True
    lasting = False
    merge_class = "B"

    def prepare(self) -> None:
        """Compile."""
        unit_columns(np.ones((1, 1)))
        accumulator = new_accumulator()
        add_array(accumulator, np.zeros(1))
        add_products(accumulator, np.zeros(1), np.zeros(1))
        rounded(accumulator)

    def described(self) -> Mapping[str, Any]:
        """Return the field."""
        return {"sums_of": f"unit vectors of {self.field} and products of their components"}

    def begin(self) -> Kept:
        """Nobody seen."""
        return {}

    def update(self, state: Kept, view: Any) -> Kept:
        """Add the agents of a view."""
        rows = vectors(self.field, view)
        if rows.shape[1] > MOST_COMPONENTS:
            raise ScenarioError(
                f"{self.field} has {rows.shape[1]} components; second moments of at most {MOST_COMPONENTS} are summed"
            )
        columns, zeros = unit_columns(rows)
        seen = {"n": columns.shape[1], "zeros": zeros, "d": len(columns), "sums": exact_sums(list(columns))}
        return self.merge(state, seen)

    def merge(self, state: Kept, other: Kept) -> Kept:
        """Add the sums of two groups."""
        if not state or not other:
            return other or state
        added = {name: state[name] + other[name] for name in ("n", "zeros")}
        return {**state, **added, "sums": joined_sums(state["sums"], other["sums"])}

    def close(self, state: Kept, view: Any) -> tuple[int, int, Floats, Floats]:
        """Round the sums."""
        return state["n"], state["zeros"], *rounded_sums(state["sums"], state["d"])


def effective_channels(field: str, *, centred: bool = False, name: str = "", when: When = None) -> Streamed:
    """Stream the number of effective channels K* of vectors: 1 if all are alike, n if all are orthogonal.

    It is that of the very agents that are there, without an error; how it is to be read, and what the flags say, is in
    :mod:`simengine.diagnostics.multivariate.channels`.

    Parameters
    ----------
    field
        ``"agents.embedding"``: vectors of at most 64 components; scaled to length 1.
    centred
        Of the deviations from the mean vector.
    """

    def answer(reading: tuple[int, int, Floats, Floats], view: Any) -> Estimate:
        return channels_of_moments(*reading, centred=centred)

    own = declared.a_vector(field).partition(".")[2]
    declared.truth(centred, "centred")
    return streamed(
        declared.named(name, f"{own}_{'centred_' * centred}effective_channels"), UnitMoments(field), None, answer,
        declared.PURE,
        f"effective channels of {own.replace('_', ' ')}{', centred' * centred}", False, {"estimator": "plug-in"}, when,
    )  # fmt: skip


def channels_of_moments(n: int, zeros: int, total: Floats, moments: Floats, *, centred: bool = False) -> Estimate:
    """Return the effective channels from the reading of :class:`UnitMoments`."""
    from simengine.diagnostics.multivariate import channels

    method = f"effective channels, plug-in{', centred' * centred}"
    still = "no_heading" if zeros else None
    if n == 0:
        return Estimate(math.nan, n=0, unit="1", method=method, flags=flagged("empty", still))
    found = channels.channels_of(moments, total, n) if centred else channels.channels_of(moments)
    mean = total / n
    flags = flagged(
        still, "constant" if found.channels < 1.0 + 1e-9 else None,
        "few_samples" if n < max(channels.FEWEST, channels.SAMPLES_A_CHANNEL * found.channels) else None,
        "saturated" if found.channels > channels.SATURATION * n else None,
        "common_component" if not centred and float(mean @ mean) > channels.COMMON else None,
    )  # fmt: skip
    return Estimate(
        found.channels, n=n, unit="1", method=method, flags=flags,
        details={"participation_ratio": found.participation_ratio, "zeros": zeros},
    )  # fmt: skip
