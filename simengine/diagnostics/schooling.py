"""Order parameters and entropies of a school in three dimensions.

With x_i the positions, u_i the unit headings, c the mean of the positions, rho_i = x_i - c and
h_i = rho_i / abs(rho_i):

* polarization P = abs(mean u_i), rotation M = abs(mean (h_i x u_i)) (Couzin et al. 2002, J. Theor. Biol. 218,
  1-11), spread = sqrt(mean abs(rho_i)^2), order_index = max(P, M);
* seven entropies H1 ... H7, each divided by the logarithm of its number of bins (0: all alike, 1: evenly
  spread), and oceanic_schooling_index = 0.18 H1 + 0.28 H2 + 0.08 H3 + 0.08 H4 + 0.10 H5 + 0.18 H6 + 0.10 H7
  (high: disorder), as implemented in dewi-kadita 0.0.4 (arXiv 2602.07948). Bins are equal, the last closed:

  == ============================ ===================================================== ======= ========
  H  name                         of                                                    bins    range
  == ============================ ===================================================== ======= ========
  1  school_cohesion_entropy      distance to the nearest other                         25      0 .. L/2
  2  polarization_entropy         polar angle and azimuth of the heading, equal angles; 12 x 24 sphere
                                  counts times the sine of the polar angle
  3  depth_stratification_entropy z                                                     15      0 .. L
  4  angular_momentum_entropy     abs(h_i x u_i)                                        20      0 .. 1
  5  nearest_neighbor_entropy     standard deviation / mean of the 5 nearest distances  20      0 .. 2
  6  velocity_correlation_entropy (u_i . u_j + 1) / 2 of all pairs                      20      0 .. 1
  7  school_shape_entropy         shares of the eigenvalues of the sample covariance    3       -
  == ============================ ===================================================== ======= ========

An entropy of which nothing can be counted is 0.5: H1 and H6 with N < 2, H4 with N < 3, H7 with N < 4, H5 with
N < 6.

These are the numbers of the literature, with their faults. In a periodic box the distances (H1, H5) take the
nearest image, but c, and with it M, the spread, H4 and H7, uses the positions as they lie in the box, so a
school across the border is measured as two; H2 and H3 depend on the axes; all entropies are plain plug-in
estimates that depend on N. Sines and cosines that rounding puts beyond 1 count as 1 here; dewi-kadita drops
them, and so loses some of the exactly parallel or opposed pairs of H6 (all lost: H6 = 0.5 in place of 0).

:mod:`~simengine.diagnostics.calibrated` has the seven entropies without these faults.

In open space there is no L. Its place is taken by the cube around the school: centre c, side
L = 2 max abs(rho_i), so that H3 has the range c_z - L/2 .. c_z + L/2 and a school that moves on keeps its
numbers.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simengine.arrays.jit import njit
from simengine.diagnostics.alignment import pair_alignment_counts
from simengine.diagnostics.calibration import calibrate
from simengine.diagnostics.equal_bins import UNDEFINED, bin_of, equal_edges, plug_in_entropy
from simengine.diagnostics.neighbours import NEIGHBOURS, nearest_distances
from simengine.diagnostics.school_frame import principal_axes
from simengine.diagnostics.school_input import checked_state
from simengine.errors import InputError, nearest

COSTLY_FROM = 5000
"""Above this number of agents :func:`measure` warns of the cost of the N (N - 1) / 2 pairs."""

_LEAST_LENGTH = 1e-10


class Metric(NamedTuple):
    """What a number says: its name, long name, unit and the range of its valid values, ends included.

    The unit is ``None`` where it is that of the positions.
    """

    name: str
    long_name: str
    unit: str | None
    valid_range: tuple[float, float]


METRICS = (
    Metric("polarization", "polarisation: length of the mean heading", "1", (0.0, 1.0)),
    Metric("rotation", "rotation: length of the mean angular momentum about the centroid", "1", (0.0, 1.0)),
    Metric("spread", "root mean square distance from the centroid", None, (0.0, math.inf)),
    Metric("order_index", "greater of polarisation and rotation", "1", (0.0, 1.0)),
    Metric("school_cohesion_entropy", "normalised entropy of nearest-neighbour distances", "1", (0.0, 1.0)),
    Metric("polarization_entropy", "normalised entropy of headings on the sphere", "1", (0.0, 1.0)),
    Metric("depth_stratification_entropy", "normalised entropy of depths (z)", "1", (0.0, 1.0)),
    Metric("angular_momentum_entropy", "normalised entropy of individual angular momenta", "1", (0.0, 1.0)),
    Metric(
        "nearest_neighbor_entropy",
        "normalised entropy of the variation of the five nearest distances",
        "1",
        (0.0, 1.0),
    ),
    Metric("velocity_correlation_entropy", "normalised entropy of pairwise alignment", "1", (0.0, 1.0)),
    Metric("school_shape_entropy", "normalised entropy of the principal variances", "1", (0.0, 1.0)),
    Metric("oceanic_schooling_index", "oceanic schooling index: weighted mean entropy", "1", (0.0, 1.0)),
)
"""The twelve numbers in the order in which :func:`school_metrics` returns them."""

METRIC_NAMES = tuple(metric.name for metric in METRICS)
METRIC_LONG_NAMES = tuple(metric.long_name for metric in METRICS)


@njit(cache=True, nogil=True, error_model="numpy")
def _length(x: float, y: float, z: float) -> float:
    return math.sqrt(x * x + y * y + z * z)


@njit(cache=True, nogil=True, error_model="numpy")
def _wrapped(position: NDArray[np.float64], box: float) -> NDArray[np.float64]:
    """Return a copy in which the far border of the periodic cube is the near one."""
    wrapped = position.copy()
    for i in range(position.shape[0]):
        for axis in range(3):
            if wrapped[i, axis] == box:
                wrapped[i, axis] = 0.0
    return wrapped


@njit(cache=True, nogil=True, error_model="numpy")
def _unit_vectors(vector: NDArray[np.float64], least: float) -> NDArray[np.float64]:
    """Return the rows divided by their lengths; rows shorter than ``least`` stay as they are."""
    unit = np.empty(vector.shape)
    for i in range(vector.shape[0]):
        length = _length(vector[i, 0], vector[i, 1], vector[i, 2])
        if length < least:
            length = 1.0
        for axis in range(3):
            unit[i, axis] = vector[i, axis] / length
    return unit


@njit(cache=True, nogil=True, error_model="numpy")
def _mean_row(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of the rows, summed from first to last."""
    mean = np.zeros(3)
    for i in range(rows.shape[0]):
        for axis in range(3):
            mean[axis] += rows[i, axis]
    for axis in range(3):
        mean[axis] /= rows.shape[0]
    return mean


