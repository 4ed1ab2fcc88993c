"""O-information of all triplets of many variables, from their correlations, in closed form."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit

Floats = NDArray[np.float64]

LEAST_DETERMINANT = 1e-12
"""Of a correlation matrix: below it variables count as functions of one another."""


@njit(cache=True, nogil=True, error_model="numpy")
def triplet_informations(
    correlation: Floats, n: int, bias: float, third: float
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Return value, variance and members of all triplets i < j < k; NaN where a triplet is singular.

    The value is ln[det R / prod (1 - r^2)] / 2 - bias. With r^2 the squared correlations, q^2 the squared partial ones
    and k_i = 1 - R_i^2 the share of each variable that the others leave, tr L^2 = 2 sum r^2 + 2 sum q^2 + 2 sum k - 6,
    see :mod:`.linear`.
    """
    m = correlation.shape[0]
    size = m * (m - 1) * (m - 2) // 6
    value, variance = np.empty(size), np.empty(size)
    members = np.empty((size, 3), np.int64)
    at = 0
    for i in range(m):
        for j in range(i + 1, m):
            a = correlation[i, j]
            free_a = 1.0 - a * a
            for k in range(j + 1, m):
                b, c = correlation[i, k], correlation[j, k]
                free_b, free_c = 1.0 - b * b, 1.0 - c * c
                determinant = 1.0 - a * a - b * b - c * c + 2.0 * a * b * c
                members[at, 0], members[at, 1], members[at, 2] = i, j, k
                if determinant < LEAST_DETERMINANT:
                    value[at], variance[at] = np.nan, np.nan
                    at += 1
                    continue
                value[at] = 0.5 * math.log(determinant / (free_a * free_b * free_c)) - bias
                # Squares of correlations, and of partial correlations given the third variable.
                ra, rb, rc = a * a, b * b, c * c
                qa = (a - b * c) ** 2 / (free_b * free_c)
                qb = (b - a * c) ** 2 / (free_a * free_c)
                qc = (c - a * b) ** 2 / (free_a * free_b)
                ki, kj, kk = determinant / free_c, determinant / free_b, determinant / free_a
                squares = ra + rb + rc + qa + qb + qc
                first = squares + ki + kj + kk - 3.0
                left = 1.0 - ki, 1.0 - kj, 1.0 - kk
                met = left[0] ** 2 + left[1] ** 2 + left[2] ** 2
                # Traces as in `linear.gaussian_sum` for single variables, pairs and all three, with 1, -1 and 1.
                second = (
                    6.0 + 4.0 * (ra * ra + rb * rb + rc * rc)
                    + 12.0 + 3.0 * 6.0
                    + 2.0 * ((1.0 + qa) ** 2 + (1.0 + qb) ** 2 + (1.0 + qc) ** 2 + 3.0 + qa * qa + qb * qb + qc * qc)
                    + 12.0 - 36.0 - 2.0 * (12.0 + 2.0 * met)
                )  # fmt: skip
                two = max(0.25 * second / n**2 - 3.0 * third, 0.0)
                variance[at] = max(first / n - 2.0 * two - 3.0 * third, 0.0) + two + third
                at += 1
    return value, variance, members
