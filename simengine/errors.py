"""Errors that a user can act on: one clear line each, with the nearest right name where one exists."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path

LONGEST_WORD, LONGEST_LINE = 300, 1000


class SimengineError(Exception):
    """Base of every error that the engine raises on purpose; its text is one line for the user."""

    def __init__(self, message: object = "") -> None:
        super().__init__(one_line(str(message)))


class InputError(SimengineError, ValueError):
    """A parameter, start state, option or file given by the user is wrong; nothing was written."""


class ScenarioError(SimengineError, TypeError):
    """A scenario's declaration is wrong; raised when the class is defined or compiled."""


class StoreError(SimengineError, OSError):
    """A file could not be written or read; what was recorded before stays readable."""


class RunError(SimengineError, RuntimeError):
    """A run had to stop (a population outgrew its capacity, say); what was recorded stays readable."""


def one_line(text: str) -> str:
    """Return a text that may hold words of the user's as one printable line: escapes, and no endless words."""
    line = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
    line = re.sub(rf"\S{{{LONGEST_WORD + 1},}}", lambda word: _cut(word[0], LONGEST_WORD // 2), line)
    return line if len(line) <= LONGEST_LINE else _cut(line, LONGEST_LINE)


def _cut(text: str, length: int) -> str:
    return f"{text[: length * 2 // 3]}...{text[len(text) - length // 3 :]}"


def nearest(name: object, allowed: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the allowed name most like ``name``, empty where there is none."""
    if not isinstance(name, str):
        return ""
    names = list(allowed)
    plain = {one.lower(): one for one in names}
    match = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    match = match or [plain[one] for one in difflib.get_close_matches(name.lower(), plain, n=1, cutoff=0.5)]
    return f"; did you mean {match[0]!r}?" if match else ""


def nearest_file(path: Path) -> str:
    """Return ``"; did you mean 'x'?"`` for the file or unfinished run beside ``path`` whose name is most like it."""
    try:
        names = {one.name.removesuffix(".parts") for one in path.absolute().parent.iterdir()}
    except (OSError, ValueError):
        return ""
    return nearest(path.name, sorted(name for name in names - {path.name} if not name.startswith(".")))
