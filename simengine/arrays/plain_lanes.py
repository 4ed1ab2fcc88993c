"""Lanes without compilation: the functions of :mod:`simengine.arrays.vector` on numpy arrays of eight values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

WIDTH = 8
"""How many lanes there are."""


def _store(table: Any, row: int, column: int, value: Any) -> None:
    table[row, column : column + WIDTH] = value


def _store_places(array: Any, start: int, places: Any) -> None:
    array[start : start + WIDTH] = places


def _keep(array: Any, end: int, places: Any, where: Any) -> int:
    kept = places[where]
    array[end : end + len(kept)] = kept
    return int(end + len(kept))


def _total(value: Any) -> Any:
    while len(value) > 1:
        half = len(value) // 2
        value = value[:half] + value[half:]
    return value[0]


def _select(where: Any, chosen: Any, otherwise: Any) -> Any:
    result = np.where(where, chosen, otherwise)
    return result if result.ndim else result[()]


def _root_and_inverse(x: Any) -> Any:
    root = np.sqrt(x)
    with np.errstate(divide="ignore"):
        return root, 1.0 / root


PLAIN: dict[str, Callable[..., Any]] = {
    "load": lambda table, row, column: table[row, column : column + WIDTH].copy(),
    "store": _store,
    "load_places": lambda array, start: array[start : start + WIDTH].copy(),
    "store_places": _store_places,
    "pick": lambda table, row, places: table[row, places],
    "count_from": lambda first: np.arange(first, first + WIDTH, dtype=np.int32),
    "differs": lambda places, place: places != place,
    "first": lambda number: np.arange(WIDTH) < number,
    "keep": _keep,
    "select": _select,
    "repeated": lambda value: np.full(WIDTH, value, dtype=np.float64),
    "total": _total,
    "lane": lambda value, number: value[number],
    "root_and_inverse": _root_and_inverse,
}
