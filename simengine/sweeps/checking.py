"""Every point of a sweep is checked before anything starts: by the parameters' types and by the scenario itself."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence, Sized
from typing import Any, overload

import numpy as np

from simengine.errors import InputError, RunError, nearest
from simengine.runs.arguments import whole_number
from simengine.scenario.parameters import Parameter, ParameterSet, shown
from simengine.scenario.scenario import Scenario
from simengine.sweeps.adaptive import Adaptive, ByFunction, Told
from simengine.sweeps.combining import Combined
from simengine.sweeps.design import MOST_RUNS, Design, full_grid, levels_of, listed
from simengine.sweeps.grids import check_swept, grid, points
from simengine.sweeps.sampling import whole_values
from simengine.sweeps.search import Choices, Search

EXACT_INTS = 2**53
REPEATING = ("morris", "saltelli")
"""Kinds of designs that visit points more than once."""

UNCERTAIN, NULL = ("standard_error",), ("null_mean", "null_sd")


def design_of(given: Any) -> Design | Adaptive:
    """Return the design that a user's words stand for: a dict of lists, a list of dicts, a design or a callable.

    Raises
    ------
    InputError
        For anything else.
    """
    if isinstance(given, Design | Adaptive):
        return given
    if isinstance(given, Mapping):
        return grid(given)
    if isinstance(given, Sequence) and not isinstance(given, str | bytes):
        return points(given)
    if callable(given) and not isinstance(given, type):
        return ByFunction(given)
    raise InputError(
        f"design: got {shown(given)}, allowed is a dict of lists of values, a list of dicts, one of "
        "simengine.designs, or a callable that proposes points"
    )


@overload
def checked(design: Design, scenario: type[Scenario], fixed: Mapping[str, Any], replicates: int = 1) -> Design: ...
@overload
def checked(
    design: Adaptive, scenario: type[Scenario], fixed: Mapping[str, Any], replicates: int = 1
) -> CheckedAdaptive: ...


def checked(
    design: Design | Adaptive, scenario: type[Scenario], fixed: Mapping[str, Any], replicates: int = 1
) -> Design | Adaptive:
    """Return the design with its values in the parameters' types, once every point is known to be allowed.

    Whole-number parameters of sampled designs become whole numbers; points that a Morris or Saltelli sample visits more
    than once are kept once, and ``details["rows"]`` says which row is which point. An adaptive design comes back as one
    whose proposals are checked in the same way. Checking a design that is checked changes nothing.

    Raises
    ------
    InputError
        For an unknown parameter, one that is both swept and fixed, a value that is not allowed at some point, points
        that are given twice, combinations that the scenario refuses, and too many runs.
    """
    replicates = whole_number("replicates", replicates, 1)
    declared = scenario.declaration.parameters
    declared.validate(fixed)
    if isinstance(design, CheckedAdaptive):
        return design
    if isinstance(design, Adaptive):
        searched = _checked_search(design, scenario, fixed) if isinstance(design, Search) else design
        _refuse_runs(design.most_points or 1, replicates)
        return CheckedAdaptive(searched, scenario, fixed, replicates)
    _check_names(design.names, declared, fixed)
    if not len(design):
        raise InputError("the design has no points")
    _refuse_runs(len(design), replicates)
    if design.shape is not None:
        found = _checked_grid(design, declared)
    else:
        found = _different(_with_whole_numbers(design, declared), declared)
    Combined(scenario, fixed).check(found)
    return found


class CheckedAdaptive(Adaptive):
    """An adaptive design whose proposals are checked, and come back in the parameters' types."""

    def __init__(self, design: Adaptive, scenario: type[Scenario], fixed: Mapping[str, Any], replicates: int) -> None:
        self.design, self.scenario, self.fixed, self.replicates = design, scenario, dict(fixed), replicates

    def propose(self, told: Sequence[Told], /) -> list[dict[str, Any]] | None:
        """Return the next points; ``None`` at the end.

        Raises
        ------
        InputError, RunError
            For points that are not allowed, that were proposed before, or that sweep other parameters: the first at
            the beginning, the second when runs have been done.
        """
        proposed = self.design.propose(told)
        if proposed is None or (isinstance(proposed, Sized) and not len(proposed)):
            return None
        try:
            found = checked(points(proposed), self.scenario, self.fixed, self.replicates)
            _refuse_runs(len(told) + len(found), self.replicates)
            if told and set(found.names) != set(told[0].point):
                raise InputError(f"points of {', '.join(found.names)} after points of {', '.join(told[0].point)}")
            known = {tuple(item.point[name] for name in found.names) for item in told}
            for number, row in enumerate(zip(*found.columns.values(), strict=True)):
                if row in known:
                    raise InputError(f"{found.described(number)} was proposed before")
        except InputError as error:
            raise (RunError if told else InputError)(f"the adaptive design: {error}") from None
        return [found.point(number) for number in range(len(found))]

    def to_json(self) -> dict[str, Any]:
        """Return what the design itself says."""
        return self.design.to_json()

    @property
    def most_points(self) -> int | None:
        """The most points that the design will propose, where it knows."""
        return self.design.most_points


