"""Entropy production of a Markov chain from how often each transition was seen.

With counts c_ij of N transitions the plug-in value is 0.5 sum_ij (c_ij - c_ji) ln(c_ij / c_ji) / N per step. Under
detailed balance N / 2 times it is chi-square with one degree of freedom for each independent cycle of the graph of
seen transitions (nu = edges - states + components; (K - 1)(K - 2) / 2 if all K states are joined), which gives an
exact mean 2 nu / N, a variance 8 nu / N^2, and a significance. Away from detailed balance the second-order delta
method, with the covariances of the counts of a Markov chain, gives the further bias, and the first-order one the
variance.

Valid for the stationary, first-order Markov series of a few states, each transition seen about ten times or more in
both directions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from simengine.diagnostics.dynamics.noncentral import squared_error
from simengine.diagnostics.estimate import Estimate, flagged

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

MOST_STATES = 1024
"""Tables of more states are refused: nobody sees a million transitions often enough."""

FEW, RARE = 10.0, 5
"""Least mean count of a direction of an edge, and least count of any, that raise no doubt."""

_UNBALANCED = 0.05
_UNLIKELY = 1e-3
_PERCENT_OF_STEPS = 0.1


def production_of_counts(counts: Counts) -> Estimate:
    """Return the production per step from tables of transitions, shape (..., K, K), from row to column."""
    shape = counts.shape[:-2]
    table = counts.reshape(-1, *counts.shape[-2:]).astype(np.float64)
    total = table.sum(axis=(1, 2))
    apart = ~np.eye(table.shape[-1], dtype=bool)
    one_way = (table > 0.0) & (table.transpose(0, 2, 1) == 0.0) & apart
    filled = np.where(one_way.transpose(0, 2, 1), 0.5, table)
    edges = np.triu((filled > 0.0) & apart).sum(axis=(1, 2))
    cycles, components = _cycles(filled)
    with np.errstate(divide="ignore", invalid="ignore"):
        back = filled.transpose(0, 2, 1)
        seen = (filled > 0.0) & apart
        safe, safe_back = np.where(seen, filled, 1.0), np.where(seen, back, 1.0)
        log_ratio = np.log(safe / safe_back)
        plug_in = 0.5 * ((safe - safe_back) * log_ratio).sum(axis=(1, 2)) / total
        null_mean, null_variance = 2.0 * cycles / total, 8.0 * cycles / total**2
    further, variance = _delta_method(filled, seen, log_ratio, components)
    has_cycles = cycles > 0
    value = np.where(has_cycles, plug_in - null_mean - further, 0.0)
    error, low, high = squared_error(np.maximum(plug_in - further, 0.0), null_mean, null_variance, variance)
    statistic = 0.5 * total * plug_in
    p_value = np.where(has_cycles, special.chdtrc(np.maximum(cycles, 1), statistic), 1.0)
    details = {
        "plug_in": plug_in, "bias": null_mean + further, "chi_square": statistic, "p_value": p_value,
        "degrees_of_freedom": cycles.astype(np.float64), "one_way_edges": one_way.sum(axis=(1, 2)).astype(np.float64),
    }  # fmt: skip
    unbalanced = np.abs(table.sum(axis=1) - table.sum(axis=2)).sum(axis=1) > 2.0 * _UNBALANCED * total
    both = seen & seen.transpose(0, 2, 1) & ~one_way & ~one_way.transpose(0, 2, 1)
    least = np.where(both, table, np.inf).min(axis=(1, 2))
    flags = np.empty(len(table), object)
    flags[:] = [
        flagged(
            "empty" if total[i] == 0.0 else None,
            "degenerate_null" if not has_cycles[i] else None,
            "one_way" if one_way[i].any() else None,
            "few_samples" if least[i] < RARE or total[i] < 2.0 * FEW * edges[i] else None,
            "many_states" if 2.0 * cycles[i] > _PERCENT_OF_STEPS * total[i] else None,
            "drifting" if unbalanced[i] else None,
        )
        for i in range(len(table))
    ]
    empty = total == 0.0
    value, error, low, high = (np.where(empty, np.nan, one) for one in (value, error, low, high))
    numbers = (value, error, low, high, np.where(has_cycles, 0.0, np.nan), np.sqrt(null_variance), total)
    value, error, low, high, mean, spread, total = (_shaped(one, shape) for one in numbers)
    return Estimate(
        value, error, (low, high), null_mean=mean, null_sd=spread, n=total, unit="nat/step", method="counts",
        flags=flags.reshape(shape) if shape else flags[0], null="detailed balance (chi-square, one degree a cycle)",
        details={name: _shaped(one, shape) for name, one in details.items()},
    )  # fmt: skip


def transition_counts(codes: NDArray[np.int64], states: int) -> Counts:
    """Return how often each state followed each, shape (..., K, K), of codes (..., m, T) below K = ``states``."""
    batch = codes.shape[:-2]
    pairs = (codes[..., :-1] * states + codes[..., 1:]).reshape(-1, codes.shape[-2] * (codes.shape[-1] - 1))
    found = [np.bincount(row, minlength=states * states) for row in pairs]
    return np.array(found, dtype=np.int64).reshape(*batch, states, states)


def first_order(codes: NDArray[np.int64], states: int) -> bool:
    """Whether codes (m, T) may be a first-order Markov chain: the step before last says nothing more.

    Twice N times the conditional information is chi-square if so. Tables too large to be filled say nothing.
    """
    size = codes.shape[0] * max(codes.shape[1] - 2, 0)
    if states < 2 or size < 10 * states**3:
        return True
    triples = (codes[:, :-2] * states + codes[:, 1:-1]) * states + codes[:, 2:]
    table = np.bincount(triples.ravel(), minlength=states**3).reshape(states, states, states).astype(np.float64)
    first, last, middle = table.sum(axis=2), table.sum(axis=0), table.sum(axis=(0, 2))
    expected = first[:, :, None] * last[None] / np.where(middle > 0.0, middle, 1.0)[None, :, None]
    statistic = 2.0 * special.xlogy(table, np.where(table > 0.0, table / np.where(expected > 0.0, expected, 1.0), 1.0))
    before, after = (first > 0.0).sum(axis=0), (last > 0.0).sum(axis=1)
    degrees = int((np.maximum(before - 1, 0) * np.maximum(after - 1, 0)).sum())
    return degrees == 0 or bool(special.chdtrc(degrees, statistic.sum()) > _UNLIKELY)


def steady(codes: NDArray[np.int64], states: int) -> bool:
    """Whether both halves of codes (m, T) may have the same transitions: a likelihood-ratio test."""
    half = codes.shape[1] // 2
    if half < 2:
        return True
    halves = np.stack([transition_counts(part, states) for part in (codes[:, : half + 1], codes[:, half:])])
    table = halves.astype(np.float64)
    both = table.sum(axis=0)
    leaving = table.sum(axis=2)
    if leaving.min(axis=0)[both.sum(axis=1) > 0.0].min() == 0.0 or (both > 0.0).sum() * FEW > both.sum():
        return True
    shares = both / np.where(both.sum(axis=1) > 0.0, both.sum(axis=1), 1.0)[:, None]
    expected = leaving[:, :, None] * shares
    ratio = np.where(table > 0.0, table / np.where(expected > 0.0, expected, 1.0), 1.0)
    degrees = int((both > 0.0).sum() - (both.sum(axis=1) > 0.0).sum())
    statistic = 2.0 * float(special.xlogy(table, ratio).sum())
    return degrees == 0 or bool(special.chdtrc(degrees, statistic) > _UNLIKELY)


def slowest_mode(counts: Counts) -> float:
    """Return the second largest modulus of the eigenvalues of the transition matrix of counts (K, K)."""
    leaving = counts.sum(axis=1)
    seen = leaving > 0
    p = counts[np.ix_(seen, seen)] / leaving[seen][:, None]
    if len(p) < 2:
        return 0.0
    return float(np.sort(np.abs(np.linalg.eigvals(p)))[-2])


def _cycles(flow: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of independent cycles and of components of the graphs of seen transitions."""
    states = flow.shape[-1]
    joined = (flow > 0.0) | (flow.transpose(0, 2, 1) > 0.0)
    present = joined.any(axis=2)
    joined |= np.eye(states, dtype=bool)
    label = np.broadcast_to(np.arange(states), present.shape)
    while True:
        lower = np.where(joined, label[:, None, :], states).min(axis=2)
        if (lower == label).all():
            break
        label = lower
    components = ((label == np.arange(states)) & present).sum(axis=1)
    edges = np.triu(joined, 1).sum(axis=(1, 2))
    return edges - present.sum(axis=1) + components, components


