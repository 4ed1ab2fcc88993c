"""The recipe of a run: everything that its result depends on, to and from the attributes of a file.

A run, its continuation after a crash, its repetition and its branches are the same thing: a recipe carried out. A
branch is the recipe with one more intervention.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simengine.compile.helpers import Globals
from simengine.errors import InputError, ScenarioError, StoreError
from simengine.policies.answers import Policy, checked
from simengine.policies.reports import Described, versions
from simengine.runs import portable, registry
from simengine.runs.arguments import whole_number
from simengine.runs.definitions import installed
from simengine.runs.layout import recalled_edges, start_name
from simengine.runs.schedule import check_schedule
from simengine.runs.start import Start, check_sizes, implied, read
from simengine.scenario.interventions import Intervention
from simengine.scenario.scenario import Scenario
from simengine.store.attributes import plain

PARAMETER = "parameter_"


@dataclass(frozen=True)
class Recipe:
    """Scenario, parameters, seed, strides, steps, start state, policies and interventions: all a result depends on."""

    scenario: Scenario
    seed: int
    steps: int
    every: int
    snapshot_every: int | None = None
    start: Start = field(default_factory=Start)
    policies: Mapping[str, tuple[Policy, ...]] = field(default_factory=dict)
    interventions: tuple[Intervention, ...] = ()

    @classmethod
    def of(
        cls, scenario: type[Scenario], parameters: Mapping[str, Any], *, seed: int, steps: int, every: int,
        snapshot_every: int | None, start: Any, policies: Mapping[str, Any] | None,
        interventions: Sequence[Intervention],
    ) -> Recipe:  # fmt: skip
        """Return the recipe that a user's words stand for; ``InputError`` for what cannot be."""
        seed, every = whole_number("seed", seed, 0, 2**64 - 1), whole_number("every", every, 1)
        snapshot_every = None if snapshot_every is None else whole_number("snapshot_every", snapshot_every, 1)
        begun = read(scenario, start)
        instance = scenario(parameters, implied(scenario, begun))
        check_sizes(instance)
        return cls(
            instance, seed, steps, every, snapshot_every, begun, checked(policies, instance),
            check_schedule(interventions, instance, steps),
        )  # fmt: skip

    def attributes(self, surroundings: Globals) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what a file says of the recipe: attributes that its content hash covers, and others.

        ``surroundings`` are the constants and helper functions that the scenario's phases use.
        """
        cls = type(self.scenario)
        declared = cls.declaration.parameters.parameters
        source, reason = scenario_source(cls)
        stable: dict[str, Any] = {
            "title": cls.summary(),
            "scenario": cls.__name__,
            "scenario_source_hash": source_hash(cls, source, surroundings),
            "references": cls.paper or None,
            "time_step": self.scenario.dt,
        }
        stable |= {f"{PARAMETER}{name}": value for name, value in self.scenario.values.items()}
        stable |= versions(self.policies)
        stable["parameter_units"] = {name: declared[name].unit for name in self.scenario.values}
        stable |= {
            "seed": self.seed, "steps": self.steps, "every": self.every, "snapshot_every": self.snapshot_every,
            "start": self.start.label, "policies": describe_policies(self.policies) or None,
            "interventions": [describe_intervention(item) for item in self.interventions] or None,
        }  # fmt: skip
        volatile: dict[str, Any] = {
            "scenario_module": cls.__module__.removeprefix(registry.FILE_MODULE),
            "scenario_file": None if installed(cls.__module__) else own_file(cls),
            "scenario_source": source,
            "scenario_source_not_kept": reason,
            "parameters_given": sorted(self.scenario.given),
        }
        return stable, volatile

    @classmethod
    def recall(
        cls, attributes: Mapping[str, Any], variables: Mapping[str, NDArray[Any]], *,
        scenario: Any = None, policies: Mapping[str, Any] | None = None, where: str = "the file",
        record: Path | None = None, calls: Mapping[str, Any] | None = None,
    ) -> Recipe:  # fmt: skip
        """Return the recipe that a file's decoded attributes and start variables describe.

        ``scenario`` and ``policies`` take the place of what the file says of them. Language models are not called
        again: what they answered stands in ``record``, the file of the run's calls; or ``calls`` says who is called.

        Raises
        ------
        InputError
            When the scenario, or a function, is not to be had any more.
        StoreError
            When the attributes are not those of a run.
        """
        try:
            found = registry.find(scenario) if scenario is not None else recall_scenario(attributes, where)
            instance = _instance(found, attributes)
            remembered = attributes["policies"] or {}
            answering = policies if policies is not None else recall_policies(remembered, where, record, calls)
            interventions = [recall_intervention(item, where) for item in attributes["interventions"] or []]
            return cls(
                instance, int(attributes["seed"]), int(attributes["steps"]), int(attributes["every"]),
                None if attributes["snapshot_every"] is None else int(attributes["snapshot_every"]),
                recalled_start(found, str(attributes["start"]), variables), checked(answering, instance),
                check_schedule(interventions, instance, int(attributes["steps"])),
            )  # fmt: skip
        except (InputError, ScenarioError):
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            what = f"it has no attribute {error}" if isinstance(error, KeyError) else str(error)
            raise StoreError(f"{where} does not say how it was made: {' '.join(what.split())}") from error


def _instance(found: type[Scenario], attributes: Mapping[str, Any]) -> Scenario:
    recorded = {
        name.removeprefix(PARAMETER): value
        for name, value in attributes.items()
        if name.startswith(PARAMETER) and name != "parameter_units"
    }
    if not recorded.keys() <= found.declaration.parameters.parameters.keys():
        found.declaration.parameters.check_names(recorded)
    given = {name: recorded[name] for name in attributes.get("parameters_given") or () if name in recorded}
    instance = found(given)
    # Defaults may have changed since: then all recorded values count as given.
    return instance if all(instance.values[name] == recorded[name] for name in recorded) else found(recorded)


def recalled_start(scenario: type[Scenario], label: str, variables: Mapping[str, NDArray[Any]]) -> Start:
    """Return the start state that a file's start variables describe."""
    found = Start(label=label, edges=recalled_edges(scenario, variables))
    for name, population in scenario.declaration.populations.items():
        for field_name, declared in population.fields.items():
            variable = start_name(scenario, population, field_name)
            if variable in variables:
                values = np.asarray(variables[variable]).astype(declared.numpy_dtype)
                found.arrays.setdefault(name, {})[field_name] = values
    return found


