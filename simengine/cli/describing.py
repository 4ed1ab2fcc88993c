"""``simengine describe``: everything that a scenario declares, as a reader of its paper wants to see it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from typing import Any

from simengine.cli.output import console, paragraph, print_json, table
from simengine.policies.answers import labelled
from simengine.relations.base import Relation
from simengine.runs import registry
from simengine.runs.start import variable_name
from simengine.scenario.phases import AgentPhase, Decision, Events, Gather, Phase, Send, Update
from simengine.scenario.population import Field, Population
from simengine.scenario.scenario import Scenario

Document = dict[str, Any]


def show(name: str, as_json: bool) -> None:
    """Print what a scenario declares."""
    said = document(registry.find(name))
    if as_json:
        print_json(said)
    else:
        print_tables(said)


# -- the document ------------------------------------------------------------------------------------------------


def document(scenario: type[Scenario]) -> Document:
    """Return what a scenario declares, by name where things have names; the phases in their order."""
    declared = scenario.declaration
    return {
        "scenario": scenario.__name__,
        "summary": scenario.summary(),
        "description": described(scenario),
        "reference": scenario.paper or None,
        "source": inspect.getsourcefile(scenario),
        "default_steps": scenario.default_steps,
        "time_step": scenario.time_step,
        "time_unit": scenario.time_unit,
        "parameters": parameters(scenario),
        "regimes": regimes(scenario),
        "populations": {
            name: {"start": population.size, "capacity": population.capacity, "dimension": population.dim}
            for name, population in declared.populations.items()
        },
        "fields": fields(scenario),
        "relations": {
            name: {"kind": type(relation).__name__, "who_sees_whom": seen(relation)}
            for name, relation in declared.relations.items()
        },
        "phases": [phase_facts(phase) for phase in declared.phases.values()],
        "decisions": {
            name: {"options": list(phase.options), "rule": first_line(phase)}
            for name, phase in labelled(scenario).items()
        },
        "observables": observables(scenario),
        "stops": [stop.reason for stop in declared.stops],
    }


def described(scenario: type[Scenario]) -> str:
    """Return the class's docstring; where that is one line, the docstring of its file as well."""
    text = inspect.getdoc(scenario) or ""
    module = inspect.getdoc(sys.modules.get(scenario.__module__))
    return f"{text}\n\n{module}" if module and "\n" not in text.strip() else text


def parameters(scenario: type[Scenario]) -> dict[str, Document]:
    """Return type, default, bounds, unit and description of every parameter."""
    return {
        name: {
            "type": parameter.type_name,
            "default": parameter.default,
            "options": parameter.options,
            "bounds": parameter.bounds or None,
            "low": parameter.low,
            "high": parameter.high,
            "above": parameter.above,
            "below": parameter.below,
            "unit": parameter.unit,
            "description": parameter.description or None,
        }
        for name, parameter in scenario.declaration.parameters.parameters.items()
    }


def regimes(scenario: type[Scenario]) -> list[Document]:
    """Return for every regime the parameters that choose it and the defaults that it brings."""
    if scenario.regimes is None:
        return []
    found: list[Document] = []
    for key, values in scenario.regimes.table.items():
        chosen = key if isinstance(key, tuple) else (key,)
        found.append({"when": dict(zip(scenario.regimes.by, chosen, strict=True)), "defaults": dict(values)})
    return found


def fields(scenario: type[Scenario]) -> dict[str, Document]:
    """Return the fields of every population, with the names of their variables in files."""
    found: dict[str, Document] = {}
    for population in scenario.declaration.populations.values():
        for name, field in population.fields.items():
            found[f"{population.name}.{name}"] = {
                "type": field_type(field, population),
                "unit": field.unit,
                "in_files": variable_name(scenario, population, name),
                "long_name": field.long_name or name.replace("_", " "),
            }
    return found


def field_type(field: Field, population: Population) -> str:
    """Say what a field holds, in words."""
    from simengine.compile.emit import is_reference

    if is_reference(field):
        return f"id of {(field.reference or population).name}"
    return str(field.dtype.__name__) + (f" x {field.components}" if field.components else "")


def seen(relation: Relation) -> str:
    """Say who looks at whom."""
    return f"{relation.source.name} see {relation.target.name}"


