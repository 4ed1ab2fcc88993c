"""How many different things a population says: effective channels of embedded outputs.

With unit vectors e_i of n outputs, the eigenvalues l_k of the Gram matrix E E' / n sum to 1, and the number of
effective channels is K* = exp(-sum l ln l) (arXiv 2602.03794; the exponential of the von Neumann entropy, also "Vendi
score"): 1 if all outputs are alike, n if all are orthogonal. The participation ratio 1 / sum l^2 is the same with the
Renyi entropy of order 2. The eigenvalues are those of the d x d matrix of second moments, sum e e', which adds over
parts of a population: see :func:`channels_of`.

Embeddings of texts share a large common part, which keeps K* far below n even for unrelated texts
(``common_component``): see the centred value, of the deviations from the mean, and the null, in which every component
is shuffled over the outputs.

Declared validity of the value for the population from which the outputs are drawn: at least 100 outputs, and ten for
each effective channel (``few_samples``); above a third of n, K* shows n and not the population (``saturated``). The
number of channels of the very outputs at hand is ``estimator="plug-in"``, and ``details["of_these"]``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics import checks
from simengine.diagnostics.estimate import QUANTILE, Estimate, flagged, stacked
from simengine.diagnostics.multivariate.downdates import entropies_without
from simengine.diagnostics.populations.arguments import checked_numbers
from simengine.diagnostics.samples import Array, samples
from simengine.errors import InputError

Floats = NDArray[np.float64]

ESTIMATORS = ("corrected", "plug-in")
FEWEST = 100
SAMPLES_A_CHANNEL = 10
SATURATION = 1.0 / 3.0
COMMON = 0.25
"""Squared length of the mean of unit vectors above which they have a large common part."""

MOST_LEFT_OUT = 2000
"""Outputs up to which each may be left out in turn."""

_LEAST = 1e-13


@dataclass(frozen=True)
class Channels:
    """Effective channels and participation ratio of known eigenvalues."""

    channels: float
    participation_ratio: float
    eigenvalues: Floats


def second_moments(embeddings: Array) -> tuple[Floats, Floats, int]:
    """Return sum e e', sum e and the number of the unit vectors of embeddings, shape (n, d): they add over parts."""
    unit = _unit(checked_numbers(embeddings, "embeddings"), "embeddings")
    return unit.T @ unit, unit.sum(axis=0), unit.shape[0]


def channels_of(moments: Array, total: Array | None = None, n: int | None = None) -> Channels:
    """Return the effective channels of a matrix of second moments, uncorrected.

    Parameters
    ----------
    moments
        Sum of e e', shape (d, d); its scale does not matter.
    total, n
        Sum of e, shape (d,), and their number: given, the moments are taken about the mean.
    """
    matrix = checked_numbers(moments, "moments")
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise InputError(f"moments has shape {matrix.shape}; expected numbers of shape (d, d)")
    if (total is None) != (n is None):
        raise InputError("total and n belong together: both give the centred value, none the other")
    if total is not None and n is not None:
        n = checks.whole(n, "n", 1)
        mean = checked_numbers(total, "total", matrix.shape[:1], "a sum for each component") / n
        matrix = matrix - n * np.outer(mean, mean)
    return _of_eigenvalues(np.asarray(np.linalg.eigvalsh(matrix), dtype=np.float64))


