"""Compiled moments of (conditional) information in a table of counts, to second order."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit

Counts = NDArray[np.int64]


@njit(cache=True, nogil=True, error_model="numpy")
def sums_by(counts: Counts, group: Counts, groups: int) -> Counts:
    """Return the sum of the counts of each group of cells."""
    found = np.zeros(groups, np.int64)
    for i in range(counts.size):
        found[group[i]] += counts[i]
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def information_moments(
    counts: Counts, xz: Counts, yz: Counts, z: Counts, n_xz: Counts, n_yz: Counts, n_z: Counts,
    z_of_xz: Counts, z_of_yz: Counts,
) -> NDArray[np.float64]:  # fmt: skip
    """Return moments of the plug-in estimate of I(X; Y | Z) in a table whose cells were all seen.

    Parameters
    ----------
    counts, xz, yz, z
        Of each cell: its count, and the numbers of its states of (X, Z), (Y, Z) and Z.
    n_xz, n_yz, n_z
        How often each of those states was seen.
    z_of_xz, z_of_yz
        The state of Z of each state of (X, Z) and (Y, Z).

    Returns
    -------
    moments
        Plug-in value; delta variance (sum p i^2 - I^2) / N of the pointwise information i; degrees of freedom of the
        null, sum over z of (states of X seen - 1) (states of Y seen - 1); cells seen less those of the margins,
        K_xyz - K_xz - K_yz + K_z, which is 2N times the bias; cells seen once; N; and how many terms of the chain of
        entropies are left, K_xyz + K_xz + K_yz + K_z less the pairs of equal counts with opposite signs.
    """
    total = 0
    singles = 0
    for i in range(counts.size):
        total += counts[i]
        singles += counts[i] == 1
    value, square = 0.0, 0.0
    for i in range(counts.size):
        own = math.log(float(counts[i]) * float(n_z[z[i]]) / (float(n_xz[xz[i]]) * float(n_yz[yz[i]])))
        p = counts[i] / total
        value += p * own
        square += p * own * own
    kinds_x, kinds_y = np.zeros(n_z.size, np.int64), np.zeros(n_z.size, np.int64)
    seen_x, seen_y, seen_z = 0, 0, 0
    for k in range(n_xz.size):
        if n_xz[k] > 0:
            kinds_x[z_of_xz[k]] += 1
            seen_x += 1
    for k in range(n_yz.size):
        if n_yz[k] > 0:
            kinds_y[z_of_yz[k]] += 1
            seen_y += 1
    degrees = 0
    for k in range(n_z.size):
        if n_z[k] > 0:
            seen_z += 1
            degrees += (kinds_x[k] - 1) * (kinds_y[k] - 1)
    cells_x, cells_y = np.zeros(n_xz.size, np.int64), np.zeros(n_yz.size, np.int64)
    for i in range(counts.size):
        cells_x[xz[i]] += 1
        cells_y[yz[i]] += 1
    alone = 0
    for i in range(counts.size):
        alone += (cells_x[xz[i]] == 1) | (cells_y[yz[i]] == 1)
    found = np.empty(7)
    found[0], found[1] = value, max(square - value * value, 0.0) / total
    found[2], found[3] = degrees, counts.size - seen_x - seen_y + seen_z
    found[4], found[5] = singles, total
    found[6] = counts.size + seen_x + seen_y + seen_z - 2 * alone
    return found
