"""The assertion that a result does not depend on how the agents are spread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import xarray

from simengine.errors import InputError
from simengine.policies.reports import bind
from simengine.runs import registry
from simengine.runs.carry_out import to_the_end
from simengine.runs.options import Options
from simengine.runs.recipe import Recipe
from simengine.runs.session import Session, opening, start_variables
from simengine.runs.shard_threads import ThreadHosts
from simengine.runs.sharded import ShardedEngine, choose_cut
from simengine.store.memory import MemoryWriter
from simengine.testing.repeating import AnyScenario, recorded, same_content


def any_shards(
    scenario: AnyScenario, *, shards: Sequence[int] = (1, 2, 3), steps: int = 20, seed: int = 0, **options: Any
) -> None:
    """Assert that a run gives the same file, by content hash, in one piece and spread over so many shards.

    The shards are threads of this process and exchange what shards on Ray exchange. It finds phases that reach for
    agents in ways that no relation declares, and observables that call themselves ``partial`` and are not. ``options``
    are parameters of the scenario and further keywords of `simengine.run`.

    Raises
    ------
    AssertionError
        Naming the first variable, step and agent that differ, with both values.
    """
    __tracebackhide__ = True
    for number in shards:
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise InputError(f"shards: got {number!r}, allowed are whole numbers from 1")
    options = {"steps": steps, "seed": seed, "every": 1, "snapshot_every": 1} | options
    whole = recorded(scenario, **options)
    options = {name: value for name, value in options.items() if name not in {"storage_order", "progress"}}
    for number in shards:
        spread = recorded_in_shards(scenario, number, **options)
        same_content(scenario, whole, spread, "in one piece", f"in {number} shard{'s' * (number > 1)}")


def recorded_in_shards(
    scenario: AnyScenario, shards: int, *, steps: int, seed: int, every: int, snapshot_every: int | None,
    threads: int | None = None, start: Any = None, policies: Any = None, interventions: Any = (), **parameters: Any,
) -> xarray.Dataset:  # fmt: skip
    """Run in so many shards that are threads of this process; keywords as those of `simengine.run`."""
    recipe = Recipe.of(
        registry.find(scenario), parameters, steps=steps, seed=seed, every=every, snapshot_every=snapshot_every,
        start=start, policies=policies, interventions=interventions,
    )  # fmt: skip
    bind(recipe.policies, None)
    cut, reason = choose_cut(recipe.scenario, frozenset(recipe.policies))
    hosts = ThreadHosts(recipe, shards, cut, threads or 1)
    try:
        engine = ShardedEngine(recipe, hosts, threads or 1, cut=cut, reason=reason)
        layout, stable, volatile = opening(recipe, engine)
        writer = MemoryWriter(layout, stable, volatile=volatile, static=start_variables(recipe))
        return to_the_end(Session(recipe, engine, writer), None, Options(progress=False))
    finally:
        hosts.close()
