"""States of observables and policies as JSON-ready values and arrays, for checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.errors import RunError

_ARRAY = "__array__"


def pack(value: Any, arrays: MutableMapping[str, NDArray[Any]], path: str) -> Any:
    """Return a state with every array replaced by its path in ``arrays``, where it is put.

    Raises
    ------
    RunError
        For anything but None, booleans, numbers, texts, arrays of numbers, and lists and dicts of these.
    """
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        arrays[path] = value
        return {_ARRAY: path}
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [pack(item, arrays, f"{path}/{n}") for n, item in enumerate(value)]
    if isinstance(value, Mapping) and all(isinstance(key, str) and key != _ARRAY for key in value):
        return {key: pack(item, arrays, f"{path}/{key}") for key, item in value.items()}
    raise RunError(
        f"the state of {path} holds {type(value).__name__} {value!r:.60}; a checkpoint keeps None, booleans, numbers, "
        "texts, arrays of numbers, and lists and dicts (with text keys) of these"
    )


def unpack(value: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """Return the state that `pack` took apart."""
    if isinstance(value, list):
        return [unpack(item, arrays) for item in value]
    if isinstance(value, dict):
        if set(value) == {_ARRAY}:
            return np.array(arrays[value[_ARRAY]])
        return {key: unpack(item, arrays) for key, item in value.items()}
    return value
