"""Whether stated probabilities come true: the Brier score and its parts, reliability, the error of calibration.

Of stated probabilities of an event, shape (n,), with outcomes 0 and 1, or of options, shape (n, K), with the index of
the one that came true. The null of all is that outcomes are drawn from the very probabilities that were stated: even
then no error of calibration is 0 that is computed from bins.

Bins are [0, 0.1), ..., [0.9, 1] or as given. Parts of the score (Murphy 1973) are freed of their bias in the numbers of
a bin (Ferro & Fricker 2012); that of the absolute error of calibration, a mean of folded normal variables, is taken off
at deviations that are drawn towards 0 as far as they may be chance. Outcomes of one ``cluster`` hang together; the
errors and the spread of the null of the score then count clusters.

Declared validity: 100 outcomes and 20 clusters, and of the error of calibration at most a twentieth of the outcomes in
bins with fewer than five (else ``few_samples``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics import checks
from simengine.diagnostics.counts.tables import bin_edges
from simengine.diagnostics.decisions.rows import FEWEST, Floats, Groups, column, distributions, groups, mean_of, numbers
from simengine.diagnostics.estimate import QUANTILE, Estimate, flagged, normal_interval
from simengine.diagnostics.samples import as_array, named
from simengine.errors import InputError

FEWEST_OUTCOMES = 100
FEWEST_A_BIN = 5
RARE = 0.05
"""Share of outcomes that may lie in bins with fewer."""

TRUE_TO_WORD = "outcomes drawn from the stated probabilities"


def brier_score(
    probability: Any, outcome: Any, *, bins: Any = 10, cluster: Any = None, data: Any = None
) -> Estimate:  # fmt: skip
    """Estimate the Brier score, the mean squared distance of stated probabilities from what came true.

    Parameters
    ----------
    probability
        Of the event, shape (n,), the score is (p - y)^2; of options, shape (n, K), the sum of these over options.
    outcome
        0 or 1, or truth values; of options the index of the true one.
    bins
        Number of equal bins of probabilities, or edges, for the parts of the score.
    cluster
        Labels (n,) of what hangs together, agents or questions.
    data
        Dataset or file in which variables are looked up by name.

    Returns
    -------
    estimate
        ``z`` is Spiegelhalter's (1986). ``details``: ``reliability`` (0 is best), ``resolution``, ``uncertainty``,
        freed of their bias, summed over options, and ``within``, what probabilities that differ in a bin add, so that
        score = reliability - resolution + uncertainty + within; ``skill`` = 1 - score / uncertainty.
    """
    p, y = _events(probability, outcome, data)
    edges = _edges(bins)
    clusters = groups(cluster, data, "cluster", len(p))
    loss = ((p - y) ** 2).sum(axis=1)
    expected, variance = _expected(p)
    options = 1 if p.shape[1] == 1 else p.shape[1]
    parts = np.sum([_parts(p[:, k], y[:, k], edges) for k in range(options)], axis=0)
    score, within = float(loss.mean()), float(loss.mean() - (parts[0] - parts[1] + parts[2]))
    sums = clusters.sums(loss - expected)
    independent = clusters.count == len(p)
    spread = math.sqrt(float(variance.sum() if independent else sums @ sums)) / len(p)
    details = {
        "reliability": float(parts[0]), "resolution": float(parts[1]), "uncertainty": float(parts[2]), "within": within,
        "skill": 1.0 - score / float(parts[2]) if parts[2] > 0.0 else math.nan,
    }  # fmt: skip
    return mean_of(
        loss, clusters, unit="1", method="brier", null=TRUE_TO_WORD, null_mean=float(expected.mean()), null_sd=spread,
        lowest=0.0, doubts=_few(len(p)), details=details,
    )  # fmt: skip


def calibration_error(
    probability: Any, outcome: Any, *, bins: Any = 10, cluster: Any = None, shuffles: int = 200, seed: int = 0,
    data: Any = None,
) -> Estimate:  # fmt: skip
    """Estimate the expected calibration error, the mean over bins of |mean outcome - mean probability|.

    Parameters
    ----------
    probability, outcome, bins, cluster, data
        As of :func:`brier_score`; of options, shape (n, K), it is the error of the most probable one (the confidence).
    shuffles, seed
        How many sets of outcomes are drawn from the stated probabilities for the null; they are independent, also
        within clusters.

    Returns
    -------
    estimate
        ``details``: ``plug_in`` and ``subtracted_bias``, ``squared`` (the mean squared deviation, unbiased),
        ``greatest`` (of all bins, plug-in), ``overstatement`` (mean probability less mean outcome) and ``p_value``
        of the plug-in error under the null.
    """
    shuffles, seed = checks.repeats(shuffles, "shuffles", 2), checks.seed(seed)
    p, y = _confidence(*_events(probability, outcome, data))
    edges = _edges(bins)
    clusters = groups(cluster, data, "cluster", p.size)
    plug_in, bias, error, squared, greatest, rare = _calibration(p, y, edges, clusters)
    value = plug_in - bias
    random = np.random.Generator(np.random.Philox(seed))
    single = Groups(np.arange(p.size), np.arange(p.size))
    drawn = np.array([_calibration(p, random.random(p.size) < p, edges, single)[:2] for _ in range(shuffles)])
    corrected = drawn[:, 0] - drawn[:, 1]
    # Where all deviations may be chance, how much of them is taken for chance is the larger part of the error.
    error = max(error, float(corrected.std(ddof=1)))
    flags = flagged(*_few(p.size, rare), "few_samples" if clusters.count < FEWEST else None)
    details = {
        "plug_in": plug_in, "subtracted_bias": bias, "squared": squared, "greatest": greatest,
        "overstatement": float(np.mean(p - y)),
        "p_value": float((1 + np.count_nonzero(drawn[:, 0] >= plug_in - 1e-12)) / (1 + shuffles)),
    }  # fmt: skip
    return Estimate(
        value, error, normal_interval(value, error, 0.0, 1.0), float(corrected.mean()), float(corrected.std(ddof=1)),
        clusters.count, "1", "expected calibration error, folded normal", flags, TRUE_TO_WORD, details,
    )  # fmt: skip


def reliability_curve(
    probability: Any, outcome: Any, *, bins: Any = 10, cluster: Any = None, data: Any = None
) -> Estimate:  # fmt: skip
    """Estimate how often what was stated with about the same probability came true, bin by bin.

    Arguments as of :func:`calibration_error`. Along the dim ``stated``, whose coordinates are the mean probabilities of
    the bins that hold anything; ``null_mean`` is the same, and ``n`` the number of outcomes. Intervals are Wilson's
    (1927), of the effective number of outcomes where clusters hang together.
    """
    p, y = _confidence(*_events(probability, outcome, data))
    clusters = groups(cluster, data, "cluster", p.size)
    where = _bins_of(p, _edges(bins))
    kinds, of_row = np.unique(where, return_inverse=True)
    of_row = of_row.reshape(-1)
    n = np.bincount(of_row).astype(np.float64)
    stated, seen = np.bincount(of_row, p) / n, np.bincount(of_row, y) / n
    errors = np.sqrt(_variances(y, seen, of_row, n, clusters))
    size = np.where(errors > 0.0, np.minimum(seen * (1.0 - seen) / np.maximum(errors, 1e-300) ** 2, n), n)
    z2 = QUANTILE**2
    middle = (seen + 0.5 * z2 / size) / (1.0 + z2 / size)
    reach = QUANTILE / (1.0 + z2 / size) * np.sqrt(seen * (1.0 - seen) / size + 0.25 * z2 / size**2)
    spread = np.sqrt(np.bincount(of_row, p * (1.0 - p))) / n
    flags = np.empty(kinds.size, object)
    flags[:] = [flagged("few_samples" if count < FEWEST_A_BIN else None) for count in n.tolist()]
    return Estimate(
        seen, errors, (np.maximum(middle - reach, 0.0), np.minimum(middle + reach, 1.0)), stated, spread, n, "1",
        "shares of bins", flags, TRUE_TO_WORD, {"bin": kinds}, ("stated",), {"stated": stated},
    )  # fmt: skip


def _events(probability: Any, outcome: Any, data: Any) -> tuple[Floats, Floats]:
    """Return probabilities and outcomes, both of shape (n, 1) or (n, K)."""
    told = as_array(named(probability, data, "probability"), "probability")
    if told.ndim == 2:
        p = distributions(told, None, "probability")
        index = column(outcome, data, "outcome", len(p))
        if index.dtype.kind not in "iu" or index.min() < 0 or index.max() >= p.shape[1]:
            raise InputError(f"outcome: expected the index of the true option, a whole number of 0 to {p.shape[1] - 1}")
        return p, np.eye(p.shape[1])[index]
    p = numbers(told, None, "probability")
    if p.min() < 0.0 or p.max() > 1.0:
        place = int(((p < 0.0) | (p > 1.0)).argmax())
        raise InputError(f"probability holds {p[place]:g} at {place}; expected numbers from 0 to 1")
    y = numbers(outcome, data, "outcome", p.size)
    if not np.isin(y, (0.0, 1.0)).all():
        raise InputError("outcome: expected 0 or 1, whether the event came true")
    return p[:, None], y[:, None]


def _confidence(p: Floats, y: Floats) -> tuple[Floats, Floats]:
    top = p.argmax(axis=1)
    rows = np.arange(len(p))
    return p[rows, top], y[rows, top]


def _edges(bins: Any) -> Floats:
    edges = np.asarray(bin_edges(bins, (0.0, 1.0) if np.ndim(bins) == 0 else None), dtype=np.float64)
    if edges[0] > 0.0 or edges[-1] < 1.0:
        raise InputError(f"bins run from {edges[0]:g} to {edges[-1]:g}; expected edges that hold 0 to 1")
    return edges


def _bins_of(p: Floats, edges: Floats) -> NDArray[np.intp]:
    # Stated probabilities are round numbers: 0.3 must not fall below the edge 3 * 0.1.
    return np.minimum(np.searchsorted(edges, p + 1e-9, side="right") - 1, edges.size - 2)


def _few(n: int, rare: float = 0.0) -> tuple[str, ...]:
    return ("few_samples",) if n < FEWEST_OUTCOMES or rare > RARE else ()


def _expected(p: Floats) -> tuple[Floats, Floats]:
    """Return mean and variance of each row's loss under the null."""
    if p.shape[1] == 1:
        q = p[:, 0]
        return q * (1.0 - q), q * (1.0 - q) * (1.0 - 2.0 * q) ** 2
    # If option k is true, the loss is sum p^2 - 2 p_k + 1.
    square = (p**2).sum(axis=1)
    return 1.0 - square, 4.0 * ((p**3).sum(axis=1) - square**2)


