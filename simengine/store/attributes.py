"""Attributes in files: one encoding for everything NetCDF cannot hold, and its inverse.

NetCDF attributes are texts, numbers and rows of two or more of either. ``None``, booleans, dicts, empty,
mixed and one-element lists, integers beyond 64 bits and a few odd texts become ``"json:" + JSON``; everything
else is stored as it is, so that any NetCDF tool shows it.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from simengine.errors import StoreError

PREFIX = "json:"
VOLATILE_LIST = "provenance_volatile"
CONTENT_HASH = "content_hash"

_RESERVED = frozenset(
    (
        *("coordinates", "missing_value", "scale_factor", "add_offset", "dtype"),
        *("CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST"),
    )
)
_INT64 = np.iinfo(np.int64)


def check_name(name: object, what: str) -> str:
    """Return ``name`` if files can carry it: an identifier, no leading underscore, not a reserved word.

    Raises
    ------
    StoreError
        With ``what`` (say, ``"attribute"``) and the name.
    """
    if not isinstance(name, str) or not name.isidentifier() or name.startswith("_"):
        raise StoreError(f"{what} name {name!r} must be letters, digits and underscores, a letter first")
    if name in _RESERVED:
        raise StoreError(f"{what} name {name!r} has a meaning of its own in NetCDF files; choose another")
    if unicodedata.normalize("NFC", name) != name:
        raise StoreError(f"{what} name {name!r} must be in Unicode normal form C")
    return name


def plain(value: Any) -> Any:
    """Return ``value`` in Python's own types: None, bool, int, float, str, list, dict with text keys.

    Tuples and arrays become lists, numpy scalars Python scalars, mappings dicts.

    Raises
    ------
    StoreError
        For any other type.
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if value is None or isinstance(value, bool):
        return value
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise StoreError(f"a dict in an attribute needs text keys, got {list(value)!r}")
        return {str(key): plain(item) for key, item in value.items()}
    raise StoreError(f"an attribute cannot hold {type(value).__name__} {value!r}")


def to_json(value: Any) -> str:
    """Return the canonical JSON of an attribute value: sorted keys, ASCII, ``NaN`` and ``Infinity``."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"))


def encode(value: Any) -> Any:
    """Return ``value`` as NetCDF can hold it: text, int64, float64, arrays of those or a list of texts."""
    value = plain(value)
    if _is_storable_text(value):
        return value
    if _is_int64(value):
        return np.int64(value)
    if isinstance(value, float):
        return np.float64(value)
    if isinstance(value, list) and len(value) > 1:
        if all(_is_int64(item) for item in value):
            return np.array(value, dtype=np.int64)
        if all(isinstance(item, float) for item in value):
            return np.array(value, dtype=np.float64)
        if all(_is_storable_text(item) for item in value):
            return value
    return PREFIX + to_json(value)


def decode(value: Any) -> Any:
    """Return the Python value that `encode` stored; lists for arrays, Python scalars for numpy's."""
    value = plain(value)
    if isinstance(value, str) and value.startswith(PREFIX):
        with suppress(ValueError):
            return json.loads(value[len(PREFIX) :])
    return value


def encode_again(attributes: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the attributes of a Dataset, of which some may be encoded already, as NetCDF can hold them."""
    return {check_name(name, "attribute"): encode(decode(value)) for name, value in attributes.items()}


def encode_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return all attributes as NetCDF can hold them, names checked."""
    return {check_name(name, "attribute"): encode(value) for name, value in attributes.items()}


def decode_attributes(attributes: Mapping[Any, Any]) -> dict[str, Any]:
    """Return all attributes of a file or Dataset as Python values; inverse of `encode_attributes`.

    Lists come back for tuples and arrays, everything else as it was given.
    """
    return {str(name): decode(value) for name, value in attributes.items()}


def volatile_names(attributes: Mapping[Any, Any]) -> frozenset[str]:
    """Return the names that the content hash leaves out, as listed in the global attributes of a file."""
    return frozenset(str(attributes.get(VOLATILE_LIST, "")).split()) | {VOLATILE_LIST, CONTENT_HASH}


def _is_int64(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and _INT64.min <= value <= _INT64.max


def _is_storable_text(value: Any) -> bool:
    if not isinstance(value, str) or value.startswith(PREFIX) or "\0" in value:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in value)
