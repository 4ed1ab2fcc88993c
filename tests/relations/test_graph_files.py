from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import networkx
import numpy as np
import pytest

import simengine
from simengine import InputError, Network, Scenario, field, gather, graphs, observable, param, population, total, update


@observable
def mean_opinion(agents: Any) -> float:
    """Mean opinion."""
    return float(agents.opinion.mean())


class Circle(Scenario):
    """Agents take over the weighted mean of those they know."""

    n_agents: int = param(10, low=1)
    agents = population(size="n_agents", opinion=field())
    acquaintances = Network(agents, weight=field(default=1.0))

    def start(self, agents: Any, draw: Any) -> None:
        agents.opinion[:] = np.arange(self.n_agents)

    @gather(acquaintances, pull=total(), weight=total())
    def listen(me, other, edge, agents, acc):
        acc.pull += edge.weight * agents.opinion[other]
        acc.weight += edge.weight

    @update(agents, after=listen)
    def move(me, new, acc):
        if acc.weight > 0.0:
            new.opinion[me] = acc.pull / acc.weight

    observe = [mean_opinion]


TEXTS = {
    "plain.txt": "# friends\n0 1 0.5\n1 2 2.0\n\n2 3 1\n",
    "comma.csv": "source,target,weight\n0,1,0.5\n1,2,2.0\n2,3,1\n",
    "tab.tsv": "0\t1\t0.5\n1\t2\t2\n2\t3\t1\n",
    "named.edges": "ann bob 0.5\nbob cy 2\ncy dan 1\n",
}


