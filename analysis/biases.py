"""Biases of those who learn from others, NB1 to NB3, fitted to their logged answers by logistic regression.

An agent sees a public belief b and a signal that points to good (s = 1) or bad (s = -1) and is right with probability
q. Its log-odds for good are ::

    prior_weight logit b + s w logit q + lean

with w = agree_weight where s logit b > 0 and w = contradict_weight elsewhere, those of the scenario `social_learning`.
Bayes' rule has weights of 1 and no lean. NB1, under-reaction to what agrees, is agree_weight < 1; NB2, over-reaction to
what contradicts, contradict_weight > 1; NB3, later cascades, follows: they begin where |logit b| exceeds
contradict_weight / prior_weight logit q.

Method "logistic": maximum likelihood of answers 0 or 1 that are drawn with the probability that the log-odds say;
standard errors from the Fisher information. Of answers in between (stated beliefs, probabilities of a label) the same
equations are a quasi-likelihood (Papke & Wooldridge 1996), and errors are of the sandwich form, as they are where
answers of one agent hang together (``agent``). Method "log-odds": least squares on the log-odds of answers strictly
between 0 and 1, for stated beliefs with noise on that scale; logistic weights are then drawn towards 0.

From answers 0 or 1, weights are those of log-odds in units of the answers' own noise: agents that are twice as
decided have twice the weights. Ratios, :attr:`Biases.agree_ratio` and :attr:`Biases.cascade_ratio`, are free of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics import checks
from simengine.diagnostics.decisions.rows import Groups, column, groups, numbers
from simengine.diagnostics.estimate import Estimate, flagged, normal_interval
from simengine.errors import InputError
from simengine.scenario.parameters import shown

Floats = NDArray[np.float64]

PARAMETERS = ("prior_weight", "agree_weight", "contradict_weight", "lean")
BAYES = (1.0, 1.0, 1.0, 0.0)
METHODS = ("logistic", "log-odds")
FEWEST = 100
"""Answers, and agents a fifth of them, below which errors are too small (``few_samples``)."""

FEWEST_OF_A_KIND = 20
"""Signals that agree, and that contradict."""

_RANK = 1e-9
_SEPARATED = 1e-7
_CERTAIN = 5.0
_ROWS = 1000
_WHAT = {
    "agree_weight": "no signal of these answers agrees with the public belief",
    "contradict_weight": "every signal of these answers agrees with the public belief",
    "prior_weight": "the public belief is 1/2 in all of these answers",
}


@dataclass(frozen=True, repr=False)
class Biases:
    """The weights of public belief and signals, with errors; the null of each is Bayes' rule."""

    prior_weight: Estimate
    """Weight of the public belief's log-odds."""
    agree_weight: Estimate
    """Weight of a signal that agrees with the public belief; below 1: NB1."""
    contradict_weight: Estimate
    """Weight of one that does not; above 1: NB2."""
    lean: Estimate
    """Log-odds that agents add for good."""
    covariance: Floats
    """Of the four, in this order, shape (4, 4)."""
    n: int
    """Number of answers."""
    method: str
    """``"logistic"`` or ``"log-odds"``, and where the errors come from."""

    @property
    def agree_ratio(self) -> Estimate:
        """agree_weight / prior_weight."""
        return self._ratio(1)

    @property
    def cascade_ratio(self) -> Estimate:
        """contradict_weight / prior_weight: the log-odds at which cascades begin over those of Bayes' rule; NB3."""
        return self._ratio(2)

    def parameters(self) -> dict[str, float]:
        """Return the four values by name, as parameters of `social_learning`."""
        return {name: float(getattr(self, name).value) for name in PARAMETERS}

    def _ratio(self, place: int) -> Estimate:
        above, below = getattr(self, PARAMETERS[place]), float(self.prior_weight.value)
        if below == 0.0:
            return Estimate(math.nan, n=self.n, unit="1", method="ratio", flags=flagged("singular"), null=_NULL)
        value = float(above.value) / below
        part = self.covariance[np.ix_([place, 0], [place, 0])]
        slope = np.array([1.0, -value]) / below
        error = math.sqrt(max(float(slope @ part @ slope), 0.0))
        return _estimate(value, error, 1.0, self.n, "ratio", above.flags)

    def __repr__(self) -> str:
        lines = [f"Biases of {self.n} answers, {self.method}"]
        for name, bayes in zip(PARAMETERS, BAYES, strict=True):
            one = getattr(self, name)
            low, high = one.interval
            found = f"{one.value:8.3f} +- {one.standard_error:.3f}  [{low:.3f}, {high:.3f}]"
            lines.append(f"{name:<18}{found}  (Bayes {bayes:g})")
        ratio = self.cascade_ratio
        lines.append(f"{'cascade_ratio':<18}{ratio.value:8.3f} +- {ratio.standard_error:.3f}")
        return "\n".join(lines)


