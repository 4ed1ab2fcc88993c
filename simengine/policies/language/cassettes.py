"""Cassettes: a record as one compressed file to hand on, with a manifest that says what is in it."""

from __future__ import annotations

import base64
import json
import os
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simengine.errors import InputError, StoreError
from simengine.policies.language.calls import Capabilities
from simengine.policies.language.database import LAYOUT, insert
from simengine.policies.language.entries import COLUMNS

if TYPE_CHECKING:
    from simengine.policies.language.record import Record

FORMAT = "simengine cassette"
TABLES = {
    "answers": (COLUMNS, "key, turn"),
    "messages": (("digest", "text"), "digest"),
    "texts": (("digest", "text"), "digest"),
    "decisions": (("step", "label", "part", "columns"), "label, step, part"),
}
BYTES = {"key", "log_probabilities", "columns"}
AT_ONCE = 500


def is_cassette(path: Path) -> bool:
    """Whether a file is a cassette."""
    return zipfile.is_zipfile(path)


def write_cassette(record: Record, path: Path) -> None:
    """Write a cassette in place of what ``path`` was, whole or not at all."""
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {path.parent} for a cassette")
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(half, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as cassette:
            counts = {}
            for table in TABLES:
                with cassette.open(f"{table}.jsonl", "w", force_zip64=True) as lines:
                    counts[table] = 0
                    for row in _rows(record, table):
                        lines.write(json.dumps(row, ensure_ascii=True).encode() + b"\n")
                        counts[table] += 1
            cassette.writestr("manifest.json", json.dumps(_manifest(record, counts), indent=1))
        os.replace(half, path)
    except OSError as error:
        raise StoreError(f"cassette {path}: {error.strerror or error}") from error
    finally:
        half.unlink(missing_ok=True)


def read_cassette(record: Record, path: Path) -> None:
    """Add what a cassette holds to a record, in one transaction; what the record has stays."""
    manifest = manifest_of(path)
    with zipfile.ZipFile(path) as cassette, record.database.writing() as connection:
        try:
            for table, (columns, _) in TABLES.items():
                with cassette.open(f"{table}.jsonl") as lines:
                    count = 0
                    rows: list[tuple[Any, ...]] = []
                    for line in lines:
                        rows.append(_values(columns, json.loads(line)))
                        count += 1
                        if len(rows) == AT_ONCE:
                            insert(connection, "INSERT OR IGNORE", table, rows)
                            rows = []
                    insert(connection, "INSERT OR IGNORE", table, rows)
                if count != manifest["counts"][table]:
                    raise InputError(f"cassette {path}: {count} {table}, its manifest says {manifest['counts'][table]}")
        except (KeyError, ValueError, TypeError, OSError, zipfile.BadZipFile) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"cassette {path} is damaged: {error}") from error
    for stored in manifest["backends"].values():
        record.keep_backend(Capabilities(**stored))


def manifest_of(path: Path) -> dict[str, Any]:
    """What a cassette says of itself: counts, models, backends, digest of keys and answers, date, versions."""
    try:
        with zipfile.ZipFile(path) as cassette:
            found: dict[str, Any] = json.loads(cassette.read("manifest.json"))
    except FileNotFoundError:
        raise InputError(f"there is no cassette {path}") from None
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not a cassette: {error}") from error
    if found.get("format") != FORMAT:
        raise InputError(f"{path} is not a cassette")
    if found.get("layout") != LAYOUT:
        raise InputError(f"cassette {path} has layout {found.get('layout')}; this version reads layout {LAYOUT}")
    return found


def _manifest(record: Record, counts: dict[str, int]) -> dict[str, Any]:
    known = record.backends()
    try:
        program = version("simengine")
    except PackageNotFoundError:
        program = "unknown"
    return {
        "format": FORMAT,
        "layout": LAYOUT,
        "counts": counts,
        "models": sorted(known),
        "backends": {model: asdict(known[model]) for model in sorted(known)},
        "digest": record.digest(),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "versions": {"simengine": program},
    }


def _rows(record: Record, table: str) -> Iterator[list[Any]]:
    """Rows of a table in the order of their addresses, bytes as base64."""
    columns, order = TABLES[table]
    places = [place for place, name in enumerate(columns) if name in BYTES]
    with record.database.using() as connection:
        for row in connection.execute(f"SELECT {', '.join(columns)} FROM {table} ORDER BY {order}"):
            values = list(row)
            for place in places:
                values[place] = base64.b64encode(values[place]).decode()
            yield values


def _values(columns: Sequence[str], row: list[Any]) -> tuple[Any, ...]:
    if len(row) != len(columns):
        raise ValueError(f"a row of {len(row)} values in place of {len(columns)}")
    return tuple(base64.b64decode(value) if name in BYTES else value for name, value in zip(columns, row, strict=True))
