"""The assertion that names of agents carry no meaning."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.errors import InputError, nearest
from simengine.runs.recipe import Recipe
from simengine.scenario.parameters import shown
from simengine.scenario.phases import Decision, Send, Update
from simengine.scenario.population import NOBODY
from simengine.scenario.scenario import Scenario, active
from simengine.testing.moments import NEWBORN, Moment, Names, Portrait, begun, observed, recipe_of
from simengine.testing.outcomes import Outcome, alike, columns_of, described, named, outcome
from simengine.testing.repeating import AnyScenario
from simengine.testing.two_samples import most_separate

Array = NDArray[Any]

ERROR_RATE = 0.001
FEWEST_REPLICATES = 8


def relabelling_invariant(
    scenario: AnyScenario,
    *,
    steps: int = 20,
    seed: int = 0,
    tolerance: float = 1e-9,
    replicates: int = 20,
    observables_only: bool = False,
    ignoring: Collection[str] = (),
    keeping: Collection[str] = (),
    start: Any = None,
    policies: Any = None,
    **parameters: Any,
) -> None:
    """Assert that it does not matter which agent has which id.

    At the start, in the middle and at the end of a run the ids within each population are dealt out anew, references
    following. Then

    1. every observable stays within ``tolerance``;
    2. where a step draws nothing, one step from the relabelled state leads to the relabelled next state, within
       ``tolerance``;
    3. where it draws, ``replicates`` runs each go on from the state in the middle (from the start, when a stop
       condition holds there) and from its relabelling, for the remaining steps. What becomes of each agent (values,
       their spread, how often it is referred to, and how values go with ids) and the observables must have the same
       distribution. The test is exact and made once for all of them: a scenario without meaning in its ids fails for
       one seed in a thousand (`simengine.testing.two_samples`). With 20 replicates a difference of about twice an
       agent's own standard deviation over runs is found, more surely with more of them.

    Parameters
    ----------
    tolerance
        Allowed deviation of a value, relative where the value exceeds 1: sums in another order round differently.
    observables_only
        Make the first check only: for models whose ids do mean something to the step, such as places on a line.
    ignoring
        Observables that the first check leaves out, such as estimates from a sample chosen by id.
    keeping
        Populations whose ids stay, because they are places on a scale: rows of a table that phases look up.
    **parameters
        The scenario's parameters.

    Raises
    ------
    AssertionError
        Naming the observable, or the field and an agent by both its ids.

    Notes
    -----
    Legitimately not invariant are phases that act in the order of ids (``order="sequential"``), ``lowest_id`` among
    several senders, and ties between equals that a gather decides for the one it sees first. Errors and nulls
    of observables are not looked at. The edges of a `Network` are relabelled, other arrays that relations keep are not.
    """
    __tracebackhide__ = True
    if replicates < FEWEST_REPLICATES:
        raise InputError(
            f"replicates: got {shown(replicates)}, allowed is a whole number, at least {FEWEST_REPLICATES}"
        )
    recipe = recipe_of(scenario, seed, start, policies, parameters)
    for name in keeping:
        populations = recipe.scenario.declaration.populations
        if name not in populations:
            raise InputError(f"keeping: there is no population {name!r}{nearest(name, populations)}")
    engine = begun(recipe, seed)
    moments = [Moment.of(engine)]
    for step in (steps // 2, steps):
        if engine.advance(step) > moments[-1].step:
            moments.append(Moment.of(engine))
    draws_nothing = not engine.kernel.plan.streams.names and not recipe.policies
    for number, moment in enumerate(moments):
        exchange = _Exchange(recipe, moment, new_names(moment.names, number, keeping), tolerance)
        exchange.keeps_observables(seed, ignoring)
        if draws_nothing and not observables_only and not moment.ended:
            exchange.commutes_with_a_step(seed)
    if draws_nothing or observables_only:
        return
    beginning = next((one for one in reversed(moments[:2]) if not one.ended and one.step < steps), None)
    if beginning is not None:
        exchange = _Exchange(recipe, beginning, new_names(beginning.names, len(moments), keeping), tolerance)
        exchange.keeps_distributions(seed, steps, replicates)


def new_names(names: Names, number: int, keeping: Collection[str] = ()) -> Names:
    """Deal out the ids of each population anew, so that nobody keeps its own where there are two or more."""
    found = {name: ids for name, ids in names.items() if name in keeping}
    for name, ids in names.items():
        if name in keeping:
            continue
        circle = np.random.default_rng([number, len(ids)]).permutation(len(ids))
        found[name] = np.empty_like(ids)
        found[name][circle] = ids[np.roll(circle, 1)]
    return found


@dataclass(frozen=True)
class _Exchange:
    """A moment of a run and the same moment with other names."""

    recipe: Recipe
    moment: Moment
    names: Names
    tolerance: float

    @property
    def scenario(self) -> Scenario:
        return self.recipe.scenario

    @property
    def called(self) -> str:
        return type(self.scenario).__name__

    @property
    def other(self) -> Moment:
        return self.moment.renamed(self.scenario, self.names)

    def differ(self, left: Array, right: Array) -> Array:
        """Where values deviate by more than the tolerance; NaNs are alike."""
        size = np.maximum(1.0, np.maximum(np.abs(left), np.abs(right)))
        with np.errstate(invalid="ignore"):
            close = (np.abs(left - right) <= self.tolerance * size) | (left == right)
        return np.asarray(~(close | (np.isnan(left) & np.isnan(right))))

    def keeps_observables(self, seed: int, ignoring: Collection[str]) -> None:
        __tracebackhide__ = True
        left = observed(self.moment.engine(self.recipe, seed))
        right = observed(self.other.engine(self.recipe, seed))
        for name, expected in left.items():
            found = right[name]
            if name in ignoring:
                continue
            if expected.shape != found.shape or self.differ(expected, found).any():
                values = f"{expected} becomes {found}"
                if expected.shape == found.shape and expected.ndim:
                    at = tuple(np.argwhere(self.differ(expected, found))[0])
                    values = f"{expected[at]} becomes {found[at]} (element {list(map(int, at))})"
                raise AssertionError(
                    f"{self.called}: observable {name} depends on who has which id: at step {self.moment.step} "
                    f"{values} when ids are dealt out anew (tolerance {self.tolerance:g}; ignoring= leaves it out)"
                )

    def commutes_with_a_step(self, seed: int) -> None:
        __tracebackhide__ = True
        left, right = (
            self._after(moment, seed, self.moment.step + 1, names)
            for moment, names in ((self.moment, self.moment.names), (self.other, self.names))
        )
        for label, (expected, target) in left.items():
            found = right[label][0]
            wrong = np.argwhere(self.differ(expected, found))
            if len(wrong):
                agent, component = wrong[0]
                refers = None if target is None else target.name
                own, other = (_shown(one[agent, component], refers, self.moment.names) for one in (expected, found))
                what = described(label, agent, component, expected.shape[1], self.moment.names, self.names)
                raise AssertionError(
                    f"{self.called}: step {self.moment.step + 1} depends on who has which id: {what} becomes "
                    f"{own}, and {other} when ids are dealt out anew (tolerance {self.tolerance:g}){self._hint()}"
                )

    def _after(self, moment: Moment, seed: int, step: int, names: Names) -> Portrait:
        engine = moment.engine(self.recipe, seed)
        engine.advance(step)
        return Moment.of(engine).portrait(self.scenario, names)

    def keeps_distributions(self, seed: int, steps: int, replicates: int) -> None:
        __tracebackhide__ = True
        sides = ((self.moment, self.moment.names), (self.other, self.names))
        runs: tuple[list[Outcome], list[Outcome]] = ([], [])
        for number in range(2 * replicates):
            moment, names = sides[number % 2]
            engine = moment.engine(self.recipe, (seed + 1 + number) % 2**64)
            engine.advance(steps)
            runs[number % 2].append(outcome(engine, names))
        if all(alike(run, runs[0][0]) for run in runs[0][1:]):
            # The draws decide nothing here, and then rounding alone can set the two groups apart.
            self.commutes_with_a_step(seed)
            return
        columns = columns_of([*runs[0], *runs[1]], self.moment.names, self.names)
        values = np.concatenate([column.values for column in columns], axis=1)
        chance, winner = most_separate(values[:replicates], values[replicates:], self.tolerance)
        if chance <= ERROR_RATE:
            own, other = values[:replicates, winner].mean(), values[replicates:, winner].mean()
            raise AssertionError(
                f"{self.called}: what happens from step {self.moment.step} to {steps} depends on who has which id: "
                f"{named(columns, winner, self.moment.names, self.names)} is {own:.6g} in the mean of "
                f"{replicates} runs, {other:.6g} when ids are dealt out anew (p = {chance:.2g}){self._hint()}"
            )

    def _hint(self) -> str:
        """Which phases act by id because their author says so."""
        found = []
        for phase in active(self.scenario.declaration.phases, self.scenario.values):
            if isinstance(phase, Update | Decision) and phase.order == "sequential":
                found.append(f"{phase.name}() acts in the order of ids")
            if isinstance(phase, Send) and any(combine.rule == "lowest_id" for combine in phase.inboxes.values()):
                found.append(f"{phase.name}() lets the lowest id win")
        return f"; {', '.join(found)}: observables_only=True checks what remains" if found else ""


def _shown(value: float, target: str | None, names: Names) -> str:
    """A value, or the id of whom a field names."""
    if target is None:
        return f"{value:.17g}"
    return "nobody" if value == NOBODY else "a newborn" if value == NEWBORN else f"{target} {names[target][int(value)]}"
