"""The scenario: typed parameters, populations, relations, phases, observables and a stop condition in one class."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from simengine.errors import InputError, ScenarioError
from simengine.relations.base import Relation
from simengine.relations.network import Network, network_of
from simengine.relations.space import Space
from simengine.scenario import observables, parameters, stop
from simengine.scenario.phases import AgentPhase, Gather, Phase, Rewire
from simengine.scenario.population import Population


@dataclass(frozen=True)
class Declaration:
    """What a scenario class declares, found once when the class is defined."""

    parameters: parameters.ParameterSet
    populations: dict[str, Population]
    relations: dict[str, Relation]
    phases: dict[str, Phase]
    observables: tuple[observables.Strided, ...]
    stops: tuple[stop.Stop, ...]


@dataclass(frozen=True)
class Regimes:
    """Canonical configurations as data: defaults that apply when the parameters ``by`` have the given values."""

    by: tuple[str, ...]
    table: Mapping[tuple[Any, ...], Mapping[str, Any]]

    def defaults(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """The regime's values, empty when none is chosen."""
        return self.table.get(tuple(values[name] for name in self.by), {})


class Scenario:
    """Base of every scenario; subclass it and declare the nouns as class attributes (see CONTRIBUTING).

    An instance holds the parameters' values as attributes; ``start`` fills the populations, ``check`` refuses
    combinations of parameters that make no sense.
    """

    declaration: ClassVar[Declaration]
    regimes: ClassVar[Regimes | None] = None
    observe: ClassVar[Any] = ()
    prompts: ClassVar[Mapping[str, Any]] = {}
    """What language models are told of a decision, by the decision's name: `simengine.Prompt`s."""
    stop: ClassVar[Any] = ()
    paper: ClassVar[str] = ""
    default_steps: ClassVar[int] = 1000
    time_step: ClassVar[str | float] = 1.0
    time_unit: ClassVar[str] = "1"
    cut_by: ClassVar[Relation | None] = None
    """The space or network by which agents are spread over several processes; by default what serves best."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.declaration = _declare(cls)

    def __init__(
        self, values: Mapping[str, Any] | None = None, implied: Mapping[str, Any] | None = None, /, **parameters: Any
    ) -> None:
        """Take parameters given by the user (by name, or as ``values``) and by a start state (``implied``).

        The others get their defaults.

        Precedence: given > start > regime > default.
        """
        declared = self.declaration.parameters
        self.given: dict[str, Any] = {**(implied or {}), **(values or {}), **parameters}
        declared.check_names(self.given)
        chosen: Mapping[str, Any] = self.given
        if self.regimes is not None:
            selectors = declared.validate({name: chosen[name] for name in self.regimes.by if name in chosen})
            chosen = {**self.regimes.defaults(selectors), **chosen}
        self.values: dict[str, Any] = declared.validate(chosen)
        for name, value in self.values.items():
            setattr(self, name, value)
        self.check()
        self.constants: dict[str, float] = {name: float(value) for name, value in self.derived().items()}
        for name, value in self.constants.items():
            setattr(self, name, value)
        for label, relation in self.declaration.relations.items():
            try:
                relation.accept(self.values)
            except InputError as error:
                raise InputError(f"{type(self).__name__}.{label}: {error}") from None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.values.items())})"

    def start(self, **populations: Any) -> None:
        """Fill the populations; override with the populations' names and ``draw`` as arguments."""

    def connected(self, **populations: Any) -> None:
        """Set what follows from the networks, or refuse them; override with populations and networks by name.

        Called once, after ``start``, when the edges are there: those of the scenario, or the user's own. Values of a
        start state given to the run come first.
        """

    def derived(self) -> Mapping[str, float]:
        """Numbers that follow from the parameters, for use in phases as ``p.name``; computed once a run."""
        return {}

    def check(self) -> None:
        """Raise through `require` when the parameters contradict one another; override when they can."""

    @staticmethod
    def require(condition: bool, message: str) -> None:
        """Raise ``InputError(message)`` unless the condition holds."""
        if not condition:
            raise InputError(message)

    @classmethod
    def size_of(cls, population: Population, values: Mapping[str, Any]) -> int:
        """How many agents of a population there are at the start."""
        return int(values[population.size] if isinstance(population.size, str) else population.size)

    @classmethod
    def capacity_of(cls, population: Population, values: Mapping[str, Any]) -> int:
        """How many agents of a population there is room for."""
        if population.capacity is None:
            return cls.size_of(population, values)
        capacity = values[population.capacity] if isinstance(population.capacity, str) else population.capacity
        return int(capacity)

    @classmethod
    def summary(cls) -> str:
        """The first line of the docstring."""
        return inspect.cleandoc(cls.__doc__ or cls.__name__).split("\n")[0]

    def changed(self, changes: Mapping[str, Any]) -> Scenario:
        """Return the scenario with some parameters changed, as if these values had been given from the start.

        Raises
        ------
        InputError
            For values that are not allowed, and for parameters that are fixed once a run has begun: sizes and
            capacities of populations, and the time step.
        """
        cls = type(self)
        other = cls({**self.given, **changes})
        fixed = {
            size
            for population in self.declaration.populations.values()
            for size in (population.size, population.capacity)
        } | {self.time_step}
        for name in self.values:
            if name in fixed and other.values[name] != self.values[name]:
                raise InputError(f"{name} is fixed once a run has begun ({self.values[name]} here)")
        return other

    @property
    def recorded(self) -> tuple[observables.Strided, ...]:
        """The observables that are recorded for these parameter values."""
        return tuple(o for o in self.declaration.observables if observables.applies(o.observable, self.values))

    @property
    def stops(self) -> tuple[stop.Stop, ...]:
        """The stop conditions that count for these parameter values."""
        return tuple(one for one in self.declaration.stops if observables.holds(one.when, self.values))

    @property
    def dt(self) -> float:
        """Model time per step."""
        return float(self.values[self.time_step]) if isinstance(self.time_step, str) else float(self.time_step)


