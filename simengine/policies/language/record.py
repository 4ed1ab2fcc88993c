"""The record of a run's calls: journal while the run goes on, cassette afterwards, and the form of a shared cache.

One SQLite file with a write-ahead log. An answer is in the file before anybody sees it, so a killed run repeats no
answered call; a process that dies leaves the log, which the next one reads. Answers are addressed by the key of their
request (`simengine.policies.language.calls.Request.key`), texts by their digest; addresses of servers and credentials
are in neither.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from simengine.errors import InputError
from simengine.policies.language.calls import Capabilities, Request
from simengine.policies.language.database import Database, insert, select
from simengine.policies.language.decision_rows import joined, packed, unpacked
from simengine.policies.language.entries import (
    ANSWER_COLUMNS,
    COLUMNS,
    STANDING,
    Entry,
    digests_in,
    entry_of,
    written_out,
)

KEPT_ENTRIES = 8192
KEPT_DIGESTS = 65536

_COLUMNS = ", ".join(COLUMNS)
_OPEN: weakref.WeakValueDictionary[tuple[int, str], Record] = weakref.WeakValueDictionary()


class Record:
    """Answers, texts and decisions of a run, in one file (``path`` None: in memory).

    Parameters
    ----------
    path
        The file; made on first use. A file that may not be written is opened for reading.
    redact
        Takes out of a text what must not be kept; applied to all texts kept, and to replies *before* anybody sees them,
        so that a replay sees the same. Its own results must come back from it unchanged.
    create
        Whether a missing file is made (otherwise it is an ``InputError``).

    Notes
    -----
    Safe to use from several threads, and the file from several processes: of two answers to one request the first
    stays, and `put` tells both which one that is. Copies (pickled, or in a forked process) open the file again.
    """

    def __init__(
        self, path: str | Path | None, *, redact: Callable[[str], str] | None = None, create: bool = True
    ) -> None:
        self.path = None if path is None else Path(path)
        self.redact = redact
        self.database = Database(self.path, create=create)
        self._recent: dict[str, Entry] = {}
        self._known_texts: set[str] = set()

    def __repr__(self) -> str:
        return f"Record({str(self.path)!r})" if self.path else "Record(None)"

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_recent": {}, "_known_texts": set()}

    @classmethod
    def at(cls, path: str | Path) -> Record:
        """The one record of this process for a file."""
        place = (os.getpid(), str(Path(path).resolve()))
        found = _OPEN.get(place)
        if found is None:
            found = _OPEN.setdefault(place, cls(path))
        return found

    @classmethod
    def remove(cls, path: Path) -> None:
        """Remove a file of answers; whoever holds the record of it in this process looks for another one there."""
        held = _OPEN.get((os.getpid(), str(path.resolve())))
        if held is not None:
            held.close()
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)

    def __enter__(self) -> Record:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the next use opens it again, or another one that lies there by then."""
        self.database.close()
        if self.path is not None:
            self._recent.clear()
            self._known_texts.clear()

    def __len__(self) -> int:
        with self.database.using() as connection:
            return int(connection.execute("SELECT count(*) FROM answers").fetchone()[0])

    def get(self, keys: Sequence[str], step: int | None = None) -> dict[str, Entry]:
        """The entries of those ``keys`` that have one.

        An answer stands for all steps. A failure that another attempt might have mended (`calls.PASSING`) holds for its
        own step only, and is found when ``step`` is that one, or without ``step`` where nothing else is recorded.
        """
        found = {}
        missing = []
        for key in keys:
            entry = self._recent.get(key)
            if entry is not None and (step is None or entry.step <= step):
                found[key] = entry
            else:
                missing.append(bytes.fromhex(key))
        if missing:
            turn = "" if step is None else f" AND turn IN ({STANDING}, {int(step)})"
            query = f"SELECT {_COLUMNS} FROM answers WHERE key IN ({{}}){turn} ORDER BY key, turn"
            with self.database.using() as connection:
                rows = list(select(connection, query, missing))
            for row in rows:
                entry = entry_of(row)
                known = found.get(entry.key)
                if known is None or (known.turn != STANDING if step is None else known.step > step):
                    found[entry.key] = entry
                if entry.turn == STANDING:
                    self._keep(entry)
        return found

    def put(self, entries: Sequence[Entry]) -> list[Entry]:
        """Write entries and return them as they stand in the file, once they are in it.

        Where a request has an answer already, that one stays and is returned.
        """
        rows = [entry.row(self.redact) for entry in entries]
        texts = self._new_texts(entries)
        with self.database.writing() as connection:
            if texts:
                insert(connection, "INSERT OR IGNORE", "messages", list(texts.items()))
            new = insert(connection, "INSERT OR IGNORE", "answers", rows)
            stored: Sequence[tuple[Any, ...]] = rows
            if new < len(rows):
                query = f"SELECT {_COLUMNS} FROM answers WHERE key IN ({{}})"
                there = {(row[0], row[1]): row for row in select(connection, query, [row[0] for row in rows])}
                stored = [there[row[0], row[1]] for row in rows]
        self._known_texts.update(texts)
        if len(self._known_texts) > KEPT_DIGESTS:
            self._known_texts.clear()
        kept = [entry_of(row) for row in stored]
        for entry in kept:
            if entry.turn == STANDING:
                self._keep(entry)
        return kept

    def lower(self, keys: Sequence[str], step: int) -> None:
        """Say that the answers of ``keys`` were first asked for at ``step``, where the record says later."""
        with self.database.writing() as connection:
            for key in keys:
                connection.execute(
                    "UPDATE answers SET step = ? WHERE key = ? AND turn = ? AND step > ?",
                    (step, bytes.fromhex(key), STANDING, step),
                )
        for key in keys:
            self._recent.pop(key, None)

    def forget_failures(self, step: int) -> None:
        """Drop the failures that hold for one step only, which is not taken and may be asked for again."""
        with self.database.writing() as connection:
            connection.execute("DELETE FROM answers WHERE turn = ?", (int(step),))

    def texts(self, digests: Sequence[int]) -> dict[int, str]:
        """The texts kept under those of the ``digests`` that have one."""
        with self.database.using() as connection:
            query = "SELECT digest, text FROM texts WHERE digest IN ({})"
            return dict(select(connection, query, [int(one) for one in digests]))

    def keep_texts(self, texts: Mapping[int, str]) -> None:
        """Keep texts under their digests (whole numbers of 62 bits)."""
        rows = [(int(digest), self.redact(text) if self.redact else text) for digest, text in texts.items()]
        if rows:
            with self.database.writing() as connection:
                insert(connection, "INSERT OR IGNORE", "texts", rows)

    def keep_decisions(self, step: int, label: str, *, part: str = "", **columns: NDArray[Any]) -> None:
        """Keep what was decided at a step: one array per column with one row per agent (``ids`` among them).

        ``part`` tells apart what several shards, policies or turns decided at one step; what was kept of the same
        step, label and part before is replaced.
        """
        row = (int(step), label, part, packed(columns))
        with self.database.writing() as connection:
            connection.execute("INSERT OR REPLACE INTO decisions VALUES (?, ?, ?, ?)", row)

    def forget_decisions(self, after: int) -> None:
        """Drop the decisions of steps after ``after``, which a resumed run takes again."""
        with self.database.writing() as connection:
            connection.execute("DELETE FROM decisions WHERE step > ?", (int(after),))

    def decision_labels(self) -> list[str]:
        """The decisions that have rows."""
        with self.database.using() as connection:
            return [row[0] for row in connection.execute("SELECT DISTINCT label FROM decisions ORDER BY label")]

    def decisions(self, label: str, first: int | None = None, last: int | None = None) -> dict[str, NDArray[Any]]:
        """The decisions kept under ``label`` from step ``first`` to ``last``: columns by name, by step and id.

        ``step`` is one of the columns. Without any row the dict is empty.
        """
        query = "SELECT step, columns FROM decisions WHERE label = ? AND step BETWEEN ? AND ? ORDER BY step, part"
        bounds = (-(2**62) if first is None else int(first), 2**62 if last is None else int(last))
        with self.database.using() as connection:
            rows = connection.execute(query, (label, *bounds)).fetchall()
        return joined([(step, unpacked(blob)) for step, blob in rows])

    def keep_backend(self, capabilities: Capabilities) -> None:
        """Keep what a backend can do, for a replay to go the same way."""
        row = (capabilities.model, json.dumps(asdict(capabilities), sort_keys=True, default=dict))
        with self.database.writing() as connection:
            connection.execute("INSERT OR IGNORE INTO backends VALUES (?, ?)", row)

    def backends(self) -> dict[str, Capabilities]:
        """What the backends could do whose answers are here, by model."""
        with self.database.using() as connection:
            rows = connection.execute("SELECT model, capabilities FROM backends ORDER BY model").fetchall()
        return {model: Capabilities(**json.loads(stored)) for model, stored in rows}

    def spent(self, model: str) -> list[tuple[Any, ...]]:
        """What ``model`` was paid, by label: label, and the numbers of `simengine.policies.language.spending.Spent`."""
        query = (
            "SELECT label, count(*), sum(attempts), sum(input), sum(cached_input), sum(output), sum(reasoning),"
            " sum(known = 0) FROM answers WHERE model = ? AND attempts > 0 GROUP BY label ORDER BY label"
        )
        with self.database.using() as connection:
            return connection.execute(query, (model,)).fetchall()

    def entries(self, model: str | None = None) -> Iterator[Entry]:
        """All entries, by key, a few at a time; ``texts`` of each are those that its request names."""
        after: tuple[bytes, int] = (b"", STANDING)
        while True:
            where, values = "(key, turn) > (?, ?)", [*after]
            if model is not None:
                where, values = f"{where} AND model = ?", [*values, model]
            query = f"SELECT {_COLUMNS} FROM answers WHERE {where} ORDER BY key, turn LIMIT 500"
            with self.database.using() as connection:
                rows = connection.execute(query, values).fetchall()
            if not rows:
                return
            yield from map(entry_of, rows)
            after = (rows[-1][0], rows[-1][1])

    def message_texts(self, digests: Sequence[str]) -> dict[str, str]:
        """The texts of messages and schemas by digest."""
        with self.database.using() as connection:
            return dict(select(connection, "SELECT digest, text FROM messages WHERE digest IN ({})", digests))

    def asked(self, entry: Entry) -> dict[str, Any]:
        """What an entry's request asked, with its texts (as `Request.content`)."""
        return written_out(entry.request, self.message_texts(digests_in(entry.request)))

    def nearest(self, request: Request, model: str) -> str:
        """One line: the recorded request most like ``request``, and which parts differ."""
        from simengine.policies.language.nearest import nearest_line

        return nearest_line(self, request, model)

    def copy_to(self, path: Path) -> None:
        """Write all that is here to another file, in the place of what is there."""
        Record.remove(path)
        with self.database.using() as connection, closing(sqlite3.connect(path)) as copy:
            connection.backup(copy)

    def digest(self) -> str:
        """32 hexadecimal digits over all keys and answers; latencies, dates, attempts and usage do not enter."""
        total = hashlib.blake2b(digest_size=16)
        columns = ("key", "turn", *(name for name in ANSWER_COLUMNS if name != "text"))
        shown = ", ".join(columns) + ", CASE kind WHEN 'reply' THEN text ELSE '' END"
        with self.database.using() as connection:
            for row in connection.execute(f"SELECT {shown} FROM answers ORDER BY key, turn"):
                for value in row:
                    part = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
                    total.update(len(part).to_bytes(8, "little") + part)
        return total.hexdigest()

    def export(self, path: str | Path) -> None:
        """Write a cassette: one compressed file of all that is here, with a manifest."""
        from simengine.policies.language.cassettes import write_cassette

        write_cassette(self, Path(path))

    def import_(self, path: str | Path) -> None:
        """Take over what a cassette holds; what is here already stays."""
        from simengine.policies.language.cassettes import read_cassette

        read_cassette(self, Path(path))

    @classmethod
    def open(cls, path: str | Path) -> Record:
        """The record in a file that exists: a record, or a cassette (which is read into memory)."""
        from simengine.policies.language.cassettes import is_cassette

        place = Path(path)
        if not place.is_file():
            raise InputError(f"there is no record {place}")
        if is_cassette(place):
            record = cls(None)
            record.import_(place)
            return record
        return cls(place, create=False)

    def _keep(self, entry: Entry) -> None:
        recent = self._recent
        recent[entry.key] = entry
        while len(recent) > KEPT_ENTRIES:
            recent.pop(next(iter(recent), ""), None)

    def _new_texts(self, entries: Sequence[Entry]) -> dict[str, str]:
        known, redact = self._known_texts, self.redact
        new = {digest: text for entry in entries for digest, text in entry.texts.items() if digest not in known}
        return {digest: redact(text) for digest, text in new.items()} if redact else new
