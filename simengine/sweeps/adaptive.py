"""Adaptive designs: the next points follow from the outcomes of those that are finished."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simengine.errors import InputError, RunError, StoreError, nearest
from simengine.runs.recipe import describe_function, recall_function
from simengine.scenario.parameters import shown

Point = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """A finished point and what came out of it.

    Parameters
    ----------
    point
        The values of the swept parameters.
    outcomes
        Of each replicate, the final value of every recorded variable; ``None`` for a replicate that failed.
    """

    point: Mapping[str, Any]
    outcomes: Sequence[Mapping[str, Any] | None]

    def mean(self, variable: str) -> float:
        """Return the mean of a variable over the replicates, NaN when all failed or one has no number.

        Raises
        ------
        RunError
            When there is no such variable, or its values are no single numbers.
        """
        values = []
        for outcome in self.outcomes:
            if outcome is None:
                continue
            if variable not in outcome:
                hint = nearest(variable, outcome) or f"; recorded: {', '.join(outcome)}"
                raise RunError(f"the sweep records no variable {variable!r}{hint}")
            if np.size(outcome[variable]) != 1:
                raise RunError(f"{variable} has {np.size(outcome[variable])} values a run, a search needs one number")
            values.append(float(np.asarray(outcome[variable]).reshape(())))
        return math.fsum(values) / len(values) if values else math.nan


class Adaptive:
    """A design that proposes its next points; subclass it, or give a sweep any callable in its place.

    ``propose`` must be a function of what it is told alone: after an interruption a new object is told all that is
    finished, in the order in which it was proposed, and goes on.
    """

    kind = "adaptive"

    def propose(self, told: Sequence[Told], /) -> Sequence[Mapping[str, Any]] | None:
        """Return the next points, each with the same parameters; ``None`` or an empty list ends the sweep.

        Parameters
        ----------
        told
            All finished points with their outcomes, in the order in which they were proposed; at first none.
        """
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """Return what a sweep's folder keeps of the design."""
        return {"kind": self.kind, "search": "own", "function": describe_function(type(self))}

    @property
    def most_points(self) -> int | None:
        """The most points that it will propose, where it knows."""
        return None


class ByFunction(Adaptive):
    """The adaptive design of a function ``propose(told)``."""

    def __init__(self, function: Callable[[Sequence[Told]], Sequence[Mapping[str, Any]] | None]) -> None:
        self.function = function

    def propose(self, told: Sequence[Told], /) -> Sequence[Mapping[str, Any]] | None:
        """Call the function."""
        return self.function(told)

    def to_json(self) -> dict[str, Any]:
        """Return the function's name and text, where it can stand alone."""
        return {"kind": self.kind, "search": "function", "function": describe_function(self.function)}


def adaptive_from_json(said: Mapping[str, Any], where: str = "the sweep") -> Adaptive:
    """Return the adaptive design that a sweep's folder keeps.

    Raises
    ------
    InputError
        When it is the user's own and not to be had any more.
    StoreError
        When it is no such design.
    """
    from simengine.sweeps.search import Search

    try:
        search = said["search"]
        if search == "optuna":
            return Search.from_json(said)
        found = recall_function(said["function"], where, "give it again: design=")
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(f"{where} does not say how its points are found: {shown(error)}") from None
    if search == "function":
        return ByFunction(found)
    if search == "own" and isinstance(found, type) and issubclass(found, Adaptive):
        try:
            return found()
        except TypeError:
            raise InputError(
                f"{where}: {found.__name__} takes arguments, which are not kept; give it again: design="
            ) from None
    raise StoreError(f"{where} does not say how its points are found: {shown(search)}")
