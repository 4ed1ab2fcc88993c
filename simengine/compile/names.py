"""The generated module's text and names: lines of code, and which host object each argument stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from simengine.relations.base import Relation
from simengine.relations.network import Network
from simengine.scenario.phases import Gather
from simengine.scenario.population import FieldReference, Population


@dataclass(frozen=True)
class Binding:
    """What the host passes for one argument: ``kind`` and what identifies the object."""

    kind: str
    key: tuple[Any, ...] = ()


class Lines:
    """Indented lines of code."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.depth = 0

    def line(self, text: str) -> None:
        """Add a line."""
        self.lines.append("    " * self.depth + text)

    @contextmanager
    def block(self, header: str) -> Iterator[None]:
        """Add a line that opens a block, and indent until the context ends."""
        self.line(header)
        self.depth += 1
        yield
        self.depth -= 1

    def text(self) -> str:
        """All lines."""
        return "\n".join(self.lines) + "\n"


@dataclass(frozen=True)
class Collector:
    """A generated function that collects for one agent what a gather collects: what it needs, and its results."""

    name: str
    names: Names
    results: tuple[tuple[str, int], ...]


@dataclass
class Streams:
    """The named draws of a module; each gets a number, and the host derives its key from the seed."""

    names: list[tuple[str, str, str]] = field(default_factory=list)

    def number(self, population: str, phase: str, name: str) -> int:
        """The number of a stream, a new one when it is first asked for."""
        key = (population, phase, name)
        if key not in self.names:
            self.names.append(key)
        return self.names.index(key)


