"""The voter model on networks: what nodes and links conserve, consensus times, zealots and noise."""

from __future__ import annotations

from functools import cache
from typing import Any

import networkx
import numpy as np
import pytest
from scipy.stats import binomtest

import simengine
from simengine import InputError, graphs, testing
from simengine.scenarios.voter import Voter

Array = np.ndarray[Any, Any]
FAR = 10**6
FEW, MANY, RUNS = 4, 16, 250
N = FEW + MANY


def two_camps_chain(event: str) -> Array:
    """Transition matrix of an event on the complete bipartite graph: states are (ones among few, ones among many)."""
    chain = np.zeros((FEW + 1, MANY + 1, FEW + 1, MANY + 1))
    # Of the few each has MANY neighbours, and the other way round; an agent drawn acts with its chance.
    acts_few, acts_many = (1.0, 1.0) if event == "node" else (MANY / max(FEW, MANY), FEW / max(FEW, MANY))
    for i in range(FEW + 1):
        for j in range(MANY + 1):
            moves = {
                (i + 1, j): acts_few * (FEW - i) / N * j / MANY,
                (i - 1, j): acts_few * i / N * (1 - j / MANY),
                (i, j + 1): acts_many * (MANY - j) / N * i / FEW,
                (i, j - 1): acts_many * j / N * (1 - i / FEW),
            }
            for state, chance in moves.items():
                if chance > 0:
                    chain[i, j][state] = chance
            chain[i, j, i, j] = 1.0 - sum(moves.values())
    states = (FEW + 1) * (MANY + 1)
    return chain.reshape(states, states)


def mean_sweeps(event: str, few: int, many: int) -> float:
    """Mean number of whole sweeps at whose end all agree, from the exact chain."""
    sweep = np.linalg.matrix_power(two_camps_chain(event), N)
    inside = np.arange(1, len(sweep) - 1)
    times = np.linalg.solve(np.eye(len(inside)) - sweep[np.ix_(inside, inside)], np.ones(len(inside)))
    return float(times[few * (MANY + 1) + many - 1])


@cache
def runs(event: str) -> tuple[Array, Array]:
    """When each of many runs ended, and with which opinion; at the start the few hold opinion 1."""
    graph, opinion = networkx.complete_bipartite_graph(FEW, MANY), (np.arange(N) < FEW).astype(int)
    start = {"acquaintances": graph, "opinion": opinion}
    ended = [
        simengine.run(Voter, n_agents=N, contacts="network", event=event, seed=seed, start=start, every=FAR,
                      progress=False)
        for seed in range(RUNS)
    ]  # fmt: skip
    return np.array([r.attrs["stopped_at"] for r in ended]), np.array([float(r.share_of_one[-1]) for r in ended])


@pytest.mark.parametrize(("event", "chance"), [("node", 0.5), ("link", FEW / N)])
def test_nodes_conserve_the_share_by_degree_and_links_the_plain_share(event: str, chance: float) -> None:
    # The few hold half of the ends of edges. Binomial test, fixed seeds, two-sided error rate 1e-3.
    _, share = runs(event)
    assert set(share) == {0.0, 1.0}
    assert binomtest(int(share.sum()), RUNS, chance).pvalue > 1e-3


@pytest.mark.parametrize("event", ["node", "link"])
def test_consensus_on_unequal_degrees_takes_as_long_as_the_exact_chain(event: str) -> None:
    # Three standard errors: error rate 0.3 %, fixed seeds.
    times, _ = runs(event)
    assert times.mean() == pytest.approx(mean_sweeps(event, FEW, 0), abs=3 * times.std() / np.sqrt(RUNS))


def test_unequal_degrees_act_like_fewer_agents() -> None:
    # N_eff = N <k>^2 / <k^2> = 4 a b / N; the formula is asymptotic, the chain exact.
    degree = np.repeat([MANY, FEW], [FEW, MANY])
    effective = N * degree.mean() ** 2 / (degree**2).mean()
    assert effective == pytest.approx(4 * FEW * MANY / N)
    assert mean_sweeps("node", FEW, 0) == pytest.approx(effective * np.log(2), rel=0.08)


@pytest.mark.slow
def test_consensus_on_a_scale_free_network_takes_as_long_as_among_fewer_agents() -> None:
    times, expected = [], []
    for seed in range(150):
        edges = graphs.make("scale_free", 400, seed, mean_degree=40)
        run = simengine.run(
            Voter, n_agents=400, contacts="network", seed=seed, every=FAR, progress=False,
            start={"acquaintances": edges},
        )  # fmt: skip
        degree = np.bincount(np.concatenate([edges["source"], edges["target"]]))
        x = float(run.share_of_one_by_degree[0])
        effective = 400 * degree.mean() ** 2 / (degree**2).mean()
        expected.append(-effective * (x * np.log(x) + (1 - x) * np.log(1 - x)))
        times.append(run.attrs["stopped_at"])
    # Times scatter by 0.7 of their mean, 6 % for 150 runs: three standard errors and a little for small degrees.
    assert np.mean(expected) < 0.75 * 400 * np.log(2)
    assert np.mean(times) == pytest.approx(np.mean(expected), rel=0.2)


