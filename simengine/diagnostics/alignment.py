"""Histogram of the alignment of all pairs of headings, in memory that grows with N only.

All N (N - 1) / 2 pairs enter; nothing is sampled. Their cosines are computed in single precision and
binned; where one comes so near a bin edge that single precision cannot tell the side, the pair is computed
again in double precision. So the counts are those of double precision, in less than half the time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit
from simengine.diagnostics.equal_bins import bin_of, equal_edges

MOST_BINS = 40
"""Greatest number of bins: the table of joint bins has to stay in the nearest cache."""

_TWO = np.float32(2.0)
_HALF = np.float32(0.5)
# In bins. For 40 bins single precision errs by at most 8 * 20 * 2**-24 = 1e-5 bins: four roundings in each
# product, two in their sum, and one, of a number up to 40, in the position.
_DOUBT = np.float32(2e-5)


@njit(cache=True, nogil=True, error_model="numpy")
def _bin_of_pair(unit: NDArray[np.float64], i: int, j: int, edges: NDArray[np.float64]) -> int:
    """Return the bin of one pair in double precision."""
    cosine = unit[i, 0] * unit[j, 0] + unit[i, 1] * unit[j, 1] + unit[i, 2] * unit[j, 2]
    return bin_of((min(max(cosine, -1.0), 1.0) + 1.0) / 2.0, edges)


@njit(cache=True, nogil=True, error_model="numpy")
def pair_alignment_counts(unit: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """Count all pairs of unit vectors by ``(u_i . u_j + 1) / 2`` in equal bins over [0, 1].

    Parameters
    ----------
    unit
        Unit vectors, shape (N, 3).
    bins
        Number of bins, at most :data:`MOST_BINS`. Binning as in :func:`numpy.histogram`, but a cosine that
        rounding puts beyond -1 or 1 counts as -1 or 1.

    Returns
    -------
    counts
        Shape (bins,), sum N (N - 1) / 2. Time O(N^2), memory O(N).
    """
    n = unit.shape[0]
    edges = equal_edges(0.0, 1.0, bins)
    x, y, z = unit[:, 0].astype(np.float32), unit[:, 1].astype(np.float32), unit[:, 2].astype(np.float32)
    width = np.float32(bins)
    scale = _HALF * width
    lowest, highest = _TWO * _DOUBT, width - _TWO * _DOUBT
    certain = _HALF - _DOUBT
    in_doubt = bins * bins
    doubtful = np.float32(in_doubt)
    # Two pairs share one increment (of bin_a * bins + bin_b), in four tables so that equal pairs in a row do
    # not wait for each other. Unsigned indices spare the test for negative ones.
    table = np.zeros((4, bins * bins + 1), np.int64)
    signed = np.empty(n // 2 + 1, np.int32)
    joint = signed.view(np.uint32)
    counts = np.zeros(bins, np.int64)
    for i in range(n - 1):
        half = (n - 1 - i) // 2
        first, second = i + 1, i + 1 + half
        x_i, y_i, z_i = x[i] * scale, y[i] * scale, z[i] * scale
        for j in range(half):
            a = x_i * x[first + j] + y_i * y[first + j] + z_i * z[first + j] + scale
            b = x_i * x[second + j] + y_i * y[second + j] + z_i * z[second + j] + scale
            # Nothing is in doubt at the two ends: beyond them there is no other bin.
            a = min(max(a, lowest), highest)
            b = min(max(b, lowest), highest)
            bin_a, bin_b = np.floor(a), np.floor(b)
            off_centre = max(abs(a - bin_a - _HALF), abs(b - bin_b - _HALF))
            signed[j] = np.int32(doubtful if off_centre > certain else bin_a * width + bin_b)
        for j in range(0, half - 3, 4):
            table[0, joint[j]] += 1
            table[1, joint[j + 1]] += 1
            table[2, joint[j + 2]] += 1
            table[3, joint[j + 3]] += 1
        for j in range(half - half % 4, half):
            table[0, joint[j]] += 1
        if table[:, in_doubt].any():
            table[:, in_doubt] = 0
            for j in range(half):
                if signed[j] == in_doubt:
                    counts[_bin_of_pair(unit, i, first + j, edges)] += 1
                    counts[_bin_of_pair(unit, i, second + j, edges)] += 1
        if (n - 1 - i) % 2 == 1:
            counts[_bin_of_pair(unit, i, n - 1, edges)] += 1
    for t in range(4):
        for a in range(bins):
            for b in range(bins):
                counts[a] += table[t, a * bins + b]
                counts[b] += table[t, a * bins + b]
    return counts
