from __future__ import annotations

import itertools
import math
from types import SimpleNamespace as Bunch
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import simengine
from simengine import InputError, Policy, testing
from simengine.scenarios.public_goods import ABSTAIN, CONTRIBUTE, DEFECT
from simengine.scenarios.social_dilemmas import PublicGoods
from simengine.scenarios.social_dilemmas_theory import (
    cost_of_giving,
    fermi_rate,
    fermi_rate_of_groups,
    logistic_share,
    optional_flow,
    optional_point,
    temptation,
)

STRONG = {"cost": 2.5, "selection": 0.5}
"""A dilemma of kappa = 1 for five and a multiplier of 3."""


def played(steps: int, **parameters: Any) -> Any:
    """A run with expected payoffs, unless told otherwise."""
    options: dict[str, Any] = {
        "n_agents": 20_000, "payoffs": "expected", "revision": 0.1, "every": steps, "snapshot_every": steps,
        "threads": 1, "seed": 1,
    }  # fmt: skip
    return simengine.run(PublicGoods, steps=steps, progress=False, **(options | parameters))


def deviation(shares: Any, times: Any, scatter: float, n_agents: int) -> float:
    """Standard deviation of the share in the end, of independent imitators round a logistic law of fluctuations.

    A deviation grows like x (1 - x); ``scatter`` x (1 - x) dt / N of variance comes in all the time.
    """
    slope = shares * (1.0 - shares)
    return math.sqrt(scatter / n_agents * slope[-1] ** 2 * np.trapezoid(1.0 / slope, times))


def mean_payoff(me: int, strategies: tuple[int, ...], n_fellows: int, p: dict[str, Any]) -> float:
    """Payoff of one agent, mean of all groups that it could be in; all contributors punish."""
    found = []
    for fellows in itertools.combinations([k for k in range(len(strategies)) if k != me], n_fellows):
        kinds = [strategies[k] for k in fellows]
        given, kept = kinds.count(CONTRIBUTE), kinds.count(DEFECT)
        payoff = p["income"]
        if strategies[me] != ABSTAIN and given + kept > 0:
            mine = 1 if strategies[me] == CONTRIBUTE else 0
            payoff = p["multiplier"] * p["cost"] * (given + mine) / (given + kept + 1) - p["cost"] * mine
            if p["sanctions"] == "peers":
                payoff -= (p["fining_cost"] * kept if mine else p["fine"] * given) / n_fellows
            elif p["sanctions"] == "central" and not mine:
                payoff -= p["fine"] * p["sanction_chance"]
        found.append(payoff)
    return float(np.mean(found))


@pytest.mark.parametrize("sanctions", ["none", "central", "peers"])
@pytest.mark.parametrize("strategies", [(0, 1, 2, 0, 1, 1, 2), (0, 0, 1, 2, 2, 2, 2), (1, 2, 2, 2, 2, 2, 2)])
def test_expected_payoffs_are_the_mean_of_all_groups(strategies: tuple[int, ...], sanctions: str) -> None:
    p = {
        "sanctions": sanctions, "multiplier": 2.6, "cost": 1.4, "income": 0.7, "fine": 0.9, "fining_cost": 0.3,
        "sanction_chance": 1.0,
    }  # fmt: skip
    start = {"strategy": np.array(strategies)}
    run = played(1, n_agents=7, n_fellows=3, loners=True, revision=1e-12, start=start, **p)
    expected = [mean_payoff(me, strategies, 3, p) for me in range(7)]
    np.testing.assert_allclose(run.payoff[-1], expected, rtol=1e-12)


def test_defectors_earn_what_contributing_costs_more_than_contributors() -> None:
    run = played(1, n_agents=50, n_fellows=4, revision=1e-12)
    payoff, strategy = run.payoff.values[-1], run.strategy.values[-1]
    gap = float(payoff[strategy == DEFECT][0] - payoff[strategy == CONTRIBUTE][0])
    assert gap == pytest.approx(cost_of_giving(5, 3.0, agents=50), rel=1e-12)
    assert cost_of_giving(5, 3.0) == pytest.approx(0.4)


