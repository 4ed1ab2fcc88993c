"""Moments of a run as arrays: what each agent has, whatever it is called; and engines put there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.compile.emit import is_reference
from simengine.policies.reports import bind
from simengine.relations.network import Network
from simengine.runs import registry
from simengine.runs.engine import Engine
from simengine.runs.recipe import Recipe
from simengine.runs.recorder import flattened
from simengine.scenario.population import NOBODY, Population
from simengine.scenario.scenario import Scenario

Array = NDArray[Any]
Names = Mapping[str, Array]
"""For every population, what each of its agents is called: its ids, in an order that a relabelling keeps."""

Portrait = dict[str, tuple[Array, Population | None]]
"""Values by ``population.field``, (agents, components), and the population whose agents a field names."""

NEWBORN = -2
"""Stands for an agent born since the names were given."""


def recipe_of(
    scenario: type[Scenario] | str | Path, seed: int, start: Any, policies: Any, parameters: Mapping[str, Any]
) -> Recipe:
    """Return the recipe of a run that is observed at every step."""
    return Recipe.of(
        registry.find(scenario), parameters, seed=seed, steps=0, every=1, snapshot_every=None,
        start=start, policies=policies, interventions=(),
    )  # fmt: skip


def begun(recipe: Recipe, seed: int) -> Engine:
    """Return a run at its start, on one thread."""
    bind(recipe.policies, None)
    return Engine(recipe.scenario, seed, 1, recipe.start, recipe.policies, "by_id")


@dataclass(frozen=True)
class Moment:
    """The state after some step, as an engine saves it, and what the living of each population are called."""

    step: int
    names: Names
    arrays: Mapping[str, Array]
    details: Mapping[str, Any]

    @classmethod
    def of(cls, engine: Engine) -> Moment:
        """The present moment of a run."""
        arrays, details = engine.saved()
        # An engine hands out views of its arrays where it can, and goes on to write to them.
        kept = {path: np.array(values) for path, values in arrays.items()}
        names = {name: kept[f"populations/{name}/ids"] for name in engine.state.populations}
        return cls(engine.step, names, kept, details)

    @property
    def ended(self) -> bool:
        """Whether a stop condition holds."""
        return self.details["stop_reason"] is not None

    def engine(self, recipe: Recipe, seed: int) -> Engine:
        """A run of any seed that goes on from here."""
        engine = begun(recipe, seed)
        engine.load(self.arrays, self.details)
        return engine

    def renamed(self, scenario: Scenario, new_names: Names) -> Moment:
        """The same moment when each agent ``names[k]`` is called ``new_names[k]``, references following.

        ``new_names`` are the same ids in another order. The edges of networks follow; what other relations and policies
        keep stays as it is.
        """
        arrays = dict(self.arrays)
        for name, population in scenario.declaration.populations.items():
            homes = np.searchsorted(self.names[name], new_names[name])
            for field_name, field in {**population.fields, **population.inboxes}.items():
                path = f"populations/{name}/{field_name}"
                values = self.arrays[path]
                if is_reference(field):
                    target = (field.reference or population).name
                    values = _translated(values, self.names[target], new_names[target])
                arrays[path] = np.empty_like(values)
                arrays[path][homes] = values
        for name, relation in scenario.declaration.relations.items():
            if isinstance(relation, Network):
                arrays |= self._renamed_edges(name, relation, new_names[relation.source.name])
        return Moment(self.step, new_names, arrays, self.details)

    def _renamed_edges(self, name: str, network: Network, new_names: Array) -> dict[str, Array]:
        """The edges of a network by new names, in the order that they have then."""
        paths = {part: f"relations/{name}/{part}" for part in ("source", "target", *network.fields)}
        names = self.names[network.source.name]
        ends = np.stack([_translated(self.arrays[paths[end]], names, new_names) for end in ("source", "target")])
        if not network.directed:
            ends.sort(axis=0)
        order = np.lexsort(ends[::-1])
        found = {paths[part]: self.arrays[paths[part]][order] for part in network.fields}
        return found | {paths["source"]: ends[0][order], paths["target"]: ends[1][order]}

    def portrait(self, scenario: Scenario, names: Names) -> Portrait:
        """What each agent of ``names`` has, by ``population.field``: (agents, components), and whom a field names.

        References are positions among the names of the population they refer to, -1 for nobody and the dead, -2 for
        an agent born since. The values of the dead are 0; ``population.alive`` says who they are.
        """
        found: Portrait = {}
        for name, population in scenario.declaration.populations.items():
            ids = self.arrays[f"populations/{name}/ids"]
            alive = np.isin(names[name], ids)
            rows = np.searchsorted(ids, names[name][alive])
            if population.dynamic:
                found[f"{name}.alive"] = (alive.astype(float)[:, None], None)
            for field_name, field in population.fields.items():
                living = self.arrays[f"populations/{name}/{field_name}"][rows]
                target = (field.reference or population) if is_reference(field) else None
                if target is not None:
                    living = _positions(living, names[target.name], self.arrays[f"populations/{target.name}/ids"])
                values = np.full((len(alive), field.rows), 0.0 if target is None else NOBODY)
                values[alive] = living.reshape(-1, field.rows)
                found[f"{name}.{field_name}"] = (values, target)
        return found


def _translated(values: Array, names: Array, new_names: Array) -> Array:
    """References by new names; those to none of ``names`` stay as they are."""
    if not len(names):
        return values
    order = np.argsort(names)
    at = order[np.minimum(np.searchsorted(names, values, sorter=order), len(names) - 1)]
    return np.where(names[at] == values, new_names[at], values)


def _positions(values: Array, names: Array, living: Array) -> Array:
    places = _translated(values, names, np.arange(len(names)))
    return np.where(np.isin(values, living), np.where(np.isin(values, names), places, NEWBORN), NOBODY)


def observed(engine: Engine) -> dict[str, Array]:
    """Return the present values of all observables, without their errors and nulls."""
    view = engine.view()
    found: dict[str, Array] = {}
    for strided in engine.scenario.recorded:
        observable = strided.observable
        row = flattened(
            observable.outputs, observable.finalise(observable.update(observable.begin(), view), view), observable.name
        )
        found |= {output.name: np.asarray(row[output.name], float) for output in observable.outputs}
    return found
