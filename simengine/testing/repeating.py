"""Assertions that a result depends on scenario, parameters and seed alone: on no repetition, stride, thread or cut."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xarray

from simengine.errors import InputError
from simengine.runs import registry
from simengine.runs.api import run
from simengine.runs.continuing import branch
from simengine.runs.recorder import lasting
from simengine.scenario.scenario import Scenario
from simengine.store.reading import open_run
from simengine.testing.comparing import Difference, first_attribute, first_difference
from simengine.testing.fresh import run_in_fresh_process

PARTS = ("", "_standard_error", "_null_mean", "_null_sd")
AnyScenario = type[Scenario] | str | Path


def recorded(scenario: AnyScenario, **options: Any) -> xarray.Dataset:
    """Run, recording every observable and every agent after every step unless told otherwise."""
    return run(scenario, **{"every": 1, "snapshot_every": 1, "progress": False} | options)


def same_run(
    scenario: AnyScenario, *, steps: int = 20, seed: int = 0, fresh_process: bool = False, **options: Any
) -> None:
    """Assert that a run repeated gives the same file, by content hash.

    With ``fresh_process`` the second run happens in a new Python process (a few seconds more), whose sets are ordered
    otherwise: it also finds what depends on the state or the history of this one. ``options`` are parameters of the
    scenario and further keywords of `simengine.run`.

    Raises
    ------
    AssertionError
        Naming the first variable, step and agent that differ, with both values.
    """
    __tracebackhide__ = True
    options |= {"steps": steps, "seed": seed}
    first = recorded(scenario, **options)
    if not fresh_process:
        same_content(scenario, first, recorded(scenario, **options), "in one run", "in the next")
        return
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "fresh.nc"
        run_in_fresh_process(scenario, out, {"every": 1, "snapshot_every": 1, "progress": False} | options)
        with open_run(out) as second:
            same_content(scenario, first, second, "in this process", "in a fresh one")


def any_threads(
    scenario: AnyScenario, *, threads: Sequence[int] = (1, 2, 3), steps: int = 20, seed: int = 0, **options: Any
) -> None:
    """Assert that every variable is the same for all these numbers of threads.

    ``options`` are parameters of the scenario and further keywords of `simengine.run`.
    """
    __tracebackhide__ = True
    options |= {"steps": steps, "seed": seed}
    first = recorded(scenario, threads=threads[0], **options)
    for other in threads[1:]:
        second = recorded(scenario, threads=other, **options)
        _agree(scenario, first_difference(first, second), f"with {_threads(threads[0])}", f"with {_threads(other)}")


def any_storage_order(scenario: AnyScenario, *, steps: int = 20, seed: int = 0, **options: Any) -> None:
    """Assert that every variable is the same whether agents lie in memory by id or by cell of their space.

    A scenario without a space that is searched by cells has one storage order only, and passes. ``options`` are
    parameters of the scenario and further keywords of `simengine.run`.
    """
    __tracebackhide__ = True
    options |= {"steps": steps, "seed": seed}
    first = recorded(scenario, storage_order="by_id", **options)
    second = recorded(scenario, storage_order="by_cell", **options)
    _agree(scenario, first_difference(first, second), "stored by id", "stored by cell")


def any_stride(
    scenario: AnyScenario, *, every: int | Sequence[int] = (2, 7), steps: int = 20, seed: int = 0, **options: Any
) -> None:
    """Assert that what is recorded at strides ``every`` equals the same rows of what is recorded at every step.

    It finds observables that remember how often they were called. Those that say so (``lasting``) are left out.
    ``options`` are parameters of the scenario and further keywords of `simengine.run`.
    """
    __tracebackhide__ = True
    options |= {"steps": steps, "seed": seed}
    own: dict[str, int] = {}
    changing: set[str] = set()
    for strided in registry.find(scenario).declaration.observables:
        variables = {f"{output.name}{part}" for output in strided.observable.outputs for part in PARTS}
        if strided.every is not None:
            own |= dict.fromkeys(variables, strided.every)
        if lasting(strided.observable):
            changing |= variables
    first = recorded(scenario, **options)
    for stride in (every,) if isinstance(every, int) else every:
        second = recorded(scenario, **options | {"every": stride, "snapshot_every": stride})
        difference = first_difference(first, second, own, changing)
        _agree(scenario, difference, "when recorded every step", f"when recorded every {stride} steps")


def split_equals_whole(
    scenario: AnyScenario,
    *,
    steps: int = 20,
    at: int | Sequence[int] | None = None,
    seed: int = 0,
    **options: Any,
) -> None:
    """Assert that n steps are k steps, a checkpoint, and n - k steps: the same file by content hash.

    ``at`` gives the k, by default after the first step, in the middle and before the last step. It finds state that
    a scenario, an observable or a policy keeps outside its fields. ``options`` are parameters of the scenario and
    further keywords of `simengine.run`; with ``interventions`` k is at least n / 2.
    """
    __tracebackhide__ = True
    options |= {"steps": steps, "seed": seed}
    lowest = (steps + 1) // 2 if options.get("interventions") else 1
    cuts = {lowest, (steps + 1) // 2, steps - 1} if at is None else {at} if isinstance(at, int) else set(at)
    cuts = {cut for cut in cuts if lowest <= cut < steps} if at is None else cuts
    if any(not lowest <= cut < steps for cut in cuts):
        raise InputError(f"at: got {sorted(cuts)}, allowed are steps from {lowest} to {steps - 1}")
    whole = recorded(scenario, **options)
    for cut in sorted(cuts):
        if cut < whole.attrs["stopped_at"]:
            with tempfile.TemporaryDirectory() as folder:
                file, out = Path(folder) / "first.nc", Path(folder) / "second.nc"
                # A run keeps its last two checkpoints: that of an early cut only where it ends there.
                first = options | {"steps": steps if 2 * cut >= steps else cut}
                recorded(scenario, out=file, checkpoint_every=cut, **first).close()
                branch(file, at=cut, steps=steps, out=out, policies=options.get("policies"), progress=False).close()
                with open_run(out) as split:
                    same_content(scenario, whole, split, "in one go", f"when continued from a checkpoint at step {cut}")


def _threads(number: int) -> str:
    return f"{number} thread" if number == 1 else f"{number} threads"


def named(scenario: AnyScenario) -> str:
    """The scenario's name, which begins every message."""
    return registry.find(scenario).__name__


def _agree(scenario: AnyScenario, difference: Difference | None, expected: str, found: str) -> None:
    __tracebackhide__ = True
    if difference is not None:
        raise AssertionError(f"{named(scenario)}: {difference.between(expected, found)}")


def same_content(
    scenario: AnyScenario, first: xarray.Dataset, second: xarray.Dataset, expected: str, found: str
) -> None:
    """Assert that two runs have the same content hash; ``expected`` and ``found`` say how each was made."""
    __tracebackhide__ = True
    if first.attrs["content_hash"] != second.attrs["content_hash"]:
        difference = first_difference(first, second) or first_attribute(first, second)
        pair = (first.attrs["content_hash"], second.attrs["content_hash"])
        _agree(scenario, difference or Difference("content_hash", "", *pair), expected, found)
