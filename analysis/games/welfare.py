"""Choosing for several parties at once: products of payoffs, and what no other choice beats.

The welfare of a choice with payoffs u_1, ..., u_P is the weighted geometric mean W = prod_p u_p^(w_p), sum_p w_p = 1
(Cobb & Douglas; the Nash 1950 product for equal weights; sqrt(u_1 u_2) for a user and an assistant, Zhu et al. 2025).
Among positive payoffs the choice of greatest W is Pareto-efficient. Among others it need not be: two losses multiply to
a gain, -3 * -3 > 2 * 2. So payoffs are first moved up, each party's by one number, until all are positive.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.analysis.games.payoffs import Floats
from simengine.errors import InputError

MARGIN = 1.0


@dataclass(frozen=True)
class Choice:
    """The choice of greatest welfare."""

    index: tuple[int, ...]
    """Where it stands in the payoff tables."""
    payoffs: Floats
    """What each party gets, as given, shape (P,)."""
    welfare: Floats
    """The welfare of every choice after the shift, in the tables' shape; nan where one is not allowed."""
    shift: Floats
    """What was added to each party's payoffs, shape (P,)."""
    ties: list[tuple[int, ...]]
    """All choices of this welfare, the chosen first; of several the first in row-major order is chosen that no other
    choice dominates."""


def nash_product(
    payoffs: Any, *, weights: Any = None, shift: bool | float = True, allowed: Any = None, offsets: Any = None
) -> Choice:
    """Return the choice with the greatest product of payoffs.

    Parameters
    ----------
    payoffs
        One table per party, all of one shape: what the party gets from each choice (a profile of a game, or an act).
        An array of shape (P, ...) says the same.
    weights
        The parties' shares of the exponent, shape (P,), >= 0 with a sum above 0; even if none are given.
    shift
        True: a party whose lowest payoff is not positive has all of its payoffs raised so that this becomes 1; the
        others' stay. A number is the floor to raise to, in place of 1. False: nothing is moved, and payoffs that are
        not positive are refused. The shift is no neutral step: it settles what a party's zero is.
    allowed
        Which choices may be taken, a mask of the tables' shape; all if none is given. The shift knows all choices.
    offsets
        Added to the payoffs before everything else, such as what steers towards one act; broadcast against
        (P, ...).

    Raises
    ------
    InputError
        If tables, weights, mask or shift are none of these, or with ``shift=False`` a payoff is not positive.
    """
    given = _parties(payoffs)
    table = given
    if offsets is not None:
        try:
            table = given + np.broadcast_to(np.asarray(offsets, dtype=np.float64), given.shape)
        except (TypeError, ValueError):
            raise InputError(f"the offsets do not fit payoffs of shape {given.shape}") from None
        if not np.isfinite(table).all():
            raise InputError("the offsets hold numbers that are not finite")
    share = _weights(weights, table.shape[0])
    may = _mask(allowed, table.shape[1:])
    lowest = table.reshape(table.shape[0], -1).min(axis=1)
    if isinstance(shift, bool | np.bool_) and not shift:
        if lowest.min() <= 0:
            party = int(np.argmin(lowest))
            raise InputError(
                f"party {party} has a payoff of {lowest[party]:g}: a product needs positive payoffs, take shift=True"
            )
        moved = np.zeros(table.shape[0])
    else:
        floor = MARGIN if isinstance(shift, bool | np.bool_) else float(shift)
        if not (floor > 0 and math.isfinite(floor)):
            raise InputError(f"shift = {shift}: True, False, or the positive number that the lowest payoff becomes")
        moved = np.where(lowest > 0, 0.0, floor - lowest)
    along = (-1, *(1,) * (table.ndim - 1))
    logs = (share.reshape(along) * np.log(table + moved.reshape(along))).sum(axis=0)
    welfare = np.where(may, np.exp(logs), np.nan)
    best = np.flatnonzero(may.ravel() & (logs.ravel() >= logs[may].max() - 1e-12))
    columns = table.reshape(table.shape[0], -1)
    efficient = pareto_front(columns[:, may.ravel()])
    among = np.flatnonzero(may.ravel())[efficient]
    order = sorted(best.tolist(), key=lambda choice: (choice not in set(among.tolist()), choice))
    ties = [tuple(int(index) for index in np.unravel_index(choice, table.shape[1:])) for choice in order]
    return Choice(ties[0], given.reshape(len(given), -1)[:, order[0]].copy(), welfare, moved, ties)


def pareto_front(payoffs: Any) -> NDArray[np.bool_]:
    """Return which choices no other dominates: none gives all parties as much and one of them more.

    Parameters
    ----------
    payoffs
        One table per party, all of one shape.

    Returns
    -------
    A mask of the tables' shape. Equal choices are both on the front.
    """
    table = _parties(payoffs)
    choices = np.ascontiguousarray(table.reshape(table.shape[0], -1).T)
    front = np.ones(len(choices), np.bool_)
    for number, choice in enumerate(choices):
        front[number] = not np.any(np.all(choices >= choice, axis=1) & np.any(choices > choice, axis=1))
    return front.reshape(table.shape[1:])


def _parties(payoffs: Any) -> Floats:
    try:
        table = np.array(payoffs, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError("the parties' payoff tables are not real numbers in one shape for all") from None
    if table.ndim < 2 or table.size == 0:
        raise InputError(f"the payoffs have shape {table.shape}: one table per party is needed, with a choice or more")
    wrong = np.argwhere(~np.isfinite(table))
    if wrong.size:
        party, *place = (int(index) for index in wrong[0])
        raise InputError(f"the payoff of party {party} at {place} is {table[tuple(wrong[0])]:g}: it must be finite")
    return table


def _weights(weights: Any, parties: int) -> Floats:
    if weights is None:
        return np.full(parties, 1.0 / parties)
    share = np.asarray(weights, dtype=np.float64)
    if share.shape != (parties,) or not np.isfinite(share).all() or share.min() < 0 or share.sum() <= 0:
        raise InputError(f"weights = {share.tolist()}: {parties} numbers >= 0 with a sum above 0 are needed")
    normalised: Floats = share / share.sum()
    return normalised


def _mask(allowed: Any, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    if allowed is None:
        return np.ones(shape, np.bool_)
    mask = np.asarray(allowed)
    if mask.dtype != np.bool_ or mask.shape != shape:
        raise InputError(f"`allowed` is an array of {mask.dtype} of shape {mask.shape}: a mask of shape {shape} is due")
    if not mask.any():
        raise InputError("`allowed` leaves no choice")
    return mask
