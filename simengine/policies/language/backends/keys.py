"""Keys of servers: known to the process that needs them, and to nothing that is printed, logged or written.

A `Key` shows itself as ``***`` everywhere. Its value lives in this process only: pickled it is the *name* of its
environment variable, and whoever unpickles it (a Ray actor, say) reads the variable again there. A key that was given
as a text has no such name and stays where it was given.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

SHOWN = "***"
_LOOKS_SECRET = re.compile(r"auth|key|token|secret|cookie|passw|credential|signature", re.IGNORECASE)
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_WRITTEN = re.compile(r"\b(?:sk|gsk|xai|pk|hf|ghp|key)[-_][A-Za-z0-9_*.-]{6,}|(?i:bearer|basic) +[^\s\"',;]+")


class Key:
    """A secret word: a text given here, or a template of environment variables (``${NAME}``) read when asked for."""

    __slots__ = ("_reveal", "template")

    def __init__(self, text: str | None = None, *, template: str = "") -> None:
        self.template = template
        # A closure keeps the text out of attributes, vars() and every serialiser that walks them.
        self._reveal = None if text is None else lambda: text

    def reveal(self) -> str:
        """Return the secret; empty where it, or a variable that it names, is not known here."""
        if self._reveal is not None:
            return self._reveal()
        found = [os.environ.get(name, "") for name in _VARIABLE.findall(self.template)]
        if not all(found):
            return ""
        return _VARIABLE.sub(lambda match: os.environ[match[1]], self.template)

    def words(self) -> list[str]:
        """Return all that must not be shown: the secret, and the values of its variables."""
        return [self.reveal(), *(os.environ.get(name, "") for name in self.variables())]

    def variables(self) -> list[str]:
        """Return the names of the environment variables that it is read from."""
        return _VARIABLE.findall(self.template)

    def __repr__(self) -> str:
        return SHOWN

    def __copy__(self) -> Key:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Key:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self.template,)


def _unpickled(template: str) -> Key:
    return Key(template=template)


def looks_secret(name: str) -> bool:
    """Whether a header or parameter of this name is likely to hold a secret."""
    return _LOOKS_SECRET.search(name) is not None


class Open(Key):
    """A header's value that is no secret, and travels."""

    __slots__ = ()

    def words(self) -> list[str]:
        """Return nothing: it may be shown."""
        return []

    def __reduce__(self) -> tuple[Any, ...]:
        return Open, (self.reveal(),)


def held(headers: Mapping[str, str]) -> dict[str, Key]:
    """Return headers with every value that is a secret, or names a variable, hidden."""
    return {
        name: Key(template=value) if _VARIABLE.search(value) else Key(value) if looks_secret(name) else Open(value)
        for name, value in headers.items()
    }


def without_secrets(text: str, keys: Iterable[Key]) -> str:
    """Return ``text`` with the known secrets, and what is written like one, blacked out."""
    for word in sorted({word for key in keys for word in key.words()}, key=len, reverse=True):
        if len(word) >= 4:
            text = text.replace(word, SHOWN)
    return _WRITTEN.sub(SHOWN, text)
