"""How the runs of a sweep are done, which never changes a result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from simengine.errors import InputError
from simengine.runs.arguments import whole_number
from simengine.scenario.parameters import shown

MOST_WORKERS = 100_000


@dataclass(frozen=True)
class Manner:
    """Where runs are done, by how many at a time, and whether that is shown."""

    address: str | None = None
    workers: int | None = None
    progress: bool = True

    @classmethod
    def of(cls, address: Any, workers: Any, progress: Any) -> Manner:
        """Return it, checked."""
        if address is not None and (not isinstance(address, str) or not address.strip()):
            raise InputError(f"address: got {shown(address)}, allowed is HOST:PORT or 'auto'")
        if workers is not None:
            workers = whole_number("workers", workers, 1, MOST_WORKERS)
        return cls(address, workers, bool(progress))
