"""All assertions in one call."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from simengine.testing.conserving import conserves
from simengine.testing.fresh import can_be_found
from simengine.testing.relabelling import relabelling_invariant
from simengine.testing.repeating import (
    AnyScenario,
    any_storage_order,
    any_stride,
    any_threads,
    same_run,
    split_equals_whole,
)
from simengine.testing.sharding import any_shards


def check(
    scenario: AnyScenario,
    *,
    conserved: Collection[str | Callable[..., Any]] = (),
    within: float = 0.0,
    observables_only: bool = False,
    keeping: Collection[str] = (),
    steps: int = 20,
    seed: int = 0,
    **parameters: Any,
) -> None:
    """Make every assertion of this module about a scenario, from the cheapest to the dearest.

    ``conserved`` and ``within`` are for `conserves`, ``observables_only`` and ``keeping`` are for
    `relabelling_invariant`. Where an
    assertion does not apply to a model, make the others one by one.

    Raises
    ------
    AssertionError
        The first that fails.
    """
    __tracebackhide__ = True
    options = {"steps": steps, "seed": seed} | parameters
    for quantity in conserved:
        conserves(scenario, quantity, within=within, **options)
    same_run(scenario, **options)
    any_stride(scenario, **options)
    any_storage_order(scenario, **options)
    split_equals_whole(scenario, **options)
    any_threads(scenario, **options)
    any_shards(scenario, **options)
    relabelling_invariant(scenario, observables_only=observables_only, keeping=keeping, **options)
    if can_be_found(scenario):
        same_run(scenario, fresh_process=True, **options)
