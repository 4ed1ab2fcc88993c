from __future__ import annotations

from typing import Any

import networkx
import numpy as np
import pytest

import simengine
from simengine import testing
from simengine.scenarios.persuasion import solve_persuasion
from simengine.scenarios.persuasion_networks import ACCEPT, Hearsay, WordOfMouth

PRIOR, LIE = 0.3, 3 / 7
"""The judge's prior, and how often a bad case is called good."""


def in_either_state(run: Any) -> tuple[Any, Any]:
    """Acceptance in the rounds with a bad state and in those with a good one."""
    good = run.state.values[1:] == 1
    return run.acceptance.values[1:][~good], run.acceptance.values[1:][good]


def rounds(steps: int, **parameters: Any) -> Any:
    return simengine.run(WordOfMouth, steps=steps, seed=1, progress=False, **parameters)


@pytest.mark.parametrize(("n_agents", "steps"), [(1, 2000), (5, 1500), (100, 1500)])
def test_word_of_mouth_leaves_what_comes_before_the_first_rejection(n_agents: int, steps: int) -> None:
    bad, good = in_either_state(rounds(steps, n_agents=n_agents))
    assert (good == 1).all()
    left = LIE / (1 - LIE) * (1 - LIE**n_agents) / n_agents
    # Four standard errors of the mean over bad rounds: error rate 6e-5 each, fixed seeds.
    assert bad.mean() == pytest.approx(left, abs=4 * bad.std() / np.sqrt(len(bad)))
    if n_agents == 100:
        total = PRIOR * good.mean() + (1 - PRIOR) * bad.mean()
        assert total == pytest.approx(0.30525, abs=4 * 0.7 * bad.std() / np.sqrt(len(bad)))


def test_after_the_first_rejection_nobody_accepts() -> None:
    run = rounds(100, n_agents=12, snapshot_every=1)
    acts = run.accepts.values[1:]
    assert (np.diff(acts, axis=1) <= 0).all()
    assert (acts.sum(axis=1) > 0).any()
    # Whoever accepts was told good, and the first who rejects was not.
    assert (run.told.values[1:][acts == 1] == 1).all()
    first = acts.argmin(axis=1)
    rejected = acts.min(axis=1) == 0
    assert (run.told.values[1:][rejected, first[rejected]] == 0).all()


def test_a_letter_that_all_get_alike_is_not_spoilt_by_word_of_mouth() -> None:
    bad, good = in_either_state(rounds(3000, n_agents=20, signal="shared"))
    assert set(bad) == {0.0, 1.0}
    assert (good == 1).all()
    # Four standard errors, error rate 6e-5.
    assert PRIOR + (1 - PRIOR) * bad.mean() == pytest.approx(0.6, abs=4 * 0.7 * bad.std() / np.sqrt(len(bad)))


@pytest.mark.parametrize(("spread", "value"), [(0.05, 0.606), (0.1, 0.624), (0.2, 0.649)])
def test_private_signals_get_more_the_more_receivers_differ(spread: float, value: float) -> None:
    run = rounds(400, n_agents=500, contacts="nobody", threshold_spread=spread)
    bad, good = in_either_state(run)
    assert (good == 1).all()
    # Four standard errors of independent letters, and the three digits of the value.
    error = 4 * 0.7 * 0.5 / np.sqrt(500 * len(bad)) + 5e-4
    assert PRIOR + (1 - PRIOR) * bad.mean() == pytest.approx(value, abs=error)


def test_private_signals_beat_public_ones_where_receivers_differ() -> None:
    run = rounds(400, n_agents=500, contacts="nobody", threshold_spread=0.1, snapshot_every=400)
    threshold = run.threshold.values[-1]
    bad, _ = in_either_state(run)
    public = solve_persuasion(PRIOR, threshold).value
    assert public == pytest.approx(0.4309, abs=1e-3)
    assert PRIOR + (1 - PRIOR) * bad.mean() > public + 0.15


def test_bias_raises_what_a_letter_has_to_convey() -> None:
    bad, _ = in_either_state(rounds(300, n_agents=500, contacts="nobody", bias=0.2))
    error = 4 * 0.7 * 0.5 / np.sqrt(500 * len(bad))
    assert PRIOR + (1 - PRIOR) * bad.mean() == pytest.approx(0.3 / 0.55, abs=error)
    bad, good = in_either_state(rounds(50, n_agents=50, bias=0.72))
    assert max(bad.max(), good.max()) == 0.0


