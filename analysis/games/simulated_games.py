"""A scenario as a game: strategies are settings of its parameters or policies, payoffs what a run recorded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from simengine.analysis.games.sampling_rules import run_seeds
from simengine.errors import InputError, RunError, nearest
from simengine.runs.api import run
from simengine.runs.arguments import whole_number
from simengine.runs.registry import find
from simengine.scenario.parameters import shown
from simengine.sweeps.design import listed
from simengine.sweeps.runner import Runner

if TYPE_CHECKING:
    import xarray

    from simengine.scenario.scenario import Scenario

Payoff: TypeAlias = "str | Callable[[xarray.Dataset], float]"
Strategies: TypeAlias = Mapping[str, Mapping[str, Any]] | Sequence[Any]

POLICIES = "policies"
LONGEST = 2**62
"""A stride beyond the end of any run."""


class SimulatedGame:
    """A game whose interactions are runs of a scenario: what `response_graph_ucb` samples.

    ``game(profile, seed)`` runs the scenario with the strategies of a profile and returns every player's payoff;
    ``game.play(replicates)`` runs all profiles and returns a Dataset for `meta_game`. `simengine.run` with
    ``game.settings(profile)`` and the seed repeats an interaction.

    Parameters
    ----------
    scenario
        A scenario class, the name of an installed one, or the path of a Python file.
    players
        By name of each player, its strategies: a list of values of the parameter that has the player's name, or by
        name of each strategy its settings, parameters and perhaps ``"policies"`` as `simengine.run` takes them. No two
        players may set the same.
    payoffs
        What each player earns in a run, in the players' order: the name of an observable, whose last record counts, or
        a function of the run's Dataset.
    steps, start
        As in `simengine.run`.
    every
        Stride of the records in steps. By default only the first and the last step are recorded.
    **fixed
        Parameters that all runs share.

    Raises
    ------
    InputError
        When players, strategies or payoffs are none of these.
    """

    def __init__(
        self,
        scenario: type[Scenario] | str,
        players: Mapping[str, Strategies],
        payoffs: Sequence[Payoff],
        *,
        steps: int | None = None,
        every: int | None = None,
        start: Any = None,
        **fixed: Any,
    ) -> None:
        if not isinstance(players, Mapping) or not players:
            raise InputError(f"players: got {shown(players)}, allowed are the strategies of each player by its name")
        self.scenario, self.steps, self.start, self.fixed = scenario, steps, start, fixed
        self.every = every
        self._runners: dict[frozenset[str], Runner] = {}
        self._one_at_a_time = threading.Lock()
        find(scenario)
        self.players = tuple(players)
        self._settings = [_settings(name, strategies) for name, strategies in players.items()]
        self.strategies = tuple(tuple(settings) for settings in self._settings)
        self.sizes = tuple(map(len, self.strategies))
        self.payoffs = (payoffs,) if isinstance(payoffs, str) else tuple(payoffs)
        if len(self.payoffs) != len(self.players):
            raise InputError(f"payoffs: got {len(self.payoffs)}, there are {len(self.players)} players")
        self._refuse_twice()

    def __call__(self, profile: Sequence[int], seed: int) -> tuple[float, ...]:
        """Run the scenario once and return the payoff of each player.

        Parameters
        ----------
        profile
            The number of the strategy of each player.
        seed
            The seed of the run.

        Raises
        ------
        InputError
            When the scenario does not take the settings, or records no such payoff.
        RunError
            When the run stops for an error.
        """
        settings = self.settings(profile)
        if settings[POLICIES] is None and self.start is None and not any(map(callable, self.payoffs)):
            del settings[POLICIES]
            return self._quickly(settings, int(seed))
        with run(
            self.scenario, steps=self.steps, seed=int(seed), every=self.every or LONGEST, start=self.start,
            progress=False, policies=settings.pop(POLICIES), **settings,
        ) as recorded:  # fmt: skip
            return tuple(_paid(recorded, payoff) for payoff in self.payoffs)

    def settings(self, profile: Sequence[int]) -> dict[str, Any]:
        """Return the keywords of `simengine.run` at a profile, ``"policies"`` among them."""
        found: dict[str, Any] = dict(self.fixed)
        policies = dict(found.pop(POLICIES, None) or {})
        for settings, names, number in zip(self._settings, self.strategies, profile, strict=True):
            chosen = dict(settings[names[number]])
            policies |= chosen.pop(POLICIES, {})
            found |= chosen
        return {**found, POLICIES: policies or None}

    def play(self, replicates: int, *, seed: int = 0) -> xarray.Dataset:
        """Run every profile so many times, in this process.

        Where strategies are parameters, `simengine.sweep` does the same on many processors and keeps what is done.

        Parameters
        ----------
        replicates
            Runs of each profile.
        seed
            Gives the seeds of the runs, those that `response_graph_ucb` gives the first ones of each profile.

        Returns
        -------
        xarray.Dataset
            ``payoff_0``, ``payoff_1``, ... and ``seed``, with the players and ``replicate`` as dimensions.
        """
        import xarray as xr

        replicates, seed = whole_number("replicates", replicates, 1), whole_number("seed", seed, 0, 2**64 - 1)
        shape = (*self.sizes, replicates)
        paid = np.empty((len(self.players), *shape))
        seeds = np.empty(shape, np.uint64)
        for number, profile in enumerate(np.ndindex(*self.sizes)):
            for replicate, own in zip(range(replicates), run_seeds(seed, number), strict=False):
                seeds[(*profile, replicate)] = own
                paid[(slice(None), *profile, replicate)] = self(profile, own)
        dims = (*self.players, "replicate")
        variables = {f"payoff_{number}": (dims, table) for number, table in enumerate(paid)}
        coordinates = {name: list(names) for name, names in zip(self.players, self.strategies, strict=True)}
        return xr.Dataset({**variables, "seed": (dims, seeds)}, {**coordinates, "replicate": np.arange(replicates)})

    def __repr__(self) -> str:
        named = self.scenario if isinstance(self.scenario, str) else self.scenario.__name__
        sizes = " x ".join(f"{size} {name}" for name, size in zip(self.players, self.sizes, strict=True))
        return f"SimulatedGame({named}: {sizes})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_runners": {}, "_one_at_a_time": None}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        self.__dict__.update(kept)
        self._one_at_a_time = threading.Lock()

    def _quickly(self, settings: dict[str, Any], seed: int) -> tuple[float, ...]:
        """Run as a sweep does, which keeps what is compiled and nothing else: the bits are those of `simengine.run`."""
        point = {name: value for name, value in settings.items() if name not in self.fixed}
        names = frozenset(point)
        with self._one_at_a_time:
            if names not in self._runners:
                scenario = find(self.scenario)
                steps = scenario.default_steps if self.steps is None else self.steps
                self._runners[names] = Runner(scenario, self.fixed, steps=steps, every=self.every)
            outcome = self._runners[names].run(point, seed)
        failure = outcome.failure
        if failure is not None:
            if failure.kind == InputError.__name__:
                raise InputError(failure.message)
            raise RunError(f"{listed(point)}: {failure.kind}: {failure.message}")
        return tuple(_last(outcome.values, str(payoff)) for payoff in self.payoffs)

    def _refuse_twice(self) -> None:
        owner: dict[str, str] = dict.fromkeys(_keys(self.fixed), "all runs")
        for player, settings in zip(self.players, self._settings, strict=True):
            own = {key for chosen in settings.values() for key in _keys(chosen)}
            for key in sorted(own):
                if key in owner:
                    raise InputError(f"players: {key} is set by {owner[key]} and by {player}")
                owner[key] = player


def _settings(player: str, strategies: Strategies) -> dict[Any, Mapping[str, Any]]:
    allowed = "allowed are values of this parameter, or settings by name of the strategy"
    if isinstance(strategies, Mapping):
        found = dict(strategies)
        good = all(isinstance(settings, Mapping) for settings in found.values())
    else:
        good = not isinstance(strategies, str) and hasattr(strategies, "__iter__")
        values = list(strategies) if good else []
        found = {value: {player: value} for value in values}
        good = good and len(found) == len(values)
    if not good or not found:
        raise InputError(f"players: {player} has the strategies {shown(strategies)}, {allowed}")
    return found


def _keys(settings: Mapping[str, Any]) -> list[str]:
    """Return what a strategy sets: parameters, and decisions as population.decision."""
    return [name for key, value in settings.items() for name in (value if key == POLICIES else [key])]


def _paid(recorded: xarray.Dataset, payoff: Payoff) -> float:
    if callable(payoff):
        return float(payoff(recorded))
    return _last({str(name): values.values for name, values in recorded.data_vars.items()}, payoff)


def _last(series: Mapping[str, Any], payoff: str) -> float:
    """Return the last record of an observable that is one number."""
    if payoff not in series:
        raise InputError(f"payoffs: the scenario records no {payoff!r}{nearest(payoff, series)}")
    value = np.asarray(series[payoff][-1])
    if value.size != 1:
        raise InputError(f"payoffs: {payoff} has {value.size} values a run; a function of the Dataset may choose one")
    return float(value.reshape(()))