def _delta_method(counts: Array, seen: NDArray[np.bool_], log_ratio: Array, components: Any) -> tuple[Array, Array]:
    """Bias beyond that under detailed balance, and variance, of the plug-in value per step.

    The covariance of the shares of transitions ij and kl, times N, is
    F_ij [ij = kl] - F_ij F_kl + F_ij G_jk P_kl + F_kl G_li P_ij, with flows F, transitions P, and
    G = sum_n (P^n - 1 pi) from the fundamental matrix (Kemeny & Snell, Finite Markov Chains, chapter 4).
    """
    states = counts.shape[-1]
    total = np.maximum(counts.sum(axis=(1, 2)), 1.0)
    flow = counts / total[:, None, None]
    leaving = flow.sum(axis=2)
    pi = leaving / np.maximum(leaving.sum(axis=1), 1e-300)[:, None]
    p = np.where(leaving[:, :, None] > 0.0, flow / np.where(leaving > 0.0, leaving, 1.0)[:, :, None], pi[:, None, :])
    rank_one = np.broadcast_to(pi[:, None, :], p.shape)
    # Separate components have no common memory: their counts are taken as independent.
    whole = components == 1
    system = np.where(whole[:, None, None], np.eye(states) - p + rank_one, np.eye(states))
    memory = np.where(whole[:, None, None], np.linalg.pinv(system) - rank_one, 0.0)

    back = flow.transpose(0, 2, 1)
    a, b = np.where(seen, flow, 1.0), np.where(seen, back, 1.0)
    gradient = np.where(seen, log_ratio + 1.0 - b / a, 0.0)
    mean = (flow * gradient).sum(axis=(1, 2))
    centred = gradient - mean[:, None, None]
    # What is still to come from the state reached, and its covariance with the transition that led there.
    coming = np.einsum("bij,bj->bi", memory, (p * centred).sum(axis=2))
    variance = (flow * centred * (centred + 2.0 * coming[:, None, :])).sum(axis=(1, 2))

    own = np.einsum("bjj->bj", memory)
    spread = flow - flow**2 + 2.0 * flow * p * memory.transpose(0, 2, 1)
    across = -flow * back + flow * own[:, None, :] * p.transpose(0, 2, 1) + back * own[:, :, None] * p
    # Where both directions are equal the curvature is 2 / F on the difference alone: the bias of the null.
    curved = (1.0 / a + b / a**2) * spread - (1.0 / a + 1.0 / b) * across
    level = 0.5 * (a + b)
    balanced = 2.0 / level * (spread - across)
    further = np.where(seen, 0.5 * (curved - balanced), 0.0).sum(axis=(1, 2))
    return further / total, np.maximum(variance, 0.0) / total


def _shaped(numbers: Array, shape: tuple[int, ...]) -> Any:
    return numbers.reshape(shape) if shape else float(numbers[0])
