"""A search for the point where a recorded variable is smallest or largest, through Optuna."""

from __future__ import annotations

import hashlib
import importlib
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from simengine.errors import InputError, RunError
from simengine.runs.arguments import whole_number
from simengine.scenario.parameters import shown
from simengine.sweeps.adaptive import Adaptive, Told
from simengine.sweeps.design import MOST_RUNS, joined, listed, plain
from simengine.sweeps.sampling import bounds_from

PATIENCE = 100
"""How often in a row the search may propose a known point before points are drawn evenly, and again before it ends."""


@dataclass(frozen=True)
class Range:
    """Numbers from low to high, both included; whole numbers only where ``whole``."""

    low: float
    high: float
    whole: bool = False


@dataclass(frozen=True)
class Choices:
    """One of several values."""

    values: tuple[Any, ...]


def optuna(
    space: Mapping[str, Sequence[Any]] | None = None,
    /,
    *,
    n_points: int,
    minimise: str | None = None,
    maximise: str | None = None,
    batch: int = 8,
    seed: int = 0,
    **more: Sequence[Any],
) -> Search:
    """Return the adaptive design that looks for the least or the largest value of a recorded variable.

    A tree-structured Parzen estimator (Bergstra et al. 2011, Adv. Neural Inf. Process. Syst. 24, 2546-2554) of Optuna
    is asked for each batch anew, after it was told all finished points in order. So the points are a function of the
    arguments and the outcomes, whatever was interrupted in between (with the same version of Optuna). A batch with a
    point that has failed in all its replicates goes on without it. No point is proposed twice; the search ends
    early when the space is used up.

    Parameters
    ----------
    space, **more
        By parameter, either the lowest and the highest value, ``noise=(0.0, 1.0)``, or values to choose from: texts,
        booleans, or other than two numbers.
    n_points
        Number of points in all.
    minimise, maximise
        Name of a recorded variable, one of the two: its value at the end of a run, in the mean over the replicates.
    batch
        Number of points that are proposed, and run, at once; the larger, the less each proposal knows.
    seed
        The first points, and all draws of the search, are a function of it.

    Raises
    ------
    InputError
        For anything wrong with the arguments, and when Optuna is not installed.
    """
    what = "optuna"
    given = joined(what, space, more)
    if not given:
        raise InputError(f"{what}: no parameter is given; give bounds, as in {what}(..., noise=(0.0, 1.0))")
    if (minimise is None) == (maximise is None):
        raise InputError(f"{what}: give the name of a recorded variable as either minimise= or maximise=")
    variable = maximise if minimise is None else minimise
    if not isinstance(variable, str):
        raise InputError(f"{what}: got {shown(variable)}, a variable is given by its name")
    _library()
    return Search(
        {name: _entry(f"{what}: {name}", entry) for name, entry in given.items()},
        variable,
        "minimize" if maximise is None else "maximize",
        whole_number(f"{what}: n_points", n_points, 1, MOST_RUNS),
        whole_number(f"{what}: batch", batch, 1, MOST_RUNS),
        whole_number(f"{what}: seed", seed, 0, 2**64 - 1),
    )


