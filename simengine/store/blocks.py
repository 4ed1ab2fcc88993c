"""A row of one variable that is handed over in blocks, so that nobody needs room for all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK_BYTES = 1 << 22


@dataclass(frozen=True)
class Blocks:
    """The values of one variable in one row, fetched as they are needed.

    Parameters
    ----------
    shape
        Shape of the whole row: agents first, then components.
    fetch
        ``fetch(first, end)`` returns the values from ``first`` up to ``end`` along the first axis, shape
        (end - first, ...), with masked entries where they are missing. It is asked while the row is recorded and never
        after.
    """

    shape: tuple[int, ...]
    fetch: Callable[[int, int], NDArray[Any]]

    @classmethod
    def of(cls, values: Any) -> Blocks:
        """Return blocks as they are, and an array as blocks of it."""
        if isinstance(values, Blocks):
            return values
        array = values if isinstance(values, np.ndarray) else np.asarray(values)
        return cls(array.shape, lambda first, end: array[first:end])

    def whole(self) -> NDArray[Any]:
        """Return all values at once."""
        return self.fetch(0, self.shape[0])


def spans(length: int, bytes_each: int, block_bytes: int = BLOCK_BYTES) -> Iterator[tuple[int, int]]:
    """Yield the first and the end of blocks of at most so many bytes (one item at least)."""
    items = max(1, block_bytes // max(1, bytes_each))
    for first in range(0, length, items):
        yield first, min(length, first + items)


def together(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a row with all its blocks put together."""
    if any(isinstance(value, Blocks) for value in row.values()):
        return {name: value.whole() if isinstance(value, Blocks) else value for name, value in row.items()}
    return row
