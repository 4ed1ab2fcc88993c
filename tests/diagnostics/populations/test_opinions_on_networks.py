"""Opinions and their neighbours: disagreement, polarization, communities, echo chambers and clusters."""

from __future__ import annotations

import math

import networkx as nx
import numpy as np
import pytest
from coverage_of import coverage_of
from scipy import special

from simengine.diagnostics.populations.clusters import cluster_sizes, opinion_clusters
from simengine.diagnostics.populations.communities import (
    community_disagreement,
    community_disagreement_from_counts,
    echo_chamber_index,
)
from simengine.diagnostics.populations.disagreement import (
    disagreement_sums,
    friedkin_johnsen_opinions,
    friedkin_johnsen_polarization,
    graph_disagreement,
    graph_disagreement_from_sums,
)
from simengine.diagnostics.populations.graphs import as_graph
from simengine.errors import InputError

GRAPH = nx.gnm_random_graph(200, 800, seed=1)


def test_disagreement_is_the_quadratic_form_of_the_laplacian() -> None:
    z = np.random.default_rng(0).normal(size=200)
    expected = float(z @ nx.laplacian_matrix(GRAPH).toarray() @ z)
    assert graph_disagreement(z, GRAPH).value == pytest.approx(expected, rel=1e-12)
    assert graph_disagreement(z, nx.to_scipy_sparse_array(GRAPH)).value == pytest.approx(expected, rel=1e-12)
    assert graph_disagreement(z, np.array(GRAPH.edges)).value == pytest.approx(expected, rel=1e-12)


def test_sums_over_parts_of_the_edges_give_the_same_bits() -> None:
    z, graph = np.random.default_rng(0).normal(size=200), as_graph(GRAPH)
    parts = sum(
        disagreement_sums(z, graph.first[some], graph.second[some], graph.weight[some])
        for some in (slice(0, 333), slice(333, None))
    )
    assert graph_disagreement_from_sums(parts, graph.m, graph.m).value == graph_disagreement(z, GRAPH).value


def test_the_null_of_disagreement_is_that_of_dealt_out_opinions() -> None:
    rng = np.random.default_rng(1)
    z = rng.exponential(size=200)
    found = graph_disagreement(z, GRAPH)
    again = [float(graph_disagreement(rng.permutation(z), GRAPH).value) for _ in range(1000)]
    # Four standard errors of a mean, and of a standard deviation of 1000 nearly normal numbers.
    assert np.mean(again) == pytest.approx(found.null_mean, abs=4 * found.null_sd / math.sqrt(1000))
    assert np.std(again) == pytest.approx(found.null_sd, rel=0.1)


def test_friedkin_and_johnsens_opinions_settle() -> None:
    s = np.random.default_rng(2).normal(size=200)
    z = friedkin_johnsen_opinions(s, GRAPH)
    laplacian = nx.laplacian_matrix(GRAPH).toarray()
    assert np.allclose(z + laplacian @ z, s)
    found = friedkin_johnsen_polarization(s, GRAPH)
    assert found.value == pytest.approx(float(((z - z.mean()) ** 2).sum()), rel=1e-9)
    assert friedkin_johnsen_polarization(s, np.zeros((0, 2), np.int64)).value == pytest.approx(200 * s.var(), rel=1e-9)


def test_intervals_of_disagreement_and_polarization_hold_the_truth() -> None:
    # At a true coverage of 95 % fewer than 87 % of 100 are seen with a chance below 1 %.
    found = coverage_of(lambda r: graph_disagreement(r.normal(size=200), GRAPH), 2.0 * 800, 100)
    assert found.holds >= 0.87
    assert found.width <= 1.5
    assert found.flagged <= 0.05
    truth = friedkin_johnsen_polarization(np.arange(200.0), GRAPH).details["trace"]
    found = coverage_of(lambda r: friedkin_johnsen_polarization(r.normal(size=200), GRAPH), truth, 40)
    assert found.holds >= 0.85
    assert found.width <= 1.5


def test_a_hub_that_holds_most_edges_is_flagged() -> None:
    assert "few_samples" in graph_disagreement(np.random.default_rng(0).normal(size=200), nx.star_graph(199)).flags


def test_communities_that_think_alike_disagree_by_nothing_and_others_by_their_divergence() -> None:
    assert community_disagreement_from_counts([[100, 100], [100, 100]]).interval[0] == 0.0
    found = community_disagreement_from_counts([[5000, 0], [0, 5000]])
    assert found.value == pytest.approx(math.log(2), abs=1e-3)
    assert community_disagreement(
        [0.1, 0.9] * 100, ["left", "right"] * 100, bins=2, range=(0, 1)
    ).value == pytest.approx(math.log(2), abs=0.01)


def test_independent_opinions_have_no_echo_chamber_and_chambers_of_their_own_have_one() -> None:
    edges = np.linspace(-1, 1, 6)
    none = coverage_of(lambda r: echo_chamber_index(r.uniform(-1, 1, 200), GRAPH, bins=edges, shuffles=20), 0.0, 60)
    # At a true coverage of 95 % fewer than 83 % of 60 are seen with a chance below 1e-3.
    assert none.holds >= 0.83
    sides = np.repeat([-0.5, 0.5], 100)
    chambers = nx.disjoint_union(nx.gnm_random_graph(100, 400, seed=2), nx.gnm_random_graph(100, 400, seed=3))
    x = np.clip(sides + 0.2 * np.random.default_rng(4).normal(size=200), -1, 1)
    found = echo_chamber_index(x, chambers, bins=2, range=(-1, 1))
    assert found.value == pytest.approx(math.log(2), abs=0.1)
    assert found.z > 10.0


def test_clusters_are_cut_at_gaps_wider_than_the_bound() -> None:
    assert cluster_sizes(np.array([0.0, 0.1, 0.2, 0.5, 0.51]), 0.2).tolist() == [3, 2]
    rng = np.random.default_rng(5)
    x = np.concatenate([rng.normal(0.2, 0.01, 100), rng.normal(0.7, 0.01, 50)])
    assert opinion_clusters(x, 0.1).value == 2.0
    assert opinion_clusters(x, 0.1, "largest-share").value == pytest.approx(2 / 3)
    assert opinion_clusters(x, 0.1, "entropy").value == pytest.approx(special.entr([1 / 3, 2 / 3]).sum(), abs=0.01)


def test_the_null_of_the_number_of_clusters_is_that_of_even_opinions() -> None:
    rng = np.random.default_rng(6)
    found = opinion_clusters(rng.random(200), 0.02, range=(0, 1))
    again = [cluster_sizes(np.sort(rng.random(200)), 0.02).size for _ in range(2000)]
    assert np.mean(again) == pytest.approx(found.null_mean, abs=4 * found.null_sd / math.sqrt(2000))
    assert np.std(again) == pytest.approx(found.null_sd, rel=0.1)
    flagged = coverage_of(lambda r: opinion_clusters(r.random(200), 0.02), 1.0, 60).flagged
    assert flagged >= 0.9


def test_graphs_of_other_sizes_and_loops_are_told() -> None:
    with pytest.raises(InputError, match="200 nodes"):
        graph_disagreement(np.zeros(10), GRAPH)
    with pytest.raises(InputError, match="itself"):
        graph_disagreement(np.zeros(3), [[0, 1], [2, 2]])
    with pytest.raises(InputError, match="directed"):
        graph_disagreement(np.zeros(3), nx.DiGraph([(0, 1), (1, 2)]))