def test_proportional_imitation_follows_the_replicator_equation() -> None:
    np.testing.assert_allclose(logistic_share(0.5, 0.4, [1, 5, 10]), [0.4013123, 0.1192029, 0.0179862], atol=5e-8)
    # The largest difference is 2.4 of a defector among four, and -0.4 of who contributes alone: M = 2.8.
    run = played(280, rule="proportional", every=28)
    time = run.step.values * 0.1 / 2.8
    assert time.tolist() == pytest.approx(range(11), abs=1e-12)
    law = logistic_share(0.5, 0.4, time)
    for end in (1, 5, 10):
        # Who imitates only what is better scatters as kappa; four standard deviations (error rate 6e-5), and the
        # steps of a tenth of the time, fixed seed.
        allowed = 4 * deviation(law[: end + 1], time[: end + 1], 0.4, 20_000) + 1e-3
        assert float(run.contributing[end]) == pytest.approx(law[end], abs=allowed)


@pytest.mark.parametrize(("time", "share"), [(5, 0.2271291), (20, 0.0074035)])
def test_fermi_imitation_follows_its_mean_field(time: int, share: float) -> None:
    assert cost_of_giving(5, 3.0, 2.5) == pytest.approx(1.0)
    times = np.linspace(0, time, 101)
    law = logistic_share(0.5, fermi_rate(1.0, 0.5), times)
    assert law[-1] == pytest.approx(share, abs=5e-8)
    run = played(10 * time, **STRONG).isel(time=-1)
    found = float(run.contributing)
    # Two strategies have the entropy of a coin.
    coin = -found * math.log(found) - (1 - found) * math.log(1 - found)
    assert float(run.strategy_entropy) == pytest.approx(coin, abs=2e-4)
    # Four standard deviations (error rate 6e-5), fixed seed.
    assert found == pytest.approx(share, abs=4 * deviation(law, times, 1.0, 20_000))


@pytest.mark.slow
def test_fermi_imitation_of_many_agents_follows_its_mean_field_closely() -> None:
    times = np.linspace(0, 20, 401)
    law = logistic_share(0.5, fermi_rate(1.0, 0.5), times)
    run = played(1000, n_agents=100_000, revision=0.02, every=50, **STRONG)
    for time, share in ((5, 0.2271291), (20, 0.0074035)):
        end = 20 * time + 1
        allowed = 4 * deviation(law[:end], times[:end], 1.0, 100_000)
        assert float(run.contributing[time]) == pytest.approx(share, abs=allowed)


@pytest.mark.slow
def test_finite_populations_stray_from_the_mean_field_by_the_root_of_their_size() -> None:
    sizes, replicates = np.array([250, 1000, 4000, 16_000]), 40
    errors = []
    for size in sizes:
        ends = [float(played(100, n_agents=int(size), revision=0.05, seed=k, **STRONG).contributing[-1])
                for k in range(replicates)]  # fmt: skip
        errors.append(math.sqrt(np.mean(np.square(np.array(ends) - 0.2271291))))
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    # The logarithm of a root mean square of 40 has an error of 0.11, the slope one of 0.11 / 3.1: four of these.
    assert slope == pytest.approx(-0.5, abs=4 * 0.11 / 3.1)


@pytest.mark.slow
@pytest.mark.parametrize("selection", [0.5, 3.0])
def test_payoffs_of_single_rounds_scatter_and_that_slows_imitation(selection: float) -> None:
    rates = [fermi_rate_of_groups(share, 5, 3.0, 1.0, selection) for share in (0.5, 0.2)]
    assert all(0.0 < rate < fermi_rate(0.4, selection) for rate in rates)
    law = solve_ivp(
        lambda t, x: -fermi_rate_of_groups(x[0], 5, 3.0, 1.0, selection) * x * (1 - x), (0, 8), [0.5],
        rtol=1e-9, t_eval=np.linspace(0, 8, 81),
    )  # fmt: skip
    found = float(played(400, payoffs="round", revision=0.02, n_agents=100_000, selection=selection).contributing[-1])
    # Four standard deviations, error rate 6e-5, fixed seed.
    assert found == pytest.approx(law.y[0, -1], abs=4 * deviation(law.y[0], law.t, 1.0, 100_000))


