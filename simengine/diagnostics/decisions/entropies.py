"""How undecided agents are, when that ends, and how much less undecided they are than a twin who computes.

The entropy is that of the distribution over options that lies behind a decision. Told exactly (probabilities of
labels), it has no bias; from n answers it is Grassberger's of the counts (``samples=n``), freed of the plug-in bias
-(K - 1) / 2n. What is estimated is the mean over the population that agents are drawn from: rows of one agent hang
together (``cluster``), and rows are independent where none are named.

Declared validity: 20 independent groups of rows (else ``few_samples``), at which intervals hold the mean in 93 % of
repetitions; with ``samples`` at least 4 answers (else ``few_samples``).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics import checks
from simengine.diagnostics.counts.entropies import entropy_from_counts
from simengine.diagnostics.decisions.rows import (
    Floats,
    Rows,
    column,
    distributions,
    entropies,
    groups,
    ln_less_psi,
    mean_of,
    numbers,
    part,
    split,
    weighted,
)
from simengine.diagnostics.estimate import Estimate, checked_unit, flagged, stacked
from simengine.errors import InputError

FEWEST_ANSWERS = 4
EVEN = "options that are equally likely"
ALIKE = "either of the two could be the agent, the other its twin (signs of the gaps at random)"


def decision_entropy(
    probability: Any = None, *, entropy: Any = None, samples: int | None = None, by: Any = None, cluster: Any = None,
    data: Any = None, unit: str = "nat",
) -> Estimate:  # fmt: skip
    """Estimate the mean entropy of the distributions behind decisions; with ``by="step"`` its course.

    Parameters
    ----------
    probability
        Of each option, shape (n, options).
    entropy
        In place of ``probability``: the entropy of each decision in nats, as logged.
    samples
        Number of answers from which each distribution was counted; by default it was told exactly.
    by
        Labels (n,): one estimate for each, in rising order.
    cluster
        Labels (n,) of what hangs together, ``"agent"`` for instance; by default each row is independent.
    data
        Dataset or file in which variables are looked up by name.
    unit
        "nat" or "bit".

    Returns
    -------
    estimate
        ``details``: ``rows``, ``options`` and ``certain``, the share of decisions without any doubt.
    """
    checked_unit(unit)
    values, options, few = _told(probability, entropy, samples, data)
    clusters = groups(cluster, data, "cluster", values.size)
    parts, shape, dims, coords = split(by, data, values.size)
    null_mean, null_sd = _even(options, samples)

    def one(rows: Rows) -> Estimate:
        found = values[rows]
        return mean_of(
            found, part(clusters, rows), unit="nat", method="exact" if samples is None else "grassberger", lowest=0.0,
            null=EVEN if options else "", null_mean=null_mean, null_sd=null_sd / math.sqrt(rows.size), doubts=few,
            details={"options": options, "certain": float(np.mean(found <= 0.0))},
        )  # fmt: skip

    return stacked([one(rows) for rows in parts], shape, dims, coords).to(unit)


def collapse_time(
    probability: Any = None, *, step: Any, agent: Any, below: float, entropy: Any = None, samples: int | None = None,
    hold: int = 1, resamples: int = 1000, seed: int = 0, data: Any = None,
) -> Estimate:  # fmt: skip
    """Estimate the first step at which the mean entropy of decisions lies below a threshold.

    The interval is the percentile bootstrap's over agents, whole courses at a time. Its ends are steps, so it is at
    least as wide as the steps are coarse; its high end is infinite where the threshold may not be reached at all.

    Parameters
    ----------
    probability, entropy, samples, data
        As of :func:`decision_entropy`.
    step, agent
        Labels (n,) of each decision; steps are numbers.
    below
        The threshold, in nats.
    hold
        For how many successive steps the mean has to lie below it; the first of these is the time.
    resamples, seed
        Of the bootstrap.

    Returns
    -------
    estimate
        ``details``: ``agents_collapsed``, the share of agents whose own entropy falls below the threshold at some
        step, and ``resamples_collapsed``, the share of resampled populations in which the mean does.
    """
    limit, hold = checks.positive(below, "below"), checks.whole(hold, "hold", 1)
    resamples, seed = checks.repeats(resamples, "resamples", 1), checks.seed(seed)
    values, _, few = _told(probability, entropy, samples, data)
    steps, at = np.unique(numbers(step, data, "step", values.size), return_inverse=True)
    agents = groups(agent, data, "agent", values.size)
    if hold > steps.size:
        raise InputError(f"hold is {hold}, more than the {steps.size} steps there are")
    cells = agents.of_row * steps.size + at.reshape(-1)
    size = agents.count * steps.size
    sums = weighted(cells, values, size).reshape(agents.count, -1)
    rows = np.bincount(cells, minlength=size).reshape(agents.count, -1).astype(np.float64)
    own = _first(sums, rows, limit, hold)
    time = _first(sums.sum(axis=0, keepdims=True), rows.sum(axis=0, keepdims=True), limit, hold)[0]
    random = np.random.Generator(np.random.Philox(seed))
    times = np.empty(resamples)
    for start in range(0, resamples, 100):
        drawn = random.multinomial(agents.count, np.full(agents.count, 1.0 / agents.count), min(100, resamples - start))
        weights = drawn.astype(np.float64)
        times[start : start + 100] = _labelled(_first(weights @ sums, weights @ rows, limit, hold), steps)
    value = float(_labelled(np.array([time]), steps)[0])
    ordered, outside = np.sort(times), int(0.025 * resamples)
    low, high = float(ordered[outside]), float(ordered[resamples - 1 - outside])
    few_agents = agents.count < 20
    details = {
        "agents": agents.count, "steps": steps.size, "agents_collapsed": float(np.mean(own < steps.size)),
        "resamples_collapsed": float(np.isfinite(times).mean()),
    }  # fmt: skip
    return Estimate(
        value if math.isfinite(value) else math.nan,
        float(times.std(ddof=1)) if resamples > 1 and np.isfinite(times).all() else math.nan,
        (low, high) if agents.count > 1 else (math.nan, math.nan), n=agents.count, unit="step", method="first passage",
        flags=flagged(*few, "few_samples" if few_agents else None, None if math.isfinite(value) else "not_reached"),
        details=details,
    )  # fmt: skip


def entropy_gap(
    probability: Any, twin: Any, *, samples: int | None = None, by: Any = None, cluster: Any = None, data: Any = None,
    unit: str = "nat",
) -> Estimate:  # fmt: skip
    """Estimate by how much the twin's entropy exceeds the agent's on the same decisions: above 0 is overconfidence.

    Parameters
    ----------
    probability
        Of each option by the agent, shape (n, options); ``samples`` tells from how many answers, as of
        :func:`decision_entropy`.
    twin
        Of each option by the rule in the same situation, shape (n, options), exact: the Bayesian posterior's or
        Thompson sampling's choice, for instance.
    samples, by, cluster, data, unit
        As of :func:`decision_entropy`.

    Returns
    -------
    estimate
        The null exchanges the two at random, agent by agent where ``cluster`` names these. ``details``:
        ``total_variation``, the mean distance of the two, which exceeds that of exact ones where they were counted
        from ``samples``, and ``overconfident``, the share of decisions with a gap above 0.
    """
    checked_unit(unit)
    own = distributions(probability, data, "probability")
    rule = distributions(twin, data, "twin", len(own))
    if own.shape != rule.shape:
        raise InputError(f"probability has {own.shape[1]} options and twin {rule.shape[1]}; expected the same")
    gaps = entropies(rule, None, "twin") - entropies(own, samples, "probability")
    distance = 0.5 * np.abs(own - rule).sum(axis=1)
    clusters = groups(cluster, data, "cluster", gaps.size)
    parts, shape, dims, coords = split(by, data, gaps.size)
    most = math.log(own.shape[1])

    def one(rows: Rows) -> Estimate:
        found, together = gaps[rows], part(clusters, rows)
        sums = together.sums(found)
        return mean_of(
            found, together, unit="nat", method="exact" if samples is None else "grassberger", lowest=-most,
            highest=most, null=ALIKE, null_mean=0.0, null_sd=math.sqrt(float(sums @ sums)) / rows.size,
            doubts=_few_answers(samples),
            details={"total_variation": float(distance[rows].mean()), "overconfident": float(np.mean(found > 0.0))},
        )  # fmt: skip

    return stacked([one(rows) for rows in parts], shape, dims, coords).to(unit)


def _told(probability: Any, entropy: Any, samples: int | None, data: Any) -> tuple[Floats, int, tuple[str, ...]]:
    """Return the entropy of each decision, the number of options (0 where it is not known) and doubts."""
    if (probability is None) == (entropy is None):
        raise InputError("give either probability or entropy=, one of the two")
    if probability is None:
        if samples is not None:
            raise InputError("samples= belongs to probability; logged entropies are taken as they are")
        return numbers(column(entropy, data, "entropy"), None, "entropy"), 0, ()
    told = distributions(probability, data, "probability")
    return entropies(told, samples, "probability"), told.shape[1], _few_answers(samples)


def _few_answers(samples: int | None) -> tuple[str, ...]:
    return ("few_samples",) if samples is not None and samples < FEWEST_ANSWERS else ()


def _even(options: int, samples: int | None) -> tuple[float, float]:
    """Return mean and spread of the entropy of one decision whose options are equally likely."""
    if not options:
        return math.nan, math.nan
    if samples is None:
        return math.log(options), 0.0
    counts = np.zeros(options, np.int64)
    counts[0] = samples
    found = entropy_from_counts(counts, states=options)
    return float(found.null_mean) - ln_less_psi(samples), float(found.null_sd)


def _first(sums: Floats, rows: Floats, limit: float, hold: int) -> NDArray[np.int64]:
    """Return for each course the place of the first of ``hold`` steps below the limit; the length where none is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        low = (sums / rows < limit).astype(np.int64)
    runs = np.concatenate([np.zeros((len(low), 1), np.int64), np.cumsum(low, axis=1)], axis=1)
    full = runs[:, hold:] - runs[:, :-hold] == hold
    found: NDArray[np.int64] = np.where(full.any(axis=1), full.argmax(axis=1), sums.shape[1])
    return found


def _labelled(places: NDArray[np.int64], steps: Floats) -> Floats:
    found: Floats = np.append(steps, math.inf)[places]
    return found
