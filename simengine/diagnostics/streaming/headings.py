"""Diagnostics of the directions in which agents head."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit
from simengine.diagnostics.estimate import Estimate, flagged, normal_interval
from simengine.diagnostics.streaming import declared
from simengine.diagnostics.streaming.distributions import When, Window, streamed
from simengine.diagnostics.streaming.observable import Streamed
from simengine.diagnostics.streaming.states import Kept, Table
from simengine.errors import ScenarioError, nearest

SCALE = 2.0**40
"""Sums of components of unit vectors are whole numbers of 1 / SCALE, kept in two parts."""

HALF = 1 << 32
"""The lower part counts up to this."""

ISOTROPIC = "independent headings, all directions equally likely"


_BLOCK = 1024


@njit(cache=True, nogil=True, error_model="numpy")
def _total(first: Any, second: Any) -> Any:
    """Return the sum of products, each rounded towards zero to a multiple of 1 / SCALE, in these units."""
    total = np.int64(0)
    for i in range(first.size):
        total += np.int64(first[i] * SCALE * second[i])
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _sum(values: Any) -> Any:
    """Return the sum of numbers, each rounded towards zero to a multiple of 1 / SCALE, in these units."""
    total = np.int64(0)
    for i in range(values.size):
        total += np.int64(values[i] * SCALE)
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _add_block(x: Any, y: Any, z: Any, sums: NDArray[np.int64]) -> None:
    sums[0] += _sum(x)
    sums[1] += _sum(y)
    sums[2] += _sum(z)
    sums[3] += _total(x, x)
    sums[4] += _total(x, y)
    sums[5] += _total(x, z)
    sums[6] += _total(y, y)
    sums[7] += _total(y, z)
    sums[8] += _total(z, z)


@njit(cache=True, nogil=True, error_model="numpy")
def heading_sums(first: Any, second: Any, third: Any) -> NDArray[np.int64]:
    """Return the sums of components and of their products, in whole numbers of 1 / SCALE: x, y, z, xx, xy, ...

    Each number is rounded to a multiple of 2**-40 before it is added, so that no order matters. Shape (2, 9): how
    often HALF, and what is left.
    """
    sums = np.zeros((2, 9), np.int64)
    part = np.zeros(9, np.int64)
    for begin in range(0, first.size, _BLOCK):
        part[:] = 0
        _add_block(first[begin : begin + _BLOCK], second[begin : begin + _BLOCK], third[begin : begin + _BLOCK], part)
        for k in range(9):
            sums[0, k] += part[k] >> 32
            sums[1, k] += part[k] & 0xFFFFFFFF
    return sums


def _vectors(field: str, view: Any, *, ordered: bool) -> NDArray[np.float64]:
    """The field's vectors, shape (n, 2) or (n, 3)."""
    population, dot, name = field.partition(".")
    if not dot or population not in view.populations:
        raise ScenarioError(f"{field}: there is no population {population!r}{nearest(population, view.populations)}")
    agents = view.populations[population]
    found: NDArray[np.float64] = getattr(agents, name) if ordered else agents.unordered(name)
    if found.ndim != 2 or found.shape[1] not in (2, 3):
        raise ScenarioError(f"{field} holds no vectors of 2 or 3 components")
    return found


@dataclass(frozen=True)
class HeadingSums:
    """Sums of unit vectors and of the products of their components; the reading is (n, sums), see `heading_sums`."""

    field: str

    partial = True
    lasting = False
    merge_class = "B"

    def prepare(self) -> None:
        """Compile."""
        one = np.zeros(1)
        heading_sums(one, one, one)

    def described(self) -> Mapping[str, Any]:
        """Return the field."""
        return {"sums_of": self.field}

    def begin(self) -> Kept:
        """Nobody seen."""
        return {}

    def update(self, state: Kept, view: Any) -> Kept:
        """Add the agents of a view."""
        vectors = _vectors(self.field, view, ordered=False)
        parts = [np.ascontiguousarray(vectors[:, axis]) for axis in range(vectors.shape[1])]
        if len(parts) == 2:
            parts.append(np.zeros(len(vectors)))
        seen = {"n": len(vectors), "sums": heading_sums(*parts), "dimensions": vectors.shape[1]}
        return self.merge(state, seen)

    def merge(self, state: Kept, other: Kept) -> Kept:
        """Add the sums of two groups."""
        if not state or not other:
            return other or state
        return {**state, "n": state["n"] + other["n"], "sums": state["sums"] + other["sums"]}

    def close(self, state: Kept, view: Any) -> tuple[int, int, NDArray[np.float64]]:
        """Return number, dimensions and sums."""
        upper, lower = state["sums"]
        sums = np.array([(int(a) * HALF + int(b)) / int(SCALE) for a, b in zip(upper, lower, strict=True)])
        return state["n"], state["dimensions"], sums