def _declare(cls: type[Scenario]) -> Declaration:
    namespace: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base is not object and base is not Scenario:
            namespace.update(vars(base))
    try:
        annotations = typing.get_type_hints(cls, localns=dict(vars(cls)))
    except NameError as error:
        raise ScenarioError(f"{cls.__name__}: a type annotation is unknown: {error}") from None
    declared = parameters.ParameterSet(cls.__name__, parameters.collect(cls, annotations, namespace))
    populations = {name: value for name, value in namespace.items() if isinstance(value, Population)}
    for name, found in populations.items():
        found.bind(name)
        for size in (found.size, found.capacity):
            if isinstance(size, str) and size not in declared.parameters:
                raise ScenarioError(f"{cls.__name__}.{name}: its size names no parameter {size!r}")
    if not populations:
        raise ScenarioError(f"{cls.__name__} declares no population")
    relations = {name: value for name, value in namespace.items() if isinstance(value, Relation)}
    phases = {name: value for name, value in namespace.items() if isinstance(value, Phase)}
    phases = _with_overridden(cls, phases, relations, populations)
    for label, relation in relations.items():
        relation.name = label
        relation.check(cls)
    if not (cls.cut_by is None or isinstance(cls.cut_by, Space | Network)):
        raise ScenarioError(f"{cls.__name__}.cut_by takes a Space or a Network of the scenario, not {cls.cut_by!r:.60}")
    stops = stop.checked(namespace.get("stop", ()), cls.__name__)
    for label, value in namespace.items():
        if isinstance(value, stop.KINDS) and value not in stops:
            raise ScenarioError(f"{cls.__name__}.{label} is a stop condition that nothing uses; write stop = {label}")
    for condition in stops:
        for name in condition.when:
            if name not in declared.parameters:
                raise ScenarioError(f"{cls.__name__}.stop: when= of {condition.reason} names no parameter {name!r}")
    called: set[str] = set()
    gathers: dict[str, Gather] = {}
    for phase in phases.values():
        if phase.name in called:
            raise ScenarioError(f"{phase.where}: {cls.__name__} has two phases called {phase.name!r}; rename one")
        called.add(phase.name)
        phase.check_arguments({*populations, *gathers} if isinstance(phase, Gather) else set(populations))
        if isinstance(phase, Gather):
            _check_reads(phase, gathers)
            gathers[phase.name] = phase
        for name in phase.when:
            if name not in declared.parameters:
                raise ScenarioError(f"{phase.where}: when= names no parameter {name!r}")
        if isinstance(phase, AgentPhase):
            _check_gathers(phase)
        network = _network(phase)
        if network is not None and network not in relations.values():
            raise ScenarioError(
                f"{phase.where}: {phase.name}() takes a network declared in the class: a = Network(...)"
            )
    observed = observables.strides(namespace.get("observe", ()), cls.__name__)
    for strided in observed:
        for name in getattr(strided.observable, "when", {}):
            if name not in declared.parameters:
                raise ScenarioError(
                    f"{cls.__name__}.observe: when= of {strided.observable.name} names no parameter {name!r}"
                )
    return Declaration(
        declared, populations, relations, phases,
        observed,
        stops,
    )  # fmt: skip


