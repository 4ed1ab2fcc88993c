"""How varied actions and beliefs are: over all agents, within one agent, and between agents.

Class A: functions of the whole-number table of how often each agent took each action (:func:`action_counts`).
Valid from 10 agents on; what needs each agent's own distribution from 5 actions an agent on, and where what is left of
the bias, about K / (8 n^2) for each agent's n actions of K kinds, does not reach half a standard error
(``few_samples``).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import special

from simengine.diagnostics import checks
from simengine.diagnostics.counts.entropies import entropy_from_counts
from simengine.diagnostics.counts.information import mutual_information_from_table
from simengine.diagnostics.estimate import Estimate, doubted, flagged, normal_interval
from simengine.diagnostics.populations.arguments import checked_numbers, not_negative
from simengine.diagnostics.populations.bins import Counts, Floats, table_counts
from simengine.diagnostics.populations.information import information_of_table
from simengine.diagnostics.samples import checked_counts
from simengine.errors import InputError
from simengine.scenario.parameters import shown

SAME = "agents that share one policy (chi-square)"

_FEWEST_ACTIONS = 5
_FEWEST_AGENTS = 10


def action_counts(agents: Counts, actions: Counts, n_agents: int, n_actions: int) -> Counts:
    """Return how often each agent took each action, shape (n_agents, n_actions); both numbered from 0 on."""
    return np.asarray(
        table_counts(
            np.ascontiguousarray(agents, np.int64), np.ascontiguousarray(actions, np.int64), n_agents, n_actions
        )
    )


def _table(counts: Any) -> Counts:
    table = checked_counts(counts)
    if table.ndim != 2:
        raise InputError(f"counts has shape {table.shape}; expected (agents, actions)")
    return table


def action_entropy(counts: Any, *, estimator: str = "grassberger", unit: str = "nat") -> Estimate:
    """Return the entropy of the actions of all agents together, from counts of shape (agents, actions).

    The error takes agents as the samples: their actions hang together if their policies differ. The null are actions
    that are equally likely.
    """
    table = _table(counts)
    pooled = table.sum(axis=0)
    base = entropy_from_counts(pooled, estimator=estimator)
    own = table.sum(axis=1)
    active = own > 0
    n, agents = int(pooled.sum()), int(active.sum())
    flags = flagged(*base.flags, "few_samples" if agents < _FEWEST_AGENTS else None)
    details = {**base.details, "agents": agents, "actions": table.shape[1]}
    if agents < 2:
        return replace(base, flags=flags, details=details).to(unit)
    logarithm = np.log(np.maximum(pooled, 1) / n)
    part = -(table @ logarithm) - own * float(-(pooled / n) @ logarithm)
    clustered = float(part @ part) / n**2 * agents / (agents - 1.0)
    single = float((pooled / n) @ (logarithm + float(-(pooled / n) @ logarithm)) ** 2) / n
    # The first order twice: as counted by agents instead of by actions.
    error = math.sqrt(max(float(base.standard_error) ** 2 + clustered - single, float(base.standard_error) ** 2))
    return replace(
        base, standard_error=error, interval=normal_interval(base.value, error, 0.0), flags=flags, details=details
    ).to(unit)


def policy_entropy(counts: Any, *, given: bool = False, unit: str = "nat") -> Estimate:
    """Return the mean entropy of the agents' own policies, from counts of shape (agents, actions).

    Parameters
    ----------
    counts
        How often each agent took each action; agents that never acted are left out.
    given
        Whether repetitions have the same agents; else the error includes that others would have other policies.
    """
    given = checks.truth(given, "given")
    table = _table(counts)
    table = table[table.sum(axis=1) > 0]
    agents, actions = table.shape
    if agents == 0:
        return Estimate(math.nan, n=0, method="grassberger", flags=flagged("empty")).to(unit)
    each = entropy_from_counts(table)
    shift = _psi_shift(table)
    own = np.asarray(each.value) - shift
    error = _error_of_mean(own, np.asarray(each.standard_error), given)
    value = float(own.mean())
    highest = entropy_from_counts(table, states=actions)
    null_mean = float(np.mean(np.asarray(highest.null_mean) - shift))
    null_sd = math.sqrt(float(np.sum(np.asarray(highest.null_sd) ** 2))) / agents
    flags = flagged(
        _few(table, error), "constant" if (np.count_nonzero(table, axis=1) == 1).all() else None,
        "few_samples" if agents < _FEWEST_AGENTS else None,
    )  # fmt: skip
    return Estimate(
        value, error, normal_interval(value, error, 0.0), null_mean, null_sd, agents, "nat", "grassberger", flags,
        "agents whose actions are equally likely", {"agents": agents, "actions": actions},
    ).to(unit)  # fmt: skip


def _error_of_mean(own: Floats, errors: Floats, given: bool) -> float:
    within = math.sqrt(float(np.sum(errors**2))) / own.size
    if given or own.size < 2:
        return within
    return max(float(own.std(ddof=1)) / math.sqrt(own.size), 0.0) or within


def _psi_shift(table: Counts) -> Floats:
    """What ln n is above psi(n), about 1 / 2n: the constant of the estimator that is right for few samples.

    Grassberger's expansion begins with psi(n); of one sample the difference does not matter, of a mean over many agents
    it would be all that is left.
    """
    n = table.sum(axis=1)
    shift: Floats = np.log(n) - special.digamma(n)
    # Who always does the same has an entropy of 0 as it is.
    return np.where(np.count_nonzero(table, axis=1) > 1, shift, 0.0)


def _few(table: Counts, error: float) -> str | None:
    """Whether agents acted too rarely, or the bias that is left in their mean entropy reaches half its error."""
    n = table.sum(axis=1)
    if (n < _FEWEST_ACTIONS).mean() > 0.0:
        return "few_samples"
    return "few_samples" if abs(_left_bias(table)) > 0.5 * error else None


def _left_bias(table: Counts) -> float:
    """Mean over agents of the bias of Grassberger's estimator, -sum p int_0^(1 - 2p) x^(n - 1) / (1 + x) dx.

    The shares are the agents' own, drawn towards those of all, as if each had seen one action more of each kind.
    """
    pooled = table.sum(axis=0) / table.sum()
    n = table.sum(axis=1, keepdims=True)
    p = (table + pooled * table.shape[1] * 0.5) / (n + table.shape[1] * 0.5)
    x, w = np.polynomial.legendre.leggauss(24)
    top = 1.0 - 2.0 * p
    at = 0.5 * top[..., None] * (x + 1.0)
    integral = 0.5 * top * np.sum(w * at ** (n[..., None] - 1.0) / (1.0 + at), axis=-1)
    return -float(np.sum(p * integral, axis=1).mean())


def policy_diversity(counts: Any, *, given: bool = False, unit: str = "nat") -> Estimate:
    """Return how much policies differ between agents: pooled less mean own entropy, a Jensen-Shannon divergence.

    Agents weigh by their actions, so that it is the information of an action about who acts. From counts of shape
    (agents, actions); the null are agents that share one policy.

    Parameters
    ----------
    counts, given
        As for :func:`policy_entropy`.
    """
    given = checks.truth(given, "given")
    table = _table(counts)
    table = table[table.sum(axis=1) > 0]
    agents, actions = table.shape
    if agents < 2:
        few = flagged("few_samples", "empty" if agents == 0 else None)
        return Estimate(math.nan, n=agents, method="grassberger", flags=few, null=SAME).to(unit)
    own = table.sum(axis=1)
    n = float(own.sum())
    base = information_of_table(table)
    each = np.asarray(entropy_from_counts(table).value) - _psi_shift(table)
    value = float(entropy_from_counts(table.sum(axis=0)).value) - float(own @ each) / n
    # Chi-square, and the steps of G, which odd counts share with even ones: 1 / (4 n^2) for each cell.
    steps = 0.25 * float(np.count_nonzero(table)) / n**2
    spread = math.sqrt(float(base.details["freedom"]) / (2.0 * n * n) + steps)
    error = math.sqrt(float(base.standard_error) ** 2 + steps)
    if not given:
        pooled = np.log(np.maximum(table.sum(axis=0), 1) / n)
        part = -(table @ pooled) - own * each
        part = part - own * float(part.sum()) / n
        error = math.sqrt(max(float(part @ part) / n**2 * agents / (agents - 1.0), spread**2))
    flags = flagged(
        _few(table, error), "few_samples" if agents < _FEWEST_AGENTS else None,
        "constant" if np.count_nonzero(table.sum(axis=0)) == 1 else None,
    )  # fmt: skip
    return Estimate(
        value, error, normal_interval(value, error, 0.0), 0.0, spread, agents, "nat", "grassberger", flags, SAME,
        {"agents": agents, "actions": actions, "freedom": base.details["freedom"], "plain": base.details["plain"]},
    ).to(unit)  # fmt: skip


def belief_entropy(beliefs: Any, *, unit: str = "nat") -> Estimate:
    """Return the mean entropy of the agents' beliefs, probabilities of states of shape (agents, states).

    Nothing is sampled but agents: the error is that of their mean. ``details["between"]`` is the Jensen-Shannon
    divergence of the beliefs, by how much they differ.
    """
    p = checked_numbers(beliefs, "beliefs")
    if p.ndim != 2 or p.size == 0:
        raise InputError(f"beliefs has shape {p.shape}; expected probabilities (agents, states)")
    away = np.abs(not_negative(p, "beliefs").sum(axis=1) - 1.0)
    if away.max() > 1e-6:
        raise InputError(f"beliefs of agent {away.argmax()} add up to {p[away.argmax()].sum():g}; expected 1")
    own = special.entr(p).sum(axis=1)
    value, agents = float(own.mean()), len(p)
    error = float(own.std(ddof=1)) / math.sqrt(agents) if agents > 1 else math.nan
    return Estimate(
        value, error, normal_interval(value, error, 0.0, math.log(p.shape[1])), n=agents, unit="nat", method="mean",
        flags=flagged("few_samples" if agents < 30 else None),
        details={"highest": math.log(p.shape[1]), "between": float(special.entr(p.mean(axis=0)).sum()) - value},
    ).to(unit)  # fmt: skip


def action_information(counts: Any, *, level: float = 0.05, unit: str = "nat") -> Estimate:
    """Return what an action tells of the state of the world, I(state; action), from counts (states, actions).

    Where those who watch learn nothing from actions, a cascade has begun (Bikhchandani, Hirshleifer & Welch 1992):
    ``cascade`` is flagged if the information cannot be told from chance, with an error of the first kind of ``level``.
    """
    level = float(checked_numbers(level, "level", ()))
    if not 0.0 < level < 1.0:
        raise InputError(f"level is {shown(level)}; expected a number between 0 and 1")
    table = checked_counts(counts)
    if table.ndim != 2:
        raise InputError(f"counts has shape {table.shape}; expected (states, actions)")
    base = mutual_information_from_table(table)
    chance = float(base.details.get("p_value", 1.0))
    found = replace(base, null="actions that take no notice of the state (chi-square)")
    return doubted(found, "cascade" if not chance <= level else None).to(unit)
