"""Altieri's spatial entropy: what the distance of two agents tells of their categories.

Of all pairs of agents let Z be the unordered pair of categories and W the class of distance. Then H(Z) = SMI + H(Z | W)
with SMI = sum_k p(w_k) KL(p(z | w_k) || p(z)), the spatial mutual information (Altieri, Cocchi & Roli 2018,
Environmental and Ecological Statistics 25, 95).

Class C, then A: the whole-number counts of near pairs (:func:`altieri_counts`) need a halo of the widest declared
distance; those beyond are all pairs less the near ones. They add up.

Pairs share agents. The null deals the categories out to the places at random, and its mean is taken off the mutual
part; the error is that of the means over each agent's pairs (Hoeffding 1948), and that of the null where this
vanishes. Where places and categories hang together over long distances errors are too small. Valid from 100 agents on
with at least 10 of each category (``few_samples``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics import checks
from simengine.diagnostics.estimate import Estimate, flagged, normal_interval
from simengine.diagnostics.populations.arguments import checked_numbers, checked_size
from simengine.diagnostics.populations.bins import Counts, Floats
from simengine.diagnostics.populations.communities import one_batch, scalar_labels
from simengine.diagnostics.populations.graphs import numbered_labels
from simengine.diagnostics.populations.near import MOST_COUNTED, neighbour_rows, padded
from simengine.diagnostics.populations.shares import variance_of
from simengine.diagnostics.populations.space import checked_box, place_blocks
from simengine.diagnostics.samples import checked_counts
from simengine.errors import InputError
from simengine.scenario.parameters import shown

PARTS = ("mutual", "residual", "total")
DEALT = "the same categories dealt out to the places at random"

_FEWEST = 100
_FEWEST_OF_EACH = 10
_SHUFFLES = 40


def pair_number(states: int) -> Counts:
    """Return the number of each unordered pair of categories, symmetric, shape (states, states)."""
    found = np.zeros((states, states), np.int64)
    a, b = np.triu_indices(states)
    found[a, b] = found[b, a] = np.arange(a.size)
    return found


def altieri_counts(
    positions: Floats, categories: Counts, states: int, distances: Floats, low: Floats, sides: Floats, periodic: bool
) -> Counts:
    """Return how many pairs of agents there are by class of distance and pair of categories.

    Parameters
    ----------
    positions, categories
        Of the agents, shapes (n, d) and (n,), categories 0 ... states - 1.
    distances
        Limits of the near classes, rising from above 0, shape (W - 1,); the last class holds all pairs beyond.

    Returns
    -------
    counts
        Shape (W, states (states + 1) / 2), pairs in the order of :func:`pair_number`.
    """
    rows = _rows(positions, categories, states, distances, low, sides, periodic)
    return _pairs_of(rows, categories, states)


def _rows(
    positions: Floats, categories: Counts, states: int, distances: Floats, low: Floats, sides: Floats, periodic: bool
) -> NDArray[np.int64]:
    """Others around each agent by class, the one beyond included, and category: shape (n, W, states)."""
    points, period = padded(positions, low, sides, periodic)
    edges = np.concatenate([[0.0], distances])
    near = neighbour_rows(points, period, edges, categories, states)
    rows = np.zeros((len(points), distances.size + 1, states), np.int64)
    rows[:, :-1] = near.reshape(len(points), distances.size, states)
    everyone = np.bincount(categories, minlength=states)
    rows[:, -1] = everyone - rows[:, :-1].sum(axis=1)
    rows[np.arange(len(points)), -1, categories] -= 1
    return rows


def _pairs_of(rows: NDArray[np.int64], categories: Counts, states: int) -> Counts:
    number = pair_number(states)
    found = np.zeros((rows.shape[1], states * (states + 1) // 2), np.int64)
    for a in np.arange(states):
        both = rows[categories == a].sum(axis=0)
        for b in np.arange(states):
            found[:, number[a, b]] += both[:, b]
    return found // 2


def altieri_entropy(
    positions: Any, categories: Any, low: Any, high: Any, *, distances: Sequence[float], part: str = "mutual",
    states: int | None = None, periodic: bool = False, shuffles: int = _SHUFFLES, seed: int = 0, unit: str = "nat",
    data: Any = None, dim: Any = None, components: str | None = None,
) -> Estimate:  # fmt: skip
    """Return Altieri's spatial mutual information, or the rest of the entropy of pairs.

    Parameters
    ----------
    positions
        Shape (n, d), d = 1, 2 or 3.
    categories
        A label for each agent, shape (n,): whole numbers or texts; with ``states`` the numbers 0 ... states - 1.
    low, high
        Corners of the box.
    distances
        Limits of the classes of distance, rising; a last class holds all pairs beyond.
    part
        ``"mutual"`` (SMI), ``"residual"`` (H(Z | W)) or ``"total"`` (H(Z)).
    periodic
        Whether the box repeats; the widest distance is then at most half its least side.
    shuffles
        How often categories are dealt out for the null.

    Returns
    -------
    estimate
        ``details`` has all three parts (``mutual``, ``residual``, ``total``), and by class of distance the shares of
        pairs (``weights``) and the divergences (``partial``) whose weighted mean is the plain mutual part.
    """
    checks.one_of(part, PARTS, "part")
    shuffles, seed, periodic = checks.repeats(shuffles, least=2), checks.seed(seed), checks.truth(periodic, "periodic")
    (block,) = next(iter(one_batch(place_blocks(positions, data, dim, components))))
    labels = scalar_labels(categories, data, dim, "categories")
    n, d = block.shape
    if labels.size != n:
        raise InputError(f"the numbers of samples differ: positions {n}, categories {labels.size}")
    kind, states = numbered_labels(labels, "categories", states)
    corner, other = checked_box(low, high, d)
    limits = checked_numbers(distances, "distances")
    if limits.ndim != 1 or limits.size == 0 or limits[0] <= 0.0 or not (np.diff(limits) > 0.0).all():
        raise InputError(f"distances is {shown(distances)}; expected limits that rise from above 0")
    checked_size(n * (limits.size + 1) * states, "agents x classes of distance x categories", MOST_COUNTED)
    checked_size((limits.size + 1) * states * (states + 1) // 2, "classes of distance x pairs of categories")
    if periodic and limits[-1] > 0.5 * (other - corner).min():
        raise InputError(f"distances reach {limits[-1]:g}; in this box they may reach {0.5 * (other - corner).min():g}")
    if n < 2:
        return Estimate(math.nan, n=n, method="altieri", flags=flagged("few_samples"), null=DEALT).to(unit)
    rows = _rows(np.ascontiguousarray(block), kind, states, limits, corner, other - corner, periodic)
    counts = _pairs_of(rows, kind, states)
    rng = np.random.Generator(np.random.Philox(seed))
    drawn = []
    for _ in np.arange(shuffles):
        dealt = kind[rng.permutation(n)]
        again = altieri_counts(block, dealt, states, limits, corner, other - corner, periodic)
        drawn.append(_parts(again)[0])
    null = (float(np.mean(drawn)), float(np.std(drawn, ddof=1)))
    mutual, _, _, local, total = _parts(counts)
    pairs = pair_number(states)[kind][:, None, :]
    own = {
        "mutual": np.sum(rows * local[np.arange(len(counts))[None, :, None], pairs], axis=(1, 2)) / (n - 1.0),
        "total": np.sum(rows.sum(axis=1) * total[pairs[:, 0]], axis=1) / (n - 1.0),
    }
    own["residual"] = own["total"] - own["mutual"]
    first = 4.0 * float(np.var(own[part])) / n
    flags = flagged(
        "few_samples" if n < _FEWEST or np.bincount(kind, minlength=states).min() < _FEWEST_OF_EACH else None,
        "constant" if states < 2 else None,
    )  # fmt: skip
    return _answer(counts, n, part, first, null, flags, mutual).to(unit)


def _parts(counts: Counts) -> tuple[float, Floats, Floats, Floats, Floats]:
    """Plain mutual part, divergence and share of each class, local information (W, Z) and -ln p(z) (Z,)."""
    p = counts / counts.sum()
    weights, shares = p.sum(axis=1), p.sum(axis=0)
    ratio = np.divide(p, np.outer(weights, shares), out=np.ones_like(p), where=p > 0.0)
    local = np.log(ratio)
    partial = np.divide((p * local).sum(axis=1), weights, out=np.zeros_like(weights), where=weights > 0.0)
    total = -np.log(shares, out=np.zeros_like(shares), where=shares > 0.0)
    return float(np.sum(p * local)), partial, weights, local, total


def _answer(
    counts: Counts, n: int, part: str, first: float, null: tuple[float, float], flags: tuple[str, ...], plain: float
) -> Estimate:
    _, partial, weights, _, logarithm = _parts(counts)
    # Of C categories H(Z) falls short by (C - 1) / n: half the sum of var p(z) / p(z), shares of pairs being unbiased.
    states = round(0.5 * (math.sqrt(8.0 * counts.shape[1] + 1.0) - 1.0))
    total = float((counts.sum(axis=0) / counts.sum()) @ logarithm) + (states - 1.0) / n
    mutual = plain - (0.0 if math.isnan(null[0]) else null[0])
    found = {"mutual": mutual, "residual": total - mutual, "total": total}
    spread = 0.0 if math.isnan(null[1]) else null[1]
    # Of H(Z) nothing is dealt out; the curvature of its shares is that of categories.
    second = spread**2 if part == "mutual" else (states - 1.0) / n**2
    error = math.sqrt(first + second if part == "mutual" else variance_of(first, second))
    means = {"mutual": (0.0, null[1]), "residual": (total, null[1]), "total": (math.nan, math.nan)}
    return Estimate(
        found[part], error, normal_interval(found[part], error, 0.0), *means[part], n, "nat", "altieri", flags,
        DEALT if part != "total" and not math.isnan(null[1]) else "",
        {**found, "plain": plain, "partial": partial, "weights": weights},
    )  # fmt: skip


def altieri_entropy_from_counts(counts: Any, agents: int, part: str = "mutual", *, unit: str = "nat") -> Estimate:
    """Return a part of Altieri's entropy from :func:`altieri_counts` of so many agents.

    Counts alone do not tell whose pairs they are: nothing is taken off, there is no null, and the error is the
    greatest that pairs which share agents may have, sqrt(2 / n) times the standard deviation over pairs.
    """
    checks.one_of(part, PARTS, "part")
    agents = checks.whole(agents, "agents", 1)
    table = checked_counts(counts)
    if table.ndim != 2 or table.sum() == 0:
        raise InputError(
            f"counts has shape {table.shape} and sum {table.sum()}; expected (classes, pairs of categories)"
        )
    plain, _, _, local, logarithm = _parts(table)
    value = {"mutual": local, "total": logarithm + 0.0 * local, "residual": logarithm - local}[part]
    p = table / table.sum()
    variance = float(np.sum(p * value**2) - np.sum(p * value) ** 2)
    flags = flagged("few_samples" if agents < _FEWEST else None)
    return _answer(table, agents, part, 2.0 * max(variance, 0.0) / agents, (math.nan, math.nan), flags, plain).to(unit)
