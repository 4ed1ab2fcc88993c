"""How much a ranking leaves open, and how restless the chain behind it is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import entr

from simengine.analysis.games.alpha_rank import alpha_rank, transition_rates
from simengine.errors import InputError

SUM_WITHIN = 1e-9


def ranking_entropy(distribution: Any) -> float:
    """Return H(pi) / ln N of a distribution over N profiles: 1 if all are alike, 0 if one has all the weight.

    The exact entropy of a known distribution; nothing is estimated. Over the intensity of selection it falls in steps,
    one wherever a difference of payoffs comes to count. N = 1 gives 0.
    """
    shares = np.asarray(distribution, dtype=np.float64)
    if shares.ndim != 1 or shares.size == 0:
        raise InputError(f"the distribution has shape {shares.shape}: one share per profile is needed")
    if not (np.all(shares >= 0) and abs(float(shares.sum()) - 1.0) <= SUM_WITHIN):
        raise InputError("the distribution has shares that are not >= 0 with sum 1")
    return float(entr(shares).sum()) / math.log(shares.size) if shares.size > 1 else 0.0


def chain_entropy_rate(
    payoffs: Any, *, alpha: float = 100.0, population: int = 50, selection: str = "local", epsilon: float = 0.01
) -> float:
    """Return the entropy rate of alpha-rank's chain, -sum_s pi(s) sum_s' C(s, s') ln C(s, s'), in nat per mutant.

    Failed mutants count: C(s, s) is the chance that the next one dies out. Takes N^2 memory. Parameters as of
    :func:`~simengine.analysis.games.alpha_rank.alpha_rank`.
    """
    settings: dict[str, Any] = {
        "alpha": alpha, "population": population, "selection": selection, "epsilon": epsilon
    }  # fmt: skip
    shares = alpha_rank(payoffs, **settings)
    chances = np.exp(transition_rates(payoffs, **settings))
    stays = np.maximum(1.0 - chances.sum(axis=1), 0.0)
    return float(shares @ (entr(chances).sum(axis=1) + entr(stays)))