# -- scenarios and functions ------------------------------------------------------------------------------------------


def scenario_source(scenario: type[Scenario]) -> tuple[str | None, str | None]:
    """Return a user's own scenario as text that stands alone, or why there is none; nothing for an installed one."""
    if installed(scenario.__module__):
        return None, None
    try:
        return portable.standalone(scenario), None
    except portable.NotPortable as error:
        return None, str(error)


def own_file(scenario: type[Scenario]) -> str | None:
    """Return the file that defines a scenario, where there is one."""
    try:
        return inspect.getsourcefile(scenario)
    except (OSError, TypeError):
        return None


def source_hash(scenario: type[Scenario], source: str | None, surroundings: Globals) -> str:
    """Return a hash of the text that defines the scenario, and of what its phases take from elsewhere."""
    text = source
    if text is None:
        try:
            path = inspect.getsourcefile(scenario)
            existing = path is not None and Path(path).exists()
            text = Path(path).read_text(encoding="utf-8") if path and existing else inspect.getsource(scenario)
        except (OSError, TypeError):
            text = repr(sorted(scenario.declaration.parameters.parameters))
    used = {**surroundings.constants, **surroundings.functions}
    return hashlib.sha256("\0".join([text, *(f"{name}={used[name]}" for name in sorted(used))]).encode()).hexdigest()


def recall_scenario(attributes: Mapping[str, Any], where: str) -> type[Scenario]:
    """Return the scenario that a file names, or holds as text."""
    name, module = str(attributes["scenario"]), str(attributes["scenario_module"])
    source, file = attributes.get("scenario_source"), attributes.get("scenario_file")
    if source:
        found = portable.restored(str(source), name)
    elif file and module != "__main__" and Path(file).is_file():
        found = registry.load_file(Path(file), name)
    else:
        try:
            found = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, ValueError):
            reason = attributes.get("scenario_source_not_kept")
            why = f"its source is not kept: {reason}" if reason else f"there is no {module}.{name} here"
            raise InputError(f"{where}: cannot find its scenario {name} ({why}); give it again: scenario=") from None
    if not (isinstance(found, type) and issubclass(found, Scenario)):
        raise InputError(f"{where}: {module}.{name} is no scenario")
    return found