@pytest.mark.slow
def test_payoffs_of_single_rounds_are_those_expected_in_the_mean() -> None:
    p: dict[str, Any] = {
        "loners": True, "initial_contributing": 0.3, "initial_abstaining": 0.4, "revision": 1e-12, "sanctions": "peers",
        "fine": 0.8, "fining_cost": 0.5, "n_agents": 200_000, "seed": 4,
    }  # fmt: skip
    runs = {payoffs: played(1, payoffs=payoffs, **p) for payoffs in ("expected", "round")}
    strategy = runs["round"].strategy.values[-1]
    for kind in (DEFECT, CONTRIBUTE):
        drawn = runs["round"].payoff.values[-1][strategy == kind]
        expected = runs["expected"].payoff.values[-1][strategy == kind]
        # Four standard errors, error rate 6e-5, fixed seed.
        assert drawn.mean() == pytest.approx(expected.mean(), abs=4 * drawn.std() / math.sqrt(len(drawn)))
    for run in runs.values():
        assert (run.payoff.values[-1][strategy == ABSTAIN] == 1.0).all()


@pytest.mark.parametrize(("chance", "grows"), [(0.3, False), (0.4, None), (0.5, True)])
def test_central_fines_turn_the_dilemma_where_they_exceed_what_giving_costs(chance: float, grows: bool | None) -> None:
    run = played(50, sanctions="central", fine=1.0, sanction_chance=chance, selection=10.0)
    times = np.linspace(0, 5, 51)
    law = logistic_share(0.5, fermi_rate(0.4 - chance, 10.0), times)
    # Four standard deviations, error rate 6e-5, fixed seed.
    allowed = 4 * deviation(law, times, 1.0, 20_000) + 0.002
    assert float(run.contributing[-1]) == pytest.approx(law[-1], abs=allowed)
    if grows is not None:
        assert (float(run.contributing[-1]) > 0.5 + allowed) == grows


@pytest.mark.parametrize(("initial", "grows"), [(0.35, False), (0.45, True)])
def test_fines_by_peers_help_where_contributors_are_many(initial: float, grows: bool) -> None:
    # What contributing costs, 0.4, is the fine that a share of 0.4 of punishers gives.
    run = played(
        150, sanctions="peers", fine=1.0, sanction_chance=1.0, initial_contributing=initial, selection=20.0
    )  # fmt: skip
    assert float(run.contributing[-1]) == pytest.approx(1.0 if grows else 0.0, abs=0.05)


def test_where_participation_is_free_one_mix_earns_all_alike() -> None:
    contributing, defecting, abstaining = optional_point(5, 3.0, 1.0)
    assert abstaining == pytest.approx(0.4613398, abs=5e-8)
    assert contributing / (contributing + defecting) == pytest.approx(0.5)
    assert temptation(abstaining, 5, 3.0) == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(optional_flow((contributing, defecting, abstaining), 5, 3.0, 1.0), 0.0, atol=1e-12)
    run = played(
        1, n_agents=200_000, loners=True, initial_contributing=contributing, initial_abstaining=abstaining,
        revision=1e-12,
    )  # fmt: skip
    np.testing.assert_allclose(run.payoff[-1], 1.0, atol=5e-5)


def test_where_participation_is_free_orbits_are_closed_round_that_mix() -> None:
    point = np.array(optional_point(5, 3.0, 1.0))

    def back(t: float, state: Any) -> float:
        return float(state[0] - point[0])

    first = np.array([point[0], 0.5 * (1 - point[0]), 0.5 * (1 - point[0])])
    orbit = solve_ivp(
        lambda t, x: optional_flow(x, 5, 3.0, 1.0), (0, 200), first, events=back, rtol=1e-11, atol=1e-12,
        dense_output=True,
    )  # fmt: skip
    # It starts on the line, crosses it half way and comes back.
    end = orbit.t_events[0][orbit.t_events[0] > 1.0][1]
    np.testing.assert_allclose(orbit.sol(end), first, atol=1e-7)
    times = np.linspace(0.0, end, 4001)
    shares = orbit.sol(times)

    def mean(values: Any) -> float:
        return float(np.trapezoid(values, times) / end)

    # What drives the two speeds is 0 in the mean, and so is the point's own, but for the bend of the temptation.
    assert mean(shares[0] / (1 - shares[2])) == pytest.approx(0.5, abs=1e-6)
    assert mean(temptation(shares[2], 5, 3.0)) == pytest.approx(0.0, abs=1e-6)
    assert mean(shares[2]) == pytest.approx(point[2], abs=0.005)
    assert mean(shares[2]) > point[2] + 0.003


