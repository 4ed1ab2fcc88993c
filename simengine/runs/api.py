"""``simengine.run``: one scenario, its parameters and a seed to one Dataset (and one file)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simengine.errors import InputError
from simengine.runs import registry
from simengine.runs.arguments import MOST_STEPS, checked_order, checked_path, checked_threads, whole_number
from simengine.runs.carry_out import carry_out
from simengine.runs.driving import checked_shards
from simengine.runs.engine import StorageOrder
from simengine.runs.options import Options
from simengine.runs.recipe import Recipe
from simengine.scenario.interventions import Intervention
from simengine.scenario.scenario import Scenario

if TYPE_CHECKING:
    import xarray


def run(
    scenario: type[Scenario] | str | Path,
    *,
    steps: int | None = None,
    seed: int = 0,
    every: int = 1,
    snapshot_every: int | None = None,
    out: str | Path | None = None,
    threads: int | None = None,
    start: Any = None,
    progress: bool = True,
    policies: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    storage_order: StorageOrder = "auto",
    checkpoint_every: int | None = None,
    interventions: Sequence[Intervention] = (),
    shards: int | None = None,
    address: str | None = None,
    **parameters: Any,
) -> xarray.Dataset:
    """Run a scenario and return what it recorded.

    Parameters
    ----------
    scenario
        A scenario class, the name of an installed one (``"schooling"``), or the path of a Python file.
    steps
        The most steps to run; a stop condition may end the run earlier (``stopped_at``, ``stop_reason`` in the
        attributes). Default: the scenario's own.
    seed
        With the scenario and its parameters, all that the result depends on. 0 to 2**64 - 1.
    every, snapshot_every
        Strides of the observables and of snapshots of all agents, in steps; the first and last step are always
        recorded. No snapshots by default.
    out
        The NetCDF file to write; by default the result is only returned.
    threads
        By default one for small populations and all processors for large ones. Never changes the result.
    start
        A start state in place of the scenario's own: a dict of arrays by field, a Dataset, or a run file, which also
        brings its parameters.
    progress
        Whether to show a progress bar when the run takes longer than a moment.
    policies
        Who answers decisions instead of the scenario's rule, by ``"population.decision"``: a callable or `Policy`.
    overwrite
        Whether ``out`` may replace an existing file.
    storage_order
        ``"auto"``, ``"by_id"`` or ``"by_cell"``: how agents lie in memory. Never changes the result.
    checkpoint_every
        Keep the state of every so many steps in ``OUT.checkpoints``, the last two of them, also when the run is
        finished: `simengine.resume` and `simengine.branch` go on from there. By default about every half minute, and
        only until the run is finished. Never changes the result.
    interventions
        Changes made while the run goes on: `simengine.at` a step, or `simengine.every` so many steps.
    shards
        Spread the agents over so many Ray actors, each with ``threads`` threads (one by default). Pays for large
        populations, or where one machine's memory is too small; see ``docs/cluster.md``. Never changes the result.
    address
        The Ray cluster to run on, ``"host:port"`` or ``"auto"``; with it and without ``shards``, one shard a node. By
        default a local Ray is started when there are shards.
    **parameters
        The scenario's parameters; see ``simengine describe NAME``. Precedence: given here > start > regime > default.

    Raises
    ------
    InputError
        For anything wrong with the arguments; nothing is written then.
    RunError, StoreError
        When the run or its file cannot go on; what was recorded stays readable with `simengine.open`.
    """
    found = registry.find(scenario)
    steps = whole_number("steps", found.default_steps if steps is None else steps, 0, MOST_STEPS)
    threads = checked_threads(threads)
    if checkpoint_every is not None:
        checkpoint_every = whole_number("checkpoint_every", checkpoint_every, 1)
        if out is None:
            raise InputError("checkpoint_every: checkpoints lie beside a file; give out=")
    recipe = Recipe.of(
        found, parameters, steps=steps, seed=seed, every=every, snapshot_every=snapshot_every, start=start,
        policies=policies, interventions=interventions,
    )  # fmt: skip
    path = None if out is None else checked_path(out, overwrite)
    shards = checked_shards(shards, address)
    options = Options(threads, checked_order(storage_order), progress, checkpoint_every, shards, address)
    return carry_out(recipe, path, options, overwrite=overwrite)


def open(path: str | Path) -> xarray.Dataset:
    """Open a run file, or what a killed run left behind, as a Dataset."""
    from simengine.store.reading import open_run

    return open_run(path)
