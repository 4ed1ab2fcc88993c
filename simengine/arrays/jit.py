"""The compiler, with a cache in which machine code never outlives its sources.

Numba keeps a compiled function by the file that it is written in, and misses changes in the functions that it calls.
Here the folder's name is a hash of all sources that may be called, so that a change in any of them begins a new one.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numba
from numba.core import config

PACKAGES = ("arrays", "random", "compile", "relations", "diagnostics")


def compiled(**options: Any) -> Any:
    """Return numba's decorator of these options; what it compiles is kept in `cache_directory`."""

    def decorate(function: Callable[..., Any]) -> Any:
        before = config.CACHE_DIR  # type: ignore[attr-defined]
        config.CACHE_DIR = str(library())  # type: ignore[attr-defined]
        try:
            return numba.njit(**options)(function)
        finally:
            config.CACHE_DIR = before  # type: ignore[attr-defined]

    return decorate


if TYPE_CHECKING:
    # A decorator without types leaves those of the decorated function as they are.
    from numba import njit as njit
else:
    njit = compiled


@cache
def library() -> Path:
    """Return the folder of the engine's own compiled functions."""
    return cache_directory() / f"engine-{digest_of(*PACKAGES)[:24]}"


def cache_directory() -> Path:
    """Return the root of the cache: ``$SIMENGINE_CACHE_DIR``, else the user's cache folder.

    A temporary folder takes its place when it is not writable.
    """
    chosen, base = os.environ.get("SIMENGINE_CACHE_DIR"), os.environ.get("XDG_CACHE_HOME")
    root = Path(chosen) if chosen else (Path(base) if base else Path.home() / ".cache") / "simengine"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            return root
    except OSError:
        return Path(tempfile.gettempdir()) / f"simengine-{os.getuid()}"


def digest_of(*packages: str) -> str:
    """Return a hash of the sources of some of the engine's packages."""
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for package in packages:
        for path in sorted((root / package).glob("*.py")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
