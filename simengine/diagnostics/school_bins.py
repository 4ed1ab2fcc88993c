"""Bins of equal probability for the values of agents, and the distributions that they rest on.

Each value is one number per agent whose distribution is known for independent agents with isotropic headings
at uniform places. Bins are cut where that distribution reaches 1/15, 2/15, ..., so that such agents fill them
evenly; the end bins hold everything beyond. The number of bins is odd: what is symmetric about zero then has
a bin in the middle, and values that are zero but for rounding share it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit

AGENT_BINS = 15
"""Number of bins of everything that is one value per agent."""

PAIR_BINS = 20
"""Number of bins of the alignment of pairs."""

Edges = NDArray[np.float64]


def depth_probability(t: float) -> float:
    """Return the probability that a uniform point of the unit ball has a coordinate below ``t``.

    The density is 3/4 (1 - t^2): the area of a slice.
    """
    t = min(max(t, -1.0), 1.0)
    return 0.5 + (3.0 * t - t**3) / 4.0


def momentum_probability(s: float) -> float:
    """Return the probability that a component of ``h x u`` is below ``s``, ``h`` and ``u`` isotropic.

    With c the cosine between h and the axis, the component is sqrt(1 - c^2) times a uniform number of
    [-1, 1]; so P(abs(s) > t) = sqrt(1 - t^2) - t arccos t.
    """
    t = min(abs(s), 1.0)
    beyond = 0.5 * (math.sqrt(1.0 - t * t) - t * math.acos(t))
    return beyond if s < 0.0 else 1.0 - beyond


def spacing_probability(x: float) -> float:
    """Return the probability that four independent uniform numbers of [0, 1] add up to less than ``x``.

    The distribution of Irwin (1927) and Hall (1927).
    """
    x = min(max(x, 0.0), 4.0)
    if x > 2.0:
        return 1.0 - spacing_probability(4.0 - x)
    return (x**4 - 4.0 * max(x - 1.0, 0.0) ** 4) / 24.0


def equal_probability_edges(probability: Callable[[float], float], low: float, high: float) -> Edges:
    """Return the inner edges, shape (AGENT_BINS - 1,), of bins that ``probability`` fills evenly; by bisection."""
    edges = np.empty(AGENT_BINS - 1)
    for k in range(AGENT_BINS - 1):
        a, b = low, high
        for _ in range(60):
            middle = 0.5 * (a + b)
            if probability(middle) < (k + 1) / AGENT_BINS:
                a = middle
            else:
                b = middle
        edges[k] = 0.5 * (a + b)
    return edges


HEADING_EDGES: Edges = -1.0 + 2.0 * np.arange(1, AGENT_BINS) / AGENT_BINS
"""Zones of equal area of the unit sphere: Archimedes, equal bins of the cosine."""

DEPTH_EDGES: Edges = equal_probability_edges(depth_probability, -1.0, 1.0)
MOMENTUM_EDGES: Edges = equal_probability_edges(momentum_probability, -1.0, 1.0)
SPACING_EDGES: Edges = equal_probability_edges(spacing_probability, 0.0, 4.0)


@njit(cache=True, nogil=True, error_model="numpy")
def nearest_edges(agents: int) -> Edges:
    """Return the inner edges of bins for the share of the volume nearer than the nearest of ``agents - 1`` others.

    For uniform places that share v has P(v < x) = 1 - (1 - x)^(agents - 1).
    """
    edges = np.empty(AGENT_BINS - 1)
    for k in range(AGENT_BINS - 1):
        edges[k] = -math.expm1(math.log1p(-(k + 1) / AGENT_BINS) / (agents - 1))
    return edges


@njit(cache=True, nogil=True, error_model="numpy")
def bin_between(value: float, edges: Edges) -> int:
    """Return how many of ``edges`` are at most ``value``: its bin; the end bins are open."""
    index = 0
    for k in range(AGENT_BINS - 1):
        index += value >= edges[k]
    return index


@njit(cache=True, nogil=True, error_model="numpy")
def share_within(distance: float, side: float) -> float:
    """Return the share of a periodic cube nearer to one of its points than ``distance``.

    A ball, less the six caps that reach beyond the cube of nearest images, plus the twelve wedges in which two
    caps overlap. Their volume follows by the divergence theorem from the part of the sphere in them
    (Gauss-Bonnet) and from two segments of a circle.
    """
    r = distance / side
    if r >= 0.5 * math.sqrt(3.0):
        return 1.0
    share = 4.0 / 3.0 * math.pi * r**3
    if r > 0.5:
        share -= 2.0 * math.pi * (r - 0.5) ** 2 * (2.0 * r + 0.5)
    if r > math.sqrt(0.5):
        c = 0.5 / r
        ratio = c * c / (1.0 - c * c)
        solid_angle = (
            2.0 * math.pi - 2.0 * math.acos(-min(ratio, 1.0)) - 4.0 * c * math.acos(min(math.sqrt(ratio), 1.0))
        )
        square = r * r - 0.25
        segment = square * math.acos(min(0.5 / math.sqrt(square), 1.0)) - 0.5 * math.sqrt(max(square - 0.25, 0.0))
        share += 4.0 * (r**3 * solid_angle - segment)
    return min(share, 1.0)
