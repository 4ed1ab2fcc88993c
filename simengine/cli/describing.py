"""``simengine describe``: everything that a scenario declares, as a reader of its paper wants to see it."""

from __future__ import annotations

import inspect
import sys
from typing import Any

from simengine.cli.output import console, paragraph, table
from simengine.policies.answers import labelled
from simengine.relations.base import Relation
from simengine.runs import registry
from simengine.runs.start import variable_name
from simengine.scenario.phases import AgentPhase, Decision, Events, Gather, Phase, Send, Update
from simengine.scenario.population import Field, Population
from simengine.scenario.scenario import Scenario


def show(name: str) -> None:
    """Print what a scenario declares."""
    scenario = registry.find(name)
    page = console()
    declared = scenario.declaration
    paragraph(page, scenario.__name__, "bold")
    paragraph(page, described(scenario))
    paragraph(page, "")
    facts = [
        ("reference", scenario.paper),
        ("source", inspect.getsourcefile(scenario) or ""),
        ("default steps", str(scenario.default_steps)),
        (
            "time step",
            f"{scenario.time_step} ({scenario.time_unit})" if scenario.time_unit != "1" else str(scenario.time_step),
        ),
    ]
    table(page, "", ("", ""), [fact for fact in facts if fact[1]])
    table(
        page,
        "Parameters",
        ("name", "type", "default", "bounds", "unit", "description"),
        parameter_rows(scenario),
        ("default",),
    )
    table(page, "Regimes", *regime_rows(scenario))
    table(page, "Populations", ("name", "start", "capacity", "dimension"), population_rows(scenario))
    table(page, "Fields", ("field", "type", "unit", "in files", "long name"), field_rows(scenario))
    relations = [(label, type(relation).__name__, seen(relation)) for label, relation in declared.relations.items()]
    table(page, "Relations", ("name", "kind", "who sees whom"), relations)
    phases = [phase_row(number, phase) for number, phase in enumerate(declared.phases.values(), 1)]
    table(page, "Phases of a step", ("", "name", "kind", "of", "order", "after", "when", "what"), phases)
    table(page, "Decisions", ("name", "options", "rule"), decision_rows(scenario))
    table(page, "Observables", ("name", "unit", "dims", "every", "long name"), observable_rows(scenario))
    table(page, "Stops", ("",), [(stop.reason,) for stop in declared.stops])


def described(scenario: type[Scenario]) -> str:
    """Return the class's docstring; where that is one line, the docstring of its file as well."""
    text = inspect.getdoc(scenario) or ""
    module = inspect.getdoc(sys.modules.get(scenario.__module__))
    return f"{text}\n\n{module}" if module and "\n" not in text.strip() else text


def value_text(value: Any) -> str:
    """Return a parameter's value as ``--set`` takes it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def parameter_rows(scenario: type[Scenario]) -> list[tuple[str, ...]]:
    """List name, type, default, bounds, unit and description."""
    listed = scenario.declaration.parameters.parameters.values()
    return [(p.name, p.type_name, value_text(p.default), p.bounds, p.unit, p.description) for p in listed]


def regime_rows(scenario: type[Scenario]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return head and rows of the table of regimes."""
    if scenario.regimes is None:
        return (), []
    rows: list[tuple[str, ...]] = []
    for key, values in scenario.regimes.table.items():
        chosen = key if isinstance(key, tuple) else (key,)
        rows.append(
            (*map(value_text, chosen), ", ".join(f"{name}={value_text(value)}" for name, value in values.items()))
        )
    return (*scenario.regimes.by, "defaults"), rows


def population_rows(scenario: type[Scenario]) -> list[tuple[str, ...]]:
    """List name, size at the start, capacity and dimension in files."""
    return [
        (name, str(population.size), "" if population.capacity is None else str(population.capacity), population.dim)
        for name, population in scenario.declaration.populations.items()
    ]


def field_rows(scenario: type[Scenario]) -> list[tuple[str, ...]]:
    """List the fields of every population; ``in files`` where their variable has another name."""
    rows: list[tuple[str, ...]] = []
    for population in scenario.declaration.populations.values():
        for name, field in population.fields.items():
            stored = variable_name(scenario, population, name)
            label = field.long_name or name.replace("_", " ")
            rows.append((f"{population.name}.{name}", field_type(field, population), field.unit, stored, label))
    return rows


def field_type(field: Field, population: Population) -> str:
    """Say what a field holds, in words."""
    from simengine.compile.emit import is_reference

    if is_reference(field):
        return f"id of {(field.reference or population).name}"
    return str(field.dtype.__name__) + (f" x {field.components}" if field.components else "")


def seen(relation: Relation) -> str:
    """Say who looks at whom."""
    return f"{relation.source.name} see {relation.target.name}"


def phase_row(position: int, phase: Phase) -> tuple[str, ...]:
    """Return one phase: its number, name, kind, whose, order, gathers, condition and first line."""
    order = after = whose = ""
    if isinstance(phase, Gather):
        whose = phase.relation.source.name
        order = f"over {phase.relation.name or type(phase.relation).__name__}"
    elif isinstance(phase, Send):
        order = f"to {phase.to.name}"
    elif isinstance(phase, Update | Decision):
        order = f"events({phase.order.number})" if isinstance(phase.order, Events) else phase.order
    if isinstance(phase, AgentPhase):
        whose = phase.population.name
        after = ", ".join(gather.name for gather in phase.after)
    when = ", ".join(f"{name}={value_text(value)}" for name, value in phase.when.items())
    return (str(position), phase.name, phase.kind, whose, order, after, when, first_line(phase))


def first_line(phase: Phase) -> str:
    """Return what the author's docstring says first."""
    return (inspect.getdoc(phase.function) or "").split("\n")[0]


def decision_rows(scenario: type[Scenario]) -> list[tuple[str, ...]]:
    """List decisions by the name that policies are given under."""
    return [(name, " | ".join(phase.options), first_line(phase)) for name, phase in labelled(scenario).items()]


def observable_rows(scenario: type[Scenario]) -> list[tuple[str, ...]]:
    """List every recorded variable of the observables."""
    rows: list[tuple[str, ...]] = []
    for strided in scenario.declaration.observables:
        every = "" if strided.every is None else f"{strided.every} steps"
        for output in strided.observable.outputs:
            extra = " ".join(["with error"] * output.uncertain + ["with null"] * output.null)
            text = output.long_name or output.name.replace("_", " ")
            rows.append(
                (
                    output.name,
                    output.unit,
                    ", ".join(("time", *output.dims)),
                    every,
                    f"{text} ({extra})" if extra else text,
                )
            )
    return rows
