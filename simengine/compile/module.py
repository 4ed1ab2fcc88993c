"""Generate a scenario's module: lowered functions, a loop for each phase, and ``advance``, which runs many steps."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from simengine.compile import emit, emit_gathers, emit_phases, emit_rewire
from simengine.compile.helpers import Globals, makers_of_arrays, makes_arrays
from simengine.compile.lanes import lane_form
from simengine.compile.lower import Lowering
from simengine.compile.lowered import Lowered
from simengine.compile.names import Binding, Collector, Lines, Names, Streams
from simengine.compile.sharing import Begins, Cut, Share, Step, check_regions, cut_into_segments, is_repeated
from simengine.errors import ScenarioError
from simengine.relations.base import Relation
from simengine.relations.network import Neighbours, Network
from simengine.relations.space import Space
from simengine.scenario.phases import AgentPhase, Birth, Decision, Gather, Phase, Rewire, Send, Update
from simengine.scenario.scenario import Scenario, active, gathers_read
from simengine.scenario.stop import Consensus, Extinct, Stop, Unchanged, When


@dataclass
class HostPhase:
    """A decision that the host answers between two compiled segments, or only begins to."""

    decision: Decision
    begins: bool = False


@dataclass
class InTurn:
    """A decision of agents who act in turn: a compiled stretch that stops where the host answers, and is resumed."""

    decision: Decision
    function: str
    names: Names


@dataclass
class Plan:
    """What the host needs to know of a generated module."""

    source: str
    streams: Streams
    segments: list[tuple[str, Names] | HostPhase | InTurn | Share]
    relations: dict[str, Relation]
    gathers: dict[str, Gather]
    stops: list[Stop]
    parallel: bool
    origins: list[tuple[int, int, Lowered]] = field(default_factory=list)
    surroundings: Globals = field(default_factory=Globals)
    loops: list[tuple[int, int, str]] = field(default_factory=list)
    adding: dict[str, int] = field(default_factory=dict)
    """How many edges an agent may add in a step, by network."""
    not_in_regions: str = ""
    """Why the scenario cannot be cut into regions of space; nothing when it can."""


@dataclass
class Turns:
    """A decision of agents who act in turn, and its loop."""

    decision: Decision
    function: emit.Function


class ModuleWriter:
    """Writes the module for one scenario with given parameters; with ``cut``, for one shard of it."""

    def __init__(
        self, scenario: Scenario, parallel: bool, host_decisions: frozenset[str], cut: Cut | None = None,
        early: frozenset[str] = frozenset(), at_once: frozenset[str] = frozenset(),
    ) -> None:  # fmt: skip
        self.scenario = scenario
        self.early, self.at_once = early, at_once
        self.cut = cut
        self.not_in_regions = ""
        self.parallel = parallel
        self.host_decisions = host_decisions
        declaration = scenario.declaration
        self.populations = declaration.populations
        self.phases = active(declaration.phases, scenario.values)
        self.static = {
            name: value for name, value in scenario.values.items() if value is None or isinstance(value, str)
        }
        self.joined = all_relations(declaration.relations, self.phases)
        self.relations = relation_names(self.joined)
        self.choices = {key: self._relation(key).static(scenario.values) for key in self.relations}
        self.gathers = {phase.name: phase for phase in declaration.phases.values() if isinstance(phase, Gather)}
        self.collectors: dict[str, Collector] = {}
        self.helpers: list[emit.Function] = []
        self.streams = Streams()
        self.imports: dict[str, str] = {}
        self.globals = Globals()
        self.lowered: dict[tuple[str, bool], Lowered] = {}
        self.functions: list[emit.Function] = []
        self.loops: list[tuple[int, int, str]] = []

    def _relation(self, key: int) -> Relation:
        return next(relation for relation in self.joined if id(relation) == key)

    def names(
        self, phase: Phase, sequential: bool = False, written: frozenset[tuple[str, str]] = frozenset(),
        written_elsewhere: bool = False,
    ) -> Names:  # fmt: skip
        """The scope of a phase's generated function."""
        shared_out = self.cut is not None and not sequential and not self._repeated(phase)
        names = Names(
            phase.name, self.streams, self.relations, self.imports, self.choices, sequential, written,
            written_elsewhere, shared_out,
        )  # fmt: skip
        names.gathers, names.changing = self.gathers, self._changing
        return names

    def _changing(self) -> frozenset[tuple[str, str]]:
        """The fields that phases write, by population; ("agents", "alive") where agents are born."""
        found = {(phase.population.name, "alive") for phase in self.phases if isinstance(phase, Birth)}
        for phase in self.phases:
            if isinstance(phase, Decision):
                found.add((phase.population.name, phase.action))
            elif isinstance(phase, Update):
                lowered = self.lower(phase, sequential=in_turn(phase))
                found |= {(phase.population.name, result.name) for result in lowered.results if result.name != "alive"}
                found |= {(owner, name) for owner, name, _ in lowered.writes_others}
        return frozenset(found)

    def _repeated(self, phase: Phase) -> bool:
        return is_repeated(phase, None if in_turn(phase) else self.lower(phase))

    def lower(self, phase: Phase, sequential: bool = False) -> Lowered:
        """Lower a phase's function, once."""
        key = (phase.name, sequential)
        if key not in self.lowered:
            if isinstance(phase, Gather):
                me, other, accumulators = phase.relation.source, phase.relation.target, phase.accumulators
                self._check_given(phase)
            else:
                assert isinstance(phase, AgentPhase)
                me, other, accumulators = phase.population, None, phase.accumulators
            lowered = Lowering(
                phase, me, other, self.populations, accumulators,
                self.scenario.values | self.scenario.constants, self.static, sequential, self._uncollected(phase),
                self.gathers, frozenset(gather.name for gather in self.gathers.values() if gather in self.phases),
            ).run()  # fmt: skip
            if sequential:
                lowered.name += "_in_turn"
                lowered.source = lowered.source.replace(f"def {phase.kind}_{phase.name}(", f"def {lowered.name}(", 1)
            self.globals.merge(lowered.globals, phase.where)
            self.lowered[key] = lowered
        return self.lowered[key]

    def _gathered(self, phase: AgentPhase) -> list[Gather]:
        """The gathers before a phase that run for these parameters."""
        return [gather for gather in phase.after if gather in self.phases]

    def _uncollected(self, phase: Phase) -> frozenset[str]:
        """The accumulators of gathers that do not run for these parameters, which stay at their initial values."""
        gathers = phase.after if isinstance(phase, AgentPhase) else ()
        return frozenset(name for gather in gathers if gather not in self.phases for name in gather.accumulators)

    def _check_given(self, gather: Gather) -> None:
        import inspect

        for argument in ("offset", "distance", "direction", "edge"):
            if argument in inspect.signature(gather.function).parameters and argument not in gather.relation.gives:
                giving = "a Network with edge fields" if argument == "edge" else "a Space"
                raise ScenarioError(
                    f"{gather.where}: {type(gather.relation).__name__} gives no {argument}; {giving} does"
                )

    def _check_moves(self, phase: Phase, lowered: Lowered) -> None:
        """Refuse to move other agents: only one's own position is brought back into the box and found again."""
        positions = {
            (place.population.name, place.field.name)
            for relation in self.joined
            if isinstance(relation, Space)
            for place in (relation.position, relation.seen)
        }
        for owner, name, _ in lowered.writes_others:
            if (owner, name) in positions:
                raise ScenarioError(
                    f"{phase.where}: {phase.name}() moves another agent; it can write new.{name} of me only"
                )

    def write(self) -> Plan:
        """Write everything."""
        steps: list[Step] = []
        sequential_only = self._gathers_in_turn()
        for phase in self.phases:
            if isinstance(phase, Gather):
                if phase.name in sequential_only:
                    continue
                lowered = self.lower(phase)
                function = emit_gathers.emit_gather(
                    phase, lowered, lane_form(lowered), self.names(phase), self.populations, self.parallel
                )
            else:
                function = self._emit(phase)
            self.functions.append(function)
            outside = self._asked_outside(phase)
            if outside and in_turn(phase) and self.cut is not None:
                raise ScenarioError(
                    f"{phase.where}: agents decide in turn in {phase.name}(); with a policy outside compiled code that "
                    "takes one process, without shards"
                )
            steps.append(self._step(phase, function, outside))
        return self._assemble(self._segments(steps))

    def _step(self, phase: Phase, function: emit.Function, asked_outside: bool) -> Step:
        lowered = [found for (name, _), found in self.lowered.items() if name == phase.name]
        written = {result.name for found in lowered for result in found.results if result.kind == "new"}
        turned = {
            Binding("table", (relation.source.name, relation.velocity.field.name))
            for relation in self.joined
            if isinstance(relation, Space) and relation.velocity is not None and isinstance(phase, AgentPhase)
            if relation.source is phase.population and relation.position.field.name in written
        }
        return Step(phase, function, lowered, self._repeated(phase), asked_outside, frozenset(turned))

    def _asked_outside(self, phase: Phase) -> bool:
        return isinstance(phase, Decision) and self._label(phase) in self.host_decisions

    def _segments(self, steps: list[Step]) -> list[list[emit.Function] | HostPhase | Turns | Share]:
        """Cut the step where a policy is asked, and where shards tell one another something."""
        stops = self.scenario.stops
        if self.cut == "regions":
            self.not_in_regions = check_regions(
                steps, stops, self.populations, self.scenario.declaration.relations.values()
            )
        declared = list(self.populations.values())
        if self.cut is not None and not self.not_in_regions:
            cut = cut_into_segments(steps, stops, self.cut, declared, self.early)
            return [_answered_outside(part) for part in cut if part != [] or stops]
        found: list[list[emit.Function] | HostPhase | Turns | Share] = [[]]
        under_way: list[Decision] = []
        for step in steps:
            for decision in [one for one in under_way if step.asked_outside or _waits_for(step, one)]:
                found += [HostPhase(decision), []]
                under_way.remove(decision)
            segment = found[-1]
            assert isinstance(segment, list)
            if not step.asked_outside:
                segment.append(step.function)
                continue
            assert isinstance(step.phase, Decision)
            if in_turn(step.phase):
                found += [Turns(step.phase, step.function), []]
            elif self._label(step.phase) in self.early:
                found += [HostPhase(step.phase, begins=True), [step.function]]
                if self._label(step.phase) in self.at_once:
                    found += [HostPhase(step.phase), []]
                else:
                    under_way.append(step.phase)
            else:
                segment.append(step.function)
                found += [HostPhase(step.phase), []]
        for decision in under_way:
            found += [HostPhase(decision), []]
        return found

    def _phase_of(self, function: emit.Function) -> Phase:
        """The phase that a generated loop belongs to."""
        return next(phase for phase in self.phases if function.name == f"phase_{phase.name}")

    def _label(self, phase: Decision) -> str:
        return f"{phase.population.name}.{phase.name}"

    def _gathers_in_turn(self) -> set[str]:
        used: set[str] = set()
        direct: set[str] = set()
        for phase in self.phases:
            if isinstance(phase, AgentPhase):
                (direct if in_turn(phase) else used).update(gather.name for gather in self._gathered(phase))
        reads = {
            name: {read.name for read in gathers_read(found, self.gathers)} for name, found in self.gathers.items()
        }
        on_the_spot = _with_those_read(direct, reads)
        by_themselves = {phase.name for phase in self.phases if isinstance(phase, Gather)} - on_the_spot
        return on_the_spot - _with_those_read(used | by_themselves, reads)

    def _emit(self, phase: Phase) -> emit.Function:
        if isinstance(phase, Update | Decision):
            if phase.order == "synchronous":
                return emit_phases.emit_update(
                    phase, self.lower(phase), self.names(phase), self.populations, self.joined, self.parallel
                )
            lowered = self.lower(phase, sequential=True)
            gathers = [(gather, self.lower(gather, sequential=True)) for gather in self._gathered(phase)]
            written = {(phase.population.name, result.name) for result in emit_phases.results_of(phase, lowered)}
            written |= {(owner, name) for owner, name, _ in lowered.writes_others}
            self._check_moves(phase, lowered)
            names = self.names(phase, True, frozenset(written), bool(lowered.writes_others))
            names.collectors = {
                read: self._collector(read, phase, frozenset(written))
                for _, found in gathers
                for read in _owners(found)
            }
            return emit_phases.emit_sequential(
                phase, lowered, gathers, names, self.populations, self.joined, self._asked_outside(phase)
            )
        if isinstance(phase, Send):
            return emit_phases.emit_send(phase, self.lower(phase), self.names(phase), self.populations, self.parallel)
        if isinstance(phase, Rewire):
            ways = {r.way for r in self.joined if isinstance(r, Neighbours) and r.network is phase.network}
            return emit_rewire.emit_rewire(
                phase, self.lower(phase), self.names(phase), self.populations, ways, self.parallel
            )
        assert isinstance(phase, Birth)
        population = phase.population
        earlier = self.phases[: self.phases.index(phase)]
        collected = [p for p in earlier if isinstance(p, Gather) and p.relation.source is population]
        inboxes = {
            name: combine
            for p in self.phases
            if isinstance(p, Send) and p.to is population
            for name, combine in p.inboxes.items()
        }
        return emit_phases.emit_birth(
            phase, self.lower(phase), self.names(phase), self.populations, self.joined, collected, inboxes
        )

    def _collector(self, name: str, phase: Phase, written: frozenset[tuple[str, str]]) -> Collector:
        """The function that collects for any one agent what a gather collects, in a phase in turn; written once."""
        if name not in self.collectors:
            gather = self.gathers[name]
            lowered = self.lower(gather, sequential=True)
            names = self.names(gather, True, written)
            names.collectors = {read: self._collector(read, phase, written) for read in _owners(lowered)}
            function = emit_gathers.emit_collector(gather, lowered, names, self.populations)
            self.helpers.append(function)
            results = tuple((n, row) for n, a in gather.accumulators.items() for row in range(a.rows))
            self.collectors[name] = Collector(function.name, names, results)
        return self.collectors[name]

    def _assemble(self, segments: list[list[emit.Function] | HostPhase | Turns | Share]) -> Plan:
        stops = list(self.scenario.stops)
        tail = Lines()
        plan_segments: list[tuple[str, Names] | HostPhase | InTurn | Share] = []
        compiled = [number for number, segment in enumerate(segments) if isinstance(segment, list)]
        for number, segment in enumerate(segments):
            if isinstance(segment, Turns):
                names = self._advance(tail, f"turns_{number}", [segment.function], [], first=False, last=False)
                plan_segments.append(InTurn(segment.decision, f"turns_{number}", names))
                continue
            if not isinstance(segment, list):
                plan_segments.append(segment)
                continue
            name = f"segment_{number}" if len(segments) > 1 else "advance"
            edges = {"first": number == compiled[0], "last": number == compiled[-1]}
            names = self._advance(tail, name, segment, stops, **edges)
            plan_segments.append((name, names))
        source, origins = self._text(tail)
        relations = {label: self._relation(key) for key, label in self.relations.items()}
        gathers = {phase.name: phase for phase in self.phases if isinstance(phase, Gather)}
        return Plan(
            source,
            self.streams,
            plan_segments,
            relations,
            gathers,
            stops,
            self.parallel,
            origins,
            self.globals,
            self.loops,
            {network.name: sites for network, sites in self._adding().items()},
            self.not_in_regions,
        )

    def _advance(
        self, code: Lines, name: str, functions: list[emit.Function], stops: list[Stop], first: bool, last: bool
    ) -> Names:
        names = Names("", self.streams, self.relations, self.imports, self.choices)
        for function in functions:
            names.used |= function.names.used
        names.use("status", "status")
        body = Lines()
        body.depth = 2
        for network, sites in self._adding().items() if first else ():
            count, source = names.edges(network, "count"), names.edges(network, "source")
            with body.block(f"if {count}[0] + {sites} * {names.living(network.source)} > {source}.shape[0]:"):
                body.line("return step")
        beginning = Lines()
        beginning.depth = 1
        at_work = {binding.key[0] for binding in names.used.values() if binding.kind == "work"}
        for relation in self.joined:
            if self.relations[id(relation)] in at_work:
                relation.begin(beginning, names)
        for number, stop in enumerate(stops):
            if first and isinstance(stop, Unchanged):
                population = stop.field.population
                for component in range(stop.field.field.rows):
                    body.line(
                        f"{self._before(names, stop, number, component)}[:] = {names.field(stop.field, component)}"
                    )
                if population.dynamic:
                    body.line(
                        f"{names.buffer(f'before_{number}_ids', population.name, 'int64')}[:] = {names.ids(population)}"
                    )
        for function in functions:
            body.line(function.call)
        with body.block("if status[0] != 0:"):
            body.line("return step")
        for number, stop in enumerate(stops):
            test = self._stop_test(stop, number, names) if last else ""
            if test:
                with body.block(f"if {test}:"):
                    body.line(f"status[1] = {number + 1}")
                    body.line("return step + 1")
        code.line("@kept_by_signature")
        code.line("@njit(cache=True, nogil=True, error_model='numpy', no_cfunc_wrapper=True)")
        code.line(f"def {name}({', '.join(['first_step', 'steps', *sorted(names.used)])}):")
        code.lines.extend(beginning.lines)
        code.line("    for step in range(first_step, first_step + steps):")
        code.lines.extend(body.lines)
        code.line("    return first_step + steps")
        code.line("")
        return names

    def _adding(self) -> dict[Network, int]:
        """The networks to which edges may be added, and at how many places an agent does so."""
        found: dict[Network, int] = {}
        for phase in self.phases:
            if isinstance(phase, Rewire):
                sites = sum(result.name == "add_first" for result in self.lower(phase).results)
                if sites:
                    found[phase.network] = found.get(phase.network, 0) + sites
        return found

    def _stop_test(self, stop: Stop, number: int, names: Names) -> str:
        if isinstance(stop, When):
            return ""
        if isinstance(stop, Extinct):
            return f"{names.living(stop.population)} == 0"
        population = stop.field.population
        order, living = names.order(population), names.living(population)
        if isinstance(stop, Consensus):
            function = names.imports("simengine.arrays.settled", "all_equal")
            return f"{function}({names.field(stop.field)}, {order}, {living})"
        function = names.imports("simengine.arrays.settled", "stays_within")
        tests = [
            f"{function}({self._before(names, stop, number, component)}, {names.field(stop.field, component)}, "
            f"{order}, {living}, {stop.within!r})"
            for component in range(stop.field.field.rows)
        ]
        if population.dynamic:
            same = names.imports("simengine.arrays.settled", "same_agents")
            before = names.buffer(f"before_{number}_ids", population.name, "int64")
            tests.insert(0, f"{same}({before}, {names.ids(population)}, {order}, {living})")
        return " and ".join(tests)

    def _before(self, names: Names, stop: Unchanged, number: int, component: int) -> str:
        dtype = str(stop.field.field.numpy_dtype)
        return names.buffer(f"before_{number}_{component}", stop.field.population.name, dtype)

    def _text(self, tail: Lines) -> tuple[str, list[tuple[int, int, Lowered]]]:
        """Put the module together; also say which of its lines hold which lowered function."""
        draws = sorted({name for low in self.lowered.values() for name in _draw_names(low.source)})
        head = [
            '"""Generated from a scenario; changes made here are lost."""',
            "import math",
            "import numpy as np",
            "from numba import njit, prange",
            "from simengine.arrays.jit import BORROWING, kept_by_signature",
        ]
        head += [f"from simengine.random.draws import {name.removeprefix('_draw_')} as {name}" for name in draws]
        head += [f"from {module} import {name} as engine_{name}" for name, module in sorted(self.imports.items())]
        head += sorted(set(self.globals.imports.values()) - {"import math as math", "import numpy as np"})
        head += [f"{name} = {value}" for name, value in sorted(self.globals.constants.items())]
        head.append("inside = {'no_cpython_wrapper': True, 'no_cfunc_wrapper': True}")
        head.append("plain = njit(nogil=True, error_model='numpy', **inside)")
        head.append("inlined = njit(nogil=True, error_model='numpy', forceinline=True, **inside)")
        head.append("borrowing = njit(**BORROWING, **inside)")
        head.append(f"looped = njit(nogil=True, error_model='numpy', parallel={self.parallel}, **inside)")
        lines = "\n".join(head).split("\n")
        makers = makers_of_arrays(self.globals.functions)
        for name, text in self.globals.functions.items():
            lines += ["", "", "@inlined" if name in makers else "@borrowing", *text.split("\n")]
        origins = []
        for lowered in self.lowered.values():
            lines += ["", "", "@inlined" if makes_arrays(lowered.source, makers) else "@borrowing"]
            start = len(lines)
            lines += lowered.source.split("\n")
            origins.append((start, len(lines), lowered))
            lanes = lane_form(lowered) if lowered.name.startswith("gather_") else None
            if lanes is not None and any(f"{lanes.name}(" in function.source for function in self.functions):
                lines += ["", "", "@inlined", *lanes.source.split("\n")]
        for function in self.helpers:
            lines += ["", "", "@borrowing", *function.source.rstrip("\n").split("\n")]
        for function in self.functions:
            start = len(lines)
            lines += ["", "", "@looped" if function.parallel else "@plain", *function.source.rstrip("\n").split("\n")]
            self.loops.append((start, len(lines), self._phase_of(function).where))
        lines += ["", "", *tail.text().rstrip("\n").split("\n"), ""]
        return "\n".join(lines), origins


