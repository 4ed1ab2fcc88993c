"""Meta-games: payoff tables measured by runs of a simulation, with their errors, and how sure a ranking of them is.

The strategies of a meta-game are what a sweep varies, one parameter for each player; a payoff is what a run recorded,
averaged over the replicates (Wellman 2006, "Methods for empirical game-theoretic analysis").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from scipy.special import ndtri

from simengine.analysis.games.payoffs import Floats, Ids, checked
from simengine.errors import InputError, nearest
from simengine.scenario.parameters import shown

if TYPE_CHECKING:
    import xarray

Variable: TypeAlias = "str | xarray.DataArray"

REPLICATE, TIME = "replicate", "time"
NAMED = 3
"""How many missing runs an error lists."""


@dataclass(frozen=True, repr=False)
class MetaGame:
    """Payoff tables with their standard errors."""

    players: tuple[str, ...]
    """What the players are called; the two roles of a single population."""
    strategies: tuple[tuple[Any, ...], ...]
    """What each player's strategies are called."""
    runs: tuple[Floats, ...]
    """What each player earned in every run, of shape (S_1, ..., S_K, replicates); NaN where there is none. Of a single
    population the row strategy alone."""
    single: bool
    """Whether it is a single population playing a symmetric game."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of strategies of each player."""
        return tuple(map(len, self.strategies))

    @property
    def counts(self) -> Ids:
        """The number of runs of each profile, shape ``sizes``."""
        found: Ids = np.isfinite(self.runs[0]).sum(axis=-1).astype(np.int64)
        return found

    @property
    def means(self) -> list[Floats]:
        """The mean payoffs, an array of shape ``sizes`` for each player."""
        return [np.nanmean(table, axis=-1) for table in self.runs]

    @property
    def standard_errors(self) -> list[Floats]:
        """The standard errors of the means, NaN where there is one run only."""
        return [np.sqrt(self.covariances[..., player, player]) for player in range(len(self.runs))]

    @property
    def covariances(self) -> Floats:
        """The covariances of the players' mean payoffs at each profile, shape (*sizes, K, K); NaN for one run only."""
        table = np.stack(self.runs, axis=-1)
        away = np.nan_to_num(table - np.nanmean(table, axis=-2, keepdims=True))
        counts = self.counts[..., np.newaxis, np.newaxis].astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            found: Floats = np.einsum("...ri,...rj->...ij", away, away) / (counts - 1.0) / counts
        return found

    @property
    def payoffs(self) -> Floats | list[Floats]:
        """The mean payoffs as `alpha_rank` and the other analyses take them."""
        return self.means[0] if self.single else self.means

    @property
    def profiles(self) -> list[tuple[Any, ...]]:
        """The strategies of each profile by name, in row-major order; of a single population (strategy,)."""
        shape = self.sizes[:1] if self.single else self.sizes
        return [
            tuple(self.strategies[player][number] for player, number in enumerate(profile))
            for profile in np.ndindex(*shape)
        ]

    def unresolved(self, level: float = 0.95) -> Ids:
        """Return the pairs of profiles, shape (U, 2), of which it is not sure which one the deviating player prefers.

        The difference of two means of independent runs is taken as normal; it is not sure where 0 lies within its
        two-sided interval of probability ``level``. A pair without any noise is sure. Many pairs are looked at, each by
        itself: for all of them at once take a ``level`` of 1 - (1 - 0.95) / number of pairs.

        Raises
        ------
        InputError
            Where a profile has one run only.
        """
        if not 0.0 < level < 1.0:
            raise InputError(f"level: got {level}, allowed is a number above 0 and below 1")
        refuse_single_runs("unresolved", self)
        pairs = checked(self.payoffs).deviations()
        if self.single:
            variance = self.covariances[..., 0, 0]
            noise = variance[pairs.target, pairs.source] + variance[pairs.source, pairs.target]
        else:
            variances = np.diagonal(self.covariances, axis1=-2, axis2=-1).reshape(-1, len(self.players))
            noise = variances[pairs.source, pairs.player] + variances[pairs.target, pairs.player]
        unsure = np.abs(pairs.gain) < ndtri(0.5 + level / 2.0) * np.sqrt(noise)
        found: Ids = np.stack([pairs.source, pairs.target], axis=1)[unsure]
        return found

    def __repr__(self) -> str:
        sizes = " x ".join(f"{size} {name}" for name, size in zip(self.players, self.sizes, strict=True))
        kind = ", a single population" if self.single else ""
        counts = self.counts
        runs = str(counts.min()) if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"
        worst = max(float(np.max(errors)) for errors in self.standard_errors)
        error = "" if math.isnan(worst) else f", standard errors up to {worst:.3g}"
        return f"MetaGame: {sizes}{kind}; {runs} runs of each profile{error}"