def _with_overridden(
    cls: type[Scenario],
    phases: Mapping[str, Phase],
    relations: Mapping[str, Relation],
    populations: Mapping[str, Population],
) -> dict[str, Phase]:
    """Return the phases with what they name as it is declared here: a subclass may have another gather or relation."""
    owner = cls.__name__
    for label, relation in relations.items():
        within = getattr(relation, "within", None)
        if isinstance(within, Relation) and relations.get(within.name, within) is not within:
            raise ScenarioError(
                f"{owner} declares {within.name} anew; declare {label} anew as well, which lies within it"
            )
    found: dict[str, Phase] = {}
    for label, phase in phases.items():
        if isinstance(phase, Gather) and label not in vars(cls):
            here = relations.get(phase.relation.name, phase.relation)
            found[label] = phase if here is phase.relation else replace(phase, relation=here)
        else:
            found[label] = phase
    gathers = {phase.name: phase for phase in found.values() if isinstance(phase, Gather)}
    for label, phase in found.items():
        for population in _populations_of(phase):
            if populations.get(population.name, population) is not population:
                raise ScenarioError(
                    f"{owner} declares {population.name} anew, but {phase.where}: {phase.name}() is written for the "
                    "one it inherits; write the phase anew as well"
                )
        if not isinstance(phase, AgentPhase):
            continue
        for gathered in phase.after:
            if gathered.name not in gathers:
                raise ScenarioError(
                    f"{phase.where}: {owner} has no gather {gathered.name!r} for {phase.name}() to follow"
                )
        after = tuple(gathers[gathered.name] for gathered in phase.after)
        if any(one is not other for one, other in zip(after, phase.after, strict=True)):
            found[label] = replace(phase, after=after)
    return found


def _populations_of(phase: Phase) -> tuple[Population, ...]:
    if isinstance(phase, Gather):
        return (phase.relation.source, phase.relation.target)
    return (phase.population,) if isinstance(phase, AgentPhase) else ()


def _network(phase: Phase) -> Network | None:
    """The network that a phase looks over or changes."""
    if isinstance(phase, Rewire):
        return phase.network
    return network_of(phase.relation) if isinstance(phase, Gather) else None


def gathers_read(phase: Gather, gathers: Mapping[str, Gather]) -> list[Gather]:
    """The gathers that a gather names as arguments, to read what others collected in them."""
    return [gathers[name] for name in inspect.signature(phase.function).parameters if name in gathers]


def _check_reads(phase: Gather, earlier: Mapping[str, Gather]) -> None:
    for read in gathers_read(phase, earlier):
        if read.relation.source not in phase.relation.populations():
            raise ScenarioError(
                f"{phase.where}: {phase.name}() reads {read.name}, which neither {phase.relation.source.name} nor "
                f"{phase.relation.target.name} gather"
            )


def _check_gathers(phase: AgentPhase) -> None:
    seen: set[str] = set()
    for gathered in phase.after:
        if gathered.relation.source is not phase.population:
            raise ScenarioError(
                f"{phase.where}: {phase.name} follows {gathered.name}, which another population gathers"
            )
        for name in gathered.accumulators:
            if name in seen:
                raise ScenarioError(f"{phase.where}: two gathers collect {name!r}; rename one")
            seen.add(name)


def active(phases: Mapping[str, Phase], values: Mapping[str, Any]) -> list[Phase]:
    """The phases that run for these parameter values, in order."""
    return [phase for phase in phases.values() if observables.holds(phase.when, values)]
