"""A scenario with few situations and an exact answer, for tests of language models as policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from simengine import Function, Output, Prompt, Scenario, decision, field, observable, param, population, update

ADOPTED = (Output("share", "1", "share of agents who adopt"),)


@observable(outputs=ADOPTED)
def adopters(agents: Any) -> dict[str, float]:
    return {"share": float(agents.action.mean())}


ADOPT = Prompt(
    system="You are one of {p.n_agents} farmers. A new crop is on offer.",
    question="Your neighbour harvested {harvest:.2f} with it. Your field is number {kind}.",
    see=lambda asked: {"harvest": asked.agents.harvest, "kind": asked.agents.kind},
    digits={"harvest": 2},
    remember="With a harvest of {harvest:.2f} you chose: {action}.",
)


class Adoption(Scenario):
    """Farmers of a few kinds adopt a crop or wait; the harvest that they see changes every few steps."""

    default_steps = 6

    n_agents: int = param(40, low=1, description="farmers")
    kinds: int = param(4, low=1, description="kinds of fields")
    period: int = param(3, low=1, description="steps for which a harvest is seen")

    agents = population(
        size="n_agents",
        kind=field(int, long_name="kind of the field"),
        harvest=field(unit="t", long_name="harvest of the neighbour"),
        action=field(int, long_name="adopts"),
        adopted=field(int, long_name="steps with the new crop"),
        age=field(int, long_name="steps lived"),
    )

    def start(self, agents: Any) -> None:
        agents.kind[:] = np.arange(agents.size) % self.kinds

    @update(agents)
    def look(me, agents, new, p, step):
        new.harvest[me] = 1.0 + agents.kind[me] + step // p.period

    @decision(agents.action, options=("wait", "adopt"))
    def adopt(me, agents):
        """Adopt when the neighbour's harvest was large."""
        return 1 if agents.harvest[me] > 3.0 else 0

    @update(agents)
    def live(me, agents, new):
        new.age[me] += 1

    @update(agents)
    def count_adopted(me, agents, new):
        new.adopted[me] += agents.action[me]

    observe = [adopters]
    prompts = {"adopt": ADOPT}


def by_the_rule(context: Mapping[str, Any], request: Any) -> list[float]:
    return [0.0, 1.0] if context["harvest"] > 3.0 else [1.0, 0.0]


def undecided(context: Mapping[str, Any], request: Any) -> list[float]:
    return [0.6, 0.4] if context["kind"] % 2 else [0.2, 0.8]


RULE_BACKEND = Function(by_the_rule)
UNDECIDED = Function(undecided)
