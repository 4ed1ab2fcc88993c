from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chisquare

import simengine
from simengine import graphs
from simengine.scenarios.contagion import IndependentCascade, LinearThreshold

Edge = tuple[int, int]
Array = NDArray[Any]

# Directed, with cycles of two, three and six agents; agent 5 has a single edge that leads to it.
EDGES: list[Edge] = [(0, 1), (0, 2), (1, 2), (2, 1), (1, 3), (2, 4), (3, 4), (4, 3), (4, 5), (5, 0), (3, 1)]
PROBABILITIES = [0.3, 0.5, 0.8, 0.2, 0.6, 0.35, 0.7, 0.45, 0.9, 0.25, 0.55]
WEIGHTS = [0.4, 0.3, 0.5, 0.35, 0.6, 0.2, 0.7, 0.3, 0.9, 1.0, 0.25]
N = 6
SEEDS = (0, 3)
COPIES = 20_000


def copies(edges: Sequence[Edge], n_agents: int, number: int, **fields: Sequence[float]) -> dict[str, Array]:
    """So many copies of a graph side by side: as many independent cascades in one run."""
    shift = np.repeat(np.arange(number) * n_agents, len(edges))
    ends = np.tile(np.array(edges), (number, 1)) + shift[:, np.newaxis]
    return {"source": ends[:, 0], "target": ends[:, 1]} | {
        name: np.tile(np.asarray(values), number) for name, values in fields.items()
    }


def reached(
    scenario: type, edges: Sequence[Edge], n_agents: int, seeds: Sequence[int], number: int, *, seed: int = 1,
    fields: dict[str, Sequence[float]] | None = None, **parameters: Any,
) -> Array:  # fmt: skip
    """Who is active in the end in each of the copies, shape (copies, agents)."""
    active = np.zeros((number, n_agents), bool)
    active[:, list(seeds)] = True
    start = {"acquaintances": copies(edges, n_agents, number, **(fields or {})), "active": active.ravel()}
    run = simengine.run(
        scenario, start=start, seed=seed, every=100_000, snapshot_every=100_000, threads=1, progress=False, **parameters
    )
    assert run.attrs["stop_reason"] == "agents.active unchanged within 0"
    return run.active.values[-1].astype(bool).reshape(number, n_agents)


def both(edges: Sequence[Edge]) -> list[Edge]:
    """Each edge both ways."""
    return [*edges, *[(target, source) for source, target in edges]]


def reachable(edges: Sequence[Edge], seeds: Sequence[int]) -> int:
    """The set of agents to whom paths lead from the seeds, as bits."""
    found, before = sum(1 << s for s in seeds), -1
    while found != before:
        before = found
        for source, target in edges:
            if found >> source & 1:
                found |= 1 << target
    return found


def percolation(edges: Sequence[Edge], probabilities: Sequence[float], seeds: Sequence[int], n_agents: int) -> Array:
    """The probability of each set of agents reached over edges that are kept independently, by enumeration."""
    law = np.zeros(2**n_agents)
    for kept in product((False, True), repeat=len(edges)):
        chance = np.prod([p if keep else 1.0 - p for keep, p in zip(kept, probabilities, strict=True)])
        law[reachable([edge for edge, keep in zip(edges, kept, strict=True) if keep], seeds)] += chance
    return law


def one_edge_each(edges: Sequence[Edge], weights: Sequence[float], seeds: Sequence[int], n_agents: int) -> Array:
    """The same if each agent keeps at most one of the edges that lead to it, each with its weight."""
    choices: list[list[tuple[Edge | None, float]]] = []
    for agent in range(n_agents):
        own: list[tuple[Edge | None, float]] = [
            (edge, w) for edge, w in zip(edges, weights, strict=True) if edge[1] == agent
        ]
        choices.append([*own, (None, 1.0 - sum(w for _, w in own))])
    law = np.zeros(2**n_agents)
    for world in product(*choices):
        kept = [edge for edge, _ in world if edge is not None]
        law[reachable(kept, seeds)] += np.prod([chance for _, chance in world])
    return law


def sets(active: Array) -> Array:
    """The sets of active agents, as bits."""
    return active @ (1 << np.arange(active.shape[1]))