def meta_game(
    dataset: xarray.Dataset,
    payoffs: Variable | Sequence[Variable],
    *,
    players: Sequence[str] | None = None,
    missing: str = "refuse",
) -> MetaGame:
    """Return the payoff tables that a sweep has measured.

    Parameters
    ----------
    dataset
        The result of a sweep over a full grid with one parameter for each player, or of `SimulatedGame.play`.
    payoffs
        What each player earns, in the order of ``players``: the name of a recorded variable, of which the last record
        of each run counts, or an array of one number for each run. One alone, not in a list, is what the first player's
        strategy earns against the second's in a single population; both then have the same strategies.
    players
        The parameters that are the players' strategies. By default all that are swept, in their order.
    missing
        Of runs that failed, are missing, or paid no finite number: ``"refuse"`` is an error that names them; ``"skip"``
        averages the others.

    Raises
    ------
    InputError
        For another Dataset, for variables that are not one number for each run, for missing runs, and in any case for
        a profile that has no run at all.
    """
    single = not isinstance(payoffs, Sequence) or isinstance(payoffs, str)
    given: list[Any] = [payoffs] if single else list(payoffs)
    if not given:
        raise InputError("meta_game: payoffs are missing: what does each player earn?")
    if missing not in ("refuse", "skip"):
        raise InputError(f"meta_game: missing: got {shown(missing)}, allowed are 'refuse' and 'skip'")
    arrays = [_last(dataset, one) for one in given]
    names = _players(arrays[0], players, 2 if single else len(given), single)
    tables = [_table(array, names) for array in arrays]
    strategies = tuple(_strategies(dataset, name, size) for name, size in zip(names, tables[0].shape, strict=False))
    for number, table in enumerate(tables):
        if table.shape != tables[0].shape:
            raise InputError(f"meta_game: payoffs {number} have shape {table.shape}, the first {tables[0].shape}")
    if single and strategies[0] != strategies[1]:
        raise InputError(
            f"meta_game: a single population has the same strategies in both places, {names[0]} has "
            f"{shown(strategies[0])} and {names[1]} {shown(strategies[1])}; give the payoffs of both players in a list"
        )
    found = MetaGame(names, strategies, tuple(_without(dataset, given, names, strategies, tables, missing)), single)
    none = np.argwhere(found.counts == 0)
    if none.size:
        where = _described(names, strategies, none[0])
        raise InputError(f"meta_game: {len(none)} of {found.counts.size} profiles have no run that paid, as {where}")
    return found


def refuse_single_runs(what: str, game: MetaGame) -> None:
    """Raise ``InputError`` where a profile has one run only, and nothing is known of its noise."""
    alone = np.argwhere(game.counts < 2)
    if alone.size:
        where = _described(game.players, game.strategies, alone[0])
        raise InputError(
            f"{what}: {len(alone)} of {game.counts.size} profiles have one run, at least two are needed, as {where}"
        )


