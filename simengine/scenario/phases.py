"""Phases: the numbered moves of a model, in the paper's order.

A phase is one small function about one agent. ``gather`` sums up what an agent perceives over a relation,
``update`` turns old values into new ones, ``send`` contributes to other agents, ``birth`` adds agents, and
``decision`` is an update whose action a policy may answer. They run in the order in which the class defines them.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from simengine.errors import ScenarioError, nearest
from simengine.relations.network import Network
from simengine.scenario.population import NOBODY, Field, FieldReference, Population

if TYPE_CHECKING:
    from simengine.relations.base import Relation


@dataclass(frozen=True)
class Accumulator:
    """What a gather collects: an additive total (summed in lanes) or a running value (in canonical order)."""

    dtype: type = float
    initial: Any = 0
    components: int = 0
    additive: bool = True

    @property
    def rows(self) -> int:
        """How many scalars it takes."""
        return max(self.components, 1)


def total(components: int = 0, dtype: type = float) -> Any:
    """Declare an additive accumulator: ``acc.name += value`` (with ``components``: ``acc.name[axis] += value``)."""
    return Accumulator(dtype, 0, components, True)


def count() -> Any:
    """Declare a counter: ``acc.name += 1``."""
    return Accumulator(int, 0, 0, True)


def running(initial: float | int | bool) -> Any:
    """Declare a value that the gather may replace, seeing the others in canonical order: ``acc.nearest = distance``."""
    return Accumulator(type(initial), initial, 0, False)


@dataclass(frozen=True)
class Combine:
    """How contributions sent to one agent become one value, whatever their order."""

    rule: Literal["total", "count", "minimum", "maximum", "median", "lowest_id", "drawn"]
    dtype: type = float

    @property
    def takes_value(self) -> bool:
        """Whether a contribution carries a value (the others carry only who sent it)."""
        return self.rule in {"total", "minimum", "maximum", "median"}

    @property
    def empty(self) -> float | int:
        """What an agent finds to which nothing was sent."""
        if self.rule in {"lowest_id", "drawn"}:
            return NOBODY
        if self.rule == "median":
            return math.nan
        if self.rule in {"total", "count"}:
            return 0.0 if self.dtype is float else 0
        most = math.inf if self.dtype is float else 2**63 - 1
        return most if self.rule == "minimum" else -most


def summed(dtype: type = float) -> Any:
    """Combine sent values by their sum, exact for integers and rounded once for floats; 0 when nothing was sent."""
    return Combine("total", dtype)


def counted() -> Any:
    """Combine contributions by their number."""
    return Combine("count", int)


def lowest(dtype: type = float) -> Any:
    """Combine sent values by their minimum; infinity (or the largest integer) when nothing was sent."""
    return Combine("minimum", dtype)


def highest(dtype: type = float) -> Any:
    """Combine sent values by their maximum; minus infinity (or the smallest integer) when nothing was sent."""
    return Combine("maximum", dtype)


def median() -> Any:
    """Combine sent values by their median (the mean of the middle two for even numbers); nan when nothing was sent."""
    return Combine("median", float)


def lowest_id() -> Any:
    """Combine contributions to the sender with the lowest id; nobody (-1) when nothing was sent."""
    return Combine("lowest_id", int)


def drawn() -> Any:
    """Combine contributions to one sender, drawn with equal chances by a keyed draw; nobody (-1) when none."""
    return Combine("drawn", int)


@dataclass(frozen=True)
class Events:
    """An order of single-agent events: ``number`` agents drawn one after another, with replacement."""

    number: str | int


def events(number: str | int) -> Events:
    """Order a phase as ``number`` (or a parameter's name) single-agent events a step, drawn one after another."""
    return Events(number)


Order = Literal["synchronous", "sequential", "shuffled"] | Events


@dataclass(eq=False)
class Phase:
    """A declared phase; calling it calls the author's function, so it can be unit-tested in plain Python."""

    function: Callable[..., Any]
    when: Mapping[str, Any]
    name: str = ""
    kind: ClassVar[str] = "phase"
    allowed: ClassVar[frozenset[str]] = frozenset({"me", "p", "step", "draw"})

    def __post_init__(self) -> None:
        self.name = self.function.__name__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the author's function as plain Python."""
        return self.function(*args, **kwargs)

    @property
    def where(self) -> str:
        """File and line of the author's function, for messages."""
        code = self.function.__code__
        return f"{code.co_filename}:{code.co_firstlineno}"

    def check_arguments(self, others: set[str]) -> None:
        """Raise ``ScenarioError`` when the function names an argument that the engine cannot supply.

        ``others`` are those that a scenario gives names to: populations and, for a gather, the gathers before it.
        """
        allowed = self.allowed | others
        for argument in inspect.signature(self.function).parameters:
            if argument not in allowed:
                hint = nearest(argument, allowed) or f"; allowed: {', '.join(sorted(allowed))}"
                raise ScenarioError(f"{self.where}: {self.kind} {self.name}() has no argument {argument!r}{hint}")


@dataclass(eq=False)
class Gather(Phase):
    """What each agent collects over a relation."""

    relation: Relation = None  # type: ignore[assignment]
    accumulators: dict[str, Accumulator] = dataclass_field(default_factory=dict)
    kind: ClassVar[str] = "gather"
    allowed: ClassVar[frozenset[str]] = Phase.allowed | {"other", "acc", "offset", "distance", "direction", "edge"}

    def row(self, name: str, component: int) -> int:
        """The row of an accumulator in the table that holds all accumulators of its type."""
        row = component
        for other, accumulator in self.accumulators.items():
            if other == name:
                break
            if accumulator.dtype is self.accumulators[name].dtype:
                row += accumulator.rows
        return row

    def rows(self, dtype: type) -> int:
        """How many rows the table of a type has."""
        return sum(accumulator.rows for accumulator in self.accumulators.values() if accumulator.dtype is dtype)


@dataclass(eq=False)
class AgentPhase(Phase):
    """A phase in which every agent of one population acts on what its gathers collected."""

    population: Population = None  # type: ignore[assignment]
    after: tuple[Gather, ...] = ()

    @property
    def accumulators(self) -> dict[str, Accumulator]:
        """All accumulators of the gathers this phase follows."""
        return {name: value for gathered in self.after for name, value in gathered.accumulators.items()}


@dataclass(eq=False)
class Update(AgentPhase):
    """Each agent's new values from the old ones."""

    order: Order = "synchronous"
    kind: ClassVar[str] = "update"
    allowed: ClassVar[frozenset[str]] = Phase.allowed | {"new", "acc"}


@dataclass(eq=False)
class Decision(AgentPhase):
    """An update of one field, the action, that a policy answers: the author's rule, or any other policy."""

    action: str = ""
    options: tuple[str, ...] = ()
    order: Order = "synchronous"
    asked: Callable[..., Any] | None = None
    kind: ClassVar[str] = "decision"
    allowed: ClassVar[frozenset[str]] = Phase.allowed | {"acc"}


@dataclass(eq=False)
class Send(AgentPhase):
    """Contributions of each agent to others, combined per receiver."""

    to: Population = None  # type: ignore[assignment]
    inboxes: dict[str, Combine] = dataclass_field(default_factory=dict)
    kind: ClassVar[str] = "send"
    allowed: ClassVar[frozenset[str]] = Phase.allowed | {"acc", "send"}


@dataclass(eq=False)
class Rewire(AgentPhase):
    """Edges of a network that agents ask to drop and to add."""

    network: Network = None  # type: ignore[assignment]
    kind: ClassVar[str] = "rewire"
    allowed: ClassVar[frozenset[str]] = Phase.allowed | {"acc", "edges"}


@dataclass(eq=False)
class Birth(AgentPhase):
    """Agents that may have a child; the child starts as a copy of its parent."""

    kind: ClassVar[str] = "birth"
    allowed: ClassVar[frozenset[str]] = Phase.allowed | {"acc", "child"}


Decorator = Callable[[Callable[..., Any]], Any]


def _gathers(after: Gather | tuple[Gather, ...] | None) -> tuple[Gather, ...]:
    gathers = () if after is None else after if isinstance(after, tuple) else (after,)
    for gathered in gathers:
        if not isinstance(gathered, Gather):
            raise ScenarioError(
                f"after= takes a gather (or a tuple of gathers), not {getattr(gathered, 'name', gathered)!r:.60}"
            )
    return gathers


def gather(over: Relation, *, when: Mapping[str, Any] | None = None, **accumulators: Any) -> Decorator:
    """Declare what each agent collects over a relation.

    The function is called once per pair: ``def listen(me, other, agents, p, acc)``; over a space it may also
    take ``offset`` (from me to other, nearest image), ``distance`` and ``direction`` (the unit vector of the offset),
    over a network ``edge``, whose fields it reads as ``edge.weight``. What others (or I) collected in an earlier gather
    is read by its name, ``def compete(me, other, acc, play)``: ``play.earned[other]``.
    ``accumulators`` are `total`, `count` or `running` values. ``when`` limits the phase to runs whose parameters have
    the given values.
    """
    for name, declared in accumulators.items():
        if not isinstance(declared, Accumulator):
            raise ScenarioError(f"accumulator {name!r}: declare it with total(), count() or running()")

    def declare(function: Callable[..., Any]) -> Gather:
        return Gather(function, when or {}, relation=over, accumulators=accumulators)

    return declare


def update(
    population: Population,
    *,
    after: Gather | tuple[Gather, ...] | None = None,
    order: Order = "synchronous",
    when: Mapping[str, Any] | None = None,
) -> Decorator:
    """Declare each agent's move from old values to new: ``def move(me, agents, new, p, acc, draw)``.

    ``order``: ``"synchronous"`` (all read the old state), ``"sequential"`` (by id), ``"shuffled"`` (a fresh
    order every step) or ``events(n)``; in the last three, later agents see what earlier ones wrote.
    """
    if not (isinstance(order, Events) or order in {"synchronous", "sequential", "shuffled"}):
        raise ScenarioError(f"order is 'synchronous', 'sequential', 'shuffled' or events(n), not {order!r}")
    return lambda function: Update(function, when or {}, population=population, after=_gathers(after), order=order)


def decision(
    action: FieldReference,
    *,
    options: tuple[str, ...] = (),
    after: Gather | tuple[Gather, ...] | None = None,
    order: Order = "synchronous",
    asked: Callable[..., Any] | None = None,
    when: Mapping[str, Any] | None = None,
) -> Decorator:
    """Declare a decision: its function is the rule that returns the action, written to the field ``action``.

    With ``options`` the action is the index of one of them, and a policy may answer with a distribution over
    them, from which the engine draws. Another policy is chosen per run: ``policies={"agents.choose": ...}``.
    ``asked`` says of whom policies are asked at all, where an answer costs something: a function in numpy of
    populations by name, ``p`` and ``step``, that returns a mask over the living by ascending id. All others follow the
    rule: ``asked=lambda agents, villages: villages.ended[agents.village] == 0``.
    """
    return lambda function: Decision(
        function, when or {}, population=action.population, after=_gathers(after),
        action=action.field.name, options=options, order=order, asked=asked,
    )  # fmt: skip


def send(
    population: Population,
    *,
    to: Population,
    after: Gather | tuple[Gather, ...] | None = None,
    when: Mapping[str, Any] | None = None,
    **inboxes: Any,
) -> Decorator:
    """Declare contributions to agents of ``to``: ``def give(me, agents, acc, send)`` calls ``send.name(other, value)``.

    ``inboxes`` name the combined values, each with its order-free rule (`summed`, `counted`, `lowest`, `highest`,
    `median`, `lowest_id`, `drawn`); later phases read them as fields of the receivers, ``agents.name[me]``.
    """
    for name, combine in inboxes.items():
        if not isinstance(combine, Combine):
            raise ScenarioError(
                f"inbox {name!r}: declare it with summed(), counted(), lowest(), highest(), median(), lowest_id() or "
                "drawn()"
            )
        if name in to.fields or name in to.inboxes:
            raise ScenarioError(f"inbox {name!r}: the receiving population already has a field of that name")
        sender = population if combine.rule in {"lowest_id", "drawn"} else None
        to.inboxes[name] = Field(combine.dtype, "1", "", combine.empty, 0, sender, False, name, sender is not None)
        if combine.dtype not in {float, int}:
            raise ScenarioError(f"inbox {name!r}: values are float or int, not {combine.dtype!r}")

    return lambda function: Send(
        function, when or {}, population=population, after=_gathers(after), to=to, inboxes=dict(inboxes)
    )


def birth(
    population: Population,
    *,
    after: Gather | tuple[Gather, ...] | None = None,
    when: Mapping[str, Any] | None = None,
) -> Decorator:
    """Declare births: ``def reproduce(me, agents, child, p, draw)`` returns whether a child is born.

    ``child.field`` starts as the parent's value and may be changed. A child's id follows from its parent's id,
    the phase and the step, whatever the storage or the number of processes.
    """
    if not population.dynamic:
        raise ScenarioError("births need a population declared with capacity=")
    return lambda function: Birth(function, when or {}, population=population, after=_gathers(after))


def rewire(
    network: Network,
    *,
    after: Gather | tuple[Gather, ...] | None = None,
    when: Mapping[str, Any] | None = None,
) -> Decorator:
    """Declare how agents change a network: ``def move_on(me, agents, p, acc, draw, edges)``.

    ``edges.drop(one, other)`` and ``edges.add(one, other)`` ask for a change, ``edges.add(one, other, weight=0.5)``
    with values of the edge's fields; nobody (-1) as an end asks for nothing. Everybody asks on the ground of the old
    network. Then all that was asked for happens, first the drops and then the adds, in the order of the edges' ends:

    - an edge that several ask for is added or dropped once; dropping one that is not there does nothing;
    - an edge that is dropped and added in one phase is there afterwards, as a new one;
    - adding one that is there changes those of its fields that are given, and else nothing;
    - of several who give values, the agent with the lowest id decides (and of its own, the first in the function);
      a field that this one does not give stays as it is, in a new edge at the field's default.

    An agent that is to be joined to itself, and an index beyond the last agent, end the run with a `RunError`.
    """
    if not isinstance(network, Network):
        raise ScenarioError(
            f"rewire() takes a network declared with Network(), not {getattr(network, 'name', None) or network!r:.60}"
        )
    return lambda function: Rewire(
        function, when or {}, population=network.source, after=_gathers(after), network=network
    )
