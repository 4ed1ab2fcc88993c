"""What a sender gets at a posterior, where two states are all there is, and the checks of what describes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simengine.errors import InputError

Array = NDArray[np.float64]
ROUNDING = 1e-12
"""Payoffs and masses closer than this count as equal."""


@dataclass(frozen=True)
class Problem:
    """A persuasion problem in two states: payoffs by posterior, and the posteriors at which they may jump."""

    posteriors: Array
    payoffs: Array
    receiver: Callable[[Array], Array] | None


def needed_posterior(
    thresholds: ArrayLike, prior: float, *, priors: ArrayLike | None = None, bias: ArrayLike = 0.0
) -> Array:
    """Return the posterior of somebody with the sender's prior at which receivers come to accept, infinite where never.

    A receiver with a prior of its own makes the same of a message's odds; one with bias w accepts when Bayes gives
    (threshold - w prior) / (1 - w).

    Parameters
    ----------
    thresholds, priors, bias
        Of the receivers, shape (n,) or numbers; their priors are the sender's by default.
    prior
        The sender's.
    """
    tau, own, weight = np.broadcast_arrays(
        *(np.asarray(one, float) for one in (thresholds, prior if priors is None else priors, bias))
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        bayes = np.where(weight < 1.0, (tau - weight * own) / (1.0 - weight), np.where(own >= tau, 0.0, np.inf))
        if priors is not None:
            odds = bayes * (1.0 - own) / ((1.0 - bayes) * own) * prior / (1.0 - prior)
            bayes = np.where((bayes <= 0.0) | (bayes >= 1.0), bayes, odds / (1.0 + odds))
    # Rounding must not part those who are just convinced from those who are not.
    bayes = np.where(np.abs(bayes - 1.0) < ROUNDING, 1.0, bayes)
    return np.asarray(np.where(bayes > 1.0, np.inf, np.maximum(bayes, 0.0)), float)


def payoff_of_act(accepts: ArrayLike, good: ArrayLike, threshold: ArrayLike) -> Array:
    """Return what a receiver gains: 2 (1 - threshold) by accepting the good, 2 threshold by rejecting the bad.

    Whoever is wrong gains nothing. Up to a factor it is the payoff that makes the threshold right; at 1/2 it is 1.
    """
    tau = np.asarray(threshold, float)
    right = np.asarray(accepts, bool) == np.asarray(good, bool)
    return np.where(right, np.where(np.asarray(good, bool), 2.0 * (1.0 - tau), 2.0 * tau), 0.0)


def of_payoff(prior: float, payoff: Any, at: ArrayLike | None, points: int) -> Problem:
    """Return the problem of a payoff that is a function, or values at posteriors; refuse what is not one."""
    if callable(payoff):
        critical = np.empty(0) if at is None else as_finite(at, "at").ravel()
        x = np.unique(np.concatenate([np.linspace(0.0, 1.0, points), critical, [prior]]))
        v = np.broadcast_to(as_finite(payoff(x), "payoff"), x.shape)
    else:
        given = as_finite(np.linspace(0.0, 1.0, np.size(payoff)) if at is None else at, "at").ravel()
        values = as_finite(payoff, "payoff").ravel()
        if given.shape != values.shape:
            raise InputError(f"payoff has {values.size} values and at {given.size} posteriors; they belong together")
        order = np.argsort(given, kind="stable")
        x, v = given[order], values[order]
        if (np.diff(x) == 0).any():
            raise InputError("at holds a posterior twice")
        if not (x.size and x[0] == 0.0 and x[-1] == 1.0):
            raise InputError("the posteriors of a payoff's values go from 0 to 1")
        if not (x == prior).any():
            # A payoff known at some posteriors is taken to be straight between them.
            place, between = np.searchsorted(x, prior), np.interp(prior, x, v)
            x, v = np.insert(x, place, prior), np.insert(v, place, between)
    if (x < 0).any() or (x > 1).any():
        raise InputError("at: posteriors are from 0 to 1")
    return Problem(x, v, None)


def of_thresholds(prior: float, thresholds: Array, needed: Array, shares: Array) -> Problem:
    """Return the problem of a population of thresholds, which jumps at the posteriors that they need."""
    reached = needed[needed <= 1.0]
    x = np.unique(np.concatenate([[0.0, prior, 1.0], reached]))
    order = np.argsort(needed, kind="stable")
    ranked = needed[order]
    below = np.searchsorted(ranked, x, side="right")
    summed = [
        np.concatenate([[0.0], np.cumsum(part[order])])
        for part in (shares, shares * (1.0 - thresholds), shares * thresholds)
    ]

    def gains(posteriors: Array) -> Array:
        place = np.searchsorted(ranked, posteriors, side="right")
        gained = posteriors * summed[1][place] + (1.0 - posteriors) * (summed[2][-1] - summed[2][place])
        return np.asarray(2.0 * gained)

    return Problem(x, summed[0][below], gains)


def of_distribution(prior: float, cdf: Callable[[Any], Any], bias: float, points: int) -> Problem:
    """Return the problem of a continuum of thresholds, on a grid."""
    grid = np.linspace(0.0, 1.0, points)
    share = as_finite(cdf(grid), "threshold.cdf")
    before = float(as_finite(cdf(-1e-9), "threshold.cdf"))
    if not (before <= 1e-9 and share[-1] >= 1.0 - 1e-9 and (np.diff(share) >= -ROUNDING).all()):
        raise InputError("threshold: the distribution lies from 0 to 1, and its cdf rises from 0 to 1")
    area = np.concatenate([[0.0], np.cumsum(0.5 * (share[1:] + share[:-1]) * np.diff(grid))])
    x = np.unique(np.concatenate([grid, [prior]]))

    def believed(posteriors: Array) -> Array:
        return (1.0 - bias) * posteriors + bias * prior

    def gains(posteriors: Array) -> Array:
        # Integrals of 1 - t up to the posterior and of t from there on, by parts.
        y = believed(posteriors)
        held, below = np.asarray(cdf(y), float), np.interp(y, grid, area)
        accepting, rejecting = held * (1.0 - y) + below, 1.0 - y * held - area[-1] + below
        return np.asarray(2.0 * (posteriors * accepting + (1.0 - posteriors) * rejecting))

    return Problem(x, np.asarray(cdf(believed(x)), float), gains)


def as_weights(weights: ArrayLike | None, size: int) -> Array:
    """Return weights that sum to 1, equal ones by default."""
    if weights is None:
        return np.full(size, 1.0 / size)
    shares = as_finite(weights, "weights").ravel()
    if shares.size != size or (shares < 0).any() or abs(shares.sum() - 1.0) > 1e-9:
        raise InputError(
            f"weights: one for each of {size} thresholds, not negative and with the sum 1, not {shares.sum():.15g}"
        )
    return shares


def as_share(value: Any, name: str) -> float:
    """Return a number from 0 to 1."""
    number = as_finite(value, name)
    if number.ndim or not 0.0 <= float(number) <= 1.0:
        shown = f"{float(number):g}" if not number.ndim else f"an array of shape {number.shape}"
        raise InputError(f"{name}: got {shown}, allowed is 0 <= value <= 1")
    return float(number)


def as_finite(values: Any, name: str) -> Array:
    """Return an array of finite numbers."""
    try:
        found = np.asarray(values, float)
    except (TypeError, ValueError):
        raise InputError(f"{name}: numbers are expected, not {type(values).__name__}") from None
    if not np.isfinite(found).all():
        raise InputError(f"{name}: numbers are finite, not {found[~np.isfinite(found)].ravel()[0]}")
    return found
