"""The compiler, with a cache in which machine code never outlives its sources.

Numba keeps a compiled function by the file that it is written in, and misses changes in the functions that it calls.
Here the folder's name is a hash of all sources that the function's module imports, directly or not, so that a change
in any of them begins a new one.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import secrets
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numba
from numba.core import config
from numba.core.bytecode import FunctionIdentity
from numba.core.caching import IndexDataCacheFile

PROCESS_BITS, FUNCTION_BITS = 62, 32

# Numba names machine code by the function, its types and a number that each process counts from 1, and the linker takes
# two pieces of one name for the same. Code kept by two processes may so be mixed up in a third: a sort that comes to
# call the parts of an argsort returns nonsense. Numbers that no two processes share keep them apart.
FunctionIdentity._unique_ids = itertools.count(secrets.randbits(PROCESS_BITS) << FUNCTION_BITS)


BORROWING: dict[str, Any] = {"nogil": True, "error_model": "numpy", "forceinline": True, "_nrt": False}
"""Options for inlined functions that read and write the arrays given, and make none.

Numba counts who holds an array, in atomic operations, wherever one goes through a branch of an inlined function. These
functions borrow it from their caller, who holds it while they run.
"""


def compiled(**options: Any) -> Any:
    """Return numba's decorator of these options; what it compiles is kept in `cache_directory`."""

    def decorate(function: Callable[..., Any]) -> Any:
        before = config.CACHE_DIR  # type: ignore[attr-defined]
        config.CACHE_DIR = str(library(function.__module__))  # type: ignore[attr-defined]
        try:
            return kept_by_signature(numba.njit(**options)(function))
        finally:
            config.CACHE_DIR = before  # type: ignore[attr-defined]

    return decorate


class SignatureFiles(IndexDataCacheFile):
    """The files of one compiled function, with an index of its own for each of its signatures.

    With one index for all, as numba has it, two processes that compile different signatures at once choose the same
    name for their machine code, and a later process calls that of the wrong arguments.
    """

    def __init__(self, shared: IndexDataCacheFile):
        self._folder = shared._cache_path
        self._base = shared._index_name.removesuffix(".nbi")
        self._stamp = shared._source_stamp

    def _of(self, key: Any) -> Any:
        name = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
        files: Any = IndexDataCacheFile
        return files(self._folder, f"{self._base}-{name}", self._stamp)

    def save(self, key: Any, data: Any) -> None:
        """Keep the machine code of a signature."""
        self._of(key).save(key, data)

    def load(self, key: Any) -> Any:
        """Return the machine code of a signature, None where there is none."""
        return self._of(key).load(key)

    def flush(self) -> None:
        """Nothing is forgotten: an index of other sources is passed over when it is read."""


def kept_by_signature(dispatcher: Any) -> Any:
    """Return numba's function, from now on kept on disk in files that several processes may write at once."""
    cache = getattr(dispatcher, "_cache", None)
    if cache is not None and hasattr(cache, "_cache_file"):
        cache._cache_file = SignatureFiles(cache._cache_file)
    return dispatcher


if TYPE_CHECKING:
    # A decorator without types leaves those of the decorated function as they are.
    from numba import njit as njit
else:
    njit = compiled


@cache
def library(module: str) -> Path:
    """Return the folder of the compiled functions of one of the engine's modules."""
    digest = hashlib.sha256()
    for path in sorted(sources(module)):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return cache_directory() / "engine" / f"{module.removeprefix('simengine.')}-{digest.hexdigest()[:24]}"


def sources(module: str) -> set[Path]:
    """Return the files of a module of the engine and of all those that it imports, and they in turn."""
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        path = _source(waiting.pop())
        if path is not None and path not in found:
            found.add(path)
            waiting += _imported(path)
    return found


def _source(module: str) -> Path | None:
    """Return the file of a module; None if it is none of the engine's."""
    package, *parts = module.split(".")
    if package != "simengine" or not parts:
        return None
    root = Path(__file__).resolve().parent.parent
    path = root.joinpath(*parts)
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists()), None)


_IMPORT = re.compile(r"^[ \t]*from (simengine[.\w]*) import (\([^)]*\)|[^\n]*)|^[ \t]*import (simengine[.\w]*)", re.M)


@cache
def _imported(path: Path) -> tuple[str, ...]:
    """Return what a file imports of the engine: modules, and names in them that may be modules."""
    found: list[str] = []
    for package, names, whole in _IMPORT.findall(path.read_text(encoding="utf-8")):
        found += [whole] if whole else [package, *(f"{package}.{name}" for name in re.findall(r"\w+", names))]
    return tuple(found)


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
        for path in sorted((root / package).rglob("*.py")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
