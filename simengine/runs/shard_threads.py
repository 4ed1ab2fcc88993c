"""Shards as threads of this process: the twin of the shards on Ray, for tests and for looking at what moves."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from simengine.compile.sharing import Cut
from simengine.errors import RunError
from simengine.runs.recipe import Recipe
from simengine.runs.shard import Shard
from simengine.shards.local_mesh import LocalMesh


class ThreadHosts:
    """The shards of a run in threads of this process."""

    def __init__(self, recipe: Recipe, shards: int, cut: Cut, threads: int = 1) -> None:
        self.number = shards
        self._pool = ThreadPoolExecutor(shards)

        # One after another: Python 3.11 cannot parse in several threads at once.
        self.shards = [
            Shard(recipe.scenario, recipe.seed, recipe.start, recipe.policies, threads, cut, mesh)
            for mesh in LocalMesh.of(shards)
        ]

    def ask(self, method: str, *arguments: Any) -> list[Any]:
        """Let every shard do something at once; their answers by number."""

        def act(shard: Shard) -> Any:
            try:
                return getattr(shard, method)(*arguments)
            except BaseException:
                shard.part.channels.leave()
                raise

        return [act(shard) for shard in self.shards] if method == "load" else list(self._pool.map(act, self.shards))

    def replace(self) -> list[int]:
        """Threads do not die alone."""
        raise RunError("a shard in this process was lost")

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()
