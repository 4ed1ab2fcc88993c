"""A distributed simulation engine for multi-agent social systems.

What is named here is the public interface; everything else is private and may change. Names are loaded when they
are first used, so that importing simengine costs little.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simengine.analysis.interchange import export
    from simengine.errors import InputError, RunError, ScenarioError, SimengineError, StoreError
    from simengine.policies.answers import Asked, Policy
    from simengine.policies.language.backends.function import Function
    from simengine.policies.language.backends.local import Local
    from simengine.policies.language.backends.openai import OpenAI
    from simengine.policies.language.backends.replay import Replay
    from simengine.policies.language.backends.surrogate import Surrogate
    from simengine.policies.language.decisions import decisions
    from simengine.policies.language.limits import Limits
    from simengine.policies.language.memory import Memory
    from simengine.policies.language.policy import Language
    from simengine.policies.language.prompts import Prompt
    from simengine.policies.language.record import Record
    from simengine.policies.language.retries import Retries
    from simengine.policies.language.spending import Budget, Prices
    from simengine.policies.learned import Learned
    from simengine.random.streams import AgentDraws
    from simengine.relations import graphs as graphs
    from simengine.relations.chosen import Chosen, ChosenBy, Mates, Members, Owner
    from simengine.relations.everyone import Everyone
    from simengine.relations.grid import Grid
    from simengine.relations.matching import Matching
    from simengine.relations.network import Network
    from simengine.relations.random import Random
    from simengine.relations.space import Space
    from simengine.relations.window import Window
    from simengine.runs.api import run
    from simengine.runs.continuing import branch
    from simengine.runs.repeating import Comparison, rerun
    from simengine.runs.simulation import Simulation
    from simengine.scenario.interventions import Intervention, at, every
    from simengine.scenario.observables import Measured, Observable, Output, observable
    from simengine.scenario.parameters import param
    from simengine.scenario.phases import (
        birth,
        count,
        counted,
        decision,
        drawn,
        events,
        gather,
        highest,
        lowest,
        lowest_id,
        median,
        rewire,
        running,
        send,
        summed,
        total,
        update,
    )
    from simengine.scenario.population import NOBODY, field, population, reference, vector
    from simengine.scenario.scenario import Regimes, Scenario
    from simengine.scenario.stop import consensus, extinct, stop_when, unchanged
    from simengine.scenario.tallies import tally
    from simengine.sweeps import designs as designs
    from simengine.sweeps.api import extend, failures, open, resume, status, sweep

__version__ = "0.1.0"

_HOME = {
    "simengine.analysis.interchange": ("export",),
    "simengine.errors": ("InputError", "RunError", "ScenarioError", "SimengineError", "StoreError"),
    "simengine.policies.answers": ("Asked", "Policy"),
    "simengine.policies.language.backends.function": ("Function",),
    "simengine.policies.language.backends.local": ("Local",),
    "simengine.policies.language.backends.openai": ("OpenAI",),
    "simengine.policies.language.backends.replay": ("Replay",),
    "simengine.policies.language.backends.surrogate": ("Surrogate",),
    "simengine.policies.language.decisions": ("decisions",),
    "simengine.policies.language.limits": ("Limits",),
    "simengine.policies.language.memory": ("Memory",),
    "simengine.policies.language.policy": ("Language",),
    "simengine.policies.language.prompts": ("Prompt",),
    "simengine.policies.language.record": ("Record",),
    "simengine.policies.language.retries": ("Retries",),
    "simengine.policies.language.spending": ("Budget", "Prices"),
    "simengine.policies.learned": ("Learned",),
    "simengine.random.streams": ("AgentDraws",),
    "simengine.relations.chosen": ("Chosen", "ChosenBy", "Mates", "Members", "Owner"),
    "simengine.relations.everyone": ("Everyone",),
    "simengine.relations.grid": ("Grid",),
    "simengine.relations.matching": ("Matching",),
    "simengine.relations.network": ("Network",),
    "simengine.relations.random": ("Random",),
    "simengine.relations.space": ("Space",),
    "simengine.relations.window": ("Window",),
    "simengine.runs.api": ("run",),
    "simengine.runs.continuing": ("branch",),
    "simengine.runs.repeating": ("Comparison", "rerun"),
    "simengine.runs.simulation": ("Simulation",),
    "simengine.scenario.interventions": ("Intervention", "at", "every"),
    "simengine.scenario.observables": ("Measured", "Observable", "Output", "observable"),
    "simengine.scenario.parameters": ("param",),
    "simengine.scenario.phases": (
        "birth", "count", "counted", "decision", "drawn", "events", "gather", "highest", "lowest", "lowest_id",
        "median", "rewire", "running", "send", "summed", "total", "update",
    ),
    "simengine.scenario.population": ("NOBODY", "field", "population", "reference", "vector"),
    "simengine.scenario.scenario": ("Regimes", "Scenario"),
    "simengine.scenario.stop": ("consensus", "extinct", "stop_when", "unchanged"),
    "simengine.scenario.tallies": ("tally",),
    "simengine.sweeps.api": ("extend", "failures", "open", "resume", "status", "sweep"),
}  # fmt: skip
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}
_MODULES = {
    "analysis": "simengine.analysis",
    "diagnostics": "simengine.diagnostics",
    "designs": "simengine.sweeps.designs",
    "graphs": "simengine.relations.graphs",
    "testing": "simengine.testing",
}

__all__ = [
    "NOBODY",
    "AgentDraws",
    "Asked",
    "Budget",
    "Chosen",
    "ChosenBy",
    "Comparison",
    "Everyone",
    "Function",
    "Grid",
    "InputError",
    "Intervention",
    "Language",
    "Learned",
    "Limits",
    "Local",
    "Matching",
    "Mates",
    "Measured",
    "Members",
    "Memory",
    "Network",
    "Observable",
    "OpenAI",
    "Output",
    "Owner",
    "Policy",
    "Prices",
    "Prompt",
    "Random",
    "Record",
    "Regimes",
    "Replay",
    "Retries",
    "RunError",
    "Scenario",
    "ScenarioError",
    "SimengineError",
    "Simulation",
    "Space",
    "StoreError",
    "Surrogate",
    "Window",
    "at",
    "birth",
    "branch",
    "consensus",
    "count",
    "counted",
    "decision",
    "decisions",
    "drawn",
    "events",
    "every",
    "export",
    "extend",
    "extinct",
    "failures",
    "field",
    "gather",
    "highest",
    "lowest",
    "lowest_id",
    "median",
    "observable",
    "open",
    "param",
    "population",
    "reference",
    "rerun",
    "resume",
    "rewire",
    "run",
    "running",
    "send",
    "status",
    "stop_when",
    "summed",
    "sweep",
    "tally",
    "total",
    "unchanged",
    "update",
    "vector",
]


_GIVE_DATASETS = {"Simulation", "branch", "decisions", "extend", "open", "resume", "run", "sweep"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'simengine' has no attribute {name!r}")
    if name in _GIVE_DATASETS:
        # Datasets get the accessor `sim` from the layer on top, of which those that make them know nothing.
        importlib.import_module("simengine.analysis.accessor")
    value = getattr(importlib.import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
