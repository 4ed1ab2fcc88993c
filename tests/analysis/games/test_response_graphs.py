from __future__ import annotations

import networkx as nx
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simengine.analysis.games import pure_equilibria, response_graph

RPS = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
PD = np.array([[3.0, 0.0], [5.0, 1.0]])


def sinks_of(payoffs: object) -> list[list[int]]:
    return [members.tolist() for members in response_graph(payoffs).sinks()]


def test_edges_of_a_prisoners_dilemma_lead_to_defection() -> None:
    graph = response_graph([PD, PD.T])
    assert sorted(map(tuple, graph.edges.tolist())) == [(0, 1), (0, 2), (1, 3), (2, 3)]
    assert sorted(graph.gains.tolist()) == [1.0, 1.0, 2.0, 2.0]
    assert sinks_of([PD, PD.T]) == [[3]]
    assert sinks_of(PD) == [[1]]


def test_a_cycle_is_one_sink() -> None:
    assert sinks_of(RPS) == [[0, 1, 2]]
    pennies = np.array([[1.0, -1.0], [-1.0, 1.0]])
    assert sinks_of([pennies, -pennies]) == [[0, 1, 2, 3]]


def test_each_convention_of_a_coordination_game_is_a_sink() -> None:
    assert sinks_of([np.eye(3), np.eye(3)]) == [[0], [4], [8]]


def test_ties_hold_profiles_together() -> None:
    graph = response_graph(np.zeros((3, 3)))
    assert graph.edges.shape == (0, 2)
    assert graph.ties.tolist() == [[0, 1], [0, 2], [1, 2]]
    assert sinks_of(np.zeros((3, 3))) == [[0, 1, 2]]


def test_gains_within_the_tolerance_are_ties() -> None:
    matrix = np.array([[1.0, 1.0 + 1e-9], [1.0, 1.0]])
    assert len(response_graph(matrix).ties) == 0
    assert len(response_graph(matrix, tolerance=1e-8).ties) == 1


def test_a_game_without_a_choice_has_one_sink() -> None:
    assert sinks_of([np.ones((1, 1)), np.ones((1, 1))]) == [[0]]


@given(
    sizes=st.lists(st.integers(1, 4), min_size=2, max_size=3),
    seed=st.integers(0, 2**32 - 1),
    whole=st.booleans(),
)
def test_sinks_are_those_that_networkx_finds(sizes: list[int], seed: int, whole: bool) -> None:
    rng = np.random.default_rng(seed)
    tables = [rng.integers(0, 3, sizes) if whole else rng.normal(size=sizes) for _ in sizes]
    graph = response_graph(tables)
    peer = graph.to_networkx()
    assert peer.number_of_nodes() == graph.vertices == len(graph.profiles)
    folded = nx.condensation(peer)
    expected = sorted(sorted(folded.nodes[node]["members"]) for node in folded if folded.out_degree(node) == 0)
    assert [members.tolist() for members in graph.sinks()] == expected


@given(sizes=st.lists(st.integers(2, 4), min_size=2, max_size=3), seed=st.integers(0, 2**32 - 1))
def test_sinks_of_one_profile_are_the_pure_equilibria_of_a_game_without_ties(sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    tables = [rng.normal(size=sizes) for _ in sizes]
    graph = response_graph(tables)
    alone = [graph.profiles[members[0]] for members in graph.sinks() if members.size == 1]
    assert sorted(alone) == pure_equilibria(tables)


def test_the_graph_for_networkx_tells_who_moves_and_what_it_gains() -> None:
    graph = response_graph([PD, PD.T]).to_networkx()
    assert graph.nodes[2]["strategies"] == (1, 0)
    assert graph.edges[0, 2] == {"player": 0, "gain": 2.0}
    assert graph.edges[0, 1] == {"player": 1, "gain": 2.0}
