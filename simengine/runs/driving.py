"""Who carries out a run: an engine in this process, or shards on Ray."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from simengine.errors import InputError
from simengine.runs.arguments import whole_number
from simengine.runs.options import Options
from simengine.runs.recipe import Recipe
from simengine.runs.session import Driver, make_engine
from simengine.scenario.parameters import shown

MOST_SHARDS = 10_000


@contextmanager
def driving(recipe: Recipe, options: Options) -> Iterator[Driver]:
    """Give what carries out a recipe, while the context lasts."""
    if options.shards is None and options.address is None:
        yield make_engine(recipe, options.threads, options.storage_order)
        return
    # Ray is loaded only where it is asked for.
    from simengine.runs.shard_actors import RayHosts, Travelling
    from simengine.runs.sharded import ShardedEngine, choose_cut
    from simengine.shards.ray_cluster import connect

    travelling = Travelling.of(recipe)
    cut, reason = choose_cut(recipe.scenario, frozenset(recipe.policies))
    threads = options.threads or 1
    with connect(options.address) as cluster:
        shards = options.shards or cluster.nodes
        with (
            closing(RayHosts(travelling, shards, cut, threads)) as hosts,
            closing(ShardedEngine(recipe, hosts, threads, cut=cut, reason=reason, report=options.progress)) as engine,
        ):
            yield engine


def checked_shards(shards: int | None, address: str | None) -> int | None:
    """Return a number of shards; ``InputError`` for what is none."""
    if address is not None and (not isinstance(address, str) or not address.strip()):
        raise InputError(f"address: {shown(address)} is neither 'host:port' nor 'auto' nor 'local'")
    return None if shards is None else whole_number("shards", shards, 1, MOST_SHARDS)
