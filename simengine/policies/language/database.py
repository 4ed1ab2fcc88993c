"""The SQLite file under a record: opened on first use, reopened after a fork or in a copy, one error line for all."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from simengine.errors import InputError, StoreError

APPLICATION = 0x73656C63
LAYOUT = 1
SIZES = (500, 64, 8, 1)
"""Numbers of values in one statement, so that few statements serve all numbers of keys."""

TABLES = """
CREATE TABLE IF NOT EXISTS answers (
    key BLOB NOT NULL, turn INTEGER NOT NULL, model TEXT NOT NULL, step INTEGER NOT NULL, label TEXT NOT NULL,
    place INTEGER NOT NULL, request TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL,
    log_probabilities BLOB NOT NULL, finish TEXT NOT NULL, status INTEGER, input INTEGER NOT NULL,
    cached_input INTEGER NOT NULL, output INTEGER NOT NULL, reasoning INTEGER NOT NULL, known INTEGER NOT NULL,
    attempts INTEGER NOT NULL, latency REAL NOT NULL, date REAL NOT NULL, answered_by TEXT NOT NULL,
    fingerprint TEXT NOT NULL, PRIMARY KEY (key, turn));
CREATE TABLE IF NOT EXISTS messages (digest TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS texts (digest INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS decisions (
    step INTEGER NOT NULL, label TEXT NOT NULL, part TEXT NOT NULL, columns BLOB NOT NULL,
    PRIMARY KEY (label, step, part));
CREATE TABLE IF NOT EXISTS backends (model TEXT PRIMARY KEY, capabilities TEXT NOT NULL) WITHOUT ROWID;
"""

_INHERITED: list[sqlite3.Connection] = []
"""Connections of a parent process: never used and never closed here, because closing would touch its file."""


class Database:
    """One connection for all threads of a process, behind a lock; a transaction at a time.

    ``path`` None is a database in memory, whose copies carry its content. A file that this process may not write is
    opened for reading.
    """

    def __init__(self, path: Path | None, *, create: bool = True) -> None:
        self.path, self.create = path, create
        self.writable = True
        self._content = b""
        self._begin()

    def _begin(self) -> None:
        self._lock, self._process = threading.RLock(), os.getpid()
        self._connection: sqlite3.Connection | None = None

    def __getstate__(self) -> dict[str, Any]:
        content = b""
        if self.path is None:
            with self.using() as connection:
                content = connection.serialize()
        return {"path": self.path, "create": self.create, "content": content}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.path, self.create, self._content = state["path"], state["create"], state["content"]
        self.writable = True
        self._begin()

    @property
    def name(self) -> str:
        """What errors call it."""
        return f"the record {self.path}" if self.path else "the record in memory"

    @contextmanager
    def using(self) -> Iterator[sqlite3.Connection]:
        """The open connection, for this thread alone; errors of the file are `StoreError`."""
        if self._process != os.getpid():
            self._leave_to_parent()
        with self._lock:
            try:
                yield self._connection or self._open()
            except sqlite3.Error as error:
                raise StoreError(f"{self.name}: {error}") from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is in the file when this returns, or nothing."""
        with self.using() as connection:
            if not self.writable:
                raise StoreError(f"{self.name} may only be read")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def close(self) -> None:
        """Close the file (the next use opens it again); a database in memory stays."""
        if self._process != os.getpid():
            self._leave_to_parent()
        with self._lock:
            if self._connection is not None and self.path is not None:
                self._connection.close()
                self._connection = None

    def _leave_to_parent(self) -> None:
        inherited, content = self._connection, None
        if inherited is not None:
            _INHERITED.append(inherited)
            if self.path is None:
                content = inherited.serialize()
        self._begin()
        self._content = content or self._content

    def _open(self) -> sqlite3.Connection:
        if self.path is None:
            connection = _connected(":memory:")
            if self._content:
                connection.deserialize(self._content)
                self._content = b""
        else:
            connection = self._open_file(self.path)
        if self.writable:
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
        self._connection = connection
        return connection

    def _open_file(self, path: Path) -> sqlite3.Connection:
        if not path.exists():
            if not self.create:
                raise InputError(f"there is no record {path}")
            if not path.parent.is_dir():
                raise InputError(f"there is no folder {path.parent} for a record")
        elif path.is_dir():
            raise InputError(f"{path} is a folder; a record is a file")
        else:
            with path.open("rb") as file:
                if file.read(15) not in {b"", b"SQLite format 3"}:
                    raise InputError(f"{path} is not a record of calls")
        self.writable = os.access(path if path.exists() else path.parent, os.W_OK) and os.access(path.parent, os.W_OK)
        if self.writable:
            return _connected(str(path.absolute()))
        waiting = path.with_name(f"{path.name}-wal")
        mode = "mode=ro" if waiting.exists() and waiting.stat().st_size else "immutable=1"
        return _connected(f"file:{quote(str(path.resolve()))}?{mode}")

    def _prepare(self, connection: sqlite3.Connection) -> None:
        known = connection.execute("PRAGMA application_id").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        layout = connection.execute("PRAGMA user_version").fetchone()[0]
        if tables and known != APPLICATION:
            raise InputError(f"{self.path} is not a record of calls")
        if tables and layout != LAYOUT:
            raise InputError(f"{self.name} has layout {layout}; this version reads layout {LAYOUT}")
        if self.path is not None:
            _write_ahead(connection)
        if not tables:
            connection.executescript(
                f"BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {LAYOUT};"
                f"{TABLES} COMMIT;"
            )


def _connected(address: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        address, timeout=60.0, isolation_level=None, check_same_thread=False, uri=address.startswith("file:")
    )
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging; another process may be doing so at this moment."""
    for attempt in range(50):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if attempt == 49:
                raise
            time.sleep(0.02)


def insert(connection: sqlite3.Connection, verb: str, table: str, rows: Sequence[tuple[Any, ...]]) -> int:
    """Insert rows, many to a statement (each statement gives the interpreter away once); how many were new."""
    done, new = 0, 0
    while done < len(rows):
        size = next(size for size in (64, 8, 1) if size <= len(rows) - done)
        marks = ",".join([f"({','.join('?' * len(rows[0]))})"] * size)
        flat = [value for row in rows[done : done + size] for value in row]
        new += connection.execute(f"{verb} INTO {table} VALUES {marks}", flat).rowcount
        done += size
    return new


def select(connection: sqlite3.Connection, query: str, values: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """Rows of ``query``, in which ``{}`` stands for a list of values; hundreds of values to a statement."""
    done = 0
    while done < len(values):
        left = len(values) - done
        size = next((size for size in reversed(SIZES) if size >= left), SIZES[0])
        some = list(values[done : done + size])
        some += some[-1:] * (size - len(some))
        yield from connection.execute(query.format(",".join("?" * size)), some).fetchall()
        done += size