def effective_channels(
    embeddings: Any, *, estimator: str = "corrected", centred: bool = False, leave_one_out: bool = False,
    shuffles: int = 10, seed: int = 0, data: Any = None, dim: Any = None, components: str | None = None,
) -> Estimate:  # fmt: skip
    """Estimate the number of effective channels K* of embedded outputs.

    The null is that the components of embeddings are independent of one another.

    Parameters
    ----------
    embeddings
        One row for each output, shape (n, d) or (..., n, d), or the name of a variable of ``data``; scaled to length 1.
    estimator
        "corrected": of the population that the outputs are drawn from, the bias of first order taken off;
        "plug-in": of these very outputs.
    centred
        Of the deviations from the mean, in place of the vectors themselves.
    leave_one_out
        Whether ``details["contributions"]`` is to hold, for each output, K* of all less K* without it (up to 2000).
    shuffles, seed
        Number of shuffles for the null, and what they follow from.
    data, dim, components
        Where a named variable is, along which dim outputs run, and along which components.

    Returns
    -------
    Estimate
        ``details``: ``of_these`` (K* of these outputs), ``centred`` and ``participation_ratio``,
        ``centred_participation_ratio`` of them, all uncorrected.
    """
    checks.one_of(estimator, ESTIMATORS, "effective channels: estimator")
    shuffles, seed = checks.repeats(shuffles), checks.seed(seed)
    centred, leave_one_out = checks.truth(centred, "centred"), checks.truth(leave_one_out, "leave_one_out")
    blocks = samples(embeddings, data=data, dim=dim, components=components, names=("embeddings",), discrete=False)
    found = [_estimated(array, estimator, centred, leave_one_out, shuffles, seed) for (array,) in blocks]
    return stacked(found, blocks.batch, blocks.dims, blocks.coords)


def _estimated(array: Floats, estimator: str, centred: bool, leave_one_out: bool, shuffles: int, seed: int) -> Estimate:
    unit = _unit(array, "embeddings")
    n = unit.shape[0]
    if leave_one_out and n > MOST_LEFT_OUT:
        raise InputError(f"leave_one_out: there are {n} outputs; at most {MOST_LEFT_OUT}")
    mean = unit.mean(axis=0)
    both = [_of_eigenvalues(_eigenvalues(rows)) for rows in (unit, unit - mean)]
    rows = unit - mean if centred else unit
    plain = both[1] if centred else both[0]
    details: dict[str, Any] = {
        "of_these": plain.channels, "centred": both[1].channels, "participation_ratio": both[0].participation_ratio,
        "centred_participation_ratio": both[1].participation_ratio,
    }  # fmt: skip
    null_mean, null_sd = _shuffled(unit, centred, shuffles, seed)
    constant = float(np.abs(rows).max()) < 1e-12
    flags = flagged(
        "constant" if constant or plain.channels < 1.0 + 1e-9 else None,
        "few_samples" if n < max(FEWEST, SAMPLES_A_CHANNEL * plain.channels) else None,
        "saturated" if plain.channels > SATURATION * n else None,
        "common_component" if not centred and float(mean @ mean) > COMMON else None,
    )  # fmt: skip
    whole = Estimate(
        plain.channels, 0.0, (plain.channels, plain.channels), null_mean, null_sd, n, unit="1",
        method=f"effective channels, {estimator}{', centred' if centred else ''}", flags=flags,
        null="components independent", details=details,
    )  # fmt: skip
    if constant:
        return whole
    eigenvalues, coordinates = _coordinates(rows)
    if leave_one_out:
        factor = n / (n - 1.0) if centred else 1.0
        without = entropies_without(n * eigenvalues, math.sqrt(n) * coordinates, factor)
        details["contributions"] = plain.channels - np.exp(without)
    bias, variance = _bias_and_variance(eigenvalues, coordinates)
    entropy = math.log(plain.channels) - (bias if estimator == "corrected" else 0.0)
    error = math.sqrt(variance)
    value = math.exp(entropy - 0.5 * variance) if estimator == "corrected" else plain.channels
    low, high = math.exp(entropy - QUANTILE * error), math.exp(entropy + QUANTILE * error)
    return replace(whole, value=value, standard_error=value * error, interval=(max(low, 1.0), max(high, 1.0)))


