"""Numbers that are given as arguments, one or many, and the sizes of tables they make, checked at the door.

All raise ``InputError`` with one line that says which argument it is, what was given and what is allowed. Options of
other kinds are checked by :mod:`simengine.diagnostics.checks`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics import checks
from simengine.diagnostics.samples import LARGEST, checked_values
from simengine.errors import InputError

Floats = NDArray[np.float64]

MOST_CELLS = 1 << 24
"""Cells of a table of counts at most; it takes 128 MiB."""


def checked_positive(value: Any, what: str, high: float = LARGEST) -> float:
    """Return a number above 0 and at most ``high``."""
    number = checks.positive(value, what)
    if number > high:
        raise InputError(f"{what} is {number:g}; expected a number above 0 and at most {high:g}")
    return number


def checked_numbers(values: Any, word: str, shape: tuple[int, ...] | None = None, expected: str = "") -> Floats:
    """Return finite numbers as float64, of a shape where one is given; ``expected`` says what they are."""
    found = checked_values(values, word, False)
    if shape is not None and found.shape != shape:
        raise InputError(f"{word} has shape {found.shape}; expected {shape}{expected and f': {expected}'}")
    return found


def not_negative(values: Floats, word: str) -> Floats:
    """Return numbers none of which is negative; the line says where the first of these is."""
    if (values < 0.0).any():
        place = tuple(int(one) for one in np.argwhere(values < 0.0)[0])
        raise InputError(f"{word} holds {values[place]:g} at {place}; expected numbers that are not negative")
    return values


def checked_size(cells: int, what: str, most: int = MOST_CELLS) -> None:
    """Refuse a table that memory does not hold; ``what`` says of what it would be."""
    if cells > most:
        raise InputError(f"{what} makes a table of {cells} cells; at most {most}")
