"""``simengine run``: one run to one file, and a summary of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import simengine
from simengine.cli import config, language_options, settings, summary
from simengine.cli.failures import explained
from simengine.errors import InputError
from simengine.runs import registry


@dataclass(frozen=True)
class Request:
    """What the user asked for: words still to be understood, and the keywords of `simengine.run` that were given."""

    scenario: str | None
    settings: tuple[str, ...]
    interventions: tuple[str, ...]
    stray: tuple[str, ...]
    config: Path | None
    keywords: Mapping[str, Any]
    as_json: bool
    policies: tuple[str, ...] = ()
    language: Mapping[str, Any] = field(default_factory=dict)


def perform(request: Request) -> None:
    """Run and print the summary; errors name what stays readable."""
    begun = time.perf_counter()
    filed = config.Config() if request.config is None else config.read(request.config)
    name = request.scenario or filed.scenario
    if name is None:
        raise InputError("no scenario is given: simengine run NAME, or a --config file with scenario = NAME")
    settings.refuse_assignment(name)
    with nullcontext() if request.scenario else filed.located(filed.line("scenario")):
        found = registry.find(name)
    filed_parameters, given = filed.parameters(found), settings.parameters(found, request.settings, request.stray)
    parameters = filed_parameters | given
    interventions = [*filed.interventions(found), *settings.interventions(found, request.interventions)]
    keywords = {**filed.keywords, **request.keywords}
    out = Path(keywords.pop("out", None) or f"{label(name)}-{keywords.get('seed', 0)}.nc")
    if interventions:
        keywords["interventions"] = interventions
    answering = language_options.policies_of(
        found, request.policies, request.language, parameters, keywords.get("start")
    )
    if answering:
        keywords["policies"] = answering
    overriding = {**request.keywords, **({"interventions": ()} if request.interventions else {})}
    with (
        explained(out, found, request.language),
        filed.located(overridden=overriding, alone=bool(filed_parameters) and not given),
    ):
        dataset = simengine.run(found, out=out, **keywords, **parameters)
    with dataset:
        said = summary.document(found, dataset, out, time.perf_counter() - begun)
    summary.show(said, request.as_json)


def label(scenario: str) -> str:
    """Return the first part of the file's name: the scenario's name, or that of its file."""
    name = scenario.rpartition(":")[0] if ".py:" in scenario else scenario
    return Path(name).stem if name.endswith(".py") else name
