"""What a user asks of a sweep, checked before anything starts, and what the folder says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simengine.compile import target
from simengine.compile.module import write_module
from simengine.errors import InputError, nearest
from simengine.runs import registry
from simengine.runs.arguments import MOST_STEPS, shown_path, whole_number
from simengine.runs.recipe import PARAMETER, Recipe, recall_scenario
from simengine.runs.start import Start, implied, read
from simengine.scenario.parameters import RUN_KEYWORDS, Parameter
from simengine.scenario.scenario import Scenario
from simengine.store.provenance import provenance
from simengine.sweeps.adaptive import Adaptive, adaptive_from_json
from simengine.sweeps.beginning import NO_START, check_start, label, read_start
from simengine.sweeps.checking import checked, design_of
from simengine.sweeps.description import Description
from simengine.sweeps.design import Design
from simengine.sweeps.folder import SweepFolder
from simengine.sweeps.grids import points as listed_points
from simengine.sweeps.runner import layout_of_runs

OF_ONE_RUN = ("seed", "snapshot_every", "policies", "interventions", "every", "steps")
"""What a run file says and a sweep does not: what no run of a sweep has, or what the folder says by itself."""

OF_A_SCENARIO = ("scenario", "scenario_module", "scenario_file", "scenario_source", "scenario_source_not_kept")
"""Attributes from which a worker recalls the scenario."""


SWEEP_KEYWORDS = (
    "design", "replicates", "steps", "every", "seed", "start", "out", "address", "workers", "overwrite", "progress",
)  # fmt: skip
"""The keywords of `simengine.sweep`, for hints."""


@dataclass(frozen=True)
class Request:
    """A sweep, as the user asked for it, checked: every point is allowed.

    Parameters
    ----------
    scenario, fixed
        What runs, and the parameters that all runs share.
    design, adaptive
        The points to begin with; what proposes others, for an adaptive design.
    replicates, steps, every, seed
        As in `simengine.sweep`, with the scenario's own number of steps where none is given.
    start
        The start state that all runs share, where one was given.
    """

    scenario: type[Scenario]
    fixed: Mapping[str, Any]
    design: Design
    adaptive: Adaptive | None
    replicates: int
    steps: int
    every: int | None
    seed: int
    start: Start = field(default_factory=Start)

    @classmethod
    def of(
        cls, scenario: Any, design: Any, fixed: Mapping[str, Any], *, replicates: int, steps: int | None,
        every: int | None, seed: int, start: Any = None,
    ) -> Request:  # fmt: skip
        """Return what the user's words stand for.

        Raises
        ------
        InputError
            For what cannot be: an unknown parameter, a value that is not allowed at any point, an empty design ...
        """
        found = registry.find(scenario)
        check_fixed(found, fixed)
        replicates = whole_number("replicates", replicates, 1)
        steps = whole_number("steps", found.default_steps if steps is None else steps, 0, MOST_STEPS)
        every = None if every is None else whole_number("every", every, 1)
        seed = whole_number("seed", seed, 0, 2**64 - 1)
        state, wanted = read(found, start), design_of(design)
        swept = getattr(wanted, "names", ())
        brought = {name: value for name, value in implied(found, state).items() if name not in swept}
        fixed = typed(found, {**brought, **fixed})
        points, adaptive = begun(checked(wanted, found, fixed, replicates))
        check_start(found, state, fixed, points)
        return cls(found, fixed, points, adaptive, replicates, steps, every, seed, state)

    @classmethod
    def recall(cls, folder: SweepFolder, scenario: Any = None, design: Any = None) -> Request:
        """Return what the folder of a sweep says was asked.

        ``scenario``, and ``design`` for an adaptive one, take the place of what it keeps.

        Raises
        ------
        InputError
            When the scenario, or what proposes points, is not to be had any more.
        """
        description, points = folder.description, folder.design
        where = shown_path(folder.path)
        said = {**description.attributes, **description.volatile}
        found = recall_scenario(said, where) if scenario is None else registry.find(scenario)
        fixed = {name: said[f"{PARAMETER}{name}"] for name in said["parameters_given"]}
        adaptive = None
        if points.kind == Adaptive.kind:
            given = adaptive_from_json(points.details, where) if design is None else design_of(design)
            if isinstance(given, Design):
                raise InputError("design: the sweep is adaptive; give what proposes its points")
            adaptive = checked(given, found, fixed, folder.replicates)
        elif design is not None:
            raise InputError("design: the folder keeps the points; only what proposes them can be given again")
        return cls(
            found, fixed, points, adaptive, folder.replicates, description.steps, description.every,
            int(said["sweep_seed"]), read_start(folder.path, found, str(said.get("start", NO_START))),
        )  # fmt: skip

    def recipe(self) -> Recipe:
        """Return the recipe of a run at the first point."""
        return Recipe.of(
            self.scenario, {**self.fixed, **self.design.point(0)}, seed=0, steps=self.steps, every=self.every or 1,
            snapshot_every=None, start=self.start, policies=None, interventions=(),
        )  # fmt: skip

    def description(self) -> Description:
        """Return what the folder says of the sweep besides its points.

        Raises
        ------
        ScenarioError
            When the scenario's phases cannot be compiled.
        """
        recipe = self.recipe()
        stable, volatile = recipe.attributes(write_module(recipe.scenario, False).surroundings)
        swept = self.design.names
        shared = {name for name in recipe.scenario.values if name not in varied(self.scenario, swept, self.fixed)}
        stable = {
            name: value
            for name, value in stable.items()
            if name not in OF_ONE_RUN and (not name.startswith(PARAMETER) or name.removeprefix(PARAMETER) in shared)
        }
        units = {name: parameter.unit for name, parameter in self._parameters.items() if name in shared}
        origin, volatile_origin = provenance(cpu_target=target.cpu_name())
        stable |= {
            "parameter_units": units,
            "sweep_seed": self.seed,
            "start": label(self.scenario, self.start),
        } | origin
        if recipe.scenario.time_step in swept:
            del stable["time_step"]
        strides = {strided.every for strided in self.scenario.declaration.observables if strided.every is not None}
        return Description(
            layout=layout_of_runs(self.scenario, self.fixed, swept),
            steps=self.steps, every=self.every, strides=tuple(sorted(strides)), attributes=stable,
            volatile=volatile | volatile_origin | {"parameters_given": sorted(self.fixed)},
            parameters={name: self._said_of(name) for name in swept},
            time_step=self._time_step(recipe.scenario),
        )  # fmt: skip

    @property
    def _parameters(self) -> Mapping[str, Parameter]:
        return self.scenario.declaration.parameters.parameters

    def _said_of(self, name: str) -> dict[str, Any]:
        """Return the attributes of a swept parameter's coordinate."""
        parameter = self._parameters[name]
        return {"units": parameter.unit, "long_name": parameter.description or name.replace("_", " ")}

    def _time_step(self, scenario: Scenario) -> float | str:
        """Return model time per step, or the name of the swept parameter that says it."""
        declared = scenario.time_step
        return declared if isinstance(declared, str) and declared in self.design.names else scenario.dt


