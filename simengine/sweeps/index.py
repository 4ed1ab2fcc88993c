"""What a finished sweep was compacted to: which files in ``data/``; written after all of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simengine.errors import StoreError
from simengine.store.files import damage_errors, read_bytes, write_bytes

INDEX, DATA = "index.json", "data"
_FORMAT = 1


@dataclass(frozen=True)
class Index:
    """The files of one compaction.

    Parameters
    ----------
    generation
        Number of the compaction; files of others are leftovers.
    table
        Name of the file with the table of all runs.
    files
        Name and number of runs of each file with values: the rows of the table, one file after the other.
    missing
        Variables of integers with missing values within what runs recorded.
    content_hash
        Of the merged Dataset.
    """

    generation: int
    table: str
    files: tuple[tuple[str, int], ...]
    missing: tuple[str, ...]
    content_hash: str

    @property
    def names(self) -> set[str]:
        """Names of all its files."""
        return {self.table, *(name for name, _ in self.files)}


def write_index(folder: Path, index: Index) -> None:
    """Write the index; from then on it is what the sweep holds."""
    said = {"format": _FORMAT, **vars(index)}
    write_bytes(folder / INDEX, json.dumps({**said, "sha256": _digest(said)}, indent=1).encode())


def read_index(folder: Path) -> Index | None:
    """Return the index of a sweep, None where there is none.

    Raises
    ------
    StoreError
        If it is damaged.
    """
    path = folder / INDEX
    with damage_errors(f"read {path}"):
        if not path.exists():
            return None
        said = json.loads(read_bytes(path))
        if not isinstance(said, dict) or said.pop("sha256", None) != _digest(said):
            raise StoreError(f"{path} is damaged: its checksum differs")
        if said["format"] != _FORMAT:
            raise StoreError(f"{path} has format {said['format']}, this version reads {_FORMAT}")
        return Index(
            said["generation"], said["table"], tuple((name, count) for name, count in said["files"]),
            tuple(said["missing"]), said["content_hash"],
        )  # fmt: skip


def _digest(said: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