_NULL = "Bayes' rule"


def fit_biases(
    answer: Any = "answer", *, belief: Any = None, log_odds: Any = None, signal: Any = "signal",
    precision: Any = "precision", agent: Any = None, method: str = "logistic", data: Any = None,
) -> Biases:  # fmt: skip
    """Fit the weights of public belief and signals to logged answers.

    Parameters
    ----------
    answer
        Shape (n,): 1 for good and 0 for bad, or the stated probability of good.
    belief, log_odds
        The public belief as a probability, or its log-odds, one of the two, shape (n,); of a Dataset by default its
        ``log_odds``, or else its ``belief``.
    signal
        Shape (n,): 1 for good, 0 or -1 for bad.
    precision
        Probability that a signal is right, a number or shape (n,), between 0 and 1.
    agent
        Labels (n,) of agents whose answers hang together; by default answers are independent.
    method
        "logistic" or "log-odds", see :mod:`simengine.analysis.biases`.
    data
        Dataset or file in which variables are looked up by name.

    Raises
    ------
    InputError
        If the answers do not tell the weights: no signal of a kind, a public belief that does not vary, or answers
        that follow a threshold without error; the line says which.
    """
    checks.one_of(method, METHODS, "method")
    answers = numbers(answer, data, "answer")
    n = answers.size
    if answers.min() < 0.0 or answers.max() > 1.0:
        raise InputError("answer: expected 0 and 1, or probabilities from 0 to 1")
    odds = _log_odds(belief, log_odds, data, n)
    toward = numbers(signal, data, "signal", n)
    if not np.isin(toward, (-1.0, 0.0, 1.0)).all():
        raise InputError("signal: expected 1 for good and 0, or -1, for bad")
    toward = np.where(toward > 0.0, 1.0, -1.0)
    told = toward * _logit(_precision(precision, data, n), "precision")
    agrees = toward * odds > 0.0
    design = np.stack([odds, np.where(agrees, told, 0.0), np.where(agrees, 0.0, told), np.ones(n)], axis=1)
    _check_told(design)
    clusters = groups(agent, data, "agent", n)
    whole = bool(np.isin(answers, (0.0, 1.0)).all())
    if method == "log-odds":
        weights, covariance = _least_squares(design, answers, clusters)
        said = "log-odds, sandwich errors"
    else:
        fisher = whole and agent is None
        weights, covariance = _logistic(design, answers, clusters, fisher)
        said = f"logistic, {'Fisher information' if fisher else 'sandwich errors'}"
    few = n < FEWEST or min(int(agrees.sum()), int((~agrees).sum())) < FEWEST_OF_A_KIND
    flags = flagged("few_samples" if few or clusters.count < FEWEST // 5 else None)
    errors = np.sqrt(np.diag(covariance))
    prior, agree, contradict, lean = (
        _estimate(float(w), float(e), b, n, method, flags) for w, e, b in zip(weights, errors, BAYES, strict=True)
    )
    return Biases(prior, agree, contradict, lean, covariance=covariance, n=n, method=said)


def _estimate(value: float, error: float, bayes: float, n: int, method: str, flags: tuple[str, ...]) -> Estimate:
    low, high = normal_interval(value, error)
    return Estimate(value, error, (low, high), bayes, error, n, "1", method, flags, _NULL)


def _log_odds(belief: Any, log_odds: Any, data: Any, n: int) -> Floats:
    if belief is None and log_odds is None:
        if data is None or not hasattr(data, "variables"):
            raise InputError("fit_biases needs the public belief: belief= or log_odds=")
        belief, log_odds = (None, "log_odds") if "log_odds" in data.variables else ("belief", None)
    elif belief is not None and log_odds is not None:
        raise InputError("belief and log_odds say the same; give one of the two")
    if log_odds is not None:
        return numbers(log_odds, data, "log_odds", n)
    return _logit(numbers(belief, data, "belief", n), "belief")


def _precision(precision: Any, data: Any, n: int) -> Floats:
    if isinstance(precision, int | float) and not isinstance(precision, bool):
        return np.full(n, float(precision))
    return numbers(column(precision, data, "precision", n), None, "precision")


def _logit(p: Floats, word: str) -> Floats:
    outside = ~((p > 0.0) & (p < 1.0))
    if outside.any():
        place = int(outside.argmax())
        at = shown(float(p[place]))
        raise InputError(f"{word} is {at} at {place}; expected numbers between 0 and 1, whose log-odds are finite")
    found: Floats = np.log(p) - np.log1p(-p)
    return found


def _check_told(design: Floats) -> None:
    """Refuse columns that are zero, or of which some are sums of others."""
    size = np.abs(design).max(axis=0)
    for name, greatest in zip(PARAMETERS, size, strict=True):
        if greatest == 0.0:
            raise InputError(f"{name} cannot be told: {_WHAT.get(name, 'it changes no answer')}")
    # The triangle has the singular values of all rows, and fewer than four rows are filled up with zeros.
    triangle = np.linalg.qr(np.vstack([design / size, np.zeros((len(PARAMETERS), len(PARAMETERS)))]), mode="r")
    _, values, rows = np.linalg.svd(triangle)
    if values[-1] < _RANK * values[0]:
        mixed = [name for name, part in zip(PARAMETERS, rows[-1], strict=True) if abs(part) > 1e-6]
        raise InputError(
            f"{', '.join(mixed[:-1])} and {mixed[-1]} cannot be told apart: public belief and signals of these answers"
            " do not vary independently"
        )


def _check_mixed(design: Floats, answers: Floats) -> None:
    """Refuse answers that some weights part without error: their likelihood has no maximum (Albert & Anderson 1984)."""
    from scipy.optimize import linprog

    scaled = design / np.abs(design).max(axis=0)
    pure = np.isin(answers, (0.0, 1.0))
    signed = scaled[pure] * (2.0 * answers[pure] - 1.0)[:, None]
    between = np.linalg.qr(np.vstack([scaled[~pure], np.zeros((len(PARAMETERS), len(PARAMETERS)))]), mode="r")
    if not len(signed) or np.linalg.matrix_rank(between) == len(PARAMETERS):
        return
    # What parts all rows parts some of them: rows that the weights found so far get wrong are added until none does.
    some = np.unique(np.linspace(0, len(signed) - 1, _ROWS).astype(np.intp))
    while True:
        rows = signed[some]
        found = linprog(
            -rows.sum(axis=0), A_ub=-rows, b_ub=np.zeros(len(rows)), A_eq=between, b_eq=np.zeros(len(between)),
            bounds=(-1.0, 1.0),
        )  # fmt: skip
        if not found.success or found.fun is None or found.x is None or -found.fun <= _SEPARATED:
            return
        direction = np.asarray(found.x)
        margins = signed @ direction
        wrong = np.flatnonzero(margins < -_SEPARATED)
        if not np.setdiff1d(wrong, some).size:
            break
        some = np.union1d(some, wrong[np.argsort(margins[wrong])[:_ROWS]])
    names = ", ".join(name for name, w in zip(PARAMETERS, direction, strict=True) if abs(w) > 1e-6)
    raise InputError(
        f"{names} cannot be told: some answers follow a threshold without error, so that weights have no upper limit;"
        " ask for stated beliefs or probabilities, or for more answers"
    )


def _logistic(design: Floats, answers: Floats, clusters: Groups, fisher: bool) -> tuple[Floats, Floats]:
    """Return weights of the greatest (quasi-)likelihood and their covariance."""
    from scipy.optimize import minimize
    from scipy.special import expit

    n = len(answers)

    def loss(w: Floats) -> float:
        eta = design @ w
        return float(np.logaddexp(0.0, eta).sum() - answers @ eta) / n

    def slope(w: Floats) -> Floats:
        found: Floats = design.T @ (expit(design @ w) - answers) / n
        return found

    def information(w: Floats) -> Floats:
        p = expit(design @ w)
        found: Floats = (design * (p * (1.0 - p))[:, None]).T @ design / n
        return found

    found = minimize(loss, np.array(BAYES), jac=slope, hess=information, method="trust-exact", options={"gtol": 1e-9})
    weights = np.asarray(found.x, dtype=np.float64)
    # Without a maximum the search ends where some answers are all but certain.
    if not found.success or np.abs(design @ weights).max() > _CERTAIN:
        _check_mixed(design, answers)
    # A last step of Newton's: the tolerance is that of the slope, not of the weights.
    weights = weights - np.linalg.solve(information(weights), slope(weights))
    inverse = np.asarray(np.linalg.inv(information(weights) * n), np.float64)
    if fisher:
        return weights, inverse
    scores = design * (answers - expit(design @ weights))[:, None]
    return weights, _sandwich(inverse, scores, clusters)


def _least_squares(design: Floats, answers: Floats, clusters: Groups) -> tuple[Floats, Floats]:
    target = _logit(answers, "answer")
    inverse = np.asarray(np.linalg.inv(design.T @ design), np.float64)
    weights: Floats = inverse @ design.T @ target
    return weights, _sandwich(inverse, design * (target - design @ weights)[:, None], clusters)


def _sandwich(inverse: Floats, scores: Floats, clusters: Groups) -> Floats:
    if clusters.count < 2:
        raise InputError("agent is the same for all answers; errors need at least two agents")
    sums = clusters.sums(scores)
    found: Floats = inverse @ (sums.T @ sums) @ inverse * clusters.count / (clusters.count - 1.0)
    return found