def _bias_and_variance(eigenvalues: Floats, coordinates: Floats) -> tuple[float, float]:
    """Return bias and variance of the entropy of the shares of a second-moment matrix, to second order.

    With y the rows in the eigenvectors' coordinates, w = |y|^2 and shares l: the shares' matrix X = S / tr S has the
    variances E (y_k y_l - X_kl w)^2 / n, and -tr X ln X curves by -(ln l_k - ln l_l) / (l_k - l_l) in X_kl
    (Daleckii & Krein 1965); the diagonal is shifted by -cov(y_k^2 - l_k w, w) / n.
    """
    n = coordinates.shape[0]
    squares = coordinates**2 * n
    length = squares.sum(axis=1)
    logarithm = np.log(eigenvalues)
    spread = squares.T @ squares / n
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (logarithm[:, None] - logarithm[None, :]) / (eigenvalues[:, None] - eigenvalues[None, :])
    near = np.abs(eigenvalues[:, None] - eigenvalues[None, :]) < 1e-7 * eigenvalues[:, None]
    slope = np.where(near, 1.0 / eigenvalues[:, None], slope)
    with_length = squares.T @ length / n
    np.fill_diagonal(
        spread, np.diag(spread) - 2.0 * eigenvalues * with_length + eigenvalues**2 * float(np.mean(length**2))
    )  # fmt: skip
    spread /= n
    shift = -(with_length - eigenvalues * float(np.mean(length**2))) / n
    bias = -0.5 * float((slope * spread).sum()) - float(logarithm @ shift)
    entropy = -float(eigenvalues @ logarithm)
    local = -squares @ (logarithm + entropy)
    curved = (slope * spread) ** 2
    second = float(curved.sum()) - 0.5 * float(np.trace(curved))
    first = float(local.var()) / n
    return bias, max(first - 0.5 * second, second)


def _coordinates(rows: Floats) -> tuple[Floats, Floats]:
    """Return the shares, ascending, and the rows in the eigenvectors' coordinates, scaled to a total square of 1."""
    n, d = rows.shape
    scaled = rows / math.sqrt(float(np.sum(rows**2)))
    shares, vectors = np.linalg.eigh(scaled @ scaled.T if n < d else scaled.T @ scaled)
    kept = shares > _LEAST
    found = vectors[:, kept] * np.sqrt(shares[kept]) if n < d else scaled @ vectors[:, kept]
    return np.ascontiguousarray(shares[kept]), np.ascontiguousarray(found)


def _eigenvalues(rows: Floats) -> Floats:
    n, d = rows.shape
    found: Floats = np.asarray(np.linalg.eigvalsh(rows @ rows.T if n < d else rows.T @ rows), dtype=np.float64)
    return found


def _of_eigenvalues(eigenvalues: Floats) -> Channels:
    kept = np.maximum(eigenvalues, 0.0)
    total = float(kept.sum())
    if not total > 0.0:
        return Channels(1.0, 1.0, kept)
    shares = kept / total
    seen = shares[shares > _LEAST]
    return Channels(math.exp(-float(seen @ np.log(seen))), 1.0 / float(seen @ seen), shares)


def _shuffled(unit: Floats, centred: bool, shuffles: int, seed: int) -> tuple[float, float]:
    """Return mean and standard deviation of K* with each component shuffled over the outputs."""
    if shuffles == 0:
        return math.nan, math.nan
    random = np.random.Generator(np.random.Philox(seed))
    values = []
    for _ in range(shuffles):
        mixed = random.permuted(unit, axis=0)
        mixed = mixed / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-300)
        values.append(_of_eigenvalues(_eigenvalues(mixed - mixed.mean(axis=0) if centred else mixed)).channels)
    return float(np.mean(values)), float(np.std(values, ddof=1)) if shuffles > 1 else math.nan


def _unit(array: Floats, word: str) -> Floats:
    if array.ndim != 2 or not array.size:
        raise InputError(f"{word} has shape {array.shape}; expected (n, d)")
    length = np.linalg.norm(array, axis=1)
    if (length == 0.0).any():
        raise InputError(f"{word}: row {int(np.argmin(length))} is zero and has no direction")
    found: Floats = array / length[:, None]
    return found
