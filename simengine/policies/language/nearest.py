"""The recorded request most like one that is missing, and which parts differ: why a replay does not go on."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any

from simengine.policies.language.calls import Request
from simengine.policies.language.entries import digests_in, written_out

if TYPE_CHECKING:
    from simengine.policies.language.record import Record

LOOKED_AT = 20_000
READ_CLOSELY = 40
SHOWN = 60
LONGEST_COMPARED = 4000


def nearest_line(record: Record, request: Request, model: str) -> str:
    """One line, such as ``the nearest is of step 3 (agents.act); it differs in messages[1]: ...``."""
    wanted = request.content()
    query = f"SELECT model, step, label, request FROM answers ORDER BY (model = ?) DESC, rowid DESC LIMIT {LOOKED_AT}"
    with record.database.using() as connection:
        rows = connection.execute(query, (model,)).fetchall()
    if not rows:
        return "the record is empty"
    parts = [name for name in wanted if name not in {"messages", "schema"}]

    def apart(row: tuple[Any, ...]) -> int:
        stored = json.loads(row[3]) if row[3] else {}
        differing = sum(bool(stored.get(name) != wanted[name]) for name in parts)
        other_length = len(stored.get("messages", ())) != len(wanted["messages"])
        return differing + 4 * int(row[0] != model) + 2 * int(other_length)

    rows.sort(key=apart)
    best: tuple[float, list[str], tuple[Any, ...]] | None = None
    texts = record.message_texts(sorted({one for row in rows[:READ_CLOSELY] for one in digests_in(row[3])}))
    for row in rows[:READ_CLOSELY]:
        differences, distance = _differences(wanted, written_out(row[3], texts))
        if row[0] != model:
            differences.insert(0, f"model {row[0]!r}, not {model!r}")
            distance += 4.0
        if best is None or distance < best[0]:
            best = (distance, differences, row)
    assert best is not None
    _, differences, (_, step, label, _) = best
    told = "; ".join(differences) or "nothing that is recorded"
    return f"the nearest is of step {step} ({label}) and differs in {told}"


def _differences(wanted: dict[str, Any], stored: dict[str, Any]) -> tuple[list[str], float]:
    """What differs, in words, and how much."""
    found: list[str] = []
    distance = 0.0
    old, new = stored["messages"], wanted["messages"]
    if len(old) != len(new):
        found.append(f"the number of messages: {len(old)} recorded, {len(new)} asked")
        distance += 2.0
    for place, (before, after) in enumerate(zip(old, new, strict=False)):
        if before != after:
            found.append(f"messages[{place}]: {_where(before[1], after[1])}")
            pair = difflib.SequenceMatcher(None, before[1][:LONGEST_COMPARED], after[1][:LONGEST_COMPARED], False)
            distance += 1.0 - pair.quick_ratio() + 0.01
    for name, value in wanted.items():
        if name != "messages" and stored.get(name) != value:
            found.append(f"{name}: {_short(stored.get(name))} recorded, {_short(value)} asked")
            distance += 1.0
    return found, distance


def _where(before: str, after: str) -> str:
    """Both texts from a little before the place where they part."""
    same = next((place for place, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), None)
    start = max(0, (min(len(before), len(after)) if same is None else same) - SHOWN // 3)
    return f"{_short(before[start:])} recorded, {_short(after[start:])} asked"


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= SHOWN else f"{shown[: SHOWN - 3]}..."