def _answered_outside(part: Any) -> Any:
    if isinstance(part, Begins):
        return HostPhase(part.decision, begins=True)
    return HostPhase(part) if isinstance(part, Decision) else part


def _waits_for(step: Step, decision: Decision) -> bool:
    """Whether a phase needs the action of a decision that is under way, or changes who there is."""
    if isinstance(step.phase, Birth | Rewire) or decision.population.dynamic:
        return True
    population, action = decision.population.name, decision.action
    return any(
        binding.kind in {"field", "table"} and binding.key[0] == population and action in binding.key[1:2]
        for binding in step.function.names.used.values()
    )


def in_turn(phase: Phase) -> bool:
    """Whether agents act one after another in a phase."""
    return isinstance(phase, Update | Decision) and phase.order != "synchronous"


def all_relations(declared: Mapping[str, Relation], phases: list[Phase]) -> list[Relation]:
    """The declared relations and those that gathers look over, inner ones of compositions included."""
    found: dict[int, Relation] = {}
    gathered = [phase.relation for phase in phases if isinstance(phase, Gather)]
    for outer in [*declared.values(), *gathered]:
        relation: Relation | None = outer
        while relation is not None:
            found[id(relation)] = relation
            relation = getattr(relation, "within", None)
    return list(found.values())


