"""Observables built on the diagnostics: what a scenario lists under ``observe``."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from simengine.diagnostics.streaming.observable import FLAG_MASKS, FLAG_MEANINGS, MERGE_CLASSES, flag_bits
from simengine.errors import ScenarioError, nearest
from simengine.scenario.observables import Output

ORDER_PARAMETERS = ("polarization", "rotation", "spread", "order_index")
"""The four numbers of a school that are no entropies."""


@dataclass(eq=False)
class School:
    """The order parameters and entropies of a school, from two vector fields of its main population.

    ``definition`` is ``"dewi-kadita"`` (the numbers of the literature,
    :mod:`~simengine.diagnostics.schooling`), ``"order-parameters"`` (the first four of them, in time O(N)) or
    ``"calibrated"`` (:mod:`~simengine.diagnostics.calibrated`, with errors and nulls). ``reach`` is the radius of the
    reference ball of the calibrated numbers in open space: a number, or the name of a parameter. ``without`` names
    numbers that are left to another observable. It is recorded when the scenario's parameters have the values of
    ``when``, a tuple meaning any of several.

    Each calibrated number has the companions of any streamed diagnostic: ``_standard_error``, ``_null_mean``,
    ``_null_sd`` and ``_flags``. Flags are kept for each number, not for the set: of parallel fish the entropy of
    headings is constant, that of places is not.

    Its state is the school itself (ids, positions, headings): the pair entropies are functions of all agents, so
    parts seen apart are put together by id and measured once.
    """

    population: str = "agents"
    position: str = "position"
    heading: str = "heading"
    box: str = "box"
    length_unit: str = "1"
    definition: str = "dewi-kadita"
    name: str = ""
    reach: str | float | None = None
    without: tuple[str, ...] = ()
    when: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = ("dewi-kadita", "order-parameters", "calibrated")
        if self.definition not in known:
            raise ScenarioError(
                f"School(): unknown definition {self.definition!r}{nearest(self.definition, known)};"
                f" allowed: {', '.join(known)}"
            )
        if not self.name:
            self.name = "school" if self.definition == "dewi-kadita" else f"school_{self.definition.replace('-', '_')}"

    @cached_property
    def outputs(self) -> tuple[Output, ...]:
        """One variable per number."""
        if self.definition == "calibrated":
            found = self._calibrated_outputs()
        else:
            from simengine.diagnostics.schooling import METRICS

            metrics = METRICS if self.definition == "dewi-kadita" else METRICS[: len(ORDER_PARAMETERS)]
            found = tuple(
                Output(
                    metric.name, metric.unit or self.length_unit, metric.long_name,
                    attributes={} if math.isinf(metric.valid_range[1]) else {"valid_range": list(metric.valid_range)},
                )
                for metric in metrics
            )  # fmt: skip
        names = [output.name for output in found]
        for name in self.without:
            if name not in names:
                raise ScenarioError(f"School(without=...): no number {name!r}{nearest(name, names)}")
        left_out = {*self.without, *(f"{name}_flags" for name in self.without)}
        return tuple(output for output in found if output.name not in left_out)

    def _calibrated_outputs(self) -> tuple[Output, ...]:
        """The eleven numbers, each followed by its flags."""
        from simengine.diagnostics.calibrated import CALIBRATED, FIRST_ENTROPY, SAMPLE, SAMPLED

        found = []
        for k, metric in enumerate(CALIBRATED):
            said: dict[str, Any] = {
                "estimator": metric.method, "merge_class": f"C: {MERGE_CLASSES['C']}",
                "ancillary_variables": f"{metric.name}_flags",
            }  # fmt: skip
            if metric.bins:
                said["bins"] = metric.bins
            if k in SAMPLED:
                said["largest_sample"] = SAMPLE
            if k < FIRST_ENTROPY and metric.unit:
                said["valid_range"] = [0.0, 1.0]
            unit = metric.unit or self.length_unit
            found.append(Output(metric.name, unit, metric.long_name, uncertain=True, null=True, attributes=said))
            found.append(
                Output(
                    f"{metric.name}_flags", "1", f"reasons to doubt {metric.long_name}", dtype="int64",
                    attributes={"flag_masks": FLAG_MASKS, "flag_meanings": FLAG_MEANINGS},
                )
            )  # fmt: skip
        return tuple(found)

    def prepare(self) -> None:
        """Compile, on one fish."""
        place, heading = np.zeros((1, 3)), np.array([[1.0, 0.0, 0.0]])
        place.flags.writeable = heading.flags.writeable = False
        if self.definition == "calibrated":
            from simengine.diagnostics.calibration import calibrated_school

            calibrated_school(place, heading, math.inf, 1.0, np.zeros(1, np.int64))
        else:
            from simengine.diagnostics.schooling import DEFINITIONS

            DEFINITIONS[self.definition](place, heading, math.inf)

    def begin(self) -> Any:
        """Nobody seen."""
        return []

    def update(self, state: Any, view: Any) -> Any:
        """Add the agents of a view."""
        agents = view.populations[self.population]
        return [*state, (agents.ids, getattr(agents, self.position), getattr(agents, self.heading))]

    def merge(self, state: Any, other: Any) -> Any:
        """Put two groups together."""
        return [*state, *other]

    def finalise(self, state: Any, view: Any) -> Mapping[str, Any]:
        """Measure the whole school, in order of id."""
        ids, position, heading = (
            state[0] if len(state) == 1 else (np.concatenate(part) for part in zip(*state, strict=True))
        )
        if len(state) > 1:
            order = np.argsort(ids)
            ids, position, heading = ids[order], position[order], heading[order]
        position, heading = np.ascontiguousarray(position), np.ascontiguousarray(heading)
        box = view.scenario.values[self.box]
        side = math.inf if box is None else float(box)
        if self.definition == "calibrated":
            return self._calibrated(ids, position, heading, side, view)
        return self._plain(position, heading, side, view)

    def _plain(self, position: Any, heading: Any, side: float, view: Any) -> Mapping[str, Any]:
        from simengine.diagnostics.schooling import COSTLY_FROM, DEFINITIONS, METRIC_NAMES

        if len(position) > COSTLY_FROM and view.step == 0 and self.definition == "dewi-kadita":
            warnings.warn(
                f"{len(position)} agents: every record compares all pairs; a larger stride (every=) costs less",
                UserWarning, stacklevel=3,
            )  # fmt: skip
        measured = DEFINITIONS[self.definition](position, heading, side)
        return dict(zip(METRIC_NAMES, measured.tolist(), strict=False))

    def _calibrated(self, ids: Any, position: Any, heading: Any, side: float, view: Any) -> Mapping[str, Any]:
        from simengine.diagnostics.calibration import calibrated_school, chosen_agents

        reach = self._reach(view.scenario.values, side)
        chosen = chosen_agents(ids, view.seed, view.step, self.population)
        row: dict[str, Any] = {}
        for name, estimate in calibrated_school(position, heading, side, reach, chosen, self.length_unit).items():
            row[name] = estimate.measured()
            row[f"{name}_flags"] = flag_bits(estimate.flags)
        return row

    def _reach(self, values: Mapping[str, Any], side: float) -> float:
        """Return the radius of the reference ball; any number in a box, where it has no effect."""
        if side < math.inf:
            return 1.0
        if self.reach is None:
            raise ScenarioError(f"{self.name}: open space needs reach=, the radius of the reference ball")
        if not isinstance(self.reach, str):
            return float(self.reach)
        if self.reach not in values:
            raise ScenarioError(f"{self.name}: reach names no parameter {self.reach!r}{nearest(self.reach, values)}")
        return float(values[self.reach])
