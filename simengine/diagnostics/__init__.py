"""Estimators of entropies and what is built on them: pure functions of arrays, and observables that stream them.

Every function answers with an :class:`Estimate`. What each takes is told in
:mod:`simengine.diagnostics.samples`; what its doubts mean in :mod:`simengine.diagnostics.flags`.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOME: dict[str, tuple[str, ...]] = {
    "estimate": ("Estimate",),
    "flags": ("FLAGS",),
}
"""The public names by the module that holds them."""

_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'simengine.diagnostics' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"simengine.diagnostics.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__doc__", "__name__"])
