"""Errors that a user can act on: one clear line each, with the nearest right name where one exists."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SimengineError(Exception):
    """Base of every error that the engine raises on purpose; its text is one line for the user."""


class InputError(SimengineError, ValueError):
    """A parameter, start state, option or file given by the user is wrong; nothing was written."""


class ScenarioError(SimengineError, TypeError):
    """A scenario's declaration is wrong; raised when the class is defined or compiled."""


class StoreError(SimengineError, OSError):
    """A file could not be written or read; what was recorded before stays readable."""


class RunError(SimengineError, RuntimeError):
    """A run had to stop (a population outgrew its capacity, say); what was recorded stays readable."""


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the allowed name most like ``name``, or an empty string."""
    match = difflib.get_close_matches(name, list(allowed), n=1, cutoff=0.5)
    return f"; did you mean {match[0]!r}?" if match else ""
