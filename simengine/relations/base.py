"""What every relation provides: who looks, who is seen, and the loop that visits the seen."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from simengine.errors import ScenarioError, nearest
from simengine.scenario.population import FieldReference, Population

if TYPE_CHECKING:
    from simengine.relations.network import Network


class Code(Protocol):
    """Lines of the generated module, indented."""

    def line(self, text: str) -> None:
        """Add a line."""

    def block(self, header: str) -> AbstractContextManager[None]:
        """Add a line that opens a block, and indent until the context ends."""


class Scope(Protocol):
    """Names that a relation's loop may use; asking for one makes it an argument of the generated function."""

    sequential: bool
    written: frozenset[tuple[str, str]]
    written_elsewhere: bool
    shared_out: bool

    def ids(self, population: Population) -> str:
        """The array of ids by slot."""

    def alive(self, population: Population) -> str:
        """The array of flags by slot; only for populations with births and deaths."""

    def order(self, population: Population) -> str:
        """The slots of the living by ascending id."""

    def living(self, population: Population) -> str:
        """The number of the living."""

    def acting(self, population: Population) -> str:
        """Where `shared_out`: the array of the first slot this shard acts for and the one past the last."""

    def field(self, reference: FieldReference, component: int = 0) -> str:
        """One component of a field, as a one-dimensional array by slot."""

    def slot(self, population: Population, identity: str) -> str:
        """An expression for the slot of an id, -1 for nobody."""

    def scalar(self, relation: Relation, name: str) -> str:
        """One of the relation's `scalars`."""

    def own(self, relation: Relation, name: str) -> str:
        """A variable of the generated function that belongs to one relation, as several may meet in a phase."""

    def work(self, relation: Relation, name: str) -> str:
        """One of the relation's `work` arrays."""

    def edges(self, network: Network, name: str) -> str:
        """One of the arrays of a network's edges; see `simengine.compile.network_state`."""

    def key(self, relation: Relation, name: str) -> str:
        """The key of a named draw of the relation, for this step (and event)."""

    def imports(self, module: str, name: str) -> str:
        """A jitted function of the engine."""

    def table(self, reference: FieldReference) -> str:
        """All components of a field as one (components, slots) array, padded with infinity."""

    def table_of(self, population: Population, name: str) -> str:
        """The same, by names."""

    def chunks(self) -> str:
        """Into how many parts the agents are cut; more than one when there are threads."""

    def static(self, relation: Relation) -> Any:
        """The relation's `static` choices."""

    def lasting(self, reference: FieldReference) -> bool:
        """Whether no phase writes a field, and nobody is born into its population."""


class GatherBody(Protocol):
    """The author's gather, as a relation that loops over its agents itself sees it.

    The order of emission is ``start``, then ``call`` for each seen agent (or eight of them), then ``store``.
    """

    on_lanes: bool
    needs_id: bool
    needs_other: bool
    needs_offset: bool
    needs_distance: bool
    needs_direction: bool
    fields_of_others: tuple[str, ...]

    def start(self, code: Code) -> None:
        """Emit the initial accumulators."""

    def call(self, code: Code, read: Callable[[str, int], str], mine: Callable[[str, int], str | None]) -> None:
        """Emit the call; ``read(field, component)`` gives others' values, ``mine`` my own where they lie nearer."""

    def store(self, code: Code) -> None:
        """Emit the hand-over of the accumulators of ``me``."""

    def add_up(self, code: Code) -> None:
        """Emit the sums of the lanes into local variables."""

    @property
    def of_others_alone(self) -> bool:
        """Whether all it collects are totals of what each other adds, which depends on that other alone."""

    @property
    def totals(self) -> Mapping[str, str]:
        """The totals: what follows ``acc_`` in their variables, and the type of their arrays."""

    def contribute(self, code: Code) -> None:
        """Emit what ``other`` adds, into the local variables of the accumulators."""

    def hand_over(self, code: Code) -> None:
        """Emit the hand-over of accumulators that are plain local variables."""

    def each_agent(self, code: Code, parallel: bool) -> AbstractContextManager[Any]:
        """Open the loop over the agents that look."""


Body = Callable[[], None]


