"""Where generated modules live: a folder keyed by everything the compiled code depends on.

Numba's own cache key misses changes in functions that the cached one calls, so the folder's name is a hash of the
generated text (which holds the author's source), the engine's kernel sources, the processor and the versions.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import ModuleType

from simengine.arrays.jit import cache_directory, digest_of
from simengine.compile import target

if sys.platform != "win32":
    import fcntl

KERNEL_PACKAGES = ("arrays", "random", "compile", "relations")


@cache
def engine_digest() -> str:
    """Hash of the engine sources that compiled code may contain."""
    return digest_of(*KERNEL_PACKAGES)


# Another thread must not find a module whose text is still being executed.
_loading = threading.Lock()
_loaded: dict[tuple[str, str], tuple[ModuleType, Path]] = {}


def load(name: str, source: str) -> tuple[ModuleType, Path]:
    """Write the generated source to its folder (once) and import it from there."""
    with _loading:
        found = _loaded.get((name, source))
        if found is None or sys.modules.get(found[0].__name__) is not found[0]:
            found = _loaded[name, source] = _load(name, source)
        return found


def _load(name: str, source: str) -> tuple[ModuleType, Path]:
    import llvmlite
    import numba

    parts = [source, engine_digest(), target.describe(), numba.__version__, llvmlite.__version__, sys.version]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
    module_name = f"simengine_kernel_{key}"
    folder = cache_directory() / key
    path = folder / f"{name}.py"
    if module_name in sys.modules:
        return sys.modules[module_name], path
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder, suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(source)
        os.replace(temporary, path)
    specification = importlib.util.spec_from_file_location(module_name, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[module_name] = module
    try:
        specification.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    return module, path


@contextmanager
def first_alone(what: str) -> Iterator[None]:
    """Let one process of this machine do something that leaves its result in the cache; then the others at once.

    Where files cannot be locked, all do it at once.
    """
    folder = cache_directory() / "prepared"
    done = folder / f"{what}.done"
    descriptor = None
    if sys.platform != "win32" and not done.exists():
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(folder / f"{what}.lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if done.exists():
                fcntl.flock(descriptor, fcntl.LOCK_UN)
    try:
        yield
        if descriptor is not None:
            with suppress(OSError):
                done.touch()
    finally:
        if descriptor is not None:
            os.close(descriptor)
