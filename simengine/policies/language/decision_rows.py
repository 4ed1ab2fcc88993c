"""Decisions of one step as one compressed row: named arrays with a row per agent."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.errors import StoreError

Columns = Mapping[str, NDArray[Any]]


def packed(columns: Columns) -> bytes:
    """Arrays of numbers or fixed-length texts as bytes: a header, and the compressed values."""
    arrays = {name: np.ascontiguousarray(values) for name, values in columns.items()}
    for name, values in arrays.items():
        if values.dtype.hasobject:
            raise StoreError(f"decisions: column {name!r} holds objects; allowed are numbers and texts")
    lengths = {values.shape[0] if values.ndim else -1 for values in arrays.values()}
    if len(lengths) > 1 or -1 in lengths:
        shapes = ", ".join(f"{name} {values.shape}" for name, values in arrays.items())
        raise StoreError(f"decisions: columns need one row per agent, got {shapes}")
    header = [[name, values.dtype.newbyteorder("<").str, values.shape] for name, values in arrays.items()]
    body = b"".join(values.astype(values.dtype.newbyteorder("<")).tobytes() for values in arrays.values())
    return json.dumps(header).encode() + b"\n" + zlib.compress(body, 1)


def unpacked(stored: bytes) -> dict[str, NDArray[Any]]:
    """The arrays that `packed` stored."""
    head, _, rest = stored.partition(b"\n")
    body, start, found = zlib.decompress(rest), 0, {}
    for name, kind, shape in json.loads(head):
        count = int(np.prod(shape))
        values = np.frombuffer(body, np.dtype(kind), count, start)
        start += values.nbytes
        found[name] = values.reshape(shape).astype(values.dtype.newbyteorder("="))
    return found


def joined(rows: Sequence[tuple[int, Columns]]) -> dict[str, NDArray[Any]]:
    """Rows of steps as columns over all of them, by step and, where there are ``ids``, by id; ``step`` is added.

    Columns that some rows lack are left out.
    """
    if not rows:
        return {}
    names = [name for name in rows[0][1] if all(name in columns for _, columns in rows)]
    lengths = [len(next(iter(columns.values()))) if columns else 0 for _, columns in rows]
    found: dict[str, NDArray[Any]] = {"step": np.repeat([step for step, _ in rows], lengths)}
    found |= {name: np.concatenate([columns[name] for _, columns in rows]) for name in names}
    order = np.lexsort((found["ids"], found["step"])) if "ids" in found else np.argsort(found["step"], kind="stable")
    return {name: values[order] for name, values in found.items()}
