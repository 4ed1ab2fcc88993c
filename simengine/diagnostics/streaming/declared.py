"""What an observable is declared with, checked as soon as it is: a wrong option is no surprise of the first record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np

from simengine.diagnostics import checks
from simengine.diagnostics.counts.entropies import kind_of
from simengine.diagnostics.estimate import checked_unit
from simengine.diagnostics.samples import LARGEST
from simengine.errors import InputError, ScenarioError
from simengine.scenario.parameters import shown

Given = ParamSpec("Given")
Plain = TypeVar("Plain")

PURE = "pure number"
"""The unit of what is neither in nats nor in bits."""

ALL = "all"
"""The window that never forgets."""

MOST_CELLS = 1 << 22
"""Tables of more cells than this are refused; they would be moved and kept at every record."""

LONGEST_HISTORY = MOST_CELLS.bit_length() - 2
"""Records of two states before this one, with which a table is full."""


def _told(check: Callable[Given, Plain]) -> Callable[Given, Plain]:
    """Make a check of options one of declarations."""

    @wraps(check)
    def checked(*args: Given.args, **kwargs: Given.kwargs) -> Plain:
        try:
            return check(*args, **kwargs)
        except InputError as error:
            raise ScenarioError(str(error)) from None

    return checked


whole, positive, one_of, truth, repeats = (
    _told(checks.whole), _told(checks.positive), _told(checks.one_of), _told(checks.truth), _told(checks.repeats),
)  # fmt: skip
counted_by = _told(kind_of)
"""Refuse what is no estimator of counts."""


def a_window(window: Any, *, none: bool = True) -> Any:
    """Return a number of records, "all", or None where there need be no window."""
    if (window is None and none) or (isinstance(window, str) and window == ALL):
        return window
    if isinstance(window, bool) or not isinstance(window, int | np.integer) or window < 1:
        raise ScenarioError(f"window is {shown(window)}; expected a positive number of records, or 'all'")
    return int(window)


def history(value: Any, word: str = "history") -> int:
    """Return a number of records before the present one."""
    return whole(value, word, 1, LONGEST_HISTORY)


def a_unit(unit: Any) -> None:
    """Refuse what is neither nats nor bits, maybe per step."""
    _told(checked_unit)(unit.removesuffix("/step") if isinstance(unit, str) else unit)


def named(name: Any, otherwise: str) -> str:
    """Return a name, or another one if it is empty."""
    if not isinstance(name, str):
        raise ScenarioError(f"name is {shown(name)}; expected a word that can be a variable, or ''")
    return name or otherwise


def a_network(network: Any) -> str:
    """Return the name of a network."""
    if not isinstance(network, str) or not network.isidentifier():
        raise ScenarioError(f"network is {shown(network)}; expected the name of a network of the scenario")
    return network


def a_vector(field: Any) -> str:
    """Return the name of a field whose components count together."""
    parts = field.split(".") if isinstance(field, str) else []
    if len(parts) != 2 or not all(part.isidentifier() for part in parts):
        raise ScenarioError(f"a streamed diagnostic of vectors takes 'population.field', not {shown(field)}")
    return str(field)


def fields(given: Any, word: str) -> tuple[str, ...]:
    """Return the names of one or several fields."""
    names = (given,) if isinstance(given, str) else given
    if not isinstance(names, list | tuple) or not names:
        raise ScenarioError(f"{word} is {shown(given)}; expected 'population.field', or several of them")
    return tuple(names)


def a_bound(value: Any, word: str) -> Any:
    """Return a finite number, or the name of a parameter."""
    if isinstance(value, str) and value.isidentifier():
        return value
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not -LARGEST < value < LARGEST:
        raise ScenarioError(
            f"{word} is {shown(value)}; expected a finite number below {LARGEST:g}, or the name of a parameter"
        )
    return value


def a_size(value: Any, word: str) -> int | str:
    """Return a number of bins, states or cells, or the name of a parameter."""
    if isinstance(value, str) and value.isidentifier():
        return value
    if isinstance(value, str):
        raise ScenarioError(f"{word} is {value!r}; expected a whole number, or the name of a parameter")
    return whole(value, word, 1, MOST_CELLS)


def conditions(when: Any) -> Mapping[str, Any]:
    """Return under which values of parameters something is recorded."""
    if when is None:
        return {}
    if not isinstance(when, Mapping):
        raise ScenarioError(f"when is {shown(when)}; expected parameters and their values, as {{'model': 'a'}}")
    return when
