"""The calls that a record got last: what was asked, and what came back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simengine.policies.language.entries import COLUMNS, Entry, entry_of

if TYPE_CHECKING:
    from simengine.policies.language.record import Record


def counted(record: Record) -> dict[str, int]:
    """How many calls the record holds, by the label of their decision."""
    with record.database.using() as connection:
        return dict(connection.execute("SELECT label, count(*) FROM answers GROUP BY label ORDER BY label"))


def latest(record: Record, number: int, label: str | None = None) -> list[Entry]:
    """The last ``number`` calls by step and, within a step, in the order of their answers; the latest comes last."""
    where, values = ("", ()) if label is None else ("WHERE label = ?", (label,))
    query = f"SELECT {', '.join(COLUMNS)} FROM answers {where} ORDER BY step DESC, rowid DESC LIMIT ?"
    with record.database.using() as connection:
        rows = connection.execute(query, (*values, number)).fetchall()
    return [entry_of(row) for row in reversed(rows)]
