"""Network: agents joined by the edges of a graph, which are state and may be rewired."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from simengine.errors import ScenarioError, nearest
from simengine.relations.base import Body, Code, Relation, Scope
from simengine.scenario.population import Field, Population

WAYS = ("out", "in", "both")
Way = Literal["out", "in", "both"]


@dataclass(frozen=True)
class EdgeReference:
    """A field of a network's edges, as named in a declaration: ``friends.weight``."""

    network: Network
    field: Field

    def __str__(self) -> str:
        return f"{self.network.name}.{self.field.name}"


class Neighbours(Relation):
    """Each agent sees those that edges of a network join it to, by ascending id."""

    network: Network
    way: Way

    def visit(self, code: Code, scope: Scope, body: Body) -> None:
        """Visit the neighbours, by ascending id."""
        starts, seen = scope.edges(self.network, f"{self.way}_starts"), scope.edges(self.network, f"{self.way}_seen")
        # Of their own type: unsigned numbers and numbers with a sign make floats when they are added.
        code.line("row = np.int64(me)")
        # Unsigned, because numba lets signed indices count from the end, which costs a comparison for each.
        with code.block(f"for place in range(np.uint64({starts}[row]), np.uint64({starts}[row + 1])):"):
            code.line(f"other = np.int64(np.uint32({seen}[place]))")
            if self.network.fields:
                # Fields of edges lie in the order in which neighbours are visited.
                code.line("edge = np.int64(place)")
            body()

    def has_list(self, scope: Scope) -> bool:
        """Neighbours are listed agent by agent."""
        return True

    def find_in_list(self, code: Code, scope: Scope) -> None:
        """Nobody is their own neighbour."""
        starts = scope.edges(self.network, f"{self.way}_starts")
        code.line("row = np.int64(me)")
        code.line(f"first_listed, candidates = np.int64({starts}[row]), np.int64({starts}[row + 1] - {starts}[row])")
        code.line("my_place = candidates")

    def listed(self, scope: Scope, place: str) -> str:
        """Neighbours by ascending id."""
        return f"np.int64(np.uint32({scope.edges(self.network, f'{self.way}_seen')}[{place}]))"


class UnknownEdgeFieldError(ScenarioError, AttributeError):
    """Edges have no field of that name."""