def _last(dataset: xarray.Dataset, variable: Variable) -> xarray.DataArray:
    """Return the last record of each run."""
    if not isinstance(variable, str):
        if not hasattr(variable, "dims"):
            raise InputError(
                f"meta_game: got {shown(variable)}, payoffs are names of variables or arrays with dimensions"
            )
        return variable
    if variable not in dataset.data_vars:
        raise InputError(
            f"meta_game: there is no variable {variable!r}{nearest(variable, map(str, dataset.data_vars))}"
        )
    values = dataset[variable]
    if TIME not in values.dims:
        return values
    stopped_at = dataset["run_stopped_at" if "run_stopped_at" in dataset else "stopped_at"]
    return values.isel({TIME: (dataset["step"] >= stopped_at).argmax(TIME)})


def _players(array: xarray.DataArray, players: Sequence[str] | None, number: int, single: bool) -> tuple[str, ...]:
    swept = [str(name) for name in array.dims if name != REPLICATE]
    if "run" in swept:
        raise InputError("meta_game: the sweep is no full grid; sweep a list of strategies for each player")
    names = tuple(swept if players is None else players)
    for name in names:
        if name not in swept:
            raise InputError(f"meta_game: there is no dimension {name!r}{nearest(name, swept)}")
    if len(names) != number or len(set(names)) != number:
        asked = "a single population has two" if single else f"there are payoffs of {number}"
        raise InputError(f"meta_game: the players are {', '.join(names) or 'none'}, {asked}")
    rest = [name for name in swept if name not in names]
    if rest:
        raise InputError(f"meta_game: the payoffs have the dimension {rest[0]}, too: choose one of it by .sel")
    return names


def _table(array: xarray.DataArray, names: tuple[str, ...]) -> Floats:
    """Return payoffs of shape (S_1, ..., S_K, replicates)."""
    wanted = (*names, REPLICATE)
    if REPLICATE not in array.dims:
        array = array.expand_dims(REPLICATE)
    if set(array.dims) != set(wanted):
        raise InputError(f"meta_game: payoffs have the dimensions {', '.join(map(str, array.dims))}, not {wanted}")
    return np.array(array.transpose(*wanted).values, np.float64)


def _strategies(dataset: xarray.Dataset, name: str, size: int) -> tuple[Any, ...]:
    if name not in dataset.coords:
        return tuple(range(size))
    return tuple(dataset[name].values.tolist())


def _without(
    dataset: xarray.Dataset, given: list[Any], names: tuple[str, ...], strategies: tuple[tuple[Any, ...], ...],
    tables: list[Floats], missing: str,
) -> list[Floats]:  # fmt: skip
    """Return the tables with NaN for all players where one of them has no payoff; or refuse."""
    bad = ~np.isfinite(np.stack(tables)).all(axis=0)
    if bad.any() and missing == "refuse":
        places = np.argwhere(bad)
        listed = "; ".join(
            f"{_described(names, strategies, place)}, replicate {place[-1]}{_reason(dataset, names, place)}"
            for place in places[:NAMED]
        )
        more = f"; and {len(places) - NAMED} more" if len(places) > NAMED else ""
        what = " or ".join(
            one if isinstance(one, str) else str(getattr(one, "name", None) or "payoff") for one in given
        )
        raise InputError(
            f"meta_game: {len(places)} of {bad.size} runs have no {what}: {listed}{more}; missing='skip' averages the"
            " others"
        )
    return [np.where(bad, np.nan, table) for table in tables]


def _reason(dataset: xarray.Dataset, names: tuple[str, ...], place: Any) -> str:
    """Return why a run paid nothing, as the sweep says."""
    status = dataset.get("run_status" if "run_status" in dataset else "status")
    if status is None or set(status.dims) != {*names, REPLICATE}:
        return ""
    number = int(status.transpose(*names, REPLICATE).values[tuple(place)])
    words = str(status.attrs.get("flag_meanings", "")).split()
    return f" ({words[number]})" if 0 < number < len(words) else ""


def _described(names: Sequence[str], strategies: Sequence[Sequence[Any]], place: Any) -> str:
    return ", ".join(
        f"{name}={shown(strategies[player][place[player]])}" for player, name in enumerate(names)
    )  # fmt: skip
