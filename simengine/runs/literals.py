"""Plain values as Python text that gives the same value again: numbers, texts, containers, small arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum
from typing import Any

import numpy as np

MOST_PARTS = 10_000
"""Greatest number of parts of a value that is written as text: beyond it a text is data and no longer readable."""

Named = Callable[[Any], str | None]


class Unwritable(Exception):  # noqa: N818
    """The value has no plain text; the message says what it is, as in "a Model object"."""


def written(value: Any, named: Named) -> str:
    """Return an expression whose value equals ``value``, in type and bit for bit.

    ``named`` gives the name by which a module, class or function is known where the text will stand (``None`` for
    anything else); numpy is asked for only when the text uses it.

    Raises
    ------
    Unwritable
        For anything else, and for more than `MOST_PARTS` parts.
    """
    writer = _Writer(named)
    try:
        return writer.expression(value)
    except RecursionError:
        raise Unwritable("a container within itself, or nested too deeply,") from None


def described(value: Any) -> str:
    """Return what an object is, for a message: ``a Model object``."""
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name} object"


class _Writer:
    def __init__(self, named: Named) -> None:
        self.named, self.parts = named, 0

    def expression(self, value: Any) -> str:
        self.count(1)
        kind = type(value)
        if value is None or value is Ellipsis or kind in (bool, str, bytes):
            return repr(value)
        if kind is int:
            return self.integer(value)
        if kind is float:
            return repr(value) if math.isfinite(value) else f"{self.named(float)}('{value}')"
        if kind is complex:
            return f"{self.named(complex)}({self.expression(value.real)}, {self.expression(value.imag)})"
        if kind is range:
            ends = (self.integer(part) for part in (value.start, value.stop, value.step))
            return f"{self.named(range)}({', '.join(ends)})"
        if kind is tuple:
            inner = [self.expression(part) for part in value]
            return f"({', '.join(inner)}{',' if len(inner) == 1 else ''})"
        if kind is list:
            return f"[{', '.join(self.expression(part) for part in value)}]"
        if kind in (set, frozenset):
            # The order of a set of texts differs from process to process.
            inner = sorted(self.expression(part) for part in value)
            shown = f"{{{', '.join(inner)}}}" if inner else ""
            return f"{self.named(kind)}({shown})" if kind is frozenset or not shown else shown
        if kind is dict:
            items = (f"{self.expression(key)}: {self.expression(held)}" for key, held in value.items())
            return f"{{{', '.join(items)}}}"
        if isinstance(value, np.generic):
            return self.scalar(value)
        if kind is np.ndarray:
            return self.array(value)
        name = self.named(type(value) if isinstance(value, Enum) else value)
        if name is None or (isinstance(value, Enum) and value.name is None):
            raise Unwritable(described(value))
        return f"{name}.{value.name}" if isinstance(value, Enum) else name

    def count(self, parts: int) -> None:
        self.parts += parts
        if self.parts > MOST_PARTS:
            raise Unwritable(f"a value of more than {MOST_PARTS} parts,")

    def integer(self, value: int) -> str:
        try:
            return repr(value)
        except ValueError:
            raise Unwritable("an integer of too many digits") from None

    def scalar(self, value: np.generic) -> str:
        if value.dtype.kind not in "biufc" or value.dtype.char in "gG" or type(value) is not value.dtype.type:
            raise Unwritable(described(value))
        name = "bool_" if value.dtype.kind == "b" else value.dtype.name
        return f"{self.numpy()}.{name}({self.expression(value.item())})"

    def array(self, value: np.ndarray[Any, Any]) -> str:
        if value.dtype.kind not in "biufcU" or value.dtype.char in "gG" or not value.dtype.isnative:
            raise Unwritable(f"an array of {value.dtype}")
        if value.size > MOST_PARTS:
            raise Unwritable(f"an array of {value.size} values")
        numpy = self.numpy()
        kind = value.dtype.name if value.dtype.kind != "U" else value.dtype.str
        if value.size == 0:
            return f"{numpy}.empty({value.shape}, dtype={kind!r})"
        # Sums over an array may round differently in another memory order.
        order = ", order='F'" if value.flags.f_contiguous and not value.flags.c_contiguous else ""
        return f"{numpy}.array({self.expression(value.tolist())}, dtype={kind!r}{order})"

    def numpy(self) -> str:
        name = self.named(np)
        assert name is not None
        return name