class Names:
    """The scope of one generated function (the `Scope` that relations see); asking for a name makes it an argument."""

    def __init__(
        self,
        phase: str,
        streams: Streams,
        relations: Mapping[int, str],
        imports: dict[str, str],
        static: Mapping[int, tuple[Any, ...]],
        sequential: bool = False,
        written: frozenset[tuple[str, str]] = frozenset(),
        written_elsewhere: bool = False,
        shared_out: bool = False,
    ) -> None:
        self.phase = phase
        self.shared_out = shared_out
        self.streams = streams
        self.relations = relations
        self.module_imports = imports
        self.static_choices = static
        self.sequential = sequential
        self.written = written
        self.written_elsewhere = written_elsewhere
        self.used: dict[str, Binding] = {}
        self.keys: dict[str, int] = {}
        self.gathers: Mapping[str, Gather] = {}
        self.changing: Callable[[], frozenset[tuple[str, str]]] = frozenset
        self.collectors: Mapping[str, Collector] = {}

    def use(self, name: str, kind: str, *key: Any) -> str:
        """Make ``name`` an argument that stands for a host object."""
        self.used[name] = Binding(kind, key)
        return name

    def ids(self, population: Population) -> str:
        return self.use(f"{population.name}_ids", "ids", population.name)

    def alive(self, population: Population) -> str:
        return self.use(f"{population.name}_alive", "alive", population.name)

    def order(self, population: Population) -> str:
        return self.use(f"{population.name}_order", "order", population.name)

    def acting(self, population: Population) -> str:
        """The slots that this shard acts for in a phase that is shared out: first and past the last."""
        return self.use(f"{population.name}_acting", "acting", population.name)

    def living(self, population: Population) -> str:
        return self.use(f"{population.name}_count", "count", population.name) + "[0]"

    def field(self, reference: FieldReference, component: int = 0) -> str:
        return self.array(reference.population.name, reference.field.name, component)

    def array(self, population: str, name: str, component: int) -> str:
        """One component of a field by names."""
        return self.use(f"{population}_{name}_{component}", "field", population, name, component)

    def table(self, reference: FieldReference) -> str:
        return self.table_of(reference.population, reference.field.name)

    def table_of(self, population: Population, name: str) -> str:
        return self.use(f"{population.name}_{name}_table", "table", population.name, name)

    def chunks(self) -> str:
        return self.use("chunks", "chunks")

    def accumulator(self, gather: Gather, name: str, component: int, at: str) -> str:
        """Where a gather leaves one accumulator of one agent: a row of its table of that type."""
        dtype = gather.accumulators[name].dtype
        table = self.use(f"acc_{gather.name}_{dtype.__name__}", "accumulators", gather.name, dtype)
        return f"{table}[{gather.row(name, component)}, {at}]"

    def buffer(self, name: str, population: str, dtype: str) -> str:
        """An array by slot that lives as long as the run."""
        return self.use(name, "buffer", name, population, dtype)

    def parameter(self, name: str) -> str:
        return self.use(f"p_{name}", "parameter", name)

    def slot(self, population: Population, identity: str) -> str:
        if self.sequential and population.dynamic:
            living_slot_of = self.imports("simengine.arrays.lookup", "living_slot_of")
            alive = self.alive(population)
            return (
                f"{living_slot_of}({self.order(population)}, {self.ids(population)}, {alive}, "
                f"{self.living(population)}, {identity})"
            )
        slot_of = self.imports("simengine.arrays.lookup", "slot_of")
        return f"{slot_of}({self.order(population)}, {self.ids(population)}, {self.living(population)}, {identity})"

    def identity(self, population: Population, slot: str) -> str:
        """An expression for the id of a slot, -1 for nobody and for an index beyond the last."""
        ids = self.ids(population)
        return f"({ids}[{slot}] if 0 <= {slot} < {ids}.shape[0] else -1)"

    def scalar(self, relation: Relation, name: str) -> str:
        return self.use(f"{self.relations[id(relation)]}_{name}", "scalar", self.relations[id(relation)], name)

    def own(self, relation: Relation, name: str) -> str:
        return f"{self.relations[id(relation)]}_{name}_here"

    def work(self, relation: Relation, name: str) -> str:
        label = self.relations[id(relation)]
        return self.use(f"{label}_{name}_work", "work", label, name)

    def edges(self, network: Network, name: str) -> str:
        return self.edges_of(network.name, name)

    def edges_of(self, network: str, name: str) -> str:
        """One of the arrays of a network's edges, by names."""
        return self.use(f"{network}_{name}_edges", "edges", network, name)

    def static(self, relation: Relation) -> Any:
        """The relation's choices that follow from the parameters."""
        return self.static_choices[id(relation)]

    def lasting(self, reference: FieldReference) -> bool:
        """Whether no phase writes a field, and nobody is born into its population."""
        population = reference.population.name
        return not self.changing() & {(population, reference.field.name), (population, "alive")}

    def key(self, relation: Relation, name: str) -> str:
        return self.engine_key(relation.source.name, name)

    def draw_key(self, population: str, name: str) -> str:
        """The variable that holds the key of a named draw of this phase, for this step (and event)."""
        variable = f"key_{self.phase}_{name}".replace(" ", "_")
        self.keys[variable] = self.streams.number(population, self.phase, name)
        self.use("streams", "streams")
        return variable

    def engine_key(self, population: str, name: str) -> str:
        """The same for a draw of the engine's own; its stream has a name that no author can give to a draw."""
        return self.draw_key(population, f"engine {name}")

    @contextmanager
    def drawing_for(self, phase: str) -> Iterator[None]:
        """Name draws after another phase for a while: a gather's own, when it runs inside a sequential phase."""
        outer, self.phase = self.phase, phase
        yield
        self.phase = outer

    def imports(self, module: str, name: str) -> str:
        self.module_imports[name] = module
        return f"engine_{name}"


def key_lines(code: Lines, names: Names, event: str) -> None:
    """Emit the derivation of every key that the function uses."""
    for variable, number in names.keys.items():
        step_key = names.imports("simengine.random.draws", "step_key")
        code.line(f"{variable} = {step_key}(streams[{number}], step, {event})")
