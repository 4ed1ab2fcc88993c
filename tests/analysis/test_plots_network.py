from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import networkx
import numpy as np
import pytest
import xarray as xr

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.colors import to_rgba

import simengine
from simengine.analysis.graphs import graph_of
from simengine.analysis.plots import colours, network
from simengine.analysis.plots.layouts import ALL_PAIRS_UP_TO, is_lattice, is_ring, places
from simengine.analysis.plots.network import Web, drawable
from simengine.errors import InputError
from simengine.relations import graphs


@pytest.fixture(autouse=True)
def nothing_left_open() -> Iterator[None]:
    before = dict(mpl.rcParams)
    yield
    assert dict(mpl.rcParams) == before
    plt.close("all")


@pytest.fixture(scope="module")
def club() -> xr.Dataset:
    """The voter model on the karate club."""
    return simengine.run(
        "voter", n_agents=34, contacts="network", graph="karate_club", steps=2, snapshot_every=1, seed=1, progress=False
    )


@pytest.fixture(scope="module")
def random_graph() -> xr.Dataset:
    return simengine.run(
        "voter", n_agents=60, contacts="network", graph="random", mean_degree=4.0, steps=1, snapshot_every=1, seed=3,
        progress=False,
    )  # fmt: skip


def edges_of(kind: str, n: int, **options: Any) -> tuple[Any, Any]:
    made = graphs.make(kind, n, 1, **options)
    return np.asarray(made["source"]), np.asarray(made["target"])


# -- the graph of a run ------------------------------------------------------------------------------------------------


def test_a_graph_that_was_drawn_is_made_again_from_the_file_alone(random_graph: xr.Dataset) -> None:
    with simengine.Simulation(
        "voter", n_agents=60, contacts="network", graph="random", mean_degree=4.0, seed=3, progress=False
    ) as simulation:
        expected = simulation.acquaintances.graph()
    found = graph_of(random_graph)
    assert set(found.edges) == set(expected.edges)
    assert found.graph == {"network": "acquaintances", "dim": "agent"}


def test_edges_that_were_given_are_those_of_the_graph() -> None:
    given = networkx.path_graph(5)
    run = simengine.run("voter", contacts="network", start={"acquaintances": given}, steps=1, seed=1, progress=False)
    assert set(graph_of(run).edges) == set(given.edges)
    without = run.drop_vars([name for name in run.variables if str(name).startswith("start_")])
    with pytest.raises(InputError, match="does not hold any more"):
        graph_of(without)


def test_a_start_that_is_another_now_is_refused(random_graph: xr.Dataset) -> None:
    other = random_graph.copy(deep=True)
    other.attrs["seed"] = 4
    with pytest.raises(InputError, match="starts otherwise now"):
        graph_of(other)


def test_runs_without_a_network_and_what_is_no_run_are_refused(club: xr.Dataset) -> None:
    with pytest.raises(InputError, match="has no attributes of a run"):
        graph_of(xr.Dataset())
    with pytest.raises(InputError, match="did you mean 'acquaintances'"):
        graph_of(club, "aquaintances")
    elsewhere = club.copy()
    elsewhere.attrs |= {"scenario": "Schooling", "scenario_module": "simengine.scenarios.schooling"}
    with pytest.raises(InputError):
        graph_of(elsewhere)


def test_the_text_of_a_scenario_is_not_run_unasked(club: xr.Dataset) -> None:
    foreign = club.copy()
    foreign.attrs |= {"scenario_module": "somewhere_else", "scenario_source": "raise SystemExit"}
    with pytest.raises(InputError, match="run_source=True"):
        graph_of(foreign)


def test_a_network_that_is_rewired_is_refused() -> None:
    class Restless(simengine.Scenario):
        """Agents that drop and add edges."""

        agents = simengine.population(size=4, mood=simengine.field())
        friends = simengine.Network(agents, graph="make_graph")

        def make_graph(self) -> Any:
            return networkx.path_graph(4)

        @simengine.rewire(friends)
        def change(me, agents, edges):  # type: ignore[no-untyped-def]
            edges.drop(me)

    attributes = {
        "scenario": "Restless",
        "seed": 1,
        "steps": 1,
        "every": 1,
        "snapshot_every": None,
        "start": "scenario",
    }
    with pytest.raises(InputError, match="friends is rewired while the run goes on"):
        graph_of(
            xr.Dataset(attrs={**attributes, "policies": "json:null", "interventions": "json:null"}), scenario=Restless
        )


# -- pictures ----------------------------------------------------------------------------------------------------------


