"""Alpha-rank: the long-run share of time that finite populations under rare mutation spend in each profile.

Each player stands for a population of m, all of one strategy but for a single mutant now and then, that takes over or
dies out before the next one comes (Omidshafiei et al. 2019, after Fudenberg & Imhof 2006). One of advantage u takes
over with probability rho(u) = (1 - e^-u) / (1 - e^-mu), 1/m for u = 0. So the profiles form a Markov chain with

    C[s, s'] = eta rho(alpha (M^k(s') - M^k(s)))     where s' differs from s in player k alone,

eta = 1 / sum_k (S_k - 1), and the answer is its stationary distribution. As alpha grows it comes to lie on the sink
components of the response graph; the chain of "infinite alpha" (Rowland et al. 2019) has C = eta (1 - epsilon) where
the deviation pays, eta epsilon where it costs and eta / 2 where it does neither.

The distribution is not that of a Nash equilibrium, and ranks profiles, not strategies: `marginals` sums it up.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from simengine.analysis.games import chains
from simengine.analysis.games.iteration import SWEEPS, iterated
from simengine.analysis.games.payoffs import Floats, Game, Ids, checked
from simengine.analysis.games.response_graph import TOLERANCE, graph_of
from simengine.errors import InputError, RunError, nearest

DIRECT_PROFILES, ELIMINATED_PROFILES = 1000, 5000
"""Up to so many profiles the chain is solved by elimination; up to so many, if iteration does not settle."""
SELECTIONS = ("local", "global")
SOLVERS = ("auto", "elimination", "iteration")
PAIRS_AT_ONCE = 1 << 16


def alpha_rank(
    payoffs: Any, *, alpha: float = 100.0, population: int = 50, selection: str = "local", epsilon: float = 0.01,
    solver: str = "auto",
) -> Floats:  # fmt: skip
    """Return the alpha-rank distribution of a game.

    Parameters
    ----------
    payoffs
        One square matrix (a single population; a state is a strategy), or one table per player (a state is a
        profile), see :mod:`~simengine.analysis.games.payoffs`.
    alpha
        The intensity of selection, in 1 / payoff; ``math.inf`` takes the response graph. At -ln(0.1) over the smallest
        gain of a deviation it is large.
    population
        The number m of individuals in each population, at least 2; of no account at infinite alpha.
    selection
        Of a single population. "local": mutant r against resident s has the advantage alpha (M[r, s] - M[s, r]);
        "global": all m - 1 others are met equally often, so that r and s meet their own kind as well. Several
        populations meet only each other: both are the same, and only "local" is taken.
    epsilon
        The noise of infinite alpha, above 0 and at most 1/2.
    solver
        "elimination": Grassmann, Taksar & Heyman, of order N^3 time and 16 N^2 bytes, never fails; "iteration": sweeps
        of Gauss & Seidel with exact weights of the response graph's sinks, of order N sum_k S_k a sweep, until all
        weights stand to 1e-13; "auto": the first up to 1,000 profiles, above that the second, and the first again if
        the second has not settled and there are no more than 5,000. Both work with numbers of any size and subtract
        none.

    Returns
    -------
    The shares of all profiles in row-major order, shape (N,), sum 1; those below 1e-308 are 0.

    Raises
    ------
    InputError
        If the payoffs or one of the settings are none of these.
    RunError
        If the iteration has not settled after 20,000 sweeps, as happens at large alpha under global selection.
    """
    game = checked(payoffs)
    _check(game, alpha, population, selection, epsilon)
    if solver not in SOLVERS:
        raise InputError(f"solver {solver!r} is not known: one of {', '.join(SOLVERS)}{nearest(solver, SOLVERS)}")
    if game.profiles == 1:
        return np.ones(1)
    source, target, rates = _moves(game, alpha, population, selection, epsilon)
    iterative = solver == "iteration" or (solver == "auto" and game.profiles > DIRECT_PROFILES)
    found = iterated(graph_of(game), source, target, rates) if iterative else None
    if found is not None:
        return found
    if solver == "iteration" or (iterative and game.profiles > ELIMINATED_PROFILES):
        raise RunError(f"alpha-rank has not settled after {SWEEPS} sweeps: take solver='elimination', or another alpha")
    return chains.normalised(*chains.eliminated(*chains.from_logs(_dense(game, source, target, rates))))


def transition_rates(
    payoffs: Any, *, alpha: float = 100.0, population: int = 50, selection: str = "local", epsilon: float = 0.01
) -> Floats:
    """Return the natural logarithms of the chain's transition probabilities, shape (N, N), from row to column.

    Profiles that differ in more than one player have -inf, and so has the diagonal, which is 1 less the rest of the
    row. Parameters as of `alpha_rank`.
    """
    game = checked(payoffs)
    _check(game, alpha, population, selection, epsilon)
    return _dense(game, *_moves(game, alpha, population, selection, epsilon))


def fixation_probability(advantage: Any, population: int) -> Floats:
    """Return rho(u) = (1 - e^-u) / (1 - e^-mu), the chance of one mutant to take over a population of m.

    Of use down to 1e-308; `transition_rates` has the logarithms.

    Parameters
    ----------
    advantage
        u, the mutant's payoff less the resident's, times the intensity of selection; of any shape.
    population
        m, at least 2.
    """
    _check_population(population)
    advantage = np.asarray(advantage, dtype=np.float64)
    if np.isnan(advantage).any():
        raise InputError("the advantage of a mutant is nan: it must be a number")
    probability: Floats = np.exp(_log_fixation(advantage, population))
    return probability


def marginals(distribution: Any, payoffs: Any) -> list[Floats]:
    """Return the share of each strategy of each player: a list of K arrays of length S_k.

    Parameters
    ----------
    distribution
        Shares of the profiles in row-major order, such as `alpha_rank` gives.
    payoffs
        The game's tables; only their shape counts.
    """
    sizes = checked(payoffs).sizes
    shares = np.asarray(distribution, dtype=np.float64)
    if shares.shape != (math.prod(sizes),):
        raise InputError(f"the distribution has shape {shares.shape}, the game {math.prod(sizes)} profiles")
    table = shares.reshape(sizes)
    return [table.sum(axis=tuple(other for other in range(len(sizes)) if other != k)) for k in range(len(sizes))]


def _check(game: Game, alpha: float, population: int, selection: str, epsilon: float) -> None:
    if not alpha >= 0.0:
        raise InputError(f"alpha = {alpha}: the intensity of selection is a number >= 0, or math.inf")
    _check_population(population)
    if selection not in SELECTIONS:
        allowed = ", ".join(SELECTIONS)
        raise InputError(f"selection {selection!r} is not known: one of {allowed}{nearest(str(selection), SELECTIONS)}")
    if selection == "global" and not game.single:
        raise InputError("selection = 'global' is for a single population: give one square matrix, or leave it 'local'")
    if selection == "global" and math.isinf(alpha):
        raise InputError("selection = 'global' needs a finite alpha: the response graph compares strategies pairwise")
    if not 0.0 < epsilon <= 0.5:
        raise InputError(f"epsilon = {epsilon}: it must be above 0 and at most 0.5")
    if math.isfinite(alpha) and not alpha * 2.0 * game.scale * population < 1e300:
        raise InputError(f"alpha = {alpha} times the payoffs is beyond what numbers hold: take math.inf")


def _check_population(population: int) -> None:
    if not isinstance(population, int | np.integer) or population < 2:
        raise InputError(f"population = {population}: the size of a population is an integer of at least 2")


def _log_fixation(advantage: Floats, population: int) -> Floats:
    """Return ln rho(u), exact to rounding for all u."""
    size = np.maximum(np.abs(advantage), 1e-300)
    rest = np.log(-np.expm1(-size)) - np.log(-np.expm1(-population * size))
    log: Floats = np.minimum(0.0, (population - 1) * advantage) + rest
    return log


def _log_fixation_among_all(matrix: Floats, mutant: Ids, resident: Ids, alpha: float, population: int) -> Floats:
    """Return ln rho of mutants under global selection, 1 / sum_l prod_(p <= l) exp(-alpha (f_mutant - f_resident)).

    With p mutants the advantage is linear in p, so that the product is the exponential of a quadratic in l.
    """
    own, met = matrix[mutant, mutant], matrix[mutant, resident]
    other, meets = matrix[resident, resident], matrix[resident, mutant]
    slope = (own - met + other - meets) / (population - 1)
    level = (population * met - own - (population - 1) * other) / (population - 1)
    steps = np.arange(population, dtype=np.float64)
    log: Floats = np.empty(mutant.size)
    for begin in range(0, mutant.size, PAIRS_AT_ONCE):
        some = slice(begin, begin + PAIRS_AT_ONCE)
        terms = -alpha * (np.outer(slope[some], steps * (steps + 1.0) / 2.0) + np.outer(level[some], steps))
        top = terms.max(axis=1)
        log[some] = -top - np.log(np.exp(terms - top[:, None]).sum(axis=1))
    return log


def _moves(game: Game, alpha: float, population: int, selection: str, epsilon: float) -> tuple[Ids, Ids, Floats]:
    """Return where each possible move leads from and to, and the logarithm of its probability."""
    lower, upper, _, gain = game.deviations()
    if math.isinf(alpha):
        tied = np.abs(gain) <= TOLERANCE * game.scale
        forth = np.where(tied, 0.5, np.where(gain > 0, 1.0 - epsilon, epsilon))
        logs = np.log(np.concatenate([forth, 1.0 - forth]))
        logs[gain.size :][~tied & (gain > 0)] = math.log(epsilon)
    elif selection == "global":
        matrix = game.tables[0]
        shares_a_sum = bool(np.ptp(matrix + matrix.T) <= TOLERANCE * game.scale)
        if shares_a_sum:
            # f_mutant - f_resident = m / (m - 1) (M[r, s] - sum / 2), whatever the number of mutants.
            logs = _both_ways(0.5 * alpha * population / (population - 1) * gain, population)
        else:
            there = _log_fixation_among_all(matrix, upper, lower, alpha, population)
            back = _log_fixation_among_all(matrix, lower, upper, alpha, population)
            logs = np.concatenate([there, back])
    else:
        logs = _both_ways(alpha * gain, population)
    mutants = sum(size - 1 for size in game.sizes)
    return np.concatenate([lower, upper]), np.concatenate([upper, lower]), logs - math.log(max(mutants, 1))


def _both_ways(advantage: Floats, population: int) -> Floats:
    return np.concatenate([_log_fixation(advantage, population), _log_fixation(-advantage, population)])


def _dense(game: Game, source: Ids, target: Ids, rates: Floats) -> Floats:
    matrix = np.full((game.profiles, game.profiles), -np.inf)
    matrix[source, target] = rates
    return matrix
