"""``sweep.json``: what a sweep is, written whole when it begins and again when it is extended."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simengine.errors import StoreError
from simengine.store.files import damage_errors, read_bytes, write_bytes
from simengine.sweeps.description import Description
from simengine.sweeps.design import Design
from simengine.sweeps.identity import SWEEP_FILE, sweep_id

_FORMAT = 1


@dataclass(frozen=True)
class Contents:
    """What a sweep is.

    Parameters
    ----------
    id
        Its identity, which stays when it is extended.
    description, design, replicates
        What all runs share, the points, and how many runs each point has.
    begun_with
        Numbers of points and replicates before the sweep was extended.
    """

    id: str
    description: Description
    design: Design
    replicates: int
    begun_with: tuple[int, int]


def write_contents(folder: Path, contents: Contents) -> None:
    """Write what a sweep is, whole or not at all."""
    said = {
        "id": contents.id,
        "format": _FORMAT,
        "description": contents.description.to_json(),
        "replicates": contents.replicates,
        "begun_with": list(contents.begun_with),
        "design": contents.design.to_json(),
    }
    write_bytes(folder / SWEEP_FILE, json.dumps({**said, "sha256": _digest(said)}).encode())


def read_contents(folder: Path) -> Contents:
    """Return what a sweep is.

    Raises
    ------
    StoreError
        If there is no sweep, or its file is damaged or of another format.
    """
    path = folder / SWEEP_FILE
    identity = sweep_id(folder)
    with damage_errors(f"read {path}"):
        said = json.loads(read_bytes(path))
        if not isinstance(said, dict) or said.pop("sha256", None) != _digest(said):
            raise StoreError(f"{path} is damaged: its checksum differs")
        if said["format"] != _FORMAT:
            raise StoreError(f"{path} has format {said['format']}, this version reads {_FORMAT}")
        points, replicates = said["begun_with"]
        return Contents(
            identity, Description.from_json(said["description"]), Design.from_json(said["design"]),
            said["replicates"], (points, replicates),
        )  # fmt: skip


def description_of(folder: Path) -> Description:
    """Return what all runs of a sweep share; read once in a process."""
    return _description(str(Path(folder).absolute()), sweep_id(folder))


@functools.lru_cache(maxsize=4)
def _description(folder: str, identity: str) -> Description:
    return read_contents(Path(folder)).description


def _digest(said: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()