@njit(cache=True, nogil=True, error_model="numpy")
def _heading_entropy(unit: NDArray[np.float64]) -> float:
    """Return H2: entropy over 12 polar angles and 24 azimuths, counts times the sine of the polar angle."""
    polar, azimuthal = 12, 24
    polar_edges = equal_edges(0.0, math.pi, polar)
    azimuth_edges = equal_edges(0.0, 2.0 * math.pi, azimuthal)
    counts = np.zeros((polar, azimuthal))
    for i in range(unit.shape[0]):
        a = bin_of(math.acos(min(max(unit[i, 2], -1.0), 1.0)), polar_edges)
        b = bin_of(math.atan2(unit[i, 1], unit[i, 0]) + math.pi, azimuth_edges)
        counts[a, b] += 1.0
    for a in range(polar):
        counts[a] *= math.sin((polar_edges[a] + polar_edges[a + 1]) / 2.0)
    return plug_in_entropy(counts.ravel())


@njit(cache=True, nogil=True, error_model="numpy")
def _value_entropy(values: NDArray[np.float64], low: float, high: float, bins: int) -> float:
    """Return the entropy of a histogram of ``values`` over ``[low, high]``; values outside are dropped."""
    edges = equal_edges(low, high, bins)
    counts = np.zeros(bins)
    for i in range(values.size):
        index = bin_of(values[i], edges)
        if index >= 0:
            counts[index] += 1.0
    return plug_in_entropy(counts)


