"""Files that are there whole or not at all: temporary name, fsync, atomic rename, fsync of the folder."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from simengine.errors import SimengineError, StoreError

PARTS_SUFFIX = ".parts"
TEMPORARY_SUFFIX = ".tmp"
_REMOVED_SUFFIX = ".removed" + TEMPORARY_SUFFIX


def parts_of(path: str | os.PathLike[str]) -> Path:
    """Return the folder that holds the segments of a run file while it is being written."""
    path = Path(path)
    return path.parent / f"{path.name}{PARTS_SUFFIX}"


@contextmanager
def store_errors(doing: str) -> Iterator[None]:
    """Turn errors of the operating system and of the NetCDF library into one-line `StoreError`s."""
    try:
        yield
    except SimengineError:
        raise
    except (OSError, RuntimeError, MemoryError) as error:
        raise StoreError(f"cannot {doing}: {_reason(error)}") from error


@contextmanager
def damage_errors(doing: str) -> Iterator[None]:
    """Turn every error that the content of a file can cause into a one-line `StoreError`.

    A damaged file makes the libraries beneath raise errors of nearly any class; use this around code that
    does nothing but read.
    """
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        raise StoreError(f"cannot {doing}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    reason = getattr(error, "strerror", None) or str(error)
    text = " ".join(str(reason).split())
    if isinstance(error, OSError | RuntimeError | ValueError) and text:
        return text
    return f"{type(error).__name__} {text}".rstrip()


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then rename it; a failure leaves nothing.

    Any file of that name is replaced at the rename, not before. ``write`` gets an absolute path: the NetCDF library
    takes relative ones that begin with a blank or a tilde for others.
    """
    temporary = path.absolute().with_name(path.name + TEMPORARY_SUFFIX)
    try:
        write(temporary)
        fsync(temporary)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    fsync(path.parent)


def write_bytes(path: Path, *blocks: bytes | memoryview) -> None:
    """Write a small file, block after block, whole or not at all."""

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            for block in blocks:
                file.write(block)

    write_whole(path, write)


def make_folder_whole(path: Path, fill: Callable[[Path], None]) -> None:
    """Let ``fill`` write into a temporary folder beside ``path``, then rename it; a failure leaves nothing.

    A folder of that name is replaced, at the end. What a killed process left of the temporary one is removed.
    """
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    remove_folder(temporary)
    try:
        temporary.mkdir()
        fill(temporary)
        remove_folder(path)
        os.rename(temporary, path)
    except BaseException:
        with suppress(OSError):
            shutil.rmtree(temporary)
        raise
    fsync(path.parent)


def read_bytes(path: Path) -> bytes:
    """Return what a file holds; ``OSError`` for a pipe in its place, which would be waited for."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "it is no ordinary file")
    return path.read_bytes()


def is_netcdf(path: Path) -> bool:
    """Whether a file begins as a NetCDF file does."""
    if not path.is_file():
        return False
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
    """Remove a folder and its content if it is there; to a reader it vanishes at once.

    What a process left that was killed while it removed the folder goes too.
    """
    if path.name.endswith(TEMPORARY_SUFFIX):
        if path.is_dir():
            shutil.rmtree(path)
        return
    removed = path.with_name(path.name + _REMOVED_SUFFIX)
    remove_folder(removed)
    if not path.is_dir():
        return
    os.rename(path, removed)
    fsync(path.parent)
    shutil.rmtree(removed)


def fsync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