# -- names and numbers -----------------------------------------------------------------------------------------------


def _check_names(names: Sequence[str], declared: ParameterSet, fixed: Mapping[str, Any]) -> None:
    check_swept(names, declared)
    for name in names:
        if name in fixed:
            raise InputError(f"{name} is both swept and fixed ({listed({name: fixed[name]})}); leave one of them out")


def _refuse_runs(points: int, replicates: int) -> None:
    if points * replicates > MOST_RUNS:
        raise InputError(
            f"{points:,} points with {replicates:,} replicates each are {points * replicates:,} runs; "
            f"at most {MOST_RUNS:,} are allowed in one sweep"
        )


# -- values ----------------------------------------------------------------------------------------------------------


def _checked_grid(design: Design, declared: ParameterSet) -> Design:
    levels = {}
    for name, values in levels_of(design).items():
        found = _typed(values, declared.parameters[name], declared)
        first: dict[Any, int] = {}
        for place, value in enumerate(found):
            if first.setdefault(value, place) != place:
                raise InputError(f"grid: {name}: {shown(value)} is given twice")
        levels[name] = found
    return full_grid(levels, design.details)


def _with_whole_numbers(design: Design, declared: ParameterSet) -> Design:
    """Return a sampled design with whole numbers where the parameters are, its bounds checked; others as they are."""
    bounds = design.details.get("bounds")
    if bounds is None or "whole" in design.details:
        return design
    whole, columns = [], dict(design.columns)
    for name, (low, high) in bounds.items():
        parameter = declared.parameters[name]
        what = f"{design.kind}: {name}"
        check_range(what, parameter, low, high)
        if parameter.base_type is int:
            whole.append(name)
            columns[name] = whole_values(columns[name], int(low), int(high))
    return Design(design.kind, design.names, columns, None, {**design.details, "whole": whole})


def check_range(what: str, parameter: Parameter, low: float, high: float) -> None:
    """Raise ``InputError`` when values between bounds cannot be drawn for a parameter."""
    if parameter.options is not None or parameter.base_type not in (int, float):
        raise InputError(
            f"{what} is {parameter.allowed}: only numbers are drawn between bounds; take a grid, or list the choices"
        )
    if parameter.base_type is int and not (float(low).is_integer() and float(high).is_integer()):
        raise InputError(f"{what} is a whole number: its bounds ({low}, {high}) must be, too")
    least = max((bound for bound in (parameter.low, parameter.above) if bound is not None), default=-math.inf)
    most = min((bound for bound in (parameter.high, parameter.below) if bound is not None), default=math.inf)
    if low < least or high > most:
        raise InputError(f"{what}: the bounds ({low}, {high}) reach further than what is allowed, {parameter.allowed}")


