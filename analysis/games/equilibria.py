"""Nash equilibria of small games: profiles, pure or mixed, from which no player gains by moving alone."""

from __future__ import annotations

import importlib
import math
import warnings
from typing import Any

import numpy as np

from simengine.analysis.games.payoffs import Floats, checked
from simengine.analysis.games.response_graph import TOLERANCE
from simengine.errors import InputError

GAIN_WITHIN, SAME_WITHIN, ZERO = 1e-9, 1e-6, 1e-12


def pure_equilibria(payoffs: Any, *, tolerance: float = TOLERANCE) -> list[tuple[int, ...]]:
    """Return the pure Nash equilibria of a game of any number of players, in row-major order.

    Parameters
    ----------
    payoffs
        One table per player, or one square matrix M, whose symmetric equilibria are then found: the strategies s with
        M[s, s] >= M[r, s] for all r. See :mod:`~simengine.analysis.games.payoffs`.
    tolerance
        Gains up to this times the largest absolute payoff tempt nobody.

    Returns
    -------
    The players' strategies in each equilibrium; (s,) for a single population.
    """
    game = checked(payoffs)
    allowed = tolerance * game.scale
    if game.single:
        matrix = game.tables[0]
        return [(int(s),) for s in np.flatnonzero(np.diag(matrix) >= matrix.max(axis=0) - allowed)]
    stays = np.ones(game.sizes, np.bool_)
    for player, table in enumerate(game.tables):
        stays &= table >= table.max(axis=player, keepdims=True) - allowed
    return [tuple(int(index) for index in place) for place in np.argwhere(stays)]


def nash_equilibria(payoffs: Any) -> list[tuple[Floats, Floats]]:
    """Return Nash equilibria of a two-player game, mixed ones included: through nashpy, for up to about ten strategies.

    The vertices of the best-response polytopes: all equilibria of a non-degenerate game.

    Parameters
    ----------
    payoffs
        Two tables of shape (S_1, S_2), or one square matrix M, read as the symmetric game (M, M transposed), whose
        asymmetric equilibria are found as well.

    Returns
    -------
    Pairs of mixed strategies, each once; every one has been checked: no strategy gains more than 1e-9 of the largest
    payoff against it. Degenerate games (ties) may have whole faces of equilibria, of which some points are given.

    Raises
    ------
    InputError
        If there are not two players, payoffs are so alike that nashpy finds no polytopes, or it is not installed.
    """
    game = checked(payoffs)
    if not game.single and game.players != 2:
        raise InputError(f"mixed equilibria are found for two players, not {game.players}: take pure_equilibria")
    first = game.tables[0]
    second = first.T if game.single else game.tables[1]
    found: list[tuple[Floats, Floats]] = []
    # Equilibria do not depend on scale and origin of a player's payoffs; nashpy's tolerances do.
    first, second = _from_one_to_two(first), _from_one_to_two(second)
    for pair in [*_pure(first, second), *_candidates(first, second)]:
        x, y = (np.asarray(strategy, dtype=np.float64) for strategy in pair)
        if x.shape != first.shape[:1] or y.shape != first.shape[1:] or not _is_equilibrium(first, second, x, y):
            continue
        x, y = (np.where(strategy > ZERO, strategy, 0.0) for strategy in (x, y))
        x, y = x / x.sum(), y / y.sum()
        if not any(np.allclose(x, a, atol=SAME_WITHIN) and np.allclose(y, b, atol=SAME_WITHIN) for a, b in found):
            found.append((x, y))
    return found


def _from_one_to_two(table: Floats) -> Floats:
    span = float(np.ptp(table))
    return 1.0 + (table - table.min()) / span if span > 0.0 else np.ones_like(table)


def _pure(first: Floats, second: Floats) -> list[tuple[Floats, Floats]]:
    best = (first == first.max(axis=0)) & (second == second.max(axis=1, keepdims=True))
    return [(np.eye(first.shape[0])[row], np.eye(first.shape[1])[column]) for row, column in np.argwhere(best)]


def _candidates(first: Floats, second: Floats) -> list[Any]:
    game = _nashpy().Game(first, second)
    rows, columns = first.shape
    if min(rows, columns) == 1:
        # A polytope of one dimension is none for nashpy; a player without a choice leaves the other to pure ones.
        return [(np.eye(rows)[row], np.eye(columns)[column]) for row in range(rows) for column in range(columns)]
    with warnings.catch_warnings():
        # nashpy warns of an even number, as degenerate games have.
        warnings.simplefilter("ignore")
        try:
            return list(game.vertex_enumeration())
        except (TypeError, ValueError):
            raise InputError("the game is too degenerate for its mixed equilibria: take pure_equilibria") from None


def _is_equilibrium(first: Floats, second: Floats, x: Floats, y: Floats) -> bool:
    if not (np.isfinite(x).all() and np.isfinite(y).all() and min(x.min(), y.min()) > -GAIN_WITHIN):
        return False
    if not (math.isclose(x.sum(), 1.0, abs_tol=1e-9) and math.isclose(y.sum(), 1.0, abs_tol=1e-9)):
        return False
    within = GAIN_WITHIN * max(float(np.abs(first).max()), float(np.abs(second).max()))
    rows, columns = first @ y, x @ second
    return bool(rows.max() - x @ rows <= within and columns.max() - columns @ y <= within)


def _nashpy() -> Any:
    try:
        return importlib.import_module("nashpy")
    except ImportError:
        raise InputError("nashpy is not installed: pip install simengine[games]") from None