@njit(cache=True, nogil=True, error_model="numpy")
def _variation(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the population standard deviation of each row divided by its mean (plus 1e-10)."""
    n, k = distances.shape
    variation = np.empty(n)
    for i in range(n):
        mean = 0.0
        for place in range(k):
            mean += distances[i, place]
        mean /= k
        variance = 0.0
        for place in range(k):
            deviation = distances[i, place] - mean
            variance += deviation * deviation
        variation[i] = math.sqrt(variance / k) / (mean + 1e-10)
    return variation


@njit(cache=True, nogil=True, error_model="numpy")
def _shape_entropy(offset: NDArray[np.float64]) -> float:
    """Return H7: entropy of the shares of the principal variances, none of them below 1e-10."""
    n = offset.shape[0]
    covariance = np.zeros((3, 3))
    for i in range(n):
        for a in range(3):
            for b in range(3):
                covariance[a, b] += offset[i, a] * offset[i, b]
    return plug_in_entropy(np.maximum(principal_axes(covariance / (n - 1))[0], 1e-10))


@njit(cache=True, nogil=True, error_model="numpy")
def school_metrics(position: NDArray[np.float64], heading: NDArray[np.float64], box: float) -> NDArray[np.float64]:
    """Return the twelve numbers of :data:`METRICS`; nothing is checked.

    Sums run over the rows from first to last on one thread: rows in the order of agent ids give the same bits
    for any number of threads and any storage order. Time O(N^2), a nanosecond a pair; memory O(N).

    Parameters
    ----------
    position
        Shape (N, 3), N >= 1; finite, and within ``[0, box]`` on every axis if ``box`` is finite.
        A coordinate equal to ``box`` is taken as 0.
    heading
        Shape (N, 3); of any non-zero length.
    box
        Side of the periodic cube, or ``inf`` for open space.
    """
    n = position.shape[0]
    point = _wrapped(position, box)
    unit = _unit_vectors(heading, 0.0)
    centroid = _mean_row(point)
    offset = point - centroid
    outward = _unit_vectors(offset, _LEAST_LENGTH)
    momentum = np.empty((n, 3))
    momentum_length = np.empty(n)
    mean_square = 0.0
    radius = 0.0
    for i in range(n):
        momentum[i, 0] = outward[i, 1] * unit[i, 2] - outward[i, 2] * unit[i, 1]
        momentum[i, 1] = outward[i, 2] * unit[i, 0] - outward[i, 0] * unit[i, 2]
        momentum[i, 2] = outward[i, 0] * unit[i, 1] - outward[i, 1] * unit[i, 0]
        momentum_length[i] = min(_length(momentum[i, 0], momentum[i, 1], momentum[i, 2]), 1.0)
        distance = _length(offset[i, 0], offset[i, 1], offset[i, 2])
        mean_square += distance * distance / n
        radius = max(radius, distance)
    depth = point[:, 2].copy()
    side = box
    if box == np.inf:
        # One point has no extent; any side then puts everything into the first bin of H1 and one bin of H3.
        side = 2.0 * radius if radius > 0.0 else 1.0
        for i in range(n):
            depth[i] = min(max(offset[i, 2] + radius, 0.0), side)

    mean_unit, mean_momentum = _mean_row(unit), _mean_row(momentum)
    polarization = min(_length(mean_unit[0], mean_unit[1], mean_unit[2]), 1.0)
    rotation = min(_length(mean_momentum[0], mean_momentum[1], mean_momentum[2]), 1.0)
    distances = nearest_distances(point, box)

    cohesion = _value_entropy(distances[:, 0], 0.0, 0.5 * side, 25) if n >= 2 else UNDEFINED
    headings = _heading_entropy(unit)
    depths = _value_entropy(depth, 0.0, side, 15)
    momenta = _value_entropy(momentum_length, 0.0, 1.0, 20) if n >= 3 else UNDEFINED
    spacing = _value_entropy(_variation(distances), 0.0, 2.0, 20) if n > NEIGHBOURS else UNDEFINED
    alignment = plug_in_entropy(pair_alignment_counts(unit, 20).astype(np.float64))
    shape = _shape_entropy(offset) if n >= 4 else UNDEFINED
    index = (
        0.18 * cohesion
        + 0.28 * headings
        + 0.08 * depths
        + 0.08 * momenta
        + 0.10 * spacing
        + 0.18 * alignment
        + 0.10 * shape
    )
    return np.array(
        [
            polarization,
            rotation,
            math.sqrt(mean_square),
            max(polarization, rotation),
            cohesion,
            headings,
            depths,
            momenta,
            spacing,
            alignment,
            shape,
            min(index, 1.0),
        ]
    )


@njit(cache=True, nogil=True, error_model="numpy")
def order_parameters(position: NDArray[np.float64], heading: NDArray[np.float64], box: float) -> NDArray[np.float64]:
    """Return the first four numbers of :func:`school_metrics`, bit for bit, in time O(N) and without further memory."""
    n = position.shape[0]
    ux, uy, uz, cx, cy, cz = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        length = _length(heading[i, 0], heading[i, 1], heading[i, 2])
        ux, uy, uz = ux + heading[i, 0] / length, uy + heading[i, 1] / length, uz + heading[i, 2] / length
        x, y, z = position[i, 0], position[i, 1], position[i, 2]
        cx, cy, cz = cx + (0.0 if x == box else x), cy + (0.0 if y == box else y), cz + (0.0 if z == box else z)
    cx, cy, cz = cx / n, cy / n, cz / n
    mx, my, mz, mean_square = 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        x, y, z = position[i, 0], position[i, 1], position[i, 2]
        x, y, z = (0.0 if x == box else x) - cx, (0.0 if y == box else y) - cy, (0.0 if z == box else z) - cz
        distance = _length(x, y, z)
        mean_square += distance * distance / n
        scale = 1.0 if distance < _LEAST_LENGTH else distance
        x, y, z = x / scale, y / scale, z / scale
        length = _length(heading[i, 0], heading[i, 1], heading[i, 2])
        u, v, w = heading[i, 0] / length, heading[i, 1] / length, heading[i, 2] / length
        mx, my, mz = mx + (y * w - z * v), my + (z * u - x * w), mz + (x * v - y * u)
    polarization = min(_length(ux / n, uy / n, uz / n), 1.0)
    rotation = min(_length(mx / n, my / n, mz / n), 1.0)
    return np.array([polarization, rotation, math.sqrt(mean_square), max(polarization, rotation)])


Definition = Callable[[NDArray[np.float64], NDArray[np.float64], float], NDArray[np.float64]]
"""From positions, headings and the side of the box (``inf``: open) to the first or all numbers of :data:`METRICS`."""

DEFINITIONS: Mapping[str, Definition] = MappingProxyType(
    {"dewi-kadita": school_metrics, "order-parameters": order_parameters}
)
"""The definitions that :func:`measure` knows, by name; ``"order-parameters"`` gives the first four numbers only."""


def metric_units(length_unit: str) -> tuple[str, ...]:
    """Return the unit of each number of :data:`METRICS`, given the unit of the positions."""
    return tuple(length_unit if metric.unit is None else metric.unit for metric in METRICS)


def measure(
    position: ArrayLike,
    heading: ArrayLike,
    box: float | None = None,
    definition: str = "dewi-kadita",
    *,
    reach: float | None = None,
) -> dict[str, float]:
    """Return the order parameters and entropies of one state of a school, by name.

    Parameters
    ----------
    position
        Shape (N, 3), in any unit of length; the spread has the same unit.
    heading
        Shape (N, 3); directions or velocities, of any non-zero length.
    box
        Side of the periodic cube in which the positions lie, each coordinate within ``[0, box]`` (``box``
        itself is taken as 0), or ``None`` for open space, see the head of this module.
    definition
        A key of :data:`DEFINITIONS`, or ``"calibrated"``:
        :func:`~simengine.diagnostics.calibration.calibrate`, which also gives errors and nulls.
    reach
        Radius of the reference ball of the calibrated numbers in open space.

    Raises
    ------
    InputError
        If an array has the wrong shape or a value that is not finite, a heading has no direction, a position
        lies outside the box, the box has no positive side, or the definition is unknown.

    Warns
    -----
    UserWarning
        Above :data:`COSTLY_FROM` agents: all pairs are compared.
    """
    known = (*DEFINITIONS, "calibrated")
    if definition not in known:
        allowed = ", ".join(repr(name) for name in known) + nearest(definition, known)
        raise InputError(f"unknown definition {definition!r}; allowed: {allowed}")
    if definition == "calibrated":
        return {name: float(found) for name, found in calibrate(position, heading, box, reach).items()}
    positions, headings, side = checked_state(position, heading, box)
    n = positions.shape[0]
    if n > COSTLY_FROM and definition == "dewi-kadita":
        warnings.warn(f"{n} agents: all {n * (n - 1) // 2} pairs are compared", UserWarning, stacklevel=2)
    values = DEFINITIONS[definition](positions, headings, side)
    return dict(zip(METRIC_NAMES, values.tolist(), strict=False))
