"""Calibrated order parameters and entropies of a school: seven entropies that can be compared.

They ask what the seven entropies of :mod:`~simengine.diagnostics.schooling` ask, without their faults: no number
depends on where the axes of space or the borders of a periodic box lie, ranges come from theory or are declared,
values beyond a range count in its end bin, values are corrected for the number of agents, and each comes with a
standard error and with mean and standard deviation under the null hypothesis, at the same number of agents.

**Null.** Independent agents, headings isotropic, places uniform: in the periodic box, or in open space in the
reference ball. (:mod:`~simengine.diagnostics.school_null`.)

**Reference.** In a periodic cube of side L, the cube, of volume V = L^3, and where a ball is needed the ball of that
volume, R = L (3 / (4 pi))^(1/3). In open space a ball whose radius R = ``reach`` is declared, never taken from the
state.

**Centroid.** Nearest images to the per-axis circular mean, then their plain mean. A school that fits into half of the
box has the numbers it would have in open space. x_i are places relative to it, h_i = x_i / abs(x_i), u_i headings.

==  ============================  =====================================================  =========================
H   name                          of                                                     under the null
==  ============================  =====================================================  =========================
1   school_cohesion_entropy       v(d) / V, d the distance to the nearest other and      1 - (1 - v / V)^(N - 1)
                                  v(d) the volume nearer than d                          uniform
2   polarization_entropy          u_i . a, a the principal axis of the mean of u u^T     uniform: zones of equal
                                                                                         area (Archimedes)
3   depth_stratification_entropy  x_i . e / R, e the thinnest principal axis             density 3/4 (1 - t^2)
4   angular_momentum_entropy      (h_i x u_i) . w, w the principal axis of the mean of   P(abs(s) > t) =
                                  (h x u) (h x u)^T                                      sqrt(1 - t^2) - t arccos t
5   nearest_neighbor_entropy      sum over k < 5 of v(d_k) / v(d_5), d_k the distance    Irwin-Hall, n = 4
                                  to the k-th nearest
6   velocity_correlation_entropy  (u_i . u_j + 1) / 2 of all pairs                       uniform
7   school_shape_entropy          shares of the principal variances of x                 equal
==  ============================  =====================================================  =========================

H1 to H5 use 15 bins of equal probability under the null, H6 20 equal bins, for any N; the entropy of their counts is
divided by the logarithm of their number, H7 by ln 3. The sign of an axis does not matter: bins are symmetric. H4
tells a mill that turns one way from one that turns both ways; H2 does not take two opposed streams for disorder; H3
is about layers, whichever way they lie. In a periodic box the null of H3 is not even (a cube is no ball), and neither
is that of H1 and H5 at the surface of a ball: the tabulated null has it all.

``calibrated_order_index`` is the mean over the seven of 1 - H / E0[H], E0 the mean under the null: 0 for random
agents, towards 1 for order. ``calibrated_polarization`` is abs(mean u_i), ``calibrated_rotation`` abs(mean h_i x u_i),
``calibrated_spread`` sqrt(mean abs(x_i)^2).

**Corrections and errors** are those of :mod:`~simengine.diagnostics.estimates`: Grassberger's for H1 to H6, and
expansions to second order for what pairs share (H6) and for H7. Standard errors are those of independent agents. The
agents of a school are not independent: within one moment the errors say how finely N agents sample a state, not how far
the next moment's value may lie. That of the index takes the entropies as independent of one another. Nulls of entropies
near their maximum are skewed towards low values, that of H7 most (a chi-square with five degrees of freedom: 1.1 to
1.7 % beyond three standard deviations); for a probability use
:func:`~simengine.diagnostics.school_null.normal_score`.

**Sample.** Above :data:`SAMPLE` agents, H1, H5 and H6 use that many, chosen by a hash of seed, step and id: their
nearest neighbours among all agents, and all pairs among them. Their standard errors are those of the smaller number,
and so include the error of choosing.

With fewer than :data:`LEAST` agents there are no entropies: they are NaN, as are shape and index of a school at one
point.

**Declared validity.** At least :data:`FEWEST` agents and, of H1 to H6, :data:`FEWEST_APART` of them outside the fullest
bin; else ``few_samples``: of 50 agents intervals hold the truth in about 85 % of repetitions, of 20 in 70 to 80 %. In
open space values may lie beyond the declared reach (``outside_range``: H1, H3). If all
agents are in one bin, the entropy is 0 (``constant``). The axis of H2 is found from the agents, which its error leaves
out: where headings have no clear axis and are not isotropic, intervals hold in 80 % of repetitions only.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit
from simengine.diagnostics.chosen import chosen_distances, pair_rows
from simengine.diagnostics.estimates import entropy_of_counts, entropy_of_pairs, entropy_of_shares
from simengine.diagnostics.neighbours import NEIGHBOURS
from simengine.diagnostics.school_bins import (
    AGENT_BINS,
    DEPTH_EDGES,
    HEADING_EDGES,
    MOMENTUM_EDGES,
    PAIR_BINS,
    SPACING_EDGES,
    bin_between,
    nearest_edges,
    share_within,
)
from simengine.diagnostics.school_frame import Frame, school_frame

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SAMPLE = 1024
"""Above this number of agents H1, H5 and H6 use a sample of this size."""

LEAST = 6
"""With fewer agents there are no entropies: five others are needed."""

FEWEST = 100
"""With fewer agents numbers are flagged: bins are filled by so few that errors come out too small."""

FEWEST_APART = 10
"""With fewer agents outside the fullest bin an entropy is flagged."""

ENTROPIES = (
    "school_cohesion_entropy",
    "polarization_entropy",
    "depth_stratification_entropy",
    "angular_momentum_entropy",
    "nearest_neighbor_entropy",
    "velocity_correlation_entropy",
    "school_shape_entropy",
)
"""H1 to H7, without the prefix ``calibrated_``."""


class CalibratedMetric(NamedTuple):
    """What a calibrated number says: its name, long name and unit (``None``: that of the positions), and its estimator.

    ``bins`` is the number of bins, 0 where there are none.
    """

    name: str
    long_name: str
    unit: str | None
    method: str = "plug-in"
    bins: int = 0


CALIBRATED = (
    CalibratedMetric("calibrated_polarization", "polarisation: length of the mean heading", "1"),
    CalibratedMetric(
        "calibrated_rotation", "rotation: length of the mean angular momentum about the periodic centroid", "1"
    ),
    CalibratedMetric("calibrated_spread", "root mean square distance from the periodic centroid", None),
    *(
        CalibratedMetric(f"calibrated_{name}", f"calibrated entropy of {what}", "1", method, bins)
        for name, (what, method, bins) in zip(
            ENTROPIES,
            (
                ("nearest-neighbour distances", "grassberger", AGENT_BINS),
                ("headings along their principal axis", "grassberger", AGENT_BINS),
                ("places along the thinnest axis of the school", "grassberger", AGENT_BINS),
                ("signed angular momenta", "grassberger", AGENT_BINS),
                ("the ratios of the five nearest distances", "grassberger", AGENT_BINS),
                ("pairwise alignment", "grassberger-pairs", PAIR_BINS),
                ("the shares of the principal variances", "second-order", 0),
            ),
            strict=True,
        )
    ),
    CalibratedMetric(
        "calibrated_order_index", "mean over seven entropies of 1 - H / E0[H], E0 the mean under the null", "1", "mean"
    ),
)
"""The eleven numbers, in the order of :func:`calibrated_numbers` and of the tabulated null."""

CALIBRATED_NAMES = tuple(metric.name for metric in CALIBRATED)

SPREAD = CALIBRATED_NAMES.index("calibrated_spread")
FIRST_ENTROPY = SPREAD + 1
INDEX = len(CALIBRATED) - 1
SHAPE = INDEX - 1
SAMPLED = tuple(CALIBRATED_NAMES.index(f"calibrated_{ENTROPIES[k]}") for k in (0, 4, 5))
"""H1, H5 and H6, which are about a sample."""


class Numbers(NamedTuple):
    """The eleven numbers, their standard errors, and what there is to doubt in them; each of shape (11,).

    ``apart`` is how many agents lie outside the fullest bin (of pairs: how many agents make so many), NaN where there
    are no bins; ``beyond`` how many lie farther out than the reach of open space.
    """

    values: Floats
    errors: Floats
    apart: Floats
    beyond: Integers


@njit(cache=True, nogil=True, error_model="numpy")
def reference_radius(side: float, reach: float) -> float:
    """Return the radius of the reference ball: that of the cube's volume, or in open space the declared one."""
    return reach if side == np.inf else side * (0.75 / math.pi) ** (1.0 / 3.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _share(distance: float, side: float, reach: float) -> float:
    """Return the share of the reference volume nearer than ``distance``."""
    return (distance / reach) ** 3 if side == np.inf else share_within(distance, side)


@njit(cache=True, nogil=True, error_model="numpy")
def twin_share(nearest: Floats) -> float:
    """Return the share of agents whose nearest neighbour is theirs in turn: those with the same distance, in pairs.

    Among uniform points in space it is 8/13 (Clark & Evans 1955). ``nearest`` has shape (m,).
    """
    rising = np.sort(nearest)
    pairs, k = 0, 1
    while k < rising.size:
        if rising[k] == rising[k - 1]:
            pairs += 1
            k += 1
        k += 1
    return 2.0 * pairs / rising.size


@njit(cache=True, nogil=True, error_model="numpy")
def _enter(numbers: Numbers, k: int, counts: Integers, twins: float) -> None:
    """Enter the entropy of counts as number ``k``."""
    numbers.values[k], numbers.errors[k] = entropy_of_counts(counts, twins)
    numbers.apart[k] = counts.sum() - counts.max()


@njit(cache=True, nogil=True, error_model="numpy")
def _of_neighbours(nearest: Floats, agents: int, side: float, reach: float, numbers: Numbers) -> None:
    """Enter H1 and H5."""
    edges = nearest_edges(agents)
    gaps, spacings = np.zeros(AGENT_BINS, np.int64), np.zeros(AGENT_BINS, np.int64)
    share = np.empty(NEIGHBOURS)
    for i in range(nearest.shape[0]):
        for k in range(NEIGHBOURS):
            share[k] = _share(nearest[i, k], side, reach)
        gaps[bin_between(share[0], edges)] += 1
        numbers.beyond[3] += share[0] > 1.0
        total = 0.0
        for k in range(NEIGHBOURS - 1):
            # Five others at one's own place are equally far.
            total += share[k] / share[NEIGHBOURS - 1] if share[NEIGHBOURS - 1] > 0.0 else 1.0
        spacings[bin_between(total, SPACING_EDGES)] += 1
    _enter(numbers, 3, gaps, twin_share(nearest[:, 0]))
    _enter(numbers, 7, spacings, 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _of_pairs(rows: NDArray[np.int32], numbers: Numbers) -> None:
    """Enter H6."""
    numbers.values[8], numbers.errors[8] = entropy_of_pairs(rows)
    m = rows.shape[0]
    pairs = np.zeros(rows.shape[1], np.int64)
    for i in range(m):
        for b in range(rows.shape[1]):
            pairs[b] += rows[i, b]
    numbers.apart[8] = 0.5 * (pairs.sum() - pairs.max()) / (m - 1)


@njit(cache=True, nogil=True, error_model="numpy")
def _of_everyone(frame: Frame, radius: float, open_space: bool, numbers: Numbers) -> None:
    """Enter H2, H3, H4 and H7."""
    n = frame.unit.shape[0]
    headings, depths = np.zeros(AGENT_BINS, np.int64), np.zeros(AGENT_BINS, np.int64)
    momenta = np.zeros(AGENT_BINS, np.int64)
    a0, a1, a2 = frame.heading_axis[0], frame.heading_axis[1], frame.heading_axis[2]
    w0, w1, w2 = frame.momentum_axis[0], frame.momentum_axis[1], frame.momentum_axis[2]
    axes, per_radius = frame.axes, 1.0 / radius
    total = frame.mean_square
    shares = frame.extents / total
    f00, f01, f02, f11, f12, f22, f_12, f_02, f_01 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        ux, uy, uz = frame.unit[i, 0], frame.unit[i, 1], frame.unit[i, 2]
        x, y, z = frame.offset[i, 0], frame.offset[i, 1], frame.offset[i, 2]
        headings[bin_between(ux * a0 + uy * a1 + uz * a2, HEADING_EDGES)] += 1
        turning = ux * (w1 * z - w2 * y) + uy * (w2 * x - w0 * z) + uz * (w0 * y - w1 * x)
        momenta[bin_between(turning * frame.nearness[i], MOMENTUM_EDGES)] += 1
        p = x * axes[0, 0] + y * axes[0, 1] + z * axes[0, 2]
        q = x * axes[1, 0] + y * axes[1, 1] + z * axes[1, 2]
        r = x * axes[2, 0] + y * axes[2, 1] + z * axes[2, 2]
        depths[bin_between(p * per_radius, DEPTH_EDGES)] += 1
        numbers.beyond[5] += open_space and abs(p) > radius
        square = p * p + q * q + r * r
        d0, d1, d2 = p * p - shares[0] * square, q * q - shares[1] * square, r * r - shares[2] * square
        f00, f01, f02 = f00 + d0 * d0, f01 + d0 * d1, f02 + d0 * d2
        f11, f12, f22 = f11 + d1 * d1, f12 + d1 * d2, f22 + d2 * d2
        f_12, f_02, f_01 = f_12 + q * q * r * r, f_02 + p * p * r * r, f_01 + p * p * q * q
    _enter(numbers, 4, headings, 0.0)
    _enter(numbers, 5, depths, 0.0)
    _enter(numbers, 6, momenta, 0.0)
    if total > 0.0:
        scale = 1.0 / (n * total * total)
        covariance = np.array([[f00, f01, f02], [f01, f11, f12], [f02, f12, f22]]) * scale
        mixed = np.array([f_12, f_02, f_01]) * scale
        numbers.values[9], numbers.errors[9] = entropy_of_shares(shares, covariance, mixed, n)


@njit(cache=True, nogil=True, error_model="numpy")
def _length(v: Floats) -> float:
    return math.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])