def relation_names(relations: list[Relation]) -> dict[int, str]:
    """A name for every relation, unique in the module but for those that keep the same lists."""
    names: dict[int, str] = {}
    keepers: dict[Hashable, str] = {}
    for relation in relations:
        if relation.lists is not None and relation.lists in keepers:
            names[id(relation)] = keepers[relation.lists]
            continue
        label = relation.name or type(relation).__name__.lower()
        while label in names.values():
            label += "_inner"
        names[id(relation)] = label
        if relation.lists is not None:
            keepers[relation.lists] = label
    return names


def _owners(lowered: Lowered) -> list[str]:
    """The gathers of which a lowered gather reads what others collected."""
    return sorted({argument.owner for argument in lowered.arguments if argument.kind == "collected"})


def _with_those_read(names: set[str], reads: Mapping[str, set[str]]) -> set[str]:
    """Gathers, and those that they read, and those that these read."""
    found = set(names)
    while more := {read for name in found for read in reads[name]} - found:
        found |= more
    return found


def _draw_names(source: str) -> set[str]:
    import re

    return set(re.findall(r"\b_draw_\w+", source))


_written: WeakKeyDictionary[type[Scenario], dict[Any, Plan]] = WeakKeyDictionary()


def write_module(
    scenario: Scenario, parallel: bool, host_decisions: frozenset[str] = frozenset(), cut: Cut | None = None,
    early: frozenset[str] = frozenset(), at_once: frozenset[str] = frozenset(),
) -> Plan:  # fmt: skip
    """Generate the module of a scenario instance, or return the one written for an equal instance before.

    With ``cut`` it is the module of one of several shards; ``early`` are decisions that are begun before their rule,
    ``at_once`` those of them that are answered right after it.
    """
    writer = ModuleWriter(scenario, parallel, host_decisions, cut, early, at_once)
    key = (
        parallel, host_decisions, cut, early, at_once, tuple(sorted(writer.static.items())),
        tuple(phase.name for phase in writer.phases), tuple(writer.choices.values()),
        tuple(stop.reason for stop in scenario.stops),
    )  # fmt: skip
    plans = _written.setdefault(type(scenario), {})
    if key not in plans or not plans[key].surroundings.current:
        plans[key] = writer.write()
    return plans[key]
