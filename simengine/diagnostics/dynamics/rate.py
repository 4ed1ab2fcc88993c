"""Entropy rate: what is new in each next value of a series, in nats per step.

``block``: h_k = H(k + 1) - H(k), the entropy of a symbol given the k before it, with Miller's bias taken off
(``plug-in`` leaves it); an upper limit that is reached where the memory is at most k steps. ``markov``: the rate of
the Markov chain of order k with the transitions seen, each state weighted as in its stationary distribution; its error
is that of such a chain.
``gaussian``: of the residuals of an autoregression of order k. These are valid for 400 windows or more with at most a
tenth as many degrees of freedom; flags say where not.

``match-length`` needs no k: the longest run from place i that also began before grows as ln i / h (Wyner & Ziv 1989;
Kontoyiannis et al. 1998). The plain estimate, in ``details["uncorrected"]``, is 10 % too small at ten thousand steps.
What is missing is known from renewal theory: the run is the first passage of the sum of -ln p beyond ln i plus a Gumbel
variable, so that its mean is (ln i + gamma - H(1)) / h + s / (2 h^2) + 1/2, with s the variance rate of -ln p, which
the variance of the runs yields. Valid from 1000 steps on for a memory of a few steps.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics import checks
from simengine.diagnostics.dynamics import blocks as of_blocks
from simengine.diagnostics.dynamics import embedding
from simengine.diagnostics.dynamics.dependence import FEWEST, MANY, answer
from simengine.diagnostics.dynamics.linear import fitted, not_gaussian
from simengine.diagnostics.dynamics.memory import long_run_variance
from simengine.diagnostics.dynamics.stationary import drifting
from simengine.diagnostics.dynamics.suffixes import previous_factors
from simengine.diagnostics.dynamics.windows import check, each
from simengine.diagnostics.estimate import Estimate, doubted, flagged, normal_interval
from simengine.diagnostics.samples import Dims, series
from simengine.errors import InputError

Array = NDArray[Any]
ESTIMATORS = ("auto", "block", "plug-in", "markov", "match-length", "gaussian")

_EULER = 0.5772156649015329
# Shorter series have matches of too few symbols.
_FEWEST_MATCHED = 1000
# States of a chain up to which its stationary distribution is solved for.
_MOST_STATES = 2000


def entropy_rate(
    values: Any, *, estimator: str = "auto", history: int = 1, local: bool = False, bins: Any = None,
    range: tuple[float, float] | None = None, unit: str = "nat", data: Any = None, dim: Dims = None, pool: Dims = None,
) -> Estimate:  # fmt: skip
    """Estimate the entropy rate of a series.

    Parameters
    ----------
    values
        Series of shape (T,), (m, T) for m realisations, a DataArray, or the name of a variable of ``data``.
    estimator
        ``"block"``, ``"plug-in"``, ``"markov"``, ``"match-length"``, ``"gaussian"``; ``"auto"`` takes block for
        symbols, gaussian for numbers (a differential entropy, which may be negative).
    history
        Number of past values k; not used by match-length.
    local
        Put -ln p of each value given its past, shape (m, windows), into ``details["local"]``.
    bins, range
        Edges of bins, or a number of them and their range, that make symbols of numbers.
    """
    check(estimator, ESTIMATORS, unit, local=local)
    blocks = series(values, data=data, dim=dim, pool=pool)
    length = checks.whole(history, "history")
    embedding.first_window(blocks.arrays[0].shape[-1], [length])

    def estimate(one: Array) -> Estimate:
        labels, beyond = embedding.as_symbols(one, bins, range)
        symbolic = embedding.discrete(labels)
        method = ("block" if symbolic else "gaussian") if estimator == "auto" else estimator
        if method == "gaussian":
            if one.dtype.kind not in "biuf":
                raise InputError("estimator 'gaussian' takes numbers, not texts")
            found = _gaussian(np.asarray(one, np.float64), length, local)
        elif not symbolic:
            raise InputError(f"estimator {method!r} counts states: give whole numbers or labels, or bins=")
        elif method == "match-length":
            found = _match_length(*embedding.symbols(labels))
        else:
            found = _block(*embedding.symbols(labels), length, method, local)
        return doubted(found, "outside_range" if beyond else None, drifting(labels if symbolic else one))

    return each(estimate, blocks, unit)


def _block(codes: NDArray[np.int64], states: int, length: int, method: str, local: bool) -> Estimate:
    found = of_blocks.of_words(codes, states, {length: -1.0, length + 1: 1.0})
    n = found.n
    if states == 1:
        return Estimate(0.0, 0.0, (0.0, 0.0), 0.0, 0.0, n, "nat", method, flagged("constant", "degenerate_null"))
    dof = float(found.kinds[-1] - found.kinds[-2])
    bias = -dof / (2.0 * n)
    variance, memory, ended = long_run_variance(found.local)
    details: dict[str, Any] = {"plug_in": found.plug_in, "bias": bias, "dof": dof, "memory": memory}
    if local:
        details["local"] = found.local
    plug_in = found.plug_in
    if method == "markov":
        plug_in, variance = _markov(codes, states, length)
    return answer(
        plug_in - (0.0 if method == "plug-in" else bias), variance, dof, n, method, details,
        proportional=False,
        null=(math.log(states) + (bias if method == "plug-in" else 0.0), math.sqrt(0.5 * dof) / n, "even, independent"),
        flags=(
            "many_states" if (states - 1.0) * float(states) ** length > MANY * n else None,
            None if ended else "short_series",
        ),
    )  # fmt: skip


def _markov(codes: NDArray[np.int64], states: int, length: int) -> tuple[float, float]:
    """Return the rate of the chain of words, and n times its variance; words that were never left do not count.

    The variance is that of sums of -ln p along the chain: of the martingale -ln p - h + u(next) - u(now), with u the
    solution of Poisson's equation u - P u = rate of each state - h (Meyn & Tweedie 2009, section 17.4).
    """
    rows = codes.shape[0]
    found, _ = embedding.words(codes, states, length)
    _, flat = np.unique(found, return_inverse=True)
    word = flat.reshape(rows, -1)
    size = int(word.max()) + 1
    if size > _MOST_STATES:
        raise InputError(f"markov: {size} different words of {length} symbols; at most {_MOST_STATES}: use block")
    counts = np.zeros((size, size))
    np.add.at(counts, (word[:, :-1].ravel(), word[:, 1:].ravel()), 1.0)
    # A word that is only ever the last one goes on as the first one did, so that the chain has no end.
    ends = np.flatnonzero(counts.sum(axis=1) == 0)
    counts[ends, word[0, 0]] = 1.0
    chain = counts / counts.sum(axis=1, keepdims=True)
    seen = np.bincount(word[:, :-1].ravel(), minlength=size) / (rows * (word.shape[1] - 1))
    system = np.vstack([chain.T - np.eye(size), np.ones(size)])
    start = np.append(np.zeros(size), 1.0)
    # Of several stationary distributions the one nearest to what was seen.
    stationary = seen + np.linalg.lstsq(system, start - system @ seen, rcond=None)[0]
    logs = np.log(np.where(chain > 0, chain, 1.0))
    rates = -(chain * logs).sum(axis=1)
    rate = float(stationary @ rates)
    ahead = np.linalg.lstsq(np.eye(size) - chain + stationary, rates - rate, rcond=None)[0]
    steps = -logs - rate + ahead[None, :] - ahead[:, None]
    return rate, max(float((stationary[:, None] * chain * steps**2).sum()), 0.0)


def _match_length(codes: NDArray[np.int64], states: int) -> Estimate:
    steps = codes.shape[1]
    if states == 1:
        return Estimate(
            0.0, 0.0, (0.0, 0.0), n=codes.size, method="match-length", flags=flagged("constant", "degenerate_null")
        )
    runs = np.stack([previous_factors(np.ascontiguousarray(row), states) for row in codes]) + 1.0
    place = np.arange(1, steps)
    uncorrected = 1.0 / float((runs[:, 1:] / np.log(place + 1.0)).mean())
    # Runs near the end are cut by it; those at the beginning have too little behind them.
    last = max(steps - 3 * int(runs.mean()), steps // 2)
    begin = steps // 10
    kept = np.ascontiguousarray(runs[:, begin:last])
    shares = np.bincount(codes.ravel()) / codes.size
    single = float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum())
    reach = np.log(np.arange(begin, last) + 1.0) + _EULER - single
    rest = kept - 1.5
    if not rest.mean() > 0.0:
        return Estimate(
            math.nan, n=codes.size, method="match-length", flags=flagged("few_samples"),
            details={"uncorrected": uncorrected, "memory": math.nan},
        )  # fmt: skip
    rate = _passage(rest, reach, float(reach.mean()))
    correlated, memory, ended = long_run_variance(np.ascontiguousarray(rest - reach / rate))
    error = rate * math.sqrt(correlated / kept.size) / float(rest.mean())
    short = steps < _FEWEST_MATCHED or rest.mean() < 2.0
    return Estimate(
        rate, error, normal_interval(rate, error, 0.0, math.log(states)), n=codes.size, method="match-length",
        flags=flagged("few_samples" if short else None, None if ended else "short_series"),
        details={"uncorrected": uncorrected, "memory": memory},
    )  # fmt: skip


def _passage(rest: NDArray[np.float64], reach: NDArray[np.float64], mean_reach: float) -> float:
    """Return h from runs beyond their first symbol: mean = reach / h + s / (2 h^2), with s from their variance."""
    rate = mean_reach / float(rest.mean())
    for _ in range(100):
        variance = float((rest - reach / rate).var())
        spread = max((variance - math.pi**2 / 6.0 / rate**2 - 1.0 / 12.0) * rate**3 / mean_reach, 0.0)
        better = mean_reach / max(float(rest.mean()) - spread / (2.0 * rate**2), 0.5 * float(rest.mean()))
        if abs(better - rate) < 1e-12 * rate:
            break
        rate = better
    return rate


def _gaussian(values: NDArray[np.float64], length: int, local: bool) -> Estimate:
    rows, steps = values.shape
    now, past = (embedding.columns(values, *part, length) for part in ((1, 0), (length, 1)))
    n = rows * (steps - length)
    if not np.ptp(now):
        return Estimate(-math.inf, 0.0, (-math.inf, -math.inf), n=n, method="gaussian", flags=("constant",))
    fit = fitted(now, past)
    if math.isinf(fit.log_det) or n <= length + 2:
        return Estimate(-math.inf, n=n, method="gaussian", flags=("singular",))
    base = 0.5 * (math.log(2.0 * math.pi) + fit.log_det)
    terms = np.ascontiguousarray((base + 0.5 * fit.lengths).reshape(rows, -1))
    variance, memory, ended = long_run_variance(terms)
    bias = -(1.0 + fit.rank) / (2.0 * n) - 0.5 / n
    details: dict[str, Any] = {"plug_in": base + 0.5, "bias": bias, "memory": memory}
    if local:
        details["local"] = terms
    flags = (
        "few_samples" if n < FEWEST else None, "many_states" if fit.rank > MANY * n else None,
        not_gaussian(fit.residuals, past), None if ended else "short_series",
    )  # fmt: skip
    return answer(
        base + 0.5 - bias, variance, 0.0, n, "gaussian", details, null=(math.nan, math.nan, ""), flags=flags,
        lowest=-math.inf, proportional=False,
    )  # fmt: skip
