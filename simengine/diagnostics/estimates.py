"""Entropies from counts, corrected for the number of samples, with their standard errors.

All are divided by the logarithm of the number of bins, so that even filling gives 1, and none is clamped:
a corrected entropy may exceed 1 by chance.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from simengine.arrays.jit import njit
from simengine.diagnostics.counts.kernels import GRASSBERGER, additive_entropy, grassberger, seen_in, share_moments


@njit(cache=True, nogil=True, error_model="numpy")
def entropy_of_counts(counts: NDArray[np.int64], twins: float = 0.0) -> tuple[float, float]:
    """Return the normalised entropy of ``counts`` of independent samples, and its standard error.

    ``twins`` is the share of samples that occur twice, because two agents share one value: variances of the counts,
    and with them the bias, are 1 + twins times those of independent samples.

    Grassberger's estimator: of those tried (plug-in, Miller & Madow, Chao & Shen, jackknife) it has the least
    bias from 20 samples on and the distribution nearest to a normal one for evenly filled bins. If one bin holds
    everything, both numbers are 0. The value is that of :func:`~simengine.diagnostics.counts.kernels.additive_entropy`;
    the variance is simpler than :func:`~simengine.diagnostics.counts.kernels.variance_of`, which allows for states
    seen once among any number of them: here bins are few, and every agent is in one.

    The variance is that of the delta method, (sum p ln^2 p - H^2) / N. In evenly filled bins it vanishes, and what
    is left is of second order: (K - 1) / (2 N^2) from the counts of K bins, and K / (4 N^2) from the steps of G.
    There the first term, computed from the counts, is (K - 1) / N^2 too large on average, which is taken off.
    """
    total, seen, _ = seen_in(counts)
    if seen <= 1:
        return (0.0 if seen == 1 else np.nan), (0.0 if seen == 1 else np.nan)
    n = float(total)
    mean, mean_square = share_moments(counts, n)
    corrected = mean + (1.0 + twins) * (additive_entropy(counts, GRASSBERGER, total, seen) - mean)
    first = (1.0 + twins) * (mean_square - mean * mean) / n
    unit = ((1.0 + twins) / n) ** 2
    variance = max(first - unit * (seen - 1), 0.0) + 0.25 * unit * (3 * seen - 2)
    scale = 1.0 / math.log(float(counts.size))
    return corrected * scale, math.sqrt(variance) * scale


@njit(cache=True, nogil=True, error_model="numpy")
def entropy_of_pairs(rows: NDArray[np.int32]) -> tuple[float, float]:
    """Return the normalised entropy of the values of all pairs of m independent agents, and its standard error.

    The pairs are not independent: shares are U-statistics (Hoeffding 1948). With q_ib the share of bin b in agent
    i's own pairs, zeta_b the variance of its expectation given the agent and p_b the share in all M pairs, the variance
    of p_b is [4 (m - 2) zeta_b + 2 p_b (1 - p_b)] / (m (m - 1)). Its second part is that of M independent pairs, and
    is corrected by Grassberger's estimator; for the first the value is raised by half of it over p_b, summed over bins.
    The variance of the value is 4 / m times that of -sum_b q_ib ln p_b over agents, and, where this vanishes, that
    of independent pairs in evenly filled bins, see :func:`entropy_of_counts`.

    Parameters
    ----------
    rows
        How many of each agent's m - 1 pairs fall into each bin, shape (m, bins); m >= 5.
    """
    m, bins = rows.shape
    per_agent = float(m - 1)
    log_share = np.zeros(bins)
    pairs = 0.5 * m * per_agent
    plug_in, corrected, seen = 0.0, math.log(pairs), 0
    for b in range(bins):
        total, squares = np.int64(0), np.int64(0)
        for i in range(m):
            count = np.int64(rows[i, b])
            total += count
            squares += count * count
        if total == 0:
            continue
        seen += 1
        p = total / (m * per_agent)
        log_share[b] = math.log(p)
        plug_in -= p * log_share[b]
        scatter = (squares / per_agent**2 - m * p * p) / per_agent
        both = p * (1.0 - p)
        zeta = (scatter * per_agent**2 / (m - 2) - both) / (m - 4)
        corrected += 2.0 * (m - 2) * zeta / (m * per_agent) / p - p * grassberger(int(total) // 2)
    if seen <= 1:
        return 0.0, 0.0
    scatter = 0.0
    for i in range(m):
        own = 0.0
        for b in range(bins):
            own -= rows[i, b] * log_share[b]
        scatter += (own / per_agent - plug_in) ** 2
    # From the counts the first term is four times that of second order where it should vanish.
    first = 4.0 / m * scatter / per_agent - 2.0 * (seen - 1) / pairs**2
    variance = max(first, 0.0) + (3 * seen - 2) / (4.0 * pairs**2)
    scale = 1.0 / math.log(float(bins))
    return corrected * scale, math.sqrt(variance) * scale


@njit(cache=True, nogil=True, error_model="numpy")
def _log_slope(a: float, b: float) -> float:
    """Return (ln a - ln b) / (a - b), or its limit 1 / a."""
    ratio = (a - b) / b
    if abs(ratio) < 1e-4:
        return (1.0 - ratio * (0.5 - ratio * (1.0 / 3.0 - 0.25 * ratio))) / b
    return math.log(a / b) / (a - b)


@njit(cache=True, nogil=True, error_model="numpy")
def entropy_of_shares(
    share: NDArray[np.float64], covariance: NDArray[np.float64], mixed: NDArray[np.float64], agents: int
) -> tuple[float, float]:
    """Return the entropy of the shares of three principal variances over ln 3, and its standard error.

    H = -tr S ln S of the covariance matrix S of the places, divided by its trace. To second order in the error of
    S its expectation falls short by sum_kl g_kl var(S_kl) / 2 with g_kl = (ln s_k - ln s_l) / (s_k - s_l)
    (Daleckii & Krein 1965), which is added; unlike corrections of the single variances, this stays finite where
    two are equal. The variance is that of -sum_k ln s_k S_kk, and, where this vanishes, that of the quadratic form.

    Parameters
    ----------
    share
        s_k, shape (3,), sum 1.
    covariance
        N times the covariance of the S_kk, shape (3, 3).
    mixed
        N times the variances of S_12, S_02 and S_01.
    agents
        N.
    """
    n = float(agents)
    plug_in, correction, first, second = 0.0, 0.0, 0.0, 0.0
    least = 1e-14
    for k in range(3):
        if share[k] <= least:
            continue
        plug_in -= share[k] * math.log(share[k])
        correction += 0.5 * covariance[k, k] / (share[k] * n)
        for other in range(3):
            if share[other] > least:
                first += math.log(share[k]) * math.log(share[other]) * covariance[k, other] / n
                second += 0.5 * (covariance[k, other] / n) ** 2 / (share[k] * share[other])
    for k in range(3):
        a, b = share[(k + 1) % 3], share[(k + 2) % 3]
        if a > least and b > least:
            quadratic = _log_slope(a, b) * mixed[k] / n
            correction += quadratic
            second += 2.0 * quadratic**2
    variance = max(first - 2.0 * second, 0.0) + second
    scale = 1.0 / math.log(3.0)
    return (plug_in + correction) * scale, math.sqrt(variance) * scale
