"""What is measured of contagion, what is refused, and Watts' condition for cascades of global size."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from simengine import InputError, Output, observable, stop_when, tally
from simengine.diagnostics import streaming

NOT_YET = -1
ROUNDING = 1e-9
"""By how much weights that add up to 1 may miss it."""


def most_connected(edges: Mapping[str, Any], n_agents: int, number: int, *, directed: bool = False) -> Any:
    """Return for each agent whether it is among the ``number`` with most neighbours, shape (n_agents,) of truth values.

    Of a directed graph those are counted to whom its edges lead. Of agents with equally many the lowest ids are taken.
    ``edges`` has an array of ``source`` and one of ``target``, as `simengine.graphs.make` returns.
    """
    ends = [edges["source"]] if directed else [edges["source"], edges["target"]]
    degree = np.bincount(np.concatenate(ends).astype(np.int64), minlength=n_agents)
    chosen = np.zeros(n_agents, bool)
    chosen[np.argsort(-degree, kind="stable")[:number]] = True
    return chosen


def cascade_condition(threshold: float, mean_degree: float) -> float:
    """Return the left side of Watts' condition on G(n, p) with a mean degree z, ``z P(Poisson(z) <= K - 2)``.

    Above 1, a single seed may set off a cascade that reaches a finite share of an infinite graph. K is the largest
    number of neighbours of whom a single one is enough. Watts (2002): the sum of k (k - 1) p_k over k <= K exceeds the
    mean of k.
    """
    if not (0.0 < threshold <= 1.0 and mean_degree >= 0.0):
        raise InputError(
            f"cascade_condition: threshold is above 0 and at most 1, mean_degree not negative: not {threshold:g} and "
            f"{mean_degree:g}"
        )
    enough = math.floor(1.0 / threshold) + 1
    while 1.0 / enough < threshold:
        enough -= 1
    term = shares = math.exp(-mean_degree) if enough >= 2 else 0.0
    for k in range(1, enough - 1):
        term *= mean_degree / k
        shares += term
    return mean_degree * shares


def refuse_outside(values: Any, low: float, high: float, what: str) -> None:
    """Refuse values of agents that are not from ``low`` to ``high``."""
    wrong = np.flatnonzero((values < low) | (values > high))
    if len(wrong):
        raise InputError(f"start: {what} of agent {wrong[0]} is {values[wrong[0]]:g}; it is from {low:g} to {high:g}")


def refuse_edges(wrong: Any, values: Any, acquaintances: Any, what: str, allowed: str) -> None:
    """Refuse edges whose value is wrong."""
    found = np.flatnonzero(wrong)
    if len(found):
        edge = found[0]
        ends = f"{acquaintances.source[edge]}-{acquaintances.target[edge]}"
        raise InputError(f"acquaintances: the {what} of edge {ends} is {values[edge]:g}; {allowed}")


@tally(
    "agents.active",
    outputs=(
        Output("share_active", long_name="share of agents that are active"),
        Output("cascade_size", dtype="int64", long_name="active agents, seeds included"),
    ),
)
def activity(values: Any, counts: Any) -> dict[str, Any]:
    """How many agents are active."""
    wrong = values[(values != 0) & (values != 1)]
    if len(wrong):
        raise InputError(f"start: active is 0 or 1, not {wrong[0]}")
    active = int(counts[values == 1].sum())
    return {"share_active": active / int(counts.sum()), "cascade_size": active}


@observable(
    outputs=(
        Output("newly_active", dtype="int64", long_name="agents that adopted in this step (at the start: seeds)"),
        Output("duration", dtype="int64", long_name="last step in which somebody adopted"),
    )
)
def progress(agents: Any, step: int) -> dict[str, int]:
    """Whom the cascade has reached last."""
    newly = int(((agents.active == 1) & (agents.joined == NOT_YET)).sum())
    return {"newly_active": newly, "duration": step if newly else max(int(agents.joined.max()), 0)}


@observable(when={"seeding": "highest_degree"})
def degree_of_active(agents: Any, acquaintances: Any, p: Any, step: int) -> float:
    """Mean number of neighbours of the active, to whom edges lead from them; not-a-number where nobody is."""
    active, degree = agents.active == 1, acquaintances.degree
    if step == 0 and active.any():
        least = degree[active].min()
        if int(active.sum()) != p.n_seeds or bool((degree[~active] > least).any()):
            raise InputError(
                "seeding='highest_degree' goes by the graph that is made here; with a graph or seeds of your own name "
                "the seeds: start={'active': most_connected(...)} and seeding='given'"
            )
    return float(degree[active].mean()) if active.any() else math.nan


@observable
def mean_threshold(agents: Any) -> float:
    """Mean threshold of the agents."""
    refuse_outside(agents.threshold, 0.0, 1.0, "threshold")
    return float(agents.threshold.mean())


@observable(when={"probabilities": "edges"})
def mean_probability(acquaintances: Any) -> float:
    """Mean probability of an edge to persuade."""
    values = acquaintances.probability
    allowed = "with probabilities='edges' each has a `probability` from 0 to 1"
    refuse_edges((values < 0.0) | (values > 1.0), values, acquaintances, "probability", allowed)
    return float(values.mean()) if len(values) else math.nan


@observable(when={"weights": "edges"})
def largest_in_weight(agents: Any, acquaintances: Any) -> float:
    """Largest sum of the weights of the edges that lead to one agent."""
    values = acquaintances.weight
    allowed = "with weights='edges' each has a `weight` of 0 or above"
    refuse_edges(values < 0.0, values, acquaintances, "weight", allowed)
    sums = np.bincount(acquaintances.target, weights=values, minlength=len(agents))
    largest = int(sums.argmax())
    if sums[largest] > 1.0 + ROUNDING:
        raise InputError(
            f"acquaintances: the weights of the edges that lead to agent {largest} add up to {sums[largest]:g}; they "
            "add up to 1 at most"
        )
    return float(sums[largest])


ACTIVITY = [activity, streaming.entropy(streaming.field("agents.active", states=2))]
"""What all four models record; the entropy (nat) is that of being active or not."""

CASCADE = [*ACTIVITY, progress, degree_of_active]


@stop_when
def nobody_adopts(agents: Any, p: Any) -> bool:
    """Nobody adopted in this step, or nobody is left who can."""
    if p.spontaneous > 0.0:
        return bool(((agents.active == 1) | agents.immune).all())
    return not bool(((agents.active == 1) & (agents.joined == NOT_YET)).any())
