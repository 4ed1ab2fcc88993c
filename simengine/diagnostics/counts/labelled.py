"""Tables of counts with the names of their dims, where they have any: the states run along the last one."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.diagnostics.samples import checked_counts
from simengine.errors import InputError

Counts = NDArray[np.int64]
Dims = tuple[Hashable, ...]
Coords = Mapping[Hashable, Any]


def labelled_counts(counts: Any, word: str = "counts", inner: int = 1) -> tuple[Counts, Dims, Coords]:
    """Return counts, and names and coordinates of all dims but the ``inner`` last ones; none of a plain array."""
    table = checked_counts(counts, word)
    dims = getattr(counts, "dims", ())
    if isinstance(counts, np.ndarray) or not isinstance(dims, tuple) or len(dims) <= inner:
        return table, (), {}
    return table, dims[:-inner], _coords(counts, dims[:-inner])


def together(named: Mapping[str, Any]) -> tuple[list[Counts], Dims, Coords]:
    """Return tables of the same states as arrays of one shape (..., K), with names and coordinates of the batch.

    DataArrays are paired by the names of their dims and by their coordinates, the states along the last dim of the
    first; plain arrays by their places.
    """
    import xarray

    arrays = list(named.values())
    dims: Dims = ()
    coords: Coords = {}
    if all(isinstance(one, xarray.DataArray) and one.ndim for one in arrays):
        states = arrays[0].dims[-1]
        for word, one in named.items():
            if states not in one.dims:
                known = ", ".join(map(str, one.dims))
                raise InputError(f"{word} has no dim {str(states)!r}, that of the states; it has {known}")
        try:
            arrays = list(xarray.broadcast(*xarray.align(*arrays, join="exact")))
        except ValueError as error:
            raise InputError(f"{' and '.join(named)} do not fit together: {error}".split("\n")[0]) from None
        arrays = [one.transpose(*(dim for dim in one.dims if dim != states), states) for one in arrays]
        dims = arrays[0].dims[:-1]
        coords = _coords(arrays[0], dims)
    tables = [checked_counts(one, word) for word, one in zip(named, arrays, strict=True)]
    sizes = [table.shape[-1] for table in tables]
    if len(set(sizes)) > 1:
        said = ", ".join(f"{word} has {size} bins" for word, size in zip(named, sizes, strict=True))
        raise InputError(f"{said}; they must be the same")
    try:
        found = [np.asarray(one) for one in np.broadcast_arrays(*tables)]
    except ValueError:
        said = ", ".join(f"{word} {table.shape}" for word, table in zip(named, tables, strict=True))
        raise InputError(f"the shapes do not fit together: {said}") from None
    return found, dims, coords


def _coords(array: Any, dims: Dims) -> Coords:
    return {dim: array.coords[dim] for dim in dims if dim in array.coords}
