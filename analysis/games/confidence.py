"""How sure a mean payoff is, and how many interactions certainty takes.

The confidence rules of ResponseGraphUCB: Rowland et al. (2019), "Multiagent evaluation under incomplete information",
NeurIPS 32, arXiv:1909.09849. Payoffs are rescaled to [0, 1] first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, TypeVar

from scipy.special import betaincinv

from simengine.errors import InputError, nearest

Value = TypeVar("Value")

CONFIDENCE_RULES = {
    "hoeffding": "UCB",
    "relaxed hoeffding": "R-UCB",
    "clopper-pearson": "CP-UCB",
    "relaxed clopper-pearson": "R-CP-UCB",
}
"""The rules, with the abbreviations of the paper, which are accepted as well."""


@dataclass(frozen=True)
class Confidence:
    """A rule that gives the interval in which a mean of numbers within [0, 1] lies.

    Parameters
    ----------
    rule
        A key of `CONFIDENCE_RULES`. Hoeffding: mean +- sqrt(ln(2 / delta) / (2 n)), for any numbers. Clopper-Pearson:
        the exact interval of a chance, delta / 2 on each side, for numbers that are 0 or 1. The relaxed rules move both
        ends inwards by ``slack``, so that they can pass each other: nearly tied payoffs are told apart sooner, and may
        be put in the wrong order.
    delta
        The chance that an interval misses the mean, above 0 and below 1.
    slack
        What relaxed rules take off both ends, at least 0.
    anytime
        Whether the n-th interval has 6 delta / (pi n)**2 in place of delta, so that with probability 1 - delta none of
        all that are looked at, one after another, misses.
    """

    rule: str
    delta: float
    slack: float = 0.0
    anytime: bool = False

    @cached_property
    def binary(self) -> bool:
        """Whether the rule is for numbers that are 0 or 1 only."""
        return self.rule.endswith("clopper-pearson")

    @cached_property
    def inwards(self) -> float:
        """How far both ends are moved inwards: ``slack`` in a relaxed rule, 0 in the others."""
        return self.slack if self.rule.startswith("relaxed") else 0.0

    def interval(self, mean: float, n: int) -> tuple[float, float]:
        """Return the lower and the upper end for a mean of ``n`` >= 1 numbers."""
        delta = self.delta * 6.0 / (math.pi * n) ** 2 if self.anytime else self.delta
        if self.binary:
            lower, upper = clopper_pearson(round(mean * n), n, delta)
        else:
            half = hoeffding(n, delta)
            lower, upper = mean - half, mean + half
        return lower + self.inwards, upper - self.inwards


@lru_cache(maxsize=2**16)
def hoeffding(n: int, delta: float) -> float:
    """Return the half width of the interval of a mean of ``n`` numbers within [0, 1] (Hoeffding 1963)."""
    return math.sqrt(math.log(2.0 / delta) / (2.0 * n))


@lru_cache(maxsize=2**16)
def clopper_pearson(successes: int, n: int, delta: float) -> tuple[float, float]:
    """Return the exact interval of a chance of which ``successes`` of ``n`` trials came true (Clopper & Pearson 1934).

    Each end is missed with probability delta / 2 at most; none is beyond 0 or 1.
    """
    lower = 0.0 if successes == 0 else float(betaincinv(float(successes), n - successes + 1.0, delta / 2.0))
    upper = 1.0 if successes == n else float(betaincinv(successes + 1.0, float(n - successes), 1.0 - delta / 2.0))
    return lower, upper


def runs_per_profile(
    sizes: Sequence[int], gap: float, *, delta: float = 0.05, low: float = 0.0, high: float = 1.0
) -> int:
    """Return how many runs of each profile, fixed in advance, make every edge of the response graph point right.

    With probability 1 - delta at least, all mean payoffs are then within gap / 2 of the truth (Hoeffding's inequality
    for each of K |S| means, joined by the union bound), and so is alpha-rank with infinite alpha that of the true game:

        n >= 2 (high - low)**2 / gap**2 * ln(2 K |S| / delta),

    which for payoffs within [-M, M] is 8 M**2 / gap**2 * ln(2 K |S| / delta). It is enough, not necessary: payoffs that
    vary less than they could need fewer runs, and adaptive sampling (`response_graph_ucb`) spends them where gaps are
    small.

    Parameters
    ----------
    sizes
        The number of strategies of each of the K players; |S| is their product.
    gap
        The least difference that one player's change of strategy makes to its mean payoff, in units of payoff.
    delta
        The chance that an edge is wrong.
    low, high
        Bounds of what a player can earn in one run.

    Raises
    ------
    InputError
        For bounds, gaps, sizes or chances that are none.
    """
    shape = checked_sizes(sizes)
    _check_gap(gap, delta, low, high)
    payoffs = len(shape) * math.prod(shape)
    return math.ceil(2.0 * ((high - low) / gap) ** 2 * math.log(2.0 * payoffs / delta))


def runs_until_resolved(gap: float, *, delta: float = 0.1, low: float = 0.0, high: float = 1.0) -> int:
    """Return how many runs of both its profiles resolve an edge at the latest, by Hoeffding intervals.

    Intervals of half width gap / 4 that hold the means cannot overlap:

        n >= 8 (high - low)**2 / gap**2 * ln(2 / delta).

    Parameters
    ----------
    gap
        The difference of the mean payoffs, in units of payoff.
    delta
        The chance that one interval misses. With a union bound over K |S| payoffs it is that much smaller.
    low, high
        Bounds of what a player can earn in one run.

    Raises
    ------
    InputError
        For bounds, gaps or chances that are none.
    """
    _check_gap(gap, delta, low, high)
    return math.ceil(8.0 * ((high - low) / gap) ** 2 * math.log(2.0 / delta))


def checked_sizes(sizes: Any) -> tuple[int, ...]:
    """Return the numbers of strategies of the players; ``InputError`` when they are none."""
    try:
        shape = tuple(sizes)
    except TypeError:
        shape = ()
    if not shape or not all(type(size) is int or hasattr(size, "__index__") for size in shape) or min(shape) < 1:
        raise InputError(f"sizes: got {sizes!r}, allowed is the number of strategies, at least 1, of each player")
    return tuple(int(size) for size in shape)


def checked_chance(name: str, chance: Any) -> float:
    """Return a probability above 0 and below 1; ``InputError`` for any other."""
    if not isinstance(chance, float | int) or not 0.0 < chance < 1.0:
        raise InputError(f"{name}: got {chance!r}, allowed is a number above 0 and below 1")
    return float(chance)


def chosen(what: str, name: Any, rules: Mapping[str, Value], short: Mapping[str, str]) -> str:
    """Return the key of ``rules`` that a name, its abbreviation in ``short`` or another spelling of them stands for."""
    plain = {_plain(given): key for key in rules for given in (key, short[key])}
    key = plain.get(_plain(name)) if isinstance(name, str) else None
    if key is None:
        allowed: Iterable[str] = (f"{one!r} ({short[one]})" for one in rules)
        hint = nearest(name, rules) if isinstance(name, str) else ""
        raise InputError(f"{what}: got {name!r}, allowed are {', '.join(allowed)}{hint}")
    return key


def _plain(name: str) -> str:
    return " ".join(name.lower().replace("-", " ").replace("_", " ").split())


def _check_gap(gap: float, delta: float, low: float, high: float) -> None:
    checked_chance("delta", delta)
    if not math.isfinite(high - low) or not high > low:
        raise InputError(f"low, high: got {low!r} and {high!r}, allowed are finite numbers, the second the larger")
    if not 0.0 < gap <= high - low:
        raise InputError(f"gap: got {gap!r}, allowed is a number above 0 and up to high - low = {high - low:g}")