@pytest.mark.slow
def test_in_the_mean_over_time_half_of_the_participants_of_a_large_population_contribute() -> None:
    point = optional_point(5, 3.0, 1.0)
    run = played(
        4000, n_agents=50_000, rule="proportional", loners=True, initial_contributing=0.3, initial_abstaining=0.4,
        revision=0.05, every=5,
    )  # fmt: skip
    contributing, abstaining = run.contributing.values, run.abstaining.values
    assert np.ptp(abstaining) > 0.05
    # Whole turns: from one rise through the mean to the last.
    rises = np.flatnonzero((abstaining[:-1] < point[2]) & (abstaining[1:] >= point[2]))
    whole = slice(rises[0], rises[-1])
    assert (contributing / (1 - abstaining))[whole].mean() == pytest.approx(0.5, abs=0.01)
    assert temptation(abstaining[whole], 5, 3.0).mean() == pytest.approx(0.0, abs=0.01)
    assert abstaining[whole].mean() == pytest.approx(point[2], abs=0.01)


def test_who_may_not_abstain_defects_and_only_contributors_punish() -> None:
    new = Bunch(strategy=np.array([ABSTAIN]), punishes=np.array([1]))
    p = Bunch(may_abstain=0.0, fines=2.0)
    PublicGoods.take_part(0, Bunch(strategy=np.array([ABSTAIN])), new, p)
    PublicGoods.abide(0, Bunch(strategy=np.array([DEFECT])), new, p)
    assert (new.strategy[0], new.punishes[0]) == (DEFECT, 0)


@pytest.mark.slow
def test_decisions_can_be_answered_from_outside() -> None:
    give = {"agents.revise": Policy(lambda asked: np.full(len(asked.ids), CONTRIBUTE))}
    run = played(2, n_agents=100, policies=give)
    assert float(run.contributing[-1]) == 1.0
    assert float(run.mean_payoff[-1]) == pytest.approx(2.0)


@pytest.mark.slow
@pytest.mark.parametrize("payoffs", ["round", "expected"])
def test_a_run_is_the_same_however_it_is_cut_and_spread(payoffs: str) -> None:
    options: dict[str, Any] = {
        "n_agents": 60, "payoffs": payoffs, "sanctions": "peers", "loners": True, "initial_abstaining": 0.2,
        "mutation": 0.1,
    }  # fmt: skip
    testing.check(PublicGoods, **options)
    testing.any_shards(PublicGoods, shards=(3,), **options)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"n_fellows": 10, "n_agents": 10}, "n_fellows (10) must be below n_agents (10): nobody is its own fellow"),
        ({"cost": 0.0}, "'cost' of PublicGoods: got 0.0"),
        ({"multiplier": -1.0}, "'multiplier' of PublicGoods: got -1.0"),
        ({"initial_abstaining": 0.1}, "initial_abstaining (0.1) needs loners=True"),
        ({"initial_abstaining": 0.6, "loners": True}, "initial_contributing and initial_abstaining add up to 1.1"),
        ({"sanctions": "police"}, "'sanctions' of PublicGoods: got 'police'"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=r"^[^\n]+$") as refused:
        PublicGoods(**parameters)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("function", "given", "said"),
    [
        (optional_point, (5, 2.0, 0.5), "multiplier: got 2.0, allowed is 2 < multiplier < group_size (5)"),
        (optional_point, (5, 3.0, 2.0), "income: got 2.0, allowed is 0 < income < multiplier - 1 (2)"),
        (logistic_share, (0.0, 1.0, [1.0]), "initial: got 0.0, allowed is 0 < initial < 1"),
    ],
)
def test_closed_forms_are_refused_where_they_do_not_hold(function: Any, given: tuple[Any, ...], said: str) -> None:
    with pytest.raises(InputError) as refused:
        function(*given)
    assert str(refused.value) == said