@pytest.mark.parametrize("name", TEXTS)
def test_an_edge_list_is_read_in_every_usual_form(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(TEXTS[name])
    found = graphs.read(tmp_path / name)
    assert (found.source.tolist(), found.target.tolist()) == ([0, 1, 2], [1, 2, 3])
    assert found.fields["weight"].tolist() == [0.5, 2.0, 1.0]
    assert found.labels == (("ann", "bob", "cy", "dan") if name == "named.edges" else (0, 1, 2, 3))


def test_names_that_are_numbers_come_in_their_order_wherever_they_stand(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("30 4\n4 100\n")
    found = graphs.read(tmp_path / "a.txt")
    assert found.labels == (4, 30, 100)
    assert (found.source.tolist(), found.target.tolist()) == ([1, 0], [0, 2])


@pytest.mark.parametrize("suffix", [".graphml", ".gml", ".graphml.gz"])
def test_files_of_networkx_give_its_graph(suffix: str, tmp_path: Path) -> None:
    graph = networkx.karate_club_graph()
    path = tmp_path / f"karate{suffix}"
    (networkx.write_gml if suffix == ".gml" else networkx.write_graphml)(graph, path)
    found = graphs.read(path)
    ends = {
        (min(e), max(e)): w
        for *e, w in zip(found.source.tolist(), found.target.tolist(), found.fields["weight"], strict=True)
    }
    assert ends == {(min(e), max(e)): w for *e, w in graph.edges(data="weight")}
    assert found.directed is False


def test_a_run_takes_its_network_and_its_number_of_agents_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "friends.csv.gz"
    with gzip.open(path, "wt") as file:
        file.write(TEXTS["comma.csv"])
    out = tmp_path / "run.nc"
    run = simengine.run(Circle, start={"acquaintances": path}, steps=3, out=out, progress=False)
    assert run.attrs["parameter_n_agents"] == 4
    same = simengine.run(
        Circle, n_agents=4, start={"acquaintances": {"source": [0, 1, 2], "target": [1, 2, 3], "weight": [0.5, 2, 1]}},
        steps=3, progress=False,
    )  # fmt: skip
    np.testing.assert_array_equal(run.mean_opinion, same.mean_opinion)
    run.close()
    path.unlink()
    assert simengine.rerun(out)


def test_a_directed_file_does_for_no_undirected_network(tmp_path: Path) -> None:
    path = tmp_path / "a.graphml"
    networkx.write_graphml(networkx.DiGraph([(0, 1)]), path)
    with pytest.raises(InputError, match="start: acquaintances is directed; an undirected graph is expected"):
        simengine.run(Circle, start={"acquaintances": path}, steps=1, progress=False)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.png", "", "'a.png' is not known as a file of a graph"),
        ("a.grapml", "", "did you mean '.graphml'?"),
        ("a.txt", "0 1\n2\n", "a.txt, line 2: 1 columns in place of 2"),
        ("a.txt", "0 1 2\n0 2 heavy\n", "a.txt, line 2: 'heavy' is no number"),
        ("a.txt", "1 2\n2 3 9\n", "a.txt, line 2: 3 columns in place of 2"),
        ("a.csv", "u,v\n1,2\n2,3\n", "a.csv begins with 'u v' and goes on with numbers; a heading begins with source"),
        ("a.txt", "alone\n", "a.txt, line 1: 'alone' is no edge, which has two ends"),
        ("a.graphml", "<graphml", "a.graphml holds no graph in graphml"),
        ("a.gml", "graph [ node ", "a.gml holds no graph in gml"),
        ("a.txt.gz", "not compressed", "a.txt.gz cannot be read"),
    ],
)
def test_a_file_that_holds_no_graph_is_told_in_one_line(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as caught:
        graphs.read(tmp_path / name)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_a_spreadsheet_puts_before_a_text_is_no_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for text in ("source,target\n1,2\n", "1,2\n"):
        path.write_text(text, encoding="utf-8-sig")
        assert graphs.read(path).labels == (1, 2)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("text", ["", "# nobody\n", "source,target,weight\n"])
def test_a_text_without_edges_is_a_graph_without_edges(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)
    found = graphs.read(tmp_path / "a.csv")
    assert (len(found), found.labels) == (0, ())


@pytest.mark.parametrize(
    ("text", "message"),
    [("10 11\n12 12\n", "joins agent 12 to itself"), ("ann bob\nann bob\n", "holds the edge ann-bob twice")],
)
def test_what_is_wrong_with_a_file_is_told_by_its_names(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        simengine.run(Circle, start={"acquaintances": tmp_path / "a.txt"}, steps=1, progress=False)


def test_a_missing_file_is_told_with_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "friends.csv").write_text("0,1\n")
    with pytest.raises(InputError, match=r"did you mean 'friends.csv'"):
        simengine.run(Circle, start={"acquaintances": str(tmp_path / "freinds.csv")}, steps=1, progress=False)


def test_a_text_names_the_network_and_the_file(tmp_path: Path) -> None:
    path = tmp_path / "friends.csv"
    path.write_text(TEXTS["comma.csv"])
    for start in (f"acquaintances={path}", tmp_path / "acquaintances=friends.csv"):
        run = simengine.run(Circle, start=start, steps=1, progress=False)
        assert run.attrs["parameter_n_agents"] == 4
    with pytest.raises(InputError, match=r"the graph friends.csv is for a network: acquaintances=friends.csv"):
        simengine.run(Circle, start=path, steps=1, progress=False)


def test_edges_without_a_weight_have_the_default_as_those_of_networkx(tmp_path: Path) -> None:
    graph = networkx.Graph([(0, 1, {"Weight": 2.5}), (1, 2)])
    for suffix, write in ((".graphml", networkx.write_graphml), (".gml", networkx.write_gml)):
        path = tmp_path / f"half{suffix}"
        write(graph, path)
        run = simengine.Simulation(Circle, start={"acquaintances": path}, progress=False)
        assert run.acquaintances.weight.tolist() == [2.5, 1.0]


def test_weights_that_are_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.graphml"
    networkx.write_graphml(networkx.Graph([(0, 1, {"weight": "strong"})]), path)
    with pytest.raises(InputError, match="weight of its edges is text; weight is a number"):
        simengine.run(Circle, start={"acquaintances": path}, steps=1, progress=False)


def test_a_graph_at_which_nothing_looks_is_refused(tmp_path: Path) -> None:
    (tmp_path / "friends.csv").write_text("0,1\n1,2\n")
    start = {"acquaintances": tmp_path / "friends.csv"}
    with pytest.raises(
        InputError, match=r"nothing looks at this network with these parameters; it needs contacts='network'"
    ):
        simengine.run("voter", start=start, steps=1, progress=False)
    assert (
        simengine.run("voter", start=start, contacts="network", steps=1, progress=False).attrs["parameter_n_agents"]
        == 3
    )
    with pytest.raises(InputError, match=r"Circle has no network 'acquaintance'; did you mean 'acquaintances'"):
        simengine.run(Circle, start="acquaintance=friends.csv", steps=1, progress=False)
