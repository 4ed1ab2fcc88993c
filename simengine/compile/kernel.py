"""A compiled step bound to the arrays of one run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from simengine.arrays import pages
from simengine.compile import cache, target
from simengine.compile.module import HostPhase, InTurn, Plan, write_module
from simengine.compile.names import Binding, Names
from simengine.compile.sharing import Cut, Share
from simengine.compile.state import State
from simengine.errors import RunError, ScenarioError
from simengine.random.philox import stream_key
from simengine.scenario.phases import Decision, Events
from simengine.scenario.population import FIELD_TYPES
from simengine.scenario.scenario import Scenario

CHUNKS_PER_THREAD = 4
# What stands behind an argument when another run begins: the same array, the same array emptied, or something new.
LASTING = frozenset(
    {"field", "table", "ids", "alive", "order", "count", "acting", "streams", "status", "chunks", "resume"}
)
EMPTIED = frozenset({"accumulators", "buffer", "work"})


@dataclass
class Segment:
    """A compiled stretch of the step and the arguments it is called with."""

    function: Callable[..., Any]
    arguments: list[Any]


@dataclass
class Turns:
    """A decision of agents who act in turn: its compiled stretch, and the marks of those whom the host answers."""

    decision: Decision
    segment: Segment
    outside: NDArray[np.bool_]


class Answering(Protocol):
    """Whoever answers decisions outside compiled code."""

    def begin(self, decision: Decision, step: int) -> None:
        """Ask those who work on their answers while the step goes on."""

    def answer(self, decision: Decision, step: int) -> None:
        """Answer a decision for all who are asked."""

    def chosen(self, decision: Decision, step: int) -> NDArray[np.bool_]:
        """The slots of those who are asked."""

    def answer_one(self, decision: Decision, step: int, slot: int, event: int) -> None:
        """Answer a decision for one agent."""


class Kernel:
    """Advances the state of one run; holds the arrays that only the step needs.

    ``answers`` is asked for each decision that is answered outside compiled code (of several shards the first one asks,
    and the others are told); in one shard of
    several, ``share(what, step)`` wherever shards tell one another something. ``early`` are those of
    ``host_decisions`` that are asked before their rule, and answered as late as the step allows, ``at_once`` those of
    them that are answered right after it.
    """

    def __init__(
        self,
        scenario: Scenario,
        state: State,
        seed: int,
        threads: int = 1,
        host_decisions: frozenset[str] = frozenset(),
        answers: Answering | None = None,
        cut: Cut | None = None,
        share: Callable[[Share, int], None] | None = None,
        early: frozenset[str] = frozenset(),
        at_once: frozenset[str] = frozenset(),
    ) -> None:
        target.pin()
        self.scenario = scenario
        self.state = state
        self.threads = threads
        self.answers = answers
        self._host_decisions, self._early, self._at_once = host_decisions, early, at_once
        self.cut, self.share = cut, share
        self.plan = self._planned(scenario)
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(scenario).__name__).lower()
        self.module, self.path = cache.load(name, self.plan.source)
        self.status = np.zeros(2, np.int64)
        self.streams = self._stream_keys(seed)
        self.objects: dict[Binding, Any] = {}
        self._scalars = {label: r.scalars(scenario.values) for label, r in self.plan.relations.items()}
        self._work = {label: r.work(state.capacities()) for label, r in self.plan.relations.items()}
        self.resume = np.zeros(2, np.int64)
        self.segments = [self._bound(planned) for planned in self.plan.segments]
        self._renewed = list(self._places_of_new_objects())

    def _bound(self, planned: tuple[str, Names] | HostPhase | InTurn | Share) -> Segment | HostPhase | Turns | Share:
        if isinstance(planned, HostPhase | Share):
            return planned
        if isinstance(planned, InTurn):
            segment = Segment(getattr(self.module, planned.function), self._bind(planned.names))
            return Turns(planned.decision, segment, self._outside(planned, segment))
        return Segment(getattr(self.module, planned[0]), self._bind(planned[1]))

    def _outside(self, planned: InTurn, segment: Segment) -> NDArray[np.bool_]:
        marks: NDArray[np.bool_] = segment.arguments[
            sorted(planned.names.used).index(f"outside_{planned.decision.name}")
        ]
        return marks

    def begin_again(self, scenario: Scenario, seed: int) -> bool:
        """Stand before the first step of another run in the same arrays, whose `State` has begun again.

        Return false, and do nothing, where that run takes another step or its relations other arrays.
        """
        plan = self._planned(scenario)
        work = {label: r.work(self.state.capacities()) for label, r in plan.relations.items()}
        if plan is not self.plan or work != self._work:
            return False
        self.scenario = scenario
        self.status.fill(0)
        self.streams[:] = self._stream_keys(seed)
        self._scalars = {label: r.scalars(scenario.values) for label, r in plan.relations.items()}
        for binding, held in self.objects.items():
            if binding.kind in EMPTIED:
                held.fill(0)
            elif binding.kind not in LASTING:
                self.objects[binding] = self._provide(binding)
        for arguments, place, binding in self._renewed:
            arguments[place] = self.object(binding)
        return True

    def hold(self, state: State) -> None:
        """Go on with other arrays, of other sizes; also between two segments of a step."""
        self.state = state
        self.objects.clear()
        self._work = {label: r.work(state.capacities()) for label, r in self.plan.relations.items()}
        # In place: where edges get other arrays, these lists of arguments are told.
        for segment, planned in zip(self.segments, self.plan.segments, strict=True):
            if isinstance(segment, Segment) and isinstance(planned, tuple):
                segment.arguments[:] = self._bind(planned[1])
            elif isinstance(segment, Turns) and isinstance(planned, InTurn):
                segment.segment.arguments[:] = self._bind(planned.names)
                segment.outside = self._outside(planned, segment.segment)

    def _places_of_new_objects(self) -> Iterator[tuple[list[Any], int, Binding]]:
        for segment, planned in zip(self.segments, self.plan.segments, strict=True):
            if isinstance(planned, HostPhase | Share) or isinstance(segment, HostPhase | Share):
                continue
            names = planned.names if isinstance(planned, InTurn) else planned[1]
            arguments = segment.segment.arguments if isinstance(segment, Turns) else segment.arguments
            for place, name in enumerate(sorted(names.used)):
                if names.used[name].kind not in LASTING | EMPTIED:
                    yield arguments, place, names.used[name]

    def _planned(self, scenario: Scenario) -> Plan:
        return write_module(scenario, self.threads > 1, self._host_decisions, self.cut, self._early, self._at_once)

    def _stream_keys(self, seed: int) -> NDArray[np.uint64]:
        keys = [stream_key(seed, *names) for names in self.plan.streams.names]
        return np.array(keys if keys else [0], np.uint64)

    def _bind(self, names: Names) -> list[Any]:
        return [self.object(names.used[name]) for name in sorted(names.used)]

    def object(self, binding: Binding) -> Any:
        """The host object that stands behind an argument of the compiled step."""
        if binding not in self.objects:
            self.objects[binding] = self._provide(binding)
        return self.objects[binding]

    def _provide(self, binding: Binding) -> Any:
        kind, key = binding.kind, binding.key
        if kind == "field":
            return self.state[key[0]].fields[key[1]][key[2]]
        if kind == "table":
            return self.state[key[0]].tables[key[1]]
        if kind in {"ids", "alive", "order", "count", "acting"}:
            return getattr(self.state[key[0]], kind)
        if kind == "edges":
            return self.state.networks[key[0]].array(key[1])
        if kind == "parameter":
            return getattr(self.scenario, key[0])
        if kind == "accumulators":
            gather, dtype = self.plan.gathers[key[0]], key[1]
            shape = (gather.rows(dtype), self.state[gather.relation.source.name].capacity)
            return pages.zeros(shape, FIELD_TYPES[dtype])
        if kind == "buffer":
            return pages.zeros(self.state[key[1]].capacity, "bool" if key[2] == "bool_" else key[2])
        if kind == "scalar":
            return self._scalars[key[0]][key[1]]
        if kind == "work":
            dtype, shape = self._work[key[0]][key[1]]
            return pages.zeros(shape, dtype)
        own = {"streams": self.streams, "status": self.status, "chunks": self._chunks(), "resume": self.resume}
        return own[kind]

    def _chunks(self) -> int:
        return self.threads * CHUNKS_PER_THREAD if self.threads > 1 else 1

    def accumulated(self, gather: str, name: str, component: int = 0) -> NDArray[Any]:
        """What a gather left for one accumulator, by storage slot."""
        declared = self.plan.gathers[gather]
        table = self.object(Binding("accumulators", (gather, declared.accumulators[name].dtype)))
        found: NDArray[Any] = table[declared.row(name, component)]
        return found

    def kept(self) -> dict[str, NDArray[Any]]:
        """The arrays that relations keep from step to step, edges among them, by ``relation/name``."""
        kept = {
            f"{label}/{name}": self.object(Binding("work", (label, name)))
            for label, relation in self.plan.relations.items()
            for name in relation.kept
        }
        for label, network in self.state.networks.items():
            kept |= {f"{label}/{name}": values for name, values in network.saved().items()}
        return kept

    def restore(self, kept: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what `kept` gave."""
        for label, network in self.state.networks.items():
            network.load({name: np.array(kept[f"{label}/{name}"]) for name in network.saved()})
        self._renew_edges()
        for label, relation in self.plan.relations.items():
            for name in relation.kept:
                self.object(Binding("work", (label, name)))[...] = kept[f"{label}/{name}"]

    def settle(self) -> None:
        """Let networks have room for the edges of a step, and list neighbours where agents are now stored."""
        grown = False
        for label, network in self.state.networks.items():
            added = self.plan.adding.get(label, 0) * self.state[network.network.source.name].living
            grown |= network.make_room(added)
        if grown:
            self._renew_edges()
        for network in self.state.networks.values():
            network.settle()

    def _renew_edges(self) -> None:
        for binding in self.objects:
            if binding.kind == "edges":
                self.objects[binding] = self._provide(binding)
        for arguments, place, binding in self._renewed:
            if binding.kind == "edges":
                arguments[place] = self.objects[binding]

    @property
    def stopped_by(self) -> int | None:
        """The number of the stop condition that held after the last step, or ``None``."""
        return int(self.status[1]) - 1 if self.status[1] else None

    def prepare(self) -> None:
        """Compile every segment, or load it from the cache, without taking a step."""
        for segment in self.segments:
            if isinstance(segment, Segment | Turns):
                self._call(segment.segment if isinstance(segment, Turns) else segment, 0, 0)

    def advance(self, first_step: int, steps: int) -> int:
        """Run up to ``steps`` steps; return the number of the next one. Stops early when a condition holds."""
        segment = self.segments[0]
        if len(self.segments) == 1 and isinstance(segment, Segment):
            reached, goal = first_step, first_step + steps
            while True:
                self.settle()
                reached = int(self._call(segment, reached, goal - reached))
                self._check()
                # A step that may want more edges than there is room for is not begun.
                if reached == goal or self.status[1] or not self.plan.adding:
                    return reached
        for step in range(first_step, first_step + steps):
            self.settle()
            for segment in self.segments:
                if isinstance(segment, HostPhase):
                    if self.answers is not None:
                        (self.answers.begin if segment.begins else self.answers.answer)(segment.decision, step)
                elif isinstance(segment, Turns):
                    self._take_turns(segment, step)
                elif isinstance(segment, Share):
                    assert self.share is not None
                    self.share(segment, step)
                else:
                    self._call(segment, step, 1)
                    self._check()
            if self.status[1]:
                return step + 1
        return first_step + steps

    def _take_turns(self, turns: Turns, step: int) -> None:
        """Let agents act one after another, and the host answer for some of them when it is their turn."""
        assert self.answers is not None
        turns.outside[:] = self.answers.chosen(turns.decision, step)
        self.resume[0] = 0
        while True:
            self.resume[1] = -1
            self._call(turns.segment, step, 1)
            self._check()
            if self.resume[1] < 0:
                return
            event = int(self.resume[0]) - 1 if isinstance(turns.decision.order, Events) else 0
            self.answers.answer_one(turns.decision, step, int(self.resume[1]), event)

    def _call(self, segment: Segment, first_step: int, steps: int) -> Any:
        if self.threads > 1:
            import numba

            numba.set_num_threads(min(self.threads, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
        try:
            return segment.function(first_step, steps, *segment.arguments)
        except IndexError as error:
            raise RunError(f"{type(self.scenario).__name__}: {error}") from None
        except Exception as error:
            if type(error).__module__.startswith("numba."):
                raise explained(error, self.plan, self.path) from None
            raise

    def _check(self) -> None:
        if self.status[0]:
            name = list(self.state.populations)[int(self.status[0]) - 1]
            capacity = self.state[name].capacity
            raise RunError(f"population {name} is full: its capacity is {capacity}; give it a larger one")


def explained(error: Exception, plan: Plan, path: Path) -> ScenarioError:
    """Translate a compiler's message about the generated module into one line about the author's file."""
    # Where colorama is installed, the compiler's messages are coloured.
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    reason = reason_of(text) or type(error).__name__
    places = [int(line) for line in re.findall(rf'File "[^"]*{re.escape(path.name)}", line (\d+)', text)]
    for place in reversed(places):
        for start, end, lowered in plan.origins:
            line = lowered.lines.get(place - start) if start < place <= end else None
            if line is not None:
                name = lowered.name.split("_", 1)[1].removesuffix("_in_turn")
                return ScenarioError(f"{lowered.path}:{line}: in {name}(): {reason}")
    for place in reversed(places):
        for start, end, where in plan.loops:
            if start < place <= end:
                return ScenarioError(f"{where}: {reason}")
    return ScenarioError(f"{path}: {reason}")


TELLING = (
    "No implementation",
    "Unknown attribute",
    "Cannot unify",
    "not defined",
    "Cannot",
    "Invalid",
    "Unknown",
    "unify",
)


def reason_of(text: str) -> str:
    """The telling part of a compiler's message, without places in generated code and with plain names of types."""
    refused = re.search(r"a (\w+) is stored in a field of whole numbers.*", text)
    if refused:
        return refused[0]
    missing = re.search(r"No implementation of function Function\(<[^>]*>\) found for signature:\s*>>> (.*)", text)
    if missing:
        return f"{plain_types(missing[1])} is not defined for these types"
    lines = [line.strip() for line in text.splitlines()]
    lines = [
        line
        for line in lines
        if line and not line.startswith(("Failed", "During", "File", "-", "<")) and "^" not in line
    ]
    found = next((line for word in TELLING for line in lines if word in line), lines[0] if lines else "")
    unified = re.match(r"Cannot unify (.*) and (.*) for '(\w+)", found)
    if unified:
        return f"{unified[3]} is sometimes {plain_types(unified[1])} and sometimes {plain_types(unified[2])}"
    return plain_types(re.sub(r",? defined at .*", "", found))


def plain_types(text: str) -> str:
    """The compiler's names of types as an author would say them."""
    text = re.sub(r"Literal\[(\w+)\]\([^()]*\)", r"\1", text)
    text = re.sub(r"UniTuple\((\w+) x (\d+)\)", r"a tuple of \2 \1", text)
    text = re.sub(r"Tuple\(([^()]*)\)", r"a tuple (\1)", text)
    return text.replace("unicode_type", "str")
