"""Tables to files: Parquet, and CSV with a file of JSON that says what its columns are. Whole, or not at all."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.analysis.interchange.tables import Batch, Column, Table
from simengine.store.attributes import plain
from simengine.store.files import write_whole

METADATA_KEY = b"simengine"
"""The key of the attributes in the metadata of a Parquet file's schema."""

SIDECAR_SUFFIX = ".json"
ARROW_TYPES = {"float": "float64", "integer": "int64", "unsigned": "uint64", "boolean": "bool_", "text": "string"}


def sidecar_of(path: Path) -> Path:
    """Return the file that says what the columns of a CSV file are."""
    return path.with_name(path.name + SIDECAR_SUFFIX)


def described(table: Table) -> dict[str, Any]:
    """Return the attributes of a table and of its columns as JSON-ready values."""
    return {
        "attributes": plain(dict(table.attributes)),
        "columns": {column.name: {"type": column.kind, **plain(dict(column.attributes))} for column in table.columns},
    }


def write_parquet(table: Table, path: Path) -> None:
    """Write a table as Parquet, a row group for each batch.

    The schema's metadata hold `described` as JSON under `METADATA_KEY`, those of each column its attributes. Missing
    values are nulls, also those of floats that are NaN.
    """
    pyarrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    said = described(table)
    fields = [
        pyarrow.field(
            column.name, getattr(pyarrow, ARROW_TYPES[column.kind])(), metadata=_texts(said["columns"][column.name])
        )
        for column in table.columns
    ]  # fmt: skip
    schema = pyarrow.schema(fields, metadata={METADATA_KEY: json.dumps(said).encode()})

    def write(temporary: Path) -> None:
        with parquet.ParquetWriter(temporary, schema, compression="zstd") as writer:
            for batch in table.rows():
                arrays = [
                    pyarrow.array(_plain(batch[one.name], one), type=field.type, mask=missing(batch[one.name]))
                    for one, field in zip(table.columns, fields, strict=True)
                ]
                writer.write_batch(pyarrow.record_batch(arrays, schema=schema))

    write_whole(path, write)


def _texts(said: Mapping[str, Any]) -> dict[str, str]:
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in said.items()}


def missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which values are missing: NaN of numbers, None of texts; shape (rows,)."""
    if values.dtype.kind == "f":
        return np.asarray(np.isnan(values), bool)
    if values.dtype.kind == "O":
        return np.array([value is None for value in values], bool)
    return np.zeros(len(values), bool)


def _plain(values: NDArray[Any], column: Column) -> NDArray[Any]:
    """Values in the type of their column, anything where they are missing."""
    if column.kind == "text":
        return (values.astype(str) if values.dtype.kind in "Mm" else values).astype(object)
    if column.kind == "float":
        return values.astype(np.float64)
    known = np.where(missing(values), 0, values) if values.dtype.kind == "f" else values
    if column.kind == "boolean":
        return known.astype(bool)
    return known.astype(np.uint64 if column.kind == "unsigned" else np.int64)


def write_csv(table: Table, path: Path) -> None:
    """Write a table as CSV, and beside it `described` as JSON, under the name with ``.json`` after it.

    The first line has the names, missing values are empty, truth values ``true`` and ``false``; numbers have all
    their digits. So pandas and R read it without being told anything.
    """

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([column.name for column in table.columns])
            for batch in table.rows():
                writer.writerows(zip(*_written(batch, table), strict=True))

    told = sidecar_of(path)
    before = told.read_bytes() if told.is_file() else None
    write_whole(told, lambda temporary: _write_json(described(table), temporary))
    try:
        write_whole(path, write)
    except BaseException:
        if before is None:
            told.unlink(missing_ok=True)
        else:
            told.write_bytes(before)
        raise


def _write_json(said: Mapping[str, Any], path: Path) -> None:
    path.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


def _written(batch: Batch, table: Table) -> list[list[Any]]:
    found = []
    for column in table.columns:
        values = batch[column.name]
        absent = missing(values)
        listed = _plain(values, column).tolist()
        if column.kind == "boolean":
            listed = ["true" if value else "false" for value in listed]
        if absent.any():
            listed = ["" if gone else value for value, gone in zip(listed, absent.tolist(), strict=True)]
        found.append(listed)
    return found
