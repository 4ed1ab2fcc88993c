"""Observables built on the diagnostics: what a scenario lists under ``observe``."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from simengine.scenario.observables import Output


@dataclass(eq=False)
class School:
    """The order parameters and entropies of a school, from two vector fields of its main population.

    Its state is the school itself (ids, positions, headings): the pair entropies are functions of all agents, so
    parts seen apart are put together by id and measured once.
    """

    population: str = "agents"
    position: str = "position"
    heading: str = "heading"
    box: str = "box"
    length_unit: str = "1"
    definition: str = "dewi-kadita"
    name: str = "school"

    @cached_property
    def outputs(self) -> tuple[Output, ...]:
        """One variable per metric, under the peer's names."""
        from simengine.diagnostics.schooling import METRICS

        return tuple(
            Output(
                metric.name, metric.unit or self.length_unit, metric.long_name,
                attributes={} if math.isinf(metric.valid_range[1]) else {"valid_range": list(metric.valid_range)},
            )
            for metric in METRICS
        )  # fmt: skip

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
        from simengine.diagnostics.schooling import COSTLY_FROM, DEFINITIONS, METRIC_NAMES

        ids, position, heading = (
            state[0] if len(state) == 1 else (np.concatenate(part) for part in zip(*state, strict=True))
        )
        if len(state) > 1:
            order = np.argsort(ids)
            position, heading = position[order], heading[order]
        if len(position) > COSTLY_FROM and view.step == 0:
            warnings.warn(
                f"{len(position)} agents: every record compares all pairs; a larger stride (every=) costs less",
                UserWarning, stacklevel=2,
            )  # fmt: skip
        box = view.scenario.values[self.box]
        measured = DEFINITIONS[self.definition](
            np.ascontiguousarray(position), np.ascontiguousarray(heading), math.inf if box is None else float(box)
        )
        return dict(zip(METRIC_NAMES, measured.tolist(), strict=True))
