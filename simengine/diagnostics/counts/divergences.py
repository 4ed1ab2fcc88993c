"""How far apart distributions are, from counts: Kullback & Leibler, Jensen & Shannon, Hellinger, Wasserstein, PSI.

Each is given with its bias subtracted as far as that is known, its error and its null, which is that all samples come
from one distribution. There each is a chi-square variable with K - 1 degrees of freedom times a constant (K the number
of bins that hold anything), so that mean and spread of the null are exact to first order, and intervals are made on
the scale of its root. Values may be negative, intervals are cut at 0.

Declared validity: at least 50 samples on each side, five of them for each bin that holds anything (else
``few_samples``), ten for Jensen & Shannon's and Hellinger's; plug-in estimates that their bias stays below a fifth of a
standard error; logarithms of ratios also ask that every bin that one side holds is held by the other, where they
need it (else ``unseen_states``). Empty bins are given about half a count: in the estimators of Zhang & Grabchak by
psi(1) = ln 0.56, in plug-in estimates and variances by 1/2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, digamma, ndtr

from simengine.diagnostics import checks
from simengine.diagnostics.counts.intervals import root_interval
from simengine.diagnostics.counts.labelled import labelled_counts, together
from simengine.diagnostics.counts.tables import bin_edges
from simengine.diagnostics.estimate import QUANTILE, Estimate, checked_unit, flagged, stacked
from simengine.diagnostics.samples import as_array, checked_counts
from simengine.errors import InputError, nearest

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

NULL = "all samples come from one distribution"
FEWEST = 50
FEWEST_A_BIN = 5
FEWEST_ROOTS = 10
ESTIMATORS = ZHANG_GRABCHAK, PLUG_IN = "zhang-grabchak", "plug-in"


def kl_divergence(p: Any, q: Any, *, estimator: str = ZHANG_GRABCHAK, unit: str = "nat") -> Estimate:
    """Estimate the relative entropy sum p ln(p / q) of two distributions from counts.

    Parameters
    ----------
    p, q
        Counts of the same bins, shape (K,) or (..., K).
    estimator
        ``zhang-grabchak``: sum p [psi(n) - psi(N) - psi(m + 1) + psi(M + 1)] with the counts n of N and m of M samples
        (2014, Neural Computation 26, 2570), whose bias falls exponentially; ``plug-in``: with half a count in bins
        that q does not hold, too large by about (K - 1)(1/N + 1/M) / 2.
    unit
        "nat" or "bit".
    """
    checks.one_of(estimator, ESTIMATORS, "estimator")
    checked_unit(unit)
    return _pairs(p, q, lambda a, b: _kl(a, b, estimator)).to(unit)


def population_stability_index(p: Any, q: Any, *, estimator: str = ZHANG_GRABCHAK, unit: str = "nat") -> Estimate:
    """Estimate sum (p - q) ln(p / q), the relative entropy both ways, from counts; also called Jeffreys' divergence.

    The usual thresholds 0.1 and 0.25 mean nothing without the null, which grows as 1/N + 1/M. Arguments as in
    :func:`kl_divergence`.
    """
    checks.one_of(estimator, ESTIMATORS, "estimator")
    checked_unit(unit)
    return _pairs(p, q, lambda a, b: _psi(a, b, estimator)).to(unit)


def cross_entropy_from_counts(p: Any, q: Any, *, unit: str = "nat") -> Estimate:
    """Estimate -sum p ln q from counts by Zhang & Grabchak's estimator of ln q: psi(m + 1) - psi(M + 1).

    The null is that q equals p: its mean is the entropy of both samples together.
    """
    checked_unit(unit)
    return _pairs(p, q, _cross).to(unit)


def jensen_shannon(counts: Any, *others: Any, weights: Any = None, unit: str = "nat") -> Estimate:
    """Estimate the generalised Jensen-Shannon divergence H(sum w_j p_j) - sum w_j H(p_j) from counts.

    Parameters
    ----------
    counts, others
        Two or more arrays of counts of the same bins, shape (K,) or (..., K); or one of shape (..., J, K).
    weights
        Of the J distributions, scaled to sum 1; by default all equal. ``"samples"`` weighs by the numbers of samples,
        which makes the divergence the mutual information between the bin and which sample it is in.
    unit
        "nat" or "bit".
    """
    if others:
        named = {f"distribution {place}": one for place, one in enumerate((counts, *others))}
        arrays, dims, coords = together(named)
        table = np.stack(arrays, axis=-2)
    else:
        table, dims, coords = labelled_counts(counts, inner=2)
    checked_unit(unit)
    if table.ndim < 2 or table.shape[-2] < 2:
        raise InputError(f"counts has shape {table.shape}; expected at least two distributions, shape (..., J, K)")
    fixed = _weights(weights, table.shape[-2])
    rows = table.reshape(-1, *table.shape[-2:])
    return stacked([_jensen_shannon(one, fixed) for one in rows], table.shape[:-2], dims, coords).to(unit)


def hellinger(p: Any, q: Any) -> Estimate:
    """Estimate Hellinger's distance sqrt(1 - sum sqrt(p q)), in [0, 1], from counts.

    The bias of its square is subtracted; where the square is then negative, so is the value, with the root of its
    modulus. Its error is half the interval over 1.96.
    """
    return _pairs(p, q, _hellinger)


def wasserstein(p: Any, q: Any, *, bins: Any = None, range: tuple[float, float] | None = None) -> Estimate:
    """Estimate the 1-Wasserstein distance of two distributions over bins, sum |F - G| times the distance of centres.

    All that is in a bin counts as lying in its centre. ``bins`` are the edges, or their number with ``range``; by
    default the bins are 1 apart. The value has the unit of the edges.
    """
    width = checked_counts(p, "p").shape[-1]
    edges = np.arange(width + 1.0) if bins is None else bin_edges(bins, range)
    if edges.size != width + 1:
        raise InputError(f"bins has {edges.size} edges for {width} counts; expected {width + 1}")
    steps = np.diff(0.5 * (edges[1:] + edges[:-1]))
    return _pairs(p, q, lambda a, b: _wasserstein(a, b, steps))


def _pairs(p: Any, q: Any, estimate: Callable[[Counts, Counts], Estimate]) -> Estimate:
    """Apply an estimator of two distributions along the last axis."""
    (a, b), dims, coords = together({"p": p, "q": q})
    rows = zip(a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1]), strict=True)
    return stacked([_empty(one, other) or estimate(one, other) for one, other in rows], a.shape[:-1], dims, coords)


def _empty(*counts: Counts) -> Estimate | None:
    if all(one.any() for one in counts):
        return None
    return Estimate(math.nan, n=0, flags=flagged("empty"), null=NULL)


def _flags(counts: Sequence[Counts], unseen: bool = False, a_bin: int = FEWEST_A_BIN) -> tuple[str, ...]:
    together = np.sum(counts, axis=0)
    held = int(np.count_nonzero(together))
    fewest = min(int(one.sum()) for one in counts)
    return flagged(
        "few_samples" if fewest < max(FEWEST, a_bin * held) else None,
        "unseen_states" if unseen else None,
        "constant" if held == 1 else None,
    )


def _held(n: Counts, m: Counts) -> tuple[Counts, Counts]:
    held = (n > 0) | (m > 0)
    return n[held], m[held]


def _finished(
    value: float, first: float, plug_in: float, scale: float, method: str, flags: tuple[str, ...], n: Counts, m: Counts,
    null_mean: float,
) -> Estimate:  # fmt: skip
    """Return the estimate of what is ``scale`` times a chi-square variable at the null.

    Of the variance by the delta method, 2 ``second`` is too much at the null.
    """
    degrees = np.count_nonzero(n + m) - 1
    second = 2.0 * degrees * scale * scale
    error = math.sqrt(max(first - 2.0 * second, 0.0) + second)
    interval = root_interval(value, first, plug_in, second) if degrees else (0.0, 0.0)
    if null_mean > 0.2 * error:
        flags = flagged(*flags, "few_samples")
    return Estimate(
        value, error, interval, null_mean, math.sqrt(second), int(min(n.sum(), m.sum())), method=method, flags=flags,
        null=NULL, details={"plug_in": plug_in, "degrees": int(degrees)},
    )  # fmt: skip


def _smooth(counts: Counts) -> Floats:
    """Return shares in which empty bins hold half a count."""
    filled = np.where(counts > 0, counts, 0.5)
    found: Floats = filled / filled.sum()
    return found


def _kl_parts(n: Counts, m: Counts, estimator: str) -> tuple[float, float, float, bool]:
    """Return value, plug-in value, delta variance, and whether q lacks a bin that p holds; of bins that are held."""
    total, other = int(n.sum()), int(m.sum())
    p, q = n / total, _smooth(m)
    seen = n > 0
    ratio = np.log(np.where(seen, p, 1.0) / q)
    plug_in = float(p[seen] @ ratio[seen])
    value = plug_in
    if estimator == ZHANG_GRABCHAK:
        local = digamma(np.maximum(n, 1)) - digamma(total) - digamma(m + 1.0) + digamma(other + 1.0)
        value = float(p[seen] @ local[seen])
    first = max(float(p[seen] @ (ratio[seen] - plug_in) ** 2), 0.0) / total
    first += max(float((p * p / q).sum()) - 1.0, 0.0) / other
    return value, plug_in, first, bool((seen & (m == 0)).any())


def _kl(n: Counts, m: Counts, estimator: str) -> Estimate:
    n, m = _held(n, m)
    value, plug_in, first, unseen = _kl_parts(n, m, estimator)
    scale = 0.5 * (1.0 / n.sum() + 1.0 / m.sum())
    mean = scale * (n.size - 1) if estimator == PLUG_IN else 0.0
    return _finished(value, first, plug_in, scale, estimator, _flags((n, m), unseen), n, m, mean)


def _psi(n: Counts, m: Counts, estimator: str) -> Estimate:
    n, m = _held(n, m)
    there, plug_there, _, lacks = _kl_parts(n, m, estimator)
    back, plug_back, _, lacked = _kl_parts(m, n, estimator)
    p, q = _smooth(n), _smooth(m)
    ratio = np.log(p / q)
    first = _spread(p, ratio - q / p) / n.sum() + _spread(q, -ratio - p / q) / m.sum()
    scale = 1.0 / n.sum() + 1.0 / m.sum()
    mean = scale * (n.size - 1) if estimator == PLUG_IN else 0.0
    flags = _flags((n, m), lacks or lacked)
    return _finished(there + back, first, plug_there + plug_back, scale, estimator, flags, n, m, mean)


def _spread(shares: Floats, scores: Floats) -> float:
    """Return the variance of scores."""
    mean = float(shares @ scores)
    return float(shares @ (scores - mean) ** 2)


def _cross(n: Counts, m: Counts) -> Estimate:
    """Estimate H(p) + KL(p, q); the interval is that of the latter, which near 0 is no normal variable."""
    n, m = _held(n, m)
    total, other = int(n.sum()), int(m.sum())
    p, q, both = n / total, _smooth(m), (n + m) / (total + other)
    value = float(p @ (digamma(other + 1.0) - digamma(m + 1.0)))
    degrees, product = n.size - 1, float(total) * float(other)
    second = degrees * (1.0 / product + 0.5 / other**2)
    first = _spread(p, np.log(q)) / total + max(float((p * p / q).sum()) - 1.0, 0.0) / other
    # What noise alone adds to the two terms where q equals p.
    error = math.sqrt(max(first - degrees * (2.0 / product + 1.0 / other**2), 0.0) + second)
    apart, plug_in, _, unseen = _kl_parts(n, m, ZHANG_GRABCHAK)
    of_p = _spread(p, np.log(q)) / total
    low, high = root_interval(apart, max(float((p * p / q).sum()) - 1.0, 0.0) / other, plug_in, second, of_p)
    if low == 0.0:
        low = min(apart, 0.0) - QUANTILE * math.sqrt(of_p)
    interval = (max(value - apart + low, 0.0), value - apart + high)
    null_mean = float(digamma(total + other) - both @ digamma(n + m))
    null_sd = math.sqrt(_spread(both, np.log(both)) / total + second)
    return Estimate(
        value, error, interval, null_mean, null_sd, min(total, other), method=ZHANG_GRABCHAK,
        flags=_flags((n, m), unseen), null=NULL,
    )  # fmt: skip


def _weights(weights: Any, number: int) -> Floats | None:
    """Return weights of sum 1; None stands for the shares of the samples."""
    if weights is None:
        return np.full(number, 1.0 / number)
    if isinstance(weights, str):
        if weights != "samples":
            raise InputError(f"weights is {weights!r}{nearest(weights, ['samples'])}; allowed: numbers, or 'samples'")
        return None
    given = as_array(weights, "weights")
    found = given.astype(np.float64) if given.dtype.kind in "iuf" else np.empty(0)
    if found.shape != (number,) or not np.isfinite(found).all() or (found < 0.0).any() or found.sum() <= 0.0:
        raise InputError(f"weights must be {number} numbers, none negative, one for each distribution")
    shares: Floats = found / found.sum()
    return shares


def _jensen_shannon(table: Counts, weights: Floats | None) -> Estimate:
    empty = _empty(*table)
    if empty is not None:
        return empty
    sizes = table.sum(axis=1).astype(np.float64)
    w = sizes / sizes.sum() if weights is None else weights
    held = table[w > 0.0].any(axis=0)
    p = table[:, held] / sizes[:, None]
    mixed = w @ p
    ratio = np.log(np.where(p > 0.0, p, 1.0) / np.where(p > 0.0, mixed, 1.0))
    plug_in = float(w @ (p * ratio).sum(axis=1))
    seen = (p > 0.0).sum(axis=1)
    scatter = (w[:, None] ** 2 * p * (1.0 - p) / sizes[:, None]).sum(axis=0)
    value = plug_in + 0.5 * float((scatter / mixed).sum()) - 0.5 * float(w @ ((seen - 1) / sizes))
    first = float(sum(w[j] ** 2 / sizes[j] * _spread(p[j], ratio[j]) for j in range(w.size)))
    degrees = mixed.size - 1
    # Of the quadratic form diag(w) - w w' in independent shares with variances 1 / N_j.
    form = (np.diag(w) - np.outer(w, w)) / np.sqrt(np.outer(sizes, sizes))
    second = 0.5 * degrees * float((form * form).sum())
    error = math.sqrt(max(first - 2.0 * second, 0.0) + second)
    return Estimate(
        value, error, root_interval(value, first, plug_in, second) if degrees else (0.0, 0.0), 0.0, math.sqrt(second),
        int(sizes.min()), method="miller-madow", flags=_flags(list(table), a_bin=FEWEST_ROOTS), null=NULL,
        details={"plug_in": plug_in, "degrees": degrees * (w.size - 1)},
    )  # fmt: skip


def _hellinger(n: Counts, m: Counts) -> Estimate:
    n, m = _held(n, m)
    total, other = int(n.sum()), int(m.sum())
    p, q = n / total, m / other
    overlap = float(np.sqrt(p * q).sum())
    scale = (1.0 / total + 1.0 / other) / 8.0
    square = max(1.0 - overlap, 0.0)
    # The curvature of sqrt(p q): half of p q / 4 (p q)^{3/2} times the variances.
    both = (n > 0) & (m > 0)
    root = np.sqrt(p[both] * q[both])
    bias = float((root * ((1.0 - p[both]) / n[both] + (1.0 - q[both]) / m[both])).sum()) / 8.0
    first = 0.25 * (_spread_of_root(p, q, overlap) / total + _spread_of_root(q, p, overlap) / other)
    flags = _flags((n, m), a_bin=FEWEST_ROOTS)
    found = _finished(square - bias, first, square, scale, "bias-corrected", flags, n, m, 0.0)
    low, high = (math.sqrt(float(end)) for end in found.interval)
    value = math.copysign(math.sqrt(abs(float(found.value))), float(found.value))
    degrees = n.size - 1
    null_mean, null_sd = (math.sqrt(scale) * one for one in _root_null(degrees))
    return Estimate(
        value, (high - low) / (2.0 * QUANTILE), (low, high), null_mean, null_sd, found.n, unit="1",
        method="bias-corrected", flags=found.flags, null=NULL,
        details={"plug_in": math.sqrt(square), "degrees": degrees},
    )  # fmt: skip


def _spread_of_root(p: Floats, q: Floats, overlap: float) -> float:
    return max(float(q[p > 0.0].sum()) - overlap * overlap, 0.0)


@lru_cache(maxsize=1024)
def _root_null(degrees: int) -> tuple[float, float]:
    """Return mean and sd of the signed root of (chi-square - degrees), by its quantiles."""
    if degrees == 0:
        return 0.0, 0.0
    away = chdtri(degrees, (np.arange(512) + 0.5) / 512) - degrees
    roots = np.sign(away) * np.sqrt(np.abs(away))
    return float(roots.mean()), float(roots.std())


_FOLDED = 2.0 / math.pi
# Standard errors of F - G within which its sign at an edge is in doubt.
_DOUBTFUL = 2.5
# With a standard normal Z and the bias b(z) of the folded normal at an estimate z: E b(Z) / E |Z|, and the standard
# deviation of |Z| - b(Z) over that of |Z|.
_FOLDED_AGAIN = math.sqrt(2.0) - 1.0
_FOLDED_SPREAD = 1.358938


def _wasserstein(n: Counts, m: Counts, steps: Floats) -> Estimate:
    """Subtract the folded normal's bias at each edge.

    Where the sign of F - G is sure, the distance is a mean over samples. Elsewhere noise adds up to as much as it
    does where F = G, and takes nothing off; its scatter and that of the sure part are independent there, by symmetry.
    """
    total, other = int(n.sum()), int(m.sum())
    p, q = n / total, m / other
    below_p, below_q = np.cumsum(p)[:-1], np.cumsum(q)[:-1]
    together = np.cumsum((n + m) / (total + other))[:-1]
    apart = below_p - below_q
    variance = np.maximum(below_p * (1.0 - below_p), 0.0) / total + np.maximum(below_q * (1.0 - below_q), 0.0) / other
    pooled = np.maximum(together * (1.0 - together), 0.0) * (1.0 / total + 1.0 / other)
    spread = np.sqrt(np.maximum(variance, pooled))
    plug_in = float(np.abs(apart) @ steps)
    away = np.divide(apart, spread, out=np.zeros_like(apart), where=spread > 0.0)
    folded = spread * (math.sqrt(_FOLDED) * np.exp(-0.5 * away**2) - np.abs(away) * 2.0 * ndtr(-np.abs(away)))
    value = plug_in - float(folded @ steps)
    noise, second = math.sqrt(_FOLDED) * float(spread @ steps), _folded_variance(together, spread, steps)
    first = _linear_variance(p, q, np.sign(apart) * steps, total, other)
    null_sd = _FOLDED_SPREAD * math.sqrt(second)
    error = max(math.sqrt(first), null_sd) if first > 0.0 else null_sd
    doubtful = np.where(np.abs(away) < _DOUBTFUL, steps, 0.0)
    sure = _linear_variance(p, q, np.sign(apart) * (steps - doubtful), total, other)
    added = math.sqrt(_FOLDED) * float(spread @ doubtful)
    reach = QUANTILE * math.sqrt(max(first, sure + _folded_variance(together, spread, doubtful)))
    return Estimate(
        value, error, (max(plug_in - added - reach, 0.0), plug_in + reach), (1.0 - _FOLDED_AGAIN) * noise, null_sd,
        min(total, other), unit="1", method="bias-corrected", flags=_flags((n, m)), null=NULL,
        details={"plug_in": plug_in},
    )  # fmt: skip


def _linear_variance(p: Floats, q: Floats, slopes: Floats, total: int, other: int) -> float:
    """Return the variance of sum (F - G) times ``slopes``, one at each edge."""
    potential = np.concatenate((np.cumsum(slopes[::-1])[::-1], [0.0]))
    return _spread(p, potential) / total + _spread(q, potential) / other


def _folded_variance(together: Floats, spread: Floats, steps: Floats) -> float:
    """Return the variance of sum |F - G| times ``steps`` at the null, from that of a Brownian bridge."""
    odds = np.divide(together, 1.0 - together, out=np.full_like(together, np.inf), where=together < 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.minimum.outer(odds, odds) / np.maximum.outer(odds, odds)
    correlation = np.sqrt(np.clip(np.nan_to_num(ratio, nan=0.0), 0.0, 1.0))
    joint = _FOLDED * (np.sqrt(1.0 - correlation**2) + correlation * np.arcsin(correlation) - 1.0)
    weighted = spread * steps
    return max(float(weighted @ joint @ weighted), 0.0)