def _parts(p: Floats, y: Floats, edges: Floats) -> tuple[float, float, float]:
    """Return reliability, resolution and uncertainty of one event."""
    of_row = np.unique(_bins_of(p, edges), return_inverse=True)[1].reshape(-1)
    n = np.bincount(of_row).astype(np.float64)
    stated, seen, total, mean = np.bincount(of_row, p) / n, np.bincount(of_row, y) / n, float(p.size), float(y.mean())
    noise = float(np.sum(n * seen * (1.0 - seen) / np.maximum(n - 1.0, 1.0))) / total
    whole = mean * (1.0 - mean) / max(total - 1.0, 1.0)
    reliability = float(n @ (stated - seen) ** 2) / total - noise
    resolution = float(n @ (seen - mean) ** 2) / total - noise + whole
    return reliability, resolution, mean * (1.0 - mean) + whole


def _variances(y: Floats, seen: Floats, of_row: NDArray[np.intp], n: Floats, clusters: Groups) -> Floats:
    """Return the variance of the share of each bin, of clusters where there are any."""
    if clusters.count == y.size:
        found: Floats = seen * (1.0 - seen) / np.maximum(n - 1.0, 1.0)
        return found
    keys, cell = np.unique(of_row * clusters.count + clusters.of_row, return_inverse=True)
    sums = np.bincount(cell.reshape(-1), y - seen[of_row])
    bins = keys // clusters.count
    held = np.bincount(bins, minlength=n.size)
    variances: Floats = np.bincount(bins, sums**2, n.size) / n**2 * held / np.maximum(held - 1.0, 1.0)
    return variances