def assert_law(active: Array, law: Array) -> None:
    """Chi-squared test of the sets reached, rare ones together: error rate 1e-3, fixed seeds."""
    counts, expected = np.bincount(sets(active), minlength=len(law)), law * len(active)
    assert law.sum() == pytest.approx(1.0)
    assert (counts[law < 1e-12] == 0).all()
    rare = expected < 10.0
    grouped = np.array([*counts[~rare], counts[rare].sum()]), np.array([*expected[~rare], expected[rare].sum()])
    keep = grouped[1] > 5.0
    kept, wanted = grouped[0][keep], grouped[1][keep]
    assert len(kept) > 3
    assert chisquare(kept, wanted * kept.sum() / wanted.sum()).pvalue > 1e-3


def assert_mean_size(active: Array, expected: float) -> None:
    """Mean size within four standard errors: error rate 6e-5, fixed seeds."""
    sizes = active.sum(axis=1)
    assert sizes.mean() == pytest.approx(expected, abs=4 * sizes.std() / np.sqrt(len(sizes)))


@pytest.mark.parametrize("p", [0.3, 0.8])
def test_spread_on_a_path_and_on_stars_has_the_closed_forms(p: float) -> None:
    n = 8
    path = both([(i, i + 1) for i in range(n - 1)])
    star = both([(0, i) for i in range(1, n)])
    for edges, seed, expected in (
        (path, 0, (1 - p**n) / (1 - p)),
        (star, 0, 1 + p * (n - 1)),
        (star, 1, 1 + p + p**2 * (n - 2)),
    ):
        assert_mean_size(reached(IndependentCascade, edges, n, [seed], 5000, probability=p), expected)


def test_who_is_reached_is_distributed_as_in_bond_percolation() -> None:
    active = reached(
        IndependentCascade, EDGES, N, SEEDS, COPIES, fields={"probability": PROBABILITIES}, probabilities="edges"
    )
    assert_law(active, percolation(EDGES, PROBABILITIES, SEEDS, N))
    assert_law(
        reached(IndependentCascade, EDGES, N, SEEDS, COPIES, probability=0.4),
        percolation(EDGES, [0.4] * len(EDGES), SEEDS, N),
    )


def test_in_a_weighted_cascade_edges_share_equally_what_leads_to_an_agent() -> None:
    in_degree = np.bincount([target for _, target in EDGES], minlength=N)
    probabilities = [1.0 / in_degree[target] for _, target in EDGES]
    active = reached(IndependentCascade, EDGES, N, [5], COPIES, probabilities="weighted_cascade")
    assert_law(active, percolation(EDGES, probabilities, [5], N))


def test_an_agent_tries_once_in_the_step_after_it_became_active() -> None:
    # Certain edges carry the cascade one edge a step; after the seed's one chance nothing happens any more.
    path = [(i, i + 1) for i in range(9)]
    start = {"acquaintances": path, "active": np.arange(10) == 0}
    run = simengine.run(IndependentCascade, start=start, probability=1.0, snapshot_every=1, progress=False)
    np.testing.assert_array_equal(run.cascade_size, [*range(1, 11), 10])
    np.testing.assert_array_equal(run.joined[-1], np.arange(10))
    assert (int(run.duration[-1]), run.attrs["stopped_at"]) == (9, 10)
    run = simengine.run(IndependentCascade, start=start, probability=0.0, progress=False)
    assert (int(run.cascade_size[-1]), run.attrs["stopped_at"]) == (1, 1)


def test_edges_persuade_in_their_direction_alone() -> None:
    start = {"acquaintances": [(1, 0), (1, 2)], "active": [0, 1, 0]}
    for scenario, certain in ((IndependentCascade, {"probability": 1.0}), (LinearThreshold, {})):
        run = simengine.run(scenario, start=start, **certain, progress=False)
        assert int(run.cascade_size[-1]) == 3
        run = simengine.run(scenario, start=start | {"active": [1, 0, 0]}, **certain, progress=False)
        assert int(run.cascade_size[-1]) == 1