def describe_function(function: Callable[..., Any]) -> dict[str, Any]:
    """Return what a file keeps of a function: its name, and its text where it is not installed."""
    module = str(getattr(function, "__module__", None))
    name = getattr(function, "__qualname__", type(function).__name__)
    described: dict[str, Any] = {"name": name}
    if installed(module) and name.isidentifier():
        return {**described, "module": module}
    try:
        return {"name": name.rpartition(".")[2], "source": portable.standalone(function)}
    except portable.NotPortable as error:
        return {**described, "not_kept": str(error)}


def recall_function(described: Mapping[str, Any], where: str, again: str) -> Callable[..., Any]:
    """Return a function that a file keeps; ``InputError`` says how else to give it (``again``)."""
    called = str(described["name"])
    try:
        if "source" in described:
            found = portable.restored(str(described["source"]), called)
        elif "module" in described:
            found = getattr(importlib.import_module(str(described["module"])), called)
        else:
            raise InputError(f"{where} does not keep the function {called} ({described.get('not_kept')}); {again}")
    except (ImportError, AttributeError):
        raise InputError(f"{where}: the function {called} is not to be found here; {again}") from None
    if not callable(found):
        raise InputError(f"{where}: {called} is no function")
    return found  # type: ignore[no-any-return]


def describe_policies(policies: Mapping[str, tuple[Policy, ...]]) -> dict[str, Any]:
    """Return what the file says of the policies of a run."""
    # One that answers several decisions is one object with one memory, which another of the same description is not.
    numbers: dict[int, int] = {}
    for name in sorted(policies):
        for policy in policies[name]:
            if isinstance(policy.answer, Described):
                numbers.setdefault(id(policy.answer), len(numbers))
    return {
        name: [
            {
                "answer": {**policy.answer.describe(), "number": numbers[id(policy.answer)]}
                if isinstance(policy.answer, Described)
                else describe_function(policy.answer),
                "share": policy.share,
                "ids": None if policy.ids is None else plain(np.asarray(policy.ids)),
            }
            for policy in listed
        ]
        for name, listed in policies.items()
    }


def recall_policies(
    described: Mapping[str, Any], where: str, record: Path | None = None, calls: Mapping[str, Any] | None = None
) -> dict[str, tuple[Policy, ...]]:
    """Return the policies that a file keeps.

    Language models answer from the record of their calls; one that answered several decisions is one again.
    """
    shared: dict[Any, Any] = {}

    def recalled(answer: Mapping[str, Any], decision: str) -> Any:
        if answer.get("kind") != "language":
            return _recall_answer(answer, decision, where)
        number = answer["number"]
        if number not in shared:
            from simengine.policies.language.policy import Language

            shared[number] = Language.recall(answer, record, where, calls)
        return shared[number]

    return {
        name: tuple(Policy(recalled(p["answer"], name), p["share"], p["ids"]) for p in listed)
        for name, listed in described.items()
    }


def _recall_answer(described: Mapping[str, Any], decision: str, where: str) -> Any:
    again = "give it again: policies="
    kind = described.get("kind")
    if kind is None:
        return recall_function(described, where, again)
    beside = f"; its weights lie beside the file, {described['weights_sha256']}.pt" if kind == "learned" else ""
    raise InputError(f"{where} does not keep the {kind} policy of {decision}{beside}; {again}")


def describe_intervention(item: Intervention) -> dict[str, Any]:
    """Return what the file says of an intervention."""
    when = {"at": item.step} if item.stride is None else {"every": item.stride}
    described: dict[str, Any] = {**when, "changes": plain(dict(item.changes))}
    if item.apply is not None:
        described["apply"] = describe_function(item.apply)
    return described


def recall_intervention(described: Mapping[str, Any], where: str) -> Intervention:
    """Return an intervention that a file keeps."""
    apply = described.get("apply")
    return Intervention(
        described.get("at"), described.get("every"), dict(described["changes"]),
        None if apply is None else recall_function(apply, where, "its run cannot be repeated from the file"),
    )  # fmt: skip


def changes_since(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return what a result may depend on and is not what it was: versions, machine, the scenario's source."""
    names = [name for name in (*then, *now) if name.startswith("version_")]
    names += ["system", "machine", "cpu_target", "scenario_source_hash"]
    return {name: (then.get(name), now.get(name)) for name in dict.fromkeys(names) if then.get(name) != now.get(name)}
