"""Mutual information of variables that sit partly on exact values: opinions clipped to +-1, zeros of a stock.

With A the atom on which x sits (0 for none) and B likewise for y, the chain rule gives

    I(X; Y) = I(A; B) + P(A = 0) I(X; B | A = 0) + P(B = 0) I(A; Y | B = 0) + P(A = B = 0) I(X; Y | A = B = 0),

and each term has an estimator without ties: counts (Grassberger 2003), labels against numbers (Ross 2014) twice, and
neighbours (Kraskov et al. 2004) on what is left. An atom is a value that at least max(5, 1 % of the samples) share;
for vectors, a row. Without atoms this is the neighbour estimator, with nothing but atoms that of counts.

Validity: as for the neighbour estimators (:mod:`~simengine.diagnostics.continuous.mutual`), except that atoms are
resolved; values repeated more rarely than atoms are ("ties") are not. A part with fewer than 50 samples and 5 % of
them all raises ``few_samples``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics.continuous import margins, pipeline
from simengine.diagnostics.continuous.gaussian import information_interval
from simengine.diagnostics.continuous.measures import Measure, information_variance, mutual
from simengine.diagnostics.continuous.mixed import Labelled
from simengine.diagnostics.continuous.mutual import FEWEST, MOST_DIMENSIONS, NULL, Options, nothing
from simengine.diagnostics.counts.kernels import grassberger
from simengine.diagnostics.estimate import Estimate, flagged
from simengine.diagnostics.reliability import extrapolated

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

FEWEST_OF_PART = 50


@dataclass
class _Sum:
    """The terms so far: the value, each sample's contribution times n, the variance from corrections, the doubts."""

    value: float
    local: Array
    extra: float
    few: bool = False
    bends: bool = False


def atom_aware_mutual_information(x: Array, y: Array, options: Options) -> Estimate:
    """Estimate the mutual information of x, shape (n, dx), and y, shape (n, dy), either partly on exact values."""
    options.checked(len(x))
    a, b = margins.varying(x), margins.varying(y)
    if not a.shape[1] or not b.shape[1]:
        return nothing(len(x), "atom-aware")
    n, d = len(a), a.shape[1] + b.shape[1]
    on_x, on_y = margins.atoms(a), margins.atoms(b)
    found = _chain(a, b, on_x, on_y, options)
    noisy = information_variance(found.local, options.k) / n + found.extra
    kinds_x, kinds_y = len(np.unique(on_x)), len(np.unique(on_y))
    error = math.sqrt(noisy + (kinds_x - 1) * (kinds_y - 1) / (2.0 * n**2))
    details: dict[str, object] = {
        "k": options.k, "scale": options.scale, "local": found.local,
        "atoms_x": int(on_x.max()), "atoms_y": int(on_y.max()),
        "share_on_atoms": float(np.count_nonzero((on_x > 0) | (on_y > 0))) / n,
    }  # fmt: skip
    stable = not found.bends
    if options.reliability:
        plain = replace(options, correct=False)

        def of_rows(rows: NDArray[np.intp]) -> float:
            if len(rows) <= options.k + 1:
                return math.nan
            return _chain(a[rows], b[rows], on_x[rows], on_y[rows], plain).value

        parts = extrapolated(of_rows, n, error, seed=options.seed)
        details |= {"extrapolated": parts.value, "slope": parts.slope, "parts": parts.means}
        stable = stable and (parts.stable or n < 20 * (options.k + 1))
    free_x, free_y = a[on_x == 0], b[on_y == 0]
    tied = any(len(free) > 1 and margins.repeated_share(free) > margins.ATOM_SHARE for free in (free_x, free_y))
    partial = any(len(free) > 1 and margins.atom_share(free) > margins.ATOM_SHARE for free in (free_x, free_y))
    flags = flagged(
        "few_samples" if n < max(FEWEST, 100 * d) or found.few else None,
        "high_dimension" if d > MOST_DIMENSIONS else None,
        "ties" if tied and not partial else None,
        "atoms" if partial else None,
        "heavy_tails" if d > 2 and margins.heavy_tailed(np.hstack([a, b])) else None,
        "saturated" if found.value > 0.5 * math.log(n) else None,
        None if stable else "unstable_subsamples",
        "constant" if a.shape[1] < x.shape[1] or b.shape[1] < y.shape[1] else None,
    )
    null_mean, null_sd = _null(a, b, on_x, on_y, options)
    return Estimate(
        found.value, error, information_interval(found.value, error), null_mean, null_sd, n=n, method="atom-aware",
        flags=flags, null=NULL if options.shuffles else "", details=details,
    )  # fmt: skip


