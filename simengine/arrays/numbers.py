"""What may be stored in a field of whole numbers."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core.errors import TypingError
from numba.extending import overload


def whole(value: Any) -> Any:
    """Return a whole number (or a truth value) as it is; a float is refused when the step is compiled."""
    return value


@overload(whole)
def _whole(value):  # type: ignore[no-untyped-def]
    if isinstance(value, types.Integer | types.Boolean):
        return lambda value: value
    raise TypingError(f"a {value} is stored in a field of whole numbers; use int(...), round(...) or a float field")
