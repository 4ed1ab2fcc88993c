"""Optimal signals of a sender who commits: concave closure, linear programme, and a private signal for everybody.

Kamenica & Gentzkow (2011), "Bayesian persuasion", American Economic Review 101, 2590-2615. A sender commits to a
signal, that is to chances of messages given the state. A message moves a receiver who knows the signal from the prior
to a posterior. The most that the sender gets is the concave closure of its payoff v(x) at the posterior x, taken at the
prior (their corollary 2). With finitely many actions it is as well the value of a linear programme over recommendations
that the receiver obeys,

    max sum x[w, a] v[w, a],  x >= 0,  sum_a x[w, a] = prior[w],  sum_w x[w, a] (u[w, a] - u[w, b]) >= 0 for all a, b.

Receivers who accept from a posterior of t on make v(x) the share of those with t <= x. Where everybody gets a signal of
its own instead, the one with threshold t accepts with chance min(1, prior / t).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simengine.errors import InputError, nearest
from simengine.scenarios.persuasion_payoffs import (
    ROUNDING,
    Array,
    Problem,
    as_finite,
    as_share,
    as_weights,
    needed_posterior,
    of_distribution,
    of_payoff,
    of_thresholds,
)

Method = Literal["concave_closure", "linear_programme", "private"]
METHODS = ("concave_closure", "linear_programme", "private")


@dataclass(frozen=True)
class Solution:
    """A sender's optimal signal and what it brings.

    Attributes
    ----------
    value
        The sender's expected payoff; with thresholds the share of receivers who accept.
    receiver_value
        The receivers' expected payoff: their matrix's, or with thresholds the mean of `payoff_of_act`; not-a-number
        where only the sender's payoff is known.
    posteriors
        Chance of the good state after each message, shape (messages,), ascending; with a vector of states as the prior,
        shape (messages, states); with private signals (receivers, 2).
    probabilities
        Chance of each message, shape (messages,); with private signals (receivers, 2).
    signal
        Chance of each message given the state, shape (states, messages), rows summing to 1; the states are bad and good
        where the prior is a number. With private signals (receivers, states, 2).
    no_information, full_information
        What the sender gets from silence and from the truth.
    """

    value: float
    receiver_value: float
    posteriors: Array
    probabilities: Array
    signal: Array
    no_information: float
    full_information: float


def solve_persuasion(
    prior: ArrayLike = 0.3,
    threshold: Any = 0.5,
    *,
    bias: float = 0.0,
    weights: ArrayLike | None = None,
    payoff: Callable[[Array], ArrayLike] | ArrayLike | None = None,
    at: ArrayLike | None = None,
    sender: ArrayLike | None = None,
    receiver: ArrayLike | None = None,
    method: Method = "concave_closure",
    points: int = 20_001,
) -> Solution:
    """Return the signal that a sender who can commit prefers, and its value.

    The receivers are described by thresholds, by the payoff that they give to the sender, or by payoffs of their own.

    Parameters
    ----------
    prior
        Chance of the good state, from 0 to 1 (at the ends nothing is left to say, and the value is that of silence);
        or, with ``sender`` and ``receiver``, the chances of all states, which sum to 1.
    threshold
        Posterior from which a receiver accepts, from 0 to 1: a number, an array (a population), or a distribution with
        a method ``cdf``, such as those of scipy.stats. Whoever is indifferent accepts.
    bias
        Weight w of the prior in what receivers make of a message: (1 - w) Bayes + w prior; from 0 to 1.
    weights
        Of the thresholds in an array; equal by default.
    payoff
        In place of thresholds: the sender's payoff v(x) as a function of an array of posteriors, or its values ``at``
        the posteriors given. Where v jumps it has the higher value.
    at
        Posteriors that the grid has to contain, those at which ``payoff`` jumps or bends; the grid alone misses them.
    sender, receiver
        In place of thresholds: payoffs of shape (states, actions). The receiver takes its best action, and among
        several the one that the sender likes best.
    method
        ``concave_closure`` (two states), ``linear_programme``, or ``private``: a signal of its own for every threshold.
    points
        Points of the grid where payoffs are a function or a distribution.

    Raises
    ------
    InputError
        In one line, for numbers outside their ranges, chances that do not sum to 1, and problems that the method is not
        for.
    """
    if method not in METHODS:
        raise InputError(
            f"there is no method {method!r}{nearest(str(method), METHODS) or '; methods: ' + ', '.join(METHODS)}"
        )
    if (sender is None) != (receiver is None):
        raise InputError("sender= and receiver= belong together: payoffs of shape (states, actions)")
    if sender is not None and receiver is not None:
        return _of_matrices(prior, as_finite(sender, "sender"), as_finite(receiver, "receiver"), method)
    belief = as_share(prior, "prior")
    weight = as_share(bias, "bias")
    if points < 2:
        raise InputError(f"a grid has at least 2 points, not {points}")
    if payoff is not None:
        if method == "private":
            raise InputError("private signals need thresholds; a payoff alone does not say who accepts")
        return _solved(of_payoff(belief, payoff, at, points), belief, method)
    if hasattr(threshold, "cdf"):
        if weights is not None:
            raise InputError("weights= are those of an array of thresholds; a distribution has its own")
        problem = of_distribution(belief, threshold.cdf, weight, points)
        return (
            _private_of_distribution(problem, belief, threshold.cdf, weight)
            if method == "private"
            else _solved(problem, belief, method)
        )
    thresholds = np.atleast_1d(as_finite(threshold, "threshold")).ravel()
    if not thresholds.size or (thresholds < 0).any() or (thresholds > 1).any():
        wrong = thresholds[(thresholds < 0) | (thresholds > 1)]
        raise InputError(
            f"threshold: got {wrong[0]:g}, allowed is 0 <= value <= 1" if wrong.size else "there is no threshold"
        )
    shares = as_weights(weights, thresholds.size)
    needed = needed_posterior(thresholds, belief, bias=weight)
    if method == "private":
        return _private(belief, thresholds, needed, shares)
    problem = of_thresholds(belief, thresholds, needed, shares)
    if method == "concave_closure":
        return _solved(problem, belief, method)
    return _of_recommendations(problem, belief, needed, shares)


def upper_hull(posteriors: Array, payoffs: Array) -> NDArray[np.int64]:
    """Return the corners of the concave closure of points by ascending abscissa: monotone chain, O(n)."""
    x, v = posteriors.tolist(), payoffs.tolist()
    hull: list[int] = []
    for new in range(len(x)):
        while len(hull) > 1:
            first, last = hull[-2], hull[-1]
            if (v[last] - v[first]) * (x[new] - x[first]) > (v[new] - v[first]) * (x[last] - x[first]):
                break
            hull.pop()
        hull.append(new)
    return np.array(hull)


def _solved(problem: Problem, prior: float, method: Method) -> Solution:
    """The best distribution of posteriors of those in the problem, by their hull or by a linear programme."""
    x, v = problem.posteriors, problem.payoffs
    silent = int(np.flatnonzero(x == prior)[0])
    if method == "concave_closure":
        hull = upper_hull(x, v)
        above = int(np.searchsorted(x[hull], prior))
        kept = hull[[above]] if x[hull[above]] == prior else hull[[above - 1, above]]
        if v[silent] >= np.interp(prior, x[hull], v[hull]) - ROUNDING:
            kept = np.array([silent])
        masses = (
            np.ones(1)
            if len(kept) == 1
            else np.array([x[kept[1]] - prior, prior - x[kept[0]]]) / (x[kept[1]] - x[kept[0]])
        )
    else:
        found = _programme(-v, np.stack([np.ones_like(x), x]), np.array([1.0, prior]))
        kept = np.flatnonzero(found > ROUNDING)
        masses = found[kept] / found[kept].sum()
    gains = np.array([np.nan]) if problem.receiver is None else problem.receiver(x[kept])
    return Solution(
        float(masses @ v[kept]), float((masses * gains).sum()), x[kept], masses, _signal(prior, x[kept], masses),
        float(v[silent]), float((1.0 - prior) * v[0] + prior * v[-1]),
    )  # fmt: skip


def _signal(prior: float, posteriors: Array, probabilities: Array) -> Array:
    """Chances of the messages given bad and good; a state that cannot be has those of the messages as a whole."""
    bad = probabilities * (1.0 - posteriors) / (1.0 - prior) if prior < 1.0 else probabilities
    good = probabilities * posteriors / prior if prior > 0.0 else probabilities
    found = np.clip(np.stack([bad, good], axis=-2), 0.0, 1.0)
    # What is certain stays certain.
    found[..., -1] = np.maximum(1.0 - found[..., :-1].sum(axis=-1), 0.0)
    return found


EXACT = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


def _programme(cost: Array, equal: Any, to: Array, at_least_zero: Any = None) -> Array:
    from scipy import optimize

    linprog: Any = optimize.linprog
    rows = None if at_least_zero is None else -at_least_zero
    bound = None if rows is None else np.zeros(rows.shape[0])
    found = linprog(cost, A_ub=rows, b_ub=bound, A_eq=equal, b_eq=to, bounds=(0, None), method="highs", options=EXACT)
    if found.status != 0:
        raise InputError(f"the linear programme has no solution: {found.message}")
    return np.asarray(found.x, float)


def _of_recommendations(problem: Problem, prior: float, needed: Array, shares: Array) -> Solution:
    """The programme over how many accept, those with the lowest thresholds first.

    A message that makes those below a threshold accept, and nobody else, is obeyed by all of them; as if one receiver
    chose their number, with the payoffs sum (x - t). These are concave in the number, so that it is enough to compare
    neighbours.
    """
    from scipy.sparse import coo_matrix

    steps, place = np.unique(needed[needed <= 1.0], return_inverse=True)
    share = np.concatenate([[0.0], np.cumsum(np.bincount(place, shares[needed <= 1.0], len(steps)))])
    actions, n = np.arange(len(steps)), len(steps) + 1
    # x[bad, a] stands at a, x[good, a] at n + a. Of a + 1 rather than a, the gain is -t if bad and 1 - t if good.
    row = np.concatenate([actions, actions, n - 1 + actions, n - 1 + actions])
    column = np.concatenate([actions + 1, n + actions + 1, actions, n + actions])
    gain = np.concatenate([-steps, 1.0 - steps, steps, steps - 1.0])
    obeyed = coo_matrix((gain, (row, column)), shape=(2 * (n - 1), 2 * n)).tocsr() if n > 1 else None
    states = coo_matrix((np.ones(2 * n), (np.repeat([0, 1], n), np.arange(2 * n)))).tocsr()
    x = _programme(-np.tile(share, 2), states, np.array([1.0 - prior, prior]), obeyed).reshape(2, n)
    masses = x.sum(axis=0)
    kept = np.flatnonzero(masses > ROUNDING)
    posteriors = x[1, kept] / masses[kept]
    # The recommendation, and not rounding, says who accepts.
    exact = np.where(
        np.abs(posteriors - np.concatenate([[0.0], steps])[kept]) < 1e-9,
        np.concatenate([[0.0], steps])[kept],
        posteriors,
    )
    gains = float("nan") if problem.receiver is None else float(masses[kept] @ problem.receiver(exact))
    silent = float(problem.payoffs[problem.posteriors == prior][0])
    revealed = float((1.0 - prior) * problem.payoffs[0] + prior * problem.payoffs[-1])
    return Solution(
        float(masses @ share),
        gains,
        posteriors,
        masses[kept],
        _signal(prior, posteriors, masses[kept]),
        silent,
        revealed,
    )


def _private(prior: float, thresholds: Array, needed: Array, shares: Array) -> Solution:
    """The message "accept" as often as the receiver believes it."""
    accepted = np.where(needed <= prior, 1.0, np.where(needed <= 1.0, prior / np.where(needed > 0.0, needed, 1.0), 0.0))
    silent = needed <= prior
    # Whom nothing convinces is told nothing: one message, the first.
    high = np.where(silent, prior, np.where(needed <= 1.0, needed, prior))
    low = np.where(silent | (needed > 1.0), prior, 0.0)
    posteriors = np.stack([low, high], axis=1)
    probabilities = np.stack([1.0 - accepted, accepted], axis=1)
    signal = _signal(prior, posteriors, probabilities)
    gains = 2.0 * (accepted * high * (1.0 - thresholds) + (1.0 - accepted) * (1.0 - low) * thresholds)
    return Solution(
        float(shares @ accepted), float(shares @ gains), posteriors, probabilities, signal,
        float(shares @ silent), float((1.0 - prior) * (shares @ (needed <= 0.0)) + prior * (shares @ (needed <= 1.0))),
    )  # fmt: skip


def _private_of_distribution(problem: Problem, prior: float, cdf: Callable[[Any], Any], bias: float) -> Solution:
    """The mean over thresholds; signals are a function of the threshold, so that none are listed."""
    from scipy.integrate import quad

    def share(posterior: float) -> float:
        return float(cdf((1.0 - bias) * posterior + bias * prior))

    # E min(1, prior / t) by parts, t the posterior needed.
    beyond = (
        quad(lambda x: share(x) / x**2, prior, 1.0, limit=500, epsabs=1e-12, epsrel=1e-11)[0] if prior > 0.0 else 0.0
    )
    value = prior * share(1.0) + prior * beyond if prior > 0.0 else share(0.0)
    assert problem.receiver is not None
    silent = np.array([prior])
    kept = float(problem.receiver(silent)[0]) if bias == 0.0 else float("nan")
    ends = share(0.0), share(1.0)
    return Solution(
        value, kept, np.empty((0, 2)), np.empty((0, 2)), np.empty((0, 2, 2)), share(prior),
        (1.0 - prior) * ends[0] + prior * ends[1],
    )  # fmt: skip


def _of_matrices(prior: ArrayLike, v: Array, u: Array, method: Method) -> Solution:
    if v.ndim != 2 or v.shape != u.shape:
        raise InputError(f"sender and receiver have one shape, (states, actions), not {v.shape} and {u.shape}")
    number = np.ndim(prior) == 0
    chances = (
        np.array([1.0 - as_share(prior, "prior"), as_share(prior, "prior")]) if number else as_finite(prior, "prior")
    )
    if chances.shape != v.shape[:1]:
        raise InputError(f"prior has {chances.size} states, sender and receiver {v.shape[0]}")
    if (chances < 0).any() or abs(chances.sum() - 1.0) > 1e-9:
        raise InputError(f"prior: chances are not negative and sum to 1, these to {chances.sum():.15g}")
    if method == "private":
        raise InputError("private signals need thresholds; with one receiver every signal is private")
    if method == "concave_closure":
        if len(chances) != 2:
            raise InputError(f"concave_closure is for two states, not {len(chances)}; take method='linear_programme'")
        return _closure_of_matrices(float(chances[1]), v, u, number)
    states, actions = v.shape
    gain = u[:, :, None] - u[:, None, :]
    obeyed = np.zeros((actions, actions, states, actions))
    for action in range(actions):
        obeyed[action, :, :, action] = gain[:, action, :].T
    rows = obeyed.reshape(actions * actions, states * actions)
    sums = np.kron(np.eye(states), np.ones(actions))
    x = _programme(-v.ravel(), sums, chances, rows).reshape(states, actions)
    masses = x.sum(axis=0)
    kept = np.flatnonzero(masses > ROUNDING)
    posteriors = (x[:, kept] / masses[kept]).T
    signal = np.where(chances[:, None] > 0, x[:, kept] / np.where(chances > 0, chances, 1.0)[:, None], masses[kept])
    return Solution(
        float((x * v).sum()), float((x * u).sum()), posteriors[:, 1] if number else posteriors, masses[kept], signal,
        float(_best(chances[None], v, u)[0][0]), float(chances @ _best(np.eye(states), v, u)[0]),
    )  # fmt: skip


def _best(beliefs: Array, v: Array, u: Array) -> tuple[Array, Array]:
    """What sender and receiver get at beliefs of shape (n, states), the receiver doing its best."""
    gains, wanted = beliefs @ u, beliefs @ v
    most = gains.max(axis=1)
    scale = ROUNDING * max(1.0, float(np.abs(u).max()))
    return np.where(gains >= most[:, None] - scale, wanted, -np.inf).max(axis=1), most


def _closure_of_matrices(prior: float, v: Array, u: Array, number: bool) -> Solution:
    """Between the posteriors at which the receiver is indifferent its action, and with it v, is straight."""
    bad, good = u[0][:, None] - u[0][None, :], u[1][:, None] - u[1][None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        crossings = bad / (bad - good)
    x = np.unique(np.concatenate([[0.0, prior, 1.0], crossings[(crossings > 0.0) & (crossings < 1.0)]]))
    beliefs = np.stack([1.0 - x, x], axis=1)
    found = _solved(
        Problem(x, _best(beliefs, v, u)[0], lambda at: _best(np.stack([1.0 - at, at], axis=1), v, u)[1]),
        prior,
        "concave_closure",
    )
    if number:
        return found
    shown = np.stack([1.0 - found.posteriors, found.posteriors], axis=1)
    return Solution(
        found.value, found.receiver_value, shown, found.probabilities, found.signal, found.no_information,
        found.full_information,
    )  # fmt: skip
