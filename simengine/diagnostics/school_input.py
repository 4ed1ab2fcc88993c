"""Checks of the state of a school given by hand."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simengine.errors import InputError


def _complaint(name: str, rows: NDArray[np.float64], good: NDArray[np.bool_], what: str) -> InputError:
    """Return the error that tells ``what`` is wrong with the first row that is not wholly ``good``."""
    row = int(np.argmin(np.logical_and.reduce(good, axis=1)))
    return InputError(f"{name} of row {row} {what}: {rows[row].tolist()}")


def is_finite_number(value: object) -> bool:
    """Tell whether ``value`` is a number, neither infinite nor NaN."""
    return isinstance(value, float | int | np.floating | np.integer) and math.isfinite(value)


def _rows_of_three(name: str, values: ArrayLike) -> NDArray[np.float64]:
    try:
        rows = np.array(values, dtype=np.float64, order="C")
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be numbers of shape (N, 3): {error}") from None
    if rows.ndim != 2 or rows.shape[1] != 3 or rows.shape[0] == 0:
        raise InputError(f"{name} has shape {rows.shape}; expected (N, 3) with N >= 1")
    finite = np.isfinite(rows)
    if not finite.all():
        raise _complaint(name, rows, finite, "is not finite")
    # Read-only like the arrays of a run, for which the functions are then compiled once.
    rows.flags.writeable = False
    return rows


def checked_state(
    position: ArrayLike, heading: ArrayLike, box: float | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Return positions and headings as float arrays of shape (N, 3), and the side of the box, ``inf`` for none.

    Raises
    ------
    InputError
        If an array has the wrong shape or a value that is not finite, a heading has no direction, a position
        lies outside the box, or the box has no positive side.
    """
    positions, headings = _rows_of_three("position", position), _rows_of_three("heading", heading)
    n = positions.shape[0]
    if headings.shape[0] != n:
        raise InputError(f"position has {n} rows, heading {headings.shape[0]}; expected equal numbers")
    square = np.einsum("ij,ij->i", headings, headings)
    if not (square.min() > 0.0 and square.max() < np.inf):
        directed = (square > 0.0) & (square < np.inf)
        raise _complaint("heading", headings, directed[:, np.newaxis], "has no direction")
    if box is not None:
        if not (is_finite_number(box) and box > 0.0):
            raise InputError(f"box is {box!r}; expected a positive side length, or None for open space")
        if not (positions.min() >= 0.0 and positions.max() <= box):
            inside = (positions >= 0.0) & (positions <= box)
            raise _complaint("position", positions, inside, f"lies outside 0 .. {box}")
    return positions, headings, math.inf if box is None else float(box)
