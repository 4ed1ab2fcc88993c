"""Runs spread over shards that are threads of this process, compared with the same run in one engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from simengine import Scenario
from simengine.compile.sharing import Cut
from simengine.runs.recipe import Recipe
from simengine.runs.session import make_engine
from simengine.runs.shard_threads import ThreadHosts
from simengine.runs.sharded import ShardedEngine, choose_cut

State = tuple[Mapping[str, Any], Mapping[str, Any]]


def recipe_of(scenario: type[Scenario], *, seed: int = 3, steps: int = 50, policies: Any = None, start: Any = None,
              **parameters: Any) -> Recipe:  # fmt: skip
    """A recipe of its own, whose policies nobody else asks."""
    return Recipe.of(
        scenario, parameters, steps=steps, seed=seed, every=1, snapshot_every=None, start=start,
        policies=policies() if policies else None, interventions=(),
    )  # fmt: skip


def spread(recipe: Recipe, shards: int, cut: Cut | None = None, threads: int = 1) -> ShardedEngine:
    """The driver of so many shards; with the cut that a user would get, or another."""
    chosen, reason = choose_cut(recipe.scenario, frozenset(recipe.policies))
    return ShardedEngine(recipe, ThreadHosts(recipe, shards, cut or chosen, threads), threads, cut=cut or chosen,
                         reason=reason)  # fmt: skip


def assert_same_state(found: State, wanted: State, label: str = "") -> None:
    """All agents, relations and memories, bit for bit."""
    assert found[1] == wanted[1], label
    assert found[0].keys() == wanted[0].keys(), label
    for name, values in wanted[0].items():
        assert found[0][name].dtype == values.dtype, (label, name)
        np.testing.assert_array_equal(found[0][name], values, err_msg=f"{label}: {name}")


def assert_any_shards_agree(
    scenario: type[Scenario], steps: int = 6, *, shards: tuple[int, ...] = (1, 2, 3, 7), cut: Cut | None = None,
    moments: tuple[int, ...] | None = None, between: Mapping[int, Callable[[Any], None]] = {}, threads: int = 1,
    **options: Any,
) -> None:  # fmt: skip
    """Advance one engine and so many shards, and compare the states at some moments; ``between`` acts at steps."""
    moments = tuple(sorted({*(moments or (0, 1, steps // 2, steps)), *between}))
    alone = make_engine(recipe_of(scenario, steps=steps, **options), 1, "by_id")
    wanted = {}
    for step in moments:
        alone.advance(step)
        between.get(step, nothing)(alone)
        wanted[step] = alone.step, alone.stop_reason, copied(alone.saved())
    for number in shards:
        driver = spread(recipe_of(scenario, steps=steps, **options), number, cut, threads)
        try:
            for step in moments:
                driver.advance(step)
                between.get(step, nothing)(driver)
                label = f"{scenario.__name__} in {number} shards, step {step}, {options}"
                assert (driver.step, driver.stop_reason) == wanted[step][:2], label
                assert_same_state(driver.saved(), wanted[step][2], label)
        finally:
            driver.close()


def nothing(driver: Any) -> None:
    """Leave everything as it is."""


def copied(saved: State) -> State:
    """A state that does not change any more."""
    return {name: np.array(values) for name, values in saved[0].items()}, saved[1]
