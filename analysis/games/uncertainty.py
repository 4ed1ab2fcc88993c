"""How far the noise of the runs reaches into a ranking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from simengine.analysis.games.alpha_rank import alpha_rank
from simengine.analysis.games.confidence import checked_chance
from simengine.analysis.games.meta_games import MetaGame, refuse_single_runs
from simengine.analysis.games.payoffs import Floats
from simengine.errors import InputError, nearest
from simengine.random.streams import Draws
from simengine.runs.arguments import whole_number
from simengine.scenario.parameters import shown

RESAMPLINGS = ("normal", "bootstrap")
POPULATION = "meta_game"
SAME = 1e-9
"""Shares count as equal up to this, relatively."""
MOST_LINES = 12

Resampled = Callable[[int], list[Floats]]


@dataclass(frozen=True, repr=False)
class RankingUncertainty:
    """The distribution of alpha-rank under the noise of the runs; profiles are in row-major order."""

    profiles: list[tuple[Any, ...]]
    """The strategies of each profile by name."""
    estimate: Floats
    """The shares that follow from the mean payoffs, shape (N,)."""
    mean: Floats
    """The mean share over all draws, shape (N,)."""
    low: Floats
    """The lower end of the interval in which a share lies with probability ``level``, shape (N,)."""
    high: Floats
    """Its upper end."""
    rank_probability: Floats
    """How probable it is that a profile has a rank, shape (N, N): a row for each profile, rank 0 first. Profiles of
    equal shares share the better rank."""
    draws: int
    """How many tables were drawn."""
    level: float
    """The probability of the interval."""

    @property
    def first_probability(self) -> Floats:
        """How probable it is that a profile has the largest share, or one of several that are equal; shape (N,)."""
        found: Floats = self.rank_probability[:, 0]
        return found

    def __repr__(self) -> str:
        order = np.argsort(-self.estimate, kind="stable")
        names = [", ".join(map(str, self.profiles[number])) for number in order[:MOST_LINES]]
        widest = max(map(len, names))
        lines = [
            f"{name:<{widest}}  {self.estimate[n]:8.4f}  [{self.low[n]:.4f}, {self.high[n]:.4f}]"
            f"  first with probability {self.first_probability[n]:.3f}"
            for name, n in zip(names, order, strict=False)
        ]
        more = [f"... and {len(order) - MOST_LINES} more profiles"] if len(order) > MOST_LINES else []
        head = f"RankingUncertainty: {len(order)} profiles, {self.draws} draws, {100 * self.level:g} % intervals"
        return "\n".join([head, *lines, *more])


def ranking_uncertainty(
    game: MetaGame,
    *,
    alpha: float = 100.0,
    population: int = 50,
    selection: str = "local",
    epsilon: float = 0.01,
    draws: int = 1000,
    resample: str = "normal",
    level: float = 0.95,
    seed: int = 0,
) -> RankingUncertainty:
    """Return how alpha-rank would vary if the runs were done again.

    Payoff tables are drawn about the measured ones and ranked. For infinite alpha and few edges that are not sure,
    ``ranking_bounds(response_graph(game.payoffs), game.unresolved())`` gives all that is possible, without
    probabilities.

    Parameters
    ----------
    game
        Payoff tables with at least two runs of each profile.
    alpha, population, selection, epsilon
        As in `alpha_rank`.
    draws
        How many tables are drawn.
    resample
        ``"normal"``: mean payoffs are normal about those measured, with the covariances of the players' means at each
        profile. ``"bootstrap"``: as many of a profile's runs as there are, drawn with replacement, all players'
        payoffs of a run together; with n runs its spread is too small by sqrt(1 - 1 / n).
    level
        The probability of the intervals, each of one profile's share.
    seed
        Decides the draws, with their number and the profile.

    Raises
    ------
    InputError
        For a profile with one run only, and for settings that are none of these.
    """
    draws, seed = whole_number("draws", draws, 1), whole_number("seed", seed, 0, 2**64 - 1)
    checked_chance("level", level)
    if resample not in RESAMPLINGS:
        hint = nearest(str(resample), RESAMPLINGS)
        raise InputError(f"resample: got {shown(resample)}, allowed are {', '.join(RESAMPLINGS)}{hint}")
    refuse_single_runs("ranking_uncertainty", game)

    def ranked(tables: list[Floats]) -> Floats:
        payoffs = tables[0] if game.single else tables
        return alpha_rank(payoffs, alpha=alpha, population=population, selection=selection, epsilon=epsilon)

    estimate = ranked(game.means)
    drawn = _normal(game, seed) if resample == "normal" else _bootstrapped(game, seed)
    shares = np.stack([ranked(drawn(number)) for number in range(draws)])
    low, high = np.quantile(shares, [0.5 - level / 2.0, 0.5 + level / 2.0], axis=0)
    return RankingUncertainty(
        game.profiles, estimate, shares.mean(axis=0), low, high, _rank_probability(shares), draws, float(level)
    )


def _normal(game: MetaGame, seed: int) -> Resampled:
    """Return a function that draws the means anew, number by number."""
    number_of = len(game.runs)
    variances, axes = np.linalg.eigh(game.covariances.reshape(-1, number_of, number_of))
    spread = axes * np.sqrt(np.maximum(variances, 0.0))[:, np.newaxis, :]
    means, ids = game.means, np.arange(len(spread))

    def drawn(number: int) -> list[Floats]:
        noise = Draws(seed, POPULATION, "normal", ids, step=number).normal("payoff", components=number_of)
        moved = np.einsum("pij,pj->pi", spread, noise)
        return [mean + moved[:, player].reshape(mean.shape) for player, mean in enumerate(means)]

    return drawn


def _bootstrapped(game: MetaGame, seed: int) -> Resampled:
    """Return a function that draws runs of each profile anew, number by number."""
    shape = game.counts.shape
    counts = game.counts.reshape(-1, 1)
    most = game.runs[0].shape[-1]
    there = np.isfinite(game.runs[0]).reshape(-1, most)
    # Runs that are there come first, in their order.
    order = np.argsort(~there, axis=1, kind="stable")
    runs = [np.nan_to_num(np.take_along_axis(table.reshape(-1, most), order, axis=1)) for table in game.runs]
    used = np.arange(most) < counts
    ids = np.arange(len(counts))

    def drawn(number: int) -> list[Floats]:
        unit = Draws(seed, POPULATION, "bootstrap", ids, step=number).uniform("run", components=most)
        chosen = np.minimum((unit * counts).astype(np.int64), counts - 1)
        return [
            (np.where(used, np.take_along_axis(table, chosen, axis=1), 0.0).sum(axis=1) / counts[:, 0]).reshape(shape)
            for table in runs
        ]

    return drawn


def _rank_probability(shares: Floats) -> Floats:
    """Return how often each profile has each rank, shares of shape (draws, N)."""
    draws, profiles = shares.shape
    found = np.zeros((profiles, profiles))
    ids = np.arange(profiles)
    for row in shares:
        larger = np.sort(row)[::-1]
        ranks = np.searchsorted(-larger, -row * (1.0 + SAME), side="left")
        np.add.at(found, (ids, ranks), 1.0)
    probability: Floats = found / draws
    return probability
