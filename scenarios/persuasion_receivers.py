"""What the receivers of the persuasion scenarios have in common: traits, beliefs, acts, gains, and their measures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine import observable, tally

TIE = 1e-12
"""Beliefs so little below a threshold reach it: what rounding takes from a signal that leads right there."""
CERTAIN = 1e-9
"""Priors of receivers keep so far from 0 and 1, where no message would move them."""
BINS = 20
FLAT = 1e6
"""From this spread on a normal distribution truncated to [0, 1] is the uniform one, to 12 digits."""
ONLY = 0
"""The only member of a population of one."""


def dealt(mean: float, spread: float, draws: Any, name: str) -> NDArray[np.float64]:
    """Return the quantiles at (k + 1/2) / n of a normal distribution truncated to [0, 1], each to one of n receivers.

    Parameters
    ----------
    mean, spread
        Of the normal distribution; a spread of 0 gives everybody the mean, a huge or infinite one a uniform
        distribution.
    draws
        Draws keyed by the receivers: who gets which quantile.
    name
        Of the draw.
    """
    n = len(draws.ids)
    if spread == 0:
        return np.full(n, mean)
    rank = np.empty(n)
    rank[np.argsort(draws.uniform(name), kind="stable")] = (np.arange(n) + 0.5) / n
    if spread >= FLAT:
        return rank
    from scipy.stats import truncnorm

    found: Any = truncnorm.ppf(rank, -mean / spread, (1.0 - mean) / spread, loc=mean, scale=spread)
    return np.asarray(np.clip(found, 0.0, 1.0), float)


def believed(prior: float, if_good: float, if_bad: float, bias: float) -> float:
    """Return the belief after messages of the given likelihoods; the prior where neither state allows them."""
    good, bad = prior * if_good, (1.0 - prior) * if_bad
    bayes = good / (good + bad) if good + bad > 0.0 else prior
    return (1.0 - bias) * bayes + bias * prior


def persuaded(posterior: float, threshold: float) -> int:
    """Return 1 if a belief reaches a threshold, else 0."""
    return 1 if posterior >= threshold - TIE else 0


def gain(accepts: int, good: bool, threshold: float) -> float:
    """Return what a receiver gains, as `persuasion_payoffs.payoff_of_act` says."""
    if accepts == 1:
        return 2.0 * (1.0 - threshold) if good else 0.0
    return 0.0 if good else 2.0 * threshold


@tally("agents.accepts")
def acceptance(values: Any, counts: Any) -> float:
    """Share of receivers who accepted in this round."""
    return float(counts[values == 1].sum() / counts.sum())


@tally("agents.accepted")
def acceptance_so_far(values: Any, counts: Any, step: int) -> float:
    """Share of receivers who accepted, mean of all rounds so far."""
    return float((values * counts).sum() / (counts.sum() * max(step, 1)))


@observable
def welfare(agents: Any, step: int) -> float:
    """What a receiver gained in a round, mean of receivers and rounds so far."""
    return float(agents.gained.mean() / max(step, 1))
