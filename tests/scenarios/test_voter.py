from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy.stats import binomtest

import simengine
from simengine.scenarios.voter import Voter

N, INITIAL, RUNS = 50, 0.3, 400


def events_chain(n_agents: int) -> np.ndarray:
    """Transition matrix of the number of agents with opinion 1 over one event."""
    held = np.arange(n_agents + 1)
    move = held * (n_agents - held) / (n_agents * (n_agents - 1))
    chain = np.diag(1.0 - 2.0 * move)
    chain[held[1:], held[1:] - 1] += move[1:]
    chain[held[:-1], held[:-1] + 1] += move[:-1]
    return chain


def mean_sweeps(n_agents: int, held: int) -> float:
    """Mean number of whole sweeps at whose end all agree: the sum over sweeps of the chance that they still differ."""
    sweep = np.linalg.matrix_power(events_chain(n_agents), n_agents)
    inside = sweep[1:-1, 1:-1]
    return float(np.linalg.solve(np.eye(n_agents - 1) - inside, np.ones(n_agents - 1))[held - 1])


def mean_events(n_agents: int, held: int) -> float:
    """The sum that the scenario's docstring states."""
    up = sum((n_agents - held) / (n_agents - j) for j in range(1, held + 1))
    return (n_agents - 1) * (up + sum(held / j for j in range(held + 1, n_agents)))


@cache
def runs() -> tuple[np.ndarray, np.ndarray]:
    """When each of many runs ended, and with which opinion."""
    ended = [
        simengine.run(Voter, n_agents=N, initial_share=INITIAL, seed=seed, every=10_000, progress=False)
        for seed in range(RUNS)
    ]
    assert all(run.attrs["stop_reason"] == "consensus of agents.opinion" for run in ended)
    return np.array([run.attrs["stopped_at"] for run in ended]), np.array(
        [float(run.share_of_one[-1]) for run in ended]
    )


def test_all_end_with_opinion_one_as_often_as_it_was_held() -> None:
    # Binomial test, fixed seeds, two-sided error rate 1e-3.
    _, share = runs()
    assert set(share) == {0.0, 1.0}
    assert binomtest(int(share.sum()), RUNS, INITIAL).pvalue > 1e-3


def test_mean_consensus_time_is_that_of_the_exact_chain() -> None:
    # Three standard errors: error rate 0.3 %, fixed seeds.
    times, _ = runs()
    exact = mean_sweeps(N, round(INITIAL * N))
    assert times.mean() == pytest.approx(exact, abs=3 * times.std() / np.sqrt(RUNS))


def test_the_stated_mean_number_of_events_solves_the_chain() -> None:
    for n_agents in (2, 3, 10, 50):
        inside = events_chain(n_agents)[1:-1, 1:-1]
        solved = np.linalg.solve(np.eye(n_agents - 1) - inside, np.ones(n_agents - 1))
        stated = [mean_events(n_agents, held) for held in range(1, n_agents)]
        np.testing.assert_allclose(stated, solved, rtol=1e-9)


def test_for_many_agents_the_mean_consensus_time_is_the_entropy_formula() -> None:
    for x in (0.1, 0.3, 0.5):
        n_agents = 5000
        formula = -(n_agents - 1) * (x * np.log(x) + (1 - x) * np.log(1 - x))
        assert mean_events(n_agents, round(x * n_agents)) / n_agents == pytest.approx(formula, rel=1e-3)


def test_disagreement_decays_at_the_stated_rate() -> None:
    # 300 runs, 4 standard errors of the mean: error rate 6e-5.
    sweeps = 20
    found = np.array([
        float(simengine.run(Voter, n_agents=30, seed=seed, steps=sweeps, every=sweeps, progress=False).discordance[-1])
        for seed in range(300)
    ])  # fmt: skip
    start = 2 * 15 * 15 / (30 * 29)
    expected = start * (1 - 2 / (30 * 29)) ** (30 * sweeps)
    assert found.mean() == pytest.approx(expected, abs=4 * found.std() / np.sqrt(300))


def test_consensus_is_absorbing_and_ends_the_run() -> None:
    run = simengine.run(Voter, n_agents=10, initial_share=1.0, steps=50, snapshot_every=1, progress=False)
    assert run.attrs["stopped_at"] == 0
    assert (run.opinion == 1).all()

    class Endless(Voter):
        """Voter model that goes on after consensus."""

        stop = ()

    run = simengine.run(Endless, n_agents=10, initial_share=0.0, steps=20, snapshot_every=1, progress=False)
    assert run.attrs["stopped_at"] == 20
    assert (run.opinion == 0).all()


def test_opinions_once_lost_do_not_come_back() -> None:
    run = simengine.run(Voter, n_agents=40, n_opinions=5, initial_share=0.2, seed=5, progress=False)
    assert int(run.opinions_left[0]) == 5
    assert int(run.opinions_left[-1]) == 1
    assert (np.diff(run.opinions_left.values) <= 0).all()


def test_the_start_holds_the_shares_asked_for() -> None:
    run = simengine.run(Voter, n_agents=20, n_opinions=3, initial_share=0.4, steps=0, snapshot_every=1, progress=False)
    assert np.bincount(run.opinion.values[0].astype(int)).tolist() == [6, 8, 6]
    # Grassberger (2003): ln N - sum n G(n) / N, with G(2) = 2 - gamma - ln 2 and G(2k + 2) = G(2k) + 2 / (2k + 1).
    g_6 = 2 - np.euler_gamma - np.log(2.0) + 2 / 3 + 2 / 5
    wanted = np.log(20.0) - (12 * g_6 + 8 * (g_6 + 2 / 7)) / 20
    assert float(run.opinion_entropy[0]) == pytest.approx(wanted)
