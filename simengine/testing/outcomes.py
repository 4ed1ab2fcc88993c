"""What became of agents at the end of runs, as columns for a test of whether two groups of runs are alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from simengine.runs.engine import Engine
from simengine.testing.moments import Moment, Names, observed

Array = NDArray[Any]
Kind = Literal["value", "references", "observable"]
Aspect = Literal["mean", "spread", "trend"]
Outcome = dict[tuple[Kind, str, str], Array]
"""(agents, components) by kind, ``population.field`` or observable, and the population of the rows."""


@dataclass(frozen=True)
class Columns:
    """Columns of one quantity: (runs, agents * components), or (runs, components) for one without agents."""

    kind: Kind
    label: str
    population: str
    aspect: Aspect
    components: int
    values: Array


def outcome(engine: Engine, names: Names) -> Outcome:
    """Return what each agent of ``names`` has now, how often it is referred to, and the observables."""
    found: Outcome = {("observable", "the last step", ""): np.array([[float(engine.step)]])}
    for label, (values, target) in Moment.of(engine).portrait(engine.scenario, names).items():
        if target is None:
            found["value", label, label.split(".")[0]] = values
        else:
            who = values[values >= 0].astype(np.int64)
            counts = np.bincount(who, minlength=len(names[target.name]))
            found["references", label, target.name] = counts[:, None].astype(float)
    for name, value in observed(engine).items():
        found["observable", name, ""] = np.where(np.isfinite(value), value, 0.0).reshape(1, -1)
    return found


def alike(one: Outcome, other: Outcome) -> bool:
    """Whether two runs ended the same in everything."""
    return all(np.array_equal(values, other[key]) for key, values in one.items())


def columns_of(runs: Sequence[Outcome], names: Names, new_names: Names) -> list[Columns]:
    """Return all columns of runs: values, their squared deviations, and how they go with ids.

    The last are sums over agents of the value times the difference of the agent's ranks by its two ids: many small
    advantages of low ids add up there.
    """
    found = []
    for key, first in runs[0].items():
        kind, label, population = key
        values = np.stack([run[key] for run in runs])
        parts: dict[Aspect, Array] = {"mean": values}
        if population:
            parts["spread"] = (values - values.mean(axis=0)) ** 2
            ranks = [np.searchsorted(np.sort(ids[population]), ids[population]) for ids in (names, new_names)]
            parts["trend"] = np.einsum("rac,a->rc", values, (ranks[0] - ranks[1]).astype(float))
        for aspect, part in parts.items():
            found.append(Columns(kind, label, population, aspect, first.shape[1], part.reshape(len(runs), -1)))
    return found


def named(columns: Sequence[Columns], winner: int, names: Names, new_names: Names) -> str:
    """Return in words what one column of all these is."""
    for found in columns:
        if winner < found.values.shape[1]:
            break
        winner -= found.values.shape[1]
    if found.kind == "observable":
        return found.label
    if found.aspect == "trend":
        return f"how {found.label} goes with ids (a covariance)"
    agent, component = divmod(winner, found.components)
    text = described(found.label, agent, component, found.components, names, new_names, found.population)
    if found.kind == "references":
        text = f"the number of those whose {text}"
    return f"the squared deviation of {text}" if found.aspect == "spread" else text


def described(
    label: str, agent: int, component: int, components: int, names: Names, new_names: Names, population: str = ""
) -> str:
    """Return a field, a component where there are several, and of whom, by both its ids."""
    owner = label.split(".")[0]
    index = f"[{component}]" if components > 1 else ""
    link = "of" if population in ("", owner) else "names"
    who = population or owner
    return f"{label}{index} {link} id {names[who][agent]} (dealt {new_names[who][agent]})"