def _chain(a: Array, b: Array, on_x: Codes, on_y: Codes, options: Options) -> _Sum:
    """The four terms."""
    counted, local = _of_counts(on_x, on_y)
    found = _Sum(counted, local, 0.0)
    _add(found, on_x == 0, a, on_y, options)
    _add(found, on_y == 0, b, on_x, options)
    free = (on_x == 0) & (on_y == 0)
    _add(found, free, np.hstack([a, b]), None, options, a.shape[1])
    return found


def _add(
    found: _Sum, where: NDArray[np.bool_], points: Array, labels: Codes | None, options: Options, dx: int = 0
) -> None:
    """Add a term of some of the samples: numbers against labels, or, without labels, the first columns and the rest."""
    n, m = len(where), int(np.count_nonzero(where))
    if m == 0:
        return
    share = m / n
    if labels is not None and len(np.unique(labels[where])) < 2:
        return
    if m <= 2 * options.k:
        found.few |= share > 0.05
        return
    found.few |= m < FEWEST_OF_PART and share > 0.05
    inside = margins.scaled(points[where], options.scale)
    measure: Measure
    if labels is None:
        measure = mutual(dx, points.shape[1] - dx)
    else:
        measure = Labelled()
        inside = np.hstack([inside, labels[where][:, None].astype(np.float64)])
    result = pipeline.estimated(
        measure, np.ascontiguousarray(inside), options.k, correct=options.correct,
        scores=options.scale == margins.NORMAL_SCORES, queries=None, seed=options.seed, threads=options.threads,
    )  # fmt: skip
    found.value += share * result.value
    if len(result.local) == m:
        found.local[where] += result.local
    else:
        found.local[where] += result.value
    own = information_variance(result.local, options.k) / m
    found.extra += share**2 * max(result.standard_error**2 - own, 0.0)
    found.bends |= (result.contested and share > 0.05) or share * abs(result.bend) > max(
        abs(found.value) / 6.0, 3.0 * result.shift, 2.0 * math.sqrt(own)
    )


def _of_counts(on_x: Codes, on_y: Codes) -> tuple[float, Array]:
    """I(A; B) by Grassberger's estimator, and each sample's part of it."""
    n = len(on_x)
    local = np.zeros(n)
    for codes, sign in ((on_x, 1.0), (on_y, 1.0), (on_x * (on_y.max() + 1) + on_y, -1.0)):
        _, where, sizes = np.unique(codes, return_inverse=True, return_counts=True)
        if len(sizes) == 1:
            continue
        local += sign * (math.log(n) - np.array([grassberger(int(size)) for size in sizes])[where])
    return math.fsum(local.tolist()) / n, local


def _null(a: Array, b: Array, on_x: Codes, on_y: Codes, options: Options) -> tuple[float, float]:
    if not options.shuffles:
        return math.nan, math.nan
    random = np.random.Generator(np.random.Philox(options.seed))
    plain, values = replace(options, correct=False), []
    for _ in range(options.shuffles):
        order = random.permutation(len(a))
        values.append(_chain(a[order], b, on_x[order], on_y, plain).value)
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
