"""What shards tell one another in a step: which values of others a phase reads, and when these are out of date.

Every shard acts for some of the agents and holds copies of the others that its own may look at. A phase is *shared out*
(each shard acts for its own agents, after which the copies of what was written are out of date) or *repeated* (every
shard acts for everybody, which needs all that is read to be up to date and leaves it so): births, deaths, sends and
phases in which agents act one after another are repeated. Before a phase, what it reads of others and is out of date
is shared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from simengine.compile.names import Binding
from simengine.relations.base import Relation
from simengine.relations.network import Network, network_of
from simengine.scenario.phases import AgentPhase, Decision, Gather, Phase, Rewire, Update
from simengine.scenario.population import FieldReference, Population
from simengine.scenario.stop import Consensus, Stop, Unchanged

if TYPE_CHECKING:
    from simengine.compile.emit import Function
    from simengine.compile.lowered import Lowered

LOOKS_UP = "looks agents up"
Cut = Literal["ranges", "regions"]
"""How populations are cut: into ranges of storage, every shard with a copy of everybody, or into regions of space."""


@dataclass(frozen=True)
class Share:
    """A point between two compiled segments at which shards tell one another values of their own agents.

    ``values`` are fields (``Binding("table", (population, name))``) and accumulators (``Binding("accumulators",
    (gather, dtype))``); with ``along``, a network, only those of agents whom another shard's agents are joined to. With
    ``regroup``, agents are first handed to the shard in whose region they now are, and copies
    made afresh. With ``first`` the first shard tells all the others what it knows of everybody.
    """

    values: tuple[Binding, ...]
    regroup: bool = False
    first: bool = False
    along: str = ""


@dataclass
class Step:
    """One phase as sharing sees it."""

    phase: Phase
    function: Function
    lowered: Sequence[Lowered]
    repeated: bool
    asked_outside: bool
    turned: frozenset[Binding] = frozenset()
    """Velocities that walls turn round when the phase moves agents."""


def is_repeated(phase: Phase, lowered: Lowered | None) -> bool:
    """Whether every shard acts for everybody in this phase."""
    if isinstance(phase, Gather):
        return False
    if isinstance(phase, Update | Decision) and phase.order == "synchronous":
        return lowered is not None and any(result.name == "alive" for result in lowered.results)
    return True


def field_value(reference: FieldReference) -> Binding:
    """A field as something that is shared."""
    return Binding("table", (reference.population.name, reference.field.name))


Needs = dict[Binding, str]
"""Values, each with the network along which alone it is needed, or nothing."""


class OutOfDate:
    """Which values the copies of other shards' agents do not hold as they are; some may be right along a network."""

    def __init__(self) -> None:
        self.stale: set[Binding] = set()
        self.along: set[tuple[Binding, str]] = set()

    def written(self, values: set[Binding]) -> None:
        """Only whoever acts for an agent knows these values of it now."""
        self.stale |= values
        self.along = {(value, network) for value, network in self.along if value not in values}

    def missing(self, needs: Needs) -> Needs:
        """What must be shared before a phase that needs these."""
        return {
            value: network
            for value, network in needs.items()
            if value in self.stale and (value, network) not in self.along
        }

    def shared(self, needs: Needs) -> None:
        """These are up to date now."""
        self.stale -= {value for value, network in needs.items() if not network}
        self.along |= {(value, network) for value, network in needs.items() if network}


@dataclass(frozen=True)
class Begins:
    """A decision that policies are asked for before its rule is computed."""

    decision: Decision


Parts = list["list[Function] | Share | Phase | Begins"]


def cut_into_segments(
    steps: list[Step], stops: Iterable[Stop], cut: Cut, populations: Iterable[Population] = (),
    early: frozenset[str] = frozenset(),
) -> Parts:  # fmt: skip
    """Return the compiled stretches of a step with what is shared between them; a `Phase` is answered outside.

    ``early`` are the labels of decisions that are begun before their rule, as in a step that is not cut.
    What is out of date at the end of a step is out of date at the beginning of the next: the second round knows it.
    """
    wanted: Needs = {field_value(stop.field): "" for stop in stops if isinstance(stop, Unchanged | Consensus)}
    rewired = frozenset(step.phase.network.name for step in steps if isinstance(step.phase, Rewire))
    gathers = {step.phase.name: step.phase for step in steps if isinstance(step.phase, Gather)}
    known = OutOfDate()
    found: Parts = []
    for _ in range(2):
        found = [[]]
        if cut == "regions":
            looked_at = set().union(*(needed(step, rewired, gathers) for step in steps))
            found = [Share(ordered(looked_at), regroup=True), []]
            known = OutOfDate()
        for step in steps:
            share(found, known, needed(step, rewired, gathers))
            if isinstance(step.phase, Decision) and f"{step.phase.population.name}.{step.phase.name}" in early:
                share(found, known, dict.fromkeys(visible(step.phase, populations), ""), join=False)
                found += [Begins(step.phase), []]
            segment = found[-1]
            assert isinstance(segment, list)
            segment.append(step.function)
            if not step.repeated:
                known.written(own_results(step))
            if step.asked_outside:
                assert isinstance(step.phase, Decision)
                share(found, known, dict.fromkeys(visible(step.phase, populations), ""), join=False)
                action = Binding("table", (step.phase.population.name, step.phase.action))
                found += [step.phase, Share((action,), first=True), []]
                known.shared({action: ""})
        share(found, known, wanted)
    return found


