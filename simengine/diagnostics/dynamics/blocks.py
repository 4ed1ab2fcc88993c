"""Signed sums of entropies of words: predictive information, entropy rates.

With H(L) the entropy of words of L symbols and g_i = -H(i + 2) + 2 H(i + 1) - H(i) the information that a symbol i
steps further back adds, a sum of c_L H(L) without an extensive part is a sum of w_i g_i. For independent symbols the
plug-in g_i are independent chi-squares over 2 n, which gives bias, null and the part of the variance that is left
where the first order vanishes. All words begin at the same windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics.dynamics.tally import joined, surprisal

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Blocks:
    """The plug-in sum, its terms of shape (m, windows), and the numbers of different words of 0, 1, ..., L symbols."""

    local: NDArray[np.float64]
    kinds: NDArray[np.int64]

    @property
    def n(self) -> int:
        """Number of windows."""
        return self.local.size

    @property
    def plug_in(self) -> float:
        """Sum of coefficients times plug-in entropies."""
        return float(self.local.mean())


def of_words(codes: Codes, states: int, coefficients: Mapping[int, float]) -> Blocks:
    """Count words of all lengths up to the longest; ``coefficients`` are c_L by length L."""
    rows, steps = codes.shape
    longest = max(coefficients)
    windows = steps - longest + 1
    found, seen = np.ascontiguousarray(codes[:, :windows]).ravel(), states
    total = np.zeros(found.size)
    kinds = np.ones(longest + 1, np.int64)
    for length in range(1, longest + 1):
        if length > 1:
            found, seen = joined(found, seen, np.ascontiguousarray(codes[:, length - 1 :][:, :windows]).ravel(), states)
        local, kinds[length] = surprisal(found, seen)
        total += coefficients.get(length, 0.0) * local
    return Blocks(np.ascontiguousarray(total.reshape(rows, windows)), kinds)


def weights(coefficients: Mapping[int, float]) -> NDArray[np.float64]:
    """Return w_i of g_i, i = 0, ..., L - 2, from c_L = -w_{L-2} + 2 w_{L-1} - w_L."""
    longest = max(coefficients)
    found = np.zeros(longest + 1)
    for length in range(longest, 1, -1):
        found[length - 2] = -coefficients.get(length, 0.0) + 2.0 * found[length - 1] - found[length]
    return found[: longest - 1]


def chi_squares(blocks: Blocks, weight: NDArray[np.float64]) -> dict[str, Any]:
    """Return the bias, and the variance of the null times 2 n^2, from the numbers of words seen."""
    kinds = blocks.kinds
    dof = np.maximum(kinds[2:] - 2.0 * kinds[1:-1] + kinds[:-2], 0.0)
    bias = float(weight @ (kinds[2:] - 2.0 * kinds[1:-1] + kinds[:-2])) / (2.0 * blocks.n)
    return {"bias": bias, "scatter": float(weight**2 @ dof), "dof": float(dof.sum())}


def most(states: int, longest: int) -> float:
    """Return the degrees of freedom of all g_i if every word occurs, the sum of (|Y| - 1)^2 |Y|^i."""
    return (states - 1.0) * (float(states) ** (longest - 1) - 1.0)
