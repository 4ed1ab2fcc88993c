"""Whether stated beliefs move as those of one who reasons: no matter the order, and without a drift that is foreseen.

The order in which evidence is told does not matter to Bayes' rule; to language models it does. The belief averaged over
orders is the one to compare with a posterior, and what orders do to beliefs is a number of its own.

Beliefs of a Bayesian are a martingale: over states drawn from the prior, whatever is seen, the mean change is 0, and
movement, sum (b_t+1 - b_t)^2, is on average the reduction of uncertainty, b_0 (1 - b_0) - b_T (1 - b_T) (Augenblick &
Rabin 2021). More movement is over-reaction, less is under-reaction. Both hold over states as agents expect them, never
given the true state, towards which beliefs drift.

Declared validity: 20 sequences, cases or clusters (else ``few_samples``).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from simengine.diagnostics import checks
from simengine.diagnostics.decisions.rows import Floats, column, groups, mean_of, numbers
from simengine.diagnostics.estimate import Estimate, flagged, normal_interval
from simengine.diagnostics.samples import as_array, checked_values, named
from simengine.errors import InputError

MARTINGALE = "beliefs that are a martingale"
NO_ORDER = "answers that do not heed the order (exchanged between orders)"


def order_averaged_belief(
    beliefs: Any, *, orders: int | None = None, posterior: Any = None, data: Any = None
) -> Estimate:  # fmt: skip
    """Return the belief averaged over the orders in which its evidence was told.

    Parameters
    ----------
    beliefs
        Probabilities, shape (orders,) for one case or (cases, orders), each order drawn with the same probability.
    orders
        How many orders there are in all, n! of n pieces of evidence: where all were told, nothing is left to chance
        and the error is 0. By default many more than were told.
    posterior
        Of Bayes' rule, a number or shape (cases,): the null, so that ``z`` is the distance from it in errors.
    data
        Dataset or file in which variables are looked up by name.

    Returns
    -------
    estimate
        One for each case; ``details``: ``spread``, the standard deviation over orders, and ``range``, highest less
        lowest.
    """
    array = _beliefs(beliefs, data, (1, 2))
    told = array.shape[-1]
    if told < 2:
        raise InputError("beliefs are of one order; expected at least two")
    share = 0.0 if orders is None else told / checks.whole(orders, "orders", told)
    value, spread = array.mean(axis=-1), array.std(axis=-1, ddof=1)
    # sqrt(1 - n / N): orders are drawn without putting them back.
    error = spread * math.sqrt(max(1.0 - share, 0.0) / told)
    mean = np.full(value.shape, math.nan)
    if posterior is not None:
        truth = checked_values(as_array(named(posterior, data, "posterior"), "posterior"), "posterior", False)
        if truth.shape not in ((), value.shape):
            raise InputError(f"posterior has shape {truth.shape}; expected one number, or {value.shape}")
        mean = np.broadcast_to(truth, value.shape).astype(np.float64)
    doubts = flagged("few_samples" if told < 4 and share < 1.0 else None)
    interval = normal_interval(value, error, 0.0, 1.0)
    details = {"spread": spread, "range": np.ptp(array, axis=-1)}
    null = "Bayes' rule" if posterior is not None else ""
    if not value.shape:
        details = {name: float(one) for name, one in details.items()}
        low, high = (float(end) for end in interval)
        return Estimate(
            float(value), float(error), (low, high), float(mean), math.nan if posterior is None else float(error), told,
            "1", "mean over orders", doubts, null, details,
        )  # fmt: skip
    flags = np.empty(value.shape, object)
    flags[:] = [doubts] * value.size
    return Estimate(
        value, error, interval, mean, np.full(value.shape, math.nan) if posterior is None else error,
        np.full(value.shape, told), "1", "mean over orders", flags, null, details, ("case",), {},
    )  # fmt: skip


def order_effect(beliefs: Any, *, shuffles: int = 200, seed: int = 0, data: Any = None) -> Estimate:
    """Estimate the mean variance of beliefs that the order of the evidence makes.

    Parameters
    ----------
    beliefs
        Shape (cases, orders) if answers to the same words are always the same, else (cases, orders, repeats): the
        variance of repeated answers is then taken off, and the null exchanges them between the orders of a case.
    shuffles, seed
        Of the null.
    data
        Dataset or file in which variables are looked up by name.
    """
    shuffles, seed = checks.repeats(shuffles, "shuffles", 2), checks.seed(seed)
    array = _beliefs(beliefs, data, (2, 3))
    cases, orders = array.shape[:2]
    if orders < 2 or (array.ndim == 3 and array.shape[2] < 2):
        raise InputError(f"beliefs has shape {array.shape}; expected at least two orders, and two repeats if any")
    found = _between(array)
    null_mean, null_sd = math.nan, math.nan
    if array.ndim == 3:
        random = np.random.Generator(np.random.Philox(seed))
        flat = array.reshape(cases, -1)
        drawn = [float(_between(random.permuted(flat, axis=1).reshape(array.shape)).mean()) for _ in range(shuffles)]
        null_mean, null_sd = float(np.mean(drawn)), float(np.std(drawn, ddof=1))
    return mean_of(
        found, groups(None, None, "case", cases), unit="1", method="variance between orders", lowest=0.0,
        null=NO_ORDER if array.ndim == 3 else "", null_mean=null_mean, null_sd=null_sd,
        details={"typical": math.sqrt(max(float(found.mean()), 0.0)), "orders": orders},
    )  # fmt: skip


def _between(array: Floats) -> Floats:
    """Return the variance between orders in each case, unbiased."""
    if array.ndim == 2:
        found: Floats = array.var(axis=1, ddof=1)
        return found
    within: Floats = array.var(axis=2, ddof=1).mean(axis=1) / array.shape[2]
    between: Floats = array.mean(axis=2).var(axis=1, ddof=1) - within
    return between


def belief_drift(beliefs: Any, *, weights: Any = None, cluster: Any = None, data: Any = None) -> Estimate:
    """Estimate the mean change of beliefs from the first to the last step; 0 if they are a martingale.

    Parameters
    ----------
    beliefs
        Shape (sequences, steps), beginning with the prior.
    weights
        Probabilities of the sequences where these are all that are possible: the drift is then exact and its error 0.
        By default each was drawn.
    cluster
        Labels (sequences,) of what hangs together, those of one agent or one world.
    data
        Dataset or file in which variables are looked up by name.

    Returns
    -------
    estimate
        ``details``: ``by_step``, the mean change at each step, and ``slope``, that of the change of a step on the
        belief before it: below 0, extreme beliefs are taken back.
    """
    array, share = _sequences(beliefs, weights, data)
    changes = np.diff(array, axis=1)
    before = array[:, :-1] - float(share @ array[:, :-1].mean(axis=1))
    square = float(share @ (before**2).sum(axis=1))
    details = {
        "by_step": share @ changes, "slope": float(share @ (before * changes).sum(axis=1)) / square if square else 0.0,
    }  # fmt: skip
    whole = array[:, -1] - array[:, 0]
    return _martingale(whole, share, weights is not None, cluster, data, "mean change", details)


def excess_movement(beliefs: Any, *, weights: Any = None, cluster: Any = None, data: Any = None) -> Estimate:
    """Estimate movement less reduction of uncertainty; 0 for a Bayesian, above 0 for one who over-reacts.

    Parameters
    ----------
    beliefs, weights, cluster, data
        As of :func:`belief_drift`.

    Returns
    -------
    estimate
        ``details``: ``movement`` and ``reduction``, whose difference is the value, and their ``ratio``.
    """
    array, share = _sequences(beliefs, weights, data)
    movement = (np.diff(array, axis=1) ** 2).sum(axis=1)
    reduction = array[:, 0] * (1.0 - array[:, 0]) - array[:, -1] * (1.0 - array[:, -1])
    mean = float(share @ movement), float(share @ reduction)
    details = {
        "movement": mean[0], "reduction": mean[1], "ratio": mean[0] / mean[1] if mean[1] > 0.0 else math.nan,
    }  # fmt: skip
    return _martingale(movement - reduction, share, weights is not None, cluster, data, "movement", details)


def plausibility_gap(
    prior: Any, posteriors: Any, probability: Any, *, cluster: Any = None, data: Any = None
) -> Estimate:  # fmt: skip
    """Estimate by how much the beliefs expected after a message exceed the one before it; 0 by Bayes' rule.

    Parameters
    ----------
    prior
        Belief before, shape (n,).
    posteriors
        Belief after each message, shape (n, messages).
    probability
        With which an agent expects each message, shape (n, messages), summing to 1.
    cluster
        Labels (n,) of what hangs together.
    data
        Dataset or file in which variables are looked up by name.

    Returns
    -------
    estimate
        ``details``: ``absolute``, the mean size of the gap, and ``greatest``.
    """
    before = _unit(numbers(prior, data, "prior"), "prior")
    after = _unit(_beliefs(posteriors, data, (2,)), "posteriors")
    expected = checked_values(as_array(named(probability, data, "probability"), "probability"), "probability", False)
    if after.shape != expected.shape or len(after) != before.size:
        raise InputError(
            f"prior, posteriors and probability have shapes {before.shape}, {after.shape} and {expected.shape};"
            " expected (n,), (n, messages) and (n, messages)"
        )
    if (expected < 0.0).any() or np.abs(expected.sum(axis=1) - 1.0).max() > 1e-6:
        raise InputError("probability: expected numbers that are not negative and add up to 1 in each row")
    gap = (expected * after).sum(axis=1) - before
    clusters = groups(cluster, data, "cluster", before.size)
    sums = clusters.sums(gap)
    return mean_of(
        gap, clusters, unit="1", method="mean gap", null=MARTINGALE, null_mean=0.0,
        null_sd=math.sqrt(float(sums @ sums)) / gap.size,
        details={"absolute": float(np.abs(gap).mean()), "greatest": float(np.abs(gap).max())},
    )  # fmt: skip


def _martingale(
    values: Floats, share: Floats, exact: bool, cluster: Any, data: Any, method: str, details: dict[str, Any]
) -> Estimate:  # fmt: skip
    if exact:
        value = float(share @ values)
        return Estimate(
            value, 0.0, (value, value), 0.0, 0.0, values.size, "1", f"{method}, all sequences", (), MARTINGALE, details
        )  # fmt: skip
    clusters = groups(cluster, data, "cluster", values.size)
    sums = clusters.sums(values)
    return mean_of(
        values, clusters, unit="1", method=method, null=MARTINGALE, null_mean=0.0,
        null_sd=math.sqrt(float(sums @ sums)) / values.size, details=details,
    )  # fmt: skip


def _sequences(beliefs: Any, weights: Any, data: Any) -> tuple[Floats, Floats]:
    array = _beliefs(beliefs, data, (2,))
    if array.shape[1] < 2:
        raise InputError("beliefs are of one step; expected the prior and at least one more")
    if weights is None:
        return array, np.full(len(array), 1.0 / len(array))
    share = numbers(column(weights, data, "weights"), None, "weights", len(array))
    if (share < 0.0).any() or abs(float(share.sum()) - 1.0) > 1e-9:
        raise InputError(f"weights add up to {float(share.sum()):g}; expected probabilities of all sequences, sum 1")
    return array, share


def _beliefs(values: Any, data: Any, ndims: tuple[int, ...]) -> Floats:
    array = as_array(named(values, data, "beliefs"), "beliefs")
    if array.ndim not in ndims or not array.size:
        said = " or ".join(str(n) for n in ndims)
        raise InputError(f"beliefs has shape {array.shape}; expected {said} dimensions, none empty")
    found: Floats = checked_values(array, "beliefs", False)
    return _unit(found, "beliefs")


def _unit(values: Floats, word: str) -> Floats:
    if values.min() < 0.0 or values.max() > 1.0:
        place = tuple(int(one) for one in np.argwhere((values < 0.0) | (values > 1.0))[0])
        raise InputError(f"{word} holds {values[place]:g} at {place}; expected probabilities from 0 to 1")
    return values