def test_active_links_of_a_regular_graph_rest_at_their_plateau() -> None:
    # Vazquez & Eguiluz 2008: (k - 2) / (2 (k - 1)) = 0.4 for k = 6, falling as exp(-2 t (k - 2) / ((k - 1) N)).
    run = simengine.run(
        Voter, n_agents=4000, contacts="network", graph="regular", mean_degree=6, steps=40, progress=False, seed=1
    )
    assert float(run.active_links[0]) == pytest.approx(0.5, abs=0.02)
    # 12,000 links: an error of 1 % of the mean over sweeps that remember one another; 5 of them. Fixed seed.
    assert float(run.active_links[20:].mean()) == pytest.approx(0.4 * np.exp(-2 * 30 * 0.8 / 4000), rel=0.05)


def test_active_links_are_counted_as_by_hand() -> None:
    graph = networkx.karate_club_graph()
    run = simengine.run(
        Voter, n_agents=34, n_opinions=3, contacts="network", steps=6, snapshot_every=1, progress=False,
        start={"acquaintances": networkx.Graph(graph.edges)},
    )  # fmt: skip
    ends = np.array(graph.edges)
    for step in range(len(run.step)):
        opinion = run.opinion.values[step]
        assert float(run.active_links[step]) == pytest.approx((opinion[ends[:, 0]] != opinion[ends[:, 1]]).mean())
        assert float(run.share_of_one_by_degree[step]) == pytest.approx((opinion[ends] == 1).mean())


def test_agents_without_neighbours_keep_their_opinion() -> None:
    for event in ("node", "link"):
        start = {"acquaintances": [(0, 1), (1, 2)], "opinion": [0, 1, 1, 0, 1]}
        run = simengine.run(
            Voter, n_agents=5, contacts="network", event=event, start=start, steps=50, snapshot_every=1, progress=False
        )
        assert (run.opinion.values[:, 3:] == [0, 1]).all()
        empty = start | {"acquaintances": []}
        run = simengine.run(
            Voter, n_agents=5, contacts="network", event=event, start=empty, steps=5, snapshot_every=5, progress=False
        )
        assert run.opinion.values[-1].tolist() == start["opinion"]


def stationary(up: Array, down: Array) -> Array:
    """Stationary chances of a chain that goes up and down by one."""
    weight = np.concatenate([[1.0], np.cumprod(up[:-1] / down[1:])])
    return np.asarray(weight / weight.sum())


def test_zealots_of_both_sides_share_the_others_in_proportion_to_their_number() -> None:
    free, ones, zeros = 30, 2, 1
    n = free + ones + zeros
    held = np.arange(free + 1)
    up = (free - held) / n * (held + ones) / (n - 1)
    down = held / n * (free - held + zeros) / (n - 1)
    chance = stationary(up, down)
    assert chance @ held == pytest.approx(free * ones / (ones + zeros))
    start = {
        "opinion": (np.arange(n) < ones + free // 2).astype(int),
        "stubborn": np.r_[[True] * 2, [False] * 30, True],
    }
    run = simengine.run(Voter, n_agents=n, start=start, steps=30_000, every=10, seed=4, progress=False)
    assert run.attrs["stopped_at"] == 30_000
    found = run.share_of_one.values[100:] * n - ones
    # Memory of about n / 3 sweeps: over 1,300 independent values; four standard errors, error rate 1e-4, fixed seed.
    spread = np.sqrt(chance @ held**2 - (chance @ held) ** 2)
    assert found.mean() == pytest.approx(chance @ held, abs=4 * spread / np.sqrt(1300))
    assert found.std() == pytest.approx(spread, rel=0.1)


def test_noise_holds_opinions_at_the_distribution_of_its_chain() -> None:
    n, noise = 20, 0.05
    held = np.arange(n + 1)
    up = (n - held) / n * ((1 - noise) * held / (n - 1) + noise / 2)
    down = held / n * ((1 - noise) * (n - held) / (n - 1) + noise / 2)
    chance = stationary(up, down)
    run = simengine.run(Voter, n_agents=n, noise=noise, steps=30_000, every=5, seed=5, progress=False)
    assert run.attrs["stopped_at"] == 30_000
    assert {0.0, 1.0} < set(run.share_of_one.values[:-1])
    found = np.bincount(np.round(run.share_of_one.values[200:] * n).astype(int), minlength=n + 1) / 5801
    # Memory of some 1 / noise = 20 sweeps: over 1,400 independent values; half the sum of differences of 21 shares
    # is then about 0.04.
    assert 0.5 * np.abs(found - chance).sum() < 0.08


def test_opinions_are_not_negative() -> None:
    with pytest.raises(InputError, match=r"start: agents\.opinion of agent 1 is -1; allowed is 0 <= value"):
        simengine.run(Voter, start={"opinion": [0, -1, 1]}, steps=1, progress=False)


def test_a_link_needs_a_network() -> None:
    with pytest.raises(InputError, match="it needs contacts='network'"):
        simengine.run(Voter, event="link", steps=1, progress=False)


@pytest.mark.slow
@pytest.mark.parametrize("event", ["node", "link"])
def test_the_promises_hold_on_networks(event: str) -> None:
    options: dict[str, Any] = {"contacts": "network", "event": event, "noise": 0.1, "stubborn": 0.1, "mean_degree": 4}
    testing.check(Voter, n_agents=60, **options)
    testing.any_shards(Voter, shards=(4,), steps=4, n_agents=60, **options)