class Relation:
    """Who sees whom: each agent ``me`` of ``source`` sees agents ``other`` of ``target``.

    A new relation is one file: a subclass with `visit`, and `prepare` when something is built once per phase.
    """

    source: Population
    target: Population
    gives: frozenset[str] = frozenset()
    kept: tuple[str, ...] = ()
    """Names of `work` arrays that are state: they go on from step to step and are kept in checkpoints.

    They speak of agents by id: where an agent lies in memory may change between steps.
    """
    name: str = ""

    def check(self, scenario: type) -> None:
        """Raise ``ScenarioError`` where the declaration does not fit the scenario class."""

    def scalars(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Numbers that follow from the parameters, checked (``InputError``); available as ``scope.scalar``."""
        return {}

    def accept(self, parameters: Mapping[str, Any]) -> None:
        """Refuse parameters that the relation cannot do with (``InputError``)."""
        self.scalars(parameters)

    def static(self, parameters: Mapping[str, Any]) -> tuple[Any, ...]:
        """Choices that follow from the parameters and change the generated code."""
        return ()

    def work(self, capacity: Mapping[str, int]) -> dict[str, tuple[str, Any]]:
        """Arrays to keep between steps: dtype and length by name."""
        return {}

    def emit_gather(self, code: Code, scope: Scope, body: GatherBody, parallel: bool) -> bool:
        """Emit a whole synchronous gather, and return true; a relation that does not loops agent by agent."""
        return False

    @property
    def lists(self) -> Hashable | None:
        """What its lists follow from, where it keeps lists that other relations of the same use as well."""
        return None

    def begin(self, code: Code, scope: Scope) -> None:
        """Emit what is done once per call of the compiled step, before the first of its steps."""

    def has_list(self, scope: Scope) -> bool:
        """Whether those whom ``me`` sees stand in a list, one after another and in canonical order."""
        return False

    def find_in_list(self, code: Code, scope: Scope) -> None:
        """Emit where they stand: ``first_listed``, the number of ``candidates`` (without me) and ``my_place``.

        My place is counted from the first; it is the number of candidates when I am not in the list.
        """
        raise NotImplementedError

    def listed(self, scope: Scope, place: str) -> str:
        """An expression for the slot of the one at a place of the list."""
        raise NotImplementedError

    def visit_lanes(self, code: Code, scope: Scope, body: GatherBody) -> bool:
        """Emit one agent's whole gather on lanes, its totals left in local variables; return whether there is one."""
        return False

    def prepare(self, code: Code, scope: Scope) -> None:
        """Emit what is done once per phase and step, before any agent looks."""

    def look_ahead(self, code: Code, scope: Scope) -> bool:
        """Emit what is found out for each agent in a loop of its own, before anybody looks; return whether it is.

        Only where agents look at once. It is done for every slot, ``me`` and ``me_id``: straight arithmetic, which is
        done for eight at once, and no branches.
        """
        return False

    def scratch(self, code: Code, scope: Scope) -> None:
        """Emit the arrays that each thread needs of its own."""

    def visit(self, code: Code, scope: Scope, body: Body) -> None:
        """Emit the loop over the agents that ``me`` sees, in canonical order; ``body`` emits its inside.

        ``me``, ``me_id`` are set; the loop sets ``other`` (a slot). The body must not be left by ``break``.
        """
        raise NotImplementedError

    def moved(self, code: Code, scope: Scope) -> None:
        """Emit what must be known of new values before the next agent acts, in a phase that is not synchronous."""

    def commit(self, code: Code, scope: Scope, written: Mapping[tuple[str, str, int], str]) -> None:
        """Emit what keeps written values legal; ``written`` maps (population, field, component) to variables."""

    def looks_at(self) -> tuple[FieldReference, ...]:
        """The fields of others that it reads itself, to find out who is seen."""
        return ()

    def populations(self) -> tuple[Population, ...]:
        """The populations it joins."""
        return (self.source, self.target)


def resolve_number(value: Any, parameters: Mapping[str, Any], what: str) -> Any:
    """A number given as itself, as a parameter's name, or as a function of the parameters."""
    if isinstance(value, str):
        if value not in parameters:
            raise ScenarioError(f"{what}={value!r}: there is no parameter {value!r}{nearest(value, parameters)}")
        return parameters[value]
    if callable(value):
        return value(_Namespace(parameters))
    return value


class _Namespace:
    """Parameters as attributes."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self.__dict__.update(parameters)

    def __getattr__(self, name: str) -> Any:
        raise ScenarioError(f"there is no parameter {name!r}{nearest(name, self.__dict__)}")
