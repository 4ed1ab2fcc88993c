"""Replicator flow: how shares of strategies grow where the fitter are imitated, in infinite populations.

One population: dx_i/dt = x_i (f_i(x) - sum_j x_j f_j(x)), with f = M x for a payoff matrix M (Taylor & Jonker 1978).
Several: the same for each, f^k_s being the mean payoff of strategy s of player k against the others' shares (Taylor
1979). With an ``intensity`` b, imitation follows Fermi's rule in place of being proportional to the difference:
dx_i/dt = x_i sum_j x_j tanh(b (f_i - f_j) / 2), the mean field of pairwise comparison (Traulsen, Nowak & Pacheco 2006),
one unit of time being one expected revision by each individual.

The flow is integrated in the logarithms of the shares, x = softmax(y): shares stay positive and of sum 1, and one of 0
stays 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from simengine.analysis.games.payoffs import Floats, Game, checked
from simengine.errors import InputError, RunError

Fitness = Callable[[Floats], Any]
SUM_WITHIN = 1e-9


@dataclass(frozen=True)
class Flow:
    """Shares of strategies over time."""

    times: Floats
    """Shape (T,)."""
    shares: tuple[Floats, ...]
    """For each population the shares of its strategies, shape (T, S_k)."""


def replicator_field(payoffs: Any, shares: Any, *, intensity: float | None = None) -> tuple[Floats, ...]:
    """Return dx/dt at some shares, for each population an array of shape (S_k,), sum 0.

    Parameters
    ----------
    payoffs
        One square matrix or one table per player, see :mod:`~simengine.analysis.games.payoffs`; or, for one population
        in a game of any number of players, a function of its shares (n,) that returns the fitnesses (n,).
    shares
        One array of length n for a single population, else a list of K arrays of length S_k; >= 0 with sum 1.
    intensity
        b of Fermi's rule, >= 0; None is imitation in proportion to the difference.
    """
    _check_intensity(intensity)
    rates, start = _prepared(payoffs, shares)
    return tuple(_growth(x, f, intensity) * x for x, f in zip(start, rates(start), strict=True))


def replicator_flow(
    payoffs: Any, start: Any, times: Any, *, intensity: float | None = None, tolerance: float = 1e-10
) -> Flow:
    """Return the trajectory from some shares.

    Parameters
    ----------
    payoffs, start, intensity
        As for `replicator_field`.
    times
        When to report, ascending, the first being when the shares are ``start``; at least two.
    tolerance
        Of the integrator (DOP853 of scipy), relative and absolute, in the logarithms of the shares.

    Raises
    ------
    InputError
        If an argument is none of these.
    RunError
        If the integrator stops on the way, as where the fitness is not finite.
    """
    _check_intensity(intensity)
    when = np.asarray(times, dtype=np.float64)
    if when.ndim != 1 or when.size < 2 or not np.isfinite(when).all() or not (np.diff(when) > 0).all():
        raise InputError("times are at least two finite ascending numbers, the first that of the start")
    if not 0.0 < tolerance < 1.0:
        raise InputError(f"tolerance = {tolerance}: it must be between 0 and 1")
    rates, first = _prepared(payoffs, start)
    present = [x > 0 for x in first]
    cuts = np.cumsum([np.count_nonzero(here) for here in present])[:-1]

    def shares_of(state: Floats) -> list[Floats]:
        found = []
        for here, part in zip(present, np.split(state, cuts), strict=True):
            x = np.zeros(here.size)
            x[here] = np.exp(part - part.max())
            found.append(x / x.sum())
        return found

    def change(_: float, state: Floats) -> Floats:
        now = shares_of(state)
        growths = (_growth(x, f, intensity)[here] for x, f, here in zip(now, rates(now), present, strict=True))
        return np.concatenate(list(growths))

    begin = np.concatenate([np.log(x[here]) for x, here in zip(first, present, strict=True)])
    done = solve_ivp(
        change, (when[0], when[-1]), begin, method="DOP853", t_eval=when, rtol=max(tolerance, 1e-13), atol=tolerance
    )
    if done.status != 0 or not np.isfinite(done.y).all():
        raise RunError(f"the replicator flow stopped at t = {done.t[-1] if done.t.size else when[0]:g}: {done.message}")
    by_time = [shares_of(state) for state in done.y.T]
    return Flow(when, tuple(np.stack(series) for series in zip(*by_time, strict=True)))


def _prepared(payoffs: Any, shares: Any) -> tuple[Callable[[Sequence[Floats]], list[Floats]], list[Floats]]:
    """Return the function from shares to fitnesses, both by population, and the checked shares."""
    if callable(payoffs):
        return _own_fitness(payoffs), [_distribution(shares, None, "the shares")]
    game = checked(payoffs)
    if game.single:
        return _mean_payoffs(game), [_distribution(shares, game.sizes[0], "the shares")]
    if not hasattr(shares, "__len__") or len(shares) != game.players:
        raise InputError(f"the game has {game.players} players: the shares are a list of one array for each")
    return _mean_payoffs(game), [
        _distribution(x, size, f"the shares of player {k}")
        for k, (x, size) in enumerate(zip(shares, game.sizes, strict=True))
    ]


def _own_fitness(fitness: Fitness) -> Callable[[Sequence[Floats]], list[Floats]]:
    def of(shares: Sequence[Floats]) -> list[Floats]:
        found = np.asarray(fitness(shares[0]), dtype=np.float64)
        if found.shape != shares[0].shape:
            raise InputError(f"the fitness function returned shape {found.shape} for shares of shape {shares[0].shape}")
        if not np.isfinite(found).all():
            raise InputError(f"the fitness function returned {found.tolist()} at shares {shares[0].tolist()}")
        return [found]

    return of


def _mean_payoffs(game: Game) -> Callable[[Sequence[Floats]], list[Floats]]:
    def of(shares: Sequence[Floats]) -> list[Floats]:
        if game.single:
            return [game.tables[0] @ shares[0]]
        found = []
        for k, table in enumerate(game.tables):
            mean = table
            for other in range(game.players - 1, -1, -1):
                if other != k:
                    mean = np.tensordot(mean, shares[other], axes=(other, 0))
            found.append(mean)
        return found

    return of


def _growth(shares: Floats, fitness: Floats, intensity: float | None) -> Floats:
    """Return d ln x / dt."""
    growth: Floats
    if intensity is None:
        growth = fitness - shares @ fitness
    else:
        growth = np.tanh(0.5 * intensity * (fitness[:, None] - fitness[None, :])) @ shares
    return growth


def _distribution(shares: Any, size: int | None, name: str) -> Floats:
    try:
        x = np.array(shares, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} are not real numbers") from None
    if x.ndim != 1 or x.size == 0 or (size is not None and x.size != size):
        raise InputError(f"{name} have shape {x.shape}, not ({'n' if size is None else size},)")
    if not (np.isfinite(x).all() and (x >= 0).all() and abs(float(x.sum()) - 1.0) <= SUM_WITHIN):
        raise InputError(f"{name} are {x.tolist()}: numbers >= 0 with sum 1 are needed")
    normalised: Floats = x / x.sum()
    return normalised


def _check_intensity(intensity: float | None) -> None:
    number = isinstance(intensity, int | float | np.number)
    if intensity is not None and not (number and intensity >= 0 and math.isfinite(intensity)):
        raise InputError(f"intensity = {intensity!r}: it must be a finite number >= 0, or None")