@dataclass(frozen=True)
class HeadingCounts:
    """How many agents head into which bin of equal angle or area; the reading is a table and how many stand still.

    ``bins`` are those of :func:`~simengine.diagnostics.populations.headings.heading_entropy`; without ``dimensions``
    the field's vectors say whether they lie in a plane.
    """

    field: str
    dimensions: int | None
    bins: Any

    partial = True
    lasting = False
    merge_class = "A"

    def prepare(self) -> None:
        """Compile."""
        from simengine.diagnostics.populations.headings import heading_counts

        heading_counts(np.ones((1, 2)), 1, 4)

    def described(self) -> Mapping[str, Any]:
        """Return the field and its bins."""
        from simengine.diagnostics.populations.headings import heading_shape

        said = [
            f"{bins} bins of equal angle" if dimensions == 2 else f"{zones} zones of {bins} bins of equal area"
            for dimensions in ((2, 3) if self.dimensions is None else (self.dimensions,))
            for zones, bins in (heading_shape(dimensions, self.bins),)
        ]
        return {"counts_of": f"{self.field} in {' or '.join(said)}"}

    def begin(self) -> Kept:
        """Nobody counted."""
        return {}

    def update(self, state: Kept, view: Any) -> Kept:
        """Count the agents of a view."""
        from simengine.diagnostics.populations.headings import heading_counts, heading_shape

        vectors = np.ascontiguousarray(_vectors(self.field, view, ordered=True))
        components = vectors.shape[1]
        if self.dimensions not in (None, components):
            raise ScenarioError(
                f"{self.field}: its vectors have {components} components; dimensions or bins= say {self.dimensions}"
            )
        counts, still = heading_counts(vectors, *heading_shape(components, self.bins))
        return self.merge(state, {"counts": counts, "still": int(still)})

    def merge(self, state: Kept, other: Kept) -> Kept:
        """Add the counts of two groups."""
        if not state or not other:
            return other or state
        return {"counts": state["counts"] + other["counts"], "still": state["still"] + other["still"]}

    def close(self, state: Kept, view: Any) -> Table:
        """Return the table; those who stand still are outside."""
        return Table(state["counts"], state["still"])


def heading_polarization(field: str, *, name: str = "polarization", when: When = None) -> Streamed:
    """Stream the length of the mean heading: 1 if all head the same way (Vicsek et al. 1995).

    ``field`` holds unit vectors in 2 or 3 dimensions. As everywhere in the literature the length is not corrected for
    the number of agents; its null says how long it is by chance: isotropic headings, a Rayleigh distribution in 2, a
    Maxwell distribution in 3 dimensions. The error is by the delta method.
    """

    def answer(reading: tuple[int, int, NDArray[np.float64]], view: Any) -> Estimate:
        return heading_polarization_from_sums(*reading)

    declared.a_vector(field)
    return streamed(
        name,
        HeadingSums(field),
        None,
        answer,
        declared.PURE,
        "polarization: length of the mean heading",
        True,
        {},
        when,
    )


def heading_polarization_from_sums(n: int, dimensions: int, sums: NDArray[np.float64]) -> Estimate:
    """Return the polarization of ``n`` unit vectors from the sums of :func:`heading_sums`, over SCALE."""
    if n < 1:
        return Estimate(math.nan, unit="1", method="mean-heading", flags=flagged("empty"))
    mean = sums[:3] / n
    length = min(float(np.sqrt(mean @ mean)), 1.0)
    products = np.array([
        [sums[3], sums[4], sums[5]], [sums[4], sums[6], sums[7]], [sums[5], sums[7], sums[8]],
    ]) / n  # fmt: skip
    axis = mean / length if length > 0.0 else np.zeros(3)
    along = max(float(axis @ products @ axis) - length**2, 0.0)
    # Where the mean vanishes its direction is free, and the length follows the null.
    if dimensions == 2:
        null_mean, null_sd = math.sqrt(math.pi / (4.0 * n)), math.sqrt((1.0 - math.pi / 4.0) / n)
    else:
        null_mean, null_sd = math.sqrt(8.0 / (3.0 * math.pi * n)), math.sqrt((1.0 - 8.0 / (3.0 * math.pi)) / n)
    error = math.sqrt(along / n)
    return Estimate(
        length, error, normal_interval(length, error, 0.0, 1.0), null_mean, null_sd, n, "1", "mean-heading",
        flagged("few_samples" if n < 10 else None), ISOTROPIC,
    )  # fmt: skip


def heading_entropy(
    field: str, *, dimensions: int | None = None, bins: Any = None, estimator: str = "grassberger",
    window: Window = None, name: str = "heading_entropy", unit: str = "nat", when: When = None,
) -> Streamed:  # fmt: skip
    """Stream the entropy of headings in bins of equal angle (2 dimensions) or equal area (3).

    See :func:`~simengine.diagnostics.populations.headings.heading_entropy`, also for ``bins``. ``dimensions`` are those
    of the field; where they are given, a field of others is refused.
    """
    return _headings(field, dimensions, bins, estimator, window, name, unit, when, excess=False)


def heading_entropy_excess(
    field: str, *, dimensions: int | None = None, bins: Any = None, estimator: str = "grassberger",
    window: Window = None, name: str = "heading_entropy_excess", unit: str = "nat", when: When = None,
) -> Streamed:  # fmt: skip
    """Stream ln K - H of headings in K bins: 0 for isotropic headings, ln K if all head the same way."""
    return _headings(field, dimensions, bins, estimator, window, name, unit, when, excess=True)


def _headings(
    field: str, dimensions: int | None, bins: Any, estimator: str, window: Window, name: str, unit: str, when: When,
    *, excess: bool,
) -> Streamed:  # fmt: skip
    from simengine.diagnostics.populations.headings import heading_shape

    declared.a_vector(field)
    declared.counted_by(estimator)
    if dimensions is not None:
        dimensions = declared.whole(dimensions, "dimensions", 2, 3)
    elif bins is not None:
        dimensions = 3 if np.ndim(bins) else 2
    if dimensions is not None:
        heading_shape(dimensions, bins)
    state = HeadingCounts(field, dimensions, tuple(bins) if np.ndim(bins) else bins)

    def answer(table: Table, view: Any) -> Estimate:
        from simengine.diagnostics.populations import headings

        estimate = headings.heading_excess_from_counts if excess else headings.heading_entropy_from_counts
        return estimate(table.counts, estimator=estimator, still=table.outside, unit=unit)

    long_name = "entropy of headings" if not excess else "entropy of headings below its maximum"
    return streamed(
        name, state, window, answer, unit, long_name, True, {"estimator": estimator}, when,
    )  # fmt: skip
