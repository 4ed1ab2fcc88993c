"""What a running run's record of calls says: new rows only, and nothing that could be in the writer's way."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

PATIENCE = 0.2
"""Seconds to wait for the file at most."""


@dataclass(frozen=True)
class Calls:
    """Calls of language models that are in the record of a run.

    Parameters
    ----------
    answers, failures
        Requests with an answer, and those without.
    attempts
        Calls that were made for them.
    input_tokens, output_tokens
        Of all of them.
    latest
        When the last one came, in seconds since 1970; 0 where there is none.
    """

    answers: int = 0
    failures: int = 0
    attempts: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    latest: float = 0.0


class WatchedCalls:
    """Counts the calls in a record while another process of this machine adds to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.calls = Calls()
        self._last = 0
        self._seen: tuple[tuple[int, int, int], ...] = ()

    def look(self) -> Calls:
        """Return what is in the record now; what was known before while it cannot be read."""
        seen = tuple(_identity(self.path.with_name(self.path.name + end)) for end in ("", "-wal"))
        if seen != self._seen:
            if self._seen and seen[0][2] != self._seen[0][2]:
                self.calls, self._last = Calls(), 0
            try:
                self._read(waiting=seen[1][1] > 0)
                self._seen = seen
            except sqlite3.Error:
                pass
        return self.calls

    def _read(self, waiting: bool) -> None:
        # Without a log that waits the file is whole, and is opened so that no file is made beside it.
        mode = "mode=ro" if waiting else "immutable=1"
        address = f"file:{quote(str(self.path.resolve()))}?{mode}"
        query = (
            "SELECT max(rowid), sum(kind = 'reply'), sum(kind != 'reply'), sum(attempts), sum(input), sum(output),"
            " max(date) FROM answers WHERE rowid > ?"
        )
        with closing(sqlite3.connect(address, uri=True, timeout=PATIENCE)) as connection:
            last, answers, failures, attempts, sent, received, latest = connection.execute(
                query, (self._last,)
            ).fetchone()
        if last is None:
            return
        before = self.calls
        self._last = last
        self.calls = Calls(
            before.answers + answers, before.failures + failures, before.attempts + attempts,
            before.input_tokens + sent, before.output_tokens + received, max(before.latest, latest),
        )  # fmt: skip


def _identity(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0, 0
    return found.st_mtime_ns, found.st_size, found.st_ino
