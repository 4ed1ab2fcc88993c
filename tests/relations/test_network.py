"""Networks: who sees whom, whatever the storage, the threads and the form in which the graph was given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import networkx
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import assert_engine_agrees

import simengine
from simengine import (
    InputError,
    Network,
    Random,
    Scenario,
    count,
    events,
    field,
    gather,
    param,
    population,
    rewire,
    running,
    send,
    summed,
    total,
    update,
)
from simengine.runs.engine import Engine


def village(directed: bool, sees: Any = None, order: Any = "synchronous") -> type[Scenario]:
    """People who listen, draw among those they know, give to them, and change whom they know."""

    class Village(Scenario):
        n_people: int = param(10, low=0)
        ties: float = param(0.3, low=0, high=1)
        change: float = param(0.5, low=0, high=1)

        people = population(size="n_people", mark=field(int), opinion=field(), code=field(int), sum=field())
        friends = Network(
            people, graph="wire", directed=directed, sees=sees, trust=field(default=0.5), since=field(int, default=-7)
        )
        known = Random(people, k=2, within=friends)
        trusted = Random(people, k=2, within=friends, weight=friends.trust)
        anybody = Random(people, k=2)

        def start(self, people: Any, draw: Any) -> None:
            people.mark[:] = draw.integer("mark", 1, 1_000_000)
            people.opinion[:] = draw.uniform("opinion")

        def wire(self, people: Any, draw: Any) -> Any:
            first, second = np.triu_indices(len(people), 1)
            if directed:
                first, second = np.concatenate([first, second]), np.concatenate([second, first])
            generator = np.random.default_rng(draw.seed_for("ties"))
            kept = generator.uniform(size=len(first)) < self.ties
            order = generator.permutation(kept.sum())
            return {
                "source": first[kept][order], "target": second[kept][order], "trust": generator.uniform(size=kept.sum())
            }  # fmt: skip

        @gather(friends, s=total(), c=count(), r=running(0), latest=running(-9))
        def listen(me, other, edge, people, acc, draw):
            acc.s += edge.trust * people.opinion[other]
            acc.c += 1
            acc.r = acc.r * 31 + people.mark[other] + edge.since
            if draw.uniform("heard", between=other) < 0.7:
                acc.latest = other

        @gather(known, rk=running(0), friend=running(-1))
        def meet(me, other, edge, people, acc):
            acc.rk = acc.rk * 31 + people.mark[other] + edge.since
            acc.friend = other

        @gather(trusted, rt=running(0))
        def confide(me, other, people, acc):
            acc.rt = acc.rt * 31 + people.mark[other]

        @gather(anybody, stranger=running(-1), second=running(-1))
        def stroll(me, other, acc):
            acc.second = acc.stranger
            acc.stranger = other

        @update(people, after=(listen, meet, confide), order=order)
        def live(me, people, new, acc):
            new.code[me] = 37 * people.code[me] + acc.r + 3 * acc.rk + 5 * acc.rt + 11 * acc.c
            if acc.c > 0:
                new.opinion[me] = 0.5 * people.opinion[me] + 0.5 * acc.s / acc.c

        @send(people, to=people, after=meet, got=summed(int))
        def give(me, people, acc, send):
            send.got(acc.friend, people.mark[me])

        @rewire(friends, after=(listen, meet, stroll))
        def change_ties(me, people, acc, p, step, draw, edges):
            if draw.uniform("change") < p.change:
                edges.drop(me, acc.friend)
                edges.add(me, acc.stranger, trust=draw.uniform("trust"))
            if draw.uniform("introduce") < p.change and acc.latest >= 0 and acc.latest != acc.stranger:
                edges.add(acc.latest, acc.stranger, since=step)
            elif acc.second >= 0:
                edges.add(acc.second, me, since=step, trust=2)
                edges.drop(acc.second, acc.latest)

        @gather(friends, after=count())
        def look_again(me, other, acc):
            acc.after += 1

        @update(people, after=look_again)
        def note(me, people, new, acc):
            new.sum[me] = people.sum[me] + acc.after + people.got[me] % 97

    return Village


VILLAGES: dict[str, tuple[Any, ...]] = {
    "both, by events": (True, "both", events(7)),
    "undirected": (False,),
    "out": (True,),
    "in": (True, "in"),
    "undirected, in turn": (False, None, "shuffled"),
}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.slow] if n else []) for n, kind in enumerate(VILLAGES)]
)
def test_networks_step_as_the_reference_does(kind: str) -> None:
    scenario = village(*VILLAGES[kind])

    @given(
        n=st.integers(0, 12), seed=st.integers(0, 2**64 - 1), ties=st.sampled_from([0.0, 0.2, 0.6, 1.0]),
        change=st.sampled_from([0.0, 0.3, 1.0]), steps=st.integers(0, 5),
    )  # fmt: skip
    @settings(max_examples=15)
    def agrees(n: int, seed: int, ties: float, change: float, steps: int) -> None:
        assert_engine_agrees(scenario, seed, steps, n_people=n, ties=ties, change=change)

    agrees()


def both_directions(sees: str) -> type[Scenario]:
    class Follows(Scenario):
        n_agents: int = param(8, low=1)
        agents = population(size="n_agents", out=field(int), back=field(int), drawn=field(int))
        follows = Network(agents, graph="wire", directed=True, sees=sees, weight=field())
        followers = follows.reverse()
        one_follower = Random(agents, k=1, within=followers, weight=follows.weight)

        def wire(self, draw: Any) -> Any:
            graph = networkx.gnp_random_graph(self.n_agents, 0.4, seed=draw.seed_for("wire"), directed=True)
            for number, (_, _, values) in enumerate(sorted(graph.edges(data=True))):
                values["weight"] = 1.0 + number
            return graph

        @gather(follows, one=running(0))
        def look(me, other, edge, acc):
            acc.one = 31 * acc.one + other + int(edge.weight)

        @gather(followers, two=running(0))
        def turn(me, other, edge, acc):
            acc.two = 31 * acc.two + other + int(edge.weight)

        @gather(one_follower, three=running(-1))
        def draw_one(me, other, acc):
            acc.three = other

        @update(agents, after=(look, turn, draw_one))
        def keep(me, new, acc):
            new.out[me], new.back[me] = acc.one, acc.two
            new.drawn[me] = acc.three

        @rewire(follows, after=draw_one)
        def drop(me, acc, edges):
            edges.drop(acc.three, me)
            edges.drop(me, acc.three)

    return Follows


@pytest.mark.parametrize("sees", ["in", pytest.param("out", marks=pytest.mark.slow)])
def test_a_directed_network_is_seen_from_both_sides(sees: str) -> None:
    scenario = both_directions(sees)
    for seed in range(3):
        world, _ = assert_engine_agrees(scenario, seed, 3)
    agents = world.rows["agents"].fields
    assert (agents["out"] != agents["back"]).any()


ARROWS = [(0, 1), (0, 2), (2, 1), (1, 0)]


def arrows() -> Any:
    return ARROWS


class ThreeWays(Scenario):
    """The same edges, seen in three ways; everybody adds up 2**id of those it sees, later ones ten times as much."""

    agents = population(size=3, outward=field(int), inward=field(int), around=field(int))
    follows = Network(agents, graph=arrows, directed=True)
    followers = Network(agents, graph=arrows, directed=True, sees="in")
    both = Network(agents, graph=arrows, directed=True, sees="both")

    @gather(follows, one=running(0))
    def look(me, other, acc):
        acc.one = 10 * acc.one + 2**other

    @gather(followers, two=running(0))
    def turn(me, other, acc):
        acc.two = 10 * acc.two + 2**other

    @gather(both, three=running(0))
    def spin(me, other, acc):
        acc.three = 10 * acc.three + 2**other

    @update(agents, after=(look, turn, spin))
    def note(me, new, acc):
        new.outward[me], new.inward[me], new.around[me] = acc.one, acc.two, acc.three


def test_out_is_whom_my_edges_lead_to_and_in_whence_they_come() -> None:
    engine = Engine(ThreeWays(), 1, 1)
    engine.advance(1)
    found = {name: engine.state["agents"].values(name).tolist() for name in ("outward", "inward", "around")}
    assert found == {"outward": [24, 1, 2], "inward": [2, 14, 1], "around": [24, 14, 12]}


def seeing(graph: Any, number: int, **options: Any) -> type[Scenario]:
    """A scenario in which everybody notes whom it sees, in their order."""

    def given_graph() -> Any:
        return graph() if isinstance(graph, Callable) else graph  # type: ignore[arg-type]

    class Seeing(Scenario):
        n_agents: int = param(number, low=0)
        agents = population(size="n_agents", seen=field(int, default=0), degree=field(int), weight=field())
        near = Network(agents, graph=given_graph, **options)
        if options.get("weight"):

            @gather(near, w=running(0.0))
            def weigh(me, other, edge, acc):
                acc.w = 0.5 * acc.w + edge.weight

            @update(agents, after=weigh)
            def note_weight(me, new, acc):
                new.weight[me] = acc.w

        @gather(near, order=running(0), n=count())
        def look(me, other, acc, p):
            acc.order = acc.order * 100 + other + 1
            acc.n += 1

        @update(agents, after=look)
        def note(me, new, acc):
            new.seen[me], new.degree[me] = acc.order, acc.n

    return Seeing


def heard(scenario: type[Scenario], threads: int = 1) -> list[list[int]]:
    engine = Engine(scenario(), 1, threads)
    engine.advance(1)
    found = []
    for code in engine.state["agents"].values("seen"):
        listed = []
        while code:
            code, other = divmod(int(code), 100)
            listed.insert(0, other - 1)
        found.append(listed)
    return found


GRAPHS: dict[str, networkx.Graph] = {
    "ring": networkx.cycle_graph(7),
    "star": networkx.star_graph(6),
    "grid": networkx.convert_node_labels_to_integers(networkx.grid_2d_graph(3, 3), ordering="sorted"),
    "tree": networkx.balanced_tree(2, 2),
    "random": networkx.gnp_random_graph(9, 0.4, seed=3),
    "isolated": networkx.empty_graph(5),
    "directed": networkx.gnp_random_graph(8, 0.4, seed=4, directed=True),
}


def forms(graph: networkx.Graph) -> dict[str, Any]:
    """One graph in every form that is understood."""
    ends = np.array(graph.edges, np.int64).reshape(-1, 2)
    matrix = networkx.to_scipy_sparse_array(graph, nodelist=range(len(graph)), weight=None, format="csr")
    shuffled = np.random.default_rng(1).permutation(len(ends))
    return {
        "networkx": graph,
        "edge list": ends[shuffled],
        "list of pairs": [tuple(map(int, pair)) for pair in ends],
        "ends": {"source": ends[:, 0], "target": ends[:, 1]},
        "matrix": matrix,
        "coordinates": scipy.sparse.coo_matrix(matrix),
        "rows": (matrix.indptr, matrix.indices),
    }


@pytest.mark.parametrize("called", GRAPHS)
def test_everybody_sees_its_networkx_neighbours_by_ascending_id_whatever_the_form(called: str) -> None:
    graph = GRAPHS[called]
    directed = graph.is_directed()
    expected = [sorted(graph.neighbors(node)) for node in range(len(graph))]
    given_as: Any = None
    scenario = seeing(lambda: given_as, len(graph), directed=directed)
    for form, value in forms(graph).items():
        given_as = value
        assert heard(scenario) == expected, form


def test_a_graph_without_directions_is_both_ways_in_a_directed_network() -> None:
    graph = GRAPHS["tree"]
    scenario = seeing(graph, len(graph), directed=True)
    assert heard(scenario) == [sorted(graph.neighbors(node)) for node in range(len(graph))]


def test_weights_come_from_attributes_of_edges_from_matrices_and_from_arrays() -> None:
    graph = networkx.gnp_random_graph(9, 0.5, seed=8)
    for number, (_, _, values) in enumerate(graph.edges(data=True)):
        if number % 3:
            values["weight"] = float(number)
    filled = networkx.Graph()
    filled.add_nodes_from(range(9))
    filled.add_edges_from((a, b, {"weight": values.get("weight", 1.5)}) for a, b, values in graph.edges(data=True))
    ends = np.array(filled.edges, np.int64)
    weight = np.array([values for _, _, values in filled.edges(data="weight")])
    matrix = networkx.to_scipy_sparse_array(filled, nodelist=range(9))
    results = []
    given_as: Any = None
    scenario = seeing(lambda: given_as, 9, weight=field(default=1.5))
    for form in (graph, filled, matrix, {"source": ends[:, 1], "target": ends[:, 0], "weight": weight}):
        given_as = form
        engine = Engine(scenario(), 0, 1)
        engine.advance(1)
        results.append(engine.state["agents"].values("weight").copy())
        np.testing.assert_array_equal(engine.state.networks["near"].values("weight"), weight)
    expected = []
    for node in range(9):
        total_weight = 0.0
        for other in sorted(filled.neighbors(node)):
            total_weight = 0.5 * total_weight + filled.edges[node, other]["weight"]
        expected.append(total_weight)
    for found in results:
        np.testing.assert_array_equal(found, expected)


REFUSED_GRAPHS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "nothing": (None, {}, "is nothing; it is a networkx graph"),
    "kind": ("ring", {}, r"is the name of a kind of graph; graphs.make\('ring', n, seed\) makes one"),
    "text": ("rings", {}, r"'rings' is not known as a file of a graph"),
    "out of bounds": (
        {"source": [0], "target": [1], "w": [-2]}, {"w": field(low=0)}, "w of edge 0 is -2; allowed is 0 <= value"
    ),
    "a number": (3, {}, "is a int; it is a networkx graph"),
    "triples": ([(0, 1, 2)], {}, r"array of shape \(1, 3\)"),
    "ragged": ([(0, 1), (2,)], {}, "is no graph"),
    "words": ([("a", "b")], {}, "names agents by ids"),
    "fractions": ([(0.5, 1.0)], {}, "names agents by ids"),
    "negative": ([(0, -1)], {}, "names agent -1; ids are whole numbers from 0"),
    "beyond": ([(0, 4)], {}, "names agent 4, which is no id of agents: ids are 0 to 3"),
    "itself": ([(0, 1), (2, 2)], {}, "joins agent 2 to itself"),
    "twice": ([(0, 1), (2, 3), (0, 1)], {}, "holds the edge 0-1 twice"),
    "twice the other way": ([(3, 2), (0, 1), (3, 2)], {}, "holds the edge 3-2 twice"),
    "twice, directed": ([(3, 2), (2, 3), (3, 2)], {"directed": True}, "holds the edge 3-2 twice"),
    "two values": (
        {"source": [0, 1], "target": [1, 0], "w": [1.0, 2.0]}, {"w": field()},
        "gives the undirected edge 0-1 two values of w",
    ),
    "labels": (networkx.relabel_nodes(networkx.path_graph(4), str), {}, "its nodes are not called 0 to 3"),
    "too few nodes": (networkx.path_graph(3), {}, "has 3 nodes, but there are 4 agents"),
    "a directed graph": (networkx.path_graph(4, create_using=networkx.DiGraph), {}, "is directed; declare"),
    "parallel edges": (networkx.MultiGraph([(0, 1), (0, 1), (2, 3)]), {}, "holds the edge 0-1 twice"),
    "no square": (scipy.sparse.coo_matrix((3, 4)), {}, r"square, not of shape \(3, 4\)"),
    "too many values": (scipy.sparse.eye(4), {"a": field(), "b": field()}, "give a dict of a, b"),
    "no rows": ((np.array([0, 2, 1]), np.array([1])), {}, "rises from 0 to the length of indices"),
    "unknown part": ({"source": [0], "target": [1], "wieght": [1]}, {"weight": field()}, "did you mean 'weight'"),
    "one end": ({"source": [0]}, {}, "has no 'target'"),
    "uneven ends": ({"source": [0, 1], "target": [1]}, {}, "has 2 sources and 1 targets"),
    "short values": ({"source": [0], "target": [1], "w": [1, 2]}, {"w": field()}, r"w has shape \(2,\), expected"),
    "no number": ({"source": [0], "target": [1], "w": [np.nan]}, {"w": field()}, "w of edge 0 is nan; it holds finite"),
    "no whole number": ({"source": [0], "target": [1], "w": [0.5]}, {"w": field(int)}, "it holds whole numbers"),
    "no values": ({"source": [0], "target": [1], "w": ["x"]}, {"w": field()}, "w is no array of numbers"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED_GRAPHS)
def test_what_is_no_graph_is_refused_in_one_line(case: str) -> None:
    graph, options, message = REFUSED_GRAPHS[case]
    scenario = seeing(lambda: graph, 4, **options)
    with pytest.raises(InputError, match=message) as caught:
        Engine(scenario(), 1, 1)
    assert str(caught.value).startswith("Seeing.near: the graph of given_graph()")
    assert "\n" not in str(caught.value)


def test_what_networkx_refuses_is_refused_with_its_words() -> None:
    class Odd(Scenario):
        n_agents: int = param(5, low=1)
        agents = population(size="n_agents", x=field())
        near = Network(agents, graph="wire")

        def wire(self, draw: Any) -> Any:
            return networkx.random_regular_graph(3, self.n_agents, seed=draw.seed_for("wire"))

    with pytest.raises(InputError, match=r"Odd.near: wire\(\): .*n \* d must be even"):
        simengine.run(Odd, steps=1)