@dataclass(frozen=True)
class Search(Adaptive):
    """The adaptive design of `optuna`."""

    space: Mapping[str, Range | Choices]
    variable: str
    direction: str
    n_points: int
    batch: int
    seed: int

    @property
    def most_points(self) -> int:
        """The number of points asked for."""
        return self.n_points

    def of_types(self, whole: Sequence[str]) -> Search:
        """Return the search with the ranges of these parameters made of whole numbers."""
        space = {
            name: replace(entry, whole=True) if isinstance(entry, Range) and name in whole else entry
            for name, entry in self.space.items()
        }
        return replace(self, space=space)

    def propose(self, told: Sequence[Told], /) -> list[dict[str, Any]] | None:
        """Return the next batch, smaller where only few points are left; ``None`` at the end.

        Raises
        ------
        RunError
            For points that are not of the space, and when the variable is not recorded.
        """
        wanted = min(self.batch, self.n_points - len(told))
        if wanted <= 0:
            return None
        library = _library()
        with _quiet(library):
            study = library.create_study(direction=self.direction, sampler=self._sampler(library, len(told)))
            values = {_key(item.point): self._tell(library, study, item) for item in told}
            found = self._asked(study, values, wanted)
            if len(found) < wanted:
                study.sampler = library.samplers.RandomSampler(seed=self._batch_seed(len(told), "even"))
                found += self._asked(study, values | dict.fromkeys(map(_key, found)), wanted - len(found))
        return found or None

    def to_json(self) -> dict[str, Any]:
        """Return the arguments as JSON."""
        space = {
            name: {"choices": list(entry.values)}
            if isinstance(entry, Choices)
            else {"low": entry.low, "high": entry.high, "whole": entry.whole}
            for name, entry in self.space.items()
        }
        return {
            "kind": self.kind, "search": "optuna", "space": space, "variable": self.variable,
            "direction": self.direction, "n_points": self.n_points, "batch": self.batch, "seed": self.seed,
        }  # fmt: skip

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Search:
        """Return the search that was written; ``KeyError`` and the like when it was none."""
        space: dict[str, Range | Choices] = {
            name: Choices(tuple(entry["choices"]))
            if "choices" in entry
            else Range(entry["low"], entry["high"], bool(entry["whole"]))
            for name, entry in said["space"].items()
        }
        numbers = (int(said[key]) for key in ("n_points", "batch", "seed"))
        return cls(space, str(said["variable"]), str(said["direction"]), *numbers)

    def _asked(self, study: Any, values: Mapping[Any, float | None], wanted: int) -> list[dict[str, Any]]:
        """Return points that are not known yet, as many as wanted unless only known ones come."""
        library, known, patience = _library(), dict(values), PATIENCE
        found: list[dict[str, Any]] = []
        while len(found) < wanted and patience:
            trial = study.ask(self._distributions(library))
            point = {name: trial.params[name] for name in self.space}
            key = _key(point)
            if key not in known:
                known[key] = None
                found.append(point)
                patience = PATIENCE
                continue
            patience -= 1
            value = known[key]
            state = library.trial.TrialState
            if value is None:
                study.tell(trial, state=state.FAIL)
            else:
                study.tell(trial, value)
        return found

    def _tell(self, library: Any, study: Any, item: Told) -> float | None:
        """Add a finished point to the study, and return its value, ``None`` when it has none."""
        value = item.mean(self.variable)
        has_value = math.isfinite(value)
        state = library.trial.TrialState
        try:
            study.add_trial(
                library.trial.create_trial(
                    state=state.COMPLETE if has_value else state.FAIL,
                    value=value if has_value else None,
                    params=dict(item.point),
                    distributions=self._distributions(library),
                )
            )
        except ValueError:
            raise RunError(f"the point {listed(item.point)} is not of the space that is searched") from None
        return value if has_value else None

    def _sampler(self, library: Any, told: int) -> Any:
        return library.samplers.TPESampler(seed=self._batch_seed(told, "batch"), constant_liar=True)

    def _batch_seed(self, told: int, use: str) -> int:
        text = f"{self.seed} {told} {use}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")

    def _distributions(self, library: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, entry in self.space.items():
            if isinstance(entry, Choices):
                found[name] = library.distributions.CategoricalDistribution(entry.values)
            elif entry.whole:
                found[name] = library.distributions.IntDistribution(int(entry.low), int(entry.high))
            else:
                found[name] = library.distributions.FloatDistribution(float(entry.low), float(entry.high))
        return found


def _entry(what: str, given: Any) -> Range | Choices:
    if isinstance(given, str | bytes | Mapping | set | frozenset):
        raise InputError(f"{what}: got {shown(given)}, allowed are bounds (low, high) or a list of choices")
    try:
        values = tuple(plain(what, value) for value in given)
    except TypeError:
        raise InputError(f"{what}: got {shown(given)}, allowed are bounds (low, high) or a list of choices") from None
    if len(values) == 2 and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return Range(*bounds_from(what, values))
    if len(values) < 2:
        raise InputError(f"{what}: got {shown(given)}, there is nothing to choose")
    if len({_key({"": value}) for value in values}) < len(values):
        raise InputError(f"{what}: got {shown(given)}, a choice is given twice")
    return Choices(values)


def _key(point: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return a point such that equal ones, and no others, are equal: 1 is 1.0, but not true."""
    return tuple((name, isinstance(point[name], bool), point[name]) for name in sorted(point))


def _library() -> Any:
    try:
        return importlib.import_module("optuna")
    except ImportError:
        raise InputError("optuna is not installed: pip install simengine[adaptive]") from None


@contextmanager
def _quiet(library: Any) -> Iterator[None]:
    """Keep Optuna from announcing studies and settings that it calls experimental."""
    before = library.logging.get_verbosity()
    library.logging.set_verbosity(library.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", library.exceptions.ExperimentalWarning)
            yield
    finally:
        library.logging.set_verbosity(before)