def test_the_fewer_acquaintances_the_more_is_left_to_the_sender() -> None:
    left = []
    for edges in ([], [(0, 1), (2, 3)], [(0, 1), (1, 2), (2, 3)], [(i, j) for i in range(4) for j in range(i)]):
        graph = networkx.Graph(edges)
        graph.add_nodes_from(range(4))
        bad, _ = in_either_state(rounds(3000, n_agents=4, start={"acquaintances": graph}))
        left.append(bad.mean())
    # Of the judge's case: r; r (1 + r) / 2; (r + r^2 + r^3 + r^4) / 4 in a row and where all see all.
    row = LIE / (1 - LIE) * (1 - LIE**4) / 4
    # Four standard errors of a share that is at most 0.25 by variance: error rate 6e-5 each.
    assert left == pytest.approx([LIE, LIE * (1 + LIE) / 2, row, row], abs=4 * 0.5 / np.sqrt(2000))


def test_word_reaches_those_near_somebody_who_heard() -> None:
    heard_by, length = 0.1, 4
    run = simengine.run(
        Hearsay, n_agents=120, graph="ring", mean_degree=2.0, heard_by=heard_by, round_length=length, steps=1200,
        seed=2, progress=False,
    )  # fmt: skip
    reached = run.share_reached.values[1:].reshape(-1, length)
    # 300 rounds of 120 dependent receivers: four standard errors of the rounds' means, error rate 6e-5 each.
    for hops in range(length):
        expected = 1 - (1 - heard_by) ** (2 * hops + 1)
        of_round = reached[:, hops]
        assert of_round.mean() == pytest.approx(expected, abs=4 * of_round.std() / np.sqrt(len(of_round)))


def test_word_travels_one_edge_a_step() -> None:
    graph = networkx.connected_watts_strogatz_graph(80, 4, 0.2, seed=5)
    run = simengine.run(
        Hearsay, n_agents=80, heard_by=0.03, round_length=6, steps=60, seed=4, snapshot_every=1, progress=False,
        start={"acquaintances": graph},
    )  # fmt: skip
    for first in range(1, 61, 6):
        sources = np.flatnonzero(run.hears.values[first])
        away = np.full(80, 99)
        if len(sources):
            for node, distance in networkx.multi_source_dijkstra_path_length(graph, sources.tolist()).items():
                away[node] = distance
        for hops in range(6):
            assert ((run.choice.values[first + hops] > 0) == (away <= hops)).all()
        decided = run.choice.values[first + 5]
        assert len(set(decided[decided > 0])) <= 1


def test_in_long_rounds_all_do_what_the_few_who_heard_do() -> None:
    run = simengine.run(
        Hearsay, n_agents=200, heard_by=0.05, round_length=8, steps=8000, every=8, seed=1, progress=False
    )
    accepting = run.share_accepting.values[1:]
    assert set(accepting) <= {0.0, 1.0}
    assert (run.share_reached.values[1:] == 1).mean() > 0.99
    # Four standard errors of 1000 rounds: error rate 6e-5.
    assert accepting.mean() == pytest.approx(0.6, abs=4 * 0.5 / np.sqrt(1000))
    assert float(run.mean_payoff[1:].mean()) == pytest.approx(0.7, abs=4 * 0.5 / np.sqrt(1000))


def test_copying_makes_neighbours_alike_and_leaves_receivers_with_less() -> None:
    options: dict[str, Any] = {"n_agents": 300, "threshold_spread": 0.2, "round_length": 8}
    alone, copying = (
        simengine.run(Hearsay, heard_by=heard_by, steps=800, every=8, seed=1, progress=False, **options)
        for heard_by in (1.0, 0.05)
    )
    # The same states and messages. Those who hear it judge for themselves, and always the same.
    convinced = alone.share_accepting.values[1:] > 0
    assert len(set(alone.share_accepting.values[1:][convinced])) == 1
    information = [run.choice_assortative_information.values[1:][convinced] for run in (alone, copying)]
    # Thresholds are dealt out at random; more than ten standard errors apart.
    assert abs(information[0]).max() < 0.01
    assert information[1].mean() > 0.05
    assert float(copying.mean_payoff[1:].mean()) < float(alone.mean_payoff[1:].mean())


def test_whom_no_word_can_reach_stays_undecided() -> None:
    graph = networkx.path_graph(5)
    graph.add_nodes_from(range(5, 8))
    run = simengine.run(
        Hearsay, n_agents=8, heard_by=0.5, round_length=8, steps=400, every=8, snapshot_every=8, progress=False,
        start={"acquaintances": graph},
    )  # fmt: skip
    alone = run.choice.values[1:, 5:]
    assert ((alone > 0) == run.hears.values[1:, 5:]).all()
    joined = run.choice.values[1:, :5]
    assert ((joined > 0).all(axis=1) == run.hears.values[1:, :5].any(axis=1)).all()
    assert (joined == ACCEPT).any()


@pytest.mark.parametrize("scenario", [WordOfMouth, Hearsay])
def test_a_run_is_the_same_however_it_is_spread(scenario: Any) -> None:
    options = {"n_agents": 40, "graph": "small_world", "mean_degree": 4.0, "threshold_spread": 0.1}
    testing.any_shards(scenario, shards=(3,), **options)
