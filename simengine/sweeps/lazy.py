"""Values of the runs of a sweep that are read when they are needed, from whichever files have them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.coding.strings import create_vlen_dtype
from xarray.core import indexing

from simengine.sweeps.blocks import Block


class RunArray(BackendArray):
    """One variable of all runs: what xarray asks for is read, and nothing else.

    Parameters
    ----------
    blocks
        The files.
    name
        The variable.
    source, row
        Number of the file of each run and its row there, -1 for a run that is in none; the shape is that of the
        dimensions that tell runs apart.
    inner
        Lengths of time and of the further dimensions.
    dtype, fill_value
        Of the values as stored, and what stands where there are none.
    """

    def __init__(
        self, blocks: Sequence[Block], name: str, source: NDArray[np.int32], row: NDArray[np.int32],
        inner: tuple[int, ...], dtype: np.dtype[Any], fill_value: Any,
    ) -> None:  # fmt: skip
        self.blocks, self.name, self.source, self.row = blocks, name, source, row
        self.shape = (*source.shape, *inner)
        # Said in advance, or xarray would read a value to see that it is a text.
        self.dtype: np.dtype[Any] = create_vlen_dtype(str) if dtype.kind == "O" else dtype  # type: ignore[no-untyped-call]
        self.fill_value = fill_value

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        positions = [_positions(part, length) for part, length in zip(key, self.shape, strict=True)]
        outer, inner = positions[: self.source.ndim], positions[self.source.ndim :]
        which = np.ix_(*outer)
        source, row = self.source[which].ravel(), self.row[which].ravel()
        values = np.full((len(source), *map(len, inner)), self.fill_value, self.dtype)
        for number, places in grouped(source):
            part = np.full((len(places), *map(len, inner)), self.fill_value, self.dtype)
            self.blocks[number].read(self.name, row[places].astype(np.int64), inner, part)
            values[places] = part
        kept = [
            len(part) for part, given in zip(positions, key, strict=True) if not isinstance(given, int | np.integer)
        ]
        return values.reshape(kept)


def grouped(source: NDArray[np.integer[Any]]) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Yield the number of each file and which runs it has; runs that are in none are left out."""
    order = np.argsort(source, kind="stable")
    numbers, firsts = np.unique(source[order], return_index=True)
    for number, first, last in zip(numbers, firsts, [*firsts[1:], len(order)], strict=bool(len(order))):
        if number >= 0:
            yield int(number), order[first:last]


def _positions(key: Any, length: int) -> NDArray[np.int64]:
    if isinstance(key, slice):
        return np.arange(*key.indices(length), dtype=np.int64)
    found = np.atleast_1d(np.asarray(key, np.int64))
    return np.where(found < 0, found + length, found)
