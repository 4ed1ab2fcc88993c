"""How alike agents decide: pairwise redundancy, and how many effective channels they are.

Both look at the same occasions (steps, questions) decided by all agents: X_it is agent i's choice on occasion t,
one-hot or as a distribution. Redundancy is the mean over pairs of I(X_i; X_j) over occasions: 0 if agents decide
independently, the entropy of a choice if they are copies. Channels are exp of the entropy of the eigenvalues of the
matrix of correlations between agents, their means taken off (K* of arXiv 2602.03794, centred; there of embedded
outputs, see :func:`~simengine.diagnostics.effective_channels`): n copies of K independent agents are K channels,
whatever n is. Each agent draws from its own distribution, so that distributions say of redundancy what actions say,
with less noise; the private noise of draws makes channels, which distributions do not have.

Agents share what they see: common observations are redundancy too. The null shifts each agent's course by a random
number of occasions, in a circle, which keeps its own memory and destroys what agents share. Errors are those of other
occasions with the same agents; ``block`` successive occasions hang together.

Declared validity: 50 occasions (blocks), and for redundancy ten times its degrees of freedom (K - 1)^2; ten for each
channel (else ``few_samples``); K* at most a third of the occasions (else ``saturated``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from simengine.diagnostics import checks
from simengine.diagnostics.counts.intervals import root_interval
from simengine.diagnostics.decisions.rows import Floats, Rows, distributions, groups, shares
from simengine.diagnostics.estimate import QUANTILE, Estimate, checked_unit, flagged
from simengine.diagnostics.multivariate.channels import channels_of
from simengine.diagnostics.samples import as_array, checked_values, is_discrete, named
from simengine.errors import InputError

MOST_COLUMNS = 2048
"""Agents times options at most; of more agents, some are chosen at random."""

FEWEST_OCCASIONS = 50
SATURATION = 1.0 / 3.0
PARTS = 20
"""Parts of the occasions that the jackknife leaves out in turn."""

INDEPENDENT = "agents that decide independently (courses shifted)"
_LEAST = 1e-12


def decision_redundancy(
    decisions: Any, *, agent: Any = None, occasion: Any = None, block: int = 1, shuffles: int = 50, seed: int = 0,
    data: Any = None, unit: str = "nat",
) -> Estimate:  # fmt: skip
    """Estimate the mean mutual information of the decisions of two agents over occasions.

    Parameters
    ----------
    decisions
        Labels of actions, shape (agents, occasions), or distributions, shape (agents, occasions, options); with
        ``agent`` and ``occasion``, as rows of shape (n,) or (n, options).
    agent, occasion
        Labels (n,) of rows; occasions that not all agents decided once are left out.
    block
        How many successive occasions hang together.
    shuffles, seed
        Of the null, and of the choice of agents where there are too many.
    data
        Dataset or file in which variables are looked up by name.
    unit
        "nat" or "bit".

    Returns
    -------
    estimate
        Less its mean under the null. ``details``: ``plug_in``, ``subtracted_bias``, ``entropy`` (the mean of an
        agent's choices), ``share`` (the value divided by it), ``pairs`` (each pair's, corrected, NaN on the diagonal),
        ``agents``, ``agents_chosen`` and ``occasions_left_out``.
    """
    checked_unit(unit)
    shuffles, seed = checks.repeats(shuffles, "shuffles", 2), checks.seed(seed)
    random = np.random.Generator(np.random.Philox(seed))
    choices, left_out, total = _choices(decisions, agent, occasion, data, random)
    agents, occasions, options = choices.shape
    blocks = _blocks(occasions, block)
    pairs, entropy = _pairs(choices)
    drawn, bias = np.empty(shuffles), np.zeros_like(pairs)
    for place in range(shuffles):
        chance, _ = _pairs(_shifted(choices, random))
        drawn[place], bias = float(chance.sum()), bias + chance / shuffles
    count = agents * (agents - 1.0)
    plug_in, null_mean, spread = float(pairs.sum()) / count, float(bias.sum()) / count, float(drawn.std(ddof=1)) / count
    value = plug_in - null_mean
    first = _variance(choices, blocks, lambda some: float(_pairs(some)[0].sum()) / count)[1]
    # Of first order; a jackknife of what is of second order is twice its variance.
    first = max(first - 2.0 * spread**2, 0.0)
    error = math.sqrt(first + spread**2)
    corrected = pairs - bias
    np.fill_diagonal(corrected, math.nan)
    least = max(FEWEST_OCCASIONS, 10 * (options - 1) ** 2)
    flags = flagged(
        "few_samples" if blocks.size < least else None, "constant" if entropy <= _LEAST else None,
        "degenerate_null" if spread <= _LEAST * max(1.0, plug_in) else None,
    )  # fmt: skip
    details = {
        "plug_in": plug_in, "subtracted_bias": null_mean, "entropy": entropy,
        "share": value / entropy if entropy > _LEAST else 0.0, "pairs": corrected, "agents": total,
        "agents_chosen": agents, "occasions_left_out": left_out,
    }  # fmt: skip
    return Estimate(
        value, error, root_interval(value, first, max(value, 2.0 * spread), spread**2), 0.0, spread, occasions, "nat",
        "plug-in less shifted", flags, INDEPENDENT, details,
    ).to(unit)  # fmt: skip


def decision_channels(
    decisions: Any, *, agent: Any = None, occasion: Any = None, estimator: str = "corrected", block: int = 1,
    shuffles: int = 20, seed: int = 0, data: Any = None,
) -> Estimate:  # fmt: skip
    """Estimate K*, as how many independent agents a population decides.

    Parameters
    ----------
    decisions, agent, occasion, block, data
        As of :func:`decision_redundancy`.
    estimator
        "corrected": the bias of first order in the number of occasions taken off by a jackknife; "plug-in": of these
        very occasions.
    shuffles, seed
        Of the null.

    Returns
    -------
    estimate
        Agents that always decide the same are no channels and are left out. ``details``: ``of_these`` (plug-in),
        ``participation_ratio``, ``agents``, ``constant_agents``, and ``share``, the value over the number of agents
        that vary.
    """
    checks.one_of(estimator, ("corrected", "plug-in"), "decision channels: estimator")
    shuffles, seed = checks.repeats(shuffles), checks.seed(seed)
    random = np.random.Generator(np.random.Philox(seed))
    choices, _, total = _choices(decisions, agent, occasion, data, random)
    varied = np.ptp(choices, axis=1).max(axis=1) > _LEAST
    choices = choices[varied]
    agents, occasions, _ = choices.shape
    blocks = _blocks(occasions, block)
    details = {"of_these": 1.0, "participation_ratio": 1.0, "agents": total, "constant_agents": int((~varied).sum())}
    flags = ["few_samples" if blocks.size < FEWEST_OCCASIONS else None]
    if agents < 2:
        return Estimate(
            1.0, 0.0, (1.0, 1.0), n=occasions, unit="1", method=f"decision channels, {estimator}",
            flags=flagged(*flags, "constant" if agents == 0 else None), null=INDEPENDENT,
            details={**details, "share": 1.0},
        )  # fmt: skip
    plain = channels_of(_correlations(choices))
    corrected, error = _jackknifed(choices, blocks)
    logarithm = corrected if estimator == "corrected" else math.log(plain.channels)
    value = math.exp(logarithm)
    null = [_shifted(choices, random) for _ in range(shuffles)]
    chance = np.array([math.log(_channels(shifted)) for shifted in null])
    if estimator == "corrected" and shuffles:
        # The bias is that of all of them: it depends on the numbers of agents and occasions.
        chance += _jackknifed(null[0], blocks)[0] - chance[0]
    chance = np.exp(chance)
    flags += [
        "few_samples" if blocks.size < 10.0 * plain.channels else None,
        "saturated" if plain.channels > SATURATION * occasions else None,
    ]
    low, high = (math.exp(logarithm + sign * QUANTILE * error) for sign in (-1.0, 1.0))
    details |= {
        "of_these": plain.channels, "participation_ratio": plain.participation_ratio, "share": value / agents,
    }  # fmt: skip
    return Estimate(
        value, value * error, (min(max(low, 1.0), agents), min(max(high, 1.0), agents)),
        float(chance.mean()) if shuffles else math.nan, float(chance.std(ddof=1)) if shuffles > 1 else math.nan,
        occasions, "1", f"decision channels, {estimator}", flagged(*flags), INDEPENDENT, details,
    )  # fmt: skip


def _choices(
    decisions: Any, agent: Any, occasion: Any, data: Any, random: np.random.Generator
) -> tuple[Floats, int, int]:
    """Return shares (agents, occasions, options), the number of occasions left out, and that of all agents."""
    if (agent is None) != (occasion is None):
        raise InputError("agent and occasion belong together: both with rows, none with (agents, occasions)")
    left_out = 0
    if agent is not None:
        rows, _ = shares(decisions, data, "decisions")
        found, left_out = _pivoted(rows, agent, occasion, data)
    else:
        found = _table(decisions, data)
    total, occasions, options = found.shape
    if total < 2 or occasions < 2:
        raise InputError(f"decisions are of {total} agents on {occasions} occasions; expected at least two of each")
    most = MOST_COLUMNS // options
    if total > most:
        found = found[np.sort(random.choice(total, most, replace=False))]
    return found, left_out, total


def _table(decisions: Any, data: Any) -> Floats:
    array = as_array(named(decisions, data, "decisions"), "decisions")
    if array.ndim == 3 and array.size:
        flat = distributions(array.reshape(-1, array.shape[-1]), None, "decisions")
        return flat.reshape(array.shape)
    if array.ndim != 2 or not array.size:
        raise InputError(
            f"decisions has shape {array.shape}; expected (agents, occasions) or (agents, occasions, options)"
        )
    labels = checked_values(array, "decisions")
    if not is_discrete(labels):
        raise InputError("decisions holds fractions; expected labels of actions, (agents, occasions)")
    kinds, which = np.unique(labels, return_inverse=True)
    table: Floats = np.eye(kinds.size)[which.reshape(array.shape)]
    return table


def _pivoted(rows: Floats, agent: Any, occasion: Any, data: Any) -> tuple[Floats, int]:
    agents = groups(agent, data, "agent", len(rows))
    occasions = groups(occasion, data, "occasion", len(rows))
    cells = occasions.of_row * agents.count + agents.of_row
    times = np.bincount(cells, minlength=agents.count * occasions.count).reshape(occasions.count, agents.count)
    if times.max() > 1:
        row, place = divmod(int(times.argmax()), agents.count)
        raise InputError(
            f"agent {agents.labels[place]} decides {times.max()} times on occasion {occasions.labels[row]};"
            " expected once: select one decision"
        )
    whole = times.min(axis=1) == 1
    if not whole.any():
        raise InputError("there is no occasion on which all agents decide")
    table = np.empty((occasions.count, agents.count, rows.shape[1]))
    table[occasions.of_row, agents.of_row] = rows
    return np.ascontiguousarray(table[whole].transpose(1, 0, 2)), int((~whole).sum())


def _blocks(occasions: int, block: int) -> Rows:
    """Return where blocks of successive occasions begin."""
    size = checks.whole(block, "block", 1, occasions)
    return np.arange(0, occasions, size)


def _shifted(choices: Floats, random: np.random.Generator) -> Floats:
    agents, occasions, _ = choices.shape
    # All different, as far as there are: copies shifted alike are copies still.
    shift = np.resize(random.permutation(occasions), agents)
    places = (np.arange(occasions) + shift[:, None]) % occasions
    found: Floats = choices[np.arange(agents)[:, None], places]
    return found


def _pairs(choices: Floats) -> tuple[Floats, float]:
    """Return the plug-in information of each pair, and the mean entropy."""
    agents, occasions, options = choices.shape
    columns = np.ascontiguousarray(choices.transpose(1, 0, 2).reshape(occasions, -1))
    single = columns.mean(axis=0)
    joint = columns.T @ columns / occasions
    product = np.outer(single, single)
    held = (joint > 0.0) & (product > 0.0)
    logarithm = np.log(np.where(held, joint, 1.0) / np.where(held, product, 1.0))
    for one in range(agents):
        own = slice(one * options, (one + 1) * options)
        logarithm[own, own] = 0.0
    pairs = (joint * logarithm).reshape(agents, options, agents, options).sum(axis=(1, 3))
    entropy = -float((single * np.log(np.where(single > 0.0, single, 1.0))).sum()) / agents
    return pairs, entropy


def _correlations(choices: Floats) -> Floats:
    """Return the cosines of the agents' deviations from their means, or the smaller matrix of the same eigenvalues."""
    centred = choices - choices.mean(axis=1, keepdims=True)
    flat = centred.reshape(len(choices), -1)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    flat = flat / np.where(length > 0.0, length, 1.0)
    found: Floats = flat @ flat.T if len(flat) <= flat.shape[1] else flat.T @ flat
    return found


def _channels(choices: Floats) -> float:
    return channels_of(_correlations(choices)).channels


def _jackknifed(choices: Floats, blocks: Rows) -> tuple[float, float]:
    """Return ln K*, its bias of first order in the number of occasions taken off, and its error."""
    whole, (mean, variance) = math.log(_channels(choices)), _variance(choices, blocks, lambda c: math.log(_channels(c)))
    parts = min(PARTS, blocks.size)
    return (parts * whole - (parts - 1.0) * mean, math.sqrt(variance)) if parts > 1 else (whole, math.nan)


def _variance(choices: Floats, blocks: Rows, measure: Callable[[Floats], float]) -> tuple[float, float]:
    """Return the mean of a measure with parts of the occasions left out in turn, and its jackknife variance."""
    parts = min(PARTS, blocks.size)
    if parts < 2:
        return math.nan, math.nan
    ends = [*blocks[np.arange(parts) * blocks.size // parts].tolist(), choices.shape[1]]
    without = np.array([
        measure(np.delete(choices, slice(ends[g], ends[g + 1]), axis=1)) for g in range(parts)
    ])  # fmt: skip
    return float(without.mean()), (parts - 1.0) / parts * float(np.sum((without - without.mean()) ** 2))