def share(found: Parts, known: OutOfDate, needs: Needs, join: bool = True) -> None:
    """Add a point at which what is needed and out of date is shared, and a segment after it."""
    missing = known.missing(needs)
    for network in sorted(set(missing.values())):
        values = [value for value, along in missing.items() if along == network]
        found.append(Share(ordered(values), along=network))
    if missing and join:
        found.append([])
    known.shared(missing)


def ordered(values: Iterable[Binding]) -> tuple[Binding, ...]:
    """Values in an order that is the same in every process."""
    return tuple(sorted(values, key=lambda value: (value.kind, tuple(map(str, value.key)))))


def needed(step: Step, rewired: frozenset[str] = frozenset(), gathers: Mapping[str, Gather] | None = None) -> Needs:
    """What a phase reads of agents that another shard may act for."""
    if step.repeated:
        read = (as_value(binding) for binding in step.function.names.used.values())
        return {value: "" for value in read if value is not None}
    found: Needs = {}
    along = ""
    if isinstance(step.phase, Gather):
        network = network_of(step.phase.relation)
        along = network.name if network is not None and network.name not in rewired else ""
        found |= {field_value(reference): along for reference in step.phase.relation.looks_at()}
    for lowered in step.lowered:
        for argument in lowered.arguments:
            if argument.kind == "field" and argument.at in {"other", "array"}:
                value = Binding("table", (argument.owner, argument.name))
                found[value] = along if argument.at == "other" and found.get(value, along) else ""
            elif argument.kind == "collected" and argument.at == "other":
                dtype = (gathers or {})[argument.owner].accumulators[argument.name].dtype
                found[Binding("accumulators", (argument.owner, dtype))] = along
    return found


def as_value(binding: Binding) -> Binding | None:
    """The value behind an argument of a generated function, where it is one."""
    if binding.kind == "field":
        return Binding("table", binding.key[:2])
    return binding if binding.kind in {"table", "accumulators"} else None


def own_results(step: Step) -> set[Binding]:
    """The values that a phase writes."""
    if isinstance(step.phase, Gather):
        types = {accumulator.dtype for accumulator in step.phase.accumulators.values()}
        return {Binding("accumulators", (step.phase.name, dtype)) for dtype in types}
    assert isinstance(step.phase, AgentPhase)
    names = {result.name for lowered in step.lowered for result in lowered.results if result.kind == "new"}
    if isinstance(step.phase, Decision):
        names = {step.phase.action}
    return {Binding("table", (step.phase.population.name, name)) for name in names} | step.turned


def visible(phase: Decision, populations: Iterable[Population] = ()) -> set[Binding]:
    """What a policy outside compiled code may look at: every population, and what its own agents collected."""
    fields = {
        Binding("table", (population.name, name))
        for population in {phase.population, *populations}
        for name in {**population.fields, **population.inboxes}
    }
    collected = {
        Binding("accumulators", (gather.name, accumulator.dtype))
        for gather in phase.after
        for accumulator in gather.accumulators.values()
    }
    return fields | collected


def check_regions(
    steps: list[Step], stops: Sequence[Stop], populations: Iterable[str], relations: Iterable[Relation]
) -> str:
    """Return why a scenario cannot be cut into regions of space; nothing when it can."""
    from simengine.relations.space import Space

    if stops:
        return "it has a stop condition"
    spaces = {
        id(step.phase.relation): step.phase.relation
        for step in steps
        if isinstance(step.phase, Gather) and isinstance(step.phase.relation, Space)
    }
    positions: dict[str, str] = {}
    for space in spaces.values():
        for place in (space.position, space.seen):
            if positions.setdefault(place.population.name, place.field.name) != place.field.name:
                return f"{place.population.name} lie in two spaces"
    moved = False
    for step in steps:
        if isinstance(step.phase, Gather) and moved:
            return f"{step.phase.name}() looks round after others have moved in the same step"
        if isinstance(step.phase, Gather) and not isinstance(step.phase.relation, Space):
            return f"{step.phase.name}() looks over {type(step.phase.relation).__name__}"
        if step.repeated or step.asked_outside:
            return f"{step.phase.name}() needs everybody"
        if any(a.kind == "collected" for lowered in step.lowered for a in lowered.arguments):
            return f"{step.phase.name}() reads what others collected"
        if any(a.kind == "field" and a.at == "array" for lowered in step.lowered for a in lowered.arguments):
            return f"{step.phase.name}() reads agents by their index"
        if any(binding.kind == "order" for binding in step.function.names.used.values()):
            return f"{step.phase.name}() {LOOKS_UP}"
        moved = moved or any(
            value.key == (population, position)
            for value in own_results(step)
            for population, position in positions.items()
        )
    if not positions:
        return "nobody looks round in space"
    if placeless := [name for name in populations if name not in positions]:
        return f"{placeless[0]} have no place in space"
    if any(isinstance(relation, Network) for relation in relations):
        return "it has a network"
    return ""
