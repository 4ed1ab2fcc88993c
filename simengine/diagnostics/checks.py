"""Checks of the options of estimators: each returns the option as a plain value, or says what is allowed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from simengine.errors import InputError, nearest
from simengine.scenario.parameters import shown

MOST_REPEATS = 1_000_000
"""The most shuffles, surrogates or resampled data sets: what they give is kept."""

MOST_THREADS = 1024
"""Threads beyond any machine's, which systems refuse to start."""


def whole(value: Any, word: str, least: int = 1, most: int | None = None) -> int:
    """Return a whole number from ``least`` to ``most``; truth values and floats are none."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= (most or value):
        said = f"of at least {least}{'' if most is None else f' and at most {most}'}"
        raise InputError(f"{word} is {shown(value)}; expected a whole number {said}")
    return int(value)


def positive(value: Any, word: str) -> float:
    """Return a finite number above 0."""
    number = not isinstance(value, bool) and isinstance(value, int | float | np.integer | np.floating)
    try:
        found = float(value) if number else math.nan
    except OverflowError:
        found = math.inf
    if not 0.0 < found < math.inf:
        raise InputError(f"{word} is {shown(value)}; expected a finite number above 0")
    return found


def one_of(value: Any, allowed: Iterable[str], word: str) -> str:
    """Return one of some names; the line names the nearest one."""
    names = list(allowed)
    if not isinstance(value, str) or value not in names:
        hint = nearest(value, names) if isinstance(value, str) else ""
        raise InputError(f"{word} is {shown(value)}{hint}; allowed: {', '.join(names)}")
    return value


def truth(value: Any, word: str) -> bool:
    """Return a truth value."""
    if not isinstance(value, bool | np.bool_):
        raise InputError(f"{word} is {shown(value)}; expected True or False")
    return bool(value)


def repeats(value: Any, word: str = "shuffles", least: int = 0) -> int:
    """Return how often something is repeated."""
    return whole(value, word, least, MOST_REPEATS)


def seed(value: Any) -> int:
    """Return the seed of a generator."""
    return whole(value, "seed", 0)
