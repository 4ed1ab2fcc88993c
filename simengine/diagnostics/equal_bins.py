"""Equal-bin histograms inside compiled kernels, and the plug-in entropy of their counts.

The binning is that of :func:`numpy.histogram` with ``bins`` and ``range`` given, bit for bit: the edges are
those of :func:`numpy.linspace`, bins are closed on the left, the last one on both sides, values outside are
dropped. The entropy is the plain plug-in estimate; it is *not* corrected for the number of samples.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit
from simengine.diagnostics.counts.kernels import share_moments

UNDEFINED = 0.5
"""The value given to an entropy of which nothing could be counted."""


@njit(cache=True, nogil=True, error_model="numpy")
def equal_edges(low: float, high: float, bins: int) -> NDArray[np.float64]:
    """Return the ``bins + 1`` edges of equal bins over ``[low, high]``, as ``numpy.linspace`` rounds them."""
    edges = np.empty(bins + 1)
    step = (high - low) / bins
    for k in range(bins):
        edges[k] = k * step + low
    edges[bins] = high
    return edges


@njit(cache=True, nogil=True, error_model="numpy")
def bin_of(value: float, edges: NDArray[np.float64]) -> int:
    """Return the bin of ``value`` between equally spaced, rising ``edges``; -1 if it is outside or NaN."""
    last = edges.size - 2
    low, high = edges[0], edges[last + 1]
    if not (low <= value <= high):
        return -1
    index: int = min(int((value - low) * ((last + 1) / (high - low))), last)
    # The product may be off by one bin where the value lies within rounding of an edge; the edges decide.
    # Sums of truth values, not branches: three times faster here.
    index -= value < edges[index]
    index += (index < last) & (value >= edges[index + 1])
    return index


@njit(cache=True, nogil=True, error_model="numpy")
def plug_in_entropy(weights: NDArray[np.float64]) -> float:
    """Return the Shannon entropy of non-negative ``weights`` (shape (B,)) divided by ln B, in [0, 1].

    Weights are normalised to sum 1; empty bins add nothing. :data:`UNDEFINED` if all weights are zero.
    """
    total = 0.0
    for k in range(weights.size):
        total += weights[k]
    if total == 0.0:
        return UNDEFINED
    return min(share_moments(weights, total)[0] / math.log(weights.size), 1.0)
