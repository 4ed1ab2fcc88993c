"""How near simulated answers come to those of people: distances, a score from 0 to 100, and how high it can be.

Of each question the shares of people's answers and the model's distribution. Total variation is half the sum of
absolute differences; the score is 100 (1 - TV / mean TV of even answers), 0 for a model that answers evenly, 100 for
people themselves, below 0 if worse than even (SimBench, arXiv 2510.17516). Shares of n people are not those of all:
even a perfect model is some way off, E|X - np| of each option (De Moivre's closed form), and another n people are
farther, E|X - X'| = 2 sum F (1 - F); the score of these two, ``perfect`` and ``ceiling``, is what can be reached.

Errors are those of other questions; the score's is that of a ratio.

Declared validity: 20 questions (else ``few_samples``).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics import checks
from simengine.diagnostics.decisions.rows import Floats, column, distributions, entropies, groups, mean_of, numbers
from simengine.diagnostics.estimate import NATS_A_BIT, Estimate, flagged, normal_interval
from simengine.errors import InputError

EVEN = "a model that answers evenly"
_EXACT = 1000
"""People up to which the mean distance of two samples is summed exactly; beyond, they are normal variables."""


def simulation_fidelity(
    human: Any, model: Any, *, people: Any = None, options: Any = None, coverage: Any = None, cluster: Any = None,
    data: Any = None, unit: str = "bit",
) -> dict[str, Estimate]:  # fmt: skip
    """Estimate how near a model's answers come to people's, over questions.

    Parameters
    ----------
    human, model
        Shares of each option, shape (questions, options); questions with fewer options are filled up with zeros.
    people
        How many people answered, a number or shape (questions,): with it there are ``perfect`` and ``ceiling``.
    options
        How many options each question has, shape (questions,); by default all of them.
    coverage
        Probability that the model gave to valid answers before they were scaled to sum 1, shape (questions,).
    cluster
        Labels (questions,) of what hangs together, surveys for instance.
    data
        Dataset or file in which variables are looked up by name.
    unit
        Of ``jensen_shannon`` (at most 1 bit) and ``entropy_gap``: "bit" or "nat".

    Returns
    -------
    estimates
        By name, each a mean over questions with the even model as its null:

        - ``score``, ``total_variation``, ``jensen_shannon``; in ``details`` of the score ``by_question``;
        - ``entropy_gap``, H(model) - H(human): above 0, the model is less sure than people are divided;
        - ``perfect`` and ``ceiling``, scores of a model that knows the shares of all people, and of as many other
          people; ``details["total_variation"]`` has the mean distances they come from;
        - ``coverage``, if it was given.
    """
    checks.one_of(unit, ("bit", "nat"), "unit")
    p, q = distributions(human, data, "human"), distributions(model, data, "model")
    if p.shape != q.shape:
        raise InputError(f"human has shape {p.shape} and model {q.shape}; expected the same")
    n, widest = p.shape
    even = _even(options, data, n, widest, p + q)
    clusters = groups(cluster, data, "cluster", n)
    distance, worst = _variation(p, q), _variation(p, even)
    middle, middle_even = 0.5 * (p + q), 0.5 * (p + even)
    h = {name: entropies(one, None, name) for name, one in (("human", p), ("model", q), ("even", even))}
    apart = entropies(middle, None, "human") - 0.5 * (h["human"] + h["model"])
    apart_even = entropies(middle_even, None, "human") - 0.5 * (h["human"] + h["even"])
    gap, gap_even = h["model"] - h["human"], h["even"] - h["human"]

    def mean(values: Floats, at_even: Floats, method: str, lowest: float, highest: float, unit: str) -> Estimate:
        return mean_of(
            values, clusters, unit=unit, method=method, null=EVEN, null_mean=float(at_even.mean()), lowest=lowest,
            highest=highest, details={"by_question": values},
        )  # fmt: skip

    found = {
        "score": _score(distance, worst, clusters),
        "total_variation": mean(distance, worst, "total variation", 0.0, 1.0, "1"),
        "jensen_shannon": mean(apart, apart_even, "jensen-shannon", 0.0, NATS_A_BIT, "nat").to(unit),
        "entropy_gap": mean(gap, gap_even, "entropy gap", -math.log(widest), math.log(widest), "nat").to(unit),
    }
    if people is not None:
        size = _people(people, data, n)
        for name, chance in (("perfect", _from_all(p, size)), ("ceiling", _from_others(p, size))):
            found[name] = _score(chance, worst, clusters, total_variation=float(chance.mean()))
    if coverage is not None:
        share = numbers(coverage, data, "coverage", n)
        if share.min() < 0.0 or share.max() > 1.0 + 1e-6:
            raise InputError("coverage: expected numbers from 0 to 1")
        found["coverage"] = mean_of(share, clusters, unit="1", method="mean", lowest=0.0, highest=1.0)
    return found


def _score(distance: Floats, worst: Floats, clusters: Any, **details: float) -> Estimate:
    """Return 100 (1 - mean distance / mean distance of the even model), with the error of a ratio of means."""
    base = float(worst.mean())
    if base <= 0.0:
        return Estimate(
            math.nan, n=clusters.count, unit="1", method="score", flags=flagged("constant"), null=EVEN, details=details
        )  # fmt: skip
    ratio = float(distance.mean()) / base
    about = mean_of(100.0 * (distance - ratio * worst) / base, clusters, unit="1", method="score")
    value, error = 100.0 * (1.0 - ratio), float(about.standard_error)
    return Estimate(
        value, error, normal_interval(value, error, -math.inf, 100.0), 0.0, 0.0, clusters.count, "1", "score",
        about.flags, EVEN, {"by_question": 100.0 * (1.0 - distance / base), **details},
    )  # fmt: skip


def _variation(p: Floats, q: Floats) -> Floats:
    found: Floats = 0.5 * np.abs(p - q).sum(axis=1)
    return found


def _even(options: Any, data: Any, n: int, widest: int, held: Floats) -> Floats:
    if options is None:
        return np.full((n, widest), 1.0 / widest)
    sizes = column(options, data, "options", n)
    if sizes.dtype.kind not in "iu" or sizes.min() < 2 or sizes.max() > widest:
        raise InputError(f"options: expected whole numbers from 2 to {widest}, the options that shares are given of")
    inside = np.arange(widest) < sizes[:, None]
    if (held[~inside] > 0.0).any():
        row = int(((held > 0.0) & ~inside).any(axis=1).argmax())
        raise InputError(f"question {row} has {sizes[row]} options, and shares of others")
    found: Floats = inside / sizes[:, None]
    return found


def _people(people: Any, data: Any, n: int) -> NDArray[np.int64]:
    if isinstance(people, int | np.integer) and not isinstance(people, bool):
        return np.full(n, checks.whole(people, "people", 1), np.int64)
    sizes = column(people, data, "people", n)
    if sizes.dtype.kind not in "iu" or sizes.min() < 1:
        raise InputError("people: expected whole numbers of at least 1")
    return sizes.astype(np.int64)


def _from_all(p: Floats, people: NDArray[np.int64]) -> Floats:
    """Return the mean total variation between the shares of n people and those of all."""
    from scipy.special import betaln, xlog1py, xlogy

    n = people[:, None].astype(np.float64)
    # E|X - np| = 2 v C(n, v) p^v (1 - p)^(n - v + 1), v = floor(np) + 1; where p = 1 it is 0.
    v = np.minimum(np.floor(n * p + 1e-12) + 1.0, n)
    logarithm = -np.log(n + 1.0) - betaln(v + 1.0, n - v + 1.0) + xlogy(v, p) + xlog1py(n - v + 1.0, -p)
    away = np.where((p > 0.0) & (p < 1.0), 2.0 * v * np.exp(logarithm) / n, 0.0)
    found: Floats = 0.5 * away.sum(axis=1)
    return found


def _from_others(p: Floats, people: NDArray[np.int64]) -> Floats:
    """Return the mean total variation between the shares of n people and those of n others."""
    from scipy.special import bdtr

    away = np.sqrt(4.0 * p * (1.0 - p) / (math.pi * people[:, None]))
    for size in np.unique(people[people <= _EXACT]).tolist():
        which = people == size
        below = bdtr(np.arange(size), size, p[which][..., None])
        away[which] = 2.0 * (below * (1.0 - below)).sum(axis=-1) / size
    found: Floats = 0.5 * away.sum(axis=1)
    return found
