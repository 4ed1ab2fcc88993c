"""When interventions act: checked before a run begins, carried out between its steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from simengine.errors import InputError
from simengine.scenario.interventions import Intervention
from simengine.scenario.parameters import shown
from simengine.scenario.scenario import Scenario

if TYPE_CHECKING:
    from simengine.runs.session import Driver


def check_schedule(given: Any, scenario: Scenario, steps: int | None) -> tuple[Intervention, ...]:
    """Return interventions as a tuple; ``InputError`` for one that cannot be, or would never act.

    Changed parameters are checked in the order in which they will change, each recurring intervention once.
    """
    listed: Sequence[Any] = given if isinstance(given, tuple | list) else (given,)
    for item in listed:
        if not isinstance(item, Intervention):
            raise InputError(
                f"interventions: got {shown(item)}; give a list of simengine.at(...) and simengine.every(...)"
            )
        scenario.declaration.parameters.check_names(item.changes)
        if steps is not None and item.first >= steps:
            raise InputError(f"interventions: {item} never acts: the run has {steps} steps")
    for item in sorted(listed, key=lambda item: item.first):
        if item.changes:
            try:
                scenario = scenario.changed(item.changes)
            except InputError as error:
                raise InputError(f"interventions: {item}: {error}") from None
    return tuple(listed)


def intervene(engine: Driver, interventions: Sequence[Intervention]) -> None:
    """Carry out what is due at the engine's present step, in the order given."""
    for item in interventions:
        if item.due(engine.step):
            carry_out(engine, item)


def carry_out(engine: Driver, item: Intervention) -> None:
    """Carry out one intervention now."""
    what = f"intervention {item}"
    if item.changes:
        engine.change(item.changes, what)
    if item.apply is not None:
        engine.edit(item.apply, what)


def next_step(interventions: Sequence[Intervention], step: int, limit: int) -> int:
    """Return the next step after ``step`` at which some intervention acts, at most ``limit``."""
    upcoming = (item.next_after(step) for item in interventions)
    return min(limit, *(due for due in upcoming if due is not None), limit)