@njit(cache=True, nogil=True, error_model="numpy")
def _of_order(frame: Frame, numbers: Numbers) -> None:
    """Enter polarisation, rotation and spread; errors by the delta method."""
    n = frame.unit.shape[0]
    values, errors = numbers.values, numbers.errors
    polarization, rotation = _length(frame.mean_heading), _length(frame.mean_momentum)
    u = frame.mean_heading / polarization if polarization > 0.0 else np.zeros(3)
    w = frame.mean_momentum / rotation if rotation > 0.0 else np.zeros(3)
    along, turning, squares = 0.0, 0.0, 0.0
    for i in range(n):
        ux, uy, uz = frame.unit[i, 0], frame.unit[i, 1], frame.unit[i, 2]
        x, y, z = frame.offset[i, 0], frame.offset[i, 1], frame.offset[i, 2]
        along += (ux * u[0] + uy * u[1] + uz * u[2] - polarization) ** 2
        own = ux * (w[1] * z - w[2] * y) + uy * (w[2] * x - w[0] * z) + uz * (w[0] * y - w[1] * x)
        turning += (own * frame.nearness[i] - rotation) ** 2
        squares += (x * x + y * y + z * z - frame.mean_square) ** 2
    spread = math.sqrt(frame.mean_square)
    values[0], errors[0] = min(polarization, 1.0), math.sqrt(along) / n
    values[1], errors[1] = min(rotation, 1.0), math.sqrt(turning) / n
    values[2], errors[2] = spread, math.sqrt(squares) / n / (2.0 * spread) if spread > 0.0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def calibrated_numbers(position: Floats, heading: Floats, side: float, reach: float, chosen: Integers) -> Numbers:
    """Return the numbers of :data:`CALIBRATED` but the index (NaN), with their standard errors; nothing is checked.

    Sums run over the rows from first to last on one thread: rows in the order of agent ids give the same bits for
    any number of threads and any storage order.

    Parameters
    ----------
    position
        Shape (N, 3), N >= 1; within ``[0, side]`` on every axis if ``side`` is finite.
    heading
        Shape (N, 3); of any non-zero length.
    side
        Side of the periodic cube, or ``inf`` for open space.
    reach
        Radius of the reference ball of open space; not used in a box.
    chosen
        The rows that H1, H5 and H6 are about, rising.
    """
    numbers = Numbers(np.full(11, np.nan), np.full(11, np.nan), np.full(11, np.nan), np.zeros(11, np.int64))
    n = position.shape[0]
    frame = school_frame(position, heading, side)
    _of_order(frame, numbers)
    if n >= LEAST:
        _of_neighbours(chosen_distances(position, chosen, side), n, side, reach, numbers)
        _of_everyone(frame, reference_radius(side, reach), side == np.inf, numbers)
        _of_pairs(pair_rows(frame.unit, chosen, PAIR_BINS), numbers)
    return numbers
