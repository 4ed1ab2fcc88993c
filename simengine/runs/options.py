"""What never changes a result: threads, storage, shards, progress, checkpoints."""

from __future__ import annotations

from dataclasses import dataclass

from simengine.runs.engine import StorageOrder


@dataclass(frozen=True)
class Options:
    """How a recipe is carried out; nothing of it shows in the result.

    With ``shards`` or ``address`` the agents are spread over actors on Ray.
    """

    threads: int | None = None
    storage_order: StorageOrder = "auto"
    progress: bool = True
    checkpoint_every: int | None = None
    shards: int | None = None
    address: str | None = None