def test_spread_is_n_times_the_chance_that_seeds_meet_a_reverse_reachable_set() -> None:
    # R is a cascade from one agent drawn evenly over the edges turned round; in the mean over copies each agent is
    # equally often the first. Both sides are simulated: four standard errors of the difference, error rate 6e-5.
    club = graphs.make("karate_club", 34)
    edges = both(list(zip(club["source"].tolist(), club["target"].tolist(), strict=True)))
    in_degree = np.bincount([target for _, target in edges], minlength=34)
    probabilities = [1.0 / in_degree[target] for _, target in edges]
    fields: dict[str, Sequence[float]] = {"probability": probabilities}
    seeds, number = [5, 16, 25], 1500
    sizes = reached(
        IndependentCascade, edges, 34, seeds, number, fields=fields, probabilities="edges", seed=2
    ).sum(axis=1)  # fmt: skip
    turned = [(target, source) for source, target in edges]
    meets = np.concatenate([
        reached(IndependentCascade, turned, 34, [first], 150, fields=fields, probabilities="edges", seed=3 + first)
        [:, seeds].any(axis=1)
        for first in range(34)
    ])  # fmt: skip
    error = np.hypot(sizes.std() / np.sqrt(number), 34 * meets.std() / np.sqrt(len(meets)))
    assert sizes.mean() == pytest.approx(34 * meets.mean(), abs=4 * error)
    assert error < 0.35


def test_the_enumerated_spread_obeys_the_reverse_reachable_identity_that_simulated_sets_estimate() -> None:
    law = percolation(EDGES, PROBABILITIES, SEEDS, N)
    spread = sum(chance * int(found).bit_count() for found, chance in enumerate(law))
    turned = [(target, source) for source, target in EDGES]
    meets = np.concatenate([
        reached(
            IndependentCascade, turned, N, [first], 3000, fields={"probability": PROBABILITIES}, probabilities="edges",
            seed=50 + first,
        )[:, list(SEEDS)].any(axis=1)
        for first in range(N)
    ])  # fmt: skip
    # Four standard errors: error rate 6e-5.
    assert N * meets.mean() == pytest.approx(spread, abs=4 * N * meets.std() / np.sqrt(len(meets)))


def test_linear_thresholds_reach_whom_one_kept_edge_each_reaches() -> None:
    active = reached(LinearThreshold, EDGES, N, SEEDS, COPIES, fields={"weight": WEIGHTS}, weights="edges")
    assert_law(active, one_edge_each(EDGES, WEIGHTS, SEEDS, N))
    in_degree = np.bincount([target for _, target in EDGES], minlength=N)
    equal = [1.0 / in_degree[target] for _, target in EDGES]
    assert_law(reached(LinearThreshold, EDGES, N, [5], COPIES), one_edge_each(EDGES, equal, [5], N))


def test_given_linear_thresholds_are_reached_exactly() -> None:
    # Agent 0 is led to by ten seeds: with thresholds 1 all of them are needed, and they are enough.
    edges = [(i, 0) for i in range(1, 11)]
    for missing, expected in ((0, 1), (1, 0)):
        start = {
            "acquaintances": edges,
            "threshold": np.ones(11),
            "active": np.arange(11) > missing,
        }
        run = simengine.run(LinearThreshold, start=start, snapshot_every=1, progress=False)
        assert int(run.active[-1, 0]) == expected


def test_drawn_linear_thresholds_are_above_0_and_even() -> None:
    run = simengine.run(LinearThreshold, n_agents=5000, steps=0, snapshot_every=1, progress=False)
    thresholds = run.threshold.values[0]
    assert thresholds.min() > 0.0
    assert thresholds.max() <= 1.0
    # Four standard errors of the mean of uniform numbers: error rate 6e-5.
    assert float(thresholds.mean()) == pytest.approx(0.5, abs=4 / np.sqrt(12 * 5000))


def test_more_seeds_or_likelier_edges_never_reach_fewer() -> None:
    # Means of 2000 cascades whose expectations are many standard errors apart.
    sizes = [
        float(reached(IndependentCascade, EDGES, N, seeds, 2000, probability=p).mean())
        for p, seeds in ((0.2, [0]), (0.2, [0, 3]), (0.5, [0, 3]), (1.0, [0, 3]))
    ]
    assert sizes == sorted(sizes)
    assert sizes[-1] == 1.0
