"""Payoff tables: the one form in which every analysis of a game takes them.

A game is given as

- one square matrix M: the strategies of a single population, where M[r, s] is what r earns against s; or
- a list of K arrays of shape (S_1, ..., S_K), one for each player (or population of players): the k-th holds what
  player k earns in every profile. An array of shape (K, S_1, ..., S_K) says the same.

Profiles are numbered in row-major order, the last player's strategy changing first; those of a single population are
its strategies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simengine.errors import InputError

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]


class Deviations(NamedTuple):
    """The pairs of profiles that differ in one player's strategy, each once, ``source`` < ``target``."""

    source: Ids
    target: Ids
    player: Ids
    """Who deviates; 0 in a single population."""
    gain: Floats
    """What the deviating player earns in ``target`` less what it earns in ``source``; M[r, s] - M[s, r] in one
    population, with s the source. The way back gains the opposite."""


@dataclass(frozen=True)
class Game:
    """Checked payoff tables."""

    tables: tuple[Floats, ...]
    """One array per player, read-only, of shape ``sizes``; the square matrix alone for a single population."""
    sizes: tuple[int, ...]
    """The number of strategies of each player; (n,) for a single population of n strategies."""
    single: bool
    """Whether it is a single population playing a symmetric game."""

    @property
    def profiles(self) -> int:
        """The number of profiles."""
        return math.prod(self.sizes)

    @property
    def players(self) -> int:
        """The number of players (populations)."""
        return len(self.sizes)

    @property
    def scale(self) -> float:
        """The largest absolute payoff."""
        return max(float(np.abs(table).max()) for table in self.tables)

    def strategies(self, profile: int) -> tuple[int, ...]:
        """Return the players' strategies in a profile."""
        return tuple(int(index) for index in np.unravel_index(profile, self.sizes))

    def deviations(self) -> Deviations:
        """Return all pairs of profiles between which one player moves, by player and then by profile."""
        ids = np.arange(self.profiles, dtype=np.int64).reshape(self.sizes)
        parts = []
        for player, size in enumerate(self.sizes):
            first, second = np.triu_indices(size, 1)
            lines = np.moveaxis(ids, player, -1).reshape(-1, size)
            source, target = lines[:, first].ravel(), lines[:, second].ravel()
            if self.single:
                matrix = self.tables[0]
                gain = matrix[target, source] - matrix[source, target]
            else:
                table = self.tables[player].ravel()
                gain = table[target] - table[source]
            parts.append(Deviations(source, target, np.full(source.size, player, np.int64), gain))
        return Deviations(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def checked(payoffs: Any) -> Game:
    """Return payoff tables in the common form.

    Parameters
    ----------
    payoffs
        One square matrix, a list of K arrays of K dimensions each and of one shape, or a `Game`.

    Raises
    ------
    InputError
        If the tables hold no finite numbers everywhere, are empty, or have other shapes than these.
    """
    if isinstance(payoffs, Game):
        return payoffs
    if isinstance(payoffs, Sequence) and not isinstance(payoffs, str):
        tables = [_numbers(table, f"the payoff table of player {k}") for k, table in enumerate(payoffs)]
        if not tables:
            raise InputError("the list of payoff tables is empty: a square matrix, or one table per player")
        if any(table.ndim != 1 for table in tables) or len(tables) == 1:
            return _players(tables)
        payoffs = tables
        if len({table.size for table in tables}) > 1:
            raise InputError(f"the rows of the payoff matrix are {_listed(t.size for t in tables)} long, not all alike")
    whole = _numbers(payoffs, "the payoff matrix")
    if whole.ndim > 2:
        return _players(list(whole))
    if whole.ndim != 2 or whole.shape[0] != whole.shape[1]:
        raise InputError(
            f"the payoff matrix of a single population has shape {whole.shape}: it must be square;"
            " games of several players are lists of one table per player"
        )
    _filled(whole, "the payoff matrix")
    return Game((whole,), (whole.shape[0],), single=True)


def _players(tables: list[Floats]) -> Game:
    shape = tables[0].shape
    for k, table in enumerate(tables):
        if table.ndim != len(tables):
            raise InputError(
                f"the payoff table of player {k} has {table.ndim} dimension(s), not {len(tables)}, the number of"
                " tables; a single population is given by its square matrix, not in a list"
            )
        if table.shape != shape:
            raise InputError(f"the payoff table of player {k} has shape {table.shape}, that of player 0 has {shape}")
        _filled(table, f"the payoff table of player {k}")
    return Game(tuple(tables), shape, single=False)


def _numbers(table: Any, name: str) -> Floats:
    try:
        numbers = np.array(table, dtype=np.float64, order="C")
    except (TypeError, ValueError):
        raise InputError(f"{name} does not hold real numbers in rows of one length") from None
    numbers.flags.writeable = False
    return numbers


def _filled(table: Floats, name: str) -> None:
    if table.size == 0:
        raise InputError(f"{name} has shape {table.shape}: it is empty")
    wrong = np.argwhere(~np.isfinite(table))
    if wrong.size:
        place = tuple(int(index) for index in wrong[0])
        raise InputError(f"{name} holds {table[place]} at {list(place)}: payoffs are finite numbers")


def _listed(numbers: Any) -> str:
    return ", ".join(str(number) for number in numbers)