def test_nodes_have_the_colours_of_their_opinions_and_a_legend(club: xr.Dataset) -> None:
    _, ax = plt.subplots()
    assert network(club, at=1, ax=ax) is ax
    web = Web(club)
    web.show(1)
    opinions = club.opinion.values[1][web.order]
    expected = [to_rgba(colours()[value]) for value in opinions]
    np.testing.assert_allclose(web.nodes.get_facecolor(), expected, atol=1e-6)
    legend: Any = ax.get_legend()
    assert legend.get_title().get_text() == "Opinion"
    assert [text.get_text() for text in legend.get_texts()] == ["0", "1"]
    assert ax.get_title(loc=mpl.rcParams["axes.titlelocation"]) == "t = 1"


def test_every_edge_is_drawn_once_between_its_nodes() -> None:
    graph = networkx.karate_club_graph()
    web = Web(graph)
    drawn = {frozenset(map(tuple, np.round(path.vertices, 9))) for path in web.edges.get_paths()}
    expected = {frozenset((tuple(np.round(web.place[a], 9)), tuple(np.round(web.place[b], 9)))) for a, b in graph.edges}
    assert drawn == expected


def test_hubs_are_larger() -> None:
    web = Web(networkx.star_graph(9))
    sizes = web.nodes.get_sizes()
    assert sizes[list(web.order).index(0)] == sizes.max() > sizes.min()


def test_booleans_say_yes_and_no_and_numbers_have_a_bar() -> None:
    graph = networkx.path_graph(12)
    ax: Any = network(graph, state=np.arange(12) < 5)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["no", "yes"]
    ax = network(graph, state=xr.DataArray(np.linspace(0, 1, 12), name="belief", attrs={"units": "bit"}))
    assert next(one for one in ax.figure.axes if one is not ax).get_ylabel() == "Belief (bit)"


def test_flags_of_a_run_are_told_in_words(club: xr.Dataset) -> None:
    ax: Any = network(club, state="stubborn")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["no"]


def test_runs_with_edges_are_drawable(club: xr.Dataset) -> None:
    assert drawable(club)
    assert not drawable(xr.Dataset())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"state": "opinon"}, "did you mean 'opinion'?"),
        ({"layout": "sprng"}, "did you mean 'spring'?"),
        ({"at": 7}, "at: got 7, allowed are whole numbers from -3 to 2"),
        ({"layout": {0: (0, 0)}}, "there is no place for node 1"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_a_line(club: xr.Dataset, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        network(club, **options)
    assert message in str(caught.value)


def test_states_of_another_size_and_things_that_are_no_graph_are_refused() -> None:
    with pytest.raises(InputError, match="one value for each of the 3 nodes"):
        network(networkx.path_graph(3), state=[1, 2])
    with pytest.raises(InputError, match="not every node has an attribute"):
        network(networkx.path_graph(3), state="age")
    with pytest.raises(InputError, match="not list"):
        network([1, 2])


# -- places ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nodes", [30, ALL_PAIRS_UP_TO + 80])
def test_the_same_graph_has_the_same_places_and_neighbours_are_near(nodes: int) -> None:
    ends = edges_of("small_world", nodes, mean_degree=4, rewiring=0.05)
    x = places(nodes, *ends, "spring")
    np.testing.assert_array_equal(x, places(nodes, *ends, "spring"))
    assert np.abs(x).max() <= 1.0 + 1e-12
    along = np.linalg.norm(x[ends[0]] - x[ends[1]], axis=1)
    shuffled = np.random.default_rng(1).permutation(ends[1])
    assert np.median(along) < 0.4 * np.median(np.linalg.norm(x[ends[0]] - x[shuffled], axis=1))


def test_lattices_are_tiles_and_rings_are_circles() -> None:
    lattice, ring = edges_of("lattice", 25), edges_of("ring", 40, mean_degree=4)
    assert is_lattice(25, *lattice)
    assert not is_lattice(40, *ring)
    assert is_ring(40, *ring)
    assert not is_ring(25, *edges_of("star", 25))
    np.testing.assert_allclose(np.linalg.norm(places(40, *ring), axis=1), 1.0)
    assert len(np.unique(np.round(places(25, *lattice)[:, 0], 9))) == 5


def test_pieces_of_a_graph_stay_together() -> None:
    x = places(40, np.arange(0, 40, 2), np.arange(1, 40, 2))
    along = np.linalg.norm(x[::2] - x[1::2], axis=1)
    assert along.max() < 0.5


@pytest.mark.parametrize("nodes", [0, 1])
def test_graphs_without_edges_have_places(nodes: int) -> None:
    none = np.empty(0, dtype=np.int64)
    assert places(nodes, none, none).shape == (nodes, 2)
