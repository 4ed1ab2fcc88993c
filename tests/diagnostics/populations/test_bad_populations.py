import networkx
import numpy as np
import pytest
import xarray
from scipy import sparse

from simengine import diagnostics as d
from simengine.diagnostics.populations.clusters import opinion_clusters_from_sizes
from simengine.diagnostics.populations.graphs import as_graph
from simengine.diagnostics.populations.networks import random_walk_ceiling
from simengine.diagnostics.populations.opinions import effective_opinions_from_counts
from simengine.errors import InputError

N = 24
X = np.linspace(0.0, 1.0, N)
PLACES = np.random.default_rng(0).random((N, 2))
LABELS = np.arange(N) % 2
RING = np.stack([np.arange(N), (np.arange(N) + 1) % N], axis=1)
TABLE = np.full((12, 3), 6)
NO_NUMBERS = {
    "ragged": [[1, 2], [3]],
    "texts": ["a", "b"],
    "complex": np.array([1j, 2.0]),
    "objects": [None, 1],
    "dataset": xarray.Dataset({"a": ("t", [1.0])}),
    "nan": [np.nan, 1.0],
    "huge": [1e308, 1.0],
    "masked": np.ma.masked_array([1.0, 2.0], [True, False]),
}

TAKES_NUMBERS = {
    "opinions": d.bimodality,
    "clusters": lambda bad: d.opinion_clusters(bad, 0.1),
    "innate": lambda bad: d.friedkin_johnsen_polarization(bad, RING),
    "weights": lambda bad: d.graph_disagreement(X, RING, weights=bad),
    "edges": d.degree_entropy,
    "range": lambda bad: d.opinion_entropy(X, bins=4, range=bad),
    "bins": lambda bad: d.opinion_entropy(X, bins=bad, range=(0, 1)),
    "positions": lambda bad: d.spatial_entropy(bad, 0, 1),
    "low": lambda bad: d.spatial_entropy(PLACES, bad, 1),
    "distances": lambda bad: d.altieri_entropy(PLACES, LABELS, 0, 1, distances=bad),
    "areas": lambda bad: d.batty_entropy([5, 6], bad),
    "neighbours": lambda bad: d.karlstrom_ceccato_entropy([5, 6], bad),
    "headings": d.heading_entropy,
    "counts": d.policy_entropy,
    "beliefs": d.belief_entropy,
    "level": lambda bad: d.action_information(TABLE, level=bad),
    "order": lambda bad: d.effective_opinions(X, order=bad, bins=4, range=(0, 1)),
    "reach": lambda bad: d.pair_excess_entropy(PLACES, 0, 1, reach=bad),
    "alpha": lambda bad: d.opinion_polarization(X, "esteban-ray", alpha=bad, bins=4, range=(0, 1)),
}


@pytest.mark.parametrize("what", NO_NUMBERS)
@pytest.mark.parametrize("where", TAKES_NUMBERS)
def test_what_is_no_number_is_one_clear_line(where: str, what: str) -> None:
    with pytest.raises(InputError) as raised:
        TAKES_NUMBERS[where](NO_NUMBERS[what])
    assert "\n" not in str(raised.value)


