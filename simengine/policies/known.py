"""What the rule of a decision knows when it decides: what any other policy may be shown in its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from simengine.compile.module import Plan
from simengine.scenario.phases import Decision
from simengine.scenario.scenario import Scenario


@dataclass(frozen=True)
class Read:
    """One value that the rule reads: a field of the agent's own, or what its gathers collected."""

    name: str
    long_name: str
    unit: str
    source: Literal["field", "collected"]


@dataclass(frozen=True)
class Known:
    """All that a rule reads of its agent, the parameters it uses, and the docstring that says what it does."""

    reads: tuple[Read, ...]
    parameters: tuple[tuple[str, str], ...]
    """Names, and what they are."""
    question: str
    action: str
    unit: str
    low: float | None
    high: float | None
    whole: bool


def known_to_rule(scenario: Scenario, plan: Plan, decision: Decision) -> Known:
    """Return what the rule of a decision reads, from its compiled form."""
    lowered = next(
        low for _, _, low in plan.origins if low.name.removesuffix("_in_turn") == f"decision_{decision.name}"
    )
    population = decision.population
    reads: dict[str, Read] = {}
    for argument in lowered.arguments:
        if argument.kind == "field" and argument.at == "me" and argument.owner == population.name:
            declared = (population.fields | population.inboxes)[argument.name]
            long_name = declared.long_name or argument.name.replace("_", " ")
            reads.setdefault(argument.name, Read(argument.name, long_name, declared.unit, "field"))
        elif argument.kind == "accumulator":
            long_name = argument.name.replace("_", " ")
            reads.setdefault(argument.name, Read(argument.name, long_name, "1", "collected"))
    declared_parameters = scenario.declaration.parameters.parameters
    used = dict.fromkeys(argument.name for argument in lowered.arguments if argument.kind == "parameter")
    parameters = tuple(
        (name, declared_parameters[name].description or name.replace("_", " "))
        for name in used
        if name in declared_parameters
    )
    action = population.fields[decision.action]
    return Known(
        tuple(reads.values()), parameters, " ".join((decision.function.__doc__ or "").split()),
        action.long_name or decision.action.replace("_", " "), action.unit, action.low, action.high,
        action.dtype is not float,
    )  # fmt: skip
