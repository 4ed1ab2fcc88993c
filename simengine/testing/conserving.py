"""The assertion that a quantity never changes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from simengine.errors import InputError, nearest
from simengine.runs.recorder import flattened
from simengine.runs.view import View
from simengine.scenario.parameters import shown
from simengine.scenario.scenario import Scenario
from simengine.testing.moments import begun, recipe_of
from simengine.testing.repeating import AnyScenario

Measure = Callable[[View], Any]


def conserves(
    scenario: AnyScenario,
    quantity: str | Callable[..., Any],
    *,
    steps: int = 20,
    seed: int = 0,
    within: float = 0.0,
    start: Any = None,
    policies: Any = None,
    **parameters: Any,
) -> None:
    """Assert that a quantity has its first value after every step, or one no further than ``within`` from it.

    Parameters
    ----------
    quantity
        The name of an observable's output, or a function like an observable's: it takes populations, ``p`` or
        ``step`` by argument name and returns a number or an array, ``lambda agents: agents.wealth.sum()``.
    within
        The largest absolute deviation allowed, in the unit of the quantity. Sums of floats need some.
    **parameters
        The scenario's parameters.

    Raises
    ------
    AssertionError
        Naming the quantity, the step, and its values there and at the start.
    """
    __tracebackhide__ = True
    if not within >= 0:
        raise InputError(f"within: got {shown(within)}, allowed is a number, at least 0")
    engine = begun(recipe_of(scenario, seed, start, policies, parameters), seed)
    label, measure = _measure(engine.scenario, quantity)
    expected = np.asarray(measure(engine.view()))
    where = f"{type(engine.scenario).__name__}: {label}"
    _check_finite(where, expected, engine.step)
    while engine.step < steps and engine.stop_reason is None:
        engine.advance(engine.step + 1)
        found = np.asarray(measure(engine.view()))
        if found.shape != expected.shape:
            raise AssertionError(
                f"{where} has shape {found.shape} at step {engine.step}, {expected.shape} at the start"
            )
        _check_finite(where, found, engine.step)
        off = np.abs(found - expected)
        if (off > within).any():
            at = np.unravel_index(np.argmax(off), off.shape)
            index = f"[{', '.join(map(str, at))}]" if at else ""
            raise AssertionError(
                f"{where}{index} is {found[at]} at step {engine.step}, {expected[at]} at the start: "
                f"off by {off[at]:g}, allowed is {within:g}"
            )


def _check_finite(where: str, values: Any, step: int) -> None:
    __tracebackhide__ = True
    if not np.isfinite(values).all():
        raise AssertionError(f"{where} is {values} at step {step}, no finite number")


def _measure(scenario: Scenario, quantity: str | Callable[..., Any]) -> tuple[str, Measure]:
    """What the quantity is called, and how to measure it."""
    if callable(quantity):
        function = quantity
        label = getattr(function, "__name__", "quantity").replace("<lambda>", "the quantity")
        names = tuple(inspect.signature(function).parameters)
        return label, lambda view: function(**view.arguments(names, label))
    known = {output.name: strided.observable for strided in scenario.recorded for output in strided.observable.outputs}
    if quantity not in known:
        hint = nearest(str(quantity), known) or f"; observables: {', '.join(known) or 'none'}"
        raise InputError(f"{type(scenario).__name__} has no observable {shown(quantity)}{hint}")
    observable = known[quantity]

    def measured(view: View) -> Any:
        values = observable.finalise(observable.update(observable.begin(), view), view)
        return flattened(observable.outputs, values, observable.name)[quantity]

    return quantity, measured