def check_fixed(scenario: type[Scenario], fixed: Mapping[str, Any]) -> None:
    """Refuse keywords that are no parameters, with what is meant where it is a keyword of one run."""
    parameters = scenario.declaration.parameters.parameters
    for name in fixed:
        if name not in parameters:
            if name in RUN_KEYWORDS:
                raise InputError(f"{name}: it is a keyword of run(), which the runs of a sweep do not have")
            meant = "; did you mean 'overwrite'?" if name == "force" else nearest(name, [*parameters, *SWEEP_KEYWORDS])
            if meant:
                raise InputError(f"unknown parameter {name!r} of {scenario.__name__}{meant}")
            scenario.declaration.parameters.check_names([name])


def typed(scenario: type[Scenario], fixed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that are given in their types, so that 1 and 1.0 are one sweep."""
    values = scenario.declaration.parameters.validate(fixed)
    return {name: values[name] for name in fixed}


def begun(design: Design | Adaptive) -> tuple[Design, Adaptive | None]:
    """Return the points to begin with, and what proposes others."""
    if isinstance(design, Design):
        return design, None
    proposed = design.propose([])
    if not proposed:
        raise InputError("the adaptive design proposes no point to begin with")
    return proposal(design, proposed), design


def proposal(adaptive: Adaptive, proposed: Sequence[Mapping[str, Any]]) -> Design:
    """Return points that an adaptive design proposes as a design."""
    found = listed_points(proposed)
    return Design(Adaptive.kind, found.names, found.columns, None, adaptive.to_json())


def varied(scenario: type[Scenario], swept: Sequence[str], fixed: Mapping[str, Any]) -> set[str]:
    """Return the parameters that may differ between points: those swept, and those that swept regimes set."""
    found = set(swept)
    if scenario.regimes is not None and not found.isdisjoint(scenario.regimes.by):
        found |= {name for defaults in scenario.regimes.table.values() for name in defaults} - {*fixed}
    return found