def _calibration(
    p: Floats, y: Any, edges: Floats, clusters: Groups
) -> tuple[float, float, float, float, float, float]:  # fmt: skip
    """Return the error, its bias, its standard error, its square, the greatest, and the share of rare outcomes."""
    from scipy.special import ndtr

    of_row = np.unique(_bins_of(p, edges), return_inverse=True)[1].reshape(-1)
    values = np.asarray(y, dtype=np.float64)
    n = np.bincount(of_row).astype(np.float64)
    gap = values - p
    off = np.bincount(of_row, gap) / n
    # Of gaps, not of outcomes: in a bin some probabilities are higher than others, and so are their outcomes.
    spread = _variances(gap, off, of_row, n, clusters) if clusters.count != p.size else _of_gaps(gap, off, of_row, n)
    # A bin whose outcomes all agree has no spread of its own; what was stated gives it one.
    stated = np.bincount(of_row, p * (1.0 - p)) / n**2
    alike = np.isin(np.bincount(of_row, values) / n, (0.0, 1.0))
    error = np.sqrt(np.maximum(np.where(alike, np.maximum(spread, stated), spread), 1e-12))
    weight = n / p.size
    excess = float(np.sum((off / error) ** 2))
    kept = math.sqrt(max(0.0, 1.0 - n.size / excess)) if excess > 0.0 else 0.0
    bias = float(weight @ (_folded(kept * off, error, ndtr) - np.abs(kept * off)))
    variance = float(weight**2 @ (kept**2 * off**2 + error**2 - _folded(kept * off, error, ndtr) ** 2))
    absolute = float(weight @ np.abs(off))
    # How many outcomes fall into each bin is chance too.
    variance += max(float(weight @ (kept * off) ** 2) - float(weight @ np.abs(kept * off)) ** 2, 0.0) / p.size
    squared, rare = float(weight @ (off**2 - spread)), float(weight @ (n < FEWEST_A_BIN))
    return absolute, bias, math.sqrt(variance), squared, float(np.abs(off).max()), rare


def _of_gaps(gap: Floats, off: Floats, of_row: NDArray[np.intp], n: Floats) -> Floats:
    found: Floats = np.bincount(of_row, (gap - off[of_row]) ** 2) / n / np.maximum(n - 1.0, 1.0)
    return found


def _folded(mean: Floats, error: Floats, ndtr: Callable[[Floats], Floats]) -> Floats:
    """Return the mean of |N(mean, error^2)|."""
    ratio = mean / error
    found: Floats = error * math.sqrt(2.0 / math.pi) * np.exp(-0.5 * ratio**2) + mean * (1.0 - 2.0 * ndtr(-ratio))
    return found