def phase_facts(phase: Phase) -> Document:
    """Return name, kind, whose, order, gathers, condition and first line of one phase."""
    order = whose = ""
    after: list[str] = []
    if isinstance(phase, Gather):
        whose = phase.relation.source.name
        order = f"over {phase.relation.name or type(phase.relation).__name__}"
    elif isinstance(phase, Send):
        order = f"to {phase.to.name}"
    elif isinstance(phase, Update | Decision):
        order = f"events({phase.order.number})" if isinstance(phase.order, Events) else phase.order
    if isinstance(phase, AgentPhase):
        whose = phase.population.name
        after = [gather.name for gather in phase.after]
    return {
        "name": phase.name,
        "kind": phase.kind,
        "of": whose or None,
        "order": order or None,
        "after": after,
        "when": dict(phase.when),
        "what": first_line(phase),
    }


def first_line(phase: Phase) -> str:
    """Return what the author's docstring says first."""
    return (inspect.getdoc(phase.function) or "").split("\n")[0]


def observables(scenario: type[Scenario]) -> dict[str, Document]:
    """Return every recorded variable of the observables."""
    return {
        output.name: {
            "unit": output.unit,
            "dims": ["time", *output.dims],
            "every": strided.every,
            "when": dict(getattr(strided.observable, "when", {})),
            "long_name": output.long_name or output.name.replace("_", " "),
            "uncertain": output.uncertain,
            "null": output.null,
        }
        for strided in scenario.declaration.observables
        for output in strided.observable.outputs
    }


# -- the page ----------------------------------------------------------------------------------------------------


def print_tables(said: Document) -> None:
    """Print the document as tables."""
    page = console()
    paragraph(page, said["scenario"], "bold")
    paragraph(page, said["description"])
    paragraph(page, "")
    time_step = str(said["time_step"])
    facts = [
        ("reference", said["reference"] or ""),
        ("source", said["source"] or ""),
        ("default steps", str(said["default_steps"])),
        ("time step", f"{time_step} ({said['time_unit']})" if said["time_unit"] != "1" else time_step),
    ]
    table(page, "", ("", ""), [fact for fact in facts if fact[1]])
    columns = ["name", "type", "default", "bounds", "unit", "description"]
    table(page, "Parameters", columns, _rows(said["parameters"], *columns[1:]), ("default",))
    table(page, "Regimes", *_regime_table(said["regimes"]))
    columns = ["name", "start", "capacity", "dimension"]
    table(page, "Populations", columns, _rows(said["populations"], *columns[1:]))
    rows = _rows(said["fields"], "type", "unit", "in_files", "long_name")
    table(page, "Fields", ("field", "type", "unit", "in files", "long name"), rows)
    table(page, "Relations", ("name", "kind", "who sees whom"), _rows(said["relations"], "kind", "who_sees_whom"))
    table(page, "Phases of a step", *_phase_table(said["phases"]))
    decisions = [(name, " | ".join(facts["options"]), facts["rule"]) for name, facts in said["decisions"].items()]
    table(page, "Decisions", ("name", "options", "rule"), decisions)
    rows = [_observable_row(name, facts) for name, facts in said["observables"].items()]
    table(page, "Observables", ("name", "unit", "dims", "every", "when", "long name"), rows)
    table(page, "Stops", ("",), [(reason,) for reason in said["stops"]])


def value_text(value: Any) -> str:
    """Return a parameter's value as ``--set`` takes it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _settings_text(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value_text(value)}" for name, value in values.items())


def _rows(named: Mapping[str, Document], *keys: str) -> list[tuple[str, ...]]:
    """One row for each name: the name and what is said of it under the keys."""
    return [
        (name, *(value_text(facts[key]) if key == "default" else _text(facts[key]) for key in keys))
        for name, facts in named.items()
    ]


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _regime_table(listed: list[Document]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    if not listed:
        return (), []
    rows = [(*map(value_text, one["when"].values()), _settings_text(one["defaults"])) for one in listed]
    return (*listed[0]["when"], "defaults"), rows


def _phase_table(listed: list[Document]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    rows: list[tuple[str, ...]] = [
        (
            str(number), one["name"], one["kind"], _text(one["of"]), _text(one["order"]), ", ".join(one["after"]),
            _settings_text(one["when"]), one["what"],
        )
        for number, one in enumerate(listed, 1)
    ]  # fmt: skip
    return ("", "name", "kind", "of", "order", "after", "when", "what"), rows


def _observable_row(name: str, facts: Document) -> tuple[str, ...]:
    extra = " ".join(["with error"] * facts["uncertain"] + ["with null"] * facts["null"])
    every = "" if facts["every"] is None else f"{facts['every']} steps"
    text = f"{facts['long_name']} ({extra})" if extra else facts["long_name"]
    return name, facts["unit"], ", ".join(facts["dims"]), every, _settings_text(facts["when"]), text
