"""The head of a folder of segments: what was known of a run before its first row."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from simengine.errors import StoreError
from simengine.store import netcdf
from simengine.store.attributes import encode_attributes, plain
from simengine.store.dataset import global_attributes
from simengine.store.files import PARTS_SUFFIX, damage_errors, parts_of, read_bytes, write_bytes
from simengine.store.layout import Layout
from simengine.store.segments import missing_in, opened_segment, write_segment

HEADER = "header.json"
_FORMAT = 2


@dataclass(frozen=True)
class Header:
    """What is known of a run before its first row.

    Parameters
    ----------
    layout
        What is recorded.
    stable, volatile
        Global attributes; the content hash leaves the volatile ones out.
    static
        Values of static variables known at the start, as stored (fill values for missing ones).
    static_missing
        The names of those with missing values.
    """

    layout: Layout
    stable: Mapping[str, Any]
    volatile: Mapping[str, Any]
    static: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    static_missing: frozenset[str] = frozenset()

    def with_attributes(self, stable: Mapping[str, Any], volatile: Mapping[str, Any]) -> Header:
        """Return the header with attributes added or replaced."""
        still_volatile = {name: value for name, value in stable.items() if name in self.volatile}
        return replace(
            self,
            stable={**self.stable, **stable},
            volatile={**self.volatile, **still_volatile, **volatile},
        )

    def global_attributes(self) -> dict[str, Any]:
        """Return the encoded global attributes of the file."""
        return global_attributes(self.layout, self.stable, self.volatile)


def write_header(parts: Path, header: Header) -> None:
    """Write the header, and segment 0 with the fixed coordinates and the static values."""
    content = {
        "format": _FORMAT,
        "layout": header.layout.header(),
        "attributes": plain(header.stable),
        "volatile": plain(header.volatile),
    }
    arrays = {name: header.layout.coordinate_array(name) for name in header.layout.coordinates}
    write_segment(parts, 0, header.layout, arrays | dict(header.static), header.static_missing)
    content["sha256"] = _digest(content)
    write_bytes(parts / HEADER, json.dumps(content, indent=1).encode())


def read_header(parts: Path) -> Header:
    """Return the header of a folder of segments.

    Raises
    ------
    StoreError
        If it is missing, damaged, or of another format.
    """
    file = parts / HEADER
    try:
        text = read_bytes(file)
    except (FileNotFoundError, NotADirectoryError):
        raise StoreError(f"{parts} holds no run: there is no {HEADER} in it") from None
    except OSError as error:
        raise StoreError(f"cannot read {file}: {error.strerror}") from error
    with damage_errors(f"read {file}"):
        content = json.loads(text)
        if not isinstance(content, dict) or "format" not in content:
            raise StoreError(f"{file} is damaged: it is no header of a run")
        if content["format"] != _FORMAT:
            raise StoreError(f"{parts} has format {content['format']}, this version reads {_FORMAT}")
        if content.pop("sha256", None) != _digest(content):
            raise StoreError(f"{file} is damaged: its checksum differs")
        for part in ("attributes", "volatile"):
            if not isinstance(content.get(part), dict):
                raise StoreError(f"{file} is damaged: it has no {part}")
            encode_attributes(content[part])
    with opened_segment(parts, 0) as first, damage_errors(f"read {file}"):
        values = {name: netcdf.read(first, name) for name in first.variables}
        coordinates = {name: values.pop(name) for name in content["layout"]["coordinates"]}
        layout = Layout.from_header(content["layout"], coordinates)
        return Header(layout, content["attributes"], content["volatile"], values, frozenset(missing_in(first)))


def read_header_of(path: str | os.PathLike[str]) -> Header:
    """Return the header of an unfinished run, given its file to be or its folder ``OUT.parts``.

    Raises
    ------
    StoreError
        If there is no unfinished run, or its header is damaged.
    """
    return read_header(unfinished_parts(path))


def unfinished_parts(path: str | os.PathLike[str]) -> Path:
    """Return the folder of segments of a run, given its file to be or that folder itself."""
    path = Path(path)
    return path if path.name.endswith(PARTS_SUFFIX) and path.is_dir() else parts_of(path)


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