class Network(Neighbours):
    """Each agent sees those that an edge joins it to: ``friends = Network(agents, graph="friendships")``.

    Nobody sees itself, and no two edges join the same agents (in the same direction). A phase declared with `rewire`
    drops and adds edges.

    Parameters
    ----------
    source
        The agents: the graph's nodes, by id from 0. Of fixed size: nobody is born or dies.
    graph
        Where the edges come from: the name of a method of the scenario, or a function. It is called once, after
        ``start``, with what it asks for by name (``self`` or ``p``, populations, ``draw``), and returns a networkx
        graph whose nodes are 0 to n - 1, an edge list of shape (edges, 2), a dict of ``source``, ``target`` and edge
        fields, a scipy.sparse matrix, or ``(indptr, indices)``. It makes the same graph for the same seed when it
        draws from ``draw`` alone: ``networkx.watts_strogatz_graph(n, k, p, seed=draw.seed_for("graph"))``. Edges
        given to a run (``start={"friends": edges}``) take its place, and are kept in the run's file. Without it and
        without those there are no edges at the start.
    directed
        Whether an edge from one agent to another is another edge than the one back.
    sees
        Of a directed network: whether ``me`` sees those whom its edges lead ``"out"`` to (the default; who reads
        the edge a-b as "a follows b" lets followers see), those from whom they come ``"in"``, or ``"both"``, each of
        them once (by the edge from me where there are two). `reverse` is the same network seen the other way.
    **fields
        Values of each edge, ``weight=field()``: a gather reads them as ``edge.weight``, and `Random` draws by them,
        ``Random(agents, within=friends, weight=friends.weight)``.
    """

    def __init__(
        self,
        source: Population,
        *,
        graph: str | Callable[..., Any] | None = None,
        directed: bool = False,
        sees: Way | None = None,
        **fields: Any,
    ) -> None:
        self.fields: dict[str, Field] = {}
        if not isinstance(source, Population):
            raise ScenarioError(f"Network() takes a population, as in Network(agents, ...), not {source!r:.60}")
        if source.dynamic:
            raise ScenarioError(
                "Network(): its agents are born and die (capacity=); a network joins agents of a fixed population"
            )
        if not (graph is None or isinstance(graph, str) or callable(graph)):
            raise ScenarioError(
                "Network(graph=...): the name of a method of the scenario that returns the graph, or a function; "
                f"not a {type(graph).__name__}"
            )
        if sees is not None and sees not in WAYS:
            raise ScenarioError(f"Network(sees=...): one of {', '.join(WAYS)}, not {sees!r}{nearest(str(sees), WAYS)}")
        if sees is not None and not directed:
            raise ScenarioError("Network(sees=...): in an undirected network both ends see one another")
        for name, declared in fields.items():
            if not isinstance(declared, Field):
                raise ScenarioError(f"Network(): {name} is no argument; declare a value of edges with {name}=field()")
            if declared.dtype is bool or declared.components or declared.names_agents:
                raise ScenarioError(f"Network({name}=...): a value of edges is field(float) or field(int)")
            if hasattr(type(self), name) or name in {"source", "target", "network", "way", "fields", "graph", "count"}:
                raise ScenarioError(f"Network({name}=...): the name is taken by the network itself; choose another")
            self.fields[name] = replace(declared, name=name)
        self.source = self.target = source
        self.graph, self.directed = graph, bool(directed)
        self.way: Way = (sees or "out") if directed else "both"
        self.network = self
        self.gives = frozenset({"edge"}) if fields else frozenset()

    def __getattr__(self, name: str) -> EdgeReference:
        if name.startswith("__"):
            raise AttributeError(name)
        fields = self.__dict__.get("fields", {})
        if name in fields:
            return EdgeReference(self, fields[name])
        raise UnknownEdgeFieldError(
            f"network {self.__dict__.get('name', '') or '(unnamed)'} has no edge field {name!r}{nearest(name, fields)}"
        )

    def row(self, name: str) -> int:
        """The row of an edge field in the table of all edge fields of its type."""
        return [n for n, f in self.fields.items() if f.dtype is self.fields[name].dtype].index(name)

    def reverse(self) -> Reversed:
        """Return the relation over the same edges in which everybody sees those who see it here."""
        if self.way == "both":
            raise ScenarioError("reverse(): both ends of an edge see one another here already")
        return Reversed(self)

    def check(self, scenario: type) -> None:
        """Refuse a graph that is no method of the scenario."""
        if not isinstance(self.graph, str):
            return
        if not inspect.isfunction(inspect.getattr_static(scenario, self.graph, None)):
            methods = [name for name, _ in inspect.getmembers(scenario, inspect.isfunction)]
            raise ScenarioError(
                f"{scenario.__name__}.{self.name}: graph= names no method {self.graph!r} of the scenario"
                f"{nearest(self.graph, methods)}"
            )


class Reversed(Neighbours):
    """A directed network seen the other way round; made by `Network.reverse`."""

    def __init__(self, network: Network) -> None:
        self.network, self.source, self.target = network, network.source, network.target
        self.way: Way = "in" if network.way == "out" else "out"
        self.gives = network.gives


def neighbours_of(relation: Relation) -> Neighbours | None:
    """The network, and the way, in which a relation, or the inner one of a composition, looks."""
    inner: Relation | None = relation
    while inner is not None:
        if isinstance(inner, Neighbours):
            return inner
        inner = getattr(inner, "within", None)
    return None


def network_of(relation: Relation) -> Network | None:
    """The network that a relation, or the inner one of a composition, looks over."""
    found = neighbours_of(relation)
    return None if found is None else found.network