def weighted(weight):
    graph = networkx.path_graph(3)
    networkx.set_edge_attributes(graph, weight, "weight")
    return graph


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: as_graph([[0, 1, 2]]), "pairs of node numbers"),
        (lambda: as_graph([[0, -1]]), "names the nodes -1 to 0"),
        (lambda: as_graph([[0, 5]], nodes=3), "0 to 2"),
        (lambda: as_graph([[0, 2**62]]), "names the nodes"),
        (lambda: as_graph([[0.0, 1.0]]), "pairs of node numbers"),
        (lambda: as_graph([[0, 1]], weights=[1.0, 2.0]), "one for each edge"),
        (lambda: as_graph([[0, 1], [1, 2]], weights=[1.0, -2.0]), r"holds -2 at \(1,\)"),
        (lambda: as_graph([[0, 1]], weights=[1e60]), "at most 1e"),
        (lambda: as_graph([[0, 1]], nodes=10**12), "nodes is"),
        (lambda: as_graph(weighted("heavy")), "weights"),
        (lambda: as_graph(weighted(None)), "weights"),
        (lambda: as_graph(networkx.Graph), "edges"),
        (lambda: as_graph(networkx.path_graph(3), nodes=4), "of 3 nodes says both"),
        (lambda: as_graph(sparse.csr_array(np.ones((2, 3)))), "symmetric"),
        (lambda: as_graph(sparse.csr_array([[0.0, np.nan], [np.nan, 0.0]])), "finite"),
        (lambda: as_graph(sparse.csr_array([[0.0, -1.0], [-1.0, 0.0]])), "not negative"),
        (lambda: d.friedkin_johnsen_polarization(X, RING, weights=np.full(N, 9e11)), "at node 0"),
        (lambda: d.assortative_information(RING, [0, 1]), "names the nodes"),
        (lambda: d.assortative_information(RING, LABELS, states=1), "communities holds 0 to 1"),
        (lambda: d.edge_turnover_entropy(networkx.Graph([(0, 1)]), networkx.Graph([(1, 0)])), "another order"),
        (lambda: d.von_neumann_entropy(RING, estimator="lanczoz"), "did you mean 'lanczos'"),
        (lambda: d.von_neumann_entropy([[0, 1]], nodes=10**6, estimator="exact"), "'lanczos' more"),
        (lambda: d.von_neumann_entropy(RING, seed=None), "seed is None"),
        (lambda: d.opinion_entropy(X, bins=10**10, range=(0, 1)), "bins is"),
        (lambda: d.opinion_entropy(X, bins=4, range=(1, 0)), "must rise"),
        (lambda: d.opinion_entropy(LABELS, states=10**10), "states is"),
        (lambda: d.echo_chamber_index(X, RING, bins=10**5, range=(0, 1)), "table of"),
        (lambda: d.echo_chamber_index(X, RING, bins=3, range=(0, 1), shuffles=1), "shuffles is 1"),
        (lambda: d.ordinal_agreement(X, bins=10**6, range=(0, 1)), "an ordered scale"),
        (lambda: d.opinion_clusters(X, -0.1), "bound is -0.1"),
        (lambda: d.opinion_clusters(X, 0.1, "numbr"), "did you mean 'number'"),
        (lambda: opinion_clusters_from_sizes([3, 0]), "at least 1"),
        (lambda: d.spatial_entropy(PLACES, [0, 0, 0], 1), "one for each axis"),
        (lambda: d.spatial_entropy(PLACES, 1, 0), "high must be above low"),
        (lambda: d.spatial_entropy(PLACES, 0, 1, cells=10**5), "table of"),
        (lambda: d.spatial_entropy(PLACES, 0, 1, cells=[]), "cells has shape"),
        (lambda: d.neighbour_distance_entropy(PLACES, 0, 1, k=0), "k is 0"),
        (lambda: d.neighbour_distance_entropy(PLACES, 0, 1, k=1.5), "k is 1.5"),
        (lambda: d.neighbour_distance_entropy(PLACES, 0, 1, k=N), "more agents than k"),
        (lambda: d.neighbour_distance_entropy(PLACES, 0, 1, periodic="no"), "True or False"),
        (lambda: d.pair_excess_entropy(PLACES, 0, 1, reach="far"), "reach is 'far'"),
        (lambda: d.pair_excess_entropy(PLACES, 0, 1, reach=-0.1), "reach is -0.1"),
        (lambda: d.pair_excess_entropy(PLACES, 0, 1, reach=0.1, bins=10**10), "bins is"),
        (lambda: d.altieri_entropy(PLACES, LABELS, 0, 1, distances=[0.2, 0.1]), "rise from above 0"),
        (lambda: d.karlstrom_ceccato_entropy([5, 6], np.eye(3)), "which cells adjoin"),
        (lambda: d.policy_entropy(TABLE, given="yes"), "True or False"),
        (lambda: d.belief_entropy([[0.5, 0.5], [0.5, 0.4]]), "agent 1 add up to 0.9"),
        (lambda: d.belief_entropy([[1.5, -0.5]]), "not negative"),
    ],
)  # fmt: skip
def test_bad_options_are_told_with_what_is_allowed(call, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)


def test_few_agents_are_flagged() -> None:
    assert "few_samples" in d.policy_entropy([[60, 40], [30, 70]], given=True).flags
    for measure in ("number", "largest-share", "entropy"):
        assert "few_samples" in d.opinion_clusters(np.repeat([0.0, 1.0], 20), 0.1, measure).flags
    assert "few_samples" in opinion_clusters_from_sizes([95, 5], "entropy").flags
    assert not opinion_clusters_from_sizes([60, 40], "entropy").flags


def test_opinions_that_no_two_agents_share_are_flagged() -> None:
    found = effective_opinions_from_counts(np.ones(80, int), order=2)
    assert "unseen_states" in found.flags
    assert found.interval[1] == 80.0


def test_agents_outside_an_open_box_are_flagged() -> None:
    for places, expected in ((PLACES, False), (PLACES + 0.5, True)):
        pairs = d.pair_excess_entropy(places, 0, 1, reach=0.1, periodic=False)
        nearest = d.neighbour_distance_entropy(places, 0, 1, periodic=False)
        assert ("outside_range" in pairs.flags) == ("outside_range" in nearest.flags) == expected


def test_no_scale_of_opinions_is_too_large_or_too_small() -> None:
    x = np.random.default_rng(1).normal(size=200)
    for scale in (1e-100, 1e60):
        assert float(d.bimodality(scale * x).value) == pytest.approx(float(d.bimodality(x).value))


@pytest.mark.parametrize("weight", [1e-200, 1e12])
def test_no_scale_of_weights_changes_what_is_free_of_it(weight: float) -> None:
    weights = np.arange(1.0, N + 1.0) / N
    for of in (d.von_neumann_entropy, d.random_walk_entropy_rate):
        plain, scaled = of(RING, weights=weights), of(RING, weights=weights * weight)
        assert (float(scaled.value), float(scaled.standard_error)) == pytest.approx(
            (float(plain.value), float(plain.standard_error)), rel=1e-9
        )


def test_strong_influence_leaves_the_polarization_exact() -> None:
    # Where influence is strong, z less its mean is the inverse of the Laplacian times the innate opinions.
    strong, stronger = (
        d.friedkin_johnsen_polarization(X, RING, weights=np.full(N, weight)) for weight in (1e8, 1e10)
    )  # fmt: skip
    for name in ("value", "standard_error", "null_mean", "null_sd"):
        assert 1e4 * getattr(stronger, name) == pytest.approx(getattr(strong, name), rel=1e-5)


def test_the_freest_walk_on_a_long_chain_is_found() -> None:
    nodes = 3000
    chain = as_graph(np.stack([np.arange(nodes - 1), np.arange(1, nodes)], axis=1))
    assert random_walk_ceiling(chain) == pytest.approx(np.log(2.0), abs=1e-4)
