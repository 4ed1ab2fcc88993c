"""DeGroot and Friedkin-Johnsen: what linear algebra says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networkx
import numpy as np
import pytest
from scipy.stats import chi2

import simengine
from simengine import InputError, graphs, testing
from simengine.scenarios.opinion_dynamics import DeGroot, FriedkinJohnsen

Array = np.ndarray[Any, Any]
FAR = 10**6


def settled(scenario: type, seed: int = 0, **options: Any) -> Array:
    """Opinions when nothing changes any more, by id."""
    options = {"every": FAR, "snapshot_every": FAR, "steps": 100_000} | options
    run = simengine.run(scenario, seed=seed, progress=False, **options)
    assert run.attrs["stopped_at"] < options["steps"]
    return np.asarray(run.opinion.values[-1])


def listening(edges: dict[str, Array], n: int, weight: Any = 1.0, self_weight: float = 1.0) -> Array:
    """W of directed edges."""
    matrix = self_weight * np.eye(n)
    matrix[edges["source"], edges["target"]] = weight
    return matrix / matrix.sum(axis=1, keepdims=True)


def influence(matrix: Array) -> Array:
    """The left eigenvector of W for eigenvalue 1, its sum 1."""
    values, vectors = np.linalg.eig(matrix.T)
    found = vectors[:, np.argmax(values.real)].real
    return np.asarray(found / found.sum())


def test_consensus_on_the_karate_club_weighs_members_by_the_eigenvector() -> None:
    club = graphs.make("karate_club", 34)
    pi = influence(listening(graphs.both_ways(club), 34))
    degree = np.bincount(graphs.both_ways(club)["source"], minlength=34) + 1.0
    np.testing.assert_allclose(pi, degree / degree.sum(), atol=1e-12)
    member_by_member = [
        settled(DeGroot, n_agents=34, graph="karate_club", start={"opinion": opinion}) for opinion in np.eye(34)
    ]
    # Opinions rest within 1e-12 a step and approach by the factor 0.87: within 1e-11 of the consensus.
    np.testing.assert_allclose(np.array(member_by_member), np.tile(pi[:, None], 34), atol=1e-11)


def test_consensus_with_weights_of_ones_own_is_that_of_the_eigenvector() -> None:
    rng = np.random.default_rng(3)
    club = graphs.both_ways(graphs.make("karate_club", 34))
    weight, opinion = rng.uniform(0.1, 3.0, len(club["source"])), rng.random(34)
    pi = influence(listening(club, 34, weight, 0.5))
    found = settled(
        DeGroot, n_agents=34, self_weight=0.5, start={"acquaintances": club | {"weight": weight}, "opinion": opinion}
    )
    np.testing.assert_allclose(found, pi @ opinion, atol=1e-10)


def test_the_error_decays_as_the_second_eigenvalue_to_the_power_of_time() -> None:
    n = 20
    mode = np.cos(2 * np.pi * np.arange(n) / n)
    run = simengine.run(
        DeGroot, n_agents=n, graph="ring", mean_degree=2, steps=40, snapshot_every=1, every=FAR, progress=False,
        start={"opinion": 0.5 + 0.5 * mode},
    )  # fmt: skip
    second = (1 + 2 * np.cos(2 * np.pi / n)) / 3
    assert second == pytest.approx(
        np.sort(np.linalg.eigvalsh(listening(graphs.both_ways(graphs.make("ring", n, mean_degree=2)), n)))[-2]
    )
    expected = 0.5 + 0.5 * second ** np.arange(41)[:, None] * mode
    np.testing.assert_allclose(run.opinion.values, expected, atol=1e-13)


def test_crowds_are_wise_where_all_listen_to_all_and_not_on_a_star() -> None:
    n, runs = 20, 120
    for graph, pi in (
        ("star", np.array([n, *[2.0] * (n - 1)]) / (3 * n - 2)),
        ("complete", np.full(n, 1.0 / n)),
    ):
        found = np.array([settled(DeGroot, n_agents=n, graph=graph, seed=seed)[0] for seed in range(runs)])
        # Uniform errors of variance 1/12: the consensus has variance sum pi^2 / 12. Chi-square for 120 near-normal
        # (on the star one uniform makes up a third of it: lighter tails) values, error rate below 1e-3, fixed seeds.
        ratio = found.var(ddof=1) / (np.sum(pi**2) / 12) * (runs - 1)
        low, high = chi2.ppf([5e-4, 1 - 5e-4], runs - 1)
        assert low < ratio < high
    star = np.array([settled(DeGroot, n_agents=m, graph="star", start={"opinion": np.eye(m)[0]})[0] for m in (10, 100)])
    np.testing.assert_allclose(star, [10 / 28, 100 / 298], atol=1e-11)


@pytest.mark.parametrize("scenario", [DeGroot, pytest.param(FriedkinJohnsen, marks=pytest.mark.slow)])
def test_well_mixed_is_the_complete_graph(scenario: type) -> None:
    options: dict[str, Any] = {"n_agents": 30, "steps": 6, "snapshot_every": 1, "n_media": 2, "stubborn": 0.1}
    mixed = simengine.run(scenario, contacts="well_mixed", seed=4, progress=False, **options)
    joined = simengine.run(scenario, graph="complete", seed=4, progress=False, **options)
    np.testing.assert_allclose(mixed.opinion.values, joined.opinion.values, atol=1e-14)
    assert "assortativity" in joined
    assert "assortativity" not in mixed


def test_who_hears_nobody_keeps_its_opinion() -> None:
    opinion = np.array([0.1, 0.9, 0.4, 0.7])
    for self_weight in (0.0, 1.0):
        start = {"opinion": opinion, "acquaintances": [(0, 1), (1, 0)]}
        run = simengine.run(
            DeGroot, n_agents=4, self_weight=self_weight, steps=30, snapshot_every=1, progress=False, start=start
        )
        assert (run.opinion.values[:, 2:] == opinion[2:]).all()
    empty = settled(DeGroot, n_agents=4, start={"opinion": opinion, "acquaintances": []})
    assert (empty == opinion).all()


@pytest.mark.parametrize("scenario", [DeGroot, FriedkinJohnsen])
def test_impossible_weights_and_edges_are_refused_in_one_line(scenario: type) -> None:
    bad = {
        "start: acquaintances: weight of edge 1 is -0.5; allowed is 0 <= value": {
            "source": [0, 1],
            "target": [1, 2],
            "weight": [1.0, -0.5],
        },
        "weight of edge 0 is nan": {"source": [0], "target": [1], "weight": [np.nan]},
        "joins agent 2 to itself": [(0, 1), (2, 2)],
    }
    for message, edges in bad.items():
        with pytest.raises(InputError, match=message) as caught:
            simengine.run(scenario, n_agents=3, steps=2, progress=False, start={"acquaintances": edges})
        assert "\n" not in str(caught.value)


def test_a_susceptibility_is_a_share() -> None:
    with pytest.raises(InputError, match=r"susceptibility of agent 1 is 1\.2; allowed is 0 <= value <= 1"):
        simengine.run(FriedkinJohnsen, steps=2, progress=False, start={"susceptibility": [0.5, 1.2, 0.1]})


def test_weights_need_not_add_up_to_one() -> None:
    rng = np.random.default_rng(5)
    edges = graphs.both_ways(graphs.make("random", 40, 1, mean_degree=6))
    weight, scale = rng.uniform(0.1, 1.0, len(edges["source"])), rng.uniform(0.1, 10.0, 40)
    found = [
        settled(DeGroot, n_agents=40, self_weight=0.0, start={"acquaintances": edges | {"weight": values}})
        for values in (weight, weight * scale[edges["source"]])
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-10)


def test_one_of_the_stubborn_convinces_all_and_media_hold_the_balance() -> None:
    stubborn = np.arange(20) == 7
    opinion = np.linspace(0.0, 1.0, 20)
    found = settled(DeGroot, n_agents=20, graph="ring", mean_degree=4, start={"opinion": opinion, "stubborn": stubborn})
    np.testing.assert_allclose(found, opinion[7], atol=1e-8)
    # Everybody at y = [(n - 1) y + v (0 + 1)] / (n - 1 + 2 v), that is at 1/2.
    found = settled(DeGroot, n_agents=20, contacts="well_mixed", self_weight=0.0, n_media=2, media_weight=3.0)
    np.testing.assert_allclose(found, 0.5, atol=1e-10)
    found = settled(DeGroot, n_agents=20, graph="ring", mean_degree=4, n_media=1, start={"media_opinion": [0.3]})
    np.testing.assert_allclose(found, 0.3, atol=1e-10)


def test_opinions_settle_at_the_solution_of_friedkin_and_johnsen() -> None:
    rng = np.random.default_rng(6)
    n, media, weight_of_media = 60, np.array([0.2, 0.9]), 0.7
    edges = graphs.make("random", n, 2, mean_degree=12)
    turned = rng.random(len(edges["source"])) < 0.5
    edges = {
        end: np.where(turned, edges[end], edges[other]) for end, other in (("source", "target"), ("target", "source"))
    }
    weight, innate, susceptibility = rng.random(len(turned)), rng.random(n), rng.uniform(0.0, 0.95, n)
    matrix = np.eye(n)
    matrix[edges["source"], edges["target"]] = weight
    total = matrix.sum(axis=1) + 2 * weight_of_media
    from_media = weight_of_media * media.sum() / total
    control = np.eye(n) - susceptibility[:, None] * matrix / total[:, None]
    exact = np.linalg.solve(control, susceptibility * from_media + (1 - susceptibility) * innate)
    found = settled(
        FriedkinJohnsen, n_agents=n, n_media=2, media_weight=weight_of_media,
        start={
            "acquaintances": edges | {"weight": weight}, "innate": innate, "opinion": innate,
            "susceptibility": susceptibility, "media_opinion": media,
        },
    )  # fmt: skip
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-12)


def test_on_the_complete_graph_innate_opinions_are_mixed_with_their_mean() -> None:
    run = simengine.run(
        FriedkinJohnsen, n_agents=40, graph="complete", susceptibility=0.6, progress=False, snapshot_every=FAR
    )
    innate, found = run.opinion.values[0], run.opinion.values[-1]
    np.testing.assert_allclose(found, 0.4 * innate + 0.6 * innate.mean(), rtol=0, atol=1e-13)
    np.testing.assert_allclose(run.innate.values[-1], innate)
    assert found.min() >= innate.min()
    assert found.max() <= innate.max()


def test_noise_spreads_opinions_as_stated() -> None:
    n, susceptibility, noise, steps = 10, 0.9, 0.05, 20_000
    run = simengine.run(
        FriedkinJohnsen, n_agents=n, graph="complete", susceptibility=susceptibility, noise=noise, steps=steps,
        every=FAR, snapshot_every=1, seed=2, progress=False,
    )  # fmt: skip
    innate = run.innate.values[0]
    fixed = (1 - susceptibility) * innate + susceptibility * innate.mean()
    apart = run.opinion.values[500:] - fixed
    expected = noise**2 * (1 + susceptibility**2 / (n * (1 - susceptibility**2)))
    # The mean of all is remembered for about 1 / (1 - l) = 10 steps: 2,000 independent values of a tenth of the
    # variance, so that the error of the whole is below 1 %; 4 of them: error rate below 1e-4, fixed seed.
    assert (apart**2).mean() == pytest.approx(expected, rel=0.04)


def test_without_susceptibility_nobody_moves() -> None:
    found = settled(FriedkinJohnsen, n_agents=30, stubborn=1.0)
    run = simengine.run(FriedkinJohnsen, n_agents=30, steps=0, snapshot_every=1, progress=False)
    assert (found == run.opinion.values[0]).all()


def test_the_network_comes_from_a_file_as_well_as_from_a_generator(tmp_path: Path) -> None:
    club = graphs.make("karate_club", 34)
    pairs = np.stack([club["source"], club["target"]], axis=1)
    graph = networkx.Graph()
    graph.add_nodes_from(range(34))
    graph.add_edges_from(pairs.tolist())
    networkx.write_graphml(graph, tmp_path / "karate.graphml")
    np.savetxt(tmp_path / "karate.txt", np.concatenate([pairs, pairs[:, ::-1]]), fmt="%d")
    expected = settled(DeGroot, n_agents=34, graph="karate_club")
    for given in (graph, str(tmp_path / "karate.graphml"), str(tmp_path / "karate.txt")):
        assert (settled(DeGroot, n_agents=34, start={"acquaintances": given}) == expected).all()


def test_opinions_along_edges_are_compared_as_by_hand() -> None:
    run = simengine.run(DeGroot, n_agents=60, mean_degree=4, steps=5, snapshot_every=1, progress=False)
    edges = graphs.both_ways(graphs.make("small_world", 60, 0, mean_degree=4))
    assert len(edges["source"]) == 240
    given = simengine.run(
        DeGroot, n_agents=60, steps=5, snapshot_every=1, progress=False, start={"acquaintances": edges}
    )
    for step in range(6):
        first, second = (given.opinion.values[step][edges[end]] for end in ("source", "target"))
        assert float(given.assortativity[step]) == pytest.approx(np.corrcoef(first, second)[0, 1], abs=1e-9)
        assert float(given.edge_disagreement[step]) == pytest.approx(((first - second) ** 2).mean(), abs=1e-12)
    # Averaging makes neighbours alike faster than strangers.
    assert run.assortativity[0] < 0.5 < run.assortativity[-1]


def test_shards_change_nothing() -> None:
    testing.any_shards(DeGroot, shards=(4,), steps=4, n_agents=80, mean_degree=4, n_media=2, noise=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", [DeGroot, FriedkinJohnsen])
def test_the_promises_hold(scenario: type) -> None:
    testing.check(scenario, n_agents=60, mean_degree=4, n_media=2, stubborn=0.1)
    testing.any_shards(scenario, shards=(1, 4), steps=4, n_agents=60, contacts="well_mixed", noise=0.01)
