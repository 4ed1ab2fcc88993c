"""What is measured of contagion, and Watts' condition for cascades of global size."""

from __future__ import annotations

import math
from typing import Any

from simengine import InputError, Output, observable, stop_when, tally
from simengine.diagnostics import streaming

NOT_YET = -1


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


@tally(
    "agents.active",
    outputs=(
        Output("share_active", long_name="share of agents that are active"),
        Output("cascade_size", dtype="int64", long_name="active agents, seeds included"),
    ),
)
def activity(values: Any, counts: Any) -> dict[str, Any]:
    """How many agents are active."""
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


ACTIVITY = [activity, streaming.entropy(streaming.field("agents.active", states=2))]
"""What all four models record; the entropy (nat) is that of being active or not."""

CASCADE = [*ACTIVITY, progress]


@stop_when
def nobody_left_to_adopt(agents: Any) -> bool:
    """All had adopted before this step, or are immune."""
    return bool(((agents.joined != NOT_YET) | agents.immune).all())
