"""Files that are there whole or not at all: temporary name, fsync, atomic rename, fsync of the folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from simengine.errors import StoreError

PARTS_SUFFIX = ".parts"
TEMPORARY_SUFFIX = ".tmp"


def parts_of(path: Path) -> Path:
    """Return the folder that holds the segments of a run file while it is being written."""
    return path.with_name(path.name + PARTS_SUFFIX)


@contextmanager
def store_errors(doing: str) -> Iterator[None]:
    """Turn errors of the operating system and of the NetCDF library into one-line `StoreError`s."""
    try:
        yield
    except StoreError:
        raise
    except (OSError, RuntimeError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise StoreError(f"cannot {doing}: {' '.join(str(reason).split())}") from error


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then rename it; a failure leaves nothing.

    Any file of that name is replaced at the rename, not before.
    """
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    try:
        write(temporary)
        _fsync(temporary)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    _fsync(path.parent)


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write a small file whole or not at all."""

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            file.write(content)

    write_whole(path, write)


def is_netcdf(path: Path) -> bool:
    """Whether a file begins as a NetCDF file does."""
    with path.open("rb") as file:
        return file.read(8).startswith((b"\x89HDF\r\n\x1a\n", b"CDF"))


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Raise StoreError if ``path`` cannot become a new file: no parent folder, a folder, or there already."""
    parts = parts_of(path)
    if not path.parent.is_dir():
        raise StoreError(f"cannot write {path}: there is no folder {path.parent}")
    if path.is_dir():
        raise StoreError(f"cannot write {path}: it is a folder")
    if overwrite:
        if path.exists() and not is_netcdf(path):
            raise StoreError(f"{path} is not a run file; move it away or choose another name")
        return
    if path.exists():
        raise StoreError(f"{path} exists; choose another name or overwrite it")
    if parts.exists():
        raise StoreError(f"{parts} holds the rows of an unfinished run; keep them or overwrite {path}")


def remove_folder(path: Path) -> None:
    """Remove a folder of segments if it is there."""
    if path.is_dir():
        shutil.rmtree(path)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
