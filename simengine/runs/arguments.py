"""Checks of what users give beside the scenario's parameters: numbers, choices and paths."""

from __future__ import annotations

import operator
import os
from pathlib import Path
from typing import Any

from simengine.errors import InputError, nearest
from simengine.runs.engine import StorageOrder
from simengine.scenario.parameters import shown

STORAGE_ORDERS: tuple[StorageOrder, ...] = ("auto", "by_id", "by_cell")
MOST_STEPS = 2**62
MOST_THREADS = 1024
LONGEST_PATH = 300
OVERWRITE = "overwrite=True, or --force on the command line"


def whole_number(name: str, value: Any, low: int, high: int | None = None) -> int:
    """Return the value as a Python int; ``InputError`` unless it is a whole number within the bounds."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < low or (high is not None and number > high):
        allowed = f"a whole number, at least {low}" + ("" if high is None else f", at most {high}")
        raise InputError(f"{name}: got {shown(value)}, allowed is {allowed}")
    return number


def checked_threads(threads: Any) -> int | None:
    """Return a number of threads, or ``None`` for the default."""
    return None if threads is None else whole_number("threads", threads, 1, MOST_THREADS)


def checked_order(storage_order: Any) -> StorageOrder:
    """Return a storage order; ``InputError`` for anything else."""
    for known in STORAGE_ORDERS:
        if isinstance(storage_order, str) and storage_order == known:
            return known
    allowed = ", ".join(map(repr, STORAGE_ORDERS))
    hint = nearest(storage_order, STORAGE_ORDERS) if isinstance(storage_order, str) else ""
    raise InputError(f"storage_order: got {shown(storage_order)}, allowed is {allowed}{hint}")


def checked_path(out: str | Path, overwrite: bool) -> Path:
    """Return the path to write to; ``InputError`` when no file can be made there."""
    from simengine.store.files import parts_of

    if not isinstance(out, str | os.PathLike) or not str(out):
        raise InputError(f"out: got {shown(out)}, allowed is the path of a file")
    path = Path(out)
    parent, parts = path.parent, parts_of(path)
    reason = ""
    try:
        str(path).encode()
        if "\0" in str(path):
            reason = "a name cannot hold a NUL character"
        elif path.is_dir():
            reason = "it is a folder; give the path of a file in it"
        elif not parent.is_dir():
            reason = f"{parent} is a file, not a folder" if parent.exists() else f"there is no folder {parent}"
        elif not overwrite and path.exists():
            reason = f"it exists; choose another name, or overwrite it ({OVERWRITE})"
        elif not overwrite and parts.exists():
            reason = f"{parts} holds an unfinished run; choose another name, or overwrite it ({OVERWRITE})"
    except UnicodeEncodeError:
        reason = "its name is not Unicode text"
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
    if reason:
        raise InputError(f"out: cannot write {shown_path(path)}: {reason}")
    return path


def shown_path(path: Path) -> str:
    """Return a path in one short line."""
    text = str(path)
    return text if len(text) <= LONGEST_PATH and text.isprintable() else shown(text)
