"""Whether parts of the data tell the same as all of it: the subsample-extrapolate protocol.

Abdelaleem, Martini & Nemenman (arXiv 2506.00330): cut the samples, in one random order, into gamma equal parts for
gamma = 1, 2, ...; average the estimates of the parts; an estimator that is right has a bias that is linear in
gamma / N, and the intercept of the line is the value at infinitely many samples. Where the curve bends, or where the
whole of the data does not lie on the line of its parts, the value is not to be trusted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PARTS = (1, 2, 3, 4, 5)
"""Numbers of parts, gamma, by default."""

SLOPE = 0.05
"""Greatest relative change from gamma = 1 to 0."""

SHIFT = 0.2
"""Greatest relative shift of the intercept when the whole of the data is left out (of the paper)."""


@dataclass(frozen=True)
class Extrapolation:
    """What the parts say: the intercept at infinitely many samples, its error, and whether they agree.

    ``value`` is I_inf of I(N / gamma) = I_inf + slope gamma, ``standard_error`` that of the intercept, ``slope`` the
    change of the value per unit of gamma, and ``means`` the mean estimate for each gamma.
    """

    value: float
    standard_error: float
    slope: float
    means: NDArray[np.float64]
    stable: bool


def extrapolated(
    estimate: Callable[[NDArray[np.intp]], float], n: int, standard_error: float, *,
    parts: Sequence[int] = PARTS, seed: int = 0,
) -> Extrapolation:  # fmt: skip
    """Estimate from parts of the samples and extrapolate to infinitely many.

    The value counts as unstable if a part has none, or if one of two changes exceeds twice the standard error:

    - that of the line from gamma = 1 to 0, abs(slope), and it exceeds 5 % of the value too;
    - that of the intercept when the whole of the data is left out, and it exceeds SHIFT of the value too.

    Parameters
    ----------
    estimate
        From row numbers, ascending, to the value of these samples.
    n
        Number of samples.
    standard_error
        That of the value of all samples.
    parts
        Numbers of parts, at least three, beginning with 1.
    seed
        Of the random order.
    """
    order = np.random.Generator(np.random.Philox(seed)).permutation(n)
    means = np.array([
        math.fsum(estimate(np.sort(part)) for part in np.array_split(order, gamma)) / gamma for gamma in parts
    ])  # fmt: skip
    gamma = np.asarray(parts, dtype=np.float64)
    # A mean of gamma parts of N / gamma samples has about the variance of one estimate of all: equal weights.
    (value, slope), inverse = _line(gamma, means)
    (without, _), _ = _line(gamma[1:], means[1:])
    size = abs(float(means[0]))
    changes = ((abs(float(slope)), SLOPE), (abs(float(without - value)), SHIFT))
    moved = any(change > 2.0 * standard_error and change > most * size for change, most in changes)
    stable = bool(np.isfinite(means).all()) and not moved
    return Extrapolation(float(value), standard_error * math.sqrt(inverse[0, 0]), float(slope), means, stable)


def _line(gamma: NDArray[np.float64], means: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return intercept and slope of the line through the means, and what their variance is in units of a mean's."""
    design = np.stack([np.ones_like(gamma), gamma], axis=1)
    inverse = np.linalg.inv(design.T @ design)
    found: NDArray[np.float64] = inverse @ design.T @ means
    return found, inverse