def _different(design: Design, declared: ParameterSet) -> Design:
    """Return the design in the parameters' types; points that come twice are refused, or kept once in some samples."""
    columns = {}
    for name in design.names:
        try:
            columns[name] = _typed(design.columns[name], declared.parameters[name], declared)
        except NotAllowedError as error:
            raise InputError(f"point {error.place}: {error}") from None
    place: dict[tuple[Any, ...], int] = {}
    rows = [place.setdefault(row, len(place)) for row in zip(*columns.values(), strict=True)]
    details = dict(design.details)
    if len(place) < len(rows):
        if design.kind not in REPEATING:
            again = next(number for number, point in enumerate(rows) if point != number)
            text = listed({name: columns[name][again] for name in design.names})
            why = " once they are whole numbers: ask for fewer" if details.get("whole") else ""
            raise InputError(f"{design.kind}: points {rows[again]} and {again} are the same ({text}){why}")
        details["rows"] = rows
        columns = dict(zip(design.names, zip(*place, strict=True), strict=True))
    return Design(design.kind, design.names, columns, None, details)


class NotAllowedError(InputError):
    """A value of a column is not allowed; ``place`` says where it stands."""

    def __init__(self, message: str, place: int) -> None:
        super().__init__(message)
        self.place = place


def _typed(values: Sequence[Any], parameter: Parameter, declared: ParameterSet) -> tuple[Any, ...]:
    """Return values in a parameter's type; `NotAllowedError` for the first that is not allowed."""
    quickly = _typed_numbers(values, parameter)
    if quickly is not None:
        return quickly
    found: dict[tuple[type, Any], Any] = {}
    for place, value in enumerate(values):
        key = (type(value), value)
        if key not in found:
            try:
                typed = declared.validate({parameter.name: value})[parameter.name]
            except InputError as error:
                raise NotAllowedError(str(error), place) from None
            # The two zeros are the same point.
            found[key] = typed + 0.0 if isinstance(typed, float) else typed
    return tuple(found[type(value), value] for value in values)


def _typed_numbers(values: Sequence[Any], parameter: Parameter) -> tuple[Any, ...] | None:
    """Return numbers in a parameter's type, all at once; ``None`` where one may not be allowed, or is no number."""
    if (
        parameter.options is not None
        or parameter.base_type not in (int, float)
        or not {*map(type, values)} <= {int, float}
    ):
        return None
    try:
        numbers = np.array(values, np.float64)
    except OverflowError:
        return None
    if not bool((np.abs(numbers) < EXACT_INTS).all()):
        return None
    limits = ((np.greater_equal, parameter.low), (np.less_equal, parameter.high),
              (np.greater, parameter.above), (np.less, parameter.below))  # fmt: skip
    if not all(bool(within(numbers, limit).all()) for within, limit in limits if limit is not None):
        return None
    if parameter.base_type is float:
        return tuple((numbers + 0.0).tolist())
    return tuple(numbers.astype(np.int64).tolist()) if bool((numbers == np.floor(numbers)).all()) else None


# -- searches --------------------------------------------------------------------------------------------------------


def _checked_search(search: Search, scenario: type[Scenario], fixed: Mapping[str, Any]) -> Search:
    declared = scenario.declaration.parameters
    _check_names(tuple(search.space), declared, fixed)
    recorded = dict(_recorded(scenario))
    if search.variable not in recorded:
        hint = nearest(search.variable, recorded) or f"; recorded: {', '.join(recorded) or 'nothing'}"
        raise InputError(f"optuna: {scenario.__name__} records no variable {search.variable!r}{hint}")
    if recorded[search.variable]:
        raise InputError(
            f"optuna: {search.variable} has a value for each {', '.join(recorded[search.variable])}, not one"
        )
    whole = []
    for name, entry in search.space.items():
        parameter = declared.parameters[name]
        if isinstance(entry, Choices):
            for value in entry.values:
                declared.validate({name: value})
        else:
            check_range(f"optuna: {name}", parameter, entry.low, entry.high)
            if parameter.base_type is int:
                whole.append(name)
    return search.of_types(whole)


def _recorded(scenario: type[Scenario]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Return the names of what the scenario's observables record, with their dims."""
    for strided in scenario.declaration.observables:
        for output in strided.observable.outputs:
            yield output.name, output.dims
            parts = (UNCERTAIN if output.uncertain else ()) + (NULL if output.null else ())
            yield from ((f"{output.name}_{part}", output.dims) for part in parts)
