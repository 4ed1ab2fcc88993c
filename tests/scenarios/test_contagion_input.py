from __future__ import annotations

from pathlib import Path
from typing import Any

import networkx
import numpy as np
import pytest

import simengine
from simengine import graphs, testing
from simengine.scenarios.contagion import Granovetter, IndependentCascade, LinearThreshold, WattsCascade

PAIR = {"source": [0], "target": [1]}
CASCADES = (WattsCascade, IndependentCascade, LinearThreshold)


@pytest.mark.parametrize(
    ("scenario", "given", "message"),
    [
        (Granovetter, {"start": {"threshold": [0.0, 1.5]}}, "threshold of agent 1 is 1.5; allowed is 0 <= value <= 1"),
        (Granovetter, {"mean": 1.2}, "mean"),
        (Granovetter, {"sd": -0.1}, "sd"),
        (WattsCascade, {"start": {"threshold": [-0.1, 0.5]}}, "agent 0 is -0.1; allowed is 0 <= value <= 1"),
        (WattsCascade, {"threshold": 1.1}, "threshold"),
        (WattsCascade, {"n_agents": 5, "n_seeds": 6}, r"n_seeds \(6\) exceeds n_agents \(5\)"),
        (WattsCascade, {"n_agents": 0}, "n_agents"),
        (WattsCascade, {"start": {"acquaintances": [(0, 1), (1, 1)]}, "n_agents": 2}, "joins agent 1 to itself"),
        (WattsCascade, {"start": {"active": [0, 2]}}, "active of agent 1 is 2; allowed is 0 <= value <= 1"),
        (Granovetter, {"start": {"active": [0, -1]}}, "active of agent 1 is -1; allowed is 0 <= value <= 1"),
        (IndependentCascade, {"probability": 1.5}, "probability"),
        (
            IndependentCascade,
            {"start": {"acquaintances": PAIR | {"probability": [1.2]}}, "n_agents": 2, "probabilities": "edges"},
            "start: acquaintances: probability of edge 0 is 1.2; allowed is 0 <= value <= 1",
        ),
        (
            IndependentCascade,
            {"start": {"acquaintances": PAIR}, "n_agents": 2, "probabilities": "edges"},
            "each of whose edges has a `probability`",
        ),
        (
            IndependentCascade,
            {"start": {"acquaintances": networkx.path_graph(3)}, "n_agents": 3, "probabilities": "edges"},
            "each of whose edges has a `probability`",
        ),
        (IndependentCascade, {"n_agents": 5, "probabilities": "edges"}, "each of whose edges has a `probability`"),
        (LinearThreshold, {"n_agents": 5, "weights": "edges"}, "each of whose edges has a `weight`"),
        (
            LinearThreshold,
            {"start": {"acquaintances": PAIR | {"weight": [-0.5]}}, "n_agents": 2, "weights": "edges"},
            "weight of edge 0 is -0.5; allowed is 0 <= value",
        ),
        (
            LinearThreshold,
            {
                "start": {"acquaintances": {"source": [0, 1], "target": [2, 2], "weight": [0.7, 0.4]}},
                "n_agents": 3, "weights": "edges",
            },
            "the edges that lead to agent 2 add up to 1.1, not 1 at most",
        ),
        (LinearThreshold, {"start": {"threshold": [0.5, 1.01]}}, "threshold of agent 1 is 1.01"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_in_one_line_and_nothing_is_written(
    scenario: type, given: dict[str, Any], message: str, tmp_path: Path
) -> None:
    graph = {} if "start" in given and "acquaintances" in given["start"] else {"graph": "complete"}
    with pytest.raises(simengine.InputError, match=message) as error:
        simengine.run(scenario, out=tmp_path / "run.nc", progress=False, **graph, **given)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("scenario", CASCADES)
def test_who_has_no_neighbours_is_neither_persuaded_nor_persuades(scenario: type) -> None:
    graph = networkx.Graph([(0, 1)])
    graph.add_nodes_from([2, 3])
    sure = {"probability": 1.0} if scenario is IndependentCascade else {}
    for seeds, size in (([1, 0, 0, 0], 2), ([0, 0, 1, 0], 1)):
        start = {"acquaintances": graph, "active": seeds}
        assert int(simengine.run(scenario, start=start, progress=False, **sure).cascade_size[-1]) == size


@pytest.mark.parametrize("scenario", CASCADES)
def test_a_graph_without_edges_keeps_the_seeds(scenario: type) -> None:
    start = {"acquaintances": {"source": [], "target": []}}
    run = simengine.run(scenario, n_agents=20, n_seeds=3, start=start, progress=False)
    assert (int(run.cascade_size[-1]), int(run.duration[-1]), run.attrs["stopped_at"]) == (3, 0, 1)


def test_edges_come_from_a_file(tmp_path: Path) -> None:
    club = networkx.karate_club_graph()
    networkx.write_graphml(networkx.Graph(club.edges), tmp_path / "karate.graphml")
    seeds = np.arange(34) == 0
    for scenario in CASCADES:
        runs = [
            simengine.run(scenario, start={"acquaintances": given, "active": seeds}, seed=5, progress=False)
            for given in (str(tmp_path / "karate.graphml"), networkx.Graph(club.edges))
        ]
        np.testing.assert_array_equal(runs[0].cascade_size, runs[1].cascade_size)


@pytest.mark.parametrize("scenario", CASCADES)
def test_hubs_of_a_graph_of_ones_own_are_the_seeds_unless_others_are_given(scenario: type) -> None:
    edges = graphs.make("scale_free", 100, 3, mean_degree=4.0)
    given = edges if scenario is WattsCascade else graphs.both_ways(edges)
    options = {"n_agents": 100, "n_seeds": 5, "seeding": "highest_degree", "steps": 0, "snapshot_every": 1}
    run = simengine.run(scenario, start={"acquaintances": given}, progress=False, **options)
    hubs = np.argsort(-np.bincount(np.concatenate([edges["source"], edges["target"]])), kind="stable")[:5]
    np.testing.assert_array_equal(np.flatnonzero(run.active[0]), np.sort(hubs))
    others = np.arange(100) == hubs[0]
    run = simengine.run(scenario, start={"acquaintances": given, "active": others}, progress=False, **options)
    np.testing.assert_array_equal(run.active[0], others)


def test_of_a_directed_graph_the_hubs_are_those_who_persuade_most() -> None:
    follows = {"source": [0, 0, 1, 1, 1], "target": [3, 2, 0, 2, 3]}
    run = simengine.run(
        IndependentCascade, n_agents=4, seeding="highest_degree", start={"acquaintances": follows}, steps=0,
        snapshot_every=1, progress=False,
    )  # fmt: skip
    np.testing.assert_array_equal(run.active[0], [0, 1, 0, 0])


def test_the_entropy_of_activity_is_that_of_the_share() -> None:
    run = simengine.run(WattsCascade, n_agents=2000, seed=1, progress=False)
    share = run.share_active.values[3:]
    inside = (share > 0.0) & (share < 1.0)
    share = share[inside]
    entropy = -share * np.log(share) - (1 - share) * np.log(1 - share)
    # Grassberger's correction is at most about 1 / n for each of the two states.
    np.testing.assert_allclose(run.active_entropy.values[3:][inside], entropy, atol=2.5 / 2000)


def test_a_policy_that_answers_as_the_rule_does_gives_the_same_cascade() -> None:
    def as_the_rule(asked: Any) -> Any:
        share = asked.observed["active_neighbours"] / np.maximum(asked.observed["neighbours"], 1)
        return (asked.agents.active == 1) | ((share >= asked.agents.threshold) & (asked.observed["neighbours"] > 0))

    given = {"n_agents": 500, "n_seeds": 3, "snapshot_every": 1, "seed": 2, "progress": False}
    rule = simengine.run(WattsCascade, **given)
    policy = simengine.run(WattsCascade, policies={"agents.adopt": simengine.Policy(as_the_rule)}, **given)
    assert int(rule.cascade_size[-1]) > 50
    np.testing.assert_array_equal(rule.active, policy.active)


@pytest.mark.parametrize(
    ("scenario", "parameters"),
    [
        (Granovetter, {"thresholds": "normal", "sd": 0.2, "n_agents": 60}),
        (WattsCascade, {"n_agents": 60, "n_seeds": 4, "spontaneous": 0.02}),
        (IndependentCascade, {"n_agents": 60, "n_seeds": 4, "probability": 0.2}),
        (LinearThreshold, {"n_agents": 60, "n_seeds": 6}),
    ],
)
def test_results_do_not_depend_on_shards(scenario: type, parameters: dict[str, Any]) -> None:
    testing.any_shards(scenario, shards=(1, 3), steps=8, **parameters)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "parameters"),
    [
        (Granovetter, {"thresholds": "normal", "sd": 0.2}),
        (WattsCascade, {"n_seeds": 4}),
        (IndependentCascade, {"n_seeds": 4, "probability": 0.2}),
        (LinearThreshold, {"n_seeds": 6}),
    ],
)
def test_every_promise_is_kept(scenario: type, parameters: dict[str, Any]) -> None:
    testing.check(scenario, n_agents=60, steps=8, **parameters)
