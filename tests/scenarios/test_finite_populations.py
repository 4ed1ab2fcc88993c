"""Finite populations: invasions counted against closed forms, agents against numbers, mutation, wrong input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare

import simengine
from simengine import InputError, testing
from simengine.scenarios import evolution_theory as theory
from simengine.scenarios.finite_populations import BirthDeathChain, FinitePopulation, donation_game, game

Array = np.ndarray[Any, Any]
FAR = 10**7

ROWS = [
    (game([[3, 0], [5, 1]]) | {"selection": 0.05}, 20, 0.0214808543175326),
    (game([[4, 1], [3, 2]]) | {"selection": 0.3}, 10, 0.0475885936036228),
    (game([[1, 5], [2, 3]]) | {"selection": 0.1}, 25, 0.124798035339001),
    (game(donation_game(3, 1)) | {"selection": 0.1}, 20, 0.0134414277611122),
    (game([[2, -1], [3, 0]]) | {"selection": 0.1}, 50, 0.000558207266960122),
    ({"update": "moran", "ratio": 1.1}, 50, 0.0916901582237455),
    ({"update": "moran", "ratio": 0.9}, 50, 0.000575608245205505),
    (game([[1, 5], [2, 3]]) | {"update": "moran", "selection": 0.1}, 25, 0.101658027894803),
]


def invade(scenario: type[Any], demes: int, size: int, seed: int = 1, **parameters: Any) -> Any:
    run = simengine.run(
        scenario, n_agents=demes * size, n_demes=demes, seed=seed, every=FAR, progress=False, **parameters
    )
    assert "unchanged" in run.attrs["stop_reason"]
    assert float(run.fixed_share[-1] + run.lost_share[-1]) == 1.0
    return run


def matrix(up: Array, down: Array) -> Array:
    return np.diag(1.0 - up - down) + np.diag(up[:-1], 1) + np.diag(down[1:], -1)


def assert_fixes_with(rho: float, run: Any, demes: int) -> None:
    assert float(run.fixed_share[-1]) == pytest.approx(rho, abs=4 * np.sqrt(rho * (1 - rho) / demes))


# Estimates of shares here lie within four standard errors: error rate 6e-5 each, fixed seeds.


@pytest.mark.parametrize(("parameters", "size", "rho"), [ROWS[1], ROWS[2], ROWS[7]])
def test_one_mutant_fixes_as_often_as_the_closed_forms_say(parameters: Any, size: int, rho: float) -> None:
    assert_fixes_with(rho, invade(BirthDeathChain, 2000, size, **parameters), 2000)


@pytest.mark.slow
@pytest.mark.parametrize(("parameters", "size", "rho"), ROWS)
def test_one_mutant_of_many_fixes_as_often_as_the_closed_forms_say(parameters: Any, size: int, rho: float) -> None:
    assert_fixes_with(rho, invade(BirthDeathChain, 100_000, size, **parameters), 100_000)


def test_agents_fix_as_often_as_the_closed_forms_say() -> None:
    parameters, size, rho = ROWS[1]
    assert_fixes_with(rho, invade(FinitePopulation, 400, size, **parameters), 400)


@pytest.mark.slow
@pytest.mark.parametrize(("parameters", "size", "rho"), [ROWS[0], ROWS[2], ROWS[7]])
def test_many_agents_fix_as_often_as_the_closed_forms_say(parameters: Any, size: int, rho: float) -> None:
    assert_fixes_with(rho, invade(FinitePopulation, 3000, size, **parameters), 3000)


@pytest.mark.parametrize(("update", "absorption", "fixation"), [("fermi", 50.92143, 162.0), ("moran", 28.28968, 90.0)])
def test_neutral_times_are_the_closed_forms(update: str, absorption: float, fixation: float) -> None:
    # Times to absorption scatter by less than 1.7 of their mean, those to fixation by less than 0.6, one in ten fixes:
    # four standard errors.
    demes = 4000
    run = invade(BirthDeathChain, demes, 10, update=update, selection=0.0)
    assert float(run.absorption_time[-1]) == pytest.approx(absorption, rel=4 * 1.7 / np.sqrt(demes))
    assert float(run.fixation_time[-1]) == pytest.approx(fixation, rel=4 * 0.6 / np.sqrt(demes / 10))


def assert_follows_the_chain(scenario: type[Any], demes: int, steps: int, **options: Any) -> None:
    # Chi-squared test, error rate 1e-4, fixed seed.
    size, payoffs = 6, [[1, 4], [2, 3]]
    run = simengine.Simulation(
        scenario, n_agents=demes * size, n_demes=demes, seed=5, invaders=2, selection=0.3, **options, **game(payoffs)
    )
    run.step(steps)
    if scenario is FinitePopulation:
        counted = np.bincount(run.agents.deme, weights=run.agents.strategy, minlength=demes)
        assert (counted == run.demes.n_a).all()
    chain = np.linalg.matrix_power(matrix(*theory.transitions(payoffs, size, selection=0.3, **options)), steps)
    found = np.bincount(run.demes.n_a, minlength=size + 1)
    assert chisquare(found, demes * chain[2]).pvalue > 1e-4


@pytest.mark.parametrize("scenario", [BirthDeathChain, FinitePopulation])
@pytest.mark.parametrize("update", ["fermi", "moran"])
def test_numbers_and_agents_have_the_distribution_of_the_chain(scenario: type[Any], update: Any) -> None:
    assert_follows_the_chain(scenario, 3000, 12, update=update)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", [BirthDeathChain, FinitePopulation])
@pytest.mark.parametrize("update", ["fermi", "moran"])
def test_with_mutation_they_have_it_too(scenario: type[Any], update: Any) -> None:
    assert_follows_the_chain(scenario, 20_000, 60, update=update, mutation=0.05)


@pytest.mark.slow
def test_with_rare_mutation_both_pure_states_are_as_common_as_their_fixation() -> None:
    # Every deme has changed sides many times; four standard errors.
    payoffs, size, beta, mutation, demes = [[3, 0], [5, 1]], 10, 0.05, 2e-3, 5000
    ratio = theory.stationary_ratio(payoffs, size, beta)
    stationary = theory.stationary_distribution(*theory.transitions(payoffs, size, selection=beta, mutation=mutation))
    assert stationary[-1] / stationary[0] == pytest.approx(ratio, rel=0.1)
    run = simengine.run(
        BirthDeathChain, n_agents=demes * size, n_demes=demes, selection=beta, mutation=mutation, steps=20_000,
        every=20_000, progress=False, **game(payoffs),
    )  # fmt: skip
    for share, expected in ((run.fixed_share, stationary[-1]), (run.lost_share, stationary[0])):
        error = np.sqrt(expected * (1 - expected) / demes)
        assert float(share[-1]) == pytest.approx(expected, abs=4 * error)


def test_who_plays_what_no_one_plays_is_not_invented() -> None:
    for invaders, share in ((0, 0.0), (10, 1.0)):
        run = invade(BirthDeathChain, 20, 10, invaders=invaders)
        assert float(run.share_of_a[-1]) == share
        assert float(run.absorption_time[-1]) == 0.0
        assert run.attrs["stopped_at"] <= 1


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_agents": 101, "n_demes": 10}, r"n_agents \(101\) must be a multiple of n_demes \(10\)"),
        ({"n_agents": 10, "n_demes": 10}, "a deme has at least 2 agents, not 1"),
        ({"n_agents": 100, "n_demes": 10, "invaders": 11}, r"invaders \(11\) exceed the 10 agents of a deme"),
        ({"ratio": 1.1}, "it needs update='moran'"),
        ({"update": "moran", "selection": 1.5}, "is at most 1 under update='moran'"),
        ({"update": "moran", "selection": 0.5, "payoff_ab": -2.0}, "must be above 0: not with selection 0.5"),
        ({"payoff_aa": float("nan")}, "a finite float"),
        ({"mutation": -0.1}, "0 <= value <= 1"),
    ],
)
def test_wrong_input_is_refused_in_one_line(parameters: Any, message: str) -> None:
    for scenario in (FinitePopulation, BirthDeathChain):
        with pytest.raises(InputError, match=message) as refused:
            simengine.run(scenario, steps=1, progress=False, **parameters)
        assert "\n" not in str(refused.value)


def test_demes_of_other_sizes_are_refused_at_the_start() -> None:
    with pytest.raises(InputError, match=r"start: demes are of equal size, 5; deme 0 has 2"):
        simengine.run(
            FinitePopulation, n_agents=20, n_demes=4, steps=1, progress=False,
            start={"agents": {"deme": np.repeat([0, 1, 2, 3], [2, 4, 6, 8])}},
        )  # fmt: skip


def test_strategies_given_at_the_start_are_counted() -> None:
    strategy = np.arange(20) % 5 < np.repeat([0, 5, 2, 3], 5)
    found = simengine.run(
        FinitePopulation, n_agents=20, n_demes=4, steps=0, snapshot_every=1, progress=False,
        start={"agents": {"strategy": strategy}},
    )  # fmt: skip
    assert found.demes_n_a.values[0].tolist() == [0, 5, 2, 3]


def test_a_table_of_payoffs_is_four_parameters() -> None:
    expected = {"payoff_aa": 3.0, "payoff_ab": 0.0, "payoff_ba": 5.0, "payoff_bb": 1.0}
    assert game([[3, 0], [5, 1]]) == expected
    with pytest.raises(InputError, match=r"shape \(2, 2\) is expected, not \(2, 3\)"):
        game(np.ones((2, 3)))


@pytest.mark.slow
def test_a_policy_revises_from_what_the_rule_sees() -> None:
    def copies_the_better(asked: Any) -> Array:
        # Without noise, so that pairwise comparison becomes imitation of whoever earns more.
        better = (asked.agents.payoff_a > asked.agents.payoff_b).astype(int)
        return np.where(asked.agents.own == asked.agents.seen, asked.agents.own, better)

    for scenario in (FinitePopulation, BirthDeathChain):
        run = simengine.run(
            scenario, n_agents=200, n_demes=20, invaders=5, steps=3000, progress=False, every=3000,
            policies={"demes.revise": copies_the_better}, **game([[2, 2], [1, 1]]),
        )  # fmt: skip
        assert float(run.fixed_share[-1]) == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("scenario", [FinitePopulation, BirthDeathChain])
def test_the_promises_hold(scenario: type[Any]) -> None:
    options: dict[str, Any] = {"n_agents": 60, "n_demes": 6, "mutation": 0.05}
    testing.check(scenario, **options)
    testing.any_shards(scenario, shards=(4,), steps=4, **options)
