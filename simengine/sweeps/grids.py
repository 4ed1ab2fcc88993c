"""Designs given value by value: grids, lists of points, and the text form of a grid (``noise=0:1:11``)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from simengine.errors import InputError
from simengine.scenario.parameters import Parameter, ParameterSet, parse_value, shown
from simengine.scenario.scenario import Scenario
from simengine.sweeps.design import MOST_RUNS, Design, full_grid, joined, plain, refuse_too_many

WORDS = {"true": True, "false": False, "none": None}
OF_ALL_RUNS = {
    "seed": "replicates= gives every point runs with seeds of their own",
    "steps": "it is the same for all runs",
    "every": "it is the same for all runs",
    "replicates": "it is the same for all points",
}
"""What is no parameter, and why it cannot be swept."""


def grid(values: Mapping[str, Iterable[Any]] | None = None, /, **more: Iterable[Any]) -> Design:
    """Return the design of all combinations: ``grid(noise=[0.1, 0.2], n_agents=[50, 100])``.

    Points are ordered with the last parameter changing fastest.

    Parameters
    ----------
    values, **more
        By parameter, a list, tuple, range or one-dimensional array of values.

    Raises
    ------
    InputError
        For an empty grid, a parameter without values, and what is no list of values.
    """
    given = joined("grid", values, more)
    if not given:
        raise InputError("grid: no parameter is given; to repeat one setting, give it as a list of one value")
    return full_grid({name: _levels(name, listed) for name, listed in given.items()})


def points(rows: Iterable[Mapping[str, Any]], /) -> Design:
    """Return the design of the points of a list: ``points([{"noise": 0.1}, {"noise": 0.2}])``.

    Raises
    ------
    InputError
        For an empty list, and points that do not all give the same parameters.
    """
    if isinstance(rows, str | Mapping) or not isinstance(rows, Iterable):
        raise InputError(f"points: got {shown(rows)}, allowed is a list of dicts")
    found = list(rows)
    if not found:
        raise InputError("points: the list is empty")
    refuse_too_many(len(found), "points")
    first = found[0]
    for number, row in enumerate(found):
        if not isinstance(row, Mapping) or not row or not all(isinstance(name, str) for name in row):
            raise InputError(f"points: point {number} is {shown(row)}, allowed is a dict of values by parameter")
        if row.keys() != first.keys():
            raise InputError(f"points: point {number} {_difference(row, first)}; all points give the same parameters")
    columns = {
        name: tuple(plain(f"points: point {number}: {name}", row[name]) for number, row in enumerate(found))
        for name in first
    }
    return Design("points", tuple(first), columns)


def parse_grid(text: str, scenario: type[Scenario] | None = None) -> tuple[str, list[Any]]:
    """Return the parameter and the values of ``noise=0:1:11`` or ``n_agents=50,100``.

    ``a:b:n`` are n evenly spaced values with both ends, each rounded once: 0:1:11 has 0.3, not 0.30000000000000004.
    With the scenario the words are read by the parameter's type, and its values are checked; without it numbers,
    true, false and none are taken for what they look like, everything else for a text.

    Raises
    ------
    InputError
        For any other form, unknown parameters and values that are not allowed.
    """
    name, equals, rest = (part.strip() for part in text.partition("="))
    try:
        if not equals or not name:
            raise InputError("give it as NAME=A:B:N or NAME=VALUE,VALUE")
        parameter = None
        if scenario is not None:
            check_swept([name], scenario.declaration.parameters)
            parameter = scenario.declaration.parameters.parameters[name]
        values = parse_values(rest, parameter)
        if scenario is not None:
            for value in values:
                scenario.declaration.parameters.validate({name: value})
    except InputError as error:
        raise InputError(f"grid {text!r}: {error}") from None
    return name, values


def parse_grids(texts: Sequence[str], scenario: type[Scenario] | None = None) -> Design:
    """Return the grid of several texts, one for each parameter.

    Raises
    ------
    InputError
        As `parse_grid`, and for a parameter that is given twice.
    """
    found: dict[str, list[Any]] = {}
    for text in texts:
        name, values = parse_grid(text, scenario)
        if name in found:
            raise InputError(f"grid {text!r}: {name} is given twice")
        found[name] = values
    return grid(found)


def check_swept(names: Iterable[str], declared: ParameterSet) -> None:
    """Raise ``InputError`` for the first name that is no parameter, with what is meant."""
    for name in names:
        if name in OF_ALL_RUNS and name not in declared.parameters:
            raise InputError(f"{name} is no parameter but a keyword of the sweep; {OF_ALL_RUNS[name]}")
        declared.check_names([name])


def parse_values(text: str, parameter: Parameter | None = None) -> list[Any]:
    """Return the values of ``0:1:11`` or ``50,100``; ``InputError`` for any other form."""
    takes_ranges = parameter is None or (parameter.options is None and parameter.base_type in (int, float))
    parts = text.split(":")
    if takes_ranges and len(parts) == 3 and "," not in text and (parameter is not None or _is_number(parts[0])):
        return _spaced(*parts)
    words = [word.strip() for word in text.split(",")]
    if takes_ranges and parameter is not None and ":" in text:
        raise InputError(f"{text} is neither A:B:N, N values from A to B, nor a list VALUE,VALUE")
    if not all(words):
        raise InputError("a value is missing" if len(words) > 1 else "it has no values")
    return [_guessed(word) if parameter is None else parse_value(parameter, word) for word in words]


def _levels(name: str, values: Any) -> tuple[Any, ...]:
    what = f"grid: {name}"
    if isinstance(values, str | bytes | Mapping | set | frozenset) or not isinstance(values, Iterable):
        raise InputError(f"{what}: got {shown(values)}, allowed is a list of values")
    shape = getattr(values, "shape", None)
    if shape is not None and len(shape) != 1:
        raise InputError(f"{what}: got an array of {len(shape)} dimensions, allowed is a list of values")
    found = tuple(plain(what, value) for value in values)
    if not found:
        raise InputError(f"{what}: the list of values is empty")
    return found


def _difference(row: Mapping[str, Any], first: Mapping[str, Any]) -> str:
    missing, extra = [name for name in first if name not in row], [name for name in row if name not in first]
    return " and ".join(
        f"{verb} {', '.join(names)}" for verb, names in (("lacks", missing), ("also has", extra)) if names
    )


def _spaced(first: str, last: str, count: str) -> list[float]:
    form = f"{first}:{last}:{count} is not A:B:N"
    if not (_is_number(first) and _is_number(last)):
        raise InputError(f"{form}: from A to B, N values, both ends included")
    try:
        n = int(count)
    except ValueError:
        n = 0
    if not 2 <= n <= MOST_RUNS:
        raise InputError(f"{form}: N is a whole number, at least 2, at most {MOST_RUNS:,}")
    low, high = _exact(first), _exact(last)
    if low == high:
        raise InputError(f"{form}: both ends are the same")
    return [float(low + (high - low) * step / (n - 1)) for step in range(n)]


def _is_number(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False


def _exact(word: str) -> Fraction:
    """Return a decimal number exactly; what is too small for a float is 0, however many zeros it has."""
    return Fraction(word.strip()) if float(word) else Fraction(0)


def _guessed(word: str) -> Any:
    if word.lower() in WORDS:
        return WORDS[word.lower()]
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word
