"""What decisions tell of what they may depend on: observations, contexts, personas, against what was exchanged.

I(action; about) is the plug-in value of the decisions' mean distributions less its mean over permutations, in which
``about`` is exchanged between rows, or, where agents are named, between agents with all their rows: decisions of one
agent hang together, and its habits must not look like a trace of its persona. From actions taken, the bias taken off is
about (K - 1)(C - 1) / 2n; from distributions told by agents it is less, as nothing is drawn. What all agents see alike
at each step cannot be told from time when agents are exchanged (``degenerate_null``): leave agents out there.

The variance is that of the delta method over the units that are exchanged, and near independence that of the null;
intervals are made on the root scale (:mod:`simengine.diagnostics.counts.intervals`).

Declared validity: 60 rows or 20 agents (else ``few_samples``); degrees of freedom (K - 1)(C - 1) at most a tenth of
the rows, and values of what is constant for an agent at most a tenth of the agents (else ``many_states``).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics import checks
from simengine.diagnostics.counts.intervals import root_interval
from simengine.diagnostics.decisions.rows import (
    FEWEST,
    Floats,
    Groups,
    Rows,
    clustered_sum,
    column,
    groups,
    shares,
    weighted,
)
from simengine.diagnostics.estimate import Estimate, checked_unit, flagged
from simengine.diagnostics.samples import is_discrete
from simengine.errors import InputError

FEWEST_ROWS = 60
MOST_FREEDOM = 0.1
_MOST_CELLS = 1 << 18


def decision_information(
    decisions: Any, about: Any, *, given: Any = None, agent: Any = None, shuffles: int = 200, seed: int = 0,
    data: Any = None, unit: str = "nat",
) -> Estimate:  # fmt: skip
    """Estimate the mutual information of decisions and what they are about, with a permutation null.

    Parameters
    ----------
    decisions
        Labels of the actions taken, shape (n,), or the distributions behind them, shape (n, options), which tell the
        same with less noise.
    about
        Labels (n,): an observation, a context, a persona.
    given
        Labels (n,) of a condition: the information beyond what it tells; exchanges stay within it.
    agent
        Labels (n,): agents are exchanged in place of rows. Where ``about`` is one and the same for all rows of an
        agent, as a persona is, all agents are; else with their rows in order, those with equal numbers of rows.
    shuffles, seed
        Of the null.
    data
        Dataset or file in which variables are looked up by name.
    unit
        "nat" or "bit".

    Returns
    -------
    estimate
        ``details``: ``plug_in`` and ``subtracted_bias``, ``p_value`` (of an exact permutation test), ``entropy`` of
        the actions (given the condition), and ``share``, the value divided by it.
    """
    checked_unit(unit)
    shuffles, seed = checks.repeats(shuffles, "shuffles", 2), checks.seed(seed)
    rows, _ = shares(decisions, data, "decisions")
    n, options = rows.shape
    topic = _labels(about, data, "about", n)
    condition = _labels(given, data, "given", n) if given is not None else Groups(np.zeros(n, np.intp), np.zeros(1))
    agents = groups(agent, data, "agent", n)
    null = "decisions that do not heed it (rows exchanged)"
    by_agent = agent is not None and _constant(topic.of_row, agents)
    sets, of_agent = _exchangeable(condition.of_row), None
    if agent is not None:
        null = "decisions that do not heed it (agents exchanged)"
        sets, of_agent = _exchangeable_agents(agents, condition, alike=by_agent)
    plug_in, local, entropy = _information(rows, topic, condition)
    random = np.random.Generator(np.random.Philox(seed))
    drawn = np.array([
        entropy + _told(rows, _exchanged(topic.of_row, sets, of_agent, random), topic.count, condition)
        for _ in range(shuffles)
    ])  # fmt: skip
    bias, spread = float(drawn.mean()), float(drawn.std(ddof=1))
    # Two of the same kind are equal up to rounding.
    degenerate = spread <= 1e-12 * max(1.0, plug_in)
    value = plug_in - bias
    first = clustered_sum(local - plug_in, agents) / n**2
    if math.isnan(first):
        first = 0.0
    error = math.sqrt(max(first - 2.0 * spread**2, 0.0) + spread**2)
    units = agents.count if agent is not None else n
    freedom = (options - 1) * (topic.count - condition.count if given is not None else topic.count - 1)
    flags = flagged(
        "few_samples" if units < (FEWEST if agent is not None else FEWEST_ROWS) else None,
        "many_states" if freedom > MOST_FREEDOM * n or (by_agent and topic.count > MOST_FREEDOM * units) else None,
        "constant" if topic.count < 2 or entropy <= 0.0 else None,
        "degenerate_null" if degenerate else None,
    )
    details = {
        "plug_in": plug_in, "subtracted_bias": bias, "entropy": entropy,
        "p_value": float((1 + np.count_nonzero(drawn >= plug_in - 1e-12)) / (1 + shuffles)),
        "share": value / entropy if entropy > 0.0 else 0.0, "rows": n,
    }  # fmt: skip
    return Estimate(
        value, error, root_interval(value, first, plug_in, spread**2), 0.0, spread, units, "nat", "permutation", flags,
        null, details,
    ).to(unit)  # fmt: skip


def _labels(values: Any, data: Any, word: str, n: int) -> Groups:
    array = column(values, data, word, n)
    if not is_discrete(array):
        raise InputError(f"{word} holds fractions where states are counted; round them, or use diagnostics.binned")
    return groups(array, None, word, n)


def _information(rows: Floats, topic: Groups, condition: Groups) -> tuple[float, Floats, float]:
    """Return I(action; topic | condition), what each row tells, and H(action | condition), plug-in, in nats."""
    cell, count = _cells(topic.of_row, topic.count, condition)
    inner = _logarithms(_sums(rows, cell, count), cell)
    outer = _logarithms(_sums(rows, condition.of_row, condition.count), condition.of_row)
    local: Floats = (rows * (inner[cell] - outer[condition.of_row])).sum(axis=1)
    return float(local.mean()), local, -float((rows * outer[condition.of_row]).sum()) / len(rows)


def _cells(topic: Rows, topics: int, condition: Groups) -> tuple[Rows, int]:
    """Return a number for each pair of topic and condition, and how many numbers there are."""
    keys = condition.of_row * topics + topic
    if topics * condition.count <= _MOST_CELLS:
        return keys, topics * condition.count
    kept, cell = np.unique(keys, return_inverse=True)
    return cell.reshape(-1), kept.size


def _logarithms(sums: Floats, cell: Rows) -> Floats:
    """Return the logarithms of the mean distribution of each cell, 0 where there is nothing."""
    sizes = np.maximum(np.bincount(cell, minlength=len(sums)), 1)[:, None]
    found: Floats = np.log(np.where(sums > 0.0, sums / sizes, 1.0))
    return found


def _sums(rows: Floats, cell: Rows, count: int) -> Floats:
    return np.stack([weighted(cell, rows[:, k], count) for k in range(rows.shape[1])], axis=1)


def _told(rows: Floats, topic: Rows, topics: int, condition: Groups) -> float:
    """Return -H(action | topic, condition), plug-in."""
    cell, count = _cells(topic, topics, condition)
    sums = _sums(rows, cell, count)
    return float((sums * _logarithms(sums, cell)).sum()) / len(rows)


def _exchangeable(strata: Rows) -> list[NDArray[np.intp]]:
    """Return arrays (units, rows of each) of the rows that may be exchanged: single rows within a stratum."""
    order = np.argsort(strata, kind="stable")
    ends = np.cumsum(np.bincount(strata))[:-1]
    return [part[:, None] for part in np.split(order, ends) if part.size > 1]


def _exchangeable_agents(agents: Groups, condition: Groups, *, alike: bool) -> tuple[list[Rows], Groups | None]:
    """Return the rows of agents that may be exchanged with one another, in the order in which they stand.

    If all rows of an agent are alike, its first row stands for them, and the agents themselves are returned too.
    """
    order = np.argsort(agents.of_row, kind="stable")
    lengths = np.bincount(agents.of_row)
    starts = np.cumsum(lengths) - lengths
    if condition.count > 1 and not _constant(condition.of_row, agents):
        raise InputError("given changes within an agent, and agents are exchanged: leave agent= out, or given=")
    taken = np.ones_like(lengths) if alike else lengths
    kinds = np.unique(np.stack([taken, condition.of_row[order[starts]]], axis=1), axis=0, return_inverse=True)[1]
    found = []
    for kind in range(int(kinds.max()) + 1):
        which = np.flatnonzero(kinds.reshape(-1) == kind)
        if which.size > 1:
            found.append(order[starts[which][:, None] + np.arange(taken[which[0]])])
    return found, Groups(agents.of_row, order[starts]) if alike else None


def _constant(of_row: Rows, agents: Groups) -> bool:
    order = np.argsort(agents.of_row, kind="stable")
    same = np.diff(agents.of_row[order]) == 0
    return not bool((np.diff(of_row[order])[same] != 0).any())


def _exchanged(topic: Rows, sets: list[Rows], of_agent: Groups | None, random: np.random.Generator) -> Rows:
    found = topic.copy()
    for rows in sets:
        found[rows] = topic[rows[random.permutation(len(rows))]]
    return found if of_agent is None else found[of_agent.labels][of_agent.of_row]
