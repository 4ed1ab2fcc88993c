from __future__ import annotations

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from simengine import InputError, graphs


def graph_of(kind: str, n: int, seed: int = 0, **options: float) -> networkx.Graph:
    """The graph as networkx holds it, after checking that no edge comes twice and nobody is joined to itself."""
    edges = graphs.make(kind, n, seed, **options)
    graph = networkx.Graph()
    graph.add_nodes_from(range(n))
    graph.add_edges_from(zip(edges["source"].tolist(), edges["target"].tolist(), strict=True))
    assert graph.number_of_nodes() == n
    assert graph.number_of_edges() == len(edges["source"])
    assert networkx.number_of_selfloops(graph) == 0
    return graph


@pytest.mark.parametrize(
    ("kind", "n", "expected"),
    [
        ("complete", 7, networkx.complete_graph(7)),
        ("star", 7, networkx.star_graph(6)),
        ("ring", 9, networkx.circulant_graph(9, [1, 2])),
        ("lattice", 25, networkx.grid_2d_graph(5, 5, periodic=True)),
        ("karate_club", 34, networkx.karate_club_graph()),
    ],
)
def test_a_graph_without_chance_is_that_of_networkx(kind: str, n: int, expected: networkx.Graph) -> None:
    found = graph_of(kind, n, mean_degree=4)
    if kind in {"ring", "star", "complete", "karate_club"}:
        assert set(map(frozenset, found.edges)) == set(map(frozenset, expected.edges))
    assert networkx.is_isomorphic(found, expected)


@given(
    st.sampled_from(["random", "small_world", "scale_free", "regular"]),
    st.integers(13, 60),
    st.integers(1, 3),
    st.integers(0, 2**32),
)
@settings(max_examples=60, deadline=None)
def test_a_random_graph_is_simple_and_the_same_for_the_same_seed(kind: str, n: int, half: int, seed: int) -> None:
    one = graph_of(kind, n, seed, mean_degree=2 * half, rewiring=0.5)
    again = graphs.make(kind, n, seed, mean_degree=2 * half, rewiring=0.5)
    assert list(one.edges) == list(graph_of(kind, n, seed, mean_degree=2 * half, rewiring=0.5).edges)
    if kind == "small_world":
        assert len(again["source"]) == n * half
    if kind == "regular":
        assert set(dict(one.degree).values()) == {2 * half}
    if kind == "scale_free":
        assert networkx.is_connected(one)
        assert len(again["source"]) == half * (n - half)


@given(st.integers(4, 30), st.integers(0, 29))
@settings(max_examples=60, deadline=None)
def test_regular_graphs_exist_for_all_degrees_for_which_they_can(n: int, degree: int) -> None:
    if degree < n and n * degree % 2 == 0:
        assert set(dict(graph_of("regular", n, mean_degree=degree).degree).values()) == {degree}
    else:
        with pytest.raises(InputError, match="a regular graph has a whole mean_degree below n"):
            graphs.make("regular", n, mean_degree=degree)


def test_every_pair_is_joined_as_often_in_a_random_graph() -> None:
    # Chi-squared test of 10 pairs over 4,000 graphs, fixed seeds, error rate 1e-3; dense graphs take another way.
    for mean_degree in (1.0, 3.0):
        joined = np.zeros((5, 5), int)
        for seed in range(4000):
            edges = graphs.make("random", 5, seed, mean_degree=mean_degree)
            assert (edges["source"] < edges["target"]).all()
            joined[edges["source"], edges["target"]] += 1
        counts = joined[np.triu_indices(5, 1)]
        expected = 4000 * mean_degree / 4
        assert (
            chisquare(
                np.stack([counts, 4000 - counts]).T.ravel(), np.tile([expected, 4000 - expected], 10), ddof=9
            ).pvalue
            > 1e-3
        )


def test_degrees_of_a_scale_free_graph_fall_off_as_in_networks_that_grow() -> None:
    # For m edges a newcomer, P(k) = 2 m (m + 1) / (k (k + 1) (k + 2)); n = 40,000 nodes: within 5 standard errors
    # and the finite-size difference of 1 % (two-sided error rate 1e-6 a degree, fixed seed).
    m, n = 3, 40_000
    degree = np.bincount(np.concatenate(list(graphs.make("scale_free", n, 1, mean_degree=2 * m).values())), minlength=n)
    for k in (3, 4, 5, 8, 12):
        share = 2 * m * (m + 1) / (k * (k + 1) * (k + 2))
        assert abs((degree == k).mean() - share) < 5 * np.sqrt(share / n) + 0.01 * share


def test_rewiring_moves_the_expected_share_of_edges() -> None:
    n, rewiring = 5000, 0.2
    near = {frozenset(edge) for edge in networkx.circulant_graph(n, [1, 2, 3]).edges}
    moved = sum(
        frozenset(edge) not in near for edge in graph_of("small_world", n, 3, mean_degree=6, rewiring=rewiring).edges
    )
    # Binomial, five standard errors: error rate 6e-7, fixed seed.
    assert abs(moved / (3 * n) - rewiring) < 5 * np.sqrt(rewiring * (1 - rewiring) / (3 * n))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "smallworld", "n": 10}, "there is no graph 'smallworld'; did you mean 'small_world'?"),
        ({"kind": "ring", "n": 0}, "a graph has at least 1 node, not 0"),
        ({"kind": "lattice", "n": 50}, "square number of nodes from 9 on, such as 49 or 64: not 50"),
        ({"kind": "ring", "n": 10, "mean_degree": 3.0}, "ring takes an even mean_degree from 2 to n - 1 = 9, not 3"),
        ({"kind": "random", "n": 10, "mean_degree": 12.0}, "at most n - 1 = 9 in a graph of 10 nodes, not 12"),
        ({"kind": "random", "n": 10, "mean_degree": float("nan")}, "mean_degree is a number of neighbours, not nan"),
        ({"kind": "small_world", "n": 10, "rewiring": 2.0}, "rewiring is a share from 0 to 1, not 2"),
        ({"kind": "small_world", "n": 5}, "small_world takes an even mean_degree from 2 to n - 1 = 4, not 10"),
        ({"kind": "star", "n": 10.5}, "n is a whole number, not 10.5"),
        ({"kind": "star", "n": 10, "seed": -1}, "a seed is a whole number from 0, not -1"),
        ({"kind": "random", "n": 10, "mean_degree": "few"}, "mean_degree is a number, not 'few'"),
        ({"kind": "karate_club", "n": 35}, "the karate club has 34 members, not 35"),
        ({"kind": "complete", "n": 10**6}, "complete with 1000000 nodes has about 5e\\+11 edges"),
    ],
)
def test_what_cannot_be_a_graph_is_told_in_one_line(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        graphs.make(**arguments)
    assert "\n" not in str(caught.value)


def test_edges_both_ways_are_there_and_back_with_the_same_values() -> None:
    found = graphs.both_ways({"source": [0, 1], "target": [1, 2], "weight": [0.5, 2.0]})
    pairs = zip(found["source"].tolist(), found["target"].tolist(), strict=True)
    assert dict(zip(pairs, found["weight"].tolist(), strict=True)) == {
        (0, 1): 0.5, (1, 2): 2.0, (1, 0): 0.5, (2, 1): 2.0
    }  # fmt: skip
    once = graphs.make("small_world", 20, 1, mean_degree=4)
    graph = networkx.Graph(zip(*once.values(), strict=True)).to_directed()
    assert set(zip(*graphs.both_ways(once).values(), strict=True)) == set(graph.edges)
    assert len(graphs.both_ways({"source": (), "target": ()})["source"]) == 0
