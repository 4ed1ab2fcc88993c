"""The frame that a school carries with it: its centroid, its principal axes and its angular momentum.

Nothing here depends on where the axes of space or the borders of a periodic box lie.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit
from simengine.random.draws import sincos_turn

Floats = NDArray[np.float64]

_BLOCK = 256
_SWEEPS = 8


class Frame(NamedTuple):
    """A school seen from its centroid."""

    unit: Floats
    """Unit headings, (N, 3)."""
    offset: Floats
    """Places relative to the centroid, (N, 3)."""
    nearness: Floats
    """One over the distance from the centroid, (N,); 0 for whoever is there."""
    mean_heading: Floats
    """Mean of the unit headings, (3,)."""
    mean_momentum: Floats
    """Mean of ``h x u``, h the direction from the centroid and u the heading, (3,)."""
    mean_square: float
    """Mean squared distance from the centroid."""
    heading_axis: Floats
    """Principal axis of the headings: eigenvector of the greatest eigenvalue of the mean of ``u u^T``, (3,)."""
    momentum_axis: Floats
    """Principal axis of the angular momenta, likewise, (3,)."""
    extents: Floats
    """Principal variances of the places, rising, (3,); divisor N."""
    axes: Floats
    """Their axes, one a row, (3, 3); the first is the thinnest."""


@njit(cache=True, nogil=True, error_model="numpy")
def principal_axes(matrix: Floats) -> tuple[Floats, Floats]:
    """Return the eigenvalues, rising, and eigenvectors (rows) of a symmetric 3 x 3 matrix.

    Cyclic Jacobi rotations (Golub & Van Loan, Matrix Computations, section 8.5). The sign of a vector is arbitrary.
    """
    a = matrix.copy()
    rows = np.eye(3)
    for _ in range(_SWEEPS):
        for p in range(2):
            for q in range(p + 1, 3):
                if a[p, q] == 0.0:
                    continue
                r = 3 - p - q
                ratio = (a[q, q] - a[p, p]) / (2.0 * a[p, q])
                tangent = math.copysign(1.0, ratio) / (abs(ratio) + math.hypot(1.0, ratio))
                cosine = 1.0 / math.sqrt(1.0 + tangent * tangent)
                sine = tangent * cosine
                a[p, p] -= tangent * a[p, q]
                a[q, q] += tangent * a[p, q]
                a[p, q] = a[q, p] = 0.0
                pr, qr = a[p, r], a[q, r]
                a[p, r] = a[r, p] = cosine * pr - sine * qr
                a[q, r] = a[r, q] = sine * pr + cosine * qr
                for k in range(3):
                    pk, qk = rows[p, k], rows[q, k]
                    rows[p, k] = cosine * pk - sine * qk
                    rows[q, k] = sine * pk + cosine * qk
    order = np.argsort(np.diag(a))
    return np.diag(a)[order], rows[order]


@njit(cache=True, nogil=True, error_model="numpy")
def circular_mean(position: Floats, side: float) -> Floats:
    """Return the per-axis circular mean of places in a periodic cube: the angle of sum exp(2 pi i x / L)."""
    n = position.shape[0]
    mean = np.empty(3)
    turns, sines, cosines = np.zeros(_BLOCK), np.empty(_BLOCK), np.empty(_BLOCK)
    per_side = 1.0 / side
    for axis in range(3):
        sine, cosine = 0.0, 0.0
        for begin in range(0, n, _BLOCK):
            count = min(_BLOCK, n - begin)
            for k in range(count):
                turns[k] = position[begin + k, axis] * per_side
            # The whole block, so that the loop is vectorised without a remainder.
            for k in range(_BLOCK):
                sines[k], cosines[k] = sincos_turn(turns[k])
            for k in range(count):
                sine += sines[k]
                cosine += cosines[k]
        mean[axis] = math.atan2(sine, cosine) / (2.0 * math.pi) * side
    return mean


@njit(cache=True, nogil=True, error_model="numpy")
def offsets_from_centroid(position: Floats, side: float) -> Floats:
    """Return the places relative to their centroid, (N, 3); ``side`` is that of the periodic cube or ``inf``.

    In a box the nearest images of the agents to the circular mean are taken, and then their plain mean: a school
    that fits into half of the box has the offsets it would have in open space.
    """
    n = position.shape[0]
    offset = np.empty((n, 3))
    if side == np.inf:
        start = position[0].copy()
        for i in range(n):
            for axis in range(3):
                offset[i, axis] = position[i, axis] - start[axis]
    else:
        start = circular_mean(position, side)
        per_side = 1.0 / side
        for i in range(n):
            for axis in range(3):
                x = position[i, axis] - start[axis]
                offset[i, axis] = x - side * math.floor(x * per_side + 0.5)
    x, y, z = 0.0, 0.0, 0.0
    for i in range(n):
        x += offset[i, 0]
        y += offset[i, 1]
        z += offset[i, 2]
    mean = (x / n, y / n, z / n)
    for i in range(n):
        for axis in range(3):
            offset[i, axis] -= mean[axis]
    return offset


@njit(cache=True, nogil=True, error_model="numpy")
def school_frame(position: Floats, heading: Floats, side: float) -> Frame:
    """Return the :class:`Frame` of a school; sums run over the rows from first to last.

    Parameters
    ----------
    position, heading
        Shape (N, 3); headings of any length but zero.
    side
        Side of the periodic cube, or ``inf``.
    """
    n = position.shape[0]
    offset = offsets_from_centroid(position, side)
    unit = np.empty((n, 3))
    nearness = np.empty(n)
    for i in range(n):
        a, b, c = heading[i, 0], heading[i, 1], heading[i, 2]
        scale = 1.0 / math.sqrt(a * a + b * b + c * c)
        unit[i, 0], unit[i, 1], unit[i, 2] = a * scale, b * scale, c * scale
        a, b, c = offset[i, 0], offset[i, 1], offset[i, 2]
        distance = math.sqrt(a * a + b * b + c * c)
        nearness[i] = 1.0 / distance if distance > 0.0 else 0.0
    ux, uy, uz, mx, my, mz = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    uxx, uxy, uxz, uyy, uyz, uzz = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    mxx, mxy, mxz, myy, myz, mzz = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    cxx, cxy, cxz, cyy, cyz, czz = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        a, b, c = unit[i, 0], unit[i, 1], unit[i, 2]
        x, y, z = offset[i, 0], offset[i, 1], offset[i, 2]
        p = (y * c - z * b) * nearness[i]
        q = (z * a - x * c) * nearness[i]
        r = (x * b - y * a) * nearness[i]
        ux, uy, uz = ux + a, uy + b, uz + c
        uxx, uxy, uxz = uxx + a * a, uxy + a * b, uxz + a * c
        uyy, uyz, uzz = uyy + b * b, uyz + b * c, uzz + c * c
        mx, my, mz = mx + p, my + q, mz + r
        mxx, mxy, mxz = mxx + p * p, mxy + p * q, mxz + p * r
        myy, myz, mzz = myy + q * q, myz + q * r, mzz + r * r
        cxx, cxy, cxz = cxx + x * x, cxy + x * y, cxz + x * z
        cyy, cyz, czz = cyy + y * y, cyz + y * z, czz + z * z
    _, heading_axes = principal_axes(np.array([[uxx, uxy, uxz], [uxy, uyy, uyz], [uxz, uyz, uzz]]) / n)
    _, momentum_axes = principal_axes(np.array([[mxx, mxy, mxz], [mxy, myy, myz], [mxz, myz, mzz]]) / n)
    extents, axes = principal_axes(np.array([[cxx, cxy, cxz], [cxy, cyy, cyz], [cxz, cyz, czz]]) / n)
    return Frame(
        unit,
        offset,
        nearness,
        np.array([ux, uy, uz]) / n,
        np.array([mx, my, mz]) / n,
        (cxx + cyy + czz) / n,
        heading_axes[2],
        momentum_axes[2],
        extents,
        axes,
    )
