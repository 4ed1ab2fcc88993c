"""Entropies of the eigenvalues of a second-moment matrix when one row is left out."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit

Floats = NDArray[np.float64]


@njit(cache=True, nogil=True, error_model="numpy")
def _secular(x: float, low: float, high: float, eigenvalues: Floats, squares: Floats) -> float:
    """Return 1 - sum z^2 / (l - x), times (x - low)(high - x): without the poles at both ends."""
    total = 0.0
    for k in range(eigenvalues.size):
        if squares[k] > 0.0:
            total += squares[k] / (eigenvalues[k] - x)
    return (1.0 - total) * (x - low) * (high - x)


@njit(cache=True, nogil=True, error_model="numpy")
def _root(low: float, high: float, eigenvalues: Floats, squares: Floats) -> float:
    """Return the eigenvalue between two neighbours, by Ridders' method; the function falls from one to the other."""
    width = high - low
    if width <= 1e-13 * high:
        return high
    a, b = low + 1e-12 * width, high - 1e-12 * width
    at_a = _secular(a, low, high, eigenvalues, squares)
    at_b = _secular(b, low, high, eigenvalues, squares)
    if at_a <= 0.0:
        return low
    if at_b >= 0.0:
        return high
    for _ in range(40):
        middle = 0.5 * (a + b)
        at_middle = _secular(middle, low, high, eigenvalues, squares)
        scale = math.sqrt(at_middle * at_middle - at_a * at_b)
        x = middle + (middle - a) * at_middle / scale
        at_x = _secular(x, low, high, eigenvalues, squares)
        if at_x > 0.0:
            a, at_a = x, at_x
            if at_middle < 0.0:
                b, at_b = middle, at_middle
        else:
            b, at_b = x, at_x
            if at_middle > 0.0:
                a, at_a = middle, at_middle
        if b - a <= 1e-12 * high or at_x == 0.0:
            return x
    return 0.5 * (a + b)


@njit(cache=True, nogil=True, error_model="numpy")
def entropies_without(eigenvalues: Floats, rows: Floats, factor: float) -> Floats:
    """Return, for each row y, the entropy of the normalised eigenvalues of diag(l) - factor y y'.

    Parameters
    ----------
    eigenvalues
        l, ascending, shape (r,).
    rows
        In the eigenvectors' coordinates, shape (n, r).
    factor
        1, or n / (n - 1) where the rows are deviations from their mean.
    """
    n, r = rows.shape
    found = np.empty(n)
    squares = np.empty(r)
    for i in range(n):
        length = 0.0
        for k in range(r):
            squares[k] = factor * rows[i, k] * rows[i, k]
            length += squares[k]
        total, entropy = 0.0, 0.0
        for k in range(r):
            low = eigenvalues[k - 1] if k > 0 else min(0.0, eigenvalues[0] - length)
            value = _root(low, eigenvalues[k], eigenvalues, squares)
            if value > 0.0:
                total += value
                entropy -= value * math.log(value)
        found[i] = entropy / total + math.log(total) if total > 0.0 else np.nan
    return found
