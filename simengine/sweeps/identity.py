"""Which sweep a folder holds: a random word at the head of ``sweep.json``, read without the rest."""

from __future__ import annotations

import os
import re
import uuid
from pathlib import Path

from simengine.errors import StoreError

SWEEP_FILE = "sweep.json"
_HEAD = re.compile(r'"id": "([0-9a-f]{32})"')
_HEAD_BYTES = 256


def new_id() -> str:
    """Return the identity of a sweep that begins."""
    return uuid.uuid4().hex


def sweep_id(folder: str | os.PathLike[str]) -> str:
    """Return the identity of the sweep in a folder; it stays when the sweep is extended.

    Raises
    ------
    StoreError
        If there is no sweep.
    """
    try:
        with (Path(folder) / SWEEP_FILE).open("rb") as file:
            found = _HEAD.search(file.read(_HEAD_BYTES).decode("ascii", "replace"))
    except OSError:
        found = None
    if found is None:
        raise StoreError(f"{folder} holds no sweep: there is no {SWEEP_FILE} in it")
    return found[1]


def is_sweep(path: str | os.PathLike[str]) -> bool:
    """Whether a folder holds a sweep, finished or not."""
    return (Path(path) / SWEEP_FILE).is_file()
