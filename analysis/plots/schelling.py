"""Schelling's diagram: what cooperating and defecting pay, against how many of the others cooperate."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from simengine.analysis.contents import attributes_of, parameters_of
from simengine.analysis.plots.axes import PLAIN_UNITS
from simengine.analysis.plots.marks import Array, End, label_axis, legend_above, makes_room, name_lines, new_axes
from simengine.analysis.plots.style import colours, quiet
from simengine.errors import InputError, nearest

Payoff = Callable[[int], float]
FULL_MARKS = 31
"""Players up to whom each payoff is marked by a dot."""


@dataclass(frozen=True)
class Dilemma:
    """A game of many with two actions: payoffs by how many of the others cooperate, 0 to n - 1."""

    cooperators: Array
    defectors: Array

    @property
    def players(self) -> int:
        """Number of players n."""
        return len(self.cooperators)

    @property
    def mean(self) -> Array:
        """Mean payoff of all, where 0 to n of them cooperate."""
        n, number = self.players, np.arange(self.players + 1)
        cooperating = np.append(0.0, self.cooperators) * number
        defecting = np.append(self.defectors, 0.0) * (n - number)
        whole: Array = (cooperating + defecting) / n
        return whole

    def equilibria(self) -> list[int]:
        """Return the numbers of cooperators at which nobody gains by doing the other thing (pure Nash equilibria)."""
        gain = self.cooperators - self.defectors
        n = self.players
        return [m for m in range(n + 1) if (m == 0 or gain[m - 1] >= 0.0) and (m == n or gain[m] <= 0.0)]

    def tipping(self) -> list[float]:
        """Return the numbers of others from which on cooperating pays more, between whole numbers."""
        gain = self.cooperators - self.defectors
        decided = np.flatnonzero(gain)
        found = []
        for low, high in pairwise(decided.tolist()):
            if gain[low] < 0.0 < gain[high]:
                # Where neither pays more for several numbers, the middle of these.
                part = gain[low] / (gain[low] - gain[high]) if high == low + 1 else 0.5
                found.append(low + float(part) * (high - low))
        return found

    def best(self) -> int:
        """Return the number of cooperators at which the mean payoff is highest, the least such number."""
        mean = self.mean
        return int(np.flatnonzero(mean >= mean.max() - 1e-12 * max(1.0, float(np.abs(mean).max())))[0])


def schelling_diagram(
    cooperators_payoff: Payoff | Sequence[float] | Array | xr.DataArray | xr.Dataset | Mapping[str, Any],
    defectors_payoff: Payoff | Sequence[float] | Array | xr.DataArray | None = None,
    *,
    players: int | None = None,
    names: tuple[str, str] = ("cooperates", "defects"),
    unit: str = "1",
    ax: Axes | None = None,
) -> Axes:
    """Draw the payoff of who cooperates and of who defects against the number of others who cooperate.

    After Schelling (1973), "Hockey helmets, concealed weapons, and daylight saving", J. Conflict Resolut. 17, 381-428.
    Dots: equilibria, at which nobody gains by doing the other thing. A ring: a tipping point, beyond which cooperating
    pays. Dashed: the mean payoff of all, drawn where a player meets that many on average; a star: its maximum. The
    triangles at the foot point to where players move.

    Parameters
    ----------
    cooperators_payoff, defectors_payoff
        Functions of the number of others who cooperate, 0 to n - 1, or n payoffs each. Or, in the place of both, the
        parameters of a game, or a run of one: ``public_goods`` (r, c and n; fines at the centre), ``lab_commons``
        (cooperators put in their part of the group's best, defectors that of the equilibrium), ``graph_game`` and
        ``finite_population`` (payoffs against one partner, here summed up over all others, or ``mean_degree`` of them).
    players
        How many play, all of them; needed with functions.
    names
        What the two do, in words.
    unit
        Of payoffs.
    ax
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Raises
    ------
    InputError
        For payoffs of different numbers of players, and parameters of a game that is not known.
    """
    if defectors_payoff is None:
        game = _of_scenario(cooperators_payoff, players)
    else:
        game = Dilemma(_payoffs(cooperators_payoff, players), _payoffs(defectors_payoff, players))
    if game.cooperators.shape != game.defectors.shape or game.players < 2:
        raise InputError(
            f"schelling_diagram: got {game.cooperators.size} payoffs of cooperators and {game.defectors.size} of "
            "defectors, allowed are as many of both, one for each number of others, 2 at least"
        )
    ax = new_axes(ax)
    others = np.arange(game.players)
    blue, orange = colours()[0], colours()[1 % len(colours())]
    marker = "o" if game.players <= FULL_MARKS else None
    ax.plot(others, game.defectors, color=orange, marker=marker, markersize=3.5, label=names[1], zorder=3)
    ax.plot(others, game.cooperators, color=blue, marker=marker, markersize=3.5, label=names[0], zorder=3)
    number = np.arange(game.players + 1)
    # Of m who cooperate, a player drawn at random meets m (n - 1) / n among the others.
    met = number * (game.players - 1.0) / game.players
    ax.plot(met, game.mean, color=quiet(), linestyle="--", linewidth=1.3, label="mean of all", zorder=2)
    _air(ax, game)
    _mark(ax, game, met)
    _point(ax, game)
    label_axis(ax, "x", f"Number of the other {game.players - 1} who {_plural(names[0])}")
    label_axis(ax, "y", "Payoff" if unit in PLAIN_UNITS else f"Payoff ({unit})")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ends = [End(names[0], float(game.cooperators[-1]), blue), End(names[1], float(game.defectors[-1]), orange)]
    ends.append(End("mean of all", float(game.mean[-1]), quiet()))
    if makes_room(ax):
        marks = [one for one in ax.get_lines() if str(one.get_label()) in MARKS]
        name_lines(ax, ends)
        legend_above(ax, marks)
    else:
        legend_above(ax)
    return ax


MARKS = ("equilibrium", "tipping point", "best for all")


def _plural(verb: str) -> str:
    return verb[:-1] if verb.endswith("s") and not verb.endswith("ss") else verb


def _payoffs(given: Any, players: int | None) -> Array:
    if callable(given):
        if players is None or players < 2:
            raise InputError(f"schelling_diagram: players: got {players!r}, with functions it is needed, from 2 on")
        values = np.array([float(given(k)) for k in range(players)])
    else:
        try:
            values = np.asarray(given, np.float64).ravel()
        except (TypeError, ValueError):
            raise InputError(
                f"schelling_diagram: got {type(given).__name__}, allowed are functions, payoffs, or parameters"
            ) from None
    if players is not None and len(values) != players:
        raise InputError(f"schelling_diagram: got {len(values)} payoffs, but players={players}")
    if not np.isfinite(values).all():
        raise InputError("schelling_diagram: a payoff is not a finite number")
    return values


def _of_scenario(given: Any, players: int | None) -> Dilemma:
    """Return the game of a run, or of the parameters of one; the parameters tell which it is."""
    if isinstance(given, xr.Dataset):
        told, who = parameters_of(given), str(attributes_of(given).get("scenario", ""))
    elif isinstance(given, Mapping):
        told, who = dict(given), ""
    else:
        raise InputError("schelling_diagram: payoffs of defectors are missing; or give the parameters of a game")
    for needed, game in GAMES.items():
        if set(needed) <= set(told):
            return game(told, players)
    if who:
        raise InputError(f"schelling_diagram: payoffs of {who} are not known here; give two functions, or arrays")
    known = sorted({one for needed in GAMES for one in needed})
    odd = next((one for one in told if one not in known), "")
    raise InputError(
        f"schelling_diagram: no game has the parameters {', '.join(map(str, told)) or 'none'}{nearest(odd, known)}; "
        f"known are those of {'; '.join(' '.join(needed) for needed in GAMES)}"
    )


def _public_goods(told: Mapping[str, Any], players: int | None) -> Dilemma:
    n = players or int(told.get("n_fellows", 4)) + 1
    cost, share = float(told["cost"]), float(told["multiplier"]) * float(told["cost"]) / n
    others = np.arange(n, dtype=np.float64)
    fine = float(told.get("fine", 1.0)) * float(told.get("sanction_chance", 0.5))
    fined = fine if told.get("sanctions", "none") == "central" else 0.0
    return Dilemma(share * (others + 1) - cost, share * others - fined)


def _lab_commons(told: Mapping[str, Any], players: int | None) -> Dilemma:
    productivity, crowding, wage = (float(told[one]) for one in ("productivity", "crowding", "wage"))
    groups = float(told.get("n_groups", 0) or 0)
    n = players or (round(float(told["n_agents"]) / groups) if groups and "n_agents" in told else 8)
    endowment = float(told.get("endowment", math.inf))
    best = min((productivity - wage) / (2.0 * crowding * n), endowment)
    nash = min((productivity - wage) / (crowding * (n + 1)), endowment)
    others = np.arange(n)

    def earns(mine: float) -> Array:
        whole = mine + others * best + (n - 1 - others) * nash
        kept = endowment if math.isfinite(endowment) else 0.0
        earned: Array = wage * (kept - mine) + mine * (productivity - crowding * whole)
        return earned

    return Dilemma(earns(best), earns(nash))


def _pairs(cc: float, cd: float, dc: float, dd: float, n: int) -> Dilemma:
    others = np.arange(n, dtype=np.float64)
    return Dilemma(others * cc + (n - 1 - others) * cd, others * dc + (n - 1 - others) * dd)


def _graph_game(told: Mapping[str, Any], players: int | None) -> Dilemma:
    n = players or round(float(told.get("mean_degree", 4.0))) + 1
    names = ("payoff_cc", "payoff_cd", "payoff_dc", "payoff_dd")
    if all(told.get(one) is not None for one in names):
        cc, cd, dc, dd = (float(told[one]) for one in names)
        return _pairs(cc, cd, dc, dd, n)
    benefit, cost = float(told["benefit"]), float(told["cost"])
    return _pairs(benefit - cost, -cost, benefit, 0.0, n)


def _finite_population(told: Mapping[str, Any], players: int | None) -> Dilemma:
    n = players or max(round(float(told.get("n_agents", 20)) / float(told.get("n_demes", 1))), 2)
    aa, ab, ba, bb = (float(told[f"payoff_{one}"]) for one in ("aa", "ab", "ba", "bb"))
    return _pairs(aa, ab, ba, bb, n)


GAMES: dict[tuple[str, ...], Callable[[Mapping[str, Any], int | None], Dilemma]] = {
    ("multiplier", "cost"): _public_goods,
    ("productivity", "crowding", "wage"): _lab_commons,
    ("benefit", "cost"): _graph_game,
    ("payoff_aa", "payoff_ab", "payoff_ba", "payoff_bb"): _finite_population,
}
"""The games whose parameters are understood, by those that tell them."""


def _air(ax: Axes, game: Dilemma) -> None:
    n = game.players
    ax.set_xlim(-0.04 * (n - 1), 1.04 * (n - 1))
    low = min(game.cooperators.min(), game.defectors.min(), game.mean.min())
    high = max(game.cooperators.max(), game.defectors.max(), game.mean.max())
    span = high - low or 1.0
    # Room for the triangles below.
    ax.set_ylim(low - 0.13 * span, high + 0.07 * span)


def _mark(ax: Axes, game: Dilemma, met: Array) -> None:
    ink, ground = ax.xaxis.label.get_color(), ax.get_facecolor()
    n, others = game.players, np.arange(game.players)
    at = [
        (0.0, game.defectors[0]) if m == 0 else (n - 1.0, game.cooperators[-1]) if m == n else _crossing(game, m)
        for m in game.equilibria()
    ]
    if at:
        x, y = np.transpose(at)
        ax.plot(x, y, "o", color=ink, markersize=8, label=MARKS[0], zorder=5, clip_on=False)
    tipping = game.tipping()
    if tipping:
        height = np.interp(tipping, others, game.cooperators)
        ax.plot(
            tipping, height, "o", markerfacecolor=ground, markeredgecolor=ink, markeredgewidth=1.6, markersize=8,
            label=MARKS[1], zorder=5,
        )  # fmt: skip
    best = game.best()
    ax.plot(
        met[best], game.mean[best], "*", color=colours()[2 % len(colours())], markeredgecolor=ground,
        markeredgewidth=0.8, markersize=15, label=MARKS[2], zorder=6, clip_on=False,
    )  # fmt: skip


def _crossing(game: Dilemma, number: int) -> tuple[float, float]:
    """Return where the two payoffs cross between what cooperators and what defectors meet at an inner equilibrium."""
    gain = game.cooperators - game.defectors
    before, after = gain[number - 1], gain[number]
    part = 0.5 if before == after else before / (before - after)
    x = number - 1 + float(part)
    return x, float(np.interp(x, np.arange(game.players), game.cooperators))


def _point(ax: Axes, game: Dilemma) -> None:
    """Draw triangles along the foot: to the right where cooperating pays more, to the left where defecting does."""
    gain = game.cooperators - game.defectors
    shown = np.unique(np.linspace(0, game.players - 1, min(game.players, 13)).round().astype(int))
    low = ax.get_ylim()[0] + 0.045 * (ax.get_ylim()[1] - ax.get_ylim()[0])
    size = mpl.rcParams["lines.markersize"]
    for mask, shape, tint in ((gain > 0.0, ">", colours()[0]), (gain < 0.0, "<", colours()[1 % len(colours())])):
        at = shown[mask[shown]]
        if len(at):
            ax.plot(at, np.full(len(at), low), shape, color=tint, markersize=size, alpha=0.75, label="_moves", zorder=2)
